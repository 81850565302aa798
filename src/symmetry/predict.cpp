#include "telos/symmetry/predict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

/// The level whose functions are those of the part.
std::optional<std::size_t> level_of(const Spectrum& spectrum, const TargetPart& part) {
  for (std::size_t i = 0; part.terms && i < spectrum.levels.size(); ++i)
    if (spectrum.levels[i].irrep == part.irrep && spectrum.levels[i].terms == part.terms &&
        !spectrum.levels[i].query)
      return i;
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

PartPrediction part_prediction(const Prediction& p, const std::vector<Mode>& modes, const TargetPart& part) {
  const double ridge = p.options.ridge, theta = p.options.theta;
  PartPrediction out{.part = part,
                     .dimension = dimension_value(part.irrep),
                     .letter_dimension = part.terms == 1u ? p.spectrum.vocabulary - 1. : 1.,
                     .level = level_of(p.spectrum, part)};
  const std::optional<std::size_t> possible = out.level ? std::nullopt : possible_level(p.spectrum, part);
  out.known = out.level || (!possible && p.spectrum.tail() == 0);
  if (out.level) {
    out.eigenvalue = modes[*out.level].eigenvalue;
    out.samples = samples_to_learn(modes, *out.level, p.effective_ridge, theta);
    out.equivalent_kernel = equivalent_kernel_samples(out.eigenvalue, ridge, theta);
  } else {
    out.samples = out.equivalent_kernel = out.known ? kInfinity : kNaN;
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

/// Learnability of the part in that irrep with so many terms; 0 where there is none, whose weight is 0 then.
double learned(const Prediction& p, const CurvePoint& point, const Partition& irrep, std::uint32_t terms) {
  for (std::size_t i = 0; i < p.parts.size(); ++i)
    if (p.parts[i].part.irrep == irrep && p.parts[i].part.terms == terms) return point.learnability[i];
  return 0;
}

/// Mean of E_q φ² over the eigenfunctions of each level.
std::vector<double> test_overlaps(const Spectrum& spectrum, ConstMatrixView<double> r) {
  const double l = spectrum.length, rho = spectrum.law.correlation(spectrum.vocabulary);
  double sum = 0, diagonal = 0;
  for (std::size_t b = 0; b < r.rows(); ++b) {
    diagonal += r(b, b);
    for (std::size_t c = 0; c < r.cols(); ++c) sum += r(b, c);
  }
  std::vector<double> overlaps;
  for (const Level& level : spectrum.levels) {
    if (!level.terms || *level.terms > 1)
      throw Error(ErrorKind::kUnsupported, "spectrum",
                  "the error under another law is known for levels of terms in one position only",
                  "a closed form, or a zonal estimate");
    if (*level.terms == 0)
      overlaps.push_back(1);
    else if (degree_of(level.irrep) == 0)
      overlaps.push_back(sum / l / (1 + (l - 1) * rho));
    else
      overlaps.push_back((diagonal - sum / l) / (l - 1) / (1 - rho));
  }
  return overlaps;
}

/// The mean prediction's error, a quadratic form in what is not learned of the trivial and of the standard
/// part from its values at the corners, and the spread.
std::vector<double> shifted_errors(const Prediction& p, ConstMatrixView<double> r) {
  const Matrix<double>& w = p.target.weights;
  const double trivial = shifted_linear_error(w, 0, 1, r), standard = shifted_linear_error(w, 1, 0, r),
               mixed = shifted_linear_error(w, 0, 0, r) - trivial - standard;
  const std::vector<double> overlaps = test_overlaps(p.spectrum, r);
  const std::vector<Mode> modes = modes_of(p.spectrum);
  const std::uint32_t length = p.spectrum.length;
  double constant = 0;
  for (const PartPrediction& part : p.parts)
    if (part.part.terms == 0u) constant = part.part.energy;
  std::vector<double> errors;
  for (const CurvePoint& point : p.theory) {
    const double c = 1 - learned(p, point, trivial_irrep(length), 0),
                 t = 1 - learned(p, point, trivial_irrep(length), 1),
                 s = length > 1 ? 1 - learned(p, point, standard_irrep(length), 1) : 0;
    errors.push_back(c * c * constant + t * t * trivial + t * s * mixed + s * s * standard +
                     shifted_spread(modes, overlaps, point, p.options.noise));
  }
  return errors;
}

Matrix<double> correlation_of(std::uint32_t length, double value, bool decays) {
  if (!(value >= 0 && value <= 1))
    throw Error(ErrorKind::kUsage, "correlation", fmt::format("is {}, expected 0 to 1", value));
  if (length > kMostShiftLength)
    throw Error(ErrorKind::kLimit, "length",
                fmt::format("is {}, at most {} for the error under another law", length, kMostShiftLength));
  Matrix<double> r(length, length);
  for (std::size_t b = 0; b < length; ++b)
    for (std::size_t c = 0; c < length; ++c) {
      const double apart = std::abs(static_cast<double>(b) - static_cast<double>(c));
      r(b, c) = b == c ? 1 : std::pow(value, decays ? apart : 1);
    }
  return r;
}

}  // namespace

Matrix<double> urn_correlation(std::uint32_t length, double rho) {
  return correlation_of(length, rho, false);
}

Matrix<double> sticky_correlation(std::uint32_t length, double mu) {
  return correlation_of(length, mu, true);
}

Prediction predict(Spectrum spectrum, Target target, const PredictOptions& options,
                   ConstMatrixView<double> test_correlation) {
  for (const TargetPart& part : target.parts)
    if (length_of(part.irrep) != spectrum.length)
      throw Error(
          ErrorKind::kUsage, "target",
          fmt::format("is of {} positions, the kernel of {}", length_of(part.irrep), spectrum.length));
  if (!(options.noise >= 0) || std::isinf(options.noise))
    throw Error(ErrorKind::kUsage, "noise",
                fmt::format("is {}, expected a finite number of at least 0", options.noise));
  if (!test_correlation.empty() && target.weights.empty())
    throw Error(
        ErrorKind::kUnsupported, "target",
        fmt::format("{}: the error under another law is known for sums over positions only", target.name),
        "copy, count, or a file of weights");
  std::vector<Mode> modes = modes_of(spectrum);
  Prediction p{.spectrum = std::move(spectrum), .target = std::move(target), .options = options};
  const double tail = p.spectrum.tail();
  p.effective_ridge = options.ridge + tail;
  p.rank = rank(modes);
  double last = 1;
  for (const TargetPart& part : p.target.parts) {
    p.parts.push_back(part_prediction(p, modes, part));
    if (std::isfinite(p.parts.back().samples)) last = std::max(last, p.parts.back().samples);
  }
  modes = with_energies(std::move(modes), p.parts);
  const auto steps = static_cast<double>(std::max<std::size_t>(2, options.points) - 1);
  for (std::size_t i = 0; i < options.points; ++i) {
    const double samples = std::pow(100 * last, static_cast<double>(i) / steps);
    p.theory.push_back(by_part(learning_point(modes, options.ridge, options.noise, samples, tail), p.parts));
    p.equivalent_kernel.push_back(by_part(equivalent_kernel_point(modes, options.ridge, samples), p.parts));
  }
  if (!test_correlation.empty()) p.shifted = shifted_errors(p, test_correlation);
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
