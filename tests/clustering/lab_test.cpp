#include "telos/clustering/lab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "clustering/soft_parts.h"
#include "reference/soft_dynamics.h"
#include "telos/base/philox.h"
#include "telos/clustering/theory.h"
#include "tests/positional/complaint.h"

namespace telos::clustering {
namespace {

namespace ref = reference::soft;
using ref::Mat;
using test::expect_error;
using testing::Each;
using testing::ElementsAre;

Matrix<double> matrix(const Mat& rows) {
  Matrix<double> out(rows.size(), rows[0].size());
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), out.row(i));
  return out;
}

Mat rows_of(const Matrix<double>& m) {
  Mat out;
  for (std::size_t i = 0; i < m.rows(); ++i) out.emplace_back(m.row(i), m.row(i) + m.cols());
  return out;
}

double difference(const Matrix<double>& a, const Mat& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t c = 0; c < a.cols(); ++c) {
      const double gap = std::abs(a(i, c) - b[i][c]);
      if (!(gap <= most)) most = gap;
    }
  return most;
}

Matrix<double> normal(std::size_t rows, std::size_t cols, std::uint64_t seed, double scale = 1) {
  Matrix<double> out(rows, cols);
  Random random(seed);
  for (std::size_t i = 0; i < out.size(); ++i) out.data()[i] = scale * random.normal();
  return out;
}

Matrix<double> cube(std::size_t rows, std::size_t cols, std::uint64_t seed, double half) {
  Matrix<double> out(rows, cols);
  Random random(seed);
  for (std::size_t i = 0; i < out.size(); ++i) out.data()[i] = half * (2 * random.uniform() - 1);
  return out;
}

const Arena& arena() {
  static const Arena kArena(2);
  return kArena;
}

// ---- Against the reference ----

TEST(Soft, LayersAreTheReferences) {
  const Matrix<double> z = normal(70, 3, 1), a = normal(3, 3, 2);
  SoftOptions o{.kind = SoftKind::kSoftmax, .alpha = 0.7, .temperature = 0.4, .a = a, .layers = 12};
  SoftRun run = run_soft(z, o, arena());
  Mat expected = rows_of(z);
  for (std::size_t k = 0; k <= 12; ++k) {
    EXPECT_LT(difference(run.states[k], expected), 1e-13) << k;
    expected = ref::softmax_layer(expected, rows_of(a), 0.7, 0.4);
  }
  EXPECT_EQ(run.times, (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));

  o.kind = SoftKind::kLocalmax, o.relaxation = 0.3;
  run = run_soft(z, o, arena());
  expected = rows_of(z);
  for (std::size_t k = 0; k <= 12; ++k) {
    EXPECT_LT(difference(run.states[k], expected), 1e-13) << k;
    expected = ref::localmax_layer(expected, rows_of(a), 0.7, 0.3);
  }
}

TEST(Soft, SphereFlowsAreTheReferences) {
  Matrix<double> x = normal(20, 3, 3);
  const Matrix<double> q = normal(3, 3, 4), k = normal(3, 3, 5), v = normal(3, 3, 6);
  normalise_rows(x);
  SoftOptions o{
      .kind = SoftKind::kSA, .beta = 2, .q = q, .k = k, .v = v, .time = 1, .step = 0.05, .frames = 4};
  const SoftRun run = run_soft(x, o, arena());
  EXPECT_DOUBLE_EQ(run.step, 0.05);
  const auto slope = [&](const Mat& at, double) {
    return ref::sa(at, 2, rows_of(q), rows_of(k), rows_of(v));
  };
  EXPECT_LT(difference(run.states.back(), ref::integrate(slope, rows_of(x), 0, 1, 20, true)), 1e-12);
  // Only K: the other matrices are I.
  o.q = o.v = {};
  const auto key = [&](const Mat& at, double) { return ref::sa(at, 2, {}, rows_of(k), {}); };
  EXPECT_LT(
      difference(run_soft(x, o, arena()).states.back(), ref::integrate(key, rows_of(x), 0, 1, 20, true)),
      1e-12);

  const SoftRun usa =
      run_soft(x, {.kind = SoftKind::kUSA, .beta = 2, .time = 1, .step = 0.02, .frames = 5}, arena());
  const auto ascent = [&](const Mat& at, double) { return ref::usa(at, 2); };
  EXPECT_LT(difference(usa.states.back(), ref::integrate(ascent, rows_of(x), 0, 1, 50, true)), 1e-12);
  for (std::size_t f = 0; f < usa.states.size(); ++f)
    EXPECT_NEAR(usa.energy[f], ref::energy(rows_of(usa.states[f]), 2), 1e-13);
}

