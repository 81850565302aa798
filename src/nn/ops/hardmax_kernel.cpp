#include "nn/ops/hardmax_kernel.h"

#include <cstdint>
#include <cstring>
#include <limits>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/ops/hardmax_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/lanes-inl.h"
#include "linalg/vecmath-inl.h"

// At low temperature nearly every row of the attention matrix has one entry. Only the scores are computed for
// all pairs, by vectors of keys (tokens transposed); each row then becomes the short list of keys within
// reach of its largest score, and all else is a sum over lists. A row with one key has no gradient through
// its score. The attention matrix itself is never stored: backward computes the scores of the other rows
// again. Sums over keys run in the order of keys, sums over coordinates by coordinates: no bit depends on the
// vector width.

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using nn::HardmaxProblem;
using Mode = nn::HardmaxOptions::Mode;

// One sample at work: tokens of one layer, and the list of one row.
template <class T>
struct Tokens {
  std::size_t present = 0;  // u
  std::size_t padded = 0;   // u, rounded up to whole vectors
  T* transposed;            // cols × padded
  T* start;                 // padded: 0, and −∞ beyond u, so that padding never wins
  T* weight;                // of each present row
  T* origin;                // its row in the problem
  T* scores;                // of one row with all
  T* slopes;                // of one row: gradient by its attention weights
  // The list: key, weight in the result, weight in the derivative of the scores.
  T *key, *share, *score_share;
  T* first;   // gradients of a layer's result …
  T* second;  // … and of its tokens
  T* mean;    // what one row follows, cols
  T* alpha_sum;
};

template <class T>
HWY_INLINE Tokens<T> Unpack(const HardmaxProblem<T>& p) {
  Tokens<T> t;
  T* next = p.scratch;
  const auto take = [&](std::size_t elements) {
    T* const piece = next;
    next += elements;
    return piece;
  };
  t.transposed = take(p.padded() * p.cols);
  for (T** piece : {&t.start, &t.weight, &t.origin, &t.scores, &t.slopes, &t.key, &t.share, &t.score_share})
    *piece = take(p.padded());
  t.first = take(p.rows * p.cols);
  t.second = take(p.rows * p.cols);
  t.mean = take(p.cols + 16);
  t.alpha_sum = take(p.cols + 16);
  for (std::size_t i = 0; i < p.rows; ++i) {
    const T weight = p.weights[i * p.weights_row];
    if (!(weight > T{0})) continue;
    t.weight[t.present] = weight;
    t.origin[t.present++] = static_cast<T>(i);
  }
  t.padded = (t.present + 15) / 16 * 16;
  std::fill_n(t.start, t.present, T{0});
  std::fill(t.start + t.present, t.start + t.padded, -std::numeric_limits<T>::infinity());
  return t;
}

template <class T>
HWY_INLINE T* TokensOf(const HardmaxProblem<T>& p, std::size_t layer) {
  return p.saved + layer * p.rows * (p.cols + 1);
}
template <class T>
HWY_INLINE T* FollowedOf(const HardmaxProblem<T>& p, std::size_t layer) {
  return TokensOf(p, layer) + p.rows * p.cols;
}

template <class T>
HWY_INLINE void Transpose(const HardmaxProblem<T>& p, const Tokens<T>& t, const T* tokens) {
  for (std::size_t k = 0; k < p.cols; ++k) {
    T* const to = t.transposed + k * t.padded;
    for (std::size_t j = 0; j < t.present; ++j) to[j] = tokens[j * p.cols + k];
    std::fill(to + t.present, to + t.padded, T{0});
  }
}

// Scores of kVectors vectors of keys from `at` on with the vector x; the largest so far goes on in `top`.
template <std::size_t kVectors, class D, class T>
HWY_INLINE void ScoreKeys(D d, const Tokens<T>& t, std::size_t cols, const T* x, std::size_t at, T* scores,
                          hn::VFromD<D>& top) {
  constexpr std::size_t kWidth = hn::MaxLanes(D());
  hn::VFromD<D> sum[kVectors];
  TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) sum[v] = hn::LoadU(d, t.start + at + v * kWidth);
  for (std::size_t k = 0; k < cols; ++k) {
    const auto coordinate = hn::Set(d, x[k]);
    const T* const keys = t.transposed + k * t.padded + at;
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v)
      sum[v] = Fma(coordinate, hn::LoadU(d, keys + v * kWidth), sum[v]);
  }
  TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) {
    hn::StoreU(sum[v], d, scores + at + v * kWidth);
    top = hn::IfThenElse(hn::Gt(sum[v], top), sum[v], top);
  }
}

