#include "telos/symmetry/gram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <thread>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/base/stopwatch.h"
#include "telos/io/files.h"
#include "telos/linalg/decompositions.h"
#include "tests/repeats.h"

namespace telos::symmetry {
namespace {

using ::testing::AllOf;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Lt;

Kernel gram_kernel(const char* name, std::size_t vocabulary, bool ntk = false) {
  return Kernel(preset(name), vocabulary, {.ntk = ntk, .samples = 200, .batches = 10});
}

bool same_bits(const Matrix<double>& a, const Matrix<double>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() &&
         std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

class GramFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("telos-gram-" + std::to_string(std::hash<std::thread::id>{}(std::this_thread::get_id())) +
               "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    clear_interrupt();
    set_progress_sink({});
    std::filesystem::remove_all(folder_);
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::filesystem::path folder_;
};

TEST(SymmetryGram, IsPairByPair) {
  const Arena arena(2);
  Sequences s = draw_sequences(25, 6, 4, 1);
  for (std::size_t i = 0; i < s.size(); ++i) s.items[i].resize(1 + i % 6);
  for (const Preset& p : presets())
    for (const bool ntk : {false, true}) {
      if (p.name == "simplified")
        for (auto& item : s.items) item.resize(std::max<std::size_t>(item.size(), 2));
      const Kernel kernel = gram_kernel(std::string(p.name).c_str(), 4, ntk);
      const Gram g = gram(kernel, s, {.ntk = ntk, .errors = true, .tile = 7}, arena);
      for (std::size_t i = 0; i < s.size(); i += 3)
        for (std::size_t j = 0; j < s.size(); ++j) {
          const KernelValue k = kernel(s.items[std::min(i, j)], s.items[std::max(i, j)]);
          EXPECT_EQ(g.values()(i, j), ntk ? k.ntk : k.nngp) << p.name;
          if (kernel.monte_carlo()) {
            EXPECT_EQ(g.errors()(i, j), ntk ? k.ntk_error : k.error) << p.name;
          }
        }
    }
}

TEST(SymmetryGram, IsPositiveSemidefinite) {
  const Arena arena(2);
  const Sequences s = draw_sequences(60, 5, 3, 2);
  for (const Preset& p : presets())
    for (const bool ntk : {false, true}) {
      const Gram g = gram(gram_kernel(std::string(p.name).c_str(), 3, ntk), s, {.ntk = ntk}, arena);
      const GramSummary summary = summarise(g, true);
      EXPECT_GE(summary.smallest_eigenvalue, -1e-12 * summary.diagonal_mean * 60) << p.name;
      EXPECT_GT(summary.largest_eigenvalue, 0);
    }
}

TEST(SymmetryGram, SameBitsForAnyNumberOfThreads) {
  const Sequences s = draw_sequences(40, 6, 4, 3);
  for (const char* name : {"pre-ln-relu", "deep", "causal", "sqrt-softmax", "relu-attention"})
    for (const Precision precision : {Precision::kDouble, Precision::kSingle}) {
      const Kernel kernel(preset(name), 4, {.samples = 200, .batches = 10, .precision = precision});
      const auto with = [&](int threads, std::size_t tile) {
        const Arena arena(threads);
        return gram(kernel, s, {.tile = tile}, arena);
      };
      const Gram one = with(1, 8);
      EXPECT_TRUE(same_bits(one.values(), with(2, 8).values())) << name;
      EXPECT_TRUE(same_bits(one.values(), with(7, 8).values())) << name;
      EXPECT_TRUE(same_bits(one.values(), with(2, 64).values())) << name;
    }
}

TEST(SymmetryGram, SameBitsOfSampledTangentKernels) {
  const Sequences s = draw_sequences(30, 6, 4, 3);
  const Kernel kernel = gram_kernel("sqrt-softmax", 4, true);
  const Gram one = gram(kernel, s, {.ntk = true, .tile = 8}, Arena(1));
  EXPECT_TRUE(same_bits(one.values(), gram(kernel, s, {.ntk = true, .tile = 8}, Arena(3)).values()));
  EXPECT_TRUE(same_bits(one.values(), gram(kernel, s, {.ntk = true, .tile = 64}, Arena(2)).values()));
}

TEST(SymmetryGram, OfTwoSets) {
  const Arena arena(2);
  const Sequences s = draw_sequences(30, 6, 4, 4), few = draw_sequences(9, 3, 4, 5);
  const Kernel kernel = gram_kernel("pre-ln-gelu", 4);
  const Gram g = gram(kernel, s, few, {.tile = 8}, arena);
  EXPECT_EQ(g.rows(), 30u);
  EXPECT_EQ(g.cols(), 9u);
  EXPECT_NEAR(g.values()(17, 5), kernel(s.items[17], few.items[5]).nngp, 1e-14);
  EXPECT_TRUE(std::isnan(summarise(g, false).diagonal_mean));
}

TEST_F(GramFile, IsThatOfMemory) {
  const Arena arena(2);
  const Sequences s = draw_sequences(50, 6, 4, 6);
  const Kernel kernel = gram_kernel("pre-ln-relu", 4, true);
  const Gram memory = gram(kernel, s, {.ntk = true, .tile = 16}, arena);
  const Gram file = gram(kernel, s, {.ntk = true, .path = path("k.npy"), .tile = 16}, arena);
  EXPECT_TRUE(same_bits(read_npy(path("k.npy")), memory.values()));
  std::vector<double> row(50);
  file.row(49, row);
  EXPECT_EQ(row[3], memory.values()(49, 3));
  EXPECT_FALSE(std::filesystem::exists(path("k.npy.part")));
  EXPECT_FALSE(std::filesystem::exists(path("k.npy.progress")));
  const GramSummary a = summarise(memory, true), b = summarise(file, true);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.smallest_eigenvalue, b.smallest_eigenvalue);
}

TEST_F(GramFile, OfSinglePrecisionHasHalfTheBytes) {
  const Arena arena(2);
  const Sequences s = draw_sequences(50, 12, 4, 6);
  Architecture a = preset("deep");
  const Kernel kernel(a, 4, {.precision = Precision::kSingle});
  const Gram memory = gram(kernel, s, {.tile = 16}, arena), wide = gram(Kernel(a, 4), s, {.tile = 16}, arena);
  const Gram file = gram(kernel, s, {.path = path("k.npy"), .tile = 16}, arena);
  const Matrix<double> found = read_npy(path("k.npy"));
  std::vector<double> row(50);
  file.row(49, row);
  for (std::size_t i = 0; i < 50; ++i)
    for (std::size_t j = 0; j < 50; ++j) {
      EXPECT_EQ(found(i, j), static_cast<float>(memory.values()(i, j)));
      EXPECT_NEAR(found(i, j), wide.values()(i, j), 1e-6);
      if (i == 49) {
        EXPECT_EQ(row[j], found(i, j));
      }
    }
  EXPECT_LT(std::filesystem::file_size(path("k.npy")), 50 * 50 * 4 + 200);
  EXPECT_FALSE(same_bits(memory.values(), wide.values()));
}

TEST_F(GramFile, IsTakenUpAgain) {
  const Arena arena(1);
  const Sequences s = draw_sequences(100, 8, 4, 7);
  Architecture a = preset("relu-attention");  // about 100 µs a pair
  a.readout = Readout::kMean;
  const Kernel kernel(a, 4);
  const GramOptions options{.path = path("k.npy"), .tile = 4};
  set_progress_sink([](const ProgressUpdate& u) {
    if (u.done > 0.3 * u.total && u.done < u.total) request_interrupt();
  });
  EXPECT_THROW(gram(kernel, s, options, arena), Error);
  EXPECT_FALSE(std::filesystem::exists(path("k.npy")));
  clear_interrupt();
  set_progress_sink({});
  const Gram again = gram(kernel, s, options, arena);
  EXPECT_GT(again.resumed(), 0);
  EXPECT_LT(again.resumed(), 5050);
  EXPECT_TRUE(same_bits(read_npy(path("k.npy")), gram(kernel, s, {.tile = 4}, arena).values()));
}

TEST_F(GramFile, TakenUpAgainBoundsTheSeriesOfAllPairs) {
  const Arena arena(1);
  Sequences s = draw_sequences(100, 8, 4, 7);
  std::fill(s.items[0].begin(), s.items[0].end(), 0u);  // the largest variance, and rest; of the first band
  Architecture a = preset("relu-attention");
  a.readout = Readout::kMean;
  a.blocks[0].norm = NormPlace::kNone;
  a.blocks[0].mlp->phi = Nonlinearity::kTanh;
  const Kernel kernel(a, 4);
  const GramOptions options{.path = path("k.npy"), .tile = 4};
  set_progress_sink([](const ProgressUpdate& u) {
    if (u.done > 0.3 * u.total && u.done < u.total) request_interrupt();
  });
  EXPECT_THROW(gram(kernel, s, options, arena), Error);
  clear_interrupt();
  set_progress_sink({});
  const Gram again = gram(kernel, s, options, arena);
  EXPECT_GT(again.resumed(), 0);
  const double largest = kernel.prepare(s.items[0]).series_rest();
  for (std::size_t i = 1; i < s.size(); ++i) EXPECT_LT(kernel.prepare(s.items[i]).series_rest(), largest);
  EXPECT_EQ(again.series_rest(), largest);
}

TEST_F(GramFile, TakesUpOnlyItsOwn) {
  const std::string name = path("m.npy");
  Matrix<double> block(2, 3);
  block(0, 0) = 5;
  {
    NpyMatrixFile file(name, 4, 3, "print");
    EXPECT_EQ(file.resumed(), 0u);
    file.write(0, 0, block);
    file.mark(2);
  }
  EXPECT_EQ(NpyMatrixFile(name, 4, 3, "print").resumed(), 2u);
  EXPECT_THROW(NpyMatrixFile(name, 4, 3, "other"), Error) << "an hour of another's work";
  EXPECT_EQ(NpyMatrixFile(name, 4, 3, "print").resumed(), 2u) << "nothing is lost";
  std::filesystem::remove(name + ".progress");
  EXPECT_EQ(NpyMatrixFile(name, 4, 3, "other").resumed(), 0u);
  {
    NpyMatrixFile file(name, 3, 3, "print");
    EXPECT_EQ(file.resumed(), 0u);
    file.write(1, 0, block);
    std::vector<double> row(3);
    file.read_row(1, row);
    EXPECT_EQ(row[0], 5);
    file.finish();
  }
  EXPECT_EQ(read_npy(name)(1, 0), 5);
  EXPECT_THROW(NpyMatrixFile("/nowhere/m.npy", 2, 2, "x"), Error);
  for (const char* foreign : {"n.npy", "n.npy.part", "n.npy.progress"}) {
    std::ofstream(path(foreign)) << "years of work\n";
    EXPECT_THROW(NpyMatrixFile(path("n.npy"), 4, 3, "print"), Error) << foreign;
    std::string kept;
    std::getline(std::ifstream(path(foreign)), kept);
    EXPECT_EQ(kept, "years of work");
    std::filesystem::remove(path(foreign));
  }
}

/// Loose, and both by the fastest of up to ten attempts: beside other processes a single one says little.
TEST(SymmetryGram, TakesAsLongAsItSays) {
  const Arena arena(1);
  const auto ratio = [&](Readout readout, std::size_t n, std::size_t length) {
    Architecture a = preset("pre-ln-relu");
    a.readout = readout;
    const Kernel kernel(a, 16);
    const Sequences s = draw_sequences(n, length, 16, 8);
    double said = std::numeric_limits<double>::infinity();
    double took = said;
    for (int attempt = 0; attempt < 10; ++attempt) {
      said = std::min(said, estimate_gram(kernel, s, nullptr, {}, arena).seconds);
      const Stopwatch watch;
      gram(kernel, s, {}, arena);
      took = std::min(took, watch.seconds());
      if (said > 0.5 * took && said < 2 * took) break;
    }
    return said / took;
  };
  EXPECT_THAT(ratio(Readout::kMean, 250, 32), AllOf(Gt(0.5), Lt(2.0)));
  EXPECT_THAT(ratio(Readout::kLast, 2500, 16), AllOf(Gt(0.5), Lt(2.0)));
}

// ---- Monte Carlo

KernelValue soft_pair(std::size_t samples, const std::vector<Token>& x, const std::vector<Token>& y,
                      Readout readout, bool antithetic = true, std::uint64_t seed = 1) {
  Architecture a;
  a.blocks.push_back({.norm = NormPlace::kNone,
                      .residual = false,
                      .attention = AttentionLayer{.scale = AttentionScale::kRoot},
                      .mlp = {}});
  a.final_norm = false;
  a.readout = readout;
  return Kernel(a, 2, {.samples = samples, .antithetic = antithetic, .seed = seed})(x, y);
}

TEST(SymmetryMonteCarlo, IsTheIntegral) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  const auto expect = [](const std::vector<Token>& x, const std::vector<Token>& y,
                         const std::vector<double>& k) {
    const std::pair<Readout, double> values[] = {{Readout::kCls, k[0]},
                                                 {Readout::kLast, k[3]},
                                                 {Readout::kMean, (k[0] + k[1] + k[2] + k[3]) / 4},
                                                 {Readout::kFlatten, (k[0] + k[3]) / 2}};
    for (const auto& [readout, known] : values)
      for (const bool antithetic : {true, false}) {
        const KernelValue v = soft_pair(40000, x, y, readout, antithetic);
        EXPECT_NEAR(v.nngp, known, 4 * v.error + 1e-12) << to_string(readout);
        EXPECT_LT(v.error, 0.003);
      }
  };
  expect({0, 1}, {1, 1}, {0.7640983067507, 0.75, 0.77832490280884, 0.79282086582});
  expect({0, 1}, {0, 1}, {1.06182421101337, 0.75, 0.75, 1.06182421101337});
  expect({0, 1}, {1, 0}, {0.76067515924605, 0.77140242649287, 0.77140242649287, 0.76067515924605});
}

TEST(SymmetryMonteCarlo, ErrorsFallAsTheRootOfTheSamples) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  // Root mean square over seeds of the distance from the integral.
  const auto distance = [](std::size_t samples) {
    double sum = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      const double d = soft_pair(samples, {0, 1}, {1, 1}, Readout::kCls, true, seed).nngp - 0.7640983067507;
      sum += d * d;
    }
    return std::sqrt(sum / 200);
  };
  const double few = distance(80), many = distance(5120);
  EXPECT_NEAR(std::log(many / few) / std::log(64), -0.5, 0.1);
  // The error that is reported is the one that is there.
  double reported = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const double e = soft_pair(80, {0, 1}, {1, 1}, Readout::kCls, true, seed).error;
    reported += e * e / 200;
  }
  EXPECT_NEAR(std::sqrt(reported) / few, 1, 0.2);
}

