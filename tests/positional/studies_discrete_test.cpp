// Studies of whole numbers: contextual counting, graphs, hops.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "tests/positional/studies_support.h"

namespace telos::positional {
namespace {

using namespace test_studies;
using ::testing::ElementsAre;

// ---- Contextual counting

TEST(ContextualCount, PublishedExample) {
  const ContextualCount c = contextual_count("01[101]0[11]1[0][1110]");
  EXPECT_THAT(c.counts, ElementsAre(2u, 2u, 0u, 3u));
  const std::vector<double> opened{1,      1,      1,   .5,  .5,  .5, .5, .5, .5, 1. / 3, 1. / 3, 1. / 3,
                                   1. / 3, 1. / 3, .25, .25, .25, .2, .2, .2, .2, .2,     .2};
  ASSERT_EQ(c.opened.size(), opened.size());
  for (std::size_t i = 0; i < opened.size(); ++i) EXPECT_DOUBLE_EQ(c.opened[i], opened[i]) << i;
  const std::vector<double> inside{0, 0, 0,      .5,     .5, .5,   .5,   0,    0,    .25,  .25, .25,
                                   0, 0, 1. / 6, 1. / 6, 0,  .125, .125, .125, .125, .125, 0};
  for (std::size_t i = 0; i < inside.size(); ++i) EXPECT_DOUBLE_EQ(c.inside[i], inside[i]) << i;
  ASSERT_EQ(c.output.size(), 4u);
  EXPECT_DOUBLE_EQ(c.output[3], .25);
  EXPECT_TRUE(contextual_count("0101").counts.empty());
  EXPECT_TRUE(contextual_count("").counts.empty());
}

/// Causal uniform attention to the tokens of a set, as softmax with scores 0 and −∞ would do.
TEST(ContextualCount, HeadsAreUniformAttention) {
  Random random(4);
  const std::string tokens = counting_string(200, 9, random);
  const ContextualCount c = contextual_count(tokens);
  for (std::size_t i = 0; i <= tokens.size(); ++i) {
    double a_sum = 1, a_count = 1, b_sum = 0, b_count = 1;  // BOS
    for (std::size_t j = 1; j <= i; ++j) {
      a_count += tokens[j - 1] == '[';
      b_count += tokens[j - 1] == '[' || tokens[j - 1] == ']';
      b_sum += tokens[j - 1] == '[' ? 1 : tokens[j - 1] == ']' ? -1 : 0;
    }
    EXPECT_DOUBLE_EQ(c.opened[i], a_sum / a_count);
    EXPECT_DOUBLE_EQ(c.inside[i], b_sum / b_count);
  }
}

TEST(ContextualCount, StringsHaveTheirRegions) {
  Random random(5);
  for (const std::size_t regions : {0u, 1u, 3u, 32u}) {
    const std::string tokens = counting_string(64, regions, random);
    EXPECT_EQ(tokens.size(), 64u);
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(tokens, '[')), regions);
    EXPECT_EQ(contextual_count(tokens).counts.size(), regions);
  }
  expect_error(ErrorKind::kUsage, "do not fit", [&] { counting_string(5, 3, random); });
  expect_error(ErrorKind::kUsage, "token 2: expected 0, 1", [] { contextual_count("01x"); });
  expect_error(ErrorKind::kUsage, "token 2: '[' inside", [] { contextual_count("[0["); });
  expect_error(ErrorKind::kUsage, "token 0: ']' outside", [] { contextual_count("]"); });
  expect_error(ErrorKind::kUsage, "not closed", [] { contextual_count("0[1"); });
}

// ---- Graphs

const SimpleGraph kGraph{8, {{0, 1}, {1, 2}, {2, 0}, {2, 3}, {4, 5}, {5, 6}, {3, 7}}};

