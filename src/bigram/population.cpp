#include "telos/bigram/population.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "bigram/instance_parts.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

void check_part(const char* part, const Matrix<double>& matrix, std::size_t rows, std::size_t cols) {
  if (matrix.rows() == rows && matrix.cols() == cols) return;
  throw Error(ErrorKind::kShape, "model",
              fmt::format("{} is {} × {}, expected {} × {}", part, matrix.rows(), matrix.cols(), rows, cols));
}

void check_model(const Instance& instance, const Model& model) {
  check_part("V", model.v, instance.tokens(), instance.tokens());
  check_part("A", model.a, instance.tokens(), instance.length);
}

Model zero_model(const Instance& instance) {
  const double n = static_cast<double>(instance.tokens());
  require_memory(8 * n * (n + static_cast<double>(instance.length)), "model",
                 "take fewer tokens or a shorter context");
  return {Matrix<double>(instance.tokens(), instance.tokens()),
          Matrix<double>(instance.tokens(), instance.length)};
}

/// What loss and gradients are made of; differences are formed before they are squared.
struct PopulationMoments {
  std::vector<double> sums;              ///< s_k
  std::vector<double> mean;              ///< m = Vμ
  double s = 0, rho = 0;                 ///< s̄, ρ
  double sigma = 0, fit = 0;             ///< ‖A‖²_μ, c
  double mean_mu = 0, mean_squared = 0;  ///< ⟨m, μ⟩, ‖m‖²
  double k_v = 0, g = 0;
};

PopulationMoments population_moments(const Instance& instance, const Model& model) {
  check_model(instance, model);
  const std::vector<double>& mu = instance.mu;
  const std::size_t n = mu.size();
  PopulationMoments r{.sums = std::vector<double>(n), .mean = std::vector<double>(n)};
  for (std::size_t k = 0; k < n; ++k) {
    const double* a = model.a.row(k);
    double squares = 0, fit = 0;
    for (std::size_t t = 0; t < instance.length; ++t) {
      r.sums[k] += a[t];
      squares += a[t] * a[t];
    }
    const SparseColumn& q = instance.q[k];
    for (std::size_t e = 0; e < q.positions.size(); ++e) fit += a[q.positions[e]] * q.weights[e];
    r.s += mu[k] * r.sums[k];
    r.rho += mu[k] * r.sums[k] * r.sums[k];
    r.sigma += mu[k] * squares;
    r.fit += mu[k] * fit;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const double* v = model.v.row(i);
    const double* p = instance.p.row(i);
    for (std::size_t j = 0; j < n; ++j) r.mean[i] += v[j] * mu[j];
    for (std::size_t j = 0; j < n; ++j) {
      const double deviation = v[j] - r.mean[i];
      r.k_v += mu[j] * deviation * deviation;
      r.g += mu[j] * deviation * (p[j] - mu[i]);
    }
    r.mean_mu += r.mean[i] * mu[i];
    r.mean_squared += r.mean[i] * r.mean[i];
  }
  return r;
}

/// Σ_j μ_j Σ_i of term(v_ij − μ_i, p_ij − μ_i).
template <class Term>
double sum_values(const Instance& instance, const Model& model, const Term& term) {
  double total = 0;
  for (std::size_t i = 0; i < instance.tokens(); ++i) {
    const double mu = instance.mu[i];
    for (std::size_t j = 0; j < instance.tokens(); ++j)
      total += instance.mu[j] * term(model.v(i, j) - mu, instance.p(i, j) - mu);
  }
  return total;
}

/// Σ_k μ_k Σ_t of term(a_kt − 1/T, q_kt − 1/T).
template <class Term>
double sum_attention(const Instance& instance, const Model& model, const Term& term) {
  const double uniform = 1 / static_cast<double>(instance.length);
  double total = 0;
  for (std::size_t k = 0; k < instance.tokens(); ++k) {
    const double* a = model.a.row(k);
    double sum = 0;
    visit_positions(instance.q[k], instance.length,
                    [&](std::size_t t, double q) { sum += term(a[t] - uniform, q - uniform); });
    total += instance.mu[k] * sum;
  }
  return total;
}

}  // namespace

Model initial_model(const Instance& instance) {
  Model model = zero_model(instance);
  for (std::size_t i = 0; i < instance.tokens(); ++i)
    std::fill_n(model.v.row(i), instance.tokens(), instance.mu[i]);
  std::fill_n(model.a.data(), model.a.size(), 1 / static_cast<double>(instance.length));
  return model;
}

