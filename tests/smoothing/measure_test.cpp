#include "telos/smoothing/measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>

#include "smoothing/measure_parts.h"
#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"
#include "tests/model/golden_models.h"
#include "tests/model/layouts.h"
#include "tests/smoothing/random_weights.h"

namespace telos::smoothing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace telos::test;

bool same_number(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

// ---- One sublayer, in double ----

Matrix<double> dense_h(const SublayerWeights& w, std::size_t head) {
  const std::size_t d = w.output.cols(), k = w.head_width, group = head / (w.heads / w.kv_heads);
  Matrix<double> h(d, d);
  for (std::size_t r = 0; r < k; ++r)
    for (std::size_t p = 0; p < d; ++p)
      for (std::size_t q = 0; q < d; ++q) h(p, q) += w.value_t(group * k + r, p) * w.output(head * k + r, q);
  return h;
}

Matrix<double> times(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> c(a.rows(), b.cols());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t p = 0; p < a.cols(); ++p)
      for (std::size_t j = 0; j < b.cols(); ++j) c(i, j) += a(i, p) * b(p, j);
  return c;
}

Matrix<double> varying(const Matrix<double>& x) {
  Matrix<double> y = x.copy();
  for (std::size_t j = 0; j < x.cols(); ++j) {
    double mean = 0;
    for (std::size_t i = 0; i < x.rows(); ++i) mean += x(i, j) / static_cast<double>(x.rows());
    for (std::size_t i = 0; i < x.rows(); ++i) y(i, j) -= mean;
  }
  return y;
}

double dot(const Matrix<double>& a, const Matrix<double>& b) {
  return std::inner_product(a.data(), a.data() + a.size(), b.data(), 0.0);
}

struct Stack {
  SublayerTokens tokens;
  SublayerWeights weights;
};

/// A random sublayer whose X' is formed head by head with dense d × d matrices.
Stack random_stack(std::size_t n, std::size_t d, std::size_t heads, std::size_t kv_heads, std::size_t k,
                   bool causal, NormKind norm, std::uint64_t seed) {
  Random random(seed, 3);
  Stack s;
  s.weights = sublayer_weights(random_layer(d, heads, kv_heads, k, norm, seed));
  s.tokens.x = random_matrix(n, d, random);
  s.tokens.z = norm == NormKind::kNone ? s.tokens.x.copy() : random_matrix(n, d, random);
  s.tokens.x_next = random_matrix(n, d, random);
  s.tokens.x_after = s.tokens.x.copy();
  for (std::size_t h = 0; h < heads; ++h) {
    s.tokens.attention.push_back(random_attention(n, causal, random));
    const Matrix<double> add = times(times(s.tokens.attention[h], s.tokens.z), dense_h(s.weights, h));
    for (std::size_t i = 0; i < add.size(); ++i) s.tokens.x_after.data()[i] += add.data()[i];
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < d; ++j) s.tokens.x_after(i, j) += s.weights.constant[j];
  return s;
}

TEST(Sublayer, LawsHoldForRandomStacks) {
  std::uint64_t seed = 0;
  for (const bool causal : {false, true})
    for (const NormKind norm : {NormKind::kNone, NormKind::kLayerNorm, NormKind::kRmsNorm})
      for (const auto& [n, d, heads, kv, k] : {std::array<std::size_t, 5>{5, 12, 3, 3, 4},
                                               {17, 16, 4, 2, 8},
                                               {2, 9, 6, 1, 2},
                                               {40, 8, 2, 2, 12}}) {
        const Stack s = random_stack(n, d, heads, kv, k, causal, norm, ++seed);
        const WindowSublayer found = measure_sublayer(s.tokens, s.weights, Arena(1));
        // A few hundred operations of relative error 2⁻⁵³ each, summands of size one: below 1e-13 in fact.
        EXPECT_LT(found.law1, 1e-12) << "seed " << seed;
        EXPECT_LT(found.law2, 1e-12) << "seed " << seed;
      }
}

TEST(Sublayer, AWrongWeightBreaksTheLaws) {
  Stack s = random_stack(9, 12, 3, 3, 4, false, NormKind::kNone, 1);
  s.weights.output(2, 3) += 1e-3;
  EXPECT_GT(measure_sublayer(s.tokens, s.weights, Arena(1)).law1, 1e-6);
  s = random_stack(9, 12, 3, 3, 4, false, NormKind::kNone, 1);
  s.weights.constant[4] += 1e-3;
  const WindowSublayer found = measure_sublayer(s.tokens, s.weights, Arena(1));
  EXPECT_LT(found.law1, 1e-12);  // a constant is pure mean
  EXPECT_GT(found.law2, 1e-6);
}

