#include "telos/smoothing/spectra.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"
#include "tests/model/layouts.h"
#include "tests/smoothing/random_weights.h"

namespace telos::smoothing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace telos::test;

const AttentionSite& site() {
  static const AttentionSite s{.label = "0", .stack = "", .layer = 0, .self_map = true, .repeats = 1};
  return s;
}

struct Opened {
  TinyDirectory directory;
  Checkpoint checkpoint;
  Architecture architecture;
  explicit Opened(const TinyFile& file, DType dtype = DType::kF32, std::size_t shards = 1)
      : checkpoint((write_tiny(directory.path(), file, dtype, shards), Checkpoint::open(directory.path()))),
        architecture(identify(checkpoint)) {}
  WeightSpectra spectra(Fold fold, int threads = 1) const {
    return weight_spectra(checkpoint, architecture, {.fold = fold, .conditions = true}, Arena(threads));
  }
};

/// The golden digits of folded heads were formed with γ = 1 + w in double; a file holds γ rounded to float, a
/// relative change of 2⁻²⁴ that moves eigenvalues of this size by a few 1e-8.
constexpr double kGammaRounding = 5e-8;

void expect_eigenvalues(const HeadSpectrum& head, const std::vector<Complex>& expected,
                        double tolerance = 1e-10) {
  ASSERT_EQ(head.eigenvalues.size(), expected.size()) << head.name;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(head.eigenvalues[i].real(), expected[i].real(), tolerance) << head.name << ", " << i;
    EXPECT_NEAR(head.eigenvalues[i].imag(), expected[i].imag(), tolerance) << head.name << ", " << i;
  }
}

bool same_number(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

const std::map<std::string, double HeadSpectrum::*>& head_numbers() {
  static const std::map<std::string, double HeadSpectrum::*> numbers = {
      {"trace", &HeadSpectrum::trace},
      {"frobenius", &HeadSpectrum::frobenius},
      {"rho", &HeadSpectrum::rho},
      {"max_re", &HeadSpectrum::max_re},
      {"min_re", &HeadSpectrum::min_re},
      {"negative_share", &HeadSpectrum::negative_share},
      {"smooth_share", &HeadSpectrum::smooth_share},
      {"sharp_share", &HeadSpectrum::sharp_share},
      {"depends_share", &HeadSpectrum::depends_share},
      {"copy_score", &HeadSpectrum::copy_score},
      {"sigma_max", &HeadSpectrum::sigma_max},
      {"stable_rank", &HeadSpectrum::stable_rank},
      {"henrici", &HeadSpectrum::henrici},
      {"asymmetry", &HeadSpectrum::asymmetry}};
  return numbers;
}

const std::map<std::string, double LayerSum::*>& sum_numbers() {
  static const std::map<std::string, double LayerSum::*> numbers = {
      {"trace", &LayerSum::trace},
      {"growth", &LayerSum::growth},
      {"max_re", &LayerSum::max_re},
      {"min_re", &LayerSum::min_re},
      {"negative_share", &LayerSum::negative_share}};
  return numbers;
}

void expect_same_bits(const WeightSpectra& a, const WeightSpectra& b) {
  ASSERT_EQ(a.sites.size(), b.sites.size());
  for (std::size_t s = 0; s < a.sites.size(); ++s) {
    ASSERT_EQ(a.sites[s].heads.size(), b.sites[s].heads.size());
    for (std::size_t h = 0; h < a.sites[s].heads.size(); ++h) {
      const HeadSpectrum &x = a.sites[s].heads[h], &y = b.sites[s].heads[h];
      EXPECT_EQ(x.eigenvalues, y.eigenvalues) << x.name;
      EXPECT_EQ(x.condition, y.condition) << x.name;
      EXPECT_EQ(x.sigma, y.sigma) << x.name;
      for (const auto& [name, number] : head_numbers())
        EXPECT_TRUE(same_number(x.*number, y.*number)) << x.name << " " << name;
    }
    for (const auto& [name, number] : sum_numbers())
      EXPECT_TRUE(same_number(a.sites[s].sum.*number, b.sites[s].sum.*number))
          << "layer " << s << " " << name;
    EXPECT_EQ(a.sites[s].constant, b.sites[s].constant);
  }
}

// ---- The golden checkpoint ----

TEST(Golden, SpectraOfTheTinyCheckpoint) {
  const Opened opened(tiny_layout("gpt2").write(tiny_model()));
  const WeightSpectra raw = opened.spectra(Fold::kNone), gamma = opened.spectra(Fold::kGamma),
                      centred = opened.spectra(Fold::kCentreGamma);
  const HeadSpectrum& h = raw.sites[0].heads[0];
  expect_eigenvalues(h, {{.1207582880, .4822603826}, {.1207582880, -.4822603826}, .0423704730, -.3914173525});
  EXPECT_NEAR(h.trace, -.1075303036, 1e-10);
  EXPECT_NEAR(h.sigma_max, .9273608321, 1e-10);
  EXPECT_NEAR(h.henrici, .7931059792, 1e-10);
  EXPECT_NEAR(h.copy_score, -.0752967532, 1e-10);
  EXPECT_TRUE(h.non_normal);
  const HeadSpectrum& g = gamma.sites[0].heads[0];
  expect_eigenvalues(g, {.0633910635, {.0300006567, .3799795806}, {.0300006567, -.3799795806}, -.3449529086},
                     kGammaRounding);
  EXPECT_NEAR(g.trace, -.2215605318, kGammaRounding);
  EXPECT_NEAR(g.sigma_max, .9210731520, kGammaRounding);
  const HeadSpectrum& c = centred.sites[0].heads[0];
  expect_eigenvalues(c, {.0629382597, {.0371661419, .3849242996}, {.0371661419, -.3849242996}, -.3330229841},
                     kGammaRounding);
  EXPECT_NEAR(c.sigma_max, .9053932876, kGammaRounding);
  expect_eigenvalues(raw.sites[0].heads[1], {.4175887918, .0316003887, -.2001454227, -.5363292370});
  EXPECT_NEAR(raw.sites[0].heads[1].sigma_max, .8976910425, 1e-10);
  expect_eigenvalues(raw.sites[1].heads[0],
                     {.3252536653, .1457254753, {-.2092551347, .2160557126}, {-.2092551347, -.2160557126}});
  EXPECT_NEAR(raw.sites[1].heads[0].sigma_max, .8270781891, 1e-10);
  EXPECT_EQ(raw.sites[0].fold, "W_V W_O");
  EXPECT_EQ(gamma.sites[0].fold, "Γ W_V W_O");
  EXPECT_EQ(centred.sites[0].fold, "C Γ W_V W_O");
  EXPECT_TRUE(raw.half_plane);
  expect_same_bits(centred, opened.spectra(Fold::kAuto));
}

class EveryLayout : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Layouts, EveryLayout, ::testing::Range<std::size_t>(0, tiny_layouts().size()),
                         [](const auto& tested) {
                           std::string name = tiny_layouts()[tested.param].name;
                           for (char& c : name)
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           return name;
                         });

