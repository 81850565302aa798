#include "telos/bigram/population.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "reference/bigram.h"
#include "telos/base/error.h"
#include "tests/bigram/oracle.h"
#include "tests/positional/complaint.h"

namespace telos::bigram {
namespace {

namespace ref = reference::bigram;
using telos::test::complaint;
using test::oracle;
using test::oracle_model;
using test::random_model;

ref::Mat rows_of(ConstMatrixView<double> m) {
  ref::Mat rows(m.rows(), ref::Vector(m.cols()));
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < m.cols(); ++j) rows[i][j] = m(i, j);
  return rows;
}
/// T × N, as the paper has A and Q.
ref::Mat columns_of(ConstMatrixView<double> m) {
  ref::Mat columns(m.cols(), ref::Vector(m.rows()));
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < m.cols(); ++j) columns[j][i] = m(i, j);
  return columns;
}
ref::Task task_of(const Instance& instance) {
  return {rows_of(instance.p), instance.mu, columns_of(true_model(instance).a)};
}

/// Rows of V, rows of the paper's T × N attention.
void expect_model(const Model& model, const ref::Mat& v, const ref::Mat& a, double tolerance) {
  ASSERT_EQ(model.v.rows(), v.size());
  ASSERT_EQ(model.a.cols(), a.size());
  for (std::size_t i = 0; i < v.size(); ++i)
    for (std::size_t j = 0; j < v[i].size(); ++j) EXPECT_NEAR(model.v(i, j), v[i][j], tolerance) << i << j;
  for (std::size_t t = 0; t < a.size(); ++t)
    for (std::size_t k = 0; k < a[t].size(); ++k) EXPECT_NEAR(model.a(k, t), a[t][k], tolerance) << t << k;
}

double largest(const Matrix<double>& m) {
  double most = 0;
  for (std::size_t e = 0; e < m.size(); ++e) most = std::max(most, std::abs(m.data()[e]));
  return most;
}

Instance small(std::uint64_t seed) {
  return generate({.tokens = 3, .length = 5, .sparsity = 1 + seed % 3, .seed = seed});
}

TEST(Population, OracleGradients) {
  const Instance instance = oracle();
  EXPECT_NEAR(population_loss(instance, oracle_model()), .33905634567113047, 1e-15);
  Model gradient = population_gradient(instance, oracle_model());
  expect_model(gradient,
               {{-.029668751179, -.036953613558, -.031914220629},
                {-.026617837814, .034741515648, .008699641619},
                {-.004252521002, -.025408046894, -.018406059111}},
               {{-.007581317741, -.007712482407, -.017105613674},
                {.009974550572, -.016698596944, -.025978903382},
                {-.005915874697, .011109647277, -.016246949406},
                {.009974550572, -.020463022881, -.029127551835}},
               1e-12);
  precondition(gradient, instance.mu, false);
  const double v[] = {-.076026174896, -.108221296847, -.118953004164};
  const double a[] = {-.023560380726, .002133848899, .018670434265};
  for (std::size_t j = 0; j < 3; ++j) {
    EXPECT_NEAR(gradient.v(0, j), v[j], 1e-12);
    EXPECT_NEAR(gradient.a(j, 0), a[j], 1e-12);
  }
}

TEST(Population, AnyModelIsTheMeanOverAllOutcomes) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const Instance instance = seed == 0 ? oracle() : small(seed);
    const Model model = seed == 0 ? oracle_model() : random_model(instance, seed, seed % 2 == 0);
    ref::Expected expected = ref::enumerate(task_of(instance), rows_of(model.v), columns_of(model.a));
    EXPECT_NEAR(population_loss(instance, model), expected.loss, 1e-14);
    Model gradient = population_gradient(instance, model);
    expect_model(gradient, expected.v, expected.a, 1e-14);
    precondition(gradient, instance.mu, false);
    ref::precondition(expected, instance.mu);
    expect_model(gradient, expected.v, expected.a, 1e-13);
  }
}

