#include "linalg/gemm_kernel.h"

#include <array>
#include <utility>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "linalg/gemm_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/vecmath-inl.h"

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using kernel::Block;
using kernel::Finish;
using kernel::kBlockK;
using kernel::kPanel;

// A tile of C is kTileRows × kTileVectors vectors of accumulators: as many as the registers hold beside one
// row of B and one element of A. 32 registers: 12 × 2 (24 + 2 + 1); AVX2 with 16: 6 × 2 (12 + 2 + 1).
#if HWY_TARGET == HWY_AVX3
constexpr std::size_t kTileRows = 12;
constexpr std::size_t kTileBytes = 128;
#elif HWY_TARGET == HWY_SCALAR
constexpr std::size_t kTileRows = 1;
constexpr std::size_t kTileBytes = 64;
#else
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileBytes = 64;
#endif

// out[r, :] = (sum[r, :] +) Σ_p a[r, p] b[p, :] for kRows rows and kVectors vectors of columns, p ascending
// from 0 as one chain of fused multiply-adds. `sum` may be null or equal to out (same stride).
template <class T, std::size_t kRows, std::size_t kVectors, bool kTransposedA>
void Tile(std::size_t k, const T* HWY_RESTRICT a, std::size_t lda, const T* HWY_RESTRICT b, std::size_t ldb,
          const T* sum, T* out, std::size_t ld_out) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  V acc[kRows][kVectors];
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kVectors; ++v) acc[r][v] = hn::Zero(d);
  for (std::size_t p = 0; p < k; ++p) {
    V row[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) row[v] = hn::LoadU(d, b + p * ldb + v * kWidth);
    for (std::size_t r = 0; r < kRows; ++r) {
      const V x = hn::Set(d, kTransposedA ? a[p * lda + r] : a[r * lda + p]);
      for (std::size_t v = 0; v < kVectors; ++v) acc[r][v] = Fma(x, row[v], acc[r][v]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kVectors; ++v) {
      T* const to = out + r * ld_out + v * kWidth;
      if (sum != nullptr) acc[r][v] = hn::Add(hn::LoadU(d, sum + r * ld_out + v * kWidth), acc[r][v]);
      hn::StoreU(acc[r][v], d, to);
    }
}

template <class T>
using TileFunction = void (*)(std::size_t, const T*, std::size_t, const T*, std::size_t, const T*, T*,
                              std::size_t);

template <class T, std::size_t kVectors, bool kTransposedA, std::size_t... kIndex>
constexpr std::array<TileFunction<T>, sizeof...(kIndex)> TileTable(std::index_sequence<kIndex...>) {
  return {&Tile<T, kIndex + 1, kVectors, kTransposedA>...};
}

// Tile functions by number of rows − 1.
template <class T, std::size_t kVectors, bool kTransposedA>
constexpr auto kTiles = TileTable<T, kVectors, kTransposedA>(std::make_index_sequence<kTileRows>());

template <class T>
TileFunction<T> FindTile(std::size_t rows, std::size_t width, bool transposed_a) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>());
  constexpr std::size_t kFull = kTileBytes / sizeof(T), kHalf = kFull / 2;
  if (width == kFull)
    return transposed_a ? kTiles<T, kFull / kWidth, true>[rows - 1]
                        : kTiles<T, kFull / kWidth, false>[rows - 1];
  return transposed_a ? kTiles<T, kHalf / kWidth, true>[rows - 1]
                      : kTiles<T, kHalf / kWidth, false>[rows - 1];
}

template <class D, class V>
HWY_INLINE V Activate(D d, V x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);
    case Activation::kGeluErf:
      return Gelu(d, x);
    case Activation::kGeluTanh:
      return GeluTanh(d, x);
    case Activation::kQuickGelu:
      return QuickGelu(d, x);
    case Activation::kSilu:
      return Silu(d, x);
  }
  return x;
}

