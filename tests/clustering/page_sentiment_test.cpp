#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>

#include "telos/base/error.h"
#include "telos/clustering/page.h"
#include "tests/clustering/sentiment_support.h"

namespace telos::clustering {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const Arena kArena(1);
const PageContext kContext{.command = "clustering sentiment", .subject = "s", .facts = {}, .provenance = {}};

/// Every table and figure has a name of its own, and all renderings work.
void expect_sound(const Report& report) {
  std::set<std::string> ids;
  const auto take = [&](const std::string& id) { EXPECT_TRUE(ids.insert(id).second) << id; };
  for (const Figure& f : report.lead) take(f.id);
  for (const Section& s : report.sections) {
    for (const Figure& f : s.figures) take(f.id);
    for (const Player& p : s.players) take(p.id);
    for (const Table& t : s.tables) {
      take(t.id);
      for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.columns.size()) << t.id;
    }
  }
  EXPECT_FALSE(report.verdict.sentence.empty());
  EXPECT_LE(report.keys.size(), 6u);
  EXPECT_THAT(render_html(report), HasSubstr("</html>"));
  EXPECT_FALSE(render_json(report).empty());
}

const Table& table_of(const Report& report, const std::string& id) {
  for (const Section& s : report.sections)
    for (const Table& t : s.tables)
      if (t.id == id) return t;
  throw std::runtime_error("no table " + id);
}

const Section& section_of(const Report& report, const std::string& id) {
  for (const Section& s : report.sections)
    if (s.id == id) return s;
  throw std::runtime_error("no section " + id);
}

double number(const Table& table, std::size_t row, std::size_t column) {
  return std::get<double>(table.rows.at(row).at(column));
}
std::string text(const Table& table, std::size_t row, std::size_t column) {
  return std::get<std::string>(table.rows.at(row).at(column));
}

std::size_t lines_of(const std::string& screen) {
  return static_cast<std::size_t>(std::count(screen.begin(), screen.end(), '\n'));
}

/// “great” and “dull” lead, on either side; the rest follows “great”.
SentimentModel review_model(std::size_t d = 2) {
  SentimentModel model;
  model.preprocess = {.clean = false, .lower_case = false, .stop_words = false, .contractions = false};
  model.config = {.dim = d, .layers = 8, .max_length = 16, .temperature = 1e-3, .mask_padding = true};
  model.vocabulary = Vocabulary({"great", "dull", "film", "plot", "The"});
  model.embedding = Matrix<float>(6, d);
  const float rows[6][2] = {{0, 0}, {3, 1}, {-2, 1}, {1, 0}, {0.5f, 0.5f}, {0, -2}};
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t c = 0; c < std::min<std::size_t>(2, d); ++c) model.embedding(i, c) = rows[i][c];
  model.v.assign(d, 0);
  model.v[0] = 1;
  model.bias = -0.25;
  model.alpha = 2;
  model.origin = "test";
  return model;
}

