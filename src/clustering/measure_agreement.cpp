#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "clustering/measure_parts.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/linalg/vecmath.h"

namespace telos::clustering {
namespace {

/// Smallest over largest norm above which norms count as equal (those of normalised states, to rounding).
constexpr double kEqualNorms = 0.999;

/// A rule that puts the counted tokens of each window into classes.
struct PredictedClasses {
  std::string name;
  bool baseline = true;
  std::vector<Classes> windows;
};

/// States of the counted tokens of a window before layer 0, in double.
Matrix<double> first_states(const Trace& trace, const CountedWindow& window) {
  const ConstMatrixView<float> all = trace.hidden_at(0, window.window);
  Matrix<double> states(window.counted.size(), trace.width);
  for (std::size_t i = 0; i < states.rows(); ++i)
    std::copy_n(all.row(window.counted[i]), trace.width, states.row(i));
  return states;
}

double norm_ratio(const Matrix<double>& states) {
  double smallest = std::numeric_limits<double>::infinity(), largest = 0;
  for (std::size_t i = 0; i < states.rows(); ++i) {
    const std::span<const double> row(states.row(i), states.cols());
    const double norm = std::sqrt(vec_dot<double>(row, row));
    smallest = std::min(smallest, norm);
    largest = std::max(largest, norm);
  }
  return largest > 0 ? smallest / largest : 1;
}

/// Tokens with one limit: a leader, or else the same point.
Classes limit_classes(const HardmaxRun& run) {
  std::map<std::vector<double>, std::size_t> points;
  std::vector<std::size_t> labels;
  for (std::size_t i = 0; i < run.tokens; ++i) {
    std::size_t label = run.fates[i].leader;
    if (label == kNone) {
      const std::vector<double> limit(run.limits.row(i), run.limits.row(i) + run.dimension);
      label = run.leaders.size() + points.emplace(limit, points.size()).first->second;
    }
    labels.push_back(label);
  }
  return classes(labels);
}

/// The leader of layer 0 with the largest inner product.
Classes nearest_leader(const HardmaxRun& run, const Matrix<double>& states) {
  std::vector<std::size_t> labels(states.rows(), 0);
  for (std::size_t i = 0; i < states.rows(); ++i) {
    double best = -std::numeric_limits<double>::infinity();
    for (const Leader& leader : run.leaders) {
      if (leader.emergence != 0) continue;
      const double score = vec_dot<double>(std::span<const double>(states.row(i), states.cols()),
                                           std::span<const double>(states.row(leader.token), states.cols()));
      if (score > best) best = score, labels[i] = leader.token;
    }
  }
  return classes(labels);
}

/// `count` runs of consecutive tokens, as equal as can be.
Classes blocks(std::size_t tokens, std::size_t count) {
  std::vector<std::size_t> labels(tokens);
  for (std::size_t i = 0; i < tokens; ++i) labels[i] = i * count / tokens;
  return classes(labels);
}

Classes same_label(const Trace& trace, const CountedWindow& window, const std::vector<std::string>& labels) {
  std::map<std::string, std::size_t> known;
  std::vector<std::size_t> out;
  for (const std::size_t i : window.counted)
    out.push_back(known.emplace(labels[window.window * trace.tokens + i], known.size()).first->second);
  return classes(out);
}

std::vector<Classes> cluster_classes(std::span<const SpanningTree> trees, double threshold) {
  std::vector<Classes> out;
  for (const SpanningTree& tree : trees) out.push_back(classes(components(tree, threshold)));
  return out;
}

/// The hardmax system on one window, and what is read off beside its limits.
struct HardmaxWindow {
  Classes limits, centered_limits, nearest;
  double leaders = 0, centered_leaders = 0, norm_ratio = 0;
};

HardmaxWindow run_window(const Trace& trace, const CountedWindow& window, double alpha, const Arena& arena) {
  const Matrix<double> states = first_states(trace, window);
  HardmaxOptions options;
  options.alpha = alpha;
  options.history = false;
  const HardmaxRun run = run_hardmax(states, options, arena);
  options.center = true;
  const HardmaxRun centered = run_hardmax(states, options, arena);
  return {limit_classes(run),
          limit_classes(centered),
          nearest_leader(run, states),
          static_cast<double>(run.leaders.size()),
          static_cast<double>(centered.leaders.size()),
          norm_ratio(states)};
}

double mean_over_windows(std::size_t windows, const auto& number) {
  double sum = 0;
  for (std::size_t w = 0; w < windows; ++w) sum += number(w);
  return sum / static_cast<double>(windows);
}

std::vector<PredictedClasses> predict(const Trace& trace, const std::vector<CountedWindow>& windows,
                                      const LayerTrees& trees, const std::vector<Classes>& target,
                                      ClusterMeasures& result, const Arena& arena) {
  const std::size_t n = windows.size();
  std::vector<HardmaxWindow> runs(n);
  arena.parallel_for(n, [&](std::size_t w) {
    check_interrupt();
    runs[w] = run_window(trace, windows[w], result.options.alpha, arena);
  });
  const auto read = [&](double HardmaxWindow::*number) {
    return mean_over_windows(n, [&](std::size_t w) { return runs[w].*number; });
  };
  result.leaders = read(&HardmaxWindow::leaders);
  result.centered_leaders = read(&HardmaxWindow::centered_leaders);
  result.norm_ratio = read(&HardmaxWindow::norm_ratio);

  std::vector<PredictedClasses> out;
  const auto add = [&](std::string name, bool baseline, const auto& of_window) {
    PredictedClasses& prediction = out.emplace_back(PredictedClasses{std::move(name), baseline, {}});
    for (std::size_t w = 0; w < n; ++w) prediction.windows.push_back(of_window(w));
  };
  add("hardmax, K = ∞", false, [&](std::size_t w) { return runs[w].limits; });
  add("hardmax, K = ∞, centred", false, [&](std::size_t w) { return runs[w].centered_limits; });
  add("nearest leader of layer 0", true, [&](std::size_t w) { return runs[w].nearest; });
  const std::vector<Classes> first = cluster_classes(trees.front(), root_threshold(trees.front()));
  add("cosine clusters before layer 0", true, [&](std::size_t w) { return first[w]; });
  if (!result.options.labels.empty())
    add("same token", true,
        [&](std::size_t w) { return same_label(trace, windows[w], result.options.labels); });
  add("blocks of positions", true,
      [&](std::size_t w) { return blocks(windows[w].counted.size(), target[w].count); });
  return out;
}

/// means[permutation][prediction] of the index over windows, the target's tokens in random order.
std::vector<std::vector<double>> null_means(const std::vector<PredictedClasses>& predictions,
                                            const std::vector<Classes>& target,
                                            const ClusterMeasureOptions& options, const Arena& arena) {
  std::vector<std::vector<double>> means(options.permutations, std::vector<double>(predictions.size(), 0.0));
  arena.parallel_for(options.permutations, [&](std::size_t p) {
    check_interrupt();
    for (std::size_t w = 0; w < target.size(); ++w) {
      std::vector<std::size_t> labels = target[w].label;
      Random random(options.seed, static_cast<std::uint32_t>(w), p);
      for (std::size_t i = labels.size(); i > 1; --i)
        std::swap(labels[i - 1], labels[random.below(static_cast<std::uint32_t>(i))]);
      for (std::size_t k = 0; k < predictions.size(); ++k)
        means[p][k] +=
            rand_index(predictions[k].windows[w], target[w], labels) / static_cast<double>(target.size());
    }
  });
  return means;
}

/// The index with the target, window by window.
std::vector<double> window_indices(const PredictedClasses& prediction, const std::vector<Classes>& target) {
  std::vector<double> index(target.size());
  for (std::size_t w = 0; w < target.size(); ++w)
    index[w] = rand_index(prediction.windows[w], target[w], target[w].label);
  return index;
}

Agreement agree(const PredictedClasses& prediction, const PredictedClasses& first,
                const std::vector<Classes>& target, std::vector<double> null) {
  const std::size_t windows = target.size();
  Agreement a;
  a.name = prediction.name;
  a.baseline = prediction.baseline;
  const std::vector<double> index = window_indices(prediction, target);
  std::vector<double> behind = window_indices(first, target);
  for (std::size_t w = 0; w < windows; ++w) behind[w] -= index[w];
  a.index = estimate(index);
  a.behind = estimate(behind);
  a.classes = mean_over_windows(
      windows, [&](std::size_t w) { return static_cast<double>(prediction.windows[w].count); });
  if (null.empty()) return a;
  std::ranges::sort(null);
  const double n = static_cast<double>(null.size());
  a.null_mean = std::accumulate(null.begin(), null.end(), 0.0) / n;
  a.null_high = null[static_cast<std::size_t>(std::ceil(0.975 * n)) - 1];
  // Rounding of sums in another order is no difference.
  const auto reached = static_cast<double>(
      std::ranges::count_if(null, [&](double mean) { return mean + 1e-12 >= a.index.value; }));
  a.p = (1 + reached) / (1 + n);
  return a;
}

}  // namespace

void measure_agreement(const Trace& trace, const std::vector<CountedWindow>& windows, const LayerTrees& trees,
                       ClusterMeasures& result, const Arena& arena) {
  if (!result.stream.front().valid || !result.stream.back().valid) {
    result.notes.push_back("agreement: it needs finite states before the first and after the last layer");
    return;
  }
  const std::vector<SpanningTree>& last = trees.back();
  const double threshold =
      result.options.agreement_threshold == 0 ? root_threshold(last) : result.options.agreement_threshold;
  const std::vector<Classes> target = cluster_classes(last, threshold);
  result.agreement_threshold = threshold;
  result.agreement_clusters =
      mean_over_windows(last.size(), [&](std::size_t w) { return static_cast<double>(target[w].count); });
  result.agreement_largest = mean_over_windows(last.size(), [&](std::size_t w) {
    return count_components(last[w], std::vector<double>{threshold}).largest[0];
  });
  const std::vector<PredictedClasses> predictions = predict(trace, windows, trees, target, result, arena);
  if (result.norm_ratio > kEqualNorms)
    result.notes.push_back(
        "hardmax prediction: the states before layer 0 have equal norms, so every token leads and none "
        "moves");
  const std::vector<std::vector<double>> means = null_means(predictions, target, result.options, arena);
  for (std::size_t k = 0; k < predictions.size(); ++k) {
    std::vector<double> null;
    for (const std::vector<double>& permutation : means) null.push_back(permutation[k]);
    result.agreement.push_back(agree(predictions[k], predictions[0], target, std::move(null)));
  }
}

}  // namespace telos::clustering
