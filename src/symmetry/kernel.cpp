// Kernels of tiles of pairs of sequences.
#include "telos/symmetry/kernel.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/kernel_pair.h"
#include "telos/base/error.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

double readout_mean(Readout readout, const Matrix<double>& k, Places x, Places y) {
  double sum = 0;
  const auto lx = static_cast<double>(k.rows()), ly = static_cast<double>(k.cols());
  if (readout == Readout::kFlatten) {
    for (std::size_t a = 0, b = 0; a < k.rows() && b < k.cols();) {
      const std::size_t p = x[a], q = y[b];
      if (p == q) sum += k(a, b);
      a += p <= q;
      b += q <= p;
    }
    return sum / std::sqrt(lx * ly);
  }
  return vec_sum<double>({k.data(), k.size()}) / (lx * ly);
}

/// Kernels of all pairs of one variant, before the readout's weights.
Block each_pair(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk) {
  Block out(rows.size(), cols.size(), ntk);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < cols.size(); ++j) {
      if (program.architecture.simplified) {
        const Transformed k = simplified_kernel(program, *rows[i], *cols[j]);
        out.k(i, j) = k.value;
        if (ntk) out.theta(i, j) = k.slope - k.value;
        continue;
      }
      PairRun run(program, *rows[i], *cols[j], variant, ntk);
      for (std::size_t s = run.start(); s < program.steps.size(); ++s) run.step(s);
      const Block& end = run.state().here;
      const auto read = [&](const Matrix<double>& k) {
        return readout_mean(program.architecture.readout, k, rows[i]->places, cols[j]->places);
      };
      out.k(i, j) = read(end.k);
      if (ntk) out.theta(i, j) = read(end.theta);
    }
  return out;
}

/// Puts the single entries of a pair's state at (i, j).
void place_entries(const State& pair, std::size_t i, std::size_t j, State& out) {
  const auto put = [&](const Block& from, Block& to) {
    to.k(i, j) = from.k(0, 0);
    if (!to.theta.empty()) to.theta(i, j) = from.theta(0, 0);
  };
  put(pair.here, out.here);
  for (std::size_t s = 0; s < pair.saved.size(); ++s) put(pair.saved[s], out.saved[s]);
}

/// The saved embeddings of the rows that the featured layer leaves.
std::vector<Block> saved_rows(const KernelProgram& program, const FeaturedInput& in, Caches rows, Caches cols,
                              bool ntk) {
  std::vector<Block> saved;
  for (const EmbeddingForm& form : in.saved) {
    Block block(rows.size(), cols.size(), ntk);
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < cols.size(); ++j) {
        const std::size_t a = program.row(rows[i]->tokens.size()), b = program.row(cols[j]->tokens.size());
        const bool equal = rows[i]->tokens[a] == cols[j]->tokens[b],
                   together = rows[i]->places[a] == cols[j]->places[b];
        block.k(i, j) = form.token * equal + form.position * together;
        if (ntk) block.theta(i, j) = form.token_theta * equal + form.position_theta * together;
      }
    saved.push_back(std::move(block));
  }
  return saved;
}

/// Up to the step after which one row a sequence is left; that step's number. The state has a row and a
/// column for each sequence.
std::size_t to_one_row(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk,
                       State& out) {
  if (program.featured != kNever && program.selecting == program.featured) {
    const FeaturedInput in = featured_input(program);
    out.here = attend_features(program.steps[program.featured].attention, in.here,
                               program.architecture.embedding.trained, ntk,
                               feature_sums(program, rows, cols, variant));
    out.saved = saved_rows(program, in, rows, cols, ntk);
    return program.featured + 1;
  }
  const bool from_start = program.selecting == program.steps.size();
  const std::size_t next = from_start ? 0 : program.selecting + 1;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < cols.size(); ++j) {
      PairRun run(program, *rows[i], *cols[j], variant, ntk);
      for (std::size_t s = run.start(); s < next; ++s) run.step(s);
      if (i + j == 0) {
        out.here = Block(rows.size(), cols.size(), ntk);
        for (std::size_t s = 0; s < run.state().saved.size(); ++s)
          out.saved.emplace_back(rows.size(), cols.size(), ntk);
      }
      place_entries(run.state(), i, j, out);
    }
  return next;
}

