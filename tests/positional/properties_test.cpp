// Properties that every positional transformer has, on random configurations, and what rotary embedding does
// to attention.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "tests/positional/model_support.h"

namespace telos::positional::test {
namespace {

constexpr std::uint64_t kSeeds = 12;

std::size_t pick(Random& rng, std::size_t low, std::size_t high) {
  return low + rng.below(static_cast<std::uint32_t>(high - low + 1));
}

/// A configuration and weights of that seed, biases included.
Model random_model(std::uint64_t seed, const char* kind = "positional", bool bias = true) {
  Random rng(seed, 1);
  ModelConfig config = with_kind({.bias = bias, .nodes = pick(rng, 1, 9), .scratch = pick(rng, 0, 2)}, kind);
  config.heads = pick(rng, 1, 3);
  config.width = config.heads * pick(rng, 1, 5);
  config.hidden = pick(rng, 1, 12);
  config.mlp_layers = pick(rng, 1, 3);
  config.layers = pick(rng, 1, 4);
  config.encoding = static_cast<Encoding>(pick(rng, 0, 2));
  config.encoding_dim = config.encoding == Encoding::kSinusoidal ? 2 * pick(rng, 1, 3) : 0;
  Model model = initial_model(config, seed);
  for (const nn::ParameterInfo& p : model.layout.entries())
    for (std::size_t i = 0; i < p.size(); ++i)
      if (bias || !p.vector || p.name.ends_with("qk.bias")) model.values[p.offset + i] += 0.3 * rng.normal();
  return model;
}

ConstMatrixView<double> as_rows(const Samples& s) {
  return {s.x.data(), s.count, s.positions * s.x.cols()};
}

// P1: attention's rows are probabilities, and the key biases move no score relative to another.
TEST(Properties, RowsSumToOneAndKeyBiasesDoNotCount) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Model model = random_model(seed);
    const auto all = attention_matrices(model);
    for (const auto& layer : all)
      for (const Matrix<double>& a : layer)
        for (std::size_t i = 0; i < a.rows(); ++i)
          EXPECT_NEAR(std::accumulate(a.row(i), a.row(i) + a.cols(), 0.0), 1, 1e-14);
    const Samples s = random_samples(model.config, model.config.nodes, 5, seed);
    const auto pass = run_engine<double>(model, s, {});
    const double total = norm(std::span<const double>(pass.gradient));
    const std::size_t key = model.config.key_width();
    for (std::size_t l = 0; l < model.config.depth(); ++l) {
      const auto bias =
          part(pass.gradient, model.layout[model.layout.find("layers." + std::to_string(l) + ".qk.bias")]);
      for (std::size_t h = 0; h < model.config.heads; ++h)
        EXPECT_LT(norm(bias.subspan((2 * h + 1) * key, key)), 1e-14 * total);
    }
  }
}

// P2: features hold no positions, so that all-zero samples look alike everywhere.
TEST(Properties, ZeroInputGivesOneOutputForAllPositions) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Model model = random_model(seed);
    const Matrix<double> x(1, model.config.positions());
    const Matrix<double> y = evaluate<double>(model, x, 0, Arena(1));
    for (std::size_t i = 0; i < y.cols(); ++i) EXPECT_NEAR(y(0, i), y(0, 0), 1e-13 * (1 + std::abs(y(0, 0))));
  }
}

// P3: f(ΠX; ΠP) = Π f(X; P). With one-hot P, W_qk of ΠP is W_qk with its columns permuted.
TEST(Properties, PermutingInputAndPositionsPermutesTheOutput) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Random rng(seed, 3);
    Model model = random_model(seed);
    model.config.encoding = Encoding::kOneHot;
    model = initial_model(model.config, seed);
    const std::size_t s = model.config.positions();
    std::vector<std::size_t> order(s);  // row i of the permuted input is row order[i]
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = s; i-- > 1;)
      std::swap(order[i], order[rng.below(static_cast<std::uint32_t>(i + 1))]);
    Model permuted = model;
    for (std::size_t l = 0; l < model.config.depth(); ++l) {
      const std::size_t qk = model.layout.find("layers." + std::to_string(l) + ".qk.weight");
      const auto from = model.layout.view(std::span<const double>(model.values), qk);
      const auto to = model.layout.view(std::span<double>(permuted.values), qk);
      for (std::size_t r = 0; r < from.rows(); ++r)
        for (std::size_t i = 0; i < s; ++i) to(r, i) = from(r, order[i]);
    }
    Matrix<double> x(1, s), moved(1, s);
    for (std::size_t i = 0; i < s; ++i) x(0, i) = rng.normal();
    for (std::size_t i = 0; i < s; ++i) moved(0, i) = x(0, order[i]);
    const Matrix<double> y = evaluate<double>(model, x, 0, Arena(1));
    const Matrix<double> found = evaluate<double>(permuted, moved, 0, Arena(1));
    for (std::size_t i = 0; i < s; ++i)
      EXPECT_NEAR(found(0, i), y(0, order[i]), 1e-12 * (1 + std::abs(y(0, 0))));
  }
}

