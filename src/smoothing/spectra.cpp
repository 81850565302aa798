#include "telos/smoothing/spectra.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

#include "smoothing/spectra_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::smoothing {

std::string_view to_string(Fold fold) noexcept {
  switch (fold) {
    case Fold::kNone:
      return "none";
    case Fold::kGamma:
      return "gamma";
    case Fold::kCentreGamma:
      return "center+gamma";
    case Fold::kAuto:
      return "auto";
  }
  return "?";
}

Fold parse_fold(std::string_view text) {
  for (const Fold fold : {Fold::kNone, Fold::kGamma, Fold::kCentreGamma, Fold::kAuto})
    if (text == to_string(fold)) return fold;
  throw Error(ErrorKind::kUsage, "fold", "unknown kind '" + printable(text) + "'",
              "use none, gamma, center+gamma or auto");
}

std::string_view to_string(HeadTendency tendency) noexcept {
  switch (tendency) {
    case HeadTendency::kSmooth:
      return "smooth";
    case HeadTendency::kSharpen:
      return "sharpen";
    case HeadTendency::kMixed:
      return "mixed";
    case HeadTendency::kNearNull:
      return "near-null";
    case HeadTendency::kSigmaOnly:
      return "σ only";
    case HeadTendency::kInvalid:
      return "invalid";
  }
  return "?";
}

std::vector<std::size_t> site_of_layer(const Architecture& architecture) {
  std::vector<std::size_t> out;
  for (std::size_t s = 0; s < architecture.sites.size(); ++s)
    out.insert(out.end(), std::max<std::size_t>(1, architecture.sites[s].repeats), s);
  return out;
}

