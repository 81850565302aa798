#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

#include "telos/clustering/page.h"

namespace telos::clustering {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
const PageContext kContext{.command = "clustering heads", .subject = "s", .facts = {}, .provenance = {}};

Agreement agreement(const std::string& name, bool baseline, Estimate index, double p) {
  Agreement a;
  a.name = name;
  a.baseline = baseline;
  a.index = index;
  a.classes = 4;
  a.null_mean = 0;
  a.null_high = 0.02;
  a.p = p;
  return a;
}

/// Two layers of two heads on 20 tokens, the second head of layer 1 broken.
ClusterMeasures measures() {
  ClusterMeasures m;
  m.windows = 3, m.tokens = 22, m.layers = 2, m.heads = 2, m.counted = 20;
  m.options.thresholds = {0.5, 0.9};
  m.largest = {0.4, 0.01};
  m.targets = {7, 0.2};
  for (std::size_t h = 0; h < 4; ++h) {
    HeadHardness head;
    head.layer = h / 2, head.head = h % 2, head.valid = h != 3;
    head.name = std::to_string(head.layer) + "." + std::to_string(head.head);
    if (head.valid) {
      head.largest = {0.2 + 0.1 * static_cast<double>(h), 0.01};
      head.targets = {9 - static_cast<double>(h), 0.1};
      head.top_token = "the";
    }
    m.all.push_back(head);
  }
  for (std::size_t l = 0; l < 3; ++l) {
    LayerClusters layer;
    layer.layer = l;
    layer.valid = true;
    const double left = 18 - 6 * static_cast<double>(l);
    layer.count = {{left, 0.5}, {left + 1, 0.5}};
    layer.largest = {{0.3, 0.1}, {0.2, 0.1}};
    layer.mean_cosine = {0.3, 0.01};
    m.stream.push_back(layer);
  }
  m.followed = {{"[CLS]", 3, 0.5, 0.05}, {"the", 2, 0.1, 0.2}};
  m.agreement_threshold = 0.84, m.agreement_clusters = 4.5, m.agreement_largest = 0.7;
  m.leaders = 6, m.centered_leaders = 7, m.norm_ratio = 0.5;
  m.agreement = {agreement("hardmax, K = ∞", false, {0.5, 0.02}, 0.005),
                 agreement("same token", true, {0.2, 0.03}, 0.005),
                 agreement("blocks of positions", true, {0.1, 0.03}, 0.4)};
  m.agreement[0].behind = {0, 0};
  m.agreement[1].behind = {0.3, 0.03};
  m.agreement[2].behind = {0.4, 0.03};
  m.notes = {"attention of 1.1: a row holds NaN"};
  return m;
}

/// Every table and figure has a name of its own, and all renderings work.
void expect_sound(const Report& report) {
  std::set<std::string> ids;
  const auto take = [&](const std::string& id) { EXPECT_TRUE(ids.insert(id).second) << id; };
  for (const Figure& f : report.lead) take(f.id);
  for (const Section& s : report.sections) {
    for (const Figure& f : s.figures) take(f.id);
    for (const Table& t : s.tables) {
      take(t.id);
      for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.columns.size()) << t.id;
    }
  }
  EXPECT_FALSE(report.verdict.sentence.empty());
  EXPECT_THAT(render_html(report), HasSubstr("</html>"));
  EXPECT_FALSE(render_terminal(report).empty());
  EXPECT_FALSE(render_json(report).empty());
}

std::string sentence(const ClusterMeasures& m) {
  const Report report = clusters_report(m, kContext);
  expect_sound(report);
  return report.verdict.sentence;
}

TEST(ClustersPage, SaysWhatWasFound) {
  const Report report = clusters_report(measures(), kContext);
  expect_sound(report);
  EXPECT_EQ(report.verdict.basis, "measured on 3 windows of 22 tokens");
  EXPECT_THAT(
      report.verdict.evidence,
      ElementsAre("adjusted Rand index 0.50 ± 0.02 (97.5 % of random orders below 0.02); best baseline, "
                  "“same token”: 0.20 ± 0.03; the clusters: 4.5 a window, the largest holds 70 % of "
                  "the tokens"));
  EXPECT_THAT(report.not_measured, Contains(HasSubstr("1.1")));
  const std::string terminal = render_terminal(report);
  EXPECT_THAT(terminal, HasSubstr("19 → 7")) << "at 0.9, the threshold of the sweep nearest to 0.84";
  EXPECT_THAT(terminal, HasSubstr("0.1 (0.30)")) << "the hardest head of layer 0";
  const std::string heads = render_csv(report, "heads");
  EXPECT_THAT(heads, HasSubstr("\n0.1,0.3"));
  EXPECT_THAT(heads, HasSubstr("\n1.1,,")) << "nothing for a head that could not be measured";
  EXPECT_THAT(render_csv(report, "followed"), HasSubstr("[CLS],3,0.5,0.05,10"));
  EXPECT_THAT(render_csv(report, "agreement"), HasSubstr("same token,baseline,0.2"));
  EXPECT_THAT(render_csv(report, "agreement"), HasSubstr(",0.3,0.03\r\n")) << "how far it is behind";
}