// The last vectors, fewer than kVectors + 1, together: alone each would wait for its own chain of sums.
template <std::size_t kVectors, class D, class T>
HWY_INLINE void ScoreLast(D d, const Tokens<T>& t, std::size_t cols, const T* x, std::size_t at, T* scores,
                          hn::VFromD<D>& top) {
  if constexpr (kVectors > 0) {
    if (t.padded - at == kVectors * hn::MaxLanes(d))
      ScoreKeys<kVectors>(d, t, cols, x, at, scores, top);
    else
      ScoreLast<kVectors - 1>(d, t, cols, x, at, scores, top);
  }
}

// scores[j] = <x, token j>, −∞ for padding; returns the largest.
template <class T>
HWY_INLINE T ScoreRow(const Tokens<T>& t, std::size_t cols, const T* x, T* scores) {
  const hn::ScalableTag<T> d;
  constexpr std::size_t kWidth = hn::MaxLanes(d), kBlock = 8;
  auto top = hn::Set(d, -std::numeric_limits<T>::infinity());
  std::size_t at = 0;
  for (; at + kBlock * kWidth <= t.padded; at += kBlock * kWidth)
    ScoreKeys<kBlock>(d, t, cols, x, at, scores, top);
  ScoreLast<kBlock - 1>(d, t, cols, x, at, scores, top);
  return hn::GetLane(hn::MaxOfLanes(d, top));
}

// Lists the keys whose score is at least `low`, padding never; returns how many.
template <class T>
HWY_INLINE std::size_t ListKeys(const Tokens<T>& t, T low) {
  const hn::ScalableTag<T> d;
  const auto limit = hn::Set(d, std::max(low, std::numeric_limits<T>::lowest()));
  std::size_t count = 0;
  for (std::size_t at = 0; at < t.padded; at += hn::MaxLanes(d)) {
    std::uint64_t bits = 0;
    std::uint8_t bytes[8] = {};
    hn::StoreMaskBits(d, hn::Ge(hn::LoadU(d, t.scores + at), limit), bytes);
    std::memcpy(&bits, bytes, sizeof bits);
    for (; bits != 0; bits &= bits - 1)
      t.key[count++] = static_cast<T>(at + static_cast<std::size_t>(__builtin_ctzll(bits)));
  }
  return count;
}

// How far below the largest score a key is still on the list.
template <class T>
HWY_INLINE T Reach(const HardmaxProblem<T>& p) {
  if (p.mode == Mode::kHard) return 0;
  return p.cut * (p.mode == Mode::kSoft ? p.temperature : p.ste_temperature);
}

// share[l] = w e^{(score − top)/T} over the list, summing to 1.
template <class T>
HWY_INLINE void SoftShares(const Tokens<T>& t, std::size_t count, T top, T temperature, T* share) {
  const hn::ScalableTag<T> d;
  const auto scale = hn::Set(d, T{1} / temperature);
  for (std::size_t l = 0; l < count; ++l) share[l] = t.scores[static_cast<std::size_t>(t.key[l])] - top;
  std::fill(share + count, share + (count + 15) / 16 * 16, T{0});
  for (std::size_t l = 0; l < count; l += hn::MaxLanes(d))
    hn::StoreU(Exp<ExpRange::kNotPositive>(d, hn::Mul(hn::LoadU(d, share + l), scale)), d, share + l);
  T sum = 0;
  for (std::size_t l = 0; l < count; ++l) sum += share[l] *= t.weight[static_cast<std::size_t>(t.key[l])];
  for (std::size_t l = 0; l < count; ++l) share[l] /= sum;
}

// Equal shares, by weight, of the keys with the largest score.
template <class T>
HWY_INLINE void HardShares(const Tokens<T>& t, std::size_t count, T top, T* share) {
  T sum = 0;
  for (std::size_t l = 0; l < count; ++l) {
    const std::size_t key = static_cast<std::size_t>(t.key[l]);
    share[l] = t.scores[key] >= top ? t.weight[key] : T{0};
    sum += share[l];
  }
  for (std::size_t l = 0; l < count; ++l) share[l] /= sum;
}

template <class T>
HWY_INLINE void ResultShares(const HardmaxProblem<T>& p, const Tokens<T>& t, std::size_t count, T top) {
  if (p.mode == Mode::kSoft)
    SoftShares(t, count, top, p.temperature, t.share);
  else
    HardShares(t, count, top, t.share);
}

// to += factor·from.
template <class T>
HWY_INLINE void AddScaled(std::size_t n, T factor, const T* from, T* to) {
  const hn::ScalableTag<T> d;
  const auto f = hn::Set(d, factor);
  for (std::size_t k = 0; k < n; k += hn::MaxLanes(d)) {
    const std::size_t count = std::min(hn::MaxLanes(d), n - k);
    StoreUpTo(Fma(f, LoadUpTo(d, from + k, count), LoadUpTo(d, to + k, count)), d, to + k, count);
  }
}

