#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/families.h"
#include "telos/io/checkpoint.h"
#include "telos/model/architecture.h"

namespace telos::model {

/// Where the tensors of one attention sublayer are and how they lie: the family's row (or the user's map)
/// applied to a site. Names are without ".weight"; empty where there is nothing to read.
struct Recipe {
  std::string query, key, value, output;
  std::string norm, output_norm;
  std::string latent, latent_norm;
  std::string layer_scale, value_bias;  ///< full names

  Packing packing = Packing::kSeparate;
  bool value_in_out = false, output_in_out = false;
  std::optional<std::size_t> value_row;  ///< first out feature of the value part, where a map gives it
  NormKind norm_kind = NormKind::kNone;  ///< of the input, as it is in this layer
  bool gain_plus_one = false;
};

/// Throws kUsage, kBadFormat for a bad map; the tensors themselves may be missing.
Recipe recipe_of(const Checkpoint& checkpoint, const Architecture& architecture, const AttentionSite& site);

/// [out, in] of a weight, whatever way it is stored; nothing if the tensor is packed by a quantisation (or is
/// not two-dimensional).
struct Extent {
  std::size_t out = 0, in = 0;
};
std::optional<Extent> extent_of(const TensorInfo& tensor, bool in_out);

/// Name of the quantisation scheme of the weight called `base`, or "" for a plain float tensor.
std::string quantisation_of(const Checkpoint& checkpoint, const TensorInfo& tensor, const std::string& base);

/// Runs of out features that belong to a projection, in the order of heads: {first, count}.
std::vector<std::pair<std::size_t, std::size_t>> rows_of(const Recipe& recipe,
                                                         const Architecture& architecture,
                                                         Projection projection);

}  // namespace telos::model
