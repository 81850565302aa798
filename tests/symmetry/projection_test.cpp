#include "telos/symmetry/projection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "reference/symmetry_irreps.h"
#include "telos/base/philox.h"
#include "tests/positional/complaint.h"

namespace telos::symmetry {
namespace {

using telos::test::complaint;
using ::testing::HasSubstr;
namespace ref = reference::symmetry;

Matrix<double> matrix(std::size_t cols, const std::vector<double>& values) {
  Matrix<double> m(values.size() / cols, cols);
  std::copy(values.begin(), values.end(), m.data());
  return m;
}

Matrix<double> random_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Random random(seed);
  Matrix<double> m(rows, cols);
  for (std::size_t i = 0; i < rows * cols; ++i) m.data()[i] = random.normal();
  return m;
}

TEST(Projection, PrintedLinear) {
  const LinearEnergy e = linear_energy(matrix(3, {-1, 2, 1, -4, 3, 3, 5, 3, -2, -2, 2, 2, 2, 4, -2}));
  EXPECT_NEAR(e.trivial, 40, 1e-12);
  EXPECT_NEAR(e.standard, 74, 1e-12);
}

TEST(Projection, PrintedPair) {
  const PairEnergy e = pair_energy(
      matrix(5, {0, -5, -4, -3, -4, 3, 0, 1, -5, -4, -2, -1, 0, 0, -3, -4, 2, 3, 0, -4, -1, -1, 4, 0, 0}));
  EXPECT_NEAR(e.trivial, 39.2, 1e-12);
  EXPECT_NEAR(e.standard_symmetric, 27.8, 1e-12);
  EXPECT_NEAR(e.standard_antisymmetric, 55.8, 1e-12);
  EXPECT_NEAR(e.symmetric, 20, 1e-12);
  EXPECT_NEAR(e.antisymmetric, 51.2, 1e-12);
  EXPECT_NEAR(e.total(), 194, 1e-12);
}

// Shares of the energy of x_b x_{b+1}, as in an induction head, and of one ordered pair.
TEST(Projection, PrintedTargets) {
  for (const std::size_t length : {16, 128}) {
    Matrix<double> bigram(length, length);
    for (std::size_t b = 0; b + 1 < length; ++b) bigram(b, b + 1) = 1;
    const PairEnergy e = pair_energy(bigram);
    EXPECT_NEAR(e.trivial / e.total(), 1. / static_cast<double>(length), 1e-14);
    EXPECT_NEAR(e.standard() / e.total(), length == 16 ? .00833 : .000123, length == 16 ? 5e-6 : 5e-7);
    EXPECT_NEAR(e.symmetric / e.total(), length == 16 ? .43333 : .492126, length == 16 ? 5e-6 : 5e-7);
    EXPECT_NEAR(e.antisymmetric / e.total(), length == 16 ? .495833 : .499938, 5e-7);
  }
  Matrix<double> pair(16, 16);
  pair(0, 1) = 1;
  const PairEnergy e = pair_energy(pair);
  EXPECT_NEAR(e.trivial, .0041667, 5e-8);
  EXPECT_NEAR(e.standard(), .125, 1e-14);
  EXPECT_NEAR(e.symmetric, .4333333, 5e-8);
  EXPECT_NEAR(e.antisymmetric, .4375, 1e-14);
}

TEST(Projection, PairsByCharacters) {
  for (const int length : {2, 3, 4, 5, 6}) {
    const auto n = static_cast<std::size_t>(length);
    Matrix<double> w = random_matrix(n, n, 7);
    for (std::size_t b = 0; b < n; ++b) w(b, b) = 0;
    const ref::Vector expected = ref::pair_energies({w.data(), w.data() + n * n}, length);
    for (std::size_t b = 0; b < n; ++b) w(b, b) = 1e9;  // not read
    const PairEnergy e = pair_energy(w);
    const std::vector<ref::Shape> shapes = ref::shapes(length);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const ref::Shape& s = shapes[i];
      double found = 0;
      if (s == ref::Shape{length}) found = e.trivial;
      if (s == ref::Shape{length - 1, 1}) found = e.standard();
      if (length >= 4 && s == ref::Shape{length - 2, 2}) found = e.symmetric;
      if (length >= 3 && s == ref::Shape{length - 2, 1, 1}) found = e.antisymmetric;
      EXPECT_NEAR(found, expected[i], 1e-12) << "length " << length << ", irrep " << i;
    }
  }
}

