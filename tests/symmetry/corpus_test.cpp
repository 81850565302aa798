#include "telos/symmetry/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <numeric>

#include "reference/symmetry_corpus.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/io/files.h"
#include "telos/io/units.h"
#include "tests/repeats.h"
#include "tests/symmetry/corpus_support.h"

namespace telos::symmetry {
namespace {

using ::testing::HasSubstr;
namespace slow = reference::symmetry;

slow::Text as_slow(const Text& text) {
  return {text.begin(), text.end()};
}

/// Each window prefers a letter of its own: exchangeable, and dependent.
Text mixture_text(std::size_t windows, std::size_t length, std::uint32_t tokens, std::uint64_t seed) {
  Random random(seed, 62);
  Text text;
  for (std::size_t n = 0; n < windows; ++n) {
    const std::uint32_t favourite = random.below(tokens);
    for (std::size_t b = 0; b < length; ++b)
      text.push_back(static_cast<std::uint16_t>(random.uniform() < 0.4 ? favourite : random.below(tokens)));
  }
  return text;
}

/// Letters 0 and 1 with C_bc(0, 1) = w[b][c]: the functions w and its transpose.
Covariance of_pair_function(const slow::PairFunction& w) {
  Covariance c(2, w.size());
  for (std::size_t b = 0; b < w.size(); ++b)
    for (std::size_t d = b + 1; d < w.size(); ++d) {
      c.pairs(b, d)(0, 1) = w[b][d];
      c.pairs(b, d)(1, 0) = w[d][b];
    }
  return c;
}

slow::PairFunction random_pair_function(std::size_t length, std::uint64_t seed) {
  Random random(seed, 63);
  slow::PairFunction w(length, std::vector<double>(length, 0));
  for (std::size_t b = 0; b < length; ++b)
    for (std::size_t c = 0; c < length; ++c)
      if (b != c) w[b][c] = random.normal();
  return w;
}

/// C_bc = μ^|b−c| of one letter.
Covariance of_scalar_chain(std::size_t length, double mu) {
  Covariance c(1, length);
  for (std::size_t b = 0; b < length; ++b)
    for (std::size_t d = b + 1; d < length; ++d)
      c.pairs(b, d)(0, 0) = std::pow(mu, static_cast<double>(d - b));
  return c;
}

double sum(const Energies& e) {
  return std::accumulate(e.begin(), e.end(), 0.0);
}

// ---- Parts of functions on pairs of positions

TEST(CorpusParts, OfAFunctionWhosePartsAreKnown) {
  const slow::PairFunction w = {
      {0, -5, -4, -3, -4}, {3, 0, 1, -5, -4}, {-2, -1, 0, 0, -3}, {-4, 2, 3, 0, -4}, {-1, -1, 4, 0, 0}};
  const Energies known = {39.2, 27.8, 20, 55.8, 51.2};
  const Covariance c = of_pair_function(w);
  const Energies e = energies(c, c);
  for (std::size_t r = 0; r < kParts; ++r) {
    EXPECT_NEAR(slow::energies(w, w)[r], known[r], 1e-12);
    EXPECT_NEAR(e[r], 2 * known[r], 1e-12);
  }
}

TEST(CorpusParts, AreThoseOfTheCharacters) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const slow::PairFunction w = random_pair_function(4, seed);
    const slow::Energies e = slow::energies(w, w);
    const std::array<double, 4> by_characters = slow::energies_by_characters(w);
    EXPECT_NEAR(e[0], by_characters[0], 1e-12);
    EXPECT_NEAR(e[1] + e[3], by_characters[1], 1e-12);
    EXPECT_NEAR(e[2], by_characters[2], 1e-12);
    EXPECT_NEAR(e[4], by_characters[3], 1e-12);
  }
}

TEST(CorpusParts, OfTwoCovariances) {
  for (const std::size_t length : {std::size_t{3}, std::size_t{4}, std::size_t{7}}) {
    const slow::PairFunction v = random_pair_function(length, 11), w = random_pair_function(length, 12);
    const slow::Energies known = slow::energies(v, w);
    const Energies e = energies(of_pair_function(v), of_pair_function(w));
    for (std::size_t r = 0; r < kParts; ++r) EXPECT_NEAR(e[r], 2 * known[r], 1e-11) << length << ' ' << r;
  }
}

