#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/corpus.h"
#include "telos/symmetry/irreps.h"
#include "telos/symmetry/laws.h"
#include "telos/symmetry/sequence_target.h"
#include "telos/symmetry/simplified_gram.h"

// Learning curves of infinitely wide networks, simulated: exact regression on samples that are drawn, again
// and again.

namespace telos::symmetry {

struct SimulationOptions {
  SimplifiedBlock block;                                 ///< without query; not read beside a Kernel
  std::size_t length = 8;                                ///< L
  std::vector<std::size_t> samples = {8, 32, 128, 512};  ///< P
  double ridge = 0.01;                                   ///< r, added to the Gram matrix
  double noise = 0.01;                                   ///< variance of what is added to labels
  std::size_t draws = 50;                                ///< data sets for each P
  std::size_t test_points = 1000;  ///< fresh sequences a data set, where a target is no sum over positions
  std::uint64_t seed = 1;
};
inline constexpr std::size_t kMostSamples = 20'000, kMostDraws = 100'000;

/// What each irrep of a function's sum over positions holds under a law: the constant E f, and variances, or
/// second moments, of its parts.
struct IrrepEnergies {
  double constant = 0, trivial = 0, standard = 0;
};
/// Of functions that are sums over positions, added up over outputs. Exact.
IrrepEnergies irrep_energies(const std::vector<LinearFunction>& functions, const Law& law);

/// What the target has in an irrep.
struct CurvePart {
  Partition irrep{};
  double energy = 0;  ///< E g_R², added up over outputs; NaN where it is not known
};

/// Means over data sets with standard errors. Errors are added up over outputs.
struct SimulatedPoint {
  std::size_t samples = 0;
  Estimate error;                        ///< E (f − g)² under the law of training; g the clean target
  Estimate train_error;                  ///< mean of (f − y)² at the samples, y noisy
  Estimate test_error;                   ///< E (f − g)² under the test law; NaN without one
  Estimate evidence;                     ///< log P(y)/P, added up over outputs
  std::vector<Estimate> learnability{};  ///< E[f_R g_R]/E g_R² of the curve's parts; NaN where g has none
  std::vector<Estimate> output{};        ///< E f_R² of the same; NaN where it is not computed
};

struct SimulatedCurve {
  std::vector<SimulatedPoint> points;
  double energy = 0;  ///< E g² under the law of training; estimated for targets that are no sums
  double test_energy = std::numeric_limits<double>::quiet_NaN();
  /// Of g; of the simplified block (L), without the mean, and (L−1,1).
  std::vector<CurvePart> parts{};
  bool exact = true;  ///< errors under the laws are exact for each data set, not sampled
};

/// Seconds on one thread; an estimate.
double simulation_seconds(const SimulationOptions& options, std::size_t outputs);

/// Of the simplified block. Data set d of P samples is drawn from (seed, P, d): same bits for any number of
/// threads. `test` is another law that errors are also taken under, or null. Throws kUsage (an option out of
/// range), kShape (target of another size), kNoConvergence as GaussianProcess, kLimit (memory).
SimulatedCurve simulate_learning(const Law& law, const SequenceTarget& target, const Law* test,
                                 const SimulationOptions& options, const Arena& arena);

/// From data: for each P, `draws` random choices of P of the sequences to train on; the rest is the
/// test, against its labels as they are. No noise is added. Only error, train_error and evidence are
/// filled; their `error` is the standard deviation over the choices, which have data in common, not that of
/// the mean. Throws kUsage where no sequence is left to test on.
SimulatedCurve learn_from_data(ConstMatrixView<std::uint32_t> sequences, ConstMatrixView<double> labels,
                               std::uint32_t letters, const SimulationOptions& options, const Arena& arena);

}  // namespace telos::symmetry
