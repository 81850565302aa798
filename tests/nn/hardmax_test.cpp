// Layers of pure attention: a worked example to all its digits, and what the table of operations cannot say.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "telos/nn/executor.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

using Mode = HardmaxOptions::Mode;

/// Embedding, layers, mean, linear, cross-entropy, on one sample of `ids` with `counts`.
struct Classifier {
  ParameterLayout layout;
  std::unique_ptr<Graph> graph;
  std::vector<std::int32_t> ids;
  std::vector<double> counts;
  std::vector<double> values = {-0.3, 0.2, 0.8, 0.5, -0.6, 1.1, 1.2, -0.4, 0.7, 0.9, -1.3, 0.1};

  Classifier(std::vector<std::int32_t> i, std::vector<double> c, const HardmaxOptions& options)
      : ids(std::move(i)), counts(std::move(c)) {
    layout.add("E", 4, 2);
    layout.add("alpha", 1, 1);
    layout.add("v", 1, 2);
    layout.add("b", 1, 1);
    graph = std::make_unique<Graph>(layout);
    Graph& g = *graph;
    const Value w = g.input("counts", counts.size(), 1), target = g.input("target", 1, 1);
    const Value x = embedding(g, g.index_input("ids", ids.size()), g.parameter("E"));
    const Value z = hardmax_layers(g, x, g.parameter("alpha"), w, options);
    const Value logit = linear(g, {weighted_mean_pool(g, z, w)}, g.parameter("v"), g.parameter("b"));
    g.output("logit", logit);
    g.loss(binary_cross_entropy(g, logit, target));
  }

  struct Result {
    double logit = 0, loss = 0;
    std::vector<double> gradient;
  };
  Result run() const {
    const double one = 1;
    const Batch<double> batch{
        .samples = 1, .real = {{counts.data(), counts.size(), 1}, {&one, 1, 1}}, .index = {ids}};
    Executor<double> executor(*graph);
    Result out;
    const MatrixView<double> logit(&out.logit, 1, 1);
    const Arena arena(1);
    executor.forward(values, batch, {&logit, 1}, arena);
    out.gradient.resize(values.size());
    out.loss = executor.gradient(values, batch, out.gradient, arena);
    return out;
  }
};

constexpr double kDigits = 6e-11;

HardmaxOptions soft(double temperature) {
  return {.mode = Mode::kSoft, .layers = 2, .temperature = temperature};
}

void expect_worked_example(const Classifier::Result& r) {
  EXPECT_NEAR(r.logit, -0.5604897102, kDigits);
  EXPECT_NEAR(r.loss, 1.0121571324, kDigits);
  const double gradient[] = {-0.1092705762, 0.1302240611,  -0.1850364821, 0.2218645841,
                             -0.3199668390, 0.5837823868,  -0.3184981547, 0.2079190249,
                             0.0497498075,  -0.0444688533, -0.3542055051, -0.6365658422};
  for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(r.gradient[i], gradient[i], kDigits) << i;
}

TEST(HardmaxLayers, AreTheWorkedExample) {
  expect_worked_example(Classifier({1, 2, 3, 2, 0}, {1, 1, 1, 1, 1}, soft(0.5)).run());
}

TEST(HardmaxLayers, MergingEqualTokensChangesNothing) {
  expect_worked_example(Classifier({1, 2, 3, 0}, {1, 2, 1, 1}, soft(0.5)).run());
  expect_worked_example(Classifier({3, 3, 2, 1, 1, 0, 2}, {1, 0, 1, 1, 0, 1, 1}, soft(0.5)).run());
}

TEST(HardmaxLayers, AtLowTemperatureSoftIsHard) {
  const Classifier::Result hard =
      Classifier({1, 2, 3, 2, 0}, {1, 1, 1, 1, 1}, {.mode = Mode::kHard, .layers = 2}).run();
  EXPECT_NEAR(hard.logit, -0.6483460208, kDigits);
  const Classifier::Result cold = Classifier({1, 2, 3, 2, 0}, {1, 1, 1, 1, 1}, soft(1e-4)).run();
  EXPECT_NEAR(cold.logit, hard.logit, 1e-12);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(cold.gradient[i], hard.gradient[i], 1e-12) << i;
}

// The default leaves out less than n·e^−25 of a row.
TEST(HardmaxLayers, TheCutIsBelowThePrecisionOfFloat) {
  HardmaxOptions cut = soft(0.05), all = cut;
  all.cut = std::numeric_limits<double>::infinity();
  const auto run = [](const HardmaxOptions& o) { return Classifier({1, 2, 3, 0}, {1, 2, 1, 1}, o).run(); };
  const Classifier::Result with = run(cut), without = run(all);
  EXPECT_NE(with.logit, without.logit);
  EXPECT_NEAR(with.logit, without.logit, 1e-9);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(with.gradient[i], without.gradient[i], 1e-8) << i;
}

TEST(HardmaxLayers, ANumberThatIsNoneStaysNone) {
  Classifier c({1, 2, 3, 0}, {1, 2, 1, 1}, soft(0.5));
  c.values[0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(c.run().loss));
}

TEST(HardmaxLayers, NoTokensLeaveTheBias) {
  EXPECT_EQ(Classifier({1, 2}, {0, 0}, soft(0.5)).run().logit, 0.1);
}

}  // namespace
}  // namespace telos::nn
