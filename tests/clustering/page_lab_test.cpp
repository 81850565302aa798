#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>

#include "clustering/page_parts.h"
#include "telos/clustering/page.h"
#include "telos/clustering/theory.h"

namespace telos::clustering {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Arena kArena(1);
const PageContext kContext{.command = "clustering simulate", .subject = "s", .facts = {}, .provenance = {}};

/// Every table and figure has a name of its own, and all renderings work.
void expect_sound(const Report& report) {
  std::set<std::string> ids;
  const auto take = [&](const std::string& id) { EXPECT_TRUE(ids.insert(id).second) << id; };
  for (const Figure& f : report.lead) take(f.id);
  for (const Section& s : report.sections) {
    for (const Figure& f : s.figures) take(f.id);
    for (const Player& p : s.players) {
      take(p.id);
      for (const Player::Point& point : p.points) {
        EXPECT_EQ(point.steps.size(), p.frames.size() * p.dimension);
        EXPECT_LT(point.groups.back(), p.groups.size());
      }
    }
    for (const Table& t : s.tables) {
      take(t.id);
      for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.columns.size()) << t.id;
    }
  }
  EXPECT_FALSE(report.verdict.sentence.empty());
  EXPECT_FALSE(report.definitions.empty());
  EXPECT_LE(report.keys.size(), 6u);
  EXPECT_THAT(render_html(report), HasSubstr("</html>"));
  EXPECT_FALSE(render_terminal(report).empty());
  EXPECT_FALSE(render_json(report).empty());
}

const Table& table_of(const Report& report, const std::string& id) {
  for (const Section& s : report.sections)
    for (const Table& t : s.tables)
      if (t.id == id) return t;
  throw std::runtime_error("no table " + id);
}

const Figure* figure_of(const Report& report, const std::string& id) {
  for (const Figure& f : report.lead)
    if (f.id == id) return &f;
  for (const Section& s : report.sections)
    for (const Figure& f : s.figures)
      if (f.id == id) return &f;
  return nullptr;
}

const KeyNumber* key_of(const Report& report, const std::string& label) {
  for (const KeyNumber& key : report.keys)
    if (key.label == label) return &key;
  return nullptr;
}

TEST(SoftPage, ThePublishedRowGathersInThreeClusters) {
  const SoftOptions options{.alpha = 0.5, .temperature = 1e-12, .layers = 30};
  const SoftRun run = run_soft(demo_tokens("emerging-leader", 0, 0, 0).tokens, options, kArena);
  const Report report = soft_report(run, options, {"a", "b", "c", "d", "e", "f", "g", "h"}, kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence, "8 tokens gather in 3 clusters, reached at layer 10.");
  EXPECT_EQ(report.verdict.basis, "simulated, 30 layers");
  EXPECT_EQ(key_of(report, "clusters")->value, "8 → 3");
  EXPECT_EQ(key_of(report, "longest plateau")->value, "3 clusters");
  EXPECT_THAT(key_of(report, "longest plateau")->note, HasSubstr("the end"));
  const Table& end = table_of(report, "end");
  ASSERT_EQ(end.rows.size(), 3u);
  EXPECT_EQ(std::get<std::int64_t>(end.rows[0][1]), 4);
  EXPECT_EQ(std::get<std::string>(end.rows[0][2]), "a, d, g, h");
  EXPECT_EQ(table_of(report, "states").rows.size(), 31u);
  EXPECT_EQ(table_of(report, "course").rows.size(), 11u);
  EXPECT_TRUE(table_of(report, "course").in_terminal);
  const Player& player = report.sections[0].players.at(0);
  EXPECT_EQ(player.frames.size(), 31u);
  EXPECT_EQ(player.frame_label, "layer");
  EXPECT_FLOAT_EQ(player.points[3].steps[2 * 1], 1.f / 3);
  EXPECT_EQ(player.points[3].groups, player.points[0].groups);
  EXPECT_EQ(figure_of(report, "cosine"), nullptr);
}

