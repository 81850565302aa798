#include "telos/linalg/vecmath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "support.h"
#include "telos/base/error.h"

namespace telos {
namespace {

using test::for_each_target;
using test::same_bits;

constexpr long double kInf = std::numeric_limits<long double>::infinity();

template <class T>
using Function = void (*)(std::span<const T>, std::span<T>);

template <class T>
std::vector<T> values_of(Function<T> f, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  f(x, y);
  return y;
}

// |y − exact| in units of the spacing of T at `exact`.
template <class T>
long double ulps(T y, long double exact) {
  if (std::isnan(exact)) return std::isnan(y) ? 0 : kInf;
  const long double limit = std::numeric_limits<T>::max();
  if (std::isinf(y)) {
    // Rounding to infinity is right from half a spacing above the largest finite number on.
    const long double half =
        std::ldexp(1.0L, std::numeric_limits<T>::max_exponent - std::numeric_limits<T>::digits - 1);
    return std::signbit(y) == std::signbit(exact) && std::abs(exact) >= limit + half ? 0 : kInf;
  }
  const int exponent =
      exact == 0 ? std::numeric_limits<T>::min_exponent : std::ilogb(std::min(std::abs(exact), limit)) + 1;
  const int spacing =
      std::max(exponent, std::numeric_limits<T>::min_exponent) - std::numeric_limits<T>::digits;
  return std::abs(static_cast<long double>(y) - exact) / std::ldexp(1.0L, spacing);
}

// Every 4099th bit pattern of a float; for double, random bit patterns and a fine grid where the functions
// are not yet constant.
template <class T>
std::vector<T> samples();
template <>
std::vector<float> samples() {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099)
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  return x;
}
template <>
std::vector<double> samples() {
  std::vector<double> x;
  Random random(1);
  for (int i = 0; i < 100000; ++i)
    x.push_back(std::bit_cast<double>((std::uint64_t{random.bits()} << 32) | random.bits()));
  for (int i = 0; i < 200000; ++i) x.push_back(-50 + 100 * random.uniform());
  for (int i = 0; i < 50000; ++i) x.push_back(-800 + 1600 * random.uniform());
  return x;
}

long double gelu(long double x) {
  if (std::isinf(x)) return x > 0 ? x : -0.0L;
  return x * std::erfc(-x / std::sqrt(2.0L)) / 2;
}
long double times_logistic(long double x, long double z) {
  if (std::isinf(x)) return x > 0 ? x : -0.0L;
  if (z < 0) return x * std::exp(z) / (1 + std::exp(z));
  return x / (1 + std::exp(-z));
}
long double tanh_argument(long double x) {
  return 2 * std::sqrt(2 / std::acos(-1.0L)) * (x + 0.044715L * x * x * x);
}

template <class T>
struct Case {
  const char* name;
  Function<T> function;
  long double (*exact)(long double x);
  long double bound;                        // in ULP
  long double (*amplified)(long double x);  // or null: bound + factor |amplified(x)|
  long double factor = 0;
};

// The table of vecmath.h. A rounding error of z counts |z| times in e^z, and half a unit of relative error is
// up to one ULP: z = 1.702x has two such errors, the cubic of gelu_tanh six.
template <class T>
std::vector<Case<T>> cases();
template <>
std::vector<Case<float>> cases() {
  return {{"exp", vec_exp, [](long double x) { return std::exp(x); }, 1.0L, nullptr},
          {"tanh", vec_tanh, [](long double x) { return std::tanh(x); }, 1.5L, nullptr},
          {"erf", vec_erf, [](long double x) { return std::erf(x); }, 1.5L, nullptr},
          {"gelu", vec_gelu, gelu, 6.0L, nullptr},
          {"silu", vec_silu, [](long double x) { return times_logistic(x, x); }, 4.0L, nullptr},
          {"gelu_tanh", vec_gelu_tanh, [](long double x) { return times_logistic(x, tanh_argument(x)); },
           4.0L, tanh_argument, 6.0L},
          {"quick_gelu", vec_quick_gelu, [](long double x) { return times_logistic(x, 1.702L * x); }, 4.0L,
           [](long double x) { return 1.702L * x; }, 2.0L}};
}
template <>
std::vector<Case<double>> cases() {
  return {{"exp", vec_exp, [](long double x) { return std::exp(x); }, 1.0L, nullptr},
          {"tanh", vec_tanh, [](long double x) { return std::tanh(x); }, 1.5L, nullptr},
          {"erf", vec_erf, [](long double x) { return std::erf(x); }, 1.5L, nullptr},
          {"gelu", vec_gelu, gelu, 10.0L, nullptr},
          {"silu", vec_silu, [](long double x) { return times_logistic(x, x); }, 4.0L, nullptr},
          {"gelu_tanh", vec_gelu_tanh, [](long double x) { return times_logistic(x, tanh_argument(x)); },
           4.0L, tanh_argument, 6.0L},
          {"quick_gelu", vec_quick_gelu, [](long double x) { return times_logistic(x, 1.702L * x); }, 4.0L,
           [](long double x) { return 1.702L * x; }, 2.0L}};
}

template <class T>
class VecMathTest : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(VecMathTest, Types);

TYPED_TEST(VecMathTest, ErrorsStayWithinTheStatedUlpOverTheWholeRange) {
  using T = TypeParam;
  const std::vector<T> x = samples<T>();
  for (const Case<T>& c : cases<T>()) {
    const std::vector<T> y = values_of(c.function, x);
    long double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const long double exact = c.exact(static_cast<long double>(x[i]));
      const long double error = ulps(y[i], exact);
      // Where the amplified argument is beyond ±1000, exact and computed value are both at their limits.
      const long double amplification =
          c.amplified == nullptr ? 0 : std::min(1000.0L, std::abs(c.amplified(x[i])));
      const long double bound = c.bound + (std::isnan(amplification) ? 0 : c.factor * amplification);
      worst = std::max(worst, error / bound);
      ASSERT_LE(error, bound) << c.name << "(" << x[i] << ") = " << y[i] << ", exact " << exact;
    }
    this->RecordProperty(std::string(c.name) + "_fraction_of_bound", std::to_string(worst));
  }
}

