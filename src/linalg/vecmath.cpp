#include "telos/linalg/vecmath.h"

#include <cmath>
#include <limits>
#include <string>

#include "linalg/targets.h"
#include "telos/base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "linalg/vecmath.cpp"
#include <hwy/foreach_target.h>

#include "linalg/lanes-inl.h"
#include "linalg/vecmath-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

template <class T>
HWY_INLINE T SumImpl(const T* x, std::size_t n) {
  const hn::ScalableTag<T> d;
  Lanes<decltype(d)> sum;
  ForLanes(d, n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    sum.v[lane] = hn::Add(sum.v[lane], LoadUpTo(d, x + i, count));
  });
  return sum.Total();
}

template <class T>
HWY_INLINE T DotImpl(const T* x, const T* y, std::size_t n) {
  const hn::ScalableTag<T> d;
  Lanes<decltype(d)> sum;
  ForLanes(d, n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    sum.v[lane] = Fma(LoadUpTo(d, x + i, count), LoadUpTo(d, y + i, count), sum.v[lane]);
  });
  return sum.Total();
}

template <class T>
HWY_INLINE void SoftmaxImpl(T* row, std::size_t valid, std::size_t cols, T scale) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const std::size_t width = hn::MaxLanes(d);
  std::fill(row + valid, row + cols, T{0});
  if (valid == 0) return;

  const V factor = hn::Set(d, scale), lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  V top = lowest;
  for (std::size_t i = 0; i < valid; i += width) {
    const std::size_t count = std::min(width, valid - i);
    const V t = hn::Mul(factor, LoadUpTo(d, row + i, count));
    StoreUpTo(t, d, row + i, count);
    const V seen = count == width ? t : hn::IfThenElse(hn::FirstN(d, count), t, lowest);
    top = hn::IfThenElse(hn::Gt(seen, top), seen, top);  // not Max: its answer to NaN differs between targets
  }
  alignas(64) T lanes[hn::MaxLanes(d)];
  hn::Store(top, d, lanes);
  T maximum = lanes[0];
  for (std::size_t i = 1; i < width; ++i) maximum = lanes[i] > maximum ? lanes[i] : maximum;

  const V shift = hn::Set(d, maximum);
  Lanes<decltype(d)> sum;
  ForLanes(d, valid, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    V e = Exp<ExpRange::kNotPositive>(d, hn::Sub(LoadUpTo(d, row + i, count), shift));
    StoreUpTo(e, d, row + i, count);
    if (count != hn::MaxLanes(d)) e = hn::IfThenElseZero(hn::FirstN(d, count), e);
    sum.v[lane] = hn::Add(sum.v[lane], e);
  });
  const V norm = hn::Set(d, T{1} / sum.Total());
  for (std::size_t i = 0; i < valid; i += width) {
    const std::size_t count = std::min(width, valid - i);
    StoreUpTo(hn::Mul(LoadUpTo(d, row + i, count), norm), d, row + i, count);
  }
}

template <class T>
HWY_INLINE void LayerNormImpl(const T* x, const T* gain, const T* bias, T eps, std::size_t n, T* y) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const T count_of_all = static_cast<T>(n);
  const V centre = hn::Set(d, SumImpl(x, n) / count_of_all);
  Lanes<decltype(d)> first, second;
  ForLanes(d, n, [&](std::size_t lane, std::size_t i, std::size_t count) HWY_ATTR {
    V t = hn::Sub(LoadUpTo(d, x + i, count), centre);
    if (count != hn::MaxLanes(d)) t = hn::IfThenElseZero(hn::FirstN(d, count), t);
    first.v[lane] = hn::Add(first.v[lane], t);
    second.v[lane] = Fma(t, t, second.v[lane]);
  });
  // What rounding left of the mean after the first pass is taken off in the second.
  const T rest = first.Total() / count_of_all;
  const T variance = std::max(T{0}, second.Total() / count_of_all - rest * rest);
  const V offset = hn::Set(d, rest), scale = hn::Set(d, T{1} / std::sqrt(variance + eps));
  for (std::size_t i = 0; i < n; i += hn::MaxLanes(d)) {
    const std::size_t count = std::min(hn::MaxLanes(d), n - i);
    V t = hn::Mul(hn::Sub(hn::Sub(LoadUpTo(d, x + i, count), centre), offset), scale);
    const V b = bias != nullptr ? LoadUpTo(d, bias + i, count) : hn::Zero(d);
    t = gain != nullptr ? Fma(t, LoadUpTo(d, gain + i, count), b) : hn::Add(t, b);
    StoreUpTo(t, d, y + i, count);
  }
}

