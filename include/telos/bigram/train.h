#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/bigram/population.h"
#include "telos/bigram/sample.h"

// Training from samples: the two-stage method with soft thresholds, its parts left out one at a time, and
// what it is compared with.

namespace telos::bigram {

enum class Algorithm {
  kScb,  ///< preconditioned, projected, soft threshold η c ‖V − μ1ᵀ‖_μ; refit and screening at the end
  kPaper,    ///< two stages with a thresholding projection between them, then rounding and a refit of V
  kPsgd,     ///< kScb without threshold, refit and screening
  kSgd,      ///< plain gradient descent
  kNonneg,   ///< kScb with A kept ≥ 0
  kSoftmax,  ///< a_k = softmax of N × T logits
  kMoments,  ///< no descent: χ² of the counts of (last token, token at position, output)
};
std::string_view to_string(Algorithm algorithm);
Algorithm algorithm_from(std::string_view name);  ///< throws kUsage naming them

struct TrainOptions {
  Algorithm algorithm = Algorithm::kScb;
  std::size_t batch = 64;
  double eta = 0.02;
  std::optional<double> eta_v{}, eta_a{};  ///< kSgd, kSoftmax: rates of V and of A (logits)
  double threshold = 0.03;                 ///< c; kPaper: λ₀ and λ follow from the noise
  std::uint64_t samples = 128000;          ///< most samples of the descent
  /// Where these leave weights uncertain more are drawn of rare last tokens: up to four times as many for the
  /// refit, up to twice as many for the first screening.
  std::uint64_t refit_samples = 100000, screen_samples = 50000;
  bool stop_early = true;  ///< where the supports are stable
  bool fix_mirror = true, refit = true, screen = true;
  double keep = 0.25;              ///< positions above this share of their column's largest are kept
  std::uint64_t held_out = 4096;   ///< samples of the held-out loss
  std::uint64_t record_every = 0;  ///< steps between points of the curve; 0: some 200 points
  std::uint64_t seed = 1;
  std::shared_ptr<const Model> start{};  ///< empty: initial_model
};

struct CurvePoint {
  std::uint64_t step = 0, samples = 0;
  double held_out = 0, held_out_error = 0;  ///< loss and its standard error
  double gain = 0, gain_error = 0;          ///< of the loss below that of predicting μ, on the same samples
  double knowledge = 0;                     ///< ‖V − μ1ᵀ‖²_μ, an estimate of K_P
  std::size_t stable = 0;                   ///< last tokens whose positions are
  // What only a known truth gives, 0 without it:
  double population = 0;
  Signals signals{};
  Excess excess{};
  double seconds = 0;
};

/// What the descent is worth, column by column.
struct Column {
  std::vector<std::uint32_t> positions;  ///< found, ascending
  std::vector<double> weights;
  bool stable = false;        ///< its set did not change for 200 steps and is separated by a factor of 3
  bool exact = false;         ///< the true set (known truth)
  std::uint64_t samples = 0;  ///< of a file; 0: drawn
};

struct TrainResult {
  Algorithm algorithm{};
  Model descended;  ///< at the end of the descent, before rounding and refit
  Model model;
  std::vector<Column> columns;
  std::vector<CurvePoint> curve;
  std::uint64_t steps = 0, samples = 0;  ///< of the descent
  /// After which the true positions of every column deviated most from 1/T, and stayed so; 0: never. Looked
  /// at every 10 steps.
  std::uint64_t samples_to_support = 0;
  bool mirrored = false;        ///< the descent ended in the mirror solution, and was turned
  std::size_t screened_in = 0;  ///< positions that screening added
  std::uint64_t refit_samples = 0, screen_samples = 0;  ///< drawn
  double held_out = 0, held_out_error = 0;
  double gain = 0, gain_error = 0;  ///< of the held-out loss below that of predicting μ, on the same samples
  double knowledge = 0;             ///< ‖V − μ1ᵀ‖²_μ
  std::vector<double> mu;           ///< of the task, or as estimated from a file
  double population = 0;            ///< this and the next two: 0 without a known truth
  Signals signals{};
  Excess excess{};
  std::vector<std::string> notes;
  double seconds = 0;
};

/// One run, step by step, so that it can be saved between steps and resumed to the same bits. Instance and
/// arena must outlive it.
class TrainRun {
 public:
  /// Throws kUsage (batch 0, rates ≤ 0), kShape (start). Rates above sgd_bound give a note.
  TrainRun(const Instance& instance, const TrainOptions& options, const Arena& arena);
  /// From the samples of a file (must outlive this): its rows in a random order from the seed, again and
  /// again up to options.samples, or once for kMoments; refit and screening take each row once. At most
  /// options.held_out of them, and a tenth, are held out. Last tokens with fewer than kFewestSamples (data.h)
  /// keep looking everywhere, and are named in a note. Throws as split_samples does too.
  TrainRun(const Samples& samples, const TrainOptions& options, const Arena& arena);
  ~TrainRun();
  TrainRun(TrainRun&&) noexcept;
  TrainRun& operator=(TrainRun&&) noexcept;