TYPED_TEST(VecMathTest, BitsAreTheSameOnEveryTarget) {
  using T = TypeParam;
  std::vector<T> x = samples<T>();
  std::erase_if(x, [](T v) { return std::isnan(v); });
  for (const Case<T>& c : cases<T>()) {
    std::vector<T> first;
    for_each_target([&] {
      const std::vector<T> y = values_of(c.function, x);
      if (first.empty()) first = y;
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_TRUE(same_bits(first[i], y[i])) << c.name << "(" << x[i] << ")";
    });
  }
}

TYPED_TEST(VecMathTest, SpecialValues) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const T tiny = std::numeric_limits<T>::denorm_min(), big = std::numeric_limits<T>::max();
  const std::vector<T> x = {T(0), T(-0.0), inf, -inf, nan, tiny, -tiny, big, -big};
  const auto expect = [&](const char* name, Function<T> f, std::vector<T> want) {
    for_each_target([&] {
      const std::vector<T> y = values_of(f, x);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const bool equal = std::isnan(want[i]) ? std::isnan(y[i]) : same_bits(want[i], y[i]);
        EXPECT_TRUE(equal) << name << "(" << x[i] << ") = " << y[i] << ", want " << want[i];
      }
    });
  };
  const T one = 1, zero = 0, minus = T(-0.0);
  expect("exp", vec_exp, {one, one, inf, zero, nan, one, one, inf, zero});
  expect("tanh", vec_tanh, {zero, minus, one, -one, nan, tiny, -tiny, one, -one});
  expect("erf", vec_erf, {zero, minus, one, -one, nan, tiny, -tiny, one, -one});
  // tiny/2 is a tie and goes to the even neighbour, zero; x − x/2 rounds the other way round and keeps tiny.
  const std::vector<T> half = values_of<T>(vec_gelu, {tiny, -tiny});
  expect("gelu", vec_gelu, {zero, minus, inf, minus, nan, half[0], half[1], big, minus});
  EXPECT_LE(std::abs(half[0] - tiny), tiny);
  EXPECT_LE(std::abs(half[1] + tiny), tiny);
  expect("silu", vec_silu, {zero, minus, inf, minus, nan, zero, minus, big, minus});
  expect("quick_gelu", vec_quick_gelu, {zero, minus, inf, minus, nan, zero, minus, big, minus});
  expect("gelu_tanh", vec_gelu_tanh, {zero, minus, inf, minus, nan, zero, minus, big, minus});
}

