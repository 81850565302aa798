#include "symmetry/kernel_pair.h"

#include <algorithm>
#include <utility>

namespace telos::symmetry {
namespace {

Side side_of(const StepCache& cache) {
  return {cache.variance, cache.series.view()};
}

void select_entry(Block& block, std::size_t row_x, std::size_t row_y) {
  Block out(1, 1, !block.theta.empty());
  out.k(0, 0) = block.k(row_x, row_y);
  if (!block.theta.empty()) out.theta(0, 0) = block.theta(row_x, row_y);
  block = std::move(out);
}

}  // namespace

std::size_t PairRun::start() {
  if (program_.featured == kNever) {
    state_.here = embedded();
    return 0;
  }
  const FeaturedInput in = featured_input(program_);
  state_.here = attend_features(program_.steps[program_.featured].attention, in.here,
                                program_.architecture.embedding.trained, ntk_,
                                feature_sums(program_, x_, y_, variant_));
  for (const EmbeddingForm& form : in.saved) state_.saved.push_back(embedded(form));
  return program_.featured + 1;
}

void PairRun::step(std::size_t i) {
  const Step& step = program_.steps[i];
  const StepCache &cx = x_.steps[variant_][i], &cy = y_.steps[variant_][i];
  if (step.kind != Step::Kind::kAttend) {
    apply_entrywise(step, program_.architecture.epsilon, side_of(cx), side_of(cy), state_);
    return;
  }
  const bool selects = i == program_.selecting;
  const std::size_t row_x = selects ? program_.row(x_.tokens.size()) : kNever,
                    row_y = selects ? program_.row(y_.tokens.size()) : kNever;
  attend(step.attention, program_.architecture.embedding.trained, cx, cy, row_x, row_y, state_.here);
  if (selects)
    for (Block& block : state_.saved) select_entry(block, row_x, row_y);
}

/// covariance(equal tokens, distance) is K and Θ of two positions.
template <class Covariance>
Block PairRun::filled(bool one_row, const Covariance& covariance) const {
  const std::size_t lx = x_.tokens.size(), ly = y_.tokens.size();
  Block out(one_row ? 1 : lx, one_row ? 1 : ly, ntk_);
  for (std::size_t i = 0; i < out.k.rows(); ++i)
    for (std::size_t j = 0; j < out.k.cols(); ++j) {
      const std::size_t a = one_row ? program_.row(lx) : i, b = one_row ? program_.row(ly) : j;
      const auto [k, theta] = covariance(x_.tokens[a] == y_.tokens[b], a > b ? a - b : b - a);
      out.k(i, j) = k;
      if (ntk_) out.theta(i, j) = theta;
    }
  return out;
}

Block PairRun::embedded(const EmbeddingForm& form) const {
  return filled(program_.selecting == program_.featured, [&](bool equal, std::size_t t) {
    return std::pair{form.token * equal + form.position * (t == 0),
                     form.token_theta * equal + form.position_theta * (t == 0)};
  });
}

Block PairRun::embedded() const {
  const Embedding& e = program_.architecture.embedding;
  const std::vector<double>& positions =
      x_.positions.size() > y_.positions.size() ? x_.positions : y_.positions;
  const bool trained_positions = e.positions != Positions::kSinusoidal;
  return filled(program_.selecting == program_.steps.size(), [&](bool equal, std::size_t t) {
    const double token = e.token * equal, position = e.position * positions[t];
    return std::pair{token + position, e.trained ? token + (trained_positions ? position : 0) : 0.0};
  });
}

/// Three weights and the embeddings that come in make as many equal terms of the NTK.
Transformed simplified_kernel(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y) {
  const SimplifiedBlock& block = *program.architecture.simplified;
  const std::size_t query = block.query;
  const double token = block.token, position = block.position;
  const std::size_t lx = x.tokens.size() - query, ly = y.tokens.size() - query, shared = std::min(lx, ly);
  double products = 0;
  for (std::size_t i = 0, j = 0; i < x.distinct.size() && j < y.distinct.size();) {
    const Token u = x.distinct[i], v = y.distinct[j];
    if (u == v) products += x.counts[i] * y.counts[j];
    i += u <= v;
    j += v <= u;
  }
  std::size_t matches = 0;
  for (std::size_t b = 0; b < shared; ++b) matches += x.tokens[b] == y.tokens[b];
  double k = token * token * products + 2 * token * position * static_cast<double>(matches) +
             position * position * static_cast<double>(shared);
  k *= average_factor(block.average, static_cast<double>(lx), static_cast<double>(ly));
  if (query) k *= token * (x.tokens.back() == y.tokens.back()) + position * (lx == ly);
  const double terms = 3 + (program.architecture.embedding.trained ? 2 + static_cast<double>(query) : 0);
  return {k, terms * k};
}

}  // namespace telos::symmetry