TEST(Soft, EmergenceIsTheReference) {
  const Matrix<double> z = cube(15, 2, 7, 2), q = normal(2, 2, 8), k = normal(2, 2, 9);
  const Matrix<double> v = matrix({{0.64709742, 0.81911926}, {0.61210449, 0.63263484}});
  const SoftRun run = run_soft(
      z, {.kind = SoftKind::kEmergence, .q = q, .k = k, .v = v, .time = 1.5, .step = 0.05, .frames = 3},
      arena());
  const auto slope = [&](const Mat& at, double t) {
    return ref::emergence(at, t, rows_of(q), rows_of(k), rows_of(v));
  };
  EXPECT_LT(difference(run.states.back(), ref::integrate(slope, rows_of(z), 0, 1.5, 30, false)), 1e-10);
}

TEST(Soft, ExponentialsOfMatrices) {
  for (const double scale : {0.01, 1.0, 30.0}) {
    const Matrix<double> a = normal(4, 4, 10, scale);
    const ScaledMatrix e = scaled_exponential(a, arena());
    const Mat expected = ref::exponential(rows_of(a));
    double most = 0;
    for (const auto& row : expected)
      for (const double x : row) most = std::max(most, std::abs(x));
    EXPECT_NEAR(e.log_scale, std::log(most), 1e-10 * std::max(1.0, scale)) << scale;
    Mat unit = expected;
    for (auto& row : unit)
      for (double& x : row) x /= most;
    EXPECT_LT(difference(e.matrix, unit), 1e-10) << scale;
  }
  // diag(1000, 999): beyond double's range; nilpotent: exact.
  const ScaledMatrix large = scaled_exponential(matrix({{1000, 0}, {0, 999}}), arena());
  EXPECT_NEAR(large.log_scale, 1000, 1e-10);
  EXPECT_NEAR(large.matrix(1, 1), std::exp(-1.0), 1e-12);
  const ScaledMatrix nilpotent = scaled_exponential(matrix({{0, 0.5}, {0, 0}}), arena());
  EXPECT_NEAR(nilpotent.matrix(0, 1) * std::exp(nilpotent.log_scale), 0.5, 1e-15);
}

TEST(Soft, ComponentsAreTheReferences) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const Matrix<double> x = cube(60, 2, seed, 1);
    for (const double distance : {1e-9, 0.1, 0.2, 0.3, 5.0}) {
      const std::vector<std::size_t> of = components(x, distance);
      EXPECT_EQ(*std::max_element(of.begin(), of.end()) + 1, ref::components(rows_of(x), distance));
      for (std::size_t i = 1, seen = 0; i < of.size(); ++i) {
        EXPECT_LE(of[i], seen + 1);
        seen = std::max(seen, of[i]);
      }
    }
  }
}

// ---- Exact solutions ----

TEST(Soft, OrthonormalTokensStayEquiangular) {
  for (const bool unnormalised : {false, true})
    for (const auto& [n, beta] : std::vector<std::pair<std::size_t, double>>{{8, 1}, {16, 4}}) {
      const DemoTokens demo = demo_tokens("orthonormal", n, 0, 0);
      SoftOptions o{
          .kind = unnormalised ? SoftKind::kUSA : SoftKind::kSA, .beta = beta, .time = 5, .frames = 5};
      if (unnormalised) o.time = 1;
      const SoftRun run = run_soft(demo.tokens, o, arena());
      const std::vector<double> gamma = equiangular(n, beta, unnormalised, run.times);
      for (std::size_t f = 0; f < gamma.size(); ++f) {
        EXPECT_NEAR(run.smallest_cosine[f], gamma[f], 2e-6) << n << " " << run.times[f];
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < i; ++j)
            EXPECT_NEAR(ref::dot(rows_of(run.states[f])[i], rows_of(run.states[f])[j]), gamma[f], 2e-6);
      }
    }
  // With small steps to all digits that the oracle prints.
  const DemoTokens demo = demo_tokens("orthonormal", 8, 0, 0);
  const SoftRun run = run_soft(
      demo.tokens, {.kind = SoftKind::kSA, .beta = 1, .time = 3, .step = 0.01, .frames = 3}, arena());
  EXPECT_NEAR(run.smallest_cosine[1], 0.3625868798, 1e-9);
  EXPECT_NEAR(run.smallest_cosine[3], 0.9704938269, 1e-9);
}

