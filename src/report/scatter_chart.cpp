#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

#include "chart.h"
#include "telos/base/philox.h"
#include "text.h"

namespace telos {
namespace {

using report::Chart;
using report::Json;

constexpr double kPlotHeight = 440;
/// A disk whose radius exceeds the points' extent by more is cut off instead of squeezing the points
/// together.
constexpr double kLargestDisk = 3;

/// The smallest axis-parallel box around what is to be seen.
struct Box {
  double x0 = 0, x1 = 0, y0 = 0, y1 = 0;
  bool empty = true;

  void add(double x, double y) {
    if (empty) *this = {x, x, y, y, false};
    x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
  }
  double half_width() const { return (x1 - x0) / 2; }
  double half_height() const { return (y1 - y0) / 2; }
};

bool finite(const ScatterPoint& p) {
  return std::isfinite(p.x) && std::isfinite(p.y);
}
bool finite(const Disk& d) {
  return std::isfinite(d.cx) && std::isfinite(d.radius) && d.radius >= 0;
}

/// All indices of drawable points, or a sample of kMostMarks of them that is the same in every run (partial
/// Fisher–Yates shuffle with seed 0), in their old order.
std::vector<std::size_t> sample(const std::vector<ScatterPoint>& points) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (finite(points[i])) rows.push_back(i);
  if (rows.size() <= report::kMostMarks) return rows;
  Random random(0);
  for (std::size_t i = 0; i < report::kMostMarks; ++i)
    std::swap(rows[i], rows[i + random.below(static_cast<std::uint32_t>(rows.size() - i))]);
  rows.resize(report::kMostMarks);
  std::sort(rows.begin(), rows.end());
  return rows;
}

Box visible(const std::vector<ScatterPoint>& points, const std::vector<Disk>& disks) {
  Box box;
  for (const ScatterPoint& p : points)
    if (finite(p)) box.add(p.x, p.y);
  const double extent = std::max({box.half_width(), box.half_height(), std::abs(box.x0), std::abs(box.x1)});
  for (const Disk& d : disks) {
    if (!finite(d) || (!box.empty && extent > 0 && d.radius > kLargestDisk * extent)) continue;
    box.add(d.cx - d.radius, -d.radius);
    box.add(d.cx + d.radius, d.radius);
  }
  if (box.empty) box.add(0, 0);
  return box;
}

/// Domains that make one unit equally long on both axes whatever the size of the plot: the box and a margin
/// fit, and the axis with room to spare shows more.
struct EqualScales {
  double cx, cy, hx, hy;

  explicit EqualScales(const Box& box)
      : cx((box.x0 + box.x1) / 2),
        cy((box.y0 + box.y1) / 2),
        hx(1.06 * box.half_width()),
        hy(1.1 * box.half_height()) {
    const double least = std::max({hx, hy, 1e-12 * std::max(std::abs(cx), std::abs(cy))});
    hx = std::max(hx, least == 0 ? 1 : least / 20);
    hy = std::max(hy, least == 0 ? 1 : least / 20);
  }

