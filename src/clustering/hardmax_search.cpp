#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "clustering/hardmax_parts.h"
#include "telos/base/log.h"
#include "telos/linalg/gemm.h"

// One pass over the tokens from the largest norm down. Of a query u only the direction matters, so that
// queries have norm 1 here and no score with w_j exceeds ‖w_j‖: a query is done once the norms that are left
// lie below its best score. Scores are single-precision products; those that may be the best, by the bound on
// their error, are computed again by the canonical dot product. Frozen tokens are not in the pass: they lie
// around what they follow, nearer from layer to layer, and are looked at only where that could matter.

namespace telos::clustering {
namespace {

/// Frozen tokens with one target, in order of their distance to it.
struct Cluster {
  struct Member {
    double distance;  ///< at the layer that decided
    TokenId token;
  };
  struct Segment {
    std::uint32_t decided;
    std::vector<Member> members;  ///< by distance, descending
  };
  std::vector<Segment> segments;

  double reach(const HardmaxState& state) const {
    double most = 0;
    for (const Segment& segment : segments)
      most = std::max(most, state.shrink[state.layer - segment.decided] * segment.members[0].distance);
    return most;
  }
};

/// What the pass looks at: a token that is not frozen, or a face that tokens follow; with the followers.
struct Column {
  double key;   ///< ‖w‖ + reach: no score of it or its followers is larger
  float reach;  ///< distance of the farthest follower
  TokenId point;
};

/// A score that may be the best.
struct Survivor {
  float upper;
  std::uint32_t column;
};

struct Query {
  double norm = 0, lower = 0;  ///< ‖u‖; the best score is at least `lower`
  std::vector<Survivor> survivors;
};

/// Largest of n numbers and −∞.
float largest(const float* x, std::size_t n) {
  constexpr std::size_t kLanes = 32;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  float most[kLanes];
  std::fill_n(most, kLanes, kLowest);
  std::size_t j = 0;
  for (; j + kLanes <= n; j += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l) most[l] = x[j + l] > most[l] ? x[j + l] : most[l];
  for (; j < n; ++j) most[0] = std::max(most[0], x[j]);
  return *std::max_element(most, most + kLanes);
}

class ScanSource : public ArgmaxSource {
 public:
  explicit ScanSource(const ScanTiles& tiles) : tiles_(tiles) {}

  void find(const HardmaxState& state, std::span<const double* const> queries, ArgmaxSets& sets,
            const Arena& arena) override {
    follow(state);
    list_columns(state);
    queries_.assign(queries.size(), {});
    std::vector<std::uint32_t> alive(queries.size());
    arena.parallel_for(queries.size(), [&](std::size_t q) {
      alive[q] = static_cast<std::uint32_t>(q);
      queries_[q].norm = canonical_norm(queries[q], state.dimension());
      queries_[q].lower = queries_[q].norm * (1 - 0x1p-40);
    });
    sets = {};
    Progress progress("hardmax, layer " + std::to_string(state.layer), "token",
                      static_cast<double>(queries.size()));
    std::size_t products = 1;
    for (std::size_t begin = 0; begin < columns_.size() && !alive.empty();) {
      check_interrupt();
      const std::size_t end = std::min(columns_.size(), begin + products * tiles_.columns);
      const std::size_t before = alive.size();
      std::erase_if(alive, [&](std::uint32_t q) { return done(queries_[q], state, columns_[begin].key); });
      progress.advance(static_cast<double>(before - alive.size()));
      if (alive.empty()) break;
      pack_columns(state, begin, end, arena);
      scan(state, queries, alive, begin, end, arena);
      sets.scores += static_cast<std::uint64_t>(alive.size()) * (end - begin);
      begin = end;
      products = std::min(2 * products, tiles_.most);
    }
    progress.advance(static_cast<double>(alive.size()));
    collect(state, queries, sets, arena);
  }

 private:
  static bool done(const Query& query, const HardmaxState& state, double key) {
    return key * (1 + 0x1p-40) < query.lower - state.tie;
  }

  /// Files the tokens that have been decided since the last call.
  void follow(const HardmaxState& state) {
    if (open_.empty() && fixed_.empty() && clusters_.empty()) {
      open_.resize(state.size());
      for (TokenId t = 0; t < open_.size(); ++t) open_[t] = t;
    }
    const std::size_t points =
        state.size() + state.w.faces.size() / std::max<std::size_t>(1, state.dimension());
    cluster_of_.resize(points, kNoCluster);
    std::vector<TokenId> frozen;
    std::erase_if(open_, [&](TokenId t) {
      if (state.state[t] == TokenState::kFrozen) frozen.push_back(t);
      if (state.state[t] == TokenState::kLeader || state.state[t] == TokenState::kStatic) fixed_.push_back(t);
      return state.state[t] != TokenState::kActive;
    });
    std::vector<std::uint32_t> grown;
    for (const TokenId t : frozen) {
      std::uint32_t& index = cluster_of_[state.target[t]];
      if (index == kNoCluster) {
        index = static_cast<std::uint32_t>(clusters_.size());
        clusters_.emplace_back();
        targets_.push_back(state.target[t]);
      }
      std::vector<Cluster::Segment>& segments = clusters_[index].segments;
      if (segments.empty() || segments.back().decided != state.decided[t]) {
        segments.push_back({state.decided[t], {}});
        grown.push_back(index);
      }
      segments.back().members.push_back({distance_to_target(state, t), t});
    }
    for (const std::uint32_t index : grown)
      std::ranges::sort(clusters_[index].segments.back().members,
                        [](const Cluster::Member& a, const Cluster::Member& b) {
                          return a.distance != b.distance ? a.distance > b.distance : a.token < b.token;
                        });
  }

