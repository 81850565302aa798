#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/positional/measure.h"
#include "tests/model/golden_models.h"
#include "tests/positional/complaint.h"

namespace telos::positional {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

/// Attention of one head in one window, L × L, any positive numbers: rows are scaled to sum 1.
using Weights = std::function<double(std::size_t window, std::size_t head, std::size_t i, std::size_t j)>;

Trace make_trace(std::size_t windows, std::size_t tokens, std::size_t layers, std::size_t heads, bool causal,
                 const Weights& weights, std::vector<std::uint8_t> mask = {}) {
  Trace trace;
  trace.sequences = windows;
  trace.tokens = tokens;
  trace.layers = layers;
  trace.heads = heads;
  trace.causal = causal;
  trace.mask = std::move(mask);
  const auto real = [&](std::size_t w, std::size_t i) {
    return trace.mask.empty() || trace.mask[w * tokens + i];
  };
  for (std::size_t l = 0; l < layers; ++l) {
    Matrix<float> a(windows * heads * tokens, tokens);
    for (std::size_t w = 0; w < windows; ++w)
      for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = 0; i < tokens; ++i) {
          std::vector<double> row(tokens, 0.0);
          double sum = 0;
          for (std::size_t j = 0; j < (causal ? i + 1 : tokens); ++j)
            if (real(w, j)) sum += row[j] = weights(w, l * heads + h, i, j);
          for (std::size_t j = 0; j < tokens; ++j)
            a((w * heads + h) * tokens + i, j) = static_cast<float>(sum > 0 ? row[j] / sum : 0);
        }
    trace.attention.push_back(std::move(a));
  }
  return trace;
}

/// Weights that depend on nothing but (seed, window, head, i, j).
double noise(std::size_t w, std::size_t h, std::size_t i, std::size_t j) {
  return Random(17, static_cast<std::uint32_t>(h), (w * 100 + i) * 100 + j).uniform();
}

TEST(Positions, WhatEachGroupingExplains) {
  const Arena arena(2);
  const Trace trace = make_trace(12, 10, 1, 5, false, [](auto w, auto h, auto i, auto j) -> double {
    if (h == 0) return noise(0, 0, i, j);      // the pair, whatever the window
    if (h == 1) return j == 3 ? 20 : 1;        // a key
    if (h == 2) return j + 1 == i ? 1 : 1e-9;  // an offset
    if (h == 3) return 1;                      // nothing
    return noise(w, 4, i, j);                  // content
  });
  const PositionMeasures m = measure_positions(trace, {}, arena);
  ASSERT_EQ(m.all.size(), 5u);
  EXPECT_NEAR(m.all[0].pair.value, 1, 1e-6);
  EXPECT_NEAR(m.all[0].pair.error, 0, 1e-6);
  EXPECT_LT(m.all[0].offset.value, .5);
  EXPECT_NEAR(m.all[1].key.value, 1, 1e-6);
  EXPECT_NEAR(m.all[1].pair.value, 1, 1e-6);
  // The first row has no key before it and is uniform: all others follow the offset.
  EXPECT_GT(m.all[2].offset.value, .95);
  EXPECT_LT(m.all[2].key.value, .2);
  EXPECT_LT(m.all[3].deviation, 1e-7);
  EXPECT_EQ(m.all[3].pair.value, 1);
  EXPECT_EQ(m.all[3].content.value, 0);
  EXPECT_NEAR(m.all[4].pair.value, 0, 4 * m.all[4].pair.error);
  EXPECT_NEAR(m.all[4].content.value, 1, 4 * m.all[4].pair.error);
  EXPECT_EQ(m.static_heads(), 4u);
  EXPECT_EQ(m.all[4].name, "0.4");
  EXPECT_FALSE(m.all[4].is_static);
  EXPECT_TRUE(m.notes.empty());
}

