#include "telos/symmetry/learning_simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/quantity.h"
#include "telos/symmetry/gpr.h"

namespace telos::symmetry {
namespace {

using Letters32 = ConstMatrixView<std::uint32_t>;

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint32_t kTraining = 0x53794C01, kTesting = 0x53794C02, kLabels = 0x53794C03,
                        kChoice = 0x53794C04;  // streams

// Sample i of data set d of P has the number ((P · 2¹⁷ + d) · 2¹⁵) + i: none comes twice.
constexpr std::uint64_t kDrawBits = 17, kSampleBits = 15;
static_assert(kMostDraws < (1u << kDrawBits) && kMostSamples < (1u << kSampleBits));

/// What one data set gives.
struct DrawResult {
  double error = kNothing, train_error = kNothing, test_error = kNothing, trivial = kNothing,
         standard = kNothing, output_trivial = kNothing, output_standard = kNothing, evidence = kNothing;
};

Estimate mean_of(std::span<const DrawResult> draws, double DrawResult::*value) {
  const double n = static_cast<double>(draws.size());
  double sum = 0, squares = 0;
  for (const DrawResult& d : draws) sum += d.*value;
  const double mean = sum / n;
  for (const DrawResult& d : draws) squares += (d.*value - mean) * (d.*value - mean);
  return {mean, std::sqrt(squares / (n * (n - 1)))};
}

SimulatedPoint summarise(std::size_t samples, std::span<const DrawResult> draws) {
  return {.samples = samples,
          .error = mean_of(draws, &DrawResult::error),
          .train_error = mean_of(draws, &DrawResult::train_error),
          .test_error = mean_of(draws, &DrawResult::test_error),
          .trivial = mean_of(draws, &DrawResult::trivial),
          .standard = mean_of(draws, &DrawResult::standard),
          .output_trivial = mean_of(draws, &DrawResult::output_trivial),
          .output_standard = mean_of(draws, &DrawResult::output_standard),
          .evidence = mean_of(draws, &DrawResult::evidence)};
}

/// The mean that is learned from a data set, as functions, and what the data set says of it.
struct Fit {
  std::vector<LinearFunction> functions;
  DrawResult result;
};

Fit fit(const SimulationOptions& o, Letters32 sequences, ConstMatrixView<double> labels,
        std::uint32_t letters, const Arena& arena) {
  const GaussianProcess process(simplified_gram(o.block, sequences, letters, arena), o.ridge, arena);
  const Matrix<double> alpha = process.weights(labels, arena);
  Fit f{simplified_mean(o.block, sequences, letters, alpha), {}};
  const std::vector<double> evidence = process.log_evidence(labels, alpha);
  const double n = static_cast<double>(labels.rows());
  f.result.evidence = std::accumulate(evidence.begin(), evidence.end(), 0.0) / n;
  // y − f at the samples is r α.
  double squares = 0;
  for (std::size_t i = 0; i < alpha.size(); ++i) squares += alpha.data()[i] * alpha.data()[i];
  f.result.train_error = o.ridge * o.ridge * squares / n;
  return f;
}

double distance(const std::vector<LinearFunction>& f, const std::vector<LinearFunction>& g, const Law& law) {
  double sum = 0;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const LinearFunction d = difference(f[i], g[i]);
    sum += law.inner(d, d);
  }
  return sum;
}

double energy(const std::vector<LinearFunction>& f, const Law& law) {
  double sum = 0;
  for (const LinearFunction& one : f) sum += law.inner(one, one);
  return sum;
}

/// A part of a function without its mean.
LinearFunction without_mean(LinearFunction part, const Law& law) {
  part.constant = -law.mean(part);
  return part;
}

double part_inner(const std::vector<LinearFunction>& f, const std::vector<LinearFunction>& g, const Law& law,
                  const std::function<LinearFunction(const LinearFunction&)>& part) {
  double sum = 0;
  for (std::size_t i = 0; i < f.size(); ++i)
    sum += law.inner(without_mean(part(f[i]), law), without_mean(part(g[i]), law));
  return sum;
}

double ratio(double part, double whole, double all) {
  return whole > 1e-14 * all ? part / whole : kNothing;
}

/// E (f − g)² over fresh sequences of a law.
double sampled_distance(const std::vector<LinearFunction>& f, const SequenceTarget& target, const Law& law,
                        const SimulationOptions& o, std::uint32_t stream, std::uint64_t draw) {
  std::vector<std::uint32_t> x(o.length);
  std::vector<double> clean(target.outputs());
  double sum = 0;
  Random random(o.seed, stream, draw);
  for (std::size_t t = 0; t < o.test_points; ++t) {
    law.draw(x, random);
    target.evaluate(x, clean);
    for (std::size_t i = 0; i < clean.size(); ++i) {
      const double d = (f.empty() ? 0 : f[i](x)) - clean[i];
      sum += d * d;
    }
  }
  return sum / static_cast<double>(o.test_points);
}

void require_range(std::size_t value, std::size_t least, std::size_t most, const char* what) {
  if (value < least || value > most)
    throw Error(ErrorKind::kUsage, what, fmt::format("expected {} to {}, found {}", least, most, value));
}

void require_simulation(const SimulationOptions& o, std::size_t outputs, std::uint32_t letters,
                        const Arena& arena) {
  if (o.samples.empty()) throw Error(ErrorKind::kUsage, "samples", "there is no number of samples");
  for (const std::size_t p : o.samples) require_range(p, 1, kMostSamples, "samples");
  require_range(o.draws, 2, kMostDraws, "draws");
  require_range(o.test_points, 1, 1'000'000, "test points");
  require_range(o.length, 1, 1'000'000, "length");
  if (!std::isfinite(o.noise) || o.noise < 0)
    throw Error(ErrorKind::kUsage, "noise",
                fmt::format("expected a variance of 0 or more, found {}", o.noise));
  if (!std::isfinite(o.ridge) || o.ridge < 0)
    throw Error(ErrorKind::kUsage, "ridge", fmt::format("expected a number of 0 or more, found {}", o.ridge));
  if (o.block.query)
    throw Error(ErrorKind::kUsage, "block", "learning curves are those of the block without query");
  const double most = static_cast<double>(*std::max_element(o.samples.begin(), o.samples.end()));
  require_memory(8 * most * most * std::min<double>(arena.threads(), static_cast<double>(o.draws)), "samples",
                 "take fewer samples, or fewer threads");
  require_memory(8 * static_cast<double>(outputs) * (static_cast<double>(o.length) * letters + most) *
                     std::min<double>(arena.threads(), static_cast<double>(o.draws)),
                 "learned functions", "take fewer letters or positions, or one output");
  const double seconds = simulation_seconds(o, outputs) / arena.threads();
  if (seconds > 10) log(LogLevel::kInfo, fmt::format("about {} of regression", format_seconds(seconds)));
}

/// Calls draw(P, index of the data set) for all, and summarises.
SimulatedCurve run_draws(const SimulationOptions& o, const Arena& arena,
                         const std::function<DrawResult(std::size_t, std::uint64_t)>& draw) {
  SimulatedCurve curve;
  double total = 0;
  const auto cost = [](std::size_t p) { return gpr_seconds(p, 1); };
  for (const std::size_t p : o.samples) total += cost(p) * static_cast<double>(o.draws);
  Progress progress("regression", "part", total);
  for (const std::size_t p : o.samples) {
    std::vector<DrawResult> results(o.draws);
    arena.parallel_for(o.draws, [&](std::size_t d) {
      check_interrupt();
      results[d] = draw(p, (std::uint64_t{p} << kDrawBits) + d);
      progress.advance(cost(p));
    });
    curve.points.push_back(summarise(p, results));
  }
  return curve;
}

}  // namespace

