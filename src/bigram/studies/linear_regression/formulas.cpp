#include "bigram/studies/linear_regression.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "telos/base/log.h"

// The formulas of the study: exact losses, and the attention of one prompt.

namespace telos::bigram::studies::regression {

std::vector<double> gamma(const GaussianTask& task) {
  const double n = static_cast<double>(task.prompt);
  const double trace = std::accumulate(task.eigenvalues.begin(), task.eigenvalues.end(), 0.0);
  std::vector<double> result;
  for (const double value : task.eigenvalues) result.push_back((1 + 1 / n) * value + trace / n);
  return result;
}

double predict(ConstMatrixView<double> g, ConstMatrixView<double> x, std::span<const double> y,
               std::span<const double> query) {
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i)
    for (std::size_t a = 0; a < query.size(); ++a)
      for (std::size_t b = 0; b < query.size(); ++b) sum += query[a] * g(a, b) * y[i] * x(i, b);
  return sum / static_cast<double>(y.size());
}

double population_loss(const GaussianTask& task, ConstMatrixView<double> g) {
  const std::vector<double>& l = task.eigenvalues;
  const std::vector<double> c = gamma(task);
  double loss = 0;
  for (std::size_t a = 0; a < l.size(); ++a) {
    loss += l[a] - 2 * l[a] * l[a] * g(a, a);
    for (std::size_t b = 0; b < l.size(); ++b) loss += l[a] * g(a, b) * g(a, b) * l[b] * c[b];
  }
  return loss;
}

Matrix<double> population_gradient(const GaussianTask& task, ConstMatrixView<double> g) {
  const std::vector<double>& l = task.eigenvalues;
  const std::vector<double> c = gamma(task);
  Matrix<double> gradient(l.size(), l.size());
  for (std::size_t a = 0; a < l.size(); ++a)
    for (std::size_t b = 0; b < l.size(); ++b)
      gradient(a, b) = 2 * l[a] * (g(a, b) * c[b] - (a == b ? 1 : 0)) * l[b];
  return gradient;
}

double least_loss(const GaussianTask& task) {
  const std::vector<double> c = gamma(task);
  double loss = 0;
  for (std::size_t a = 0; a < c.size(); ++a)
    loss += task.eigenvalues[a] - task.eigenvalues[a] * task.eigenvalues[a] / c[a];
  return loss;
}

double balanced_scale(const GaussianTask& task) {
  double sum = 0;
  for (const double c : gamma(task)) sum += 1 / (c * c);
  return std::sqrt(std::sqrt(sum));
}

Factors descend(const GaussianTask& task, double start, double rate, std::size_t steps) {
  const std::size_t d = task.eigenvalues.size();
  const std::vector<double> c = gamma(task);
  double curvature = 0;
  for (std::size_t a = 0; a < d; ++a)
    curvature = std::max(curvature, 2 * task.eigenvalues[a] * task.eigenvalues[a] * c[a]);
  const double eta = rate / (curvature * balanced_scale(task) * balanced_scale(task));
  Factors f{start, Matrix<double>(d, d)};
  for (std::size_t a = 0; a < d; ++a) f.matrix(a, a) = start / std::sqrt(static_cast<double>(d));
  Matrix<double> g(d, d);
  for (std::size_t step = 0; step < steps; ++step) {
    if (step % 1024 == 0) check_interrupt();
    for (std::size_t i = 0; i < g.size(); ++i) g.data()[i] = f.u * f.matrix.data()[i];
    const Matrix<double> gradient = population_gradient(task, g);
    double by_u = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      by_u += gradient.data()[i] * f.matrix.data()[i];
      f.matrix.data()[i] -= eta * gradient.data()[i] * f.u;
    }
    f.u -= eta * by_u;
  }
  return f;
}

OneStep best_step(std::size_t d, std::size_t prompt, double s, double m4) {
  const double width = static_cast<double>(d), n = static_cast<double>(prompt);
  const double fourth = width * m4 + width * (width - 1) * s * s;
  const double r = fourth / n + (1 - 1 / n) * width * s * s;
  return {width * s / r, 0.5 * s * (width - width * width * s * s / r)};
}

namespace {

/// e_i · v for the token i of a prompt.
double token_product(const Prompt& prompt, std::size_t i, const double* v) {
  const std::size_t d = prompt.x.cols();
  double sum = i < prompt.y.size() ? prompt.y[i] * v[d] : 0;
  for (std::size_t a = 0; a < d; ++a) sum += prompt.x(i, a) * v[a];
  return sum;
}

/// S v.
std::vector<double> apply_tokens(const Prompt& prompt, const double* v) {
  const std::size_t d = prompt.x.cols(), n = prompt.y.size();
  std::vector<double> out(d + 1);
  for (std::size_t i = 0; i <= n; ++i) {
    const double product = token_product(prompt, i, v) / static_cast<double>(n);
    for (std::size_t a = 0; a < d; ++a) out[a] += product * prompt.x(i, a);
    if (i < n) out[d] += product * prompt.y[i];
  }
  return out;
}

/// h = K x_q.
std::vector<double> query_of(std::span<const double> theta, const Prompt& prompt) {
  const std::size_t d = prompt.x.cols();
  const double* key = theta.data() + d + 1;
  const double* query = prompt.x.row(prompt.y.size());
  std::vector<double> h(d + 1);
  for (std::size_t a = 0; a <= d; ++a) h[a] = std::inner_product(query, query + d, key + a * d, 0.0);
  return h;
}

}  // namespace

Response respond(std::span<const double> theta, const Prompt& prompt) {
  const std::size_t d = prompt.x.cols(), n = prompt.y.size();
  const std::vector<double> h = query_of(theta, prompt), u = apply_tokens(prompt, theta.data());
  Response r{std::inner_product(u.begin(), u.end(), h.begin(), 0.0), std::vector<double>(d)};
  const double by_value = token_product(prompt, n, theta.data()) / static_cast<double>(n);
  const double by_key = token_product(prompt, n, h.data()) / static_cast<double>(n);
  for (std::size_t b = 0; b < d; ++b) {
    r.sensitivity[b] = by_value * h[b] + by_key * theta[b];
    for (std::size_t a = 0; a <= d; ++a) r.sensitivity[b] += theta[d + 1 + a * d + b] * u[a];
  }
  return r;
}

double add_gradient(std::span<const double> theta, const Prompt& prompt, std::span<double> gradient) {
  const std::size_t d = prompt.x.cols();
  const std::vector<double> h = query_of(theta, prompt), u = apply_tokens(prompt, theta.data());
  const double residual = std::inner_product(u.begin(), u.end(), h.begin(), 0.0) - prompt.target;
  const std::vector<double> by_value = apply_tokens(prompt, h.data());
  const double* query = prompt.x.row(prompt.y.size());
  for (std::size_t a = 0; a <= d; ++a) {
    gradient[a] += residual * by_value[a];
    for (std::size_t b = 0; b < d; ++b) gradient[d + 1 + a * d + b] += residual * u[a] * query[b];
  }
  return 0.5 * residual * residual;
}

}  // namespace telos::bigram::studies::regression