// mean = Σ share·token over the list.
template <class T>
HWY_INLINE void MeanOfList(const HardmaxProblem<T>& p, const Tokens<T>& t, const T* tokens,
                           std::size_t count) {
  std::fill_n(t.mean, p.cols, T{0});
  for (std::size_t l = 0; l < count; ++l)
    AddScaled(p.cols, t.share[l], tokens + static_cast<std::size_t>(t.key[l]) * p.cols, t.mean);
}

// to = x + step·(mean − x): a token that follows itself stays where it is, to the bit.
template <class T>
HWY_INLINE void Move(std::size_t n, T step, const T* x, const T* mean, T* to) {
  const hn::ScalableTag<T> d;
  const auto s = hn::Set(d, step);
  for (std::size_t k = 0; k < n; k += hn::MaxLanes(d)) {
    const std::size_t count = std::min(hn::MaxLanes(d), n - k);
    const auto from = LoadUpTo(d, x + k, count);
    StoreUpTo(Fma(s, hn::Sub(LoadUpTo(d, mean + k, count), from), from), d, to + k, count);
  }
}

template <class T>
HWY_INLINE void ForwardLayer(const HardmaxProblem<T>& p, const Tokens<T>& t, const T* tokens, T* followed,
                             T* result) {
  const T step = p.alpha / (T{1} + p.alpha), reach = Reach(p);
  Transpose(p, t, tokens);
  for (std::size_t i = 0; i < t.present; ++i) {
    const T* const x = tokens + i * p.cols;
    const T top = ScoreRow(t, p.cols, x, t.scores);
    const std::size_t count = ListKeys(t, top - reach);
    followed[i] = count == 1 ? t.key[0] : T{-1};
    const T* mean = t.mean;
    if (count == 1) {
      mean = tokens + static_cast<std::size_t>(t.key[0]) * p.cols;
    } else if (count == 0) {  // scores that are not numbers
      std::fill_n(t.mean, p.cols, std::numeric_limits<T>::quiet_NaN());
    } else {
      ResultShares(p, t, count, top);
      MeanOfList(p, t, tokens, count);
    }
    Move(p.cols, step, x, mean, result + i * p.cols);
  }
}

template <class T>
HWY_INLINE void Forward(const HardmaxProblem<T>& p) {
  const Tokens<T> t = Unpack(p);
  T* tokens = p.layers > 0 ? TokensOf(p, 0) : t.first;
  for (std::size_t i = 0; i < t.present; ++i)
    std::copy_n(p.x + static_cast<std::size_t>(t.origin[i]) * p.x_row, p.cols, tokens + i * p.cols);
  for (std::size_t layer = 0; layer < p.layers; ++layer) {
    T* const result = layer + 1 < p.layers ? TokensOf(p, layer + 1) : t.first;
    ForwardLayer(p, t, tokens, FollowedOf(p, layer), result);
    tokens = result;
  }
  for (std::size_t i = 0; i < p.rows; ++i) std::fill_n(p.y + i * p.y_row, p.cols, T{0});
  for (std::size_t i = 0; i < t.present; ++i)
    std::copy_n(tokens + i * p.cols, p.cols, p.y + static_cast<std::size_t>(t.origin[i]) * p.y_row);
}

// alpha_sum += gradient ∘ (mean − x), coordinate by coordinate.
template <class T>
HWY_INLINE void AddAlpha(std::size_t n, const T* gradient, const T* mean, const T* x, T* sum) {
  const hn::ScalableTag<T> d;
  for (std::size_t k = 0; k < n; k += hn::MaxLanes(d)) {
    const std::size_t count = std::min(hn::MaxLanes(d), n - k);
    const auto moved = hn::Sub(LoadUpTo(d, mean + k, count), LoadUpTo(d, x + k, count));
    StoreUpTo(Fma(LoadUpTo(d, gradient + k, count), moved, LoadUpTo(d, sum + k, count)), d, sum + k, count);
  }
}

