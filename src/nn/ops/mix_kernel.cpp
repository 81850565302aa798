#include "nn/ops/mix_kernel.h"

#include <array>
#include <utility>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/ops/mix_kernel.cpp"
#include <hwy/foreach_target.h>

#include "nn/ops/lane_sums-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using nn::MixProblem;

// Accumulators of a tile: rows × vectors for M and dV, rows of dM × rows of V for dA.
#if HWY_TARGET == HWY_AVX3
constexpr std::size_t kAccumulators = 24, kMaxRows = 12, kMaxVectors = 4, kMaxQ = 3, kMaxJ = 9;
#elif HWY_TARGET == HWY_SCALAR
constexpr std::size_t kAccumulators = 2, kMaxRows = 1, kMaxVectors = 2, kMaxQ = 1, kMaxJ = 1;
#else
constexpr std::size_t kAccumulators = 12, kMaxRows = 6, kMaxVectors = 2, kMaxQ = 2, kMaxJ = 2;
#endif

// Pieces of nearly equal size, none above `most`.
struct Split {
  std::size_t count, base, extra;
  Split(std::size_t n, std::size_t most) : count((n + most - 1) / most), base(n / count), extra(n % count) {}
  std::size_t Begin(std::size_t i) const { return i * base + std::min(i, extra); }
  std::size_t Size(std::size_t i) const { return base + (i < extra ? 1 : 0); }
};

// Rows r of a small product: out[r] (+)= start[r] + Σ_s Σ_p a[s·a_segment + p·a_step + r·a_row] ·
// b[s·b_segment + p·b_row].
template <class T>
struct SumOfRows {
  std::size_t segments, k;
  const T* a;
  std::size_t a_segment, a_step, a_row;
  const T* b;
  std::size_t b_segment, b_row;
  const T* start;  // null: 0
  std::size_t start_row;
  T* out;
  std::size_t out_row;
  bool add;
};

template <class T, std::size_t kRows, std::size_t kVectors, bool kPartial>
HWY_INLINE void RowsTile(const SumOfRows<T>& s, std::size_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  const auto load = [&](const T* p)
                        HWY_ATTR { return kPartial ? LoadPartial(d, p, count) : hn::LoadU(d, p); };
  V acc[kRows][kVectors];
  TELOS_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v)
    acc[r][v] = s.start == nullptr ? hn::Zero(d) : load(s.start + r * s.start_row + v * kWidth);
  for (std::size_t segment = 0; segment < s.segments; ++segment) {
    const T* a = s.a + segment * s.a_segment;
    const T* b = s.b + segment * s.b_segment;
    for (std::size_t p = 0; p < s.k; ++p, a += s.a_step, b += s.b_row) {
      V row[kVectors];
      TELOS_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) row[v] = load(b + v * kWidth);
      TELOS_UNROLL
      for (std::size_t r = 0; r < kRows; ++r) {
        const V x = hn::Set(d, a[r * s.a_row]);
        TELOS_UNROLL
        for (std::size_t v = 0; v < kVectors; ++v) acc[r][v] = Fma(x, row[v], acc[r][v]);
      }
    }
  }
  TELOS_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) TELOS_UNROLL
  for (std::size_t v = 0; v < kVectors; ++v) {
    T* const out = s.out + r * s.out_row + v * kWidth;
    if (s.add) acc[r][v] = hn::Add(load(out), acc[r][v]);
    if (kPartial)
      StorePartial(acc[r][v], d, out, count);
    else
      hn::StoreU(acc[r][v], d, out);
  }
}

template <class T, std::size_t kRows, std::size_t kVectors>
void RowsTileOf(const SumOfRows<T>& s, std::size_t count) {
  if (count == hn::MaxLanes(hn::ScalableTag<T>()))
    RowsTile<T, kRows, kVectors, false>(s, count);
  else if constexpr (kVectors == 1)
    RowsTile<T, kRows, 1, true>(s, count);
}

// Tile functions by number of rows − 1.
template <class T, std::size_t kVectors, std::size_t... kIndex>
constexpr auto RowsTable(std::index_sequence<kIndex...>) {
  return std::array{&RowsTileOf<T, kIndex + 1, kVectors>...};
}
constexpr std::size_t RowsOfTile(std::size_t vectors) {
  return std::min(kMaxRows, kAccumulators / vectors);
}
template <class T, std::size_t kVectors>
constexpr auto kRowsTiles = RowsTable<T, kVectors>(std::make_index_sequence<RowsOfTile(kVectors)>());