TEST(Soft, ConvergesWithFourthOrder) {
  Matrix<double> x = normal(12, 3, 11);
  const auto end = [&](double step) {
    return run_soft(x, {.kind = SoftKind::kSA, .beta = 4, .time = 2, .step = step, .frames = 1}, arena());
  };
  const Mat exact = rows_of(end(0.002).states.back());
  const double coarse = difference(end(0.1).states.back(), exact),
               fine = difference(end(0.05).states.back(), exact);
  EXPECT_GT(coarse / fine, 11);
  EXPECT_LT(coarse / fine, 23);
}

TEST(Soft, FewStatesOrManyLeadToTheSameEnd) {
  const Matrix<double> z = cube(10, 2, 12, 2);
  const Matrix<double> v = matrix({{1, 0}, {0, -0.5}});
  SoftOptions o{.kind = SoftKind::kEmergence, .v = v, .time = 2, .step = 0.05, .frames = 1};
  const SoftRun one = run_soft(z, o, arena());
  o.frames = 40;
  const SoftRun many = run_soft(z, o, arena());
  EXPECT_LT(difference(one.states.back(), rows_of(many.states.back())), 1e-11);
  EXPECT_EQ(many.states.size(), 41u);
  EXPECT_EQ(many.times.back(), 2);
  o.keep_states = false;
  const SoftRun none = run_soft(z, o, arena());
  EXPECT_TRUE(none.states.empty());
  EXPECT_EQ(none.clusters, many.clusters);
}

// ---- What the theory expects ----

/// Limits are vertices of the hull, or projections of the origin onto its faces.
bool is_limit_of_the_identity(const Mat& z, std::size_t i, double tolerance) {
  // ⟨z_i, z_j⟩ ≤ ‖z_i‖² for all j: z_i lies on the face of the hull with normal z_i, at the origin's
  // projection.
  const double square = ref::dot(z[i], z[i]);
  return std::all_of(z.begin(), z.end(),
                     [&](const ref::Vector& other) { return ref::dot(z[i], other) <= square + tolerance; });
}

TEST(Emergence, IdentityLeadsToAPolytopesBoundary) {
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const Matrix<double> z = cube(20, 2, 100 + seed, 5);
    const SoftRun run =
        run_soft(z, {.kind = SoftKind::kEmergence, .time = 15, .step = 0.05, .frames = 15}, arena());
    const Mat last = rows_of(run.states.back());
    for (std::size_t i = 0; i < last.size(); ++i)
      EXPECT_TRUE(is_limit_of_the_identity(last, i, 1e-3)) << seed;
    EXPECT_LT(run.clusters.back(), 12u);
    EXPECT_NE(run.saturated_at, kNone);
    EXPECT_LT(run.saturated_at, 15u);
  }
}

/// Groups of numbers more than `gap` apart.
std::size_t values(std::vector<double> numbers, double gap) {
  std::sort(numbers.begin(), numbers.end());
  std::size_t count = 1;
  for (std::size_t i = 1; i < numbers.size(); ++i) count += numbers[i] - numbers[i - 1] > gap;
  return count;
}

TEST(Emergence, SimpleLeadingEigenvalueLeadsToThreeHyperplanes) {
  const Matrix<double> v = matrix({{0.64709742, 0.81911926}, {0.61210449, 0.63263484}});
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const Matrix<double> z = cube(20, 2, 200 + seed, 5);
    const SoftRun run =
        run_soft(z, {.kind = SoftKind::kEmergence, .v = v, .time = 8, .step = 0.05, .frames = 8}, arena());
    std::vector<double> along;
    for (const auto& token : rows_of(run.states.back()))
      along.push_back(0.46618891 * token[0] + 0.53381109 * token[1]);
    EXPECT_LE(values(along, 1e-2), 3u) << seed;
    EXPECT_GE(values(along, 1e-2), 2u) << seed;
  }
}

TEST(Emergence, NegativeDirectionsDoNotCluster) {
  const Matrix<double> v = matrix({{1, 0}, {0, -0.5}});
  const Matrix<double> z = cube(20, 2, 300, 5);
  const SoftRun run =
      run_soft(z, {.kind = SoftKind::kEmergence, .v = v, .time = 8, .step = 0.05, .frames = 8}, arena());
  std::vector<double> first, second;
  for (const auto& token : rows_of(run.states.back())) first.push_back(token[0]), second.push_back(token[1]);
  EXPECT_LE(values(first, 1e-2), 3u);
  EXPECT_GT(values(second, 1e-2), 10u);
}