TEST(Graphs, OracleGraph) {
  EXPECT_THAT(degrees(kGraph), ElementsAre(2u, 2u, 3u, 2u, 1u, 2u, 1u, 1u));
  EXPECT_THAT(components(kGraph), ElementsAre(0u, 0u, 0u, 0u, 4u, 4u, 4u, 0u));
  EXPECT_EQ(connect_by_jumping(kGraph).labels, components(kGraph));
  EXPECT_TRUE(has_cycle(kGraph));
  EXPECT_FALSE(is_bipartite(kGraph));
  EXPECT_EQ(triangles(kGraph), 1u);
  EXPECT_EQ(distance(kGraph, 0, 7), std::optional<std::size_t>(3));
  EXPECT_EQ(distance(kGraph, 0, 6), std::nullopt);
  EXPECT_EQ(component_diameter(kGraph, 1), 3u);
  EXPECT_EQ(spanning_forest(kGraph).size(), 6u);
  const Matrix<double> tokens = graph_tokens(kGraph, 0, 7);
  EXPECT_EQ(tokens.rows(), 16u);
  expect_rows(tokens.view().block(15, 0, 1, 3), {{2, 0, 7}}, 0);
  expect_rows(tokens.view().block(8, 0, 1, 3), {{1, 0, 1}}, 0);
}

/// All graphs of 5 vertices, against definitions that need no search: powers of the adjacency matrix.
TEST(Graphs, AllOfFiveVertices) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t u = 0; u < 5; ++u)
    for (std::size_t v = u + 1; v < 5; ++v) pairs.emplace_back(u, v);
  for (unsigned bits = 0; bits < 1024; ++bits) {
    SimpleGraph graph{5, {}};
    for (std::size_t e = 0; e < 10; ++e)
      if ((bits >> e & 1) != 0) graph.edges.push_back(pairs[e]);
    std::size_t walks[6][5][5] = {};
    for (std::size_t i = 0; i < 5; ++i) walks[0][i][i] = 1;
    for (std::size_t step = 1; step < 6; ++step)
      for (std::size_t i = 0; i < 5; ++i)
        for (const auto& [u, v] : graph.edges) {
          walks[step][i][v] += walks[step - 1][i][u];
          walks[step][i][u] += walks[step - 1][i][v];
        }
    std::size_t closed = 0, odd = 0, parts = 0;
    for (std::size_t i = 0; i < 5; ++i) {
      closed += walks[3][i][i];
      odd += walks[1][i][i] + walks[3][i][i] + walks[5][i][i];
      bool first = true;
      for (std::size_t j = 0; j < 5; ++j) {
        std::optional<std::size_t> expected;
        for (std::size_t step = 5; step-- > 0;)
          if (walks[step][i][j] != 0) expected = step;
        EXPECT_EQ(distance(graph, i, j), expected);
        if (j < i && expected) first = false;
      }
      parts += first;
    }
    EXPECT_EQ(triangles(graph), closed / 6);
    EXPECT_EQ(is_bipartite(graph), odd == 0);
    EXPECT_EQ(spanning_forest(graph).size(), 5 - parts);
    EXPECT_EQ(has_cycle(graph), graph.edges.size() > 5 - parts);
    EXPECT_EQ(connect_by_jumping(graph).labels, components(graph));
    EXPECT_EQ(connect_by_jumping(graph, Hooking::kParents).labels, components(graph));
  }
}

TEST(Graphs, RoundsOnAPath) {
  std::vector<std::size_t> rounds;
  for (const std::size_t n : {16u, 64u, 256u, 1024u}) {
    SimpleGraph path{n, {}};
    for (std::size_t i = 0; i + 1 < n; ++i) path.edges.emplace_back(i, i + 1);
    const ConnectivityRun run = connect_by_jumping(path);
    EXPECT_EQ(run.labels, std::vector<std::size_t>(n, 0));
    rounds.push_back(run.rounds);
  }
  EXPECT_THAT(rounds, ElementsAre(5u, 7u, 9u, 11u));
}

