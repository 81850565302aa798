#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/families.h"
#include "telos/io/checkpoint.h"

namespace telos::model {

/// Where one layer of a stack lies: its number (ALBERT: group, layer within the group) and what precedes the
/// names of its tensors.
struct LayerPlace {
  std::size_t layer = 0, inner = 0;
  std::string tensors;
  auto operator<=>(const LayerPlace&) const = default;
};

/// The layers of one stack in a file, for each prefix under which such layers are found. A layer is there if
/// its value tensor is, be it quantised. Layers ascend.
std::map<std::string, std::vector<LayerPlace>> find_layers(const Checkpoint& checkpoint, const Stack& stack);

/// The tensor that holds the weight called `base`: base.weight, else base.qweight (GPTQ, AWQ), else base
/// itself.
const TensorInfo* find_weight(const Checkpoint& checkpoint, const std::string& base);
/// base.bias, or base.beta as old files call it.
const TensorInfo* find_bias(const Checkpoint& checkpoint, const std::string& base);
/// base.weight, or base.gamma as old files call it.
const TensorInfo* find_gain(const Checkpoint& checkpoint, const std::string& base);

/// Families whose names fit the file, with the prefix to use for each.
struct Candidate {
  const Family* family = nullptr;
  std::string prefix;
};
std::vector<Candidate> families_by_names(const Checkpoint& checkpoint);

/// The prefix under which the file holds `family`; nothing if it does not. Throws kUnsupported where several
/// prefixes do and the table prefers none of them.
std::optional<std::string> find_prefix(const Checkpoint& checkpoint, const Family& family);

}  // namespace telos::model