// Through the scores of row i: dS_l = q_l (step·slope_l − Σ q·step·slope)/T for the shares q of the list.
template <class T>
HWY_INLINE void BackwardScores(const HardmaxProblem<T>& p, const Tokens<T>& t, const T* tokens, std::size_t i,
                               std::size_t count, T top) {
  const bool soft = p.mode == Mode::kSoft;
  const T* q = t.share;
  if (!soft) {
    SoftShares(t, count, top, p.ste_temperature, t.score_share);
    q = t.score_share;
  }
  const T step = p.alpha / (T{1} + p.alpha);
  const T factor = step / (soft ? p.temperature : p.ste_temperature);
  ScoreRow(t, p.cols, t.first + i * p.cols, t.slopes);
  T mean = 0;
  for (std::size_t l = 0; l < count; ++l) mean += q[l] * t.slopes[static_cast<std::size_t>(t.key[l])];
  for (std::size_t l = 0; l < count; ++l) {
    const std::size_t j = static_cast<std::size_t>(t.key[l]);
    const T slope = q[l] * (t.slopes[j] - mean) * factor;
    AddScaled(p.cols, slope, tokens + j * p.cols, t.second + i * p.cols);
    AddScaled(p.cols, slope, tokens + i * p.cols, t.second + j * p.cols);
  }
}

// From the gradient of a layer's result (first) to that of its tokens (second).
template <class T>
HWY_INLINE void BackwardLayer(const HardmaxProblem<T>& p, const Tokens<T>& t, const T* tokens,
                              const T* followed) {
  const T rest = T{1} / (T{1} + p.alpha), step = p.alpha * rest, reach = Reach(p);
  Transpose(p, t, tokens);
  for (std::size_t e = 0; e < t.present * p.cols; ++e) t.second[e] = rest * t.first[e];
  for (std::size_t i = 0; i < t.present; ++i) {
    const T *const gradient = t.first + i * p.cols, *const x = tokens + i * p.cols;
    if (followed[i] >= T{0}) {
      const std::size_t j = static_cast<std::size_t>(followed[i]);
      AddScaled(p.cols, step, gradient, t.second + j * p.cols);
      AddAlpha(p.cols, gradient, tokens + j * p.cols, x, t.alpha_sum);
      continue;
    }
    const T top = ScoreRow(t, p.cols, x, t.scores);
    const std::size_t count = ListKeys(t, top - reach);
    ResultShares(p, t, count, top);
    MeanOfList(p, t, tokens, count);
    AddAlpha(p.cols, gradient, t.mean, x, t.alpha_sum);
    for (std::size_t l = 0; l < count; ++l)
      AddScaled(p.cols, step * t.share[l], gradient, t.second + static_cast<std::size_t>(t.key[l]) * p.cols);
    if (p.mode != Mode::kHard) BackwardScores(p, t, tokens, i, count, top);
  }
}

template <class T>
HWY_INLINE void Backward(const HardmaxProblem<T>& p) {
  Tokens<T> t = Unpack(p);
  for (std::size_t i = 0; i < t.present; ++i)
    std::copy_n(p.dy + static_cast<std::size_t>(t.origin[i]) * p.dy_row, p.cols, t.first + i * p.cols);
  std::fill_n(t.alpha_sum, p.cols, T{0});
  for (std::size_t layer = p.layers; layer-- > 0;) {
    BackwardLayer(p, t, TokensOf(p, layer), FollowedOf(p, layer));
    std::swap(t.first, t.second);
  }
  if (p.dalpha != nullptr) {
    T sum = 0;
    for (std::size_t k = 0; k < p.cols; ++k) sum += t.alpha_sum[k];
    *p.dalpha += sum / ((T{1} + p.alpha) * (T{1} + p.alpha));
  }
  if (p.dx == nullptr) return;
  for (std::size_t i = 0; i < t.present; ++i)
    AddScaled(p.cols, T{1}, t.first + i * p.cols, p.dx + static_cast<std::size_t>(t.origin[i]) * p.dx_row);
}

void HardmaxForwardF32(const HardmaxProblem<float>& p) {
  Forward(p);
}
void HardmaxForwardF64(const HardmaxProblem<double>& p) {
  Forward(p);
}
void HardmaxBackwardF32(const HardmaxProblem<float>& p) {
  Backward(p);
}
void HardmaxBackwardF64(const HardmaxProblem<double>& p) {
  Backward(p);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {
HWY_EXPORT(HardmaxForwardF32);
HWY_EXPORT(HardmaxForwardF64);
HWY_EXPORT(HardmaxBackwardF32);
HWY_EXPORT(HardmaxBackwardF64);

void nn::hardmax_forward(const HardmaxProblem<float>& p) {
  HWY_DYNAMIC_DISPATCH(HardmaxForwardF32)(p);
}
void nn::hardmax_forward(const HardmaxProblem<double>& p) {
  HWY_DYNAMIC_DISPATCH(HardmaxForwardF64)(p);
}
void nn::hardmax_backward(const HardmaxProblem<float>& p) {
  HWY_DYNAMIC_DISPATCH(HardmaxBackwardF32)(p);
}
void nn::hardmax_backward(const HardmaxProblem<double>& p) {
  HWY_DYNAMIC_DISPATCH(HardmaxBackwardF64)(p);
}
}  // namespace telos
#endif