TYPED_TEST(VecMathTest, AnyLengthInPlaceAndNothingBeyondTheEnd) {
  using T = TypeParam;
  for (std::size_t n = 0; n < 70; ++n)
    for_each_target([&] {
      std::vector<T> x(n + 8, T(0.25)), alone(n);
      for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<T>(i) / 8 - 3;
      for (std::size_t i = 0; i < n; ++i) vec_gelu<T>({&x[i], 1}, {&alone[i], 1});
      vec_gelu<T>({x.data(), n}, {x.data(), n});
      for (std::size_t i = 0; i < n; ++i) EXPECT_TRUE(same_bits(x[i], alone[i]));
      for (std::size_t i = n; i < n + 8; ++i) EXPECT_EQ(x[i], T(0.25));
    });
}

// The tree of vecmath.h in plain loops.
template <class T>
T tree_dot(const std::vector<T>& x, const std::vector<T>& y) {
  T lanes[32] = {};
  for (std::size_t i = 0; i < x.size(); ++i) lanes[i % 32] = std::fma(x[i], y[i], lanes[i % 32]);
  for (std::size_t half = 16; half > 0; half /= 2)
    for (std::size_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

TYPED_TEST(VecMathTest, SumAndDotFollowTheTree) {
  using T = TypeParam;
  Random random(3);
  for (std::size_t n = 0; n < 200; ++n) {
    std::vector<T> x(n), y(n);
    for (T& v : x) v = static_cast<T>(random.normal());
    for (T& v : y) v = static_cast<T>(random.normal());
    const T dot = tree_dot<T>(x, y), sum = tree_dot<T>(x, std::vector<T>(n, T(1)));
    for_each_target([&] {
      EXPECT_TRUE(same_bits(dot, vec_dot<T>(x, y)));
      EXPECT_TRUE(same_bits(sum, vec_sum<T>(x)));
    });
  }
}

TYPED_TEST(VecMathTest, SoftmaxIsAccurateSumsToOneAndHasTheSameBitsEverywhere) {
  using T = TypeParam;
  const long double eps = std::numeric_limits<T>::epsilon();
  Random random(4);
  for (const std::size_t cols : {1, 2, 15, 16, 17, 33, 128, 300})
    for (const std::size_t valid : {cols, cols - 1, cols / 2}) {
      std::vector<T> row(cols + 4, T(7));
      for (std::size_t j = 0; j < cols; ++j) row[j] = static_cast<T>(5 * random.normal());
      const std::vector<T> input = row;
      const T scale = T(0.7);
      std::vector<T> first;
      for_each_target([&] {
        std::vector<T> y = input;
        softmax_row<T>({y.data(), cols}, valid, scale);
        if (first.empty()) first = y;
        EXPECT_EQ(0, std::memcmp(first.data(), y.data(), y.size() * sizeof(T)));
      });
      long double total = 0, largest = -kInf, sum = 0;
      for (std::size_t j = 0; j < valid; ++j)
        largest = std::max(largest, static_cast<long double>(scale) * input[j]);
      for (std::size_t j = 0; j < valid; ++j)
        total += std::exp(static_cast<long double>(scale) * input[j] - largest);
      for (std::size_t j = 0; j < valid; ++j) {
        const long double exponent = static_cast<long double>(scale) * input[j] - largest;
        const long double exact = std::exp(exponent) / total;
        // Relative error: rounding of scale·x and of the difference (|x| + |exponent| half units), exp, the
        // sum's lanes, the reciprocal and the product.
        const long double bound =
            eps * (std::abs(static_cast<long double>(scale) * input[j]) + std::abs(largest) +
                   std::abs(exponent) + 4 + static_cast<long double>(valid) / 32);
        EXPECT_LE(std::abs(first[j] - exact), bound * exact);
        sum += first[j];
      }
      if (valid > 0) {
        EXPECT_LE(std::abs(sum - 1), eps * static_cast<long double>(valid));
      }
      for (std::size_t j = valid; j < cols; ++j) EXPECT_EQ(first[j], T(0));
      for (std::size_t j = cols; j < cols + 4; ++j) EXPECT_EQ(first[j], T(7));
    }
}

TYPED_TEST(VecMathTest, SoftmaxOfExtremeRows) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity(), big = std::numeric_limits<T>::max();
  std::vector<T> row = {-inf, T(3), -inf, -big};
  softmax_row<T>(row, 4, T(1));
  EXPECT_THAT(row, testing::ElementsAre(T(0), T(1), T(0), T(0)));
  row = {big, big, T(0), T(0)};
  softmax_row<T>(row, 3, T(1));
  EXPECT_THAT(row, testing::ElementsAre(T(0.5), T(0.5), T(0), T(0)));
  row = {-inf, -inf, T(1), T(1)};
  softmax_row<T>(row, 2, T(1));
  EXPECT_TRUE(std::isnan(row[0]) && std::isnan(row[1]));
  EXPECT_EQ(row[2], T(0));
  row = {T(1), std::numeric_limits<T>::quiet_NaN(), T(1), T(1)};
  softmax_row<T>(row, 4, T(1));
  for (const T v : row) EXPECT_TRUE(std::isnan(v));
  row = {T(1), T(2), T(3), T(4)};
  softmax_row<T>(row, 0, T(1));
  EXPECT_THAT(row, testing::Each(T(0)));
  EXPECT_THROW(softmax_row<T>(row, 5, T(1)), Error);
}

TYPED_TEST(VecMathTest, AttentionSoftmaxMasksTheFutureAndThePadding) {
  using T = TypeParam;
  Matrix<T> scores = test::random_matrix<T>(4, 6, 5);
  const Matrix<T> input = scores.copy();
  attention_softmax<T>(scores, T(0.5), 5, true, 1);
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<T> row(input.row(i), input.row(i) + 6);
    softmax_row<T>(row, std::min<std::size_t>(5, i + 2), T(0.5));
    for (std::size_t j = 0; j < 6; ++j) EXPECT_TRUE(same_bits(row[j], scores(i, j)));
  }
  scores = input.copy();
  attention_softmax<T>(scores, T(0.5), 3, false);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(static_cast<double>(scores(i, 0) + scores(i, 1) + scores(i, 2)), 1.0,
                3 * static_cast<double>(std::numeric_limits<T>::epsilon()));
    EXPECT_EQ(scores(i, 3), T(0));
  }
  EXPECT_THROW(attention_softmax<T>(scores, T(1), 7, false), Error);
}

