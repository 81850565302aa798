// The loops of elementwise.h that are worth vectors of their own.
#include "nn/elementwise.h"

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/elementwise_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

// Calls f(offset, lanes that exist): whole vectors, then the rest.
template <class T, class F>
HWY_INLINE void ForVectors(std::size_t n, const F& f) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  std::size_t i = 0;
  for (; i + kWidth <= n; i += kWidth) f(i, kWidth);
  if (i < n) f(i, n - i);
}

template <class T>
HWY_INLINE void AddTo(const T* x, T* y, std::size_t n) {
  const hn::ScalableTag<T> d;
  ForVectors<T>(n, [&](std::size_t i, std::size_t count) HWY_ATTR {
    StoreUpTo(hn::Add(LoadUpTo(d, y + i, count), LoadUpTo(d, x + i, count)), d, y + i, count);
  });
}

template <class T>
HWY_INLINE void AddScaledTo(T factor, const T* x, T* y, std::size_t n) {
  const hn::ScalableTag<T> d;
  const auto f = hn::Set(d, factor);
  ForVectors<T>(n, [&](std::size_t i, std::size_t count) HWY_ATTR {
    StoreUpTo(hn::Add(LoadUpTo(d, y + i, count), hn::Mul(f, LoadUpTo(d, x + i, count))), d, y + i, count);
  });
}

// kVectors vectors of columns, all rows: sums += column sums of x; with y, x is first set to 0 where y is not
// positive, and stored to z.
template <std::size_t kVectors, bool kMask, class T>
HWY_INLINE void SumStrip(ConstMatrixView<T> x, ConstMatrixView<T> y, MatrixView<T> z, T* sums, std::size_t j,
                         std::size_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  V sum[kVectors];
  TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v)
    sum[v] = sums == nullptr ? hn::Zero(d) : LoadUpTo(d, sums + j + v * kWidth, count);
  for (std::size_t i = 0; i < x.rows(); ++i) {
    const std::size_t at = i * x.stride() + j;
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      V t = LoadUpTo(d, x.data() + at + v * kWidth, count);
      if constexpr (kMask) {
        const V known = LoadUpTo(d, y.data() + i * y.stride() + j + v * kWidth, count);
        t = hn::IfThenElseZero(hn::Gt(known, hn::Zero(d)), t);
        StoreUpTo(t, d, z.data() + i * z.stride() + j + v * kWidth, count);
      }
      sum[v] = hn::Add(sum[v], t);
    }
  }
  if (sums == nullptr) return;
  TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) StoreUpTo(sum[v], d, sums + j + v * kWidth, count);
}

template <bool kMask, class T>
HWY_INLINE void SumColumns(ConstMatrixView<T> x, ConstMatrixView<T> y, MatrixView<T> z, T* sums) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  std::size_t j = 0;
  for (; j + 4 * kWidth <= x.cols(); j += 4 * kWidth) SumStrip<4, kMask>(x, y, z, sums, j, kWidth);
  for (; j < x.cols(); j += kWidth) SumStrip<1, kMask>(x, y, z, sums, j, std::min(kWidth, x.cols() - j));
}

#define TELOS_ELEMENTWISE(Suffix, Type)                                                             \
  void AddTo##Suffix(const Type* x, Type* y, std::size_t n) {                                       \
    AddTo(x, y, n);                                                                                 \
  }                                                                                                 \
  void AddScaledTo##Suffix(Type factor, const Type* x, Type* y, std::size_t n) {                    \
    AddScaledTo(factor, x, y, n);                                                                   \
  }                                                                                                 \
  void SumColumns##Suffix(ConstMatrixView<Type> x, Type* sums) {                                    \
    SumColumns<false, Type>(x, {}, {}, sums);                                                       \
  }                                                                                                 \
  void ReluBackward##Suffix(ConstMatrixView<Type> y, ConstMatrixView<Type> dy, MatrixView<Type> dz, \
                            Type* sums) {                                                           \
    SumColumns<true, Type>(dy, y, dz, sums);                                                        \
  }
TELOS_ELEMENTWISE(F32, float)
TELOS_ELEMENTWISE(F64, double)
#undef TELOS_ELEMENTWISE

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

#define TELOS_ELEMENTWISE(Suffix, Type)                                                          \
  HWY_EXPORT(AddTo##Suffix);                                                                     \
  HWY_EXPORT(AddScaledTo##Suffix);                                                               \
  HWY_EXPORT(SumColumns##Suffix);                                                                \
  HWY_EXPORT(ReluBackward##Suffix);                                                              \
  template <>                                                                                    \
  void nn::add_to(std::span<const Type> x, std::span<Type> y) {                                  \
    HWY_DYNAMIC_DISPATCH(AddTo##Suffix)(x.data(), y.data(), x.size());                           \
  }                                                                                              \
  template <>                                                                                    \
  void nn::add_scaled_to(Type factor, std::span<const Type> x, std::span<Type> y) {              \
    HWY_DYNAMIC_DISPATCH(AddScaledTo##Suffix)(factor, x.data(), y.data(), x.size());             \
  }                                                                                              \
  template <>                                                                                    \
  void nn::add_column_sums(ConstMatrixView<Type> x, std::span<Type> sums) {                      \
    HWY_DYNAMIC_DISPATCH(SumColumns##Suffix)(x, sums.data());                                    \
  }                                                                                              \
  template <>                                                                                    \
  void nn::relu_backward(ConstMatrixView<Type> y, ConstMatrixView<Type> dy, MatrixView<Type> dz, \
                         std::span<Type> sums) {                                                 \
    HWY_DYNAMIC_DISPATCH(ReluBackward##Suffix)(y, dy, dz, sums.empty() ? nullptr : sums.data()); \
  }
TELOS_ELEMENTWISE(F32, float)
TELOS_ELEMENTWISE(F64, double)
#undef TELOS_ELEMENTWISE

}  // namespace telos
#endif  // HWY_ONCE
