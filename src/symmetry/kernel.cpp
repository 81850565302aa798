// Kernels of pairs, and of tiles of pairs, of sequences.
#include "telos/symmetry/kernel.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/kernel_parts.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::symmetry {
namespace {

using Kind = Step::Kind;

// ---- One pair

/// The block of a pair on its way through the steps.
class PairRun {
 public:
  PairRun(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y, std::size_t variant,
          bool ntk)
      : program_(program), x_(x), y_(y), variant_(variant), ntk_(ntk) {}

  /// Starts behind the featured layer, or at the embedding; the number of the next step.
  std::size_t start() {
    if (program_.featured == kNever) {
      embed();
      return 0;
    }
    const FeaturedInput in = featured_input(program_);
    state_.here = attend_features(program_.steps[program_.featured].attention, in.here,
                                  program_.architecture.embedding.trained, ntk_,
                                  feature_sums(program_, x_, y_, variant_));
    for (const EmbeddingForm& form : in.saved) state_.saved.push_back(embedded(form, program_.featured));
    return program_.featured + 1;
  }

  void step(std::size_t i) {
    const Step& step = program_.steps[i];
    const StepCache &cx = x_.steps[variant_][i], &cy = y_.steps[variant_][i];
    if (step.kind != Kind::kAttend) {
      apply_entrywise(step, program_.architecture.epsilon, side(cx), side(cy), state_);
      return;
    }
    const bool selects = i == program_.selecting;
    const std::size_t row_x = selects ? program_.row(x_.tokens.size()) : kNever,
                      row_y = selects ? program_.row(y_.tokens.size()) : kNever;
    attend(step.attention, program_.architecture.embedding.trained, cx, cy, row_x, row_y, state_.here);
    if (selects)
      for (Block& block : state_.saved) select(block, row_x, row_y);
  }

  State& state() { return state_; }

 private:
  static Side side(const StepCache& cache) { return {cache.variance, cache.series.view()}; }

  static void select(Block& block, std::size_t row_x, std::size_t row_y) {
    Block out(1, 1, !block.theta.empty());
    out.k(0, 0) = block.k(row_x, row_y);
    if (!block.theta.empty()) out.theta(0, 0) = block.theta(row_x, row_y);
    block = std::move(out);
  }

  /// The rows that are left after step i.
  std::pair<std::size_t, std::size_t> rows_after(std::size_t i) const {
    const bool one =
        program_.one_row() && (i == program_.selecting || program_.selecting == program_.steps.size());
    return one ? std::pair{program_.row(x_.tokens.size()), program_.row(y_.tokens.size())}
               : std::pair{kNever, kNever};
  }

  template <class Covariance>
  Block filled(std::size_t after, const Covariance& covariance) const {
    const auto [row_x, row_y] = rows_after(after);
    const bool one = row_x != kNever;
    Block out(one ? 1 : x_.tokens.size(), one ? 1 : y_.tokens.size(), ntk_);
    for (std::size_t i = 0; i < out.k.rows(); ++i)
      for (std::size_t j = 0; j < out.k.cols(); ++j) {
        const std::size_t a = one ? row_x : i, b = one ? row_y : j;
        const auto [k, theta] = covariance(x_.tokens[a] == y_.tokens[b], a > b ? a - b : b - a);
        out.k(i, j) = k;
        if (ntk_) out.theta(i, j) = theta;
      }
    return out;
  }

  Block embedded(const EmbeddingForm& form, std::size_t after) const {
    return filled(after, [&](bool equal, std::size_t t) {
      return std::pair{form.token * equal + form.position * (t == 0),
                       form.token_theta * equal + form.position_theta * (t == 0)};
    });
  }

  void embed() {
    const Embedding& e = program_.architecture.embedding;
    const std::vector<double>& positions =
        x_.positions.size() > y_.positions.size() ? x_.positions : y_.positions;
    const bool trained_positions = e.positions != Positions::kSinusoidal;
    state_.here = filled(kNever - 1, [&](bool equal, std::size_t t) {
      const double token = e.token * equal, position = e.position * positions[t];
      return std::pair{token + position, e.trained ? token + (trained_positions ? position : 0) : 0.0};
    });
  }

