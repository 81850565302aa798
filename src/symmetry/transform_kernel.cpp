#include "symmetry/transform_kernel.h"

#include <bit>
#include <cmath>
#include <iterator>
#include <numbers>
#include <type_traits>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "symmetry/transform_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using symmetry::kernel::RowForm;
using symmetry::kernel::RowTransform;
using symmetry::kernel::TransformedRow;

// asin x = x √(1 − x²) h(x²), so that x near ±1 needs no root beside √(1 − x²): h(z) = 1 + z p(z) for 0 ≤ z ≤
// 1/4. Coefficients: linalg/fit_polynomials.py.
template <class T>
struct AngleConstants;
template <>
struct AngleConstants<double> {
  static constexpr double kSeries[] = {0.666666666666712027,  0.533333333319116732, 0.45714285869747028,
                                       0.406349120930031444,  0.369411129434219146, 0.34093525876075759,
                                       0.319052816953676784,  0.291934344464208644, 0.334475866748034417,
                                       0.0371980041289593537, 0.973343346027071582, -1.10801484333924415,
                                       1.55092719140467041};
  static constexpr double kRounding = 2e-10;  // of what rounding may add to c²
};
template <>
struct AngleConstants<float> {
  static constexpr float kSeries[] = {0.666665028667963709f, 0.533458152351128422f, 0.454009621411284298f,
                                      0.441887959757863203f, 0.172314149608890534f, 0.835076124959831643f};
  static constexpr float kRounding = 1e-4f;
};

// Of one row of a block: what its elements share, and vectors of the rest.
template <class D>
struct RowPoint {
  using V = hn::VFromD<D>;
  V a, b;     // variances
  V inverse;  // 1/√ of the product that ρ is divided by
  V c;
};
template <class V>
struct RowValues {
  V value, slope;
};

// c[0] + c[1] x + … by Estrin's rule, whose chain of dependent operations is a third of Horner's: its length
// decides the time here.
template <std::size_t kCount, class D, class V = hn::VFromD<D>>
HWY_INLINE V Estrin(D d, V x, const hn::TFromD<D>* c) {
  if constexpr (kCount == 1) {
    return hn::Set(d, c[0]);
  } else if constexpr (kCount == 2) {
    return Fma(hn::Set(d, c[1]), x, hn::Set(d, c[0]));
  } else {
    constexpr std::size_t kLow = std::bit_ceil(kCount) / 2;
    V power = x;
    TELOS_UNROLL
    for (std::size_t n = 1; n < kLow; n *= 2) power = hn::Mul(power, power);
    return Fma(Estrin<kCount - kLow>(d, x, c + kLow), power, Estrin<kLow>(d, x, c));
  }
}

// asin ρ ∈ [−π/2, π/2], given σ = √(1 − ρ²) of a better precision than ρ has near ±1: there
// asin ρ = ±(π/2 − σ h((1 − |ρ|)/2)).
template <class D, class V = hn::VFromD<D>>
HWY_INLINE V Arcsine(D d, V rho, V sigma) {
  using T = hn::TFromD<D>;
  const V size = hn::Abs(rho), half = hn::Set(d, T(0.5));
  const auto near = hn::Lt(size, half);
  const V z = hn::IfThenElse(near, hn::Mul(rho, rho), NegFma(half, size, half));
  const V angle =
      hn::Mul(sigma, Fma(z, Estrin<std::size(AngleConstants<T>::kSeries)>(d, z, AngleConstants<T>::kSeries),
                         hn::Set(d, T(1))));
  const V far = hn::CopySign(hn::Sub(hn::Set(d, T(std::numbers::pi / 2)), angle), rho);
  return hn::IfThenElse(near, hn::Mul(rho, angle), far);
}

// pq − c², with the rounding errors of both products.
template <class V>
HWY_INLINE V Determinant(V p, V q, V c) {
  const V product = hn::Mul(p, q), square = hn::Mul(c, c);
  const V rest = hn::Sub(NegFma(c, c, square), NegFma(p, q, product));
  return hn::Add(hn::Sub(product, square), rest);
}

template <class D, class V = hn::VFromD<D>>
HWY_INLINE RowValues<V> Piecewise(D d, const RowTransform& t, const RowPoint<D>& p) {
  using T = hn::TFromD<D>;
  const V s = hn::Sqrt(hn::Max(Determinant(p.a, p.b, p.c), hn::Zero(d)));
  const V arcsine = Arcsine(d, hn::Mul(p.c, p.inverse), hn::Mul(s, p.inverse));
  const V step = hn::Set(d, static_cast<T>(t.step));
  const V slope = Fma(step, arcsine, hn::Set(d, static_cast<T>(t.middle)));
  return {Fma(slope, p.c, hn::Mul(step, s)), slope};
}

