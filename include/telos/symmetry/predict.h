#pragma once

#include <cstdint>
#include <span>
#include <vector>

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

/// A part of the target, and what it takes.
struct PartPrediction {
  TargetPart part{};
  double dimension = 1;  ///< f of its irrep
  /// The level that it lies in: index into the spectrum's levels. Nothing: it lies in none, and has
  /// eigenvalue 0 where the levels are all there is; else the eigenvalue is at most what is left of the trace
  /// over the dimension.
  std::optional<std::size_t> level{};
  double eigenvalue = 0;  ///< 0 without a level
  double samples = 0;     ///< P* of the self-consistent theory; infinite: never learned; NaN: not known
  double equivalent_kernel = 0;  ///< the same of the equivalent kernel
  double sector_bound = 0;       ///< TraceBound::with_modes for what the other irreps leave of the trace
  double trace_bound = 0;        ///< the same for the whole trace: any kernel that is as large
};

struct Prediction {
  Spectrum spectrum{};
  Target target{};
  PredictOptions options{};
  double effective_ridge = 0;  ///< ridge + trace that no level holds
  double rank = 0;             ///< eigenfunctions of the levels
  std::vector<PartPrediction> parts{};
  /// From 1 sample to 100 times those of the last part learned; learnability is by part.
  std::vector<CurvePoint> theory{}, equivalent_kernel{};
};
/// Throws kUsage where target and spectrum differ in length, and as learning_curve.h.
Prediction predict(const Spectrum& spectrum, const Target& target, const PredictOptions& options);

/// Slope of the least-squares line of log y over log x; NaN below two points.
double log_log_slope(std::span<const double> x, std::span<const double> y);

}  // namespace telos::symmetry
