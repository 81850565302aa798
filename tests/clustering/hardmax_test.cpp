#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "tests/clustering/hardmax_systems.h"

namespace telos::clustering {
namespace {

using test::Rows;
using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pointwise;

const Arena arena(2);

HardmaxRun run(const Rows& tokens, HardmaxOptions options = {}) {
  const Matrix<double> m = test::matrix(tokens);
  return run_hardmax(m, options, arena);
}
HardmaxOptions with_alpha(double alpha) {
  HardmaxOptions options;
  options.alpha = alpha;
  return options;
}

std::vector<std::size_t> leader_tokens(const HardmaxRun& r) {
  std::vector<std::size_t> tokens;
  for (const Leader& leader : r.leaders) tokens.push_back(leader.token);
  return tokens;
}
std::vector<std::size_t> cluster_sizes(const HardmaxRun& r) {
  std::vector<std::size_t> sizes;
  for (const Leader& leader : r.leaders) sizes.push_back(leader.followers);
  return sizes;
}
std::vector<double> position(const HardmaxRun& r, std::size_t token, std::size_t layer) {
  std::vector<double> out(r.dimension);
  r.position(token, layer, out);
  return out;
}
std::vector<double> limit(const HardmaxRun& r, std::size_t token) {
  return {r.limits.row(token), r.limits.row(token) + r.dimension};
}
auto near(const std::vector<double>& expected, double tolerance) {
  return Pointwise(DoubleNear(tolerance), expected);
}

// ---- Published and computed numbers

const Rows kEmerging = {{1, 1. / 3},  {-1. / 12, 1. / 12}, {-1, -1},   {0, 0.25},
                        {-0.3, -0.7}, {-0.6, -0.9},        {0.8, 0.1}, {0.6, 0.15}};

TEST(Hardmax, ATokenBecomesALeaderOnceAnotherHasMovedAway) {
  const HardmaxRun r = run(kEmerging, with_alpha(0.5));
  EXPECT_THAT(leader_tokens(r), ElementsAre(0, 2, 1));
  EXPECT_EQ(r.initial_leaders, 2u);
  EXPECT_EQ(r.leaders[2].emergence, 1u);
  EXPECT_THAT(cluster_sizes(r), ElementsAre(4, 3, 1));
  const std::size_t first[] = {0, 3, 2, 0, 2, 2, 0, 0};
  const double one[][2] = {{1, 0.3333333333},
                           {-0.0555555556, 0.1388888889},
                           {-1, -1},
                           {0.3333333333, 0.2777777778},
                           {-0.5333333333, -0.8},
                           {-0.7333333333, -0.9333333333},
                           {0.8666666667, 0.1777777778},
                           {0.7333333333, 0.2111111111}};
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(r.fates[i].first_target, first[i]);
    EXPECT_THAT(position(r, i, 1), near({one[i][0], one[i][1]}, 1e-10)) << i;
    EXPECT_EQ(r.fates[i].changed, i == 1);
    EXPECT_EQ(r.fates[i].decided, i == 1 ? 1u : 0u);
  }
  EXPECT_THAT(r.targets(1, 0), ElementsAre(3));
  EXPECT_THAT(r.targets(1, 1), ElementsAre(1));
  EXPECT_THAT(position(r, 3, 5), near({0.8683127572, 0.3223593964}, 1e-10));
  EXPECT_THAT(position(r, 4, 5), near({-0.90781893, -0.9604938272}, 1e-9));
  EXPECT_THAT(position(r, 5, 5), near({-0.9473251029, -0.9868312757}, 1e-10));
  EXPECT_THAT(position(r, 6, 5), near({0.9736625514, 0.30260631}, 1e-10));
  EXPECT_THAT(position(r, 7, 5), near({0.9473251029, 0.3091906722}, 1e-10));
  EXPECT_THAT(position(r, 3, 30), near({0.9999947849, 0.3333328987}, 1e-10));
  EXPECT_EQ(limit(r, 3), limit(r, 0));
  EXPECT_EQ(limit(r, 0), kEmerging[0]);
  EXPECT_TRUE(r.complete);
  EXPECT_EQ(r.layers, 2u);
  EXPECT_EQ(r.fates[3].end, TokenEnd::kFollows);
  EXPECT_NEAR(r.fates[3].travelled, std::hypot(1, 1. / 12), 1e-15);
}

const Rows kSquare = {{1, 1}, {1, -1}, {-1, -1}, {-1, 1}, {-0.5, 0}, {0.5, 0}};

TEST(Hardmax, TokensOnAFaceConvergeToTheProjectionOfTheOrigin) {
  const HardmaxRun r = run(kSquare, with_alpha(0.5));
  EXPECT_THAT(leader_tokens(r), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(r.fates[5].end, TokenEnd::kFace);
  EXPECT_THAT(r.targets(5, 0), ElementsAre(0, 1));
  EXPECT_NEAR(position(r, 5, 1)[0], 2. / 3, 1e-15);
  EXPECT_NEAR(position(r, 5, 2)[0], 7. / 9, 1e-15);
  EXPECT_NEAR(position(r, 5, 30)[0], 0.9999973925, 1e-10);
  EXPECT_NEAR(position(r, 4, 30)[0], -0.9999973925, 1e-10);
  EXPECT_THAT(limit(r, 5), ElementsAre(1, 0));
  EXPECT_THAT(limit(r, 4), ElementsAre(-1, 0));
  EXPECT_THAT(r.notes, ElementsAre(HasSubstr("2 tokens attend to several")));
}

TEST(Hardmax, ARotatedTieNeedsATolerance) {
  const double c = std::cos(0.3), s = std::sin(0.3);
  const Rows rotated = test::transformed(kSquare, {{c, -s}, {s, c}});
  HardmaxOptions options = with_alpha(0.5);
  const HardmaxRun tolerant = run(rotated, options);
  EXPECT_EQ(tolerant.fates[5].end, TokenEnd::kFace);
  EXPECT_THAT(limit(tolerant, 5), near({c, s}, 1e-12));
  options.tie_tolerance = 0;
  const HardmaxRun bitwise = run(rotated, options);
  EXPECT_EQ(bitwise.fates[4].end, TokenEnd::kFollows);
  EXPECT_EQ(bitwise.fates[5].end, TokenEnd::kFollows);
  // Rounding decides which corner.
  EXPECT_NEAR(std::hypot(limit(bitwise, 5)[0], limit(bitwise, 5)[1]), std::numbers::sqrt2, 1e-15);
}

const Rows kFive = {{2, 0}, {0, 1.5}, {-1, -1}, {0.5, 0.5}, {-0.2, 0.3}};

TEST(Hardmax, AMatters) {
  HardmaxOptions options;
  const HardmaxRun plain = run(kFive, options);
  EXPECT_THAT(leader_tokens(plain), ElementsAre(0, 1, 2));
  EXPECT_EQ(plain.fates[3].first_target, 0u);
  EXPECT_EQ(plain.fates[4].first_target, 1u);
  EXPECT_THAT(position(plain, 4, 1), near({-0.1, 0.9}, 1e-15));
  EXPECT_THAT(position(plain, 3, 1), near({1.25, 0.25}, 1e-15));
  const Matrix<double> a = test::matrix({{4, 0}, {0, 1}});
  options.a = a;
  const HardmaxRun other = run(kFive, options);
  EXPECT_EQ(other.fates[3].first_target, 0u);
  EXPECT_EQ(other.fates[4].first_target, 2u);
  EXPECT_THAT(position(other, 4, 1), near({-0.6, -0.35}, 1e-15));
  EXPECT_THAT(position(other, 4, 3), near({-0.9, -0.8375}, 1e-15));
  EXPECT_EQ(other.leaders[0].norm, 4);  // ‖Lᵀ(2, 0)‖
  EXPECT_EQ(limit(other, 4), kFive[2]);
}

struct Published {
  std::uint64_t seed;
  std::size_t n;
  double alpha;
  bool with_a;
  std::vector<std::size_t> leaders, sizes;
  std::size_t last_freeze;
  std::vector<double> sum5;
  double square5;
  std::vector<double> sum_limit;
  double square_limit;
};

TEST(Hardmax, PseudoRandomSystems) {
  const Published systems[] = {{1,
                                50,
                                0.5,
                                false,
                                {7, 15, 25, 28, 37, 47},
                                {1, 5, 19, 8, 11, 6},
                                2,
                                {9.0430686381, -8.0330257165},
                                67.2412828878,
                                {9.3486139625, -8.7265087795},
                                75.7520857624},
                               {1,
                                50,
                                0.5,
                                true,
                                {15, 21, 25, 28, 37},
                                {16, 4, 7, 5, 18},
                                2,
                                {3.5275084801, -5.2213511939},
                                62.3077329070,
                                {3.0265412424, -5.4163023494},
                                70.3090919186},
                               {3,
                                500,
                                2.35,
                                false,
                                {195, 219, 480, 491},
                                {134, 134, 110, 122},
                                3,
                                {-26.7811044253, 14.7916982317},
                                934.7482403665,
                                {-26.7245672978, 14.8041448891},
                                936.9215108449}};
  const Matrix<double> a = test::matrix({{2, 0.5}, {0.5, 1}});
  EXPECT_EQ(test::congruential(1, 1, 2)[0], (std::vector<double>{0.027740156278014183, -0.6485173935070634}));
  for (const Published& p : systems) {
    HardmaxOptions options = with_alpha(p.alpha);
    if (p.with_a) options.a = a;
    const HardmaxRun r = run(test::congruential(p.seed, p.n, 2), options);
    EXPECT_THAT(leader_tokens(r), ::testing::ElementsAreArray(p.leaders));
    EXPECT_THAT(cluster_sizes(r), ::testing::ElementsAreArray(p.sizes));
    EXPECT_EQ(r.initial_leaders, p.leaders.size());
    std::size_t last = 0;
    for (const Fate& fate : r.fates) last = std::max(last, fate.decided);
    EXPECT_EQ(last, p.last_freeze);
    const Matrix<double> five = r.positions(5, arena);
    std::vector<double> sum5(2), sum_limit(2);
    double square5 = 0, square_limit = 0;
    for (std::size_t i = 0; i < p.n; ++i)
      for (std::size_t c = 0; c < 2; ++c) {
        sum5[c] += five(i, c);
        sum_limit[c] += r.limits(i, c);
        square5 += five(i, c) * five(i, c);
        square_limit += r.limits(i, c) * r.limits(i, c);
      }
    EXPECT_THAT(sum5, near(p.sum5, 2e-10));
    EXPECT_THAT(sum_limit, near(p.sum_limit, 2e-10));
    EXPECT_NEAR(square5, p.square5, 2e-10);
    EXPECT_NEAR(square_limit, p.square_limit, 2e-10);
  }
}

// ---- Outside the theorem

Rows polygon(std::size_t n) {
  Rows rows;
  for (std::size_t i = 0; i < n; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n);
    rows.push_back({std::cos(angle), std::sin(angle)});
  }
  return rows;
}
Matrix<double> turn(double angle) {
  return test::matrix({{std::cos(angle), -std::sin(angle)}, {std::sin(angle), std::cos(angle)}});
}

TEST(Hardmax, ARotationInAMakesTwelveTokensSpiralIn) {
  const Matrix<double> a = turn(std::numbers::pi / 6);
  HardmaxOptions options;
  options.a = a;
  options.general_a = true;
  options.layers = 40;
  const HardmaxRun r = run(polygon(12), options);
  EXPECT_FALSE(r.theorem);
  EXPECT_THAT(r.leaders, IsEmpty());
  const double factor = 0.9659258262890684;
  for (std::size_t k = 0; k <= 40; ++k) {
    const std::vector<double> z = position(r, 5, k);
    EXPECT_NEAR(std::hypot(z[0], z[1]), std::pow(factor, static_cast<double>(k)), 1e-12) << k;
    if (k < 40) {
      EXPECT_THAT(r.targets(5, k), ElementsAre(6));
    }
  }
  EXPECT_EQ(r.fates[0].end, TokenEnd::kUndecided);
  EXPECT_THAT(r.notes, ElementsAre(HasSubstr("outside the theorem"), HasSubstr("contract")));
  EXPECT_THROW(position(r, 5, 41), Error);
}

TEST(Hardmax, ARotatedTriangleCollapsesToItsCentre) {
  const Matrix<double> a = turn(2 * std::numbers::pi / 3);
  HardmaxOptions options;
  options.a = a;
  options.general_a = true;
  const HardmaxRun r = run(polygon(3), options);
  EXPECT_THAT(r.leaders, IsEmpty());
  for (std::size_t i = 0; i < 3; ++i) EXPECT_THAT(limit(r, i), near({0, 0}, 1e-14));
  EXPECT_EQ(r.fates[0].end, TokenEnd::kAsymptotic);
}

TEST(Hardmax, MinusIdentityCollapsesToOnePoint) {
  const Matrix<double> a = test::matrix({{-1, 0}, {0, -1}});
  HardmaxOptions options = with_alpha(0.5);
  options.a = a;
  options.general_a = true;
  options.layers = 60;
  const Rows tokens = test::congruential(5, 30, 2);
  const HardmaxRun r = run(tokens, options);
  const auto spread = [&](std::size_t layer) {
    double most = 0;
    for (std::size_t i = 0; i < 30; ++i)
      most = std::max(most, std::hypot(position(r, i, layer)[0] - position(r, 0, layer)[0],
                                       position(r, i, layer)[1] - position(r, 0, layer)[1]));
    return most;
  };
  EXPECT_LT(spread(10), 0.1);
  EXPECT_LT(spread(50), 1e-7);
  EXPECT_THAT(r.notes, ::testing::Contains(HasSubstr("come together")));
  const reference::hardmax::System system{.alpha = 0.5, .tie = 1e-12, .a = {{-1, 0}, {0, -1}}, .p = {}};
  const auto naive = reference::hardmax::iterate<double>(tokens, system, 0);
  EXPECT_EQ(naive.positions.size(), 1u);
}

TEST(Hardmax, AnyVIsStepped) {
  // I + V and P = (I + V)⁻¹V by hand: V = [[1, 1], [0, 1]], I + V = [[2, 1], [0, 2]], P = [[½, ¼], [0, ½]].
  const Matrix<double> v = test::matrix({{1, 1}, {0, 1}});
  HardmaxOptions options;
  options.v = v;
  options.layers = 3;
  const HardmaxRun r = run(kFive, options);
  EXPECT_FALSE(r.theorem);
  const auto naive = reference::hardmax::iterate<double>(
      kFive, {.alpha = 1, .tie = 1e-12, .a = {}, .p = {{0.5, 0.25}, {0, 0.5}}}, 3);
  for (std::size_t k = 0; k <= 3; ++k)
    for (std::size_t i = 0; i < 5; ++i) EXPECT_THAT(position(r, i, k), near(naive.positions[k][i], 1e-14));
  EXPECT_EQ(r.fates[0].end, TokenEnd::kUndecided);
}

TEST(Hardmax, AScalarVIsAnAlpha) {
  const Matrix<double> v = test::matrix({{2.5, 0}, {0, 2.5}});
  HardmaxOptions options;
  options.v = v;
  const HardmaxRun r = run(kEmerging, options), same = run(kEmerging, with_alpha(2.5));
  EXPECT_TRUE(r.theorem);
  EXPECT_EQ(r.alpha, 2.5);
  EXPECT_EQ(position(r, 1, 4), position(same, 1, 4));
}

TEST(Hardmax, AGeneralRunEndsWhenNothingMoves) {
  // A shear whose argmax sets are the tokens' own.
  const Matrix<double> a = test::matrix({{1, 0.1}, {0, 1}});
  HardmaxOptions options;
  options.a = a;
  options.general_a = true;
  const HardmaxRun r = run({{1, 0}, {-1, 0}, {0, 1}, {0, -1}}, options);
  EXPECT_TRUE(r.complete);
  EXPECT_EQ(r.fates[0].end, TokenEnd::kStatic);
  EXPECT_THAT(position(r, 0, 1000), ElementsAre(1, 0));
  EXPECT_THAT(r.leaders, IsEmpty());
}

TEST(Hardmax, TokensThatASingularACannotTellApartMoveAsOne) {
  // A sees the first coordinate only: 1 and 2 are one point, which leads, and they meet at their mean.
  const Matrix<double> a = test::matrix({{1, 0}, {0, 0}});
  HardmaxOptions options;
  options.a = a;
  const HardmaxRun r = run({{-1, 5}, {2, 1}, {2, -3}, {0.5, 0}}, options);
  EXPECT_TRUE(r.theorem);
  EXPECT_EQ(r.unique, 3u);
  EXPECT_THAT(leader_tokens(r), ElementsAre(0, 1));
  EXPECT_EQ(r.leaders[1].copies, 2u);
  EXPECT_THAT(limit(r, 1), ElementsAre(2, -1));
  EXPECT_THAT(limit(r, 2), ElementsAre(2, -1));
  EXPECT_THAT(limit(r, 3), ElementsAre(2, -1));
  EXPECT_THAT(position(r, 1, 0), ElementsAre(2, 1));
  EXPECT_THAT(position(r, 1, 1), ElementsAre(2, 0));
  EXPECT_THAT(position(r, 2, 1), ElementsAre(2, -2));
  EXPECT_THAT(position(r, 3, 1), ElementsAre(1.25, -0.5));
  const auto naive = reference::hardmax::iterate<double>(
      {{-1, 5}, {2, 1}, {2, -3}, {0.5, 0}}, {.alpha = 1, .tie = 0, .a = {{1, 0}, {0, 0}}, .p = {}}, 6);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_THAT(position(r, i, 6), near(naive.positions[6][i], 1e-15));
}

/// Positions of the run at layers 0 … K against those of the iteration as it is written.
void expect_as_written(const HardmaxRun& r, const Rows& tokens, const Rows& a, double tie,
                       std::size_t layers) {
  const auto naive =
      reference::hardmax::iterate<double>(tokens, {.alpha = r.alpha, .tie = tie, .a = a, .p = {}}, layers);
  for (std::size_t k = 0; k <= layers; ++k)
    for (std::size_t i = 0; i < tokens.size(); ++i)
      EXPECT_THAT(position(r, i, k), near(naive.positions[k][i], 1e-12)) << "layer " << k << ", token " << i;
}

TEST(Hardmax, WhatASingularADoesNotSeeMovesAllTheSame) {
  // A sees two coordinates, in which token 2 is the mean of its set {0, 1, 2}; in the third it comes down.
  // Token 4 attends to the three as well: the mean that it goes to moves.
  const Rows tokens = {{1, 1, 0}, {1, -1, 0}, {1, 0, 6}, {-1, 0, 0}, {0.5, 0, 1}};
  const Rows rows = {{1, 0, 0}, {0, 1, 0}, {0, 0, 0}};
  const Matrix<double> a = test::matrix(rows);
  HardmaxOptions options;
  options.a = a;
  const HardmaxRun r = run(tokens, options);
  EXPECT_THAT(position(r, 2, 1), near({1, 0, 4}, 1e-15));
  EXPECT_THAT(position(r, 2, 2), near({1, 0, 8. / 3}, 1e-15));
  expect_as_written(r, tokens, rows, 1e-12, 150);
  EXPECT_THAT(limit(r, 2), near({1, 0, 0}, 1e-12));
  EXPECT_THAT(limit(r, 4), near({1, 0, 0}, 1e-12));
  EXPECT_EQ(r.fates[2].end, TokenEnd::kStatic);
  EXPECT_TRUE(r.complete);
  EXPECT_GT(r.fates[2].decided, 20u);
}

TEST(Hardmax, RoundingDoesNotTellApartWhatASingularACannot) {
  // A = vvᵀ, v = (1, 0.1): tokens 0 and 1 have the same ⟨v, z⟩ = 0.3, which rounds to two numbers.
  const Rows tokens = {{0.3, 0}, {0, 3}, {0.1, 0}, {-0.2, 0}};
  const Matrix<double> a = test::matrix({{1, 0.1}, {0.1, 0.01}});
  HardmaxOptions options;
  options.a = a;
  const HardmaxRun r = run(tokens, options);
  EXPECT_EQ(r.unique, 3u);
  EXPECT_THAT(leader_tokens(r), ElementsAre(0, 3));
  EXPECT_EQ(r.leaders[0].copies, 2u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_THAT(limit(r, i), near({0.15, 1.5}, 1e-15));
  EXPECT_THAT(position(r, 0, 1), near({0.225, 0.75}, 1e-15));
  EXPECT_TRUE(r.complete);
}

TEST(Hardmax, ATokenThatASingularATakesToZeroAttendsToAll) {
  // A = LLᵀ of rank 3 with A(−1, 2, 1, 0) = 0; Lᵀz of that token is 1e-17 in floating point.
  const Rows tokens = {{2, 0, 3, -3},  {1, 0, 1, 3},   {-2, 2, -3, 0}, {-3, -2, 3, -1}, {1, 3, 3, -3},
                       {-1, 3, 2, -1}, {-3, 1, -2, 3}, {-2, 0, 0, 0},  {0, 2, 0, -1},   {-1, 2, 1, 0}};
  const Matrix<double> a = test::matrix({{5, 2, 1, 2}, {2, 1, 0, 2}, {1, 0, 1, -2}, {2, 2, -2, 9}});
  HardmaxOptions options;
  options.a = a;
  const HardmaxRun r = run(tokens, options);
  EXPECT_EQ(r.zero_tokens, 1u);
  EXPECT_EQ(r.targets(9, 0).size(), r.unique);
  for (std::size_t c = 0; c < 4; ++c) {
    double mean = 0;
    for (const std::vector<double>& row : tokens) mean += row[c] / 10;
    EXPECT_NEAR(position(r, 9, 1)[c], (tokens[9][c] + mean) / 2, 1e-14);
  }
}

TEST(Hardmax, VeryShortTokensOfASingularAKeepTheirDirection) {
  Rows tokens = {{1, 0, 7}, {-1, 0.5, 7}, {-1e-30, 0, 0}, {1e-30, 0, 0}};
  const Matrix<double> a = test::matrix({{1, 0, 0}, {0, 1, 0}, {0, 0, 0}});
  HardmaxOptions options;
  options.a = a;
  const HardmaxRun r = run(tokens, options);
  EXPECT_EQ(r.unique, 4u);
  EXPECT_EQ(r.fates[2].first_target, 1u);
  EXPECT_EQ(r.fates[3].first_target, 0u);
}

// ---- What stands for one layer only

TEST(Hardmax, ARunGoesOnWhileFollowersMoveTheMean) {
  // Token 4 attends to all, whose mean it is: it stands until those on their way have moved the mean.
  const Rows tokens = {{1, 3}, {1, -2.5}, {1, 0.5}, {1, -1}, {1, 0}};
  const HardmaxRun r = run(tokens);
  EXPECT_EQ(r.fates[4].end, TokenEnd::kFollows);
  EXPECT_EQ(limit(r, 4), tokens[0]);
  EXPECT_TRUE(r.complete);
  EXPECT_GT(r.layers, 1u);
  expect_as_written(r, tokens, {}, 0, 50);
  // On a line: the zero token stands at the mean, then 2 has come to 4, and 1 towards it.
  const Rows line = {{4}, {-5}, {2}, {-1}, {0}};
  const HardmaxRun one = run(line);
  expect_as_written(one, line, {}, 0, 50);
  EXPECT_EQ(one.fates[4].end, TokenEnd::kFollows);
  EXPECT_TRUE(one.complete);
}

TEST(Hardmax, ATokenBetweenFollowersThatNeverPartIsAsymptotic) {
  const HardmaxRun r = run({{1}, {-1}, {0.5}, {-0.5}, {0}});
  EXPECT_EQ(r.fates[4].end, TokenEnd::kAsymptotic);
  EXPECT_EQ(limit(r, 4), std::vector<double>{0});
  EXPECT_EQ(r.stop, HardmaxStop::kStill);
  EXPECT_GT(r.layers, 40u) << "half of the way is left after each layer, until nothing is";
  EXPECT_LT(r.layers, 60u);
}

// ---- Single tokens, copies, zeros, scales

TEST(Hardmax, OneTokenLeads) {
  const HardmaxRun r = run({{3, -4, 12}});
  EXPECT_THAT(leader_tokens(r), ElementsAre(0));
  EXPECT_EQ(r.leaders[0].norm, 13);
  EXPECT_EQ(r.leaders[0].followers, 1u);
  EXPECT_THAT(limit(r, 0), ElementsAre(3, -4, 12));
  EXPECT_FALSE(r.equal_norms);
  EXPECT_THAT(r.notes, IsEmpty());
}

TEST(Hardmax, EqualTokensMoveAsOneWithTheWeightOfAll) {
  // (0.5, 0) ties between (1, 1), there twice, and (1, −1): the mean of the face is (1, 1/3), which is not
  // its projection, so that the tie breaks and the double token wins.
  const Rows tokens = {{1, -1}, {1, 1}, {0.5, 0}, {1, 1}, {-2, 0}, {0.5, -0.0}};
  const HardmaxRun r = run(tokens, with_alpha(0.5));
  EXPECT_EQ(r.unique, 4u);
  EXPECT_THAT(r.group, ElementsAre(0, 1, 2, 1, 3, 2));
  EXPECT_THAT(r.first, ElementsAre(0, 1, 2, 4));
  EXPECT_THAT(leader_tokens(r), ElementsAre(0, 1, 4));
  EXPECT_EQ(r.leaders[1].copies, 2u);
  EXPECT_EQ(r.leaders[1].followers, 4u);
  EXPECT_THAT(r.targets(2, 0), ElementsAre(0, 1));
  EXPECT_THAT(position(r, 2, 1), near({2. / 3, 1. / 9}, 1e-15));
  EXPECT_EQ(r.fates[5].leader, 1u);
  EXPECT_EQ(r.fates[3].end, TokenEnd::kLeader);
  EXPECT_THAT(r.notes, ::testing::Contains(HasSubstr("2 tokens equal another one")));
}

TEST(Hardmax, AZeroTokenAttendsToAll) {
  const HardmaxRun r = run({{0, 0}, {4, 0}, {-1, 1}, {0, 1}});
  EXPECT_EQ(r.zero_tokens, 1u);
  EXPECT_THAT(r.targets(0, 0), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(position(r, 0, 1), near({0.375, 0.25}, 1e-15));
  EXPECT_EQ(r.fates[0].leader, 0u);
  EXPECT_THAT(r.notes, ::testing::Contains(HasSubstr("1 token is zero")));
  const HardmaxRun centre = run({{1, 0}, {-1, 0}, {0, 0}, {0, 1}, {0, -1}});
  EXPECT_EQ(centre.fates[2].end, TokenEnd::kStatic);
  const HardmaxRun zeros = run({{0, 0}, {0, 0}});
  EXPECT_THAT(leader_tokens(zeros), ElementsAre(0));
  EXPECT_TRUE(zeros.complete);
}

TEST(Hardmax, EqualNormsAreSaid) {
  const HardmaxRun r = run(polygon(9));
  EXPECT_TRUE(r.equal_norms);
  EXPECT_EQ(r.leaders.size(), 9u);
  EXPECT_THAT(r.notes, ElementsAre(HasSubstr("all norms are equal")));
}

TEST(Hardmax, HugeAndTinyTokens) {
  const HardmaxRun plain = run(kEmerging, with_alpha(0.5));
  for (const double scale : {0x1p996, 0x1p-996}) {
    Rows tokens = kEmerging;
    for (auto& row : tokens)
      for (double& x : row) x *= scale;
    const HardmaxRun r = run(tokens, with_alpha(0.5));
    EXPECT_THAT(leader_tokens(r), ElementsAre(0, 2, 1));
    for (std::size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(position(r, i, 7)[0], scale * position(plain, i, 7)[0]);
      EXPECT_EQ(r.limits(i, 1), scale * plain.limits(i, 1));
      EXPECT_EQ(r.fates[i].travelled, scale * plain.fates[i].travelled);
    }
    EXPECT_EQ(r.leaders[0].norm, scale * plain.leaders[0].norm);
  }
}

// Single precision, in which scores are filtered, has one or two digits of these.
TEST(Hardmax, VeryShortTokensFollowTheDirectionTheyPointIn) {
  constexpr std::size_t kLong = 30;
  Rows tokens = test::congruential(7, kLong, 5), directions = test::congruential(8, kLong, 5);
  for (const std::vector<double>& row : directions) {
    tokens.push_back(row);
    for (double& x : tokens.back()) x *= 1e-44;
  }
  const HardmaxRun r = run(tokens);
  for (std::size_t i = 0; i < kLong; ++i) {
    const auto score = [&](std::size_t j) {
      return std::inner_product(directions[i].begin(), directions[i].end(), tokens[j].begin(), 0.0);
    };
    std::size_t best = 0;
    for (std::size_t j = 1; j < kLong; ++j)
      if (score(j) > score(best)) best = j;
    EXPECT_EQ(r.fates[kLong + i].first_target, best);
  }
}

TEST(Hardmax, CenteringMovesTheOriginAndNothingElse) {
  Rows tokens = test::congruential(11, 40, 3);
  Rows centred = tokens;
  std::vector<double> mean(3);
  for (const auto& row : tokens)
    for (std::size_t c = 0; c < 3; ++c) mean[c] += row[c] / 40;
  for (auto& row : centred)
    for (std::size_t c = 0; c < 3; ++c) row[c] -= mean[c];
  HardmaxOptions options;
  options.center = true;
  const HardmaxRun r = run(tokens, options), other = run(centred);
  EXPECT_EQ(leader_tokens(r), leader_tokens(other));
  EXPECT_NE(leader_tokens(r), leader_tokens(run(tokens)));
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(r.limits(i, c), other.limits(i, c) + mean[c], 1e-14);
  EXPECT_EQ(limit(r, r.leaders[0].token), tokens[r.leaders[0].token]);
  EXPECT_EQ(position(r, 17, 0), tokens[17]);
}

// ---- A finite number of layers, and what a run keeps

TEST(Hardmax, KLayers) {
  const HardmaxRun all = run(kEmerging, with_alpha(0.5));
  for (const std::size_t layers : {0, 1, 2, 5}) {
    HardmaxOptions options = with_alpha(0.5);
    options.layers = layers;
    const HardmaxRun r = run(kEmerging, options);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_THAT(limit(r, i), near(position(all, i, layers), 1e-15));
    EXPECT_EQ(r.complete, layers >= 2);
    EXPECT_EQ(r.layers, std::min<std::size_t>(layers, 2));
    const TokenEnd end = layers == 0 || layers == 1 ? TokenEnd::kUndecided : TokenEnd::kLeader;
    EXPECT_EQ(r.fates[1].end, end);
  }
}

TEST(Hardmax, AsymptoticTokensAreIteratedAndSaidSo) {
  HardmaxOptions options = with_alpha(1);
  options.max_layers = 1;
  const HardmaxRun r = run(kEmerging, options);
  EXPECT_EQ(r.fates[1].end, TokenEnd::kAsymptotic);
  EXPECT_FALSE(r.complete);
  EXPECT_THAT(r.notes, ::testing::Contains(HasSubstr("1 token has no formula: iterated to 1 layer")));
}

TEST(Hardmax, PathsAndCounts) {
  const HardmaxRun r = run(kEmerging, with_alpha(0.5));
  ASSERT_EQ(r.per_layer.size(), 2u);
  EXPECT_EQ(r.per_layer[0].active, 8u);
  EXPECT_EQ(r.per_layer[0].leaders, 2u);
  EXPECT_EQ(r.per_layer[0].decided, 7u);
  EXPECT_EQ(r.per_layer[0].ties, 0u);
  EXPECT_GT(r.per_layer[0].scores, 0u);
  EXPECT_EQ(r.per_layer[1].active, 1u);
  EXPECT_EQ(r.per_layer[1].changed, 1u);
  EXPECT_EQ(r.per_layer[1].leaders, 3u);
  const HardmaxRun::Path path = r.path(r.group[1]);
  EXPECT_EQ(path.steps.size(), 4u);
  EXPECT_THAT(path.targets, ElementsAre(ElementsAre(3), ElementsAre(1)));
  EXPECT_EQ(path.target, position(r, 1, 1));
  const HardmaxRun::Path follower = r.path(r.group[3]);
  EXPECT_EQ(follower.steps, kEmerging[3]);
  EXPECT_EQ(follower.target, kEmerging[0]);
  EXPECT_THAT(r.targets(3, 1000), ElementsAre(0));
}

TEST(Hardmax, WithoutHistory) {
  HardmaxOptions options = with_alpha(0.5);
  options.history = false;
  const HardmaxRun r = run(kEmerging, options);
  EXPECT_EQ(limit(r, 3), kEmerging[0]);
  EXPECT_THROW(position(r, 0, 0), Error);
  EXPECT_THROW(r.targets(0, 0), Error);
  EXPECT_THROW(r.path(0), Error);
}

// ---- Bad input

void expect_error(const Rows& tokens, const HardmaxOptions& options, ErrorKind kind, const char* message) {
  try {
    run(tokens, options);
    ADD_FAILURE() << "no error: " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(HardmaxErrors, Numbers) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const double alpha : {0.0, -1.0, nan, inf})
    expect_error(kFive, with_alpha(alpha), ErrorKind::kUsage, "expected a finite number above 0");
  HardmaxOptions options;
  options.tie_tolerance = -1e-3;
  expect_error(kFive, options, ErrorKind::kUsage, "the tie tolerance is");
  options.tie_tolerance = nan;
  expect_error(kFive, options, ErrorKind::kUsage, "the tie tolerance is");
  options = {};
  options.displacement = nan;
  expect_error(kFive, options, ErrorKind::kUsage, "displacement");
  options = {};
  options.max_layers = 0;
  expect_error(kFive, options, ErrorKind::kUsage, "max_layers is 0");
}

TEST(HardmaxErrors, Tokens) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  expect_error({}, {}, ErrorKind::kShape, "there are no tokens");
  expect_error({{}, {}}, {}, ErrorKind::kShape, "dimension 0");
  expect_error({{1, 2}, {3, nan}}, {}, ErrorKind::kNotFinite, "row 1, column 1 is NaN");
  expect_error({{1, 2}, {-inf, 1}}, {}, ErrorKind::kNotFinite, "row 1, column 0 is infinite");
}

TEST(HardmaxErrors, Limits) {
  const double number = 0;
  try {
    run_hardmax({&number, std::size_t{1} << 31, 1}, {}, arena);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
    EXPECT_THAT(error.what(), HasSubstr("2147483648 tokens, expected fewer"));
  }
}

TEST(HardmaxErrors, Interrupted) {
  request_interrupt();
  for (const std::size_t d : {2, 5}) {
    try {
      run(test::congruential(1, 50, d));
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInterrupted);
    }
  }
  clear_interrupt();
}

TEST(HardmaxErrors, MatrixA) {
  const auto with = [](const Rows& rows, ErrorKind kind, const char* message, bool general = false) {
    const Matrix<double> a = test::matrix(rows);
    HardmaxOptions options;
    options.a = a;
    options.general_a = general;
    expect_error(kFive, options, kind, message);
  };
  with({{1, 0, 0}, {0, 1, 0}}, ErrorKind::kShape, "A is 2 x 3, expected 2 x 2");
  with({{1}}, ErrorKind::kShape, "A is 1 x 1, expected 2 x 2");
  with({{1, std::nan("")}, {0, 1}}, ErrorKind::kNotFinite, "A: row 0, column 1 is NaN");
  with({{1, 2}, {0.5, 1}}, ErrorKind::kNoConvergence, "A is not symmetric: A[0,1] = 2.000000, A[1,0] = 0.5");
  with({{1, 2}, {2, 1}}, ErrorKind::kNoConvergence, "its smallest pivot is -3.0");
  with({{-1, 0}, {0, -1}}, ErrorKind::kNoConvergence, "its smallest pivot is -1.0");
  with({{0, 1}, {1, 0}}, ErrorKind::kNoConvergence, "its smallest pivot is -1.0");
}

TEST(HardmaxErrors, MatrixV) {
  const auto with = [](const Rows& rows, ErrorKind kind, const char* message) {
    const Matrix<double> v = test::matrix(rows);
    HardmaxOptions options;
    options.v = v;
    expect_error(kFive, options, kind, message);
  };
  with({{1, 2, 3}}, ErrorKind::kShape, "V is 1 x 3, expected 2 x 2");
  with({{-1, 0}, {0, 1}}, ErrorKind::kNoConvergence, "I + V is singular");
  with({{-0.9999, 0}, {0, -0.9999}}, ErrorKind::kNotFinite, "out of the range of numbers");
}

TEST(HardmaxErrors, ReadingARun) {
  const HardmaxRun r = run(kFive);
  std::vector<double> out(3);
  EXPECT_THROW(r.position(0, 0, out), Error);
  EXPECT_THROW(position(r, 5, 0), Error);
  EXPECT_THROW(r.path(5), Error);
}

}  // namespace
}  // namespace telos::clustering
