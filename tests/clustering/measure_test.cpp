#include "telos/clustering/measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>

#include "clustering/measure_parts.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "tests/model/golden_models.h"
#include "tests/positional/complaint.h"

namespace telos::clustering {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Sizes {
  std::size_t windows = 1, tokens = 4, layers = 1, heads = 1, width = 2;
  bool causal = false;
};
/// Any numbers ≥ 0; rows are scaled to sum 1 over the real keys.
using Weights = std::function<double(std::size_t window, std::size_t head, std::size_t i, std::size_t j)>;
using States = std::function<double(std::size_t layer, std::size_t window, std::size_t i, std::size_t k)>;

Trace make_trace(const Sizes& s, const Weights& weights, const States& states,
                 std::vector<std::uint8_t> mask = {}) {
  Trace trace;
  trace.sequences = s.windows;
  trace.tokens = s.tokens;
  trace.layers = s.layers;
  trace.heads = s.heads;
  trace.width = s.width;
  trace.causal = s.causal;
  trace.mask = std::move(mask);
  const auto real = [&](std::size_t w, std::size_t i) {
    return trace.mask.empty() || trace.mask[w * s.tokens + i] != 0;
  };
  for (std::size_t l = 0; l <= s.layers; ++l) {
    Matrix<float> x(s.windows * s.tokens, s.width);
    for (std::size_t w = 0; w < s.windows; ++w)
      for (std::size_t i = 0; i < s.tokens; ++i)
        for (std::size_t k = 0; k < s.width; ++k)
          x(w * s.tokens + i, k) = static_cast<float>(states(l, w, i, k));
    trace.hidden.push_back(std::move(x));
  }
  for (std::size_t l = 0; l < s.layers && weights; ++l) {
    Matrix<float> a(s.windows * s.heads * s.tokens, s.tokens);
    for (std::size_t w = 0; w < s.windows; ++w)
      for (std::size_t h = 0; h < s.heads; ++h)
        for (std::size_t i = 0; i < s.tokens; ++i) {
          std::vector<double> row(s.tokens, 0.0);
          double sum = 0;
          for (std::size_t j = 0; j < (s.causal ? i + 1 : s.tokens); ++j)
            if (real(w, j)) sum += row[j] = weights(w, l * s.heads + h, i, j);
          for (std::size_t j = 0; j < s.tokens; ++j)
            a((w * s.heads + h) * s.tokens + i, j) = static_cast<float>(sum > 0 ? row[j] / sum : 0);
        }
    trace.attention.push_back(std::move(a));
  }
  return trace;
}

/// Normal numbers that depend on nothing but their place.
double normal(std::size_t stream, std::size_t a, std::size_t b, std::size_t c) {
  return Random(23, static_cast<std::uint32_t>(stream), (a * 1000 + b) * 1000 + c).normal();
}
double noise_states(std::size_t l, std::size_t w, std::size_t i, std::size_t k) {
  return normal(l, w, i, k);
}
double noise_weights(std::size_t w, std::size_t h, std::size_t i, std::size_t j) {
  return std::exp(1.5 * normal(100 + h, w, i, j));
}
double uniform_weights(std::size_t, std::size_t, std::size_t, std::size_t) {
  return 1;
}

// ---- Adjusted Rand index

/// From all pairs of tokens.
double direct_index(const std::vector<std::size_t>& a, const std::vector<std::size_t>& b) {
  double both = 0, in_a = 0, in_b = 0, all = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      both += a[i] == a[j] && b[i] == b[j];
      in_a += a[i] == a[j];
      in_b += b[i] == b[j];
      ++all;
    }
  const double expected = in_a * in_b / all;
  return (both - expected) / ((in_a + in_b) / 2 - expected);
}

TEST(RandIndex, KnownValues) {
  using V = std::vector<std::size_t>;
  EXPECT_EQ(adjusted_rand_index(V{0, 0, 1, 1}, V{7, 7, 3, 3}), 1) << "names of classes do not matter";
  EXPECT_NEAR(adjusted_rand_index(V{0, 0, 1, 2}, V{0, 0, 1, 1}), 4.0 / 7, 1e-15);
  EXPECT_NEAR(adjusted_rand_index(V{0, 0, 0, 1, 1, 1}, V{0, 0, 1, 1, 2, 2}), 8.0 / 33, 1e-15);
  EXPECT_NEAR(adjusted_rand_index(V{0, 0, 1, 1}, V{0, 1, 0, 1}), -0.5, 1e-15);
  EXPECT_EQ(adjusted_rand_index(V{0, 0, 0, 0}, V{0, 1, 2, 3}), 0) << "trivial in opposite ways";
  EXPECT_EQ(adjusted_rand_index(V{0, 1, 2}, V{2, 1, 0}), 1);
  EXPECT_EQ(adjusted_rand_index(V{5, 5, 5}, V{1, 1, 1}), 1);
  EXPECT_EQ(adjusted_rand_index(V{}, V{}), 1);
  test::expect_error(ErrorKind::kShape, "3 and 2", [] { adjusted_rand_index(V{1, 2, 3}, V{1, 2}); });
}