TEST(Population, GradientAtTheStartAndAtTheTruth) {
  const Instance instance = oracle();
  Model start = population_gradient(instance, initial_model(instance));
  precondition(start, instance.mu, true);
  const double row[] = {-.05243902439, .02256097561, .04756097561};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      EXPECT_NEAR(start.v(i, j), -(instance.p(i, j) - instance.mu[i]) / 4, 1e-16);
  for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(start.v(0, j), row[j], 1e-11);
  EXPECT_LT(largest(start.a), 1e-16);
  const Model truth = population_gradient(instance, true_model(instance));
  EXPECT_LT(largest(truth.v), 1e-16);
  EXPECT_LT(largest(truth.a), 1e-16);
  const Constants c = constants(instance);
  EXPECT_NEAR(population_loss(instance, initial_model(instance)), c.loss_start, 1e-16);
  EXPECT_NEAR(population_loss(instance, true_model(instance)), c.loss_least, 1e-16);
}

TEST(Population, CentringTakesAwayWhatMovesVmu) {
  const Instance instance = oracle();
  Model plain = population_gradient(instance, oracle_model()),
        centred = population_gradient(instance, oracle_model());
  precondition(plain, instance.mu, false);
  precondition(centred, instance.mu, true);
  for (std::size_t i = 0; i < 3; ++i) {
    double along = 0, left = 0;
    for (std::size_t j = 0; j < 3; ++j) along += plain.v(i, j) * instance.mu[j];
    for (std::size_t j = 0; j < 3; ++j) {
      left += centred.v(i, j) * instance.mu[j];
      EXPECT_NEAR(centred.v(i, j), plain.v(i, j) - along, 1e-15);
    }
    EXPECT_GT(std::abs(along), 1e-3);
    EXPECT_NEAR(left, 0, 1e-16);
  }
}

TEST(Population, Mirror) {
  const Instance instance = oracle();
  const Constants c = constants(instance);
  const Model truth = true_model(instance);
  const Model mirror = mirrored(truth, instance.mu);
  const double loss = population_loss(instance, mirror);
  EXPECT_NEAR(loss, .348837434164, 1e-12);
  EXPECT_NEAR(loss - c.loss_least, .043224271267, 1e-12);
  EXPECT_NEAR(loss - c.loss_least, 2 * c.k_p / 4, 1e-15);
  const Signals s = signals(instance, mirror);
  EXPECT_NEAR(s.v, -1, 1e-14);
  EXPECT_NEAR(s.a, -1, 1e-14);
  EXPECT_NEAR(s.v_cosine, -1, 1e-14);
  EXPECT_NEAR(s.a_cosine, -1, 1e-14);
  const Model back = mirrored(mirror, instance.mu);
  expect_model(back, rows_of(truth.v), columns_of(truth.a), 1e-15);
}

TEST(Signals, SplitAModelIntoOrthogonalParts) {
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    const Instance instance = small(seed);
    const Model model = random_model(instance, seed, false);
    const Constants c = constants(instance);
    const Signals s = signals(instance, model);
    double v_square = 0, a_square = 0, v_distance = 0, a_distance = 0;
    const Model truth = true_model(instance);
    for (std::size_t k = 0; k < 3; ++k) {
      for (std::size_t i = 0; i < 3; ++i) {
        v_square += instance.mu[k] * std::pow(model.v(i, k) - instance.mu[i], 2);
        v_distance += instance.mu[k] * std::pow(model.v(i, k) - instance.p(i, k), 2);
      }
      for (std::size_t t = 0; t < 5; ++t) {
        a_square += instance.mu[k] * std::pow(model.a(k, t) - 0.2, 2);
        a_distance += instance.mu[k] * std::pow(model.a(k, t) - truth.a(k, t), 2);
      }
    }
    EXPECT_NEAR(s.v * s.v * c.k_p + s.v_error, v_square, 1e-14);
    EXPECT_NEAR(s.a * s.a * c.k_q + s.a_error, a_square, 1e-14);
    EXPECT_NEAR(s.v_distance, std::sqrt(v_distance), 1e-14);
    EXPECT_NEAR(s.a_distance, std::sqrt(a_distance), 1e-14);
    EXPECT_NEAR(s.v_cosine, s.v * std::sqrt(c.k_p / v_square), 1e-14);
    EXPECT_NEAR(s.a_cosine, s.a * std::sqrt(c.k_q / a_square), 1e-14);
  }
}

