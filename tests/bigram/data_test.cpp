// Samples as files, and training without the truth.
#include "telos/bigram/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "bigram/train_parts.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"
#include "tests/bigram/oracle.h"
#include "tests/bigram/training.h"
#include "tests/io/support.h"
#include "tests/positional/complaint.h"

namespace telos::bigram {
namespace {

using telos::test::complaint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

bool operator==(const Samples& a, const Samples& b) {
  return a.tokens == b.tokens && a.length == b.length && a.names == b.names && a.contexts == b.contexts &&
         a.last == b.last && a.output == b.output;
}

bool same_bits(const Matrix<double>& a, const Matrix<double>& b) {
  return std::equal(a.data(), a.data() + a.size(), b.data(), b.data() + b.size());
}

/// Some rows of samples, in the order given.
Samples rows_of(const Samples& samples, const std::vector<std::uint32_t>& rows) {
  Samples out{.tokens = samples.tokens, .length = samples.length, .names = samples.names};
  const std::size_t bytes = samples.length * samples.width();
  for (const std::uint32_t row : rows) {
    const auto first = samples.contexts.begin() + static_cast<std::ptrdiff_t>(row * bytes);
    out.contexts.insert(out.contexts.end(), first, first + static_cast<std::ptrdiff_t>(bytes));
    out.last.push_back(samples.last[row]);
    out.output.push_back(samples.output[row]);
  }
  return out;
}

// ---- Files

TEST(LearnedFiles, AreReadBackAsATask) {
  const telos::test::ScratchDirectory dir;
  const std::string p = dir / "transitions.tsv", q = dir / "positions.tsv";
  Model model{Matrix<double>(3, 3), {}};
  const double v[] = {0.5, 0.25, 0.125, 0.25, 0.5, 0.125, 0.25, 0.25, 0.75};
  std::copy_n(v, 9, model.v.data());
  // Weights that do not sum to 1, one of them below 0; a last token that was left out.
  const std::vector<SparseColumn> columns = {{{0, 3}, {0.5, 0.25}}, {{1, 2}, {1.25, -0.25}}, {}};
  for (const std::vector<std::string>& names :
       {std::vector<std::string>{}, {"7", "8", "9"}, {"id", "word", "a b"}, {" ", "1", "x\ty"}}) {
    write_transitions(model, names, p);
    write_positions(columns, 4, names, q);
    const Instance task = read_instance_tables({.p_path = p, .q_path = q, .length = 4});
    EXPECT_TRUE(same_bits(task.p, model.v));
    EXPECT_EQ(task.names.size(), names.size());
    EXPECT_THAT(task.q[0].positions, ElementsAre(0, 3));
    EXPECT_THAT(task.q[0].weights, ElementsAre(0.625, 0.375));
    EXPECT_THAT(task.q[1].positions, ElementsAre(1));
    EXPECT_THAT(task.q[2].weights, ElementsAre(0.25, 0.25, 0.25, 0.25));
  }
}

TEST(SampleFile, HoldsTheSamplesOfTheContract) {
  const Arena arena(2);
  const Samples samples = draw_samples(test::oracle(), 42, 8, arena);
  EXPECT_THAT(samples.last, ElementsAre(1, 2, 0, 2, 2, 1, 1, 0));
  EXPECT_THAT(samples.output, ElementsAre(0, 2, 1, 1, 1, 1, 1, 1));
  EXPECT_THAT(std::vector(samples.contexts.begin(), samples.contexts.begin() + 8),
              ElementsAre(0, 0, 0, 2, 0, 0, 0, 2));
}

TEST(SampleFile, ReadsBackWhatWasWritten) {
  const telos::test::ScratchDirectory directory;
  const std::string path = directory / "data.safetensors";
  for (const std::size_t tokens : {3, 256, 257}) {
    Instance instance = random_instance(tokens, 7, 2, 1);
    if (tokens == 3) instance.names = {"a", "é", "\""};
    const Samples samples = draw_samples(instance, 5, 100, Arena(2));
    EXPECT_EQ(samples.width(), tokens > 256 ? 2u : 1u);
    const Sampler sampler(instance, 5);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const Sample drawn = sampler.draw(Stream::kTrain, i);
      EXPECT_EQ(samples.last[i], drawn.last);
      EXPECT_EQ(samples.output[i], drawn.output);
      for (std::size_t t = 0; t < 7; ++t) EXPECT_EQ(samples.token(i, t), drawn.tokens[t]);
    }
    write_samples(samples, path);
    EXPECT_TRUE(read_samples(path) == samples);
  }
}

TEST(SampleFile, RefusesDamage) {
  const telos::test::ScratchDirectory directory;
  const std::string path = directory / "data.safetensors";
  write_samples(draw_samples(test::oracle(), 1, 50, Arena(1)), path);
  const std::string whole = read_file(path);
  write_file_atomically(path, whole.substr(0, whole.size() - 1));
  EXPECT_THAT(complaint([&] { read_samples(path); }), HasSubstr("truncated | " + path));
  std::string damaged = whole;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  write_file_atomically(path, damaged);
  EXPECT_EQ(
      complaint([&] { read_samples(path); }),
      "bad_format | " + path +
          " | the samples are not those that were written: their checksum differs | the file is damaged; "
          "copy or write it again");
}

/// A file of three samples of two positions, with parts exchanged, without a checksum.
struct Parts {
  std::vector<std::uint8_t> tokens = {0, 1, 1, 1, 0, 0}, last = {0, 1, 1}, output = {1, 1, 0};
  std::vector<std::uint64_t> shape = {3, 2};
  DType type = DType::kU8;
  std::vector<std::pair<std::string, std::string>> metadata = {{"telos.bigram.samples", "1"},
                                                               {"telos.bigram.tokens", "2"}};
  bool with_output = true;

