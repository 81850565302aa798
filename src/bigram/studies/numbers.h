#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>

#include "telos/base/matrix.h"

// Small sums that the studies share.

namespace telos::bigram::studies {

inline double dot(const double* a, const double* b, std::size_t n) {
  return std::inner_product(a, a + n, b, 0.0);
}

/// y += factor·x.
inline void add(double factor, const double* x, std::size_t n, double* y) {
  for (std::size_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

/// Logits become the weights of their softmax.
inline void softmax_in_place(std::span<double> values) {
  const double most = std::ranges::max(values);
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - most);
  for (double& value : values) value /= sum;
}

/// b becomes A⁻¹b for a small symmetric positive definite A, which is overwritten: elimination in a fixed
/// order, so that the bits do not depend on a library's threads.
inline void solve_positive(Matrix<double>& a, std::span<double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = a(i, k) / a(k, k);
      add(-factor, a.row(k) + k, n - k, a.row(i) + k);
      b[i] -= factor * b[k];
    }
  for (std::size_t k = n; k-- > 0;) {
    b[k] -= dot(a.row(k) + k + 1, b.data() + k + 1, n - k - 1);
    b[k] /= a(k, k);
  }
}

/// A mean and its standard error.
struct Mean {
  double value = 0, error = 0;
};
inline Mean mean_of(std::span<const double> values) {
  const double n = static_cast<double>(values.size());
  Mean mean{std::accumulate(values.begin(), values.end(), 0.0) / n, 0};
  for (const double value : values) mean.error += (value - mean.value) * (value - mean.value);
  mean.error = std::sqrt(mean.error / (n * (n - 1)));
  return mean;
}

}  // namespace telos::bigram::studies