/// What the issue of a reader is: which words decided, and does the sum come out?
TEST(ExplanationPage, NamesTheWordsAndTheSumComesOut) {
  const SentimentModel model = review_model();
  const Explanation e = explain(model, "great film plot film dull The", kArena);
  const Report report = explanation_report(e, model, kContext);
  expect_sound(report);
  EXPECT_THAT(report.verdict.sentence, testing::StartsWith("Positive with probability 0.8"));
  EXPECT_THAT(report.verdict.sentence, HasSubstr(": 4 of 6 words follow “great”."));
  EXPECT_EQ(report.verdict.basis, "exact, hard attention, 8 layers");

  const Table& sum = table_of(report, "sum");
  ASSERT_EQ(sum.rows.size(), 5u);  // great, dull, The, b, logit
  EXPECT_EQ(text(sum, 0, 0), "great");
  EXPECT_EQ(text(sum, 0, 6), "film ×2, plot");
  EXPECT_EQ(text(sum, 2, 5), "stop word");
  EXPECT_EQ(text(sum, 3, 0), "b");
  EXPECT_EQ(text(sum, 4, 0), "= logit");
  double added = 0;
  for (std::size_t row = 0; row < 4; ++row) added += number(sum, row, 3);
  EXPECT_NEAR(added, number(sum, 4, 3), 1e-12);
  EXPECT_EQ(number(sum, 4, 3), e.logit);
  EXPECT_EQ(report.keys[0].value, "−0.2500 + 1.6665 = 1.4165");

  // One screen has it all.
  const std::string screen = render_terminal(report);
  for (const char* part : {"great", "dull", "b ", "= logit", "−0.2500 + 1.6665 = 1.4165"})
    EXPECT_THAT(screen, HasSubstr(part));
  EXPECT_LE(lines_of(screen), 24u);
  EXPECT_THAT(render_html(report), HasSubstr("The text: great film plot film dull The"));
}

TEST(ExplanationPage, WhatIsNearlyAsLargeAgainstItIsNamed) {
  const SentimentModel model = review_model();
  const Report report = explanation_report(explain(model, "great dull dull The", kArena), model, kContext);
  EXPECT_THAT(report.verdict.sentence,
              HasSubstr("2 of 4 words follow “dull”, against 1 that follow “great”."));
}

TEST(ExplanationPage, CounterfactualThatTurnsTheText) {
  const SentimentModel model = review_model();
  const Explanation e = explain(model, "great film plot film dull The", kArena);
  const Report report = explanation_report(e, model, kContext);
  const Section& leaders = section_of(report, "leaders");
  EXPECT_THAT(leaders.title, HasSubstr("Without “great” the logit goes from 1.42 to"));
  const Table& table = table_of(report, "leaders");
  EXPECT_EQ(number(table, 0, 6), e.leaders[0].logit_without);
  EXPECT_FALSE(text(table, 0, 7).empty());
  EXPECT_EQ(leaders.title.find("turns") != std::string::npos, e.leaders[0].logit_without < 0);
}

TEST(ExplanationPage, WordsMoveToTheirLeaders) {
  const SentimentModel model = review_model();
  const Explanation e = explain(model, "great film plot film dull The", kArena);
  const Report report = explanation_report(e, model, kContext);
  const Player& player = section_of(report, "path").players.at(0);
  EXPECT_EQ(player.frames.size(), 9u);
  EXPECT_EQ(player.panels, (std::vector<std::size_t>{0, 8}));
  ASSERT_EQ(player.points.size(), 5u);
  EXPECT_EQ(player.points[0].star_from, 0u);
  EXPECT_EQ(player.points[1].label, "film ×2");
  EXPECT_EQ(player.points[1].weight, 2);
  EXPECT_EQ(player.points[1].star_from, Player::kNever);
  EXPECT_THAT(player.points[1].steps, ElementsAre(1, 0));
  EXPECT_THAT(player.points[1].target, ElementsAre(3, 1));
  EXPECT_EQ(player.groups.at(player.points[1].groups.at(0)), "great");
  EXPECT_NEAR(player.ratio, 1 / 3.0, 1e-15);
  EXPECT_TRUE(player.divide);
  EXPECT_EQ(player.normal[0], 1);
  EXPECT_EQ(player.normal[1], 0);
  EXPECT_EQ(player.offset, -0.25);
}

