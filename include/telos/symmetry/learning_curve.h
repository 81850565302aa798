#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "telos/base/matrix.h"

// How much of a target regression with a kernel learns from P samples, on average over their draw: from the
// eigenvalues of the kernel and the target's energy on them, without any sample (Bordelon, Canatar and
// Pehlevan 2020; Canatar, Bordelon and Pehlevan 2021; arXiv 2402.05173). The regression solves
// (K + r I) α = y, y = g(x) + noise. The network that it stands for is infinitely wide and lazy; training
// that learns features can do with fewer samples.
//
//     κ = r + κ Σ_i d_i λ_i/(κ + P λ_i)           noise as the kernel sees it: r, and what is not learned yet
//     ℓ_i = P λ_i/(P λ_i + κ)                     learnability: the share of mode i that is learned
//     γ = Σ_i d_i P λ_i²/(κ + P λ_i)²
//     E_g = [Σ_i w_i (1 − ℓ_i)² + s γ]/(1 − γ)    error against g; s is the variance of the noise
//     E_train = (r/κ)² (E_g + s)                  error on the samples, against y

namespace telos::symmetry {

/// Eigenfunctions of one eigenvalue λ ≥ 0: how many (d), and the squares of the target's coefficients on
/// them (w).
struct Mode {
  double eigenvalue = 0, multiplicity = 1, energy = 0;
};

// All throw kUsage for a negative or infinite number, naming it. The trace of modes that are not listed is to
// be added to `ridge`: where P λ ≪ κ they do nothing else than add d λ to it.

/// The root κ ≥ r of the first equation, by bisection to neighbouring doubles; for r = 0 the least one, which
/// is 0 from P = rank() on.
double solve_kappa(std::span<const Mode> modes, double ridge, double samples);

struct CurvePoint {
  double samples = 0, kappa = 0, gamma = 0;
  double generalisation = 0;  ///< E_g; infinite where r = 0, P = rank() and there is noise
  double training = 0;        ///< E_train
  std::vector<double> learnability;
};
/// All of the above for P samples; `tail` is the trace of modes that are not listed, which E_train's r is
/// without. O(modes).
CurvePoint learning_point(std::span<const Mode> modes, double ridge, double noise, double samples,
                          double tail = 0);

/// The same without self-consistency, κ = r and γ = 0: the equivalent kernel. Far too hopeful while P is
/// below the number of modes. E_train is not known there: NaN.
CurvePoint equivalent_kernel_point(std::span<const Mode> modes, double ridge, double samples);

/// Number of eigenfunctions with λ > 0. With r = 0 the regression interpolates up to so many samples; there
/// the error has its peak.
double rank(std::span<const Mode> modes);

/// The least P with ℓ_i ≥ θ. ℓ_i = θ makes κ = c λ_i P with c = (1 − θ)/θ, and the equation for κ linear in
/// P:
///
///     P*_i = r/(c λ_i) + Σ_j d_j λ_j/(λ_j + c λ_i)
///
/// samples against the noise, and the modes that are learned besides. Infinite for λ_i = 0. Throws kUsage
/// unless 0 < θ < 1.
double samples_to_learn(std::span<const Mode> modes, std::size_t mode, double ridge, double theta);
/// The same for any λ ≥ 0.
double samples_at(std::span<const Mode> modes, double eigenvalue, double ridge, double theta);
/// λ of one mode that is learned to the share θ with as many samples as all energies together, whatever the
/// ridge and the other modes: Σ w_i λ_i/(λ_i + c λ) = θ Σ w_i. 0 where modes with λ_i > 0 do not hold more
/// than θ of the energy. Throws kUsage.
double effective_eigenvalue(std::span<const Mode> modes, double theta);
/// The first term alone: r/(c λ).
double equivalent_kernel_samples(double eigenvalue, double ridge, double theta);

/// Lower bounds of P*, for any eigenvalue of an irrep of dimension f: f λ ≤ τ, the trace of the kernel or of
/// what is known to be left of it.
///     ridge_only   r f/(c τ)              by the equivalent kernel
///     with_modes   r f/(c τ) + θ f        the f modes of the irrep itself are learned besides
struct TraceBound {
  double ridge_only = 0, with_modes = 0;
};
TraceBound trace_bound(double dimension, double trace, double ridge, double theta);

/// What the bound for data of any law is made of. φ is an eigenfunction of the kernel under an auxiliary law
/// q (uniform tokens, say, where λ is known), r > 0.
struct AnyDataTarget {
  double eigenvalue = 0;
  double projection = 0;   ///< ⟨y, φ⟩ under q
  double feature_rms = 1;  ///< √(mean of φ² over the data)
  double target_rms = 1;   ///< √(mean of y² over the data)
};
/// Data without any symmetry: the regression has ⟨f, φ⟩_q = λ Σ_n α_n φ(x_n) with ‖α‖ ≤ ‖y‖/r, so that
/// |⟨f, φ⟩_q| ≥ θ |⟨y, φ⟩_q| needs
///     N ≥ θ |⟨y, φ⟩_q| r/(λ √(mean φ² mean y²)).
/// Rigorous for every data set, not for the average one (after arXiv 2406.02663).
double any_data_samples(const AnyDataTarget& target, double ridge, double theta);

/// Error of the mean prediction under another law q: Σ_ij (1 − ℓ_i) g_i M_ij (1 − ℓ_j) g_j with the target's
/// coefficients g and M_ij = E_q φ_i φ_j. Throws kShape.
double shifted_error(std::span<const double> learnability, std::span<const double> coefficients,
                     ConstMatrixView<double> overlap);

/// The same for f(x) = Σ_b w[b][x_b], positions × letters with Σ_v w[b][v] = 0, and a law q that does not
/// change when letters are renamed: `correlation` is R_bc = E_q ψ(x_b) ψ(x_c) for a letter function ψ of mean
/// 0 and square 1 (1 on the diagonal; ρ off it for an urn; μ^|b−c| for a sticky chain). With w's mean over
/// positions times 1 − ℓ_trivial, and its rest times 1 − ℓ_standard, for w:  Σ_v Σ_bc w_bv R_bc w_cv/V.
double shifted_linear_error(ConstMatrixView<double> w, double trivial, double standard,
                            ConstMatrixView<double> correlation);

/// What the spread of predictions between draws of samples adds to either: (E_g + s) Σ_i d_i ℓ_i² M_ii/P,
/// with `overlap` the mean of M_ii over the eigenfunctions of each mode; 1 for all gives the whole E_g
/// (Canatar, Bordelon and Pehlevan 2021). Throws kShape.
double shifted_spread(std::span<const Mode> modes, std::span<const double> overlap, const CurvePoint& point,
                      double noise);

}  // namespace telos::symmetry
