#include "linalg/gemm_kernel.h"

#include <array>
#include <utility>

#include "linalg/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "linalg/gemm_kernel.cpp"
#include <hwy/foreach_target.h>

#include "linalg/vecmath-inl.h"

// A is read where it lies, one element at a time and spread over a vector: neither a copy with a friendlier
// stride nor one in the order of the tiles paid on any shape measured. B is packed, because a tile needs
// whole vectors of it and all tiles of a block share it.

HWY_BEFORE_NAMESPACE();
namespace telos::HWY_NAMESPACE {

using kernel::Block;
using kernel::Finish;
using kernel::kBlockK;
using kernel::kPanel;
using kernel::Panels;

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

// What a tile reads and writes.
template <class T>
struct TileArgs {
  std::size_t k;
  const T* a;  // element (r, p) at a[r·lda + p], or a[p·lda + r] if transposed
  std::size_t lda;
  const T* b;  // element (p, j) at b[p·ldb + j]
  std::size_t ldb;
  T* out;
  std::size_t ld_out;
  bool add;  // out += instead of out =
  T* pack;   // where the rows of b are copied to on the way (kPack), with stride ld_pack
  std::size_t ld_pack;
  const char* prefetch;       // brought into the second-level cache meanwhile: the panel that comes next
  std::size_t prefetch_step;  // bytes for each p
};

// out[r, :] (+)= Σ_p a[r, p] b[p, :] for kRows rows and kVectors vectors of columns, p ascending from 0 as
// one chain of fused multiply-adds.
template <class T, std::size_t kRows, std::size_t kVectors, bool kTransposedA, bool kPack>
void Tile(const TileArgs<T>& args) {
  const hn::ScalableTag<T> d;
  using V = hn::VFromD<decltype(d)>;
  constexpr std::size_t kWidth = hn::MaxLanes(d);
  // Three rows share one pointer (x86 scales the stride by 1 or 2): twelve pointers would not fit the
  // registers.
  constexpr std::size_t kPointers = kTransposedA ? 1 : (kRows + 2) / 3;
  const std::size_t lda = args.lda, ldb = args.ldb;
  const T* a[kPointers];
  TELOS_UNROLL
  for (std::size_t g = 0; g < kPointers; ++g) a[g] = args.a + 3 * g * lda;
  const T* b = args.b;
  T* pack = args.pack;
  const char* next = args.prefetch;

  V acc[kRows][kVectors];
  TELOS_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) {
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) acc[r][v] = hn::Zero(d);
  }
  for (std::size_t p = args.k; p != 0; --p) {
    V row[kVectors];
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) row[v] = hn::LoadU(d, b + v * kWidth);
    if constexpr (kPack) {
      TELOS_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(row[v], d, pack + v * kWidth);
      pack += args.ld_pack;
    }
    TELOS_UNROLL
    for (std::size_t r = 0; r < kRows; ++r) {
      const V x = hn::Set(d, kTransposedA ? a[0][r] : a[r / 3][r % 3 * lda]);
      TELOS_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) acc[r][v] = Fma(x, row[v], acc[r][v]);
    }
    TELOS_UNROLL
    for (std::size_t g = 0; g < kPointers; ++g) a[g] += kTransposedA ? lda : 1;
    b += ldb;
    __builtin_prefetch(next, 0, 2);
    next += args.prefetch_step;
  }
  T* const out = args.out;
  if (args.add) {
    TELOS_UNROLL
    for (std::size_t r = 0; r < kRows; ++r) {
      TELOS_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v)
        acc[r][v] = hn::Add(hn::LoadU(d, out + r * args.ld_out + v * kWidth), acc[r][v]);
    }
  }
  TELOS_UNROLL
  for (std::size_t r = 0; r < kRows; ++r) {
    TELOS_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(acc[r][v], d, out + r * args.ld_out + v * kWidth);
  }
}

template <class T>
using TileFunction = void (*)(const TileArgs<T>&);

