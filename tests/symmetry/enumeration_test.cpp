#include "telos/symmetry/enumeration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "reference/symmetry_irreps.h"
#include "reference/symmetry_spectrum.h"
#include "telos/symmetry/predict.h"
#include "telos/symmetry/token_kernel.h"
#include "tests/positional/complaint.h"

namespace telos::symmetry {
namespace {

using telos::test::expect_error;
namespace ref = reference::symmetry;

double reference_block(std::span<const std::uint32_t> x, std::span<const std::uint32_t> y) {
  return ref::relu_block({x.begin(), x.end()}, {y.begin(), y.end()}, 1, 0.5);
}

Architecture reads(std::string_view name, Readout readout) {
  Architecture a = preset(name);
  a.readout = readout;
  return a;
}

/// Two columns without any symmetry.
Matrix<double> rough_functions(std::size_t n) {
  Matrix<double> f(n, 2);
  for (std::size_t i = 0; i < n; ++i) {
    f(i, 0) = std::sin(3. * static_cast<double>(i * i)) + 0.2;
    f(i, 1) = std::cos(static_cast<double>(7 * i));
  }
  return f;
}

double sum_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// Energies on the eigenvectors of all of the matrix, by rotations; eigenvalues that are equal together.
TEST(Enumeration, EnergiesAsReference) {
  struct Case {
    int letters, length;
    double alpha;
  };
  for (const auto& [letters, length, alpha] : {Case{3, 3, 0.7}, Case{2, 5, INFINITY}, Case{3, 3, INFINITY}}) {
    const auto v = static_cast<std::uint32_t>(letters), l = static_cast<std::uint32_t>(length);
    const Enumeration all(reference_block, {.vocabulary = v, .length = l, .law = {alpha}}, Arena(1));
    const std::vector<ref::Sequence> x = ref::all_sequences(length, letters);
    ref::Table t(x.size(), std::vector<double>(x.size()));
    std::vector<double> p;
    for (const ref::Sequence& s : x)
      p.push_back(std::isinf(alpha) ? ref::uniform_law(s, letters) : ref::urn_law(s, letters, alpha));
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < x.size(); ++j)
        t[i][j] = std::sqrt(p[i] * p[j]) * ref::relu_block(x[i], x[j], 1, 0.5);
    const ref::Eigen eigen = ref::jacobi(t);
    const Matrix<double> f = rough_functions(x.size());
    const std::vector<double> energies = all.energies(f);
    ASSERT_EQ(energies.size(), all.spectrum().levels.size());
    double square = 0;
    for (std::size_t i = 0; i < x.size(); ++i) square += p[i] * (f(i, 0) * f(i, 0) + f(i, 1) * f(i, 1));
    EXPECT_NEAR(sum_of(energies), square, 1e-12 * square);
    for (const Level& level : all.spectrum().levels) {
      const auto same = [&](double value) {
        return std::abs(value - level.eigenvalue) < 1e-4 * level.eigenvalue + 1e-15;
      };
      double expected = 0, found = 0;
      for (std::size_t k = 0; k < eigen.values.size(); ++k)
        for (std::size_t j = 0; same(eigen.values[k]) && j < 2; ++j) {
          double product = 0;
          for (std::size_t i = 0; i < x.size(); ++i)
            product += eigen.vectors[k][i] * std::sqrt(p[i]) * f(i, j);
          expected += product * product;
        }
      for (std::size_t k = 0; k < energies.size(); ++k)
        if (same(all.spectrum().levels[k].eigenvalue)) found += energies[k];
      EXPECT_NEAR(found, expected, 1e-8 * square) << level.eigenvalue;
    }
  }
}

TEST(Enumeration, PartsAsProjectedByCharacters) {
  const Enumeration all(reference_block, {.vocabulary = 3, .length = 4}, Arena(1));
  const Matrix<double> f = rough_functions(81);
  ref::Vector values(81);
  for (std::size_t i = 0; i < 81; ++i) values[i] = f(i, 0);
  const std::vector<double> expected = ref::function_energies(values, 4, 3);
  Matrix<double> rest = f.copy();
  const std::vector<Partition> irreps = partitions(4);
  for (std::size_t r = 0; r < irreps.size(); ++r) {
    const Matrix<double> part = all.part(irreps[r], f);
    double square = 0;
    for (std::size_t i = 0; i < 81; ++i) {
      square += part(i, 0) * part(i, 0);
      rest(i, 0) -= part(i, 0);
      rest(i, 1) -= part(i, 1);
    }
    EXPECT_NEAR(square, expected[r], 1e-11) << to_text(irreps[r]);
  }
  for (std::size_t i = 0; i < rest.size(); ++i) EXPECT_NEAR(rest.data()[i], 0, 1e-12);
}

// What permutations and names of letters make of a pair is what the kernel says of that pair.
TEST(Enumeration, FoldedAsCalled) {
  for (const auto& [name, readout] :
       {std::pair{"pre-ln-relu", Readout::kMean}, std::pair{"pre-ln-gelu", Readout::kLast},
        std::pair{"relu-attention", Readout::kCls}, std::pair{"deep", Readout::kLast}})
    for (const bool ntk : {false, true}) {
      const Kernel kernel(reads(name, readout), 3, {.ntk = ntk});
      const TokenKernel called = token_kernel(kernel);
      const Enumeration all(kernel, {.vocabulary = 3, .length = 3}, Arena(2));
      const Matrix<std::uint32_t>& x = all.sequences();
      ASSERT_EQ(x.cols(), readout == Readout::kMean ? 3u : 4u);
      std::vector<double> row(x.rows());
      for (std::size_t i = 0; i < x.rows(); ++i) {
        EXPECT_EQ(all.number({x.row(i), x.cols()}), i);
        all.kernel_row(i, row);
        for (std::size_t j = 0; j < x.rows(); ++j)
          ASSERT_NEAR(row[j], called({x.row(i), x.cols()}, {x.row(j), x.cols()}), 1e-12) << name;
      }
      const Spectrum written = enumerated_spectrum(
          called, {.vocabulary = 3, .length = 3, .queries = x.cols() == 4 ? 1u : 0u}, Arena(1));
      ASSERT_EQ(written.levels.size(), all.spectrum().levels.size());
      for (std::size_t i = 0; i < written.levels.size(); ++i) {
        EXPECT_NEAR(written.levels[i].eigenvalue, all.spectrum().levels[i].eigenvalue, 1e-13);
        EXPECT_EQ(written.levels[i].multiplicity, all.spectrum().levels[i].multiplicity);
      }
    }
}

TEST(Enumeration, TwelveLettersOfTwo) {
  const Architecture a = reads("pre-ln-relu", Readout::kMean);
  const Spectrum s = enumerated_spectrum(Kernel(a, 2), {.vocabulary = 2, .length = 12}, Arena(2)),
                 blocks = binary_spectrum(token_kernel(Kernel(a, 2)), 12, {}, 2);
  EXPECT_NEAR(s.known_trace(), s.trace, 1e-12 * s.trace);
  EXPECT_EQ(std::accumulate(s.levels.begin(), s.levels.end(), 0.0,
                            [](double sum, const Level& level) { return sum + level.multiplicity; }),
            4096);
  for (std::size_t i = 0; i < 24; ++i)
    EXPECT_NEAR(s.levels[i].eigenvalue, blocks.levels[i].eigenvalue, 1e-12) << i;
}

TEST(Enumeration, SameBitsForAnyNumberOfThreads) {
  const Kernel kernel(reads("relu-attention", Readout::kMean), 4);
  const Enumeration one(kernel, {.vocabulary = 4, .length = 4, .law = {1}}, Arena(1)),
      three(kernel, {.vocabulary = 4, .length = 4, .law = {1}}, Arena(3));
  const Matrix<double> f = rough_functions(256);
  EXPECT_EQ(one.energies(f), three.energies(f));
  for (std::size_t i = 0; i < one.spectrum().levels.size(); ++i)
    EXPECT_EQ(one.spectrum().levels[i].eigenvalue, three.spectrum().levels[i].eigenvalue);
}

TEST(Enumeration, SmallestSizes) {
  const Kernel kernel(reads("pre-ln-relu", Readout::kMean), 5);
  const Enumeration one_letter(kernel, {.vocabulary = 1, .length = 300}, Arena(1)),
      one_token(kernel, {.vocabulary = 5, .length = 1}, Arena(1));
  ASSERT_EQ(one_letter.spectrum().levels.size(), 1u);
  Matrix<double> constant(1, 1);
  constant(0, 0) = 2;
  EXPECT_NEAR(one_letter.energies(constant)[0], 4, 1e-14);
  ASSERT_EQ(one_token.spectrum().levels.size(), 2u);
  EXPECT_EQ(one_token.spectrum().levels[1].multiplicity, 4);
}

TEST(Enumeration, WhatHasNoLevels) {
  const auto enumerate = [](const Architecture& a, EnumerationOptions o) {
    return Enumeration(Kernel(a, o.vocabulary), std::move(o), Arena(1));
  };
  const Architecture mean = reads("pre-ln-relu", Readout::kMean);
  expect_error(ErrorKind::kUnsupported, "Monte Carlo",
               [&] { enumerate(preset("sqrt-softmax"), {.vocabulary = 2, .length = 3}); });
  expect_error(ErrorKind::kUsage, "causal",
               [&] { enumerate(preset("causal"), {.vocabulary = 2, .length = 3}); });
  expect_error(ErrorKind::kLimit, "2^13 sequences",
               [&] { enumerate(mean, {.vocabulary = 2, .length = 13}); });
  expect_error(ErrorKind::kUsage, "not exchangeable", [&] {
    enumerate(mean, {.vocabulary = 2, .length = 3, .probability = [](std::span<const std::uint32_t> x) {
                       return x[0] == 0 ? 0.2 : 0.05;
                     }});
  });
  const Enumeration all = enumerate(mean, {.vocabulary = 2, .length = 3});
  expect_error(ErrorKind::kShape, "8 sequences", [&] { all.energies(Matrix<double>(7, 1)); });
  EXPECT_THROW(predict(all, Target{.name = "energies alone"}, {}), Error);
}

// ---- Predictions on all levels

/// Energies, eigenvalues, samples and curves of two predictions of one target.
void expect_same_prediction(const Prediction& a, const Prediction& b) {
  ASSERT_EQ(a.parts.size(), b.parts.size()) << a.target.name;
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    const PartPrediction &one = a.parts[i], &two = b.parts[i];
    EXPECT_EQ(one.part.irrep, two.part.irrep);
    EXPECT_EQ(one.part.terms, two.part.terms);
    EXPECT_EQ(one.letter_dimension, two.letter_dimension);
    EXPECT_NEAR(one.part.energy, two.part.energy, 1e-9);
    const auto near = [](double x, double y) { return x == y || std::abs(x - y) <= 1e-9 * std::abs(y); };
    EXPECT_PRED2(near, one.eigenvalue, two.eigenvalue);
    EXPECT_PRED2(near, one.samples, two.samples);
    EXPECT_PRED2(near, one.equivalent_kernel, two.equivalent_kernel);
    EXPECT_PRED2(near, one.sector_bound, two.sector_bound);
    EXPECT_PRED2(near, one.trace_bound, two.trace_bound);
  }
  ASSERT_EQ(a.theory.size(), b.theory.size());
  for (std::size_t i = 0; i < a.theory.size(); ++i) {
    EXPECT_NEAR(a.theory[i].generalisation, b.theory[i].generalisation, 1e-9);
    for (std::size_t part = 0; part < a.parts.size(); ++part)
      EXPECT_NEAR(a.theory[i].learnability[part], b.theory[i].learnability[part], 1e-9);
  }
}

