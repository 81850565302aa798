// Permutations through a Beneš network: all of 2, 4 and 8 packets, random ones of up to 256.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/positional/compiler.h"
#include "tests/repeats.h"

namespace telos::positional {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Permutation = std::vector<std::size_t>;

/// Packets pushed through the stages, without a network.
Permutation route(const Matrix<double>& controls, std::size_t n) {
  Permutation at(n);  // packet in each place
  std::iota(at.begin(), at.end(), 0u);
  const std::vector<std::size_t> stages = benes_stages(n);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    Permutation next = at;
    for (std::size_t i = 0; i < n; ++i)
      if (controls(s, i) == 1) next[i] = at[i ^ (std::size_t{1} << stages[s])];
    at = next;
  }
  Permutation destination(n);
  for (std::size_t i = 0; i < n; ++i) destination[at[i]] = i;
  return destination;
}

/// A sample of the compiled network: each node's value, then its control bits.
void fill(double* row, const Matrix<double>& controls, const std::vector<double>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    *row++ = values[i];
    for (std::size_t s = 0; s < controls.rows(); ++s) *row++ = controls(s, i);
  }
}

std::vector<double> some_values(std::size_t n, std::uint64_t seed) {
  Random rng(seed);
  std::vector<double> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<float>(1024 * (2 * rng.uniform() - 1)));
  return out;
}

CompiledProgram benes(std::size_t n) {
  Builtin made = builtin("benes", {.n = n});
  made.options.proof_vectors = 8;
  return compile(made.program, made.options);
}

/// Runs permutations in float32 and float64; real values arrive bit by bit.
void expect_routed(const CompiledProgram& compiled, const std::vector<Permutation>& permutations) {
  const std::size_t n = compiled.program.n;
  Matrix<double> given(permutations.size(), n * compiled.program.given());
  const std::vector<double> values = some_values(n, 9);
  for (std::size_t s = 0; s < permutations.size(); ++s) {
    const Matrix<double> controls = benes_controls(permutations[s]);
    ASSERT_EQ(route(controls, n), permutations[s]);
    fill(given.row(s), controls, values);
  }
  for (const Execution execution : {Execution::kFloat, Execution::kDouble, Execution::kExactMinMax}) {
    const Matrix<double> y = execute(compiled, given, execution);
    for (std::size_t s = 0; s < permutations.size(); ++s)
      for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(y(s, permutations[s][i]), values[i]);
  }
}

TEST(Benes, GivenControls) {
  const Permutation destination = {3, 7, 0, 5, 1, 6, 2, 4};
  const Matrix<double> c = benes_controls(destination);
  const auto row = [&](std::size_t s) { return std::vector<double>(c.row(s), c.row(s) + 8); };
  ASSERT_EQ(c.rows(), 5u);
  EXPECT_THAT(row(0), ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
  EXPECT_THAT(row(1), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(row(2), ElementsAre(0, 1, 0, 1, 0, 1, 0, 1));
  EXPECT_THAT(row(3), ElementsAre(1, 0, 1, 0, 1, 1, 1, 1));
  EXPECT_THAT(row(4), ElementsAre(0, 0, 1, 1, 0, 0, 0, 0));
  EXPECT_THAT(benes_stages(8), ElementsAre(0, 1, 2, 1, 0));
  EXPECT_THAT(benes_stages(2), ElementsAre(0));
}

TEST(Benes, EveryPermutationOfTwoFourAndEight) {
  for (std::size_t n = 2; n <= repeats(8u, 4u); n *= 2) {
    const CompiledProgram compiled = benes(n);
    Permutation p(n);
    std::iota(p.begin(), p.end(), 0u);
    std::vector<Permutation> all;
    do all.push_back(p);
    while (std::next_permutation(p.begin(), p.end()));
    EXPECT_EQ(all.size(), n == 2 ? 2u : n == 4 ? 24u : 40320u);
    expect_routed(compiled, all);
  }
}

TEST(Benes, RandomPermutationsOfMore) {
  for (std::size_t n = 16; n <= repeats(256u, 64u); n *= 2) {
    const CompiledProgram compiled = benes(n);
    std::vector<Permutation> some;
    for (std::uint64_t sample = 0; sample < (n == 256 ? 4u : 20u); ++sample) {
      Random rng(5, 0, sample);
      Permutation p(n);
      std::iota(p.begin(), p.end(), 0u);
      for (std::size_t i = n; i > 1; --i) std::swap(p[i - 1], p[rng.below(static_cast<std::uint32_t>(i))]);
      some.push_back(std::move(p));
    }
    expect_routed(compiled, some);
  }
}

TEST(Benes, ControlsAreTheSameAtBothEnds) {
  Permutation p(64);
  for (std::size_t i = 0; i < 64; ++i) p[i] = (i * 37 + 11) % 64;
  const Matrix<double> c = benes_controls(p);
  const std::vector<std::size_t> stages = benes_stages(64);
  for (std::size_t s = 0; s < stages.size(); ++s)
    for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(c(s, i), c(s, i ^ (std::size_t{1} << stages[s])));
}

void expect_refused(const std::function<void()>& call, const std::string& message) {
  try {
    call();
    FAIL() << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), HasSubstr(message));
  }
}

TEST(Benes, BadPermutationsAndControls) {
  expect_refused([] { benes_controls(Permutation{0, 1, 2}); }, "3 places, expected a power of two");
  expect_refused([] { benes_controls(Permutation{}); }, "0 places");
  expect_refused([] { benes_controls(Permutation{0}); }, "1 places");
  expect_refused([] { benes_controls(Permutation{0, 2}); }, "packet 1 goes to 2, expected 0 to 1");
  expect_refused([] { benes_controls(Permutation{1, 1}); }, "two packets go to place 1");

  const CompiledProgram compiled = benes(2);
  Matrix<double> given(1, 4);
  fill(given.row(0), benes_controls(Permutation{1, 0}), {5, -7});
  EXPECT_EQ(execute(compiled, given)(0, 0), -7);
  given(0, 3) = 0.5;
  expect_refused([&] { execute(compiled, given); }, "sample 0, node 1, bit c0: expected 0 or 1");
  given(0, 3) = 1;
  given(0, 2) = 1024;
  EXPECT_EQ(execute(compiled, given, Execution::kFloat)(0, 0), 1024);
  given(0, 2) = 1025;
  expect_refused([&] { execute(compiled, given, Execution::kFloat); }, "beyond the bound 1024");
}

}  // namespace
}  // namespace telos::positional
