#include "bigram/studies/softmax_regression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bigram/studies/frame.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::bigram::studies {
namespace imbalanced {

namespace {

constexpr double kMostVectors = 1e6;

double number_of_vectors(std::size_t features, std::size_t prompt) {
  double count = 1;
  for (std::size_t i = 1; i < features; ++i)
    count = count * static_cast<double>(prompt + i) / static_cast<double>(i);
  return std::round(count);
}

/// The next vector with the same sum, in lexicographic order downwards; false after (0, …, 0, n).
bool next_counts(std::vector<std::size_t>& n) {
  const std::size_t last = n.size() - 1, tail = n[last];
  std::size_t i = last;
  while (i > 0 && n[i - 1] == 0) --i;
  if (i == 0) return false;
  n[last] = 0;
  --n[i - 1];
  n[i] = tail + 1;
  return true;
}

}  // namespace

Counts enumerate_counts(std::span<const double> p, std::size_t prompt) {
  const double vectors = number_of_vectors(p.size(), prompt);
  if (!(vectors <= kMostVectors))
    throw Error(ErrorKind::kLimit, "softmax-regression",
                fmt::format("{} features in prompts of {} have {} different counts; expected at most {}",
                            p.size(), prompt, format_count(static_cast<std::uint64_t>(vectors)),
                            format_count(static_cast<std::uint64_t>(kMostVectors))),
                "fewer features, or a shorter prompt");
  Counts counts{Matrix<double>(static_cast<std::size_t>(vectors), p.size()), {}};
  std::vector<std::size_t> n(p.size());
  n[0] = prompt;
  do {
    const std::size_t row = counts.probability.size();
    double log_probability = std::lgamma(static_cast<double>(prompt) + 1);
    for (std::size_t m = 0; m < p.size(); ++m) {
      const double count = static_cast<double>(n[m]);
      counts.n(row, m) = count;
      log_probability += count * std::log(p[m]) - std::lgamma(count + 1);
    }
    counts.probability.push_back(std::exp(log_probability));
  } while (next_counts(n));
  return counts;
}

Counts without_feature(const Counts& counts, std::size_t k) {
  std::vector<std::size_t> kept;
  double total = 0;
  for (std::size_t v = 0; v < counts.probability.size(); ++v)
    if (counts.n(v, k) == 0) {
      kept.push_back(v);
      total += counts.probability[v];
    }
  Counts out{Matrix<double>(kept.size(), counts.n.cols()), {}};
  for (std::size_t v = 0; v < kept.size(); ++v) {
    std::copy_n(counts.n.row(kept[v]), counts.n.cols(), out.n.row(v));
    out.probability.push_back(counts.probability[kept[v]] / total);
  }
  return out;
}

double query_loss(const Counts& counts, std::size_t k, std::span<const double> logits,
                  std::span<double> gradient) {
  const std::size_t features = logits.size();
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> scale(features), a(features);
  for (std::size_t m = 0; m < features; ++m) scale[m] = std::exp(logits[m] - top);
  double loss = 0;
  for (std::size_t v = 0; v < counts.probability.size(); ++v) {
    double total = 0;
    for (std::size_t m = 0; m < features; ++m) total += a[m] = counts.n(v, m) * scale[m];
    double squares = 0, mean = 0;  // Σa², Σ a_j(a_j − 1{j = k})
    for (std::size_t m = 0; m < features; ++m) {
      a[m] /= total;
      squares += a[m] * a[m];
      mean += a[m] * (a[m] - (m == k ? 1 : 0));
    }
    loss += counts.probability[v] * 0.5 * (1 - 2 * a[k] + squares);
    for (std::size_t m = 0; m < features; ++m)
      gradient[m] += counts.probability[v] * a[m] * (a[m] - (m == k ? 1 : 0) - mean);
  }
  return loss;
}

double query_floor(const Counts& counts, std::size_t k) {
  static constexpr int kIterations = 2000;
  const Counts absent = without_feature(counts, k);
  double probability = 0;
  for (std::size_t v = 0; v < counts.probability.size(); ++v)
    if (counts.n(v, k) == 0) probability += counts.probability[v];
  std::vector<double> logits(counts.n.cols()), gradient(counts.n.cols());
  for (int i = 0; i < kIterations; ++i) {
    check_interrupt();
    std::fill(gradient.begin(), gradient.end(), 0.0);
    query_loss(absent, k, logits, gradient);
    for (std::size_t m = 0; m < logits.size(); ++m) logits[m] -= gradient[m];
  }
  return probability * query_loss(absent, k, logits, gradient);
}

Course descend(const Counts& counts, std::span<const double> p, std::span<const double> floors, double rate,
               std::span<const std::size_t> at) {
  const std::size_t features = p.size(), iterations = at.back();
  Course course{{at.begin(), at.end()},
                Matrix<double>(at.size(), features),
                std::vector<std::size_t>(features, iterations)};
  Matrix<double> logits(features, features);
  std::vector<double> gradient(features), start(features);
  std::size_t next = 0;
  for (std::size_t i = 0; i <= iterations; ++i) {
    check_interrupt();
    for (std::size_t k = 0; k < features; ++k) {
      std::fill(gradient.begin(), gradient.end(), 0.0);
      const double loss = query_loss(counts, k, {logits.row(k), features}, gradient);
      if (i == 0) start[k] = loss;
      if (loss - floors[k] <= 0.5 * (start[k] - floors[k])) course.half[k] = std::min(course.half[k], i);
      course.loss(next, k) = loss;
      for (std::size_t m = 0; m < features; ++m) logits(k, m) -= rate * p[k] * gradient[m];
    }
    if (i == at[next]) ++next;
  }
  return course;
}

namespace {

/// `dominant` for the first feature; the rest falls linearly: (0.7, 0.2, 0.1) for three.
std::vector<double> frequencies(std::size_t features, double dominant) {
  std::vector<double> p = {dominant};
  const double k = static_cast<double>(features);
  for (std::size_t m = 1; m < features; ++m)
    p.push_back((1 - dominant) * 2 * (k - static_cast<double>(m)) / (k * (k - 1)));
  return p;
}

/// 0 to `last`, evenly spaced in the logarithm.
std::vector<std::size_t> recorded(std::size_t last) {
  std::vector<std::size_t> at = {0};
  for (double x = 1; x < static_cast<double>(last); x *= 1.15)
    if (static_cast<std::size_t>(x) > at.back()) at.push_back(static_cast<std::size_t>(x));
  at.push_back(last);
  return at;
}

std::string feature_name(std::size_t m, double p) {
  return fmt::format("feature {}, p = {}", m + 1, format_number(p, 2));
}

template <class Value, class Text>
std::string listed(const std::vector<Value>& values, const Text& text) {
  std::string list;
  for (const Value& value : values) list += (list.empty() ? "" : ", ") + text(value);
  return list;
}

std::string halves(const Course& course) {
  return listed(course.half,
                [&](std::size_t i) { return (i == course.at.back() ? "more than " : "") + format_count(i); });
}

Figure course_figure(const Course& course, std::span<const double> p, std::span<const double> floors) {
  std::vector<Series> series;
  for (std::size_t k = 0; k < p.size(); ++k) {
    Series s{.name = feature_name(k, p[k]), .x = {}, .y = {}, .low = {}, .high = {}};
    for (std::size_t i = 1; i < course.at.size(); ++i) {
      s.x.push_back(static_cast<double>(course.at[i]));
      s.y.push_back(course.loss(i, k));
    }
    series.push_back(std::move(s));
  }
  for (std::size_t k = 0; k < p.size(); ++k)
    series.push_back({.name = fmt::format("least for feature {}", k + 1),
                      .x = {1, static_cast<double>(course.at.back())},
                      .y = {floors[k], floors[k]},
                      .low = {},
                      .high = {},
                      .dashed = true});
  return line_chart(
      {.id = "softmax-regression",
       .title = fmt::format("Half of each feature is learned after {} iterations, most frequent first",
                            halves(course)),
       .caption = "Loss given the query's feature, gradient descent on the exact expectation (a "
                  "sum over all counts). Dashed: what remains because the feature may be absent "
                  "from the prompt, with probability (1 − p)^n.",
       .alt = "One falling curve for each feature, the frequent ones first",
       .x_label = "iteration",
       .y_label = "loss given the query",
       .log_x = true},
      series);
}

Table features_table(const Course& course, std::span<const double> p, std::span<const double> floors) {
  Table t{.id = "softmax_regression_features",
          .title = "Features, most frequent first",
          .caption = "",
          .columns = {{"feature", "", ""},
                      {"p", "", "probability of the feature"},
                      {"loss at the start", "", "A = 0: every pair has the same weight", 6},
                      {"loss at the end", "", "", 6},
                      {"least", "", "what no logits can go below", 6},
                      {"half after", "iterations",
                       "first iteration that halved what can be learned; the last one where none did"}},
          .rows = {}};
  for (std::size_t k = 0; k < p.size(); ++k)
    t.rows.push_back({static_cast<std::int64_t>(k + 1), p[k], course.loss(0, k),
                      course.loss(course.at.size() - 1, k), floors[k],
                      static_cast<std::int64_t>(course.half[k])});
  return t;
}

void run(const StudySetting& setting, StudyResult& result) {
  const std::vector<double> p = frequencies(setting.whole("features"), setting.real("dominant"));
  const Counts counts = enumerate_counts(p, setting.whole("prompt"));
  std::vector<double> floors(p.size());
  setting.arena.parallel_for(p.size(), [&](std::size_t k) { floors[k] = query_floor(counts, k); });
  const Course course =
      descend(counts, p, floors, setting.real("rate"), recorded(setting.whole("iterations")));
  const std::size_t last = course.at.size() - 1;
  result.holds = course.half.back() < course.at.back();
  for (std::size_t k = 0; k < p.size(); ++k) {
    const double left = (course.loss(last, k) - floors[k]) / (course.loss(0, k) - floors[k]);
    result.checks.push_back({fmt::format("share of feature {} that is not learned", k + 1), 0, left, 0.05});
    result.holds = result.holds && (k == 0 || course.half[k - 1] < course.half[k]);
  }
  result.measured =
      fmt::format("Half of each feature is learned after {} iterations, for p = {}.", halves(course),
                  listed(p, [](double value) { return format_number(value, 2); }));
  result.figure = course_figure(course, p, floors);
  result.tables = {features_table(course, p, floors)};
  result.notes = {fmt::format("Exact: a sum over {} counts of {} features in {} pairs; nothing is sampled.",
                              format_count(counts.probability.size()), p.size(), setting.whole("prompt"))};
}

}  // namespace
}  // namespace imbalanced

Study softmax_regression_study() {
  return {
      {"softmax-regression",
       "Softmax attention and features of unequal frequency",
       "Huang, Cheng, Liang 2023, arXiv 2310.05249",
       "Gradient descent learns to find the feature of the query stage by stage, frequent features first.",
       {{"features", "orthonormal features", 3, 2, 8},
        {"prompt", "pairs in a prompt", 6, 2, 64},
        {"dominant", "probability of the most frequent feature; the others fall linearly", 0.7, 0.51, 0.99,
         false},
        {"rate", "step size", 1, 1e-4, 10, false},
        {"iterations", "iterations", 3000, 1, 100000}}},
      imbalanced::run};
}

}  // namespace telos::bigram::studies
