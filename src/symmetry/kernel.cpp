// Kernels of tiles of pairs of sequences.
#include "telos/symmetry/kernel.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/kernel_pair.h"
#include "symmetry/kernel_samples.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

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
  if (program.runs_samples()) return sampled_pairs(program, rows, cols, variant, ntk);
  if (!program.one_row()) return each_pair(program, rows, cols, variant, ntk);
  State state;
  for (std::size_t s = to_one_row(program, rows, cols, variant, ntk, state); s < program.steps.size(); ++s)
    apply_entrywise(program.steps[s], program.architecture.epsilon, gathered_side(rows, variant, s),
                    gathered_side(cols, variant, s), state);
  return std::move(state.here);
}

/// Where the values of pairs go; empty: nowhere.
struct TileOutput {
  MatrixView<double> nngp, ntk, error, ntk_error;
};

/// Standard error of the mean of batches at each entry.
template <class Pairs>
void batch_errors(const KernelProgram& program, const Pairs& pairs, const TileOutput& out) {
  const bool ntk = !out.ntk_error.empty();
  const std::size_t rows = out.nngp.rows(), cols = out.nngp.cols();
  Block sum(rows, cols, ntk), squares(rows, cols, ntk);
  // The spread of batches of samples, each of which went through all layers alone.
  const auto add = [](double count, double value, double& total, double& square) {
    const double shift = value - total / std::max(count - 1, 1.0);
    total += value;
    if (count > 1) square += shift * (value - total / count);
  };
  for (std::size_t v = 1; v <= program.options.batches; ++v) {
    const Block block = pairs(v, ntk);
    const auto count = static_cast<double>(v);
    for (std::size_t i = 0; i < sum.k.size(); ++i) {
      const double k = block.k.data()[i];
      add(count, k, sum.k.data()[i], squares.k.data()[i]);
      if (ntk) add(count, block.theta.data()[i] + k, sum.theta.data()[i], squares.theta.data()[i]);
    }
  }
  const auto n = static_cast<double>(program.options.batches);
  const auto error = [&](double square) {
    return program.architecture.weight * std::sqrt(square / (n * (n - 1)));
  };
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j) {
      if (!out.error.empty()) out.error(i, j) = error(squares.k(i, j));
      if (ntk) out.ntk_error(i, j) = error(squares.theta(i, j));
    }
}

/// pairs(variant, ntk) is the block of all pairs before the readout's weights.
template <class Pairs>
void fill_tile(const KernelProgram& program, const Pairs& pairs, const TileOutput& out) {
  const bool ntk = !out.ntk.empty();
  if (ntk && !program.options.ntk)
    throw Error(ErrorKind::kUsage, "kernel", "the NTK was not asked for", "set KernelOptions::ntk");
  const Block block = pairs(0, ntk);
  const double weight = program.architecture.simplified ? 1 : program.architecture.weight;
  for (std::size_t i = 0; i < out.nngp.rows(); ++i)
    for (std::size_t j = 0; j < out.nngp.cols(); ++j) {
      out.nngp(i, j) = weight * block.k(i, j);
      if (ntk) out.ntk(i, j) = weight * block.theta(i, j) + out.nngp(i, j);
    }
  if (out.error.empty() && out.ntk_error.empty()) return;
  if (program.monte_carlo) return batch_errors(program, pairs, out);
  for (const MatrixView<double>& errors : {out.error, out.ntk_error})
    for (std::size_t i = 0; i < errors.rows(); ++i) std::fill_n(errors.row(i), errors.cols(), 0.0);
}

}  // namespace

void Kernel::tile(std::span<const PreparedSequence> rows, std::span<const PreparedSequence> columns,
                  MatrixView<double> nngp, MatrixView<double> ntk, MatrixView<double> error,
                  MatrixView<double> ntk_error) const {
  if (rows.empty() || columns.empty()) return;
  std::vector<const SequenceCache*> left, right;
  left.reserve(rows.size());
  right.reserve(columns.size());
  for (const PreparedSequence& s : rows) left.push_back(s.cache_.get());
  for (const PreparedSequence& s : columns) right.push_back(s.cache_.get());
  const auto pairs = [&](std::size_t variant, bool ntk_too) {
    return all_pairs(*program_, left, right, variant, ntk_too);
  };
  fill_tile(*program_, pairs, {nngp, ntk, error, ntk_error});
}

void Kernel::tile_jointly(std::span<const PreparedSequence> sequences, MatrixView<double> nngp,
                          MatrixView<double> ntk, MatrixView<double> error, MatrixView<double> ntk_error,
                          const Arena& arena) const {
  if (!joint()) return tile(sequences, sequences, nngp, ntk, error, ntk_error);
  std::vector<const SequenceCache*> all;
  for (const PreparedSequence& s : sequences) all.push_back(s.cache_.get());
  const std::size_t n = all.size();
  std::vector<SampledRun::Pair> upper;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i; j < n; ++j) upper.emplace_back(i, j);
  const std::size_t runs = error.empty() && ntk_error.empty() ? 1 : program_->variants();
  Progress progress("joint samples", "runs", static_cast<double>(runs));
  const auto pairs = [&](std::size_t variant, bool ntk_too) {
    SampledRun run(*program_, all, upper, variant, ntk_too, arena);
    run.run();
    progress.advance(1);
    Block out(n, n, ntk_too);
    for (std::size_t p = 0; p < upper.size(); ++p) {
      const auto [i, j] = upper[p];
      out.k(i, j) = out.k(j, i) = run.values()[p].value;
      if (ntk_too) out.theta(i, j) = out.theta(j, i) = run.values()[p].slope;
    }
    return out;
  };
  fill_tile(*program_, pairs, {nngp, ntk, error, ntk_error});
}

KernelValue Kernel::operator()(const PreparedSequence& x, const PreparedSequence& y) const {
  KernelValue value;
  const auto view = [](bool wanted, double& to) {
    return wanted ? MatrixView<double>(&to, 1, 1) : MatrixView<double>();
  };
  const bool ntk = program_->options.ntk, errors = program_->monte_carlo;
  tile({&x, 1}, {&y, 1}, view(true, value.nngp), view(ntk, value.ntk), view(errors, value.error),
       view(errors && ntk, value.ntk_error));
  return value;
}

KernelValue Kernel::operator()(TokenSpan x, TokenSpan y) const {
  return (*this)(prepare(x), prepare(y));
}

}  // namespace telos::symmetry
