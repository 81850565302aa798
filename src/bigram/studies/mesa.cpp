#include "bigram/studies/mesa.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/limits.h"
#include "bigram/studies/frame.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::bigram::studies {
namespace mesa {

namespace {

/// a·b without the special cases of std::complex, which take most of its time.
Complex times(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

}  // namespace

Sums sums_of(std::span<const double> start, std::span<const Complex> phase, std::size_t length) {
  const std::size_t d = start.size();
  std::vector<Complex> x(start.begin(), start.end()), next(d), outer(d * d);
  Sums sums;
  for (std::size_t j = 0; j < d; ++j) next[j] = times(x[j], phase[j]);
  for (std::size_t t = 2; t < length; ++t) {
    std::vector<Complex>& now = next;  // x_t; x holds x_{t−1}
    const double scale = 1 / static_cast<double>(t - 1);
    for (std::size_t j = 0; j < d; ++j) {
      Complex u = 0;
      for (std::size_t r = 0; r < d; ++r) {
        outer[j * d + r] += times(now[j], std::conj(x[r]));
        u += times(outer[j * d + r], now[r]);
      }
      u *= scale;
      const Complex target = times(now[j], phase[j]);
      sums.cross += u.real() * target.real() + u.imag() * target.imag();
      sums.square += std::norm(u);
      sums.target += std::norm(target);
    }
    for (std::size_t j = 0; j < d; ++j) {
      x[j] = now[j];
      now[j] = times(x[j], phase[j]);
    }
  }
  return sums;
}

Sums expected_sums(std::span<const double> start, std::size_t length) {
  const double terms = static_cast<double>(length - 2), inverse = mean_inverse(length);
  double fourth = 0;
  for (const double x : start) fourth += std::pow(x, 4);
  Sums sums;
  for (const double x : start) {
    sums.target += terms * x * x;
    sums.cross += terms * std::pow(x, 4);
    sums.square += terms * (std::pow(x, 6) + x * x * (fourth - std::pow(x, 4)) * inverse);
  }
  return sums;
}

Moments gaussian_moments(std::size_t d, double sigma) {
  return {3 * std::pow(sigma, 4), 15 * std::pow(sigma, 6),
          3 * static_cast<double>(d - 1) * std::pow(sigma, 6)};
}

double mean_inverse(std::size_t length) {
  double sum = 0;
  for (std::size_t t = 2; t < length; ++t) sum += 1 / static_cast<double>(t - 1);
  return sum / static_cast<double>(length - 2);
}

double limit_product(const Moments& moments, std::size_t length) {
  return moments.k1 / (moments.k2 + moments.k3 * mean_inverse(length));
}

namespace {

enum Stream : std::uint32_t { kGaussian = 1, kSparse = 2 };
constexpr std::array<std::array<double, 2>, 3> kStarts = {{{0.1, 0.1}, {0.5, 1.5}, {2, 2}}};
constexpr std::size_t kPointsPerEpoch = 10;

std::vector<Sums> draw_sequences(const StudySetting& setting, Stream stream) {
  const std::size_t d = setting.whole("d");
  std::vector<Sums> sums(setting.whole("sequences"));
  constexpr std::size_t kChunk = 64;
  setting.arena.parallel_for((sums.size() + kChunk - 1) / kChunk, [&](std::size_t chunk) {
    check_interrupt();
    std::vector<double> start(d);
    std::vector<Complex> phase(d);
    for (std::size_t s = chunk * kChunk; s < std::min(sums.size(), (chunk + 1) * kChunk); ++s) {
      Random random(setting.seed, stream, s);
      for (Complex& p : phase) p = std::polar(1.0, 2 * std::numbers::pi * random.uniform());
      std::fill(start.begin(), start.end(), 0.0);
      if (stream == kSparse)
        start[random.below(static_cast<std::uint32_t>(d))] =
            random.uniform() < 0.5 ? setting.real("c") : -setting.real("c");
      else
        for (double& x : start) x = setting.real("sigma") * random.normal();
      sums[s] = sums_of(start, phase, setting.whole("length"));
    }
  });
  return sums;
}

Sums mean_of(const std::vector<Sums>& sums, std::size_t begin, std::size_t end) {
  Sums mean;
  const double count = static_cast<double>(end - begin);
  for (std::size_t s = begin; s < end; ++s) {
    mean.cross += sums[s].cross / count;
    mean.square += sums[s].square / count;
    mean.target += sums[s].target / count;
  }
  return mean;
}

/// ab by epoch. Steps are `rate` over the mean curvature by ab, falling to 0 as a cosine.
struct Course {
  std::vector<double> epoch, product;
};

Course train(const std::vector<Sums>& sums, double a, double b, std::size_t batch, std::size_t epochs,
             double rate) {
  const std::size_t batches = (sums.size() + batch - 1) / batch, steps = batches * epochs;
  const std::size_t every = std::max<std::size_t>(1, batches / kPointsPerEpoch);
  const double eta = rate / mean_of(sums, 0, sums.size()).square;
  Course course{{0}, {a * b}};
  for (std::size_t step = 0; step < steps; ++step) {
    check_interrupt();
    const std::size_t begin = step % batches * batch;
    const Sums mean = mean_of(sums, begin, std::min(sums.size(), begin + batch));
    const double slope = a * b * mean.square - mean.cross;  // of the loss, by ab
    const double share = static_cast<double>(step) / static_cast<double>(steps);
    const double move = eta * 0.5 * (1 + std::cos(std::numbers::pi * share)) * slope;
    const double by_a = move * b, by_b = move * a;
    a -= by_a;
    b -= by_b;
    if ((step + 1) % every != 0 && step + 1 != steps) continue;
    course.epoch.push_back(static_cast<double>(step + 1) / static_cast<double>(batches));
    course.product.push_back(a * b);
  }
  return course;
}

/// Standard error of Σcross/Σsquare, which training on these sequences tends to.
double ratio_error(const std::vector<Sums>& sums) {
  const Sums mean = mean_of(sums, 0, sums.size());
  const double ratio = mean.cross / mean.square, count = static_cast<double>(sums.size());
  double squares = 0;
  for (const Sums& s : sums) squares += std::pow((s.cross - ratio * s.square) / mean.square, 2);
  return std::sqrt(squares) / count;
}

/// Share of the power of x_{t+1} that ab times one step does not predict.
double unpredicted(const std::vector<Sums>& sums, double product) {
  const Sums mean = mean_of(sums, 0, sums.size());
  return 1 + product * (product * mean.square - 2 * mean.cross) / mean.target;
}

std::string start_name(const std::array<double, 2>& start) {
  return fmt::format("a, b = {}, {}", start[0], start[1]);
}

Figure course_figure(const std::vector<Course>& courses, double limit) {
  std::vector<Series> series;
  std::string ends;
  for (std::size_t i = 0; i < courses.size(); ++i) {
    ends += (i == 0 ? "" : ", ") + fixed(courses[i].product.back(), 3);
    series.push_back({.name = start_name(kStarts[i]),
                      .x = courses[i].epoch,
                      .y = courses[i].product,
                      .low = {},
                      .high = {}});
  }
  series.push_back({.name = "theory",
                    .x = {0, courses[0].epoch.back()},
                    .y = {limit, limit},
                    .low = {},
                    .high = {},
                    .dashed = true});
  return line_chart(
      {.id = "mesa",
       .title = fmt::format("ab ends at {} (theory {}), wherever it starts", ends, fixed(limit, 3)),
       .caption = "Stochastic gradient descent on sampled sequences that start at x_1 ~ N(0, σ²I). "
                  "Dashed: κ1/(κ2 + κ3 mean 1/(t − 1)).",
       .alt = "The product ab against epochs from three starts, meeting at a dashed line",
       .x_label = "epoch",
       .y_label = "ab",
       .log_y = true},
      series);
}

Table starts_table(const std::vector<Course>& courses, double limit, const Course& sparse, double inverse) {
  Table t{.id = "mesa_starts",
          .title = "Where ab ends",
          .caption = "",
          .columns = {{"x_1", "", ""},
                      {"a", "", "at the start"},
                      {"b", "", "at the start"},
                      {"ab", "", "after training on sampled sequences", 5},
                      {"theory", "", "κ1/(κ2 + κ3 mean 1/(t − 1))", 5}},
          .rows = {}};
  for (std::size_t i = 0; i < courses.size(); ++i)
    t.rows.push_back(
        {std::string("N(0, σ²I)"), kStarts[i][0], kStarts[i][1], courses[i].product.back(), limit});
  t.rows.push_back({std::string("±c e_j"), kStarts[0][0], kStarts[0][1], sparse.product.back(), inverse});
  return t;
}

void run(const StudySetting& setting, StudyResult& result) {
  static constexpr std::size_t kExactSteps = 4000;
  const std::size_t d = setting.whole("d"), length = setting.whole("length"), batch = setting.whole("batch"),
                    epochs = setting.whole("epochs");
  const double sigma = setting.real("sigma"), c = setting.real("c"), rate = setting.real("rate");
  const Moments gaussian = gaussian_moments(d, sigma);
  const double limit = limit_product(gaussian, length);
  const double curvature = gaussian.k2 + gaussian.k3 * mean_inverse(length);
  const Course exact =
      train({{gaussian.k1, curvature, 0}}, kStarts[0][0], kStarts[0][1], 1, kExactSteps, 0.1);
  result.checks.push_back(
      {"Gaussian start, exact expectation: ab after descent", limit, exact.product.back(), 1e-9 * limit});
  const std::vector<Sums> sequences = draw_sequences(setting, kGaussian);
  const double error = ratio_error(sequences);
  std::vector<Course> courses;
  for (const auto& start : kStarts) {
    courses.push_back(train(sequences, start[0], start[1], batch, epochs, rate));
    result.checks.push_back({"Gaussian start, sampled sequences, from " + start_name(start), limit,
                             courses.back().product.back(), 4 * error});
  }
  const std::vector<Sums> sparse = draw_sequences(setting, kSparse);
  const Course from_sparse = train(sparse, kStarts[0][0], kStarts[0][1], batch, epochs, rate);
  result.checks.push_back({"sparse start ±c e_j: ab c² (1: the next x is predicted exactly)", 1,
                           from_sparse.product.back() * c * c, 1e-3});
  const double left = unpredicted(sequences, courses.front().product.back());
  const double sparse_left = unpredicted(sparse, from_sparse.product.back());
  result.holds = left > 0.05 && sparse_left < 1e-5;
  result.measured = fmt::format(
      "ab ends at {} ± {} (theory {}), which leaves {} of x unpredicted; from sparse starts at {} (1/c² = "
      "{}), "
      "which leaves {}.",
      fixed(courses.front().product.back(), 4), fixed(error, 4), fixed(limit, 4), percent(left),
      fixed(from_sparse.product.back(), 4), format_number(1 / (c * c)), percent(sparse_left));
  result.figure = course_figure(courses, limit);
  result.tables = {starts_table(courses, limit, from_sparse, 1 / (c * c))};
  result.notes = {
      fmt::format(
          "Trained on {} sampled sequences, and once on the exact expectation over phases and starts.",
          format_count(sequences.size())),
      "The two scalars are all of W_PV and W_KQ that moves in expectation from this start."};
}

}  // namespace
}  // namespace mesa

Study mesa_study() {
  return {
      {"mesa",
       "Mesa-optimisation in autoregressive training",
       "Zheng et al. 2024, arXiv 2405.16845",
       "Trained attention makes one step of gradient descent in context, which recovers the recurrence from "
       "sparse starts and fails to from Gaussian ones.",
       {{"d", "width of x", 5, 2, 32},
        {"length", "T, tokens of a sequence", 100, 3, 1000},
        {"sigma", "deviation of a Gaussian start", 1, 0.3, 3, false},
        {"c", "size of a sparse start", 2, 0.5, 10, false},
        {"sequences", "sequences of each kind", 40000, 100, 1000000},
        {"batch", "sequences a step", 100, 1, 100000},
        {"epochs", "passes over them", 5, 1, 1000},
        {"rate", "first step size, over the curvature by ab", 0.05, 1e-4, 0.5, false}}},
      mesa::run};
}

}  // namespace telos::bigram::studies
