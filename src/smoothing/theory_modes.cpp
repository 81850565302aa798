// The linear system X ← αX + AXH by its modes: who wins, at what rate, and what is left of the tokens.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/limits.h"
#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"
#include "telos/smoothing/theory.h"

namespace telos::smoothing {

namespace {

// Beyond this κ(V_A) κ(V_H) the coefficients C, and with them the closed form, would have fewer than 6
// digits.
constexpr double kLargestKappa = 1e10;

// Eigenvectors of a real matrix in a real basis: a real eigenvector is a column as it is; a complex pair v, v̄
// gives the columns √2 Re v, √2 Im v. The change of basis is unitary, so that condition numbers are those of
// the complex basis.
struct EigenBasis {
  std::vector<Complex> values;
  std::vector<double> value_error;  // bound on |δλ| by round-off in the matrix
  std::vector<double> gap;  // distance to the nearest other eigenvalue (beyond the error bounds); inf if none
  Matrix<double> columns, inverse;  // inverse is empty if the basis is exactly singular
  double kappa = kInfinity;
  double norm = 0;  // ‖matrix‖_F
};

void require_square(ConstMatrixView<double> m, const char* name) {
  if (m.rows() != m.cols() || m.rows() == 0)
    throw Error(ErrorKind::kShape, name,
                fmt::format("expected a square matrix, found {}×{}", m.rows(), m.cols()));
}

void require_finite(ConstMatrixView<double> m, const char* name) {
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < m.cols(); ++j)
      if (!std::isfinite(m(i, j)))
        throw Error(ErrorKind::kNotFinite, fmt::format("{}({}, {})", name, i, j),
                    fmt::format("expected a finite number, found {}", m(i, j)));
}

void require_row_sums(ConstMatrixView<double> a) {
  for (std::size_t i = 0; i < a.rows(); ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < a.cols(); ++j) sum += a(i, j);
    if (std::abs(sum - 1) > 1e-6)
      throw Error(ErrorKind::kUsage, fmt::format("attention row {}", i),
                  fmt::format("expected a sum of 1, found {:.9g}", sum), "divide each row by its sum");
  }
}

// Columns `order` of m.
template <class T>
Matrix<T> take_columns(const Matrix<T>& m, const std::vector<std::size_t>& order) {
  Matrix<T> out(m.rows(), order.size());
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < order.size(); ++j) out(i, j) = m(i, order[j]);
  return out;
}

// Inverse and condition number of basis.columns; a basis that is singular to the last bit stays without
// inverse.
void invert(EigenBasis& basis) {
  const std::vector<double> sigma = singular_values(basis.columns);
  basis.kappa = sigma.back() > 0 ? sigma.front() / sigma.back() : kInfinity;
  basis.inverse = {};
  Matrix<double> unit(basis.columns.rows(), basis.columns.rows());
  for (std::size_t i = 0; i < unit.rows(); ++i) unit(i, i) = 1;
  try {
    basis.inverse = solve(basis.columns, unit);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoConvergence) throw;
    basis.kappa = kInfinity;
  }
}

bool is_triangular(ConstMatrixView<double> m) {
  bool lower = true, upper = true;
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < m.cols(); ++j) {
      if (j > i && m(i, j) != 0) lower = false;
      if (j < i && m(i, j) != 0) upper = false;
    }
  return lower || upper;
}

EigenBasis eigen_basis(ConstMatrixView<double> m) {
  const std::size_t n = m.rows();
  GeneralEigen eigen = general_eigen(m, {.condition = true, .vectors = true});
  EigenBasis basis;
  basis.values = std::move(eigen.values);
  basis.norm = frobenius_norm(m);
  basis.columns = Matrix<double>(n, n);
  for (std::size_t j = 0; j < n; ++j) {
    const bool pair = basis.values[j].imag() > 0;
    for (std::size_t i = 0; i < n; ++i) {
      const Complex v = eigen.right(i, j);
      basis.columns(i, j) = pair ? std::numbers::sqrt2 * v.real() : v.real();
      if (pair) basis.columns(i, j + 1) = std::numbers::sqrt2 * v.imag();
    }
    if (pair) ++j;
  }
  invert(basis);
  basis.value_error.resize(n);
  // Three bounds on |δλ| for a backward error of 2nε‖A‖, the smallest of which holds: the eigenvalue's own
  // condition; Bauer–Fike's κ(V), for multiple but well-behaved values; Elsner's ‖·‖^(1−1/n)‖E‖^(1/n), for
  // Jordan blocks. A triangular matrix shows its eigenvalues on the diagonal, exactly.
  const double size = static_cast<double>(n), backward = 2 * size * kEps * basis.norm;
  const double elsner = std::pow(2 * basis.norm, 1 - 1 / size) * std::pow(backward, 1 / size);
  const bool triangular = is_triangular(m);
  for (std::size_t j = 0; j < n; ++j)
    basis.value_error[j] = triangular
                               ? kEps * std::abs(basis.values[j])
                               : std::min(backward * std::min(eigen.condition[j], basis.kappa), elsner);
  return basis;
}