template <class T>
HWY_INLINE void RmsNormImpl(const T* x, const T* gain, T eps, std::size_t n, T* y) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const V scale = hn::Set(d, T{1} / std::sqrt(DotImpl(x, x, n) / static_cast<T>(n) + eps));
  for (std::size_t i = 0; i < n; i += hn::MaxLanes(d)) {
    const std::size_t count = std::min(hn::MaxLanes(d), n - i);
    V t = hn::Mul(LoadUpTo(d, x + i, count), scale);
    if (gain != nullptr) t = hn::Mul(t, LoadUpTo(d, gain + i, count));
    StoreUpTo(t, d, y + i, count);
  }
}

// One function a type and operation: what HWY_EXPORT can put into its table.
#define TELOS_MAP(Name, Type, Function)                                                        \
  void Name(const Type* x, Type* y, std::size_t n) {                                           \
    const hn::ScalableTag<Type> d;                                                             \
    const std::size_t width = hn::MaxLanes(d);                                                 \
    std::size_t i = 0;                                                                         \
    for (; i + width <= n; i += width) hn::StoreU(Function(d, hn::LoadU(d, x + i)), d, y + i); \
    if (i < n) StorePartial(Function(d, LoadPartial(d, x + i, n - i)), d, y + i, n - i);       \
  }
