#include "telos/linalg/decompositions.h"

#define lapack_complex_float std::complex<float>
#define lapack_complex_double std::complex<double>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <mutex>
#include <string>
#include <utility>

#include "linalg/shape_text.h"
#include "telos/base/error.h"

// Only OpenBLAS has these; with another BLAS they stay null.
extern "C" {
[[gnu::weak]] char* openblas_get_config();
[[gnu::weak]] char* openblas_get_corename();
[[gnu::weak]] int openblas_get_parallel();
[[gnu::weak]] void openblas_set_num_threads(int count);
}

// LAPACK stores matrices by columns, telos by rows. The same memory read by LAPACK is the transpose. Where A
// or its factors are symmetric under that exchange (symmetric A: its lower triangle is LAPACK's upper one;
// SVD: U and V change places) the memory is handed over as it is; elsewhere the matrix is transposed on the
// way in and out, O(n²) beside O(n³). Only the *_work functions of LAPACKE are called, each under a
// LapackTurn: they neither print, nor read the environment, nor search for NaN on their own.
namespace telos {
namespace {

/// Held during a call of LAPACK. LAPACK is reentrant, and OpenBLAS with threads locks the buffers that its
/// calls share: with one thread of its own it may run in several of ours. Built without threads (or with
/// those of OpenMP) it does not lock them: two calls at once then give wrong numbers now and then, and take
/// turns here.
class LapackTurn {
 public:
  LapackTurn() {
    static std::mutex turn;
    if (calls_take_turns()) lock_ = std::unique_lock(turn);
  }

 private:
  static bool calls_take_turns() {
    static const bool turns = [] {
      if (openblas_get_parallel == nullptr || openblas_set_num_threads == nullptr) return false;
      constexpr int kThreads = 1;  // what openblas_get_parallel() says of a build with pthreads
      openblas_set_num_threads(1);
      return openblas_get_parallel() != kThreads;
    }();
    return turns;
  }
  std::unique_lock<std::mutex> lock_;
};

// LAPACK counts in 32-bit integers; the largest workspace (dsyevd) is 2n² + 6n + 1.
constexpr std::size_t kMaxOrder = 32000;

void require_finite(const char* where, ConstMatrixView<double> a) {
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j)
      if (!std::isfinite(a(i, j)))
        throw Error(ErrorKind::kNotFinite, where,
                    "element (" + std::to_string(i) + ", " + std::to_string(j) + ") of the " +
                        shape_text(a.rows(), a.cols()) + " matrix is " +
                        (std::isnan(a(i, j)) ? "NaN" : "infinite"),
                    "look for NaN or Inf in the data that the matrix comes from");
}

void require_order(const char* where, ConstMatrixView<double> a) {
  if (std::max(a.rows(), a.cols()) > kMaxOrder)
    throw Error(ErrorKind::kLimit, where,
                "matrix is " + shape_text(a.rows(), a.cols()) + ", at most " + std::to_string(kMaxOrder) +
                    " rows and columns fit into LAPACK's 32-bit integers");
}

void require_square(const char* where, ConstMatrixView<double> a) {
  if (a.rows() != a.cols())
    throw Error(ErrorKind::kShape, where,
                "matrix is " + shape_text(a.rows(), a.cols()) + ", expected a square one");
}

void check_input(const char* where, ConstMatrixView<double> a) {
  require_order(where, a);
  require_finite(where, a);
}

void check_square_input(const char* where, ConstMatrixView<double> a) {
  require_square(where, a);
  check_input(where, a);
}

[[noreturn]] void fail(const char* where, const char* routine, lapack_int info, const std::string& what) {
  if (info < 0)
    throw Error(ErrorKind::kInternal, where,
                std::string(routine) + " rejected its argument " + std::to_string(-info),
                "please report this");
  throw Error(ErrorKind::kNoConvergence, where,
              what + " (LAPACK " + routine + ", info " + std::to_string(info) + ")");
}

lapack_int to_int(std::size_t n) {
  return static_cast<lapack_int>(n);
}

Matrix<double> copy_of(ConstMatrixView<double> a) {
  Matrix<double> out(a.rows(), a.cols());
  for (std::size_t i = 0; i < a.rows(); ++i) std::copy_n(a.row(i), a.cols(), out.row(i));
  return out;
}

// Blocks of 16 keep both sides in the cache.
Matrix<double> transpose_of(ConstMatrixView<double> a) {
  constexpr std::size_t kBlock = 16;
  Matrix<double> out(a.cols(), a.rows());
  for (std::size_t i0 = 0; i0 < a.rows(); i0 += kBlock)
    for (std::size_t j0 = 0; j0 < a.cols(); j0 += kBlock)
      for (std::size_t i = i0; i < std::min(i0 + kBlock, a.rows()); ++i)
        for (std::size_t j = j0; j < std::min(j0 + kBlock, a.cols()); ++j) out(j, i) = a(i, j);
  return out;
}

// Runs a *_work function twice: first for the size of its workspace, then in earnest. `call(work, lwork)`.
template <class Call>
lapack_int with_workspace(Call call) {
  const LapackTurn turn;
  double size = 0;
  const lapack_int info = call(&size, -1);
  if (info != 0) return info;
  std::vector<double> work(static_cast<std::size_t>(std::max(size, 1.0)));
  return call(work.data(), static_cast<lapack_int>(work.size()));
}

// Real eigenvectors as LAPACK packs them (a complex pair in two columns, real and imaginary part; here each
// column is a row of `packed`) → complex columns of unit length.
Matrix<std::complex<double>> unpack_vectors(const Matrix<double>& packed,
                                            const std::vector<double>& imaginary) {
  const std::size_t n = packed.rows();
  Matrix<std::complex<double>> out(n, n);
  for (std::size_t j = 0; j < n; ++j) {
    const bool pair = imaginary[j] != 0 && j + 1 < n;
    for (std::size_t i = 0; i < n; ++i) {
      if (!pair) {
        out(i, j) = packed(j, i);
      } else {
        out(i, j) = {packed(j, i), packed(j + 1, i)};
        out(i, j + 1) = std::conj(out(i, j));
      }
    }
    if (pair) ++j;
  }
  return out;
}

std::vector<double> conditions(const Matrix<std::complex<double>>& left,
                               const Matrix<std::complex<double>>& right) {
  const std::size_t n = left.rows();
  std::vector<double> out(n);
  for (std::size_t j = 0; j < n; ++j) {
    std::complex<double> product = 0;
    for (std::size_t i = 0; i < n; ++i) product += std::conj(left(i, j)) * right(i, j);
    const double cosine = std::abs(product);
    out[j] = cosine > 0 ? std::max(1.0, 1 / cosine) : std::numeric_limits<double>::infinity();
  }
  return out;
}

}  // namespace