TEST(CorpusParts, OfAScalarChain) {
  const struct {
    std::size_t length;
    double mu, other_share;
  } known[] = {{8, 0.5, 0.580077335667},
               {8, 0.9, 0.970939863862},
               {16, 0.5, 0.334092365606},
               {16, 0.9, 0.894375932074}};
  for (const auto& k : known) {
    const Covariance c = of_scalar_chain(k.length, k.mu);
    const Energies e = energies(c, c);
    EXPECT_NEAR(moments(c).other_share, k.other_share, 1e-12);
    EXPECT_NEAR(e[0] / sum(e), k.other_share, 1e-12);
    EXPECT_NEAR(e[3], 0, 1e-14);
    EXPECT_NEAR(e[4], 0, 1e-14);
  }
  const Covariance c = of_scalar_chain(8, 0.5);
  const Energies e = energies(c, c);
  EXPECT_NEAR(e[1] / sum(e), 0.0605413496663, 1e-12);
  EXPECT_NEAR(e[2] / sum(e), 0.359381314667, 1e-12);
  const std::vector<double> lags = lag_energies(c, c);
  for (std::size_t lag = 1; lag < 8; ++lag)
    EXPECT_NEAR(lags[lag - 1], std::pow(0.25, static_cast<double>(lag)), 1e-15);
}

// ---- Counts

TEST(CorpusCounts, AreThoseOfEachWindow) {
  const Text text = sticky_text(5 * 301 + 3, 6, 0.3, 1);  // tokens 4 and 5 are no letters
  WindowCounts counts(4, 5);
  counts.add(text);
  EXPECT_EQ(counts.windows(), 301u);
  for (std::size_t b = 0; b < 5; ++b)
    for (std::size_t c = b; c < 5; ++c)
      for (std::size_t v = 0; v < 4; ++v)
        for (std::size_t w = 0; w < 4; ++w) {
          std::uint32_t n = 0;
          for (std::size_t i = 0; i < 301; ++i) n += text[5 * i + b] == v && text[5 * i + c] == w;
          if (b < c) {
            EXPECT_EQ(counts.pairs()(b, c)(v, w), n);
          } else {
            EXPECT_EQ(v == w ? counts.single(b, v) : 0, n);
          }
        }
}

TEST(CorpusCounts, AddUp) {
  const Text text = sticky_text(7 * 200, 5, 0.3, 2);
  const std::span<const std::uint16_t> all = text;
  WindowCounts whole(5, 7), parts(5, 7), first(5, 7), second(5, 7);
  whole.add(all);
  parts.add(all.first(7 * 30));
  parts.add(all.subspan(7 * 30));
  first.add(all.first(7 * 120));
  second.add(all.subspan(7 * 120));
  const auto same = [](const WindowCounts& a, const WindowCounts& b) {
    return a.windows() == b.windows() && a.pairs().values() == b.pairs().values() &&
           a.single(3, 2) == b.single(3, 2);
  };
  EXPECT_TRUE(same(whole, parts));
  WindowCounts sum = second;
  sum += first;
  EXPECT_TRUE(same(whole, sum));
  sum -= second;
  EXPECT_TRUE(same(first, sum));
  EXPECT_FALSE(same(whole, sum));
  expect_error([&] { sum += WindowCounts(5, 6); }, ErrorKind::kShape, "do not add up");
  expect_error([&] { sum -= WindowCounts(4, 7); }, ErrorKind::kShape, "do not add up");
}

TEST(CorpusCounts, CovariancesAreThoseOfTheReference) {
  const Text text = sticky_text(6 * 500, 5, 0.4, 3);
  WindowCounts counts(4, 6);
  counts.add(text);
  const Covariance c(counts);
  const slow::Covariance known = slow::covariance(as_slow(text), 4, 6, std::vector<bool>(500, true));
  for (int b = 0; b < 6; ++b)
    for (int d = b + 1; d < 6; ++d)
      for (int v = 0; v < 4; ++v)
        for (int w = 0; w < 4; ++w)
          EXPECT_NEAR(c.pairs(static_cast<std::size_t>(b), static_cast<std::size_t>(d))(
                          static_cast<std::size_t>(v), static_cast<std::size_t>(w)),
                      known.at(b, d, v, w), 1e-15);
  const Moments m = moments(c);
  const slow::Summary s = slow::summarise(known);
  EXPECT_NEAR(m.trace, s.trace, 1e-13);
  EXPECT_NEAR(m.squared, s.all, 1e-13);
  EXPECT_NEAR(m.diagonal_mean, s.diagonal_mean, 1e-13);
  EXPECT_NEAR(m.other_mean, s.other_mean, 1e-13);
  EXPECT_NEAR(m.other, s.other, 1e-13);
  EXPECT_NEAR(m.total_share, s.total_share(6), 1e-12);
  EXPECT_NEAR(m.other_share, s.other_share(6), 1e-12);
}

