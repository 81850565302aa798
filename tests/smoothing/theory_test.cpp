#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "telos/base/error.h"
#include "telos/smoothing/theory.h"
#include "tests/repeats.h"
#include "tests/smoothing/support.h"

namespace telos::smoothing {
namespace {

using namespace test;
constexpr double kInf = std::numeric_limits<double>::infinity();

// ---- Zones ----

TEST(Zone, KnownValues) {
  EXPECT_EQ(zone(0.3), Zone::kSmooth);
  EXPECT_EQ(zone(-0.3), Zone::kSharp);
  EXPECT_EQ(zone(-1.2), Zone::kDepends);
  EXPECT_NEAR(flip_point(-1.2), 2.0 / 3, 1e-15);
  EXPECT_EQ(zone(-2.5), Zone::kSmooth);
  EXPECT_EQ(zone({-.3, .4}), Zone::kSharp);
  EXPECT_EQ(zone({-.05, .5}), Zone::kSmooth);
  EXPECT_EQ(zone(0), Zone::kNull);
  EXPECT_TRUE(std::isnan(flip_point(0)));
  EXPECT_EQ(zone(1e-300), Zone::kSmooth);
  EXPECT_EQ(zone(-1e-300), Zone::kSharp) << "no cancellation for tiny h";
  EXPECT_EQ(zone(-1), Zone::kSharp) << "the border |h + 1/2| = 1/2 belongs to sharp";
  EXPECT_EQ(to_string(Zone::kDepends), "depends");
}

TEST(Zone, DiskTestIsTheDirectComparison) {
  Random random(21);
  int sharp = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    const Complex h(4 * random.uniform() - 3, 3 * random.uniform() - 1.5);
    const double a = 1.998 * random.uniform() - 0.999;
    const double margin = std::abs(1.0 + h) - std::abs(1.0 + a * h);
    if (std::abs(margin) < 1e-12) continue;
    EXPECT_EQ(sharpens(h, a), ref::sharpens(h, a)) << h << " " << a;
    sharp += sharpens(h, a);
    // The zones say what holds for every a in [0, 1).
    if (a >= 0 && zone(h) != Zone::kDepends) {
      EXPECT_EQ(sharpens(h, a), zone(h) == Zone::kSharp) << h << " " << a;
    }
    if (a >= 0 && zone(h) == Zone::kDepends) {
      EXPECT_EQ(sharpens(h, a), a < flip_point(h)) << h << " " << a;
    }
  }
  EXPECT_GT(sharp, 2000);
}

TEST(RankOneLimit, ClosedForms) {
  const std::vector<double> balanced{1, 1, -1, -1};
  RankOneLimit limit = rank_one_limit(balanced);
  EXPECT_NEAR(limit.cos_mean, -1.0 / 3, 1e-15);
  EXPECT_EQ(limit.hfc_lfc, kInf);
  const std::vector<double> last{0, 0, 0, 2};
  limit = rank_one_limit(last);
  EXPECT_TRUE(std::isnan(limit.cos_mean));
  EXPECT_NEAR(limit.hfc_lfc, std::sqrt(3.0), 1e-15);
  EXPECT_EQ(limit.nonzero, 1u);
  EXPECT_EQ(rank_one_limit(std::vector<double>(3, 0.0)).nonzero, 0u);

  Random random(22);
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t n = 3 + random.below(6);
    ref::Vector v(n);
    for (double& value : v) value = random.normal();
    const ref::Measures expected = ref::measures(ref::multiply(ref::transpose({v}), normals(random, 1, 4)));
    limit = rank_one_limit(v);
    EXPECT_NEAR(limit.cos_mean, expected.cos_mean, 1e-13);
    EXPECT_NEAR(limit.hfc_lfc, expected.hfc_lfc, 1e-11 * expected.hfc_lfc * expected.hfc_lfc);
  }
}

// ---- Modes ----

double mu(const ModeTable& table, double lambda, double h) {
  for (std::size_t i = 0; i < table.lambda.size(); ++i)
    for (std::size_t j = 0; j < table.h.size(); ++j)
      if (std::abs(table.lambda[i] - lambda) < 1e-12 && std::abs(table.h[j] - h) < 1e-12) {
        EXPECT_EQ(table.mu(i, j).imag(), 0);
        return table.mu(i, j).real();
      }
  ADD_FAILURE() << "no mode (" << lambda << ", " << h << ")";
  return 0;
}

