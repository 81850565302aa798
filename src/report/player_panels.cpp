#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "chart.h"
#include "player_parts.h"
#include "text.h"

namespace telos::report {
namespace {

using Place = std::array<double, 2>;

constexpr double kWidth = 240, kHeight = 190, kMargin = 14;  ///< of a picture, in pixels
constexpr std::size_t kMostPoints = 600, kMostStars = 300;
constexpr std::size_t kMostLabels = 12;
/// How three dimensions are looked at: player_scene.js starts with the same angles.
constexpr double kYaw = 0.6, kPitch = 0.35;

void put(std::string& out, double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), std::clamp(value, -1e5, 1e5),
                                 std::chars_format::fixed, 1)
                       .ptr;
  out.append(text.data(), end);
}
void put(std::string& out, const Place& place) {
  put(out, place[0]);
  out += ' ';
  put(out, place[1]);
}

/// The corners of the convex hull in order (monotone chain, Andrew 1979).
std::vector<Place> convex_hull(std::vector<Place> points) {
  std::sort(points.begin(), points.end());
  std::vector<Place> hull;
  const auto turns_left = [&hull](const Place& p) {
    const Place &a = hull[hull.size() - 2], &b = hull.back();
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0;
  };
  const auto chain = [&](const Place& p, std::size_t least) {
    while (hull.size() >= least && !turns_left(p)) hull.pop_back();
    hull.push_back(p);
  };
  for (const Place& p : points) chain(p, 2);
  const std::size_t upper = hull.size() + 1;
  for (auto p = points.rbegin(); p != points.rend(); ++p) chain(*p, upper);
  return hull;
}

/// The part of a polygon where a·x + b·y + c ≥ 0 (Sutherland and Hodgman 1974).
std::vector<Place> clipped(const std::vector<Place>& polygon, double a, double b, double c) {
  std::vector<Place> out;
  for (std::size_t i = 0; i < polygon.size(); ++i) {
    const Place &p = polygon[i], &q = polygon[(i + 1) % polygon.size()];
    const double at_p = a * p[0] + b * p[1] + c, at_q = a * q[0] + b * q[1] + c;
    if (at_p >= 0) out.push_back(p);
    if ((at_p < 0) == (at_q < 0)) continue;
    const double t = at_p / (at_p - at_q);
    out.push_back({p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])});
  }
  return out;
}

std::string path(const std::vector<Place>& polygon) {
  std::string out;
  for (const Place& p : polygon) {
    out += out.empty() ? 'M' : 'L';
    put(out, p);
  }
  return out + 'Z';
}

std::string star(const Place& center, double radius) {
  std::vector<Place> corners;
  for (int i = 0; i < 10; ++i) {
    const double r = i % 2 == 0 ? radius : 0.42 * radius, angle = std::numbers::pi * (i / 5.0 - 0.5);
    corners.push_back({center[0] + r * std::cos(angle), center[1] + r * std::sin(angle)});
  }
  return path(corners);
}

/// Where the coordinates of all frames lie in the picture: equal scales, the middle in the middle.
class Picture {
 public:
  explicit Picture(const Player& player) : player_(player) {
    const std::size_t last = frame_count(player) - 1;
    std::array<double, 2> low, high;
    low.fill(std::numeric_limits<double>::infinity());
    high.fill(-std::numeric_limits<double>::infinity());
    const auto see = [&](const Player::Point& point, std::size_t frame) {
      const Place p = flat(point, frame);
      if (!std::isfinite(p[0]) || !std::isfinite(p[1])) return;
      for (std::size_t a = 0; a < 2; ++a) low[a] = std::min(low[a], p[a]), high[a] = std::max(high[a], p[a]);
    };
    for (const Player::Point& point : player.points) {
      for (std::size_t f = 0; f < given_frames(player, point); ++f) see(point, f);
      see(point, last);
    }
    if (low[0] > high[0]) low.fill(-1), high.fill(1);
    const double wide = high[0] - low[0], tall = high[1] - low[1];
    scale_ = std::min((kWidth - 2 * kMargin) / wide, (kHeight - 2 * kMargin) / tall);
    if (!std::isfinite(scale_)) scale_ = 1;
    middle_ = {(low[0] + high[0]) / 2, (low[1] + high[1]) / 2};
  }

