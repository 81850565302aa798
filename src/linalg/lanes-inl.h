// Loops over rows of any length, and sums with bits that do not depend on the vector width.
#if defined(TELOS_LINALG_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TELOS_LINALG_LANES_INL_H_
#undef TELOS_LINALG_LANES_INL_H_
#else
#define TELOS_LINALG_LANES_INL_H_
#endif

#include "linalg/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

// Sums run in 32 lanes whatever the vector width: lane l adds elements l, l + 32, l + 64, … in this order;
// then the lanes are added pairwise, l to l + 16, l to l + 8, and so on.
constexpr std::size_t kSumLanes = 32;

template <class D>
struct Lanes {
  static constexpr std::size_t kWidth = hn::MaxLanes(D()), kVectors = kSumLanes / kWidth;
  hn::VFromD<D> v[kVectors];

  HWY_INLINE Lanes() {
    for (auto& lane : v) lane = hn::Zero(D());
  }
  HWY_INLINE hn::TFromD<D> Total() const {
    alignas(64) hn::TFromD<D> sum[kSumLanes];
    for (std::size_t i = 0; i < kVectors; ++i) hn::Store(v[i], D(), sum + i * kWidth);
    for (std::size_t half = kSumLanes / 2; half > 0; half /= 2)
      for (std::size_t i = 0; i < half; ++i) sum[i] += sum[i + half];
    return sum[0];
  }
};

// Calls f(vector index within the 32 lanes, offset, lanes that exist) over n elements. Blocks are visited in
// order.
template <class D, class F>
HWY_INLINE void ForLanes(D, std::size_t n, const F& f) {
  constexpr std::size_t kWidth = hn::MaxLanes(D());
  std::size_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (std::size_t j = 0; j < kSumLanes / kWidth; ++j) f(j, i + j * kWidth, kWidth);
  for (std::size_t j = 0; i < n; ++j, i += kWidth) f(j, i, std::min(kWidth, n - i));
}

template <class D, class T>
HWY_INLINE hn::VFromD<D> LoadUpTo(D d, const T* p, std::size_t count) {
  return count == hn::MaxLanes(d) ? hn::LoadU(d, p) : LoadPartial(d, p, count);
}

template <class D, class T>
HWY_INLINE void StoreUpTo(hn::VFromD<D> v, D d, T* p, std::size_t count) {
  if (count == hn::MaxLanes(d))
    hn::StoreU(v, d, p);
  else
    StorePartial(v, d, p, count);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
