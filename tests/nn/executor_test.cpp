// Passes over whole networks: same bits for any number of threads, any cut into micro-batches, gradients of
// values without batch, no allocation, and what is refused.
#include "telos/nn/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/sanitized.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/nn/operations.h"

namespace {
std::atomic<std::size_t> allocations{0};

[[maybe_unused]] void* allocate(std::size_t size, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  // aligned_alloc asks for a multiple of the alignment.
  void* const p = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

// The linker takes these instead of the library's; the array forms call them. Sanitizers watch the library's.
#ifdef TELOS_SANITIZED
constexpr bool kCountsAllocations = false;
#else
constexpr bool kCountsAllocations = true;
void* operator new(std::size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
// Memory from aligned_alloc() and malloc() alike ends here; GCC sees the inlined halves apart.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void operator delete(void* p) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
#endif

namespace telos::nn {
namespace {

using testing::HasSubstr;

constexpr std::size_t kRows = 5, kIn = 3, kWidth = 20, kHeads = 2;

/// Two layers of a positional network: the first plain, on two inputs side by side, the second folded.
struct Network {
  ParameterLayout layout;
  std::optional<Graph> graph;

  Network() {
    layout.add("encoder", kWidth, kIn);
    layout.add_vector("encoder.bias", kWidth);
    layout.add("qk", 2 * kHeads * 4, 4);
    layout.add_vector("qk.bias", 2 * kHeads * 4);
    layout.add("positions", kRows, 4);
    layout.add("mlp", kWidth, 2 * kWidth);
    layout.add("value", kWidth, kWidth);
    layout.add("output", 7, kWidth);
    layout.add("decoder", 1, 3 * 7);
    layout.add("factor", 1, 1);
    layout.add("unused", 3, 3);
    build();
  }

  void build() {
    Graph& g = graph.emplace(layout);
    const auto p = [&](const char* name) { return g.parameter(name); };
    const Value x = g.input("x", kRows, kIn), target = g.input("target", kRows, 1);
    const Value a = positional_attention(g, p("positions"), p("qk"), p("qk.bias"), kHeads);
    const Value u = linear(g, {x}, p("encoder"), p("encoder.bias"), Activation::kGeluErf);
    const Value m = mix(g, a, u, MixForm::kSplit);
    const Value z = linear(g, {u, m}, p("mlp"), Activation::kRelu);
    const Value folded = matmul(g, Op::kPlain, p("output"), Op::kPlain, p("value"));
    const Value v = scale_by(g, matmul(g, Op::kPlain, z, Op::kTransposed, folded), p("factor"));
    const Value y = linear(g, {mix(g, a, v, MixForm::kIdentityAndShared)}, p("decoder"));
    g.output("attention", a);
    g.output("y", y);
    g.output("folded", folded);
    g.loss(mean_squared_error(g, y, target, kRows - 1));
  }
};

template <class T>
struct Data {
  Matrix<T> x, target;
  Batch<T> batch;
  explicit Data(std::size_t samples) : x(samples * kRows, kIn), target(samples * kRows, 1) {
    Random random(7);
    for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<T>(random.normal());
    for (std::size_t i = 0; i < target.size(); ++i) target.data()[i] = static_cast<T>(random.normal());
    batch = {.samples = samples, .real = {x, target}};
  }
};

template <class T>
std::vector<T> random_parameters(const ParameterLayout& layout) {
  Random random(11);
  std::vector<T> values(layout.size());
  for (T& v : values) v = static_cast<T>(0.3 * random.normal());
  return values;
}

template <class T>
struct Result {
  double loss = 0;
  std::vector<T> gradient;
  Matrix<T> attention{kHeads * kRows, kRows}, y, folded{7, kWidth};
};

template <class T>
Result<T> run(const Network& network, std::size_t samples, typename Executor<T>::Options options,
              int threads) {
  Executor<T> executor(*network.graph, options);
  const Data<T> data(samples);
  const Arena arena(threads);
  const std::vector<T> parameters = random_parameters<T>(network.layout);
  Result<T> result;
  result.gradient.resize(parameters.size());
  result.loss = executor.gradient(parameters, data.batch, result.gradient, arena);
  EXPECT_EQ(executor.loss(parameters, data.batch, arena), result.loss);
  result.y = Matrix<T>(samples * kRows, 1);
  const MatrixView<T> outputs[] = {result.attention, result.y, result.folded};
  executor.forward(parameters, data.batch, outputs, arena);
  return result;
}

template <class T>
std::vector<T> all(const Matrix<T>& m) {
  return {m.data(), m.data() + m.size()};
}

template <class T>
void expect_same_bits(const Result<T>& a, const Result<T>& b) {
  EXPECT_EQ(a.loss, b.loss);
  EXPECT_EQ(a.gradient, b.gradient);
  EXPECT_EQ(all(a.y), all(b.y));
  EXPECT_EQ(all(a.attention), all(b.attention));
}

template <class T>
class ExecutorOf : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(ExecutorOf, Types);

TYPED_TEST(ExecutorOf, SameBitsForAnyNumberOfThreads) {
  const Network network;
  for (const std::size_t samples : {1, 10, 53}) {
    const Result<TypeParam> one = run<TypeParam>(network, samples, {.micro_batch = 3}, 1);
    EXPECT_GT(one.loss, 0);
    for (const int threads : {2, 7})
      expect_same_bits(one, run<TypeParam>(network, samples, {.micro_batch = 3}, threads));
  }
}

// How the batch is cut changes the order of sums alone: each of some 10^4 terms adds a relative rounding
// error.
TYPED_TEST(ExecutorOf, MicroBatchesAndLanesChangeRoundingAlone) {
  const Network network;
  const double eps = std::numeric_limits<TypeParam>::epsilon();
  const Result<TypeParam> base = run<TypeParam>(network, 53, {.micro_batch = 53, .lanes = 1}, 1);
  double size = 0;
  for (const TypeParam g : base.gradient) size = std::max(size, std::abs(double{g}));
  for (const std::size_t micro_batch : {0, 1, 4, 13, 100})
    for (const std::size_t lanes : {1, 8}) {
      const Result<TypeParam> other =
          run<TypeParam>(network, 53, {.micro_batch = micro_batch, .lanes = lanes}, 2);
      EXPECT_EQ(all(base.y), all(other.y));
      EXPECT_NEAR(base.loss, other.loss, 1e-14 * base.loss);
      for (std::size_t i = 0; i < base.gradient.size(); ++i)
        EXPECT_NEAR(base.gradient[i], other.gradient[i], 100 * eps * size) << i;
    }
}

// Central differences with step t: t²·f‴/6 + ε·f/t, near 1e-10 at t = 1e-5. All parameters but the last are
// used, through values without batch and with it.
TEST(Executor, GradientsReachTheParametersThroughValuesWithoutBatch) {
  const Network network;
  Executor<double> executor(*network.graph, {.micro_batch = 4, .lanes = 3});
  const Data<double> data(17);
  const Arena arena(1);
  std::vector<double> parameters = random_parameters<double>(network.layout), gradient(parameters.size(), 99);
  executor.gradient(parameters, data.batch, gradient, arena);
  for (const ParameterInfo& info : network.layout.entries()) {
    double largest = 0;
    for (std::size_t i = info.offset; i < info.offset + info.size(); ++i) {
      const double t = 1e-5, here = parameters[i];
      parameters[i] = here + t;
      const double after = executor.loss(parameters, data.batch, arena);
      parameters[i] = here - t;
      const double before = executor.loss(parameters, data.batch, arena);
      parameters[i] = here;
      EXPECT_NEAR((after - before) / (2 * t), gradient[i], 1e-8) << info.name;
      largest = std::max(largest, std::abs(gradient[i]));
    }
    if (info.name == "unused")
      EXPECT_EQ(largest, 0);
    else
      EXPECT_GT(largest, 1e-6) << info.name;
  }
}

TEST(Executor, ALossWithoutBatchNeedsNoSamples) {
  ParameterLayout layout;
  layout.add("w", 1, 3);
  Graph g(layout);
  const Value w = g.parameter("w");
  g.loss(matmul(g, Op::kPlain, w, Op::kTransposed, w));
  Executor<double> executor(g);
  const std::vector<double> parameters{1, 2, -3};
  std::vector<double> gradient(3);
  EXPECT_EQ(executor.gradient(parameters, {}, gradient, Arena(1)), 14);
  EXPECT_EQ(gradient, (std::vector<double>{2, 4, -6}));
}

TEST(Executor, ALossWithoutParametersHasNoGradient) {
  ParameterLayout layout;
  layout.add("w", 1, 2);
  Graph g(layout);
  g.loss(g.input("x", 1, 1));
  Executor<double> executor(g, {.micro_batch = 2});
  Matrix<double> x(3, 1);
  for (std::size_t i = 0; i < 3; ++i) x(i, 0) = static_cast<double>(i);
  std::vector<double> gradient(2, 99);
  EXPECT_EQ(executor.gradient(std::vector<double>{1, 2}, {.samples = 3, .real = {x}}, gradient, Arena(1)), 1);
  EXPECT_EQ(gradient, (std::vector<double>{0, 0}));
}

// A value that several operations use, one of them twice: the first to write its gradient must not lose what
// the others add. L = Σ (y + y) w with y = x w, for 1×1 matrices: dL/dw = 4 x w.
TEST(Executor, GradientsOfSharedValuesAddUp) {
  ParameterLayout layout;
  layout.add("w", 1, 1);
  Graph g(layout);
  const Value w = g.parameter("w"), y = linear(g, {g.input("x", 1, 1)}, w);
  const Value twice = linear(g, {y, y}, stack_columns(g, {w, w}));
  g.loss(add(g, twice, scale(g, y, 3)));
  Executor<double> executor(g, {.micro_batch = 2});
  Matrix<double> x(5, 1);
  for (std::size_t i = 0; i < 5; ++i) x(i, 0) = static_cast<double>(i + 1);
  std::vector<double> gradient(1);
  executor.gradient(std::vector<double>{2}, {.samples = 5, .real = {x}}, gradient, Arena(1));
  EXPECT_DOUBLE_EQ(gradient[0], 3 * (4 * 2 + 3));
}

TEST(Executor, NoCallAllocates) {
  if (!kCountsAllocations) GTEST_SKIP() << "a sanitizer has operator new";
  const Network network;
  const Data<float> data(60);
  const std::vector<float> parameters = random_parameters<float>(network.layout);
  std::vector<float> gradient(parameters.size());
  Matrix<float> attention(kHeads * kRows, kRows), y(60 * kRows, 1), folded(7, kWidth);
  const MatrixView<float> outputs[] = {attention, y, folded};
  for (const int threads : {1, 2}) {
    const Arena arena(threads), alone(1);
    Executor<float> executor(*network.graph, {.micro_batch = 4});
    // The kernels keep memory by thread: each thread once runs a step of its own, the other waiting for it.
    std::atomic<int> inside{0};
    arena.parallel_for(static_cast<std::size_t>(threads), [&](std::size_t) {
      inside.fetch_add(1);
      while (inside.load() < threads) std::this_thread::yield();
      Executor<float> own(*network.graph, {.micro_batch = 4});
      std::vector<float> unused(parameters.size());
      own.gradient(parameters, data.batch, unused, alone);
    });
    const std::size_t before = allocations.load();
    for (int i = 0; i < 3; ++i) {
      executor.gradient(parameters, data.batch, gradient, arena);
      executor.loss(parameters, data.batch, arena);
      executor.forward(parameters, data.batch, outputs, arena);
    }
    EXPECT_EQ(allocations.load(), before) << threads << " threads";
  }
}

TEST(Executor, TellsItsMemory) {
  const Network network;
  const Executor<float> small(*network.graph, {.micro_batch = 2, .lanes = 2}),
      large(*network.graph, {.micro_batch = 64, .lanes = 2});
  EXPECT_EQ(small.micro_batch(), 2u);
  EXPECT_GT(small.memory_bytes(), network.layout.size() * sizeof(float));
  EXPECT_GT(large.memory_bytes(), 5 * small.memory_bytes());
  EXPECT_GE(Executor<float>(*network.graph).micro_batch(), 1u);
  EXPECT_EQ(Executor<float>::memory_needed(*network.graph, {.micro_batch = 64, .lanes = 2}),
            static_cast<double>(large.memory_bytes()));
}

// A workspace a thread, whatever the lanes: the same bits, also with more threads than workspaces.
TEST(Executor, HoldsAsManyWorkspacesAsThreads) {
  const Network network;
  const auto bytes = [&](std::size_t threads) {
    return Executor<float>(*network.graph, {.micro_batch = 16, .threads = threads}).memory_bytes();
  };
  EXPECT_LT(bytes(1), bytes(2));
  EXPECT_EQ(bytes(8) - bytes(2), 6 * (bytes(2) - bytes(1)));
  EXPECT_EQ(bytes(100), bytes(8));
  const Result<float> base = run<float>(network, 53, {.micro_batch = 3}, 1);
  for (const std::size_t workspaces : {1, 2})
    for (const int threads : {1, 3})
      expect_same_bits(base, run<float>(network, 53, {.micro_batch = 3, .threads = workspaces}, threads));
}

TEST(Executor, RefusesMoreMemoryThanTheMachineHas) {
  const Network network;
  const auto kind_of = [](const Graph& graph, const Executor<float>::Options& options) {
    try {
      const Executor<float> executor(graph, options);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInternal;
  };
  EXPECT_EQ(kind_of(*network.graph, {.micro_batch = SIZE_MAX}), ErrorKind::kLimit);
  EXPECT_EQ(kind_of(*network.graph, {.lanes = SIZE_MAX}), ErrorKind::kLimit);
  Graph wide{ParameterLayout{}};
  wide.output("y", scale(wide, wide.input("x", std::size_t{1} << 20, std::size_t{1} << 19), 2));
  EXPECT_EQ(kind_of(wide, {}), ErrorKind::kLimit);
}

TEST(Executor, RefusesWhatDoesNotFit) {
  const Network network;
  Executor<double> executor(*network.graph);
  const Data<double> data(4);
  const Arena arena(1);
  const std::vector<double> parameters = random_parameters<double>(network.layout);
  std::vector<double> gradient(parameters.size());
  const auto expect_error = [](const auto& f, ErrorKind kind, const char* message) {
    try {
      f();
      ADD_FAILURE() << "no error, expected: " << message;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind);
      EXPECT_THAT(e.message(), HasSubstr(message));
    }
  };
  const auto step = [&](const Batch<double>& batch) {
    return [&] { executor.gradient(parameters, batch, gradient, arena); };
  };
  Batch<double> batch = data.batch;
  batch.samples = 5;
  expect_error(step(batch), ErrorKind::kShape, "the input x is 20x3, expected 25x3");
  batch.samples = 0;
  expect_error(step(batch), ErrorKind::kShape, "no samples");
  batch.samples = 4;
  batch.real.pop_back();
  expect_error(step(batch), ErrorKind::kShape, "1 real and 0 index inputs, expected 2 and 0");
  expect_error([&] { executor.loss(std::vector<double>(3), data.batch, arena); }, ErrorKind::kShape,
               "3 parameter values");
  expect_error([&] { executor.gradient(parameters, data.batch, std::span(gradient).first(2), arena); },
               ErrorKind::kShape, "2 gradient values");
  Matrix<double> y(20, 1), attention(kHeads * kRows, kRows), folded(7, kWidth);
  const std::vector<MatrixView<double>> few{attention, y}, wrong{attention, attention, folded};
  expect_error([&] { executor.forward(parameters, data.batch, few, arena); }, ErrorKind::kShape,
               "2 results, expected 3");
  expect_error([&] { executor.forward(parameters, data.batch, wrong, arena); }, ErrorKind::kShape,
               "the result y is 10x5, expected 20x1");

  Graph without_loss(network.layout);
  without_loss.index_input("tokens", 2);
  Executor<double> idle(without_loss);
  expect_error([&] { idle.loss(parameters, {}, arena); }, ErrorKind::kUsage, "no loss");
}

TEST(Executor, WrongNumberOfIndicesIsRefused) {
  ParameterLayout layout;
  layout.add("table", 4, 3);
  Graph g(layout);
  g.output("rows", embedding(g, g.index_input("tokens", 2), g.parameter("table")));
  Executor<float> executor(g);
  const std::vector<float> parameters(12, 1.0f);
  const std::vector<std::int32_t> tokens{0, 1, 2};
  Matrix<float> rows(4, 3);
  const MatrixView<float> outputs[] = {rows};
  try {
    executor.forward(parameters, {.samples = 2, .index = {tokens}}, outputs, Arena(1));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.message(), HasSubstr("the input tokens has 3 indices, expected 4"));
  }
}

TEST(Executor, NoSamplesGiveNoRows) {
  const Network network;
  Executor<float> executor(*network.graph);
  const Data<float> data(0);
  Matrix<float> y(0, 1), attention(kHeads * kRows, kRows), folded(7, kWidth);
  const MatrixView<float> outputs[] = {attention, MatrixView<float>(y.data(), 0, 1), folded};
  executor.forward(random_parameters<float>(network.layout), data.batch, outputs, Arena(1));
  double sum = 0;
  for (std::size_t j = 0; j < kRows; ++j) sum += double{attention(0, j)};
  EXPECT_NEAR(sum, 1, 1e-6);
}

// ---- Tables, of whose gradients a batch touches few rows

constexpr std::size_t kWords = 50, kPositions = 4;

/// Two lookups in one table, or, the same for its reader but not for the executor, in a copy of it.
struct Lookup {
  ParameterLayout layout;
  std::optional<Graph> graph;
  explicit Lookup(bool copied) {
    layout.add("table", kWords, 3);
    layout.add("decoder", 1, 3);
    Graph& g = graph.emplace(layout);
    const Value table = copied ? scale(g, g.parameter("table"), 1) : g.parameter("table");
    const Value first = embedding(g, g.index_input("first", kPositions), table);
    const Value second = embedding(g, g.index_input("second", kPositions), table);
    const Value y = linear(g, {mean_pool(g, add(g, first, activate(g, second, Activation::kSilu)))},
                           g.parameter("decoder"));
    g.loss(mean_squared_error(g, y, g.input("target", 1, 1)));
  }
};

struct LookupData {
  std::vector<std::int32_t> first{}, second{};
  std::vector<float> target{};
  Batch<float> batch{};
  LookupData(std::size_t samples, std::uint64_t seed) {
    Random random(seed);
    for (std::size_t i = 0; i < samples * kPositions; ++i) {
      first.push_back(static_cast<std::int32_t>(random.below(kWords / 2)));
      second.push_back(static_cast<std::int32_t>(random.below(kWords / 2)));
    }
    for (std::size_t i = 0; i < samples; ++i) target.push_back(static_cast<float>(random.normal()));
    batch = {.samples = samples, .real = {{target.data(), samples, 1}}, .index = {first, second}};
  }
};

TEST(Executor, ATablesGradientIsThatOfAMatrix) {
  const Lookup table(false), matrix(true);
  const std::vector<float> parameters = random_parameters<float>(table.layout);
  Executor<float> sparse(*table.graph, {.micro_batch = 2, .lanes = 3}),
      dense(*matrix.graph, {.micro_batch = 2, .lanes = 3});
  std::vector<float> found(parameters.size(), 7.0f), expected(parameters.size(), 8.0f);
  for (const std::size_t samples : {9, 1, 4, 9}) {  // what one batch leaves behind must not reach the next
    const LookupData data(samples, samples);
    for (const int threads : {1, 2, 7}) {
      EXPECT_EQ(sparse.gradient(parameters, data.batch, found, Arena(threads)),
                dense.gradient(parameters, data.batch, expected, Arena(1)));
      EXPECT_EQ(found, expected) << samples << " samples, " << threads << " threads";
    }
  }
}

TEST(Executor, AFailedRunLeavesNothingInATable) {
  const Lookup table(false), matrix(true);
  const std::vector<float> parameters = random_parameters<float>(table.layout);
  Executor<float> sparse(*table.graph, {.micro_batch = 1, .lanes = 2}),
      dense(*matrix.graph, {.micro_batch = 1, .lanes = 2});
  std::vector<float> found(parameters.size()), expected(parameters.size());
  LookupData bad(6, 1);
  bad.second.back() = kWords;
  EXPECT_THROW(sparse.gradient(parameters, bad.batch, found, Arena(1)), Error);
  const LookupData good(3, 2);
  sparse.gradient(parameters, good.batch, found, Arena(1));
  dense.gradient(parameters, good.batch, expected, Arena(1));
  EXPECT_EQ(found, expected);
}

TEST(Executor, GivesTheLossOfEachSample) {
  const Lookup table(false);
  const std::vector<float> parameters = random_parameters<float>(table.layout);
  Executor<float> executor(*table.graph, {.micro_batch = 2, .lanes = 2});
  const LookupData data(7, 3);
  std::vector<float> gradient(parameters.size()), losses(7);
  const double mean = executor.gradient(parameters, data.batch, gradient, Arena(2), losses);
  double sum = 0;
  for (std::size_t i = 0; i < 7; ++i) {
    const std::span<const std::int32_t> first(data.first), second(data.second);
    const Batch<float> one{
        .samples = 1,
        .real = {{data.target.data() + i, 1, 1}},
        .index = {first.subspan(i * kPositions, kPositions), second.subspan(i * kPositions, kPositions)}};
    EXPECT_EQ(double{losses[i]}, executor.loss(parameters, one, Arena(1)));
    sum += double{losses[i]};
  }
  EXPECT_NEAR(mean, sum / 7, 1e-12);
  losses.pop_back();
  try {
    executor.gradient(parameters, data.batch, gradient, Arena(1), losses);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.message(), HasSubstr("losses of 6 samples, expected 7"));
  }
}

}  // namespace
}  // namespace telos::nn
