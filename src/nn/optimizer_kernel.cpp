#include "nn/optimizer_kernel.h"

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/optimizer_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using nn::AdamStep;
using nn::SgdStep;

template <class T>
HWY_INLINE void AdamImpl(const AdamStep<T>& s, std::size_t n, T* p, const T* g, T* m, T* v) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const V clip = hn::Set(d, s.clip), decay = hn::Set(d, s.decay), shrink = hn::Set(d, s.shrink);
  const V first_share = hn::Set(d, s.first_share), beta2 = hn::Set(d, s.beta2);
  const V second_share = hn::Set(d, s.second_share), step_size = hn::Set(d, s.step_size);
  const V root_bias = hn::Set(d, s.inverse_root_bias), eps = hn::Set(d, s.eps);
  const auto update = [&](std::size_t i, std::size_t count) HWY_ATTR {
    V x = LoadUpTo(d, p + i, count);
    const V gradient = Fma(decay, x, hn::Mul(clip, LoadUpTo(d, g + i, count)));
    V first = LoadUpTo(d, m + i, count), second = LoadUpTo(d, v + i, count);
    first = Fma(first_share, hn::Sub(gradient, first), first);
    second = Fma(hn::Mul(second_share, gradient), gradient, hn::Mul(beta2, second));
    const V root = Fma(hn::Sqrt(second), root_bias, eps);
    x = hn::Sub(hn::Mul(shrink, x), hn::Div(hn::Mul(step_size, first), root));
    StoreUpTo(first, d, m + i, count);
    StoreUpTo(second, d, v + i, count);
    StoreUpTo(x, d, p + i, count);
  };
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  std::size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) update(i, kWidth);
  if (i < n) update(i, n - i);
}

template <class T>
HWY_INLINE void SgdImpl(const SgdStep<T>& s, std::size_t n, T* p, const T* g, T* m) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const V clip = hn::Set(d, s.clip), decay = hn::Set(d, s.decay), momentum = hn::Set(d, s.momentum);
  const V rate = hn::Set(d, s.rate);
  for (std::size_t i = 0; i < n; i += hn::MaxLanes(d)) {
    const std::size_t count = std::min(hn::MaxLanes(d), n - i);
    const V x = LoadUpTo(d, p + i, count);
    V step = Fma(decay, x, hn::Mul(clip, LoadUpTo(d, g + i, count)));
    if (m != nullptr) {
      step = Fma(momentum, LoadUpTo(d, m + i, count), step);
      StoreUpTo(step, d, m + i, count);
    }
    StoreUpTo(NegFma(rate, step, x), d, p + i, count);
  }
}

template <class T>
HWY_INLINE double SumOfSquaresImpl(const T* g, std::size_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<T, decltype(d)> narrow;
  Lanes<decltype(d)> sum;
  ForLanes(d, n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    const auto x = LoadUpTo(narrow, g + i, count);
    if constexpr (sizeof(T) == sizeof(double)) {
      sum.v[lane] = Fma(x, x, sum.v[lane]);
    } else {
      const auto wide = hn::PromoteTo(d, x);
      sum.v[lane] = Fma(wide, wide, sum.v[lane]);
    }
  });
  return sum.Total();
}

#define TELOS_OPTIMIZER(Suffix, Type)                                                                   \
  void Adam##Suffix(const AdamStep<Type>& s, std::size_t n, Type* p, const Type* g, Type* m, Type* v) { \
    AdamImpl(s, n, p, g, m, v);                                                                         \
  }                                                                                                     \
  void Sgd##Suffix(const SgdStep<Type>& s, std::size_t n, Type* p, const Type* g, Type* m) {            \
    SgdImpl(s, n, p, g, m);                                                                             \
  }                                                                                                     \
  double SumOfSquares##Suffix(const Type* g, std::size_t n) {                                           \
    return SumOfSquaresImpl(g, n);                                                                      \
  }
TELOS_OPTIMIZER(F32, float)
TELOS_OPTIMIZER(F64, double)
#undef TELOS_OPTIMIZER

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

#define TELOS_EXPORT_OPTIMIZER(Suffix, Type)                                                             \
  HWY_EXPORT(Adam##Suffix);                                                                              \
  HWY_EXPORT(Sgd##Suffix);                                                                               \
  HWY_EXPORT(SumOfSquares##Suffix);                                                                      \
  void nn::adam_step(const AdamStep<Type>& s, std::size_t n, Type* p, const Type* g, Type* m, Type* v) { \
    HWY_DYNAMIC_DISPATCH(Adam##Suffix)(s, n, p, g, m, v);                                                \
  }                                                                                                      \
  void nn::sgd_step(const SgdStep<Type>& s, std::size_t n, Type* p, const Type* g, Type* m) {            \
    HWY_DYNAMIC_DISPATCH(Sgd##Suffix)(s, n, p, g, m);                                                    \
  }                                                                                                      \
  double nn::sum_of_squares(const Type* g, std::size_t n) {                                              \
    return HWY_DYNAMIC_DISPATCH(SumOfSquares##Suffix)(g, n);                                             \
  }
TELOS_EXPORT_OPTIMIZER(F32, float)
TELOS_EXPORT_OPTIMIZER(F64, double)
#undef TELOS_EXPORT_OPTIMIZER

}  // namespace telos
#endif
