// The spectrum of one attention matrix: directly where it is cheap (causal, small n), by Krylov methods with
// checked residuals where it is not.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/vecmath.h"
#include "telos/smoothing/theory.h"

namespace telos::smoothing {

namespace {

using Vector = std::vector<double>;

// A and Aᵀ in double, so that both products run along rows.
struct Attention {
  Matrix<double> a, at;
  std::size_t n() const { return a.rows(); }
};

// y ← Σ_j x_j · row j of m = mᵀx.
void transposed_product(const Matrix<double>& m, const Vector& x, Vector& y) {
  std::fill(y.begin(), y.end(), 0.0);
  const std::size_t n = m.rows();
  std::size_t j = 0;
  for (; j + 4 <= n; j += 4) {
    const double *r0 = m.row(j), *r1 = m.row(j + 1), *r2 = m.row(j + 2), *r3 = m.row(j + 3);
    const double x0 = x[j], x1 = x[j + 1], x2 = x[j + 2], x3 = x[j + 3];
    for (std::size_t i = 0; i < n; ++i) y[i] += (x0 * r0[i] + x1 * r1[i]) + (x2 * r2[i] + x3 * r3[i]);
  }
  for (; j < n; ++j) {
    const double* r = m.row(j);
    for (std::size_t i = 0; i < n; ++i) y[i] += x[j] * r[i];
  }
}

void remove_mean(Vector& v) {
  const double mean = vec_sum<double>(v) / static_cast<double>(v.size());
  for (double& value : v) value -= mean;
}

// v ← PMPv with M = A or Aᵀ.
void apply_pap(const Matrix<double>& transposed, Vector& v, Vector& scratch) {
  remove_mean(v);
  transposed_product(transposed, v, scratch);
  remove_mean(scratch);
  v.swap(scratch);
}

Vector random_start(std::size_t n) {
  Random random(0x7E705, 0);  // any fixed start: the result does not depend on it beyond the stated residual
  Vector v(n);
  for (double& value : v) value = random.normal();
  return v;
}

double normalise(Vector& v) {
  const double norm = std::sqrt(vec_dot<double>(v, v));
  if (norm > 0)
    for (double& value : v) value /= norm;
  return norm;
}

// Removes from w its parts along the basis, twice (once is not enough in floating point); adds them to
// `parts`.
void orthogonalise(const std::vector<Vector>& basis, Vector& w, Vector& parts) {
  parts.assign(basis.size(), 0.0);
  for (int pass = 0; pass < 2; ++pass)
    for (std::size_t k = 0; k < basis.size(); ++k) {
      const double part = vec_dot<double>(basis[k], w);
      parts[k] += part;
      for (std::size_t i = 0; i < w.size(); ++i) w[i] -= part * basis[k][i];
    }
}

struct Iterative {
  double value = 0;
  double residual = 0;  // relative
  bool converged = false;
};

// σ_max of M by Lanczos on MᵀM: `gram` maps v to MᵀMv.
Iterative lanczos_sigma(std::size_t n, const std::function<void(Vector&)>& gram) {
  constexpr double kTolerance = 1e-8;
  constexpr std::size_t kMost = 64;
  std::vector<Vector> basis;
  Vector diagonal, off, parts, v = random_start(n);
  gram(v);  // lands in the range of MᵀM
  if (normalise(v) == 0) return {0, 0, true};
  Iterative out;
  for (std::size_t step = 1; step <= std::min(kMost, n); ++step) {
    basis.push_back(v);
    gram(v);
    diagonal.push_back(vec_dot<double>(basis.back(), v));
    orthogonalise(basis, v, parts);
    const double beta = normalise(v);
    const bool last = beta <= 1e-14 * diagonal[0] || step == n || step == kMost;
    if (last || step % 8 == 0) {
      Matrix<double> t(step, step);
      for (std::size_t k = 0; k < step; ++k) {
        t(k, k) = diagonal[k];
        if (k > 0) t(k, k - 1) = t(k - 1, k) = off[k - 1];
      }
      const SymmetricEigen eigen = symmetric_eigen(t, true);
      const double theta = eigen.values.back();
      out.value = std::sqrt(std::max(0.0, theta));
      out.residual = theta > 0 ? beta * std::abs(eigen.vectors(step - 1, step - 1)) / theta : 0;
      out.converged = out.residual <= kTolerance || step == n;
      if (out.converged || last) return out;
    }
    off.push_back(beta);
  }
  return out;
}

// Unit y with (H − θI) y ≈ 0 by one step of inverse iteration on the Hessenberg matrix H of size m; returns
// |y_m|, which times the next subdiagonal element is the residual of the Ritz pair.
double last_component(const Matrix<double>& hessenberg, std::size_t m, Complex theta) {
  Matrix<Complex> u(m, m);
  double norm = 0;
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < m; ++j) {
      u(i, j) = hessenberg(i, j);
      norm = std::max(norm, std::abs(hessenberg(i, j)));
      if (i == j) u(i, j) -= theta;
    }
  const double tiny = std::max(norm, 1e-300) * std::numeric_limits<double>::epsilon();
  std::vector<Complex> y(m, Complex(1 / std::sqrt(static_cast<double>(m))));
  // Two rounds: eliminate with row exchanges, solve U y = rhs, normalise.
  for (std::size_t k = 0; k + 1 < m; ++k) {
    if (std::abs(u(k + 1, k)) > std::abs(u(k, k))) {
      for (std::size_t j = k; j < m; ++j) std::swap(u(k, j), u(k + 1, j));
    }
    if (std::abs(u(k, k)) < tiny) u(k, k) = tiny;
    const Complex factor = u(k + 1, k) / u(k, k);
    for (std::size_t j = k; j < m; ++j) u(k + 1, j) -= factor * u(k, j);
  }
  if (std::abs(u(m - 1, m - 1)) < tiny) u(m - 1, m - 1) = tiny;
  double size = 0;
  for (std::size_t k = m; k-- > 0;) {
    Complex sum = y[k];
    for (std::size_t j = k + 1; j < m; ++j) sum -= u(k, j) * y[j];
    y[k] = sum / u(k, k);
  }
  for (Complex value : y) size += std::norm(value);
  return std::abs(y[m - 1]) / std::sqrt(size);
}

struct Extremes {
  double smallest_real = 0, second_modulus = 0, residual = 0;
  bool converged = false;
};

// Outermost eigenvalues of PAP by Arnoldi, the basis growing until both wanted Ritz pairs have small
// residuals. PAP has the eigenvalues of A with one λ = 1 replaced by 0 (its vector 1 is projected out; the
// iteration never sees it).
Extremes arnoldi_extremes(const Attention& attention) {
  constexpr double kTolerance = 1e-7;
  const std::size_t n = attention.n(), most = std::min<std::size_t>(n - 1, 120);
  std::vector<Vector> basis;
  Matrix<double> hessenberg(most + 1, most);
  Vector parts, scratch(n), v = random_start(n);
  remove_mean(v);
  normalise(v);
  Extremes out;
  double scale = 0;
  for (std::size_t step = 1; step <= most; ++step) {
    basis.push_back(v);
    apply_pap(attention.at, v, scratch);
    orthogonalise(basis, v, parts);
    const double beta = normalise(v);
    for (std::size_t k = 0; k < step; ++k) hessenberg(k, step - 1) = parts[k];
    hessenberg(step, step - 1) = beta;
    scale = std::max(scale, std::hypot(beta, std::sqrt(vec_dot<double>(parts, parts))));
    const bool last = step == most || beta <= 1e-14 * scale;
    if (!last && step % 24 != 0) continue;

    const std::vector<Complex> ritz =
        general_eigen(ConstMatrixView<double>(hessenberg).block(0, 0, step, step)).values;
    Complex largest = ritz[0], leftmost = ritz[0];
    for (Complex value : ritz) {
      if (std::abs(value) > std::abs(largest)) largest = value;
      if (value.real() < leftmost.real()) leftmost = value;
    }
    out.second_modulus = std::abs(largest);
    out.smallest_real = leftmost.real();
    out.residual = 0;
    if (beta > 1e-14 * scale)
      out.residual =
          beta / scale *
          std::max(last_component(hessenberg, step, largest), last_component(hessenberg, step, leftmost));
    // An invariant subspace found early may miss eigenvalues: then only a full solve is certain.
    out.converged = out.residual <= kTolerance && (step == n - 1 || beta > 1e-14 * scale);
    if (out.converged || last) return out;
  }
  return out;
}

template <class T>
Attention load(ConstMatrixView<T> a, double& row_sum_error) {
  const std::size_t n = a.rows();
  if (n == 0 || a.cols() != n)
    throw Error(ErrorKind::kShape, "attention",
                "expected a square matrix, found " + std::to_string(n) + "×" + std::to_string(a.cols()));
  Attention out{Matrix<double>(n, n), Matrix<double>(n, n)};
  row_sum_error = 0;
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
      const double value = static_cast<double>(a(i, j));
      out.a(i, j) = value;
      out.at(j, i) = value;
      sum += value;
    }
    if (!std::isfinite(sum))
      throw Error(ErrorKind::kNotFinite, "attention row " + std::to_string(i),
                  "expected finite numbers, found NaN or Inf");
    row_sum_error = std::max(row_sum_error, std::abs(sum - 1));
    if (std::abs(sum - 1) > 1e-2)
      throw Error(ErrorKind::kUsage, "attention row " + std::to_string(i),
                  "expected a sum of 1, found " + std::to_string(sum), "pass attention after its softmax");
  }
  return out;
}

