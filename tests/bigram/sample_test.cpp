#include "telos/bigram/sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "bigram/sample_kernel.h"
#include "reference/bigram_sample.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "tests/linalg/support.h"

namespace telos::bigram {
namespace {

namespace oracle = reference::bigram;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Matrix<double> from_rows(const oracle::Rows& rows) {
  Matrix<double> m(rows.size(), rows[0].size());
  for (std::size_t i = 0; i < m.rows(); ++i) std::ranges::copy(rows[i], m.row(i));
  return m;
}

Instance to_instance(const oracle::SampledTask& task) {
  Instance instance{from_rows(task.p), task.mu, {}, task.length};
  for (const auto& column : task.q) {
    SparseColumn& to = instance.q.emplace_back();
    for (const auto& [position, weight] : column) {
      to.positions.push_back(static_cast<std::uint32_t>(position));
      to.weights.push_back(weight);
    }
  }
  return instance;
}

/// Three tokens, four positions; P not reversible.
oracle::SampledTask small_task(std::size_t length = 4) {
  return {{{.6, .3, .2}, {.3, .5, .2}, {.1, .2, .6}},
          {16 / 41., 14 / 41., 11 / 41.},
          {{{0, .75}, {2, .25}}, {{1, .5}, {3, .5}}, {{2, .4}, {3, .6}}},
          length};
}
const oracle::Rows kV = {{.5, .2, .1}, {.1, .7, .3}, {.2, .1, .4}};
/// A row a last token.
const oracle::Rows kA = {{.4, .3, .1, .3}, {.1, .2, .6, .1}, {.2, -.1, .5, .2}};

Attention to_attention(const oracle::Rows& rows) {
  Attention a(rows.size(), rows[0].size());
  for (std::size_t i = 0; i < a.rows(); ++i)
    std::ranges::transform(rows[i], a.row(i), [](double x) { return static_cast<float>(x); });
  return a;
}

/// Positive numbers that sum to 1, some of them far smaller than others.
std::vector<double> random_law(std::size_t count, Random& random) {
  std::vector<double> law(count);
  double sum = 0;
  for (double& p : law) sum += p = std::pow(random.uniform(), 3) + 1e-4;
  for (double& p : law) p /= sum;
  return law;
}

/// mu need not be stationary for what is tested here.
oracle::SampledTask random_task(std::size_t tokens, std::size_t length, std::uint64_t seed) {
  Random random(seed);
  oracle::SampledTask task{
      oracle::Rows(tokens, std::vector<double>(tokens)), random_law(tokens, random), {}, length};
  for (std::size_t j = 0; j < tokens; ++j) {
    const std::vector<double> column = random_law(tokens, random);
    for (std::size_t i = 0; i < tokens; ++i) task.p[i][j] = column[i];
    const std::size_t first = random.below(static_cast<std::uint32_t>(length - 1));
    const double weight = random.uniform();
    task.q.push_back({{first, weight}, {length - 1, 1 - weight}});
  }
  return task;
}

oracle::Rows random_rows(std::size_t rows, std::size_t cols, double scale, std::uint64_t seed) {
  Random random(seed);
  oracle::Rows result(rows, std::vector<double>(cols));
  for (auto& row : result)  // of floats, so that the reference sees the same numbers
    for (double& x : row) x = static_cast<double>(static_cast<float>(scale * random.normal()));
  return result;
}

std::vector<oracle::DrawnSample> draw_all(const oracle::SampledTask& task, std::uint64_t seed,
                                          std::size_t batch, std::uint64_t first = 0) {
  std::vector<oracle::DrawnSample> samples;
  for (std::size_t s = 0; s < batch; ++s) samples.push_back(oracle::draw(task, seed, 1, first + s));
  return samples;
}

TEST(SampleContract, PrintedSamples) {
  const Instance instance = to_instance(small_task());
  EXPECT_THAT(thresholds(instance.mu), ElementsAre(1676084798u, 3142658997u));
  const Sampler sampler(instance, 42);
  const std::array<Sample, 8> expected = {{{{0, 0, 0, 2}, 1, 1, 0},
                                           {{0, 0, 0, 2}, 2, 3, 2},
                                           {{0, 2, 0, 2}, 0, 0, 1},
                                           {{1, 0, 2, 0}, 2, 2, 1},
                                           {{1, 2, 2, 1}, 2, 3, 1},
                                           {{0, 1, 1, 1}, 1, 3, 1},
                                           {{1, 1, 0, 0}, 1, 3, 1},
                                           {{2, 0, 1, 0}, 0, 0, 1}}};
  for (std::size_t s = 0; s < expected.size(); ++s) {
    const Sample drawn = sampler.draw(Stream::kTrain, s);
    EXPECT_EQ(drawn.tokens, expected[s].tokens) << s;
    EXPECT_EQ(drawn.last, expected[s].last) << s;
    EXPECT_EQ(drawn.attended, expected[s].attended) << s;
    EXPECT_EQ(drawn.output, expected[s].output) << s;
  }
  EXPECT_THAT(Sampler(to_instance(small_task(40)), 42).draw(Stream::kTrain, 0).tokens,
              ElementsAre(0, 0, 0, 2, 1, 0, 1, 2, 1, 0, 1, 1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 1, 0, 2, 1, 0, 1,
                          0, 0, 2, 2, 2, 1, 1, 1, 1, 2, 2, 2));
}

TEST(SampleContract, ThresholdsAtTheEdges) {
  EXPECT_TRUE(thresholds(std::vector<double>{1}).empty());
  EXPECT_THAT(thresholds(std::vector<double>{1e-12, 1 - 1e-12}), ElementsAre(0u));
  EXPECT_THAT(thresholds(std::vector<double>{.5, .5, 1e-12}), ElementsAre(0x80000000u, 0xFFFFFFFFu));
}

/// Laws whose thresholds are the very words that come, and the words after them.
TEST(SampleContract, WordsAtThresholds) {
  for (const std::size_t tokens : {2, 8, 9}) {
    oracle::SampledTask task = random_task(tokens, 32, 1);
    for (const double more : {0., 1.}) {
      const double word = oracle::philox({0, 0, 0, 1}, {3, 0})[0];
      std::ranges::fill(task.mu, (1 - (word + more) * 0x1p-32) / static_cast<double>(tokens - 1));
      task.mu[0] = (word + more) * 0x1p-32;
      const Sampler sampler(to_instance(task), 3);
      test::for_each_target([&] {
        const Sample drawn = sampler.draw(Stream::kTrain, 0);
        EXPECT_EQ(drawn.tokens[0], more == 0 ? 1 : 0);
      });
    }
  }
}

TEST(SampleContract, EveryTokenOnEveryTarget) {
  std::vector<oracle::SampledTask> tasks;
  for (const std::size_t tokens : {2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 64, 300})
    tasks.push_back(random_task(tokens, 64 + 7 * (tokens % 5), tokens));
  // Most thresholds in a few cells of the table.
  oracle::SampledTask crowded = random_task(40, 3000, 1);
  for (std::size_t i = 0; i < 39; ++i) crowded.mu[i] = i == 20 ? .5 : 1e-4;
  crowded.mu[39] = 1 - .5 - 38e-4;
  tasks.push_back(crowded);
  constexpr std::uint64_t kSeed = 0x123456789ABCDEFull, kSample = 0xFEDCBA9876543210ull;
  for (const oracle::SampledTask& task : tasks) {
    SCOPED_TRACE(std::to_string(task.mu.size()) + " tokens");
    const oracle::DrawnSample expected = oracle::draw(task, kSeed, 1, kSample);
    const Sampler sampler(to_instance(task), kSeed);
    test::for_each_target([&] {
      const Sample drawn = sampler.draw(Stream::kTrain, kSample);
      EXPECT_TRUE(std::ranges::equal(drawn.tokens, expected.tokens));
      EXPECT_EQ(drawn.last, expected.last);
      EXPECT_EQ(drawn.attended, expected.attended);
      EXPECT_EQ(drawn.output, expected.output);
    });
    const std::vector<std::uint32_t> positions = {5, 0, static_cast<std::uint32_t>(task.length - 1)};
    std::vector<std::uint16_t> some(positions.size());
    sampler.draw_tokens_at(Stream::kTrain, kSample, positions, some);
    for (std::size_t i = 0; i < some.size(); ++i) EXPECT_EQ(some[i], expected.tokens[positions[i]]);
  }
}

TEST(SampleContract, WordsOfTheGenerator) {
  const kernel::Source source{0xABCDEF0123456789ull, 3, 0x1122334455667788ull};
  std::vector<std::uint32_t> words(3 * kernel::kBlock);
  test::for_each_target([&] {
    kernel::random_words(source, 7, 3, words.data());
    for (std::size_t t = 0; t < words.size(); ++t) {
      const auto call = static_cast<std::uint32_t>(8 * (7 + t / 32) + t % 8);
      EXPECT_EQ(words[t],
                oracle::philox({call, 0x55667788u, 0x11223344u, 3}, {0x23456789u, 0xABCDEF01u})[t % 32 / 8]);
    }
  });
}

TEST(SampleContract, Frequencies) {
  constexpr std::size_t kSamples = 20000;
  const oracle::SampledTask task = small_task();
  const Sampler sampler(to_instance(task), 7);
  std::array<double, 3> tokens{}, last{}, output{};
  // By (k, t, x_t, o).
  std::vector<double> counts(3 * 4 * 3 * 3);
  for (std::size_t s = 0; s < kSamples; ++s) {
    const Sample drawn = sampler.draw(Stream::kHeldOut, s);
    ++last[drawn.last];
    ++output[drawn.output];
    for (std::size_t t = 0; t < 4; ++t) {
      ++tokens[drawn.tokens[t]];
      ++counts[((drawn.last * 4 + t) * 3 + drawn.tokens[t]) * 3 + drawn.output];
    }
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const double mu = task.mu[i], sigma = std::sqrt(kSamples * mu * (1 - mu));
    EXPECT_NEAR(last[i], kSamples * mu, 4 * sigma);
    EXPECT_NEAR(output[i], kSamples * mu, 4 * sigma);
    EXPECT_NEAR(tokens[i], 4 * kSamples * mu, 4 * 2 * sigma);
  }
  // Pr(k, x_t = j, o = i) = mu_k mu_j (q_t P_ij + (1 − q_t) mu_i); χ² with 26 degrees of freedom at each t.
  for (std::size_t t = 0; t < 4; ++t) {
    double chi_squared = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      double weight = 0;
      for (const auto& [position, w] : task.q[k])
        if (position == t) weight = w;
      for (std::size_t j = 0; j < 3; ++j)
        for (std::size_t i = 0; i < 3; ++i) {
          const double expected =
              kSamples * task.mu[k] * task.mu[j] * (weight * task.p[i][j] + (1 - weight) * task.mu[i]);
          const double difference = counts[((k * 4 + t) * 3 + j) * 3 + i] - expected;
          chi_squared += difference * difference / expected;
        }
    }
    EXPECT_LT(chi_squared, 54.05);  // probability 0.001
  }
}

TEST(BatchGradient, PrintedBatch) {
  const Arena arena(1);
  const Sampler sampler(to_instance(small_task()), 42);
  BatchGradient gradient(sampler, 8, arena);
  BatchSums sums;
  gradient.run(Stream::kTrain, 0, from_rows(kV), to_attention(kA), sums);
  EXPECT_NEAR(sums.loss / 8, .286475, 5e-8);
  const oracle::Rows v = {{.050125, .05525, .05725}, {-.158125, -.124375, -.1645}, {.027, .038375, .04775}};
  const oracle::Rows a = {{.009125, .012375, -.03475, .012375},
                          {-.06475, -.10175, -.03025, .00525},
                          {-.10025, -.0035, -.022, -.0725}};
  for (std::size_t k = 0; k < 3; ++k) {
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(sums.v(k, j) / 8, v[k][j], 5e-8);
    for (std::size_t t = 0; t < 4; ++t) EXPECT_NEAR(sums.a(k, t) / 8, a[k][t], 5e-8);
  }
  EXPECT_THAT(sums.count, ElementsAre(2, 3, 3));
}

TEST(BatchGradient, OneGivenSample) {
  const Arena arena(1);
  const Sampler sampler(to_instance(small_task()), 42);
  BatchGradient gradient(sampler, 1, arena);
  BatchSums sums;
  const std::vector<std::uint16_t> tokens = {2, 0, 1, 0}, last = {1}, output = {2};
  gradient.run(tokens, last, output, from_rows(kV), to_attention(kA), sums);
  EXPECT_NEAR(sums.loss, .5072, 1e-7);
  const oracle::Rows v = {{.084, .168, .028}, {.144, .288, .048}, {-.252, -.504, -.084}};
  const std::vector<double> a = {-.164, .02, .308, .02};
  for (std::size_t k = 0; k < 3; ++k) {
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(sums.v(k, j), v[k][j], 1e-7);
    for (std::size_t t = 0; t < 4; ++t) EXPECT_NEAR(sums.a(k, t), k == 1 ? a[t] : 0, 1e-7);
  }
  EXPECT_THAT(sums.count, ElementsAre(0, 1, 0));
}

/// ‖found − expected‖ / ‖expected‖.
double relative_error(const oracle::Rows& expected, const auto& found) {
  double squares = 0, all = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (std::size_t j = 0; j < expected[i].size(); ++j) {
      squares += std::pow(expected[i][j] - static_cast<double>(found(i, j)), 2);
      all += std::pow(expected[i][j], 2);
    }
  return std::sqrt(squares / all);
}

struct Size {
  std::size_t tokens, length, batch;
};
constexpr Size kSizes[] = {{2, 40, 3},   {3, 1100, 200}, {5, 77, 64},   {8, 300, 130},
                           {9, 333, 65}, {16, 90, 70},   {64, 250, 150}};

TEST(BatchGradient, TheDenseReference) {
  const Arena arena(2);
  for (const Size& size : kSizes) {
    SCOPED_TRACE(std::to_string(size.tokens) + " tokens");
    const oracle::SampledTask task = random_task(size.tokens, size.length, 5 + size.tokens);
    const oracle::Rows v = random_rows(size.tokens, size.tokens, .5, 1),
                       a = random_rows(size.tokens, size.length, .1, 2);
    const oracle::SampleGradient expected = oracle::gradient(draw_all(task, 11, size.batch, 1000), v, a);
    const Sampler sampler(to_instance(task), 11);
    BatchGradient gradient(sampler, size.batch, arena);
    BatchSums sums;
    gradient.run(Stream::kTrain, 1000, from_rows(v), to_attention(a), sums);
    EXPECT_NEAR(sums.loss, expected.loss, 1e-5 * expected.loss);
    EXPECT_LT(relative_error(expected.v, sums.v), 1e-5);
    EXPECT_LT(relative_error(expected.a, sums.a), 1e-5);
  }
}

template <class T>
bool same_bytes(const Matrix<T>& x, const Matrix<T>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
}

TEST(BatchGradient, SameBytesForThreadsAndTargetsAndGivenSamples) {
  for (const Size& size : kSizes) {
    SCOPED_TRACE(std::to_string(size.tokens) + " tokens");
    const oracle::SampledTask task = random_task(size.tokens, size.length, 5 + size.tokens);
    const Matrix<double> v = from_rows(random_rows(size.tokens, size.tokens, .5, 1));
    const Attention a = to_attention(random_rows(size.tokens, size.length, .1, 2));
    const Sampler sampler(to_instance(task), 11);
    BatchSums expected;
    const auto expect_same = [&](const BatchSums& sums) {
      EXPECT_TRUE(test::same_bits(sums.loss, expected.loss));
      EXPECT_TRUE(same_bytes(sums.v, expected.v));
      EXPECT_TRUE(same_bytes(sums.a, expected.a));
      EXPECT_EQ(sums.count, expected.count);
    };
    {
      const Arena arena(1);
      BatchGradient gradient(sampler, size.batch, arena);
      gradient.run(Stream::kRefit, 0, v, a, expected);
      std::vector<std::uint16_t> tokens, last, output;
      for (std::size_t s = 0; s < size.batch; ++s) {
        const Sample drawn = sampler.draw(Stream::kRefit, s);
        tokens.insert(tokens.end(), drawn.tokens.begin(), drawn.tokens.end());
        last.push_back(drawn.last);
        output.push_back(drawn.output);
      }
      BatchSums sums;
      gradient.run(tokens, last, output, v, a, sums);
      expect_same(sums);
      // V's part alone leaves A's alone.
      sums.a(0, 0) = 123;
      gradient.run(Stream::kRefit, 0, v, a, sums, false);
      EXPECT_EQ(sums.a(0, 0), 123);
      EXPECT_TRUE(same_bytes(sums.v, expected.v));
    }
    for (const int threads : {1, 2, 7}) {
      const Arena arena(threads);
      BatchGradient gradient(sampler, size.batch, arena);
      BatchSums sums;
      test::for_each_target([&] {
        gradient.run(Stream::kRefit, 0, v, a, sums);
        expect_same(sums);
      });
    }
  }
}

/// Error message of f().
template <class F>
std::string complaint(F&& f, ErrorKind kind) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  return "no error";
}

