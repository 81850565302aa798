#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/symmetry/architecture.h"

// What a nonlinearity φ does to a kernel: u, v Gaussian with variances a, b and covariance c.

namespace telos::symmetry {

/// E φ(u)φ(v), and E φ'(u)φ'(v), its derivative by c.
struct Transformed {
  double value = 0, slope = 0;
};
/// Closed forms (Cho and Saul 2009; Williams 1997; Tsuchida et al. 2021), of tanh and SiLU a series (below).
/// Throws kInternal where |c| is above √(ab) by more than rounding; up to there it is set to √(ab).
Transformed transform(Nonlinearity phi, double slope, double a, double b, double c);
/// The same of a row: covariances c[j] of u with v_j of variances b[j] become values; `slope` gets the
/// derivatives unless it is empty. Closed forms of relu, leaky relu, abs, erf and GELU by vectors, same bits
/// on every instruction set. Errors of relu: at most 1.5 · 2⁻⁵³ √(ab) of values and 1.5 · 2⁻⁵³ of slopes, at
/// any angle. Throws kInternal likewise.
void transform_row(Nonlinearity phi, double slope_below, double a, std::span<const double> b,
                   std::span<double> c, std::span<double> slope);
/// With what inverse_roots() makes of b, for a b that many rows share.
void transform_row(Nonlinearity phi, double slope_below, double a, std::span<const double> b,
                   std::span<const double> inverse_roots_b, std::span<double> c, std::span<double> slope);
/// Inverse roots of variances (of 1 + 2v for erf, of 1 + v for GELU).
void inverse_roots(Nonlinearity phi, std::span<const double> variance, std::span<double> out);
/// kTanh and kSilu have no closed form.
bool has_closed_form(Nonlinearity phi);

/// φ(√a z) = Σ_k h_k He_k(z)/√k! for z ~ N(0,1), so that E φ(u)φ(v) = Σ_k h_k(a) h_k(b) ρ^k, ρ = c/√(ab)
/// (Mehler). The integrals h_k are taken by the trapezoid rule, which converges exponentially here. Of the
/// series kSeriesTerms terms are summed; by Cauchy–Schwarz the rest is at most |ρ|^terms √(rest_a rest_b).
inline constexpr std::size_t kSeriesTerms = 128;
struct HermiteSeries {
  std::vector<double> h;  ///< kSeriesTerms
  double rest = 0;        ///< Σ of h_k² over the terms left out
  double slope_rest = 0;  ///< Σ of k h_k²/a likewise, for E φ'(u)φ'(v)
};
HermiteSeries hermite_series(Nonlinearity phi, double variance);
Transformed transform_series(std::span<const double> h_a, std::span<const double> h_b, double a, double b,
                             double c);

}  // namespace telos::symmetry
