#include "telos/clustering/explain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>

#include "telos/base/philox.h"
#include "tests/clustering/sentiment_support.h"

namespace telos::clustering {
namespace {

const Arena kArena(1);

/// Words are what stands between spaces.
PreprocessOptions as_is() {
  return {.clean = false, .lower_case = false, .stop_words = false, .contractions = false};
}

/// A model whose word i (from 1) is `names[i]` at `rows[i]`; row 0 is padding. Nothing is cut or filled.
SentimentModel model_of(std::vector<std::string> names, const std::vector<std::vector<float>>& rows,
                        std::vector<float> v, std::size_t layers, double alpha) {
  SentimentModel model;
  model.preprocess = as_is();
  model.config = {
      .dim = v.size(), .layers = layers, .max_length = 64, .temperature = 1e-3, .mask_padding = true};
  model.vocabulary = Vocabulary(std::move(names));
  model.embedding = Matrix<float>(rows.size(), v.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::copy(rows[i].begin(), rows[i].end(), model.embedding.row(i));
  model.alpha = alpha;
  model.v = std::move(v);
  return model;
}

const ExplainedLeader& leader_named(const Explanation& e, const std::string& word) {
  for (const ExplainedLeader& leader : e.leaders)
    if (leader.word == word) return leader;
  throw std::runtime_error("no leader " + word);
}

std::vector<std::string> words_of(const Explanation& e, const ExplainedLeader& leader) {
  std::vector<std::string> out;
  for (const std::size_t w : leader.words) out.push_back(e.words[w].word);
  return out;
}

using Names = std::vector<std::string>;

/// The published architecture on numbers that can be done by hand: α = 0.7, two layers, one place of padding.
TEST(Explain, TinyModel) {
  SentimentModel model = test::tiny_model();
  model.preprocess = as_is();
  const Explanation e = explain(model, "one two three two", kArena);
  EXPECT_NEAR(e.logit, -0.6483460208, 1e-7);  // the model's numbers are single precision
  EXPECT_NEAR(e.probability, 0.3433623545, 1e-7);
  EXPECT_NEAR(e.soft_logit, -0.5604897102, 1e-7);
  EXPECT_LT(std::fabs(e.residual), 1e-15);
  EXPECT_EQ(e.length, 5u);
  ASSERT_EQ(e.words.size(), 4u);
  EXPECT_EQ(e.words[3].word, "<PAD>");
  EXPECT_EQ(e.words[1].copies, 2u);

  // “two” leads itself and padding, the others stand alone.
  ASSERT_EQ(e.leaders.size(), 3u);
  const ExplainedLeader& two = e.leaders[0];
  EXPECT_EQ(two.word, "two");
  EXPECT_EQ(two.mass, 3u);
  EXPECT_EQ(two.index, 1u);
  EXPECT_EQ(words_of(e, two), (Names{"two", "<PAD>"}));
  const double padding = (0.9 * -0.4961937716 - 1.3 * 0.7885813149) / 5;
  EXPECT_NEAR(e.words[3].contribution, padding, 1e-7);
  EXPECT_NEAR(two.contribution, 2 * (0.9 * -0.6 - 1.3 * 1.1) / 5 + padding, 1e-7);
  EXPECT_NEAR(two.side, 0.9 * -0.6 - 1.3 * 1.1 + 0.1, 1e-7);
  EXPECT_EQ(e.leaders[1].word, "three");
  EXPECT_EQ(e.leaders[2].word, "one");
  EXPECT_EQ(two.emergence, 0u);

  const double limit = 3 * -1.97 / 5, direct = (0.07 + 2 * -1.97 + 1.6 - 0.53) / 5;
  EXPECT_NEAR(two.limit_contribution, limit, 1e-7);
  EXPECT_NEAR(e.limit_logit, 0.1 + limit + (0.07 + 1.6) / 5, 1e-7);
  EXPECT_NEAR(e.direct_logit, 0.1 + direct, 1e-7);

  // Without “two”, three places of padding follow no other word: they lead themselves.
  EXPECT_NEAR(two.logit_without, 0.1 + (0.07 + 1.6 + 3 * -0.53) / 5, 1e-7);
  EXPECT_EQ(two.taken_over_by, Names{"<PAD>"});
  EXPECT_TRUE(e.leaders[1].taken_over_by.empty());
}

TEST(Explain, MaskedPaddingHasNoPart) {
  SentimentModel model = test::tiny_model();
  model.preprocess = as_is();
  model.config.mask_padding = true;
  const Explanation e = explain(model, "one two three two", kArena);
  EXPECT_EQ(e.length, 4u);
  EXPECT_NEAR(e.logit, 0.1 + (0.07 + 2 * -1.97 + 1.6) / 4, 1e-7);
  // The sum is over three words then, and over none in the end.
  EXPECT_NEAR(leader_named(e, "one").logit_without, 0.1 + (2 * -1.97 + 1.6) / 3, 1e-7);
  EXPECT_EQ(explain(model, "one one", kArena).leaders.at(0).logit_without, 0.1);
}

TEST(Explain, PaddingThatLeadsIsFlaggedAndTakenAway) {
  SentimentModel model = test::tiny_model();
  model.preprocess = as_is();
  const Explanation e = explain(model, "three unheard", kArena);
  const ExplainedLeader& padding = leader_named(e, "<PAD>");
  EXPECT_TRUE(padding.padding);
  EXPECT_EQ(padding.mass, 4u);
  EXPECT_EQ(e.unknown, 1u);
  EXPECT_NEAR(padding.logit_without, 0.1 + 1.6, 1e-7);
  EXPECT_TRUE(padding.taken_over_by.empty());
  EXPECT_FALSE(leader_named(e, "three").padding);
}

/// The words beyond max_length move up when one is deleted, as they do when a person deletes it.
TEST(Explain, CounterfactualIsTheTextWithoutTheWord) {
  SentimentModel model = test::tiny_model();
  model.preprocess = as_is();
  model.config.max_length = 3;
  const Explanation e = explain(model, "one two one three", kArena);
  EXPECT_EQ(e.cut, 1u);
  const std::string edited[] = {"two three"};
  EXPECT_EQ(leader_named(e, "one").logit_without, explain(model, edited[0], kArena).logit);
  EXPECT_NEAR(leader_named(e, "one").logit_without, predict(model, edited, LayerMode::kHard, kArena)[0].logit,
              1e-12);
}

TEST(Explain, StopWordsAreFlagged) {
  const SentimentModel model = model_of({"The", "fine"}, {{0, 0}, {2, 0}, {0, 1}}, {1, 1}, 3, 1);
  const Explanation e = explain(model, "The fine", kArena);
  EXPECT_TRUE(leader_named(e, "The").stop_word);
  EXPECT_FALSE(leader_named(e, "fine").stop_word);
}

/// A word between two corners of equal score follows both for ever: it is nobody's, and said so.
TEST(Explain, WordsWithoutASingleLeaderAreALineOfTheirOwn) {
  const SentimentModel model =
      model_of({"up", "down", "between"}, {{0, 0}, {1, 1}, {1, -1}, {0.5, 0}}, {1, 0}, 1, 0.5);
  const Explanation e = explain(model, "up down between", kArena);
  ASSERT_EQ(e.leaders.size(), 2u);
  EXPECT_EQ(e.words[2].leader, kNone);
  EXPECT_NEAR(e.undecided, (1 / 1.5 * 0.5 + 0.5 / 1.5) / 3, 1e-15);
  EXPECT_NEAR(e.logit, 2.0 / 3 + e.undecided, 1e-15);
  EXPECT_NEAR(e.limit_logit, 1, 1e-15);
}

/// Equal scores are shared by copies: two of “up” and one of “down” pull to (1, 1/3).
TEST(Explain, TiesWeighCopies) {
  const SentimentModel model =
      model_of({"up", "down", "between"}, {{0, 0}, {1, 1}, {1, -1}, {0.5, 0}}, {0, 1}, 1, 1);
  const Explanation e = explain(model, "up down up between", kArena);
  EXPECT_NEAR(e.words[2].contribution, (1.0 / 6) / 4, 1e-15);
  EXPECT_EQ(e.run.tokens, 4u);
  EXPECT_EQ(e.run.group[3], e.run.group[0]);  // the second “up” stands behind the words
  // With more layers it is the larger group's.
  SentimentModel deep =
      model_of({"up", "down", "between"}, {{0, 0}, {1, 1}, {1, -1}, {0.5, 0}}, {0, 1}, 3, 1);
  const Explanation later = explain(deep, "up down up between", kArena);
  EXPECT_EQ(leader_named(later, "up").mass, 3u);
}

/// A word that leads later than the model has layers leads nobody in it.
TEST(Explain, LeadersThatEmergeLate) {
  const std::vector<std::vector<float>> rows = {{0, 0},   {1, 1 / 3.0f}, {-1 / 12.0f, 1 / 12.0f},
                                                {-1, -1}, {0, 0.25f},    {-0.3f, -0.7f}};
  const Names names = {"a", "late", "b", "mover", "c"};
  const Explanation one = explain(model_of(names, rows, {1, 1}, 1, 0.5), "a late b mover c", kArena);
  EXPECT_EQ(one.leaders.size(), 2u);
  EXPECT_EQ(one.words[1].leader, kNone);
  EXPECT_NE(one.undecided, 0);
  const Explanation two = explain(model_of(names, rows, {1, 1}, 2, 0.5), "a late b mover c", kArena);
  EXPECT_EQ(two.leaders.size(), 3u);
  EXPECT_EQ(leader_named(two, "late").emergence, 1u);
  EXPECT_EQ(leader_named(two, "late").mass, 1u);
  EXPECT_EQ(two.undecided, 0);
}

TEST(Explain, WithoutLayersEachWordSpeaksForItself) {
  const SentimentModel model = model_of({"a", "b"}, {{0, 0}, {1, 0}, {3, 0}}, {1, 0}, 0, 1);
  const Explanation e = explain(model, "a b a", kArena);
  ASSERT_EQ(e.leaders.size(), 2u);
  EXPECT_EQ(e.leaders[0].word, "b");
  EXPECT_EQ(e.leaders[0].contribution, 1);
  EXPECT_EQ(e.leaders[1].mass, 2u);
  EXPECT_NEAR(e.logit, 5.0 / 3, 1e-15);
  EXPECT_EQ(e.limit_logit, e.logit);
  EXPECT_EQ(e.direct_logit, e.logit);
  EXPECT_EQ(e.leaders[0].logit_without, 1);
}

TEST(Explain, NothingToExplain) {
  const SentimentModel model = model_of({"a"}, {{0}, {1}}, {1}, 2, 1);
  const Error none = test::error_of([&] { explain(model, "unheard of", kArena); });
  EXPECT_EQ(none.kind(), ErrorKind::kUsage);
  EXPECT_EQ(none.message(), "none of its 2 words is in the vocabulary");
  EXPECT_EQ(test::error_of([&] { explain(model, "", kArena); }).message(),
            "no word is left of it after preprocessing");
  SentimentModel padded = model_of({"a"}, {{2}, {1}}, {1}, 2, 1);
  padded.config.mask_padding = false;
  const Explanation e = explain(padded, "", kArena);
  EXPECT_EQ(e.logit, 2);
  EXPECT_EQ(e.leaders.at(0).logit_without, 0);  // b
}

SentimentModel random_model(std::uint64_t seed, std::size_t d, bool mask) {
  Random random(seed);
  constexpr std::size_t kWords = 40;
  Names names;
  std::vector<std::vector<float>> rows(kWords + 1);
  for (std::size_t i = 0; i <= kWords; ++i) {
    if (i != 0) names.push_back("w" + std::to_string(i));
    // Every fifth on a lattice: equal vectors and exact ties.
    for (std::size_t c = 0; c < d; ++c)
      rows[i].push_back(i % 5 == 0 ? static_cast<float>(random.below(5)) - 2
                                   : static_cast<float>(random.normal()));
  }
  std::vector<float> v;
  for (std::size_t c = 0; c < d; ++c) v.push_back(static_cast<float>(random.normal()));
  SentimentModel model = model_of(names, rows, v, 1 + random.below(8), 0.05 + 3 * random.uniform());
  model.bias = random.normal();
  model.config.max_length = 30;
  model.config.mask_padding = mask;
  return model;
}

std::string random_text(std::uint64_t seed, std::uint64_t sample) {
  Random random(seed, 1, sample);
  std::string text;
  for (std::size_t i = 0, n = 1 + random.below(40); i < n; ++i)
    text += (i == 0 ? "w" : " w") + std::to_string(1 + random.below(42));  // two of them unheard of
  return text;
}

TEST(Explain, TheSumIsExactAndTheCounterfactualIsThePrediction) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const SentimentModel model = random_model(seed, 1 + seed % 6, seed % 2 == 0);
    const std::string text = "w1 " + random_text(seed, 0);
    const Explanation e = explain(model, text, kArena);
    double sum = e.bias + e.undecided, by_word = e.bias;
    std::size_t mass = 0, copies = 0;
    for (const ExplainedLeader& leader : e.leaders) {
      sum += leader.contribution;
      mass += leader.mass;
      EXPECT_EQ(e.words[leader.index].id, leader.id);
      double own = 0;
      for (const std::size_t w : leader.words) own += e.words[w].contribution;
      EXPECT_NEAR(own, leader.contribution, 1e-12);
    }
    for (const ExplainedWord& word : e.words) {
      by_word += word.contribution;
      copies += word.copies;
      mass += word.leader == kNone ? word.copies : 0;
    }
    EXPECT_NEAR(sum, e.logit, 1e-12) << seed;
    EXPECT_NEAR(by_word, e.logit, 1e-12) << seed;
    EXPECT_EQ(mass, e.length);
    EXPECT_EQ(copies, e.length);

    // The logit is that of the prediction, which goes another way.
    const std::string texts[] = {text};
    EXPECT_NEAR(e.logit, predict(model, texts, LayerMode::kHard, kArena)[0].logit, 1e-9) << seed;
    for (const ExplainedLeader& leader : e.leaders) {
      if (leader.padding) continue;
      std::string edited = " " + text + " ";
      for (std::size_t at; (at = edited.find(" " + leader.word + " ")) != std::string::npos;)
        edited.erase(at, leader.word.size() + 1);
      const std::string without[] = {edited};
      EXPECT_NEAR(leader.logit_without, predict(model, without, LayerMode::kHard, kArena)[0].logit, 1e-9)
          << seed << " " << leader.word;
    }
  }
}

TEST(Explain, SameForAnyNumberOfThreads) {
  const SentimentModel model = random_model(3, 3, false);
  const Explanation one = explain(model, random_text(3, 1), kArena);
  for (const int threads : {2, 7}) {
    const Explanation other = explain(model, random_text(3, 1), Arena(threads));
    ASSERT_EQ(other.leaders.size(), one.leaders.size());
    for (std::size_t l = 0; l < one.leaders.size(); ++l) {
      EXPECT_EQ(other.leaders[l].contribution, one.leaders[l].contribution);
      EXPECT_EQ(other.leaders[l].logit_without, one.leaders[l].logit_without);
      EXPECT_EQ(other.leaders[l].taken_over_by, one.leaders[l].taken_over_by);
    }
  }
}

Names random_texts(std::uint64_t seed, std::size_t count) {
  Names texts;
  for (std::size_t i = 0; i < count; ++i) texts.push_back(random_text(seed, i));
  return texts;
}

/// The census counts what explanations of its texts list.
TEST(LeaderCensus, CountsTheLeadersOfExplanations) {
  const SentimentModel model = random_model(11, 2, false);
  const Names texts = random_texts(11, 60);
  std::vector<std::uint8_t> labels;
  for (std::size_t i = 0; i < texts.size(); ++i) labels.push_back(i % 3 == 0);
  for (const bool skip : {false, true})
    for (const double confidence : {0.0, 0.6}) {
      const CensusOptions options{.confidence = confidence, .far = confidence, .skip_padding = skip};
      const LeaderCensus census = leader_census(model, texts, labels, options, kArena);
      std::map<std::string, std::size_t> counted;
      double mean = 0, right = 0, leaders = 0, initial = 0, unique = 0;
      std::size_t used = 0;
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const Explanation e = explain(model, texts[i], kArena);
        const bool is_right = (e.probability >= 0.5) == (labels[i] == 1);
        right += is_right;
        unique += static_cast<double>(e.words.size());
        const bool kept =
            confidence == 0 || (is_right && std::max(e.probability, 1 - e.probability) > confidence);
        used += kept;
        for (const ExplainedLeader& leader : e.leaders) {
          if (skip && leader.padding) continue;
          ++leaders;
          initial += leader.emergence == 0;
          if (kept && std::fabs(leader.side) > options.far) ++counted[leader.word];
        }
      }
      mean = leaders / 60;
      EXPECT_EQ(census.texts, 60u);
      EXPECT_EQ(census.used, used);
      EXPECT_NEAR(census.mean, mean, 1e-12);
      EXPECT_NEAR(census.accuracy, right / 60, 1e-12);
      EXPECT_NEAR(census.initial_share, initial / leaders, 1e-12);
      EXPECT_NEAR(census.unique_mean, unique / 60, 1e-12);
      std::map<std::string, std::size_t> listed;
      for (const LeaderWord& word : census.words) listed[word.word] = word.texts;
      EXPECT_EQ(listed, counted);
      EXPECT_TRUE(std::is_sorted(census.words.begin(), census.words.end(),
                                 [](const LeaderWord& a, const LeaderWord& b) { return a.texts > b.texts; }));
      EXPECT_EQ(std::accumulate(census.histogram.begin(), census.histogram.end(), std::size_t{0}), 60u);
      EXPECT_EQ(census.histogram.size(), census.most + 1);
      EXPECT_NE(census.histogram[census.least], 0u);
    }
}

