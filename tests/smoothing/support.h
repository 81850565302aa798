#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "reference/smoothing.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"

// Systems and conversions that the tests of the smoothing lens share.

namespace telos::smoothing::test {

namespace ref = telos::reference::smoothing;

inline Matrix<double> matrix(const ref::Mat& m) {
  Matrix<double> out(m.size(), m.empty() ? 0 : m[0].size());
  for (std::size_t i = 0; i < out.rows(); ++i)
    for (std::size_t j = 0; j < out.cols(); ++j) out(i, j) = m[i][j];
  return out;
}

inline Matrix<float> matrix_f32(const ref::Mat& m) {
  Matrix<float> out(m.size(), m[0].size());
  for (std::size_t i = 0; i < out.rows(); ++i)
    for (std::size_t j = 0; j < out.cols(); ++j) out(i, j) = static_cast<float>(m[i][j]);
  return out;
}

inline ref::Mat nested(ConstMatrixView<double> m) {
  ref::Mat out = ref::zeros(m.rows(), m.cols());
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < m.cols(); ++j) out[i][j] = m(i, j);
  return out;
}

inline double largest_difference(ConstMatrixView<double> a, const ref::Mat& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) largest = std::max(largest, std::abs(a(i, j) - b[i][j]));
  return largest;
}

inline ref::Mat normals(Random& random, std::size_t rows, std::size_t cols) {
  ref::Mat out = ref::zeros(rows, cols);
  for (ref::Vector& row : out)
    for (double& value : row) value = random.normal();
  return out;
}

/// Attention of random tokens: softmax of normal logits times `sharpness`.
inline ref::Mat random_attention(Random& random, std::size_t n, double sharpness = 1, bool causal = false) {
  return ref::softmax_rows(ref::scale(normals(random, n, n), sharpness), causal);
}

/// Inverse by Gauss–Jordan without pivoting subtleties; for the small, well-conditioned bases of the tests.
inline ref::Mat inverse(ref::Mat m) {
  const std::size_t n = m.size();
  ref::Mat out = ref::identity(n);
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k; i < n; ++i)
      if (std::abs(m[i][k]) > std::abs(m[pivot][k])) pivot = i;
    std::swap(m[k], m[pivot]);
    std::swap(out[k], out[pivot]);
    const double factor = m[k][k];
    for (std::size_t j = 0; j < n; ++j) m[k][j] /= factor, out[k][j] /= factor;
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double f = m[i][k];
      for (std::size_t j = 0; j < n; ++j) m[i][j] -= f * m[k][j], out[i][j] -= f * out[k][j];
    }
  }
  return out;
}

/// V diag(l) V⁻¹.
inline ref::Mat with_spectrum(const ref::Mat& v, const ref::Vector& l) {
  ref::Mat diagonal = ref::zeros(l.size(), l.size());
  for (std::size_t i = 0; i < l.size(); ++i) diagonal[i][i] = l[i];
  return ref::multiply(ref::multiply(v, diagonal), inverse(v));
}

/// Random orthogonal matrix by Gram–Schmidt, twice.
inline ref::Mat random_orthogonal(Random& random, std::size_t n) {
  ref::Mat q = normals(random, n, n);
  for (std::size_t i = 0; i < n; ++i) {
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t k = 0; k < i; ++k) {
        double part = 0;
        for (std::size_t j = 0; j < n; ++j) part += q[i][j] * q[k][j];
        for (std::size_t j = 0; j < n; ++j) q[i][j] -= part * q[k][j];
      }
    double norm = 0;
    for (double value : q[i]) norm += value * value;
    for (double& value : q[i]) value /= std::sqrt(norm);
  }
  return q;
}

// The small system on which the theory is checked by hand: n = 4 tokens, d = 3.
inline const ref::Mat kA1{{.4, .3, .2, .1}, {.3, .4, .1, .2}, {.2, .1, .4, .3}, {.1, .2, .3, .4}};
inline const ref::Mat kA2{{.1, .2, .3, .4}, {.2, .1, .4, .3}, {.3, .4, .1, .2}, {.4, .3, .2, .1}};
inline const ref::Mat kA3{{1, 0, 0, 0}, {.5, .5, 0, 0}, {.3, .3, .4, 0}, {.2, .2, .3, .3}};
inline const ref::Mat kHS{{.5, -.3, .3}, {0, .2, -.5}, {0, 0, -.3}};
inline const ref::Mat kHN{{-.9, .4, -.4}, {0, -.5, .3}, {0, 0, -.2}};
inline const ref::Mat kH2{{-2, 0, 0}, {0, -2, 0}, {0, 0, -2}};
inline const ref::Mat kX0{{2, 0, 1}, {0, 1, -1}, {1, 1, 0}, {-2, 2, 3}};

}  // namespace telos::smoothing::test
