#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <string>
#include <vector>

#include "support.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"

// The 21 matrix types of LAPACK's test driver ddrvev, and the scaled residuals of its ratio tests. A result
// is good if its ratio is below 20 (LAPACK's nep.in).
namespace telos::test {

inline constexpr double kThreshold = 20;
inline constexpr double kEps = std::numeric_limits<double>::epsilon();
inline constexpr int kMatrixTypes = 21;
inline constexpr std::size_t kOrders[] = {0, 1, 2, 3, 5, 10, 16, 33, 64, 100};

/// A matrix A, stored as A · 2^exponent: near overflow or underflow residuals must be formed of A itself.
struct TypedMatrix {
  Matrix<double> scaled;
  int exponent = 0;
};

inline Matrix<double> plain_product(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> c(a.rows(), b.cols());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t p = 0; p < a.cols(); ++p)
      for (std::size_t j = 0; j < b.cols(); ++j) c(i, j) += a(i, p) * b(p, j);
  return c;
}

inline Matrix<double> transposed(const Matrix<double>& a) {
  Matrix<double> t(a.cols(), a.rows());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) t(j, i) = a(i, j);
  return t;
}

/// Gram–Schmidt, twice, on a random matrix: independent of the code under test.
inline Matrix<double> random_orthogonal(std::size_t n, std::uint64_t seed) {
  Matrix<double> q = random_matrix<double>(n, n, seed);
  for (std::size_t i = 0; i < n; ++i) {
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t j = 0; j < i; ++j) {
        double dot = 0;
        for (std::size_t p = 0; p < n; ++p) dot += q(i, p) * q(j, p);
        for (std::size_t p = 0; p < n; ++p) q(i, p) -= dot * q(j, p);
      }
    double norm = 0;
    for (std::size_t p = 0; p < n; ++p) norm += q(i, p) * q(i, p);
    for (std::size_t p = 0; p < n; ++p) q(i, p) /= std::sqrt(norm);
  }
  return q;
}

/// Diagonals of ddrvev, from 1 to ε: 0 evenly spaced, 1 geometric, 2 clustered (1, ε, …, ε), 3 random; random
/// signs.
inline std::vector<double> spectrum(int kind, std::size_t n, Random& random) {
  std::vector<double> d(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double t = n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0;
    d[i] = kind == 0   ? 1 - t * (1 - kEps)
           : kind == 1 ? std::pow(kEps, t)
           : kind == 2 ? (i == 0 ? 1 : kEps)
                       : std::pow(kEps, random.uniform());
    if (random.uniform() < 0.5) d[i] = -d[i];
  }
  return d;
}

/// Upper triangular with the given diagonal and O(1) entries above; `pairs`: 2×2 blocks with complex
/// eigenvalues.
inline Matrix<double> random_triangular(const std::vector<double>& d, bool pairs, Random& random) {
  const std::size_t n = d.size();
  Matrix<double> t(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    t(i, i) = d[i];
    for (std::size_t j = i + 1; j < n; ++j) t(i, j) = 2 * random.uniform() - 1;
  }
  for (std::size_t i = 0; pairs && i + 1 < n; i += 3) {
    t(i + 1, i + 1) = t(i, i);
    t(i, i + 1) = d[i + 1];
    t(i + 1, i) = -d[i + 1];
  }
  return t;
}

inline TypedMatrix make_matrix(int type, std::size_t n) {
  Random random(77, static_cast<std::uint32_t>(type), n);
  TypedMatrix out{Matrix<double>(n, n), 0};
  Matrix<double>& a = out.scaled;
  // 1 zero, 2 identity, 3 transposed Jordan block with eigenvalue 1
  if (type == 2 || type == 3)
    for (std::size_t i = 0; i < n; ++i) a(i, i) = 1;
  if (type == 3)
    for (std::size_t i = 1; i < n; ++i) a(i, i - 1) = 1;
  // 4 to 6 diagonal; 7 and 8: type 4 near overflow and near underflow
  if (type >= 4 && type <= 8) {
    const std::vector<double> d = spectrum(type <= 6 ? type - 4 : 0, n, random);
    for (std::size_t i = 0; i < n; ++i) a(i, i) = d[i];
  }
  // 9 to 12 orthogonally similar to triangular; 13 to 16 similar by a matrix of condition 1/√ε; 17, 18: type
  // 16 scaled
  if (type >= 9 && type <= 18) {
    const int kind = type <= 12 ? type - 9 : type <= 16 ? type - 13 : 3;
    const Matrix<double> t = random_triangular(spectrum(kind, n, random), kind == 3, random);
    Matrix<double> x = random_orthogonal(n, static_cast<std::uint64_t>(type)), inverse = transposed(x);
    if (type >= 13) {  // X = D Q with D from 1 to √ε, after a first orthogonal similarity
      for (std::size_t i = 0; i < n; ++i) {
        const double s =
            n > 1 ? std::pow(kEps, 0.5 * static_cast<double>(i) / static_cast<double>(n - 1)) : 1;
        for (std::size_t j = 0; j < n; ++j) {
          x(i, j) *= s;
          inverse(j, i) /= s;
        }
      }
    }
    a = plain_product(plain_product(inverse, t), x);
  }
  // 19 random; from n = 4 on with zero rows and columns; 20, 21: the same scaled
  if (type >= 19) {
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        a(i, j) = n >= 4 && (i < 2 || i + 1 == n || j == 0 || j + 2 >= n) ? 0 : 2 * random.uniform() - 1;
  }
  if (type == 7 || type == 17 || type == 20) out.exponent = 980;
  if (type == 8 || type == 18 || type == 21) out.exponent = -980;
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = std::ldexp(a.data()[i], out.exponent);
  return out;
}

inline Matrix<double> unscaled(const TypedMatrix& m) {
  Matrix<double> a = m.scaled.copy();
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = std::ldexp(a.data()[i], -m.exponent);
  return a;
}

/// Largest column sum of absolute values.
template <class M>
double norm1(const M& a) {
  double largest = 0;
  for (std::size_t j = 0; j < a.cols(); ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < a.rows(); ++i) sum += std::abs(a(i, j));
    largest = std::max(largest, sum);
  }
  return largest;
}

/// ‖R‖/(n ‖A‖ ε); for A = 0 only R = 0 is good.
template <class M>
double ratio(const M& residual, double norm_a, std::size_t n) {
  const double r = norm1(residual);
  if (r == 0) return 0;
  return norm_a == 0 ? std::numeric_limits<double>::infinity() : r / norm_a / (static_cast<double>(n) * kEps);
}

/// ‖QᵀQ − I‖/(n ε).
inline double orthogonality(const Matrix<double>& q) {
  Matrix<double> r = plain_product(transposed(q), q);
  for (std::size_t i = 0; i < r.rows(); ++i) r(i, i) -= 1;
  return ratio(r, 1, q.rows());
}

}  // namespace telos::test