void row_statistics(const Attention& attention, AttentionSpectrum& out) {
  const std::size_t n = attention.n();
  out.causal = n > 1;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const double value = attention.a(i, j);
      if (value > 0) out.row_entropy -= value * std::log(value);
      if (j > i && value != 0) out.causal = false;
    }
  for (std::size_t i = 0; i < n; ++i) out.sink_mass += attention.a(i, 0);
  out.row_entropy /= static_cast<double>(n);
  out.sink_mass /= static_cast<double>(n);
}

// Order by modulus, one λ = 1 first; fills the two extremes.
void set_values(std::vector<Complex> values, AttentionSpectrum& out) {
  const auto one = std::min_element(values.begin(), values.end(), [](Complex a, Complex b) {
    return std::abs(a - 1.0) < std::abs(b - 1.0);
  });
  std::iter_swap(values.begin(), one);
  std::stable_sort(values.begin() + 1, values.end(),
                   [](Complex a, Complex b) { return std::abs(a) > std::abs(b); });
  out.second_modulus = values.size() > 1 ? std::abs(values[1]) : 0;
  out.smallest_real = values[0].real();
  for (Complex value : values) out.smallest_real = std::min(out.smallest_real, value.real());
  out.values = std::move(values);
}

std::vector<Complex> all_values(const Attention& attention, bool causal) {
  if (!causal) return general_eigen(attention.a).values;
  std::vector<Complex> values(attention.n());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = attention.a(i, i);
  return values;
}

