// One step of each descent.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "bigram/train_parts.h"
#include "telos/base/error.h"
#include "telos/linalg/vecmath.h"

namespace telos::bigram {
namespace {

/// All parameters of a solution are of order 1.
constexpr double kBlownUp = 1e6;
/// Multiples of the noise: a column has a signal (first stage of kPaper), and what is kept of it.
constexpr double kSignal = 8, kKeptSignal = 5;
/// kPaper: λ of the second stage over ‖V − μ1ᵀ‖_μ at its beginning (lab preset).
constexpr double kSecondStage = 0.02;
/// kSoftmax: rate of the logits over η·T, at first and once a weight of the column is above kSharp (lab
/// presets). A weight starts at 1/T and slows its logit as much; sharp columns would be won by one position.
constexpr double kLogitRate = 5, kSharpRate = 0.5, kSharp = 0.2;
/// kSgd: rate of V, and that of A over the largest stable one (lab presets).
constexpr double kSgdValues = 0.2, kSgdAttention = 0.4;

double rate_of_values(const TrainOptions& options) {
  return options.eta_v.value_or(options.algorithm == Algorithm::kSgd ? kSgdValues : options.eta);
}

double rate_of_attention(const Instance& instance, const TrainOptions& options) {
  if (options.eta_a) return *options.eta_a;
  if (options.algorithm == Algorithm::kSgd) return kSgdAttention * sgd_bound(instance);
  if (options.algorithm == Algorithm::kSoftmax)
    return kLogitRate * options.eta * static_cast<double>(instance.length);
  return options.eta;
}

}  // namespace

double values_norm(ConstMatrixView<double> v, std::span<const double> mu) {
  double sum = 0;
  for (std::size_t i = 0; i < v.rows(); ++i)
    for (std::size_t j = 0; j < v.cols(); ++j) sum += mu[j] * (v(i, j) - mu[i]) * (v(i, j) - mu[i]);
  return std::sqrt(sum);
}

std::uint64_t last_step(const TrainOptions& options) {
  const bool rest = options.algorithm == Algorithm::kMoments && options.samples % options.batch != 0;
  return options.samples / options.batch + (rest ? 1 : 0);
}

std::uint64_t samples_after(const TrainOptions& options, std::uint64_t steps) {
  return std::min(steps * options.batch, options.samples);
}

bool keeps_sums(Algorithm algorithm) {
  return algorithm != Algorithm::kSgd && algorithm != Algorithm::kSoftmax;
}

Descent::Descent(const Instance& instance, const TrainOptions& options, const Sampler& sampler,
                 const Arena& arena)
    : instance_(&instance),
      options_(&options),
      sampler_(&sampler),
      arena_(&arena),
      eta_v_(rate_of_values(options)),
      eta_a_(rate_of_attention(instance, options)),
      gradient_(sampler, options.batch, arena) {
  const std::size_t n = instance.tokens(), length = instance.length;
  sums_ = {Matrix<double>(n, n), Matrix<float>(n, length), std::vector<std::uint64_t>(n), 0};
  attention_ = Attention(n, length);
  next_ = {Matrix<double>(n, n), Matrix<double>(n, length)};
  if (options.algorithm == Algorithm::kSoftmax) next_logits_ = Matrix<double>(n, length);
}

void Descent::step(RunState& state) {
  const std::size_t n = instance_->tokens();
  const std::uint64_t first = state.steps * options_->batch;
  if (options_->algorithm == Algorithm::kMoments) {
    const std::uint64_t end = samples_after(*options_, state.steps + 1);
    state.moments.add(*sampler_, first, end - first, *arena_);
    ++state.steps;
    if (state.steps % SupportHistory::kEvery == 0 || end == options_->samples)
      state.moments.attention(*instance_, state.model.a, *arena_);
    return;
  }
  arena_->parallel_for(n, [&](std::size_t k) {
    const double* a = state.model.a.row(k);
    std::transform(a, a + instance_->length, attention_.row(k),
                   [](double x) { return static_cast<float>(x); });
  });
  gradient_.run(Stream::kTrain, first, state.model.v, attention_, sums_);
  next_values(state);
  threshold_ = options_->eta * (options_->algorithm == Algorithm::kPaper
                                    ? state.lambda
                                    : options_->threshold * values_norm(state.model.v, instance_->mu));
  arena_->parallel_for(n, [&](std::size_t k) { next_attention(state, k); });
  refuse_divergence(state.steps + 1);
  std::swap(state.model, next_);
  if (!state.logits.empty()) std::swap(state.logits, next_logits_);
  ++state.steps;
  if (options_->algorithm == Algorithm::kPaper && state.lambda == 0 &&
      state.steps % SupportHistory::kEvery == 0)
    end_first_stage(state);
}

/// V −= η/B·G, G = Σ r hᵀ, with kSgd; otherwise η/B·Π G D⁻¹(I − μ1ᵀ). Π = I − 11ᵀ/N keeps 1ᵀV, as 1ᵀr = 0
/// would but for the rounding of A to single precision.
void Descent::next_values(const RunState& state) {
  const std::size_t n = instance_->tokens();
  const double rate = eta_v_ / static_cast<double>(options_->batch);
  Matrix<double>& g = sums_.v;
  if (options_->algorithm != Algorithm::kSgd) {
    std::vector<double> mean(n);
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) sum += g(i, j);
      for (std::size_t j = 0; j < n; ++j) {
        g(i, j) = g(i, j) / instance_->mu[j] - sum;
        mean[j] += g(i, j) / static_cast<double>(n);
      }
    }
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) g(i, j) -= mean[j];
  }
  for (std::size_t i = 0; i < g.size(); ++i) next_.v.data()[i] = state.model.v.data()[i] - rate * g.data()[i];
}

