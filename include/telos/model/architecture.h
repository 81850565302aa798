#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/io/checkpoint.h"

namespace telos {

enum class NormKind { kNone, kLayerNorm, kRmsNorm };
/// Where normalisation stands around the attention sublayer.
enum class BlockKind {
  kPre,       ///< X + attn(norm(X))
  kPost,      ///< norm(X + attn(X))
  kSandwich,  ///< X + norm(attn(norm(X)))  (Gemma 2 and 3)
  kOutput,    ///< X + norm(attn(X))        (OLMo 2)
  kParallel,  ///< X + attn(norm(X)) + mlp(norm'(X))  (GPT-NeoX, GPT-J, Phi-2, Falcon)
};
std::string_view to_string(NormKind kind) noexcept;   ///< "LayerNorm"
std::string_view to_string(BlockKind kind) noexcept;  ///< "pre-norm"

/// One attention sublayer of a model, in the order in which tokens meet them.
struct AttentionSite {
  std::string label{};    ///< "3", or "encoder 3", "decoder 3", "cross 3" in an encoder-decoder
  std::string stack{};    ///< "" | "encoder" | "decoder" | "cross"
  std::size_t layer = 0;  ///< index within its stack, from 0
  /// False for cross attention: W_V W_O maps another sequence, it has no spectrum of its own.
  bool self_map = true;
  std::size_t repeats = 1;  ///< how many times these weights are applied in a row (ALBERT)
  /// What precedes the names of this layer's tensors ("bert.encoder.layer.3."); empty under a --map.
  std::string tensors{};
};

/// What a checkpoint is, as far as its config and its tensors say. Facts that neither says are listed in
/// `assumed`.
struct Architecture {
  std::string family;          ///< row of the family table: "bert", "gpt2", "llama", "gpt_neox", "vit", …
  std::string detected_by;     ///< "config.json: model_type \"bert\"" or "tensor names"
  std::size_t layers = 0;      ///< N; an encoder-decoder's are counted per site
  std::size_t width = 0;       ///< d
  std::size_t heads = 0;       ///< h, query heads
  std::size_t kv_heads = 0;    ///< key and value heads; divides heads
  std::size_t head_width = 0;  ///< k of the value heads; may differ from d / h
  std::size_t mlp_width = 0;
  std::size_t vocabulary = 0;
  std::size_t context = 0;  ///< longest sequence, 0 if unknown
  NormKind norm = NormKind::kLayerNorm;
  BlockKind block = BlockKind::kPre;
  double norm_eps = 1e-5;
  bool causal = false;
  std::vector<AttentionSite> sites;
  std::vector<std::string> assumed;
  std::vector<std::string> notes;  ///< e.g. "gated attention: the gate depends on data and is left out"
  std::string config_json;         ///< text of config.json, or empty
  std::string map_json;            ///< text of the user's --map, or empty
  std::string prefix;  ///< common prefix of the family's tensor names in this file ("bert.", "model.", …)
};

struct IdentifyOptions {
  std::optional<std::size_t> heads;  ///< overrides, where a file does not say
  std::optional<std::size_t> kv_heads;
  std::string family;    ///< row of the family table to take whatever the file says; empty for none
  std::string map_path;  ///< JSON that names tensors of an unknown family; empty for none
};

/// Identifies the family from config.json, else from tensor names, and proves every shape that later steps
/// rely on, layer by layer. Reads headers only.
///
/// A --map is a JSON object. "v" and "o" name the value and output weights as regular expressions, in which
/// {layer} stands for the number of a layer. "v_layout" is "out_in" (default), "in_out", "neox" (rows [h, 3,
/// k]), "falcon" (rows [K, g + 2, k]), "concat:OFF" (value rows from OFF on) or "concat_in_out:OFF"
/// (columns); "o_layout" is "out_in" (default) or "in_out". "heads" and "kv_heads" are counts. "norm" names
/// the gain of the norm before attention (of the sum, if "block" is "post"), "output_norm" that of a norm on
/// the attention output; "norm_kind" is "layer_norm" or "rms_norm" (default: by whether there is a bias).
/// "block" is "pre" (default), "post", "sandwich", "output" or "parallel"; "causal" is true or false.
///
/// Throws kUnsupported for an unknown or ambiguous family (lists candidate tensors and a --map template),
/// kShape with the equation that failed, kBadFormat for a layer that is not there or a config entry that
/// makes no sense, kUsage when `heads` must be given or contradicts the file. In a checkpoint that was opened
/// as partial, missing layers are left to read_attention.
Architecture identify(const Checkpoint& checkpoint, const IdentifyOptions& options = {});

/// A row of the family table, for listings.
struct FamilyInfo {
  std::string name;    ///< what Architecture::family and IdentifyOptions::family call it
  std::string covers;  ///< models in words
};
/// All families that identify() knows without a --map.
std::vector<FamilyInfo> known_families();

/// The value/output side of one attention sublayer in canonical form: tokens are rows, weights act from the
/// right, so head h contributes A_h Z W_V^{g(h)} W_O^h with g(h) = ⌊h / (heads / kv_heads)⌋.
///
/// Both factors are stored with d along the rows, each head's k rows contiguous. W_V is therefore kept
/// transposed: that is how almost every file has it (no work when reading), and the k × k products of a head
/// are all of the form A·Bᵀ with contiguous rows: W_O W_V = output_h · value_t_gᵀ, W_VᵀW_V = value_t_g ·
/// value_t_gᵀ, W_O W_Oᵀ = output_h · output_hᵀ.
struct AttentionWeights {
  std::size_t heads = 0, kv_heads = 0, head_width = 0;
  Matrix<float> value_t{};          ///< (kv_heads · k) × d: W_Vᵀ, group g in rows g·k … g·k + k − 1
  Matrix<float> output{};           ///< (heads · k) × d: W_O of head h in rows h·k … h·k + k − 1
  std::vector<float> value_bias{};  ///< kv_heads · k, or empty
  std::vector<float> output_bias{};  ///< d, or empty
  NormKind norm = NormKind::kNone;   ///< of the input: Z = norm(X); kNone for post-norm models
  std::vector<float> norm_gain{};    ///< γ (Gemma's 1 + w is already added), or empty
  std::vector<float> norm_bias{};    ///< β, or empty
  /// Right factor diag(·): LayerScale, or γ of a norm on the attention output; or empty.
  std::vector<float> output_gain{};
  /// Of the attention output (sandwich, OLMo 2): its scale per token is unknown.
  NormKind output_norm = NormKind::kNone;
  /// A norm stands between the two factors of W_V (latent attention): its scale per token is not in W_V.
  bool value_norm = false;
  /// Tensors that cannot be used, with the reason; the matrices are then empty.
  std::vector<std::string> problems{};
  /// Tensors with NaN or infinite values (in F64: values beyond float), one line each with their number and
  /// the index of the first. Matrices and vectors hold such values as they are: they spoil only what they
  /// enter, which the reader of single heads can tell.
  std::vector<std::string> not_finite{};
  /// γ and β of the norm on the sum, X' = norm(X + attn(X)) (post-norm models), or empty.
  std::vector<float> post_norm_gain{}, post_norm_bias{};