TEST(Emergence, OnALineAttentionBecomesBoolean) {
  const Matrix<double> z = matrix({{-3}, {-2}, {-0.7}, {-0.2}, {0.1}, {0.6}, {1}, {2.5}});
  const SoftRun run =
      run_soft(z, {.kind = SoftKind::kEmergence, .time = 12, .step = 0.05, .frames = 12}, arena());
  EXPECT_NE(run.saturated_at, kNone);  // every weight is 0 or 1
  std::vector<double> ends;
  for (std::size_t i = 0; i < z.rows(); ++i) {
    ends.push_back(run.states.back()(i, 0));
    EXPECT_GT(ends.back() * z(i, 0), 0) << "each goes to the end of its own side";
  }
  EXPECT_EQ(values(ends, 1e-2), 2u);  // of rank 2
}

TEST(Emergence, AttentionThatSoftensAgainIsNotBoolean) {
  // V = −1: both tokens attend to themselves and stand, while e^{2tV} takes their scores' gap of 800 to 0.
  const Matrix<double> z = matrix({{20}, {-20}}), v = matrix({{-1}});
  SoftOptions options{.kind = SoftKind::kEmergence, .v = v, .time = 0.05, .step = 0.01, .frames = 5};
  EXPECT_EQ(run_soft(z, options, arena()).saturated_at, 0u);
  options.time = 3;
  EXPECT_EQ(run_soft(z, options, arena()).saturated_at, kNone);
}

TEST(Sphere, SmallBetaLeadsToOneCluster) {
  for (const double beta : {0.0, 1.0}) {
    const SoftRun run = run_soft(demo_tokens("sphere", 40, 3, 5).tokens,
                                 {.kind = SoftKind::kSA, .beta = beta, .time = 30}, arena());
    EXPECT_EQ(run.clusters.front(), 40u);
    EXPECT_EQ(run.clusters.back(), 1u);
    EXPECT_GT(run.smallest_cosine.back(), 1 - 1e-6);
  }
}

TEST(Sphere, LargeBetaIsMetastable) {
  // Several clusters stand for most of the time; which, depends on the system.
  const SoftRun run = run_soft(demo_tokens("sphere", 32, 2, 1).tokens,
                               {.kind = SoftKind::kSA, .beta = 9, .time = 25, .distance = 0.05}, arena());
  const Plateau plateau = longest_plateau(run);
  EXPECT_GT(plateau.clusters, 1u);
  EXPECT_LT(plateau.clusters, 8u);
  EXPECT_GT(run.times[plateau.last] - run.times[plateau.first], 8);
  for (std::size_t f = plateau.first; f <= plateau.last; ++f) EXPECT_EQ(run.clusters[f], plateau.clusters);
}

TEST(Sphere, TheUnnormalisedSystemAscends) {
  for (const double beta : {0.0, 1.0, 5.0}) {
    const SoftRun run =
        run_soft(demo_tokens("sphere", 32, 3, 7).tokens,
                 {.kind = SoftKind::kUSA, .beta = beta, .time = beta < 2 ? 5 : 0.05}, arena());
    for (std::size_t f = 1; f < run.energy.size(); ++f)
      EXPECT_GE(run.energy[f], run.energy[f - 1] * (1 - 1e-14)) << beta << " " << f;
    EXPECT_GT(run.energy.back(), 1.05 * run.energy.front());
  }
  // The rule keeps the steps in proportion at large β.
  const SoftRun run = run_soft(demo_tokens("sphere", 16, 3, 8).tokens,
                               {.kind = SoftKind::kUSA, .beta = 9, .time = 1e-3}, arena());
  EXPECT_LE(run.step, 0.1 / (3 * std::exp(8.5)));
}

TEST(Soft, PlateausAreTheLongestAboveOneAndBelowTheStart) {
  SoftRun run;
  run.times = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  run.clusters = {9, 9, 9, 9, 5, 3, 3, 2, 1, 1};
  const Plateau plateau = longest_plateau(run);
  EXPECT_EQ(plateau.clusters, 3u);
  EXPECT_EQ(plateau.first, 5u);
  EXPECT_EQ(plateau.last, 6u);
  run.clusters = {9, 9, 9, 9, 9, 9, 9, 1, 1, 1};
  EXPECT_EQ(longest_plateau(run).clusters, 0u);
}