TEST(CorpusCounts, TheChainOfAText) {
  const Text text = sticky_text(4000, 5, 0.5, 4);
  const Arena arena(1);
  ChainCounts counts(3);
  counts.add(std::span(text).first(1));
  counts.add({});
  counts.add(std::span(text).subspan(1));
  const Covariance c = markov_covariance(counts, 6, arena);
  const slow::Covariance known = slow::markov(as_slow(text), 3, 6);
  for (int b = 0; b < 6; ++b)
    for (int d = b + 1; d < 6; ++d)
      for (int v = 0; v < 3; ++v)
        for (int w = 0; w < 3; ++w)
          EXPECT_NEAR(c.pairs(static_cast<std::size_t>(b), static_cast<std::size_t>(d))(
                          static_cast<std::size_t>(v), static_cast<std::size_t>(w)),
                      known.at(b, d, v, w), 1e-15);
  // Its lags decay by 1/2 each, as its second eigenvalue does.
  const std::vector<double> lags = lag_energies(c, c);
  for (std::size_t i = 1; i < lags.size(); ++i) EXPECT_NEAR(lags[i] / lags[i - 1], 0.25, 0.06);
}

// ---- Principal components

TEST(CorpusComponents, OfAnExchangeableCovarianceAreTheIrreps) {
  Covariance c(2, 5);
  for (std::size_t b = 0; b < 5; ++b) {
    c.means(b, 0) = 0.3;
    c.means(b, 1) = 0.2;
    for (std::size_t d = b + 1; d < 5; ++d) {
      c.pairs(b, d)(0, 0) = 0.05;
      c.pairs(b, d)(1, 1) = 0.02;
      c.pairs(b, d)(0, 1) = c.pairs(b, d)(1, 0) = -0.01;
    }
  }
  const Components found = components(c);
  ASSERT_EQ(found.variances.size(), 10u);
  std::size_t trivial = 0;
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(found.variances[i], found.predicted[i], 1e-15);
    EXPECT_NEAR(found.trivial[i] * (1 - found.trivial[i]), 0, 1e-12);
    trivial += found.trivial[i] > 0.5;
  }
  EXPECT_EQ(trivial, 2u);
  EXPECT_NEAR(std::accumulate(found.variances.begin(), found.variances.end(), 0.0), moments(c).trace, 1e-14);
  expect_error([] { components(Covariance(1000, 3)); }, ErrorKind::kLimit, "3000 features");
}

TEST(CorpusComponents, HaveTheVarianceOfTheText) {
  WindowCounts counts(4, 6);
  counts.add(sticky_text(6 * 500, 5, 0.4, 5));
  const Covariance c(counts);
  const Components found = components(c);
  double squares = 0;
  for (const double value : found.variances) squares += value * value;
  EXPECT_NEAR(std::accumulate(found.variances.begin(), found.variances.end(), 0.0), moments(c).trace, 1e-13);
  EXPECT_NEAR(squares, moments(c).squared, 1e-13);
  EXPECT_NEAR(std::accumulate(found.trivial.begin(), found.trivial.end(), 0.0), 4, 1e-12);  // K of L K
}

// ---- A text

void expect_near(const Estimate& found, const slow::Estimate& known) {
  EXPECT_NEAR(found.value, known.value, 1e-11 * (1 + std::abs(known.value)));
  EXPECT_NEAR(found.error, known.error, 1e-10 * (1 + known.error));
}