TEST(ModeTable, KnownMultipliers) {
  const std::array lambda{1.0, .4, .2, 0.0};
  const std::array hs{.5, .2, -.3};
  const double expected[4][3] = {{1.5, 1.2, .7}, {1.2, 1.08, .88}, {1.1, 1.04, .94}, {1, 1, 1}};
  const ModeTable table = mode_table(matrix(kA1), matrix(kHS), matrix(kX0));
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(mu(table, lambda[i], hs[j]), expected[i][j], 1e-14);
  EXPECT_EQ(table.lambda[0], 1.0);

  const std::array lambda2{1.0, 0.0, -.2, -.4};
  const std::array hn{-.9, -.5, -.2};
  const double expected2[4][3] = {{.1, .5, .8}, {1, 1, 1}, {1.18, 1.1, 1.04}, {1.36, 1.2, 1.08}};
  const ModeTable table2 = mode_table(matrix(kA2), matrix(kHN));
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(mu(table2, lambda2[i], hn[j]), expected2[i][j], 1e-14);
  EXPECT_TRUE(table2.coefficient.empty());
}

TEST(ModeAnalysis, Smoothing) {
  const ModeAnalysis out = analyse_modes(mode_table(matrix(kA1), matrix(kHS), matrix(kX0)));
  EXPECT_EQ(out.regime, Regime::kSmoothing);
  EXPECT_NEAR(out.dc, 1.5, 1e-14);
  EXPECT_NEAR(out.hf, 1.2, 1e-14);
  EXPECT_EQ(out.rank, 1u);
  EXPECT_TRUE(out.input_convergence && out.angle_convergence && out.steady);
  EXPECT_NEAR(out.cos_mean, 1, 1e-12);
  EXPECT_EQ(out.hfc_lfc, 0);
  EXPECT_NEAR(out.log_rate, std::log(0.8), 1e-13);
  EXPECT_NEAR(out.layers_to_1pct, std::log(0.01) / std::log(0.8), 1e-10);
  EXPECT_THAT(out.warnings, testing::IsEmpty());
}

TEST(ModeAnalysis, SharpeningWithATieInH) {
  const ModeAnalysis out = analyse_modes(mode_table(matrix(kA1), matrix(kHN), matrix(kX0)));
  EXPECT_EQ(out.regime, Regime::kSharpening);
  EXPECT_EQ(out.dominating.size(), 3u) << "a = 0 makes μ = 1 for every h";
  EXPECT_EQ(out.rank, 1u);
  EXPECT_TRUE(out.steady);
  EXPECT_NEAR(out.cos_mean, -1.0 / 3, 1e-12);
  EXPECT_EQ(out.hfc_lfc, kInf);
  EXPECT_FALSE(out.input_convergence);
}

TEST(ModeAnalysis, Sharpening) {
  const ModeAnalysis out = analyse_modes(mode_table(matrix(kA2), matrix(kHN), matrix(kX0)));
  EXPECT_EQ(out.regime, Regime::kSharpening);
  EXPECT_NEAR(out.hf, 1.36, 1e-14);
  ASSERT_EQ(out.dominating.size(), 1u);
  EXPECT_NEAR(out.dominating[0].lambda.real(), -.4, 1e-14);
  EXPECT_NEAR(out.dominating[0].h.real(), -.9, 1e-14);
  EXPECT_NEAR(out.cos_mean, -1.0 / 3, 1e-12);
  EXPECT_NEAR(out.layers_to_1pct, std::log(0.01) / std::log(1.2 / 1.36), 1e-9);
}

TEST(ModeAnalysis, Balanced) {
  const ModeAnalysis out = analyse_modes(mode_table(matrix(kA1), matrix(kH2), matrix(kX0)));
  EXPECT_EQ(out.regime, Regime::kBalanced);
  EXPECT_EQ(out.rank, 2u);
  EXPECT_FALSE(out.steady) << "μ = −1 and μ = 1: the sign of the mean alternates";
  EXPECT_NEAR(out.log_rate, 0, 1e-14);
  // Without vectors alone the two parts never vanish; at even layers the sum is the limit of the table.
  const ScaledTokens limit = tokens_at(mode_table(matrix(kA1), matrix(kH2), matrix(kX0)), 200);
  const TokenMeasures m = measure_tokens(limit.x);
  EXPECT_NEAR(m.hfc_lfc, 1, 1e-12);
  EXPECT_NEAR(m.cos_mean, 1.0 / 3, 1e-12);
  EXPECT_NEAR(m.cos_abs_incl, .5, 1e-12);
  EXPECT_NEAR(m.res_1inf, 1 / std::numbers::sqrt2, 1e-12);
  EXPECT_NEAR(m.stable_rank, 1.3, 1e-12);
}

