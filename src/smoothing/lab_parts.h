#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "telos/smoothing/lab.h"

// What the files of the lab share.

namespace telos::smoothing {

inline bool is_recorded(std::size_t layer, std::size_t layers, std::size_t every) {
  return layer == layers || layer % every == 0;
}

/// Measures of one run of a random stack at the recorded layers. A function of its arguments alone.
std::vector<TokenMeasures> run_transformer(const TransformerSystem& system, std::uint32_t run,
                                           std::size_t layers, std::size_t record_every, const Arena& arena);

/// Throws kUsage, `where` = the field, for a spec that cannot be run.
void check_spec(const SimulationSpec& spec);

}  // namespace telos::smoothing
