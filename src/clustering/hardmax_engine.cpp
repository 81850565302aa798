#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "clustering/hardmax_parts.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::clustering {
namespace {

/// A carried token whose set's mean in z lies within this part of the largest ‖z‖ stands still: rounding of
/// means.
constexpr double kStandsStill = 0x1p-46;

/// One run. A layer: find the argmax sets of the active tokens, decide who leads, stands or is frozen, move
/// the rest.
class Engine {
 public:
  Engine(HardmaxInput& input, double alpha, const HardmaxOptions& options, ArgmaxSource& source,
         const Arena& arena)
      : options_(options),
        arena_(arena),
        source_(source),
        rate_(1 / (1 + alpha)),
        step_(alpha / (1 + alpha)),
        s_(result_.state),
        lowest_(input.lowest) {
    s_.w.tokens = std::move(input.w);
    s_.z.tokens = std::move(input.z);
    s_.copies = std::move(input.copies);
    const std::size_t n = s_.size();
    s_.norm.resize(n);
    arena.parallel_for(n, [&](std::size_t t) { s_.norm[t] = norm_of(t); });
    s_.state.assign(n, TokenState::kActive);
    s_.decided.assign(n, HardmaxRun::kUndecidedLayer);
    s_.target.assign(n, 0);
    largest_ = s_.norm[0];
    s_.tie = options.tie_tolerance * largest_;
    for (std::size_t t = 0; t < s_.z.tokens.rows(); ++t)
      largest_z_ = std::max(largest_z_, canonical_norm(s_.z.tokens.row(t), s_.z.tokens.cols()));
    result_.changed.assign(n, 0);
    active_.resize(n);
    for (TokenId t = 0; t < n; ++t) active_[t] = t;
  }

  EngineResult run() {
    const bool forever = options_.layers == kAllLayers;
    const std::size_t layers = forever ? options_.max_layers : options_.layers;
    Progress progress("hardmax", "token", static_cast<double>(s_.size()));
    while (!active_.empty() && s_.layer < layers && !result_.stalled) {
      check_interrupt();
      const std::size_t before = active_.size();
      find_sets();
      decide();
      const Moved moved = move();
      progress.advance(static_cast<double>(before - active_.size()));
      s_.shrink.push_back(s_.shrink.back() * rate_);
      ++s_.layer;
      result_.stalled = forever && !active_.empty() && all_still(moved);
    }
    result_.capped = forever && !active_.empty() && !result_.stalled;
    result_.stalled = result_.stalled || result_.capped;
    progress.advance(static_cast<double>(active_.size()));
    if (options_.history) result_.history.push_back(positions_of_active());
    return std::move(result_);
  }

 private:
  double norm_of(std::size_t t) const { return canonical_norm(s_.w.tokens.row(t), s_.dimension()); }

  HardmaxRun::Layer positions_of_active() {
    const Matrix<double>& from = s_.z.tokens.empty() ? s_.w.tokens : s_.z.tokens;
    history_bytes_ += 8 * static_cast<double>(active_.size()) * static_cast<double>(from.cols());
    require_memory(history_bytes_, "hardmax", "keep no paths, or take a larger alpha");
    HardmaxRun::Layer layer;
    layer.active = active_;
    layer.z = Matrix<double>(active_.size(), from.cols());
    arena_.parallel_for(active_.size(), [&](std::size_t a) {
      std::copy_n(from.row(active_[a]), from.cols(), layer.z.row(a));
    });
    return layer;
  }

  void find_sets() {
    std::swap(sets_, before_);
    std::vector<const double*> queries;
    queries.reserve(active_.size());
    std::size_t zero = active_.size();
    for (std::size_t a = 0; a < active_.size(); ++a)
      if (s_.norm[active_[a]] == 0)
        zero = a;
      else
        queries.push_back(s_.w.tokens.row(active_[a]));
    sets_ = {};
    if (!queries.empty()) source_.find(s_, queries, sets_, arena_);
    if (zero == active_.size()) return;
    // The zero vector has score 0 with everybody.
    std::vector<TokenId> all(s_.size());
    for (TokenId t = 0; t < all.size(); ++t) all[t] = t;
    sets_.set.insert(sets_.set.begin() + static_cast<std::ptrdiff_t>(zero), sets_.add(all));
    sets_.scores += all.size();
  }

