// Attention on numbers worked out elsewhere, at its edges, and rotary embedding's meaning.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "nn/ops/attention_kernel.h"
#include "telos/base/philox.h"
#include "telos/nn/executor.h"
#include "telos/nn/operations.h"

namespace telos::nn {
namespace {

using Kind = AttentionOptions::Kind;

/// One head of one sample, in rows that are wider than the matrices.
struct OneHead {
  static constexpr std::size_t kGap = 3;
  std::size_t length, d_k, d_v;
  AttentionProblem<double> p;
  std::vector<double> qk, v, y, dy, dqk, dv, saved, scratch;

  OneHead(const std::vector<std::vector<double>>& q, const std::vector<std::vector<double>>& k,
          const std::vector<std::vector<double>>& values, Kind kind, bool causal = false)
      : length(q.size()), d_k(q[0].size()), d_v(values[0].size()) {
    p.samples = p.heads = 1;
    p.length = length;
    p.d_k = d_k;
    p.d_v = d_v;
    p.kind = kind;
    p.causal = causal;
    p.scale = 1 / std::sqrt(static_cast<double>(d_k));
    p.qk_row = p.dqk_row = 2 * d_k + kGap;
    p.v_row = p.y_row = p.dy_row = p.dv_row = d_v + kGap;
    qk.assign(length * p.qk_row, 99);
    v.assign(length * p.v_row, 99);
    for (std::size_t i = 0; i < length; ++i) {
      for (std::size_t c = 0; c < d_k; ++c) {
        qk[i * p.qk_row + c] = q[i][c];
        qk[i * p.qk_row + d_k + c] = k[i][c];
      }
      for (std::size_t c = 0; c < d_v; ++c) v[i * p.v_row + c] = values[i][c];
    }
    y.assign(v.size(), 7);
    dqk.assign(qk.size(), 0);
    dv.assign(v.size(), 0);
    saved.resize(p.saved_per_head());
    scratch.resize(p.scratch_elements());
    p.qk = qk.data();
    p.v = v.data();
    p.y = y.data();
    p.saved = saved.data();
    p.scratch = scratch.data();
    attention_forward(p);
  }
  void backward(const std::vector<std::vector<double>>& gradient) {
    dy.assign(v.size(), 99);
    for (std::size_t i = 0; i < length; ++i)
      for (std::size_t c = 0; c < d_v; ++c) dy[i * p.dy_row + c] = gradient[i][c];
    p.dy = dy.data();
    p.dqk = dqk.data();
    p.dv = dv.data();
    attention_backward(p);
  }
};

const std::vector<std::vector<double>> kQ = {{.3, -.2}, {.7, .5}, {-.4, .9}, {.2, -.6}};
const std::vector<std::vector<double>> kK = {{.1, .4}, {-.5, .3}, {.6, -.1}, {.25, .8}};
const std::vector<std::vector<double>> kV = {{1, 0}, {0, 1}, {2, -1}, {-1.5, .5}};

TEST(Attention, SoftmaxOfKnownNumbers) {
  const OneHead head(kQ, kK, kV, Kind::kSoftmax);
  const double expected[4][2] = {{.4735158464, .0461456329},
                                 {.3188889926, .0655678972},
                                 {.1026655592, .2760304810},
                                 {.5692249555, .0150861673}};
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t c = 0; c < 2; ++c) EXPECT_NEAR(head.y[i * head.p.y_row + c], expected[i][c], 1e-10);
    for (std::size_t c = 2; c < head.p.y_row; ++c) EXPECT_EQ(head.y[i * head.p.y_row + c], 7);  // untouched
  }
}

// Xu et al. 2020: each query takes one value; the gradient flows as if it had taken the softmax.
TEST(Attention, HardRetrievalOfKnownNumbers) {
  OneHead head(kQ, kK, kV, Kind::kHard);
  const std::size_t chosen[4] = {2, 3, 3, 2};
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t c = 0; c < 2; ++c) EXPECT_EQ(head.y[i * head.p.y_row + c], kV[chosen[i]][c]);
  head.backward({{1, 2}, {.5, -1}, {0, 1}, {1, 1}});
  const double dv[4][2] = {{0, 0}, {0, 0}, {2, 3}, {.5, 0}};
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t c = 0; c < 2; ++c) EXPECT_EQ(head.dv[i * head.p.dv_row + c], dv[i][c]);
  // Row 0 of the gradient of QKᵀ, times K.
  const double scores[4] = {.0755846086, .2229581826, -.1175417651, -.1810010260};
  for (std::size_t c = 0; c < 2; ++c) {
    double dq = 0;
    for (std::size_t j = 0; j < 4; ++j) dq += scores[j] * kK[j][c];
    EXPECT_NEAR(head.dqk[c], dq, 1e-9);
  }
}

