#pragma once

#include <complex>
#include <vector>

#include "telos/base/matrix.h"

// All may run in several threads at once. The first call sets OpenBLAS, in the whole process, to one thread
// of its own.

namespace telos {

/// A = V diag(values) Vᵀ for symmetric A (the lower triangle is read); values ascending, eigenvectors are the
/// columns of `vectors` (empty unless asked for). LAPACK dsyevd. Throws kShape, kNotFinite, kNoConvergence.
/// Cost about 4n³/3 (values), 9n³ (vectors) flops.
struct SymmetricEigen {
  std::vector<double> values;
  Matrix<double> vectors;
};
SymmetricEigen symmetric_eigen(ConstMatrixView<double> a, bool vectors = false);

/// Eigenvalues of a general real matrix, complex pairs adjacent (positive imaginary part first), in LAPACK's
/// order. LAPACK dgeevx with balancing (permute and scale).
struct GeneralEigen {
  std::vector<std::complex<double>> values;
  /// Condition number of each eigenvalue, 1/|yᴴx| for unit left and right eigenvectors y, x (≥ 1): a
  /// perturbation E of A moves the eigenvalue by at most about condition·‖E‖₂. Empty unless asked for.
  std::vector<double> condition;
  Matrix<std::complex<double>> right;  ///< unit right eigenvectors as columns; empty unless asked for
  Matrix<std::complex<double>>
      left;  ///< unit left eigenvectors as columns, yᴴA = λyᴴ; empty unless asked for
};
struct GeneralEigenOptions {
  bool condition = false;
  bool vectors = false;
};
/// Throws kShape, kNotFinite, kNoConvergence. Cost about 10n³ (values), 25n³ (vectors) flops.
GeneralEigen general_eigen(ConstMatrixView<double> a, GeneralEigenOptions options = {});

/// Singular values of an m×n matrix, descending. LAPACK dgesdd. Throws kNotFinite, kNoConvergence.
std::vector<double> singular_values(ConstMatrixView<double> a);

/// Thin SVD A = U diag(s) Vᵀ: U m×r, V n×r, r = min(m, n), s descending.
struct Svd {
  Matrix<double> u;
  std::vector<double> s;
  Matrix<double> v;
};
Svd svd(ConstMatrixView<double> a);

/// Lower triangular L with A = L Lᵀ for symmetric positive definite A (lower triangle read). LAPACK dpotrf.
/// Throws kNoConvergence naming the first pivot that is not positive.
Matrix<double> cholesky(ConstMatrixView<double> a);
/// Estimate of 1/κ₁(A) from its Cholesky factor and ‖A‖₁ (dpocon).
double cholesky_rcond(ConstMatrixView<double> l, double norm1);

/// Thin QR, A = Q R, A m×n with m ≥ n; the diagonal of R is made ≥ 0 so that Q is unique for full rank.
/// dgeqrf/dorgqr.
struct Qr {
  Matrix<double> q;  ///< m×n, orthonormal columns
  Matrix<double> r;  ///< n×n, upper triangular
};
Qr qr(ConstMatrixView<double> a);

/// Solves A X = B for square A by LU with partial pivoting (dgesv). Throws kNoConvergence if A is exactly
/// singular.
Matrix<double> solve(ConstMatrixView<double> a, ConstMatrixView<double> b);

/// Largest singular value, from dgesdd.
double spectral_norm(ConstMatrixView<double> a);
double frobenius_norm(ConstMatrixView<double> a);

/// LAPACK's vendor and core type as far as they can be asked, e.g. "OpenBLAS 0.3.21 Haswell".
const char* lapack_vendor();

}  // namespace telos
