#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "telos/base/matrix.h"

// Autoregression in context (Sander et al., arXiv 2402.05787): s_t = W^t s_0, s_0 = 1, W = diag(λ), phases of
// λ_j uniform and new for each sequence. Loss E‖ŝ − s_{T+1}‖², sums of |coefficient|² of the monomials in λ.

namespace telos::bigram::studies::autoregressive {

/// Augmented tokens (0, s_t, s_{t−1}): ŝ = Σ_{t=1}^T η_t s_t s_{t−1}ᴴ s_T has the loss
/// d[(1 − Ση_t)² + (d − 1)Ση_t²]. Least for equal weights η* = 1/(T + d − 1), one step of gradient descent on
/// Σ‖s_t − W s_{t−1}‖²: d(d − 1)/(T + d − 1).
double augmented_loss(std::size_t d, std::span<const double> eta);
struct OneStep {
  double eta = 0, loss = 0;
};
OneStep best_augmented(std::size_t d, std::size_t length);

/// Tokens s_t alone, diagonal heads with C = Σ_h b_h a_hᵀ, attention p by position:
/// ŝ_i = Σ_{t=1}^T p_t Σ_j C_ij conj(s_{T−1,j}) s_{t,j} s_{t,i}. Exact loss
/// Σ_{t≠T−1} p_t²‖C‖²_F + p_{T−1}²‖C1‖² − 2p_T tr C + d; p is (p_1, …, p_T). Least 0, at C = I/p_T, p = p_T
/// e_T; with H < d heads C has rank H, and the least is d − H.
double masked_loss(ConstMatrixView<double> c, std::span<const double> p);
/// The same, and adds its derivatives.
double masked_gradient(ConstMatrixView<double> c, std::span<const double> p, MatrixView<double> by_c,
                       std::span<double> by_p);
/// ‖ŝ − s_{T+1}‖² of one sequence.
double masked_error(ConstMatrixView<double> c, std::span<const double> p,
                    std::span<const std::complex<double>> lambda);

/// Heads and a mask for all prefixes: row q − 1 of the mask predicts s_{q+1} from s_1 … s_q.
struct Masked {
  Matrix<double> b, a;  ///< heads × d
  Matrix<double> mask;  ///< T × T, lower triangular
};
Matrix<double> combined(const Masked& model);  ///< C
/// Mean over the prefixes of masked_loss.
double mean_loss(const Masked& model);

}  // namespace telos::bigram::studies::autoregressive
