// Training of the sentiment model: what it learns, that its bits follow from the spec, and that a run goes on
// where it was stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "clustering/sentiment_lab_parts.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "tests/clustering/sentiment_support.h"

namespace telos::clustering::test {
namespace {

using testing::HasSubstr;

/// Texts of 3 to 12 neutral words; two of three carry a word of their class, the others say nothing.
LabelledText corpus(std::size_t size, std::uint64_t seed = 1) {
  const char* const words[2][3] = {{"dire", "grim", "bland"}, {"superb", "lovely", "bright"}};
  LabelledText out;
  Random random(seed);
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint8_t label = static_cast<std::uint8_t>(i % 2);
    std::string text;
    for (std::uint32_t w = 3 + random.below(10); w > 0; --w)
      text += "word" + std::string(1, static_cast<char>('a' + random.below(20))) + " ";
    if (i % 3 != 0) text += words[label][random.below(3)];
    out.texts.push_back(text);
    out.labels.push_back(label);
  }
  out.negative = "bad";
  out.positive = "good";
  return out;
}

TrainingSpec small_spec() {
  TrainingSpec spec;
  spec.model = {.dim = 3, .layers = 3, .max_length = 12};
  spec.epochs = 4;
  spec.batch = 16;
  spec.learning_rate = 0.03;
  spec.seeds = {5};
  spec.baselines = false;
  return spec;
}

TrainingResult train(const TrainingSpec& spec, const Arena& arena, const std::string& directory = {},
                     bool resume = false) {
  return train_sentiment(spec, corpus(200), {}, directory, resume, arena);
}

void expect_same_bits(const SentimentModel& a, const SentimentModel& b) {
  ASSERT_EQ(a.embedding.size(), b.embedding.size());
  EXPECT_EQ(std::memcmp(a.embedding.data(), b.embedding.data(), a.embedding.size() * sizeof(float)), 0);
  EXPECT_EQ(a.alpha, b.alpha);
  EXPECT_EQ(a.v, b.v);
  EXPECT_EQ(a.bias, b.bias);
}

void expect_same_run(const TrainingRun& a, const TrainingRun& b) {
  expect_same_bits(a.model, b.model);
  ASSERT_EQ(a.epochs.size(), b.epochs.size());
  EXPECT_EQ(a.best_epoch, b.best_epoch);
  for (std::size_t i = 0; i < a.epochs.size(); ++i) {
    EXPECT_EQ(a.epochs[i].train_loss, b.epochs[i].train_loss);
    EXPECT_EQ(a.epochs[i].train_accuracy, b.epochs[i].train_accuracy);
    EXPECT_EQ(a.epochs[i].test_loss, b.epochs[i].test_loss);
    EXPECT_EQ(a.epochs[i].test_accuracy, b.epochs[i].test_accuracy);
    EXPECT_EQ(a.epochs[i].validation_accuracy, b.epochs[i].validation_accuracy);
    EXPECT_EQ(a.epochs[i].alpha, b.epochs[i].alpha);
  }
}

// ---- Learning

TEST(SentimentTraining, LearnsTheWordsThatTell) {
  TrainingSpec spec = small_spec();
  spec.epochs = 25;
  spec.baselines = true;
  const TrainingResult result = train(spec, Arena(1));
  EXPECT_EQ(result.train_texts, 140u);
  EXPECT_EQ(result.test_texts, 60u);
  ASSERT_EQ(result.runs.size(), 1u);
  const TrainingRun& run = result.runs[0];
  EXPECT_TRUE(run.finished);
  ASSERT_EQ(run.epochs.size(), 25u);
  EXPECT_LT(run.epochs.back().train_loss, 0.5 * run.epochs.front().train_loss);
  EXPECT_GT(run.soft.accuracy, 0.7);  // a third of the texts say nothing
  EXPECT_GT(run.agreement, 0.95);
  EXPECT_NEAR(run.epochs.back().test_accuracy, run.soft.accuracy, 0.02);  // float and double
  EXPECT_NEAR(run.epochs.back().test_loss, run.soft.loss, 1e-3);
  const auto side = [&](const char* word) {
    const float* z = run.model.embedding.row(static_cast<std::size_t>(run.model.vocabulary.id(word)));
    double sum = 0;
    for (std::size_t k = 0; k < 3; ++k) sum += double{run.model.v[k]} * double{z[k]};
    return sum;
  };
  EXPECT_GT(side("superb"), side("dire"));
  EXPECT_EQ(run.model.positive, "good");
  ASSERT_EQ(result.baselines.size(), 2u);
  for (const Baseline& baseline : result.baselines) EXPECT_GT(baseline.accuracy.at(0), 0.7) << baseline.name;
}

TEST(SentimentTraining, EachModeLearns) {
  for (const LayerMode mode : {LayerMode::kHard, LayerMode::kSte}) {
    TrainingSpec spec = small_spec();
    spec.mode = mode;
    spec.epochs = 25;
    const TrainingRun run = std::move(train(spec, Arena(1)).runs[0]);
    EXPECT_GT(run.epochs.back().train_accuracy, 0.75) << to_string(mode);
    EXPECT_LT(run.epochs.back().train_loss, 0.6 * run.epochs.front().train_loss) << to_string(mode);
  }
}

TEST(SentimentTraining, TheStepIsDrawnSetOrFixed) {
  TrainingSpec spec = small_spec();
  spec.epochs = 1;
  const auto alpha_of_first = [&] { return initial_values(spec, 10, 5).alpha; };
  EXPECT_GT(alpha_of_first(), 0);
  EXPECT_LT(alpha_of_first(), 1);
  spec.alpha_init = 2.5;
  EXPECT_EQ(alpha_of_first(), 2.5);
  EXPECT_NEAR(alpha_of(double{initial_values(spec, 10, 5).parameters.back()}), 2.5, 1e-6);
  EXPECT_NE(train(spec, Arena(1)).runs[0].model.alpha, 2.5);
  spec.alpha_fixed = true;
  EXPECT_EQ(train(spec, Arena(1)).runs[0].model.alpha, 2.5);
}

TEST(SentimentTraining, InitialValuesAreThePublishedDistributions) {
  TrainingSpec spec = small_spec();
  const std::vector<float> values = initial_values(spec, 2000, 1).parameters;
  double mean = 0, square = 0;
  for (std::size_t i = 0; i < 6000; ++i) {
    mean += double{values[i]} / 6000;
    square += double{values[i]} * double{values[i]} / 6000;
  }
  EXPECT_NEAR(mean, 0, 4 / std::sqrt(6000.0));
  EXPECT_NEAR(square, 1, 4 * std::sqrt(2 / 6000.0));
  for (std::size_t i = 6000; i < 6004; ++i) EXPECT_LE(std::abs(values[i]), 1 / std::sqrt(3.0f));
}

TEST(SentimentTraining, StopsEarlyAndKeepsTheBestEpoch) {
  TrainingSpec spec = small_spec();
  spec.validation_share = 0.3;
  spec.patience = 2;
  spec.epochs = 40;
  spec.learning_rate = 0.1;
  const TrainingResult result = train(spec, Arena(1));
  EXPECT_EQ(result.validation_texts, 42u);
  const TrainingRun& run = result.runs[0];
  ASSERT_LT(run.epochs.size(), 40u);
  EXPECT_EQ(run.epochs.size(), run.best_epoch + 3);
  for (const Epoch& e : run.epochs)
    EXPECT_LE(e.validation_accuracy, run.epochs[run.best_epoch].validation_accuracy);
  EXPECT_EQ(run.epochs[run.best_epoch].alpha, run.model.alpha);
}

// ---- Bits

TEST(SentimentTraining, BitsDoNotDependOnThreads) {
  const TrainingResult base = train(small_spec(), Arena(1));
  for (const int threads : {2, 7}) expect_same_run(base.runs[0], train(small_spec(), Arena(threads)).runs[0]);
  EXPECT_GT(base.runs[0].epochs[3].train_loss, 0);
}

TEST(SentimentTraining, SeedsSideBySideAreTheSeedsAlone) {
  TrainingSpec spec = small_spec();
  spec.seeds = {5, 9, 2};
  const TrainingResult all = train(spec, Arena(2));
  ASSERT_EQ(all.runs.size(), 3u);
  expect_same_run(all.runs[0], train(small_spec(), Arena(1)).runs[0]);
  EXPECT_EQ(all.runs[2].seed, 2u);
  EXPECT_NE(all.runs[0].model.bias, all.runs[1].model.bias);
}

TEST(SentimentTraining, ARunStoppedAnywhereGoesOnBitForBit) {
  TrainingSpec spec = small_spec();
  spec.validation_share = 0.2;
  const Arena arena(1);
  const SentimentData data = prepare_data(spec, corpus(200), {}, arena);
  SentimentRun whole(spec, data, 5, "");
  whole.train(arena);
  const std::size_t per_epoch = 7;  // of 112 texts
  for (const std::size_t stop :
       {std::size_t{0}, std::size_t{3}, per_epoch, 2 * per_epoch + 1, 4 * per_epoch - 1}) {
    const TemporaryFolder folder("sentiment_resume");
    {
      SentimentRun first(spec, data, 5, folder.path());
      first.train(arena, stop);
      first.save();
    }
    SentimentRun second(spec, data, 5, folder.path());
    second.resume();
    EXPECT_FALSE(second.done());
    second.train(arena);
    EXPECT_TRUE(second.done());
    expect_same_run(whole.result(arena), second.result(arena));
    ASSERT_EQ(whole.parameters().size(), second.parameters().size());
    EXPECT_EQ(
        std::memcmp(whole.parameters().data(), second.parameters().data(), whole.parameters().size_bytes()),
        0)
        << stop;
  }
}

TEST(SentimentTraining, AnInterruptLeavesACheckpointToGoOnFrom) {
  const TemporaryFolder folder("sentiment_interrupt");
  TrainingSpec spec = small_spec();
  spec.checkpoint_every = 100;
  spec.baselines = true;
  const TrainingResult whole = train(spec, Arena(1));
  set_log_sink([](LogLevel, std::string_view message) {
    if (message.find("epoch 1:") != std::string_view::npos) request_interrupt();
  });
  EXPECT_EQ(error_of([&] { train(spec, Arena(1), folder.path()); }).kind(), ErrorKind::kInterrupted);
  set_log_sink({});
  clear_interrupt();
  EXPECT_TRUE(std::filesystem::exists(folder.file("seed-5/checkpoint.safetensors")));
  const TrainingResult resumed = train(spec, Arena(1), folder.path(), true);
  expect_same_run(whole.runs[0], resumed.runs[0]);
  EXPECT_EQ(whole.baselines[0].accuracy, resumed.baselines[0].accuracy);
}

TEST(SentimentTraining, LongerTrainingGoesOnFromAFinishedOne) {
  const TemporaryFolder folder("sentiment_longer");
  TrainingSpec spec = small_spec();
  spec.epochs = 2;
  train(spec, Arena(1), folder.path());
  spec.epochs = 4;
  expect_same_run(train(spec, Arena(1), folder.path(), true).runs[0], train(spec, Arena(1)).runs[0]);
}

TEST(SentimentTraining, RefusesACheckpointOfOtherSettingsOrTexts) {
  const TemporaryFolder folder("sentiment_other");
  TrainingSpec spec = small_spec();
  spec.epochs = 1;
  train(spec, Arena(1), folder.path());
  spec.learning_rate = 0.5;
  EXPECT_THAT(error_of([&] { train(spec, Arena(1), folder.path(), true); }).message(),
              HasSubstr("other settings"));
  spec.learning_rate = small_spec().learning_rate;
  const LabelledText other = corpus(200, 2);
  EXPECT_THAT(error_of([&] { train_sentiment(spec, other, {}, folder.path(), true, Arena(1)); }).message(),
              testing::AnyOf(HasSubstr("other texts"), HasSubstr("shape")));
}

// ---- Data

TEST(SentimentData, SplitsWithoutOverlapAndFromTheSeedAlone) {
  TrainingSpec spec = small_spec();
  spec.validation_share = 0.25;
  const SentimentData a = prepare_data(spec, corpus(100), {}, Arena(1));
  EXPECT_EQ(a.test.size(), 30u);
  EXPECT_EQ(a.validation.size(), 18u);  // a quarter of 70
  EXPECT_EQ(a.train.size(), 52u);
  EXPECT_EQ(a.fingerprint, prepare_data(spec, corpus(100), {}, Arena(2)).fingerprint);
  spec.seeds = {6};
  EXPECT_NE(a.fingerprint, prepare_data(spec, corpus(100), {}, Arena(1)).fingerprint);
}

TEST(SentimentData, WordsOfTheTestTextsAreKnownOnlyIfAsked) {
  LabelledText test;
  test.texts = {"novel superb", "novel"};
  test.labels = {1, 0};
  TrainingSpec spec = small_spec();
  EXPECT_GT(prepare_data(spec, corpus(50), test, Arena(1)).vocabulary.id("novel"), 0);
  spec.vocabulary_of_all = false;
  const SentimentData data = prepare_data(spec, corpus(50), test, Arena(1));
  EXPECT_EQ(data.vocabulary.id("novel"), -1);
  EXPECT_EQ(data.train.size(), 50u);
  EXPECT_EQ(data.test.size(), 2u);
  spec.min_count = 1000;
  EXPECT_EQ(error_of([&] { prepare_data(spec, corpus(50), test, Arena(1)); }).where(), "vocabulary");
}

TEST(SentimentData, NeedsBothClassesAndATest) {
  LabelledText one = corpus(20);
  one.labels.assign(20, 1);
  EXPECT_THAT(error_of([&] { train_sentiment(small_spec(), one, {}, "", false, Arena(1)); }).message(),
              HasSubstr("both classes"));
  TrainingSpec spec = small_spec();
  spec.test_share = 0;
  EXPECT_EQ(error_of([&] { train(spec, Arena(1)); }).where(), "test texts");
}

// ---- Specs

TEST(TrainingSpecJson, KeepsEveryField) {
  TrainingSpec spec = small_spec();
  spec.mode = LayerMode::kSte;
  spec.preprocess.lower_case = false;
  spec.model.mask_padding = true;
  spec.seeds = {3, 1ull << 60};
  spec.alpha_fixed = true;
  spec.vocabulary_of_all = false;
  EXPECT_EQ(training_spec_from_json(to_json(spec), "spec"), spec);
  const TrainingSpec plain;
  EXPECT_EQ(training_spec_from_json("{}", "spec"), plain);
}

TEST(TrainingSpecJson, NamesUnknownFieldsAndWrongTypes) {
  const auto message = [](const char* text) {
    const Error e = error_of([&] { training_spec_from_json(text, "spec"); });
    return std::string(e.what()) + " " + e.hint();
  };
  EXPECT_THAT(message(R"({"epoch": 3})"), HasSubstr("unknown field \"epoch\""));
  EXPECT_THAT(message(R"({"epoch": 3})"), HasSubstr("epochs"));
  EXPECT_THAT(message(R"({"model": {"dims": 3}})"), HasSubstr("dims"));
  EXPECT_THAT(message(R"({"mode": "hart"})"), HasSubstr("hard"));
  EXPECT_THAT(message(R"({"seeds": [1, -2]})"), HasSubstr("whole number"));
  EXPECT_THAT(message(R"({"epochs": "many"})"), HasSubstr("epochs"));
}

TEST(TrainingSpecCheck, NamesTheFieldOutOfRange) {
  const auto where = [](const std::function<void(TrainingSpec&)>& spoil) {
    TrainingSpec spec = small_spec();
    spoil(spec);
    return error_of([&] { check_spec(spec); }).where();
  };
  EXPECT_THAT(where([](TrainingSpec& s) { s.model.dim = 0; }), HasSubstr("dim"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.model.layers = 5000; }), HasSubstr("layers"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.model.max_length = 0; }), HasSubstr("max_length"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.model.temperature = NAN; }), HasSubstr("temperature"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.learning_rate = 0; }), HasSubstr("learning_rate"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.clip_norm = -1; }), HasSubstr("clip_norm"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.alpha_init = -1; }), HasSubstr("alpha_init"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.test_share = 1; }), HasSubstr("test_share"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.patience = 3; }), HasSubstr("patience"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.seeds = {}; }), HasSubstr("seeds"));
  EXPECT_THAT(where([](TrainingSpec& s) { s.seeds = {4, 4}; }), HasSubstr("seeds"));
}

