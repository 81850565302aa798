// Sequences taken through all steps at once, for layers whose logits are drawn from the covariances of all of
// them.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "symmetry/kernel_samples.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

// ---- Steps on the block of a pair

void norm_pair(double epsilon, const StepCache& x, const StepCache& y, Block& block) {
  for (Matrix<double>* m : {&block.k, &block.theta})
    for (std::size_t a = 0; a < m->rows(); ++a)
      for (std::size_t c = 0; c < m->cols(); ++c)
        (*m)(a, c) /= std::sqrt((x.variance[a] + epsilon) * (y.variance[c] + epsilon));
}

void dense_pair(const Step& step, Block& block) {
  for (std::size_t i = 0; i < block.k.size(); ++i) {
    double& k = block.k.data()[i];
    k = step.weight * k + step.bias;
    if (!block.theta.empty()) block.theta.data()[i] = k + step.weight * block.theta.data()[i];
  }
}

void activate_pair(const Step& step, const StepCache& x, const StepCache& y, Block& block) {
  const std::size_t n = block.k.cols();
  std::vector<double> slopes(block.theta.empty() ? 0 : n);
  for (std::size_t a = 0; a < block.k.rows(); ++a) {
    const std::span<double> row(block.k.row(a), n);
    if (has_closed_form(step.phi)) {
      transform_row(step.phi, step.slope, x.variance[a], y.variance, row, slopes);
    } else {
      for (std::size_t c = 0; c < n; ++c) {
        const Transformed t =
            transform_series(std::span(x.series.row(a), kSeriesTerms),
                             std::span(y.series.row(c), kSeriesTerms), x.variance[a], y.variance[c], row[c]);
        row[c] = t.value;
        if (!slopes.empty()) slopes[c] = t.slope;
      }
    }
    for (std::size_t c = 0; c < slopes.size(); ++c) block.theta(a, c) *= slopes[c];
  }
}

void add_pair(const Block& from, Block& to) {
  for (std::size_t i = 0; i < to.k.size(); ++i) to.k.data()[i] += from.k.data()[i];
  for (std::size_t i = 0; i < to.theta.size(); ++i) to.theta.data()[i] += from.theta.data()[i];
}

Block embedded_pair(const Embedding& e, const SequenceCache& x, const SequenceCache& y, bool ntk) {
  Block out(x.tokens.size(), y.tokens.size(), ntk);
  const std::vector<double>& r = x.positions.size() > y.positions.size() ? x.positions : y.positions;
  for (std::size_t a = 0; a < out.k.rows(); ++a)
    for (std::size_t c = 0; c < out.k.cols(); ++c) {
      const double token = e.token * (x.tokens[a] == y.tokens[c]),
                   position = e.position * r[position_distance(x.places[a], y.places[c])];
      out.k(a, c) = token + position;
      if (ntk && e.trained) out.theta(a, c) = token + (e.positions == Positions::kSinusoidal ? 0 : position);
    }
  return out;
}

Block one_entry(const Block& block, std::size_t row, std::size_t col) {
  Block out(1, 1, !block.theta.empty());
  out.k(0, 0) = block.k(row, col);
  if (!block.theta.empty()) out.theta(0, 0) = block.theta(row, col);
  return out;
}

}  // namespace

double readout_mean(Readout readout, const Matrix<double>& k, Places x, Places y) {
  const auto lx = static_cast<double>(k.rows()), ly = static_cast<double>(k.cols());
  if (readout != Readout::kFlatten) return vec_sum<double>({k.data(), k.size()}) / (lx * ly);
  double sum = 0;
  for_shared_places(x, y, [&](std::size_t a, std::size_t b) { sum += k(a, b); });
  return sum / std::sqrt(lx * ly);
}