TEST(SoftPage, OrthonormalTokensStandBesideTheTheory) {
  const SoftOptions options{.kind = SoftKind::kSA, .beta = 1, .time = 3, .step = 0.01, .frames = 6};
  const SoftRun run = run_soft(demo_tokens("orthonormal", 8, 0, 0).tokens, options, kArena);
  const Report report = soft_report(run, options, {}, kContext);
  expect_sound(report);
  EXPECT_THAT(figure_of(report, "cosine")->title, HasSubstr("as the theory says to"));
  const Table& states = table_of(report, "states");
  ASSERT_EQ(states.columns.size(), 4u);
  EXPECT_NEAR(std::get<double>(states.rows[2][2]), 0.3625868798, 1e-9);
  EXPECT_NEAR(std::get<double>(states.rows[2][3]), 0.3625868798, 1e-10);
  EXPECT_THAT(key_of(report, "smallest cosine")->value, HasSubstr("→ 0.9705"));
  EXPECT_THAT(report.sections[0].players.at(0).caption, HasSubstr("principal components"));  // d = 8
}

TEST(SoftPage, OtherStartsHaveNoTheory) {
  const SoftOptions options{.kind = SoftKind::kUSA, .beta = 1, .time = 5, .frames = 10};
  const SoftRun run = run_soft(demo_tokens("sphere", 12, 3, 1).tokens, options, kArena);
  const Report report = soft_report(run, options, {}, kContext);
  expect_sound(report);
  EXPECT_EQ(table_of(report, "states").columns.size(), 4u);  // time, clusters, cosine, energy
  EXPECT_EQ(figure_of(report, "energy")->title, "The energy never falls");
  EXPECT_THAT(figure_of(report, "cosine")->title, HasSubstr("The smallest cosine goes from"));
  EXPECT_EQ(report.sections[0].players.at(0).dimension, 3u);
}

/// A run as it might come, without states.
SoftRun made_up(std::vector<std::size_t> clusters, std::size_t tokens) {
  SoftRun run;
  for (std::size_t f = 0; f < clusters.size(); ++f) run.times.push_back(static_cast<double>(f));
  run.clusters = std::move(clusters);
  for (std::size_t i = 0; i < tokens; ++i) run.component.push_back(i % run.clusters.back());
  return run;
}

TEST(SoftPage, SentencesSayWhatHappened) {
  const SoftOptions options{.kind = SoftKind::kSA};
  const auto sentence = [&](std::vector<std::size_t> clusters, std::size_t tokens) {
    const Report report = soft_report(made_up(std::move(clusters), tokens), options, {}, kContext);
    expect_sound(report);
    EXPECT_THAT(report.sections[0].players, IsEmpty());
    return report.verdict.sentence;
  };
  EXPECT_EQ(sentence({9, 5, 3, 3, 3, 1, 1}, 9),
            "All 9 tokens have met by time 5; 3 stood from time 2 to 4 before.");
  EXPECT_EQ(sentence({9, 5, 3, 3, 3}, 9), "9 tokens gather in 3 clusters, reached at time 2.");
  EXPECT_EQ(sentence({9, 9, 9}, 9), "The 9 tokens keep apart.");
  EXPECT_EQ(sentence({4, 4, 4}, 9), "4 clusters throughout: nothing gathers, nothing parts.");
  EXPECT_EQ(sentence({3, 1, 3}, 9), "3 clusters at first and at the end, down to 1 between.");
  EXPECT_EQ(sentence({3, 5, 3}, 9), "3 clusters at first and at the end, up to 5 between.");
  EXPECT_EQ(sentence({3, 5, 1, 3}, 9), "3 clusters at first and at the end, 1 to 5 between.");
  EXPECT_EQ(sentence({9, 8, 9}, 9), "9 clusters at first and at the end, down to 8 between.");
  EXPECT_EQ(sentence({2, 3, 4}, 9), "Clusters part: 2 become 4.");
  EXPECT_EQ(sentence({1, 1}, 1), "One token has nothing to gather with.");
}

TEST(SoftPage, SaturationAndGivenMatricesAreNamed) {
  Matrix<double> v(2, 2);
  v(0, 0) = 1, v(1, 1) = 0.5;
  const SoftOptions options{.kind = SoftKind::kEmergence, .v = v, .time = 12, .frames = 12};
  const SoftRun run = run_soft(demo_tokens("cube", 10, 2, 3).tokens, options, kArena);
  const Report report = soft_report(run, options, {}, kContext);
  expect_sound(report);
  ASSERT_NE(key_of(report, "hardmax from"), nullptr);
  EXPECT_THAT(report.facts.back().text, HasSubstr("V given"));
  EXPECT_THAT(report.facts.back().text, Not(HasSubstr("Q given")));
}

