// Models as graphs of the engine: the published numbers, the plans among each other, and every kind against
// the reference and its exact gradients.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/nn/optimizer.h"
#include "tests/positional/model_support.h"

namespace telos::positional::test {
namespace {

using Plan = LayerPlan;

Model toy(const char* kind) {
  Model model{.config = toy_config(kind), .layout = {}, .values = {}, .origin = "oracle"};
  model.layout = layout(model.config);
  model.values = sine_parameters(model.layout.size());
  return model;
}

Model full(const char* kind) {
  Model model{.config = with_kind({}, kind), .layout = {}, .values = {}, .origin = "oracle"};
  model.layout = layout(model.config);
  model.values = generator_parameters(model.layout.size());
  return model;
}

GraphOptions with_plan(const Model& model, Plan plan) {
  GraphOptions options{.loss = GraphOptions::Loss::kMse};
  options.plans.assign(model.config.depth(), plan);
  return options;
}

/// The oracles carry 11 digits; 1e-9 leaves room for their last one and for nothing else.
void expect_norms(const Model& model, const std::vector<double>& gradient,
                  const std::map<std::string, double>& norms) {
  for (const auto& [name, expected] : norms) {
    const double found = norm(part(gradient, model.layout[model.layout.find(name)]));
    EXPECT_NEAR(found, expected, 1e-9 * expected) << name;
  }
}

/// The model after `steps` Adam steps at the published rate, and its loss.
struct Trained {
  Model model;
  double loss;
};
Trained after_adam(const Model& model, const Samples& s, const GraphOptions& options, std::size_t steps) {
  const nn::Graph graph = build_graph(model.config, model.layout, options);
  nn::Executor<double> executor(graph);
  nn::Optimizer<double> adam(model.layout, {});
  Trained trained{.model = model, .loss = 0};
  std::vector<double> gradient(model.values.size());
  const nn::Batch<double> batch{.samples = s.count, .real = {s.x, s.target}, .index = {}};
  const Arena arena(1);
  for (std::size_t i = 0; i < steps; ++i) {
    executor.gradient(trained.model.values, batch, gradient, arena);
    adam.step(trained.model.values, gradient, 5e-4);
  }
  trained.loss = executor.loss(trained.model.values, batch, arena);
  return trained;
}

const std::map<std::string, double> kToyNorms = {
    {"encoding.weight", 5.6439881699e-2},       {"encoding.bias", 1.1323693461e-1},
    {"decoding.weight", 4.2407638356},          {"decoding.bias", 3.3872189046},
    {"layers.0.qk.weight", 2.0938156111e-2},    {"layers.0.qk.bias", 1.1048357502e-2},
    {"layers.0.v.weight", 6.3931056899e-2},     {"layers.0.v.bias", 5.6311714376e-2},
    {"layers.0.o.weight", 2.4307897377e-1},     {"layers.0.o.bias", 1.0827344366e-1},
    {"layers.0.mlp.0.weight", 2.6973738684e-1}, {"layers.0.mlp.0.bias", 7.8294651419e-2},
    {"layers.0.mlp.2.weight", 1.7299660065},    {"layers.0.mlp.2.bias", 1.5926189930},
    {"layers.1.qk.weight", 1.0138172344e-1},    {"layers.1.qk.bias", 4.0671019931e-2},
    {"layers.1.v.weight", 7.5930927503e-1},     {"layers.1.v.bias", 5.2938712221e-1},
    {"layers.1.o.weight", 3.5394981979},        {"layers.1.o.bias", 1.4309881898},
    {"layers.1.mlp.0.weight", 2.5282645866},    {"layers.1.mlp.0.bias", 8.0952739580e-1},
    {"layers.1.mlp.2.weight", 3.0776140956},    {"layers.1.mlp.2.bias", 3.8832746163},
};

TEST(Oracle, ToyPositionalInEachPlan) {
  const Model model = toy("positional");
  const Samples s = toy_samples();
  const double y[] = {1.715834522675, 1.775008046674, 1.809553328064, 1.715738155881,
                      1.753434880264, 1.705831242583, 1.851994693480, 1.709839943077};
  for (const Plan plan : {Plan::kPlain, Plan::kF1, Plan::kF2}) {
    SCOPED_TRACE(static_cast<int>(plan));
    const GraphOptions options = with_plan(model, plan);
    const auto pass = run_engine<double>(model, s, options);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(pass.y(i, 0), y[i], 1e-12);
    EXPECT_NEAR(pass.loss, 3.49802325970978, 1e-13);
    EXPECT_NEAR(norm(std::span<const double>(pass.gradient)), 9.066618338080, 1e-11);
    double sum = 0;
    for (const double g : pass.gradient) sum += g;
    EXPECT_NEAR(sum, -6.157280801292, 1e-11);
    expect_norms(model, pass.gradient, kToyNorms);
    const nn::ParameterInfo& qk = model.layout[model.layout.find("layers.0.qk.weight")];
    EXPECT_NEAR(pass.gradient[qk.offset], 1.1161143019e-3, 1e-12);
    const auto bias = part(pass.gradient, model.layout[model.layout.find("layers.0.qk.bias")]);
    const double query[] = {5.031e-3, -4.526e-3, 4.117e-4, 4.031e-3};
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(bias[i], query[i], 6e-7);
    for (std::size_t i = 4; i < 8; ++i) EXPECT_LT(std::abs(bias[i]), 1e-17);
    EXPECT_NEAR(after_adam(model, s, options, 1).loss, 3.46688916214884, 1e-10 * 3.5);
    const Trained trained = after_adam(model, s, options, 10);
    EXPECT_NEAR(trained.loss, 3.204536779526, 1e-8 * 3.2);
    // The published output of the all-zero sample is that of the trained net.
    const Matrix<double> zero = evaluate<double>(trained.model, Matrix<double>(1, 4), 0, Arena(1));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(zero(0, i), 1.6106158126332986, 1e-8);
  }
}

TEST(Oracle, ToyStandard) {
  const Model model = toy("standard");
  ASSERT_EQ(model.layout.size(), 355u);
  const double y[] = {.058948044770, .132179318438, .081988398832, .153787619000,
                      .093682468899, .096287962435, .103475650652, .157866329366};
  const Samples s = toy_samples();
  for (const Plan plan : {Plan::kPlain, Plan::kF1}) {
    const auto pass = run_engine<double>(model, s, with_plan(model, plan));
    for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(pass.y(i, 0), y[i], 1e-12);
    EXPECT_NEAR(pass.loss, .69384378548805, 1e-13);
    EXPECT_NEAR(norm(std::span<const double>(pass.gradient)), 3.755845865006e-1, 1e-12);
    EXPECT_NEAR(after_adam(model, s, with_plan(model, plan), 1).loss, .69294268889785, 1e-10);
  }
}

TEST(Oracle, FullSizePositional) {
  const Model model = full("positional");
  ASSERT_EQ(model.layout.size(), 84577u);
  const Samples s = cumulative_sums(8, {.5, -1.25, 2, .75, -3, 1.5, 1, -.5, 0});
  const double y[] = {-.0309111252, -.1560586590, -.0831759800, -.0338610520, -.1719196056,
                      -.0684390163, -.0526205829, -.0604319983, -.0374914626};
  for (const Plan plan : {Plan::kPlain, Plan::kF1, Plan::kF2}) {
    const auto pass = run_engine<double>(model, s, with_plan(model, plan));
    for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(pass.y(i, 0), y[i], 1e-10);
    EXPECT_NEAR(pass.loss, 1.3865710830, 1e-10);
    EXPECT_NEAR(norm(std::span<const double>(pass.gradient)), 40.916543681, 1e-8);
    expect_norms(model, pass.gradient,
                 {{"encoding.weight", 2.6004693205},
                  {"layers.0.qk.weight", 1.7278299107e-2},
                  {"layers.3.qk.weight", 1.4786274983e-2},
                  {"layers.2.v.weight", 8.3575228376},
                  {"layers.1.mlp.0.weight", 10.847747639},
                  {"layers.3.mlp.2.weight", 11.395446373}});
    const nn::ParameterInfo& qk = model.layout[model.layout.find("layers.1.qk.weight")];
    EXPECT_NEAR(pass.gradient[qk.offset + 3], -1.4183853071e-4, 1e-13);
  }
}

// ---- Plans

TEST(Plans, AreTheSameFunctionWithTheSameGradients) {
  const ModelConfig configs[] = {
      with_kind({.nodes = 3, .width = 4, .heads = 2, .hidden = 3, .layers = 2}, "positional"),
      with_kind({.nodes = 8, .width = 16, .heads = 4, .hidden = 24, .layers = 3}, "positional"),
      with_kind({.bias = false, .nodes = 5, .width = 12, .heads = 3, .hidden = 8, .layers = 3}, "positional"),
      with_kind({.nodes = 5, .width = 12, .heads = 3, .hidden = 8, .mlp_layers = 4, .layers = 3}, "m1"),
      with_kind({.vocabulary = 9, .nodes = 6, .width = 8, .heads = 2, .hidden = 8, .mlp_layers = 1},
                "positional"),
      with_kind({.nodes = 6, .width = 8, .heads = 2, .hidden = 8}, "standard"),
  };
  for (const ModelConfig& config : configs) {
    SCOPED_TRACE(config_json(config));
    const Model model = initial_model(config, 3);
    const Samples s = random_samples(config, config.nodes, 40, 5);
    const auto plain = run_engine<double>(model, s, with_plan(model, Plan::kPlain));
    const auto plain_single = run_engine<float>(model, s, with_plan(model, Plan::kPlain));
    for (const Plan plan : {Plan::kF1, Plan::kF2}) {
      if (plan == Plan::kF2 && config.source == ModelConfig::Source::kFeatures) continue;
      const auto folded = run_engine<double>(model, s, with_plan(model, plan));
      EXPECT_LT(std::abs(folded.loss - plain.loss), 1e-12 * plain.loss);
      const auto single = run_engine<float>(model, s, with_plan(model, plan));
      EXPECT_LT(std::abs(single.loss - plain_single.loss), 2e-5 * plain.loss);
      const double size = norm(std::span<const double>(plain.gradient));
      for (const nn::ParameterInfo& p : model.layout.entries()) {
        // Key biases have the gradient 0 up to rounding: no relative error.
        const double floor = 1e-3 * size;
        const auto expected = part(plain.gradient, p);
        const double scale = std::max(norm(expected), floor);
        double difference = 0, difference_single = 0;
        for (std::size_t i = 0; i < p.size(); ++i) {
          difference = std::hypot(difference, folded.gradient[p.offset + i] - expected[i]);
          difference_single =
              std::hypot(difference_single, static_cast<double>(single.gradient[p.offset + i]) - expected[i]);
        }
        EXPECT_LT(difference, 1e-12 * scale) << p.name;
        EXPECT_LT(difference_single, 2e-5 * scale) << p.name;
      }
    }
  }
}

TEST(Plans, TheCheapestFollowsTheCount) {
  using Plans = std::vector<Plan>;
  EXPECT_EQ(cheapest_plans({}, 8, 1000), Plans(4, Plan::kF2));
  // (1 + H)h² = 49,152 of F2 is above d² + 2dh + dh of F1 at h = 128, except in the first layer, where rows
  // have one column.
  const Plans wide = cheapest_plans({.hidden = 128}, 8, 2048);
  EXPECT_EQ(wide, (Plans{Plan::kF2, Plan::kF1, Plan::kF1, Plan::kF1}));
  // Folding costs the same whatever the batch: not worth it for one sample.
  const Plans single = cheapest_plans({}, 8, 1);
  EXPECT_EQ(std::count(single.begin(), single.end(), Plan::kF2), 0);
  EXPECT_EQ(cheapest_plans(with_kind({}, "standard"), 8, 1000), Plans(4, Plan::kF1));
  EXPECT_EQ(cheapest_plans(with_kind({}, "gin"), 8, 1000), Plans(4, Plan::kPlain));
}

TEST(Plans, CostsAreThoseOfTheGraph) {
  // Without mixing of the single input column and the encoder the published count: 20,480 + 576 plain.
  const std::vector<PlanCost> costs = explain_plans({}, 8, 1000);
  ASSERT_EQ(costs.size(), 12u);
  EXPECT_DOUBLE_EQ(costs[3].per_sample, 6.0 * 9 * (64 * 64 + 2 * 64 * 64 + 2 * 64 * 64 + 9 * 64));
  EXPECT_DOUBLE_EQ(costs[5].per_sample, 6.0 * 9 * (3 * 64 * 64 + 9 * 2 * 64));
  for (const Plan plan : {Plan::kPlain, Plan::kF1, Plan::kF2}) {
    const ModelConfig config;
    GraphOptions options{.loss = GraphOptions::Loss::kNone};
    options.plans.assign(4, plan);
    const nn::Graph graph = build_graph(config, layout(config), options);
    double expected = 0;
    for (const PlanCost& cost : costs)
      if (cost.plan == plan) expected += cost.per_sample / 3;
    EXPECT_NEAR(graph.flops_per_sample(), expected, 0.02 * expected);
  }
}

TEST(Plans, CostsAreThoseOfTheGraphForEveryKindAndDepth) {
  for (const std::string& kind : kinds())
    for (const std::size_t mlp_layers : {1u, 2u, 3u}) {
      const ModelConfig config =
          with_kind({.out_dim = 48, .hidden = 96, .mlp_layers = mlp_layers, .layers = 3}, kind);
      const std::vector<PlanCost> costs = explain_plans(config, 8, 1000);
      const std::size_t plans = costs.size() / config.depth();
      for (std::size_t p = 0; p < plans; ++p) {
        GraphOptions options{.loss = GraphOptions::Loss::kNone};
        options.plans.assign(config.depth(), costs[p].plan);
        const nn::Graph graph = build_graph(config, layout(config), options);
        double expected = 0;
        for (std::size_t l = 0; l < config.depth(); ++l) expected += costs[l * plans + p].per_sample / 3;
        // What is not multiplied, softmax and activations, makes up the rest.
        EXPECT_NEAR(graph.flops_per_sample(), expected, 0.03 * expected)
            << kind << ", MLPs of " << mlp_layers << ", plan " << p;
      }
    }
}

TEST(Plans, RefusesWhatAModelCannotTake) {
  const ModelConfig standard = with_kind({}, "standard"), gin = with_kind({}, "gin");
  GraphOptions options;
  options.plans.assign(4, Plan::kF2);
  EXPECT_THROW(build_graph(standard, layout(standard), options), Error);
  EXPECT_THROW(build_graph(gin, layout(gin), options), Error);
  options.plans.assign(3, Plan::kPlain);
  EXPECT_THROW(build_graph(standard, layout(standard), options), Error);
  EXPECT_THROW(build_graph(standard, layout(standard), {.length = 9}), Error);
  EXPECT_THROW(build_graph(standard, layout(standard), {.loss = GraphOptions::Loss::kMse, .loss_rows = 10}),
               Error);
}

// ---- Every kind against the reference

struct Case {
  std::string name;
  ModelConfig config;
  std::size_t length = 0;
  GraphOptions::Loss loss = GraphOptions::Loss::kMse;
  std::size_t loss_rows = 0;
};

std::vector<Case> cases() {
  const ModelConfig small{.nodes = 5, .scratch = 1, .width = 8, .heads = 2, .hidden = 6, .layers = 2};
  std::vector<Case> all;
  for (const std::string& kind : kinds()) {
    all.push_back({kind, with_kind(small, kind)});
    all.push_back({kind + "_short", with_kind(small, kind), 3});
    ModelConfig bare = with_kind(small, kind);
    bare.bias = false;
    all.push_back({kind + "_bare", bare});
    ModelConfig deep = with_kind(small, kind);
    deep.mlp_layers = 3;
    all.push_back({kind + "_deep", deep});
  }
  ModelConfig config = small;
  config.mlp_layers = 1;
  all.push_back({"linear", config});
  config = with_kind(small, "hybrid");
  config.encoding = Encoding::kBinary;
  all.push_back({"binary", config});
  config = small;
  config.encoding = Encoding::kSinusoidal;
  config.encoding_dim = 4;
  config.rope = ModelConfig::Rope::kTrue;
  all.push_back({"rotated_positions", config, 4});
  config = with_kind(small, "hybrid");
  config.hard = true;
  all.push_back({"hard_content", config});
  config = small;
  config.direct_logits = config.hard = true;
  config.scratch = 2;
  all.push_back({"hard_logits", config, 2});
  config = small;
  config.in_dim = 3, config.out_dim = 2, config.scratch = 0;
  all.push_back({"wide_input", config});
  config.out_dim = 4;
  all.push_back({"classes", config, 0, GraphOptions::Loss::kCrossEntropy});
  config = small;
  config.vocabulary = 7;
  all.push_back({"tokens", config, 0, GraphOptions::Loss::kMse, 1});
  config = with_kind(config, "standard");
  config.out_dim = 5;
  all.push_back({"tokens_standard", config, 4, GraphOptions::Loss::kCrossEntropy, 2});
  return all;
}

class EachKind : public testing::TestWithParam<Case> {};

// Outputs and gradients against the reference: 1e-11 relative in double, which is 10⁵ eps for products of at
// most some dozen terms through two layers. Biases are random too: the initial ones are 0 in places.
TEST_P(EachKind, AgreesWithTheReference) {
  const Case& c = GetParam();
  Model model = initial_model(c.config, 11);
  Random rng(12);
  const bool bare = !c.config.bias;
  for (const nn::ParameterInfo& p : model.layout.entries())
    for (std::size_t i = 0; i < p.size(); ++i)
      if (!bare || !p.name.ends_with(".bias") || p.name.ends_with("qk.bias"))
        model.values[p.offset + i] += 0.3 * rng.normal();
  const Samples s = random_samples(c.config, c.length == 0 ? c.config.nodes : c.length, 3, 13);
  const ReferencePass expected = run_reference(model, s, c.loss, c.loss_rows);
  for (const bool cheapest : {false, true}) {
    GraphOptions options{.batch = 100000, .loss = c.loss, .loss_rows = c.loss_rows};
    if (!cheapest) options.plans.assign(c.config.depth(), Plan::kPlain);
    const auto pass = run_engine<double>(model, s, options);
    EXPECT_NEAR(pass.loss, expected.loss, 1e-12 * std::abs(expected.loss));
    EXPECT_LT(relative_difference(std::span<const double>(pass.y.data(), pass.y.size()),
                                  std::span<const double>(expected.y)),
              1e-11);
    EXPECT_LT(relative_difference(std::span<const double>(pass.gradient),
                                  std::span<const double>(expected.gradient)),
              1e-11);
    for (const nn::ParameterInfo& p : model.layout.entries()) {
      const bool trained = !bare || !p.name.ends_with(".bias") || p.name.ends_with("qk.bias");
      EXPECT_TRUE(trained || norm(part(pass.gradient, p)) == 0) << p.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, EachKind, testing::ValuesIn(cases()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace telos::positional::test