TEST(RandIndex, IsWhatPairsSay) {
  for (std::uint64_t draw = 0; draw < 300; ++draw) {
    Random random(5, 0, draw);
    const std::size_t n = 3 + random.below(30);
    std::vector<std::size_t> a, b;
    for (std::size_t i = 0; i < n; ++i) {
      a.push_back(random.below(5));
      b.push_back(random.below(3) == 0 ? random.below(4) : a[i]);
    }
    const double direct = direct_index(a, b);
    if (std::isfinite(direct)) {
      EXPECT_NEAR(adjusted_rand_index(a, b), direct, 1e-12);
    }
  }
}

// ---- Attention

ClusterMeasures measure(const Trace& trace, const ClusterMeasureOptions& options = {}) {
  return measure_clusters(trace, options, Arena(2));
}

TEST(HeadHardness, OneHotUniformAndSelf) {
  const Trace trace = make_trace(
      {.windows = 3, .tokens = 5, .layers = 1, .heads = 3},
      [](auto, auto h, auto i, auto j) -> double {
        if (h == 0) return j == 2;  // all follow token 2
        if (h == 1) return 1;
        return i == j ? 3 : 1;
      },
      noise_states);
  const ClusterMeasures m = measure(trace);
  const HeadHardness &hard = m.all[0], &soft = m.all[1], &self = m.all[2];
  EXPECT_EQ(hard.name, "0.0");
  EXPECT_EQ(hard.largest.value, 1);
  EXPECT_EQ(hard.largest.error, 0);
  EXPECT_EQ(hard.entropy.value, 0);
  EXPECT_EQ(hard.targets.value, 1);
  EXPECT_NEAR(hard.self_share.value, 1.0 / 5, 1e-15);
  EXPECT_EQ(hard.first_share.value, 0);
  EXPECT_NEAR(hard.gini.value, 1 - 1.0 / 5, 1e-15) << "one of five takes all";
  EXPECT_EQ(hard.top_share.value, 1);
  EXPECT_EQ(hard.top_token, "position 2");

  EXPECT_NEAR(soft.largest.value, 1.0 / 5, 1e-7);
  EXPECT_NEAR(soft.entropy.value, std::log(5.0), 1e-7);
  EXPECT_NEAR(soft.relative_entropy.value, 1, 1e-7);
  EXPECT_NEAR(soft.targets.value, 5, 1e-6);
  EXPECT_NEAR(soft.self_share.value, 1.0 / 5, 1e-15) << "equal weights are followed in parts";
  EXPECT_NEAR(soft.gini.value, 0, 1e-15);
  EXPECT_NEAR(soft.top_share.value, 1.0 / 5, 1e-15);

  EXPECT_NEAR(self.largest.value, 3.0 / 7, 1e-7);
  EXPECT_NEAR(self.targets.value, 49.0 / 13, 1e-6);
  EXPECT_EQ(self.self_share.value, 1);
  EXPECT_NEAR(self.gini.value, 0, 1e-15);

  EXPECT_NEAR(m.largest.value, (1 + 1.0 / 5 + 3.0 / 7) / 3, 1e-7);
  ASSERT_EQ(m.followed.size(), 5u);
  EXPECT_EQ(m.followed[0].label, "position 2");
  EXPECT_EQ(m.followed[0].windows, 3u);
  EXPECT_NEAR(m.followed[0].share, (1 + 1.0 / 5 + 1.0 / 5) / 3, 1e-15);
  EXPECT_NEAR(m.followed[0].uniform, 1.0 / 5, 1e-15);
}

