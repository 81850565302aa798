#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include "clustering/hardmax_parts.h"
#include "clustering/plane.h"
#include "telos/clustering/theory.h"
#include "tests/clustering/hardmax_systems.h"
#include "tests/repeats.h"

// What holds for any system, on thousands of random ones.

namespace telos::clustering {
namespace {

using reference::hardmax::kNever;
using reference::hardmax::Quad;
using test::Cloud;
using test::Rows;

const Arena arena(2);

HardmaxRun run(const Rows& tokens, double alpha, HardmaxOptions options = {}) {
  options.alpha = alpha;
  const Matrix<double> m = test::matrix(tokens);
  return run_hardmax(m, options, arena);
}

double norm(std::span<const double> z) {
  double square = 0;
  for (const double x : z) square += x * x;
  return std::sqrt(square);
}
double largest_norm(const Rows& tokens) {
  double most = 0;
  for (const auto& row : tokens) most = std::max(most, norm(row));
  return most;
}
double dot(const double* x, const double* y, std::size_t d) {
  return std::inner_product(x, x + d, y, 0.0);
}

template <class Real>
double largest_difference(const Matrix<double>& fast, const reference::hardmax::Rows<Real>& naive) {
  double most = 0;
  for (std::size_t i = 0; i < fast.rows(); ++i)
    for (std::size_t c = 0; c < fast.cols(); ++c)
      most = std::max(most, std::abs(fast(i, c) - static_cast<double>(naive[i][c])));
  return most;
}

bool same_bits(const Matrix<double>& a, const Matrix<double>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

/// Seed of one of many systems, told on failure.
struct System {
  Rows tokens;
  double alpha;
  Cloud kind;
  std::string name;
};
System random_system(std::uint64_t seed, std::initializer_list<Cloud> kinds, std::size_t most = 60) {
  Random random(7, 3, seed);
  System s;
  s.kind = *(kinds.begin() + random.below(static_cast<std::uint32_t>(kinds.size())));
  const std::size_t d = 1 + random.below(5), n = 1 + random.below(static_cast<std::uint32_t>(most));
  s.alpha = std::exp(std::log(0.01) + random.uniform() * std::log(2000.0));
  s.tokens = test::cloud(s.kind, n, d, random);
  if (random.below(3) == 0)
    for (std::size_t i = random.below(static_cast<std::uint32_t>(n)); i > 0; i /= 2)
      s.tokens.push_back(s.tokens[i]);
  s.name = "system " + std::to_string(seed) + ", n = " + std::to_string(s.tokens.size()) +
           ", d = " + std::to_string(d) + ", alpha = " + std::to_string(s.alpha);
  return s;
}
constexpr std::initializer_list<Cloud> kGeneric = {Cloud::kGauss, Cloud::kCube, Cloud::kShifted,
                                                   Cloud::kAnisotropic};
constexpr std::initializer_list<Cloud> kAll = {Cloud::kGauss,       Cloud::kCube,    Cloud::kShifted,
                                               Cloud::kAnisotropic, Cloud::kLattice, Cloud::kTies};

// ---- The oracle

TEST(HardmaxProperties, EqualsTheIterationAtEveryLayer) {
  std::uint64_t index = 0;
  double worst = 0;
  for (const std::size_t d : {1, 2, 3, 5, 8, 16})
    for (const std::size_t n : {5u, repeats(40u, 17u), repeats(300u, 41u)})
      for (const double alpha : {0.05, 0.5, 2.35, 20.0})
        for (const Cloud kind : kGeneric) {
          Random random(23, 0, index++);
          const Rows tokens = test::cloud(kind, n, d, random);
          const HardmaxRun fast = run(tokens, alpha);
          ASSERT_TRUE(fast.complete) << index;
          // Layers beyond the last decision are formulas; ten of them stand for all where n² is large.
          const std::size_t layers = n == 300 ? fast.layers + 10 : alpha == 0.05 ? 200 : 60;
          const auto naive =
              reference::hardmax::iterate<double>(tokens, {.alpha = alpha, .a = {}, .p = {}}, layers);
          for (std::size_t k = 0; k <= layers; ++k)
            worst = std::max(worst, largest_difference(fast.positions(k, arena), naive.positions[k]));
          ASSERT_LT(worst, 1e-12) << index;
        }
  EXPECT_EQ(index, 288u);
  RecordProperty("largest_difference", std::to_string(worst));
}

TEST(HardmaxProperties, LeadersAreThoseOfQuadruplePrecision) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const System s = random_system(seed, kGeneric, 30);
    SCOPED_TRACE(s.name);
    const HardmaxRun fast = run(s.tokens, s.alpha);
    const std::size_t layers = std::min<std::size_t>(40, fast.layers + 8);
    const auto exact =
        reference::hardmax::iterate<Quad>(s.tokens, {.alpha = s.alpha, .a = {}, .p = {}}, layers);
    for (std::size_t i = 0; i < s.tokens.size(); ++i) {
      const Fate& fate = fast.fates[i];
      const std::size_t emergence = fate.end == TokenEnd::kLeader ? fate.decided : kNever;
      if (emergence == kNever || emergence < layers) {
        ASSERT_EQ(emergence, exact.emergence[i]) << i;
      }
    }
    for (std::size_t k = 0; k <= layers; ++k)
      ASSERT_LT(largest_difference(fast.positions(k, arena), exact.positions[k]), 1e-13);
  }
}

TEST(HardmaxProperties, TiesAreThoseOfQuadruplePrecision) {
  // In double precision the iteration goes wrong here after some ten layers of a large α: followers arrive at
  // their leaders to within the tolerance, and join the ties of tokens that stand still in truth.
  for (std::uint64_t seed = 0; seed < repeats(1000u, 60u); ++seed) {
    const System s = random_system(seed, {Cloud::kLattice, Cloud::kTies}, 25);
    SCOPED_TRACE(s.name);
    HardmaxOptions options;
    options.layers = 12;
    const HardmaxRun fast = run(s.tokens, s.alpha, options);
    const auto exact =
        reference::hardmax::iterate<Quad>(s.tokens, {.alpha = s.alpha, .tie = 1e-26, .a = {}, .p = {}}, 12);
    for (std::size_t k = 0; k <= 12; ++k)
      ASSERT_LT(largest_difference(fast.positions(k, arena), exact.positions[k]), 1e-13) << k;
  }
}

bool exact_means(const std::vector<reference::hardmax::Set>& sets) {
  return std::ranges::all_of(sets, [](const auto& set) { return std::has_single_bit(set.size()); });
}

TEST(HardmaxProperties, LatticesAreExact) {
  // With s = ½ all positions are dyadic for some twenty layers as long as means are of 1, 2, 4, … tokens:
  // nothing is rounded, and ties are ties.
  std::size_t layers = 0, tied = 0;
  for (std::uint64_t seed = 0; seed < repeats(800u, 50u); ++seed) {
    const System s = random_system(seed, {Cloud::kLattice, Cloud::kTies}, 25);
    SCOPED_TRACE(s.name);
    HardmaxOptions options;
    options.tie_tolerance = 0;
    const HardmaxRun fast = run(s.tokens, 1, options);
    const auto exact = reference::hardmax::iterate<Quad>(s.tokens, {.alpha = 1, .a = {}, .p = {}}, 18);
    for (std::size_t k = 0; k < 18 && exact_means(exact.targets[k]) && (fast.complete || k < fast.layers);
         ++k) {
      ASSERT_EQ(largest_difference(fast.positions(k + 1, arena), exact.positions[k + 1]), 0) << k;
      ++layers;
      for (std::size_t i = 0; i < s.tokens.size(); ++i) {
        std::vector<std::size_t> targets = fast.targets(i, k), expected;
        for (const std::size_t j : exact.targets[k][i]) expected.push_back(fast.group[j]);
        std::ranges::sort(expected);
        expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
        tied += expected.size() > 1;
        ASSERT_EQ(targets, expected) << "layer " << k << ", token " << i;
      }
    }
  }
  EXPECT_GT(layers, repeats(2000u, 100u));
  EXPECT_GT(tied, repeats(300u, 10u));
}

TEST(HardmaxProperties, TheLimitIsWhereTheIterationArrives) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const System s = random_system(seed, kGeneric, 25);
    SCOPED_TRACE(s.name);
    if (s.alpha < 0.2) continue;
    const HardmaxRun fast = run(s.tokens, s.alpha);
    const auto more = static_cast<std::size_t>(33 / std::log(1 + s.alpha)) + 1;  // r^more < 1e-14
    const auto naive = reference::hardmax::iterate<double>(s.tokens, {.alpha = s.alpha, .a = {}, .p = {}},
                                                           fast.layers + more);
    ASSERT_LT(largest_difference(fast.limits, naive.positions.back()), 1e-12);
  }
}

