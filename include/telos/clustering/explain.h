#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/clustering/hardmax.h"
#include "telos/clustering/sentiment.h"

// Why a sentiment model says what it says. The decoder is linear, so that with hard attention
//
//   logit = b + Σ_i (v·z_i^K)/n        (n positions, z_i^K the word of position i after K layers)
//
// exactly; the sum is taken leader by leader, over the words that follow it.

namespace telos::clustering {

struct ExplainedWord {
  std::string word;
  std::int32_t id = 0;
  std::size_t copies = 1;      ///< occurrences
  std::size_t leader = kNone;  ///< index into Explanation::leaders; kNone: none by layer K
  double contribution = 0;     ///< copies·(v·z^K)/n
  double direct = 0;           ///< copies·(v·z^0)/n: what it would say without any layer
};
/// A word that others follow. A model without layers (K = 0) has no attention: each word leads itself alone.
struct ExplainedLeader {
  std::string word;
  std::int32_t id = 0;
  std::size_t index = 0;          ///< of its own word in Explanation::words
  std::size_t emergence = 0;      ///< layer at which it became a leader
  double side = 0;                ///< v·x + b: which half-space it stands in
  std::size_t mass = 0;           ///< positions that follow it, itself among them
  double contribution = 0;        ///< Σ of its words' contributions at layer K
  double limit_contribution = 0;  ///< (mass/n)·v·x: with infinitely many layers
  bool padding = false, stop_word = false;
  std::vector<std::size_t> words;  ///< indices into Explanation::words, by |contribution|
  /// What the model says of the text with this word deleted wherever it occurs: words beyond max_length move
  /// up, then padding fills the rest (with mask_padding, n shrinks). For padding itself: the text without
  /// any. b if nothing is left; NaN beyond the kCounterfactuals leaders of largest |contribution|.
  double logit_without = 0;
  std::vector<std::string> taken_over_by;  ///< whom its followers follow then, by positions
};
inline constexpr std::size_t kCounterfactuals = 256;

struct Explanation {
  std::string text;                      ///< as given
  std::vector<ExplainedWord> words;      ///< unique, by first position; padding, if any, last
  std::vector<ExplainedLeader> leaders;  ///< by |contribution|
  std::size_t length = 0;                ///< n: positions, padding among them
  std::size_t unknown = 0, cut = 0;
  double bias = 0;
  double logit = 0, probability = 0;  ///< hard, K layers
  double soft_logit = 0, soft_probability = 0;
  double direct_logit = 0;  ///< b + Σ direct: without any layer
  double limit_logit = 0;   ///< hard, infinitely many layers
  double undecided = 0;     ///< contribution of words that no single leader has by layer K
  double residual = 0;      ///< logit − (bias + Σ leaders + undecided): rounding only
  /// The words on their way, infinitely many layers (none if K = 0). Token i is words[i], the further copies
  /// of repeated words stand behind, because ties weigh copies.
  HardmaxRun run;
};
/// Cost: one run of the system over the text's positions, and one for each leader's counterfactual. Throws
/// kUsage for a text with no word that the model knows, when padding is masked; what SentimentModel::check
/// and Preprocessor throw.
Explanation explain(const SentimentModel& model, std::string_view text, const Arena& arena);

/// Leaders over a corpus, as they stand after the model's K layers; equal vectors count once.
struct LeaderWord {
  std::string word;
  std::int32_t id = 0;
  std::size_t texts = 0;    ///< of those used: texts that it leads in
  double side = 0;          ///< v·x + b
  double mean_mass = 0;     ///< share of positions that follow it, where it leads
  double contribution = 0;  ///< mean of its contribution to the logit, where it leads
};
struct LeaderCensus {
  std::size_t texts = 0, used = 0;  ///< used: those that the filter keeps
  double confidence = 0, far = 0;   ///< the filter
  // Of all texts, whatever the filter:
  double mean = 0, deviation = 0;  ///< leaders a text; deviation: √(mean square − square of the mean)
  std::size_t least = 0, most = 0;
  double initial_share = 0;            ///< of all leaders, those that led at layer 0
  double unique_mean = 0;              ///< unique words a text (padding is one)
  double accuracy = 0;                 ///< NaN without labels
  std::vector<std::size_t> histogram;  ///< texts with k leaders
  // Of the texts used:
  std::vector<LeaderWord> words;  ///< by texts, then id
};
struct CensusOptions {
  /// `words` counts texts that are classified right with probability above this or below 1 − this, and
  /// leaders with |v·x + b| above `far` (the published histogram: 0.95 and 2); 0 and 0: all.
  double confidence = 0;
  double far = 0;
  bool skip_padding = true;  ///< padding is not counted as a leader (the published code counts it)
};
/// `labels`: one a text, or none at all (not known: nothing is right or wrong). Parallel over texts. Throws
/// kUsage for no texts, labels that do not match them, a confidence outside 0 or [0.5, 1), far < 0.
LeaderCensus leader_census(const SentimentModel& model, std::span<const std::string> texts,
                           std::span<const std::uint8_t> labels, const CensusOptions& options,
                           const Arena& arena);

}  // namespace telos::clustering
