#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/symmetry/enumeration.h"
#include "telos/symmetry/learning_curve.h"
#include "telos/symmetry/spectrum.h"
#include "telos/symmetry/targets.h"

// How many samples a target takes, by irrep: a spectrum, and a target's energy on it.

namespace telos::symmetry {

struct PredictOptions {
  double noise = 0.01;  ///< variance of what is added to the target
  double ridge = 0.01;
  double theta = 0.5;       ///< share that is to be learned
  std::size_t points = 48;  ///< of the curves
};

/// How much of a target lies on a level.
struct LevelShare {
  std::size_t level = 0;  ///< index into the spectrum's levels
  double energy = 0;
};

/// Estimated eigenvalues are taken for known from so many standard errors on.
inline constexpr double kLeastErrors = 3;

/// A part of the target, and what it takes.
struct PartPrediction {
  TargetPart part{};
  double dimension = 1;  ///< f of its irrep
  /// Of the irrep of S_V, which renames the letters: V − 1 for sums of letter functions of mean 0, else not
  /// made use of, 1. Each eigenvalue comes as often, again.
  double letter_dimension = 1;
  /// The levels that it lies on, the largest eigenvalue first. None: no level is known to have its functions.
  std::vector<LevelShare> levels{};
  /// Its eigenvalues are, exactly or as an estimate; 0 without a level. Not so where levels of the irrep may
  /// or may not have its functions, where the levels are not all there is, or where an estimate is not above
  /// kLeastErrors of its standard errors: P* is NaN then, and what is known are bounds.
  bool known = true;
  double eigenvalue = 0;  ///< of several levels effective_eigenvalue(); 0 without one
  /// Share of it on levels with eigenvalues above 0: what infinitely many samples teach. NaN where not known.
  double learnable = 0;
  double samples = 0;  ///< P* of the self-consistent theory; infinite: never learned; NaN: not known
  /// The same of an estimate and its standard error more and less, the other levels as they are; equal to
  /// `samples` where the eigenvalue is exact.
  double fewest_samples = 0, most_samples = 0;
  double equivalent_kernel = 0;  ///< the same of the equivalent kernel
  /// Least samples: TraceBound::with_modes of both dimensions, with what the other irreps leave of the trace;
  /// where the irrep's levels are known but not on which it lies, no less than those of the largest.
  double sector_bound = 0;
  double trace_bound = 0;  ///< the same with the whole trace: any kernel that is as large
};

struct Prediction {
  Spectrum spectrum{};
  Target target{};
  PredictOptions options{};
  double effective_ridge = 0;  ///< ridge + trace that no level holds
  double rank = 0;             ///< eigenfunctions of the levels
  std::vector<PartPrediction> parts{};
  /// From 1 sample to 100 times those of the last part learned; learnability is by part. Parts that are not
  /// known count as never learned.
  std::vector<CurvePoint> theory{}, equivalent_kernel{};
  /// Error under the law of the test, at the points of `theory`; empty without one.
  std::vector<double> shifted{};
};
/// With a spectrum whose levels are named by irrep and terms (closed forms, zonal estimates), or bounds.
/// `test_correlation`: of another law that the network is tested under, as shifted_linear_error() takes it.
/// Throws kUsage where target and spectrum differ in length, kUnsupported for a test of a target that is no
/// sum over positions, or with levels that are none, and as learning_curve.h.
Prediction predict(Spectrum spectrum, Target target, const PredictOptions& options,
                   ConstMatrixView<double> test_correlation = {});

/// Of all sequences written down: the target is projected on all eigenfunctions, so that each part, one an
/// irrep, lies on levels that are known. Its learnability is the mean over them, by energy, and P* that of
/// the effective eigenvalue: exact for any kernel. The target does not depend on a query. `test_law`: q of
/// each sequence, of another law that the network is tested under (Enumeration::probabilities_under). Throws
/// as the other.
Prediction predict(const Enumeration& kernel, Target target, const PredictOptions& options,
                   std::span<const double> test_law = {});

inline constexpr std::uint32_t kMostShiftLength = 4096;
/// E ψ(x_b) ψ(x_c) of an urn (ρ off the diagonal), and of a chain in which the next token is the same with
/// probability μ, else drawn anew (μ^|b−c|). Throws kUsage (outside [0, 1]), kLimit above kMostShiftLength.
Matrix<double> urn_correlation(std::uint32_t length, double rho);
Matrix<double> sticky_correlation(std::uint32_t length, double mu);
/// Of a sequence of that chain, the first token uniform.
double sticky_probability(std::span<const std::uint32_t> tokens, std::uint32_t vocabulary, double mu);

/// Slope of the least-squares line of log y over log x; NaN below two points.
double log_log_slope(std::span<const double> x, std::span<const double> y);

}  // namespace telos::symmetry