TEST(HeadHardness, CausalRowsThatSeeOneKeySayNothing) {
  const Trace trace = make_trace(
      {.windows = 2, .tokens = 4, .heads = 2, .causal = true},
      [](auto, auto h, auto, auto j) -> double { return h == 0 || j == 0; }, noise_states);
  const ClusterMeasures m = measure(trace);
  const HeadHardness &soft = m.all[0], &sink = m.all[1];
  EXPECT_NEAR(soft.largest.value, (1.0 / 2 + 1.0 / 3 + 1.0 / 4) / 3, 1e-7);
  EXPECT_NEAR(soft.relative_entropy.value, 1, 1e-7);
  EXPECT_NEAR(soft.targets.value, 3, 1e-6);
  EXPECT_NEAR(soft.gini.value, 0, 1e-15) << "against uniform attention, early keys are no favourites";
  EXPECT_EQ(sink.largest.value, 1);
  EXPECT_EQ(sink.first_share.value, 1);
  EXPECT_EQ(sink.self_share.value, 0);
  // Uniform attention gives key 0 the 1/2 + 1/3 + 1/4 of 3 rows.
  EXPECT_NEAR(sink.gini.value, 1 - 13.0 / 36, 1e-12);
}

/// The definitions in plain loops.
struct Direct {
  double largest = 0, entropy = 0, relative = 0, targets = 0, self = 0, first = 0, left_out = 0, gini = 0,
         top = 0;
};
Direct direct_window(const Trace& t, std::size_t head, std::size_t w,
                     const std::vector<std::uint8_t>& exclude) {
  const auto at = [&](std::size_t i) { return w * t.tokens + i; };
  const auto real = [&](std::size_t i) { return t.mask.empty() || t.mask[at(i)] != 0; };
  const auto out = [&](std::size_t i) { return !exclude.empty() && exclude[at(i)] != 0; };
  const auto a = t.attention_at(head / t.heads, w, head % t.heads);
  std::size_t first = 0;
  while (!real(first)) ++first;
  std::vector<double> degree(t.tokens, 0.0), uniform(t.tokens, 0.0);
  Direct d;
  double rows = 0;
  for (std::size_t i = 0; i < t.tokens; ++i) {
    if (!real(i) || out(i)) continue;
    std::vector<std::size_t> keys;
    double sum = 0;
    for (std::size_t j = 0; j < t.tokens; ++j)
      if (real(j) && (!t.causal || j <= i)) keys.push_back(j), sum += static_cast<double>(a(i, j));
    if (keys.size() < 2) continue;
    ++rows;
    double largest = 0, entropy = 0, squares = 0;
    for (const std::size_t j : keys) {
      const double p = static_cast<double>(a(i, j)) / sum;
      largest = std::max(largest, p);
      entropy -= p > 0 ? p * std::log(p) : 0;
      squares += p * p;
      uniform[j] += 1 / static_cast<double>(keys.size());
    }
    d.largest += largest;
    d.entropy += entropy;
    d.relative += entropy / std::log(static_cast<double>(keys.size()));
    d.targets += 1 / squares;
    for (const std::size_t j : keys) {
      if (static_cast<double>(a(i, j)) / sum < largest) continue;
      degree[j] += 1;  // the random weights have no ties
      d.self += i == j;
      d.first += j == first;
      d.left_out += out(j);
    }
  }
  for (double* x : {&d.largest, &d.entropy, &d.relative, &d.targets, &d.self, &d.first, &d.left_out})
    *x /= rows;
  // Mean absolute difference of the ratios, weighted by what uniform attention gives.
  double difference = 0, weight = 0, total = 0;
  for (std::size_t i = 0; i < t.tokens; ++i) {
    d.top = std::max(d.top, degree[i] / rows);
    weight += uniform[i];
    total += degree[i];
    for (std::size_t j = 0; j < t.tokens; ++j)
      if (uniform[i] > 0 && uniform[j] > 0)
        difference += std::abs(degree[i] / uniform[i] - degree[j] / uniform[j]) * uniform[i] * uniform[j];
  }
  d.gini = difference / (2 * weight * total);
  return d;
}

