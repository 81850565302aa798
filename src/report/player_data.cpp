#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <string_view>

#include "base/limits.h"
#include "chart.h"
#include "player_parts.h"
#include "text.h"

namespace telos::report {
namespace {

/// From so many coordinates on, the page holds them with 16 bits: steps of 1/65,534 of each axis's range, a
/// hundredth of a pixel.
constexpr std::size_t kManyNumbers = 1 << 16;
constexpr unsigned kNotFinite = 65535;  ///< the 16-bit code of a coordinate that is not finite
constexpr unsigned kLargestCode = 65534;

std::size_t dimension_of(const Player& player) {
  return std::clamp<std::size_t>(player.dimension, 1, 3);
}

bool is_aimed(const Player& player, const Player::Point& point) {
  return point.target.size() >= dimension_of(player) && given_frames(player, point) != 0;
}

/// The double with the shortest decimal text that reads back as the same float: 0.1f is 0.1.
double shortest(double value) {
  if (!std::isfinite(value)) return value;
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), static_cast<float>(value)).ptr;
  double out = 0;
  std::from_chars(text.data(), end, out);
  return out;
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t used = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) word = word << 8 | (k < used ? bytes[i + k] : 0u);
    for (std::size_t k = 0; k < 4; ++k) out += k <= used ? kDigits[word >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

void put(std::vector<std::uint8_t>& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

/// Seven bits a byte, the lowest first; the top bit says that more follow (LEB128).
void put_variable(std::vector<std::uint8_t>& out, std::uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<std::uint8_t>(value | 128));
  out.push_back(static_cast<std::uint8_t>(value));
}

/// Calls each(axis, coordinate) for the given steps of the points and their targets, in the order of the
/// file.
template <class Each>
void for_each_number(const Player& player, const std::vector<std::size_t>& rows, Each&& each) {
  const std::size_t d = dimension_of(player);
  for (const std::size_t r : rows) {
    const Player::Point& point = player.points[r];
    const std::size_t given = given_frames(player, point) * d;
    for (std::size_t i = 0; i < given; ++i) each(i % d, point.steps[i]);
    if (is_aimed(player, point))
      for (std::size_t i = 0; i < d; ++i) each(i, point.target[i]);
  }
}

void add_exact_paths(Json& out, const Player& player, const std::vector<std::size_t>& rows) {
  std::vector<std::uint8_t> bytes;
  for_each_number(player, rows,
                  [&](std::size_t, float x) { put(bytes, std::bit_cast<std::uint32_t>(x), 4); });
  out["bits"] = 32;
  out["paths"] = base64(bytes);
}

void add_short_paths(Json& out, const Player& player, const std::vector<std::size_t>& rows) {
  std::array<double, 3> low, high, step{};
  low.fill(std::numeric_limits<double>::infinity());
  high.fill(-std::numeric_limits<double>::infinity());
  for_each_number(player, rows, [&](std::size_t axis, float x) {
    if (!std::isfinite(x)) return;
    low[axis] = std::min<double>(low[axis], x);
    high[axis] = std::max<double>(high[axis], x);
  });
  for (std::size_t a = 0; a < 3; ++a) {
    if (low[a] > high[a]) low[a] = high[a] = 0;
    step[a] = (high[a] - low[a]) / kLargestCode;
  }
  std::vector<std::uint8_t> bytes;
  for_each_number(player, rows, [&](std::size_t axis, float x) {
    const double code = step[axis] == 0 ? 0 : std::round((x - low[axis]) / step[axis]);
    put(bytes, std::isfinite(x) ? static_cast<std::uint32_t>(code) : kNotFinite, 2);
  });
  out["bits"] = 16;
  out["low"] = low;
  out["step"] = step;
  out["paths"] = base64(bytes);
}

/// A point's whole numbers: twice the given frames, plus 1 if it has a target; the frame of its star plus 1,
/// 0 for none; how many groups, and the groups, without repetitions of the last.
void put_whole(std::vector<std::uint8_t>& out, const Player& player, const Player::Point& point,
               const std::vector<std::uint32_t>& places) {
  put_variable(out, 2 * given_frames(player, point) + (is_aimed(player, point) ? 1 : 0));
  put_variable(out, point.star_from < frame_count(player) ? point.star_from + 1 : 0);
  std::size_t groups = std::min(point.groups.size(), frame_count(player));
  while (groups > 1 && point.groups[groups - 1] == point.groups[groups - 2]) --groups;
  put_variable(out, groups);
  for (std::size_t i = 0; i < groups; ++i) {
    const std::uint32_t group = point.groups[i];
    put_variable(out, group < places.size() ? places[group] : group);
  }
}

bool weights_differ(const Player& player) {
  return std::any_of(player.points.begin(), player.points.end(),
                     [&](const Player::Point& p) { return p.weight != player.points.front().weight; });
}

Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(0.0);
}

}  // namespace

std::size_t frame_count(const Player& player) {
  return std::max<std::size_t>(player.frames.size(), 1);
}

std::size_t given_frames(const Player& player, const Player::Point& point) {
  return std::min(point.steps.size() / dimension_of(player), frame_count(player));
}

bool has_divider(const Player& player) {
  const double a = player.normal[0], b = player.normal[1];
  return player.divide && player.dimension == 2 && std::isfinite(a + b + player.offset) && (a != 0 || b != 0);
}

