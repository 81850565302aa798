// Steps that act on each entry of a block alone.
#include <cmath>
#include <span>

#include "symmetry/kernel_parts.h"

namespace telos::symmetry {
namespace {

std::vector<double> inverse_roots(std::span<const double> variance, double epsilon) {
  std::vector<double> out;
  out.reserve(variance.size());
  for (const double v : variance) out.push_back(1 / std::sqrt(v + epsilon));
  return out;
}

void normalise_block(double epsilon, const Side& rows, const Side& cols, Block& block) {
  const std::vector<double> left = inverse_roots(rows.variance, epsilon),
                            right = inverse_roots(cols.variance, epsilon);
  for (Matrix<double>* m : {&block.k, &block.theta})
    for (std::size_t a = 0; a < m->rows(); ++a)
      for (std::size_t b = 0; b < m->cols(); ++b) (*m)(a, b) *= left[a] * right[b];
}

void add_blocks(const Block& from, Block& to) {
  for (std::size_t i = 0; i < to.k.size(); ++i) to.k.data()[i] += from.k.data()[i];
  for (std::size_t i = 0; i < to.theta.size(); ++i) to.theta.data()[i] += from.theta.data()[i];
}

void dense_layer(double weight, double bias, Block& block) {
  for (std::size_t i = 0; i < block.k.size(); ++i) block.k.data()[i] = weight * block.k.data()[i] + bias;
  for (std::size_t i = 0; i < block.theta.size(); ++i)
    block.theta.data()[i] = block.k.data()[i] + weight * block.theta.data()[i];
}

void series_row(const Side& rows, const Side& cols, std::size_t i, std::span<double> c,
                std::span<double> slopes) {
  const std::span<const double> h(rows.series.row(i), kSeriesTerms);
  for (std::size_t j = 0; j < c.size(); ++j) {
    const Transformed t = transform_series(h, std::span(cols.series.row(j), kSeriesTerms), rows.variance[i],
                                           cols.variance[j], c[j]);
    c[j] = t.value;
    if (!slopes.empty()) slopes[j] = t.slope;
  }
}

void activate_block(const Step& step, const Side& rows, const Side& cols, Block& block) {
  const std::size_t n = block.k.cols();
  std::vector<double> slopes(block.theta.empty() ? 0 : n);
  for (std::size_t i = 0; i < block.k.rows(); ++i) {
    const std::span<double> row(block.k.row(i), n);
    if (has_closed_form(step.phi))
      transform_row(step.phi, step.slope, rows.variance[i], cols.variance, row, slopes);
    else
      series_row(rows, cols, i, row, slopes);
    for (std::size_t j = 0; j < slopes.size(); ++j) block.theta(i, j) *= slopes[j];
  }
}

Block copy_of(const Block& block) {
  Block out;
  out.k = block.k.copy();
  out.theta = block.theta.copy();
  return out;
}

}  // namespace

void apply_entrywise(const Step& step, double epsilon, const Side& rows, const Side& cols, State& state) {
  switch (step.kind) {
    case Step::Kind::kSave:
      state.saved.push_back(copy_of(state.here));
      break;
    case Step::Kind::kAdd:
      add_blocks(state.saved.back(), state.here);
      state.saved.pop_back();
      break;
    case Step::Kind::kNorm:
      return normalise_block(epsilon, rows, cols, state.here);
    case Step::Kind::kDense:
      return dense_layer(step.weight, step.bias, state.here);
    case Step::Kind::kActivate:
      return activate_block(step, rows, cols, state.here);
    case Step::Kind::kAttend:
      break;
  }
}

}  // namespace telos::symmetry