TEST(CorpusSymmetryOfText, IsThatOfTheReference) {
  const Text text = sticky_text(5 * 333 + 2, 4, 0.5, 6);
  const Arena arena(2);
  CorpusOptions options;
  options.letters = 3;
  options.length = 5;
  options.blocks = 7;
  options.shuffles = 9;
  const CorpusSymmetry s = measure_corpus(text, options, arena);
  EXPECT_EQ(s.windows, 333u);
  EXPECT_EQ(s.left_out, 2u);
  const slow::Result known = slow::measure(as_slow(text), 3, 5, 7);
  EXPECT_TRUE(s.text.dependent);
  expect_near(s.text.total, known.total);
  expect_near(s.text.total_share, known.total_share);
  expect_near(s.text.other_share, known.other_share);
  for (std::size_t r = 0; r < kParts; ++r) expect_near(s.text.fractions[r], known.fractions[r]);
  const slow::Covariance chain = slow::markov(as_slow(text), 3, 5);
  const slow::Energies markov = slow::energies(chain, chain);
  for (std::size_t r = 0; r < kParts; ++r) EXPECT_NEAR(s.markov[r] * s.markov_total, markov[r], 1e-14);
  EXPECT_EQ(s.p_value, 0.1);  // the least that 9 shuffles can give
}

TEST(CorpusSymmetryOfText, ExchangeableTextsAreTrivial) {
  const Arena arena(2);
  CorpusOptions options;
  options.letters = 5;
  options.length = 8;
  options.shuffles = 19;
  const CorpusSymmetry s = measure_corpus(mixture_text(6000, 8, 6, 7), options, arena);
  for (const BlockEstimate* e : {&s.text, &s.shuffled}) {
    ASSERT_TRUE(e->dependent);
    EXPECT_NEAR(e->fractions[0].value, 1, 3 * e->fractions[0].error + 1e-12);
    EXPECT_LT(e->fractions[0].error, 0.02);
  }
  EXPECT_GT(s.p_value, 0.05);
  EXPECT_FALSE(s.mixed.dependent);
  EXPECT_TRUE(std::isnan(s.mixed.fractions[0].value));
}

TEST(CorpusSymmetryOfText, WithoutVarianceThereIsNoP) {
  const Arena arena(1);
  CorpusOptions options;
  options.letters = 2;
  options.length = 4;
  options.shuffles = 9;
  const CorpusSymmetry s = measure_corpus(std::vector<std::uint16_t>(1000, 0), options, arena);
  EXPECT_TRUE(std::isnan(s.text.other_share.value));
  EXPECT_TRUE(std::isnan(s.p_value));
  ASSERT_EQ(s.notes.size(), 1u);
  EXPECT_THAT(s.notes[0], HasSubstr("no p"));
}

TEST(CorpusSymmetryOfText, AStickyTextIsThatOfTheScalarChain) {
  const Arena arena(2);
  CorpusOptions options;
  options.letters = 4;
  options.length = 8;
  options.shuffles = 19;
  const CorpusSymmetry s = measure_corpus(sticky_text(8 * 20000, 4, 0.5, 8), options, arena);
  ASSERT_TRUE(s.text.dependent);
  EXPECT_NEAR(s.text.fractions[0].value, 0.580077, 4 * s.text.fractions[0].error);
  EXPECT_NEAR(s.markov[0], 0.580077, 0.02);
  EXPECT_NEAR(s.text.fractions[3].value, 0, 0.01);
  EXPECT_NEAR(s.shuffled.fractions[0].value, 1, 3 * s.shuffled.fractions[0].error);
  EXPECT_EQ(s.p_value, 0.05);
}

TEST(CorpusSymmetryOfText, SameBitsForAnyNumberOfThreads) {
  const Text text = sticky_text(6 * 900, 5, 0.4, 9);
  CorpusOptions options;
  options.letters = 4;
  options.length = 6;
  options.shuffles = 19;
  for (const Errors errors : {Errors::kJackknife, Errors::kBootstrap}) {
    options.errors.kind = errors;
    const auto numbers = [&](int threads) {
      return numbers_of(measure_corpus(text, options, Arena(threads)));
    };
    const std::vector<double> one = numbers(1);
    EXPECT_EQ(one, numbers(2));
    EXPECT_EQ(one, numbers(7));
  }
}

