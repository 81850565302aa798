#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "telos/clustering/lab.h"

namespace telos::clustering {

// ---- Attention (soft_attention.cpp) ----

/// How scores become weights.
struct WeightRule {
  enum class Kind {
    kSoftmax,      ///< e^{scale·(s_j − best)}, divided by their sum; scale may be infinite
    kBand,         ///< equal on best − s_j ≤ band·‖q‖·max‖k‖
    kExponential,  ///< e^{scale·s_j}/n
  } kind = Kind::kSoftmax;
  double scale = 1;
  double band = 0;
};
/// out_i = Σ_j w_ij values_j, w_i from the scores ⟨queries_i, keys_j⟩. Gaps between scores within their
/// rounding error count as none, so that no scale, however large, makes ties out of rounding or breaks them.
void attend(ConstMatrixView<double> queries, ConstMatrixView<double> keys, ConstMatrixView<double> values,
            const WeightRule& rule, MatrixView<double> out, const Arena& arena);
/// Whether every weight of kSoftmax is that of the hardmax: all other scores are behind by more than 700.
bool is_saturated(ConstMatrixView<double> queries, ConstMatrixView<double> keys, double scale,
                  const Arena& arena);

// ---- Continuous systems (soft_flow.cpp) ----

/// e^{log_scale} · matrix: e^{tV} in range for any t.
struct ScaledMatrix {
  Matrix<double> matrix;
  double log_scale = 0;
};
/// e^A by scaling and squaring of the [13/13] Padé approximant (Higham, 2005), its largest entry scaled to 1.
ScaledMatrix scaled_exponential(ConstMatrixView<double> a, const Arena& arena);

/// A differential equation for the tokens. Times within a stretch of equal steps are counted in half steps.
class Flow {
 public:
  virtual ~Flow() = default;
  virtual void begin_stretch(double /*time*/, double /*step*/) {}
  virtual void slope(std::size_t half_steps, ConstMatrixView<double> x, MatrixView<double> out) = 0;
  /// What is done to the tokens after each step.
  virtual void settle(MatrixView<double> /*x*/) const {}
  /// kEmergence: whether the softmax at x, at the start of the stretch, is a hardmax.
  virtual bool saturated(ConstMatrixView<double> /*x*/) { return false; }
};
/// Options must be checked. The flow keeps a reference to the arena and to the matrices of the options.
std::unique_ptr<Flow> make_flow(const SoftOptions& options, std::size_t dimension, const Arena& arena);
/// The options' step, or the one chosen for them.
double flow_step(const SoftOptions& options);

/// `steps` classical RK4 steps of length `step`, the first of them from `time` on.
void integrate(Flow& flow, double time, double step, std::size_t steps, Matrix<double>& x);

// ---- What states show (soft_states.cpp) ----

/// Divides each row by its norm; a row of zeros becomes NaN.
void normalise_rows(MatrixView<double> x);
/// Connected components of tokens closer than `distance`: the component of each, numbered by first token.
std::vector<std::size_t> components(ConstMatrixView<double> x, double distance);
struct SphereState {
  double smallest_cosine = 1;  ///< min over i, j of ⟨x_i, x_j⟩
  double energy = 0;           ///< (1/(2βn²)) Σ_ij e^{β⟨x_i, x_j⟩}; β = 0: ½‖mean‖²
};
SphereState sphere_state(ConstMatrixView<double> x, double beta, bool energy, const Arena& arena);

}  // namespace telos::clustering
