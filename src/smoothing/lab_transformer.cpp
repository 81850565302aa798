// The random attention stack: its weights, and one run through all layers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "smoothing/lab_parts.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"
#include "telos/smoothing/lab.h"

namespace telos::smoothing {

namespace {

using System = TransformerSystem;
constexpr double kNormEps = 1e-5;

// Streams of random numbers by purpose, so that one choice does not shift the numbers of another.
enum Stream : std::uint32_t { kTokens = 1, kBasis = 2, kLambda = 3, kQueries = 4, kKeys = 5 };

Matrix<double> normals(Random random, std::size_t rows, std::size_t cols, double scale) {
  Matrix<double> out(rows, cols);
  for (std::size_t k = 0; k < out.size(); ++k) out.data()[k] = scale * random.normal();
  return out;
}

Matrix<double> product(ConstMatrixView<double> a, ConstMatrixView<double> b, const Arena& arena) {
  Matrix<double> out(a.rows(), b.cols());
  gemm<double>(Op::kPlain, Op::kPlain, 1, a, b, 0, out.view(), arena);
  return out;
}

// What a run carries from layer to layer. The tokens are x · 2^exponent (exponent 0 unless there is no norm).
struct State {
  Matrix<double> x;
  int exponent = 0;
  std::vector<Matrix<double>> first_values;  // of each head, in units of 2^first_exponent
  int first_exponent = 0;
};

// Without norm the layer commutes with scaling, so a power of two in front costs no bit; it keeps squares in
// range. The norm that queries and keys see has an eps, which is scaled along.
void keep_in_range(State& state) {
  double largest = 0;
  for (std::size_t k = 0; k < state.x.size(); ++k) largest = std::max(largest, std::abs(state.x.data()[k]));
  int exponent = 0;
  if (largest > 0 && std::isfinite(largest)) std::frexp(largest, &exponent);
  if (std::abs(exponent) < 64) return;
  for (std::size_t k = 0; k < state.x.size(); ++k)
    state.x.data()[k] = std::ldexp(state.x.data()[k], -exponent);
  state.exponent += exponent;
}

Matrix<double> attention_matrix(const System& system, const TransformerDraw::Head& head,
                                const Matrix<double>& from, const Arena& arena) {
  const std::size_t n = from.rows(), k = head.wq.cols();
  const Matrix<double> q = product(from, head.wq, arena), keys = product(from, head.wk, arena);
  Matrix<double> a(n, n);
  gemm<double>(Op::kPlain, Op::kTransposed, 1, q, keys, 0, a.view(), arena);
  const double scale = system.logit_scale / std::sqrt(static_cast<double>(k));
  for (std::size_t i = 0; i < n; ++i)
    softmax_row<double>({a.row(i), n}, system.mask == System::Mask::kCausal ? i + 1 : n, scale);
  if (system.interventions.attn_scale != 0) return attn_scale(a, system.interventions.attn_scale);
  return a;
}

// Σ_h (A_h V_h + λ(V_0 − V_h)) W_O.
Matrix<double> attention_output(const System& system, const TransformerDraw& draw,
                                const Matrix<double>& logits_from, const Matrix<double>& values_from,
                                State& state, const Arena& arena) {
  Matrix<double> out(values_from.rows(), values_from.cols());
  const double lambda = system.interventions.neutreno;
  const bool first = state.first_values.empty();
  if (first) state.first_exponent = state.exponent;
  for (std::size_t h = 0; h < draw.heads.size(); ++h) {
    const Matrix<double> a = attention_matrix(system, draw.heads[h], logits_from, arena);
    Matrix<double> values = product(values_from, draw.heads[h].wv, arena);
    Matrix<double> mixed;
    if (lambda != 0 && !first) {
      Matrix<double> v0 = state.first_values[h].copy();
      const int shift = state.first_exponent - state.exponent;
      for (std::size_t k = 0; k < v0.size(); ++k) v0.data()[k] = std::ldexp(v0.data()[k], shift);
      mixed = neutreno(a, values, v0, lambda);
    } else {
      mixed = product(a, values, arena);
    }
    gemm<double>(Op::kPlain, Op::kPlain, 1, mixed, draw.heads[h].wo, 1, out.view(), arena);
    if (lambda != 0 && first) state.first_values.push_back(std::move(values));
  }
  return out;
}

// One layer, as the formulas of TransformerSystem read.
void step(const System& system, const TransformerDraw& draw, std::size_t layers, State& state,
          const Arena& arena) {
  NormParameters norm;
  norm.gamma.assign(system.width, system.gamma);
  norm.eps = std::ldexp(kNormEps, -2 * state.exponent);
  std::optional<Matrix<double>> normed;
  if (system.norm != System::Norm::kPost) normed = apply_norm(state.x, norm);
  const Matrix<double>& logits_from = normed ? *normed : state.x;
  const Matrix<double>& values_from = system.norm == System::Norm::kPre ? *normed : state.x;

  Matrix<double> output = attention_output(system, draw, logits_from, values_from, state, arena);
  const Interventions& use = system.interventions;
  if (use.feat_scale_low != 0 || use.feat_scale_high != 0)
    output = feat_scale(output, {&use.feat_scale_low, 1}, {&use.feat_scale_high, 1}, use.feat_scale_official);
  const double gain = use.residual_by_depth ? 1 / std::sqrt(static_cast<double>(layers)) : 1;
  for (std::size_t k = 0; k < output.size(); ++k)
    output.data()[k] = system.residual * state.x.data()[k] + gain * output.data()[k];
  if (use.contra_norm != 0) output = contra_norm(output, use.contra_norm);
  state.x = system.norm == System::Norm::kPost ? apply_norm(output, norm) : std::move(output);
  if (system.norm == System::Norm::kNone) keep_in_range(state);
}

}  // namespace

double eigenvalue(double psi, System::Spectrum spectrum, System::Eigenvalues form) noexcept {
  if (spectrum == System::Spectrum::kFree) return std::clamp(psi, -1.0, 1.0);
  const double sign = spectrum == System::Spectrum::kSmooth ? 1 : -1;
  switch (form) {
    case System::Eigenvalues::kUniform:
      return sign * std::abs(psi);
    case System::Eigenvalues::kClip:
      return sign * std::clamp(sign * psi, 0.0, 1.0);
    case System::Eigenvalues::kSquare:
      return sign * std::min(psi * psi, 1.0);
    case System::Eigenvalues::kSigmoid:
      return sign / (1 + std::exp(-psi));
  }
  return 0;
}

TransformerDraw draw_transformer(const System& system, std::uint32_t run) {
  const std::size_t d = system.width, k = d / system.heads;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  TransformerDraw draw;
  draw.tokens = normals(Random(system.seed, kTokens, run), system.tokens, d, 1);

  Matrix<double> v = normals(Random(system.seed, kBasis, run), d, d, scale), inverse(d, d);
  if (system.basis == System::Basis::kOrthogonal) {
    v = qr(v).q;
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j) inverse(i, j) = v(j, i);
  } else {
    for (std::size_t i = 0; i < d; ++i) inverse(i, i) = 1;
    inverse = solve(v, inverse);
  }
  Random random(system.seed, kLambda, run);
  for (std::size_t j = 0; j < d; ++j) {
    const bool uniform = system.eigenvalues == System::Eigenvalues::kUniform;
    const double psi = uniform ? 2 * random.uniform() - 1 : random.normal();
    draw.lambda.push_back(eigenvalue(psi, system.spectrum, system.eigenvalues));
  }
  for (std::size_t h = 0; h < system.heads; ++h) {
    const std::uint64_t sample = (std::uint64_t{run} << 32) | h;
    TransformerDraw::Head head{normals(Random(system.seed, kQueries, sample), d, k, scale),
                               normals(Random(system.seed, kKeys, sample), d, k, scale), Matrix<double>(d, k),
                               Matrix<double>(k, d)};
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < k; ++j) {
        head.wv(i, j) = v(i, h * k + j);
        head.wo(j, i) = draw.lambda[h * k + j] * inverse(h * k + j, i);
      }
    draw.heads.push_back(std::move(head));
  }
  return draw;
}

std::vector<TokenMeasures> run_transformer(const System& system, std::uint32_t run, std::size_t layers,
                                           std::size_t record_every, const Arena& arena) {
  const TransformerDraw draw = draw_transformer(system, run);
  State state;
  state.x = draw.tokens.copy();
  std::vector<TokenMeasures> out;
  for (std::size_t layer = 0;; ++layer) {
    check_interrupt();
    if (is_recorded(layer, layers, record_every)) {
      TokenMeasures measures = measure_tokens(state.x);
      measures.log_norm += state.exponent * std::numbers::ln2;
      measures.dirichlet = std::ldexp(measures.dirichlet, 2 * state.exponent);
      out.push_back(measures);
    }
    if (layer == layers) return out;
    step(system, draw, layers, state, arena);
  }
}

}  // namespace telos::smoothing
