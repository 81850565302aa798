#include "telos/symmetry/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/limits.h"
#include "symmetry/predict_parts.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

bool has_functions_of(const Level& level, const TargetPart& part) {
  return part.terms && level.irrep == part.irrep && level.terms == part.terms && !level.query;
}

/// Within its errors the estimate may be 0.
bool undecided(const Level& level) {
  return level.known == Known::kEstimate && !(level.eigenvalue > kLeastErrors * level.error);
}

/// The level whose functions are those of the part.
std::vector<LevelShare> level_of(const Spectrum& spectrum, const TargetPart& part) {
  for (std::size_t i = 0; i < spectrum.levels.size(); ++i)
    if (has_functions_of(spectrum.levels[i], part) && !undecided(spectrum.levels[i]))
      return {{i, part.energy}};
  return {};
}

/// The largest level of the irrep that may have the part's functions.
std::optional<std::size_t> possible_level(const Spectrum& spectrum, const TargetPart& part) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < spectrum.levels.size(); ++i) {
    const Level& level = spectrum.levels[i];
    if (level.irrep != part.irrep || level.query || level.terms || !(level.eigenvalue > 0)) continue;
    if (!best || level.eigenvalue > spectrum.levels[*best].eigenvalue) best = i;
  }
  return best;
}

/// What the levels in other irreps leave of the trace.
double left_for(const Spectrum& spectrum, const Partition& irrep) {
  double left = spectrum.trace;
  for (const Level& level : spectrum.levels)
    if (level.irrep != irrep) left -= level.multiplicity * level.eigenvalue;
  return left > 1e-12 * spectrum.trace ? left : 0;
}

/// The part's energy on its levels.
std::vector<Mode> modes_of_part(const std::vector<Mode>& modes, const std::vector<LevelShare>& levels) {
  std::vector<Mode> own;
  for (const LevelShare& share : levels) own.push_back({modes[share.level].eigenvalue, 1, share.energy});
  return own;
}

PartPrediction part_prediction(const Prediction& p, const std::vector<Mode>& modes, const TargetPart& part,
                               std::vector<LevelShare> levels) {
  const double ridge = p.options.ridge, theta = p.options.theta;
  PartPrediction out{.part = part,
                     .dimension = dimension_value(part.irrep),
                     .letter_dimension = part.terms == 1u ? p.spectrum.vocabulary - 1. : 1.,
                     .levels = std::move(levels)};
  const std::optional<std::size_t> possible =
      out.levels.empty() ? possible_level(p.spectrum, part) : std::nullopt;
  out.known = !out.levels.empty() ||
              (!possible && p.spectrum.tail() == 0 &&
               std::none_of(p.spectrum.levels.begin(), p.spectrum.levels.end(), [&](const Level& level) {
                 return has_functions_of(level, part) && undecided(level);
               }));
  if (!out.levels.empty()) {
    out.eigenvalue = out.levels.size() == 1 ? modes[out.levels[0].level].eigenvalue
                                            : effective_eigenvalue(modes_of_part(modes, out.levels), theta);
    out.samples = samples_at(modes, out.eigenvalue, p.effective_ridge, theta);
    const double error = p.spectrum.levels[out.levels[0].level].error;
    out.fewest_samples = samples_at(modes, out.eigenvalue + error, p.effective_ridge, theta);
    out.most_samples = samples_at(modes, out.eigenvalue - error, p.effective_ridge, theta);
    out.equivalent_kernel = equivalent_kernel_samples(out.eigenvalue, ridge, theta);
    for (const LevelShare& share : out.levels)
      if (modes[share.level].eigenvalue > 0) out.learnable += share.energy / part.energy;
    out.learnable = std::min(1., out.learnable);
  } else {
    out.samples = out.equivalent_kernel = out.known ? kInfinity : kNaN;
    out.fewest_samples = out.most_samples = out.samples;
    if (!out.known) out.learnable = kNaN;
  }
  const double copies = out.dimension * out.letter_dimension;
  out.sector_bound = trace_bound(copies, left_for(p.spectrum, part.irrep), ridge, theta).with_modes;
  if (possible && p.spectrum.tail() == 0)
    out.sector_bound = std::max(out.sector_bound, samples_to_learn(modes, *possible, ridge, theta));
  out.trace_bound = trace_bound(copies, p.spectrum.trace, ridge, theta).with_modes;
  return out;
}

/// The target's energies on the modes; those of no level get one of eigenvalue 0, so that they stay
/// unlearned.
std::vector<Mode> with_energies(std::vector<Mode> modes, const std::vector<PartPrediction>& parts) {
  modes.push_back({.eigenvalue = 0, .multiplicity = 1});
  for (const PartPrediction& p : parts) {
    for (const LevelShare& share : p.levels) modes[share.level].energy += share.energy;
    if (p.levels.empty()) modes.back().energy += p.part.energy;
  }
  return modes;
}

/// Learnability by mode to learnability by part.
CurvePoint by_part(CurvePoint point, const std::vector<PartPrediction>& parts) {
  const std::vector<double> modes = std::move(point.learnability);
  point.learnability.clear();
  for (const PartPrediction& p : parts) {
    double learned = 0;
    for (const LevelShare& share : p.levels) learned += share.energy * modes[share.level];
    point.learnability.push_back(learned / p.part.energy);
  }
  return point;
}

