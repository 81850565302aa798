#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"

// Causal structure (Nichani, Damian and Lee, arXiv 2402.14735): a new Markov chain π for each sequence, rows
// ~ Dirichlet(α). Positions 0 … T−2 follow a graph in which each has one parent before it or none; roots are
// drawn from the stationary law. The last token is uniform, and the target is its row of π: it must be read
// from what followed that token before, along the graph.

namespace telos::bigram::studies::causal {

/// Parent of positions 0 … T−2; −1: none.
using Graph = std::vector<int>;
/// 0, 1, 2, as the study's parameter counts them.
enum class GraphKind {
  kChain,  ///< each position follows the one before it
  kPairs,  ///< (0, 1), (2, 3), …
  kRandom  ///< parents uniform among the positions before
};
Graph make_graph(GraphKind kind, std::size_t length, Random random);

struct Sequence {
  std::vector<std::uint32_t> tokens;  ///< T
  std::vector<double> target;         ///< S, π of the last token
};
/// Tokens along the graph from π, by rows, and its stationary law. O(TS).
Sequence draw_tokens(const Graph& graph, ConstMatrixView<double> pi, std::span<const double> mu,
                     Random& random);
/// The same with rows of a new π ~ Dirichlet(alpha). O(S³ + TS).
Sequence draw_sequence(const Graph& graph, std::size_t symbols, double alpha, Random random);

/// I(ℓ) = Σ (μ_s π^ℓ_ss')²/(μ_s μ_s') − 1 of tokens ℓ ≥ 1 steps apart, the χ² mutual information. It falls
/// with ℓ (data processing). π by rows.
double chi_square_information(ConstMatrixView<double> pi, std::size_t lag);
/// The first gradient. With attention in the first layer by position alone and A² = βI from the last token to
/// what each position attends to, ∂loss/∂A¹_ij is, for long sequences, in proportion to
/// E[(π(x_i|s)/μ(x_i) − 1)·1{x_j = s}] less its mean over j: Σ μ_s π_ss' π^ℓ_ss'/μ_s' − 1 over S for x_j that
/// lies ℓ steps before x_i. It is I(1) at the parent, and at most √(I(1)I(ℓ)) elsewhere.
double first_gradient(ConstMatrixView<double> pi, std::size_t lag);
/// The best answer that knows the graph: counts of what followed the last token along it, plus α, over their
/// sum.
std::vector<double> bayes_answer(const Graph& graph, const Sequence& sequence, double alpha);
/// −Σ_s target_s log answer_s.
double cross_entropy(std::span<const double> target, std::span<const double> answer);

/// The disentangled transformer: h⁰_i = [e_token; e_position] of width D = S + T, h¹ = [h⁰; attention over h⁰
/// with logits h⁰ᵀA¹h⁰], h² = [h¹; attention over h¹ with logits h¹ᵀA²h¹] at the last position,
/// softmax(Wᵀh²). Attention is causal (j ≤ i).
struct Network {
  Matrix<double> a1;  ///< D × D
  Matrix<double> a2;  ///< 2D × 2D
  Matrix<double> w;   ///< 4D × S
};
Network zero_network(std::size_t symbols, std::size_t length);
/// Its law of the next token.
std::vector<double> answer(const Network& network, const Sequence& sequence);
/// Cross-entropy with the target; adds the gradient. O(D² + T²).
double loss_and_gradient(const Network& network, const Sequence& sequence, Network& gradient);

/// Plain gradient descent from zero on fresh sequences, the rate falling linearly to 0.
struct TrainingOptions {
  std::size_t symbols = 5, length = 10, steps = 6000, batch = 64;
  double alpha = 0.1, rate = 5;
};
/// Mean loss of the steps up to `step` since the one before, and the rows found then.
struct Milestone {
  std::size_t step = 0;
  double loss = 0;
  std::size_t rows = 0;
};
struct Training {
  Network network;
  std::vector<Milestone> course;
};
Training train(const Graph& graph, const TrainingOptions& options, std::uint64_t seed, const Arena& arena);

/// Weights of the first attention by the position block of A¹ alone, T × T.
Matrix<double> position_attention(const Network& network);
/// Positions with a parent, and those of them whose position_attention() is largest at the parent.
std::size_t rows_with_parent(const Graph& graph);
std::size_t rows_found(const Graph& graph, ConstMatrixView<double> attention);

}  // namespace telos::bigram::studies::causal
