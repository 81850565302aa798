// What operations refuse, and how they say it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/nn/executor.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

using testing::HasSubstr;

/// A graph with inputs and parameters of a few shapes to build operations from.
struct Sandbox {
  ParameterLayout layout;
  std::unique_ptr<Graph> graph;
  Sandbox() {
    layout.add("w", 3, 4);
    layout.add_vector("four", 4);
    layout.add("qk", 5, 16);
    layout.add("v", 5, 6);
    graph = std::make_unique<Graph>(layout);
  }
  Value x(std::size_t rows, std::size_t cols) { return graph->input("x", rows, cols); }
  Value ids(std::size_t rows) { return graph->index_input("ids", rows); }
  Value p(const char* name) { return graph->parameter(name); }
};

struct Refusal {
  const char* says;
  std::function<void(Sandbox&)> build;
};

void expect_refusals(const std::string& operation, const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.says);
    Sandbox s;
    try {
      refusal.build(s);
      ADD_FAILURE() << operation << " was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kShape);
      EXPECT_EQ(error.where(), operation);
      EXPECT_THAT(error.message(), HasSubstr(refusal.says));
    }
  }
}

TEST(OperationErrors, HardmaxLayers) {
  const auto build = [](auto x, auto alpha, auto weights, HardmaxOptions options) {
    return [=](Sandbox& s) { hardmax_layers(*s.graph, x(s), alpha(s), weights(s), options); };
  };
  const auto tokens = [](Sandbox& s) { return s.x(5, 3); };
  const auto alpha = [](Sandbox& s) { return slice(*s.graph, s.p("four"), 0, 0, 1, 1); };
  const auto weights = [](Sandbox& s) { return s.x(5, 1); };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_refusals(
      "hardmax_layers",
      {{"alpha is 1x4", build(tokens, [](Sandbox& s) { return s.p("four"); }, weights, {})},
       {"alpha", build(tokens, [](Sandbox& s) { return s.x(1, 1); }, weights, {})},
       {"the weights is 4x1 a sample", build(tokens, alpha, [](Sandbox& s) { return s.x(4, 1); }, {})},
       {"the weights are a sample's", build([](Sandbox& s) { return s.p("v"); }, alpha, weights, {})},
       {"the temperature is 0", build(tokens, alpha, weights, {.temperature = 0})},
       {"straight-through temperature", build(tokens, alpha, weights, {.ste_temperature = nan})},
       {"the cut", build(tokens, alpha, weights, {.cut = -1})}});
  expect_refusals("weighted_mean_pool",
                  {{"the weights is 5x2 a sample",
                    [](Sandbox& s) { weighted_mean_pool(*s.graph, s.x(5, 3), s.x(5, 2)); }},
                   {"the weights are a sample's",
                    [](Sandbox& s) { weighted_mean_pool(*s.graph, s.p("v"), s.x(5, 1)); }}});
  expect_refusals("softplus", {{"sharpness is 0", [](Sandbox& s) { softplus(*s.graph, s.p("v"), 0); }},
                               {"indices", [](Sandbox& s) { softplus(*s.graph, s.ids(3)); }}});
}

