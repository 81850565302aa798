// Windows at all offsets: parts of windows of any length from pairs of tokens by distance.
#include "telos/symmetry/corpus_lags.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <string>

#include "symmetry/corpus_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::symmetry {
namespace {

double lag_table_bytes(std::size_t letters, std::size_t longest) {
  table_bytes(letters, longest);  // the range of both
  const double k = static_cast<double>(letters) + 1;
  return 4 * k * k * static_cast<double>(longest - 1);
}

std::size_t checked_entries(std::size_t letters, std::size_t longest) {
  require_memory(lag_table_bytes(letters, longest), "corpus", "keep fewer letters, or take shorter windows");
  return (letters + 1) * (letters + 1) * (longest - 1);
}

/// Σ_{b≠c} of a window: a distance τ comes L − τ times in either order.
Products lag_products(const LagCovariance& a, const LagCovariance& b, std::size_t length) {
  Products sum;
  for (std::size_t lag = 1; lag < length; ++lag) {
    const ConstMatrixView<double> x = a.table(lag), y = b.table(lag);
    Products own;
    for (std::size_t v = 0; v < a.letters(); ++v)
      for (std::size_t w = 0; w < a.letters(); ++w) {
        own.straight += x(v, w) * y(v, w);
        own.crossed += x(v, w) * y(w, v);
      }
    sum.straight += 2 * static_cast<double>(length - lag) * own.straight;
    sum.crossed += 2 * static_cast<double>(length - lag) * own.crossed;
  }
  return sum;
}

/// Tokens that are no letters as one.
std::vector<std::uint16_t> states_of(std::span<const std::uint16_t> tokens, std::size_t letters) {
  std::vector<std::uint16_t> states(tokens.begin(), tokens.end());
  for (std::uint16_t& state : states)
    state = static_cast<std::uint16_t>(std::min<std::size_t>(state, letters));
  return states;
}

using LengthPoints = std::vector<Energies>;  // by length

LengthPoints points_of(const LagCovariance& even, const LagCovariance& odd,
                       const std::vector<std::size_t>& lengths) {
  LengthPoints points;
  for (const std::size_t length : lengths) points.push_back(energies(even, odd, length));
  return points;
}

double sum_of_parts(const Energies& e) {
  return std::accumulate(e.begin(), e.end(), 0.0);
}

void require_lengths(std::uint64_t tokens, std::size_t letters, const std::vector<std::size_t>& lengths,
                     std::size_t blocks, const Arena& arena, const ErrorOptions& errors) {
  if (lengths.empty() || !std::is_sorted(lengths.begin(), lengths.end()))
    throw Error(ErrorKind::kUsage, "lengths", "expected lengths of windows in ascending order");
  require_errors(errors, blocks);
  require_tokens(tokens);
  table_bytes(letters, lengths.front());
  const double bytes = lag_table_bytes(letters, lengths.back());
  if (tokens / blocks < kLeastWindows * lengths.back())
    throw Error(ErrorKind::kUsage, "blocks",
                fmt::format("{} tokens, {} blocks of {} windows of {} need {}", tokens, blocks, kLeastWindows,
                            lengths.back(), blocks * kLeastWindows * lengths.back()),
                "take a longer text, shorter windows or fewer blocks");
  // Counts of the blocks and sums of them; covariances have tables of double, their sums, and rows.
  const double tables = static_cast<double>(blocks) + 16 + 9.0 * arena.threads();
  require_memory(tables * bytes, "corpus", "keep fewer letters, or take shorter windows");
}

}  // namespace

LagCounts::LagCounts(std::size_t letters, std::size_t longest)
    : letters_(letters), tables_(checked_entries(letters, longest)) {
  pairs_.resize(longest - 1);
  singles_.resize(letters + 1);
}

void LagCounts::add(std::span<const std::uint16_t> tokens) {
  if (tokens.size() > std::numeric_limits<std::uint32_t>::max() - tokens_)
    throw Error(ErrorKind::kLimit, "corpus", "more than 4,294,967,295 tokens in one count",
                "count it in parts");
  count(states_of(tokens, letters_), 0, 0, 1);
}

