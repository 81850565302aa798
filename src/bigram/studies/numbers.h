#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>

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