TEST(OperationErrors, Attention) {
  const auto with = [](std::size_t heads, double scale = 0) {
    return AttentionOptions{.heads = heads, .scale = scale};
  };
  constexpr std::size_t kHuge = std::size_t{1} << 63;
  expect_refusals(
      "attention",
      {{"0 heads", [&](Sandbox& s) { attention(*s.graph, s.x(5, 16), s.x(5, 6), with(0)); }},
       {"heads for queries", [&](Sandbox& s) { attention(*s.graph, s.x(5, 16), s.x(5, 6), with(kHuge)); }},
       {"multiples of 2·3", [&](Sandbox& s) { attention(*s.graph, s.x(5, 16), s.x(5, 6), with(3)); }},
       {"values are 5x6 a sample, expected columns in multiples of 4",
        [&](Sandbox& s) { attention(*s.graph, s.x(5, 16), s.x(5, 6), with(4)); }},
       {"values are 4x6 a sample", [&](Sandbox& s) { attention(*s.graph, s.x(5, 16), s.x(4, 6), with(2)); }},
       {"all samples share: mix", [&](Sandbox& s) { attention(*s.graph, s.p("qk"), s.x(5, 6), with(2)); }},
       {"queries and keys is 5x1 indices",
        [&](Sandbox& s) { attention(*s.graph, s.ids(5), s.x(5, 6), with(1)); }},
       {"values is 5x1 indices", [&](Sandbox& s) { attention(*s.graph, s.x(5, 16), s.ids(5), with(1)); }},
       {"scale is not finite", [&](Sandbox& s) {
          attention(*s.graph, s.x(5, 16), s.x(5, 6), with(2, std::numeric_limits<double>::infinity()));
        }}});
}

TEST(OperationErrors, Rotary) {
  expect_refusals("rotary", {{"0 heads", [](Sandbox& s) { rotary(*s.graph, s.x(5, 16), 0); }},
                             {"17 heads", [](Sandbox& s) { rotary(*s.graph, s.x(5, 16), 17); }},
                             {"even length", [](Sandbox& s) { rotary(*s.graph, s.x(5, 18), 3); }},
                             {"indices", [](Sandbox& s) { rotary(*s.graph, s.ids(5), 1); }},
                             {"base", [](Sandbox& s) { rotary(*s.graph, s.x(5, 16), 2, 0); }},
                             {"base", [](Sandbox& s) {
                                rotary(*s.graph, s.x(5, 16), 2, std::numeric_limits<double>::quiet_NaN());
                              }}});
}

TEST(OperationErrors, Norms) {
  expect_refusals(
      "layer_norm",
      {{"the gain is 1x4, expected 1x5",
        [](Sandbox& s) { layer_norm(*s.graph, s.x(3, 5), s.p("four"), s.p("four")); }},
       {"the bias is 3x4, expected 1x4",
        [](Sandbox& s) { layer_norm(*s.graph, s.x(3, 4), s.p("four"), s.p("w")); }},
       {"for all samples", [](Sandbox& s) { layer_norm(*s.graph, s.x(1, 4), s.x(1, 4), s.p("four")); }},
       {"eps", [](Sandbox& s) { layer_norm(*s.graph, s.x(1, 4), s.p("four"), s.p("four"), -1); }},
       {"indices", [](Sandbox& s) { layer_norm(*s.graph, s.ids(3), s.p("four"), s.p("four")); }}});
  expect_refusals(
      "rms_norm",
      {{"the gain is 1x4, expected 1x5", [](Sandbox& s) { rms_norm(*s.graph, s.x(3, 5), s.p("four")); }},
       {"for all samples", [](Sandbox& s) { rms_norm(*s.graph, s.x(1, 4), s.x(1, 4)); }},
       {"eps", [](Sandbox& s) {
          rms_norm(*s.graph, s.x(1, 4), s.p("four"), std::numeric_limits<double>::quiet_NaN());
        }}});
}

TEST(OperationErrors, EmbeddingAndPool) {
  expect_refusals("embedding",
                  {{"expected indices", [](Sandbox& s) { embedding(*s.graph, s.x(5, 1), s.p("w")); }},
                   {"for all samples", [](Sandbox& s) { embedding(*s.graph, s.ids(5), s.x(3, 4)); }},
                   {"expected numbers",
                    [](Sandbox& s) { embedding(*s.graph, s.ids(5), s.graph->index_input("t", 3)); }}});
  expect_refusals("mean_pool", {{"expected numbers", [](Sandbox& s) { mean_pool(*s.graph, s.ids(5)); }}});
}