/// ‖Y'‖² − ‖Y‖² = 2Σ⟨Y, D_h⟩ + ‖ΣD_h‖², each g_h against its dense definition.
TEST(Sublayer, ContributionsAreExactAndSumToTheChange) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Stack s = random_stack(11, 10, 4, 2, 3, seed % 2 == 0, NormKind::kLayerNorm, seed);
    const WindowSublayer found = measure_sublayer(s.tokens, s.weights, Arena(1));
    const Matrix<double> y = varying(s.tokens.x), after = varying(s.tokens.x_after);
    double sum = 0;
    for (std::size_t h = 0; h < 4; ++h) {
      const Matrix<double> d_h =
          varying(times(times(s.tokens.attention[h], varying(s.tokens.z)), dense_h(s.weights, h)));
      EXPECT_NEAR(found.gain[h], dot(y, d_h) / dot(y, y), 1e-12);
      sum += found.gain[h];
    }
    EXPECT_NEAR(dot(after, after) / dot(y, y), 1 + 2 * sum + found.second_order, 1e-12);
    EXPECT_NEAR(found.hfc_log_gain, 0.5 * std::log(dot(after, after) / dot(y, y)), 1e-12);
    // ⟨m, m' − m⟩/‖m‖² is the sum of the heads' mean gains and the constant's.
    double along = 0, size = 0, gains = found.constant_gain;
    for (std::size_t j = 0; j < 10; ++j) {
      double m = 0, change = 0;
      for (std::size_t i = 0; i < 11; ++i) {
        m += s.tokens.x(i, j) / 11;
        change += (s.tokens.x_after(i, j) - s.tokens.x(i, j)) / 11;
      }
      along += m * change;
      size += m * m;
    }
    for (const double g : found.mean_gain) gains += g;
    EXPECT_NEAR(gains, along / size, 1e-12 * (1 + std::abs(gains)));
  }
}

TEST(Sublayer, ABiasChangesNoVaryingPart) {
  const Stack s = random_stack(9, 12, 3, 3, 4, false, NormKind::kNone, 2);
  Stack shifted = random_stack(9, 12, 3, 3, 4, false, NormKind::kNone, 2);
  for (std::size_t j = 0; j < 12; ++j) {
    shifted.weights.constant[j] += 3;
    for (std::size_t i = 0; i < 9; ++i) shifted.tokens.x_after(i, j) += 3;
  }
  const WindowSublayer a = measure_sublayer(s.tokens, s.weights, Arena(1));
  const WindowSublayer b = measure_sublayer(shifted.tokens, shifted.weights, Arena(1));
  for (std::size_t h = 0; h < 3; ++h) EXPECT_EQ(a.gain[h], b.gain[h]);
  EXPECT_NEAR(a.hfc_log_gain, b.hfc_log_gain, 1e-12);
  EXPECT_NE(a.dc_log_gain, b.dc_log_gain);
}

TEST(Sublayer, EqualTokensStayEqualAndHaveNoContributions) {
  Stack s = random_stack(6, 8, 2, 2, 3, false, NormKind::kNone, 3);
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t j = 0; j < 8; ++j) s.tokens.x(i, j) = s.tokens.z(i, j) = s.tokens.x(0, j);
  s.tokens.x_after = {};
  const WindowSublayer found = measure_sublayer(s.tokens, s.weights, Arena(1));
  for (const double g : found.gain) EXPECT_TRUE(std::isnan(g) || std::abs(g) < 1e3) << "0/0 up to round-off";
  EXPECT_TRUE(std::isnan(found.law1));
}

// ---- Traces ----

/// A trace of given hidden states without attention.
Trace hidden_trace(const std::vector<Matrix<double>>& depth, std::size_t windows = 1) {
  Trace t;
  t.sequences = windows;
  t.tokens = depth[0].rows() / windows;
  t.width = depth[0].cols();
  t.layers = depth.size() - 1;
  for (const Matrix<double>& x : depth) {
    Matrix<float> h(x.rows(), x.cols());
    for (std::size_t i = 0; i < x.size(); ++i) h.data()[i] = static_cast<float>(x.data()[i]);
    t.hidden.push_back(std::move(h));
  }
  return t;
}

