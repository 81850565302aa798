// What a kernel needs of one sequence alone.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "symmetry/kernel_strip.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::symmetry {
namespace {

using Kind = Step::Kind;

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

std::vector<double> block_diagonal(const Matrix<double>& k, const std::string& where) {
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
  const SequenceCache* const alone = &cache;
  Columns<double> columns(program, {&alone, 1}, variant, cache.distinct.size(), cache.tokens.size());
  StripRun<double> run(program, columns, cache.tokens.size(), false);
  for (std::size_t i = run.start(columns.sides); i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    StepCache& own = cache.steps[variant][i];
    const std::string where = fmt::format("{}, step {}", program.architecture.name, i);
    const Matrix<double>& k = run.state().here.k;
    if (step.kind == Kind::kNorm || step.kind == Kind::kActivate) own.variance = block_diagonal(k, where);
    if (step.kind == Kind::kNorm) require_positive(own.variance, program.architecture.epsilon, where);
    if (step.kind == Kind::kActivate) prepare_series(step, own, cache.series_rest);
    if (step.kind == Kind::kAttend)
      prepare_attention(step.attention, k, i == program.selecting ? program.row(cache.tokens.size()) : kNever,
                        own);
    run.run(i, i + 1);
  }
  block_diagonal(run.state().here.k, program.architecture.name);
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

double cache_bytes(const Matrix<double>& m) {
  return 8.0 * static_cast<double>(m.size());
}
double cache_bytes(const std::vector<double>& v) {
  return 8.0 * static_cast<double>(v.size());
}

}  // namespace

std::size_t PreparedSequence::length() const {
  return cache_->tokens.size();
}

double PreparedSequence::bytes() const {
  double bytes = cache_bytes(cache_->positions) + 24.0 * static_cast<double>(length());
  for (const FeatureCache& f : cache_->features) bytes += cache_bytes(f.tokens) + cache_bytes(f.positions);
  for (const auto& steps : cache_->steps)
    for (const StepCache& s : steps)
      bytes += sizeof(StepCache) + cache_bytes(s.variance) + cache_bytes(s.attention) +
               cache_bytes(s.series) + cache_bytes(s.positions) + cache_bytes(s.turns);
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

}  // namespace telos::symmetry