/// The definitions, in plain loops over maps.
struct Direct {
  double pair = 0, offset = 0, key = 0;
};
Direct direct_shares(const Trace& t, std::size_t head, const std::vector<std::uint8_t>& exclude,
                     std::size_t skipped = static_cast<std::size_t>(-1)) {
  struct Sums {
    std::map<std::size_t, double> s, c;  // by window
  };
  std::map<std::size_t, Sums> groups[3];
  std::map<std::size_t, double> squares;  // by pair
  const auto kept = [&](std::size_t w, std::size_t i) {
    const std::size_t at = w * t.tokens + i;
    return (t.mask.empty() || t.mask[at]) && (exclude.empty() || !exclude[at]);
  };
  struct Entry {
    std::size_t w, i, j;
    double r;
  };
  std::vector<Entry> entries;
  std::map<std::size_t, int> seen;
  for (std::size_t w = 0; w < t.sequences; ++w) {
    if (w == skipped) continue;
    const auto a = t.attention_at(head / t.heads, w, head % t.heads);
    for (std::size_t i = 0; i < t.tokens; ++i) {
      if (!kept(w, i)) continue;
      double sum = 0, count = 0;
      for (std::size_t j = 0; j < t.tokens; ++j)
        if (kept(w, j) && (!t.causal || j <= i)) {
          sum += static_cast<double>(a(i, j));
          ++count;
        }
      for (std::size_t j = 0; j < t.tokens; ++j)
        if (kept(w, j) && (!t.causal || j <= i)) {
          entries.push_back({w, i, j, static_cast<double>(a(i, j)) - sum / count});
          ++seen[i * t.tokens + j];
        }
    }
  }
  double total = 0;
  for (const Entry& e : entries) {
    if (seen[e.i * t.tokens + e.j] < 2) continue;
    total += e.r * e.r;
    const std::size_t names[3] = {e.i * t.tokens + e.j, e.j + t.tokens - e.i, e.j};
    for (int g = 0; g < 3; ++g) {
      groups[g][names[g]].s[e.w] += e.r;
      groups[g][names[g]].c[e.w] += 1;
    }
  }
  double parts[3] = {};
  for (int g = 0; g < 3; ++g)
    for (const auto& [name, sums] : groups[g]) {
      double s = 0, q = 0, c = 0, d = 0;
      for (const auto& [w, value] : sums.s) {
        s += value;
        q += value * value;
      }
      for (const auto& [w, value] : sums.c) {
        c += value;
        d += value * value;
      }
      if (c * c > d) parts[g] += c * (s * s - q) / (c * c - d);
    }
  return {parts[0] / total, parts[1] / total, parts[2] / total};
}

struct Case {
  const char* name;
  bool causal, masked, excluded;
};
class AgainstDefinitions : public ::testing::TestWithParam<Case> {};

TEST_P(AgainstDefinitions, SharesAndJackknife) {
  const auto [name, causal, masked, excluded] = GetParam();
  constexpr std::size_t kWindows = 6, kTokens = 7;
  std::vector<std::uint8_t> mask, exclude;
  for (std::size_t w = 0; w < kWindows; ++w)
    for (std::size_t i = 0; i < kTokens; ++i) {
      if (masked) mask.push_back(i < kTokens - w % 3);  // at least five tokens, each length twice
      if (excluded) exclude.push_back(i == 0);
    }
  Trace trace = make_trace(
      kWindows, kTokens, 2, 2, causal,
      [](auto w, auto h, auto i, auto j) {
        return noise(0, h, i, j) + .7 * noise(w, h, i, j) + (i == j + 1 ? 1.0 : 0.0);
      },
      mask);
  const Arena arena(2);
  const PositionMeasures m = measure_positions(trace, {.exclude = exclude}, arena);
  for (std::size_t h = 0; h < 4; ++h) {
    const Direct all = direct_shares(trace, h, exclude);
    EXPECT_NEAR(m.all[h].pair.value, all.pair, 1e-12);
    EXPECT_NEAR(m.all[h].offset.value, all.offset, 1e-12);
    EXPECT_NEAR(m.all[h].key.value, all.key, 1e-12);
    double mean = 0, squares = 0;
    std::vector<double> offset;
    for (std::size_t w = 0; w < kWindows; ++w) offset.push_back(direct_shares(trace, h, exclude, w).pair);
    for (const double value : offset) mean += value / kWindows;
    for (const double value : offset) squares += (value - mean) * (value - mean);
    EXPECT_NEAR(m.all[h].pair.error, std::sqrt(squares * (kWindows - 1) / kWindows), 1e-12);
    EXPECT_EQ(m.all[h].windows_needed,
              std::max(2.0, std::ceil(kWindows * std::pow(m.all[h].pair.error / .02, 2))));
  }
  EXPECT_EQ(m.notes.empty(), !masked && !excluded);
  // What padding holds is nobody's business.
  for (std::size_t w = 0; masked && w < kWindows; ++w)
    for (std::size_t h = 0; h < 2; ++h)
      for (std::size_t i = 0; i < kTokens; ++i)
        for (std::size_t j = 0; j < kTokens; ++j)
          if (!mask[w * kTokens + i] || !mask[w * kTokens + j])
            trace.attention[0]((w * 2 + h) * kTokens + i, j) = 77;
  const PositionMeasures same = measure_positions(trace, {.exclude = exclude}, Arena(1));
  for (std::size_t h = 0; h < 4; ++h) {
    EXPECT_EQ(same.all[h].pair.value, m.all[h].pair.value);
    EXPECT_TRUE(std::equal(same.mean[h].data(), same.mean[h].data() + kTokens * kTokens, m.mean[h].data()));
  }
}

