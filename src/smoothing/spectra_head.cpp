#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <utility>

#include "base/limits.h"
#include "smoothing/spectra_parts.h"
#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"

namespace telos::smoothing {

namespace {

/// A Gram matrix loses the squares: below this reciprocal condition number σ(H) would keep fewer than six
/// digits, and the factors are orthogonalised instead.
template <class T>
constexpr double kRcondMin = std::is_same_v<T, float> ? 1e-4 : 1e-10;

struct Products {
  Matrix<double> k;       ///< W_O W_V
  Matrix<double> gv, go;  ///< W_VᵀW_V, W_O W_Oᵀ; empty if σ is not asked for
};

template <class T>
bool finite(ConstMatrixView<T> m) {
  for (std::size_t r = 0; r < m.rows(); ++r)
    if (!std::all_of(m.row(r), m.row(r) + m.cols(), [](T x) { return std::isfinite(x); })) return false;
  return true;
}
bool finite(const Products& p) {
  return finite(p.k.view()) && finite(p.gv.view()) && finite(p.go.view());
}

/// Why the head's products are not finite. A NaN or infinity in a factor always reaches K: no finite product
/// and no sum takes it away. So a good head pays nothing for this.
template <class T>
std::string why_not_finite(const FoldedWeights<T>& weights, const HeadSpectrum& head) {
  if (!weights.problem.empty()) return weights.problem;
  const bool value = finite(weights.value_t_of_group(head.group)),
             output = finite(weights.output_of(head.head));
  if (!value && !output) return "NaN or infinity in its W_V and its W_O";
  if (!value) return "NaN or infinity in its W_V";
  if (!output) return "NaN or infinity in its W_O";
  return "the products of its weights overflow";
}

template <class T>
Products form_products(const FoldedWeights<T>& weights, const HeadSpectrum& head, bool grams,
                       const Arena& arena) {
  const std::size_t k = weights.head_width;
  const auto v = weights.value_t_of_group(head.group);
  const auto o = weights.output_of(head.head);
  Products p{Matrix<double>(k, k), {}, {}};
  product_nt(o, v, p.k, arena);
  if (grams) {
    p.gv = Matrix<double>(k, k);
    p.go = Matrix<double>(k, k);
    product_nt(v, v, p.gv, arena);
    product_nt(o, o, p.go, arena);
  }
  return p;
}

/// R of the thin QR of blockᵀ (d × k), so that block = RᵀQᵀ. For d < k the square root of the Gram matrix
/// instead.
template <class T>
Matrix<double> triangular_factor(ConstMatrixView<T> block, const Matrix<double>& gram) {
  const std::size_t k = block.rows(), d = block.cols();
  if (d >= k) {
    Matrix<double> tall(d, k);
    for (std::size_t r = 0; r < k; ++r)
      for (std::size_t i = 0; i < d; ++i) tall(i, r) = static_cast<double>(block(r, i));
    return qr(tall).r;
  }
  const SymmetricEigen eigen = symmetric_eigen(gram, /*vectors=*/true);
  Matrix<double> root(k, k);
  for (std::size_t i = 0; i < k; ++i)
    for (std::size_t j = 0; j < k; ++j)
      root(i, j) = std::sqrt(std::max(0.0, eigen.values[i])) * eigen.vectors(j, i);
  return root;
}

double norm1(const Matrix<double>& m) {
  double largest = 0;
  for (std::size_t i = 0; i < m.rows(); ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < m.cols(); ++j) sum += std::abs(m(i, j));
    largest = std::max(largest, sum);
  }
  return largest;  // of a symmetric matrix: row sums are column sums
}

/// The Cholesky factor as R = Lᵀ, or an empty matrix where it would lose too many digits.
Matrix<double> cholesky_factor(const Matrix<double>& gram, double rcond_min) {
  try {
    Matrix<double> l = cholesky(gram);
    if (!(cholesky_rcond(l, norm1(gram)) >= rcond_min)) return {};
    Matrix<double> r(l.rows(), l.cols());
    for (std::size_t i = 0; i < l.rows(); ++i)
      for (std::size_t j = 0; j <= i; ++j) r(j, i) = l(i, j);
    return r;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoConvergence) throw;
    return {};  // not positive definite: rank below k
  }
}

