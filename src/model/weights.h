#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/settings.h"
#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/io/checkpoint.h"
#include "telos/linalg/gemm.h"
#include "telos/model/architecture.h"

namespace telos::model {

/// gain and bias are empty where the file has none.
struct Norm {
  NormKind kind = NormKind::kNone;
  float eps = 0;
  std::vector<float> gain{}, bias{};
};

/// y = x W + b with W (in × out) in the order of the product kernel.
struct Linear {
  PackedMatrix<float> weight;
  std::vector<float> bias;
};

/// One block. Columns of `qkv`: query heads, key heads, value heads, each head_width wide.
struct Layer {
  Linear qkv, output;
  Norm attention_norm, query_norm, key_norm;
  Norm mlp_norm;
  Linear up;    ///< d × m, or d × 2m with the gate in the first m columns
  Linear down;  ///< m × d
  bool gated = false;
};

/// What turns ids or pixels into the residual stream.
struct Embedding {
  Matrix<float> token, position, type;  ///< V × e, positions × e, types × e; empty where the family has none
  Norm norm;
  Linear map;             ///< e × d (ALBERT), or a patch's pixels × d (ViT)
  Matrix<float> leading;  ///< ViT: rows before the patches, [CLS] and DeiT's distillation token
  std::size_t channels = 0, patch_height = 0, patch_width = 0;
};

/// Logits = norm(act(x dense)) · decoderᵀ + bias. `decoder` is V × e, empty if it is Embedding::token.
struct Head {
  bool present = false;
  Linear dense;
  Norm norm;
  Matrix<float> decoder;
  std::vector<float> bias;
};

struct Weights {
  Embedding embedding;
  std::vector<Layer> layers;
  Norm final_norm;
  Head head;
  std::uint64_t parameters = 0;  ///< elements of all tensors above, a tied decoder counted once
};

/// What config.json says of sizes and the tensors do not hold.
struct Contradiction {
  std::string text;
  bool matters = true;  ///< false: nothing that is computed depends on it
};
/// Reads headers only; tensors that are not there contradict nothing.
std::vector<Contradiction> contradictions(const Checkpoint& checkpoint, const Architecture& architecture,
                                          const Settings& settings);

/// Reads every weight of the forward pass. Throws kMissingFile for a tensor that is not there, kShape
/// (also where config.json contradicts it), kNotFinite naming the tensor, kUnsupported for types that are not
/// float.
Weights read_weights(const Checkpoint& checkpoint, const Architecture& architecture, const Settings& settings,
                     const Arena& arena);

/// The final norm alone; of kind kNone where the family has none. Throws what read_settings and read_weights
/// do.
Norm read_final_norm(const Checkpoint& checkpoint, const Architecture& architecture,
                     const Settings& settings);

}  // namespace telos::model
