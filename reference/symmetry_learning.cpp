#include "reference/symmetry_learning.h"

#include <cmath>
#include <utility>

namespace reference::symmetry {

double simplified_kernel(const Sequence& x, const Sequence& y, double e, double s, bool query) {
  const std::size_t length = x.size() - (query ? 1 : 0);
  double sum = 0;
  for (std::size_t b = 0; b < length; ++b)
    for (std::size_t c = 0; c < length; ++c) {
      const double k = (x[b] == y[c] ? e : 0) + (b == c ? s : 0);
      sum += k * k;
    }
  const double factor = query ? (x[length] == y[length] ? e : 0) + s : 1;
  return factor * sum / static_cast<double>(length * length);
}

std::vector<double> ridge_weights(Rows a, double ridge, std::vector<double> y) {
  const std::size_t n = a.size();
  for (std::size_t i = 0; i < n; ++i) a[i][i] += ridge;
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      y[i] -= factor * y[k];
    }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t j = i + 1; j < n; ++j) y[i] -= a[i][j] * y[j];
    y[i] /= a[i][i];
  }
  return y;
}

double log_determinant(Rows a) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    sum += std::log(a[k][k]);
    for (std::size_t i = k + 1; i < a.size(); ++i) {
      const double factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < a.size(); ++j) a[i][j] -= factor * a[k][j];
    }
  }
  return sum;
}

void for_each_sequence(std::size_t length, unsigned vocabulary,
                       const std::function<void(const Sequence&)>& body) {
  Sequence x(length, 0);
  for (;;) {
    body(x);
    std::size_t b = 0;
    while (b < length && ++x[b] == vocabulary) x[b++] = 0;
    if (b == length) return;
  }
}

double path_sum(const std::vector<double>& start, const Rows& transition, const Rows& emission,
                const Sequence& x) {
  double sum = 0;
  for_each_sequence(x.size(), static_cast<unsigned>(start.size()), [&](const Sequence& states) {
    double p = start[states[0]];
    for (std::size_t b = 0; b < x.size(); ++b)
      p *= (b > 0 ? transition[states[b - 1]][states[b]] : 1) * emission[states[b]][x[b]];
    sum += p;
  });
  return sum;
}

}  // namespace reference::symmetry