// Puts the constant vector, which A maps to itself, in the place of the eigenvector that carries most of it,
// and that first. With a simple λ = 1 this only removes round-off; with a multiple one it chooses the basis
// that has 1 in it.
void put_constant_first(EigenBasis& basis) {
  const std::size_t n = basis.values.size();
  std::size_t perron = 0;
  double largest = -kInfinity;
  for (std::size_t k = 0; k < n; ++k) {
    if (basis.values[k].imag() != 0) continue;
    // Coefficient of 1 in this basis; in a basis without inverse, nearness to λ = 1 has to do.
    double share = -std::abs(basis.values[k] - 1.0);
    if (!basis.inverse.empty()) {
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += basis.inverse(k, i);
      share = std::abs(sum);
    }
    if (share > largest) {
      largest = share;
      perron = k;
    }
  }
  std::vector<std::size_t> order{perron};
  for (std::size_t k = 0; k < n; ++k)
    if (k != perron) order.push_back(k);
  basis.columns = take_columns(basis.columns, order);
  const auto reorder = [&](auto& list) {
    auto old = list;
    for (std::size_t k = 0; k < n; ++k) list[k] = old[order[k]];
  };
  reorder(basis.values);
  reorder(basis.value_error);
  for (std::size_t i = 0; i < n; ++i) basis.columns(i, 0) = 1 / std::sqrt(static_cast<double>(n));
  basis.values[0] = 1;
  basis.value_error[0] = static_cast<double>(n) * kEps;
  invert(basis);
}

void find_gaps(EigenBasis& basis) {
  const std::size_t n = basis.values.size();
  basis.gap.assign(n, kInfinity);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < n; ++k) {
      const double distance = std::abs(basis.values[i] - basis.values[k]);
      if (distance > basis.value_error[i] + basis.value_error[k])
        basis.gap[i] = std::min(basis.gap[i], distance);
    }
}

// The complex columns and inverse rows that a real basis stands for. With W = V·U, U = (1/√2)[[1, −i], [1,
// i]] for a pair: v = (w_1 + i w_2)/√2, and row of V⁻¹ = (r_1 − i r_2)/√2.
void to_complex(const EigenBasis& basis, Matrix<Complex>& columns, Matrix<Complex>& inverse) {
  const std::size_t n = basis.values.size();
  columns = Matrix<Complex>(n, n);
  if (!basis.inverse.empty()) inverse = Matrix<Complex>(n, n);
  const double s = 1 / std::numbers::sqrt2;
  for (std::size_t j = 0; j < n; ++j) {
    const bool pair = basis.values[j].imag() > 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (!pair) {
        columns(i, j) = basis.columns(i, j);
        if (!inverse.empty()) inverse(j, i) = basis.inverse(j, i);
        continue;
      }
      columns(i, j) = s * Complex(basis.columns(i, j), basis.columns(i, j + 1));
      columns(i, j + 1) = std::conj(columns(i, j));
      if (inverse.empty()) continue;
      inverse(j, i) = s * Complex(basis.inverse(j, i), -basis.inverse(j + 1, i));
      inverse(j + 1, i) = std::conj(inverse(j, i));
    }
    if (pair) ++j;
  }
}

Matrix<Complex> multiply(const Matrix<Complex>& a, const Matrix<Complex>& b) {
  Matrix<Complex> out(a.rows(), b.cols());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t k = 0; k < a.cols(); ++k)
      for (std::size_t j = 0; j < b.cols(); ++j) out(i, j) += a(i, k) * b(k, j);
  return out;
}

double row_norm(const Matrix<Complex>& m, std::size_t i) {
  double sum = 0;
  for (std::size_t j = 0; j < m.cols(); ++j) sum += std::norm(m(i, j));
  return std::sqrt(sum);
}