// kVectors vectors of columns of all rows.
template <std::size_t kVectors, class T>
HWY_INLINE void Strip(SumOfRows<T> s, std::size_t rows, std::size_t count) {
  const Split tiles(rows, RowsOfTile(kVectors));
  for (std::size_t t = 0; t < tiles.count; ++t) {
    const std::size_t n = tiles.Size(t);
    kRowsTiles<T, kVectors>[n - 1](s, count);
    s.a += n * s.a_row;
    if (s.start != nullptr) s.start += n * s.start_row;
    s.out += n * s.out_row;
  }
}

template <class T>
HWY_INLINE void AllColumns(SumOfRows<T> s, std::size_t rows, std::size_t cols) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  const auto advance = [&](std::size_t n) HWY_ATTR {
    s.b += n;
    if (s.start != nullptr) s.start += n;
    s.out += n;
    cols -= n;
  };
  while (cols >= kMaxVectors * kWidth) {
    Strip<kMaxVectors>(s, rows, kWidth);
    advance(kMaxVectors * kWidth);
  }
  while (cols >= 2 * kWidth) {
    Strip<2>(s, rows, kWidth);
    advance(2 * kWidth);
  }
  while (cols > 0) {
    const std::size_t count = std::min(cols, kWidth);
    Strip<1>(s, rows, count);
    advance(count);
  }
}

template <class T>
void Forward(const MixProblem<T>& p) {
  const std::size_t s = p.rows;
  for (std::size_t n = 0; n < p.samples; ++n) {
    const T* const v = p.v + n * s * p.v_row;
    T* const m = p.m + n * s * p.m_row;
    if (p.m_first != 0)
      for (std::size_t i = 0; i < s; ++i) std::copy_n(v + i * p.v_row, p.cols, m + i * p.m_row);
    for (std::size_t h = 0; h < p.heads; ++h)
      AllColumns<T>({.segments = 1,
                     .k = s,
                     .a = p.a + h * s * s,
                     .a_segment = 0,
                     .a_step = 1,
                     .a_row = s,
                     .b = v + h * p.v_step,
                     .b_segment = 0,
                     .b_row = p.v_row,
                     .start = nullptr,
                     .start_row = 0,
                     .out = m + p.m_first + h * p.m_step,
                     .out_row = p.m_row,
                     .add = false},
                    s, p.cols);
  }
}

// dV_j = Σ_h Σ_i A_h[i, j] dM_h,i for the heads [first, first + heads), which share their columns of V.
template <class T>
void BackwardValue(const MixProblem<T>& p, std::size_t sample, std::size_t first, std::size_t heads) {
  const std::size_t s = p.rows;
  const T* const dm = p.dm + sample * s * p.m_row;
  AllColumns<T>({.segments = heads,
                 .k = s,
                 .a = p.a + first * s * s,
                 .a_segment = s * s,
                 .a_step = s,
                 .a_row = 1,
                 .b = dm + p.m_first + first * p.m_step,
                 .b_segment = p.m_step,
                 .b_row = p.m_row,
                 .start = p.m_first != 0 ? dm : nullptr,
                 .start_row = p.m_row,
                 .out = p.dv + sample * s * p.dv_row + first * p.v_step,
                 .out_row = p.dv_row,
                 .add = !p.store_dv},
                s, p.cols);
}

// kQ rows of dM against kJ rows of V, over the columns of `samples` samples.
template <class T>
struct DotTile {
  std::size_t samples, cols;
  const T* dm;
  std::size_t m_row, m_sample;
  const T* v;
  std::size_t v_row, v_sample;
  T* sums;  // lanes of element (q, j) at (q · rows + j) · kRowLanes
  std::size_t rows;
  bool first;  // sums start at 0
};

