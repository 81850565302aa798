#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "model/config.h"
#include "model/families.h"
#include "telos/model/architecture.h"

namespace telos::model {

/// What is said about the heads outside the tensors, and who says it.
struct HeadFacts {
  std::optional<std::size_t> heads, kv_heads, head_width;
  std::string source;
};
/// From config.json. A config that gives heads but no key and value heads means that they are as many.
HeadFacts heads_in(const Config& config, const Family* family);
/// Fills gaps from the options. Throws kUsage where both say something, and not the same.
HeadFacts merge(HeadFacts facts, const IdentifyOptions& options);

/// Finds d, h, K and k from the facts, else from tensors that tell, else from what all models of that width
/// have (then recorded in `assumed`), else throws kUsage. Throws kShape where they do not divide. `family` is
/// null under a map.
void find_heads(const Checkpoint& checkpoint, const Family* family, const HeadFacts& facts,
                Architecture& architecture);

}  // namespace telos::model