// ---- What the theory says of every run

void check_growth(const HardmaxRun& r, double scale, std::size_t layers, Random& random) {
  const std::size_t d = r.dimension;
  Matrix<double> before = r.positions(0, arena);
  std::vector<std::vector<double>> directions(4, std::vector<double>(d));
  for (auto& u : directions)
    for (double& x : u) x = random.normal();
  std::vector<double> support;
  double largest = 0;
  for (std::size_t k = 0; k <= layers; ++k) {
    const Matrix<double> now = r.positions(k, arena);
    double most = 0;
    for (std::size_t i = 0; i < r.tokens; ++i) {
      const double* const z = now.row(i);
      most = std::max(most, dot(z, z, d));
      double step = 0;
      for (std::size_t c = 0; c < d; ++c) step += (z[c] - before(i, c)) * (z[c] - before(i, c));
      ASSERT_GE(dot(z, z, d), dot(before.row(i), before.row(i), d) + step - 1e-11 * scale * scale);
    }
    if (k > 0) {
      ASSERT_NEAR(most, largest, 1e-12 * scale * scale);
    }
    largest = most;
    for (std::size_t u = 0; u < directions.size(); ++u) {
      double height = -1e300;
      for (std::size_t i = 0; i < r.tokens; ++i)
        height = std::max(height, dot(directions[u].data(), now.row(i), d));
      if (k == 0)
        support.push_back(height);
      else
        ASSERT_LE(height, support[u] + 1e-12 * scale);
      support[u] = height;
    }
    before = now.copy();
  }
}

