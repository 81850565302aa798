#include "nn/ops/narrow_kernel.h"

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/ops/narrow_kernel.cpp"
#include <hwy/foreach_target.h>

#include "nn/ops/lane_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using nn::kNarrow;
using nn::NarrowProblem;
using nn::NarrowResult;

// Vectors of a strip of columns: with kNarrow rows of them in registers.
#if HWY_TARGET == HWY_AVX3
constexpr std::size_t kStrip = 4;
#else
constexpr std::size_t kStrip = 2;
#endif

// Calls f(first column, lanes of the last vector) for strips of kStrip, then single vectors.
template <class T, class Wide, class Single>
HWY_INLINE void ForStrips(std::size_t n, const Wide& wide, const Single& single) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  std::size_t j = 0;
  for (; j + kStrip * kWidth <= n; j += kStrip * kWidth) wide(j);
  for (; j < n; j += kWidth) single(j, std::min(kWidth, n - j));
}

template <std::size_t kQ, std::size_t kVectors, class T>
HWY_INLINE void ExpandStrip(const NarrowProblem<T>& p, const NarrowResult<T>& result, std::size_t j,
                            std::size_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  V r[kQ][kVectors], bias[kVectors];
  TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) {
    TELOS_UNROLL
    for (std::size_t c = 0; c < kQ; ++c) r[c][v] = LoadUpTo(d, p.r + c * p.r_row + j + v * kWidth, count);
    bias[v] = result.bias == nullptr ? hn::Zero(d) : LoadUpTo(d, result.bias + j + v * kWidth, count);
  }
  for (std::size_t i = 0; i < p.rows; ++i) {
    const T* const s = p.s + i * p.s_row;
    T* const out = result.out + i * result.out_row + j;
    V sum[kVectors];
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
    TELOS_UNROLL
    for (std::size_t c = 0; c < kQ; ++c) {
      const V x = hn::Set(d, s[c]);
      TELOS_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) sum[v] = Fma(x, r[c][v], sum[v]);
    }
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      if (result.add) sum[v] = hn::Add(sum[v], LoadUpTo(d, out + v * kWidth, count));
      if (result.bias != nullptr) sum[v] = hn::Add(sum[v], bias[v]);
      if (result.relu) sum[v] = hn::IfThenElse(hn::Lt(sum[v], hn::Zero(d)), hn::Zero(d), sum[v]);
      StoreUpTo(sum[v], d, out + v * kWidth, count);
    }
  }
}

template <std::size_t kQ, class T>
HWY_INLINE void Expand(const NarrowProblem<T>& p, const NarrowResult<T>& result) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  ForStrips<T>(
      p.n, [&](std::size_t j) HWY_ATTR { ExpandStrip<kQ, kStrip>(p, result, j, kWidth); },
      [&](std::size_t j, std::size_t count) HWY_ATTR { ExpandStrip<kQ, 1>(p, result, j, count); });
}

template <std::size_t kQ, std::size_t kVectors, class T>
HWY_INLINE void GatherStrip(const NarrowProblem<T>& p, T* out, std::size_t row, std::size_t col,
                            std::size_t j, std::size_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  V sum[kQ][kVectors];
  TELOS_UNROLL
  for (std::size_t c = 0; c < kQ; ++c) TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) sum[c][v] = hn::Zero(d);
  for (std::size_t i = 0; i < p.rows; ++i) {
    const T* const s = p.s + i * p.s_row;
    const T* const z = p.z + i * p.z_row + j;
    V right[kVectors];
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) right[v] = LoadUpTo(d, z + v * kWidth, count);
    TELOS_UNROLL
    for (std::size_t c = 0; c < kQ; ++c) {
      const V x = hn::Set(d, s[c]);
      TELOS_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) sum[c][v] = Fma(x, right[v], sum[c][v]);
    }
  }
  alignas(64) T sums[kVectors * kWidth];
  for (std::size_t c = 0; c < kQ; ++c) {
    for (std::size_t v = 0; v < kVectors; ++v) hn::Store(sum[c][v], d, sums + v * kWidth);
    T* const to = out + c * row + j * col;
    for (std::size_t k = 0; k < (kVectors - 1) * kWidth + count; ++k) to[k * col] += sums[k];
  }
}

template <std::size_t kQ, class T>
HWY_INLINE void Gather(const NarrowProblem<T>& p, T* out, std::size_t row, std::size_t col) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  ForStrips<T>(
      p.n, [&](std::size_t j) HWY_ATTR { GatherStrip<kQ, kStrip>(p, out, row, col, j, kWidth); },
      [&](std::size_t j, std::size_t count) HWY_ATTR { GatherStrip<kQ, 1>(p, out, row, col, j, count); });
}