template <class T, std::size_t kQ, std::size_t kJ>
void Dots(const DotTile<T>& t) {
  const hn::CappedTag<T, kRowLanes<T>> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d), kParts = kRowLanes<T> / kWidth;
  V acc[kQ][kJ][kParts];
  TELOS_UNROLL
  for (std::size_t q = 0; q < kQ; ++q) TELOS_UNROLL
  for (std::size_t j = 0; j < kJ; ++j) TELOS_UNROLL
  for (std::size_t w = 0; w < kParts; ++w)
    acc[q][j][w] =
        t.first ? hn::Zero(d) : hn::LoadU(d, t.sums + (q * t.rows + j) * kRowLanes<T> + w * kWidth);
  // One step of all lanes; `load` reads one vector of a row.
  const auto step = [&](const T* dm, const T* v, const auto& load) HWY_ATTR {
    V left[kQ][kParts];
    TELOS_UNROLL
    for (std::size_t q = 0; q < kQ; ++q) TELOS_UNROLL
    for (std::size_t w = 0; w < kParts; ++w) left[q][w] = load(dm + q * t.m_row, w * kWidth);
    TELOS_UNROLL
    for (std::size_t j = 0; j < kJ; ++j) TELOS_UNROLL
    for (std::size_t w = 0; w < kParts; ++w) {
      const V right = load(v + j * t.v_row, w * kWidth);
      TELOS_UNROLL
      for (std::size_t q = 0; q < kQ; ++q) acc[q][j][w] = Fma(left[q][w], right, acc[q][j][w]);
    }
  };
  const std::size_t whole = t.cols / kRowLanes<T> * kRowLanes<T>, rest = t.cols - whole;
  for (std::size_t n = 0; n < t.samples; ++n) {
    const T* const dm = t.dm + n * t.m_sample;
    const T* const v = t.v + n * t.v_sample;
    for (std::size_t c = 0; c < whole; c += kRowLanes<T>)
      step(dm + c, v + c, [&](const T* row, std::size_t at) HWY_ATTR { return hn::LoadU(d, row + at); });
    if (rest != 0)
      step(dm + whole, v + whole, [&](const T* row, std::size_t at) HWY_ATTR {
        if (at >= rest) return hn::Zero(d);
        return LoadUpTo(d, row + at, std::min(kWidth, rest - at));
      });
  }
  TELOS_UNROLL
  for (std::size_t q = 0; q < kQ; ++q) TELOS_UNROLL
  for (std::size_t j = 0; j < kJ; ++j) TELOS_UNROLL
  for (std::size_t w = 0; w < kParts; ++w)
    hn::StoreU(acc[q][j][w], d, t.sums + (q * t.rows + j) * kRowLanes<T> + w * kWidth);
}

// Tile functions by kQ − 1, kJ − 1.
template <class T>
using DotsRow = std::array<void (*)(const DotTile<T>&), kMaxJ>;
template <class T, std::size_t kQ, std::size_t... kIndex>
constexpr DotsRow<T> MakeDotsRow(std::index_sequence<kIndex...>) {
  return {&Dots<T, kQ, kIndex + 1>...};
}
template <class T, std::size_t... kIndex>
constexpr std::array<DotsRow<T>, kMaxQ> MakeDots(std::index_sequence<kIndex...>) {
  return {MakeDotsRow<T, kIndex + 1>(std::make_index_sequence<kMaxJ>())...};
}
template <class T>
constexpr auto kDots = MakeDots<T>(std::make_index_sequence<kMaxQ>());

