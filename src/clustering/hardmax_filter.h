#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "clustering/hardmax_columns.h"
#include "telos/base/arena.h"
#include "telos/linalg/gemm.h"

namespace telos::clustering {

/// Tokens in single precision, turned so that the first coordinates hold most of their squares: products of
/// the first m, and the norms of the rest, bound scores from above.
class Filter {
 public:
  /// Brings active tokens and faces up to date.
  void refresh(const HardmaxState& state, const std::vector<TokenId>& active, const Arena& arena);
  /// A token where it was last active.
  const float* token(TokenId t) const { return rows_.row(t); }
  /// Any point, turned.
  void turn(const double* point, std::span<float> out) const;
  /// Where a token, or a face, is at this layer.
  void position(const HardmaxState& state, TokenId point, std::span<float> out) const;

 private:
  void choose_axes(const HardmaxState& state, const Arena& arena);
  const float* row(const HardmaxState& state, TokenId point) const;

  bool started_ = false;
  std::size_t layer_ = 0;
  Matrix<double> axes_;  ///< d × d, orthonormal columns; empty: not turned
  Matrix<float> rows_;
  std::vector<float> faces_;
};

/// |product in single precision − product| ≤ rounding_error(d)·scale for factors of d numbers of norm 1 and
/// `scale`, each rounded four times, summed in any order.
inline double rounding_error(std::size_t d) {
  return static_cast<double>(d + 8) * 0x1p-24 * 1.001;
}

/// (x_1 … x_m, ‖the rest‖ rounded up); x itself if m is all.
void cut_row(std::span<const float> x, std::size_t m, float* out);

}  // namespace telos::clustering
