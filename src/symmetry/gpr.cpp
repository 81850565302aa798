#include "telos/symmetry/gpr.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <utility>

#include "telos/base/error.h"
#include "telos/linalg/cholesky.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"

namespace telos::symmetry {
namespace {

constexpr std::size_t kMostForEigenvalues = 2000;

void require_gram(const Matrix<double>& gram, double ridge) {
  if (gram.rows() != gram.cols())
    throw Error(ErrorKind::kShape, "Gram matrix",
                fmt::format("is {} × {}, expected a square one", gram.rows(), gram.cols()));
  if (gram.empty()) throw Error(ErrorKind::kUsage, "Gram matrix", "there is no sample");
  if (!std::isfinite(ridge) || ridge < 0)
    throw Error(ErrorKind::kUsage, "ridge", fmt::format("expected a number of 0 or more, found {}", ridge));
  for (std::size_t i = 0; i < gram.rows(); ++i)
    for (std::size_t j = 0; j < gram.cols(); ++j)
      if (!std::isfinite(gram(i, j)))
        throw Error(ErrorKind::kNotFinite, "Gram matrix",
                    fmt::format("element ({}, {}) is {}", i, j, gram(i, j)));
}

/// Two samples that no kernel could tell apart: k(x, x) = k(x, y) = k(y, y).
std::string duplicate_samples(const Matrix<double>& gram) {
  for (std::size_t i = 0; i < gram.rows(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      const double least = gram(i, j) * (1 + 1e-14);
      if (gram(i, i) <= least && gram(j, j) <= least)
        return fmt::format("; samples {} and {} are the same to it (duplicate sequences?)", j, i);
    }
  return {};
}

/// Puts the lower triangle back, from what is above it and the diagonal.
void restore_lower(Matrix<double>& gram, std::span<const double> diagonal) {
  for (std::size_t i = 0; i < gram.rows(); ++i) {
    for (std::size_t j = 0; j < i; ++j) gram(i, j) = gram(j, i);
    gram(i, i) = diagonal[i];
  }
}

[[noreturn]] void not_positive_definite(Matrix<double> gram, std::span<const double> diagonal, double ridge,
                                        std::size_t pivot) {
  restore_lower(gram, diagonal);
  std::string smallest;
  if (gram.rows() <= kMostForEigenvalues)
    smallest = fmt::format(", its smallest eigenvalue is {:.3g}", symmetric_eigen(gram).values.front());
  const double largest = *std::max_element(diagonal.begin(), diagonal.end());
  throw Error(ErrorKind::kNoConvergence, "Gram matrix",
              fmt::format("of order {} with ridge {} is not positive definite{} (pivot {} vanishes){}",
                          gram.rows(), ridge, smallest, pivot, duplicate_samples(gram)),
              fmt::format("take a ridge above {:.1g}, or fewer and different samples",
                          std::max(ridge, 1e-10 * std::abs(largest))));
}

}  // namespace

double gpr_seconds(std::size_t n, std::size_t outputs) {
  const double order = static_cast<double>(n), rate = 2e10;
  return (order * order * order / 3 + 2 * order * order * static_cast<double>(outputs)) / rate;
}

GaussianProcess::GaussianProcess(Matrix<double> gram, double ridge, const Arena& arena) : ridge_(ridge) {
  require_gram(gram, ridge);
  const std::size_t n = gram.rows();
  std::vector<double> diagonal(n);
  for (std::size_t i = 0; i < n; ++i) {
    diagonal[i] = gram(i, i);
    gram(i, i) += ridge;
  }
  const double tolerance = static_cast<double>(n) * std::numeric_limits<double>::epsilon();
  if (const std::size_t done = cholesky_in_place(gram, tolerance, arena); done < n)
    not_positive_definite(std::move(gram), diagonal, ridge, done);
  factor_ = std::move(gram);
}

double GaussianProcess::log_determinant() const {
  double sum = 0;
  for (std::size_t i = 0; i < samples(); ++i) sum += std::log(factor_(i, i));
  return 2 * sum;
}

Matrix<double> GaussianProcess::weights(ConstMatrixView<double> labels, const Arena& arena) const {
  Matrix<double> alpha(labels.rows(), labels.cols());
  for (std::size_t i = 0; i < labels.rows(); ++i) std::copy_n(labels.row(i), labels.cols(), alpha.row(i));
  solve_lower(factor_, alpha, arena);
  solve_lower_transposed(factor_, alpha, arena);
  return alpha;
}

std::vector<double> GaussianProcess::variances(ConstMatrixView<double> cross, std::span<const double> prior,
                                               const Arena& arena) const {
  if (cross.cols() != samples() || prior.size() != cross.rows())
    throw Error(ErrorKind::kShape, "variances",
                fmt::format("{} × {} kernel values and {} of test points, expected {} columns", cross.rows(),
                            cross.cols(), prior.size(), samples()));
  Matrix<double> half(samples(), cross.rows());
  for (std::size_t t = 0; t < cross.rows(); ++t)
    for (std::size_t p = 0; p < samples(); ++p) half(p, t) = cross(t, p);
  solve_lower(factor_, half, arena);
  std::vector<double> variance(prior.begin(), prior.end());
  for (std::size_t p = 0; p < samples(); ++p)
    for (std::size_t t = 0; t < cross.rows(); ++t) variance[t] -= half(p, t) * half(p, t);
  return variance;
}

std::vector<double> GaussianProcess::log_evidence(ConstMatrixView<double> labels,
                                                  ConstMatrixView<double> weights) const {
  if (labels.rows() != samples() || weights.rows() != samples() || labels.cols() != weights.cols())
    throw Error(ErrorKind::kShape, "log_evidence",
                fmt::format("{} × {} labels and {} × {} weights of {} samples", labels.rows(), labels.cols(),
                            weights.rows(), weights.cols(), samples()));
  const double constant =
      -(log_determinant() + static_cast<double>(samples()) * std::log(2 * std::numbers::pi)) / 2;
  std::vector<double> evidence(labels.cols(), constant);
  for (std::size_t i = 0; i < samples(); ++i)
    for (std::size_t j = 0; j < labels.cols(); ++j) evidence[j] -= labels(i, j) * weights(i, j) / 2;
  return evidence;
}

Matrix<double> predict(ConstMatrixView<double> cross, ConstMatrixView<double> weights, const Arena& arena) {
  Matrix<double> means(cross.rows(), weights.cols());
  gemm<double>(Op::kPlain, Op::kPlain, 1, cross, weights, 0, means, arena);
  return means;
}

}  // namespace telos::symmetry