TEST(Projection, PartsSumToTheWhole) {
  const Matrix<double> w = random_matrix(7, 7, 3);
  const PairParts p = pair_parts(w);
  for (std::size_t b = 0; b < 7; ++b)
    for (std::size_t c = 0; c < 7; ++c)
      EXPECT_NEAR(p.trivial(b, c) + p.standard_symmetric(b, c) + p.standard_antisymmetric(b, c) +
                      p.symmetric(b, c) + p.antisymmetric(b, c),
                  b == c ? 0 : w(b, c), 1e-14);
}

// A random function of words of four letters out of three, known everywhere: each estimate lies within its
// own error of the projection by characters.
TEST(Projection, BlackBoxByCharacters) {
  constexpr std::size_t kLength = 4, kLetters = 3, kWords = 81, kSequences = 20'000;
  Random random(5);
  ref::Vector f(kWords);
  for (double& value : f) value = 0.5 + random.normal();
  const SequenceFunction function = [&](ConstMatrixView<std::uint32_t> x, std::span<double> values) {
    for (std::size_t i = 0; i < x.rows(); ++i) {
      std::size_t word = 0;
      for (std::size_t a = kLength; a-- > 0;) word = word * kLetters + x(i, a);
      values[i] = f[word];
    }
  };
  Matrix<std::uint32_t> sequences(kSequences, kLength);
  for (std::size_t i = 0; i < kSequences * kLength; ++i) sequences.data()[i] = random.below(kLetters);
  const FunctionEnergy e = function_energy(function, sequences, 4, 1);
  const ref::Vector expected = ref::function_energies(f, kLength, kLetters);
  const auto agrees = [&](const EnergyEstimate& found, double sum) {
    EXPECT_NEAR(found.mean, sum / kWords, 3.5 * found.error);
    EXPECT_LT(found.error, 0.05 * std::accumulate(expected.begin(), expected.end(), 0.) / kWords);
  };
  agrees(e.total, std::accumulate(expected.begin(), expected.end(), 0.));
  agrees(e.trivial, expected[0]);
  agrees(e.standard, expected[1]);
  agrees(e.rest, std::accumulate(expected.begin() + 2, expected.end(), 0.));
}

TEST(Projection, BlackBoxWithoutOrder) {
  const SequenceFunction count = [](ConstMatrixView<std::uint32_t> x, std::span<double> values) {
    for (std::size_t i = 0; i < x.rows(); ++i)
      values[i] = static_cast<double>(std::count(x.row(i), x.row(i) + x.cols(), 1u));
  };
  Random random(2);
  Matrix<std::uint32_t> sequences(50, 9);
  for (std::size_t i = 0; i < 50 * 9; ++i) sequences.data()[i] = random.below(4);
  const FunctionEnergy e = function_energy(count, sequences, 2, 1);
  EXPECT_DOUBLE_EQ(e.trivial.mean, e.total.mean);
  EXPECT_EQ(e.standard.mean, 0);
  EXPECT_NEAR(e.rest.mean, 0, 1e-12);
}

TEST(BadInput, Projection) {
  EXPECT_EQ(complaint([] { linear_energy({}); }),
            "usage | coefficients | expected positions × letters, found none | ");
  EXPECT_EQ(complaint([] {
              linear_energy(matrix(2, {1, 2, 3, NAN}));
            }),
            "not_finite | coefficients | row 1, column 1 is nan, expected a finite number | ");
  EXPECT_EQ(complaint([] {
              pair_energy(matrix(3, {1, 2, 3, 4, 5, 6}));
            }),
            "shape | coefficients | are 2 × 3, expected a square matrix of positions | ");
  EXPECT_EQ(complaint([] { pair_energy(matrix(1, {1})); }),
            "usage | coefficients | expected at least 2 positions | ");
  EXPECT_EQ(complaint([] {
              pair_energy(matrix(2, {1, INFINITY, 3, 4}));
            }),
            "not_finite | coefficients | row 0, column 1 is inf, expected a finite number | ");
  const SequenceFunction nothing = [](ConstMatrixView<std::uint32_t>, std::span<double> values) {
    std::fill(values.begin(), values.end(), NAN);
  };
  const auto run = [&](std::size_t rows, std::size_t cols, std::size_t permutations) {
    return complaint([&] { function_energy(nothing, Matrix<std::uint32_t>(rows, cols), permutations, 1); });
  };
  EXPECT_EQ(run(1, 3, 2), "usage | sequences | 1 given, expected at least 2 | ");
  EXPECT_EQ(run(3, 1, 2), "usage | positions | 1 given, expected at least 2 | ");
  EXPECT_EQ(run(3, 3, 1), "usage | permutations | 1 given, expected at least 2 | ");
  EXPECT_THAT(run(3, 3, 2),
              HasSubstr("not_finite | sequence 0 | the function is nan at one of its orders | "));
}

}  // namespace
}  // namespace telos::symmetry
