#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/clustering/hardmax.h"
#include "telos/model/trace.h"

// How hard a trained transformer's attention is, which tokens it follows, how its residual stream clusters,
// and whether the hardmax system on its first states predicts those clusters.

namespace telos::clustering {

/// Mean over windows of a number that each window gives, and its standard error, s/√windows; NaN where no
/// window, or fewer than two, leave none.
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();
};

/// One head. Rows are the tokens that count, scaled to sum 1 over the keys that they see: all real tokens of
/// the window, in a causal model those up to the row's own. Tokens that are left out are no rows, but remain
/// keys. Rows that see one key are not counted. The argmax graph leads from each row to its largest weight;
/// among equal ones, to each a part.
struct HeadHardness {
  std::size_t layer = 0, head = 0;
  std::string name;           ///< "5.7"
  bool valid = false;         ///< false: a row holds what is no weight; all numbers are then NaN
  Estimate largest;           ///< max_j a_ij, mean over rows; so are the next ones
  Estimate entropy;           ///< −Σ a ln a, nats
  Estimate relative_entropy;  ///< entropy over ln(keys seen): 1 uniform, 0 hard
  Estimate targets;           ///< 1/Σ a²: effective number of targets
  Estimate self_share;        ///< of rows that follow themselves, in the argmax graph
  Estimate first_share;       ///< that follow the window's first token
  Estimate left_out_share;    ///< that follow tokens left out ([CLS], [SEP])
  /// Of in-degrees in the argmax graph against those that uniform attention gives (1 over the keys seen, by
  /// row): 0 where all keys are followed as uniform attention would, → 1 where one takes all.
  Estimate gini;
  Estimate top_share;     ///< largest in-degree over the number of rows
  std::string top_token;  ///< label that most rows of all windows follow; "position 3" without labels
};

/// The residual stream before layer 0 (index 0) and after each layer. Clusters are the connected components
/// of the graph that joins tokens of a window with cosine ≥ threshold.
struct LayerClusters {
  std::size_t layer = 0;
  bool valid = false;             ///< false: a state is not finite; all numbers are then NaN
  std::vector<Estimate> count;    ///< clusters a window, by threshold
  std::vector<Estimate> largest;  ///< share of tokens in the largest one, by threshold
  Estimate mean_cosine;           ///< over pairs of different tokens
};

/// Agreement of a prediction with the clusters at the last layer: the adjusted Rand index, mean over windows;
/// and the same mean under `permutations` random orders of each window's tokens (the null).
struct Agreement {
  std::string name;       ///< "hardmax, K = ∞", "same token", …
  bool baseline = false;  ///< a simpler rule that the hardmax system has to beat
  Estimate index;
  double classes = 0;  ///< mean number a window that the prediction has
  double null_mean = std::numeric_limits<double>::quiet_NaN();
  double null_high = std::numeric_limits<double>::quiet_NaN();  ///< 97.5 % quantile
  double p = 1;  ///< (1 + permutations that reach the index)/(1 + permutations)
  /// Index of the first rule (the hardmax system) less this one's, window by window: rules see the same
  /// windows, so that the error of the difference is smaller than the errors of both suggest, or larger.
  Estimate behind;
};
/// The largest p that is better than chance, and the fewest permutations that can show it: p ≥ 1/(1 + n).
inline constexpr double kChance = 0.025;
inline constexpr std::size_t kLeastPermutations = 39;

struct ClusterMeasureOptions {
  std::vector<double> thresholds{0.5, 0.7, 0.8, 0.9, 0.95, 0.99};  ///< of the cosine, −1 to 1
  /// For the clusters at the last layer; 0: the one that gives √tokens clusters a window on average.
  double agreement_threshold = 0;
  double alpha = 1;                ///< of the hardmax prediction
  std::size_t permutations = 200;  ///< kLeastPermutations or more; 0: no comparison with chance
  std::uint64_t seed = 0;
  std::vector<std::uint8_t> exclude{};  ///< B·L flags of tokens left out ([CLS], [SEP]); empty: none
  std::vector<std::string> labels{};    ///< B·L token texts, or empty
};

/// A label in the argmax graphs of all heads.
struct FollowedToken {
  std::string label;
  std::size_t windows = 0;  ///< in which it is followed
  double share = 0;         ///< of all (row, head) pairs that follow it
  double uniform = 0;       ///< the share that uniform attention would give it
};

struct ClusterMeasures {
  std::size_t windows = 0, tokens = 0, layers = 0, heads = 0;
  double counted = 0;  ///< tokens a window that count, on average
  bool causal = false;
  ClusterMeasureOptions options{};
  std::vector<HeadHardness> all;  ///< layer by layer; empty without attention
  std::vector<LayerClusters> stream;
  std::vector<FollowedToken> followed;  ///< most followed first, at most 50
  Estimate largest;                     ///< over all heads that could be measured
  Estimate targets;

  /// Empty where the first or the last states could not be used. First the hardmax system (A = I, K = ∞) on
  /// the states before layer 0, as they are and with their mean as origin; then baselines.
  std::vector<Agreement> agreement;
  double agreement_threshold = std::numeric_limits<double>::quiet_NaN();
  double agreement_clusters = std::numeric_limits<double>::quiet_NaN();  ///< at the last layer, mean a window
  double agreement_largest = std::numeric_limits<double>::quiet_NaN();   ///< share of the largest
  double leaders = std::numeric_limits<double>::quiet_NaN();  ///< of the hardmax system, mean a window
  double centered_leaders = std::numeric_limits<double>::quiet_NaN();  ///< with the mean as origin
  double norm_ratio =
      std::numeric_limits<double>::quiet_NaN();  ///< smallest over largest norm, mean a window
  std::vector<std::string> notes;  ///< what could not be measured, and what the numbers do not say
};

/// A window counts with at least two tokens that are neither padding nor left out. Layers and heads that
/// are not finite are marked and noted, the others go on. Throws kUsage for a trace without hidden states, no
/// window that counts, or options out of range, kShape for flags, labels or matrices that do not fit. Same
/// bits for any number of threads. Cost: O(L²) a head and window, O(L²d) a layer and window for the largest
/// cosines (one spanning tree gives all thresholds), memory O(B·L) a head.
ClusterMeasures measure_clusters(const Trace& trace, const ClusterMeasureOptions& options,
                                 const Arena& arena);

/// Adjusted Rand index (Hubert and Arabie 1985) of two labellings, (P − E)/(½(P_a + P_b) − E) with P, P_a,
/// P_b the pairs of tokens in one class of both, of a, of b, and E = P_a P_b / (n choose 2): 1 for the same
/// partition, 0 expected by chance. 1 where both are trivial in the same way. O(n log n). Throws kShape.
double adjusted_rand_index(std::span<const std::size_t> a, std::span<const std::size_t> b);

}  // namespace telos::clustering