TEST(ModeAnalysis, WithoutResidualTheConstantModeWins) {
  const ModeAnalysis out = analyse_modes(mode_table(matrix(kA2), matrix(kHN), matrix(kX0), 0));
  EXPECT_EQ(out.regime, Regime::kSmoothing);
  EXPECT_NEAR(out.dc, .9, 1e-14);
  EXPECT_NEAR(out.hf, .36, 1e-14);
}

TEST(ModeAnalysis, CausalOneTokenDominates) {
  const ModeAnalysis out = analyse_modes(mode_table(matrix(kA3), matrix(kHN), matrix(kX0)));
  EXPECT_EQ(out.regime, Regime::kSharpening);
  EXPECT_NEAR(out.hf, .94, 1e-14);
  EXPECT_TRUE(out.one_token);
  EXPECT_TRUE(std::isnan(out.cos_mean));
  EXPECT_NEAR(out.hfc_lfc, std::sqrt(3.0), 1e-9);
}

TEST(ModeAnalysis, ZeroCoefficientTrap) {
  const ref::Mat x0{{1, 0, 2}, {0, 1, -1}, {2, 1, 0}, {-1, 2, 1}};
  const ModeAnalysis out = analyse_modes(mode_table(matrix(kA2), matrix(kHN), matrix(x0)));
  EXPECT_NEAR(out.hf_all, 1.36, 1e-14);
  EXPECT_NEAR(out.hf, 1.2, 1e-14);
  ASSERT_EQ(out.dominating.size(), 1u);
  EXPECT_NEAR(out.dominating[0].h.real(), -.5, 1e-14);
  ASSERT_EQ(out.warnings.size(), 1u);
  EXPECT_THAT(out.warnings[0], testing::HasSubstr("coefficient 0"));
  // The iteration follows the predicted mode once (1.18/1.2)^L is small and before round-off revives the
  // other.
  const double grown =
      ref::iterate(kA2, kHN, x0, 1, 221).log_norm - ref::iterate(kA2, kHN, x0, 1, 220).log_norm;
  EXPECT_NEAR(grown, std::log(1.2), 2e-3);
}

TEST(ModeAnalysis, NothingSurvives) {
  EXPECT_EQ(analyse_modes(mode_table(matrix(kA1), matrix(kHS), matrix(ref::zeros(4, 3)))).regime,
            Regime::kNull);
  EXPECT_EQ(analyse_modes(mode_table(matrix(kA1), matrix(ref::zeros(3, 3)), matrix(kX0), 0)).regime,
            Regime::kNull);
  EXPECT_EQ(to_string(Regime::kNull), "null");
}

TEST(ModeAnalysis, IdentityAttentionNeverSmooths) {
  const ModeTable table = mode_table(matrix(ref::identity(4)), matrix(kHS), matrix(kX0));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(std::abs(table.va(i, 0)), 0.5, 1e-15);
  const ModeAnalysis out = analyse_modes(table);
  EXPECT_EQ(out.regime, Regime::kBalanced);
  EXPECT_GT(out.hfc_lfc, 0.1);
}

TEST(ModeAnalysis, OneToken) {
  const ModeAnalysis out = analyse_modes(mode_table(matrix({{1}}), matrix(kHS), matrix({{1, 2, 3}})));
  EXPECT_EQ(out.regime, Regime::kSmoothing);
  EXPECT_EQ(out.log_rate, -kInf);
  EXPECT_EQ(out.layers_to_1pct, 0);
}

TEST(ModeAnalysis, DefectiveMatricesAreNamed) {
  // Equal diagonal of a causal attention: λ = ½ is a Jordan block.
  const ref::Mat a{{1, 0, 0}, {.5, .5, 0}, {.25, .25, .5}};
  const ModeAnalysis out =
      analyse_modes(mode_table(matrix(a), matrix(kHS), matrix(kX0).copy().view().block(0, 0, 3, 3)));
  ASSERT_FALSE(out.warnings.empty());
  EXPECT_THAT(out.warnings[0], testing::HasSubstr("A is nearly defective"));
  EXPECT_EQ(out.regime, Regime::kSmoothing);
  const ref::Mat jordan{{-.5, 1}, {0, -.5}};
  const ModeAnalysis h = analyse_modes(mode_table(matrix(kA1), matrix(jordan)));
  ASSERT_FALSE(h.warnings.empty());
  EXPECT_THAT(h.warnings[0], testing::HasSubstr("H is nearly defective"));
}

