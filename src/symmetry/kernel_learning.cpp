#include "telos/symmetry/kernel_learning.h"

#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "symmetry/kernel_learning_parts.h"
#include "symmetry/simulation_draws.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/symmetry/token_kernel.h"

namespace telos::symmetry {

Matrix<double> target_at_all(const SequenceTarget& target, const Matrix<std::uint32_t>& sequences) {
  Matrix<double> g(sequences.rows(), target.outputs());
  for (std::size_t i = 0; i < g.rows(); ++i)
    target.evaluate({sequences.row(i), target.length()}, {g.row(i), g.cols()});
  return g;
}

std::vector<IrrepLevels> irrep_levels(const Enumeration& all, const Matrix<double>& g) {
  const std::vector<double> energies = all.energies(g);
  const double sum = std::accumulate(energies.begin(), energies.end(), 0.0);
  std::vector<IrrepLevels> parts;
  for (std::size_t i = 0; i < energies.size(); ++i) {
    const Partition& irrep = all.spectrum().levels[i].irrep;
    if (parts.empty() || parts.back().irrep != irrep) parts.push_back({irrep, {}, 0});
    parts.back().levels.emplace_back(i, energies[i]);
    parts.back().energy += energies[i];
  }
  std::erase_if(parts, [&](const IrrepLevels& part) { return part.energy <= kNoEnergy * sum; });
  return parts;
}

void require_one_kernel(const Kernel& kernel) {
  if (!kernel.joint()) return;
  throw Error(
      ErrorKind::kUnsupported, "architecture",
      "softmax at 1/sqrt(d) behind another layer is sampled for each set of sequences anew, and regression "
      "needs one kernel of data and of new sequences",
      "take scale 1/d, relu attention at 1/sqrt(d), or softmax at 1/sqrt(d) in the first layer alone");
}

LearningGround learning_ground(const Kernel& kernel, const Law& law, std::size_t length, const Arena& arena) {
  require_one_kernel(kernel);
  LearningGround ground;
  const bool query = has_query(kernel.architecture());
  const double sequences =
      std::pow(static_cast<double>(law.letters()), static_cast<double>(length) + (query ? 1 : 0));
  ground.irreps = law.exchangeable();
  if (kernel.monte_carlo())
    ground.no_theory = "the kernel is a Monte Carlo estimate";
  else if (!symmetry_breaks(kernel.architecture()).empty())
    ground.no_theory = "the kernel changes under permutation";
  else if (!(sequences <= static_cast<double>(kMostEnumerated)))
    ground.no_theory = fmt::format("{}^{} sequences are more than {}", law.letters(),
                                   length + (query ? 1 : 0), format_count(kMostEnumerated));
  else if (length >= kMostEnumerated)
    ground.no_theory = fmt::format("{} positions are too many", format_count(length));
  if (!ground.no_theory.empty()) return ground;
  EnumerationOptions options{.vocabulary = law.letters(), .length = static_cast<std::uint32_t>(length)};
  if (ground.irreps)
    options.probability = [law](std::span<const std::uint32_t> x) {
      return std::exp(law.log_probability(x));
    };
  else
    ground.no_theory = "the law is not exchangeable";
  ground.all.emplace(kernel, std::move(options), arena);
  return ground;
}

SimulatedCurve simulate_learning(const Kernel& kernel, const Law& law, const SequenceTarget& target,
                                 const Law* test, const SimulationOptions& o, const LearningGround& ground,
                                 const Arena& arena) {
  require_simulation(o, target.outputs(), law.letters(), arena);
  require_same_size(law, target, test, o);
  if (ground.all) return simulate_exactly(*ground.all, ground.irreps, law, target, test, o, arena);
  return simulate_by_draws(kernel, law, target, test, o, arena);
}

std::vector<TheoryPoint> learning_theory(const LearningGround& ground, const SequenceTarget& target,
                                         const SimulationOptions& o, std::span<const double> samples) {
  if (!ground.all || !ground.no_theory.empty()) return {};
  const std::vector<IrrepLevels> parts =
      irrep_levels(*ground.all, target_at_all(target, ground.all->sequences()));
  std::vector<Mode> modes = modes_of(ground.all->spectrum());
  for (const IrrepLevels& part : parts)
    for (const auto& [level, energy] : part.levels) modes[level].energy = energy;
  double all = 0;
  for (const IrrepLevels& part : parts) all += part.energy;
  const double noise = o.noise * static_cast<double>(target.outputs()) + target.label_variance(all);
  std::vector<TheoryPoint> out;
  for (const double p : samples) {
    const CurvePoint point = learning_point(modes, o.ridge, noise, p);
    TheoryPoint& theory = out.emplace_back(TheoryPoint{p, point.generalisation, point.training, {}});
    for (const IrrepLevels& part : parts) {
      double learned = 0;
      for (const auto& [level, energy] : part.levels) learned += energy * point.learnability[level];
      theory.learnability.push_back(learned / part.energy);
    }
  }
  return out;
}

}  // namespace telos::symmetry
