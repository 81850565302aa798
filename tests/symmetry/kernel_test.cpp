#include "telos/symmetry/kernel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "reference/symmetry_kernel.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/symmetry/nonlinearity.h"
#include "tests/linalg/support.h"

namespace telos::symmetry {
namespace {

using ::testing::HasSubstr;
namespace slow = reference::kernel;
using Sequence = std::vector<Token>;

const Sequence kX = {0, 1, 2}, kY = {2, 1, 1};

Kernel make_kernel(const std::string& json, std::size_t vocabulary = 3, bool ntk = true) {
  return Kernel(parse_architecture(json, "test"), vocabulary, {.ntk = ntk});
}

/// The same architecture for the slow version.
slow::Network as_slow(const Architecture& a) {
  slow::Network n;
  n.se2 = a.embedding.token;
  n.sp2 = a.embedding.position;
  n.positions = to_string(a.embedding.positions);
  n.dimension = static_cast<int>(a.embedding.dimension);
  n.trained = a.embedding.trained;
  for (const TransformerBlock& b : a.blocks) {
    slow::Layer l;
    l.norm = to_string(b.norm);
    l.residual = b.residual;
    if (b.attention) {
      slow::Attention m;
      m.map = to_string(b.attention->map);
      m.root = b.attention->scale == AttentionScale::kRoot;
      m.qk = b.attention->logit;
      m.ov2 = b.attention->value;
      m.b2 = b.attention->bias;
      m.sp2 = b.attention->position;
      m.positions = to_string(b.attention->positions);
      m.value_positions = b.attention->value_positions;
      m.average = static_cast<int>(b.attention->average);
      m.causal = b.attention->causal;
      m.alibi = b.attention->alibi;
      if (b.attention->rope) {
        m.rope_base = b.attention->rope->base;
        m.rope_dimension = static_cast<int>(b.attention->rope->dimension);
      }
      l.attention.push_back(m);
    }
    if (b.mlp)
      l.mlp.push_back({std::string(to_string(b.mlp->phi)), b.mlp->slope, b.mlp->weight, b.mlp->bias,
                       b.mlp->out_weight, b.mlp->out_bias});
    n.layers.push_back(l);
  }
  n.readout = to_string(a.readout);
  n.final_norm = a.final_norm;
  n.w2 = a.weight;
  n.epsilon = a.epsilon;
  return n;
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

Architecture random_architecture(Random& random) {
  const auto pick = [&](auto... values) {
    const std::common_type_t<decltype(values)...> list[] = {values...};
    return list[random.below(sizeof...(values))];
  };
  const auto number = [&] { return 0.2 + 1.5 * random.uniform(); };
  Architecture a;
  a.embedding = {.token = number(),
                 .position = number(),
                 .positions = pick(Positions::kNone, Positions::kIndependent, Positions::kIndependent,
                                   Positions::kSinusoidal, Positions::kDecay),
                 .dimension = 8,
                 .trained = pick(true, true, false)};
  for (std::uint32_t i = random.below(3); i < 3; ++i) {
    TransformerBlock b;
    b.norm = pick(NormPlace::kPre, NormPlace::kPre, NormPlace::kPost, NormPlace::kNone);
    b.residual = pick(true, true, false);
    if (pick(true, true, false)) {
      AttentionLayer m;
      m.scale = pick(AttentionScale::kDimension, AttentionScale::kRoot);
      m.map = pick(AttentionMap::kLinear, AttentionMap::kRelu, AttentionMap::kAbs, AttentionMap::kErf);
      if (m.scale == AttentionScale::kDimension) m.map = pick(AttentionMap::kSoftmax, m.map);
      m.logit = number();
      m.value = number();
      m.bias = pick(0.0, 0.3);
      m.position = pick(0.0, 0.4);
      m.positions =
          pick(Positions::kIndependent, Positions::kSinusoidal, Positions::kDecay, Positions::kNone);
      m.value_positions = pick(true, false);
      m.average = pick(AttentionAverage::kNone, AttentionAverage::kRoot, AttentionAverage::kMean);
      m.causal = pick(true, false);
      if (pick(true, false, false)) m.rope = RotaryEmbedding{.base = 100, .dimension = 6};
      if (m.scale == AttentionScale::kDimension) m.alibi = pick(0.0, 0.2);
      b.attention = m;
    }
    if (pick(true, false))
      b.mlp = MlpLayer{.phi = pick(Nonlinearity::kIdentity, Nonlinearity::kRelu, Nonlinearity::kLeakyRelu,
                                   Nonlinearity::kAbs, Nonlinearity::kErf, Nonlinearity::kGelu,
                                   Nonlinearity::kSin, Nonlinearity::kCos),
                       .slope = 0.2,
                       .weight = number(),
                       .bias = pick(0.0, 0.1),
                       .out_weight = number(),
                       .out_bias = pick(0.0, 0.2)};
    a.blocks.push_back(b);
  }
  a.readout = pick(Readout::kLast, Readout::kMean, Readout::kFlatten, Readout::kCls);
  a.final_norm = pick(true, false);
  a.weight = number();
  a.epsilon = pick(0.0, 1e-3);
  return a;
}

Sequence random_sequence(Random& random, std::size_t length, std::uint32_t vocabulary) {
  Sequence s(length);
  for (Token& t : s) t = random.below(vocabulary);
  return s;
}

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
  EXPECT_THROW(transform(Nonlinearity::kRelu, 0, 1, 1, 1.001), Error);
  EXPECT_EQ(transform(Nonlinearity::kRelu, 0, 0, 1, 0).value, 0);
}

}  // namespace
}  // namespace telos::symmetry
