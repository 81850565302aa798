#include "telos/linalg/cholesky.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "telos/base/error.h"
#include "telos/base/philox.h"

namespace telos {
namespace {

Matrix<double> random_matrix(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  Random random(seed);
  Matrix<double> m(rows, cols);
  for (std::size_t i = 0; i < m.size(); ++i) m.data()[i] = random.normal();
  return m;
}

/// X Xᵀ + I; what is above the diagonal is NaN.
Matrix<double> positive_definite(std::size_t n, std::uint64_t seed) {
  const Matrix<double> x = random_matrix(n, n, seed);
  Matrix<double> a(n, n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      a(i, j) = j > i ? std::numeric_limits<double>::quiet_NaN() : i == j ? 1 : 0;
      for (std::size_t k = 0; j <= i && k < n; ++k) a(i, j) += x(i, k) * x(j, k);
    }
  return a;
}

class CholeskyInPlace : public ::testing::TestWithParam<std::size_t> {};

TEST_P(CholeskyInPlace, FactorsAndSolves) {
  const std::size_t n = GetParam();
  const Arena arena(2), single(1);
  const Matrix<double> a = positive_definite(n, n);
  Matrix<double> l = a.copy(), again = a.copy();
  ASSERT_EQ(cholesky_in_place(l, 0, arena), n);
  ASSERT_EQ(cholesky_in_place(again, 0, single), n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      if (j > i) {
        EXPECT_TRUE(std::isnan(l(i, j)));
        continue;
      }
      EXPECT_EQ(l(i, j), again(i, j));
      double sum = 0;
      for (std::size_t k = 0; k <= j; ++k) sum += l(i, k) * l(j, k);
      EXPECT_NEAR(sum, a(i, j), 1e-12 * static_cast<double>(n) * std::sqrt(a(i, i) * a(j, j)));
    }
  Matrix<double> x = random_matrix(n, 3, 7);
  const Matrix<double> b = x.copy();
  solve_lower(l, x, arena);
  solve_lower_transposed(l, x, arena);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < 3; ++j) {
      double sum = 0;
      for (std::size_t k = 0; k < n; ++k) sum += (k <= i ? a(i, k) : a(k, i)) * x(k, j);
      EXPECT_NEAR(sum, b(i, j), 1e-9);
    }
}

INSTANTIATE_TEST_SUITE_P(Orders, CholeskyInPlace, ::testing::Values(1, 5, 128, 129, 300));

TEST(CholeskyInPlaceErrors, NamesTheFirstPivot) {
  const Arena arena(1);
  Matrix<double> a = positive_definite(200, 3);
  a(150, 150) = 0;
  EXPECT_EQ(cholesky_in_place(a.copy(), 0, arena), 150u);
  a = positive_definite(200, 3);
  EXPECT_EQ(cholesky_in_place(a.copy(), 1, arena),
            0u);  // the first pivot is its diagonal element, not above it
  a(20, 3) = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(cholesky_in_place(a.copy(), 0, arena), 20u);
  Matrix<double> wide(2, 3);
  EXPECT_THROW(cholesky_in_place(wide, 0, arena), Error);
  EXPECT_THROW(solve_lower(a, wide, arena), Error);
}

}  // namespace
}  // namespace telos
