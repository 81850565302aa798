#pragma once

#include <cstdint>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/linear_function.h"
#include "telos/symmetry/simplified_block.h"

// Gram matrices of the simplified block.

namespace telos::symmetry {

/// Rows are sequences of letters below `vocabulary`; with a query their last letter is the query. a and b may
/// be the same. Exact: counts by one product of matrices, matches by comparing bytes; O(V + L) a pair, a
/// symmetric set half of them. Same bits for any number of threads. Throws kUsage (no position, vocabulary
/// out of [1, 65,536], a variance below 0), kBadFormat naming sequence and position of a letter that is too
/// large, kShape (lengths differ), kLimit (memory).
Matrix<double> simplified_gram(const SimplifiedBlock& block, ConstMatrixView<std::uint32_t> sequences,
                               std::uint32_t vocabulary, const Arena& arena);
Matrix<double> simplified_gram(const SimplifiedBlock& block, ConstMatrixView<std::uint32_t> a,
                               ConstMatrixView<std::uint32_t> b, std::uint32_t vocabulary,
                               const Arena& arena);
/// k(X, X) of each sequence.
std::vector<double> simplified_diagonal(const SimplifiedBlock& block,
                                        ConstMatrixView<std::uint32_t> sequences, std::uint32_t vocabulary);

/// Σ_p k(·, x_p) α_p of the block without query, for each column of α (P × outputs): the posterior mean as a
/// function, whatever P. O(P L) each.
std::vector<LinearFunction> simplified_mean(const SimplifiedBlock& block,
                                            ConstMatrixView<std::uint32_t> sequences,
                                            std::uint32_t vocabulary, ConstMatrixView<double> weights);

}  // namespace telos::symmetry
