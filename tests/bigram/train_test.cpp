#include "telos/bigram/train.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>

#include "bigram/train_parts.h"
#include "telos/base/error.h"
#include "telos/io/checkpoint.h"
#include "tests/bigram/training.h"

namespace telos::bigram {
namespace {

using ::testing::ElementsAre;

/// N = 3, T = 200, Q = 2: learned in well under a second.
Instance small_instance(std::uint64_t seed = 1) {
  return random_instance(3, 200, 2, seed);
}

TrainOptions small_options(Algorithm algorithm = Algorithm::kScb) {
  TrainOptions options;
  options.algorithm = algorithm;
  options.samples = 32000;
  options.refit_samples = 40000;
  options.screen_samples = 10000;
  options.held_out = 1024;
  return options;
}

void expect_near(std::span<const double> found, std::initializer_list<double> expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  std::size_t i = 0;
  for (const double x : expected) EXPECT_NEAR(found[i++], x, tolerance);
}

bool same_bits(const Matrix<double>& a, const Matrix<double>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

bool same_bits(const TrainResult& a, const TrainResult& b) {
  bool same = same_bits(a.model.v, b.model.v) && same_bits(a.model.a, b.model.a) &&
              same_bits(a.descended.v, b.descended.v) && same_bits(a.descended.a, b.descended.a) &&
              a.curve.size() == b.curve.size() && a.held_out == b.held_out && a.steps == b.steps &&
              a.samples_to_support == b.samples_to_support;
  for (std::size_t i = 0; same && i < a.curve.size(); ++i)
    same = a.curve[i].held_out == b.curve[i].held_out && a.curve[i].population == b.curve[i].population &&
           a.curve[i].step == b.curve[i].step;
  for (std::size_t k = 0; same && k < a.columns.size(); ++k)
    same = a.columns[k].positions == b.columns[k].positions && a.columns[k].stable == b.columns[k].stable;
  return same;
}

std::string temporary(const std::string& name) {
  return (std::filesystem::path(::testing::TempDir()) / name).string();
}

// ---- Rows

TEST(TrainRows, Thresholds) {
  const std::vector<double> a = {.45, .20, -.05, .40};
  std::vector<double> x = a;
  shrink(x, .12);
  expect_near(x, {.3475, .2675, .0875, .2975}, 1e-12);
  x = a;
  keep_large(x, .3);
  expect_near(x, {.4875, .0375, .0375, .4375}, 1e-12);
  x = a;
  round_small(x, .3);
  expect_near(x, {.529411764706, 0, 0, .470588235294}, 1e-12);
}

TEST(TrainRows, ProjectionOnTheSimplex) {
  std::vector<double> x = {.8, .6, -.2, .1};
  project_simplex(x);  // τ = 0.2
  expect_near(x, {.6, .4, 0, 0}, 1e-12);
  project_simplex(x);
  expect_near(x, {.6, .4, 0, 0}, 1e-12);
  x = {-3, -2, -2.5};
  project_simplex(x);
  expect_near(x, {0, .75, .25}, 1e-12);
}

TEST(TrainRows, RobustScaleForgetsWhatSticksOut) {
  EXPECT_NEAR(robust_scale(std::vector<double>{1, 2, 3, 4, 1000}), 1.4826, 1e-12);
}

// ---- Supports

TEST(TrainSupport, FindsWhatIsAboveAShareOfTheLargest) {
  const std::vector<double> a = {.5, .01, .14, .3, .05};
  const Support found = find_support(a, 1, .25);
  EXPECT_THAT(found.positions, ElementsAre(0, 2, 3));
  EXPECT_FALSE(found.separated);  // .14 is less than three times .05
  EXPECT_THAT(find_support(a, 1, .5).positions, ElementsAre(0, 3));
  const std::vector<double> even(5, .2);
  EXPECT_FALSE(find_support(even, 1, .25).separated);
  // The mirror image 2/T − a of (.5, 0, .5, 0, 0).
  const std::vector<double> mirror = {-.1, .4, -.1, .4, .4};
  EXPECT_THAT(find_support(mirror, -1, .25).positions, ElementsAre(0, 2));
  EXPECT_TRUE(find_support(mirror, -1, .25).separated);
}

TEST(TrainSupport, MirrorImagesShowInTheFourthPowers) {
  const Instance instance = small_instance();
  const Arena arena(1);
  const Model model = true_model(instance);
  EXPECT_EQ(orientation(model.a, arena), 1);
  EXPECT_EQ(orientation(mirrored(model, instance.mu).a, arena), -1);
  EXPECT_TRUE(is_exact({model.a.row(0), 200}, instance.q[0].positions));
  const Model mirror = mirrored(model, instance.mu);
  EXPECT_TRUE(is_exact({mirror.a.row(0), 200}, instance.q[0].positions));
  EXPECT_FALSE(is_exact({initial_model(instance).a.row(0), 200}, instance.q[0].positions));
}

TEST(TrainSupport, HistoryKeepsTheFirstStepOfEachSet) {
  const Instance instance = small_instance();
  const Arena arena(1);
  SupportHistory history(3);
  const Model start = initial_model(instance), truth = true_model(instance);
  history.look(instance, start.a, .25, 10, arena);
  EXPECT_EQ(history.exact_since(), 0u);
  history.look(instance, truth.a, .25, 20, arena);
  history.look(instance, truth.a, .25, 220, arena);
  EXPECT_EQ(history.exact_since(), 20u);
  EXPECT_TRUE(history.all_stable(220));
  EXPECT_FALSE(history.all_stable(219));
  SupportHistory copy(3);
  ASSERT_TRUE(copy.restore(history.state()));
  EXPECT_EQ(copy.state(), history.state());
  EXPECT_TRUE(copy.all_stable(220));
  auto broken = history.state();
  broken.pop_back();
  EXPECT_FALSE(copy.restore(broken));
  EXPECT_FALSE(SupportHistory(2).restore(history.state()));
}

// ---- Refit and screening

TEST(TrainRefit, FindsTheTruthOnTrueSupports) {
  const Instance instance = small_instance();
  std::vector<std::vector<std::uint32_t>> supports;
  for (const SparseColumn& column : instance.q) supports.push_back(column.positions);
  const Arena arena(1);
  const Model model = refit(instance, supports, initial_model(instance), 200000, 10, 1, arena);
  const Signals s = signals(instance, model);
  EXPECT_LT(s.v_distance, .01);
  EXPECT_LT(s.a_distance, .03);
  for (std::size_t k = 0; k < 3; ++k) {
    double sum = 0;
    for (std::size_t t = 0; t < 200; ++t) sum += model.a(k, t);
    EXPECT_NEAR(sum, 1, 1e-12);
  }
  // The errors are those of the estimates: the truth lies within 4.5 of them.
  std::vector<Column> columns(3);
  for (std::size_t k = 0; k < 3; ++k)
    columns[k] = {instance.q[k].positions, instance.q[k].weights, false, false};
  const SparseSamples samples(Sampler(instance, 2), Stream::kRefit, sample_range(0, 50000), columns, arena);
  const SparseModel fitted = least_squares(samples, 3, columns, 10, false, arena);
  for (std::size_t k = 0; k < 3; ++k)
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_GT(fitted.errors[k][i], 1e-4);
      EXPECT_LT(fitted.errors[k][i], .05);
      EXPECT_NEAR(fitted.columns[k].weights[i], instance.q[k].weights[i], 4.5 * fitted.errors[k][i]);
    }
}

TEST(TrainRefit, WrongPositionsGo) {
  const Instance instance = small_instance();
  const Arena arena(1);
  std::vector<Column> columns(3);
  for (std::size_t k = 0; k < 3; ++k) {
    for (std::uint32_t t = 0; t < 200; ++t)
      if (t == 17 || std::ranges::count(instance.q[k].positions, t) > 0) columns[k].positions.push_back(t);
    ASSERT_EQ(columns[k].positions.size(), 3u);
    columns[k].weights.assign(3, 1.0 / 3);
  }
  const SparseSamples samples(Sampler(instance, 1), Stream::kRefit, sample_range(0, 50000), columns, arena);
  SparseModel model = least_squares(samples, 3, columns, 10, false, arena);
  EXPECT_EQ(drop_insignificant(model), 3u);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(model.columns[k].positions, instance.q[k].positions);
}

TEST(TrainRefit, ScreeningFindsWhatIsMissing) {
  const Instance instance = small_instance();
  const Arena arena(1);
  const Sampler sampler(instance, 1);
  SparseModel model{instance.p.copy(), {}, std::vector<std::vector<double>>(3)};
  for (const SparseColumn& q : instance.q) {
    const std::size_t larger = q.weights[0] > q.weights[1] ? 0 : 1;
    model.columns.push_back({{q.positions[larger]}, {1}, false, false});
  }
  EXPECT_EQ(screen(instance, sampler, model, 0, 20000, true, arena).added, 3u);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_EQ(model.columns[k].positions, instance.q[k].positions);
  for (std::size_t k = 0; k < 3; ++k) model.columns[k].weights = instance.q[k].weights;
  EXPECT_EQ(screen(instance, sampler, model, 200000, 20000, true, arena).added, 0u);
}

TEST(TrainRefit, RefusesSupportsThatAreNone) {
  const Instance instance = small_instance();
  const Arena arena(1);
  const Model start = initial_model(instance);
  const auto attempt = [&](std::vector<std::vector<std::uint32_t>> supports) {
    return [&, supports] { refit(instance, supports, start, 100, 1, 1, arena); };
  };
  expect_error(ErrorKind::kShape, "2 supports", attempt({{1}, {2}}));
  expect_error(ErrorKind::kUsage, "ascending positions below 200", attempt({{1}, {2}, {200}}));
  expect_error(ErrorKind::kUsage, "support of \"1\"", attempt({{1}, {2, 2}, {3}}));
  expect_error(ErrorKind::kUsage, "support of \"0\"", attempt({{}, {2}, {3}}));
}

TEST(TrainHeldOut, SparseAndDenseAgreeWithThePopulation) {
  const Instance instance = small_instance();
  const Arena arena(1);
  const Sampler sampler(instance, 3);
  const Model truth = true_model(instance), start = initial_model(instance);
  const Loss sparse = held_out_loss(sampler, truth, 20000, arena);
  EXPECT_NEAR(sparse.mean, population_loss(instance, truth), 4 * sparse.error);
  EXPECT_LT(sparse.error, .003);
  const Loss even = held_out_loss(sampler, start, 20000, arena);
  EXPECT_NEAR(even.mean, population_loss(instance, start), 4 * even.error);
  EXPECT_LT(even.error, .003);
  // The same samples: a column with weights everywhere is taken for dense, however small they are.
  Model dense{truth.v.copy(), truth.a.copy()};
  for (std::size_t t = 0; t < 200; ++t) dense.a(0, t) += 1e-9;
  EXPECT_NEAR(held_out_loss(sampler, dense, 20000 / 64 * 64, arena).mean,
              held_out_loss(sampler, truth, 20000 / 64 * 64, arena).mean, 1e-6);
}

// ---- Runs

TEST(Train, RecoversSmallInstances) {
  const Arena arena(2);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Instance instance = small_instance(seed);
    TrainOptions options = small_options();
    options.seed = seed;
    const TrainResult result = train(instance, options, arena);
    EXPECT_TRUE(all_exact(result)) << seed;
    EXPECT_LT(loss_above_least(instance, result.model), 2e-4) << seed;
    EXPECT_NEAR(result.held_out, result.population, 5 * result.held_out_error) << seed;
    EXPECT_GT(result.samples_to_support, 0u) << seed;
  }
}

TEST(TrainRefit, FurtherSamplesGoWhereErrorsAreLarge) {
  const Instance instance = random_instance(3, 50, 2, 1);
  const Sampler sampler(instance, 1);
  const auto by_last = [&](std::vector<double> ratios, std::vector<std::uint64_t> counts,
                           std::uint64_t most) {
    std::vector<std::uint64_t> found(3);
    for (const std::uint64_t i : further_samples(sampler, Stream::kRefit, 1000, ratios, counts, most)) {
      EXPECT_GE(i, 1000u);
      ++found[sampler.header(Stream::kRefit, i).last];
    }
    return found;
  };
  EXPECT_THAT(by_last({2, 1, .5}, {100, 100, 100}, 1000), ::testing::ElementsAre(300, 0, 0));
  EXPECT_THAT(by_last({2, 1, 3}, {100, 100, 100}, 550), ::testing::ElementsAre(194, 0, 355));
  // Never seen: an equal share, not all of it.
  EXPECT_THAT(by_last({2, 1e300 * 1e300, 1}, {100, 0, 100}, 900), ::testing::ElementsAre(300, 300, 0));
}

TEST(Train, SameBitsForAnyNumberOfThreads) {
  const Instance instance = small_instance();
  for (const Algorithm algorithm : {Algorithm::kScb, Algorithm::kPaper, Algorithm::kMoments}) {
    TrainOptions options = small_options(algorithm);
    options.samples = 6400;
    options.refit_samples = options.screen_samples = 2000;
    const Arena one(1), two(2), seven(7);
    const TrainResult result = train(instance, options, one);
    EXPECT_TRUE(same_bits(result, train(instance, options, two))) << to_string(algorithm);
    EXPECT_TRUE(same_bits(result, train(instance, options, seven))) << to_string(algorithm);
  }
}

TEST(Train, ResumesToTheSameBits) {
  const Instance instance = small_instance();
  const Arena arena(1);
  const std::string path = temporary("bigram_run.safetensors");
  for (const Algorithm algorithm : {Algorithm::kScb, Algorithm::kPaper, Algorithm::kPsgd, Algorithm::kSgd,
                                    Algorithm::kNonneg, Algorithm::kSoftmax, Algorithm::kMoments}) {
    TrainOptions options = small_options(algorithm);
    options.samples = 9600;
    options.refit_samples = options.screen_samples = 2000;
    const TrainResult whole = train(instance, options, arena);
    TrainRun first(instance, options, arena);
    for (int i = 0; i < 73; ++i) first.step();
    first.save(path);
    TrainRun second(instance, options, arena);
    second.load(path);
    EXPECT_EQ(second.steps(), 73u);
    while (second.descending()) second.step();
    EXPECT_TRUE(same_bits(whole, second.finish())) << to_string(algorithm);
  }
}

TEST(Train, ResumesNothingElse) {
  const Instance instance = small_instance(), other = small_instance(2);
  const Arena arena(1);
  const std::string path = temporary("bigram_other.safetensors");
  TrainOptions options = small_options();
  TrainRun run(instance, options, arena);
  run.step();
  run.save(path);
  TrainRun elsewhere(other, options, arena);
  expect_error(ErrorKind::kUsage, "another instance", [&] { elsewhere.load(path); });
  options.eta = .01;
  TrainRun slower(instance, options, arena);
  expect_error(ErrorKind::kUsage, "other options", [&] { slower.load(path); });
  const double one = 1;
  write_safetensors(path,
                    std::vector<TensorToWrite>{{"v", DType::kF64, {1}, std::as_bytes(std::span(&one, 1))}});
  expect_error(ErrorKind::kBadFormat, "metadata", [&] { run.load(path); });
  EXPECT_EQ(run.steps(), 1u);
}

TEST(Train, DescentsKeepWhatTheyPromise) {
  const Instance instance = small_instance();
  const Arena arena(1);
  for (const Algorithm algorithm :
       {Algorithm::kScb, Algorithm::kPaper, Algorithm::kPsgd, Algorithm::kNonneg, Algorithm::kSoftmax}) {
    TrainOptions options = small_options(algorithm);
    options.samples = 64 * 300;
    options.stop_early = false;
    TrainRun run(instance, options, arena);
    while (run.descending()) run.step();
    const Model& model = run.model();
    double least = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      double sum = 0, column = 0, mean = 0;
      for (std::size_t t = 0; t < 200; ++t) {
        sum += model.a(k, t);
        least = std::min(least, model.a(k, t));
      }
      EXPECT_NEAR(sum, 1, 1e-12) << to_string(algorithm);
      for (std::size_t i = 0; i < 3; ++i) {
        column += model.v(i, k);
        mean += model.v(k, i) * instance.mu[i];
      }
      EXPECT_NEAR(column, 1, 1e-12) << to_string(algorithm);
      EXPECT_NEAR(mean, instance.mu[k], 1e-12) << to_string(algorithm);
    }
    if (algorithm == Algorithm::kNonneg || algorithm == Algorithm::kSoftmax) {
      EXPECT_EQ(least, 0) << to_string(algorithm);
    }
  }
}

