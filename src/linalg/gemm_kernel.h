#pragma once

#include <cstddef>

#include "telos/linalg/gemm.h"

// The seam between gemm.cpp (shapes, blocking, threads) and gemm_kernel.cpp (vector code, one copy an
// instruction set).
namespace telos::kernel {

/// Length of a chain of fused multiply-adds; the sums of such blocks are added in ascending order.
inline constexpr std::size_t kBlockK = 256;

/// A packed right factor is a row of panels, each k × width, row after row. A panel is 128 bytes wide, the
/// last one 64 if the remaining columns fit; columns beyond n are zero. Independent of the instruction set.
template <class T>
inline constexpr std::size_t kPanel = 128 / sizeof(T);
template <class T>
constexpr std::size_t panel_width(std::size_t col, std::size_t n) {
  return n - col > kPanel<T> / 2 ? kPanel<T> : kPanel<T> / 2;
}
/// n rounded up to whole panels.
template <class T>
constexpr std::size_t padded_cols(std::size_t n) {
  constexpr std::size_t kHalf = kPanel<T> / 2;
  return (n + kHalf - 1) / kHalf * kHalf;
}

/// Rows of a block whose partial sums and copy of A stay in the second-level cache: eleven tiles of twelve
/// rows.
inline constexpr std::size_t kMaxBlockRows = 132;
inline constexpr std::size_t kMaxBlockCols = 512;

enum class Finish {
  kStore,     ///< C = S
  kScale,     ///< C = alpha S, or fma(beta, C, alpha S)
  kEpilogue,  ///< C = residual + activation((S + addend) + bias)
  kWiden,     ///< C (double) = sum over blocks in double
};

/// Where the packed panels of op(B) come from.
enum class Panels {
  kReady,  ///< all packed beforehand at `panels`
  kFill,   ///< packed from `b` on first use and left at `panels` for other blocks
  kLocal,  ///< packed from `b` into memory of the thread, or read from `b` itself where a copy would not pay
};

/// One block of C, rows × [col_begin, col_end), computed by one thread.
template <class T>
struct Block {
  // op(A): element (i, p) at a[i·lda + p], or a[p·lda + i] if transposed.
  const T* a;
  std::size_t lda;
  bool a_transposed;
  // op(B): element (p, j) at b[p·ldb + j], or b[j·ldb + p] if transposed; and its panels from column
  // `panels_begin` on.
  const T* b;
  std::size_t ldb;
  bool b_transposed;
  Panels panels_state;
  T* panels;
  std::size_t panels_begin;

  std::size_t rows, k, n;  // n: columns of the whole product
  std::size_t col_begin, col_end;

  Finish finish;
  T* c;          // row 0 of the block, column 0 of the product
  double* wide;  // the same for kWiden
  std::size_t ldc;
  T alpha, beta;
  const T* bias;  // n values, or null
  Activation activation;
  const T* residual;  // row 0 of the block, column 0 of the product, or null
  std::size_t ld_residual;
  const T* addend;  // the same
  std::size_t ld_addend;
};

void run_block(const Block<float>& block);
void run_block(const Block<double>& block);

/// Packs the panel of op(B) that starts at `col` and covers columns up to n: B is given by its element (0,
/// 0), row stride, and whether it is stored transposed.
void pack_panel(const float* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col,
                std::size_t n, float* out);
void pack_panel(const double* b, std::size_t ldb, bool transposed, std::size_t k, std::size_t col,
                std::size_t n, double* out);

}  // namespace telos::kernel
