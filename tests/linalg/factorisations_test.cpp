#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "matrix_types.h"
#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"

namespace telos {
namespace {

using test::kEps;
using test::kMatrixTypes;
using test::kOrders;
using test::kThreshold;
using test::norm1;
using test::plain_product;
using test::transposed;
using test::TypedMatrix;

Matrix<double> difference(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> d(a.rows(), a.cols());
  for (std::size_t i = 0; i < a.size(); ++i) d.data()[i] = a.data()[i] - b.data()[i];
  return d;
}

Matrix<double> columns(const Matrix<double>& a, std::size_t count) {
  Matrix<double> c(a.rows(), count);
  for (std::size_t i = 0; i < a.rows(); ++i) std::copy_n(a.row(i), count, c.row(i));
  return c;
}

class EveryType : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Lapack, EveryType, testing::Range(1, kMatrixTypes + 1));

TEST_P(EveryType, SvdOfTallSquareAndWide) {
  for (const std::size_t n : kOrders)
    for (const int shape : {0, 1, 2}) {
      SCOPED_TRACE("n = " + std::to_string(n) + ", shape " + std::to_string(shape));
      TypedMatrix typed = test::make_matrix(GetParam(), n);
      if (shape > 0) typed.scaled = columns(typed.scaled, n / 2);
      if (shape == 2) typed.scaled = transposed(typed.scaled);
      const Matrix<double> a = test::unscaled(typed);
      const Svd f = svd(typed.scaled);
      const std::size_t r = std::min(a.rows(), a.cols());
      ASSERT_EQ(f.s.size(), r);
      ASSERT_EQ(f.u.cols(), r);
      ASSERT_EQ(f.v.cols(), r);
      EXPECT_TRUE(std::is_sorted(f.s.rbegin(), f.s.rend()));
      Matrix<double> us = f.u.copy();
      for (std::size_t i = 0; i < us.rows(); ++i)
        for (std::size_t j = 0; j < r; ++j) us(i, j) *= std::ldexp(f.s[j], -typed.exponent);
      EXPECT_LT(test::ratio(difference(a, plain_product(us, transposed(f.v))), norm1(a), n), kThreshold);
      EXPECT_LT(test::orthogonality(f.u), kThreshold);
      EXPECT_LT(test::orthogonality(f.v), kThreshold);
      const std::vector<double> alone = singular_values(typed.scaled);
      ASSERT_EQ(alone.size(), r);
      for (std::size_t i = 0; i < r; ++i) {
        EXPECT_GE(alone[i], 0);
        EXPECT_LE(std::abs(alone[i] - f.s[i]), kThreshold * static_cast<double>(n) * kEps * f.s[0]);
      }
      EXPECT_EQ(spectral_norm(typed.scaled), r == 0 ? 0 : alone[0]);
      double sum = 0;
      for (const double s : f.s) sum += std::ldexp(s, -typed.exponent) * std::ldexp(s, -typed.exponent);
      EXPECT_NEAR(std::ldexp(frobenius_norm(typed.scaled), -typed.exponent), std::sqrt(sum),
                  kThreshold * static_cast<double>(n) * kEps * std::sqrt(sum));
    }
}

TEST_P(EveryType, QrOfSquareAndTall) {
  for (const std::size_t n : kOrders)
    for (const bool tall : {false, true}) {
      SCOPED_TRACE("n = " + std::to_string(n) + (tall ? ", tall" : ""));
      TypedMatrix typed = test::make_matrix(GetParam(), n);
      if (tall) typed.scaled = columns(typed.scaled, n / 3);
      const Matrix<double> a = test::unscaled(typed);
      Qr f = qr(typed.scaled);
      for (std::size_t i = 0; i < f.r.rows(); ++i) {
        EXPECT_GE(f.r(i, i), 0);
        for (std::size_t j = 0; j < i; ++j) EXPECT_EQ(f.r(i, j), 0);
      }
      for (std::size_t i = 0; i < f.r.size(); ++i) f.r.data()[i] = std::ldexp(f.r.data()[i], -typed.exponent);
      EXPECT_LT(test::ratio(difference(a, plain_product(f.q, f.r)), norm1(a), n), kThreshold);
      EXPECT_LT(test::orthogonality(f.q), kThreshold);
    }
}

TEST_P(EveryType, CholeskyOfAGramMatrix) {
  for (const std::size_t n : kOrders) {
    SCOPED_TRACE("n = " + std::to_string(n));
    // BᵀB/‖B‖² + 10 n ε I: positive definite also after rounding, condition up to 1/(10 n ε).
    const Matrix<double> b = test::unscaled(test::make_matrix(GetParam(), n));
    Matrix<double> a = plain_product(transposed(b), b);
    const double norm = norm1(a);
    for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] /= norm > 0 ? norm : 1;
    for (std::size_t i = 0; i < n; ++i) a(i, i) += norm > 0 ? 10 * static_cast<double>(n) * kEps : 1;
    const Matrix<double> whole = a.copy();
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j) a(i, j) = std::nan("");  // only the lower triangle is read
    const Matrix<double> l = cholesky(a);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j) EXPECT_EQ(l(i, j), 0);
    EXPECT_LT(test::ratio(difference(whole, plain_product(l, transposed(l))), norm1(whole), n), kThreshold);
    const double rcond = cholesky_rcond(l, norm1(whole));
    EXPECT_GT(rcond, 0);
    EXPECT_LE(rcond, 1 + 1e-12);
  }
}

