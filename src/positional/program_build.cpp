#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>

#include "positional/program_build.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/positional/program.h"

// From the text's tree to the program for one n: names become indices, formulas become tables, `repeat` its
// rounds.

namespace telos::positional {
namespace {

using syntax::Formulas;
using syntax::NamedNode;
using syntax::Node;
using syntax::Place;
using syntax::Problems;
using syntax::quoted;
using syntax::RecvStatement;
using syntax::RoleStatement;
using syntax::shortest;
using syntax::Statement;
using syntax::Stop;
using Scope = syntax::ValueBuilder::Scope;

constexpr std::size_t kMaxText = std::size_t{1} << 20;
/// What a `repeat` costs, in steps of formulas.
constexpr std::size_t kRepeatSteps = 64;

class Builder {
 public:
  Builder(const std::vector<Statement>& statements, const ParseOptions& options, Problems& problems)
      : statements_(statements),
        c_{.options = options, .problems = problems, .formulas = Formulas(problems)},
        tables_(c_),
        values_(c_) {}

  Program run() {
    count_nodes();
    declare_columns();
    declare_channels();
    for (const Statement& statement : statements_) rounds(statement);
    outputs();
    if (const auto& place = values_.select_place(); place && c_.program.bound == 0)
      c_.problems.add(*place, "select() without 'bound'",
                      "declare bound M with M at least as large as any value that select() meets");
    return std::move(c_.program);
  }

 private:
  // ---- Declarations

  void count_nodes() {
    const Statement* declared = nullptr;
    bool bound_declared = false;
    for (const Statement& s : statements_) {
      if (s.kind == Statement::Kind::kProgram) c_.program.name = s.names[0].name;
      if (s.kind == Statement::Kind::kBound) {
        if (bound_declared) c_.problems.add(s.place, "'bound' is declared twice");
        bound_declared = true;
        if (!(s.number > 0)) c_.problems.add(s.place, "expected a bound above 0, found 0");
        c_.program.bound = s.number;
      }
      if (s.kind != Statement::Kind::kNodes) continue;
      if (declared != nullptr) c_.problems.add(s.place, "'n' is declared twice");
      declared = &s;
    }
    double n = static_cast<double>(c_.options.n);
    if (c_.options.n == 0 && declared != nullptr) n = declared->number;
    const Place place = declared != nullptr ? declared->place : Place{};
    if (c_.options.n == 0 && declared == nullptr) {
      c_.problems.add(place, "the number of nodes is not given",
                      "declare it (n 8), or give it from outside (--n 8)");
    } else if (!(n >= 1 && n <= static_cast<double>(kMaxNodes) && n == std::floor(n))) {
      c_.problems.add(place, "expected n from 1 to " + std::to_string(kMaxNodes) + ", found " + shortest(n));
    } else {
      c_.n_known = true;
    }
    // The rest is checked all the same, except for what depends on n.
    c_.program.n = c_.n_known ? static_cast<std::size_t>(n) : 8;
    c_.formulas.set("n", static_cast<std::int64_t>(c_.program.n));
  }

  template <class Each>
  void each_name(Statement::Kind kind, Each&& each) {
    for (const Statement& s : statements_)
      if (s.kind == kind)
        for (const NamedNode& name : s.names) each(name);
  }

  void declare(const NamedNode& name) {
    if (!c_.declared.insert(name.name).second)
      c_.problems.add(name.place, quoted(name.name) + " is declared twice", "take another name");
  }

  void declare_columns() {
    each_name(Statement::Kind::kInput, [&](const NamedNode& name) {
      declare(name);
      c_.columns.emplace(name.name, c_.program.inputs.size());
      c_.program.inputs.emplace_back(name.name);
    });
    each_name(Statement::Kind::kConstant, [&](const NamedNode& name) {
      declare(name);
      if (!c_.constant.empty())
        c_.problems.add(name.place, "a second constant channel", "one is enough: 3*one");
      c_.constant = name.name;
      c_.columns.emplace(name.name, c_.program.inputs.size());
    });
    const std::size_t first_bit = c_.program.inputs.size() + (c_.constant.empty() ? 0 : 1);
    each_name(Statement::Kind::kBit, [&](const NamedNode& name) {
      declare(name);
      c_.columns.emplace(name.name, first_bit + 2 * c_.program.bits.size());
      c_.program.bits.emplace_back(name.name);
    });
    column_count_ = first_bit + 2 * c_.program.bits.size();
    if (column_count_ > kMaxChannels) too_many("columns");
    if (column_count_ == 0) c_.problems.add({}, "the program has no input", "declare input x");
  }