  std::string refusal() const {
    const telos::test::ScratchDirectory directory;
    const std::string path = directory / "d";
    const auto tensor = [&](const char* name, std::vector<std::uint64_t> dims, DType dtype,
                            const std::vector<std::uint8_t>& data) {
      return TensorToWrite{name, dtype, std::move(dims), std::as_bytes(std::span(data))};
    };
    std::vector<TensorToWrite> tensors = {tensor("tokens", shape, type, tokens),
                                          tensor("last", {last.size()}, DType::kU8, last)};
    if (with_output) tensors.push_back(tensor("output", {output.size()}, DType::kU8, output));
    write_safetensors(path, tensors, metadata);
    std::string text = complaint([&] { read_samples(path); });
    for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path))
      text.replace(at, path.size(), "d");
    return text;
  }
};

TEST(SampleFile, RefusesWhatIsNoSamples) {
  EXPECT_EQ(Parts{}.refusal(), "no error");
  Parts parts;
  parts.tokens[3] = 2;
  EXPECT_EQ(parts.refusal(),
            "bad_format | d, tensor \"tokens\" | position 1 of sample 1 is 2, expected below 2 | ");
  parts = {};
  parts.last[2] = 7;
  EXPECT_EQ(parts.refusal(),
            "bad_format | d, tensor \"last\" | the token of sample 2 is 7, expected below 2 | ");
  parts = {};
  parts.output[0] = 2;
  EXPECT_EQ(parts.refusal(),
            "bad_format | d, tensor \"output\" | the token of sample 0 is 2, expected below 2 | ");
  parts = {};
  parts.output.push_back(0);
  EXPECT_EQ(parts.refusal(),
            "shape | d | tokens are [3, 2], last [3] and output [4], expected as many samples of each | ");
  parts = {};
  parts.shape = {6};
  EXPECT_EQ(parts.refusal(),
            "shape | d, tensor \"tokens\" | its shape is [6], expected samples by positions | ");
  parts = {};
  parts.shape = {3, 0};
  parts.tokens.clear();
  EXPECT_EQ(parts.refusal(),
            "shape | d, tensor \"tokens\" | its shape is [3, 0], expected samples by positions | ");
  parts = {};
  parts.type = DType::kU16;
  parts.shape = {3, 1};
  EXPECT_EQ(parts.refusal(), "bad_format | d, tensor \"tokens\" | its type is U16, expected U8 | ");
  parts = {};
  parts.with_output = false;
  EXPECT_EQ(
      parts.refusal(),
      "bad_format | d, tensor \"output\" | the file does not have this tensor | a file that telos bigram "
      "sample wrote is expected");
  parts = {};
  parts.metadata = {};
  EXPECT_EQ(parts.refusal(),
            "bad_format | d | the metadata have no telos.bigram.samples | a file that telos bigram sample "
            "wrote is expected");
  parts.metadata = {{"telos.bigram.samples", "2"}};
  EXPECT_EQ(parts.refusal(), "bad_format | d | telos.bigram.samples is \"2\", expected \"1\" | ");
  parts.metadata = {{"telos.bigram.samples", "1"}, {"telos.bigram.tokens", "65536"}};
  EXPECT_EQ(parts.refusal(),
            "bad_format | d | telos.bigram.tokens is \"65536\", expected a number from 1 to 65535 | ");
  parts = {};
  parts.metadata.push_back({"telos.bigram.names", "[\"a\"]"});
  EXPECT_EQ(parts.refusal(), "bad_format | d, telos.bigram.names | expected a list of 2 texts | ");
  EXPECT_EQ(complaint([] { draw_samples(test::oracle(), 1, 0, Arena(1)); }),
            "usage | samples | expected 1 to 4294967295, found 0 | ");
  Instance endless = test::oracle();
  endless.length = 4'000'000'000;
  EXPECT_THAT(complaint([&] { draw_samples(endless, 1, 4'000'000'000, Arena(1)); }),
              HasSubstr("limit | samples | needs"));
}

// ---- What is learned from

TEST(SampleSplit, DividesTheRows) {
  const Samples samples = draw_samples(random_instance(3, 20, 2, 1), 1, 1000, Arena(1));
  const SampleSplit split = split_samples(samples, 50, 3);
  EXPECT_EQ(split.held_out.size(), 50u);
  EXPECT_EQ(split.train.size(), 950u);
  std::set<std::uint32_t> rows(split.train.begin(), split.train.end());
  rows.insert(split.held_out.begin(), split.held_out.end());
  EXPECT_EQ(rows.size(), 1000u);
  EXPECT_EQ(std::accumulate(split.count.begin(), split.count.end(), 0u), 1000u);
  EXPECT_THAT(split.left_out, IsEmpty());
  EXPECT_EQ(split_samples(samples, 500, 3).held_out.size(), 100u);
  EXPECT_NE(split_samples(samples, 50, 4).train, split.train);
  const Sampler sampler(samples, split);
  EXPECT_EQ(sampler.distinct(Stream::kRefit), 950u);
  EXPECT_EQ(sampler.distinct(Stream::kHeldOut), 50u);
  for (const std::uint64_t i : {0, 7, 949}) {
    EXPECT_EQ(sampler.header(Stream::kTrain, i).output, samples.output[split.train[i]]);
    EXPECT_EQ(sampler.header(Stream::kTrain, i + 950).output, samples.output[split.train[i]]);
    EXPECT_EQ(sampler.header(Stream::kHeldOut, i).last, samples.last[split.held_out[i % 50]]);
  }
}

TEST(SampleSplit, FrequenciesAreCountsWithAHalfAdded) {
  const Samples samples{
      .tokens = 3, .length = 2, .contexts = {0, 0, 1, 0, 1, 1}, .last = {0, 1, 0}, .output = {0, 0, 0}};
  const std::vector<std::uint32_t> rows = {0, 1};
  const Instance task = unknown_task(samples, rows, Arena(1));
  EXPECT_FALSE(task.known());
  EXPECT_THAT(task.mu, ElementsAre(4.5 / 7.5, 2.5 / 7.5, .5 / 7.5));
}

TEST(SampleSplit, NothingToLearnFrom) {
  const Samples samples = draw_samples(random_instance(3, 20, 2, 1), 1, 19, Arena(1));
  EXPECT_EQ(
      complaint([&] { split_samples(samples, 1, 1); }),
      "usage | samples | no last token has 20 samples, which its attention needs at least | more samples, "
      "or fewer tokens");
}

/// Where frequencies and samples are the same, drawn or read, the descent has the same bits.
TEST(TrainData, DescentIsThatOfTheDrawnSamples) {
  const Instance instance = random_instance(5, 300, 3, 2);
  const Arena arena(2);
  TrainOptions options;
  options.batch = 40;
  const Samples drawn = draw_samples(instance, options.seed, 1000, arena);
  const std::vector<std::uint32_t> order = split_samples(drawn, 0, options.seed).train;
  ASSERT_EQ(order.size(), 1000u);
  std::vector<std::uint32_t> place(order.size());  // row order[i] of the file is sample i
  for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  const Samples file = rows_of(drawn, place);
  SampleSplit split = split_samples(file, 0, options.seed);
  split.train = order;  // rare last tokens or not
  const Sampler from_file(file, split), from_task(instance, options.seed);
  for (const Algorithm algorithm : {Algorithm::kScb, Algorithm::kSgd, Algorithm::kMoments}) {
    options.algorithm = algorithm;
    std::vector<RunState> states(2);
    for (RunState& state : states) {
      state.model = initial_model(instance);
      if (algorithm == Algorithm::kMoments) state.moments = Moments(instance);
      Descent descent(instance, options, &state == &states[0] ? from_file : from_task, arena);
      for (std::size_t step = 0; step < 20; ++step) descent.step(state);
    }
    EXPECT_TRUE(same_bits(states[0].model.v, states[1].model.v)) << to_string(algorithm);
    EXPECT_TRUE(same_bits(states[0].model.a, states[1].model.a)) << to_string(algorithm);
    EXPECT_TRUE(std::ranges::equal(states[0].moments.counts(), states[1].moments.counts()));
    EXPECT_EQ(same_bits(states[0].model.v, initial_model(instance).v), algorithm == Algorithm::kMoments);
  }
}

// No row is left out because it is not the last of ten batches.
TEST(TrainData, CountsTakeEveryRow) {
  const Arena arena(2);
  const Instance instance = random_instance(3, 50, 1, 1);
  const Samples samples = draw_samples(instance, 1, 700, arena);
  TrainOptions options;
  options.algorithm = Algorithm::kMoments;
  options.batch = 64;
  options.held_out = 70;
  options.refit = false;
  const TrainResult found = train(samples, options, arena);
  EXPECT_EQ(found.samples, 630u);
  EXPECT_EQ(found.steps, 10u);
  const SampleSplit split = split_samples(samples, options.held_out, options.seed);
  Moments counts(instance);
  counts.add(Sampler(samples, split), 0, split.train.size(), arena);
  Instance as_counted = random_instance(3, 50, 1, 1);
  as_counted.mu = found.mu;
  Matrix<double> a(3, 50);
  counts.attention(as_counted, a, arena);
  EXPECT_TRUE(same_bits(found.descended.a, a));
}

TEST(Evaluate, OneSampleHasNoError) {
  const Arena arena(1);
  const Instance instance = random_instance(3, 20, 1, 1);
  const Evaluation e = evaluate(draw_samples(instance, 1, 1, arena), initial_model(instance), arena);
  EXPECT_TRUE(std::isfinite(e.held_out));
  EXPECT_TRUE(std::isnan(e.held_out_error));
  EXPECT_TRUE(std::isnan(e.gain_error));
}

TEST(TrainData, FindsWhatTheTaskHolds) {
  const Arena arena(2);
  const Instance instance = random_instance(3, 250, 2, 1);
  const Samples samples = draw_samples(instance, 1, 60000, arena);
  for (const Algorithm algorithm : {Algorithm::kScb, Algorithm::kMoments}) {
    TrainOptions options;
    options.algorithm = algorithm;
    const TrainResult result = train(samples, options, arena);
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(result.columns[k].positions, instance.q[k].positions) << to_string(algorithm);
      EXPECT_EQ(result.columns[k].samples, static_cast<std::uint64_t>(std::ranges::count(samples.last, k)));
      EXPECT_NEAR(result.mu[k], instance.mu[k], .001);
    }
    const Constants c = constants(instance);
    EXPECT_LT(loss_above_least(instance, result.model), 1e-4);
    EXPECT_NEAR(result.held_out, c.loss_least, 4 * result.held_out_error);
    EXPECT_NEAR(result.knowledge, c.k_p, .02);
    EXPECT_NEAR(result.gain, c.loss_start - c.loss_least, 4 * result.gain_error);
    EXPECT_LT(result.gain_error, result.held_out_error / 2);
    EXPECT_GT(result.gain, 4 * result.gain_error) << "which the losses themselves cannot tell";
    EXPECT_EQ(result.population, 0);
    EXPECT_EQ(result.samples_to_support, 0u);
    EXPECT_EQ(result.refit_samples, 60000u - 4096);
    EXPECT_LE(result.curve.back().samples, algorithm == Algorithm::kMoments ? 60000u : options.samples);
    if (algorithm == Algorithm::kScb) {
      EXPECT_EQ(result.curve.back().stable, 3u);
      EXPECT_GT(result.curve.back().knowledge, result.curve.front().knowledge);
    }
  }
}

TEST(TrainData, RareLastTokensKeepLookingEverywhere) {
  const Arena arena(2);
  const Instance instance = random_instance(3, 250, 2, 1);
  const Samples all = draw_samples(instance, 1, 60000, arena);
  std::vector<std::uint32_t> rows;
  std::size_t rare = 0;
  for (std::uint32_t i = 0; i < all.size(); ++i)
    if (all.last[i] != 1 || ++rare <= 7) rows.push_back(i);
  for (const Algorithm algorithm : {Algorithm::kScb, Algorithm::kPaper}) {
    TrainOptions options;
    options.algorithm = algorithm;
    const TrainResult result = train(rows_of(all, rows), options, arena);
    EXPECT_THAT(result.notes,
                ::testing::Contains("too few samples (below 20) of these last tokens, which keep "
                                    "looking everywhere: \"1\" (7)"));
    EXPECT_THAT(result.notes, ::testing::Not(::testing::Contains(HasSubstr("never began"))));
    EXPECT_EQ(result.columns[0].positions, instance.q[0].positions);
    EXPECT_EQ(result.columns[2].positions, instance.q[2].positions);
    EXPECT_THAT(result.columns[1].positions, IsEmpty());
    for (std::size_t t = 0; t < 250; ++t) EXPECT_EQ(result.model.a(1, t), 1. / 250);
    if (algorithm == Algorithm::kScb) {
      EXPECT_LT(result.samples, options.samples) << "stopped early";
    }
  }
}

TEST(TrainData, SameBitsForAnyThreadsAndResumed) {
  const Samples samples = draw_samples(random_instance(4, 200, 2, 1), 1, 3000, Arena(1)),
                others = draw_samples(random_instance(4, 200, 2, 2), 1, 3000, Arena(1));
  TrainOptions options;
  options.samples = 6400;
  const Arena one(1), seven(7);
  const TrainResult result = train(samples, options, one), again = train(samples, options, seven);
  EXPECT_TRUE(same_bits(result.model.a, again.model.a));
  EXPECT_TRUE(same_bits(result.model.v, again.model.v));
  const telos::test::ScratchDirectory directory;
  const std::string path = directory / "run";
  TrainRun first(samples, options, one);
  for (std::size_t i = 0; i < 37; ++i) first.step();
  first.save(path);
  TrainRun second(samples, options, one);
  second.load(path);
  while (second.descending()) second.step();
  EXPECT_TRUE(same_bits(second.finish().model.a, result.model.a));
  TrainRun other(others, options, one);
  EXPECT_EQ(complaint([&] { other.load(path); }),
            "usage | " + path +
                " | it is a run with other samples | resume with the instance and options that "
                "the run was started with");
  options.batch = 4000;
  EXPECT_EQ(complaint([&] { TrainRun(samples, options, one); }),
            "usage | batch | expected at most the 2700 samples that are learned from, found 4000 | ");
  options.batch = 0;
  EXPECT_EQ(complaint([&] { TrainRun(samples, options, one); }),
            "usage | batch | expected above 0, found 0 | ");
}

// ---- Evaluation

TEST(Evaluate, TheTruth) {
  const Arena arena(2);
  const Instance instance = random_instance(4, 300, 3, 1);
  const Model truth = true_model(instance);
  const Evaluation on_task = evaluate(instance, truth, 20000, 1, arena);
  const Constants c = constants(instance);
  EXPECT_NEAR(on_task.population, c.loss_least, 1e-12);
  EXPECT_NEAR(on_task.knowledge, c.k_p, 1e-12);
  EXPECT_NEAR(on_task.excess.total(), 0, 1e-12);
  EXPECT_NEAR(on_task.held_out, c.loss_least, 4 * on_task.held_out_error);
  EXPECT_THAT(on_task.exact, ElementsAre(true, true, true, true));
  EXPECT_EQ(on_task.columns[1].weights, instance.q[1].weights);
  const Evaluation on_samples = evaluate(draw_samples(instance, 9, 20000, arena), truth, arena);
  EXPECT_EQ(on_samples.samples, 20000u);
  EXPECT_NEAR(on_samples.held_out, c.loss_least, 4 * on_samples.held_out_error);
  EXPECT_NE(on_samples.held_out, on_task.held_out);
  EXPECT_NEAR(on_task.gain, c.loss_start - c.loss_least, 4 * on_task.gain_error);
  EXPECT_NEAR(on_samples.gain, c.loss_start - c.loss_least, 4 * on_samples.gain_error);
  const Evaluation nothing = evaluate(instance, initial_model(instance), 6400, 1, arena);
  EXPECT_NEAR(nothing.gain, 0, 1e-6);
  EXPECT_NEAR(nothing.gain_error, 0, 1e-6);
  EXPECT_THAT(on_samples.exact, IsEmpty());
  Model wrong = true_model(instance);
  std::swap(wrong.a(2, 0), wrong.a(2, instance.q[2].positions[0]));
  EXPECT_THAT(evaluate(instance, wrong, 0, 1, arena).exact, ElementsAre(true, true, false, true));
  Model everywhere = true_model(instance);
  for (std::size_t i = 0; i < everywhere.a.size(); ++i) everywhere.a.data()[i] += 1e-3;
  EXPECT_THAT(evaluate(instance, everywhere, 0, 1, arena).exact, ElementsAre(true, true, true, true));
}

TEST(Evaluate, OtherShapes) {
  const Arena arena(1);
  const Model model = initial_model(random_instance(3, 20, 2, 1));
  EXPECT_EQ(
      complaint([&] { evaluate(random_instance(3, 30, 2, 1), model, 0, 1, arena); }),
      "shape | model | V is 3 × 3 and A 3 × 20, but the task has 3 tokens and 30 positions | a model and its "
      "task have the same N and T");
  EXPECT_EQ(
      complaint([&] { evaluate(draw_samples(random_instance(4, 20, 2, 1), 1, 5, arena), model, arena); }),
      "shape | model | V is 3 × 3 and A 3 × 20, but the samples have 4 tokens and 20 positions | a model and "
      "its task have the same N and T");
}

}  // namespace
}  // namespace telos::bigram