IrrepEnergies irrep_energies(const std::vector<LinearFunction>& functions, const Law& law) {
  IrrepEnergies e;
  for (const LinearFunction& f : functions) e.constant += std::pow(law.mean(f), 2);
  e.trivial = part_inner(functions, functions, law, trivial_part);
  e.standard = part_inner(functions, functions, law, standard_part);
  return e;
}

double simulation_seconds(const SimulationOptions& o, std::size_t outputs) {
  double seconds = 0;
  for (const std::size_t p : o.samples) {
    const double pairs = static_cast<double>(p) * static_cast<double>(p) / 2;
    seconds += gpr_seconds(p, outputs) + 4e-9 * pairs * (1 + static_cast<double>(o.length) / 32);
  }
  return seconds * static_cast<double>(o.draws);
}

SimulatedCurve simulate_learning(const Law& law, const SequenceTarget& target, const Law* test,
                                 const SimulationOptions& o, const Arena& arena) {
  require_simulation(o, target.outputs(), law.letters(), arena);
  if (target.length() != o.length || target.letters() != law.letters() ||
      (test != nullptr && test->letters() != law.letters()))
    throw Error(ErrorKind::kShape, "target", "laws and target are of different lengths or letters");
  const std::vector<LinearFunction>& g = target.functions();
  const bool exact = !g.empty();
  const IrrepEnergies own = exact ? irrep_energies(g, law) : IrrepEnergies{kNothing, kNothing, kNothing};
  const auto energy_under = [&](const Law& q, std::uint32_t stream) {
    return exact ? energy(g, q) : sampled_distance({}, target, q, o, stream, 0);
  };
  const double all = energy_under(law, kTesting);
  SimulatedCurve curve = run_draws(o, arena, [&](std::size_t p, std::uint64_t index) {
    const Matrix<std::uint32_t> x = law.draw(p, o.length, o.seed, kTraining, index << kSampleBits, arena);
    Matrix<double> y(p, target.outputs());
    Random random(o.seed, kLabels, index);
    const double deviation = std::sqrt(o.noise);
    for (std::size_t i = 0; i < p; ++i) {
      target.draw_labels({x.row(i), x.cols()}, random, {y.row(i), y.cols()});
      for (std::size_t j = 0; j < y.cols(); ++j) y(i, j) += deviation * random.normal();
    }
    const Fit f = fit(o, x, y, law.letters(), arena);
    const auto error_under = [&](const Law& q, std::uint32_t stream) {
      return exact ? distance(f.functions, g, q) : sampled_distance(f.functions, target, q, o, stream, index);
    };
    DrawResult r = f.result;
    r.error = error_under(law, kTesting);
    if (test != nullptr) r.test_error = error_under(*test, kTesting + 0x10);
    const IrrepEnergies output = irrep_energies(f.functions, law);
    r.output_trivial = output.trivial;
    r.output_standard = output.standard;
    if (exact) {
      r.trivial = ratio(part_inner(f.functions, g, law, trivial_part), own.trivial, all);
      r.standard = ratio(part_inner(f.functions, g, law, standard_part), own.standard, all);
    }
    return r;
  });
  curve.energy = all;
  if (test != nullptr) curve.test_energy = energy_under(*test, kTesting + 0x10);
  curve.target = own;
  curve.exact = exact;
  return curve;
}

