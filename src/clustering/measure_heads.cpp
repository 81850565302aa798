#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "clustering/measure_parts.h"
#include "telos/base/log.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kFollowedShown = 50;

/// What a window says of a head.
enum Fact {
  kLargest,
  kEntropy,
  kRelativeEntropy,
  kTargets,
  kSelf,
  kFirst,
  kLeftOut,
  kGini,
  kTopShare,
  kFacts
};
using Facts = std::array<double, kFacts>;

/// One row of attention over the keys that it sees.
struct Row {
  const float* weights;
  std::span<const std::size_t> keys;
};

/// Number of keys that row i sees: they are the first ones of `real`.
std::size_t keys_seen(const CountedWindow& window, std::size_t i, bool causal) {
  if (!causal) return window.real.size();
  return static_cast<std::size_t>(std::ranges::upper_bound(window.real, i) - window.real.begin());
}

/// Adds to facts what one row says and spreads 1 over its largest weights in `in_degree`. False if the row
/// holds no weights.
bool add_row(const Row& row, Facts& facts, std::span<double> in_degree) {
  double sum = 0, squares = 0, entropy = 0;
  float largest = 0;
  for (const std::size_t j : row.keys) {
    const float a = row.weights[j];
    if (!(a >= 0) || !std::isfinite(a)) return false;
    if (a == 0) continue;
    const double x = static_cast<double>(a);
    sum += x;
    squares += x * x;
    entropy -= x * std::log(x);
    largest = std::max(largest, a);
  }
  if (!(sum > 0)) return false;
  // With p = a/Σa: −Σ p ln p = −Σ a ln a/Σa + ln Σa.
  entropy = std::max(0.0, entropy / sum + std::log(sum));
  facts[kLargest] += static_cast<double>(largest) / sum;
  facts[kEntropy] += entropy;
  facts[kRelativeEntropy] += entropy / std::log(static_cast<double>(row.keys.size()));
  facts[kTargets] += sum * sum / squares;
  double ties = 0;
  for (const std::size_t j : row.keys) ties += row.weights[j] == largest ? 1 : 0;
  for (const std::size_t j : row.keys)
    if (row.weights[j] == largest) in_degree[j] += 1 / ties;
  return true;
}

/// Lorenz curve of `received` against `expected`, and twice the area between it and the diagonal.
double weighted_gini(std::span<const double> received, std::span<const double> expected) {
  std::vector<std::size_t> order;
  for (std::size_t j = 0; j < expected.size(); ++j)
    if (expected[j] > 0) order.push_back(j);
  std::ranges::stable_sort(order, {}, [&](std::size_t j) { return received[j] / expected[j]; });
  double below = 0, area = 0, all = 0;
  for (const std::size_t j : order) {
    area += expected[j] * (2 * below + received[j]);
    below += received[j];
    all += expected[j];
  }
  return std::max(0.0, 1 - area / (all * below));
}

/// What uniform attention gives to each key of a window, summed over its rows that see two or more.
std::vector<double> uniform_in_degree(const Trace& trace, const CountedWindow& window) {
  std::vector<double> degree(trace.tokens, 0.0);
  for (const std::size_t i : window.counted) {
    const std::size_t keys = keys_seen(window, i, trace.causal);
    for (std::size_t k = 0; k < keys && keys > 1; ++k)
      degree[window.real[k]] += 1 / static_cast<double>(keys);
  }
  return degree;
}

/// A head over all windows: facts[w] by window, in-degrees of all tokens of the trace.
struct HeadSums {
  bool valid = true;
  std::vector<Facts> facts;
  std::vector<double> in_degree;
};

/// What all heads share.
struct Context {
  const Trace& trace;
  const std::vector<CountedWindow>& windows;
  const ClusterMeasureOptions& options;
  std::vector<std::vector<double>> uniform;  ///< by window
};

