#include "telos/nn/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "tests/linalg/support.h"

namespace telos::nn {
namespace {

using Kind = OptimizerOptions::Kind;

const nlohmann::json& golden() {
  static const nlohmann::json all =
      nlohmann::json::parse(read_file(std::string(TELOS_TEST_DIR) + "/nn/golden/optimizers.json"));
  return all;
}

/// A weight that decays under AdamW and a bias that does not, as in make_optimizer_goldens.py.
ParameterLayout two_parameters() {
  ParameterLayout layout;
  layout.add("weight", 3, 5);
  layout.add_vector("bias", 7);
  return layout;
}

template <class T>
std::vector<T> start(std::size_t size) {
  std::vector<T> out;
  for (std::size_t i = 0; i < size; ++i)
    out.push_back(static_cast<T>(std::cos(1.1 * static_cast<double>(i))));
  return out;
}

template <class T>
std::vector<T> gradient_at(int step, const std::vector<T>& parameters) {
  std::vector<T> out;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const double x = static_cast<double>(i), value = static_cast<double>(parameters[i]);
    out.push_back(static_cast<T>(std::sin(0.7 * x + 1.3 * step) * (1 + 0.1 * x) + 0.1 * value));
  }
  return out;
}

struct Case {
  const char* name;
  OptimizerOptions options;
};

const std::vector<Case> kCases = {
    {"adam", {}},
    {"adam_decay", {.beta1 = 0.8, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.3}},
    {"adamw", {.kind = Kind::kAdamW, .beta2 = 0.95, .weight_decay = 0.1}},
    {"sgd", {.kind = Kind::kSgd}},
    {"sgd_momentum", {.kind = Kind::kSgd, .momentum = 0.9, .weight_decay = 0.2}},
};

template <class T>
void expect_golden(const std::string& name, const OptimizerOptions& options, double tolerance) {
  SCOPED_TRACE(name);
  const ParameterLayout layout = two_parameters();
  Optimizer<T> optimizer(layout, options);
  std::vector<T> parameters = start<T>(layout.size());
  const nlohmann::json& expected = golden()["optimizers"][name];
  for (int step = 1; step <= 12; ++step) {
    std::vector<T> gradient = gradient_at(step, parameters);
    const double norm = optimizer.step(parameters, gradient, 0.01 / step);
    if (options.clip_norm > 0) {
      EXPECT_NEAR(norm, expected["norms"][static_cast<std::size_t>(step - 1)].get<double>(),
                  tolerance * norm);
    }
    if (!expected["parameters"].contains(std::to_string(step))) continue;
    const auto values = expected["parameters"][std::to_string(step)].get<std::vector<double>>();
    ASSERT_EQ(values.size(), parameters.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(static_cast<double>(parameters[i]), values[i], tolerance) << "step " << step << ", " << i;
  }
  EXPECT_EQ(optimizer.steps(), 12u);
}

TEST(Optimizer, StepsArePyTorchs) {
  for (Case c : kCases) {
    expect_golden<double>(c.name, c.options, 1e-12);
    // Parameters are at most 1, and twelve steps round each a few times.
    expect_golden<float>(c.name, c.options, 50 * std::numeric_limits<float>::epsilon());
    c.options.clip_norm = 1.5;
    expect_golden<double>(std::string(c.name) + "_clipped", c.options, 1e-12);
    expect_golden<float>(std::string(c.name) + "_clipped", c.options,
                         50 * std::numeric_limits<float>::epsilon());
  }
}

template <class T>
std::vector<T> steps_of(const ParameterLayout& layout, const OptimizerOptions& options) {
  Optimizer<T> optimizer(layout, options);
  std::vector<T> parameters = start<T>(layout.size());
  for (int step = 1; step <= 3; ++step) {
    std::vector<T> gradient = gradient_at(step, parameters);
    optimizer.step(parameters, gradient, 0.01);
  }
  return parameters;
}

template <class T>
void expect_same_bits_on_each_target() {
  ParameterLayout layout;
  layout.add("a", 7, 11);
  layout.add_vector("b", 3);
  layout.add("c", 5, 9);
  for (Case c : kCases) {
    c.options.clip_norm = 1.5;
    const std::vector<T> base = steps_of<T>(layout, c.options);
    test::for_each_target([&] {
      const std::vector<T> other = steps_of<T>(layout, c.options);
      EXPECT_EQ(std::memcmp(base.data(), other.data(), base.size() * sizeof(T)), 0) << c.name;
    });
  }
}

TEST(Optimizer, BitsDoNotDependOnTheInstructionSet) {
  expect_same_bits_on_each_target<float>();
  expect_same_bits_on_each_target<double>();
}

TEST(Optimizer, BitsDoNotDependOnThreads) {
  ParameterLayout layout;
  layout.add("table", 50'000, 3);
  layout.add_vector("bias", 5);
  const auto run = [&](const Arena* arena) {
    Optimizer<float> optimizer(layout, {.kind = OptimizerOptions::Kind::kAdamW, .weight_decay = 0.1});
    std::vector<float> parameters = start<float>(layout.size());
    for (int step = 1; step <= 2; ++step) {
      std::vector<float> gradient = gradient_at(step, parameters);
      optimizer.step(parameters, gradient, 0.01, arena);
    }
    return parameters;
  };
  const std::vector<float> base = run(nullptr);
  for (const int threads : {1, 2, 7}) {
    const Arena arena(threads);
    EXPECT_EQ(run(&arena), base) << threads;
  }
}

TEST(Optimizer, ClippingScalesTheGradientAndReturnsTheNormBeforeIt) {
  ParameterLayout layout;
  layout.add("w", 1, 2);
  Optimizer<double> optimizer(layout, {.kind = Kind::kSgd, .clip_norm = 1});
  std::vector<double> parameters = {0, 0}, gradient = {3, 4};
  EXPECT_EQ(optimizer.step(parameters, gradient, 1), 5);
  EXPECT_NEAR(parameters[0], -3 / (5 + 1e-6), 1e-15);
  EXPECT_NEAR(parameters[1], -4 / (5 + 1e-6), 1e-15);
  gradient = {0.3, 0.4};  // below the bound: untouched
  parameters = {0, 0};
  EXPECT_EQ(optimizer.step(parameters, gradient, 1), 0.5);
  EXPECT_EQ(parameters[0], -0.3);
}

// Squares overflow, numbers do not.
TEST(Optimizer, TheNormOfAHugeGradientIsFinite) {
  ParameterLayout layout;
  layout.add("w", 1, 2);
  Optimizer<double> optimizer(layout, {.kind = Kind::kSgd, .clip_norm = 1});
  std::vector<double> parameters = {0, 0}, gradient = {3e200, 4e200};
  EXPECT_NEAR(optimizer.step(parameters, gradient, 1) / 5e200, 1, 1e-15);
  EXPECT_NEAR(parameters[0], -0.6, 1e-15);
}

template <class T>
void expect_refused(T bad) {
  const ParameterLayout layout = two_parameters();
  for (const Case& c : kCases) {
    Optimizer<T> optimizer(layout, c.options);
    std::vector<T> parameters = start<T>(layout.size());
    std::vector<T> gradient = gradient_at(1, parameters);
    optimizer.step(parameters, gradient, 0.01);
    const std::vector<T> before = parameters;
    const std::vector<T> first(optimizer.first_moment().begin(), optimizer.first_moment().end());
    const std::vector<T> second(optimizer.second_moment().begin(), optimizer.second_moment().end());
    gradient[15 + 3] = bad;
    try {
      optimizer.step(parameters, gradient, 0.01);
      FAIL() << "a gradient that is not finite was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
      EXPECT_EQ(error.where(), "bias");
      EXPECT_NE(error.message().find("column 3"), std::string::npos) << error.message();
    }
    EXPECT_EQ(parameters, before);
    EXPECT_EQ(optimizer.steps(), 1u);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), optimizer.first_moment().begin()));
    EXPECT_TRUE(std::equal(second.begin(), second.end(), optimizer.second_moment().begin()));
  }
}