/// H = Q_V R_V R_Oᵀ Q_Oᵀ, hence σ(H) = σ(R_V R_Oᵀ).
template <class T>
std::vector<double> head_sigma(const FoldedWeights<T>& weights, const HeadSpectrum& head, const Products& p,
                               const Arena& arena) {
  Matrix<double> rv = cholesky_factor(p.gv, kRcondMin<T>), ro = cholesky_factor(p.go, kRcondMin<T>);
  if (rv.empty()) rv = triangular_factor(weights.value_t_of_group(head.group), p.gv);
  if (ro.empty()) ro = triangular_factor(weights.output_of(head.head), p.go);
  Matrix<double> core(rv.rows(), ro.rows());
  product_nt(rv.view(), ro.view(), core, arena);
  return singular_values(core);
}

/// Condition of h as an eigenvalue of H: right vector W_V y, left vector zᴴW_O with Ky = hy, zᴴK = hzᴴ, hence
/// sqrt(yᴴG_V y · zᴴG_O z) / (|h| |zᴴy|).
std::vector<double> head_conditions(const GeneralEigen& eigen, const Products& p) {
  const std::size_t k = p.k.rows();
  const auto quadratic = [k](const Matrix<double>& g, const Matrix<Complex>& vectors, std::size_t j) {
    double sum = 0;
    for (std::size_t a = 0; a < k; ++a) {
      Complex row = 0;
      for (std::size_t b = 0; b < k; ++b) row += g(a, b) * vectors(b, j);
      sum += (std::conj(vectors(a, j)) * row).real();
    }
    return std::max(0.0, sum);
  };
  std::vector<double> condition(k);
  for (std::size_t j = 0; j < k; ++j) {
    Complex inner = 0;
    for (std::size_t a = 0; a < k; ++a) inner += std::conj(eigen.left(a, j)) * eigen.right(a, j);
    condition[j] = std::sqrt(quadratic(p.gv, eigen.right, j) * quadratic(p.go, eigen.left, j)) /
                   (std::abs(eigen.values[j]) * std::abs(inner));
  }
  return condition;
}

/// Eigenvalues by falling real part, then falling imaginary part; conditions follow.
void store_eigenvalues(const GeneralEigen& eigen, std::vector<double> condition, HeadSpectrum& head) {
  std::vector<std::size_t> order(eigen.values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const Complex x = eigen.values[a], y = eigen.values[b];
    return x.real() != y.real() ? x.real() > y.real() : x.imag() > y.imag();
  });
  for (const std::size_t i : order) {
    head.eigenvalues.push_back(eigen.values[i]);
    if (!condition.empty()) head.condition.push_back(condition[i]);
  }
}

void eigenvalue_numbers(const Matrix<double>& k, HeadSpectrum& head) {
  double weight = 0, real = 0, negative = 0, zones[4] = {};
  head.rho = 0;
  head.max_re = head.eigenvalues.front().real();
  head.min_re = head.eigenvalues.back().real();
  for (const Complex h : head.eigenvalues) {
    const double size = std::abs(h);
    head.rho = std::max(head.rho, size);
    weight += size;
    real += h.real();
    if (h.real() < 0) negative += size;
    zones[static_cast<int>(zone(h))] += size;
  }
  head.trace = 0;
  for (std::size_t i = 0; i < k.rows(); ++i) head.trace += k(i, i);
  // Eigenvalues below the solver's backward error are round-off: their signs say nothing.
  const double noise = static_cast<double>(k.rows()) * kEps * frobenius_norm(k);
  if (head.rho <= noise) return;
  head.copy_score = real / weight;
  head.negative_share = negative / weight;
  head.smooth_share = zones[static_cast<int>(Zone::kSmooth)] / weight;
  head.sharp_share = zones[static_cast<int>(Zone::kSharp)] / weight;
  head.depends_share = zones[static_cast<int>(Zone::kDepends)] / weight;
}

