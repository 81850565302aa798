#pragma once

#include <span>
#include <vector>

#include "telos/symmetry/learning_simulation.h"

namespace telos::symmetry {

/// What the self-consistent theory of learning_curve.h expects of simulate_learning() at P samples.
struct TheoryPoint {
  double samples = 0;
  double error = 0, train_error = 0;   ///< E_g and E_train, added up over outputs
  std::vector<double> learnability{};  ///< of the curve's parts
};

/// From the closed spectrum of the simplified block, parts (L) and (L−1,1): for uniform letters and urns, and
/// targets that are sums over positions; of other laws and targets nothing. Noise counts once for each
/// output, and next() has that of its labels besides. Throws as simplified_spectrum and learning_point.
std::vector<TheoryPoint> learning_theory(const Law& law, const SequenceTarget& target,
                                         const SimulationOptions& options, std::span<const double> samples);
/// The samples of the options, and `between` more on a logarithmic scale over their range; ascending.
std::vector<double> theory_samples(const SimulationOptions& options, std::size_t between = 40);

}  // namespace telos::symmetry
