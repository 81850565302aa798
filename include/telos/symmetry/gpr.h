#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"

// Regression with a Gaussian process whose kernel is that of an infinitely wide network: what the network's
// posterior, given P samples y = g(x) + noise, predicts.

namespace telos::symmetry {

/// Seconds that a GaussianProcess of n samples and `outputs` columns of labels takes on one thread of an
/// ordinary core; an estimate.
double gpr_seconds(std::size_t n, std::size_t outputs);

/// Exact, by Cholesky of K + rI. Same bits for any number of threads.
class GaussianProcess {
 public:
  /// Takes the Gram matrix K (n × n, symmetric) and factorises it in its own memory. Ridge r ≥ 0 is the
  /// variance of the observation noise; r = 0 interpolates. Throws kShape, kNotFinite, kUsage (no sample,
  /// r < 0), kNoConvergence: K + rI is not positive definite to working precision, naming the smallest
  /// eigenvalue (up to 2,000 samples), two samples with the same row if there are any, and the remedy.
  /// n³/3 flops.
  GaussianProcess(Matrix<double> gram, double ridge, const Arena& arena);

  std::size_t samples() const { return factor_.rows(); }
  double ridge() const { return ridge_; }
  /// log det(K + rI).
  double log_determinant() const;
  /// α = (K + rI)⁻¹ y for each column of y (n × m): the mean at x is Σ_p k(x, x_p) α_p. Throws kShape.
  Matrix<double> weights(ConstMatrixView<double> labels, const Arena& arena) const;
  /// k(x, x) − k(x, X) (K + rI)⁻¹ k(X, x), for rows of `cross` (t × n, k of test with training points) and t
  /// values of k(x, x): the variance of the clean function. Throws kShape. t n² flops.
  std::vector<double> variances(ConstMatrixView<double> cross, std::span<const double> prior,
                                const Arena& arena) const;
  /// −yᵀα/2 − log det(K + rI)/2 − n log(2π)/2 for each column, α = weights(y).
  std::vector<double> log_evidence(ConstMatrixView<double> labels, ConstMatrixView<double> weights) const;

 private:
  Matrix<double> factor_;  ///< lower triangle
  double ridge_;
};

/// Means: cross (t × n) times weights (n × m).
Matrix<double> predict(ConstMatrixView<double> cross, ConstMatrixView<double> weights, const Arena& arena);

}  // namespace telos::symmetry
