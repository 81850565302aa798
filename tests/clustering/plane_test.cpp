#include "clustering/plane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "clustering/hardmax_parts.h"
#include "tests/clustering/hardmax_systems.h"
#include "tests/repeats.h"

namespace telos::clustering {
namespace {

using test::Cloud;
using test::Rows;

const Arena arena(2);

/// Tokens by norm, the largest of which is in [½, 1), all active.
HardmaxState state_of(Rows rows, double tie) {
  std::ranges::sort(rows, [](const auto& a, const auto& b) {
    return canonical_norm(a.data(), a.size()) > canonical_norm(b.data(), b.size());
  });
  int exponent = 0;
  std::frexp(canonical_norm(rows[0].data(), rows[0].size()), &exponent);
  HardmaxState state;
  state.w.tokens = test::matrix(rows);
  scale_by_power(state.w.tokens.view(), -exponent);
  for (std::size_t t = 0; t < rows.size(); ++t)
    state.norm.push_back(canonical_norm(state.w.tokens.row(t), state.dimension()));
  state.copies.assign(rows.size(), 1);
  state.state.assign(rows.size(), TokenState::kActive);
  state.decided.assign(rows.size(), 0);
  state.target.assign(rows.size(), 0);
  state.tie = tie * state.norm[0];
  return state;
}

/// The definition.
std::vector<TokenId> argmax_set(const HardmaxState& state, const double* query) {
  const std::size_t d = state.dimension();
  std::vector<double> scores(state.size(), -1e300), point(d);
  for (TokenId t = 0; t < state.size(); ++t) {
    if (state.merged(t)) continue;
    state.position(t, point.data());
    scores[t] = canonical_dot(query, point.data(), d);
  }
  const double best = std::ranges::max(scores), tie = state.tie * canonical_norm(query, d);
  std::vector<TokenId> set;
  for (TokenId t = 0; t < state.size(); ++t)
    if (best - scores[t] <= tie) set.push_back(t);
  return set;
}

::testing::AssertionResult agrees(ArgmaxSource& source, const HardmaxState& state,
                                  const std::vector<const double*>& queries) {
  ArgmaxSets sets;
  source.find(state, queries, sets, arena);
  if (sets.set.size() != queries.size()) return ::testing::AssertionFailure() << "queries are missing";
  for (std::size_t q = 0; q < queries.size(); ++q)
    if (const std::vector<TokenId> expected = argmax_set(state, queries[q]);
        !std::ranges::equal(sets.of(q), expected))
      return ::testing::AssertionFailure()
             << "query " << q << " finds " << ::testing::PrintToString(sets.of(q)) << " in place of "
             << ::testing::PrintToString(expected) << ", n " << state.size() << ", tie " << state.tie;
  return ::testing::AssertionSuccess();
}

/// All tokens but the zero vector.
std::vector<const double*> tokens_of(const HardmaxState& state) {
  std::vector<const double*> queries;
  for (std::size_t t = 0; t < state.size(); ++t)
    if (state.norm[t] > 0) queries.push_back(state.w.tokens.row(t));
  return queries;
}

/// Directions at right angles to lines through two tokens, and any.
Matrix<double> directions(const HardmaxState& state, std::size_t count, Random& random) {
  const std::size_t d = state.dimension();
  Matrix<double> q(count, d);
  for (std::size_t i = 0; i < count; ++i) {
    const double* const a = state.w.tokens.row(random.below(static_cast<std::uint32_t>(state.size())));
    const double* const b = state.w.tokens.row(random.below(static_cast<std::uint32_t>(state.size())));
    if (d == 2 && i % 2 == 0) {
      q(i, 0) = b[1] - a[1];
      q(i, 1) = a[0] - b[0];
    }
    while (canonical_norm(q.row(i), d) == 0)
      for (std::size_t c = 0; c < d; ++c) q(i, c) = random.normal();
  }
  return q;
}

void expect_definition(const HardmaxState& state, Random& random) {
  const std::unique_ptr<ArgmaxSource> source = make_plane_source();
  std::vector<const double*> queries = tokens_of(state);
  const Matrix<double> more = directions(state, 10, random);
  for (std::size_t i = 0; i < more.rows(); ++i) queries.push_back(more.row(i));
  ASSERT_TRUE(agrees(*source, state, queries));
}

constexpr double kTies[] = {1e-12, 0, 1e-15, 1e-6, 0.01, 0.4};

enum class Shape { kCircle, kPolygon, kLine, kRay, kGrid, kTilted, kNear, kClumps, kSpread };
constexpr Shape kShapes[] = {Shape::kCircle, Shape::kPolygon, Shape::kLine,   Shape::kRay,   Shape::kGrid,
                             Shape::kTilted, Shape::kNear,    Shape::kClumps, Shape::kSpread};

/// Places where many are extreme, or nearly so: on a circle, a regular polygon, a line, a ray and a line
/// across it, a lattice, the same turned, within rounding of one place or of a few, of all magnitudes.
Rows shape(Shape kind, std::size_t n, Random& random) {
  const double turn = random.uniform() * 2 * std::numbers::pi, side = std::ceil(std::sqrt(n));
  const double x0 = random.normal(), y0 = random.normal(), dx = random.normal(), dy = random.normal();
  Rows rows;
  for (std::size_t i = 0; i < n; ++i) {
    const double t = random.uniform() * 2 * std::numbers::pi, s = random.normal(),
                 k = static_cast<double>(random.below(4)), index = static_cast<double>(i);
    const double gx = std::floor(index / side) - side / 2, gy = std::fmod(index, side) - side / 3;
    const double step = 2 * std::numbers::pi * index / static_cast<double>(n);
    switch (kind) {
      case Shape::kCircle:
        rows.push_back({std::cos(t), std::sin(t)});
        break;
      case Shape::kPolygon:
        rows.push_back({std::cos(step), std::sin(step)});
        break;
      case Shape::kLine:
        rows.push_back({x0 + s * dx, y0 + s * dy});
        break;
      case Shape::kRay:
        rows.push_back(i % 2 == 0 ? std::vector<double>{1, s} : std::vector<double>{random.uniform(), 0});
        break;
      case Shape::kGrid:
        rows.push_back({gx, gy});
        break;
      case Shape::kTilted:
        rows.push_back(
            {gx * std::cos(turn) - gy * std::sin(turn), gx * std::sin(turn) + gy * std::cos(turn)});
        break;
      case Shape::kNear:
        rows.push_back({x0 + 1e-16 * std::round(3 * s), y0 + 1e-16 * std::cos(t)});
        break;
      case Shape::kClumps:
        rows.push_back({std::cos(turn + k) + 1e-13 * s, std::sin(turn + k) + 1e-13 * std::cos(t)});
        break;
      case Shape::kSpread:
        rows.push_back({std::cos(t) * std::exp2(-40 * k), std::sin(t) * std::exp2(-40 * k)});
        break;
    }
  }
  return rows;
}

TEST(Plane, SetsAreThoseOfTheDefinitionForAnyCloud) {
  Random random(11);
  for (std::size_t trial = 0; trial < 150; ++trial)
    for (const Cloud kind : test::kClouds)
      for (const std::size_t d : {1, 2}) {
        Rows rows = test::cloud(kind, 1 + random.below(60), d, random);
        rows.push_back(std::vector<double>(d, 1));  // not all zero
        ASSERT_NO_FATAL_FAILURE(expect_definition(state_of(rows, kTies[trial % std::size(kTies)]), random));
      }
}

TEST(Plane, SetsAreThoseOfTheDefinitionWhereManyAreExtreme) {
  Random random(12);
  for (std::size_t trial = 0; trial < 150; ++trial)
    for (const Shape kind : kShapes) {
      Rows rows = shape(kind, 1 + random.below(80), random);
      if (trial % 3 == 0)  // some in the same place
        for (std::size_t i = 0; i < 5; ++i)
          rows.push_back(rows[random.below(static_cast<std::uint32_t>(rows.size()))]);
      ASSERT_NO_FATAL_FAILURE(expect_definition(state_of(rows, kTies[trial % std::size(kTies)]), random))
          << static_cast<int>(kind);
    }
}

TEST(Plane, SetsAreThoseOfTheDefinitionBehindTheSieve) {
  constexpr std::size_t tokens = repeats(900, 500);
  Random random(13);
  for (const double tie : {1e-12, 0.0, 1e-3}) {
    for (const Shape kind : kShapes)
      ASSERT_NO_FATAL_FAILURE(expect_definition(state_of(shape(kind, tokens, random), tie), random));
    for (const Cloud kind : test::kClouds)
      ASSERT_NO_FATAL_FAILURE(expect_definition(state_of(test::cloud(kind, tokens, 2, random), tie), random));
  }
}

TEST(Plane, TinyQueriesAreAnswered) {
  HardmaxState state = state_of({{1, 0.25}, {0.5, -1}, {-0.75, 0.5}, {1e-160, 1e-161}, {-3e-155, 2e-161}}, 0);
  EXPECT_TRUE(agrees(*make_plane_source(), state, tokens_of(state)));
  state.tie = 1e-12;
  EXPECT_TRUE(agrees(*make_plane_source(), state, tokens_of(state)));
}

TEST(Plane, TokensWhoseSquaresUnderflowFollowTheirDirection) {
  for (const double tiny : {1e-170, 1e-300}) {
    const HardmaxRun run =
        run_hardmax(test::matrix({{1, 0}, {tiny, 0}, {0, tiny}, {0.1, 1}}), HardmaxOptions{}, arena);
    EXPECT_EQ(run.zero_tokens, 0u);
    EXPECT_EQ(run.fates[1].leader, 0u);
    EXPECT_EQ(run.fates[2].leader, 1u);
  }
}

/// Ten leaders and their followers; a seventh of these goes to one face instead.
HardmaxState followers(std::size_t n, double rate, double tie, Random& random) {
  HardmaxState state = state_of(test::cloud(Cloud::kCube, n, 2, random), tie);
  for (TokenId t = 0; t < n; ++t) {
    if (t < 10) {
      state.state[t] = TokenState::kLeader;
      continue;
    }
    state.state[t] = TokenState::kFrozen;
    state.decided[t] = random.below(2);
    state.target[t] = random.below(10);
  }
  state.w.faces = {0.125, 0.25};
  for (TokenId t = 10; t < n; t += 7) state.target[t] = static_cast<TokenId>(n);
  state.shrink = {1, rate};
  return state;
}

TEST(Plane, FollowersSleepAndWakeUnnoticed) {
  Random random(14);
  for (const double rate : {0.9, 0.5, 0.25, 0.03})
    for (const double tie : {1e-12, 0.0}) {
      HardmaxState state = followers(repeats(9000u, 1200u), rate, tie, random);
      const Matrix<double> any = directions(state, 12, random);
      std::vector<const double*> queries;
      for (std::size_t i = 0; i < any.rows(); ++i) queries.push_back(any.row(i));
      for (TokenId t = 0; t < 10; ++t) queries.push_back(state.w.tokens.row(t));
      const std::unique_ptr<ArgmaxSource> source = make_plane_source();
      for (state.layer = 1; state.layer < 45; ++state.layer) {
        ASSERT_TRUE(agrees(*source, state, queries)) << "layer " << state.layer << ", rate " << rate;
        state.shrink.push_back(state.shrink.back() * rate);
      }
    }
}

TEST(Plane, WorkIsProportionalToTokens) {
  Random random(15);
  for (const Shape kind : kShapes) {
    if (kind == Shape::kRay || kind == Shape::kNear || kind == Shape::kClumps) continue;  // long sets
    HardmaxState state = state_of(shape(kind, 40'000, random), 0);
    ArgmaxSets sets;
    make_plane_source()->find(state, tokens_of(state), sets, arena);
    EXPECT_LT(sets.scores, 40 * state.size()) << static_cast<int>(kind);
  }
}

EngineResult engine_run(const Rows& rows, const HardmaxOptions& options, ArgmaxSource& source,
                        const Arena& threads) {
  const Matrix<double> tokens = test::matrix(rows);
  HardmaxInput input = reduce_tokens(tokens, options, true, threads);
  return run_layers(input, options.alpha, options, source, threads);
}

bool same_bits(ConstMatrixView<double> a, ConstMatrixView<double> b) {
  return a.rows() == b.rows() && std::equal(a.data(), a.data() + a.rows() * a.cols(), b.data());
}

void expect_equal(const EngineResult& a, const EngineResult& b) {
  ASSERT_EQ(a.state.layer, b.state.layer);
  EXPECT_TRUE(same_bits(a.state.w.tokens, b.state.w.tokens));
  EXPECT_EQ(a.state.w.faces, b.state.w.faces);
  EXPECT_EQ(a.state.state, b.state.state);
  EXPECT_EQ(a.state.decided, b.state.decided);
  EXPECT_EQ(a.state.target, b.state.target);
  EXPECT_EQ(a.changed, b.changed);
  EXPECT_EQ(a.first_target, b.first_target);
  EXPECT_EQ(a.stalled, b.stalled);
  ASSERT_EQ(a.history.size(), b.history.size());
  for (std::size_t k = 0; k < a.history.size(); ++k) {
    const HardmaxRun::Layer &x = a.history[k], &y = b.history[k];
    ASSERT_EQ(x.active, y.active);
    EXPECT_TRUE(same_bits(x.z, y.z));
    for (std::size_t q = 0; q < x.set.size(); ++q) {
      const auto members = [&](const HardmaxRun::Layer& layer) {
        return std::vector(
            layer.members.begin() + static_cast<std::ptrdiff_t>(layer.begin[layer.set[q]]),
            layer.members.begin() + static_cast<std::ptrdiff_t>(layer.begin[layer.set[q] + 1]));
      };
      ASSERT_EQ(members(x), members(y));
    }
  }
}

void expect_same_run(const Rows& rows, const HardmaxOptions& options) {
  const EngineResult plane = engine_run(rows, options, *make_plane_source(), arena);
  expect_equal(plane, engine_run(rows, options, *make_scan_source(), arena));
}

TEST(Plane, RunsAreThoseOfTheScanToTheBit) {
  Random random(16);
  constexpr double kAlphas[] = {0.5, 1, 2.35, 0.05, 20};
  for (std::size_t trial = 0; trial < repeats(100u, 10u); ++trial) {
    HardmaxOptions options;
    options.alpha = kAlphas[trial % std::size(kAlphas)];
    options.tie_tolerance = kTies[trial % std::size(kTies)];
    options.max_layers = 150;
    for (const Cloud kind : test::kClouds) {
      Rows rows = test::cloud(kind, 1 + random.below(60), 1 + trial % 2, random);
      rows.push_back(rows[0]);
      rows.push_back(std::vector<double>(rows[0].size(), 1));
      ASSERT_NO_FATAL_FAILURE(expect_same_run(rows, options)) << "trial " << trial;
    }
    for (const Shape kind : kShapes)
      ASSERT_NO_FATAL_FAILURE(expect_same_run(shape(kind, 1 + random.below(40), random), options))
          << "trial " << trial << ", shape " << static_cast<int>(kind);
  }
}

TEST(Plane, LargeRunsAreThoseOfTheScanToTheBit) {
  Random random(17);
  for (const double alpha : {0.02, 1.0}) {
    HardmaxOptions options;
    options.alpha = alpha;
    for (const Cloud kind : {Cloud::kGauss, Cloud::kShifted})
      ASSERT_NO_FATAL_FAILURE(expect_same_run(test::cloud(kind, 6000, 2, random), options));
  }
}

TEST(Plane, SameBitsForAnyNumberOfThreads) {
  Random random(18);
  for (const Rows& rows :
       {test::cloud(Cloud::kGauss, 20'000, 2, random), shape(Shape::kGrid, 20'000, random)}) {
    HardmaxOptions options;
    options.alpha = 0.3;
    options.max_layers = 60;
    const EngineResult one = engine_run(rows, options, *make_plane_source(), Arena(1));
    for (const int threads : {2, 7}) {
      const EngineResult many = engine_run(rows, options, *make_plane_source(), Arena(threads));
      ASSERT_NO_FATAL_FAILURE(expect_equal(one, many));
      for (std::size_t k = 0; k < one.per_layer.size(); ++k)
        EXPECT_EQ(one.per_layer[k].scores, many.per_layer[k].scores);
    }
  }
}

}  // namespace
}  // namespace telos::clustering
