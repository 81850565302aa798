#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "base/limits.h"
#include "bigram/studies/numbers.h"
#include "bigram/studies/regression_mixture.h"
#include "telos/base/log.h"
#include "telos/nn/optimizer.h"

namespace telos::bigram::studies::mixture {
namespace {

constexpr std::uint32_t kTraining = 10, kStart = 11, kRestart = 12;  // streams

/// Keys, bias and log β in one vector, as the optimiser has them.
ReadOut unpack(std::span<const double> theta, std::size_t m, std::size_t d) {
  ReadOut model{Matrix<double>(m, d), {}, std::exp(theta.back())};
  std::copy_n(theta.data(), m * d, model.keys.data());
  model.bias.assign(theta.begin() + static_cast<std::ptrdiff_t>(m * d), theta.end() - 1);
  return model;
}

void pack(const ReadOut& model, double by_last, std::span<double> theta) {
  std::copy_n(model.keys.data(), model.keys.size(), theta.data());
  std::ranges::copy(model.bias, theta.begin() + static_cast<std::ptrdiff_t>(model.keys.size()));
  theta.back() = by_last;
}

/// What expectation maximisation needs of a prompt: XᵀX, Xᵀy, yᵀy, and least squares.
struct Moments {
  Matrix<double> xx;
  std::vector<double> xy, solution;
  double yy = 0, pairs = 0;
};

/// (A + εI)⁻¹b: few pairs leave directions open.
std::vector<double> solve_ridge(Matrix<double> a, std::span<const double> b) {
  std::vector<double> solution(b.begin(), b.end());
  for (std::size_t c = 0; c < b.size(); ++c) a(c, c) += 1e-9;
  solve_positive(a, solution);
  return solution;
}

Moments moments_of(const Prompt& prompt) {
  const std::size_t d = prompt.x.cols(), n = prompt.y.size();
  Moments m{Matrix<double>(d, d), std::vector<double>(d), {}, 0, static_cast<double>(n)};
  for (std::size_t i = 0; i < n; ++i) {
    m.yy += prompt.y[i] * prompt.y[i];
    for (std::size_t a = 0; a < d; ++a) {
      m.xy[a] += prompt.x(i, a) * prompt.y[i];
      for (std::size_t b = 0; b < d; ++b) m.xx(a, b) += prompt.x(i, a) * prompt.x(i, b);
    }
  }
  m.solution = solve_ridge(m.xx.copy(), m.xy);
  return m;
}

/// ‖y − Xw‖² = yᵀy − 2wᵀXᵀy + wᵀXᵀXw.
double residual(const Moments& m, const double* w) {
  double sum = m.yy;
  for (std::size_t a = 0; a < m.xy.size(); ++a) {
    sum -= 2 * w[a] * m.xy[a];
    for (std::size_t b = 0; b < m.xy.size(); ++b) sum += w[a] * m.xx(a, b) * w[b];
  }
  return std::max(sum, 0.0);
}

/// Least squares solutions of random prompts, drawn in proportion to the squared distance from those before.
Mixture draw_start(std::span<const Moments> prompts, std::size_t components, Random random) {
  const std::size_t d = prompts[0].xy.size();
  Mixture mixture{Matrix<double>(components, d),
                  std::vector<double>(components, 1 / static_cast<double>(components)), 1};
  std::vector<double> distance(prompts.size(), kInfinity);
  std::size_t next = random.below(static_cast<std::uint32_t>(prompts.size()));
  for (std::size_t j = 0; j < components; ++j) {
    std::ranges::copy(prompts[next].solution, mixture.w.row(j));
    double total = 0;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      double squares = 0;
      for (std::size_t c = 0; c < d; ++c) squares += std::pow(prompts[i].solution[c] - mixture.w(j, c), 2);
      total += distance[i] = std::min(distance[i], squares);
    }
    double left = random.uniform() * total;
    for (next = 0; next + 1 < prompts.size() && left >= distance[next]; ++next) left -= distance[next];
  }
  return mixture;
}

/// One iteration; returns the log likelihood of the mixture before it, up to a constant.
double maximise(std::span<const Moments> prompts, Mixture& mixture) {
  const std::size_t m = mixture.components(), d = mixture.width();
  std::vector<Matrix<double>> xx(m);
  Matrix<double> xy(m, d);
  std::vector<double> mass(m);
  double likelihood = 0, pairs = 0;
  Matrix<double> weight(prompts.size(), m);
  for (Matrix<double>& matrix : xx) matrix = Matrix<double>(d, d);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::vector<double> logits(m);
    for (std::size_t j = 0; j < m; ++j)
      logits[j] = std::log(mixture.prior[j]) -
                  residual(prompts[i], mixture.w.row(j)) / (2 * mixture.sigma * mixture.sigma);
    const double most = std::ranges::max(logits);
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - most);
    likelihood += most + std::log(sum) - prompts[i].pairs * std::log(mixture.sigma);
    pairs += prompts[i].pairs;
    for (std::size_t j = 0; j < m; ++j) {
      const double p = weight(i, j) = std::exp(logits[j] - most) / sum;
      mass[j] += p;
      for (std::size_t a = 0; a < d; ++a) {
        xy(j, a) += p * prompts[i].xy[a];
        for (std::size_t b = 0; b < d; ++b) xx[j](a, b) += p * prompts[i].xx(a, b);
      }
    }
  }
  for (std::size_t j = 0; j < m; ++j) {
    mixture.prior[j] = std::max(mass[j] / static_cast<double>(prompts.size()), 1e-300);
    if (mass[j] < 1e-9) continue;  // nobody's component: it stays where it is
    std::ranges::copy(solve_ridge(std::move(xx[j]), {xy.row(j), d}), mixture.w.row(j));
  }
  double squares = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    for (std::size_t j = 0; j < m; ++j) squares += weight(i, j) * residual(prompts[i], mixture.w.row(j));
  mixture.sigma = std::sqrt(std::max(squares / pairs, 1e-24));
  return likelihood;
}

}  // namespace