/// False if a row holds no weights.
bool add_window(const Context& c, std::size_t layer, std::size_t head, std::size_t w, HeadSums& sums) {
  const CountedWindow& window = c.windows[w];
  const ConstMatrixView<float> a = c.trace.attention_at(layer, window.window, head);
  const std::span<double> in_degree =
      std::span(sums.in_degree).subspan(window.window * c.trace.tokens, c.trace.tokens);
  Facts& facts = sums.facts[w];
  facts.fill(0);
  double rows = 0;
  for (const std::size_t i : window.counted) {
    const std::size_t keys = keys_seen(window, i, c.trace.causal);
    if (keys < 2) continue;
    const double own = in_degree[i];
    if (!add_row({a.row(i), std::span(window.real).first(keys)}, facts, in_degree)) return false;
    facts[kSelf] += in_degree[i] - own;
    ++rows;
  }
  facts[kFirst] = in_degree[window.real.front()];
  for (const std::size_t j : window.real)
    if (!c.options.exclude.empty() && c.options.exclude[window.window * c.trace.tokens + j] != 0)
      facts[kLeftOut] += in_degree[j];
  facts[kTopShare] = *std::ranges::max_element(in_degree);
  for (double& fact : facts) fact /= rows;
  facts[kGini] = weighted_gini(in_degree, c.uniform[w]);
  return true;
}

HeadSums sum_head(const Context& c, std::size_t layer, std::size_t head) {
  HeadSums sums{true, std::vector<Facts>(c.windows.size()),
                std::vector<double>(c.trace.sequences * c.trace.tokens, 0.0)};
  for (std::size_t w = 0; w < c.windows.size() && sums.valid; ++w)
    sums.valid = add_window(c, layer, head, w, sums);
  return sums;
}

/// Every token's label as a number, and the labels.
struct TokenLabels {
  std::vector<std::size_t> of_token;
  std::vector<std::string> names;
};

TokenLabels number_labels(const Trace& trace, const ClusterMeasureOptions& options) {
  TokenLabels out;
  std::map<std::string, std::size_t> known;
  for (std::size_t at = 0; at < trace.sequences * trace.tokens; ++at) {
    const std::string name =
        options.labels.empty() ? fmt::format("position {}", at % trace.tokens) : options.labels[at];
    const auto [entry, is_new] = known.emplace(name, out.names.size());
    if (is_new) out.names.push_back(name);
    out.of_token.push_back(entry->second);
  }
  return out;
}

std::vector<double> sum_by_label(const TokenLabels& labels, std::span<const double> by_token) {
  std::vector<double> sums(labels.names.size(), 0.0);
  for (std::size_t at = 0; at < by_token.size(); ++at) sums[labels.of_token[at]] += by_token[at];
  return sums;
}

Estimate over_windows(const std::vector<Facts>& facts, Fact fact) {
  std::vector<double> values;
  for (const Facts& window : facts) values.push_back(window[fact]);
  return estimate(values);
}

HeadHardness describe(const HeadSums& sums, const TokenLabels& labels, std::size_t layer, std::size_t head) {
  HeadHardness h;
  h.layer = layer;
  h.head = head;
  h.name = fmt::format("{}.{}", layer, head);
  h.valid = sums.valid;
  if (!sums.valid) return h;
  h.largest = over_windows(sums.facts, kLargest);
  h.entropy = over_windows(sums.facts, kEntropy);
  h.relative_entropy = over_windows(sums.facts, kRelativeEntropy);
  h.targets = over_windows(sums.facts, kTargets);
  h.self_share = over_windows(sums.facts, kSelf);
  h.first_share = over_windows(sums.facts, kFirst);
  h.left_out_share = over_windows(sums.facts, kLeftOut);
  h.gini = over_windows(sums.facts, kGini);
  h.top_share = over_windows(sums.facts, kTopShare);
  const std::vector<double> followed = sum_by_label(labels, sums.in_degree);
  h.top_token = labels.names[static_cast<std::size_t>(std::ranges::max_element(followed) - followed.begin())];
  return h;
}

/// Sums over the heads that could be measured.
struct AllHeads {
  double heads = 0;
  std::vector<double> largest, targets;  ///< by window
  std::vector<double> in_degree;         ///< by token
};