  const KernelProgram& program_;
  const SequenceCache &x_, &y_;
  std::size_t variant_;
  bool ntk_;
  State state_;
};

// ---- One sequence

void require_tokens(TokenSpan tokens, const KernelProgram& program) {
  const auto& simplified = program.architecture.simplified;
  const std::size_t least = simplified && simplified->query ? 2 : 1;
  if (tokens.size() < least || tokens.size() > kMostPositions)
    throw Error(ErrorKind::kUsage, "sequence",
                fmt::format("expected {} to {} tokens, found {}", least, kMostPositions, tokens.size()));
  for (std::size_t a = 0; a < tokens.size(); ++a)
    if (tokens[a] >= program.vocabulary)
      throw Error(ErrorKind::kUsage, "sequence",
                  fmt::format("token {} at position {} is out of the vocabulary of {}", tokens[a], a,
                              program.vocabulary));
}

std::vector<double> diagonal(const Matrix<double>& k, const std::string& where) {
  std::vector<double> out(k.rows());
  for (std::size_t a = 0; a < out.size(); ++a) {
    out[a] = k(a, a);
    if (!std::isfinite(out[a]))
      throw Error(ErrorKind::kNotFinite, where, fmt::format("the variance of position {} is {}", a, out[a]),
                  "take smaller weights, or norms between the layers");
  }
  return out;
}

void require_positive(const std::vector<double>& variance, double epsilon, const std::string& where) {
  for (std::size_t a = 0; a < variance.size(); ++a)
    if (!(variance[a] + epsilon > 0))
      throw Error(ErrorKind::kNotFinite, where, fmt::format("position {} has variance 0 under a norm", a),
                  "set epsilon above 0");
}

void prepare_series(const Step& step, StepCache& cache, double& rest) {
  if (has_closed_form(step.phi)) return;
  cache.series = Matrix<double>(cache.variance.size(), kSeriesTerms);
  for (std::size_t a = 0; a < cache.variance.size(); ++a) {
    if (a > 0 && cache.variance[a] == cache.variance[a - 1]) {
      std::copy_n(cache.series.row(a - 1), kSeriesTerms, cache.series.row(a));
      continue;
    }
    const HermiteSeries series = hermite_series(step.phi, cache.variance[a]);
    std::copy(series.h.begin(), series.h.end(), cache.series.row(a));
    rest = std::max(rest, series.rest);
  }
}

/// What the steps of one variant need of (X, X).
void prepare_steps(const KernelProgram& program, std::size_t variant, SequenceCache& cache) {
  cache.steps.emplace_back(program.steps.size());
  PairRun run(program, cache, cache, variant, false);
  for (std::size_t i = run.start(); i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    StepCache& own = cache.steps[variant][i];
    const std::string where = fmt::format("{}, step {}", program.architecture.name, i);
    const Matrix<double>& k = run.state().here.k;
    if (step.kind == Kind::kNorm || step.kind == Kind::kActivate) own.variance = diagonal(k, where);
    if (step.kind == Kind::kNorm) require_positive(own.variance, program.architecture.epsilon, where);
    if (step.kind == Kind::kActivate) prepare_series(step, own, cache.series_rest);
    if (step.kind == Kind::kAttend)
      prepare_attention(step.attention, k, i == program.selecting ? program.row(cache.tokens.size()) : kNever,
                        own);
    run.step(i);
  }
  diagonal(run.state().here.k, program.architecture.name);
}

/// Counts of the context's tokens.
void prepare_counts(const KernelProgram& program, SequenceCache& cache) {
  const std::size_t context = cache.tokens.size() - program.architecture.simplified->query;
  cache.counts.resize(cache.distinct.size());
  for (std::size_t b = 0; b < context; ++b) {
    const auto at = std::lower_bound(cache.distinct.begin(), cache.distinct.end(), cache.tokens[b]);
    ++cache.counts[static_cast<std::size_t>(at - cache.distinct.begin())];
  }
}

// ---- The simplified block

/// k = query factor/(L L') Σ_bd (se2 [x_b = y_d] + sp2 [b = d])². Three weights and the embeddings that come
/// in make as many equal terms of the NTK.
Transformed simplified_kernel(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y) {
  const Embedding& e = program.architecture.embedding;
  const std::size_t query = program.architecture.simplified->query;
  const double token = e.token, position = e.positions == Positions::kNone ? 0 : e.position;
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
  k /= static_cast<double>(lx) * static_cast<double>(ly);
  if (query) k *= token * (x.tokens.back() == y.tokens.back()) + position * (lx == ly);
  const double terms = 3 + (e.trained ? 2 + static_cast<double>(query) : 0);
  return {k, terms * k};
}

// ---- Tiles

double mean_of(Readout readout, const Matrix<double>& k) {
  double sum = 0;
  const auto lx = static_cast<double>(k.rows()), ly = static_cast<double>(k.cols());
  if (readout == Readout::kFlatten) {
    for (std::size_t a = 0; a < std::min(k.rows(), k.cols()); ++a) sum += k(a, a);
    return sum / std::sqrt(lx * ly);
  }
  for (std::size_t i = 0; i < k.size(); ++i) sum += k.data()[i];
  return sum / (lx * ly);
}

using Caches = std::span<const SequenceCache* const>;

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
      out.k(i, j) = mean_of(program.architecture.readout, end.k);
      if (ntk) out.theta(i, j) = mean_of(program.architecture.readout, end.theta);
    }
  return out;
}

