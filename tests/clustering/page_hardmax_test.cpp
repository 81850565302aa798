#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <variant>
#include <vector>

#include "clustering/page_view.h"
#include "telos/clustering/lab.h"
#include "telos/clustering/page.h"

namespace telos::clustering {
namespace {

using ::testing::HasSubstr;

const Arena& arena() {
  static const Arena kArena(2);
  return kArena;
}

HardmaxRun demo_run(const std::string& name, std::size_t n = 0, std::size_t d = 0) {
  const DemoTokens set = demo_tokens(name, n, d, 1);
  HardmaxOptions options;
  options.alpha = set.alpha;
  return run_hardmax(set.tokens, options, arena());
}

const Table& table_of(const Report& report, const std::string& id) {
  for (const Section& section : report.sections)
    for (const Table& table : section.tables)
      if (table.id == id) return table;
  throw std::runtime_error("no table " + id);
}

const Player* player_of(const Report& report) {
  for (const Section& section : report.sections)
    if (!section.players.empty()) return &section.players[0];
  return nullptr;
}

TEST(RunPage, SaysWhoLeadsWithNames) {
  const std::vector<std::string> labels = {"a", "b", "c", "d", "e", "f", "g", "h"};
  const Report report = run_report(demo_run("emerging-leader"), labels, {.command = "clustering run"});
  EXPECT_THAT(report.verdict.sentence, HasSubstr("3 of 8 tokens lead; each other token converges"));
  const Table& leaders = table_of(report, "leaders");
  ASSERT_EQ(leaders.rows.size(), 3u);
  EXPECT_EQ(std::get<std::string>(leaders.rows[0][1]), "a");  // most followers first
  EXPECT_EQ(std::get<std::int64_t>(leaders.rows[0][2]), 4);
  const Table& tokens = table_of(report, "tokens");
  EXPECT_EQ(std::get<std::string>(tokens.rows[3][4]), "a");
  EXPECT_EQ(std::get<std::string>(tokens.rows[1][2]), "leader");
  EXPECT_EQ(std::get<std::int64_t>(tokens.rows[1][5]), 1);  // it emerges at layer 1
  EXPECT_EQ(leaders.columns[2].name, "tokens");
  std::int64_t tokens_in_all = 0;
  for (const auto& row : leaders.rows) tokens_in_all += std::get<std::int64_t>(row[2]);
  EXPECT_EQ(tokens_in_all, 8);
}

TEST(RunPage, PlayerFollowsTheRun) {
  const HardmaxRun run = demo_run("emerging-leader");
  const Report report = run_report(run, {}, {.command = "clustering run"});
  const Player* const player = player_of(report);
  ASSERT_NE(player, nullptr);
  ASSERT_EQ(player->points.size(), 8u);
  EXPECT_EQ(player->dimension, 2u);
  EXPECT_EQ(player->points[1].star_from, 1u);
  EXPECT_EQ(player->points[3].star_from, Player::kNever);
  EXPECT_FLOAT_EQ(player->points[3].target[0], 1.0F);  // token 3 ends at token 0
  EXPECT_FLOAT_EQ(player->points[3].steps[1], 0.25F);
  EXPECT_DOUBLE_EQ(player->ratio, run.rate);
  EXPECT_EQ(player->panels.front(), 0u);
  const Table& table = table_of(report, "layers");
  EXPECT_EQ(table.rows.size(), run.per_layer.size());
}

TEST(RunPage, MoreDimensionsAreShownInTheLeadersPlane) {
  const Report report = run_report(demo_run("anisotropic", 300, 12), {}, {.command = "clustering run"});
  const Player* const player = player_of(report);
  ASSERT_NE(player, nullptr);
  EXPECT_EQ(player->dimension, 2u);
  EXPECT_THAT(player->caption, HasSubstr("principal components"));
  EXPECT_EQ(player->axes[0], "component 1");
}

TEST(RunPage, SpecialSystemsAreNamed) {
  const Report sphere = run_report(demo_run("sphere", 50, 3), {}, {.command = "clustering run"});
  EXPECT_THAT(sphere.verdict.sentence, HasSubstr("same norm"));
  EXPECT_EQ(player_of(sphere), nullptr);

  Matrix<double> one(1, 2);
  one(0, 0) = 1;
  const Report alone = run_report(run_hardmax(one, {}, arena()), {}, {.command = "clustering run"});
  EXPECT_EQ(alone.verdict.sentence, "One token leads itself.");

  const Report isotropic = run_report(demo_run("gaussian", 200, 30), {}, {.command = "clustering run"});
  EXPECT_THAT(isotropic.verdict.sentence, HasSubstr("hardly cluster"));

  HardmaxOptions options;
  options.alpha = 0.05;
  options.layers = 1;
  const DemoTokens set = demo_tokens("gaussian", 200, 2, 1);
  const Report cut = run_report(run_hardmax(set.tokens, options, arena()), {}, {.command = "clustering run"});
  EXPECT_THAT(cut.verdict.sentence, HasSubstr("not all others are decided"));
  EXPECT_THAT(cut.verdict.basis, HasSubstr("after 1 layer"));

  Matrix<double> turn(2, 2);
  turn(0, 1) = -1;
  turn(1, 0) = 1;
  HardmaxOptions general;
  general.general_a = true;
  general.a = turn.view();
  general.layers = 3;
  const Report outside =
      run_report(run_hardmax(set.tokens, general, arena()), {}, {.command = "clustering run"});
  EXPECT_THAT(outside.verdict.sentence, HasSubstr("outside the theorem"));
  EXPECT_EQ(outside.verdict.basis, "iterated, after 3 layers");
}

const KeyNumber& ending(const Report& report) {
  for (const KeyNumber& key : report.keys)
    if (key.label == "ended" || key.label == "decided") return key;
  throw std::runtime_error("no end of the run");
}

TEST(RunPage, SaysWhyARunEndedAndPromisesNothingOutsideTheTheorem) {
  const DemoTokens set = demo_tokens("gaussian", 40, 2, 1);
  Matrix<double> v(2, 2);
  v(0, 0) = 1;
  v(1, 1) = -0.5;
  HardmaxOptions options;
  options.v = v.view();
  options.max_general_layers = 20;
  const HardmaxRun cut = run_hardmax(set.tokens, options, arena());
  EXPECT_EQ(cut.stop, HardmaxStop::kMaxLayers);
  EXPECT_EQ(cut.layers, 20u);
  const KeyNumber most = ending(run_report(cut, {}, {.command = "clustering run"}));
  EXPECT_EQ(most.value, "after 20 layers");
  EXPECT_THAT(most.note, HasSubstr("the most that infinitely many are run to outside the theorem"));
  options.layers = 5;
  const HardmaxRun few = run_hardmax(set.tokens, options, arena());
  EXPECT_EQ(few.stop, HardmaxStop::kLayers);
  EXPECT_THAT(ending(run_report(few, {}, {.command = "clustering run"})).note, HasSubstr("asked for"));

  Matrix<double> turn(2, 2);  // by 30 degrees: the tokens contract
  turn(0, 0) = turn(1, 1) = std::sqrt(0.75);
  turn(0, 1) = -0.5;
  turn(1, 0) = 0.5;
  HardmaxOptions general;
  general.general_a = true;
  general.a = turn.view();
  Matrix<double> polygon(12, 2);
  for (std::size_t i = 0; i < 12; ++i) {
    polygon(i, 0) = std::cos(std::numbers::pi / 6 * static_cast<double>(i));
    polygon(i, 1) = std::sin(std::numbers::pi / 6 * static_cast<double>(i));
  }
  const HardmaxRun still = run_hardmax(polygon, general, arena());
  EXPECT_EQ(still.stop, HardmaxStop::kStill);
  const KeyNumber end = ending(run_report(still, {}, {.command = "clustering run"}));
  EXPECT_THAT(end.note, HasSubstr("no token moves more than rounding"));
  EXPECT_THAT(end.note, ::testing::Not(HasSubstr("left of the distance")));

  const HardmaxRun whole = demo_run("emerging-leader");
  EXPECT_EQ(whole.stop, HardmaxStop::kDecided);
  EXPECT_THAT(ending(run_report(whole, {}, {.command = "clustering run"})).note,
              HasSubstr("left of the distance"));
}

TEST(RunPage, ClaimsNoMoreLayersThanWereRun) {
  const DemoTokens set = demo_tokens("emerging-leader", 8, 2, 0);
  HardmaxOptions options;
  options.layers = 3;
  const HardmaxRun run = run_hardmax(set.tokens, options, arena());
  ASSERT_TRUE(run.complete);
  EXPECT_EQ(run.depth, 3u);
  const Report report = run_report(run, {}, {.command = "clustering run"});
  EXPECT_EQ(report.verdict.basis, "exact, after 3 layers");
  EXPECT_EQ(table_of(report, "tokens").columns[8].definition, "‖position after the last layer − start‖");
  std::vector<double> three(2);
  run.position(3, 3, three);
  EXPECT_NEAR(run.fates[3].travelled, std::hypot(three[0] - set.tokens(3, 0), three[1] - set.tokens(3, 1)),
              1e-15);
  const Report all = run_report(run_hardmax(set.tokens, {}, arena()), {}, {.command = "clustering run"});
  EXPECT_EQ(all.verdict.basis, "exact, for infinitely many layers");
}

TEST(RunPage, AStepTooSmallToShowInTheRate) {
  const DemoTokens set = demo_tokens("emerging-leader", 8, 2, 0);
  HardmaxOptions options;
  options.alpha = 1e-17;
  options.max_layers = 3;
  const HardmaxRun run = run_hardmax(set.tokens, options, arena());
  ASSERT_EQ(run.rate, 1);
  EXPECT_NE(player_of(run_report(run, {}, {.command = "clustering run"})), nullptr);
  Matrix<double> two(2, 2);  // both lead, whatever the step
  two(0, 0) = 2, two(1, 1) = 1;
  const HardmaxRun decided = run_hardmax(two, options, arena());
  ASSERT_TRUE(decided.complete);
  EXPECT_NE(player_of(run_report(decided, {}, {.command = "clustering run"})), nullptr);
}

TEST(RunPage, EveryTermOfTheLensIsDefinedOnce) {
  std::vector<std::string> terms;
  for (const Definition& d : clustering_definitions()) terms.push_back(d.term);
  std::vector<std::string> sorted = terms;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
  EXPECT_GE(terms.size(), 10u);
}

TEST(View, FindsThePlaneOfTheRows) {
  Matrix<double> rows(40, 6);
  for (std::size_t i = 0; i < 40; ++i) {
    const double t = static_cast<double>(i) - 20;
    rows(i, 1) = 3 * t + 7;              // most of the variance
    rows(i, 4) = t * t / 40;             // some
    rows(i, 5) = i % 2 == 0 ? 0.01 : 0;  // hardly any
  }
  const View view = view_of(rows.view());
  ASSERT_EQ(view.dimension(), 2u);
  EXPECT_TRUE(view.components);
  EXPECT_NEAR(view.basis(0, 1), 1, 1e-2);
  EXPECT_NEAR(view.basis(1, 4), 1, 1e-2);
  EXPECT_GT(view.explained, 0.999);
  EXPECT_LE(view.explained, 1);

  const View axes = view_of(rows.view().block(0, 0, 40, 3));
  EXPECT_EQ(axes.dimension(), 3u);
  EXPECT_FALSE(axes.components);
  float y[3];
  axes.show(rows.row(3), y);
  EXPECT_FLOAT_EQ(y[1], static_cast<float>(rows(3, 1)));
}

}  // namespace
}  // namespace telos::clustering