/// The same tokens at `depths` depths.
Trace constant_trace(const Matrix<double>& x, std::size_t depths = 2) {
  std::vector<Matrix<double>> depth;
  for (std::size_t l = 0; l < depths; ++l) depth.push_back(x.copy());
  return hidden_trace(depth);
}

TraceMeasures measure(const Trace& trace, TraceOptions options = {}, const WeightSource& weights = {}) {
  return measure_trace(trace, weights, nullptr, {}, options, Arena(1));
}

TEST(Estimate, MeanAndStandardError) {
  const Estimate e = estimate(std::array{1.0, 2.0, 3.0, 6.0});
  EXPECT_EQ(e.mean, 3);
  EXPECT_NEAR(e.error, std::sqrt(14.0 / 3 / 4), 1e-15);
  EXPECT_EQ(e.windows, 4u);
  const Estimate gaps = estimate(std::array{1.0, kNaN, std::numeric_limits<double>::infinity()});
  EXPECT_EQ(gaps.mean, 1);
  EXPECT_TRUE(std::isnan(gaps.error));
  EXPECT_TRUE(std::isnan(estimate({}).mean));
}

TEST(Trace, PaddingAndSpecialTokensAreLeftOut) {
  Random random(4);
  const Matrix<double> x = random_matrix(6, 8, random);
  Trace padded = constant_trace(x);
  padded.mask = {1, 1, 1, 1, 0, 0};
  Matrix<double> cut(4, 8);
  std::copy_n(x.data(), 32, cut.data());
  const Trace whole = constant_trace(cut);
  const TraceMeasures a = measure(padded, {.special = {1, 0, 0, 1, 0, 0}, .without_text = "[CLS] and [SEP]"});
  const TraceMeasures b = measure(whole, {.special = {1, 0, 0, 1}});
  EXPECT_EQ(a.depth[0].all.cos_mean.mean, b.depth[0].all.cos_mean.mean);
  EXPECT_EQ(a.depth[1].without.hfc_lfc.mean, b.depth[1].without.hfc_lfc.mean);
  Matrix<double> middle(2, 8);
  std::copy_n(x.row(1), 16, middle.data());
  EXPECT_NEAR(a.depth[0].without.cos_mean.mean, mean_cosine(middle.view(), {}), 1e-6);
  EXPECT_EQ(a.without_text, "[CLS] and [SEP]");
  EXPECT_EQ(b.without_text, "special tokens");
  EXPECT_EQ(measure(whole).without_text, "token 0");
  EXPECT_THROW(measure(whole, {.special = {1, 0}}), Error);
}

/// Each printed token measure: is it invariant under a rotation of the residual stream, and under a new order
/// of tokens?
TEST(Trace, InvarianceOfEveryTokenMeasure) {
  struct Row {
    const char* name;
    Estimate TokenEstimates::*field;
    bool rotation, order;
  };
  const Row rows[] = {{"hfc_lfc", &TokenEstimates::hfc_lfc, true, true},
                      {"hfc_frac", &TokenEstimates::hfc_frac, true, true},
                      {"cos_mean", &TokenEstimates::cos_mean, true, true},
                      {"cos_abs_incl", &TokenEstimates::cos_abs_incl, true, true},
                      {"res_1inf", &TokenEstimates::res_1inf, false, true},
                      {"rank1_res", &TokenEstimates::rank1_res, true, true},
                      {"stable_rank", &TokenEstimates::stable_rank, true, true},
                      {"eff_rank", &TokenEstimates::eff_rank, true, true},
                      {"part_ratio", &TokenEstimates::part_ratio, true, true},
                      {"dirichlet", &TokenEstimates::dirichlet, true, true},
                      {"log_norm", &TokenEstimates::log_norm, true, true},
                      {"max_norm_share", &TokenEstimates::max_norm_share, true, true}};
  Random random(5);
  const Matrix<double> x = random_matrix(7, 10, random), q = qr(random_matrix(10, 10, random)).q;
  Matrix<double> reversed(7, 10);
  for (std::size_t i = 0; i < 7; ++i) std::copy_n(x.row(6 - i), 10, reversed.row(i));
  const auto all = [](const Matrix<double>& m) { return measure(constant_trace(m)).depth[0].all; };
  const TokenEstimates plain = all(x), rotated = all(times(x, q)), ordered = all(reversed);
  for (const Row& row : rows) {
    // Activations are float: 2⁻²⁴ relative, times a small factor.
    const double value = (plain.*row.field).mean, tolerance = 1e-5 * std::abs(value);
    EXPECT_EQ(std::abs((rotated.*row.field).mean - value) < tolerance, row.rotation) << row.name;
    EXPECT_EQ(std::abs((ordered.*row.field).mean - value) < tolerance, row.order) << row.name;
  }
}

