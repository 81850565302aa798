#pragma once

#include <cmath>

#include "telos/symmetry/projection.h"

namespace telos::symmetry {

/// Mean and standard error of numbers given one after the other.
class RunningMean {
 public:
  void add(double x) {
    ++n_;
    const double delta = x - mean_;
    mean_ += delta / n_;
    squares_ += delta * (x - mean_);
  }
  EnergyEstimate estimate() const { return {mean_, std::sqrt(squares_ / (n_ * (n_ - 1)))}; }

 private:
  double n_ = 0, mean_ = 0, squares_ = 0;
};

}  // namespace telos::symmetry
