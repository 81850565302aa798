#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "clustering/soft_parts.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/base/philox.h"

namespace telos::clustering {
namespace {

constexpr const char* kDemoWhere = "demo";

struct Point {
  double x, y;
};

/// A row of the published figure: tokens that it fixes, and how the others are drawn.
struct FigureRow {
  const char* name;
  const char* description;
  std::vector<Point> fixed;
  std::size_t published;  ///< number of tokens in the figure
  /// Other token i is uniform in the square from low + shift to high + shift, shift = 0 for even i.
  double low, high, shift;
};

/// Figure 2 of arXiv 2407.01602: dynamics.ipynb of DCN-FAU-AvH/clustering-hardmax-transformers (CC0).
const std::vector<FigureRow>& figure_rows() {
  static const std::vector<FigureRow> kRows = {
      {"triangle",
       "three leaders, a triangle (published figure, row 1)",
       {{1, 1}, {0.5, -0.5}, {-1, -1}, {0.3, -0.2}, {0.1, -0.2}},
       9,
       0,
       1,
       -1},
      {"emerging-leader",
       "a token becomes a leader after one layer (published figure, row 2)",
       {{1, 4. / 12},
        {-1. / 12, 1. / 12},
        {-1, -1},
        {0, 3. / 12},
        {-0.3, -0.7},
        {-0.6, -0.9},
        {0.8, 0.1},
        {0.6, 0.15}},
       8,
       0,
       0,
       0},
      {"square",
       "four leaders, a square (published figure, row 3)",
       {{1, 1}, {1, -1}, {-1, -1}, {-1, 1}},
       10,
       -0.5,
       0.5,
       0},
      {"faces",
       "a square, and clusters at the origin's projections onto its faces (published figure, row 4)",
       {{1, 1}, {1, -1}, {-1, -1}, {-1, 1}, {-0.5, 0}, {0.5, 0}},
       10,
       -0.5,
       0.5,
       0}};
  return kRows;
}

struct Family {
  const char* name;
  const char* description;
  void (*draw)(std::span<double> token, std::size_t index, Random& random);
};

void draw_normal(std::span<double> token, std::size_t, Random& random) {
  for (double& x : token) x = random.normal();
}

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      {"gaussian", "independent N(0, I)", draw_normal},
      {"cube", "uniform in [−1, 1]^d",
       [](std::span<double> token, std::size_t, Random& random) {
         for (double& x : token) x = 2 * random.uniform() - 1;
       }},
      {"sphere", "uniform on the unit sphere: all norms are equal",
       [](std::span<double> token, std::size_t, Random& random) {
         draw_normal(token, 0, random);
         normalise_rows({token.data(), 1, token.size()});
       }},
      {"anisotropic", "independent normal, standard deviation 1/c in coordinate c = 1 … d",
       [](std::span<double> token, std::size_t, Random& random) {
         for (std::size_t c = 0; c < token.size(); ++c)
           token[c] = random.normal() / static_cast<double>(c + 1);
       }},
      {"shifted", "N(0, I) with 2 added to the first coordinate",
       [](std::span<double> token, std::size_t, Random& random) {
         draw_normal(token, 0, random);
         token[0] += 2;
       }},
      {"orthonormal", "the first n unit vectors, n ≤ d: on the sphere they stay equiangular",
       [](std::span<double> token, std::size_t index, Random&) { token[index] = 1; }}};
  return kFamilies;
}

Matrix<double> figure_tokens(const FigureRow& row, std::size_t n, std::size_t d, std::uint64_t seed) {
  const std::size_t tokens = n == 0 ? row.published : n, fixed = row.fixed.size();
  if (d != 0 && d != 2)
    throw Error(ErrorKind::kUsage, kDemoWhere,
                fmt::format("\"{}\" lies in the plane, d = {} was asked for", row.name, d));
  if (tokens < fixed || (tokens > fixed && row.published == fixed))
    throw Error(ErrorKind::kUsage, kDemoWhere,
                fmt::format("\"{}\" has {}{} tokens, {} were asked for", row.name, fixed,
                            row.published == fixed ? "" : " or more", tokens));
  require_memory(16 * static_cast<double>(tokens), kDemoWhere);
  Matrix<double> out(tokens, 2);
  for (std::size_t i = 0; i < fixed; ++i) out(i, 0) = row.fixed[i].x, out(i, 1) = row.fixed[i].y;
  for (std::size_t i = fixed; i < tokens; ++i) {
    Random random(seed, 0, i);
    const double shift = (i - fixed) % 2 == 0 ? 0 : row.shift;
    for (std::size_t c = 0; c < 2; ++c) out(i, c) = row.low + shift + (row.high - row.low) * random.uniform();
  }
  return out;
}

Matrix<double> family_tokens(const Family& family, std::size_t n, std::size_t d, std::uint64_t seed) {
  const bool orthonormal = std::string_view(family.name) == "orthonormal";
  const std::size_t tokens = n == 0 ? (orthonormal ? 8 : 200) : n;
  const std::size_t width = d == 0 ? (orthonormal ? tokens : 2) : d;
  if (orthonormal && tokens > width)
    throw Error(ErrorKind::kUsage, kDemoWhere,
                fmt::format("{} tokens cannot be orthonormal in dimension {}", tokens, width));
  require_memory(8 * static_cast<double>(tokens) * static_cast<double>(width), kDemoWhere);
  Matrix<double> out(tokens, width);
  for (std::size_t i = 0; i < tokens; ++i) {
    Random random(seed, 0, i);
    family.draw({out.row(i), width}, i, random);
  }
  return out;
}

}  // namespace

DemoTokens demo_tokens(std::string_view name, std::size_t n, std::size_t d, std::uint64_t seed) {
  DemoTokens demo;
  for (const FigureRow& row : figure_rows())
    if (row.name == name) return {figure_tokens(row, n, d, seed), 0.5, row.description};
  for (const Family& family : families())
    if (family.name == name) return {family_tokens(family, n, d, seed), 0.5, family.description};
  std::string known;
  for (const auto& [known_name, text] : demo_names()) known += (known.empty() ? "" : ", ") + known_name;
  throw Error(ErrorKind::kUsage, kDemoWhere, "no such tokens: \"" + printable(name) + "\"",
              "known are " + known);
}

std::vector<std::pair<std::string, std::string>> demo_names() {
  std::vector<std::pair<std::string, std::string>> names;
  for (const FigureRow& row : figure_rows()) names.emplace_back(row.name, row.description);
  for (const Family& family : families()) names.emplace_back(family.name, family.description);
  return names;
}

}  // namespace telos::clustering
