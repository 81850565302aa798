// A text measured: cross-fitted fractions, their errors, and what they are without dependence on positions.
#include "telos/symmetry/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "symmetry/corpus_nulls.h"
#include "symmetry/corpus_parts.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::symmetry {
namespace {

// ---- Blocks

/// The numbers whose errors are estimated.
struct Point {
  Energies energies{};
  double total_share = 0, other_share = 0;
  std::vector<double> lags;

  double total() const { return std::accumulate(energies.begin(), energies.end(), 0.0); }
};

/// The even-numbered blocks, or the odd-numbered ones.
struct WindowHalf {
  WindowCounts counts;
  Covariance covariance;

  explicit WindowHalf(WindowCounts blocks) : counts(std::move(blocks)), covariance(counts) {}
};

Point point_of(const WindowHalf& even, const WindowHalf& odd) {
  WindowCounts all = even.counts;
  all += odd.counts;
  const Moments m = moments(Covariance(all));
  return {energies(even.covariance, odd.covariance), m.total_share, m.other_share,
          lag_energies(even.covariance, odd.covariance)};
}

void require_blocks(std::span<const WindowCounts> blocks) {
  for (const WindowCounts& block : blocks)
    if (block.windows() == 0) throw Error(ErrorKind::kUsage, "corpus", "a block has no window");
}

// ---- Options

void require_text(std::uint64_t tokens, const CorpusOptions& o, const Arena& arena) {
  require_tokens(tokens);
  const std::uint64_t windows = tokens / o.length;
  if (windows == 0)
    throw Error(ErrorKind::kBadFormat, "text",
                fmt::format("{} tokens, less than one window of {}", tokens, o.length), "take a longer text");
  if (windows < kLeastWindows * o.blocks)
    throw Error(ErrorKind::kUsage, "blocks",
                fmt::format("{} windows of {} tokens, {} blocks need at least {}", windows, o.length,
                            o.blocks, kLeastWindows * o.blocks),
                "take a longer text, shorter windows or fewer blocks");
  // Counts of the blocks of the text and two nulls, their halves twice with covariances of twice the size,
  // and shuffled copies; for each thread two halves, their sum, and its covariance.
  const double tables = 3.0 * static_cast<double>(o.blocks) + 8 + 10.0 * arena.threads() +
                        static_cast<double>(copies_at_once(o, arena));
  require_memory(tables * table_bytes(o.letters, o.length), "corpus",
                 "keep fewer letters, or take shorter windows");
}

/// A text and its nulls, counted in blocks.
struct Counted {
  BlockCounts text, shuffled, mixed;
  ChainCounts chain;

  Counted(const CorpusOptions& o, std::uint64_t windows)
      : text(o, windows), shuffled(o, windows), mixed(o, windows), chain(o.letters) {}
};

}  // namespace

void require_errors(const ErrorOptions& errors, std::size_t blocks) {
  if (blocks < 4 || blocks > kMostBlocks)
    throw Error(ErrorKind::kUsage, "blocks",
                fmt::format("expected 4 to {} blocks, found {}", kMostBlocks, blocks));
  if (errors.kind == Errors::kBootstrap &&
      (errors.resamples < kLeastResamples || errors.resamples > kMostResamples))
    throw Error(ErrorKind::kUsage, "resamples",
                fmt::format("expected {} to {} resamples, found {}", kLeastResamples, kMostResamples,
                            errors.resamples));
}

void require_corpus_options(const CorpusOptions& o) {
  table_bytes(o.letters, o.length);  // the range of both
  require_errors(o.errors, o.blocks);
  if (o.shuffles > kMostShuffles)
    throw Error(ErrorKind::kUsage, "shuffles",
                fmt::format("expected at most {} shuffles, found {}", kMostShuffles, o.shuffles));
}

BlockEstimate estimate_blocks(std::span<const WindowCounts> blocks, const Arena& arena,
                              const ErrorOptions& errors) {
  require_errors(errors, blocks.size());
  require_blocks(blocks);
  const auto replicates = replicate<Point, WindowHalf>(blocks, errors, arena, point_of);
  const auto estimate = [&](const auto& value) { return replicates.estimate(value); };
  BlockEstimate e;
  e.total = estimate([](const Point& p) { return p.total(); });
  e.dependent = e.total.value > kDependentErrors * e.total.error;
  if (e.dependent)
    for (std::size_t r = 0; r < kParts; ++r)
      e.fractions[r] = estimate([r](const Point& p) { return p.energies[r] / p.total(); });
  e.total_share = estimate([](const Point& p) { return p.total_share; });
  e.other_share = estimate([](const Point& p) { return p.other_share; });
  for (std::size_t lag = 0; lag < replicates.whole.lags.size(); ++lag)
    e.lags.push_back(estimate([lag](const Point& p) { return p.lags[lag]; }));
  return e;
}

CorpusSymmetry measure_corpus(TokenStream& text, const CorpusOptions& o, const Arena& arena) {
  const std::uint64_t tokens = text.size();
  require_corpus_options(o);
  require_text(tokens, o, arena);
  CorpusSymmetry s;
  s.options = o;
  s.windows = tokens / o.length;
  s.left_out = tokens % o.length;
  const std::vector<std::uint64_t>& counts = text.counts();
  s.kept = std::accumulate(counts.begin(),
                           counts.begin() + static_cast<std::ptrdiff_t>(std::min(o.letters, counts.size())),
                           std::uint64_t{0});
  Counted counted(o, s.windows);
  WindowShuffle shuffle(o, o.shuffles);
  Urn urn(text.counts(), o);
  const std::vector<Take> takers = {
      [&](auto part) { counted.mixed.add(urn.draw(part.size())); },
      [&](auto part) { counted.shuffled.add(shuffle(part)); },
      [&](auto part) { counted.text.add(part); },
      [&](auto part) { counted.chain.add(part); },
  };
  const std::vector<double> shares = shares_of_shuffles(text, takers, o, arena);
  s.text = estimate_blocks(counted.text.blocks(), arena, o.errors);
  {
    const Covariance all(sum_of(counted.text.blocks(), 0, 1));
    s.of_text = moments(all);
    if (o.components && o.letters * o.length <= kMostFeatures)
      s.principal = components(all);
    else if (o.components)
      s.notes.push_back(fmt::format("no principal components: {} features, at most {} have some",
                                    o.letters * o.length, kMostFeatures));
  }
  s.shuffled = estimate_blocks(counted.shuffled.blocks(), arena, o.errors);
  s.mixed = estimate_blocks(counted.mixed.blocks(), arena, o.errors);
  const Covariance chain = markov_covariance(counted.chain, o.length, arena);
  s.markov = energies(chain, chain);
  s.markov_total = std::accumulate(s.markov.begin(), s.markov.end(), 0.0);
  for (double& energy : s.markov) energy /= s.markov_total;
  s.markov_lags = lag_energies(chain, chain);
  if (o.shuffles > 0 && std::isfinite(s.text.other_share.value)) {
    const auto lower = std::count_if(shares.begin(), shares.end(),
                                     [&](double share) { return share <= s.text.other_share.value; });
    s.p_value = static_cast<double>(1 + lower) / static_cast<double>(o.shuffles + 1);
  } else if (o.shuffles > 0) {
    s.notes.push_back("no p: no two positions of the windows have any covariance");
  }
  return s;
}

CorpusSymmetry measure_corpus(std::span<const std::uint16_t> tokens, const CorpusOptions& options,
                              const Arena& arena) {
  MemoryTokens text(tokens);
  return measure_corpus(text, options, arena);
}

}  // namespace telos::symmetry
