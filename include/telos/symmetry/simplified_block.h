#pragma once

#include <cstddef>

namespace telos::symmetry {

/// A row of attention is divided by nothing, √n or n, n the positions that it sees: the kernel by 1, n, n².
enum class AttentionAverage { kNone, kRoot, kMean };

/// The simplified block (arXiv 2402.05173): one layer of linear attention, untied query and key, logits and
/// values bilinear, infinitely many heads, and nothing else. One query reads L tokens:
///
///     f(X) = √(N/H) Σ_h Σ_b [(h_q W_Q^h)·(h_b W_K^h)/√d_k] (h_b·w_V^h),   h_b = √e E[x_b] + √s p_b
///     k(X, Y) = q N Σ_{b,d} (e [x_b = y_d] + s [b = d])² = q N (e² c_X·c_Y + 2 e s m(X, Y) + s² L)
///
/// N = 1, 1/L or 1/L²; q = e [x_q = y_q] + s of the token that asks, and 1 for a query that is fixed. c_X(v)
/// counts letter v in X, m counts positions where X and Y agree.
struct SimplifiedBlock {
  double token = 1, position = 0.5;                    ///< e and s: variances of the embeddings
  AttentionAverage average = AttentionAverage::kMean;  ///< N
  bool query = false;  ///< the last token of a sequence asks; it is none of the L, and is not permuted
};
/// Throws kUsage for a variance that is below 0 or not finite, and where both are 0.
void require_valid(const SimplifiedBlock& block);
/// N for sequences of so many positions: 1, 1/√(L L') or 1/(L L').
double average_factor(AttentionAverage average, double length_x, double length_y);

/// k = q (counts c·c + matches m + constant).
struct PairCoefficients {
  double counts = 0, matches = 0, constant = 0;
};
PairCoefficients pair_coefficients(const SimplifiedBlock& block, std::size_t length);

}  // namespace telos::symmetry
