#include "telos/symmetry/learning_theory.h"

#include <cmath>
#include <string>
#include <vector>

#include "learning_checks.h"
#include "telos/symmetry/learn_page.h"
#include "telos/symmetry/predict.h"
#include "tests/repeats.h"

namespace telos::symmetry {
namespace {

/// Energy 1 in (L) and 0.5 in (L−1,1) for uniform independent letters, beside a mean.
SequenceTarget two_part_target(double mean = 0) {
  const double psi[4] = {1, 1, -1, -1};
  std::vector<LinearFunction> f;
  f.push_back({mean, Matrix<double>(8, 4)});
  for (std::size_t v = 0; v < 4; ++v) {
    for (std::size_t b = 0; b < 8; ++b) f[0].table(b, v) = psi[v] / std::sqrt(8.0);
    f[0].table(0, v) += 0.5 * psi[v];
    f[0].table(1, v) -= 0.5 * psi[v];
  }
  return SequenceTarget::linear("two parts", std::move(f));
}

TEST(LearningTheory, KnownCurve) {
  const std::vector<double> samples{8, 128, 2048};
  const std::vector<TheoryPoint> theory = learning_theory(Law::iid(4), two_part_target(), {}, samples);
  ASSERT_EQ(theory.size(), 3u);
  EXPECT_NEAR(theory[0].error, 0.693167869917, 1e-11);
  EXPECT_NEAR(theory[0].train_error, 0.00475667864189, 1e-13);
  EXPECT_NEAR(theory[0].learnability[0], 0.6981778354, 1e-10);
  EXPECT_NEAR(theory[0].learnability[1], 0.204469769, 1e-9);
  EXPECT_NEAR(theory[1].error, 0.00267311383916, 1e-13);
  EXPECT_NEAR(theory[2].error, 0.000124137499586, 1e-14);
}

TEST(LearningTheory, IsWhatIsSimulatedUnderAnUrn) {
  const Arena arena(2);
  SimulationOptions o;
  o.samples = {8, 32, 128};
  o.draws = 200;
  const Law law = Law::polya(1, 4);
  const SequenceTarget target = SequenceTarget::copy(3, o.length, 4);
  const SimulatedCurve curve = simulate_learning(law, target, nullptr, o, arena);
  const std::vector<double> samples = theory_samples(o, 0);
  ASSERT_EQ(samples, (std::vector<double>{8, 32, 128}));
  const std::vector<TheoryPoint> theory = learning_theory(law, target, o, samples);
  ASSERT_EQ(theory.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const SimulatedPoint& p = curve.points[i];
    const auto agrees = [](const Estimate& e, double expected) {
      return std::abs(e.value - expected) < 4 * e.error;
    };
    EXPECT_TRUE(agrees(p.error, theory[i].error)) << p.error.value << " " << theory[i].error;
    EXPECT_TRUE(agrees(p.train_error, theory[i].train_error));
    EXPECT_TRUE(agrees(p.learnability[0], theory[i].learnability[0]));
    EXPECT_TRUE(agrees(p.learnability[1], theory[i].learnability[1]));
  }
}

/// Training under an urn, tests under uniform letters: the theory's error against that of regression.
TEST(LearningTheory, AnotherTestLaw) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Arena arena(2);
  SimulationOptions o;
  o.samples = {32, 128, 512};
  o.draws = 400;
  const Law law = Law::polya(1, 4), test = Law::iid(4);
  const SequenceTarget target = SequenceTarget::copy(3, o.length, 4);
  const SimulatedCurve curve = simulate_learning(law, target, &test, o, arena);
  // The target in all letters has energy 3/4, in four outputs with noise each; that of predict() has
  // energy 1.
  const double scale = curve.energy;
  const TokenLaw urn{.alpha = 1};
  const Prediction p =
      predict(simplified_spectrum({}, 4, 8, urn), parse_target("copy:3", 4, 8, urn),
              {.noise = 4 * o.noise / scale, .ridge = o.ridge, .points = 2000}, urn_correlation(8, 0));
  ASSERT_EQ(p.shifted.size(), p.theory.size());
  for (const SimulatedPoint& point : curve.points) {
    std::size_t at = 0;
    while (at + 1 < p.theory.size() && p.theory[at].samples < static_cast<double>(point.samples)) ++at;
    EXPECT_NEAR(scale * p.shifted[at] / point.test_error.value, 1,
                0.05 + 3 * point.test_error.error / point.test_error.value)
        << point.samples << ": " << point.test_error.value << " ± " << point.test_error.error;
  }
}

/// Variances of 0 take levels away: what the target has there is never learned, and a mean is learned as
/// well.
TEST(LearningTheory, OfLevelsThatAreNotThere) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Arena arena(2);
  const SequenceTarget target = two_part_target(0.7);
  for (const SimplifiedBlock& block :
       {SimplifiedBlock{.position = 0}, SimplifiedBlock{.token = 0}, SimplifiedBlock{},
        SimplifiedBlock{.average = AttentionAverage::kNone}}) {
    SimulationOptions o;
    o.samples = {16, 64};
    o.draws = 200;
    o.block = block;
    const SimulatedCurve curve = simulate_learning(Law::iid(4), target, nullptr, o, arena);
    const std::vector<TheoryPoint> theory = learning_theory(Law::iid(4), target, o, theory_samples(o, 0));
    ASSERT_EQ(theory.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      const SimulatedPoint& p = curve.points[i];
      EXPECT_NEAR(p.error.value, theory[i].error, 4 * p.error.error + 0.05 * theory[i].error);
      for (std::size_t part = 0; part < 2; ++part)
        EXPECT_NEAR(p.learnability[part].value, theory[i].learnability[part],
                    4 * p.learnability[part].error + 0.01);
    }
  }
  SimulationOptions nothing;
  nothing.block = {.token = 0, .position = 0};
  EXPECT_THROW(learning_theory(Law::iid(4), target, nothing, std::vector<double>{8}), Error);
}

// What followed is 1 − 1/V less the predictor's energy away from its law.
TEST(LearningTheory, LabelsOfTheNextLetterAreNoise) {
  const Arena arena(2);
  SimulationOptions o;
  o.samples = {32, 128};
  o.draws = 100;
  o.ridge = 0.3;
  const Law law = Law::polya(1, 4);
  const SequenceTarget target = SequenceTarget::next(law, o.length);
  const SimulatedCurve curve = simulate_learning(law, target, nullptr, o, arena);
  const std::vector<TheoryPoint> theory = learning_theory(law, target, o, theory_samples(o, 0));
  for (std::size_t i = 0; i < 2; ++i) {
    const SimulatedPoint& p = curve.points[i];
    EXPECT_NEAR(p.error.value, theory[i].error, 4 * p.error.error + 0.05 * theory[i].error);
    EXPECT_NEAR(p.train_error.value, theory[i].train_error, 4 * p.train_error.error);
  }
}

TEST(LearningTheory, OfOtherLawsAndTargetsThereIsNone) {
  const std::vector<double> samples{8};
  Random random(1);
  const Law chain = Law::mixture({Law::sticky_hmm(0.9, 3, 4, random)});
  EXPECT_TRUE(learning_theory(chain, two_part_target(), {}, samples).empty());
  EXPECT_TRUE(learning_theory(Law::iid(4), SequenceTarget::bigram(0, 1, 8, 4), {}, samples).empty());
}

}  // namespace
}  // namespace telos::symmetry