TEST(Graphs, RandomGraphsHaveTheirDensity) {
  Random random(6);
  double edges = 0;
  for (int i = 0; i < 200; ++i) edges += static_cast<double>(random_graph(20, .3, random).edges.size());
  EXPECT_NEAR(edges / 200, 57, 5 * std::sqrt(190 * .3 * .7 / 200));
  EXPECT_TRUE(random_graph(4, 0, random).edges.empty());
  EXPECT_EQ(random_graph(4, 1, random).edges.size(), 6u);
}

TEST(Graphs, Refusals) {
  Random random(1);
  expect_error(ErrorKind::kUsage, "from 0 to 1", [&] { random_graph(3, 1.5, random); });
  expect_error(ErrorKind::kUsage, "edge 0-3: the graph has 3", [] { degrees({3, {{0, 3}}}); });
  expect_error(ErrorKind::kUsage, "edge 1-1: a loop", [] { components({3, {{1, 1}}}); });
  expect_error(ErrorKind::kUsage, "given twice", [] { triangles({3, {{0, 1}, {1, 0}}}); });
  expect_error(ErrorKind::kUsage, "vertex 3", [] { distance({3, {}}, 0, 3); });
  expect_error(ErrorKind::kUsage, "vertex 9", [] { component_diameter({3, {}}, 9); });
}

// ---- Hops

TEST(Hops, PublishedStrings) {
  const std::string text = "abacabcabdacbadb";
  EXPECT_THAT(find_hops(text, 1), ElementsAre(0, 0, 2, 0, 4, 3, 5, 6, 7, 0, 9, 8, 10, 12, 11, 14));
  EXPECT_EQ(hop_string(text, 0), text);
  EXPECT_EQ(hop_string(text, 1), "~~b~caabc~badcaa");
  EXPECT_EQ(hop_string(text, 2), "~~~~~bcaa~cb~abc");
  EXPECT_EQ(hop_string(text, 3), "~~~~~~~bc~aa~bca");
  EXPECT_EQ(hop_string(text, 4), "~~~~~~~~~~cb~aab");
  EXPECT_EQ(hop_string(text, 5), "~~~~~~~~~~~~~bca");
  const auto [input, target] = hop_sample(text, 2);
  EXPECT_EQ(input, "2abacabcabdacba");
  EXPECT_EQ(target, "_~~~~~bcaa~cb~a");
}

TEST(Hops, DefinitionAndDoubling) {
  Random random(7);
  for (int trial = 0; trial < 60; ++trial) {
    std::string text;
    for (std::size_t i = 0; i < 1 + random.below(60); ++i) text += static_cast<char>('a' + random.below(4));
    // find¹ by its definition, positions from 1.
    std::vector<std::size_t> f(text.size() + 1, 0);
    for (std::size_t i = 1; i <= text.size(); ++i)
      for (std::size_t j = 2; j <= i; ++j)
        if (text[j - 2] == text[i - 1]) f[i] = j;
    std::vector<std::size_t> expected(text.size());
    std::iota(expected.begin(), expected.end(), std::size_t{1});
    for (std::size_t k = 0; k <= 20; ++k) {
      EXPECT_EQ(find_hops(text, k), expected) << text << " " << k;
      EXPECT_EQ(find_hops_by_doubling(text, k).positions, expected) << text << " " << k;
      for (std::size_t& position : expected) position = f[position];
    }
  }
  EXPECT_EQ(find_hops("aaaa", static_cast<std::size_t>(-1)), (std::vector<std::size_t>{0, 2, 3, 4}))
      << "equal neighbours point to themselves, and so many hops end";
  EXPECT_TRUE(find_hops("", 3).empty());
  EXPECT_EQ(hop_sample("a", 1).first, "1");
}

TEST(Hops, RoundsAreTheLogarithm) {
  for (std::size_t k = 2; k <= 1000; ++k)
    EXPECT_EQ(find_hops_by_doubling("ab", k).rounds, static_cast<std::size_t>(std::ceil(std::log2(k)))) << k;
  EXPECT_EQ(find_hops_by_doubling("ab", 0).rounds, 0u);
  EXPECT_EQ(find_hops_by_doubling("ab", 1).rounds, 0u);
}

}  // namespace
}  // namespace telos::positional
