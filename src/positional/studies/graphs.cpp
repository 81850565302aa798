#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "positional/studies/parts.h"
#include "telos/base/error.h"

namespace telos::positional {
namespace {

constexpr std::size_t kFar = static_cast<std::size_t>(-1);
using Neighbours = std::vector<std::vector<std::size_t>>;

Neighbours neighbours(const SimpleGraph& graph) {
  Neighbours lists(graph.vertices);
  for (const auto& [u, v] : graph.edges) {
    const std::string edge = "edge " + std::to_string(u) + "-" + std::to_string(v);
    if (u >= graph.vertices || v >= graph.vertices)
      throw Error(ErrorKind::kUsage, edge, "the graph has " + std::to_string(graph.vertices) + " vertices");
    if (u == v) throw Error(ErrorKind::kUsage, edge, "a loop");
    lists[u].push_back(v);
    lists[v].push_back(u);
  }
  for (std::size_t u = 0; u < graph.vertices; ++u) {
    std::ranges::sort(lists[u]);
    const auto twice = std::ranges::adjacent_find(lists[u]);
    if (twice != lists[u].end())
      throw Error(ErrorKind::kUsage, "edge " + std::to_string(u) + "-" + std::to_string(*twice),
                  "given twice");
  }
  return lists;
}

void check_vertex(const SimpleGraph& graph, std::size_t vertex) {
  if (vertex >= graph.vertices)
    throw Error(ErrorKind::kUsage, "vertex " + std::to_string(vertex),
                "the graph has " + std::to_string(graph.vertices) + " vertices");
}

/// Distances from `start`, kFar where there is no path; `tree` receives the edges that were followed.
std::vector<std::size_t> search(const Neighbours& lists, std::size_t start,
                                std::vector<std::pair<std::size_t, std::size_t>>* tree = nullptr) {
  std::vector<std::size_t> distances(lists.size(), kFar), queue{start};
  distances[start] = 0;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const std::size_t u = queue[next];
    for (const std::size_t v : lists[u]) {
      if (distances[v] != kFar) continue;
      distances[v] = distances[u] + 1;
      queue.push_back(v);
      if (tree != nullptr) tree->emplace_back(u, v);
    }
  }
  return distances;
}

}  // namespace

SimpleGraph random_graph(std::size_t vertices, double p, Random& random) {
  if (!(p >= 0 && p <= 1))
    throw Error(ErrorKind::kUsage, "random graph",
                "the probability is " + std::to_string(p) + ", expected a number from 0 to 1");
  SimpleGraph graph{vertices, {}};
  for (std::size_t u = 0; u < vertices; ++u)
    for (std::size_t v = u + 1; v < vertices; ++v)
      if (random.uniform() < p) graph.edges.emplace_back(u, v);
  return graph;
}

std::vector<std::size_t> degrees(const SimpleGraph& graph) {
  std::vector<std::size_t> result;
  for (const auto& list : neighbours(graph)) result.push_back(list.size());
  return result;
}

std::vector<std::size_t> components(const SimpleGraph& graph) {
  const Neighbours lists = neighbours(graph);
  std::vector<std::size_t> labels(graph.vertices, kFar);
  for (std::size_t start = 0; start < graph.vertices; ++start) {
    if (labels[start] != kFar) continue;
    const auto distances = search(lists, start);
    for (std::size_t v = 0; v < graph.vertices; ++v)
      if (distances[v] != kFar) labels[v] = start;
  }
  return labels;
}

bool has_cycle(const SimpleGraph& graph) {
  // A forest has as many edges as vertices less components.
  return graph.edges.size() > spanning_forest(graph).size();
}

bool is_bipartite(const SimpleGraph& graph) {
  const Neighbours lists = neighbours(graph);
  const std::vector<std::size_t> labels = components(graph);
  std::vector<std::size_t> levels(graph.vertices);
  for (std::size_t v = 0; v < graph.vertices; ++v)
    if (labels[v] == v) {
      const auto distances = search(lists, v);
      for (std::size_t u = 0; u < graph.vertices; ++u)
        if (distances[u] != kFar) levels[u] = distances[u] % 2;
    }
  return std::ranges::none_of(graph.edges,
                              [&](const auto& edge) { return levels[edge.first] == levels[edge.second]; });
}

std::size_t triangles(const SimpleGraph& graph) {
  const Neighbours lists = neighbours(graph);
  std::size_t corners = 0;  // each triangle is found from each of its three edges
  std::vector<std::size_t> common;
  for (const auto& [u, v] : graph.edges) {
    common.clear();
    std::ranges::set_intersection(lists[u], lists[v], std::back_inserter(common));
    corners += common.size();
  }
  return corners / 3;
}

std::optional<std::size_t> distance(const SimpleGraph& graph, std::size_t from, std::size_t to) {
  check_vertex(graph, from);
  check_vertex(graph, to);
  const std::size_t edges = search(neighbours(graph), from)[to];
  if (edges == kFar) return std::nullopt;
  return edges;
}

std::size_t component_diameter(const SimpleGraph& graph, std::size_t vertex) {
  check_vertex(graph, vertex);
  const Neighbours lists = neighbours(graph);
  const auto member = search(lists, vertex);
  std::size_t largest = 0;
  for (std::size_t start = 0; start < graph.vertices; ++start) {
    if (member[start] == kFar) continue;
    for (const std::size_t edges : search(lists, start))
      if (edges != kFar) largest = std::max(largest, edges);
  }
  return largest;
}

