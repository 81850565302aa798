// Sequences taken through all steps at once, for layers whose logits are drawn from the covariances of all of
// them.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "symmetry/kernel_samples.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kJointStream = 0x53794B03;

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
      const std::size_t p = x.places[a], q = y.places[c];
      const double token = e.token * (x.tokens[a] == y.tokens[c]),
                   position = e.position * r[p > q ? p - q : q - p];
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

// ---- Logits

/// A with A Aᵀ = k for positive semidefinite k, but for a relative rest of 1e-12: Cholesky with pivots, so
/// that equal tokens and nearly equal ones are no trouble. As many columns as k has rank.
Matrix<double> semidefinite_factor(const Matrix<double>& k) {
  constexpr double kRest = 1e-12;
  const std::size_t n = k.rows();
  std::vector<double> rest(n);
  for (std::size_t i = 0; i < n; ++i) rest[i] = k(i, i);
  const double least = kRest * *std::max_element(rest.begin(), rest.end());
  std::vector<bool> done(n, false);
  Matrix<double> a(n, n);
  std::size_t rank = 0;
  for (; rank < n; ++rank) {
    const auto pivot = static_cast<std::size_t>(std::max_element(rest.begin(), rest.end()) - rest.begin());
    if (!(rest[pivot] > least)) break;
    const double root = std::sqrt(rest[pivot]);
    done[pivot] = true;
    const std::span<const double> above(a.row(pivot), rank);
    for (std::size_t i = 0; i < n; ++i) {
      if (done[i] && i != pivot) continue;
      a(i, rank) = i == pivot ? root : (k(i, pivot) - vec_dot<double>({a.row(i), rank}, above)) / root;
      rest[i] -= a(i, rank) * a(i, rank);
    }
    rest[pivot] = 0;
    if (rank % 64 == 0) check_interrupt();
  }
  Matrix<double> out(n, std::max<std::size_t>(rank, 1));
  for (std::size_t i = 0; i < n; ++i) std::copy_n(a.row(i), rank, out.row(i));
  return out;
}

/// Samples that are at work at once, of so many numbers each.
std::size_t joint_piece(std::size_t numbers) {
  constexpr std::size_t kMostNumbers = std::size_t{1} << 22, kMostSamples = 64;
  return std::clamp<std::size_t>(kMostNumbers / numbers, 1, kMostSamples);
}

/// The draws Z of a piece of samples, rows × cols each, side by side.
void draw_normals(const KernelOptions& o, std::size_t step, const SamplePiece& piece, std::size_t cols,
                  const Arena& arena, MatrixView<double> out) {
  arena.parallel_for(piece.count, [&](std::size_t s) {
    const std::size_t sample = piece.first + s, draw = o.antithetic ? sample / 2 : sample;
    const bool second = o.antithetic && sample % 2 == 1;
    if (second && s > 0) return;  // written with the first of the two
    const double sign = second ? -1 : 1;
    const bool both = o.antithetic && !second && s + 1 < piece.count;
    Random random(o.seed, kJointStream, (std::uint64_t{step} << 32) | draw);
    for (std::size_t q = 0; q < out.rows(); ++q)
      for (std::size_t r = 0; r < cols; ++r) {
        const double z = sign * random.normal();
        out(q, s * cols + r) = z;
        if (both) out(q, (s + 1) * cols + r) = -z;
      }
  });
}

}  // namespace

double readout_mean(Readout readout, const Matrix<double>& k, Places x, Places y) {
  const auto lx = static_cast<double>(k.rows()), ly = static_cast<double>(k.cols());
  if (readout != Readout::kFlatten) return vec_sum<double>({k.data(), k.size()}) / (lx * ly);
  double sum = 0;
  for (std::size_t a = 0, b = 0; a < k.rows() && b < k.cols();) {
    const std::size_t p = x[a], q = y[b];
    if (p == q) sum += k(a, b);
    a += p <= q;
    b += q <= p;
  }
  return sum / std::sqrt(lx * ly);
}

SampledRun::SampledRun(const KernelProgram& program, Caches sequences, const std::vector<Pair>& pairs,
                       std::size_t variant, bool ntk, const Arena& arena)
    : program_(program), sequences_(sequences), variant_(variant), ntk_(ntk), arena_(arena) {
  for (std::size_t i = 0; i < sequences.size(); ++i) items_.push_back({i, i, {}, {}});
  for (const auto& [x, y] : pairs) {
    wanted_.push_back(x == y ? x : items_.size());
    if (x != y) items_.push_back({x, y, {}, {}});
  }
}

