#include "telos/symmetry/architecture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "telos/base/error.h"
#include "telos/symmetry/kernel.h"
#include "telos/symmetry/sequences.h"

namespace telos::symmetry {
namespace {

using ::testing::HasSubstr;

void expect_complaint(const std::function<void()>& body, ErrorKind kind, const std::string& where,
                      const std::string& message) {
  try {
    body();
    ADD_FAILURE() << "no error with \"" << message << '"';
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.where(), HasSubstr(where));
    EXPECT_THAT(error.message(), HasSubstr(message));
  }
}

TEST(SymmetryArchitecture, EveryPresetReadsBack) {
  for (const Preset& p : presets()) {
    const Architecture a = preset(p.name);
    EXPECT_EQ(a.name, p.name);
    const std::string json = to_json(a);
    EXPECT_EQ(to_json(parse_architecture(json, "file.json")), json);
    EXPECT_FALSE(describe(a).empty());
    EXPECT_EQ(to_json(load_architecture(std::string(p.name))), json);
  }
}

TEST(SymmetryArchitecture, BlocksThatDifferAreEachDescribed) {
  Architecture a = preset("pre-ln-relu");
  a.blocks.push_back(a.blocks.front());
  const std::string alike = describe(a);
  EXPECT_THAT(alike, HasSubstr("2 blocks · pre-LayerNorm"));
  a.blocks.back().attention.reset();
  EXPECT_THAT(describe(a), HasSubstr("2 blocks · block 0: pre-LayerNorm"));
  EXPECT_THAT(describe(a), HasSubstr("block 1: pre-LayerNorm · "));
}

TEST(SymmetryArchitecture, EveryFieldIsRead) {
  const std::string json = R"json({"name": "odd",
    "embed": {"se2": 2, "sp2": 0.25, "pos": "sin", "dimension": 32, "trained": false},
    "blocks": [{"norm": "post", "residual": false,
      "attn": {"kind": "erf", "scale": "1/sqrt(d)", "qk": 2, "ov2": 3, "b2": 0.5, "sp2": 0.125, "pos": "decay",
               "val_pos": true, "norm": "1/L^2", "mask": "causal", "rope": {"base": 50, "dimension": 8},
               "alibi": 0},
      "mlp": {"phi": "leaky_relu", "slope": 0.5, "w2": 4, "b2": 5, "out_w2": 6, "out_b2": 7}},
      {"attn": null}],
    "readout": "flatten", "final_norm": false, "w2": 8, "epsilon": 0.0625})json";
  const Architecture a = parse_architecture(json, "file.json");
  EXPECT_EQ(a.name, "odd");
  EXPECT_EQ(a.embedding.token, 2);
  EXPECT_EQ(a.embedding.position, 0.25);
  EXPECT_EQ(a.embedding.positions, Positions::kSinusoidal);
  EXPECT_EQ(a.embedding.dimension, 32u);
  EXPECT_FALSE(a.embedding.trained);
  ASSERT_EQ(a.blocks.size(), 2u);
  EXPECT_EQ(a.blocks[0].norm, NormPlace::kPost);
  EXPECT_FALSE(a.blocks[0].residual);
  ASSERT_TRUE(a.blocks[0].attention.has_value());
  const AttentionLayer& m = *a.blocks[0].attention;
  EXPECT_EQ(m.map, AttentionMap::kErf);
  EXPECT_EQ(m.scale, AttentionScale::kRoot);
  EXPECT_EQ(m.logit, 2);
  EXPECT_EQ(m.value, 3);
  EXPECT_EQ(m.bias, 0.5);
  EXPECT_EQ(m.position, 0.125);
  EXPECT_EQ(m.positions, Positions::kDecay);
  EXPECT_TRUE(m.value_positions);
  EXPECT_EQ(m.average, AttentionAverage::kMean);
  EXPECT_TRUE(m.causal);
  ASSERT_TRUE(m.rope.has_value());
  EXPECT_EQ(m.rope->base, 50);
  EXPECT_EQ(m.rope->dimension, 8u);
  ASSERT_TRUE(a.blocks[0].mlp.has_value());
  EXPECT_EQ(a.blocks[0].mlp->phi, Nonlinearity::kLeakyRelu);
  EXPECT_EQ(a.blocks[0].mlp->slope, 0.5);
  EXPECT_EQ(a.blocks[0].mlp->out_bias, 7);
  EXPECT_FALSE(a.blocks[1].attention.has_value());
  EXPECT_FALSE(a.blocks[1].mlp.has_value());
  EXPECT_EQ(a.readout, Readout::kFlatten);
  EXPECT_FALSE(a.final_norm);
  EXPECT_EQ(a.weight, 8);
  EXPECT_EQ(a.epsilon, 0.0625);
}