  /// What a token of a static set stands for: itself, or what it has arrived at; kNobody: it moves on.
  static constexpr TokenId kNobody = 0xffffffff;
  TokenId anchor(TokenId t) const {
    if (s_.state[t] == TokenState::kLeader || s_.state[t] == TokenState::kStatic) return t;
    return s_.arrived(t) && arrived_in_z(t) ? s_.target[t] : kNobody;
  }
  /// With A singular, w may have arrived long before z.
  bool arrived_in_z(TokenId t) const {
    return s_.z.tokens.empty() || s_.arrived(s_.z, t, options_.tie_tolerance * largest_z_);
  }

  /// Mean of a set, by copies, into `out`.
  void mean_of(const HardmaxState::Points& points, std::span<const TokenId> set, double* out) const {
    const std::size_t d = points.tokens.cols();
    if (set.size() == 1) return s_.position(points, set[0], out);
    std::fill_n(out, d, 0.0);
    std::vector<double> x(d);
    double weight = 0;
    for (const TokenId t : set) {
      s_.position(points, t, x.data());
      weight += s_.copies[t];
      for (std::size_t c = 0; c < d; ++c) out[c] += s_.copies[t] * x[c];
    }
    for (std::size_t c = 0; c < d; ++c) out[c] /= weight;
  }

  void decide() {
    count_before();
    const std::size_t leaders = latch_leaders();
    find_static();
    freeze();
    LayerCounts& counts = result_.per_layer.back();
    counts.leaders = leaders;
    std::erase_if(active_, [&](TokenId t) { return s_.state[t] != TokenState::kActive; });
    counts.decided = s_.size() - active_.size();
  }

  void count_before() {
    LayerCounts counts;
    counts.active = active_.size();
    counts.scores = sets_.scores;
    if (s_.layer == 0) result_.first_target.resize(s_.size());
    std::size_t was = 0;
    for (std::size_t a = 0; a < active_.size(); ++a) {
      const TokenId t = active_[a];
      const std::span<const TokenId> set = sets_.of(a);
      counts.ties += set.size() > 1;
      if (s_.layer == 0) {
        std::uint32_t lowest = lowest_[set[0]];
        for (const TokenId member : set) lowest = std::min(lowest, lowest_[member]);
        result_.first_target[t] = lowest;
        continue;
      }
      while (queried_[was] != t) ++was;
      if (std::ranges::equal(set, before_.of(was))) continue;
      ++counts.changed;
      result_.changed[t] = 1;
    }
    result_.per_layer.push_back(counts);
    if (options_.history) {
      HardmaxRun::Layer layer = positions_of_active();
      layer.set = sets_.set;
      layer.begin = sets_.begin;
      layer.members = sets_.tokens;
      result_.history.push_back(std::move(layer));
    }
    queried_ = active_;
  }

  void settle(TokenId t, TokenState state) {
    s_.state[t] = state;
    s_.decided[t] = static_cast<std::uint32_t>(s_.layer);
  }

  std::size_t latch_leaders() {
    for (std::size_t a = 0; a < active_.size(); ++a) {
      const std::span<const TokenId> set = sets_.of(a);
      if (set.size() != 1 || set[0] != active_[a]) continue;
      settle(active_[a], TokenState::kLeader);
      ++leaders_;
    }
    return leaders_;
  }

  /// Whether a token is at the mean of a set, up to `slack`.
  bool at_mean(const HardmaxState::Points& points, TokenId t, std::span<const TokenId> set,
               double slack) const {
    std::vector<double> mean(points.tokens.cols());
    mean_of(points, set, mean.data());
    double square = 0;
    for (std::size_t c = 0; c < mean.size(); ++c) {
      const double gap = mean[c] - points.tokens(t, c);
      square += gap * gap;
    }
    return square <= slack * slack;
  }