TEST(PredictAll, TheSimplifiedBlockAsItsClosedForm) {
  for (const bool query : {false, true})
    for (const double alpha : {1., static_cast<double>(INFINITY)}) {
      Architecture a = preset("simplified");
      *a.simplified = {.token = 0.9, .position = 0.4, .query = query};
      const TokenLaw law{alpha};
      const Enumeration all(Kernel(a, 3), {.vocabulary = 3, .length = 5, .law = law}, Arena(2));
      const Spectrum closed = simplified_spectrum(*a.simplified, 3, 5, law);
      Matrix<double> w(5, 3);
      for (std::size_t i = 0; i < w.size(); ++i) w.data()[i] = std::sin(static_cast<double>(3 * i));
      std::vector<std::pair<Target, Target>> targets;
      for (const char* text : {"copy:1", "count:2", "bigram", "pair:3,0"}) {
        if (text[0] != 'c' && std::isfinite(alpha)) continue;
        targets.emplace_back(parse_target(text, 3, 5, law), parse_target(text, 3, 5, law));
      }
      for (auto& [one, two] : targets)
        expect_same_prediction(predict(all, std::move(one), {}), predict(closed, std::move(two), {}));
      // The mean of a file of weights is a part of (L): energies are those of both together.
      const Prediction sum = predict(all, linear_target("w", w, law), {}),
                       apart = predict(closed, linear_target("w", w, law), {});
      double trivial = 0;
      for (const PartPrediction& part : apart.parts)
        if (degree_of(part.part.irrep) == 0) trivial += part.part.energy;
      for (const PartPrediction& part : sum.parts)
        EXPECT_NEAR(part.part.energy,
                    degree_of(part.part.irrep) == 0 ? trivial : apart.target.energy() - trivial, 1e-12);
      for (std::size_t i = 0; i < 5; ++i)
        EXPECT_NEAR(learning_point(modes_of(closed), 0.01, 0.01, 10).kappa,
                    learning_point(modes_of(all.spectrum()), 0.01, 0.01, 10).kappa, 1e-12);
    }
}

