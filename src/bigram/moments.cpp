// Supports by counting alone.
#include <algorithm>
#include <cmath>

#include "bigram/train_parts.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

/// The deviate of the normal law that χ² is as improbable as (Wilson and Hilferty 1931).
double deviate(double chi_squared, double degrees) {
  const double spread = 2 / (9 * degrees);
  return (std::cbrt(chi_squared / degrees) - (1 - spread)) / std::sqrt(spread);
}

constexpr std::size_t kBlock = 512;  // positions that one task counts

}  // namespace

Moments::Moments(const Instance& instance) : tokens_(instance.tokens()), length_(instance.length) {
  const double n = static_cast<double>(tokens_), counts = n * n * n * static_cast<double>(length_);
  require_memory(counts * sizeof(std::uint32_t), "moments",
                 "they count every (last token, position, output, token); scb needs N·T numbers");
  counts_.resize(tokens_ * length_ * tokens_ * tokens_);
}

void Moments::add(const Sampler& sampler, std::uint64_t first, std::uint64_t count, const Arena& arena) {
  std::vector<Sampler::Header> headers(count);
  drawn_.resize(count * length_);
  arena.parallel_for(count, [&](std::size_t i) {
    headers[i] = sampler.header(Stream::kTrain, first + i);
    sampler.draw_tokens(Stream::kTrain, first + i, {drawn_.data() + i * length_, length_});
  });
  const std::size_t cells = tokens_ * tokens_;
  arena.parallel_for((length_ + kBlock - 1) / kBlock, [&](std::size_t block) {
    const std::size_t end = std::min(length_, (block + 1) * kBlock);
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t* counts =
          counts_.data() + headers[i].last * length_ * cells + headers[i].output * tokens_;
      const std::uint16_t* tokens = drawn_.data() + i * length_;
      for (std::size_t t = block * kBlock; t < end; ++t) ++counts[t * cells + tokens[t]];
    }
  });
}

void Moments::attention(const Instance& instance, Matrix<double>& a, const Arena& arena) const {
  const std::size_t n = tokens_, cells = n * n;
  const double degrees = static_cast<double>(n * (n - 1));
  const double least =
      std::sqrt(2 * std::log(2 * static_cast<double>(n) * static_cast<double>(length_))) + 0.7;
  arena.parallel_for(n, [&](std::size_t k) {
    double sum = 0;
    for (std::size_t t = 0; t < length_; ++t) {
      const std::uint32_t* counts = counts_.data() + (k * length_ + t) * cells;
      double chi_squared = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const std::uint32_t* row = counts + i * n;
        double outputs = 0;
        for (std::size_t j = 0; j < n; ++j) outputs += row[j];
        for (std::size_t j = 0; j < n && outputs > 0; ++j) {
          const double expected = outputs * instance.mu[j], difference = row[j] - expected;
          chi_squared += difference * difference / expected;
        }
      }
      const bool counts_for = deviate(chi_squared, degrees) > least;
      sum += a(k, t) = counts_for ? std::sqrt(chi_squared - degrees) : 0;
    }
    for (std::size_t t = 0; t < length_; ++t)
      a(k, t) = sum > 0 ? a(k, t) / sum : 1 / static_cast<double>(length_);
  });
}

}  // namespace telos::bigram