TEST(HeadHardness, OracleWithPaddingAndTokensLeftOut) {
  for (const bool causal : {false, true}) {
    const Sizes sizes{.windows = 4, .tokens = 9, .layers = 2, .heads = 2, .causal = causal};
    std::vector<std::uint8_t> mask(36, 1);
    for (const std::size_t at : {0, 1, 17, 26, 25}) mask[at] = 0;  // on the left, and on the right
    ClusterMeasureOptions options;
    options.exclude.assign(36, 0);
    for (const std::size_t at : {2, 8, 9, 18, 27, 35}) options.exclude[at] = 1;
    const Trace trace = make_trace(sizes, noise_weights, noise_states, mask);
    const ClusterMeasures m = measure(trace, options);
    EXPECT_EQ(m.windows, 4u);
    EXPECT_NEAR(m.counted, (36 - 5 - 6) / 4.0, 1e-12);
    for (std::size_t h = 0; h < 4; ++h) {
      std::vector<Direct> windows;
      for (std::size_t w = 0; w < 4; ++w) windows.push_back(direct_window(trace, h, w, options.exclude));
      const auto expect = [&](const Estimate& found, double Direct::*field) {
        double mean = 0, squares = 0;
        for (const Direct& d : windows) mean += d.*field / 4;
        for (const Direct& d : windows) squares += (d.*field - mean) * (d.*field - mean);
        EXPECT_NEAR(found.value, mean, 1e-9);
        EXPECT_NEAR(found.error, std::sqrt(squares / 3 / 4), 1e-9);
      };
      const HeadHardness& found = m.all[h];
      expect(found.largest, &Direct::largest);
      expect(found.entropy, &Direct::entropy);
      expect(found.relative_entropy, &Direct::relative);
      expect(found.targets, &Direct::targets);
      expect(found.self_share, &Direct::self);
      expect(found.first_share, &Direct::first);
      expect(found.left_out_share, &Direct::left_out);
      expect(found.gini, &Direct::gini);
      expect(found.top_share, &Direct::top);
    }
    double shares = 0, uniform = 0;
    for (const FollowedToken& f : m.followed) shares += f.share, uniform += f.uniform;
    EXPECT_NEAR(shares, 1, 1e-12);
    EXPECT_LE(uniform, 1 + 1e-12);
  }
}

TEST(HeadHardness, LabelsAreFollowedWhereverTheyStand) {
  // Everything follows the token called "x", which stands elsewhere in each window.
  const Trace trace = make_trace(
      {.windows = 3, .tokens = 4}, [](auto w, auto, auto, auto j) -> double { return j == w ? 5 : 1; },
      noise_states);
  ClusterMeasureOptions options;
  options.labels.assign(12, "y");
  for (std::size_t w = 0; w < 3; ++w) options.labels[w * 4 + w] = "x";
  const ClusterMeasures m = measure(trace, options);
  EXPECT_EQ(m.all[0].top_token, "x");
  ASSERT_EQ(m.followed.size(), 1u) << "a token that nobody follows is not named";
  EXPECT_EQ(m.followed[0].label, "x");
  EXPECT_EQ(m.followed[0].windows, 3u);
  EXPECT_EQ(m.followed[0].share, 1);
  EXPECT_NEAR(m.followed[0].uniform, 1.0 / 4, 1e-15);
}

TEST(HeadHardness, ABrokenHeadIsNamedAndTheOthersGoOn) {
  Trace trace =
      make_trace({.windows = 2, .tokens = 4, .layers = 2, .heads = 2}, uniform_weights, noise_states);
  trace.attention[1](1 * 2 * 4 + 4 + 2, 3) = kNaN;  // window 1, head 1.1
  trace.attention[0](0, 0) = -1;                    // window 0, head 0.0
  const ClusterMeasures m = measure(trace);
  EXPECT_FALSE(m.all[0].valid);
  EXPECT_FALSE(m.all[3].valid);
  EXPECT_TRUE(std::isnan(m.all[3].largest.value));
  EXPECT_THAT(m.notes, Contains(HasSubstr("attention of 0.0, 1.1")));
  for (const std::size_t h : {1, 2}) EXPECT_NEAR(m.all[h].largest.value, 1.0 / 4, 1e-7);
  EXPECT_NEAR(m.largest.value, 1.0 / 4, 1e-7);
  EXPECT_EQ(m.agreement.size(), 5u);

  for (Matrix<float>& a : trace.attention) std::fill_n(a.data(), a.size(), kNaN);
  const ClusterMeasures none = measure(trace);
  EXPECT_TRUE(std::isnan(none.largest.value));
  EXPECT_THAT(none.followed, IsEmpty());
  EXPECT_EQ(none.stream.size(), 3u);
}

// ---- Residual stream

/// Components of the graph cosine ≥ threshold by search over all pairs, numbered by first token.
std::vector<std::size_t> direct_components(ConstMatrixView<float> x, const std::vector<std::size_t>& rows,
                                           double threshold) {
  const auto cosine = [&](std::size_t i, std::size_t j) {
    double dot = 0, a = 0, b = 0;
    for (std::size_t k = 0; k < x.cols(); ++k) {
      const auto u = static_cast<double>(x(rows[i], k)), v = static_cast<double>(x(rows[j], k));
      dot += u * v, a += u * u, b += v * v;
    }
    return a > 0 && b > 0 ? dot / std::sqrt(a * b) : 0;
  };
  std::vector<std::size_t> label(rows.size(), kNone);
  std::size_t count = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (label[i] != kNone) continue;
    std::vector<std::size_t> open{i};
    label[i] = count;
    while (!open.empty()) {
      const std::size_t u = open.back();
      open.pop_back();
      for (std::size_t v = 0; v < rows.size(); ++v)
        if (label[v] == kNone && cosine(u, v) >= threshold) label[v] = count, open.push_back(v);
    }
    ++count;
  }
  return label;
}

