#include "bigram/studies/looped_regression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "bigram/studies/frame.h"
#include "bigram/studies/linear_regression.h"
#include "bigram/studies/numbers.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/report/charts.h"

namespace telos::bigram::studies {
namespace looped {

namespace {

/// The root of an increasing function that is negative at 0.
template <class Function>
double increasing_root(const Function& f) {
  double low = 0, high = 1;
  while (f(high) < 0) high *= 2;
  for (double middle = 0.5 * (low + high); middle > low && middle < high; middle = 0.5 * (low + high))
    (f(middle) < 0 ? low : high) = middle;
  return high;
}

Matrix<double> product(ConstMatrixView<double> a, ConstMatrixView<double> b) {
  Matrix<double> c(a.rows(), b.cols());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t k = 0; k < a.cols(); ++k)
      for (std::size_t j = 0; j < b.cols(); ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}

Matrix<double> transposed(ConstMatrixView<double> a) {
  Matrix<double> t(a.cols(), a.rows());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) t(j, i) = a(i, j);
  return t;
}

Matrix<double> scaled_identity(std::size_t d, double value) {
  Matrix<double> m(d, d);
  for (std::size_t i = 0; i < d; ++i) m(i, i) = value;
  return m;
}

}  // namespace

Quadrature mean_square_law(std::size_t prompt, std::size_t points) {
  const double n = static_cast<double>(prompt), alpha = n / 2 - 1;
  Matrix<double> jacobi(points, points);
  for (std::size_t i = 0; i < points; ++i) {
    const double k = static_cast<double>(i);
    jacobi(i, i) = (2 * k + alpha + 1) * 2 / n;
    if (i > 0) jacobi(i, i - 1) = std::sqrt(k * (k + alpha)) * 2 / n;
  }
  const SymmetricEigen eigen = symmetric_eigen(jacobi, true);
  Quadrature law{eigen.values, {}};
  for (std::size_t i = 0; i < points; ++i) law.weight.push_back(eigen.vectors(0, i) * eigen.vectors(0, i));
  return law;
}

double scalar_loss(const Quadrature& law, double a, std::size_t loops) {
  double loss = 0;
  for (std::size_t i = 0; i < law.node.size(); ++i)
    loss += law.weight[i] * std::pow(1 - a * law.node[i], static_cast<double>(2 * loops));
  return loss;
}

Best best_scalar(std::size_t prompt, std::size_t loops) {
  const Quadrature law = mean_square_law(prompt, loops + 1);
  const double a = increasing_root([&](double value) {
    double slope = 0;
    for (std::size_t i = 0; i < law.node.size(); ++i)
      slope -=
          law.weight[i] * law.node[i] * std::pow(1 - value * law.node[i], static_cast<double>(2 * loops - 1));
    return slope;
  });
  return {a, scalar_loss(law, a, loops)};
}

double loop_loss(ConstMatrixView<double> s, std::span<const double> eigenvalues, ConstMatrixView<double> a,
                 std::size_t loops, MatrixView<double> gradient) {
  const std::size_t d = eigenvalues.size();
  Matrix<double> step = product(a, s);  // P = I − AS
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) step(i, j) = (i == j ? 1 : 0) - step(i, j);
  std::vector<Matrix<double>> power;
  power.push_back(scaled_identity(d, 1));
  for (std::size_t l = 0; l < loops; ++l) power.push_back(product(step, power.back()));
  double loss = 0;
  Matrix<double> back(d, d);  // derivative by P^l, from l = L down
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      const double value = power.back()(i, j);
      loss += eigenvalues[i] * value * value;
      back(i, j) = 2 * eigenvalues[i] * value;
    }
  const Matrix<double> step_transposed = transposed(step);
  for (std::size_t l = loops; l-- > 0;) {
    const Matrix<double> part = product(back, transposed(product(s, power[l])));
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j) gradient(i, j) -= part(i, j);
    back = product(step_transposed, back);
  }
  return loss;
}

namespace {

enum Stream : std::uint32_t { kTrain = 1, kHeldOut = 2 };

/// Prompts as the loss sees them: S of each.
struct Prompts {
  std::vector<double> eigenvalues;
  std::vector<Matrix<double>> s;
};

Prompts draw_prompts(const StudySetting& setting, Stream stream) {
  const std::size_t d = setting.whole("d"), n = setting.whole("prompt");
  Prompts prompts{{}, std::vector<Matrix<double>>(setting.whole("prompts"))};
  for (std::size_t a = 1; a <= d; ++a) prompts.eigenvalues.push_back(1 / static_cast<double>(a));
  setting.arena.parallel_for(prompts.s.size(), [&](std::size_t p) {
    Random random(setting.seed, stream, p);
    Matrix<double> s(d, d);
    std::vector<double> x(d);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t a = 0; a < d; ++a) x[a] = std::sqrt(prompts.eigenvalues[a]) * random.normal();
      for (std::size_t a = 0; a < d; ++a)
        for (std::size_t b = 0; b < d; ++b) s(a, b) += x[a] * x[b] / static_cast<double>(n);
    }
    prompts.s[p] = std::move(s);
  });
  return prompts;
}