  /// Pixels, from the top left corner; NaN for what is not drawn.
  Place place(const Player::Point& point, std::size_t frame) const { return pixels(flat(point, frame)); }

  /// a·x + b·y + c of the dividing line in pixels.
  std::array<double, 3> divider() const {
    const double a = player_.normal[0], b = player_.normal[1];
    return {
        a / scale_, -b / scale_,
        a * (middle_[0] - kWidth / 2 / scale_) + b * (middle_[1] + kHeight / 2 / scale_) + player_.offset};
  }

 private:
  Place pixels(const Place& p) const {
    return {kWidth / 2 + scale_ * (p[0] - middle_[0]), kHeight / 2 - scale_ * (p[1] - middle_[1])};
  }
  /// Coordinates in the plane of the picture.
  Place flat(const Player::Point& point, std::size_t frame) const {
    const auto [x, y, z] = position(player_, point, frame);
    if (player_.dimension != 3) return {x, y};
    const double right = x * std::cos(kYaw) - y * std::sin(kYaw);
    const double away = x * std::sin(kYaw) + y * std::cos(kYaw);
    return {right, z * std::cos(kPitch) + away * std::sin(kPitch)};
  }

  const Player& player_;
  double scale_ = 1;
  Place middle_{};
};

bool is_drawn(const Place& p) {
  return std::isfinite(p[0]) && std::isfinite(p[1]);
}

/// The points that are drawn: an evenly spaced part of the stars, and of the others.
std::vector<const Player::Point*> drawn_points(const Player& player) {
  const auto is_star = [&player](const Player::Point& p) { return p.star_from < frame_count(player); };
  const auto stars =
      static_cast<std::size_t>(std::count_if(player.points.begin(), player.points.end(), is_star));
  const std::size_t star_stride = stars / kMostStars + 1;
  const std::size_t stride = (player.points.size() - stars) / kMostPoints + 1;
  std::vector<const Player::Point*> out;
  std::size_t seen_stars = 0, seen = 0;
  for (const Player::Point& point : player.points)
    if (is_star(point) ? seen_stars++ % star_stride == 0 : seen++ % stride == 0) out.push_back(&point);
  return out;
}

/// The colour of a point at a frame; `places` are those of color_places.
std::size_t color_of(const Player::Point& point, std::size_t frame,
                     const std::vector<std::uint32_t>& places) {
  const std::uint32_t group = group_at(point, frame);
  return (group < places.size() ? places[group] : group) % kCategories;
}

void add_halves(std::string& out, const Player& player, const Picture& picture) {
  if (!has_divider(player)) return;
  const auto [a, b, c] = picture.divider();
  const std::vector<Place> frame = {{0, 0}, {kWidth, 0}, {kWidth, kHeight}, {0, kHeight}};
  const std::vector<Place> positive = clipped(frame, a, b, c), negative = clipped(frame, -a, -b, -c);
  if (!negative.empty()) out += "<path class=\"negative\" d=\"" + path(negative) + "\"/>";
  if (!positive.empty()) out += "<path class=\"positive\" d=\"" + path(positive) + "\"/>";
  std::vector<Place> line;  // the corners that both halves share
  for (const Place& p : positive)
    if (std::find(negative.begin(), negative.end(), p) != negative.end()) line.push_back(p);
  if (line.size() == 2) out += "<path class=\"divider\" d=\"" + path(line) + "\"/>";
}

void add_hull(std::string& out, const Player& player, const Picture& picture,
              const std::vector<const Player::Point*>& points) {
  if (!player.hull || player.dimension != 2) return;
  std::vector<Place> last;
  for (const Player::Point* point : points) {
    const Place p = picture.place(*point, frame_count(player) - 1);
    if (is_drawn(p)) last.push_back(p);
  }
  if (last.size() > 2) out += "<path class=\"hull\" d=\"" + path(convex_hull(std::move(last))) + "\"/>";
}