  void declare_channels() {
    each_name(Statement::Kind::kState, [&](const NamedNode& name) {
      declare(name);
      add_channel({.name = std::string(name.name), .kind = Channel::Kind::kState, .start = start(name)});
    });
    if (c_.program.channels.empty())
      c_.problems.add({}, "the program has no state", "declare state v = x, with x one of the inputs");
    if (!c_.constant.empty())
      add_channel(
          {std::string(c_.constant), Channel::Kind::kConstant, unit(c_.columns.find(c_.constant)->second)});
    for (const std::string& bit : c_.program.bits) {
      const std::size_t column = c_.columns.find(bit)->second;
      add_channel({bit, Channel::Kind::kBit, unit(column)});
      add_channel({"!" + bit, Channel::Kind::kNotBit, unit(column + 1)});
    }
  }

  void add_channel(Channel channel) {
    if (c_.program.channels.size() >= kMaxChannels) too_many("channels");
    c_.channels.emplace(channel.name, c_.program.channels.size());
    c_.program.channels.push_back(std::move(channel));
  }
  [[noreturn]] void too_many(const char* what) {
    c_.problems.add({}, "the program has more than " + std::to_string(kMaxChannels) + " " + what);
    throw Stop{};
  }

  std::vector<double> unit(std::size_t column) const {
    std::vector<double> out(column_count_, 0.0);
    out[column] = 1;
    return out;
  }

  std::vector<double> start(const NamedNode& name) {
    std::vector<double> out(column_count_, 0.0);
    if (!name.node) return out;
    const auto value = values_.value(*name.node, Scope::kColumns);
    if (!value) return out;
    for (const auto& [weight, term] : value->terms) {
      if (term.kind != Expr::Kind::kRead) {
        c_.problems.add(name.node->place, "a start value is linear in the inputs",
                        "take minima and maxima in a round");
        return out;
      }
      out[term.channel] += weight;
    }
    return out;
  }

  void outputs() {
    each_name(Statement::Kind::kOutput, [&](const NamedNode& name) {
      if (!outputs_.insert(name.name).second)
        c_.problems.add(name.place, "the output " + quoted(name.name) + " is declared twice");
      const Node own{.kind = Node::Kind::kName, .text = name.name, .place = name.place};
      auto value = values_.value(name.node ? *name.node : own, Scope::kChannels);
      if (!value) return;
      Output out{std::string(name.name), std::vector<double>(c_.program.channels.size(), 0.0)};
      for (const auto& [weight, term] : value->terms) {
        if (term.kind != Expr::Kind::kRead) {
          c_.problems.add(name.node->place, "an output is linear in the channels",
                          "compute it in a last round and output the channel");
          return;
        }
        out.weights[term.channel] += weight;
      }
      if (c_.program.outputs.size() >= kMaxChannels) too_many("outputs");
      c_.program.outputs.push_back(std::move(out));
    });
    if (outputs_.empty()) c_.problems.add({}, "the program has no output", "declare output v");
  }

  // ---- Rounds

  void rounds(const Statement& statement) {
    if (statement.kind == Statement::Kind::kRound) return round(statement);
    if (statement.kind != Statement::Kind::kRepeat) return;
    const NamedNode& counter = statement.names[0];
    // Counted first, because repetitions of nothing must end too.
    c_.formulas.work(*counter.node, kRepeatSteps);
    const auto count = c_.formulas.whole(*counter.node);
    if (c_.declared.contains(counter.name) || c_.formulas.find(counter.name))
      return c_.problems.add(counter.place, quoted(counter.name) + " is declared already",
                             "count with another name");
    if (!count || statement.body.empty()) return;
    if (*count > static_cast<std::int64_t>(kMaxRounds))
      return c_.problems.add(counter.node->place, "more than " + std::to_string(kMaxRounds) + " repetitions");
    c_.counters.push_back(counter.name);
    for (std::int64_t k = 0; k < *count; ++k) {
      c_.formulas.set(counter.name, k);
      for (const Statement& inner : statement.body) rounds(inner);
    }
    c_.formulas.remove(counter.name);
    c_.counters.pop_back();
  }

