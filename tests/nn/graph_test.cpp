// Building graphs: shapes, errors, counts of operations; and the memory plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "nn/planner.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

using testing::HasSubstr;

ParameterLayout small_layout() {
  ParameterLayout layout;
  layout.add("encoder.weight", 4, 3);
  layout.add_vector("encoder.bias", 4);
  layout.add("square", 6, 3);
  layout.add("one", 1, 1);
  return layout;
}

/// Calls f and returns its error; fails the test if there is none.
Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorKind::kInternal, "", "");
}

TEST(ParameterLayout, FindsNamesAndNamesTheNearest) {
  const ParameterLayout layout = small_layout();
  EXPECT_EQ(layout.find("square"), 2u);
  EXPECT_EQ(layout.size(), 12u + 4 + 18 + 1);
  EXPECT_EQ(layout[2].offset, 16u);
  const Error e = error_of([&] { (void)layout.find("encoder.weigt"); });
  EXPECT_EQ(e.kind(), ErrorKind::kUsage);
  EXPECT_THAT(e.message(), HasSubstr("encoder.weigt"));
  EXPECT_THAT(e.hint(), HasSubstr("encoder.weight"));
}

TEST(ParameterLayout, RefusesTakenNamesAndEmptyShapes) {
  ParameterLayout layout = small_layout();
  EXPECT_EQ(error_of([&] { layout.add("square", 1, 1); }).kind(), ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { layout.add("empty", 0, 3); }).kind(), ErrorKind::kShape);
  EXPECT_EQ(error_of([&] { layout.add("huge", SIZE_MAX, 2); }).kind(), ErrorKind::kLimit);
}

TEST(Graph, AParameterIsOneValueHoweverOftenItIsNamed) {
  Graph graph(small_layout());
  EXPECT_EQ(graph.parameter("square").id, graph.parameter(2).id);
  EXPECT_EQ(graph.shape(graph.parameter("encoder.bias")), (Shape{.rows = 1, .cols = 4}));
}

TEST(Graph, KeepsItsOwnLayout) {
  ParameterLayout layout = small_layout();
  Graph graph(layout);
  layout.add("later", 1, 1);
  EXPECT_EQ(graph.layout().entries().size(), 4u);
  EXPECT_EQ(error_of([&] { graph.parameter(4); }).kind(), ErrorKind::kUsage);
}

TEST(Graph, RefusesWhatItCannotName) {
  Graph graph(small_layout());
  EXPECT_EQ(error_of([&] { graph.parameter("nothing"); }).kind(), ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { (void)graph.shape({17}); }).kind(), ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { graph.input("x", 0, 3); }).kind(), ErrorKind::kShape);
  EXPECT_EQ(error_of([&] { graph.index_input("tokens", 0); }).kind(), ErrorKind::kShape);
  EXPECT_EQ(error_of([&] { graph.input("x", SIZE_MAX, 2); }).kind(), ErrorKind::kLimit);
  const Value rows = graph.input("rows", std::size_t{1} << 22, 4);
  EXPECT_EQ(error_of([&] { attention(graph, rows, rows, {.heads = 2}); }).kind(), ErrorKind::kLimit);
  EXPECT_EQ(error_of([&] { graph.constant(ConstMatrixView<double>()); }).kind(), ErrorKind::kShape);
  const Value tokens = graph.index_input("tokens", 3);
  EXPECT_EQ(error_of([&] { graph.output("y", tokens); }).kind(), ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { graph.loss(tokens); }).kind(), ErrorKind::kShape);
  const Error e = error_of([&] { graph.loss(graph.parameter("square")); });
  EXPECT_EQ(e.kind(), ErrorKind::kShape);
  EXPECT_THAT(e.message(), HasSubstr("6x3"));
}