/// Who is followed is longer: no cycles.
void check_forest(const HardmaxRun& r, double scale, std::size_t layer) {
  const Matrix<double> z = r.positions(layer, arena);
  for (std::size_t i = 0; i < r.tokens; ++i)
    for (const std::size_t u : r.targets(i, layer)) {
      const std::size_t j = r.first[u];
      ASSERT_GE(norm({z.row(j), r.dimension}), norm({z.row(i), r.dimension}) - 1e-11 * scale);
    }
}

void check_ends(const HardmaxRun& r, const Rows& tokens, double scale) {
  const std::size_t d = r.dimension;
  std::size_t followers = 0;
  for (std::size_t i = 0; i < r.tokens; ++i) {
    const Fate& fate = r.fates[i];
    const double* const z = r.limits.row(i);
    followers += fate.leader != kNone;
    if (fate.end == TokenEnd::kLeader || fate.end == TokenEnd::kFollows) {
      const Leader& leader = r.leaders[fate.leader];
      ASSERT_TRUE(std::equal(z, z + d, r.limits.row(leader.token)));
      ASSERT_NEAR(leader.norm, norm({z, d}), 1e-14 * scale);
    }
    if (fate.end == TokenEnd::kLeader) {
      ASSERT_EQ(fate.decided, r.leaders[fate.leader].emergence);
    }
    if (fate.end == TokenEnd::kLeader && fate.decided == 0) {
      ASSERT_TRUE(std::equal(z, z + d, tokens[i].begin()));
    }
    // The limit set: every token supports the limits, so that a limit is a vertex or a projection.
    if (fate.decided == kNone) continue;
    for (std::size_t j = 0; j < r.tokens; ++j)
      if (r.fates[j].decided != kNone) {
        ASSERT_LE(dot(z, r.limits.row(j), d), dot(z, z, d) + 1e-11 * scale * scale);
      }
    if (fate.end == TokenEnd::kFace)
      for (const std::size_t u : r.targets(i, fate.decided))
        if (r.fates[r.first[u]].end != TokenEnd::kFace) {
          ASSERT_NEAR(dot(z, r.limits.row(r.first[u]), d), dot(z, z, d), 1e-11 * scale * scale);
        }
  }
  std::size_t sum = 0;
  for (const Leader& leader : r.leaders) sum += leader.followers;
  ASSERT_EQ(sum, followers);
}