void fill_coefficients(ModeTable& table, const EigenBasis& a, const EigenBasis& h,
                       ConstMatrixView<double> x0) {
  const std::size_t n = a.values.size(), d = h.values.size();
  Matrix<Complex> x(n, d);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) x(i, j) = x0(i, j);
  table.coefficient = multiply(multiply(table.va_inverse, x), table.vh);
  table.coefficient_error = Matrix<double>(n, d);
  const double size = frobenius_norm(x0) * static_cast<double>(n + d) * kEps;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j)
      // Rounding of the products, and of eigenvectors, whose error is that of the matrix over the gap.
      table.coefficient_error(i, j) = size * row_norm(table.va_inverse, i) *
                                      (a.kappa * (1 + a.norm / a.gap[i]) + h.kappa * (1 + h.norm / h.gap[j]));
}

bool present(const ModeTable& table, std::size_t i, std::size_t j) {
  return table.coefficient.empty() || std::abs(table.coefficient(i, j)) > table.coefficient_error(i, j);
}

// The largest |μ| of a family of modes, and where it is.
struct Best {
  double size = -1, error = 0;
  std::size_t i = 0, j = 0;
  bool exists() const { return size >= 0; }
};

template <class Member>
Best largest_mode(const ModeTable& table, Member member) {
  Best best;
  for (std::size_t i = 0; i < table.lambda.size(); ++i)
    for (std::size_t j = 0; j < table.h.size(); ++j) {
      const double size = std::abs(table.mu(i, j));
      if (size > best.size && member(i, j)) best = {size, table.mu_error(i, j), i, j};
    }
  return best;
}

// Σ over the dominating modes of C_ij (μ_ij/|μ_ij|)^layers v_i u_jᵀ; C = 1 where no X_0 was given.
Matrix<double> dominating_sum(const ModeTable& table, const std::vector<ModeAnalysis::Mode>& modes,
                              int layers) {
  const std::size_t n = table.lambda.size(), d = table.h.size();
  Matrix<double> out(n, d);
  for (const ModeAnalysis::Mode& mode : modes) {
    const Complex phase = std::pow(mode.mu / std::abs(mode.mu), layers);
    const Complex c = phase * (table.coefficient.empty() ? Complex(1) : table.coefficient(mode.i, mode.j));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < d; ++j)
        out(i, j) += (c * table.va(i, mode.i) * table.vh_inverse(mode.j, j)).real();
  }
  return out;
}

// Largest rank that the rotating sum takes; eight steps see every phase pattern of one or two pairs.
std::size_t limit_rank(const ModeTable& table, const std::vector<ModeAnalysis::Mode>& modes) {
  const double n = static_cast<double>(table.lambda.size() + table.h.size());
  const double relative = std::max(1e-12, 10 * n * kEps * std::max(table.kappa_a, table.kappa_h));
  std::size_t rank = 0;
  double largest = 0;
  std::vector<std::vector<double>> spectra;
  for (int layers = 0; layers < 8; ++layers) {
    spectra.push_back(singular_values(dominating_sum(table, modes, layers)));
    largest = std::max(largest, spectra.back().front());
  }
  for (const std::vector<double>& sigma : spectra)
    rank = std::max(rank, static_cast<std::size_t>(std::count_if(
                              sigma.begin(), sigma.end(), [&](double s) { return s > relative * largest; })));
  return rank;
}

void describe_limit(const ModeTable& table, ModeAnalysis& out) {
  const auto& modes = out.dominating;
  const bool constant = std::all_of(modes.begin(), modes.end(), [](const auto& mode) { return mode.i == 0; });
  const bool one_vector = std::all_of(modes.begin(), modes.end(), [&](const auto& mode) {
    return mode.i == modes[0].i && mode.lambda.imag() == 0;
  });
  out.steady = std::all_of(modes.begin(), modes.end(), [&](const auto& mode) {
    return std::abs(mode.mu - modes[0].mu) <=
           table.mu_error(mode.i, mode.j) + table.mu_error(modes[0].i, modes[0].j);
  });
  out.input_convergence = out.angle_convergence = constant;
  out.cos_mean = out.hfc_lfc = kNaN;
  if (table.kappa_a * table.kappa_h >= kLargestKappa) return;
  out.rank = limit_rank(table, modes);
  if (one_vector) {
    // Whatever the feature direction does, the tokens are v_i times one row: the closed forms hold.
    std::vector<double> v(table.lambda.size());
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = table.va(i, modes[0].i).real();
    const RankOneLimit limit = rank_one_limit(v, std::max(1e-12, 1e2 * kEps * table.kappa_a));
    out.one_token = limit.nonzero == 1 && v.size() > 1;
    out.cos_mean = limit.cos_mean;
    out.hfc_lfc = constant ? 0 : limit.hfc_lfc;
  } else if (out.steady && !table.coefficient.empty()) {
    const TokenMeasures limit = measure_tokens(dominating_sum(table, modes, 0));
    out.cos_mean = limit.cos_mean;
    out.hfc_lfc = limit.hfc_lfc;
  }
}

