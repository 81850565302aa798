#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "clustering/soft_parts.h"
#include "telos/base/log.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kTile = 64;  ///< rows of scores that exist at once, a thread

double norm(std::span<const double> row) {
  double square = 0;
  for (const double x : row) square += x * x;
  return std::sqrt(square);
}

/// The largest number of a row; four at a time, because a chain of comparisons waits for itself.
double largest(std::span<const double> row) {
  constexpr std::size_t kLanes = 4;
  std::array<double, kLanes> best;
  best.fill(row[0]);
  std::size_t j = 0;
  for (; j + kLanes <= row.size(); j += kLanes)
    for (std::size_t l = 0; l < kLanes; ++l) best[l] = std::max(best[l], row[j + l]);
  for (; j < row.size(); ++j) best[0] = std::max(best[0], row[j]);
  return *std::max_element(best.begin(), best.end());
}

double largest_norm(ConstMatrixView<double> x) {
  double most = 0;
  for (std::size_t i = 0; i < x.rows(); ++i) most = std::max(most, norm({x.row(i), x.cols()}));
  return most;
}

/// Bound of a score's rounding error over ‖q‖·‖k‖, twice for a difference of two.
double score_rounding(std::size_t dimension) {
  return static_cast<double>(dimension + 2) * std::numeric_limits<double>::epsilon();
}

/// Scores of some rows, and ‖q‖·max‖k‖ of each.
template <class Visit>
void visit_score_rows(ConstMatrixView<double> queries, ConstMatrixView<double> keys, const Arena& arena,
                      const Visit& visit) {
  const std::size_t n = queries.rows(), d = queries.cols();
  const double radius = largest_norm(keys);
  arena.parallel_for((n + kTile - 1) / kTile, [&](std::size_t tile) {
    check_interrupt();
    const std::size_t first = tile * kTile, rows = std::min(kTile, n - first);
    const ConstMatrixView<double> q = queries.block(first, 0, rows, d);
    Matrix<double> scores(rows, keys.rows());
    gemm<double>(Op::kPlain, Op::kTransposed, 1, q, keys, 0, scores.view(), arena);
    std::vector<double> reach(rows);
    for (std::size_t i = 0; i < rows; ++i) reach[i] = norm({q.row(i), d}) * radius;
    visit(first, scores, reach);
  });
}

/// Scores → weights that are still to be divided by what is returned.
double weigh(std::span<double> row, const WeightRule& rule, double reach, double rounding) {
  if (rule.kind == WeightRule::Kind::kExponential) {
    for (double& s : row) s *= rule.scale;
    vec_exp<double>(row, row);
    return static_cast<double>(row.size());
  }
  const double best = largest(row);
  if (rule.kind == WeightRule::Kind::kBand) {
    const double band = (rule.band + rounding) * reach;
    for (double& s : row) s = best - s <= band ? 1 : 0;
  } else {
    const double tie = rounding * reach;
    for (double& s : row) s = best - s <= tie ? 0 : rule.scale * (s - best);
    vec_exp<double>(row, row);
  }
  return vec_sum<double>(row);
}

}  // namespace

void attend(ConstMatrixView<double> queries, ConstMatrixView<double> keys, ConstMatrixView<double> values,
            const WeightRule& rule, MatrixView<double> out, const Arena& arena) {
  const double rounding = score_rounding(queries.cols());
  visit_score_rows(queries, keys, arena,
                   [&](std::size_t first, Matrix<double>& scores, const std::vector<double>& reach) {
                     const std::size_t rows = scores.rows(), n = scores.cols(), width = values.cols();
                     std::vector<double> total(rows);
                     for (std::size_t i = 0; i < rows; ++i)
                       total[i] = weigh({scores.row(i), n}, rule, reach[i], rounding);
                     const MatrixView<double> part = out.block(first, 0, rows, width);
                     gemm<double>(Op::kPlain, Op::kPlain, 1, scores, values, 0, part, arena);
                     for (std::size_t i = 0; i < rows; ++i)
                       for (std::size_t c = 0; c < width; ++c) part(i, c) /= total[i];
                   });
}

bool is_saturated(ConstMatrixView<double> queries, ConstMatrixView<double> keys, double scale,
                  const Arena& arena) {
  constexpr double kBehind = 700;  // e^−700 is nothing beside 1
  const double rounding = score_rounding(queries.cols());
  std::vector<char> hard(queries.rows(), 1);
  visit_score_rows(queries, keys, arena,
                   [&](std::size_t first, Matrix<double>& scores, const std::vector<double>& reach) {
                     for (std::size_t i = 0; i < scores.rows(); ++i) {
                       const std::span<double> row{scores.row(i), scores.cols()};
                       const double best = largest(row);
                       hard[first + i] = std::all_of(row.begin(), row.end(), [&](double s) {
                         return best - s <= rounding * reach[i] || scale * (best - s) > kBehind;
                       });
                     }
                   });
  return std::all_of(hard.begin(), hard.end(), [](char h) { return h != 0; });
}

}  // namespace telos::clustering