TEST(HardmaxProperties, TheoryHoldsInThousandsOfSystems) {
  std::size_t asymptotic = 0, late = 0, faces = 0, statics = 0;
  for (std::uint64_t seed = 0; seed < repeats(3000u, 200u); ++seed) {
    const System s = random_system(seed, kAll);
    SCOPED_TRACE(s.name);
    HardmaxOptions options;
    options.max_layers = 2000;
    const HardmaxRun r = run(s.tokens, s.alpha, options);
    const double scale = std::max(1.0, largest_norm(s.tokens));
    Random random(5, 0, seed);
    ASSERT_FALSE(r.leaders.empty());
    const std::size_t layers = r.complete ? 6 : std::min<std::size_t>(6, r.layers);
    ASSERT_NO_FATAL_FAILURE(check_growth(r, scale, layers, random));
    for (std::size_t k = 0; k < std::min<std::size_t>(r.layers, 4); ++k)
      ASSERT_NO_FATAL_FAILURE(check_forest(r, scale, k));
    ASSERT_NO_FATAL_FAILURE(check_ends(r, s.tokens, scale));
    for (const Fate& fate : r.fates) {
      asymptotic += fate.end == TokenEnd::kAsymptotic;
      faces += fate.end == TokenEnd::kFace;
      statics += fate.end == TokenEnd::kStatic;
    }
    late += r.leaders.back().emergence > 0;
    if (s.kind != Cloud::kLattice && s.kind != Cloud::kTies) {
      ASSERT_TRUE(r.complete);  // generic data end at leaders
      for (const Fate& fate : r.fates) ASSERT_NE(fate.leader, kNone);
    }
  }
  EXPECT_GT(late, repeats(20u, 0u));
  EXPECT_GT(faces, repeats(100u, 4u));
  EXPECT_GT(statics, repeats(100u, 4u));
  RecordProperty("asymptotic", std::to_string(asymptotic));
}

TEST(HardmaxProperties, AnyLayerIsABeginning) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const System s = random_system(seed, kGeneric);
    SCOPED_TRACE(s.name);
    const HardmaxRun r = run(s.tokens, s.alpha);
    const std::size_t from = 1 + seed % 4;
    HardmaxOptions options;
    options.alpha = s.alpha;
    const HardmaxRun later = run_hardmax(r.positions(from, arena), options, arena);
    // A follower that has come close to its leader may be a copy of it by then.
    for (std::size_t i = 0; i < r.tokens; ++i)
      for (std::size_t c = 0; c < r.dimension; ++c)
        ASSERT_NEAR(later.limits(i, c), r.limits(i, c), 1e-11 * std::max(1.0, largest_norm(s.tokens)));
    for (std::size_t k = 0; k < 10; ++k) {
      const Matrix<double> a = r.positions(from + k, arena), b = later.positions(k, arena);
      for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a.data()[i], b.data()[i], 1e-11);
    }
  }
}

// ---- Symmetries

TEST(HardmaxProperties, PermutedTokensHaveTheSameBits) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const System s = random_system(seed, kAll);
    SCOPED_TRACE(s.name);
    const std::size_t n = s.tokens.size();
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), 0U);
    Random random(9, 0, seed);
    for (std::size_t i = n; i > 1; --i)
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
    Rows permuted(n);
    for (std::size_t i = 0; i < n; ++i) permuted[i] = s.tokens[order[i]];
    HardmaxOptions options;
    options.layers = 9;
    const HardmaxRun a = run(s.tokens, s.alpha, options), b = run(permuted, s.alpha, options);
    ASSERT_EQ(a.leaders.size(), b.leaders.size());
    for (const std::size_t k : {0, 1, 3, 9}) {
      const Matrix<double> x = a.positions(k, arena);
      Matrix<double> y(n, a.dimension);
      const Matrix<double> moved = b.positions(k, arena);
      for (std::size_t i = 0; i < n; ++i) std::copy_n(moved.row(i), a.dimension, y.row(order[i]));
      ASSERT_TRUE(same_bits(x, y)) << k;
    }
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(a.fates[order[i]].end, b.fates[i].end);
  }
}

TEST(HardmaxProperties, TurnedAndScaledTokensTurnAndScale) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const System s = random_system(seed, kGeneric);
    SCOPED_TRACE(s.name);
    Random random(10, 0, seed);
    const Rows q = test::rotation(s.tokens[0].size(), random);
    Rows turned = test::transformed(s.tokens, q), tripled = s.tokens, flipped = s.tokens;
    for (auto& row : tripled)
      for (double& x : row) x *= 3;
    for (auto& row : flipped)
      for (double& x : row) x *= -0.25;
    const HardmaxRun a = run(s.tokens, s.alpha), b = run(turned, s.alpha), c = run(tripled, s.alpha),
                     e = run(flipped, s.alpha);
    for (const std::size_t k : {1, 4, 20}) {
      const Matrix<double> x = a.positions(k, arena), y = b.positions(k, arena), z = c.positions(k, arena),
                           w = e.positions(k, arena);
      for (std::size_t i = 0; i < x.rows(); ++i)
        for (std::size_t j = 0; j < x.cols(); ++j) {
          ASSERT_NEAR(y(i, j), dot(q[j].data(), x.row(i), x.cols()), 1e-10);
          ASSERT_NEAR(z(i, j), 3 * x(i, j), 1e-12);
          ASSERT_EQ(w(i, j), -0.25 * x(i, j));
        }
    }
  }
}