/// Loss of each prompt, and the mean gradient.
struct Losses {
  std::vector<double> each;
  double mean = 0;
  Matrix<double> gradient;
};

Losses losses_of(const Prompts& prompts, ConstMatrixView<double> a, std::size_t loops, const Arena& arena) {
  check_interrupt();
  const std::size_t count = prompts.s.size(), d = prompts.eigenvalues.size();
  Losses losses{std::vector<double>(count), 0, Matrix<double>(d, d)};
  std::vector<Matrix<double>> gradients(count);
  arena.parallel_for(count, [&](std::size_t p) {
    gradients[p] = Matrix<double>(d, d);
    losses.each[p] = loop_loss(prompts.s[p], prompts.eigenvalues, a, loops, gradients[p]);
  });
  for (std::size_t p = 0; p < count; ++p) {
    losses.mean += losses.each[p] / static_cast<double>(count);
    for (std::size_t i = 0; i < d * d; ++i)
      losses.gradient.data()[i] += gradients[p].data()[i] / static_cast<double>(count);
  }
  return losses;
}

/// The best A = ηI: the loss is convex in η.
double best_step_size(const Prompts& prompts, std::size_t loops, const Arena& arena) {
  const std::size_t d = prompts.eigenvalues.size();
  double low = 0, high = 1;
  const auto slope = [&](double eta) {
    const Losses losses = losses_of(prompts, scaled_identity(d, eta), loops, arena);
    double sum = 0;
    for (std::size_t i = 0; i < d; ++i) sum += losses.gradient(i, i);
    return sum;
  };
  while (slope(high) < 0) high *= 2;
  for (int i = 0; i < 26; ++i) {
    const double middle = 0.5 * (low + high);
    (slope(middle) < 0 ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

/// Gradient descent on A from ηI. Entry (a, b) of the gradient is over λ_a λ_b, the scale of the loss there;
/// a step that would not lower the loss is halved.
Matrix<double> train(const Prompts& prompts, double eta, std::size_t loops, std::size_t iterations,
                     const Arena& arena) {
  const std::size_t d = prompts.eigenvalues.size();
  Matrix<double> a = scaled_identity(d, eta);
  Losses now = losses_of(prompts, a, loops, arena);
  double rate = 1;
  for (std::size_t i = 0; i < iterations && rate > 1e-9; ++i) {
    Matrix<double> next = a.copy();
    for (std::size_t r = 0; r < d; ++r)
      for (std::size_t c = 0; c < d; ++c)
        next(r, c) -= rate * now.gradient(r, c) / (prompts.eigenvalues[r] * prompts.eigenvalues[c]);
    Losses then = losses_of(prompts, next, loops, arena);
    const bool lower = then.mean < now.mean;
    rate *= lower ? 1.5 : 0.5;
    if (!lower) continue;
    a = std::move(next);
    now = std::move(then);
  }
  return a;
}

/// What one number of loops gives, on prompts that were not trained on.
struct Row {
  std::size_t loops = 0;
  Best scalar;  ///< d = 1, exact
  double eta = 0, descent = 0;
  Mean looped{};
  Mean gain{};  ///< loss of descent less that of the looped layer, prompt by prompt
};

Row measure(const StudySetting& setting, const Prompts& trained, const Prompts& held_out, std::size_t loops) {
  Row row{.loops = loops, .scalar = best_scalar(setting.whole("prompt"), loops)};
  row.eta = best_step_size(trained, loops, setting.arena);
  const Matrix<double> a = train(trained, row.eta, loops, setting.whole("iterations"), setting.arena);
  const Losses looped = losses_of(held_out, a, loops, setting.arena);
  const Losses descent =
      losses_of(held_out, scaled_identity(setting.whole("d"), row.eta), loops, setting.arena);
  row.descent = descent.mean;
  row.looped = mean_of(looped.each);
  std::vector<double> gain(looped.each.size());
  std::transform(descent.each.begin(), descent.each.end(), looped.each.begin(), gain.begin(), std::minus<>());
  row.gain = mean_of(gain);
  return row;
}

Table loops_table(const std::vector<Row>& rows) {
  Table t{.id = "looped_regression_loops",
          .title = "Loss by number of loops",
          .caption = "Losses are E(ŷ − y)² on prompts that were not trained on; for d = 1 exact.",
          .columns = {{"L", "", "loops, or steps of descent"},
                      {"looped", "", "loss with the trained A"},
                      {"±", "", "its standard error"},
                      {"descent", "", "loss of L steps of gradient descent with the best step size"},
                      {"η", "", "that step size"},
                      {"gain", "", "descent less looped, prompt by prompt"},
                      {"± ", "", "its standard error"},
                      {"a*, d = 1", "", "best A for one coordinate, exact", 8},
                      {"loss, d = 1", "", "E(1 − a*S)^{2L}", 8}},
          .rows = {}};
  for (const Row& r : rows)
    t.rows.push_back({static_cast<std::int64_t>(r.loops), r.looped.value, r.looped.error, r.descent, r.eta,
                      r.gain.value, r.gain.error, r.scalar.a, r.scalar.loss});
  return t;
}

Figure loops_figure(const std::vector<Row>& rows, std::size_t d) {
  Series looped{.name = fmt::format("looped layer, d = {}", d), .x = {}, .y = {}, .low = {}, .high = {}};
  Series descent{.name = fmt::format("gradient descent, best step size, d = {}", d),
                 .x = {},
                 .y = {},
                 .low = {},
                 .high = {}};
  Series scalar{.name = "d = 1, exact", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (const Row& r : rows) {
    for (Series* s : {&looped, &descent, &scalar}) s->x.push_back(static_cast<double>(r.loops));
    looped.y.push_back(r.looped.value);
    looped.low.push_back(std::max(r.looped.value - 2 * r.looped.error, 0.5 * r.looped.value));
    looped.high.push_back(r.looped.value + 2 * r.looped.error);
    descent.y.push_back(r.descent);
    scalar.y.push_back(r.scalar.loss);
  }
  return line_chart(
      {.id = "looped-regression",
       .title =
           fmt::format("{} loops leave {} of the loss that {} steps of gradient descent leave", rows.size(),
                       percent(rows.back().looped.value / rows.back().descent), rows.size()),
       .caption = "A layer that is looped L times with one trained matrix A, against L steps of "
                  "gradient descent with the step size that is best for that L. x ~ N(0, diag(1, "
                  "1/2, …, 1/d)), new prompts, two standard errors. Dashed: one coordinate, exact.",
       .alt = "Loss against the number of loops, three falling lines",
       .x_label = "loops L",
       .y_label = "loss",
       .log_y = true},
      {looped, descent, scalar});
}

void run(const StudySetting& setting, StudyResult& result) {
  const std::size_t n = setting.whole("prompt"), loops = setting.whole("loops");
  const Prompts trained = draw_prompts(setting, kTrain), held_out = draw_prompts(setting, kHeldOut);
  Progress progress("looped-regression", "loops", static_cast<double>(loops));
  std::vector<Row> rows;
  for (std::size_t l = 1; l <= loops; ++l) {
    rows.push_back(measure(setting, trained, held_out, l));
    progress.advance();
  }
  const double count = static_cast<double>(n);
  result.checks.push_back({"d = 1, L = 1: best a, n/(n + 2)", count / (count + 2), rows[0].scalar.a, 1e-9});
  result.checks.push_back({"  loss, 2/(n + 2)", 2 / (count + 2), rows[0].scalar.loss, 1e-12});
  result.checks.push_back({"L = 1: trained loss, and tr Λ − tr(Λ²Γ⁻¹)",
                           regression::least_loss({trained.eigenvalues, n}), rows[0].looped.value,
                           4 * rows[0].looped.error});
  result.holds = true;
  for (const Row& r : rows)
    result.holds = result.holds && r.gain.value >= -2 * r.gain.error - 1e-6 * r.descent;
  const Row& last = rows.back();
  result.measured =
      fmt::format("After {} loops the loss is {}, after {} steps of gradient descent at its best {}.", loops,
                  plus_minus(last.looped.value, last.looped.error), loops, format_number(last.descent, 3));
  result.figure = loops_figure(rows, setting.whole("d"));
  result.tables = {loops_table(rows)};
  result.notes = {
      "For one coordinate the best a falls as loops are added: what a long loop must not do is overshoot.",
      "A is trained on a fixed set of prompts, from the best step size, by descent on their exact mean "
      "loss."};
}

}  // namespace
}  // namespace looped

Study looped_regression_study() {
  return {
      {"looped-regression",
       "Linear regression by a looped layer",
       "Gatmiry et al. 2024, arXiv 2410.08292",
       "A looped linear attention layer learns preconditioned gradient descent, and is at least as good as "
       "gradient descent with the best step size.",
       {{"d", "width of x", 3, 1, 16},
        {"prompt", "pairs in a prompt", 20, 2, 256},
        {"loops", "most loops", 4, 1, 8},
        {"prompts", "prompts to train on, and as many to measure on", 1000, 100, 20000},
        {"iterations", "steps of descent on A", 60, 1, 10000}}},
      looped::run};
}

}  // namespace telos::bigram::studies
