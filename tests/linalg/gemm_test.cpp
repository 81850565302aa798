#include "telos/linalg/gemm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "support.h"
#include "telos/base/error.h"
#include "telos/linalg/vecmath.h"

namespace telos {
namespace {

using test::for_each_target;
using test::random_matrix;
using test::same_bits;

// A view inside a larger buffer whose other elements hold a sentinel: strides, and writes outside the view.
template <class T>
class Guarded {
 public:
  static constexpr std::size_t kMargin = 5;
  Guarded(std::size_t rows, std::size_t cols, std::uint64_t seed)
      : rows_(rows), cols_(cols), buffer_(rows + 2 * kMargin, cols + 2 * kMargin) {
    std::fill_n(buffer_.data(), buffer_.size(), kSentinel);
    Random random(seed);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < cols; ++j) view()(i, j) = static_cast<T>(random.normal());
  }
  MatrixView<T> view() { return buffer_.view().block(kMargin, kMargin, rows_, cols_); }
  ConstMatrixView<T> view() const { return buffer_.view().block(kMargin, kMargin, rows_, cols_); }
  bool intact() const {
    for (std::size_t i = 0; i < buffer_.rows(); ++i)
      for (std::size_t j = 0; j < buffer_.cols(); ++j) {
        const bool inside = i >= kMargin && i < kMargin + rows_ && j >= kMargin && j < kMargin + cols_;
        if (!inside && buffer_(i, j) != kSentinel) return false;
      }
    return true;
  }