// ---- The native engine ----

struct GoldenRun {
  Checkpoint checkpoint;
  Architecture architecture;
  Trace trace;
  WeightSpectra spectra;
  std::vector<std::size_t> sites;

  explicit GoldenRun(const std::string& name)
      : checkpoint(Checkpoint::open(telos::testing::golden_directory(name))),
        architecture(identify(checkpoint)) {
    const Arena arena(1);
    const Transformer transformer = Transformer::load(checkpoint, architecture, arena);
    trace = telos::testing::run_golden(
        name, transformer, {.hidden = true, .attention = true, .sublayers = true, .logits = false}, arena);
    spectra = weight_spectra(checkpoint, architecture, {}, arena);
    sites = site_of_layer(architecture);
  }
  WeightSource weights() const {
    return [this](std::size_t l) {
      return read_attention(checkpoint, architecture, architecture.sites[sites[l]]);
    };
  }
  TraceOptions options() const {
    TraceOptions o;
    o.block = architecture.block;
    o.norm_eps = architecture.norm_eps;
    return o;
  }
  TraceMeasures measure(const Arena& arena) const {
    return measure_trace(trace, weights(), &spectra, sites, options(), arena);
  }
};

class GoldenModel : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Families, GoldenModel, ::testing::ValuesIn(telos::testing::golden_models()));

/// The laws on the engine's own float activations: validates engine, weights, biases, folding and measures
/// together.
TEST_P(GoldenModel, LawsHoldOnTheEnginesActivations) {
  const GoldenRun run(GetParam());
  const TraceMeasures m = run.measure(Arena(2));
  EXPECT_LT(m.law1, 1e-5);
  EXPECT_LT(m.law2, 1e-5);
  ASSERT_EQ(m.sublayers.size(), run.trace.layers);
  for (const SublayerMeasures& s : m.sublayers) {
    EXPECT_TRUE(std::isfinite(s.gain.mean));
    EXPECT_GT(s.scale.mean, 0);
    EXPECT_TRUE(s.scale.mean == 1 || run.architecture.block != BlockKind::kPost);
    for (const HeadMeasures& h : s.heads) {
      EXPECT_TRUE(std::isfinite(h.gain.mean));
      EXPECT_GE(h.sharp_share, 0);
      EXPECT_LE(h.sharp_share, 1);
    }
  }
  // ln(HFC/LFC) of the whole changes by what attention and the rest do, layer for layer.
  const WindowMeasures w = measure_windows(run.trace, run.weights(), run.options(), Arena(1)).front();
  for (std::size_t l = 0; l < run.trace.layers; ++l) {
    const WindowSublayer& s = w.sublayers[l];
    EXPECT_NEAR(std::log(w.all[l + 1].hfc_lfc / w.all[l].hfc_lfc),
                s.hfc_log_gain - s.dc_log_gain + s.rest_hfc_log_gain - s.rest_dc_log_gain, 1e-5);
  }
}

/// A trace beside a checkpoint with a NaN: that layer is not measured by its weights, the others are.
TEST(NotFinite, AWeightSpoilsItsLayersMeasuresOnly) {
  const GoldenRun run("llama");
  const WeightSource spoilt = [&run](std::size_t l) {
    AttentionWeights w = run.weights()(l);
    if (l == 1) {
      w.output(0, 0) = kNaN;
      w.not_finite.push_back("o_proj: 1 NaN");
    }
    return w;
  };
  const WindowMeasures whole = measure_windows(run.trace, run.weights(), run.options(), Arena(1)).front();
  const WindowMeasures found = measure_windows(run.trace, spoilt, run.options(), Arena(1)).front();
  EXPECT_EQ(found.sublayers[0].gain, whole.sublayers[0].gain);
  EXPECT_EQ(found.sublayers[0].law1, whole.sublayers[0].law1);
  EXPECT_TRUE(std::isnan(found.sublayers[1].law1));
  EXPECT_THAT(found.sublayers[1].gain, IsEmpty());
  EXPECT_EQ(found.sublayers[1].attention.size(), whole.sublayers[1].attention.size());
  for (std::size_t l = 0; l <= run.trace.layers; ++l) EXPECT_EQ(found.all[l].hfc_lfc, whole.all[l].hfc_lfc);
}