TEST(Optimizer, AGradientThatIsNotFiniteChangesNothing) {
  expect_refused<float>(std::numeric_limits<float>::quiet_NaN());
  expect_refused<float>(-std::numeric_limits<float>::infinity());
  expect_refused<double>(std::numeric_limits<double>::quiet_NaN());
  expect_refused<double>(std::numeric_limits<double>::infinity());
}

template <class F>
ErrorKind kind_of(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::kInternal;
}

TEST(Optimizer, RefusesOptionsOutOfRange) {
  const ParameterLayout layout = two_parameters();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const OptimizerOptions& bad : std::vector<OptimizerOptions>{{.beta1 = 1},
                                                                   {.beta2 = -0.1},
                                                                   {.eps = -1},
                                                                   {.momentum = nan},
                                                                   {.weight_decay = -1},
                                                                   {.clip_norm = nan}})
    EXPECT_EQ(kind_of([&] { Optimizer<float>(layout, bad); }), ErrorKind::kUsage);
  Optimizer<double> optimizer(layout, {});
  std::vector<double> parameters = start<double>(layout.size()), gradient = gradient_at(1, parameters);
  for (const double rate : {-1.0, nan, std::numeric_limits<double>::infinity()})
    EXPECT_EQ(kind_of([&] { optimizer.step(parameters, gradient, rate); }), ErrorKind::kUsage);
  gradient.pop_back();
  EXPECT_EQ(kind_of([&] { optimizer.step(parameters, gradient, 0.1); }), ErrorKind::kShape);
}

