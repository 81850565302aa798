#include "telos/clustering/theory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include "telos/base/error.h"

namespace telos::clustering {
namespace {

void require(bool holds, const char* where, const std::string& message, const char* hint = "") {
  if (!holds) throw Error(ErrorKind::kUsage, where, message, hint);
}

/// Gauss–Legendre on 16 nodes: exact for polynomials of degree 31.
struct GaussRule {
  static constexpr int kNodes = 16;
  std::array<double, kNodes> node{}, weight{};

  GaussRule() {
    for (int i = 0; i < kNodes; ++i) {
      double x = std::cos(std::numbers::pi * (i + 0.75) / (kNodes + 0.5)), slope = 0;
      for (int round = 0; round < 8; ++round) {
        double p = 1, before = 0;
        for (int k = 1; k <= kNodes; ++k) {
          const double next = ((2 * k - 1) * x * p - (k - 1) * before) / k;
          before = p;
          p = next;
        }
        slope = kNodes * (x * p - before) / (x * x - 1);
        x -= p / slope;
      }
      const auto at = static_cast<std::size_t>(i);
      node[at] = x;
      weight[at] = 2 / ((1 - x * x) * slope * slope);
    }
  }
};

template <class Function>
double integrate(double from, double to, Function&& f) {
  static const GaussRule kRule;
  const double half = (to - from) / 2, middle = from + half;
  double sum = 0;
  for (std::size_t i = 0; i < kRule.node.size(); ++i)
    sum += kRule.weight[i] * f(middle + half * kRule.node[i]);
  return half * sum;
}

/// ∫ e^{g} over [0, ∞) of a concave g that is largest at `mode`, as far as e^{g − g(mode)} > e^{−50}.
/// Returned is the integral of e^{g − shift}.
template <class Function>
double integrate_concave(double mode, double shift, Function&& g) {
  constexpr double kDepth = 50;
  constexpr int kPanels = 64;
  const double top = g(mode);
  const auto edge = [&](double inside, double outside) {
    for (int i = 0; i < 60; ++i) {
      const double middle = (inside + outside) / 2;
      (g(middle) > top - kDepth ? inside : outside) = middle;
    }
    return outside;
  };
  double far = mode + 1;
  while (g(far) > top - kDepth) far = mode + 2 * (far - mode);
  const double high = edge(mode, far);
  const double low = mode > 0 && !(g(0) > top - kDepth) ? edge(mode, 0) : 0;
  double sum = 0;
  for (int i = 0; i < kPanels; ++i)
    sum += integrate(low + (high - low) * i / kPanels, low + (high - low) * (i + 1) / kPanels,
                     [&](double x) { return std::exp(g(x) - shift); });
  return sum;
}

/// dt/dy along the equiangular system, y = −ln(1 − γ), u = 1 − γ = e^{−y}:
///   SA: (e^{βu} + n − 1) / (2(n − (n − 1)u)),   USA: n e^{−β(1−u)} / (2(n − (n − 1)u)).
class EquiangularClock {
 public:
  static constexpr double kArrived = 64;  ///< from this y on, 1 − e^{−y} is 1

  EquiangularClock(std::size_t tokens, double beta, bool unnormalised)
      : n_(static_cast<double>(tokens)), beta_(beta), unnormalised_(unnormalised) {}

  double slope(double y) const {
    const double u = std::exp(-y), v = -std::expm1(-y);  // v = γ
    const double rate = unnormalised_ ? n_ * std::exp(-beta_ * v) : std::exp(beta_ * u) + (n_ - 1);
    return rate / (2 * (1 + (n_ - 1) * v));
  }

  /// ∫ slope. Panels are as long as the pole near y = −1/n and the growth of e^{βu} let 16 nodes be exact.
  double between(double from, double to) const {
    double sum = 0;
    for (double y = from; y < to;) {
      const double width = std::min({2 * (y + 1 / n_), 4 / (beta_ * std::exp(-y)), 4.0});
      const double next = std::min(to, y + width);
      if (slope(y) == 0 || std::isinf(sum)) break;  // so are all later panels
      sum += integrate(y, next, [this](double at) { return slope(at); });
      y = next;
    }
    return sum;
  }

  /// The y that is reached `wait` after `from`: Newton's method, kept between its brackets.
  double after(double from, double wait) const {
    if (!(between(from, kArrived) > wait)) return kArrived;
    double low = from, high = from + 1;
    while (between(from, high) < wait) {
      low = high;
      high = from + 2 * (high - from);
    }
    double y = std::clamp(from + wait / slope(from), low, high);
    double at = low, time = between(from, low);  // a point whose time is known
    for (int i = 0; i < 100; ++i) {
      time += y >= at ? between(at, y) : -between(y, at);
      at = y;
      (time < wait ? low : high) = y;
      double next = y + (wait - time) / slope(y);
      if (!(next > low && next < high)) next = (low + high) / 2;
      if (std::abs(next - y) <= 1e-15 * y) return next;
      y = next;
    }
    return y;
  }

