#include "telos/symmetry/kernel_learning.h"

#include <cmath>
#include <string>
#include <vector>

#include "learning_checks.h"
#include "telos/symmetry/learn_page.h"
#include "tests/repeats.h"

namespace telos::symmetry {
namespace {

using namespace checks;

Architecture mean_readout(std::string_view name) {
  Architecture a = preset(name);
  a.readout = Readout::kMean;
  return a;
}

Architecture simplified_architecture() {
  Architecture a = preset("simplified");
  a.simplified->query = false;
  return a;
}

SimulationOptions few(std::size_t length, std::vector<std::size_t> samples, std::size_t draws,
                      double ridge = 0.01) {
  SimulationOptions o;
  o.length = length;
  o.samples = std::move(samples);
  o.draws = draws;
  o.ridge = o.noise = ridge;
  return o;
}

SimulatedCurve simulated(const Kernel& kernel, const Law& law, const SequenceTarget& target, const Law* test,
                         const SimulationOptions& o) {
  const Arena arena(2);
  return simulate_learning(kernel, law, target, test, o, learning_ground(kernel, law, o.length, arena),
                           arena);
}

// The same data sets, and the same numbers as from sums over positions.
TEST(KernelLearning, TheSimplifiedBlockAsItsOwnSimulation) {
  const Arena arena(2);
  SimulationOptions o = few(4, {5, 40}, 6);
  const Kernel kernel(simplified_architecture(), 3);
  Random random(1);
  const Law test = Law::mixture({Law::sticky_hmm(0.9, 2, 3, random)});
  for (const Law& law : {Law::iid(3), Law::polya(1, 3)}) {
    const SequenceTarget target = SequenceTarget::copy(2, 4, 3);
    const SimulatedCurve a = simulate_learning(law, target, &test, o, arena),
                         b = simulated(kernel, law, target, &test, o);
    EXPECT_TRUE(b.exact);
    EXPECT_NEAR(a.energy, b.energy, 1e-12);
    EXPECT_NEAR(a.test_energy, b.test_energy, 1e-12);
    ASSERT_EQ(b.parts.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(a.parts[i].energy, b.parts[i].energy, 1e-12);
    for (std::size_t i = 0; i < o.samples.size(); ++i) {
      const SimulatedPoint &one = a.points[i], &two = b.points[i];
      EXPECT_NEAR(one.error.value, two.error.value, 1e-9);
      EXPECT_NEAR(one.test_error.value, two.test_error.value, 1e-9);
      EXPECT_NEAR(one.train_error.value, two.train_error.value, 1e-9);
      EXPECT_NEAR(one.evidence.value, two.evidence.value, 1e-8);
      for (std::size_t part = 0; part < 2; ++part)
        EXPECT_NEAR(one.learnability[part].value, two.learnability[part].value, 1e-9);
    }
    const std::vector<double> samples{3, 40, 500};
    const std::vector<TheoryPoint> closed = learning_theory(law, target, o, samples),
                                   all = learning_theory(learning_ground(kernel, law, 4, arena), target, o,
                                                         samples);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      EXPECT_NEAR(closed[i].error, all[i].error, 1e-9);
      EXPECT_NEAR(closed[i].train_error, all[i].train_error, 1e-9);
      for (std::size_t part = 0; part < 2; ++part)
        EXPECT_NEAR(closed[i].learnability[part], all[i].learnability[part], 1e-9);
    }
  }
}

/// Simulation and theory at each P, in standard errors, and as a share of the theory.
void expect_theory(const Kernel& kernel, const Law& law, const SequenceTarget& target,
                   const SimulationOptions& o, std::size_t parts) {
  const Arena arena(2);
  const LearningGround ground = learning_ground(kernel, law, o.length, arena);
  const SimulatedCurve curve = simulate_learning(kernel, law, target, nullptr, o, ground, arena);
  const std::vector<TheoryPoint> theory = learning_theory(ground, target, o, theory_samples(o, 0));
  ASSERT_EQ(theory.size(), o.samples.size());
  ASSERT_EQ(curve.parts.size(), parts);
  const auto agrees = [](const Estimate& e, double expected) {
    constexpr double kErrors = 4, kShare = 0.06;
    return std::abs(e.value - expected) < kErrors * e.error + kShare * std::abs(expected);
  };
  for (std::size_t i = 0; i < theory.size(); ++i) {
    const SimulatedPoint& p = curve.points[i];
    EXPECT_TRUE(agrees(p.error, theory[i].error))
        << p.samples << ": " << p.error.value << " ± " << p.error.error << ", " << theory[i].error;
    EXPECT_TRUE(agrees(p.train_error, theory[i].train_error))
        << p.samples << ": " << p.train_error.value << " ± " << p.train_error.error << ", "
        << theory[i].train_error;
    for (std::size_t part = 0; part < parts; ++part)
      EXPECT_TRUE(agrees(p.learnability[part], theory[i].learnability[part]))
          << p.samples << " " << to_text(curve.parts[part].irrep) << ": " << p.learnability[part].value
          << " ± " << p.learnability[part].error << ", " << theory[i].learnability[part];
  }
}

TEST(KernelLearning, ReluAttentionAsTheory) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  // As many samples as there are sequences would be no independent draws of features any more.
  for (const bool ntk : {false, true}) {
    const Kernel kernel(mean_readout("relu-attention"), 4, {.ntk = ntk});
    const double ridge = ntk ? 0.1 : 0.01;
    expect_theory(kernel, Law::iid(4), SequenceTarget::copy(1, 5, 4), few(5, {16, 64, 256}, 100, ridge), 2);
    expect_theory(kernel, Law::iid(4), SequenceTarget::bigram(0, 1, 5, 4), few(5, {32, 128}, 100, ridge), 4);
  }
}

TEST(KernelLearning, SoftmaxWithAQueryAsTheory) {
  for (const bool ntk : {false, true}) {
    const Kernel kernel(preset("pre-ln-relu"), 2, {.ntk = ntk});
    expect_theory(kernel, Law::polya(1, 2), SequenceTarget::copy(1, 9, 2),
                  few(9, {16, 64, 256}, 100, ntk ? 0.1 : 0.01), 2);
  }
}

TEST(KernelLearning, DrawnAsWrittenDown) {
  const Arena arena(2);
  const Kernel kernel(preset("pre-ln-relu"), 3);
  SimulationOptions o = few(4, {24}, 40);
  o.test_points = 200;
  const Law law = Law::polya(1, 3), test = Law::iid(3);
  const SequenceTarget target = SequenceTarget::copy(1, 4, 3);
  const SimulatedCurve exact = simulated(kernel, law, target, &test, o),
                       drawn = simulate_learning(kernel, law, target, &test, o, {}, arena);
  EXPECT_FALSE(drawn.exact);
  EXPECT_NEAR(exact.energy, drawn.energy, 1e-12);
  ASSERT_EQ(drawn.parts.size(), 2u);
  const SimulatedPoint &a = exact.points[0], &b = drawn.points[0];
  EXPECT_NEAR(a.train_error.value, b.train_error.value, 1e-12) << "the same data sets";
  EXPECT_NEAR(a.error.value, b.error.value, 4 * b.error.error);
  EXPECT_NEAR(a.test_error.value, b.test_error.value, 4 * b.test_error.error);
  for (std::size_t part = 0; part < 2; ++part) {
    EXPECT_NEAR(exact.parts[part].energy, drawn.parts[part].energy, 1e-12);
    EXPECT_NEAR(a.learnability[part].value, b.learnability[part].value, 4 * b.learnability[part].error);
  }
}

TEST(KernelLearning, WhereThereIsNoTheory) {
  const Arena arena(1);
  const auto reason = [&](const Architecture& a, const Law& law, std::size_t length) {
    return learning_ground(Kernel(a, law.letters()), law, length, arena).no_theory;
  };
  Random random(1);
  const Law chain = Law::mixture({Law::sticky_hmm(0.9, 2, 3, random)});
  EXPECT_THAT(reason(mean_readout("pre-ln-relu"), Law::iid(4), 7), ::testing::HasSubstr("4^7"));
  EXPECT_THAT(reason(preset("causal"), Law::iid(2), 3), ::testing::HasSubstr("permutation"));
  EXPECT_THAT(reason(preset("sqrt-softmax"), Law::iid(2), 3), ::testing::HasSubstr("Monte Carlo"));
  EXPECT_THAT(reason(mean_readout("pre-ln-relu"), chain, 3), ::testing::HasSubstr("not exchangeable"));
  EXPECT_EQ(reason(mean_readout("pre-ln-relu"), Law::polya(1, 3), 3), "");
  // Errors under a law that is not exchangeable are exact all the same.
  const Kernel kernel(mean_readout("pre-ln-relu"), 3);
  const SimulatedCurve curve =
      simulated(kernel, chain, SequenceTarget::copy(1, 3, 3), nullptr, few(3, {40}, 3));
  EXPECT_TRUE(curve.exact);
  EXPECT_TRUE(curve.parts.empty());
  EXPECT_LT(curve.points[0].error.value, curve.energy);
  for (const char* name : {"causal", "sqrt-softmax"}) {
    SimulationOptions o = few(3, {6}, 2);
    o.test_points = 10;
    const Kernel drawn(preset(name), 3);
    EXPECT_FALSE(simulated(drawn, Law::iid(3), SequenceTarget::bigram(0, 1, 3, 3), nullptr, o).exact);
  }
}

TEST(KernelLearning, SameBitsForAnyNumberOfThreads) {
  const Kernel kernel(preset("pre-ln-relu"), 3);
  const Law law = Law::iid(3);
  const SequenceTarget target = SequenceTarget::bigram(0, 1, 3, 3);
  SimulationOptions o = few(3, {9, 70}, 3);
  o.test_points = 70;
  for (const bool drawn : {false, true}) {
    const auto run = [&](int threads) {
      const Arena arena(threads);
      return simulate_learning(kernel, law, target, nullptr, o,
                               drawn ? LearningGround{} : learning_ground(kernel, law, 3, arena), arena);
    };
    const SimulatedCurve a = run(1), b = run(3);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(a.points[i].error.value, b.points[i].error.value);
      EXPECT_EQ(a.points[i].evidence.value, b.points[i].evidence.value);
    }
  }
}

