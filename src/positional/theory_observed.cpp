#include <algorithm>
#include <array>
#include <cmath>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/positional/theory.h"

namespace telos::positional {
namespace {

/// Share of the way from one input to another that a pair lies apart: from derivatives to the whole ball.
constexpr std::array<double, 4> kSteps{1e-4, 1e-2, 0.3, 1};

/// Rows uniform in direction and uniform in length up to `norm`, or at `norm` for every other draw.
void draw_rows(Random& random, std::size_t width, double norm, std::span<double> rows) {
  const bool boundary = random.below(2) == 1;
  for (std::size_t begin = 0; begin < rows.size(); begin += width) {
    double squares = 0;
    for (std::size_t j = 0; j < width; ++j) {
      rows[begin + j] = random.normal();
      squares += rows[begin + j] * rows[begin + j];
    }
    const double length = norm * (boundary ? 1 : random.uniform());
    for (std::size_t j = 0; j < width; ++j) rows[begin + j] *= squares > 0 ? length / std::sqrt(squares) : 0;
  }
}

double largest_row(std::span<const double> a, std::span<const double> b, std::size_t width) {
  double largest = 0;
  for (std::size_t begin = 0; begin < a.size(); begin += width) {
    double squares = 0;
    for (std::size_t j = begin; j < begin + width; ++j) squares += (a[j] - b[j]) * (a[j] - b[j]);
    largest = std::max(largest, std::sqrt(squares));
  }
  return largest;
}

}  // namespace

double observed_lipschitz(const Model& model, double input_norm, std::size_t pairs, std::uint64_t seed,
                          const Arena& arena) {
  const ModelConfig& config = model.config;
  if (config.vocabulary > 0)
    throw Error(ErrorKind::kUsage, "observed Lipschitz quotient", "tokens cannot be perturbed");
  const std::size_t numbers = config.positions() * config.in_dim;
  Matrix<double> x(2 * pairs, numbers);
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    Random random(seed, 0, pair);
    const std::span<double> a(x.row(2 * pair), numbers), b(x.row(2 * pair + 1), numbers);
    draw_rows(random, config.in_dim, input_norm, a);
    draw_rows(random, config.in_dim, input_norm, b);
    const double step = kSteps[pair % kSteps.size()];
    for (std::size_t i = 0; i < numbers; ++i) b[i] = a[i] + step * (b[i] - a[i]);
  }
  const Matrix<double> y = evaluate<double>(model, x, config.nodes, arena);
  double largest = 0;
  for (std::size_t pair = 0; pair < pairs; ++pair) {
    const double moved =
        largest_row({x.row(2 * pair), numbers}, {x.row(2 * pair + 1), numbers}, config.in_dim);
    if (moved == 0) continue;
    largest = std::max(
        largest,
        largest_row({y.row(2 * pair), y.cols()}, {y.row(2 * pair + 1), y.cols()}, config.out_dim) / moved);
  }
  return largest;
}

}  // namespace telos::positional
