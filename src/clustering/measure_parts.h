#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "telos/clustering/measure.h"

namespace telos::clustering {

/// A window of a trace: positions of its real tokens, and of those that are not left out either.
struct CountedWindow {
  std::size_t window = 0;
  std::vector<std::size_t> real, counted;
};

/// Mean and standard error of the numbers that are not NaN.
Estimate estimate(std::span<const double> values);

// ---- Attention

/// Fills `all`, `followed` and what concerns attention in `notes`.
void measure_heads(const Trace& trace, const std::vector<CountedWindow>& windows, ClusterMeasures& result,
                   const Arena& arena);

// ---- Residual stream

/// A maximum spanning tree of the complete graph of cosines between n states (n − 1 edges, largest cosine
/// first): its edges above any threshold join the same tokens as all edges above it do.
struct SpanningTree {
  struct Edge {
    double cosine = 0;
    std::size_t a = 0, b = 0;
  };
  std::size_t tokens = 0;
  bool finite = true;  ///< false: a state is not, and there are no edges
  double mean_cosine = 0;
  std::vector<Edge> edges;
};
/// Of the given rows; zero vectors have cosine 0 to all. Prim's algorithm: n²d flops, memory O(nd).
SpanningTree spanning_tree(ConstMatrixView<float> states, std::span<const std::size_t> rows);

/// The component of each token at a threshold, numbered by first token.
std::vector<std::size_t> components(const SpanningTree& tree, double threshold);
/// Number of components and share of the tokens in the largest, for each threshold.
struct Components {
  std::vector<double> count, largest;
};
Components count_components(const SpanningTree& tree, std::span<const double> thresholds);

/// trees[layer][window]; fills `stream` and its notes.
using LayerTrees = std::vector<std::vector<SpanningTree>>;
LayerTrees measure_stream(const Trace& trace, const std::vector<CountedWindow>& windows,
                          ClusterMeasures& result, const Arena& arena);
/// The threshold at which the trees have √n components a window on average: halfway between the two cosines
/// around it.
double root_threshold(std::span<const SpanningTree> trees);

// ---- Agreement

/// Classes of n tokens, numbered from 0 by first token, with what the adjusted Rand index reads of them.
struct Classes {
  std::vector<std::size_t> label;
  std::size_t count = 0;
  double pairs = 0;                ///< of tokens in one class
  std::vector<std::size_t> order;  ///< tokens class by class
};
Classes classes(std::span<const std::size_t> labels);
/// Adjusted Rand index of a and b, the latter with its labels permuted to `b_labels`. O(n).
double rand_index(const Classes& a, const Classes& b, std::span<const std::size_t> b_labels);

/// Fills `agreement` and the numbers beside it.
void measure_agreement(const Trace& trace, const std::vector<CountedWindow>& windows, const LayerTrees& trees,
                       ClusterMeasures& result, const Arena& arena);

}  // namespace telos::clustering
