#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/bigram/population.h"
#include "telos/io/units.h"

// The sparse contextual bigram measured on a text. A window ends at the last token k = x_i; the token to
// predict is o = x_{i+1}; *offsets* count backwards: offset 0 is the last token itself, offset d is x_{i−d}.
// Offset 0 is no position of the paper's model, which attends to the tokens before the last one only; with
// it, the classical bigram is a member of the family (q^(k) = offset 0 for all k). Where an instance or a
// model has positions 0 … T (oldest first), position T − d is offset d.

namespace telos::bigram {

inline constexpr std::size_t kMostOffset = 1024;

// ---- Which tokens depend on which

/// Does the second token of a pair depend on the first? From a table of counts n_ab with margins r_a, c_b.
struct Dependence {
  std::uint64_t pairs = 0;  ///< n
  /// Σ (n_ab − r_a c_b/n)²/(r_a c_b/n), after tokens of fewer than √n pairs were put together, on either
  /// side, to classes of √n or more: χ² says nothing of tables most of whose cells are empty.
  double chi_squared = 0;
  double degrees = 0;  ///< (rows − 1)(columns − 1), so counted
  /// Pr(χ² at least as large | margins), by the scaled χ² law whose mean and variance are those of the exact
  /// permutation law (Haldane 1940). It takes pairs as independent of each other.
  double p_value = 1;
  double information = 0;  ///< Σ n_ab/n ln(n n_ab/(r_a c_b)), nats, of the whole table; biased upwards
  double error = 0;        ///< its standard error, as if pairs were independent of each other
  double chance = 0;       ///< the same after the second tokens were dealt to the pairs anew: the bias
};

/// Is the next token informed by the one at `offset`, given the last token?
struct OffsetTest {
  std::uint16_t last = 0;
  std::uint32_t offset = 0;
  Dependence dependence;
  double holm = 1;           ///< p-value corrected for all tests made (Holm 1979)
  bool significant = false;  ///< holm below the level
};

// ---- The most likely mixture

/// Pr(o | x_i, x_{i−1}, …) = Σ_d q^(k)_d P(o | x_{i−d}), k = x_i: a mixture transition distribution (Raftery
/// 1985) whose weights the last token chooses.
struct Mixture {
  Matrix<double> p;               ///< V × V, p(o, j) = P(o | j)
  Matrix<double> q;               ///< V × (max_offset + 1), row k is q^(k) by offset
  std::vector<double> objective;  ///< nats a window after each iteration at the final offsets; never falls
  bool converged = false;         ///< before the iterations were used up
};
struct MixtureOptions {
  std::size_t min_offset = 0;  ///< 1: the last token is not attended to, as in the paper
  std::size_t max_offset = 16;
  std::size_t sparsity = 3;      ///< most offsets of a last token
  bool contextual = true;        ///< false: one q for all last tokens
  std::uint64_t min_count = 50;  ///< last tokens of fewer windows share one q
  double smooth = 1;             ///< α > 0: P has pseudo-counts αμ in every column
  std::size_t iterations = 200;
  double tolerance = 1e-7;  ///< of the objective: nats a window
};
/// By expectation and maximisation (MAP with the Dirichlet prior 1 + αμ on P's columns), starting from the
/// pairs of the lag that tells most; offsets of little weight are left out by halves until `sparsity` are
/// left. Tokens below `vocabulary`, in reading order; all windows of max_offset + 1 tokens with a next one.
/// O(windows · max_offset + V²) an iteration; same bits for any number of threads. Throws kUsage (a token or
/// option out of range, a sequence that is too short), kLimit.
Mixture fit_mixture(std::span<const std::uint16_t> tokens, std::size_t vocabulary,
                    const MixtureOptions& options, const Arena& arena);

// ---- Estimate

/// A mean over blocks of a text, with the standard error that their scatter gives; NaN for fewer than two
/// blocks.
struct BlockMean {
  double value = 0, error = std::numeric_limits<double>::quiet_NaN();
  std::size_t blocks = 0;
};

struct EstimateOptions {
  std::size_t max_offset = 16, sparsity = 3;
  std::uint64_t min_count = 50;    ///< of a last token, to be looked at by itself
  std::optional<double> smooth{};  ///< α; empty: the one that serves the bigram best on the validation part
  double level = 0.05;             ///< of the tests together
  std::uint64_t seed = 1;          ///< of the dealing of `chance`
};

/// Cross-entropy of a model on the held-out part.
struct HeldOut {
  std::string model;  ///< "unigram", "bigram", "one q", "q by last token", "without the last token"
  BlockMean nats;     ///< a token
  BlockMean gain;     ///< bigram − this model, paired by blocks
};

struct CorpusEstimate {
  EstimateOptions options;
  std::vector<std::uint64_t> counts;    ///< of each token
  std::vector<double> mu;               ///< frequencies
  Matrix<double> p;                     ///< transitions, p(next, this), smoothed by αμ
  double smooth = 0;                    ///< α
  std::vector<Dependence> lags;         ///< of (x_i, x_{i+l}), l = 1 … max_offset + 1
  std::vector<OffsetTest> tests;        ///< by last token, then offset 1 … max_offset
  std::vector<std::uint16_t> rare;      ///< last tokens below min_count
  Mixture shared, contextual, earlier;  ///< of the training part; `earlier` has min_offset 1
  std::uint64_t train = 0, validation = 0, held_out = 0;  ///< windows, in this order in the text
  std::size_t blocks = 0;                                 ///< of the held-out part
  std::vector<HeldOut> models;                            ///< in the order of HeldOut::model
  std::vector<std::string> notes;
};
/// 80 % of the windows fit, the next 10 % choose α, the last 10 % are predicted. Throws as fit_mixture;
/// kUsage where the text has too few windows for three parts.
CorpusEstimate estimate(const Corpus& corpus, const EstimateOptions& options, const Arena& arena);

/// The contextual mixture as a task for the lab: T = max_offset + 1 positions, position max_offset − d for
/// offset d. In the task, tokens are independent draws, the last one of its positions included.
Instance instance_of(const Mixture& mixture, const std::vector<std::string>& names,
                     std::vector<std::string>* notes = nullptr);

// ---- Linear probe

/// A probe solves for V × V equations.
inline constexpr std::size_t kMostProbed = 1024;

struct ProbeOptions {
  std::size_t max_offset = 16;
  bool with_last = true;         ///< false: offset 0 has no weight, as in the paper
  std::uint64_t min_count = 50;  ///< last tokens of fewer windows look at the nearest offset alone
  std::size_t rounds = 20;       ///< of alternating least squares
};
struct Probe {
  ProbeOptions options;
  Model model;            ///< V; A by positions, oldest first: column max_offset − d is offset d
  Matrix<double> errors;  ///< standard errors of A's entries, given V; 0 where nothing was fitted
  std::vector<std::uint64_t> counts;      ///< fitted windows by last token
  std::vector<double> mu;                 ///< frequencies in the fitted part
  std::uint64_t train = 0, held_out = 0;  ///< windows, in this order in the text
  std::size_t blocks = 0;                 ///< of the held-out part
  BlockMean loss;                         ///< ½‖e_o − f‖², held out
  BlockMean marginal, last;               ///< of predicting μ; of the best V on the last token alone
  BlockMean gain_marginal, gain_last;     ///< those less `loss`, paired by blocks
};
/// f = V X a_k with 1ᵀa_k = 1 by least squares on the first 90 % of the windows, predicted on the rest. It
/// starts from the nearest offset. O(windows · max_offset²) a round. Throws as fit_mixture; kLimit (more than
/// kMostProbed tokens).
Probe fit_probe(const Corpus& corpus, const ProbeOptions& options, const Arena& arena);
/// The nearest task: columns of V and of A are projected onto the simplex, and a note says how far they were
/// from it; a thousandth of μ is mixed into P, so that it is a chain of all tokens. Throws as make_instance.
Instance instance_of(const Probe& probe, const std::vector<std::string>& names,
                     std::vector<std::string>* notes = nullptr);

}  // namespace telos::bigram