 private:
  double n_, beta_;
  bool unnormalised_;
};

EquiangularClock equiangular_clock(std::size_t tokens, double beta, bool unnormalised) {
  require(tokens >= 2, "equiangular", fmt::format("expected two tokens or more, found {}", tokens));
  require(std::isfinite(beta) && beta >= 0, "equiangular", fmt::format("expected β ≥ 0, found {}", beta));
  return {tokens, beta, unnormalised};
}

/// ln n! − ((n + ½) ln n − n + ½ ln 2π).
double stirling_error(double n) {
  if (n < 16) {
    double factorial = 1;
    for (int i = 2; i <= static_cast<int>(n); ++i) factorial *= i;
    return std::log(factorial) - ((n + 0.5) * std::log(n) - n + 0.5 * std::log(2 * std::numbers::pi));
  }
  const double q = 1 / (n * n);
  return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - q / 1188) * q) * q) * q) / n;
}

/// x ln(x/m) + m − x without cancellation near x = m.
double deviance(double x, double m) {
  if (std::abs(x - m) >= 0.1 * (x + m)) return x * std::log(x / m) + m - x;
  const double v = (x - m) / (x + m);
  double sum = (x - m) * v, power = 2 * x * v;
  for (int k = 1; k < 200; ++k) {
    power *= v * v;
    const double next = sum + power / (2 * k + 1);
    if (next == sum) break;
    sum = next;
  }
  return sum;
}

}  // namespace

double expected_leaders(std::size_t tokens, std::size_t dimension) {
  require(tokens > 0 && dimension > 0, "expected_leaders",
          fmt::format("expected n ≥ 1 and d ≥ 1, found n = {} and d = {}", tokens, dimension));
  const double others = static_cast<double>(tokens - 1), power = static_cast<double>(dimension - 1);
  const double centre = std::sqrt(power);
  // ln of χ_d's density up to a constant, 0 at its mode.
  const auto chi = [=](double x) {
    const double half_square = (x - centre) * (x + centre) / 2;
    return power == 0 ? -half_square : power * std::log1p((x - centre) / centre) - half_square;
  };
  const auto log_phi = [=](double x) { return others * std::log1p(-std::erfc(x / std::numbers::sqrt2) / 2); };
  const auto product = [&](double x) { return chi(x) + log_phi(x); };
  // The product's mode lies right of χ's; its slope falls.
  const auto slope = [&](double x) {
    const double tail = std::erfc(x / std::numbers::sqrt2) / 2;
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    return (power == 0 ? 0 : power / x) - x + others * density / (1 - tail);
  };
  double low = centre, high = centre + 1;
  while (slope(high) > 0) high = centre + 2 * (high - centre);
  for (int i = 0; i < 100 && low < high; ++i) {
    const double middle = (low + high) / 2;
    (slope(middle) > 0 ? low : high) = middle;
  }
  return static_cast<double>(tokens) * integrate_concave(low, 0, product) / integrate_concave(centre, 0, chi);
}

double layers_to_approach(double alpha, double factor) {
  require(std::isfinite(alpha) && alpha > 0, "layers_to_approach",
          fmt::format("expected α > 0, found {}", alpha));
  require(std::isfinite(factor) && factor >= 1, "layers_to_approach",
          fmt::format("expected a factor of 1 or more, found {}", factor));
  return std::log(factor) / std::log1p(alpha);
}

std::vector<double> equiangular(std::size_t tokens, double beta, bool unnormalised,
                                const std::vector<double>& times) {
  const EquiangularClock clock = equiangular_clock(tokens, beta, unnormalised);
  std::vector<double> gamma;
  gamma.reserve(times.size());
  double y = 0, now = 0;
  for (const double time : times) {
    require(std::isfinite(time) && time >= now, "equiangular",
            fmt::format("expected ascending times from 0 on, found {} after {}", time, now));
    if (time > now) y = clock.after(y, time - now);
    now = time;
    gamma.push_back(-std::expm1(-y));
  }
  return gamma;
}

double equiangular_time(std::size_t tokens, double beta, bool unnormalised, double level) {
  const EquiangularClock clock = equiangular_clock(tokens, beta, unnormalised);
  require(level > 0 && level < 1, "equiangular_time",
          fmt::format("expected a level between 0 and 1, found {}", level));
  return clock.between(0, -std::log1p(-level));
}

std::vector<double> chain_coefficients(double alpha, std::size_t layer, std::size_t length) {
  require(std::isfinite(alpha) && alpha > 0, "chain_coefficients",
          fmt::format("expected α > 0, found {}", alpha));
  // Binomial probabilities of `layer` trials, by Loader's saddle-point form: accurate where C(k, l)
  // overflows.
  const double k = static_cast<double>(layer), s = alpha / (1 + alpha), r = 1 / (1 + alpha);
  std::vector<double> coefficients(length, 0.0);
  for (std::size_t l = 0; l < length && l <= layer; ++l) {
    const double x = static_cast<double>(l), rest = k - x;
    if (l == 0)
      coefficients[l] = std::exp(-k * std::log1p(alpha));
    else if (l == layer)
      coefficients[l] = std::exp(-k * std::log1p(1 / alpha));
    else
      coefficients[l] = std::exp(stirling_error(k) - stirling_error(x) - stirling_error(rest) -
                                 deviance(x, k * s) - deviance(rest, k * r)) *
                        std::sqrt(k / (2 * std::numbers::pi * x * rest));
  }
  return coefficients;
}

}  // namespace telos::clustering