#define TELOS_ROWS(Suffix, Type)                                                                     \
  Type Sum##Suffix(const Type* x, std::size_t n) {                                                   \
    return SumImpl(x, n);                                                                            \
  }                                                                                                  \
  Type Dot##Suffix(const Type* x, const Type* y, std::size_t n) {                                    \
    return DotImpl(x, y, n);                                                                         \
  }                                                                                                  \
  void Softmax##Suffix(Type* row, std::size_t valid, std::size_t cols, Type scale) {                 \
    SoftmaxImpl(row, valid, cols, scale);                                                            \
  }                                                                                                  \
  void LayerNorm##Suffix(const Type* x, const Type* gain, const Type* bias, Type eps, std::size_t n, \
                         Type* y) {                                                                  \
    LayerNormImpl(x, gain, bias, eps, n, y);                                                         \
  }                                                                                                  \
  void RmsNorm##Suffix(const Type* x, const Type* gain, Type eps, std::size_t n, Type* y) {          \
    RmsNormImpl(x, gain, eps, n, y);                                                                 \
  }                                                                                                  \
  TELOS_MAP(Exp##Suffix, Type, Exp)                                                                  \
  TELOS_MAP(Tanh##Suffix, Type, Tanh)                                                                \
  TELOS_MAP(Erf##Suffix, Type, Erf)                                                                  \
  TELOS_MAP(Gelu##Suffix, Type, Gelu)                                                                \
  TELOS_MAP(GeluTanh##Suffix, Type, GeluTanh)                                                        \
  TELOS_MAP(Silu##Suffix, Type, Silu)                                                                \
  TELOS_MAP(QuickGelu##Suffix, Type, QuickGelu)
TELOS_ROWS(F32, float)
TELOS_ROWS(F64, double)
#undef TELOS_ROWS
#undef TELOS_MAP

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {
namespace {

void require_equal(const char* where, const char* what, std::size_t expected, std::size_t found) {
  if (expected != found)
    throw Error(ErrorKind::kShape, where,
                std::string(what) + " has " + std::to_string(found) + " elements, expected " +
                    std::to_string(expected));
}

}  // namespace

#define TELOS_EXPORT_MAP(name, Name)                               \
  HWY_EXPORT(Name##F32);                                           \
  HWY_EXPORT(Name##F64);                                           \
  template <>                                                      \
  void name(std::span<const float> x, std::span<float> y) {        \
    require_equal(#name, "y", x.size(), y.size());                 \
    HWY_DYNAMIC_DISPATCH(Name##F32)(x.data(), y.data(), x.size()); \
  }                                                                \
  template <>                                                      \
  void name(std::span<const double> x, std::span<double> y) {      \
    require_equal(#name, "y", x.size(), y.size());                 \
    HWY_DYNAMIC_DISPATCH(Name##F64)(x.data(), y.data(), x.size()); \
  }
TELOS_EXPORT_MAP(vec_exp, Exp)
TELOS_EXPORT_MAP(vec_tanh, Tanh)
TELOS_EXPORT_MAP(vec_erf, Erf)
TELOS_EXPORT_MAP(vec_gelu, Gelu)
TELOS_EXPORT_MAP(vec_gelu_tanh, GeluTanh)
TELOS_EXPORT_MAP(vec_silu, Silu)
TELOS_EXPORT_MAP(vec_quick_gelu, QuickGelu)
#undef TELOS_EXPORT_MAP

#define TELOS_EXPORT_ROWS(Suffix, Type)                                                                   \
  HWY_EXPORT(Sum##Suffix);                                                                                \
  HWY_EXPORT(Dot##Suffix);                                                                                \
  HWY_EXPORT(Softmax##Suffix);                                                                            \
  HWY_EXPORT(LayerNorm##Suffix);                                                                          \
  HWY_EXPORT(RmsNorm##Suffix);                                                                            \
  template <>                                                                                             \
  Type vec_sum(std::span<const Type> x) {                                                                 \
    return HWY_DYNAMIC_DISPATCH(Sum##Suffix)(x.data(), x.size());                                         \
  }                                                                                                       \
  template <>                                                                                             \
  Type vec_dot(std::span<const Type> x, std::span<const Type> y) {                                        \
    require_equal("vec_dot", "y", x.size(), y.size());                                                    \
    return HWY_DYNAMIC_DISPATCH(Dot##Suffix)(x.data(), y.data(), x.size());                               \
  }                                                                                                       \
  template <>                                                                                             \
  void softmax_row(std::span<Type> row, std::size_t valid, Type scale) {                                  \
    if (valid > row.size()) require_equal("softmax_row", "valid part", row.size(), valid);                \
    HWY_DYNAMIC_DISPATCH(Softmax##Suffix)(row.data(), valid, row.size(), scale);                          \
  }                                                                                                       \
  template <>                                                                                             \
  void layer_norm_row(std::span<const Type> x, std::span<const Type> gain, std::span<const Type> bias,    \
                      Type eps, std::span<Type> y) {                                                      \
    require_equal("layer_norm_row", "y", x.size(), y.size());                                             \
    if (!gain.empty()) require_equal("layer_norm_row", "gain", x.size(), gain.size());                    \
    if (!bias.empty()) require_equal("layer_norm_row", "bias", x.size(), bias.size());                    \
    if (x.empty()) return;                                                                                \
    HWY_DYNAMIC_DISPATCH(LayerNorm##Suffix)                                                               \
    (x.data(), gain.empty() ? nullptr : gain.data(), bias.empty() ? nullptr : bias.data(), eps, x.size(), \
     y.data());                                                                                           \
  }                                                                                                       \
  template <>                                                                                             \
  void rms_norm_row(std::span<const Type> x, std::span<const Type> gain, Type eps, std::span<Type> y) {   \
    require_equal("rms_norm_row", "y", x.size(), y.size());                                               \
    if (!gain.empty()) require_equal("rms_norm_row", "gain", x.size(), gain.size());                      \
    if (x.empty()) return;                                                                                \
    HWY_DYNAMIC_DISPATCH(RmsNorm##Suffix)                                                                 \
    (x.data(), gain.empty() ? nullptr : gain.data(), eps, x.size(), y.data());                            \
  }                                                                                                       \
  template <>                                                                                             \
  void attention_softmax(MatrixView<Type> scores, Type scale, std::size_t valid, bool causal,             \
                         std::size_t first) {                                                             \
    if (valid > scores.cols()) require_equal("attention_softmax", "valid part", scores.cols(), valid);    \
    const auto softmax = HWY_DYNAMIC_DISPATCH(Softmax##Suffix);                                           \
    for (std::size_t i = 0; i < scores.rows(); ++i)                                                       \
      softmax(scores.row(i), causal ? std::min(valid, first + i + 1) : valid, scores.cols(), scale);      \
  }
TELOS_EXPORT_ROWS(F32, float)
TELOS_EXPORT_ROWS(F64, double)
#undef TELOS_EXPORT_ROWS

}  // namespace telos
#endif  // HWY_ONCE
