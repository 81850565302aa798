#include "bigram/studies/regression_mixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "bigram/studies/frame.h"
#include "bigram/studies/numbers.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::bigram::studies {
namespace mixture {
namespace {

constexpr std::uint32_t kComponents = 20, kFitted = 21, kHeldOut = 22;  // streams
constexpr std::size_t kHeldOutPrompts = 2000, kFittedPrompts = 300;
constexpr double kErrors = 5;  ///< standard errors that a measured mean may be off

/// Components uniform on the unit sphere, all as frequent.
Mixture random_mixture(const StudySetting& setting) {
  const std::size_t m = setting.whole("components"), d = setting.whole("d");
  Mixture mixture{Matrix<double>(m, d), std::vector<double>(m, 1 / static_cast<double>(m)),
                  setting.real("sigma")};
  for (std::size_t j = 0; j < m; ++j) {
    Random random(setting.seed, kComponents, j);
    double squares = 0;
    for (std::size_t c = 0; c < d; ++c) squares += std::pow(mixture.w(j, c) = random.normal(), 2);
    for (std::size_t c = 0; c < d; ++c) mixture.w(j, c) /= std::sqrt(squares);
  }
  return mixture;
}

enum Method { kPosterior, kTrained, kFittedMixture, kNearest, kRidge, kLeastSquares, kMethods };
constexpr std::array<const char*, kMethods> kNames{"posterior mean",       "trained attention",
                                                   "mixture fitted by EM", "nearest component",
                                                   "ridge regression",     "least squares"};

/// Answers of every method to the pairs of a prompt, each from the pairs before it.
std::array<std::vector<double>, kMethods> all_answers(const std::array<ReadOut, kRidge>& read_outs,
                                                      const Mixture& mixture, const Prompt& prompt) {
  std::array<std::vector<double>, kMethods> result;
  for (std::size_t method = 0; method < kRidge; ++method) result[method] = answers(read_outs[method], prompt);
  const std::size_t d = mixture.width();
  // The best penalty for a direction of which nothing is known.
  const double penalty = mixture.sigma * mixture.sigma * static_cast<double>(d);
  for (std::size_t t = 0; t < prompt.y.size(); ++t) {
    const auto before = prompt.x.view().block(0, 0, t, d);
    const std::span<const double> y(prompt.y.data(), t), query(prompt.x.row(t), d);
    result[kRidge].push_back(least_squares(before, y, query, penalty));
    result[kLeastSquares].push_back(least_squares(before, y, query));
  }
  return result;
}

/// Mean squared errors by method and number of pairs before, against ⟨w, x⟩ without the noise.
struct Comparison {
  std::array<std::vector<Mean>, kMethods> error;
  double excess = 0;  ///< Σ_t E(ŷ_t − ŷ*_t)²/Σ_t E(ŷ*_t − y_t)² of the trained attention; ŷ*: posterior mean
};

Comparison compare(const std::array<ReadOut, kRidge>& read_outs, const Mixture& mixture,
                   const StudySetting& setting) {
  const std::size_t pairs = setting.whole("prompt");
  std::vector<Matrix<double>> squares(kMethods);
  for (Matrix<double>& matrix : squares) matrix = Matrix<double>(pairs, kHeldOutPrompts);
  std::vector<double> excess(kHeldOutPrompts), least(kHeldOutPrompts);
  setting.arena.parallel_for(kHeldOutPrompts, [&](std::size_t s) {
    const Prompt prompt = draw_prompt(mixture, pairs, Random(setting.seed, kHeldOut, s));
    const auto answer = all_answers(read_outs, mixture, prompt);
    for (std::size_t t = 0; t < pairs; ++t) {
      const double target = std::inner_product(prompt.x.row(t), prompt.x.row(t) + mixture.width(),
                                               mixture.w.row(prompt.component), 0.0);
      for (std::size_t method = 0; method < kMethods; ++method)
        squares[method](t, s) = std::pow(answer[method][t] - target, 2);
      excess[s] += std::pow(answer[kTrained][t] - answer[kPosterior][t], 2);
      least[s] += squares[kPosterior](t, s);
    }
  });
  Comparison comparison;
  for (std::size_t method = 0; method < kMethods; ++method)
    for (std::size_t t = 0; t < pairs; ++t)
      comparison.error[method].push_back(mean_of({squares[method].row(t), kHeldOutPrompts}));
  comparison.excess = mean_of(excess).value / mean_of(least).value;
  return comparison;
}

/// No other method is better after any number of pairs, beyond what the sample leaves open.
bool best_everywhere(const Comparison& comparison) {
  for (std::size_t method = kTrained; method < kMethods; ++method)
    for (std::size_t t = 0; t < comparison.error[method].size(); ++t) {
      const Mean &best = comparison.error[kPosterior][t], &other = comparison.error[method][t];
      if (best.value > other.value + kErrors * std::hypot(best.error, other.error)) return false;
    }
  return true;
}

/// A prompt whose answers are known to twelve digits.
std::array<StudyCheck, 2> small_prompt_checks() {
  const auto matrix = [](std::initializer_list<double> values) {
    Matrix<double> m(3, 2);
    std::ranges::copy(values, m.data());
    return m;
  };
  const Mixture mixture{matrix({1, 0, 0, 1, -1, 1}), std::vector<double>(3, 1.0 / 3), 0.5};
  const Matrix<double> x = matrix({1, 2, 0.5, -1, 2, 0.5});
  const std::array<double, 3> y{1.9, -0.9, 0.6};
  const std::array<double, 2> query{1, -1};
  return {{{"small prompt: posterior mean", -0.9998496789, posterior_mean(mixture, x, y, query), 1e-12},
           {"small prompt: least squares", -47.0 / 55, least_squares(x, y, query), 1e-12}}};
}

/// The read-out at k_j = w_j against the posterior mean by its definition.
StudyCheck read_out_check(const Mixture& mixture, const StudySetting& setting) {
  const Prompt prompt = draw_prompt(mixture, setting.whole("prompt"), Random(setting.seed, kHeldOut));
  const std::vector<double> answer = answers(optimal_read_out(mixture), prompt);
  double most = 0;
  for (std::size_t t = 0; t < answer.size(); ++t) {
    const std::size_t d = mixture.width();
    const double mean = posterior_mean(mixture, prompt.x.view().block(0, 0, t, d), {prompt.y.data(), t},
                                       {prompt.x.row(t), d});
    most = std::max(most, std::abs(answer[t] - mean));
  }
  return {"attention with keys w_j is the posterior mean: largest difference", 0, most, 1e-10};
}

/// Σ_j π_j‖w_j − w̄‖².
double spread(const Mixture& mixture) {
  std::vector<double> mean(mixture.width());
  double sum = 0;
  for (std::size_t j = 0; j < mixture.components(); ++j)
    for (std::size_t c = 0; c < mean.size(); ++c) mean[c] += mixture.prior[j] * mixture.w(j, c);
  for (std::size_t j = 0; j < mixture.components(); ++j)
    for (std::size_t c = 0; c < mean.size(); ++c)
      sum += mixture.prior[j] * std::pow(mixture.w(j, c) - mean[c], 2);
  return sum;
}

void add_checks(const Mixture& mixture, const Comparison& comparison, const StudySetting& setting,
                std::vector<StudyCheck>& checks) {
  const auto small = small_prompt_checks();
  checks.assign(small.begin(), small.end());
  checks.push_back(read_out_check(mixture, setting));
  const Mean first = comparison.error[kPosterior].front(), last = comparison.error[kLeastSquares].back();
  checks.push_back(
      {"posterior mean without pairs: Σπ_j‖w_j − w̄‖²", spread(mixture), first.value, kErrors * first.error});
  const double d = static_cast<double>(mixture.width());
  const double free = setting.real("prompt") - 1 - d - 1;  // the last pair has n − 1 before it
  if (free > 4)                                            // the error's variance exists
    checks.push_back({"least squares at the end: σ²d/(n − d − 1)", mixture.sigma * mixture.sigma * d / free,
                      last.value, kErrors * last.error});
  checks.push_back({"trained attention: excess over the posterior mean, of the latter's error", 0,
                    comparison.excess, 0.05});
}

Figure errors_figure(const Comparison& comparison) {
  std::vector<Series> series;
  for (std::size_t method = 0; method < kMethods; ++method) {
    Series& line = series.emplace_back();
    line.name = kNames[method];
    line.dashed = method == kPosterior;
    for (std::size_t t = 0; t < comparison.error[method].size(); ++t) {
      const double error = comparison.error[method][t].value;
      if (error <= 0) continue;  // the nearest component can be right for every prompt
      line.x.push_back(static_cast<double>(t));
      line.y.push_back(error);
    }
  }
  return line_chart(
      {.id = "regression-mixture",
       .title = "Trained attention answers like the posterior mean, far below least squares",
       .caption = fmt::format("Mean of (ŷ − ⟨w, x⟩)² over {} fresh prompts; least squares has its peak where "
                              "pairs are as many as x is wide.",
                              format_count(kHeldOutPrompts)),
       .alt = "Mean squared error by the number of pairs before the query, for six methods",
       .x_label = "pairs before the query",
       .y_label = "mean squared error",
       .log_y = true},
      series);
}

Table keys_table(const Mixture& mixture, const ReadOut& trained, const Mixture& fitted) {
  Table table{
      .id = "regression-mixture-keys",
      .title = "Components found",
      .caption = "",
      .columns = {{"component", "", ""},
                  {"nearest key", "", "distance of w_j from the nearest key of the trained attention"},
                  {"nearest fitted", "", "distance of w_j from the nearest component of EM"}},
      .rows = {}};
  const auto nearest = [&](const Matrix<double>& vectors, std::size_t j) {
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < vectors.rows(); ++k) {
      double squares = 0;
      for (std::size_t c = 0; c < vectors.cols(); ++c)
        squares += std::pow(vectors(k, c) - mixture.w(j, c), 2);
      best = std::min(best, std::sqrt(squares));
    }
    return best;
  };
  for (std::size_t j = 0; j < mixture.components(); ++j)
    table.rows.push_back({static_cast<std::int64_t>(j), nearest(trained.keys, j), nearest(fitted.w, j)});
  return table;
}

Mixture fit_fresh_prompts(const Mixture& mixture, const StudySetting& setting) {
  std::vector<Prompt> prompts;
  for (std::size_t s = 0; s < kFittedPrompts; ++s)
    prompts.push_back(draw_prompt(mixture, setting.whole("prompt"), Random(setting.seed, kFitted, s)));
  return fit_mixture(prompts, mixture.components(), setting.seed, setting.arena);
}

void run(const StudySetting& setting, StudyResult& result) {
  constexpr double kHard = 1e9;  // β of attention to the nearest component alone
  const Mixture mixture = random_mixture(setting);
  const TrainingOptions options{setting.whole("keys"), setting.whole("steps"), setting.whole("batch"),
                                setting.whole("prompt"), setting.real("rate")};
  const Mixture fitted = fit_fresh_prompts(mixture, setting);
  const std::array<ReadOut, kRidge> read_outs{
      optimal_read_out(mixture), train_read_out(mixture, options, setting.seed, setting.arena),
      optimal_read_out(fitted), ReadOut{mixture.w.copy(), std::vector<double>(mixture.components()), kHard}};
  const Comparison comparison = compare(read_outs, mixture, setting);
  add_checks(mixture, comparison, setting, result.checks);
  result.holds = best_everywhere(comparison);
  const auto last = [&](Method method) { return format_number(comparison.error[method].back().value, 2); };
  result.measured = fmt::format(
      "over prompts of all lengths, trained attention adds {:.2f} % to the error of the posterior mean",
      100 * comparison.excess);
  result.figure = errors_figure(comparison);
  result.tables = {keys_table(mixture, read_outs[kTrained], fitted)};
  result.notes = {
      fmt::format("After {} pairs trained attention errs by {}, ridge regression by {}, least squares by {}",
                  options.pairs - 1, last(kTrained), last(kRidge), last(kLeastSquares)),
      fmt::format("The inverse temperature ends at β = {}, that of the posterior is 1/(2σ²) = {}",
                  fixed(read_outs[kTrained].beta, 3), format_number(read_outs[kPosterior].beta)),
      fmt::format("Trained on {} prompts, of which it sees no component; EM was given {} and their number",
                  format_count(options.steps * options.batch), kFittedPrompts),
      "With as many keys as components training can end with two keys on one component and none on another; "
      "with "
      "twice as many it did not"};
}

}  // namespace
}  // namespace mixture

Study regression_mixture_study() {
  return {{"regression-mixture",
           "Mixtures of regressions",
           "Pathak et al. 2023, arXiv 2311.08362",
           "Attention trained on prompts of a mixture of linear regressions learns the posterior mean, the "
           "best of all "
           "answers: a softmax over components by their residuals",
           {{"components", "m, components of the mixture", 5, 2, 50},
            {"d", "width of x", 8, 1, 32},
            {"prompt", "n, pairs in a prompt", 20, 2, 100},
            {"sigma", "deviation of the noise", 0.5, 0.01, 10, false},
            {"keys", "keys of the attention", 10, 1, 100},
            {"steps", "steps of Adam", 1000, 1, 100000},
            {"batch", "prompts a step", 64, 1, 4096},
            {"rate", "first step size of Adam", 0.02, 1e-6, 1, false}}},
          mixture::run};
}

}  // namespace telos::bigram::studies
