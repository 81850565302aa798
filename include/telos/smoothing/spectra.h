#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/io/checkpoint.h"
#include "telos/model/architecture.h"
#include "telos/smoothing/theory.h"

namespace telos::smoothing {

// Spectra of H = W_V W_O, head by head, from weights alone. Nothing here has seen data: what these numbers
// say is a tendency. Theory: arXiv 2401.04301. All numbers are invariant under W_V → W_V M, W_O → M⁻¹W_O and
// under a new order of heads (heads then swap rows); those that are not say so.

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// What of the norms around attention becomes part of H.
enum class Fold {
  kNone,         ///< H = W_V W_O as stored
  kGamma,        ///< H = Γ W_V W_O (Γ_out)
  kCentreGamma,  ///< H = C Γ W_V W_O (Γ_out), C = I − 11ᵀ/d; C only where the norm is a LayerNorm
  kAuto,         ///< kCentreGamma: what the tokens meet, up to a positive scale per token
};
std::string_view to_string(Fold fold) noexcept;  ///< "none", "gamma", "center+gamma", "auto"
/// The inverse of to_string. Throws Error{kUsage}.
Fold parse_fold(std::string_view text);

struct SpectraOptions {
  Fold fold = Fold::kAuto;
  bool singular_values = true;  ///< σ(H): two Gram matrices and one SVD a head more
  bool conditions =
      false;  ///< condition numbers of the eigenvalues: about 3 times the cost of the eigenvalues
  bool layer_sums = true;
  /// H_Σ = Σ_h H_h is reduced exactly to size min(kv_heads·k, d) and solved directly up to this size (0.34 s
  /// at 512, 1.6 s at 1024 and core), by Arnoldi's method above it.
  std::size_t exact_sum_limit = 512;
  bool full_sums = false;  ///< solve H_Σ directly whatever its size
};

/// What follows for token features from one head's weights alone.
enum class HeadTendency {
  kSmooth,     ///< at least kDecisiveShare of the |h|-weight lies in the smooth zone (pre-norm: Re h > 0)
  kSharpen,    ///< the same in the sharp zone (pre-norm: Re h < 0)
  kMixed,      ///< neither
  kNearNull,   ///< σ_1(H) < kNearNull times the layer's median: it hardly acts
  kSigmaOnly,  ///< cross attention: H maps another sequence, its eigenvalues mean nothing
  kInvalid,    ///< NaN or infinity in its weights, or a solver failed; `problem` says which
};
std::string_view to_string(HeadTendency tendency) noexcept;  ///< "smooth", "sharpen", "mixed", "near-null", …

/// 90 %: the head's small eigenvalues may lie anywhere, one that carries a tenth of the weight may not.
inline constexpr double kDecisiveShare = 0.9;
/// 1/1000 of the layer's median σ_1: below it a head changes a token by less than float activations resolve
/// against what its neighbours add.
inline constexpr double kNearNullRatio = 1e-3;
/// Henrici's departure above 0.7: more than half of ‖H‖_F² is not in the eigenvalues.
inline constexpr double kNonNormal = 0.7;
/// σ_1 / ρ above 10: ten steps of ordinary decay fit into one transient.
inline constexpr double kNonNormalGap = 10;

/// One head: H = W_V W_O, rank ≤ k; the d − k eigenvalues that are 0 by rank are not listed.
struct HeadSpectrum {
  std::size_t head = 0;   ///< index in its layer, from 0
  std::size_t group = 0;  ///< value head that it reads
  std::string name;       ///< "5.7"; "encoder 5.7" in an encoder-decoder
  HeadTendency tendency = HeadTendency::kInvalid;
  bool non_normal =
      false;  ///< henrici > kNonNormal or σ_1 > kNonNormalGap·ρ: eigenvalues mislead at finite depth
  std::string problem;               ///< why it is kInvalid
  std::vector<Complex> eigenvalues;  ///< of K = W_O W_V: by falling Re, then falling Im
  /// Condition number of each eigenvalue as one of H (not of K, which would depend on the gauge); empty
  /// unless asked.
  std::vector<double> condition;
  std::vector<double> sigma;  ///< the k leading singular values of H, falling; empty unless asked
  double trace = kNaN;
  double frobenius = kNaN;              ///< ‖H‖_F
  double rho = kNaN;                    ///< max |h|
  double max_re = kNaN, min_re = kNaN;  ///< over the k eigenvalues
  double negative_share = kNaN;         ///< Σ_{Re h < 0} |h| / Σ|h|
  /// Shares of |h|-weight in the zones of theory.h with token scale s = 1. They depend on s: for pre-norm
  /// models, where s is unknown, the verdict uses negative_share, its limit for s → 0.
  double smooth_share = kNaN, sharp_share = kNaN, depends_share = kNaN;
  double copy_score = kNaN;   ///< Σ Re h / Σ|h|
  double sigma_max = kNaN;    ///< ‖H‖₂
  double stable_rank = kNaN;  ///< ‖H‖_F² / σ_1²
  double henrici = kNaN;      ///< sqrt(max(0, ‖H‖_F² − Σ|h|²)) / ‖H‖_F: 0 = normal
  double asymmetry =
      kNaN;  ///< ‖H − Hᵀ‖_F / (2‖H‖_F): 0 symmetric, 1 antisymmetric, 0.707 independent entries
  bool valid() const { return problem.empty(); }
};

/// H_Σ = Σ_h H_h of one layer: the growth of the token mean is governed by I + H_Σ.
struct LayerSum {
  std::string method;             ///< "exact, 384 × 384" or "Arnoldi, 96 vectors"; empty if not computed
  std::size_t size = 0;           ///< order of the reduced eigenproblem, or of the Krylov space
  double trace = kNaN;            ///< exact in both methods
  double growth = kNaN;           ///< ρ(I + H_Σ)
  Complex growth_at{kNaN, kNaN};  ///< the h with |1 + h| = growth
  double max_re = kNaN, min_re = kNaN;
  double negative_share = kNaN;  ///< by |h|; only for the exact method
  /// Arnoldi: ‖xH_Σ − hx‖/(‖x‖|1 + h|) of the leading Ritz pair; 0 for the exact method.
  double residual = 0;
  std::string problem;
};

struct SiteSpectrum {
  std::string label;  ///< as in Architecture::sites
  std::string stack;
  std::size_t layer = 0;
  std::size_t repeats = 1;
  bool self_map = true;
  std::string fold;                 ///< what was folded, e.g. "C Γ W_V"; "W_V" for nothing
  std::vector<HeadSpectrum> heads;  ///< empty if the site was skipped
  LayerSum sum;
  /// c = b_V W_O + b_O (+ β W_V W_O), which attention adds to every token alike: it moves the mean only.
  /// Empty where a norm acts on the attention output, and where it is not finite.
  std::vector<double> constant;
  std::string constant_problem;  ///< why it is not available
  double constant_norm = kNaN;
  double negative_gain_share =
      kNaN;  ///< share of γ_i < 0 in the input norm; NaN without γ. Not a property of H
  std::vector<std::string> problems;  ///< why it was skipped
  /// Tensors with NaN or infinity, as AttentionWeights::not_finite. Heads into whose H such a value enters
  /// are kInvalid, the others stand; biases enter `constant` alone.
  std::vector<std::string> not_finite;
};

struct WeightSpectra {
  Fold fold = Fold::kAuto;
  std::string fold_text;  ///< one line on what was folded and why
  std::string precision;  ///< how the k × k products were formed
  bool half_plane =
      false;  ///< token scale unknown (pre-norm): tendencies by the sign of Re h instead of the disks
  std::size_t width = 0, head_width = 0, kv_heads = 0;
  std::vector<SiteSpectrum> sites;
  /// Skipped sites, tensors with NaN or infinity, and what they spoil (heads, sums, constants): one line
  /// each.
  std::vector<std::string> problems;
  std::uint64_t bytes_read = 0;  ///< of V, O, biases and norms, as floats
  std::size_t smooth = 0, sharpen = 0, mixed = 0, near_null = 0, sigma_only = 0, invalid = 0;  ///< heads