TEST(CorpusSymmetryOfText, WhatCannotBeMeasured) {
  const Arena arena(1);
  const Text text = sticky_text(4000, 5, 0.4, 10);
  const auto measure = [&](const std::function<void(CorpusOptions&)>& change, const Text& tokens) {
    return [&arena, change, tokens] {
      CorpusOptions options;
      options.letters = 4;
      options.length = 8;
      options.shuffles = 1;
      change(options);
      measure_corpus(tokens, options, arena);
    };
  };
  using O = CorpusOptions;
  const auto as_it_is = [](O&) {};
  expect_error(measure(as_it_is, {}), ErrorKind::kBadFormat, "0 tokens, less than one window of 8");
  expect_error(measure(as_it_is, Text(1599, 0)), ErrorKind::kUsage,
               "199 windows of 8 tokens, 20 blocks need at least 200");
  expect_error(measure([](O& o) { o.length = 2; }, text), ErrorKind::kUsage,
               "windows of 3 to 1024 tokens, found 2");
  expect_error(measure([](O& o) { o.length = 5000; }, text), ErrorKind::kUsage, "found 5000");
  expect_error(measure([](O& o) { o.letters = 0; }, text), ErrorKind::kUsage, "1 to 4096 letters, found 0");
  expect_error(measure([](O& o) { o.letters = 70000; }, text), ErrorKind::kUsage, "found 70000");
  expect_error(measure([](O& o) { o.blocks = 3; }, text), ErrorKind::kUsage, "found 3");
  expect_error(measure([](O& o) { o.blocks = 5000; }, text), ErrorKind::kUsage, "found 5000");
  expect_error(measure([](O& o) { o.shuffles = 2'000'000; }, text), ErrorKind::kUsage, "found 2000000");
  expect_error(measure([](O& o) { o.letters = 4096, o.length = 1000; }, Text(400'000, 0)), ErrorKind::kLimit,
               "memory");
  expect_error([] { Covariance c(WindowCounts(3, 4)); }, ErrorKind::kUsage, "no window");
  expect_error([] { energies(Covariance(2, 4), Covariance(2, 5)); }, ErrorKind::kShape, "different windows");
  expect_error([&] { estimate_blocks(std::vector<WindowCounts>(4, WindowCounts(2, 4)), arena); },
               ErrorKind::kUsage, "no window");
  expect_error([&] { markov_covariance(ChainCounts(2), 4, arena); }, ErrorKind::kUsage, "without tokens");
  // Texts of one token, or without letters, have no dependence and no fractions.
  for (const std::uint16_t token : {std::uint16_t{0}, std::uint16_t{9}}) {
    CorpusOptions options;
    options.letters = 4;
    options.length = 8;
    options.shuffles = 3;
    const CorpusSymmetry s = measure_corpus(Text(2000, token), options, arena);
    EXPECT_FALSE(s.text.dependent);
    EXPECT_EQ(s.text.total.value, 0);
  }
}

TEST(CorpusSymmetryOfText, TooManyFeaturesHaveNoComponents) {
  if (kSanitized) GTEST_SKIP() << "a large matrix; others run the same code";
  const Arena arena(1);
  CorpusOptions options;
  options.letters = 300;
  options.length = 8;
  options.shuffles = 0;
  options.blocks = 4;
  const CorpusSymmetry s = measure_corpus(sticky_text(1000, 5, 0.4, 11), options, arena);
  EXPECT_TRUE(s.principal.variances.empty());
  ASSERT_EQ(s.notes.size(), 1u);
  EXPECT_THAT(s.notes[0], HasSubstr("2400 features"));
  EXPECT_TRUE(std::isnan(s.p_value));
}

// ---- WikiText-2, validation and test part

class CorpusWikiText : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("TELOS_TEST_DATA");
    if (data == nullptr) GTEST_SKIP() << "TELOS_TEST_DATA is not set";
    const std::filesystem::path folder = std::filesystem::path(data) / "text" / "wikitext-2";
    text_ = read_text((folder / "wiki.valid.tokens").string()) +
            read_text((folder / "wiki.test.tokens").string());
  }
  CorpusSymmetry measure(std::size_t letters, std::size_t length, std::size_t shuffles) const {
    const Arena arena;
    const Corpus corpus = read_units(text_, Unit::kPiece, letters + 1);
    EXPECT_EQ(corpus.tokens.size(), 463215u);
    EXPECT_EQ(corpus.distinct, 18328u);
    CorpusOptions options;
    options.letters = letters;
    options.length = length;
    options.shuffles = shuffles;
    return measure_corpus(corpus.tokens, options, arena);
  }
  std::string text_;
};

