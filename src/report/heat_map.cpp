#include <algorithm>
#include <cmath>
#include <limits>

#include "chart.h"
#include "text.h"

namespace telos {
namespace {

using report::Chart;
using report::Json;

constexpr double kCellHeight = 28;
constexpr std::size_t kMostLabelledColumns = 24, kMostLabelledCells = 800;

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool gaps = false;

  void add(double v) {
    if (!std::isfinite(v)) {
      gaps = true;
      return;
    }
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return low > high; }
  double largest() const { return empty() ? 0 : std::max(std::abs(low), std::abs(high)); }
};

/// Cells of a map over layers and heads are what the reader points at elsewhere, too.
std::string cell_key(const ChartText& text, const std::string& row, const std::string& column) {
  const auto about = [](const std::string& label, const char* what) {
    return label.find(what) != std::string::npos;
  };
  if (about(text.y_label, "layer") && about(text.x_label, "head")) return row + "." + column;
  if (about(text.y_label, "head") && about(text.x_label, "layer")) return column + "." + row;
  return {};
}

std::vector<std::string> distinct(const std::vector<std::string>& names) {
  report::Distinct make;
  std::vector<std::string> out;
  for (const std::string& name : names) out.push_back(make(name));
  return out;
}

/// The d3 format that tells cells apart in about four characters.
std::string label_format(double largest) {
  if (largest >= 1e4 || (largest > 0 && largest < 0.01)) return ".1e";
  return largest >= 100 ? ".0f" : largest >= 10 ? ".1f" : ".2f";
}

Json band(const std::string& name, const std::vector<std::string>& order, const std::string& title) {
  Json out = report::field(name, "nominal");
  out["sort"] = nullptr;
  out["scale"] = {{"domain", order}, {"padding", 0}};
  out["axis"] = {{"title", title.empty() ? Json(nullptr) : Json(title)},
                 {"ticks", false},
                 {"labelAngle", 0},
                 {"labelOverlap", "parity"},
                 {"labelLimit", 220}};
  return out;
}

Json value_color(const Range& range, const std::string& label, bool diverging) {
  Json out = report::field("value", "quantitative");
  const double m = range.largest() > 0 ? range.largest() : 1;
  if (diverging)
    out["scale"] = {{"domain", {-m, m}}, {"range", "diverging"}, {"interpolate", "lab"}, {"zero", false}};
  else if (range.empty() || range.low == range.high)
    out["scale"] = {
        {"domain", {range.empty() ? 0 : range.low - m / 2, range.empty() ? 1 : range.high + m / 2}},
        {"scheme", "viridis"},
        {"zero", false}};
  else
    out["scale"] = {{"domain", {range.low, range.high}}, {"scheme", "viridis"}, {"zero", false}};
  out["legend"] = {{"title", label.empty() ? Json(nullptr) : Json(label)},
                   {"gradientLength", 220},
                   {"gradientThickness", 12},
                   {"titleLimit", 400}};
  return out;
}

/// Where a label must change its colour to be read on its cell: towards the ends of the diverging scale, as
/// far out as the page's colours ask for (telos_strong), and at the dark end of viridis.
std::string on_strong_ground(const Range& range, bool diverging) {
  if (diverging) {
    const std::string m = Json(range.largest()).dump();
    return "datum.value < telos_strong[0] * " + m + " || datum.value > telos_strong[1] * " + m;
  }
  return "datum.value < " + Json(range.low + 0.55 * (range.high - range.low)).dump();
}

void add_cells(Chart& chart, const Json& position, const Json& color, const Json& told) {
  Json encoding = position;
  encoding["color"] = color;
  encoding["tooltip"] = told;
  encoding["stroke"] = {
      {"condition",
       {{"test", "telos_key !== '' && datum.key === telos_key"}, {"value", {{"expr", "telos_ink"}}}}},
      {"value", nullptr}};
  chart.layers.push_back({{"transform", Json::array({{{"filter", "isValid(datum.value)"}}})},
                          {"mark", {{"type", "rect"}, {"strokeWidth", 3}}},
                          {"encoding", std::move(encoding)}});
}

/// Cells without a value: three diagonal strokes, a pattern that no value has, in colour or in grey.
void add_gaps(Chart& chart, const Json& position, const Json& told) {
  Json encoding = position;
  encoding["tooltip"] = told;
  chart.layers.push_back({{"transform", Json::array({{{"filter", "!isValid(datum.value)"}}})},
                          {"mark",
                           {{"type", "point"},
                            {"filled", false},
                            {"shape", "M-1,0L0,-1M-1,1L1,-1M0,1L1,0"},
                            {"size", 260},
                            {"strokeWidth", 1.2},
                            {"opacity", 0.7},
                            {"stroke", {{"expr", "telos_ink"}}}}},
                          {"encoding", std::move(encoding)}});
}

void add_labels(Chart& chart, const Json& position, const Range& range, bool diverging) {
  Json encoding = position;
  encoding["text"] = report::field("value", "quantitative");
  encoding["text"]["format"] = label_format(range.largest());
  if (diverging)
    encoding["color"] = {
        {"condition", {{"test", on_strong_ground(range, true)}, {"value", {{"expr", "telos_on_strong"}}}}},
        {"value", {{"expr", "telos_ink"}}}};
  else
    encoding["color"] = {{"condition", {{"test", on_strong_ground(range, false)}, {"value", "#ffffff"}}},
                         {"value", "#111111"}};
  chart.layers.push_back(
      {{"transform", Json::array({{{"filter", "isValid(datum.value)"}}})},
       // Labels that do not fit their cells are left away; the tooltip and the table have them.
       {"mark", {{"type", "text"}, {"fontSize", 11}, {"opacity", {{"expr", "bandwidth('x') > 32 ? 1 : 0"}}}}},
       {"encoding", std::move(encoding)}});
}

}  // namespace