void describe_rate(const ModeTable& table, const Best& dc, const Best& hf, ModeAnalysis& out) {
  out.log_rate = dc.exists() && hf.exists() ? std::log(out.hf) - std::log(out.dc)
                 : dc.exists()              ? -kInfinity
                                            : kInfinity;
  double next = out.regime == Regime::kSmoothing ? out.hf : 0;
  if (out.regime != Regime::kSmoothing) {
    const auto dominates = [&](std::size_t i, std::size_t j) {
      return std::any_of(out.dominating.begin(), out.dominating.end(),
                         [&](const auto& mode) { return mode.i == i && mode.j == j; });
    };
    const Best rest = largest_mode(
        table, [&](std::size_t i, std::size_t j) { return present(table, i, j) && !dominates(i, j); });
    next = std::max(0.0, rest.size);
  }
  const double top = std::max(out.dc, out.hf);
  out.layers_to_1pct = next > 0 ? std::log(0.01) / std::log(next / top) : 0;
}

void collect_warnings(const ModeTable& table, const Best& top, const Best& top_all, ModeAnalysis& out) {
  const auto conditioning = [&](const char* name, double kappa) {
    if (kappa > 1e8)
      out.warnings.push_back(
          fmt::format("{} is nearly defective (condition of its eigenvectors {:.1e}): its eigenvalues say "
                      "little about the first "
                      "layers, and the limit may be out of reach",
                      name, kappa));
    else if (kappa > 1e4)
      out.warnings.push_back(
          fmt::format("the eigenvectors of {} are ill-conditioned ({:.1e}): expect a long transient before "
                      "the limit shows",
                      name, kappa));
  };
  conditioning("A", table.kappa_a);
  conditioning("H", table.kappa_h);
  if (table.va_inverse.empty() || table.vh_inverse.empty())
    out.warnings.push_back(
        "a matrix is exactly defective: coefficients and the limit's shape were not computed");
  if (top.exists() && top_all.size > top.size + top.error + top_all.error) {
    // Round-off of relative size ε per layer feeds the absent mode; it overtakes when ε (μ_all/μ_top)^L ~ 1.
    const double layers = -std::log(kEps) / std::log(top_all.size / top.size);
    out.warnings.push_back(fmt::format(
        "the mode with the largest |μ| = {:.6g} has coefficient 0 in X_0; {:.6g} leads until round-off "
        "revives it, after about {:.0f} layers",
        top_all.size, top.size, layers));
  }
}

}  // namespace

ModeTable mode_table(ConstMatrixView<double> a, ConstMatrixView<double> h, ConstMatrixView<double> x0,
                     double alpha) {
  require_square(a, "attention");
  require_square(h, "weights");
  require_finite(a, "attention");
  require_finite(h, "weights");
  require_finite(x0, "tokens");
  require_row_sums(a);
  if (!x0.empty() && (x0.rows() != a.rows() || x0.cols() != h.rows()))
    throw Error(ErrorKind::kShape, "tokens",
                fmt::format("expected {}×{} to fit attention and weights, found {}×{}", a.rows(), h.rows(),
                            x0.rows(), x0.cols()));
  if (!std::isfinite(alpha))
    throw Error(ErrorKind::kNotFinite, "residual weight",
                fmt::format("expected a finite number, found {}", alpha));

  EigenBasis basis_a = eigen_basis(a), basis_h = eigen_basis(h);
  put_constant_first(basis_a);
  find_gaps(basis_a);
  find_gaps(basis_h);

  ModeTable table;
  table.alpha = alpha;
  table.lambda = basis_a.values;
  table.h = basis_h.values;
  table.kappa_a = basis_a.kappa;
  table.kappa_h = basis_h.kappa;
  to_complex(basis_a, table.va, table.va_inverse);
  to_complex(basis_h, table.vh, table.vh_inverse);
  table.mu = Matrix<Complex>(a.rows(), h.rows());
  table.mu_error = Matrix<double>(a.rows(), h.rows());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < h.rows(); ++j) {
      table.mu(i, j) = alpha + table.lambda[i] * table.h[j];
      table.mu_error(i, j) = std::abs(table.h[j]) * basis_a.value_error[i] +
                             std::abs(table.lambda[i]) * basis_h.value_error[j] +
                             kEps * (std::abs(alpha) + std::abs(table.lambda[i] * table.h[j]));
    }
  if (!x0.empty() && table.kappa_a * table.kappa_h < kLargestKappa)
    fill_coefficients(table, basis_a, basis_h, x0);
  return table;
}