void SampledRun::run() {
  const Architecture& a = program_.architecture;
  arena_.parallel_for(items_.size(), [&](std::size_t p) {
    Item& item = items_[p];
    item.here = embedded_pair(a.embedding, *sequences_[item.x], *sequences_[item.y], ntk_);
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

/// G(X) = A_X Z A_Xᵀ for all X, where the rows of A are those of all sequences' tokens: E G_ab(X) G_cd(Y) is
/// then K_ac K_bd. Where only one row of a sequence is needed, Z has as many rows as these have rank.
void SampledRun::draw_logits(std::size_t i, std::vector<SoftmaxSums>& sums) {
  const AttentionLayer& layer = program_.steps[i].attention;
  const std::size_t n = sequences_.size();
  std::vector<std::size_t> at(n + 1, 0);
  for (std::size_t s = 0; s < n; ++s) at[s + 1] = at[s] + sequences_[s]->tokens.size();
  Matrix<double> covariance(at[n], at[n]);
  for (std::size_t p = 0; p < items_.size(); ++p) {
    const Matrix<double>& k = sums[p].keys();
    for (std::size_t a = 0; a < k.rows(); ++a)
      for (std::size_t c = 0; c < k.cols(); ++c) {
        const std::size_t row = at[items_[p].x] + a, col = at[items_[p].y] + c;
        covariance(row, col) = covariance(col, row) = k(a, c);
      }
  }
  const bool one_row = i == program_.selecting;
  const Matrix<double> keys = semidefinite_factor(covariance);
  Matrix<double> some_queries;
  if (one_row) {
    Matrix<double> part(n, n);
    for (std::size_t s = 0; s < n; ++s)
      for (std::size_t t = 0; t < n; ++t)
        part(s, t) = covariance(at[s] + side(s, i).row, at[t] + side(t, i).row);
    some_queries = semidefinite_factor(part);
  }
  const Matrix<double>& queries = one_row ? some_queries : keys;
  const std::size_t rank = keys.cols();
  const std::size_t piece_size = joint_piece((queries.rows() + queries.cols()) * rank + at[n] * at[n] / n);
  std::vector<Matrix<double>> zeta(n);
  for (const SamplePiece& piece : sample_pieces(program_, variant_, piece_size)) {
    check_interrupt();
    Matrix<double> z(queries.cols(), piece.count * rank), half(queries.rows(), piece.count * rank);
    draw_normals(program_.options, i, piece, rank, arena_, z);
    gemm<double>(Op::kPlain, Op::kPlain, layer.logit, queries, z, 0, half, arena_);
    arena_.parallel_for(n, [&](std::size_t s) {
      const std::size_t length = at[s + 1] - at[s], rows = one_row ? 1 : length;
      zeta[s] = Matrix<double>(rows, piece.count * length);
      const ConstMatrixView<double> own = keys.view().block(at[s], 0, length, rank);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t row = one_row ? s : at[s] + r, a = one_row ? side(s, i).row : r;
        gemm<double>(Op::kPlain, Op::kTransposed, 1, {half.row(row), piece.count, rank}, own, 0,
                     {zeta[s].row(r), piece.count, length}, serial_arena());
        for (std::size_t t = 0; t < piece.count; ++t)
          soften(layer, sequences_[s]->places, a, {zeta[s].row(r) + t * length, length});
      }
    });
    arena_.parallel_for(items_.size(),
                        [&](std::size_t p) { sums[p].add(zeta[items_[p].x], zeta[items_[p].y]); });
  }
}

namespace {

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

}  // namespace

Block sampled_pairs(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk) {
  std::vector<Transformed> values;
  if (program.joint) {
    for (const SequenceCache* x : rows)
      for (const SequenceCache* y : cols) values.push_back(joint_pair(program, *x, *y, variant, ntk));
  } else {
    std::vector<const SequenceCache*> all(rows.begin(), rows.end());
    all.insert(all.end(), cols.begin(), cols.end());
    std::vector<SampledRun::Pair> pairs;
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < cols.size(); ++j) pairs.emplace_back(i, rows.size() + j);
    SampledRun run(program, all, pairs, variant, ntk, serial_arena());
    run.run();
    values = run.values();
  }
  Block out(rows.size(), cols.size(), ntk);
  for (std::size_t p = 0; p < values.size(); ++p) {
    out.k.data()[p] = values[p].value;
    if (ntk) out.theta.data()[p] = values[p].slope;
  }
  return out;
}

double joint_run_bytes(const KernelProgram& program, double positions) {
  // Of all positions with each other: blocks and copies of them, sums, their covariances and the factor.
  constexpr double kNngp = 48, kNtk = 88, kPieces = 128e6;
  return positions * positions * (program.options.ntk ? kNtk : kNngp) + kPieces;
}

}  // namespace telos::symmetry