namespace {

/// Below this all products of a model take at most about 2 s in double on one core.
constexpr double kDoubleFlops = 60e9;

double product_flops(const Architecture& a) {
  return 6.0 * static_cast<double>(a.sites.size()) * static_cast<double>(a.heads) *
         static_cast<double>(a.head_width) * static_cast<double>(a.head_width) * static_cast<double>(a.width);
}

bool scale_unknown(const Architecture& a) {
  return a.norm != NormKind::kNone && a.block != BlockKind::kPost;
}

std::string fold_sentence(const Architecture& a, Fold fold) {
  if (fold == Fold::kNone) return "nothing folded: H = W_V W_O as stored";
  if (a.block == BlockKind::kPost)
    return "nothing to fold: post-norm attention reads the residual stream itself";
  if (a.block == BlockKind::kOutput) return "γ of the norm on the attention output folded into W_O";
  std::string text = "γ of the input norm folded into W_V";
  if (fold != Fold::kGamma && a.norm == NormKind::kLayerNorm) text += ", and the LayerNorm's centring";
  if (a.block == BlockKind::kSandwich) text += "; γ of the output norm into W_O";
  return text + "; the positive scale 1/σ per token is not in the weights";
}

/// Cross attention maps another sequence: only the singular values of H mean something.
void keep_sigma_only(HeadSpectrum& head) {
  head.eigenvalues.clear();
  head.condition.clear();
  head.trace = head.rho = head.max_re = head.min_re = head.negative_share = head.copy_score = kNaN;
  head.smooth_share = head.sharp_share = head.depends_share = head.henrici = head.asymmetry = kNaN;
}

template <class T>
struct LoadedSite {
  SiteSpectrum spectrum;     ///< with all that follows without products
  FoldedWeights<T> weights;  ///< empty if the site cannot be used
  std::uint64_t bytes = 0;
};

template <class T>
LoadedSite<T> prepare_site(AttentionWeights&& weights, const AttentionSite& site, Fold fold) {
  LoadedSite<T> out;
  SiteSpectrum& s = out.spectrum;
  s.label = site.label;
  s.stack = site.stack;
  s.layer = site.layer;
  s.repeats = site.repeats;
  s.self_map = site.self_map;
  s.problems = weights.problems;
  s.not_finite = weights.not_finite;
  if (weights.value_t.empty() || weights.output.empty()) {
    if (s.problems.empty()) s.problems.push_back("its value or output weights are empty");
    return out;
  }
  out.bytes = 4 * (weights.value_t.size() + weights.output.size() + weights.value_bias.size() +
                   weights.output_bias.size() + weights.norm_gain.size() + weights.norm_bias.size() +
                   weights.output_gain.size());
  if (!weights.norm_gain.empty() && finite(weights.norm_gain)) {
    const auto negative =
        std::count_if(weights.norm_gain.begin(), weights.norm_gain.end(), [](float g) { return g < 0; });
    s.negative_gain_share = static_cast<double>(negative) / static_cast<double>(weights.norm_gain.size());
  }
  s.constant = attention_constant(weights, /*with_norm_bias=*/true);
  if (!finite(s.constant)) {
    s.constant = {};
    s.constant_problem = "not available: NaN or infinity in the biases, β or the weights that they meet";
  }
  if (!s.constant.empty()) {
    double square = 0;
    for (const double c : s.constant) square += c * c;
    s.constant_norm = std::sqrt(square);
  }
  out.weights = fold_weights<T>(std::move(weights), fold);
  s.fold = out.weights.fold;
  s.heads.resize(out.weights.heads);
  for (std::size_t h = 0; h < s.heads.size(); ++h) {
    s.heads[h].head = h;
    s.heads[h].group = out.weights.group_of(h);
    s.heads[h].name = s.label + "." + std::to_string(h);
  }
  return out;
}

/// All heads of one site at once, its layer sum, and beside them `meanwhile` (the next site's reading).
template <class T, class Meanwhile>
void measure_site(LoadedSite<T>& site, const SpectraOptions& options, bool half_plane, const Arena& arena,
                  Progress* progress, Meanwhile&& meanwhile) {
  SiteSpectrum& s = site.spectrum;
  const bool with_sum = options.layer_sums && s.self_map && !s.heads.empty();
  arena.parallel_for(s.heads.size() + 2, [&](std::size_t i) {
    check_interrupt();
    if (i == 0) {
      meanwhile();
    } else if (i == 1) {
      if (with_sum) s.sum = measure_sum(site.weights, options, arena);
    } else {
      HeadSpectrum& head = s.heads[i - 2];
      measure_head(site.weights, options, arena, head);
      if (!s.self_map) keep_sigma_only(head);
      if (progress != nullptr) progress->advance();
    }
  });
  judge_heads(s.heads, half_plane, s.self_map);
}

void tally(WeightSpectra& out) {
  for (const SiteSpectrum& site : out.sites) {
    for (const auto* list : {&site.problems, &site.not_finite})
      for (const std::string& problem : *list) out.problems.push_back("layer " + site.label + ": " + problem);
    if (!site.constant_problem.empty())
      out.problems.push_back("layer " + site.label + ", constant: " + site.constant_problem);
    if (!site.sum.problem.empty())
      out.problems.push_back("layer " + site.label + ", sum of heads: " + site.sum.problem);
    for (const HeadSpectrum& head : site.heads) {
      switch (head.tendency) {
        case HeadTendency::kSmooth:
          ++out.smooth;
          break;
        case HeadTendency::kSharpen:
          ++out.sharpen;
          break;
        case HeadTendency::kMixed:
          ++out.mixed;
          break;
        case HeadTendency::kNearNull:
          ++out.near_null;
          break;
        case HeadTendency::kSigmaOnly:
          ++out.sigma_only;
          break;
        case HeadTendency::kInvalid:
          ++out.invalid;
          out.problems.push_back("head " + head.name + ": " + head.problem);
          break;
      }
    }
  }
}

void require_something(const WeightSpectra& out, const Checkpoint& checkpoint) {
  if (out.heads() > out.invalid) return;
  const bool damaged = std::any_of(out.sites.begin(), out.sites.end(),
                                   [](const SiteSpectrum& site) { return !site.not_finite.empty(); });
  const std::string first = out.problems.empty() ? "no attention layer was found" : out.problems.front();
  throw Error(
      ErrorKind::kUnsupported, printable(checkpoint.path()),
      "none of its attention heads can be used: " + first +
          (out.problems.size() > 1 ? " (and " + std::to_string(out.problems.size() - 1) + " more)" : ""),
      damaged ? "the checkpoint is damaged, or training diverged" : "give a checkpoint in F32, F16 or BF16");
}

template <class T>
void run_sites(const Checkpoint& checkpoint, const Architecture& architecture, const SpectraOptions& options,
               const Arena& arena, WeightSpectra& out) {
  const auto load = [&](std::size_t i) {
    const AttentionSite& site = architecture.sites[i];
    return prepare_site<T>(read_attention(checkpoint, architecture, site), site, options.fold);
  };
  const std::size_t n = architecture.sites.size();
  Progress progress("spectra", "head", static_cast<double>(n * architecture.heads));
  std::optional<LoadedSite<T>> current, next;
  if (n > 0) current = load(0);
  for (std::size_t i = 0; i < n; ++i) {
    next.reset();
    measure_site(*current, options, out.half_plane, arena, &progress, [&] {
      if (i + 1 < n) next = load(i + 1);
    });
    out.bytes_read += current->bytes;
    out.sites.push_back(std::move(current->spectrum));
    current = std::move(next);
  }
}

}  // namespace

WeightSpectra weight_spectra(const Checkpoint& checkpoint, const Architecture& architecture,
                             const SpectraOptions& options, const Arena& arena) {
  WeightSpectra out;
  out.fold = options.fold;
  out.fold_text = fold_sentence(architecture, options.fold);
  out.half_plane = scale_unknown(architecture);
  out.width = architecture.width;
  out.head_width = architecture.head_width;
  out.kv_heads = architecture.kv_heads;
  if (product_flops(architecture) <= kDoubleFlops) {
    out.precision = "products in double";
    run_sites<double>(checkpoint, architecture, options, arena, out);
  } else {
    out.precision = "products in float blocks of 256, summed in double";
    run_sites<float>(checkpoint, architecture, options, arena, out);
  }
  tally(out);
  require_something(out, checkpoint);
  return out;
}

SiteSpectrum site_spectrum(const AttentionWeights& weights, const AttentionSite& site,
                           const SpectraOptions& options, bool half_plane, const Arena& arena) {
  AttentionWeights copy{weights.heads,          weights.kv_heads,      weights.head_width,
                        weights.value_t.copy(), weights.output.copy(), weights.value_bias,
                        weights.output_bias,    weights.norm,          weights.norm_gain,
                        weights.norm_bias,      weights.output_gain,   weights.output_norm,
                        weights.value_norm,     weights.problems,      weights.not_finite};
  LoadedSite<double> loaded = prepare_site<double>(std::move(copy), site, options.fold);
  measure_site(loaded, options, half_plane, arena, nullptr, [] {});
  return std::move(loaded.spectrum);
}

}  // namespace telos::smoothing
