// Runs of the size of the published figures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "telos/bigram/train.h"
#include "tests/bigram/training.h"
#include "tests/repeats.h"

namespace telos::bigram {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr std::uint64_t kSeeds = repeats(10, 1);

TEST(Train, SgdAboveItsBoundBlowsUpAndKeepsTheLastGoodModel) {
  const Instance instance = random_instance(3, 5000, 2, 1);
  const Arena arena(1);
  TrainOptions options;
  options.algorithm = Algorithm::kSgd;
  options.held_out = 64;
  options.eta_a = .003;
  TrainRun run(instance, options, arena);
  expect_error(ErrorKind::kNotFinite, "the attention of the last token", [&] {
    while (run.descending()) run.step();
  });
  EXPECT_GT(run.steps(), 1u);
  for (std::size_t i = 0; i < run.model().a.size(); ++i) ASSERT_TRUE(std::isfinite(run.model().a.data()[i]));
  for (std::size_t i = 0; i < run.model().v.size(); ++i) ASSERT_TRUE(std::isfinite(run.model().v.data()[i]));
  EXPECT_THAT(run.finish().notes, Contains(HasSubstr("above its bound")));
  options.eta_a = .002;
  options.samples = 6400;
  EXPECT_NO_THROW(train(instance, options, arena));
}

/// The setting of the published figure: N = 3, T = 5000, Q = 2. Seed 8 tells next to nothing, K_P = 0.007.
TEST(Train, RecoversLongContexts) {
  const Arena arena(2);
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Instance instance = random_instance(3, 5000, 2, seed);
    TrainOptions options;
    options.seed = seed;
    const TrainResult result = train(instance, options, arena);
    EXPECT_TRUE(all_exact(result)) << seed;
    EXPECT_LE(result.signals.v_distance, .012) << seed;
    EXPECT_LE(result.signals.a_distance, seed == 8 ? .05 : .03) << seed;
    EXPECT_LE(loss_above_least(instance, result.model), 1e-4) << seed;
  }
}

TEST(Train, EachPartOfTheMethodLowersTheLoss) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Instance instance = random_instance(3, 5000, 2, 2);
  const Arena arena(2);
  const auto run = [&](Algorithm algorithm, bool refit) {
    TrainOptions options;
    options.algorithm = algorithm;
    options.stop_early = false;
    options.refit = refit;
    options.record_every = 2000;
    options.seed = 2;
    return train(instance, options, arena);
  };
  const TrainResult whole = run(Algorithm::kScb, true);
  const double refitted = loss_above_least(instance, whole.model),
               proximal = loss_above_least(instance, whole.descended),
               plain = loss_above_least(instance, run(Algorithm::kPsgd, false).model),
               sgd = loss_above_least(instance, run(Algorithm::kSgd, false).model);
  EXPECT_LT(refitted, 2e-4);
  EXPECT_LT(refitted, proximal);
  EXPECT_LT(proximal, plain);
  EXPECT_LT(plain, sgd);
}

TEST(Train, SmallBatchesEndInTheMirrorSolutionAndAreTurned) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Arena arena(1);
  const Instance instance = random_instance(3, 1000, 2, 5);
  const auto mirrored_runs = [&](std::size_t batch) {
    std::size_t before = 0;
    for (std::uint64_t seed = 1; seed <= 24; ++seed) {
      TrainOptions options;
      options.batch = batch;
      options.samples = 1500 * batch;
      options.stop_early = options.refit = false;
      options.held_out = 0;
      options.record_every = 1500;
      options.seed = seed;
      const TrainResult result = train(instance, options, arena);
      before += signals(instance, result.descended).v < 0;
      EXPECT_GT(result.signals.v, 0) << seed;
      EXPECT_GT(result.signals.a, 0) << seed;
    }
    return before;
  };
  EXPECT_GE(mirrored_runs(2), 4u);
  EXPECT_LE(mirrored_runs(32), 3u);
}

}  // namespace
}  // namespace telos::bigram