 private:
  static constexpr T kSentinel = T(-12345.5);
  std::size_t rows_, cols_;
  Matrix<T> buffer_;
};

// The contract of gemm.h in plain loops.
template <class T, class Sum = T>
Sum oracle(Op op_a, Op op_b, ConstMatrixView<T> a, ConstMatrixView<T> b, std::size_t i, std::size_t j) {
  const std::size_t k = op_a == Op::kPlain ? a.cols() : a.rows();
  Sum total = 0;
  for (std::size_t begin = 0; begin < k; begin += 256) {
    T block = 0;
    for (std::size_t p = begin; p < std::min(k, begin + 256); ++p)
      block = std::fma(op_a == Op::kPlain ? a(i, p) : a(p, i), op_b == Op::kPlain ? b(p, j) : b(j, p), block);
    total = begin == 0 ? Sum{block} : total + Sum{block};
  }
  return total;
}

struct Shape {
  std::size_t m, n, k;
};

// Edges of tiles (6, 12), panels (8, 16, 32), blocks of k (256) and blocks of rows (132), and the empty sums.
const Shape kShapes[] = {{1, 1, 1},     {1, 1, 0},     {3, 5, 0},     {2, 3, 5},     {5, 33, 7},
                         {6, 16, 64},   {7, 17, 31},   {8, 64, 64},   {12, 32, 256}, {13, 31, 257},
                         {11, 15, 300}, {25, 49, 255}, {26, 100, 20}, {37, 96, 513}, {133, 47, 40},
                         {140, 65, 12}, {1, 40, 700},  {24, 31, 3}};

template <class T>
class GemmTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(GemmTest, Types);

TYPED_TEST(GemmTest, EqualsTheScalarOracleToTheBitOnEveryTarget) {
  using T = TypeParam;
  const Arena arena(1);
  for (const Shape& s : kShapes)
    for (const Op op_a : {Op::kPlain, Op::kTransposed})
      for (const Op op_b : {Op::kPlain, Op::kTransposed}) {
        SCOPED_TRACE(testing::Message()
                     << s.m << "x" << s.n << "x" << s.k << (op_a == Op::kPlain ? " N" : " T")
                     << (op_b == Op::kPlain ? "N" : "T"));
        const Guarded<T> a(op_a == Op::kPlain ? s.m : s.k, op_a == Op::kPlain ? s.k : s.m, 1);
        const Guarded<T> b(op_b == Op::kPlain ? s.k : s.n, op_b == Op::kPlain ? s.n : s.k, 2);
        Matrix<T> expected(s.m, s.n);
        for (std::size_t i = 0; i < s.m; ++i)
          for (std::size_t j = 0; j < s.n; ++j)
            expected(i, j) = oracle<T>(op_a, op_b, a.view(), b.view(), i, j);
        for (const auto& [alpha, beta] :
             {std::pair{T(1), T(0)}, {T(1), T(1)}, {T(-0.3), T(0)}, {T(0.7), T(-1.3)}})
          for_each_target([&, alpha = alpha, beta = beta] {
            Guarded<T> c(s.m, s.n, 3);
            const Guarded<T> before(s.m, s.n, 3);
            gemm<T>(op_a, op_b, alpha, a.view(), b.view(), beta, c.view(), arena);
            EXPECT_TRUE(c.intact());
            for (std::size_t i = 0; i < s.m; ++i)
              for (std::size_t j = 0; j < s.n; ++j) {
                const T product = alpha == T(1) ? expected(i, j) : alpha * expected(i, j);
                const T want = beta == T(0) ? product : std::fma(beta, before.view()(i, j), product);
                ASSERT_TRUE(same_bits(want, c.view()(i, j)))
                    << "(" << i << ", " << j << "): " << want << " and " << c.view()(i, j);
              }
          });
      }
}

TYPED_TEST(GemmTest, PackedProductHasTheBitsOfGemmAndItsEpilogueThoseOfTheElementwiseFunctions) {
  using T = TypeParam;
  const Arena arena(1);
  for (const Shape& s : {Shape{5, 33, 7}, Shape{13, 40, 300}, Shape{30, 96, 64}, Shape{3, 8, 600}})
    for (const Op op_b : {Op::kPlain, Op::kTransposed})
      for (const Activation activation : {Activation::kNone, Activation::kRelu, Activation::kGeluErf,
                                          Activation::kGeluTanh, Activation::kQuickGelu, Activation::kSilu})
        for_each_target([&] {
          SCOPED_TRACE(testing::Message()
                       << s.m << "x" << s.n << "x" << s.k << " " << static_cast<int>(activation));
          const Guarded<T> a(s.m, s.k, 1);
          const Guarded<T> b(op_b == Op::kPlain ? s.k : s.n, op_b == Op::kPlain ? s.n : s.k, 2);
          const Guarded<T> bias(1, s.n, 4);
          Guarded<T> c(s.m, s.n, 3);
          const Guarded<T> residual(s.m, s.n, 3);  // equal to c: the product is added to C in place
          const PackedMatrix<T> packed(op_b, b.view());
          EXPECT_EQ(packed.rows(), s.k);
          EXPECT_EQ(packed.cols(), s.n);
          Epilogue<T> epilogue;
          epilogue.bias = {bias.view().row(0), s.n};
          epilogue.activation = activation;
          epilogue.residual = c.view();
          gemm_packed<T>(a.view(), packed, epilogue, c.view(), arena);
          EXPECT_TRUE(c.intact());

          Matrix<T> expected(s.m, s.n);
          gemm<T>(Op::kPlain, op_b, T(1), a.view(), b.view(), T(0), expected, arena);
          for (std::size_t i = 0; i < s.m; ++i) {
            const std::span<T> row(expected.row(i), s.n);
            for (std::size_t j = 0; j < s.n; ++j) row[j] += bias.view()(0, j);
            switch (activation) {
              case Activation::kNone:
                break;
              case Activation::kRelu:
                for (T& x : row) x = x < 0 ? T(0) : x;
                break;
              case Activation::kGeluErf:
                vec_gelu<T>(row, row);
                break;
              case Activation::kGeluTanh:
                vec_gelu_tanh<T>(row, row);
                break;
              case Activation::kQuickGelu:
                vec_quick_gelu<T>(row, row);
                break;
              case Activation::kSilu:
                vec_silu<T>(row, row);
                break;
            }
            for (std::size_t j = 0; j < s.n; ++j)
              ASSERT_TRUE(same_bits(residual.view()(i, j) + row[j], c.view()(i, j))) << i << ", " << j;
          }
        });
}

// Two products side by side: the second adds the first, which lies in C, before bias and activation.
TYPED_TEST(GemmTest, AnAddendIsAddedBeforeBiasAndActivation) {
  using T = TypeParam;
  const Arena arena(1);
  for (const Shape& s : {Shape{5, 33, 7}, Shape{140, 40, 300}, Shape{30, 96, 64}, Shape{3, 8, 600}})
    for_each_target([&] {
      SCOPED_TRACE(testing::Message() << s.m << "x" << s.n << "x" << s.k);
      const Guarded<T> a(s.m, s.k, 1), b(s.n, s.k, 2), bias(1, s.n, 4), before(s.m, s.n, 3);
      Guarded<T> c(s.m, s.n, 3);
      std::vector<T> memory(packed_elements<T>(s.k, s.n));
      const PackedView<T> packed = pack<T>(Op::kTransposed, b.view(), memory);
      Epilogue<T> epilogue;
      epilogue.addend = c.view();
      epilogue.bias = {bias.view().row(0), s.n};
      epilogue.activation = Activation::kRelu;
      gemm_packed<T>(a.view(), packed, epilogue, c.view(), arena);
      EXPECT_TRUE(c.intact());
      Matrix<T> product(s.m, s.n);
      gemm<T>(Op::kPlain, Op::kTransposed, T(1), a.view(), b.view(), T(0), product, arena);
      for (std::size_t i = 0; i < s.m; ++i)
        for (std::size_t j = 0; j < s.n; ++j) {
          const T x = (product(i, j) + before.view()(i, j)) + bias.view()(0, j);
          ASSERT_TRUE(same_bits(x < 0 ? T(0) : x, c.view()(i, j))) << i << ", " << j;
        }
    });
}

TYPED_TEST(GemmTest, ThreadsDoNotChangeTheBits) {
  using T = TypeParam;
  const Shape s{300, 170, 520};
  for (const Op op_a : {Op::kPlain, Op::kTransposed})
    for (const Op op_b : {Op::kPlain, Op::kTransposed}) {
      const Matrix<T> a = op_a == Op::kPlain ? random_matrix<T>(s.m, s.k, 1) : random_matrix<T>(s.k, s.m, 1);
      const Matrix<T> b = op_b == Op::kPlain ? random_matrix<T>(s.k, s.n, 2) : random_matrix<T>(s.n, s.k, 2);
      const PackedMatrix<T> packed(op_b, b);
      Matrix<T> reference(s.m, s.n);
      gemm<T>(op_a, op_b, T(1), a, b, T(0), reference, Arena(1));
      for (const int threads : {2, 7}) {
        const Arena arena(threads);
        Matrix<T> c(s.m, s.n);
        gemm<T>(op_a, op_b, T(1), a, b, T(0), c, arena);
        EXPECT_EQ(0, std::memcmp(c.data(), reference.data(), c.size() * sizeof(T))) << threads;
        if (op_a == Op::kTransposed) continue;
        Matrix<T> d(s.m, s.n);
        gemm_packed<T>(a, packed, {}, d, arena);
        EXPECT_EQ(0, std::memcmp(d.data(), reference.data(), d.size() * sizeof(T))) << threads;
      }
    }
}

TYPED_TEST(GemmTest, ASplitOfTheRowsDoesNotChangeTheBits) {
  using T = TypeParam;
  const Arena arena(1);
  const Matrix<T> a = random_matrix<T>(40, 300, 1), b = random_matrix<T>(300, 70, 2);
  Matrix<T> whole(40, 70), parts(40, 70);
  gemm<T>(Op::kPlain, Op::kPlain, T(1), a, b, T(0), whole, arena);
  for (std::size_t begin = 0, rows = 1; begin < 40;
       begin += rows, rows = std::min<std::size_t>(rows + 3, 40 - begin))
    gemm<T>(Op::kPlain, Op::kPlain, T(1), a.view().block(begin, 0, rows, 300), b, T(0),
            parts.view().block(begin, 0, rows, 70), arena);
  EXPECT_EQ(0, std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(T)));
}

