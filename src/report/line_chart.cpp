#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "chart.h"

namespace telos {
namespace {

using report::Chart;
using report::Json;

constexpr std::size_t kMostDots = 60;  ///< a series with more points is a line without dots

double at(const std::vector<double>& values, std::size_t i) {
  return i < values.size() ? values[i] : std::numeric_limits<double>::quiet_NaN();
}

/// A series with its points sorted by x, and how it is drawn.
struct Curve {
  std::string name;
  bool dashed = false, dots = false, band = false;
  std::size_t first_row = 0, points = 0, drawable = 0;
};

bool drawable(double x, double y, const ChartText& text) {
  return std::isfinite(x) && std::isfinite(y) && (!text.log_x || x > 0) && (!text.log_y || y > 0);
}

/// Appends the series' rows to the table.
Curve add_series(Chart& chart, const Series& series, const std::string& name, bool bands) {
  const std::size_t n = std::min(series.x.size(), series.y.size());
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  // NaN is not ordered: such points go last.
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::isnan(series.x[b]) ? !std::isnan(series.x[a]) : series.x[a] < series.x[b];
  });
  Curve curve;
  curve.name = name;
  curve.first_row = chart.data.rows.size();
  curve.points = n;
  for (const std::size_t i : order) {
    std::vector<Cell> row = {name, series.x[i], series.y[i]};
    const double low = at(series.low, i), high = at(series.high, i);
    if (bands) row.insert(row.end(), {low, high});
    curve.band = curve.band || (std::isfinite(low) && std::isfinite(high));
    curve.drawable += drawable(series.x[i], series.y[i], chart.text);
    chart.data.rows.push_back(std::move(row));
  }
  // A line needs two points; a single one is shown as a dot, whatever its style.
  curve.dashed = series.dashed && curve.drawable > 1;
  curve.dots = !curve.dashed && curve.drawable <= kMostDots;
  return curve;
}

/// Row indices that keep the look of a long series: of each stretch the smallest and the largest y.
std::vector<std::size_t> thinned(const Table& data, const Curve& curve, std::size_t budget) {
  std::vector<std::size_t> kept;
  const std::size_t stretches = std::max<std::size_t>(1, budget / 2);
  for (std::size_t s = 0; s < stretches; ++s) {
    const std::size_t begin = curve.first_row + s * curve.points / stretches;
    const std::size_t end = curve.first_row + (s + 1) * curve.points / stretches;
    if (begin == end) continue;
    const auto y = [&](std::size_t r) { return std::get<double>(data.rows[r][2]); };
    std::size_t low = begin, high = begin;
    for (std::size_t r = begin; r < end; ++r) {
      if (!(y(r) >= y(low))) low = r;
      if (!(y(r) <= y(high))) high = r;
    }
    kept.push_back(std::min(low, high));
    if (low != high) kept.push_back(std::max(low, high));
  }
  return kept;
}

void thin_if_needed(Chart& chart, const std::vector<Curve>& curves) {
  const std::size_t total = chart.data.rows.size();
  if (total <= report::kMostMarks) return;
  for (const Curve& curve : curves) {
    const std::size_t budget = report::kMostMarks * curve.points / total;
    for (const std::size_t r : thinned(chart.data, curve, budget)) chart.drawn.push_back(r);
  }
  chart.remark = "The lines are drawn from " + std::to_string(chart.drawn.size()) + " of " +
                 std::to_string(total) +
                 " points (of each stretch the smallest and the largest); the table keeps all.";
}

bool whole_numbers(const std::vector<Series>& series) {
  for (const Series& s : series)
    for (const double x : s.x)
      if (x != std::floor(x)) return false;
  return true;
}

Json names_where(const std::vector<Curve>& curves, bool Curve::*property) {
  Json out = Json::array();
  for (const Curve& curve : curves)
    if (curve.*property) out.push_back(curve.name);
  return out;
}

Json only(const Json& names) {
  return Json::array({{{"filter", {{"field", "series"}, {"oneOf", names}}}}});
}

Json position(const std::string& field, const std::string& label, bool log, bool whole) {
  Json out = report::field(field, "quantitative");
  out["axis"] = report::axis(label, field == "x");
  out["scale"] = {{"nice", !whole}};
  if (log) {
    out["scale"]["type"] = "log";
    out["axis"].erase("format");  // decades may be far apart
  } else {
    out["scale"]["zero"] = false;
  }
  if (whole) {
    out["axis"]["tickMinStep"] = 1;
    out["axis"]["format"] = "d";
  }
  return out;
}

/// The solid curve of which a dashed one is the theory: "A theory" or "A, urn" of "A". Its own number, if
/// none.
std::size_t partner_of(const std::vector<Curve>& curves, std::size_t i) {
  for (std::size_t j = 0; curves[i].dashed && j < curves.size(); ++j)
    if (!curves[j].dashed && curves[i].name.size() > curves[j].name.size() &&
        curves[i].name.starts_with(curves[j].name) && curves[i].name[curves[j].name.size()] == ' ')
      return j;
  return i;
}

/// A place for each curve in the scales of colour, shape and dash, where colours come in turn: theory has the
/// colour of what it is the theory of. In the order of the curves where there are too many.
std::vector<std::size_t> places_of(const std::vector<Curve>& curves) {
  std::vector<std::size_t> places(curves.size());
  std::vector<bool> taken(curves.size() * report::kColours + report::kColours);
  std::size_t next = 0;
  for (std::size_t i = 0; i < curves.size(); ++i)
    if (partner_of(curves, i) == i) taken[places[i] = next++] = true;
  if (next > report::kColours) {
    std::iota(places.begin(), places.end(), std::size_t{0});
    return places;
  }
  for (std::size_t i = 0; i < curves.size(); ++i)
    if (const std::size_t partner = partner_of(curves, i); partner != i) {
      std::size_t place = places[partner];
      while (taken[place]) place += report::kColours;
      taken[places[i] = place] = true;
    }
  return places;
}