TEST(Train, RefusesWhatCannotBeTrained) {
  const Instance instance = small_instance();
  const Arena arena(1);
  const auto attempt = [&](const std::function<void(TrainOptions&)>& change) {
    return [&, change] {
      TrainOptions options = small_options();
      change(options);
      TrainRun(instance, options, arena);
    };
  };
  expect_error(ErrorKind::kUsage, "batch: expected above 0", attempt([](auto& o) { o.batch = 0; }));
  expect_error(ErrorKind::kUsage, "eta: expected above 0, found -1", attempt([](auto& o) { o.eta = -1; }));
  expect_error(ErrorKind::kUsage, "eta_a: expected above 0", attempt([](auto& o) { o.eta_a = 0; }));
  expect_error(ErrorKind::kUsage, "samples: expected at least one batch",
               attempt([](auto& o) { o.samples = 3; }));
  expect_error(ErrorKind::kUsage, "keep: expected between 0 and 1", attempt([](auto& o) { o.keep = 1; }));
  expect_error(ErrorKind::kShape, "start: V is 4 × 4", attempt([](auto& o) {
                 o.start = std::make_shared<Model>(initial_model(random_instance(4, 200, 2, 1)));
               }));
  expect_error(ErrorKind::kUsage, "softmax cannot start", attempt([&](auto& o) {
                 o.algorithm = Algorithm::kSoftmax;
                 o.start = std::make_shared<Model>(true_model(instance));
               }));
}

