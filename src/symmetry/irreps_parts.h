#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "telos/symmetry/irreps.h"

namespace telos::symmetry {

/// Counting stops here: what would take more steps is told, not tried.
inline constexpr std::size_t kMaxSteps = 200'000;

/// Throws kUsage, "`what`: …", for no partition of 1 to kMaxLength.
void check_partition(const Partition& partition, const std::string& what);

/// A product of powers of whole numbers that is whole itself, which is what hook formulas give.
class Quotient {
 public:
  void multiply(std::uint32_t factor) { ++powers_[factor]; }
  void divide(std::uint32_t factor) { --powers_[factor]; }
  /// L! on top.
  void multiply_factorial(std::uint32_t n) {
    for (std::uint32_t i = 2; i <= n; ++i) multiply(i);
  }
  void divide_factorial(std::uint32_t n) {
    for (std::uint32_t i = 2; i <= n; ++i) divide(i);
  }
  Natural value() const;

 private:
  std::map<std::uint32_t, std::int64_t> powers_;
};

}  // namespace telos::symmetry
