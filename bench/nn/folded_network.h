#pragma once

#include <cstddef>

#include "telos/nn/graph.h"

namespace telos::bench {

/// Sizes of a positional transformer: S rows a sample, width d, H heads, hidden width h, L layers.
struct NetworkSizes {
  std::size_t rows = 9, width = 64, heads = 2, hidden = 64, layers = 4;
};

/// Parameters of the network as it is published (encoder, W_qk, W_v, W_o, a two-layer MLP, decoder).
nn::ParameterLayout network_layout(const NetworkSizes& sizes);

/// Its training graph with everything between two ReLUs folded into one product: inputs x and target, S × 1 a
/// sample; mean squared error over all rows but the last.
nn::Graph folded_network(const nn::ParameterLayout& layout, const NetworkSizes& sizes);

}  // namespace telos::bench
