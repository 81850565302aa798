// The linear transformer fitted to the windows of a text.
#include <fmt/format.h>

#include <cmath>
#include <numeric>
#include <utility>

#include "bigram/corpus_parts.h"
#include "bigram/train_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"

namespace telos::bigram {
namespace {

/// Share of μ in the columns of a task made from a probe, so that every token can follow every other.
constexpr double kShareOfMu = 1e-3;

/// All positions with all weight on the nearest; that one alone where a last token is rare.
std::vector<Column> start_at_nearest(const ProbeOptions& options, std::span<const std::uint64_t> counts) {
  const std::size_t positions = options.max_offset + (options.with_last ? 1 : 0);
  std::vector<Column> columns(counts.size());
  for (std::size_t k = 0; k < counts.size(); ++k) {
    const std::size_t fitted = counts[k] < options.min_count ? 1 : positions;
    columns[k].positions.resize(fitted);
    std::iota(columns[k].positions.begin(), columns[k].positions.end(),
              static_cast<std::uint32_t>(positions - fitted));
    columns[k].weights.assign(fitted, 0.0);
    columns[k].weights.back() = 1;
  }
  return columns;
}

/// A prediction whose losses are computed from inner products: ½‖e_o − V h‖² = ½ − (Vh)_o + ½ hᵀVᵀV h.
class SquareLoss {
 public:
  SquareLoss(ConstMatrixView<double> v, const std::vector<Column>& columns, std::size_t max_offset)
      : v_(v), columns_(columns), newest_(max_offset), gram_(gram(v)) {}
  double operator()(const std::uint16_t* at) const {
    const Column& column = columns_[*at];
    const std::uint16_t* oldest = at - newest_;
    double predicted = 0, square = 0;
    for (std::size_t s = 0; s < column.positions.size(); ++s) {
      const std::uint16_t token = oldest[column.positions[s]];
      const double* row = gram_.row(token);
      double inner = column.weights[s] * row[token] / 2;
      for (std::size_t t = 0; t < s; ++t) inner += column.weights[t] * row[oldest[column.positions[t]]];
      square += column.weights[s] * inner;
      predicted += column.weights[s] * v_(at[1], token);
    }
    return 0.5 - predicted + square;
  }

