#include "telos/symmetry/predict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "reference/symmetry_irreps.h"
#include "reference/symmetry_spectrum.h"
#include "telos/symmetry/enumeration.h"
#include "tests/positional/complaint.h"

namespace telos::symmetry {
namespace {

using telos::test::complaint;
using telos::test::expect_error;
namespace ref = reference::symmetry;

double energy_in(const Target& t, const Partition& irrep) {
  double sum = 0;
  for (const TargetPart& part : t.parts)
    if (part.irrep == irrep) sum += part.energy;
  return sum;
}

/// Energies of a function by its values at all sequences: √p f projected by characters.
std::vector<double> written_energies(const std::function<double(const ref::Sequence&)>& f, int length,
                                     int letters, const TokenLaw& law) {
  ref::Vector values;
  for (const ref::Sequence& x : ref::all_sequences(length, letters))
    values.push_back(f(x) * std::sqrt(std::isinf(law.alpha) ? ref::uniform_law(x, letters)
                                                            : ref::urn_law(x, letters, law.alpha)));
  return ref::function_energies(values, length, letters);
}

void expect_written(const Target& target, const std::function<double(const ref::Sequence&)>& f, int length,
                    int letters, const TokenLaw& law) {
  const std::vector<double> expected = written_energies(f, length, letters, law);
  const std::vector<Partition> irreps = partitions(static_cast<std::uint32_t>(length));
  ASSERT_EQ(irreps.size(), expected.size());
  for (std::size_t i = 0; i < irreps.size(); ++i)
    EXPECT_NEAR(energy_in(target, irreps[i]), expected[i], 1e-12) << target.name << " " << to_text(irreps[i]);
}

// Orthonormal functions of three letters.
double psi(int v) {
  return std::sqrt(1.5) * (v == 0 ? 1 : v == 1 ? -1 : 0);
}
double chi(int v) {
  return std::sqrt(0.5) * (v == 2 ? -2 : 1);
}

/// Of a target in (L−1,1), whose eigenvalue is an estimate.
PartPrediction estimated(double eigenvalue, double error) {
  Spectrum s{.length = 8, .vocabulary = 4, .trace = 1};
  s.levels = {{.irrep = {8}, .eigenvalue = 0.3, .multiplicity = 1, .terms = 0},
              {.irrep = {7, 1},
               .eigenvalue = eigenvalue,
               .multiplicity = 21,
               .known = Known::kEstimate,
               .error = error,
               .terms = 1}};
  Target target;
  target.parts = {{.irrep = {7, 1}, .terms = 1, .energy = 1}};
  return predict(std::move(s), std::move(target), {}).parts.at(0);
}

TEST(Predict, OfAnEstimate) {
  const PartPrediction sure = estimated(0.02, 0.005);
  EXPECT_TRUE(sure.known);
  EXPECT_LT(sure.fewest_samples, sure.samples);
  EXPECT_GT(sure.most_samples, sure.samples);
  EXPECT_EQ(estimated(0.02, 0).most_samples, sure.samples);
  // Within their errors these may be 0, and may be as large as the trace lets them.
  for (const double eigenvalue : {0.012, 0.0, -0.002}) {
    const PartPrediction open = estimated(eigenvalue, 0.005);
    EXPECT_FALSE(open.known);
    EXPECT_TRUE(std::isnan(open.samples));
    EXPECT_GT(open.sector_bound, 0);
    EXPECT_TRUE(std::isfinite(open.sector_bound));
  }
}

TEST(Targets, AsWrittenDown) {
  for (const TokenLaw law : {TokenLaw{}, TokenLaw{0.6}}) {
    expect_written(
        parse_target("copy:2", 3, 5, law), [](const ref::Sequence& x) { return psi(x[2]); }, 5, 3, law);
    Matrix<double> w(4, 3);
    for (std::size_t b = 0; b < 4; ++b)
      for (std::size_t v = 0; v < 3; ++v)
        w(b, v) = std::sin(3. * static_cast<double>(b) + static_cast<double>(v * v)) + 0.3;
    const auto sum = [&](const ref::Sequence& x) {
      double s = 0;
      for (std::size_t b = 0; b < 4; ++b) s += w(b, static_cast<std::size_t>(x[b]));
      return s;
    };
    expect_written(linear_target("w", w, law), sum, 4, 3, law);
  }
  const auto pair = [](std::size_t b, std::size_t c) {
    return [=](const ref::Sequence& x) { return psi(x[b]) * chi(x[c]); };
  };
  expect_written(parse_target("pair:3,1", 3, 5), pair(3, 1), 5, 3, {});
  expect_written(parse_target("pair:1,0", 3, 2), pair(1, 0), 2, 3, {});
  const auto bigram = [](const ref::Sequence& x) {
    double s = 0;
    for (std::size_t b = 0; b + 1 < x.size(); ++b)
      s += psi(x[b]) * chi(x[b + 1]) / std::sqrt(static_cast<double>(x.size() - 1));
    return s;
  };
  for (const std::uint32_t length : {2u, 3u, 4u, 5u})
    expect_written(parse_target("bigram", 3, length), bigram, static_cast<int>(length), 3, {});
}

TEST(Targets, Printed) {
  const Target copy = parse_target("copy:3", 64, 16);
  EXPECT_DOUBLE_EQ(energy_in(copy, {16}), 1. / 16);
  EXPECT_DOUBLE_EQ(energy_in(copy, {15, 1}), 15. / 16);
  EXPECT_EQ(copy.parts[0].irrep, (Partition{15, 1}));
  EXPECT_EQ(energy_in(parse_target("count:0", 8, 16), {16}), 1);
  const Target bigram = parse_target("bigram", 64, 128);
  EXPECT_NEAR(energy_in(bigram, {128}), 1. / 128, 1e-14);
  EXPECT_NEAR(energy_in(bigram, {127, 1}), .000123, 5e-7);
  EXPECT_NEAR(energy_in(bigram, {126, 2}), .492126, 5e-7);
  EXPECT_NEAR(energy_in(bigram, {126, 1, 1}), .499938, 5e-7);
  EXPECT_NEAR(bigram.energy(), 1, 1e-12);
}

/// Σ p sign(S) S, written down.
TEST(Targets, MajorityIsMostlyLinear) {
  for (const TokenLaw law : {TokenLaw{}, TokenLaw{0.6}})
    for (const int length : {1, 4, 7}) {
      double product = 0, squares = 0, decided = 0;
      for (const ref::Sequence& x : ref::all_sequences(length, 2)) {
        const double p = std::isinf(law.alpha) ? ref::uniform_law(x, 2) : ref::urn_law(x, 2, law.alpha);
        double s = 0;
        for (const int token : x) s += token == 1 ? 1 : -1;
        product += p * std::abs(s);
        squares += p * s * s;
        decided += s == 0 ? 0 : p;
      }
      const Target t = parse_target("majority", 2, static_cast<std::uint32_t>(length), law);
      EXPECT_NEAR(t.parts[0].energy, product * product / squares / decided, 1e-12);
      EXPECT_NEAR(t.energy(), 1, 1e-12);
    }
}

TEST(Predict, PrintedSamples) {
  const auto take = [](std::uint32_t length) {
    return predict(simplified_spectrum({}, 8, length), parse_target("copy:3", 8, length), {});
  };
  const Prediction eight = take(8);
  ASSERT_EQ(eight.parts.size(), 2u);
  EXPECT_EQ(eight.parts[0].part.irrep, (Partition{7, 1}));
  EXPECT_NEAR(eight.parts[0].samples, 36.908764, 1e-6);
  EXPECT_NEAR(eight.parts[1].samples, 9.8761054, 1e-7);
  EXPECT_NEAR(eight.parts[0].equivalent_kernel, 5.12, 1e-12);
  EXPECT_NEAR(eight.parts[1].equivalent_kernel, .568889, 1e-6);
  EXPECT_NEAR(take(128).parts[0].samples, 1763.1661, 1e-4);
  const Prediction sixty_four = take(64);
  for (const Prediction* p : {&eight, &sixty_four})
    for (const PartPrediction& part : p->parts) {
      EXPECT_LE(part.trace_bound, part.sector_bound);
      EXPECT_LE(part.sector_bound, part.samples);
    }
  // All of what is left for (7,1) is one eigenvalue: the bound misses what the other modes take, and no more.
  EXPECT_NEAR(eight.parts[0].sector_bound, 5.12 + 0.5 * 49, 1e-9);
  EXPECT_EQ(eight.rank, 1 + 7 + 49);
  EXPECT_EQ(eight.effective_ridge, 0.01);
  // Curves: learned first what is symmetric; the theory is later than the equivalent kernel.
  for (std::size_t i = 0; i < eight.theory.size(); ++i) {
    EXPECT_LE(eight.theory[i].learnability[0], eight.theory[i].learnability[1]);
    EXPECT_LE(eight.theory[i].learnability[0], eight.equivalent_kernel[i].learnability[0]);
  }
  EXPECT_NEAR(eight.theory.front().samples, 1, 1e-12);
  EXPECT_NEAR(eight.theory.back().samples, 3690.8764, 1e-3);
}

TEST(Predict, WhatTheKernelCannotSee) {
  const Prediction p = predict(simplified_spectrum({}, 8, 16), parse_target("bigram", 8, 16), {});
  for (const PartPrediction& part : p.parts) {
    EXPECT_TRUE(part.levels.empty());
    EXPECT_EQ(part.samples, INFINITY);
    EXPECT_TRUE(std::isfinite(part.trace_bound));
  }
  EXPECT_NEAR(p.theory.back().learnability[0], 0, 1e-15);
  const Prediction majority = predict(simplified_spectrum({}, 2, 9), parse_target("majority", 2, 9), {});
  EXPECT_TRUE(std::isfinite(majority.parts[0].samples));
  EXPECT_TRUE(majority.parts[1].known);
  EXPECT_EQ(majority.parts[1].samples, INFINITY);
  // Where the spectrum is not all known, it is not known either, but bounded by what is left of the trace.
  Spectrum open = simplified_spectrum({}, 8, 16);
  open.trace += 0.1;
  const Prediction unknown = predict(std::move(open), parse_target("bigram", 8, 16), {});
  EXPECT_TRUE(std::isnan(unknown.parts[0].samples));
  EXPECT_NEAR(unknown.effective_ridge, 0.11, 1e-15);
  EXPECT_NEAR(unknown.parts[0].sector_bound, unknown.parts[0].dimension * (0.01 / 0.1 + 0.5),
              1e-9 * unknown.parts[0].sector_bound);
}

// All sequences written down: the irrep's eigenvalues are known, but not which of them the target lies on.
TEST(Predict, ManyLevelsOfAnIrrep) {
  const auto kernel = [](std::span<const std::uint32_t> x, std::span<const std::uint32_t> y) {
    return ref::relu_block({x.begin(), x.end()}, {y.begin(), y.end()}, 1, 0.5);
  };
  const Prediction p = predict(enumerated_spectrum(kernel, {.vocabulary = 3, .length = 4}, Arena(1)),
                               parse_target("copy:0", 3, 4), {});
  ASSERT_EQ(p.parts[0].part.irrep, (Partition{3, 1}));
  EXPECT_FALSE(p.parts[0].known);
  EXPECT_TRUE(std::isnan(p.parts[0].samples));
  double trace_of_modes = 0.01 / 0.00044054034509;  // P* of the largest eigenvalue in (3,1), θ = 1/2
  for (const Level& level : p.spectrum.levels)
    trace_of_modes += level.multiplicity * level.eigenvalue / (level.eigenvalue + 0.00044054034509);
  EXPECT_NEAR(p.parts[0].sector_bound, trace_of_modes, 1e-6 * trace_of_modes);
  // What no position vectors leave of (3,1) is nothing at all.
  const auto bag = [](std::span<const std::uint32_t> x, std::span<const std::uint32_t> y) {
    return ref::simplified_kernel({x.begin(), x.end()}, {y.begin(), y.end()}, 4, 1, 0, 2);
  };
  const Prediction none = predict(enumerated_spectrum(bag, {.vocabulary = 3, .length = 4}, Arena(1)),
                                  parse_target("copy:0", 3, 4), {});
  EXPECT_TRUE(none.parts[0].known);
  EXPECT_EQ(none.parts[0].samples, INFINITY);
}

// A query that the target does not depend on takes the constant function's share of its factor.
TEST(Predict, WithQuery) {
  const SimplifiedBlock block{.query = true};
  const Prediction p = predict(simplified_spectrum(block, 8, 8), parse_target("copy:3", 8, 8), {});
  EXPECT_NEAR(p.parts[0].eigenvalue, 1. / 8 / 64 * (1. / 8 + 0.5), 1e-16);
  EXPECT_NEAR(p.parts[1].eigenvalue, 9. / 8 / 64 * (1. / 8 + 0.5), 1e-16);
}

/// E over all sequences, under a law, of the residual (1 − ℓ) of each part squared, and of the spread: modes
/// are the constant, mean letters, and what is left, by their squares under the law they were trained on.
double written_error(const Prediction& p, std::size_t i, std::size_t position,
                     const std::function<double(const ref::Sequence&)>& law) {
  constexpr int kLength = 4;
  const CurvePoint& point = p.theory[i];
  const double standard = 1 - point.learnability[0], trivial = 1 - point.learnability[1];
  const double rho = p.spectrum.law.correlation(3);
  double error = 0, mean_square = 0, rest_square = 0;
  for (const ref::Sequence& x : ref::all_sequences(kLength, 3)) {
    double mean = 0, squares = 0;
    for (const int token : x) mean += psi(token) / kLength;
    for (const int token : x) squares += (psi(token) - mean) * (psi(token) - mean);
    const double residual = trivial * mean + standard * (psi(x[position]) - mean);
    error += law(x) * residual * residual;
    mean_square += law(x) * mean * mean * kLength / (1 + (kLength - 1) * rho);
    rest_square += law(x) * squares / (kLength - 1) / (1 - rho);
  }
  const auto learned = [&](double eigenvalue) {
    return std::pow(point.samples * eigenvalue / (point.samples * eigenvalue + point.kappa), 2) /
           point.samples;
  };
  const std::vector<Level>& levels = p.spectrum.levels;
  const double gamma = learned(levels[0].eigenvalue) + 2 * learned(levels[1].eigenvalue) * mean_square +
                       6 * learned(levels[2].eigenvalue) * rest_square;
  return error + gamma * (point.generalisation + p.options.noise);
}

// Trained on one law, tested on another: all sequences written down.
TEST(Predict, UnderAnotherLaw) {
  constexpr std::uint32_t kLength = 4;
  const TokenLaw trained{.alpha = 0.8};
  const auto take = [&](const Matrix<double>& correlation) {
    return predict(simplified_spectrum({}, 3, kLength, trained), parse_target("copy:1", 3, kLength, trained),
                   {}, correlation);
  };
  const auto sticky = [](const ref::Sequence& x) {
    double p = 1. / 3;
    for (std::size_t a = 1; a < x.size(); ++a) p *= (x[a] == x[a - 1] ? 0.6 : 0) + 0.4 / 3;
    return p;
  };
  const Prediction chain = take(sticky_correlation(kLength, 0.6)), iid = take(urn_correlation(kLength, 0)),
                   same = take(urn_correlation(kLength, trained.correlation(3)));
  ASSERT_EQ(chain.shifted.size(), chain.theory.size());
  for (const std::size_t i : {0, 10, 30}) {
    EXPECT_NEAR(chain.shifted[i], written_error(chain, i, 1, sticky), 1e-13);
    EXPECT_NEAR(iid.shifted[i],
                written_error(iid, i, 1, [](const ref::Sequence& x) { return ref::uniform_law(x, 3); }),
                1e-13);
    EXPECT_NEAR(same.shifted[i], same.theory[i].generalisation, 1e-13);
  }
  const Target count = parse_target("count:0", 3, kLength, trained);
  EXPECT_NEAR(shifted_linear_error(count.weights, 0, 0, urn_correlation(kLength, trained.correlation(3))), 1,
              1e-14);
}

TEST(Predict, Slope) {
  const std::vector<double> x = {8, 16, 64, 512}, y = {3 / 8., 3 / 16., 3 / 64., 3 / 512.};
  EXPECT_NEAR(log_log_slope(x, y), -1, 1e-14);
  EXPECT_TRUE(std::isnan(log_log_slope({}, {})));
}

TEST(BadInput, Correlations) {
  expect_error(ErrorKind::kUsage, "expected 0 to 1", [] { sticky_correlation(4, 1.5); });
  expect_error(ErrorKind::kUnsupported, "sums over positions", [] {
    predict(simplified_spectrum({}, 3, 4), parse_target("bigram", 3, 4), {}, urn_correlation(4, 0));
  });
  expect_error(ErrorKind::kUnsupported, "one position only", [] {
    predict(binary_spectrum(simplified_kernel({}), 4, {}, 2), parse_target("copy:0", 2, 4), {},
            urn_correlation(4, 0));
  });
  expect_error(ErrorKind::kLimit, "at most 4096", [] { urn_correlation(4097, 0); });
}

TEST(BadInput, Targets) {
  EXPECT_EQ(complaint([] { parse_target("copy:8", 4, 8); }),
            "usage | target | copy:8: expected a number from 0 to 7 after the colon | ");
  for (const char* text : {"copy", "copy:", "copy:1,", "copy:1,2", "copy:-1", "copy:1x", "count:4", "pair:1",
                           "pair:1,1", "pair:1,9", "majority", "bigram:1", "", ":", "copies:1"})
    expect_error(ErrorKind::kUsage, "", [&] { parse_target(text, 4, 8); });
  expect_error(ErrorKind::kUsage, "is not known", [] { parse_target("copies:1", 4, 8); });
  expect_error(ErrorKind::kUnsupported, "independent tokens",
               [] { parse_target("bigram", 4, 8, {.alpha = 1}); });
  expect_error(ErrorKind::kUsage, "at least 3 letters", [] { parse_target("bigram", 2, 8); });
  expect_error(ErrorKind::kUsage, "at least 2 letters", [] { parse_target("copy:0", 1, 8); });
  expect_error(ErrorKind::kUsage, "positions",
               [] { predict(simplified_spectrum({}, 8, 4), parse_target("copy:0", 8, 5), {}); });
}

}  // namespace
}  // namespace telos::symmetry
