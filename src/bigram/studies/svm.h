#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/base/matrix.h"

// Attention as a support vector machine (Tarzanagh et al., arXiv 2308.16898): f(X_i) = vᵀX_iᵀ softmax(X_i W
// z_i) with v fixed, loss mean log(1 + e^(−Y_i f_i)). Gradient descent on W alone grows without bound, in the
// direction of W_mm = argmin ‖W‖_F with (x_i,opt − x_it)ᵀ W z_i ≥ 1: attention separates the token with the
// best score Y_i vᵀx_it from all others of its sample, by the largest margin.

namespace telos::bigram::studies::svm {

struct Problem {
  std::vector<Matrix<double>> x;  ///< T × d of each of n samples: tokens are rows
  Matrix<double> z;               ///< n × d, the queries
  Matrix<double> score;           ///< n × T, Y_i⟨v, x_it⟩

  std::size_t samples() const { return x.size(); }
  std::size_t tokens() const { return score.cols(); }
  std::size_t width() const { return z.cols(); }
};
/// Scores of tokens whose direction v and labels ±1 are given.
Problem make_problem(std::vector<Matrix<double>> x, Matrix<double> z, std::span<const double> v,
                     std::span<const double> labels);
/// Of each sample, the token with the highest score; of equals the first.
std::vector<std::size_t> best_tokens(const Problem& problem);
/// Of each sample, the token that W attends to most.
std::vector<std::size_t> attended_tokens(const Problem& problem, ConstMatrixView<double> w);

/// The largest margin of `chosen` over the other tokens, by coordinate ascent on the dual (Hildreth 1957):
/// with rows G_j = vec((x_chosen − x_t)zᵀ) and K = GGᵀ, λ_j ← max(0, λ_j + (1 − (Kλ)_j)/K_jj), W = Σλ_j G_j.
struct Margin {
  Matrix<double> w;            ///< d × d
  std::vector<double> lambda;  ///< n(T − 1), samples one after the other, the other tokens in their order
  std::size_t sweeps = 0;
  bool separable = false;  ///< false: no W separates, or none was found in 100,000 sweeps
};
/// O(n²T²(d + sweeps)).
Margin max_margin(const Problem& problem, std::span<const std::size_t> chosen);
/// Smallest (x_chosen − x_t)ᵀ W z over samples and other tokens.
double smallest_margin(const Problem& problem, std::span<const std::size_t> chosen,
                       ConstMatrixView<double> w);

/// ∂loss/∂W = e^log_scale·direction. With a = softmax, ∂f/∂logit_t = a_t Σ_s a_s(γ_t − γ_s): products a_t a_s
/// relative to the largest keep all digits where attention is all but hard, and the scale would underflow.
struct Gradient {
  double loss = 0;
  Matrix<double> direction;
  double log_scale = 0;
};
/// O(nT(T + d) + nd²).
Gradient gradient(const Problem& problem, ConstMatrixView<double> w);
/// The same as commonly written and differentiated, a_t(γ_t − Σ_s a_s γ_s): it loses its digits by
/// cancellation as attention hardens. log_scale = 0.
Gradient textbook_gradient(const Problem& problem, ConstMatrixView<double> w);

enum class Descent {
  kNormalised,  ///< W ← W − η∇/‖∇‖
  kTextbook,    ///< the same with textbook_gradient() and ‖∇‖ + 2.2e-16
  kPlain,       ///< W ← W − η∇
};
/// W from W = 0 after each number of steps of `at` (ascending).
std::vector<Matrix<double>> descend(const Problem& problem, Descent descent, double rate,
                                    std::span<const std::size_t> at);
/// ⟨A, B⟩/(‖A‖‖B‖).
double correlation(ConstMatrixView<double> a, ConstMatrixView<double> b);

}  // namespace telos::bigram::studies::svm
