#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "positional/program_build.h"
#include "telos/base/error.h"

namespace telos::positional::syntax {
std::vector<std::size_t> TableBuilder::roles(const Statement& statement) {
  std::vector<std::size_t> out(c_.program.n, Round::kKeep);
  count_entries(statement.place, c_.program.n);
  for (std::size_t k = 0; k < statement.roles.size(); ++k) {
    const RoleStatement& role = statement.roles[k];
    const auto take = [&](std::size_t i) {
      if (out[i] == Round::kKeep) out[i] = k;
    };
    if (role.nodes) {
      count_entries(role.place, role.nodes->size());
      for (const Entry& entry : *role.nodes)
        if (const auto i = role_node(entry)) take(*i);
      continue;
    }
    for (std::size_t i = 0; i < c_.program.n; ++i) {
      c_.formulas.set("i", static_cast<std::int64_t>(i));
      const auto holds = role.condition ? c_.formulas.truth(*role.condition) : std::optional(true);
      if (!holds) break;
      if (*holds) take(i);
    }
  }
  c_.formulas.remove("i");
  return out;
}

std::optional<std::size_t> TableBuilder::role_node(const Entry& entry) {
  if (entry.sources.size() != 1 || entry.sources[0].second != 1) {
    c_.problems.add(entry.place, "expected a node's number, found another entry");
    return std::nullopt;
  }
  return node_index(entry.place, entry.sources[0].first);
}

void TableBuilder::count_entries(Place place, std::size_t count) {
  entries_ += count;
  if (entries_ <= c_.options.max_entries) return;
  c_.problems.add(
      place,
      "the program's tables have more than " + std::to_string(c_.options.max_entries) + " rows and sources",
      "use a smaller n or fewer rounds");
  throw Stop{};
}

std::vector<std::vector<Source>> TableBuilder::table(const RecvStatement& recv) {
  const Table& from = recv.table;
  count_entries(from.place, c_.program.n);
  std::vector<std::vector<Source>> out(c_.program.n);
  if (from.kind == Table::Kind::kPermutation) {
    permutation(from, out);
    return out;
  }
  if (from.kind == Table::Kind::kList && c_.n_known && from.entries.size() != c_.program.n) {
    c_.problems.add(from.place, "expected " + std::to_string(c_.program.n) +
                                    " entries, one for each node, found " +
                                    std::to_string(from.entries.size()));
    return out;
  }
  for (std::size_t i = 0; i < c_.program.n; ++i) {
    c_.formulas.set("i", static_cast<std::int64_t>(i));
    const Row result = row(from, i, out[i], false);
    if (result != Row::kGood && c_.n_known) break;
  }
  c_.formulas.remove("i");
  return out;
}

TableBuilder::Row TableBuilder::row(const Table& from, std::size_t i, std::vector<Source>& out,
                                    bool may_be_outside) {
  switch (from.kind) {
    case Table::Kind::kFormula:
      return formula_row(from, i, out, may_be_outside);
    case Table::Kind::kChoice: {
      const auto holds = c_.formulas.truth(from.nodes[0]);
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
      c_.problems.add(from.place, "'perm' stands alone, without 'if' and 'else'");
      return Row::kBad;
    case Table::Kind::kSink:
      break;
  }
  return Row::kGood;
}

TableBuilder::Row TableBuilder::formula_row(const Table& from, std::size_t i, std::vector<Source>& out,
                                            bool may_be_outside) {
  const auto index = c_.formulas.whole(from.nodes[0]);
  if (!index) return Row::kBad;
  if (*index >= 0 && static_cast<std::size_t>(*index) < c_.program.n) {
    count_entries(from.place, 1);
    out.push_back({static_cast<std::size_t>(*index), 1});
    return Row::kGood;
  }
  if (may_be_outside || !c_.n_known) return Row::kOutside;
  std::string message = "node " + std::to_string(i) + " receives from node " + std::to_string(*index);
  for (const std::string_view counter : c_.counters)
    message += ", " + printable(counter, 40) + " = " + std::to_string(*c_.formulas.find(counter));
  c_.problems.add(from.place, message + ", expected 0 to " + std::to_string(c_.program.n - 1),
                  "add 'else sink' (receive zeros) or 'else i' (receive the own value)");
  return Row::kOutside;
}

std::optional<std::size_t> TableBuilder::node_index(Place place, double value) {
  if (value != std::floor(value) || (c_.n_known && value >= static_cast<double>(c_.program.n))) {
    c_.problems.add(place, "expected a node from 0 to " + std::to_string(c_.program.n - 1) + ", found " +
                               shortest(value));
    return std::nullopt;
  }
  if (value >= static_cast<double>(c_.program.n)) return std::nullopt;
  return static_cast<std::size_t>(value);
}

TableBuilder::Row TableBuilder::list_row(const Entry& entry, std::vector<Source>& out) {
  double total = 0;
  std::set<std::size_t> seen;
  for (const auto& [node, weight] : entry.sources) {
    const auto index = node_index(entry.place, node);
    if (!index) return Row::kBad;
    if (!seen.insert(*index).second) {
      c_.problems.add(entry.place, "node " + std::to_string(*index) + " appears twice in one entry");
      return Row::kBad;
    }
    if (weight > 0) out.push_back({*index, weight});
    total += weight;
  }
  count_entries(entry.place, out.size());
  return weights_fit(entry.place, total, out.size());
}

TableBuilder::Row TableBuilder::each_row(const Table& from, std::size_t i, std::vector<Source>& out) {
  if (c_.declared.contains(from.text) || c_.formulas.find(from.text)) {
    c_.problems.add(from.place, quoted(from.text) + " is declared already", "call the other node j");
    return Row::kBad;
  }
  double total = 0;
  Row result = Row::kGood;
  for (std::size_t j = 0; j < c_.program.n && result == Row::kGood; ++j) {
    c_.formulas.set(from.text, static_cast<std::int64_t>(j));
    const auto holds = c_.formulas.truth(from.nodes[0]);
    const auto weight = holds.value_or(false) ? c_.formulas.real(from.nodes[1]) : std::optional(0.0);
    if (!holds || !weight) {
      result = Row::kBad;
    } else if (*weight < 0) {
      c_.problems.add(from.nodes[1].place,
                      "the weight of node " + std::to_string(j) + " at node " + std::to_string(i) + " is " +
                          shortest(*weight),
                      "attention has no negative weights; subtract in the value");
      result = Row::kBad;
    } else if (*weight > 0) {
      count_entries(from.place, 1);
      out.push_back({j, *weight});
      total += *weight;
    }
  }
  c_.formulas.remove(from.text);
  return result == Row::kGood ? weights_fit(from.place, total, out.size()) : result;
}

TableBuilder::Row TableBuilder::weights_fit(Place place, double total, std::size_t sources) {
  if (total <= 1 + weight_slack(sources) || !c_.n_known) return Row::kGood;
  c_.problems.add(place, "the weights sum to " + shortest(total) + ", expected at most 1",
                  "divide the weights and multiply the received value");
  return Row::kBad;
}

void TableBuilder::permutation(const Table& from, std::vector<std::vector<Source>>& out) {
  if (!c_.options.read_file)
    return c_.problems.add(from.place, "no file can be read here", "write the list itself: [2, 0, 1]");
  std::string text;
  try {
    text = c_.options.read_file(std::string(from.text));
  } catch (const Error& error) {
    return c_.problems.add(from.place, error.what(), error.hint());
  }
  std::vector<std::size_t> numbers;
  for (const char *at = text.data(), *end = at + text.size(); at != end;) {
    if (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n' || *at == ',') {
      ++at;
      continue;
    }
    std::size_t value = 0;
    const auto [stop, status] = std::from_chars(at, end, value);
    if (status != std::errc{} || value >= c_.program.n)
      return c_.problems.add(from.place, "entry " + std::to_string(numbers.size()) + " of the file " +
                                             quoted(from.text) + ": expected a node from 0 to " +
                                             std::to_string(c_.program.n - 1));
    numbers.push_back(value);
    at = stop;
  }
  if (numbers.size() != c_.program.n)
    return c_.problems.add(from.place, "the file " + quoted(from.text) + " has " +
                                           std::to_string(numbers.size()) + " entries, expected " +
                                           std::to_string(c_.program.n));
  std::vector<bool> seen(c_.program.n, false);
  for (std::size_t i = 0; i < c_.program.n; ++i) {
    if (seen[numbers[i]])
      return c_.problems.add(
          from.place,
          "the file " + quoted(from.text) + " names node " + std::to_string(numbers[i]) + " twice",
          "it is no permutation; other tables are written as lists");
    seen[numbers[i]] = true;
    out[i] = {{numbers[i], 1}};
  }
}

}  // namespace telos::positional::syntax
