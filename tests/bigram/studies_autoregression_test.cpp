#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "bigram/studies/autoregression.h"
#include "bigram/studies/mesa.h"
#include "reference/in_context.h"
#include "telos/bigram/studies.h"
#include "tests/bigram/in_context.h"
#include "tests/bigram/oracle.h"
#include "tests/bigram/study_runs.h"

namespace telos::bigram::studies {
namespace {

namespace reference = telos::reference::in_context;
using Phases = std::vector<std::complex<double>>;

TEST(Mesa, LimitOfTheProduct) {
  EXPECT_NEAR(mesa::limit_product(mesa::gaussian_moments(5, 1), 100), 0.191905088526, 1e-12);
  EXPECT_NEAR(mesa::limit_product(mesa::gaussian_moments(5, 0.5), 100), 0.767620354102, 1e-12);
  EXPECT_NEAR(mesa::limit_product(mesa::gaussian_moments(5, 2), 100), 0.047976272131, 1e-12);
  EXPECT_NEAR(mesa::limit_product(mesa::gaussian_moments(5, 2), 100000), 1.0 / 20, 1e-5);
}

/// W_KQ = [0 0; aI 0], W_PV = [bI 0].
struct Blocks {
  reference::ComplexMat w_pv, w_kq;
};
Blocks blocks(std::size_t d, double a, double b) {
  Blocks m{reference::ComplexMat(d, reference::ComplexVector(2 * d)),
           reference::ComplexMat(2 * d, reference::ComplexVector(2 * d))};
  for (std::size_t j = 0; j < d; ++j) {
    m.w_pv[j][j] = b;
    m.w_kq[d + j][j] = a;
  }
  return m;
}

TEST(Mesa, TwoScalarsAreTheBlockMatrices) {
  const std::vector<double> start = test::random_vector(3, 1);
  const Phases phase = {std::polar(1.0, 0.3), std::polar(1.0, 2.0), std::polar(1.0, -1.1)};
  const double a = 0.7, b = 0.4, c = a * b;
  const mesa::Sums sums = mesa::sums_of(start, phase, 8);
  const Blocks m = blocks(3, a, b);
  EXPECT_NEAR(0.5 * (c * c * sums.square - 2 * c * sums.cross + sums.target),
              reference::mesa_loss(start, phase, 8, m.w_pv, m.w_kq), 1e-12);
}

TEST(Mesa, ExpectedSumsAreTheMeanOverPhases) {
  const std::vector<double> start = {0.9, -0.4, 1.3};
  const mesa::Sums expected = mesa::expected_sums(start, 6);
  const auto mean = [&](double mesa::Sums::*member) {
    return test::mean_over_phases(
        3, 16, [&](const Phases& phase) { return mesa::sums_of(start, phase, 6).*member; });
  };
  EXPECT_NEAR(mean(&mesa::Sums::cross), expected.cross, 1e-11);
  EXPECT_NEAR(mean(&mesa::Sums::square), expected.square, 1e-11);
  EXPECT_NEAR(mean(&mesa::Sums::target), expected.target, 1e-11);
}

/// Mean loss over phases and over starts (±u, ±v), (±v, ±u), which have the symmetries of the Gaussian law.
double symmetric_loss(const Blocks& m) {
  return test::mean_over_phases(2, 12, [&](const Phases& phase) {
    double sum = 0;
    for (const double u : {0.8, -0.8})
      for (const double v : {1.1, -1.1})
        for (const std::vector<double>& start : {std::vector<double>{u, v}, {v, u}})
          sum += reference::mesa_loss(start, phase, 4, m.w_pv, m.w_kq) / 8;
    return sum;
  });
}

TEST(Mesa, OtherEntriesOfTheMatricesStayZero) {
  Blocks m = blocks(2, 0.6, 0.5);
  const auto slope_by = [&](reference::Complex& entry, reference::Complex direction) {
    double along = 0;
    const reference::Complex kept = entry;
    const double result = test::slope(along, [&] {
      entry = kept + along * direction;
      return symmetric_loss(m);
    });
    entry = kept;
    return result;
  };
  for (reference::ComplexMat* matrix : {&m.w_pv, &m.w_kq}) {
    const std::size_t below = matrix == &m.w_kq ? 2 : 0;  // rows above the block
    std::vector<double> moving;
    for (std::size_t i = 0; i < matrix->size(); ++i)
      for (std::size_t j = 0; j < 4; ++j) {
        const double real = slope_by((*matrix)[i][j], {1, 0});
        EXPECT_NEAR(slope_by((*matrix)[i][j], {0, 1}), 0, 1e-9);
        if (i >= below && i - below == j)
          moving.push_back(real);
        else
          EXPECT_NEAR(real, 0, 1e-9) << i << " " << j;
      }
    ASSERT_EQ(moving.size(), 2u);
    EXPECT_NEAR(moving[0], moving[1], 1e-9);
    EXPECT_GT(std::abs(moving[0]), 0.1);
  }
}

TEST(Autoregression, AugmentedLossIsTheMeanOverPhases) {
  const std::vector<double> eta = {0.1, -0.2, 0.4};
  EXPECT_NEAR(autoregressive::augmented_loss(3, eta),
              test::mean_over_phases(
                  3, 10, [&](const Phases& lambda) { return reference::augmented_error(eta, lambda); }),
              1e-12);
}

TEST(Autoregression, BestAugmented) {
  const autoregressive::OneStep best = autoregressive::best_augmented(4, 5);
  EXPECT_EQ(best.eta, 0.125);
  EXPECT_EQ(best.loss, 1.5);
  std::vector<double> eta(5, best.eta);
  EXPECT_NEAR(autoregressive::augmented_loss(4, eta), 1.5, 1e-14);
  for (double& value : eta)
    EXPECT_NEAR(test::slope(value, [&] { return autoregressive::augmented_loss(4, eta); }), 0, 1e-9);
}

Matrix<double> oracle_heads() {
  return test::matrix({{.5, .1, -.2, .3}, {.2, .4, .1, 0}, {0, -.1, .6, .2}, {.1, .1, .1, .7}});
}
const std::vector<double> kMask = {.1, -.2, .3, .25, .8};

TEST(Autoregression, MaskedLossIsTheMeanOverPhases) {
  const Matrix<double> c = oracle_heads();
  EXPECT_NEAR(autoregressive::masked_loss(c, kMask), 1.827775, 1e-12);
  const auto rows = test::rows_of(c);
  EXPECT_NEAR(test::mean_over_phases(
                  4, 13, [&](const Phases& lambda) { return reference::masked_error(rows, kMask, lambda); }),
              1.827775, 1e-12);
  // With p_{T−1}²‖C‖²_F once more, as a published program has it: the same minimum, another loss.
  double squares = 0;
  for (std::size_t i = 0; i < c.size(); ++i) squares += c.data()[i] * c.data()[i];
  EXPECT_NEAR(autoregressive::masked_loss(c, kMask) + kMask[3] * kMask[3] * squares, 1.9234, 5e-5);
}

TEST(Autoregression, MaskedErrorIsThatOfTheDefinition) {
  const Matrix<double> c = oracle_heads();
  const Phases lambda = {std::polar(1.0, 0.3), std::polar(1.0, 2.0), std::polar(1.0, -1.1),
                         std::polar(1.0, 0.9)};
  for (std::size_t length = 1; length <= 5; ++length) {
    const std::vector<double> p(kMask.end() - static_cast<std::ptrdiff_t>(length), kMask.end());
    EXPECT_NEAR(autoregressive::masked_error(c, p, lambda),
                reference::masked_error(test::rows_of(c), p, lambda), 1e-12);
  }
}

TEST(Autoregression, MaskedGradient) {
  for (std::size_t length = 1; length <= 5; ++length) {
    Matrix<double> c = oracle_heads(), by_c(4, 4);
    std::vector<double> p(kMask.end() - static_cast<std::ptrdiff_t>(length), kMask.end()), by_p(length);
    const double loss = autoregressive::masked_gradient(c, p, by_c, by_p);
    const auto f = [&] { return autoregressive::masked_loss(c, p); };
    EXPECT_EQ(loss, f());
    for (std::size_t i = 0; i < c.size(); ++i) EXPECT_NEAR(by_c.data()[i], test::slope(c.data()[i], f), 1e-9);
    for (std::size_t t = 0; t < length; ++t) EXPECT_NEAR(by_p[t], test::slope(p[t], f), 1e-9);
  }
}

TEST(Autoregression, ShiftWithAllHeadsHasNoLossAndEachMissingHeadCostsOne) {
  const std::vector<double> shift = {0, 0, 0, 0.4};
  Matrix<double> c(3, 3);
  for (std::size_t heads = 1; heads <= 3; ++heads) {
    c(heads - 1, heads - 1) = 1 / 0.4;
    EXPECT_NEAR(autoregressive::masked_loss(c, shift), 3 - static_cast<double>(heads), 1e-14);
  }
}

TEST(AutoregressionStudies, HoldForSeedsWithAnyNumberOfThreads) {
  test::expect_holds("mesa", {{"length", 20}, {"sequences", 20000}, {"sigma", 0.5}, {"c", 1.5}});
  test::expect_holds("autoregression", {{"d", 4}, {"length", 6}, {"heads", 3}});
}

TEST(AutoregressionStudies, TrainedProductIsThatOfTheTheory) {
  const StudyResult result = run_study("mesa", {}, 1, Arena(2));
  EXPECT_TRUE(result.holds);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(result.checks[i].found, 0.191905088526, 0.003);
  EXPECT_NEAR(result.checks[4].found, 1, 1e-6);
}

TEST(AutoregressionStudies, TooFewStepsDoNotHold) {
  EXPECT_FALSE(run_study("autoregression", {{"steps", 3}}, 1, Arena(1)).holds);
  EXPECT_FALSE(run_study("mesa", {{"length", 20}, {"sequences", 1000}, {"epochs", 1}}, 1, Arena(1)).holds);
}

}  // namespace
}  // namespace telos::bigram::studies