TEST(Schedule, WarmsUpAndFalls) {
  const Schedule constant{.rate = 0.5, .warmup = 4};
  EXPECT_EQ(constant.at(0), 0);
  EXPECT_EQ(constant.at(1), 0.125);
  EXPECT_EQ(constant.at(4), 0.5);
  EXPECT_EQ(constant.at(1000000), 0.5);
  const Schedule linear{
      .kind = Schedule::Kind::kLinear, .rate = 1, .final_rate = 0.5, .warmup = 10, .total = 20};
  EXPECT_EQ(linear.at(5), 0.5);
  EXPECT_EQ(linear.at(10), 1);
  EXPECT_EQ(linear.at(15), 0.75);
  EXPECT_EQ(linear.at(20), 0.5);
  EXPECT_EQ(linear.at(30), 0.5);
  const Schedule cosine{.kind = Schedule::Kind::kCosine, .rate = 1, .total = 12};
  EXPECT_EQ(cosine.at(0), 1);
  EXPECT_NEAR(cosine.at(4), (1 + std::cos(std::numbers::pi / 3)) / 2, 1e-15);
  EXPECT_NEAR(cosine.at(6), 0.5, 1e-15);
  EXPECT_EQ(cosine.at(12), 0);
}

TEST(Plateau, LowersTheRateAfterMoreThanPatienceBadMetrics) {
  Plateau plateau{.patience = 2};
  const std::vector<double> metrics = {1,  .9,  .90001, .89995, .8999, .95,   .91,
                                       .9, .88, .8799,  .8799,  .8799, .8799, .8799};
  std::vector<double> rates;
  for (const double metric : metrics) rates.push_back(plateau.update(metric));
  for (std::size_t i = 0; i < metrics.size(); ++i)
    EXPECT_DOUBLE_EQ(rates[i], i < 7 ? 5e-4 : i < 12 ? 4.5e-4 : 4.05e-4) << i;
}

TEST(Plateau, IsPyTorchs) {
  Plateau plateau{.factor = 0.5, .threshold = 1e-2, .patience = 3};
  const nlohmann::json& expected = golden()["plateau"];
  ASSERT_EQ(expected["metrics"].size(), 200u);
  for (std::size_t i = 0; i < expected["metrics"].size(); ++i) {
    const auto& metric = expected["metrics"][i];
    const double rate =
        plateau.update(metric.is_null() ? std::numeric_limits<double>::quiet_NaN() : metric.get<double>());
    EXPECT_DOUBLE_EQ(rate, expected["rates"][i].get<double>()) << i;
  }
  EXPECT_LT(plateau.rate, 1e-5);
}

}  // namespace
}  // namespace telos::nn
