#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "telos/base/matrix.h"
#include "telos/symmetry/corpus.h"

// What the measures on a text share.

namespace telos::symmetry {

/// Σ_{b≠c} Σ_{v,w} A_bc(v, w) B_bc(v, w), and the same with B_cb in place of B_bc.
struct Products {
  double straight = 0, crossed = 0;
};
/// energies() from these and the rows Σ_{c≠b} C_bc(v, w): L × K², column v K + w.
Energies energies_of(std::size_t letters, ConstMatrixView<double> rows_a, ConstMatrixView<double> rows_b,
                     const Products& all);

/// Of blocks first, first + step, …
template <class Counts>
Counts sum_of(std::span<const Counts> blocks, std::size_t first, std::size_t step) {
  Counts sum = blocks[first];
  for (std::size_t g = first + step; g < blocks.size(); g += step) sum += blocks[g];
  return sum;
}

/// √((G − 1)/G Σ_g (x_g − x̄)²) of the values without each block.
template <class Point, class Value>
Estimate jackknife(const Point& whole, std::span<const Point> without, const Value& value) {
  const double blocks = static_cast<double>(without.size());
  double mean = 0, sum = 0;
  for (const Point& p : without) mean += value(p) / blocks;
  for (const Point& p : without) sum += (value(p) - mean) * (value(p) - mean);
  return {value(whole), std::sqrt((blocks - 1) / blocks * sum)};
}

/// A total that is this many standard errors above 0 is a dependence.
inline constexpr double kDependentErrors = 3;

}  // namespace telos::symmetry