#if HWY_TARGET == HWY_AVX3
// kRows × kQ dot products at once, to sums[row · kQ + c].
template <std::size_t kRows, std::size_t kQ, class T>
HWY_INLINE void DotBlock(const NarrowProblem<T>& p, std::size_t first, T* sums) {
  const hn::FixedTag<T, kRowLanes<T>> d;
  using V = hn::VFromD<decltype(d)>;
  V acc[kRowLanes<T>];
  TELOS_UNROLL
  for (std::size_t i = 0; i < kRowLanes<T>; ++i) acc[i] = hn::Zero(d);
  const auto step = [&](std::size_t j, std::size_t count) HWY_ATTR {
    V right[kQ];
    TELOS_UNROLL
    for (std::size_t c = 0; c < kQ; ++c) right[c] = LoadUpTo(d, p.r + c * p.r_row + j, count);
    TELOS_UNROLL
    for (std::size_t i = 0; i < kRows; ++i) {
      const V left = LoadUpTo(d, p.z + (first + i) * p.z_row + j, count);
      TELOS_UNROLL
      for (std::size_t c = 0; c < kQ; ++c) acc[i * kQ + c] = Fma(left, right[c], acc[i * kQ + c]);
    }
  };
  std::size_t j = 0;
  for (; j + kRowLanes<T> <= p.n; j += kRowLanes<T>) step(j, kRowLanes<T>);
  if (j < p.n) step(j, p.n - j);
  hn::StoreU(SumsOfVectors(d, acc), d, sums);
}
#else
template <std::size_t kRows, std::size_t kQ, class T>
HWY_INLINE void DotBlock(const NarrowProblem<T>& p, std::size_t first, T* sums) {
  const hn::CappedTag<T, kRowLanes<T>> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d), kParts = kRowLanes<T> / kWidth;
  for (std::size_t i = 0; i < kRows; ++i)
    for (std::size_t c = 0; c < kQ; ++c) {
      const T* const z = p.z + (first + i) * p.z_row;
      const T* const r = p.r + c * p.r_row;
      V acc[kParts];
      TELOS_UNROLL
      for (std::size_t w = 0; w < kParts; ++w) acc[w] = hn::Zero(d);
      for (std::size_t j = 0; j < p.n; j += kRowLanes<T>) {
        TELOS_UNROLL
        for (std::size_t w = 0; w < kParts; ++w) {
          const std::size_t at = j + w * kWidth, count = at < p.n ? std::min(kWidth, p.n - at) : 0;
          acc[w] = Fma(LoadUpTo(d, z + at, count), LoadUpTo(d, r + at, count), acc[w]);
        }
      }
      alignas(64) T lanes[kRowLanes<T>];
      for (std::size_t w = 0; w < kParts; ++w) hn::Store(acc[w], d, lanes + w * kWidth);
      SumsOfRows(lanes, 1, sums + i * kQ + c);
    }
}
#endif

template <class T>
HWY_INLINE void FinishDots(const NarrowResult<T>& result, std::size_t row, std::size_t q, const T* sums) {
  T* const out = result.out + row * result.out_row;
  for (std::size_t c = 0; c < q; ++c) {
    T x = sums[c];
    if (result.add) x += out[c];
    if (result.bias != nullptr) x += result.bias[c];
    out[c] = result.relu && x < T{0} ? T{0} : x;
  }
}

template <std::size_t kQ, class T>
HWY_INLINE void Dots(const NarrowProblem<T>& p, const NarrowResult<T>& result) {
  constexpr std::size_t kRows = kRowLanes<T> / kQ;
  alignas(64) T sums[kRowLanes<T>];
  std::size_t i = 0;
  for (; i + kRows <= p.rows; i += kRows) {
    DotBlock<kRows, kQ>(p, i, sums);
    for (std::size_t k = 0; k < kRows; ++k) FinishDots(result, i + k, kQ, sums + k * kQ);
  }
  for (; i < p.rows; ++i) {
    DotBlock<1, kQ>(p, i, sums);
    FinishDots(result, i, kQ, sums);
  }
}

// Calls f(the number q as a type).
template <class F>
HWY_INLINE void WithQ(std::size_t q, const F& f) {
  static_assert(kNarrow == 4);
  switch (q) {
    case 1:
      return f(std::integral_constant<std::size_t, 1>());
    case 2:
      return f(std::integral_constant<std::size_t, 2>());
    case 3:
      return f(std::integral_constant<std::size_t, 3>());
    default:
      return f(std::integral_constant<std::size_t, 4>());
  }
}

#define TELOS_NARROW(Suffix, Type)                                                                 \
  void Expand##Suffix(const NarrowProblem<Type>& p, const NarrowResult<Type>& result) {            \
    WithQ(p.q, [&](auto q) HWY_ATTR { Expand<decltype(q)::value>(p, result); });                   \
  }                                                                                                \
  void Dots##Suffix(const NarrowProblem<Type>& p, const NarrowResult<Type>& result) {              \
    WithQ(p.q, [&](auto q) HWY_ATTR { Dots<decltype(q)::value>(p, result); });                     \
  }                                                                                                \
  void Gather##Suffix(const NarrowProblem<Type>& p, Type* out, std::size_t row, std::size_t col) { \
    WithQ(p.q, [&](auto q) HWY_ATTR { Gather<decltype(q)::value>(p, out, row, col); });            \
  }
TELOS_NARROW(F32, float)
TELOS_NARROW(F64, double)
#undef TELOS_NARROW

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

#define TELOS_NARROW(Suffix, Type)                                                                    \
  HWY_EXPORT(Expand##Suffix);                                                                         \
  HWY_EXPORT(Dots##Suffix);                                                                           \
  HWY_EXPORT(Gather##Suffix);                                                                         \
  void nn::narrow_expand(const NarrowProblem<Type>& p, const NarrowResult<Type>& result) {            \
    HWY_DYNAMIC_DISPATCH(Expand##Suffix)(p, result);                                                  \
  }                                                                                                   \
  void nn::narrow_dots(const NarrowProblem<Type>& p, const NarrowResult<Type>& result) {              \
    HWY_DYNAMIC_DISPATCH(Dots##Suffix)(p, result);                                                    \
  }                                                                                                   \
  void nn::narrow_gather(const NarrowProblem<Type>& p, Type* out, std::size_t row, std::size_t col) { \
    HWY_DYNAMIC_DISPATCH(Gather##Suffix)(p, out, row, col);                                           \
  }
TELOS_NARROW(F32, float)
TELOS_NARROW(F64, double)
#undef TELOS_NARROW

}  // namespace telos
#endif  // HWY_ONCE
