#pragma once

#include <cstddef>
#include <vector>

// Closed forms of the clustering lens: no data.

namespace telos::clustering {

/// Expected number of leaders at layer 0 among n tokens N(0, I_d), A = I:
/// E = n ∫ Φ(ρ)^{n−1} dχ_d(ρ), to 1e-9 relative. Throws kUsage for n or d = 0.
double expected_leaders(std::size_t tokens, std::size_t dimension);

/// Layers until a frozen token's distance to its limit has fallen by `factor` ≥ 1: ln(factor)/ln(1 + α).
/// Throws kUsage.
double layers_to_approach(double alpha, double factor);

/// γ(t) of n tokens on the sphere that start orthonormal and stay equiangular, ⟨x_i, x_j⟩ = γ
/// (Geshkovski, Letrouit, Polyanskiy, Rigollet, arXiv 2312.10794):
///   SA:  γ' = 2 e^{βγ}(1 − γ)((n − 1)γ + 1) / (e^β + (n − 1) e^{βγ}),
///   USA: γ' = (2/n) e^{βγ}(1 − γ)((n − 1)γ + 1)
/// at each of `times` (ascending, ≥ 0), to 1e-11 or what the rounding of t itself moves γ by (γ'·t·1e-16).
/// Throws kUsage.
std::vector<double> equiangular(std::size_t tokens, double beta, bool unnormalised,
                                const std::vector<double>& times);
/// The time at which γ reaches `level` in (0, 1), to 1e-13 relative; infinite where e^β overflows.
double equiangular_time(std::size_t tokens, double beta, bool unnormalised, double level);

/// The position after k layers of a token that has followed the chain i = c_0 → c_1 → … → c_h = p (a leader)
/// unchanged: z_i^k = p + Σ_{l<h} C(k, l) r^{k−l} s^l (z_{c_l} − p). The l-th of `length`
/// coefficients is C(k, l) r^{k−l} s^l, to 1e-12 relative for any k. Throws kUsage.
std::vector<double> chain_coefficients(double alpha, std::size_t layer, std::size_t length);

}  // namespace telos::clustering