// dA of the samples [begin, end), in sums that wait in p.scratch. Without that memory all samples are done
// at once, tile by tile, and each tile's sums are added to dA.
template <class T>
void BackwardAttention(const MixProblem<T>& p, std::size_t begin, std::size_t end) {
  const std::size_t s = p.rows;
  const Split q_tiles(s, kMaxQ), j_tiles(s, kMaxJ);
  alignas(64) T tile_sums[kMaxQ * kMaxJ * kRowLanes<T>];
  for (std::size_t h = 0; h < p.heads; ++h)
    for (std::size_t jt = 0; jt < j_tiles.count;
         ++jt)  // outside: its rows of V stay in the first-level cache
      for (std::size_t qt = 0; qt < q_tiles.count; ++qt) {
        const std::size_t q = q_tiles.Begin(qt), qn = q_tiles.Size(qt), j = j_tiles.Begin(jt),
                          jn = j_tiles.Size(jt);
        const bool keep = p.scratch != nullptr;
        const DotTile<T> tile{.samples = end - begin,
                              .cols = p.cols,
                              .dm = p.dm + (begin * s + q) * p.m_row + p.m_first + h * p.m_step,
                              .m_row = p.m_row,
                              .m_sample = s * p.m_row,
                              .v = p.v + (begin * s + j) * p.v_row + h * p.v_step,
                              .v_row = p.v_row,
                              .v_sample = s * p.v_row,
                              .sums = keep ? p.scratch + ((h * s + q) * s + j) * kRowLanes<T> : tile_sums,
                              .rows = keep ? s : jn,
                              .first = begin == 0};
        kDots<T>[qn - 1][jn - 1](tile);
        if (keep) continue;
        T sums[kMaxQ * kMaxJ];
        SumsOfRows(tile_sums, qn * jn, sums);
        for (std::size_t x = 0; x < qn; ++x)
          for (std::size_t y = 0; y < jn; ++y) p.da[(h * s + q + x) * s + j + y] += sums[x * jn + y];
      }
}

// Samples whose V and dM stay in the first-level cache from dV to dA.
template <class T>
std::size_t SamplesAtOnce(const MixProblem<T>& p) {
  if (p.da != nullptr && p.scratch == nullptr) return p.samples;
  constexpr std::size_t kBytes = 32768;
  const std::size_t sample = p.rows * (p.v_row + p.m_row) * sizeof(T);
  return std::max<std::size_t>(1, kBytes / sample);
}

template <class T>
void BackwardSamples(const MixProblem<T>& p) {
  const std::size_t at_once = SamplesAtOnce(p);
  for (std::size_t begin = 0; begin < p.samples; begin += at_once) {
    const std::size_t end = std::min(p.samples, begin + at_once);
    for (std::size_t n = begin; n < end && p.dv != nullptr; ++n) {
      if (p.v_step == 0)
        BackwardValue(p, n, 0, p.heads);
      else
        for (std::size_t h = 0; h < p.heads; ++h) BackwardValue(p, n, h, 1);
    }
    if (p.da != nullptr) BackwardAttention(p, begin, end);
  }
  if (p.da == nullptr || p.scratch == nullptr || p.samples == 0) return;
  constexpr std::size_t kAtOnce = 64;
  T sums[kAtOnce];
  for (std::size_t i = 0, n = p.heads * p.rows * p.rows; i < n; i += kAtOnce) {
    const std::size_t count = std::min(kAtOnce, n - i);
    SumsOfRows(p.scratch + i * kRowLanes<T>, count, sums);
    for (std::size_t k = 0; k < count; ++k) p.da[i + k] += sums[k];
  }
}

// Few columns leave most of a vector empty: the samples' columns are laid side by side instead, as one sample
// with many columns.
template <class T>
struct SideBySide {
  const MixProblem<T>& p;
  std::size_t width = nn::mix_side_by_side(p.samples, p.cols);

  // Columns [col, col + p.cols) of each sample's rows into a matrix of `width` columns, or back.
  void Gather(const T* from, std::size_t row, T* to, std::size_t to_row) const {
    for (std::size_t i = 0; i < p.rows; ++i) {
      T* out = to + i * to_row;
      for (std::size_t n = 0; n < p.samples; ++n)
        for (std::size_t c = 0; c < p.cols; ++c) *out++ = from[(n * p.rows + i) * row + c];
    }
  }
  template <bool kAdd>
  void Scatter(const T* from, std::size_t from_row, T* to, std::size_t row) const {
    for (std::size_t i = 0; i < p.rows; ++i) {
      const T* in = from + i * from_row;
      for (std::size_t n = 0; n < p.samples; ++n)
        for (std::size_t c = 0; c < p.cols; ++c) {
          T& out = to[(n * p.rows + i) * row + c];
          out = kAdd ? out + *in : *in;
          ++in;
        }
    }
  }

  // The problem on the wide matrices in `scratch`: V, M or dM, dV.
  MixProblem<T> Wide() const {
    MixProblem<T> wide = p;
    wide.samples = 1;
    wide.cols = p.samples * p.cols;
    wide.v_row = wide.dv_row = wide.m_step = width;
    wide.m_first = p.m_first != 0 ? width : 0;
    wide.m_row = wide.m_first + p.heads * width;
    wide.v = p.scratch;
    wide.scratch = nullptr;
    return wide;
  }
};