TEST(ModeAnalysis, RotatingPairs) {
  // A cyclic shift mixed with the mean: complex λ; H a rotation: complex h.
  const ref::Mat shift{{.1, .8, .1}, {.1, .1, .8}, {.8, .1, .1}};
  const ref::Mat rotation{{0, -1}, {1, 0}};
  Random random(23);
  const ref::Mat x0 = normals(random, 3, 2);
  const ModeAnalysis out = analyse_modes(mode_table(matrix(shift), matrix(rotation), matrix(x0)));
  // |1 + i| against |1 + λ i| with λ = −.35 ± .606i: the latter is larger.
  EXPECT_EQ(out.regime, Regime::kSharpening);
  EXPECT_EQ(out.dominating.size(), 2u);
  EXPECT_FALSE(out.steady);
  EXPECT_EQ(out.rank, 2u);
  EXPECT_TRUE(std::isnan(out.cos_mean));
}

TEST(ClosedForm, EqualsIteration) {
  Random random(24);
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t n = 2 + random.below(6), d = 1 + random.below(5);
    const ref::Mat a = random_attention(random, n, 2), x0 = normals(random, n, d);
    const ref::Mat h = ref::scale(normals(random, d, d), 1 / std::sqrt(static_cast<double>(d)));
    const double alpha = trial % 3 == 0 ? 0 : trial % 3 == 1 ? 1 : 0.7;
    const ModeTable table = mode_table(matrix(a), matrix(h), matrix(x0), alpha);
    const double kappa = table.kappa_a * table.kappa_h;
    for (std::size_t layers : {0, 1, 7, 40}) {
      const ScaledTokens closed = tokens_at(table, layers);
      const ref::Scaled iterated = ref::iterate(a, h, x0, alpha, layers);
      const double tolerance = 1e-13 * kappa * (1 + static_cast<double>(layers));
      EXPECT_LT(largest_difference(closed.x, iterated.x), tolerance)
          << trial << " " << layers << " κ=" << kappa;
      EXPECT_NEAR(closed.log_norm, iterated.log_norm, tolerance);
    }
  }
}

TEST(ClosedForm, NeedsCoefficients) {
  EXPECT_THROW(tokens_at(mode_table(matrix(kA1), matrix(kHS)), 3), Error);
  const ScaledTokens gone = tokens_at(mode_table(matrix(kA1), matrix(ref::zeros(3, 3)), matrix(kX0), 0), 2);
  EXPECT_EQ(gone.log_norm, -kInf);
  EXPECT_EQ(ref::frobenius(nested(gone.x)), 0);
}

// Prediction against iteration on many random systems: the same winner whenever D and F are apart.
TEST(ModeAnalysis, WinnerOfRandomSystems) {
  constexpr int trials = repeats(1000, 100);
  Random random(25);
  int checked = 0, smoothing = 0;
  for (int trial = 0; trial < trials; ++trial) {
    const std::size_t n = 2 + random.below(6), d = 1 + random.below(5);
    const ref::Mat a = random_attention(random, n, 3 * random.uniform(), trial % 5 == 0);
    ref::Mat h = ref::scale(normals(random, d, d), 1 / std::sqrt(static_cast<double>(d)));
    for (std::size_t j = 0; j < d; ++j) h[j][j] -= trial % 2;  // half of them lean to sharpening
    const ref::Mat x0 = normals(random, n, d);
    const ModeTable table = mode_table(matrix(a), matrix(h), matrix(x0));
    const ModeAnalysis out = analyse_modes(table);
    if (table.kappa_a * table.kappa_h > 1e4 || std::abs(out.dc - out.hf) < 1e-3) continue;
    ++checked;
    smoothing += out.regime == Regime::kSmoothing;
    if (n <= 6) {
      const ref::Maxima maxima = ref::maxima(a, h, 1);
      EXPECT_NEAR(out.dc, maxima.dc, 1e-6 * maxima.dc) << trial;
      EXPECT_NEAR(out.hf, maxima.hf, 1e-6 * maxima.hf) << trial;
    }
    // Layers until the losing family is below 1e-3 of the winning one, generously.
    const double layers =
        std::min(30000.0, 4 * std::log(1e4 * table.kappa_a * table.kappa_h) / std::abs(out.log_rate));
    const double ratio = ref::measures(ref::iterate(a, h, x0, 1, static_cast<std::size_t>(layers)).x).hfc_lfc;
    if (out.regime == Regime::kSmoothing)
      EXPECT_LT(ratio, 1e-2) << trial;
    else
      EXPECT_GT(ratio, 1e-2) << trial;
  }
  EXPECT_GT(checked, trials * 4 / 5);
  EXPECT_GT(smoothing, trials / 5);
  EXPECT_GT(checked - smoothing, trials / 5);
}