INSTANTIATE_TEST_SUITE_P(All, AgainstDefinitions,
                         ::testing::Values(Case{"full", false, false, false},
                                           Case{"causal", true, false, false},
                                           Case{"masked", false, true, false},
                                           Case{"special", false, false, true},
                                           Case{"everything", true, true, true}),
                         [](const auto& test) { return std::string(test.param.name); });

/// Half of the variance from the pair, half from the window: the estimate has no bias, also from few windows,
/// and its error is what the estimates scatter by.
TEST(Positions, UnbiasedAndHonestAboutItsError) {
  const Arena arena(2);
  constexpr int kDraws = 300;
  double mean = 0, squares = 0, errors = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    const Trace trace = make_trace(5, 8, 1, 1, false, [draw](auto w, auto, auto i, auto j) {
      const auto z = [&](std::uint32_t stream, std::uint64_t at) {
        return Random(static_cast<std::uint64_t>(draw), stream, at).normal();
      };
      return 1 + .05 * z(0, i * 8 + j) + .05 * z(1, (w * 8 + i) * 8 + j);
    });
    const Estimate pair = measure_positions(trace, {}, arena).all[0].pair;
    mean += pair.value / kDraws;
    squares += std::pow(pair.value - .5, 2) / kDraws;
    errors += pair.error / kDraws;
  }
  const double scatter = std::sqrt(squares);
  EXPECT_NEAR(mean, .5, 4 * scatter / std::sqrt(kDraws) + .003) << "0.003: rows scaled to sum 1";
  // Rows share draws of the pattern: the jackknife sees the windows' part of the scatter alone.
  EXPECT_GT(errors, .4 * scatter);
  EXPECT_LT(errors, 1.5 * scatter);
}

TEST(Positions, CausalUniformHeadsAreNotStructure) {
  const Arena arena(1);
  const Trace trace = make_trace(4, 9, 1, 2, true, [](auto w, auto h, auto i, auto j) {
    return h == 0 ? 1 : 1 + .1 * noise(w, 1, i, j);
  });
  const PositionMeasures m = measure_positions(trace, {}, arena);
  EXPECT_LT(m.all[0].deviation, 1e-7) << "rows of 1/(i + 1) say nothing about positions";
  EXPECT_LT(m.all[1].pair.value, .3);
  EXPECT_NEAR(m.pair.value, m.all[1].pair.value, 1e-9) << "the uniform head has no weight in the sum";
}

// (0, 0) is the one pair of two windows, and a first row has nothing to choose.
TEST(Positions, NoPairInTwoWindowsIsNoEvidence) {
  const Trace trace = make_trace(2, 4, 1, 2, true, noise, {1, 1, 1, 1, 1, 0, 0, 0});
  const PositionMeasures m = measure_positions(trace, {}, Arena(1));
  EXPECT_EQ(m.static_heads(), 0u);
  for (const HeadPositions& h : m.all)
    for (const double value : {h.pair.value, h.offset.value, h.key.value, h.content.value, h.deviation})
      EXPECT_TRUE(std::isnan(value));
  EXPECT_TRUE(std::isnan(m.pair.value));
  EXPECT_THAT(m.notes, Contains(HasSubstr("no pair of tokens lies in two windows")));
}

