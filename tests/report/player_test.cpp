#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "player_sample.h"
#include "read_back.h"
#include "report/assets.h"
#include "report/player_parts.h"
#include "sample.h"
#include "tests/repeats.h"

namespace telos {
namespace {

using Json = nlohmann::ordered_json;
using test::between;
using testing::HasSubstr;
using testing::Not;

const Player& emerging() {
  static const Report report = test::player_report(100);
  return report.sections[0].players[0];
}

Json players_of(const std::string& page) {
  return Json::parse(between(page, "<script type=\"application/json\" id=\"telos-data\">", "</script>").at(0))
      .at("players");
}

std::vector<std::uint8_t> bytes(const std::string& base64) {
  static const std::string kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> out;
  std::uint32_t word = 0;
  int bits = 0;
  for (const char c : base64) {
    if (c == '=') break;
    word = word << 6 | static_cast<std::uint32_t>(kDigits.find(c));
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<std::uint8_t>(word >> bits));
  }
  return out;
}

/// What player_scene.js reads from `whole`, point by point.
struct Whole {
  std::uint64_t rows = 0, star = 0;
  std::vector<std::uint64_t> groups{};
};
std::vector<Whole> wholes(const Json& player) {
  const std::vector<std::uint8_t> data = bytes(player["whole"]);
  std::size_t at = 0;
  const auto next = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const std::uint8_t byte = data.at(at++);
      value |= static_cast<std::uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  std::vector<Whole> out(player["points"].get<std::size_t>());
  for (Whole& point : out) {
    point.rows = next();
    point.star = next();
    point.groups.resize(next());
    for (std::uint64_t& group : point.groups) group = next();
  }
  EXPECT_EQ(at, data.size());
  return out;
}

/// The coordinates of all paths.
std::vector<double> numbers(const Json& player) {
  const std::vector<std::uint8_t> data = bytes(player["paths"]);
  const std::size_t size = player["bits"].get<std::size_t>() / 8, d = player["dimension"];
  std::vector<double> out;
  for (std::size_t i = 0; i < data.size(); i += size) {
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < size; ++k) word |= static_cast<std::uint32_t>(data[i + k]) << (8 * k);
    const std::size_t axis = out.size() % d;
    if (size == 4)
      out.push_back(static_cast<double>(std::bit_cast<float>(word)));
    else
      out.push_back(word == 65535
                        ? std::nan("")
                        : player["low"][axis].get<double>() + word * player["step"][axis].get<double>());
  }
  return out;
}

std::vector<std::size_t> all_rows(const Player& player) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < player.points.size(); ++i) rows.push_back(i);
  return rows;
}

TEST(Player, ApproachesItsTargetAfterTheGivenFrames) {
  const Player& player = emerging();
  ASSERT_EQ(report::given_frames(player, player.points[3]), 4u);
  // Layers 1, 5 and 30 of the hardmax dynamics with step 1/2, computed in double.
  EXPECT_NEAR(report::position(player, player.points[3], 1)[0], 0.3333333333, 1e-6);
  EXPECT_NEAR(report::position(player, player.points[3], 5)[0], 0.8683127572, 1e-6);
  EXPECT_NEAR(report::position(player, player.points[3], 30)[0], 0.9999947849, 1e-6);
  EXPECT_NEAR(report::position(player, player.points[3], 30)[1], 0.3333328987, 1e-6);
  EXPECT_EQ(report::group_at(player.points[1], 0), 3u);
  EXPECT_EQ(report::group_at(player.points[1], 30), 1u);
}

TEST(Player, StaysWithoutATarget) {
  Player player = emerging();
  player.points[3].target.clear();
  EXPECT_EQ(report::position(player, player.points[3], 30), report::position(player, player.points[3], 3));
}

TEST(Player, TableHoldsLastPositions) {
  const Table table = report::player_table(emerging());
  ASSERT_EQ(table.rows.size(), 8u);
  ASSERT_EQ(table.columns.size(), 5u);
  EXPECT_EQ(table.columns[2].name, "leader from layer");
  EXPECT_EQ(std::get<std::string>(table.rows[3][0]), "token 3");
  EXPECT_EQ(std::get<std::string>(table.rows[3][1]), "follows 0");
  EXPECT_EQ(std::get<double>(table.rows[1][2]), 1);  // the leader that emerges at layer 1
  EXPECT_TRUE(std::holds_alternative<std::monostate>(table.rows[3][2]));
  EXPECT_NEAR(std::get<double>(table.rows[3][3]), 0.9999947849, 1e-6);
  // The shortest text of the float, not the 17 digits of the double beside it.
  EXPECT_THAT(render_csv(table), HasSubstr("token 2,follows 2,0,-1,-1\r\n"));
  EXPECT_THAT(render_csv(table), HasSubstr("token 1,follows 1,1,-0.05555556,0.1388889\r\n"));
}

