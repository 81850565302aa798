#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "telos/bigram/page.h"

// What the pages of a text say. Numbers are made up, so that each verdict is met.

namespace telos::bigram {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Corpus two_tokens() {
  Corpus corpus;
  corpus.tokens.assign(100, 0);
  corpus.names = {"a", "(other)"};
  corpus.unit = "character";
  corpus.distinct = 3;
  corpus.others = 40;
  return corpus;
}

Matrix<double> matrix_of(std::size_t cols, const std::vector<double>& values) {
  Matrix<double> m(values.size() / cols, cols);
  std::copy(values.begin(), values.end(), m.data());
  return m;
}

/// The gain of the contextual bigram, and nothing else, is the argument.
CorpusEstimate made_up_estimate(BlockMean gain) {
  CorpusEstimate e;
  e.options.max_offset = 2;
  e.counts = {60, 40};
  e.mu = {0.6, 0.4};
  e.p = matrix_of(2, {0.7, 0.2, 0.3, 0.8});
  e.smooth = 1;
  Dependence d;
  d.pairs = 99;
  d.chi_squared = 20;
  d.degrees = 1;
  d.p_value = 1e-5;
  d.information = 0.2;
  d.chance = 0.05;
  e.lags = {d, d, d};
  e.tests = {{0, 1, d, 2e-5, true}, {0, 2, d, 0.2, false}};
  e.rare = {1};
  e.contextual.q = matrix_of(3, {0.75, 0.25, 0, 1, 0, 0});
  e.train = 80;
  e.validation = 9;
  e.held_out = 9;
  e.blocks = 9;
  e.models = {{"unigram", {0.69, 0.01, 9}, {-0.2, 0.02, 9}},
              {"bigram", {0.49, 0.01, 9}, {0, 0, 9}},
              {"one q", {0.49, 0.01, 9}, {0, 0.001, 9}},
              {"q by last token", {0.49 - gain.value, 0.01, 9}, gain},
              {"without the last token", {0.6, 0.01, 9}, {-0.11, 0.01, 9}}};
  e.notes = {"a note"};
  return e;
}

const Table& table_named(const Report& report, const std::string& id) {
  for (const Section& section : report.sections)
    for (const Table& table : section.tables)
      if (table.id == id) return table;
  ADD_FAILURE() << "no table " << id;
  return report.sections.front().tables.front();
}

TEST(EstimatePage, VerdictsByTheGain) {
  const Corpus corpus = two_tokens();
  const auto sentence = [&](BlockMean gain) {
    return estimate_report(corpus, made_up_estimate(gain), {}).verdict.sentence;
  };
  EXPECT_EQ(sentence({0.03, 0.01, 9}),
            "Looking where the last token points explains 0.03 ± 0.01 nats a token beyond the bigram.");
  EXPECT_EQ(
      sentence({0.015, 0.01, 9}),
      "Looking where the last token points explains nothing beyond the bigram: +0.01 ± 0.01 nats a token.");
  EXPECT_THAT(sentence({-0.03, 0.01, 9}), HasSubstr("loses 0.03 ± 0.01 nats a token to the bigram"));
  // Of two blocks Student's quantile is 14.
  EXPECT_THAT(sentence({0.13, 0.01, 2}), HasSubstr("explains nothing"));
  EXPECT_THAT(sentence({0.15, 0.01, 2}), HasSubstr("explains 0.15 ± 0.01 nats"));
  // One block leaves no error, and so no claim.
  EXPECT_THAT(sentence({0.03, std::numeric_limits<double>::quiet_NaN(), 1}), HasSubstr("explains nothing"));
}

TEST(EstimatePage, TheSameNumbersEverywhere) {
  const Report report = estimate_report(two_tokens(), made_up_estimate({0.03, 0.01, 9}), {});
  EXPECT_THAT(report.verdict.evidence, Contains("a note"));
  EXPECT_THAT(report.verdict.evidence, Contains("1 of 2 last tokens give weight to an earlier token"));
  EXPECT_THAT(report.verdict.evidence, Contains(StartsWith("the bigram explains 0.20 ± 0.02 nats")));
  EXPECT_EQ(report.facts[0].remark, "40 (40 %) are rarer and count as (other)");
  const Table& models = table_named(report, "models");
  ASSERT_EQ(models.rows.size(), 5u);
  EXPECT_EQ(std::get<double>(models.rows[3][4]), 0.03);
  const Table& tokens = table_named(report, "tokens");
  EXPECT_EQ(std::get<std::string>(tokens.rows[0][2]), "0 (0.750), 1 (0.250)");
  EXPECT_EQ(std::get<std::string>(tokens.rows[0][3]), "1 of 2");
  EXPECT_EQ(std::get<std::string>(tokens.rows[0][6]), "a (70 %)");
  EXPECT_EQ(std::get<std::string>(tokens.rows[1][3]), "too rare");
  EXPECT_EQ(table_named(report, "tests").rows.size(), 2u);
  EXPECT_EQ(table_named(report, "lags").rows.size(), 3u);
  EXPECT_EQ(table_named(report, "transitions").rows.size(), 4u);
  EXPECT_EQ(report.definitions.size(), 7u);
  std::set<std::string> figures = {report.lead[0].id};
  for (const Section& section : report.sections)
    for (const Figure& figure : section.figures) figures.insert(figure.id);
  EXPECT_EQ(figures, (std::set<std::string>{"cross-entropy", "q", "information", "p", "lags"}));
  EXPECT_THAT(render_html(report), HasSubstr("Looking where the last token points"));
}

TEST(ProbePage, SaysWhatTheProbeAdds) {
  Probe probe;
  probe.options.max_offset = 1;
  probe.model.v = matrix_of(2, {0.7, 0.2, 0.3, 0.8});
  probe.model.a = matrix_of(2, {0.4, 0.6, 0, 1});  // oldest first
  probe.errors = matrix_of(2, {0.05, 0.3, 0, 0});
  probe.counts = {60, 4};
  probe.mu = {0.6, 0.4};
  probe.loss = {0.2, 0.01};
  probe.marginal = {0.4, 0.01};
  probe.last = {0.25, 0.01};
  probe.gain_marginal = {0.2, 0.01};
  probe.gain_last = {0.05, 0.01, 9};
  const Report report = probe_report(two_tokens(), probe, {});
  EXPECT_EQ(report.verdict.sentence,
            "The linear probe takes 50 % off the loss; 12 % more than the last token alone.");
  EXPECT_THAT(report.verdict.evidence,
              Contains("1 of 2 last tokens are too rare and look at the nearest offset"));
  const Table& tokens = table_named(report, "tokens");
  EXPECT_EQ(std::get<std::string>(tokens.rows[0][2]), "1 (0.40 ± 0.05)");  // 0.6 is not 4 standard errors
  EXPECT_EQ(std::get<std::string>(tokens.rows[1][2]), "too rare");
  EXPECT_EQ(table_named(report, "weights").rows.size(), 3u);
  probe.gain_last = {0.01, 0.01, 9};
  EXPECT_THAT(probe_report(two_tokens(), probe, {}).verdict.sentence,
              HasSubstr("no more than the last token"));
  probe.gain_last = {-0.05, 0.01, 9};
  EXPECT_THAT(probe_report(two_tokens(), probe, {}).verdict.sentence, HasSubstr("less than the last token"));
}

}  // namespace
}  // namespace telos::bigram
