#include "telos/clustering/theory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/positional/complaint.h"

namespace telos::clustering {
namespace {

using test::expect_error;

TEST(Theory, ExpectedLeadersOfNormalTokens) {
  EXPECT_NEAR(expected_leaders(100, 2), 6.285605, 5e-7);
  EXPECT_NEAR(expected_leaders(1000, 2), 8.125075, 5e-7);
  EXPECT_NEAR(expected_leaders(1000, 3), 21.260723, 5e-7);
  EXPECT_NEAR(expected_leaders(1000, 5), 79.121659, 5e-7);
  EXPECT_NEAR(expected_leaders(1000, 10), 413.495216, 5e-7);
}

TEST(Theory, ExpectedLeadersInCasesWithAFormula) {
  for (const std::size_t d : {1u, 2u, 7u, 1'000'000u}) EXPECT_NEAR(expected_leaders(1, d), 1, 1e-12) << d;
  // d = 1: ∫ Φ^{n−1} dχ_1 = 2 ∫_{1/2}^{1} p^{n−1} dp, so E = 2(1 − 2^{−n}).
  for (const std::size_t n : {2u, 5u, 1000u})
    EXPECT_NEAR(expected_leaders(n, 1), 2 * (1 - std::exp2(-static_cast<double>(n))), 1e-11) << n;
  EXPECT_NEAR(expected_leaders(1'000'000'000'000, 1), 2, 1e-11);
  // In high dimensions everything leads.
  EXPECT_NEAR(expected_leaders(1000, 10'000), 1000, 1e-9);
  EXPECT_GT(expected_leaders(1000, 30), 990);
}

TEST(Theory, LayersToApproach) {
  EXPECT_DOUBLE_EQ(layers_to_approach(1, 1024), 10);
  EXPECT_NEAR(layers_to_approach(1e-9, std::exp(1.0)), 1e9, 1);
  EXPECT_EQ(layers_to_approach(3, 1), 0);
}

TEST(Theory, EquiangularValues) {
  const std::vector<double> sa = equiangular(8, 1, false, {0, 1, 3});
  EXPECT_EQ(sa[0], 0);
  EXPECT_NEAR(sa[1], 0.3625868798, 5e-11);
  EXPECT_NEAR(sa[2], 0.9704938269, 5e-11);
  EXPECT_NEAR(equiangular(16, 4, false, {5})[0], 0.8708602017, 5e-11);
}

/// The equation as it stands, by small RK4 steps.
double gamma_by_steps(double n, double beta, bool unnormalised, double time) {
  const auto slope = [&](double g) {
    const double top = 2 * std::exp(beta * g) * (1 - g) * ((n - 1) * g + 1);
    return top / (unnormalised ? n : std::exp(beta) + (n - 1) * std::exp(beta * g));
  };
  const int steps = 20'000;
  const double h = time / steps;
  double g = 0;
  for (int i = 0; i < steps; ++i) {
    const double k1 = slope(g), k2 = slope(g + h / 2 * k1), k3 = slope(g + h / 2 * k2),
                 k4 = slope(g + h * k3);
    g += h / 6 * (k1 + 2 * k2 + 2 * k3 + k4);
  }
  return g;
}

TEST(Theory, EquiangularSolvesItsEquation) {
  for (const bool unnormalised : {false, true})
    for (const std::size_t n : {2u, 32u, 1000u})
      for (const double beta : {0.0, 0.5, 5.0}) {
        const std::vector<double> times = {0.01, 0.3, 0.31, 2};
        const std::vector<double> gamma = equiangular(n, beta, unnormalised, times);
        for (std::size_t i = 0; i < times.size(); ++i)
          EXPECT_NEAR(gamma[i], gamma_by_steps(static_cast<double>(n), beta, unnormalised, times[i]), 1e-11)
              << n << " " << beta << " " << times[i];
      }
}

TEST(Theory, EquiangularTimeInvertsIt) {
  for (const bool unnormalised : {false, true})
    for (const double beta : {0.0, 1.0, 9.0})
      for (const double level : {1e-6, 0.3, 0.999}) {
        const double time = equiangular_time(32, beta, unnormalised, level);
        EXPECT_NEAR(equiangular(32, beta, unnormalised, {time / 3, time})[1], level, 1e-11)
            << unnormalised << " " << beta << " " << level;
      }
  // SA with β = 0: dt/dy = n/(2(n − (n − 1)e^{−y})), so t = ½ ln(1 + (e^y − 1)n) for y = −ln(1 − γ).
  EXPECT_NEAR(equiangular_time(8, 0, false, 0.5), 0.5 * std::log(9), 1e-14);
  EXPECT_EQ(equiangular_time(8, 2000, false, 0.5), INFINITY);
  EXPECT_LT(equiangular(8, 2000, false, {1e300})[0], 1e-20);
  EXPECT_LT(equiangular_time(8, 1e15, true, 0.5), 1e-10);
  EXPECT_THAT(equiangular(8, 1, false, {1e300, 1e301}), testing::ElementsAre(1, 1));
}

TEST(Theory, ChainCoefficientsAreBinomial) {
  const std::vector<double> c = chain_coefficients(0.5, 4, 6);  // r = 2/3, s = 1/3
  const double expected[] = {16, 32, 24, 8, 1, 0};
  for (std::size_t l = 0; l < 6; ++l) EXPECT_NEAR(c[l], expected[l] / 81, 1e-15);
  EXPECT_THAT(chain_coefficients(1, 0, 2), testing::ElementsAre(1, 0));
  EXPECT_TRUE(chain_coefficients(1, 5, 0).empty());
}

TEST(Theory, ChainCoefficientsForManyLayers) {
  // They are probabilities with mean ks and variance ksr, though every C(k, l) near the mean overflows.
  const double alpha = 0.01, s = alpha / (1 + alpha), k = 1e6;
  const std::vector<double> c = chain_coefficients(alpha, 1'000'000, 20'000);
  double sum = 0, mean = 0;
  for (std::size_t l = 0; l < c.size(); ++l) sum += c[l], mean += c[l] * static_cast<double>(l);
  EXPECT_NEAR(sum, 1, 1e-12);
  EXPECT_NEAR(mean, k * s, 1e-8);
  for (std::size_t l = 8000; l < 12'000; l += 250) {
    const double x = static_cast<double>(l);
    EXPECT_NEAR(c[l + 1] / c[l] / ((k - x) / (x + 1) * alpha), 1, 1e-11) << l;
  }
}

TEST(Theory, ChainOfThreeTokens) {
  // z_2 follows z_1 follows z_0 = p, by iteration against the closed form.
  const double alpha = 0.7, s = alpha / (1 + alpha);
  const double start[] = {5, 2, -1};
  double z[] = {5, 2, -1};
  for (std::size_t layer = 1; layer <= 40; ++layer) {
    const double z1 = z[1];
    z[1] += s * (z[0] - z1);
    z[2] += s * (z1 - z[2]);
    const std::vector<double> c = chain_coefficients(alpha, layer, 2);
    EXPECT_NEAR(z[2], start[0] + c[0] * (start[2] - start[0]) + c[1] * (start[1] - start[0]), 1e-13) << layer;
  }
}

TEST(Theory, WhatMakesNoSenseIsRefused) {
  expect_error(ErrorKind::kUsage, "found n = 0 and d = 2", [] { expected_leaders(0, 2); });
  expect_error(ErrorKind::kUsage, "found n = 3 and d = 0", [] { expected_leaders(3, 0); });
  expect_error(ErrorKind::kUsage, "expected α > 0, found 0", [] { layers_to_approach(0, 2); });
  expect_error(ErrorKind::kUsage, "expected a factor of 1 or more, found 0.5",
               [] { layers_to_approach(1, 0.5); });
  expect_error(ErrorKind::kUsage, "expected two tokens or more, found 1",
               [] { equiangular(1, 1, false, {}); });
  expect_error(ErrorKind::kUsage, "expected β ≥ 0, found -1", [] { equiangular_time(2, -1, false, 0.5); });
  expect_error(ErrorKind::kUsage, "expected ascending times from 0 on, found 1 after 2", [] {
    equiangular(2, 1, false, {2, 1});
  });
  expect_error(ErrorKind::kUsage, "expected a level between 0 and 1, found 1",
               [] { equiangular_time(2, 1, false, 1); });
  expect_error(ErrorKind::kUsage, "expected α > 0, found nan",
               [] { chain_coefficients(std::nan(""), 1, 1); });
}

}  // namespace
}  // namespace telos::clustering
