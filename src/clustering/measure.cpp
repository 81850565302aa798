#include "telos/clustering/measure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "clustering/measure_parts.h"
#include "telos/base/error.h"

namespace telos::clustering {
namespace {

std::string name_of(const Trace& trace) {
  return trace.source.empty() ? "trace" : trace.source;
}

void check_options(const ClusterMeasureOptions& o) {
  const auto cosine = [](double t) { return t >= -1 && t <= 1; };
  const auto refuse = [](const std::string& message) { throw Error(ErrorKind::kUsage, "clusters", message); };
  if (o.thresholds.empty()) refuse("expected at least one threshold");
  for (const double t : o.thresholds)
    if (!cosine(t)) refuse(fmt::format("a threshold of a cosine lies between -1 and 1, found {}", t));
  if (!cosine(o.agreement_threshold))
    refuse(fmt::format("the agreement's threshold of a cosine lies between -1 and 1, found {}",
                       o.agreement_threshold));
  if (o.permutations != 0 && o.permutations < kLeastPermutations)
    refuse(fmt::format("{} permutations cannot tell anything from chance, expected {} or more",
                       o.permutations, kLeastPermutations));
  if (!(o.alpha > 0) || !std::isfinite(o.alpha)) refuse(fmt::format("expected α > 0, found {}", o.alpha));
}

void check_shapes(const Trace& t, const ClusterMeasureOptions& o) {
  if (t.hidden.empty() || t.hidden.size() != t.layers + 1)
    throw Error(ErrorKind::kUsage, name_of(t), "the trace has no hidden states",
                "record hidden.0 … hidden.N, the residual stream before and after each layer");
  const std::size_t rows = t.sequences * t.tokens;
  const auto expect = [&](std::size_t found, std::size_t expected, const std::string& what) {
    if (found != expected)
      throw Error(ErrorKind::kShape, name_of(t),
                  fmt::format("expected {} {}, found {}", expected, what, found));
  };
  for (std::size_t l = 0; l < t.hidden.size(); ++l) {
    expect(t.hidden[l].rows(), rows, fmt::format("rows in hidden.{}", l));
    expect(t.hidden[l].cols(), t.width, fmt::format("columns in hidden.{}", l));
  }
  if (!t.attention.empty()) expect(t.attention.size(), t.layers, "layers of attention");
  for (std::size_t l = 0; l < t.attention.size(); ++l) {
    expect(t.attention[l].rows(), rows * t.heads, fmt::format("rows in attn.{}", l));
    expect(t.attention[l].cols(), t.tokens, fmt::format("columns in attn.{}", l));
  }
  if (!t.mask.empty()) expect(t.mask.size(), rows, "flags of padding");
  if (!o.exclude.empty()) expect(o.exclude.size(), rows, "flags of tokens to leave out");
  if (!o.labels.empty()) expect(o.labels.size(), rows, "labels");
}

std::vector<CountedWindow> counted_windows(const Trace& trace, const ClusterMeasureOptions& options) {
  std::vector<CountedWindow> windows;
  for (std::size_t w = 0; w < trace.sequences; ++w) {
    CountedWindow window{w, {}, {}};
    for (std::size_t i = 0; i < trace.tokens; ++i) {
      const std::size_t at = w * trace.tokens + i;
      if (!trace.mask.empty() && trace.mask[at] == 0) continue;
      window.real.push_back(i);
      if (options.exclude.empty() || options.exclude[at] == 0) window.counted.push_back(i);
    }
    if (window.counted.size() >= 2) windows.push_back(std::move(window));
  }
  if (windows.empty())
    throw Error(ErrorKind::kUsage, name_of(trace), "no window holds two tokens that count",
                "give a longer text, or leave fewer tokens out");
  return windows;
}

}  // namespace

Estimate estimate(std::span<const double> values) {
  double sum = 0, n = 0;
  for (const double v : values)
    if (!std::isnan(v)) sum += v, ++n;
  Estimate out;
  if (n == 0) return out;
  out.value = sum / n;
  if (n < 2) return out;
  double squares = 0;
  for (const double v : values)
    if (!std::isnan(v)) squares += (v - out.value) * (v - out.value);
  out.error = std::sqrt(squares / (n - 1) / n);
  return out;
}

ClusterMeasures measure_clusters(const Trace& trace, const ClusterMeasureOptions& options,
                                 const Arena& arena) {
  check_options(options);
  check_shapes(trace, options);
  const std::vector<CountedWindow> windows = counted_windows(trace, options);
  ClusterMeasures result;
  result.windows = windows.size();
  result.tokens = trace.tokens;
  result.layers = trace.layers;
  result.heads = trace.attention.empty() ? 0 : trace.heads;
  for (const CountedWindow& w : windows) result.counted += static_cast<double>(w.counted.size());
  result.counted /= static_cast<double>(windows.size());
  result.causal = trace.causal;
  result.options = options;
  if (windows.size() < trace.sequences)
    result.notes.push_back(fmt::format("{} of {} windows: fewer than two tokens that count",
                                       trace.sequences - windows.size(), trace.sequences));
  if (windows.size() == 1) result.notes.push_back("standard errors: one window leaves none");
  if (trace.attention.empty())
    result.notes.push_back("attention: the trace holds none");
  else
    measure_heads(trace, windows, result, arena);
  const LayerTrees trees = measure_stream(trace, windows, result, arena);
  measure_agreement(trace, windows, trees, result, arena);
  return result;
}

}  // namespace telos::clustering