void LagCounts::count(std::span<const std::uint16_t> x, std::size_t before, std::size_t lane,
                      std::size_t lanes) {
  const std::size_t states = letters_ + 1;
  if (lane == 0) {
    for (const std::uint16_t state : x.subspan(before)) ++singles_[state];
    tokens_ += x.size() - before;
  }
  // Lag by lag: its table is small enough to stay near the core.
  for (std::size_t lag = lane + 1; lag <= pairs_.size() && lag < x.size(); lag += lanes) {
    std::uint32_t* const table = tables_.data() + (lag - 1) * states * states;
    const std::size_t first = std::max(lag, before);
    for (std::size_t i = first; i < x.size(); ++i) ++table[x[i - lag] * states + x[i]];
    pairs_[lag - 1] += x.size() - first;
  }
}

/// Counts every lanes-th lag of the blocks of a text that passes. Lanes of the same counts run at once.
class LagLane {
 public:
  LagLane(std::vector<LagCounts>& blocks, std::uint64_t tokens, std::size_t lane, std::size_t lanes)
      : blocks_(blocks), tokens_(tokens), lane_(lane), lanes_(lanes) {}

  void operator()(std::span<const std::uint16_t> part) {
    constexpr std::size_t kNearTheCore = std::size_t{1} << 14;
    while (!part.empty()) {
      const std::uint64_t end = (block_ + 1) * tokens_ / blocks_.size();
      const std::size_t here = std::min({part.size(), static_cast<std::size_t>(end - at_), kNearTheCore});
      add(part.first(here));
      part = part.subspan(here);
      at_ += here;
      if (at_ != end) continue;
      ++block_;
      recent_.clear();
    }
  }

 private:
  void add(std::span<const std::uint16_t> tokens) {
    LagCounts& counts = blocks_[block_];
    const std::size_t before = std::min(recent_.size(), counts.longest() - 1);
    recent_.erase(recent_.begin(), recent_.end() - static_cast<std::ptrdiff_t>(before));
    const std::vector<std::uint16_t> states = states_of(tokens, counts.letters());
    recent_.insert(recent_.end(), states.begin(), states.end());
    counts.count(recent_, before, lane_, lanes_);
  }

  std::vector<LagCounts>& blocks_;
  std::uint64_t tokens_, at_ = 0;
  std::size_t block_ = 0, lane_, lanes_;
  std::vector<std::uint16_t> recent_;  // of this block
};

void LagCounts::require_same_shape(const LagCounts& other) const {
  if (other.letters_ != letters_ || other.pairs_.size() != pairs_.size())
    throw Error(ErrorKind::kShape, "corpus", "counts of different letters or lengths do not add up");
}

LagCounts& LagCounts::operator+=(const LagCounts& other) {
  require_same_shape(other);
  if (other.tokens_ > std::numeric_limits<std::uint32_t>::max() - tokens_)
    throw Error(ErrorKind::kLimit, "corpus", "more than 4,294,967,295 tokens in one count");
  tokens_ += other.tokens_;
  const auto add = [](auto& to, const auto& from) {
    std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>());
  };
  add(pairs_, other.pairs_);
  add(singles_, other.singles_);
  add(tables_, other.tables_);
  return *this;
}

LagCounts& LagCounts::operator-=(const LagCounts& other) {
  require_same_shape(other);
  tokens_ -= other.tokens_;
  const auto take = [](auto& from, const auto& what) {
    std::transform(from.begin(), from.end(), what.begin(), from.begin(), std::minus<>());
  };
  take(pairs_, other.pairs_);
  take(singles_, other.singles_);
  take(tables_, other.tables_);
  return *this;
}