TEST_P(EveryType, SolveIsBackwardStable) {
  for (const std::size_t n : kOrders) {
    SCOPED_TRACE("n = " + std::to_string(n));
    const Matrix<double> a = test::unscaled(test::make_matrix(GetParam(), n));
    const Matrix<double> b = test::random_matrix<double>(n, 3, 5);
    // A row of zeros is exactly singular; rounding may make others so whose smallest singular value is of the
    // order of ε.
    const bool singular = n > 0 && (GetParam() == 1 || (GetParam() >= 19 && n >= 4));
    Matrix<double> x;
    try {
      x = solve(a, b);
      EXPECT_FALSE(singular);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kNoConvergence);
      EXPECT_THAT(e.what(), testing::HasSubstr("solve: the matrix is singular: pivot"));
      const std::vector<double> s = singular_values(a);
      EXPECT_LE(s.back(), kThreshold * static_cast<double>(n) * kEps * s.front());
      continue;
    }
    ASSERT_EQ(x.rows(), n);
    ASSERT_EQ(x.cols(), 3u);
    EXPECT_LT(test::ratio(difference(b, plain_product(a, x)), norm1(a) * norm1(x), n), kThreshold);
  }
}

TEST(Cholesky, NamesThePivotThatIsNotPositive) {
  Matrix<double> a(3, 3);
  a(0, 0) = 1, a(1, 1) = 1, a(2, 2) = -1;
  try {
    cholesky(a);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kNoConvergence);
    EXPECT_THAT(e.what(), testing::HasSubstr("not positive definite: pivot 3 of 3"));
    EXPECT_THAT(e.hint(), testing::HasSubstr("jitter"));
  }
}

TEST(Cholesky, ConditionOfADiagonal) {
  Matrix<double> a(2, 2);
  a(0, 0) = 4, a(1, 1) = 1;
  const Matrix<double> l = cholesky(a);
  EXPECT_EQ(l(0, 0), 2);
  EXPECT_NEAR(cholesky_rcond(l, 4), 0.25, 4 * kEps);
  EXPECT_EQ(cholesky_rcond(Matrix<double>(0, 0), 0), 1);
  EXPECT_THROW(cholesky_rcond(l, std::nan("")), Error);
  EXPECT_THROW(cholesky_rcond(l, -1), Error);
}

