// Softmax at 1/√d: its logits are random, and kernels are means over samples of them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "reference/symmetry_kernel.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/symmetry/gram.h"
#include "tests/repeats.h"
#include "tests/symmetry/kernel_support.h"

namespace telos::symmetry {
namespace {

namespace slow = reference::kernel;
using checks::Sequence;

/// `layers` blocks, all of whose attention is softmax at 1/√d.
Architecture random_logits(std::size_t layers) {
  Architecture a = preset("sqrt-softmax");
  a.blocks.resize(layers, a.blocks[0]);
  return a;
}

/// One layer, read at one position, without anything else.
Architecture bare_attention(Readout readout) {
  Architecture a = random_logits(1);
  a.blocks[0].norm = NormPlace::kNone;
  a.blocks[0].residual = false;
  a.blocks[0].mlp = {};
  a.final_norm = false;
  a.readout = readout;
  return a;
}

/// (found − known)/error of each, of values that differ.
struct Deviations {
  double largest = 0, squares = 0, count = 0;
  void add(double found, double known, double error, const std::string& what) {
    ASSERT_TRUE(std::isfinite(found) && std::isfinite(error)) << what;
    if (std::abs(found - known) < 1e-10 * (1 + std::abs(known))) return;  // the samples cancel
    EXPECT_GT(error, 0) << what;
    const double z = (found - known) / error;
    EXPECT_LT(std::abs(z), 5.5) << what << ": " << found << ", known " << known << " ± " << error;
    squares += z * z;
    ++count;
  }
  double root_mean() const { return std::sqrt(squares / count); }
};

/// One to three layers, masks, ALiBi, positions, norms: the slow version integrates, over at most two tokens.
TEST(SymmetrySoftmax, IsTheIntegral) {
  Random random(1, 72);
  Deviations nngp, ntk;
  for (int i = 0; i < 40; ++i) {
    Architecture a = checks::random_architecture(random);
    for (TransformerBlock& b : a.blocks)
      if (b.attention) {
        b.attention->map = AttentionMap::kSoftmax;
        b.attention->rope = {};
        if (random.below(3) > 0) b.attention->scale = AttentionScale::kRoot;
        b.attention->alibi = random.below(2) == 0 ? 0 : 0.4;
      }
    const Sequence x = checks::random_sequence(random, 1 + random.below(2), 3),
                   y = checks::random_sequence(random, 2, 3);
    const KernelValue found = Kernel(
        a, 3, {.ntk = true, .samples = repeats(4000u, 400u), .seed = static_cast<std::uint64_t>(i)})(x, y);
    const slow::Value known = slow::evaluate(checks::as_slow(a), x, y);
    const std::string what = std::to_string(i) + ": " + describe(a);
    nngp.add(found.nngp, known.nngp, found.error, what);
    ntk.add(found.ntk, known.ntk, found.ntk_error, what);
  }
  EXPECT_GT(nngp.count, 15);
  EXPECT_NEAR(nngp.root_mean(), 1, 0.5);
  EXPECT_NEAR(ntk.root_mean(), 1, 0.5);
}

/// The derivatives of softmax as a matrix, and logits drawn another way, of three tokens.
TEST(SymmetrySoftmax, TangentKernelOfThreeTokens) {
  const Sequence x = {0, 1, 2}, y = {2, 1, 1};
  for (const bool causal : {false, true}) {
    Architecture a = bare_attention(Readout::kLast);
    AttentionLayer& m = *a.blocks[0].attention;
    m.causal = causal;
    m.alibi = causal ? 0.3 : 0;
    m.position = causal ? 0.4 : 0;  // of queries and keys, so that values differ from them
    m.average = causal ? AttentionAverage::kRoot : AttentionAverage::kNone;
    m.logit = 1.5;
    m.bias = 0.1;
    const slow::SampledBlocks known = slow::sampled_attention(checks::as_slow(a), x, y, 20000, 1);
    for (const bool last : {false, true}) {
      a.readout = last ? Readout::kLast : Readout::kCls;
      const std::size_t at = last ? 2 : 0;
      const KernelValue found = Kernel(a, 3, {.ntk = true, .samples = 20000})(x, y);
      const double k = known.mean.k[at][at], theta = known.mean.theta[at][at];
      EXPECT_NEAR(found.nngp, k, 5 * std::hypot(found.error, known.error.k[at][at])) << causal << last;
      EXPECT_NEAR(found.ntk, theta + k,
                  5 * std::hypot(found.ntk_error, known.error.theta[at][at] + known.error.k[at][at]))
          << causal << last;
    }
  }
}

/// With q k → 0 attention is uniform at either scale, and there is nothing to sample.
TEST(SymmetrySoftmax, OfLogitsZero) {
  Random random(2, 72);
  for (int i = 0; i < 30; ++i) {
    Architecture a = checks::random_architecture(random);
    for (TransformerBlock& b : a.blocks)
      if (b.attention) {
        b.attention->map = AttentionMap::kSoftmax;
        b.attention->scale = AttentionScale::kRoot;
        b.attention->logit = 0;
        b.attention->rope = {};
      }
    Architecture fixed = a;
    for (TransformerBlock& b : fixed.blocks)
      if (b.attention) b.attention->scale = AttentionScale::kDimension;
    const Sequence x = checks::random_sequence(random, 4, 3), y = checks::random_sequence(random, 3, 3);
    const KernelValue found = Kernel(a, 3, {.ntk = true, .samples = 80})(x, y),
                      known = Kernel(fixed, 3, {.ntk = true})(x, y);
    EXPECT_NEAR(found.nngp, known.nngp, 1e-12 * (1 + std::abs(known.nngp))) << i << ": " << describe(a);
    EXPECT_NEAR(found.ntk, known.ntk, 1e-12 * (1 + std::abs(known.ntk))) << i << ": " << describe(a);
    EXPECT_LT(found.ntk_error, 1e-12 * (1 + std::abs(known.ntk)));
  }
}

/// Of one layer and of three: the spread over seeds, and what is reported.
TEST(SymmetrySoftmax, ErrorsAreThoseThatAreThereAndFallAsTheRootOfTheSamples) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const Sequence x = {0, 1, 2, 0}, y = {2, 1, 1, 3};
  for (const std::size_t layers : {1u, 3u}) {
    Architecture a = random_logits(layers);
    a.readout = Readout::kMean;
    const auto spread = [&](std::size_t samples, int seeds, KernelValue& reported) {
      KernelValue sum, squares;
      reported = {};
      reported.ntk = 0;
      sum.ntk = squares.ntk = 0;
      for (int seed = 1; seed <= seeds; ++seed) {
        const KernelValue v =
            Kernel(a, 4, {.ntk = true, .samples = samples, .seed = static_cast<std::uint64_t>(seed)})(x, y);
        sum.nngp += v.nngp / seeds, squares.nngp += v.nngp * v.nngp / seeds;
        sum.ntk += v.ntk / seeds, squares.ntk += v.ntk * v.ntk / seeds;
        reported.error += v.error * v.error / seeds, reported.ntk_error += v.ntk_error * v.ntk_error / seeds;
      }
      return std::pair{std::sqrt(squares.nngp - sum.nngp * sum.nngp),
                       std::sqrt(squares.ntk - sum.ntk * sum.ntk)};
    };
    KernelValue few_reported, many_reported;
    const auto [few, few_ntk] = spread(120, 100, few_reported);
    const auto [many, many_ntk] = spread(960, 100, many_reported);
    EXPECT_NEAR(std::log(many / few) / std::log(8), -0.5, 0.1) << layers;
    EXPECT_NEAR(std::log(many_ntk / few_ntk) / std::log(8), -0.5, 0.1) << layers;
    EXPECT_NEAR(std::sqrt(many_reported.error) / many, 1, 0.25) << layers;
    EXPECT_NEAR(std::sqrt(many_reported.ntk_error) / many_ntk, 1, 0.25) << layers;
  }
}

/// All pairs from the same samples: positive semidefinite, and what pairs alone are but for the errors.
TEST(SymmetrySoftmax, SampledTogether) {
  Sequences s = draw_sequences(10, 4, 3, 1);
  s.items.push_back(s.items[2]);
  s.items.push_back({1});
  for (const Readout readout : {Readout::kLast, Readout::kMean})
    for (const bool ntk : {false, true}) {
      Architecture a = random_logits(2);
      a.readout = readout;
      const Kernel kernel(a, 3, {.ntk = ntk, .samples = repeats(400u, 100u)});
      ASSERT_TRUE(kernel.joint());
      const Gram g = gram(kernel, s, {.ntk = ntk, .errors = true}, Arena(1)),
                 threaded = gram(kernel, s, {.ntk = ntk, .errors = true}, Arena(3));
      EXPECT_EQ(std::memcmp(g.values().data(), threaded.values().data(), 8 * g.values().size()), 0);
      EXPECT_EQ(std::memcmp(g.errors().data(), threaded.errors().data(), 8 * g.errors().size()), 0);
      const std::vector<double> eigen = symmetric_eigen(g.values()).values;
      EXPECT_GT(eigen[0], -1e-13 * eigen.back());
      // Equal sequences. The slope of relu loses half of the digits at an angle of 0.
      for (std::size_t i = 0; i < s.size(); ++i)
        EXPECT_NEAR(g.values()(i, 2), g.values()(i, 10), ntk ? 1e-7 : 1e-12);
      Deviations z;
      for (std::size_t i = 0; i < s.size(); i += 3)
        for (std::size_t j = 0; j < s.size(); j += 2) {
          const KernelValue alone = kernel(s.items[i], s.items[j]), turned = kernel(s.items[j], s.items[i]);
          EXPECT_EQ(ntk ? alone.ntk : alone.nngp, ntk ? turned.ntk : turned.nngp);
          z.add(g.values()(i, j), ntk ? alone.ntk : alone.nngp,
                std::hypot(g.errors()(i, j), ntk ? alone.ntk_error : alone.error) + 1e-9,
                std::to_string(i) + ", " + std::to_string(j));
        }
      EXPECT_LT(z.root_mean(), 1.6);
    }
}

TEST(SymmetrySoftmax, RowsAndColumnsTogether) {
  const Sequences s = draw_sequences(5, 3, 3, 1), t = draw_sequences(4, 3, 3, 2);
  const Kernel kernel(random_logits(2), 3, {.samples = 80});
  Sequences both = s;
  both.items.insert(both.items.end(), t.items.begin(), t.items.end());
  const Gram part = gram(kernel, s, t, {.errors = true}, Arena(2)),
             all = gram(kernel, both, {.errors = true}, Arena(1));
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 4; ++j) {
      EXPECT_EQ(part.values()(i, j), all.values()(i, 5 + j));
      EXPECT_EQ(part.errors()(i, j), all.errors()(i, 5 + j));
    }
}

