#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/error.h"
#include "telos/nn/executor.h"
#include "telos/nn/optimizer.h"

namespace telos::nn {

/// Parameters, optimiser and learning rate of one training run, and its file. The loop around it (which batch
/// comes next, when to evaluate) belongs to the lab that trains; a run whose batches follow from the step
/// number resumes bit-identically.
class Trainer {
 public:
  /// `parameters` are the initial values. The layout must outlive the trainer. Throws kShape, kUsage.
  Trainer(const ParameterLayout& layout, std::vector<float> parameters, OptimizerOptions options);

  /// One optimiser step at the given rate; returns the mean loss before it. A loss or gradient that is not
  /// finite throws kNotFinite and leaves the parameters as they were.
  /// `losses`: see Executor::gradient().
  double step(Executor<float>& executor, const Batch<float>& batch, double rate, const Arena& arena,
              std::span<float> losses = {});

  std::span<const float> parameters() const { return parameters_; }
  std::uint64_t steps() const { return optimizer_.steps(); }
  double last_gradient_norm() const { return gradient_norm_; }

  /// Writes parameters, moments and step count, and `state` (names and values of the loop: learning rate,
  /// epoch, plateau, sums), as one safetensors file, atomically. Parameters have their own names and
  /// PyTorch's shapes; moments are adam.first.NAME and adam.second.NAME, or sgd.momentum.NAME. The metadata
  /// hold trainer.optimizer, trainer.steps, and `state` as state.NAME. Throws kIo, kUsage (names twice, not
  /// UTF-8).
  void save(const std::string& path, const std::vector<std::pair<std::string, std::string>>& state) const;
  /// Reads what save() wrote and returns `state`, sorted by name. Throws kBadFormat, kShape or kNotFinite
  /// naming the tensor that does not fit the layout, and then leaves the trainer as it was.
  std::vector<std::pair<std::string, std::string>> load(const std::string& path);

 private:
  const ParameterLayout* layout_;
  std::vector<float> parameters_, gradient_;
  Optimizer<float> optimizer_;
  double gradient_norm_ = 0;
};

/// How one of several independent runs ended.
struct RunEnd {
  std::uint64_t seed = 0;
  bool failed = false;
  ErrorKind kind{};     ///< if it failed
  std::string message;  ///< if it failed: "where: message"
};

/// Calls body(seed, arena of one thread) for each seed, as many at once as `arena` has threads, each in one
/// thread from start to end: the way to use several cores on networks that are too small to share. A run that
/// throws an Error is reported, the others go on; kInterrupted and kInternal, and other exceptions, end all
/// and are rethrown. body must not share what it writes between seeds. Results are in the order of `seeds`.
std::vector<RunEnd> train_each(std::span<const std::uint64_t> seeds, const Arena& arena,
                               const std::function<void(std::uint64_t seed, const Arena& single)>& body);

/// A double as text that reads back to the same bits (the shortest such decimal; a NaN reads back as a NaN),
/// and back. exact_value throws kBadFormat, with `where` for its place.
std::string exact_text(double value);
double exact_value(const std::string& text, const std::string& where);

}  // namespace telos::nn
