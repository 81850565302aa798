#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "telos/nn/executor.h"
#include "telos/nn/optimizer.h"

namespace telos::nn {

/// Parameters, optimiser and learning rate of one training run, and its file. The loop around it (which batch
/// comes next, when to evaluate) belongs to the lab that trains; a run whose batches follow from the step
/// number resumes bit-identically.
class Trainer {
 public:
  /// `parameters` are the initial values.
  Trainer(const ParameterLayout& layout, std::vector<float> parameters, OptimizerOptions options);

  /// One optimiser step at the given rate; returns the mean loss before it. A loss or gradient that is not
  /// finite throws kNotFinite and leaves the parameters as they were.
  double step(Executor<float>& executor, const Batch<float>& batch, double rate, const Arena& arena);

  std::span<const float> parameters() const { return parameters_; }
  std::uint64_t steps() const { return optimizer_.steps(); }
  double last_gradient_norm() const { return gradient_norm_; }

  /// Writes parameters, moments and step count, and `state` (names and values of the loop: learning rate,
  /// epoch, plateau, sums), as one safetensors file, atomically. Doubles in `state` survive to the bit.
  void save(const std::string& path, const std::vector<std::pair<std::string, std::string>>& state) const;
  /// Reads what save() wrote and returns `state`. Throws kBadFormat or kShape naming the tensor that does not
  /// fit the layout.
  std::vector<std::pair<std::string, std::string>> load(const std::string& path);

 private:
  const ParameterLayout* layout_;
  std::vector<float> parameters_, gradient_;
  mutable Optimizer<float> optimizer_;
  double gradient_norm_ = 0;
};

/// A double as text that reads back to the same bits, and back.
std::string exact_text(double value);
double exact_value(const std::string& text, const std::string& where);

}  // namespace telos::nn
