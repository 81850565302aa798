#include "telos/bigram/sample.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "bigram/sample_kernel.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/bigram/data.h"

namespace telos::bigram {
namespace {

constexpr std::uint32_t kHeaderCounter = 0xFFFFFFFFu;

std::array<std::uint32_t, 4> words(std::uint64_t seed, Stream stream, std::uint64_t sample,
                                   std::uint32_t counter) {
  return philox4x32({counter, static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32),
                     static_cast<std::uint32_t>(stream)},
                    {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
}

/// The word of position t.
std::uint32_t word_at(std::uint64_t seed, Stream stream, std::uint64_t sample, std::size_t t) {
  const std::size_t call = 8 * (t / kernel::kBlock) + t % 8;
  return words(seed, stream, sample, static_cast<std::uint32_t>(call))[t % kernel::kBlock / 8];
}

/// #{thresholds ≤ u}.
std::size_t count_up_to(std::span<const std::uint32_t> thresholds, std::uint32_t u) {
  return static_cast<std::size_t>(std::ranges::upper_bound(thresholds, u) - thresholds.begin());
}

/// kernel::Law::table.
std::vector<std::uint32_t> make_table(std::span<const std::uint32_t> thresholds) {
  constexpr unsigned kShift = 32 - kernel::kTableBits;
  std::vector<std::uint32_t> table(std::size_t{1} << kernel::kTableBits);
  for (std::uint32_t cell = 0; cell < table.size(); ++cell) {
    const std::uint32_t low = cell << kShift, high = low + ((1u << kShift) - 1);
    const std::size_t least = count_up_to(thresholds, low), most = count_up_to(thresholds, high);
    table[cell] = static_cast<std::uint32_t>(least) | (most - least > 1 ? kernel::kSeveral : 0);
  }
  return table;
}

void require_size(const char* where, const char* what, std::size_t expected, std::size_t found) {
  if (expected != found)
    throw Error(ErrorKind::kShape, where,
                std::string(what) + " has " + std::to_string(found) + " elements, expected " +
                    std::to_string(expected));
}

}  // namespace

std::vector<std::uint32_t> thresholds(std::span<const double> law) {
  std::vector<std::uint32_t> result(law.empty() ? 0 : law.size() - 1);
  double sum = 0;
  for (std::size_t i = 0; i < result.size(); ++i) {
    sum += law[i];
    result[i] = static_cast<std::uint32_t>(std::min(0x1p32 * sum, 0x1p32 - 1));
  }
  return result;
}

Sampler::Sampler(const Instance& instance, std::uint64_t seed)
    : n_(instance.tokens()), length_(instance.length), seed_(seed), mu_(thresholds(instance.mu)) {
  if (n_ > kernel::kFewTokens) table_ = make_table(mu_);
  std::vector<double> column(n_);
  for (std::size_t j = 0; j < n_; ++j) {
    for (std::size_t i = 0; i < n_; ++i) column[i] = instance.p(i, j);
    p_.push_back(thresholds(column));
    q_.push_back(thresholds(instance.q[j].weights));
    positions_.push_back(instance.q[j].positions);
  }
  mu_.push_back(0);  // read by the kernel, without effect
}

Sampler::Sampler(const Samples& samples, const SampleSplit& split)
    : n_(samples.tokens), length_(samples.length), samples_(&samples), split_(&split) {}

std::uint64_t Sampler::distinct(Stream stream) const {
  if (samples_ == nullptr) return std::numeric_limits<std::uint64_t>::max();
  return stream == Stream::kHeldOut ? split_->held_out.size() : split_->train.size();
}

std::span<const std::uint32_t> Sampler::left_out() const {
  return split_ == nullptr ? std::span<const std::uint32_t>() : split_->left_out;
}

std::size_t Sampler::row(Stream stream, std::uint64_t sample) const {
  const std::vector<std::uint32_t>& rows = stream == Stream::kHeldOut ? split_->held_out : split_->train;
  return rows[sample % rows.size()];
}

std::uint16_t Sampler::token(std::uint32_t word) const {
  return static_cast<std::uint16_t>(count_up_to(std::span(mu_).first(n_ - 1), word));
}

Sampler::Header Sampler::header(Stream stream, std::uint64_t sample) const {
  if (samples_ != nullptr) {
    const std::size_t i = row(stream, sample);
    return {samples_->last[i], samples_->output[i], 0};
  }
  const auto [last_word, attended_word, output_word, unused] = words(seed_, stream, sample, kHeaderCounter);
  Header result{};
  result.last = token(last_word);
  result.attended = positions_[result.last][count_up_to(q_[result.last], attended_word)];
  const std::uint16_t attended = token(word_at(seed_, stream, sample, result.attended));
  result.output = static_cast<std::uint16_t>(count_up_to(p_[attended], output_word));
  return result;
}

void Sampler::draw_tokens(Stream stream, std::uint64_t sample, std::span<std::uint16_t> tokens) const {
  require_size("draw_tokens", "tokens", length_, tokens.size());
  if (samples_ != nullptr) {
    const std::size_t i = row(stream, sample);
    for (std::size_t t = 0; t < length_; ++t) tokens[t] = samples_->token(i, t);
    return;
  }
  const kernel::Source source{seed_, static_cast<std::uint32_t>(stream), sample};
  const kernel::Law law{n_, mu_.data(), table_.data()};
  const std::size_t blocks = length_ / kernel::kBlock, rest = length_ % kernel::kBlock;
  kernel::draw_blocks(source, law, 0, blocks, tokens.data());
  if (rest == 0) return;
  std::array<std::uint16_t, kernel::kBlock> block;
  kernel::draw_blocks(source, law, blocks, 1, block.data());
  std::ranges::copy(std::span(block).first(rest), tokens.last(rest).begin());
}

void Sampler::draw_tokens_at(Stream stream, std::uint64_t sample, std::span<const std::uint32_t> positions,
                             std::span<std::uint16_t> tokens) const {
  require_size("draw_tokens_at", "tokens", positions.size(), tokens.size());
  if (samples_ != nullptr) {
    const std::size_t i = row(stream, sample);
    for (std::size_t p = 0; p < positions.size(); ++p) tokens[p] = samples_->token(i, positions[p]);
    return;
  }
  for (std::size_t i = 0; i < positions.size(); ++i)
    tokens[i] = token(word_at(seed_, stream, sample, positions[i]));
}

Sample Sampler::draw(Stream stream, std::uint64_t sample) const {
  const Header drawn = header(stream, sample);
  Sample result{std::vector<std::uint16_t>(length_), drawn.last, drawn.attended, drawn.output};
  draw_tokens(stream, sample, result.tokens);
  return result;
}

}  // namespace telos::bigram
