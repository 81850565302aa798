#include "telos/smoothing/theory.h"

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "telos/base/error.h"

namespace telos::smoothing {

std::string_view to_string(Zone zone) noexcept {
  switch (zone) {
    case Zone::kSmooth:
      return "smooth";
    case Zone::kSharp:
      return "sharp";
    case Zone::kDepends:
      return "depends";
    case Zone::kNull:
      return "null";
  }
  return "";
}

std::string_view to_string(Regime regime) noexcept {
  switch (regime) {
    case Regime::kSmoothing:
      return "smoothing";
    case Regime::kSharpening:
      return "sharpening";
    case Regime::kBalanced:
      return "balanced";
    case Regime::kNull:
      return "null";
  }
  return "";
}

Zone zone(Complex h) noexcept {
  if (h == Complex(0)) return Zone::kNull;
  const double size = std::norm(h);
  if (2 * h.real() + size >= 0) return Zone::kSmooth;  // |h + 1|² ≥ 1
  if (h.real() + size <= 0) return Zone::kSharp;       // |h + ½|² ≤ ¼
  return Zone::kDepends;
}

double flip_point(Complex h) noexcept {
  if (h == Complex(0)) return kNaN;
  return -2 * h.real() / std::norm(h) - 1;
}

bool sharpens(Complex h, double a) noexcept {
  return h != Complex(0) && h.real() < -(1 + a) * std::norm(h) / 2;
}

RankOneLimit rank_one_limit(std::span<const double> v, double zero) {
  double largest = 0, sum = 0, squares = 0;
  for (double value : v) largest = std::max(largest, std::abs(value));
  RankOneLimit limit{kNaN, kNaN, 0};
  if (largest == 0) return limit;
  std::size_t positive = 0, negative = 0;
  for (double value : v) {
    const double scaled = value / largest;
    sum += scaled;
    squares += scaled * scaled;
    if (std::abs(scaled) <= zero) continue;
    ++(scaled > 0 ? positive : negative);
  }
  limit.nonzero = positive + negative;
  const double n = static_cast<double>(v.size()), m = static_cast<double>(limit.nonzero);
  const double difference = static_cast<double>(positive) - static_cast<double>(negative);
  if (limit.nonzero > 1) limit.cos_mean = (difference * difference - m) / (m * (m - 1));
  if (std::abs(sum) <= zero * std::sqrt(n * squares))
    limit.hfc_lfc = kInfinity;
  else
    limit.hfc_lfc = std::sqrt(std::max(0.0, n * squares / (sum * sum) - 1));
  return limit;
}

double one_step_bound(std::span<const double> sigma_pap, std::span<const double> sigma_h, double alpha) {
  if (sigma_pap.size() != sigma_h.size())
    throw Error(ErrorKind::kShape, "one_step_bound",
                std::to_string(sigma_pap.size()) + " attention norms for " + std::to_string(sigma_h.size()) +
                    " heads; expected one for each head");
  double bound = std::abs(alpha);
  for (std::size_t i = 0; i < sigma_h.size(); ++i) bound += sigma_pap[i] * sigma_h[i];
  return bound;
}

}  // namespace telos::smoothing
