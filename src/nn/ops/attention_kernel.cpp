#include "nn/ops/attention_kernel.h"

#include <limits>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/ops/attention_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/vecmath-inl.h"
#include "nn/ops/small_product-inl.h"

// Scores are kept transposed: row j holds the scores of key j with all queries, queries along the lanes. Then
// the softmax over keys runs down the columns, without a horizontal step; one product shape serves all seven
// products; and no bit depends on the vector width.

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using nn::AttentionProblem;
using Kind = nn::AttentionOptions::Kind;

template <class T>
struct Head {
  const T *q, *k, *v;
  T* weights;  // length × padded: element (key j, query i)
  T* chosen;   // kHard: the key that query i took
};

template <class T>
std::size_t QueryColumn(const AttentionProblem<T>& p, std::size_t h) {
  return (p.interleaved ? 2 * h : h) * p.d_k;
}
template <class T>
std::size_t KeyColumn(const AttentionProblem<T>& p, std::size_t h) {
  return (p.interleaved ? 2 * h + 1 : p.heads + h) * p.d_k;
}

template <class T>
Head<T> HeadOf(const AttentionProblem<T>& p, std::size_t sample, std::size_t h) {
  const T* qk = p.qk + sample * p.length * p.qk_row;
  T* saved = p.saved + (sample * p.heads + h) * p.saved_per_head();
  return {qk + QueryColumn(p, h), qk + KeyColumn(p, h), p.v + sample * p.length * p.v_row + h * p.d_v, saved,
          saved + p.length * p.padded()};
}

// Queries (lanes from `first` on) that do not see key j.
template <class D>
HWY_INLINE auto Hidden(D d, std::size_t first, std::size_t j) {
  using T = hn::TFromD<D>;
  return hn::Lt(hn::Iota(d, static_cast<T>(first)), hn::Set(d, static_cast<T>(j)));
}

// Scores of one vector of queries become their weights.
template <bool kCausal, class T>
HWY_INLINE void SoftmaxColumns(T* scores, std::size_t length, std::size_t row, std::size_t first) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const V lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  V top = lowest;
  for (std::size_t j = 0; j < length; ++j) {
    V s = hn::LoadU(d, scores + j * row + first);
    if constexpr (kCausal) {
      s = hn::IfThenElse(Hidden(d, first, j), lowest, s);
      hn::StoreU(s, d, scores + j * row + first);
    }
    top = hn::IfThenElse(hn::Gt(s, top), s, top);  // not Max: its answer to NaN differs between targets
  }
  V sum = hn::Zero(d);
  for (std::size_t j = 0; j < length; ++j) {
    const V e = Exp<ExpRange::kNotPositive>(d, hn::Sub(hn::LoadU(d, scores + j * row + first), top));
    hn::StoreU(e, d, scores + j * row + first);
    sum = hn::Add(sum, e);
  }
  const V norm = hn::Div(hn::Set(d, T{1}), sum);
  for (std::size_t j = 0; j < length; ++j)
    hn::StoreU(hn::Mul(hn::LoadU(d, scores + j * row + first), norm), d, scores + j * row + first);
}

// Each query's key with the largest score that it sees; the lowest of equals.
template <class T>
HWY_INLINE void ChooseColumns(const AttentionProblem<T>& p, const T* scores, std::size_t first, T* chosen) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  V top = hn::LoadU(d, scores + first), index = hn::Zero(d);
  for (std::size_t j = 1; j < p.length; ++j) {
    const V s = hn::LoadU(d, scores + j * p.padded() + first);
    auto better = hn::Gt(s, top);
    if (p.causal) better = hn::AndNot(Hidden(d, first, j), better);
    top = hn::IfThenElse(better, s, top);
    index = hn::IfThenElse(better, hn::Set(d, static_cast<T>(j)), index);
  }
  hn::StoreU(index, d, chosen + first);
}

template <class T>
HWY_INLINE void LinearColumns(const AttentionProblem<T>& p, T* scores, std::size_t first) {
  const hn::ScalableTag<T> d;
  const auto share = hn::Set(d, T{1} / static_cast<T>(p.length));
  for (std::size_t j = 0; j < p.length; ++j) {
    T* at = scores + j * p.padded() + first;
    auto w = hn::Mul(hn::LoadU(d, at), share);
    if (p.causal) w = hn::IfThenZeroElse(Hidden(d, first, j), w);
    hn::StoreU(w, d, at);
  }
}

template <class T>
HWY_INLINE void WeightsOfHead(const AttentionProblem<T>& p, const Head<T>& head) {
  const std::size_t padded = p.padded();
  TransposeScaled(head.q, p.qk_row, p.length, p.d_k, p.scale, p.scratch, padded);
  Multiply<false>(
      SmallProduct<T>{p.length, padded, p.d_k, head.k, p.qk_row, 1, p.scratch, padded, head.weights, padded});
  for (std::size_t first = 0; first < padded; first += hn::MaxLanes(hn::ScalableTag<T>())) {
    if (p.kind == Kind::kLinear) {
      LinearColumns(p, head.weights, first);
      continue;
    }
    if (p.kind == Kind::kHard) ChooseColumns(p, head.weights, first, head.chosen);
    if (p.causal)
      SoftmaxColumns<true>(head.weights, p.length, padded, first);
    else
      SoftmaxColumns<false>(head.weights, p.length, padded, first);
  }
}

