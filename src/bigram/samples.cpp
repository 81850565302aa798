// Samples of a file: drawn, divided, and what they say of their task.
#include "telos/bigram/data.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"

namespace telos::bigram {
namespace {

constexpr std::uint32_t kOrderStream = 8;
/// Of a file, held out at most one in so many.
constexpr std::size_t kLeastTrained = 10;
/// Stretches of a file that threads draw or count.
constexpr std::size_t kStretches = 64;

/// body(stretch, first, end) for stretches of [0, count).
template <class Body>
void each_stretch(std::size_t count, const Arena& arena, const Body& body) {
  arena.parallel_for(kStretches, [&](std::size_t stretch) {
    body(stretch, stretch * count / kStretches, (stretch + 1) * count / kStretches);
  });
}

/// 0 … count − 1 in a random order (Fisher and Yates).
std::vector<std::uint32_t> random_order(std::size_t count, std::uint64_t seed) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  Random random(seed, kOrderStream);
  for (std::size_t left = count; left > 1; --left)
    std::swap(order[left - 1], order[random.below(static_cast<std::uint32_t>(left))]);
  return order;
}

}  // namespace

Samples draw_samples(const Instance& instance, std::uint64_t seed, std::uint64_t count, const Arena& arena) {
  if (count == 0 || count > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::kUsage, "samples", fmt::format("expected 1 to 4294967295, found {}", count));
  Samples samples{.tokens = instance.tokens(), .length = instance.length, .names = instance.names};
  const std::size_t width = samples.width(), row = samples.length * width;
  require_memory(static_cast<double>(count) * (4 + static_cast<double>(row)), "samples",
                 "write fewer of them; train draws as many as it needs without keeping any");
  samples.contexts.resize(count * row);
  samples.last.resize(count);
  samples.output.resize(count);
  const Sampler sampler(instance, seed);
  Progress progress("drawing", "sample", static_cast<double>(count));
  each_stretch(count, arena, [&](std::size_t, std::size_t first, std::size_t end) {
    std::vector<std::uint16_t> tokens(samples.length);
    for (std::size_t i = first; i < end; ++i) {
      check_interrupt();
      const Sampler::Header header = sampler.header(Stream::kTrain, i);
      samples.last[i] = header.last;
      samples.output[i] = header.output;
      sampler.draw_tokens(Stream::kTrain, i, tokens);
      std::uint8_t* out = samples.contexts.data() + i * row;
      for (const std::uint16_t token : tokens) {
        *out++ = static_cast<std::uint8_t>(token);
        if (width == 2) *out++ = static_cast<std::uint8_t>(token >> 8);
      }
    }
    progress.advance(static_cast<double>(end - first));
  });
  return samples;
}

SampleSplit split_samples(const Samples& samples, std::uint64_t held_out, std::uint64_t seed) {
  SampleSplit split;
  split.count.resize(samples.tokens);
  for (const std::uint16_t last : samples.last) ++split.count[last];
  for (std::uint32_t k = 0; k < samples.tokens; ++k)
    if (split.count[k] < kFewestSamples) split.left_out.push_back(k);
  const std::vector<std::uint32_t> order = random_order(samples.size(), seed);
  const auto last_trained = static_cast<std::ptrdiff_t>(
      order.size() - std::min<std::uint64_t>(held_out, order.size() / kLeastTrained));
  split.held_out.assign(order.begin() + last_trained, order.end());
  std::copy_if(order.begin(), order.begin() + last_trained, std::back_inserter(split.train),
               [&](std::uint32_t row) { return split.count[samples.last[row]] >= kFewestSamples; });
  if (split.train.empty())
    throw Error(
        ErrorKind::kUsage, "samples",
        fmt::format("no last token has {} samples, which its attention needs at least", kFewestSamples),
        "more samples, or fewer tokens");
  return split;
}

Instance unknown_task(const Samples& samples, std::span<const std::uint32_t> rows, const Arena& arena) {
  const std::size_t n = samples.tokens;
  Matrix<double> counts(kStretches, n);
  each_stretch(rows.size(), arena, [&](std::size_t stretch, std::size_t first, std::size_t end) {
    double* const count = counts.row(stretch);
    for (std::size_t i = first; i < end; ++i) {
      check_interrupt();
      ++count[samples.last[rows[i]]];
      for (std::size_t t = 0; t < samples.length; ++t) ++count[samples.token(rows[i], t)];
    }
  });
  Instance task{
      .p = {}, .mu = std::vector<double>(n, 0.5), .q = {}, .length = samples.length, .names = samples.names};
  for (std::size_t stretch = 0; stretch < kStretches; ++stretch)
    for (std::size_t k = 0; k < n; ++k) task.mu[k] += counts(stretch, k);
  const double total = std::accumulate(task.mu.begin(), task.mu.end(), 0.0);
  for (double& x : task.mu) x /= total;
  return task;
}

}  // namespace telos::bigram
