#include "telos/symmetry/learning_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

void require_amount(double value, const char* what) {
  if (!(value >= 0) || !std::isfinite(value))
    throw Error(ErrorKind::kUsage, what, fmt::format("is {}, expected a finite number of at least 0", value));
}

void require_theta(double theta) {
  if (!(theta > 0 && theta < 1))
    throw Error(ErrorKind::kUsage, "theta", fmt::format("is {}, expected a number between 0 and 1", theta));
}

void check_modes(std::span<const Mode> modes, double ridge) {
  for (const Mode& m : modes) {
    require_amount(m.eigenvalue, "eigenvalue");
    require_amount(m.multiplicity, "multiplicity");
    require_amount(m.energy, "energy");
  }
  require_amount(ridge, "ridge");
}

/// 1 − r/κ − Σ d λ/(κ + P λ): rises with κ, 0 at the root.
double excess(std::span<const Mode> modes, double ridge, double samples, double kappa) {
  double sum = ridge / kappa;
  for (const Mode& m : modes)
    if (m.eigenvalue > 0) sum += m.multiplicity * m.eigenvalue / (kappa + samples * m.eigenvalue);
  return 1 - sum;
}

/// What the noise κ leaves of a mode: 1 − ℓ.
double unlearned(const Mode& m, double samples, double kappa) {
  const double signal = samples * m.eigenvalue;
  return signal > 0 ? kappa / (kappa + signal) : 1;
}

}  // namespace

double rank(std::span<const Mode> modes) {
  double sum = 0;
  for (const Mode& m : modes)
    if (m.eigenvalue > 0) sum += m.multiplicity;
  return sum;
}

double solve_kappa(std::span<const Mode> modes, double ridge, double samples) {
  check_modes(modes, ridge);
  require_amount(samples, "samples");
  if (ridge == 0 && samples >= rank(modes)) return 0;
  double low = ridge, high = ridge;
  for (const Mode& m : modes) high += m.multiplicity * m.eigenvalue;
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return high;
    (excess(modes, ridge, samples, middle) < 0 ? low : high) = middle;
  }
}

CurvePoint learning_point(std::span<const Mode> modes, double ridge, double noise, double samples,
                          double tail) {
  require_amount(noise, "noise");
  require_amount(tail, "tail");
  CurvePoint point{.samples = samples,
                   .kappa = solve_kappa(modes, ridge + tail, samples),
                   .learnability = std::vector<double>(modes.size())};
  double left = 0;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const double share = unlearned(modes[i], samples, point.kappa);
    point.learnability[i] = 1 - share;
    if (samples > 0) point.gamma += modes[i].multiplicity * (1 - share) * (1 - share) / samples;
    left += modes[i].energy * share * share;
  }
  const double errors = left + noise * point.gamma;
  point.generalisation = errors > 0 ? errors / std::max(0., 1 - point.gamma) : 0;
  // r/κ, whose limit for r → 0 is what the κ equation leaves: 1 − rank/P, or 0 below the rank.
  const double shrink = point.kappa > 0 ? ridge / point.kappa : (samples > 0 ? 1 - rank(modes) / samples : 1);
  point.training = shrink > 0 ? shrink * shrink * (point.generalisation + noise) : 0;
  return point;
}

CurvePoint equivalent_kernel_point(std::span<const Mode> modes, double ridge, double samples) {
  check_modes(modes, ridge);
  require_amount(samples, "samples");
  CurvePoint point{.samples = samples,
                   .kappa = ridge,
                   .training = kNaN,
                   .learnability = std::vector<double>(modes.size())};
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const double share = unlearned(modes[i], samples, ridge);
    point.learnability[i] = 1 - share;
    point.generalisation += modes[i].energy * share * share;
  }
  return point;
}

double samples_to_learn(std::span<const Mode> modes, std::size_t mode, double ridge, double theta) {
  check_modes(modes, ridge);
  require_theta(theta);
  if (mode >= modes.size())
    throw Error(ErrorKind::kUsage, "mode", fmt::format("is {} of {}", mode, modes.size()));
  return samples_at(modes, modes[mode].eigenvalue, ridge, theta);
}

double samples_at(std::span<const Mode> modes, double eigenvalue, double ridge, double theta) {
  check_modes(modes, ridge);
  require_amount(eigenvalue, "eigenvalue");
  require_theta(theta);
  if (eigenvalue == 0) return kInfinity;
  const double reduced = (1 - theta) / theta * eigenvalue;
  double samples = ridge / reduced;
  for (const Mode& m : modes) samples += m.multiplicity * m.eigenvalue / (m.eigenvalue + reduced);
  return samples;
}

