// Standard errors beside a law whose error is known.
#include <gtest/gtest.h>

#include <cmath>

#include "telos/symmetry/corpus.h"
#include "tests/symmetry/corpus_support.h"

namespace telos::symmetry {
namespace {

/// Σ_{b≠c} C_bc of one letter over windows that have it with probability 0.2, or with 0.8, at each position:
/// its value, and the standard deviation of one window's.
struct CoinMixture {
  static constexpr std::size_t kLength = 6;
  double sum = 0, deviation = 0;

  CoinMixture() {
    double mean = 0, square = 0;
    for (std::size_t n = 0; n <= kLength; ++n) {  // letters in a window
      double binomial = 1;
      for (std::size_t i = 0; i < n; ++i)
        binomial *= static_cast<double>(kLength - i) / static_cast<double>(i + 1);
      const double k = static_cast<double>(n), l = static_cast<double>(kLength);
      const double law =
          binomial * (std::pow(0.2, k) * std::pow(0.8, l - k) + std::pow(0.8, k) * std::pow(0.2, l - k)) / 2;
      const double y = (k - l / 2) * (k - l / 2) - l / 4;  // Σ_{b≠c} (x_b − ½)(x_c − ½)
      mean += law * y;
      square += law * y * y;
    }
    sum = mean;
    deviation = std::sqrt(square - mean * mean);
  }
  /// Of the total energy, where windows are split in half: Σ C_even C_odd = c Σ (C_even + C_odd) + …
  double error_of_total(std::size_t windows) const {
    const double pairs = static_cast<double>(kLength * (kLength - 1));
    return sum / pairs * deviation * std::sqrt(4 / static_cast<double>(windows));
  }
  static Text draw(std::size_t windows, std::uint64_t seed) {
    Random random(seed, 65);
    Text text;
    for (std::size_t n = 0; n < windows; ++n) {
      const double p = random.uniform() < 0.5 ? 0.2 : 0.8;
      for (std::size_t b = 0; b < kLength; ++b) text.push_back(random.uniform() < p ? 0 : 1);
    }
    return text;
  }
};

std::vector<WindowCounts> blocks_of(const Text& text, std::size_t blocks) {
  std::vector<WindowCounts> counts(blocks, WindowCounts(1, CoinMixture::kLength));
  const std::size_t each = text.size() / blocks;
  for (std::size_t g = 0; g < blocks; ++g) counts[g].add(std::span(text).subspan(g * each, each));
  return counts;
}

TEST(CorpusErrors, OfIndependentWindowsAreThoseOfTheClosedForm) {
  const CoinMixture law;
  const Arena arena(2);
  constexpr std::size_t kWindows = 40'000;
  const std::vector<WindowCounts> blocks = blocks_of(CoinMixture::draw(kWindows, 1), 200);
  const double known = law.error_of_total(kWindows);
  EXPECT_NEAR(estimate_blocks(blocks, arena).total.error / known, 1, 0.15);  // ± 1/√400
  const BlockEstimate e = estimate_blocks(blocks, arena, {.kind = Errors::kBootstrap, .resamples = 2000});
  EXPECT_NEAR(e.total.error / known, 1, 0.15);
  EXPECT_NEAR(e.total.value, law.sum * law.sum / 30, 4 * known);
}

TEST(CorpusErrors, OfFewBlocksAreWithoutBias) {
  // Of the n = 4 blocks of a half, resamples of n would have 3/4 of the variance.
  const CoinMixture law;
  const Arena arena(1);
  constexpr std::size_t kWindows = 1600, kTexts = 400;
  double jackknife = 0, bootstrap = 0;
  for (std::uint64_t seed = 0; seed < kTexts; ++seed) {
    const std::vector<WindowCounts> blocks = blocks_of(CoinMixture::draw(kWindows, 100 + seed), 8);
    const double a = estimate_blocks(blocks, arena).total.error;
    const double b =
        estimate_blocks(blocks, arena, {.kind = Errors::kBootstrap, .resamples = 200, .seed = seed})
            .total.error;
    jackknife += a * a / kTexts;
    bootstrap += b * b / kTexts;
  }
  const double known = law.error_of_total(kWindows) * law.error_of_total(kWindows);
  EXPECT_NEAR(bootstrap / known, 1, 0.12);
  EXPECT_NEAR(jackknife / known, 7.0 / 6,
              0.14);  // (G − 1)/(G − 2): n − 1 blocks are left of n, not G − 1 of G
}

TEST(CorpusErrors, OfTheBootstrapAreSeeded) {
  const Arena arena(2);
  const std::vector<WindowCounts> blocks = blocks_of(CoinMixture::draw(800, 2), 8);
  const auto error = [&](std::uint64_t seed) {
    return estimate_blocks(blocks, arena, {.kind = Errors::kBootstrap, .resamples = 50, .seed = seed})
        .total.error;
  };
  EXPECT_EQ(error(3), error(3));
  EXPECT_NE(error(3), error(4));
  const auto bootstrap = [&](std::size_t resamples) {
    return [&, resamples] {
      estimate_blocks(blocks, arena, {.kind = Errors::kBootstrap, .resamples = resamples});
    };
  };
  expect_error(bootstrap(9), ErrorKind::kUsage, "10 to 100000 resamples, found 9");
  expect_error(bootstrap(100'001), ErrorKind::kUsage, "found 100001");
}

}  // namespace
}  // namespace telos::symmetry