TEST(OperationErrors, Losses) {
  expect_refusals(
      "cross_entropy",
      {{"expected indices", [](Sandbox& s) { cross_entropy(*s.graph, s.x(5, 3), s.x(5, 1)); }},
       {"one target a row", [](Sandbox& s) { cross_entropy(*s.graph, s.x(5, 3), s.ids(4)); }},
       {"one target a row", [](Sandbox& s) { cross_entropy(*s.graph, s.p("v"), s.ids(5)); }},
       {"the first 6 rows", [](Sandbox& s) { cross_entropy(*s.graph, s.x(5, 3), s.ids(5), 6); }},
       {"the logits is 5x1 indices", [](Sandbox& s) { cross_entropy(*s.graph, s.ids(5), s.ids(5)); }}});
  expect_refusals(
      "binary_cross_entropy",
      {{"the target is 5x2", [](Sandbox& s) { binary_cross_entropy(*s.graph, s.x(5, 3), s.x(5, 2)); }},
       {"the target is 5x6, the logits 5x6 a sample",
        [](Sandbox& s) { binary_cross_entropy(*s.graph, s.x(5, 6), s.p("v")); }},
       {"the first 6 rows", [](Sandbox& s) { binary_cross_entropy(*s.graph, s.x(5, 3), s.x(5, 3), 6); }},
       {"the logits is 5x1 indices",
        [](Sandbox& s) { binary_cross_entropy(*s.graph, s.ids(5), s.x(5, 1)); }}});
}

/// Runs a graph on indices alone; returns the error.
Error run_on(const Graph& graph, const std::vector<std::int32_t>& indices, std::size_t samples,
             std::size_t result_elements) {
  Executor<float> executor(graph, {.micro_batch = 2, .lanes = 1});
  std::vector<float> parameters(graph.layout().size(), 0.5f), out(result_elements);
  Batch<float> batch{.samples = samples, .real = {}, .index = {indices}};
  const MatrixView<float> result(out.data(), samples, result_elements / samples);
  try {
    executor.forward(parameters, batch, {&result, 1}, Arena(1));
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "an index out of range was accepted";
  return {ErrorKind::kInternal, "", ""};
}

TEST(OperationErrors, AnIndexOutsideTheTableIsNamed) {
  for (const std::int32_t bad : {3, -1, std::numeric_limits<std::int32_t>::min()}) {
    Sandbox s;
    s.graph->output("y", mean_pool(*s.graph, embedding(*s.graph, s.ids(4), s.p("w"))));
    std::vector<std::int32_t> indices(5 * 4, 2);
    indices[3 * 4 + 1] = bad;
    const Error error = run_on(*s.graph, indices, 5, 5 * 4);
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
    EXPECT_EQ(error.where(), "embedding");
    EXPECT_THAT(error.message(),
                HasSubstr("sample 3, row 1: index " + std::to_string(bad) + ", expected 0 to 2"));
  }
}

TEST(OperationErrors, ATargetOutsideTheClassesIsNamed) {
  Sandbox s;
  const Value ids = s.ids(4);
  s.graph->output("y",
                  cross_entropy(*s.graph, embedding(*s.graph, ids, s.p("w")), s.graph->index_input("t", 4)));
  Executor<float> executor(*s.graph, {.micro_batch = 2, .lanes = 1});
  const std::vector<float> parameters(s.layout.size(), 0.5f);
  const std::vector<std::int32_t> tokens(5 * 4, 1);
  std::vector<std::int32_t> targets(5 * 4, 3);
  targets[0] = -7;  // does not count
  targets[4 * 4 + 2] = 4;
  Batch<float> batch{.samples = 5, .real = {}, .index = {tokens, targets}};
  std::vector<float> out(5);
  const MatrixView<float> result(out.data(), 5, 1);
  try {
    executor.forward(parameters, batch, {&result, 1}, Arena(1));
    FAIL() << "a target out of range was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kLimit);
    EXPECT_EQ(error.where(), "cross_entropy");
    EXPECT_THAT(error.message(), HasSubstr("sample 4, row 2: target 4, expected 0 to 3"));
  }
}

}  // namespace
}  // namespace telos::nn