TEST(Signals, StartTruthAndNothing) {
  const Instance instance = oracle();
  const Signals truth = signals(instance, true_model(instance));
  EXPECT_NEAR(truth.v, 1, 1e-15);
  EXPECT_NEAR(truth.a, 1, 1e-15);
  EXPECT_LT(truth.v_distance + truth.a_distance, 1e-15);
  const Signals start = signals(instance, initial_model(instance));
  EXPECT_EQ(start.v_cosine, 0);
  EXPECT_EQ(start.a_cosine, 0);
  EXPECT_NEAR(start.v_distance, std::sqrt(constants(instance).k_p), 1e-15);
  // Where every last token looks everywhere, A has no signal to find.
  const Instance uniform = make_instance(test::oracle_transitions(), {{{0}, {1}}, {{0}, {1}}, {{0}, {1}}}, 1);
  const Signals none = signals(uniform, true_model(uniform));
  EXPECT_EQ(none.a, 0);
  EXPECT_EQ(none.a_cosine, 0);
  EXPECT_EQ(none.a_error, 0);
}

TEST(Excess, FourTermsAreTheWholeOfTheExcessLoss) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Instance instance =
        generate({.tokens = 2 + seed % 7, .length = 3 + seed, .sparsity = 1 + seed % 3, .seed = seed});
    const Model model = random_model(instance, seed, true);
    const Constants c = constants(instance);
    const Excess e = excess(c, instance.length, signals(instance, model));
    const double loss = population_loss(instance, model);
    EXPECT_NEAR((loss - c.loss_least) / loss, e.total() / loss, 1e-14) << seed;
    for (const double term : {e.product, e.values, e.attention, e.transitions}) EXPECT_GE(term, 0);
  }
}

TEST(Dynamics, OracleSteps) {
  const Instance instance = oracle();
  const Constants c = constants(instance);
  const std::vector<Signals> path = scalar_dynamics(c, 4, {}, 0.1, 2000);
  ASSERT_EQ(path.size(), 2001u);
  struct Row {
    std::size_t step;
    double v, a, loss;
  };
  for (const Row& row : {Row{1, .025, 0, .32903218508328}, Row{2, .049375, .000216121356, .32852469892527},
                         Row{10, .224392706509, .009109604966, .32520654577189},
                         Row{2000, 1.000169922188, .999710393947, .30561316339713}}) {
    const Signals& s = path[row.step];
    EXPECT_NEAR(s.v, row.v, 1e-12);
    EXPECT_NEAR(s.a, row.a, 1e-12);
    EXPECT_NEAR(c.loss_least + excess(c, 4, s).total(), row.loss, 1e-14);
  }
}

TEST(Dynamics, MatricesMoveAsTheTwoSignalsAndTwoErrorsDo) {
  for (const bool noisy : {false, true}) {
    const Instance instance = oracle();
    Model start = noisy ? random_model(instance, 3, true) : initial_model(instance);
    const std::vector<Signals> path =
        scalar_dynamics(constants(instance), 4, signals(instance, start), 0.1, 2000);
    population_descent(instance, std::move(start), 0.1, 2000, [&](std::size_t step, const Model& model) {
      const Signals s = signals(instance, model);
      ASSERT_NEAR(s.v, path[step].v, 1e-12) << step;
      ASSERT_NEAR(s.a, path[step].a, 1e-12) << step;
      ASSERT_NEAR(s.v_error, path[step].v_error, 1e-12) << step;
      ASSERT_NEAR(s.a_error, path[step].a_error, 1e-12) << step;
    });
  }
}

