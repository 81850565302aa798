#include "telos/smoothing/lab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "telos/base/error.h"
#include "tests/smoothing/support.h"

namespace telos::smoothing {
namespace {

using namespace test;
using System = TransformerSystem;

const LayerRecord& at(const SimulationResult& result, std::size_t layer) {
  for (const LayerRecord& record : result.records)
    if (record.layer == layer) return record;
  throw std::out_of_range("layer " + std::to_string(layer) + " was not recorded");
}

SimulationSpec stack(System::Norm norm, System::Spectrum spectrum, System::Mask mask, double gamma = 1) {
  System system;
  system.norm = norm;
  system.spectrum = spectrum;
  system.mask = mask;
  system.gamma = gamma;
  SimulationSpec spec;
  spec.name = "stack";
  spec.system = system;
  spec.record_every = 12;
  return spec;
}

// ---- Linear systems ----

struct Row {
  const char* name;
  std::size_t layer;
  double log_norm, hfc_lfc, cos_mean, res_1inf, stable_rank, eff_rank;
};
// Computed once in NumPy, float64; ten digits each.
constexpr Row kRows[] = {
    {"t1", 5, 2.1794082813, 1.5177169295, .2002340395, .8386922608, 1.5600719705, 2.6825395292},
    {"t1", 20, 7.9273245381, 3.6131776829e-2, .9999980727, 3.8359723534e-2, 1.0000013755, 1.0124403216},
    {"t1", 50, 20.1293667946, 4.2779870964e-5, 1, 4.3241032403e-5, 1, 1.0000007339},
    {"t2", 5, 1.2690706433, 3.1656172484, -.2393541787, .9568623856, 1.0429626295, 1.7173172064},
    {"t2", 50, .9391622874, 5.1204202335e4, -.3333330403, .9999923122, 1.0002555556, 1.0892085265},
    {"t3", 5, 2.4683198864, 10.968391373, -.3103740920, .9823209298, 1.0637298434, 1.9858108279},
    {"t3", 20, 7.0845703822, 2.9576562634e4, -.3333333074, .9999910043, 1.0000475886, 1.0507602139},
    {"t4", 10, 1.2824852252, 1.0000210930, .3333162843, .7085248626, 1.3000236186, 1.9523882266},
    {"t4", 50, 1.2824746787, 1, .3333333333, .7071067812, 1.3, 1.9151982080},
    {"t6", 10, -1.2068029509, 3.1733278234e-4, 1, 3.1615970805e-4, 1, 1.0000279118},
    {"t8", 20, .2801593673, 1.6101656433, -.0038906757, .9347205441, 1.0010198782, 1.1503285244},
    {"t8", 1000, -62.5685508904, 1.7320508012, 0, 1.0606601694, 1, 1},
};

class LinearTable : public testing::TestWithParam<Row> {};

TEST_P(LinearTable, NineDigits) {
  const Row& row = GetParam();
  const TokenMeasures m = at(simulate(preset(row.name)), row.layer).mean;
  EXPECT_NEAR(m.log_norm, row.log_norm, 1e-9);
  EXPECT_NEAR(m.hfc_lfc, row.hfc_lfc, 1e-9 * std::max(1.0, row.hfc_lfc));
  EXPECT_NEAR(m.cos_mean, row.cos_mean, 1e-9);
  EXPECT_NEAR(m.res_1inf, row.res_1inf, 1e-9);
  EXPECT_NEAR(m.stable_rank, row.stable_rank, 1e-9);
  EXPECT_NEAR(m.eff_rank, row.eff_rank, 1e-9);
}
INSTANTIATE_TEST_SUITE_P(Presets, LinearTable, testing::ValuesIn(kRows), [](const auto& test) {
  return std::string(test.param.name) + "_layer" + std::to_string(test.param.layer);
});

TEST(Linear, OneLayerByHand) {
  for (const auto& [name, expected] : std::map<std::string, ref::Mat>{
           {"t1", {{2.4, -.1, .77}, {.15, 1.09, -1.51}, {1.1, 1.16, -.79}, {-2.15, 2.35, 1.93}}},
           {"t3", {{2.27, -.77, 1.29}, {-.18, .53, -.95}, {.73, .67, .05}, {-2.72, 1.97, 2.81}}}}) {
    SimulationSpec spec = preset(name);
    spec.layers = 1;
    const SimulationResult result = simulate(spec);
    const double norm = ref::frobenius(expected);
    EXPECT_LT(largest_difference(result.final_tokens, ref::scale(expected, 1 / norm)), 1e-15) << name;
    EXPECT_NEAR(at(result, 1).mean.log_norm, std::log(norm), 1e-14);
  }
}

TEST(Linear, EqualsTheClosedFormAndTheReference) {
  Random random(41);
  for (int trial = 0; trial < 20; ++trial) {
    const std::size_t n = 2 + random.below(6), d = 1 + random.below(5), layers = 1 + random.below(60);
    const ref::Mat a = random_attention(random, n), x0 = normals(random, n, d);
    const ref::Mat h = ref::scale(normals(random, d, d), 1 / std::sqrt(static_cast<double>(d)));
    SimulationSpec spec;
    spec.layers = layers;
    spec.system = LinearSystem{matrix(a), matrix(h), matrix(x0), 0.9};
    const SimulationResult result = simulate(spec);
    const ModeTable table = mode_table(matrix(a), matrix(h), matrix(x0), 0.9);
    const double tolerance = 1e-13 * table.kappa_a * table.kappa_h * static_cast<double>(1 + layers);
    const ref::Scaled iterated = ref::iterate(a, h, x0, 0.9, layers);
    EXPECT_LT(largest_difference(result.final_tokens, iterated.x), 1e-12 * static_cast<double>(layers));
    EXPECT_LT(largest_difference(result.final_tokens, nested(tokens_at(table, layers).x)), tolerance);
    EXPECT_NEAR(at(result, layers).mean.log_norm, iterated.log_norm, 1e-12 * static_cast<double>(layers));
    EXPECT_EQ(result.records.size(), layers + 1);
    ASSERT_TRUE(result.prediction.has_value());
  }
}

TEST(Linear, PredictionComesWithTheRun) {
  const std::map<std::string, Regime> expected{{"t1", Regime::kSmoothing},
                                               {"t2", Regime::kSharpening},
                                               {"t3", Regime::kSharpening},
                                               {"t4", Regime::kBalanced},
                                               {"t6", Regime::kSmoothing},
                                               {"t8", Regime::kSharpening},
                                               {"zero-coefficient", Regime::kSharpening}};
  for (const auto& [name, regime] : expected)
    EXPECT_EQ(simulate(preset(name)).prediction->regime, regime) << name;
}

TEST(Linear, ZeroCoefficientFollowsTheNextModeUntilRoundOffRevivesIt) {
  const SimulationResult result = simulate(preset("zero-coefficient"));
  const auto slope = [&](std::size_t layer) {
    return at(result, layer).mean.log_norm - at(result, layer - 1).mean.log_norm;
  };
  EXPECT_NEAR(slope(200), std::log(1.2), 5e-3);
  EXPECT_NEAR(slope(400), std::log(1.36), 5e-3);
}

// X' = X + (1/2)11ᵀX: PX stays as it is, the mean doubles; far beyond what one matrix of doubles can hold.
TEST(Linear, TheVaryingPartDoesNotDrownInTheMean) {
  SimulationSpec spec;
  spec.layers = 3000;
  spec.record_every = 50;
  spec.system = LinearSystem{matrix({{.5, .5}, {.5, .5}}), matrix({{1}}), matrix({{1}, {2}}), 1};
  for (const LayerRecord& r : simulate(spec).records) {
    EXPECT_NEAR(r.mean.dirichlet, 1, 1e-11) << r.layer;
    EXPECT_NEAR(r.mean.log_norm, std::log(1.5 * std::sqrt(2)) + static_cast<double>(r.layer) * std::log(2),
                r.layer == 0 ? 0.1 : 1e-9);
    if (r.layer > 1000) continue;  // then the ratio itself leaves the range of double
    EXPECT_NEAR(std::log(r.mean.hfc_lfc), -std::log(3) - static_cast<double>(r.layer) * std::log(2), 1e-9);
  }
  std::get<LinearSystem>(spec.system).tokens = matrix({{.1}, {.1}});  // equal: exactly nothing varies
  EXPECT_EQ(simulate(spec).records.back().mean.hfc_lfc, 0);
}

TEST(Linear, NothingSurvives) {
  SimulationSpec spec = preset("t6");
  std::get<LinearSystem>(spec.system).weights = Matrix<double>(3, 3);
  const SimulationResult result = simulate(spec);
  EXPECT_EQ(result.prediction->regime, Regime::kNull);
  EXPECT_EQ(at(result, 50).mean.log_norm, -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(at(result, 50).mean.hfc_lfc));
  EXPECT_EQ(ref::frobenius(nested(result.final_tokens)), 0);
}

// ---- Random stacks ----

TEST(Transformer, DrawHasTheSpectrumItPromises) {
  System system;
  for (const auto basis : {System::Basis::kOrthogonal, System::Basis::kGeneral})
    for (const auto spectrum :
         {System::Spectrum::kSmooth, System::Spectrum::kSharp, System::Spectrum::kFree}) {
      system.basis = basis;
      system.spectrum = spectrum;
      const TransformerDraw draw = draw_transformer(system, 3);
      ref::Mat sum = ref::zeros(32, 32);
      for (const TransformerDraw::Head& head : draw.heads)
        sum = ref::add(sum, ref::multiply(nested(head.wv), nested(head.wo)));
      std::vector<double> wanted = draw.lambda, found;
      for (Complex h : mode_table(matrix({{1}}), matrix(sum)).h) {
        EXPECT_LT(std::abs(h.imag()), 1e-9);
        found.push_back(h.real());
      }
      std::sort(wanted.begin(), wanted.end());
      std::sort(found.begin(), found.end());
      for (std::size_t j = 0; j < 32; ++j) EXPECT_NEAR(found[j], wanted[j], 1e-9);
      if (spectrum == System::Spectrum::kSmooth) {
        EXPECT_GE(wanted.front(), 0);
      }
      if (spectrum == System::Spectrum::kSharp) {
        EXPECT_LE(wanted.back(), 0);
      }
      if (spectrum == System::Spectrum::kFree) {
        EXPECT_LT(wanted.front() * wanted.back(), 0);
      }
    }
}

TEST(Transformer, EigenvalueForms) {
  using S = System::Spectrum;
  using E = System::Eigenvalues;
  EXPECT_EQ(eigenvalue(1.5, S::kSmooth, E::kClip), 1);
  EXPECT_EQ(eigenvalue(-1.5, S::kSmooth, E::kClip), 0);
  EXPECT_EQ(eigenvalue(-.4, S::kSharp, E::kClip), -.4);
  EXPECT_EQ(eigenvalue(.4, S::kSharp, E::kClip), 0);
  EXPECT_EQ(eigenvalue(.5, S::kSharp, E::kSquare), -.25);
  EXPECT_EQ(eigenvalue(3, S::kSmooth, E::kSquare), 1);
  EXPECT_EQ(eigenvalue(0, S::kSharp, E::kSigmoid), -.5);
  EXPECT_EQ(eigenvalue(-.3, S::kSmooth, E::kUniform), .3);
  EXPECT_EQ(eigenvalue(-2, S::kFree, E::kSquare), -1);
}

TEST(Transformer, EqualsTheReference) {
  for (const auto norm : {System::Norm::kNone, System::Norm::kPre, System::Norm::kPost})
    for (const auto mask : {System::Mask::kFull, System::Mask::kCausal}) {
      SimulationSpec spec = stack(norm, System::Spectrum::kFree, mask, -0.8);
      System& system = std::get<System>(spec.system);
      system.seeds = 1;
      system.residual = 0.9;
      system.logit_scale = 1.5;
      spec.layers = 12;
      spec.record_every = 1;
      const SimulationResult result = simulate(spec);
      const TransformerDraw draw = draw_transformer(system, 0);
      std::vector<ref::Head> heads;
      for (const TransformerDraw::Head& head : draw.heads)
        heads.push_back({nested(head.wq), nested(head.wk), nested(head.wv), nested(head.wo)});
      ref::Mat x = nested(draw.tokens);
      for (std::size_t layer = 0; layer <= 12; ++layer) {
        const ref::Measures expected = ref::measures(x);
        const TokenMeasures& found = at(result, layer).mean;
        EXPECT_NEAR(found.cos_mean, expected.cos_mean, 1e-11);
        EXPECT_NEAR(found.hfc_lfc, expected.hfc_lfc, 1e-10 * expected.hfc_lfc);
        EXPECT_NEAR(found.log_norm, expected.log_norm, 1e-11);
        EXPECT_NEAR(found.stable_rank, expected.stable_rank, 1e-9 * expected.stable_rank);
        x = ref::transformer_layer(x, heads, static_cast<ref::Norm>(norm), mask == System::Mask::kCausal,
                                   -0.8, 0.9, 1.5, 1e-5);
      }
    }
}

// Mean over 8 seeds at 48 layers. The bands are those of independent NumPy runs of the same experiment:
// collapsed means > .9, not collapsed |cos| < .15; the spread between seeds is a few hundredths.
TEST(Transformer, SmoothAndFreeCollapseSharpDoesNot) {
  for (const auto norm : {System::Norm::kNone, System::Norm::kPre, System::Norm::kPost})
    for (const auto mask : {System::Mask::kFull, System::Mask::kCausal}) {
      const auto final_cos = [&](System::Spectrum spectrum, double gamma) {
        const SimulationResult result = simulate(stack(norm, spectrum, mask, gamma));
        EXPECT_EQ(result.runs, 8u);
        EXPECT_LT(std::abs(at(result, 0).mean.cos_mean), 0.05);
        EXPECT_LT(at(result, 48).standard_error.cos_mean, 0.05);
        return at(result, 48).mean.cos_mean;
      };
      SCOPED_TRACE(std::string(to_string(norm)) + " " + std::string(to_string(mask)));
      EXPECT_GT(final_cos(System::Spectrum::kSmooth, 1), 0.9);
      EXPECT_GT(final_cos(System::Spectrum::kFree, 1), 0.9);
      EXPECT_LT(std::abs(final_cos(System::Spectrum::kSharp, 1)), 0.15);
      if (norm == System::Norm::kPre) {
        EXPECT_LT(std::abs(final_cos(System::Spectrum::kSmooth, -1)), 0.15) << "γ < 0 swaps the two";
        EXPECT_GT(final_cos(System::Spectrum::kSharp, -1), 0.9) << "γ < 0 swaps the two";
      }
    }
}

bool same_bits(const SimulationResult& a, const SimulationResult& b) {
  if (a.records.size() != b.records.size()) return false;
  for (std::size_t k = 0; k < a.records.size(); ++k)
    if (std::memcmp(&a.records[k].mean, &b.records[k].mean, sizeof(TokenMeasures)) != 0 ||
        std::memcmp(&a.records[k].standard_error, &b.records[k].standard_error, sizeof(TokenMeasures)) != 0)
      return false;
  return true;
}

TEST(Transformer, PostNormIgnoresTheSignOfGammaToTheBit) {
  for (const auto mask : {System::Mask::kFull, System::Mask::kCausal})
    for (const auto spectrum : {System::Spectrum::kSmooth, System::Spectrum::kSharp, System::Spectrum::kFree})
      EXPECT_TRUE(same_bits(simulate(stack(System::Norm::kPost, spectrum, mask, 1)),
                            simulate(stack(System::Norm::kPost, spectrum, mask, -1))));
}

TEST(Transformer, PreNormWithNegativeGammaIsNegatedWeights) {
  // LN_{−γ} = −LN_γ: the same stack with Λ → −Λ. The draw of sharp is that of smooth with the sign turned.
  const SimulationResult flipped =
      simulate(stack(System::Norm::kPre, System::Spectrum::kSmooth, System::Mask::kFull, -1));
  const SimulationResult sharp =
      simulate(stack(System::Norm::kPre, System::Spectrum::kSharp, System::Mask::kFull, 1));
  EXPECT_TRUE(same_bits(flipped, sharp));
}

TEST(Transformer, SameBitsForAnyNumberOfThreads) {
  for (const auto norm : {System::Norm::kNone, System::Norm::kPost}) {
    const SimulationSpec spec = stack(norm, System::Spectrum::kFree, System::Mask::kFull);
    const SimulationResult one = simulate(spec, Arena(1));
    for (int threads : {2, 7}) EXPECT_TRUE(same_bits(one, simulate(spec, Arena(threads)))) << threads;
  }
  SimulationSpec linear = preset("t3");
  EXPECT_TRUE(same_bits(simulate(linear, Arena(1)), simulate(linear, Arena(7))));
}

TEST(Transformer, SeedsAreSeedsAndRunsAreRuns) {
  SimulationSpec spec = stack(System::Norm::kPre, System::Spectrum::kFree, System::Mask::kFull);
  const SimulationResult first = simulate(spec);
  std::get<System>(spec.system).seed = 2;
  EXPECT_FALSE(same_bits(first, simulate(spec)));
  std::get<System>(spec.system).seed = 1;
  std::get<System>(spec.system).seeds = 1;
  const SimulationResult single = simulate(spec);
  EXPECT_TRUE(std::isnan(at(single, 12).standard_error.cos_mean));
  EXPECT_NE(at(single, 12).mean.cos_mean, at(first, 12).mean.cos_mean);
}

// Without norm the tokens grow past the range of double; powers of two keep every ratio as it was.
TEST(Transformer, LongStacksWithoutNormStayInRange) {
  SimulationSpec spec = stack(System::Norm::kNone, System::Spectrum::kSmooth, System::Mask::kFull);
  spec.layers = 1500;
  spec.record_every = 500;
  std::get<System>(spec.system).seeds = 1;
  const SimulationResult result = simulate(spec);
  EXPECT_GT(at(result, 1500).mean.log_norm, 750) << "beyond e^709 = the range of double";
  EXPECT_NEAR(at(result, 1500).mean.cos_mean, 1, 1e-12);
}

// ---- Interventions ----

TEST(Interventions, KnownValues) {
  const ref::Mat a = ref::attention(kX0, kX0, 1 / std::sqrt(3.0), false);
  const auto expect_row = [](const Matrix<double>& m, std::size_t row, const std::vector<double>& expected) {
    for (std::size_t j = 0; j < expected.size(); ++j)
      EXPECT_NEAR(m(row, j), expected[j], 5e-10) << row << " " << j;
  };
  expect_row(attn_scale(matrix(a), .5), 3, {-.124954004, -.124954004, -.1249180667, 1.3748260747});
  expect_row(contra_norm(matrix(kX0), .1), 0, {2.111278073, -.0707534096, 1.0248223817});
  ref::Mat v0 = kX0;
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 3; ++j) v0[i][j] = static_cast<double>(3 * i + j) / 10;
  expect_row(neutreno(matrix(a), matrix(kX0), matrix(v0), .6), 0, {.5057515202, .2784908642, .3772667514});
  const std::vector<double> s{.2}, t{.5};
  expect_row(feat_scale(matrix(kX0), s, t), 0, {2.925, -.3, 1.275});
  expect_row(feat_scale(matrix(kX0), s, t, true), 0, {3.85, -.6, 1.55});
}

TEST(Interventions, EqualTheReferenceAndVanishAtZero) {
  Random random(42);
  for (int trial = 0; trial < 20; ++trial) {
    const std::size_t n = 2 + random.below(8), d = 1 + random.below(8);
    const ref::Mat a = random_attention(random, n), x = normals(random, n, d), v0 = normals(random, n, d);
    const double p = random.normal(), q = random.normal();
    const std::vector<double> s{p}, t{q}, zero{0};
    EXPECT_LT(largest_difference(attn_scale(matrix(a), p), ref::attn_scale(a, p)), 1e-14);
    EXPECT_LT(largest_difference(contra_norm(matrix(x), p), ref::contra_norm(x, p)), 1e-13);
    EXPECT_LT(largest_difference(neutreno(matrix(a), matrix(x), matrix(v0), p), ref::neutreno(a, x, v0, p)),
              1e-13);
    EXPECT_LT(largest_difference(feat_scale(matrix(x), s, t), ref::feat_scale(x, p, q, false)), 1e-13);
    EXPECT_LT(largest_difference(feat_scale(matrix(x), s, t, true), ref::feat_scale(x, p, q, true)), 1e-13);

    EXPECT_EQ(largest_difference(attn_scale(matrix(a), 0), a), 0);
    EXPECT_EQ(largest_difference(contra_norm(matrix(x), 0), x), 0);
    EXPECT_EQ(largest_difference(feat_scale(matrix(x), zero, zero), x), 0);
    EXPECT_LT(largest_difference(neutreno(matrix(a), matrix(x), matrix(v0), 0), ref::multiply(a, x)), 1e-14);
  }
  // One value a channel acts on its own channel only.
  const std::vector<double> channels{1, 0, 0}, none{0};
  const Matrix<double> one = feat_scale(matrix(kX0), none, channels);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(one(i, 1), kX0[i][1]);
  EXPECT_EQ(one(0, 0), 2 + 1.75);
  // A zero row has no direction: contra_norm treats it as orthogonal to all.
  EXPECT_TRUE(std::isfinite(contra_norm(Matrix<double>(3, 2), 1)(1, 1)));
}

TEST(Interventions, RefuseWhatDoesNotFit) {
  const std::vector<double> two{1, 2}, one{1};
  EXPECT_THROW(feat_scale(matrix(kX0), two, one), Error);
  EXPECT_THROW(feat_scale(matrix(kX0), one, two), Error);
  EXPECT_THROW(attn_scale(matrix(kX0), 1), Error);
  EXPECT_THROW(neutreno(matrix(kA1), matrix(kX0), matrix({{1}}), 1), Error);
}

// Every knob reaches the layers: off it changes nothing, on it acts against (or for) the collapse as
// published.
TEST(Interventions, ActInTheStack) {
  const auto spec_with = [](const Interventions& use, System::Norm norm = System::Norm::kPre) {
    SimulationSpec spec = stack(norm, System::Spectrum::kSmooth, System::Mask::kFull);
    std::get<System>(spec.system).interventions = use;
    return spec;
  };
  const auto final_frac = [](const SimulationResult& r) { return at(r, 48).mean.hfc_frac; };
  const SimulationResult plain = simulate(spec_with({}));
  Interventions use;
  use.feat_scale_official = true;  // without s and t it has nothing to scale
  EXPECT_TRUE(same_bits(plain, simulate(spec_with(use))));

  use = {};
  use.residual_by_depth = true;
  EXPECT_GT(final_frac(simulate(spec_with(use))), 2 * final_frac(plain));
  use = {};
  use.attn_scale = 1;
  EXPECT_GT(final_frac(simulate(spec_with(use))), 2 * final_frac(plain));
  use = {};
  use.feat_scale_high = 2;
  const double high = final_frac(simulate(spec_with(use)));
  EXPECT_GT(high, 1.2 * final_frac(plain));
  use.feat_scale_official = true;
  EXPECT_GT(final_frac(simulate(spec_with(use))), high) << "the official code scales twice";
  use = {};
  use.feat_scale_low = 2;
  EXPECT_LT(final_frac(simulate(spec_with(use))), final_frac(plain));
  use = {};
  use.contra_norm = 0.5;
  EXPECT_GT(final_frac(simulate(spec_with(use))), 2 * final_frac(plain));
  use = {};
  use.neutreno = 0.6;
  EXPECT_GT(final_frac(simulate(spec_with(use))), 2 * final_frac(plain));
}

TEST(Interventions, NeutrenoKeepsTheScaleOfTheFirstValues) {
  // Without norm, tokens are kept in range by powers of two; V_0 must follow. Against a plain loop.
  SimulationSpec spec = stack(System::Norm::kNone, System::Spectrum::kSmooth, System::Mask::kFull);
  System& system = std::get<System>(spec.system);
  system.seeds = 1;
  system.residual = 4;  // 2^64 is passed at layer 32
  system.interventions.neutreno = 0.6;
  spec.layers = 60;
  const SimulationResult result = simulate(spec);
  const TransformerDraw draw = draw_transformer(system, 0);
  ref::Mat x = nested(draw.tokens);
  std::vector<ref::Mat> v0;
  for (std::size_t layer = 0; layer < 60; ++layer) {
    const ref::Mat normed = ref::layer_norm(x, 1, 1e-5);
    ref::Mat out = ref::scale(x, 4);
    for (std::size_t h = 0; h < draw.heads.size(); ++h) {
      const auto& head = draw.heads[h];
      const ref::Mat a = ref::attention(ref::multiply(normed, nested(head.wq)),
                                        ref::multiply(normed, nested(head.wk)), 1 / std::sqrt(8.0), false);
      const ref::Mat v = ref::multiply(x, nested(head.wv));
      if (layer == 0) v0.push_back(v);
      out = ref::add(out, ref::multiply(layer == 0 ? ref::multiply(a, v) : ref::neutreno(a, v, v0[h], 0.6),
                                        nested(head.wo)));
    }
    x = out;
  }
  EXPECT_NEAR(at(result, 60).mean.log_norm, std::log(ref::frobenius(x)), 1e-10);
  EXPECT_GT(at(result, 60).mean.log_norm, 64 * std::log(2.0));
  EXPECT_NEAR(at(result, 60).mean.cos_mean, ref::measures(x).cos_mean, 1e-9);
}

// ---- Systems by name and by file ----

TEST(Systems, EveryPresetRunsAndSurvivesItsFile) {
  const std::vector<SystemPreset> presets = preset_list();
  EXPECT_EQ(presets.size(), 7u + 18u);
  for (const SystemPreset& known : presets) {
    SimulationSpec spec = preset(known.name), again = parse_system(system_json(spec), "again.json");
    EXPECT_EQ(again.name, known.name);
    EXPECT_EQ(system_json(again), system_json(spec));
    EXPECT_FALSE(known.summary.empty());
    spec.layers = again.layers = 3;
    EXPECT_TRUE(same_bits(simulate(spec), simulate(again))) << known.name;
  }
  try {
    preset("t\x1b[2J");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.where(), testing::Not(testing::HasSubstr("\x1b")));
    EXPECT_THAT(error.hint(), testing::HasSubstr("pre-smooth"));
  }
}