// Trained on an urn, tested on another and on a chain.
TEST(PredictAll, AnotherLawAsItsClosedForm) {
  constexpr std::uint32_t kLength = 5;
  const TokenLaw law{.alpha = 0.8}, urn{.alpha = 2};
  for (const bool query : {false, true}) {
    Architecture a = preset("simplified");
    a.simplified->query = query;
    const Enumeration all(Kernel(a, 3), {.vocabulary = 3, .length = kLength, .law = law}, Arena(2));
    const auto other = all.probabilities_under([&](std::span<const std::uint32_t> x) {
      std::vector<std::uint32_t> counts(3);
      for (const std::uint32_t token : x) ++counts[token];
      return urn.probability(counts);
    });
    const auto chain = all.probabilities_under(
        [](std::span<const std::uint32_t> x) { return sticky_probability(x, 3, 0.6); });
    EXPECT_NEAR(sum_of(other), 1, 1e-12);
    EXPECT_NEAR(sum_of(chain), 1, 1e-12);
    const auto expect = [&](const std::vector<double>& q, const Matrix<double>& correlation) {
      const Prediction found = predict(all, parse_target("copy:1", 3, kLength, law), {}, q);
      ASSERT_EQ(found.shifted.size(), found.theory.size());
      if (query) {  // levels that depend on the query have the same means of squares
        EXPECT_NE(found.shifted[10], found.theory[10].generalisation);
        return;
      }
      const Prediction known = predict(simplified_spectrum(*a.simplified, 3, kLength, law),
                                       parse_target("copy:1", 3, kLength, law), {}, correlation);
      for (std::size_t i = 0; i < known.shifted.size(); ++i)
        EXPECT_NEAR(found.shifted[i], known.shifted[i], 1e-9);
    };
    expect(other, urn_correlation(kLength, urn.correlation(3)));
    expect(chain, sticky_correlation(kLength, 0.6));
    const Prediction same = predict(all, parse_target("copy:1", 3, kLength, law), {}, all.probabilities());
    for (std::size_t i = 0; i < same.theory.size(); ++i)
      EXPECT_NEAR(same.shifted[i], same.theory[i].generalisation, 1e-9);
  }
}

