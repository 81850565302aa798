#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/smoothing/theory.h"

// Controlled runs of the theory: a linear system given by its matrices, or a stack of random attention layers
// whose attention is recomputed in each layer. Everything follows from a SimulationSpec, which is a JSON
// file.

namespace telos::smoothing {

// ---- Interventions against (or for) smoothing
// ---------------------------------------------------------------------

/// AttnScale (Wang et al., ICLR 2022): J + (1 + ω)(A − J), J = 11ᵀ/n. Rows still sum to 1; entries may be
/// negative.
Matrix<double> attn_scale(ConstMatrixView<double> a, double omega);
/// FeatScale (same paper): X + s ⊙ JX + t ⊙ PX with s = `low`, t = `high`, one value a channel or one for
/// all. The official code adds both parts twice, so that its gains are 1 + 2s and 1 + 2t: `official`. Throws
/// kShape.
Matrix<double> feat_scale(ConstMatrixView<double> x, std::span<const double> low,
                          std::span<const double> high, bool official = false);
/// ContraNorm (Guo et al., ICLR 2023), the form of its BERT code: (1 + s)X − s·softmax(X̂X̂ᵀ)X, X̂ = rows of
/// unit length; a zero row stays zero in X̂. Cost 4n²d.
Matrix<double> contra_norm(ConstMatrixView<double> x, double s);
/// NeuTRENO (Nguyen et al., NeurIPS 2023): A V + λ(V_0 − V), V_0 the values of the first layer. Throws
/// kShape.
Matrix<double> neutreno(ConstMatrixView<double> a, ConstMatrixView<double> v, ConstMatrixView<double> v0,
                        double lambda);

/// Which of them a simulated stack uses; all off by default.
struct Interventions {
  bool residual_by_depth = false;  ///< attention output times 1/√layers (Noci et al., NeurIPS 2022)
  double attn_scale = 0;           ///< ω, on each attention matrix
  double feat_scale_low = 0;       ///< s and t, on the output of attention
  double feat_scale_high = 0;
  bool feat_scale_official = false;
  double contra_norm = 0;  ///< s, on the tokens after the residual sum
  double neutreno = 0;     ///< λ, on each head's output from the second layer on
};

// ---- What can be simulated
// ----------------------------------------------------------------------------------------

/// X ← residual·X + A X H with everything given.
struct LinearSystem {
  Matrix<double> attention;  ///< A, n×n, rows sum to 1
  Matrix<double> weights;    ///< H, d×d
  Matrix<double> tokens;     ///< X_0, n×d
  double residual = 1;       ///< α; 0 = no residual connection
};

/// Random attention layers with shared weights: H_Σ = V Λ V⁻¹, the columns of V split over the heads (head h
/// has W_V = V_h and W_O = Λ_h (V⁻¹)_h), W_Q and W_K with N(0, 1/d) entries, tokens N(0, 1). none: X' = αX +
/// Σ A_h(LN(X)) X H_h (queries and keys see normed tokens, so that logits stay bounded); pre:  X' = αX + Σ
/// A_h(Z) Z H_h, Z = LN(X);   post: X' = LN(αX + Σ A_h(X) X H_h).
struct TransformerSystem {
  enum class Norm { kNone, kPre, kPost };
  enum class Mask { kFull, kCausal };
  enum class Spectrum { kSmooth, kSharp, kFree };  ///< Λ ≥ 0, Λ ≤ 0, or either sign
  enum class Basis { kOrthogonal, kGeneral };      ///< V orthogonal (H symmetric), or N(0, 1/d) entries
  enum class Eigenvalues { kUniform, kClip, kSquare, kSigmoid };  ///< how ψ makes Λ: see eigenvalue()
  std::size_t tokens = 16, width = 32, heads = 4;
  Spectrum spectrum = Spectrum::kSmooth;
  Norm norm = Norm::kPre;
  Mask mask = Mask::kFull;
  Basis basis = Basis::kOrthogonal;
  Eigenvalues eigenvalues = Eigenvalues::kUniform;
  double gamma = 1;        ///< every entry of the norm's weight; its sign matters for pre-norm only
  double residual = 1;     ///< α
  double logit_scale = 1;  ///< logits are this times QKᵀ/√k
  std::uint32_t seeds = 8;
  std::uint64_t seed = 1;
  Interventions interventions;
};
std::string_view to_string(TransformerSystem::Norm norm) noexcept;
std::string_view to_string(TransformerSystem::Mask mask) noexcept;
std::string_view to_string(TransformerSystem::Spectrum spectrum) noexcept;
std::string_view to_string(TransformerSystem::Basis basis) noexcept;
std::string_view to_string(TransformerSystem::Eigenvalues form) noexcept;

/// An eigenvalue of H from a free parameter ψ. Smooth: clip(ψ, 0, 1), min(ψ², 1) or 1/(1 + e^−ψ); sharp:
/// clip(ψ, −1, 0), or minus the other two; uniform takes |ψ| with the sign; free: clip(ψ, −1, 1) whatever the
/// form.
double eigenvalue(double psi, TransformerSystem::Spectrum spectrum,
                  TransformerSystem::Eigenvalues form) noexcept;

/// The weights and tokens of run number `run` (0 … seeds − 1): a function of (system.seed, run) alone.
struct TransformerDraw {
  struct Head {
    Matrix<double> wq, wk, wv, wo;  ///< d×k, d×k, d×k, k×d
  };
  std::vector<Head> heads;
  std::vector<double> lambda;  ///< Λ, d values
  Matrix<double> tokens;       ///< X_0, n×d
};
TransformerDraw draw_transformer(const TransformerSystem& system, std::uint32_t run);

// ---- Simulation
// ---------------------------------------------------------------------------------------------------

struct SimulationSpec {
  std::string name;
  std::variant<LinearSystem, TransformerSystem> system;
  std::size_t layers = 48;
  std::size_t record_every = 1;  ///< layers 0, every so many, and the last are measured
};

/// Measures of one layer over all runs. Undefined and infinite values are left out of a mean; if no run has a
/// finite value, the mean is the first run's value. The standard error is NaN where fewer than two values are
/// finite.
struct LayerRecord {
  std::size_t layer = 0;
  TokenMeasures mean, standard_error;
};

struct SimulationResult {
  std::string name;
  std::uint32_t runs = 1;
  std::vector<LayerRecord> records;
  /// Linear systems only: what the eigenvalues predict.
  std::optional<ModeAnalysis> prediction;
  /// Linear systems only: X at the last layer, unit Frobenius norm (all zero if nothing survived).
  Matrix<double> final_tokens;
};

/// Runs the spec. Of linear systems PX and the mean token go through the layers each divided by its norm,
/// whose logarithm is kept: log_norm, HFC/LFC and dirichlet are right beyond the range of double; stacks
/// without norm are kept in range by powers of two, which change no bit of the rest. Runs go to threads, each
/// result is a function of the spec alone: same bits for any number of threads. Throws kUsage naming the
/// field for a spec out of range, kShape, kNotFinite, kInterrupted. Cost of a layer: linear 4nd(n + d);
/// transformer, for each run, 2nd(4d) + 4n²d, and the measures' n²d.
SimulationResult simulate(const SimulationSpec& spec, const Arena& arena);
SimulationResult simulate(const SimulationSpec& spec);  ///< on one thread

// ---- Systems by name and by file
// ----------------------------------------------------------------------------------

struct SystemPreset {
  std::string name, summary;
};
/// t1, t2, t3, t4, t6, t8 and zero-coefficient: the 4-token systems of docs/smoothing.md; and none-, pre-,
/// post- with smooth, sharp, free, and -causal: random stacks, e.g. "pre-smooth", "post-sharp-causal".
std::vector<SystemPreset> preset_list();
/// Throws kUsage, listing the names, for an unknown one.
SimulationSpec preset(std::string_view name);

/// Reads a SYSTEM.json. Throws kBadFormat with `where` = file and field; the message says what was expected
/// and what was found; unknown fields are refused. Limits: n, d ≤ 4096, layers ≤ 10^6, seeds ≤ 10^4, seeds ·
/// layers / record_every ≤ 2·10^6.
SimulationSpec parse_system(std::string_view text, const std::string& file);
/// The JSON that parse_system reads back as the same spec.
std::string system_json(const SimulationSpec& spec);
/// A commented-by-names example: system_json(preset("pre-smooth")) with every field shown.
std::string system_json_example();

}  // namespace telos::smoothing
