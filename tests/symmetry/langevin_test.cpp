#include "telos/symmetry/langevin.h"

#include <cmath>

#include "learning_checks.h"
#include "symmetry/network.h"
#include "telos/symmetry/gpr.h"
#include "tests/repeats.h"

namespace telos::symmetry {
namespace {

using namespace checks;

TEST(Network, IsWhatItsFormulaSays) {
  const NetworkShape shape{.width = 5, .heads = 3, .keys = 2};
  const std::size_t length = 4, d = 5;
  const std::uint32_t letters = 3;
  const SimplifiedBlock block{.token = 1.2, .position = 0.6};
  Network network(block, shape, length, letters);
  EXPECT_EQ(network.parameters(), 3 * d + 4 * d + 3 * d * 2 + 3 * 2 + 3 * d);
  const Matrix<double> theta = random_normals(1, network.parameters(), 1);
  const std::vector<std::uint32_t> x = {2, 0, 1, 1};
  const double* const embedding = theta.data();
  const double* const position = embedding + letters * d;
  const double* const keys = position + length * d;
  const double* const queries = keys + 3 * d * 2;
  const double* const values = queries + 3 * 2;
  double f = 0;
  for (std::size_t h = 0; h < 3; ++h)
    for (std::size_t b = 0; b < length; ++b) {
      double logit = 0, value = 0;
      for (std::size_t i = 0; i < d; ++i) {
        const double hidden = std::sqrt(1.2) * embedding[x[b] * d + i] + std::sqrt(0.6) * position[b * d + i];
        for (std::size_t j = 0; j < 2; ++j)
          logit += hidden * keys[(h * d + i) * 2 + j] * queries[h * 2 + j] / std::sqrt(2.0 * d);
        value += hidden * values[h * d + i] / std::sqrt(static_cast<double>(d));
      }
      f += logit * value / (4 * std::sqrt(3.0));
    }
  std::vector<double> table(network.rows());
  network.forward({theta.data(), theta.size()}, table);
  double sum = 0;
  for (std::size_t b = 0; b < length; ++b) sum += table[b * letters + x[b]];
  EXPECT_NEAR(sum, f, 1e-13);
}

TEST(Network, GradientIsThatOfDifferences) {
  Network network({}, {.width = 6, .heads = 4, .keys = 3}, 3, 2);
  Matrix<double> theta = random_normals(1, network.parameters(), 2);
  const Matrix<double> slope = random_normals(1, network.rows(), 3);
  const std::span<double> weights(theta.data(), theta.size());
  std::vector<double> table(network.rows()), gradient(network.parameters());
  const auto value = [&] {
    network.forward(weights, table);
    double sum = 0;
    for (std::size_t r = 0; r < table.size(); ++r) sum += slope(0, r) * table[r];
    return sum;
  };
  value();
  network.gradient(weights, {slope.data(), slope.size()}, gradient);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double at = weights[i];
    weights[i] = at + 1e-5;
    const double up = value();
    weights[i] = at - 1e-5;
    const double down = value();
    weights[i] = at;
    EXPECT_NEAR(gradient[i], (up - down) / 2e-5, 1e-8) << i;
  }
}

TEST(Network, KernelAtTheStartIsTheInfiniteOneUpToWidth) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Arena arena(2);
  const auto x = random_sequences(6, 5, 3, 4);
  const std::vector<WidthPoint> points = measure_widths({}, x, 3, {32, 64, 128, 256}, 400, 1, arena);
  for (const WidthPoint& p : points)
    EXPECT_LT(std::abs(p.mean - p.expected), 4 * p.mean_error) << p.shape.width;
  const double slope = std::log(points[3].spread / points[0].spread) / std::log(8.0);
  EXPECT_NEAR(slope, -0.5, 0.1);
}

/// What a network of this width and the regression say of unseen sequences.
struct Comparison {
  double correlation = 0, rms_error = 0, rms_mean = 0, variance = 0, network_variance = 0, largest_error = 0;
};