// |error| ≤ γ_k Σ|a||b| with γ_k = k u/(1 − k u): Higham, Accuracy and Stability, (3.13).
TEST(Gemm, ErrorStaysWithinTheBoundOfTheChain) {
  const Arena arena(1);
  const std::size_t m = 20, n = 45, k = 1500;
  const Matrix<float> a = random_matrix<float>(m, k, 1), b = random_matrix<float>(k, n, 2);
  Matrix<float> c(m, n);
  Matrix<double> wide(m, n);
  gemm<float>(Op::kPlain, Op::kPlain, 1, a, b, 0, c, arena);
  gemm_f32_f64(Op::kPlain, Op::kPlain, a, b, wide, arena);
  const double u = std::numeric_limits<float>::epsilon() / 2;
  // A chain of 256, then 6 block sums; the second product adds the blocks in double.
  const double chain = 256 * u / (1 - 256 * u), gamma = (256 + 6) * u / (1 - (256 + 6) * u);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      double exact = 0, magnitude = 0;
      for (std::size_t p = 0; p < k; ++p) {
        exact += double{a(i, p)} * double{b(p, j)};
        magnitude += std::abs(double{a(i, p)} * double{b(p, j)});
      }
      EXPECT_LE(std::abs(c(i, j) - exact), gamma * magnitude);
      EXPECT_LE(std::abs(wide(i, j) - exact), chain * magnitude);
    }
}