TEST(Stream, OneTreeGivesAllThresholds) {
  const std::vector<double> thresholds{0.9, -0.3, 0.6, 0.3, 0.75, 0};
  for (std::size_t draw = 0; draw < 40; ++draw) {
    const std::size_t n = 2 + draw % 23, d = 2 + draw % 3;
    Matrix<float> x(n + 3, d);
    for (std::size_t i = 0; i < n + 3; ++i)
      for (std::size_t k = 0; k < d; ++k) x(i, k) = static_cast<float>(normal(draw, i, k, 0) + (k == 0));
    if (n > 4) std::fill_n(x.row(4), d, 0.f);
    std::vector<std::size_t> rows(n);
    for (std::size_t i = 0; i < n; ++i) rows[i] = i + 2;  // not all rows
    const SpanningTree tree = spanning_tree(x, rows);
    ASSERT_TRUE(tree.finite);
    ASSERT_EQ(tree.edges.size(), n - 1);
    EXPECT_TRUE(std::ranges::is_sorted(tree.edges, std::greater<>(), &SpanningTree::Edge::cosine));
    const Components counts = count_components(tree, thresholds);
    for (std::size_t t = 0; t < thresholds.size(); ++t) {
      const std::vector<std::size_t> expected = direct_components(x, rows, thresholds[t]);
      EXPECT_EQ(components(tree, thresholds[t]), expected) << draw << " at " << thresholds[t];
      std::map<std::size_t, double> sizes;
      double largest = 0;
      for (const std::size_t label : expected) largest = std::max(largest, ++sizes[label]);
      EXPECT_EQ(counts.count[t], static_cast<double>(sizes.size()));
      EXPECT_EQ(counts.largest[t], largest / static_cast<double>(n));
    }
  }
}

TEST(Stream, TwoTightClusters) {
  // Before layer 0 all tokens stand apart; after it they lie at two directions 60° apart, 5 and 3 of them.
  const Trace trace = make_trace({.windows = 2, .tokens = 8, .width = 8}, nullptr,
                                 [](auto l, auto, auto i, auto k) -> double {
                                   if (l == 0) return i == k;
                                   if (k > 1) return 0;
                                   const double scale = 1 + static_cast<double>(i);
                                   if (i < 5) return k == 0 ? scale : 0;
                                   return scale * (k == 0 ? 0.5 : std::sqrt(0.75));
                                 });
  const ClusterMeasures m = measure(trace, {.thresholds = {0.4, 0.6, 1}});
  EXPECT_THAT(m.notes, Contains(HasSubstr("holds none")));
  EXPECT_THAT(m.all, IsEmpty());
  ASSERT_EQ(m.stream.size(), 2u);
  for (std::size_t t = 0; t < 3; ++t) {
    EXPECT_EQ(m.stream[0].count[t].value, 8);
    EXPECT_EQ(m.stream[0].largest[t].value, 1.0 / 8);
  }
  EXPECT_NEAR(m.stream[0].mean_cosine.value, 0, 1e-15);
  EXPECT_EQ(m.stream[1].count[0].value, 1);
  EXPECT_EQ(m.stream[1].largest[0].value, 1);
  for (const std::size_t t : {1, 2}) {
    EXPECT_EQ(m.stream[1].count[t].value, 2) << "equal directions are one cluster up to a threshold of 1";
    EXPECT_EQ(m.stream[1].largest[t].value, 5.0 / 8);
    EXPECT_EQ(m.stream[1].count[t].error, 0);
  }
  EXPECT_NEAR(m.stream[1].mean_cosine.value, (10 + 3 + 15 * 0.5) / 28, 1e-7);
}

TEST(Stream, RootThreshold) {
  std::vector<SpanningTree> trees;
  double wanted = 0;
  for (std::size_t w = 0; w < 7; ++w) {
    Matrix<float> x(9 + 5 * w, 6);
    for (std::size_t i = 0; i < x.rows(); ++i)
      for (std::size_t k = 0; k < 6; ++k) x(i, k) = static_cast<float>(normal(7, w, i, k));
    std::vector<std::size_t> rows(x.rows());
    std::iota(rows.begin(), rows.end(), 0);
    trees.push_back(spanning_tree(x, rows));
    wanted += std::sqrt(static_cast<double>(x.rows()));
  }
  const double threshold = root_threshold(trees);
  double found = 0;
  for (const SpanningTree& tree : trees) found += count_components(tree, std::vector{threshold}).count[0];
  EXPECT_NEAR(found, wanted, 0.5 + 1e-9);
}

