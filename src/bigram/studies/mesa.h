#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

// Autoregression in context (Zheng et al., arXiv 2405.16845): x_{t+1} = W x_t with W = diag(e^{iθ_j}), phases
// uniform and new for each sequence. Linear attention on the tokens e_t = (x_t; x_{t−1}), x_0 = 0, answers
// with ŷ_t = W_PV E_t E_tᴴ W_KQ e_t/(t − 1). From W_KQ = [0 0; aI 0], W_PV = [bI 0] gradient descent on
// ½Σ_{t=2}^{T−1}|ŷ_t − x_{t+1}|² moves in a and b alone, and the answer is ab times one step of gradient
// descent: ŷ_t = (ab/(t − 1)) Σ_{i=2}^t x_i x_{i−1}ᴴ x_t.

namespace telos::bigram::studies::mesa {

using Complex = std::complex<double>;

/// A sequence as the loss of two scalars sees it: ½(c² square − 2c cross + target), c = ab.
struct Sums {
  double cross = 0;   ///< Σ_t Re⟨u_t, x_{t+1}⟩, u_t the answer for ab = 1
  double square = 0;  ///< Σ_t|u_t|²
  double target = 0;  ///< Σ_t|x_{t+1}|²
};
/// From start and phases e^{iθ_j}; O(T d²).
Sums sums_of(std::span<const double> start, std::span<const Complex> phase, std::size_t length);
/// Their mean over the phases: cross = Σ_t Σ_j x_j⁴, square = Σ_t Σ_j (x_j⁶ + x_j² Σ_{r≠j} x_r⁴/(t − 1)).
Sums expected_sums(std::span<const double> start, std::size_t length);

/// κ1 = E x⁴, κ2 = E x⁶, κ3 = Σ_{r≠j} E x_j² x_r⁴ of the law of x_1.
struct Moments {
  double k1 = 0, k2 = 0, k3 = 0;
};
Moments gaussian_moments(std::size_t d, double sigma);  ///< x_1 ~ N(0, σ²I)

/// mean_{t=2..T−1} 1/(t − 1).
double mean_inverse(std::size_t length);
/// Where ab ends: κ1/(κ2 + κ3 mean 1/(t − 1)).
double limit_product(const Moments& moments, std::size_t length);

}  // namespace telos::bigram::studies::mesa