LagCovariance::LagCovariance(const LagCounts& counts)
    : letters_(counts.letters()),
      lags_(counts.longest(), letters_ * letters_),
      sums_(counts.longest(), letters_ * letters_) {
  for (std::size_t lag = 1; lag < counts.longest(); ++lag) {
    if (counts.pairs(lag) == 0)
      throw Error(ErrorKind::kUsage, "corpus", fmt::format("no two tokens are {} apart", lag));
    const double pairs = static_cast<double>(counts.pairs(lag)),
                 tokens = static_cast<double>(counts.tokens());
    for (std::size_t v = 0; v < letters_; ++v)
      for (std::size_t w = 0; w < letters_; ++w) {
        const double c =
            counts.pair(lag, v, w) / pairs - counts.single(v) / tokens * (counts.single(w) / tokens);
        lags_(lag, v * letters_ + w) = c;
        sums_(lag, v * letters_ + w) = sums_(lag - 1, v * letters_ + w) + c;
      }
  }
}

Matrix<double> LagCovariance::row_sums(std::size_t length) const {
  Matrix<double> rows(length, letters_ * letters_);
  for (std::size_t b = 0; b < length; ++b)
    for (std::size_t v = 0; v < letters_; ++v)
      for (std::size_t w = 0; w < letters_; ++w)
        rows(b, v * letters_ + w) = sums_(length - 1 - b, v * letters_ + w) + sums_(b, w * letters_ + v);
  return rows;
}

Energies energies(const LagCovariance& a, const LagCovariance& b, std::size_t length) {
  if (a.letters() != b.letters())
    throw Error(ErrorKind::kShape, "corpus", "covariances of different letters have no inner product");
  if (length < kLeastLength || length > std::min(a.longest(), b.longest()))
    throw Error(ErrorKind::kUsage, "corpus",
                fmt::format("expected a length of {} to {}, found {}", kLeastLength,
                            std::min(a.longest(), b.longest()), length));
  return energies_of(a.letters(), a.row_sums(length), b.row_sums(length), lag_products(a, b, length));
}

std::vector<LengthEstimate> measure_lengths(TokenStream& text, std::size_t letters,
                                            const std::vector<std::size_t>& lengths, std::size_t blocks,
                                            const Arena& arena, const ErrorOptions& errors) {
  const std::uint64_t tokens = text.size();
  require_lengths(tokens, letters, lengths, blocks, arena, errors);
  std::vector<LagCounts> counts(blocks, LagCounts(letters, lengths.back()));
  const auto lanes = static_cast<std::size_t>(arena.threads());
  std::vector<Take> takers;
  for (std::size_t lane = 0; lane < lanes; ++lane) takers.emplace_back(LagLane(counts, tokens, lane, lanes));
  read_once(text, 1, takers, "counting pairs by distance", arena);
  const auto replicates = replicate<LengthPoints, LagCovariance>(
      std::span<const LagCounts>(counts), errors, arena,
      [&](const LagCovariance& even, const LagCovariance& odd) { return points_of(even, odd, lengths); });

  std::vector<LengthEstimate> estimates(lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto estimate = [&](const auto& value) {
      return replicates.estimate([&](const LengthPoints& p) { return value(p[i]); });
    };
    LengthEstimate& e = estimates[i];
    e.length = lengths[i];
    e.total = estimate([](const Energies& p) { return sum_of_parts(p); });
    e.dependent = e.total.value > kDependentErrors * e.total.error;
    if (e.dependent)
      for (std::size_t r = 0; r < kParts; ++r)
        e.fractions[r] = estimate([r](const Energies& p) { return p[r] / sum_of_parts(p); });
  }
  return estimates;
}

std::vector<LengthEstimate> measure_lengths(std::span<const std::uint16_t> tokens, std::size_t letters,
                                            const std::vector<std::size_t>& lengths, std::size_t blocks,
                                            const Arena& arena, const ErrorOptions& errors) {
  MemoryTokens text(tokens);
  return measure_lengths(text, letters, lengths, blocks, arena, errors);
}

std::vector<std::size_t> doubling_lengths(std::uint64_t tokens, std::size_t blocks, std::size_t most) {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 4; length <= std::min<std::uint64_t>(most, tokens / blocks / kLeastWindows);
       length *= 2)
    lengths.push_back(length);
  return lengths;
}

}  // namespace telos::symmetry
