#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/confidence.h"
#include "telos/model/architecture.h"
#include "telos/model/trace.h"
#include "telos/model/transformer.h"
#include "telos/model/windows.h"
#include "telos/smoothing/spectra.h"
#include "telos/smoothing/theory.h"

namespace telos::smoothing {

/// Mean over windows and its standard error (sample standard deviation / √windows; NaN for one window).
/// Windows where the number is undefined or infinite are left out of both.
struct Estimate {
  double mean = kNaN, error = kNaN;
  std::size_t windows = 0;
};
Estimate estimate(std::span<const double> values);

// ---- One window ----

/// One attention sublayer of one window, X' = X + Σ_h A_h Z H_h + 1cᵀ. Y = PX, m = mean row of X; P = I −
/// 11ᵀ/n. All on real tokens (padding left out), special tokens included: the laws hold for whole sequences
/// only.
struct WindowSublayer {
  std::vector<double>
      gain;  ///< g_h = ⟨Y, D_h⟩/‖Y‖², D_h = P A_h P Z H_h; negative = smooths. Exact, first order
  /// Of head h on the mean token, first order: ⟨m, δ_h⟩/‖m‖², δ_h = (z̄ + (1/n)1ᵀA_h P Z)H_h. To first order
  /// the head changes ln(HFC/LFC) by gain − mean_gain.
  std::vector<double> mean_gain;
  double constant_gain = kNaN;  ///< the same of c
  double second_order = kNaN;  ///< ‖Σ_h D_h‖²/‖Y‖²: ‖Y'‖²/‖Y‖² = 1 + 2Σg_h + second_order
  double hfc_log_gain = kNaN;       ///< ln(‖Y'‖/‖Y‖) by attention
  double dc_log_gain = kNaN;        ///< ln(‖m'‖/‖m‖) by attention
  double rest_hfc_log_gain = kNaN;  ///< ln(‖PX_next‖/‖Y'‖): what MLP and norms do after it
  double rest_dc_log_gain = kNaN;
  /// Laws on the trace, largest relative residual (in units of ‖X'‖_F): L1 ‖Y' − Y − ΣD_h‖_F;
  /// L2 √n·‖m' − m − Σ_h(z̄ + (1/n)1ᵀA_h P Z)H_h − c‖. NaN without X' in the trace.
  double law1 = kNaN, law2 = kNaN;
  double constant_ratio = kNaN;  ///< ‖c‖/‖m‖, c with β folded in
  /// s: median over tokens of 1/σ_i in the input norm; 1 for post-norm. NaN where not linear.
  double scale = kNaN;
  bool linear = true;                        ///< false: a norm acts on the values or on the attention output
  std::vector<AttentionSpectrum> attention;  ///< a head; empty where not computed
};

struct WindowMeasures {
  std::vector<TokenMeasures> all, without;   ///< N + 1 sites of the residual stream; see TraceOptions
  std::vector<double> cos_without_constant;  ///< N + 1; mean cosine after Σ_{j<l} c_j is subtracted; NaN
                                             ///< unless pre-norm, and where features are centred
  std::vector<WindowSublayer> sublayers;     ///< N, or empty without attention
};

// ---- A trace ----

/// Weights of the attention sublayer of layer l = 0 … N − 1.
using WeightSource = std::function<AttentionWeights(std::size_t layer)>;

struct TraceOptions {
  /// B·L flags of tokens to leave out of the `without` measures; empty: token 0 is left out.
  std::vector<std::uint8_t> special{};
  std::string without_text{};    ///< "[CLS] and [SEP]"; empty: "special tokens" or "token 0"
  bool centre_features = false;  ///< in the token measures
  bool attention_spectra = true;
  std::size_t spectra_windows =
      4;  ///< windows whose attention spectra are computed (25L³ flops a head, not causal)
  BlockKind block = BlockKind::kPre;
  double norm_eps = 1e-5;  ///< of the input norm, where Z must be derived from X
};

/// All windows of one trace. `weights` may be empty: then only token measures and attention spectra. Z and X'
/// are taken from the trace where recorded; else Z is derived from the norm's weights, X' is taken as the law
/// gives it and the laws are not checked. Contributions and the token scale are not available where a norm
/// acts on the attention output (sandwich, OLMo 2) or inside W_V (latent attention). Throws kShape if weights
/// and trace do not fit. Same bits for any number of threads, and for windows apart or together. Cost a
/// window and layer: 6Ld·hk + 2L²hk flops in double, plus the attention spectra.
std::vector<WindowMeasures> measure_windows(const Trace& trace, const WeightSource& weights,
                                            const TraceOptions& options, const Arena& arena);

struct TokenEstimates {
  Estimate hfc_lfc, hfc_frac, cos_mean, cos_abs_incl, res_1inf, rank1_res, stable_rank, eff_rank, part_ratio,
      dirichlet, log_norm, max_norm_share;
};

/// The residual stream before layer l, l = 0 … N.
struct DepthMeasures {
  TokenEstimates all, without;
  Estimate cos_without_constant;
};

struct HeadMeasures {
  std::string name;  ///< "5.7"
  Estimate gain, mean_gain;
  Estimate smallest_real, second_modulus, sigma_max_pap, row_entropy, sink_mass, stable_rank;  ///< of A
  /// Share of |h|-weight with |1 + sh| < |1 + a sh| at the measured a (mean smallest Re λ of A) and scale s;
  /// needs spectra.
  double sharp_share = kNaN;
};

struct SublayerMeasures {
  std::vector<HeadMeasures> heads;
  Estimate gain;       ///< Σ_h g_h
  Estimate mean_gain;  ///< Σ_h of the heads' mean gains, and that of the constant
  Estimate hfc_log_gain, dc_log_gain, rest_hfc_log_gain, rest_dc_log_gain, constant_ratio, scale;
  double law1 = kNaN, law2 = kNaN;  ///< largest over windows
};

struct TraceMeasures {
  std::size_t windows = 0, tokens = 0, layers = 0, heads = 0;
  bool causal = false;
  std::string without_text;  ///< what `without` leaves out: "token 0", "special tokens", "[CLS] and [SEP]"
  bool centred = false;      ///< TraceOptions::centre_features
  std::string options_text;  ///< site, tokens and centring of every measure, for the page
  std::vector<DepthMeasures> depth;         ///< N + 1
  std::vector<SublayerMeasures> sublayers;  ///< N; heads empty without attention
  /// Slope per layer of ln(max(hfc_lfc, kEqualTokens)) over l = 0 … N by least squares, in each window, then
  /// mean ± standard error; below five windows the error is at least that of the regression on the mean
  /// profile.
  Estimate slope, slope_without;
  Estimate slope_inner;             ///< `without`, first and last point left out
  Estimate slope_last_third;        ///< `without`, over the last third of the layers
  double law1 = kNaN, law2 = kNaN;  ///< largest over layers
  std::vector<std::string> notes;   ///< what is not available, and why
};

/// The sizes that windows of one run share.
struct TraceShape {
  std::size_t tokens = 0, layers = 0, heads = 0;
  bool causal = false;
};

/// Means and errors over windows, in the order given. `spectra` may be null; with it, `site_of_layer` says
/// which of its sites each layer is.
TraceMeasures aggregate(std::span<const WindowMeasures> windows, const TraceShape& shape,
                        const TraceOptions& options, const WeightSpectra* spectra,
                        std::span<const std::size_t> site_of_layer);

/// measure_windows and aggregate.
TraceMeasures measure_trace(const Trace& trace, const WeightSource& weights, const WeightSpectra* spectra,
                            std::span<const std::size_t> site_of_layer, const TraceOptions& options,
                            const Arena& arena);

// ---- Verdict ----

enum class Trend {
  kCollapsing,  ///< final mean cosine > kCollapsed and ln(HFC/LFC) still falls in the last third, also
                ///< `without`
  kDrift,       ///< cosine is high or rises only through a shared constant or the tokens left out
  kSmoothing,   ///< cosine rises and HFC/LFC falls through depth, short of collapse
  kSteady,      ///< neither changes by more than its threshold
  kSharpening,  ///< HFC/LFC rises and cosine does not
  kMixed,       ///< the measures disagree
  kUnknown,     ///< they do not tell: features were centred, or they change by more than the thresholds, but
                ///< not by more than their errors
  kTendencySmooth,
  kTendencySharpen,
  kTendencyMixed,  ///< weights only
};
std::string_view to_string(Trend trend) noexcept;  ///< "collapsing", "drift", …, "tendency to smooth", …

/// Mean cosine above which tokens count as one direction: the angle to the mean direction is then below about
/// 18°.
inline constexpr double kCollapsed = 0.9;
/// Change of the mean cosine over all layers that counts as a change: well above its error over ten windows
/// of 128 tokens of text (about 0.01), well below what trained models show (0.2 and more).
inline constexpr double kCosineChange = 0.05;
/// Change of HFC/LFC over all layers that counts: a factor of 1.25, |slope|·N > ln 1.25.
inline constexpr double kRatioChange = 0.2231435513142097;
/// HFC/LFC below which tokens count as equal: states are float32, whose rounding alone leaves about 1e-7.
/// Slopes take what lies below as this; heads have no gain there.
inline constexpr double kEqualTokens = 1e-6;
/// Share of heads that a weights-only tendency needs.
inline constexpr double kTendencyShare = 0.5;

struct ModelVerdict {
  Trend trend = Trend::kTendencyMixed;
  bool measured = false;
  std::string sentence;  ///< plain words, one sentence
  std::string basis;     ///< "measured on 10 windows of 128 tokens" or "weights only: a tendency"
  std::vector<std::string> conditions;  ///< each condition with its numbers, met or not
};
/// The verdict from measures if there are any, else from weights. At least one must be given.
ModelVerdict judge(const WeightSpectra* spectra, const TraceMeasures* measures);

// ---- The whole ----

/// What a diagnosis has to go on. A checkpoint alone gives tendencies; with a transformer and windows of
/// text, or with a recorded trace, the measures follow; a trace alone gives measures without heads'
/// contributions.
struct DiagnosisInput {
  const Checkpoint* checkpoint = nullptr;
  const Architecture* architecture = nullptr;  ///< with checkpoint
  const Transformer* transformer = nullptr;    ///< with text
  const TextWindows* text = nullptr;
  const Trace* trace = nullptr;  ///< instead of transformer and text
};
struct DiagnosisOptions {
  SpectraOptions spectra{};
  TraceOptions trace{};  ///< block, eps and special tokens are filled in from the input
  std::uint64_t trace_bytes = std::uint64_t{256}
                              << 20;  ///< windows are run in chunks whose traces fit into this
};

struct SmoothingDiagnosis {
  std::optional<Architecture> architecture;
  std::optional<WeightSpectra> spectra;
  std::optional<TraceMeasures> measures;
  ModelVerdict verdict;
  std::vector<std::string> problems;  ///< what could not be used: the command then ends with exit code 1
  double spectra_seconds = 0, forward_seconds = 0, measure_seconds = 0;
};
/// Throws kUsage if the input has neither checkpoint nor trace.
SmoothingDiagnosis diagnose_smoothing(const DiagnosisInput& input, const DiagnosisOptions& options,
                                      const Arena& arena);

}  // namespace telos::smoothing
