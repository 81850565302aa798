// What a kernel needs of one sequence alone.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "symmetry/kernel_samples.h"
#include "symmetry/kernel_strip.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::symmetry {
namespace {

using Kind = Step::Kind;

/// Keeps what is no padding.
void keep_tokens(TokenSpan tokens, const KernelProgram& program, SequenceCache& cache) {
  const auto& simplified = program.architecture.simplified;
  const std::size_t least = simplified && simplified->query ? 2 : 1;
  const auto refuse = [&](std::size_t found, const char* what) {
    throw Error(ErrorKind::kUsage, "sequence",
                fmt::format("expected {} to {} tokens{}, found {}", least, kMostPositions, what, found));
  };
  if (tokens.size() < least || tokens.size() > kMostPositions) refuse(tokens.size(), "");
  for (std::size_t a = 0; a < tokens.size(); ++a) {
    if (tokens[a] == program.architecture.padding) continue;
    if (tokens[a] >= program.vocabulary)
      throw Error(ErrorKind::kUsage, "sequence",
                  fmt::format("token {} at position {} is out of the vocabulary of {}", tokens[a], a,
                              program.vocabulary));
    cache.tokens.push_back(tokens[a]);
    cache.places.push_back(a);
  }
  if (cache.tokens.size() < least) refuse(cache.tokens.size(), " beside padding");
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
  Columns<double> columns(program, {&alone, 1}, variant, cache.distinct.size(), cache.extent());
  StripRun<double> run(program, columns, cache.tokens.size(), false);
  for (std::size_t i = run.start(columns.sides); i < program.steps.size(); ++i) {
    prepare_step(program, i, run.state().here.k, cache.places, cache.steps[variant][i], cache.series_rest);
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

/// The largest rest of series on the way of (X, X) through random layers.
double sampled_rest(const KernelProgram& program, const SequenceCache& cache) {
  const SequenceCache* const alone[] = {&cache};
  SampledRun run(program, alone, {}, 0, false, serial_arena());
  run.run();
  return run.series_rest();
}

}  // namespace

void prepare_step(const KernelProgram& program, std::size_t i, const Matrix<double>& k, Places places,
                  StepCache& out, double& rest) {
  const Step& step = program.steps[i];
  const std::string where = fmt::format("{}, step {}", program.architecture.name, i);
  if (step.kind == Kind::kNorm || step.kind == Kind::kActivate) out.variance = block_diagonal(k, where);
  if (step.kind == Kind::kNorm) require_positive(out.variance, program.architecture.epsilon, where);
  if (step.kind == Kind::kActivate) prepare_series(step, out, rest);
  if (step.kind == Kind::kAttend)
    prepare_attention(step.attention, program.architecture.embedding.dimension, k, places,
                      i == program.selecting ? program.row(k.rows()) : kNever, out);
}

std::size_t PreparedSequence::length() const {
  return cache_->tokens.size();
}

double PreparedSequence::bytes() const {
  double bytes = cache_bytes(cache_->positions) + 24.0 * static_cast<double>(length());
  for (const Matrix<double>& piece : cache_->samples) bytes += cache_bytes(piece);
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
  auto cache = std::make_shared<SequenceCache>();
  keep_tokens(tokens, program, *cache);
  const std::size_t length = cache->tokens.size();
  require_memory(working_bytes(length), "sequence", "take shorter sequences");
  cache->distinct = cache->tokens;
  std::sort(cache->distinct.begin(), cache->distinct.end());
  cache->distinct.erase(std::unique(cache->distinct.begin(), cache->distinct.end()), cache->distinct.end());
  if (program.architecture.simplified) {
    prepare_counts(program, *cache);
    return PreparedSequence(std::move(cache));
  }
  const std::size_t early = program.featured != kNever ? program.featured : program.sampled;
  if (early != kNever) {
    const auto n = static_cast<double>(program.batches() * program.samples_of_batch());
    const double rows = program.selecting == early ? 1 : static_cast<double>(length);
    require_memory(24 * n * rows * static_cast<double>(cache->extent()), "sequence",
                   "take fewer samples, or the readout last");
  }
  if (program.featured != kNever) {
    cache->features = make_features(program, featured_input(program).here, *cache);
  } else {
    const Embedding& e = program.architecture.embedding;
    cache->positions = position_covariances(e.positions, e.dimension, cache->extent());
  }
  if (program.runs_samples()) {
    if (program.sampled != kNever)
      cache->samples = make_samples(program, embedding_input(program, program.sampled).here, *cache);
    if (std::any_of(program.steps.begin(), program.steps.end(),
                    [](const Step& s) { return s.kind == Kind::kActivate && !has_closed_form(s.phi); }))
      cache->series_rest = sampled_rest(program, *cache);
    return PreparedSequence(std::move(cache));
  }
  for (std::size_t v = 0; v < program.variants(); ++v) prepare_steps(program, v, *cache);
  return PreparedSequence(std::move(cache));
}

}  // namespace telos::symmetry
