#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/bigram/corpus.h"
#include "telos/model/trace.h"

// Attention heads of a model as sparse contextual bigrams see them: how far back a head looks, how much that
// depends on the token it looks from, and whether it looks where the text's next token is informed.

namespace telos::bigram {

struct HeadOptions {
  std::size_t max_offset = 16;   ///< D; at most half of a window (a quarter where attention looks ahead too)
  std::uint64_t min_count = 20;  ///< rows of a token, to be looked at by itself
  std::vector<std::uint8_t> exclude{};  ///< B·L flags of the tokenizer's own tokens; empty: none
};

/// What is known of the tokens of a trace.
struct HeadText {
  std::span<const std::int32_t> ids;      ///< B·L
  std::span<const std::uint16_t> tokens;  ///< B·L, below q.rows(): the ids as tokens of a corpus
  ConstMatrixView<double> q;              ///< tokens × (D' + 1), D' ≥ D: where the text looks, by offset
};

/// A head is named for what it does with at least kNamedShare of its attention.
inline constexpr double kNamedShare = 0.4;

/// One head. Shares are means of attention over the rows that have D tokens of text before them (and after,
/// where attention looks ahead), each with its standard error over windows.
struct HeadLook {
  std::size_t layer = 0, head = 0;
  std::string name;  ///< "5.7"
  /// By offset: i − j = first_offset() … D. With `farther` and `special` it sums to 1.
  std::vector<double> by_offset;
  double farther = 0;              ///< on tokens of the text beyond D
  double special = 0;              ///< on the tokenizer's own tokens
  double keys = 0;                 ///< exp of the mean entropy of a row: how many tokens it looks at
  BlockMean self, previous, next;  ///< offsets 0, 1, −1 (`next` 0 where causal)
  /// Over rows whose token t_i came before, at some j < i: on the tokens after it, t_{j−1} = t_i, j < i; and
  /// on these tokens themselves, t_j = t_i. `by_distance`: what the head's mean attention by offset would put
  /// there. NaN without ids or such rows.
  BlockMean induction, duplicate;
  double induction_by_distance = std::numeric_limits<double>::quiet_NaN();
  double duplicate_by_distance = std::numeric_limits<double>::quiet_NaN();
  /// Row k: mean attention at offsets 0 … D from rows of token k of the corpus, scaled to sum 1; 0 where
  /// there are fewer than min_count. Empty without a corpus.
  Matrix<double> by_token;
  /// Σ_d min(by_token, q) ∈ [0, 1], mean over tokens weighted by rows: 1 looks where the text's next token is
  /// informed. `_mean`: of the head's mean law instead of its law by token; NaN without a corpus.
  double agreement = std::numeric_limits<double>::quiet_NaN();
  double agreement_mean = std::numeric_limits<double>::quiet_NaN();
  /// "previous token", "same token", "next token", "induction-like", "duplicate token", "special tokens", or
  /// empty. Induction-like and duplicate: kNamedShare, and twice what distance alone puts there.
  std::string kind;
};

struct HeadMeasures {
  std::size_t windows = 0, tokens = 0, layers = 0, heads = 0, max_offset = 0;
  bool causal = false;
  std::vector<HeadLook> all;                                            ///< layer by layer, head by head
  std::vector<std::uint64_t> rows;                                      ///< by token of the corpus
  double agreement_uniform = std::numeric_limits<double>::quiet_NaN();  ///< of looking at 0 … D alike
  std::vector<std::string> notes;

  int first_offset() const { return causal ? 0 : -static_cast<int>(max_offset); }
};

/// D as measure_heads() takes it: options.max_offset, or what the shortest window allows. Throws as it does.
std::size_t usable_offset(const Trace& trace, const HeadOptions& options);

/// `text`: null for a trace whose tokens are not known. O(B·L²) a head; the same bits for any number of
/// threads. Throws kUsage for a trace without attention or with windows too short for one offset, kShape.
HeadMeasures measure_heads(const Trace& trace, const HeadText* text, const HeadOptions& options,
                           const Arena& arena);

}  // namespace telos::bigram