/// What a step needs of one row of each sequence.
struct GatheredSide {
  std::vector<double> variance;
  Matrix<double> series;
  operator Side() const { return {variance, series.view()}; }
};

GatheredSide gathered_side(Caches sequences, std::size_t variant, std::size_t step) {
  GatheredSide side;
  for (const SequenceCache* c : sequences) {
    const StepCache& own = c->steps[variant][step];
    if (!own.variance.empty()) side.variance.push_back(own.variance[0]);
  }
  if (!sequences.front()->steps[variant][step].series.empty()) {
    side.series = Matrix<double>(sequences.size(), kSeriesTerms);
    for (std::size_t i = 0; i < sequences.size(); ++i)
      std::copy_n(sequences[i]->steps[variant][step].series.data(), kSeriesTerms, side.series.row(i));
  }
  return side;
}

Block all_pairs(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk) {
  if (!program.one_row()) return each_pair(program, rows, cols, variant, ntk);
  State state;
  for (std::size_t s = to_one_row(program, rows, cols, variant, ntk, state); s < program.steps.size(); ++s)
    apply_entrywise(program.steps[s], program.architecture.epsilon, gathered_side(rows, variant, s),
                    gathered_side(cols, variant, s), state);
  return std::move(state.here);
}

/// Standard error of the mean of batches at each entry.
void batch_errors(const KernelProgram& program, Caches rows, Caches cols, MatrixView<double> error) {
  const std::size_t batches = program.options.batches;
  Matrix<double> sum(rows.size(), cols.size()), squares(rows.size(), cols.size());
  for (std::size_t v = 1; v <= batches; ++v) {
    const Block block = all_pairs(program, rows, cols, v, false);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const double k = block.k.data()[i],
                   before = sum.data()[i] / static_cast<double>(std::max<std::size_t>(v - 1, 1));
      const double shift = k - before;
      sum.data()[i] += k;
      if (v > 1) squares.data()[i] += shift * (k - sum.data()[i] / static_cast<double>(v));
    }
  }
  const auto n = static_cast<double>(batches);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < cols.size(); ++j)
      error(i, j) = program.architecture.weight * std::sqrt(squares(i, j) / (n * (n - 1)));
}

}  // namespace

void Kernel::tile(std::span<const PreparedSequence> rows, std::span<const PreparedSequence> columns,
                  MatrixView<double> nngp, MatrixView<double> ntk, MatrixView<double> error) const {
  if (rows.empty() || columns.empty()) return;
  std::vector<const SequenceCache*> left, right;
  left.reserve(rows.size());
  right.reserve(columns.size());
  for (const PreparedSequence& s : rows) left.push_back(s.cache_.get());
  for (const PreparedSequence& s : columns) right.push_back(s.cache_.get());
  const bool with_ntk = !ntk.empty();
  if (with_ntk && !program_->options.ntk)
    throw Error(ErrorKind::kUsage, "kernel", "the NTK was not asked for", "set KernelOptions::ntk");
  const Block block = all_pairs(*program_, left, right, 0, with_ntk);
  const double weight = program_->architecture.simplified ? 1 : program_->architecture.weight;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < columns.size(); ++j) {
      nngp(i, j) = weight * block.k(i, j);
      if (with_ntk) ntk(i, j) = weight * block.theta(i, j) + nngp(i, j);
    }
  if (error.empty()) return;
  if (program_->monte_carlo)
    batch_errors(*program_, left, right, error);
  else
    for (std::size_t i = 0; i < rows.size(); ++i) std::fill_n(error.row(i), columns.size(), 0.0);
}

KernelValue Kernel::operator()(const PreparedSequence& x, const PreparedSequence& y) const {
  KernelValue value;
  tile({&x, 1}, {&y, 1}, {&value.nngp, 1, 1},
       program_->options.ntk ? MatrixView<double>(&value.ntk, 1, 1) : MatrixView<double>(),
       program_->monte_carlo ? MatrixView<double>(&value.error, 1, 1) : MatrixView<double>());
  return value;
}

KernelValue Kernel::operator()(TokenSpan x, TokenSpan y) const {
  return (*this)(prepare(x), prepare(y));
}

}  // namespace telos::symmetry
