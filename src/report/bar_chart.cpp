#include <algorithm>
#include <cmath>

#include "chart.h"

namespace telos {
namespace {

using report::Chart;
using report::Json;

constexpr std::size_t kMostBars = 200;  ///< more would be a figure of several pages

Json filter(const std::string& test) {
  return Json::array({{{"filter", test}}});
}

std::vector<std::string> groups_in_order(const std::vector<Bar>& bars) {
  std::vector<std::string> out;
  for (const Bar& bar : bars)
    if (std::find(out.begin(), out.end(), bar.group) == out.end()) out.push_back(bar.group);
  return out;
}

void add_whiskers(Chart& chart, const Json& y) {
  const Json span = Json::array({{{"filter", "isValid(datum.error) && datum.error > 0"}},
                                 {{"calculate", "datum.value - datum.error"}, {"as", "low"}},
                                 {{"calculate", "datum.value + datum.error"}, {"as", "high"}}});
  const Json ink = {{"expr", "telos_ink"}};
  chart.layers.push_back(
      {{"transform", span},
       {"mark", {{"type", "rule"}, {"strokeWidth", 1.5}, {"color", ink}}},
       {"encoding", {{"y", y}, {"x", report::field("low", "quantitative")}, {"x2", {{"field", "high"}}}}}});
  for (const char* end : {"low", "high"})
    chart.layers.push_back({{"transform", span},
                            {"mark", {{"type", "tick"}, {"thickness", 1.5}, {"size", 8}, {"color", ink}}},
                            {"encoding", {{"y", y}, {"x", report::field(end, "quantitative")}}}});
}

/// The value beside its bar, beyond the whisker: right of positive bars, left of negative ones. A layer
/// without marks would warn of an axis without extent.
void add_values(Chart& chart, const Json& y, const std::vector<Bar>& bars) {
  const Json end = {
      {"calculate", "datum.value + (datum.value < 0 ? -1 : 1) * (isValid(datum.error) ? datum.error : 0)"},
      {"as", "end"}};
  for (const bool negative : {false, true}) {
    if (std::none_of(bars.begin(), bars.end(),
                     [negative](const Bar& bar) { return negative ? bar.value < 0 : bar.value >= 0; }))
      continue;
    Json text = report::field("value", "quantitative");
    const bool counts = std::all_of(bars.begin(), bars.end(),
                                    [](const Bar& bar) { return bar.value == std::floor(bar.value); });
    text["format"] = counts ? ",d" : ".3~g";
    chart.layers.push_back(
        {{"transform", Json::array({{{"filter", negative ? "datum.value < 0"
                                                         : "isValid(datum.value) && datum.value >= 0"}},
                                    end})},
         {"mark", {{"type", "text"}, {"align", negative ? "right" : "left"}, {"dx", negative ? -6 : 6}}},
         {"encoding", {{"y", y}, {"x", report::field("end", "quantitative")}, {"text", std::move(text)}}}});
  }
}

}  // namespace

Figure bar_chart(const ChartText& unclean, const std::vector<Bar>& bars) {
  Chart chart(unclean);
  const ChartText& text = chart.text;
  chart.column("label", text.y_label, "label");
  chart.column("group", "group", "group");
  chart.column("key", "key", "key");
  chart.column("value", text.x_label, "value");
  chart.column("error", "±", "±", 2);
  report::Distinct distinct;
  std::vector<std::string> labels;
  bool whiskers = false;
  for (const Bar& bar : bars) {
    const std::string label = distinct(bar.label);
    if (labels.size() < kMostBars) {
      labels.push_back(label);
      chart.marks += std::isfinite(bar.value);
      whiskers = whiskers || (std::isfinite(bar.error) && bar.error > 0);
    }
    chart.data.rows.push_back({label, bar.group, bar.key, bar.value, bar.error});
  }
  if (bars.size() > kMostBars) {
    for (std::size_t i = 0; i < kMostBars; ++i) chart.drawn.push_back(i);
    chart.remark = "The figure shows the first " + std::to_string(kMostBars) + " of " +
                   std::to_string(bars.size()) + " bars; the table keeps all.";
  }
  constexpr std::size_t kManyBars = 40;
  chart.height =
      (bars.size() <= kManyBars ? 26.0 : 18.0) * static_cast<double>(std::max<std::size_t>(1, labels.size()));
  chart.widest = 760;

  Json y = report::field("label", "nominal");
  y["sort"] = nullptr;
  y["scale"] = {{"domain", labels}, {"paddingInner", 0.3}};
  y["axis"] = {{"title", text.y_label.empty() ? Json(nullptr) : Json(text.y_label)},
               {"ticks", false},
               {"labelLimit", 260},
               {"grid", false}};
  Json x = report::field("value", "quantitative");
  x["axis"] = report::axis(text.x_label, true);
  x["scale"] = {{"zero", true}, {"nice", true}, {"padding", 48}};
  // Room for the values at the bars' ends; what is never negative starts at 0.
  if (std::none_of(bars.begin(), bars.end(), [](const Bar& bar) { return bar.value - bar.error < 0; }))
    x["scale"]["domainMin"] = 0;
  x["stack"] = nullptr;
  const std::vector<std::string> groups = groups_in_order(bars);
  Json color = report::field("group", "nominal");
  color["scale"] = report::category_scale(groups);
  color["legend"] = report::category_legend(groups);
  const Json told = report::tooltip({{"label", text.y_label.empty() ? "name" : text.y_label},
                                     {"group", "group"},
                                     {"value", text.x_label},
                                     {"error", "±"}});
  chart.layers.push_back(
      {{"transform", filter("isValid(datum.value)")},
       {"mark", {{"type", "bar"}}},
       {"encoding",
        {{"y", y}, {"x", x}, {"color", color}, {"opacity", report::fade_others(1)}, {"tooltip", told}}}});
  if (whiskers) add_whiskers(chart, y);
  add_values(chart, y, bars);
  return std::move(chart).finish();
}

}  // namespace telos
