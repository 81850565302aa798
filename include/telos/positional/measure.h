#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/model/trace.h"
#include "telos/model/transformer.h"

// How positional the attention of a trained transformer is: for each head, the part of its attention that
// the positions of query and key explain, whatever the text; and what the model loses when heads are replaced
// by the attention that their positions alone predict.

namespace telos::positional {

/// A number from windows and its standard error (NaN where fewer than three windows leave none).
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();
};

/// What a head's attention is predicted from: the sum over windows of a_ij by pair, or by offset j − i, over
/// what uniform attention would have put there; each row is then scaled to sum 1 over the keys that it sees.
enum class StaticForm {
  kPair,    ///< (i, j): one L × L matrix
  kOffset,  ///< j − i: a Toeplitz matrix before the rows are scaled; fewer numbers to fit
};

/// One head over all windows. r = a_ij less the mean of row i over the keys that it sees (1/their number,
/// unless tokens are left out): attention less what uniform attention gives. A row's r sum to 0, so the
/// growing rows of a causal mask do not count as structure, and without a mask Σr² is the variance of the
/// entries. For a grouping g of the entries (by pair, by offset j − i, by key j) with sum s_wg and count c_wg
/// in window w, the part that is the same in all windows is
///
///   E_g = Σ_g C_g·((Σ_w s_wg)² − Σ_w s_wg²) / (C_g² − Σ_w c_wg²),   C_g = Σ_w c_wg,
///
/// an unbiased estimate of Σ_g C_g (mean of r)² (products of different windows only), and the share is
/// E_g/Σr². Pairs that one window alone has are left out of all sums. By noise a share may be slightly
/// negative.
struct HeadPositions {
  std::size_t layer = 0, head = 0;
  std::string name;  ///< "5.7"
  /// √(mean of Σ_j r² over rows with pairs that count): 0 is uniform attention, NaN like all shares where no
  /// such row has more than one key.
  double deviation = std::numeric_limits<double>::quiet_NaN();
  Estimate pair, offset, key;  ///< shares; errors by the jackknife over windows
  Estimate content;            ///< 1 − pair
  /// Windows for a standard error of the pair share of `target_error`, by error ∝ 1/√windows.
  std::size_t windows_needed = 0;
  bool is_static = false;  ///< the pair share, less one standard error if known, reaches the threshold
};

struct PositionOptions {
  double threshold = 0.9;      ///< share of the pair from which on a head counts as static
  double target_error = 0.02;  ///< for `windows_needed`
  /// B·L flags of tokens whose rows and columns are left out ([CLS], [SEP]); empty: none. What a head does
  /// with the tokens that are left is then measured, however little attention they get.
  std::vector<std::uint8_t> exclude{};
};

struct PositionMeasures {
  std::size_t windows = 0, tokens = 0, layers = 0, heads = 0;
  bool causal = false;
  PositionOptions options{};
  std::vector<HeadPositions> all;    ///< layer by layer, head by head
  std::vector<Matrix<double>> mean;  ///< mean A of the head in `all`, rows sum to 1
  Estimate pair, offset, key;        ///< Σ over heads of the parts over Σ over heads of Σr²
  std::size_t static_heads() const;
  std::vector<std::string> notes;
};

/// Padding (mask 0) is left out as query and as key, so windows may be of unequal length; pairs that lie in
/// fewer than two windows are not counted. A head that attends uniformly everywhere has shares 1 (positions
/// say all of it). A sliding window counts as position. Throws kUsage for a trace without attention or with
/// one window, kShape for flags that do not fit. Same bits for any number of threads. Cost O(B·L²) a head,
/// memory
/// O(L²) a thread, and 8·L² bytes a head for the means.
PositionMeasures measure_positions(const Trace& trace, const PositionOptions& options, const Arena& arena);

/// Mean attention of one head over the trace's windows in the given form: L × L, rows sum to 1 over the keys
/// that the row sees, 0 above the diagonal where causal. Rows that no window has are uniform.
Matrix<double> static_attention(const Trace& trace, std::size_t layer, std::size_t head, StaticForm form);

// ---- What if these heads were static?
// -----------------------------------------------------------------------------------------------------

struct StaticHeadOptions {
  PositionOptions positions{};
  StaticForm form = StaticForm::kPair;
  /// Heads to replace, {layer, head}; empty: those that positions alone explain above the threshold.
  std::vector<std::pair<std::size_t, std::size_t>> heads{};
};

/// Replaced heads against the model as it is, on windows that the mean attention was not fitted on.
struct StaticHeads {
  std::vector<std::pair<std::size_t, std::size_t>> replaced;
  std::size_t total = 0;                           ///< N·h
  std::size_t fit_windows = 0, check_windows = 0;  ///< windows 0, 2, 4, … fit, the others check
  PositionMeasures fit;                            ///< measured on the former

  bool has_logits = false;
  bool causal = false;
  Estimate kl;        ///< mean over tokens of KL(softmax(logits) ‖ softmax(logits after)), nats
  Estimate same_top;  ///< share of tokens whose most probable token stays
  Estimate loss_before, loss_after;  ///< causal: mean of −ln p(next token), nats
  Estimate loss_change;              ///< loss_after − loss_before, window by window
  double perplexity_before = std::numeric_limits<double>::quiet_NaN();
  double perplexity_after = std::numeric_limits<double>::quiet_NaN();
  Estimate token_cosine;      ///< of final hidden states of a token, before and after
  Estimate embedding_cosine;  ///< of the mean of the real tokens' final hidden states

  /// The same when as many of the least positional heads are replaced instead: what positions do not explain
  /// should cost more. Not measured where heads were named, or more than half of all are replaced.
  std::vector<std::pair<std::size_t, std::size_t>> control;
  Estimate control_kl, control_loss_change, control_embedding_cosine;

  /// A window of L tokens: multiplications and additions of the whole pass without embeddings and decoder,
  /// and those that go with the replaced heads: scores 2·L²·k (causal: L(L + 1)·k), queries 2·L·d·k, and keys
  /// 2·L·d·k where all heads that read them go. Softmax is not counted.
  double flops = 0, flops_saved = 0;
  std::vector<std::string> notes;
};

/// Measures positions on one half of the windows, replaces the chosen heads by their mean attention, and
/// compares on the windows of the other half that have two real tokens. Throws kUsage for fewer than four
/// windows, no window to compare on, or heads that do not exist, and what Transformer::forward throws. Cost:
/// three passes over half the windows (five with the control), with attention recorded in one.
StaticHeads what_if_static(const Transformer& transformer, const TokenBatch& batch,
                           const StaticHeadOptions& options, const Arena& arena);

}  // namespace telos::positional