TEST(HardmaxProperties, AIsAChangeOfVariable) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const System s = random_system(seed, kGeneric, 30);
    SCOPED_TRACE(s.name);
    const std::size_t d = s.tokens[0].size();
    Random random(12, 0, seed);
    const Rows l = test::cloud(Cloud::kGauss, d, d, random);  // A = l lᵀ + I/10, by the oracle
    Rows a(d, std::vector<double>(d));
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j) a[i][j] = dot(l[i].data(), l[j].data(), d) + (i == j ? 0.1 : 0);
    const Matrix<double> m = test::matrix(a);
    HardmaxOptions options;
    options.a = m;
    const HardmaxRun fast = run(s.tokens, s.alpha, options);
    const auto naive = reference::hardmax::iterate<double>(s.tokens, {.alpha = s.alpha, .a = a, .p = {}}, 12);
    for (std::size_t k = 0; k <= 12; ++k)
      ASSERT_LT(largest_difference(fast.positions(k, arena), naive.positions[k]), 1e-12) << k;
    for (const Leader& leader : fast.leaders) {
      const double* const z = fast.limits.row(leader.token);
      double square = 0;
      for (std::size_t i = 0; i < d; ++i) square += z[i] * dot(a[i].data(), z, d);
      ASSERT_NEAR(leader.norm, std::sqrt(square), 1e-12 * std::sqrt(square));
    }
  }
}

TEST(HardmaxProperties, SingularA) {
  std::size_t merged = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const System s = random_system(seed, {Cloud::kGauss, Cloud::kLattice}, 25);
    SCOPED_TRACE(s.name);
    const std::size_t d = s.tokens[0].size(), rank = (d + 1) / 2;
    Rows a(d, std::vector<double>(d));
    for (std::size_t i = 0; i < rank; ++i) a[i][i] = static_cast<double>(i + 1);
    const Matrix<double> m = test::matrix(a);
    HardmaxOptions options;
    options.a = m;
    options.layers = 10;
    const HardmaxRun fast = run(s.tokens, s.alpha, options);
    merged += fast.unique < s.tokens.size();
    // The iteration latches copies; a group that A cannot tell apart it sees as an everlasting tie, which
    // moves in the same way.
    const auto naive =
        reference::hardmax::iterate<double>(s.tokens, {.alpha = s.alpha, .tie = 1e-12, .a = a, .p = {}}, 10);
    for (std::size_t k = 0; k <= 10; ++k)
      ASSERT_LT(largest_difference(fast.positions(k, arena), naive.positions[k]), 1e-10) << k;
  }
  EXPECT_GT(merged, 30u);
}

TEST(HardmaxProperties, TheOriginMatters) {
  std::size_t differ = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(13, 0, seed);
    Rows tokens = test::cloud(Cloud::kGauss, 40, 2, random), moved = tokens;
    for (auto& row : moved) row[0] += 1;
    const HardmaxRun a = run(tokens, 1), b = run(moved, 1);
    differ += a.leaders.size() != b.leaders.size() || a.leaders[0].token != b.leaders[0].token;
  }
  EXPECT_GT(differ, 40u);
}

// ---- Threads, tiles, sources

void expect_same(const HardmaxRun& a, const HardmaxRun& b) {
  EXPECT_TRUE(same_bits(a.limits, b.limits));
  ASSERT_EQ(a.layers, b.layers);
  for (std::size_t k = 0; k <= a.layers; ++k)
    EXPECT_TRUE(same_bits(a.positions(k, arena), b.positions(k, arena)));
  for (std::size_t k = 0; k < a.layers; ++k) EXPECT_EQ(a.per_layer[k].scores, b.per_layer[k].scores);
  for (std::size_t i = 0; i < a.tokens; ++i) {
    EXPECT_EQ(a.fates[i].leader, b.fates[i].leader);
    EXPECT_EQ(a.fates[i].decided, b.fates[i].decided);
  }
}

