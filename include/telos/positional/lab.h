#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/nn/optimizer.h"
#include "telos/positional/model.h"
#include "telos/positional/tasks.h"

// Training under control: a model learns a task from a seed, and is tested at scales that it never saw. Data,
// initial weights and the order of batches follow from (spec, seed) alone; a run that was interrupted goes
// on to the same bits.

namespace telos::positional {

/// The blocks that k-hop was published with: minGPT without LayerNorm and dropout. x = token table +
/// position table (positional: the token table alone), then x += attention(x), x += W_2·gelu_tanh(W_1·x)
/// with 4·width hidden units, causal, scale 1/√(width/heads); positional attention takes queries and keys
/// from the learned position table. Initial weights N(0, 0.02²), W_o and W_2 N(0, (0.02/√(2·layers))²), no
/// bias in the head.
struct HopModel {
  bool positional = false;
  std::size_t layers = 3, heads = 3, width = 60;
};

struct TrainSpec {
  std::string task = "sum";
  TaskOptions task_options{};
  /// nodes, in_dim, out_dim and vocabulary are set to what the task asks for: fit_model().
  ModelConfig model{};
  std::optional<HopModel> hop_model{};  ///< task khop: instead of `model`

  nn::OptimizerOptions optimizer{};  ///< Adam, β 0.9, 0.999
  double rate = 5e-4;
  /// Learning rate falls by plateau_factor after plateau_patience epochs without a lower sum of batch losses;
  /// 0 patience: the rate stays.
  std::size_t plateau_patience = 50;
  double plateau_factor = 0.9, min_rate = 1e-6;

