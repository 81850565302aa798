#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "positional/program_formula.h"
#include "positional/program_syntax.h"
#include "telos/positional/program.h"

// From the text's tree to a program: what is declared, tables, values.

namespace telos::positional::syntax {

/// What is known while a program is built.
struct BuildContext {
  const ParseOptions& options;
  Problems& problems;
  Formulas formulas;
  Program program{};
  bool n_known = false;  ///< false: n is missing or wrong, and problems that depend on it are held back
  std::set<std::string_view> declared{};
  std::map<std::string, std::size_t, std::less<>> columns{}, channels{};
  std::map<std::string, std::size_t, std::less<>> receives{};  ///< of the round that is built
  std::string_view constant{};
  std::vector<std::string_view> counters{};  ///< names of the `repeat`s around
};

std::string quoted(std::string_view name);
std::string shortest(double value);

/// Source tables and the nodes of roles.
class TableBuilder {
 public:
  explicit TableBuilder(BuildContext& context) : c_(context) {}
  std::vector<std::vector<Source>> table(const RecvStatement& recv);
  std::vector<std::size_t> roles(const Statement& round);

 private:
  enum class Row { kGood, kOutside, kBad };
  void count_entries(Place place, std::size_t count);
  Row row(const Table& from, std::size_t i, std::vector<Source>& out, bool may_be_outside);
  Row formula_row(const Table& from, std::size_t i, std::vector<Source>& out, bool may_be_outside);
  Row list_row(const Entry& entry, std::vector<Source>& out);
  Row each_row(const Table& from, std::size_t i, std::vector<Source>& out);
  Row weights_fit(Place place, double total, std::size_t sources);
  void permutation(const Table& from, std::vector<std::vector<Source>>& out);
  std::optional<std::size_t> role_node(const Entry& entry);
  std::optional<std::size_t> node_index(Place place, double value);

  BuildContext& c_;
  std::size_t entries_ = 0;
};

/// A value on its way to an Expr: constant + Σ weight·term, without zeros and without sums in sums.
struct Linear {
  double constant = 0;
  Place constant_place{};
  std::vector<std::pair<double, Expr>> terms{};

  bool is_constant() const { return terms.empty(); }
  void add(double weight, const Linear& other);
  void add(double weight, const Expr& term);
};

class ValueBuilder {
 public:
  /// What names mean: input columns in start values, channels elsewhere; only rounds receive and compute.
  enum class Scope { kColumns, kRound, kChannels };

  explicit ValueBuilder(BuildContext& context) : c_(context) {}
  /// Without a constant: numbers are multiples of the constant channel, or a problem if there is none.
  std::optional<Linear> value(const Node& node, Scope scope);
  Expr expr(Linear value);
  std::string channel_hint(std::string_view name) const;
  const std::optional<Place>& select_place() const { return select_place_; }

 private:
  std::nullopt_t fail(const Node& node, std::string message, std::string hint = {});
  void fold_constant(Linear& value);
  std::optional<Linear> linear(const Node& node);
  std::optional<Linear> name(const Node& node);
  std::optional<Linear> field(const Node& node);
  std::optional<Linear> binary(const Node& node);
  std::optional<Linear> finite(const Node& node, Linear value);
  bool reads_channel(const Node& node) const;
  std::optional<Linear> constant_formula(const Node& node);
  std::optional<Linear> call(const Node& node);
  std::optional<Linear> select(const Node& node);

  BuildContext& c_;
  Scope scope_ = Scope::kRound;
  std::size_t parts_ = 0;
  std::optional<Place> select_place_{};
};

}  // namespace telos::positional::syntax
