#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "clustering/hardmax_state.h"

namespace telos::clustering {

/// What the scan looks at: a token, or a face that tokens follow, and with it the followers that are near.
struct Column {
  double key = 0;     ///< no score of it or of its near followers, with a query of norm 1, is larger
  double scale = 0;   ///< what rounding errors of its position in single precision are relative to
  float reach = 0;    ///< distance of the farthest near follower
  TokenId point = 0;  ///< token, or number of tokens + face
};

/// The columns of a layer. Frozen tokens lie around what they follow, nearer from layer to layer: those still
/// far from it are columns of their own, the others are looked at where the distance could matter.
class Columns {
 public:
  struct Member {
    double distance;  ///< to the target, at the layer that decided
    TokenId token;
  };
  /// Followers of one target that froze at one layer, by distance, descending: an order that lasts.
  struct Segment {
    std::uint32_t decided;
    std::size_t near;  ///< the first near one, this layer
    std::vector<Member> members;
  };

  /// To be called once a layer or more.
  void update(const HardmaxState& state);

  const std::vector<Column>& list() const { return list_; }       ///< by key, descending
  const std::vector<TokenId>& active() const { return active_; }  ///< as of the last update
  const std::vector<Segment>& followers(TokenId point) const { return clusters_[cluster_of_[point]]; }

 private:
  static constexpr std::uint32_t kNone32 = 0xffffffff;

  void file_decided(const HardmaxState& state);
  void add_follower(const HardmaxState& state, TokenId token, std::vector<std::uint32_t>& grown);
  void add_far_followers(const HardmaxState& state);
  void add(double norm, TokenId point);

  bool started_ = false;
  std::vector<TokenId> active_, fixed_;
  std::vector<std::uint32_t> cluster_of_;  ///< point → cluster
  std::vector<std::vector<Segment>> clusters_;
  std::vector<TokenId> targets_;  ///< of the clusters
  std::vector<float> reach_;      ///< of the clusters, this layer
  std::vector<Column> list_;
};

}  // namespace telos::clustering
