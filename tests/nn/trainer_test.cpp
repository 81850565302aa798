#include "telos/nn/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/io/checkpoint.h"
#include "telos/nn/operations.h"
#include "tests/io/support.h"

namespace telos::nn {
namespace {

using Kind = OptimizerOptions::Kind;
using State = std::vector<std::pair<std::string, std::string>>;
using testing::HasSubstr;

constexpr std::size_t kInputs = 5, kHidden = 8, kSamples = 12;

/// y = W₂·relu(W₁·x + b₁) + b₂ learns a sum of sines; the batch of step t follows from t.
struct Network {
  ParameterLayout layout;
  std::unique_ptr<Graph> graph;
  std::unique_ptr<Executor<float>> executor;
  std::vector<float> x, y;

  explicit Network(std::size_t hidden = kHidden) {
    layout.add("first.weight", hidden, kInputs);
    layout.add_vector("first.bias", hidden);
    layout.add("second.weight", 1, hidden);
    layout.add_vector("second.bias", 1);
    graph = std::make_unique<Graph>(layout);
    const Value input = graph->input("x", 1, kInputs), target = graph->input("y", 1, 1);
    const Value between = linear(*graph, {input}, graph->parameter("first.weight"),
                                 graph->parameter("first.bias"), Activation::kRelu);
    const Value out =
        linear(*graph, {between}, graph->parameter("second.weight"), graph->parameter("second.bias"));
    graph->loss(mean_squared_error(*graph, out, target));
    executor =
        std::make_unique<Executor<float>>(*graph, Executor<float>::Options{.micro_batch = 2, .lanes = 4});
  }
  std::vector<float> initial(std::uint64_t seed) const {
    Random random(seed);
    std::vector<float> out(layout.size());
    for (float& p : out) p = static_cast<float>(0.5 * random.normal());
    return out;
  }
  Batch<float> batch(std::uint64_t step) {
    Random random(1, 0, step);
    x.clear();
    y.clear();
    for (std::size_t s = 0; s < kSamples; ++s) {
      double sum = 0;
      for (std::size_t i = 0; i < kInputs; ++i) {
        x.push_back(static_cast<float>(random.normal()));
        sum += std::sin(static_cast<double>(x.back()));
      }
      y.push_back(static_cast<float>(sum));
    }
    return {
        .samples = kSamples, .real = {{x.data(), kSamples, kInputs}, {y.data(), kSamples, 1}}, .index = {}};
  }
  /// Trains up to step `to`; returns the last loss.
  double train(Trainer& trainer, std::uint64_t to, double rate, const Arena& arena) {
    double loss = 0;
    while (trainer.steps() < to) loss = trainer.step(*executor, batch(trainer.steps()), rate, arena);
    return loss;
  }
};

std::vector<float> copy(std::span<const float> values) {
  return {values.begin(), values.end()};
}

const std::vector<OptimizerOptions> kOptimizers = {
    {},
    {.kind = Kind::kAdamW, .weight_decay = 0.1, .clip_norm = 1},
    {.kind = Kind::kSgd},
    {.kind = Kind::kSgd, .momentum = 0.9},
};

TEST(Trainer, Learns) {
  Network net;
  Trainer trainer(net.layout, net.initial(1), {});
  const double first = net.train(trainer, 1, 0.01, Arena(1));
  double last = 0;
  for (std::uint64_t step = 2000; step <= 2100; step += 10)
    last += net.train(trainer, step, 0.01, Arena(1)) / 11;
  EXPECT_LT(last, first / 10);
  EXPECT_GT(trainer.last_gradient_norm(), 0);
}

TEST(Trainer, BitsDoNotDependOnTheNumberOfThreads) {
  Network net;
  std::vector<float> expected;
  for (const int threads : {1, 2, 7}) {
    Trainer trainer(net.layout, net.initial(2), {});
    net.train(trainer, 20, 0.01, Arena(threads));
    if (threads == 1) expected = copy(trainer.parameters());
    EXPECT_EQ(copy(trainer.parameters()), expected) << threads;
  }
}

TEST(Trainer, ARunThatIsResumedHasTheBitsOfOneThatWasNot) {
  const test::ScratchDirectory directory;
  for (const OptimizerOptions& options : kOptimizers) {
    Network net;
    Trainer whole(net.layout, net.initial(3), options);
    net.train(whole, 9, 0.01, Arena(1));
    whole.save(directory / "run.safetensors", {{"rate", exact_text(0.1)}, {"epoch", "3"}});
    net.train(whole, 30, 0.01, Arena(1));

    Trainer resumed(net.layout, std::vector<float>(net.layout.size()), options);
    const State state = resumed.load(directory / "run.safetensors");
    EXPECT_EQ(state, (State{{"epoch", "3"}, {"rate", "0.1"}}));
    EXPECT_EQ(resumed.steps(), 9u);
    net.train(resumed, 30, 0.01, Arena(1));
    EXPECT_EQ(copy(resumed.parameters()), copy(whole.parameters()));
  }
}

TEST(Trainer, FilesHaveTheNamesAndShapesOfPyTorch) {
  const test::ScratchDirectory directory;
  Network net;
  Trainer trainer(net.layout, net.initial(4), {});
  net.train(trainer, 2, 0.01, Arena(1));
  trainer.save(directory / "run.safetensors", {});
  const Checkpoint file = Checkpoint::open(directory / "run.safetensors");
  EXPECT_EQ(file.tensors().size(), 12u);
  for (const std::string prefix : {"", "adam.first.", "adam.second."}) {
    ASSERT_NE(file.find(prefix + "first.weight"), nullptr) << prefix;
    EXPECT_EQ(file.find(prefix + "first.weight")->shape, (std::vector<std::uint64_t>{kHidden, kInputs}));
    EXPECT_EQ(file.find(prefix + "second.bias")->shape, (std::vector<std::uint64_t>{1}));
  }
  std::vector<float> bias(kHidden);
  file.read_all(*file.find("first.bias"), bias);
  const std::span<const float> trained = trainer.parameters().subspan(kHidden * kInputs, kHidden);
  EXPECT_TRUE(std::equal(bias.begin(), bias.end(), trained.begin()));
}

/// What load() says to a file; the trainer must be as before.
Error refusal(Trainer& trainer, const std::string& path) {
  const std::vector<float> before = copy(trainer.parameters());
  const std::uint64_t steps = trainer.steps();
  try {
    trainer.load(path);
    ADD_FAILURE() << "the file was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(copy(trainer.parameters()), before);
    EXPECT_EQ(trainer.steps(), steps);
    return error;
  }
  return {ErrorKind::kInternal, "", ""};
}

TEST(Trainer, RefusesFilesOfOtherModelsAndOptimizers) {
  const test::ScratchDirectory directory;
  const std::string path = directory / "run.safetensors";
  Network net, wider(kHidden + 1);
  Trainer trainer(net.layout, net.initial(5), {});
  net.train(trainer, 3, 0.01, Arena(1));

  Trainer(wider.layout, wider.initial(5), {}).save(path, {});
  Error error = refusal(trainer, path);
  EXPECT_EQ(error.kind(), ErrorKind::kShape);
  EXPECT_THAT(error.where(), HasSubstr("first.weight"));
  EXPECT_THAT(error.message(), HasSubstr("[9, 5], expected [8, 5]"));

  Trainer(net.layout, net.initial(5), {.kind = Kind::kSgd}).save(path, {});
  error = refusal(trainer, path);
  EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
  EXPECT_THAT(error.message(), HasSubstr("optimizer sgd, expected adam"));

  ParameterLayout smaller;
  smaller.add("first.weight", kHidden, kInputs);
  Trainer(smaller, std::vector<float>(smaller.size()), {}).save(path, {});
  error = refusal(trainer, path);
  EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
  EXPECT_THAT(error.where(), HasSubstr("first.bias"));

  ParameterLayout larger = net.layout;
  larger.add("third.weight", 2, 2);
  Trainer(larger, std::vector<float>(larger.size()), {}).save(path, {});
  error = refusal(trainer, path);
  EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
  EXPECT_THAT(error.message(), HasSubstr("15 tensors, expected 12"));

  Trainer bad(net.layout, std::vector<float>(net.layout.size(), std::numeric_limits<float>::quiet_NaN()), {});
  bad.save(path, {});
  error = refusal(trainer, path);
  EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
  EXPECT_THAT(error.where(), HasSubstr("first.weight"));

  EXPECT_EQ(refusal(trainer, directory / "absent.safetensors").kind(), ErrorKind::kMissingFile);
}

TEST(Trainer, RefusesFilesThatNoTrainerWrote) {
  const test::ScratchDirectory directory;
  const std::string path = directory / "run.safetensors";
  Network net;
  Trainer trainer(net.layout, net.initial(6), {});
  const std::vector<double> numbers(kHidden * kInputs);
  const TensorToWrite wide{.name = "first.weight",
                           .dtype = DType::kF64,
                           .shape = {kHidden, kInputs},
                           .data = std::as_bytes(std::span(numbers))};
  write_safetensors(path, {{wide}});
  EXPECT_THAT(refusal(trainer, path).message(), HasSubstr("no trainer.optimizer"));
  write_safetensors(path, {{wide}}, {{"trainer.optimizer", "adam"}, {"trainer.steps", "-3"}});
  EXPECT_THAT(refusal(trainer, path).message(), HasSubstr("\"-3\", expected a number of steps"));
  write_safetensors(path, {{wide}}, {{"trainer.optimizer", "adam"}, {"trainer.steps", "3"}});
  EXPECT_THAT(refusal(trainer, path).message(), HasSubstr("type is F64, expected F32"));
}

TEST(Trainer, ALossThatIsNotFiniteChangesNothing) {
  Network net;
  Trainer trainer(net.layout, net.initial(7), {});
  const std::vector<float> before = copy(trainer.parameters());
  const Batch<float> batch = net.batch(0);
  net.y[3] = std::numeric_limits<float>::infinity();
  try {
    trainer.step(*net.executor, batch, 0.01, Arena(1));
    FAIL() << "an infinite loss was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
    EXPECT_EQ(error.where(), "step 1");
  }
  EXPECT_EQ(copy(trainer.parameters()), before);
  EXPECT_EQ(trainer.steps(), 0u);
}

TEST(Trainer, RefusesInitialValuesOfAnotherSize) {
  Network net;
  EXPECT_THROW(Trainer(net.layout, std::vector<float>(3), {}), Error);
}

TEST(TrainEach, SeedsTrainAtOnceWithTheBitsOfOneByOne) {
  const std::vector<std::uint64_t> seeds = {3, 1, 4, 15, 9, 2, 6};
  const auto train = [&](int threads) {
    std::vector<std::vector<float>> trained(seeds.size());
    const auto ends = train_each(seeds, Arena(threads), [&](std::uint64_t seed, const Arena& single) {
      EXPECT_EQ(single.threads(), 1);
      Network net;
      Trainer trainer(net.layout, net.initial(seed), {});
      net.train(trainer, 15, 0.01, single);
      const auto place = std::find(seeds.begin(), seeds.end(), seed) - seeds.begin();
      trained[static_cast<std::size_t>(place)] = copy(trainer.parameters());
    });
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      EXPECT_EQ(ends[i].seed, seeds[i]);
      EXPECT_FALSE(ends[i].failed);
    }
    return trained;
  };
  const auto expected = train(1);
  EXPECT_EQ(train(2), expected);
  EXPECT_EQ(train(7), expected);
}

TEST(TrainEach, ADivergedSeedIsReportedAndTheOthersFinish) {
  const std::vector<std::uint64_t> seeds = {0, 1, 2, 3, 4};
  std::atomic<int> finished = 0;
  const auto ends = train_each(seeds, Arena(3), [&](std::uint64_t seed, const Arena& single) {
    Network net;
    Trainer trainer(net.layout, net.initial(seed), {.kind = Kind::kSgd});
    net.train(trainer, 200, seed % 2 == 1 ? 1e4 : 1e-3, single);
    ++finished;
  });
  EXPECT_EQ(finished, 3);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    EXPECT_EQ(ends[i].failed, seeds[i] % 2 == 1) << seeds[i];
    if (!ends[i].failed) continue;
    EXPECT_EQ(ends[i].kind, ErrorKind::kNotFinite);
    EXPECT_FALSE(ends[i].message.empty());
  }
}