TEST(SymmetryMonteCarlo, LayersAboveAndDeeperBlocks) {
  // With q k → 0 softmax is uniform at either scale, and the layers above are the closed ones.
  for (const Readout readout : {Readout::kLast, Readout::kMean})
    for (const std::size_t blocks : {1u, 2u}) {
      Architecture soft = preset("sqrt-softmax");
      soft.readout = readout;
      soft.blocks[0].attention->logit = 0;
      if (blocks == 2) soft.blocks.push_back(preset("pre-ln-relu").blocks[0]);
      Architecture fixed = soft;
      fixed.blocks[0].attention->scale = AttentionScale::kDimension;
      const KernelValue a = Kernel(soft, 3, {.samples = 40})(std::vector<Token>{0, 1, 2},
                                                             std::vector<Token>{2, 1, 1}),
                        b = Kernel(fixed, 3)(std::vector<Token>{0, 1, 2}, std::vector<Token>{2, 1, 1});
      EXPECT_NEAR(a.nngp, b.nngp, 1e-13);
      EXPECT_NEAR(a.error, 0, 1e-13);
    }
}

TEST(SymmetryMonteCarlo, MasksBiasesAndPositionsOfTheLayer) {
  const std::vector<Token> x = {0, 1, 0}, y = {1, 0, 0};
  Architecture a;
  a.blocks.push_back({.norm = NormPlace::kNone,
                      .residual = false,
                      .attention = AttentionLayer{.scale = AttentionScale::kRoot},
                      .mlp = {}});
  a.final_norm = false;
  AttentionLayer& m = *a.blocks[0].attention;
  const auto value = [&](Readout readout) {
    a.readout = readout;
    return Kernel(a, 2, {.samples = 400})(x, y).nngp;
  };
  const double last = value(Readout::kLast);
  // The first row sees itself alone, the last one everything.
  m.causal = true;
  EXPECT_NEAR(value(Readout::kCls), 0.5, 1e-15);
  EXPECT_NEAR(value(Readout::kLast), last, 1e-14);
  m.causal = false;
  // With a steep bias each position sees itself alone.
  m.alibi = 1e5;
  EXPECT_NEAR(value(Readout::kLast), 1.5, 1e-15);
  EXPECT_NEAR(value(Readout::kMean), (5 * 1 + 0.5 * 3) / 9, 1e-14);
  m.alibi = 0;
  // Position vectors of the layer instead of the embedding, for values too: the same draws.
  a.embedding.position = 0;
  m.position = 0.5;
  m.value_positions = true;
  EXPECT_NEAR(value(Readout::kLast), last, 1e-14);
}

