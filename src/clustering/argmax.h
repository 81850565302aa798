#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "clustering/hardmax_state.h"
#include "telos/base/arena.h"

namespace telos::clustering {

/// Argmax sets of many queries. Sets are stored apart from the queries, because many share one; two equal
/// sets may both be stored.
struct ArgmaxSets {
  std::vector<std::size_t> begin{0};  ///< set s is tokens[begin[s]] … tokens[begin[s + 1] − 1]
  std::vector<TokenId> tokens;        ///< ascending within a set
  std::vector<std::uint32_t> set;     ///< query → set
  std::uint64_t scores = 0;           ///< inner products evaluated

  std::span<const TokenId> members(std::size_t s) const {
    return {tokens.data() + begin[s], begin[s + 1] - begin[s]};
  }
  std::span<const TokenId> of(std::size_t query) const { return members(set[query]); }
  std::uint32_t add(std::span<const TokenId> members) {
    tokens.insert(tokens.end(), members.begin(), members.end());
    begin.push_back(tokens.size());
    return static_cast<std::uint32_t>(begin.size() - 2);
  }
};

/// Finds argmax sets among all tokens at the current layer.
class ArgmaxSource {
 public:
  virtual ~ArgmaxSource() = default;
  /// Among the tokens j that are not state.merged(), at w_j = state.position(j), the set of query u is
  /// { j : best − canonical_dot(u, w_j) ≤ state.tie·‖u‖ }, best the largest score; equal to the bit if tie =
  /// 0. It depends on u and the positions alone, to the bit, not on the other queries nor on the threads.
  /// Queries point to dimension() numbers, not all zero, in the convex hull of the tokens (‖u‖² ≤ best).
  /// `sets` is overwritten. Called once or twice a layer.
  virtual void find(const HardmaxState& state, std::span<const double* const> queries, ArgmaxSets& sets,
                    const Arena& arena) = 0;
};

}  // namespace telos::clustering
