// The table of operations against the reference, the tape, finite differences and itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "telos/base/philox.h"
#include "telos/nn/executor.h"
#include "tests/linalg/support.h"
#include "tests/nn/example_graph.h"

namespace telos::nn {
namespace {

using table::Example;
using table::ExampleGraph;

constexpr std::size_t kSamples = 3;

double largest(const std::vector<double>& values) {
  double top = 0;
  for (const double x : values) top = std::max(top, std::abs(x));
  return top;
}

/// An element of a result or gradient is a chain of at most this many additions and multiplications.
double chain(const ExampleGraph& g) {
  double terms = 64;  // elementary functions and the loss
  for (const table::Input& input : g.example.inputs)
    terms += static_cast<double>(input.rows + input.cols) * static_cast<double>(kSamples);
  return terms;
}

template <class T>
struct Results {
  std::vector<T> result, gradient;
  double loss = 0, loss_alone = 0;
};

template <class T>
Results<T> run(const ExampleGraph& g, std::size_t micro_batch, int threads) {
  Executor<T> executor(*g.graph, {.micro_batch = micro_batch, .lanes = 2});
  std::vector<Matrix<T>> storage;
  const Batch<T> batch = g.samples_in<T>(storage);
  const std::vector<T> parameters = g.parameters<T>();
  const Arena arena(threads);
  Results<T> out;
  const std::size_t rows = (g.shape.batch ? g.samples : 1) * g.shape.rows;
  out.result.resize(rows * g.shape.cols);
  out.gradient.resize(parameters.size());
  const MatrixView<T> result(out.result.data(), rows, g.shape.cols);
  executor.forward(parameters, batch, {&result, 1}, arena);
  out.loss = executor.gradient(parameters, batch, out.gradient, arena);
  out.loss_alone = executor.loss(parameters, batch, arena);
  return out;
}

template <class T>
void expect_near(const std::vector<T>& found, const std::vector<double>& expected, double relative,
                 const char* what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  const double bound = relative * std::max(largest(expected), 1e-300);
  for (std::size_t i = 0; i < found.size(); ++i)
    ASSERT_NEAR(static_cast<double>(found[i]), expected[i], bound) << what << ", element " << i;
}

std::vector<double> flat(const table::ref::Mat<double>& m) {
  std::vector<double> out;
  for (const auto& row : m) out.insert(out.end(), row.begin(), row.end());
  return out;
}

std::string test_name(const testing::TestParamInfo<Example>& info) {
  std::string name = info.param.name;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}

class Operations : public testing::TestWithParam<Example> {};
INSTANTIATE_TEST_SUITE_P(Table, Operations, testing::ValuesIn(table::operations()), test_name);

TEST_P(Operations, ForwardIsTheReference) {
  const ExampleGraph g(GetParam(), kSamples, 1);
  const std::vector<double> expected = flat(g.result());
  expect_near(run<double>(g, 2, 1).result, expected, 1e-13, "double");
  // Rounded inputs, then at most chain() roundings, each of the size of the largest partial sum. The
  // arguments of exponentials reach the size of the inputs, which multiplies their relative errors.
  double input_size = 4;
  for (const table::Input& input : g.example.inputs)
    if (input.kind != table::Input::Kind::kIndex) input_size = std::max(input_size, input.high);
  const double eps = std::numeric_limits<float>::epsilon();
  expect_near(run<float>(g, 2, 1).result, expected, eps * std::max(chain(g), 4 * input_size), "float");
}

TEST_P(Operations, GradientsAreTheTapes) {
  const ExampleGraph g(GetParam(), kSamples, 2);
  std::vector<double> expected;
  const double loss = g.loss_on_tape(expected);
  const Results<double> exact = run<double>(g, 2, 1);
  EXPECT_NEAR(exact.loss, loss, 1e-13 * std::max(1.0, std::abs(loss)));
  EXPECT_EQ(exact.loss_alone, exact.loss);
  expect_near(exact.gradient, expected, 1e-12, "double");
  const Results<float> single = run<float>(g, 2, 1);
  const double eps = std::numeric_limits<float>::epsilon();
  EXPECT_NEAR(single.loss, loss, eps * chain(g) * std::max(1.0, std::abs(loss)));
  expect_near(single.gradient, expected, 4 * eps * chain(g), "float");
}

// The slope of the loss along random directions of one parameter at a time. The error of a central difference
// with step t is t²·f‴/6 + ε·f/t, at t = 1e-5 near 1e-10.
TEST_P(Operations, GradientsAreFiniteDifferences) {
  if (GetParam().derivative == Example::Derivative::kEstimator)
    GTEST_SKIP()
        << "a straight-through estimate is not the derivative of the function; the tape is its oracle";
  ExampleGraph g(GetParam(), kSamples, 3);
  const Results<double> exact = run<double>(g, 2, 1);
  Executor<double> executor(*g.graph);
  std::vector<Matrix<double>> storage;
  const Batch<double> batch = g.samples_in<double>(storage);
  const Arena arena(1);
  Random random(4);
  std::size_t used = 0;
  for (const ParameterInfo& info : g.layout.entries())
    for (int repetition = 0; repetition < 6; ++repetition) {
      std::vector<double> direction(g.values.size());
      double length = 0, slope = 0, gradient_norm = 0;
      for (std::size_t i = info.offset; i < info.offset + info.size(); ++i) {
        direction[i] = random.normal();
        length += direction[i] * direction[i];
        gradient_norm += exact.gradient[i] * exact.gradient[i];
      }
      for (double& x : direction) x /= std::sqrt(length);
      for (std::size_t i = 0; i < direction.size(); ++i) slope += direction[i] * exact.gradient[i];
      const double t = 1e-5;
      const auto loss_at = [&](double step) {
        std::vector<double> moved = g.values;
        for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += step * direction[i];
        return executor.loss(moved, batch, arena);
      };
      const double after = loss_at(t), here = exact.loss, before = loss_at(-t);
      // A kink within the step: the slopes on the two sides differ by more than curvature explains.
      if (GetParam().derivative == Example::Derivative::kKinks &&
          std::abs((after - here) - (here - before)) / t > 1e-3 * std::sqrt(gradient_norm))
        continue;
      ++used;
      const double scale = std::abs(slope) + std::sqrt(gradient_norm / static_cast<double>(info.size()));
      EXPECT_NEAR((after - before) / (2 * t), slope, 1e-6 * scale + 1e-10 * std::abs(here)) << info.name;
    }
  EXPECT_GE(used, 4 * g.layout.entries().size());
}

template <class T>
void expect_same_bits_everywhere(const ExampleGraph& g) {
  const Results<T> base = run<T>(g, 2, 1);
  const auto expect_same = [&](const Results<T>& other, const char* what) {
    EXPECT_EQ(std::memcmp(base.result.data(), other.result.data(), base.result.size() * sizeof(T)), 0)
        << what;
    EXPECT_EQ(std::memcmp(base.gradient.data(), other.gradient.data(), base.gradient.size() * sizeof(T)), 0)
        << what;
    EXPECT_EQ(base.loss, other.loss) << what;
  };
  for (const int threads : {2, 7}) expect_same(run<T>(g, 2, threads), "threads");
  test::for_each_target([&] { expect_same(run<T>(g, 2, 1), "instruction set"); });
}

TEST_P(Operations, BitsDependNeitherOnThreadsNorOnTheInstructionSet) {
  const ExampleGraph g(GetParam(), kSamples + 2, 5);
  expect_same_bits_everywhere<float>(g);
  expect_same_bits_everywhere<double>(g);
}

// Results of samples do not depend on how they are dealt to micro-batches.
TEST_P(Operations, MicroBatchesDoNotChangeResults) {
  const ExampleGraph g(GetParam(), kSamples + 2, 6);
  const Results<float> base = run<float>(g, 1, 1);
  for (const std::size_t size : {2, 5, 8}) {
    const Results<float> other = run<float>(g, size, 1);
    EXPECT_EQ(std::memcmp(base.result.data(), other.result.data(), base.result.size() * sizeof(float)), 0)
        << size;
  }
}

}  // namespace
}  // namespace telos::nn
