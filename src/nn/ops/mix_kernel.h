#pragma once

#include <cstddef>

namespace telos::nn {

/// Mixing of a micro-batch by shared attention. Row (sample · rows + i) of a matrix lies at data + row ·
/// stride. Head h reads `cols` columns of V from h·v_step on, and stands in `cols` columns of M from m_first
/// + h·m_step on; with m_first = cols the first `cols` columns of M are V itself.
template <class T>
struct MixProblem {
  std::size_t samples = 0, rows = 0, heads = 0, cols = 0;
  std::size_t v_step = 0, m_first = 0, m_step = 0;
  const T* a = nullptr;  ///< heads · rows × rows, dense
  const T* v = nullptr;
  std::size_t v_row = 0;
  T* m = nullptr;  ///< forward
  const T* dm = nullptr;
  std::size_t m_row = 0;  ///< of m and dm
  T* dv = nullptr;        ///< backward; null: not needed
  std::size_t dv_row = 0;
  bool store_dv = false;  ///< dv = instead of dv +=
  T* da = nullptr;        ///< dense; added to; null: not needed
  T* scratch = nullptr;   ///< mix_scratch_elements(); null if that is 0
};

/// Memory of a call. A few columns that all heads read (not `split`): copies of V, M (or dM) and dV with the
/// samples side by side. More columns, few rows: the sums of dA, which wait while dV of a few samples is
/// formed; many rows: none, as tiles of dA take all samples in turn.
std::size_t mix_scratch_elements(std::size_t samples, std::size_t rows, std::size_t heads, std::size_t cols,
                                 bool split);
/// Columns of such copies; 0 where `cols` is not few.
std::size_t mix_side_by_side(std::size_t samples, std::size_t cols);

/// Each element of M and of dV is one chain of fused multiply-adds from 0 (dV: from the identity's part), in
/// ascending order of head and row. An element of dA is summed in 64 bytes' worth of lanes, column c in lane
/// c mod lanes, in ascending order of sample and column (with samples side by side: of columns of all
/// samples); then neighbouring lanes are added, neighbouring sums, and so on.
void mix_forward(const MixProblem<float>& p);
void mix_forward(const MixProblem<double>& p);
void mix_backward(const MixProblem<float>& p);
void mix_backward(const MixProblem<double>& p);

}  // namespace telos::nn
