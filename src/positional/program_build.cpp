#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "positional/program_formula.h"
#include "positional/program_syntax.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"
#include "telos/io/files.h"
#include "telos/positional/program.h"

// From the text's tree to the program for one n: names become indices, formulas become tables, `repeat` its
// rounds.

namespace telos::positional {
namespace {

using syntax::Entry;
using syntax::NamedNode;
using syntax::Node;
using syntax::Place;
using syntax::Problems;
using syntax::RecvStatement;
using syntax::RoleStatement;
using syntax::Statement;
using syntax::Stop;
using syntax::Table;

constexpr std::size_t kMaxParts = std::size_t{1} << 18;
constexpr std::size_t kMaxText = std::size_t{1} << 20;
/// Weights of a row that should sum to 1 are sums of up to n rounded quotients.
constexpr double kWeightSlack = 1e-9;

std::string quoted(std::string_view name) {
  return "'" + printable(name, 40) + "'";
}

/// A value on its way to an Expr: constant + Σ weight·term.
struct Linear {
  double constant = 0;
  Place constant_place{};
  std::vector<std::pair<double, Expr>> terms{};

  bool is_constant() const { return terms.empty(); }
  void add(double weight, const Linear& other) {
    if (constant == 0) constant_place = other.constant_place;
    constant += weight * other.constant;
    for (const auto& [w, term] : other.terms) add(weight * w, term);
  }
  void add(double weight, const Expr& term) {
    const bool read = term.kind == Expr::Kind::kRead;
    const auto same =
        !read ? terms.end()
              : std::find_if(terms.begin(), terms.end(), [&](const auto& t) { return t.second == term; });
    if (same == terms.end())
      terms.emplace_back(weight, term);
    else
      same->first += weight;
    std::erase_if(terms, [](const auto& t) { return t.first == 0; });
  }
};

class Builder {
 public:
  Builder(const std::vector<Statement>& statements, const ParseOptions& options, Problems& problems)
      : statements_(statements), options_(options), problems_(problems), formulas_(problems) {}

  Program run() {
    count_nodes();
    declare_columns();
    declare_channels();
    for (const Statement& statement : statements_) rounds(statement);
    outputs();
    if (select_place_ && program_.bound == 0)
      problems_.add(*select_place_, "select() without 'bound'",
                    "declare bound M with M at least as large as any value that select() meets");
    return std::move(program_);
  }

 private:
  // ---- Declarations

  void count_nodes() {
    const Statement* declared = nullptr;
    for (const Statement& s : statements_) {
      if (s.kind == Statement::Kind::kProgram) program_.name = s.names[0].name;
      if (s.kind == Statement::Kind::kBound) {
        if (!(s.number > 0)) problems_.add(s.place, "expected a bound above 0, found 0");
        program_.bound = s.number;
      }
      if (s.kind != Statement::Kind::kNodes) continue;
      if (declared != nullptr) problems_.add(s.place, "'n' is declared twice");
      declared = &s;
    }
    double n = static_cast<double>(options_.n);
    if (options_.n == 0 && declared != nullptr) n = declared->number;
    const Place place = declared != nullptr ? declared->place : Place{};
    if (options_.n == 0 && declared == nullptr) {
      problems_.add(place, "the number of nodes is not given", "declare it (n 8), or give it when compiling");
    } else if (!(n >= 1 && n <= static_cast<double>(kMaxNodes) && n == std::floor(n))) {
      problems_.add(place, "expected n from 1 to " + std::to_string(kMaxNodes) + ", found " + number(n));
    } else {
      n_known_ = true;
    }
    // The rest is checked all the same, except for what depends on n.
    program_.n = n_known_ ? static_cast<std::size_t>(n) : 8;
    formulas_.set("n", static_cast<std::int64_t>(program_.n));
  }

  static std::string number(double value) {
    char buffer[32];
    const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
    return {buffer, result.ptr};
  }

  template <class Each>
  void each_name(Statement::Kind kind, Each&& each) {
    for (const Statement& s : statements_)
      if (s.kind == kind)
        for (const NamedNode& name : s.names) each(name);
  }

  void declare(const NamedNode& name) {
    if (!declared_.insert(name.name).second)
      problems_.add(name.place, quoted(name.name) + " is declared twice", "take another name");
  }

