#pragma once

#include <cstdint>
#include <span>

#include "telos/base/matrix.h"

namespace telos::symmetry {

/// f(x) = constant + Σ_b w[b][x_b]: all that the simplified block's kernel can learn.
struct LinearFunction {
  double constant = 0;
  Matrix<double> table;  ///< w, positions × letters

  double operator()(std::span<const std::uint32_t> x) const {
    double sum = constant;
    for (std::size_t b = 0; b < x.size(); ++b) sum += table(b, x[b]);
    return sum;
  }
};

/// f − g. Throws kShape.
LinearFunction difference(const LinearFunction& f, const LinearFunction& g);
/// What is the same at all positions, w̄ the mean of w over them ((L)), and what sums to 0 over positions
/// ((L−1,1)). The constant is left out of both.
LinearFunction trivial_part(const LinearFunction& f);
LinearFunction standard_part(const LinearFunction& f);

}  // namespace telos::symmetry
