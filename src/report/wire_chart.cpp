#include <algorithm>
#include <numeric>

#include "chart.h"
#include "text.h"

namespace telos {
namespace {

using report::Chart;
using report::Json;

std::vector<std::string> groups_in_order(const std::vector<Wire>& wires) {
  std::vector<std::string> out;
  for (const Wire& wire : wires)
    if (std::find(out.begin(), out.end(), wire.group) == out.end()) out.push_back(wire.group);
  return out;
}

/// An axis of whole numbers that shows names. They become part of an expression: clean text only.
Json named_axis(const std::vector<std::string>& unclean, const std::string& title) {
  std::vector<std::string> names;
  for (const std::string& name : unclean) names.push_back(report::terminal_text(name));
  std::vector<std::size_t> ticks(names.size());
  std::iota(ticks.begin(), ticks.end(), std::size_t{0});
  return {{"title", title.empty() ? Json(nullptr) : Json(title)},
          {"values", ticks},
          {"grid", false},
          {"labelExpr", Json(names).dump() + "[datum.value]"}};
}

Json placed(const char* name, const std::vector<std::string>& names, const std::string& title,
            bool reversed) {
  Json channel = report::field(name, "quantitative");
  const double last = static_cast<double>(std::max<std::size_t>(names.size(), 1)) - 1;
  channel["scale"] = {
      {"domain", {-0.3, last + 0.3}}, {"nice", false}, {"zero", false}, {"reverse", reversed}};
  channel["axis"] = named_axis(names, title);
  return channel;
}

}  // namespace

Figure wire_chart(const ChartText& unclean, const std::vector<std::string>& columns,
                  const std::vector<std::string>& rows, const std::vector<Wire>& wires) {
  Chart chart(unclean);
  const ChartText& text = chart.text;
  chart.column("column", text.x_label, "column");
  chart.column("from", "from", "from");
  chart.column("to", "to", "to");
  chart.column("group", "group", "group");
  chart.column("note", "note", "note");
  for (const Wire& wire : wires)
    chart.data.rows.push_back({static_cast<double>(wire.column), static_cast<double>(wire.from),
                               static_cast<double>(wire.to), wire.group, wire.tooltip});
  chart.marks = std::min(wires.size(), report::kMostMarks);
  if (wires.size() > report::kMostMarks) {
    for (std::size_t i = 0; i < report::kMostMarks; ++i) chart.drawn.push_back(i);
    chart.remark = "The figure shows the first " + std::to_string(report::kMostMarks) + " of " +
                   std::to_string(wires.size()) + " wires; the table keeps all.";
  }
  chart.height = std::clamp(24.0 * static_cast<double>(rows.size()), 120.0, 900.0);
  chart.widest = std::clamp(120.0 + 110.0 * static_cast<double>(columns.size()), 360.0, 1200.0);

  const std::vector<std::string> groups = groups_in_order(wires);
  Json color = report::field("group", "nominal");
  color["scale"] = report::category_scale(groups);
  color["legend"] = report::category_legend(groups);
  const Json next = Json::array({{{"calculate", "datum.column + 1"}, {"as", "next"}}});
  const Json told = report::tooltip({{"group", "group"}, {"from", "from"}, {"to", "to"}, {"note", "note"}});
  chart.layers.push_back({{"transform", next},
                          {"mark", {{"type", "rule"}, {"strokeWidth", 1.6}}},
                          {"encoding",
                           {{"x", placed("column", columns, text.x_label, false)},
                            {"x2", {{"field", "next"}}},
                            {"y", placed("from", rows, text.y_label, true)},
                            {"y2", {{"field", "to"}}},
                            {"color", color},
                            {"opacity", {{"value", 0.8}}},
                            {"tooltip", told}}}});
  return std::move(chart).finish();
}

}  // namespace telos