// P4: without biases f(c·x) = c·f(x); a power of two only moves exponents, so that it holds to the bit.
TEST(Properties, BiasFreeModelsAreHomogeneousToTheBit) {
  for (const char* kind : {"positional", "hard", "direct"})
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      const Model model = random_model(seed, kind, false);
      for (const LayerPlan plan : {LayerPlan::kPlain, LayerPlan::kF1, LayerPlan::kF2})
        for (const int exponent : {-20, -1, 1, 30}) {
          GraphOptions options{.loss = GraphOptions::Loss::kMse};
          options.plans.assign(model.config.depth(), plan);
          const Samples plain = random_samples(model.config, model.config.nodes, 4, seed);
          Samples scaled = random_samples(model.config, model.config.nodes, 4, seed);
          for (std::size_t i = 0; i < scaled.x.size(); ++i)
            scaled.x.data()[i] = std::ldexp(scaled.x.data()[i], exponent);
          const auto y = run_engine<float>(model, plain, options).y;
          const auto z = run_engine<float>(model, scaled, options).y;
          for (std::size_t i = 0; i < y.size(); ++i)
            EXPECT_EQ(z.data()[i], std::ldexp(y.data()[i], exponent)) << kind << " seed " << seed;
        }
    }
}

// P5: folding changes nothing, for one sample and for many, and no result depends on the number of threads.
TEST(Properties, PlansAgreeAndThreadsDoNotShow) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Model model = random_model(seed);
    for (const std::size_t count : {1, 70}) {
      const Samples s = random_samples(model.config, model.config.nodes, count, seed);
      GraphOptions options{.loss = GraphOptions::Loss::kMse};
      options.plans.assign(model.config.depth(), LayerPlan::kPlain);
      const auto plain = run_engine<double>(model, s, options);
      options.plans.assign(model.config.depth(), LayerPlan::kF2);
      const auto folded = run_engine<double>(model, s, options);
      EXPECT_LT(relative_difference(std::span<const double>(folded.gradient),
                                    std::span<const double>(plain.gradient)),
                1e-12);
      const auto threaded = run_engine<double>(model, s, options, 3);
      EXPECT_EQ(threaded.gradient, folded.gradient);
      EXPECT_EQ(threaded.loss, folded.loss);
    }
  }
}

double largest_difference(const Matrix<double>& a, const Matrix<double>& b) {
  double top = 0;
  for (std::size_t i = 0; i < a.size(); ++i) top = std::max(top, std::abs(a.data()[i] - b.data()[i]));
  return top;
}

// Rotation by position changes scores; the published code turned by head, which cancels.
TEST(Rope, TurnsByPositionAndNotByHead) {
  const ModelConfig config = with_kind({.nodes = 6, .width = 8, .hidden = 8, .layers = 2}, "m2");
  Model model = initial_model(config, 5);
  const Samples s = random_samples(config, 6, 20, 6);
  const Matrix<double> none = evaluate<double>(model, as_rows(s), 0, Arena(1));
  model.config.rope = ModelConfig::Rope::kNoOp;
  EXPECT_LT(largest_difference(evaluate<double>(model, as_rows(s), 0, Arena(1)), none), 1e-14);
  model.config.rope = ModelConfig::Rope::kTrue;
  EXPECT_GT(largest_difference(evaluate<double>(model, as_rows(s), 0, Arena(1)), none), 1e-4);
}

TEST(Rope, OfPositionalAttention) {
  const ModelConfig config = with_kind({.nodes = 7, .width = 8, .hidden = 8, .layers = 2}, "positional");
  Model model = initial_model(config, 5);
  const Samples s = random_samples(config, 7, 20, 6);
  const Matrix<double> none = evaluate<double>(model, as_rows(s), 0, Arena(1));
  model.config.rope = ModelConfig::Rope::kNoOp;
  EXPECT_EQ(largest_difference(evaluate<double>(model, as_rows(s), 0, Arena(1)), none), 0);
  model.config.rope = ModelConfig::Rope::kTrue;
  EXPECT_GT(largest_difference(evaluate<double>(model, as_rows(s), 0, Arena(1)), none), 1e-4);
}

}  // namespace
}  // namespace telos::positional::test
