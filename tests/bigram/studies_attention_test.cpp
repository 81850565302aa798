#include <gtest/gtest.h>

#include <cmath>
#include <initializer_list>

#include "bigram/studies/causal_structure.h"
#include "bigram/studies/regression_mixture.h"
#include "bigram/studies/svm.h"
#include "reference/attention_studies.h"
#include "telos/linalg/decompositions.h"
#include "tests/bigram/in_context.h"
#include "tests/bigram/oracle.h"
#include "tests/bigram/study_runs.h"
#include "tests/repeats.h"

namespace telos::bigram::studies {
namespace {

namespace reference = telos::reference::attention_studies;
using test::matrix;
using test::random_matrix;
using test::random_vector;
using test::rows_of;

void expect_near(ConstMatrixView<double> m, std::initializer_list<double> values, double tolerance) {
  ASSERT_EQ(m.rows() * m.cols(), values.size());
  for (std::size_t e = 0; e < values.size(); ++e)
    EXPECT_NEAR(m(e / m.cols(), e % m.cols()), values.begin()[e], tolerance) << e;
}

// ---- Attention as a support vector machine

svm::Problem small_svm() {
  std::vector<Matrix<double>> x;
  x.push_back(matrix({{1, 0}, {.2, .5}, {-1, 1}}));
  x.push_back(matrix({{0, 1}, {1, .3}, {-.5, -1}}));
  const double half = std::sqrt(0.5);
  return svm::make_problem(std::move(x), matrix({{1, .5}, {-.5, 1}}), std::vector{half, half},
                           std::vector{1.0, 1.0});
}

TEST(Svm, MaxMarginOfTheSmallProblem) {
  const svm::Problem problem = small_svm();
  const std::vector<std::size_t> best = svm::best_tokens(problem);
  EXPECT_EQ(best, (std::vector<std::size_t>{0, 1}));
  const svm::Margin margin = svm::max_margin(problem, best);
  EXPECT_TRUE(margin.separable);
  EXPECT_EQ(margin.sweeps, 13u);
  expect_near(margin.w, {.378675591681, 1.040401625628, -.364331819268, -.394931867081}, 1e-12);
  EXPECT_NEAR(frobenius_norm(margin.w), 1.230666323790, 1e-12);
  const std::vector<double> lambda{.898876404494, 0, .485287460389, .130375735627};
  for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(margin.lambda[j], lambda[j], 1e-12) << j;
}

TEST(Svm, OneSampleOfTwoTokens) {
  std::vector<Matrix<double>> x;
  x.push_back(matrix({{1, 2}, {0, -1}}));
  const svm::Problem problem =
      svm::make_problem(std::move(x), matrix({{2, 1}}), std::vector{1.0, 0.0}, std::vector{1.0});
  expect_near(svm::max_margin(problem, svm::best_tokens(problem)).w, {.04, .02, .12, .06}, 1e-15);
}

TEST(Svm, WhatCannotBeSeparatedIsSaid) {
  std::vector<Matrix<double>> x;
  x.push_back(matrix({{0, 0}, {1, 0}, {-1, 0}}));  // the chosen token lies between the others
  const svm::Problem problem =
      svm::make_problem(std::move(x), matrix({{1, 0}}), std::vector{1.0, 0.0}, std::vector{1.0});
  EXPECT_FALSE(svm::max_margin(problem, std::vector<std::size_t>{0}).separable);
}

svm::Problem random_svm(std::uint64_t sample, std::vector<double>& v, std::vector<double>& labels) {
  std::vector<Matrix<double>> x;
  for (std::uint64_t i = 0; i < 3; ++i) x.push_back(random_matrix(4, 5, 10 * sample + i));
  v = random_vector(5, 10 * sample + 5);
  labels = {1, -1, 1};
  return svm::make_problem(std::move(x), random_matrix(3, 5, 10 * sample + 6), v, labels);
}

TEST(Svm, SolutionsMeetTheConditionsOfOptimality) {
  for (std::uint64_t sample = 0; sample < 5; ++sample) {
    std::vector<double> v, labels;
    const svm::Problem problem = random_svm(sample, v, labels);
    const std::vector<std::size_t> best = svm::best_tokens(problem);
    const svm::Margin margin = svm::max_margin(problem, best);
    ASSERT_TRUE(margin.separable);
    EXPECT_NEAR(svm::smallest_margin(problem, best, margin.w), 1, 1e-12);
    double total = 0;  // W = Σλ_j G_j, λ ≥ 0, and ‖W‖² = Σλ: no constraint that is slack has weight
    for (const double lambda : margin.lambda) {
      EXPECT_GE(lambda, 0);
      total += lambda;
    }
    EXPECT_NEAR(total, std::pow(frobenius_norm(margin.w), 2), 1e-11 * total);
  }
}

TEST(Svm, GradientAtZero) {
  const svm::Problem problem = small_svm();
  for (const svm::Gradient& g : {svm::gradient(problem, Matrix<double>(2, 2)),
                                 svm::textbook_gradient(problem, Matrix<double>(2, 2))}) {
    EXPECT_NEAR(g.loss, .558020507327, 1e-12);
    const double scale = std::exp(g.log_scale);
    const double expected[] = {.002625831137, -.126592030162, .098645643048, -.138196951086};
    for (std::size_t e = 0; e < 4; ++e) EXPECT_NEAR(scale * g.direction.data()[e], expected[e], 1e-12);
  }
}

TEST(Svm, GradientIsTheSlopeOfTheLoss) {
  std::vector<double> v, labels;
  const svm::Problem problem = random_svm(7, v, labels);
  std::vector<reference::Mat> x;
  for (const Matrix<double>& sample : problem.x) x.push_back(rows_of(sample));
  const Matrix<double> w = random_matrix(5, 5, 99);
  reference::Mat rows = rows_of(w);
  const auto loss = [&] { return reference::support_vector_loss(x, rows_of(problem.z), v, labels, rows); };
  const svm::Gradient g = svm::gradient(problem, w);
  EXPECT_NEAR(g.loss, loss(), 1e-14);
  for (std::size_t r = 0; r < 5; ++r)
    for (std::size_t c = 0; c < 5; ++c)
      EXPECT_NEAR(std::exp(g.log_scale) * g.direction(r, c), test::slope(rows[r][c], loss), 1e-9);
}

TEST(Svm, DirectionsSurviveHardAttention) {
  // Weights far below the smallest number: the direction is that of exact arithmetic, the one that adds
  // margin.
  const svm::Problem problem = small_svm();
  const svm::Margin margin = svm::max_margin(problem, svm::best_tokens(problem));
  Matrix<double> w = margin.w.copy();
  for (std::size_t e = 0; e < 4; ++e) w.data()[e] *= 2000;
  const svm::Gradient g = svm::gradient(problem, w);
  EXPECT_LT(g.log_scale, -1500);
  EXPECT_LT(svm::correlation(g.direction, margin.w), -0.4);
  EXPECT_EQ(frobenius_norm(svm::textbook_gradient(problem, w).direction), 0);
}

TEST(Svm, CorrelationAlongDescent) {
  const svm::Problem problem = small_svm();
  const Matrix<double> target = svm::max_margin(problem, svm::best_tokens(problem)).w;
  const std::vector<std::size_t> at{10, 100, 1000, 2000, 5000, 20000};
  const auto expect = [&](svm::Descent descent, double rate, const std::vector<double>& expected,
                          double tolerance) {
    const auto path = svm::descend(problem, descent, rate, at);
    for (std::size_t i = 0; i < at.size(); ++i)
      if (expected[i] > 0) {
        EXPECT_NEAR(svm::correlation(path[i], target), expected[i], tolerance) << at[i];
      }
  };
  expect(svm::Descent::kNormalised, 0.1,
         {.585327538724, .983488671211, .999850951382, .999962981231, 0, .999999632018}, 1e-12);
  expect(svm::Descent::kTextbook, 0.1, {.585327538724, .983488671211, .99929, 0, .99067, 0}, 1e-5);
  expect(svm::Descent::kPlain, 1, {0, .84646, .95058, 0, 0, .98153}, 1e-5);
}

TEST(Svm, StudyHolds) {
  test::expect_holds("svm", {{"runs", 20}, {"iterations", 3000}}, {{"runs", 6}, {"iterations", 500}});
}

// ---- Mixtures of regressions

TEST(RegressionMixture, SmallPrompt) {
  const mixture::Mixture three{matrix({{1, 0}, {0, 1}, {-1, 1}}), std::vector<double>(3, 1.0 / 3), 0.5};
  const Matrix<double> x = matrix({{1, 2}, {.5, -1}, {2, .5}});
  const std::vector<double> y{1.9, -.9, .6}, query{1, -1};
  const std::vector<double> logits = mixture::posterior_logits(three, x, y);
  const double expected[] = {-9.46, -.06, -11.16};
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(logits[j] + std::log(3), expected[j], 1e-12);
  EXPECT_NEAR(mixture::posterior_mean(three, x, y, query), -.999849678900, 1e-12);
  EXPECT_NEAR(mixture::least_squares(x, y, query), -.854545454545, 1e-12);
}

mixture::Mixture random_mixture(std::size_t m, std::size_t d) {
  std::vector<double> prior = random_vector(m, 40);
  double sum = 0;
  for (double& p : prior) sum += p = std::exp(p);
  for (double& p : prior) p /= sum;
  return {random_matrix(m, d, 41), prior, 0.7};
}

TEST(RegressionMixture, ReadOutIsThePosteriorMean) {
  const mixture::Mixture mix = random_mixture(4, 3);
  const mixture::Prompt prompt = mixture::draw_prompt(mix, 9, Random(1));
  const std::vector<double> answer = mixture::answers(mixture::optimal_read_out(mix), prompt);
  reference::Mat x = rows_of(prompt.x);
  for (std::size_t t = 0; t < 9; ++t) {
    const std::vector<double> y(prompt.y.begin(), prompt.y.begin() + static_cast<std::ptrdiff_t>(t));
    EXPECT_NEAR(answer[t], reference::mixture_mean(rows_of(mix.w), mix.prior, mix.sigma, x, y, x[t]), 1e-12)
        << t;
  }
}

TEST(RegressionMixture, GradientIsTheSlopeOfTheLoss) {
  const mixture::Prompt prompt = mixture::draw_prompt(random_mixture(4, 3), 6, Random(2));
  mixture::ReadOut model{random_matrix(5, 3, 50), random_vector(5, 51), 0.8};
  mixture::ReadOut gradient{Matrix<double>(5, 3), std::vector<double>(5), 0},
      unused{Matrix<double>(5, 3), std::vector<double>(5), 0};
  mixture::read_out_loss(model, prompt, gradient);
  const auto loss = [&] { return mixture::read_out_loss(model, prompt, unused); };
  for (std::size_t e = 0; e < 15; ++e)
    EXPECT_NEAR(gradient.keys.data()[e], test::slope(model.keys.data()[e], loss), 1e-8) << e;
  for (std::size_t j = 0; j < 5; ++j)
    EXPECT_NEAR(gradient.bias[j], test::slope(model.bias[j], loss), 1e-8) << j;
  EXPECT_NEAR(gradient.beta, test::slope(model.beta, loss), 1e-8);
  double mean = 0;
  const std::vector<double> answer = mixture::answers(model, prompt);
  for (std::size_t t = 0; t < 6; ++t) mean += std::pow(answer[t] - prompt.y[t], 2) / 12;
  EXPECT_NEAR(loss(), mean, 1e-14);
}

TEST(RegressionMixture, LeastSquares) {
  const Matrix<double> x = random_matrix(6, 4, 60);
  const std::vector<double> w = random_vector(4, 61), query = random_vector(4, 62);
  std::vector<double> y(6);
  double target = 0;
  for (std::size_t c = 0; c < 4; ++c) target += w[c] * query[c];
  for (std::size_t i = 0; i < 6; ++i)
    for (std::size_t c = 0; c < 4; ++c) y[i] += w[c] * x(i, c);
  EXPECT_NEAR(mixture::least_squares(x, y, query), target, 1e-12);
  EXPECT_EQ(mixture::least_squares({}, {}, query), 0);
  // Ridge of few pairs and of many are one formula: a pair of zeros changes nothing.
  Matrix<double> few = random_matrix(3, 4, 63), more(5, 4);
  std::copy_n(few.data(), few.size(), more.data());
  const std::vector<double> z{1, -2, .5, 0, 0};
  EXPECT_NEAR(mixture::least_squares(few, {z.data(), 3}, query, 0.3),
              mixture::least_squares(more, z, query, 0.3), 1e-12);
  // Of least norm: the limit of small penalties.
  EXPECT_NEAR(mixture::least_squares(few, {z.data(), 3}, query),
              mixture::least_squares(few, {z.data(), 3}, query, 1e-9), 1e-6);
}

TEST(RegressionMixture, ExpectationMaximisationFindsTheComponents) {
  mixture::Mixture mix = random_mixture(3, 4);
  mix.sigma = 0.2;
  std::vector<mixture::Prompt> prompts;
  for (std::uint64_t s = 0; s < 200; ++s) prompts.push_back(mixture::draw_prompt(mix, 8, Random(3, 0, s)));
  const mixture::Mixture fitted = mixture::fit_mixture(prompts, 3, 1, Arena(1));
  EXPECT_NEAR(fitted.sigma, 0.2, 0.02);
  for (std::size_t j = 0; j < 3; ++j) {
    double best = 1e9;
    for (std::size_t k = 0; k < 3; ++k) {
      double squares = std::pow(mix.prior[j] - fitted.prior[k], 2);
      for (std::size_t c = 0; c < 4; ++c) squares += std::pow(mix.w(j, c) - fitted.w(k, c), 2);
      best = std::min(best, squares);
    }
    EXPECT_LT(std::sqrt(best), 0.1) << j;
  }
}

TEST(RegressionMixture, StudyHolds) {
  test::expect_holds("regression-mixture", {{"steps", 600}, {"prompt", 16}}, {{"steps", 30}});
}

// ---- Causal structure

using causal::Graph;
using causal::GraphKind;

Matrix<double> small_chain() {
  return matrix({{.6, .3, .1}, {.3, .5, .2}, {.2, .2, .6}});
}

TEST(CausalStructure, InformationAlongAChain) {
  EXPECT_NEAR(causal::chi_square_information(small_chain(), 1), .275990259740, 1e-12);
  EXPECT_NEAR(causal::chi_square_information(small_chain(), 2), .051635227273, 1e-12);
  EXPECT_NEAR(causal::chi_square_information(small_chain(), 3), .010746993506, 1e-12);
}

TEST(CausalStructure, FirstGradientByEnumeration) {
  const std::vector<double> mu{16 / 41.0, 14 / 41.0, 11 / 41.0};
  const double parent = causal::chi_square_information(small_chain(), 1);
  for (std::size_t lag = 1; lag <= 4; ++lag) {
    const double value = causal::first_gradient(small_chain(), lag);
    EXPECT_NEAR(value, reference::first_gradient(rows_of(small_chain()), mu, 6, static_cast<int>(lag)),
                1e-13);
    EXPECT_LE(value, std::sqrt(parent * causal::chi_square_information(small_chain(), lag)) + 1e-15);
  }
  EXPECT_NEAR(causal::first_gradient(small_chain(), 1), parent, 1e-15);
}

TEST(CausalStructure, Graphs) {
  EXPECT_EQ(causal::make_graph(GraphKind::kChain, 5, Random(1)), (Graph{-1, 0, 1, 2}));
  EXPECT_EQ(causal::make_graph(GraphKind::kPairs, 6, Random(1)), (Graph{-1, 0, -1, 2, -1}));
  const Graph random = causal::make_graph(GraphKind::kRandom, 50, Random(1));
  ASSERT_EQ(random.size(), 49u);
  for (int i = 0; i < 49; ++i) {
    EXPECT_LT(random[static_cast<std::size_t>(i)], i);
    EXPECT_GE(random[static_cast<std::size_t>(i)], i == 0 ? -1 : 0);
  }
}

TEST(CausalStructure, BayesCountsAlongTheGraph) {
  const causal::Sequence sequence{{2, 0, 1, 1, 0, 0}, std::vector<double>(3)};
  const std::vector<double> law =
      causal::bayes_answer(causal::make_graph(GraphKind::kChain, 6, Random(1)), sequence, .1);
  const double expected[] = {.076923076923, .846153846154, .076923076923};
  for (std::size_t s = 0; s < 3; ++s) EXPECT_NEAR(law[s], expected[s], 1e-12);  // the root follows nobody
}

TEST(CausalStructure, SequencesFollowTheChain) {
  const Matrix<double> pi = small_chain();
  const std::vector<double> mu{16 / 41.0, 14 / 41.0, 11 / 41.0};
  const Graph graph = causal::make_graph(GraphKind::kRandom, 8, Random(4));
  constexpr int kSequences = 20000;
  Matrix<double> steps(3, 3);
  std::vector<double> last(3);
  for (std::uint64_t s = 0; s < kSequences; ++s) {
    Random random(5, 0, s);
    const causal::Sequence sequence = causal::draw_tokens(graph, pi, mu, random);
    const std::size_t parent = static_cast<std::size_t>(graph[6]);
    steps(sequence.tokens[parent], sequence.tokens[6]) += 1.0 / kSequences;
    last[sequence.tokens[7]] += 1.0 / kSequences;
    EXPECT_EQ(sequence.target[1], pi(sequence.tokens[7], 1));
  }
  for (std::size_t a = 0; a < 3; ++a) {
    EXPECT_NEAR(last[a], 1.0 / 3, 4 * std::sqrt(.25 / kSequences));
    for (std::size_t b = 0; b < 3; ++b)
      EXPECT_NEAR(steps(a, b), mu[a] * pi(a, b), 4 * std::sqrt(.25 / kSequences));
  }
}

TEST(CausalStructure, NetworkIsTheDisentangledTransformer) {
  const Graph graph = causal::make_graph(GraphKind::kRandom, 6, Random(4));
  const causal::Sequence sequence = causal::draw_sequence(graph, 3, 0.5, Random(6));
  causal::Network net{random_matrix(9, 9, 70), random_matrix(18, 18, 71), random_matrix(36, 3, 72)};
  for (Matrix<double>* m : {&net.a1, &net.a2, &net.w})
    for (std::size_t e = 0; e < m->size(); ++e) m->data()[e] *= 0.4;
  causal::Network gradient = causal::zero_network(3, 6);
  const double loss = causal::loss_and_gradient(net, sequence, gradient);
  const std::vector<int> tokens(sequence.tokens.begin(), sequence.tokens.end());
  reference::Mat a1 = rows_of(net.a1), a2 = rows_of(net.a2), w = rows_of(net.w);
  const auto expected = [&] { return reference::disentangled_loss(tokens, sequence.target, a1, a2, w); };
  EXPECT_NEAR(loss, expected(), 1e-13);
  EXPECT_NEAR(loss, causal::cross_entropy(sequence.target, causal::answer(net, sequence)), 1e-15);
  const auto compare = [&](const Matrix<double>& by, reference::Mat& rows) {
    for (std::size_t r = 0; r < by.rows(); ++r)
      for (std::size_t c = 0; c < by.cols(); ++c)
        EXPECT_NEAR(by(r, c), test::slope(rows[r][c], expected), 1e-9) << r << " " << c;
  };
  compare(gradient.a1, a1);
  compare(gradient.a2, a2);
  compare(gradient.w, w);
}

TEST(CausalStructure, RowsFound) {
  const Graph graph{-1, 0, 0};
  EXPECT_EQ(causal::rows_with_parent(graph), 2u);
  EXPECT_EQ(causal::rows_found(graph, matrix({{1, 0, 0, 0}, {.6, .4, 0, 0}, {.2, .5, .3, 0}, {1, 0, 0, 0}})),
            1u);
}

TEST(CausalStructure, StudyHolds) {
  test::expect_holds("causal-structure", {{"symbols", 3}, {"length", 8}, {"alpha", 0.3}, {"steps", 2500}},
                     {{"steps", 100}});
}

TEST(CausalStructure, OtherGraphs) {
  if (kSanitized) GTEST_SKIP() << kOnlyNumbers;
  for (const double graph : {1, 2}) {
    const StudyResult result =
        run_study("causal-structure", {{"length", 8}, {"steps", 2500}, {"graph", graph}}, 1, Arena(1));
    EXPECT_TRUE(result.holds) << result.measured;
  }
}

}  // namespace
}  // namespace telos::bigram::studies
