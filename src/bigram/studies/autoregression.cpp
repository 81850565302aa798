#include "bigram/studies/autoregression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/limits.h"
#include "bigram/studies/frame.h"
#include "bigram/studies/numbers.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/report/charts.h"

namespace telos::bigram::studies {
namespace autoregressive {

double augmented_loss(std::size_t d, std::span<const double> eta) {
  const double width = static_cast<double>(d), sum = std::accumulate(eta.begin(), eta.end(), 0.0);
  const double squares = std::inner_product(eta.begin(), eta.end(), eta.begin(), 0.0);
  return width * ((1 - sum) * (1 - sum) + (width - 1) * squares);
}

OneStep best_augmented(std::size_t d, std::size_t length) {
  const double width = static_cast<double>(d), eta = 1 / static_cast<double>(length + d - 1);
  return {eta, width * (width - 1) * eta};
}

namespace {

/// ‖C‖²_F, C1, ‖C1‖², tr C and ‖p_T C − I‖²_F, in which nothing cancels.
struct Shape {
  double squares = 0, ones = 0, trace = 0, residual = 0;
  std::vector<double> row_sum;
};

Shape shape_of(ConstMatrixView<double> c, double last) {
  Shape s{.row_sum = std::vector<double>(c.rows())};
  for (std::size_t i = 0; i < c.rows(); ++i) {
    for (std::size_t j = 0; j < c.cols(); ++j) {
      const double value = c(i, j), error = last * value - (i == j ? 1 : 0);
      s.squares += value * value;
      s.residual += error * error;
      s.row_sum[i] += value;
    }
    s.trace += c(i, i);
    s.ones += s.row_sum[i] * s.row_sum[i];
  }
  return s;
}

}  // namespace

double masked_gradient(ConstMatrixView<double> c, std::span<const double> p, MatrixView<double> by_c,
                       std::span<double> by_p) {
  const std::size_t d = c.rows(), last = p.size() - 1;
  const Shape s = shape_of(c, p[last]);
  double earlier = 0;  // Σ p_t², t < T − 1
  for (std::size_t t = 0; t + 1 < last; ++t) earlier += p[t] * p[t];
  const double before = last > 0 ? p[last - 1] * p[last - 1] : 0;  // p_{T−1}²
  for (std::size_t t = 0; t <= last; ++t) by_p[t] += 2 * p[t] * (t + 1 == last ? s.ones : s.squares);
  by_p[last] -= 2 * s.trace;
  const double others = earlier + p[last] * p[last];
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j)
      by_c(i, j) += 2 * others * c(i, j) + 2 * before * s.row_sum[i] - (i == j ? 2 * p[last] : 0);
  return s.residual + earlier * s.squares + before * s.ones;
}

double masked_loss(ConstMatrixView<double> c, std::span<const double> p) {
  Matrix<double> by_c(c.rows(), c.cols());
  std::vector<double> by_p(p.size());
  return masked_gradient(c, p, by_c, by_p);
}

double masked_error(ConstMatrixView<double> c, std::span<const double> p,
                    std::span<const std::complex<double>> lambda) {
  const std::size_t d = lambda.size();
  std::vector<std::complex<double>> state(lambda.begin(), lambda.end()), answer(d);  // state: s_t, t = 1
  std::vector<std::complex<double>> query(d);                                        // s_{T−1}
  for (std::size_t j = 0; j < d; ++j) query[j] = std::pow(lambda[j], static_cast<double>(p.size()) - 1);
  for (const double weight : p) {
    for (std::size_t i = 0; i < d; ++i) {
      std::complex<double> score = 0;
      for (std::size_t j = 0; j < d; ++j) score += c(i, j) * std::conj(query[j]) * state[j];
      answer[i] += weight * score * state[i];
    }
    for (std::size_t j = 0; j < d; ++j) state[j] *= lambda[j];
  }
  double error = 0;
  for (std::size_t i = 0; i < d; ++i) error += std::norm(answer[i] - state[i]);
  return error;
}

Matrix<double> combined(const Masked& model) {
  Matrix<double> c(model.b.cols(), model.b.cols());
  for (std::size_t h = 0; h < model.b.rows(); ++h)
    for (std::size_t i = 0; i < c.rows(); ++i)
      for (std::size_t j = 0; j < c.cols(); ++j) c(i, j) += model.b(h, i) * model.a(h, j);
  return c;
}

double mean_loss(const Masked& model) {
  const Matrix<double> c = combined(model);
  double sum = 0;
  for (std::size_t q = 0; q < model.mask.rows(); ++q) sum += masked_loss(c, {model.mask.row(q), q + 1});
  return sum / static_cast<double>(model.mask.rows());
}

namespace {

enum Stream : std::uint32_t { kStart = 1, kSequences = 2, kWeights = 3 };

/// One step on the sum over prefixes of the exact losses.
void step(Masked& model, double rate) {
  const Matrix<double> c = combined(model);
  const std::size_t d = c.rows(), length = model.mask.rows();
  Matrix<double> by_c(d, d), by_mask(length, length);
  for (std::size_t q = 0; q < length; ++q)
    masked_gradient(c, {model.mask.row(q), q + 1}, by_c, {by_mask.row(q), q + 1});
  for (std::size_t h = 0; h < model.b.rows(); ++h) {
    std::vector<double> by_b(d), by_a(d);
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j) {
        by_b[i] += by_c(i, j) * model.a(h, j);
        by_a[j] += by_c(i, j) * model.b(h, i);
      }
    for (std::size_t i = 0; i < d; ++i) {
      model.b(h, i) -= rate * by_b[i];
      model.a(h, i) -= rate * by_a[i];
    }
  }
  for (std::size_t i = 0; i < by_mask.size(); ++i) model.mask.data()[i] -= rate * by_mask.data()[i];
}

struct Trained {
  Masked model;
  double floor = 0;
  std::vector<double> step, loss;
};

/// Gradient descent from 0.1·N(0, 1).
Trained train(const StudySetting& setting, std::size_t heads) {
  const std::size_t d = setting.whole("d"), length = setting.whole("length"), steps = setting.whole("steps");
  Trained t{{Matrix<double>(heads, d), Matrix<double>(heads, d), Matrix<double>(length, length)},
            static_cast<double>(d - std::min(d, heads)),
            {},
            {}};
  Random random(setting.seed, kStart, heads);
  for (Matrix<double>* m : {&t.model.b, &t.model.a})
    for (std::size_t i = 0; i < m->size(); ++i) m->data()[i] = 0.1 * random.normal();
  for (std::size_t q = 0; q < length; ++q)
    for (std::size_t s = 0; s <= q; ++s) t.model.mask(q, s) = 0.1 * random.normal();
  std::size_t next = 0;
  for (std::size_t i = 0; i <= steps; ++i) {
    check_interrupt();
    if (i == next || i == steps) {
      next = std::max(i + 1, i + i / 4);
      t.step.push_back(static_cast<double>(i));
      t.loss.push_back(mean_loss(t.model));
    }
    if (i < steps) step(t.model, setting.real("rate") / static_cast<double>(d + length));
  }
  return t;
}

/// The weights of the augmented attention by gradient descent on the exact loss, from random ones.
std::vector<double> train_weights(const StudySetting& setting) {
  const double width = static_cast<double>(setting.whole("d"));
  std::vector<double> eta(setting.whole("length"));
  Random random(setting.seed, kWeights);
  for (double& value : eta) value = 0.1 * random.normal();
  const double curvature = 2 * (static_cast<double>(eta.size()) + width - 1);
  for (int i = 0; i < 2000; ++i) {
    const double sum = std::accumulate(eta.begin(), eta.end(), 0.0);
    for (double& value : eta) value -= 2 / curvature * (sum - 1 + (width - 1) * value);
  }
  return eta;
}

/// The last prefix on sampled sequences.
Mean sampled_loss(const StudySetting& setting, const Masked& model) {
  constexpr std::size_t kCount = 4000;
  const Matrix<double> c = combined(model);
  const std::size_t length = model.mask.rows();
  std::vector<double> errors(kCount);
  setting.arena.parallel_for(kCount, [&](std::size_t s) {
    Random random(setting.seed, kSequences, s);
    std::vector<std::complex<double>> lambda(c.rows());
    for (auto& value : lambda) value = std::polar(1.0, 2 * std::numbers::pi * random.uniform());
    errors[s] = masked_error(c, {model.mask.row(length - 1), length}, lambda);
  });
  return mean_of(errors);
}

/// Σ of squares of the mask off the diagonal t = q, as a share of all.
double off_shift(const Matrix<double>& mask) {
  double all = 0, on = 0;
  for (std::size_t i = 0; i < mask.size(); ++i) all += mask.data()[i] * mask.data()[i];
  for (std::size_t q = 0; q < mask.rows(); ++q) on += mask(q, q) * mask(q, q);
  return 1 - on / all;
}

/// max|p_q C − I| over the prefixes.
double identity_error(const Masked& model) {
  const Matrix<double> c = combined(model);
  double worst = 0;
  for (std::size_t q = 0; q < model.mask.rows(); ++q)
    for (std::size_t i = 0; i < c.rows(); ++i)
      for (std::size_t j = 0; j < c.cols(); ++j)
        worst = std::max(worst, std::abs(model.mask(q, q) * c(i, j) - (i == j ? 1 : 0)));
  return worst;
}

Figure mask_figure(const Masked& model) {
  const Matrix<double> c = combined(model);
  const std::size_t length = model.mask.rows();
  double trace = 0;
  for (std::size_t i = 0; i < c.rows(); ++i) trace += c(i, i) / static_cast<double>(c.rows());
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;
  for (std::size_t q = 0; q < length; ++q) {
    rows.push_back(std::to_string(q));
    columns.push_back(std::to_string(q + 1));
    values.emplace_back(length, kNaN);
    for (std::size_t t = 0; t <= q; ++t) values.back()[t] = model.mask(q, t) * trace;
  }
  return heat_map(
      {.id = "autoregression",
       .title = fmt::format("{} of the learned mask's weight is on the shift by one",
                            percent(1 - off_shift(model.mask))),
       .caption =
           "Weights p of each prefix, times the mean diagonal of C, as many heads as "
           "coordinates; hatched: not yet seen. Row: the token that is compared, T − 1; "
           "column: the token it is compared with. Weight 1 at T alone predicts the next token exactly.",
       .alt = "A lower triangular matrix of weights with ones on one diagonal and zeros elsewhere",
       .x_label = "attended token t",
       .y_label = "comparing token T − 1"},
      rows, columns, values, "weight", true);
}

Table curve_table(const Trained& full, const Trained& few) {
  Table t{.id = "autoregression_curve",
          .title = "Course of the training",
          .caption = "Exact loss, mean over prefixes.",
          .columns = {{"step", "", ""},
                      {"d heads", "", "loss; least 0", 6},
                      {"H heads", "", "loss; least d − H", 6}},
          .rows = {}};
  for (std::size_t i = 0; i < full.step.size(); ++i)
    t.rows.push_back({static_cast<std::int64_t>(full.step[i]), full.loss[i], few.loss[i]});
  return t;
}

void run(const StudySetting& setting, StudyResult& result) {
  const std::size_t d = setting.whole("d"), length = setting.whole("length"), heads = setting.whole("heads");
  const OneStep best = best_augmented(d, length);
  const std::vector<double> eta = train_weights(setting);
  double uneven = 0;
  for (const double value : eta) uneven = std::max(uneven, std::abs(value - best.eta));
  const double augmented = augmented_loss(d, eta);
  result.checks.push_back(
      {"augmented tokens: largest deviation of a weight from 1/(T + d − 1)", 0, uneven, 1e-9});
  result.checks.push_back({"  loss, d(d − 1)/(T + d − 1)", best.loss, augmented, 1e-9});
  const Trained full = train(setting, d), few = train(setting, heads);
  result.checks.push_back({fmt::format("tokens alone, {} heads: loss", d), 0, full.loss.back(), 1e-3});
  result.checks.push_back({"  share of the mask off the shift by one", 0, off_shift(full.model.mask), 1e-3});
  result.checks.push_back({"  largest entry of p C − I", 0, identity_error(full.model), 0.05});
  result.checks.push_back({fmt::format("tokens alone, {}: loss, d − H", count_of(heads, "head", "heads")),
                           few.floor, few.loss.back(), 1e-2});
  const auto [mean, error] = sampled_loss(setting, few.model);
  const double exact = masked_loss(combined(few.model), {few.model.mask.row(length - 1), length});
  result.checks.push_back(
      {"  loss of the last prefix, exact and on sampled sequences", exact, mean, 4 * error + 1e-9});
  result.holds = true;
  result.measured = fmt::format(
      "Paired tokens end at one step of descent, loss {}; single ones have {} of their mask on the shift by "
      "one, "
      "loss {}, with {} {}.",
      format_number(augmented), percent(1 - off_shift(full.model.mask)), format_number(full.loss.back(), 2),
      count_of(heads, "head", "heads"), format_number(few.loss.back()));
  result.figure = mask_figure(full.model);
  result.tables = {curve_table(full, few)};
  result.notes = {
      "Trained on the exact losses: with paired tokens the T weights of the attention, with s_t alone C and "
      "the mask.",
      "A loss that counts the weight of token T − 1 twice, as one published program does, has the same "
      "minimiser.",
      "Fewer heads than coordinates cannot form C = I/p: each head that is missing costs 1."};
}

}  // namespace
}  // namespace autoregressive

Study autoregression_study() {
  return {{"autoregression",
           "Autoregression in context",
           "Sander et al. 2024, arXiv 2402.05787",
           "Attention learns the recurrence of a sequence: by one step of gradient descent where tokens are "
           "paired, "
           "by a positional shift where they are not.",
           {{"d", "width of s", 10, 2, 32},
            {"length", "T, tokens of a sequence", 20, 2, 64},
            {"heads", "heads of the second model", 8, 1, 32},
            {"rate", "step size, over d + T", 0.3, 1e-4, 1, false},
            {"steps", "steps of gradient descent", 2000, 1, 1000000}}},
          autoregressive::run};
}

}  // namespace telos::bigram::studies
