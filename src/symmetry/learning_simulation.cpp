#include "telos/symmetry/learning_simulation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <utility>

#include "symmetry/simulation_draws.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

using Letters32 = ConstMatrixView<std::uint32_t>;

/// The mean that is learned from a data set, as functions, and what the data set says of it.
struct Fit {
  std::vector<LinearFunction> functions;
  DrawResult result;
};

Fit fit(const SimulationOptions& o, Letters32 sequences, ConstMatrixView<double> labels,
        std::uint32_t letters, const Arena& arena) {
  Fit f;
  const Matrix<double> alpha =
      regress(simplified_gram(o.block, sequences, letters, arena), labels, o.ridge, arena, f.result);
  f.functions = simplified_mean(o.block, sequences, letters, alpha);
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

void require_block(const SimulationOptions& o) {
  if (o.block.query)
    throw Error(ErrorKind::kUsage, "block", "learning curves are those of the block without query");
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
  require_block(o);
  require_simulation(o, target.outputs(), law.letters(), arena);
  require_same_size(law, target, test, o);
  const std::vector<LinearFunction>& g = target.functions();
  const bool exact = !g.empty();
  const IrrepEnergies own = exact ? irrep_energies(g, law) : IrrepEnergies{kNothing, kNothing, kNothing};
  const auto energy_under = [&](const Law& q, std::uint32_t stream) {
    return exact ? energy(g, q) : sampled_distance({}, target, q, o, stream, 0);
  };
  const double all = energy_under(law, kTesting);
  const auto length = static_cast<std::uint32_t>(o.length);
  std::vector<CurvePart> parts = {{trivial_irrep(length), own.trivial}};
  if (length > 1) parts.push_back({standard_irrep(length), own.standard});
  SimulatedCurve curve = run_draws(o, std::move(parts), arena, [&](std::size_t p, std::uint64_t index) {
    const DataSet data = draw_data(law, target, o, p, index, arena);
    const Fit f = fit(o, data.sequences, data.labels, law.letters(), arena);
    const auto error_under = [&](const Law& q, std::uint32_t stream) {
      return exact ? distance(f.functions, g, q) : sampled_distance(f.functions, target, q, o, stream, index);
    };
    DrawResult r = f.result;
    r.error = error_under(law, kTesting);
    if (test != nullptr) r.test_error = error_under(*test, kOtherTesting);
    const IrrepEnergies output = irrep_energies(f.functions, law);
    r.output = {output.trivial, output.standard};
    if (exact)
      r.learnability = {ratio(part_inner(f.functions, g, law, trivial_part), own.trivial, all),
                        ratio(part_inner(f.functions, g, law, standard_part), own.standard, all)};
    return r;
  });
  curve.energy = all;
  if (test != nullptr) curve.test_energy = energy_under(*test, kOtherTesting);
  curve.exact = exact;
  return curve;
}

SimulatedCurve learn_from_data(Letters32 sequences, ConstMatrixView<double> labels, std::uint32_t letters,
                               const SimulationOptions& o, const Arena& arena) {
  require_block(o);
  require_simulation(o, labels.cols(), letters, arena);
  require_data(sequences, labels, o);
  const std::size_t n = sequences.rows();
  return run_splits(o, labels, arena, [&](std::size_t p, std::uint64_t index) {
    const std::vector<std::size_t> order = draw_choice(n, p, o, index);
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
}

}  // namespace telos::symmetry