  void declare_columns() {
    each_name(Statement::Kind::kInput, [&](const NamedNode& name) {
      declare(name);
      columns_.emplace(name.name, program_.inputs.size());
      program_.inputs.emplace_back(name.name);
    });
    each_name(Statement::Kind::kConstant, [&](const NamedNode& name) {
      declare(name);
      if (!constant_.empty()) problems_.add(name.place, "a second constant channel", "one is enough: 3*one");
      constant_ = name.name;
      columns_.emplace(name.name, program_.inputs.size());
    });
    const std::size_t first_bit = program_.inputs.size() + (constant_.empty() ? 0 : 1);
    each_name(Statement::Kind::kBit, [&](const NamedNode& name) {
      declare(name);
      columns_.emplace(name.name, first_bit + 2 * program_.bits.size());
      program_.bits.emplace_back(name.name);
    });
    column_count_ = first_bit + 2 * program_.bits.size();
    if (column_count_ > kMaxChannels) too_many("columns");
    if (column_count_ == 0) problems_.add({}, "the program has no input", "declare input x");
  }

  void declare_channels() {
    each_name(Statement::Kind::kState, [&](const NamedNode& name) {
      declare(name);
      add_channel({.name = std::string(name.name), .kind = Channel::Kind::kState, .start = start(name)});
    });
    if (program_.channels.empty())
      problems_.add({}, "the program has no state", "declare state v = x, with x one of the inputs");
    if (!constant_.empty())
      add_channel({std::string(constant_), Channel::Kind::kConstant, unit(columns_.find(constant_)->second)});
    for (const std::string& bit : program_.bits) {
      const std::size_t column = columns_.find(bit)->second;
      add_channel({bit, Channel::Kind::kBit, unit(column)});
      add_channel({"!" + bit, Channel::Kind::kNotBit, unit(column + 1)});
    }
  }

  void add_channel(Channel channel) {
    if (program_.channels.size() >= kMaxChannels) too_many("channels");
    channels_.emplace(channel.name, program_.channels.size());
    program_.channels.push_back(std::move(channel));
  }
  [[noreturn]] void too_many(const char* what) {
    problems_.add({}, "the program has more than " + std::to_string(kMaxChannels) + " " + what);
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
    scope_ = Scope::kColumns;
    const auto value = linear(*name.node);
    scope_ = Scope::kRound;
    if (!value) return out;
    for (const auto& [weight, term] : value->terms) {
      if (term.kind != Expr::Kind::kRead) {
        problems_.add(name.node->place, "a start value is linear in the inputs",
                      "take minima and maxima in a round");
        return out;
      }
      out[term.channel] += weight;
    }
    if (value->constant != 0 && needs_constant(*value)) out[program_.inputs.size()] += value->constant;
    return out;
  }

  void outputs() {
    scope_ = Scope::kChannels;
    each_name(Statement::Kind::kOutput, [&](const NamedNode& name) {
      if (!outputs_.insert(name.name).second)
        problems_.add(name.place, "the output " + quoted(name.name) + " is declared twice");
      const Node own{.kind = Node::Kind::kName, .text = name.name, .place = name.place};
      auto value = linear(name.node ? *name.node : own);
      if (!value) return;
      Output out{std::string(name.name), std::vector<double>(program_.channels.size(), 0.0)};
      if (value->constant != 0 && needs_constant(*value))
        value->add(value->constant, Expr::own(channels_.find(constant_)->second));
      for (const auto& [weight, term] : value->terms) {
        if (term.kind != Expr::Kind::kRead) {
          problems_.add(name.node->place, "an output is linear in the channels",
                        "compute it in a last round and output the channel");
          return;
        }
        out.weights[term.channel] += weight;
      }
      if (program_.outputs.size() >= kMaxChannels) too_many("outputs");
      program_.outputs.push_back(std::move(out));
    });
    if (outputs_.empty()) problems_.add({}, "the program has no output", "declare output v");
  }

  // ---- Rounds

