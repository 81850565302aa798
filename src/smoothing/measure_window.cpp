#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "smoothing/measure_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::smoothing {

namespace {

/// Which rows of a window are real, and which the `without` measures keep.
struct Rows {
  std::vector<std::size_t> real;
  std::vector<bool> keep_all, keep_without;  ///< by token; keep_all is empty where all are real
};

bool any_special(const TraceOptions& options) {
  return std::any_of(options.special.begin(), options.special.end(), [](std::uint8_t s) { return s != 0; });
}

Rows rows_of(const Trace& trace, std::size_t sequence, const TraceOptions& options) {
  Rows out;
  const std::size_t base = sequence * trace.tokens;
  // A causal model's first token sees only itself and is often an attention sink, whatever the tokenizer
  // calls it.
  const bool leave_first = trace.causal || !any_special(options);
  out.keep_without.assign(trace.tokens, false);
  bool padded = false;
  std::vector<bool> real(trace.tokens, true);
  for (std::size_t i = 0; i < trace.tokens; ++i) {
    real[i] = trace.mask.empty() || trace.mask[base + i] != 0;
    padded = padded || !real[i];
    if (!real[i]) continue;
    const bool first = out.real.empty();
    out.real.push_back(i);
    const bool special = !options.special.empty() && options.special[base + i] != 0;
    out.keep_without[i] = !special && !(leave_first && first);
  }
  if (padded) out.keep_all = std::move(real);
  return out;
}

Matrix<double> gather_rows(ConstMatrixView<float> from, const std::vector<std::size_t>& rows) {
  Matrix<double> out(rows.size(), from.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy_n(from.row(rows[i]), from.cols(), out.row(i));
  return out;
}

Matrix<double> gather_square(ConstMatrixView<float> from, const std::vector<std::size_t>& rows) {
  Matrix<double> out(rows.size(), rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < rows.size(); ++j) out(i, j) = double{from(rows[i], rows[j])};
  return out;
}

/// 1/σ of each token in the input norm: σ² = variance + eps (LayerNorm), mean square + eps (RMSNorm).
std::vector<double> token_scales(const Matrix<double>& x, NormKind norm, double eps) {
  std::vector<double> out(x.rows(), 1.0);
  if (norm == NormKind::kNone) return out;
  const double d = static_cast<double>(x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i) {
    double mean = 0, square = 0;
    if (norm == NormKind::kLayerNorm) {
      for (std::size_t j = 0; j < x.cols(); ++j) mean += x(i, j);
      mean /= d;
    }
    for (std::size_t j = 0; j < x.cols(); ++j) square += (x(i, j) - mean) * (x(i, j) - mean);
    out[i] = 1 / std::sqrt(square / d + eps);
  }
  return out;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Matrix<double> apply_input_norm(const Matrix<double>& x, const AttentionWeights& w, double eps) {
  if (w.norm == NormKind::kNone) return x.copy();
  NormParameters norm;
  norm.gamma.assign(w.norm_gain.begin(), w.norm_gain.end());
  norm.beta.assign(w.norm_bias.begin(), w.norm_bias.end());
  norm.eps = eps;
  norm.rms = w.norm == NormKind::kRmsNorm;
  return apply_norm(x, norm);
}

SublayerTokens gather_sublayer(const Trace& trace, std::size_t layer, std::size_t sequence, const Rows& rows,
                               const AttentionWeights& weights, double eps) {
  const auto window = [&](const Matrix<float>& m) {
    return gather_rows(m.view().block(sequence * trace.tokens, 0, trace.tokens, trace.width), rows.real);
  };
  SublayerTokens out;
  out.x = window(trace.hidden[layer]);
  out.x_next = window(trace.hidden[layer + 1]);
  out.z = trace.attention_input.empty() ? apply_input_norm(out.x, weights, eps)
                                        : window(trace.attention_input[layer]);
  if (!trace.attention_residual.empty()) out.x_after = window(trace.attention_residual[layer]);
  for (std::size_t h = 0; h < trace.heads; ++h)
    out.attention.push_back(gather_square(trace.attention_at(layer, sequence, h), rows.real));
  return out;
}

void check_fit(const Trace& trace, std::size_t layer, const AttentionWeights& w) {
  if (w.heads == trace.heads && w.output.cols() == trace.width) return;
  throw Error(ErrorKind::kShape, "layer " + std::to_string(layer),
              "the trace has " + std::to_string(trace.heads) +
                  " heads and d = " + std::to_string(trace.width) + ", the weights " +
                  std::to_string(w.heads) + " and d = " + std::to_string(w.output.cols()),
              "give the checkpoint that the trace was recorded from");
}

/// Everything that needs weights, layer by layer: weights of one layer are in memory at a time.
void measure_with_weights(const Trace& trace, const WeightSource& source, const TraceOptions& options,
                          const std::vector<Rows>& rows, const Arena& arena,
                          std::vector<WindowMeasures>& out) {
  const bool additive = options.block == BlockKind::kPre || options.block == BlockKind::kParallel;
  std::vector<double> drift(trace.width, 0.0);              // Σ_{j<l} c_j
  bool drift_known = additive && !options.centre_features;  // the others are centred then
  for (std::size_t l = 0; l <= trace.layers; ++l) {
    check_interrupt();
    if (drift_known)
      arena.parallel_for(trace.sequences, [&](std::size_t b) {
        Matrix<double> x = gather_rows(trace.hidden_at(l, b), rows[b].real);
        std::vector<bool> keep;
        for (const std::size_t i : rows[b].real) keep.push_back(rows[b].keep_without[i]);
        for (std::size_t i = 0; i < x.rows(); ++i)
          for (std::size_t j = 0; j < x.cols(); ++j) x(i, j) -= drift[j];
        out[b].cos_without_constant[l] = mean_cosine(x, keep);
      });
    if (l == trace.layers) break;
    const AttentionWeights weights = source(l);
    const bool usable = !weights.value_t.empty() && !weights.output.empty() && weights.finite();
    if (!usable) {
      drift_known = false;
      continue;
    }
    check_fit(trace, l, weights);
    // A norm on the values or on the output has a scale of its own for each token, which no weight tells.
    const bool linear = weights.output_norm == NormKind::kNone && !weights.value_norm;
    const SublayerWeights w = sublayer_weights(weights);
    drift_known = drift_known && linear;
    if (drift_known)
      for (std::size_t i = 0; i < trace.width; ++i) drift[i] += w.constant_total[i];
    arena.parallel_for(trace.sequences, [&](std::size_t b) {
      const SublayerTokens tokens = gather_sublayer(trace, l, b, rows[b], weights, options.norm_eps);
      WindowSublayer& sublayer = out[b].sublayers[l];
      std::vector<AttentionSpectrum> spectra = std::move(sublayer.attention);
      if (linear) sublayer = measure_sublayer(tokens, w, arena);
      sublayer.attention = std::move(spectra);
      sublayer.linear = linear;
      if (linear) sublayer.scale = median(token_scales(tokens.x, weights.norm, options.norm_eps));
    });
  }
}

void measure_attention(const Trace& trace, const TraceOptions& options, const std::vector<Rows>& rows,
                       const Arena& arena, std::vector<WindowMeasures>& out) {
  const std::size_t windows = std::min(trace.sequences, options.spectra_windows);
  for (std::size_t b = 0; b < windows; ++b)
    for (WindowSublayer& sublayer : out[b].sublayers) sublayer.attention.resize(trace.heads);
  const std::size_t each = trace.layers * trace.heads;
  Progress progress("attention spectra", "matrix", static_cast<double>(windows * each));
  arena.parallel_for(windows * each, [&](std::size_t task) {
    check_interrupt();
    const std::size_t b = task / each, l = task % each / trace.heads, h = task % trace.heads;
    const Matrix<double> a = gather_square(trace.attention_at(l, b, h), rows[b].real);
    out[b].sublayers[l].attention[h] = attention_spectrum(a);
    progress.advance();
  });
}

}  // namespace

std::vector<WindowMeasures> measure_windows(const Trace& trace, const WeightSource& weights,
                                            const TraceOptions& options, const Arena& arena) {
  if (!options.special.empty() && options.special.size() != trace.sequences * trace.tokens)
    throw Error(ErrorKind::kShape, "special tokens",
                std::to_string(options.special.size()) + " flags for " + std::to_string(trace.sequences) +
                    " × " + std::to_string(trace.tokens) + " tokens");
  std::vector<Rows> rows;
  for (std::size_t b = 0; b < trace.sequences; ++b) rows.push_back(rows_of(trace, b, options));

  std::vector<WindowMeasures> out(trace.sequences);
  for (WindowMeasures& window : out) {
    window.all.resize(trace.layers + 1);
    window.without.resize(trace.layers + 1);
    window.cos_without_constant.assign(trace.layers + 1, kNaN);
    if (!trace.attention.empty()) window.sublayers.resize(trace.layers);
  }
  arena.parallel_for(trace.sequences * (trace.layers + 1), [&](std::size_t task) {
    check_interrupt();
    const std::size_t b = task / (trace.layers + 1), l = task % (trace.layers + 1);
    const auto x = trace.hidden_at(l, b);
    out[b].all[l] = measure_tokens(x, {rows[b].keep_all, options.centre_features});
    out[b].without[l] = measure_tokens(x, {rows[b].keep_without, options.centre_features});
  });
  if (trace.attention.empty()) return out;
  if (options.attention_spectra) measure_attention(trace, options, rows, arena, out);
  if (weights) measure_with_weights(trace, weights, options, rows, arena, out);
  return out;
}

}  // namespace telos::smoothing
