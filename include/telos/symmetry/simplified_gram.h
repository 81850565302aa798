#pragma once

#include <cstdint>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/linear_function.h"

// The kernel of the simplified block: one layer of linear attention, logits and values bilinear, attention
// averaged over L positions, infinitely many heads (arXiv 2402.05173):
//
//     f(X) = 1/(L √H) Σ_h Σ_b [(h_q W_Q^h)·(h_b W_K^h)/√d_k] (h_b·w_V^h),   h_b = √e E[x_b] + √s p_b
//     k(X, Y) = (e [x_q = y_q] + s) (e² c_X·c_Y + 2 e s m(X, Y) + s² L)/L²
//
// c_X(v) counts letter v in X; m counts positions where X and Y agree. Without a query token the first factor
// is 1.

namespace telos::symmetry {

struct LinearBlock {
  double token = 1, position = 0.5;  ///< variances e and s of token and position vectors
  bool query = false;                ///< the last letter of a sequence asks; it is none of the L positions
};

/// k = factor (counts c·c + matches m + constant).
struct PairCoefficients {
  double counts = 0, matches = 0, constant = 0;
};
PairCoefficients pair_coefficients(const LinearBlock& block, std::size_t length);

/// Rows are sequences of letters below `vocabulary`; with a query their last letter is the query. a and b may
/// be the same. Exact: counts by one product of matrices, matches by comparing bytes; O(V + L) a pair, a
/// symmetric set half of them. Same bits for any number of threads. Throws kUsage (no position, vocabulary
/// out of [1, 65,536], a variance below 0), kBadFormat naming sequence and position of a letter that is too
/// large, kShape (lengths differ), kLimit (memory).
Matrix<double> simplified_gram(const LinearBlock& block, ConstMatrixView<std::uint32_t> sequences,
                               std::uint32_t vocabulary, const Arena& arena);
Matrix<double> simplified_gram(const LinearBlock& block, ConstMatrixView<std::uint32_t> a,
                               ConstMatrixView<std::uint32_t> b, std::uint32_t vocabulary,
                               const Arena& arena);
/// k(X, X) of each sequence.
std::vector<double> simplified_diagonal(const LinearBlock& block, ConstMatrixView<std::uint32_t> sequences,
                                        std::uint32_t vocabulary);

/// Σ_p k(·, x_p) α_p of the block without query, for each column of α (P × outputs): the posterior mean as a
/// function, whatever P. O(P L) each.
std::vector<LinearFunction> simplified_mean(const LinearBlock& block,
                                            ConstMatrixView<std::uint32_t> sequences,
                                            std::uint32_t vocabulary, ConstMatrixView<double> weights);

}  // namespace telos::symmetry
