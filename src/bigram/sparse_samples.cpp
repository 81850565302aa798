// Samples of which few tokens matter, and the held-out loss.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "bigram/train_parts.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

constexpr std::size_t kChunk = 256;
constexpr std::uint64_t kBatches = 64;
/// Headers that are looked at for a sample of the rarest last token.
constexpr std::uint64_t kMostLooks = 16;
/// A column with more entries than this is cheaper to read from its start to its end.
constexpr std::size_t kSparse = 64;

/// Columns of the entries that are not 0; empty where a column has too many.
std::vector<Column> sparse_columns(ConstMatrixView<double> a) {
  std::vector<Column> columns(a.rows());
  for (std::size_t k = 0; k < a.rows(); ++k)
    for (std::size_t t = 0; t < a.cols(); ++t) {
      if (a(k, t) == 0) continue;
      if (columns[k].positions.size() == kSparse) return {};
      columns[k].positions.push_back(static_cast<std::uint32_t>(t));
      columns[k].weights.push_back(a(k, t));
    }
  return columns;
}

/// ½‖e_o − V h‖²
double sample_loss(ConstMatrixView<double> v, const SparseSamples& samples, std::size_t i,
                   const std::vector<double>& weights) {
  const auto tokens = samples.tokens(i);
  double loss = 0;
  for (std::size_t row = 0; row < v.rows(); ++row) {
    double r = row == samples.output(i) ? -1 : 0;
    for (std::size_t s = 0; s < tokens.size(); ++s) r += weights[s] * v(row, tokens[s]);
    loss += r * r / 2;
  }
  return loss;
}

/// Mean of values and its standard error; NaN for one value, which tells of no spread.
std::pair<double, double> mean_of(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double x : values) mean += x / n;
  for (const double x : values) squares += (x - mean) * (x - mean);
  return {mean,
          values.size() > 1 ? std::sqrt(squares / (n * (n - 1))) : std::numeric_limits<double>::quiet_NaN()};
}

/// Σ ½‖e_o − μ‖² = ½(1 − 2μ_o + ‖μ‖²) over samples of the held-out stream.
double loss_of_frequencies(const Sampler& sampler, std::span<const double> mu, std::uint64_t first,
                           std::uint64_t count) {
  double square = 0, sum = 0;
  for (const double x : mu) square += x * x;
  for (std::uint64_t i = first; i < first + count; ++i)
    sum += (1 - 2 * mu[sampler.header(Stream::kHeldOut, i).output] + square) / 2;
  return sum;
}

/// Of losses that are means of `batch` samples each.
Loss summary(const Sampler& sampler, std::vector<double> losses, std::uint64_t batch,
             std::span<const double> mu) {
  Loss loss;
  std::tie(loss.mean, loss.error) = mean_of(losses);
  if (mu.empty()) return loss;
  for (std::size_t b = 0; b < losses.size(); ++b)
    losses[b] = loss_of_frequencies(sampler, mu, b * batch, batch) / static_cast<double>(batch) - losses[b];
  std::tie(loss.gain, loss.gain_error) = mean_of(losses);
  return loss;
}

}  // namespace

std::vector<std::uint64_t> sample_range(std::uint64_t first, std::uint64_t count) {
  require_memory(static_cast<double>(count) * 8, "samples", "fewer samples");
  std::vector<std::uint64_t> samples(count);
  std::iota(samples.begin(), samples.end(), first);
  return samples;
}