TEST_P(GoldenModel, SameBitsForThreadsAndForWindowsApart) {
  const GoldenRun run(GetParam());
  const auto flat = [](const std::vector<WindowMeasures>& windows) {
    std::vector<double> out;
    for (const WindowMeasures& w : windows) {
      for (const TokenMeasures& t : w.without) out.insert(out.end(), {t.cos_mean, t.hfc_lfc, t.stable_rank});
      out.insert(out.end(), w.cos_without_constant.begin(), w.cos_without_constant.end());
      for (const WindowSublayer& s : w.sublayers) {
        out.insert(out.end(), s.gain.begin(), s.gain.end());
        out.insert(out.end(), {s.law1, s.law2, s.scale, s.hfc_log_gain, s.rest_dc_log_gain});
        for (const AttentionSpectrum& a : s.attention)
          out.insert(out.end(), {a.smallest_real, a.sigma_max_pap});
      }
    }
    return out;
  };
  const std::vector<double> one = flat(measure_windows(run.trace, run.weights(), run.options(), Arena(1)));
  for (const int threads : {2, 7}) {
    const std::vector<double> other =
        flat(measure_windows(run.trace, run.weights(), run.options(), Arena(threads)));
    ASSERT_EQ(one.size(), other.size());
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(same_number(one[i], other[i])) << i;
  }
}

/// Without Z and X' in the trace, Z comes from the norm's weights and the contributions stay the same.
TEST_P(GoldenModel, ContributionsWithoutSublayerTaps) {
  GoldenRun run(GetParam());
  const TraceMeasures full = run.measure(Arena(1));
  run.trace.attention_input.clear();
  run.trace.attention_residual.clear();
  const TraceMeasures bare = run.measure(Arena(1));
  EXPECT_TRUE(std::isnan(bare.law1));
  EXPECT_THAT(bare.notes, ::testing::Contains(HasSubstr("laws L1 and L2")));
  for (std::size_t l = 0; l < full.sublayers.size(); ++l)
    for (std::size_t h = 0; h < full.heads; ++h)
      EXPECT_NEAR(bare.sublayers[l].heads[h].gain.mean, full.sublayers[l].heads[h].gain.mean, 1e-5);
}

/// Gains, scales and constants do not change under W_V → W_V M, W_O → M⁻¹W_O.
TEST_P(GoldenModel, EveryMeasuredNumberIsGaugeInvariant) {
  const GoldenRun run(GetParam());
  const WeightSource plain = run.weights();
  const WeightSource changed = [&](std::size_t l) {
    AttentionWeights w = plain(l);
    for (std::size_t g = 0; g < w.kv_heads; ++g) change_gauge(w, g, mild_gauge(w.head_width, 10 * l + g));
    return w;
  };
  const TraceMeasures a = measure_trace(run.trace, plain, nullptr, {}, run.options(), Arena(1));
  const TraceMeasures b = measure_trace(run.trace, changed, nullptr, {}, run.options(), Arena(1));
  for (std::size_t l = 0; l < a.sublayers.size(); ++l) {
    const SublayerMeasures &s = a.sublayers[l], &t = b.sublayers[l];
    const double size = 1 + std::abs(s.gain.mean);
    for (std::size_t h = 0; h < a.heads; ++h)
      EXPECT_NEAR(s.heads[h].gain.mean, t.heads[h].gain.mean, 2e-5 * size);
    EXPECT_NEAR(s.gain.mean, t.gain.mean, 2e-5 * size);
    EXPECT_NEAR(s.mean_gain.mean, t.mean_gain.mean, 2e-5 * (1 + std::abs(s.mean_gain.mean)));
    EXPECT_NEAR(s.hfc_log_gain.mean, t.hfc_log_gain.mean, 1e-12);  // X' is recorded
    EXPECT_NEAR(s.constant_ratio.mean, t.constant_ratio.mean, 2e-5 * (1 + s.constant_ratio.mean));
    EXPECT_EQ(s.scale.mean, t.scale.mean);
  }
  EXPECT_LT(b.law1, 2e-5);
}

