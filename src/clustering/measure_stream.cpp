#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "clustering/measure_parts.h"
#include "telos/base/log.h"
#include "telos/linalg/vecmath.h"

namespace telos::clustering {
namespace {

/// The cosine of equal states is 1 up to rounding; a threshold of 1 should still join them.
constexpr double kRounding = 1e-12;

bool joined(const SpanningTree::Edge& edge, double threshold) {
  return edge.cosine + kRounding >= threshold;
}

/// The rows as unit vectors in double; false if one is not finite. A zero row stays zero.
bool unit_rows(ConstMatrixView<float> states, std::span<const std::size_t> rows, Matrix<double>& unit) {
  const std::size_t d = states.cols();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(states.row(rows[i]), d, unit.row(i));
    const std::span<double> row(unit.row(i), d);
    const double norm = std::sqrt(vec_dot<double>(row, row));
    if (!std::isfinite(norm)) return false;
    if (norm > 0)
      for (double& x : row) x /= norm;
  }
  return true;
}

/// Mean over pairs of different rows: Σ_{i≠j} ⟨u_i, u_j⟩ = ‖Σu‖² − Σ‖u‖².
double mean_of_pairs(const Matrix<double>& unit) {
  std::vector<double> sum(unit.cols(), 0.0);
  double squares = 0;
  for (std::size_t i = 0; i < unit.rows(); ++i) {
    const std::span<const double> row(unit.row(i), unit.cols());
    squares += vec_dot<double>(row, row);
    for (std::size_t k = 0; k < row.size(); ++k) sum[k] += row[k];
  }
  const double n = static_cast<double>(unit.rows());
  return (vec_dot<double>(sum, sum) - squares) / (n * (n - 1));
}

/// Disjoint sets of tokens with their sizes.
class Sets {
 public:
  explicit Sets(std::size_t n) : parent_(n), size_(n, 1) { std::iota(parent_.begin(), parent_.end(), 0); }
  std::size_t root(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  /// Joins two sets that differ; returns the size of their union.
  std::size_t join(std::size_t a, std::size_t b) {
    a = root(a), b = root(b);
    if (size_[a] < size_[b]) std::swap(a, b);
    parent_[b] = a;
    return size_[a] += size_[b];
  }

 private:
  std::vector<std::size_t> parent_, size_;
};

}  // namespace

SpanningTree spanning_tree(ConstMatrixView<float> states, std::span<const std::size_t> rows) {
  const std::size_t n = rows.size();
  SpanningTree tree;
  tree.tokens = n;
  Matrix<double> unit(n, states.cols());
  tree.finite = unit_rows(states, rows, unit);
  if (!tree.finite) return tree;
  tree.mean_cosine = mean_of_pairs(unit);

  std::vector<SpanningTree::Edge> best(n, {-std::numeric_limits<double>::infinity(), 0, 0});
  std::vector<std::size_t> outside(n - 1);
  std::iota(outside.begin(), outside.end(), 1);
  for (std::size_t last = 0; !outside.empty();) {
    check_interrupt();
    const std::span<const double> u(unit.row(last), unit.cols());
    std::size_t next = 0;
    for (std::size_t k = 0; k < outside.size(); ++k) {
      const std::size_t v = outside[k];
      const double cosine = vec_dot<double>(u, std::span<const double>(unit.row(v), unit.cols()));
      if (cosine > best[v].cosine) best[v] = {cosine, last, v};
      if (best[v].cosine > best[outside[next]].cosine) next = k;
    }
    last = outside[next];
    tree.edges.push_back(best[last]);
    outside.erase(outside.begin() + static_cast<std::ptrdiff_t>(next));
  }
  std::ranges::stable_sort(tree.edges, std::greater<>(), &SpanningTree::Edge::cosine);
  return tree;
}

std::vector<std::size_t> components(const SpanningTree& tree, double threshold) {
  Sets sets(tree.tokens);
  for (const SpanningTree::Edge& edge : tree.edges)
    if (joined(edge, threshold)) sets.join(edge.a, edge.b);
  std::vector<std::size_t> roots(tree.tokens);
  for (std::size_t i = 0; i < tree.tokens; ++i) roots[i] = sets.root(i);
  return classes(roots).label;
}

Components count_components(const SpanningTree& tree, std::span<const double> thresholds) {
  Components out{std::vector<double>(thresholds.size()), std::vector<double>(thresholds.size())};
  std::vector<std::size_t> order(thresholds.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, std::greater<>(), [&](std::size_t t) { return thresholds[t]; });
  Sets sets(tree.tokens);
  std::size_t used = 0, largest = 1;
  for (const std::size_t t : order) {
    for (; used < tree.edges.size() && joined(tree.edges[used], thresholds[t]); ++used)
      largest = std::max(largest, sets.join(tree.edges[used].a, tree.edges[used].b));
    out.count[t] = static_cast<double>(tree.tokens - used);
    out.largest[t] = static_cast<double>(largest) / static_cast<double>(tree.tokens);
  }
  return out;
}

double root_threshold(std::span<const SpanningTree> trees) {
  std::vector<double> cosines;
  double wanted = 0;
  for (const SpanningTree& tree : trees) {
    const double n = static_cast<double>(tree.tokens);
    wanted += n - std::sqrt(n);  // edges that leave √n components
    for (const SpanningTree::Edge& edge : tree.edges) cosines.push_back(edge.cosine);
  }
  std::ranges::sort(cosines, std::greater<>());
  const auto kept = static_cast<std::size_t>(std::llround(wanted));
  if (kept == 0) return 1;
  if (kept >= cosines.size()) return std::max(-1.0, cosines.back());
  return (cosines[kept - 1] + cosines[kept]) / 2;
}

LayerTrees measure_stream(const Trace& trace, const std::vector<CountedWindow>& windows,
                          ClusterMeasures& result, const Arena& arena) {
  const std::vector<double>& thresholds = result.options.thresholds;
  LayerTrees trees(trace.layers + 1, std::vector<SpanningTree>(windows.size()));
  Progress progress("clusters", "layer", static_cast<double>(trees.size()));
  for (std::size_t l = 0; l < trees.size(); ++l) {
    arena.parallel_for(windows.size(), [&](std::size_t w) {
      trees[l][w] = spanning_tree(trace.hidden_at(l, windows[w].window), windows[w].counted);
    });
    LayerClusters layer;
    layer.layer = l;
    layer.valid = std::ranges::all_of(trees[l], &SpanningTree::finite);
    layer.count.resize(thresholds.size());
    layer.largest.resize(thresholds.size());
    if (layer.valid) {
      std::vector<Components> found;
      std::vector<double> cosines;
      for (const SpanningTree& tree : trees[l]) {
        found.push_back(count_components(tree, thresholds));
        cosines.push_back(tree.mean_cosine);
      }
      layer.mean_cosine = estimate(cosines);
      const auto over_windows = [&](std::vector<double> Components::*side, std::size_t t) {
        std::vector<double> values;
        for (const Components& window : found) values.push_back((window.*side)[t]);
        return estimate(values);
      };
      for (std::size_t t = 0; t < thresholds.size(); ++t) {
        layer.count[t] = over_windows(&Components::count, t);
        layer.largest[t] = over_windows(&Components::largest, t);
      }
    } else {
      result.notes.push_back(fmt::format("clusters of the stream {}: a state is not finite",
                                         l == 0 ? "before layer 0" : fmt::format("after layer {}", l - 1)));
    }
    result.stream.push_back(std::move(layer));
    progress.advance();
  }
  return trees;
}

}  // namespace telos::clustering