TEST(LeaderCensus, MeansAreOverTheTextsThatAWordLeadsIn) {
  const SentimentModel model = model_of({"big", "small"}, {{0, 0}, {2, 0}, {1, 0}}, {1, 0}, 40, 1);
  const Names texts = {"big", "big small small small", "small"};
  const LeaderCensus census = leader_census(model, texts, {}, {}, kArena);
  EXPECT_EQ(census.mean, 1);
  EXPECT_EQ(census.deviation, 0);
  EXPECT_TRUE(std::isnan(census.accuracy));
  ASSERT_EQ(census.words.size(), 2u);
  EXPECT_EQ(census.words[0].word, "big");
  EXPECT_EQ(census.words[0].texts, 2u);
  EXPECT_EQ(census.words[0].mean_mass, 1);
  EXPECT_NEAR(census.words[0].contribution, 2, 1e-11);
  EXPECT_EQ(census.words[1].contribution, 1);
  EXPECT_EQ(census.words[0].side, 2);
}

TEST(LeaderCensus, SameBitsForAnyNumberOfThreads) {
  const SentimentModel model = random_model(5, 3, false);
  const Names texts = random_texts(5, 1200);  // more than two blocks
  const LeaderCensus one = leader_census(model, texts, {}, {}, kArena);
  for (const int threads : {2, 7}) {
    const LeaderCensus other = leader_census(model, texts, {}, {}, Arena(threads));
    ASSERT_EQ(other.words.size(), one.words.size());
    for (std::size_t i = 0; i < one.words.size(); ++i) {
      EXPECT_EQ(other.words[i].id, one.words[i].id);
      EXPECT_EQ(std::bit_cast<std::uint64_t>(other.words[i].contribution),
                std::bit_cast<std::uint64_t>(one.words[i].contribution));
      EXPECT_EQ(std::bit_cast<std::uint64_t>(other.words[i].mean_mass),
                std::bit_cast<std::uint64_t>(one.words[i].mean_mass));
    }
    EXPECT_EQ(other.histogram, one.histogram);
  }
}

TEST(LeaderCensus, BadRequests) {
  const SentimentModel model = model_of({"a"}, {{0}, {1}}, {1}, 2, 1);
  const Names texts = {"a", "a"};
  const std::vector<std::uint8_t> one = {1}, none;
  const auto message = [&](const Names& given, const std::vector<std::uint8_t>& labels, double confidence,
                           double far) {
    const Error error = test::error_of([&] {
      leader_census(model, given, labels, {.confidence = confidence, .far = far, .skip_padding = true},
                    kArena);
    });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.message();
  };
  EXPECT_EQ(message({}, none, 0, 0), "there are no texts");
  EXPECT_EQ(message(texts, one, 0, 0), "2 texts, but 1 labels");
  for (const double confidence : {-1.0, 0.3, 1.0, std::nan("")})
    EXPECT_TRUE(message(texts, none, confidence, 0).starts_with("the confidence must be 0")) << confidence;
  EXPECT_TRUE(message(texts, none, 0, -1).starts_with("the distance"));
}

}  // namespace
}  // namespace telos::clustering
