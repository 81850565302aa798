// Medians of a sweep and how they grow.
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <utility>

#include "base/limits.h"
#include "telos/base/philox.h"
#include "telos/bigram/sweep.h"

namespace telos::bigram {
namespace {

constexpr double kLevel = 0.95;
constexpr std::size_t kResamplings = 2000;
constexpr std::uint32_t kResamplingStream = 9;

double samples_of(const SweepRun& run, SweepTarget target) {
  const std::uint64_t samples = target == SweepTarget::kSupport ? run.to_support : run.to_loss;
  return samples == 0 ? kInfinity : static_cast<double>(samples);
}

double sorted_median(const std::vector<double>& sorted) {
  const std::size_t n = sorted.size();
  return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/// By seed, samples of all lengths; seeds that lack a length are left out.
struct Growth {
  std::vector<std::size_t> lengths;
  std::vector<std::vector<double>> by_seed;
};

/// Least squares on (log T, log median) of the seeds chosen; NaN where a median is infinite.
double slope_of(const Growth& growth, std::span<const std::uint32_t> seeds) {
  const double n = static_cast<double>(growth.lengths.size());
  double x_mean = 0, y_mean = 0, xy = 0, xx = 0;
  std::vector<double> x, y;
  for (std::size_t i = 0; i < growth.lengths.size(); ++i) {
    std::vector<double> values;
    for (const std::uint32_t s : seeds) values.push_back(growth.by_seed[s][i]);
    std::ranges::sort(values);
    x.push_back(std::log(static_cast<double>(growth.lengths[i])));
    y.push_back(std::log(sorted_median(values)));
    if (std::isinf(y.back())) return kNaN;
    x_mean += x.back() / n;
    y_mean += y.back() / n;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - x_mean) * (y[i] - y_mean);
    xx += (x[i] - x_mean) * (x[i] - x_mean);
  }
  return xy / xx;
}

Growth growth_of(const std::vector<const SweepRun*>& runs, SweepTarget target) {
  Growth growth;
  std::map<std::uint64_t, std::map<std::size_t, double>> table;
  for (const SweepRun* run : runs) {
    table[run->seed][run->length] = samples_of(*run, target);
    growth.lengths.push_back(run->length);
  }
  std::ranges::sort(growth.lengths);
  growth.lengths.erase(std::unique(growth.lengths.begin(), growth.lengths.end()), growth.lengths.end());
  for (const auto& [seed, samples] : table) {
    if (samples.size() != growth.lengths.size()) continue;
    std::vector<double>& row = growth.by_seed.emplace_back();
    for (const auto& [length, value] : samples) row.push_back(value);
  }
  return growth;
}

void measure_slope(const Growth& growth, SweepSlope& slope) {
  slope.slope = slope.low = slope.high = kNaN;
  const auto count = static_cast<std::uint32_t>(growth.by_seed.size());
  if (growth.lengths.size() < 2 || count == 0) return;
  std::vector<std::uint32_t> seeds(count);
  for (std::uint32_t s = 0; s < count; ++s) seeds[s] = s;
  slope.slope = slope_of(growth, seeds);
  std::vector<double> slopes;
  for (std::size_t i = 0; i < kResamplings; ++i) {
    Random random(0, kResamplingStream, i);
    for (std::uint32_t& s : seeds) s = random.below(count);
    if (const double resampled = slope_of(growth, seeds); !std::isnan(resampled)) slopes.push_back(resampled);
  }
  if (static_cast<double>(slopes.size()) < (1 + kLevel) / 2 * kResamplings) return;
  std::ranges::sort(slopes);
  const auto quantile = [&](double share) {
    return slopes[static_cast<std::size_t>(share * static_cast<double>(slopes.size() - 1) + 0.5)];
  };
  slope.low = quantile((1 - kLevel) / 2);
  slope.high = quantile((1 + kLevel) / 2);
}

}  // namespace

MedianSamples median_of(std::vector<double> samples) {
  std::ranges::sort(samples);
  const std::size_t n = samples.size();
  if (n == 0) return {kNaN, kNaN, kNaN, 0};
  // Of n values, i or fewer are below the median with probability `tail`; i with that of `logarithm`, which
  // 2⁻ⁿ would leave at 0.
  double logarithm = -std::numbers::ln2 * static_cast<double>(n), tail = std::exp(logarithm);
  std::size_t cut = 0;
  for (std::size_t i = 1; 2 * i < n; ++i) {
    logarithm += std::log(static_cast<double>(n - i + 1) / static_cast<double>(i));
    if (1 - 2 * (tail + std::exp(logarithm)) < kLevel) break;
    tail += std::exp(logarithm);
    cut = i;
  }
  return {sorted_median(samples), samples[cut], samples[n - 1 - cut], 1 - 2 * tail};
}

std::vector<SweepCell> sweep_cells(std::span<const SweepRun> runs) {
  std::vector<SweepCell> cells;
  std::vector<std::vector<double>> support, loss;
  for (const SweepRun& run : runs) {
    if (!run.done) continue;
    const auto same = [&](const SweepCell& c) {
      return c.method == run.method && c.tokens == run.tokens && c.length == run.length &&
             c.sparsity == run.sparsity;
    };
    const auto at = static_cast<std::size_t>(std::ranges::find_if(cells, same) - cells.begin());
    if (at == cells.size()) {
      cells.push_back(
          {.method = run.method, .tokens = run.tokens, .length = run.length, .sparsity = run.sparsity});
      support.emplace_back();
      loss.emplace_back();
    }
    ++cells[at].runs;
    support[at].push_back(samples_of(run, SweepTarget::kSupport));
    loss[at].push_back(samples_of(run, SweepTarget::kLoss));
  }
  for (std::size_t i = 0; i < cells.size(); ++i) {
    cells[i].to_support = median_of(std::move(support[i]));
    cells[i].to_loss = median_of(std::move(loss[i]));
  }
  return cells;
}

std::vector<SweepSlope> sweep_slopes(std::span<const SweepRun> runs, SweepTarget target) {
  std::vector<SweepSlope> slopes;
  std::vector<std::vector<const SweepRun*>> groups;
  for (const SweepRun& run : runs) {
    if (!run.done) continue;
    const auto same = [&](const SweepSlope& s) {
      return s.method == run.method && s.tokens == run.tokens && s.sparsity == run.sparsity;
    };
    const auto at = static_cast<std::size_t>(std::ranges::find_if(slopes, same) - slopes.begin());
    if (at == slopes.size()) {
      slopes.push_back({.method = run.method, .tokens = run.tokens, .sparsity = run.sparsity});
      groups.emplace_back();
    }
    groups[at].push_back(&run);
  }
  for (std::size_t i = 0; i < slopes.size(); ++i) measure_slope(growth_of(groups[i], target), slopes[i]);
  return slopes;
}

}  // namespace telos::bigram