TYPED_TEST(VecMathTest, NormsAreAccurateAlsoUnderALargeOffset) {
  using T = TypeParam;
  const long double eps = std::numeric_limits<T>::epsilon();
  Random random(6);
  for (const std::size_t n : {1, 5, 16, 31, 64, 100, 384})
    for (const double offset : {0.0, 1.0, 300.0}) {
      std::vector<T> x(n), gain(n), bias(n), none;
      for (std::size_t i = 0; i < n; ++i) {
        x[i] = static_cast<T>(offset + random.normal());
        gain[i] = static_cast<T>(random.normal());
        bias[i] = static_cast<T>(random.normal());
      }
      long double mean = 0, variance = 0, square = 0;
      for (const T v : x) mean += static_cast<long double>(v) / static_cast<long double>(n);
      for (const T v : x) {
        variance += (v - mean) * (v - mean) / static_cast<long double>(n);
        square += static_cast<long double>(v) * v / static_cast<long double>(n);
      }
      const T norm_eps = T(1e-5);
      const long double scale = 1 / std::sqrt(variance + norm_eps), rms = 1 / std::sqrt(square + norm_eps);
      std::vector<T> layer, bare, root;
      for_each_target([&] {
        std::vector<T> y(n), z(n), w = x;
        layer_norm_row<T>(x, gain, bias, norm_eps, y);
        layer_norm_row<T>(x, none, none, norm_eps, z);
        rms_norm_row<T>(w, gain, norm_eps, w);
        if (layer.empty()) layer = y, bare = z, root = w;
        EXPECT_EQ(0, std::memcmp(layer.data(), y.data(), n * sizeof(T)));
        EXPECT_EQ(0, std::memcmp(bare.data(), z.data(), n * sizeof(T)));
        EXPECT_EQ(0, std::memcmp(root.data(), w.data(), n * sizeof(T)));
      });
      for (std::size_t i = 0; i < n; ++i) {
        const long double t = (x[i] - mean) * scale;
        // One rounding of x − centre (at most half a unit of |x − mean| plus that of the offset that the
        // centre missed), one each of correction, scale, gain and bias, and the sums' lanes in the scale; the
        // centre itself is off by at most its last place, which the correction restores.
        const long double bound = eps * (8 * (1 + std::abs(t)) + static_cast<long double>(n) / 32);
        EXPECT_LE(std::abs(bare[i] - t), bound);
        EXPECT_LE(std::abs(layer[i] - (t * gain[i] + bias[i])),
                  bound * (1 + std::abs(gain[i]) + std::abs(bias[i])));
        const long double r = x[i] * rms * gain[i];
        EXPECT_LE(std::abs(root[i] - r), eps * (4 + static_cast<long double>(n) / 32) * std::abs(r));
      }
    }
}

