#include "telos/base/philox.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace telos {
namespace {

using Block = std::array<std::uint32_t, 4>;

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  constexpr std::uint32_t ones = 0xffffffffu;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Block{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  EXPECT_EQ(philox4x32({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
            (Block{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

TEST(Random, IsAFunctionOfSeedStreamAndSample) {
  Random a(7, 1, 5), b(7, 1, 5), other_stream(7, 2, 5), other_sample(7, 1, 6), other_seed(8, 1, 5);
  for (int i = 0; i < 9; ++i) {
    const std::uint32_t x = a.bits();
    EXPECT_EQ(x, b.bits());
    EXPECT_NE(x, other_stream.bits());
    EXPECT_NE(x, other_sample.bits());
    EXPECT_NE(x, other_seed.bits());
  }
  // The layout of the counter is part of the contract: (block, sample lo, sample hi, stream).
  Random c(0x1234567890abcdefull, 3, 0x1122334455667788ull);
  const Block first = philox4x32({0, 0x55667788u, 0x11223344u, 3}, {0x90abcdefu, 0x12345678u});
  const Block second = philox4x32({1, 0x55667788u, 0x11223344u, 3}, {0x90abcdefu, 0x12345678u});
  for (const std::uint32_t x : first) EXPECT_EQ(c.bits(), x);
  for (const std::uint32_t x : second) EXPECT_EQ(c.bits(), x);
}

// Means and variances within five standard errors; the seed is fixed, so this cannot flicker.
TEST(Random, MomentsOfUniformAndNormal) {
  Random random(1);
  const int n = 200000;
  double sum = 0, sum2 = 0, low = 1, high = 0, g1 = 0, g2 = 0, g4 = 0;
  for (int i = 0; i < n; ++i) {
    const double u = random.uniform();
    sum += u, sum2 += u * u;
    low = std::fmin(low, u), high = std::fmax(high, u);
    const double g = random.normal();
    ASSERT_TRUE(std::isfinite(g));
    g1 += g, g2 += g * g, g4 += g * g * g * g;
  }
  EXPECT_GE(low, 0);
  EXPECT_LT(high, 1);
  const double root = std::sqrt(static_cast<double>(n));
  EXPECT_NEAR(sum / n, 0.5, 5 * std::sqrt(1.0 / 12) / root);
  EXPECT_NEAR(sum2 / n, 1.0 / 3, 5 * std::sqrt(4.0 / 45) / root);
  EXPECT_NEAR(g1 / n, 0, 5 / root);
  EXPECT_NEAR(g2 / n, 1, 5 * std::sqrt(2.0) / root);
  EXPECT_NEAR(g4 / n, 3, 5 * std::sqrt(96.0) / root);
}

TEST(Random, BelowIsUniform) {
  Random random(2);
  std::vector<int> count(7);
  const int n = 70000;
  for (int i = 0; i < n; ++i) ++count.at(random.below(7));
  double chi2 = 0;
  for (const int c : count) chi2 += (c - n / 7.0) * (c - n / 7.0) / (n / 7.0);
  EXPECT_LT(chi2, 22.5) << "99.9 % quantile of chi-squared with 6 degrees of freedom";
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace telos