SampledRun::SampledRun(const KernelProgram& program, Caches sequences, const std::vector<Pair>& pairs,
                       std::size_t variant, bool ntk, const Arena& arena)
    : program_(program), sequences_(sequences), variant_(variant), ntk_(ntk), arena_(arena) {
  for (std::size_t i = 0; i < sequences.size(); ++i) items_.push_back({i, i, false, {}, {}});
  for (const auto& [x, y] : pairs) {
    wanted_.push_back(x == y ? x : items_.size());
    if (x != y)
      items_.push_back({x, y, ntk, {}, {}});
    else
      items_[x].ntk = ntk;
  }
}

void SampledRun::run() {
  const Architecture& a = program_.architecture;
  arena_.parallel_for(items_.size(), [&](std::size_t p) {
    Item& item = items_[p];
    item.here = embedded_pair(a.embedding, *sequences_[item.x], *sequences_[item.y], item.ntk);
    if (program_.selecting == program_.steps.size())
      item.here = one_entry(item.here, program_.row(item.here.k.rows()), program_.row(item.here.k.cols()));
  });
  for (std::size_t i = 0; i < program_.steps.size(); ++i) step(i);
  for (const std::size_t p : wanted_) {
    const Item& item = items_[p];
    const auto read = [&](const Matrix<double>& k) {
      return readout_mean(program_.architecture.readout, k, sequences_[item.x]->places,
                          sequences_[item.y]->places);
    };
    values_.push_back({read(item.here.k), ntk_ ? read(item.here.theta) : 0});
  }
}

void SampledRun::step(std::size_t i) {
  const Step& step = program_.steps[i];
  steps_.clear();
  steps_.resize(sequences_.size());
  for (std::size_t s = 0; s < sequences_.size(); ++s)
    prepare_step(program_, i, items_[s].here.k, sequences_[s]->places, steps_[s], rest_);
  if (step.kind == Step::Kind::kAttend) return attend(i);
  arena_.parallel_for(items_.size(), [&](std::size_t p) {
    Item& item = items_[p];
    const StepCache &x = steps_[item.x], &y = steps_[item.y];
    switch (step.kind) {
      case Step::Kind::kSave:
        item.saved.emplace_back();
        item.saved.back().k = item.here.k.copy();
        item.saved.back().theta = item.here.theta.copy();
        break;
      case Step::Kind::kAdd:
        add_pair(item.saved.back(), item.here);
        item.saved.pop_back();
        break;
      case Step::Kind::kNorm:
        return norm_pair(program_.architecture.epsilon, x, y, item.here);
      case Step::Kind::kDense:
        return dense_pair(step, item.here);
      case Step::Kind::kActivate:
        return activate_pair(step, x, y, item.here);
      case Step::Kind::kAttend:
        break;
    }
  });
}

AttentionSide SampledRun::side(std::size_t sequence, std::size_t i) const {
  const SequenceCache& s = *sequences_[sequence];
  return {steps_[sequence], s.places, i == program_.selecting ? program_.row(s.tokens.size()) : kNever};
}

void SampledRun::attend(std::size_t i) {
  const AttentionLayer& layer = program_.steps[i].attention;
  const bool trained = program_.architecture.embedding.trained;
  const bool random = layer.map == AttentionMap::kSoftmax && layer.scale == AttentionScale::kRoot;
  std::vector<SoftmaxSums> sums;
  if (random && i != program_.sampled) {
    sums.reserve(items_.size());
    for (const Item& item : items_)
      sums.emplace_back(layer, trained, side(item.x, i), side(item.y, i), item.here);
    draw_logits(i, sums);
  }
  arena_.parallel_for(items_.size(), [&](std::size_t p) {
    Item& item = items_[p];
    const AttentionSide x = side(item.x, i), y = side(item.y, i);
    if (i == program_.sampled) {
      SoftmaxSums own(layer, trained, x, y, item.here);
      const auto zeta_x = samples_of(program_, sequences_[item.x]->samples, variant_),
                 zeta_y = samples_of(program_, sequences_[item.y]->samples, variant_);
      for (std::size_t s = 0; s < zeta_x.size(); ++s) own.add(zeta_x[s], zeta_y[s]);
      item.here = own.finish();
    } else if (random) {
      item.here = sums[p].finish();
    } else {
      symmetry::attend(layer, trained, x, y, item.here);
    }
    if (i == program_.selecting)
      for (Block& block : item.saved) block = one_entry(block, x.row, y.row);
  });
}