TEST(Trace, WeightsOfAnotherModelAreRefused) {
  const GoldenRun run("gpt2");
  const WeightSource wrong = [](std::size_t) { return random_layer(8, 2, 2, 4, NormKind::kNone, 1); };
  try {
    measure_trace(run.trace, wrong, nullptr, {}, run.options(), Arena(1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kShape);
    EXPECT_THAT(error.message(), HasSubstr("the weights 2"));
  }
}

// ---- Verdicts ----

/// Three windows of 12 tokens: mean·direction + varying·noise with the given sizes at each depth.
Trace constructed(const std::vector<double>& mean, const std::vector<double>& varying_size) {
  std::vector<Matrix<double>> depth;
  Random random(6);
  const Matrix<double> noise = random_matrix(36, 32, random), direction = random_matrix(1, 32, random);
  for (std::size_t l = 0; l < mean.size(); ++l) {
    Matrix<double> x(36, 32);
    for (std::size_t i = 0; i < 36; ++i)
      for (std::size_t j = 0; j < 32; ++j)
        x(i, j) = mean[l] * direction(0, j) + varying_size[l] * noise(i, j);
    depth.push_back(std::move(x));
  }
  return hidden_trace(depth, 3);
}

ModelVerdict verdict_of(const Trace& trace, const TraceOptions& options = {},
                        const WeightSource& weights = {}) {
  const TraceMeasures m = measure(trace, options, weights);
  return judge(nullptr, &m);
}

TEST(Verdict, ConstructedCases) {
  const std::vector<double> ones(7, 1.0), halving = {1, .5, .25, .125, .06, .03, .015};
  ModelVerdict v = verdict_of(constructed(ones, halving));
  EXPECT_EQ(v.trend, Trend::kCollapsing);
  EXPECT_TRUE(v.measured);
  EXPECT_THAT(v.basis, HasSubstr("measured on 3 windows of 12 tokens"));
  EXPECT_GE(v.conditions.size(), 5u);

  v = verdict_of(constructed({.2, .4, .6, .8, .9, 1, 1.1}, ones));
  EXPECT_EQ(v.trend, Trend::kSmoothing);
  EXPECT_EQ(v.sentence, "Tokens grow alike through depth, but do not collapse.");

  EXPECT_EQ(verdict_of(constructed({1, .8, .6, .5, .4, .3, .2}, ones)).trend, Trend::kSharpening);
  v = verdict_of(constructed(ones, ones));
  EXPECT_EQ(v.trend, Trend::kSteady);
  EXPECT_EQ(v.sentence, "Tokens keep their differences through depth.");
  // Alike from the first layer on, no longer falling: steady, and said so.
  EXPECT_THAT(verdict_of(constructed({9, 9, 9, 9, 9, 9, 9}, ones)).sentence,
              HasSubstr("from the first layer on"));
  // High in the end, but the fall has stopped: smoothing, not collapse.
  v = verdict_of(constructed({.2, 1, 4, 8, 8, 8, 8}, ones));
  EXPECT_EQ(v.trend, Trend::kSmoothing);
  EXPECT_THAT(v.sentence, HasSubstr("no longer in the last layers"));
}

TEST(Verdict, WhatIsLargeButUncertainIsNoSteadiness) {
  // Two windows: in one the tokens grow alike, in the other they stay as they are.
  const std::vector<double> ones(7, 1.0);
  Trace trace = constructed({.2, .4, .6, .8, .9, 1, 1.1}, ones);
  const Trace other = constructed(std::vector<double>(7, .2), ones);
  for (std::size_t l = 0; l < trace.hidden.size(); ++l) {
    Matrix<float> both(24, 32);
    std::copy_n(trace.hidden[l].data(), 12 * 32, both.data());
    std::copy_n(other.hidden[l].data() + 12 * 32, 12 * 32, both.data() + 12 * 32);
    trace.hidden[l] = std::move(both);
  }
  trace.sequences = 2;
  const ModelVerdict v = verdict_of(trace);
  EXPECT_EQ(v.trend, Trend::kUnknown) << v.sentence;
  EXPECT_THAT(v.sentence, HasSubstr("differ too much"));
}

TEST(Verdict, EqualTokensAreEqualWhateverTheirRounding) {
  Random random(71);
  const Matrix<double> base = random_matrix(1, 32, random), noise = random_matrix(12, 32, random);
  std::vector<Matrix<double>> depth;
  for (int l = 0; l < 7; ++l) {
    Matrix<double> at(12, 32);
    for (std::size_t i = 0; i < 12; ++i)
      for (std::size_t j = 0; j < 32; ++j) at(i, j) = base(0, j) * (1 + 1e-8 * (l + 1) * noise(i, j));
    depth.push_back(std::move(at));
  }
  const ModelVerdict v = verdict_of(hidden_trace(depth));
  EXPECT_EQ(v.trend, Trend::kSteady) << v.sentence;
  EXPECT_THAT(v.sentence, HasSubstr("alike from the first layer"));
}

TEST(Verdict, CollapseWithinOneLayer) {
  Random random(72);
  std::vector<Matrix<double>> depth;
  depth.push_back(random_matrix(12, 32, random));
  for (int l = 0; l < 6; ++l) {
    Matrix<double> at(12, 32);
    for (std::size_t i = 0; i < 12; ++i) std::copy_n(depth[0].row(0), 32, at.row(i));
    depth.push_back(std::move(at));
  }
  const ModelVerdict v = verdict_of(hidden_trace(depth));
  EXPECT_EQ(v.trend, Trend::kSmoothing) << v.sentence;
  EXPECT_THAT(v.sentence, HasSubstr("become one vector"));
}

TEST(Verdict, CentredTokensHaveNoTrend) {
  TraceOptions options;
  options.centre_features = true;
  const ModelVerdict v =
      verdict_of(constructed({.2, .4, .6, .8, .9, 1, 1.1}, std::vector<double>(7, 1.0)), options);
  EXPECT_EQ(v.trend, Trend::kUnknown);
  EXPECT_THAT(v.sentence, HasSubstr("centred"));
  EXPECT_TRUE(v.conditions.empty());
}

TEST(Verdict, DriftByTheTokensLeftOut) {
  Random random(7);
  const Matrix<double> x = random_matrix(12, 32, random);
  std::vector<Matrix<double>> depth;
  for (int l = 0; l < 7; ++l) {
    Matrix<double> at = x.copy();
    for (std::size_t i = 0; i < 6; ++i)  // six special tokens move to one direction
      for (std::size_t j = 0; j < 32; ++j) at(i, j) += l * x(0, j);
    depth.push_back(std::move(at));
  }
  TraceOptions options;
  options.special = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0};
  const ModelVerdict v = verdict_of(hidden_trace(depth), options);
  EXPECT_EQ(v.trend, Trend::kDrift);
  EXPECT_THAT(v.sentence, HasSubstr("special tokens"));
}