/// Above three dimensions the plane of the leaders is shown; the decoder's line is drawn if it lies in it.
TEST(ExplanationPage, MoreThanThreeDimensions) {
  SentimentModel model = review_model(5);
  const auto player_of = [&] {
    return explanation_report(explain(model, "great film plot dull The", kArena), model, kContext)
        .sections.at(1)
        .players.at(0);
  };
  const Player flat = player_of();
  EXPECT_EQ(flat.dimension, 2u);
  EXPECT_TRUE(flat.divide);  // the leaders span the plane of v
  EXPECT_THAT(flat.caption, HasSubstr("principal components of the leaders, 100 %"));
  const auto line = [&flat](std::size_t point) {
    const std::vector<float>& at = flat.points.at(point).steps;
    return flat.normal[0] * static_cast<double>(at[0]) + flat.normal[1] * static_cast<double>(at[1]) +
           flat.offset;
  };
  EXPECT_NEAR(line(0), 3 - 0.25, 1e-6);  // v·x + b, whatever the view
  EXPECT_NEAR(line(1), 1 - 0.25, 1e-6);
  model.v[4] = 1;
  EXPECT_FALSE(player_of().divide);

  SentimentModel space = review_model(3);
  const Report report = explanation_report(explain(space, "great film", kArena), space, kContext);
  EXPECT_EQ(section_of(report, "path").players.at(0).dimension, 3u);
  EXPECT_FALSE(section_of(report, "path").players.at(0).divide);
}

TEST(ExplanationPage, WithoutLayersOrReasons) {
  SentimentModel model = review_model();
  model.config.layers = 0;
  const Report bag = explanation_report(explain(model, "great film film", kArena), model, kContext);
  expect_sound(bag);
  EXPECT_THAT(bag.verdict.sentence,
              HasSubstr("without layers each word speaks for itself, most of all “great” and “film”."));
  model.config.layers = 2;
  model.v = {0, 0};
  const Report silent = explanation_report(explain(model, "great film", kArena), model, kContext);
  EXPECT_EQ(silent.verdict.sentence,
            "Negative with probability 0.562: no leader speaks for it, b = −0.25 does.");
}

TEST(ExplanationPage, WordsBetweenLeadersMayDecide) {
  SentimentModel model = review_model();
  model.config.layers = 1;
  const float rows[6][2] = {{0, 0}, {1, 1}, {1, -1}, {0.5f, 0}, {0, 0}, {0, 0}};
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t c = 0; c < 2; ++c) model.embedding(i, c) = rows[i][c];
  model.bias = 0;
  const Report report =
      explanation_report(explain(model, "great dull film film film film", kArena), model, kContext);
  expect_sound(report);
  EXPECT_THAT(report.verdict.sentence, HasSubstr(": 4 of 6 words that follow no single leader decide."));
  const Table& sum = table_of(report, "sum");
  EXPECT_EQ(text(sum, 2, 0), "no single leader");
}

TEST(ExplanationPage, PaddingUnknownAndCutWordsAreNamed) {
  SentimentModel model = review_model();
  model.config.mask_padding = false;
  model.config.max_length = 3;
  const Report filled = explanation_report(explain(model, "great unheard", kArena), model, kContext);
  expect_sound(filled);
  EXPECT_THAT(render_terminal(filled), HasSubstr("1 word read · 1 unique · filled with 2 of padding"));
  EXPECT_THAT(filled.verdict.sentence, HasSubstr("of 3 positions, 2 of them padding, follow"));
  EXPECT_THAT(filled.not_measured, ElementsAre("1 word is not in the vocabulary and left out"));
  const Report cut = explanation_report(explain(model, "great film dull plot", kArena), model, kContext);
  EXPECT_THAT(cut.not_measured, ElementsAre("1 word stands beyond the first 3 that the model reads"));
}