/// ‖H‖_F² = Σ G_V∘G_O; ⟨H, Hᵀ⟩ = tr K²; so ‖H − Hᵀ‖_F² = 2(‖H‖_F² − tr K²).
void norm_numbers(const Products& p, HeadSpectrum& head) {
  const std::size_t k = p.k.rows();
  double square = 0, trace_of_square = 0, eigen_square = 0;
  for (std::size_t i = 0; i < k; ++i)
    for (std::size_t j = 0; j < k; ++j) {
      square += p.gv(i, j) * p.go(i, j);
      trace_of_square += p.k(i, j) * p.k(j, i);
    }
  square = std::max(0.0, square);
  for (const Complex h : head.eigenvalues) eigen_square += std::norm(h);
  head.frobenius = std::sqrt(square);
  if (square == 0) return;
  head.henrici = std::sqrt(std::max(0.0, square - eigen_square) / square);
  head.asymmetry =
      std::min(1.0, std::sqrt(std::max(0.0, 2 * (square - trace_of_square))) / (2 * head.frobenius));
  if (head.sigma_max > 0) head.stable_rank = square / (head.sigma_max * head.sigma_max);
}

}  // namespace

template <class T>
void measure_head(const FoldedWeights<T>& weights, const SpectraOptions& options, const Arena& arena,
                  HeadSpectrum& head) {
  const bool grams = options.singular_values || options.conditions;
  const Products p = form_products(weights, head, grams, arena);
  if (!finite(p)) {
    head.problem = why_not_finite(weights, head);
    return;
  }
  try {
    const GeneralEigen eigen = general_eigen(p.k, {.condition = false, .vectors = options.conditions});
    store_eigenvalues(eigen, options.conditions ? head_conditions(eigen, p) : std::vector<double>{}, head);
    eigenvalue_numbers(p.k, head);
    if (!grams) return;
    head.sigma = head_sigma(weights, head, p, arena);
    head.sigma_max = head.sigma.front();
    norm_numbers(p, head);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoConvergence) throw;
    head.problem = error.message();
  }
}
template void measure_head(const FoldedWeights<float>&, const SpectraOptions&, const Arena&, HeadSpectrum&);
template void measure_head(const FoldedWeights<double>&, const SpectraOptions&, const Arena&, HeadSpectrum&);

void judge_heads(std::span<HeadSpectrum> heads, bool half_plane, bool self_map) {
  std::vector<double> sizes;
  for (const HeadSpectrum& head : heads)
    if (head.valid() && !std::isnan(head.sigma_max)) sizes.push_back(head.sigma_max);
  double median = 0;
  if (!sizes.empty()) {
    const auto middle = sizes.begin() + static_cast<std::ptrdiff_t>(sizes.size() / 2);
    std::nth_element(sizes.begin(), middle, sizes.end());
    median = *middle;
  }
  for (HeadSpectrum& head : heads) {
    if (!head.valid()) {
      head.tendency = HeadTendency::kInvalid;
      continue;
    }
    head.non_normal = head.henrici > kNonNormal || head.sigma_max > kNonNormalGap * head.rho;
    const double smooth = half_plane ? 1 - head.negative_share : head.smooth_share;
    const double sharp = half_plane ? head.negative_share : head.sharp_share;
    // A layer of zero heads has median 0: they are null as well.
    if (head.sigma_max == 0 || head.sigma_max < kNearNullRatio * median ||
        (head.rho == 0 && head.sigma.empty()))
      head.tendency = HeadTendency::kNearNull;
    else if (!self_map)
      head.tendency = HeadTendency::kSigmaOnly;
    else if (smooth >= kDecisiveShare)
      head.tendency = HeadTendency::kSmooth;
    else if (sharp >= kDecisiveShare)
      head.tendency = HeadTendency::kSharpen;
    else
      head.tendency = HeadTendency::kMixed;
  }
}

}  // namespace telos::smoothing