TEST(Gemm, FloatFactorsWithDoubleResultEqualTheirOracleOnEveryTarget) {
  const Arena arena(1);
  for (const Shape& s : kShapes)
    for (const Op op_a : {Op::kPlain, Op::kTransposed})
      for (const Op op_b : {Op::kPlain, Op::kTransposed})
        for_each_target([&] {
          const Guarded<float> a(op_a == Op::kPlain ? s.m : s.k, op_a == Op::kPlain ? s.k : s.m, 1);
          const Guarded<float> b(op_b == Op::kPlain ? s.k : s.n, op_b == Op::kPlain ? s.n : s.k, 2);
          Guarded<double> c(s.m, s.n, 3);
          gemm_f32_f64(op_a, op_b, a.view(), b.view(), c.view(), arena);
          EXPECT_TRUE(c.intact());
          for (std::size_t i = 0; i < s.m; ++i)
            for (std::size_t j = 0; j < s.n; ++j)
              ASSERT_TRUE(
                  same_bits(c.view()(i, j), oracle<float, double>(op_a, op_b, a.view(), b.view(), i, j)));
        });
}

TEST(Gemm, ZeroBetaDoesNotReadC) {
  const Arena arena(1);
  const Matrix<float> a = random_matrix<float>(3, 4, 1), b = random_matrix<float>(4, 5, 2);
  Matrix<float> c(3, 5);
  std::fill_n(c.data(), c.size(), std::numeric_limits<float>::quiet_NaN());
  gemm<float>(Op::kPlain, Op::kPlain, 2, a, b, 0, c, arena);
  for (std::size_t i = 0; i < c.size(); ++i) EXPECT_TRUE(std::isfinite(c.data()[i]));
}

TEST(Gemm, NotFiniteInputReachesTheOutput) {
  const Arena arena(1);
  Matrix<float> a = random_matrix<float>(3, 4, 1);
  const Matrix<float> b = random_matrix<float>(4, 5, 2);
  a(1, 2) = std::numeric_limits<float>::quiet_NaN();
  Matrix<float> c(3, 5);
  gemm<float>(Op::kPlain, Op::kPlain, 1, a, b, 0, c, arena);
  for (std::size_t j = 0; j < 5; ++j) {
    EXPECT_TRUE(std::isnan(c(1, j)));
    EXPECT_TRUE(std::isfinite(c(0, j)));
  }
}

template <class F>
void expect_shape_error(F f, const char* text) {
  try {
    f();
    ADD_FAILURE() << "no error, expected: " << text;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kShape);
    EXPECT_THAT(e.what(), testing::HasSubstr(text));
  }
}

TEST(Gemm, RefusesWrongShapes) {
  const Arena arena(1);
  const Matrix<float> a(3, 4), b(4, 5), square(3, 3);
  Matrix<float> c(3, 5), other(5, 3);
  Matrix<double> wide(3, 4);
  const PackedMatrix<float> packed(Op::kPlain, b);
  const std::vector<float> bias(4);
  Epilogue<float> with_bias, with_residual;
  with_bias.bias = bias;
  with_residual.residual = square;
  expect_shape_error([&] { gemm<float>(Op::kTransposed, Op::kPlain, 1, a, b, 0, c, arena); },
                     "gemm: op(B) is 4x5, expected 3x5");
  expect_shape_error([&] { gemm<float>(Op::kPlain, Op::kPlain, 1, a, b, 0, other, arena); },
                     "gemm: C is 5x3, expected 3x5");
  expect_shape_error([&] { gemm_f32_f64(Op::kPlain, Op::kPlain, a, b, wide, arena); },
                     "C is 3x4, expected 3x5");
  expect_shape_error([&] { gemm_packed<float>(square, packed, {}, c, arena); }, "B is 4x5, expected 3x5");
  expect_shape_error([&] { gemm_packed<float>(a, packed, {}, other, arena); }, "C is 5x3, expected 3x5");
  expect_shape_error([&] { gemm_packed<float>(a, packed, with_bias, c, arena); },
                     "bias is 1x4, expected 1x5");
  expect_shape_error([&] { gemm_packed<float>(a, packed, with_residual, c, arena); },
                     "residual is 3x3, expected 3x5");
  Epilogue<float> with_addend;
  with_addend.addend = square;
  expect_shape_error([&] { gemm_packed<float>(a, packed, with_addend, c, arena); },
                     "addend is 3x3, expected 3x5");
  std::vector<float> memory(packed_elements<float>(4, 5) + 1);
  expect_shape_error([&] { pack<float>(Op::kPlain, b, memory); }, "memory is 1x65, expected 1x64");
}

TEST(Gemm, EmptyMatricesAreFine) {
  const Arena arena(2);
  Matrix<float> c(0, 5);
  gemm<float>(Op::kPlain, Op::kPlain, 1, Matrix<float>(0, 4), Matrix<float>(4, 5), 0, c, arena);
  const PackedMatrix<float> none;
  Matrix<float> d(3, 0);
  gemm_packed<float>(Matrix<float>(3, 0), none, {}, d, arena);
}

}  // namespace
}  // namespace telos
