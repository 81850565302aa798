#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"

// Mixtures of linear regressions (Pathak et al., arXiv 2311.08362): a prompt belongs to component j with
// probability π_j, and its pairs are y_i = ⟨w_j, x_i⟩ + σξ_i. The best answer to a query is the posterior
// mean ŷ = Σ_j p_j⟨w_j, x_q⟩, p = softmax_j(log π_j − ‖y − Xw_j‖²/(2σ²)): one softmax attention read-out,
// whose keys and values are the w_j.

namespace telos::bigram::studies::mixture {

struct Mixture {
  Matrix<double> w;           ///< m × d
  std::vector<double> prior;  ///< π, m
  double sigma = 1;

  std::size_t components() const { return w.rows(); }
  std::size_t width() const { return w.cols(); }
};

/// Pairs of one component.
struct Prompt {
  Matrix<double> x;  ///< n × d
  std::vector<double> y;
  std::size_t component = 0;
};
/// x ~ N(0, I).
Prompt draw_prompt(const Mixture& mixture, std::size_t pairs, Random random);

/// log π_j − ‖y − Xw_j‖²/(2σ²), m of them. O(nmd).
std::vector<double> posterior_logits(const Mixture& mixture, ConstMatrixView<double> x,
                                     std::span<const double> y);
/// ŷ of a query.
double posterior_mean(const Mixture& mixture, ConstMatrixView<double> x, std::span<const double> y,
                      std::span<const double> query);
/// ⟨ŵ, query⟩ with ŵ = argmin ‖y − Xw‖² + penalty·‖w‖², of least norm where penalty = 0 leaves a choice.
/// O(nd² + d³).
double least_squares(ConstMatrixView<double> x, std::span<const double> y, std::span<const double> query,
                     double penalty = 0);

/// ŷ_t = Σ_j p_j⟨k_j, x_t⟩ with p = softmax_j(b_j − βΣ_{i<t}(y_i − ⟨k_j, x_i⟩)²): each pair is answered from
/// the pairs before it. The posterior mean is k_j = w_j, b_j = log π_j, β = 1/(2σ²).
struct ReadOut {
  Matrix<double> keys;       ///< m × d
  std::vector<double> bias;  ///< m
  double beta = 1;
};
ReadOut optimal_read_out(const Mixture& mixture);
/// ŷ_t of all pairs t. O(nmd).
std::vector<double> answers(const ReadOut& model, const Prompt& prompt);
/// Mean of ½(ŷ_t − y_t)² over the pairs; adds its gradient. O(nmd).
double read_out_loss(const ReadOut& model, const Prompt& prompt, ReadOut& gradient);

struct TrainingOptions {
  std::size_t keys = 10, steps = 1000, batch = 64, pairs = 20;
  double rate = 0.02;
};
/// Adam on fresh prompts, from small random keys.
ReadOut train_read_out(const Mixture& mixture, const TrainingOptions& options, std::uint64_t seed,
                       const Arena& arena);

/// A mixture of `components` from prompts alone by expectation maximisation: the most likely of ten runs from
/// least squares solutions of prompts.
Mixture fit_mixture(std::span<const Prompt> prompts, std::size_t components, std::uint64_t seed,
                    const Arena& arena);

}  // namespace telos::bigram::studies::mixture
