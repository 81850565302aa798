// Heads made by hand: each looks at one place.
#include "telos/bigram/heads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "telos/base/error.h"
#include "telos/bigram/page.h"
#include "tests/bigram/training.h"

namespace telos::bigram {
namespace {

using ::testing::DoubleNear;
using ::testing::HasSubstr;

constexpr std::size_t kWindows = 4, kTokens = 24;

/// A pattern of eight tokens, again and again, starting elsewhere in each window.
std::vector<std::int32_t> repeating_ids() {
  std::vector<std::int32_t> ids;
  for (std::size_t w = 0; w < kWindows; ++w)
    for (std::size_t i = 0; i < kTokens; ++i) ids.push_back(static_cast<std::int32_t>((i + 3 * w) % 8));
  return ids;
}

/// A row of attention: weights on the keys 0 … i (or all).
using Row = std::function<void(std::size_t window, std::size_t i, std::span<float> row)>;

Trace made_trace(const std::vector<Row>& heads, bool causal = true) {
  Trace trace;
  trace.sequences = kWindows;
  trace.tokens = kTokens;
  trace.width = 1;
  trace.layers = 1;
  trace.heads = heads.size();
  trace.causal = causal;
  trace.attention.emplace_back(kWindows * heads.size() * kTokens, kTokens);
  for (std::size_t w = 0; w < kWindows; ++w)
    for (std::size_t h = 0; h < heads.size(); ++h)
      for (std::size_t i = 0; i < kTokens; ++i)
        heads[h](w, i, {trace.attention[0].row((w * heads.size() + h) * kTokens + i), kTokens});
  return trace;
}

void look_back(std::size_t offset, std::size_t i, std::span<float> row) {
  row[i >= offset ? i - offset : 0] = 1;
}
void look_at_all(std::size_t, std::size_t i, std::span<float> row) {
  for (std::size_t j = 0; j <= i; ++j) row[j] = 1 / static_cast<float>(i + 1);
}

TEST(Heads, KindsOfHeads) {
  const Trace trace =
      made_trace({[](std::size_t, std::size_t i, auto row) { look_back(1, i, row); },
                  [](std::size_t, std::size_t i, auto row) { look_back(0, i, row); }, look_at_all,
                  // after the last token like this one: seven back, whatever the token
                  [](std::size_t, std::size_t i, auto row) { look_back(7, i, row); }});
  const std::vector<std::int32_t> ids = repeating_ids();
  const HeadText text{ids, {}, {}};
  HeadOptions options;
  options.max_offset = 8;
  const HeadMeasures m = measure_heads(trace, &text, options, Arena(2));
  ASSERT_EQ(m.all.size(), 4u);
  EXPECT_EQ(m.all[0].kind, "previous token");
  EXPECT_EQ(m.all[0].previous.value, 1);
  EXPECT_EQ(m.all[0].previous.error, 0);
  EXPECT_NEAR(m.all[0].keys, 1, 1e-12);
  EXPECT_EQ(m.all[1].kind, "same token");
  EXPECT_EQ(m.all[2].kind, "");
  // Rows 8 … 23 have 9 … 24 keys.
  double previous = 0, entropy = 0;
  for (std::size_t i = 8; i < kTokens; ++i) {
    previous += 1 / static_cast<double>(i + 1) / 16;
    entropy += std::log(static_cast<double>(i + 1)) / 16;
  }
  EXPECT_NEAR(m.all[2].previous.value, previous, 1e-7);
  EXPECT_NEAR(m.all[2].keys, std::exp(entropy), 1e-5);
  EXPECT_NEAR(std::accumulate(m.all[2].by_offset.begin(), m.all[2].by_offset.end(), m.all[2].farther), 1,
              1e-6);
  // It looks after the earlier token like this one, but so does any head that looks seven back.
  EXPECT_EQ(m.all[3].induction.value, 1);
  EXPECT_EQ(m.all[3].induction_by_distance, 1);
  EXPECT_EQ(m.all[3].kind, "");
  EXPECT_TRUE(std::isnan(m.all[3].agreement));
}

TEST(Heads, InductionIsMoreThanDistance) {
  // Windows of different periods: the head follows the token, not the distance.
  std::vector<std::int32_t> ids;
  std::vector<std::size_t> period{5, 6, 7, 8};
  for (std::size_t w = 0; w < kWindows; ++w)
    for (std::size_t i = 0; i < kTokens; ++i) ids.push_back(static_cast<std::int32_t>(i % period[w]));
  const Trace trace =
      made_trace({[&](std::size_t w, std::size_t i, auto row) { look_back(period[w] - 1, i, row); },
                  [&](std::size_t w, std::size_t i, auto row) { look_back(period[w], i, row); }});
  const HeadText text{ids, {}, {}};
  HeadOptions options;
  options.max_offset = 9;
  const HeadMeasures m = measure_heads(trace, &text, options, Arena(1));
  EXPECT_EQ(m.all[0].kind, "induction-like");
  EXPECT_EQ(m.all[0].induction.value, 1);
  EXPECT_LT(m.all[0].induction_by_distance, .5);
  EXPECT_EQ(m.all[1].kind, "duplicate token");
  EXPECT_EQ(m.all[1].duplicate.value, 1);
  EXPECT_EQ(m.all[1].induction.value, 0);
}

TEST(Heads, AgreementIsOverlapByToken) {
  // Even tokens look two back, odd ones one back; the text's q says so of the even ones alone.
  const std::vector<std::int32_t> ids = repeating_ids();
  std::vector<std::uint16_t> tokens(ids.begin(), ids.end());
  const Trace trace = made_trace({[&](std::size_t w, std::size_t i, auto row) {
    look_back(ids[w * kTokens + i] % 2 == 0 ? 2 : 1, i, row);
  }});
  Matrix<double> q(8, 5);
  for (std::size_t k = 0; k < 8; ++k) q(k, k % 2 == 0 ? 2 : 3) = 1;
  const HeadText text{ids, tokens, q};
  HeadOptions options;
  options.max_offset = 4;
  options.min_count = 1;
  const HeadMeasures m = measure_heads(trace, &text, options, Arena(1));
  std::uint64_t even = 0, all = 0;
  for (std::size_t k = 0; k < 8; ++k) {
    all += m.rows[k];
    even += k % 2 == 0 ? m.rows[k] : 0;
    EXPECT_EQ(m.all[0].by_token(k, k % 2 == 0 ? 2 : 1), 1);
  }
  EXPECT_EQ(all, kWindows * (kTokens - 4));
  const double share = static_cast<double>(even) / static_cast<double>(all);
  EXPECT_NEAR(m.all[0].agreement, share, 1e-12);
  EXPECT_NEAR(m.all[0].agreement_mean, share * share, 1e-12);
  EXPECT_NEAR(m.agreement_uniform, .2, 1e-12);
  const HeadCorpus corpus{{"0", "1", "2", "3", "4", "5", "6", "7"}, q.copy()};
  const Report report = heads_report(m, &corpus, {.command = "bigram heads", .subject = "made"});
  EXPECT_EQ(report.sections[0].figures.size(), 2u);
  EXPECT_EQ(report.lead.size(), 1u);
  EXPECT_EQ(report.sections[0].tables[0].rows.size(), 1u);
}

TEST(Heads, SpecialTokensAndAttentionAhead) {
  // [CLS] at 0, [SEP] at the end; half of the attention on the next token, half on [CLS].
  std::vector<std::uint8_t> special(kWindows * kTokens);
  for (std::size_t w = 0; w < kWindows; ++w) special[w * kTokens] = special[w * kTokens + kTokens - 1] = 1;
  const Trace trace = made_trace({[](std::size_t, std::size_t i, auto row) {
                                   row[0] += .5F;
                                   row[std::min(i + 1, kTokens - 1)] += .5F;
                                 }},
                                 false);
  HeadOptions options;
  options.exclude = special;
  const HeadMeasures m = measure_heads(trace, nullptr, options, Arena(1));
  EXPECT_EQ(m.max_offset, 5u);  // a quarter of the 22 tokens of text
  EXPECT_EQ(m.first_offset(), -5);
  EXPECT_EQ(m.all[0].next.value, .5);
  EXPECT_EQ(m.all[0].special, .5);
  EXPECT_EQ(m.all[0].farther, 0);
  EXPECT_EQ(m.notes.size(), 2u);
}

TEST(Heads, SameBytesForThreads) {
  const Trace trace = made_trace({look_at_all, look_at_all, look_at_all});
  const std::vector<std::int32_t> ids = repeating_ids();
  const HeadText text{ids, {}, {}};
  const HeadMeasures one = measure_heads(trace, &text, {}, Arena(1)),
                     seven = measure_heads(trace, &text, {}, Arena(7));
  for (std::size_t h = 0; h < one.all.size(); ++h) {
    EXPECT_EQ(one.all[h].by_offset, seven.all[h].by_offset);
    EXPECT_EQ(one.all[h].induction.value, seven.all[h].induction.value);
  }
}

TEST(Heads, Complaints) {
  Trace trace = made_trace({look_at_all});
  const std::vector<std::int32_t> few(3);
  const HeadText short_text{few, {}, {}};
  const auto measure = [&](const HeadText* text) { measure_heads(trace, text, {}, Arena(1)); };
  expect_error(ErrorKind::kShape, "there are 3 ids for 96 tokens", [&] { measure(&short_text); });
  const std::vector<std::int32_t> ids = repeating_ids();
  const std::vector<std::uint16_t> tokens(ids.begin(), ids.end());
  const Matrix<double> narrow(8, 2), low(3, 17);
  const HeadText too_narrow{ids, tokens, narrow}, too_low{ids, tokens, low};
  expect_error(ErrorKind::kShape, "q has 2 offsets, expected 13", [&] { measure(&too_narrow); });
  expect_error(ErrorKind::kShape, "has no row in q", [&] { measure(&too_low); });
  trace.mask.assign(kWindows * kTokens, 0);
  expect_error(ErrorKind::kUsage, "too short to tell offsets apart", [&] { measure(nullptr); });
  trace.attention.clear();
  expect_error(ErrorKind::kBadFormat, "no attention matrices", [&] { measure(nullptr); });
}

}  // namespace
}  // namespace telos::bigram