TEST(SymmetryMonteCarlo, LargeVocabulariesAreTheSame) {
  Architecture a = preset("sqrt-softmax");
  const std::vector<Token> x = {0, 1, 2, 1}, y = {2, 1, 1, 0};
  const double few = Kernel(a, 3, {.samples = 200})(x, y).nngp,
               many = Kernel(a, 1000000, {.samples = 200})(x, y).nngp;
  EXPECT_NEAR(few, many, 1e-13);
}

// ---- Symmetry

TEST(SymmetryBreaking, IsZeroWhereTheKernelIsSymmetric) {
  const Arena arena(2);
  const Sequences s = draw_sequences(30, 8, 4, 8);
  for (const char* name :
       {"simplified", "pre-ln-relu", "pre-ln-gelu", "pre-ln-erf", "relu-attention", "deep"})
    for (const bool ntk : {false, true}) {
      const Breaking b = measure_breaking(gram_kernel(name, 4, ntk), s, ntk, 50, 1, arena);
      EXPECT_EQ(b.pairs, 50u);
      EXPECT_LT(b.largest, 1e-12) << name;
      EXPECT_GT(b.order, 1e-7) << name;
    }
  Architecture blind = preset("deep");
  blind.embedding.positions = Positions::kNone;
  blind.readout = Readout::kMean;
  const Breaking b = measure_breaking(Kernel(blind, 4), s, false, 50, 1, arena);
  EXPECT_LT(b.order, 1e-24);
}