/// The same H in every layout, number for number: catches transposition, interleave, split and grouping.
TEST_P(EveryLayout, GivesTheGoldenSpectra) {
  const TinyLayout& layout = tiny_layouts()[GetParam()];
  const TinyModel model = tiny_model(layout.heads);
  const WeightSpectra gpt2 = Opened(tiny_layout("gpt2").write(tiny_model())).spectra(Fold::kNone);
  for (const std::size_t shards : {1, 3}) {
    const Opened opened(layout.write(model), DType::kF32, shards);
    const WeightSpectra found = opened.spectra(Fold::kNone);
    ASSERT_FALSE(found.sites.empty());
    std::size_t compared = 0;
    for (const SiteSpectrum& s : found.sites) {
      if (s.layer > 1 || !s.stack.empty()) continue;
      ASSERT_EQ(s.heads.size(), model.heads);
      for (const HeadSpectrum& head : s.heads) {
        if (layout.heads == Heads::kSingle && head.head > 0)
          continue;  // value head 0 with output 1: not in GPT-2's
        const std::size_t same = layout.heads == Heads::kGrouped ? head.head / 2 : head.head;
        const HeadSpectrum& expected = gpt2.sites[s.layer].heads[same];
        EXPECT_EQ(head.eigenvalues, expected.eigenvalues) << s.label << " " << head.name;
        EXPECT_EQ(head.sigma, expected.sigma) << s.label << " " << head.name;
        ++compared;
      }
    }
    EXPECT_TRUE(compared > 0 || layout.name == "t5");  // T5's stacks are named
  }
}

/// Folding follows the family's norm: C Γ for a LayerNorm before attention, Γ for an RMSNorm, nothing for
/// post-norm.
TEST_P(EveryLayout, FoldsWhatTheFamilyHas) {
  const TinyLayout& layout = tiny_layouts()[GetParam()];
  const TinyModel model = tiny_model(layout.heads);
  const Opened opened(layout.write(model));
  const Architecture& a = opened.architecture;
  const WeightSpectra found = opened.spectra(Fold::kAuto);
  EXPECT_EQ(found.half_plane, a.block != BlockKind::kPost);
  for (std::size_t i = 0; i < found.sites.size(); ++i) {
    AttentionWeights w = read_attention(opened.checkpoint, a, a.sites[i]);
    const bool centre = w.norm == NormKind::kLayerNorm,
               gain = w.norm != NormKind::kNone && !w.norm_gain.empty();
    // By hand: (CΓW_V)ᵀ and W_O Γ_out, in double.
    Matrix<double> value(w.value_t.rows(), 8), output(w.output.rows(), 8);
    for (std::size_t r = 0; r < value.rows(); ++r) {
      double mean = 0;
      for (std::size_t j = 0; j < 8; ++j) {
        value(r, j) = double{w.value_t(r, j)} * (gain ? double{w.norm_gain[j]} : 1.0);
        mean += value(r, j) / 8;
      }
      if (centre)
        for (std::size_t j = 0; j < 8; ++j) value(r, j) -= mean;
    }
    for (std::size_t r = 0; r < output.rows(); ++r)
      for (std::size_t j = 0; j < 8; ++j)
        output(r, j) = double{w.output(r, j)} * (w.output_gain.empty() ? 1.0 : double{w.output_gain[j]});
    if (!found.sites[i].self_map) continue;
    for (const HeadSpectrum& head : found.sites[i].heads) {
      double trace = 0, square = 0;
      Matrix<double> h(8, 8);
      for (std::size_t p = 0; p < 8; ++p)
        for (std::size_t q = 0; q < 8; ++q)
          for (std::size_t r = 0; r < 4; ++r)
            h(p, q) += value(head.group * 4 + r, p) * output(head.head * 4 + r, q);
      for (std::size_t p = 0; p < 8; ++p) trace += h(p, p);
      for (std::size_t e = 0; e < 64; ++e) square += h.data()[e] * h.data()[e];
      EXPECT_NEAR(head.trace, trace, 1e-13) << head.name;
      EXPECT_NEAR(head.frobenius, std::sqrt(square), 1e-13) << head.name;
      EXPECT_NEAR(head.sigma_max, spectral_norm(h), 1e-12) << head.name;
    }
  }
}

