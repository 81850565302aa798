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
  std::vector<std::int32_t> ids;     ///< B·L
  std::vector<std::uint8_t> mask;    ///< B·L, 0 = padding (not attended to); empty = no padding
  std::vector<std::int32_t> types;   ///< B·L segment ids (BERT), or empty = 0
};

/// A transformer with all its weights in memory in one canonical form, whatever family the file was.
class Transformer {
 public:
  /// Whether the forward pass knows this architecture; if not, `why` says what it lacks.
  static bool supports(const Architecture& architecture, std::string* why = nullptr);
  /// Loads all weights as float. Throws kUnsupported, kShape, kNotFinite, kMissingFile.
  static Transformer load(const Checkpoint& checkpoint, const Architecture& architecture, const Arena& arena);
  ~Transformer();
  Transformer(Transformer&&) noexcept;
  Transformer& operator=(Transformer&&) noexcept;

  const Architecture& architecture() const;
  std::uint64_t parameters() const;

  /// The forward pass in float. Same bits for any number of threads, and for a sequence alone or in a batch. Throws
  /// kUsage for an id out of range, kLimit for L longer than the context.
  Trace forward(const TokenBatch& batch, const Taps& taps, const Arena& arena) const;
  /// ViT and DeiT: `pixels` is B × (channels·height·width), normalised as the model expects; tokens are [CLS] (and the
  /// distillation token) and patches in row order.
  Trace forward_images(ConstMatrixView<float> pixels, const Taps& taps, const Arena& arena) const;

 private:
  Transformer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace telos