/// Dots of one colour are one path of strokes without length, whose caps are the dots.
void add_dots(std::string& out, const Picture& picture, const std::vector<const Player::Point*>& points,
              std::size_t frame, const std::vector<std::uint32_t>& places) {
  std::array<std::string, kCategories> dots;
  for (const Player::Point* point : points) {
    const Place p = picture.place(*point, frame);
    if (point->star_from <= frame || !is_drawn(p)) continue;
    std::string& path = dots[color_of(*point, frame, places)];
    path += 'M';
    put(path, p);
    path += "h0";
  }
  const double size = points.size() > 300 ? 3 : 5.5;
  for (std::size_t c = 0; c < dots.size(); ++c) {
    if (dots[c].empty()) continue;
    out += "<path class=\"dots\" style=\"stroke:var(--c" + std::to_string(c) + ")\" stroke-width=\"";
    put(out, size);
    out += "\" d=\"" + dots[c] + "\"/>";
  }
}

void add_stars(std::string& out, const Picture& picture, const std::vector<const Player::Point*>& points,
               std::size_t frame, const std::vector<std::uint32_t>& places) {
  std::vector<std::pair<Place, const Player::Point*>> stars;
  for (const Player::Point* point : points) {
    const Place p = picture.place(*point, frame);
    if (point->star_from <= frame && is_drawn(p)) stars.emplace_back(p, point);
  }
  for (const auto& [p, point] : stars)
    out += "<path class=\"star\" style=\"fill:var(--c" + std::to_string(color_of(*point, frame, places)) +
           ")\" d=\"" + star(p, stars.size() > 100 ? 4 : 7) + "\"/>";
  if (stars.size() > kMostLabels) return;
  for (const auto& [p, point] : stars) {
    const bool left = p[0] > 0.6 * kWidth;
    out += std::string("<text") + (left ? " text-anchor=\"end\"" : "") + " x=\"";
    put(out, p[0] + (left ? -9 : 9));
    out += "\" y=\"";
    put(out, std::clamp(p[1] + 4, 11.0, kHeight - 4));
    constexpr std::size_t kLongestLabel = 16;
    out += "\">" + html_text(cut_to_width(terminal_text(point->label), kLongestLabel)) + "</text>";
  }
}

void add_mean(std::string& out, const Player& player, const Picture& picture, std::size_t frame) {
  if (!player.mean) return;
  Place sum{};
  double weight = 0;
  for (const Player::Point& point : player.points) {
    const Place p = picture.place(point, frame);
    if (!is_drawn(p) || !(point.weight > 0)) continue;
    sum[0] += point.weight * p[0], sum[1] += point.weight * p[1], weight += point.weight;
  }
  const double x = sum[0] / weight, y = sum[1] / weight;
  if (weight > 0)
    out += "<path class=\"mean\" d=\"" + path({{x, y - 7}, {x + 6, y + 4}, {x - 6, y + 4}}) + "\"/>";
}

}  // namespace

std::string player_panels(const Player& player, const std::vector<std::size_t>& frames) {
  const Picture picture(player);
  const std::vector<const Player::Point*> points = drawn_points(player);
  const std::vector<std::uint32_t> places = color_places(player);
  std::string out = "<div class=\"panels\">\n";
  for (const std::size_t wanted : frames) {
    const std::size_t frame = std::min(wanted, frame_count(player) - 1);
    const std::string name = html_text(frame_name(player, frame));
    out += "<div><svg viewBox=\"0 0 240 190\" role=\"img\" aria-label=\"" + name + "\">";
    add_halves(out, player, picture);
    add_hull(out, player, picture, points);
    add_dots(out, picture, points, frame, places);
    add_stars(out, picture, points, frame, places);
    add_mean(out, player, picture, frame);
    out += "</svg><p>" + name + "</p></div>\n";
  }
  return out + "</div>\n";
}

std::string palette_css() {
  std::string out;
  for (const bool dark : {false, true}) {
    const Json range = chart_config(dark)["range"];
    out += dark ? "@media (prefers-color-scheme: dark) { :root {" : ":root {";
    for (std::size_t c = 0; c < kCategories; ++c)
      out += " --c" + std::to_string(c) + ": " + range["category"][c].get<std::string>() + ";";
    out += " --negative: " + range["diverging"][1].get<std::string>() +
           "; --positive: " + range["diverging"][5].get<std::string>() + ";";
    out += dark ? " } }\n" : " }\n";
  }
  return out;
}

}  // namespace telos::report