TEST(Golden, ABf16FileAndItsUpcastCopyGiveTheSameBits) {
  TinyModel rounded = tiny_model();
  for (TinyLayer& layer : rounded.layers)
    for (Matrix<float>* m : {&layer.query, &layer.key, &layer.value, &layer.output})
      for (std::size_t i = 0; i < m->size(); ++i) m->data()[i] = decode_bf16(encode_bf16(m->data()[i]));
  for (TinyLayer& layer : rounded.layers)
    for (float& g : layer.gain) g = decode_bf16(encode_bf16(g));
  const Opened half(tiny_layout("llama").write(rounded), DType::kBF16),
      full(tiny_layout("llama").write(rounded));
  expect_same_bits(half.spectra(Fold::kAuto), full.spectra(Fold::kAuto));
  const Opened sharded(tiny_layout("llama").write(rounded), DType::kBF16, 3);
  expect_same_bits(half.spectra(Fold::kAuto), sharded.spectra(Fold::kAuto));
}

// ---- Against dense d × d linear algebra ----

Matrix<double> dense_h(const AttentionWeights& w, std::size_t head) {
  const std::size_t d = w.output.cols(), k = w.head_width, group = head / (w.heads / w.kv_heads);
  Matrix<double> h(d, d);
  for (std::size_t p = 0; p < d; ++p)
    for (std::size_t q = 0; q < d; ++q)
      for (std::size_t r = 0; r < k; ++r)
        h(p, q) += double{w.value_t(group * k + r, p)} * double{w.output(head * k + r, q)};
  return h;
}

TEST(HeadSpectrum, EqualsTheDenseMatrix) {
  const AttentionWeights w = random_layer(24, 4, 2, 6, NormKind::kNone, 1);
  const SiteSpectrum found = site_spectrum(w, site(), {.conditions = true}, false, Arena(1));
  Matrix<double> sum(24, 24);
  for (const HeadSpectrum& head : found.heads) {
    const Matrix<double> h = dense_h(w, head.head);
    for (std::size_t i = 0; i < h.size(); ++i) sum.data()[i] += h.data()[i];
    // The 24 eigenvalues are the 6 of K and 18 zeros.
    const GeneralEigen dense = general_eigen(h, {.condition = true});
    double square = 0, skew = 0, trace = 0, eigen = 0;
    for (std::size_t p = 0; p < 24; ++p)
      for (std::size_t q = 0; q < 24; ++q) {
        square += h(p, q) * h(p, q);
        skew += (h(p, q) - h(q, p)) * (h(p, q) - h(q, p));
        if (p == q) trace += h(p, q);
      }
    for (std::size_t j = 0; j < 6; ++j) {
      double nearest = 1e300, condition = 0;
      for (std::size_t i = 0; i < 24; ++i)
        if (const double gap = std::abs(dense.values[i] - head.eigenvalues[j]); gap < nearest) {
          nearest = gap;
          condition = dense.condition[i];
        }
      EXPECT_LT(nearest, 1e-12);
      EXPECT_NEAR(head.condition[j] / condition, 1, 1e-6) << head.name << ", eigenvalue " << j;
      eigen += std::norm(head.eigenvalues[j]);
    }
    const std::vector<double> sigma = singular_values(h);
    for (std::size_t j = 0; j < 6; ++j) EXPECT_NEAR(head.sigma[j], sigma[j], 1e-12);
    EXPECT_NEAR(head.trace, trace, 1e-12);
    EXPECT_NEAR(head.frobenius, std::sqrt(square), 1e-12);
    EXPECT_NEAR(head.asymmetry, std::sqrt(skew) / (2 * std::sqrt(square)), 1e-12);
    EXPECT_NEAR(head.henrici, std::sqrt((square - eigen) / square), 1e-10);
    EXPECT_GE(square, eigen);
    EXPECT_NEAR(head.stable_rank, square / (sigma[0] * sigma[0]), 1e-10);
    EXPECT_NEAR(head.smooth_share + head.sharp_share + head.depends_share, 1, 1e-12);
  }
  // The layer sum, in both reductions: 12 < 24 here.
  double growth = 0;
  for (const Complex h : general_eigen(sum).values) growth = std::max(growth, std::abs(1.0 + h));
  EXPECT_NEAR(found.sum.growth, growth, 1e-12);
  EXPECT_EQ(found.sum.method, "exact, 12 × 12");
}