std::vector<std::pair<std::size_t, std::size_t>> spanning_forest(const SimpleGraph& graph) {
  const Neighbours lists = neighbours(graph);
  std::vector<std::pair<std::size_t, std::size_t>> forest;
  const std::vector<std::size_t> labels = components(graph);
  for (std::size_t v = 0; v < graph.vertices; ++v)
    if (labels[v] == v) search(lists, v, &forest);
  return forest;
}

Matrix<double> graph_tokens(const SimpleGraph& graph, std::size_t first_argument,
                            std::size_t second_argument) {
  Matrix<double> tokens(graph.vertices + graph.edges.size() + 1, 3);
  std::size_t row = 0;
  const auto put = [&](std::size_t kind, std::size_t u, std::size_t v) {
    tokens(row, 0) = static_cast<double>(kind);
    tokens(row, 1) = static_cast<double>(u);
    tokens(row++, 2) = static_cast<double>(v);
  };
  for (std::size_t v = 0; v < graph.vertices; ++v) put(0, v, v);
  for (const auto& [u, v] : graph.edges) put(1, u, v);
  put(2, first_argument, second_argument);
  return tokens;
}

ConnectivityRun connect_by_jumping(const SimpleGraph& graph, Hooking hooking) {
  const Neighbours lists = neighbours(graph);
  ConnectivityRun run;
  run.labels.resize(graph.vertices);
  std::iota(run.labels.begin(), run.labels.end(), std::size_t{0});
  std::vector<std::size_t> least(graph.vertices), hooked, jumped(graph.vertices);
  for (bool changed = true; changed;) {
    for (std::size_t v = 0; v < graph.vertices; ++v) {
      least[v] = run.labels[v];
      for (const std::size_t u : lists[v]) least[v] = std::min(least[v], run.labels[u]);
    }
    hooked = least;
    for (std::size_t v = 0; hooking == Hooking::kParents && v < graph.vertices; ++v)
      hooked[run.labels[v]] = std::min(hooked[run.labels[v]], least[v]);
    for (std::size_t v = 0; v < graph.vertices; ++v) jumped[v] = hooked[hooked[v]];
    changed = jumped != run.labels;
    run.labels.swap(jumped);
    ++run.rounds;
  }
  return run;
}

namespace studies {
namespace {

/// A path through all vertices, in their order or in a random one.
SimpleGraph path(std::size_t vertices, Random* random) {
  std::vector<std::size_t> order(vertices);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = vertices; random != nullptr && i > 1; --i)
    std::swap(order[i - 1], order[random->below(static_cast<std::uint32_t>(i))]);
  SimpleGraph graph{vertices, {}};
  for (std::size_t i = 0; i + 1 < vertices; ++i) graph.edges.emplace_back(order[i], order[i + 1]);
  return graph;
}

}  // namespace

void run_graphs(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  constexpr std::size_t kGraphs = 400, kShuffles = 16;
  std::vector<std::uint8_t> right(kGraphs);
  arena.parallel_for(kGraphs, [&](std::size_t i) {
    Random random(seed, 0, i);
    const std::size_t vertices = 5 + random.below(16);
    const SimpleGraph graph = random_graph(vertices, random.uniform(), random);
    const auto exact = components(graph);
    right[i] = connect_by_jumping(graph).labels == exact &&
               connect_by_jumping(graph, Hooking::kParents).labels == exact;
  });
  const auto exact = static_cast<std::size_t>(std::ranges::count(right, 1));

  result.holds = exact == kGraphs;
  result.table = {"Rounds on a path, the last of which changes nothing",
                  {"vertices", "rising labels", "⌈log2(N + 1)⌉", "random labels, most of 16",
                   "random labels, parents hooked too, most of 16"},
                  {}};
  std::string rounds;
  for (const std::size_t vertices : {16u, 64u, 256u, 1024u}) {
    const std::size_t ordered = connect_by_jumping(path(vertices, nullptr)).rounds;
    const auto expected = static_cast<std::size_t>(std::bit_width(vertices));
    std::vector<std::size_t> plain(kShuffles), parents(kShuffles);
    arena.parallel_for(kShuffles, [&](std::size_t i) {
      Random random(seed, static_cast<std::uint32_t>(vertices), i);
      const SimpleGraph graph = path(vertices, &random);
      plain[i] = connect_by_jumping(graph).rounds;
      parents[i] = connect_by_jumping(graph, Hooking::kParents).rounds;
    });
    result.table.rows.push_back({static_cast<double>(vertices), static_cast<double>(ordered),
                                 static_cast<double>(expected), static_cast<double>(std::ranges::max(plain)),
                                 static_cast<double>(std::ranges::max(parents))});
    result.holds = result.holds && ordered == expected;
    rounds += (rounds.empty() ? "" : ", ") + std::to_string(ordered);
  }
  const std::vector<double>& last = result.table.rows.back();
  result.measured = fmt::format(
      "components of {} of {} random graphs found; paths of 16, 64, 256, 1024 vertices in {} rounds; with "
      "random "
      "labels {} rounds, {} if parents are hooked too",
      exact, kGraphs, rounds, last[3], last[4]);
  result.notes.push_back(
      "the logarithm belongs to labels that rise along the path: with random labels the rounds grow in "
      "proportion "
      "to the path, unless the parents' labels are lowered too");
}

}  // namespace studies
}  // namespace telos::positional
