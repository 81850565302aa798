#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "telos/nn/executor.h"
#include "telos/positional/lab.h"

namespace telos::positional {

// Streams of random numbers in a run. Test sets use the bits of the scale as a float, which are larger.
inline constexpr std::uint32_t kTrainStream = 0x0100, kValidationStream = 0x0101, kOrderStream = 0x0102;
std::uint32_t test_stream(double scale);

/// Throws kUsage naming the field, its value and what is allowed, and kLimit where the samples, parameters
/// and executors of one run in one thread exceed the memory of this machine (runs side by side take as often
/// as much).
void check_spec(const TrainSpec& spec, const Task& task);

// ---- Data
// ---------------------------------------------------------------------------------------------------------

/// Samples of one length as a graph takes them.
template <class T>
struct SampleBlock {
  std::size_t samples = 0, length = 0, rows = 0;  ///< rows: data and scratch positions
  std::size_t in_dim = 1, out_dim = 1;
  Matrix<T> x{}, y{};                             ///< samples·rows × dim, where they hold numbers
  std::vector<std::int32_t> tokens{}, classes{};  ///< samples·rows, where they hold ids
  SampleShape shape{};

  nn::Batch<T> batch(std::size_t first, std::size_t count, bool with_target) const;
  void copy_sample(std::size_t from, const SampleBlock& source, std::size_t to);
};
template <class T>
SampleBlock<T> block_of(const Dataset& data);
/// Room for `samples` samples like those of `source`.
template <class T>
SampleBlock<T> empty_block(const SampleBlock<T>& source, std::size_t samples);

/// A set of samples, one block a length.
struct SetSpec {
  double scale = 1;
  Task::Split split = Task::Split::kTrain;
  std::uint32_t stream = 0;
  std::size_t samples = 0;
  std::uint64_t first = 0;
};
/// `lengths`: equal shares; the longest takes the remainder.
template <class T>
std::vector<SampleBlock<T>> draw_blocks(const Task& task, const SetSpec& set, std::uint64_t seed,
                                        std::span<const std::size_t> lengths, std::size_t scratch);

/// What an evaluation draws: by scale, from the test split where the task has one of its own and the scale
/// is above 1 (or the task has no scales, or `unseen` is asked for).
std::vector<SetSpec> test_sets(const Task& task, std::span<const double> scales, std::size_t samples,
                               bool unseen);
/// Validation: as training, from a stream of its own; of a data file the first half of its test rows.
SetSpec validation_set(const Task& task, std::size_t samples);

/// The batches of an epoch, as (block, samples of it): a function of (seed, epoch) alone.
struct BatchPlan {
  std::size_t block = 0;
  std::vector<std::uint32_t> samples{};
};
std::vector<BatchPlan> plan_epoch(std::span<const SampleBlock<float>> blocks, std::size_t batch,
                                  std::uint64_t seed, std::uint64_t epoch);

// ---- Networks
// -----------------------------------------------------------------------------------------------------

/// What is trained: parameters, and graphs by length.
struct Network {
  std::shared_ptr<const nn::ParameterLayout> layout{};
  std::vector<double> initial{};
  std::size_t scratch = 0;
  std::function<nn::Graph(std::size_t length, std::size_t batch, bool with_loss)> graph{};
};
/// Without initial values.
Network network_frame(const TrainSpec& spec, const Task& task);
Network network_of(const TrainSpec& spec, const Task& task, std::uint64_t seed);
/// Throws kUsage for sizes that cannot be built.
void check_hop_model(const HopModel& model);
/// Parameters of the network, as a real number, because sizes may be far too large.
double parameter_estimate(const HopModel& model, const SampleShape& shape);
/// How a graph for samples of this shape is built.
GraphOptions graph_options(const SampleShape& shape, std::size_t length, std::size_t batch, bool with_loss);

/// A graph with its executor.
template <class T>
struct Runner {
  Runner(nn::Graph g, const Arena& arena)
      : graph(std::move(g)), executor(graph, {.threads = static_cast<std::size_t>(arena.threads())}) {}
  nn::Graph graph;
  nn::Executor<T> executor;
};

// ---- Errors
// -------------------------------------------------------------------------------------------------------

/// Adds up a set's errors, block by block.
class ErrorSum {
 public:
  ErrorSum(const SampleShape& shape, double tolerance, std::size_t batch)
      : shape_(shape), tolerance_(tolerance), batch_(batch) {}
  template <class T>
  void add(const SampleBlock<T>& block, ConstMatrixView<T> output);
  /// The row so far; scale, split and length are the caller's.
  ErrorRow row(double scale) const;

 private:
  template <class T>
  double sample_loss(const SampleBlock<T>& block, ConstMatrixView<T> output, std::size_t sample);
  template <class T>
  double number_loss(const SampleBlock<T>& block, ConstMatrixView<T> output, std::size_t row);
  template <class T>
  double class_loss(const SampleBlock<T>& block, ConstMatrixView<T> output, std::size_t row);

  SampleShape shape_;
  double tolerance_;
  std::size_t batch_;
  std::size_t samples_ = 0, overflowed_ = 0, good_samples_ = 0, entries_ = 0, right_ = 0,
              relative_entries_ = 0;
  double loss_ = 0, batch_means_ = 0, absolute_ = 0, relative_ = 0, largest_ = 0;
};

/// Forward passes over blocks, `batch` samples at a time; runner(length) gives the executor.
template <class T>
ErrorRow measure(const std::vector<SampleBlock<T>>& blocks, std::span<const T> parameters,
                 const std::function<Runner<T>&(std::size_t length)>& runner, double scale, double tolerance,
                 std::size_t batch, const Arena& arena);

// ---- Runs
// ---------------------------------------------------------------------------------------------------------

/// One run, from its checkpoint if it has one and spec.resume is set. `folder` is the run's own, or empty.
RunResult train_run(const TrainSpec& spec, const Task& task, std::size_t run, const std::string& folder,
                    const Arena& arena, const std::function<void(std::size_t epochs)>& progress);
inline constexpr const char* kRunPrefix = "run-";
std::string run_folder_name(std::size_t run);

std::string run_json(const RunResult& run);
/// The model that a run left in a file: a Model's, or the blocks of k-hop.
Model load_trained(const TrainSpec& spec, const Task& task, const std::string& path);
RunResult parse_run(std::string_view json, const std::string& where);
/// The result in a file. Throws kBadFormat unless its table has `sets` rows, and its curve as many or none.
RunResult read_run(const std::string& path, std::size_t sets);
/// Fills the bands and what the task knows.
void summarise(TrainResult& result, const Task& task);

}  // namespace telos::positional