ReadOut train_read_out(const Mixture& mixture, const TrainingOptions& options, std::uint64_t seed,
                       const Arena& arena) {
  const std::size_t m = options.keys, d = mixture.width();
  nn::ParameterLayout layout;
  layout.add("keys", m, d);
  layout.add_vector("bias", m);
  layout.add_vector("log beta", 1);
  std::vector<double> theta(layout.size()), gradient(layout.size());
  Random random(seed, kStart);
  for (std::size_t e = 0; e < m * d; ++e)
    theta[e] = 0.3 * random.normal() / std::sqrt(static_cast<double>(d));
  nn::Optimizer<double> optimizer(layout, {});
  std::vector<ReadOut> slopes(options.batch);
  for (std::size_t step = 0; step < options.steps; ++step) {
    check_interrupt();
    const ReadOut model = unpack(theta, m, d);
    arena.parallel_for(options.batch, [&](std::size_t s) {
      slopes[s] = {Matrix<double>(m, d), std::vector<double>(m), 0};
      read_out_loss(model,
                    draw_prompt(mixture, options.pairs, Random(seed, kTraining, step * options.batch + s)),
                    slopes[s]);
    });
    ReadOut mean{Matrix<double>(m, d), std::vector<double>(m), 0};
    const double share = 1 / static_cast<double>(options.batch);
    for (const ReadOut& slope : slopes) {
      for (std::size_t e = 0; e < m * d; ++e) mean.keys.data()[e] += share * slope.keys.data()[e];
      for (std::size_t j = 0; j < m; ++j) mean.bias[j] += share * slope.bias[j];
      mean.beta += share * slope.beta;
    }
    pack(mean, mean.beta * model.beta, gradient);  // ∂/∂log β = β ∂/∂β
    const double done = static_cast<double>(step) / static_cast<double>(options.steps);
    optimizer.step(theta, gradient, options.rate * 0.5 * (1 + std::cos(std::numbers::pi * done)));
  }
  return unpack(theta, m, d);
}

Mixture fit_mixture(std::span<const Prompt> prompts, std::size_t components, std::uint64_t seed,
                    const Arena& arena) {
  constexpr std::size_t kStarts = 10, kMostIterations = 300;
  constexpr double kTolerance = 1e-8;
  std::vector<Moments> moments;
  for (const Prompt& prompt : prompts) moments.push_back(moments_of(prompt));
  std::array<Mixture, kStarts> fits;
  std::array<double, kStarts> likelihood{};
  arena.parallel_for(kStarts, [&](std::size_t s) {
    fits[s] = draw_start(moments, components, Random(seed, kRestart, s));
    double before = -kInfinity;
    for (std::size_t iteration = 0; iteration < kMostIterations; ++iteration) {
      check_interrupt();
      likelihood[s] = maximise(moments, fits[s]);
      if (likelihood[s] - before < kTolerance * std::abs(likelihood[s])) break;
      before = likelihood[s];
    }
  });
  return std::move(fits[static_cast<std::size_t>(std::ranges::max_element(likelihood) - likelihood.begin())]);
}

}  // namespace telos::bigram::studies::mixture