TEST(LayerSum, ReducesToWidthWhereHeadsAreWider) {
  const AttentionWeights w = random_layer(10, 4, 4, 6, NormKind::kNone, 2);  // rank up to 24 > d = 10
  const SiteSpectrum found = site_spectrum(w, site(), {}, false, Arena(1));
  Matrix<double> sum(10, 10);
  for (std::size_t head = 0; head < 4; ++head) {
    const Matrix<double> h = dense_h(w, head);
    for (std::size_t i = 0; i < h.size(); ++i) sum.data()[i] += h.data()[i];
  }
  double growth = 0, trace = 0;
  for (const Complex h : general_eigen(sum).values) growth = std::max(growth, std::abs(1.0 + h));
  for (std::size_t i = 0; i < 10; ++i) trace += sum(i, i);
  EXPECT_EQ(found.sum.size, 10u);
  EXPECT_NEAR(found.sum.growth, growth, 1e-12);
  EXPECT_NEAR(found.sum.trace, trace, 1e-12);
}

TEST(LayerSum, ArnoldiFindsAnOutlierAndStatesItsResidual) {
  AttentionWeights w = random_layer(256, 4, 4, 64, NormKind::kNone, 3);
  for (std::size_t i = 0; i < w.output.size(); ++i) w.output.data()[i] *= 0.2f;
  // A copying direction: H gains about +8 along one basis vector.
  for (std::size_t h = 0; h < 4; ++h) {
    w.value_t(h * 64, 5) += 1.0f;
    w.output(h * 64, 5) += 2.0f;
  }
  const SiteSpectrum exact = site_spectrum(w, site(), {.full_sums = true}, false, Arena(1));
  const SiteSpectrum krylov = site_spectrum(w, site(), {.exact_sum_limit = 100}, false, Arena(1));
  EXPECT_EQ(krylov.sum.method, "Arnoldi, 96 vectors");
  EXPECT_LT(krylov.sum.residual, 1e-4);
  EXPECT_NEAR(krylov.sum.growth, exact.sum.growth, 1e-4 * exact.sum.growth);
  EXPECT_NEAR(krylov.sum.trace, exact.sum.trace, 1e-9);
  EXPECT_LE(krylov.sum.max_re, exact.sum.max_re * (1 + 1e-4));
}

TEST(LayerSum, ArnoldiOfALowRankSumEndsEarlyAndIsRight) {
  AttentionWeights w = random_layer(300, 2, 2, 110, NormKind::kNone, 4);
  for (std::size_t r = 3; r < w.value_t.rows(); ++r)
    for (std::size_t i = 0; i < 300; ++i) w.value_t(r, i) = 0;  // rank 3
  const SiteSpectrum exact = site_spectrum(w, site(), {.full_sums = true}, false, Arena(1));
  const SiteSpectrum krylov = site_spectrum(w, site(), {.exact_sum_limit = 100}, false, Arena(1));
  EXPECT_NEAR(krylov.sum.growth, exact.sum.growth, 1e-9);
  EXPECT_LT(krylov.sum.residual, 1e-9);
}

// ---- Invariance ----

/// Which of the numbers change under a gauge W_V → W_V M, W_O → M⁻¹W_O: none of them.
TEST(Gauge, EveryNumberOfAHeadAndASumIsInvariant) {
  const AttentionWeights w = random_layer(32, 4, 2, 8, NormKind::kLayerNorm, 5);
  AttentionWeights other = copy(w);
  for (std::size_t g = 0; g < 2; ++g) change_gauge(other, g, mild_gauge(8, g));
  const SpectraOptions options{.conditions = true};
  const SiteSpectrum a = site_spectrum(w, site(), options, true, Arena(1));
  const SiteSpectrum b = site_spectrum(other, site(), options, true, Arena(1));
  // Float rounding of the transformed weights: 2⁻²⁴ times κ(M) ≈ 4 times the condition of eigenvalues (tens).
  constexpr double kTolerance = 2e-5;
  for (std::size_t h = 0; h < 4; ++h) {
    for (const auto& [name, number] : head_numbers())
      EXPECT_NEAR(a.heads[h].*number, b.heads[h].*number, kTolerance) << a.heads[h].name << " " << name;
    for (std::size_t j = 0; j < 8; ++j) {
      EXPECT_LT(std::abs(a.heads[h].eigenvalues[j] - b.heads[h].eigenvalues[j]), kTolerance);
      EXPECT_NEAR(a.heads[h].sigma[j], b.heads[h].sigma[j], kTolerance);
      EXPECT_NEAR(b.heads[h].condition[j] / a.heads[h].condition[j], 1, 1e-3);
    }
    EXPECT_EQ(a.heads[h].tendency, b.heads[h].tendency);
  }
  for (const auto& [name, number] : sum_numbers())
    EXPECT_NEAR(a.sum.*number, b.sum.*number, 10 * kTolerance) << name;
  EXPECT_NEAR(a.constant_norm, b.constant_norm, kTolerance);
}