SymmetricEigen symmetric_eigen(ConstMatrixView<double> a, bool vectors) {
  constexpr const char* kWhere = "symmetric_eigen";
  require_square(kWhere, a);
  require_order(kWhere, a);
  const std::size_t n = a.rows();
  Matrix<double> work_matrix(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    require_finite(kWhere, a.block(i, 0, 1, i + 1));
    std::copy_n(a.row(i), i + 1, work_matrix.row(i));
  }
  SymmetricEigen out;
  out.values.resize(n);
  if (n == 0) return out;
  const lapack_int order = to_int(n);
  lapack_int integer_size = 0;
  double size = 0;
  const char job = vectors ? 'V' : 'N';
  const LapackTurn turn;
  lapack_int info = LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'U', order, work_matrix.data(), order,
                                        out.values.data(), &size, -1, &integer_size, -1);
  if (info == 0) {
    std::vector<double> work(static_cast<std::size_t>(size));
    std::vector<lapack_int> integers(static_cast<std::size_t>(integer_size));
    info =
        LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, job, 'U', order, work_matrix.data(), order, out.values.data(),
                            work.data(), to_int(work.size()), integers.data(), to_int(integers.size()));
  }
  if (info != 0) fail(kWhere, "dsyevd", info, "the eigenvalue iteration did not converge");
  if (vectors) out.vectors = transpose_of(work_matrix);
  return out;
}

