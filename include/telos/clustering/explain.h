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

// Why a sentiment model says what it says: logit = b + Σ_i (v·z_i^K)/n exactly, summed by the leader that
// each word follows.

namespace telos::clustering {

struct ExplainedWord {
  std::string word;
  std::int32_t id = 0;
  std::size_t copies = 1;      ///< occurrences
  std::size_t leader = kNone;  ///< index into Explanation::leaders; kNone: undecided
  double contribution = 0;     ///< copies·(v·z^K)/n
  double direct = 0;           ///< copies·(v·z^0)/n: what it would say without any layer
};
struct ExplainedLeader {
  std::string word;
  std::int32_t id = 0;
  std::size_t emergence = 0;      ///< layer at which it became a leader
  double side = 0;                ///< v·x + b: which half-space it stands in
  std::size_t mass = 0;           ///< positions that follow it, itself among them
  double contribution = 0;        ///< Σ of its words' contributions at layer K
  double limit_contribution = 0;  ///< (mass/n)·v·x: with infinitely many layers
  bool padding = false, stop_word = false;
  std::vector<std::size_t> words;  ///< indices into Explanation::words, by |contribution|
  /// The text without this word (all its copies): new logit, and who its followers follow then.
  double logit_without = 0;
  std::vector<std::string> taken_over_by;
};
struct Explanation {
  std::string text;                      ///< as given
  std::vector<ExplainedWord> words;      ///< unique, by first position
  std::vector<ExplainedLeader> leaders;  ///< by |contribution|
  std::size_t length = 0;                ///< n: positions, padding among them
  std::size_t unknown = 0, cut = 0;
  double bias = 0;
  double logit = 0, probability = 0;  ///< hard, K layers
  double soft_logit = 0, soft_probability = 0;
  double limit_logit = 0;  ///< hard, infinitely many layers
  double undecided = 0;    ///< contribution of words that no single leader has by layer K
  double residual = 0;     ///< logit − (bias + Σ leaders + undecided): rounding only
  HardmaxRun run;          ///< of the unique words; its token i is words[i]
};
/// Throws kUsage for a text with no word that the model knows, when padding is masked.
Explanation explain(const SentimentModel& model, std::string_view text, const Arena& arena);

/// Leaders over a corpus.
struct LeaderWord {
  std::string word;
  std::int32_t id = 0;
  std::size_t texts = 0;    ///< texts that it leads in
  double side = 0;          ///< v·x + b
  double mean_mass = 0;     ///< share of positions that follow it, where it leads
  double contribution = 0;  ///< mean of its contribution to the logit, where it leads
};
struct LeaderCensus {
  std::size_t texts = 0, used = 0;  ///< used: those that the filter keeps
  double confidence = 0, far = 0;
  double mean = 0, deviation = 0;  ///< leaders a text
  std::size_t least = 0, most = 0;
  double initial_share = 0;  ///< of final leaders, those that led at layer 0
  double unique_mean = 0;    ///< unique words a text
  double accuracy = 0;
  std::vector<LeaderWord> words;       ///< by texts, then id
  std::vector<std::size_t> histogram;  ///< texts with k leaders
};
struct CensusOptions {
  /// Counted are texts that are classified right with probability above this or below 1 − this, and leaders
  /// with |v·x + b| above `far` (the published histogram: 0.95 and 2); 0 and 0: all.
  double confidence = 0;
  double far = 0;
  bool skip_padding = true;
};
LeaderCensus leader_census(const SentimentModel& model, std::span<const std::string> texts,
                           std::span<const std::uint8_t> labels, const CensusOptions& options,
                           const Arena& arena);

}  // namespace telos::clustering