// ---- Hardmax as a limit ----

TEST(Soft, ColdSoftmaxAndLocalmaxAreTheHardmax) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const Matrix<double> z = seed < 3 ? cube(40, 2, seed, 1) : normal(60, 4, seed);
    const Matrix<double> a = matrix({{2, .5}, {.5, 1}});
    HardmaxOptions hard{.alpha = 0.5, .layers = 15};
    SoftOptions soft{.kind = SoftKind::kSoftmax, .alpha = 0.5, .temperature = 1e-12, .layers = 15};
    if (seed == 1) hard.a = soft.a = a;
    const HardmaxRun run = run_hardmax(z, hard, arena());
    const SoftRun cold = run_soft(z, soft, arena());
    soft.kind = SoftKind::kLocalmax;
    const SoftRun local = run_soft(z, soft, arena());
    for (std::size_t k = 0; k <= 15; ++k) {
      const Mat expected = rows_of(run.positions(k, arena()));
      EXPECT_LT(difference(cold.states[k], expected), 1e-9) << seed << " " << k;
      EXPECT_LT(difference(local.states[k], expected), 1e-12) << seed << " " << k;
    }
  }
}

TEST(Soft, TiesSurviveAnyScale) {
  // The square of the published figure: (±½, 0) tie between two corners at every layer.
  const Matrix<double> z = demo_tokens("faces", 6, 2, 0).tokens;
  for (const double temperature : {1e-9, 1e-18, 1e-300}) {
    const SoftRun run = run_soft(z, {.alpha = 0.5, .temperature = temperature, .layers = 30}, arena());
    EXPECT_NEAR(run.states[1](5, 0), 0.6666666667, 1e-10);
    EXPECT_NEAR(run.states[30](5, 0), 0.9999973925, 1e-10);
    EXPECT_NEAR(run.states[30](4, 0), -0.9999973925, 1e-10);
    EXPECT_NEAR(run.states[30](4, 1), 0, 1e-12);
    EXPECT_EQ(run.clusters.back(), 6u);
  }
}

// ---- Demos ----

TEST(Demo, TheEmergingLeaderAsPublished) {
  const DemoTokens demo = demo_tokens("emerging-leader", 0, 0, 0);
  EXPECT_EQ(demo.alpha, 0.5);
  const SoftRun run = run_soft(demo.tokens, {.alpha = 0.5, .temperature = 1e-12, .layers = 30}, arena());
  EXPECT_NEAR(run.states[1](1, 0), -0.0555555556, 1e-10);
  EXPECT_NEAR(run.states[1](6, 1), 0.1777777778, 1e-10);
  EXPECT_NEAR(run.states[5](4, 1), -0.9604938272, 1e-10);
  EXPECT_NEAR(run.states[30](3, 0), 0.9999947849, 1e-10);
  EXPECT_EQ(run.clusters.back(), 3u);
  EXPECT_THAT(run.component, ElementsAre(0, 1, 2, 0, 2, 2, 0, 0));
}

TEST(Demo, FamiliesAndRowsAreDrawnFromTheSeed) {
  std::set<std::string> names;
  for (const auto& [name, description] : demo_names()) {
    EXPECT_TRUE(names.insert(name).second);
    EXPECT_FALSE(description.empty());
    const DemoTokens demo = demo_tokens(name, 0, 0, 3), again = demo_tokens(name, 0, 0, 3);
    ASSERT_EQ(demo.tokens.size(), again.tokens.size());
    EXPECT_EQ(std::memcmp(demo.tokens.data(), again.tokens.data(), 8 * demo.tokens.size()), 0);
    EXPECT_GT(demo.alpha, 0);
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"emerging-leader", "triangle", "square", "faces", "gaussian",
                                            "cube", "sphere", "anisotropic", "shifted", "orthonormal"}));
  const Matrix<double> triangle = demo_tokens("triangle", 0, 2, 3).tokens;
  ASSERT_EQ(triangle.rows(), 9u);
  for (std::size_t i = 5; i < 9; ++i)
    for (std::size_t c = 0; c < 2; ++c) {
      EXPECT_GE(triangle(i, c), i % 2 == 1 ? 0 : -1);
      EXPECT_LE(triangle(i, c), i % 2 == 1 ? 1 : 0);
    }
  const Matrix<double> sphere = demo_tokens("sphere", 10, 5, 3).tokens;
  for (const auto& token : rows_of(sphere)) EXPECT_NEAR(ref::dot(token, token), 1, 1e-14);
  EXPECT_EQ(demo_tokens("gaussian", 7, 3, 0).tokens.rows(), 7u);
  // More tokens leave the first ones as they are.
  EXPECT_EQ(demo_tokens("cube", 100, 3, 9).tokens(6, 2), demo_tokens("cube", 7, 3, 9).tokens(6, 2));
}