// Calls f(row, offset in the row, lanes) for each vector of a rows × width piece of which `cols` columns
// exist.
template <class D, class F>
HWY_INLINE void ForVectors(D d, std::size_t rows, std::size_t cols, const F& f) {
  const std::size_t width = hn::MaxLanes(d);
  for (std::size_t r = 0; r < rows; ++r) {
    std::size_t j = 0;
    for (; j + width <= cols; j += width) f(r, j, width);
    if (j < cols) f(r, j, cols - j);
  }
}

template <class D, class T>
HWY_INLINE hn::VFromD<D> LoadUpTo(D d, const T* p, std::size_t count) {
  return count == hn::MaxLanes(d) ? hn::LoadU(d, p) : LoadPartial(d, p, count);
}

template <class D, class T>
HWY_INLINE void StoreUpTo(hn::VFromD<D> v, D d, T* p, std::size_t count) {
  if (count == hn::MaxLanes(d))
    hn::StoreU(v, d, p);
  else
    StorePartial(v, d, p, count);
}

// A finished piece of S at rows [row, row + rows) and columns [col, col + cols) of the block.
template <class T>
struct Piece {
  const T* s;
  std::size_t ld, row, rows, col, cols;
};

template <class T, Activation kActivation>
void FinishEpilogue(const Block<T>& block, const Piece<T>& piece) {
  const hn::ScalableTag<T> d;
  T* const c = block.c + piece.row * block.ldc + piece.col;
  const T* const residual =
      block.residual == nullptr ? nullptr : block.residual + piece.row * block.ld_residual + piece.col;
  const T* const bias = block.bias == nullptr ? nullptr : block.bias + piece.col;
  ForVectors(d, piece.rows, piece.cols, [&](std::size_t r, std::size_t j, std::size_t count) HWY_ATTR {
    auto x = hn::LoadU(d, piece.s + r * piece.ld + j);
    if (bias != nullptr) x = hn::Add(x, LoadUpTo(d, bias + j, count));
    x = Activate(d, x, kActivation);
    if (residual != nullptr) x = hn::Add(LoadUpTo(d, residual + r * block.ld_residual + j, count), x);
    StoreUpTo(x, d, c + r * block.ldc + j, count);
  });
}

template <class T>
void FinishEpilogue(const Block<T>& block, const Piece<T>& piece) {
  switch (block.activation) {
    case Activation::kNone:
      return FinishEpilogue<T, Activation::kNone>(block, piece);
    case Activation::kRelu:
      return FinishEpilogue<T, Activation::kRelu>(block, piece);
    case Activation::kGeluErf:
      return FinishEpilogue<T, Activation::kGeluErf>(block, piece);
    case Activation::kGeluTanh:
      return FinishEpilogue<T, Activation::kGeluTanh>(block, piece);
    case Activation::kQuickGelu:
      return FinishEpilogue<T, Activation::kQuickGelu>(block, piece);
    case Activation::kSilu:
      return FinishEpilogue<T, Activation::kSilu>(block, piece);
  }
}

template <class T>
void FinishScale(const Block<T>& block, const Piece<T>& piece) {
  const hn::ScalableTag<T> d;
  T* const c = block.c + piece.row * block.ldc + piece.col;
  const auto alpha = hn::Set(d, block.alpha), beta = hn::Set(d, block.beta);
  ForVectors(d, piece.rows, piece.cols, [&](std::size_t r, std::size_t j, std::size_t count) HWY_ATTR {
    auto x = hn::Mul(alpha, hn::LoadU(d, piece.s + r * piece.ld + j));
    if (block.beta != T{0}) x = Fma(beta, LoadUpTo(d, c + r * block.ldc + j, count), x);
    StoreUpTo(x, d, c + r * block.ldc + j, count);
  });
}

// Adds one block of 256 k to the double result.
template <class T>
void FinishWiden(const Block<T>& block, const Piece<T>& piece, bool first) {
  for (std::size_t r = 0; r < piece.rows; ++r) {
    const T* const s = piece.s + r * piece.ld;
    double* const c = block.wide + (piece.row + r) * block.ldc + piece.col;
    for (std::size_t j = 0; j < piece.cols; ++j) c[j] = first ? double{s[j]} : c[j] + double{s[j]};
  }
}

