#include "telos/symmetry/learning_theory.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "telos/symmetry/learning_curve.h"
#include "telos/symmetry/spectrum.h"

namespace telos::symmetry {
namespace {

/// α of the urn whose letters have this correlation.
TokenLaw urn_of(double correlation, std::uint32_t letters) {
  if (correlation == 0) return {};
  return {(1 / correlation - 1) / letters};
}

}  // namespace

std::vector<TheoryPoint> learning_theory(const Law& law, const SequenceTarget& target,
                                         const SimulationOptions& options, std::span<const double> samples) {
  const double correlation = law.exchange_correlation();
  if (!std::isfinite(correlation) || target.functions().empty() || law.letters() < 2 || options.length < 2)
    return {};
  const Spectrum spectrum =
      simplified_spectrum(options.block, law.letters(), static_cast<std::uint32_t>(options.length),
                          urn_of(correlation, law.letters()));
  const IrrepEnergies energies = irrep_energies(target.functions(), law);
  // The spectrum has no levels of eigenvalue 0: what would lie there stays unlearned.
  std::vector<Mode> modes = modes_of(spectrum);
  const std::size_t none = modes.size();
  modes.push_back({.eigenvalue = 0, .multiplicity = 1});
  std::size_t constant = none, trivial = none, standard = none;
  for (std::size_t i = 0; i < none; ++i) {
    const Level& level = spectrum.levels[i];
    if (level.query) continue;
    (degree_of(level.irrep) != 0 ? standard : level.terms == 1u ? trivial : constant) = i;
  }
  modes[constant].energy += energies.constant;
  modes[trivial].energy += energies.trivial;
  modes[standard].energy += energies.standard;
  std::vector<TheoryPoint> out;
  const double noise = options.noise * static_cast<double>(target.outputs()) +
                       target.label_variance(energies.constant + energies.trivial + energies.standard);
  for (const double p : samples) {
    const CurvePoint point = learning_point(modes, options.ridge, noise, p);
    out.push_back({p,
                   point.generalisation,
                   point.training,
                   {point.learnability[trivial], point.learnability[standard]}});
  }
  return out;
}

std::vector<double> theory_samples(const SimulationOptions& options, std::size_t between) {
  std::vector<double> samples(options.samples.begin(), options.samples.end());
  if (samples.empty()) return samples;
  const auto [low, high] = std::minmax_element(samples.begin(), samples.end());
  const double first = std::log(*low), last = std::log(*high);
  for (std::size_t i = 0; i < between; ++i)
    samples.push_back(
        std::exp(first + (last - first) * static_cast<double>(i + 1) / static_cast<double>(between + 1)));
  std::sort(samples.begin(), samples.end());
  samples.erase(std::unique(samples.begin(), samples.end()), samples.end());
  return samples;
}

}  // namespace telos::symmetry