void require_prediction(const Spectrum& spectrum, const Target& target, const PredictOptions& options) {
  for (const TargetPart& part : target.parts)
    if (length_of(part.irrep) != spectrum.length)
      throw Error(
          ErrorKind::kUsage, "target",
          fmt::format("is of {} positions, the kernel of {}", length_of(part.irrep), spectrum.length));
  if (!(options.noise >= 0) || std::isinf(options.noise))
    throw Error(ErrorKind::kUsage, "noise",
                fmt::format("is {}, expected a finite number of at least 0", options.noise));
}

/// The prediction of a target whose parts lie on these levels.
Prediction prediction_on(Spectrum spectrum, Target target, std::vector<std::vector<LevelShare>> levels,
                         const PredictOptions& options) {
  std::vector<Mode> modes = modes_of(spectrum);
  Prediction p{.spectrum = std::move(spectrum), .target = std::move(target), .options = options};
  const double tail = p.spectrum.tail();
  p.effective_ridge = options.ridge + tail;
  p.rank = rank(modes);
  double last = 1;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    p.parts.push_back(part_prediction(p, modes, p.target.parts[i], std::move(levels[i])));
    if (std::isfinite(p.parts.back().samples)) last = std::max(last, p.parts.back().samples);
  }
  modes = with_energies(std::move(modes), p.parts);
  const auto steps = static_cast<double>(std::max<std::size_t>(2, options.points) - 1);
  for (std::size_t i = 0; i < options.points; ++i) {
    const double samples = std::pow(100 * last, static_cast<double>(i) / steps);
    p.theory.push_back(by_part(learning_point(modes, options.ridge, options.noise, samples, tail), p.parts));
    p.equivalent_kernel.push_back(by_part(equivalent_kernel_point(modes, options.ridge, samples), p.parts));
  }
  return p;
}

constexpr double kRoundingEnergy = 1e-14;  // of the target's energy

/// The target at each sequence, which may have queries after its L tokens.
Matrix<double> target_values(const Target& target, const Matrix<std::uint32_t>& sequences,
                             std::size_t length) {
  if (!target.function)
    throw Error(ErrorKind::kUsage, "target",
                fmt::format("{}: expected its values (Target::function), found energies alone", target.name));
  Matrix<double> values(sequences.rows(), 1);
  for (std::size_t i = 0; i < sequences.rows(); ++i)
    values(i, 0) = target.function({sequences.row(i), length});
  return values;
}

/// Positions that the terms of all that the target has in an irrep look at; nothing where these differ.
std::optional<std::uint32_t> terms_in(const Target& target, const Partition& irrep) {
  std::optional<std::uint32_t> terms;
  bool first = true;
  for (const TargetPart& part : target.parts) {
    if (part.irrep != irrep) continue;
    if (!first && part.terms != terms) return {};
    terms = part.terms;
    first = false;
  }
  return terms;
}

}  // namespace

Prediction predict(Spectrum spectrum, Target target, const PredictOptions& options,
                   ConstMatrixView<double> test_correlation) {
  require_prediction(spectrum, target, options);
  if (!test_correlation.empty() && target.weights.empty())
    throw Error(
        ErrorKind::kUnsupported, "target",
        fmt::format("{}: the error under another law is known for sums over positions only", target.name),
        "copy, count, or a file of weights");
  std::vector<std::vector<LevelShare>> levels;
  for (const TargetPart& part : target.parts) levels.push_back(level_of(spectrum, part));
  Prediction p = prediction_on(std::move(spectrum), std::move(target), std::move(levels), options);
  if (!test_correlation.empty()) p.shifted = shifted_errors(p, test_correlation);
  return p;
}

Prediction predict(const Enumeration& kernel, Target target, const PredictOptions& options,
                   std::span<const double> test_law) {
  const Spectrum& spectrum = kernel.spectrum();
  require_prediction(spectrum, target, options);
  const Matrix<double> values = target_values(target, kernel.sequences(), spectrum.length);
  const std::vector<double> energies = kernel.energies(values);
  std::vector<TargetPart> parts;
  std::vector<std::vector<LevelShare>> levels;
  double all = 0;
  for (const double energy : energies) all += energy;
  for (std::size_t i = 0; i < energies.size(); ++i) {
    if (energies[i] <= kRoundingEnergy * all) continue;
    if (parts.empty() || parts.back().irrep != spectrum.levels[i].irrep) {
      parts.push_back({spectrum.levels[i].irrep, terms_in(target, spectrum.levels[i].irrep), 0});
      levels.emplace_back();
    }
    parts.back().energy += energies[i];
    levels.back().push_back({i, energies[i]});
  }
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return parts[a].energy > parts[b].energy; });
  target.parts.clear();
  std::vector<std::vector<LevelShare>> sorted;
  for (const std::size_t i : order) {
    target.parts.push_back(std::move(parts[i]));
    sorted.push_back(std::move(levels[i]));
  }
  Prediction p = prediction_on(spectrum, std::move(target), std::move(sorted), options);
  if (!test_law.empty()) p.shifted = shifted_errors(p, kernel.moments(values, test_law));
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