TEST(Systems, ExampleShowsEveryField) {
  const std::string example = system_json_example();
  for (const char* field :
       {R"("tokens":)", R"("width":)", R"("heads":)", R"("spectrum":)", R"("norm":)", R"("mask":)",
        R"("basis":)", R"("eigenvalues":)", R"("gamma":)", R"("residual":)", R"("logit_scale":)",
        R"("seeds":)", R"("seed":)", R"("interventions":)", R"("neutreno":)", R"("record_every":)"})
    EXPECT_THAT(example, testing::HasSubstr(field));
  EXPECT_EQ(parse_system(example, "x").layers, 48u);
}

TEST(Systems, DefaultsOfAShortFile) {
  const SimulationSpec spec = parse_system(
      R"({"transformer": {"norm": "post", "eigenvalues": "sigmoid", "interventions": {"neutreno": 0.6}}})",
      "short.json");
  const System& system = std::get<System>(spec.system);
  EXPECT_EQ(spec.name, "short.json");
  EXPECT_EQ(system.norm, System::Norm::kPost);
  EXPECT_EQ(system.eigenvalues, System::Eigenvalues::kSigmoid);
  EXPECT_EQ(system.interventions.neutreno, 0.6);
  EXPECT_EQ(system.width, 32u);
}

struct BadFile {
  const char *text, *where, *message;
};
TEST(Systems, ComplaintsNameTheFieldWhatWasExpectedAndFound) {
  const BadFile files[] = {
      {R"({"layers": 3})", ": linear", "exactly one of the fields linear and transformer, found neither"},
      {R"({"linear": {}, "transformer": {}})", ": transformer", "found both"},
      {R"({"layer": 3, "transformer": {}})", ": layer", "expected one of the fields name, layers"},
      {R"({"layers": -3, "transformer": {}})", ": layers", "a whole number that is not negative, found -3"},
      {R"({"layers": 2.5, "transformer": {}})", ": layers", "found 2.5"},
      {R"({"layers": 10000000, "transformer": {}})", ": layers", "from 0 to 1000000"},
      {R"({"record_every": 0, "transformer": {}})", ": record_every", "from 1 to"},
      {R"({"layers": 1000000, "transformer": {}})", ": record_every", "at most 2000000 records"},
      {R"({"name": 7, "transformer": {}})", ": name", "a string, found 7"},
      {R"([1, 2])", "bad.json", "expected an object, found a list of 2"},
      {R"({"transformer": null})", ": transformer", "expected an object, found null"},
      {R"({"transformer": {"norm": "rms"}})", ": transformer.norm", R"("none" "pre" "post", found "rms")"},
      {R"({"transformer": {"heads": 5}})", ": transformer.heads", "a divisor of the width 32, found 5"},
      {R"({"transformer": {"width": 4294967296}})", ": transformer.width", "from 1 to 4096"},
      {R"({"transformer": {"seeds": 4294967296}})", ": transformer.seeds", "found 4294967296"},
      {R"({"transformer": {"seeds": 0}})", ": transformer.seeds", "from 1 to 10000"},
      {R"({"transformer": {"gamma": "1"}})", ": transformer.gamma", R"(a number, found "1")"},
      {R"({"transformer": {"interventions": {"attn": 1}}})", ": transformer.interventions.attn",
       "an unknown field"},
      {R"({"transformer": {"interventions": {"residual_by_depth": 1}}})", ".residual_by_depth",
       "true or false"},
      {R"({"linear": {"attention": [[1]]}})", ": linear.weights", "a list of rows of numbers, found nothing"},
      {R"({"linear": {"attention": [1], "weights": [[1]], "tokens": [[1]]}})", ": linear.attention",
       "a list of 1"},
      {R"({"linear": {"attention": [[1, 0], [1]], "weights": [[1]], "tokens": [[1]]}})",
       ": linear.attention[1]", "a list of 2 numbers, as the first row has, found a list of 1"},
      {R"({"linear": {"attention": [["a"]], "weights": [[1]], "tokens": [[1]]}})", ": linear.attention[0][0]",
       R"(a number, found "a")"},
      {R"({"linear": {"attention": [[1]], "weights": [[1, 2]], "tokens": [[1]]}})", ": linear.weights",
       "a square matrix, found 1×2"},
      {R"({"linear": {"attention": [[1]], "weights": [[1]], "tokens": [[1], [2]]}})", ": linear.tokens",
       "expected 1×1 as attention and weights have it, found 2×1"},
  };
  for (const BadFile& file : files) {
    try {
      parse_system(file.text, "bad.json");
      ADD_FAILURE() << "accepted " << file.text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadFormat) << file.text;
      EXPECT_THAT(error.where(), testing::StartsWith("bad.json")) << file.text;
      EXPECT_THAT(error.where(), testing::EndsWith(file.where)) << file.text;
      EXPECT_THAT(error.message(), testing::HasSubstr(file.message)) << file.text;
    }
  }
  EXPECT_THROW(parse_system("{", "bad.json"), Error);
  EXPECT_THROW(parse_system(R"({"layers": 1, "layers": 2, "transformer": {}})", "bad.json"), Error);
}

