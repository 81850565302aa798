#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/base/matrix.h"

// Linear regression in context by a layer that is applied L times (Gatmiry et al., arXiv 2410.08292): with
// S = (1/n)Σ x xᵀ each loop does w ← w + A(1/n)Σ(y − ⟨w, x⟩)x, so that w_L − w* = −(I − AS)^L w*. For
// x, x_q ~ N(0, Λ), w* ~ N(0, I) the loss E(ŷ − y)² is E tr[(P^L)ᵀ Λ P^L], P = I − AS.

namespace telos::bigram::studies::looped {

/// A law on a few points that gives all polynomials up to degree 2·points − 1 their exact mean.
struct Quadrature {
  std::vector<double> node, weight;
};
/// Of S for d = 1, x ~ N(0, 1): χ²_n/n, whose moments are Π_{i<j}(n + 2i)/n. Gauss–Laguerre by the
/// eigenvectors of the Jacobi matrix (Golub and Welsch).
Quadrature mean_square_law(std::size_t prompt, std::size_t points);

/// E(1 − aS)^{2L}, d = 1, and its least value over a. Convex in a; sums of positive terms.
double scalar_loss(const Quadrature& law, double a, std::size_t loops);
struct Best {
  double a = 0, loss = 0;
};
Best best_scalar(std::size_t prompt, std::size_t loops);

/// tr[(P^L)ᵀ Λ P^L] of one prompt; adds its derivative by A to `gradient`. O(L d³).
double loop_loss(ConstMatrixView<double> s, std::span<const double> eigenvalues, ConstMatrixView<double> a,
                 std::size_t loops, MatrixView<double> gradient);

}  // namespace telos::bigram::studies::looped
