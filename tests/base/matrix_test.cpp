#include "telos/base/matrix.h"

#include <gtest/gtest.h>

#include <complex>
#include <cstdint>
#include <limits>

namespace telos {
namespace {

TEST(Matrix, StartsAtZeroAlignedAndRowMajor) {
  Matrix<double> m(3, 5);
  EXPECT_EQ(m.size(), 15u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(m.data()) % 64, 0u);
  for (std::size_t i = 0; i < m.size(); ++i) EXPECT_EQ(m.data()[i], 0);
  m(2, 1) = 7;
  EXPECT_EQ(m.data()[2 * 5 + 1], 7);
  EXPECT_EQ(m.row(2)[1], 7);
}

TEST(Matrix, MovesLeaveAnEmptyMatrixAndCopiesAreDeep) {
  Matrix<std::complex<double>> a(2, 2);
  a(1, 1) = {1, 2};
  const Matrix<std::complex<double>> b = a.copy();
  a(1, 1) = 0;
  EXPECT_EQ(b(1, 1), std::complex<double>(1, 2));
  Matrix<std::complex<double>> c = std::move(a);
  EXPECT_EQ(c.rows(), 2u);
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): the moved-from state is what is tested
  c = Matrix<std::complex<double>>(0, 7);
  EXPECT_EQ(c.cols(), 7u);
  EXPECT_TRUE(c.empty());
}

TEST(Matrix, RefusesASizeThatOverflows) {
  EXPECT_THROW(Matrix<double>(std::numeric_limits<std::size_t>::max() / 4, 16), std::bad_array_new_length);
}

TEST(MatrixView, BlocksShareMemoryAndKeepTheStride) {
  Matrix<float> m(4, 6);
  const MatrixView<float> block = m.view().block(1, 2, 2, 3);
  EXPECT_EQ(block.rows(), 2u);
  EXPECT_EQ(block.cols(), 3u);
  EXPECT_EQ(block.stride(), 6u);
  block(1, 2) = 9;
  EXPECT_EQ(m(2, 4), 9);
  const ConstMatrixView<float> constant = block;
  EXPECT_EQ(constant(1, 2), 9);
  EXPECT_EQ(constant.row(1), m.row(2) + 2);
  EXPECT_TRUE(m.view().block(4, 6, 0, 0).empty());
}

}  // namespace
}  // namespace telos