TEST(HardmaxProperties, ThreadsDoNotShow) {
  for (const std::size_t d : {2, 3, 20}) {
    Random random(14, 0, d);
    Rows tokens = test::cloud(Cloud::kAnisotropic, 3000, d, random);
    const Rows lattice = test::cloud(Cloud::kTies, 500, d, random);
    tokens.insert(tokens.end(), lattice.begin(), lattice.end());
    const Matrix<double> m = test::matrix(tokens);
    HardmaxOptions options;
    options.alpha = 0.3;
    options.layers = 30;
    const HardmaxRun one = run_hardmax(m, options, Arena(1));
    EXPECT_GT(one.layers, 2u);
    expect_same(one, run_hardmax(m, options, Arena(2)));
    expect_same(one, run_hardmax(m, options, Arena(7)));
  }
}

HardmaxState layers_with(const Rows& tokens, double alpha, ArgmaxSource& source) {
  HardmaxOptions options;
  options.layers = 40;
  const Matrix<double> m = test::matrix(tokens);
  HardmaxInput input = reduce_tokens(m, options, true, arena);
  return run_layers(input, alpha, options, source, arena).state;
}
void expect_same(const HardmaxState& a, const HardmaxState& b) {
  ASSERT_TRUE(same_bits(a.w.tokens, b.w.tokens));
  ASSERT_EQ(a.w.faces, b.w.faces);
  ASSERT_EQ(a.decided, b.decided);
  ASSERT_EQ(a.state, b.state);
  ASSERT_EQ(a.target, b.target);
}

TEST(HardmaxProperties, TilesDoNotShow) {
  for (std::uint64_t seed = 0; seed < repeats(24u, 6u); ++seed) {
    Random random(15, 0, seed);
    const std::size_t d = 3 + seed % 7, n = 400;
    const Cloud kind = test::kClouds[seed % 6];
    Rows tokens = test::cloud(kind, n, d, random);
    const double alpha = seed % 2 == 0 ? 0.2 : 3;
    const auto source = make_scan_source();
    const HardmaxState usual = layers_with(tokens, alpha, *source);
    for (const ScanTiles tiles : {ScanTiles{1, 1, 1}, ScanTiles{7, 33, 2}, ScanTiles{1000, 4096, 64}}) {
      const auto other = make_scan_source(tiles);
      ASSERT_NO_FATAL_FAILURE(expect_same(usual, layers_with(tokens, alpha, *other)));
    }
  }
}

TEST(HardmaxProperties, TheHullOfThePlaneFindsWhatTheScanFinds) {
  for (std::uint64_t seed = 0; seed < repeats(1200u, 80u); ++seed) {
    System s = random_system(seed, kAll, 200);
    SCOPED_TRACE(s.name);
    for (auto& row : s.tokens) row.resize(1 + seed % 2);
    const auto scan = make_scan_source(), plane = make_plane_source();
    ASSERT_NO_FATAL_FAILURE(
        expect_same(layers_with(s.tokens, s.alpha, *scan), layers_with(s.tokens, s.alpha, *plane)));
  }
}

// ---- Counting leaders

TEST(HardmaxProperties, LeadersAreAsManyAsExpected) {
  struct Case {
    std::size_t d, n, runs;
    double expected;
  };
  for (const Case& c :
       {Case{2, 100, 400, 6.285605}, Case{2, 1000, 100, 8.125075}, Case{3, 1000, 60, 21.260723},
        Case{5, 1000, 30, 79.121659}, Case{10, 1000, 12, 413.495216}}) {
    EXPECT_NEAR(expected_leaders(c.n, c.d), c.expected, 1e-6);
    double sum = 0, squares = 0;
    for (std::size_t seed = 0; seed < c.runs; ++seed) {
      Random random(16, static_cast<std::uint32_t>(c.d), c.n * 1000 + seed);
      HardmaxOptions options;
      options.layers = 1;
      options.history = false;
      const auto leaders =
          static_cast<double>(run(test::cloud(Cloud::kGauss, c.n, c.d, random), 1, options).initial_leaders);
      sum += leaders;
      squares += leaders * leaders;
    }
    const auto runs = static_cast<double>(c.runs);
    const double mean = sum / runs, error = std::sqrt((squares / runs - mean * mean) / (runs - 1));
    EXPECT_NEAR(mean, c.expected, 3 * error) << "d = " << c.d << ", n = " << c.n;
  }
}

}  // namespace
}  // namespace telos::clustering
