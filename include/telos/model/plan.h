#pragma once

#include <cstddef>
#include <cstdint>

#include "telos/io/checkpoint.h"
#include "telos/model/architecture.h"

namespace telos {

/// What a piece of work would read, hold and compute; known from headers alone, before anything is read.
/// `bytes` is exact; `memory` counts weights and results but no allocator, code or buffers (some MB); `flops`
/// counts products and decompositions.
struct Cost {
  std::uint64_t bytes = 0;   ///< from files
  std::uint64_t memory = 0;  ///< peak, bytes
  double flops = 0;
};

/// The spectra of all heads: V and O of each site are read once and two sites are held at a time; 6dk² + 14k³
/// flops a head. Tensors that are missing or quantised cost nothing.
Cost cost_of_spectra(const Checkpoint& checkpoint, const Architecture& architecture);

/// The forward pass of `sequences` windows of `tokens` tokens with hidden states and attention recorded: all
/// float tensors are read and held as float; 2 flops a token for each weight of a matrix that is not an
/// embedding, times the layer's repeats, and 4·L²·h·k a sequence and layer for attention.
Cost cost_of_forward(const Checkpoint& checkpoint, const Architecture& architecture, std::size_t sequences,
                     std::size_t tokens);

}  // namespace telos
