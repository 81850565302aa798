#include "symmetry/transform_kernel.h"

#include <limits>
#include <numbers>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "symmetry/transform_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using symmetry::kernel::RowForm;
using symmetry::kernel::RowTransform;

using Doubles = hn::ScalableTag<double>;
using DoubleVector = hn::VFromD<Doubles>;

// atan u = u + u³ p(u²) for |u| ≤ √2 − 1: Chebyshev interpolation, relative error 2 · 10⁻¹⁹.
constexpr double kArctangent[] = {-0.3333333333333333,  0.19999999999999804,  -0.14285714285659779,
                                  0.11111111105150588,  -0.09090908753259112, 0.07692296368042296,
                                  -0.0666642476020052,  0.05878927554473807,  -0.05230443640686948,
                                  0.045515447340221615, -0.03456931506332609, 0.016284375050043393};

HWY_INLINE DoubleVector Number(double x) {
  return hn::Set(Doubles(), x);
}

// The angle of (x, y), y ≥ 0, in [0, π]; 0 of (0, 0).
HWY_INLINE DoubleVector Angle(DoubleVector y, DoubleVector x) {
  const DoubleVector size = hn::Abs(x);
  const auto steep = hn::Gt(y, size);
  const DoubleVector low = hn::IfThenElse(steep, size, y), high = hn::IfThenElse(steep, y, size);
  // Beyond π/8 from π/4: atan(l/h) = π/4 + atan((l − h)/(l + h)).
  const auto turned = hn::Gt(low, hn::Mul(Number(std::numbers::sqrt2 - 1), high));
  const DoubleVector top = hn::IfThenElse(turned, hn::Sub(low, high), low),
                     bottom = hn::IfThenElse(turned, hn::Add(low, high), high);
  const DoubleVector u = hn::Div(top, hn::Max(bottom, Number(std::numeric_limits<double>::min())));
  const DoubleVector square = hn::Mul(u, u);
  constexpr std::size_t kCount = sizeof kArctangent / sizeof *kArctangent;
  DoubleVector p = Number(kArctangent[kCount - 1]);
  TELOS_UNROLL
  for (std::size_t i = kCount - 1; i-- > 0;) p = Fma(p, square, Number(kArctangent[i]));
  DoubleVector angle = Fma(hn::Mul(u, square), p, u);
  angle = hn::IfThenElse(turned, hn::Add(Number(std::numbers::pi / 4), angle), angle);
  angle = hn::IfThenElse(steep, hn::Sub(Number(std::numbers::pi / 2), angle), angle);
  return hn::IfThenElse(hn::Lt(x, Number(0)), hn::Sub(Number(std::numbers::pi), angle), angle);
}

// pq − c², with the rounding errors of both products.
HWY_INLINE DoubleVector Determinant(DoubleVector p, DoubleVector q, DoubleVector c) {
  const DoubleVector product = hn::Mul(p, q), square = hn::Mul(c, c);
  const DoubleVector rest = hn::Sub(Fma(p, q, hn::Neg(product)), Fma(c, c, hn::Neg(square)));
  return hn::Add(hn::Sub(product, square), rest);
}

struct RowValues {
  DoubleVector value, slope;
};

HWY_INLINE RowValues Piecewise(const RowTransform& t, DoubleVector a, DoubleVector b, DoubleVector c) {
  const DoubleVector s = hn::Sqrt(hn::Max(Determinant(a, b, c), Number(0)));
  const DoubleVector slope = NegFma(Number(t.step), Angle(s, c), Number(t.half));
  return {Fma(slope, c, hn::Mul(Number(t.step), s)), slope};
}

HWY_INLINE RowValues Erf(DoubleVector a, DoubleVector b, DoubleVector c) {
  const DoubleVector one = Number(1), two = Number(2), twice = hn::Add(c, c);
  const DoubleVector root = hn::Sqrt(Determinant(Fma(two, a, one), Fma(two, b, one), twice));
  const DoubleVector angle = hn::CopySign(Angle(hn::Abs(twice), root), c);
  return {hn::Mul(Number(2 * std::numbers::inv_pi), angle), hn::Div(Number(4 * std::numbers::inv_pi), root)};
}

