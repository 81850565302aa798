#include "telos/symmetry/spectrum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "reference/symmetry_irreps.h"
#include "reference/symmetry_spectrum.h"
#include "telos/symmetry/enumeration.h"
#include "tests/positional/complaint.h"
#include "tests/repeats.h"

namespace telos::symmetry {
namespace {

using telos::test::complaint;
using telos::test::expect_error;
namespace ref = reference::symmetry;

using Tokens = std::span<const std::uint32_t>;

ref::Sequence plain(Tokens x) {
  return {x.begin(), x.end()};
}

double relu_block(Tokens x, Tokens y) {
  return ref::relu_block(plain(x), plain(y), 1, 0.5);
}

/// Word order told by the first position.
double broken(Tokens x, Tokens y) {
  return 1 + (x[0] == y[0] ? 0.1 : 0);
}

std::vector<Level> in(const Spectrum& s, const Partition& irrep) {
  std::vector<Level> levels;
  for (const Level& level : s.levels)
    if (level.irrep == irrep) levels.push_back(level);
  return levels;
}

struct Line {
  double value, multiplicity;
};
void expect_levels(const Spectrum& s, const Partition& irrep, const std::vector<Line>& lines,
                   double relative) {
  const std::vector<Level> levels = in(s, irrep);
  ASSERT_GE(levels.size(), lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_NEAR(levels[i].eigenvalue, lines[i].value, relative * lines[i].value)
        << to_text(irrep) << " " << i;
    EXPECT_EQ(levels[i].multiplicity, lines[i].multiplicity) << to_text(irrep) << " " << i;
  }
}

/// All eigenvalues, each as often as it comes.
std::vector<double> all_values(const Spectrum& s) {
  std::vector<double> values;
  for (const Level& level : s.levels)
    values.insert(values.end(), static_cast<std::size_t>(level.multiplicity), level.eigenvalue);
  std::sort(values.begin(), values.end(), std::greater<>());
  return values;
}

TEST(Simplified, Printed) {
  const SimplifiedBlock bare{.token = 1, .position = 0.5, .average = AttentionAverage::kNone, .query = true};
  const Spectrum s = simplified_spectrum(bare, 3, 4);
  std::vector<double> found;
  for (const double value : all_values(s))
    if (found.empty() || value < found.back() - 1e-9) found.push_back(value);
  EXPECT_THAT(found, ::testing::Pointwise(::testing::DoubleNear(1e-12),
                                          {6.388888888889, 2.555555555556, 1.388888888889, 0.555555555556,
                                           0.277777777778, 0.111111111111}));
  EXPECT_NEAR(s.trace, 19.5, 1e-12);
  EXPECT_EQ(s.tail(), 0);

  const Spectrum urn = simplified_spectrum({}, 3, 4, {.alpha = 1});
  expect_levels(urn, {4}, {{0.479166666667, 1}, {0.182291666667, 2}}, 1e-11);
  expect_levels(urn, {3, 1}, {{0.015625, 6}}, 1e-12);
  const Spectrum eight = simplified_spectrum({}, 4, 8, {.alpha = 1});
  expect_levels(eight, {8}, {{0.3125, 1}, {0.084375, 3}}, 1e-12);
  expect_levels(eight, {7, 1}, {{0.003125, 21}}, 1e-12);
}

// Closed forms beside all sequences written down, by another eigensolver too.
TEST(Simplified, AsEnumerated) {
  const Arena arena(2);
  for (const bool query : {false, true})
    for (const AttentionAverage norm :
         {AttentionAverage::kNone, AttentionAverage::kRoot, AttentionAverage::kMean})
      for (const double alpha : {0.3, 1., static_cast<double>(INFINITY)}) {
        const SimplifiedBlock block{.token = 0.8, .position = 0.3, .average = norm, .query = query};
        const Spectrum closed = simplified_spectrum(block, 3, 4, {.alpha = alpha});
        const Spectrum written = enumerated_spectrum(
            simplified_kernel(block),
            {.vocabulary = 3, .length = 4, .queries = query ? 1u : 0u, .law = {alpha}}, arena);
        EXPECT_NEAR(closed.trace, written.trace, 1e-12 * closed.trace);
        for (const Partition& irrep : partitions(4)) {
          std::vector<Line> lines;
          for (const Level& level : in(closed, irrep))
            lines.push_back({level.eigenvalue, level.multiplicity});
          expect_levels(written, irrep, lines, 1e-12);
          double rest = sector_trace(written, irrep) - sector_trace(closed, irrep);
          EXPECT_NEAR(rest, 0, 1e-14 * closed.trace);
        }
      }
}

TEST(Simplified, KernelAsReference) {
  for (const auto& [norm, power] :
       {std::pair{AttentionAverage::kNone, 0}, std::pair{AttentionAverage::kRoot, 1},
        std::pair{AttentionAverage::kMean, 2}})
    for (const bool query : {false, true}) {
      const TokenKernel k =
          simplified_kernel({.token = 0.7, .position = 0.2, .average = norm, .query = query});
      const std::vector<std::uint32_t> x = {0, 2, 2, 1, 1}, y = {2, 2, 1, 1, 1};
      const std::size_t n = query ? 5 : 4;
      EXPECT_NEAR(
          k(Tokens(x).first(n), Tokens(y).first(n)),
          ref::simplified_kernel(plain(Tokens(x).first(n)), plain(Tokens(y).first(n)), 4, 0.7, 0.2, power),
          1e-14);
    }
}

TEST(Simplified, SmallestSizes) {
  EXPECT_EQ(simplified_spectrum({}, 1, 1).levels.size(), 1u);
  EXPECT_EQ(simplified_spectrum({}, 1, 9).levels.size(), 1u);
  EXPECT_EQ(simplified_spectrum({}, 5, 1).levels.size(), 2u);
  const Spectrum unplaced = simplified_spectrum({.token = 1, .position = 0}, 4, 8);
  EXPECT_EQ(in(unplaced, {7, 1}).size(), 0u);  // no positions: only counts are ever learned
  EXPECT_EQ(simplified_spectrum({.token = 0, .position = 1}, 4, 8).levels.size(), 1u);
  EXPECT_THROW(simplified_spectrum({.token = 0, .position = 0}, 4, 8), Error);
}

TEST(Enumerated, PrintedReluBlock) {
  const Arena arena(2);
  const Spectrum s = enumerated_spectrum(relu_block, {.vocabulary = 3, .length = 4}, arena);
  EXPECT_NEAR(s.trace, 0.573890866577, 1e-12);
  EXPECT_EQ(s.tail(), 0);
  expect_levels(s, {4},
                {{0.449393838892, 1},
                 {0.0605339367, 2},
                 {0.000164608877039, 2},
                 {0.000163595523696, 1},
                 {4.05150532465e-05, 2}},
                1e-9);
  expect_levels(
      s, {3, 1},
      {{0.00044054034509, 6}, {4.12201312536e-05, 3}, {6.7438697277e-06, 3}, {6.27036054126e-06, 6}}, 1e-9);
  expect_levels(s, {2, 2}, {{3.90615680045e-06, 2}}, 1e-9);
  ASSERT_EQ(in(s, {2, 1, 1}).size(), 1u);
  EXPECT_NEAR(in(s, {2, 1, 1})[0].eigenvalue, 0, 1e-16);
  EXPECT_EQ(in(s, {2, 1, 1})[0].multiplicity, 9);
  EXPECT_EQ(all_values(s).size(), 81u);
  EXPECT_EQ(all_values(enumerated_spectrum(relu_block, {.vocabulary = 3, .length = 4}, Arena(1))),
            all_values(s));
}

// Labels, eigenvalues and multiplicities from all of the matrix at once, uniform and from an urn.
TEST(Enumerated, AsReference) {
  const Arena arena(1);
  for (const double alpha : {0.7, static_cast<double>(INFINITY)}) {
    const ref::Law law = [&](const ref::Sequence& x) {
      return std::isinf(alpha) ? ref::uniform_law(x, 2) : ref::urn_law(x, 2, alpha);
    };
    const ref::Kernel kernel = [](const ref::Sequence& x, const ref::Sequence& y) {
      return ref::relu_block(x, y, 1, 0.5);
    };
    const Spectrum s = enumerated_spectrum(relu_block, {.vocabulary = 2, .length = 5, .law = {alpha}}, arena);
    const auto expected = ref::spectrum(kernel, law, 5, 2);
    std::vector<double> values;
    for (const auto& e : expected) values.push_back(e.value);
    EXPECT_THAT(all_values(s), ::testing::Pointwise(::testing::DoubleNear(1e-13), values));
    for (const Level& level : s.levels) {
      if (level.eigenvalue < 1e-9) continue;  // where irreps may mix
      const ClassSums sums = class_sums(level.irrep);
      double copies = 0;
      for (const auto& e : expected)
        if (std::abs(e.value - level.eigenvalue) < 1e-13) {
          ++copies;
          EXPECT_NEAR(e.transpositions, static_cast<double>(sums.transpositions), 1e-6);
          EXPECT_NEAR(e.three_cycles, static_cast<double>(sums.three_cycles), 1e-6);
        }
      EXPECT_EQ(copies, level.multiplicity);
      EXPECT_EQ(std::fmod(level.multiplicity, static_cast<double>(*dimension(level.irrep).to_int64())), 0);
    }
  }
}

// The trace of a sector is E k_R(X, X), k_R = f/L! Σ_g χ(g) k(X, gY).
TEST(Enumerated, SectorTraces) {
  const Spectrum s = enumerated_spectrum(relu_block, {.vocabulary = 3, .length = 4}, Arena(1));
  const std::vector<ref::Shape> shapes = ref::shapes(4);
  const auto characters = ref::characters(4);
  const std::vector<ref::Sequence> all = ref::all_sequences(4, 3);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    double trace = 0;
    for (const ref::Permutation& g : ref::permutations(4)) {
      const auto type = std::find(shapes.begin(), shapes.end(), ref::cycle_type(g)) - shapes.begin();
      for (const ref::Sequence& x : all) {
        ref::Sequence moved(4);
        for (std::size_t a = 0; a < 4; ++a) moved[static_cast<std::size_t>(g[a])] = x[a];
        trace += static_cast<double>(characters[i][static_cast<std::size_t>(type)]) *
                 ref::relu_block(x, moved, 1, 0.5);
      }
    }
    trace *= static_cast<double>(ref::standard_tableaux(shapes[i])) / 24 / 81;
    EXPECT_NEAR(sector_trace(s, {shapes[i].begin(), shapes[i].end()}), trace, 1e-14) << i;
  }
}

TEST(Enumerated, WithoutPositionsOnlyCountsAreLearned) {
  const Spectrum s =
      enumerated_spectrum([](Tokens x, Tokens y) { return ref::relu_block(plain(x), plain(y), 1, 0); },
                          {.vocabulary = 3, .length = 4}, Arena(1));
  for (const Level& level : s.levels)
    EXPECT_TRUE(level.irrep == Partition{4} || std::abs(level.eigenvalue) < 1e-15) << to_text(level.irrep);
  EXPECT_NEAR(sector_trace(s, {4}), s.trace, 1e-14);
}

TEST(Binary, Printed) {
  const Spectrum s = binary_spectrum(relu_block, 6, {}, 3);
  EXPECT_NEAR(s.trace, 0.6012080315359513, 1e-14);
  EXPECT_EQ(s.tail(), 0);
  expect_levels(s, {6}, {{0.537245706981, 1}, {0.0621857541134, 1}, {0.000139163695955, 1}}, 1e-11);
  expect_levels(s, {5, 1}, {{0.000290435163821, 5}, {2.0994149548e-05, 5}}, 1e-10);
  expect_levels(s, {4, 2}, {{1.14236549162e-06, 9}, {5.38885984664e-08, 9}}, 1e-8);
  expect_levels(s, {3, 3}, {{1.31795922526e-08, 5}}, 1e-7);
}

TEST(Binary, AsEnumerated) {
  const Arena arena(1);
  for (const std::uint32_t length : {1u, 2u, 5u, 6u, 7u})
    for (const double alpha : {0.4, static_cast<double>(INFINITY)}) {
      const Spectrum blocks = binary_spectrum(relu_block, length, {alpha}, length);
      const Spectrum written =
          enumerated_spectrum(relu_block, {.vocabulary = 2, .length = length, .law = {alpha}}, arena);
      EXPECT_THAT(all_values(blocks),
                  ::testing::Pointwise(::testing::DoubleNear(1e-15), all_values(written)));
      for (const Partition& irrep : partitions(length))
        EXPECT_NEAR(sector_trace(blocks, irrep), sector_trace(written, irrep), 1e-15) << to_text(irrep);
    }
}

TEST(Binary, LongSequencesAsClosedForm) {
  for (const double alpha : {1., static_cast<double>(INFINITY)}) {
    const SimplifiedBlock block{.token = 0.9, .position = 0.4};
    const Spectrum closed = simplified_spectrum(block, 2, 64, {alpha});
    const Spectrum blocks = binary_spectrum(simplified_kernel(block), 64, {alpha}, 32);
    EXPECT_NEAR(blocks.trace, closed.trace, 1e-12);
    expect_levels(blocks, {64}, {{closed.levels[0].eigenvalue, 1}, {closed.levels[1].eigenvalue, 1}}, 1e-11);
    expect_levels(blocks, {63, 1}, {{closed.levels[2].eigenvalue, 63}}, 1e-11);
    double multiplicity = 0;
    for (const Level& level : blocks.levels) {
      multiplicity += level.multiplicity;
      EXPECT_TRUE(degree_of(level.irrep) < 2 || std::abs(level.eigenvalue) < 1e-17) << to_text(level.irrep);
    }
    EXPECT_EQ(multiplicity, std::pow(2., 64));
  }
}

TEST(Binary, TailOfWhatIsNotAskedFor) {
  const Spectrum s = binary_spectrum(relu_block, 6, {}, 0);
  EXPECT_NEAR(s.tail(), 5 * (0.000290435163821 + 2.0994149548e-05), 2e-5);
  EXPECT_GT(s.tail(), 1e-3);
}

TEST(Zonal, Printed) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Spectrum s = zonal_spectrum(relu_block, {.vocabulary = 3, .length = 4, .pairs = 20'000});
  const std::vector<double> expected = {0.44926358754, 0.0604754002947, 0.000440062900282};
  ASSERT_EQ(s.levels.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(s.levels[i].eigenvalue, expected[i], 4 * s.levels[i].error);
    EXPECT_LT(s.levels[i].error, 0.03 * expected[i]);
    EXPECT_EQ(s.levels[i].known, Known::kEstimate);
  }
  EXPECT_NEAR(s.trace, 0.5739, 2e-3);
}

TEST(Zonal, ExactWhereDegreesDoNotMix) {
  const SimplifiedBlock block{.token = 1, .position = 0.5};
  const Spectrum closed = simplified_spectrum(block, 5, 12);
  const Spectrum s = zonal_spectrum(simplified_kernel(block), {.vocabulary = 5, .length = 12});
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(s.levels[i].eigenvalue, closed.levels[i].eigenvalue, 4 * s.levels[i].error);
    EXPECT_LT(s.levels[i].error, 0.03 * closed.levels[i].eigenvalue);
    EXPECT_EQ(s.levels[i].multiplicity, closed.levels[i].multiplicity);
  }
}

// λ in (L−1,1) over what is not constant falls as 1/L, and its sector's share of that tends to
// 2 position/(token + 2 position): the bound by the dimension is short of the eigenvalue by the same factor
// at every length, up to L/(L − 1).
TEST(Scaling, StandardFallsAsItsDimension) {
  std::vector<double> x, y;
  for (std::uint32_t length = 8; length <= 512; length *= 2) {
    const Spectrum s = simplified_spectrum({.token = 1, .position = 0.5}, 8, length);
    const double rest = s.trace - s.levels[0].eigenvalue, standard = s.levels.back().eigenvalue, l = length;
    x.push_back(std::log(l));
    y.push_back(std::log(standard / rest));
    EXPECT_NEAR(sector_trace(s, {length - 1, 1}) / rest, 0.5 * (l - 1) / l, 1e-12);
    EXPECT_NEAR(rest / (l - 1) / standard * (l - 1) / l, 14,
                1e-10);  // (V − 1)(token + 2 position)/(2 position)
  }
  for (std::size_t i = 1; i < x.size(); ++i) EXPECT_NEAR((y[i] - y[i - 1]) / (x[i] - x[i - 1]), -1, 1e-10);
}

TEST(BadInput, Spectra) {
  const Arena arena(1);
  EXPECT_EQ(complaint([] { simplified_spectrum({}, 0, 4); }),
            "usage | vocabulary | is 0, expected 1 to 10,000,000 | ");
  expect_error(ErrorKind::kUsage, "length", [] { simplified_spectrum({}, 2, 0); });
  expect_error(ErrorKind::kUsage, "alpha", [] { simplified_spectrum({}, 2, 2, {.alpha = 0}); });
  expect_error(ErrorKind::kUsage, "variance", [] { simplified_spectrum({.token = -1}, 2, 2); });
  expect_error(ErrorKind::kUsage, "no irreps",
               [&] { enumerated_spectrum(broken, {.vocabulary = 2, .length = 3}, arena); });
  expect_error(ErrorKind::kUsage, "no irreps", [&] { binary_spectrum(broken, 9, {}, 2); });
  expect_error(ErrorKind::kUsage, "symmetric function", [&] {
    enumerated_spectrum([](Tokens x, Tokens) { return 1. + x[0]; }, {.vocabulary = 2, .length = 1}, arena);
  });
  expect_error(ErrorKind::kLimit, "2^13 sequences",
               [&] { enumerated_spectrum(relu_block, {.vocabulary = 2, .length = 13}, arena); });
  expect_error(ErrorKind::kLimit, "at most 256", [&] { binary_spectrum(relu_block, 257, {}, 2); });
  expect_error(ErrorKind::kNotFinite, "0 0 0", [&] {
    enumerated_spectrum([](Tokens, Tokens) { return NAN; }, {.vocabulary = 2, .length = 3}, arena);
  });
  expect_error(ErrorKind::kUsage, "only ", [] {
    zonal_spectrum(simplified_kernel({}), {.vocabulary = 1'000'000, .length = 4, .pairs = 1000});
  });
  expect_error(ErrorKind::kUsage, "at least 2", [&] { zonal_spectrum(relu_block, {.vocabulary = 1}); });
}

}  // namespace
}  // namespace telos::symmetry
