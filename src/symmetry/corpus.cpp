// A text measured: cross-fitted fractions, their errors, and what they are without dependence on positions.
#include "telos/symmetry/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "symmetry/corpus_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"

namespace telos::symmetry {
namespace {

using Tokens = std::span<const std::uint16_t>;

// ---- Blocks

/// The numbers whose errors the jackknife gives.
struct Point {
  Energies energies{};
  double total_share = 0, other_share = 0;
  std::vector<double> lags;

  double total() const { return std::accumulate(energies.begin(), energies.end(), 0.0); }
};

Point point_of(const Covariance& even, const Covariance& odd, const Covariance& all) {
  const Moments m = moments(all);
  return {energies(even, odd), m.total_share, m.other_share, lag_energies(even, odd)};
}

void require_blocks(std::span<const WindowCounts> blocks) {
  if (blocks.size() < 4)
    throw Error(ErrorKind::kUsage, "corpus",
                fmt::format("expected 4 blocks or more, found {}", blocks.size()));
  for (const WindowCounts& block : blocks)
    if (block.windows() == 0) throw Error(ErrorKind::kUsage, "corpus", "a block has no window");
}

// ---- Nulls

/// The tokens of block g of `blocks`: windows n with ⌊blocks · n/N⌋ = g.
Tokens block_of(Tokens tokens, const CorpusOptions& o, std::size_t g) {
  const std::size_t windows = tokens.size() / o.length;
  const auto first = [&](std::size_t block) { return (block * windows + o.blocks - 1) / o.blocks; };
  return tokens.subspan(first(g) * o.length, (first(g + 1) - first(g)) * o.length);
}

std::vector<WindowCounts> count_blocks(Tokens tokens, const CorpusOptions& o, const Arena& arena) {
  std::vector<WindowCounts> blocks(o.blocks, WindowCounts(o.letters, o.length));
  arena.parallel_for(o.blocks, [&](std::size_t g) {
    check_interrupt();
    blocks[g].add(block_of(tokens, o, g));
  });
  return blocks;
}

void shuffle(std::span<std::uint16_t> tokens, Random& random) {
  for (std::size_t i = tokens.size(); i > 1; --i)
    std::swap(tokens[i - 1], tokens[random.below(static_cast<std::uint32_t>(i))]);
}

constexpr std::uint32_t kWithinWindows = 0x53794D00, kWholeText = 0x53794D01;  // streams

/// Copy number `copy` of the text with the tokens of each window in random order.
std::vector<std::uint16_t> shuffle_windows(Tokens tokens, const CorpusOptions& o, std::uint64_t copy) {
  std::vector<std::uint16_t> shuffled(tokens.begin(), tokens.end());
  Random random(o.seed, kWithinWindows, copy);
  for (std::size_t at = 0; at + o.length <= shuffled.size(); at += o.length)
    shuffle(std::span(shuffled).subspan(at, o.length), random);
  return shuffled;
}

std::vector<std::uint16_t> shuffle_all(Tokens tokens, const CorpusOptions& o) {
  std::vector<std::uint16_t> shuffled(tokens.begin(), tokens.end());
  Random random(o.seed, kWholeText);
  shuffle(shuffled, random);
  return shuffled;
}

double permutation_p_value(Tokens tokens, const CorpusOptions& o, double text_share, const Arena& arena) {
  std::vector<double> share(o.shuffles);
  Progress progress("shuffles", "text", static_cast<double>(o.shuffles));
  arena.parallel_for(o.shuffles, [&](std::size_t copy) {
    check_interrupt();
    WindowCounts counts(o.letters, o.length);
    counts.add(shuffle_windows(tokens, o, copy));
    share[copy] = moments(Covariance(counts)).other_share;
    progress.advance();
  });
  const auto lower = std::count_if(share.begin(), share.end(), [&](double s) { return s <= text_share; });
  return static_cast<double>(1 + lower) / static_cast<double>(o.shuffles + 1);
}

// ---- Options

void require_options(Tokens tokens, const CorpusOptions& o, const Arena& arena) {
  const double bytes = table_bytes(o.letters, o.length);
  if (o.blocks < 4 || o.blocks > kMostBlocks)
    throw Error(ErrorKind::kUsage, "corpus",
                fmt::format("expected 4 to {} blocks, found {}", kMostBlocks, o.blocks));
  if (o.shuffles > 1'000'000)
    throw Error(ErrorKind::kUsage, "corpus",
                fmt::format("expected at most 1,000,000 shuffles, found {}", o.shuffles));
  if (tokens.size() > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::kLimit, "corpus",
                fmt::format("{} tokens, at most 4,294,967,295 can be measured at once", tokens.size()));
  const std::size_t windows = tokens.size() / o.length;
  if (windows < kLeastWindows * o.blocks)
    throw Error(ErrorKind::kUsage, "corpus",
                fmt::format("{} windows of {} tokens, {} blocks need at least {}", windows, o.length,
                            o.blocks, kLeastWindows * o.blocks),
                "take a longer text, shorter windows or fewer blocks");
  // Counts of the blocks and sums of them; each thread has two counts and two covariances of twice their
  // size.
  const double tables = static_cast<double>(o.blocks) + 10 + 6 * static_cast<double>(arena.threads());
  const double copies = 2.0 * static_cast<double>(tokens.size()) * (1 + arena.threads());
  require_memory(tables * bytes + copies, "corpus", "keep fewer letters, or take shorter windows");
}

}  // namespace

BlockEstimate estimate_blocks(std::span<const WindowCounts> blocks, const Arena& arena) {
  require_blocks(blocks);
  const WindowCounts halves[2] = {sum_of(blocks, 0, 2), sum_of(blocks, 1, 2)};
  WindowCounts all = halves[0];
  all += halves[1];
  const Covariance even(halves[0]), odd(halves[1]);
  const Point whole = point_of(even, odd, Covariance(all));
  std::vector<Point> without(blocks.size());
  arena.parallel_for(blocks.size(), [&](std::size_t g) {
    check_interrupt();
    WindowCounts half = halves[g % 2], rest = all;
    half -= blocks[g];
    rest -= blocks[g];
    const Covariance left(half);
    without[g] = point_of(g % 2 == 0 ? left : even, g % 2 == 0 ? odd : left, Covariance(rest));
  });

  const auto estimate = [&](const auto& value) {
    return jackknife(whole, std::span<const Point>(without), value);
  };
  BlockEstimate e;
  e.total = estimate([](const Point& p) { return p.total(); });
  e.dependent = e.total.value > kDependentErrors * e.total.error;
  if (e.dependent)
    for (std::size_t r = 0; r < kParts; ++r)
      e.fractions[r] = estimate([r](const Point& p) { return p.energies[r] / p.total(); });
  e.total_share = estimate([](const Point& p) { return p.total_share; });
  e.other_share = estimate([](const Point& p) { return p.other_share; });
  for (std::size_t lag = 0; lag < whole.lags.size(); ++lag)
    e.lags.push_back(estimate([lag](const Point& p) { return p.lags[lag]; }));
  return e;
}

CorpusSymmetry measure_corpus(Tokens tokens, const CorpusOptions& o, const Arena& arena) {
  require_options(tokens, o, arena);
  CorpusSymmetry s;
  s.options = o;
  s.windows = tokens.size() / o.length;
  s.left_out = tokens.size() % o.length;
  s.kept = static_cast<std::uint64_t>(
      std::count_if(tokens.begin(), tokens.end(), [&](std::uint16_t token) { return token < o.letters; }));
  {
    const std::vector<WindowCounts> blocks = count_blocks(tokens, o, arena);
    s.text = estimate_blocks(blocks, arena);
    const Covariance all(sum_of(std::span<const WindowCounts>(blocks), 0, 1));
    s.of_text = moments(all);
    if (o.components && o.letters * o.length <= kMostFeatures)
      s.principal = components(all);
    else if (o.components)
      s.notes.push_back(fmt::format("no principal components: {} features, at most {} have some",
                                    o.letters * o.length, kMostFeatures));
  }
  s.shuffled = estimate_blocks(count_blocks(shuffle_windows(tokens, o, o.shuffles), o, arena), arena);
  s.mixed = estimate_blocks(count_blocks(shuffle_all(tokens, o), o, arena), arena);
  const Covariance chain = markov_covariance(tokens, o.letters, o.length, arena);
  s.markov = energies(chain, chain);
  s.markov_total = std::accumulate(s.markov.begin(), s.markov.end(), 0.0);
  for (double& energy : s.markov) energy /= s.markov_total;
  s.markov_lags = lag_energies(chain, chain);
  if (o.shuffles > 0) s.p_value = permutation_p_value(tokens, o, s.text.other_share.value, arena);
  return s;
}

}  // namespace telos::symmetry