HWY_INLINE RowValues Gelu(DoubleVector a, DoubleVector b, DoubleVector c) {
  constexpr double kOverTwoPi = 0.5 * std::numbers::inv_pi;
  const DoubleVector one = Number(1), left = hn::Add(one, a), right = hn::Add(one, b);
  const DoubleVector square = Determinant(left, right, c), root = hn::Sqrt(square);
  const DoubleVector angle = hn::CopySign(Angle(hn::Abs(c), root), c);
  const DoubleVector over_root = hn::Div(one, root), over_product = hn::Div(one, hn::Mul(left, right));
  const DoubleVector ab = hn::Mul(a, b);
  const DoubleVector inner = hn::Mul(Fma(ab, square, hn::Mul(c, c)), hn::Mul(over_product, over_root));
  const DoubleVector value = Fma(Number(kOverTwoPi), Fma(c, angle, inner), hn::Mul(Number(0.25), c));
  const DoubleVector sum = hn::Add(Fma(over_root, over_root, one), hn::Mul(hn::Sub(one, ab), over_product));
  const DoubleVector slope = Fma(Number(kOverTwoPi), Fma(hn::Mul(c, over_root), sum, angle), Number(0.25));
  return {value, slope};
}

template <class Form>
HWY_INLINE bool TransformWith(const Form& form, double a, const double* b, double* c, double* slope,
                              std::size_t n) {
  const Doubles d;
  const std::size_t width = hn::MaxLanes(d);
  // (1 + 10⁻¹⁰)² of what rounding may add to |c|.
  const DoubleVector variance = Number(a), limit = Number(a * (1 + 2e-10));
  auto within = hn::Eq(variance, variance);
  for (std::size_t i = 0; i < n; i += width) {
    const std::size_t count = n - i < width ? n - i : width;
    const bool whole = count == width;
    const DoubleVector vb = whole ? hn::LoadU(d, b + i) : LoadPartial(d, b + i, count),
                       vc = whole ? hn::LoadU(d, c + i) : LoadPartial(d, c + i, count);
    within = hn::And(within, hn::Le(hn::Mul(vc, vc), hn::Mul(limit, vb)));
    const RowValues out = form(variance, vb, vc);
    if (whole) {
      hn::StoreU(out.value, d, c + i);
      if (slope) hn::StoreU(out.slope, d, slope + i);
    } else {
      StorePartial(out.value, d, c + i, count);
      if (slope) StorePartial(out.slope, d, slope + i, count);
    }
  }
  return hn::AllTrue(d, within);
}

bool TransformRow(const RowTransform& t, double a, const double* b, double* c, double* slope, std::size_t n) {
  switch (t.form) {
    case RowForm::kErf:
      return TransformWith([](DoubleVector va, DoubleVector vb, DoubleVector vc)
                               HWY_ATTR { return Erf(va, vb, vc); },
                           a, b, c, slope, n);
    case RowForm::kGelu:
      return TransformWith([](DoubleVector va, DoubleVector vb, DoubleVector vc)
                               HWY_ATTR { return Gelu(va, vb, vc); },
                           a, b, c, slope, n);
    case RowForm::kPiecewise:
      break;
  }
  return TransformWith([&t](DoubleVector va, DoubleVector vb, DoubleVector vc)
                           HWY_ATTR { return Piecewise(t, va, vb, vc); },
                       a, b, c, slope, n);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos::symmetry::kernel {

HWY_EXPORT(TransformRow);

bool transform_row(const RowTransform& t, double a, const double* b, double* c, double* slope,
                   std::size_t n) {
  return HWY_DYNAMIC_DISPATCH(TransformRow)(t, a, b, c, slope, n);
}

}  // namespace telos::symmetry::kernel
#endif  // HWY_ONCE