TEST(Gauge, TheShareOfNegativeGainsIsNotInvariant) {
  const AttentionWeights w = random_layer(16, 2, 2, 4, NormKind::kRmsNorm, 6);
  AttentionWeights other = copy(w);
  for (std::size_t i = 0; i < 16; i += 2) {  // move a sign from W_V into γ: H stays
    other.norm_gain[i] = -other.norm_gain[i];
    for (std::size_t r = 0; r < 8; ++r) other.value_t(r, i) = -other.value_t(r, i);
  }
  const SiteSpectrum a = site_spectrum(w, site(), {}, true, Arena(1)),
                     b = site_spectrum(other, site(), {}, true, Arena(1));
  EXPECT_EQ(a.heads[0].eigenvalues, b.heads[0].eigenvalues);
  EXPECT_NE(a.negative_gain_share, b.negative_gain_share);
}

TEST(Gauge, ANewOrderOfHeadsPermutesRowsOnly) {
  const AttentionWeights w = random_layer(16, 2, 2, 4, NormKind::kNone, 7);
  AttentionWeights other = copy(w);
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t i = 0; i < 16; ++i) {
      std::swap(other.value_t(r, i), other.value_t(4 + r, i));
      std::swap(other.output(r, i), other.output(4 + r, i));
    }
  const SiteSpectrum a = site_spectrum(w, site(), {}, false, Arena(1)),
                     b = site_spectrum(other, site(), {}, false, Arena(1));
  EXPECT_EQ(a.heads[0].eigenvalues, b.heads[1].eigenvalues);
  EXPECT_EQ(a.heads[1].sigma, b.heads[0].sigma);
  EXPECT_NEAR(a.sum.growth, b.sum.growth, 1e-12);
}

/// γ → −γ turns every eigenvalue round: smoothing and sharpening swap in pre-norm models.
TEST(Fold, AllSignsOfGammaFlipped) {
  const AttentionWeights w = random_layer(16, 2, 2, 4, NormKind::kLayerNorm, 8);
  AttentionWeights other = copy(w);
  for (float& g : other.norm_gain) g = -g;
  const SiteSpectrum a = site_spectrum(w, site(), {}, true, Arena(1)),
                     b = site_spectrum(other, site(), {}, true, Arena(1));
  for (std::size_t h = 0; h < 2; ++h) {
    EXPECT_NEAR(a.heads[h].copy_score, -b.heads[h].copy_score, 1e-12);
    EXPECT_NEAR(a.heads[h].max_re, -b.heads[h].min_re, 1e-12);
    EXPECT_NEAR(a.heads[h].negative_share, 1 - b.heads[h].negative_share, 1e-12);
  }
  EXPECT_NEAR(b.negative_gain_share, 1 - a.negative_gain_share, 1e-12);
}

TEST(Spectra, SameBitsForAnyNumberOfThreads) {
  const Opened opened(tiny_layout("gpt2").write(tiny_model()));
  const WeightSpectra one = opened.spectra(Fold::kAuto, 1);
  expect_same_bits(one, opened.spectra(Fold::kAuto, 2));
  expect_same_bits(one, opened.spectra(Fold::kAuto, 7));
}

// ---- What cannot be used, and degenerate heads ----

TEST(Trouble, ANanMarksItsHeadAndTheOthersContinue) {
  AttentionWeights w = random_layer(16, 4, 4, 4, NormKind::kNone, 9);
  w.output(5, 3) = std::numeric_limits<float>::quiet_NaN();  // head 1
  const SiteSpectrum found = site_spectrum(w, site(), {}, false, Arena(1));
  EXPECT_EQ(found.heads[1].tendency, HeadTendency::kInvalid);
  EXPECT_EQ(found.heads[1].problem, "NaN or infinity in its W_O");
  for (const std::size_t h : {0, 2, 3}) {
    EXPECT_NE(found.heads[h].tendency, HeadTendency::kInvalid);
    EXPECT_EQ(found.heads[h].eigenvalues.size(), 4u);
  }
  EXPECT_THAT(found.sum.problem, HasSubstr("NaN"));
  EXPECT_TRUE(std::isnan(found.sum.trace) && std::isnan(found.sum.growth));
  EXPECT_THAT(found.constant, IsEmpty());
  EXPECT_THAT(found.constant_problem, HasSubstr("NaN"));
}

TEST(Trouble, AnInfinityIsNeverLostInAProduct) {
  AttentionWeights w = random_layer(16, 2, 2, 4, NormKind::kNone, 9);
  w.value_t(2, 7) = std::numeric_limits<float>::infinity();  // head 0, which meets only zeros
  for (std::size_t r = 0; r < 4; ++r) w.output(r, 7) = 0;
  const SiteSpectrum found = site_spectrum(w, site(), {.singular_values = false}, false, Arena(1));
  EXPECT_EQ(found.heads[0].problem, "NaN or infinity in its W_V");
  EXPECT_TRUE(found.heads[1].valid());
  w.output(1, 1) = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(site_spectrum(w, site(), {}, false, Arena(1)).heads[0].problem,
            "NaN or infinity in its W_V and its W_O");
}

