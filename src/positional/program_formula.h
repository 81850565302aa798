#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "positional/program_syntax.h"

// Formulas of tables, conditions and counts: whole numbers and truth values of i, n and the names of
// `repeat`.

namespace telos::positional::syntax {

inline constexpr std::int64_t kMaxFormulaValue = std::int64_t{1} << 53;

/// Evaluates with the current values of names. A formula that has none is reported once and gives nothing.
class Formulas {
 public:
  explicit Formulas(Problems& problems) : problems_(problems) {}

  void set(std::string_view name, std::int64_t value);  ///< replaces the value of a name that is known
  void remove(std::string_view name);
  std::optional<std::int64_t> find(std::string_view name) const;

  std::optional<std::int64_t> whole(const Node& node);
  std::optional<bool> truth(const Node& node);
  /// With reals: 1/2 is a half. Below log2 and ^, which take whole numbers, formulas are whole.
  std::optional<double> real(const Node& node);
  /// Counts steps towards the limit of a program's work, which ends in a problem and Stop.
  void work(const Node& node, std::size_t steps = 1);

 private:
  std::optional<std::int64_t> whole_binary(const Node& node);
  std::optional<std::int64_t> whole_call(const Node& node);
  std::optional<double> real_call(const Node& node);
  bool check_call(const Node& node);  ///< the function's name and number of arguments
  std::optional<std::int64_t> in_range(const Node& node, std::int64_t value, bool overflow = false);
  std::nullopt_t fail(const Node& node, std::string message, std::string hint = {});
  std::nullopt_t unknown(const Node& node);

  Problems& problems_;
  std::vector<std::pair<std::string_view, std::int64_t>> names_{};
  std::size_t work_ = 0;
};

/// `a` to the power `b` ≥ 0, or nothing above kMaxFormulaValue.
std::optional<std::int64_t> whole_power(std::int64_t a, std::int64_t b);
/// Quotient rounded towards −∞, remainder with the divisor's sign. b ≠ 0.
std::int64_t floor_divide(std::int64_t a, std::int64_t b);
std::int64_t floor_remainder(std::int64_t a, std::int64_t b);
/// ⌈log2 a⌉, a ≥ 1.
std::int64_t ceil_log2(std::int64_t a);

}  // namespace telos::positional::syntax
