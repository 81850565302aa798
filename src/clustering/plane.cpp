#include "clustering/plane.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "clustering/plane_hull.h"
#include "telos/base/log.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kBlock = 8192;        ///< tokens or queries that one thread takes at a time
constexpr std::size_t kSieveSample = 4096;  ///< tokens that the sieve is made from
constexpr std::size_t kFewForSieve = 64;    ///< not worth a sieve
/// A follower sleeps while it lies deeper than kDeep · D among those with its target, r^k > kShallow/kDeep.
constexpr double kDeep = 0x1p20, kShallow = 0x1p2;

PlanePoint point_of(const HardmaxState& state, TokenId token) {
  double at[2] = {0, 0};
  state.position(token, at);
  return {at[0], at[1], token};
}

/// Runs body(block, begin, end) over [0, n) in pieces.
template <class Body>
void in_blocks(std::size_t n, const Arena& arena, const Body& body) {
  arena.parallel_for((n + kBlock - 1) / kBlock,
                     [&](std::size_t b) { body(b, b * kBlock, std::min(n, (b + 1) * kBlock)); });
}

template <class T>
std::vector<T> joined(const std::vector<std::vector<T>>& parts) {
  std::vector<T> all;
  std::size_t size = 0;
  for (const std::vector<T>& part : parts) size += part.size();
  all.reserve(size);
  for (const std::vector<T>& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// The longest tokens and some of all.
PlaneSieve sieve_of(const HardmaxState& state, std::span<const TokenId> tokens, double reach) {
  if (tokens.size() <= kFewForSieve) return {};
  std::vector<PlanePoint> sample;
  const std::size_t first = std::min(tokens.size(), kSieveSample / 2);
  for (std::size_t t = 0; t < first; ++t) sample.push_back(point_of(state, tokens[t]));
  const std::size_t rest = tokens.size() - first, step = rest / (kSieveSample / 2) + 1;
  for (std::size_t t = first; t < tokens.size(); t += step) sample.push_back(point_of(state, tokens[t]));
  return PlaneSieve(sample, reach);
}

PlaneHull hull_of(const HardmaxState& state, std::span<const TokenId> tokens, double reach,
                  const Arena& arena) {
  const PlaneSieve sieve = sieve_of(state, tokens, reach);
  std::vector<std::vector<PlanePoint>> kept((tokens.size() + kBlock - 1) / kBlock);
  in_blocks(tokens.size(), arena, [&](std::size_t b, std::size_t begin, std::size_t end) {
    for (std::size_t t = begin; t < end; ++t) {
      const PlanePoint p = point_of(state, tokens[t]);
      if (!sieve.drops(p.x, p.y)) kept[b].push_back(p);
    }
  });
  return PlaneHull(joined(kept), reach);
}

/// Argmax sets in which equal ones are stored once.
class SetStore {
 public:
  explicit SetStore(ArgmaxSets& sets) : sets_(sets) {}
  std::uint32_t put(std::span<const TokenId> set) {
    std::uint64_t hash = set.size();
    for (const TokenId t : set) hash = (hash ^ t) * 0x9E3779B97F4A7C15u;
    const auto [first, last] = known_.equal_range(hash);
    for (auto at = first; at != last; ++at)
      if (std::ranges::equal(sets_.members(at->second), set)) return at->second;
    return known_.emplace(hash, sets_.add(set))->second;
  }

 private:
  ArgmaxSets& sets_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> known_;
};

/// The sets of some queries by the hull and the tie rule.
void find_sets(const PlaneHull& hull, double tie, std::size_t dimension,
               std::span<const double* const> queries, ArgmaxSets& sets) {
  SetStore store(sets);
  std::vector<PlaneHull::Candidate> found;
  std::vector<TokenId> set;
  for (const double* const query : queries) {
    const double q[2] = {query[0], dimension == 2 ? query[1] : 0};
    const double norm = canonical_norm(query, dimension);
    found.clear();
    sets.scores += hull.near_best(q, std::max(norm, std::hypot(q[0], q[1])), found);
    const double best = std::ranges::max(found, {}, &PlaneHull::Candidate::score).score;
    set.clear();
    for (const PlaneHull::Candidate& candidate : found)
      if (best - candidate.score <= tie * norm) set.push_back(candidate.token);
    std::ranges::sort(set);
    set.erase(std::unique(set.begin(), set.end()), set.end());
    sets.set.push_back(store.put(set));
  }
}

class PlaneSource : public ArgmaxSource {
 public:
  void find(const HardmaxState& state, std::span<const double* const> queries, ArgmaxSets& sets,
            const Arena& arena) override {
    // D/2 covers ties and the rounding of scores.
    const double reach = 2.5 * state.tie + 0x1p-40;
    gather(state, reach, arena);
    const PlaneHull hull = hull_of(state, awake_, reach, arena);
    std::vector<ArgmaxSets> parts((queries.size() + kBlock - 1) / kBlock);
    in_blocks(queries.size(), arena, [&](std::size_t b, std::size_t begin, std::size_t end) {
      find_sets(hull, state.tie, state.dimension(), queries.subspan(begin, end - begin), parts[b]);
    });
    join(parts, sets);
  }

 private:
  /// Tokens that may be extreme at this layer.
  void gather(const HardmaxState& state, double reach, const Arena& arena) {
    if (state.layer >= wake_) {
      awake_.resize(state.size());
      std::iota(awake_.begin(), awake_.end(), TokenId{0});
      wake_ = kNever;
      settled_ = 0;
    }
    std::vector<std::vector<TokenId>> kept((awake_.size() + kBlock - 1) / kBlock);
    in_blocks(awake_.size(), arena, [&](std::size_t b, std::size_t begin, std::size_t end) {
      for (std::size_t t = begin; t < end; ++t)
        if (!state.merged(awake_[t])) kept[b].push_back(awake_[t]);
    });
    awake_ = joined(kept);
    const auto frozen = static_cast<std::size_t>(
        std::ranges::count_if(awake_, [&](TokenId t) { return state.state[t] == TokenState::kFrozen; }));
    if (frozen > 2 * settled_ + kSieveSample) put_to_sleep(state, reach, arena);
  }

  /// Frozen tokens with the same target m keep their shape: their positions are m + r^k e_j. Who lies deep
  /// inside that shape stays inside, and needs no look before the shape has shrunk.
  void put_to_sleep(const HardmaxState& state, double reach, const Arena& arena) {
    const double layers = std::log(kDeep / kShallow) / -std::log(state.shrink[1]);
    if (layers < 2) return;
    std::vector<std::vector<TokenId>> groups;
    std::unordered_map<TokenId, std::size_t> group_of;
    std::vector<TokenId> awake;
    for (const TokenId t : awake_) {
      if (state.state[t] != TokenState::kFrozen) {
        awake.push_back(t);
        continue;
      }
      const auto [at, fresh] = group_of.try_emplace(state.target[t], groups.size());
      if (fresh) groups.emplace_back();
      groups[at->second].push_back(t);
    }
    settled_ = 0;
    for (const std::vector<TokenId>& group : groups) {
      check_interrupt();
      const std::vector<TokenId> outer = hull_of(state, group, kDeep * reach, arena).near_boundary();
      awake.insert(awake.end(), outer.begin(), outer.end());
      settled_ += outer.size();
    }
    std::ranges::sort(awake);
    awake_ = std::move(awake);
    if (layers < 1e9) wake_ = std::min(wake_, state.layer + static_cast<std::size_t>(layers));
  }

  static void join(std::vector<ArgmaxSets>& parts, ArgmaxSets& sets) {
    sets = {};
    SetStore store(sets);
    std::vector<std::uint32_t> number;
    for (ArgmaxSets& part : parts) {
      number.resize(part.begin.size() - 1);
      for (std::size_t s = 0; s < number.size(); ++s) number[s] = store.put(part.members(s));
      for (const std::uint32_t s : part.set) sets.set.push_back(number[s]);
      sets.scores += part.scores;
      part = {};
    }
  }

  static constexpr std::size_t kNever = static_cast<std::size_t>(-1);
  std::vector<TokenId> awake_;
  std::size_t wake_ = 0;     ///< layer at which all tokens are looked at again
  std::size_t settled_ = 0;  ///< frozen tokens that were left awake
};

}  // namespace

std::unique_ptr<ArgmaxSource> make_plane_source() {
  return std::make_unique<PlaneSource>();
}

}  // namespace telos::clustering
