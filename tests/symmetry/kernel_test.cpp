#include "telos/symmetry/kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "reference/symmetry_kernel.h"
#include "symmetry/transform_kernel.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/symmetry/nonlinearity.h"
#include "tests/linalg/support.h"
#include "tests/symmetry/kernel_support.h"

namespace telos::symmetry {
namespace {

using ::testing::HasSubstr;
namespace slow = reference::kernel;
using checks::as_slow, checks::random_architecture, checks::random_sequence, checks::Sequence;

const Sequence kX = {0, 1, 2}, kY = {2, 1, 1};

Kernel make_kernel(const std::string& json, std::size_t vocabulary = 3, bool ntk = true) {
  return Kernel(parse_architecture(json, "test"), vocabulary, {.ntk = ntk});
}

void expect_same(const Architecture& a, const Sequence& x, const Sequence& y, const std::string& what) {
  const KernelValue found = Kernel(a, 8, {.ntk = true})(x, y);
  const slow::Value known = slow::evaluate(as_slow(a), x, y);
  EXPECT_NEAR(found.nngp, known.nngp, 1e-12 * (1 + std::abs(known.nngp))) << what;
  EXPECT_NEAR(found.ntk, known.ntk, 1e-12 * (1 + std::abs(known.ntk))) << what;
}

// ---- Numbers known beforehand

TEST(SymmetryKernel, ElementwiseNumbers) {
  const auto expect = [](Nonlinearity phi, double a, double b, double c, double value, double slope) {
    const Transformed t = transform(phi, 0, a, b, c);
    EXPECT_NEAR(t.value, value, 1e-14);
    EXPECT_NEAR(t.slope, slope, 1e-14);
  };
  expect(Nonlinearity::kRelu, 1.3, 0.7, 0.45, 0.281553196359225, 0.328184818907905);
  expect(Nonlinearity::kRelu, 1, 1, -0.8, 0.0135598599754838, 0.102416382349567);
  expect(Nonlinearity::kErf, 1.3, 0.7, 0.45, 0.198106042756326, 0.455018691920578);
  expect(Nonlinearity::kErf, 1, 1, -0.8, -0.358121695950023, 0.501726667420458);
  expect(Nonlinearity::kGelu, 1.3, 0.7, 0.45, 0.204546043184121, 0.334624156552098);
  expect(Nonlinearity::kGelu, 1, 1, -0.8, -0.0607779080708611, 0.0943712575605448);
  expect(Nonlinearity::kGelu, 2, 0.5, 0.99, 0.40883519935684, 0.435119075127478);
}

TEST(SymmetryKernel, NumbersOfTheReferenceBlock) {
  struct Known {
    const char *preset, *readout;
    bool causal;
    double nngp, ntk, ntk_x, ntk_y, nngp_x;
  };
  const Known list[] = {{"pre-ln-relu", "last", false, 0.459753365539803, 1.37016265565689, 3.12136665473969,
                         3.21285880911638, 1},
                        {"pre-ln-relu", "mean", false, 0.477813069092248, 1.46906982056119, 1.57961500659955,
                         2.03665269005324, 0.497026915648259},
                        {"pre-ln-gelu", "last", false, 0.423778313673224, 1.2647784434387, 2.84118200756137,
                         2.94485351383219, 1},
                        {"pre-ln-relu", "mean", true, 0.431851637662665, 1.29815836303686, 1.49564116826244,
                         1.86322188431753, 0.467340117646578},
                        {"pre-ln-relu", "last", true, 0.459753365539803, 1.37016265565689, 3.12136665473969,
                         3.21285880911638, 1}};
  for (const Known& known : list) {
    Architecture a = preset(known.preset);
    a.readout = std::string(known.readout) == "mean" ? Readout::kMean : Readout::kLast;
    a.blocks[0].attention->causal = known.causal;
    const Kernel kernel(a, 3, {.ntk = true});
    const KernelValue xy = kernel(kX, kY), xx = kernel(kX, kX), yy = kernel(kY, kY);
    EXPECT_NEAR(xy.nngp, known.nngp, 1e-12);
    EXPECT_NEAR(xy.ntk, known.ntk, 1e-12);
    EXPECT_NEAR(xx.ntk, known.ntk_x, 1e-12);
    EXPECT_NEAR(yy.ntk, known.ntk_y, 1e-12);
    EXPECT_NEAR(xx.nngp, known.nngp_x, 1e-12);
  }
}

/// The mean over all entries of the block, and the entries at the first and last positions.
void expect_block(const std::string& attention, const std::vector<double>& k,
                  const std::vector<double>& theta) {
  const std::string head = "{\"blocks\": [{\"norm\": \"none\", \"residual\": false, \"attn\": " + attention +
                           "}], \"final_norm\": false, \"readout\": \"";
  const auto value = [&](const char* readout) { return make_kernel(head + readout + "\"}")(kX, kY); };
  const auto mean = [](const std::vector<double>& v) {
    return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
  };
  const KernelValue all = value("mean"), last = value("last"), cls = value("cls"), flat = value("flatten");
  EXPECT_NEAR(all.nngp, mean(k), 1e-12);
  EXPECT_NEAR(last.nngp, k[8], 1e-12);
  EXPECT_NEAR(cls.nngp, k[0], 1e-12);
  EXPECT_NEAR(flat.nngp, (k[0] + k[4] + k[8]) / 3, 1e-12);
  EXPECT_NEAR(all.ntk - all.nngp, mean(theta), 1e-12);
  EXPECT_NEAR(last.ntk - last.nngp, theta[8], 1e-12);
  EXPECT_NEAR(cls.ntk - cls.nngp, theta[0], 1e-12);
}

TEST(SymmetryKernel, NumbersOfAttention) {
  expect_block(R"json({"kind": "linear", "scale": "1/sqrt(d)"})json",
               {2.375, 0, 0, 0, 7.125, 4.75, 4.75, 0, 2.375},
               {16.625, 0, 0, 0, 49.875, 33.25, 33.25, 0, 16.625});
  const std::vector<double> soft = {0.417126897753779, 0.264174792850549, 0.264174792850549,
                                    0.438603915088382, 0.849863174494517, 0.792105180198396,
                                    0.644269187157839, 0.385962032654934, 0.443720026951055};
  std::vector<double> three = soft;
  for (double& v : three) v *= 3;
  expect_block("{}", soft, three);
  expect_block(R"json({"kind": "relu", "scale": "1/sqrt(d)"})json",
               {2.255291884436964, 1.61144379880544, 1.61144379880544, 1.61144379880544, 3.885424859908475,
                3.004331375109131, 3.004331375109131, 1.61144379880544, 2.255291884436964},
               {9.5446484774533, 4.83433139641632, 4.83433139641632, 4.83433139641632, 23.7122119148721,
                15.4659785991212, 15.4659785991212, 4.83433139641632, 9.5446484774533});
}

/// After the attention layer and relu, at the last position, before the second dense layer.
TEST(SymmetryKernel, NumbersOfTheHiddenLayer) {
  const Kernel kernel = make_kernel(
      R"({"blocks": [{"attn": {}}, {"residual": false, "mlp": {"w2": 2, "b2": 0.1}}], "final_norm": false})");
  EXPECT_NEAR(kernel(kX, kY).nngp, 0.593481647352859, 1e-12);
  EXPECT_NEAR(kernel(kX, kX).nngp, 1.05, 1e-12);
  EXPECT_NEAR(kernel(kY, kY).nngp, 1.05, 1e-12);
}

/// Over all sequences: eigenvalues of the kernel operator under the uniform law, the largest first.
std::vector<double> spectrum_of(const Kernel& kernel, std::size_t length, bool ntk) {
  const auto v = static_cast<Token>(kernel.vocabulary());
  std::size_t n = 1;
  for (std::size_t a = 0; a < length; ++a) n *= v;
  std::vector<PreparedSequence> all;
  for (std::size_t i = 0; i < n; ++i) {
    Sequence s;
    for (std::size_t a = 0, rest = i; a < length; ++a, rest /= v) s.push_back(static_cast<Token>(rest % v));
    all.push_back(kernel.prepare(s));
  }
  Matrix<double> k(n, n), theta(ntk ? n : 0, ntk ? n : 0);
  kernel.tile(all, all, k, theta, {});
  Matrix<double>& chosen = ntk ? theta : k;
  for (std::size_t i = 0; i < chosen.size(); ++i) chosen.data()[i] /= static_cast<double>(n);
  std::vector<double> values = symmetric_eigen(chosen).values;
  std::reverse(values.begin(), values.end());
  return values;
}

double trace_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

TEST(SymmetryKernel, NumbersOverAllSequences) {
  Architecture a = preset("pre-ln-relu");
  a.readout = Readout::kMean;
  const Kernel three(a, 3, {.ntk = true}), two(a, 2);
  const auto k = [&](Sequence x, Sequence y) { return three(x, y); };
  EXPECT_NEAR(k({0, 0, 0, 0}, {0, 0, 0, 0}).nngp, 0.842211867283, 1e-12);
  EXPECT_NEAR(k({0, 0, 0, 0}, {2, 2, 2, 2}).nngp, 0.187259477135, 1e-12);
  EXPECT_NEAR(k({0, 0, 1, 2}, {0, 1, 2, 2}).nngp, 0.447518445884, 1e-12);
  EXPECT_NEAR(k({0, 0, 1, 2}, {0, 1, 2, 2}).ntk, 1.36630805708, 1e-11);
  const std::vector<double> nngp = spectrum_of(three, 4, false), ntk = spectrum_of(three, 4, true);
  EXPECT_NEAR(nngp[0], 0.449393838892, 1e-12);
  for (std::size_t i = 1; i < 3; ++i) EXPECT_NEAR(nngp[i], 0.0605339367, 1e-10);
  for (std::size_t i = 3; i < 9; ++i) EXPECT_NEAR(nngp[i], 0.00044054034509, 1e-14);
  for (std::size_t i = 9; i < 11; ++i) EXPECT_NEAR(nngp[i], 0.000164608877039, 1e-14);
  EXPECT_NEAR(trace_of(nngp), 0.573890866577, 1e-12);
  EXPECT_NEAR(ntk[0], 1.37113801272, 1e-11);
  for (std::size_t i = 3; i < 9; ++i) EXPECT_NEAR(ntk[i], 0.00421612424972, 1e-13);
  EXPECT_NEAR(trace_of(ntk), 1.83748831933, 1e-11);
  const std::vector<double> binary = spectrum_of(two, 6, false);
  EXPECT_NEAR(binary[0], 0.537245706981, 1e-12);
  EXPECT_NEAR(trace_of(binary), 0.6012080315359513, 1e-14);
  Architecture relu = preset("relu-attention");
  relu.readout = Readout::kMean;
  EXPECT_NEAR(trace_of(spectrum_of(Kernel(relu, 3), 4, false)),
              0.513500637382 + 0.0170805735896 + 0.000399989018955 + 0.000209814043264, 1e-12);
  // The simplified block, without 1/L²: times the 16 of a context of four.
  const std::vector<double> simple = spectrum_of(Kernel(preset("simplified"), 3), 5, false);
  EXPECT_NEAR(16 * trace_of(simple), 19.5, 1e-12);
  EXPECT_NEAR(16 * simple[0], 6.388888888889, 1e-12);
  EXPECT_NEAR(16 * simple[1], 2.555555555556, 1e-12);
  EXPECT_NEAR(16 * simple[14], 0.277777777778, 1e-12);
  EXPECT_NEAR(16 * simple[26], 0.111111111111, 1e-12);
  EXPECT_NEAR(simple[27], 0, 1e-14);
}

// ---- Against the slow version

TEST(SymmetryKernel, IsWhatTheSlowVersionSays) {
  Random random(1, 70);
  for (int i = 0; i < 400; ++i) {
    const Architecture a = random_architecture(random);
    const Sequence x = random_sequence(random, 1 + random.below(6), 3),
                   y = random_sequence(random, 1 + random.below(6), 3);
    expect_same(a, x, y, "architecture " + std::to_string(i) + ": " + describe(a));
    expect_same(a, x, x, "architecture " + std::to_string(i) + ", twice the same");
  }
}

/// The slow version takes an integral for each pair of positions. The series is cut where its own bound says.
TEST(SymmetryKernel, SeriesInANetwork) {
  Architecture a = preset("pre-ln-relu");
  a.blocks[0].mlp->phi = Nonlinearity::kTanh;
  const Kernel kernel(a, 3, {.ntk = true});
  const Sequence x = {0}, y = {2, 1};
  const KernelValue found = kernel(x, y);
  const slow::Value known = slow::evaluate(as_slow(a), x, y);
  const double rest = std::max(kernel.prepare(x).series_rest(), kernel.prepare(y).series_rest());
  EXPECT_NEAR(found.nngp, known.nngp, rest + 1e-13);
  EXPECT_NEAR(found.ntk, known.ntk, 1e-8);
  EXPECT_GT(rest, 0);
  EXPECT_LT(rest, 1e-10);
}

TEST(SymmetryKernel, TheSimplifiedBlock) {
  Random random(2, 70);
  for (const bool query : {true, false})
    for (const bool trained : {true, false}) {
      Architecture a = preset("simplified");
      a.simplified->query = query;
      a.embedding.trained = trained;
      a.simplified->position = 0.7;
      const Kernel kernel(a, 4, {.ntk = true});
      for (int i = 0; i < 20; ++i) {
        const Sequence x = random_sequence(random, 2 + random.below(5), 4),
                       y = random_sequence(random, 2 + random.below(5), 4);
        const KernelValue found = kernel(x, y);
        const slow::Value known = slow::simplified(1, 0.7, query, trained, x, y);
        EXPECT_NEAR(found.nngp, known.nngp, 1e-13);
        EXPECT_NEAR(found.ntk, known.ntk, 1e-12);
        Architecture undivided = a;
        undivided.simplified->average = AttentionAverage::kNone;
        const double lx = static_cast<double>(x.size()) - query, ly = static_cast<double>(y.size()) - query;
        EXPECT_NEAR(Kernel(undivided, 4)(x, y).nngp, lx * ly * found.nngp, 1e-12);
      }
    }
}

/// Without a query it is linear attention at 1/√d with a single query of variance 1; with one it is the row
/// of the last token, over all tokens but itself.
TEST(SymmetryKernel, TheSimplifiedBlockIsARowOfLinearAttention) {
  Architecture a;
  a.blocks.push_back({.norm = NormPlace::kNone,
                      .residual = false,
                      .attention = AttentionLayer{.map = AttentionMap::kLinear,
                                                  .scale = AttentionScale::kRoot,
                                                  .average = AttentionAverage::kMean},
                      .mlp = {}});
  a.final_norm = false;
  const double row = Kernel(a, 3)(kX, kY).nngp;  // factor 0.5 of the different last tokens
  Architecture simple = preset("simplified");
  simple.simplified->query = false;
  EXPECT_NEAR(row, 0.5 * Kernel(simple, 3)(kX, kY).nngp, 1e-14);
}

// ---- Single precision

Matrix<double> tile_of(const Architecture& a, Precision precision, const std::vector<Sequence>& sequences) {
  const Kernel kernel(a, 8, {.precision = precision});
  std::vector<PreparedSequence> all;
  for (const Sequence& s : sequences) all.push_back(kernel.prepare(s));
  Matrix<double> k(all.size(), all.size());
  kernel.tile(all, all, k, {}, {});
  return k;
}

TEST(SymmetryKernel, SinglePrecisionIsWithinItsBound) {
  Random random(5, 70);
  double worst = 0;
  int in_single = 0, differ = 0;
  for (int i = 0; i < 160; ++i) {
    Architecture a = random_architecture(random);
    for (TransformerBlock& b : a.blocks)
      if (b.attention && i % 8 != 0) b.attention->scale = AttentionScale::kDimension;
    std::vector<Sequence> sequences;
    for (int j = 0; j < 6; ++j) sequences.push_back(random_sequence(random, 1 + random.below(16), 5));
    sequences.push_back(sequences[0]);
    const Matrix<double> known = tile_of(a, Precision::kDouble, sequences),
                         found = tile_of(a, Precision::kSingle, sequences);
    const bool single = Kernel(a, 8, {.precision = Precision::kSingle}).stays_double().empty();
    in_single += single;
    double largest = 0;
    for (std::size_t x = 0; x < known.rows(); ++x)
      for (std::size_t y = 0; y < known.cols(); ++y)
        largest =
            std::max(largest, std::abs(found(x, y) - known(x, y)) / std::sqrt(known(x, x) * known(y, y)));
    EXPECT_LE(largest, single ? 1e-6 : 0) << describe(a);
    worst = std::max(worst, largest);
    differ += largest > 1e-9;
  }
  EXPECT_GT(in_single, 80);
  EXPECT_GT(differ, in_single / 2);
  EXPECT_GT(worst, 1e-8);
}

TEST(SymmetryKernel, SinglePrecisionIsRefusedOutOfItsRange) {
  Architecture a = preset("pre-ln-relu");
  a.readout = Readout::kMean;
  a.embedding.token = a.embedding.position = 1e-20;
  a.blocks[0].mlp->bias = 0;
  a.blocks[0].norm = NormPlace::kNone;
  EXPECT_GT(Kernel(a, 3)(kX, kY).nngp, 0);
  EXPECT_THROW(Kernel(a, 3, {.precision = Precision::kSingle})(kX, kY), Error);
}

TEST(SymmetryKernel, WhatStaysDoubleSaysWhy) {
  const auto reason = [](const char* name, Readout readout, bool ntk) {
    Architecture a = preset(name);
    a.readout = readout;
    return Kernel(a, 3, {.ntk = ntk, .precision = Precision::kSingle}).stays_double();
  };
  EXPECT_EQ(reason("pre-ln-relu", Readout::kMean, false), "");
  EXPECT_EQ(reason("deep", Readout::kLast, false), "");
  EXPECT_THAT(reason("pre-ln-relu", Readout::kMean, true), HasSubstr("NTK"));
  EXPECT_THAT(reason("pre-ln-relu", Readout::kLast, false), HasSubstr("one product"));
  EXPECT_THAT(reason("relu-attention", Readout::kMean, false), HasSubstr("1/sqrt(d)"));
  EXPECT_THAT(reason("sqrt-softmax", Readout::kMean, false), HasSubstr("Monte Carlo"));
  EXPECT_THAT(reason("simplified", Readout::kLast, false), HasSubstr("simplified"));
}

// ---- Nonlinearities

const Nonlinearity kAll[] = {Nonlinearity::kIdentity, Nonlinearity::kRelu, Nonlinearity::kLeakyRelu,
                             Nonlinearity::kAbs,      Nonlinearity::kErf,  Nonlinearity::kGelu,
                             Nonlinearity::kSin,      Nonlinearity::kCos,  Nonlinearity::kExp,
                             Nonlinearity::kSquare,   Nonlinearity::kTanh, Nonlinearity::kSilu};

TEST(SymmetryKernel, SlopesAreDerivatives) {
  const double points[][3] = {{1.3, 0.7, 0.45}, {1, 1, -0.8}, {0.2, 0.9, 0}, {2, 0.5, 0.9}};
  for (const Nonlinearity phi : kAll)
    for (const auto& [a, b, c] : points) {
      const double h = 1e-3;
      const auto value = [&, a = a, b = b](double x) { return transform(phi, 0.3, a, b, x).value; };
      // Of sixth order.
      const double slope = (45 * (value(c + h) - value(c - h)) - 9 * (value(c + 2 * h) - value(c - 2 * h)) +
                            value(c + 3 * h) - value(c - 3 * h)) /
                           (60 * h);
      EXPECT_NEAR(transform(phi, 0.3, a, b, c).slope, slope, 1e-8) << to_string(phi);
    }
}

TEST(SymmetryKernel, RowsAreSingleTransforms) {
  Random random(3, 70);
  for (const Nonlinearity phi : kAll)
    for (const std::size_t n : {1u, 7u, 8u, 33u}) {
      const double a = 0.1 + 3 * random.uniform();
      std::vector<double> b(n), c(n), slope(n);
      for (std::size_t j = 0; j < n; ++j) {
        b[j] = 0.1 + 3 * random.uniform();
        c[j] = (2 * random.uniform() - 1) * std::sqrt(a * b[j]);
      }
      b[0] = a, c[0] = a;  // a token with itself
      if (n > 1) b[1] = a, c[1] = -a;
      std::vector<double> values = c, alone = c;
      transform_row(phi, 0.3, a, b, values, slope);
      transform_row(phi, 0.3, a, b, alone, {});
      EXPECT_EQ(values, alone);
      for (std::size_t j = 0; j < n; ++j) {
        const Transformed t = transform(phi, 0.3, a, b[j], c[j]);
        EXPECT_NEAR(values[j], t.value, 2e-15 * (1 + std::abs(t.value))) << to_string(phi);
        EXPECT_NEAR(slope[j], t.slope, 1e-14 * (1 + std::abs(t.slope))) << to_string(phi);
      }
    }
  std::vector<double> b = {1, 1}, c = {0.5, 1.001};
  EXPECT_THROW(transform_row(Nonlinearity::kRelu, 0, 1, b, c, {}), Error);
  c = {0.5, std::nan("")};
  EXPECT_THROW(transform_row(Nonlinearity::kErf, 0, 1, b, c, {}), Error);
}

/// φ = relu or abs in long double: the determinant without rounding, the angle by atan2.
struct Exact {
  long double value, slope;
};
Exact exact_piecewise(double low, double high, double a, double b, double c) {
  const double product = a * b, square = c * c;
  const long double s2 = static_cast<long double>(product) - square +
                         (static_cast<long double>(std::fma(a, b, -product)) - std::fma(c, c, -square));
  const long double pi = std::acos(-1.0L), s = std::sqrt(std::max(s2, 0.0L)),
                    step = (high - low) * (high - low) / (2 * pi);
  const long double slope =
      (low + high) * (low + high) / 4.0L + step * (pi / 2 - std::atan2(s, static_cast<long double>(c)));
  return {step * s + slope * c, slope};
}

/// Errors of the rows, in units of the last place: of √(ab) and of 1, at any angle.
template <class T>
std::pair<double, double> row_errors(double low, double high) {
  Random random(6, 70);
  constexpr std::size_t kCount = 20000;
  std::vector<T> b(kCount), inverse(kCount), c(kCount), slope(kCount);
  const T a = static_cast<T>(0.1 + 3 * random.uniform());
  for (std::size_t j = 0; j < kCount; ++j) {
    b[j] = static_cast<T>(0.1 + 3 * random.uniform());
    inverse[j] = static_cast<T>(kernel::inverse_root(kernel::RowForm::kPiecewise, b[j]));
    // ρ evenly, and as near to ±1 as T can tell.
    const double gap = j % 2 == 0 ? random.uniform() : std::pow(2, -50 * random.uniform());
    c[j] = static_cast<T>((j % 4 < 2 ? 1 - gap : gap - 1) * std::sqrt(double{a} * b[j]));
  }
  std::vector<T> values = c;
  EXPECT_TRUE(
      kernel::transform_row<T>({.step = (high - low) * (high - low) / (2 * std::acos(-1.0)),
                                .middle = (low + high) * (low + high) / 4},
                               {a, static_cast<T>(kernel::inverse_root(kernel::RowForm::kPiecewise, a)),
                                b.data(), inverse.data(), values.data(), slope.data(), kCount}));
  double value_error = 0, slope_error = 0;
  for (std::size_t j = 0; j < kCount; ++j) {
    const Exact e = exact_piecewise(low, high, a, b[j], c[j]);
    const long double unit = std::numeric_limits<T>::epsilon() / 2;
    value_error =
        std::max(value_error, static_cast<double>(std::abs(values[j] - e.value) /
                                                  (unit * std::sqrt(static_cast<long double>(a) * b[j]))));
    slope_error = std::max(slope_error, static_cast<double>(std::abs(slope[j] - e.slope) / unit));
  }
  return {value_error, slope_error};
}

TEST(SymmetryKernel, RowsAreAccurate) {
  const auto [relu, relu_slope] = row_errors<double>(0, 1);
  const auto [abs, abs_slope] = row_errors<double>(-1, 1);
  const auto [single, single_slope] = row_errors<float>(0, 1);
  EXPECT_LT(std::max(relu, relu_slope), 1.5);
  EXPECT_LT(std::max(abs, abs_slope), 4);  // four times the step
  EXPECT_LT(std::max(single, single_slope), 1.5);
}

TEST(SymmetryKernel, RowsHaveTheSameBitsOnEveryTarget) {
  Random random(4, 70);
  std::vector<double> b(37), c(37);
  for (std::size_t j = 0; j < b.size(); ++j) {
    b[j] = 0.1 + 3 * random.uniform();
    c[j] = (2 * random.uniform() - 1) * std::sqrt(1.7 * b[j]);
  }
  for (const Nonlinearity phi :
       {Nonlinearity::kRelu, Nonlinearity::kLeakyRelu, Nonlinearity::kErf, Nonlinearity::kGelu}) {
    std::vector<std::vector<double>> found;
    test::for_each_target([&] {
      std::vector<double> values = c, slope(c.size());
      transform_row(phi, 0.3, 1.7, b, values, slope);
      values.insert(values.end(), slope.begin(), slope.end());
      found.push_back(values);
    });
    for (const auto& values : found) EXPECT_EQ(values, found.front()) << to_string(phi);
  }
}

template <class T>
std::vector<T> all_row_steps() {
  Random random(7, 70);
  std::vector<T> x(37), y(37);
  for (std::size_t j = 0; j < x.size(); ++j) {
    x[j] = static_cast<T>(random.uniform() - 0.5);
    y[j] = static_cast<T>(0.3 + random.uniform());
  }
  kernel::affine_row<T>(static_cast<T>(1.3), static_cast<T>(0.1), x.data(), x.size());
  kernel::scale_row<T>(static_cast<T>(0.7), y.data(), x.data(), x.size());
  kernel::scale_add_row<T>(static_cast<T>(0.6), y.data(), x.data(), x.size());
  kernel::multiply_row<T>(y.data(), x.data(), x.size());
  std::vector<double> sums(x.size(), 0.25);
  kernel::accumulate_row<T>(x.data(), sums.data(), x.size());
  for (std::size_t j = 0; j < x.size(); ++j) EXPECT_EQ(sums[j], 0.25 + double{x[j]});
  std::vector<T> inverse(y.size()), slope(y.size());
  const T a = static_cast<T>(1.7);
  for (const kernel::RowForm form :
       {kernel::RowForm::kPiecewise, kernel::RowForm::kErf, kernel::RowForm::kGelu}) {
    for (std::size_t j = 0; j < y.size(); ++j) {
      inverse[j] = static_cast<T>(kernel::inverse_root(form, y[j]));
      x[j] = std::clamp(x[j], -y[j], y[j]);
    }
    kernel::transform_row<T>({.form = form, .step = 0.2, .middle = 0.3},
                             {a, static_cast<T>(kernel::inverse_root(form, a)), y.data(), inverse.data(),
                              x.data(), slope.data(), x.size()});
    kernel::multiply_row<T>(slope.data(), x.data(), x.size());
  }
  return x;
}

TEST(SymmetryKernel, StepsOfRowsHaveTheSameBitsOnEveryTarget) {
  std::vector<std::vector<float>> single;
  std::vector<std::vector<double>> wide;
  test::for_each_target([&] {
    single.push_back(all_row_steps<float>());
    wide.push_back(all_row_steps<double>());
  });
  for (const auto& values : single) EXPECT_EQ(values, single.front());
  for (const auto& values : wide) EXPECT_EQ(values, wide.front());
  EXPECT_NE(wide.front()[3], 0);
}

TEST(SymmetryKernel, TransformsAreIntegrals) {
  for (const Nonlinearity phi : kAll) {
    const bool smooth =
        phi != Nonlinearity::kRelu && phi != Nonlinearity::kLeakyRelu && phi != Nonlinearity::kAbs;
    const Transformed t = transform(phi, 0.3, 1.3, 0.7, 0.45);
    const slow::Value known = slow::integral(std::string(to_string(phi)), 0.3, 1.3, 0.7, 0.45);
    EXPECT_NEAR(t.value, known.nngp, smooth ? 1e-11 : 1e-3) << to_string(phi);
    EXPECT_NEAR(t.slope, known.ntk, smooth ? 1e-9 : 3e-3) << to_string(phi);
  }
}

TEST(SymmetryKernel, SeriesKnowTheirError) {
  for (const Nonlinearity phi : {Nonlinearity::kTanh, Nonlinearity::kSilu}) {
    EXPECT_LT(hermite_series(phi, 1).rest, 1e-13);
    const double wide = hermite_series(phi, 400).rest;
    EXPECT_GT(wide, 1e-6);
    EXPECT_LT(wide, phi == Nonlinearity::kTanh ? 0.1 : 10);
    EXPECT_EQ(hermite_series(phi, 0).h.size(), kSeriesTerms);
  }
  // tanh of a wide u is nearly a sign, whose kernel is 2/π asin ρ.
  const Transformed t = transform(Nonlinearity::kTanh, 0, 1e4, 1e4, 5e3);
  EXPECT_NEAR(t.value, 1.0 / 3, 0.01);
}

TEST(SymmetryKernel, NearlyEqualTokensKeepTheirDigits) {
  // 1 − ρ = 1e−14: θ ≈ √(2 · 1e−14) must not be lost.
  const double a = 1, c = 1 - 1e-14;
  const Transformed t = transform(Nonlinearity::kRelu, 0, a, a, c);
  EXPECT_NEAR((0.5 - t.slope) * 2 * std::acos(-1.0) / std::sqrt(2e-14), 1, 1e-3);
  EXPECT_EQ(transform(Nonlinearity::kRelu, 0, 2, 2, 2 * (1 + 1e-13)).value, 1);
  for (const Nonlinearity phi : {Nonlinearity::kIdentity, Nonlinearity::kRelu, Nonlinearity::kErf,
                                 Nonlinearity::kGelu, Nonlinearity::kSin, Nonlinearity::kTanh}) {
    EXPECT_THROW(transform(phi, 0, 1, 1, 1.001), Error) << to_string(phi);
    EXPECT_THROW(transform(phi, 0, 1, 1, -3), Error) << to_string(phi);
  }
  EXPECT_EQ(transform(Nonlinearity::kRelu, 0, 0, 1, 0).value, 0);
}

}  // namespace
}  // namespace telos::symmetry