// ---- Transfer and files

TEST(TrainTransfer, MixesWhatIsKeptAndRecentres) {
  const Instance old = small_instance(1), task = small_instance(2);
  const Model learned = true_model(old), fresh = initial_model(task);
  const Model both = transfer_start(learned, task, Keep::kBoth, .5);
  for (std::size_t i = 0; i < 3; ++i) {
    double mean = 0, column = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      mean += both.v(i, j) * task.mu[j];
      column += both.v(j, i);
    }
    EXPECT_NEAR(mean, task.mu[i], 1e-14);
    EXPECT_NEAR(column, 1, 1e-14);
  }
  EXPECT_NEAR(both.v(0, 0) - both.v(0, 1), .5 * (old.p(0, 0) - old.p(0, 1)), 1e-15);
  EXPECT_DOUBLE_EQ(both.a(1, 7), .5 * learned.a(1, 7) + .5 / 200);
  EXPECT_TRUE(same_bits(transfer_start(learned, task, Keep::kValues, .5).a, fresh.a));
  EXPECT_TRUE(same_bits(transfer_start(learned, task, Keep::kAttention, .5).v, fresh.v));
  const Instance longer = random_instance(3, 300, 2, 1);
  EXPECT_NO_THROW(transfer_start(learned, longer, Keep::kValues, .5));
  expect_error(ErrorKind::kShape, "the learned A is 3 × 200, this task needs 3 × 300",
               [&] { transfer_start(learned, longer, Keep::kBoth, .5); });
  expect_error(ErrorKind::kUsage, "theta", [&] { transfer_start(learned, task, Keep::kBoth, 2); });
}

