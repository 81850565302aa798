#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/base/matrix.h"

// Linear regression in context over K orthonormal features of unequal frequency (Huang, Cheng and Liang,
// arXiv 2310.05249): x_i = v_m with probability p_m, y = ⟨w, x⟩, w ~ N(0, I), n pairs and a query v_k.
// Softmax attention answers with ŷ = Σ_m a_m w_m, a_m = n_m e^{A_mk}/Σ_j n_j e^{A_jk}, where n_m counts
// feature m in the prompt and A is what is trained, K logits for each query.

namespace telos::bigram::studies::imbalanced {

/// All count vectors of a prompt and their probabilities. Those without feature k leave ŷ without w_k.
struct Counts {
  Matrix<double> n;  ///< vectors × K
  std::vector<double> probability;
};
/// Multinomial(prompt, p): C(prompt + K − 1, K − 1) vectors. Throws kLimit for more than a million.
Counts enumerate_counts(std::span<const double> p, std::size_t prompt);
/// Given that feature k is absent; empty where it never is.
Counts without_feature(const Counts& counts, std::size_t k);

/// E ½(y − ŷ)² = E ½(1 − 2a_k + Σ_m a_m²) given the query k, over w and the counts; adds
/// ∂/∂A_mk = E a_m[(a_m − 1{m = k}) − Σ_j a_j(a_j − 1{j = k})] to `gradient`. O(vectors · K).
double query_loss(const Counts& counts, std::size_t k, std::span<const double> logits,
                  std::span<double> gradient);

/// What no logits of query k can go below: the features that are present share the answer best where k is
/// absent, and k has it alone where it is present. By gradient descent on the former.
double query_floor(const Counts& counts, std::size_t k);

struct Course {
  std::vector<std::size_t> at;  ///< as asked for
  Matrix<double> loss;          ///< at × K
  /// First iteration that halved what a query can learn; the number of iterations where none did.
  std::vector<std::size_t> half;
};
/// Gradient descent from A = 0 on Σ_k p_k loss_k, exact, up to the last iteration of `at` (ascending).
Course descend(const Counts& counts, std::span<const double> p, std::span<const double> floors, double rate,
               std::span<const std::size_t> at);

}  // namespace telos::bigram::studies::imbalanced
