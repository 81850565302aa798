#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>

#include "smoothing/spectra_parts.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"

namespace telos::smoothing {

namespace {

/// Block size and number of steps of Arnoldi's method: 96 vectors. A block of 8 reads the weights 12 times
/// instead of 96; the method is bound by memory.
constexpr std::size_t kBlock = 8, kSteps = 12;
constexpr std::uint32_t kStartStream = 0x48534d55;  // any fixed stream of the start vectors' random numbers

/// Sum of W_O over the heads of each group, stacked: H_Σ = W_V · stack, (kv_heads · k) × d.
template <class T>
Matrix<T> output_by_group(const FoldedWeights<T>& weights) {
  const std::size_t k = weights.head_width, d = weights.output.cols();
  Matrix<T> sum(weights.kv_heads * k, d);
  for (std::size_t h = 0; h < weights.heads; ++h)
    for (std::size_t r = 0; r < k; ++r) {
      const T* from = weights.output.row(h * k + r);
      T* to = sum.row(weights.group_of(h) * k + r);
      for (std::size_t i = 0; i < d; ++i) to[i] += from[i];
    }
  return sum;
}

void product(Op op_a, Op op_b, ConstMatrixView<double> a, ConstMatrixView<double> b, MatrixView<double> c,
             const Arena& arena) {
  gemm<double>(op_a, op_b, 1.0, a, b, 0.0, c, arena);
}
void product(Op op_a, Op op_b, ConstMatrixView<float> a, ConstMatrixView<float> b, MatrixView<double> c,
             const Arena& arena) {
  gemm_f32_f64(op_a, op_b, a, b, c, arena);
}

template <class T>
Matrix<T> rounded(const Matrix<double>& x) {
  Matrix<T> out(x.rows(), x.cols());
  std::transform(x.data(), x.data() + x.size(), out.data(), [](double v) { return static_cast<T>(v); });
  return out;
}

/// Rows x ↦ x W_V W_O^Σ. Row vectors from the left see Hᵀ, whose eigenvalues are those of H.
template <class T>
Matrix<double> apply(const FoldedWeights<T>& weights, const Matrix<T>& output, const Matrix<double>& x,
                     const Arena& arena) {
  const Matrix<T> in = rounded<T>(x);
  Matrix<double> values(x.rows(), output.rows());
  product_nt(in.view(), weights.value_t.view(), values, arena);
  const Matrix<T> middle = rounded<T>(values);
  Matrix<double> out(x.rows(), output.cols());
  product(Op::kPlain, Op::kPlain, middle.view(), output.view(), out, arena);
  return out;
}

void take_extremes(const std::vector<Complex>& values, LayerSum& sum) {
  for (const Complex h : values) {
    const double growth = std::abs(1.0 + h);
    if (!(growth <= sum.growth)) {
      sum.growth = growth;
      sum.growth_at = h;
    }
    if (!(h.real() <= sum.max_re)) sum.max_re = h.real();
    if (!(h.real() >= sum.min_re)) sum.min_re = h.real();
  }
}

template <class T>
void solve_exactly(const FoldedWeights<T>& weights, const Matrix<T>& output, const Arena& arena,
                   LayerSum& sum) {
  const std::size_t rank = output.rows(), d = output.cols();
  sum.size = std::min(rank, d);
  Matrix<double> m(sum.size, sum.size);
  if (rank <= d)
    product_nt(output.view(), weights.value_t.view(), m, arena);
  else
    product(Op::kTransposed, Op::kPlain, weights.value_t.view(), output.view(), m, arena);
  std::vector<Complex> values = general_eigen(m).values;
  double weight = 0, negative = 0;
  for (const Complex h : values) {
    weight += std::abs(h);
    if (h.real() < 0) negative += std::abs(h);
  }
  if (weight > 0) sum.negative_share = negative / weight;
  if (rank < d) values.push_back(0);  // the eigenvalue 0 of the other d − rank directions
  take_extremes(values, sum);
  sum.method = "exact, " + std::to_string(sum.size) + " × " + std::to_string(sum.size);
}

/// Orthonormalises the rows of `w` against rows [0, filled) of `basis` (twice: once loses half of the digits)
/// and appends them; `coefficients` receives w = coefficients · basis. A row that vanishes stays 0 in the
/// basis: the space is then invariant in that direction.
void append_orthonormal(Matrix<double>& basis, std::size_t filled, Matrix<double>& w,
                        MatrixView<double> coefficients) {
  const std::size_t d = basis.cols();
  for (std::size_t r = 0; r < w.rows(); ++r) {
    double* row = w.row(r);
    double before = 0;
    for (std::size_t i = 0; i < d; ++i) before += row[i] * row[i];
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t q = 0; q < filled + r; ++q) {
        const double* direction = basis.row(q);
        double dot = 0;
        for (std::size_t i = 0; i < d; ++i) dot += row[i] * direction[i];
        for (std::size_t i = 0; i < d; ++i) row[i] -= dot * direction[i];
        coefficients(r, q) += dot;
      }
    double square = 0;
    for (std::size_t i = 0; i < d; ++i) square += row[i] * row[i];
    const double norm = std::sqrt(square);
    const bool vanished = square <= 1e-24 * before || square == 0;
    coefficients(r, filled + r) = vanished ? 0 : norm;
    for (std::size_t i = 0; i < d; ++i) basis(filled + r, i) = vanished ? 0 : row[i] / norm;
  }
}

/// Block Arnoldi from random start vectors. With basis rows q_a and A q_a = Σ_b C_ab q_b, a Ritz pair of the
/// leading square of C has the residual that the last block of columns leaves.
template <class T>
void solve_by_arnoldi(const FoldedWeights<T>& weights, const Matrix<T>& output, const Arena& arena,
                      LayerSum& sum) {
  const std::size_t d = output.cols(), m = kBlock * kSteps;
  Matrix<double> basis(m + kBlock, d), c(m, m + kBlock);
  Matrix<double> block(kBlock, d), ignored(kBlock, m + kBlock);
  Random random(0, kStartStream);
  for (std::size_t i = 0; i < block.size(); ++i) block.data()[i] = random.normal();
  append_orthonormal(basis, 0, block, ignored.view());
  for (std::size_t step = 0; step < kSteps; ++step) {
    std::copy_n(basis.row(step * kBlock), block.size(), block.data());
    Matrix<double> next = apply(weights, output, block, arena);
    append_orthonormal(basis, (step + 1) * kBlock, next,
                       c.view().block(step * kBlock, 0, kBlock, m + kBlock));
  }
  sum.size = m;
  Matrix<double> square(m, m);
  for (std::size_t a = 0; a < m; ++a)
    for (std::size_t b = 0; b < m; ++b) square(a, b) = c(a, b);
  const GeneralEigen ritz = general_eigen(square, {.condition = false, .vectors = true});
  take_extremes(ritz.values, sum);
  // yᴴC = h yᴴ gives (yᴴQ)A − h(yᴴQ) = yᴴC_last: its norm is the residual.
  for (std::size_t j = 0; j < m; ++j) {
    if (ritz.values[j] != sum.growth_at) continue;
    double residual = 0;
    for (std::size_t b = m; b < m + kBlock; ++b) {
      Complex part = 0;
      for (std::size_t a = 0; a < m; ++a) part += std::conj(ritz.left(a, j)) * c(a, b);
      residual += std::norm(part);
    }
    sum.residual = std::sqrt(residual) / sum.growth;
    break;
  }
  sum.method = "Arnoldi, " + std::to_string(m) + " vectors";
}

}  // namespace