template <class T>
void ForwardSideBySide(const MixProblem<T>& p) {
  const SideBySide<T> side{p};
  MixProblem<T> wide = side.Wide();
  side.Gather(p.v, p.v_row, p.scratch, side.width);
  wide.m = p.scratch + p.rows * side.width;
  Forward(wide);
  if (p.m_first != 0) side.template Scatter<false>(wide.m, wide.m_row, p.m, p.m_row);
  for (std::size_t h = 0; h < p.heads; ++h)
    side.template Scatter<false>(wide.m + wide.m_first + h * wide.m_step, wide.m_row,
                                 p.m + p.m_first + h * p.m_step, p.m_row);
}

template <class T>
void BackwardSideBySide(const MixProblem<T>& p) {
  const SideBySide<T> side{p};
  MixProblem<T> wide = side.Wide();
  side.Gather(p.v, p.v_row, p.scratch, side.width);
  T* const dm = p.scratch + p.rows * side.width;
  if (p.m_first != 0) side.Gather(p.dm, p.m_row, dm, wide.m_row);
  for (std::size_t h = 0; h < p.heads; ++h)
    side.Gather(p.dm + p.m_first + h * p.m_step, p.m_row, dm + wide.m_first + h * wide.m_step, wide.m_row);
  wide.dm = dm;
  wide.dv = p.dv == nullptr ? nullptr : dm + p.rows * wide.m_row;
  wide.store_dv = true;
  BackwardSamples(wide);
  if (p.dv == nullptr) return;
  if (p.store_dv)
    side.template Scatter<false>(wide.dv, side.width, p.dv, p.dv_row);
  else
    side.template Scatter<true>(wide.dv, side.width, p.dv, p.dv_row);
}

template <class T>
bool IsNarrow(const MixProblem<T>& p) {
  return p.v_step == 0 && nn::mix_side_by_side(p.samples, p.cols) != 0;
}

template <class T>
void AnyForward(const MixProblem<T>& p) {
  if (IsNarrow(p)) return ForwardSideBySide(p);
  Forward(p);
}

template <class T>
void AnyBackward(const MixProblem<T>& p) {
  if (IsNarrow(p)) return BackwardSideBySide(p);
  BackwardSamples(p);
}

void MixForwardF32(const MixProblem<float>& p) {
  AnyForward(p);
}
void MixForwardF64(const MixProblem<double>& p) {
  AnyForward(p);
}
void MixBackwardF32(const MixProblem<float>& p) {
  AnyBackward(p);
}
void MixBackwardF64(const MixProblem<double>& p) {
  AnyBackward(p);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

HWY_EXPORT(MixForwardF32);
HWY_EXPORT(MixForwardF64);
HWY_EXPORT(MixBackwardF32);
HWY_EXPORT(MixBackwardF64);

namespace nn {

std::size_t mix_side_by_side(std::size_t samples, std::size_t cols) {
  constexpr std::size_t kFewColumns = 4, kLanes = 16;
  return cols > kFewColumns ? 0 : (samples * cols + kLanes - 1) / kLanes * kLanes;
}

std::size_t mix_scratch_elements(std::size_t samples, std::size_t rows, std::size_t heads, std::size_t cols,
                                 bool split) {
  if (const std::size_t width = mix_side_by_side(samples, cols); width != 0 && !split)
    return rows * width * (heads + 3);
  constexpr std::size_t kLargestRows = 16;
  return rows > kLargestRows ? 0 : heads * rows * rows * (64 / sizeof(float));
}

void mix_forward(const MixProblem<float>& p) {
  HWY_DYNAMIC_DISPATCH(MixForwardF32)(p);
}
void mix_forward(const MixProblem<double>& p) {
  HWY_DYNAMIC_DISPATCH(MixForwardF64)(p);
}
void mix_backward(const MixProblem<float>& p) {
  HWY_DYNAMIC_DISPATCH(MixBackwardF32)(p);
}
void mix_backward(const MixProblem<double>& p) {
  HWY_DYNAMIC_DISPATCH(MixBackwardF64)(p);
}

}  // namespace nn
}  // namespace telos
#endif  // HWY_ONCE
