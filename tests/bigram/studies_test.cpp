#include "telos/bigram/studies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "bigram/studies/frame.h"
#include "tests/positional/complaint.h"

namespace telos::bigram {
namespace {

using telos::test::complaint;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(const std::string& name, const std::map<std::string, double>& parameters) {
  return complaint([&] { run_study(name, parameters, 1, Arena(1)); });
}

TEST(Studies, ListIsSortedAndComplete) {
  const std::vector<StudyInfo> list = study_list();
  EXPECT_GE(list.size(), 6u);
  EXPECT_EQ(list.size(), studies::all_studies().size());
  EXPECT_TRUE(std::ranges::is_sorted(list, {}, &StudyInfo::name));
  std::set<std::string> names;
  for (const StudyInfo& info : list) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.title.empty() || info.claim.empty()) << info.name;
    EXPECT_THAT(info.paper, HasSubstr("arXiv")) << info.name;
    for (const StudyParameter& p : info.parameters) {
      EXPECT_TRUE(p.low <= p.value && p.value <= p.high) << info.name << " " << p.name;
      EXPECT_FALSE(p.text.empty()) << info.name << " " << p.name;
    }
  }
}

TEST(Studies, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(refusal("smv", {}),
              StartsWith("usage | study | there is no study \"smv\" | did you mean \"svm\"?"));
  EXPECT_EQ(
      refusal("svm", {{"run", 3}}),
      "usage | study svm | there is no parameter \"run\" | did you mean \"runs\"? known: n, tokens, d, runs, "
      "iterations, rate");
}

TEST(Studies, RefusesValuesOutOfRange) {
  EXPECT_EQ(refusal("svm", {{"d", 51}}),
            "usage | study svm | d is 51, expected a whole number from 2 to 50 | ");
  EXPECT_EQ(refusal("svm", {{"d", 2.5}}),
            "usage | study svm | d is 2.5, expected a whole number from 2 to 50 | ");
  EXPECT_EQ(refusal("svm", {{"rate", 0}}),
            "usage | study svm | rate is 0, expected a number from 0.0001 to 10 | ");
  EXPECT_EQ(refusal("svm", {{"rate", std::nan("")}}),
            "usage | study svm | rate is nan, expected a number from 0.0001 to 10 | ");
}

TEST(Studies, ResultSaysWhatItWasRunAt) {
  const StudyResult result = run_study("svm", {{"runs", 2}, {"iterations", 300}}, 1, Arena(1));
  for (const StudyParameter& p : result.info.parameters)
    EXPECT_EQ(p.value, p.name == "runs"         ? 2
                       : p.name == "iterations" ? 300
                       : p.name == "rate"       ? 0.1
                                                : p.value);
  // Too few iterations: a check fails, and with it the claim.
  EXPECT_FALSE(result.holds);
  EXPECT_FALSE(std::ranges::all_of(result.checks, &StudyCheck::holds));
}

TEST(Studies, AFailedCheckIsSeenOnThePage) {
  StudyResult result;
  result.info = {"one", "A study", "Somebody 2020, arXiv 0", "a claim", {{"n", "size", 3, 1, 9}}};
  result.measured = "nothing much";
  result.checks = {{"half", 0.5, 0.4, 0.05}, {"not a number", 1, std::nan(""), 1}, {"whole", 1, 1, 0}};
  result.notes = {"some note"};
  const std::string alone = render_terminal(studies_report({&result, 1}, {.command = "bigram study"}));
  EXPECT_THAT(alone, HasSubstr("The claim does not hold on what was run: nothing much."));
  EXPECT_THAT(alone, HasSubstr("1 of 3 checks"));
  const std::vector<StudyResult> both{result, result};
  const Report report = studies_report(both, {.command = "bigram study"});
  EXPECT_EQ(report.verdict.sentence, "0 of 2 claims hold on what was run.");
  ASSERT_EQ(report.sections.size(), 3u);
  EXPECT_EQ(report.sections[1].title, "A study: nothing much");
  EXPECT_EQ(report.sections[1].paragraphs,
            (std::vector<std::string>{"Somebody 2020, arXiv 0: a claim.", "Run at n 3.", "Some note."}));
  const Table& checks = report.sections[1].tables.at(0);
  EXPECT_EQ(std::get<std::string>(checks.rows[0].back()), "no");
  EXPECT_EQ(std::get<std::string>(checks.rows[1].back()), "no");
  EXPECT_EQ(std::get<std::string>(checks.rows[2].back()), "yes");
}

TEST(Studies, ListAsAReport) {
  const Report report = study_list_report({.command = "bigram study"});
  ASSERT_EQ(report.sections.size(), 1u);
  EXPECT_EQ(report.sections[0].tables.at(0).rows.size(), study_list().size());
}

}  // namespace
}  // namespace telos::bigram
