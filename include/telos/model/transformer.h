#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/model/architecture.h"
#include "telos/model/trace.h"

namespace telos {

/// B sequences of L token ids each, row by row.
struct TokenBatch {
  std::size_t sequences = 0, tokens = 0;
  std::vector<std::int32_t> ids;    ///< B·L
  std::vector<std::uint8_t> mask;   ///< B·L, 0 = padding (not attended to); empty = no padding
  std::vector<std::int32_t> types;  ///< B·L segment ids (BERT), or empty = 0
};

/// Attention that stands in for what a head would compute from queries and keys; the head's values and its
/// output stay as they are.
struct FixedAttention {
  std::size_t layer = 0, head = 0;
  /// A, L × L for all sequences, or (B·L) × L, sequence after sequence. Taken as it is: what a row should not
  /// see (padding, the future) must be 0.
  ConstMatrixView<float> rows{};
};

/// A transformer with all its weights in memory in one canonical form, whatever family the file was:
/// embeddings, N blocks of attention and MLP, final norm, decoder.
///
/// Families (model_type): bert, roberta, xlm-roberta, camembert, distilbert, albert, gpt2, llama, mistral,
/// qwen2, qwen3, gpt_neox, vit, deit. Within them: grouped queries, norms of queries and keys, full and
/// partial rotary positions with scaling "linear" and "llama3", sliding windows, parallel and serial
/// residuals, GELU (erf, tanh, quick), ReLU and SiLU. Not: other rotary scalings, relative positions, cross
/// attention, ALBERT with several layers in a group, quantised weights; supports() says which.
class Transformer {
 public:
  /// Whether the forward pass knows this architecture; if not, `why` says what it lacks. Reads no file.
  static bool supports(const Architecture& architecture, std::string* why = nullptr);
  /// Whether a model that supports() knows takes images: it has no forward pass on tokens.
  static bool reads_images(const Architecture& architecture);
  /// What config.json says of sizes otherwise than the tensors, one line each; reads headers only. load()
  /// refuses a model with a position table, an embedding or an MLP other than that.
  static std::vector<std::string> contradictions(const Checkpoint& checkpoint,
                                                 const Architecture& architecture);
  /// Loads all weights as float, layers in parallel; 4 bytes a parameter stay, one layer's more a thread
  /// while it reads. Throws kUnsupported (as supports), kShape and kNotFinite naming the tensor, kMissingFile
  /// for a tensor that is not there, kBadFormat for a config that makes no sense, and what Checkpoint::read
  /// throws.
  static Transformer load(const Checkpoint& checkpoint, const Architecture& architecture, const Arena& arena);
  ~Transformer();
  Transformer(Transformer&&) noexcept;
  Transformer& operator=(Transformer&&) noexcept;

  const Architecture& architecture() const;
  /// Elements of all weights that the forward pass reads; those shared by layers, or by embedding and
  /// decoder, once.
  std::uint64_t parameters() const;
  /// Multiplications and additions of the products with all layers' weights for one token, repeated layers as
  /// often as they run; attention itself, embeddings and decoder are not in it.
  double flops_per_token() const;

  /// The forward pass in float; relative error of hidden states about 1e-6 (tests/golden: below 1e-5 in every
  /// family). Same bits for any number of threads, and for a sequence alone or in a batch of the same L.
  ///
  /// Keys of padding tokens get attention exactly 0. Padding tokens are computed like the others; one that
  /// sees no real key (padding on the left, causal) attends to all L tokens alike, as in transformers, so
  /// that its rows of A still sum to 1. Positions count from the first token, padded or not; RoBERTa's skip
  /// its padding id.
  ///
  /// Trace::final_hidden is filled whenever the model has a final norm. Logits are those of the
  /// language-model head in the file (BERT: of the masked-token head), at every token; without such a head
  /// Trace::logits stays empty. With Taps::sublayers, attention_input is the normed stream (the stream itself
  /// in a post-norm model), and attention_residual the stream plus attention alone, also where the MLP stands
  /// in parallel.
  ///
  /// `fixed` replaces the attention of some heads, also where it is recorded.
  ///
  /// Throws kBadFormat for ids and segments out of range, kUsage for sizes that do not fit and for fixed
  /// heads that do not exist, come twice or see the future of a causal model, kShape and kNotFinite for their
  /// matrices, kNotFinite for hidden states that are not, naming the layer, kLimit for L beyond the context,
  /// kInterrupted. Memory beside the trace: (4d + (h + 2 kv)k + hk + m) floats a token, twice m for gated
  /// MLPs.
  Trace forward(const TokenBatch& batch, const Taps& taps, const Arena& arena,
                std::span<const FixedAttention> fixed = {}) const;
  /// ViT and DeiT: `pixels` is B × (channels·height·width), normalised as the model expects; tokens are [CLS]
  /// (and the distillation token) and patches in row order. Sizes other than that of the config are kShape:
  /// positions are not interpolated. No class logits.
  Trace forward_images(ConstMatrixView<float> pixels, const Taps& taps, const Arena& arena) const;

 private:
  Transformer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether the last state of a trace lies behind the final norm of the model that it was recorded from, as
/// the last of transformers' hidden_states does in pre-norm models: all its rows have the size that the norm
/// gives them (mean square of (x − β)/γ within 2 % of 1). False where the model has no such norm, or where it
/// cannot be read.
bool behind_final_norm(const Trace& trace, const Checkpoint& checkpoint, const Architecture& architecture);

}  // namespace telos
