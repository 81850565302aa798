#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "positional/studies/parts.h"
#include "telos/base/error.h"
#include "tests/positional/studies_support.h"

namespace telos::positional {
namespace {

using namespace test_studies;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SoftmaxAttention, SharedTokens) {
  expect_rows(softmax_attention(kQ, kK, kV), {{.4735158464, .0461456329},
                                              {.3188889926, .0655678972},
                                              {.1026655592, .2760304810},
                                              {.5692249555, .0150861673}});
  // Causal: the first token sees itself, the last one all.
  const Matrix<double> causal = softmax_attention(kQ, kK, kV, true);
  expect_rows(causal, {{1, 0}}, 1e-15);
  EXPECT_NEAR(causal(3, 0), .5692249555, 1e-9);
}

// ---- Performer

TEST(Performer, FeaturesAndSums) {
  Random random(8);
  for (const bool orthogonal : {false, true}) {
    const Matrix<double> w = random_projection(64, 2, orthogonal, random);
    for (std::size_t i = 0; orthogonal && i < 64; i += 2)
      EXPECT_NEAR(w(i, 0) * w(i + 1, 0) + w(i, 1) * w(i + 1, 1), 0, 1e-14);
    // Against the n × n matrix of φ(q)ᵀφ(k), full and causal.
    const double scale = std::pow(2, -.25);
    Matrix<double> weights = studies::times_transposed(positive_features(studies::scaled(kQ, scale), w),
                                                       positive_features(studies::scaled(kK, scale), w));
    for (const bool causal : {false, true}) {
      Matrix<double> expected(4, 2);
      for (std::size_t i = 0; i < 4; ++i) {
        double sum = 0;
        for (std::size_t j = 0; j < (causal ? i + 1 : 4); ++j) {
          sum += weights(i, j);
          for (std::size_t c = 0; c < 2; ++c) expected(i, c) += weights(i, j) * kV(j, c);
        }
        for (std::size_t c = 0; c < 2; ++c) expected(i, c) /= sum;
      }
      EXPECT_LT(studies::largest_difference(performer_attention(kQ, kK, kV, w, {.causal = causal}), expected),
                1e-14);
    }
  }
}

TEST(Performer, LibraryFormIsNear) {
  Random random(9);
  const Matrix<double> w = random_projection(256, 2, true, random);
  const Matrix<double> exact = performer_attention(kQ, kK, kV, w),
                       library = performer_attention(kQ, kK, kV, w, {.stabilised = true});
  const double difference = studies::largest_difference(exact, library);
  EXPECT_GT(difference, 1e-6) << "the added 1e-4 is not nothing";
  EXPECT_LT(difference, 1e-2);
  EXPECT_LT(studies::largest_difference(library, softmax_attention(kQ, kK, kV)), .3);
  // Where plain exponents overflow, the library's form does not.
  const Matrix<double> large = studies::scaled(kQ, 400), keys = studies::scaled(kK, 400);
  EXPECT_TRUE(std::isnan(performer_attention(large, keys, kV, w)(0, 0)));
  EXPECT_TRUE(std::isfinite(performer_attention(large, keys, kV, w, {.stabilised = true})(0, 0)));
}

// ---- Relative positions by FFT

const std::vector<double> kOffsets{.1, -.2, .3, .5, -.4, .2, .05};

TEST(RelativeKernel, Oracle) {
  // φ of FAVOR+ with these three rows, queries and keys scaled by d^(−1/4).
  const Matrix<double> w = matrix({{.5, -1}, {1.5, .25}, {-.75, .6}});
  const Matrix<double> q = positive_features(studies::scaled(kQ, std::pow(2, -.25)), w),
                       k = positive_features(studies::scaled(kK, std::pow(2, -.25)), w);
  expect_rows(relative_kernel_attention(q, k, kV, kOffsets), {{.7410234247, -.1450445390},
                                                              {.3058525036, .1625073359},
                                                              {.6540860426, .0551444079},
                                                              {.5437854062, -.1120356484}});
  expect_rows(
      relative_kernel_attention(q, k, kV, kOffsets, true),
      {{1, 0}, {.5574338645, .4425661355}, {1.0205331932, -.0205331932}, {.5437854062, -.1120356484}});
}

TEST(RelativeKernel, FourierTransform) {
  Random random(10);
  std::vector<std::complex<double>> x(32);
  for (auto& value : x) value = {random.normal(), random.normal()};
  auto y = x;
  fast_fourier(y);
  for (std::size_t k = 0; k < x.size(); ++k) {
    std::complex<double> sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
      sum += x[i] * std::polar(1.0, -2 * M_PI * static_cast<double>(i * k % 32) / 32);
    EXPECT_LT(std::abs(sum - y[k]), 1e-13);
  }
  fast_fourier(y, true);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_LT(std::abs(x[i] - y[i]), 1e-14);
  std::vector<std::complex<double>> one{{2, 1}};
  fast_fourier(one);
  EXPECT_EQ(one[0], std::complex<double>(2, 1));
  expect_error(ErrorKind::kUsage, "power of two", [&] { fast_fourier({x.data(), 12}); });
}

TEST(RelativeKernel, ToeplitzProduct) {
  Random random(11);
  for (const std::size_t n : {1u, 2u, 5u, 16u, 33u}) {
    const Matrix<double> c = studies::normals(1, 2 * n - 1, random), x = studies::normals(n, 3, random);
    Matrix<double> dense(n, n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) dense(i, j) = c(0, j + n - 1 - i);
    EXPECT_LT(
        studies::largest_difference(toeplitz_product({c.data(), c.size()}, x), studies::times(dense, x)),
        1e-13);
  }
  expect_error(ErrorKind::kShape, "2n − 1", [] { toeplitz_product(kOffsets, matrix({{1}, {2}})); });
  expect_error(ErrorKind::kShape, "2n − 1", [] {
    relative_kernel_attention(matrix({{1}, {2}}), matrix({{1}, {2}}), matrix({{1}, {2}}), kOffsets);
  });
}

// ---- Nyström

TEST(Nystrom, Oracle) {
  expect_rows(nystrom_attention(kQ, kK, kV, {.landmarks = 2}), {{.3742320915, .0890186312},
                                                                {.4256764617, .0197844674},
                                                                {.2832362464, .2114814238},
                                                                {.3612453942, .1064962118}});
  expect_rows(nystrom_attention(kQ, kK, kV, {.landmarks = 2, .iterations = 6}), {{.3741150159, .0891815242}});
}

TEST(Nystrom, IterativeInverse) {
  const double scale = std::pow(2, -.25);
  Matrix<double> a = studies::times_transposed(block_means(studies::scaled(kQ, scale), 2),
                                               block_means(studies::scaled(kK, scale), 2));
  studies::softmax_rows(a);
  const auto residual = [&](std::size_t iterations) {
    const Matrix<double> z = iterative_inverse(a, iterations);
    const Matrix<double> aza = studies::times(a, studies::times(z, a));
    return studies::largest_difference(aza, a);
  };
  EXPECT_NEAR(residual(4), 2.2e-2, .05e-2);
  EXPECT_NEAR(residual(6), 3.2e-4, .05e-4);
  EXPECT_LT(residual(8), 1e-15);
}

TEST(Nystrom, AsManyLandmarksAsTokensIsExact) {
  EXPECT_LT(studies::largest_difference(nystrom_attention(kQ, kK, kV, {.landmarks = 4}),
                                        softmax_attention(kQ, kK, kV)),
            1e-11);
}

TEST(Nystrom, Continual) {
  Random random(12);
  const Matrix<double> q = studies::normals(60, 3, random), k = studies::normals(60, 3, random),
                       v = studies::normals(60, 2, random), lq = studies::normals(3, 3, random, .5),
                       lk = studies::normals(3, 3, random, .5);
  for (const std::size_t anchor : {0u, 7u}) {
    ContinualNystrom running(8, lq, lk, 2, 0, anchor);
    for (std::size_t t = 0; t < 60; ++t) {
      const auto out = running.step({q.row(t), 3}, {k.row(t), 3}, {v.row(t), 2});
      const std::size_t begin = t < 7 ? 0 : t - 7, count = t + 1 - begin;
      EXPECT_EQ(running.filled(), count);
      const Matrix<double> whole =
          nystrom_attention(q.view().block(t, 0, 1, 3), k.view().block(begin, 0, count, 3),
                            v.view().block(begin, 0, count, 2), lq, lk);
      EXPECT_LT(studies::largest_difference(whole, {out.data(), 1, 2}), 1e-13) << t;
    }
  }
}

TEST(Nystrom, Refusals) {
  expect_error(ErrorKind::kUsage, "must divide", [] { nystrom_attention(kQ, kK, kV, {.landmarks = 3}); });
  expect_error(ErrorKind::kUsage, "must divide", [] { block_means(kQ, 0); });
  expect_error(ErrorKind::kShape, "expected square", [] { iterative_inverse(matrix({{1, 2}}), 1); });
  expect_error(ErrorKind::kShape, "landmarks of", [] {
    nystrom_attention(kQ, kK, kV, kQ, matrix({{1, 2}}));
  });
  expect_error(ErrorKind::kUsage, "no elements", [] { ContinualNystrom(0, kQ, kK, 1); });
  ContinualNystrom running(4, kQ, kK, 1);
  const std::vector<double> two{1, 2}, three{1, 2, 3};
  expect_error(ErrorKind::kShape, "a token of 3", [&] { running.step(three, two, three); });
}

// ---- DAPE

TEST(Dape, Oracle) {
  const std::vector<Matrix<double>> products = [] {
    std::vector<Matrix<double>> list;
    list.push_back(
        studies::scaled(studies::times_transposed(kQ.view().block(0, 0, 3, 2), kK.view().block(0, 0, 3, 2)),
                        1 / std::sqrt(2.0)));
    return list;
  }();
  std::vector<Matrix<double>> bias;
  bias.push_back(matrix({{0, 0, 0}, {-.5, 0, 0}, {-1, -.5, 0}}));
  const DapeNet full{1,
                     2,
                     3,
                     true,
                     matrix({{.2, -.3, .5, .1, .4, -.2}, {-.6, .25, .3, .05, -.15, .35}}),
                     {.1, -.05},
                     matrix({{.3, -.1, .2, .15, .4, -.25}}),
                     {.02}};
  const auto scores = dape_scores(products, bias, full);
  expect_rows(
      scores[0],
      {{-.0079936011, 0, 0}, {-.2500475612, -.1258905216, 0}, {-.7214889105, -.0978677990, -.2346582444}});
  const Matrix<double> p = causal_softmax(scores[0]);
  expect_rows(p, {{1, 0, 0}, {.4690005512, .5309994488, 0}, {.2225772238, .4152560119, .3621667643}});

  // Without the bias's channels: the products alone.
  DapeNet bare{1, 1, 1, false, matrix({{1}}), {0}, matrix({{1}}), {0}};
  const auto doubled = dape_scores(products, {}, bare);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      const double s = products[0](i, j);
      EXPECT_DOUBLE_EQ(doubled[0](i, j), s + (s > 0 ? s : .01 * s));
    }