  void rounds(const Statement& statement) {
    if (statement.kind == Statement::Kind::kRound) return round(statement);
    if (statement.kind != Statement::Kind::kRepeat) return;
    const NamedNode& counter = statement.names[0];
    if (declared_.contains(counter.name) || formulas_.find(counter.name))
      return problems_.add(counter.place, quoted(counter.name) + " is declared already",
                           "count with another name");
    const auto count = formulas_.whole(*counter.node);
    if (!count) return;
    if (*count > static_cast<std::int64_t>(kMaxRounds))
      return problems_.add(counter.node->place, "more than " + std::to_string(kMaxRounds) + " repetitions");
    counters_.push_back(counter.name);
    for (std::int64_t k = 0; k < *count; ++k) {
      formulas_.set(counter.name, k);
      for (const Statement& inner : statement.body) rounds(inner);
    }
    formulas_.remove(counter.name);
    counters_.pop_back();
  }

  void round(const Statement& statement) {
    if (program_.rounds.size() >= kMaxRounds) {
      problems_.add(statement.place, "the program has more than " + std::to_string(kMaxRounds) + " rounds");
      throw Stop{};
    }
    Round out;
    receives_.clear();
    for (const RecvStatement& recv : statement.receives) {
      if (receives_.contains(recv.name))
        problems_.add(recv.place, quoted(recv.name) + " is received twice in this round");
      else if (declared_.contains(recv.name) || formulas_.find(recv.name))
        problems_.add(recv.place, quoted(recv.name) + " is declared already",
                      "name what is received otherwise: left, partner");
      receives_.emplace(recv.name, out.receives.size());
      out.receives.push_back({.name = std::string(recv.name), .table = table(recv)});
    }
    assign_roles(statement, out);
    for (const RoleStatement& role : statement.roles) out.roles.push_back(role_of(role));
    program_.rounds.push_back(std::move(out));
  }

  void assign_roles(const Statement& statement, Round& out) {
    out.role_of.assign(program_.n, Round::kKeep);
    count_entries(statement.place, program_.n);
    for (std::size_t k = 0; k < statement.roles.size(); ++k) {
      const RoleStatement& role = statement.roles[k];
      const auto take = [&](std::size_t i) {
        if (out.role_of[i] == Round::kKeep) out.role_of[i] = k;
      };
      if (role.nodes) {
        for (const Entry& entry : *role.nodes)
          if (const auto i = role_node(entry)) take(*i);
        continue;
      }
      for (std::size_t i = 0; i < program_.n; ++i) {
        formulas_.set("i", static_cast<std::int64_t>(i));
        const auto holds = role.condition ? formulas_.truth(*role.condition) : std::optional(true);
        if (!holds) break;
        if (*holds) take(i);
      }
    }
    formulas_.remove("i");
  }

  std::optional<std::size_t> role_node(const Entry& entry) {
    if (entry.sources.size() != 1 || entry.sources[0].second != 1) {
      problems_.add(entry.place, "expected a node's number, found another entry");
      return std::nullopt;
    }
    return node_index(entry.place, entry.sources[0].first);
  }

  Role role_of(const RoleStatement& role) {
    Role out{.name = std::string(role.name), .assignments = {}};
    std::set<std::size_t> assigned;
    for (const NamedNode& assignment : role.assignments) {
      auto value = linear(*assignment.node);
      const auto channel = assigned_channel(assignment);
      if (!value || !channel) continue;
      if (!assigned.insert(*channel).second) {
        problems_.add(assignment.place, quoted(assignment.name) + " is assigned twice",
                      role.name.empty() ? "a round computes each channel once; use another round" : "");
        continue;
      }
      out.assignments.push_back({*channel, expr(std::move(*value))});
    }
    return out;
  }

  std::optional<std::size_t> assigned_channel(const NamedNode& assignment) {
    const auto found = channels_.find(assignment.name);
    if (found == channels_.end()) {
      problems_.add(assignment.place, "expected a channel, found " + quoted(assignment.name),
                    channel_hint(assignment.name));
      return std::nullopt;
    }
    if (program_.channels[found->second].kind != Channel::Kind::kState) {
      problems_.add(assignment.place, quoted(assignment.name) + " cannot be assigned",
                    "constants and bits stay as they are; declare a state");
      return std::nullopt;
    }
    return found->second;
  }

  // ---- Tables

  enum class Row { kGood, kOutside, kBad };

  void count_entries(Place place, std::size_t count) {
    entries_ += count;
    if (entries_ <= options_.max_entries) return;
    problems_.add(
        place,
        "the program's tables have more than " + std::to_string(options_.max_entries) + " rows and sources",
        "use a smaller n or fewer rounds");
    throw Stop{};
  }

