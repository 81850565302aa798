#include "bigram/studies/linear_regression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "bigram/studies/frame.h"
#include "bigram/studies/numbers.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/base/quantity.h"
#include "telos/nn/optimizer.h"
#include "telos/report/charts.h"

namespace telos::bigram::studies {
namespace regression {

namespace {

enum Stream : std::uint32_t { kStart = 1, kTrain = 2, kHeldOut = 3 };
constexpr std::size_t kChunk = 64, kHeldOutPrompts = 4096, kPoints = 40;

/// x uniform on (−1, 1)^d.
Prompt draw_prompt(std::size_t d, std::size_t n, Random random) {
  Prompt p{Matrix<double>(n + 1, d), std::vector<double>(n)};
  std::vector<double> w(d);
  for (double& value : w) value = random.normal();
  for (std::size_t i = 0; i < p.x.size(); ++i) p.x.data()[i] = 2 * random.uniform() - 1;
  for (std::size_t i = 0; i < n; ++i) p.y[i] = dot(w.data(), p.x.row(i), d);
  p.target = dot(w.data(), p.x.row(n), d);
  return p;
}

/// The trained model beside the step of gradient descent, on the same prompts.
struct Comparison {
  Mean excess;        ///< of ½(y − ŷ)²
  double cosine = 0;  ///< of ∂ŷ/∂x_q, mean
};

Comparison compare(std::span<const double> theta, std::size_t d, std::size_t n, double eta,
                   const StudySetting& setting) {
  std::vector<double> excess(kHeldOutPrompts), cosine(kHeldOutPrompts);
  setting.arena.parallel_for(kHeldOutPrompts, [&](std::size_t s) {
    const Prompt prompt = draw_prompt(d, n, Random(setting.seed, kHeldOut, s));
    const Response model = respond(theta, prompt);
    std::vector<double> step(d);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t a = 0; a < d; ++a)
        step[a] += eta / static_cast<double>(n) * prompt.y[i] * prompt.x(i, a);
    const double of_step = dot(step.data(), prompt.x.row(n), d);
    const auto half_square = [&](double y) { return 0.5 * (y - prompt.target) * (y - prompt.target); };
    excess[s] = half_square(model.value) - half_square(of_step);
    const double* const slope = model.sensitivity.data();
    cosine[s] =
        dot(slope, step.data(), d) / std::sqrt(dot(slope, slope, d) * dot(step.data(), step.data(), d));
  });
  return {mean_of(excess), mean_of(cosine).value};
}

struct TrainedPoint {
  std::size_t step = 0;
  Comparison against_step;
};

/// The start of the theorem (Zhang, Frei and Bartlett): p picks y, K = [ΘΘᵀ; 0], both of norm 0.1; plus
/// noise.
std::vector<double> start(const StudySetting& setting) {
  static constexpr double kNorm = 0.1;
  const std::size_t d = setting.whole("d");
  Random random(setting.seed, kStart);
  Matrix<double> root(d, d);
  for (std::size_t i = 0; i < root.size(); ++i) root.data()[i] = random.normal();
  std::vector<double> theta((d + 1) * (d + 1));
  double squares = 0;
  for (std::size_t a = 0; a < d; ++a)
    for (std::size_t b = 0; b < d; ++b) {
      double& entry = theta[d + 1 + a * d + b];
      entry = dot(root.row(a), root.row(b), d);
      squares += entry * entry;
    }
  for (double& entry : theta) entry *= kNorm / std::sqrt(squares);
  theta[d] = kNorm;
  for (double& entry : theta) entry += setting.real("scatter") * random.normal();
  return theta;
}

std::vector<TrainedPoint> train(const StudySetting& setting, double eta) {
  const std::size_t d = setting.whole("d"), n = setting.whole("prompt"), batch = setting.whole("batch"),
                    steps = setting.whole("steps"), chunks = (batch + kChunk - 1) / kChunk;
  std::vector<double> theta = start(setting);
  nn::ParameterLayout layout;
  layout.add_vector("theta", theta.size());
  nn::Optimizer<double> adam(layout, {});
  Matrix<double> parts(chunks, theta.size());
  std::vector<TrainedPoint> curve = {{0, compare(theta, d, n, eta, setting)}};
  const std::size_t every = std::max<std::size_t>(1, steps / kPoints);
  Progress progress("linear-regression", "steps", static_cast<double>(steps));
  for (std::size_t step = 0; step < steps; ++step) {
    check_interrupt();
    setting.arena.parallel_for(chunks, [&](std::size_t c) {
      const std::span<double> part(parts.row(c), theta.size());
      std::fill(part.begin(), part.end(), 0.0);
      for (std::size_t s = c * kChunk; s < std::min(batch, (c + 1) * kChunk); ++s)
        add_gradient(theta, draw_prompt(d, n, Random(setting.seed, kTrain, step * batch + s)), part);
    });
    std::vector<double> gradient(theta.size());
    for (std::size_t c = 0; c < chunks; ++c)
      for (std::size_t i = 0; i < theta.size(); ++i) gradient[i] += parts(c, i) / static_cast<double>(batch);
    const double share = static_cast<double>(step) / static_cast<double>(steps);
    adam.step(theta, gradient, setting.real("rate") * 0.5 * (1 + std::cos(std::numbers::pi * share)));
    progress.advance();
    if ((step + 1) % every == 0 || step + 1 == steps)
      curve.push_back({step + 1, compare(theta, d, n, eta, setting)});
  }
  return curve;
}

Table curve_table(const std::vector<TrainedPoint>& curve, double line) {
  Table t{.id = "linear_regression_curve",
          .title = "Course of the training",
          .caption = "On 4,096 prompts that were not trained on, the same ones each time.",
          .columns = {{"step", "", ""},
                      {"loss", "",
                       "½(y − ŷ)²: the excess over the step of gradient descent on the same prompts, "
                       "plus that step's exact loss",
                       6},
                      {"±", "", "standard error of the excess"},
                      {"cosine", "", "of ∂ŷ/∂x_q between the model and the step, mean over prompts", 6}},
          .rows = {}};
  for (const TrainedPoint& p : curve)
    t.rows.push_back({static_cast<std::int64_t>(p.step), line + p.against_step.excess.value,
                      p.against_step.excess.error, p.against_step.cosine});
  return t;
}

Figure curve_figure(const std::vector<TrainedPoint>& curve, double line) {
  Series trained{.name = "trained linear attention", .x = {}, .y = {}, .low = {}, .high = {}};
  Series theory{.name = "one step of gradient descent",
                .x = {0, static_cast<double>(curve.back().step)},
                .y = {line, line},
                .low = {},
                .high = {},
                .dashed = true};
  for (const TrainedPoint& p : curve) {
    const double loss = line + p.against_step.excess.value;
    trained.x.push_back(static_cast<double>(p.step));
    trained.y.push_back(loss);
    trained.low.push_back(loss - 2 * p.against_step.excess.error);
    trained.high.push_back(loss + 2 * p.against_step.excess.error);
  }
  return line_chart(
      {.id = "linear-regression",
       .title =
           fmt::format("Trained linear attention has loss {}, one step of gradient descent {}",
                       format_number(line + curve.back().against_step.excess.value), format_number(line)),
       .caption = "Loss ½(y − ŷ)² on prompts that were not trained on, with two standard errors. "
                  "Dashed: the exact loss of w = (η*/n)Σ y x. x uniform on (−1, 1)^d; all "
                  "parameters of the attention trained by Adam on fresh prompts.",
       .alt = "Loss against training step, falling to a dashed line",
       .x_label = "step",
       .y_label = "loss"},
      {trained, theory});
}

/// Gradient descent on the exact loss of the reduced attention, x ~ N(0, diag(1, 1/2, …, 1/d)).
void check_flow(const StudySetting& setting, StudyResult& result) {
  static constexpr double kSmall = 1e-2, kRate = 0.05, kBend = 40;
  GaussianTask task{{}, setting.whole("prompt")};
  for (std::size_t a = 1; a <= setting.whole("d"); ++a)
    task.eigenvalues.push_back(1 / static_cast<double>(a));
  const std::vector<double> c = gamma(task);
  const double slowest = task.eigenvalues.back() * task.eigenvalues.back() * c.back();
  const auto steps = static_cast<std::size_t>(kBend / kRate * (1 + c.front() / slowest));
  const Factors f = descend(task, kSmall, kRate, steps);
  Matrix<double> g = f.matrix.copy();
  double distance = 0;
  for (std::size_t a = 0; a < c.size(); ++a)
    for (std::size_t b = 0; b < c.size(); ++b) {
      g(a, b) *= f.u;
      distance = std::max(distance, std::abs(g(a, b) - (a == b ? 1 / c[a] : 0)));
    }
  const double scale = balanced_scale(task), least = least_loss(task);
  result.checks.push_back(
      {"Gaussian x, exact gradient: loss after training, and its least value tr Λ − tr(Λ²Γ⁻¹)", least,
       population_loss(task, g), 1e-8 * least});
  result.checks.push_back({"  largest deviation of G from Γ⁻¹", 0, distance, 1e-6});
  result.checks.push_back({"  scale u of the value matrix, and tr(Γ⁻²)^{1/4}", scale, f.u, 0.02 * scale});
}

void run(const StudySetting& setting, StudyResult& result) {
  const std::size_t d = setting.whole("d"), n = setting.whole("prompt");
  check_flow(setting, result);
  const OneStep best = best_step(d, n, 1.0 / 3, 1.0 / 5);
  const std::vector<TrainedPoint> curve = train(setting, best.eta);
  const Comparison& end = curve.back().against_step;
  result.checks.push_back(
      {"uniform x, sampled prompts: loss after training, and of the best step of gradient descent", best.loss,
       best.loss + end.excess.value, 0.015 * best.loss + 4 * end.excess.error});
  result.checks.push_back({"  cosine of ∂ŷ/∂x_q between model and step", 1, end.cosine, 0.02});
  result.holds = true;
  result.measured = fmt::format(
      "The trained attention has loss {}, one step of descent with η* = {} has {}; cosine of their "
      "sensitivities {}.",
      format_number(best.loss + end.excess.value), format_number(best.eta), format_number(best.loss),
      fixed(end.cosine, 4));
  result.figure = curve_figure(curve, best.loss);
  result.tables = {curve_table(curve, best.loss)};
  result.notes = {
      fmt::format("Trained on {} prompts of {} pairs.",
                  format_count(setting.whole("batch") * setting.whole("steps")), n),
      "From a start with noise in every entry (scatter) training can end above: the entries that the theorem "
      "starts at 0 form a second, rank-one answer.",
      "η* and the loss of the step are exact for independent coordinates of any law (E x², E x⁴)."};
}

}  // namespace
}  // namespace regression

Study linear_regression_study() {
  return {
      {"linear-regression",
       "Linear regression in context",
       "von Oswald et al. 2023, arXiv 2212.07677; Zhang, Frei, Bartlett 2024, arXiv 2306.09927; Ahn et al. "
       "2023, arXiv 2306.00297",
       "Linear attention trained on regression prompts makes one step of gradient descent on them, with the "
       "best step size.",
       {{"d", "width of x", 10, 1, 20},
        {"prompt", "pairs in a prompt", 10, 1, 256},
        {"batch", "prompts a step", 256, 1, 4096},
        {"steps", "steps of Adam", 1000, 1, 100000},
        {"scatter", "deviation of what is added to every entry at the start", 0, 0, 10, false},
        {"rate", "first step size of Adam", 0.01, 1e-6, 1, false}}},
      regression::run};
}

}  // namespace telos::bigram::studies
