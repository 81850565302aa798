// Elementary functions on vectors, one rounding sequence for every target: additions, multiplications,
// divisions and fused multiply-adds only, so that the bits depend neither on the vector width nor on the C
// library. Coefficients: fit_polynomials.py.
#if defined(TELOS_LINALG_VECMATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TELOS_LINALG_VECMATH_INL_H_
#undef TELOS_LINALG_VECMATH_INL_H_
#else
#define TELOS_LINALG_VECMATH_INL_H_
#endif

#include <cstdint>

#include "linalg/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

template <class T>
struct MathConstants;

template <>
struct MathConstants<float> {
  using Bits = std::uint32_t;
  static constexpr float kLog2E = 1.44269504f;
  // ln 2 in two parts: n·kLn2High is exact for |n| ≤ 2^8.
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits.
  static constexpr float kRound = 12582912.0f;
  static constexpr Bits kRoundBits = 0x4B400000u, kBias = 127;
  static constexpr int kMantissaBits = 23;
  // Beyond these e^x is infinite, or so small that 1000 e^x is zero too.
  static constexpr float kExpHigh = 89.0f, kExpLow = -125.0f;
  static constexpr float kExp[] = {0.49999993412513363f, 0.166665201078660926f, 0.0416683942113280008f,
                                   0.00836878040858521891f, 0.00138144669540100379f};
  static constexpr float kTanh[] = {-0.333332819420023691f, 0.133314421971382468f, -0.0537397149714874444f,
                                    0.0206390868321099919f, -0.00570498651463867922f};
  static constexpr float kErf[] = {
      0.128379165726713458f,   -0.376126258242157425f,    0.11283585148351825f,     -0.0268538119239664227f,
      0.00518832766464742025f, -0.000801019344630895849f, 0.0000785386078426976762f};
  static constexpr float kTailScale = 0.3f, kTailEnd = 15.0f;
  static constexpr float kTail[] = {0.119686716665246198f,  0.11957131780557416f,   0.110239343308638272f,
                                    0.0783722442554795049f, 0.0962048488272038762f, -0.0795090076733612918f,
                                    0.191883086632698655f,  -0.228284623489284918f, 0.112464718565132186f,
                                    -0.0206286466299603171f};
};

template <>
struct MathConstants<double> {
  using Bits = std::uint64_t;
  static constexpr double kLog2E = 1.4426950408889634074;
  static constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  static constexpr double kRound = 6755399441055744.0;
  static constexpr Bits kRoundBits = 0x4338000000000000u, kBias = 1023;
  static constexpr int kMantissaBits = 52;
  static constexpr double kExpHigh = 710.0, kExpLow = -760.0;
  static constexpr double kExp[] = {0.500000000000001072,     0.166666666666664102,   0.0416666666665291892,
                                    0.00833333333349562717,   0.00138888889439225565, 0.000198412695047571521,
                                    0.0000248014927628370838, 2.75575873500230175e-6, 2.76303786148881834e-7,
                                    2.49999627521612272e-8};
  static constexpr double kTanh[] = {
      -0.333333333333333128,    0.133333333333297429,     -0.0539682539660589488,    0.0218694884687162885,
      -0.00886323431258893636,  0.00359211399995402926,   -0.00145572594847097997,   0.000589451800408768426,
      -0.000237011733754784932, 0.0000915584174749025872, -0.0000301872257143940389, 6.04247040834226598e-6};
  static constexpr double kErf[] = {
      0.128379167095512574,   -0.376126389031837476,   0.112837916709548575,    -0.0268661706450728943,
      0.00522397762478086171, -0.00085483269787419401, 0.000120553310368903598, -0.0000149255935066713459,
      1.64609728135370501e-6, -1.63500251858951762e-7, 1.46578795973067175e-8,  -1.13656650286445104e-9,
      5.94526020061779617e-11};
  static constexpr double kTailScale = 0.2, kTailEnd = 40.0;
  static constexpr double kTail[] = {
      0.0797884560836054928,   0.0797884558533422035,   0.0765969250274809423,   0.0702137009409845595,
      0.0610241074229104475,   0.0497691586290703067,   0.0377265104100391042,   0.0247851354423329705,
      0.0191263683951795713,   -0.00836068471125128482, 0.0484534761266735756,   -0.118545859421061986,
      0.234862190848330989,    -0.38575121950920261,    0.494728115167471378,    -0.493571165854185229,
      0.367102060215707174,    -0.185640213652437571,   0.0510696635393292466,   0.00159685662966412943,
      -0.00670244483514385071, 0.00219450745911756822,  -0.000254100207957130783};
};