Model true_model(const Instance& instance) {
  Model model = zero_model(instance);
  model.v = instance.p.copy();
  for (std::size_t k = 0; k < instance.tokens(); ++k) {
    const SparseColumn& q = instance.q[k];
    for (std::size_t e = 0; e < q.positions.size(); ++e) model.a(k, q.positions[e]) = q.weights[e];
  }
  return model;
}

Model mirrored(const Model& model, std::span<const double> mu) {
  check_part("V", model.v, mu.size(), mu.size());
  check_part("A", model.a, mu.size(), model.a.cols());
  Model mirror{model.v.copy(), model.a.copy()};
  for (std::size_t i = 0; i < mu.size(); ++i)
    for (std::size_t j = 0; j < mu.size(); ++j) mirror.v(i, j) = 2 * mu[i] - model.v(i, j);
  const double both = 2 / static_cast<double>(model.a.cols());
  for (std::size_t e = 0; e < mirror.a.size(); ++e) mirror.a.data()[e] = both - model.a.data()[e];
  return mirror;
}

double population_loss(const Instance& instance, const Model& model) {
  const PopulationMoments r = population_moments(instance, model);
  return (1 - 2 * (r.s * r.mean_mu + r.fit * r.g) + r.rho * r.mean_squared + r.sigma * r.k_v) / 2;
}

Model population_gradient(const Instance& instance, const Model& model) {
  const PopulationMoments r = population_moments(instance, model);
  const std::vector<double>& mu = instance.mu;
  const std::size_t n = mu.size();
  Model gradient = zero_model(instance);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j)
      gradient.v(i, j) = mu[j] * (r.rho * r.mean[i] - r.s * mu[i] + r.sigma * (model.v(i, j) - r.mean[i]) -
                                  r.fit * (instance.p(i, j) - mu[i]));
  for (std::size_t k = 0; k < n; ++k) {
    const double level = r.mean_squared * r.sums[k] - r.mean_mu;
    const double* a = model.a.row(k);
    double* out = gradient.a.row(k);
    visit_positions(instance.q[k], instance.length,
                    [&](std::size_t t, double q) { out[t] = mu[k] * (r.k_v * a[t] + level - r.g * q); });
  }
  return gradient;
}

void precondition(Model& gradient, std::span<const double> mu, bool centre) {
  check_part("V", gradient.v, mu.size(), mu.size());
  check_part("A", gradient.a, mu.size(), gradient.a.cols());
  for (std::size_t i = 0; i < mu.size(); ++i) {
    double* v = gradient.v.row(i);
    double sum = 0;
    if (centre)
      for (std::size_t j = 0; j < mu.size(); ++j) sum += v[j];
    for (std::size_t j = 0; j < mu.size(); ++j) v[j] = v[j] / mu[j] - sum;
  }
  const std::size_t length = gradient.a.cols();
  for (std::size_t k = 0; k < mu.size(); ++k) {
    double* a = gradient.a.row(k);
    double mean = 0;
    for (std::size_t t = 0; t < length; ++t) mean += a[t];
    mean /= static_cast<double>(length);
    for (std::size_t t = 0; t < length; ++t) a[t] = (a[t] - mean) / mu[k];
  }
}

Signals signals(const Instance& instance, const Model& model) {
  check_model(instance, model);
  const Constants c = constants(instance);
  const auto product = [](double learned, double truth) { return learned * truth; };
  const auto rest = [](double signal) {
    return [signal](double learned, double truth) {
      const double error = learned - signal * truth;
      return error * error;
    };
  };
  Signals s;
  s.v = c.k_p > 0 ? sum_values(instance, model, product) / c.k_p : 0;
  s.a = c.k_q > 0 ? sum_attention(instance, model, product) / c.k_q : 0;
  s.v_error = sum_values(instance, model, rest(s.v));
  s.a_error = sum_attention(instance, model, rest(s.a));
  complete(c, s);
  return s;
}

Excess excess(const Constants& c, std::size_t length, const Signals& s) {
  const double uniform = 1 / static_cast<double>(length);
  const double apart = 1 - s.v * s.a, sigma = uniform + c.k_q * s.a * s.a + s.a_error;
  return {c.k_p * c.k_q * apart * apart / 2, c.k_p * uniform * (1 - s.v) * (1 - s.v) / 2,
          s.v * s.v * c.k_p * s.a_error / 2, sigma * s.v_error / 2};
}

}  // namespace telos::bigram