// Memory of one thread, kept for the next product: the copy of A and the partial sums.
template <class T>
struct Scratch {
  Matrix<T> a, sums;
  static Scratch& Get() {
    thread_local Scratch scratch;
    return scratch;
  }
  static T* Ensure(Matrix<T>& m, std::size_t size) {
    if (m.size() < size) m = Matrix<T>(1, size);
    return m.data();
  }
};

// Tiles of nearly equal height over the rows of a block: a remainder of one row would waste a pass over B.
struct RowTiles {
  std::size_t count, base, extra;
  explicit RowTiles(std::size_t rows)
      : count((rows + kTileRows - 1) / kTileRows), base(rows / count), extra(rows % count) {}
  std::size_t Begin(std::size_t t) const { return t * base + std::min(t, extra); }
  std::size_t Rows(std::size_t t) const { return base + (t < extra ? 1 : 0); }
};

// A as the tile functions read it, for 256 k: either where it lies, or a copy. A copy of rows has a stride
// that spreads them over the sets of the cache; a transposed A is copied tile by tile.
template <class T>
struct LeftBlock {
  const T* data;
  std::size_t ld;
  bool tiled;
  const T* Row(std::size_t tile, std::size_t row, std::size_t k, bool transposed) const {
    if (tiled) return data + tile * kTileRows * k;
    return transposed ? data + row : data + row * ld;
  }
};

template <class T>
LeftBlock<T> PrepareLeft(const Block<T>& block, const RowTiles& tiles, std::size_t k0, std::size_t kc) {
  const std::size_t cols = block.col_end - block.col_begin;
  if (!block.a_transposed) {
    const T* const a = block.a + k0;
    const bool clash = block.lda * sizeof(T) % 1024 == 0 && block.rows > 4 && kc > 64;
    if (!clash || cols < 4 * kPanel<T>) return {a, block.lda, false};
    constexpr std::size_t kStride = kBlockK + 64 / sizeof(T);
    T* const copy = Scratch<T>::Ensure(Scratch<T>::Get().a, block.rows * kStride);
    for (std::size_t i = 0; i < block.rows; ++i) std::copy_n(a + i * block.lda, kc, copy + i * kStride);
    return {copy, kStride, false};
  }
  const T* const a = block.a + k0 * block.lda;
  if (cols <= kPanel<T>) return {a, block.lda, false};
  T* const copy = Scratch<T>::Ensure(Scratch<T>::Get().a, tiles.count * kTileRows * kc);
  for (std::size_t t = 0; t < tiles.count; ++t) {
    T* const to = copy + t * kTileRows * kc;
    const std::size_t begin = tiles.Begin(t), rows = tiles.Rows(t);
    for (std::size_t p = 0; p < kc; ++p) std::copy_n(a + p * block.lda + begin, rows, to + p * kTileRows);
  }
  return {copy, kTileRows, true};
}

