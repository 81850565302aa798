#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "telos/base/error.h"
#include "telos/smoothing/theory.h"
#include "tests/smoothing/support.h"

namespace telos::smoothing {
namespace {

using namespace test;

void expect_close(const TokenMeasures& found, const ref::Measures& expected, double tolerance) {
  EXPECT_NEAR(found.hfc_lfc, expected.hfc_lfc, tolerance * expected.hfc_lfc);
  EXPECT_NEAR(found.hfc_frac, expected.hfc_frac, tolerance);
  EXPECT_NEAR(found.cos_mean, expected.cos_mean, tolerance);
  EXPECT_NEAR(found.cos_abs_incl, expected.cos_abs_incl, tolerance);
  EXPECT_NEAR(found.res_1inf, expected.res_1inf, tolerance);
  EXPECT_NEAR(found.rank1_res, expected.rank1_res, tolerance);
  EXPECT_NEAR(found.stable_rank, expected.stable_rank, tolerance * expected.stable_rank);
  EXPECT_NEAR(found.eff_rank, expected.eff_rank, tolerance * expected.eff_rank);
  EXPECT_NEAR(found.part_ratio, expected.part_ratio, tolerance * expected.part_ratio);
  EXPECT_NEAR(found.dirichlet, expected.dirichlet, tolerance * expected.dirichlet);
  EXPECT_NEAR(found.log_norm, expected.log_norm, tolerance * (1 + std::abs(expected.log_norm)));
  EXPECT_NEAR(found.max_norm_share, expected.max_norm_share, tolerance);
}

TEST(Measures, KnownMatrix) {
  const TokenMeasures m = measure_tokens(matrix({{1, 2}, {3, 4}, {5, 6}}));
  EXPECT_NEAR(m.hfc_lfc, .4618802154, 5e-11);
  EXPECT_NEAR(m.cos_mean, .9853249140, 5e-11);
  EXPECT_NEAR(m.cos_abs_incl, .9902166093, 5e-11);
  EXPECT_NEAR(m.res_1inf, .3481553119, 5e-11);
  EXPECT_NEAR(m.stable_rank, 1.0029151225, 5e-11);
  EXPECT_NEAR(m.eff_rank, 1.2239822298, 5e-11);
  EXPECT_NEAR(m.part_ratio, 1.0058301956, 5e-11);
  EXPECT_NEAR(m.rank1_res, .0539133500, 5e-11);
  EXPECT_NEAR(m.dirichlet, 48, 1e-13 * 48);
  EXPECT_EQ(m.rows, 3u);
}

TEST(Measures, StartOfTheSmallSystem) {
  const TokenMeasures m = measure_tokens(matrix(kX0));
  EXPECT_NEAR(m.log_norm, 1.6290482690, 5e-11);
  EXPECT_NEAR(m.hfc_lfc, 1.7320508076, 5e-11);
  EXPECT_NEAR(m.cos_mean, .0893773253, 5e-11);
  EXPECT_NEAR(m.cos_abs_incl, .4660808890, 5e-11);
  EXPECT_NEAR(m.res_1inf, .8864052604, 5e-11);
  EXPECT_NEAR(m.rank1_res, .5837073678, 5e-11);
  EXPECT_NEAR(m.stable_rank, 1.5167930787, 5e-11);
  EXPECT_NEAR(m.eff_rank, 2.8046439228, 5e-11);
  EXPECT_NEAR(m.part_ratio, 2.0, 5e-11);
}

// Every shape takes its own route through singular values and cosine blocks; all must equal the definitions.
TEST(Measures, EqualTheDefinitions) {
  Random random(11);
  for (const auto& [n, d] :
       {std::pair<std::size_t, std::size_t>{2, 1}, {2, 9}, {7, 3}, {20, 33}, {40, 33}, {300, 5}}) {
    const ref::Mat x = normals(random, n, d);
    expect_close(measure_tokens(matrix(x)), ref::measures(x), 1e-12 * static_cast<double>(n + d));
  }
  // Gram route: wide and tall. eff_rank alone has the larger bound of the header.
  for (const auto& [n, d] : {std::pair<std::size_t, std::size_t>{33, 60}, {50, 36}}) {
    const ref::Mat x = normals(random, n, d);
    expect_close(measure_tokens(matrix(x)), ref::measures(x), 1e-9);
  }
}

TEST(Measures, NearlyCollapsedTokensKeepTheirDigits) {
  Random random(12);
  for (double spread : {1e-2, 1e-4, 1e-6}) {
    ref::Mat x = normals(random, 1, 48);
    x.resize(40, x[0]);
    const ref::Mat noise = normals(random, 40, 48);
    x = ref::add(x, noise, spread);
    const TokenMeasures m = measure_tokens(matrix(x));
    const ref::Measures expected = ref::measures(x);
    EXPECT_NEAR(m.rank1_res, expected.rank1_res, 1e-8 * expected.rank1_res) << spread;
    EXPECT_NEAR(m.hfc_lfc, expected.hfc_lfc, 1e-8 * expected.hfc_lfc) << spread;
    EXPECT_NEAR(m.eff_rank, expected.eff_rank, 1e-3) << spread;
  }
}

TEST(Measures, FloatInputIsSummedInDouble) {
  Random random(13);
  const ref::Mat x = normals(random, 12, 40);
  const Matrix<float> narrow = matrix_f32(x);
  ref::Mat same = x;
  for (std::size_t i = 0; i < 12; ++i)
    for (std::size_t j = 0; j < 40; ++j) same[i][j] = narrow(i, j);
  expect_close(measure_tokens(narrow), ref::measures(same), 1e-12);
}

TEST(Measures, KeepChoosesRows) {
  Random random(14);
  const ref::Mat x = normals(random, 6, 4);
  MeasureOptions options;
  options.keep = {true, false, true, true, false, true};
  const TokenMeasures m = measure_tokens(matrix(x), options);
  EXPECT_EQ(m.rows, 4u);
  expect_close(m, ref::measures({x[0], x[2], x[3], x[5]}), 1e-13);

  options.keep = {false, false, false, false, false, false};
  const TokenMeasures none = measure_tokens(matrix(x), options);
  EXPECT_EQ(none.rows, 0u);
  EXPECT_TRUE(std::isnan(none.hfc_lfc));
  options.keep.pop_back();
  EXPECT_THROW(measure_tokens(matrix(x), options), Error);
}

TEST(Measures, CentringRemovesTheConstantPart) {
  Random random(15);
  const ref::Mat x = ref::add(normals(random, 9, 5), ref::Mat(9, ref::Vector(5, 100.0)));
  MeasureOptions options;
  options.centre_features = true;
  const TokenMeasures m = measure_tokens(matrix(x), options);
  EXPECT_EQ(m.hfc_lfc, std::numeric_limits<double>::infinity());
  EXPECT_EQ(m.hfc_frac, 1);
  EXPECT_NEAR(m.dirichlet, ref::measures(x).dirichlet, 1e-10 * m.dirichlet);
  const TokenMeasures equal = measure_tokens(matrix(ref::Mat(7, ref::Vector{0.1, 0.7, -0.3})), options);
  EXPECT_EQ(equal.dirichlet, 0);
  EXPECT_TRUE(std::isnan(equal.hfc_frac));
}

TEST(Measures, Degenerate) {
  const double inf = std::numeric_limits<double>::infinity();
  const TokenMeasures zero = measure_tokens(Matrix<double>(3, 2));
  EXPECT_TRUE(std::isnan(zero.hfc_lfc));
  EXPECT_TRUE(std::isnan(zero.cos_mean));
  EXPECT_TRUE(std::isnan(zero.stable_rank));
  EXPECT_EQ(zero.log_norm, -inf);
  EXPECT_EQ(zero.dirichlet, 0);

  const TokenMeasures one = measure_tokens(matrix({{3, 4}}));
  EXPECT_EQ(one.hfc_lfc, 0);
  EXPECT_TRUE(std::isnan(one.cos_mean));
  EXPECT_NEAR(one.cos_abs_incl, 1, 1e-15);
  EXPECT_NEAR(one.stable_rank, 1, 1e-15);
  EXPECT_NEAR(one.log_norm, std::log(5.0), 1e-15);

  const TokenMeasures same = measure_tokens(matrix(ref::Mat(5, ref::Vector{1, 2, 3})));
  EXPECT_LT(same.hfc_lfc, 1e-15);
  EXPECT_NEAR(same.cos_mean, 1, 1e-15);
  EXPECT_LT(same.rank1_res, 1e-15);
  EXPECT_NEAR(same.eff_rank, 1, 1e-12);

  const TokenMeasures opposite = measure_tokens(matrix({{1, 2}, {-1, -2}}));
  EXPECT_EQ(opposite.hfc_lfc, inf);
  EXPECT_NEAR(opposite.cos_mean, -1, 1e-15);

  const TokenMeasures single = measure_tokens(matrix({{0, 0}, {1, 2}, {0, 0}}));
  EXPECT_TRUE(std::isnan(single.cos_mean)) << "one nonzero row has no pair";
  EXPECT_EQ(single.max_norm_share, 1);
}

TEST(Measures, ScaleInvariantFromSubnormalToHuge) {
  Random random(16);
  const ref::Mat x = normals(random, 6, 4);
  const TokenMeasures plain = measure_tokens(matrix(x));
  for (int exponent : {-1000, -300, 300, 1000}) {
    const TokenMeasures m = measure_tokens(matrix(ref::scale(x, std::ldexp(1.0, exponent))));
    EXPECT_EQ(m.hfc_lfc, plain.hfc_lfc) << exponent;
    EXPECT_EQ(m.cos_mean, plain.cos_mean) << exponent;
    EXPECT_EQ(m.stable_rank, plain.stable_rank) << exponent;
    EXPECT_NEAR(m.log_norm, plain.log_norm + exponent * std::log(2.0), 1e-12 * 1000) << exponent;
  }
}

TEST(Measures, NotFiniteNamesThePlace) {
  for (double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Matrix<double> x = matrix(kX0);
    x(2, 1) = bad;
    try {
      measure_tokens(x);
      FAIL() << "accepted " << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
      EXPECT_THAT(error.where(), testing::HasSubstr("(2, 1)"));
    }
    MeasureOptions options;
    options.keep = {true, true, false, true};
    EXPECT_NO_THROW(measure_tokens(x, options)) << "a row that is not used may hold anything";
  }
}

TEST(Measures, BoundsAndInvariances) {
  Random random(17);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t n = 2 + random.below(12), d = 1 + random.below(12);
    const ref::Mat x = normals(random, n, d);
    const TokenMeasures m = measure_tokens(matrix(x));
    const double rank = static_cast<double>(std::min(n, d)), slack = 1e-12;
    EXPECT_LE(std::abs(m.cos_mean), 1);
    EXPECT_LE(m.cos_abs_incl, 1 + slack);
    EXPECT_GE(m.cos_abs_incl, 1 / static_cast<double>(n) - slack);
    EXPECT_GE(m.hfc_frac, 0);
    EXPECT_LE(m.hfc_frac, 1);
    EXPECT_GE(m.stable_rank, 1 - slack);
    EXPECT_LE(m.stable_rank, rank + slack);
    EXPECT_GE(m.eff_rank, 1 - slack);
    EXPECT_LE(m.eff_rank, rank + slack);
    // Filters: JX + PX = X, orthogonal, so the squares add up; and hfc_frac = r²/(1 + r²).
    const double high = ref::frobenius(ref::variable_part(x)), low = ref::frobenius(ref::mean_part(x));
    EXPECT_NEAR(high * high + low * low, std::exp(2 * m.log_norm), 1e-12 * std::exp(2 * m.log_norm));
    EXPECT_NEAR(m.hfc_frac, m.hfc_lfc * m.hfc_lfc / (1 + m.hfc_lfc * m.hfc_lfc), slack);
    EXPECT_NEAR(m.dirichlet, static_cast<double>(n) * high * high, 1e-11 * m.dirichlet);
    // A rotation of the features and an order of the tokens change nothing but res_1inf.
    ref::Mat moved = ref::multiply(x, random_orthogonal(random, d));
    std::swap(moved[0], moved[n - 1]);
    const TokenMeasures same = measure_tokens(matrix(moved));
    EXPECT_NEAR(same.hfc_lfc, m.hfc_lfc, 1e-11 * m.hfc_lfc);
    EXPECT_NEAR(same.cos_mean, m.cos_mean, slack);
    EXPECT_NEAR(same.eff_rank, m.eff_rank, 1e-10);
  }
}

}  // namespace
}  // namespace telos::smoothing