TEST(Demo, WhatDoesNotExistIsRefused) {
  expect_error(ErrorKind::kUsage, "known are triangle, emerging-leader, square",
               [] { demo_tokens("circle", 0, 0, 0); });
  expect_error(ErrorKind::kUsage, "\"square\" lies in the plane, d = 3 was asked for",
               [] { demo_tokens("square", 0, 3, 0); });
  expect_error(ErrorKind::kUsage, "\"emerging-leader\" has 8 tokens, 9 were asked for",
               [] { demo_tokens("emerging-leader", 9, 0, 0); });
  expect_error(ErrorKind::kUsage, "\"square\" has 4 or more tokens, 3 were asked for",
               [] { demo_tokens("square", 3, 0, 0); });
  expect_error(ErrorKind::kUsage, "4 tokens cannot be orthonormal in dimension 3",
               [] { demo_tokens("orthonormal", 4, 3, 0); });
  expect_error(ErrorKind::kLimit, "memory",
               [] { demo_tokens("gaussian", std::size_t{1} << 50, 1 << 20, 0); });
}

// ---- Phase diagram ----

TEST(Phase, SharesGrowWithTimeAndTheoryIsBeside) {
  const PhaseSpec spec{.tokens = 8,
                       .dimension = 3,
                       .systems = 12,
                       .beta_from = 0.5,
                       .beta_to = 4,
                       .betas = 3,
                       .time = 12,
                       .epsilon = 1e-2,
                       .times = 6};
  const PhaseDiagram diagram = phase_diagram(spec, arena());
  EXPECT_THAT(diagram.beta, ElementsAre(0.5, 2.25, 4));
  EXPECT_THAT(diagram.time, ElementsAre(2, 4, 6, 8, 10, 12));
  for (std::size_t b = 0; b < 3; ++b) {
    EXPECT_EQ(diagram.theory[b], equiangular_time(8, diagram.beta[b], false, 0.99));
    for (std::size_t t = 1; t < 6; ++t) EXPECT_GE(diagram.share[t][b], diagram.share[t - 1][b]);
  }
  EXPECT_EQ(diagram.share[0][0], 0);
  EXPECT_EQ(diagram.share[5][0], 1);
  // The same systems, one by one, through run_soft.
  std::size_t together = 0;
  for (std::size_t s = 0; s < 12; ++s) {
    Matrix<double> x(8, 3);
    Random random(0, 0, s);
    for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = random.normal();
    const SoftRun run = run_soft(x, {.kind = SoftKind::kSA, .beta = 4, .time = 6, .frames = 3}, arena());
    together += run.smallest_cosine.back() >= 0.99;
  }
  EXPECT_DOUBLE_EQ(diagram.share[2][2], static_cast<double>(together) / 12);
}

TEST(Phase, HighDimensionsFollowTheTheory) {
  // Random tokens in high dimension are nearly orthonormal.
  const PhaseSpec spec{.tokens = 8,
                       .dimension = 2000,
                       .systems = 3,
                       .beta_from = 1,
                       .beta_to = 1,
                       .betas = 1,
                       .time = 6,
                       .epsilon = 1e-2,
                       .times = 60};
  const PhaseDiagram diagram = phase_diagram(spec, arena());
  for (std::size_t t = 0; t < 60; ++t) {
    const double late = diagram.time[t] - diagram.theory[0];
    if (std::abs(late) > 0.3) {
      EXPECT_EQ(diagram.share[t][0], late > 0 ? 1 : 0) << t;
    }
  }
}

TEST(Phase, UnnormalisedToo) {
  const PhaseDiagram diagram = phase_diagram({.unnormalised = true,
                                              .tokens = 6,
                                              .dimension = 3,
                                              .systems = 4,
                                              .beta_from = 0,
                                              .beta_to = 1,
                                              .betas = 2,
                                              .time = 10,
                                              .times = 5},
                                             arena());
  EXPECT_EQ(diagram.share[4][1], 1);
}