TEST(TrainFiles, ModelsComeBackToTheBit) {
  const Instance instance = small_instance();
  const Model model = true_model(instance);
  const std::string path = temporary("bigram_model.safetensors");
  write_model(model, instance.mu, path);
  const SavedModel saved = read_model(path);
  EXPECT_TRUE(same_bits(saved.model.v, model.v));
  EXPECT_TRUE(same_bits(saved.model.a, model.a));
  EXPECT_EQ(saved.mu, instance.mu);
}

TEST(TrainFiles, BrokenModelsAreRefused) {
  const std::string path = temporary("bigram_broken.safetensors");
  const std::vector<double> numbers(6, .5);
  const auto tensor = [&](const char* name, std::vector<std::uint64_t> shape) {
    std::size_t count = 1;
    for (const std::uint64_t n : shape) count *= n;
    return TensorToWrite{name, DType::kF64, shape, std::as_bytes(std::span(numbers.data(), count))};
  };
  const auto write = [&](std::vector<TensorToWrite> tensors) { write_safetensors(path, tensors); };
  write({tensor("v", {2, 2}), tensor("a", {2, 3})});
  expect_error(ErrorKind::kBadFormat, "tensor \"mu\": the file does not have", [&] { read_model(path); });
  write({tensor("v", {2, 2}), tensor("a", {3, 2}), tensor("mu", {2})});
  expect_error(ErrorKind::kShape, "a is [3, 2]", [&] { read_model(path); });
  write({tensor("v", {4}), tensor("a", {2, 3}), tensor("mu", {2})});
  expect_error(ErrorKind::kShape, "expected a matrix", [&] { read_model(path); });
  Model model{Matrix<double>(2, 2), Matrix<double>(2, 2)};
  model.a(1, 0) = std::numeric_limits<double>::quiet_NaN();
  write_model(model, std::vector<double>{.5, .5}, path);
  expect_error(ErrorKind::kNotFinite, "the entry [1, 0] is nan", [&] { read_model(path); });
}

}  // namespace
}  // namespace telos::bigram