// One line an operation: an input that does not fit, and what the message must name.
TEST(Graph, OperationsRefuseInputsThatDoNotFit) {
  Graph g(small_layout());
  const Value x = g.input("x", 5, 3), wide = g.input("wide", 5, 4), tall = g.input("tall", 6, 3);
  const Value tokens = g.index_input("tokens", 5);
  const Value w = g.parameter("encoder.weight"), b = g.parameter("encoder.bias"),
              square = g.parameter("square"), one = g.parameter("one");
  const struct {
    std::function<void()> build;
    const char* where;
    const char* message;
  } cases[] = {
      {[&] { linear(g, {wide}, w, b); }, "linear", "the weight is 4x3, expected 4x4"},
      {[&] { linear(g, {}, w, b); }, "linear", "no input"},
      {[&] {
         linear(g, {x, tall}, w, b);
       },
       "linear", "input 2"},
      {[&] {
         linear(g, {x, square}, w, b);
       },
       "linear", "input 2"},
      {[&] { linear(g, {x}, w, w); }, "linear", "the bias"},
      {[&] { linear(g, {x}, wide, b); }, "linear", "the weight"},
      {[&] { linear(g, {tokens}, w); }, "linear", "indices"},
      {[&] { matmul(g, Op::kPlain, w, Op::kPlain, square); }, "matmul", "B is 6x3, expected 3x3"},
      {[&] { matmul(g, Op::kTransposed, x, Op::kPlain, w); }, "matmul", "transposed"},
      {[&] { matmul(g, Op::kPlain, x, Op::kTransposed, x); }, "matmul", "for all samples"},
      {[&] { add(g, x, wide); }, "add", "5x4"},
      {[&] { add(g, b, wide); }, "add", "the second"},
      {[&] { scale(g, tokens, 2); }, "scale", "indices"},
      {[&] { scale_by(g, x, b); }, "scale_by", "the factor"},
      {[&] { scale_by(g, x, x); }, "scale_by", "the factor"},
      {[&] { activate(g, tokens, Activation::kRelu); }, "activate", "indices"},
      {[&] { slice(g, x, 3, 0, 3, 1); }, "slice", "3x1 from row 3 and column 0"},
      {[&] { slice(g, x, 0, 4, 1, 1); }, "slice", "does not lie in 5x3"},
      {[&] {
         stack_rows(g, {w, one});
       },
       "stack_rows", "input 2"},
      {[&] { stack_rows(g, {x}); }, "stack_rows", "for all samples"},
      {[&] { stack_rows(g, {}); }, "stack_rows", "no input"},
      {[&] {
         stack_columns(g, {w, square});
       },
       "stack_columns", "input 2"},
      {[&] { append_columns(g, x, square); }, "append_columns", "the second"},
      {[&] { positional_attention(g, square, w, b, 3); }, "positional_attention", "a multiple of 2 x 3"},
      {[&] { positional_attention(g, x, w, b, 2); }, "positional_attention", "the positions"},
      {[&] { positional_attention(g, w, square, b, 1); }, "positional_attention", "the bias"},
      {[&] { softmax_rows(g, x); }, "softmax_rows", "for all samples"},
      {[&] { hard_rows(g, x); }, "hard_rows", "for all samples"},
      {[&] { mix(g, w, x, MixForm::kShared); }, "mix", "square matrices"},
      {[&] { mix(g, square, x, MixForm::kShared); }, "mix", "the value is 5x3"},
      {[&] { mix(g, x, x, MixForm::kShared); }, "mix", "the attention"},
      {[&] { mix(g, square, g.input("v", 3, 5), MixForm::kSplit); }, "mix", "5 columns"},
      {[&] { mean_squared_error(g, x, wide); }, "mean_squared_error", "the target"},
      {[&] { mean_squared_error(g, x, x, 6); }, "mean_squared_error", "6 rows"},
      {[&] { mean_squared_error(g, b, g.input("t", 1, 4)); }, "mean_squared_error", "batch"},
  };
  for (const auto& c : cases) {
    const Error e = error_of(c.build);
    EXPECT_EQ(e.kind(), ErrorKind::kShape) << e.what();
    EXPECT_EQ(e.where(), c.where);
    EXPECT_THAT(e.message(), HasSubstr(c.message));
  }
}

TEST(Graph, CountsOperationsOnceAStepAndASample) {
  Graph g(small_layout());
  const Value x = g.input("x", 5, 3);
  const Value w =
      matmul(g, Op::kPlain, g.parameter("encoder.weight"), Op::kTransposed, g.parameter("square"));
  const Value folded = matmul(g, Op::kPlain, w, Op::kPlain, g.parameter("square"));
  linear(g, {x}, folded);
  EXPECT_EQ(g.flops_per_step(), 2 * 4 * 3 * 6 + 2 * 4 * 6 * 3);
  EXPECT_EQ(g.flops_per_sample(), 2 * 5 * 3 * 4);
}

TEST(Planner, PiecesThatMeetInTimeDoNotMeetInMemory) {
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<Interval> pieces;
    std::size_t total = 0;
    for (int i = 0; i < 40; ++i) {
      const auto begin = static_cast<std::size_t>(random.uniform() * 30);
      pieces.push_back({.elements = 1 + static_cast<std::size_t>(random.uniform() * 500),
                        .begin = begin,
                        .end = begin + static_cast<std::size_t>(random.uniform() * 8)});
      total += (pieces.back().elements + 15) / 16 * 16;
    }
    const MemoryPlan plan = plan_memory(pieces);
    EXPECT_LT(plan.elements, total);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      EXPECT_EQ(plan.offsets[i] % 16, 0u);
      EXPECT_LE(plan.offsets[i] + pieces[i].elements, plan.elements);
      for (std::size_t j = 0; j < i; ++j) {
        if (pieces[i].end < pieces[j].begin || pieces[j].end < pieces[i].begin) continue;
        EXPECT_TRUE(plan.offsets[i] + pieces[i].elements <= plan.offsets[j] ||
                    plan.offsets[j] + pieces[j].elements <= plan.offsets[i]);
      }
    }
  }
}

TEST(Planner, ForwardAloneReusesMemory) {
  ParameterLayout layout;
  layout.add("w", 8, 8);
  Graph g(layout);
  Value x = g.input("x", 4, 8);
  for (int i = 0; i < 10; ++i) x = linear(g, {x}, g.parameter("w"));
  const std::vector<std::uint32_t> wanted{x.id};
  const Workspace forward = plan_workspace(g.impl(), make_program(g.impl(), wanted, false), wanted, 1);
  EXPECT_EQ(forward.elements, 2u * 4 * 8);  // one product is read while the next is written
  const Workspace both = plan_workspace(g.impl(), make_program(g.impl(), wanted, true), wanted, 1);
  EXPECT_EQ(both.elements, 12u * 4 * 8);  // all ten values, and gradients as forward alone
}

}  // namespace
}  // namespace telos::nn
