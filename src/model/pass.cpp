#include "model/pass.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::model {
namespace {

void multiply(ConstMatrixView<float> in, const Linear& linear, MatrixView<float> out, const Arena& arena,
              Activation activation = Activation::kNone, ConstMatrixView<float> residual = {}) {
  gemm_packed<float>(in, linear.weight, {.bias = linear.bias, .activation = activation, .residual = residual},
                     out, arena);
}

/// Applies `activation` to the gate half of each row and multiplies it by the other half; the result replaces
/// the gate.
void apply_gate(Activation activation, MatrixView<float> both, const Arena& arena) {
  const std::size_t width = both.cols() / 2;
  arena.parallel_for(both.rows(), [&](std::size_t r) {
    const std::span<float> gate(both.row(r), width);
    const float* up = both.row(r) + width;
    switch (activation) {
      case Activation::kNone:
        break;
      case Activation::kRelu:
        for (float& value : gate) value = value > 0 ? value : 0;
        break;
      case Activation::kGeluErf:
        vec_gelu<float>(gate, gate);
        break;
      case Activation::kGeluTanh:
        vec_gelu_tanh<float>(gate, gate);
        break;
      case Activation::kQuickGelu:
        vec_quick_gelu<float>(gate, gate);
        break;
      case Activation::kSilu:
        vec_silu<float>(gate, gate);
        break;
    }
    for (std::size_t j = 0; j < width; ++j) gate[j] *= up[j];
  });
}

}  // namespace

Pass::Pass(const Architecture& architecture, const Settings& settings, const Weights& weights,
           Visibility visibility, const Taps& taps, std::span<const FixedAttention> fixed, const Arena& arena)
    : architecture_(architecture),
      settings_(settings),
      weights_(weights),
      visibility_(visibility),
      taps_(taps),
      fixed_(fixed),
      arena_(arena),
      shape_{architecture.heads, architecture.kv_heads, architecture.head_width} {
  const std::size_t rows = visibility.sequences * visibility.tokens, width = architecture.width;
  trace_.sequences = visibility.sequences;
  trace_.tokens = visibility.tokens;
  trace_.width = width;
  trace_.layers = settings.steps.size();
  trace_.heads = architecture.heads;
  trace_.causal = architecture.causal;
  trace_.mask.assign(visibility.mask.begin(), visibility.mask.end());

  const std::size_t layers = settings.steps.size();
  if (taps.hidden) trace_.hidden.resize(layers + 1);
  if (taps.attention) trace_.attention.resize(layers);
  if (taps.sublayers) trace_.attention_input.resize(layers);
  if (taps.sublayers) trace_.attention_residual.resize(layers);
  // The system hands out memory page by page when it is first touched, which costs as much as computing the
  // attention that fills it: so all threads do it.
  arena.parallel_for(layers + 1, [&](std::size_t l) {
    if (taps.hidden) trace_.hidden[l] = Matrix<float>(rows, width);
    if (l == layers) return;
    if (taps.attention) trace_.attention[l] = Matrix<float>(rows * architecture.heads, visibility.tokens);
    if (taps.sublayers) trace_.attention_input[l] = Matrix<float>(rows, width);
    if (taps.sublayers) trace_.attention_residual[l] = Matrix<float>(rows, width);
  });
  if (!taps.hidden)
    for (Matrix<float>& stream : streams_) stream = Matrix<float>(rows, width);
  normed_ = Matrix<float>(rows, width);
  residual_ = Matrix<float>(rows, width);
  qkv_ = Matrix<float>(rows, shape_.columns());
  context_ = Matrix<float>(rows, shape_.heads * shape_.width);
  std::size_t up = 0;
  for (const Layer& layer : weights.layers) up = std::max(up, layer.up.weight.cols());
  hidden_mlp_ = Matrix<float>(rows, up);
  rotary_ = rotary_table(settings.rotary, visibility.tokens);
}

MatrixView<float> Pass::stream(std::size_t layer) {
  return taps_.hidden ? trace_.hidden[layer].view() : streams_[layer % 2].view();
}

std::vector<ConstMatrixView<float>> Pass::fixed_heads(std::size_t layer) const {
  std::vector<ConstMatrixView<float>> heads;
  for (const FixedAttention& fixed : fixed_) {
    if (fixed.layer != layer) continue;
    heads.resize(shape_.heads);
    heads[fixed.head] = fixed.rows;
  }
  return heads;
}

Trace Pass::run() {
  Progress progress("forward pass", "layer", static_cast<double>(settings_.steps.size()));
  require_finite(stream(0), "the embedding");
  for (std::size_t l = 0; l < settings_.steps.size(); ++l) {
    check_interrupt();
    layer(l, weights_.layers[settings_.steps[l].layer], settings_.steps[l]);
    require_finite(stream(l + 1), "layer " + std::to_string(l));
    progress.advance();
  }
  finish();
  return std::move(trace_);
}