template <class T>
void RunBlock(const Block<T>& block) {
  const RowTiles tiles(block.rows);
  const std::size_t blocks = std::max<std::size_t>(1, (block.k + kBlockK - 1) / kBlockK);
  const bool widen = block.finish == Finish::kWiden;
  // Partial sums of more than one block of k wait outside C unless C is nothing but the sum.
  const bool keep = blocks > 1 && !widen;
  const std::size_t cols_padded = kernel::padded_cols<T>(block.col_end - block.col_begin);
  T* const sums = Scratch<T>::Ensure(Scratch<T>::Get().sums, (keep ? block.rows : kTileRows) * cols_padded);
  constexpr std::size_t kSub = kTileBytes / sizeof(T);

  for (std::size_t kb = 0; kb < blocks; ++kb) {
    const std::size_t k0 = kb * kBlockK, kc = std::min(kBlockK, block.k - k0);
    const bool first = kb == 0, last = kb + 1 == blocks;
    const LeftBlock<T> left = PrepareLeft(block, tiles, k0, kc);
    for (std::size_t col = block.col_begin; col < block.col_end;) {
      const std::size_t width = kernel::panel_width<T>(col, block.n), cols = std::min(width, block.n - col);
      const bool plain = col < block.plain_cols;
      const std::size_t ldb = plain ? block.ldb : width;
      const T* const b = plain ? block.plain + k0 * ldb + col
                               : block.panels + (col - block.plain_cols) * block.k + k0 * width;
      const bool direct = block.finish == Finish::kStore && cols == width;
      for (std::size_t t = 0; t < tiles.count; ++t) {
        const std::size_t row = tiles.Begin(t), rows = tiles.Rows(t);
        T* out = block.c + row * block.ldc + col;
        std::size_t ld_out = block.ldc;
        if (!direct) {
          out = keep ? sums + (col - block.col_begin) * block.rows + row * width : sums;
          ld_out = width;
        }
        const T* const a = left.Row(t, row, kc, block.a_transposed);
        for (std::size_t sub = 0; sub < width; sub += kSub) {
          const TileFunction<T> tile = FindTile<T>(rows, std::min(kSub, width - sub), block.a_transposed);
          tile(kc, a, left.ld, b + sub, ldb, first || widen ? nullptr : out + sub, out + sub, ld_out);
        }
        const Piece<T> piece{out, ld_out, row, rows, col, cols};
        if (widen)
          FinishWiden(block, piece, first);
        else if (last && block.finish == Finish::kScale)
          FinishScale(block, piece);
        else if (last && block.finish == Finish::kEpilogue)
          FinishEpilogue(block, piece);
        else if (last && !direct)
          for (std::size_t r = 0; r < rows; ++r)
            std::copy_n(out + r * ld_out, cols, block.c + (row + r) * block.ldc + col);
      }
      col += width;
    }
  }
}

// Four rows of a transposed B at once: 4 × 4 pieces are turned in registers.
template <class T>
void PackTransposed(const T* b, std::size_t ldb, std::size_t k, std::size_t cols, std::size_t width, T* out) {
  for (std::size_t j = 0; j < cols; ++j)
    for (std::size_t p = 0; p < k; ++p) out[p * width + j] = b[j * ldb + p];
  for (std::size_t j = cols; j < width; ++j)
    for (std::size_t p = 0; p < k; ++p) out[p * width + j] = T{0};
}

template <class T>
void PackPanel(const T* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col, std::size_t n,
               T* out) {
  const std::size_t width = kernel::panel_width<T>(col, n), cols = std::min(width, n - col);
  if (transposed) return PackTransposed(b + col * ldb, ldb, k, cols, width, out);
  for (std::size_t p = 0; p < k; ++p) {
    std::copy_n(b + p * ldb + col, cols, out + p * width);
    std::fill_n(out + p * width + cols, width - cols, T{0});
  }
}

void RunBlockF32(const Block<float>& block) {
  RunBlock(block);
}
void RunBlockF64(const Block<double>& block) {
  RunBlock(block);
}
void PackPanelF32(const float* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col,
                  std::size_t n, float* out) {
  PackPanel(b, ldb, transposed, k, col, n, out);
}
void PackPanelF64(const double* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col,
                  std::size_t n, double* out) {
  PackPanel(b, ldb, transposed, k, col, n, out);
}
const char* TargetName() {
  return hwy::TargetName(HWY_TARGET);
}

}  // namespace telos::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace telos {

HWY_EXPORT(RunBlockF32);
HWY_EXPORT(RunBlockF64);
HWY_EXPORT(PackPanelF32);
HWY_EXPORT(PackPanelF64);
HWY_EXPORT(TargetName);

const char* kernel_target() {
  return HWY_DYNAMIC_DISPATCH(TargetName)();
}

namespace kernel {

void run_block(const Block<float>& block) {
  HWY_DYNAMIC_DISPATCH(RunBlockF32)(block);
}
void run_block(const Block<double>& block) {
  HWY_DYNAMIC_DISPATCH(RunBlockF64)(block);
}
void pack_panel(const float* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col,
                std::size_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(PackPanelF32)(b, ldb, transposed, k, col, n, out);
}
void pack_panel(const double* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col,
                std::size_t n, double* out) {
  HWY_DYNAMIC_DISPATCH(PackPanelF64)(b, ldb, transposed, k, col, n, out);
}

}  // namespace kernel
}  // namespace telos
#endif  // HWY_ONCE
