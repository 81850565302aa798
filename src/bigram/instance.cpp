#include "telos/bigram/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "bigram/instance_parts.h"
#include "telos/base/error.h"

namespace telos::bigram {
namespace {

constexpr double kLeastFrequency = 1e-9;
constexpr double kLeastKnowledge = 1e-8;

void note(std::vector<std::string>* notes, std::string text) {
  if (notes != nullptr) notes->push_back(std::move(text));
}

/// Columns that were divided by their sums.
struct Renormalised {
  std::size_t columns = 0;
  double largest = 0;  ///< of |sum − 1|

  /// The factor for a column of `n` numbers with this sum.
  double factor(double sum, std::size_t n) {
    const double off = std::abs(sum - 1);
    if (off <= rounding_of_sums(n)) return 1;
    ++columns;
    largest = std::max(largest, off);
    return 1 / sum;
  }
  void report(const char* what, std::vector<std::string>* notes) const {
    if (columns == 0) return;
    note(notes, fmt::format("{}: {} divided by {}, off 1 by up to {:.2g}", what,
                            columns == 1 ? "1 column was" : fmt::format("{} columns were", columns),
                            columns == 1 ? "its sum" : "their sums", largest));
  }
};

void renormalise(Matrix<double>& p, std::vector<std::string>* notes) {
  const std::size_t n = p.rows();
  std::vector<double> factors(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) factors[j] += p(i, j);
  Renormalised changed;
  for (double& factor : factors) factor = changed.factor(factor, n);
  changed.report("P", notes);
  if (changed.columns == 0) return;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) p(i, j) *= factors[j];
}

[[noreturn]] void refuse_column(ErrorKind kind, std::size_t k, const std::string& message,
                                const std::string& hint = {}) {
  throw Error(kind, fmt::format("q, column {}", k), message, hint);
}

void check_weights(const SparseColumn& column, std::size_t k, std::size_t length) {
  if (column.positions.size() != column.weights.size())
    refuse_column(
        ErrorKind::kShape, k,
        fmt::format("has {} positions and {} weights", column.positions.size(), column.weights.size()));
  if (column.positions.empty())
    refuse_column(ErrorKind::kUsage, k, "is empty, expected at least one position");
  double sum = 0;
  for (std::size_t i = 0; i < column.positions.size(); ++i) {
    const std::uint32_t position = column.positions[i];
    const double weight = column.weights[i];
    if (position >= length)
      refuse_column(ErrorKind::kUsage, k,
                    fmt::format("has position {}, expected below the length {}", position, length),
                    "positions count from 0");
    if (!std::isfinite(weight))
      refuse_column(ErrorKind::kNotFinite, k,
                    fmt::format("position {} has weight {}, expected a probability", position, weight));
    if (weight < 0)
      refuse_column(ErrorKind::kUsage, k,
                    fmt::format("position {} has weight {}, expected a probability", position, weight));
    sum += weight;
  }
  if (std::abs(sum - 1) > kSumTolerance)
    refuse_column(ErrorKind::kUsage, k,
                  fmt::format("sums to {:.9g}, expected 1 within {}", sum, kSumTolerance));
}

/// Ascending, each position once and with weight. Returns how many entries went.
std::size_t tidy(SparseColumn& column) {
  std::vector<std::size_t> order(column.positions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return column.positions[i]; });
  SparseColumn tidied;
  for (const std::size_t i : order) {
    if (column.weights[i] == 0) continue;
    if (tidied.positions.empty() || tidied.positions.back() != column.positions[i]) {
      tidied.positions.push_back(column.positions[i]);
      tidied.weights.push_back(column.weights[i]);
    } else {
      tidied.weights.back() += column.weights[i];
    }
  }
  std::swap(column, tidied);
  return order.size() - column.positions.size();
}