template <class T>
LayerSum measure_sum(const FoldedWeights<T>& weights, const SpectraOptions& options, const Arena& arena) {
  LayerSum sum;
  const Matrix<T> output = output_by_group(weights);
  const std::size_t size = std::min(output.rows(), output.cols());
  // ⟨W_Vᵀ, stack⟩ = tr(W_V · stack), summed in double.
  sum.trace = 0;
  for (std::size_t i = 0; i < output.size(); ++i)
    sum.trace += double{weights.value_t.data()[i]} * double{output.data()[i]};
  if (!std::isfinite(sum.trace)) {
    sum.trace = kNaN;
    sum.problem = "not available: NaN or infinity in the layer's weights";
    return sum;
  }
  try {
    if (options.full_sums || size <= std::max(options.exact_sum_limit, kBlock * (kSteps + 1)))
      solve_exactly(weights, output, arena, sum);
    else
      solve_by_arnoldi(weights, output, arena, sum);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoConvergence) throw;
    sum.problem = error.message();
  }
  return sum;
}
template LayerSum measure_sum(const FoldedWeights<float>&, const SpectraOptions&, const Arena&);
template LayerSum measure_sum(const FoldedWeights<double>&, const SpectraOptions&, const Arena&);

}  // namespace telos::smoothing
