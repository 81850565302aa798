#include "telos/symmetry/token_kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/symmetry/enumeration.h"

namespace telos::symmetry {
namespace {

/// Spectra of the block with layer norm, softmax or relu attention and a relu layer, read at the mean.
Architecture mean_block() {
  Architecture a = preset("pre-ln-relu");
  a.readout = Readout::kMean;
  return a;
}

Spectrum block_spectrum(const Architecture& a, bool ntk = false) {
  return enumerated_spectrum(token_kernel(Kernel(a, 3, {.ntk = ntk})), {.vocabulary = 3, .length = 4},
                             Arena(1));
}

void expect_level(const Spectrum& s, const Partition& irrep, double eigenvalue, double multiplicity,
                  double tolerance) {
  const bool found = std::any_of(s.levels.begin(), s.levels.end(), [&](const Level& l) {
    return l.irrep == irrep && l.multiplicity == multiplicity &&
           std::abs(l.eigenvalue - eigenvalue) < tolerance;
  });
  EXPECT_TRUE(found) << to_text(irrep) << " " << eigenvalue << " × " << multiplicity;
}

TEST(TokenKernels, SpectrumOfABlock) {
  const Spectrum s = block_spectrum(mean_block());
  EXPECT_NEAR(s.trace, 0.573890866577, 1e-12);
  expect_level(s, {4}, 0.449393838892, 1, 1e-12);
  expect_level(s, {4}, 0.0605339367, 2, 1e-10);
  expect_level(s, {3, 1}, 0.00044054034509, 6, 1e-14);
  expect_level(s, {3, 1}, 4.12201312536e-05, 3, 1e-15);
  expect_level(s, {2, 2}, 3.90615680045e-06, 2, 1e-16);
  EXPECT_LT(std::abs(sector_trace(s, {2, 1, 1})), 1e-16)
      << "logits of queries that are keys are symmetric: what is antisymmetric in pairs is never learned";
}

TEST(TokenKernels, TangentSpectrumOfABlock) {
  const Spectrum s = block_spectrum(mean_block(), true);
  EXPECT_NEAR(s.trace, 1.83748831933, 1e-11);
  expect_level(s, {4}, 1.37113801272, 1, 1e-11);
  expect_level(s, {4}, 0.213627333288, 2, 1e-12);
  expect_level(s, {3, 1}, 0.00421612424972, 6, 1e-14);
}

TEST(TokenKernels, UntiedAttentionTellsPairsInOrder) {
  Architecture a = mean_block();
  a.blocks[0].attention->map = AttentionMap::kRelu;
  a.blocks[0].attention->scale = AttentionScale::kRoot;
  a.blocks[0].attention->average = AttentionAverage::kRoot;
  const Spectrum s = block_spectrum(a);
  EXPECT_NEAR(sector_trace(s, {4}), 0.513500637382, 1e-12);
  EXPECT_NEAR(sector_trace(s, {3, 1}), 0.0170805735896, 1e-13);
  EXPECT_NEAR(sector_trace(s, {2, 2}), 0.000399989018955, 1e-15);
  EXPECT_NEAR(sector_trace(s, {2, 1, 1}), 0.000209814043264, 1e-15);
}

TEST(TokenKernels, TwoLettersByBlocks) {
  const TokenKernel kernel = token_kernel(Kernel(mean_block(), 2));
  const Spectrum s = binary_spectrum(kernel, 6, {}, 6);
  expect_level(s, {6}, 0.537245706981, 1, 1e-12);
  expect_level(s, {6}, 0.0621857541134, 1, 1e-12);
  expect_level(s, {5, 1}, 0.000290435163821, 5, 1e-14);
  expect_level(s, {4, 2}, 1.14236549162e-06, 9, 1e-15);
  expect_level(s, {3, 3}, 1.31795922526e-08, 5, 1e-16);
  EXPECT_NEAR(s.trace, 0.6012080315359513, 1e-13);
}

TEST(TokenKernels, WithoutPositionsOnlyCountsAreLearned) {
  Architecture a = mean_block();
  a.embedding.positions = Positions::kNone;
  const Spectrum s = block_spectrum(a);
  EXPECT_NEAR(sector_trace(s, {4}), s.trace, 1e-14);
}

TEST(TokenKernels, TheTokenThatIsReadIsTheQuery) {
  for (const Readout readout : {Readout::kLast, Readout::kCls}) {
    Architecture a = preset("pre-ln-relu");
    a.readout = readout;
    ASSERT_TRUE(has_query(a));
    const TokenKernel kernel = token_kernel(Kernel(a, 3));
    const std::vector<std::uint32_t> x{0, 1, 2, 1}, y{2, 0, 0, 1}, gx{2, 1, 0, 1}, gy{0, 0, 2, 1};
    EXPECT_NEAR(kernel(x, y), kernel(gx, gy), 1e-14) << "the first three change places";
    const Spectrum s = enumerated_spectrum(kernel, {.vocabulary = 2, .length = 3, .queries = 1}, Arena(1));
    EXPECT_NEAR(s.known_trace(), s.trace, 1e-12);
    EXPECT_GT(sector_trace(s, {2, 1}), 0);
  }
  EXPECT_FALSE(has_query(mean_block()));
}

TEST(TokenKernels, WhatBreaksTheSymmetryIsNamed) {
  Architecture a = mean_block();
  a.embedding.positions = Positions::kSinusoidal;
  a.blocks[0].attention->causal = true;
  try {
    token_kernel(Kernel(a, 3));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUsage);
    EXPECT_THAT(e.message(), ::testing::HasSubstr("causal"));
    EXPECT_THAT(e.message(), ::testing::HasSubstr("sin"));
  }
}

}  // namespace
}  // namespace telos::symmetry
