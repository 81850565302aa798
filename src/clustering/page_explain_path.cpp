#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "clustering/page_parts.h"
#include "telos/linalg/decompositions.h"

// The words of an explained text on their way to their leaders, as an animated figure.

namespace telos::clustering {
namespace {

/// y = B(x − m): how the words' space is shown in two or three dimensions.
struct View {
  Matrix<double> basis;      ///< 2 or 3 × d, orthonormal rows (or rows of zeros)
  std::vector<double> mean;  ///< m
  double explained = 1;      ///< share of the leaders' variance that two components keep
  bool components = false;   ///< principal components, not the axes themselves

  void show(const double* x, float* y) const {
    for (std::size_t r = 0; r < basis.rows(); ++r) {
      double sum = 0;
      for (std::size_t c = 0; c < mean.size(); ++c) sum += basis(r, c) * (x[c] - mean[c]);
      y[r] = static_cast<float>(sum);
    }
  }
};

/// Tokens of the leaders that the run's tokens are indices of.
std::vector<std::size_t> leader_tokens(const Explanation& e) {
  std::vector<std::size_t> tokens;
  for (const ExplainedLeader& leader : e.leaders)
    for (std::size_t w = 0; w < e.words.size(); ++w)
      if (e.words[w].id == leader.id) tokens.push_back(w);
  return tokens;
}

View axes_view(std::size_t d) {
  View view{.basis = Matrix<double>(d == 3 ? 3 : 2, d), .mean = std::vector<double>(d)};
  for (std::size_t c = 0; c < d; ++c) view.basis(c, c) = 1;
  return view;
}

/// The two leading principal components of the leaders; of all words where fewer than three lead.
View components_view(const Explanation& e, const SentimentModel& model) {
  const std::size_t d = model.config.dim;
  std::vector<std::size_t> tokens = leader_tokens(e);
  if (tokens.size() < 3) {
    tokens.resize(e.words.size());
    std::iota(tokens.begin(), tokens.end(), std::size_t{0});
  }
  View view{.basis = Matrix<double>(2, d), .mean = std::vector<double>(d), .components = true};
  Matrix<double> rows(tokens.size(), d);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const float* x = model.embedding.row(static_cast<std::size_t>(e.words[tokens[i]].id));
    for (std::size_t c = 0; c < d; ++c) {
      rows(i, c) = static_cast<double>(x[c]);
      view.mean[c] += rows(i, c) / static_cast<double>(tokens.size());
    }
  }
  for (std::size_t i = 0; i < rows.rows(); ++i)
    for (std::size_t c = 0; c < d; ++c) rows(i, c) -= view.mean[c];
  const Svd parts = svd(rows);
  double all = 0, kept = 0;
  for (std::size_t i = 0; i < parts.s.size(); ++i) {
    all += parts.s[i] * parts.s[i];
    if (i >= 2) continue;
    kept += parts.s[i] * parts.s[i];
    // The sign of a component is free: its largest entry is positive.
    std::size_t largest = 0;
    for (std::size_t c = 0; c < d; ++c)
      if (std::fabs(parts.v(c, i)) > std::fabs(parts.v(largest, i))) largest = c;
    const double sign = parts.v(largest, i) < 0 ? -1 : 1;
    for (std::size_t c = 0; c < d; ++c) view.basis(i, c) = sign * parts.v(c, i);
  }
  view.explained = all > 0 ? kept / all : 1;
  return view;
}

/// The decoder's line v·x + b = 0, where it is one in the plane that is shown: v lies in it.
void add_divide(Player& player, const View& view, const SentimentModel& model) {
  if (player.dimension != 2) return;
  constexpr double kInPlane = 0.99;
  double length = 0, kept = 0;
  player.offset = model.bias;
  for (std::size_t c = 0; c < model.v.size(); ++c) {
    const double v = model.v[c];
    length += v * v;
    player.offset += v * view.mean[c];
    for (std::size_t r = 0; r < 2; ++r) player.normal[r] += v * view.basis(r, c);
  }
  for (const double n : player.normal) kept += n * n;
  player.divide = kept > 0 && kept >= kInPlane * length;
  player.negative = model.negative;
  player.positive = model.positive;
}

/// Colours: one a leader, then one for words that follow a word that leads nobody by layer K, then one for
/// words between several.
class Groups {
 public:
  explicit Groups(const Explanation& e) : run_(e.run) {
    const std::vector<std::size_t> tokens = leader_tokens(e);
    for (std::size_t l = 0; l < tokens.size(); ++l) by_unique_.emplace(run_.group[tokens[l]], l);
    for (const ExplainedLeader& leader : e.leaders) names_.push_back(word_name(leader.word, leader.id));
    names_.emplace_back("another word");
    names_.emplace_back("several words");
  }
  std::uint32_t of(const std::vector<std::size_t>& targets) const {
    if (targets.size() != 1) return static_cast<std::uint32_t>(names_.size() - 1);
    const auto leader = by_unique_.find(targets[0]);
    return static_cast<std::uint32_t>(leader == by_unique_.end() ? names_.size() - 2 : leader->second);
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  const HardmaxRun& run_;
  std::map<std::size_t, std::size_t> by_unique_;
  std::vector<std::string> names_;
};

Player::Point point_of(const Explanation& e, std::size_t w, const View& view, const Groups& groups,
                       std::size_t frames) {
  const HardmaxRun::Path path = e.run.path(e.run.group[w]);
  const std::size_t d = view.mean.size();
  const std::size_t rows = std::min(path.steps.size() / d, frames);
  const ExplainedWord& word = e.words[w];
  Player::Point point;
  point.label = word_name(word.word, word.id);
  if (word.copies > 1) point.label += fmt::format(" ×{}", word.copies);
  point.weight = static_cast<float>(word.copies);
  point.steps.resize(rows * view.basis.rows());
  for (std::size_t k = 0; k < rows; ++k) view.show(&path.steps[k * d], &point.steps[k * view.basis.rows()]);
  if (!path.target.empty() && path.steps.size() / d <= frames) {
    point.target.resize(view.basis.rows());
    view.show(path.target.data(), point.target.data());
  }
  for (std::size_t k = 0; k < std::min(frames, path.targets.size()); ++k)
    point.groups.push_back(groups.of(path.targets[k]));
  if (word.leader != kNone && e.leaders[word.leader].id == word.id)
    point.star_from = e.leaders[word.leader].emergence;
  return point;
}

std::string caption_of(const View& view, const Player& player) {
  std::string text =
      "Each layer moves a word by α/(1+α) of the way to the mean of the words that it attends to, those of "
      "largest ⟨z_i, z_j⟩, which its colour names. Stars lead: they attend to themselves alone, and stand "
      "still. The triangle is the mean that the decoder reads. arXiv 2407.01602.";
  if (view.components)
    text += fmt::format(" Shown: the two leading principal components of the leaders, {} of their variance.",
                        percent(view.explained));
  if (player.divide) text += " The line is v·x + b = 0.";
  return text;
}

}  // namespace

Player path_player(const Explanation& e, const SentimentModel& model) {
  const std::size_t d = model.config.dim;
  Player player;
  player.id = "words-on-their-way";
  player.title = "Words move to their leaders";
  player.alt = "Positions of the words, layer by layer";
  if (model.config.layers == 0 || e.run.history.layers.empty()) return player;
  const View view = d <= 3 ? axes_view(d) : components_view(e, model);
  player.dimension = view.basis.rows();
  for (std::size_t k = 0; k <= model.config.layers; ++k) player.frames.push_back(static_cast<double>(k));
  for (std::size_t r = 0; r < player.dimension; ++r)
    player.axes[r] = view.components ? fmt::format("component {}", r + 1) : fmt::format("z{}", r + 1);
  player.ratio = e.run.rate;
  player.mean = true;
  player.hull = player.dimension == 2 && !view.components;
  const Groups groups(e);
  player.groups = groups.names();
  for (std::size_t w = 0; w < e.words.size(); ++w)
    player.points.push_back(point_of(e, w, view, groups, player.frames.size()));
  add_divide(player, view, model);
  player.caption = caption_of(view, player);
  return player;
}

}  // namespace telos::clustering