  /// k × d: (W_V)ᵀ of the group that query head h reads.
  ConstMatrixView<float> value_t_of(std::size_t head) const {
    return value_t.view().block(head / (heads / kv_heads) * head_width, 0, head_width, value_t.cols());
  }
  /// k × d: W_O of query head h.
  ConstMatrixView<float> output_of(std::size_t head) const {
    return output.view().block(head * head_width, 0, head_width, output.cols());
  }
  bool usable() const { return problems.empty(); }  ///< the matrices are there
  bool finite() const { return not_finite.empty(); }
};

/// Reads one site's weights; 4·d·k·(kv_heads + heads) bytes stay, and a buffer of 1 MB (or 8 rows, if that is
/// more) while it reads; multi-head latent attention also needs its two factors, and their product of
/// 2·heads·k·d·rank flops. Of a fused tensor only the value rows are read. Quantised or missing (in a partial
/// checkpoint) tensors are reported in `problems`, not thrown, and those with NaN or infinity among the
/// values read in `not_finite`; shape errors throw kShape. Safe from several threads at once.
AttentionWeights read_attention(const Checkpoint& checkpoint, const Architecture& architecture,
                                const AttentionSite& site);

/// A dense map y = x W + b in canonical form.
struct Dense {
  Matrix<float> weight;     ///< in × out
  std::vector<float> bias;  ///< out, or empty
};
enum class Projection { kQuery, kKey, kValue, kOutput };
/// The whole projection of all heads: query d × (h·k), key and value d × (kv_heads·k), output (h·k) × d, head
/// by head. Throws kUnsupported where a tensor is quantised or the attention is latent, kNotFinite,
/// kBadFormat for a tensor that is not there, kTruncated.
Dense read_projection(const Checkpoint& checkpoint, const Architecture& architecture,
                      const AttentionSite& site, Projection projection);

}  // namespace telos
