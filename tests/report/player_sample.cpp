#include "player_sample.h"

#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "sample.h"
#include "telos/base/philox.h"

namespace telos::test {
namespace {

using Tokens = std::vector<std::array<float, 3>>;

/// Each token's target: the token with the largest dot product with it, among `candidates`.
std::vector<std::uint32_t> targets(const Tokens& z, std::size_t candidates) {
  std::vector<std::uint32_t> out;
  for (const auto& a : z) {
    std::uint32_t best = 0;
    double most = -1e300;
    for (std::uint32_t j = 0; j < candidates; ++j) {
      const double dot = a[0] * z[j][0] + a[1] * z[j][1] + a[2] * z[j][2];
      if (dot > most) most = dot, best = j;
    }
    out.push_back(best);
  }
  return out;
}

/// Points that move a third of the way to their targets, layer after layer: `given` layers step by step, the
/// rest by ratio and target.
void let_move(Player& player, Tokens z, std::size_t candidates, std::size_t given) {
  for (std::size_t layer = 0; layer < given; ++layer) {
    const std::vector<std::uint32_t> to = targets(z, candidates);
    Tokens next = z;
    for (std::size_t i = 0; i < z.size(); ++i) {
      Player::Point& point = player.points[i];
      for (std::size_t a = 0; a < player.dimension; ++a) {
        point.steps.push_back(z[i][a]);
        next[i][a] = z[i][a] + (z[to[i]][a] - z[i][a]) / 3;
      }
      point.groups.push_back(to[i]);
      if (to[i] == i && point.star_from == Player::kNever) point.star_from = layer;
    }
    z = next;
  }
  player.ratio = 2.0 / 3;
  for (Player::Point& point : player.points) {
    const Player::Point& leader = player.points[point.groups.back()];
    const std::size_t d = player.dimension;
    point.target.assign(leader.steps.end() - static_cast<std::ptrdiff_t>(d), leader.steps.end());
  }
}

/// Eight tokens of which a third becomes a leader at layer 1.
Player emerging() {
  Player player;
  player.id = "emerging";
  player.title = "Three leaders, one of which emerges at layer 1";
  player.caption =
      "Tokens follow the one with which their dot product is largest; colour is the token followed.";
  player.alt = "Eight tokens in the plane move to three leaders.";
  player.axes[0] = "first coordinate", player.axes[1] = "second coordinate";
  player.frames.resize(31);
  std::iota(player.frames.begin(), player.frames.end(), 0.0);
  player.panels = {0, 1, 2, 5, 30};
  const Tokens z = {{1, 1.F / 3, 0},   {-1.F / 12, 1.F / 12, 0}, {-1, -1, 0},  {0, 0.25F, 0},
                    {-0.3F, -0.7F, 0}, {-0.6F, -0.9F, 0},        {0.8F, 0.1F}, {0.6F, 0.15F}};
  for (std::size_t i = 0; i < z.size(); ++i) {
    player.groups.push_back("follows " + std::to_string(i));
    player.points.emplace_back().label = "token " + std::to_string(i);
  }
  let_move(player, z, z.size(), 4);
  return player;
}

/// A text's words between the halves of a classifier.
Player review() {
  static const std::vector<std::string> kWords = {
      "amazing", "worst",   "story", "actor", "boring", "great",  "waste",  "music",  "time", "ending",
      "scene",   "perfect", "plot",  "dull",  "love",   "minute", "camera", "line",   "joke", "watch",
      "script",  "hero",    "year",  "money", "begin",  "dark",   "issue",  "torture"};
  Player player;
  player.id = "review";
  player.title = "The words of a review move to amazing, waste and two more";
  player.caption = "The line is where the classifier is undecided; the triangle is the mean of all words.";
  player.alt = "28 words move to their leaders between a negative and a positive half plane.";
  player.frames = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  player.mean = true;
  player.divide = true;
  player.normal[0] = -1, player.normal[1] = 1.4, player.offset = 0.2;
  player.negative = "negative", player.positive = "positive";
  Random random(7);
  Tokens z;
  for (const std::string& word : kWords) {
    z.push_back({static_cast<float>(1.5 * random.normal()), static_cast<float>(random.normal()), 0});
    player.groups.push_back(word);
    player.points.emplace_back().label = word;
    player.points.back().weight = word == "time" ? 3.F : 1.F;
  }
  let_move(player, z, z.size(), 8);
  return player;
}

Player cloud(std::size_t points, std::size_t leaders, std::size_t dimension, std::size_t frames) {
  Player player;
  player.id = "cloud";
  player.title = std::to_string(points) + " points move to " + std::to_string(leaders) + " leaders";
  player.alt = "A cloud of points that contracts to its leaders.";
  player.dimension = dimension;
  player.frames.resize(frames);
  std::iota(player.frames.begin(), player.frames.end(), 0.0);
  Random random(11);
  Tokens z;
  for (std::size_t i = 0; i < points; ++i) {
    std::array<float, 3> place{};
    for (std::size_t a = 0; a < dimension; ++a) place[a] = static_cast<float>(0.5 * random.normal());
    if (i < leaders) {
      const double norm = std::hypot(place[0], place[1], place[2]);
      for (float& x : place) x = static_cast<float>(x * 2.2 / norm);
      player.groups.push_back("leader " + std::to_string(i));
    }
    z.push_back(place);
    player.points.emplace_back().label = "point " + std::to_string(i);
  }
  let_move(player, z, leaders, 4);
  return player;
}

}  // namespace

Player hostile_player() {
  const std::vector<std::string>& hostile = hostile_strings();
  Player player;
  player.id = hostile[1];
  player.title = hostile[0];
  player.caption = hostile[4];
  player.alt = hostile[3];
  player.frame_label = hostile[5];
  player.star_label = hostile[1];
  player.axes[0] = hostile[2], player.axes[1] = hostile[9];
  player.frames = {0, std::nan(""), 1e300};
  player.panels = {0, 1, 99};
  player.mean = player.divide = true;
  player.normal[0] = std::nan("");
  player.negative = hostile[0], player.positive = hostile[11];
  player.groups = {hostile[1], hostile[8]};
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    Player::Point& point = player.points.emplace_back();
    point.label = hostile[i];
    point.groups = {static_cast<std::uint32_t>(i), 4'000'000'000u};
    if (i % 3 == 0) point.star_from = i;
    if (i % 5 == 1) point.weight = -std::numeric_limits<float>::infinity();
    if (i % 7 == 2) continue;  // no position at all
    point.steps = {static_cast<float>(i), i % 4 == 3 ? std::nanf("") : static_cast<float>(i * i), 3e38F};
    if (i % 2 == 0) point.target = {-1, std::numeric_limits<float>::infinity()};
  }
  return player;
}

Player large_player(std::size_t points) {
  return cloud(points, 12, 2, 100);
}

Report player_report(std::size_t points) {
  Report report = calm_report();
  report.sections.resize(1);
  report.sections[0] = Section{};
  report.sections[0].id = "moving";
  report.sections[0].title = "Points move to their leaders";
  report.sections[0].players.push_back(emerging());
  report.sections[0].players.push_back(review());
  report.sections[0].players.push_back(cloud(400, 9, 3, 12));
  report.sections[0].players.push_back(large_player(points));
  report.sections[0].players.push_back(hostile_player());
  return report;
}

}  // namespace telos::test