TEST(Stream, ABrokenLayerIsNamed) {
  Trace trace = make_trace({.windows = 2, .tokens = 4, .layers = 2}, uniform_weights, noise_states);
  trace.hidden[1](5, 0) = kNaN;
  const ClusterMeasures m = measure(trace);
  EXPECT_FALSE(m.stream[1].valid);
  EXPECT_TRUE(std::isnan(m.stream[1].count[0].value));
  EXPECT_TRUE(m.stream[0].valid);
  EXPECT_TRUE(m.stream[2].valid);
  EXPECT_EQ(m.agreement.size(), 5u) << "the first and the last are what it needs";
  EXPECT_THAT(m.notes, Contains(HasSubstr("after layer 0")));

  trace.hidden[2](0, 0) = std::numeric_limits<float>::infinity();
  const ClusterMeasures broken = measure(trace);
  EXPECT_THAT(broken.agreement, IsEmpty());
  EXPECT_TRUE(std::isnan(broken.agreement_threshold));
  EXPECT_THAT(broken.notes, Contains(HasSubstr("agreement")));
}

// ---- Agreement

const Agreement& rule(const ClusterMeasures& m, const std::string& name) {
  for (const Agreement& a : m.agreement)
    if (a.name == name) return a;
  throw std::runtime_error("no rule " + name);
}

/// Tokens 0 and 1 are long and orthogonal, the others short and nearer to one of them: two leaders. After
/// the layer each token points where its leader does.
double led_states(std::size_t l, std::size_t w, std::size_t i, std::size_t k) {
  const std::size_t leader = i < 2 ? i : Random(3, 0, w * 100 + i).below(2);
  if (l == 1) return (k == leader) + 0.01 * normal(1, w, i, k);
  if (i < 2) return k == leader ? 10 : 0;
  return (k == leader) + 0.2 * std::abs(normal(0, w, i, k));
}

TEST(HardmaxAgreement, LeadersFoundAgain) {
  const Trace trace = make_trace({.windows = 5, .tokens = 12}, nullptr, led_states);
  const ClusterMeasures m = measure(trace, {.agreement_threshold = 0.9});
  EXPECT_EQ(m.leaders, 2);
  EXPECT_EQ(m.agreement_clusters, 2);
  EXPECT_EQ(m.agreement_threshold, 0.9);
  EXPECT_GE(m.agreement_largest, 0.5);
  const Agreement& hardmax = m.agreement.at(0);
  EXPECT_EQ(hardmax.name, "hardmax, K = ∞");
  EXPECT_FALSE(hardmax.baseline);
  EXPECT_EQ(hardmax.index.value, 1);
  EXPECT_EQ(hardmax.index.error, 0);
  EXPECT_EQ(hardmax.classes, 2);
  EXPECT_NEAR(hardmax.null_mean, 0, 0.05);
  EXPECT_LT(hardmax.null_high, 0.3);
  EXPECT_EQ(hardmax.p, 1.0 / 201);
  EXPECT_EQ(rule(m, "nearest leader of layer 0").index.value, 1);
  const Agreement& blocks = rule(m, "blocks of positions");
  EXPECT_LT(blocks.index.value, 0.3);
  EXPECT_NEAR(blocks.behind.value, 1 - blocks.index.value, 1e-15);
  EXPECT_NEAR(blocks.behind.error, blocks.index.error, 1e-15) << "the hardmax system is right in each window";
  EXPECT_EQ(rule(m, "nearest leader of layer 0").behind.error, 0);
  EXPECT_LT(m.norm_ratio, 0.2);
}

