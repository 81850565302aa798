// Positions that a descent left out, found by what their tokens still explain.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "bigram/train_parts.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

constexpr std::size_t kBatch = 1024;
/// The smallest weight that screening looks for.
constexpr double kLeastWeight = 0.1;

/// What samples say of a last token: Σ w_b[x_t] by position, Σ E_μ w_b, Σ Var_μ(w_b).
struct Evidence {
  explicit Evidence(std::size_t tokens, std::size_t length)
      : sums(tokens, length), mean(tokens), variance(tokens), count(tokens) {}
  Matrix<double> sums;
  std::vector<double> mean, variance;
  std::vector<std::uint64_t> count;
};

/// Σ w_b[x_t], of batches that the kernel sums in single precision.
void add_correlations(const Sampler& sampler, const Model& model, std::span<const std::uint64_t> samples,
                      Evidence& evidence, const Arena& arena) {
  const std::size_t n = sampler.tokens(), length = sampler.length();
  BatchSums sums{Matrix<double>(n, n), Matrix<float>(n, length), std::vector<std::uint64_t>(n), 0};
  Attention attention(n, length);
  std::transform(model.a.data(), model.a.data() + model.a.size(), attention.data(),
                 [](double x) { return static_cast<float>(x); });
  BatchGradient gradient(sampler, kBatch, arena);
  for (std::size_t done = 0; done < samples.size(); done += kBatch) {
    gradient.run(Stream::kScreen, samples.subspan(done, std::min(kBatch, samples.size() - done)), model.v,
                 attention, sums);
    for (std::size_t i = 0; i < evidence.sums.size(); ++i)
      evidence.sums.data()[i] += double{sums.a.data()[i]};
  }
}

struct Expected {
  double mean = 0, variance = 0;
};
/// Σ E_μ w_b and Σ Var_μ(w_b) over the samples of a last token.
Expected expected(const SparseSamples& samples, const SparseModel& model, std::size_t last,
                  std::span<const double> mu) {
  const std::size_t n = mu.size();
  Expected sum;
  std::vector<double> r(n), w(n);
  for (const std::uint32_t i : samples.with_last(last)) {
    check_interrupt();
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

void add_evidence(const Instance& instance, const Sampler& sampler, const SparseModel& model,
                  std::span<const std::uint64_t> chosen, Evidence& evidence, const Arena& arena) {
  const SparseSamples samples(sampler, Stream::kScreen, chosen, model.columns, arena);
  add_correlations(sampler, dense(model, instance.length), chosen, evidence, arena);
  arena.parallel_for(instance.tokens(), [&](std::size_t k) {
    const Expected e = expected(samples, model, k, instance.mu);
    evidence.mean[k] += e.mean;
    evidence.variance[k] += e.variance;
    evidence.count[k] += samples.with_last(k).size();
  });
}

/// The weight of which E z is `z`: z √ΣVar_μ(w_b) / (n_k K_V).
std::vector<double> least_weights(const Evidence& evidence, double z, double k_v) {
  std::vector<double> least(evidence.count.size(), kInfinity);
  for (std::size_t k = 0; k < least.size(); ++k)
    if (evidence.count[k] > 0 && k_v > 0)
      least[k] = z * std::sqrt(evidence.variance[k]) / (static_cast<double>(evidence.count[k]) * k_v);
  return least;
}

/// The column with the positions whose z is above `least`, at weight 0.
Column extended(const Column& column, const Evidence& evidence, std::size_t k, double least) {
  const double scale = std::sqrt(evidence.variance[k]);
  Column more;
  std::size_t next = 0;
  for (std::size_t t = 0; t < evidence.sums.cols(); ++t) {
    const bool known = next < column.positions.size() && column.positions[next] == t;
    if (!known && !((evidence.mean[k] - evidence.sums(k, t)) / scale > least)) continue;
    more.positions.push_back(static_cast<std::uint32_t>(t));
    more.weights.push_back(known ? column.weights[next] : 0);
    next += known;
  }
  return more;
}

}  // namespace

Screening screen(const Instance& instance, const Sampler& sampler, SparseModel& model, std::uint64_t first,
                 std::uint64_t count, bool further, const Arena& arena) {
  const std::size_t n = instance.tokens(), length = instance.length;
  const double tests = static_cast<double>(n) * static_cast<double>(length),
               z = std::sqrt(2 * std::log(2 * tests)) + 0.7, norm = values_norm(model.v, instance.mu);
  require_memory(tests * 16, "screening");
  Screening result{0, count, first + count, {}};
  Evidence evidence(n, length);
  add_evidence(instance, sampler, model, sample_range(first, count), evidence, arena);
  result.least = least_weights(evidence, z, norm * norm);
  std::vector<double> ratios(n);
  if (further)
    std::ranges::transform(result.least, ratios.begin(), [](double least) { return least / kLeastWeight; });
  const std::vector<std::uint64_t> more =
      further_samples(sampler, Stream::kScreen, result.next, ratios, evidence.count, 2 * count);
  if (!more.empty()) {
    add_evidence(instance, sampler, model, more, evidence, arena);
    result.least = least_weights(evidence, z, norm * norm);
    result.samples += more.size();
    result.next = more.back() + 1;
  }
  for (std::size_t k = 0; k < n; ++k) {
    if (!(evidence.variance[k] > 0)) continue;
    Column column = extended(model.columns[k], evidence, k, z);
    result.added += column.positions.size() - model.columns[k].positions.size();
    model.columns[k].positions = std::move(column.positions);
    model.columns[k].weights = std::move(column.weights);
  }
  return result;
}

}  // namespace telos::bigram