TEST(Dynamics, DescentIsThatOnAllOutcomes) {
  const Instance instance = oracle();
  const Model start = random_model(instance, 5, true);
  ref::Mat v = rows_of(start.v), a = columns_of(start.a);
  const ref::Task task = task_of(instance);
  population_descent(instance, random_model(instance, 5, true), 0.1, 100,
                     [&](std::size_t, const Model& model) {
                       ref::step(task, v, a, 0.1);
                       expect_model(model, v, a, 1e-12);
                     });
}

TEST(Dynamics, ConstraintsAreKept) {
  const Instance instance = generate({.tokens = 6, .length = 40, .sparsity = 3, .seed = 4});
  Model model = random_model(instance, 8, true);
  model = population_descent(instance, std::move(model), 0.05, 1000, {});
  for (std::size_t k = 0; k < 6; ++k) {
    double attention = 0, column = 0, mean = 0;
    for (std::size_t t = 0; t < 40; ++t) attention += model.a(k, t);
    for (std::size_t i = 0; i < 6; ++i) {
      column += model.v(i, k);
      mean += model.v(k, i) * instance.mu[i];
    }
    EXPECT_NEAR(attention, 1, 1e-12);
    EXPECT_NEAR(column, 1, 1e-12);
    EXPECT_NEAR(mean, instance.mu[k], 1e-12);
  }
}

TEST(Dynamics, FirstStage) {
  Constants c;
  c.k_p = .1910;
  c.k_q = .5054;
  c.gamma = std::sqrt(c.k_p * c.k_q);
  const Signals s = first_stage(c, 5000, 15);
  EXPECT_NEAR(s.v, .034011, 5e-7);
  EXPECT_NEAR(s.a, .020517, 5e-7);
  // Steps so small that the recursion follows its flow, whose small signals the formula describes.
  const Signals flow = scalar_dynamics(c, 5000, {}, 0.001, 15000).back();
  EXPECT_NEAR(flow.v, .033925, 1e-5);
  EXPECT_NEAR(flow.a, .020470, 1e-5);
  // No growth without something to attend to: V alone moves, by τ/T.
  c.k_q = c.gamma = 0;
  EXPECT_NEAR(first_stage(c, 5000, 15).v, 15. / 5000, 1e-18);
  EXPECT_EQ(first_stage(c, 5000, 15).a, 0);
}

TEST(Dynamics, BlowsUpWithItsStep) {
  const Instance instance = oracle();
  const Constants c = constants(instance);
  Signals far;
  far.v = far.a = 10;
  EXPECT_EQ(complaint([&] { scalar_dynamics(c, 4, far, 5, 100); }),
            "not_finite | step 5 | V or A is not finite any more | take a smaller eta");
  EXPECT_EQ(complaint([&] { population_descent(instance, random_model(instance, 1, true), 1e6, 100, {}); }),
            "not_finite | step 5 | V is not finite any more | take a smaller eta");
  Model large = initial_model(instance);
  large.v(0, 0) = 1e160;  // whose square A's gradient has
  EXPECT_EQ(complaint([&] { population_descent(instance, std::move(large), 0.1, 1, {}); }),
            "not_finite | step 1 | A is not finite any more | take a smaller eta");
  for (const double eta : {0.0, -1.0, std::numeric_limits<double>::infinity()})
    telos::test::expect_error(ErrorKind::kUsage, "expected a finite number above 0",
                              [&] { scalar_dynamics(c, 4, {}, eta, 1); });
  EXPECT_EQ(complaint([&] { population_descent(instance, initial_model(instance), 0, 1, {}); }),
            "usage | eta | is 0, expected a finite number above 0 | ");
  telos::test::expect_error(ErrorKind::kLimit, "take fewer steps",
                            [&] { scalar_dynamics(c, 4, {}, 0.1, std::size_t{1} << 50); });
}

