#include "telos/symmetry/gpr.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "learning_checks.h"
#include "telos/symmetry/simplified_gram.h"

namespace telos::symmetry {
namespace {

using namespace checks;
namespace slow = reference::symmetry;

slow::Rows rows_of(const Matrix<double>& m) {
  slow::Rows rows;
  for (std::size_t i = 0; i < m.rows(); ++i) rows.emplace_back(m.row(i), m.row(i) + m.cols());
  return rows;
}

std::vector<double> column_of(const Matrix<double>& m, std::size_t j) {
  std::vector<double> column;
  for (std::size_t i = 0; i < m.rows(); ++i) column.push_back(m(i, j));
  return column;
}

// ---- The simplified block's kernel

TEST(SimplifiedGram, IsTheSumOverPairsOfPositions) {
  const Arena arena(2), single(1);
  const struct {
    std::size_t length;
    std::uint32_t letters;
    bool query;
  } cases[] = {{3, 3, false}, {17, 4, false}, {40, 300, false}, {9, 1, false}, {6, 4, true}, {20, 700, true}};
  for (const auto& c : cases) {
    const SimplifiedBlock block{.token = 1.3, .position = 0.4, .query = c.query};
    const auto x = random_sequences(150, c.length + c.query, c.letters, 1);
    const auto y = random_sequences(70, c.length + c.query, c.letters, 2);
    const Matrix<double> own = simplified_gram(block, x, c.letters, arena),
                         again = simplified_gram(block, x, c.letters, single),
                         cross = simplified_gram(block, x, y, c.letters, arena);
    const std::vector<double> diagonal = simplified_diagonal(block, x, c.letters);
    for (std::size_t i = 0; i < x.rows(); ++i) {
      for (std::size_t j = 0; j < x.rows(); ++j) {
        const double k = slow::simplified_kernel(sequence_of(x, i), sequence_of(x, j), 1.3, 0.4, c.query);
        EXPECT_NEAR(own(i, j), k, 1e-13 * (1 + k));
        EXPECT_EQ(own(i, j), again(i, j));
        EXPECT_EQ(own(i, j), own(j, i));
      }
      for (std::size_t j = 0; j < y.rows(); ++j) {
        const double k = slow::simplified_kernel(sequence_of(x, i), sequence_of(y, j), 1.3, 0.4, c.query);
        EXPECT_NEAR(cross(i, j), k, 1e-13 * (1 + k));
      }
      EXPECT_NEAR(diagonal[i], own(i, i), 1e-13 * own(i, i));
    }
  }
}

TEST(SimplifiedGram, CountsMatchesInLongSequences) {
  const Arena arena(1);
  const SimplifiedBlock block{.token = 1, .position = 1};
  const std::size_t length = 10'000;  // more than lanes of 8 bits hold
  Matrix<std::uint32_t> x(2, length);
  for (std::size_t b = 0; b < length; ++b) x(1, b) = b < 6000 ? 0 : 1;
  const double l2 = static_cast<double>(length) * static_cast<double>(length);
  EXPECT_NEAR(simplified_gram(block, x, 2, arena)(0, 1), (6000.0 * 10'000 + 2 * 6000.0 + 10'000) / l2, 1e-12);
}

TEST(SimplifiedGram, DoesNotChangeWhenBothArePermuted) {
  const Arena arena(1);
  auto x = random_sequences(5, 12, 4, 3);
  const Matrix<double> before = simplified_gram({}, x, 4, arena);
  for (std::size_t i = 0; i < x.rows(); ++i) std::rotate(x.row(i), x.row(i) + 5, x.row(i) + 12);
  const Matrix<double> after = simplified_gram({}, x, 4, arena);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(before.data()[i], after.data()[i], 1e-14);
}

TEST(SimplifiedGram, RefusesWhatIsNoSequence) {
  const Arena arena(1);
  const auto x = random_sequences(4, 6, 4, 5), longer = random_sequences(4, 7, 4, 5);
  expect_error([&] { simplified_gram({}, x, 3, arena); }, ErrorKind::kBadFormat, "expected one below 3");
  expect_error([&] { simplified_gram({}, Matrix<std::uint32_t>(3, 0), 3, arena); }, ErrorKind::kUsage,
               "empty sequence");
  expect_error([&] { simplified_gram({.query = true}, Matrix<std::uint32_t>(3, 1), 3, arena); },
               ErrorKind::kUsage, "empty sequence");
  expect_error([&] { simplified_gram({}, x, longer, 4, arena); }, ErrorKind::kShape, "one length");
  expect_error([&] { simplified_gram({.token = -1}, x, 4, arena); }, ErrorKind::kUsage, "found -1");
  expect_error([&] { simplified_gram({}, x, 0, arena); }, ErrorKind::kUsage, "found 0");
}

// ---- Regression

TEST(GaussianProcessRegression, IsThatOfTheReference) {
  const Arena arena(2);
  const std::size_t n = 180, tests = 20;
  const auto x = random_sequences(n, 8, 4, 6), t = random_sequences(tests, 8, 4, 7);
  const Matrix<double> gram = simplified_gram({}, x, 4, arena), cross = simplified_gram({}, t, x, 4, arena);
  const std::vector<double> prior = simplified_diagonal({}, t, 4);
  const Matrix<double> y = random_normals(n, 2, 8);
  const double ridge = 0.05;
  const GaussianProcess process(gram.copy(), ridge, arena);
  const Matrix<double> alpha = process.weights(y, arena), means = predict(cross, alpha, arena);
  const std::vector<double> evidence = process.log_evidence(y, alpha),
                            variance = process.variances(cross, prior, arena);
  slow::Rows shifted = rows_of(gram);
  for (std::size_t i = 0; i < n; ++i) shifted[i][i] += ridge;
  const double log_det = slow::log_determinant(shifted);
  EXPECT_NEAR(process.log_determinant(), log_det, 1e-9 * std::abs(log_det));
  for (std::size_t j = 0; j < 2; ++j) {
    const std::vector<double> known = slow::ridge_weights(rows_of(gram), ridge, column_of(y, j));
    double quadratic = 0;
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(alpha(i, j), known[i], 1e-9);
      quadratic += known[i] * y(i, j);
    }
    EXPECT_NEAR(evidence[j],
                -(quadratic + log_det + static_cast<double>(n) * std::log(2 * std::numbers::pi)) / 2, 1e-7);
  }
  for (std::size_t i = 0; i < tests; ++i) {
    const std::vector<double> k(cross.row(i), cross.row(i) + n),
        solved = slow::ridge_weights(rows_of(gram), ridge, k);
    double left = prior[i];
    for (std::size_t p = 0; p < n; ++p) left -= k[p] * solved[p];
    EXPECT_NEAR(variance[i], left, 1e-9);
    EXPECT_GT(variance[i], 0);
  }
  const std::vector<LinearFunction> f = simplified_mean({}, x, 4, alpha);
  for (std::size_t i = 0; i < tests; ++i)
    for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(f[j]({t.row(i), 8}), means(i, j), 1e-10);
}

TEST(GaussianProcessRegression, InterpolatesWithoutRidge) {
  const Arena arena(1);
  const auto x = random_sequences(10, 8, 4, 9);
  const Matrix<double> gram = simplified_gram({}, x, 4, arena), y = random_normals(10, 1, 10);
  const GaussianProcess process(gram.copy(), 0, arena);
  const Matrix<double> means = predict(gram, process.weights(y, arena), arena);
  for (std::size_t i = 0; i < 10; ++i) EXPECT_NEAR(means(i, 0), y(i, 0), 1e-9);
}

TEST(GaussianProcessRegression, NamesDuplicatesAndTheRemedy) {
  const Arena arena(1);
  auto x = random_sequences(10, 8, 4, 9);
  std::copy_n(x.row(2), 8, x.row(7));
  Matrix<double> gram = simplified_gram({}, x, 4, arena);
  expect_error([&] { GaussianProcess(gram.copy(), 0, arena); }, ErrorKind::kNoConvergence,
               "samples 2 and 7 are the same");
  expect_error([&] { GaussianProcess(gram.copy(), 0, arena); }, ErrorKind::kNoConvergence, "ridge above");
  EXPECT_NO_THROW(GaussianProcess(gram.copy(), 1e-6, arena));
  // More samples than there are functions: 1 + 3 + 21 of them.
  const auto many = random_sequences(60, 8, 4, 11);
  gram = simplified_gram({}, many, 4, arena);
  expect_error([&] { GaussianProcess(gram.copy(), 0, arena); }, ErrorKind::kNoConvergence,
               "smallest eigenvalue");
  expect_error([&] { GaussianProcess(gram.copy(), -1, arena); }, ErrorKind::kUsage, "found -1");
  gram(3, 4) = std::numeric_limits<double>::quiet_NaN();
  expect_error([&] { GaussianProcess(gram.copy(), 1, arena); }, ErrorKind::kNotFinite, "(3, 4)");
  expect_error([&] { GaussianProcess(Matrix<double>(), 1, arena); }, ErrorKind::kUsage, "no sample");
}

TEST(GaussianProcessRegression, SaysWhichEigenvalueIsNegative) {
  const Arena arena(1);
  Matrix<double> gram(2, 2);
  gram(0, 0) = gram(1, 1) = 1;
  gram(0, 1) = gram(1, 0) = 2;
  expect_error([&] { GaussianProcess(gram.copy(), 0.5, arena); }, ErrorKind::kNoConvergence,
               "its smallest eigenvalue is -1 ");
}

}  // namespace
}  // namespace telos::symmetry