TEST(ModeAnalysis, PredictedRateIsTheMeasuredSlope) {
  Random random(26);
  int checked = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const std::size_t n = 3 + random.below(4), d = 1 + random.below(4);
    const ref::Mat a = random_attention(random, n), x0 = normals(random, n, d);
    const ref::Mat h = ref::scale(normals(random, d, d), 0.7 / std::sqrt(static_cast<double>(d)));
    const ModeTable table = mode_table(matrix(a), matrix(h), matrix(x0));
    const ModeAnalysis out = analyse_modes(table);
    // A complex leader makes the ratio oscillate about its slope; a near tie hides the slope for long.
    if (out.regime != Regime::kSmoothing || !out.steady || table.kappa_h > 1e3 || table.kappa_a > 1e3)
      continue;
    if (std::abs(out.log_rate) > 0.4 || std::abs(out.log_rate) < 0.02) continue;
    double leader = 0, second = 0;
    Complex leading;
    for (std::size_t i = 1; i < n; ++i)
      for (std::size_t j = 0; j < d; ++j) {
        const double size = std::abs(table.mu(i, j));
        if (size > leader)
          second = leader, leader = size, leading = table.mu(i, j);
        else
          second = std::max(second, size);
      }
    if (leading.imag() != 0 || second > 0.95 * leader) continue;
    double dc_second = 0;
    for (std::size_t j = 0; j < d; ++j) {
      const double size = std::abs(table.mu(0, j));
      if (size < out.dc) dc_second = std::max(dc_second, size);
    }
    if (dc_second > 0.95 * out.dc) continue;
    // HFC/LFC falls to about 1e-9 at layer 20/|rate|: late enough for the transient, early enough for double.
    const auto late = static_cast<std::size_t>(20 / std::abs(out.log_rate));
    const std::size_t span = late / 4 + 1;
    const auto log_ratio = [&](std::size_t layers) {
      return std::log(ref::measures(ref::iterate(a, h, x0, 1, layers).x).hfc_lfc);
    };
    const double slope = (log_ratio(late) - log_ratio(late - span)) / static_cast<double>(span);
    EXPECT_NEAR(slope, out.log_rate, 0.02 * std::abs(out.log_rate)) << trial;
    ++checked;
  }
  EXPECT_GT(checked, 30);
}

TEST(ModeTable, RefusesBadInput) {
  const auto kind_of = [](auto&& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  Matrix<double> bad = matrix(kHS);
  bad(1, 2) = std::nan("");
  EXPECT_EQ(kind_of([&] { mode_table(matrix(kA1), bad); }), ErrorKind::kNotFinite);
  EXPECT_EQ(kind_of([&] { mode_table(matrix({{.5, .4}, {.5, .5}}), matrix(kHS)); }), ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { mode_table(matrix({{.5, .5}}), matrix(kHS)); }), ErrorKind::kShape);
  EXPECT_EQ(kind_of([&] { mode_table(matrix(kA1), matrix(kHS), matrix({{1, 2}})); }), ErrorKind::kShape);
  EXPECT_EQ(kind_of([&] { mode_table(matrix(kA1), matrix(kHS), {}, kInf); }), ErrorKind::kNotFinite);
}

// ---- Laws of the multi-head layer ----

