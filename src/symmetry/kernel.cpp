// Kernels of tiles of pairs of sequences.
#include "telos/symmetry/kernel.h"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <utility>

#include "symmetry/kernel_samples.h"
#include "symmetry/kernel_strip.h"
#include "symmetry/transform_kernel.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

/// Calls f(run, i, j) for each row i and the strip of its pairs with columns j, j + 1, …, at the end of steps
/// [start, last).
template <class T, class F>
void for_strips(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk,
                std::size_t last, const F& f) {
  std::size_t most_rows = 0, most_kinds = 0, most_extent = 0;
  std::vector<Sides<T>> sides;
  for (const SequenceCache* x : rows) {
    most_rows = std::max(most_rows, x->tokens.size());
    most_kinds = std::max(most_kinds, x->distinct.size());
    most_extent = std::max(most_extent, x->extent());
    sides.emplace_back(program, std::vector{x}, variant);
  }
  for (std::size_t j = 0; j < cols.size();) {
    std::size_t count = 0, width = 0;
    while (j + count < cols.size() && (count == 0 || width + cols[j + count]->tokens.size() <= kStripColumns))
      width += cols[j + count++]->tokens.size();
    Columns<T> columns(program, cols.subspan(j, count), variant, most_kinds, most_extent);
    StripRun<T> run(program, columns, most_rows, ntk);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      run.run(run.start(sides[i]), last);
      f(run.state(), columns, i, j);
    }
    j += count;
  }
}

/// The readout of a strip: a value for each of its sequences.
template <class T>
void read_strip(Readout readout, const Matrix<T>& k, Places x, const Columns<T>& columns,
                std::span<double> sums, double* out) {
  const std::size_t rows = x.size();
  const bool mean = readout != Readout::kFlatten;
  if (mean) std::fill(sums.begin(), sums.end(), 0.0);
  for (std::size_t a = 0; mean && a < rows; ++a) kernel::accumulate_row(k.row(a), sums.data(), sums.size());
  for (std::size_t j = 0; j < columns.size(); ++j) {
    const auto lx = static_cast<double>(rows), ly = static_cast<double>(columns.length(j));
    double sum = 0;
    if (mean)
      sum = vec_sum<double>(sums.subspan(columns.begin(j), columns.length(j))) / (lx * ly);
    else
      for_shared_places(x, columns.sequence(j).places, [&](std::size_t a, std::size_t b) {
        sum += k(a, columns.begin(j) + b) / std::sqrt(lx * ly);
      });
    out[j] = sum;
  }
}

Block simplified_pairs(const KernelProgram& program, Caches rows, Caches cols, bool ntk) {
  Block out(rows.size(), cols.size(), ntk);
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < cols.size(); ++j) {
      const Transformed k = simplified_pair(program, *rows[i], *cols[j]);
      out.k(i, j) = k.value;
      if (ntk) out.theta(i, j) = k.slope - k.value;
    }
  return out;
}

/// Kernels of all pairs of one variant, before the readout's weights.
template <class T>
Block each_pair(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk) {
  Block out(rows.size(), cols.size(), ntk);
  std::vector<double> sums;
  for_strips<T>(program, rows, cols, variant, ntk, program.steps.size(),
                [&](const StripState<T>& end, const Columns<T>& columns, std::size_t i, std::size_t j) {
                  const Readout readout = program.architecture.readout;
                  sums.resize(columns.total());
                  const Places x = rows[i]->places;
                  read_strip(readout, end.here.k, x, columns, sums, out.k.row(i) + j);
                  if (ntk) read_strip(readout, end.here.theta, x, columns, sums, out.theta.row(i) + j);
                });
  return out;
}

/// Puts the one row of a strip at (i, j).
template <class T>
void place_row(const StripState<T>& strip, std::size_t i, std::size_t j, StripState<T>& out) {
  const auto put = [&](const Strip<T>& from, Strip<T>& to) {
    std::copy_n(from.k.row(0), from.k.cols(), to.k.row(i) + j);
    if (!to.theta.empty()) std::copy_n(from.theta.row(0), from.theta.cols(), to.theta.row(i) + j);
  };
  put(strip.here, out.here);
  for (std::size_t s = 0; s < strip.depth; ++s) put(strip.saved[s], out.saved[s]);
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
        const auto [k, theta] =
            form.at(rows[i]->tokens[a] == cols[j]->tokens[b], rows[i]->places[a] == cols[j]->places[b]);
        block.k(i, j) = k;
        if (ntk) block.theta(i, j) = theta;
      }
    saved.push_back(std::move(block));
  }
  return saved;
}

/// Up to the step after which one row a sequence is left; that step's number. The state has a row and a
/// column for each sequence.
template <class T>
std::size_t to_one_row(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk,
                       StripState<T>& out) {
  out.rows = rows.size();
  if constexpr (std::is_same_v<T, double>)  // else stays_double()
    if (program.featured != kNever && program.selecting == program.featured) {
      const FeaturedInput in = featured_input(program);
      out.here = attend_features(program.steps[program.featured].attention, in.here,
                                 program.architecture.embedding.trained, ntk,
                                 feature_sums(program, rows, cols, variant));
      out.saved = saved_rows(program, in, rows, cols, ntk);
      out.depth = out.saved.size();
      return program.featured + 1;
    }
  const bool from_start = program.selecting == program.steps.size();
  const std::size_t next = from_start ? 0 : program.selecting + 1;
  out.here = Strip<T>(rows.size(), cols.size(), ntk);
  for_strips<T>(program, rows, cols, variant, ntk, next,
                [&](const StripState<T>& strip, const Columns<T>&, std::size_t i, std::size_t j) {
                  for (; out.depth < strip.depth; ++out.depth)
                    out.saved.emplace_back(rows.size(), cols.size(), ntk);
                  place_row(strip, i, j, out);
                });
  return next;
}

template <class T>
Block all_pairs(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk) {
  if (program.architecture.simplified) return simplified_pairs(program, rows, cols, ntk);
  if (program.runs_samples()) return sampled_pairs(program, rows, cols, variant, ntk);
  if (!program.one_row()) return each_pair<T>(program, rows, cols, variant, ntk);
  StripState<T> state;
  const std::size_t next = to_one_row<T>(program, rows, cols, variant, ntk, state);
  Sides<T> left(program, {rows.begin(), rows.end()}, variant),
      right(program, {cols.begin(), cols.end()}, variant);
  run_entrywise<T>(program, next, program.steps.size(), left, right, nullptr, state);
  if constexpr (std::is_same_v<T, double>) return std::move(state.here);
  Block out(rows.size(), cols.size(), ntk);
  std::copy_n(state.here.k.data(), out.k.size(), out.k.data());
  std::copy_n(state.here.theta.data(), out.theta.size(), out.theta.data());
  return out;
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
    return program_->single() ? all_pairs<float>(*program_, left, right, variant, ntk_too)
                              : all_pairs<double>(*program_, left, right, variant, ntk_too);
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