void Descent::next_attention(RunState& state, std::size_t k) {
  const std::size_t length = instance_->length;
  const float* g = sums_.a.row(k);
  const std::span<const double> a(state.model.a.row(k), length);
  const std::span<double> next(next_.a.row(k), length);
  const double batch = static_cast<double>(options_->batch);
  switch (options_->algorithm) {
    case Algorithm::kSgd: {
      const double rate = eta_a_ / batch;
      for (std::size_t t = 0; t < length; ++t) next[t] = a[t] - rate * double{g[t]};
      return;
    }
    case Algorithm::kSoftmax: {
      const bool sharp = *std::ranges::max_element(a) > kSharp;
      const double rate = eta_a_ * (sharp ? kSharpRate / kLogitRate : 1) / (batch * instance_->mu[k]);
      double mean = 0;
      for (std::size_t t = 0; t < length; ++t) mean += a[t] * double{g[t]};
      const double sum = vec_sum(a);  // 1, as rounded
      const std::span<double> logits(next_logits_.row(k), length);
      for (std::size_t t = 0; t < length; ++t)
        next[t] = logits[t] = state.logits(k, t) - rate * a[t] * (double{g[t]} - mean / sum);
      softmax_row(next, length, 1.0);
      return;
    }
    default:
      break;
  }
  const double rate = eta_a_ / (batch * instance_->mu[k]);
  std::transform(g, g + length, next.begin(), [](float x) { return double{x}; });
  const double mean = vec_sum(std::span<const double>(next)) / static_cast<double>(length);
  for (std::size_t t = 0; t < length; ++t) next[t] = a[t] - rate * (next[t] - mean);
  shrink(next, options_->algorithm == Algorithm::kPsgd ? 0 : threshold_);
  if (options_->algorithm == Algorithm::kNonneg) project_simplex(next);
}

void Descent::refuse_divergence(std::uint64_t step) const {
  const auto refuse = [&](const std::string& parameter, double size) {
    const double bound = sgd_bound(*instance_);
    const bool unstable = options_->algorithm == Algorithm::kSgd && eta_a_ > bound;
    throw Error(ErrorKind::kNotFinite, fmt::format("step {}", step),
                fmt::format("{} blew up: the sum of its absolute values is {:.3g}", parameter, size),
                unstable ? fmt::format("the rate {:.3g} of A is above its bound {:.3g}", eta_a_, bound)
                         : "the model of the step before is kept; try lower rates or a larger batch");
  };
  std::vector<double> sizes(instance_->tokens());
  const auto size = [](std::span<const double> values) {
    double sum = 0;
    for (const double x : values) sum += std::abs(x);
    return sum;
  };
  arena_->parallel_for(sizes.size(), [&](std::size_t k) {
    sizes[k] = size({next_.a.row(k), next_.a.cols()});
  });
  for (std::size_t k = 0; k < sizes.size(); ++k)
    if (!(sizes[k] < kBlownUp))
      refuse(fmt::format("the attention of the last token \"{}\"", printable(instance_->name(k))), sizes[k]);
  if (const double v = size({next_.v.data(), next_.v.size()});
      !(v < kBlownUp * static_cast<double>(sizes.size())))
    refuse("V", v);
}

/// Once every column has an entry well above its noise: what is above the noise stays, the rest becomes even.
void Descent::end_first_stage(RunState& state) {
  const std::size_t n = instance_->tokens(), length = instance_->length;
  const double uniform = 1 / static_cast<double>(length);
  std::vector<double> noise(n), signal(n);
  arena_->parallel_for(n, [&](std::size_t k) {
    const std::span<const double> a(state.model.a.row(k), length);
    noise[k] = robust_scale(a);
    for (const double x : a) signal[k] = std::max(signal[k], std::abs(x - uniform));
  });
  for (std::size_t k = 0; k < n; ++k)
    if (!state.history.is_left_out(k) && (!(signal[k] > kSignal * noise[k]) || signal[k] == 0)) return;
  if (options_->fix_mirror && orientation(state.model.a, *arena_) < 0)
    state.model = mirrored(state.model, instance_->mu);
  arena_->parallel_for(n, [&](std::size_t k) {
    keep_large({state.model.a.row(k), length}, kKeptSignal * noise[k]);
  });
  state.lambda = kSecondStage * values_norm(state.model.v, instance_->mu);
}

}  // namespace telos::bigram
