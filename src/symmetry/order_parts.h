#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace telos::symmetry {

/// How many of K slots keep their token in the partners of an order: a quarter, half and three quarters,
/// rounded down.
inline std::array<std::size_t, 3> kept_slots(std::size_t k) {
  return {std::max<std::size_t>(1, k / 4), std::max<std::size_t>(2, k / 2),
          std::max<std::size_t>(3, 3 * k / 4)};
}

/// The energy of degree one, from what two orders have in common that agree in t = kept_slots(K)[0] and in
/// u = kept_slots(K)[1] slots. Keeping t slots leaves the share K_{λ,(K−t,1^t)}/f^λ of the energy of an irrep
/// λ: t/(K−1) in degree one, and in proportion to t (t−1) in both irreps of degree two, which therefore drop
/// out. Of degree three and more 0 to −1/8 of the energy is left.
inline double first_degree(std::size_t moved, double common_t, double common_u) {
  const auto k = static_cast<double>(moved);
  const auto slots = kept_slots(moved);
  const auto t = static_cast<double>(slots[0]), u = static_cast<double>(slots[1]);
  const double ratio = t * (t - 1) / (u * (u - 1));
  return (common_t - ratio * common_u) * (k - 1) / (t - ratio * u);
}

}  // namespace telos::symmetry
