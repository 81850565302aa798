#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "reference/positional.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/positional/compiler.h"
#include "telos/positional/theory.h"
#include "tests/positional/complaint.h"
#include "tests/positional/model_support.h"

namespace telos::positional {
namespace {

namespace ref = reference::positional;
using ::testing::HasSubstr;

Model filled(const ModelConfig& config, const std::function<double(std::size_t)>& value) {
  Model model{config, layout(config), {}, "filled"};
  for (std::size_t k = 0; k < model.layout.size(); ++k) model.values.push_back(value(k));
  return model;
}

double wave(std::size_t k) {
  return 0.9 * std::sin(7.3 * static_cast<double>(k + 1));
}

ModelConfig toy(std::string_view kind) {
  ModelConfig config;
  config.nodes = 3;
  config.width = 4;
  config.heads = 2;
  config.hidden = 3;
  config.layers = 2;
  return with_kind(config, kind);
}

/// Relative, since the oracles carry nine digits.
void expect_relative(double got, double expected, double tolerance = 1e-7) {
  EXPECT_NEAR(got / expected, 1, tolerance) << got << " for " << expected;
}

void expect_all(const std::vector<double>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) expect_relative(got[i], expected[i]);
}

TEST(Capacity, PositionalOracle) {
  const CapacityReport r = capacity(filled(toy("positional"), wave));
  EXPECT_TRUE(r.positional);
  EXPECT_EQ(r.kind, "positional");
  EXPECT_EQ(r.parameters, 339u);
  ASSERT_EQ(r.layers.size(), 2u);
  const CapacityLayer& first = r.layers[0];
  expect_relative(first.input_norm, 4.03845059);
  expect_all(first.vo, {1.68677030, 1.40576853});
  expect_all(first.qk, {2.24411723, 1.73999456});
  expect_all(first.mlp, {2.59383721, 2.22303569});
  expect_all(first.mlp_21, {5.46529383, 4.46795020});
  expect_relative(first.v_21, 5.13355396);
  expect_relative(first.o_21, 5.03116294);
  expect_relative(first.lambda, 18.74127630);
  expect_relative(first.output_norm, 96.87284647);
  expect_all(r.layers[1].vo, {1.46059189, 1.46623152});
  expect_all(r.layers[1].qk, {2.10711257, 2.15027196});
  expect_relative(r.layers[1].lambda, 17.20098619);
  expect_relative(r.output_norm, 1683.63444473);
  expect_relative(r.decoder, 1.1464492629);
  expect_relative(r.encoder, 1.3259703668);
  expect_relative(r.product, 322.3684349);
  expect_relative(r.lipschitz, 490.0508746);
  EXPECT_NEAR(r.log10_lipschitz, std::log10(490.0508746), 1e-8);
  EXPECT_NEAR(r.layers[1].log10_product, std::log10(322.3684349), 1e-8);
}

TEST(Capacity, StandardOracle) {
  const CapacityReport r = capacity(filled(toy("standard"), wave));
  EXPECT_FALSE(r.positional);
  EXPECT_EQ(r.parameters, 355u);
  expect_relative(r.layers[0].input_norm, 6.76810854);
  expect_relative(r.layers[0].lambda, 5681.40900298);
  expect_relative(r.layers[1].input_norm, 134.05718270);
  expect_relative(r.layers[1].lambda, 2716646.15862);
  expect_relative(r.lipschitz, 4.3207e10, 1e-4);
}

/// K and the bounds, from the formulas written out for the toy net.
TEST(Capacity, CoverAndBounds) {
  const Model model = filled(toy("positional"), wave);
  const CapacityOptions options{
      .input_norm = 2, .samples = 5000, .loss_range = 3, .loss_lipschitz = 2, .delta = .1};
  const CapacityReport r = capacity(model, options);
  // enc, dec; by layer 2 maps of the MLP, W_o, W_v, 2 heads' scores.
  ASSERT_EQ(r.terms.size(), 2u + 2 * 6);
  double sum = 0, shares = 0;
  for (const CoverTerm& term : r.terms) {
    sum += std::pow(std::pow(10, term.log10_slope) * term.input_norm * term.norm_21, 2.0 / 3);
    shares += term.share;
  }
  EXPECT_NEAR(shares, 1, 1e-12);
  EXPECT_NEAR(r.log_factor, std::log(2.0 * 16 * 4 * 5000), 1e-12)
      << "W_qk has 16 rows, W_1 9 columns with the constant";
  const double k = std::pow(sum, 3) * r.log_factor;
  expect_relative(std::pow(10, r.log10_k), k, 1e-10);
  const double rademacher = std::sqrt(k / 5000) * (4 + 12 * std::max(1.0, std::log(3 * std::sqrt(5000 / k))));
  expect_relative(std::pow(10, r.log10_rademacher), rademacher, 1e-10);
  expect_relative(std::pow(10, r.log10_gap), 4 * rademacher + 9 * std::sqrt(std::log(20) / 10000), 1e-10);

  // Single terms: the decoder, and the scores of a head of the last layer.
  const auto term = [&](const std::string& name) {
    return *std::ranges::find(r.terms, name, &CoverTerm::name);
  };
  EXPECT_EQ(term("decoder").log10_slope, 0);
  expect_relative(term("decoder").input_norm, std::hypot(1683.63444473, 1));
  const CoverTerm scores = term("layer 2: scores of head 1");
  const CapacityLayer& last = r.layers[1];
  EXPECT_NEAR(scores.log10_slope,
              std::log10(r.decoder * last.mlp[0] * last.mlp[1] * 2 * last.vo[1] * last.input_norm), 1e-12);
  EXPECT_EQ(scores.input_norm, 2) << "one-hot positions, and the constant that carries the biases";
  // A first layer's error passes through the second.
  EXPECT_NEAR(term("layer 1: W2").log10_slope, std::log10(r.decoder * last.lambda), 1e-12);
  EXPECT_NEAR(term("encoder").log10_slope, std::log10(r.decoder * r.product), 1e-12);
}

/// Where few terms are small and samples many, the logarithm of Dudley's integral counts.
TEST(Capacity, MoreSamplesSmallerGap) {
  Model model = filled(toy("positional"), wave);
  double before = std::numeric_limits<double>::infinity();
  for (const std::size_t m : {100u, 10000u, 1000000u}) {
    const double gap = capacity(model, {.samples = m}).log10_gap;
    EXPECT_LT(gap, before);
    before = gap;
  }
  // Queries and keys enter additively: scaled up, they change K and leave the Lipschitz constant.
  const CapacityReport plain = capacity(model);
  const auto& qk = model.layout[model.layout.find("layers.0.qk.weight")];
  for (std::size_t i = 0; i < qk.size(); ++i) model.values[qk.offset + i] *= 100;
  const CapacityReport scaled = capacity(model);
  EXPECT_EQ(plain.lipschitz, scaled.lipschitz);
  EXPECT_GT(scaled.log10_k, plain.log10_k);
}

TEST(Capacity, LargeQueryBias) {
  // ‖W_Kᵀb_Q‖ above 2Z·qk: the scores then follow the keys mainly through the bias, and the constant says so.
  Model model = filled(toy("standard"), wave);
  const double plain = capacity(model).layers[0].lambda;
  const auto& bias = model.layout[model.layout.find("layers.0.qk.bias")];
  for (std::size_t i = 0; i < 4; ++i) model.values[bias.offset + i] = 1000;
  EXPECT_GT(capacity(model).layers[0].lambda, 5 * plain);
}

// ---- The inequality

double largest_row(const ref::Mat<double>& a, const ref::Mat<double>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double squares = 0;
    for (std::size_t j = 0; j < a[i].size(); ++j) squares += std::pow(a[i][j] - b[i][j], 2);
    largest = std::max(largest, std::sqrt(squares));
  }
  return largest;
}