  std::size_t heads() const { return smooth + sharpen + mixed + near_null + sigma_only + invalid; }
};

/// Spectra of all heads of all attention sites. Never forms a d × d matrix: K = W_O W_V, G_V = W_VᵀW_V and
/// G_O = W_O W_Oᵀ are k × k, and σ(H) = σ(L_Vᵀ L_O) with G = LLᵀ.
///
/// Products are formed in double when all of them cost less than 60 Gflop, else in float blocks of 256 summed
/// in double (relative error about 1e-6 of ‖W_V‖‖W_O‖): the choice depends on shapes alone, so a file and its
/// upcast copy give the same bits. Two sites' weights are in memory at a time. Same bits for any number of
/// threads.
///
/// A head or site that cannot be used is reported and the others continue; throws kUnsupported if none can be
/// used, kShape and kTruncated as read_attention does, kInterrupted. Cost a head: 6dk² + 10k³ + 4k³ flops.
WeightSpectra weight_spectra(const Checkpoint& checkpoint, const Architecture& architecture,
                             const SpectraOptions& options, const Arena& arena);

/// The same for one site whose weights are in memory, with the products in double.
SiteSpectrum site_spectrum(const AttentionWeights& weights, const AttentionSite& site,
                           const SpectraOptions& options, bool half_plane, const Arena& arena);

/// Index into WeightSpectra::sites (and Architecture::sites) of each layer of a decoder-only or encoder-only
/// model, in the order in which tokens meet them; a site that is repeated appears repeatedly.
std::vector<std::size_t> site_of_layer(const Architecture& architecture);

}  // namespace telos::smoothing