namespace {

/// Tokens of all the rows, or columns, that are at work at once where samples are those of each sequence.
constexpr std::size_t kMostEntries = 1024;

bool before(const SequenceCache& x, const SequenceCache& y) {
  return std::tie(x.tokens, x.places) < std::tie(y.tokens, y.places);
}

/// A pair alone, in an order that does not depend on which one is the row.
Transformed joint_pair(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y,
                       std::size_t variant, bool ntk) {
  std::vector<const SequenceCache*> both = {&x};
  if (before(x, y)) both = {&x, &y};
  if (before(y, x)) both = {&y, &x};
  SampledRun run(program, both, {{0, both.size() - 1}}, variant, ntk, serial_arena());
  run.run();
  return run.values()[0];
}

/// Of rows and of columns, so that their blocks take little memory.
std::size_t sequences_at_once(Caches rows, Caches cols) {
  std::size_t longest = 1;
  for (const Caches side : {rows, cols})
    for (const SequenceCache* s : side) longest = std::max(longest, s->tokens.size());
  return std::clamp<std::size_t>(kMostEntries / longest, 1, 8);
}

/// The pairs of rows from `i` and columns from `j` on, `most` of each.
void few_pairs(const KernelProgram& program, Caches rows, Caches cols, std::size_t i, std::size_t j,
               std::size_t most, std::size_t variant, bool ntk, std::vector<Transformed>& values) {
  const Caches left = rows.subspan(i, std::min(most, rows.size() - i)),
               right = cols.subspan(j, std::min(most, cols.size() - j));
  std::vector<const SequenceCache*> all(left.begin(), left.end());
  all.insert(all.end(), right.begin(), right.end());
  std::vector<SampledRun::Pair> pairs;
  for (std::size_t a = 0; a < left.size(); ++a)
    for (std::size_t b = 0; b < right.size(); ++b) pairs.emplace_back(a, left.size() + b);
  SampledRun run(program, all, pairs, variant, ntk, serial_arena());
  run.run();
  for (std::size_t a = 0; a < left.size(); ++a)
    for (std::size_t b = 0; b < right.size(); ++b)
      values[(i + a) * cols.size() + j + b] = run.values()[a * right.size() + b];
}

}  // namespace

Block sampled_pairs(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk) {
  std::vector<Transformed> values;
  if (program.joint) {
    for (const SequenceCache* x : rows)
      for (const SequenceCache* y : cols) values.push_back(joint_pair(program, *x, *y, variant, ntk));
  } else {
    values.resize(rows.size() * cols.size());
    const std::size_t most = sequences_at_once(rows, cols);
    for (std::size_t i = 0; i < rows.size(); i += most)
      for (std::size_t j = 0; j < cols.size(); j += most)
        few_pairs(program, rows, cols, i, j, most, variant, ntk, values);
  }
  Block out(rows.size(), cols.size(), ntk);
  for (std::size_t p = 0; p < values.size(); ++p) {
    out.k.data()[p] = values[p].value;
    if (ntk) out.theta.data()[p] = values[p].slope;
  }
  return out;
}

double sampled_pair_bytes(const KernelProgram& program, double length) {
  if (program.joint) return joint_run_bytes(program, 2 * length);
  const double most = std::max<double>(kMostEntries, length);
  return 64 * most * most;
}

double joint_run_bytes(const KernelProgram& program, double positions) {
  // Of all positions with each other: blocks and copies of them, sums, their covariances and the factor.
  constexpr double kNngp = 48, kNtk = 88, kPieces = 128e6;
  return positions * positions * (program.options.ntk ? kNtk : kNngp) + kPieces;
}

}  // namespace telos::symmetry
