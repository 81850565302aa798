// How many samples it takes.
#include "telos/bigram/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "bigram/train_parts.h"
#include "telos/io/files.h"
#include "tests/bigram/training.h"
#include "tests/io/support.h"
#include "tests/positional/complaint.h"
#include "tests/repeats.h"

namespace telos::bigram {
namespace {

using telos::test::complaint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kNever = std::numeric_limits<double>::infinity();

SweepOptions small_sweep() {
  SweepOptions options;
  options.lengths = {60, 120};
  options.seeds = {1, 2, 3};
  options.samples = 4000;
  return options;
}

std::string text_of(const std::vector<SweepRun>& runs) {
  std::string text;
  for (const SweepRun& r : runs)
    text += r.method + " " + std::to_string(r.length) + " " + std::to_string(r.seed) + " " +
            std::to_string(r.done) + " " + std::to_string(r.to_support) + " " + std::to_string(r.to_loss) +
            "\n";
  return text;
}

TEST(Sweep, RunsInOrder) {
  SweepOptions options = small_sweep();
  options.tokens = {3, 4};
  const std::vector<SweepRun> runs = sweep_runs(options);
  ASSERT_EQ(runs.size(), 2u * 3 * 2 * 3);
  EXPECT_EQ(runs[0].method, "scb");
  EXPECT_EQ(runs[4].length, 120u);
  EXPECT_EQ(runs[4].seed, 2u);
  EXPECT_EQ(runs[6].method, "transfer");
  EXPECT_EQ(runs[18].tokens, 4u);
}

/// What a run reports is what stepping through the same training shows.
TEST(Sweep, ARunIsATraining) {
  SweepOptions options = small_sweep();
  options.samples = 8000;
  const Arena arena(1);
  SweepRun run{.method = "scb", .tokens = 3, .length = 120, .sparsity = 2, .seed = 2};
  do_run(options, run, arena);
  const Instance task = random_instance(3, 120, 2, 2);
  TrainOptions training;
  training.batch = 16;
  training.seed = 2;
  training.held_out = 0;
  TrainRun descent(task, training, arena);
  std::uint64_t since = 0;
  for (std::uint64_t step = 10; since == 0 || step < since + 210; step += 10) {
    while (descent.steps() < step) descent.step();
    bool exact = true;
    for (std::size_t k = 0; k < 3; ++k)
      exact = exact && is_exact({descent.model().a.row(k), 120}, task.q[k].positions);
    if (!exact) since = 0;
    if (exact && since == 0) since = step;
  }
  EXPECT_EQ(run.to_support, 16 * since);
  EXPECT_GT(run.to_loss, 0u);
  EXPECT_EQ(run.to_loss % 160, 0u);
  SweepRun again = run;
  do_run(options, again, Arena(3));
  EXPECT_EQ(text_of({again}), text_of({run}));
  options.samples = 160;
  do_run(options, again, arena);
  EXPECT_TRUE(again.done);
  EXPECT_EQ(again.to_loss, 0u);
}

/// From the transitions of the task itself: fewer samples than from nothing.
TEST(Sweep, TransferOfTheTaskItselfHelps) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  SweepOptions options = small_sweep();
  options.share = 0;
  options.samples = 16000;
  std::uint64_t scratch = 0, transfer = 0;
  for (const std::uint64_t seed : {1, 2, 3, 4, 5}) {
    SweepRun run{.method = "scb", .tokens = 3, .length = 300, .sparsity = 2, .seed = seed};
    do_run(options, run, Arena(1));
    scratch += run.to_support == 0 ? options.samples : run.to_support;
    run.method = "transfer";
    do_run(options, run, Arena(1));
    EXPECT_GT(run.to_support, 0u);
    transfer += run.to_support;
  }
  EXPECT_LT(1.3 * static_cast<double>(transfer), static_cast<double>(scratch));
}

TEST(Sweep, SameResultsForAnyThreadsShardsAndInterruptions) {
  SweepOptions options = small_sweep();
  options.samples = repeats(4000u, 1600u);
  const Arena one(1), seven(7);
  const std::string whole = text_of(sweep(options, {}, {}, one));
  EXPECT_EQ(text_of(sweep(options, {}, {}, seven)), whole);

  const telos::test::ScratchDirectory directory;
  const std::string folder = directory / "shards";
  std::filesystem::create_directory(folder);
  const std::vector<SweepRun> half = sweep(options, {1, 2}, folder, seven);
  EXPECT_EQ(std::ranges::count_if(half, [](const SweepRun& r) { return r.done; }), 9);
  EXPECT_TRUE(std::filesystem::exists(folder + "/runs-2-of-2.tsv"));
  sweep(options, {0, 2}, folder, one);
  const std::string first = read_file(folder + "/runs-1-of-2.tsv");
  EXPECT_EQ(text_of(sweep(options, {}, folder, one)), whole);
  EXPECT_EQ(read_file(folder + "/runs.tsv"), "") << "all of them were done";

  // Killed while it wrote its third line.
  const std::size_t third = first.find('\n', first.find('\n') + 1) + 5;
  write_file_atomically(folder + "/runs-1-of-2.tsv", first.substr(0, third));
  sweep(options, {0, 2}, folder, one);
  const std::string again = read_file(folder + "/runs-1-of-2.tsv");
  EXPECT_EQ(again, first);
  EXPECT_EQ(text_of(sweep(options, {}, folder, one)), whole);

  SweepOptions others = options;
  others.eta = 0.03;
  others.samples = 160;
  EXPECT_NE(text_of(sweep(others, {}, folder, one)), whole) << "runs with other options are done";
  EXPECT_EQ(text_of(sweep(options, {}, folder, one)), whole) << "and leave these alone";
  write_file_atomically(folder + "/runs-1-of-2.tsv", first + "scb\t1\tx\n");
  EXPECT_EQ(
      complaint([&] { sweep(options, {}, folder, one); }),
      "bad_format | " + folder +
          "/runs-1-of-2.tsv, line 10 | expected a finished run, found \"scb\\x091\\x09x\" | remove the line, "
          "and its run is done again");
}

TEST(Sweep, Refusals) {
  const auto refusal = [](const auto& change) {
    SweepOptions options = small_sweep();
    change(options);
    return complaint([&] { sweep_runs(options); });
  };
  EXPECT_EQ(refusal([](auto& o) {
              o.methods = {"scb", "transfers"};
            }),
            "usage | methods | no method is called \"transfers\" | did you mean \"transfer\"? known: scb, "
            "transfer, "
            "moments, nonneg, psgd");
  EXPECT_EQ(refusal([](auto& o) { o.seeds.clear(); }),
            "usage | seeds | expected at least one, found none | ");
  EXPECT_EQ(refusal([](auto& o) {
              o.sparsities = {2, 61};
            }),
            "usage | sparsities | expected from 1 to the shortest length 60, found 61 | ");
  EXPECT_EQ(refusal([](auto& o) { o.share = 2; }), "usage | share | is 2, expected 0 to 1 | ");
  EXPECT_EQ(refusal([](auto& o) {
              o.seeds = {3, 1, 3};
            }),
            "usage | seeds | 3 is given twice: one task would count as two | ");
  EXPECT_EQ(complaint([] {
              sweep(small_sweep(), {2, 2}, {}, Arena(1));
            }),
            "usage | shard | 3 of 2 is none | ");
}

// ---- Medians and slopes

TEST(SweepMedian, OrderStatistics) {
  const auto expect = [](std::vector<double> samples, double median, double low, double high, double level) {
    const MedianSamples m = median_of(std::move(samples));
    EXPECT_EQ(m.median, median);
    EXPECT_EQ(m.low, low);
    EXPECT_EQ(m.high, high);
    EXPECT_NEAR(m.level, level, 1e-12);
  };
  expect({5}, 5, 5, 5, 0);
  expect({3, 1, 2}, 2, 1, 3, .75);
  expect({7, 6, 5, 4, 3, 2, 1}, 4, 1, 7, 1 - 2. / 128);
  expect({1, 2, 3, 4, 5, 6, 7, 8, 9}, 5, 2, 8, 1 - 2. * (1 + 9) / 512);  // 0.961; one further: 0.820
  expect({1, 2, 3, 4, kNever, kNever, kNever}, 4, 1, kNever, 1 - 2. / 128);
  expect({1, 2, 3, kNever}, 2.5, 1, kNever, 1 - 2. / 16);
}

TEST(SweepMedian, OfManyValues) {
  // 2⁻ⁿ is no number any more; expected from whole numbers.
  std::vector<double> samples(10001);
  std::iota(samples.begin(), samples.end(), 1.0);
  const MedianSamples m = median_of(std::move(samples));
  EXPECT_EQ(m.median, 5001);
  EXPECT_EQ(m.low, 4902);
  EXPECT_EQ(m.high, 5100);
  EXPECT_NEAR(m.level, 0.9522907611993354, 1e-9);
}

std::vector<SweepRun> runs_like(double exponent, double scatter) {
  std::vector<SweepRun> runs;
  for (const std::size_t length : {100, 400, 1600})
    for (std::uint64_t seed = 1; seed <= 9; ++seed) {
      const double factor = std::exp(scatter * (static_cast<double>(seed * length % 7) - 3));
      runs.push_back(
          {.method = "scb", .tokens = 3, .length = length, .sparsity = 2, .seed = seed, .done = true});
      runs.back().to_support = static_cast<std::uint64_t>(
          std::llround(1e6 * factor * std::pow(static_cast<double>(length) / 100, exponent)));
    }
  return runs;
}

TEST(SweepSlope, OfAPowerLaw) {
  const std::vector<SweepSlope> exact = sweep_slopes(runs_like(.5, 0), SweepTarget::kSupport);
  ASSERT_EQ(exact.size(), 1u);
  EXPECT_NEAR(exact[0].slope, .5, 1e-6);
  EXPECT_NEAR(exact[0].low, .5, 1e-6);
  EXPECT_NEAR(exact[0].high, .5, 1e-6);
  const SweepSlope scattered = sweep_slopes(runs_like(.5, .2), SweepTarget::kSupport)[0];
  EXPECT_LT(scattered.low, .5);
  EXPECT_GT(scattered.high, .5);
  EXPECT_LT(scattered.high - scattered.low, .6);
  EXPECT_LT(scattered.low, scattered.slope);
  EXPECT_GT(scattered.high, scattered.slope);
  EXPECT_TRUE(std::isnan(sweep_slopes(runs_like(.5, .2), SweepTarget::kLoss)[0].slope)) << "never reached";
}

TEST(SweepSlope, NeedsTwoLengthsAndFiniteMedians) {
  std::vector<SweepRun> runs = runs_like(.5, .1);
  runs.resize(9);
  EXPECT_TRUE(std::isnan(sweep_slopes(runs, SweepTarget::kSupport)[0].slope));
  runs = runs_like(.5, .1);
  for (std::size_t i = 0; i < 4; ++i) runs[i].to_support = 0;  // of nine
  const SweepSlope slope = sweep_slopes(runs, SweepTarget::kSupport)[0];
  EXPECT_FALSE(std::isnan(slope.slope));
  EXPECT_TRUE(std::isnan(slope.low)) << "many resamplings have an infinite median";
  EXPECT_THAT(sweep_slopes(sweep_runs(small_sweep()), SweepTarget::kSupport), IsEmpty());
}

TEST(SweepCells, CountWhatIsDone) {
  std::vector<SweepRun> runs = sweep_runs(small_sweep());
  runs[0].done = runs[1].done = runs[4].done = true;
  runs[0].to_support = 320;
  runs[1].to_support = 160;
  const std::vector<SweepCell> cells = sweep_cells(runs);
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_EQ(cells[0].runs, 2u);
  EXPECT_EQ(cells[0].to_support.median, 240);
  EXPECT_EQ(cells[1].length, 120u);
  EXPECT_EQ(cells[1].to_support.median, kNever);
}

}  // namespace
}  // namespace telos::bigram