double effective_eigenvalue(std::span<const Mode> modes, double theta) {
  check_modes(modes, 0);
  require_theta(theta);
  double all = 0, seen = 0, least = kInfinity, largest = 0;
  for (const Mode& m : modes) {
    all += m.energy;
    if (!(m.energy > 0) || m.eigenvalue == 0) continue;
    seen += m.energy;
    least = std::min(least, m.eigenvalue);
    largest = std::max(largest, m.eigenvalue);
  }
  const double scale = seen / (theta * all) - 1;  // of λ to what it is reduced by, were there one level only
  if (!(seen > theta * all)) return 0;
  double low = least * scale, high = largest * scale;
  while (true) {
    const double middle = low + (high - low) / 2;
    if (!(middle > low && middle < high)) break;
    double learned = 0;
    for (const Mode& m : modes)
      if (m.eigenvalue > 0) learned += m.energy * m.eigenvalue / (m.eigenvalue + middle);
    (learned > theta * all ? low : high) = middle;
  }
  return theta / (1 - theta) * low;
}

double equivalent_kernel_samples(double eigenvalue, double ridge, double theta) {
  require_amount(eigenvalue, "eigenvalue");
  require_amount(ridge, "ridge");
  require_theta(theta);
  return eigenvalue > 0 ? theta / (1 - theta) * ridge / eigenvalue : kInfinity;
}

TraceBound trace_bound(double dimension, double trace, double ridge, double theta) {
  if (!(dimension >= 1) || !std::isfinite(dimension))
    throw Error(ErrorKind::kUsage, "dimension", fmt::format("is {}, expected at least 1", dimension));
  require_amount(trace, "trace");
  require_theta(theta);
  const double first = equivalent_kernel_samples(trace / dimension, ridge, theta);
  return {first, first + theta * dimension};
}

double any_data_samples(const AnyDataTarget& target, double ridge, double theta) {
  require_amount(target.eigenvalue, "eigenvalue");
  require_amount(std::abs(target.projection), "projection");
  require_amount(target.feature_rms, "feature_rms");
  require_amount(target.target_rms, "target_rms");
  require_theta(theta);
  if (!(ridge > 0) || !std::isfinite(ridge))
    throw Error(ErrorKind::kUsage, "ridge",
                fmt::format("is {}, the bound for data of any law needs one above 0", ridge));
  const double reach = target.eigenvalue * target.feature_rms * target.target_rms;
  const double wanted = theta * std::abs(target.projection) * ridge;
  return wanted > 0 ? wanted / reach : 0;
}

double shifted_error(std::span<const double> learnability, std::span<const double> coefficients,
                     ConstMatrixView<double> overlap) {
  const std::size_t n = learnability.size();
  if (coefficients.size() != n || overlap.rows() != n || overlap.cols() != n)
    throw Error(ErrorKind::kShape, "overlap",
                fmt::format("is {} × {} with {} coefficients, expected all of the {} modes", overlap.rows(),
                            overlap.cols(), coefficients.size(), n));
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      sum +=
          (1 - learnability[i]) * coefficients[i] * overlap(i, j) * (1 - learnability[j]) * coefficients[j];
  return sum;
}

double shifted_linear_error(ConstMatrixView<double> w, double trivial, double standard,
                            ConstMatrixView<double> correlation) {
  const std::size_t length = w.rows();
  if (w.empty() || correlation.rows() != length || correlation.cols() != length)
    throw Error(ErrorKind::kShape, "correlation",
                fmt::format("is {} × {}, expected one row and column for each of the {} positions",
                            correlation.rows(), correlation.cols(), length));
  double sum = 0;
  std::vector<double> rest(length);
  for (std::size_t v = 0; v < w.cols(); ++v) {
    double mean = 0;
    for (std::size_t b = 0; b < length; ++b) mean += w(b, v) / static_cast<double>(length);
    for (std::size_t b = 0; b < length; ++b)
      rest[b] = (1 - trivial) * mean + (1 - standard) * (w(b, v) - mean);
    for (std::size_t b = 0; b < length; ++b)
      for (std::size_t c = 0; c < length; ++c) sum += rest[b] * correlation(b, c) * rest[c];
  }
  return sum / static_cast<double>(w.cols());
}

double shifted_spread(std::span<const Mode> modes, std::span<const double> overlap, const CurvePoint& point,
                      double noise) {
  if (overlap.size() != modes.size())
    throw Error(
        ErrorKind::kShape, "overlap",
        fmt::format("has {} values, expected one for each of the {} modes", overlap.size(), modes.size()));
  if (point.samples == 0) return 0;
  double gamma = 0;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    const double learned = 1 - unlearned(modes[i], point.samples, point.kappa);
    gamma += modes[i].multiplicity * learned * learned * overlap[i] / point.samples;
  }
  return gamma * (point.generalisation + noise);
}

}  // namespace telos::symmetry