TEST(Phase, WhatMakesNoSenseIsRefused) {
  const auto refused = [](ErrorKind kind, const std::string& text, PhaseSpec spec) {
    expect_error(kind, text, [&] { phase_diagram(spec, arena()); });
  };
  refused(ErrorKind::kUsage, "expected two tokens or more, found 1", {.tokens = 1});
  refused(ErrorKind::kUsage, "expected a dimension of 2 or more, found 1", {.dimension = 1});
  refused(ErrorKind::kUsage, "found 64, 0 and 60", {.betas = 0});
  refused(ErrorKind::kLimit, "2 values of β with 9223372036854775808 systems each",
          {.systems = std::size_t{1} << 63, .betas = 2});
  refused(ErrorKind::kLimit, "systems each", {.systems = 1, .betas = std::size_t{1} << 40});
  refused(ErrorKind::kLimit, "phase diagram", {.tokens = std::size_t{1} << 40});
  refused(ErrorKind::kUsage, "expected 0 ≤ β, ascending, found 3 to 2", {.beta_from = 3, .beta_to = 2});
  refused(ErrorKind::kUsage, "expected a time > 0, found -1", {.time = -1});
  refused(ErrorKind::kUsage, "expected 0 < ε < 1, found 1", {.epsilon = 1});
  refused(ErrorKind::kLimit, "β = 30 would take", {.unnormalised = true, .beta_from = 30, .beta_to = 30});
}

// ---- Options ----

TEST(Soft, KindsByName) {
  for (const SoftKind kind :
       {SoftKind::kSoftmax, SoftKind::kLocalmax, SoftKind::kEmergence, SoftKind::kSA, SoftKind::kUSA})
    EXPECT_EQ(soft_kind_from(to_string(kind)), kind);
  expect_error(ErrorKind::kUsage, "known are softmax, localmax, emergence, sa, usa",
               [] { soft_kind_from("SA"); });
}

TEST(Soft, BadInputIsRefused) {
  const Matrix<double> z = normal(4, 2, 1), wide = normal(2, 3, 2);
  Matrix<double> broken = z.copy(), zero = z.copy(), infinite(2, 2);
  broken(2, 1) = std::nan("");
  zero(3, 0) = zero(3, 1) = 0;
  infinite(1, 0) = INFINITY;
  const auto refused = [&](ErrorKind kind, const std::string& text, const SoftOptions& options,
                           const Matrix<double>& tokens) {
    expect_error(kind, text, [&] { run_soft(tokens, options, arena()); });
  };
  const double nan = std::nan("");
  using K = SoftKind;
  refused(ErrorKind::kShape, "there are no tokens", {}, Matrix<double>());
  refused(ErrorKind::kNotFinite, "tokens: row 2, column 1 is NaN", {}, broken);
  refused(ErrorKind::kUsage, "expected α > 0, found 0", {.alpha = 0}, z);
  refused(ErrorKind::kUsage, "expected a temperature T > 0, found 0", {.temperature = 0}, z);
  refused(ErrorKind::kUsage, "expected a temperature T > 0, found nan", {.temperature = nan}, z);
  refused(ErrorKind::kUsage, "expected a relaxation of 0 or more, found -1",
          {.kind = K::kLocalmax, .relaxation = -1}, z);
  refused(ErrorKind::kUsage, "expected β ≥ 0, found -2", {.kind = K::kSA, .beta = -2}, z);
  refused(ErrorKind::kUsage, "expected a time > 0, found 0", {.kind = K::kSA, .time = 0}, z);
  refused(ErrorKind::kUsage, "found -0.1", {.kind = K::kSA, .step = -0.1}, z);
  refused(ErrorKind::kUsage, "expected one frame or more", {.kind = K::kUSA, .frames = 0}, z);
  refused(ErrorKind::kUsage, "expected a distance ε > 0, found 0", {.distance = 0}, z);
  refused(ErrorKind::kShape, "A is 2 x 3, expected 2 x 2 for tokens of 2 numbers", {.a = wide}, z);
  refused(ErrorKind::kNotFinite, "V: row 1, column 0 is infinite", {.kind = K::kEmergence, .v = infinite}, z);
  refused(ErrorKind::kUsage, "sa has no use for A", {.kind = K::kSA, .a = z}, z);
  refused(ErrorKind::kUsage, "softmax has no use for V", {.v = z}, z);
  refused(ErrorKind::kUsage, "usa has no use for Q", {.kind = K::kUSA, .q = z}, z);
  refused(ErrorKind::kUsage, "token 3 is zero: it has no direction", {.kind = K::kSA}, zero);
  refused(ErrorKind::kLimit, "more than 1e+08", {.kind = K::kUSA, .beta = 30}, z);
  refused(ErrorKind::kLimit, "more than 1e+08", {.kind = K::kUSA, .beta = 1000}, z);
  refused(ErrorKind::kLimit, "memory", {.layers = std::size_t{1} << 60}, z);
}