void eigenvalues(const Attention& attention, AttentionOptions::Values wanted, AttentionSpectrum& out) {
  using Values = AttentionOptions::Values;
  constexpr std::size_t kFullUpTo = 256, kKrylovFrom = 48;
  const std::size_t n = attention.n();
  const bool extremes = wanted == Values::kExtremes || (wanted == Values::kAuto && n > kFullUpTo);
  if (!out.causal && extremes && n >= kKrylovFrom) {
    const Extremes found = arnoldi_extremes(attention);
    if (found.converged) {
      out.smallest_real = found.smallest_real;
      out.second_modulus = found.second_modulus;
      out.residual = std::max(out.residual, found.residual);
      return;
    }
  }
  set_values(all_values(attention, out.causal), out);
}

Matrix<double> projected(const Matrix<double>& a) {
  const std::size_t n = a.rows();
  Matrix<double> out = a.copy();
  for (int side = 0; side < 2; ++side)
    for (std::size_t i = 0; i < n; ++i) {
      double mean = 0;
      for (std::size_t j = 0; j < n; ++j) mean += side == 0 ? out(i, j) : out(j, i);
      mean /= static_cast<double>(n);
      for (std::size_t j = 0; j < n; ++j) (side == 0 ? out(i, j) : out(j, i)) -= mean;
    }
  return out;
}

void norms(const Attention& attention, AttentionSpectrum& out) {
  const std::size_t n = attention.n();
  Vector scratch(n);
  const Iterative pap = lanczos_sigma(n, [&](Vector& v) {
    apply_pap(attention.at, v, scratch);
    apply_pap(attention.a, v, scratch);
  });
  const Iterative plain = lanczos_sigma(n, [&](Vector& v) {
    transposed_product(attention.at, v, scratch);
    transposed_product(attention.a, scratch, v);
  });
  for (const Iterative& found : {pap, plain})
    if (found.converged) out.residual = std::max(out.residual, found.residual);
  out.sigma_max_pap = pap.converged ? pap.value : spectral_norm(projected(attention.a));
  const double sigma1 = plain.converged ? plain.value : spectral_norm(attention.a);
  const double frobenius = frobenius_norm(attention.a);
  out.stable_rank = frobenius * frobenius / (sigma1 * sigma1);
}

template <class T>
AttentionSpectrum spectrum(ConstMatrixView<T> a, const AttentionOptions& options) {
  AttentionSpectrum out;
  const Attention attention = load(a, out.row_sum_error);
  row_statistics(attention, out);
  norms(attention, out);
  eigenvalues(attention, options.values, out);
  return out;
}

}  // namespace

AttentionSpectrum attention_spectrum(ConstMatrixView<float> a, const AttentionOptions& options) {
  return spectrum(a, options);
}
AttentionSpectrum attention_spectrum(ConstMatrixView<double> a, const AttentionOptions& options) {
  return spectrum(a, options);
}

}  // namespace telos::smoothing
