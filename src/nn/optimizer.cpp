#include "telos/nn/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "nn/optimizer_kernel.h"
#include "telos/base/error.h"

namespace telos::nn {
namespace {

using Kind = OptimizerOptions::Kind;

void require(bool good, const char* what, double found, const char* expected) {
  if (!good)
    throw Error(ErrorKind::kUsage, "optimizer", fmt::format("{} is {}, expected {}", what, found, expected));
}

void check_options(const OptimizerOptions& o) {
  const auto share = [](double x) { return x >= 0 && x < 1; };
  const auto amount = [](double x) { return x >= 0 && std::isfinite(x); };
  require(share(o.beta1), "beta1", o.beta1, "a number from 0 to below 1");
  require(share(o.beta2), "beta2", o.beta2, "a number from 0 to below 1");
  require(amount(o.eps), "eps", o.eps, "a number that is 0 or above");
  require(amount(o.momentum), "momentum", o.momentum, "a number that is 0 or above");
  require(amount(o.weight_decay), "weight decay", o.weight_decay, "a number that is 0 or above");
  require(amount(o.clip_norm), "clip norm", o.clip_norm, "a number that is 0 or above");
}

/// Throws kNotFinite naming the first entry that is not finite; returns if there is none.
template <class T>
void require_finite(const ParameterLayout& layout, std::span<const T> gradient) {
  for (const ParameterInfo& info : layout.entries())
    for (std::size_t i = 0; i < info.size(); ++i)
      if (const double g = static_cast<double>(gradient[info.offset + i]); !std::isfinite(g))
        throw Error(ErrorKind::kNotFinite, printable(info.name),
                    fmt::format("its gradient is {} in row {}, column {}", g, i / info.cols, i % info.cols),
                    "the parameters were left as they were; try a lower learning rate or clipping");
}

/// The 2-norm of a gradient whose entries are finite, where the squares overflow.
template <class T>
double norm_of_large(std::span<const T> gradient) {
  double largest = 0, sum = 0;
  for (const T g : gradient) largest = std::max(largest, std::abs(static_cast<double>(g)));
  for (const T g : gradient) sum += std::pow(static_cast<double>(g) / largest, 2);
  return largest * std::sqrt(sum);
}

/// Calls f(offset, elements, decays) for runs of neighbouring parameters that decay alike.
template <class F>
void for_each_run(const ParameterLayout& layout, const F& f) {
  const std::vector<ParameterInfo>& all = layout.entries();
  for (std::size_t i = 0; i < all.size();) {
    const std::size_t offset = all[i].offset;
    const bool decay = all[i].decay;
    std::size_t elements = 0;
    for (; i < all.size() && all[i].decay == decay; ++i) elements += all[i].size();
    f(offset, elements, decay);
  }
}

/// Calls f(begin, count) for pieces of `elements`, by the threads of `arena` if there are several pieces.
template <class F>
void for_pieces(std::size_t elements, const Arena* arena, const F& f) {
  constexpr std::size_t kPiece = 1 << 16;
  if (arena == nullptr || elements <= kPiece) return f(std::size_t{0}, elements);
  arena->parallel_for((elements + kPiece - 1) / kPiece, [&](std::size_t piece) {
    f(piece * kPiece, std::min(kPiece, elements - piece * kPiece));
  });
}

}  // namespace

template <class T>
Optimizer<T>::Optimizer(const ParameterLayout& layout, OptimizerOptions options)
    : layout_(&layout), options_(options) {
  check_options(options_);
  const bool adam = options_.kind != Kind::kSgd;
  if (adam || options_.momentum != 0) first_.resize(layout.size());
  if (adam) second_.resize(layout.size());
}

template <class T>
double Optimizer<T>::step(std::span<T> parameters, std::span<T> gradient, double learning_rate,
                          const Arena* arena) {
  if (parameters.size() != layout_->size() || gradient.size() != layout_->size())
    throw Error(ErrorKind::kShape, "optimizer",
                fmt::format("{} parameters and {} gradients, expected {} of each", parameters.size(),
                            gradient.size(), layout_->size()));
  require(learning_rate >= 0 && std::isfinite(learning_rate), "the learning rate", learning_rate,
          "a number that is 0 or above");
  double norm = std::sqrt(sum_of_squares(gradient.data(), gradient.size()));
  if (!std::isfinite(norm)) {
    require_finite<T>(*layout_, gradient);
    norm = norm_of_large<T>(gradient);
  }
  const double clip = options_.clip_norm > 0 ? std::min(1.0, options_.clip_norm / (norm + 1e-6)) : 1.0;
  ++steps_;
  if (options_.kind == Kind::kSgd)
    step_sgd(parameters, gradient, learning_rate, clip);
  else
    step_adam(parameters, gradient, learning_rate, clip, arena);
  return norm;
}

template <class T>
void Optimizer<T>::step_adam(std::span<T> parameters, std::span<const T> gradient, double learning_rate,
                             double clip, const Arena* arena) {
  const OptimizerOptions& o = options_;
  const bool decoupled = o.kind == Kind::kAdamW;
  const double t = static_cast<double>(steps_);
  AdamStep<T> s{};
  s.clip = static_cast<T>(clip);
  s.decay = static_cast<T>(decoupled ? 0 : o.weight_decay);
  s.first_share = static_cast<T>(1 - o.beta1);
  s.beta2 = static_cast<T>(o.beta2);
  s.second_share = static_cast<T>(1 - o.beta2);
  s.step_size = static_cast<T>(learning_rate / (1 - std::pow(o.beta1, t)));
  s.inverse_root_bias = static_cast<T>(1 / std::sqrt(1 - std::pow(o.beta2, t)));
  s.eps = static_cast<T>(o.eps);
  for_each_run(*layout_, [&](std::size_t offset, std::size_t elements, bool decay) {
    s.shrink = static_cast<T>(decoupled && decay ? 1 - learning_rate * o.weight_decay : 1);
    for_pieces(elements, arena, [&](std::size_t begin, std::size_t count) {
      const std::size_t at = offset + begin;
      adam_step(s, count, parameters.data() + at, gradient.data() + at, first_.data() + at,
                second_.data() + at);
    });
  });
}

template <class T>
void Optimizer<T>::step_sgd(std::span<T> parameters, std::span<const T> gradient, double learning_rate,
                            double clip) {
  const SgdStep<T> s{.clip = static_cast<T>(clip),
                     .decay = static_cast<T>(options_.weight_decay),
                     .momentum = static_cast<T>(options_.momentum),
                     .rate = static_cast<T>(learning_rate)};
  sgd_step(s, parameters.size(), parameters.data(), gradient.data(),
           first_.empty() ? nullptr : first_.data());
}

template class Optimizer<float>;
template class Optimizer<double>;

double Schedule::at(std::uint64_t step) const {
  if (step < warmup) return rate * static_cast<double>(step) / static_cast<double>(warmup);
  if (kind == Kind::kConstant) return rate;
  if (step >= total) return final_rate;
  const double done = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  const double left = kind == Kind::kLinear ? 1 - done : (1 + std::cos(std::numbers::pi * done)) / 2;
  return final_rate + (rate - final_rate) * left;
}

double Plateau::update(double metric) {
  const bool better =
      !started ? metric < std::numeric_limits<double>::infinity() : metric < best * (1 - threshold);
  if (better) {
    best = metric;
    started = true;
    bad = 0;
    return rate;
  }
  if (++bad <= patience) return rate;
  bad = 0;
  const double lower = std::max(factor * rate, min_rate);
  if (rate - lower > 1e-8) rate = lower;
  return rate;
}

}  // namespace telos::nn
