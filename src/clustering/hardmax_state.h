#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "telos/base/matrix.h"

// The hardmax system while it runs, with A = I. Unique tokens are numbered by norm at layer 0, descending,
// then by coordinates: an order that the input's own does not enter, so that permuted tokens have the same
// bits.

namespace telos::clustering {

using TokenId = std::uint32_t;

/// The one score that decides: four sums over j mod 4 in ascending j, added in pairs; products are rounded.
inline double canonical_dot(const double* a, const double* b, std::size_t n) {
  double sum[4] = {0, 0, 0, 0};
  std::size_t j = 0;
  for (; j + 4 <= n; j += 4)
    for (std::size_t l = 0; l < 4; ++l) sum[l] += a[j + l] * b[j + l];
  for (std::size_t l = 0; j + l < n; ++l) sum[l] += a[j + l] * b[j + l];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
/// 0 for zero alone: squares that underflow are taken of 2^700 a.
inline double canonical_norm(const double* a, std::size_t n) {
  const double square = canonical_dot(a, a, n);
  if (square > 0x1p-900) return std::sqrt(square);
  double sum = 0;
  for (std::size_t j = 0; j < n; ++j) sum += (a[j] * 0x1p700) * (a[j] * 0x1p700);
  return std::sqrt(sum) * 0x1p-700;
}

enum class TokenState : std::uint8_t { kActive, kLeader, kStatic, kFrozen };

/// All unique tokens at one layer. `w` is scaled by a power of two: the largest norm R lies in [½, 1).
struct HardmaxState {
  /// Positions: of a decided token, where it was at the layer that decided.
  struct Points {
    Matrix<double> tokens;
    std::vector<double> faces;  ///< means of static tokens that others converge to, one after the other
  };

  std::size_t layer = 0;
  Points w;
  Points z;                    ///< the tokens themselves where w is not their own scaled copy; carried along
  std::vector<double> norm;    ///< ‖row of w‖
  std::vector<double> copies;  ///< equal tokens that the unique one stands for
  std::vector<TokenState> state;
  std::vector<std::uint32_t> decided;  ///< layer that decided
  /// What a frozen token converges to: a leader or static token, or size() + a face.
  std::vector<TokenId> target;
  std::vector<double> shrink{1};  ///< r^k for k = 0 … layer
  double tie = 0;  ///< τR: j is tied if best − ⟨u, w_j⟩ ≤ tie·‖u‖; 0: equal to the bit

  std::size_t size() const { return w.tokens.rows(); }
  std::size_t dimension() const { return w.tokens.cols(); }
  const double* target_point(const Points& points, TokenId t) const {
    return t < size() ? points.tokens.row(t) : points.faces.data() + (t - size()) * points.tokens.cols();
  }
  double shrunk(TokenId token) const { return shrink[layer - decided[token]]; }

  /// Position at this layer: target + r^{layer − decided} (z − target) once frozen.
  void position(const Points& points, TokenId token, double* out) const {
    const double* const row = points.tokens.row(token);
    const std::size_t d = points.tokens.cols();
    if (state[token] != TokenState::kFrozen) {
      for (std::size_t c = 0; c < d; ++c) out[c] = row[c];
      return;
    }
    const double factor = shrunk(token);
    const double* const to = target_point(points, target[token]);
    for (std::size_t c = 0; c < d; ++c) out[c] = to[c] + factor * (row[c] - to[c]);
  }
  void position(TokenId token, double* out) const { position(w, token, out); }

  /// Frozen, and as near to its target as makes no difference: within `reach`, or equal to the bit.
  bool arrived(const Points& points, TokenId token, double reach) const {
    if (state[token] != TokenState::kFrozen) return false;
    const double factor = shrunk(token);
    const double* const row = points.tokens.row(token);
    const double* const to = target_point(points, target[token]);
    double square = 0;
    bool equal = true;
    for (std::size_t c = 0; c < points.tokens.cols(); ++c) {
      const double step = factor * (row[c] - to[c]);
      square += step * step;
      equal = equal && to[c] + step == to[c];
    }
    return equal || square <= reach * reach;
  }
  bool arrived(TokenId token) const { return arrived(w, token, tie); }
  /// A token that has arrived at another counts as that one: followers that exact arithmetic never lets
  /// arrive would otherwise weigh in ties.
  bool merged(TokenId token) const { return target[token] < size() && arrived(token); }
};

}  // namespace telos::clustering
