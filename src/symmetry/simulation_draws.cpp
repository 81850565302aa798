#include "symmetry/simulation_draws.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/quantity.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kTraining = 0x53794C01, kLabels = 0x53794C03, kChoice = 0x53794C04,
                        kQueries = 0x53794C05;  // streams

// Sample i of data set d of P has the number ((P · 2¹⁷ + d) · 2¹⁵) + i: none comes twice.
constexpr std::uint64_t kDrawBits = 17, kSampleBits = 15;
static_assert(kMostDraws < (1u << kDrawBits) && kMostSamples < (1u << kSampleBits));

/// Mean of value(draw), with its standard error.
Estimate mean_of(std::span<const DrawResult> draws, const std::function<double(const DrawResult&)>& value) {
  const double n = static_cast<double>(draws.size());
  double sum = 0, squares = 0;
  for (const DrawResult& d : draws) sum += value(d);
  const double mean = sum / n;
  for (const DrawResult& d : draws) squares += (value(d) - mean) * (value(d) - mean);
  return {mean, std::sqrt(squares / (n * (n - 1)))};
}

SimulatedPoint summarise(std::size_t samples, std::size_t parts, std::span<const DrawResult> draws) {
  SimulatedPoint point{.samples = samples,
                       .error = mean_of(draws, [](const DrawResult& d) { return d.error; }),
                       .train_error = mean_of(draws, [](const DrawResult& d) { return d.train_error; }),
                       .test_error = mean_of(draws, [](const DrawResult& d) { return d.test_error; }),
                       .evidence = mean_of(draws, [](const DrawResult& d) { return d.evidence; })};
  const auto part_of = [&](std::vector<double> DrawResult::*values, std::size_t part) {
    return mean_of(
        draws, [&](const DrawResult& d) { return part < (d.*values).size() ? (d.*values)[part] : kNothing; });
  };
  for (std::size_t part = 0; part < parts; ++part) {
    point.learnability.push_back(part_of(&DrawResult::learnability, part));
    point.output.push_back(part_of(&DrawResult::output, part));
  }
  return point;
}

void require_range(std::size_t value, std::size_t least, std::size_t most, const char* what) {
  if (value < least || value > most)
    throw Error(ErrorKind::kUsage, what, fmt::format("expected {} to {}, found {}", least, most, value));
}

}  // namespace

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
  const double most = static_cast<double>(*std::max_element(o.samples.begin(), o.samples.end()));
  require_memory(8 * most * most * std::min<double>(arena.threads(), static_cast<double>(o.draws)), "samples",
                 "take fewer samples, or fewer threads");
  require_memory(8 * static_cast<double>(outputs) * (static_cast<double>(o.length) * letters + most) *
                     std::min<double>(arena.threads(), static_cast<double>(o.draws)),
                 "learned functions", "take fewer letters or positions, or one output");
  const double seconds = simulation_seconds(o, outputs) / arena.threads();
  if (seconds > 10) log(LogLevel::kInfo, fmt::format("about {} of regression", format_seconds(seconds)));
}

void require_same_size(const Law& law, const SequenceTarget& target, const Law* test,
                       const SimulationOptions& o) {
  if (target.length() != o.length || target.letters() != law.letters() ||
      (test != nullptr && test->letters() != law.letters()))
    throw Error(ErrorKind::kShape, "target", "laws and target are of different lengths or letters");
}

void require_data(ConstMatrixView<std::uint32_t> sequences, ConstMatrixView<double> labels,
                  const SimulationOptions& o) {
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
}

SimulatedCurve run_draws(const SimulationOptions& o, std::vector<CurvePart> parts, const Arena& arena,
                         const std::function<DrawResult(std::size_t, std::uint64_t)>& draw) {
  SimulatedCurve curve;
  curve.parts = std::move(parts);
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
    curve.points.push_back(summarise(p, curve.parts.size(), results));
  }
  return curve;
}

SimulatedCurve run_splits(const SimulationOptions& o, ConstMatrixView<double> labels, const Arena& arena,
                          const std::function<DrawResult(std::size_t, std::uint64_t)>& draw) {
  SimulatedCurve curve = run_draws(o, {}, arena, draw);
  for (SimulatedPoint& point : curve.points)
    for (Estimate* const e : {&point.error, &point.train_error, &point.evidence})
      e->error *= std::sqrt(static_cast<double>(o.draws));
  curve.energy = mean_square(labels);
  curve.exact = false;
  return curve;
}

DataSet draw_data(const Law& law, const SequenceTarget& target, const SimulationOptions& o,
                  std::size_t samples, std::uint64_t index, const Arena& arena) {
  DataSet data{law.draw(samples, o.length, o.seed, kTraining, index << kSampleBits, arena),
               Matrix<double>(samples, target.outputs())};
  Random random(o.seed, kLabels, index);
  const double deviation = std::sqrt(o.noise);
  for (std::size_t i = 0; i < samples; ++i) {
    target.draw_labels({data.sequences.row(i), o.length}, random, {data.labels.row(i), data.labels.cols()});
    for (std::size_t j = 0; j < data.labels.cols(); ++j) data.labels(i, j) += deviation * random.normal();
  }
  return data;
}

std::vector<std::uint32_t> draw_queries(std::uint32_t letters, const SimulationOptions& o,
                                        std::size_t samples, std::uint64_t index) {
  Random random(o.seed, kQueries, index);
  std::vector<std::uint32_t> queries(samples);
  for (std::uint32_t& q : queries) q = random.below(letters);
  return queries;
}

std::vector<std::size_t> draw_choice(std::size_t n, std::size_t samples, const SimulationOptions& o,
                                     std::uint64_t index) {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(o.seed, kChoice, index);
  for (std::size_t i = 0; i < samples; ++i)
    std::swap(order[i], order[i + random.below(static_cast<std::uint32_t>(n - i))]);
  return order;
}

Matrix<double> regress(Matrix<double> gram, ConstMatrixView<double> labels, double ridge, const Arena& arena,
                       DrawResult& result) {
  const GaussianProcess process(std::move(gram), ridge, arena);
  Matrix<double> alpha = process.weights(labels, arena);
  const std::vector<double> evidence = process.log_evidence(labels, alpha);
  result.evidence =
      std::accumulate(evidence.begin(), evidence.end(), 0.0) / static_cast<double>(labels.rows());
  result.train_error = ridge * ridge * mean_square(alpha);  // y − f at the samples is r α
  return alpha;
}

double mean_square(ConstMatrixView<double> labels) {
  double sum = 0;
  for (std::size_t i = 0; i < labels.rows(); ++i)
    for (std::size_t j = 0; j < labels.cols(); ++j) sum += labels(i, j) * labels(i, j);
  return sum / static_cast<double>(labels.rows());
}

LinearFunction without_mean(LinearFunction part, const Law& law) {
  part.constant = -law.mean(part);
  return part;
}

}  // namespace telos::symmetry