TEST_F(CorpusWikiText, EightTokensSixteenLetters) {
  const CorpusSymmetry s = measure(16, 8, 199);
  EXPECT_EQ(s.windows, 57901u);
  const auto close = [](double found, double known) { EXPECT_NEAR(found / known, 1, 1e-11); };
  close(s.of_text.trace, 2.92988891751);
  close(s.of_text.squared, 0.107641270541);
  close(s.of_text.diagonal_mean, 0.0122960648995);
  close(s.of_text.other_mean, 6.48750620855e-05);
  close(s.of_text.other, 0.00923345763227);
  close(s.of_text.total_share, 0.947606082317);
  close(s.of_text.other_share, 0.393460783758);
  const double values[] = {0.0724877145367, 0.0708125001747, 0.0692645948992, 0.0679375434965,
                           0.0648905052675};
  for (std::size_t i = 0; i < 5; ++i) close(s.principal.variances[i], values[i]);
  const double fractions[] = {.3991, .0224, .2662, .0226, .2898};
  for (std::size_t r = 0; r < kParts; ++r) EXPECT_NEAR(s.text.fractions[r].value, fractions[r], 0.00005);
  EXPECT_NEAR(s.text.fractions[0].error, .01715, 0.00005);
  EXPECT_NEAR(s.text.total_share.error, .0015, 0.00005);
  EXPECT_NEAR(s.text.other_share.error, .016, 0.0005);
  EXPECT_NEAR(s.shuffled.fractions[0].value, 1, 3 * s.shuffled.fractions[0].error);
  EXPECT_LT(s.shuffled.fractions[0].error, 0.008);
  EXPECT_NEAR(s.shuffled.total_share.value, .99824, 0.0005);
  EXPECT_NEAR(s.shuffled.other_share.value, .9646, 0.006);
  EXPECT_EQ(s.p_value, 0.005);
}

TEST_F(CorpusWikiText, SixteenTokensSixtyFourLetters) {
  const CorpusSymmetry s = measure(64, 16, 0);
  EXPECT_EQ(s.windows, 28950u);
  const auto close = [](double found, double known) { EXPECT_NEAR(found / known, 1, 1e-11); };
  close(s.of_text.trace, 7.94673862565);
  close(s.of_text.squared, 0.231052493762);
  close(s.of_text.diagonal_mean, 0.0127994825139);
  close(s.of_text.other_mean, 3.46890408731e-05);
  close(s.of_text.other, 0.0260148090198);
  const double trivial[] = {.958, .961, .002, .005, .014, .002};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(s.principal.trivial[i], trivial[i], 0.0006);
  std::size_t near = 0;
  for (std::size_t i = 0; i < 48; ++i) near += s.principal.trivial[i] < 0.1 || s.principal.trivial[i] > 0.9;
  EXPECT_EQ(near, 45u);  // 93.8 %
  const double lags[] = {1, .399, .186, .110, .092, .085};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(s.text.lags[i].value / s.text.lags[0].value, lags[i], 0.02);
}

TEST_F(CorpusWikiText, BootstrapAndJackknifeAgree) {
  const Arena arena;
  const Corpus corpus = read_units(text_, Unit::kPiece, 17);
  CorpusOptions options;
  options.letters = 16;
  options.length = 8;
  options.shuffles = 0;
  options.components = false;
  const CorpusSymmetry jackknife = measure_corpus(corpus.tokens, options, arena);
  options.errors = {.kind = Errors::kBootstrap, .resamples = 200};
  const CorpusSymmetry bootstrap = measure_corpus(corpus.tokens, options, arena);
  for (std::size_t r = 0; r < kParts; ++r) {
    EXPECT_EQ(bootstrap.text.fractions[r].value, jackknife.text.fractions[r].value);
    EXPECT_NEAR(bootstrap.text.fractions[r].error / jackknife.text.fractions[r].error, 1, 0.15) << r;
  }
  EXPECT_NEAR(bootstrap.text.total.error / jackknife.text.total.error, 1, 0.15);
  EXPECT_NEAR(bootstrap.text.other_share.error / jackknife.text.other_share.error, 1, 0.15);
}

}  // namespace
}  // namespace telos::symmetry
