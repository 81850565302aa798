#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/bigram/instance.h"

// Samples, the same to the bit on every machine, instruction set and number of threads; and the fused kernel
// that draws them and sums gradients without ever writing them down.
//
// Contract: Philox4x32-10 with key = seed, counter = (c0, sample lo, sample hi, stream). The token at
// position t is word (t mod 32)/8 of c0 = 8·⌊t/32⌋ + t mod 8. c0 = 2³² − 1 gives the last token (word 0),
// which of its positions is attended (word 1) and the output (word 2). A draw u from a law p is #{i < n − 1 :
// u ≥ ⌊2³²(p_0 + … + p_i)⌋}.

namespace telos::bigram {

enum class Stream : std::uint32_t { kTrain = 1, kHeldOut = 2, kRefit = 3, kScreen = 4, kInstance = 7 };

/// ⌊2³²(p_0 + … + p_i)⌋ for i < n − 1, summed from the left in double; a sum that rounds to 2³² becomes 2³²
/// − 1.
std::vector<std::uint32_t> thresholds(std::span<const double> law);

/// One sample in full.
struct Sample {
  std::vector<std::uint16_t> tokens;  ///< T
  std::uint16_t last = 0;             ///< k
  std::uint32_t attended = 0;         ///< position in [0, T)
  std::uint16_t output = 0;           ///< o
};

struct Samples;
struct SampleSplit;

/// Draws from an instance, or takes samples from a file. Immutable; any thread may use it.
class Sampler {
 public:
  /// Keeps a copy of what it needs (tables of thresholds).
  explicit Sampler(const Instance& instance, std::uint64_t seed);
  /// The held-out stream is the split's held-out part; the other streams are its training part, in its order
  /// and again from its beginning. Both must outlive this.
  Sampler(const Samples& samples, const SampleSplit& split);
  std::size_t tokens() const { return n_; }
  std::size_t length() const { return length_; }
  /// Samples of a stream that are not repetitions: all of them, unless they come from a file.
  std::uint64_t distinct(Stream stream) const;
  /// Last tokens of which a file has too few samples, so that none of them comes but in the held-out stream.
  std::span<const std::uint32_t> left_out() const;

  /// Last token, attended position (0 of a file, which does not say), output; the attended token is drawn, no
  /// other. O(N).
  struct Header {
    std::uint16_t last, output;
    std::uint32_t attended;
  };
  Header header(Stream stream, std::uint64_t sample) const;
  /// All tokens, vectorised: N ≤ 8 by comparison in registers, more by a table of the upper 12 bits.
  /// Throws kShape.
  void draw_tokens(Stream stream, std::uint64_t sample, std::span<std::uint16_t> tokens) const;
  /// Tokens at some positions alone (O(positions)): all that a sparse A needs.
  void draw_tokens_at(Stream stream, std::uint64_t sample, std::span<const std::uint32_t> positions,
                      std::span<std::uint16_t> tokens) const;
  Sample draw(Stream stream, std::uint64_t sample) const;

 private:
  std::uint16_t token(std::uint32_t word) const;
  std::size_t row(Stream stream, std::uint64_t sample) const;  // of the file

  std::size_t n_ = 0, length_ = 0;
  const Samples* samples_ = nullptr;  // of a file
  const SampleSplit* split_ = nullptr;
  std::uint64_t seed_ = 0;
  std::vector<std::uint32_t> mu_;                      // thresholds of μ, and one more element
  std::vector<std::vector<std::uint32_t>> p_, q_;      // by attended token, by last token
  std::vector<std::vector<std::uint32_t>> positions_;  // by last token
  std::vector<std::uint32_t> table_;                   // token by the upper bits of a word, for N > 8
};

/// Attention in single precision, a row a last token, as the kernel reads it.
using Attention = Matrix<float>;

/// Sums of a batch: Σ r hᵀ (N × N), Σ of w[x_t] by last token (N × T), Σ of losses |r|²/2; r = V h − e_o, h
/// = the histogram of x weighted by a_k, w = Vᵀr.
struct BatchSums {
  Matrix<double> v;
  Matrix<float> a;
  std::vector<std::uint64_t> count;  ///< samples by last token
  double loss = 0;
};

/// Draws samples [first, first + batch) of a stream and sums their losses and gradients at (V, A): the inner
/// loop of every training here. The sums have the same bits for any number of threads and any instruction
/// set: samples are taken in groups of 64; h is summed in float over t mod 16, then in double; V's sums are
/// in double; A's are summed in float within a group, in ascending order, and the groups' sums are added in
/// order. O(T + N²) a sample; memory for one group of samples, 128 T bytes and some N.
class BatchGradient {
 public:
  /// `sampler` and `arena` must outlive this. Throws kUsage (batch 0), kLimit (memory).
  BatchGradient(const Sampler& sampler, std::size_t batch, const Arena& arena);
  /// `with_attention` false: V's sums and the loss alone, `sums.a` is left as it is. Throws kShape.
  void run(Stream stream, std::uint64_t first, ConstMatrixView<double> v, const Attention& a, BatchSums& sums,
           bool with_attention = true);
  /// The same for chosen samples of a stream, in this order; any number of them.
  void run(Stream stream, std::span<const std::uint64_t> samples, ConstMatrixView<double> v,
           const Attention& a, BatchSums& sums, bool with_attention = true);
  /// The same for given samples instead of drawn ones (of a file): tokens row by row, any number of samples.
  /// Throws kShape, kUsage (a token that is not below N).
  void run(std::span<const std::uint16_t> tokens, std::span<const std::uint16_t> last,
           std::span<const std::uint16_t> output, ConstMatrixView<double> v, const Attention& a,
           BatchSums& sums, bool with_attention = true);

 private:
  /// `sample_at(i)`: number of the batch's i-th sample.
  template <class SampleAt>
  void run_drawn(Stream stream, std::size_t batch, const SampleAt& sample_at, ConstMatrixView<double> v,
                 const Attention& a, BatchSums& sums, bool with_attention);
  void start(ConstMatrixView<double> v, const Attention& a, BatchSums& sums, bool with_attention) const;
  void weigh(std::size_t slot, const std::uint16_t* tokens, const Attention& a);
  void add_group(const std::uint16_t* tokens, std::size_t samples, ConstMatrixView<double> v, BatchSums& sums,
                 bool with_attention);
  void sort_group(std::size_t samples);
  void add_attention(const std::uint16_t* tokens, BatchSums& sums) const;

  const Sampler* sampler_;
  const Arena* arena_;
  std::size_t batch_;
  // Of one group, a row a sample.
  std::vector<std::uint16_t> tokens_, last_, output_;
  Matrix<double> h_, r_, w_;
  Matrix<float> look_up_, scratch_;
  std::vector<std::size_t> order_, begin_;  // samples by last token; where each last token's samples begin
};

}  // namespace telos::bigram
