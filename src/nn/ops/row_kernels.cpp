#include "nn/ops/row_kernels.h"

#include <limits>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/ops/row_kernels.cpp"
#include <hwy/foreach_target.h>

#include "linalg/lanes-inl.h"
#include "linalg/vecmath-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using nn::NormGradient;

// Vectors of a row one after another: f(offset, lanes that exist).
template <class D, class F>
HWY_INLINE void ForVectors(D, std::size_t n, const F& f) {
  constexpr std::size_t kWidth = hn::MaxLanes(D());
  for (std::size_t i = 0; i < n; i += kWidth) f(i, std::min(kWidth, n - i));
}

template <class T>
HWY_INLINE void AddTo(T* sum, const T* terms, std::size_t n) {
  const hn::ScalableTag<T> d;
  ForVectors(d, n, [&](std::size_t i, std::size_t count) HWY_ATTR {
    StoreUpTo(hn::Add(LoadUpTo(d, sum + i, count), LoadUpTo(d, terms + i, count)), d, sum + i, count);
  });
}

// x̂ = (x − centre − rest)·scale.
template <class T>
struct Standard {
  T centre, rest, scale;
};

// As layer_norm_row and rms_norm_row form them.
template <class T>
HWY_INLINE Standard<T> StandardOf(const NormGradient<T>& p, const T* x) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const T n = static_cast<T>(p.n);
  T centre = 0, rest = 0;
  if (p.centred) {
    Lanes<decltype(d)> sum;
    ForLanes(d, p.n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
      sum.v[lane] = hn::Add(sum.v[lane], LoadUpTo(d, x + i, count));
    });
    centre = sum.Total() / n;
  }
  Lanes<decltype(d)> first, second;
  ForLanes(d, p.n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    V t = hn::Sub(LoadUpTo(d, x + i, count), hn::Set(d, centre));
    if (count != hn::MaxLanes(d)) t = hn::IfThenElseZero(hn::FirstN(d, count), t);
    first.v[lane] = hn::Add(first.v[lane], t);
    second.v[lane] = Fma(t, t, second.v[lane]);
  });
  if (p.centred) rest = first.Total() / n;
  const T variance = std::max(T{0}, second.Total() / n - rest * rest);
  return {centre, rest, T{1} / std::sqrt(variance + p.eps)};
}

// With g = dy·gain: dx = scale·(g − mean(g) − x̂·mean(g·x̂)), without mean(g) for rms_norm; dgain = Σ dy·x̂;
// dbias = Σ dy.
template <class T>
HWY_INLINE void NormGradientRow(const NormGradient<T>& p, std::size_t row) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const T* x = p.x + row * p.x_row;
  const T* dy = p.dy + row * p.dy_row;
  const Standard<T> s = StandardOf(p, x);
  const V centre = hn::Set(d, s.centre), rest = hn::Set(d, s.rest), scale = hn::Set(d, s.scale);
  const auto standard = [&](std::size_t i, std::size_t count) HWY_ATTR {
    return hn::Mul(hn::Sub(hn::Sub(LoadUpTo(d, x + i, count), centre), rest), scale);
  };
  const auto weighted = [&](std::size_t i, std::size_t count) HWY_ATTR {
    return hn::Mul(LoadUpTo(d, dy + i, count), LoadUpTo(d, p.gain + i, count));
  };
  if (p.dbias != nullptr) AddTo(p.dbias, dy, p.n);
  if (p.dgain != nullptr)
    ForVectors(d, p.n, [&](std::size_t i, std::size_t count) HWY_ATTR {
      const V sum = Fma(LoadUpTo(d, dy + i, count), standard(i, count), LoadUpTo(d, p.dgain + i, count));
      StoreUpTo(sum, d, p.dgain + i, count);
    });
  if (p.dx == nullptr) return;
  Lanes<decltype(d)> plain, along;
  ForLanes(d, p.n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    const V g = weighted(i, count);  // 0 beyond the row
    plain.v[lane] = hn::Add(plain.v[lane], g);
    along.v[lane] = Fma(g, standard(i, count), along.v[lane]);
  });
  const T n = static_cast<T>(p.n);
  const V mean = hn::Set(d, p.centred ? plain.Total() / n : T{0}), slope = hn::Set(d, along.Total() / n);
  T* dx = p.dx + row * p.dx_row;
  ForVectors(d, p.n, [&](std::size_t i, std::size_t count) HWY_ATTR {
    const V t = NegFma(standard(i, count), slope, hn::Sub(weighted(i, count), mean));
    StoreUpTo(Fma(t, scale, LoadUpTo(d, dx + i, count)), d, dx + i, count);
  });
}

template <class T>
HWY_INLINE double CrossEntropyRow(const T* y, std::size_t n, std::size_t target, T* probabilities) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  T maximum = y[0];
  for (std::size_t i = 1; i < n; ++i) maximum = y[i] > maximum ? y[i] : maximum;
  const V top = hn::Set(d, maximum);
  Lanes<decltype(d)> sum;
  ForLanes(d, n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    V e = Exp<ExpRange::kNotPositive>(d, hn::Sub(LoadUpTo(d, y + i, count), top));
    StoreUpTo(e, d, probabilities + i, count);
    if (count != hn::MaxLanes(d)) e = hn::IfThenElseZero(hn::FirstN(d, count), e);
    sum.v[lane] = hn::Add(sum.v[lane], e);
  });
  const T total = sum.Total();
  const V norm = hn::Set(d, T{1} / total);
  ForVectors(d, n, [&](std::size_t i, std::size_t count) HWY_ATTR {
    StoreUpTo(hn::Mul(LoadUpTo(d, probabilities + i, count), norm), d, probabilities + i, count);
  });
  return std::log(static_cast<double>(total)) +
         (static_cast<double>(maximum) - static_cast<double>(y[target]));
}

