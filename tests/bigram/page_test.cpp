// What the pages say: the sentence follows from the numbers, and every figure draws something.
#include "telos/bigram/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace telos::bigram {
namespace {

using ::testing::Contains;
using ::testing::StartsWith;

Instance task() {
  return generate({.tokens = 3, .length = 40, .sparsity = 2});
}

/// A run that ended at the truth after `found_after` samples, or with one position missing (0).
TrainResult run_of(const Instance& instance, std::uint64_t found_after) {
  const Constants c = constants(instance);
  TrainResult r;
  r.model = true_model(instance);
  r.steps = 20;
  r.samples = 1280;
  r.samples_to_support = found_after;
  r.population = c.loss_least;
  for (std::size_t k = 0; k < instance.tokens(); ++k)
    r.columns.push_back({instance.q[k].positions, instance.q[k].weights, true, true});
  if (found_after == 0) {
    r.columns[1].positions.pop_back();
    r.columns[1].exact = false;
  }
  for (const std::uint64_t step : {0, 10, 20}) {
    CurvePoint p{.step = step, .samples = 64 * step};
    const double share = static_cast<double>(step) / 20;
    p.signals = {.v = share, .a = share, .v_distance = 1.1 - share, .a_distance = 1.2 - share};
    p.excess = excess(c, instance.length, p.signals);
    p.population = c.loss_least + p.excess.total();
    r.curve.push_back(p);
  }
  return r;
}

void expect_marks(const Report& report) {
  std::vector<Figure> figures = report.lead;
  for (const Section& section : report.sections)
    figures.insert(figures.end(), section.figures.begin(), section.figures.end());
  EXPECT_FALSE(figures.empty());
  for (const Figure& figure : figures) {
    EXPECT_GT(figure.marks, 0u) << figure.id;
    EXPECT_FALSE(figure.data.rows.empty()) << figure.id;
  }
}

TEST(Page, ARunSaysHowManyColumnsWereFound) {
  const Instance instance = task();
  const Report all = train_report(instance, {}, run_of(instance, 640), nullptr, {.command = "bigram train"});
  EXPECT_THAT(all.verdict.sentence, StartsWith("Where each of the 3 last tokens looks was found exactly"));
  expect_marks(all);
  const Report some = train_report(instance, {}, run_of(instance, 0), nullptr, {.command = "bigram train"});
  EXPECT_THAT(some.verdict.sentence, StartsWith("2 of 3 last tokens' positions were found exactly"));
}

TEST(Page, TransferIsCalledWhatItIs) {
  const Instance instance = task();
  const auto sentence = [&](std::uint64_t with, std::uint64_t without, double start = 0.1) {
    TrainResult transferred = run_of(instance, with);
    transferred.curve.front().signals.v = start;
    const TrainResult scratch = run_of(instance, without);
    const std::string said = train_report(instance, {}, transferred, &scratch, {}).verdict.sentence;
    EXPECT_EQ(is_negative_transfer(transferred, scratch), said.starts_with("Negative transfer")) << said;
    return said;
  };
  EXPECT_EQ(sentence(640, 1280),
            "Transfer helped: all positions were found after 640 samples, from scratch after 1,280 samples.");
  EXPECT_EQ(sentence(640, 0),
            "Transfer helped: all positions were found after 640 samples, from scratch not at all.");
  EXPECT_THAT(sentence(640, 640, -1e-30), StartsWith("Transfer changed nothing"));
  EXPECT_EQ(sentence(1280, 640),
            "Negative transfer: all positions took 1,280 samples, from scratch 640 samples.");
  EXPECT_EQ(sentence(0, 640),
            "Negative transfer: all positions took more than there were, from scratch 640 samples.");
  EXPECT_THAT(sentence(0, 0), StartsWith("Neither descent"));
  EXPECT_THAT(sentence(640, 1280, -0.1),
              StartsWith("Negative transfer: what was learned before points away"));
}

TEST(Page, WhatScreeningAddedAndNotesAreSaid) {
  const Instance instance = task();
  TrainResult r = run_of(instance, 640);
  r.screened_in = 2;
  r.notes = {"the rate of A is above its bound"};
  const Report report = train_report(instance, {}, r, nullptr, {});
  EXPECT_THAT(report.verdict.evidence, Contains("screening added 2 positions"));
  EXPECT_THAT(report.verdict.evidence, Contains("the rate of A is above its bound"));
}

TEST(Page, TheoryPagesDraw) {
  const Instance instance = task();
  expect_marks(instance_report(instance, {}));
  expect_marks(population_report(instance, 0.1,
                                 scalar_dynamics(constants(instance), instance.length, {}, 0.1, 500), {}));
  const Report planned = plan_report(instance, plan(instance, 0.02, 64), 0.02, 64, {});
  EXPECT_THAT(planned.verdict.sentence, StartsWith("About "));
}

TEST(Page, EveryTermThatAPageNamesIsDefined) {
  const std::vector<Definition> all = bigram_definitions();
  const Instance instance = task();
  EXPECT_EQ(train_report(instance, {}, run_of(instance, 640), nullptr, {}).definitions.size(), 10u);
  EXPECT_EQ(instance_report(instance, {}).definitions.size(), 6u);
  EXPECT_GE(all.size(), 14u);
}

}  // namespace
}  // namespace telos::bigram