void check_columns(std::vector<SparseColumn>& q, std::size_t tokens, std::size_t length,
                   std::vector<std::string>* notes) {
  if (length == 0 || length > std::numeric_limits<std::uint32_t>::max())
    throw Error(ErrorKind::kUsage, "length", fmt::format("is {}, expected 1 to 4294967295", length));
  if (q.size() != tokens)
    throw Error(ErrorKind::kShape, "q",
                fmt::format("has {} columns, expected one for each of {} tokens", q.size(), tokens));
  Renormalised changed;
  for (std::size_t k = 0; k < q.size(); ++k) {
    SparseColumn& column = q[k];
    check_weights(column, k, length);
    if (const std::size_t gone = tidy(column); gone != 0)
      note(notes,
           fmt::format(
               "q, column {}: positions given twice were merged and those without weight left out, {} of {}",
               k, gone, gone + column.positions.size()));
    const double sum = std::accumulate(column.weights.begin(), column.weights.end(), 0.0);
    const double factor = changed.factor(sum, column.weights.size());
    if (factor != 1)
      for (double& weight : column.weights) weight *= factor;
  }
  changed.report("q", notes);
}

void check_learnable(const Instance& instance) {
  const auto rarest = std::ranges::min_element(instance.mu);
  if (*rarest < kLeastFrequency)
    throw Error(ErrorKind::kUsage, "P",
                fmt::format("token {} comes with probability {:.3g}, expected at least {}",
                            rarest - instance.mu.begin(), *rarest, kLeastFrequency),
                "leave the token out, or smooth the counts");
  const double k_p = constants(instance).k_p;
  if (k_p < kLeastKnowledge)
    throw Error(
        ErrorKind::kUsage, "P",
        fmt::format("all columns are nearly the stationary law (K_P = {:.3g}): there is nothing to learn",
                    k_p));
}

}  // namespace

std::size_t Instance::sparsity() const {
  std::size_t most = 0;
  for (const SparseColumn& column : q) most = std::max(most, column.positions.size());
  return most;
}

std::string Instance::name(std::size_t token) const {
  return names.empty() ? std::to_string(token) : names[token];
}

Instance make_instance(Matrix<double> p, std::vector<SparseColumn> q, std::size_t length,
                       std::vector<std::string>* notes) {
  check_transitions(p);
  check_columns(q, p.rows(), length, notes);
  renormalise(p, notes);
  Instance instance;
  instance.mu = stationary(p);
  instance.p = std::move(p);
  instance.q = std::move(q);
  instance.length = length;
  check_learnable(instance);
  return instance;
}

Constants constants(const Instance& instance) {
  const Matrix<double>& p = instance.p;
  const std::vector<double>& mu = instance.mu;
  const std::size_t n = mu.size();
  const double uniform = 1 / static_cast<double>(instance.length);
  Constants c;
  std::vector<double> mean(n), square(n);  // of p̃_l under μ
  for (std::size_t i = 0; i < n; ++i) {
    c.mu_squared += mu[i] * mu[i];
    for (std::size_t l = 0; l < n; ++l) {
      const double deviation = p(i, l) - mu[i];
      c.k_p += mu[l] * deviation * deviation;
      mean[l] += mu[i] * deviation;
    }
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t l = 0; l < n; ++l) {
      const double centred = p(i, l) - mu[i] - mean[l];
      square[l] += mu[i] * centred * centred;
    }
  for (std::size_t k = 0; k < n; ++k) {
    c.j_p += mu[k] * square[k];
    double deviation =
        static_cast<double>(instance.length - instance.q[k].weights.size()) * uniform * uniform;
    for (const double weight : instance.q[k].weights) deviation += (weight - uniform) * (weight - uniform);
    c.k_q += mu[k] * deviation;
  }
  // Uniform columns differ from 1/T by their rounding.
  if (c.k_q < 0x1p-96) c.k_q = 0;
  c.p_squared = c.k_p + c.mu_squared;
  c.q_squared = c.k_q + uniform;
  c.loss_start = (1 - c.mu_squared) / 2;
  c.loss_least = std::max(0.0, (1 - c.mu_squared - c.q_squared * c.k_p) / 2);  // not −0 by rounding
  c.gamma = std::sqrt(c.k_p * c.k_q);
  c.mu_ratio = std::ranges::max(mu) / std::ranges::min(mu);
  return c;
}

}  // namespace telos::bigram