  std::vector<std::vector<Source>> table(const RecvStatement& recv) {
    const Table& from = recv.table;
    count_entries(from.place, program_.n);
    std::vector<std::vector<Source>> out(program_.n);
    if (from.kind == Table::Kind::kPermutation) {
      permutation(from, out);
      return out;
    }
    if (from.kind == Table::Kind::kList && n_known_ && from.entries.size() != program_.n) {
      problems_.add(from.place, "expected " + std::to_string(program_.n) +
                                    " entries, one for each node, found " +
                                    std::to_string(from.entries.size()));
      return out;
    }
    for (std::size_t i = 0; i < program_.n; ++i) {
      formulas_.set("i", static_cast<std::int64_t>(i));
      const Row result = row(from, i, out[i], false);
      if (result != Row::kGood && n_known_) break;
    }
    formulas_.remove("i");
    return out;
  }

  Row row(const Table& from, std::size_t i, std::vector<Source>& out, bool may_be_outside) {
    switch (from.kind) {
      case Table::Kind::kFormula:
        return formula_row(from, i, out, may_be_outside);
      case Table::Kind::kChoice: {
        const auto holds = formulas_.truth(from.nodes[0]);
        if (!holds) return Row::kBad;
        return row(from.branches[*holds ? 0 : 1], i, out, may_be_outside);
      }
      case Table::Kind::kFallback: {
        const Row first = row(from.branches[0], i, out, true);
        return first == Row::kOutside ? row(from.branches[1], i, out, may_be_outside) : first;
      }
      case Table::Kind::kList:
        return i < from.entries.size() ? list_row(from.entries[i], out) : Row::kBad;
      case Table::Kind::kEach:
        return each_row(from, i, out);
      case Table::Kind::kPermutation:
        problems_.add(from.place, "'perm' stands alone, without 'if' and 'else'");
        return Row::kBad;
      case Table::Kind::kSink:
        break;
    }
    return Row::kGood;
  }

  Row formula_row(const Table& from, std::size_t i, std::vector<Source>& out, bool may_be_outside) {
    const auto index = formulas_.whole(from.nodes[0]);
    if (!index) return Row::kBad;
    if (*index >= 0 && static_cast<std::size_t>(*index) < program_.n) {
      count_entries(from.place, 1);
      out.push_back({static_cast<std::size_t>(*index), 1});
      return Row::kGood;
    }
    if (may_be_outside || !n_known_) return Row::kOutside;
    std::string message = "node " + std::to_string(i) + " receives from node " + std::to_string(*index);
    for (const std::string_view counter : counters_)
      message += ", " + printable(counter, 40) + " = " + std::to_string(*formulas_.find(counter));
    problems_.add(from.place, message + ", expected 0 to " + std::to_string(program_.n - 1),
                  "add 'else sink' (receive zeros) or 'else i' (receive the own value)");
    return Row::kOutside;
  }

  std::optional<std::size_t> node_index(Place place, double value) {
    if (value != std::floor(value) || (n_known_ && value >= static_cast<double>(program_.n))) {
      problems_.add(
          place, "expected a node from 0 to " + std::to_string(program_.n - 1) + ", found " + number(value));
      return std::nullopt;
    }
    if (value >= static_cast<double>(program_.n)) return std::nullopt;
    return static_cast<std::size_t>(value);
  }

  Row list_row(const Entry& entry, std::vector<Source>& out) {
    double total = 0;
    for (const auto& [node, weight] : entry.sources) {
      const auto index = node_index(entry.place, node);
      if (!index) return Row::kBad;
      if (std::any_of(out.begin(), out.end(), [&](const Source& s) { return s.node == *index; })) {
        problems_.add(entry.place, "node " + std::to_string(*index) + " appears twice in one entry");
        return Row::kBad;
      }
      if (weight > 0) out.push_back({*index, weight});
      total += weight;
    }
    count_entries(entry.place, out.size());
    return weights_fit(entry.place, total);
  }