Figure heat_map(const ChartText& unclean, const std::vector<std::string>& rows,
                const std::vector<std::string>& columns, const std::vector<std::vector<double>>& values,
                const std::string& unclean_value_label, bool diverging) {
  const std::string value_label = report::terminal_text(unclean_value_label);
  Chart chart(unclean);
  const ChartText& text = chart.text;
  chart.column("row", text.y_label, "row");
  chart.column("column", text.x_label, "column");
  chart.column("key", "key", "key");
  chart.column("value", value_label, "value");
  const std::vector<std::string> row_names = distinct(rows), column_names = distinct(columns);
  Range range;
  for (std::size_t r = 0; r < row_names.size(); ++r)
    for (std::size_t c = 0; c < column_names.size(); ++c) {
      const bool given = r < values.size() && c < values[r].size();
      const double v = given ? values[r][c] : std::numeric_limits<double>::quiet_NaN();
      range.add(v);
      chart.data.rows.push_back(
          {row_names[r], column_names[c], cell_key(text, row_names[r], column_names[c]), v});
    }
  const std::size_t cells = chart.data.rows.size();
  if (cells > report::kMostMarks) {
    for (std::size_t i = 0; i < report::kMostMarks; ++i) chart.drawn.push_back(i);
    chart.remark = "The figure shows the first " + std::to_string(report::kMostMarks) + " of " +
                   std::to_string(cells) + " cells; the table keeps all.";
  }
  if (range.gaps) chart.remark += chart.remark.empty() ? "Hatched: no value." : " Hatched: no value.";
  chart.height = kCellHeight * static_cast<double>(std::max<std::size_t>(1, row_names.size()));
  chart.widest = std::clamp(70.0 * static_cast<double>(column_names.size()) + 120, 480.0, 1200.0);
  chart.marks = std::min(cells, report::kMostMarks);

  const Json position = {{"x", band("column", column_names, text.x_label)},
                         {"y", band("row", row_names, text.y_label)}};
  const Json told =
      report::tooltip({{"row", text.y_label}, {"column", text.x_label}, {"value", value_label}});
  add_cells(chart, position, value_color(range, value_label, diverging), told);
  if (range.gaps) add_gaps(chart, position, told);
  if (!range.empty() && column_names.size() <= kMostLabelledColumns && cells <= kMostLabelledCells)
    add_labels(chart, position, range, diverging);
  return std::move(chart).finish();
}

}  // namespace telos
