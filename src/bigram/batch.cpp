#include <algorithm>
#include <numeric>
#include <string>

#include "bigram/sample_kernel.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/bigram/sample.h"
#include "telos/linalg/gemm.h"

namespace telos::bigram {
namespace {

constexpr const char* kWhere = "BatchGradient";
/// Samples at a time, and the longest chain of float additions in A's sums.
constexpr std::size_t kGroup = 64;
/// Positions whose sums stay in the first-level cache while a group's samples are added.
constexpr std::size_t kStretch = 1024;

void require_shape(const char* what, std::size_t rows, std::size_t cols, std::size_t expected_rows,
                   std::size_t expected_cols) {
  if (rows == expected_rows && cols == expected_cols) return;
  const auto text = [](std::size_t r, std::size_t c) {
    return std::to_string(r) + " x " + std::to_string(c);
  };
  throw Error(
      ErrorKind::kShape, kWhere,
      std::string(what) + " is " + text(rows, cols) + ", expected " + text(expected_rows, expected_cols));
}

void require_size(const char* what, std::size_t expected, std::size_t found) {
  if (expected != found)
    throw Error(ErrorKind::kShape, kWhere,
                std::string(what) + " has " + std::to_string(found) + " elements, expected " +
                    std::to_string(expected));
}

void require_tokens(std::span<const std::uint16_t> tokens, std::size_t count, const char* what,
                    std::size_t sample) {
  const std::uint16_t most = *std::ranges::max_element(tokens);
  if (most < count) return;
  throw Error(ErrorKind::kUsage, kWhere,
              std::string(what) + " of sample " + std::to_string(sample) + " is " + std::to_string(most) +
                  ", but there are " + std::to_string(count) + " tokens");
}

}  // namespace

BatchGradient::BatchGradient(const Sampler& sampler, std::size_t batch, const Arena& arena)
    : sampler_(&sampler), arena_(&arena), batch_(batch) {
  if (batch == 0) throw Error(ErrorKind::kUsage, kWhere, "a batch of 0 samples");
  const std::size_t n = sampler.tokens(), length = sampler.length(), row = std::max(n, kernel::kLanes),
                    scratch = kernel::histogram_scratch(n);
  require_memory(
      static_cast<double>(kGroup) * (2.0 * static_cast<double>(length) + 28.0 * static_cast<double>(row) +
                                     4.0 * static_cast<double>(scratch)),
      kWhere, "shorter samples need less");
  tokens_.resize(kGroup * length);
  last_.resize(kGroup);
  output_.resize(kGroup);
  h_ = Matrix<double>(kGroup, n);
  r_ = Matrix<double>(kGroup, n);
  w_ = Matrix<double>(kGroup, n);
  look_up_ = Matrix<float>(kGroup, row);
  scratch_ = Matrix<float>(kGroup, scratch);
  order_.resize(kGroup);
  begin_.resize(n + 1);
}

template <class SampleAt>
void BatchGradient::run_drawn(Stream stream, std::size_t batch, const SampleAt& sample_at,
                              ConstMatrixView<double> v, const Attention& a, BatchSums& sums,
                              bool with_attention) {
  start(v, a, sums, with_attention);
  const std::size_t length = sampler_->length();
  for (std::size_t begin = 0; begin < batch; begin += kGroup) {
    check_interrupt();
    const std::size_t samples = std::min(kGroup, batch - begin);
    arena_->parallel_for(samples, [&](std::size_t slot) {
      const std::uint64_t sample = sample_at(begin + slot);
      const Sampler::Header header = sampler_->header(stream, sample);
      last_[slot] = header.last;
      output_[slot] = header.output;
      const std::span<std::uint16_t> tokens = std::span(tokens_).subspan(slot * length, length);
      sampler_->draw_tokens(stream, sample, tokens);
      weigh(slot, tokens.data(), a);
    });
    add_group(tokens_.data(), samples, v, sums, with_attention);
  }
}

void BatchGradient::run(Stream stream, std::uint64_t first, ConstMatrixView<double> v, const Attention& a,
                        BatchSums& sums, bool with_attention) {
  run_drawn(
      stream, batch_, [first](std::size_t i) { return first + i; }, v, a, sums, with_attention);
}

void BatchGradient::run(Stream stream, std::span<const std::uint64_t> samples, ConstMatrixView<double> v,
                        const Attention& a, BatchSums& sums, bool with_attention) {
  run_drawn(
      stream, samples.size(), [samples](std::size_t i) { return samples[i]; }, v, a, sums, with_attention);
}

void BatchGradient::run(std::span<const std::uint16_t> tokens, std::span<const std::uint16_t> last,
                        std::span<const std::uint16_t> output, ConstMatrixView<double> v, const Attention& a,
                        BatchSums& sums, bool with_attention) {
  const std::size_t n = sampler_->tokens(), length = sampler_->length(), batch = last.size();
  require_size("output", batch, output.size());
  require_size("tokens", batch * length, tokens.size());
  start(v, a, sums, with_attention);
  for (std::size_t begin = 0; begin < batch; begin += kGroup) {
    check_interrupt();
    const std::size_t samples = std::min(kGroup, batch - begin);
    arena_->parallel_for(samples, [&](std::size_t slot) {
      const std::size_t sample = begin + slot;
      const std::span<const std::uint16_t> row = tokens.subspan(sample * length, length);
      require_tokens(row, n, "a token", sample);
      require_tokens(last.subspan(sample, 1), n, "the last token", sample);
      require_tokens(output.subspan(sample, 1), n, "the output", sample);
      last_[slot] = last[sample];
      output_[slot] = output[sample];
      weigh(slot, row.data(), a);
    });
    add_group(tokens.data() + begin * length, samples, v, sums, with_attention);
  }
}

void BatchGradient::start(ConstMatrixView<double> v, const Attention& a, BatchSums& sums,
                          bool with_attention) const {
  const std::size_t n = sampler_->tokens(), length = sampler_->length();
  require_shape("V", v.rows(), v.cols(), n, n);
  require_shape("A", a.rows(), a.cols(), n, length);
  if (sums.v.rows() != n || sums.v.cols() != n) sums.v = Matrix<double>(n, n);
  std::fill_n(sums.v.data(), sums.v.size(), 0.0);
  sums.count.assign(n, 0);
  sums.loss = 0;
  if (!with_attention) return;
  if (sums.a.rows() != n || sums.a.cols() != length) sums.a = Matrix<float>(n, length);
  std::fill_n(sums.a.data(), sums.a.size(), 0.0f);
}

void BatchGradient::weigh(std::size_t slot, const std::uint16_t* tokens, const Attention& a) {
  kernel::weighted_histogram(tokens, a.row(last_[slot]), sampler_->length(), sampler_->tokens(),
                             scratch_.row(slot), h_.row(slot));
}

void BatchGradient::add_group(const std::uint16_t* tokens, std::size_t samples, ConstMatrixView<double> v,
                              BatchSums& sums, bool with_attention) {
  const std::size_t n = sampler_->tokens();
  const auto used = [&](Matrix<double>& m) { return m.view().block(0, 0, samples, n); };
  gemm<double>(Op::kPlain, Op::kTransposed, 1, used(h_), v, 0, used(r_), *arena_);
  for (std::size_t s = 0; s < samples; ++s) {
    double* const r = r_.row(s);
    r[output_[s]] -= 1;
    double loss = 0;
    for (std::size_t i = 0; i < n; ++i) loss += r[i] * r[i];
    sums.loss += loss / 2;
    ++sums.count[last_[s]];
  }
  gemm<double>(Op::kTransposed, Op::kPlain, 1, used(r_), used(h_), 1, sums.v, *arena_);
  if (!with_attention) return;

  gemm<double>(Op::kPlain, Op::kPlain, 1, used(r_), v, 0, used(w_), *arena_);
  for (std::size_t s = 0; s < samples; ++s)
    std::transform(w_.row(s), w_.row(s) + n, look_up_.row(s), [](double w) { return static_cast<float>(w); });
  sort_group(samples);
  add_attention(tokens, sums);
}

/// By last token, then in order.
void BatchGradient::sort_group(std::size_t samples) {
  std::ranges::fill(begin_, 0);
  for (std::size_t s = 0; s < samples; ++s) ++begin_[last_[s]];
  std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());  // where each one's samples end
  for (std::size_t s = samples; s-- > 0;) order_[--begin_[last_[s]]] = s;
}

/// Each (last token, stretch of positions) has one body: its samples in order, then their sum to A's.
void BatchGradient::add_attention(const std::uint16_t* tokens, BatchSums& sums) const {
  const std::size_t n = sampler_->tokens(), length = sampler_->length(),
                    stretches = (length + kStretch - 1) / kStretch;
  arena_->parallel_for(n * stretches, [&](std::size_t index) {
    const std::size_t k = index / stretches, first = index % stretches * kStretch,
                      count = std::min(kStretch, length - first), begin = begin_[k], end = begin_[k + 1];
    if (begin == end) return;
    float* const sum = sums.a.row(k) + first;
    const auto look_up = [&](std::size_t i, bool add, float* to) {
      kernel::look_up(tokens + order_[i] * length + first, look_up_.row(order_[i]), count, n, add, to);
    };
    if (end - begin == 1) return look_up(begin, true, sum);
    alignas(64) float group[kStretch];
    for (std::size_t i = begin; i < end; ++i) look_up(i, i > begin, group);
    for (std::size_t t = 0; t < count; ++t) sum[t] += group[t];
  });
}

}  // namespace telos::bigram
