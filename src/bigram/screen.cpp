// Positions that a descent left out, found by what their tokens still explain.
#include <algorithm>
#include <cmath>

#include "bigram/train_parts.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

constexpr std::uint64_t kBatch = 1024;

/// Σ w_b[x_t] by last token and position, of batches that the kernel sums in single precision.
Matrix<double> correlations(const Sampler& sampler, const Model& model, std::uint64_t first,
                            std::uint64_t count, const Arena& arena) {
  const std::size_t n = sampler.tokens(), length = sampler.length();
  require_memory(static_cast<double>(n) * static_cast<double>(length) * 16, "screening");
  Matrix<double> total(n, length);
  BatchSums sums{Matrix<double>(n, n), Matrix<float>(n, length), std::vector<std::uint64_t>(n), 0};
  Attention attention(n, length);
  std::transform(model.a.data(), model.a.data() + model.a.size(), attention.data(),
                 [](double x) { return static_cast<float>(x); });
  for (std::uint64_t done = 0; done < count;) {
    check_interrupt();
    const std::uint64_t batch = std::min(kBatch, count - done);
    BatchGradient(sampler, batch, arena).run(Stream::kScreen, first + done, model.v, attention, sums);
    for (std::size_t i = 0; i < total.size(); ++i) total.data()[i] += double{sums.a.data()[i]};
    done += batch;
  }
  return total;
}

/// Σ E_μ w_b and Σ Var_μ(w_b) over the samples of a last token.
struct Expected {
  double mean = 0, variance = 0;
};
Expected expected(const SparseSamples& samples, const SparseModel& model, std::size_t last,
                  std::span<const double> mu) {
  const std::size_t n = mu.size();
  Expected sum;
  std::vector<double> r(n), w(n);
  for (const std::uint32_t i : samples.with_last(last)) {
    const auto tokens = samples.tokens(i);
    for (std::size_t o = 0; o < n; ++o) {
      r[o] = o == samples.output(i) ? -1 : 0;
      for (std::size_t s = 0; s < tokens.size(); ++s)
        r[o] += model.columns[last].weights[s] * model.v(o, tokens[s]);
    }
    std::ranges::fill(w, 0.0);
    for (std::size_t o = 0; o < n; ++o)
      for (std::size_t j = 0; j < n; ++j) w[j] += model.v(o, j) * r[o];
    double mean = 0, square = 0;
    for (std::size_t j = 0; j < n; ++j) {
      mean += mu[j] * w[j];
      square += mu[j] * w[j] * w[j];
    }
    sum.mean += mean;
    sum.variance += square - mean * mean;
  }
  return sum;
}

}  // namespace

std::size_t screen(const Instance& instance, const Sampler& sampler, SparseModel& model, std::uint64_t first,
                   std::uint64_t count, const Arena& arena) {
  const std::size_t n = instance.tokens(), length = instance.length;
  const SparseSamples samples(sampler, Stream::kScreen, first, count, model.columns, arena);
  const Matrix<double> sums = correlations(sampler, dense(model, length), first, count, arena);
  const double tests = static_cast<double>(n) * static_cast<double>(length);
  const double least = std::sqrt(2 * std::log(2 * tests)) + 0.7;
  std::vector<std::size_t> added(n);
  arena.parallel_for(n, [&](std::size_t k) {
    const Expected e = expected(samples, model, k, instance.mu);
    if (!(e.variance > 0)) return;
    Column& column = model.columns[k];
    const double scale = std::sqrt(e.variance);
    Column more;
    std::size_t next = 0;
    for (std::size_t t = 0; t < length; ++t) {
      const bool known = next < column.positions.size() && column.positions[next] == t;
      if (!known && !((e.mean - sums(k, t)) / scale > least)) continue;
      more.positions.push_back(static_cast<std::uint32_t>(t));
      more.weights.push_back(known ? column.weights[next] : 0);
      next += known;
    }
    added[k] = more.positions.size() - column.positions.size();
    column.positions = std::move(more.positions);
    column.weights = std::move(more.weights);
  });
  std::size_t total = 0;
  for (const std::size_t a : added) total += a;
  return total;
}

}  // namespace telos::bigram
