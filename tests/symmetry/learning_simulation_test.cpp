#include "telos/symmetry/learning_simulation.h"

#include <cmath>

#include "learning_checks.h"
#include "telos/symmetry/learn_page.h"

namespace telos::symmetry {
namespace {

using namespace checks;

/// Energy 1 in (L), 0.5 in (L−1,1) for uniform independent letters: ψ_1 on letters, its sum over positions
/// over √L, and its difference of two positions.
SequenceTarget golden_target(std::size_t length) {
  const double psi[4] = {1, 1, -1, -1};
  std::vector<LinearFunction> f;
  f.push_back({0, Matrix<double>(length, 4)});
  for (std::size_t v = 0; v < 4; ++v) {
    for (std::size_t b = 0; b < length; ++b)
      f[0].table(b, v) = psi[v] / std::sqrt(static_cast<double>(length));
    f[0].table(0, v) += 0.5 * psi[v];
    f[0].table(1, v) -= 0.5 * psi[v];
  }
  return SequenceTarget::linear("golden", std::move(f));
}

void expect_within(const Estimate& measured, double known, double errors, double share) {
  EXPECT_LT(std::abs(measured.value - known), errors * measured.error + share * known)
      << measured.value << " ± " << measured.error << ", known " << known;
}

TEST(LearningSimulation, AgreesWithTheSelfConsistentTheory) {
  const Arena arena(2);
  SimulationOptions o;
  o.samples = {8, 32, 128};
  o.draws = 500;
  const SimulatedCurve curve = simulate_learning(Law::iid(4), golden_target(8), nullptr, o, arena);
  EXPECT_NEAR(curve.energy, 1.5, 1e-14);
  EXPECT_NEAR(curve.parts[0].energy, 1, 1e-14);
  EXPECT_NEAR(curve.parts[1].energy, 0.5, 1e-14);
  // E_g, E_train, learnability of (L) and (L−1,1) by κ and γ; at P = 8 modes are few and the theory is off by
  // a few percent.
  expect_within(curve.points[0].error, 0.693167869917, 3, 0.05);
  expect_within(curve.points[0].train_error, 0.00475667864189, 4, 0);
  expect_within(curve.points[0].learnability[0], 0.6981778354, 3, 0.05);
  expect_within(curve.points[0].learnability[1], 0.204469769, 3, 0.05);
  // Known from 300 draws, ± 0.0020.
  expect_within(curve.points[1].error, 0.0556, 4, 0.04);
  expect_within(curve.points[2].error, 0.00267311383916, 4, 0.03);
  expect_within(curve.points[2].train_error, 0.00828844040389, 4, 0);
  expect_within(curve.points[2].learnability[0], 0.9972596817, 4, 0);
  expect_within(curve.points[2].learnability[1], 0.9758662097, 4, 0.001);
  // The trivial irrep is learned first.
  for (const SimulatedPoint& p : curve.points)
    EXPECT_GT(p.learnability[0].value, p.learnability[1].value + 3 * p.learnability[1].error);
}

TEST(LearningSimulation, SameBitsForAnyNumberOfThreads) {
  SimulationOptions o;
  o.samples = {8, 140};
  o.draws = 5;
  o.test_points = 50;
  const Law law = Law::parse("hmm:2", 4, 1, ""), test = Law::iid(4);
  for (const char* text : {"copy:3", "bigram:1,2"}) {
    const SequenceTarget target = SequenceTarget::parse(text, law, 8, "");
    const SimulatedCurve a = simulate_learning(law, target, &test, o, Arena(1)),
                         b = simulate_learning(law, target, &test, o, Arena(3));
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(a.points[i].error.value, b.points[i].error.value);
      EXPECT_EQ(a.points[i].test_error.value, b.points[i].test_error.value);
      EXPECT_EQ(a.points[i].evidence.value, b.points[i].evidence.value);
    }
  }
}

TEST(LearningSimulation, SampledAndExactErrorsAgree) {
  // As a function of its values alone, not as a sum over positions: errors are sampled.
  const Arena arena(2);
  SimulationOptions o;
  o.samples = {40};
  o.draws = 60;
  const Law law = Law::polya(1, 4), test = Law::parse("hmm-sticky:0.9", 4, 3, "");
  const SequenceTarget exact = SequenceTarget::next(law, 8);
  const SimulatedCurve curve = simulate_learning(law, exact, &test, o, arena);
  EXPECT_TRUE(curve.exact);
  EXPECT_GT(curve.points[0].learnability[0].value, 0.3);
  EXPECT_TRUE(std::isnan(curve.points[0].learnability[1].value));  // the target has none
  // A mixture of one chain without memory is the same law, but its predictor is no linear function to telos.
  const Law blind = Law::mixture({{1, 4, {1}, {1}, {0.4, 0.3, 0.2, 0.1}}});
  const SequenceTarget sampled = SequenceTarget::next(blind, 8);
  EXPECT_TRUE(sampled.functions().empty());
  std::vector<LinearFunction> constants;
  for (const double p : {0.4, 0.3, 0.2, 0.1}) constants.push_back({p - 0.25, Matrix<double>(8, 4)});
  const SimulatedCurve a = simulate_learning(blind, sampled, nullptr, o, arena);
  EXPECT_FALSE(a.exact);
  EXPECT_NEAR(a.energy, 0.05, 1e-12);
  const SimulatedCurve b =
      simulate_learning(blind, SequenceTarget::linear("constants", std::move(constants)), nullptr, o, arena);
  EXPECT_NEAR(b.energy, 0.05, 1e-12);
}

TEST(LearningSimulation, AnotherTestLawIsExact) {
  // Trained to the end on one law, what is left under another is what the samples did not say.
  const Arena arena(2);
  SimulationOptions o;
  o.samples = {16, 1024};
  o.draws = 4;
  const Law law = Law::polya(1, 4), test = Law::iid(4);
  const SimulatedCurve curve = simulate_learning(law, SequenceTarget::copy(3, 8, 4), &test, o, arena);
  EXPECT_NEAR(curve.test_energy, 0.75, 1e-12);
  EXPECT_GT(curve.points[0].test_error.value, curve.points[0].error.value);
  EXPECT_LT(curve.points[1].test_error.value, 0.02);
}

TEST(LearningSimulation, FromData) {
  const Arena arena(2);
  SimulationOptions o;
  o.samples = {10, 200};
  o.draws = 5;
  const Law law = Law::iid(4);
  const Matrix<std::uint32_t> x = law.draw(300, 8, 3, 0, 0, arena);
  const SequenceTarget target = golden_target(8);
  Matrix<double> y(300, 1);
  for (std::size_t i = 0; i < 300; ++i) target.evaluate({x.row(i), 8}, {y.row(i), 1});
  const SimulatedCurve curve = learn_from_data(x, y, 4, o, arena);
  EXPECT_NEAR(curve.energy, 1.5, 0.3);
  EXPECT_GT(curve.points[0].error.value, 0.3);
  EXPECT_LT(curve.points[1].error.value, 0.01);
  // Spread over splits, which does not fall with their number.
  o.samples = {10};
  const auto spread = [&](std::size_t draws) {
    o.draws = draws;
    return learn_from_data(x, y, 4, o, arena).points[0].error.error;
  };
  EXPECT_NEAR(spread(400) / spread(50), 1, 0.4);
  o.samples = {300};
  expect_error([&] { learn_from_data(x, y, 4, o, arena); }, ErrorKind::kUsage, "leave none to test on");
}

TEST(LearningPage, HalfIsBetweenTwoPoints) {
  std::vector<SimulatedPoint> points(3);
  const double learned[] = {0.1, 0.25, 0.75};
  for (std::size_t i = 0; i < 3; ++i) {
    points[i].samples = std::size_t{8} << (2 * i);
    points[i].learnability = {{learned[i], 0}};
  }
  EXPECT_NEAR(half_learned(points, 0), 64, 1e-12);
  points[2].learnability[0].value = 0.4;
  EXPECT_TRUE(std::isnan(half_learned(points, 0)));
}

TEST(LearningPage, SaysWhatIsLearnedFirst) {
  const Arena arena(1);
  LearnRun run;
  run.law = "iid";
  run.target = "golden";
  run.letters = 4;
  run.options.samples = {4, 8, 32, 64};
  run.options.draws = 10;
  run.curve = simulate_learning(Law::iid(4), golden_target(8), nullptr, run.options, arena);
  const Report report = learn_report(run, {});
  EXPECT_THAT(report.verdict.sentence,
              ::testing::StartsWith("What is the same at all positions is half learned"));
  EXPECT_EQ(report.lead.at(0).id, "learnability");
  EXPECT_EQ(report.sections.at(0).tables.at(0).rows.size(), 4u);
}

TEST(LearningPage, OfATargetThatIsZero) {
  const Arena arena(1);
  LearnRun run;
  run.law = "iid";
  run.target = "next";
  run.letters = 4;
  run.options.samples = {4, 8};
  run.options.draws = 3;
  const Law law = Law::iid(4);
  run.curve = simulate_learning(law, SequenceTarget::next(law, 8), nullptr, run.options, arena);
  ASSERT_EQ(run.curve.energy, 0);
  const Report report = learn_report(run, {});
  EXPECT_EQ(report.verdict.sentence, "The target is 0: there is nothing to learn.");
  EXPECT_EQ(report.keys.at(0).note, "(at 8 samples)");
  const Table& drawn = report.lead.at(0).data;
  EXPECT_EQ(std::get<double>(drawn.rows.at(0).at(2)), run.curve.points[0].error.value);
}

TEST(LearningSimulation, RefusesWhatCannotBeSimulated) {
  const Arena arena(1);
  const Law law = Law::iid(4);
  const SequenceTarget target = golden_target(8);
  const auto with = [&](const auto& change) {
    return [&, change] {
      SimulationOptions o;
      change(o);
      simulate_learning(law, target, nullptr, o, arena);
    };
  };
  expect_error(with([](SimulationOptions& o) { o.samples = {}; }), ErrorKind::kUsage, "samples");
  expect_error(with([](SimulationOptions& o) { o.samples = {0}; }), ErrorKind::kUsage, "found 0");
  expect_error(with([](SimulationOptions& o) { o.draws = 1; }), ErrorKind::kUsage, "2 to 100000, found 1");
  expect_error(with([](SimulationOptions& o) { o.noise = -1; }), ErrorKind::kUsage, "found -1");
  expect_error(with([](SimulationOptions& o) { o.ridge = -1; }), ErrorKind::kUsage, "found -1");
  expect_error(with([](SimulationOptions& o) { o.length = 9; }), ErrorKind::kShape, "different lengths");
  expect_error(with([](SimulationOptions& o) {
                 o.ridge = 0;
                 o.samples = {64};
               }),
               ErrorKind::kNoConvergence, "ridge above");
}

}  // namespace
}  // namespace telos::symmetry
