#include <algorithm>
#include <chrono>
#include <cstddef>

#include "linalg/peers.h"
#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "linalg/fma_peak.cpp"
#include <hwy/foreach_target.h>
#include "linalg/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kChains = 12;

// Returns operations done in `steps` rounds; `sink` keeps the work alive.
template <class T>
double FmaRounds(std::size_t steps, T* sink) {
  const hn::ScalableTag<T> d;
  hn::VFromD<decltype(d)> acc[kChains];
  TELOS_UNROLL
  for (std::size_t i = 0; i < kChains; ++i) acc[i] = hn::Set(d, static_cast<T>(i));
  const auto x = hn::Set(d, *sink), y = hn::Set(d, T(1e-7));
  for (std::size_t s = 0; s < steps; ++s) TELOS_UNROLL
  for (std::size_t i = 0; i < kChains; ++i) acc[i] = hn::MulAdd(acc[i], x, y);
  TELOS_UNROLL
  for (std::size_t i = 1; i < kChains; ++i) acc[0] = hn::Add(acc[0], acc[i]);
  *sink = hn::GetLane(acc[0]) > 0 ? T(0.99) : T(0.98);
  return 2.0 * static_cast<double>(steps) * kChains * static_cast<double>(hn::Lanes(d));
}

double FmaRoundsF32(std::size_t steps, float* sink) {
  return FmaRounds(steps, sink);
}
double FmaRoundsF64(std::size_t steps, double* sink) {
  return FmaRounds(steps, sink);
}

}  // namespace telos::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos::bench {
HWY_EXPORT(FmaRoundsF32);
HWY_EXPORT(FmaRoundsF64);

namespace {

double rounds(std::size_t steps, float* sink) {
  return HWY_DYNAMIC_DISPATCH(FmaRoundsF32)(steps, sink);
}
double rounds(std::size_t steps, double* sink) {
  return HWY_DYNAMIC_DISPATCH(FmaRoundsF64)(steps, sink);
}

}  // namespace

template <class T>
double fma_peak() {
  using Clock = std::chrono::steady_clock;
  T sink = T(0.99);
  double best = 0;
  for (int i = 0; i < 60; ++i) {
    const auto begin = Clock::now();
    const double operations = rounds(100000, &sink);
    best = std::max(best, operations / std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}
template double fma_peak<float>();
template double fma_peak<double>();
}  // namespace telos::bench
#endif
