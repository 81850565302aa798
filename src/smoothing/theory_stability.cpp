// Post-norm layers: the collapsed state and whether it attracts (docs/smoothing.md, "Normalisation").
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/linalg/decompositions.h"
#include "telos/smoothing/theory.h"

namespace telos::smoothing {

namespace {

struct RowStatistics {
  double mean = 0, sigma = 0;
};

RowStatistics row_statistics(std::span<const double> row, const NormParameters& norm) {
  const double d = static_cast<double>(row.size());
  RowStatistics out;
  if (!norm.rms) {
    for (double value : row) out.mean += value;
    out.mean /= d;
  }
  double variance = 0;
  for (double value : row) variance += (value - out.mean) * (value - out.mean);
  out.sigma = std::sqrt(variance / d + norm.eps);
  return out;
}

void check_norm(const NormParameters& norm, std::size_t d) {
  const auto check = [&](const char* name, std::size_t size) {
    if (size != 0 && size != d)
      throw Error(ErrorKind::kShape, name,
                  std::to_string(size) + " values for tokens of width " + std::to_string(d));
  };
  check("norm gamma", norm.gamma.size());
  check("norm beta", norm.beta.size());
}

double gamma_at(const NormParameters& norm, std::size_t j) {
  return norm.gamma.empty() ? 1 : norm.gamma[j];
}

void norm_row(std::span<const double> row, const NormParameters& norm, double* out) {
  const RowStatistics s = row_statistics(row, norm);
  for (std::size_t j = 0; j < row.size(); ++j)
    out[j] = gamma_at(norm, j) * ((row[j] - s.mean) / s.sigma) + (norm.beta.empty() ? 0 : norm.beta[j]);
}

// x + xH.
std::vector<double> residual_step(std::span<const double> x, ConstMatrixView<double> h) {
  std::vector<double> y(x.begin(), x.end());
  for (std::size_t k = 0; k < x.size(); ++k)
    for (std::size_t j = 0; j < x.size(); ++j) y[j] += x[k] * h(k, j);
  return y;
}

// J = (1/σ)(C − ẑẑᵀ/d)Γ, the derivative of norm at y in row form: δ ↦ δJ.
Matrix<double> norm_jacobian(std::span<const double> y, const NormParameters& norm) {
  const std::size_t d = y.size();
  const double width = static_cast<double>(d);
  const RowStatistics s = row_statistics(y, norm);
  Matrix<double> jacobian(d, d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      const double zi = (y[i] - s.mean) / s.sigma, zj = (y[j] - s.mean) / s.sigma;
      const double centring = (i == j ? 1.0 : 0.0) - (norm.rms ? 0.0 : 1 / width);
      jacobian(i, j) = (centring - zi * zj / width) / s.sigma * gamma_at(norm, j);
    }
  return jacobian;
}

// (I + λH) J as a real matrix: of size d for real λ; of size 2d, [[Re, −Im], [Im, Re]], for complex λ, whose
// eigenvalues are those of the complex matrix and their conjugates.
Matrix<double> mode_jacobian(Complex lambda, ConstMatrixView<double> h, const Matrix<double>& jacobian) {
  const std::size_t d = h.rows();
  Matrix<double> hj(d, d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t k = 0; k < d; ++k)
      for (std::size_t j = 0; j < d; ++j) hj(i, j) += h(i, k) * jacobian(k, j);
  const bool complex = lambda.imag() != 0;
  Matrix<double> out(complex ? 2 * d : d, complex ? 2 * d : d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      const double real = jacobian(i, j) + lambda.real() * hj(i, j);
      out(i, j) = real;
      if (!complex) continue;
      const double imaginary = lambda.imag() * hj(i, j);
      out(i + d, j + d) = real;
      out(i, j + d) = -imaginary;
      out(i + d, j) = imaginary;
    }
  return out;
}

}  // namespace

Matrix<double> apply_norm(ConstMatrixView<double> x, const NormParameters& norm) {
  check_norm(norm, x.cols());
  Matrix<double> out(x.rows(), x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i) norm_row({x.row(i), x.cols()}, norm, out.row(i));
  return out;
}

CollapseStability collapse_stability(std::span<const Complex> lambda, ConstMatrixView<double> h,
                                     const NormParameters& norm, std::span<const double> start,
                                     std::size_t iterations) {
  const std::size_t d = h.rows();
  if (h.cols() != d || start.size() != d || d == 0)
    throw Error(ErrorKind::kShape, "collapse_stability",
                "H is " + std::to_string(h.rows()) + "×" + std::to_string(h.cols()) + " and the start has " +
                    std::to_string(start.size()) + " values; expected d×d and d");
  check_norm(norm, d);

  CollapseStability out;
  out.growth = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> x(start.begin(), start.end()), next(d);
  for (std::size_t step = 0; step < iterations && !out.fixed_point_found; ++step) {
    if (step % 256 == 0) check_interrupt();
    norm_row(residual_step(x, h), norm, next.data());
    double moved = 0, size = 0;
    for (std::size_t j = 0; j < d; ++j) {
      moved = std::max(moved, std::abs(next[j] - x[j]));
      size = std::max(size, std::abs(next[j]));
    }
    if (!std::isfinite(size))
      throw Error(ErrorKind::kNotFinite, "collapse_stability", "the iteration x ← norm(x + xH) overflows");
    out.fixed_point_found = moved <= 1e-13 * size;
    x.swap(next);
  }
  out.fixed_point = x;
  if (!out.fixed_point_found) return out;

  const Matrix<double> jacobian = norm_jacobian(residual_step(x, h), norm);
  out.growth = 0;
  for (Complex value : lambda) {
    if (value.imag() < 0) continue;  // its conjugate gives the same radius
    for (Complex z : general_eigen(mode_jacobian(value, h, jacobian)).values)
      out.growth = std::max(out.growth, std::abs(z));
  }
  out.attracts = out.growth < 1;
  return out;
}

}  // namespace telos::smoothing