TEST(SymmetryBreaking, IsSeenWhereItIsThere) {
  const Arena arena(2);
  const Sequences s = draw_sequences(30, 8, 4, 8);
  const auto measured = [&](const std::function<void(Architecture&)>& change) {
    Architecture a = preset("pre-ln-relu");
    change(a);
    EXPECT_FALSE(symmetry_breaks(a).empty());
    const Breaking b = measure_breaking(Kernel(a, 4), s, false, 200, 1, arena);
    EXPECT_GT(b.value, 3 * b.error);
    return b.value;
  };
  using A = Architecture;
  EXPECT_GT(measured([](A& a) { a.embedding.positions = Positions::kSinusoidal; }), 1e-6);
  EXPECT_GT(measured([](A& a) { a.embedding.positions = Positions::kDecay; }), 1e-6);
  EXPECT_GT(measured([](A& a) { a.blocks[0].attention->rope = RotaryEmbedding{}; }), 1e-6);
  EXPECT_GT(measured([](A& a) { a.blocks[0].attention->alibi = 0.5; }), 1e-3);
  EXPECT_GT(measured([](A& a) { a = preset("causal"); }), 1e-6);
  EXPECT_GT(measured([](A& a) {
              a.blocks[0].attention->causal = true;
              a.readout = Readout::kMean;
            }),
            1e-4);
}