 private:
  ConstMatrixView<double> v_;
  const std::vector<Column>& columns_;
  std::size_t newest_;
  Matrix<double> gram_;
};

/// V = P and all weight on the last token; V = μ1ᵀ.
SparseModel last_token_model(const Windows& train, std::span<const double> mu) {
  const std::size_t n = mu.size();
  SparseModel model{Matrix<double>(n, n), std::vector<Column>(n), {}};
  std::vector<double> total(n);
  for (std::size_t w = 0; w < train.size(); ++w) {
    const std::uint16_t* at = train.at(w);
    ++model.v(at[1], *at);
    ++total[*at];
  }
  for (std::size_t o = 0; o < n; ++o)
    for (std::size_t k = 0; k < n; ++k) model.v(o, k) = total[k] > 0 ? model.v(o, k) / total[k] : mu[o];
  for (Column& column : model.columns)
    column = {.positions = {static_cast<std::uint32_t>(train.max_offset)}, .weights = {1}};
  return model;
}

enum Predicted { kProbe, kMarginal, kLast, kLosses };

void predict_windows(const Windows& windows, const SparseModel& fitted, const SparseModel& last, Probe& probe,
                     const Arena& arena) {
  const SquareLoss probe_loss(fitted.v, fitted.columns, windows.max_offset),
      last_loss(last.v, last.columns, windows.max_offset);
  double norm = 0;
  for (const double m : probe.mu) norm += m * m;
  BlockSums losses(windows.size(), kLosses);
  arena.parallel_for(losses.blocks(), [&](std::size_t block) {
    double sum[kLosses] = {};
    for (std::size_t w = losses.begin(block); w < losses.begin(block + 1); ++w) {
      const std::uint16_t* at = windows.at(w);
      sum[kProbe] += probe_loss(at);
      sum[kLast] += last_loss(at);
      sum[kMarginal] += 0.5 - probe.mu[at[1]] + norm / 2;
    }
    for (std::size_t m = 0; m < kLosses; ++m) losses.sum(block, m) = sum[m];
  });
  probe.held_out = windows.size();
  probe.blocks = losses.blocks();
  probe.loss = losses.mean(kProbe);
  probe.marginal = losses.mean(kMarginal);
  probe.last = losses.mean(kLast);
  probe.gain_marginal = losses.difference(kMarginal, kProbe);
  probe.gain_last = losses.difference(kLast, kProbe);
}

/// Projects a vector onto the simplex. Returns how far it was.
double project(std::span<double> x) {
  std::vector<double> before(x.begin(), x.end());
  project_simplex(x);
  double square = 0;
  for (std::size_t i = 0; i < x.size(); ++i) square += (x[i] - before[i]) * (x[i] - before[i]);
  return std::sqrt(square);
}

}  // namespace

SparseSamples::SparseSamples(const Windows& windows, std::size_t tokens, const std::vector<Column>& columns)
    : by_last_(tokens) {
  require_memory(static_cast<double>(windows.size()) * 16, "windows", "give less text");
  last_.resize(windows.size());
  output_.resize(windows.size());
  start_.resize(windows.size() + 1);
  for (std::size_t w = 0; w < windows.size(); ++w) {
    last_[w] = *windows.at(w);
    output_[w] = windows.at(w)[1];
    start_[w + 1] = start_[w] + columns[last_[w]].positions.size();
    by_last_[last_[w]].push_back(static_cast<std::uint32_t>(w));
  }
  require_memory(2.0 * static_cast<double>(start_.back()), "windows", "look less far back");
  tokens_.reserve(start_.back());
  for (std::size_t w = 0; w < windows.size(); ++w)
    for (const std::uint32_t position : columns[last_[w]].positions)
      tokens_.push_back(windows.at(
          w)[static_cast<std::ptrdiff_t>(position) - static_cast<std::ptrdiff_t>(windows.max_offset)]);
}

Probe fit_probe(const Corpus& corpus, const ProbeOptions& options, const Arena& arena) {
  const std::size_t n = corpus.vocabulary();
  if (n > kMostProbed)
    throw Error(ErrorKind::kLimit, "corpus", fmt::format("a probe of {} tokens, at most {}", n, kMostProbed),
                "keep fewer tokens");
  if (options.rounds == 0) throw Error(ErrorKind::kUsage, "probe", "expected at least one round");
  const Windows windows = windows_of(corpus.tokens, n, options.max_offset);
  require_windows(windows);
  const std::size_t held_out = windows.size() / 10;
  const Windows train = windows.first(windows.size() - held_out);
  Probe probe;
  probe.options = options;
  probe.train = train.size();
  probe.mu = smoothed_frequencies(outputs_of(train), n);
  probe.counts.resize(n);
  for (std::size_t w = 0; w < train.size(); ++w) ++probe.counts[*train.at(w)];

  const std::vector<Column> start = start_at_nearest(options, probe.counts);
  const SparseSamples samples(train, n, start);
  const SparseModel fitted = least_squares(samples, n, start, options.rounds, false, arena);
  probe.model = dense(fitted, options.max_offset + 1);
  probe.errors = Matrix<double>(n, options.max_offset + 1);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t s = 0; s < fitted.errors[k].size(); ++s)
      probe.errors(k, start[k].positions[s]) = fitted.errors[k][s];

  predict_windows(windows.part(train.size(), windows.size()), fitted, last_token_model(train, probe.mu),
                  probe, arena);
  return probe;
}

Instance instance_of(const Probe& probe, const std::vector<std::string>& names,
                     std::vector<std::string>* notes) {
  const std::size_t n = probe.model.v.rows(), positions = probe.model.a.cols();
  double moved_v = 0, moved_a = 0;
  Matrix<double> p(n, n);
  std::vector<double> column(n);
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = 0; i < n; ++i) column[i] = probe.model.v(i, j);
    moved_v = std::max(moved_v, project(column));
    for (std::size_t i = 0; i < n; ++i) p(i, j) = (1 - kShareOfMu) * column[i] + kShareOfMu * probe.mu[i];
  }
  std::vector<SparseColumn> q(n);
  for (std::size_t k = 0; k < n; ++k) {
    std::vector<double> row(probe.model.a.row(k), probe.model.a.row(k) + positions);
    moved_a = std::max(moved_a, project(row));
    for (std::size_t t = 0; t < positions; ++t) {
      if (row[t] == 0) continue;
      q[k].positions.push_back(static_cast<std::uint32_t>(t));
      q[k].weights.push_back(row[t]);
    }
  }
  if (notes != nullptr)
    notes->push_back(
        fmt::format("columns became laws by projection, which moved one of V by at most {:.2g}, one of A by "
                    "{:.2g}; P has {} of μ in it",
                    moved_v, moved_a, kShareOfMu));
  Instance instance = make_instance(std::move(p), std::move(q), positions, notes);
  instance.names = names;
  return instance;
}

}  // namespace telos::bigram