TEST(MultiHeadLaws, VariablePartEvolvesByItselfWithinTheBound) {
  Random random(27);
  for (int trial = 0; trial < 50; ++trial) {
    const std::size_t n = 3 + random.below(5), d = 2 + random.below(4), heads = 1 + random.below(3);
    const ref::Mat x = normals(random, n, d), bias = normals(random, 1, d);
    const ref::Mat y = ref::variable_part(x), mean = ref::mean_part(x);
    ref::Mat next = x, y_law = y, mean_law = mean;
    std::vector<double> sigma_pap, sigma_h;
    for (std::size_t h = 0; h < heads; ++h) {
      const ref::Mat a = random_attention(random, n), w = normals(random, d, d);
      next = ref::add(next, ref::multiply(ref::multiply(a, x), w));
      y_law = ref::add(y_law, ref::multiply(ref::multiply(ref::pap(a), y), w));
      mean_law = ref::add(mean_law, ref::multiply(mean, w));
      mean_law = ref::add(mean_law, ref::mean_part(ref::multiply(ref::multiply(a, y), w)));
      sigma_pap.push_back(ref::singular_values(ref::pap(a))[0]);
      sigma_h.push_back(ref::singular_values(w)[0]);
    }
    next = ref::add(next, ref::Mat(n, bias[0]));
    mean_law = ref::add(mean_law, ref::Mat(n, bias[0]));
    const double scale = 1 + ref::frobenius(next);
    EXPECT_LT(ref::frobenius(ref::add(ref::variable_part(next), y_law, -1)), 1e-13 * scale)
        << "a bias adds no HFC";
    EXPECT_LT(ref::frobenius(ref::add(ref::mean_part(next), mean_law, -1)), 1e-13 * scale);
    EXPECT_LE(ref::frobenius(y_law), one_step_bound(sigma_pap, sigma_h) * ref::frobenius(y) * (1 + 1e-12));
  }
  EXPECT_DOUBLE_EQ(one_step_bound(std::array{.5, 2.0}, std::array{1.0, 3.0}, -.5), 7.0);
  EXPECT_THROW(one_step_bound(std::array{.5}, std::array{1.0, 3.0}), Error);
}

TEST(MultiHeadLaws, FrobeniusNormBoundsTheSpectrum) {
  Random random(28);
  for (int trial = 0; trial < 50; ++trial) {
    const std::size_t d = 2 + random.below(5);
    const ref::Mat q = random_orthogonal(random, d);
    ref::Vector l(d);
    for (double& value : l) value = random.normal();
    for (const bool normal : {false, true}) {
      const ref::Mat h = normal ? with_spectrum(q, l) : normals(random, d, d);
      double sum = 0;
      for (Complex z : mode_table(matrix({{1}}), matrix(h)).h) sum += std::norm(z);
      const double norm2 = ref::frobenius(h) * ref::frobenius(h);
      EXPECT_LE(sum, norm2 * (1 + 1e-12));
      if (normal)
        EXPECT_NEAR(sum, norm2, 1e-12 * norm2);
      else
        EXPECT_LT(sum, norm2 * (1 - 1e-6));
    }
  }
}

// ---- Post-norm stability ----

// The growth per layer of a small difference between tokens, measured on the nonlinear layer itself.
double measured_growth(const ref::Mat& a, const ref::Mat& h, const std::vector<double>& fixed,
                       const NormParameters& norm, Random& random) {
  const std::size_t n = a.size();
  ref::Mat x(n, fixed);
  const double size = 1e-7;
  ref::Mat delta = ref::variable_part(normals(random, n, fixed.size()));
  double log_growth = 0;
  constexpr int kLayers = 400, kWarm = 200;
  for (int layer = 0; layer < kLayers; ++layer) {
    delta = ref::scale(delta, size / ref::frobenius(delta));
    x = ref::add(ref::Mat(n, fixed), delta);
    const Matrix<double> next = apply_norm(matrix(ref::layer(a, x, h, 1)), norm);
    // Differences between tokens only: the shared part relaxes by its own factor.
    delta = ref::variable_part(nested(next));
    if (layer >= kWarm) log_growth += std::log(ref::frobenius(delta) / size);
  }
  return std::exp(log_growth / (kLayers - kWarm));
}