TEST(FrobeniusNorm, NeitherOverflowsNorUnderflows) {
  const double big = std::numeric_limits<double>::max(), tiny = std::numeric_limits<double>::denorm_min();
  Matrix<double> a(2, 2);
  EXPECT_EQ(frobenius_norm(a), 0);
  a(0, 1) = 3e300, a(1, 0) = -4e300;
  EXPECT_NEAR(frobenius_norm(a) / 5e300, 1, 4 * kEps);
  a(0, 1) = big, a(1, 0) = 0;
  EXPECT_EQ(frobenius_norm(a), big);
  a(0, 1) = 3 * tiny, a(1, 0) = 4 * tiny;
  EXPECT_EQ(frobenius_norm(a), 5 * tiny);
}

TEST(Decompositions, RefuseNotFiniteInputShapesAndSizes) {
  const auto kind_of = [](auto f) {
    try {
      f();
    } catch (const Error& e) {
      return e.kind();
    }
    return ErrorKind::kInternal;
  };
  const Matrix<double> good = test::random_matrix<double>(3, 3, 1), wide(2, 3);
  for (const double bad_value :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity()}) {
    Matrix<double> bad = good.copy();
    bad(2, 1) = bad_value;
    EXPECT_EQ(kind_of([&] { symmetric_eigen(bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { general_eigen(bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { singular_values(bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { svd(bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { cholesky(bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { cholesky_rcond(bad, 1); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { qr(bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { solve(bad, good); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { solve(good, bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { spectral_norm(bad); }), ErrorKind::kNotFinite);
    EXPECT_EQ(kind_of([&] { frobenius_norm(bad); }), ErrorKind::kNotFinite);
  }
  EXPECT_EQ(kind_of([&] { symmetric_eigen(wide); }), ErrorKind::kShape);
  EXPECT_EQ(kind_of([&] { general_eigen(wide); }), ErrorKind::kShape);
  EXPECT_EQ(kind_of([&] { cholesky(wide); }), ErrorKind::kShape);
  EXPECT_EQ(kind_of([&] { qr(wide); }), ErrorKind::kShape);
  EXPECT_EQ(kind_of([&] { solve(wide, wide); }), ErrorKind::kShape);
  EXPECT_EQ(kind_of([&] { solve(good, wide); }), ErrorKind::kShape);
  const double one = 1;
  const ConstMatrixView<double> huge(&one, 40000, 40000, 0);  // refused before it is read
  EXPECT_EQ(kind_of([&] { symmetric_eigen(huge); }), ErrorKind::kLimit);
  EXPECT_EQ(kind_of([&] { general_eigen(huge); }), ErrorKind::kLimit);
  EXPECT_EQ(kind_of([&] { svd(huge); }), ErrorKind::kLimit);
  EXPECT_EQ(kind_of([&] { cholesky(huge); }), ErrorKind::kLimit);
  EXPECT_EQ(kind_of([&] { qr(huge); }), ErrorKind::kLimit);
  EXPECT_EQ(kind_of([&] { solve(huge, good); }), ErrorKind::kLimit);
}

TEST(Decompositions, NotFiniteErrorNamesTheElement) {
  Matrix<double> a(2, 3);
  a(1, 2) = std::nan("");
  try {
    svd(a);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "svd: element (1, 2) of the 2x3 matrix is NaN");
  }
}

TEST(Decompositions, EmptyShapes) {
  const Svd f = svd(Matrix<double>(3, 0));
  EXPECT_TRUE(f.s.empty());
  EXPECT_EQ(f.u.rows(), 3u);
  EXPECT_EQ(f.u.cols(), 0u);
  EXPECT_EQ(f.v.rows(), 0u);
  EXPECT_EQ(qr(Matrix<double>(3, 0)).q.rows(), 3u);
  EXPECT_EQ(solve(Matrix<double>(2, 2), Matrix<double>(2, 0)).rows(), 2u);
}

TEST(Decompositions, VendorIsNamed) {
  EXPECT_THAT(lapack_vendor(), testing::HasSubstr(" "));
}

}  // namespace
}  // namespace telos