std::vector<std::uint64_t> further_samples(const Sampler& sampler, Stream stream, std::uint64_t first,
                                           std::span<const double> ratios,
                                           std::span<const std::uint64_t> counts, std::uint64_t most) {
  const double limit = static_cast<double>(most);
  std::vector<double> wanted(ratios.size());
  double total = 0;
  for (std::size_t k = 0; k < ratios.size(); ++k) {
    if (!(ratios[k] > 1)) continue;
    // A token that never came says nothing of how many it takes: it gets an equal share.
    wanted[k] = counts[k] == 0
                    ? limit / static_cast<double>(ratios.size())
                    : std::min(limit, static_cast<double>(counts[k]) * (ratios[k] * ratios[k] - 1));
    total += wanted[k];
  }
  const double scale = std::min(1.0, limit / std::max(total, 1.0));
  std::vector<std::uint64_t> missing(wanted.size()), samples;
  std::uint64_t left = 0;
  for (std::size_t k = 0; k < wanted.size(); ++k)
    left += missing[k] = static_cast<std::uint64_t>(scale * wanted[k]);
  const std::uint64_t end = std::min(first + kMostLooks * most, sampler.distinct(stream));
  for (std::uint64_t i = first; left > 0 && i < end; ++i) {
    std::uint64_t& more = missing[sampler.header(stream, i).last];
    if (more == 0) continue;
    --more;
    --left;
    samples.push_back(i);
  }
  return samples;
}

SparseSamples::SparseSamples(const Sampler& sampler, Stream stream, std::span<const std::uint64_t> samples,
                             const std::vector<Column>& columns, const Arena& arena)
    : by_last_(sampler.tokens()) {
  const std::size_t count = samples.size();
  require_memory(static_cast<double>(count) * 16, "samples", "fewer samples");
  last_.resize(count);
  output_.resize(count);
  start_.resize(count + 1);
  const std::size_t chunks = (count + kChunk - 1) / kChunk;
  const auto each = [&](const auto& body) {
    arena.parallel_for(chunks, [&](std::size_t chunk) {
      check_interrupt();
      const std::size_t end = std::min(count, (chunk + 1) * kChunk);
      for (std::size_t i = chunk * kChunk; i < end; ++i) body(i);
    });
  };
  each([&](std::size_t i) {
    const Sampler::Header header = sampler.header(stream, samples[i]);
    last_[i] = header.last;
    output_[i] = header.output;
  });
  for (std::size_t i = 0; i < count; ++i) {
    start_[i + 1] = start_[i] + columns[last_[i]].positions.size();
    by_last_[last_[i]].push_back(static_cast<std::uint32_t>(i));
  }
  require_memory(2.0 * static_cast<double>(start_.back()), "samples", "fewer samples");
  tokens_.resize(start_.back());
  each([&](std::size_t i) {
    sampler.draw_tokens_at(stream, samples[i], columns[last_[i]].positions,
                           {tokens_.data() + start_[i], start_[i + 1] - start_[i]});
  });
}

Loss held_out_loss(const Sampler& sampler, const Model& model, std::uint64_t count, const Arena& arena,
                   std::span<const double> mu) {
  if (count == 0) return {};
  const std::vector<Column> columns = sparse_columns(model.a);
  if (!columns.empty()) {
    const SparseSamples samples(sampler, Stream::kHeldOut, sample_range(0, count), columns, arena);
    std::vector<double> losses(count);
    for (std::size_t i = 0; i < count; ++i)
      losses[i] = sample_loss(model.v, samples, i, columns[samples.last(i)].weights);
    return summary(sampler, std::move(losses), 1, mu);
  }
  const std::size_t n = sampler.tokens(), batch = std::max<std::uint64_t>(1, count / kBatches);
  BatchGradient gradient(sampler, batch, arena);
  BatchSums sums;
  Attention attention(n, sampler.length());
  std::transform(model.a.data(), model.a.data() + model.a.size(), attention.data(),
                 [](double x) { return static_cast<float>(x); });
  std::vector<double> losses(count / batch);
  for (std::size_t b = 0; b < losses.size(); ++b) {
    gradient.run(Stream::kHeldOut, b * batch, model.v, attention, sums, false);
    losses[b] = sums.loss / static_cast<double>(batch);
  }
  return summary(sampler, std::move(losses), batch, mu);
}

}  // namespace telos::bigram
