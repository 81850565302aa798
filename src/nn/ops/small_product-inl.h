// Products of matrices that fit into the first-level cache, one sample's head at a time: no packing, no
// threads, no calls. Each element is one chain of fused multiply-adds in ascending k from 0, so that its bits
// do not depend on the vector width; what was in C is added last.
#if defined(TELOS_NN_SMALL_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TELOS_NN_SMALL_PRODUCT_INL_H_
#undef TELOS_NN_SMALL_PRODUCT_INL_H_
#else
#define TELOS_NN_SMALL_PRODUCT_INL_H_
#endif

#include "linalg/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

// C (m×n) from A (m×k), whose element (i, k) lies at a[i * a_row + k * a_col], and B (k×n). Lanes run along
// n.
template <class T>
struct SmallProduct {
  std::size_t m, n, k;
  const T* a;
  std::size_t a_row, a_col;
  const T* b;
  std::size_t b_row;
  T* c;
  std::size_t c_row;
};

// kRows rows × kVectors vectors of C stay in registers; the last vector has `count` lanes.
template <bool kAdd, std::size_t kRows, std::size_t kVectors, bool kPartial, class T>
HWY_INLINE void ProductBlock(const SmallProduct<T>& p, std::size_t i, std::size_t j, std::size_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  V sum[kRows][kVectors];
  TELOS_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  const T* a = p.a + i * p.a_row;
  const T* b = p.b + j;
  for (std::size_t k = 0; k < p.k; ++k, a += p.a_col, b += p.b_row) {
    V right[kVectors];
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v)
      right[v] = kPartial && v + 1 == kVectors ? LoadPartial(d, b + v * kWidth, count)
                                               : hn::LoadU(d, b + v * kWidth);
    TELOS_UNROLL
    for (std::size_t r = 0; r < kRows; ++r) {
      const V left = hn::Set(d, a[r * p.a_row]);
      TELOS_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = Fma(left, right[v], sum[r][v]);
    }
  }
  TELOS_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) {
    T* c = p.c + (i + r) * p.c_row + j;
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      const std::size_t lanes = kPartial && v + 1 == kVectors ? count : kWidth;
      V out = sum[r][v];
      if constexpr (kAdd) out = hn::Add(LoadUpTo(d, c + v * kWidth, lanes), out);
      StoreUpTo(out, d, c + v * kWidth, lanes);
    }
  }
}

template <bool kAdd, std::size_t kVectors, bool kPartial, class T>
HWY_INLINE void ProductColumns(const SmallProduct<T>& p, std::size_t j, std::size_t count) {
  std::size_t i = 0;
  // Blocks of nearly equal height: 9 rows are 5 + 4, not 6 + 3.
  for (std::size_t blocks = (p.m + 5) / 6; blocks > 0; --blocks) {
    const std::size_t rows = (p.m - i + blocks - 1) / blocks;
    switch (rows) {
      case 6:
        ProductBlock<kAdd, 6, kVectors, kPartial>(p, i, j, count);
        break;
      case 5:
        ProductBlock<kAdd, 5, kVectors, kPartial>(p, i, j, count);
        break;
      case 4:
        ProductBlock<kAdd, 4, kVectors, kPartial>(p, i, j, count);
        break;
      case 3:
        ProductBlock<kAdd, 3, kVectors, kPartial>(p, i, j, count);
        break;
      case 2:
        ProductBlock<kAdd, 2, kVectors, kPartial>(p, i, j, count);
        break;
      default:
        ProductBlock<kAdd, 1, kVectors, kPartial>(p, i, j, count);
        break;
    }
    i += rows;
  }
}

// C ← A·B, or C ← C + A·B.
template <bool kAdd, class T>
HWY_NOINLINE void Multiply(const SmallProduct<T>& p) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  std::size_t j = 0;
  for (; j + 2 * kWidth <= p.n; j += 2 * kWidth) ProductColumns<kAdd, 2, false>(p, j, kWidth);
  const std::size_t rest = p.n - j;
  if (rest > kWidth) {
    ProductColumns<kAdd, 2, true>(p, j, rest - kWidth);
  } else if (rest == kWidth) {
    ProductColumns<kAdd, 1, false>(p, j, kWidth);
  } else if (rest > 0) {
    ProductColumns<kAdd, 1, true>(p, j, rest);
  }
}

// out (cols × padded) ← factor·Aᵀ for A (rows × cols), zero from column `rows` on.
template <class T>
HWY_INLINE void TransposeScaled(const T* a, std::size_t a_row, std::size_t rows, std::size_t cols, T factor,
                                T* out, std::size_t padded) {
  for (std::size_t k = 0; k < cols; ++k) {
    T* to = out + k * padded;
    for (std::size_t i = 0; i < rows; ++i) to[i] = factor * a[i * a_row + k];
    for (std::size_t i = rows; i < padded; ++i) to[i] = T{0};
  }
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
