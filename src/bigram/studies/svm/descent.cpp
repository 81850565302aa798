#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/limits.h"
#include "bigram/studies/numbers.h"
#include "bigram/studies/svm.h"
#include "telos/base/log.h"
#include "telos/linalg/decompositions.h"

namespace telos::bigram::studies::svm {
namespace {

/// x_tᵀ W z of the tokens of sample i.
void logits_of(const Problem& problem, std::size_t i, ConstMatrixView<double> w, std::span<double> logits) {
  const std::size_t d = problem.width();
  std::vector<double> query(d);
  for (std::size_t r = 0; r < d; ++r) query[r] = dot(w.row(r), problem.z.row(i), d);
  for (std::size_t t = 0; t < logits.size(); ++t) logits[t] = dot(problem.x[i].row(t), query.data(), d);
}

std::size_t argmax(std::span<const double> values) {
  return static_cast<std::size_t>(std::ranges::max_element(values) - values.begin());
}

/// log(1 + e^x).
double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

/// One sample's loss and derivative by its logits, the latter in units of e^log_scale.
struct Slope {
  double loss = 0, log_scale = 0;
  std::vector<double> by_logit{};
};

/// a_top and, of every other token, a_t = ρe_t with ρ that of the second: ∂f/∂logit_t in units of ρ.
Slope slope_of(std::span<const double> logits, const double* score) {
  const std::size_t tokens = logits.size(), top = argmax(logits);
  double second = -kInfinity;
  for (std::size_t t = 0; t < tokens; ++t)
    if (t != top) second = std::max(second, logits[t]);
  std::vector<double> e(tokens, 0);
  double sum = 0;
  for (std::size_t t = 0; t < tokens; ++t)
    if (t != top) sum += e[t] = std::exp(logits[t] - second);
  const double odds = std::exp(second - logits[top]), a_top = 1 / (1 + odds * sum), rho = odds * a_top;
  Slope slope{.by_logit = std::vector<double>(tokens, 0)};
  double f = score[top];  // Σ a_t γ_t = γ_top + Σ a_t(γ_t − γ_top)
  for (std::size_t t = 0; t < tokens; ++t) {
    if (t == top) continue;
    const double gap = score[t] - score[top];
    f += rho * e[t] * gap;
    slope.by_logit[t] += a_top * e[t] * gap;
    slope.by_logit[top] -= a_top * e[t] * gap;
    double others = 0;
    for (std::size_t s = 0; s < tokens; ++s) others += e[s] * (score[t] - score[s]);
    slope.by_logit[t] += rho * e[t] * others;
  }
  slope.loss = softplus(-f);
  slope.log_scale = second - logits[top] + std::log(a_top);
  for (double& value : slope.by_logit) value *= -1 / (1 + std::exp(f));
  return slope;
}

Slope textbook_slope(std::span<const double> logits, const double* score) {
  const std::size_t tokens = logits.size();
  std::vector<double> a(logits.begin(), logits.end());
  softmax_in_place(a);
  const double f = dot(a.data(), score, tokens);
  Slope slope{.loss = softplus(-f)};
  for (std::size_t t = 0; t < tokens; ++t)
    slope.by_logit.push_back(-a[t] * (score[t] - f) / (1 + std::exp(f)));
  return slope;
}

template <class SlopeOf>
Gradient sum_slopes(const Problem& problem, ConstMatrixView<double> w, const SlopeOf& slope_of_sample) {
  const std::size_t n = problem.samples(), d = problem.width();
  std::vector<Slope> slopes;
  std::vector<double> logits(problem.tokens()), by_query(d);
  Gradient g{.direction = Matrix<double>(d, d), .log_scale = -kInfinity};
  for (std::size_t i = 0; i < n; ++i) {
    logits_of(problem, i, w, logits);
    slopes.push_back(slope_of_sample(logits, problem.score.row(i)));
    g.loss += slopes.back().loss / static_cast<double>(n);
    g.log_scale = std::max(g.log_scale, slopes.back().log_scale);
  }
  for (std::size_t i = 0; i < n; ++i) {
    std::ranges::fill(by_query, 0);
    for (std::size_t t = 0; t < problem.tokens(); ++t)
      add(slopes[i].by_logit[t], problem.x[i].row(t), d, by_query.data());
    const double scale = std::exp(slopes[i].log_scale - g.log_scale) / static_cast<double>(n);
    for (std::size_t r = 0; r < d; ++r) add(scale * by_query[r], problem.z.row(i), d, g.direction.row(r));
  }
  return g;
}

/// By what a step multiplies the direction.
double step_size(Descent descent, double rate, const Gradient& g) {
  const double norm = frobenius_norm(g.direction);
  switch (descent) {
    case Descent::kPlain:
      return rate * std::exp(g.log_scale);
    case Descent::kTextbook:
      return rate / (norm + kEps);
    case Descent::kNormalised:
      break;
  }
  return norm > 0 ? rate / norm : 0;
}

}  // namespace

Problem make_problem(std::vector<Matrix<double>> x, Matrix<double> z, std::span<const double> v,
                     std::span<const double> labels) {
  Problem problem{std::move(x), std::move(z), {}};
  problem.score = Matrix<double>(problem.samples(), problem.x[0].rows());
  for (std::size_t i = 0; i < problem.samples(); ++i)
    for (std::size_t t = 0; t < problem.tokens(); ++t)
      problem.score(i, t) = labels[i] * dot(problem.x[i].row(t), v.data(), v.size());
  return problem;
}

std::vector<std::size_t> best_tokens(const Problem& problem) {
  std::vector<std::size_t> best;
  for (std::size_t i = 0; i < problem.samples(); ++i)
    best.push_back(argmax({problem.score.row(i), problem.tokens()}));
  return best;
}

std::vector<std::size_t> attended_tokens(const Problem& problem, ConstMatrixView<double> w) {
  std::vector<std::size_t> attended;
  std::vector<double> logits(problem.tokens());
  for (std::size_t i = 0; i < problem.samples(); ++i) {
    logits_of(problem, i, w, logits);
    attended.push_back(argmax(logits));
  }
  return attended;
}

Margin max_margin(const Problem& problem, std::span<const std::size_t> chosen) {
  constexpr std::size_t kMostSweeps = 100000;
  constexpr double kTolerance = 1e-14, kUnbounded = 1e10;
  const std::size_t n = problem.samples(), others = problem.tokens() - 1, d = problem.width(), m = n * others;
  Matrix<double> difference(m, d), k(m, m);  // x_chosen − x_t
  for (std::size_t i = 0, j = 0; i < n; ++i)
    for (std::size_t t = 0; t <= others; ++t) {
      if (t == chosen[i]) continue;
      for (std::size_t c = 0; c < d; ++c) difference(j, c) = problem.x[i](chosen[i], c) - problem.x[i](t, c);
      ++j;
    }
  for (std::size_t a = 0; a < m; ++a)
    for (std::size_t b = 0; b < m; ++b)
      k(a, b) = dot(difference.row(a), difference.row(b), d) *
                dot(problem.z.row(a / others), problem.z.row(b / others), d);
  Margin margin{.w = Matrix<double>(d, d), .lambda = std::vector<double>(m, 0)};
  double worst = kInfinity, total = 0;
  while (worst > kTolerance && margin.sweeps < kMostSweeps && total < kUnbounded) {
    check_interrupt();
    ++margin.sweeps;
    worst = total = 0;
    for (std::size_t j = 0; j < m; ++j) {
      const double short_of = 1 - dot(k.row(j), margin.lambda.data(), m);
      const double next = std::max(0.0, margin.lambda[j] + short_of / k(j, j));
      worst = std::max(worst, std::abs(next - margin.lambda[j]) / std::max(1.0, next));
      margin.lambda[j] = next;
      total += next;
    }
  }
  margin.separable = worst <= kTolerance;
  for (std::size_t j = 0; j < m; ++j)
    for (std::size_t r = 0; r < d; ++r)
      add(margin.lambda[j] * difference(j, r), problem.z.row(j / others), d, margin.w.row(r));
  return margin;
}

double smallest_margin(const Problem& problem, std::span<const std::size_t> chosen,
                       ConstMatrixView<double> w) {
  double smallest = kInfinity;
  std::vector<double> logits(problem.tokens());
  for (std::size_t i = 0; i < problem.samples(); ++i) {
    logits_of(problem, i, w, logits);
    for (std::size_t t = 0; t < logits.size(); ++t)
      if (t != chosen[i]) smallest = std::min(smallest, logits[chosen[i]] - logits[t]);
  }
  return smallest;
}

Gradient gradient(const Problem& problem, ConstMatrixView<double> w) {
  return sum_slopes(problem, w, slope_of);
}

Gradient textbook_gradient(const Problem& problem, ConstMatrixView<double> w) {
  return sum_slopes(problem, w, textbook_slope);
}

std::vector<Matrix<double>> descend(const Problem& problem, Descent descent, double rate,
                                    std::span<const std::size_t> at) {
  std::vector<Matrix<double>> path;
  Matrix<double> w(problem.width(), problem.width());
  std::size_t step = 0;
  for (const std::size_t until : at) {
    for (; step < until; ++step) {
      check_interrupt();
      const Gradient g = descent == Descent::kTextbook ? textbook_gradient(problem, w) : gradient(problem, w);
      add(-step_size(descent, rate, g), g.direction.data(), w.size(), w.data());
    }
    path.push_back(w.copy());
  }
  return path;
}

double correlation(ConstMatrixView<double> a, ConstMatrixView<double> b) {
  double product = 0;
  for (std::size_t r = 0; r < a.rows(); ++r) product += dot(a.row(r), b.row(r), a.cols());
  return product / (frobenius_norm(a) * frobenius_norm(b));
}

}  // namespace telos::bigram::studies::svm
