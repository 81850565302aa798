#include "telos/symmetry/nonlinearity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>

#include "symmetry/transform_kernel.h"
#include "telos/base/error.h"

namespace telos::symmetry {
namespace {

constexpr double kOverTwoPi = 0.5 * std::numbers::inv_pi;

/// c within ±√(ab).
double clamped_covariance(double root, double c) {
  constexpr double kRounding = 1e-10;
  if (!(std::abs(c) <= root * (1 + kRounding)))
    throw Error(ErrorKind::kInternal, "kernel",
                fmt::format("a covariance of {} with variances of product {}", c, root * root));
  return std::clamp(c, -root, root);
}

/// φ(x) = low·x below 0, high·x above; root is √(ab).
Transformed piecewise_linear(double low, double high, double root, double c) {
  const double s = std::sqrt((root - c) * (root + c)), arcsine = std::atan2(c, s);
  const double step = (high - low) * (high - low) * kOverTwoPi;
  const double slope = (low + high) * (low + high) / 4 + step * arcsine;
  return {step * s + slope * c, slope};
}

Transformed of_erf(double a, double b, double c) {
  const double product = (1 + 2 * a) * (1 + 2 * b);
  return {2 * std::numbers::inv_pi * std::asin(2 * c / std::sqrt(product)),
          4 * std::numbers::inv_pi / std::sqrt(product - 4 * c * c)};
}

Transformed of_gelu(double a, double b, double c) {
  const double product = (1 + a) * (1 + b), square = product - c * c, root = std::sqrt(square);
  const double angle = std::atan(c / root);
  return {c / 4 + ((c * c + a * b * square) / (product * root) + c * angle) * kOverTwoPi,
          0.25 + (angle + c / root * (1 / square + (1 - a * b) / product + 1)) * kOverTwoPi};
}

double phi_value(Nonlinearity phi, double x) {
  return phi == Nonlinearity::kTanh ? std::tanh(x) : x / (1 + std::exp(-x));
}

double phi_slope(Nonlinearity phi, double x) {
  if (phi == Nonlinearity::kTanh) {
    const double y = std::tanh(x);
    return 1 - y * y;
  }
  const double y = 1 / (1 + std::exp(-x));
  return y * (1 + x * (1 - y));
}

/// He_k/√k! of the next degree: z·here·he_k − before·he_{k−1}.
struct Recurrence {
  std::array<double, kSeriesTerms> here{}, before{};
};
const Recurrence& recurrence() {
  static const Recurrence r = [] {
    Recurrence out;
    for (std::size_t k = 0; k < kSeriesTerms; ++k) {
      const auto n = static_cast<double>(k);
      out.here[k] = 1 / std::sqrt(n + 1);
      out.before[k] = std::sqrt(n / (n + 1));
    }
    return out;
  }();
  return r;
}

}  // namespace

namespace kernel {

void refuse_covariance() {
  throw Error(ErrorKind::kInternal, "kernel", "a covariance is above the root of its variances");
}

std::optional<RowTransform> row_transform(Nonlinearity phi, double slope_below) {
  const auto piecewise = [](double low, double high) {
    return RowTransform{.form = RowForm::kPiecewise,
                        .step = (high - low) * (high - low) * kOverTwoPi,
                        .middle = (low + high) * (low + high) / 4};
  };
  switch (phi) {
    case Nonlinearity::kRelu:
      return piecewise(0, 1);
    case Nonlinearity::kLeakyRelu:
      return piecewise(slope_below, 1);
    case Nonlinearity::kAbs:
      return piecewise(-1, 1);
    case Nonlinearity::kErf:
      return RowTransform{.form = RowForm::kErf};
    case Nonlinearity::kGelu:
      return RowTransform{.form = RowForm::kGelu};
    default:
      return {};
  }
}

}  // namespace kernel

void inverse_roots(Nonlinearity phi, std::span<const double> variance, std::span<double> out) {
  const std::optional<kernel::RowTransform> form = kernel::row_transform(phi, 0);
  for (std::size_t j = 0; j < variance.size(); ++j)
    out[j] = form ? kernel::inverse_root(form->form, variance[j]) : 0;
}

void transform_row(Nonlinearity phi, double slope_below, double a, std::span<const double> b,
                   std::span<const double> inverse_roots_b, std::span<double> c, std::span<double> slope) {
  const std::optional<kernel::RowTransform> form = kernel::row_transform(phi, slope_below);
  if (!form) {
    for (std::size_t j = 0; j < c.size(); ++j) {
      const Transformed t = transform(phi, slope_below, a, b[j], c[j]);
      c[j] = t.value;
      if (!slope.empty()) slope[j] = t.slope;
    }
    return;
  }
  const kernel::TransformedRow<double> row{.a = a,
                                           .inverse_a = kernel::inverse_root(form->form, a),
                                           .b = b.data(),
                                           .inverse_b = inverse_roots_b.data(),
                                           .c = c.data(),
                                           .slope = slope.empty() ? nullptr : slope.data(),
                                           .n = c.size()};
  if (!kernel::transform_row(*form, row)) kernel::refuse_covariance();
}

void transform_row(Nonlinearity phi, double slope_below, double a, std::span<const double> b,
                   std::span<double> c, std::span<double> slope) {
  constexpr std::size_t kChunk = 64;
  std::array<double, kChunk> inverse;
  for (std::size_t j = 0; j < c.size(); j += kChunk) {
    const std::size_t n = std::min(kChunk, c.size() - j);
    inverse_roots(phi, b.subspan(j, n), inverse);
    transform_row(phi, slope_below, a, b.subspan(j, n), inverse, c.subspan(j, n),
                  slope.empty() ? slope : slope.subspan(j, n));
  }
}

bool has_closed_form(Nonlinearity phi) {
  return phi != Nonlinearity::kTanh && phi != Nonlinearity::kSilu;
}

Transformed transform(Nonlinearity phi, double slope, double a, double b, double c) {
  const double half = (a + b) / 2, root = std::sqrt(a * b);
  c = clamped_covariance(root, c);
  switch (phi) {
    case Nonlinearity::kIdentity:
      return {c, 1};
    case Nonlinearity::kRelu:
      return piecewise_linear(0, 1, root, c);
    case Nonlinearity::kLeakyRelu:
      return piecewise_linear(slope, 1, root, c);
    case Nonlinearity::kAbs:
      return piecewise_linear(-1, 1, root, c);
    case Nonlinearity::kErf:
      return of_erf(a, b, c);
    case Nonlinearity::kGelu:
      return of_gelu(a, b, c);
    case Nonlinearity::kSin:
    case Nonlinearity::kCos: {
      // e^(−(a+b)/2) sinh c and cosh c without overflow: |c| ≤ (a+b)/2.
      const double same = std::exp(c - half) / 2, opposite = std::exp(-c - half) / 2;
      const double odd = same - opposite, even = same + opposite;
      return phi == Nonlinearity::kSin ? Transformed{odd, even} : Transformed{even, odd};
    }
    case Nonlinearity::kExp:
      return {std::exp(half + c), std::exp(half + c)};
    case Nonlinearity::kSquare:
      return {a * b + 2 * c * c, 4 * c};
    case Nonlinearity::kTanh:
    case Nonlinearity::kSilu:
      break;
  }
  return transform_series(hermite_series(phi, a).h, hermite_series(phi, b).h, a, b, c);
}

HermiteSeries hermite_series(Nonlinearity phi, double variance) {
  const double deviation = std::sqrt(variance), reach = 14;
  // φ(√a z) narrows as 1/√a.
  const auto nodes = static_cast<std::size_t>(std::ceil(reach * 8 * std::max(1.0, deviation)));
  const double step = reach / static_cast<double>(nodes);
  HermiteSeries series{.h = std::vector<double>(kSeriesTerms, 0.0)};
  const Recurrence& r = recurrence();
  double square = 0, slope_square = 0;
  for (std::size_t i = 0; i <= 2 * nodes; ++i) {
    const double z = step * static_cast<double>(i) - reach;
    const double weight = step * std::exp(-z * z / 2) * std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    const double value = phi_value(phi, deviation * z), slope = phi_slope(phi, deviation * z);
    square += weight * value * value;
    slope_square += weight * slope * slope;
    double before = 0, here = weight * value;
    for (std::size_t k = 0; k < kSeriesTerms; ++k) {
      series.h[k] += here;
      const double next = (z * r.here[k]) * here - r.before[k] * before;
      before = here;
      here = next;
    }
  }
  double slope_sum = 0;
  for (std::size_t k = 0; k < kSeriesTerms; ++k) {
    square -= series.h[k] * series.h[k];
    slope_sum += static_cast<double>(k) * series.h[k] * series.h[k];
  }
  series.rest = std::max(square, 0.0);
  series.slope_rest = variance > 0 ? std::max(slope_square - slope_sum / variance, 0.0) : 0;
  return series;
}

Transformed transform_series(std::span<const double> h_a, std::span<const double> h_b, double a, double b,
                             double c) {
  const double root = std::sqrt(a * b);
  // u or v is 0 only where the weights above it are, and then nothing asks for the slope.
  if (root == 0) return {h_a[0] * h_b[0], 0};
  const double rho = clamped_covariance(root, c) / root;
  // Horner's rule in ρ⁸ for each of eight residues of k.
  constexpr std::size_t kWays = 8;
  double powers[kWays + 1] = {1};
  for (std::size_t i = 0; i < kWays; ++i) powers[i + 1] = powers[i] * rho;
  double term[kSeriesTerms + 1], value[kWays] = {}, slope[kWays] = {};
  for (std::size_t k = 0; k < kSeriesTerms; ++k) term[k] = h_a[k] * h_b[k];
  term[kSeriesTerms] = 0;
  for (std::size_t k = kSeriesTerms; k > 0;) {
    k -= kWays;
    for (std::size_t i = 0; i < kWays; ++i) {
      value[i] = value[i] * powers[kWays] + term[k + i];
      slope[i] = slope[i] * powers[kWays] + static_cast<double>(k + i + 1) * term[k + i + 1];
    }
  }
  Transformed sum;
  for (std::size_t i = 0; i < kWays; ++i) {
    sum.value += value[i] * powers[i];
    sum.slope += slope[i] * powers[i];
  }
  return {sum.value, sum.slope / root};
}

}  // namespace telos::symmetry
