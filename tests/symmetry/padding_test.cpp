#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "reference/symmetry_kernel.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/symmetry/gram.h"
#include "telos/symmetry/token_kernel.h"
#include "tests/symmetry/kernel_support.h"

namespace telos::symmetry {
namespace {

using checks::Sequence;
constexpr Token kPad = 7;

Architecture padded(Architecture a) {
  a.padding = kPad;
  return a;
}

Sequence with_padding(std::size_t left, const Sequence& s, std::size_t right) {
  Sequence out(left, kPad);
  out.insert(out.end(), s.begin(), s.end());
  out.insert(out.end(), right, kPad);
  return out;
}

void expect_near(const KernelValue& found, double nngp, double ntk, double tolerance,
                 const std::string& what) {
  EXPECT_NEAR(found.nngp, nngp, tolerance * (1 + std::abs(nngp))) << what;
  EXPECT_NEAR(found.ntk, ntk, tolerance * (1 + std::abs(ntk))) << what;
}

Architecture random_softmax_architecture(Random& random) {
  Architecture a = checks::random_architecture(random);
  for (TransformerBlock& b : a.blocks)
    if (b.attention) {
      b.attention->map = AttentionMap::kSoftmax;
      b.attention->scale = AttentionScale::kRoot;
      b.attention->rope = {};
      b.attention->alibi = random.below(2) == 0 ? 0 : 0.3;
    }
  return a;
}

/// The slow version keeps padded positions and masks them.
TEST(SymmetryPadding, IsAMask) {
  Random random(1, 71);
  for (int i = 0; i < 300; ++i) {
    const Architecture a = padded(checks::random_architecture(random));
    Sequence x = checks::random_sequence(random, 1 + random.below(3), 3),
             y = checks::random_sequence(random, 1 + random.below(3), 3);
    x = with_padding(random.below(3), x, random.below(3));
    y = with_padding(random.below(3), y, random.below(3));
    if (i % 3 == 0) x.push_back(1);  // padding in the middle
    const checks::slow::Value known = evaluate(checks::as_slow(a), x, y);
    expect_near(Kernel(a, 3, {.ntk = true})(x, y), known.nngp, known.ntk, 1e-12,
                std::to_string(i) + ": " + describe(a));
  }
}

TEST(SymmetryPadding, OnTheRightIsTrimmed) {
  Random random(2, 71);
  for (int i = 0; i < 200; ++i) {
    const bool softmax = i % 4 == 0;
    const Architecture a =
        padded(softmax ? random_softmax_architecture(random) : checks::random_architecture(random));
    const Sequence x = checks::random_sequence(random, 1 + random.below(5), 3),
                   y = checks::random_sequence(random, 1 + random.below(5), 3);
    const Kernel kernel(a, 3, {.ntk = true, .samples = 40});
    const KernelValue trimmed = kernel(x, y), found = kernel(with_padding(0, x, 1 + random.below(3)),
                                                             with_padding(0, y, random.below(3)));
    expect_near(found, trimmed.nngp, trimmed.ntk, 1e-13, std::to_string(i) + ": " + describe(a));
    EXPECT_EQ(found.error, trimmed.error);
  }
}

/// Positions stay where they are: what depends on distances is as trimmed where both sequences move alike.
TEST(SymmetryPadding, OnTheLeftKeepsPositions) {
  Random random(3, 71);
  for (int i = 0; i < 200; ++i) {
    const Architecture a = padded(checks::random_architecture(random));
    const Sequence x = checks::random_sequence(random, 1 + random.below(5), 3),
                   y = checks::random_sequence(random, 1 + random.below(5), 3);
    const Kernel kernel(a, 3, {.ntk = true});
    const KernelValue trimmed = kernel(x, y);
    expect_near(kernel(with_padding(4, x, 1), with_padding(4, y, 0)), trimmed.nngp, trimmed.ntk, 1e-13,
                std::to_string(i) + ": " + describe(a));
  }
  const Kernel kernel(padded(preset("pre-ln-relu")), 3);
  const Sequence x = {0, 1, 2}, y = {2, 1, 1};
  EXPECT_GT(std::abs(kernel(with_padding(1, x, 0), y).nngp - kernel(x, y).nngp), 1e-3);
  Architecture blind = padded(preset("deep"));
  blind.embedding.positions = Positions::kNone;
  EXPECT_NEAR(Kernel(blind, 3)(with_padding(2, x, 1), with_padding(0, y, 3)).nngp,
              Kernel(blind, 3)(x, y).nngp, 1e-14);
}

TEST(SymmetryPadding, InSinglePrecision) {
  Random random(5, 71);
  std::size_t single = 0;
  for (int i = 0; i < 200; ++i) {
    const Architecture a = padded(checks::random_architecture(random));
    const Kernel exact(a, 3), rounded(a, 3, {.precision = Precision::kSingle});
    single += rounded.stays_double().empty();
    Sequence x = with_padding(random.below(3), checks::random_sequence(random, 3, 3), random.below(2)),
             y = with_padding(random.below(3), checks::random_sequence(random, 4, 3), 0);
    y.push_back(1);
    const double known = exact(x, y).nngp, scale = std::sqrt(exact(x, x).nngp * exact(y, y).nngp);
    EXPECT_NEAR(rounded(x, y).nngp, known, 2e-6 * scale) << i << ": " << describe(a);
  }
  EXPECT_GT(single, 20u);
}

/// Samples of softmax at 1/√d as well: the slow version integrates, over at most two tokens.
TEST(SymmetryPadding, UnderRandomLogits) {
  Random random(4, 71);
  for (int i = 0; i < 12; ++i) {
    const Architecture a = padded(random_softmax_architecture(random));
    const Sequence x = with_padding(random.below(3), checks::random_sequence(random, 2, 3), 1),
                   y = with_padding(random.below(2), checks::random_sequence(random, 2, 3), 0);
    const KernelValue found = Kernel(a, 3, {.ntk = true, .samples = 4000})(x, y);
    const checks::slow::Value known = evaluate(checks::as_slow(a), x, y);
    EXPECT_NEAR(found.nngp, known.nngp, 5 * found.error + 1e-10) << i << ": " << describe(a);
    EXPECT_NEAR(found.ntk, known.ntk, 5 * found.ntk_error + 1e-10) << i << ": " << describe(a);
  }
}

TEST(SymmetryPadding, OfTheSimplifiedBlock) {
  for (const bool query : {true, false}) {
    Architecture a = padded(preset("simplified"));
    a.simplified->query = query;
    const Kernel kernel(a, 3, {.ntk = true});
    const Sequence x = {0, 1, 2, 1}, y = {2, 1, 1};
    const KernelValue trimmed = kernel(x, y);
    expect_near(kernel(with_padding(0, x, 2), with_padding(0, y, 1)), trimmed.nngp, trimmed.ntk, 0, "right");
    expect_near(kernel(with_padding(3, x, 0), with_padding(3, y, 1)), trimmed.nngp, trimmed.ntk, 0, "left");
    EXPECT_NE(kernel(with_padding(1, x, 0), y).nngp, trimmed.nngp);
  }
}

TEST(SymmetryPadding, OfGramMatrices) {
  const Arena arena(2);
  Sequences s = draw_sequences(20, 6, 4, 1), p = s;
  for (std::size_t i = 0; i < s.size(); ++i) {
    s.items[i].resize(2 + i % 5);
    p.items[i] = with_padding(0, s.items[i], 6 - s.items[i].size());
  }
  for (const Preset& known : presets()) {
    const Kernel kernel(padded(preset(known.name)), 4, {.ntk = true, .samples = 40});
    const Matrix<double> found = gram(kernel, p, {.ntk = true}, arena).values().copy(),
                         trimmed = gram(kernel, s, {.ntk = true}, arena).values().copy();
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found.data()[i], trimmed.data()[i], 1e-13 * (1 + trimmed.data()[i])) << known.name;
  }
}

/// Only tokens are permuted, within sequences that have them at the same places.
TEST(SymmetryPadding, DoesNotBreakTheSymmetry) {
  Sequences s = draw_sequences(40, 6, 4, 1);
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (i % 2 == 0) s.items[i][0] = kPad;
    s.items[i].push_back(kPad);
  }
  const Kernel kernel(padded(preset("pre-ln-relu")), 4);
  const Breaking b = measure_breaking(kernel, s, false, 50, 1, Arena(1));
  EXPECT_EQ(b.pairs, 50u);
  EXPECT_LT(b.value, 1e-20);
  EXPECT_GT(b.order, 1e-8);
}

