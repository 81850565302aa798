#include "telos/bigram/instance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "reference/bigram.h"
#include "telos/base/error.h"
#include "tests/bigram/oracle.h"
#include "tests/positional/complaint.h"

namespace telos::bigram {
namespace {

using telos::test::complaint;
using test::matrix;
using test::oracle;
using test::oracle_columns;
using test::oracle_transitions;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

reference::bigram::Mat rows_of(ConstMatrixView<double> m) {
  reference::bigram::Mat rows(m.rows());
  for (std::size_t i = 0; i < m.rows(); ++i) rows[i].assign(m.row(i), m.row(i) + m.cols());
  return rows;
}

void expect_sound(const Instance& instance) {
  EXPECT_NEAR(std::accumulate(instance.mu.begin(), instance.mu.end(), 0.0), 1, 1e-14);
  EXPECT_LT(reference::bigram::stationary_residual(rows_of(instance.p), instance.mu), 1e-15);
  for (const SparseColumn& column : instance.q) {
    EXPECT_NEAR(std::accumulate(column.weights.begin(), column.weights.end(), 0.0), 1, 1e-14);
    EXPECT_TRUE(std::ranges::is_sorted(column.positions, std::less_equal()) || column.positions.size() == 1);
    EXPECT_LT(column.positions.back(), instance.length);
    EXPECT_GT(std::ranges::min(column.weights), 0);
  }
}

void expect_same(const Instance& a, const Instance& b) {
  EXPECT_EQ(rows_of(a.p), rows_of(b.p));
  EXPECT_EQ(a.mu, b.mu);
  EXPECT_EQ(a.length, b.length);
  EXPECT_EQ(a.names, b.names);
  ASSERT_EQ(a.q.size(), b.q.size());
  for (std::size_t k = 0; k < a.q.size(); ++k) {
    EXPECT_EQ(a.q[k].positions, b.q[k].positions);
    EXPECT_EQ(a.q[k].weights, b.q[k].weights);
  }
}

// ---- The stationary law

TEST(Stationary, Oracle) {
  const std::vector<double> mu = stationary(oracle_transitions());
  EXPECT_NEAR(mu[0], 16. / 41, 1e-16);
  EXPECT_NEAR(mu[1], 14. / 41, 1e-16);
  EXPECT_NEAR(mu[2], 11. / 41, 1e-16);
}

/// A chain that climbs with probability 1e-30 a step: μ_i = 1e-30^i to full precision.
TEST(Stationary, SmallEntriesHaveFullPrecision) {
  constexpr double up = 1e-30;
  Matrix<double> p(6, 6);
  for (std::size_t j = 0; j < 6; ++j) {
    if (j + 1 < 6) p(j + 1, j) = up;
    if (j > 0) p(j - 1, j) = 0.5;
    p(j, j) = j == 0 ? 1 : 0.5;
  }
  const std::vector<double> mu = stationary(p);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_NEAR(mu[i] / mu[i - 1] / (2 * up), 1, 1e-15);
}

TEST(Stationary, PeriodicAndSingleChains) {
  EXPECT_THAT(stationary(matrix({{0, 1}, {1, 0}})), ElementsAre(.5, .5));
  EXPECT_THAT(stationary(matrix({{1}})), ElementsAre(1));
}

TEST(Stationary, Refusals) {
  const auto refusal = [](const Matrix<double>& p) { return complaint([&] { stationary(p); }); };
  EXPECT_EQ(
      refusal(matrix({{.6, .4}, {.3, .7}})),
      "usage | P, column 0 | sums to 0.9, expected 1 within 1e-06; the rows do sum to 1 | transpose it: "
      "column j is the law of what follows j");
  EXPECT_EQ(
      refusal(matrix({{.5, .2}, {.5, .7}})),
      "usage | P, column 1 | sums to 0.9, expected 1 within 1e-06 | column j holds the probabilities of what "
      "follows token j");
  EXPECT_EQ(refusal(matrix({{1.1, .5}, {-.1, .5}})),
            "usage | P, row 1, column 0 | is -0.1, expected a probability | ");
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(refusal(matrix({{.5, nan}, {.5, .5}})),
            "not_finite | P, row 0, column 1 | is nan, expected a probability | ");
  EXPECT_EQ(refusal(matrix({{.5, .5}, {-inf, .5}})),
            "not_finite | P, row 1, column 0 | is -inf, expected a probability | ");
  EXPECT_EQ(refusal(matrix({{1, 0, .5}, {0, 1, .5}, {0, 0, 0}})),
            "usage | P | the chain falls apart into 3 strongly connected components: {0}, {1}, {2} | leave "
            "out tokens "
            "that cannot be reached from all others, or smooth the counts");
  EXPECT_EQ(refusal(matrix({{.5, 0, .5, 0}, {0, .5, 0, 1}, {.5, 0, .5, 0}, {0, .5, 0, 0}})),
            "usage | P | the chain falls apart into 2 strongly connected components: {0, 2}, {1, 3} | leave "
            "out tokens "
            "that cannot be reached from all others, or smooth the counts");
  Matrix<double> apart(30, 30);
  for (std::size_t j = 0; j < 30; ++j) apart(j < 20 ? (j + 1) % 20 : j, j) = 1;
  EXPECT_THAT(refusal(apart),
              HasSubstr("into 11 strongly connected components: {0, 1, 2, 3, 4, 5, 6, 7 and 12 more}, "
                        "{20}, {21}, {22} and 7 more"));
  EXPECT_EQ(refusal(matrix({{.5, 5e-324}, {.5, 1}})),
            "usage | P | the chain all but falls apart: its stationary law overflows | smooth the counts");
  EXPECT_EQ(refusal(Matrix<double>(2, 3)),
            "shape | P | is 2 × 3, expected as many rows as columns, at least one | ");
  EXPECT_EQ(refusal({}), "shape | P | is 0 × 0, expected as many rows as columns, at least one | ");
  EXPECT_EQ(refusal(Matrix<double>(65536, 0)),
            "limit | P | has 65536 tokens, at most 65535 can be kept | keep the most frequent ones and one "
            "for the rest");
}

// ---- Instances

TEST(Instance, OracleConstants) {
  const Instance instance = oracle();
  const Constants c = constants(instance);
  EXPECT_NEAR(c.mu_squared, 573. / 1681, 1e-15);
  EXPECT_NEAR(c.k_p, 3633. / 42025, 1e-15);
  EXPECT_NEAR(c.k_q, 1247. / 4100, 1e-15);
  EXPECT_NEAR(c.p_squared, .4273170731707317, 1e-15);
  EXPECT_NEAR(c.q_squared, .5541463414634146, 1e-15);
  EXPECT_NEAR(c.j_p, .027380107518, 1e-12);
  EXPECT_NEAR(c.loss_start, 554. / 1681, 1e-15);
  EXPECT_NEAR(c.loss_least, 13164478. / 43075625, 1e-15);
  EXPECT_NEAR(c.gamma, std::sqrt(3633. / 42025 * 1247 / 4100), 1e-15);
  EXPECT_NEAR(c.mu_ratio, 16. / 11, 1e-14);
  EXPECT_EQ(instance.tokens(), 3u);
  EXPECT_EQ(instance.sparsity(), 2u);
  EXPECT_EQ(instance.name(2), "2");
}

TEST(Instance, OracleProbabilitiesByEnumeration) {
  const Instance instance = oracle();
  const reference::bigram::Task task{
      rows_of(instance.p), instance.mu, {{.75, 0, 0}, {0, .5, 0}, {.25, 0, .4}, {0, .5, .6}}};
  EXPECT_NEAR(reference::bigram::joint_probability(task, 0, 0, 0, 0), .08338822710059343, 1e-15);
  EXPECT_NEAR(reference::bigram::joint_probability(task, 0, 0, 1, 0), .04298254523294786, 1e-15);
}

TEST(Instance, RoundedColumnsAreDividedByTheirSums) {
  std::vector<std::string> notes;
  make_instance(oracle_transitions(), oracle_columns(), 4, &notes);
  EXPECT_THAT(notes, ElementsAre()) << "sums that round to 1 are left alone";
  Matrix<double> p = oracle_transitions();
  p(1, 2) += 5e-7;
  std::vector<SparseColumn> q = oracle_columns();
  q[0].weights[1] += 1e-7;
  q[2].weights[0] -= 2e-7;
  const Instance instance = make_instance(std::move(p), std::move(q), 4, &notes);
  EXPECT_THAT(notes, ElementsAre("q: 2 columns were divided by their sums, off 1 by up to 2e-07",
                                 "P: 1 column was divided by its sum, off 1 by up to 5e-07"));
  expect_sound(instance);
}

TEST(Instance, PositionsAreSortedAndMerged) {
  std::vector<std::string> notes;
  const Instance instance = make_instance(
      oracle_transitions(), {{{3, 0, 3}, {.25, .25, .5}}, {{1, 0}, {1, 0}}, {{3, 2}, {.6, .4}}}, 4, &notes);
  EXPECT_THAT(instance.q[0].positions, ElementsAre(0, 3));
  EXPECT_THAT(instance.q[0].weights, ElementsAre(.25, .75));
  EXPECT_THAT(instance.q[1].positions, ElementsAre(1));
  EXPECT_THAT(instance.q[2].positions, ElementsAre(2, 3));
  EXPECT_THAT(instance.q[2].weights, ElementsAre(.4, .6));
  EXPECT_THAT(
      notes, ElementsAre(
                 "q, column 0: positions given twice were merged and those without weight left out, 1 of 3",
                 "q, column 1: positions given twice were merged and those without weight left out, 1 of 2"));
}

TEST(Instance, RefusesPositions) {
  const auto refusal = [](SparseColumn column, std::size_t length = 4) {
    std::vector<SparseColumn> q = oracle_columns();
    q[1] = std::move(column);
    return complaint([&] { make_instance(oracle_transitions(), std::move(q), length); });
  };
  EXPECT_EQ(refusal({}), "usage | q, column 1 | is empty, expected at least one position | ");
  EXPECT_EQ(refusal({{0, 1}, {1.5, -.5}}),
            "usage | q, column 1 | position 1 has weight -0.5, expected a probability | ");
  EXPECT_EQ(refusal({{0, 1}, {.5, .4}}), "usage | q, column 1 | sums to 0.9, expected 1 within 1e-06 | ");
  EXPECT_EQ(refusal({{0, 4}, {.5, .5}}),
            "usage | q, column 1 | has position 4, expected below the length 4 | positions count from 0");
  EXPECT_EQ(refusal({{0}, {std::nan("")}}),
            "not_finite | q, column 1 | position 0 has weight nan, expected a probability | ");
  EXPECT_EQ(refusal({{0, 1}, {1}}), "shape | q, column 1 | has 2 positions and 1 weights | ");
  EXPECT_EQ(refusal({{0}, {1}}, 0), "usage | length | is 0, expected 1 to 4294967295 | ");
  EXPECT_EQ(refusal({{0}, {1}}, std::size_t{1} << 32),
            "usage | length | is 4294967296, expected 1 to 4294967295 | ");
  EXPECT_EQ(complaint([] {
              make_instance(oracle_transitions(), {{{0}, {1}}}, 4);
            }),
            "shape | q | has 1 columns, expected one for each of 3 tokens | ");
}

TEST(Instance, RefusesTasksWithoutAnythingToLearn) {
  const auto refusal = [](Matrix<double> p) {
    return complaint([&] { make_instance(std::move(p), {{{0}, {1}}, {{1}, {1}}}, 4); });
  };
  EXPECT_EQ(refusal(matrix({{1 - 1e-10, 1}, {1e-10, 0}})),
            "usage | P | token 1 comes with probability 1e-10, expected at least 1e-09 | leave the token "
            "out, or smooth "
            "the counts");
  EXPECT_EQ(refusal(matrix({{.5, .5}, {.5, .5}})),
            "usage | P | all columns are nearly the stationary law (K_P = 0): there is nothing to learn | ");
  EXPECT_EQ(
      refusal(matrix({{.50005, .49995}, {.49995, .50005}})),
      "usage | P | all columns are nearly the stationary law (K_P = 5e-09): there is nothing to learn | ");
}

// ---- Random instances

TEST(Generate, EveryKindIsSoundAndRepeats) {
  for (const TransitionKind transitions : {TransitionKind::kDirichlet, TransitionKind::kReversible})
    for (const WeightKind weights : {WeightKind::kUniform, WeightKind::kJittered, WeightKind::kDirichlet}) {
      const GenerateOptions options{.tokens = 7,
                                    .length = 50,
                                    .sparsity = 5,
                                    .transitions = transitions,
                                    .concentration = 0.7,
                                    .weights = weights,
                                    .weight_concentration = 2,
                                    .seed = 3};
      const Instance instance = generate(options);
      expect_sound(instance);
      expect_same(instance, generate(options));
      EXPECT_EQ(instance.tokens(), 7u);
      EXPECT_EQ(instance.length, 50u);
      for (const SparseColumn& column : instance.q) EXPECT_EQ(column.positions.size(), 5u);
      double least = 1, most = 0;
      for (const double weight : instance.q[0].weights) {
        least = std::min(least, weight);
        most = std::max(most, weight);
      }
      if (weights == WeightKind::kUniform) {
        EXPECT_EQ(least, most);
      }
      if (weights == WeightKind::kJittered) {
        EXPECT_LT(most, 3 * least);
      }
      double imbalance = 0;
      for (std::size_t i = 0; i < 7; ++i)
        for (std::size_t j = 0; j < 7; ++j)
          imbalance = std::max(
              imbalance, std::abs(instance.p(i, j) * instance.mu[j] - instance.p(j, i) * instance.mu[i]));
      if (transitions == TransitionKind::kReversible)
        EXPECT_LT(imbalance, 1e-15);
      else
        EXPECT_GT(imbalance, 1e-3);
    }
}

TEST(Generate, TransitionsDoNotDependOnPositions) {
  const Instance a = generate({.tokens = 4, .length = 10, .sparsity = 1, .seed = 5});
  const Instance b = generate({.tokens = 4, .length = 5000, .sparsity = 3, .seed = 5});
  const Instance c = generate({.tokens = 4, .length = 10, .sparsity = 1, .seed = 6});
  EXPECT_EQ(rows_of(a.p), rows_of(b.p));
  EXPECT_NE(rows_of(a.p), rows_of(c.p));
}

/// Entries of a Dirichlet(a, …, a) column have mean 1/N and variance (1/N)(1 − 1/N)/(aN + 1).
TEST(Generate, DirichletMoments) {
  for (const double a : {0.3, 1.0, 4.0}) {
    constexpr std::size_t n = 150;
    const Instance instance =
        generate({.tokens = n, .length = 4, .sparsity = 1, .concentration = a, .seed = 11});
    double square = 0;
    for (std::size_t e = 0; e < n * n; ++e) square += std::pow(instance.p.data()[e] - 1. / n, 2);
    const double variance = (1. / n) * (1 - 1. / n) / (a * n + 1);
    EXPECT_NEAR(square / (n * n) / variance, 1, 0.06) << a;
  }
}

TEST(Generate, PositionsAreUniformAndDistinct) {
  const Instance instance = generate({.tokens = 300, .length = 10, .sparsity = 3, .seed = 2});
  std::vector<double> count(10);
  for (const SparseColumn& column : instance.q)
    for (const std::uint32_t position : column.positions) ++count[position];
  for (const double c : count) EXPECT_NEAR(c, 90, 5 * std::sqrt(63.0));
  const Instance full = generate({.tokens = 2, .length = 6, .sparsity = 6, .seed = 2});
  EXPECT_THAT(full.q[0].positions, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(Generate, Refusals) {
  const auto refusal = [](const GenerateOptions& options) { return complaint([&] { generate(options); }); };
  EXPECT_EQ(refusal({.tokens = 1}), "usage | tokens | is 1, expected 2 to 65535 | ");
  EXPECT_EQ(refusal({.tokens = 65536}), "usage | tokens | is 65536, expected 2 to 65535 | ");
  EXPECT_EQ(refusal({.length = 0}), "usage | length | is 0, expected 1 to 4294967295 | ");
  EXPECT_EQ(refusal({.length = 3, .sparsity = 4}), "usage | sparsity | is 4, expected 1 to the length 3 | ");
  EXPECT_EQ(refusal({.sparsity = 0}), "usage | sparsity | is 0, expected 1 to the length 5000 | ");
  EXPECT_EQ(refusal({.concentration = 0}),
            "usage | concentration | is 0, expected a finite number above 0 | ");
  EXPECT_EQ(refusal({.weight_concentration = std::nan("")}),
            "usage | weight_concentration | is nan, expected a finite number above 0 | ");
  EXPECT_THAT(refusal({.tokens = 65535, .length = 4'000'000'000, .sparsity = 4'000'000'000}),
              HasSubstr("take fewer tokens or positions"));
  EXPECT_EQ(refusal({.concentration = 1e-4}),
            "usage | random instance of seed 1, P | the chain falls apart into 3 strongly connected "
            "components: {0}, "
            "{1}, {2} | take another concentration or another seed");
  EXPECT_THAT(refusal({.concentration = 1e12}), HasSubstr("there is nothing to learn"));
}

TEST(Blend, MixesTransitions) {
  const Instance other = generate({.tokens = 3, .length = 4, .sparsity = 1, .seed = 9});
  Instance task = oracle();
  task.names = {"a", "b", "c"};
  const Instance blended = blend(task, other, 0.25, false);
  expect_sound(blended);
  EXPECT_EQ(blended.names, task.names);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(blended.q[i].positions, task.q[i].positions);
    for (std::size_t j = 0; j < 3; ++j)
      EXPECT_NEAR(blended.p(i, j), 0.75 * task.p(i, j) + 0.25 * other.p(i, j), 1e-15);
  }
  EXPECT_EQ(blend(task, other, 0.25, true).q[1].positions, other.q[1].positions);
  EXPECT_EQ(complaint([&] { blend(task, other, 1.5, false); }), "usage | share | is 1.5, expected 0 to 1 | ");
  const Instance longer = generate({.tokens = 3, .length = 5, .sparsity = 1});
  EXPECT_EQ(complaint([&] { blend(task, longer, 1, true); }),
            "shape | blend | the tasks have lengths 4 and 5 | ");
  EXPECT_EQ(blend(task, longer, 1, false).length, 4u);
  const Instance wider = generate({.tokens = 4, .length = 4, .sparsity = 1});
  EXPECT_EQ(complaint([&] { blend(task, wider, 1, false); }),
            "shape | blend | the tasks have 3 and 4 tokens | ");
}

}  // namespace
}  // namespace telos::bigram