TEST(PredictAll, MajorityOfTheSimplifiedBlock) {
  Architecture a = preset("simplified");
  a.simplified->query = false;
  const Enumeration all(Kernel(a, 2), {.vocabulary = 2, .length = 9}, Arena(1));
  const Prediction p = predict(all, parse_target("majority", 2, 9), {});
  const Prediction closed =
      predict(simplified_spectrum(*a.simplified, 2, 9), parse_target("majority", 2, 9), {});
  ASSERT_EQ(p.parts.size(), 1u);
  EXPECT_NEAR(p.parts[0].learnable, closed.parts[0].part.energy, 1e-9);
  EXPECT_EQ(closed.parts[0].learnable, 1);
  EXPECT_EQ(closed.parts[1].learnable, 0);
  // Its linear share alone is ever learned.
  EXPECT_NEAR(p.theory.back().learnability[0],
              closed.parts[0].part.energy * closed.theory.back().learnability[0], 1e-3);
  EXPECT_GT(p.parts[0].samples, closed.parts[0].samples);
}

/// ℓ of the part is θ at P*, and no level that the target lies on is left out.
TEST(PredictAll, SamplesOfSeveralLevels) {
  for (const double theta : {0.3, 0.5, 0.9}) {
    const Enumeration all(Kernel(reads("relu-attention", Readout::kMean), 3, {.ntk = true}),
                          {.vocabulary = 3, .length = 4}, Arena(2));
    const Prediction p = predict(all, parse_target("bigram", 3, 4), {.theta = theta});
    ASSERT_EQ(p.parts.size(), 4u);
    EXPECT_NEAR(p.target.energy(), 1, 1e-12);
    EXPECT_GT(std::count_if(p.parts.begin(), p.parts.end(),
                            [](const PartPrediction& part) { return part.levels.size() > 1; }),
              1);
    for (const PartPrediction& part : p.parts) {
      EXPECT_TRUE(part.known);
      ASSERT_TRUE(std::isfinite(part.samples)) << to_text(part.part.irrep);
      const CurvePoint point = learning_point(modes_of(p.spectrum), 0.01, 0.01, part.samples);
      double learned = 0;
      for (const LevelShare& share : part.levels) learned += share.energy * point.learnability[share.level];
      EXPECT_NEAR(learned / part.part.energy, theta, 1e-9);
      EXPECT_LE(part.sector_bound, part.samples);
    }
  }
}

}  // namespace
}  // namespace telos::symmetry