TEST(CollapseStability, PredictsTheGrowthOfDifferences) {
  Random random(29);
  int stable = 0, unstable = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t n = 3 + random.below(3), d = 4 + random.below(3);
    const ref::Mat a = random_attention(random, n, 1.5);
    ref::Mat h = ref::scale(normals(random, d, d), 0.5 / std::sqrt(static_cast<double>(d)));
    h = ref::add(h, ref::identity(d), trial % 2 ? 0.6 : -0.4);
    NormParameters norm;
    norm.gamma.resize(d);
    for (double& g : norm.gamma) g = 1 + 0.2 * random.normal();
    norm.beta.resize(d);
    for (double& b : norm.beta) b = 0.2 * random.normal();
    norm.rms = trial % 3 == 0;
    std::vector<Complex> lambda = mode_table(matrix(a), matrix({{1}})).lambda;
    lambda.erase(lambda.begin());
    ref::Vector start(d);
    for (double& value : start) value = random.normal();
    const CollapseStability out = collapse_stability(lambda, matrix(h), norm, start);
    if (!out.fixed_point_found) {
      EXPECT_TRUE(std::isnan(out.growth));
      continue;
    }
    EXPECT_EQ(out.attracts, out.growth < 1);
    ++(out.attracts ? stable : unstable);
    EXPECT_NEAR(measured_growth(a, h, out.fixed_point, norm, random), out.growth, 0.02 * out.growth) << trial;
  }
  EXPECT_GT(stable, 5);
  EXPECT_GT(unstable, 5);
}

TEST(CollapseStability, RefusesBadShapes) {
  EXPECT_THROW(collapse_stability({}, matrix(kHS), {}, std::vector<double>{1, 2}), Error);
  NormParameters norm;
  norm.gamma = {1, 1};
  EXPECT_THROW(apply_norm(matrix(kX0), norm), Error);
}

// ---- Attention ----

TEST(AttentionSpectrum, KnownMatrix) {
  const ref::Mat a = ref::attention(kX0, kX0, 1 / std::sqrt(3.0), false);
  const AttentionSpectrum s = attention_spectrum(matrix(a));
  ASSERT_EQ(s.values.size(), 4u);
  const std::array expected{1.0, .9466746851, .5884621736, .1412807472};
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(std::abs(s.values[k] - expected[k]), 0, 5e-11);
  EXPECT_NEAR(s.second_modulus, expected[1], 5e-11);
  EXPECT_NEAR(s.smallest_real, expected[3], 5e-11);
  EXPECT_NEAR(s.sigma_max_pap, .9486380179, 5e-11);
  EXPECT_FALSE(s.causal);
  EXPECT_NEAR(s.sink_mass, (a[0][0] + a[1][0] + a[2][0] + a[3][0]) / 4, 1e-15);
  const ref::Vector sigma = ref::singular_values(a);
  EXPECT_NEAR(s.stable_rank, std::pow(ref::frobenius(a) / sigma[0], 2), 1e-12);

  // The left Perron vector of the mode table is the stationary distribution.
  const ModeTable table = mode_table(matrix(a), matrix({{1}}));
  const std::array pi{.0012118164, .00033127, .0004975443, .9979593694};
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(table.va_inverse(0, k).real() / 2, pi[k], 5e-11);
}

TEST(AttentionSpectrum, CausalIsTheDiagonal) {
  const ref::Mat a = ref::attention(kX0, kX0, 1 / std::sqrt(3.0), true);
  const AttentionSpectrum s = attention_spectrum(matrix(a));
  EXPECT_TRUE(s.causal);
  const std::array expected{1.0, .9998840498, .8496745531, .3904139456};
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(std::abs(s.values[k] - expected[k]), 0, 5e-11);
}

TEST(AttentionSpectrum, CyclicLogitsGiveAComplexPairAndAGainAboveOne) {
  // Logits X0 M X0ᵀ/√3 with the cyclic M: a strongly asymmetric attention.
  const ref::Mat cyclic{{0, 1, 0}, {0, 0, 1}, {1, 0, 0}};
  const ref::Mat a = ref::attention(ref::multiply(kX0, cyclic), kX0, 1 / std::sqrt(3.0), false);
  const AttentionSpectrum s = attention_spectrum(matrix(a));
  double pair = 0;
  for (Complex z : s.values) pair = std::max(pair, std::abs(z.imag()));
  EXPECT_NEAR(pair, 0.5805, 5e-5);
  EXPECT_NEAR(s.smallest_real, -0.3447, 5e-5);
  EXPECT_NEAR(s.sigma_max_pap, 1.03994, 5e-6);
}

