#pragma once

#include <cstddef>

// The closed forms of nonlinearity.h on rows, by vectors; the same bits on every instruction set.

namespace telos::symmetry::kernel {

enum class RowForm { kPiecewise, kErf, kGelu };

/// φ of a row. kPiecewise: step = (high − low)²/(2π), half = (low² + high²)/2 of the slopes on both sides of
/// 0.
struct RowTransform {
  RowForm form = RowForm::kPiecewise;
  double step = 0, half = 0;
};

/// c[j] ← E φ(u)φ(v_j) of variances a, b[j] and covariance c[j]; slope[j], unless null, its derivative.
/// √(ab − c²) is taken of a difference without rounding error. False where some |c| is above √(ab) by more
/// than rounding.
bool transform_row(const RowTransform& t, double a, const double* b, double* c, double* slope, std::size_t n);

}  // namespace telos::symmetry::kernel
