#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "read_back.h"
#include "sample.h"
#include "telos/base/philox.h"
#include "telos/report/charts.h"

namespace telos {
namespace {

using Json = nlohmann::ordered_json;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

ChartText named(const std::string& id) {
  ChartText text;
  text.id = id;
  text.title = "Title of " + id;
  text.x_label = "x (m)";
  text.y_label = "y (s)";
  return text;
}

/// Checks what holds for each chart: a valid specification whose data are the table's rows.
Json checked(const Figure& figure) {
  const Json spec = Json::parse(figure.vega_lite);
  EXPECT_EQ(spec["$schema"], "https://vega.github.io/schema/vega-lite/v6.json");
  const Json& values = spec["data"]["values"];
  EXPECT_LE(values.size(), 5000u);
  const Json& page = spec["usermeta"]["telos"];
  const Json& fields = page["fields"];
  EXPECT_EQ(fields.size(), figure.data.columns.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto& row = figure.data.rows[page.contains("rows") ? page["rows"][i].get<std::size_t>() : i];
    for (std::size_t c = 0; c < fields.size(); ++c) {
      const Json& value = values[i][fields[c].get<std::string>()];
      if (const auto* real = std::get_if<double>(&row[c])) {
        EXPECT_EQ(value.is_null(), !std::isfinite(*real));
        EXPECT_TRUE(value.is_null() || test::same(value.get<double>(), *real));
      }
    }
  }
  EXPECT_TRUE(page.contains("rows") || values.size() == figure.data.rows.size());
  return spec;
}

Json layer_of(const Json& spec, const std::string& mark) {
  for (const Json& layer : spec["layer"])
    if (layer["mark"]["type"] == mark) return layer;
  ADD_FAILURE() << "no layer of marks " << mark;
  return {};
}

TEST(LineChart, SortsPointsAndKeepsTheirNumbers) {
  const Figure f = line_chart(named("l"), {{"a", {2, 0, 1}, {20, 0, 10.1}, {19, -1, 9}, {21, 1, 11}, false}});
  const Json spec = checked(f);
  ASSERT_EQ(f.data.rows.size(), 3u);
  EXPECT_EQ(std::get<double>(f.data.rows[1][2]), 10.1);
  EXPECT_EQ(f.marks, 4u);  // a line and three dots
  EXPECT_EQ(layer_of(spec, "area")["encoding"]["y2"]["field"], "high");
  EXPECT_EQ(layer_of(spec, "line")["encoding"]["x"]["axis"]["title"], "x (m)");
  EXPECT_EQ(f.data.columns[1].name, "x (m)");
}

TEST(LineChart, TheoryIsDashed) {
  const Json spec = checked(
      line_chart(named("l"), {{"m", {0, 1}, {0, 1}, {}, {}, false}, {"t", {0, 1}, {0, 1}, {}, {}, true}}));
  EXPECT_EQ(layer_of(spec, "line")["encoding"]["strokeDash"]["scale"]["range"], Json::parse("[[1,0],[6,4]]"));
}

TEST(LineChart, TheoryHasTheColourOfWhatItIsTheTheoryOf) {
  const auto line = [](const char* name, bool dashed) {
    return Series{name, {0, 1}, {0, 1}, {}, {}, dashed};
  };
  const Json spec =
      checked(line_chart(named("l"), {line("b", false), line("a theory", true), line("a", false),
                                      line("bound", true), line("a at least", true)}));
  const Json encoding = layer_of(spec, "line")["encoding"];
  const Json domain = encoding["color"]["scale"]["domain"];
  const auto place = [&](const char* name) {
    return std::find(domain.begin(), domain.end(), name) - domain.begin();
  };
  EXPECT_EQ(place("b"), 0);
  EXPECT_EQ(place("a"), 1);
  EXPECT_EQ(place("bound"), 2) << "of no other";
  EXPECT_EQ(place("a theory"), 1 + 8);
  EXPECT_EQ(encoding["color"]["legend"]["values"],
            Json::parse(R"(["b", "a theory", "a", "bound", "a at least"])"));
  EXPECT_EQ(place("a at least"), 1 + 2 * 8);
  EXPECT_EQ(encoding["strokeDash"]["scale"]["range"][17], Json::parse("[2,3]")) << "told from the other";
  EXPECT_EQ(encoding["strokeDash"]["scale"]["range"][9], Json::parse("[6,4]"));
  EXPECT_EQ(encoding["strokeDash"]["scale"]["range"][1], Json::parse("[1,0]"));
}

TEST(LineChart, TheNinthSeriesHasAnotherShapeThanTheFirst) {
  std::vector<Series> series;
  for (int i = 0; i < 9; ++i) series.push_back({"s" + std::to_string(i), {0, 1}, {0, 1}, {}, {}, false});
  const Json spec = checked(line_chart(named("l"), series));
  const Json shapes = layer_of(spec, "point")["encoding"]["shape"]["scale"]["range"];
  ASSERT_EQ(shapes.size(), 9u);
  EXPECT_NE(shapes[0], shapes[8]);
}

TEST(LineChart, SeriesOfOneNameStayApart) {
  const Figure f =
      line_chart(named("l"), {{"a", {0, 1}, {0, 1}, {}, {}, false}, {"a", {0, 1}, {1, 2}, {}, {}, false}});
  EXPECT_EQ(std::get<std::string>(f.data.rows[2][0]), "a (2)");
}

TEST(LineChart, ALongSeriesKeepsItsExtremes) {
  Series s{"a", {}, {}, {}, {}, false};
  for (int i = 0; i < 40000; ++i) {
    s.x.push_back(i);
    s.y.push_back(i == 12345 ? 99 : i == 23456 ? -99 : std::sin(0.01 * i));
  }
  const Figure f = line_chart(named("l"), {s});
  const Json spec = checked(f);
  EXPECT_EQ(f.data.rows.size(), 40000u);
  std::set<double> drawn;
  for (const Json& v : spec["data"]["values"]) drawn.insert(v["y"].get<double>());
  EXPECT_TRUE(drawn.count(99) == 1 && drawn.count(-99) == 1);
  EXPECT_THAT(f.caption, testing::HasSubstr("of 40000 points"));
}

TEST(LineChart, LogarithmicAxesDrawPositiveValuesOnly) {
  ChartText text = named("l");
  text.log_y = true;
  const Figure f = line_chart(text, {{"a", {0, 1, 2}, {1, -1, 10}, {}, {}, false}});
  EXPECT_EQ(layer_of(checked(f), "line")["encoding"]["y"]["scale"]["type"], "log");
  EXPECT_EQ(f.marks, 3u);  // a line and two dots
}

TEST(ScatterChart, HasEqualScalesWhateverItsSize) {
  const Figure f =
      scatter_chart(named("s"), {{1, 2, "g", "1.1", ""}, {3, 5, "h", "1.2", ""}}, {{0, 4, "r", true}});
  const Json encoding = layer_of(checked(f), "point")["encoding"];
  // Both domains are centre ± (units per pixel) × (pixels), with the same units per pixel.
  const auto per_pixel = [](const Json& scale) {
    const std::string text = scale["domainMax"]["expr"];
    return text.substr(text.find("max("), text.find(") *") - text.find("max("));
  };
  EXPECT_EQ(per_pixel(encoding["x"]["scale"]), per_pixel(encoding["y"]["scale"]));
  EXPECT_THAT(per_pixel(encoding["x"]["scale"]), testing::HasSubstr("/ width"));
  EXPECT_EQ(f.marks, 3u);
}

TEST(ScatterChart, DisksAreCircles) {
  const Json spec = checked(scatter_chart(named("s"), {}, {{-1, 1.5, "d", true}, {0, kNaN, "no", true}}));
  const Json circle = layer_of(spec, "line");
  for (const Json& p : circle["data"]["values"])
    EXPECT_NEAR(std::hypot(p["x"].get<double>() + 1, p["y"].get<double>()), 1.5, 1e-15 * 4);
  EXPECT_EQ(circle["mark"]["strokeDash"], Json::parse("[6,4]"));
  std::size_t circles = 0;
  for (const Json& layer : spec["layer"]) circles += layer["mark"]["type"] == "line";
  EXPECT_EQ(circles, 1u);
}

TEST(ScatterChart, GroupsDifferInColourAndShape) {
  const Json encoding =
      layer_of(checked(scatter_chart(named("s"), {{1, 2, "g", "", ""}, {3, 5, "h", "", ""}}, {})),
               "point")["encoding"];
  EXPECT_EQ(encoding["color"]["field"], "group");
  EXPECT_EQ(encoding["shape"]["scale"]["range"], Json::parse(R"(["circle","square"])"));
}

TEST(ScatterChart, ShowsAFixedSampleOfManyPoints) {
  Random random(1);
  std::vector<ScatterPoint> points;
  for (int i = 0; i < 20000; ++i)
    points.push_back({random.normal(), i % 100 == 0 ? kNaN : random.normal(), "g", "", ""});
  const Figure f = scatter_chart(named("s"), points, {});
  const Json spec = checked(f);
  EXPECT_EQ(spec["data"]["values"].size(), 5000u);
  EXPECT_EQ(f.data.rows.size(), 20000u);
  EXPECT_EQ(f.marks, 5000u);
  EXPECT_THAT(f.caption, testing::HasSubstr("5000 of 20000"));
  EXPECT_EQ(scatter_chart(named("s"), points, {}).vega_lite, f.vega_lite);
  // An even sample: a quarter of each quarter, within five standard deviations of the hypergeometric count.
  std::size_t first_quarter = 0;
  for (const Json& row : spec["usermeta"]["telos"]["rows"]) first_quarter += row.get<std::size_t>() < 5000;
  EXPECT_NEAR(static_cast<double>(first_quarter), 1250, 5 * std::sqrt(5000 * 0.25 * 0.75));
}

TEST(HeatMap, IsCentredAtZeroAndNamesItsGaps) {
  ChartText text = named("h");
  text.x_label = "head";
  text.y_label = "layer";
  const Figure f = heat_map(text, {"0", "1"}, {"0", "1", "2"}, {{0.5, -2, 1}, {kNaN, 0, 1}}, "gain", true);
  const Json spec = checked(f);
  EXPECT_EQ(layer_of(spec, "rect")["encoding"]["color"]["scale"]["domain"], Json::parse("[-2.0,2.0]"));
  EXPECT_EQ(f.marks, 6u);
  EXPECT_EQ(std::get<std::string>(f.data.rows[5][2]), "1.2");
  EXPECT_THAT(f.caption, testing::HasSubstr("Hatched: no value."));
  EXPECT_THAT(layer_of(spec, "point")["mark"]["shape"].get<std::string>(), testing::StartsWith("M"));
}

TEST(HeatMap, MagnitudesUseViridis) {
  const Json spec = checked(heat_map(named("h"), {"a"}, {"b", "c"}, {{1, 3}}, "v", false));
  EXPECT_EQ(layer_of(spec, "rect")["encoding"]["color"]["scale"]["scheme"], "viridis");
  EXPECT_EQ(layer_of(spec, "rect")["encoding"]["color"]["scale"]["domain"], Json::parse("[1.0,3.0]"));
}

TEST(HeatMap, ShortRowsAreGaps) {
  const Figure f = heat_map(named("h"), {"a", "b"}, {"c", "d"}, {{1}}, "v", true);
  checked(f);
  EXPECT_EQ(f.data.rows.size(), 4u);
  EXPECT_EQ(f.marks, 4u);
}

TEST(BarChart, KeepsOrderAndWhiskers) {
  const Figure f =
      bar_chart(named("b"), {{"z", "g", "1.0", 1, 0.5}, {"a", "g", "0.1", -2, 0}, {"z", "h", "", kNaN, 0}});
  const Json spec = checked(f);
  EXPECT_EQ(layer_of(spec, "bar")["encoding"]["y"]["scale"]["domain"], Json::parse(R"x(["z","a","z (2)"])x"));
  EXPECT_EQ(f.marks, 2u);
  EXPECT_EQ(layer_of(spec, "rule")["encoding"]["x2"]["field"], "high");
}

TEST(BarChart, NoLayerWithoutMarks) {
  const auto texts = [](const std::vector<Bar>& bars) {
    std::size_t count = 0;
    const Json spec = checked(bar_chart(named("b"), bars));
    for (const Json& layer : spec["layer"]) count += layer["mark"]["type"] == "text" ? 1 : 0;
    return count;
  };
  EXPECT_EQ(texts({{"a", "", "", 1, 0}}), 1u);
  EXPECT_EQ(texts({{"a", "", "", -1, 0}}), 1u);
  EXPECT_EQ(texts({{"a", "", "", 1, 0}, {"b", "", "", -1, 0}}), 2u);
}

TEST(BarChart, ManyBarsSayWhatIsLeftOut) {
  std::vector<Bar> bars(1000, Bar{"b", "", "", 1, 0});
  const Figure f = bar_chart(named("b"), bars);
  EXPECT_EQ(checked(f)["data"]["values"].size(), 200u);
  EXPECT_EQ(f.data.rows.size(), 1000u);
  EXPECT_THAT(f.caption, testing::HasSubstr("200 of 1000"));
}

TEST(WireChart, WiresLeadFromColumnToColumn) {
  const Figure f = wire_chart(named("w"), {"input", "layer 1", "output"}, {"0", "1"},
                              {{0, 0, 1, "own", "x"}, {0, 1, 0, "left", ""}, {1, 1, 1, "own", ""}});
  const Json rule = layer_of(checked(f), "rule");
  EXPECT_EQ(f.marks, 3u);
  EXPECT_EQ(rule["encoding"]["y2"]["field"], "to");
  EXPECT_EQ(rule["encoding"]["x"]["axis"]["labelExpr"], R"x(["input","layer 1","output"][datum.value])x");
  EXPECT_EQ(rule["encoding"]["y"]["scale"]["reverse"], true);
}

TEST(WireChart, ManyWiresSayWhatIsLeftOut) {
  const std::vector<Wire> wires(6000, Wire{0, 0, 1, "h", ""});
  const Figure f = wire_chart(named("w"), {"a", "b"}, {"0", "1"}, wires);
  EXPECT_EQ(checked(f)["data"]["values"].size(), 5000u);
  EXPECT_EQ(f.data.rows.size(), 6000u);
  EXPECT_THAT(f.caption, testing::HasSubstr("5000 of 6000"));
}

TEST(Charts, NothingToDrawIsNoError) {
  EXPECT_EQ(line_chart(named("e"), {}).marks, 0u);
  EXPECT_EQ(scatter_chart(named("e"), {}, {}).marks, 0u);
  EXPECT_EQ(heat_map(named("e"), {}, {}, {}, "v", true).marks, 0u);
  EXPECT_EQ(bar_chart(named("e"), {}).marks, 0u);
  EXPECT_EQ(wire_chart(named("e"), {}, {}, {}).marks, 0u);
  EXPECT_EQ(heat_map(named("e"), {"a"}, {"b"}, {{kNaN}}, "v", false).marks, 1u);
  EXPECT_EQ(heat_map(named("e"), {"a"}, {"b"}, {{7}}, "v", false).marks, 1u);
}

TEST(Charts, HostileStringsStayJson) {
  for (const std::string& a : test::hostile_strings()) {
    ChartText text = named(a);
    text.title = text.caption = text.alt = text.x_label = text.y_label = a;
    checked(line_chart(text, {{a, {0, 1}, {1, 2}, {}, {}, false}}));
    checked(scatter_chart(text, {{0, 1, a, a, a}}, {{0, 1, a, true}}));
    checked(heat_map(text, {a}, {a}, {{1}}, a, true));
    checked(bar_chart(text, {{a, a, a, 1, 1}}));
    checked(wire_chart(text, {a, a}, {a, a}, {{0, 0, 1, a, a}}));
  }
}

}  // namespace
}  // namespace telos