TEST(SymmetryBreaking, NeedsSequencesOfOneLength) {
  const Arena arena(1);
  const Kernel kernel = gram_kernel("pre-ln-relu", 4);
  const auto measure = [&](const char* text) {
    return measure_breaking(kernel, parse_sequences(text, "f", 4), false, 20, 1, arena);
  };
  EXPECT_EQ(measure("0 1 2\n0 1\n").pairs, 0u);
  EXPECT_EQ(measure("0 1\n1 0\n").pairs, 0u);
  EXPECT_EQ(measure("0 1 2\n0 1 3\n").pairs, 0u);  // two sequences, of which k has one value
  EXPECT_EQ(measure("0 1 2\n0 1 3\n3 3 3\n").pairs, 20u);
}

// ---- Edges

TEST(SymmetryGram, LengthOneVocabularyOneAndDuplicates) {
  const Arena arena(1);
  for (const Preset& p : presets()) {
    if (p.name == "simplified") continue;
    const Kernel kernel = gram_kernel(std::string(p.name).c_str(), 1);
    const Gram g = gram(kernel, parse_sequences("0\n0 0 0\n0\n", "f", 1), {}, arena);
    EXPECT_NEAR(g.values()(0, 2), g.values()(0, 0), 1e-14) << p.name;
    const GramSummary s = summarise(g, true);
    EXPECT_NEAR(s.smallest_eigenvalue, 0, 1e-14) << p.name;
  }
  // One position: attention is 1, and the layer is not there.
  Architecture with, without;
  with.blocks.push_back(
      {.norm = NormPlace::kNone, .residual = false, .attention = AttentionLayer{}, .mlp = {}});
  const std::vector<Token> x = {0}, y = {1};
  EXPECT_EQ(Kernel(with, 2)(x, y).nngp, Kernel(without, 2)(x, y).nngp);
  EXPECT_EQ(Kernel(with, 2)(x, x).nngp, Kernel(without, 2)(x, x).nngp);
  const GramSummary one =
      summarise(gram(gram_kernel("pre-ln-relu", 2), parse_sequences("0 1\n", "f", 2), {}, arena), true);
  EXPECT_NEAR(one.diagonal_mean, 1, 1e-14);
}

