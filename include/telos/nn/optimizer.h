#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/nn/graph.h"

namespace telos::nn {

struct OptimizerOptions {
  enum class Kind { kAdam, kAdamW, kSgd } kind = Kind::kAdam;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double momentum = 0;  ///< SGD
  double weight_decay =
      0;                 ///< Adam, SGD: added to the gradient; AdamW: decoupled, on parameters with `decay`
  double clip_norm = 0;  ///< gradient 2-norm is clipped to this; 0: not
};

/// Adam (Kingma and Ba), AdamW (Loshchilov and Hutter) and SGD as PyTorch computes them, in one pass over the
/// flat buffers. Bit-identical for any number of threads and any vector width. The norm of clipping
/// (min(1, clip_norm/(norm + 1e-6)), as torch.nn.utils.clip_grad_norm_) is summed in double. 84,577 float
/// parameters take less than 0.1 ms on one core.
template <class T>
class Optimizer {
 public:
  /// The layout must outlive the optimiser. Throws kUsage for options out of range.
  Optimizer(const ParameterLayout& layout, OptimizerOptions options);
  /// Returns the gradient's 2-norm before clipping. A gradient that is not finite leaves everything as it was
  /// and throws kNotFinite naming the parameter. kUsage: the rate is negative or not finite. Large layouts
  /// are shared among the threads of `arena`, if there is one; bits do not depend on it.
  double step(std::span<T> parameters, std::span<T> gradient, double learning_rate,
              const Arena* arena = nullptr);
  std::uint64_t steps() const { return steps_; }
  const OptimizerOptions& options() const { return options_; }
  /// Moments, for checkpoints; empty where the kind has none. SGD's momentum is a first moment.
  std::span<T> first_moment() { return first_; }
  std::span<T> second_moment() { return second_; }
  std::span<const T> first_moment() const { return first_; }
  std::span<const T> second_moment() const { return second_; }
  void set_steps(std::uint64_t steps) { steps_ = steps; }

 private:
  void step_adam(std::span<T> parameters, std::span<const T> gradient, double learning_rate, double clip,
                 const Arena* arena);
  void step_sgd(std::span<T> parameters, std::span<const T> gradient, double learning_rate, double clip);

  const ParameterLayout* layout_;
  OptimizerOptions options_;
  std::vector<T> first_, second_;
  std::uint64_t steps_ = 0;
};

/// Learning rate as a function of the step: warm-up linear from 0 over `warmup` steps, then constant, linear
/// to `final_rate` at `total`, or half a cosine to it; `final_rate` from `total` on.
struct Schedule {
  enum class Kind { kConstant, kLinear, kCosine } kind = Kind::kConstant;
  double rate = 1e-3, final_rate = 0;
  std::uint64_t warmup = 0, total = 0;
  double at(std::uint64_t step) const;
};

/// PyTorch's ReduceLROnPlateau, mode min, relative threshold: a metric is better iff < best·(1 − threshold);
/// after more than `patience` metrics in a row that are not, rate ← max(factor·rate, min_rate), unless that
/// changes it by no more than 1e-8.
struct Plateau {
  double factor = 0.9, threshold = 1e-4, min_rate = 1e-6;
  std::uint64_t patience = 50;
  // State
  double rate = 5e-4, best = 0;
  std::uint64_t bad = 0;
  bool started = false;
  /// Takes one metric; returns the rate from now on.
  double update(double metric);
};

}  // namespace telos::nn
