#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/bigram/instance.h"

// What an infinite sample would do, exactly: loss, gradients and dynamics of the one-layer linear transformer
// f = V X a_k, loss ½‖e_o − f‖².

namespace telos::bigram {

/// V is N × N. Row k of `a` is the column a_k of the paper's T × N attention: weights on positions when k is
/// the last token.
struct Model {
  Matrix<double> v;  ///< N × N
  Matrix<double> a;  ///< N × T
};
/// V = μ1ᵀ, A = 11ᵀ/T: predicts the marginal, looks everywhere.
Model initial_model(const Instance& instance);
/// V = P, A = Q.
Model true_model(const Instance& instance);
/// The other solution, (2μ1ᵀ − V, 2·11ᵀ/T − A): keeps all constraints, loss only 2K_P/T worse for (P, Q).
Model mirrored(const Model& model, std::span<const double> mu);

/// For any model, O(NT + N²):
///   L = ½[1 − 2(s̄⟨m,μ⟩ + cG) + ρ‖m‖² + σ K_V],  m = Vμ, s_k = 1ᵀa_k, s̄ = Σμ_k s_k, ρ = Σμ_k s_k²,
///   σ = ‖A‖²_μ, c = ⟨A,Q⟩_μ, G = ⟨V,P⟩_μ − ⟨m,μ⟩, K_V = ‖V‖²_μ − ‖m‖².
/// Throws kShape.
double population_loss(const Instance& instance, const Model& model);
/// ∂L/∂V = ρ m μᵀ + σ V D̃ − s̄ μμᵀ − c P D̃, ∂L/∂a_k = μ_k[K_V a_k + (‖m‖² s_k − ⟨m,μ⟩)1 − G q_k],
/// D̃ = diag μ − μμᵀ.
Model population_gradient(const Instance& instance, const Model& model);
/// Preconditioned and projected: column j of ∂V over μ_j; row k of ∂A over μ_k, less its mean over positions.
/// `centre`: V's part along 1ᵀ is removed too, so that Vμ = μ is kept.
void precondition(Model& gradient, std::span<const double> mu, bool centre);

/// V = μ1ᵀ + α_V P̃ + Δ_V, A = 11ᵀ/T + α_A Q̃ + Δ_A with Δ orthogonal in ⟨,⟩_μ.
struct Signals {
  double v = 0, a = 0;              ///< α_V, α_A
  double v_error = 0, a_error = 0;  ///< ‖Δ_V‖²_μ, ‖Δ_A‖²_μ
  double v_cosine = 0, a_cosine = 0;  ///< between V − μ1ᵀ and P̃, A − 11ᵀ/T and Q̃; 0 where either is 0
  double v_distance = 0, a_distance = 0;  ///< ‖V − P‖_μ, ‖A − Q‖_μ
};
Signals signals(const Instance& instance, const Model& model);

/// L − L* = the sum of four terms, for models with 1ᵀa_k = 1, Vμ = μ, 1ᵀV = 1ᵀ.
struct Excess {
  double product = 0;      ///< ½ K_P K_Q (1 − α_V α_A)²: the two do not fit together yet
  double values = 0;       ///< ½ (K_P/T)(1 − α_V)²: scale of V
  double attention = 0;    ///< ½ α_V² K_P ‖Δ_A‖²: weight on wrong positions
  double transitions = 0;  ///< ½ ‖A‖²_μ ‖Δ_V‖²: wrong transitions
  double total() const { return product + values + attention + transitions; }
};
Excess excess(const Constants& constants, std::size_t length, const Signals& s);

/// The exact dynamics of preconditioned gradient descent in the two signals and the two errors (any step
/// size):
///   α_V += η[1/T + K_Q α_A − σ α_V], α_A += η[K_P α_V − (K_P α_V² + e_V) α_A], σ = 1/T + K_Q α_A² + e_A,
///   e_V *= (1 − ησ)², e_A *= (1 − η(K_P α_V² + e_V))².
/// Returns steps + 1 entries, the first is `start`; cosines and distances follow from the rest. Throws kUsage
/// (eta), kNotFinite (it blew up: the step), kLimit.
std::vector<Signals> scalar_dynamics(const Constants& constants, std::size_t length, Signals start,
                                     double eta, std::size_t steps);
/// First stage in closed form from (0, 0): α_V = sinh(γτ)/(γT), α_A = (cosh(γτ) − 1)/(K_Q T) at time τ =
/// η·step.
Signals first_stage(const Constants& constants, std::size_t length, double time);
/// Full matrices by the same rule: what `scalar_dynamics` must equal. Calls `each` after every step. Throws
/// as scalar_dynamics does; kShape.
Model population_descent(const Instance& instance, Model start, double eta, std::size_t steps,
                         const std::function<void(std::size_t step, const Model&)>& each);

/// 2/(T max_k μ_k ‖Vμ‖²): plain gradient descent on A blows up above it.
double sgd_bound(const Instance& instance);

/// What a run will take, before it is made.
struct Plan {
  Constants constants;
  double steps = 0;               ///< asinh(γT)/(γη) + 8/(γη)
  double sign_snr = 0;            ///< K_P √(2B/(γ η T J_P))
  double mirror_probability = 0;  ///< Φ(−SNR)
  std::size_t batch = 0;          ///< for a mirror probability below 1e-3, fourfold
  double sgd_bound = 0;
  double bytes = 0;  ///< at most at once, in the screening of a run: 64 NT + 24 N² + 128 T
};
/// Throws kUsage (eta, batch).
Plan plan(const Instance& instance, double eta, std::size_t batch);

}  // namespace telos::bigram