/// What every layer of lines has in common: positions, colour and dash by series.
Json line_encoding(const ChartText& text, const std::vector<Curve>& curves, bool whole_x) {
  const std::vector<std::size_t> places = places_of(curves);
  const std::size_t count = curves.empty() ? 0 : *std::max_element(places.begin(), places.end()) + 1;
  std::vector<std::string> names, domain;
  for (std::size_t i = 0; i < count; ++i) domain.emplace_back(i + 1, ' ');  // an empty place
  Json dashes(std::vector<Json>(count, Json{1, 0}));
  for (std::size_t i = 0; i < curves.size(); ++i) {
    names.push_back(curves[i].name);
    domain[places[i]] = curves[i].name;
    // A second theory of the same is dotted.
    const bool second = partner_of(curves, i) != i && places[i] >= 2 * report::kColours;
    if (curves[i].dashed) dashes[places[i]] = second ? Json{2, 3} : Json{6, 4};
  }
  Json color = report::field("series", "nominal");
  color["scale"] = report::category_scale(domain);
  color["legend"] = report::category_legend(names);
  if (count > curves.size()) color["legend"]["values"] = report::category_scale(names)["domain"];
  Json dash = color;
  dash["scale"]["range"] = std::move(dashes);
  return {{"x", position("x", text.x_label, text.log_x, whole_x)},
          {"y", position("y", text.y_label, text.log_y, false)},
          {"color", std::move(color)},
          {"strokeDash", std::move(dash)}};
}

void add_band_layer(Chart& chart, const std::vector<Curve>& curves, const Json& lines) {
  const Json names = names_where(curves, &Curve::band);
  if (names.empty()) return;
  Json encoding = {
      {"x", lines["x"]}, {"y", lines["y"]}, {"y2", {{"field", "high"}}}, {"color", lines["color"]}};
  encoding["y"]["field"] = "low";
  chart.layers.push_back({{"transform", only(names)},
                          {"mark", {{"type", "area"}, {"opacity", 0.18}, {"line", false}}},
                          {"encoding", std::move(encoding)}});
}

/// Dots that are seen, and for dense or dashed series dots that only carry the tooltip.
void add_dot_layers(Chart& chart, const std::vector<Curve>& curves, const Json& lines, const Json& tooltip) {
  const Json dotted = names_where(curves, &Curve::dots);
  Json shape = lines["color"];
  const std::vector<std::size_t> places = places_of(curves);
  shape["scale"]["range"] = report::shape_range(shape["scale"]["domain"].size());
  // In the legend a series without dots is a piece of line.
  for (std::size_t i = 0; i < curves.size(); ++i)
    if (!curves[i].dots) shape["scale"]["range"][places[i]] = "M-2.4,0L2.4,0";
  Json encoding = {{"x", lines["x"]},
                   {"y", lines["y"]},
                   {"color", lines["color"]},
                   {"shape", shape},
                   {"tooltip", tooltip}};
  if (!dotted.empty())
    chart.layers.push_back({{"transform", only(dotted)},
                            {"mark", {{"type", "point"}, {"filled", true}, {"size", 52}, {"opacity", 1}}},
                            {"encoding", encoding}});
  if (dotted.size() == curves.size()) return;
  encoding.erase("shape");
  chart.layers.push_back(
      {{"transform", Json::array({{{"filter", {{"not", {{"field", "series"}, {"oneOf", dotted}}}}}}})},
       {"mark", {{"type", "point"}, {"filled", true}, {"size", 90}, {"opacity", 0}}},
       {"encoding", std::move(encoding)}});
}

}  // namespace

Figure line_chart(const ChartText& unclean, const std::vector<Series>& series) {
  Chart chart(unclean);
  const ChartText& text = chart.text;
  const bool bands = std::any_of(series.begin(), series.end(),
                                 [](const Series& s) { return !s.low.empty() && !s.high.empty(); });
  chart.column("series", "series", "series");
  chart.column("x", text.x_label, "x");
  chart.column("y", text.y_label, "y");
  if (bands) {
    chart.column("low", "low", "low");
    chart.column("high", "high", "high");
  }
  report::Distinct distinct;
  std::vector<Curve> curves;
  for (const Series& s : series) {
    curves.push_back(add_series(chart, s, distinct(s.name), bands));
    const Curve& curve = curves.back();
    chart.marks += (curve.drawable > 0) + (curve.dots ? curve.drawable : 0);
  }
  thin_if_needed(chart, curves);
  const Json lines = line_encoding(text, curves, whole_numbers(series));
  std::vector<std::pair<std::string, std::string>> told = {
      {"series", "series"}, {"x", text.x_label}, {"y", text.y_label}};
  if (bands) told.insert(told.end(), {{"low", "low"}, {"high", "high"}});
  add_band_layer(chart, curves, lines);
  chart.layers.push_back({{"mark", {{"type", "line"}, {"strokeWidth", 2.2}}}, {"encoding", lines}});
  add_dot_layers(chart, curves, lines, report::tooltip(told));
  return std::move(chart).finish();
}

}  // namespace telos