template <class D, class V = hn::VFromD<D>>
HWY_INLINE RowValues<V> ErfForm(D d, const RowPoint<D>& p) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1)), two = hn::Set(d, T(2)), twice = hn::Add(p.c, p.c);
  const V root = hn::Sqrt(Determinant(Fma(two, p.a, one), Fma(two, p.b, one), twice));
  const V arcsine = Arcsine(d, hn::Mul(twice, p.inverse), hn::Mul(root, p.inverse));
  return {hn::Mul(hn::Set(d, T(2 * std::numbers::inv_pi)), arcsine),
          hn::Div(hn::Set(d, T(4 * std::numbers::inv_pi)), root)};
}

template <class D, class V = hn::VFromD<D>>
HWY_INLINE RowValues<V> GeluForm(D d, const RowPoint<D>& p) {
  using T = hn::TFromD<D>;
  const V one = hn::Set(d, T(1)), over_two_pi = hn::Set(d, T(0.5 * std::numbers::inv_pi));
  const V quarter = hn::Set(d, T(0.25)), c = p.c;
  const V square = Determinant(hn::Add(one, p.a), hn::Add(one, p.b), c), root = hn::Sqrt(square);
  const V arcsine = Arcsine(d, hn::Mul(c, p.inverse), hn::Mul(root, p.inverse));
  const V over_root = hn::Div(one, root), over_product = hn::Mul(p.inverse, p.inverse);
  const V ab = hn::Mul(p.a, p.b);
  const V inner = hn::Mul(Fma(ab, square, hn::Mul(c, c)), hn::Mul(over_product, over_root));
  const V value = Fma(over_two_pi, Fma(c, arcsine, inner), hn::Mul(quarter, c));
  const V sum = hn::Add(Fma(over_root, over_root, one), hn::Mul(hn::Sub(one, ab), over_product));
  return {value, Fma(over_two_pi, Fma(hn::Mul(c, over_root), sum, arcsine), quarter)};
}

template <bool kSlope, class T, class Form>
HWY_INLINE bool TransformWith(const Form& form, const TransformedRow<T>& row) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const std::size_t width = hn::MaxLanes(d), n = row.n;
  const V variance = hn::Set(d, row.a), inverse = hn::Set(d, row.inverse_a);
  const V limit = hn::Set(d, row.a * (1 + AngleConstants<T>::kRounding));
  const T *const variances = row.b, *const inverses = row.inverse_b;
  T *const values = row.c, *const slopes = row.slope;
  auto within = hn::Eq(variance, variance);
  for (std::size_t i = 0; i < n; i += width) {
    const std::size_t count = std::min(width, n - i);
    const V b = LoadUpTo(d, variances + i, count), c = LoadUpTo(d, values + i, count);
    within = hn::And(within, hn::Le(hn::Mul(c, c), hn::Mul(limit, b)));
    const V both = hn::Mul(inverse, LoadUpTo(d, inverses + i, count));
    const RowValues<V> out = form(RowPoint<hn::ScalableTag<T>>{variance, b, both, c});
    StoreUpTo(out.value, d, values + i, count);
    if constexpr (kSlope) StoreUpTo(out.slope, d, slopes + i, count);
  }
  return hn::AllTrue(d, within);
}

template <class T, class Form>
HWY_INLINE bool TransformWith(const Form& form, const TransformedRow<T>& row) {
  return row.slope ? TransformWith<true>(form, row) : TransformWith<false>(form, row);
}

template <class T>
HWY_INLINE bool TransformImpl(const RowTransform& t, const TransformedRow<T>& row) {
  using Point = RowPoint<hn::ScalableTag<T>>;
  const hn::ScalableTag<T> d;
  switch (t.form) {
    case RowForm::kErf:
      return TransformWith([d](const Point& p) HWY_ATTR { return ErfForm(d, p); }, row);
    case RowForm::kGelu:
      return TransformWith([d](const Point& p) HWY_ATTR { return GeluForm(d, p); }, row);
    case RowForm::kPiecewise:
      break;
  }
  return TransformWith([d, &t](const Point& p) HWY_ATTR { return Piecewise(d, t, p); }, row);
}

// x[j] ← f(x[j], j) by vectors; f gets the vector, its offset and its lanes.
template <class T, class F>
HWY_INLINE void MapRow(T* x, std::size_t n, const F& f) {
  const hn::ScalableTag<T> d;
  const std::size_t width = hn::MaxLanes(d);
  for (std::size_t i = 0; i < n; i += width) {
    const std::size_t count = std::min(width, n - i);
    StoreUpTo(f(LoadUpTo(d, x + i, count), i, count), d, x + i, count);
  }
}

// sum[j] ← sum[j] + x[j].
template <class T>
HWY_INLINE void AccumulateImpl(const T* x, double* sum, std::size_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<T, decltype(d)> narrow;
  for (std::size_t i = 0; i < n; i += hn::MaxLanes(d)) {
    const std::size_t count = std::min(hn::MaxLanes(d), n - i);
    const auto part = LoadUpTo(narrow, x + i, count);
    const auto before = LoadUpTo(d, sum + i, count);
    if constexpr (std::is_same_v<T, double>)
      StoreUpTo(hn::Add(before, part), d, sum + i, count);
    else
      StoreUpTo(hn::Add(before, hn::PromoteTo(d, part)), d, sum + i, count);
  }
}

