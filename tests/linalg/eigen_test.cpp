#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <vector>

#include "matrix_types.h"
#include "telos/base/arena.h"
#include "telos/linalg/decompositions.h"

#ifdef __SANITIZE_THREAD__
// OpenBLAS hands out its work buffers under a spin lock that ThreadSanitizer cannot see in a library built
// without it.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libopenblas\n";
}
#endif

namespace telos {
namespace {

using test::kEps;
using test::kMatrixTypes;
using test::kOrders;
using test::kThreshold;
using test::TypedMatrix;
using Complex = std::complex<double>;

Matrix<double> from_rows(std::initializer_list<std::initializer_list<double>> rows) {
  Matrix<double> a(rows.size(), rows.begin()->size());
  std::size_t i = 0;
  for (const auto& row : rows) std::copy(row.begin(), row.end(), a.row(i++));
  return a;
}

// A V − V W for right vectors; Aᵀ U − U conj(W) for left ones.
Matrix<Complex> eigen_residual(const Matrix<double>& a, const Matrix<Complex>& v,
                               const std::vector<Complex>& w) {
  const std::size_t n = a.rows();
  Matrix<Complex> r(n, n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      Complex sum = -v(i, j) * w[j];
      for (std::size_t p = 0; p < n; ++p) sum += a(i, p) * v(p, j);
      r(i, j) = sum;
    }
  return r;
}

void expect_unit_columns(const Matrix<Complex>& v) {
  for (std::size_t j = 0; j < v.cols(); ++j) {
    double norm = 0;
    for (std::size_t i = 0; i < v.rows(); ++i) norm += std::norm(v(i, j));
    EXPECT_LT(std::abs(std::sqrt(norm) - 1) / (static_cast<double>(v.rows()) * kEps), kThreshold);
  }
}

class EveryType : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Lapack, EveryType, testing::Range(1, kMatrixTypes + 1));

TEST_P(EveryType, GeneralEigenPassesTheRatiosOfLapack) {
  for (const std::size_t n : kOrders) {
    SCOPED_TRACE("n = " + std::to_string(n));
    const TypedMatrix typed = test::make_matrix(GetParam(), n);
    const Matrix<double> a = test::unscaled(typed);
    const GeneralEigen full = general_eigen(typed.scaled, {.condition = true, .vectors = true});
    ASSERT_EQ(full.values.size(), n);
    ASSERT_EQ(full.condition.size(), n);
    ASSERT_EQ(full.right.rows(), n);
    ASSERT_EQ(full.left.rows(), n);
    std::vector<Complex> w(n), conjugate(n);
    for (std::size_t i = 0; i < n; ++i) {
      w[i] = {std::ldexp(full.values[i].real(), -typed.exponent),
              std::ldexp(full.values[i].imag(), -typed.exponent)};
      conjugate[i] = std::conj(w[i]);
      EXPECT_GE(full.condition[i], 1);
    }
    const double norm = test::norm1(a);
    EXPECT_LT(test::ratio(eigen_residual(a, full.right, w), norm, n), kThreshold);
    EXPECT_LT(test::ratio(eigen_residual(test::transposed(a), full.left, conjugate), norm, n), kThreshold);
    expect_unit_columns(full.right);
    expect_unit_columns(full.left);
    // Complex pairs are adjacent, positive imaginary part first.
    for (std::size_t i = 0; i < n; ++i)
      if (w[i].imag() != 0) {
        ASSERT_LT(i + 1, n);
        EXPECT_GT(w[i].imag(), 0);
        EXPECT_EQ(w[i + 1], std::conj(w[i]));
        ++i;
      }
    EXPECT_EQ(general_eigen(typed.scaled, {.condition = true}).condition, full.condition);
    EXPECT_EQ(general_eigen(typed.scaled, {.vectors = true}).values, full.values);
    // Without vectors LAPACK may iterate on parts of the matrix only: equal up to a perturbation of n ‖A‖ ε.
    const std::vector<Complex> alone = general_eigen(typed.scaled).values;
    ASSERT_EQ(alone.size(), n);
    for (std::size_t i = 0; i < n; ++i) {
      double nearest = std::numeric_limits<double>::infinity();
      for (const Complex& value : alone) nearest = std::min(nearest, std::abs(value - full.values[i]));
      nearest = std::ldexp(nearest, -typed.exponent);
      EXPECT_TRUE(nearest == 0 ||
                  nearest <= kThreshold * static_cast<double>(n) * kEps * norm * full.condition[i])
          << "value " << i << " differs by " << nearest << ", condition " << full.condition[i];
    }
  }
}

TEST_P(EveryType, SymmetricEigenPassesTheRatiosOfLapack) {
  for (const std::size_t n : kOrders) {
    SCOPED_TRACE("n = " + std::to_string(n));
    TypedMatrix typed = test::make_matrix(GetParam(), n);
    Matrix<double> symmetric = typed.scaled.copy();
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) symmetric(i, j) = typed.scaled(i, j) / 2 + typed.scaled(j, i) / 2;
    typed.scaled = std::move(symmetric);
    const Matrix<double> a = test::unscaled(typed);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j)
        typed.scaled(i, j) = std::nan("");  // only the lower triangle is read