/// Many leaders: the terminal adds up what it does not list.
TEST(ExplanationPage, ManyLeadersAreAddedUp) {
  SentimentModel model = review_model();
  constexpr std::size_t kWords = 20;
  std::vector<std::string> names;
  std::string words;
  model.embedding = Matrix<float>(kWords + 1, 2);
  for (std::size_t i = 1; i <= kWords; ++i) {
    names.push_back("w" + std::to_string(i));
    words += names.back() + " ";
    model.embedding(i, 0) = static_cast<float>(std::cos(static_cast<double>(i)));
    model.embedding(i, 1) = static_cast<float>(std::sin(static_cast<double>(i)));
  }
  model.vocabulary = Vocabulary(names);
  model.config.max_length = kWords;
  const Report report = explanation_report(explain(model, words, kArena), model, kContext);
  expect_sound(report);
  const Table& sum = table_of(report, "sum");
  ASSERT_EQ(sum.rows.size(), 15u);
  EXPECT_EQ(text(sum, 12, 0), "8 leaders more");
  double added = 0;
  for (std::size_t row = 0; row < 14; ++row) added += number(sum, row, 3);
  EXPECT_NEAR(added, number(sum, 14, 3), 1e-12);
  EXPECT_EQ(table_of(report, "leaders").rows.size(), kWords);
}