  const auto refuse = [&](const std::string& text, const std::function<void(DapeNet&)>& spoil) {
    DapeNet bad{full.heads, full.width, full.kernel, true, full.w1.copy(), full.b1, full.w2.copy(), full.b2};
    spoil(bad);
    expect_error(ErrorKind::kShape, text, [&] { dape_scores(products, bias, bad); });
  };
  refuse("odd number", [](DapeNet& n) { n.kernel = 2; });
  refuse("1 products for 2 heads", [](DapeNet& n) { n.heads = 2; });
  refuse("1 biases for 1 heads", [](DapeNet& n) { n.bias_input = false; });
  refuse("first weights", [](DapeNet& n) { n.b1.pop_back(); });
  refuse("second weights", [](DapeNet& n) { n.b2.push_back(1); });
  expect_error(ErrorKind::kShape, "expected square", [] { causal_softmax(kQ); });
  std::vector<Matrix<double>> wide;
  wide.push_back(kQ.copy());
  expect_error(ErrorKind::kShape, "square and equal", [&] { dape_scores(wide, bias, full); });
}

// ---- Hard retrieval

TEST(HardRetrieval, Oracle) {
  const HardRetrieval hard = hard_retrieval(kQ, kK, kV);
  EXPECT_THAT(hard.index, ElementsAre(2u, 3u, 3u, 2u));
  expect_rows(hard.output, {{2, -1}, {-1.5, .5}, {-1.5, .5}, {2, -1}}, 0);
  const Matrix<double> d_output = matrix({{1, 2}, {.5, -1}, {0, 1}, {1, 1}});
  const HardGradient g = hard_retrieval_gradient(kQ, kK, kV, hard.index, d_output);
  expect_rows(g.dv, {{0, 0}, {0, 0}, {2, 3}, {.5, 0}}, 1e-15);
  expect_rows(g.dp, {{1, 2, 0, -.5}, {.5, -1, 2, -1.25}, {0, 1, -1, .5}, {1, 1, 1, -1}}, 1e-15);
  expect_rows(g.dqk, {{.0755846086, .2229581826, -.1175417651, -.1810010260}});
}