template <class T>
HWY_INLINE void AttentionForward(const AttentionProblem<T>& p) {
  for (std::size_t sample = 0; sample < p.samples; ++sample)
    for (std::size_t h = 0; h < p.heads; ++h) {
      const Head<T> head = HeadOf(p, sample, h);
      WeightsOfHead(p, head);
      T* y = p.y + sample * p.length * p.y_row + h * p.d_v;
      if (p.kind == Kind::kHard) {
        for (std::size_t i = 0; i < p.length; ++i)
          std::copy_n(head.v + static_cast<std::size_t>(head.chosen[i]) * p.v_row, p.d_v, y + i * p.y_row);
      } else {
        Multiply<false>(SmallProduct<T>{p.length, p.d_v, p.length, head.weights, 1, p.padded(), head.v,
                                        p.v_row, y, p.y_row});
      }
    }
}

// Gradients of the weights become those of the unscaled scores, times the scale.
template <class T>
HWY_INLINE void ScoreGradient(const AttentionProblem<T>& p, const T* weights, T* gradient) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  const std::size_t padded = p.padded();
  const bool linear = p.kind == Kind::kLinear;
  const V factor = hn::Set(d, linear ? p.scale / static_cast<T>(p.length) : p.scale);
  for (std::size_t first = 0; first < padded; first += hn::MaxLanes(d)) {
    if (linear) {
      for (std::size_t j = 0; j < p.length; ++j) {
        T* at = gradient + j * padded + first;
        V g = hn::Mul(hn::LoadU(d, at), factor);
        if (p.causal) g = hn::IfThenZeroElse(Hidden(d, first, j), g);
        hn::StoreU(g, d, at);
      }
      continue;
    }
    V mean = hn::Zero(d);  // Σ_j w_ij dw_ij
    for (std::size_t j = 0; j < p.length; ++j)
      mean =
          Fma(hn::LoadU(d, weights + j * padded + first), hn::LoadU(d, gradient + j * padded + first), mean);
    for (std::size_t j = 0; j < p.length; ++j) {
      T* at = gradient + j * padded + first;
      const V w = hn::Mul(hn::LoadU(d, weights + j * padded + first), factor);
      hn::StoreU(hn::Mul(w, hn::Sub(hn::LoadU(d, at), mean)), d, at);
    }
  }
}

template <class T>
HWY_INLINE void AttentionBackward(const AttentionProblem<T>& p) {
  const std::size_t length = p.length, padded = p.padded();
  T* transposed = p.scratch;
  T* gradient = p.scratch + padded * std::max(p.d_k, p.d_v);  // of weights, then of scores: keys × queries
  for (std::size_t sample = 0; sample < p.samples; ++sample)
    for (std::size_t h = 0; h < p.heads; ++h) {
      const Head<T> head = HeadOf(p, sample, h);
      const T* dy = p.dy + sample * length * p.dy_row + h * p.d_v;
      if (p.dv != nullptr) {
        T* dv = p.dv + sample * length * p.dv_row + h * p.d_v;
        if (p.kind == Kind::kHard) {
          for (std::size_t i = 0; i < length; ++i) {
            T* to = dv + static_cast<std::size_t>(head.chosen[i]) * p.dv_row;
            for (std::size_t c = 0; c < p.d_v; ++c) to[c] += dy[i * p.dy_row + c];
          }
        } else {
          Multiply<true>(
              SmallProduct<T>{length, p.d_v, length, head.weights, padded, 1, dy, p.dy_row, dv, p.dv_row});
        }
      }
      if (p.dqk == nullptr) continue;
      TransposeScaled(dy, p.dy_row, length, p.d_v, T{1}, transposed, padded);
      Multiply<false>(
          SmallProduct<T>{length, padded, p.d_v, head.v, p.v_row, 1, transposed, padded, gradient, padded});
      ScoreGradient(p, head.weights, gradient);
      T* dqk = p.dqk + sample * length * p.dqk_row;
      Multiply<true>(SmallProduct<T>{length, p.d_k, length, gradient, 1, padded, head.k, p.qk_row,
                                     dqk + QueryColumn(p, h), p.dqk_row});
      Multiply<true>(SmallProduct<T>{length, p.d_k, length, gradient, padded, 1, head.q, p.qk_row,
                                     dqk + KeyColumn(p, h), p.dqk_row});
    }
}

void AttentionForwardF32(const AttentionProblem<float>& p) {
  AttentionForward(p);
}
void AttentionForwardF64(const AttentionProblem<double>& p) {
  AttentionForward(p);
}
void AttentionBackwardF32(const AttentionProblem<float>& p) {
  AttentionBackward(p);
}
void AttentionBackwardF64(const AttentionProblem<double>& p) {
  AttentionBackward(p);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {
HWY_EXPORT(AttentionForwardF32);
HWY_EXPORT(AttentionForwardF64);
HWY_EXPORT(AttentionBackwardF32);
HWY_EXPORT(AttentionBackwardF64);

void nn::attention_forward(const AttentionProblem<float>& p) {
  HWY_DYNAMIC_DISPATCH(AttentionForwardF32)(p);
}
void nn::attention_forward(const AttentionProblem<double>& p) {
  HWY_DYNAMIC_DISPATCH(AttentionForwardF64)(p);
}
void nn::attention_backward(const AttentionProblem<float>& p) {
  HWY_DYNAMIC_DISPATCH(AttentionBackwardF32)(p);
}
void nn::attention_backward(const AttentionProblem<double>& p) {
  HWY_DYNAMIC_DISPATCH(AttentionBackwardF64)(p);
}
}  // namespace telos
#endif