TEST(AttentionSpectrum, EqualsTheReference) {
  Random random(30);
  for (int trial = 0; trial < 60; ++trial) {
    const std::size_t n = 1 + random.below(7);
    const bool causal = trial % 4 == 0;
    const ref::Mat a = random_attention(random, n, 2, causal);
    const AttentionSpectrum s = attention_spectrum(matrix(a));
    EXPECT_EQ(s.causal, causal && n > 1);
    EXPECT_NEAR(s.sigma_max_pap, n == 1 ? 0 : ref::singular_values(ref::pap(a))[0], 1e-9);
    double smallest = 1, entropy = 0;
    for (Complex z : ref::eigenvalues(a)) smallest = std::min(smallest, z.real());
    EXPECT_NEAR(s.smallest_real, smallest, 1e-7);
    for (const ref::Vector& row : a)
      for (double value : row)
        if (value > 0) entropy -= value * std::log(value) / static_cast<double>(n);
    EXPECT_NEAR(s.row_entropy, entropy, 1e-13);
  }
}

// Krylov extremes against the full spectrum, for attentions from diffuse to peaked.
TEST(AttentionSpectrum, ExtremesEqualTheFullSpectrum) {
  Random random(31);
  int iterative = 0;
  for (const std::size_t n : {64, 130, 200})
    for (const double sharpness : {0.2, 1.0, 3.0, 10.0}) {
      const ref::Mat tokens = normals(random, n, 8);
      const ref::Mat a =
          ref::attention(ref::multiply(tokens, normals(random, 8, 8)), tokens, sharpness / 8, false);
      const AttentionSpectrum all = attention_spectrum(matrix(a), {AttentionOptions::Values::kAll});
      const AttentionSpectrum some = attention_spectrum(matrix(a), {AttentionOptions::Values::kExtremes});
      EXPECT_NEAR(some.second_modulus, all.second_modulus, 1e-5) << n << " " << sharpness;
      EXPECT_NEAR(some.smallest_real, all.smallest_real, 1e-5) << n << " " << sharpness;
      EXPECT_EQ(all.values.size(), n);
      EXPECT_LE(some.residual, 1e-7);
      iterative += some.values.empty();
      EXPECT_NEAR(some.sigma_max_pap, ref::singular_values(ref::pap(a))[0], 1e-7) << n << " " << sharpness;
    }
  EXPECT_GT(iterative, 3) << "the Krylov route must be taken where it pays";
}

TEST(AttentionSpectrum, SpecialMatrices) {
  const AttentionSpectrum one = attention_spectrum(matrix({{1}}));
  EXPECT_EQ(one.second_modulus, 0);
  EXPECT_EQ(one.sigma_max_pap, 0);
  EXPECT_EQ(one.stable_rank, 1);

  for (const std::size_t n : {5, 80}) {
    const double size = static_cast<double>(n);
    const AttentionSpectrum uniform = attention_spectrum(matrix(ref::Mat(n, ref::Vector(n, 1 / size))),
                                                         {AttentionOptions::Values::kExtremes});
    EXPECT_NEAR(uniform.second_modulus, 0, 1e-12);
    EXPECT_NEAR(uniform.sigma_max_pap, 0, 1e-12);
    EXPECT_NEAR(uniform.row_entropy, std::log(size), 1e-12);
    EXPECT_NEAR(uniform.stable_rank, 1, 1e-12);

    ref::Mat shift = ref::zeros(n, n);
    for (std::size_t i = 0; i < n; ++i) shift[i][(i + 1) % n] = 1;
    const AttentionSpectrum cyclic = attention_spectrum(matrix(shift), {AttentionOptions::Values::kExtremes});
    EXPECT_NEAR(cyclic.second_modulus, 1, 1e-9);
    EXPECT_NEAR(cyclic.sigma_max_pap, 1, 1e-9);
    EXPECT_NEAR(cyclic.smallest_real, n % 2 ? std::cos(std::numbers::pi * (size - 1) / size) : -1, 1e-7);

    const AttentionSpectrum identity = attention_spectrum(matrix(ref::identity(n)));
    EXPECT_TRUE(identity.causal);
    EXPECT_NEAR(identity.second_modulus, 1, 0);
    EXPECT_NEAR(identity.stable_rank, size, 1e-9);
  }
}

TEST(AttentionSpectrum, RefusesBadInput) {
  EXPECT_THROW(attention_spectrum(Matrix<double>()), Error);
  EXPECT_THROW(attention_spectrum(matrix({{.5, .5}})), Error);
  Matrix<double> a = matrix(kA1);
  a(2, 3) = std::nan("");
  try {
    attention_spectrum(a);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
  }
  try {
    attention_spectrum(matrix({{.5, .5}, {.5, .3}}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), testing::HasSubstr("row 1"));
  }
}

}  // namespace
}  // namespace telos::smoothing
