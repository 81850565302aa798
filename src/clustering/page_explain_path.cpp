#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "clustering/page_parts.h"
#include "clustering/page_view.h"

// The words of an explained text on their way to their leaders, as an animated figure.

namespace telos::clustering {
namespace {

constexpr std::size_t kMostFrames = 100;

/// A view of the leaders; of all words where fewer than three lead.
View leaders_view(const Explanation& e, const SentimentModel& model) {
  std::vector<std::int32_t> ids;
  for (const ExplainedLeader& leader : e.leaders) ids.push_back(leader.id);
  if (ids.size() < 3) {
    ids.clear();
    for (const ExplainedWord& word : e.words) ids.push_back(word.id);
  }
  Matrix<double> rows(ids.size(), model.config.dim);
  for (std::size_t i = 0; i < ids.size(); ++i)
    std::copy_n(model.embedding.row(static_cast<std::size_t>(ids[i])), rows.cols(), rows.row(i));
  return view_of(rows);
}

/// The decoder's line v·x + b = 0, where it is one in what is shown, because v lies in it.
void add_divide(Player& player, const View& view, const SentimentModel& model) {
  if (view.dimension() > 2) return;
  constexpr double kInPlane = 0.99;
  double length = 0, kept = 0;
  player.offset = model.bias;
  for (std::size_t c = 0; c < model.v.size(); ++c) {
    const double v = model.v[c];
    length += v * v;
    player.offset += v * view.mean[c];
    for (std::size_t r = 0; r < view.dimension(); ++r) player.normal[r] += v * view.basis(r, c);
  }
  for (const double n : player.normal) kept += n * n;
  player.divide = kept > 0 && kept >= kInPlane * length;
  player.negative = model.negative;
  player.positive = model.positive;
}

/// Words may follow one that leads nobody by layer K.
FollowColours colours_of(const Explanation& e) {
  FollowColours colours("another word", "several words");
  for (const ExplainedLeader& leader : e.leaders)
    colours.add(e.run.group[leader.index], word_name(leader.word, leader.id));
  return colours;
}

Player::Point point_of(const Explanation& e, std::size_t w, const View& view, const FollowColours& colours,
                       std::size_t frames) {
  const ExplainedWord& word = e.words[w];
  Player::Point point = point_on_its_way(e.run, e.run.group[w], view, colours, frames);
  point.label = word_name(word.word, word.id);
  if (word.copies > 1) point.label += fmt::format(" ×{}", word.copies);
  point.weight = static_cast<float>(word.copies);
  if (word.leader != kNone && e.leaders[word.leader].index == w)
    point.star_from = e.leaders[word.leader].emergence;
  return point;
}

std::string caption_of(const View& view, const Player& player) {
  std::string text =
      "Each layer moves a word by α/(1+α) of the way to the mean of the words that it attends to, those of "
      "largest ⟨z_i, z_j⟩, which its colour names. Stars lead: they attend to themselves alone, and stand "
      "still. The triangle is the mean that the decoder reads. arXiv 2407.01602.";
  text += view_remark(view, "the leaders");
  if (player.divide) text += " The line is v·x + b = 0.";
  return text;
}

}  // namespace

Player path_player(const Explanation& e, const SentimentModel& model) {
  Player player;
  player.id = "words-on-their-way";
  player.title = "Words move to their leaders";
  player.alt = "Positions of the words, layer by layer";
  if (model.config.layers == 0 || e.run.history.layers.empty()) return player;
  const View view = leaders_view(e, model);
  set_axes(player, view);
  const std::size_t layers = std::min(model.config.layers, kMostFrames);
  for (std::size_t k = 0; k <= layers; ++k) player.frames.push_back(static_cast<double>(k));
  player.panels = {0, layers};
  player.ratio = e.run.rate;
  player.mean = true;
  player.hull = player.dimension == 2 && !view.components;
  const FollowColours colours = colours_of(e);
  player.groups = colours.names();
  for (std::size_t w = 0; w < e.words.size(); ++w)
    player.points.push_back(point_of(e, w, view, colours, player.frames.size()));
  add_divide(player, view, model);
  player.caption = caption_of(view, player);
  if (layers < model.config.layers)
    player.caption += fmt::format(" The first {} of {} layers.", layers, model.config.layers);
  return player;
}

}  // namespace telos::clustering