std::array<double, 3> position(const Player& player, const Player::Point& point, std::size_t frame) {
  const std::size_t d = dimension_of(player), given = given_frames(player, point);
  std::array<double, 3> out{};
  for (std::size_t a = 0; a < d; ++a) {
    if (given == 0) {
      out[a] = kNaN;
      continue;
    }
    const double last = point.steps[std::min(frame, given - 1) * d + a];
    out[a] = last;
    if (frame < given || !is_aimed(player, point)) continue;
    const double target = point.target[a];
    out[a] = target + std::pow(player.ratio, static_cast<double>(frame - given + 1)) * (last - target);
  }
  return out;
}

std::uint32_t group_at(const Player::Point& point, std::size_t frame) {
  return point.groups.empty() ? 0 : point.groups[std::min(frame, point.groups.size() - 1)];
}

std::vector<std::uint32_t> color_order(const Player& player) {
  std::vector<std::uint32_t> order(player.groups.size());
  std::iota(order.begin(), order.end(), 0u);
  if (order.size() <= kCategories) return order;
  std::vector<std::size_t> sizes(order.size());
  for (const Player::Point& point : player.points) {
    const std::uint32_t group = group_at(point, frame_count(player) - 1);
    if (group < sizes.size()) ++sizes[group];
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return sizes[a] > sizes[b]; });
  return order;
}

std::vector<std::uint32_t> color_places(const Player& player) {
  const std::vector<std::uint32_t> order = color_order(player);
  std::vector<std::uint32_t> places(order.size());
  for (std::uint32_t k = 0; k < order.size(); ++k) places[order[k]] = k;
  return places;
}

std::string frame_name(const Player& player, std::size_t frame) {
  const double value = frame < player.frames.size() ? player.frames[frame] : static_cast<double>(frame);
  return terminal_text(player.frame_label) + " " + format_number(value);
}

Table player_table(const Player& player) {
  static constexpr std::array<const char*, 3> kAxes = {"x", "y", "z"};
  const std::size_t d = dimension_of(player), last = frame_count(player) - 1;
  const bool grouped = !player.groups.empty(), weighted = weights_differ(player);
  const bool starred = std::any_of(player.points.begin(), player.points.end(),
                                   [&](const Player::Point& p) { return p.star_from <= last; });
  Table table;
  table.id = player.id;
  table.title = terminal_text(player.title);
  table.caption = "Positions at " + frame_name(player, last) + ".";
  table.columns.push_back({"label"});
  if (grouped) table.columns.push_back({"group"});
  if (starred) table.columns.push_back({terminal_text(player.star_label + " from " + player.frame_label)});
  for (std::size_t a = 0; a < d; ++a)
    table.columns.push_back({player.axes[a].empty() ? kAxes[a] : terminal_text(player.axes[a])});
  if (weighted) table.columns.push_back({"weight"});
  for (const Player::Point& point : player.points) {
    std::vector<Cell> row = {terminal_text(point.label)};
    const std::uint32_t group = group_at(point, last);
    if (grouped)
      row.push_back(group < player.groups.size() ? Cell(terminal_text(player.groups[group])) : Cell());
    if (starred)
      row.push_back(point.star_from < player.frames.size() ? Cell(player.frames[point.star_from]) : Cell());
    const std::array<double, 3> place = position(player, point, last);
    for (std::size_t a = 0; a < d; ++a) row.push_back(shortest(place[a]));
    if (weighted) row.push_back(shortest(point.weight));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::size_t path_numbers(const Player& player, const Player::Point& point) {
  return dimension_of(player) * (given_frames(player, point) + (is_aimed(player, point) ? 1 : 0));
}

Json player_json(const Player& player, const std::vector<std::size_t>& rows) {
  const std::size_t d = dimension_of(player);
  Json groups = Json::array(), axes = Json::array(), frames = Json::array();
  for (const std::uint32_t group : color_order(player)) groups.push_back(terminal_text(player.groups[group]));
  for (std::size_t a = 0; a < d; ++a) axes.push_back(terminal_text(player.axes[a]));
  for (const double value : player.frames) frames.push_back(finite(value));
  if (frames.empty()) frames.push_back(0);
  Json out = {{"title", terminal_text(player.title)},
              {"alt", terminal_text(player.alt)},
              {"star", terminal_text(player.star_label)},
              {"frame", terminal_text(player.frame_label)},
              {"frames", std::move(frames)},
              {"dimension", d},
              {"axes", std::move(axes)},
              {"ratio", finite(player.ratio)},
              {"groups", std::move(groups)},
              {"trails", player.trails},
              {"hull", player.hull && d == 2},
              {"mean", player.mean},
              {"points", rows.size()}};
  if (has_divider(player))
    out["divide"] = {{"normal", {player.normal[0], player.normal[1]}},
                     {"offset", player.offset},
                     {"negative", terminal_text(player.negative)},
                     {"positive", terminal_text(player.positive)}};
  std::vector<std::uint8_t> whole, weights;
  const std::vector<std::uint32_t> places = color_places(player);
  std::size_t numbers = 0;
  for (const std::size_t r : rows) {
    put_whole(whole, player, player.points[r], places);
    put(weights, std::bit_cast<std::uint32_t>(player.points[r].weight), 4);
    numbers += path_numbers(player, player.points[r]);
  }
  out["whole"] = base64(whole);
  if (weights_differ(player)) out["weights"] = base64(weights);
  if (numbers > kManyNumbers)
    add_short_paths(out, player, rows);
  else
    add_exact_paths(out, player, rows);
  return out;
}

}  // namespace telos::report