TEST(TrainEach, AnInterruptionAndABugEndAll) {
  const std::vector<std::uint64_t> seeds = {0, 1, 2};
  const auto throwing = [](ErrorKind kind) {
    return [kind](std::uint64_t, const Arena&) { throw Error(kind, "here", "why"); };
  };
  EXPECT_THROW(train_each(seeds, Arena(2), throwing(ErrorKind::kInterrupted)), Error);
  EXPECT_THROW(train_each(seeds, Arena(2), throwing(ErrorKind::kInternal)), Error);
  EXPECT_THROW(
      train_each(seeds, Arena(2), [](std::uint64_t, const Arena&) { throw std::runtime_error("other"); }),
      std::runtime_error);
  request_interrupt();
  int begun = 0;
  EXPECT_THROW(train_each(seeds, Arena(1), [&](std::uint64_t, const Arena&) { ++begun; }), Error);
  clear_interrupt();
  EXPECT_EQ(begun, 0);
}

TEST(ExactText, ReadsBackToTheSameBits) {
  const double max = std::numeric_limits<double>::max(), inf = std::numeric_limits<double>::infinity();
  std::vector<double> numbers = {0.0, -0.0, 0.1, -1.0 / 3, max, 5e-324, inf, -inf};
  Random random(9);
  for (int i = 0; i < 2000; ++i) {
    const double x = std::bit_cast<double>(std::uint64_t{random.bits()} << 32 | random.bits());
    if (!std::isnan(x)) numbers.push_back(x);
  }
  for (const double x : numbers)
    EXPECT_EQ(std::bit_cast<std::uint64_t>(exact_value(exact_text(x), "here")),
              std::bit_cast<std::uint64_t>(x));
  EXPECT_TRUE(std::isnan(exact_value(exact_text(std::nan("")), "here")));
  EXPECT_EQ(exact_text(0.1), "0.1");
}

TEST(ExactText, RefusesOtherText) {
  for (const char* bad : {"", "x", "1.5x", " 1", "1e", "--1"}) {
    try {
      exact_value(bad, "run.safetensors, rate");
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
      EXPECT_EQ(error.where(), "run.safetensors, rate");
    }
  }
}

}  // namespace
}  // namespace telos::nn