TEST(SymmetryArchitecture, TheSimplifiedBlockIsRead) {
  const Architecture a = parse_architecture(
      R"({"embed": {"se2": 2, "sp2": 0.25, "trained": false}, "simplified": {"query": false, "norm": "1/L"}})",
      "file.json");
  for (const Architecture& read : {a, parse_architecture(to_json(a), "file.json")}) {
    ASSERT_TRUE(read.simplified.has_value());
    EXPECT_EQ(read.simplified->token, 2);
    EXPECT_EQ(read.simplified->position, 0.25);
    EXPECT_EQ(read.simplified->average, AttentionAverage::kRoot);
    EXPECT_FALSE(read.simplified->query);
    EXPECT_FALSE(read.embedding.trained);
  }
  const Architecture bag = parse_architecture(R"({"embed": {"pos": "none"}, "simplified": {}})", "file.json");
  EXPECT_EQ(bag.simplified->position, 0);
  EXPECT_EQ(bag.simplified->average, AttentionAverage::kMean);
  EXPECT_TRUE(bag.simplified->query);
  EXPECT_TRUE(ignores_order(bag));
}

TEST(SymmetryArchitecture, WhatIsWrongInAFile) {
  const auto expect = [](const std::string& json, const std::string& where, const std::string& message) {
    expect_complaint([&] { parse_architecture(json, "f.json"); }, ErrorKind::kBadFormat, where, message);
  };
  const auto attention = [](const std::string& fields) {
    return R"({"blocks": [{"attn": {)" + fields + "}}]}";
  };
  expect("[1]", "f.json", "expected an object");
  expect("{", "f.json", "");
  expect("{}", "f.json", "expected the field \"blocks\", or \"simplified\"");
  expect(R"({"blocks": {}})", "blocks", "expected a list of objects");
  expect(R"({"blocks": [], "redout": "last"})", "f.json", "unknown field \"redout\"");
  expect(R"({"blocks": [], "readout": "first"})", "readout",
         "expected one of last, mean, flatten, cls, found \"first\"");
  expect(R"({"blocks": [], "readout": 3})", "readout", "expected a text, found 3");
  expect(R"({"blocks": [], "embed": {"se2": "1"}})", "embed, field se2", "expected a number");
  expect(R"({"blocks": [], "embed": {"se2": -1}})", "embed.se2", "expected 0 to 1000000, found -1");
  expect(R"({"blocks": [], "embed": {"se2": 1e999}})", "f.json", "");
  expect(R"({"blocks": [], "embed": {"se2": 0, "pos": "none"}})", "embed", "the kernel is 0");
  expect(R"({"blocks": [], "embed": {"pos": "learned"}})", "pos", "none, iid, sin, decay");
  expect(R"({"blocks": [], "embed": {"dimension": 3}})", "embed.dimension", "even number");
  expect(R"({"blocks": [], "epsilon": -1})", "epsilon", "found -1");
  expect(R"({"blocks": [7]})", "blocks[0]", "expected an object");
  expect(attention(R"("kind": "linaer")"), "blocks[0], field attn, field kind", "linaer");
  expect(attention(R"("qk": -1)"), "blocks[0], field attn.qk", "found -1");
  expect(attention(R"("mask": "padding")"), "mask", "none or causal");
  expect(attention(R"("rope": {"base": 0.5})"), "attn.rope.base", "found 0.5");
  expect(attention(R"("rope": {"base": 10, "dimension": 7})"), "attn.rope.dimension", "even");
  expect(attention(R"json("kind": "relu", "scale": "1/sqrt(d)", "alibi": 1)json"), "attn.alibi",
         "no closed form");
  expect(R"({"blocks": [{"mlp": {"phi": "swish"}}]})", "phi", "silu");
  expect(R"({"blocks": [{"mlp": {"slope": 1e9}}]})", "mlp.slope", "1000");
  expect(R"({"simplified": {}, "readout": "last"})", "readout", "no meaning beside \"simplified\"");
  expect(R"({"simplified": {"querry": true}})", "simplified", "unknown field \"querry\"");
  expect(R"({"simplified": {"norm": "L"}})", "norm", "expected one of none, 1/L, 1/L^2, found \"L\"");
  expect(R"({"simplified": {}, "embed": {"se2": 0, "pos": "none"}})", "embed", "the kernel is 0");
  expect(R"({"simplified": {}, "embed": {"pos": "sin"}})", "embed.pos", "for the simplified block");
  std::string many = R"({"blocks": [{})";
  for (std::size_t i = 0; i < kMostBlocksDeep; ++i) many += ",{}";
  expect(many + "]}", "blocks", "at most 1000, found 1001");
  expect_complaint([] { load_architecture("pre-ln-rellu"); }, ErrorKind::kUsage, "--arch", "pre-ln-rellu");
  expect_complaint([] { load_architecture("./none.json"); }, ErrorKind::kMissingFile, "none.json", "");
}

