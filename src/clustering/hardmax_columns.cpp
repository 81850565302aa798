#include "clustering/hardmax_columns.h"

#include <algorithm>
#include <cmath>

namespace telos::clustering {
namespace {

/// Followers within this part of the largest norm are near. Products of all with all are so fast that far
/// ones are better looked at one by one.
constexpr double kNear = 0.02;

/// Rounding of the few operations on a bound, upwards.
constexpr double kUp = 1 + 0x1p-40;

double distance_to_target(const HardmaxState& state, TokenId t) {
  const double* const row = state.w.tokens.row(t);
  const double* const to = state.target_point(state.w, state.target[t]);
  double square = 0;
  for (std::size_t c = 0; c < state.dimension(); ++c) square += (row[c] - to[c]) * (row[c] - to[c]);
  return std::sqrt(square) * kUp;
}

double norm_of(const HardmaxState& state, TokenId point) {
  return point < state.size() ? state.norm[point]
                              : canonical_norm(state.target_point(state.w, point), state.dimension());
}

}  // namespace

void Columns::add_follower(const HardmaxState& state, TokenId token, std::vector<std::uint32_t>& grown) {
  const TokenId target = state.target[token];
  std::uint32_t& index = cluster_of_[target];
  if (index == kNone32) {
    index = static_cast<std::uint32_t>(clusters_.size());
    clusters_.emplace_back();
    targets_.push_back(target);
  }
  std::vector<Segment>& segments = clusters_[index];
  if (segments.empty() || segments.back().decided != state.decided[token]) {
    segments.push_back({state.decided[token], 0, {}});
    grown.push_back(index);
  }
  segments.back().members.push_back({distance_to_target(state, token), token});
}

void Columns::file_decided(const HardmaxState& state) {
  if (!started_) {
    started_ = true;
    active_.resize(state.size());
    for (TokenId t = 0; t < active_.size(); ++t) active_[t] = t;
  }
  const std::size_t faces = state.dimension() == 0 ? 0 : state.w.faces.size() / state.dimension();
  cluster_of_.resize(state.size() + faces, kNone32);
  std::vector<std::uint32_t> grown;
  std::erase_if(active_, [&](TokenId t) {
    if (state.state[t] == TokenState::kFrozen)
      add_follower(state, t, grown);
    else if (state.state[t] != TokenState::kActive)
      fixed_.push_back(t);
    return state.state[t] != TokenState::kActive;
  });
  for (const std::uint32_t index : grown)
    std::ranges::sort(clusters_[index].back().members, [](const Member& a, const Member& b) {
      return a.distance != b.distance ? a.distance > b.distance : a.token < b.token;
    });
}

void Columns::add(double norm, TokenId point) {
  const std::uint32_t cluster = cluster_of_[point];
  const float reach = cluster == kNone32 ? 0.0F : reach_[cluster];
  list_.push_back({(norm + static_cast<double>(reach)) * kUp, norm, reach, point});
}

/// Finds who is near; the others become columns.
void Columns::add_far_followers(const HardmaxState& state) {
  const double near = std::max(kNear, state.tie);
  reach_.assign(clusters_.size(), 0.0F);
  for (std::size_t c = 0; c < clusters_.size(); ++c) {
    const double target_norm = norm_of(state, targets_[c]);
    for (Segment& segment : clusters_[c]) {
      const double factor = state.shrink[state.layer - segment.decided];
      const auto first = std::ranges::partition_point(
          segment.members, [&](const Member& m) { return factor * m.distance > near; });
      segment.near = static_cast<std::size_t>(first - segment.members.begin());
      if (first != segment.members.end())
        reach_[c] =
            std::max(reach_[c], static_cast<float>(factor * first->distance) * (1 + 0x1p-22F) + 0x1p-120F);
      for (auto m = segment.members.begin(); m != first; ++m) {
        // Between the target and where it was.
        const double norm = (1 - factor) * target_norm + factor * state.norm[m->token];
        list_.push_back({norm * kUp, std::max(target_norm, state.norm[m->token]), 0.0F, m->token});
      }
    }
  }
}

void Columns::update(const HardmaxState& state) {
  file_decided(state);
  list_.clear();
  add_far_followers(state);
  for (const TokenId t : fixed_) add(state.norm[t], t);
  for (const TokenId t : active_) add(state.norm[t], t);
  for (const TokenId target : targets_)
    if (target >= state.size()) add(norm_of(state, target), target);
  std::ranges::sort(list_, [](const Column& a, const Column& b) {
    return a.key != b.key ? a.key > b.key : a.point < b.point;
  });
}

}  // namespace telos::clustering