  void round(const Statement& statement) {
    if (c_.program.rounds.size() >= kMaxRounds) {
      c_.problems.add(statement.place, "the program has more than " + std::to_string(kMaxRounds) + " rounds");
      throw Stop{};
    }
    Round out;
    c_.receives.clear();
    for (const RecvStatement& recv : statement.receives) {
      if (c_.receives.contains(recv.name))
        c_.problems.add(recv.place, quoted(recv.name) + " is received twice in this round");
      else if (c_.declared.contains(recv.name) || c_.formulas.find(recv.name))
        c_.problems.add(recv.place, quoted(recv.name) + " is declared already",
                        "name what is received otherwise: left, partner");
      c_.receives.emplace(recv.name, out.receives.size());
      out.receives.push_back({.name = std::string(recv.name), .table = tables_.table(recv)});
    }
    out.role_of = tables_.roles(statement);
    for (const RoleStatement& role : statement.roles) out.roles.push_back(role_of(role));
    c_.program.rounds.push_back(std::move(out));
  }

  Role role_of(const RoleStatement& role) {
    Role out{.name = std::string(role.name), .assignments = {}};
    std::set<std::size_t> assigned;
    for (const NamedNode& assignment : role.assignments) {
      auto value = values_.value(*assignment.node, Scope::kRound);
      const auto channel = assigned_channel(assignment);
      if (!value || !channel) continue;
      if (!assigned.insert(*channel).second) {
        c_.problems.add(assignment.place, quoted(assignment.name) + " is assigned twice",
                        role.name.empty() ? "a round computes each channel once; use another round" : "");
        continue;
      }
      out.assignments.push_back({*channel, values_.expr(std::move(*value))});
    }
    return out;
  }

  std::optional<std::size_t> assigned_channel(const NamedNode& assignment) {
    const auto found = c_.channels.find(assignment.name);
    if (found == c_.channels.end()) {
      c_.problems.add(assignment.place, "expected a channel, found " + quoted(assignment.name),
                      values_.channel_hint(assignment.name));
      return std::nullopt;
    }
    if (c_.program.channels[found->second].kind != Channel::Kind::kState) {
      c_.problems.add(assignment.place, quoted(assignment.name) + " cannot be assigned",
                      "constants and bits stay as they are; declare a state");
      return std::nullopt;
    }
    return found->second;
  }

  const std::vector<Statement>& statements_;
  syntax::BuildContext c_;
  syntax::TableBuilder tables_;
  syntax::ValueBuilder values_;
  std::set<std::string_view> outputs_{};
  std::size_t column_count_ = 0;
};

/// The first problem, and the others as far as a line holds them.
Error error_of(const std::vector<Problem>& problems, ErrorKind kind, const std::string& where) {
  std::string message = to_string(problems[0]);
  if (problems.size() > 1) {
    message += " (and " + std::to_string(problems.size() - 1) + " more";
    for (std::size_t k = 1; k < problems.size(); ++k) {
      const std::string next = (k == 1 ? ": " : "; ") + to_string(problems[k]);
      if (message.size() + next.size() > 900) {
        message += "; …";
        break;
      }
      message += next;
    }
    message += ")";
  }
  return {kind, where, message, problems[0].hint};
}

}  // namespace

ParseResult parse_program(std::string_view text, const ParseOptions& options) {
  ParseResult out;
  Problems problems(std::max<std::size_t>(options.max_problems, 1));
  try {
    if (text.size() > kMaxText) {
      problems.add({}, "the program has " + std::to_string(text.size()) + " bytes, expected at most 1 MiB");
    } else {
      const std::vector<syntax::Token> tokens = syntax::tokenize(text, problems);
      const std::vector<Statement> statements = syntax::parse(tokens, problems);
      out.program = Builder(statements, options, problems).run();
    }
  } catch (const Stop&) {
  }
  out.problems = problems.take();
  return out;
}

Program read_program(std::string_view text, const std::string& where, const ParseOptions& options) {
  ParseResult result = parse_program(text, options);
  if (!result.problems.empty()) throw error_of(result.problems, ErrorKind::kBadFormat, where);
  return std::move(result.program);
}

ParseResult parse_program_file(const std::string& path, std::size_t n) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  ParseOptions options{.n = n};
  options.read_file = [folder](const std::string& file) {
    return read_text(!file.empty() && file[0] == '/' ? file : folder + file, std::uint64_t{1} << 24);
  };
  return parse_program(read_text(path, std::uint64_t{1} << 24), options);
}

Program load_program(const std::string& path, std::size_t n) {
  ParseResult result = parse_program_file(path, n);
  if (!result.problems.empty()) throw error_of(result.problems, ErrorKind::kBadFormat, path);
  return std::move(result.program);
}

void require_sound(const Program& program) {
  const std::vector<Problem> problems = check_program(program);
  if (!problems.empty()) throw error_of(problems, ErrorKind::kUsage, printable(program.name));
}

}  // namespace telos::positional