/// Puts the single entries of a pair's state at (i, j).
void place(const State& pair, std::size_t i, std::size_t j, State& out) {
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
        const bool equal = rows[i]->tokens[a] == cols[j]->tokens[b];
        block.k(i, j) = form.token * equal + form.position * (a == b);
        if (ntk) block.theta(i, j) = form.token_theta * equal + form.position_theta * (a == b);
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
      place(run.state(), i, j, out);
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

double bytes_of(const Matrix<double>& m) {
  return 8.0 * static_cast<double>(m.size());
}
double bytes_of(const std::vector<double>& v) {
  return 8.0 * static_cast<double>(v.size());
}

}  // namespace

std::size_t PreparedSequence::length() const {
  return cache_->tokens.size();
}

double PreparedSequence::bytes() const {
  double bytes = bytes_of(cache_->positions) + 24.0 * static_cast<double>(length());
  for (const FeatureCache& f : cache_->features) bytes += bytes_of(f.tokens) + bytes_of(f.positions);
  for (const auto& steps : cache_->steps)
    for (const StepCache& s : steps)
      bytes += sizeof(StepCache) + bytes_of(s.variance) + bytes_of(s.attention) + bytes_of(s.series) +
               bytes_of(s.positions) + bytes_of(s.turns);
  return bytes;
}

double PreparedSequence::series_rest() const {
  return cache_->series_rest;
}

PreparedSequence Kernel::prepare(TokenSpan tokens) const {
  const KernelProgram& program = *program_;
  require_tokens(tokens, program);
  require_memory(working_bytes(tokens.size()), "sequence", "take shorter sequences");
  auto cache = std::make_shared<SequenceCache>();
  cache->tokens.assign(tokens.begin(), tokens.end());
  cache->distinct = cache->tokens;
  std::sort(cache->distinct.begin(), cache->distinct.end());
  cache->distinct.erase(std::unique(cache->distinct.begin(), cache->distinct.end()), cache->distinct.end());
  if (program.architecture.simplified) {
    prepare_counts(program, *cache);
    return PreparedSequence(std::move(cache));
  }
  if (program.featured != kNever) {
    const auto n = static_cast<double>(program.batches() * program.samples_of_batch());
    const double rows = program.selecting == program.featured ? 1 : static_cast<double>(tokens.size());
    require_memory(16 * n * rows * static_cast<double>(tokens.size()), "sequence",
                   "take fewer samples, or the readout last");
    cache->features = make_features(program, featured_input(program).here, cache->tokens, cache->distinct);
  } else {
    const Embedding& e = program.architecture.embedding;
    cache->positions = position_covariances(e.positions, e.dimension, tokens.size());
  }
  for (std::size_t v = 0; v < program.variants(); ++v) prepare_steps(program, v, *cache);
  return PreparedSequence(std::move(cache));
}

void Kernel::tile(std::span<const PreparedSequence> rows, std::span<const PreparedSequence> columns,
                  MatrixView<double> nngp, MatrixView<double> ntk, MatrixView<double> error) const {
  if (rows.empty() || columns.empty()) return;
  std::vector<const SequenceCache*> left, right;
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