/// The numbers of heads that are beside a spoilt one are those of the file before.
void expect_same_head(const HeadSpectrum& x, const HeadSpectrum& y) {
  EXPECT_TRUE(x.valid()) << x.name << ": " << x.problem;
  EXPECT_EQ(x.eigenvalues, y.eigenvalues) << x.name;
  EXPECT_EQ(x.sigma, y.sigma) << x.name;
  for (const auto& [name, number] : head_numbers())
    EXPECT_TRUE(same_number(x.*number, y.*number)) << x.name << " " << name;
}

TEST(Trouble, ANanInAValueGroupMarksTheHeadsOfThatGroupOnly) {
  const TinyLayout& layout = tiny_layout("llama grouped");
  TinyFile file = layout.write(tiny_model(layout.heads));
  const WeightSpectra whole = Opened(file).spectra(Fold::kAuto);
  TinyTensor& value = *file.find("model.layers.1.self_attn.v_proj.weight");
  value.values[2 * 8 + 3] = std::numeric_limits<float>::quiet_NaN();  // row 2: group 0
  value.values[3 * 8] = std::numeric_limits<float>::infinity();
  const WeightSpectra found = Opened(file).spectra(Fold::kAuto);
  ASSERT_EQ(found.sites.size(), 2u);
  for (const SiteSpectrum& s : found.sites)
    for (const HeadSpectrum& head : s.heads) {
      const bool spoilt = s.layer == 1 && head.group == 0;
      EXPECT_EQ(head.tendency == HeadTendency::kInvalid, spoilt) << head.name;
      if (spoilt)
        EXPECT_EQ(head.problem, "NaN or infinity in its W_V");
      else
        expect_same_head(head, whole.sites[s.layer].heads[head.head]);
    }
  EXPECT_EQ(found.invalid, 2u);
  EXPECT_EQ(found.heads(), 8u);
  EXPECT_EQ(found.sites[0].sum.growth, whole.sites[0].sum.growth);
  EXPECT_TRUE(std::isnan(found.sites[1].sum.growth));
  EXPECT_THAT(found.sites[1].problems, IsEmpty());
  EXPECT_THAT(
      found.problems,
      ::testing::ElementsAre(::testing::AllOf(HasSubstr("layer 1: "),
                                              HasSubstr("model.layers.1.self_attn.v_proj.weight: 1 NaN "
                                                        "and 1 infinite values, the first at element 19")),
                             HasSubstr("layer 1, sum of heads: not available"),
                             HasSubstr("head 1.0: NaN or infinity"), HasSubstr("head 1.1: NaN or infinity")));
}

TEST(Trouble, AGainSpoilsItsLayerWhereItIsFolded) {
  TinyFile file = tiny_layout("llama").write(tiny_model());
  file.find("model.layers.0.input_layernorm.weight")->values[5] = std::numeric_limits<float>::quiet_NaN();
  const Opened opened(file);
  const WeightSpectra folded = opened.spectra(Fold::kAuto), raw = opened.spectra(Fold::kNone);
  for (const HeadSpectrum& head : folded.sites[0].heads)
    EXPECT_EQ(head.problem, "NaN or infinity in γ of the input norm");
  for (const HeadSpectrum& head : folded.sites[1].heads) EXPECT_TRUE(head.valid());
  EXPECT_TRUE(std::isnan(folded.sites[0].negative_gain_share));
  EXPECT_EQ(raw.invalid, 0u);
  EXPECT_THAT(raw.problems, ::testing::ElementsAre(HasSubstr("input_layernorm.weight: 1 NaN")));
}

TEST(Trouble, AnOutputGainSpoilsItsLayer) {
  AttentionWeights w = random_layer(16, 2, 2, 4, NormKind::kNone, 18);
  w.output_gain.assign(16, 0.5f);
  w.output_gain[3] = std::numeric_limits<float>::infinity();
  for (const HeadSpectrum& head : site_spectrum(w, site(), {}, false, Arena(1)).heads)
    EXPECT_EQ(head.problem, "NaN or infinity in the gain on the attention output");
}

TEST(Trouble, ABiasSpoilsTheConstantAndNoHead) {
  TinyFile file = tiny_layout("bert").write(tiny_model());
  const WeightSpectra whole = Opened(file).spectra(Fold::kAuto);
  file.find("bert.encoder.layer.0.attention.self.value.bias")->values[2] =
      std::numeric_limits<float>::infinity();
  const WeightSpectra found = Opened(file).spectra(Fold::kAuto);
  EXPECT_EQ(found.invalid, 0u);
  for (const HeadSpectrum& head : found.sites[0].heads)
    expect_same_head(head, whole.sites[0].heads[head.head]);
  EXPECT_EQ(found.sites[0].sum.growth, whole.sites[0].sum.growth);
  EXPECT_THAT(found.sites[0].constant, IsEmpty());
  EXPECT_TRUE(std::isnan(found.sites[0].constant_norm));
  EXPECT_EQ(found.sites[1].constant, whole.sites[1].constant);
  EXPECT_THAT(found.problems, ::testing::ElementsAre(HasSubstr("value.bias: 0 NaN and 1 infinite values"),
                                                     HasSubstr("layer 0, constant: not available")));
}

