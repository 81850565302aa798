#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/base/matrix.h"

// Linear regression in context: a prompt (x_1, y_1) … (x_n, y_n) with y = ⟨w, x⟩ and w ~ N(0, I_d) drawn anew
// for each prompt, then a query x_q. Linear attention that is trained on such prompts makes one step of
// gradient descent on them (von Oswald et al., arXiv 2212.07677; Zhang, Frei and Bartlett, arXiv 2306.09927;
// Ahn et al., arXiv 2306.00297).

namespace telos::bigram::studies::regression {

/// x ~ N(0, Λ); Λ is diagonal, which a rotation of x makes it.
struct GaussianTask {
  std::vector<double> eigenvalues;  ///< of Λ, d
  std::size_t prompt = 1;           ///< n, pairs
};

/// Diagonal of Γ = (1 + 1/n)Λ + (tr Λ/n) I, for which E (Σ x xᵀ/n)² = ΛΓ.
std::vector<double> gamma(const GaussianTask& task);

/// ŷ = x_qᵀ G (1/n)Σ y_i x_i; x is n × d, G d × d.
double predict(ConstMatrixView<double> g, ConstMatrixView<double> x, std::span<const double> y,
               std::span<const double> query);

/// E(ŷ − y)² = tr Λ − 2 tr(ΛGΛ) + tr(ΛGΛΓGᵀ), and its derivative 2Λ(GΓ − I)Λ by G. O(d²).
double population_loss(const GaussianTask& task, ConstMatrixView<double> g);
Matrix<double> population_gradient(const GaussianTask& task, ConstMatrixView<double> g);
/// The loss of G = Γ⁻¹, tr Λ − tr(Λ²Γ⁻¹): no G has less.
double least_loss(const GaussianTask& task);

/// G = uU, the two matrices of the attention reduced to what the loss sees of them: u of W_PV, U of W_KQ.
/// From a small balanced start gradient flow ends at u = tr(Γ⁻²)^{1/4}, U = Γ⁻¹/u.
struct Factors {
  double u = 0;
  Matrix<double> matrix;
};
double balanced_scale(const GaussianTask& task);  ///< tr(Γ⁻²)^{1/4}
/// Gradient descent on the exact loss from u = ‖U‖_F = start, U ∝ I, with steps of `rate` over the curvature
/// at the end.
Factors descend(const GaussianTask& task, double start, double rate, std::size_t steps);

/// The best single step of gradient descent from w = 0 on the prompt, w = (η/n)Σ y x, where x has
/// independent coordinates with s = E x² and m4 = E x⁴: with R = E‖x‖⁴/n + (1 − 1/n)ds² and
/// E‖x‖⁴ = d m4 + d(d − 1)s², η = ds/R and E ½(y − ŷ)² = ½s(d − d²s²/R).
struct OneStep {
  double eta = 0, loss = 0;
};
OneStep best_step(std::size_t d, std::size_t prompt, double s, double m4);

/// A prompt with its query in the last row of x, whose answer is `target`.
struct Prompt {
  Matrix<double> x;  ///< (n + 1) × d
  std::vector<double> y;
  double target = 0;
};

/// Linear attention with all its parameters that reach the answer: ŷ = pᵀ S K x_q, S = (1/n)Σ e eᵀ over the
/// tokens e = (x_i, y_i) and (x_q, 0). `theta` holds p (d + 1), then K, (d + 1) × d by rows.
struct Response {
  double value = 0;                 ///< ŷ
  std::vector<double> sensitivity;  ///< ∂ŷ/∂x_q
};
Response respond(std::span<const double> theta, const Prompt& prompt);
/// ½(ŷ − target)², and adds its derivative to `gradient`.
double add_gradient(std::span<const double> theta, const Prompt& prompt, std::span<double> gradient);

}  // namespace telos::bigram::studies::regression