TEST(Verdict, DriftByTheConstantOfAttention) {
  Random random(8);
  const Matrix<double> x = random_matrix(12, 8, random);
  std::vector<Matrix<double>> depth;
  for (int l = 0; l < 7; ++l) {
    Matrix<double> at = x.copy();
    for (std::size_t i = 0; i < 12; ++i)
      for (std::size_t j = 0; j < 8; ++j) at(i, j) += 0.5 * l;
    depth.push_back(std::move(at));
  }
  Trace trace = hidden_trace(depth);
  trace.heads = 1;
  for (int l = 0; l < 6; ++l) {
    Matrix<float> a(12, 12);
    for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = 1.0f / 12;
    trace.attention.push_back(std::move(a));
  }
  const WeightSource weights = [](std::size_t) {
    AttentionWeights w;
    w.heads = w.kv_heads = 1;
    w.head_width = 2;
    w.value_t = Matrix<float>(2, 8);
    w.output = Matrix<float>(2, 8);
    w.output_bias.assign(8, 0.5f);
    return w;
  };
  const ModelVerdict v = verdict_of(trace, {}, weights);
  EXPECT_EQ(v.trend, Trend::kDrift);
  EXPECT_THAT(v.sentence, HasSubstr("constant"));
}

// Norms whose scale no weight tells: no gains, no scale, and it is said.
TEST(Measures, NothingIsClaimedBehindAnUnknownScale) {
  Random random(9);
  std::vector<Matrix<double>> depth;
  for (int l = 0; l < 2; ++l) depth.push_back(random_matrix(6, 8, random));
  Trace trace = hidden_trace(depth);
  trace.heads = 1;
  trace.attention.emplace_back(6, 6);
  for (std::size_t i = 0; i < 36; ++i) trace.attention[0].data()[i] = 1.0f / 6;
  for (const int scale : {0, 1, 2}) {
    const WeightSource weights = [&](std::size_t) {
      AttentionWeights w;
      w.heads = w.kv_heads = 1;
      w.head_width = 2;
      w.value_t = Matrix<float>(2, 8);
      w.output = Matrix<float>(2, 8);
      w.value_t(0, 0) = w.output(0, 1) = 1;
      w.value_norm = scale == 1;
      w.output_norm = scale == 2 ? NormKind::kRmsNorm : NormKind::kNone;
      return w;
    };
    const TraceMeasures m = measure(trace, {}, weights);
    EXPECT_EQ(std::isfinite(m.sublayers[0].heads[0].gain.mean), scale == 0);
    EXPECT_EQ(std::isfinite(m.sublayers[0].scale.mean), scale == 0);
    const bool told = std::ranges::any_of(
        m.notes, [](const std::string& note) { return note.find("norm acts on") != note.npos; });
    EXPECT_EQ(told, scale != 0);
  }
}

