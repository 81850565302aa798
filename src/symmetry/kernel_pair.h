#pragma once

#include <cstddef>

#include "symmetry/kernel_parts.h"

namespace telos::symmetry {

/// The block of a pair on its way through the steps.
class PairRun {
 public:
  PairRun(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y, std::size_t variant,
          bool ntk)
      : program_(program), x_(x), y_(y), variant_(variant), ntk_(ntk) {}

  /// Starts behind the featured layer, or at the embedding; the number of the next step.
  std::size_t start();
  void step(std::size_t i);
  State& state() { return state_; }

 private:
  template <class Covariance>
  Block filled(bool one_row, const Covariance& covariance) const;
  Block embedded(const EmbeddingForm& form) const;
  Block embedded() const;

  const KernelProgram& program_;
  const SequenceCache &x_, &y_;
  std::size_t variant_;
  bool ntk_;
  State state_;
};

/// NNGP kernel and NTK of the simplified block.
Transformed simplified_kernel(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y);

}  // namespace telos::symmetry