  /// The largest set of tokens that are at the mean of their own argmax set, with only leaders, static tokens
  /// and each other in it. With A singular, w alone does not tell: z may move where A sees nothing.
  void find_static() {
    std::vector<std::size_t> candidates;
    const double slack = s_.tie > 0 ? options_.displacement * largest_ : 0;
    for (std::size_t a = 0; a < active_.size(); ++a) {
      const TokenId t = active_[a];
      const std::span<const TokenId> set = sets_.of(a);
      if (set.size() < 2 || !std::ranges::binary_search(set, t)) continue;
      if (!at_mean(s_.w, t, set, slack)) continue;
      if (!s_.z.tokens.empty() && !at_mean(s_.z, t, set, kStandsStill * largest_z_)) continue;
      candidates.push_back(a);
      s_.state[t] = TokenState::kStatic;
    }
    // Members of a set other than the token itself are longer: in order of norms one pass is enough, unless
    // tokens have come together.
    std::ranges::sort(candidates, [&](std::size_t a, std::size_t b) {
      const double x = s_.norm[active_[a]], y = s_.norm[active_[b]];
      return x != y ? x > y : a < b;
    });
    for (bool again = true; again;) {
      again = false;
      std::erase_if(candidates, [&](std::size_t a) {
        const bool stays = std::ranges::all_of(sets_.of(a), [&](TokenId member) {
          return s_.state[member] == TokenState::kLeader || s_.state[member] == TokenState::kStatic;
        });
        if (!stays) s_.state[active_[a]] = TokenState::kActive;
        again = again || !stays;
        return !stays;
      });
    }
    for (const std::size_t a : candidates) settle(active_[a], TokenState::kStatic);
  }

  /// Freezes who follows what stands still for ever.
  void freeze() {
    std::map<std::vector<TokenId>, std::vector<TokenId>> faces;  // set → active tokens that follow its mean
    std::vector<TokenId> anchors(active_.size(), kNobody);
    std::vector<std::uint8_t> several(active_.size());
    arena_.parallel_for(active_.size(), [&](std::size_t a) {
      if (s_.state[active_[a]] != TokenState::kActive) return;
      const std::span<const TokenId> set = sets_.of(a);
      const TokenId first = anchor(set[0]);
      bool same = true;
      for (const TokenId member : set) {
        const TokenId at = anchor(member);
        if (at == kNobody) return;
        same = same && at == first;
      }
      anchors[a] = first;
      several[a] = !same;
    });
    for (std::size_t a = 0; a < active_.size(); ++a) {
      if (anchors[a] == kNobody) continue;
      const std::span<const TokenId> set = sets_.of(a);
      if (several[a] != 0)
        faces[std::vector<TokenId>(set.begin(), set.end())].push_back(active_[a]);
      else
        freeze_at(active_[a], anchors[a]);
    }
    if (!faces.empty()) freeze_on_faces(faces);
  }

  void freeze_at(TokenId t, TokenId target) {
    settle(t, TokenState::kFrozen);
    s_.target[t] = target;
  }

  /// Who follows the mean m of static tokens stays with them if none has a larger score with m than they
  /// have: m is then the projection of the origin onto their hull.
  void freeze_on_faces(const std::map<std::vector<TokenId>, std::vector<TokenId>>& faces) {
    const std::size_t d = s_.dimension();
    Matrix<double> means(faces.size(), d);
    std::vector<const double*> queries;
    std::size_t f = 0;
    for (const auto& [set, followers] : faces) {
      mean_of(s_.w, set, means.row(f));
      if (canonical_norm(means.row(f), d) > 0) queries.push_back(means.row(f));
      ++f;
    }
    ArgmaxSets best;
    if (!queries.empty()) source_.find(s_, queries, best, arena_);
    result_.per_layer.back().scores += best.scores;
    f = 0;
    std::size_t q = 0;
    for (const auto& [set, followers] : faces) {
      const double* const mean = means.row(f++);
      const bool origin = !(q < queries.size() && queries[q] == mean);
      const bool stays = origin || std::ranges::includes(best.of(q), set);
      if (!origin) ++q;
      if (!stays) continue;
      const TokenId target = add_face(set, mean);
      for (const TokenId t : followers) freeze_at(t, target);
    }
  }

  TokenId add_face(const std::vector<TokenId>& set, const double* mean) {
    const auto [known, fresh] = faces_.try_emplace(set, static_cast<TokenId>(s_.size() + faces_.size()));
    if (fresh) {
      s_.w.faces.insert(s_.w.faces.end(), mean, mean + s_.dimension());
      if (!s_.z.tokens.empty()) {
        std::vector<double> z(s_.z.tokens.cols());
        mean_of(s_.z, set, z.data());
        s_.z.faces.insert(s_.z.faces.end(), z.begin(), z.end());
      }
    }
    return known->second;
  }

