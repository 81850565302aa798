#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"

// What theory says of the linearised attention layer, X ← α X + A X H: A row-stochastic n×n, H = W_V W_O d×d,
// tokens are rows. Source of the theory: arXiv 2401.04301; what each function adds to it stands in its
// comment.

namespace telos::smoothing {

using Complex = std::complex<double>;

// ---- One eigenvalue of H
// ------------------------------------------------------------------------------------------

/// What one eigenvalue h of H = W_V W_O does to token features under X ← X + A X H, when the smallest
/// eigenvalue of A is only known to lie in [0, 1).
enum class Zone {
  kSmooth,   ///< |h + 1| ≥ 1: the constant mode grows fastest, whatever A
  kSharp,    ///< |h + ½| ≤ ½ (and h ≠ 0): the non-constant mode does
  kDepends,  ///< otherwise: flips at a* = −2 Re h / |h|² − 1
  kNull,     ///< h = 0: neither
};
std::string_view to_string(Zone zone) noexcept;
/// Evaluated in the expanded forms 2 Re h + |h|² ≥ 0 and Re h + |h|² ≤ 0, which do not cancel for small |h|.
Zone zone(Complex h) noexcept;
/// The eigenvalue a* of A at which h changes sides, −2 Re h/|h|² − 1. NaN for h = 0.
double flip_point(Complex h) noexcept;
/// |1 + h| < |1 + a h| ⇔ |h + 1/(1+a)| < 1/(1+a) ⇔ Re h < −(1+a)|h|²/2, real a > −1: h sharpens against an
/// attention with smallest eigenvalue a. At a = −1 the disk has become the half plane Re h < 0.
bool sharpens(Complex h, double a) noexcept;

// ---- Measures of a set of tokens
// ----------------------------------------------------------------------------------

/// Measures of how alike the rows (tokens) of X are. Definitions: docs/smoothing.md. NaN where undefined.
struct TokenMeasures {
  double hfc_lfc = 0;       ///< ‖PX‖_F / ‖JX‖_F, J = 11ᵀ/n, P = I − J; +inf if JX = 0
  double hfc_frac = 0;      ///< ‖PX‖² / ‖X‖²
  double cos_mean = 0;      ///< mean of cos(x_i, x_j) over i ≠ j with nonzero rows
  double cos_abs_incl = 0;  ///< mean of |cos| over all pairs of nonzero rows, the diagonal included
  double res_1inf = 0;     ///< ‖PX‖_{1∞} / ‖X‖_{1∞}, ‖M‖_{1∞} = sqrt(‖M‖_1 ‖M‖_∞)
  double rank1_res = 0;    ///< sqrt(Σ_{k≥2} σ_k² / Σ σ_k²)
  double stable_rank = 0;  ///< ‖X‖_F² / σ_1²
  double eff_rank = 0;     ///< exp(−Σ p ln p), p = σ / Σσ
  double part_ratio = 0;   ///< (Σσ²)² / Σσ⁴
  double dirichlet = 0;    ///< ½ Σ_ij ‖x_i − x_j‖² = n ‖PX‖_F²
  double log_norm = 0;     ///< ln ‖X‖_F
  double max_norm_share = 0;  ///< max_i ‖x_i‖² / ‖X‖_F²: 1 when one token holds everything
  std::size_t rows = 0;       ///< rows that were used
};
struct MeasureOptions {
  std::vector<bool> keep;  ///< rows to use; empty = all
  bool centre_features =
      false;  ///< subtract from each feature its mean over tokens first: X is then PX, JX is 0
};
/// Measures of an n×d matrix. Sums are in double for float input too, and X is scaled by a power of two
/// first, so that no square over- or underflows.
///
/// Singular values: dgesdd on X (|δσ_k| ≤ c·ε·σ_1) while min(n, d) ≤ 32 or X is close to rank one; otherwise
/// the eigenvalues of the smaller Gram matrix, with |δσ_k²| ≤ c·ε·σ_1². The Gram route is taken only where
/// rank1_res² > 1e-6, so stable_rank, rank1_res and part_ratio keep 9 digits; eff_rank keeps an absolute
/// error below 1e-3, because singular values under √(nε)·σ_1 drown (they are counted as 0).
///
/// Throws kNotFinite (a kept element is NaN or Inf; `where` names row and column), kShape (keep has another
/// length). Cost n²d (all pairs of cosines) + min(n, d)²·max(n, d) + 4/3·min(n, d)³ flops.
TokenMeasures measure_tokens(ConstMatrixView<double> x, const MeasureOptions& options = {});
TokenMeasures measure_tokens(ConstMatrixView<float> x, const MeasureOptions& options = {});

// ---- One attention matrix
// -----------------------------------------------------------------------------------------

/// The spectrum of one attention matrix A (rows sum to 1).
struct AttentionSpectrum {
  std::vector<Complex> values;  ///< descending modulus, λ = 1 first; empty where only extremes were computed
  double smallest_real = 0;     ///< min Re λ
  double second_modulus = 0;    ///< |λ_2|: largest modulus apart from one λ = 1; 0 for n = 1
  double sigma_max_pap = 0;     ///< σ_max(P A P): the largest one-step gain of non-constant parts
  double row_entropy = 0;       ///< mean over rows of −Σ a ln a, nats
  double sink_mass = 0;         ///< mean over rows of A_{i,0}
  double stable_rank = 0;       ///< ‖A‖_F² / σ_1²
  double row_sum_error = 0;     ///< max_i |Σ_j A_ij − 1|
  double residual = 0;          ///< largest relative residual of an iterative result; 0 where all were direct
  bool causal = false;          ///< lower triangular: the spectrum is the diagonal
};
struct AttentionOptions {
  /// kAuto: all eigenvalues for n ≤ 256, extremes beyond. kExtremes: smallest_real and second_modulus only,
  /// by restarted Arnoldi on PAP with checked residuals (≤ 1e-7·‖PAP‖_F), by all eigenvalues if it does not
  /// converge.
  enum class Values { kAuto, kAll, kExtremes };
  Values values = Values::kAuto;
};
/// Throws kShape (not square, or empty), kNotFinite, kUsage (a row sum is further than 1e-2 from 1). Cost:
/// causal n² apart from the two norms; full spectrum 10n³; extremes about 300 n²; norms about 100 n² each
/// (Lanczos on MᵀM with full reorthogonalisation, dgesdd if its residual does not fall below 1e-8).
AttentionSpectrum attention_spectrum(ConstMatrixView<float> a, const AttentionOptions& options = {});
AttentionSpectrum attention_spectrum(ConstMatrixView<double> a, const AttentionOptions& options = {});

// ---- A whole linear system: who wins, and what is left
// ------------------------------------------------------------

/// All modes of X ← α X + A X H. With A v_i = λ_i v_i and u_jᵀ row j of V_H⁻¹ (left eigenvectors of H), X =
/// v_i u_jᵀ is multiplied by μ_ij = α + λ_i h_j in each layer, and X_0 = Σ C_ij v_i u_jᵀ with C = V_A⁻¹ X_0
/// V_H.
struct ModeTable {
  double alpha = 1;
  std::vector<Complex> lambda;     ///< eigenvalues of A; [0] is the Perron value 1
  std::vector<Complex> h;          ///< eigenvalues of H
  Matrix<Complex> mu;              ///< n×d
  Matrix<Complex> coefficient;     ///< C, n×d; empty if no X_0 was given, or κ_a κ_h ≥ 1e10
  Matrix<Complex> va, va_inverse;  ///< unit columns v_i, and their inverse
  Matrix<Complex> vh, vh_inverse;  ///< unit columns, and the rows u_jᵀ
  double kappa_a = 1;              ///< κ₂ of V_A; inf if V_A is exactly singular
  double kappa_h = 1;
  /// Bound on the error of |μ_ij| that round-off in A and H can make: |h_j| δλ_i + |λ_i| δh_j + ε|μ|, with
  /// δλ_i = 2nε‖A‖_F·min(condition of λ_i, κ(V_A) [Bauer–Fike]), at most Elsner's bound, 0 for a triangular
  /// A; δh_j alike. Two moduli closer than the sum of their bounds are a tie.
  Matrix<double> mu_error;
  /// First-order estimate of |C_ij|'s round-off error (from κ and the gaps; not a rigorous bound); a smaller
  /// |C_ij| counts as zero. Empty if no X_0 was given.
  Matrix<double> coefficient_error;
};
/// Throws kShape, kNotFinite, kNoConvergence, kUsage (a row of A does not sum to 1 within 1e-6). An empty X_0
/// stands for "every mode is present". Cost about 30(n³ + d³).
ModeTable mode_table(ConstMatrixView<double> a, ConstMatrixView<double> h, ConstMatrixView<double> x0 = {},
                     double alpha = 1);

enum class Regime {
  kSmoothing,   ///< D > F: low-pass, tokens become equal up to scale
  kSharpening,  ///< F > D: not low-pass; a non-constant mode wins
  kBalanced,    ///< D = F within the error bounds
  kNull,        ///< X_0 = 0, or every mode that is present has μ = 0: nothing survives a step
};
std::string_view to_string(Regime regime) noexcept;

/// The limit c·v·uᵀ of tokens, from the entries of v alone (m nonzero entries, p positive, q negative).
struct RankOneLimit {
  double cos_mean = 0;      ///< ((p − q)² − m) / (m(m − 1)); NaN for m = 1: one token dominates
  double hfc_lfc = 0;       ///< sqrt(n‖v‖²/(1ᵀv)² − 1); +inf if v ⟂ 1
  std::size_t nonzero = 0;  ///< m
};
/// Entries with |v_i| ≤ zero·max|v| count as zero; |1ᵀv| ≤ zero·√n‖v‖ counts as v ⟂ 1.
RankOneLimit rank_one_limit(std::span<const double> v, double zero = 1e-12);

/// Which modes dominate after many layers, and what the tokens then look like.
struct ModeAnalysis {
  struct Mode {
    std::size_t i = 0, j = 0;  ///< λ_i and h_j
    Complex lambda, h, mu;
  };
  Regime regime = Regime::kNull;
  double dc = 0;      ///< D: max |μ| over λ = 1 with C ≠ 0
  double hf = 0;      ///< F: max |μ| over λ ≠ 1 with C ≠ 0; 0 if there is none
  double dc_all = 0;  ///< D and F whatever the coefficients are: what weights and attention alone would say
  double hf_all = 0;
  double tie_tolerance = 0;      ///< |D − F| at most this is called balanced
  std::vector<Mode> dominating;  ///< T: all modes whose |μ| ties with the largest, C ≠ 0
  std::size_t rank = 0;          ///< rank of the limit
  bool steady = false;  ///< X_L / ‖X_L‖ converges up to sign (no rotating phase, no ± alternation of parts)
  bool input_convergence = false;  ///< tokens become equal relative to their size
  bool angle_convergence = false;  ///< pairwise cosines go to 1
  bool one_token = false;          ///< the limit has one nonzero row: mean cosine says nothing
  /// Limit of cos_mean and hfc_lfc; NaN where the limit rotates or the mean cosine is undefined.
  double cos_mean = 0, hfc_lfc = 0;
  /// ln of the factor per layer of HFC/LFC, ln(F/D). Negative: tokens approach each other.
  double log_rate = 0;
  /// Layers until the part that does not belong to the limit has fallen to 1%: ln(0.01)/ln(|μ_next|/|μ_top|);
  /// in the smoothing regime μ_next is the largest with λ ≠ 1, otherwise the largest outside T. 0 where
  /// there is nothing else.
  double layers_to_1pct = 0;
  std::vector<std::string>
      warnings;  ///< one line each: A nearly defective, an ill-conditioned H, a zero coefficient
};
ModeAnalysis analyse_modes(const ModeTable& table);

/// X_L = V_A (C ∘ μ^L) V_H⁻¹, divided by its Frobenius norm, and ln of that norm. Throws kUsage if the table
/// has no coefficients. Cost n²d + nd². The error of X is about κ(V_A) κ(V_H) ε (1 + L).
struct ScaledTokens {
  Matrix<double> x;     ///< unit Frobenius norm; all zero if X_L = 0
  double log_norm = 0;  ///< ln ‖X_L‖_F; −inf if X_L = 0
};
ScaledTokens tokens_at(const ModeTable& table, std::size_t layers);

// ---- Bounds and stability
// -----------------------------------------------------------------------------------------

/// Largest factor by which one attention sublayer X' = αX + Σ_h A_h X H_h + 1cᵀ can grow ‖PX‖_F:
/// |α| + Σ_h σ_max(P A_h P) σ_max(H_h). Biases do not enter. Throws kShape if the lists differ in length.
double one_step_bound(std::span<const double> sigma_pap, std::span<const double> sigma_h, double alpha = 1);

/// LayerNorm or RMSNorm parameters: γ, β (empty = ones, zeros), eps inside the root.
struct NormParameters {
  std::vector<double> gamma, beta;
  double eps = 1e-5;
  bool rms = false;  ///< no centring
};
/// y_i = Γ (x_i − mean)/sqrt(var + eps) + β for each row. Throws kShape.
Matrix<double> apply_norm(ConstMatrixView<double> x, const NormParameters& norm);

/// Stability of the collapsed state of a post-norm layer X ← norm(X + A X H): all tokens at a fixed point
/// x* = norm(x* + x* H).
struct CollapseStability {
  bool fixed_point_found =
      false;  ///< false: the iteration x ← norm(x + xH) does not settle (it rotates or jumps)
  std::vector<double> fixed_point;  ///< x*
  /// max over λ_i ≠ 1 of ρ((I + λ_i H) J), J = (1/σ)(C − ẑẑᵀ/d)Γ at y = x*(I + H): the factor per layer by
  /// which a small difference between tokens grows. NaN without a fixed point.
  double growth = 0;
  bool attracts = false;  ///< growth < 1
};
/// `start` is where the iteration for x* begins, usually the mean token; at most `iterations` steps, settled
/// at a relative change of 1e-13. `lambda` are the eigenvalues of A without the Perron value. Throws kShape,
/// kNotFinite, kNoConvergence. Cost d² a step, then 10(2d)³ for each λ (10d³ for a real one).
CollapseStability collapse_stability(std::span<const Complex> lambda, ConstMatrixView<double> h,
                                     const NormParameters& norm, std::span<const double> start,
                                     std::size_t iterations = 10000);

}  // namespace telos::smoothing