// c[0] + c[1] x + … by Horner's rule.
template <class D, class V, std::size_t kCount>
HWY_INLINE V Horner(D d, V x, const hn::TFromD<D> (&c)[kCount]) {
  V sum = hn::Set(d, c[kCount - 1]);
  for (std::size_t i = kCount - 1; i-- > 0;) sum = Fma(sum, x, hn::Set(d, c[i]));
  return sum;
}

// e^x = p · first · second: e^r with |r| ≤ ln2/2, and 2^n in two halves, so that a result below the smallest
// normal number is rounded once, and overflow gives infinity.
template <class V>
struct ExpParts {
  V p, first, second;
};

// Which ends of the range a caller may reach: the others need no check.
enum class ExpRange { kAny, kNotPositive, kNotNegative, kShort };

template <ExpRange kRange, class D, class V>
HWY_INLINE ExpParts<V> SplitExp(D d, V x) {
  using T = hn::TFromD<D>;
  using C = MathConstants<T>;
  const hn::RebindToUnsigned<D> du;
  // Comparisons, not Min and Max: NaN must pass.
  const V high = hn::Set(d, C::kExpHigh), low = hn::Set(d, C::kExpLow);
  if constexpr (kRange == ExpRange::kAny || kRange == ExpRange::kNotNegative)
    x = hn::IfThenElse(hn::Gt(x, high), high, x);
  if constexpr (kRange == ExpRange::kAny || kRange == ExpRange::kNotPositive)
    x = hn::IfThenElse(hn::Lt(x, low), low, x);
  const V shifted = Fma(x, hn::Set(d, C::kLog2E), hn::Set(d, C::kRound));
  const V n = hn::Sub(shifted, hn::Set(d, C::kRound));
  const V r = NegFma(n, hn::Set(d, C::kLn2Low), NegFma(n, hn::Set(d, C::kLn2High), x));
  const V p = hn::Add(Fma(hn::Mul(r, r), Horner(d, r, C::kExp), r), hn::Set(d, T{1}));
  const auto exponent = hn::Sub(hn::BitCast(du, shifted), hn::Set(du, C::kRoundBits - 2 * C::kBias));
  const auto first = hn::ShiftRight<1>(exponent);
  const auto second = hn::Sub(exponent, first);
  return {p, hn::BitCast(d, hn::ShiftLeft<C::kMantissaBits>(first)),
          hn::BitCast(d, hn::ShiftLeft<C::kMantissaBits>(second))};
}

template <ExpRange kRange = ExpRange::kAny, class D, class V>
HWY_INLINE V Exp(D d, V x) {
  const ExpParts<V> e = SplitExp<kRange>(d, x);
  return hn::Mul(hn::Mul(e.p, e.first), e.second);
}

// Odd polynomial near 0; 1 − 2/(e^{2|x|} + 1) elsewhere.
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  using T = hn::TFromD<D>;
  const V t = hn::Abs(x), s = hn::Mul(x, x), one = hn::Set(d, T{1});
  const V near = Fma(hn::Mul(t, s), Horner(d, s, MathConstants<T>::kTanh), t);
  const V e = Exp<ExpRange::kNotNegative>(d, hn::Add(t, t));
  const V far = hn::Sub(one, hn::Div(hn::Set(d, T{2}), hn::Add(e, one)));
  return hn::CopySign(hn::IfThenElse(hn::Lt(t, hn::Set(d, T(0.625))), near, far), x);
}

// (1/2) e^{t²/2} erfc(t/√2) for t ≥ 0: the smooth factor of the normal tail Φ(−t).
template <class D, class V>
HWY_INLINE V NormalTailFactor(D d, V t) {
  using T = hn::TFromD<D>;
  using C = MathConstants<T>;
  const V one = hn::Set(d, T{1});
  const V u = hn::Div(one, Fma(t, hn::Set(d, C::kTailScale), one));
  return hn::Mul(u, Horner(d, u, C::kTail));
}

