#pragma once

#include <cstddef>
#include <optional>

#include "telos/symmetry/nonlinearity.h"

// Closed forms of nonlinearity.h, and the other steps of a kernel, on rows, by vectors; the same bits on
// every instruction set. T is float or double.

namespace telos::symmetry::kernel {

enum class RowForm { kPiecewise, kErf, kGelu };

/// φ of a row. kPiecewise: ((low + high)/2)² and (high − low)²/(2π) of the slopes on both sides of 0, so that
/// E φ'φ' = middle + step · asin ρ.
struct RowTransform {
  RowForm form = RowForm::kPiecewise;
  double step = 0, middle = 0;
};

/// Nothing for a φ that has no such form.
std::optional<RowTransform> row_transform(Nonlinearity phi, double slope_below);
[[noreturn]] void refuse_covariance();

/// 1/√ of what the form divides by: of the variance v (0 of 0), of 1 + 2v (kErf), of 1 + v (kGelu).
double inverse_root(RowForm form, double variance);

/// A row of a block: covariances c[j] of u, of variance a, with v_j, of variances b[j]; and their inverse
/// roots.
template <class T>
struct TransformedRow {
  T a, inverse_a;
  const T *b, *inverse_b;
  T *c, *slope;  // slope: null where nobody asks for it
  std::size_t n;
};
/// c[j] ← E φ(u)φ(v_j), slope[j] ← its derivative by c[j]. √(ab − c²) is taken of a difference without
/// rounding error. False where some |c| is above √(ab) by more than rounding.
template <class T>
bool transform_row(const RowTransform& t, const TransformedRow<T>& row);

/// x[j] ← x[j] · (left · right[j]).
template <class T>
void scale_row(T left, const T* right, T* x, std::size_t n);
/// x[j] ← weight · x[j] + bias.
template <class T>
void affine_row(T weight, T bias, T* x, std::size_t n);
/// x[j] ← weight · x[j] + y[j].
template <class T>
void scale_add_row(T weight, const T* y, T* x, std::size_t n);
/// x[j] ← x[j] · y[j].
template <class T>
void multiply_row(const T* y, T* x, std::size_t n);
/// sum[j] ← sum[j] + x[j].
template <class T>
void accumulate_row(const T* x, double* sum, std::size_t n);

}  // namespace telos::symmetry::kernel