PhaseDiagram made_up_diagram() {
  PhaseDiagram d;
  d.spec = {.tokens = 8, .dimension = 2, .systems = 10, .beta_from = 1, .beta_to = 3, .betas = 3};
  d.beta = {1, 2, 3};
  d.time = {1, 2, 3, 4};
  d.share = {{0, 0, 0}, {0.5, 0.1, 0}, {0.9, 0.6, 0.2}, {1, 0.8, 0.4}};
  d.theory = {1.5, 1.8, 9};
  return d;
}

TEST(PhasePage, SaysWhenHalfAreTogether) {
  const Report report = phase_report(made_up_diagram(), kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.sentence,
            "At β = 1, half of the systems are together by time 2; from β = 3 on, not by time 4.");
  EXPECT_EQ(report.verdict.basis, "simulated, 10 systems a β");
  const Table& t = table_of(report, "betas");
  ASSERT_EQ(t.rows.size(), 3u);
  EXPECT_EQ(std::get<double>(t.rows[1][1]), 2);
  EXPECT_EQ(std::get<double>(t.rows[1][2]), 3);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(t.rows[1][3]));
  EXPECT_EQ(std::get<double>(t.rows[2][4]), 9);
  EXPECT_EQ(key_of(report, "β = 1")->value, "100 %");
  EXPECT_THAT(key_of(report, "β = 3")->note, HasSubstr("theory for orthonormal tokens 9"));
  EXPECT_THAT(report.sections[0].paragraphs, Contains(HasSubstr("cannot start orthonormal")));
  EXPECT_EQ(figure_of(report, "phase")->data.rows.size(), 12u);
  EXPECT_EQ(figure_of(report, "half-time")->title,
            "Half of the random systems need 1.33 times what orthonormal tokens need, at β = 1");
  EXPECT_THAT(key_of(report, "β = 3")->note, HasSubstr("(half never;"));
}

TEST(PhasePage, OtherSentences) {
  PhaseDiagram d = made_up_diagram();
  for (auto& row : d.share) row[2] = row[1];
  EXPECT_EQ(phase_report(d, kContext).verdict.sentence,
            "At β = 1, half of the systems are together by time 2; at β = 3, by time 3.");
  for (auto& row : d.share) row = {0, 0, 0};
  EXPECT_EQ(phase_report(d, kContext).verdict.sentence, "At β = 1, most systems are not together by time 4.");
  d.theory = {90, 90, 90};
  expect_sound(phase_report(d, kContext));
  d.beta = {1}, d.theory = {1}, d.share = {{0}, {1}, {1}, {1}};
  const Report one = phase_report(d, kContext);
  expect_sound(one);
  EXPECT_EQ(one.verdict.sentence, "At β = 1, half of the systems are together by time 2.");
  EXPECT_EQ(one.keys.size(), 1u);
}

TEST(PhasePage, LargeDiagramsAreThinnedInTheFigureAlone) {
  PhaseDiagram d;
  d.spec = {.betas = 200, .times = 300};
  for (std::size_t b = 0; b < 200; ++b) d.beta.push_back(static_cast<double>(b));
  d.theory.assign(200, 1.0);
  for (std::size_t t = 0; t < 300; ++t) d.time.push_back(static_cast<double>(t + 1));
  d.share.assign(300, std::vector<double>(200, 0.5));
  const Report report = phase_report(d, kContext);
  expect_sound(report);
  EXPECT_LE(figure_of(report, "phase")->marks, 5000u);
  EXPECT_EQ(table_of(report, "betas").rows.size(), 200u);
}

TEST(LabWords, EachTermIsDefinedOnce) {
  std::set<std::string> terms;
  for (const Definition& d : lab_definitions()) EXPECT_TRUE(terms.insert(d.term).second) << d.term;
  EXPECT_EQ(lab_definitions({"SA", "USA"}).size(), 2u);
}

}  // namespace
}  // namespace telos::clustering