/// dQKᵀ is the derivative of ⟨dO, softmax(s/√d)V⟩ in s.
TEST(HardRetrieval, GradientOfTheSoftmax) {
  Random random(13);
  const Matrix<double> d_output = studies::normals(4, 2, random);
  const HardGradient g = hard_retrieval_gradient(kQ, kK, kV, hard_retrieval(kQ, kK, kV).index, d_output);
  const auto value = [&](View scores) {
    Matrix<double> p = studies::scaled(scores, 1 / std::sqrt(2.0));
    studies::softmax_rows(p);
    const Matrix<double> o = studies::times(p, kV);
    double sum = 0;
    for (std::size_t i = 0; i < o.size(); ++i) sum += o.data()[i] * d_output.data()[i];
    return sum;
  };
  Matrix<double> scores = studies::times_transposed(kQ, kK);
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 4; ++j) {
      const double step = 1e-5, at = scores(i, j);
      scores(i, j) = at + step;
      const double above = value(scores);
      scores(i, j) = at - step;
      EXPECT_NEAR((above - value(scores)) / (2 * step), g.dqk(i, j), 1e-9);
      scores(i, j) = at;
    }
}

TEST(HardRetrieval, TiesAndSampling) {
  const Matrix<double> same = matrix({{1, 0}, {1, 0}, {1, 0}, {1, 0}});
  EXPECT_THAT(hard_retrieval(kQ, same, kV).index, ElementsAre(0u, 0u, 0u, 0u));
  // Frequencies of sampled indices against softmax, within five standard deviations.
  Random random(14);
  Matrix<double> p = studies::scaled(studies::times_transposed(kQ, kK), 1 / std::sqrt(2.0));
  studies::softmax_rows(p);
  constexpr int kDraws = 20000;
  Matrix<double> counts(4, 4);
  for (int draw = 0; draw < kDraws; ++draw) {
    const auto index = sample_indices(kQ, kK, random);
    for (std::size_t i = 0; i < 4; ++i) ++counts(i, index[i]);
  }
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 4; ++j)
      EXPECT_NEAR(counts(i, j) / kDraws, p(i, j), 5 * std::sqrt(p(i, j) * (1 - p(i, j)) / kDraws));
  const std::vector<std::size_t> far{0, 1, 2, 9};
  expect_error(ErrorKind::kUsage, "beyond the 4 keys", [&] { hard_retrieval_gradient(kQ, kK, kV, far, kV); });
  expect_error(ErrorKind::kShape, "a gradient of", [&] {
    hard_retrieval_gradient(kQ, kK, kV, {far.data(), 3}, kV);
  });
  expect_error(ErrorKind::kNotFinite, "not finite", [] {
    hard_retrieval(matrix({{std::nan(""), 1}}), kK, kV);
  });
}

