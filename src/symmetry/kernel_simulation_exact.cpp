// Regression with the kernel of an architecture where the kernel of all sequences is known.
#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "symmetry/kernel_learning_parts.h"
#include "symmetry/simulation_draws.h"
#include "telos/base/memory.h"
#include "telos/linalg/gemm.h"
#include "telos/symmetry/gram.h"

namespace telos::symmetry {
namespace {

/// Rows `at` of a matrix, and of these columns `at`.
Matrix<double> rows_of(const Matrix<double>& k, std::span<const std::size_t> at) {
  Matrix<double> out(at.size(), k.cols());
  for (std::size_t i = 0; i < at.size(); ++i) std::copy_n(k.row(at[i]), k.cols(), out.row(i));
  return out;
}
Matrix<double> gram_of(const Matrix<double>& k, std::span<const std::size_t> at) {
  Matrix<double> out(at.size(), at.size());
  for (std::size_t i = 0; i < at.size(); ++i)
    for (std::size_t j = 0; j < at.size(); ++j) out(i, j) = k(at[i], at[j]);
  return out;
}

/// Σ_p k(·, x_p) α_p at all columns of k.
Matrix<double> learned_at_all(const Matrix<double>& k, std::span<const std::size_t> at,
                              const Matrix<double>& alpha, const Arena& arena) {
  Matrix<double> f(k.cols(), alpha.cols());
  gemm<double>(Op::kTransposed, Op::kPlain, 1, rows_of(k, at), alpha, 0, f, arena);
  return f;
}

/// Σ_x p(x) f(x)·g(x).
double inner_under(const std::vector<double>& p, const Matrix<double>& f, const Matrix<double>& g) {
  double sum = 0;
  for (std::size_t x = 0; x < p.size(); ++x)
    for (std::size_t j = 0; j < f.cols(); ++j) sum += p[x] * f(x, j) * g(x, j);
  return sum;
}

double distance_under(const std::vector<double>& p, const Matrix<double>& f, const Matrix<double>& g) {
  double sum = 0;
  for (std::size_t x = 0; x < p.size(); ++x)
    for (std::size_t j = 0; j < f.cols(); ++j) sum += p[x] * (f(x, j) - g(x, j)) * (f(x, j) - g(x, j));
  return sum;
}

}  // namespace

SimulatedCurve simulate_exactly(const Enumeration& all, bool irreps, const Law& law,
                                const SequenceTarget& target, const Law* test, const SimulationOptions& o,
                                const Arena& arena) {
  const Matrix<std::uint32_t>& sequences = all.sequences();
  const auto n = static_cast<double>(sequences.rows());
  const double largest = static_cast<double>(*std::max_element(o.samples.begin(), o.samples.end()));
  require_memory(8 * n * (n + arena.threads() * largest), "samples", "take fewer samples, or fewer threads");
  Matrix<double> k(sequences.rows(), sequences.rows());
  arena.parallel_for(k.rows(), [&](std::size_t x) { all.kernel_row(x, {k.row(x), k.cols()}); });
  const Matrix<double> g = target_at_all(target, sequences);
  const auto probabilities_under = [&](const Law& any) {
    return all.probabilities_under(
        [&](std::span<const std::uint32_t> x) { return std::exp(any.log_probability(x)); });
  };
  const std::vector<double> p = probabilities_under(law), q = test ? probabilities_under(*test) : p;
  std::vector<CurvePart> parts;
  std::vector<Matrix<double>> own;
  if (irreps)
    for (const IrrepLevels& part : irrep_levels(all, g)) {
      parts.push_back({part.irrep, part.energy});
      own.push_back(all.part(part.irrep, g));
    }
  const std::vector<CurvePart> known = parts;
  SimulatedCurve curve = run_draws(o, std::move(parts), arena, [&](std::size_t count, std::uint64_t index) {
    const DataSet data = draw_data(law, target, o, count, index, arena);
    const std::vector<std::uint32_t> queries = draw_queries(law.letters(), o, count, index);
    std::vector<std::size_t> at(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::uint32_t> x(data.sequences.row(i), data.sequences.row(i) + o.length);
      if (sequences.cols() > o.length) x.push_back(queries[i]);
      at[i] = all.number(x);
    }
    DrawResult r;
    const Matrix<double> alpha = regress(gram_of(k, at), data.labels, o.ridge, arena, r);
    const Matrix<double> f = learned_at_all(k, at, alpha, arena);
    r.error = distance_under(p, f, g);
    if (test != nullptr) r.test_error = distance_under(q, f, g);
    for (std::size_t i = 0; i < own.size(); ++i)
      r.learnability.push_back(inner_under(p, f, own[i]) / known[i].energy);
    return r;
  });
  curve.energy = inner_under(p, g, g);
  if (test != nullptr) curve.test_energy = inner_under(q, g, g);
  return curve;
}

SimulatedCurve learn_from_data(const Kernel& kernel, ConstMatrixView<std::uint32_t> sequences,
                               ConstMatrixView<double> labels, const SimulationOptions& o,
                               const Arena& arena) {
  require_simulation(o, labels.cols(), static_cast<std::uint32_t>(kernel.vocabulary()), arena);
  require_data(sequences, labels, o);
  Sequences items{.items = {}, .vocabulary = kernel.vocabulary()};
  for (std::size_t i = 0; i < sequences.rows(); ++i)
    items.items.emplace_back(sequences.row(i), sequences.row(i) + sequences.cols());
  const Gram all = gram(kernel, items, {.ntk = kernel.options().ntk}, arena);
  const std::size_t n = sequences.rows();
  return run_splits(o, labels, arena, [&](std::size_t p, std::uint64_t index) {
    const std::vector<std::size_t> order = draw_choice(n, p, o, index);
    const std::span<const std::size_t> chosen = std::span(order).first(p);
    Matrix<double> y(p, labels.cols());
    for (std::size_t i = 0; i < p; ++i) std::copy_n(labels.row(order[i]), labels.cols(), y.row(i));
    DrawResult r;
    const Matrix<double> alpha = regress(gram_of(all.values(), chosen), y, o.ridge, arena, r);
    const Matrix<double> f = learned_at_all(all.values(), chosen, alpha, arena);
    r.error = 0;
    for (std::size_t i = p; i < n; ++i)
      for (std::size_t j = 0; j < labels.cols(); ++j)
        r.error += std::pow(f(order[i], j) - labels(order[i], j), 2) / static_cast<double>(n - p);
    return r;
  });
}

}  // namespace telos::symmetry