TEST(SymmetryPadding, InFiles) {
  const Architecture a = parse_architecture(R"({"blocks": [], "pad_token_id": 7})", "test");
  EXPECT_EQ(a.padding, std::optional<std::uint32_t>(7));
  EXPECT_EQ(parse_architecture(to_json(a), "again").padding, a.padding);
  EXPECT_FALSE(parse_architecture(R"({"blocks": [], "pad_token_id": null})", "test").padding);
  EXPECT_EQ(parse_architecture(R"({"simplified": {}, "pad_token_id": 0})", "test").padding, 0u);
  EXPECT_THAT(describe(a), ::testing::HasSubstr("padding 7"));
  EXPECT_THROW(parse_architecture(R"({"blocks": [], "pad_token_id": -1})", "test"), Error);
  EXPECT_THROW(parse_architecture(R"({"blocks": [], "pad_token_id": 5000000000})", "test"), Error);
}

TEST(SymmetryPadding, WhatCannotBeUsed) {
  const auto message = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  };
  const Kernel kernel(padded(preset("pre-ln-relu")), 3), simple(padded(preset("simplified")), 3);
  EXPECT_THAT(message([&] {
                kernel.prepare(Sequence{kPad, kPad});
              }),
              ::testing::HasSubstr("tokens beside padding, found 0"));
  EXPECT_THAT(message([&] {
                simple.prepare(Sequence{kPad, 1});
              }),
              ::testing::HasSubstr("expected 2 to 16384 tokens beside padding, found 1"));
  EXPECT_THAT(message([&] {
                kernel.prepare(Sequence{kPad, 3});
              }),
              ::testing::HasSubstr("token 3 at position 1"));
  EXPECT_EQ(kernel.prepare(Sequence{kPad, 2, 1, kPad}).length(), 2u);
  Architecture inside = preset("pre-ln-relu");
  inside.padding = 1;
  EXPECT_THAT(message([&] { token_kernel(Kernel(inside, 3)); }), ::testing::HasSubstr("for padding"));
}

}  // namespace
}  // namespace telos::symmetry
