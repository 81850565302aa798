#pragma once

#include <cstddef>
#include <vector>

#include "telos/linalg/gemm.h"
#include "telos/nn/graph.h"

// The operations, as functions that add them to a graph. Shapes are a sample's: L rows (tokens), weights in
// the layout of PyTorch (out × in), X row-major. Each has a hand-derived backward pass; kinks (ReLU at 0,
// ties of argmax) take the derivative 0 or the lowest index. Errors: kShape.

namespace telos::nn {

/// Y = activation([X_1 ‖ X_2 ‖ …]·Wᵀ + b): L × out from L × in_i, W out × Σ in_i, b 1 × out. Activation:
/// none, ReLU, GELU (erf or tanh). The concatenation is never formed.
Value linear(Graph& graph, std::vector<Value> inputs, Value weight, Value bias,
             Activation activation = Activation::kNone);
/// The same without bias.
Value linear(Graph& graph, std::vector<Value> inputs, Value weight,
             Activation activation = Activation::kNone);

/// op(A)·op(B); without batch, or A with batch (then rows are tokens) and B without. For folding weights.
Value matmul(Graph& graph, Op op_a, Value a, Op op_b, Value b);
Value add(Graph& graph, Value a, Value b);  ///< equal shapes, or b without batch is added to each sample
Value scale(Graph& graph, Value a, double factor);
/// factor·A with a 1×1 parameter: 1 + ε of GIN.
Value scale_by(Graph& graph, Value a, Value factor);
Value activate(Graph& graph, Value a, Activation activation);
Value slice(Graph& graph, Value a, std::size_t row, std::size_t col, std::size_t rows, std::size_t cols);
Value stack_rows(Graph& graph, std::vector<Value> values);     ///< without batch
Value stack_columns(Graph& graph, std::vector<Value> values);  ///< without batch
/// [X ‖ P] with P (L × p, without batch) the same for each sample.
Value append_columns(Graph& graph, Value x, Value p);

/// Positional attention matrices, stacked: (H·S) × S from positions P (S × d_P), W_qk (2·d_k·H × d_P) and
/// b_qk (1 × 2·d_k·H) in the order query, key by head; A_h = softmax_rows(Q_h K_hᵀ/√d_k) (Back de Luca et
/// al., 2410.01686). Computed in double. No batch.
Value positional_attention(Graph& graph, Value positions, Value w_qk, Value b_qk, std::size_t heads);
/// Row-wise softmax of a stack of logits, without batch.
Value softmax_rows(Graph& graph, Value logits);
/// One-hot of each row's largest entry (ties: lowest index) of softmaxed or raw rows. Backward: straight
/// through, as if the result were its input.
Value hard_rows(Graph& graph, Value rows);

/// Mixing by attention that all samples share. A: (H·S) × S. Output row i of a sample is, head by head,
///   split:    Σ_j A_h[i,j] V[j, h-th of H equal slices of columns]           L × d
///   shared:   Σ_j A_h[i,j] V[j, :] side by side                              L × H·d
///   identity: [V[i, :] ‖ shared]                                             L × (1 + H)·d
enum class MixForm { kSplit, kShared, kIdentityAndShared };
Value mix(Graph& graph, Value attention, Value v, MixForm form);

/// Content-dependent attention, fused. QK: L × H·(2·d_k) in the order query, key by head (or L × 2·H·d_k as
/// all queries, then all keys); V: L × H·d_v. Y_h = w(scale·Q_h K_hᵀ) V_h.
struct AttentionOptions {
  std::size_t heads = 1;
  enum class Kind {
    kSoftmax,
    kLinear,
    kHard
  } kind = Kind::kSoftmax;  ///< kLinear: w(S) = S/L; kHard: one-hot
                            ///< of argmax, straight-through softmax
  double scale = 0;         ///< 0: 1/√d_k
  bool causal = false;      ///< row i sees columns ≤ i
  bool interleaved = true;  ///< query, key by head; false: all queries, then all keys
};
Value attention(Graph& graph, Value qk, Value v, const AttentionOptions& options);
/// Rotary position embedding of queries and keys in the layout above: pairs (2t, 2t+1) of each head's vector
/// at position s turn by s·base^(−2t/d_k). `over_heads`: the angle is the head's index instead, as some
/// published code does (interleaved layout); queries and keys of a head turn alike then, so that scores do
/// not change.
Value rotary(Graph& graph, Value qk, std::size_t heads, double base = 10000, bool over_heads = false);

/// Layers of pure attention with shared step α (Alcalde, Fantuzzi, Zuazua, 2407.01602), fused:
///   X ← (X + α·P·X)/(1 + α),  P_ij ∝ w_j e^{⟨x_i, x_j⟩/T}
/// X: L × d; alpha 1 × 1 without batch; weights L × 1, how often each row counts (not differentiated). A row
/// of weight 0 is absent: it attracts nobody, and its result is 0. Cost: L²·d a layer, backward less where
/// rows of P have one entry.
struct HardmaxOptions {
  enum class Mode {
    kSoft,  ///< the softmax and its derivative
    kHard,  ///< hardmax, equal shares by weight on ties; its derivative almost everywhere: P is constant
    kSte,   ///< hardmax forward; scores are differentiated through the softmax at ste_temperature
  } mode = Mode::kSoft;
  std::size_t layers = 1;
  double temperature = 1e-3, ste_temperature = 0.1;
  /// A softmax leaves out keys with scores more than cut·T below the row's largest: at most Σw·e^−cut of a
  /// row. 25 is below float's precision; infinity: none is left out.
  double cut = 25;
};
Value hardmax_layers(Graph& graph, Value x, Value alpha, Value weights, const HardmaxOptions& options);
/// 1 × d: Σ w_i x_i / Σ w_i over rows of positive weight, 0 if there are none; weights L × 1, not
/// differentiated.
Value weighted_mean_pool(Graph& graph, Value x, Value weights);
/// log(1 + e^{sharpness·a})/sharpness: keeps a parameter positive; close to a where sharpness·a is above 3.
Value softplus(Graph& graph, Value a, double sharpness = 1);

Value layer_norm(Graph& graph, Value x, Value gain, Value bias, double eps = 1e-5);
Value rms_norm(Graph& graph, Value x, Value gain, double eps = 1e-6);
/// Rows of `table` (V × d) at the indices; an index outside throws kLimit in forward.
Value embedding(Graph& graph, Value indices, Value table);
Value mean_pool(Graph& graph, Value x);  ///< 1 × d, the mean of the L rows

/// Losses: 1 × 1 a sample. `rows` = 0: all rows count; else only the first `rows`.
/// mean over rows and columns of (Y − T)².
Value mean_squared_error(Graph& graph, Value prediction, Value target, std::size_t rows = 0);
/// Mean over rows of −log softmax(Y)[target]; rows whose target is negative do not count, and a sample
/// without any other has loss 0. The batch's loss is the mean of its samples' means. A target beyond the
/// columns throws kLimit in forward.
Value cross_entropy(Graph& graph, Value logits, Value target_indices, std::size_t rows = 0);
/// Mean of log(1 + e^y) − t·y over rows and columns.
Value binary_cross_entropy(Graph& graph, Value logits, Value target, std::size_t rows = 0);

}  // namespace telos::nn