ref::Mat<double> draw_input(const ModelConfig& c, double norm, Random& random) {
  ref::Mat<double> x(c.positions(), std::vector<double>(c.in_dim));
  for (auto& row : x) {
    double squares = 0;
    for (double& value : row) {
      value = random.normal();
      squares += value * value;
    }
    const double length = norm * random.uniform();
    for (double& value : row) value *= length / std::sqrt(squares);
  }
  return x;
}

/// By the reference implementation, in small and large steps.
double largest_quotient(const Model& model, double norm, int pairs, Random& random) {
  const ref::Shape shape = test::shape_of(model.config);
  const auto weights = ref::weights_from<double>(shape, model.values);
  double largest = 0;
  for (int pair = 0; pair < pairs; ++pair) {
    const auto a = draw_input(model.config, norm, random);
    auto b = draw_input(model.config, norm, random);
    const double step = std::pow(10, -4 * random.uniform());
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; j < a[i].size(); ++j) b[i][j] = a[i][j] + step * (b[i][j] - a[i][j]);
    largest = std::max(largest, largest_row(ref::forward(shape, weights, a, model.config.nodes),
                                            ref::forward(shape, weights, b, model.config.nodes)) /
                                    largest_row(a, b));
  }
  return largest;
}

ModelConfig random_config(Random& random) {
  static const std::vector<std::string> names{"positional", "standard", "hybrid", "m1",  "m2", "m4",
                                              "rope",       "hard",     "direct", "gcn", "gin"};
  ModelConfig c;
  c.nodes = 2 + random.below(4);
  c.in_dim = 1 + random.below(2);
  c.out_dim = 1 + random.below(2);
  c.heads = 1 + random.below(3);
  c.width = 2 * c.heads * (1 + random.below(2));
  c.hidden = 1 + random.below(6);
  c.mlp_layers = 1 + random.below(3);
  c.layers = 1 + random.below(3);
  c.bias = random.below(3) > 0;
  c.encoding = static_cast<Encoding>(random.below(3));
  c.encoding_dim = c.encoding == Encoding::kSinusoidal ? 4 : 0;
  return with_kind(c, names[random.below(static_cast<std::uint32_t>(names.size()))]);
}