  Row each_row(const Table& from, std::size_t i, std::vector<Source>& out) {
    if (declared_.contains(from.text) || formulas_.find(from.text)) {
      problems_.add(from.place, quoted(from.text) + " is declared already", "call the other node j");
      return Row::kBad;
    }
    double total = 0;
    Row result = Row::kGood;
    for (std::size_t j = 0; j < program_.n && result == Row::kGood; ++j) {
      formulas_.set(from.text, static_cast<std::int64_t>(j));
      const auto holds = formulas_.truth(from.nodes[0]);
      const auto weight = holds.value_or(false) ? formulas_.real(from.nodes[1]) : std::optional(0.0);
      if (!holds || !weight) {
        result = Row::kBad;
      } else if (*weight < 0) {
        problems_.add(from.nodes[1].place,
                      "the weight of node " + std::to_string(j) + " at node " + std::to_string(i) + " is " +
                          number(*weight),
                      "attention has no negative weights; subtract in the value");
        result = Row::kBad;
      } else if (*weight > 0) {
        count_entries(from.place, 1);
        out.push_back({j, *weight});
        total += *weight;
      }
    }
    formulas_.remove(from.text);
    return result == Row::kGood ? weights_fit(from.place, total) : result;
  }

  Row weights_fit(Place place, double total) {
    if (total <= 1 + kWeightSlack || !n_known_) return Row::kGood;
    problems_.add(place, "the weights sum to " + number(total) + ", expected at most 1",
                  "divide the weights and multiply the received value");
    return Row::kBad;
  }

  void permutation(const Table& from, std::vector<std::vector<Source>>& out) {
    if (!options_.read_file)
      return problems_.add(from.place, "no file can be read here", "write the list itself: [2, 0, 1]");
    std::string text;
    try {
      text = options_.read_file(std::string(from.text));
    } catch (const Error& error) {
      return problems_.add(from.place, error.what(), error.hint());
    }
    std::vector<std::size_t> numbers;
    for (const char *at = text.data(), *end = at + text.size(); at != end;) {
      if (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n' || *at == ',') {
        ++at;
        continue;
      }
      std::size_t value = 0;
      const auto [stop, status] = std::from_chars(at, end, value);
      if (status != std::errc{} || value >= program_.n)
        return problems_.add(from.place, "entry " + std::to_string(numbers.size()) + " of the file " +
                                             quoted(from.text) + ": expected a node from 0 to " +
                                             std::to_string(program_.n - 1));
      numbers.push_back(value);
      at = stop;
    }
    if (numbers.size() != program_.n)
      return problems_.add(from.place, "the file " + quoted(from.text) + " has " +
                                           std::to_string(numbers.size()) + " entries, expected " +
                                           std::to_string(program_.n));
    std::vector<bool> seen(program_.n, false);
    for (std::size_t i = 0; i < program_.n; ++i) {
      if (seen[numbers[i]])
        return problems_.add(
            from.place,
            "the file " + quoted(from.text) + " names node " + std::to_string(numbers[i]) + " twice",
            "it is no permutation; other tables are written as lists");
      seen[numbers[i]] = true;
      out[i] = {{numbers[i], 1}};
    }
  }

  // ---- Values

  enum class Scope { kColumns, kRound, kChannels };

  std::string channel_hint(std::string_view name) const {
    if (columns_.contains(name) && !channels_.contains(name))
      return "it is an input: declare state v = " + printable(name, 40);
    if (receives_.contains(name)) return "it is received: write " + printable(name, 40) + ".CHANNEL";
    std::vector<std::string> names;
    if (scope_ == Scope::kColumns)
      for (const auto& [known, index] : columns_) names.emplace_back(known);
    else
      for (const Channel& c : program_.channels)
        if (c.kind != Channel::Kind::kNotBit) names.push_back(c.name);
    return nearest_hint(name, names);
  }

  std::nullopt_t fail(const Node& node, std::string message, std::string hint = {}) {
    problems_.add(node.place, std::move(message), std::move(hint));
    return std::nullopt;
  }

  bool needs_constant(const Linear& value) {
    if (!constant_.empty()) return true;
    problems_.add(value.constant_place,
                  "the constant " + number(value.constant) + " without a constant channel",
                  "declare constant one; without it f(c*x) = c*f(x)");
    return false;
  }

  Expr expr(Linear value) {
    if (value.constant != 0 && needs_constant(value))
      value.add(value.constant, Expr::own(channels_.find(constant_)->second));
    if (value.terms.size() == 1 && value.terms[0].first == 1) return std::move(value.terms[0].second);
    Expr out = Expr::sum({}, {});
    for (auto& [weight, term] : value.terms) {
      out.weights.push_back(weight);
      out.args.push_back(std::move(term));
    }
    return out;
  }