TEST(SymmetryArchitecture, WhatBreaksTheSymmetry) {
  const auto breaks = [](const std::function<void(Architecture&)>& change) {
    Architecture a = preset("pre-ln-relu");
    change(a);
    return symmetry_breaks(a);
  };
  using A = Architecture;
  EXPECT_TRUE(breaks([](A&) {}).empty());
  EXPECT_TRUE(breaks([](A& a) { a.readout = Readout::kMean; }).empty());
  EXPECT_TRUE(breaks([](A& a) { a.blocks[0].attention->causal = true; }).empty());
  EXPECT_TRUE(breaks([](A& a) { a.embedding.positions = Positions::kNone; }).empty());
  EXPECT_TRUE(symmetry_breaks(preset("simplified")).empty());
  // The first position sees itself alone.
  A first = preset("causal");
  first.readout = Readout::kCls;
  EXPECT_TRUE(symmetry_breaks(first).empty());
  first.embedding.positions = Positions::kSinusoidal;
  EXPECT_TRUE(symmetry_breaks(first).empty());
  first.blocks[0].attention->causal = false;
  EXPECT_FALSE(symmetry_breaks(first).empty());
  const auto expect = [&](const std::function<void(A&)>& change, const std::string& reason) {
    const auto reasons = breaks(change);
    ASSERT_EQ(reasons.size(), 1u) << reason;
    EXPECT_THAT(reasons[0], HasSubstr(reason));
  };
  expect([](A& a) { a.embedding.positions = Positions::kSinusoidal; }, "\"sin\" positions");
  expect([](A& a) { a.embedding.positions = Positions::kDecay; }, "\"decay\" positions");
  expect([](A& a) { a.blocks[0].attention->rope = RotaryEmbedding{}; }, "block 0: rotary");
  expect([](A& a) { a.blocks[0].attention->alibi = 1; }, "ALiBi");
  expect(
      [](A& a) {
        a.blocks[0].attention->positions = Positions::kDecay;
        a.blocks[0].attention->position = 1;
      },
      "block 0: \"decay\"");
  expect(
      [](A& a) {
        a.blocks[0].attention->causal = true;
        a.readout = Readout::kMean;
      },
      "causal mask under the readout \"mean\"");
  expect([](A& a) { a = preset("causal"); }, "block 0: a causal mask below");
  EXPECT_FALSE(ignores_order(preset("pre-ln-relu")));
  A blind = preset("pre-ln-relu");
  blind.embedding.positions = Positions::kNone;
  EXPECT_TRUE(ignores_order(blind));
  blind.blocks[0].attention->position = 1;
  EXPECT_FALSE(ignores_order(blind));
}

