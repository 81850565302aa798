// Principal components of the windows of a text.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"
#include "telos/symmetry/corpus.h"

namespace telos::symmetry {
namespace {

double diagonal_entry(const Covariance& c, std::size_t b, std::size_t v, std::size_t w) {
  return (v == w ? c.means(b, v) : 0) - c.means(b, v) * c.means(b, w);
}

/// The lower triangle of C, row b K + v.
Matrix<double> dense(const Covariance& c) {
  const std::size_t k = c.letters(), length = c.length();
  Matrix<double> full(length * k, length * k);
  for (std::size_t b = 0; b < length; ++b)
    for (std::size_t v = 0; v < k; ++v)
      for (std::size_t w = 0; w < k; ++w) {
        full(b * k + v, b * k + w) = diagonal_entry(c, b, v, w);
        for (std::size_t p = b + 1; p < length; ++p) full(p * k + w, b * k + v) = c.pairs(b, p)(v, w);
      }
  return full;
}

/// Eigenvalues of D + (L−1)O and, L − 1 times each, of D − O, the largest first.
std::vector<double> exchangeable_spectrum(const Covariance& c) {
  const std::size_t k = c.letters(), length = c.length();
  const double l = static_cast<double>(length);
  Matrix<double> same(k, k), rest(k, k);
  for (std::size_t v = 0; v < k; ++v)
    for (std::size_t w = 0; w < k; ++w) {
      double diagonal = 0, other = 0;
      for (std::size_t b = 0; b < length; ++b) {
        diagonal += diagonal_entry(c, b, v, w);
        for (std::size_t p = b + 1; p < length; ++p) other += c.pairs(b, p)(v, w) + c.pairs(b, p)(w, v);
      }
      diagonal /= l;
      other /= l * (l - 1);
      same(v, w) = diagonal + (l - 1) * other;
      rest(v, w) = diagonal - other;
    }
  std::vector<double> values = symmetric_eigen(same).values;
  for (const double value : symmetric_eigen(rest).values) values.insert(values.end(), length - 1, value);
  std::sort(values.begin(), values.end(), std::greater<>());
  return values;
}

/// |Σ_b u_b|²/L of column `column` of `vectors`.
double trivial_share(ConstMatrixView<double> vectors, std::size_t column, std::size_t letters,
                     std::size_t length) {
  double share = 0;
  for (std::size_t v = 0; v < letters; ++v) {
    double sum = 0;
    for (std::size_t b = 0; b < length; ++b) sum += vectors(b * letters + v, column);
    share += sum * sum;
  }
  return share / static_cast<double>(length);
}

}  // namespace

Components components(const Covariance& c) {
  const std::size_t features = c.letters() * c.length();
  if (features > kMostFeatures)
    throw Error(
        ErrorKind::kLimit, "corpus",
        fmt::format("{} features have no principal components here, at most {} do", features, kMostFeatures));
  const SymmetricEigen eigen = symmetric_eigen(dense(c), true);
  Components found;
  found.predicted = exchangeable_spectrum(c);
  for (std::size_t i = features; i-- > 0;) {
    found.variances.push_back(eigen.values[i]);
    found.trivial.push_back(trivial_share(eigen.vectors, i, c.letters(), c.length()));
  }
  return found;
}

}  // namespace telos::symmetry