// ---- Momentum

TEST(Momentum, Oracle) {
  const MomentumOptions options{.mu = .6, .gamma = .9};
  expect_rows(momentum_attention(kQ, kK, kV, options), {{.8999996507, 0},
                                                        {.8224306128, .3859807375},
                                                        {1.2153595204, .1797699884},
                                                        {.9118902515, .0215902185}});
  MomentumOptions published = options;
  published.published = true;
  expect_rows(momentum_attention(kQ, kK, kV, published), {{1.9583992398, 0},
                                                          {1.1185056334, .7565222455},
                                                          {1.6207903985, .1162872075},
                                                          {.9118902515, .0215902185}});
  expect_rows(
      momentum_attention(kQ, kK, kV, {}),
      {{.9999996118, 0}, {.5711323700, .4288674861}, {.9906385402, .0093613494}, {.3781938514, .0318513972}});
  expect_error(ErrorKind::kUsage, "0 ≤ μ < 1", [] { momentum_attention(kQ, kK, kV, {.mu = 1}); });
}

TEST(Momentum, AdaptiveBetweenLayers) {
  AdaptiveMomentum state;
  Matrix<double> x = matrix({{1, 1}, {0, 0}});
  // First layer: μ = clamp((1 − √(‖g − 1‖/‖1‖))²), v = −g, x ← x + γ g.
  const Matrix<double> g0 = matrix({{1, 0}, {3, 1}});
  auto mu = adaptive_momentum_step(state, g0, .5, .01, x);
  EXPECT_NEAR(mu[0], std::pow(1 - std::sqrt(1 / std::sqrt(2.0)), 2), 1e-15);
  EXPECT_NEAR(mu[1], std::pow(1 - std::sqrt(2 / std::sqrt(2.0)), 2), 1e-15);
  expect_rows(x, {{1.5, 1}, {1.5, .5}}, 1e-15);
  // Second: ‖g − g_0‖/‖v_0‖.
  const Matrix<double> g1 = matrix({{1, 0}, {3, 2}});
  mu = adaptive_momentum_step(state, g1, .5, .01, x);
  EXPECT_DOUBLE_EQ(mu[0], .99) << "an unchanged update takes the most momentum, 1 − δ";
  const double m = std::pow(1 - std::sqrt(1 / std::sqrt(10.0)), 2);
  EXPECT_NEAR(mu[1], m, 1e-15);
  expect_rows(x, {{1.5 + .5 * 1.99, 1}, {1.5 + .5 * (3 * m + 3), .5 + .5 * (m + 2)}}, 1e-14);
  Matrix<double> other = matrix({{1, 2, 3}});
  expect_error(ErrorKind::kShape, "an update of", [&] { adaptive_momentum_step(state, g1, 1, .1, other); });
  expect_error(ErrorKind::kShape, "another shape",
               [&] { adaptive_momentum_step(state, other.copy(), 1, .1, other); });
}

