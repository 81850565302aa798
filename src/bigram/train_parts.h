#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/bigram/train.h"

// What a training is made of; train.cpp puts it together.

namespace telos::bigram {

struct Windows;  // corpus_parts.h

// ---- One column of attention (rows.cpp)

/// Soft threshold of the deviations from 1/T, then sum 1 by a shift.
void shrink(std::span<double> a, double threshold);
/// Entries below `least` become 0, then sum 1 by a shift.
void keep_large(std::span<double> a, double least);
/// Entries below `least` become 0, then sum 1 by a factor.
void round_small(std::span<double> a, double least);
/// Nearest point with a ≥ 0 and sum 1 (Michelot 1986). O(T) a round, few rounds.
void project_simplex(std::span<double> a);
/// 1.4826·median|a − median a|: the standard deviation of noise among which a few entries stick out.
double robust_scale(std::span<const double> a);

// ---- Supports (support.cpp)

/// 1, or −1 where the deviations e = a − 1/T lie on the negative side, Σ max(−e, 0)⁴ > Σ max(e, 0)⁴: what the
/// mirror solution looks like when the truth is unknown.
int orientation(ConstMatrixView<double> a, const Arena& arena);

struct Support {
  std::vector<std::uint32_t> positions;  ///< where the weight is above `keep` times the largest, ascending
  bool separated = false;                ///< some are left out, and the largest of them is below a third
};
/// Of the column 1/T + sign·(a − 1/T).
Support find_support(std::span<const double> a, int sign, double keep);

/// Are the true positions those that deviate most from 1/T (whatever the sign)?
bool is_exact(std::span<const double> a, std::span<const std::uint32_t> truth);

/// Which sets have been there for how long. Looks every kEvery steps.
class SupportHistory {
 public:
  static constexpr std::uint64_t kEvery = 10, kStable = 200;
  SupportHistory() = default;
  explicit SupportHistory(std::size_t tokens) : sets_(tokens), since_(tokens), separated_(tokens) {}
  void look(const Instance& instance, ConstMatrixView<double> a, double keep, std::uint64_t step,
            const Arena& arena);
  bool stable(std::size_t column, std::uint64_t step) const;
  bool all_stable(std::uint64_t step) const;
  /// Columns of which there are too few samples: nobody waits for them. Not part of state().
  void leave_out(std::span<const std::uint32_t> columns);
  bool is_left_out(std::size_t column) const;
  /// Step of the first look at which all columns were exact, and have been since; 0: they are not.
  std::uint64_t exact_since() const { return exact_since_; }

  /// All of it as numbers, for a file; false: they are not what state() wrote for as many tokens.
  std::vector<std::uint64_t> state() const;
  bool restore(std::span<const std::uint64_t> state);

 private:
  std::vector<std::vector<std::uint32_t>> sets_;
  std::vector<std::uint64_t> since_;  // step of the first look at the set
  std::vector<std::uint8_t> separated_, left_out_;
  std::uint64_t exact_since_ = 0;
};

// ---- Samples at few positions (sparse_samples.cpp)

/// Numbers of samples of one stream.
std::vector<std::uint64_t> sample_range(std::uint64_t first, std::uint64_t count);
/// Samples of a stream from `first` on, ascending, that lower errors by the factors ratios[k] where these are
/// above 1: an error of last token k falls like 1/√n, n = counts[k] so far. At most `most` of them, scaled
/// down together; where a token is so rare that 16 times `most` headers (O(N) each) do not bring them, fewer.
std::vector<std::uint64_t> further_samples(const Sampler& sampler, Stream stream, std::uint64_t first,
                                           std::span<const double> ratios,
                                           std::span<const std::uint64_t> counts, std::uint64_t most);

/// Samples of a stream, seen at the positions of their last token alone: all that a sparse A needs of them.
/// O(positions) a sample, 2 bytes a token. Throws kLimit.
class SparseSamples {
 public:
  SparseSamples(const Sampler& sampler, Stream stream, std::span<const std::uint64_t> samples,
                const std::vector<Column>& columns, const Arena& arena);
  /// Windows of a text, position t at offset max_offset − t; of `tokens` different ones. (probe.cpp)
  SparseSamples(const Windows& windows, std::size_t tokens, const std::vector<Column>& columns);
  std::size_t size() const { return output_.size(); }
  std::size_t last(std::size_t i) const { return last_[i]; }
  std::size_t output(std::size_t i) const { return output_[i]; }
  std::span<const std::uint16_t> tokens(std::size_t i) const {
    return {tokens_.data() + start_[i], start_[i + 1] - start_[i]};
  }
  /// Samples of a last token, ascending.
  std::span<const std::uint32_t> with_last(std::size_t last) const { return by_last_[last]; }

