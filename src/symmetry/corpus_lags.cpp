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

void require_lengths(std::size_t tokens, std::size_t letters, const std::vector<std::size_t>& lengths,
                     std::size_t blocks, const Arena& arena) {
  if (lengths.empty() || !std::is_sorted(lengths.begin(), lengths.end()))
    throw Error(ErrorKind::kUsage, "corpus", "expected lengths of windows in ascending order");
  if (blocks < 4 || blocks > kMostBlocks)
    throw Error(ErrorKind::kUsage, "corpus",
                fmt::format("expected 4 to {} blocks, found {}", kMostBlocks, blocks));
  table_bytes(letters, lengths.front());
  const double bytes = lag_table_bytes(letters, lengths.back());
  if (tokens / blocks < kLeastWindows * lengths.back())
    throw Error(ErrorKind::kUsage, "corpus",
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
  const std::size_t states = letters_ + 1;
  std::vector<std::uint16_t> x(tokens.begin(), tokens.end());
  for (std::uint16_t& token : x) {
    token = static_cast<std::uint16_t>(std::min<std::size_t>(token, letters_));
    ++singles_[token];
  }
  tokens_ += x.size();
  // Lag by lag: its table is small enough to stay near the core.
  for (std::size_t lag = 1; lag <= pairs_.size() && lag < x.size(); ++lag) {
    std::uint32_t* const table = tables_.data() + (lag - 1) * states * states;
    for (std::size_t i = lag; i < x.size(); ++i) ++table[x[i - lag] * states + x[i]];
    pairs_[lag - 1] += x.size() - lag;
  }
}

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

std::vector<LengthEstimate> measure_lengths(std::span<const std::uint16_t> tokens, std::size_t letters,
                                            const std::vector<std::size_t>& lengths, std::size_t blocks,
                                            const Arena& arena) {
  require_lengths(tokens.size(), letters, lengths, blocks, arena);
  std::vector<LagCounts> counts(blocks, LagCounts(letters, lengths.back()));
  const auto first = [&](std::size_t g) { return g * tokens.size() / blocks; };
  arena.parallel_for(blocks, [&](std::size_t g) {
    check_interrupt();
    counts[g].add(tokens.subspan(first(g), first(g + 1) - first(g)));
  });
  const std::span<const LagCounts> all = counts;
  const LagCounts halves[2] = {sum_of(all, 0, 2), sum_of(all, 1, 2)};
  const LagCovariance even(halves[0]), odd(halves[1]);
  const LengthPoints whole = points_of(even, odd, lengths);
  std::vector<LengthPoints> without(blocks);
  arena.parallel_for(blocks, [&](std::size_t g) {
    check_interrupt();
    LagCounts half = halves[g % 2];
    half -= counts[g];
    const LagCovariance left(half);
    without[g] = points_of(g % 2 == 0 ? left : even, g % 2 == 0 ? odd : left, lengths);
  });

  std::vector<LengthEstimate> estimates(lengths.size());
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const auto estimate = [&](const auto& value) {
      return jackknife(whole, std::span<const LengthPoints>(without),
                       [&](const LengthPoints& p) { return value(p[i]); });
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

std::vector<std::size_t> doubling_lengths(std::size_t tokens, std::size_t blocks, std::size_t most) {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 4; length <= std::min(most, tokens / blocks / kLeastWindows); length *= 2)
    lengths.push_back(length);
  return lengths;
}

}  // namespace telos::symmetry