// Rows that one window alone has say nothing, and do not make a head look more uniform than it is.
TEST(Positions, DeviationIsThatOfTheCountedRows) {
  const auto both = [](std::size_t, std::size_t h, std::size_t i, std::size_t j) {
    return noise(0, h, i, j);
  };
  const Trace equal = make_trace(2, 3, 1, 1, true, both);
  Trace longer = make_trace(2, 9, 1, 1, true, both);
  longer.mask.assign(18, 1);
  std::fill(longer.mask.begin() + 12, longer.mask.end(), std::uint8_t{0});
  EXPECT_NEAR(measure_positions(longer, {}, Arena(1)).all[0].deviation,
              measure_positions(equal, {}, Arena(1)).all[0].deviation, 1e-7);
}

TEST(Positions, SameBitsForAnyThreads) {
  const Trace trace =
      make_trace(5, 9, 3, 4, true, [](auto w, auto h, auto i, auto j) { return noise(w, h, i, j); });
  const PositionMeasures one = measure_positions(trace, {}, Arena(1)),
                         seven = measure_positions(trace, {}, Arena(7));
  EXPECT_EQ(one.pair.value, seven.pair.value);
  EXPECT_EQ(one.offset.error, seven.offset.error);
  for (std::size_t h = 0; h < 12; ++h) EXPECT_EQ(one.all[h].pair.value, seven.all[h].pair.value);
}

TEST(Positions, Refusals) {
  const Arena arena(1);
  const auto ones = [](auto, auto, auto, auto) { return 1.0; };
  const Trace one = make_trace(1, 4, 1, 1, false, ones);
  Trace two = make_trace(2, 4, 1, 1, false, ones);
  test::expect_error(ErrorKind::kUsage, "one window", [&] { measure_positions(one, {}, arena); });
  test::expect_error(ErrorKind::kShape, "3 flags", [&] {
    measure_positions(two, {.exclude = {1, 0, 0}}, arena);
  });
  test::expect_error(ErrorKind::kUsage, "threshold",
                     [&] { measure_positions(two, {.threshold = 2}, arena); });
  test::expect_error(ErrorKind::kUsage, "no attention of head 0.1",
                     [&] { static_attention(two, 0, 1, StaticForm::kPair); });
  EXPECT_THAT(measure_positions(two, {}, arena).notes, Contains(HasSubstr("no standard error")));
  two.attention.clear();
  test::expect_error(ErrorKind::kBadFormat, "no attention matrices",
                     [&] { measure_positions(two, {}, arena); });
}

// ---- Static attention

TEST(StaticAttention, Forms) {
  // Causal: to the token before in proportion 3 to 1 against itself; offsets reproduce it for every row.
  const Trace trace = make_trace(3, 5, 1, 1, true, [](auto w, auto, auto i, auto j) {
    return i == j + 1 ? 3.0 + .1 * static_cast<double>(w) : i == j ? 1.0 : 0.0;
  });
  const Matrix<double> pair = static_attention(trace, 0, 0, StaticForm::kPair),
                       offset = static_attention(trace, 0, 0, StaticForm::kOffset);
  EXPECT_EQ(pair(0, 0), 1);
  EXPECT_EQ(offset(0, 0), 1);
  const double expected = (3 / 4.0 + 3.1 / 4.1 + 3.2 / 4.2) / 3;
  for (std::size_t i = 1; i < 5; ++i) {
    EXPECT_NEAR(pair(i, i - 1), expected, 1e-7);
    EXPECT_NEAR(pair(i, i - 1) + pair(i, i), 1, 1e-15);
    EXPECT_EQ(i < 4 ? pair(i, i + 1) : 0, 0);
    EXPECT_EQ(offset(i, i - 1), offset(1, 0)) << "a function of the offset where two keys have weight";
  }
  EXPECT_LT(offset(1, 0), expected) << "the first row sees itself only, which counts for that offset";

  // Uniform stays uniform in both forms, causal rows included.
  const Trace uniform = make_trace(2, 6, 1, 1, true, [](auto, auto, auto, auto) { return 1.0; });
  for (const StaticForm form : {StaticForm::kPair, StaticForm::kOffset}) {
    const Matrix<double> a = static_attention(uniform, 0, 0, form);
    for (std::size_t i = 0; i < 6; ++i)
      for (std::size_t j = 0; j <= i; ++j) EXPECT_NEAR(a(i, j), 1 / static_cast<double>(i + 1), 1e-7);
  }
  // A row that no window has is uniform.
  const Trace masked = make_trace(
      2, 3, 1, 1, false, [](auto, auto, auto, auto j) { return j == 0 ? 2.0 : 1.0; }, {1, 1, 0, 1, 1, 0});
  const Matrix<double> a = static_attention(masked, 0, 0, StaticForm::kPair);
  EXPECT_NEAR(a(0, 0), 2.0 / 3, 1e-7);
  EXPECT_NEAR(a(2, 1), 1.0 / 3, 1e-15);
}