 private:
  std::vector<std::uint16_t> last_, output_, tokens_;
  std::vector<std::size_t> start_;
  std::vector<std::vector<std::uint32_t>> by_last_;
};

/// Mean and standard error; and how far it is below the loss of predicting μ, on the same samples.
struct Loss {
  double mean = 0, error = 0;
  double gain = 0, gain_error = 0;
};
/// Loss on samples [0, count) of the held-out stream. Where A has few entries that are not 0 only their
/// tokens are drawn; otherwise the error comes from the means of batches of count/64, the incomplete last one
/// left out. Without `mu` no gain.
Loss held_out_loss(const Sampler& sampler, const Model& model, std::uint64_t count, const Arena& arena,
                   std::span<const double> mu = {});

// ---- Refit and screening (refit.cpp, screen.cpp)

/// V and sparse columns, by least squares.
struct SparseModel {
  Matrix<double> v;
  std::vector<Column> columns;
  std::vector<std::vector<double>> errors;  ///< standard errors of the columns' weights
};
/// VᵀV
Matrix<double> gram(ConstMatrixView<double> v);
/// Alternating least squares from the columns' weights; `values_only`: V once, the columns stay.
SparseModel least_squares(const SparseSamples& samples, std::size_t tokens, std::vector<Column> columns,
                          std::size_t rounds, bool values_only, const Arena& arena);
/// Removes positions whose weight is below 4 standard errors (never a column's last). Returns how many.
std::size_t drop_insignificant(SparseModel& model);
/// Adds positions whose tokens still explain the residuals: z_{k,t} = −Σ(w_b[x_t] − E_μ w_b) / √ΣVar_μ(w_b)
/// over samples with last token k, w = Vᵀr, above z* = √(2 ln 2NT) + 0.7. A position of weight q that is
/// missing has E z = q n_k K_V / √ΣVar_μ(w_b): with `further`, where `count` samples leave weights of 0.1
/// below z*, more samples of that last token are drawn, at most twice `count` together.
struct Screening {
  std::size_t added = 0;
  std::uint64_t samples = 0;  ///< drawn
  std::uint64_t next = 0;     ///< first sample of the stream that was not looked at
  std::vector<double> least;  ///< by last token: weights below it may have been missed
};
Screening screen(const Instance& instance, const Sampler& sampler, SparseModel& model, std::uint64_t first,
                 std::uint64_t count, bool further, const Arena& arena);
Model dense(const SparseModel& model, std::size_t length);

// ---- Counts instead of descent (moments.cpp)

/// How often token j stood at position t when the last token was k and the output i.
class Moments {
 public:
  Moments() = default;
  /// Throws kLimit: N³T counts.
  explicit Moments(const Instance& instance);
  void add(const Sampler& sampler, std::uint64_t first, std::uint64_t count, const Arena& arena);
  /// Rows of attention: 0 where χ² of (token, output) is no more than chance, else ∝ √(χ² − its mean), which
  /// grows like q; uniform where nothing stands out.
  void attention(const Instance& instance, Matrix<double>& a, const Arena& arena) const;
  std::span<const std::uint32_t> counts() const { return counts_; }
  std::span<std::uint32_t> counts() { return counts_; }

 private:
  std::size_t tokens_ = 0, length_ = 0;
  std::vector<std::uint32_t> counts_;  // [last][position][output][token]
  std::vector<std::uint16_t> drawn_;
};

// ---- Steps (train_steps.cpp)

/// A run at a step: with the options and the instance, all that its next steps depend on.
struct RunState {
  Model model;
  Matrix<double> logits;  ///< kSoftmax
  Moments moments;        ///< kMoments
  double lambda = 0;      ///< kPaper: 0 until the second stage begins
  std::uint64_t steps = 0;
  SupportHistory history;
  std::vector<CurvePoint> curve;
};

/// Makes steps of the descent.
class Descent {
 public:
  Descent(const Instance& instance, const TrainOptions& options, const Sampler& sampler, const Arena& arena);
  /// Throws kNotFinite and leaves the state as it was.
  void step(RunState& state);
  double attention_rate() const { return eta_a_; }

 private:
  void next_values(const RunState& state);
  void next_attention(RunState& state, std::size_t k);
  void refuse_divergence(std::uint64_t step) const;
  void end_first_stage(RunState& state);

  const Instance* instance_;
  const TrainOptions* options_;
  const Sampler* sampler_;
  const Arena* arena_;
  double eta_v_, eta_a_;
  BatchGradient gradient_;
  BatchSums sums_;
  Attention attention_;
  Model next_;
  Matrix<double> next_logits_;
  double threshold_ = 0;  // of this step
};

/// ‖V − μ1ᵀ‖_μ
double values_norm(ConstMatrixView<double> v, std::span<const double> mu);
/// Does it keep the sums of A's columns, so that the mirror image is a solution?
bool keeps_sums(Algorithm algorithm);
/// Steps that use options.samples up: whole batches, and what is left of them where rows are only counted.
std::uint64_t last_step(const TrainOptions& options);
/// Samples that the first `steps` steps take.
std::uint64_t samples_after(const TrainOptions& options, std::uint64_t steps);

// ---- Files (run_file.cpp)

/// `data`: checksum of the samples of a file; empty for drawn ones.
void save_run(const Instance& instance, const std::string& data, const TrainOptions& options,
              const RunState& state, const std::string& path);
RunState load_run(const Instance& instance, const std::string& data, const TrainOptions& options,
                  const std::string& path);

// ---- The end (finish.cpp)

TrainResult finish_run(const Instance& instance, const TrainOptions& options, const Sampler& sampler,
                       const RunState& state, std::vector<std::string> notes, const Arena& arena);

}  // namespace telos::bigram