TEST(VecMath, RefusesDifferentLengths) {
  std::vector<float> x(3), y(4);
  const auto expect = [](auto f, const char* text) {
    try {
      f();
      ADD_FAILURE() << "no error, expected: " << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kShape);
      EXPECT_THAT(e.what(), testing::HasSubstr(text));
    }
  };
  expect([&] { vec_exp<float>(x, y); }, "vec_exp: y has 4 elements, expected 3");
  expect([&] { vec_dot<float>(x, y); }, "vec_dot: y has 4 elements, expected 3");
  expect([&] { layer_norm_row<float>(x, y, {}, 1e-5f, x); },
         "layer_norm_row: gain has 4 elements, expected 3");
  expect([&] { layer_norm_row<float>(x, {}, y, 1e-5f, x); },
         "layer_norm_row: bias has 4 elements, expected 3");
  expect([&] { layer_norm_row<float>(x, {}, {}, 1e-5f, y); }, "layer_norm_row: y has 4 elements, expected 3");
  expect([&] { rms_norm_row<float>(x, y, 1e-5f, x); }, "rms_norm_row: gain has 4 elements, expected 3");
}

TEST(Targets, TheScalarTwinAndAVectorTargetAreBothTested) {
  std::vector<std::string> names;
  for_each_target([&] { names.push_back(kernel_target()); });
  // On a machine whose baseline already has FMA, or without AVX2, there is one target; on x86-64 with AVX2 at
  // least two.
  if (hwy::SupportedTargets() & HWY_AVX2) {
    EXPECT_GE(names.size(), 2u);
  }
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
}

}  // namespace
}  // namespace telos