TEST(Population, RefusesModelsOfOtherShapes) {
  const Instance instance = oracle();
  Model model = oracle_model();
  model.a = Matrix<double>(3, 5);
  EXPECT_EQ(complaint([&] { population_loss(instance, model); }),
            "shape | model | A is 3 × 5, expected 3 × 4 | ");
  model = oracle_model();
  model.v = Matrix<double>(2, 3);
  const std::string v = "shape | model | V is 2 × 3, expected 3 × 3 | ";
  EXPECT_EQ(complaint([&] { population_gradient(instance, model); }), v);
  EXPECT_EQ(complaint([&] { signals(instance, model); }), v);
  EXPECT_EQ(complaint([&] { mirrored(model, instance.mu); }), v);
  EXPECT_EQ(complaint([&] { precondition(model, instance.mu, true); }), v);
  model = {Matrix<double>(3, 3), Matrix<double>(2, 4)};
  EXPECT_EQ(complaint([&] { precondition(model, instance.mu, true); }),
            "shape | model | A is 2 × 4, expected 3 × 4 | ");
  Instance longer = make_instance(test::oracle_transitions(), test::oracle_columns(), 4);
  longer.length = std::size_t{1} << 45;
  telos::test::expect_error(ErrorKind::kLimit, "take fewer tokens or a shorter context",
                            [&] { initial_model(longer); });
}

TEST(Plan, FollowsItsFormulas) {
  const Instance instance = generate({.tokens = 3, .length = 1000, .sparsity = 2, .seed = 1});
  const Constants c = constants(instance);
  const Plan p = plan(instance, 0.02, 8);
  EXPECT_NEAR(p.steps, std::asinh(c.gamma * 1000) / (c.gamma * 0.02) + 8 / (c.gamma * 0.02), 1e-9);
  EXPECT_NEAR(p.sign_snr, c.k_p * std::sqrt(2 * 8 / (c.gamma * 0.02 * 1000 * c.j_p)), 1e-12);
  EXPECT_NEAR(p.mirror_probability, 0.5 * std::erfc(p.sign_snr / std::sqrt(2.0)), 1e-15);
  EXPECT_EQ(p.constants.k_p, c.k_p);
  EXPECT_EQ(p.sgd_bound, sgd_bound(instance));
  // A quarter of the batch is the smallest with a mirror in one run of a thousand.
  EXPECT_LE(plan(instance, 0.02, p.batch / 4 + 1).mirror_probability, 1e-3);
  EXPECT_GE(plan(instance, 0.02, p.batch / 4 - 1).mirror_probability, 1e-3);
  EXPECT_EQ(p.bytes, 64. * 3 * 1000 + 24 * 9 + 128 * 1000);
}

TEST(Plan, NothingToAttendTo) {
  const Instance instance =
      make_instance(test::oracle_transitions(), {{{0}, {1}}, {{0}, {1}}, {{0}, {1}}}, 1);
  const Plan p = plan(instance, 0.1, 8);
  EXPECT_TRUE(std::isinf(p.steps));
  EXPECT_EQ(p.mirror_probability, 0.5);
  EXPECT_EQ(p.batch, 8u);
  EXPECT_EQ(complaint([&] { plan(instance, 0.1, 0); }), "usage | batch | is 0, expected at least 1 | ");
  EXPECT_EQ(complaint([&] { plan(instance, -1, 8); }),
            "usage | eta | is -1, expected a finite number above 0 | ");
}

/// Plain descent on A with V kept: Hessian μ_k ‖Vμ‖² T along 1 is the steepest.
TEST(Plan, SgdBound) {
  const Instance instance = oracle();
  EXPECT_NEAR(sgd_bound(instance), 2 / (4 * 16. / 41 * 573 / 1681), 1e-12);
  for (const double factor : {0.99, 1.01}) {
    Model model = random_model(instance, 2, false);
    model.v = initial_model(instance).v;
    for (int step = 0; step < 3000; ++step) {
      const Model gradient = population_gradient(instance, model);
      for (std::size_t e = 0; e < model.a.size(); ++e)
        model.a.data()[e] -= factor * sgd_bound(instance) * gradient.a.data()[e];
    }
    if (factor < 1)
      EXPECT_LT(largest(model.a), 2);
    else
      EXPECT_GT(largest(model.a), 1e6);
  }
}

}  // namespace
}  // namespace telos::bigram
