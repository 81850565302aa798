// Time of the elementary functions on 4096 values that stay in the first-level cache, and of row operations.
#include <benchmark/benchmark.h>

#include <span>

#include "telos/base/philox.h"
#include "telos/linalg/vecmath.h"

namespace telos {
namespace {

template <class T>
using Function = void (*)(std::span<const T>, std::span<T>);

template <class T>
Matrix<T> normal_row(std::size_t n) {
  Matrix<T> m(1, n);
  Random random(1);
  for (std::size_t i = 0; i < n; ++i) m(0, i) = static_cast<T>(2 * random.normal());
  return m;
}

template <class T>
void elementwise(benchmark::State& state, void (*function)(std::span<const T>, std::span<T>)) {
  const Matrix<T> x = normal_row<T>(4096);
  Matrix<T> y(1, 4096);
  for (auto _ : state) {
    function({x.data(), 4096}, {y.data(), 4096});
    benchmark::ClobberMemory();
  }
  state.counters["per_element"] =
      benchmark::Counter(4096, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
#define TELOS_BENCH(name)                                                  \
  BENCHMARK_CAPTURE(elementwise, name##_f32, Function<float>(vec_##name)); \
  BENCHMARK_CAPTURE(elementwise, name##_f64, Function<double>(vec_##name))
TELOS_BENCH(exp);
TELOS_BENCH(tanh);
TELOS_BENCH(erf);
TELOS_BENCH(gelu);
TELOS_BENCH(gelu_tanh);
TELOS_BENCH(silu);
TELOS_BENCH(quick_gelu);
#undef TELOS_BENCH

void softmax(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  Matrix<float> x = normal_row<float>(n);
  for (auto _ : state) {
    softmax_row<float>({x.data(), n}, n, 1.0f);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(softmax)->Arg(128)->Arg(512);

void layer_norm(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const Matrix<float> x = normal_row<float>(n);
  Matrix<float> y(1, n);
  for (auto _ : state) {
    layer_norm_row<float>({x.data(), n}, {x.data(), n}, {x.data(), n}, 1e-5f, {y.data(), n});
    benchmark::ClobberMemory();
  }
}
BENCHMARK(layer_norm)->Arg(384)->Arg(768);

void dot(benchmark::State& state) {
  const Matrix<float> x = normal_row<float>(4096);
  for (auto _ : state) benchmark::DoNotOptimize(vec_dot<float>({x.data(), 4096}, {x.data(), 4096}));
}
BENCHMARK(dot);

}  // namespace
}  // namespace telos

BENCHMARK_MAIN();
