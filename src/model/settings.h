#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "telos/linalg/gemm.h"
#include "telos/model/architecture.h"

namespace telos::model {

/// Where a family keeps its tensors other than the projections of attention. Names are without ".weight" and
/// ".bias". Those of a layer follow AttentionSite::tensors, those of the head stand as they are, the others
/// follow Architecture::prefix. Empty: the family has no such part.
struct FamilyNames {
  std::string_view token{}, position{}, type{}, embedding_norm{}, embedding_map{};
  std::string_view attention_norm{}, query_norm{}, key_norm{}, mlp_norm{}, gate{}, up{}, down{};
  std::string_view final_norm{};
  std::string_view head_dense{}, head_norm{}, head_decoder{}, head_bias{};
  bool conv1d = false;  ///< MLP matrices are stored (in, out)
};

/// Rotary positions: plane i of a head turns its coordinates (i, i + dims/2) by position · frequency[i]
/// (radians).
struct Rotary {
  std::size_t dims = 0;  ///< leading coordinates of a head that turn; 0 = no rotary positions
  std::vector<double> frequency;
};

enum class Positions {
  kNone,
  kCounted,       ///< 0, 1, 2, …
  kAfterPadding,  ///< RoBERTa: padding id + 1, + 2, … over tokens that are not the padding id, which keep
                  ///< that id
};

/// What the forward pass must know beyond Architecture, read from the config with the family's defaults.
struct Settings {
  const FamilyNames* names = nullptr;
  bool images = false;  ///< patches instead of token ids
  bool tied = true;     ///< the decoder of the logits is the token embedding unless the file has its own
  Activation activation = Activation::kGeluErf;
  Activation head_activation = Activation::kGeluErf;
  Positions positions = Positions::kNone;
  std::int32_t padding_id = 1;
  Rotary rotary;
  /// For each application of a layer, in order: which layer (ALBERT repeats), the factor on q·k, and how many
  /// keys back a token sees, itself included (0 = all).
  struct Step {
    std::size_t layer = 0;
    float scale = 1;
    std::size_t window = 0;
  };
  std::vector<Step> steps;
  std::size_t image_height = 0, image_width = 0;
};

/// Throws kUnsupported with what the forward pass lacks, kBadFormat for a config value of the wrong type.
Settings read_settings(const Architecture& architecture);

}  // namespace telos::model