  static Linear constant(double value, Place place) {
    return {.constant = value, .constant_place = place, .terms = {}};
  }
  static Linear term(Expr e) {
    Linear out;
    out.terms.emplace_back(1, std::move(e));
    return out;
  }

  std::optional<Linear> linear(const Node& node) {
    if (++parts_ > kMaxParts) {
      problems_.add(node.place, "the program's values have more than 2^18 parts");
      throw Stop{};
    }
    switch (node.kind) {
      case Node::Kind::kNumber:
        return constant(node.number, node.place);
      case Node::Kind::kName:
        return name(node);
      case Node::Kind::kField:
        return field(node);
      case Node::Kind::kUnary:
        if (node.text == "-") return scaled(linear(node.args[0]), -1);
        break;
      case Node::Kind::kBinary:
        return binary(node);
      case Node::Kind::kCall:
        return call(node);
    }
    return fail(node, "expected a value, found a condition",
                "roles say what depends on the node: role a if …");
  }

  static std::optional<Linear> scaled(std::optional<Linear> value, double weight) {
    if (!value) return std::nullopt;
    Linear out;
    out.add(weight, *value);
    return out;
  }

  std::optional<Linear> name(const Node& node) {
    const auto& known = scope_ == Scope::kColumns ? columns_ : channels_;
    const auto found = known.find(node.text);
    if (found != known.end()) return term(Expr::own(found->second));
    if (const auto value = formulas_.find(node.text))
      return constant(static_cast<double>(*value), node.place);
    if (node.text == "i")
      return fail(node, "'i' is no value, because all nodes share one network",
                  "say by roles what nodes do differently, or give i as an input column");
    const char* what = scope_ == Scope::kColumns ? "an input" : "a channel";
    return fail(node, "expected " + std::string(what) + ", found " + quoted(node.text),
                channel_hint(node.text));
  }

  std::optional<Linear> field(const Node& node) {
    if (scope_ != Scope::kRound)
      return fail(node, "received values exist in rounds only", "compute the value in a round");
    const auto receive = receives_.find(node.text);
    if (receive == receives_.end()) {
      std::vector<std::string> names;
      for (const auto& [known, index] : receives_) names.emplace_back(known);
      const std::string hint = nearest_hint(node.text, names);
      return fail(node, "nothing is received as " + quoted(node.text),
                  hint.empty() ? "add recv " + printable(node.text, 40) + " from …" : hint);
    }
    const auto channel = channels_.find(node.field);
    if (channel == channels_.end())
      return fail(node, "expected a channel after the dot, found " + quoted(node.field),
                  channel_hint(node.field));
    return term(Expr::received(receive->second, channel->second));
  }

  std::optional<Linear> binary(const Node& node) {
    if (node.text != "+" && node.text != "-" && node.text != "*" && node.text != "/")
      return constant_formula(node);
    auto left = linear(node.args[0]);
    auto right = linear(node.args[1]);
    if (!left || !right) return std::nullopt;
    if (node.text == "+" || node.text == "-") {
      left->add(node.text == "+" ? 1 : -1, *right);
      return left;
    }
    if (node.text == "/") {
      if (!right->is_constant())
        return fail(node, "a quotient of two values is not piecewise linear", "divide by a number");
      if (right->constant == 0) return fail(node, "division by zero");
      return finite(node, divided(*left, right->constant));
    }
    if (!left->is_constant() && !right->is_constant())
      return fail(node, "a product of two values is not piecewise linear",
                  "one factor is a number; select(bit, a, b) chooses by a bit");
    return finite(node,
                  left->is_constant() ? *scaled(right, left->constant) : *scaled(left, right->constant));
  }

  static Linear divided(Linear value, double divisor) {
    value.constant /= divisor;
    for (auto& [weight, e] : value.terms) weight /= divisor;
    return value;
  }

  std::optional<Linear> finite(const Node& node, Linear value) {
    bool good = std::isfinite(value.constant);
    for (const auto& [weight, e] : value.terms) good = good && std::isfinite(weight);
    if (!good) return fail(node, "the number is not finite");
    return value;
  }

  std::optional<Linear> constant_formula(const Node& node) {
    if (node.text != "**" && node.text != "%" && node.text != "^")
      return fail(node, "expected a value, found a condition",
                  "roles say what depends on the node: role a if …");
    const auto value = formulas_.whole(node);
    if (!value) return std::nullopt;
    return constant(static_cast<double>(*value), node.place);
  }