Comparison compare(const LangevinOptions& o, std::size_t samples, const Arena& arena) {
  const std::uint32_t letters = 3;
  const auto x = random_sequences(samples, 4, letters, 5), t = random_sequences(60, 4, letters, 6);
  Matrix<double> y = random_normals(samples, 1, 7);
  for (std::size_t i = 0; i < samples; ++i) y(i, 0) = 0.2 * y(i, 0) + (x(i, 1) == 0) - (x(i, 3) == 1);
  const GaussianProcess process(simplified_gram(o.block, x, letters, arena), o.noise, arena);
  const Matrix<double> cross = simplified_gram(o.block, t, x, letters, arena),
                       means = predict(cross, process.weights(y, arena), arena);
  const std::vector<double> variance =
      process.variances(cross, simplified_diagonal(o.block, t, letters), arena);
  const LangevinResult r = train_langevin(x, {y.data(), samples}, t, letters, o, arena);
  Comparison c;
  double cross_sum = 0, own = 0, other = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    cross_sum += r.mean[i] * means(i, 0);
    own += r.mean[i] * r.mean[i];
    other += means(i, 0) * means(i, 0);
    c.rms_error += std::pow(r.mean[i] - means(i, 0), 2) / 60;
    c.largest_error = std::max(c.largest_error, r.error[i]);
    c.variance += variance[i] / 60;
    c.network_variance += r.variance[i] / 60;
  }
  c.correlation = cross_sum / std::sqrt(own * other);
  c.rms_error = std::sqrt(c.rms_error);
  c.rms_mean = std::sqrt(other / 60);
  return c;
}

TEST(Langevin, AgreesWithRegressionOnUnseenSequences) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Arena arena(2);
  LangevinOptions o;
  o.shape = {64, 32, 16};
  o.duration = 16;
  o.burn_in = 6;
  const Comparison c = compare(o, 30, arena);
  EXPECT_GT(c.correlation, 0.995);
  EXPECT_LT(c.rms_error, 0.05 * c.rms_mean);
  EXPECT_LT(c.rms_error, 4 * c.largest_error);
  EXPECT_NEAR(c.network_variance / c.variance, 1, 0.2);
}

TEST(Langevin, SameBitsForAnyNumberOfThreads) {
  LangevinOptions o;
  o.shape = {8, 4, 4};
  o.duration = 1;
  o.burn_in = 0.5;
  const auto x = random_sequences(10, 4, 3, 8), t = random_sequences(5, 4, 3, 9);
  const Matrix<double> y = random_normals(10, 1, 10);
  const LangevinResult a = train_langevin(x, {y.data(), 10}, t, 3, o, Arena(1)),
                       b = train_langevin(x, {y.data(), 10}, t, 3, o, Arena(3));
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.variance, b.variance);
  o.seed = 2;
  EXPECT_NE(train_langevin(x, {y.data(), 10}, t, 3, o, Arena(1)).mean, a.mean);
}

TEST(Langevin, RefusesWhatItCannotSample) {
  const Arena arena(1);
  const auto x = random_sequences(10, 4, 3, 8);
  const Matrix<double> y = random_normals(10, 1, 10);
  const auto with = [&](const auto& change) {
    return [&, change] {
      LangevinOptions o;
      change(o);
      train_langevin(x, {y.data(), 10}, x, 3, o, arena);
    };
  };
  expect_error(with([](LangevinOptions& o) { o.noise = 0; }), ErrorKind::kUsage, "found 0");
  expect_error(with([](LangevinOptions& o) { o.noise = 1e-12; }), ErrorKind::kLimit, "larger ridge");
  expect_error(with([](LangevinOptions& o) { o.chains = 1; }), ErrorKind::kUsage, "found 1");
  expect_error(with([](LangevinOptions& o) { o.shape.width = 0; }), ErrorKind::kUsage, "1 to 4096");
  expect_error(with([](LangevinOptions& o) { o.step = 0; }), ErrorKind::kUsage, "step 0");
  expect_error([&] { train_langevin(x, {y.data(), 9}, x, 3, {}, arena); }, ErrorKind::kShape, "9 labels");
}

}  // namespace
}  // namespace telos::symmetry