  Json scale(double center, const char* size, double sign) const {
    const auto limit = [&](double s) {
      return Json{{"expr", Json(center).dump() + (s < 0 ? " - " : " + ") + "max(" + Json(hx).dump() +
                               " / width, " + Json(hy).dump() + " / height) * " + size}};
    };
    return {{"zero", false}, {"nice", false}, {"domainMin", limit(-sign)}, {"domainMax", limit(sign)}};
  }
  Json x() const { return scale(cx, "width", 1); }
  Json y() const { return scale(cy, "height", 1); }
  double widest() const { return std::clamp(kPlotHeight * hx / hy + 90, 480.0, 1200.0); }
};

Json circle_points(const Disk& disk) {
  constexpr int kSteps = 180;
  Json out = Json::array();
  for (int i = 0; i <= kSteps; ++i) {
    const double angle = 2 * std::numbers::pi * i / kSteps;
    out.push_back(
        {{"x", disk.cx + disk.radius * std::cos(angle)}, {"y", disk.radius * std::sin(angle)}, {"t", i}});
  }
  return out;
}

/// One layer a disk: the circle as a closed line, and its label at the rim.
void add_disk(Chart& chart, const Disk& disk, std::size_t index, const Json& x, const Json& y) {
  const Json dash = disk.dashed ? Json{6, 4} : Json{1, 0};
  chart.layers.push_back({{"data", {{"values", circle_points(disk)}}},
                          {"mark",
                           {{"type", "line"},
                            {"strokeWidth", 1.5},
                            {"clip", true},
                            {"strokeDash", dash},
                            {"color", {{"expr", "telos_ink"}}}}},
                          {"encoding", {{"x", x}, {"y", y}, {"order", report::field("t", "quantitative")}}}});
  ++chart.marks;
  if (disk.label.empty()) return;
  // Labels of several disks stand at different places of the rim, so that equal disks do not print over each
  // other.
  constexpr std::array<double, 4> kPlaces = {90, -90, 60, -60};  // degrees
  const double angle = std::numbers::pi / 180 * kPlaces[index % kPlaces.size()];
  const Json place = {{"x", disk.cx + disk.radius * std::cos(angle)},
                      {"y", disk.radius * std::sin(angle)},
                      {"label", report::terminal_text(disk.label)}};
  Json label = {{"x", x}, {"y", y}, {"text", {{"field", "label"}}}};
  chart.layers.push_back(
      {{"data", {{"values", Json::array({place})}}},
       {"mark", {{"type", "text"}, {"align", "center"}, {"dy", angle > 0 ? -9 : 10}, {"clip", true}}},
       {"encoding", std::move(label)}});
}

std::vector<std::string> groups_in_order(const std::vector<ScatterPoint>& points) {
  std::vector<std::string> out;
  for (const ScatterPoint& p : points)
    if (std::find(out.begin(), out.end(), p.group) == out.end()) out.push_back(p.group);
  return out;
}

}  // namespace

Figure scatter_chart(const ChartText& unclean, const std::vector<ScatterPoint>& points,
                     const std::vector<Disk>& disks) {
  Chart chart(unclean);
  const ChartText& text = chart.text;
  chart.column("group", "group", "group");
  chart.column("key", "key", "key");
  chart.column("x", text.x_label, "x");
  chart.column("y", text.y_label, "y");
  chart.column("note", "note", "note");
  for (const ScatterPoint& p : points) chart.data.rows.push_back({p.group, p.key, p.x, p.y, p.tooltip});
  const std::vector<std::size_t> rows = sample(points);
  if (rows.size() != points.size()) {
    chart.drawn = rows;
    chart.remark = "The figure shows " + std::to_string(rows.size()) + " of " +
                   std::to_string(points.size()) + " points; the table keeps all.";
  }
  const EqualScales scales(visible(points, disks));
  chart.height = kPlotHeight;
  chart.widest = scales.widest();
  Json x = report::field("x", "quantitative"), y = report::field("y", "quantitative");
  x["scale"] = scales.x(), y["scale"] = scales.y();
  x["axis"] = report::axis(text.x_label, true), y["axis"] = report::axis(text.y_label, false);

  for (std::size_t i = 0; i < disks.size(); ++i)
    if (finite(disks[i])) add_disk(chart, disks[i], i, x, y);

  const std::vector<std::string> groups = groups_in_order(points);
  Json color = report::field("group", "nominal");
  color["scale"] = report::category_scale(groups);
  color["legend"] = report::category_legend(groups);
  Json shape = color;
  shape["scale"]["range"] = report::shape_range(groups.size());
  constexpr std::size_t kDense = 600;
  const bool dense = rows.size() > kDense;
  const Json told = report::tooltip(
      {{"key", "name"}, {"group", "group"}, {"x", text.x_label}, {"y", text.y_label}, {"note", "note"}});
  chart.layers.push_back(
      {{"mark", {{"type", "point"}, {"filled", true}, {"clip", true}, {"size", dense ? 22 : 56}}},
       {"encoding",
        {{"x", x},
         {"y", y},
         {"color", color},
         {"shape", shape},
         {"opacity", report::fade_others(dense ? 0.65 : 0.85)},
         {"tooltip", told}}}});
  chart.marks += rows.size();
  return std::move(chart).finish();
}

}  // namespace telos
