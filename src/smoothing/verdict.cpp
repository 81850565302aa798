#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "telos/base/error.h"
#include "telos/smoothing/measure.h"

namespace telos::smoothing {

std::string_view to_string(Trend trend) noexcept {
  switch (trend) {
    case Trend::kCollapsing:
      return "collapsing";
    case Trend::kDrift:
      return "drift";
    case Trend::kSmoothing:
      return "smoothing";
    case Trend::kSteady:
      return "steady";
    case Trend::kSharpening:
      return "sharpening";
    case Trend::kMixed:
      return "mixed";
    case Trend::kUnknown:
      return "unknown";
    case Trend::kTendencySmooth:
      return "tendency to smooth";
    case Trend::kTendencySharpen:
      return "tendency to sharpen";
    case Trend::kTendencyMixed:
      return "no common tendency";
  }
  return "?";
}

namespace {

/// How the mean cosine of one choice of tokens goes from the first to the last layer.
struct CosinePath {
  Estimate first, last;
  double change() const { return last.mean - first.mean; }
  double error() const {
    const double a = std::isnan(first.error) ? 0 : first.error, b = std::isnan(last.error) ? 0 : last.error;
    return std::sqrt(a * a + b * b);
  }
  bool known() const { return std::isfinite(change()); }
  bool rises() const { return change() > kCosineChange && change() > kSigmas * error(); }
  bool moves() const { return std::abs(change()) > kCosineChange; }
  bool falls() const { return -change() > kCosineChange && -change() > kSigmas * error(); }
  bool high() const { return last.mean > kCollapsed; }
  bool alike() const { return rises() || high(); }
};

bool below_zero(const Estimate& e) {
  return e.mean + kSigmas * (std::isnan(e.error) ? 0 : e.error) < 0;
}
bool above_zero(const Estimate& e) {
  return e.mean - kSigmas * (std::isnan(e.error) ? 0 : e.error) > 0;
}

std::string with_error(const Estimate& e) {
  return std::isnan(e.error) ? fmt::format("{:.3g}", e.mean)
                             : fmt::format("{:.3g} ± {:.1g}", e.mean, e.error);
}
std::string path_text(const CosinePath& p) {
  return fmt::format("{:.3f} → {:.3f}", p.first.mean, p.last.mean);
}
std::string met(bool yes) {
  return yes ? "met" : "not met";
}

struct Evidence {
  CosinePath all, without, without_constant;
  double ratio_change = 0;  ///< slope_without · N: change of ln(HFC/LFC)
  bool ratio_moves = false, ratio_falls = false, ratio_rises = false, still_falls = false;
  bool equal = false;                           ///< at the end: but for the rounding of their states
  bool by_tokens = false, by_constant = false;  ///< the likeness disappears without them
};

Evidence weigh(const TraceMeasures& m) {
  const DepthMeasures &first = m.depth.front(), &last = m.depth.back();
  Evidence e;
  e.all = {first.all.cos_mean, last.all.cos_mean};
  e.without = {first.without.cos_mean, last.without.cos_mean};
  e.without_constant = {first.cos_without_constant, last.cos_without_constant};
  e.equal = last.without.hfc_lfc.mean < kEqualTokens;
  e.ratio_change = m.slope_without.mean * static_cast<double>(m.layers);
  e.ratio_moves = std::abs(e.ratio_change) > kRatioChange;
  e.ratio_falls = e.ratio_moves && below_zero(m.slope_without);
  e.ratio_rises = e.ratio_moves && above_zero(m.slope_without);
  e.still_falls = below_zero(m.slope_last_third);
  e.by_tokens = e.all.alike() && e.without.known() && !e.without.alike();
  e.by_constant = e.without.alike() && e.without_constant.known() && !e.without_constant.alike();
  return e;
}

Trend trend_of(const Evidence& e) {
  if (e.by_tokens || e.by_constant) return Trend::kDrift;
  if (e.without.high() && e.still_falls) return Trend::kCollapsing;
  if (e.without.rises() && (e.ratio_falls || e.equal)) return Trend::kSmoothing;
  if (e.ratio_rises && !e.without.rises()) return Trend::kSharpening;
  if (!e.without.known() || !std::isfinite(e.ratio_change)) return Trend::kUnknown;
  if (!e.without.moves() && !e.ratio_moves) return Trend::kSteady;
  const bool certain = e.without.rises() || e.without.falls() || e.ratio_falls || e.ratio_rises;
  return certain ? Trend::kMixed : Trend::kUnknown;
}

std::string sentence_of(Trend trend, const Evidence& e, const TraceMeasures& m) {
  switch (trend) {
    case Trend::kCollapsing:
      return "Tokens collapse towards one direction, and still do in the last layers.";
    case Trend::kDrift:
      return e.by_tokens
                 ? fmt::format("Tokens look alike only because of {}; the others keep their differences.",
                               m.without_text)
                 : "Tokens look alike only because attention adds the same constant to each; without it they "
                   "keep their differences.";
    case Trend::kSmoothing:
      if (e.equal) return "Tokens become one vector.";
      return e.without.high() ? "Tokens grow alike through depth, nearly to one direction, but no longer in "
                                "the last layers."
                              : "Tokens grow alike through depth, but do not collapse.";
    case Trend::kSteady:
      return e.without.high() ? "Tokens are alike from the first layer on and stay so."
                              : "Tokens keep their differences through depth.";
    case Trend::kSharpening:
      return "Tokens grow apart through depth.";
    case Trend::kUnknown:
      if (m.centred)
        return "Tokens were centred: what they share through depth is taken out, and no trend is told.";
      return e.without.known() && std::isfinite(e.ratio_change)
                 ? fmt::format("Tokens may change through depth, but {} to tell.",
                               m.windows > 1 ? "these windows differ too much"
                                             : "the layers of one window scatter too much about a line")
                 : "Tokens have too little to compare through depth to tell a trend.";
    default:
      return "Tokens show no single trend through depth: the measures disagree.";
  }
}

ModelVerdict judge_measures(const TraceMeasures& m) {
  const Evidence e = weigh(m);
  ModelVerdict out;
  out.measured = true;
  out.trend = m.centred ? Trend::kUnknown : trend_of(e);
  out.sentence = sentence_of(out.trend, e, m);
  out.basis = fmt::format("measured on {} {} of {} tokens", m.windows, m.windows == 1 ? "window" : "windows",
                          m.tokens);
  if (m.centred) return out;
  auto& c = out.conditions;
  c.push_back(fmt::format("mean cosine rises by more than {}: {} ({}; {} without {})", kCosineChange,
                          met(e.without.rises()), path_text(e.all), path_text(e.without), m.without_text));
  c.push_back(fmt::format("final mean cosine above {}: {} ({:.3f} without {})", kCollapsed,
                          met(e.without.high()), e.without.last.mean, m.without_text));
  c.push_back(fmt::format(
      "ln(HFC/LFC) falls by more than ln 1.25: {} (slope {} a layer without {}; {} with all tokens)",
      met(e.ratio_falls), with_error(m.slope_without), m.without_text, with_error(m.slope)));
  c.push_back(fmt::format("ln(HFC/LFC) still falls in the last third: {} (slope {} a layer)",
                          met(e.still_falls), with_error(m.slope_last_third)));
  if (std::isfinite(m.slope_inner.mean))
    c.push_back(fmt::format("the slope keeps its sign without the first and last point: {} ({} a layer)",
                            met(m.slope_inner.mean * m.slope_without.mean > 0), with_error(m.slope_inner)));
  c.push_back(fmt::format("likeness comes from {} alone: {}", m.without_text, met(e.by_tokens)));
  c.push_back(
      e.without_constant.known()
          ? fmt::format("likeness comes from the constant of attention alone: {} (mean cosine without it {})",
                        met(e.by_constant), path_text(e.without_constant))
          : std::string(
                "likeness comes from the constant of attention alone: not measured (needs weights of a "
                "pre-norm model)"));
  return out;
}

ModelVerdict judge_weights(const WeightSpectra& s) {
  const std::size_t judged = s.smooth + s.sharpen + s.mixed;
  const double total = static_cast<double>(std::max<std::size_t>(1, judged));
  ModelVerdict out;
  out.basis = "weights only: a tendency";
  if (judged > 0 && static_cast<double>(s.smooth) > kTendencyShare * total) {
    out.trend = Trend::kTendencySmooth;
    out.sentence = "By their weights, most heads tend to make tokens alike.";
  } else if (judged > 0 && static_cast<double>(s.sharpen) > kTendencyShare * total) {
    out.trend = Trend::kTendencySharpen;
    out.sentence = "By their weights, most heads tend to drive tokens apart.";
  } else {
    out.trend = Trend::kTendencyMixed;
    out.sentence = judged == 0 ? "The weights show no tendency: no head has a spectrum of its own."
                               : "By their weights, the heads have no common tendency.";
  }
  const std::string test = s.half_plane ? "Re h > 0 (token scale unknown)" : "|h + 1| ≥ 1";
  const std::string opposite = s.half_plane ? "Re h < 0" : "|h + ½| ≤ ½";
  out.conditions.push_back(fmt::format("{} of {} heads have at least {:.0f} % of their |h|-weight at {}",
                                       s.smooth, judged, 100 * kDecisiveShare, test));
  out.conditions.push_back(fmt::format("{} of {} heads have as much at {}", s.sharpen, judged, opposite));
  out.conditions.push_back("unseen: attention on a text, the MLP" +
                           std::string(s.half_plane ? ", and the scale 1/σ of each token" : ""));
  return out;
}

}  // namespace

ModelVerdict judge(const WeightSpectra* spectra, const TraceMeasures* measures) {
  if (measures != nullptr && !measures->depth.empty()) return judge_measures(*measures);
  if (spectra != nullptr) return judge_weights(*spectra);
  throw Error(ErrorKind::kUsage, "smoothing verdict", "neither spectra nor measures were given");
}

}  // namespace telos::smoothing
