#include "chart.h"

#include <algorithm>
#include <cmath>

#include "text.h"

namespace telos::report {
namespace {

constexpr std::size_t kTitleWidth = 76;

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + ' ' + b;
}

}  // namespace

Json chart_config(bool dark) {
  const std::string ink = dark ? "#e6e6e3" : "#1d1f21";
  const std::string quiet = dark ? "#a5a9ad" : "#5c6166";
  const std::string line = dark ? "#3a3e43" : "#dfe1e3";
  const std::string font =
      "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
  // Okabe and Ito (2008), ordered so that neighbours differ in lightness too; black and yellow come last,
  // since each vanishes on one of the two pages.
  const Json categories =
      dark ? Json{"#56b4e9", "#e69f00", "#2fbf96", "#e8743b", "#d9a3c2", "#f0e442", "#5b9bd5", "#cfd2d4"}
           : Json{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#3b3f42", "#9a8c00"};
  // Blue to orange through the page's own ground. The ends differ in lightness, so that the sign survives
  // grey print.
  const Json diverging =
      dark ? Json{"#8cc4f2", "#4a8fcb", "#2b5a86", "#26292d", "#7d4416", "#c2691a", "#f0a04b"}
           : Json{"#0b3c6f", "#2f74b3", "#9dc3e2", "#f4f4f1", "#f7c88f", "#e8912d", "#b85a00"};
  return {
      {"background", nullptr},
      {"font", font},
      {"aria", false},
      {"padding", 4},
      {"numberFormat", ""},
      {"title",
       {{"color", ink},
        {"fontSize", 15},
        {"fontWeight", 600},
        {"anchor", "start"},
        {"frame", "group"},
        {"offset", 12},
        {"lineHeight", 20}}},
      {"axis",
       {{"labelColor", quiet},
        {"titleColor", ink},
        {"titleFontWeight", 500},
        {"titleFontSize", 13},
        {"labelFontSize", 12},
        {"titlePadding", 10},
        {"labelPadding", 5},
        {"gridColor", line},
        {"domainColor", quiet},
        {"tickColor", quiet},
        {"tickSize", 4},
        {"domain", false}}},
      {"legend",
       {{"labelColor", ink},
        {"titleColor", ink},
        {"labelFontSize", 12.5},
        {"titleFontSize", 12.5},
        {"titleFontWeight", 500},
        {"symbolStrokeWidth", 2},
        {"symbolSize", 90},
        {"labelLimit", 320},
        {"orient", "top"},
        {"direction", "horizontal"},
        {"columnPadding", 18},
        {"offset", 10}}},
      {"view", {{"stroke", nullptr}, {"continuousWidth", 640}, {"discreteWidth", 640}}},
      {"text", {{"color", ink}, {"fontSize", 11.5}}},
      {"rule", {{"color", quiet}}},
      {"range", {{"category", categories}, {"diverging", diverging}, {"heatmap", {{"scheme", "viridis"}}}}}};
}

ChartText clean(const ChartText& text) {
  ChartText out = text;
  for (std::string* s : {&out.title, &out.caption, &out.alt, &out.x_label, &out.y_label})
    *s = terminal_text(*s);
  return out;
}

void Chart::column(std::string field_name, std::string name, std::string fallback_name, int digits) {
  fields.push_back(std::move(field_name));
  data.columns.push_back({name.empty() ? std::move(fallback_name) : std::move(name), "", "", digits});
}

Figure Chart::finish() && {
  data.id = text.id;
  data.title = text.title;
  Json values = Json::array();
  if (drawn.empty())
    for (std::size_t r = 0; r < data.rows.size(); ++r) values.push_back(datum(data, fields, r));
  else
    for (const std::size_t r : drawn) values.push_back(datum(data, fields, r));
  Json title = Json::array();
  for (const std::string& line : wrap(text.title, kTitleWidth)) title.push_back(line);
  Json page = {{"fields", fields}, {"widest", widest}};
  if (!drawn.empty()) page["rows"] = drawn;
  const Json spec = {{"$schema", "https://vega.github.io/schema/vega-lite/v6.json"},
                     {"title", std::move(title)},
                     {"description", text.alt},
                     {"width", "container"},
                     {"height", height},
                     {"autosize", {{"type", "fit-x"}, {"contains", "padding"}}},
                     // telos_key is the head that the reader points at, in whichever figure; the other two
                     // follow the page's colours.
                     {"params", Json::array({{{"name", "telos_key"}, {"value", ""}},
                                             {{"name", "telos_ink"}, {"value", "#1d1f21"}},
                                             {{"name", "telos_on_strong"}, {"value", "#ffffff"}},
                                             {{"name", "telos_strong"}, {"value", {-0.58, 0.93}}}})},
                     {"data", {{"name", "rows"}, {"values", std::move(values)}}},
                     {"layer", std::move(layers)},
                     {"config", chart_config(false)},
                     {"usermeta", {{"telos", std::move(page)}}}};
  Figure figure;
  figure.id = text.id;
  figure.title = text.title;
  figure.caption = joined(text.caption, remark);
  figure.alt = text.alt;
  figure.vega_lite = spec.dump(-1, ' ', false, Json::error_handler_t::replace);
  figure.data = std::move(data);
  figure.marks = marks;
  return figure;
}

Json datum(const Table& table, const std::vector<std::string>& fields, std::size_t row) {
  Json out = Json::object();
  for (std::size_t c = 0; c < fields.size(); ++c) {
    const Cell cell = c < table.rows[row].size() ? table.rows[row][c] : Cell{};
    if (const auto* real = std::get_if<double>(&cell))
      out[fields[c]] = number(*real);
    else if (const auto* whole = std::get_if<std::int64_t>(&cell))
      out[fields[c]] = *whole;
    else if (const auto* text = std::get_if<std::string>(&cell))
      out[fields[c]] = valid_utf8(*text);
    else
      out[fields[c]] = nullptr;
  }
  return out;
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json field(std::string_view name, std::string_view type) {
  return {{"field", name}, {"type", type}};
}

Json axis(const std::string& title, bool horizontal) {
  // The line at zero stands out from the grid.
  return {{"title", title.empty() ? Json(nullptr) : Json(title)},
          // As many significant digits as ticks need, never an exponent: the default writes 120 as 1.2e+2.
          {"format", ",~r"},
          {"tickCount", {{"expr", horizontal ? "ceil(width / 90)" : "ceil(height / 55)"}}},
          {"gridWidth", {{"condition", {{"test", "datum.value === 0"}, {"value", 1.8}}}, {"value", 0.8}}}};
}

Json tooltip(const std::vector<std::pair<std::string, std::string>>& fields_and_titles) {
  Json out = Json::array();
  for (const auto& [name, title] : fields_and_titles)
    out.push_back({{"field", name}, {"type", "nominal"}, {"title", title.empty() ? name : title}});
  return out;
}

Json category_scale(const std::vector<std::string>& names) {
  Json domain = Json::array();
  for (const std::string& name : names) domain.push_back(valid_utf8(name));
  return {{"domain", std::move(domain)}};
}

Json category_legend(const std::vector<std::string>& names) {
  if (names.size() < 2) return nullptr;
  std::size_t longest = 0;
  for (const std::string& name : names) longest = std::max(longest, display_width(terminal_text(name)));
  const std::size_t pixels = std::min<std::size_t>(longest, 44) * 7 + 44;
  // Full opacity: bands and faded points would pass theirs on. Columns follow the container, not the plot: a
  // legend that gets another row when the plot has found its width would be cut off. The plot's axes take
  // about 80 pixels.
  const std::string room =
      "((isFinite(containerSize()[0]) && width > 0 ? containerSize()[0] : width + 80) - 80)";
  return {{"title", nullptr},
          {"symbolOpacity", 1},
          {"columns",
           {{"expr", "max(1, min(" + std::to_string(names.size()) + ", floor(" + room + " / " +
                         std::to_string(pixels) + ")))"}}}};
}

Json shape_range(std::size_t count) {
  static const std::vector<std::string> kShapes = {"circle",        "square",        "triangle-up",
                                                   "diamond",       "cross",         "triangle-down",
                                                   "triangle-left", "triangle-right"};
  Json out = Json::array();
  // There are as many colours as shapes: shapes move on by one when colours begin again, so that the pair
  // tells up to 64 names apart.
  for (std::size_t i = 0; i < count; ++i) out.push_back(kShapes[(i + i / kShapes.size()) % kShapes.size()]);
  return out;
}

Json fade_others(double full) {
  constexpr double kFaint = 0.15;
  return {{"condition", {{"test", "telos_key === '' || datum.key === telos_key"}, {"value", full}}},
          {"value", kFaint * full}};
}

std::string Distinct::operator()(const std::string& name) {
  const std::string clean = terminal_text(name);
  std::string out = clean;
  for (int n = 2; !taken_.insert(out).second; ++n) out = clean + " (" + std::to_string(n) + ")";
  return out;
}

}  // namespace telos::report