TEST(SymmetryGram, WhatCannotBeComputed) {
  const Arena arena(1);
  const Kernel kernel = gram_kernel("pre-ln-relu", 2);
  const auto expect = [](const std::function<void()>& body, ErrorKind kind, const std::string& where,
                         const std::string& part) {
    try {
      body();
      ADD_FAILURE() << "no error with \"" << part << '"';
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_THAT(error.where(), HasSubstr(where));
      EXPECT_THAT(error.message(), HasSubstr(part));
    }
  };
  expect([&] { gram(kernel, Sequences{}, {}, arena); }, ErrorKind::kUsage, "gram", "no sequence");
  expect([&] { gram(kernel, parse_sequences("0\n5\n", "f"), {}, arena); }, ErrorKind::kUsage, "sequence 1",
         "token 5");
  expect([&] { gram(kernel, parse_sequences("0\n", "f"), {.tile = 0}, arena); }, ErrorKind::kUsage, "gram",
         "tiles");
  expect([&] { gram(kernel, parse_sequences("0\n", "f"), {.ntk = true}, arena); }, ErrorKind::kUsage,
         "kernel", "NTK was not asked for");
  expect([&] { gram(kernel, parse_sequences("0\n", "f"), {.errors = true, .path = "k.npy"}, arena); },
         ErrorKind::kUsage, "gram", "in memory only");
  Sequences many;
  many.items.assign(kMostSequences, {0});
  many.vocabulary = 2;
  expect([&] { gram(kernel, many, {}, arena); }, ErrorKind::kLimit, "gram", "memory");
  const GramCost cost =
      estimate_gram(kernel, draw_sequences(100, 4, 2, 1), nullptr, {.path = "k.npy"}, arena);
  EXPECT_EQ(cost.pairs, 5050);
  EXPECT_EQ(cost.file, 80000);
  EXPECT_GT(cost.seconds, 0);
  EXPECT_THAT(cost.text(), HasSubstr("5,050 pairs"));
}

}  // namespace
}  // namespace telos::symmetry