// ---- All of them

TEST(Studies, ShapesAreChecked) {
  const Matrix<double> wide = matrix({{1, 2, 3}});
  const Matrix<double> empty;
  expect_error(ErrorKind::kShape, "no elements", [&] { softmax_attention(empty, kK, kV); });
  expect_error(ErrorKind::kShape, "Q has 3 columns, K 2", [&] { hard_retrieval(wide, kK, kV); });
  expect_error(ErrorKind::kShape, "K has 4 rows, V 1", [&] { momentum_attention(kQ, kK, wide, {}); });
  expect_error(ErrorKind::kShape, "Q has 1 rows, K 4", [&] {
    momentum_attention(matrix({{1, 2}}), kK, kV, {});
  });
  expect_error(ErrorKind::kShape, "projection has 3", [&] { positive_features(kQ, wide); });
  expect_error(ErrorKind::kShape, "projection has 3", [&] { performer_attention(kQ, kK, kV, wide); });
  EXPECT_TRUE(std::isinf(studies::largest_difference(kQ, wide)));
}

class EachStudy : public ::testing::TestWithParam<StudyInfo> {};

TEST_P(EachStudy, ItsClaimHolds) {
  const Arena arena(2);
  const StudyResult result = run_study(GetParam().name, 1, arena);
  EXPECT_TRUE(result.holds) << result.measured;
  EXPECT_EQ(result.info.name, GetParam().name);
  EXPECT_FALSE(result.measured.empty());
  ASSERT_FALSE(result.table.rows.empty());
  for (const auto& row : result.table.rows) EXPECT_EQ(row.size(), result.table.columns.size());
}

TEST_P(EachStudy, SameNumbersForAnyThreads) {
  const Arena one(1), seven(7);
  const StudyResult a = run_study(GetParam().name, 3, one), b = run_study(GetParam().name, 3, seven);
  EXPECT_TRUE(a.holds) << a.measured;
  EXPECT_EQ(a.table.rows, b.table.rows);
  EXPECT_EQ(a.measured, b.measured);
}

std::string test_name(const ::testing::TestParamInfo<StudyInfo>& study) {
  std::string name = study.param.name;
  std::erase(name, '-');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, EachStudy, ::testing::ValuesIn(study_list()), test_name);

TEST(Studies, UnknownName) {
  EXPECT_EQ(study_list().size(), 9u);
  expect_error(ErrorKind::kUsage, "did you mean \"performer\"", [] {
    const Arena arena(1);
    run_study("perfomer", 1, arena);
  });
}

}  // namespace
}  // namespace telos::positional
