// Per-target helpers on top of Highway; included once for each instruction set (see hwy/foreach_target.h).
#if defined(TELOS_LINALG_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TELOS_LINALG_SIMD_INL_H_
#undef TELOS_LINALG_SIMD_INL_H_
#else
#define TELOS_LINALG_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

// A loop whose count is known and whose array must live in registers. GCC decides too late on its own.
#undef TELOS_UNROLL
#if HWY_COMPILER_GCC && !HWY_COMPILER_CLANG
#define TELOS_UNROLL _Pragma("GCC unroll 32")
#else
#define TELOS_UNROLL
#endif

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// a·b + c with one rounding on every target. Where the hardware has no fused multiply-add, std::fma does it
// lane by lane: slow, but the same bits; this is also the twin that the tests compare the fast targets with.
template <class V>
HWY_INLINE V Fma(V a, V b, V c) {
#if HWY_NATIVE_FMA
  return hn::MulAdd(a, b, c);
#else
  using D = hn::DFromV<V>;
  const D d;
  constexpr std::size_t kLanes = hn::MaxLanes(D());
  alignas(64) hn::TFromD<D> x[kLanes], y[kLanes], z[kLanes];
  hn::Store(a, d, x);
  hn::Store(b, d, y);
  hn::Store(c, d, z);
  for (std::size_t i = 0; i < kLanes; ++i) z[i] = std::fma(x[i], y[i], z[i]);
  return hn::Load(d, z);
#endif
}

// c − a·b with one rounding.
template <class V>
HWY_INLINE V NegFma(V a, V b, V c) {
#if HWY_NATIVE_FMA
  return hn::NegMulAdd(a, b, c);
#else
  return Fma(hn::Neg(a), b, c);
#endif
}

// The first `count` lanes from p, zero beyond; touches no memory past p + count.
template <class D, class T>
HWY_INLINE hn::VFromD<D> LoadPartial(D d, const T* p, std::size_t count) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return hn::MaskedLoad(hn::FirstN(d, count), d, p);
#else
  alignas(64) T buffer[hn::MaxLanes(D())] = {};
  std::copy_n(p, std::min(count, hn::MaxLanes(D())), buffer);
  return hn::Load(d, buffer);
#endif
}

template <class D, class T>
HWY_INLINE void StorePartial(hn::VFromD<D> v, D d, T* p, std::size_t count) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  hn::BlendedStore(v, hn::FirstN(d, count), d, p);
#else
  alignas(64) T buffer[hn::MaxLanes(D())];
  hn::Store(v, d, buffer);
  std::copy_n(buffer, std::min(count, hn::MaxLanes(D())), p);
#endif
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