// ---- What if

TokenBatch random_batch(std::size_t windows, std::size_t tokens, int vocabulary, std::uint64_t seed,
                        bool equal) {
  TokenBatch batch{windows, tokens, {}, {}, {}};
  for (std::size_t w = 0; w < windows; ++w) {
    Random random(seed, 0, equal ? 0 : w);
    for (std::size_t i = 0; i < tokens; ++i)
      batch.ids.push_back(
          3 + static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(vocabulary - 3))));
  }
  return batch;
}

StaticHeadOptions with_heads(std::vector<std::pair<std::size_t, std::size_t>> heads) {
  StaticHeadOptions options;
  options.heads = std::move(heads);
  return options;
}

/// Windows that are all the same text: every head is static, and making it so changes nothing.
TEST(WhatIf, EqualWindowsLoseNothing) {
  const Arena arena(2);
  for (const char* name : {"bert", "gpt2", "llama"}) {
    const Transformer transformer = testing::load_transformer(testing::golden_directory(name), arena);
    const StaticHeads r = what_if_static(transformer, random_batch(6, 10, 40, 1, true), {}, arena);
    EXPECT_EQ(r.replaced.size(), r.total) << name;
    EXPECT_EQ(r.fit_windows, 3u);
    EXPECT_EQ(r.check_windows, 3u);
    EXPECT_NEAR(r.kl.value, 0, 1e-9);
    EXPECT_NEAR(r.token_cosine.value, 1, 1e-9);
    EXPECT_NEAR(r.embedding_cosine.value, 1, 1e-9);
    EXPECT_EQ(r.same_top.value, 1);
    EXPECT_EQ(r.causal, std::string(name) != "bert");
    EXPECT_EQ(std::isnan(r.perplexity_before), !r.causal);
    if (r.causal) {
      EXPECT_NEAR(r.loss_change.value, 0, 1e-5);
      EXPECT_NEAR(std::log(r.perplexity_before), r.loss_before.value, 1e-12);
    }
  }
}

TEST(WhatIf, ChosenHeadsChangeTheModel) {
  const Arena arena(2);
  const Transformer transformer = testing::load_transformer(testing::golden_directory("gpt2"), arena);
  const TokenBatch batch = random_batch(8, 12, 40, 2, false);
  StaticHeadOptions options = with_heads({{1, 0}, {0, 1}, {1, 0}});
  const StaticHeads pair = what_if_static(transformer, batch, options, arena);
  EXPECT_THAT(pair.replaced, ElementsAre(Pair(0u, 1u), Pair(1u, 0u)));
  EXPECT_GT(pair.kl.value, 0);
  EXPECT_GT(pair.kl.error, 0);
  EXPECT_LT(pair.token_cosine.value, 1);
  // KL by hand for the first checked window, from two passes.
  const auto at = static_cast<std::ptrdiff_t>(batch.tokens);
  const TokenBatch window{1, 12, {batch.ids.begin() + at, batch.ids.begin() + 2 * at}, {}, {}};
  TokenBatch fit{4, 12, {}, {}, {}};
  for (std::ptrdiff_t w = 0; w < 8; w += 2)
    fit.ids.insert(fit.ids.end(), batch.ids.begin() + w * at, batch.ids.begin() + (w + 1) * at);
  const Trace trace = transformer.forward(fit, {}, arena);
  std::vector<Matrix<float>> rows;
  std::vector<FixedAttention> fixed;
  for (const auto& [l, h] : pair.replaced) {
    const Matrix<double> a = static_attention(trace, l, h, StaticForm::kPair);
    Matrix<float>& f = rows.emplace_back(12, 12);
    for (std::size_t i = 0; i < a.size(); ++i) f.data()[i] = static_cast<float>(a.data()[i]);
  }
  for (std::size_t h = 0; h < rows.size(); ++h)
    fixed.push_back({pair.replaced[h].first, pair.replaced[h].second, rows[h]});
  double kl = 0;
  for (std::size_t w = 1; w < 8; w += 2) {
    const auto begin = batch.ids.begin() + static_cast<std::ptrdiff_t>(w) * at;
    const TokenBatch one{1, 12, {begin, begin + at}, {}, {}};
    const Trace p = transformer.forward(one, {.logits = true}, arena),
                q = transformer.forward(one, {.logits = true}, arena, fixed);
    for (std::size_t i = 0; i < 12; ++i) {
      double zp = 0, zq = 0, sum = 0;
      for (std::size_t v = 0; v < p.logits.cols(); ++v) {
        zp += std::exp(static_cast<double>(p.logits(i, v)));
        zq += std::exp(static_cast<double>(q.logits(i, v)));
      }
      for (std::size_t v = 0; v < p.logits.cols(); ++v) {
        const double a = static_cast<double>(p.logits(i, v)), b = static_cast<double>(q.logits(i, v));
        sum += std::exp(a) / zp * (a - std::log(zp) - b + std::log(zq));
      }
      kl += sum / 12 / 4;
    }
  }
  EXPECT_NEAR(pair.kl.value, kl, 1e-9 + 1e-6 * kl);

  options.form = StaticForm::kOffset;
  EXPECT_NE(what_if_static(transformer, batch, options, arena).kl.value, pair.kl.value);
}