TEST(Trouble, AZeroHeadIsNearNullWithoutDivision) {
  AttentionWeights w = random_layer(16, 3, 3, 4, NormKind::kNone, 10);
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t i = 0; i < 16; ++i) w.output(r, i) = 0;
  const SiteSpectrum found = site_spectrum(w, site(), {.conditions = true}, false, Arena(1));
  const HeadSpectrum& zero = found.heads[0];
  EXPECT_EQ(zero.tendency, HeadTendency::kNearNull);
  EXPECT_TRUE(zero.valid());
  EXPECT_EQ(zero.rho, 0);
  EXPECT_EQ(zero.sigma_max, 0);
  EXPECT_EQ(zero.frobenius, 0);
  EXPECT_TRUE(std::isnan(zero.copy_score));
  EXPECT_FALSE(zero.non_normal);
}

TEST(Trouble, ATinyHeadIsNearNull) {
  AttentionWeights w = random_layer(16, 3, 3, 4, NormKind::kNone, 11);
  for (std::size_t r = 0; r < 4; ++r)
    for (std::size_t i = 0; i < 16; ++i) w.output(r, i) *= 1e-4f;
  EXPECT_EQ(site_spectrum(w, site(), {}, false, Arena(1)).heads[0].tendency, HeadTendency::kNearNull);
}

TEST(Trouble, RankDeficientHeadsKeepTheirSingularValues) {
  AttentionWeights w = random_layer(16, 2, 2, 4, NormKind::kNone, 12);
  for (std::size_t i = 0; i < 16; ++i) {
    w.value_t(1, i) = w.value_t(0, i);            // G_V singular
    w.output(3, i) = w.output(2, i) * 1.000001f;  // G_O singular to working precision
  }
  const SiteSpectrum found = site_spectrum(w, site(), {}, false, Arena(1));
  const std::vector<double> sigma = singular_values(dense_h(w, 0));
  for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(found.heads[0].sigma[j], sigma[j], 1e-12);
}

TEST(Trouble, HeadsWiderThanTheModelAreSolvedToo) {
  const AttentionWeights w = random_layer(6, 2, 2, 9, NormKind::kNone, 13);
  const SiteSpectrum found = site_spectrum(w, site(), {}, false, Arena(1));
  const std::vector<double> sigma = singular_values(dense_h(w, 1));
  for (std::size_t j = 0; j < 6; ++j) EXPECT_NEAR(found.heads[1].sigma[j], sigma[j], 1e-7);
}

TEST(Trouble, ANilpotentHeadHasNoShares) {
  AttentionWeights w = random_layer(8, 1, 1, 2, NormKind::kNone, 14);
  for (std::size_t i = 0; i < w.value_t.size(); ++i) w.value_t.data()[i] = w.output.data()[i] = 0;
  w.value_t(0, 0) = 1;  // H = e_0 e_1ᵀ
  w.output(0, 1) = 1;
  const HeadSpectrum head = site_spectrum(w, site(), {}, false, Arena(1)).heads[0];
  EXPECT_EQ(head.rho, 0);
  EXPECT_EQ(head.sigma_max, 1);
  EXPECT_TRUE(head.non_normal);
  EXPECT_TRUE(std::isnan(head.negative_share));
  EXPECT_EQ(head.tendency, HeadTendency::kMixed);
  EXPECT_NEAR(head.asymmetry, std::sqrt(0.5), 1e-12);
}

TEST(Trouble, CrossAttentionKeepsSingularValuesOnly) {
  const AttentionSite cross{
      .label = "cross 0", .stack = "cross", .layer = 0, .self_map = false, .repeats = 1};
  const SiteSpectrum found =
      site_spectrum(random_layer(16, 2, 2, 4, NormKind::kNone, 15), cross, {}, false, Arena(1));
  EXPECT_EQ(found.heads[0].tendency, HeadTendency::kSigmaOnly);
  EXPECT_THAT(found.heads[0].eigenvalues, IsEmpty());
  EXPECT_EQ(found.heads[0].name, "cross 0.0");
  EXPECT_TRUE(std::isnan(found.heads[0].trace));
  EXPECT_GT(found.heads[0].sigma_max, 0);
  EXPECT_EQ(found.sum.method, "");
}