// log(1 + u) = 2 artanh(z) = 2z(1 + z²/3 + z⁴/5 + …) with z = u/(2 + u) ≤ 1/3, for 0 ≤ u ≤ 1. The first
// omitted term is below ε/20 of the sum.
template <class D, class V>
HWY_INLINE V LogOnePlus(D d, V u) {
  using T = hn::TFromD<D>;
  constexpr int kTerms = sizeof(T) == 4 ? 8 : 17;
  const V z = hn::Div(u, hn::Add(u, hn::Set(d, T{2}))), square = hn::Mul(z, z);
  V sum = hn::Set(d, T{1} / T(2 * kTerms - 1));
  for (int k = kTerms - 2; k >= 0; --k) sum = Fma(sum, square, hn::Set(d, T{1} / T(2 * k + 1)));
  return hn::Mul(hn::Add(z, z), sum);
}

template <class T>
HWY_INLINE double BinaryCrossEntropyRow(const T* y, const T* t, std::size_t n) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  Lanes<decltype(d)> sum;
  ForLanes(d, n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    const V logit = LoadUpTo(d, y + i, count);
    const V positive = hn::IfThenElse(hn::Lt(logit, hn::Zero(d)), hn::Zero(d), logit);
    const V e = Exp<ExpRange::kNotPositive>(d, hn::Neg(hn::Abs(logit)));
    V loss = NegFma(LoadUpTo(d, t + i, count), logit, hn::Add(positive, LogOnePlus(d, e)));
    if (count != hn::MaxLanes(d)) loss = hn::IfThenElseZero(hn::FirstN(d, count), loss);
    sum.v[lane] = hn::Add(sum.v[lane], loss);
  });
  return static_cast<double>(sum.Total());
}

template <class T>
HWY_INLINE void BinaryCrossEntropyGradient(const T* y, const T* t, std::size_t n, T factor, T* dy, T* dt) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const V one = hn::Set(d, T{1}), weight = hn::Set(d, factor);
  ForVectors(d, n, [&](std::size_t i, std::size_t count) HWY_ATTR {
    const V logit = LoadUpTo(d, y + i, count);
    if (dy != nullptr) {
      const V e = Exp<ExpRange::kNotPositive>(d, hn::Neg(hn::Abs(logit)));
      const V numerator = hn::IfThenElse(hn::Lt(logit, hn::Zero(d)), e, one);
      const V excess = hn::Sub(hn::Div(numerator, hn::Add(one, e)), LoadUpTo(d, t + i, count));
      StoreUpTo(Fma(weight, excess, LoadUpTo(d, dy + i, count)), d, dy + i, count);
    }
    if (dt != nullptr) StoreUpTo(NegFma(weight, logit, LoadUpTo(d, dt + i, count)), d, dt + i, count);
  });
}

#define TELOS_ROWS(Suffix, Type)                                                                       \
  void NormGradient##Suffix(const NormGradient<Type>& p) {                                             \
    for (std::size_t row = 0; row < p.rows; ++row) NormGradientRow(p, row);                            \
  }                                                                                                    \
  double CrossEntropy##Suffix(const Type* y, std::size_t n, std::size_t target, Type* probabilities) { \
    return CrossEntropyRow(y, n, target, probabilities);                                               \
  }                                                                                                    \
  double BinaryCrossEntropy##Suffix(const Type* y, const Type* t, std::size_t n) {                     \
    return BinaryCrossEntropyRow(y, t, n);                                                             \
  }                                                                                                    \
  void BinaryCrossEntropyGradient##Suffix(const Type* y, const Type* t, std::size_t n, Type factor,    \
                                          Type* dy, Type* dt) {                                        \
    BinaryCrossEntropyGradient(y, t, n, factor, dy, dt);                                               \
  }
TELOS_ROWS(F32, float)
TELOS_ROWS(F64, double)
#undef TELOS_ROWS

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

#define TELOS_EXPORT_ROWS(Suffix, Type)                                                                      \
  HWY_EXPORT(NormGradient##Suffix);                                                                          \
  HWY_EXPORT(CrossEntropy##Suffix);                                                                          \
  HWY_EXPORT(BinaryCrossEntropy##Suffix);                                                                    \
  HWY_EXPORT(BinaryCrossEntropyGradient##Suffix);                                                            \
  void nn::norm_gradient(const NormGradient<Type>& p) {                                                      \
    HWY_DYNAMIC_DISPATCH(NormGradient##Suffix)(p);                                                           \
  }                                                                                                          \
  double nn::cross_entropy_row(const Type* y, std::size_t n, std::size_t target, Type* probabilities) {      \
    return HWY_DYNAMIC_DISPATCH(CrossEntropy##Suffix)(y, n, target, probabilities);                          \
  }                                                                                                          \
  double nn::binary_cross_entropy_row(const Type* y, const Type* t, std::size_t n) {                         \
    return HWY_DYNAMIC_DISPATCH(BinaryCrossEntropy##Suffix)(y, t, n);                                        \
  }                                                                                                          \
  void nn::binary_cross_entropy_gradient(const Type* y, const Type* t, std::size_t n, Type factor, Type* dy, \
                                         Type* dt) {                                                         \
    HWY_DYNAMIC_DISPATCH(BinaryCrossEntropyGradient##Suffix)(y, t, n, factor, dy, dt);                       \
  }
TELOS_EXPORT_ROWS(F32, float)
TELOS_EXPORT_ROWS(F64, double)
#undef TELOS_EXPORT_ROWS

}  // namespace telos
#endif
