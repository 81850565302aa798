#include "telos/symmetry/learning_curve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "reference/symmetry_spectrum.h"
#include "telos/base/philox.h"
#include "tests/positional/complaint.h"

namespace telos::symmetry {
namespace {

using telos::test::complaint;
using telos::test::expect_error;
namespace ref = reference::symmetry;

constexpr double kInfinite = std::numeric_limits<double>::infinity();

/// The simplified block on 8 tokens out of 4: constant, trivial, standard.
const std::vector<Mode> kBlock = {{0.3125, 1, 0}, {0.03515625, 3, 1}, {0.00390625, 21, 0.5}};

/// The same for L tokens out of 8.
std::vector<Mode> block_of(double length) {
  const double l2 = length * length;
  return {{(length * length + length) / 8 / l2 + 0.25 * length / l2, 1, 0},
          {(length + 1) / 8 / l2, 7, 1},
          {1. / 8 / l2, 7 * (length - 1), 1}};
}

std::vector<ref::Degenerate> plain(const std::vector<Mode>& modes) {
  std::vector<ref::Degenerate> out;
  for (const Mode& m : modes) out.push_back({m.eigenvalue, m.multiplicity, m.energy});
  return out;
}

TEST(LearningCurve, Printed) {
  struct Line {
    double samples, kappa, gamma, generalisation, training, trivial, standard;
  };
  for (const Line& line :
       {Line{8, 0.12158432924, 0.406214630791, 0.693167869917, 0.00475667864189, 0.6981778354, 0.204469769},
        Line{128, 0.0123653171123, 0.187356052216, 0.00267311383916, 0.00828844040389, 0.9972596817,
             0.9758662097},
        Line{2048, 0.0101234438406, 0.0121807019313, 0.000124137499586, 0.00987873826152, 0.9998594164,
             0.9987361688}}) {
    const CurvePoint p = learning_point(kBlock, 0.01, 0.01, line.samples);
    EXPECT_NEAR(p.kappa, line.kappa, 1e-10 * line.kappa);
    EXPECT_NEAR(p.gamma, line.gamma, 1e-10);
    EXPECT_NEAR(p.generalisation, line.generalisation, 1e-10 * line.generalisation);
    EXPECT_NEAR(p.training, line.training, 1e-10 * line.training);
    EXPECT_NEAR(p.learnability[1], line.trivial, 1e-10);
    EXPECT_NEAR(p.learnability[2], line.standard, 1e-9);
  }
  const CurvePoint hopeful = equivalent_kernel_point(kBlock, 0.01, 8);
  EXPECT_NEAR(hopeful.learnability[1], 0.96566524, 1e-8);
  EXPECT_NEAR(hopeful.learnability[2], 0.75757576, 1e-8);
  EXPECT_NEAR(hopeful.generalisation,
              std::pow(1 - hopeful.learnability[1], 2) + 0.5 * std::pow(1 - hopeful.learnability[2], 2),
              1e-14);
  EXPECT_TRUE(std::isnan(hopeful.training));
}

TEST(LearningCurve, PrintedSamples) {
  EXPECT_NEAR(samples_to_learn(block_of(8), 1, 0.01, 0.5), 9.8761054, 1e-7);
  EXPECT_NEAR(samples_to_learn(block_of(8), 2, 0.01, 0.5), 36.908764, 1e-6);
  EXPECT_NEAR(samples_to_learn(block_of(16), 1, 0.01, 0.5), 11.48508, 1e-5);
  EXPECT_NEAR(samples_to_learn(block_of(16), 2, 0.01, 0.5), 80.587832, 1e-6);
  EXPECT_NEAR(samples_to_learn(block_of(128), 1, 0.01, 0.5), 21.491447, 1e-6);
  EXPECT_NEAR(samples_to_learn(block_of(128), 2, 0.01, 0.5), 1763.1661, 1e-4);
  EXPECT_NEAR(equivalent_kernel_samples(block_of(8)[1].eigenvalue, 0.01, 0.5), 0.568889, 1e-6);
  double expected = 5.12;
  for (const double length : {8, 16, 32, 64, 128}) {
    EXPECT_NEAR(equivalent_kernel_samples(block_of(length)[2].eigenvalue, 0.01, 0.5), expected, 1e-9);
    expected *= 4;
  }
}

std::vector<Mode> random_modes(Random& random) {
  std::vector<Mode> modes(1 + random.below(6));
  for (Mode& m : modes) m = {std::exp(4 * random.normal() - 4), 1. + random.below(100), random.uniform()};
  return modes;
}

TEST(LearningCurve, AsReference) {
  Random random(1);
  for (int trial = 0; trial < 50; ++trial) {
    const std::vector<Mode> modes = random_modes(random);
    const double ridge = std::exp(random.normal() - 3), noise = random.uniform(),
                 samples = std::exp(6 * random.uniform());
    const CurvePoint p = learning_point(modes, ridge, noise, samples);
    const ref::Curve r = ref::learning_curve(plain(modes), ridge, noise, samples);
    EXPECT_NEAR(p.kappa, r.kappa, 1e-12 * r.kappa);
    EXPECT_NEAR(p.gamma, r.gamma, 1e-12);
    EXPECT_NEAR(p.generalisation, r.generalisation, 1e-10 * r.generalisation);
    EXPECT_NEAR(p.training, r.training, 1e-10 * r.training);
    double residual = ridge - p.kappa;
    for (const Mode& m : modes)
      residual += m.multiplicity * m.eigenvalue * p.kappa / (p.kappa + samples * m.eigenvalue);
    EXPECT_NEAR(residual, 0, 1e-12 * p.kappa);
    for (const double theta : {0.1, 0.5, 0.95}) {
      const double expected = ref::samples_to_learn(plain(modes), 0, ridge, theta);
      EXPECT_NEAR(samples_to_learn(modes, 0, ridge, theta), expected, 1e-9 * expected);
    }
  }
}

TEST(LearningCurve, Limits) {
  EXPECT_DOUBLE_EQ(learning_point(kBlock, 0.01, 0.01, 0).generalisation, 1.5);
  EXPECT_NEAR(learning_point(kBlock, 0.01, 0.01, 1e-9).generalisation, 1.5, 1e-7);
  EXPECT_NEAR(learning_point(kBlock, 1e12, 0.01, 100).generalisation, 1.5, 1e-9);
  EXPECT_NEAR(learning_point(kBlock, 0.01, 0, 1e12).generalisation, 0, 1e-12);
  std::vector<double> last(kBlock.size(), -1);
  for (double samples = 0; samples < 1e5; samples = samples * 1.3 + 1) {
    const CurvePoint p = learning_point(kBlock, 0.01, 0.01, samples);
    EXPECT_LT(p.gamma, 1);
    for (std::size_t i = 0; i < last.size(); ++i) {
      EXPECT_GT(p.learnability[i], last[i]);
      last[i] = p.learnability[i];
    }
    EXPECT_GE(p.learnability[0], p.learnability[1]);
    EXPECT_GE(p.learnability[1], p.learnability[2]);
  }
}

// Without a ridge the regression interpolates until there are as many samples as modes.
TEST(LearningCurve, InterpolationThreshold) {
  EXPECT_EQ(rank(kBlock), 25);
  const CurvePoint below = learning_point(kBlock, 0, 0.01, 24);
  EXPECT_GT(below.kappa, 0);
  EXPECT_EQ(below.training, 0);
  EXPECT_EQ(learning_point(kBlock, 0, 0.01, 25).generalisation, kInfinite);
  EXPECT_EQ(learning_point(kBlock, 0, 0, 25).generalisation, 0);
  const CurvePoint above = learning_point(kBlock, 0, 0.01, 50);
  EXPECT_EQ(above.kappa, 0);
  EXPECT_NEAR(above.generalisation, 0.01, 1e-15);  // s γ/(1 − γ) with γ = 1/2
  EXPECT_NEAR(above.training, 0.005, 1e-15);       // s (1 − rank/P), as of least squares
  const CurvePoint near = learning_point(kBlock, 1e-9, 0.01, 50);
  EXPECT_NEAR(near.generalisation, above.generalisation, 1e-6);
  EXPECT_NEAR(near.training, above.training, 1e-6);
}

TEST(LearningCurve, WhatHasNoEigenvalueIsNeverLearned) {
  const std::vector<Mode> modes = {{0.5, 1, 1}, {0, 10, 0.25}};
  const CurvePoint p = learning_point(modes, 0.01, 0, 1e9);
  EXPECT_EQ(p.learnability[1], 0);
  EXPECT_NEAR(p.generalisation, 0.25, 1e-8);
  EXPECT_EQ(samples_to_learn(modes, 1, 0.01, 0.5), kInfinite);
  EXPECT_EQ(equivalent_kernel_samples(0, 0.01, 0.5), kInfinite);
  EXPECT_EQ(learning_point({}, 0, 0, 3).generalisation, 0);
}

// A tail of many small eigenvalues does the same as its trace in the ridge.
TEST(LearningCurve, TailIsRidge) {
  std::vector<Mode> whole = kBlock;
  whole.push_back({1e-9, 1e8, 0});
  const CurvePoint exact = learning_point(whole, 0.01, 0.01, 100),
                   tail = learning_point(kBlock, 0.01, 0.01, 100, 0.1);
  EXPECT_NEAR(exact.kappa, tail.kappa, 1e-6);
  EXPECT_NEAR(exact.generalisation, tail.generalisation, 1e-6);
  EXPECT_NEAR(exact.training, tail.training, 1e-6);
  EXPECT_EQ(learning_point(kBlock, 0, 0.01, 100, 0.1).training, 0);
}

TEST(Bounds, NeverAboveWhatIsNeeded) {
  Random random(2);
  for (int trial = 0; trial < 200; ++trial) {
    const std::vector<Mode> modes = random_modes(random);
    const double ridge = random.uniform(), theta = 0.05 + 0.9 * random.uniform();
    double trace = 0;
    for (const Mode& m : modes) trace += m.multiplicity * m.eigenvalue;
    for (std::size_t i = 0; i < modes.size(); ++i) {
      const double needed = samples_to_learn(modes, i, ridge, theta) * (1 + 1e-12);
      const TraceBound b = trace_bound(modes[i].multiplicity, trace, ridge, theta);
      EXPECT_LE(b.ridge_only, equivalent_kernel_samples(modes[i].eigenvalue, ridge, theta) * (1 + 1e-12));
      EXPECT_LE(b.with_modes, needed);
      EXPECT_LT(b.ridge_only, b.with_modes);
    }
  }
  EXPECT_NEAR(trace_bound(7, 0.5, 0.01, 0.5).ridge_only, 0.14, 1e-15);
}

/// Σ_n α_n φ(x_n) λ of the regression on random points of a circle, kernel Σ_t λ_t φ_t φ_t.
TEST(Bounds, AnyData) {
  const std::vector<double> eigenvalues = {0.5, 0.2, 0.01};
  const auto phi = [](std::size_t t, double x) {
    return std::sqrt(2) * std::cos(static_cast<double>(t + 1) * x);
  };
  Random random(3);
  for (int trial = 0; trial < 20; ++trial) {
    // One sample twenty times over is data without any symmetry for which the regression is known.
    const double x = 6.28 * random.uniform(), ridge = 0.1 + random.uniform();
    constexpr double kCopies = 20;
    double k = 0, y = 0;
    for (std::size_t t = 0; t < 3; ++t) {
      k += eigenvalues[t] * phi(t, x) * phi(t, x);
      y += phi(t, x);
    }
    const double alpha = y / (ridge + kCopies * k);  // each of them
    for (std::size_t t = 0; t < 3; ++t) {
      const double learned = std::abs(eigenvalues[t] * kCopies * alpha * phi(t, x));
      const double theta = std::min(0.999, learned);  // of a projection 1
      const double bound = any_data_samples({.eigenvalue = eigenvalues[t],
                                             .projection = 1,
                                             .feature_rms = std::abs(phi(t, x)),
                                             .target_rms = std::abs(y)},
                                            ridge, theta);
      EXPECT_LE(bound, kCopies * (1 + 1e-12));
      EXPECT_GT(bound, 0);
    }
  }
  EXPECT_NEAR(any_data_samples({.eigenvalue = 0.1, .projection = -0.8, .feature_rms = 2, .target_rms = 0.5},
                               0.01, 0.5),
              0.04, 1e-15);
}

TEST(Shift, OverlapAndLinearAgree) {
  constexpr std::size_t kLength = 5;
  // A single letter function ψ = (1, −1): w[b] = a_b ψ.
  const std::vector<double> a = {0.3, -1, 2, 0, 0.7};
  Matrix<double> w(kLength, 2), correlation(kLength, kLength);
  for (std::size_t b = 0; b < kLength; ++b) {
    w(b, 0) = a[b];
    w(b, 1) = -a[b];
    for (std::size_t c = 0; c < kLength; ++c)
      correlation(b, c) = std::pow(0.6, std::abs(static_cast<double>(b) - static_cast<double>(c)));
  }
  // Modes: the mean, and differences to it along an orthonormal basis of Helmert.
  Matrix<double> basis(kLength, kLength), overlap(kLength, kLength);
  for (std::size_t i = 0; i < kLength; ++i)
    for (std::size_t b = 0; b < kLength; ++b) {
      const double n = static_cast<double>(i);
      basis(i, b) = i == 0   ? 1 / std::sqrt(5.)
                    : b < i  ? 1 / std::sqrt(n * (n + 1))
                    : b == i ? -n / std::sqrt(n * (n + 1))
                             : 0;
    }
  std::vector<double> coefficients(kLength), learnability(kLength, 0.3);
  learnability[0] = 0.9;
  for (std::size_t i = 0; i < kLength; ++i)
    for (std::size_t b = 0; b < kLength; ++b) {
      coefficients[i] += basis(i, b) * a[b];
      for (std::size_t j = 0; j < kLength; ++j)
        for (std::size_t c = 0; c < kLength; ++c)
          overlap(i, j) += basis(i, b) * correlation(b, c) * basis(j, c);
    }
  EXPECT_NEAR(shifted_linear_error(w, 0.9, 0.3, correlation),
              shifted_error(learnability, coefficients, overlap), 1e-14);
}

TEST(BadInput, LearningCurve) {
  const std::vector<Mode> negative = {{-1e-3, 1, 0}};
  EXPECT_EQ(complaint([&] { solve_kappa(negative, 1, 1); }),
            "usage | eigenvalue | is -0.001, expected a finite number of at least 0 | ");
  expect_error(ErrorKind::kUsage, "ridge", [] { solve_kappa(kBlock, NAN, 1); });
  expect_error(ErrorKind::kUsage, "samples", [] { solve_kappa(kBlock, 1, INFINITY); });
  expect_error(ErrorKind::kUsage, "noise", [] { learning_point(kBlock, 1, -1, 1); });
  expect_error(ErrorKind::kUsage, "theta", [] { samples_to_learn(kBlock, 0, 1, 1); });
  expect_error(ErrorKind::kUsage, "mode", [] { samples_to_learn(kBlock, 3, 1, 0.5); });
  expect_error(ErrorKind::kUsage, "above 0", [] { any_data_samples({.eigenvalue = 1}, 0, 0.5); });
  expect_error(ErrorKind::kShape, "overlap", [] { shifted_error(std::vector<double>{1.}, {}, {}); });
  expect_error(ErrorKind::kShape, "correlation", [] { shifted_linear_error({}, 0, 0, {}); });
}

}  // namespace
}  // namespace telos::symmetry
