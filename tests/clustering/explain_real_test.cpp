#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "telos/clustering/explain.h"
#include "telos/io/labelled_text.h"
#include "tests/repeats.h"

// The published model of two dimensions on reviews. Its files are not part of the repository:
// TELOS_TEST_DATA names the folder that holds models/ and sentiment/.

namespace telos::clustering {
namespace {

class PublishedModel : public testing::Test {
 protected:
  void SetUp() override {
    const char* const data = std::getenv("TELOS_TEST_DATA");
    if (data == nullptr)
      GTEST_SKIP() << "set TELOS_TEST_DATA to the folder that holds models/ and sentiment/";
    const std::string folder = data, model = folder + "/models/hardmax-sentiment-d2/";
    model_ = import_published(model + "model.safetensors", model + "vocab_reconstructed.tsv");
    const std::string wordnet = "/usr/share/wordnet";
    if (std::filesystem::exists(wordnet)) model_.preprocess.wordnet = wordnet;
    reviews_ = read_labelled_text(folder + "/sentiment/imdb_test.tsv.gz");
    constexpr std::size_t kReviews = 1000;
    reviews_.texts.resize(kReviews);
    reviews_.labels.resize(kReviews);
  }

  SentimentModel model_;
  LabelledText reviews_;
  Arena arena_;
};

/// Published: 4.96 leaders a review (± 1.11), nearly all from layer 0 on; “great” and “worst” most often.
TEST_F(PublishedModel, LeadersOfReviews) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const LeaderCensus census = leader_census(model_, reviews_.texts, reviews_.labels,
                                            {.confidence = 0.95, .far = 2, .skip_padding = false}, arena_);
  EXPECT_NEAR(census.mean, 4.96, 0.2);
  EXPECT_NEAR(census.deviation, 1.11, 0.15);
  EXPECT_GT(census.initial_share, 0.99);
  EXPECT_LE(census.most, 12u);
  ASSERT_GE(census.words.size(), 5u);
  for (const char* word : {"great", "worst"})
    EXPECT_TRUE(std::any_of(census.words.begin(), census.words.begin() + 5, [word](const LeaderWord& leader) {
      return leader.word == word;
    })) << word;
}

TEST_F(PublishedModel, ExplanationsAddUpToThePrediction) {
  for (std::size_t i = 0; i < 10; ++i) {
    const Explanation e = explain(model_, reviews_.texts[i], arena_);
    EXPECT_LT(std::fabs(e.residual), 1e-12);
    const Prediction hard =
        predict(model_, std::span(&reviews_.texts[i], 1), LayerMode::kHard, arena_).front();
    EXPECT_NEAR(e.logit, hard.logit, 1e-9) << i;
    EXPECT_NEAR(e.limit_logit, e.logit, 0.1) << i;  // r^8 = 6e-5
  }
}

}  // namespace
}  // namespace telos::clustering
