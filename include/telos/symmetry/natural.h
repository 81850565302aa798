#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace telos::symmetry {

/// A natural number of any size: dimensions of irreps leave 64 bits near L = 30. Only what counting needs.
class Natural {
 public:
  Natural(std::uint64_t value = 0);

  Natural& operator*=(std::uint32_t factor);
  Natural& operator+=(const Natural& other);
  friend bool operator==(const Natural&, const Natural&) = default;

  /// Nothing above 2^63 − 1.
  std::optional<std::int64_t> to_int64() const;
  /// All decimal digits.
  std::string digits() const;
  /// Natural logarithm, to double precision; −∞ of 0.
  double log() const;

 private:
  std::vector<std::uint32_t> limbs_;  // from the lowest; none above the highest that is not 0
};

/// "1,952"; above 10^12 in powers of ten, "1.952 · 10^57", rounded.
std::string short_text(const Natural& n);
/// exp(log) as "1.537 · 10^1092", also where no double holds it.
std::string exponential_text(double log);

}  // namespace telos::symmetry
