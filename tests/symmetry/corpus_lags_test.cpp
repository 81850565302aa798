#include "telos/symmetry/corpus_lags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "reference/symmetry_corpus.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "tests/symmetry/corpus_support.h"

namespace telos::symmetry {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace slow = reference::symmetry;

/// Stays, else goes to the next of `tokens` or to any: order matters.
Text circling_text(std::size_t length, std::uint32_t tokens, std::uint64_t seed) {
  Random random(seed, 64);
  Text text;
  for (std::size_t i = 0; i < length; ++i) {
    const double u = random.uniform();
    if (i > 0 && u < 0.3)
      text.push_back(text.back());
    else if (i > 0 && u < 0.6)
      text.push_back(static_cast<std::uint16_t>((text.back() + 1u) % tokens));
    else
      text.push_back(static_cast<std::uint16_t>(random.below(tokens)));
  }
  return text;
}

TEST(CorpusLags, AreThoseOfEachPair) {
  const Text text = circling_text(500, 5, 1);  // tokens 3 and 4 are no letters
  LagCounts counts(3, 7);
  counts.add(text);
  EXPECT_EQ(counts.tokens(), 500u);
  for (std::size_t lag = 1; lag < 7; ++lag) {
    EXPECT_EQ(counts.pairs(lag), 500 - lag);
    for (std::size_t v = 0; v < 3; ++v)
      for (std::size_t w = 0; w < 3; ++w) {
        std::uint32_t n = 0;
        for (std::size_t i = lag; i < text.size(); ++i) n += text[i - lag] == v && text[i] == w;
        EXPECT_EQ(counts.pair(lag, v, w), n);
      }
  }
}

TEST(CorpusLags, OfPartsAddUp) {
  const Text text = circling_text(300, 4, 2);
  const std::span<const std::uint16_t> all = text;
  LagCounts one(4, 5), two(4, 5), both(4, 5);
  one.add(all.first(200));
  two.add(all.subspan(200));
  both.add(all.first(200));
  both.add(all.subspan(200));
  LagCounts sum = one;
  sum += two;
  const auto same = [](const LagCounts& a, const LagCounts& b) {
    bool equal = a.tokens() == b.tokens() && a.pairs(4) == b.pairs(4) && a.single(1) == b.single(1);
    for (std::size_t v = 0; v < 4; ++v) equal = equal && a.pair(3, v, 2) == b.pair(3, v, 2);
    return equal;
  };
  EXPECT_TRUE(same(sum, both));
  EXPECT_EQ(both.pairs(4), 292u);  // none from one part into the other
  sum -= two;
  EXPECT_TRUE(same(sum, one));
  expect_error([&] { sum += LagCounts(4, 6); }, ErrorKind::kShape, "do not add up");
  expect_error([&] { sum -= LagCounts(3, 5); }, ErrorKind::kShape, "do not add up");
}

TEST(CorpusLags, FractionsAreThoseOfTheReference) {
  const Text text = circling_text(3001, 5, 3);
  const Arena arena(2);
  const std::vector<LengthEstimate> found = measure_lengths(text, 4, {3, 4, 9}, 6, arena);
  ASSERT_EQ(found.size(), 3u);
  for (const LengthEstimate& e : found) {
    const slow::StationaryResult known =
        slow::measure_stationary({text.begin(), text.end()}, 4, static_cast<int>(e.length), 6);
    ASSERT_TRUE(e.dependent);
    EXPECT_NEAR(e.total.value, known.total.value, 1e-13);
    EXPECT_NEAR(e.total.error, known.total.error, 1e-13);
    for (std::size_t r = 0; r < kParts; ++r) {
      EXPECT_NEAR(e.fractions[r].value, known.fractions[r].value, 1e-10) << e.length << ' ' << r;
      EXPECT_NEAR(e.fractions[r].error, known.fractions[r].error, 1e-10) << e.length << ' ' << r;
    }
  }
}

TEST(CorpusLags, AgreeWithWindows) {
  const Text text = circling_text(80000, 4, 4);
  const Arena arena(2);
  CorpusOptions options;
  options.letters = 4;
  options.length = 8;
  options.shuffles = 0;
  const CorpusSymmetry windows = measure_corpus(text, options, arena);
  const LengthEstimate lags = measure_lengths(text, 4, {8}, 20, arena).front();
  for (std::size_t r = 0; r < kParts; ++r)
    EXPECT_NEAR(lags.fractions[r].value, windows.text.fractions[r].value,
                4 * std::hypot(lags.fractions[r].error, windows.text.fractions[r].error) + 1e-4);
  EXPECT_GT(lags.fractions[4].value, 0.1);
}

TEST(CorpusLags, SameBitsForAnyNumberOfThreads) {
  const Text text = circling_text(6000, 4, 5);
  const auto numbers = [&](int threads) {
    std::vector<double> all;
    for (const LengthEstimate& e : measure_lengths(text, 3, {4, 16}, 8, Arena(threads)))
      for (const Estimate& f : e.fractions) all.insert(all.end(), {f.value, f.error});
    return all;
  };
  const std::vector<double> one = numbers(1);
  EXPECT_EQ(one, numbers(2));
  EXPECT_EQ(one, numbers(7));
}

TEST(CorpusLags, Lengths) {
  EXPECT_THAT(doubling_lengths(20 * 10 * 40, 20, 128), ElementsAre(4u, 8u, 16u, 32u));
  EXPECT_THAT(doubling_lengths(1'000'000, 20, 16), ElementsAre(4u, 8u, 16u));
  EXPECT_THAT(doubling_lengths(100, 20, 128), IsEmpty());
}

TEST(CorpusLags, WhatCannotBeMeasured) {
  const Arena arena(1);
  const Text text = circling_text(2000, 4, 6);
  const auto measure = [&](std::size_t letters, std::vector<std::size_t> lengths, std::size_t blocks) {
    return
        [&arena, &text, letters, lengths, blocks] { measure_lengths(text, letters, lengths, blocks, arena); };
  };
  expect_error(measure(4, {}, 20), ErrorKind::kUsage, "in ascending order");
  expect_error(measure(4, {8, 4}, 20), ErrorKind::kUsage, "in ascending order");
  expect_error(measure(4, {2, 4}, 20), ErrorKind::kUsage, "found 2");
  expect_error(measure(4, {4, 5000}, 20), ErrorKind::kUsage, "found 5000");
  expect_error(measure(0, {4}, 20), ErrorKind::kUsage, "letters, found 0");
  expect_error(measure(4, {4}, 3), ErrorKind::kUsage, "blocks, found 3");
  expect_error(measure(4, {4, 11}, 20), ErrorKind::kUsage, "20 blocks of 10 windows of 11 need 2200");
  LagCounts few(4, 5);
  few.add(std::span(text).first(3));
  expect_error([&] { LagCovariance c(few); }, ErrorKind::kUsage, "no two tokens are 3 apart");
  LagCounts some(4, 5), others(3, 5);
  some.add(text);
  others.add(text);
  const LagCovariance a(some), b(others);
  expect_error([&] { energies(a, b, 4); }, ErrorKind::kShape, "different letters");
  expect_error([&] { energies(a, a, 6); }, ErrorKind::kUsage, "3 to 5, found 6");
  EXPECT_FALSE(measure_lengths(Text(2000, 0), 4, {4}, 20, arena).front().dependent);
}

}  // namespace
}  // namespace telos::symmetry