TEST(BatchGradient, Complaints) {
  const Arena arena(1);
  const Sampler sampler(to_instance(small_task()), 42);
  EXPECT_EQ(complaint([&] { BatchGradient(sampler, 0, arena); }, ErrorKind::kUsage),
            "BatchGradient: a batch of 0 samples");
  BatchGradient gradient(sampler, 2, arena);
  BatchSums sums;
  const Matrix<double> v = from_rows(kV);
  const Attention a = to_attention(kA);
  EXPECT_EQ(
      complaint([&] { gradient.run(Stream::kTrain, 0, Matrix<double>(3, 2), a, sums); }, ErrorKind::kShape),
      "BatchGradient: V is 3 x 2, expected 3 x 3");
  EXPECT_EQ(complaint([&] { gradient.run(Stream::kTrain, 0, v, Attention(4, 3), sums); }, ErrorKind::kShape),
            "BatchGradient: A is 4 x 3, expected 3 x 4");
  const std::vector<std::uint16_t> tokens = {0, 1, 2, 0, 0, 1, 3, 0}, two = {1, 2}, bad = {1, 7};
  EXPECT_EQ(complaint([&] { gradient.run(tokens, two, two, v, a, sums); }, ErrorKind::kUsage),
            "BatchGradient: a token of sample 1 is 3, but there are 3 tokens");
  const std::vector<std::uint16_t> good(8);
  EXPECT_EQ(complaint([&] { gradient.run(good, bad, two, v, a, sums); }, ErrorKind::kUsage),
            "BatchGradient: the last token of sample 1 is 7, but there are 3 tokens");
  EXPECT_EQ(complaint([&] { gradient.run(good, two, bad, v, a, sums); }, ErrorKind::kUsage),
            "BatchGradient: the output of sample 1 is 7, but there are 3 tokens");
  EXPECT_EQ(
      complaint([&] { gradient.run(good, two, std::span(two).first(1), v, a, sums); }, ErrorKind::kShape),
      "BatchGradient: output has 1 elements, expected 2");
  EXPECT_EQ(
      complaint([&] { gradient.run(std::span(good).first(7), two, two, v, a, sums); }, ErrorKind::kShape),
      "BatchGradient: tokens has 7 elements, expected 8");
  std::vector<std::uint16_t> short_row(3);
  EXPECT_EQ(complaint([&] { sampler.draw_tokens(Stream::kTrain, 0, short_row); }, ErrorKind::kShape),
            "draw_tokens: tokens has 3 elements, expected 4");
  oracle::SampledTask endless = small_task();
  endless.length = std::size_t{1} << 50;
  const Sampler unbounded(to_instance(endless), 1);
  EXPECT_THAT(complaint([&] { BatchGradient(unbounded, 1, arena); }, ErrorKind::kLimit), HasSubstr("memory"));
}

}  // namespace
}  // namespace telos::bigram
