#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bigram/instance_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/bigram/population.h"

namespace telos::bigram {
namespace {

void check_rate(double eta) {
  if (std::isfinite(eta) && eta > 0) return;
  throw Error(ErrorKind::kUsage, "eta", fmt::format("is {}, expected a finite number above 0", eta));
}

[[noreturn]] void blew_up(std::size_t step, const char* what) {
  throw Error(ErrorKind::kNotFinite, fmt::format("step {}", step),
              fmt::format("{} is not finite any more", what), "take a smaller eta");
}

void descend(Matrix<double>& parameter, const Matrix<double>& gradient, double eta, std::size_t step,
             const char* name) {
  double* x = parameter.data();
  for (std::size_t e = 0; e < parameter.size(); ++e) x[e] -= eta * gradient.data()[e];
  if (!std::all_of(x, x + parameter.size(), [](double value) { return std::isfinite(value); }))
    blew_up(step, name);
}

}  // namespace

void complete(const Constants& c, Signals& s) {
  const auto derive = [](double signal, double error, double k, double& cosine, double& distance) {
    const double norm = std::sqrt(signal * signal * k + error);
    cosine = norm > 0 ? signal * std::sqrt(k) / norm : 0;
    distance = std::sqrt((1 - signal) * (1 - signal) * k + error);
  };
  derive(s.v, s.v_error, c.k_p, s.v_cosine, s.v_distance);
  derive(s.a, s.a_error, c.k_q, s.a_cosine, s.a_distance);
}

std::vector<Signals> scalar_dynamics(const Constants& c, std::size_t length, Signals start, double eta,
                                     std::size_t steps) {
  check_rate(eta);
  require_memory(sizeof(Signals) * (static_cast<double>(steps) + 1), "dynamics", "take fewer steps");
  const double uniform = 1 / static_cast<double>(length);
  std::vector<Signals> path(steps + 1);
  complete(c, start);
  path[0] = start;
  for (std::size_t step = 1; step <= steps; ++step) {
    if (step % 0x10000 == 0) check_interrupt();
    const Signals& s = path[step - 1];
    const double sigma = uniform + c.k_q * s.a * s.a + s.a_error;
    const double k_v = c.k_p * s.v * s.v + s.v_error;
    Signals& next = path[step];
    next.v = s.v + eta * (uniform + c.k_q * s.a - sigma * s.v);
    next.a = s.a + eta * (c.k_p * s.v - k_v * s.a);
    next.v_error = s.v_error * (1 - eta * sigma) * (1 - eta * sigma);
    next.a_error = s.a_error * (1 - eta * k_v) * (1 - eta * k_v);
    complete(c, next);
    if (!std::isfinite(next.v_distance + next.a_distance)) blew_up(step, "V or A");
  }
  return path;
}

Signals first_stage(const Constants& c, std::size_t length, double time) {
  const double t = static_cast<double>(length);
  Signals s;
  if (c.gamma > 0) {
    const double half = std::sinh(c.gamma * time / 2);
    s.v = std::sinh(c.gamma * time) / (c.gamma * t);
    s.a = 2 * half * half / (c.k_q * t);
  } else {
    s.v = time / t;
  }
  complete(c, s);
  return s;
}

Model population_descent(const Instance& instance, Model start, double eta, std::size_t steps,
                         const std::function<void(std::size_t step, const Model&)>& each) {
  check_rate(eta);
  Progress progress("population", "step", static_cast<double>(steps));
  for (std::size_t step = 1; step <= steps; ++step) {
    check_interrupt();
    Model gradient = population_gradient(instance, start);
    precondition(gradient, instance.mu, true);
    descend(start.v, gradient.v, eta, step, "V");
    descend(start.a, gradient.a, eta, step, "A");
    if (each) each(step, start);
    progress.advance();
  }
  return start;
}

double sgd_bound(const Instance& instance) {
  double squares = 0;
  for (const double mu : instance.mu) squares += mu * mu;
  return 2 / (static_cast<double>(instance.length) * std::ranges::max(instance.mu) * squares);
}

Plan plan(const Instance& instance, double eta, std::size_t batch) {
  check_rate(eta);
  if (batch == 0) throw Error(ErrorKind::kUsage, "batch", "is 0, expected at least 1");
  constexpr double kSafeSnr = 3.0902323061678132;  // Φ(−SNR) = 1e-3
  constexpr double kMargin = 4;                    // noise of A is not in the formula
  const double n = static_cast<double>(instance.tokens()), t = static_cast<double>(instance.length);
  const double b = static_cast<double>(batch);
  Plan plan;
  const Constants c = plan.constants = constants(instance);
  plan.sgd_bound = sgd_bound(instance);
  // A in double: the run's two, the two of the result, screening's two; A and its sums in single precision,
  // twice.
  plan.bytes = 64 * n * t + 24 * n * n + 128 * t;
  if (c.gamma == 0) {
    plan.steps = std::numeric_limits<double>::infinity();
    plan.mirror_probability = 0.5;
    plan.batch = batch;
    return plan;
  }
  plan.steps = (std::asinh(c.gamma * t) + 8) / (c.gamma * eta);
  const double noise = c.gamma * eta * t * c.j_p / (2 * c.k_p * c.k_p);  // SNR² = B/noise
  plan.sign_snr = std::sqrt(b / noise);
  plan.mirror_probability = std::erfc(plan.sign_snr / std::sqrt(2.0)) / 2;
  plan.batch =
      static_cast<std::size_t>(std::clamp(std::ceil(kMargin * kSafeSnr * kSafeSnr * noise), 1.0, 0x1p53));
  return plan;
}

}  // namespace telos::bigram