TEST(Capacity, ObservedQuotientNeverExceedsTheBound) {
  Random random(31);
  double nearest = 0;
  for (int trial = 0; trial < 250; ++trial) {
    const ModelConfig config = random_config(random);
    const double scale = std::pow(10, 1.5 * random.uniform() - 1);
    Model model = initial_model(config, 100 + static_cast<std::uint64_t>(trial));
    for (double& value : model.values) value = value != 0 || config.bias ? scale * random.normal() : 0;
    const double norm = 3 * random.uniform();
    const CapacityReport report = capacity(model, {.input_norm = norm});
    const double observed = largest_quotient(model, norm, 20, random);
    EXPECT_LE(observed, report.lipschitz * (1 + 1e-9)) << report.kind << " " << config_json(config);
    if (report.lipschitz > 0) nearest = std::max(nearest, observed / report.lipschitz);
  }
  EXPECT_GT(nearest, 0.2) << "some of these models must come near to their bound, or the test says little";
}

// (1 + ε)·x is a map of one number: its input is the layer's, and what it changes goes through the MLP.
TEST(Capacity, EpsilonHasATermOfTheCover) {
  const CapacityReport r = capacity(filled(toy("gin"), wave));
  for (std::size_t l = 0; l < r.layers.size(); ++l) {
    const std::string name = "layer " + std::to_string(l + 1) + ": ";
    const auto term = [&](const std::string& part) {
      return std::ranges::find(r.terms, name + part, &CoverTerm::name);
    };
    const auto epsilon = term("1 + epsilon");
    ASSERT_NE(epsilon, r.terms.end());
    const CapacityLayer& layer = r.layers[l];
    EXPECT_EQ(epsilon->input_norm, layer.input_norm);
    EXPECT_NEAR(epsilon->norm_21, layer.attention - static_cast<double>(toy("gin").positions() - 1), 1e-12);
    EXPECT_NEAR(epsilon->log10_slope, term("W1")->log10_slope + std::log10(layer.mlp[0]), 1e-12);
  }
  for (const char* kind : {"gcn", "positional"})
    for (const CoverTerm& t : capacity(filled(toy(kind), wave)).terms)
      EXPECT_EQ(t.name.find("epsilon"), std::string::npos);
}

