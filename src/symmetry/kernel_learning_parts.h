#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "telos/symmetry/kernel_learning.h"

namespace telos::symmetry {

inline constexpr double kNoEnergy = 1e-12;  ///< of the target's: rounding

/// The target at each sequence, which may have a query after its L tokens.
Matrix<double> target_at_all(const SequenceTarget& target, const Matrix<std::uint32_t>& sequences);

/// Energies of g on the levels, by irrep.
struct IrrepLevels {
  Partition irrep{};
  std::vector<std::pair<std::size_t, double>> levels{};
  double energy = 0;
};
std::vector<IrrepLevels> irrep_levels(const Enumeration& all, const Matrix<double>& g);

/// On all sequences written down: whatever is asked of the learned function is a sum over them.
SimulatedCurve simulate_exactly(const Enumeration& all, bool irreps, const Law& law,
                                const SequenceTarget& target, const Law* test, const SimulationOptions& o,
                                const Arena& arena);
/// On fresh sequences for each data set.
SimulatedCurve simulate_by_draws(const Kernel& kernel, const Law& law, const SequenceTarget& target,
                                 const Law* test, const SimulationOptions& o, const Arena& arena);

}  // namespace telos::symmetry