  std::size_t epochs = 2001, batch = 1000;
  std::size_t train_samples = 30000, test_samples = 1000;  ///< validation and each scale: test_samples
  std::vector<double> scales{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  /// Lengths 1 … n in equal shares (the longest takes what is left over), one length a batch.
  bool variable_length = false;
  std::size_t runs = 10;
  std::uint64_t seed = 1;  ///< run r draws everything from seed + r

  std::size_t evaluate_every = 10;    ///< epochs; the last one is evaluated too
  bool test_each_evaluation = true;   ///< scales in the learning curve, not only at the end
  std::size_t checkpoint_every = 50;  ///< epochs, or a few seconds if they pass first
  /// An entry counts as right if |error| ≤ tolerance·max(1, |target|).
  double tolerance = 0.05;

  /// A run stops at the end of the epoch in which it has taken so many steps or seconds; what it has by then
  /// is its result, and a later session goes on from it. 0: no limit.
  std::uint64_t max_steps = 0;
  double max_seconds = 0;  ///< of one session: a run that goes on has as long again

  /// Folder that receives spec.json, run-00/{metrics.jsonl, checkpoint.safetensors, model.safetensors,
  /// result.json}, …; empty: nothing is written.
  std::string folder{};
  /// Runs in the folder that have a result are read, those with a checkpoint go on; false: all start anew.
  bool resume = false;
};

/// A model's error on one set of samples. Entries are the numbers that the loss sees.
struct ErrorRow {
  double scale = 1;
  Task::Split split = Task::Split::kTrain;  ///< what the samples were drawn from
  std::size_t samples = 0;
  std::size_t length = 0;  ///< data positions; 0: all lengths together
  double mse = 0;          ///< mean over samples of the mean square error (classes: of the cross-entropy)
  double mse_sum = 0;      ///< sum over batches of batch means: what the published files hold
  double mae = 0;
  double mape = 0;             ///< mean |error|/|target| over targets other than 0, as a fraction
  double max_error = 0;        ///< largest |error|
  double within = 0;           ///< fraction of entries within the tolerance (classes: accuracy)
  double mse_over_scale2 = 0;  ///< constant over c for a model with f(cX) = c·f(X) on a homogeneous task
  /// Outputs that are not finite numbers in the arithmetic of the evaluation. Their samples are in `samples`
  /// and not in the mean squares; they themselves are in none of the other figures.
  std::size_t overflowed = 0;
};

struct CurvePoint {
  std::size_t epoch = 0;
  std::uint64_t steps = 0;
  double rate = 0;
  double train_loss = 0;      ///< mean of the batch losses of the epoch
  double train_loss_sum = 0;  ///< their sum: what the plateau rule sees
  double validation = 0;
  std::vector<double> test{};  ///< MSE by scale, in the order of spec.scales; empty if not asked for
};

struct RunResult {
  std::size_t run = 0;
  std::uint64_t seed = 0;
  enum class End { kFinished, kStopped, kDiverged } end = End::kFinished;
  /// What ended it early, e.g. "loss is not finite at step 120; the weights are those of step 100".
  std::string note{};
  std::size_t epochs = 0;
  std::uint64_t steps = 0;
  double seconds = 0;  ///< of training and evaluation, over all sessions
  std::vector<CurvePoint> curve{};
  ErrorRow validation{};
  std::vector<ErrorRow> table{};  ///< by scale
  /// The last one (after divergence: the last good one). Of k-hop blocks the layout and the values; the
  /// config says nothing.
  Model model{};
};

/// A figure over the runs that did not diverge.
struct Band {
  double median = 0, min = 0, max = 0;
};

struct TrainResult {
  TrainSpec spec{};
  std::vector<RunResult> runs{};
  std::size_t parameters = 0;
  /// Compiled program that solves the task exactly, as Task::exact_program() names it.
  std::string exact_program{};
  bool homogeneous = false;  ///< the task
  bool classes = false;      ///< the task's answers are letters, its loss is the cross-entropy
  Band train{}, validation{};
  std::vector<Band> test{};              ///< MSE by scale
  std::vector<Band> test_over_scale2{};  ///< MSE/c²
  /// First scale at which an output of some run overflowed.
  std::optional<double> overflow_scale{};
};

/// Sets nodes, in_dim, out_dim and vocabulary of a model to what a task's samples need.
ModelConfig fit_model(ModelConfig config, const Task& task);

/// Trains spec.runs models. Runs go to the arena's threads, each by itself; results are the same bits for any
/// number of threads. Throws kUsage for a spec that cannot be run (named field, value, what is allowed; a
/// folder with another spec), kLimit for more memory than this machine has, and what the task and model
/// throw; kInterrupted, which costs what a run did since its last checkpoint.
TrainResult train(const TrainSpec& spec, const Arena& arena);
/// The same on a task of one's own: spec.task is its name, spec.task_options are not looked at.
TrainResult train(const TrainSpec& spec, const Task& task, const Arena& arena);
/// Each spec in its subfolder of `folder` ("00-sum-n8-m30000", …); empty: nothing is written. Without
/// `resume` subfolders of other specs are removed; with it, one that stands where a spec of this training
/// belongs is kUsage.
std::vector<TrainResult> train_each(const std::vector<TrainSpec>& specs, const std::string& folder,
                                    const Arena& arena);
/// Reads what train() left in a folder; runs that have no result yet are left out.
TrainResult read_training(const std::string& folder);
TrainResult read_training(const std::string& folder, const Task& task);

/// Error of a model (trained, compiled, converted) by scale and, with `lengths`, by length.
struct EvalOptions {
  std::vector<double> scales{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  std::vector<std::size_t> lengths{};  ///< empty: the model's n
  std::size_t samples = 1000, batch = 1000;
  std::uint64_t seed = 1;
  double tolerance = 0.05;
  bool as_double = false;  ///< arithmetic in float64 instead of float32
  /// Sets with the test split's letters or categories at every scale, not only above scale 1.
  bool unseen = false;
};
struct EvalResult {
  std::string task{}, kind{}, origin{};
  ModelConfig config{};
  std::string exact_program{};
  bool homogeneous = false, given_data = false, classes = false;
  EvalOptions options{};
  std::vector<ErrorRow> rows{};  ///< by scale, then length
  std::optional<double> overflow_scale{};
  /// The first sample of the first set: input, target and output, S·dim numbers each.
  std::vector<double> example_x{}, example_y{}, example_output{};
};
EvalResult evaluate_model(const Model& model, const Task& task, const EvalOptions& options,
                          const Arena& arena);

// ---- Published experiments
// ----------------------------------------------------------------------------------

struct ExperimentInfo {
  std::string name, summary;
};
/// scale, variable-length, small, size, samples, khop, mixed: as published; quick (seconds), short (minutes
/// on a laptop).
std::vector<ExperimentInfo> experiment_list();
/// One spec for each setting of the experiment, for a task and a kind of model (with_kind); khop and mixed
/// have tasks of their own ("khop", "mixed-min", …) and take `task` if it is one of them.
std::vector<TrainSpec> experiment(std::string_view name, std::string_view task, std::string_view kind);

struct ParamsOptions {
  std::string task = "sum", kind = "positional";
  /// Reads "RoPE": true as the published code computes it, where it changes nothing.
  bool compat_rope_noop = false;
};
/// The published parameter files (params/*.json), unchanged: one spec for each n and number of samples
/// listed. Throws kBadFormat for text that is not JSON and for an unknown key, naming the nearest; kUsage for
/// a value out of range, test intervals that are not a multiple of the training one, and "RoPE": true without
/// compat_rope_noop.
std::vector<TrainSpec> parse_params(std::string_view json, const std::string& where,
                                    const ParamsOptions& options);

/// JSON of a spec with every field, and back; unknown fields are refused naming the nearest.
std::string spec_json(const TrainSpec& spec);
TrainSpec parse_spec(std::string_view json, const std::string& where);
/// One spec, or an array of them.
std::vector<TrainSpec> parse_specs(std::string_view json, const std::string& where);

}  // namespace telos::positional