GeneralEigen general_eigen(ConstMatrixView<double> a, GeneralEigenOptions options) {
  constexpr const char* kWhere = "general_eigen";
  check_square_input(kWhere, a);
  const std::size_t n = a.rows();
  GeneralEigen out;
  if (n == 0) return out;
  const bool with_vectors = options.vectors || options.condition;
  Matrix<double> by_columns = transpose_of(a);
  std::vector<double> real(n), imaginary(n), scale(n);
  Matrix<double> left(with_vectors ? n : 0, n), right(with_vectors ? n : 0, n);
  const lapack_int order = to_int(n);
  const char job = with_vectors ? 'V' : 'N';
  lapack_int low = 0, high = 0;
  double norm = 0, unused = 0;
  const lapack_int info = with_workspace([&](double* work, lapack_int size) {
    // LAPACK's own condition numbers (sense = 'E') would be those of the balanced matrix; A's follow from the
    // vectors.
    return LAPACKE_dgeevx_work(LAPACK_COL_MAJOR, 'B', job, job, 'N', order, by_columns.data(), order,
                               real.data(), imaginary.data(), left.data(), order, right.data(), order, &low,
                               &high, scale.data(), &norm, &unused, &unused, work, size, nullptr);
  });
  if (info != 0) fail(kWhere, "dgeevx", info, "the QR iteration did not converge");
  out.values.resize(n);
  for (std::size_t i = 0; i < n; ++i) out.values[i] = {real[i], imaginary[i]};
  if (!with_vectors) return out;
  out.left = unpack_vectors(left, imaginary);
  out.right = unpack_vectors(right, imaginary);
  if (options.condition) out.condition = conditions(out.left, out.right);
  if (!options.vectors) {
    out.left = {};
    out.right = {};
  }
  return out;
}

namespace {

// Thin SVD of the memory of A (m×n by rows) read as Aᵀ = V S Uᵀ (n×m by columns). On return `v_rows` holds V
// by columns, that is Vᵀ by rows (r×n), and `u` holds Uᵀ by columns, that is U by rows (m×r).
void run_gesdd(const char* where, ConstMatrixView<double> a, bool vectors, std::vector<double>& s,
               Matrix<double>& u, Matrix<double>& v_rows) {
  check_input(where, a);
  const std::size_t m = a.rows(), n = a.cols(), r = std::min(m, n);
  s.assign(r, 0.0);
  if (vectors) {
    u = Matrix<double>(m, r);
    v_rows = Matrix<double>(r, n);
  }
  if (r == 0) return;
  Matrix<double> copy = copy_of(a);
  std::vector<lapack_int> integers(8 * r);
  const lapack_int info = with_workspace([&](double* work, lapack_int size) {
    return LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, vectors ? 'S' : 'N', to_int(n), to_int(m), copy.data(),
                               to_int(n), s.data(), v_rows.data(), to_int(n), u.data(), to_int(r), work, size,
                               integers.data());
  });
  if (info != 0) fail(where, "dgesdd", info, "the singular value iteration did not converge");
}

}  // namespace

std::vector<double> singular_values(ConstMatrixView<double> a) {
  std::vector<double> s;
  Matrix<double> u, v;
  run_gesdd("singular_values", a, false, s, u, v);
  return s;
}

Svd svd(ConstMatrixView<double> a) {
  Svd out;
  Matrix<double> v_rows;
  run_gesdd("svd", a, true, out.s, out.u, v_rows);
  out.v = transpose_of(v_rows);
  return out;
}

Matrix<double> cholesky(ConstMatrixView<double> a) {
  constexpr const char* kWhere = "cholesky";
  require_square(kWhere, a);
  require_order(kWhere, a);
  const std::size_t n = a.rows();
  Matrix<double> l(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    require_finite(kWhere, a.block(i, 0, 1, i + 1));
    std::copy_n(a.row(i), i + 1, l.row(i));
  }
  if (n == 0) return l;
  const LapackTurn turn;
  const lapack_int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', to_int(n), l.data(), to_int(n));
  if (info > 0)
    throw Error(ErrorKind::kNoConvergence, kWhere,
                "matrix is not positive definite: pivot " + std::to_string(info) + " of " +
                    std::to_string(n) + " is not positive",
                "add a multiple of the identity (jitter), or use symmetric_eigen");
  if (info != 0) fail(kWhere, "dpotrf", info, "");
  return l;
}

double cholesky_rcond(ConstMatrixView<double> l, double norm1) {
  constexpr const char* kWhere = "cholesky_rcond";
  check_square_input(kWhere, l);
  if (!std::isfinite(norm1) || norm1 < 0)
    throw Error(ErrorKind::kUsage, kWhere,
                "the 1-norm is " + std::to_string(norm1) + ", expected a finite number >= 0");
  const std::size_t n = l.rows();
  if (n == 0) return 1;
  const Matrix<double> copy = copy_of(l);
  std::vector<double> work(3 * n);
  std::vector<lapack_int> integers(n);
  double rcond = 0;
  const LapackTurn turn;
  const lapack_int info = LAPACKE_dpocon_work(LAPACK_COL_MAJOR, 'U', to_int(n), copy.data(), to_int(n), norm1,
                                              &rcond, work.data(), integers.data());
  if (info != 0) fail(kWhere, "dpocon", info, "the condition estimate failed");
  return rcond;
}