TEST(Systems, SizesAreProvenBeforeMemoryIsTaken) {
  // 4,000 rows that claim to be as long as the first, and a first row beyond the limit.
  std::string wide = "[1", tall = "[[1,2]";
  for (int k = 0; k < 5000; ++k) wide += ",1";
  for (int k = 0; k < 4000; ++k) tall += ",[]";
  for (const std::string& rows : {"[" + wide + "]]", tall + "]"})
    EXPECT_THROW(
        parse_system(R"({"linear": {"attention": )" + rows + R"(, "weights": [[1]], "tokens": [[1]]}})", "x"),
        Error);
}

TEST(Systems, NumbersThatTheTheoryRefuses) {
  SimulationSpec spec = preset("t1");
  std::get<LinearSystem>(spec.system).attention(0, 0) = .5;
  EXPECT_THROW(simulate(spec), Error);
  spec = preset("t1");
  std::get<LinearSystem>(spec.system).tokens(1, 1) = std::nan("");
  try {
    simulate(spec);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
  }
  spec = preset("t1");
  for (std::size_t k = 0; k < 9; ++k)
    std::get<LinearSystem>(spec.system).weights.data()[k] = k % 4 ? 0 : 1e300;
  EXPECT_NO_THROW(simulate(spec)) << "each layer is divided by its norm";
  std::get<LinearSystem>(spec.system).residual = std::numeric_limits<double>::infinity();
  EXPECT_THROW(simulate(spec), Error);
}

}  // namespace
}  // namespace telos::smoothing
