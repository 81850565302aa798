#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"

// The sparse contextual bigram (arXiv 2410.23438): tokens x_1 … x_T and a last token k are independent draws
// from μ; the last token picks a position t ~ q^(k), of which at most Q have weight, and the output is o ~
// P(·|x_t).

namespace telos::bigram {

/// Rounded as a user's matrix may be: sums within this of 1 are renormalised.
inline constexpr double kSumTolerance = 1e-6;
/// Tokens are kept in 16 bits.
inline constexpr std::size_t kMostTokens = 65535;

/// Weights of one column q^(k), at ascending positions.
struct SparseColumn {
  std::vector<std::uint32_t> positions;
  std::vector<double> weights;  ///< > 0, sum 1
};

/// One task: who follows whom, how often each token comes, and where each last token looks. Columns are
/// conditional laws: p(i, j) = Pr(next = i | attended = j). Of the task behind samples of a file P and q are
/// not known, and empty.
struct Instance {
  Matrix<double> p;                  ///< N × N, columns sum to 1
  std::vector<double> mu;            ///< N, P μ = μ, > 0, sums to 1
  std::vector<SparseColumn> q;       ///< N columns
  std::size_t length = 0;            ///< T
  std::vector<std::string> names{};  ///< of the tokens; empty: "0", "1", …

  std::size_t tokens() const { return mu.size(); }
  bool known() const { return !q.empty(); }
  /// Largest number of positions of a column, Q.
  std::size_t sparsity() const;
  std::string name(std::size_t token) const;
};

/// μ with P μ = μ by the elimination of Grassmann, Taksar and Heyman: no subtraction, so that the smallest
/// entry has full precision. O(N³). Throws kUsage (columns that do not sum to 1, naming the first and saying
/// so if the rows do; negative, a chain that falls apart: its strongly connected components), kNotFinite,
/// kShape.
std::vector<double> stationary(ConstMatrixView<double> p);

/// Checks P and q as above and below, merges positions given twice and leaves out those without weight (a
/// note), renormalises columns whose sum is within kSumTolerance of 1 (a note), computes μ. Throws kUsage
/// naming the column: q empty, negative, a sum that is not 1, a position ≥ length; μ below 1e-9; P ≈ μ1ᵀ (K_P
/// < 1e-8: nothing to learn); kLimit (more than kMostTokens tokens).
Instance make_instance(Matrix<double> p, std::vector<SparseColumn> q, std::size_t length,
                       std::vector<std::string>* notes = nullptr);

enum class TransitionKind { kDirichlet, kReversible };
enum class WeightKind { kUniform, kJittered, kDirichlet };
struct GenerateOptions {
  std::size_t tokens = 3, length = 5000, sparsity = 2;  ///< N ≥ 2, T ≥ 1, 1 ≤ Q ≤ T
  TransitionKind transitions = TransitionKind::kDirichlet;
  double concentration = 1;  ///< of the Dirichlet law of P's columns: smaller, more to learn
  WeightKind weights = WeightKind::kJittered;  ///< kJittered: ∝ 0.5 + U(0, 1)
  double weight_concentration = 1;             ///< kDirichlet
  std::uint64_t seed = 1;
};
/// A random instance, from stream 7 of the seed; positions uniform without repetition. Throws kUsage.
Instance generate(const GenerateOptions& options);

/// A related task for transfer: P' = (1 − s) P + s R with R the transitions of `other` (s = share), and the
/// columns of `other` where `new_positions`. Stationary law recomputed. Throws kShape, kUsage.
Instance blend(const Instance& task, const Instance& other, double share, bool new_positions);

/// ⟨A, B⟩_μ = Σ_k μ_k ⟨a_k, b_k⟩ over columns; ‖A‖²_μ = ⟨A, A⟩_μ.
struct Constants {
  double k_p = 0;  ///< ‖P − μ1ᵀ‖²_μ: how much a token says of the next
  double k_q = 0;  ///< ‖Q − 11ᵀ/T‖²_μ
  double mu_squared = 0, p_squared = 0, q_squared = 0;  ///< ‖μ‖², ‖P‖²_μ, ‖Q‖²_μ
  double j_p = 0;  ///< Σ_l μ_l P̃_lᵀ(diag μ − μμᵀ)P̃_l: noise of the first steps
  double loss_start = 0, loss_least = 0;  ///< (1 − ‖μ‖²)/2 and (1 − ‖μ‖² − ‖Q‖²_μ K_P)/2
  double gamma = 0;                       ///< √(K_P K_Q), growth rate of the first stage
  double mu_ratio = 0;                    ///< largest over smallest μ
};
Constants constants(const Instance& instance);

/// An instance as JSON: {"format": "telos.bigram.instance", "version": 1, "tokens", "length", "p" (by rows),
/// "q": [{"positions", "weights"}…], "names"}; numbers read back to the same bits. Throws kLimit (20 million
/// numbers).
std::string instance_json(const Instance& instance);
/// Checks all that make_instance checks and throws kBadFormat naming file and place; kLimit.
Instance parse_instance(std::string_view text, const std::string& where,
                        std::vector<std::string>* notes = nullptr);
/// instance_json to a file, complete or not at all. Throws kIo, kLimit.
void write_instance(const Instance& instance, const std::string& path);
/// parse_instance of a file. Throws kMissingFile, kIo too.
Instance read_instance(const std::string& path, std::vector<std::string>* notes = nullptr);

/// Matrices of your own as text: numbers between tabs, commas or blanks, a record a line, with or without a
/// first line and a first column of names.
struct InstanceTables {
  std::string p_path, q_path;
  bool p_by_rows = false;               ///< row j of P's file is the law of what follows j; else column j is
  std::optional<std::size_t> length{};  ///< T, which only a list of positions needs
  std::optional<std::size_t> sparsity{};  ///< Q: most positions of a last token
};
/// P is N × N. q is either T × N, column k where the last token k looks; or a list whose first line is
/// "token position weight", tokens by their names in P's file or else by number. Tokens and positions count
/// from 0; rows, lines and columns of the files from 1. Throws what read_instance does, naming file, row,
/// line and column; kShape.
Instance read_instance_tables(const InstanceTables& tables, std::vector<std::string>* notes = nullptr);

}  // namespace telos::bigram