Qr qr(ConstMatrixView<double> a) {
  constexpr const char* kWhere = "qr";
  if (a.rows() < a.cols())
    throw Error(
        ErrorKind::kShape, kWhere,
        "matrix is " + shape_text(a.rows(), a.cols()) + ", expected at least as many rows as columns");
  check_input(kWhere, a);
  const std::size_t m = a.rows(), n = a.cols();
  Qr out{Matrix<double>(m, n), Matrix<double>(n, n)};
  if (n == 0) return out;
  Matrix<double> by_columns = transpose_of(a);
  std::vector<double> tau(n);
  lapack_int info = with_workspace([&](double* work, lapack_int size) {
    return LAPACKE_dgeqrf_work(LAPACK_COL_MAJOR, to_int(m), to_int(n), by_columns.data(), to_int(m),
                               tau.data(), work, size);
  });
  if (info != 0) fail(kWhere, "dgeqrf", info, "the factorisation failed");
  std::vector<double> sign(n);
  for (std::size_t i = 0; i < n; ++i) {
    sign[i] = std::signbit(by_columns(i, i)) ? -1.0 : 1.0;
    for (std::size_t j = i; j < n; ++j) out.r(i, j) = sign[i] * by_columns(j, i);
  }
  info = with_workspace([&](double* work, lapack_int size) {
    return LAPACKE_dorgqr_work(LAPACK_COL_MAJOR, to_int(m), to_int(n), to_int(n), by_columns.data(),
                               to_int(m), tau.data(), work, size);
  });
  if (info != 0) fail(kWhere, "dorgqr", info, "the factorisation failed");
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) out.q(i, j) = sign[j] * by_columns(j, i);
  return out;
}

Matrix<double> solve(ConstMatrixView<double> a, ConstMatrixView<double> b) {
  constexpr const char* kWhere = "solve";
  check_square_input(kWhere, a);
  if (b.rows() != a.rows())
    throw Error(
        ErrorKind::kShape, kWhere,
        "right-hand side has " + std::to_string(b.rows()) + " rows, expected " + std::to_string(a.rows()));
  check_input(kWhere, b);
  const std::size_t n = a.rows(), count = b.cols();
  if (n == 0 || count == 0) return Matrix<double>(n, count);
  Matrix<double> by_columns = transpose_of(a), x = transpose_of(b);
  std::vector<lapack_int> pivots(n);
  const LapackTurn turn;
  const lapack_int info = LAPACKE_dgesv_work(LAPACK_COL_MAJOR, to_int(n), to_int(count), by_columns.data(),
                                             to_int(n), pivots.data(), x.data(), to_int(n));
  if (info != 0)
    fail(kWhere, "dgesv", info, "the matrix is singular: pivot " + std::to_string(info) + " is zero");
  return transpose_of(x);
}

double spectral_norm(ConstMatrixView<double> a) {
  std::vector<double> s;
  Matrix<double> u, v;
  run_gesdd("spectral_norm", a, false, s, u, v);
  return s.empty() ? 0.0 : s.front();
}

double frobenius_norm(ConstMatrixView<double> a) {
  require_finite("frobenius_norm", a);
  double largest = 0;
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) largest = std::max(largest, std::abs(a(i, j)));
  if (largest == 0) return 0;
  // Scaling by a power of two costs no accuracy and keeps the squares from overflow and underflow.
  int exponent = 0;
  std::frexp(largest, &exponent);
  exponent = std::clamp(exponent, -1000, 1000);
  const double scale = std::ldexp(1.0, -exponent);
  double sum = 0;
  for (std::size_t i = 0; i < a.rows(); ++i) {
    double row = 0;
    for (std::size_t j = 0; j < a.cols(); ++j) {
      const double t = scale * a(i, j);
      row = std::fma(t, t, row);
    }
    sum += row;
  }
  return std::ldexp(std::sqrt(sum), exponent);
}

const char* lapack_vendor() {
  static const std::string text = [] {
    if (openblas_get_config != nullptr && openblas_get_corename != nullptr) {
      const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 DYNAMIC_ARCH … SINGLE_THREADED"
      const std::size_t second = config.find(' ', config.find(' ') + 1);
      return config.substr(0, second) + " " + openblas_get_corename();
    }
    lapack_int major = 0, minor = 0, patch = 0;
    LAPACKE_ilaver(&major, &minor, &patch);
    return "LAPACK " + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  }();
  return text.c_str();
}

}  // namespace telos
