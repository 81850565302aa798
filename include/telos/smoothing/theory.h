#pragma once

#include <complex>
#include <cstddef>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"

namespace telos::smoothing {

using Complex = std::complex<double>;

/// What one eigenvalue h of H = W_V W_O does to token features under X ← X + A X H, when the smallest eigenvalue of A
/// is only known to lie in [0, 1).
enum class Zone {
  kSmooth,   ///< |h + 1| ≥ 1: the constant mode grows fastest, whatever A
  kSharp,    ///< |h + ½| ≤ ½ (and h ≠ 0): the non-constant mode does
  kDepends,  ///< otherwise: flips at a* = −2 Re h / |h|² − 1
  kNull,     ///< h = 0: neither
};
std::string_view to_string(Zone zone) noexcept;
Zone zone(Complex h) noexcept;
/// The eigenvalue a* of A at which h changes sides, −2 Re h/|h|² − 1.
double flip_point(Complex h) noexcept;
/// |1 + h| < |1 + a h| ⇔ |h + 1/(1+a)| < 1/(1+a), real a > −1: h sharpens against an attention with smallest
/// eigenvalue a.
bool sharpens(Complex h, double a) noexcept;

/// Measures of how alike the rows (tokens) of X are. Definitions: docs/smoothing.md. NaN where undefined.
struct TokenMeasures {
  double hfc_lfc = 0;       ///< ‖PX‖_F / ‖JX‖_F, J = 11ᵀ/n, P = I − J; +inf if JX = 0
  double hfc_frac = 0;      ///< ‖PX‖² / ‖X‖²
  double cos_mean = 0;      ///< mean of cos(x_i, x_j) over i ≠ j with nonzero rows
  double cos_abs_incl = 0;  ///< mean of |cos| over all pairs, the diagonal included
  double res_1inf = 0;      ///< ‖PX‖_{1∞} / ‖X‖_{1∞}, ‖M‖_{1∞} = sqrt(‖M‖_1 ‖M‖_∞)
  double rank1_res = 0;     ///< sqrt(Σ_{k≥2} σ_k² / Σ σ_k²)
  double stable_rank = 0;   ///< ‖X‖_F² / σ_1²
  double eff_rank = 0;      ///< exp(−Σ p ln p), p = σ / Σσ
  double part_ratio = 0;    ///< (Σσ²)² / Σσ⁴
  double dirichlet = 0;     ///< ½ Σ_ij ‖x_i − x_j‖² = n ‖PX‖_F²
  double log_norm = 0;      ///< ln ‖X‖_F
  double max_norm_share = 0;///< max_i ‖x_i‖² / ‖X‖_F²: 1 when one token holds everything
  std::size_t rows = 0;     ///< rows that were used
};
struct MeasureOptions {
  std::vector<bool> keep;   ///< rows to use; empty = all
  bool centre_features = false;  ///< subtract from each feature its mean over tokens first
};
TokenMeasures measure_tokens(ConstMatrixView<double> x, const MeasureOptions& options = {});
TokenMeasures measure_tokens(ConstMatrixView<float> x, const MeasureOptions& options = {});

/// The spectrum of one attention matrix A (rows sum to 1).
struct AttentionSpectrum {
  std::vector<Complex> values;   ///< empty where only extremes were computed
  double smallest_real = 0;      ///< min Re λ
  double second_modulus = 0;     ///< |λ_2|: largest modulus apart from one λ = 1
  double sigma_max_pap = 0;      ///< σ_max(P A P): the largest one-step gain of non-constant parts
  double row_entropy = 0;        ///< mean over rows of −Σ a ln a, nats
  double sink_mass = 0;          ///< mean over rows of A_{i,0}
  double stable_rank = 0;
  bool causal = false;           ///< lower triangular: the spectrum is the diagonal
};
AttentionSpectrum attention_spectrum(ConstMatrixView<float> a);
AttentionSpectrum attention_spectrum(ConstMatrixView<double> a);

}  // namespace telos::smoothing