  static double distance_to_target(const HardmaxState& state, TokenId t) {
    const double* const row = state.w.tokens.row(t);
    const double* const to = state.target_point(state.w, state.target[t]);
    double square = 0;
    for (std::size_t c = 0; c < state.dimension(); ++c) square += (row[c] - to[c]) * (row[c] - to[c]);
    return std::sqrt(square) * (1 + 0x1p-40);
  }

  void list_columns(const HardmaxState& state) {
    columns_.clear();
    const auto add = [&](TokenId point, double norm) {
      const std::uint32_t cluster = cluster_of_[point];
      const double reach = cluster == kNoCluster ? 0 : clusters_[cluster].reach(state);
      // Rounded up.
      const float wide = reach == 0 ? 0.0F : static_cast<float>(reach) * (1 + 0x1p-22F) + 0x1p-120F;
      columns_.push_back({norm + reach, wide, point});
    };
    for (const TokenId t : fixed_) add(t, state.norm[t]);
    for (const TokenId t : open_) add(t, state.norm[t]);
    for (const TokenId target : targets_)
      if (target >= state.size())
        add(target, canonical_norm(state.target_point(state.w, target), state.dimension()));
    std::ranges::sort(columns_, [](const Column& a, const Column& b) {
      return a.key != b.key ? a.key > b.key : a.point < b.point;
    });
  }

  /// The columns [begin, end) in single precision, one packed factor for each product.
  void pack_columns(const HardmaxState& state, std::size_t begin, std::size_t end, const Arena& arena) {
    const std::size_t d = state.dimension(), width = tiles_.columns;
    const std::size_t count = (end - begin + width - 1) / width;
    packed_.resize(count);
    arena.parallel_for(count, [&](std::size_t b) {
      const std::size_t first = begin + b * width, last = std::min(end, first + width);
      Matrix<float> rows(last - first, d);
      Factor32& factor = packed_[b];
      factor.reach.resize(last - first);
      factor.reaches = false;
      double norm = 0;
      for (std::size_t j = first; j < last; ++j) {
        const double* const from = state.target_point(state.w, columns_[j].point);
        for (std::size_t c = 0; c < d; ++c) rows(j - first, c) = static_cast<float>(from[c]);
        factor.reach[j - first] = columns_[j].reach;
        factor.reaches = factor.reaches || columns_[j].reach > 0;
        norm = std::max(norm, columns_[j].key);
      }
      factor.columns = PackedMatrix<float>(Op::kTransposed, rows);
      factor.error = error_of(d) * norm + static_cast<double>(d) * 0x1p-120;
    });
  }

  /// |score in single precision − score| ≤ error_of(d)‖w_j‖: both factors rounded, and the sum.
  static double error_of(std::size_t d) {
    const double chain = static_cast<double>(std::min<std::size_t>(d, 256) + d / 256 + 1);
    return (chain + 4) * 0x1p-24 * 1.001;
  }

  void scan(const HardmaxState& state, std::span<const double* const> queries,
            const std::vector<std::uint32_t>& alive, std::size_t begin, std::size_t end, const Arena& arena) {
    const std::size_t d = state.dimension(), height = tiles_.queries;
    arena.parallel_for((alive.size() + height - 1) / height, [&](std::size_t tile) {
      check_interrupt();
      const std::span<const std::uint32_t> rows(alive.data() + tile * height,
                                                std::min(height, alive.size() - tile * height));
      Matrix<float> units(rows.size(), d), scores(rows.size(), tiles_.columns);
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const double* const u = queries[rows[r]];
        const double inverse = 1 / queries_[rows[r]].norm;
        for (std::size_t c = 0; c < d; ++c) units(r, c) = static_cast<float>(u[c] * inverse);
      }
      for (std::size_t first = begin; first < end; first += tiles_.columns) {
        const bool needed = std::ranges::any_of(
            rows, [&](std::uint32_t q) { return !done(queries_[q], state, columns_[first].key); });
        if (!needed) return;
        const Factor32& factor = packed_[(first - begin) / tiles_.columns];
        const MatrixView<float> block = scores.view().block(0, 0, rows.size(), factor.columns.cols());
        gemm_packed<float>(units, factor.columns, {}, block, arena);
        for (std::size_t r = 0; r < rows.size(); ++r)
          keep_survivors(factor, {block.row(r), block.cols()}, first, state.tie, queries_[rows[r]]);
      }
    });
  }