TEST(SymmetryArchitecture, WhatHasNoKernel) {
  const auto expect = [](const Architecture& a, const KernelOptions& o, ErrorKind kind,
                         const std::string& message) {
    expect_complaint([&] { Kernel(a, 3, o); }, kind, "", message);
  };
  Architecture soft = preset("sqrt-softmax");
  EXPECT_TRUE(Kernel(soft, 3).monte_carlo());
  expect(soft, {.samples = 3}, ErrorKind::kUsage, "expected 40 to 10000000 samples, found 3");
  expect(soft, {.batches = 1}, ErrorKind::kUsage, "2 to 1000 batches, found 1");
  Architecture turned = soft;
  turned.blocks[0].attention->rope = RotaryEmbedding{};
  expect(turned, {}, ErrorKind::kUnsupported, "rotary");
  expect_complaint([] { Kernel(preset("pre-ln-relu"), 0); }, ErrorKind::kUsage, "vocabulary",
                   "expected a vocabulary");
  Architecture wild = preset("pre-ln-relu");
  wild.weight = -1;
  expect_complaint([&] { Kernel(wild, 3); }, ErrorKind::kUsage, "w2", "found -1");

  const Kernel kernel(preset("pre-ln-relu"), 3);
  const auto prepare = [&](const std::vector<Token>& tokens) {
    return [&kernel, tokens] { kernel.prepare(tokens); };
  };
  expect_complaint(prepare({}), ErrorKind::kUsage, "sequence", "1 to 16384 tokens, found 0");
  expect_complaint(prepare({0, 3}), ErrorKind::kUsage, "sequence",
                   "token 3 at position 1 is out of the vocabulary of 3");
  expect_complaint(prepare(std::vector<Token>(kMostPositions + 1, 0)), ErrorKind::kUsage, "sequence",
                   "found 16385");
  // One row of the first layer is all that is needed of a long sequence.
  EXPECT_EQ(kernel.prepare(std::vector<Token>(kMostPositions, 0)).length(), kMostPositions);
  EXPECT_LT(kernel.working_bytes(kMostPositions), 2e6);
  EXPECT_GT(Kernel(preset("deep"), 3).working_bytes(kMostPositions), 1e10);
  const Kernel simple(preset("simplified"), 3);
  expect_complaint([&] { simple.prepare(std::vector<Token>{1}); }, ErrorKind::kUsage, "sequence", "2 to");
  // e^x of ever larger variances leaves the range of numbers.
  Architecture growing;
  for (int i = 0; i < 3; ++i)
    growing.blocks.push_back({.norm = NormPlace::kNone,
                              .residual = true,
                              .attention = {},
                              .mlp = MlpLayer{.phi = Nonlinearity::kExp, .weight = 9}});
  expect_complaint([&] { Kernel(growing, 3).prepare(std::vector<Token>{1}); }, ErrorKind::kNotFinite, "step",
                   "variance of position 0");
}

TEST(SymmetrySequences, ReadsLines) {
  const Sequences s = parse_sequences("0 1 2\n 3\t1 \r\n7\n", "f.txt");
  ASSERT_EQ(s.size(), 3u);
  EXPECT_EQ(s.items[1], (std::vector<Token>{3, 1}));
  EXPECT_EQ(s.vocabulary, 8u);
  EXPECT_EQ(s.shortest(), 1u);
  EXPECT_EQ(s.longest(), 3u);
  EXPECT_EQ(parse_sequences("1\n2\n1\n1", "f.txt").duplicates(), 2u);
  EXPECT_EQ(parse_sequences("1\n", "f.txt", 50).vocabulary, 50u);
}

TEST(SymmetrySequences, WhatIsWrongInAFile) {
  const auto expect = [](const std::string& text, const std::string& where, const std::string& message,
                         std::size_t vocabulary = 0) {
    expect_complaint([&] { parse_sequences(text, "f.txt", vocabulary); }, ErrorKind::kBadFormat, where,
                     message);
  };
  expect("", "f.txt", "there is no sequence");
  expect("1 2\n\n3\n", "line 2", "the sequence is empty");
  expect("1 x 3\n", "line 1", "column 3: expected a token id, found \"x\"");
  expect("1 -3\n", "line 1", "found \"-3\"");
  expect("1.5\n", "line 1", "found \"1.5\"");
  expect("1 2\n0 9\n", "line 2", "expected a token id of 0 to 8, found 9", 9);
  expect("99999999999\n", "line 1", "expected a token id of 0 to 2147483647");
  expect("99999999999999999999999\n", "line 1", "found \"99999999999999999999999\"");
  std::string wide;
  for (std::size_t i = 0; i <= kMostPositions; ++i) wide += "1 ";
  expect(wide, "line 1", "more than 16384 tokens");
}

TEST(SymmetrySequences, DrawsAreThoseOfTheSeed) {
  const Sequences s = draw_sequences(50, 7, 3, 5);
  EXPECT_EQ(s.size(), 50u);
  EXPECT_EQ(s.longest(), 7u);
  EXPECT_EQ(draw_sequences(50, 7, 3, 5).items, s.items);
  EXPECT_NE(draw_sequences(50, 7, 3, 6).items, s.items);
  EXPECT_EQ(draw_sequences(20, 7, 3, 5).items, std::vector(s.items.begin(), s.items.begin() + 20));
  expect_complaint([] { draw_sequences(0, 7, 3, 5); }, ErrorKind::kUsage, "--random", "found 0");
  expect_complaint([] { draw_sequences(1, 0, 3, 5); }, ErrorKind::kUsage, "--length", "found 0");
  expect_complaint([] { draw_sequences(1, 7, 0, 5); }, ErrorKind::kUsage, "--vocab", "found 0");
}

}  // namespace
}  // namespace telos::symmetry