TEST(KernelLearning, FromData) {
  const Arena arena(2);
  const Matrix<std::uint32_t> x = random_sequences(60, 5, 3, 4);
  Matrix<double> y(60, 1);
  for (std::size_t i = 0; i < 60; ++i) y(i, 0) = x(i, 2) == 1 ? 1 : -0.5;
  const SimulationOptions o = few(5, {10, 50}, 4);
  const SimulatedCurve a = learn_from_data(x, y, 3, o, arena),
                       b = learn_from_data(Kernel(simplified_architecture(), 3), x, y, o, arena);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_NEAR(a.points[i].error.value, b.points[i].error.value, 1e-10);
    EXPECT_NEAR(a.points[i].evidence.value, b.points[i].evidence.value, 1e-10);
  }
  const SimulatedCurve tangent =
      learn_from_data(Kernel(mean_readout("pre-ln-relu"), 3, {.ntk = true}), x, y, o, arena);
  EXPECT_LT(tangent.points[1].error.value, tangent.points[0].error.value);
}

TEST(KernelLearning, ThePageSaysWhatIsMissing) {
  LearnRun run;
  run.law = "iid";
  run.target = "bigram:0,1";
  run.letters = 3;
  run.options = few(4, {8, 32}, 5);
  const Kernel kernel(mean_readout("relu-attention"), 3, {.ntk = true});
  run.architecture = describe(kernel.architecture());
  run.ntk = true;
  run.curve = simulated(kernel, Law::iid(3), SequenceTarget::bigram(0, 1, 4, 3), nullptr, run.options);
  run.no_theory = "the law is not exchangeable";
  const Report report = learn_report(run, {});
  EXPECT_THAT(report.verdict.sentence, ::testing::HasSubstr("(L−2,1,1) with"));
  EXPECT_THAT(report.verdict.basis, ::testing::HasSubstr("without theory: the law"));
  EXPECT_THAT(report.facts.at(0).remark, ::testing::HasSubstr("NTK"));
}

}  // namespace
}  // namespace telos::symmetry
