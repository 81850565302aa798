#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/clustering/hardmax.h"
#include "telos/model/trace.h"

// How hard a trained transformer's attention is, which tokens it follows, how its residual stream clusters,
// and whether the hardmax system on its first states predicts those clusters.

namespace telos::clustering {

/// A number from windows and its standard error (NaN where fewer than two windows leave none).
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();
};

/// One head: means over rows (queries) of all windows. Row i of a causal model sees i + 1 keys; rows that see
/// one key are left out.
struct HeadHardness {
  std::size_t layer = 0, head = 0;
  std::string name;           ///< "5.7"
  Estimate largest;           ///< mean of max_j a_ij
  Estimate entropy;           ///< mean of −Σ a ln a, nats
  Estimate relative_entropy;  ///< entropy over ln(keys seen): 1 uniform, 0 hard
  Estimate targets;           ///< mean of 1/Σ a²: effective number of targets
  Estimate self_share;        ///< rows whose largest weight is their own token's
  double in_degree_gini = 0;  ///< of the argmax graph: 0 all followed alike, → 1 one token followed by all
  double top_followed = 0;    ///< mean over windows of the largest in-degree over L
  std::string top_token;      ///< most followed token's label (most often over windows), if labels are given
};

/// The residual stream before layer 0 (index 0) and after each layer.
struct LayerClusters {
  std::size_t layer = 0;
  std::vector<double> count;    ///< mean clusters a window (components of cos ≥ threshold), by threshold
  std::vector<double> largest;  ///< mean share of tokens in the largest one, by threshold
  double mean_cosine = 0;
};

/// Agreement of two clusterings of a window's tokens: adjusted Rand index, mean over windows; and under
/// `permutations` random relabellings of each window (the null).
struct Agreement {
  std::string name;                     ///< "hardmax prediction (K = ∞)", "nearest leader at layer 0", …
  double threshold = 0;                 ///< of the clusters at the last layer
  Estimate index;                       ///< adjusted Rand index
  double null_mean = 0, null_high = 0;  ///< of the mean over windows: mean, 97.5 % quantile
  double p = 1;                         ///< share of permutations that reach the index (add-one)
};

struct ClusterMeasureOptions {
  std::vector<double> thresholds{0.5, 0.7, 0.8, 0.9, 0.95, 0.99};
  double agreement_threshold =
      0;             ///< 0: the threshold that gives clusters closest in number to √L at the last layer
  double alpha = 1;  ///< of the hardmax prediction
  std::size_t permutations = 200;
  std::uint64_t seed = 0;
  std::vector<std::uint8_t> exclude{};  ///< B·L flags of tokens left out ([CLS], [SEP])
  std::vector<std::string> labels{};    ///< B·L token texts, or empty
};

struct FollowedToken {
  std::string label;
  std::size_t windows = 0;
  double share = 0;  ///< of all (query, head) pairs whose argmax is such a token
};
struct ClusterMeasures {
  std::size_t windows = 0, tokens = 0, layers = 0, heads = 0;
  bool causal = false;
  ClusterMeasureOptions options{};
  std::vector<HeadHardness> all;  ///< layer by layer; empty without attention
  std::vector<LayerClusters> stream;
  std::vector<Agreement> agreement;
  std::vector<FollowedToken> followed;  ///< most followed first, at most 50
  double hardmax_leaders = 0;           ///< mean leaders a window that the hardmax system predicts
  Estimate largest;                     ///< over all heads
  std::vector<std::string> notes;
};
/// Throws kUsage for a trace without hidden states, kShape. Same bits for any number of threads.
ClusterMeasures measure_clusters(const Trace& trace, const ClusterMeasureOptions& options,
                                 const Arena& arena);

/// Adjusted Rand index (Hubert and Arabie 1985) of two labellings; 1 when both are the same partition, also
/// a trivial one. Throws kShape.
double adjusted_rand_index(std::span<const std::size_t> a, std::span<const std::size_t> b);

}  // namespace telos::clustering