ModeAnalysis analyse_modes(const ModeTable& table) {
  const auto is_present = [&](std::size_t i, std::size_t j) { return present(table, i, j); };
  const Best dc =
      largest_mode(table, [&](std::size_t i, std::size_t j) { return i == 0 && is_present(i, j); });
  const Best hf =
      largest_mode(table, [&](std::size_t i, std::size_t j) { return i != 0 && is_present(i, j); });
  const Best dc_all = largest_mode(table, [](std::size_t i, std::size_t) { return i == 0; });
  const Best hf_all = largest_mode(table, [](std::size_t i, std::size_t) { return i != 0; });
  const Best top = dc.size >= hf.size ? dc : hf, top_all = dc_all.size >= hf_all.size ? dc_all : hf_all;

  ModeAnalysis out;
  out.dc = std::max(0.0, dc.size);
  out.hf = std::max(0.0, hf.size);
  out.dc_all = std::max(0.0, dc_all.size);
  out.hf_all = std::max(0.0, hf_all.size);
  out.tie_tolerance = dc.error + hf.error;
  out.cos_mean = out.hfc_lfc = out.log_rate = out.layers_to_1pct = kNaN;
  collect_warnings(table, top, top_all, out);
  if (!top.exists() || top.size <= top.error) return out;  // kNull

  if (!hf.exists() || out.dc - out.hf > out.tie_tolerance)
    out.regime = Regime::kSmoothing;
  else if (!dc.exists() || out.hf - out.dc > out.tie_tolerance)
    out.regime = Regime::kSharpening;
  else
    out.regime = Regime::kBalanced;

  for (std::size_t i = 0; i < table.lambda.size(); ++i)
    for (std::size_t j = 0; j < table.h.size(); ++j)
      if (is_present(i, j) && std::abs(table.mu(i, j)) >= top.size - top.error - table.mu_error(i, j))
        out.dominating.push_back({i, j, table.lambda[i], table.h[j], table.mu(i, j)});
  describe_limit(table, out);
  describe_rate(table, dc, hf, out);
  return out;
}

ScaledTokens tokens_at(const ModeTable& table, std::size_t layers) {
  if (table.coefficient.empty())
    throw Error(ErrorKind::kUsage, "tokens_at",
                "the table has no coefficients: no X_0 was given, or A or H is defective",
                "iterate the system with simulate() instead");
  // Divide by the largest |μ| that is present, so that no power over- or underflows in the leading part.
  const std::size_t n = table.lambda.size(), d = table.h.size();
  double top = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j)
      if (present(table, i, j)) top = std::max(top, std::abs(table.mu(i, j)));
  ScaledTokens out{Matrix<double>(n, d), -kInfinity};
  if (top == 0 && layers > 0) return out;

  Matrix<Complex> modes(n, d);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      Complex power = 1, square = layers > 0 ? table.mu(i, j) / top : 0;
      for (std::size_t rest = layers; rest > 0; rest >>= 1) {
        if (rest & 1) power *= square;
        square *= square;
      }
      if (present(table, i, j)) modes(i, j) = table.coefficient(i, j) * power;
    }
  const Matrix<Complex> x = multiply(multiply(table.va, modes), table.vh_inverse);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) out.x(i, j) = x(i, j).real();
  const double norm = frobenius_norm(out.x);
  if (norm == 0) return out;
  for (std::size_t k = 0; k < out.x.size(); ++k) out.x.data()[k] /= norm;
  out.log_norm = std::log(norm) + (layers > 0 ? static_cast<double>(layers) * std::log(top) : 0);
  return out;
}

}  // namespace telos::smoothing