/// Heads above the threshold are compared with as many of the least positional ones.
TEST(WhatIf, Control) {
  const Arena arena(2);
  const Transformer transformer = testing::load_transformer(testing::golden_directory("gpt2"), arena);
  const TokenBatch batch = random_batch(8, 12, 40, 2, false);
  const PositionMeasures fit = what_if_static(transformer, batch, with_heads({{0, 0}}), arena).fit;
  std::vector<std::pair<double, std::pair<std::size_t, std::size_t>>> order;
  for (const HeadPositions& h : fit.all) order.push_back({h.pair.value - h.pair.error, {h.layer, h.head}});
  std::ranges::sort(order);
  StaticHeadOptions options;
  options.positions.threshold = std::max(0.0, (order.back().first + order[order.size() - 2].first) / 2);
  const StaticHeads r = what_if_static(transformer, batch, options, arena);
  ASSERT_THAT(r.replaced, ElementsAre(order.back().second));
  const HeadPositions& least =
      *std::ranges::min_element(fit.all, {}, [](const HeadPositions& h) { return h.pair.value; });
  ASSERT_THAT(r.control, ElementsAre(Pair(least.layer, least.head)));
  const StaticHeads named = what_if_static(transformer, batch, with_heads({r.control[0]}), arena);
  EXPECT_TRUE(named.control.empty());
  EXPECT_EQ(r.control_kl.value, named.kl.value);
  EXPECT_EQ(r.control_loss_change.value, named.loss_change.value);
  EXPECT_EQ(r.control_embedding_cosine.error, named.embedding_cosine.error);
}

TEST(WhatIf, PaddingAndSpecialTokens) {
  const Arena arena(2);
  for (const char* name : {"bert", "llama"}) {
    const Transformer transformer = testing::load_transformer(testing::golden_directory(name), arena);
    TokenBatch batch = random_batch(6, 10, 40, 3, true);
    StaticHeadOptions options;
    for (std::size_t w = 0; w < 6; ++w)
      for (std::size_t i = 0; i < 10; ++i) {
        batch.mask.push_back(i >= 2 && i < 9);  // padding on both sides
        options.positions.exclude.push_back(i == 2);
      }
    const StaticHeads r = what_if_static(transformer, batch, options, arena);
    EXPECT_EQ(r.replaced.size(), r.total) << name;
    EXPECT_NEAR(r.kl.value, 0, 1e-9) << name;
    EXPECT_NEAR(r.embedding_cosine.value, 1, 1e-9);
    EXPECT_EQ(r.fit.options.exclude.size(), 30u);
    // A window with less text than those that were fitted still sees rows that sum to 1.
    for (std::size_t i = 3; i < 7; ++i) batch.mask[10 + i] = 0;
    const StaticHeads shorter = what_if_static(transformer, batch, options, arena);
    EXPECT_TRUE(std::isfinite(shorter.kl.value));
    EXPECT_GT(shorter.kl.value, 1e-9);
  }
}