#define TELOS_ROW_STEPS(Suffix, Type)                                                      \
  bool TransformRow##Suffix(const RowTransform& t, const TransformedRow<Type>& row) {      \
    return TransformImpl(t, row);                                                          \
  }                                                                                        \
  void ScaleRow##Suffix(Type left, const Type* right, Type* x, std::size_t n) {            \
    const hn::ScalableTag<Type> d;                                                         \
    const auto factor = hn::Set(d, left);                                                  \
    MapRow(x, n, [&](auto v, std::size_t i, std::size_t count) HWY_ATTR {                  \
      return hn::Mul(v, hn::Mul(factor, LoadUpTo(d, right + i, count)));                   \
    });                                                                                    \
  }                                                                                        \
  void AffineRow##Suffix(Type weight, Type bias, Type* x, std::size_t n) {                 \
    const hn::ScalableTag<Type> d;                                                         \
    const auto w = hn::Set(d, weight), b = hn::Set(d, bias);                               \
    MapRow(x, n, [&](auto v, std::size_t, std::size_t) HWY_ATTR { return Fma(w, v, b); }); \
  }                                                                                        \
  void ScaleAddRow##Suffix(Type weight, const Type* y, Type* x, std::size_t n) {           \
    const hn::ScalableTag<Type> d;                                                         \
    const auto w = hn::Set(d, weight);                                                     \
    MapRow(x, n, [&](auto v, std::size_t i, std::size_t count) HWY_ATTR {                  \
      return Fma(w, v, LoadUpTo(d, y + i, count));                                         \
    });                                                                                    \
  }                                                                                        \
  void MultiplyRow##Suffix(const Type* y, Type* x, std::size_t n) {                        \
    const hn::ScalableTag<Type> d;                                                         \
    MapRow(x, n, [&](auto v, std::size_t i, std::size_t count) HWY_ATTR {                  \
      return hn::Mul(v, LoadUpTo(d, y + i, count));                                        \
    });                                                                                    \
  }
TELOS_ROW_STEPS(F32, float)
TELOS_ROW_STEPS(F64, double)
#undef TELOS_ROW_STEPS

void AccumulateRowF32(const float* x, double* sum, std::size_t n) {
  AccumulateImpl(x, sum, n);
}
void AccumulateRowF64(const double* x, double* sum, std::size_t n) {
  AccumulateImpl(x, sum, n);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos::symmetry::kernel {

double inverse_root(RowForm form, double variance) {
  if (form == RowForm::kPiecewise) return variance > 0 ? 1 / std::sqrt(variance) : 0;
  return 1 / std::sqrt(1 + (form == RowForm::kErf ? 2 : 1) * variance);
}

#define TELOS_EXPORT_ROW_STEPS(Suffix, Type)                                   \
  HWY_EXPORT(TransformRow##Suffix);                                            \
  HWY_EXPORT(ScaleRow##Suffix);                                                \
  HWY_EXPORT(AffineRow##Suffix);                                               \
  HWY_EXPORT(ScaleAddRow##Suffix);                                             \
  HWY_EXPORT(MultiplyRow##Suffix);                                             \
  template <>                                                                  \
  bool transform_row(const RowTransform& t, const TransformedRow<Type>& row) { \
    return HWY_DYNAMIC_DISPATCH(TransformRow##Suffix)(t, row);                 \
  }                                                                            \
  template <>                                                                  \
  void scale_row(Type left, const Type* right, Type* x, std::size_t n) {       \
    HWY_DYNAMIC_DISPATCH(ScaleRow##Suffix)(left, right, x, n);                 \
  }                                                                            \
  template <>                                                                  \
  void affine_row(Type weight, Type bias, Type* x, std::size_t n) {            \
    HWY_DYNAMIC_DISPATCH(AffineRow##Suffix)(weight, bias, x, n);               \
  }                                                                            \
  template <>                                                                  \
  void scale_add_row(Type weight, const Type* y, Type* x, std::size_t n) {     \
    HWY_DYNAMIC_DISPATCH(ScaleAddRow##Suffix)(weight, y, x, n);                \
  }                                                                            \
  template <>                                                                  \
  void multiply_row(const Type* y, Type* x, std::size_t n) {                   \
    HWY_DYNAMIC_DISPATCH(MultiplyRow##Suffix)(y, x, n);                        \
  }                                                                            \
  HWY_EXPORT(AccumulateRow##Suffix);                                           \
  template <>                                                                  \
  void accumulate_row(const Type* x, double* sum, std::size_t n) {             \
    HWY_DYNAMIC_DISPATCH(AccumulateRow##Suffix)(x, sum, n);                    \
  }
TELOS_EXPORT_ROW_STEPS(F32, float)
TELOS_EXPORT_ROW_STEPS(F64, double)
#undef TELOS_EXPORT_ROW_STEPS

}  // namespace telos::symmetry::kernel
#endif  // HWY_ONCE
