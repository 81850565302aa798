#pragma once

#include <string>
#include <utility>
#include <vector>

namespace telos {

/// Which files make up a checkpoint.
struct WeightFiles {
  std::string index;               ///< path of model.safetensors.index.json, or empty for a single file
  std::vector<std::string> files;  ///< paths, sorted; shards may be missing
  std::vector<std::pair<std::string, std::size_t>>
      placed;             ///< sorted: tensor name → index into files; only with an index
  std::string directory;  ///< where the files of the model lie
};

/// Finds the weights that `path` names: a safetensors file, an index, or a directory with model.safetensors,
/// with an index, or with one other safetensors file. Throws kMissingFile, kUnsupported (weights in another
/// format only), kBadFormat, kLimit.
WeightFiles find_weights(const std::string& path);

/// The tensors and shards that an index's text names; shard paths are `directory` + the name. A shard's name
/// must be a plain file name ending in .safetensors: an index cannot point outside its directory.
WeightFiles parse_index(std::string_view json, const std::string& path, const std::string& directory);

}  // namespace telos
