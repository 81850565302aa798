#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "clustering/soft_parts.h"
#include "telos/base/log.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::clustering {
namespace {

bool is_near(const double* a, const double* b, std::size_t d, double square) {
  double sum = 0;
  for (std::size_t c = 0; c < d && sum <= square; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
  return sum <= square;
}

}  // namespace

void normalise_rows(MatrixView<double> x) {
  for (std::size_t i = 0; i < x.rows(); ++i) {
    const std::span<double> row{x.row(i), x.cols()};
    double most = 0;
    for (const double value : row) most = std::max(most, std::abs(value));
    if (most > 1e100 || most < 1e-100)  // keep the squares in range
      for (double& value : row) value /= most;
    double square = 0;
    for (const double value : row) square += value * value;
    const double norm = std::sqrt(square);
    for (double& value : row) value /= norm;
  }
}

std::vector<std::size_t> components(ConstMatrixView<double> x, double distance) {
  const std::size_t n = x.rows(), d = x.cols();
  const double square = distance * distance;
  std::vector<std::size_t> component(n), rest(n), reached;
  std::iota(rest.begin(), rest.end(), std::size_t{0});
  // Tokens that no component has yet stand in `rest`, ascending; each token reached looks for its
  // neighbours among them.
  for (std::size_t count = 0; !rest.empty(); ++count) {
    reached = {rest.front()};
    rest.erase(rest.begin());
    for (std::size_t at = 0; at < reached.size(); ++at) {
      component[reached[at]] = count;
      const double* here = x.row(reached[at]);
      const auto near = std::stable_partition(
          rest.begin(), rest.end(), [&](std::size_t j) { return !is_near(here, x.row(j), d, square); });
      reached.insert(reached.end(), near, rest.end());
      rest.erase(near, rest.end());
    }
  }
  return component;
}

SphereState sphere_state(ConstMatrixView<double> x, double beta, bool energy, const Arena& arena) {
  constexpr std::size_t kRowsAtOnce = 64;
  const std::size_t n = x.rows(), d = x.cols();
  std::vector<double> least(n), sums(n);
  arena.parallel_for((n + kRowsAtOnce - 1) / kRowsAtOnce, [&](std::size_t tile) {
    check_interrupt();
    const std::size_t first = tile * kRowsAtOnce, rows = std::min(kRowsAtOnce, n - first);
    Matrix<double> gram(rows, n);
    gemm<double>(Op::kPlain, Op::kTransposed, 1, x.block(first, 0, rows, d), x, 0, gram.view(), arena);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::span<double> row{gram.row(i), n};
      least[first + i] = *std::min_element(row.begin(), row.end());
      if (!energy) continue;
      if (beta > 0) {
        for (double& g : row) g *= beta;
        vec_exp<double>(row, row);
      }
      sums[first + i] = vec_sum<double>(row);
    }
  });
  SphereState state;
  state.smallest_cosine = *std::min_element(least.begin(), least.end());
  const double pairs = static_cast<double>(n) * static_cast<double>(n);
  state.energy = std::accumulate(sums.begin(), sums.end(), 0.0) / (2 * (beta > 0 ? beta : 1) * pairs);
  return state;
}

}  // namespace telos::clustering
