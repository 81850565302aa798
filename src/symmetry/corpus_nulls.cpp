// What a text is compared with: its windows, and all of it, in random order.
#include "symmetry/corpus_nulls.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kWithinWindows = 0x53794D00, kWholeText = 0x53794D01;  // streams

/// Counts of the copies of one reading.
constexpr double kCopiesBytes = 64.0 * (1 << 20);

/// A copy that is counted while the text passes.
struct ShuffledCopy {
  WindowShuffle shuffle;
  WindowCounts counts;

  ShuffledCopy(const CorpusOptions& o, std::uint64_t copy) : shuffle(o, copy), counts(o.letters, o.length) {}
};

}  // namespace

void BlockCounts::add(std::span<const std::uint16_t> tokens) {
  const std::size_t length = blocks_.front().length();
  while (tokens.size() >= length) {
    const std::uint64_t block = blocks_.size() * at_ / windows_,
                        end = ((block + 1) * windows_ + blocks_.size() - 1) / blocks_.size();
    const std::size_t here = std::min<std::size_t>(end - at_, tokens.size() / length);
    blocks_[block].add(tokens.first(here * length));
    tokens = tokens.subspan(here * length);
    at_ += here;
  }
}

WindowShuffle::WindowShuffle(const CorpusOptions& o, std::uint64_t copy)
    : length_(o.length), random_(o.seed, kWithinWindows, copy) {}

std::span<const std::uint16_t> WindowShuffle::operator()(std::span<const std::uint16_t> tokens) {
  tokens_.assign(tokens.begin(), tokens.end());
  for (std::size_t at = 0; at + length_ <= tokens_.size(); at += length_)
    for (std::size_t i = length_; i > 1; --i)
      std::swap(tokens_[at + i - 1], tokens_[at + random_.below(static_cast<std::uint32_t>(i))]);
  return tokens_;
}

Urn::Urn(const std::vector<std::uint64_t>& counts, const CorpusOptions& o)
    : leaves_(std::bit_ceil(o.letters + 1)), left_(2 * leaves_), random_(o.seed, kWholeText) {
  for (std::size_t token = 0; token < counts.size(); ++token)
    left_[leaves_ + std::min(token, o.letters)] += static_cast<std::uint32_t>(counts[token]);
  for (std::size_t i = leaves_ - 1; i > 0; --i) left_[i] = left_[2 * i] + left_[2 * i + 1];
}

std::span<const std::uint16_t> Urn::draw(std::size_t n) {
  tokens_.resize(n);
  for (std::uint16_t& token : tokens_) {
    std::uint32_t rank = random_.below(left_[1]);
    std::size_t i = 1;
    while (i < leaves_) {
      --left_[i];
      i *= 2;
      const bool right = rank >= left_[i];
      rank -= right ? left_[i] : 0;
      i += right;
    }
    --left_[i];
    token = static_cast<std::uint16_t>(i - leaves_);
  }
  return tokens_;
}

std::size_t copies_at_once(const CorpusOptions& o, const Arena& arena) {
  const auto fit = static_cast<std::size_t>(kCopiesBytes / table_bytes(o.letters, o.length));
  return std::min(o.shuffles, std::max(fit, static_cast<std::size_t>(arena.threads())));
}

std::vector<double> shares_of_shuffles(TokenStream& text, const std::vector<Take>& others,
                                       const CorpusOptions& o, const Arena& arena) {
  std::vector<double> shares(o.shuffles);
  const std::size_t most = copies_at_once(o, arena);
  std::size_t first = 0;
  do {
    const std::size_t here = std::min(most, o.shuffles - first);
    std::vector<ShuffledCopy> copies;
    for (std::size_t i = 0; i < here; ++i) copies.emplace_back(o, first + i);
    std::vector<Take> takers = first == 0 ? others : std::vector<Take>();
    for (ShuffledCopy& copy : copies)
      takers.emplace_back([&copy](auto part) { copy.counts.add(copy.shuffle(part)); });
    const std::string task =
        here == 0 ? std::string("counting windows")
                  : fmt::format("shuffles {} to {} of {}", first + 1, first + here, o.shuffles);
    read_once(text, o.length, takers, task, arena);
    arena.parallel_for(
        here, [&](std::size_t i) { shares[first + i] = moments(Covariance(copies[i].counts)).other_share; });
    first += here;
  } while (first < o.shuffles);
  return shares;
}

}  // namespace telos::symmetry