    const SymmetricEigen e = symmetric_eigen(typed.scaled, true);
    ASSERT_EQ(e.values.size(), n);
    ASSERT_EQ(e.vectors.rows(), n);
    EXPECT_TRUE(std::is_sorted(e.values.begin(), e.values.end()));
    Matrix<double> residual = test::plain_product(a, e.vectors);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        residual(i, j) -= e.vectors(i, j) * std::ldexp(e.values[j], -typed.exponent);
    EXPECT_LT(test::ratio(residual, test::norm1(a), n), kThreshold);
    EXPECT_LT(test::orthogonality(e.vectors), kThreshold);
    const std::vector<double> alone = symmetric_eigen(typed.scaled).values;
    for (std::size_t i = 0; i < n; ++i)
      EXPECT_LE(std::abs(std::ldexp(alone[i] - e.values[i], -typed.exponent)),
                kThreshold * static_cast<double>(n) * kEps * test::norm1(a));
  }
}

void expect_values(std::vector<Complex> found, std::vector<Complex> expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (const Complex& e : expected) {
    const auto nearest = std::min_element(
        found.begin(), found.end(),
        [&](const Complex& x, const Complex& y) { return std::abs(x - e) < std::abs(y - e); });
    EXPECT_LE(std::abs(*nearest - e), tolerance) << e << ", nearest " << *nearest;
    found.erase(nearest);
  }
}

TEST(GeneralEigen, FrankMatrix) {
  const std::size_t n = 8;
  Matrix<double> a(n, n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i == 0 ? 0 : i - 1; j < n; ++j) a(i, j) = static_cast<double>(n - std::max(i, j));
  const GeneralEigen e = general_eigen(a, {.condition = true});
  const double worst = *std::max_element(e.condition.begin(), e.condition.end());
  EXPECT_GT(worst, 100);  // the small eigenvalues are ill-conditioned
  // The digits below are rounded to 1e-10; the error is at most condition · n ‖A‖ ε.
  expect_values(e.values,
                {19.1249837519, 9.7513773874, 4.4536601563, 1.7036225668, .5869844762, .22453442, .1025496153,
                 .0522876261},
                5e-10 + worst * static_cast<double>(n) * test::norm1(a) * kEps);
  Complex determinant = 1;
  for (const Complex& w : e.values) determinant *= w;
  EXPECT_NEAR(determinant.real(), 1.0, 1e-9);
}

TEST(GeneralEigen, CompanionOfOneToFour) {
  const Matrix<double> a = from_rows({{10, -35, 50, -24}, {1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}});
  const GeneralEigen e = general_eigen(a, {.condition = true});
  const double worst = *std::max_element(e.condition.begin(), e.condition.end());
  expect_values(e.values, {1, 2, 3, 4}, worst * 4 * test::norm1(a) * kEps);
}

TEST(GeneralEigen, JordanShiftWithTinyCornerIsBalanced) {
  Matrix<double> a(6, 6);
  for (std::size_t i = 0; i + 1 < 6; ++i) a(i, i + 1) = 1;
  a(5, 0) = 1e-6;
  // Balancing turns it into a multiple of the cyclic shift, whose eigenvalues are perfectly conditioned.
  for (const Complex& w : general_eigen(a).values) EXPECT_NEAR(std::abs(w), 0.1, kThreshold * 6 * kEps);
}

TEST(GeneralEigen, CyclicShiftHasTheRootsOfUnity) {
  Matrix<double> a(5, 5);
  std::vector<Complex> roots;
  for (std::size_t i = 0; i < 5; ++i) {
    a(i, (i + 1) % 5) = 1;
    roots.push_back(std::polar(1.0, 2 * std::numbers::pi * static_cast<double>(i) / 5));
  }
  const GeneralEigen e = general_eigen(a, {.condition = true});
  expect_values(e.values, roots, kThreshold * 5 * kEps);
  for (const double c : e.condition) EXPECT_NEAR(c, 1, kThreshold * 5 * kEps);  // a normal matrix
}