TEST(ExplanationPage, HostileWordsAndTexts) {
  SentimentModel model = review_model();
  model.vocabulary = Vocabulary({"<b>\x1b[31m", "\xff\xfe", "film", "plot", "The"});
  const std::string words = "<b>\x1b[31m \xff\xfe film " + std::string(20'000, 'x') + "é";
  const Report report = explanation_report(explain(model, words, kArena), model, kContext);
  expect_sound(report);
  EXPECT_THAT(render_terminal(report), Not(HasSubstr("\x1b")));
  EXPECT_THAT(render_html(report), Not(HasSubstr("<b>")));
}

LeaderCensus census_of(const SentimentModel& model, double confidence) {
  const std::vector<std::string> texts = {"great film", "dull The", "great plot film", "great dull"};
  const std::vector<std::uint8_t> labels = {1, 0, 1, 0};
  return leader_census(model, texts, labels,
                       {.confidence = confidence, .far = confidence, .skip_padding = true}, kArena);
}

TEST(CensusPage, NamesTheLeadersAndTheFilter) {
  const SentimentModel model = review_model();
  const Report all = census_report(census_of(model, 0), model, kContext);
  expect_sound(all);
  EXPECT_THAT(all.lead.at(0).title, HasSubstr("“great” leads in 3 of 4 texts"));
  const Table& words = table_of(all, "leaders");
  EXPECT_EQ(text(words, 0, 0), "great");
  EXPECT_EQ(text(words, 0, 4), "positive");
  EXPECT_EQ(number(words, 0, 2), 0.75);
  EXPECT_EQ(table_of(all, "counts").rows.size(), 2u);  // texts of one leader, and of two
  EXPECT_THAT(render_terminal(all), HasSubstr("(of 4: all texts and leaders)"));

  const Report sure = census_report(census_of(model, 0.75), model, kContext);
  expect_sound(sure);
  EXPECT_THAT(render_terminal(sure),
              HasSubstr("(of 4: right with p > 0.75 or < 0.25; leaders with |side| > 0.75)"));
}

TEST(CensusPage, SaysWhenNothingClusters) {
  SentimentModel model = review_model();
  for (std::size_t i = 1; i < 6; ++i) {
    model.embedding(i, 0) = static_cast<float>(std::cos(static_cast<double>(i)));
    model.embedding(i, 1) = static_cast<float>(std::sin(static_cast<double>(i)));
  }
  const Report report = census_report(census_of(model, 0), model, kContext);
  EXPECT_THAT(report.verdict.sentence, HasSubstr("most words lead, and little clusters"));
  LeaderCensus none = census_of(model, 0);
  none.words.clear();
  expect_sound(census_report(none, model, kContext));
}

TEST(PredictionPage, OneTextAndMany) {
  const SentimentModel model = review_model();
  const std::vector<std::string> texts = {"great film", "dull The", "unheard"};
  const std::vector<Prediction> hard = predict(model, texts, LayerMode::kHard, kArena);
  const std::vector<Prediction> soft = predict(model, texts, LayerMode::kSoft, kArena);
  LabelledText read;
  read.texts = texts;
  read.labels = {1, 0, 1};
  const Report many = prediction_report(hard, soft, read, model, kContext);
  expect_sound(many);
  EXPECT_EQ(many.verdict.sentence, "1 of 3 texts are positive; 66.67 % are classified right.");
  EXPECT_THAT(many.not_measured,
              ElementsAre("1 text has no word that the model knows: it says what b alone says"));
  const Table& table = table_of(many, "texts");
  EXPECT_EQ(text(table, 1, 1), "negative");
  EXPECT_EQ(number(table, 1, 3), hard[1].logit);
  EXPECT_EQ(text(table, 2, 5), "positive");

  read.negative = "-", read.positive = "+", read.rows = {0, 3, 4};
  read.notes = {"2 empty texts were left out"};
  const Report named = prediction_report(hard, soft, read, model, kContext);
  EXPECT_EQ(text(table_of(named, "texts"), 1, 5), "-") << "the name that the file has";
  EXPECT_EQ(text(table_of(named, "texts"), 1, 1), "negative");
  EXPECT_EQ(std::get<std::int64_t>(table_of(named, "texts").rows[1][0]), 3);
  EXPECT_THAT(named.not_measured, testing::Contains("2 empty texts were left out"));

  LabelledText single;
  single.texts = {texts[0]};
  const Report one = prediction_report({hard[0]}, {}, single, model, kContext);
  expect_sound(one);
  EXPECT_THAT(one.verdict.sentence, testing::StartsWith("Positive with probability 0.9"));
  EXPECT_TRUE(one.lead.empty());
  EXPECT_EQ(test::error_of([&] { prediction_report(hard, {}, single, model, kContext); }).kind(),
            ErrorKind::kShape);
  EXPECT_EQ(test::error_of([&] { prediction_report({}, {}, {}, model, kContext); }).kind(),
            ErrorKind::kUsage);
}

Epoch epoch_of(std::size_t epoch, double loss, double accuracy, double alpha) {
  Epoch e;
  e.epoch = epoch;
  e.train_loss = loss, e.train_accuracy = accuracy + 0.1;
  e.test_loss = loss + 0.1, e.test_accuracy = accuracy;
  e.validation_accuracy = std::nan("");
  e.alpha = alpha, e.seconds = 2;
  return e;
}

TrainingResult training_of(std::size_t d, std::vector<double> accuracies, double without_layers) {
  TrainingResult r;
  r.spec.model.dim = d;
  r.train_texts = 7000, r.test_texts = 3000, r.vocabulary = 1234, r.mean_unique = 79.7;
  for (std::size_t i = 0; i < accuracies.size(); ++i) {
    TrainingRun run;
    run.seed = i;
    run.epochs = {epoch_of(0, 0.7, 0.5, 0.9), epoch_of(1, 0.4, accuracies[i], 1.2)};
    run.best_epoch = 1;
    run.model.alpha = 1.2;
    run.soft.accuracy = run.hard.accuracy = accuracies[i];
    run.agreement = 0.998;
    r.runs.push_back(std::move(run));
  }
  if (without_layers > 0) {
    r.baselines.push_back(
        {.name = "K = 0", .accuracy = {without_layers}, .epochs = {epoch_of(0, 0.5, without_layers, 1)}});
    r.baselines.push_back({.name = "logistic regression", .accuracy = {without_layers - 0.1}, .epochs = {}});
  }
  return r;
}

const Figure& figure_of(const Report& report, const std::string& id) {
  for (const Figure& f : report.lead)
    if (f.id == id) return f;
  for (const Section& s : report.sections)
    for (const Figure& f : s.figures)
      if (f.id == id) return f;
  throw std::runtime_error("no figure " + id);
}

TEST(SentimentTrainingPage, SaysWhatTheLayersBuy) {
  const Report report = training_report(training_of(2, {0.72, 0.70, 0.75}, 0.84), kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "72.0 % (70.0 to 75.0 over 3 seeds) of the test texts right; K = 0 reaches 84.0 %, "
            "logistic regression reaches 74.0 %: the layers buy reasons, and cost 12.0 points of accuracy.");
  EXPECT_EQ(report.verdict.basis, "measured, 3 seeds");
  EXPECT_EQ(table_of(report, "runs").rows.size(), 3u);
  EXPECT_EQ(table_of(report, "baselines").rows.size(), 2u);
  EXPECT_EQ(table_of(report, "epochs").rows.size(), 7u);
  EXPECT_EQ(figure_of(report, "alpha").title, "The step α ends at 1.2");
  EXPECT_THAT(figure_of(report, "test-accuracy").caption, HasSubstr("median over seeds"));
  EXPECT_THAT(figure_of(report, "training-loss").vega_lite, HasSubstr("\"log\""));
  EXPECT_TRUE(report.complete);
  EXPECT_THAT(render_terminal(report), HasSubstr("99.80 %"));
}

TEST(SentimentTrainingPage, LayersThatDoBuyAccuracy) {
  const Report report = training_report(training_of(16, {0.88}, 0.84), kContext);
  EXPECT_EQ(report.verdict.sentence,
            "88.0 % of the test texts right; K = 0 reaches 84.0 %, logistic regression reaches "
            "74.0 %.");
  EXPECT_EQ(training_report(training_of(16, {0.88}, 0), kContext).verdict.sentence,
            "88.0 % of the test texts right.");
}

TEST(SentimentTrainingPage, FewTextsTellNoDifference) {
  TrainingResult result = training_of(16, {0.88}, 0.84);
  result.test_texts = 30;
  EXPECT_THAT(training_report(result, kContext).verdict.sentence,
              ::testing::EndsWith("30 test texts are too few to compare accuracies."));
}

TEST(SentimentTrainingPage, AnotherKindOfModelSaysNothingOfTheLayers) {
  // Logistic regression is ahead, the same model without layers is not.
  TrainingResult result = training_of(2, {0.80}, 0.70);
  result.baselines[1].accuracy = {0.9};
  EXPECT_EQ(training_report(result, kContext).verdict.sentence,
            "80.0 % of the test texts right; K = 0 reaches 70.0 %, logistic regression reaches 90.0 %.");
}

TEST(SentimentTrainingPage, SeveralResultsAreNamedByWhatDiffers) {
  std::vector<TrainingResult> results;
  results.push_back(training_of(2, {0.72}, 0.84));
  results.push_back(training_of(16, {0.85}, 0.86));
  results.push_back(training_of(16, {0.85}, 0));
  results[2].spec.mode = LayerMode::kHard;
  const Report report = training_report(results, kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "d 2, soft: 72.0 % of the test texts right, K = 0 84.0 %; d 16, soft: 85.0 %, K = 0 86.0 %; "
            "d 16, hard: 85.0 %: the layers buy reasons, not accuracy.");
  EXPECT_EQ(test::error_of([] { training_report(std::span<const TrainingResult>{}, kContext); }).kind(),
            ErrorKind::kUsage);
}

TEST(SentimentTrainingPage, RunsThatFailedOrWereInterrupted) {
  TrainingResult result = training_of(2, {0.72, 0.7, 0.7}, 0);
  result.runs[1].failed = "the loss is not a number at step 7";
  result.runs[2].finished = false;
  const Report report = training_report(result, kContext);
  expect_sound(report);
  EXPECT_FALSE(report.complete);
  EXPECT_THAT(report.not_measured, ElementsAre("d 2, seed 1: the loss is not a number at step 7",
                                               "d 2, seed 2: interrupted after 2 epochs"));
  for (TrainingRun& run : result.runs) run.failed = "no";
  expect_sound(training_report(result, kContext));
}

}  // namespace
}  // namespace telos::clustering
