// Sums of many short rows of lanes at once, with the same bits on every target.
#if defined(TELOS_NN_LANE_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TELOS_NN_LANE_SUMS_INL_H_
#undef TELOS_NN_LANE_SUMS_INL_H_
#else
#define TELOS_NN_LANE_SUMS_INL_H_
#endif

#include "linalg/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

// Lanes of a row: 64 bytes' worth.
template <class T>
constexpr std::size_t kRowLanes = 64 / sizeof(T);

#if HWY_TARGET == HWY_AVX3
// Of as many vectors as a vector has lanes: lane i of the result is the sum of v[i], neighbours first.
template <class D, class V>
HWY_INLINE V SumsOfVectors(D d, V* v) {
  TELOS_UNROLL
  for (std::size_t count = hn::MaxLanes(d) / 2; count > 0; count /= 2) TELOS_UNROLL
  for (std::size_t i = 0; i < count; ++i)
    v[i] = hn::Add(hn::ConcatEven(d, v[2 * i + 1], v[2 * i]), hn::ConcatOdd(d, v[2 * i + 1], v[2 * i]));
  return v[0];
}
#endif

// sums[i] = sum of row i of `lanes` (count × kRowLanes): neighbouring lanes are added, then neighbouring
// sums, and so on.
template <class T>
HWY_INLINE void SumsOfRows(const T* lanes, std::size_t count, T* sums) {
  constexpr std::size_t kLanes = kRowLanes<T>;
#if HWY_TARGET == HWY_AVX3
  const hn::FixedTag<T, kLanes> d;
  hn::VFromD<decltype(d)> v[kLanes];
  for (std::size_t i = 0; i < count; i += kLanes) {
    const std::size_t rows = std::min(kLanes, count - i);
    TELOS_UNROLL
    for (std::size_t k = 0; k < kLanes; ++k)
      v[k] = k < rows ? hn::LoadU(d, lanes + (i + k) * kLanes) : hn::Zero(d);
    StoreUpTo(SumsOfVectors(d, v), d, sums + i, rows);
  }
#else
  for (std::size_t i = 0; i < count; ++i) {
    T row[kLanes];
    std::copy_n(lanes + i * kLanes, kLanes, row);
    for (std::size_t n = kLanes / 2; n > 0; n /= 2)
      for (std::size_t k = 0; k < n; ++k) row[k] = row[2 * k] + row[2 * k + 1];
    sums[i] = row[0];
  }
#endif
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