// ---- Regression on bags of words

WordBag bag(std::vector<std::int32_t> ids, std::vector<std::uint32_t> counts) {
  WordBag out;
  out.ids = std::move(ids);
  out.counts = std::move(counts);
  return out;
}

TEST(BagRegression, SeparatesByWordsAndShrinksWithThePenalty) {
  const std::vector<WordBag> bags = {bag({1, 0}, {3, 9}), bag({2, 1}, {5, 1}), bag({3, 0}, {1, 2})};
  const std::vector<std::uint8_t> labels = {1, 1, 0};
  const BagRegression fit = bag_regression(bags, labels, bags, labels, 4, 0.01, Arena(1));
  EXPECT_EQ(fit.train_accuracy, 1);
  EXPECT_EQ(fit.test_accuracy, 1);
  EXPECT_GT(fit.iterations, 1u);
  EXPECT_LT(fit.iterations, 50u);
  // No word counts any more: the bias alone says what most texts are.
  EXPECT_DOUBLE_EQ(bag_regression(bags, labels, bags, labels, 4, 1e6, Arena(2)).train_accuracy, 2.0 / 3);
}

TEST(BagRegression, RefusesWhatDoesNotFit) {
  const std::vector<WordBag> bags = {bag({5}, {1})};
  const std::vector<std::uint8_t> labels = {1};
  EXPECT_EQ(error_of([&] { bag_regression(bags, labels, {}, {}, 2, 0.1, Arena(1)); }).kind(),
            ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { bag_regression(bags, {}, {}, {}, 9, 0.1, Arena(1)); }).kind(), ErrorKind::kShape);
  EXPECT_EQ(error_of([&] { bag_regression(bags, labels, {}, {}, 9, 0, Arena(1)); }).kind(),
            ErrorKind::kUsage);
}

}  // namespace
}  // namespace telos::clustering::test