// Tile functions by number of rows − 1.
template <class T, std::size_t kVectors, bool kTransposedA, bool kPack, std::size_t... kIndex>
constexpr std::array<TileFunction<T>, sizeof...(kIndex)> TileTable(std::index_sequence<kIndex...>) {
  return {&Tile<T, kIndex + 1, kVectors, kTransposedA, kPack>...};
}
template <class T, std::size_t kVectors, bool kTransposedA, bool kPack>
constexpr auto kTiles = TileTable<T, kVectors, kTransposedA, kPack>(std::make_index_sequence<kTileRows>());

template <class T, std::size_t kVectors>
TileFunction<T> FindTile(std::size_t rows, bool transposed_a, bool pack) {
  if (transposed_a)
    return (pack ? kTiles<T, kVectors, true, true> : kTiles<T, kVectors, true, false>)[rows - 1];
  return (pack ? kTiles<T, kVectors, false, true> : kTiles<T, kVectors, false, false>)[rows - 1];
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
  T* s;
  std::size_t ld, row, rows, col, cols;
};

// In place on n elements, whole vectors. One flat loop: the constants of the activation stay in registers.
template <Activation kActivation, class T>
void ActivateAll(T* x, std::size_t n) {
  const hn::ScalableTag<T> d;
  for (std::size_t i = 0; i < n; i += hn::MaxLanes(d))
    hn::Store(Activate(d, hn::Load(d, x + i), kActivation), d, x + i);
}

template <class T>
void ActivateAll(T* x, std::size_t n, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return;
    case Activation::kRelu:
      return ActivateAll<Activation::kRelu>(x, n);
    case Activation::kGeluErf:
      return ActivateAll<Activation::kGeluErf>(x, n);
    case Activation::kGeluTanh:
      return ActivateAll<Activation::kGeluTanh>(x, n);
    case Activation::kQuickGelu:
      return ActivateAll<Activation::kQuickGelu>(x, n);
    case Activation::kSilu:
      return ActivateAll<Activation::kSilu>(x, n);
  }
}

