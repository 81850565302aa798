#include "telos/symmetry/laws.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "learning_checks.h"
#include "telos/symmetry/sequence_target.h"

namespace telos::symmetry {
namespace {

using namespace checks;
namespace slow = reference::symmetry;

constexpr std::size_t kLength = 4;
constexpr std::uint32_t kLetters = 3;

std::vector<Law> all_laws() {
  std::vector<Law> laws;
  for (const char* text : {"iid", "polya:0.7", "hmm:2", "mixture:3,2", "hmm-sticky:0.8,3", "hmm-sticky:1,3"})
    laws.push_back(Law::parse(text, kLetters, 5, "--law"));
  return laws;
}

LinearFunction random_function(std::size_t length, std::uint32_t letters, std::uint64_t seed) {
  return {0.3, random_normals(length, letters, seed)};
}

TEST(Laws, ProbabilitiesSumToOneAndGiveMoments) {
  const LinearFunction f = random_function(kLength, kLetters, 1), g = random_function(kLength, kLetters, 2);
  for (const Law& law : all_laws()) {
    double total = 0, mean = 0, inner = 0;
    slow::for_each_sequence(kLength, kLetters, [&](const slow::Sequence& x) {
      const double p = std::exp(law.log_probability(x));
      total += p;
      mean += p * f(x);
      inner += p * f(x) * g(x);
    });
    EXPECT_NEAR(total, 1, 1e-12) << law.name();
    EXPECT_NEAR(law.mean(f), mean, 1e-12) << law.name();
    EXPECT_NEAR(law.inner(f, g), inner, 1e-12) << law.name();
  }
}

TEST(Laws, AChainIsTheSumOverItsPaths) {
  Random random(3);
  const Hmm h = Law::random_hmm(2, kLetters, random);
  const auto rows = [](const std::vector<double>& v, std::size_t cols) {
    slow::Rows out;
    for (std::size_t i = 0; i < v.size(); i += cols)
      out.emplace_back(v.begin() + static_cast<long>(i), v.begin() + static_cast<long>(i + cols));
    return out;
  };
  const Law law = Law::mixture({h});
  slow::for_each_sequence(kLength, kLetters, [&](const slow::Sequence& x) {
    EXPECT_NEAR(std::exp(law.log_probability(x)),
                slow::path_sum(h.start, rows(h.transition, 2), rows(h.emission, kLetters), x), 1e-14);
  });
}

TEST(Laws, WhatFollowsIsTheRatioOfProbabilities) {
  const std::vector<std::uint32_t> x = {0, 2, 2};
  for (const Law& law : all_laws()) {
    const std::vector<double> next = law.next(x);
    for (std::uint32_t v = 0; v < kLetters; ++v) {
      const std::vector<std::uint32_t> longer = {0, 2, 2, v};
      EXPECT_NEAR(next[v], std::exp(law.log_probability(longer) - law.log_probability(x)), 1e-12)
          << law.name();
    }
  }
}

TEST(Laws, DrawsFollowTheProbabilities) {
  const Arena arena(2), single(1);
  const std::size_t n = 40'000;
  for (const Law& law : all_laws()) {
    const Matrix<std::uint32_t> x = law.draw(n, kLength, 9, 1, 0, arena);
    const Matrix<std::uint32_t> again = law.draw(n, kLength, 9, 1, 0, single);
    EXPECT_TRUE(std::equal(x.data(), x.data() + x.size(), again.data()));
    std::map<slow::Sequence, double> seen;
    for (std::size_t i = 0; i < n; ++i) seen[sequence_of(x, i)] += 1.0 / static_cast<double>(n);
    double chi = 0, cells = 0;
    slow::for_each_sequence(kLength, kLetters, [&](const slow::Sequence& s) {
      const double p = std::exp(law.log_probability(s));
      if (p * static_cast<double>(n) < 5) return;
      chi += static_cast<double>(n) * (seen[s] - p) * (seen[s] - p) / p;
      ++cells;
    });
    EXPECT_LT(std::abs(chi - cells) / std::sqrt(2 * cells), 5) << law.name();
  }
}

TEST(Laws, SayWhetherOrderMatters) {
  for (const Law& law : all_laws()) {
    double largest = 0;
    slow::for_each_sequence(kLength, kLetters, [&](slow::Sequence x) {
      const double p = law.log_probability(x);
      std::sort(x.begin(), x.end());
      largest = std::max(largest, std::abs(std::exp(law.log_probability(x)) - std::exp(p)));
    });
    EXPECT_EQ(law.exchangeable(), largest < 1e-14) << law.name();
  }
  EXPECT_TRUE(Law::parse("hmm-sticky:0.25,4", 3, 1, "").exchangeable());  // stay = 1/M
  EXPECT_NEAR(Law::polya(1, 3).exchange_correlation(), 0.25, 1e-15);
  EXPECT_EQ(Law::iid(3).exchange_correlation(), 0);
}

TEST(Laws, RefuseWhatTheyDoNotKnow) {
  for (const char* text : {"", "zipf", "polya", "polya:x", "polya:1,2", "iid:3", "hmm", "hmm:2.5",
                           "mixture:3", "mixture:0,2", "hmm-sticky:", "hmm-sticky:.5,2,3", "mixture:1e9,2"})
    expect_error([&] { Law::parse(text, 3, 1, "--law"); }, ErrorKind::kUsage, "one of iid, polya:ALPHA");
  expect_error([] { Law::parse("polya:-1", 3, 1, ""); }, ErrorKind::kUsage, "found -1");
  expect_error([] { Law::parse("polya:0", 3, 1, ""); }, ErrorKind::kUsage, "1e-9 to 1e9");
  expect_error([] { Law::parse("polya:1e308", 3, 1, ""); }, ErrorKind::kUsage, "1e-9 to 1e9");
  expect_error([] { Law::parse("hmm-sticky:1.5", 3, 1, ""); }, ErrorKind::kUsage, "found 1.5");
  expect_error([] { Law::parse("hmm:0", 3, 1, ""); }, ErrorKind::kUsage, "found 0");
  expect_error([] { Law::parse("iid", 0, 1, ""); }, ErrorKind::kUsage, "found 0");
  expect_error([] { Law::mixture({}); }, ErrorKind::kUsage, "found 0");
  expect_error([] { Law::mixture({{1, 2, {1}, {1}, {0.5, 0.4}}}); }, ErrorKind::kUsage, "sums to 0.9");
  expect_error([] { Law::mixture({{1, 2, {1}, {1}, {0.5}}}); }, ErrorKind::kUsage, "expected 1 × 2");
  expect_error([] { Law::parse("hmm:none.json", 3, 1, ""); }, ErrorKind::kMissingFile, "none.json");
}

TEST(Laws, AreReadFromAFile) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "telos_laws_test.json";
  std::ofstream(path) << R"({"start": [1, 0], "transition": [[0, 1], [1, 0]], "emission": [[1, 0], [0, 1]]})";
  const Law law = Law::parse("hmm:" + path.string(), 2, 1, "--law");
  EXPECT_EQ(law.log_probability(std::vector<std::uint32_t>{0, 1, 0, 1}), 0);
  EXPECT_FALSE(law.exchangeable());
  std::ofstream(path) << R"({"start": "x"})";
  expect_error([&] { Law::parse("hmm:" + path.string(), 2, 1, ""); }, ErrorKind::kBadFormat, "expected {");
  std::filesystem::remove(path);
}

TEST(Targets, AreWhatTheySay) {
  const std::vector<std::uint32_t> x = {0, 2, 2, 1};
  const Law law = Law::polya(0.5, kLetters);
  const auto values = [&](const char* text) {
    const SequenceTarget target = SequenceTarget::parse(text, law, kLength, "--target");
    std::vector<double> v(target.outputs());
    target.evaluate(x, v);
    return v;
  };
  EXPECT_THAT(values("copy:1"),
              ::testing::Pointwise(::testing::DoubleNear(1e-14), {-1. / 3, -1. / 3, 2. / 3}));
  EXPECT_THAT(values("copy:1,2"), ::testing::Pointwise(::testing::DoubleNear(1e-14), {2. / 3}));
  EXPECT_THAT(values("count:2"), ::testing::Pointwise(::testing::DoubleNear(1e-14), {2 - 4. / 3}));
  EXPECT_THAT(values("bigram:2,2"), ::testing::Pointwise(::testing::DoubleNear(1e-14), {1 - 3. / 9}));
  const std::vector<double> next = law.next(x), clean = values("next");
  for (std::size_t v = 0; v < kLetters; ++v) EXPECT_NEAR(clean[v], next[v] - 1. / 3, 1e-14);
  for (const char* text : {"copy", "copy:1,2,3", "copy:x", "majority", "count:", "bigram:1", "next:2"})
    EXPECT_THROW(values(text), Error) << text;
  expect_error([&] { values("copy:4"); }, ErrorKind::kUsage, "position 4, expected one below 4");
  expect_error([&] { values("count:3"); }, ErrorKind::kUsage, "letter 3");
  expect_error([&] { SequenceTarget::bigram(0, 0, 1, 3); }, ErrorKind::kUsage, "2 positions");
}

TEST(Targets, LabelsOfTheNextLetterHaveTheRightMean) {
  const std::vector<std::uint32_t> x = {0, 2, 2, 1};
  const Law law = Law::parse("hmm:3", kLetters, 2, "");
  const SequenceTarget target = SequenceTarget::next(law, kLength);
  EXPECT_TRUE(target.functions().empty());
  Random random(1);
  std::vector<double> sum(kLetters), label(kLetters), clean(kLetters);
  target.evaluate(x, clean);
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    target.draw_labels(x, random, label);
    for (std::size_t v = 0; v < kLetters; ++v) sum[v] += label[v] / kDraws;
  }
  for (std::size_t v = 0; v < kLetters; ++v) EXPECT_NEAR(sum[v], clean[v], 4 * 0.5 / std::sqrt(kDraws));
}

}  // namespace
}  // namespace telos::symmetry
