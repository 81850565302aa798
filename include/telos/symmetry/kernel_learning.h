#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "telos/symmetry/enumeration.h"
#include "telos/symmetry/learning_simulation.h"
#include "telos/symmetry/learning_theory.h"

// Learning curves of any architecture: regression with its kernel, NNGP or NTK as the kernel's options say,
// and the self-consistent theory on all sequences written down. Where the architecture reads one token (last,
// cls, a query), sequences of a law have one more than its L: the query, uniform and independent, on which
// the target does not depend.

namespace telos::symmetry {

/// Throws kUnsupported for a kernel whose samples are drawn anew for each pair or set of sequences: what it
/// says of data and of new sequences is then not of one kernel.
void require_one_kernel(const Kernel& kernel);

/// All sequences of a law, where there are few enough of them.
struct LearningGround {
  std::optional<Enumeration> all{};
  bool irreps = false;      ///< the law is exchangeable: parts and theory are those of its eigenfunctions
  std::string no_theory{};  ///< why there is none, in words; empty where there is
};
/// Nothing above kMostEnumerated sequences, for a kernel that is no function of irreps or an estimate.
/// Throws as require_one_kernel() and Enumeration.
LearningGround learning_ground(const Kernel& kernel, const Law& law, std::size_t length, const Arena& arena);

/// As simulate_learning() of the simplified block, with the kernel of an architecture. With all sequences
/// written down errors are exact for each data set, and parts are those of all irreps in which the target has
/// something ((L) with its mean); else errors are means over `test_points` fresh sequences a data set, and
/// parts, of a sum over positions, (L) and (L−1,1). Draws the same sequences and labels. Throws as that, and
/// as Kernel.
SimulatedCurve simulate_learning(const Kernel& kernel, const Law& law, const SequenceTarget& target,
                                 const Law* test, const SimulationOptions& options,
                                 const LearningGround& ground, const Arena& arena);

/// What the self-consistent theory expects of it, with the parts of that curve. Empty without ground for it.
std::vector<TheoryPoint> learning_theory(const LearningGround& ground, const SequenceTarget& target,
                                         const SimulationOptions& options, std::span<const double> samples);

/// As learn_from_data() of the simplified block; sequences are whole, with the token that is read.
SimulatedCurve learn_from_data(const Kernel& kernel, ConstMatrixView<std::uint32_t> sequences,
                               ConstMatrixView<double> labels, const SimulationOptions& options,
                               const Arena& arena);

}  // namespace telos::symmetry