SimulatedCurve learn_from_data(Letters32 sequences, ConstMatrixView<double> labels, std::uint32_t letters,
                               const SimulationOptions& o, const Arena& arena) {
  require_simulation(o, labels.cols(), letters, arena);
  const std::size_t n = sequences.rows();
  if (labels.rows() != n)
    throw Error(ErrorKind::kShape, "labels", fmt::format("{} of {} sequences", labels.rows(), n));
  if (sequences.cols() != o.length)
    throw Error(ErrorKind::kShape, "sequences",
                fmt::format("of {} letters, expected {}", sequences.cols(), o.length));
  for (const std::size_t p : o.samples)
    if (p >= n)
      throw Error(ErrorKind::kUsage, "samples", fmt::format("{} of {} sequences leave none to test on", p, n),
                  "take fewer samples");
  SimulatedCurve curve = run_draws(o, arena, [&](std::size_t p, std::uint64_t index) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    Random random(o.seed, kChoice, index);
    for (std::size_t i = 0; i < p; ++i)
      std::swap(order[i], order[i + random.below(static_cast<std::uint32_t>(n - i))]);
    Matrix<std::uint32_t> x(p, o.length);
    Matrix<double> y(p, labels.cols());
    for (std::size_t i = 0; i < p; ++i) {
      std::copy_n(sequences.row(order[i]), o.length, x.row(i));
      std::copy_n(labels.row(order[i]), labels.cols(), y.row(i));
    }
    const Fit f = fit(o, x, y, letters, arena);
    DrawResult r = f.result;
    r.error = 0;
    for (std::size_t i = p; i < n; ++i)
      for (std::size_t j = 0; j < labels.cols(); ++j)
        r.error += std::pow(f.functions[j]({sequences.row(order[i]), o.length}) - labels(order[i], j), 2) /
                   static_cast<double>(n - p);
    return r;
  });
  for (std::size_t i = 0; i < labels.rows(); ++i)
    for (std::size_t j = 0; j < labels.cols(); ++j)
      curve.energy += labels(i, j) * labels(i, j) / static_cast<double>(n);
  curve.target = {kNothing, kNothing, kNothing};
  curve.exact = false;
  return curve;
}

}  // namespace telos::symmetry