TEST(WhatIf, WindowsOfOneTokenPredictNothingAndAreLeftOut) {
  const Arena arena(1);
  const Transformer transformer = testing::load_transformer(testing::golden_directory("gpt2"), arena);
  TokenBatch batch = random_batch(6, 10, 40, 3, false);
  batch.mask.assign(60, 1);
  const auto cut = [&](std::size_t window) {
    std::fill_n(batch.mask.begin() + static_cast<std::ptrdiff_t>(10 * window + 1), 9, std::uint8_t{0});
  };
  cut(3);
  const StaticHeads r = what_if_static(transformer, batch, with_heads({{0, 0}}), arena);
  EXPECT_EQ(r.check_windows, 2u);
  EXPECT_TRUE(std::isfinite(r.loss_change.value));
  EXPECT_GT(r.kl.value, 0);
  EXPECT_THAT(r.notes, Contains(HasSubstr("single token")));
  cut(1);
  cut(5);
  telos::test::expect_error(ErrorKind::kUsage, "two real tokens", [&] {
    what_if_static(transformer, batch, with_heads({{0, 0}}), arena);
  });
}

TEST(WhatIf, Flops) {
  const Arena arena(1);
  const Checkpoint checkpoint = Checkpoint::open(testing::golden_directory("llama"));
  const Architecture a = identify(checkpoint);
  const Transformer transformer = Transformer::load(checkpoint, a, arena);
  ASSERT_GT(a.heads, a.kv_heads) << "grouped queries";
  const double d = static_cast<double>(a.width), k = static_cast<double>(a.head_width),
               h = static_cast<double>(a.heads), g = static_cast<double>(a.kv_heads),
               m = static_cast<double>(a.mlp_width);
  const double layer = 2 * (d * (h + 2 * g) * k + h * k * d + 3 * d * m);
  EXPECT_EQ(transformer.flops_per_token(), layer * static_cast<double>(a.layers));
  const TokenBatch batch = random_batch(4, 10, 40, 4, false);
  const StaticHeads one = what_if_static(transformer, batch, with_heads({{0, 0}}), arena);
  EXPECT_EQ(one.flops, 10 * transformer.flops_per_token() + 4 * 55 * k * h * static_cast<double>(a.layers));
  EXPECT_EQ(one.flops_saved, 2 * 55 * k + 2 * 10 * d * k);
  StaticHeadOptions group;
  for (std::size_t head = 0; head < a.heads / a.kv_heads; ++head) group.heads.emplace_back(0, head);
  const double heads = static_cast<double>(group.heads.size());
  EXPECT_EQ(what_if_static(transformer, batch, group, arena).flops_saved,
            heads * (2 * 55 * k + 2 * 10 * d * k) + 2 * 10 * d * k)
      << "the key goes when all of its queries do";
}

TEST(WhatIf, NothingAboveTheThreshold) {
  const Arena arena(1);
  const Transformer transformer = testing::load_transformer(testing::golden_directory("gpt2"), arena);
  StaticHeadOptions options;
  options.positions.threshold = 1;
  const StaticHeads r = what_if_static(transformer, random_batch(8, 10, 40, 5, false), options, arena);
  EXPECT_TRUE(r.replaced.empty());
  EXPECT_TRUE(std::isnan(r.kl.value));
  EXPECT_THAT(r.notes, Contains(HasSubstr("nothing was replaced")));
}

TEST(WhatIf, Refusals) {
  const Arena arena(1);
  const Transformer transformer = testing::load_transformer(testing::golden_directory("gpt2"), arena);
  const auto message = [&](const TokenBatch& batch, const StaticHeadOptions& options) -> std::string {
    try {
      what_if_static(transformer, batch, options, arena);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(message(random_batch(3, 8, 40, 1, false), {}), HasSubstr("3 windows"));
  EXPECT_THAT(message(random_batch(4, 8, 40, 1, false), with_heads({{9, 0}})), HasSubstr("no head 9.0"));
  StaticHeadOptions flags;
  flags.positions.exclude = {1};
  EXPECT_THAT(message(random_batch(4, 8, 40, 1, false), flags), HasSubstr("1 flags"));
}

}  // namespace
}  // namespace telos::positional
