#pragma once

#include "model/families.h"
#include "telos/model/architecture.h"

namespace telos::model {

/// Proves for every layer that value, output, query, norms and biases have the shapes that d, h, K and k
/// demand. Packed (quantised) tensors have no shape to prove. Throws kShape with the equation, kBadFormat for
/// a tensor that is not there. Adds a note for queries that carry a gate.
void prove_shapes(const Checkpoint& checkpoint, const Family* family, Architecture& architecture);

}  // namespace telos::model
