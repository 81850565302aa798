#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "telos/model/architecture.h"

namespace telos::model {

/// How the rows (out features) of a projection lie in a tensor; H query heads, K key/value heads, g = H / K,
/// k head width. MQA is K = 1, MHA is K = H, so that few layouts cover all files.
enum class Packing {
  kSeparate,      ///< one tensor each for query [H·k], key [K·k] and value [K·k]
  kConcatenated,  ///< [query H·k; key K·k; value K·k]
  kGrouped,       ///< for each of K groups [g queries; 1 key; 1 value] × k; [H, 3, k] when K = H
  kLatent,        ///< value = value rows of kv_b [H, nope + k] · diag(γ) · kv_a [rank (+ rope), d]
};

/// What a tensor outside the value/output path says about the heads, for files without config.json.
enum class Evidence {
  kHeadWidth,      ///< its one dimension is k (a norm over each query head)
  kHalfHeadWidth,  ///< its one dimension is k / 2 (rotary frequencies over the whole head)
  kHeadsLast,      ///< its last dimension is H (T5's table of relative positions)
};
struct EvidenceTensor {
  std::string name;  ///< after the layer's prefix
  Evidence says = Evidence::kHeadWidth;
};

/// One kind of attention sublayer of a family. Names follow the layer's prefix, without ".weight" and
/// ".bias".
struct Stack {
  std::string label{};         ///< AttentionSite::stack
  bool self_map = true;        ///< AttentionSite::self_map
  std::size_t order = 0;       ///< stacks of equal order alternate layer by layer, others follow one another
  std::string layer{};         ///< "encoder.layer.{}.": what precedes every name, after the file's prefix
  std::string query{}, key{};  ///< kSeparate only
  std::string value{};         ///< the fused tensor if not kSeparate
  std::string output{};
};

/// A row of the table: all that telos knows about the files of a family.
struct Family {
  std::string name{};                      ///< Architecture::family
  std::string covers{};                    ///< models in words
  std::vector<std::string> model_types{};  ///< of config.json
  std::vector<Stack> stacks{};
  Packing packing = Packing::kSeparate;
  bool in_out = false;  ///< weights are stored [in, out] (GPT-2's Conv1D), not [out, in]

  NormKind norm = NormKind::kLayerNorm;
  double norm_eps = 1e-5;  ///< where config.json does not say
  BlockKind block = BlockKind::kPre;
  /// The norm before attention (kPre, kParallel, kSandwich) or on the sum (kPost): the first name that is
  /// there.
  std::vector<std::string> norm_names{};
  bool norm_optional = false;  ///< layers without it have the identity there
  bool norm_without_affine =
      false;  ///< where γ is not stored it is 1 (OPT's layer_norm_elementwise_affine = false)
  bool gain_plus_one = false;  ///< γ = 1 + stored weight
  std::string output_norm{};   ///< γ of a norm on the attention output (kSandwich, kOutput)
  std::vector<std::string>
      layer_scale{};  ///< full names of diag(·) on the attention output; the first that is there
  std::vector<std::string> value_bias{};  ///< full names of a bias kept apart from its weight
  std::string latent{}, latent_norm{};    ///< kLatent: kv_a and the norm between the factors

  bool causal = true;
  /// Head width that all published models of a width in [usual_from, usual_to] have; 0: there is no such
  /// rule.
  std::size_t usual_head_width = 0, usual_from = 0, usual_to = 0;
  std::vector<EvidenceTensor> evidence{};

  /// Tensors that tell this family from one with the same projections, after the layer's prefix (with
  /// ".weight"); a leading '/' means after the file's prefix.
  std::vector<std::string> has{}, lacks{};
  /// Further test, given the file's prefix and the first layer's value tensor.
  bool (*fits)(const Checkpoint& checkpoint, const std::string& prefix, const TensorInfo& value) = nullptr;

  /// Where several prefixes in a file hold this family, the first of these counts.
  std::vector<std::string> preferred_prefixes{};
  std::vector<std::string> config_sections{};  ///< sub-objects of config.json to look into first
  /// Facts of config.json that change the row (block kind, mask).
  void (*adjust)(const Config& config, Architecture& architecture) = nullptr;
  /// K as config.json has it, where its usual key means something else.
  std::optional<std::size_t> (*kv_heads)(const Config& config, std::size_t heads) = nullptr;
  std::vector<std::string> notes{};
  std::string refused{};  ///< why telos does not read it without --map; empty: it does
};

/// The table, in the order in which names are tried.
const std::vector<Family>& families();
const Family* find_family(std::string_view name);

}  // namespace telos::model