TEST(Capacity, ObservedByTheLibrary) {
  const Arena arena(2);
  for (const char* kind : {"positional", "standard", "gin"}) {
    const Model model = filled(toy(kind), wave);
    const double observed = observed_lipschitz(model, 2, 200, 5, arena);
    EXPECT_GT(observed, 0);
    EXPECT_LE(observed, capacity(model).lipschitz);
  }
  ModelConfig tokens = toy("positional");
  tokens.vocabulary = 5;
  try {
    observed_lipschitz(initial_model(tokens, 1), 1, 1, 1, arena);
    ADD_FAILURE() << "tokens were perturbed";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

/// Running minimum of two numbers, compiled by hand: node 1 fetches from node 0, min(a, b) = a − relu(a − b).
TEST(Capacity, CompiledProgram) {
  ModelConfig config;
  config.nodes = 2;
  config.width = config.heads = config.layers = 1;
  config.hidden = 4;
  Model model = filled(config, [](std::size_t) { return 0.0; });
  const auto put = [&](const std::string& name, const std::vector<double>& values) {
    const auto& p = model.layout[model.layout.find(name)];
    ASSERT_EQ(p.size(), values.size()) << name;
    std::ranges::copy(values, model.values.begin() + static_cast<std::ptrdiff_t>(p.offset));
  };
  const double off = -1000 * std::sqrt(3.0);
  // W_Q holds each node's scores as columns, W_K is the identity.
  put("layers.0.qk.weight", {0, 0, off, off, off, off, off, off, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1});
  put("encoding.weight", {1});
  put("decoding.weight", {1});
  put("layers.0.v.weight", {1});
  put("layers.0.o.weight", {1});
  put("layers.0.mlp.0.weight", {1, 0, -1, 0, 1, -1, 0, 0});
  put("layers.0.mlp.2.weight", {1, -1, -1, 0});
  Matrix<double> x(1, 3);
  x(0, 0) = 3;
  x(0, 1) = 5;
  const Arena arena(1);
  const Matrix<double> y = evaluate<double>(model, x, 2, arena);
  EXPECT_EQ(y(0, 0), 3);
  EXPECT_EQ(y(0, 1), 3);

  const CapacityReport r = capacity(model, {.input_norm = 10});
  // W_1ᵀW_1 = [[3, −1], [−1, 1]] has the largest eigenvalue 2 + √2.
  EXPECT_NEAR(r.layers[0].mlp[0], std::sqrt(2 + std::sqrt(2.0)), 1e-14);
  EXPECT_NEAR(r.lipschitz, std::sqrt(3.0) * std::sqrt(2 + std::sqrt(2.0)) * std::sqrt(2.0), 1e-13);
  // Scores of −1000 weigh on the cover, and on nothing else; a minimum itself has the constant 1.
  EXPECT_GT(r.layers[0].qk[0], 1000);
  const double observed = observed_lipschitz(model, 10, 100, 3, arena);
  EXPECT_LE(observed, 1 + 1e-12);
  EXPECT_GT(observed, 0.99);
}

/// A prefix sum by doubling, three layers of relu(x + a) − relu(−x − a): s(W_1) = 2, s(W_2) = √2, vo = 1, so
/// Λ = 4 each. As a standard transformer the same function has scores in its exponent: theorem 6.1's content.
TEST(Capacity, SameFunctionPositionalAndStandard) {
  BuiltinOptions options;
  options.n = 8;
  Builtin cumsum = builtin("cumsum", options);
  cumsum.options.proof_vectors = 5;
  const Model model = compile(cumsum.program, cumsum.options).model;
  const CapacityReport positional = capacity(model), standard = capacity(convert_to_standard(model));
  ASSERT_EQ(positional.layers.size(), 3u);
  for (const CapacityLayer& layer : positional.layers) EXPECT_NEAR(layer.lambda, 4, 1e-12);
  EXPECT_NEAR(positional.lipschitz, 64, 1e-10);
  EXPECT_GT(standard.log10_lipschitz, 20);
  EXPECT_GT(standard.log10_gap, positional.log10_gap + 10);
  // The eighth prefix sum moves by 8 when all inputs move by 1.
  const Arena arena(1);
  EXPECT_NEAR(observed_lipschitz(model, 2, 2000, 1, arena), 8, 2);
}

// ---- Kinds of models

TEST(Capacity, HardAttention) {
  const CapacityReport r = capacity(filled(toy("hard"), wave));
  EXPECT_EQ(r.terms.size(), 2u + 2 * 4) << "no terms of scores";
  EXPECT_NEAR(r.log_tables, 4 * 2 * 2 * std::log(4), 1e-12);
  EXPECT_THAT(r.notes, ::testing::Contains(HasSubstr("index tables")));
  ModelConfig features = toy("standard");
  features.hard = true;
  const CapacityReport s = capacity(filled(features, wave));
  EXPECT_TRUE(std::isinf(s.lipschitz));
  EXPECT_TRUE(std::isinf(s.log10_gap));
  EXPECT_THAT(s.notes, ::testing::Contains(HasSubstr("not continuous")));
}

TEST(Capacity, Tokens) {
  ModelConfig config = toy("positional");
  config.vocabulary = 5;
  const CapacityReport plain = capacity(filled(config, wave));
  EXPECT_EQ(plain.encoder, 1);
  EXPECT_EQ(plain.terms.front().name, "token table");
  EXPECT_EQ(plain.terms.front().input_norm, 1);
  EXPECT_THAT(plain.notes, ::testing::Contains(HasSubstr("embedded tokens")));
  config.input_positions = true;
  const CapacityReport positions = capacity(filled(config, wave));
  EXPECT_EQ(positions.terms[0].name, "position table");
  EXPECT_GT(positions.layers[0].input_norm, plain.layers[0].input_norm);
}

/// Deep, large-normed standard models have products beyond double; their logarithms stay finite.
TEST(Capacity, LogarithmsDoNotOverflow) {
  ModelConfig config = toy("standard");
  config.layers = 14;
  const CapacityReport r = capacity(filled(config, [](std::size_t k) { return 3 * wave(k); }));
  EXPECT_TRUE(std::isinf(r.product));
  EXPECT_TRUE(std::isfinite(r.log10_product));
  EXPECT_GT(r.log10_product, 308);
  EXPECT_TRUE(std::isfinite(r.log10_k));
  EXPECT_TRUE(std::isfinite(r.log10_gap));
}

TEST(Capacity, ZeroModel) {
  const CapacityReport r = capacity(filled(toy("positional"), [](std::size_t) { return 0.0; }));
  EXPECT_EQ(r.lipschitz, 0);
  EXPECT_EQ(r.log10_k, -std::numeric_limits<double>::infinity());
  EXPECT_NEAR(std::pow(10, r.log10_gap), 3 * std::sqrt(std::log(40) / 60000), 1e-12);
}

TEST(Capacity, Refusals) {
  const Model model = filled(toy("positional"), wave);
  telos::test::expect_error(ErrorKind::kUsage, "input norm", [&] { capacity(model, {.input_norm = -1}); });
  telos::test::expect_error(ErrorKind::kUsage, "0 samples", [&] { capacity(model, {.samples = 0}); });
  telos::test::expect_error(ErrorKind::kUsage, "delta", [&] { capacity(model, {.delta = 1}); });
  telos::test::expect_error(ErrorKind::kUsage, "range", [&] { capacity(model, {.loss_range = 0}); });
  Model broken{model.config, model.layout, model.values, ""};
  broken.values[3] = std::nan("");
  telos::test::expect_error(ErrorKind::kNotFinite, "not finite", [&] { capacity(broken); });
  broken.values.pop_back();
  telos::test::expect_error(ErrorKind::kShape, "elements", [&] { capacity(broken); });
}

}  // namespace
}  // namespace telos::positional
