#include "telos/symmetry/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

/// The level whose functions are those of the part.
std::optional<std::size_t> level_of(const Spectrum& spectrum, const TargetPart& part) {
  for (std::size_t i = 0; part.terms && i < spectrum.levels.size(); ++i)
    if (spectrum.levels[i].irrep == part.irrep && spectrum.levels[i].terms == part.terms) return i;
  return {};
}

/// What the levels in other irreps leave of the trace.
double left_for(const Spectrum& spectrum, const Partition& irrep) {
  double left = spectrum.trace;
  for (const Level& level : spectrum.levels)
    if (level.irrep != irrep) left -= level.multiplicity * level.eigenvalue;
  return left > 1e-12 * spectrum.trace ? left : 0;
}

PartPrediction part_prediction(const Prediction& p, const std::vector<Mode>& modes, const TargetPart& part) {
  const auto& [noise, ridge, theta, points] = p.options;
  PartPrediction out{
      .part = part, .dimension = std::exp(dimension(part.irrep).log()), .level = level_of(p.spectrum, part)};
  if (out.level) {
    out.eigenvalue = modes[*out.level].eigenvalue;
    out.samples = samples_to_learn(modes, *out.level, p.effective_ridge, theta);
    out.equivalent_kernel = equivalent_kernel_samples(out.eigenvalue, ridge, theta);
  } else {
    out.samples = out.equivalent_kernel = p.spectrum.tail() > 0 ? kNaN : kInfinity;
  }
  out.sector_bound = trace_bound(out.dimension, left_for(p.spectrum, part.irrep), ridge, theta).with_modes;
  out.trace_bound = trace_bound(out.dimension, p.spectrum.trace, ridge, theta).with_modes;
  return out;
}

/// The target's energies on the modes; those of no level get one of eigenvalue 0, so that they stay
/// unlearned.
std::vector<Mode> with_energies(std::vector<Mode> modes, const std::vector<PartPrediction>& parts) {
  modes.push_back({.eigenvalue = 0, .multiplicity = 1});
  for (const PartPrediction& p : parts) modes[p.level.value_or(modes.size() - 1)].energy += p.part.energy;
  return modes;
}

/// Learnability by mode to learnability by part.
CurvePoint by_part(CurvePoint point, const std::vector<PartPrediction>& parts) {
  const std::vector<double> modes = std::move(point.learnability);
  point.learnability.clear();
  for (const PartPrediction& p : parts)
    point.learnability.push_back(modes[p.level.value_or(modes.size() - 1)]);
  return point;
}

}  // namespace

Prediction predict(const Spectrum& spectrum, const Target& target, const PredictOptions& options) {
  for (const TargetPart& part : target.parts)
    if (length_of(part.irrep) != spectrum.length)
      throw Error(
          ErrorKind::kUsage, "target",
          fmt::format("is of {} positions, the kernel of {}", length_of(part.irrep), spectrum.length));
  std::vector<Mode> modes = modes_of(spectrum);
  Prediction p{.spectrum = spectrum,
               .target = target,
               .options = options,
               .effective_ridge = options.ridge + spectrum.tail(),
               .rank = rank(modes)};
  double last = 1;
  for (const TargetPart& part : target.parts) {
    p.parts.push_back(part_prediction(p, modes, part));
    if (std::isfinite(p.parts.back().samples)) last = std::max(last, p.parts.back().samples);
  }
  modes = with_energies(std::move(modes), p.parts);
  for (std::size_t i = 0; i < options.points; ++i) {
    const double samples =
        std::pow(100 * last,
                 static_cast<double>(i) / static_cast<double>(std::max<std::size_t>(2, options.points) - 1));
    p.theory.push_back(
        by_part(learning_point(modes, options.ridge, options.noise, samples, spectrum.tail()), p.parts));
    p.equivalent_kernel.push_back(by_part(equivalent_kernel_point(modes, options.ridge, samples), p.parts));
  }
  return p;
}

double log_log_slope(std::span<const double> x, std::span<const double> y) {
  double n = 0, mean_x = 0, mean_y = 0, products = 0, squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i, ++n) {
    mean_x += std::log(x[i]);
    mean_y += std::log(y[i]);
  }
  if (n < 2) return kNaN;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = std::log(x[i]) - mean_x / n;
    products += dx * (std::log(y[i]) - mean_y / n);
    squares += dx * dx;
  }
  return products / squares;
}

}  // namespace telos::symmetry
