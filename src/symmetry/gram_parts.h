#pragma once

#include <cstddef>

#include "telos/base/arena.h"
#include "telos/symmetry/gram.h"

namespace telos::symmetry {

/// Names the sequence that cannot be prepared.
PreparedSequence prepare_item(const Kernel& kernel, const Sequences& s, std::size_t i);
/// The values are asked for in float.
bool in_single(const Kernel& kernel);
/// Pairs that are computed.
double pair_count(const Sequences& rows, const Sequences* columns);
/// Throws kUsage.
void require_gram(const Sequences& rows, const Sequences* columns, const GramOptions& o);

struct GramMeasured {
  GramCost cost;
  bool keep = true;    ///< all prepared sequences fit
  bool joint = false;  ///< all pairs are sampled together
};

/// What the matrix will take, from a part of it.
GramMeasured measure_cost(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                          const GramOptions& o, const Arena& arena);

}  // namespace telos::symmetry
