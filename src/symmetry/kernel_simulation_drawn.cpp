// Regression with the kernel of an architecture on sequences that are drawn.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "symmetry/kernel_learning_parts.h"
#include "symmetry/simulation_draws.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/base/quantity.h"
#include "telos/symmetry/gram.h"
#include "telos/symmetry/token_kernel.h"

namespace telos::symmetry {
namespace {

/// k of all pairs of two sets, from one thread; of one set with itself, half of them.
Matrix<double> kernel_values(const Kernel& kernel, std::span<const PreparedSequence> rows,
                             std::span<const PreparedSequence> columns) {
  const bool same = rows.data() == columns.data();
  constexpr std::size_t kTile = 64;
  const bool ntk = kernel.options().ntk;
  Matrix<double> values(rows.size(), columns.size()), nngp(kTile, kTile);
  for (std::size_t i = 0; i < rows.size(); i += kTile)
    for (std::size_t j = same ? i : 0; j < columns.size(); j += kTile) {
      check_interrupt();
      const std::size_t high = std::min(kTile, rows.size() - i), wide = std::min(kTile, columns.size() - j);
      const MatrixView<double> block = values.view().block(i, j, high, wide);
      kernel.tile(rows.subspan(i, high), columns.subspan(j, wide),
                  ntk ? nngp.view().block(0, 0, high, wide) : block, ntk ? block : MatrixView<double>(), {});
    }
  for (std::size_t i = 0; same && i < rows.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) values(i, j) = values(j, i);
  return values;
}

/// Sequences with a query each, if the architecture reads one, ready for its kernel.
std::vector<PreparedSequence> prepare_all(const Kernel& kernel, ConstMatrixView<std::uint32_t> sequences,
                                          std::span<const std::uint32_t> queries) {
  std::vector<PreparedSequence> prepared;
  for (std::size_t i = 0; i < sequences.rows(); ++i) {
    std::vector<std::uint32_t> x(sequences.row(i), sequences.row(i) + sequences.cols());
    if (has_query(kernel.architecture())) x.push_back(queries[i]);
    prepared.push_back(kernel.prepare(reading_order(kernel.architecture(), x)));
  }
  return prepared;
}

/// The parts (L) and (L−1,1) of a sum over positions under a law, without their means.
struct LinearParts {
  std::vector<CurvePart> parts;
  std::vector<std::vector<LinearFunction>> functions;
};
LinearParts linear_parts(const SequenceTarget& target, const Law& law, std::size_t length) {
  LinearParts out;
  if (target.functions().empty()) return out;
  const auto l = static_cast<std::uint32_t>(length);
  const IrrepEnergies energies = irrep_energies(target.functions(), law);
  const double all = energies.constant + energies.trivial + energies.standard;
  const auto add = [&](const Partition& irrep, double energy, auto part_of) {
    if (!(energy > kNoEnergy * all)) return;
    out.parts.push_back({irrep, energy});
    std::vector<LinearFunction>& functions = out.functions.emplace_back();
    for (const LinearFunction& g : target.functions()) functions.push_back(without_mean(part_of(g), law));
  };
  add(trivial_irrep(l), energies.trivial, trivial_part);
  if (length > 1) add(standard_irrep(l), energies.standard, standard_part);
  return out;
}

/// Fresh sequences of a law with the target's values, and what is learned of them.
struct TestSet {
  Matrix<std::uint32_t> sequences;
  Matrix<double> clean, learned;

