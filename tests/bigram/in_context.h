#pragma once

#include <cmath>
#include <complex>
#include <cstddef>
#include <functional>
#include <numbers>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/base/philox.h"

// Exact means for tests of the studies, and what else their tests share.

namespace telos::bigram::test {

/// A law on three points with the moments of another one up to the fifth.
struct ThreePoints {
  double node = 0, outer = 0;  ///< −node, 0, node; weight of each outer one
};
inline constexpr ThreePoints kGaussianPoints = {std::numbers::sqrt3, 1.0 / 6};
/// Uniform on (−1, 1).
inline const ThreePoints kUniformPoints = {std::sqrt(0.6), 5.0 / 18};

/// Calls visit(values, probability) for every outcome of `count` independent draws from each law's points.
inline void visit_outcomes(const std::vector<ThreePoints>& laws,
                           const std::function<void(const std::vector<double>&, double)>& visit) {
  std::vector<int> digit(laws.size());
  std::vector<double> values(laws.size());
  for (bool more = true; more;) {
    double probability = 1;
    for (std::size_t i = 0; i < laws.size(); ++i) {
      values[i] = (digit[i] - 1) * laws[i].node;
      probability *= digit[i] == 1 ? 1 - 2 * laws[i].outer : laws[i].outer;
    }
    visit(values, probability);
    std::size_t i = 0;
    while (i < digit.size() && ++digit[i] == 3) digit[i++] = 0;
    more = i < digit.size();
  }
}

/// Mean over λ_j on all roots of unity of order `order`: for polynomials in λ and its conjugate of lower
/// degree in each, the mean over uniform phases.
inline double mean_over_phases(std::size_t d, int order,
                               const std::function<double(const std::vector<std::complex<double>>&)>& f) {
  std::vector<int> digit(d);
  std::vector<std::complex<double>> lambda(d);
  double sum = 0, count = 0;
  for (bool more = true; more;) {
    for (std::size_t j = 0; j < d; ++j)
      lambda[j] = std::polar(1.0, 2 * std::numbers::pi * digit[j] / static_cast<double>(order));
    sum += f(lambda);
    ++count;
    std::size_t i = 0;
    while (i < d && ++digit[i] == order) digit[i++] = 0;
    more = i < d;
  }
  return sum / count;
}

/// Central difference of f by `value`, which is put back.
inline double slope(double& value, const std::function<double()>& f, double step = 1e-5) {
  const double kept = value;
  value = kept + step;
  const double up = f();
  value = kept - step;
  const double down = f();
  value = kept;
  return (up - down) / (2 * step);
}

inline Matrix<double> random_matrix(std::size_t rows, std::size_t cols, std::uint64_t sample) {
  Matrix<double> m(rows, cols);
  Random random(11, 0, sample);
  for (std::size_t i = 0; i < m.size(); ++i) m.data()[i] = random.normal();
  return m;
}

inline std::vector<double> random_vector(std::size_t size, std::uint64_t sample) {
  const Matrix<double> m = random_matrix(1, size, sample);
  return {m.data(), m.data() + size};
}

/// Rows, as the reference has them.
inline std::vector<std::vector<double>> rows_of(const Matrix<double>& m) {
  std::vector<std::vector<double>> rows;
  for (std::size_t i = 0; i < m.rows(); ++i) rows.emplace_back(m.row(i), m.row(i) + m.cols());
  return rows;
}

}  // namespace telos::bigram::test
