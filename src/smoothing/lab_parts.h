#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "telos/smoothing/lab.h"

// What the files of the lab share.

namespace telos::smoothing {

// Limits of a spec; a file may not ask for more.
inline constexpr std::size_t kLargestSize = 4096, kMostLayers = 1'000'000, kMostSeeds = 10'000,
                             kMostRecords = 2'000'000;

inline bool is_recorded(std::size_t layer, std::size_t layers, std::size_t every) {
  return layer == layers || layer % every == 0;
}

/// Measures of one run of a random stack at the recorded layers. A function of its arguments alone.
std::vector<TokenMeasures> run_transformer(const TransformerSystem& system, std::uint32_t run,
                                           std::size_t layers, std::size_t record_every, const Arena& arena);

/// Throws kUsage, `where` = the field, for a spec that cannot be run.
void check_spec(const SimulationSpec& spec);

}  // namespace telos::smoothing