TEST(Attention, TheLowestOfEqualScoresWins) {
  for (const bool causal : {false, true}) {
    const std::vector<std::vector<double>> same(20, {1, 1});
    std::vector<std::vector<double>> values;
    for (int i = 0; i < 20; ++i) values.push_back({static_cast<double>(i)});
    const OneHead head(same, same, values, Kind::kHard, causal);
    for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(head.y[i * head.p.y_row], 0);
  }
}

TEST(Attention, CausalRowsDoNotSeeTheFuture) {
  for (const Kind kind : {Kind::kSoftmax, Kind::kLinear, Kind::kHard}) {
    auto k = kK, v = kV;
    const OneHead before(kQ, k, v, kind, true);
    k[3] = {50, -70};
    v[3] = {1000, 2000};
    const OneHead after(kQ, k, v, kind, true);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t c = 0; c < 2; ++c)
        EXPECT_EQ(before.y[i * before.p.y_row + c], after.y[i * after.p.y_row + c]);
    EXPECT_NE(before.y[3 * before.p.y_row], after.y[3 * after.p.y_row]);
  }
}

TEST(Attention, HugeScoresDoNotOverflowAndNaNIsNotHidden) {
  auto q = kQ, k = kK;
  for (auto& row : q)
    for (double& x : row) x *= 1e150;
  const OneHead huge(q, k, kV, Kind::kSoftmax);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(std::isfinite(huge.y[i * huge.p.y_row]));
  k[2][0] = std::numeric_limits<double>::quiet_NaN();
  const OneHead bad(kQ, k, kV, Kind::kSoftmax);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(std::isnan(bad.y[i * bad.p.y_row]));
}

/// Softmax attention of a random sample, its queries and keys turned or not.
std::vector<double> attend(bool turned, bool over_heads, std::size_t shift) {
  constexpr std::size_t kLength = 7, kHeads = 3, kWidth = 4;
  const ParameterLayout layout;
  Graph graph(layout);
  Value qk = graph.input("qk", kLength + shift, 2 * kHeads * kWidth);
  const Value v = graph.input("v", kLength, kHeads * 2);
  if (turned) qk = rotary(graph, qk, kHeads, 100, over_heads);
  if (shift > 0) qk = slice(graph, qk, shift, 0, kLength, 2 * kHeads * kWidth);
  graph.output("y", attention(graph, qk, v, {.heads = kHeads}));
  Random random(3);
  std::vector<double> queries(shift * 2 * kHeads * kWidth, 0), values, out(kLength * kHeads * 2);
  for (std::size_t i = 0; i < kLength * 2 * kHeads * kWidth; ++i) queries.push_back(random.normal());
  for (std::size_t i = 0; i < out.size(); ++i) values.push_back(random.normal());
  Executor<double> executor(graph);
  const Batch<double> batch{
      .samples = 1,
      .real = {{queries.data(), kLength + shift, 2 * kHeads * kWidth}, {values.data(), kLength, kHeads * 2}},
      .index = {}};
  const MatrixView<double> result(out.data(), kLength, kHeads * 2);
  executor.forward({}, batch, {&result, 1}, Arena(1));
  return out;
}

double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double d = 0;
  for (std::size_t i = 0; i < a.size(); ++i) d = std::max(d, std::abs(a[i] - b[i]));
  return d;
}

// Turning by position makes scores depend on the distance of positions, and on it alone; turning by the
// head's index changes nothing.
TEST(Rotary, DependsOnDistanceAloneAndOverHeadsDoesNothing) {
  const std::vector<double> plain = attend(false, false, 0);
  EXPECT_GT(distance(attend(true, false, 0), plain), 0.01);
  EXPECT_LT(distance(attend(true, false, 5), attend(true, false, 0)), 1e-13);
  EXPECT_LT(distance(attend(true, true, 0), plain), 1e-13);
}

}  // namespace
}  // namespace telos::nn
