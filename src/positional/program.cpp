#include "telos/positional/program.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string>

#include "positional/program_syntax.h"
#include "telos/base/error.h"

namespace telos::positional {
namespace {

constexpr std::size_t kMaxExprDepth = 160;

bool is_name(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && letter(text[0]) && !syntax::is_reserved(text) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

/// Checks a program that was made by code; problems have no place in a text.
class Checker {
 public:
  explicit Checker(const Program& program) : p_(program) {}

  std::vector<Problem> run() {
    if (p_.n < 1 || p_.n > kMaxNodes)
      add("expected n from 1 to " + std::to_string(kMaxNodes) + ", found " + std::to_string(p_.n));
    if (p_.rounds.size() > kMaxRounds) add("more than " + std::to_string(kMaxRounds) + " rounds");
    if (p_.channels.empty() || p_.channels.size() > kMaxChannels || p_.columns() > kMaxChannels)
      add("expected 1 to " + std::to_string(kMaxChannels) + " channels and columns");
    if (p_.columns() == 0) add("the program has no input", "declare input x");
    if (p_.outputs.empty() || p_.outputs.size() > kMaxChannels) add("expected 1 to 256 outputs");
    if (!std::isfinite(p_.bound) || p_.bound < 0) add("the bound is negative or not finite");
    if (!problems_.empty()) return problems_;
    names();
    channels();
    for (const Output& output : p_.outputs) {
      if (output.weights.size() != p_.channels.size() || !finite(output.weights))
        add("output " + printable(output.name) + ": expected one finite weight a channel");
      for (std::size_t c = 0; c < output.weights.size() && c < p_.channels.size(); ++c)
        if (output.weights[c] != 0 && p_.channels[c].kind == Channel::Kind::kNotBit)
          add("output " + printable(output.name) + " reads the complement of a bit");
    }
    for (std::size_t r = 0; r < p_.rounds.size() && problems_.size() < 64; ++r) round(r);
    return std::move(problems_);
  }

 private:
  void add(std::string message, std::string hint = {}) {
    problems_.push_back({0, 0, where_ + std::move(message), std::move(hint)});
  }
  static bool finite(const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  }

  void name(const std::string& text) {
    if (!is_name(text))
      add("'" + printable(text) + "' is no name", "letters, digits and _, no reserved word");
    if (!taken_.insert(text).second) add("'" + printable(text) + "' is declared twice");
  }

  void names() {
    if (p_.name != "program" && !is_name(p_.name)) add("'" + printable(p_.name) + "' is no name");
    for (const std::string& input : p_.inputs) name(input);
    for (const Channel& channel : p_.channels)
      if (channel.kind != Channel::Kind::kNotBit) name(channel.name);
    std::set<std::string_view> outputs;
    for (const Output& output : p_.outputs)
      if (!is_name(output.name) || !outputs.insert(output.name).second)
        add("'" + printable(output.name) + "' is no name, or names two outputs");
  }

  /// Channels stand in the order states, constant, then bit and complement for each bit.
  void channels() {
    const std::size_t fixed = p_.columns() - p_.inputs.size();
    if (p_.channels.size() <= fixed) return add("the program has no state");
    const std::size_t states = p_.channels.size() - fixed;
    const std::size_t first_bit = states + (p_.has_constant() ? 1 : 0);
    for (std::size_t c = 0; c < p_.channels.size(); ++c) {
      const Channel& channel = p_.channels[c];
      if (channel.start.size() != p_.columns() || !finite(channel.start))
        add("channel " + printable(channel.name) + ": expected one finite start weight a column");
      using Kind = Channel::Kind;
      const bool complement = c >= first_bit && (c - first_bit) % 2 == 1;
      const Kind expected = c < states      ? Kind::kState
                            : c < first_bit ? Kind::kConstant
                            : complement    ? Kind::kNotBit
                                            : Kind::kBit;
      if (channel.kind != expected)
        add("channel " + printable(channel.name) + " is out of order",
            "states come first, then the constant, then each bit and its complement");
      if (expected == Kind::kBit && p_.bits[(c - first_bit) / 2] != channel.name)
        add("channel " + printable(channel.name) + " is not the bit of its column");
      if (c >= states && channel.start.size() == p_.columns() && !is_unit(channel.start, c - states))
        add("channel " + printable(channel.name) + " does not start as its column");
    }
  }
  bool is_unit(const std::vector<double>& start, std::size_t column) const {
    for (std::size_t j = 0; j < start.size(); ++j)
      if (start[j] != (j == p_.inputs.size() + column ? 1.0 : 0.0)) return false;
    return true;
  }

  void round(std::size_t index) {
    const Round& round = p_.rounds[index];
    where_ = "round " + std::to_string(index + 1) + ": ";
    std::set<std::string_view> received;
    for (const Receive& receive : round.receives) {
      if (!is_name(receive.name) || taken_.contains(receive.name) || !received.insert(receive.name).second)
        add("'" + printable(receive.name) + "' is no name, or is declared already");
      if (receive.table.size() != p_.n) add("a table of " + std::to_string(receive.table.size()) + " rows");
      for (std::size_t i = 0; i < receive.table.size(); ++i) row(receive, i);
    }
    if (round.role_of.size() != p_.n) return add("expected a role for each node");
    for (std::size_t i = 0; i < p_.n; ++i)
      if (round.role_of[i] != Round::kKeep && round.role_of[i] >= round.roles.size())
        add("node " + std::to_string(i) + " has a role that is not there");
    for (const Role& role : round.roles) {
      const bool all = std::all_of(round.role_of.begin(), round.role_of.end(),
                                   [](std::size_t k) { return k != Round::kKeep; });
      if (role.name.empty() ? round.roles.size() > 1 || !all : !is_name(role.name))
        add("'" + printable(role.name) + "' is no name of a role", "only a role for all nodes has none");
      assignments(round, role);
    }
    where_.clear();
  }

  void row(const Receive& receive, std::size_t i) {
    double total = 0;
    std::set<std::size_t> seen;
    for (const Source& source : receive.table[i]) {
      if (source.node >= p_.n)
        add("node " + std::to_string(i) + " receives from node " + std::to_string(source.node) +
            ", expected 0 to " + std::to_string(p_.n - 1));
      if (!(source.weight > 0) || !seen.insert(source.node).second)
        add("node " + std::to_string(i) + ": expected weights above 0, one a source");
      total += source.weight;
    }
    if (!(total <= 1 + weight_slack(receive.table[i].size())))
      add("the weights of node " + std::to_string(i) + " sum to more than 1");
  }

  void assignments(const Round& round, const Role& role) {
    std::set<std::size_t> assigned;
    for (const Assignment& a : role.assignments) {
      if (a.channel >= p_.channels.size() || p_.channels[a.channel].kind != Channel::Kind::kState)
        add("an assignment to what is no state");
      else if (!assigned.insert(a.channel).second)
        add("channel " + printable(p_.channels[a.channel].name) + " is assigned twice");
      expr(round, a.value, 0);
    }
  }

  void expr(const Round& round, const Expr& e, std::size_t depth) {
    using Kind = Expr::Kind;
    if (depth > kMaxExprDepth) return add("a value is nested more than 160 deep");
    const std::size_t n = e.args.size();
    const bool reads = e.kind == Kind::kRead || e.kind == Kind::kSelect;
    if (reads && e.channel >= p_.channels.size()) return add("a value reads a channel that is not there");
    bool good = true;
    if (e.kind == Kind::kRead)
      good = n == 0 && (e.receive == Expr::kOwn || e.receive < round.receives.size()) &&
             p_.channels[e.channel].kind != Channel::Kind::kNotBit;
    if (e.kind == Kind::kSum) good = e.weights.size() == n && finite(e.weights);
    if (e.kind == Kind::kMin || e.kind == Kind::kMax) good = n >= 1;
    if (e.kind == Kind::kRelu) good = n == 1;
    if (e.kind == Kind::kSelect) {
      good = n == 2 && p_.channels[e.channel].kind == Channel::Kind::kBit;
      if (p_.bound == 0) add("select without a bound");
    }
    if (!good) add("a value has a wrong channel, or a wrong number of parts or weights");
    for (const Expr& arg : e.args) expr(round, arg, depth + 1);
  }

  const Program& p_;
  std::string where_{};
  std::set<std::string_view> taken_{};
  std::vector<Problem> problems_{};
};

/// Writes a program with explicit tables.
class Printer {
 public:
  explicit Printer(const Program& program) : p_(program) {}

  std::string run() {
    if (p_.name != "program") out_ += "program " + p_.name + "\n";
    out_ += "n " + std::to_string(p_.n) + "\n";
    column_names("input", p_.inputs);
    for (const Channel& c : p_.channels)
      if (c.kind == Channel::Kind::kConstant) out_ += "constant " + c.name + "\n";
    column_names("bit", p_.bits);
    if (p_.bound != 0) out_ += "bound " + number(p_.bound) + "\n";
    for (const Channel& c : p_.channels)
      if (c.kind == Channel::Kind::kState)
        out_ += "state " + c.name + " = " + linear(c.start, columns()) + "\n";
    for (const Output& o : p_.outputs)
      out_ += "output " + o.name + " = " + linear(o.weights, channels()) + "\n";
    for (const Round& r : p_.rounds) round(r);
    return std::move(out_);
  }

  std::string value(const Round& round, const Expr& e) const {
    using Kind = Expr::Kind;
    switch (e.kind) {
      case Kind::kRead:
        return (e.receive == Expr::kOwn ? "" : round.receives[e.receive].name + ".") +
               p_.channels[e.channel].name;
      case Kind::kSum:
        return sum(round, e);
      case Kind::kMin:
        return call(round, "min(", e);
      case Kind::kMax:
        return call(round, "max(", e);
      case Kind::kRelu:
        return call(round, "relu(", e);
      case Kind::kSelect:
        break;
    }
    return call(round, "select(" + p_.channels[e.channel].name + ", ", e);
  }

 private:
  static std::string number(double value) {
    char buffer[32];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
  }
  static void add_term(std::string& out, double weight, const std::string& term) {
    if (out.empty())
      out = weight < 0 ? "-" : "";
    else
      out += weight < 0 ? " - " : " + ";
    if (std::abs(weight) != 1) out += number(std::abs(weight)) + "*";
    out += term;
  }

  std::vector<std::string> channels() const {
    std::vector<std::string> out;
    for (const Channel& c : p_.channels) out.push_back(c.name);
    return out;
  }
  std::vector<std::string> columns() const {
    std::vector<std::string> out = p_.inputs;
    for (const Channel& c : p_.channels)
      if (c.kind != Channel::Kind::kState) out.push_back(c.name);
    return out;
  }
  static std::string linear(const std::vector<double>& weights, const std::vector<std::string>& names) {
    std::string out;
    for (std::size_t k = 0; k < weights.size(); ++k)
      if (weights[k] != 0) add_term(out, weights[k], names[k]);
    return out.empty() ? "0" : out;
  }

  std::string sum(const Round& round, const Expr& e) const {
    std::string out;
    for (std::size_t k = 0; k < e.args.size(); ++k) {
      const std::string term = value(round, e.args[k]);
      add_term(out, e.weights[k], e.args[k].kind == Expr::Kind::kSum ? "(" + term + ")" : term);
    }
    return out.empty() ? "0" : out;
  }
  std::string call(const Round& round, std::string out, const Expr& e) const {
    for (std::size_t k = 0; k < e.args.size(); ++k) out += (k == 0 ? "" : ", ") + value(round, e.args[k]);
    return out + ")";
  }

  void column_names(const char* word, const std::vector<std::string>& names) {
    for (std::size_t k = 0; k < names.size(); ++k)
      out_ += (k == 0 ? std::string(word) + " " : ", ") + names[k];
    if (!names.empty()) out_ += "\n";
  }

  void round(const Round& round) {
    out_ += "round\n";
    for (const Receive& receive : round.receives) {
      out_ += "  recv " + receive.name + " from [";
      for (std::size_t i = 0; i < p_.n; ++i) out_ += (i == 0 ? "" : ", ") + entry(receive.table[i]);
      out_ += "]\n";
    }
    for (std::size_t k = 0; k < round.roles.size(); ++k) {
      const Role& role = round.roles[k];
      if (!role.name.empty()) {
        std::string nodes;
        for (std::size_t i = 0; i < p_.n; ++i)
          if (round.role_of[i] == k) nodes += (nodes.empty() ? "" : ", ") + std::to_string(i);
        out_ += "  role " + role.name + " at [" + nodes + "]\n";
      }
      for (const Assignment& a : role.assignments)
        out_ += "    " + p_.channels[a.channel].name + " = " + value(round, a.value) + "\n";
    }
    out_ += "end\n";
  }

  static std::string entry(const std::vector<Source>& row) {
    if (row.empty()) return "-";
    if (row.size() == 1 && row[0].weight == 1) return std::to_string(row[0].node);
    std::string out;
    for (const Source& s : row)
      out += (out.empty() ? "{" : ", ") + std::to_string(s.node) + ": " + number(s.weight);
    return out + "}";
  }

  const Program& p_;
  std::string out_{};
};

}  // namespace

std::string to_string(const Problem& problem) {
  if (problem.line == 0) return problem.message;
  return "line " + std::to_string(problem.line) + ", column " + std::to_string(problem.column) + ": " +
         problem.message;
}

bool Program::has_constant() const {
  return std::any_of(channels.begin(), channels.end(),
                     [](const Channel& c) { return c.kind == Channel::Kind::kConstant; });
}

std::vector<Problem> check_program(const Program& program) {
  return Checker(program).run();
}

std::string print_program(const Program& program) {
  return Printer(program).run();
}

std::string print_value(const Program& program, const Round& round, const Expr& value) {
  return Printer(program).value(round, value);
}

}  // namespace telos::positional