  struct Factor32 {
    PackedMatrix<float> columns;
    std::vector<float> reach;
    bool reaches = false;
    double error = 0;
  };

  static void keep_survivors(const Factor32& factor, std::span<float> scores, std::size_t first, double tie,
                             Query& query) {
    float most = largest(scores.data(), scores.size());
    query.lower = std::max(query.lower, static_cast<double>(most) - factor.error);
    // Rounding to single precision is made good by 2^-22, scores being below 1.
    const auto least = static_cast<float>(query.lower - tie - factor.error) - 0x1p-22F;
    if (factor.reaches) {
      for (std::size_t j = 0; j < scores.size(); ++j) scores[j] += factor.reach[j];
      most = largest(scores.data(), scores.size());
    }
    if (most < least) return;
    for (std::size_t j = 0; j < scores.size(); ++j)
      if (scores[j] >= least)
        query.survivors.push_back(
            {scores[j] + static_cast<float>(factor.error) + 0x1p-22F, static_cast<std::uint32_t>(first + j)});
  }

  /// The canonical scores decide.
  void collect(const HardmaxState& state, std::span<const double* const> queries, ArgmaxSets& sets,
               const Arena& arena) {
    std::vector<std::vector<TokenId>> found(queries.size());
    std::vector<std::uint64_t> scores(queries.size());
    arena.parallel_for(queries.size(), [&](std::size_t q) {
      found[q] = decide(state, queries[q], queries_[q], scores[q]);
      queries_[q].survivors = {};
    });
    for (const std::uint64_t count : scores) sets.scores += count;
    // Most sets are single tokens, which many share.
    std::vector<std::uint32_t> single(state.size(), kNoCluster);
    sets.set.reserve(queries.size());
    for (const std::vector<TokenId>& set : found) {
      if (set.size() > 1) {
        sets.set.push_back(sets.add(set));
        continue;
      }
      std::uint32_t& index = single[set[0]];
      if (index == kNoCluster) index = sets.add(set);
      sets.set.push_back(index);
    }
  }

  std::vector<TokenId> decide(const HardmaxState& state, const double* u, Query& query,
                              std::uint64_t& scores) const {
    const std::size_t d = state.dimension();
    const double tie = state.tie * query.norm;
    std::vector<std::pair<double, TokenId>> kept;
    double best = -std::numeric_limits<double>::infinity();
    const auto least = static_cast<float>(query.lower - state.tie) - 0x1p-22F;
    std::erase_if(query.survivors, [&](const Survivor& s) { return s.upper < least; });
    std::ranges::stable_sort(query.survivors, std::ranges::greater{}, &Survivor::upper);
    for (const Survivor& s : query.survivors) {
      const TokenId point = columns_[s.column].point;
      if (point >= state.size()) continue;
      kept.emplace_back(canonical_dot(u, state.w.tokens.row(point), d), point);
      best = std::max(best, kept.back().first);
      ++scores;
    }
    std::vector<double> position(d);
    for (const Survivor& s : query.survivors) {
      const TokenId point = columns_[s.column].point;
      if (columns_[s.column].reach == 0) continue;
      const double centre = canonical_dot(u, state.target_point(state.w, point), d);
      for (const Cluster::Segment& segment : clusters_[cluster_of_[point]].segments) {
        const double factor = state.shrink[state.layer - segment.decided];
        for (const Cluster::Member& member : segment.members) {
          const double slack = tie + 0x1p-40 * query.norm;
          if (centre + query.norm * factor * member.distance < best - slack) break;
          ++scores;
          const double there = canonical_dot(u, state.w.tokens.row(member.token), d);
          if (centre + factor * (there - centre) < best - slack || state.merged(member.token)) continue;
          state.position(member.token, position.data());
          kept.emplace_back(canonical_dot(u, position.data(), d), member.token);
          best = std::max(best, kept.back().first);
        }
      }
    }
    std::vector<TokenId> set;
    for (const auto& [score, token] : kept)
      if (best - score <= tie) set.push_back(token);
    std::ranges::sort(set);
    return set;
  }

  static constexpr std::uint32_t kNoCluster = 0xffffffff;
  ScanTiles tiles_;
  std::vector<TokenId> open_, fixed_;      ///< not decided, and standing still, when last asked
  std::vector<std::uint32_t> cluster_of_;  ///< point → cluster
  std::vector<Cluster> clusters_;
  std::vector<TokenId> targets_;  ///< of the clusters
  std::vector<Column> columns_;
  std::vector<Factor32> packed_;
  std::vector<Query> queries_;
};

}  // namespace

std::unique_ptr<ArgmaxSource> make_scan_source(const ScanTiles& tiles) {
  return std::make_unique<ScanSource>(tiles);
}

}  // namespace telos::clustering