  bool descending() const;  ///< more steps to come
  /// One step. Throws kNotFinite naming the parameter that blew up; the model of the last good step is kept.
  void step();
  std::uint64_t steps() const;
  const Model& model() const;
  const std::vector<CurvePoint>& curve() const;
  /// Rounding, mirror, refit, screening, and the final figures.
  TrainResult finish();

  /// One safetensors file: model, step, curve, support history. load throws kBadFormat, kShape, kUsage
  /// (another instance or other options).
  void save(const std::string& path) const;
  void load(const std::string& path);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// TrainRun to its end. `each` hears of every curve point. `checkpoint`, unless empty, is a file that is
/// written every ten seconds and when the run is interrupted, and removed at the end; where it exists
/// already, the run goes on from it, and ends in the same bits as one that was never interrupted.
TrainResult train(const Instance& instance, const TrainOptions& options, const Arena& arena,
                  const std::function<void(const CurvePoint&)>& each = {},
                  const std::string& checkpoint = {});

/// The same from samples of a file.
TrainResult train(const Samples& samples, const TrainOptions& options, const Arena& arena,
                  const std::function<void(const CurvePoint&)>& each = {},
                  const std::string& checkpoint = {});

/// Refit on given supports: `rounds` of alternating least squares on fresh samples, of which only tokens at
/// the supports are drawn. V = (mean e_o hᵀ)(mean hhᵀ + 1e-9 I)⁻¹; a_k from the constrained normal equations,
/// 1ᵀa = 1. `start` gives the weights of the first round. Throws kUsage (supports that do not ascend),
/// kShape, kLimit (more than 1024 positions).
Model refit(const Instance& instance, const std::vector<std::vector<std::uint32_t>>& supports,
            const Model& start, std::uint64_t samples, std::size_t rounds, std::uint64_t seed,
            const Arena& arena);

enum class Keep { kValues, kAttention, kBoth };
/// Start for `task` from what was learned on another: θ of the old, 1 − θ of the initial model, V recentred
/// to Vμ = μ. The parts that `keep` leaves out start afresh. Throws kShape.
Model transfer_start(const Model& learned, const Instance& task, Keep keep, double theta);

/// Did the run start with a signal below 0, that is, from a model of the opposite? Known truth only.
bool points_away(const TrainResult& transferred);
/// Did the start from another task hurt? It pointed away from this one, or all positions took more samples of
/// the descent than from the initial model, or were reached from there alone.
bool is_negative_transfer(const TrainResult& transferred, const TrainResult& scratch);

/// Model file: safetensors with v, a, mu and the metadata telos.bigram.
void write_model(const Model& model, std::span<const double> mu, const std::string& path);
struct SavedModel {
  Model model;
  std::vector<double> mu;
};
SavedModel read_model(const std::string& path);

}  // namespace telos::bigram
