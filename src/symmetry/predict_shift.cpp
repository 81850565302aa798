// Errors under another law than that of the samples.
#include <fmt/format.h>

#include <cmath>

#include "symmetry/predict_parts.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

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

std::vector<double> shifted_errors(const Prediction& p, const LevelMoments& moments) {
  const std::vector<Mode> modes = modes_of(p.spectrum);
  std::vector<double> errors;
  for (const CurvePoint& point : p.theory) {
    std::vector<double> left;  // 1 − ℓ
    for (const std::size_t level : moments.levels) {
      const double signal = point.samples * modes[level].eigenvalue;
      left.push_back(signal > 0 ? point.kappa / (point.kappa + signal) : 1);
    }
    double error = shifted_spread(modes, moments.overlap, point, p.options.noise);
    for (std::size_t i = 0; i < left.size(); ++i)
      for (std::size_t j = 0; j < left.size(); ++j) error += left[i] * moments.products(i, j) * left[j];
    errors.push_back(error);
  }
  return errors;
}

double sticky_probability(std::span<const std::uint32_t> tokens, std::uint32_t vocabulary, double mu) {
  double p = 1;
  for (std::size_t a = 0; a < tokens.size(); ++a) {
    const double fresh = (a == 0 ? 1 : 1 - mu) / vocabulary;
    p *= fresh + (a > 0 && tokens[a] == tokens[a - 1] ? mu : 0);
  }
  return p;
}

Matrix<double> urn_correlation(std::uint32_t length, double rho) {
  return correlation_of(length, rho, false);
}

Matrix<double> sticky_correlation(std::uint32_t length, double mu) {
  return correlation_of(length, mu, true);
}

}  // namespace telos::symmetry
