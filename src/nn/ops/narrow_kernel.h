#pragma once

#include <cstddef>

namespace telos::nn {

/// Columns up to which a matrix counts as narrow: a packed panel of gemm() would mostly hold zeros.
inline constexpr std::size_t kNarrow = 4;

/// Products of which one factor is narrow: with S (rows × q, q ≤ kNarrow), R (q × n) and Z (rows × n). Row i
/// of a matrix lies at data + i · stride.
template <class T>
struct NarrowProblem {
  std::size_t rows = 0, q = 0, n = 0;
  const T* s = nullptr;
  std::size_t s_row = 0;
  const T* r = nullptr;
  std::size_t r_row = 0;
  const T* z = nullptr;
  std::size_t z_row = 0;
};

/// What is done to a result: out = relu((sum + out before) + bias), each part on demand.
template <class T>
struct NarrowResult {
  T* out = nullptr;
  std::size_t out_row = 0;
  bool add = false;
  const T* bias = nullptr;
  bool relu = false;
};

/// rows × n: S·R, each element one chain of fused multiply-adds from 0.
void narrow_expand(const NarrowProblem<float>& p, const NarrowResult<float>& result);
void narrow_expand(const NarrowProblem<double>& p, const NarrowResult<double>& result);

/// rows × q: Z·Rᵀ. Column j counts in lane j mod (64 bytes' worth) as a chain of fused multiply-adds from 0;
/// then neighbouring lanes are added, and neighbouring sums, and so on.
void narrow_dots(const NarrowProblem<float>& p, const NarrowResult<float>& result);
void narrow_dots(const NarrowProblem<double>& p, const NarrowResult<double>& result);

/// q × n: adds SᵀZ, each element one chain from 0, to element (c, j) at out[c · row + j · col].
void narrow_gather(const NarrowProblem<float>& p, float* out, std::size_t row, std::size_t col);
void narrow_gather(const NarrowProblem<double>& p, double* out, std::size_t row, std::size_t col);

}  // namespace telos::nn