// Odd polynomial for |x| < 1; 1 − erfc(|x|) elsewhere.
template <class D, class V>
HWY_INLINE V Erf(D d, V x) {
  using T = hn::TFromD<D>;
  using C = MathConstants<T>;
  const V t = hn::Abs(x), s = hn::Mul(x, x);
  const V near = Fma(t, Horner(d, s, C::kErf), t);
  const V end = hn::Set(d, T{10});  // erf is 1 from 6 on
  const V clamped = hn::IfThenElse(hn::Gt(t, end), end, t);
  const V factor = NormalTailFactor(d, hn::Mul(clamped, hn::Set(d, T(1.4142135623730950488))));
  const V e = Exp<ExpRange::kShort>(d, hn::Neg(hn::Mul(clamped, clamped)));
  const V far = NegFma(hn::Add(e, e), factor, hn::Set(d, T{1}));
  return hn::CopySign(hn::IfThenElse(hn::Lt(t, hn::Set(d, T{1})), near, far), x);
}

// x Φ(x) = max(x, 0) − |x| Φ(−|x|), which keeps the relative precision of the left tail. e^{−t²/2} takes the
// rounding error of t² along.
template <class D, class V>
HWY_INLINE V Gelu(D d, V x) {
  using T = hn::TFromD<D>;
  const V end = hn::Set(d, MathConstants<T>::kTailEnd);
  V t = hn::Abs(x);
  t = hn::IfThenElse(hn::Gt(t, end), end, t);
  const V square = hn::Mul(t, t);
  const V half_error = hn::Mul(Fma(t, t, hn::Neg(square)), hn::Set(d, T(0.5)));
  const V e = Exp<ExpRange::kShort>(d, hn::Mul(square, hn::Set(d, T(-0.5))));
  const V weight = hn::Mul(t, NormalTailFactor(d, t));  // about 0.4 far out: e alone may become subnormal
  // −0 where x < 0. Not as a constant: clang 14 makes a maximum of that, which takes +0 to −0.
  const V positive = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::CopySign(hn::Zero(d), x), x);
  return NegFma(NegFma(e, half_error, e), weight, positive);
}

// x / (1 + e^{−z}) where z has the sign of x and grows with it. On the left x e^z / (1 + e^z), with x
// multiplied in before e^z becomes subnormal.
template <class D, class V>
HWY_INLINE V TimesLogistic(D d, V x, V z) {
  using T = hn::TFromD<D>;
  const ExpParts<V> e = SplitExp<ExpRange::kNotPositive>(d, hn::Neg(hn::Abs(z)));
  const V denominator = hn::Add(hn::Set(d, T{1}), hn::Mul(hn::Mul(e.p, e.first), e.second));
  // The product vanishes long before −1000; the bound keeps −∞·0 out.
  const V low = hn::Set(d, T{-1000});
  const V bounded = hn::IfThenElse(hn::Lt(x, low), low, x);
  const V left = hn::Mul(hn::Mul(hn::Mul(bounded, e.p), e.first), e.second);
  return hn::Div(hn::IfThenElse(hn::Lt(z, hn::Zero(d)), left, x), denominator);
}

template <class D, class V>
HWY_INLINE V GeluTanh(D d, V x) {
  using T = hn::TFromD<D>;
  const V cube = hn::Mul(hn::Mul(x, x), x);
  const V inner = Fma(cube, hn::Set(d, T(0.044715)), x);
  return TimesLogistic(d, x, hn::Mul(inner, hn::Set(d, T(1.5957691216057307118))));  // 2√(2/π)
}

template <class D, class V>
HWY_INLINE V Silu(D d, V x) {
  return TimesLogistic(d, x, x);
}

template <class D, class V>
HWY_INLINE V QuickGelu(D d, V x) {
  using T = hn::TFromD<D>;
  return TimesLogistic(d, x, hn::Mul(x, hn::Set(d, T(1.702))));
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