TEST(Trouble, AQuantisedLayerIsSkippedWithItsReason) {
  TinyFile file = tiny_layout("llama").write(tiny_model());
  const Opened whole(file);
  TinyFile half = file;
  half.rename("layers.1.self_attn.v_proj.weight", "layers.1.self_attn.v_proj.qweight");
  TinyDirectory directory;
  // A weight of integers, as bitsandbytes stores it.
  const std::vector<std::uint8_t> bytes(64, 1);
  write_tiny(directory.path(), file);
  const Checkpoint full = Checkpoint::open(directory.path());
  std::vector<TensorToWrite> tensors;
  std::vector<std::vector<float>> storage;
  storage.reserve(full.tensors().size());
  for (const TensorInfo& t : full.tensors()) {
    if (t.name.find("layers.1.self_attn.v_proj") != std::string::npos) {
      tensors.push_back({t.name, DType::kU8, t.shape, std::as_bytes(std::span(bytes))});
      continue;
    }
    storage.emplace_back(t.elements());
    full.read_all(t, storage.back());
    tensors.push_back({t.name, DType::kF32, t.shape, std::as_bytes(std::span(storage.back()))});
  }
  write_safetensors(directory.path() + "/model.safetensors", tensors);
  const Checkpoint quantised = Checkpoint::open(directory.path());
  const WeightSpectra found = weight_spectra(quantised, identify(quantised), {}, Arena(1));
  EXPECT_EQ(found.heads(), 2u);  // layer 0
  EXPECT_THAT(found.sites[1].heads, IsEmpty());
  ASSERT_EQ(found.sites[1].problems.size(), 1u);
  EXPECT_THAT(found.problems.at(0), HasSubstr("layer 1"));
  EXPECT_THAT(found.problems.at(0), HasSubstr("quantised"));
}

TEST(Trouble, NothingUsableIsAnErrorAndNeverAnEmptyTable) {
  TinyFile file = tiny_layout("llama").write(tiny_model());
  for (TinyTensor& t : file.tensors)
    if (t.name.find("o_proj") != std::string::npos)
      std::fill(t.values.begin(), t.values.end(), std::numeric_limits<float>::infinity());
  const Opened opened(file);
  try {
    opened.spectra(Fold::kAuto);
    FAIL() << "a table without a usable head";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
    EXPECT_THAT(error.message(), HasSubstr("none of its attention heads"));
    EXPECT_THAT(error.message(), HasSubstr("layer 0"));
    EXPECT_THAT(error.message(), HasSubstr("0 NaN and 64 infinite values"));
    EXPECT_THAT(error.hint(), HasSubstr("damaged"));
  }
}

TEST(Options, WithoutSingularValuesOnlyEigenvaluesRemain) {
  const AttentionWeights w = random_layer(16, 2, 2, 4, NormKind::kNone, 16);
  const SiteSpectrum few =
      site_spectrum(w, site(), {.singular_values = false, .layer_sums = false}, false, Arena(1));
  const SiteSpectrum all = site_spectrum(w, site(), {}, false, Arena(1));
  EXPECT_EQ(few.heads[0].eigenvalues, all.heads[0].eigenvalues);
  EXPECT_THAT(few.heads[0].sigma, IsEmpty());
  EXPECT_TRUE(std::isnan(few.heads[0].henrici));
  EXPECT_EQ(few.sum.method, "");
  EXPECT_NE(few.heads[0].tendency, HeadTendency::kNearNull);
}

TEST(Options, FoldNames) {
  for (const Fold fold : {Fold::kNone, Fold::kGamma, Fold::kCentreGamma, Fold::kAuto})
    EXPECT_EQ(parse_fold(to_string(fold)), fold);
  EXPECT_THROW(parse_fold("both"), Error);
}

TEST(Constant, IsWhatAttentionAddsToAZeroInput) {
  const AttentionWeights w = random_layer(12, 4, 2, 3, NormKind::kLayerNorm, 17);
  const SiteSpectrum found = site_spectrum(w, site(), {}, true, Arena(1));
  for (std::size_t i = 0; i < 12; ++i) {
    double c = w.output_bias[i];
    for (std::size_t h = 0; h < 4; ++h)
      for (std::size_t r = 0; r < 3; ++r) {
        double value = w.value_bias[h / 2 * 3 + r];
        for (std::size_t j = 0; j < 12; ++j)
          value += double{w.norm_bias[j]} * double{w.value_t(h / 2 * 3 + r, j)};
        c += value * double{w.output(h * 3 + r, i)};
      }
    EXPECT_NEAR(found.constant[i], c, 1e-12);
  }
}

/// Constructed heads: W_V = e_0…, W_O = λ e_0…, so that H = diag(λ, 0, …).
TEST(Tendency, FollowsTheZonesAndForPreNormTheHalfPlane) {
  const auto head_of = [](float value) {
    AttentionWeights w;
    w.heads = w.kv_heads = 1;
    w.head_width = 2;
    w.value_t = Matrix<float>(2, 8);
    w.output = Matrix<float>(2, 8);
    for (std::size_t r = 0; r < 2; ++r) {
      w.value_t(r, r) = 1;
      w.output(r, r) = value;
    }
    return w;
  };
  const auto tendency = [&](float value, bool half_plane) {
    return site_spectrum(head_of(value), site(), {}, half_plane, Arena(1)).heads[0].tendency;
  };
  EXPECT_EQ(tendency(0.3f, false), HeadTendency::kSmooth);
  EXPECT_EQ(tendency(-0.3f, false), HeadTendency::kSharpen);
  EXPECT_EQ(tendency(-1.2f, false), HeadTendency::kMixed);   // depends on attention
  EXPECT_EQ(tendency(-2.5f, false), HeadTendency::kSmooth);  // alternating
  EXPECT_EQ(tendency(-2.5f, true), HeadTendency::kSharpen);
  EXPECT_EQ(tendency(0.3f, true), HeadTendency::kSmooth);
}

}  // namespace
}  // namespace telos::smoothing