/// Positions that are no independent vectors, and a layer of relu attention below.
TEST(SymmetrySoftmax, WhereverItMayStand) {
  Architecture a = random_logits(1);
  EXPECT_FALSE(Kernel(a, 3).joint());
  EXPECT_FALSE(Kernel(a, 3, {.ntk = true}).joint());
  a.embedding.positions = Positions::kSinusoidal;
  EXPECT_TRUE(Kernel(a, 3).joint());
  a = random_logits(2);
  a.blocks[0] = preset("relu-attention").blocks[0];
  EXPECT_TRUE(Kernel(a, 3).joint());
  const KernelValue found = Kernel(a, 3, {.ntk = true, .samples = 8000})(Sequence{0, 1}, Sequence{1, 2});
  const slow::Value known = slow::evaluate(checks::as_slow(a), {0, 1}, {1, 2});
  EXPECT_NEAR(found.nngp, known.nngp, 4 * found.error);
  EXPECT_NEAR(found.ntk, known.ntk, 4 * found.ntk_error);
  a.blocks[1].mlp->phi = Nonlinearity::kTanh;
  EXPECT_GT(Kernel(a, 3, {.samples = 80}).prepare(Sequence{0, 1}).series_rest(), 0);
}

}  // namespace
}  // namespace telos::symmetry