// The piece is contiguous (ld = width of the panel), in memory of this thread.
template <class T>
void FinishEpilogue(const Block<T>& block, const Piece<T>& piece) {
  const hn::ScalableTag<T> d;
  const std::size_t width = hn::MaxLanes(d);
  if (block.addend != nullptr) {
    const T* const addend = block.addend + piece.row * block.ld_addend + piece.col;
    ForVectors(d, piece.rows, piece.cols, [&](std::size_t r, std::size_t j, std::size_t count) HWY_ATTR {
      T* const s = piece.s + r * piece.ld + j;
      hn::Store(hn::Add(hn::Load(d, s), LoadUpTo(d, addend + r * block.ld_addend + j, count)), d, s);
    });
  }
  if (block.bias != nullptr)
    for (std::size_t j = 0; j < piece.cols; j += width) {
      const auto bias = LoadUpTo(d, block.bias + piece.col + j, std::min(width, piece.cols - j));
      for (T* s = piece.s + j; s < piece.s + piece.rows * piece.ld; s += piece.ld)
        hn::Store(hn::Add(hn::Load(d, s), bias), d, s);
    }
  ActivateAll(piece.s, piece.rows * piece.ld, block.activation);
  for (std::size_t r = 0; r < piece.rows; ++r) {
    const T* const s = piece.s + r * piece.ld;
    T* const c = block.c + (piece.row + r) * block.ldc + piece.col;
    const T* const residual = block.residual == nullptr
                                  ? nullptr
                                  : block.residual + (piece.row + r) * block.ld_residual + piece.col;
    for (std::size_t j = 0; j < piece.cols; j += width) {
      const std::size_t count = std::min(width, piece.cols - j);
      auto x = hn::Load(d, s + j);
      if (residual != nullptr) x = hn::Add(LoadUpTo(d, residual + j, count), x);
      StoreUpTo(x, d, c + j, count);
    }
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

// Memory of one thread, kept for the next product.
template <class T>
struct Scratch {
  Matrix<T> panel, sums;
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

// k rows of a panel from B: `b` is the element of op(B) at the first row and column wanted.
template <class T>
void PackPlain(const T* b, std::size_t ldb, std::size_t k, std::size_t cols, std::size_t width, T* out) {
  const hn::ScalableTag<T> d;
  const std::size_t lanes = hn::MaxLanes(d);
  for (std::size_t p = 0; p < k; ++p)
    for (std::size_t j = 0; j < width; j += lanes) {
      const std::size_t count = j < cols ? std::min(lanes, cols - j) : 0;
      hn::StoreU(LoadUpTo(d, b + p * ldb + j, count), d, out + p * width + j);
    }
}

// Four rows of B, four k: out[p, j] = b[j, p], turned in registers.
HWY_INLINE void Turn(const float* b, std::size_t ldb, float* out, std::size_t width) {
#if HWY_TARGET != HWY_SCALAR
  const hn::Full128<float> d;
  const auto r0 = hn::LoadU(d, b), r1 = hn::LoadU(d, b + ldb);
  const auto r2 = hn::LoadU(d, b + 2 * ldb), r3 = hn::LoadU(d, b + 3 * ldb);
  const auto low01 = hn::InterleaveLower(d, r0, r1), high01 = hn::InterleaveUpper(d, r0, r1);
  const auto low23 = hn::InterleaveLower(d, r2, r3), high23 = hn::InterleaveUpper(d, r2, r3);
  hn::StoreU(hn::ConcatLowerLower(d, low23, low01), d, out);
  hn::StoreU(hn::ConcatUpperUpper(d, low23, low01), d, out + width);
  hn::StoreU(hn::ConcatLowerLower(d, high23, high01), d, out + 2 * width);
  hn::StoreU(hn::ConcatUpperUpper(d, high23, high01), d, out + 3 * width);
#else
  for (std::size_t j = 0; j < 4; ++j)
    for (std::size_t p = 0; p < 4; ++p) out[p * width + j] = b[j * ldb + p];
#endif
}
HWY_INLINE void Turn(const double* b, std::size_t ldb, double* out, std::size_t width) {
#if HWY_TARGET != HWY_SCALAR
  const hn::Full128<double> d;
  for (std::size_t j = 0; j < 4; j += 2)
    for (std::size_t p = 0; p < 4; p += 2) {
      const auto r0 = hn::LoadU(d, b + j * ldb + p), r1 = hn::LoadU(d, b + (j + 1) * ldb + p);
      hn::StoreU(hn::InterleaveLower(d, r0, r1), d, out + p * width + j);
      hn::StoreU(hn::InterleaveUpper(d, r0, r1), d, out + (p + 1) * width + j);
    }
#else
  for (std::size_t j = 0; j < 4; ++j)
    for (std::size_t p = 0; p < 4; ++p) out[p * width + j] = b[j * ldb + p];
#endif
}

template <class T>
void PackTransposed(const T* b, std::size_t ldb, std::size_t k, std::size_t cols, std::size_t width, T* out) {
  const std::size_t whole_cols = cols / 4 * 4, whole_k = k / 4 * 4;
  for (std::size_t p = 0; p < whole_k; p += 4)
    for (std::size_t j = 0; j < whole_cols; j += 4) Turn(b + j * ldb + p, ldb, out + p * width + j, width);
  for (std::size_t j = 0; j < whole_cols; ++j)
    for (std::size_t p = whole_k; p < k; ++p) out[p * width + j] = b[j * ldb + p];
  for (std::size_t j = whole_cols; j < cols; ++j)
    for (std::size_t p = 0; p < k; ++p) out[p * width + j] = b[j * ldb + p];
  for (std::size_t p = 0; p < k; ++p) std::fill_n(out + p * width + cols, width - cols, T{0});
}

template <class T>
void PackPanel(const T* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col, std::size_t n,
               T* out) {
  const std::size_t width = kernel::panel_width<T>(col, n), cols = std::min(width, n - col);
  if (transposed)
    PackTransposed(b + col * ldb, ldb, k, cols, width, out);
  else
    PackPlain(b + col, ldb, k, cols, width, out);
}

// One panel of op(B), 256 k, as the tiles read it: the first tile may read B itself and pack it for the
// others.
template <class T>
struct RightPanel {
  std::size_t width, cols;
  const T* first;  // for the first tile
  std::size_t ld_first;
  const T* rest;  // for the other tiles
  std::size_t ld_rest;
  T* pack;  // filled by the first tile, or null
};

template <class T>
RightPanel<T> PrepareRight(const Block<T>& block, std::size_t tiles, std::size_t col, std::size_t k0,
                           std::size_t kc) {
  const std::size_t width = kernel::panel_width<T>(col, block.n), cols = std::min(width, block.n - col);
  if (kc == 0) {  // B may have no memory at all
    const T* const none = Scratch<T>::Ensure(Scratch<T>::Get().panel, kPanel<T>);
    return {width, cols, none, width, none, width, nullptr};
  }
  T* packed = block.panels + (col - block.panels_begin) * block.k + k0 * width;
  if (block.panels_state == Panels::kReady) return {width, cols, packed, width, packed, width, nullptr};
  if (block.panels_state == Panels::kLocal)
    packed = Scratch<T>::Ensure(Scratch<T>::Get().panel, kBlockK * kPanel<T>);
  if (block.b_transposed || cols < width) {
    PackPanel(block.b + (block.b_transposed ? k0 : k0 * block.ldb), block.ldb, block.b_transposed, kc, col,
              block.n, packed);
    return {width, cols, packed, width, packed, width, nullptr};
  }
  const T* const b = block.b + k0 * block.ldb + col;
  const bool keep = block.panels_state == Panels::kFill || tiles > 2;
  if (!keep) return {width, cols, b, block.ldb, b, block.ldb, nullptr};
  return {width, cols, b, block.ldb, packed, width, packed};
}

// What the second-level cache should fetch during tile t of a panel: the panel that comes next, a packed one
// in equal parts, rows of B itself during the second tile and the third.
struct Ahead {
  const char* begin;
  std::size_t step;  // bytes for each of the 256 k
};

template <class T>
Ahead LookAhead(const Block<T>& block, const RightPanel<T>& right, std::size_t col, std::size_t k0,
                std::size_t t, std::size_t tiles) {
  const Ahead none{reinterpret_cast<const char*>(right.rest), 0};
  std::size_t next_col = col + right.width, next_k = k0;
  if (next_col >= block.col_end) {
    next_col = block.col_begin;
    next_k += kBlockK;
    if (next_k >= block.k) return none;
  }
  if (block.panels_state == Panels::kReady) {
    const std::size_t width = kernel::panel_width<T>(next_col, block.n);
    const T* const panel = block.panels + (next_col - block.panels_begin) * block.k + next_k * width;
    const std::size_t step = width * sizeof(T) / tiles;
    return {reinterpret_cast<const char*>(panel) + t * kBlockK * step, step};
  }
  if (block.b_transposed || (t != 1 && t != 2) || next_k + kBlockK > block.k) return none;
  const std::size_t line = std::min((t - 1) * 64 / sizeof(T), block.n - 1 - next_col);
  return {reinterpret_cast<const char*>(block.b + next_k * block.ldb + next_col + line),
          block.ldb * sizeof(T)};
}

// Fetches part `index` of `parts` of the next 256 columns of a plain A.
template <class T>
void PrefetchLeft(const Block<T>& block, std::size_t next_k, std::size_t index, std::size_t parts) {
  constexpr std::size_t kLine = 64 / sizeof(T);
  const std::size_t row_end = block.rows * (index + 1) / parts, k_end = std::min(block.k, next_k + kBlockK);
  for (std::size_t i = block.rows * index / parts; i < row_end; ++i)
    for (std::size_t p = next_k; p < k_end; p += kLine) __builtin_prefetch(block.a + i * block.lda + p, 0, 2);
}

// The product of one tile of rows with one panel, into `out`.
template <class T>
void RunTile(const RightPanel<T>& right, bool first_tile, std::size_t rows, bool transposed_a,
             TileArgs<T> args) {
  constexpr std::size_t kWidth = hn::MaxLanes(hn::ScalableTag<T>()), kSub = kTileBytes / sizeof(T);
  const T* const b = first_tile ? right.first : right.rest;
  T* const out = args.out;
  const bool pack = first_tile && right.pack != nullptr;
  args.ldb = first_tile ? right.ld_first : right.ld_rest;
  args.ld_pack = right.width;
  for (std::size_t sub = 0; sub < right.width; sub += kSub) {
    args.b = b + sub;
    args.out = out + sub;
    args.pack = pack ? right.pack + sub : nullptr;
    if (right.width - sub >= kSub)
      FindTile<T, kSub / kWidth>(rows, transposed_a, pack)(args);
    else
      FindTile<T, kSub / 2 / kWidth>(rows, transposed_a, pack)(args);
  }
}

template <class T>
void FinishTile(const Block<T>& block, const Piece<T>& piece, bool direct, bool first, bool last) {
  if (block.finish == Finish::kWiden) return FinishWiden(block, piece, first);
  if (!last || direct) return;
  if (block.finish == Finish::kEpilogue) return FinishEpilogue(block, piece);
  FinishScale(block, piece);
}

template <class T>
void RunBlock(const Block<T>& block) {
  const RowTiles tiles(block.rows);
  const std::size_t blocks = std::max<std::size_t>(1, (block.k + kBlockK - 1) / kBlockK);
  const bool widen = block.finish == Finish::kWiden, transposed = block.a_transposed;
  // Partial sums of more than one block of k wait outside C unless C is nothing but the sum.
  const bool keep = blocks > 1 && !widen;
  const std::size_t cols_padded = kernel::padded_cols<T>(block.col_end - block.col_begin);
  T* const sums =
      Scratch<T>::Ensure(Scratch<T>::Get().sums, keep ? block.rows * cols_padded : kTileRows * kPanel<T>);

  const std::size_t parts = tiles.count * ((block.col_end - block.col_begin + kPanel<T> - 1) / kPanel<T>);

  for (std::size_t kb = 0; kb < blocks; ++kb) {
    const std::size_t k0 = kb * kBlockK, kc = std::min(kBlockK, block.k - k0);
    const bool first = kb == 0, last = kb + 1 == blocks;
    for (std::size_t col = block.col_begin; col < block.col_end;) {
      const RightPanel<T> right = PrepareRight(block, tiles.count, col, k0, kc);
      const std::size_t width = right.width;
      const bool direct = block.finish == Finish::kStore && right.cols == width;
      for (std::size_t t = 0; t < tiles.count; ++t) {
        const std::size_t row = tiles.Begin(t), rows = tiles.Rows(t);
        T* out = sums;
        std::size_t ld_out = width;
        if (direct) {
          out = block.c + row * block.ldc + col;
          ld_out = block.ldc;
        } else if (keep) {
          out = sums + (col - block.col_begin) * block.rows + row * width;
        }
        if (!last && !transposed)
          PrefetchLeft(block, k0 + kc, (col - block.col_begin) / kPanel<T> * tiles.count + t, parts);
        const Ahead ahead = LookAhead(block, right, col, k0, t, tiles.count);
        RunTile(
            right, t == 0, rows, transposed,
            {.k = kc,
             .a = kc == 0 ? nullptr : block.a + (transposed ? k0 * block.lda + row : row * block.lda + k0),
             .lda = block.lda,
             .b = nullptr,
             .ldb = 0,
             .out = out,
             .ld_out = ld_out,
             .add = !first && !widen,
             .pack = nullptr,
             .ld_pack = 0,
             .prefetch = ahead.begin,
             .prefetch_step = ahead.step});
        FinishTile(block, {out, ld_out, row, rows, col, right.cols}, direct, first, last);
      }
      col += width;
    }
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