TEST(Verdict, WeightsAloneAreATendency) {
  WeightSpectra s;
  s.smooth = 6;
  s.sharpen = 2;
  s.mixed = 2;
  ModelVerdict v = judge(&s, nullptr);
  EXPECT_EQ(v.trend, Trend::kTendencySmooth);
  EXPECT_EQ(v.basis, "weights only: a tendency");
  EXPECT_FALSE(v.measured);
  s.smooth = 2;
  s.sharpen = 6;
  EXPECT_EQ(judge(&s, nullptr).trend, Trend::kTendencySharpen);
  s.mixed = 20;
  EXPECT_EQ(judge(&s, nullptr).trend, Trend::kTendencyMixed);
  s = {};
  s.sigma_only = 4;
  EXPECT_THAT(judge(&s, nullptr).sentence, HasSubstr("no head has a spectrum"));
  EXPECT_THROW(judge(nullptr, nullptr), Error);
}

// ---- The whole ----

TEST(Diagnose, ChunksOfWindowsGiveTheSameNumbers) {
  const std::string directory = telos::testing::golden_directory("gpt2");
  const Arena arena(2);
  const Checkpoint checkpoint = Checkpoint::open(directory);
  const Architecture architecture = identify(checkpoint);
  const Transformer transformer = Transformer::load(checkpoint, architecture, arena);
  const Checkpoint expected = Checkpoint::open(directory + "/expected.safetensors");
  TextWindows text;
  const TokenBatch batch = telos::testing::read_batch(expected);
  for (int copy = 0; copy < 3; ++copy) {  // three windows from one: rotated ids
    for (std::size_t i = 0; i < batch.tokens; ++i)
      text.batch.ids.push_back(batch.ids[(i + static_cast<std::size_t>(copy)) % batch.tokens]);
  }
  text.batch.sequences = 3;
  text.batch.tokens = batch.tokens;
  DiagnosisInput input;
  input.checkpoint = &checkpoint;
  input.architecture = &architecture;
  input.transformer = &transformer;
  input.text = &text;
  DiagnosisOptions options;
  const SmoothingDiagnosis whole = diagnose_smoothing(input, options, arena);
  options.trace_bytes = 1;
  const SmoothingDiagnosis chunked = diagnose_smoothing(input, options, Arena(1));
  ASSERT_TRUE(whole.measures && chunked.measures && whole.spectra);
  EXPECT_EQ(whole.measures->windows, 3u);
  EXPECT_TRUE(whole.verdict.measured);
  EXPECT_THAT(whole.problems, IsEmpty());
  for (std::size_t l = 0; l < whole.measures->layers; ++l) {
    const SublayerMeasures &a = whole.measures->sublayers[l], &b = chunked.measures->sublayers[l];
    EXPECT_EQ(a.gain.mean, b.gain.mean);
    EXPECT_EQ(a.gain.error, b.gain.error);
    EXPECT_EQ(a.heads[0].sigma_max_pap.mean, b.heads[0].sigma_max_pap.mean);
    EXPECT_EQ(whole.measures->depth[l].without.cos_mean.mean,
              chunked.measures->depth[l].without.cos_mean.mean);
  }
  EXPECT_LT(whole.measures->law1, 1e-5);
}

TEST(Diagnose, NeedsSomethingToGoOn) {
  EXPECT_THROW(diagnose_smoothing({}, {}, Arena(1)), Error);
  const Checkpoint checkpoint = Checkpoint::open(telos::testing::golden_directory("bert"));
  DiagnosisInput input;
  input.checkpoint = &checkpoint;
  EXPECT_THROW(diagnose_smoothing(input, {}, Arena(1)), Error);
}

TEST(Diagnose, ATraceOfAnotherDepthIsRefused) {
  const Checkpoint checkpoint = Checkpoint::open(telos::testing::golden_directory("bert"));
  const Architecture architecture = identify(checkpoint);
  Random random(9);
  const Matrix<double> x = random_matrix(4, architecture.width, random);
  const Trace trace = constant_trace(x, 30);
  DiagnosisInput input;
  input.checkpoint = &checkpoint;
  input.architecture = &architecture;
  input.trace = &trace;
  EXPECT_THROW(diagnose_smoothing(input, {}, Arena(1)), Error);
}

}  // namespace
}  // namespace telos::smoothing