  double error() const {
    double sum = 0;
    for (std::size_t i = 0; i < clean.size(); ++i)
      sum += (learned.data()[i] - clean.data()[i]) * (learned.data()[i] - clean.data()[i]);
    return sum / static_cast<double>(clean.rows());
  }
  double share(const std::vector<LinearFunction>& part, double energy) const {
    double sum = 0;
    for (std::size_t i = 0; i < learned.rows(); ++i)
      for (std::size_t j = 0; j < learned.cols(); ++j)
        sum += learned(i, j) * part[j]({sequences.row(i), sequences.cols()});
    return sum / static_cast<double>(learned.rows()) / energy;
  }
};

TestSet draw_tests(const Law& law, const SequenceTarget& target, const SimulationOptions& o,
                   std::uint32_t stream, std::uint64_t index, const Arena& arena) {
  TestSet tests{law.draw(o.test_points, o.length, o.seed, stream, index * o.test_points, arena), {}, {}};
  tests.clean = target_at_all(target, tests.sequences);
  return tests;
}

/// Σ_p k(·, x_p) α_p at sequences, a few of which are prepared at a time.
Matrix<double> learned_at(const Kernel& kernel, const Matrix<std::uint32_t>& sequences,
                          const std::vector<std::uint32_t>& queries,
                          const std::vector<PreparedSequence>& samples, const Matrix<double>& alpha,
                          const Arena& arena) {
  constexpr std::size_t kPrepared = 256;
  Matrix<double> out(sequences.rows(), alpha.cols());
  for (std::size_t first = 0; first < out.rows(); first += kPrepared) {
    const std::size_t count = std::min(kPrepared, out.rows() - first);
    const std::vector<PreparedSequence> points =
        prepare_all(kernel, sequences.view().block(first, 0, count, sequences.cols()),
                    std::span(queries).subspan(first, count));
    const Matrix<double> f = predict(kernel_values(kernel, points, samples), alpha, arena);
    std::copy_n(f.data(), f.size(), out.row(first));
  }
  return out;
}

/// Throws kLimit where the samples' sequences do not fit; says how long pairs take, where that is long.
void require_pairs(const Kernel& kernel, const SimulationOptions& o, std::size_t tests, const Arena& arena) {
  const std::size_t length = o.length + (has_query(kernel.architecture()) ? 1 : 0);
  const GramCost cost = estimate_gram(kernel, draw_sequences(8, length, kernel.vocabulary(), o.seed), nullptr,
                                      {.ntk = kernel.options().ntk}, arena);
  const std::vector<Token> one(length);
  const auto most = static_cast<double>(*std::max_element(o.samples.begin(), o.samples.end()));
  require_memory(
      kernel.prepare(one).bytes() * most * std::min<double>(arena.threads(), static_cast<double>(o.draws)),
      "samples", "take fewer samples, or fewer threads");
  double pairs = 0;
  for (const std::size_t p : o.samples) {
    const auto count = static_cast<double>(p);
    pairs += static_cast<double>(o.draws) * count * (count / 2 + static_cast<double>(o.test_points * tests));
  }
  const double seconds = pairs * cost.seconds / cost.pairs;
  if (seconds > 10)
    log(LogLevel::kInfo, fmt::format("about {} of kernel values; fewer --draws, --test-points or --samples "
                                     "take less",
                                     format_seconds(seconds)));
}

}  // namespace

SimulatedCurve simulate_by_draws(const Kernel& kernel, const Law& law, const SequenceTarget& target,
                                 const Law* test, const SimulationOptions& o, const Arena& arena) {
  require_pairs(kernel, o, test != nullptr ? 2 : 1, arena);
  const LinearParts linear = linear_parts(target, law, o.length);
  SimulatedCurve curve = run_draws(o, linear.parts, arena, [&](std::size_t count, std::uint64_t index) {
    const DataSet data = draw_data(law, target, o, count, index, arena);
    const std::vector<PreparedSequence> samples =
        prepare_all(kernel, data.sequences, draw_queries(law.letters(), o, count, index));
    DrawResult r;
    const Matrix<double> alpha =
        regress(kernel_values(kernel, samples, samples), data.labels, o.ridge, arena, r);
    const auto tested = [&](const Law& q, std::uint32_t stream) {
      TestSet tests = draw_tests(q, target, o, stream, index, arena);
      tests.learned =
          learned_at(kernel, tests.sequences, draw_queries(law.letters(), o, o.test_points, ~index), samples,
                     alpha, arena);
      return tests;
    };
    const TestSet own = tested(law, kTesting);
    r.error = own.error();
    for (std::size_t i = 0; i < linear.parts.size(); ++i)
      r.learnability.push_back(own.share(linear.functions[i], linear.parts[i].energy));
    if (test != nullptr) r.test_error = tested(*test, kOtherTesting).error();
    return r;
  });
  const auto energy_under = [&](const Law& q, std::uint32_t stream) {
    if (target.functions().empty()) return mean_square(draw_tests(q, target, o, stream, 0, arena).clean);
    double sum = 0;
    for (const LinearFunction& g : target.functions()) sum += q.inner(g, g);
    return sum;
  };
  curve.energy = energy_under(law, kTesting);
  if (test != nullptr) curve.test_energy = energy_under(*test, kOtherTesting);
  curve.exact = false;
  return curve;
}

}  // namespace telos::symmetry