  /// How far the farthest token goes in a layer.
  struct Moved {
    double w = 0, z = 0;
  };

  /// One step of what is still active.
  Moved move() {
    const std::vector<std::size_t> index = remaining();
    Moved moved;
    Matrix<double> next_w = step(s_.w, index, moved.w), next_z;
    if (!s_.z.tokens.empty()) next_z = step(s_.z, index, moved.z);
    arena_.parallel_for(active_.size(), [&](std::size_t a) {
      const TokenId t = active_[a];
      std::copy_n(next_w.row(a), next_w.cols(), s_.w.tokens.row(t));
      if (!next_z.empty()) std::copy_n(next_z.row(a), next_z.cols(), s_.z.tokens.row(t));
      s_.norm[t] = norm_of(t);
    });
    return moved;
  }

  /// Whether nothing moves any more, neither what is active nor what is frozen on its way: that changes the
  /// means of later layers.
  bool all_still(const Moved& moved) const {
    const double in_w = options_.displacement * largest_, in_z = options_.displacement * largest_z_;
    if (moved.w > in_w || moved.z > in_z) return false;
    for (TokenId t = 0; t < s_.size(); ++t) {
      if (s_.state[t] != TokenState::kFrozen) continue;
      if (!s_.arrived(s_.w, t, in_w) || !(s_.z.tokens.empty() || s_.arrived(s_.z, t, in_z))) return false;
    }
    return true;
  }

  /// Where the tokens still active stand among those queried.
  std::vector<std::size_t> remaining() const {
    std::vector<std::size_t> index(active_.size());
    std::size_t was = 0;
    for (std::size_t a = 0; a < active_.size(); ++a) {
      while (queried_[was] != active_[a]) ++was;
      index[a] = was++;
    }
    return index;
  }

  /// The next positions, and in `farthest` how far they are from these at most.
  Matrix<double> step(const HardmaxState::Points& points, const std::vector<std::size_t>& index,
                      double& farthest) const {
    const std::size_t d = points.tokens.cols();
    // Means of sets that many share.
    std::vector<std::uint32_t> used;
    std::vector<std::uint32_t> row_of(sets_.begin.size(), kNobody);
    for (const std::size_t a : index) {
      const std::uint32_t set = sets_.set[a];
      if (row_of[set] != kNobody) continue;
      row_of[set] = static_cast<std::uint32_t>(used.size());
      used.push_back(set);
    }
    Matrix<double> means(used.size(), d), next(index.size(), d);
    std::vector<double> moved(index.size());
    arena_.parallel_for(used.size(),
                        [&](std::size_t u) { mean_of(points, sets_.members(used[u]), means.row(u)); });
    arena_.parallel_for(index.size(), [&](std::size_t a) {
      const double* const z = points.tokens.row(active_[a]);
      const double* const m = means.row(row_of[sets_.set[index[a]]]);
      double square = 0;
      for (std::size_t c = 0; c < d; ++c) {
        next(a, c) = rate_ * z[c] + step_ * m[c];
        square += (next(a, c) - z[c]) * (next(a, c) - z[c]);
      }
      moved[a] = std::sqrt(square);
    });
    farthest = moved.empty() ? 0 : *std::ranges::max_element(moved);
    return next;
  }

  const HardmaxOptions& options_;
  const Arena& arena_;
  ArgmaxSource& source_;
  double rate_, step_;
  EngineResult result_;
  HardmaxState& s_;
  const std::vector<std::uint32_t>& lowest_;
  double largest_ = 0, largest_z_ = 0;  ///< norms at first; of z: 0 where nothing is carried
  std::vector<TokenId> active_, queried_;
  ArgmaxSets sets_, before_;
  std::map<std::vector<TokenId>, TokenId> faces_;
  std::size_t leaders_ = 0;
  double history_bytes_ = 0;  ///< positions kept
};

}  // namespace

EngineResult run_layers(HardmaxInput& input, double alpha, const HardmaxOptions& options,
                        ArgmaxSource& source, const Arena& arena) {
  return Engine(input, alpha, options, source, arena).run();
}

}  // namespace telos::clustering