TEST(Soft, OverflowNamesItsTime) {
  const Matrix<double> growing = matrix({{-100, 0}, {0, 1}});
  expect_error(ErrorKind::kNotFinite, "a token overflowed at time", [&] {
    run_soft(normal(4, 2, 1), {.kind = SoftKind::kEmergence, .v = growing, .time = 20}, arena());
  });
  const Matrix<double> huge = matrix({{1e308, 0}, {0, 1}});
  expect_error(ErrorKind::kNotFinite, "V times the time overflows", [&] {
    run_soft(normal(4, 2, 1), {.kind = SoftKind::kEmergence, .v = huge, .time = 20, .step = 20, .frames = 1},
             arena());
  });
  expect_error(ErrorKind::kNotFinite, "a token overflowed at layer",
               [&] { run_soft(normal(4, 2, 1, 1e200), {.layers = 3}, arena()); });
}

TEST(Soft, OneTokenAndEqualTokens) {
  const Matrix<double> one = matrix({{3, 4}});
  for (const SoftKind kind :
       {SoftKind::kSoftmax, SoftKind::kLocalmax, SoftKind::kEmergence, SoftKind::kSA, SoftKind::kUSA}) {
    const SoftRun run = run_soft(one, {.kind = kind, .time = 1}, arena());
    EXPECT_THAT(run.clusters, Each(1u));
    EXPECT_NEAR(run.states.back()(0, 1) / run.states.back()(0, 0), 4. / 3, 1e-14);
    const SoftRun equal = run_soft(matrix({{3, 4}, {3, 4}, {3, 4}}), {.kind = kind, .time = 1}, arena());
    EXPECT_THAT(equal.clusters, Each(1u));
  }
  const SoftRun line = run_soft(matrix({{2}, {-3}}), {.kind = SoftKind::kSA}, arena());
  EXPECT_EQ(line.notes.size(), 2u);
  EXPECT_EQ(line.states.back()(0, 0), 1);
  EXPECT_EQ(line.states.back()(1, 0), -1);
}

TEST(Soft, SameBitsForAnyNumberOfThreads) {
  const Matrix<double> z = normal(150, 3, 21);
  const Matrix<double> v = matrix({{1, 0.2, 0}, {0, 0.5, 0}, {0, 0, -0.3}});
  std::vector<SoftOptions> all = {{.kind = SoftKind::kSoftmax, .temperature = 0.3, .layers = 5},
                                  {.kind = SoftKind::kLocalmax, .relaxation = 0.2, .layers = 5},
                                  {.kind = SoftKind::kEmergence, .v = v, .time = 1, .frames = 5},
                                  {.kind = SoftKind::kSA, .beta = 3, .v = v, .time = 1, .frames = 5},
                                  {.kind = SoftKind::kUSA, .beta = 1, .time = 1, .frames = 5}};
  for (const SoftOptions& options : all) {
    const SoftRun one = run_soft(z, options, Arena(1));
    for (const int threads : {2, 7}) {
      const SoftRun more = run_soft(z, options, Arena(threads));
      for (std::size_t f = 0; f < one.states.size(); ++f)
        EXPECT_EQ(std::memcmp(one.states[f].data(), more.states[f].data(), 8 * z.size()), 0);
      EXPECT_EQ(one.energy, more.energy);
      EXPECT_EQ(one.smallest_cosine, more.smallest_cosine);
      EXPECT_EQ(one.component, more.component);
    }
  }
  const PhaseSpec spec{.tokens = 6, .systems = 5, .betas = 2, .time = 3, .times = 3};
  EXPECT_EQ(phase_diagram(spec, Arena(1)).share, phase_diagram(spec, Arena(7)).share);
}

}  // namespace
}  // namespace telos::clustering