TEST(HardmaxAgreement, NoiseAgreesByChance) {
  const Trace trace =
      make_trace({.windows = 8, .tokens = 30, .layers = 1, .width = 4}, nullptr, noise_states);
  ClusterMeasureOptions options;
  options.labels.resize(8 * 30);
  for (std::size_t at = 0; at < options.labels.size(); ++at)
    options.labels[at] = std::to_string(Random(9, 0, at).below(6));
  const ClusterMeasures m = measure(trace, options);
  ASSERT_EQ(m.agreement.size(), 6u);
  EXPECT_NEAR(m.agreement_clusters, std::sqrt(30.0), 0.1);
  for (const Agreement& a : m.agreement) {
    EXPECT_LT(std::abs(a.index.value), 4 * a.index.error) << a.name;
    EXPECT_GT(a.p, 0.005) << a.name;
    EXPECT_NEAR(a.null_mean, 0, 0.01) << a.name;
    EXPECT_GT(a.null_high, 0) << a.name;
  }
  EXPECT_EQ(measure(trace, {.seed = 0}).agreement[0].null_mean, m.agreement[0].null_mean);
  EXPECT_NE(measure(trace, {.seed = 1}).agreement[0].null_mean, m.agreement[0].null_mean);
  const ClusterMeasures bare = measure(trace, {.permutations = 0});
  EXPECT_TRUE(std::isnan(bare.agreement[0].null_high));
  EXPECT_EQ(bare.agreement[0].p, 1);
  EXPECT_LE(1.0 / static_cast<double>(1 + kLeastPermutations), kChance);
}

TEST(HardmaxAgreement, BaselinesThatKnowTheAnswer) {
  // At the last layer tokens of one label coincide.
  const auto label = [](std::size_t w, std::size_t i) { return Random(4, 0, w * 50 + i).below(3); };
  const Trace trace = make_trace({.windows = 3, .tokens = 12, .width = 3}, nullptr,
                                 [&](auto l, auto w, auto i, auto k) -> double {
                                   return l == 0 ? normal(0, w, i, k) : k == label(w, i);
                                 });
  ClusterMeasureOptions options{.agreement_threshold = 0.9};
  for (std::size_t w = 0; w < 3; ++w)
    for (std::size_t i = 0; i < 12; ++i) options.labels.push_back("t" + std::to_string(label(w, i)));
  EXPECT_EQ(rule(measure(trace, options), "same token").index.value, 1);

  // Three consecutive thirds, and a first layer that has them already.
  const Trace thirds = make_trace(
      {.windows = 3, .tokens = 12, .width = 3}, nullptr,
      [](auto, auto, auto i, auto k) -> double { return k == i / 4 ? 1 + 0.1 * static_cast<double>(i) : 0; });
  const ClusterMeasures m = measure(thirds, {.agreement_threshold = 0.9});
  EXPECT_EQ(rule(m, "blocks of positions").index.value, 1);
  EXPECT_EQ(rule(m, "hardmax, K = ∞").index.value, 1);
}

TEST(HardmaxAgreement, EqualNormsLeaveEveryTokenALeader) {
  const Trace trace = make_trace(
      {.windows = 2, .tokens = 10, .width = 16}, nullptr, [](auto l, auto w, auto i, auto k) -> double {
        return l == 0 ? (normal(5, w, i, k) > 0 ? 0.25 : -0.25) : noise_states(l, w, i, k);
      });
  const ClusterMeasures m = measure(trace);
  EXPECT_NEAR(m.norm_ratio, 1, 1e-12);
  EXPECT_EQ(m.leaders, 10);
  EXPECT_EQ(m.agreement[0].index.value, 0) << "tokens that all stand alone agree with nothing";
  EXPECT_EQ(m.agreement[0].classes, 10);
  EXPECT_EQ(m.agreement[0].p, 1);
  EXPECT_THAT(m.notes, Contains(HasSubstr("equal norms")));
}

// ---- The whole

void expect_equal(const Estimate& a, const Estimate& b) {
  EXPECT_EQ(a.value, b.value);
  EXPECT_EQ(a.error, b.error);
}

TEST(ClusterMeasures, SameBitsForAnyThreads) {
  const Trace trace =
      make_trace({.windows = 5, .tokens = 11, .layers = 3, .heads = 4, .width = 6, .causal = true},
                 noise_weights, noise_states);
  const ClusterMeasures one = measure_clusters(trace, {}, Arena(1)),
                        seven = measure_clusters(trace, {}, Arena(7));
  expect_equal(one.largest, seven.largest);
  for (std::size_t h = 0; h < 12; ++h) {
    expect_equal(one.all[h].entropy, seven.all[h].entropy);
    expect_equal(one.all[h].gini, seven.all[h].gini);
  }
  for (std::size_t l = 0; l < 4; ++l) expect_equal(one.stream[l].mean_cosine, seven.stream[l].mean_cosine);
  ASSERT_EQ(one.agreement.size(), seven.agreement.size());
  for (std::size_t k = 0; k < one.agreement.size(); ++k) {
    expect_equal(one.agreement[k].index, seven.agreement[k].index);
    EXPECT_EQ(one.agreement[k].null_high, seven.agreement[k].null_high);
    EXPECT_EQ(one.agreement[k].p, seven.agreement[k].p);
  }
  for (std::size_t k = 0; k < one.followed.size(); ++k)
    EXPECT_EQ(one.followed[k].share, seven.followed[k].share);
}