// Attention that is not finite leaves a stream that is not, so that this sees it too.
void Pass::require_finite(ConstMatrixView<float> stream, const std::string& after) const {
  std::vector<std::uint8_t> finite(stream.rows());
  arena_.parallel_for(stream.rows(), [&](std::size_t r) {
    bool all = true;
    for (std::size_t j = 0; j < stream.cols(); ++j) all &= std::isfinite(stream(r, j));
    finite[r] = all;
  });
  const auto bad = std::find(finite.begin(), finite.end(), 0);
  if (bad == finite.end()) return;
  const auto row = static_cast<std::size_t>(bad - finite.begin());
  throw Error(ErrorKind::kNotFinite, "forward pass",
              "after " + after + " the hidden state of sequence " + std::to_string(row / visibility_.tokens) +
                  ", token " + std::to_string(row % visibility_.tokens) + " is NaN or infinite",
              "the weights are too large for float, or not what the model was trained to");
}

void Pass::layer(std::size_t number, const Layer& w, const Settings::Step& step) {
  const ConstMatrixView<float> x = stream(number);
  const MatrixView<float> next = stream(number + 1);
  const bool post = architecture_.block == BlockKind::kPost;
  const bool parallel = architecture_.block == BlockKind::kParallel;
  const bool record = taps_.sublayers;

  // Z, what attention reads.
  ConstMatrixView<float> z = x;
  if (!post || record) {
    const MatrixView<float> target = record ? trace_.attention_input[number].view() : normed_.view();
    normalise(post ? Norm{} : w.attention_norm, x, target, arena_);
    z = target;
  }
  // X' = X + Σ_h A_h Z H_h + 1cᵀ.
  const MatrixView<float> residual = record ? trace_.attention_residual[number].view() : residual_.view();
  multiply(z, w.qkv, qkv_, arena_);
  rotate(w, shape_, settings_.rotary.dims, rotary_, qkv_, arena_);
  attend(shape_, step, visibility_, qkv_, fixed_heads(number),
         taps_.attention ? trace_.attention[number].view() : MatrixView<float>(), context_, arena_);
  multiply(context_, w.output, residual, arena_, Activation::kNone, x);

  // What the MLP reads, and what it adds to.
  if (post) {
    normalise(w.attention_norm, residual, normed_, arena_);
    mlp(w, normed_, normed_, next);
    normalise(w.mlp_norm, next, next, arena_);
  } else {
    normalise(w.mlp_norm, parallel ? x : ConstMatrixView<float>(residual), normed_, arena_);
    mlp(w, normed_, residual, next);
  }
}

void Pass::mlp(const Layer& w, ConstMatrixView<float> in, ConstMatrixView<float> residual,
               MatrixView<float> out) {
  const std::size_t rows = in.rows(), width = w.down.weight.rows();
  const MatrixView<float> hidden = hidden_mlp_.view().block(0, 0, rows, w.up.weight.cols());
  multiply(in, w.up, hidden, arena_, w.gated ? Activation::kNone : settings_.activation);
  if (w.gated) apply_gate(settings_.activation, hidden, arena_);
  multiply(hidden.block(0, 0, rows, width), w.down, out, arena_, Activation::kNone, residual);
}

void Pass::finish() {
  ConstMatrixView<float> last = stream(settings_.steps.size());
  if (weights_.final_norm.kind != NormKind::kNone) {
    trace_.final_hidden = Matrix<float>(last.rows(), last.cols());
    normalise(weights_.final_norm, last, trace_.final_hidden, arena_);
    require_finite(trace_.final_hidden, "the final norm");
    last = trace_.final_hidden;
  }
  if (taps_.logits && weights_.head.present) logits(last);
}

void Pass::logits(ConstMatrixView<float> last) {
  const Head& head = weights_.head;
  Matrix<float> transformed;
  if (head.dense.weight.cols() != 0) {
    transformed = Matrix<float>(last.rows(), head.dense.weight.cols());
    multiply(last, head.dense, transformed, arena_, settings_.head_activation);
    normalise(head.norm, transformed, transformed, arena_);
    last = transformed;
  }
  const Matrix<float>& decoder = head.decoder.empty() ? weights_.embedding.token : head.decoder;
  trace_.logits = Matrix<float>(last.rows(), decoder.rows());
  gemm<float>(Op::kPlain, Op::kTransposed, 1.0f, last, decoder, 0.0f, trace_.logits, arena_);
  if (head.bias.empty()) return;
  arena_.parallel_for(trace_.logits.rows(), [&](std::size_t r) {
    float* row = trace_.logits.row(r);
    for (std::size_t j = 0; j < head.bias.size(); ++j) row[j] += head.bias[j];
  });
}

}  // namespace telos::model