TEST(Player, DataHoldEveryNumberOfASmallFigure) {
  const Player& player = emerging();
  const Json data = report::player_json(player, all_rows(player));
  EXPECT_EQ(data["bits"], 32);
  std::vector<double> expected;
  for (const Player::Point& point : player.points) {
    expected.insert(expected.end(), point.steps.begin(), point.steps.end());
    expected.insert(expected.end(), point.target.begin(), point.target.end());
  }
  EXPECT_EQ(numbers(data), expected);
  const std::vector<Whole> points = wholes(data);
  for (std::size_t i = 0; i < points.size(); ++i) EXPECT_EQ(points[i].rows, 2 * 4 + 1u) << i;
  EXPECT_EQ(points[1].star, 2u);
  EXPECT_EQ(points[3].star, 0u);
  EXPECT_EQ(points[1].groups, (std::vector<std::uint64_t>{3, 1}));
  EXPECT_FALSE(data.contains("weights"));
  EXPECT_FALSE(data.contains("divide"));
}

TEST(Player, LargeFiguresHaveSixteenBits) {
  Player player = test::large_player(10'000);
  player.points[5].steps[2] = std::nanf("");
  const Json data = report::player_json(player, all_rows(player));
  ASSERT_EQ(data["bits"], 16);
  const std::vector<double> out = numbers(data);
  std::size_t at = 0;
  for (const Player::Point& point : player.points)
    for (const std::vector<float>& part : {point.steps, point.target})
      for (const float x : part) {
        const double step = data["step"][at % 2].get<double>();
        if (std::isnan(x))
          EXPECT_TRUE(std::isnan(out[at]));
        else
          EXPECT_LE(std::abs(out[at] - x), 0.51 * step);
        ++at;
      }
  EXPECT_EQ(at, out.size());
  EXPECT_LE(data["step"][0].get<double>(), 1e-4);
}

TEST(Player, LargeGroupsGetTheFirstColours) {
  Player player;
  for (std::uint32_t group = 0; group < 10; ++group) {
    player.groups.push_back("g" + std::to_string(group));
    for (std::uint32_t k = 0; k <= group; ++k) {
      Player::Point& point = player.points.emplace_back();
      point.steps = {0, 0};
      point.groups = {group};
    }
  }
  const Json data = report::player_json(player, all_rows(player));
  EXPECT_EQ(data["groups"][0], "g9");
  EXPECT_EQ(wholes(data)[0].groups, std::vector<std::uint64_t>{9});  // g0, the smallest
  player.groups.resize(8);
  EXPECT_EQ(report::player_json(player, all_rows(player))["groups"][0], "g0");
}

TEST(Player, PageHasFigureDataAndStillPictures) {
  const std::string page = render_html(test::player_report(200));
  const Json players = players_of(page);
  ASSERT_EQ(players.size(), 5u);
  EXPECT_EQ(players[0]["id"], "emerging");
  EXPECT_EQ(players[0]["table"], "emerging");
  EXPECT_EQ(between(page, "<figure id=\"fig-", "</figure>").size(), 6u);
  const std::vector<std::string> figures = between(page, "<figure id=\"fig-emerging\"", "</figure>");
  ASSERT_EQ(figures.size(), 1u);
  // Its pictures stand there for all readers; the review's two are for those without scripts.
  EXPECT_EQ(between(figures[0], "<svg", "</svg>").size(), 5u);
  EXPECT_EQ(between(between(figures[0], "<noscript>", "</noscript>").at(0), "<svg", "</svg>").size(), 0u);
  const std::string review = between(page, "<figure id=\"fig-review\"", "</figure>").at(0);
  const std::string hidden = between(review, "<noscript>", "</noscript>").at(0);
  EXPECT_EQ(between(hidden, "<svg", "</svg>").size(), 2u);
  EXPECT_THAT(hidden, HasSubstr("aria-label=\"layer 8\""));
  EXPECT_THAT(hidden, HasSubstr("class=\"positive\""));
  EXPECT_THAT(hidden, HasSubstr("class=\"divider\""));
  EXPECT_THAT(hidden, HasSubstr("class=\"mean\""));
  EXPECT_THAT(page, HasSubstr("--c0: #0072b2;"));
  EXPECT_EQ(page, render_html(test::player_report(200)));
}

TEST(Player, ScriptsComeOnlyWithAPlayer) {
  const std::string with = render_html(test::player_report(100)), without = render_html(test::calm_report());
  const report::Assets assets = report::assets();
  for (const std::string_view script :
       {assets.player_pen, assets.player_pixels, assets.player_scene, assets.player}) {
    EXPECT_THAT(with, HasSubstr("<script>" + std::string(script) + "</script>"));
    EXPECT_THAT(without, Not(HasSubstr(std::string(script))));
  }
  EXPECT_EQ(between(with, "<script>", "</script>").size(), 8u);
}

TEST(Player, HostileStringsStayText) {
  Report report = test::calm_report();
  report.sections[0].players.push_back(test::hostile_player());
  std::string page = render_html(report);
  std::size_t ends = 0;
  for (std::size_t at = page.find("</script"); at != std::string::npos; at = page.find("</script", at + 1))
    ++ends;
  EXPECT_EQ(ends, 9u);  // eight scripts and the data
  const Json players = players_of(page);
  EXPECT_EQ(players[0]["groups"][0], test::hostile_strings()[1]);
  EXPECT_EQ(wholes(players[0])[0].groups[0], 0u);
  EXPECT_FALSE(players[0].contains("divide"));  // its normal is not finite
  const std::string figure = between(page, "class=\"player\"", "</figure>").at(0);
  for (const char* const tag : {"<img", "onmouseover=\"", "<script"})
    EXPECT_THAT(figure, Not(HasSubstr(tag))) << tag;
  // No coordinate that is not finite reaches a picture.
  for (const std::string& path : between(figure, " d=\"", "\""))
    EXPECT_EQ(path.find_first_not_of("MLZh0123456789.- "), std::string::npos) << path;
}

TEST(Player, DegenerateFiguresArePages) {
  Report report;
  report.sections.resize(1);
  report.sections[0].players.resize(3);
  Player& one = report.sections[0].players[1];
  one.dimension = 1;
  one.points.resize(2);
  one.points[0].steps = {1, 2, 3};
  one.points[0].target = {5};
  one.frames = {0, 1};
  Player& many = report.sections[0].players[2];
  many.dimension = 77;
  many.points.resize(1);
  many.points[0].steps = {1, 2, 3};
  const std::string page = render_html(report);
  EXPECT_THAT(page, testing::EndsWith("</html>\n"));
  EXPECT_EQ(players_of(page)[2]["dimension"], 3);
  std::set<std::string> ids;
  for (const std::string& id : between(page, "<figure id=\"", "\"")) EXPECT_TRUE(ids.insert(id).second) << id;
}

TEST(Player, PageStaysWithinItsLimitAndKeepsTheStars) {
  if (kSanitized) GTEST_SKIP() << "smaller pages run the same code";
  Report report = test::calm_report();
  report.sections[0].players.push_back(test::large_player(60'000));
  const std::string page = render_html(report);
  EXPECT_LE(page.size(), 2'000'000u);
  const Json player = players_of(page)[0];
  const std::size_t points = player["points"];
  EXPECT_GT(points, 3'000u);
  EXPECT_LT(points, 60'000u);
  const std::vector<Whole> kept = wholes(player);
  EXPECT_EQ(std::count_if(kept.begin(), kept.end(), [](const Whole& p) { return p.star != 0; }), 12);
  EXPECT_THAT(page, HasSubstr(" of 60,000, evenly chosen."));
  const auto files = report_files(report);
  const auto csv = std::find_if(files.begin(), files.end(),
                                [](const auto& file) { return file.first == "tables/cloud.csv"; });
  ASSERT_NE(csv, files.end());
  EXPECT_EQ(test::parse_csv(csv->second).size(), 60'001u);
}

TEST(Player, JsonTellsWhatItShows) {
  const Json with = Json::parse(render_json(test::player_report(100)));
  EXPECT_EQ(with["sections"][0]["players"][0]["id"], "emerging");
  EXPECT_EQ(with["sections"][0]["players"][0]["points"], 8);
  EXPECT_EQ(with["sections"][0]["players"][0]["frames"], 31);
  EXPECT_FALSE(Json::parse(render_json(test::calm_report()))["sections"][0].contains("players"));
}

}  // namespace
}  // namespace telos