TEST(ClusterMeasures, RealModels) {
  const Arena arena(2);
  for (const char* name : {"bert", "gpt2", "llama"}) {
    const Transformer transformer = testing::load_transformer(testing::golden_directory(name), arena);
    const Trace trace = testing::run_golden(name, transformer, {.hidden = true, .attention = true}, arena);
    const ClusterMeasures m = measure_clusters(trace, {}, arena);
    EXPECT_EQ(m.all.size(), trace.layers * trace.heads) << name;
    for (const HeadHardness& h : m.all) {
      EXPECT_TRUE(h.valid) << h.name;
      EXPECT_GE(h.targets.value, 1);
      EXPECT_LE(h.relative_entropy.value, 1 + 1e-6);
      // −ln(Σp²) ≤ entropy, and the largest weight is at least the mean weight.
      EXPECT_LE(1 / h.targets.value, h.largest.value + 1e-9);
    }
    EXPECT_EQ(m.stream.size(), trace.layers + 1);
    EXPECT_FALSE(m.agreement.empty());
  }
}

TEST(ClusterMeasures, WindowsThatSayNothingAreLeftOut) {
  std::vector<std::uint8_t> mask(12, 1);
  mask[5] = mask[6] = mask[7] = 0;  // window 1 has one token
  const Trace trace = make_trace({.windows = 3, .tokens = 4}, uniform_weights, noise_states, mask);
  const ClusterMeasures m = measure(trace);
  EXPECT_EQ(m.windows, 2u);
  EXPECT_EQ(m.counted, 4);
  EXPECT_THAT(m.notes, Contains(HasSubstr("1 of 3 windows")));
  const Trace single = make_trace({.windows = 1, .tokens = 4}, uniform_weights, noise_states);
  const ClusterMeasures one = measure(single);
  EXPECT_THAT(one.notes, Contains(HasSubstr("one window")));
  EXPECT_TRUE(std::isnan(one.all[0].largest.error));
  EXPECT_NEAR(one.all[0].largest.value, 1.0 / 4, 1e-7);
}

TEST(ClusterMeasures, Refusals) {
  const auto refuse = [](
                          ErrorKind kind, const std::string& text, const ClusterMeasureOptions& options,
                          const std::function<void(Trace&)>& spoil = [](Trace&) {}) {
    Trace trace = make_trace({.windows = 2, .tokens = 4}, uniform_weights, noise_states);
    spoil(trace);
    test::expect_error(kind, text, [&] { measure(trace, options); });
  };
  constexpr double kNaNd = std::numeric_limits<double>::quiet_NaN();
  refuse(ErrorKind::kUsage, "at least one threshold", {.thresholds = {}});
  refuse(ErrorKind::kUsage, "between -1 and 1, found 1.5", {.thresholds = {0.5, 1.5}});
  refuse(ErrorKind::kUsage, "found nan", {.thresholds = {kNaNd}});
  refuse(ErrorKind::kUsage, "agreement", {.agreement_threshold = -2});
  refuse(ErrorKind::kUsage, "α > 0, found 0", {.alpha = 0});
  refuse(ErrorKind::kUsage, "38 permutations cannot tell anything from chance, expected 39 or more",
         {.permutations = 38});
  refuse(ErrorKind::kShape, "8 flags of tokens to leave out, found 3", {.exclude = {1, 0, 0}});
  refuse(ErrorKind::kShape, "8 labels, found 1", {.labels = {"a"}});
  refuse(ErrorKind::kUsage, "no window holds two tokens", {.exclude = {1, 1, 1, 0, 1, 1, 1, 1}});
  refuse(ErrorKind::kUsage, "no hidden states", {}, [](Trace& t) { t.hidden.clear(); });
  refuse(ErrorKind::kShape, "2 columns in hidden.1, found 3", {},
         [](Trace& t) { t.hidden[1] = Matrix<float>(8, 3); });
  refuse(ErrorKind::kShape, "8 rows in attn.0, found 4", {},
         [](Trace& t) { t.attention[0] = Matrix<float>(4, 4); });
  refuse(ErrorKind::kShape, "8 flags of padding, found 2", {}, [](Trace& t) { t.mask = {1, 1}; });
}

}  // namespace
}  // namespace telos::clustering