TEST(GeneralEigen, ZeroOneByOneAndTriangular) {
  expect_values(general_eigen(Matrix<double>(3, 3)).values, {0, 0, 0}, 0);
  const GeneralEigen one = general_eigen(from_rows({{-2.5}}), {.condition = true, .vectors = true});
  expect_values(one.values, {-2.5}, 0);
  EXPECT_EQ(one.condition.at(0), 1);
  EXPECT_EQ(std::abs(one.right(0, 0)), 1);
  expect_values(general_eigen(from_rows({{1, 5, 6}, {0, 2, 7}, {0, 0, 3}})).values, {1, 2, 3}, 0);
  EXPECT_TRUE(general_eigen(Matrix<double>(0, 0), {.condition = true, .vectors = true}).values.empty());
}

TEST(GeneralEigen, ConditionIsThatOfTheMatrixItself) {
  // [[1, c], [0, 2]]: unit vectors x = (1, 0), y ∝ (1, −c) for λ = 1, so 1/|yᴴx| = √(1 + c²).
  const Matrix<double> a = from_rows({{1, 1000}, {0, 2}});
  const GeneralEigen e = general_eigen(a, {.condition = true});
  for (const double c : e.condition) EXPECT_NEAR(c, std::sqrt(1 + 1e6), 1e-9);
  // Also when balancing has scaled the matrix: the corner of the shift above, not its balanced form.
  const Matrix<double> shift = from_rows({{0, 1}, {1e-8, 0}});  // x ∝ (1, ±1e-4), y ∝ (±1e-4, 1)
  for (const double c : general_eigen(shift, {.condition = true}).condition)
    EXPECT_NEAR(c, (1 + 1e-8) / 2e-4, 1e-6);
}

TEST(GeneralEigen, MayRunInManyThreadsAtOnce) {
  const std::size_t count = 24;
  std::vector<Matrix<double>> inputs;
  for (std::size_t i = 0; i < count; ++i) inputs.push_back(test::random_matrix<double>(40, 40, i));
  std::vector<GeneralEigen> at_once(count);
  std::vector<Svd> factors(count);
  Arena(7).parallel_for(count, [&](std::size_t i) {
    at_once[i] = general_eigen(inputs[i], {.condition = true});
    factors[i] = svd(inputs[i]);
  });
  for (std::size_t i = 0; i < count; ++i) {
    const GeneralEigen alone = general_eigen(inputs[i], {.condition = true});
    EXPECT_EQ(at_once[i].values, alone.values);
    EXPECT_EQ(at_once[i].condition, alone.condition);
    EXPECT_EQ(factors[i].s, svd(inputs[i]).s);
  }
}

TEST(SymmetricEigen, KnownValuesAndViews) {
  Matrix<double> big = test::random_matrix<double>(6, 7, 1);
  MatrixView<double> a = big.view().block(2, 3, 2, 2);
  a(0, 0) = 2, a(1, 0) = 1, a(1, 1) = 2;
  const SymmetricEigen e = symmetric_eigen(a, true);
  EXPECT_NEAR(e.values[0], 1, kThreshold * kEps);
  EXPECT_NEAR(e.values[1], 3, kThreshold * kEps);
  EXPECT_NEAR(std::abs(e.vectors(0, 1) + e.vectors(1, 1)), std::sqrt(2.0), kThreshold * kEps);
  EXPECT_TRUE(symmetric_eigen(a).vectors.empty());
}

// Many short calls of different orders: what a BLAS without locks gets wrong it gets wrong rarely.
TEST(SymmetricEigen, MayRunInManyThreadsAtOnce) {
  constexpr std::size_t kMixed[] = {21, 40, 35, 60, 105, 15, 126, 9}, kCalls = 4000;
  std::vector<Matrix<double>> inputs;
  std::vector<std::vector<double>> alone, with_vectors;
  for (const std::size_t n : kMixed) {
    Matrix<double> a = test::random_matrix<double>(n, n, n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) a(j, i) = a(i, j);
    alone.push_back(symmetric_eigen(a).values);
    with_vectors.push_back(symmetric_eigen(a, true).values);
    inputs.push_back(std::move(a));
  }
  std::vector<int> same(kCalls);
  Arena(3).parallel_for(kCalls, [&](std::size_t i) {
    const std::size_t k = i % inputs.size();
    const bool vectors = i % 3 == 0;
    same[i] = symmetric_eigen(inputs[k], vectors).values == (vectors ? with_vectors : alone)[k];
  });
  EXPECT_EQ(std::count(same.begin(), same.end(), 1), static_cast<std::ptrdiff_t>(kCalls));
}

}  // namespace
}  // namespace telos