  std::optional<Linear> call(const Node& node) {
    if (scope_ != Scope::kRound && node.text != "log2")
      return fail(node, "start values and outputs are linear, found " + quoted(node.text),
                  "compute it in a round");
    if (node.text == "log2") {
      const auto value = formulas_.whole(node);
      return value ? std::optional(constant(static_cast<double>(*value), node.place)) : std::nullopt;
    }
    if (node.text == "select") return select(node);
    const bool many = node.text == "min" || node.text == "max";
    if (!many && node.text != "relu" && node.text != "abs") {
      static const std::vector<std::string> names = {"min", "max", "relu", "abs", "select", "log2"};
      return fail(node, "expected a function, found " + quoted(node.text), nearest_hint(node.text, names));
    }
    if (node.args.empty() || (!many && node.args.size() != 1))
      return fail(node, quoted(node.text) + " takes " + (many ? "at least one value" : "one value") +
                            ", found " + std::to_string(node.args.size()));
    std::vector<Expr> args;
    for (const Node& arg : node.args) {
      auto value = linear(arg);
      if (!value) continue;
      if (node.text == "abs") args.push_back(expr(*scaled(value, -1)));
      args.push_back(expr(std::move(*value)));
    }
    if (args.size() < node.args.size()) return std::nullopt;
    if (node.text == "abs") {
      Linear out = term(Expr::relu(std::move(args[1])));
      out.add(1, Expr::relu(std::move(args[0])));
      return out;
    }
    if (node.text == "relu") return term(Expr::relu(std::move(args[0])));
    if (args.size() == 1) return as_linear(std::move(args[0]));
    return term(node.text == "min" ? Expr::min(std::move(args)) : Expr::max(std::move(args)));
  }

  static Linear as_linear(Expr e) {
    if (e.kind != Expr::Kind::kSum) return term(std::move(e));
    Linear out;
    for (std::size_t k = 0; k < e.args.size(); ++k) out.add(e.weights[k], e.args[k]);
    return out;
  }

  std::optional<Linear> select(const Node& node) {
    if (!select_place_) select_place_ = node.place;
    if (node.args.size() != 3)
      return fail(node, "'select' takes a bit and two values, found " + std::to_string(node.args.size()),
                  "write select(swap, partner.v, v)");
    const Node& bit = node.args[0];
    const auto channel = channels_.find(bit.text);
    const bool is_bit = bit.kind == Node::Kind::kName && channel != channels_.end() &&
                        program_.channels[channel->second].kind == Channel::Kind::kBit;
    if (!is_bit)
      fail(bit, "expected one of the node's own bits, found " + quoted(bit.text),
           "declare bit " + printable(bit.kind == Node::Kind::kName ? bit.text : "swap", 40));
    auto one = linear(node.args[1]);
    auto zero = linear(node.args[2]);
    if (!is_bit || !one || !zero) return std::nullopt;
    return term(Expr::select(channel->second, expr(std::move(*one)), expr(std::move(*zero))));
  }

  const std::vector<Statement>& statements_;
  const ParseOptions& options_;
  Problems& problems_;
  syntax::Formulas formulas_;
  Program program_{};
  bool n_known_ = false;
  std::set<std::string_view> declared_{}, outputs_{};
  std::map<std::string, std::size_t, std::less<>> columns_{}, channels_{}, receives_{};
  std::string_view constant_{};
  std::size_t column_count_ = 0, entries_ = 0, parts_ = 0;
  std::vector<std::string_view> counters_{};
  std::optional<Place> select_place_{};
  Scope scope_ = Scope::kRound;
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

Program load_program(const std::string& path, std::size_t n) {
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  ParseOptions options{.n = n};
  options.read_file = [folder](const std::string& file) {
    return read_text(!file.empty() && file[0] == '/' ? file : folder + file, std::uint64_t{1} << 24);
  };
  return read_program(read_text(path, std::uint64_t{1} << 24), path, options);
}

void require_sound(const Program& program) {
  const std::vector<Problem> problems = check_program(program);
  if (!problems.empty()) throw error_of(problems, ErrorKind::kUsage, printable(program.name));
}

}  // namespace telos::positional