TEST(ClustersPage, TheClaimIsNoStrongerThanTheNumbers) {
  ClusterMeasures m = measures();
  EXPECT_THAT(sentence(m), HasSubstr("better than simpler rules"));
  m.agreement[1].behind = {0.05, 0.03};
  EXPECT_THAT(sentence(m), HasSubstr("no better than “same token”")) << "0.05 more is within two errors";
  m.agreement[1].behind = {0.05, 0.01};
  EXPECT_THAT(sentence(m), HasSubstr("better than simpler rules")) << "the same 0.05 in nearly every window";
  m.agreement[2].behind = {0.4, 0.3};
  EXPECT_THAT(sentence(m), HasSubstr("no better than “blocks of positions”")) << "each rule is to be beaten";
  m.agreement[1].behind = {-0.1, 0.02};
  EXPECT_THAT(sentence(m), HasSubstr("no better than “same token”"));
  m.agreement[1].behind = {0.3, kUnknown};
  EXPECT_THAT(sentence(m), HasSubstr("but one window does not show that it is better than “same token”"));
  m.agreement[1].behind = {-0.1, kUnknown};
  EXPECT_THAT(sentence(m), HasSubstr("no better than “same token”"));
  m.agreement[0].p = 0.2;
  EXPECT_THAT(sentence(m), HasSubstr("no better than chance"));
  m.leaders = 19;
  EXPECT_THAT(sentence(m), HasSubstr("tells nothing of the last layer's clusters: 19 of 20 tokens lead"));
  m.agreement[0].p = 0.005;
  m.agreement[0].index = {-0.1, 0.02};
  EXPECT_THAT(sentence(m), HasSubstr("tells nothing")) << "worse than chance is no agreement";
  m.agreement[0].p = 1;
  m.agreement[0].null_high = kUnknown;
  EXPECT_THAT(sentence(m), HasSubstr("was not compared with chance"));
}

TEST(ClustersPage, WithoutAttentionOrAgreement) {
  ClusterMeasures m = measures();
  m.all.clear(), m.followed.clear();
  m.largest = m.targets = {};
  m.heads = 0;
  EXPECT_THAT(sentence(m), HasSubstr("better than simpler rules"));
  EXPECT_THAT(clusters_section(m).title, HasSubstr("Clusters a window of 20 tokens at cosine ≥ 0.9: 19 → 7"));
  m.agreement.clear();
  m.agreement_threshold = kUnknown;
  EXPECT_THAT(sentence(m), HasSubstr("Clusters a window")) << sentence(m);

  // All states after the last layer are broken, and one window leaves no errors.
  m = measures();
  m.agreement.clear();
  m.agreement_threshold = kUnknown;
  m.stream.back().valid = false;
  m.stream.back().count.assign(2, {});
  m.stream.back().largest.assign(2, {});
  m.stream.back().mean_cosine = {};
  for (LayerClusters& layer : m.stream)
    for (Estimate& e : layer.count) e.error = kUnknown;
  EXPECT_THAT(sentence(m), HasSubstr("largest weight is 0.40 ± 0.01"));
  EXPECT_THAT(render_terminal(clusters_report(m, kContext)), HasSubstr("19 → –"));
}

TEST(ClustersPage, ASectionOfADiagnosisHasItsOwnNames) {
  const Section section = clusters_section(measures(), "cluster-");
  EXPECT_EQ(section.id, "cluster-clusters");
  for (const Table& table : section.tables) EXPECT_THAT(table.id, HasSubstr("cluster-"));
  for (const Figure& figure : section.figures) EXPECT_THAT(figure.id, HasSubstr("cluster-"));
  EXPECT_EQ(clusters_key(measures()).value, "19 → 7");
  std::set<std::string> terms;
  for (const Definition& d : measure_definitions()) EXPECT_TRUE(terms.insert(d.term).second) << d.term;
}

}  // namespace
}  // namespace telos::clustering