void add(AllHeads& all, const HeadSums& head) {
  if (!head.valid) return;
  ++all.heads;
  for (std::size_t w = 0; w < head.facts.size(); ++w) {
    all.largest[w] += head.facts[w][kLargest];
    all.targets[w] += head.facts[w][kTargets];
  }
  for (std::size_t at = 0; at < head.in_degree.size(); ++at) all.in_degree[at] += head.in_degree[at];
}

std::vector<FollowedToken> most_followed(const Context& c, const TokenLabels& labels, const AllHeads& all) {
  std::vector<double> uniform(all.in_degree.size(), 0.0);
  std::vector<FollowedToken> out(labels.names.size());
  for (std::size_t name = 0; name < out.size(); ++name) out[name].label = labels.names[name];
  for (std::size_t w = 0; w < c.windows.size(); ++w) {
    const std::size_t begin = c.windows[w].window * c.trace.tokens;
    std::ranges::copy(c.uniform[w], uniform.begin() + static_cast<std::ptrdiff_t>(begin));
    std::vector<std::uint8_t> seen(out.size(), 0);
    for (const std::size_t i : c.windows[w].real)
      if (const std::size_t name = labels.of_token[begin + i]; all.in_degree[begin + i] > 0 && !seen[name])
        seen[name] = 1, ++out[name].windows;
  }
  const std::vector<double> followed = sum_by_label(labels, all.in_degree),
                            expected = sum_by_label(labels, uniform);
  double followed_sum = 0, expected_sum = 0;
  for (std::size_t name = 0; name < out.size(); ++name)
    followed_sum += followed[name], expected_sum += expected[name];
  for (std::size_t name = 0; name < out.size(); ++name) {
    out[name].share = followed[name] / followed_sum;
    out[name].uniform = expected[name] / expected_sum;
  }
  std::erase_if(out, [](const FollowedToken& t) { return t.windows == 0; });
  std::ranges::stable_sort(out, std::greater<>(), &FollowedToken::share);
  if (out.size() > kFollowedShown) out.resize(kFollowedShown);
  return out;
}

}  // namespace

void measure_heads(const Trace& trace, const std::vector<CountedWindow>& windows, ClusterMeasures& result,
                   const Arena& arena) {
  Context c{trace, windows, result.options, {}};
  for (const CountedWindow& window : windows) c.uniform.push_back(uniform_in_degree(trace, window));
  const TokenLabels labels = number_labels(trace, result.options);
  result.all.resize(trace.layers * trace.heads);
  AllHeads all{0, std::vector<double>(windows.size(), 0.0), std::vector<double>(windows.size(), 0.0),
               std::vector<double>(trace.sequences * trace.tokens, 0.0)};
  std::string invalid;
  Progress progress("attention", "layer", static_cast<double>(trace.layers));
  for (std::size_t l = 0; l < trace.layers; ++l) {
    check_interrupt();
    std::vector<HeadSums> sums(trace.heads);
    arena.parallel_for(trace.heads, [&](std::size_t h) {
      sums[h] = sum_head(c, l, h);
      result.all[l * trace.heads + h] = describe(sums[h], labels, l, h);
    });
    for (std::size_t h = 0; h < trace.heads; ++h) {
      add(all, sums[h]);
      if (!sums[h].valid) invalid += (invalid.empty() ? "" : ", ") + result.all[l * trace.heads + h].name;
    }
    progress.advance();
  }
  if (!invalid.empty())
    result.notes.push_back("attention of " + invalid + ": a row holds NaN, a negative weight, or only zeros");
  if (all.heads == 0) return;
  for (std::size_t w = 0; w < windows.size(); ++w) {
    all.largest[w] /= all.heads;
    all.targets[w] /= all.heads;
  }
  result.largest = estimate(all.largest);
  result.targets = estimate(all.targets);
  result.followed = most_followed(c, labels, all);
}

}  // namespace telos::clustering
