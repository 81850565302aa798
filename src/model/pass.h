#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "model/settings.h"
#include "model/weights.h"
#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/model/trace.h"
#include "telos/model/transformer.h"

namespace telos::model {

/// Which keys the tokens of a batch may attend to.
struct Visibility {
  std::size_t sequences = 0, tokens = 0;
  bool causal = false;
  std::span<const std::uint8_t> mask;  ///< B·L, 0 = padding; empty = none
};

/// Shape of one attention sublayer. Columns of a qkv row: query heads, key heads, value heads.
struct HeadShape {
  std::size_t heads = 0, kv_heads = 0, width = 0;
  std::size_t key_column(std::size_t head) const { return (heads + head / (heads / kv_heads)) * width; }
  std::size_t value_column(std::size_t head) const { return key_column(head) + kv_heads * width; }
  std::size_t columns() const { return (heads + 2 * kv_heads) * width; }
};

/// Each row of `out` becomes (x − mean) / √(variance + eps) · gain + bias (LayerNorm) or x / √(mean square +
/// eps) · gain (RMSNorm); kNone copies. In place where `in` and `out` are the same memory. Cost O(rows ·
/// cols).
void normalise(const Norm& norm, ConstMatrixView<float> in, MatrixView<float> out, const Arena& arena);

/// Query and key norms, then rotary positions, on the query and key columns of qkv. Row r is token r mod L.
void rotate(const Layer& layer, const HeadShape& shape, std::size_t rotary_dims,
            ConstMatrixView<float> cos_sin, MatrixView<float> qkv, const Arena& arena);

/// Row p: cos(p f_0) … cos(p f_{m−1}), sin(p f_0) … sin(p f_{m−1}), computed in double.
Matrix<float> rotary_table(const Rotary& rotary, std::size_t tokens);

/// context ← A V head by head, A = softmax(scale · Q Kᵀ over visible keys), in blocks of rows. `attention` is
/// the (B·h·L) × L matrix that A is left in, or empty. A token that sees no real key attends to all L tokens
/// alike, as in transformers. `fixed` is empty, or holds a head's A (L × L, or (B·L) × L) where it is given
/// instead of computed, and an empty view elsewhere.
void attend(const HeadShape& shape, const Settings::Step& step, const Visibility& visibility,
            ConstMatrixView<float> qkv, std::span<const ConstMatrixView<float>> fixed,
            MatrixView<float> attention, MatrixView<float> context, const Arena& arena);

/// x[row] = token + position + type, then norm and map. Throws kBadFormat for ids and types out of range.
void embed_tokens(const Embedding& embedding, const Settings& settings, const TokenBatch& batch,
                  MatrixView<float> x, const Arena& arena);
/// x = [leading rows; patches · map] + position for each image.
void embed_images(const Embedding& embedding, const Settings& settings, ConstMatrixView<float> pixels,
                  MatrixView<float> x, const Arena& arena);

/// One forward pass: its shape, its buffers and its trace.
class Pass {
 public:
  Pass(const Architecture& architecture, const Settings& settings, const Weights& weights,
       Visibility visibility, const Taps& taps, std::span<const FixedAttention> fixed, const Arena& arena);

  /// Where the embedding goes: the residual stream before layer 0.
  MatrixView<float> start() { return stream(0); }
  /// From start() through all layers to the trace.
  Trace run();

 private:
  void layer(std::size_t number, const Layer& weights, const Settings::Step& step);
  void mlp(const Layer& weights, ConstMatrixView<float> in, ConstMatrixView<float> residual,
           MatrixView<float> out);
  void finish();
  /// Throws kNotFinite saying after what.
  void require_finite(ConstMatrixView<float> stream, const std::string& after) const;
  void logits(ConstMatrixView<float> last);

  MatrixView<float> stream(std::size_t layer);
  /// A view for each head of a layer, empty where attention is computed; none if all of it is.
  std::vector<ConstMatrixView<float>> fixed_heads(std::size_t layer) const;

  const Architecture& architecture_;
  const Settings& settings_;
  const Weights& weights_;
  Visibility visibility_;
  Taps taps_;
  std::span<const FixedAttention> fixed_;
  const Arena& arena_;
  HeadShape shape_;
  Trace trace_;
  Matrix<float> streams_[2];  // the residual stream where it is not recorded: layers write them in turn
  Matrix<float> normed_, residual_, qkv_, context_, hidden_mlp_;
  Matrix<float> rotary_;
};

}  // namespace telos::model
