#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <regex>
#include <string>

#include "model/recipe.h"
#include "telos/io/checkpoint.h"

namespace telos::model {

/// The user's description of a family that the table lacks; the format is in telos/model/architecture.h.
class TensorMap {
 public:
  /// Throws kBadFormat for text that is not JSON, and for a key, value or expression that makes no sense.
  TensorMap(const std::string& text, std::string where);

  /// Number of a layer → its value tensor. Throws kUsage where two tensors of a layer match.
  std::map<std::size_t, const TensorInfo*> value_tensors(const Checkpoint& checkpoint) const;
  Recipe recipe(const Checkpoint& checkpoint, std::size_t layer) const;

  std::optional<std::size_t> heads, kv_heads;
  BlockKind block = BlockKind::kPre;
  std::optional<NormKind> norm_kind;
  bool causal = false;

 private:
  struct Pattern {
    std::string key, text;
    std::regex expression;
  };
  Pattern compile(const std::string& key, const std::string& text) const;
  void set_value_layout(const std::string& layout);
  std::map<std::size_t, const TensorInfo*> matches(const Checkpoint& checkpoint,
                                                   const Pattern& pattern) const;

  std::string where_;
  Pattern value_, output_;
  std::optional<Pattern> norm_, output_norm_;
  Packing packing_ = Packing::kSeparate;
  bool value_in_out_ = false, output_in_out_ = false;
  std::optional<std::size_t> value_row_;
};

}  // namespace telos::model
