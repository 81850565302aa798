#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "smoothing/page_parts.h"
#include "telos/report/charts.h"

namespace telos::smoothing {

namespace {

constexpr const char* kSource = "arXiv 2401.04301";

/// Mean over windows against depth, with a band of two standard errors.
Series depth_series(const std::string& name, const std::vector<Estimate>& values) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}};
  const bool band =
      std::any_of(values.begin(), values.end(), [](const Estimate& e) { return std::isfinite(e.error); });
  for (std::size_t l = 0; l < values.size(); ++l) {
    const Estimate& e = values[l];
    if (!std::isfinite(e.mean)) continue;
    s.x.push_back(static_cast<double>(l));
    s.y.push_back(e.mean);
    if (!band) continue;
    const double half = std::isfinite(e.error) ? kSigmas * e.error : 0;
    s.low.push_back(e.mean - half);
    s.high.push_back(e.mean + half);
  }
  return s;
}

std::vector<Estimate> along_depth(const TraceMeasures& m, TokenEstimates DepthMeasures::*side,
                                  Estimate TokenEstimates::*field) {
  std::vector<Estimate> out;
  for (const DepthMeasures& at : m.depth) out.push_back((at.*side).*field);
  return out;
}

/// "The mean cosine rises from 0.21 to 0.63", or "stays near 0.2" for a change below `threshold`.
std::string change_title(const std::string& what, double first, double last, double threshold, int decimals) {
  if (std::abs(last - first) <= threshold) return what + " stays near " + fixed(last, decimals);
  return what + (last > first ? " rises from " : " falls from ") + fixed(first, decimals) + " to " +
         fixed(last, decimals);
}

Figure depth_figure(const TraceMeasures& m, ChartText text, Estimate TokenEstimates::*field,
                    std::vector<Series> more = {}) {
  text.x_label = "depth (layers passed)";
  text.caption += fmt::format(" Lines: mean over {}; bands: two standard errors. Measured: {}.",
                              count_of(m.windows, "window", "windows"), m.options_text);
  std::vector<Series> series = {
      depth_series("all tokens", along_depth(m, &DepthMeasures::all, field)),
      depth_series("without " + m.without_text, along_depth(m, &DepthMeasures::without, field))};
  for (Series& s : more)
    if (!s.x.empty()) series.push_back(std::move(s));
  return line_chart(text, series);
}

}  // namespace

Figure cosine_figure(const TraceMeasures& m) {
  const double first = m.depth.front().without.cos_mean.mean, last = m.depth.back().without.cos_mean.mean;
  std::vector<Estimate> constant;
  for (const DepthMeasures& at : m.depth) constant.push_back(at.cos_without_constant);
  return depth_figure(
      m,
      {.id = "cosine",
       .title = change_title("The mean cosine between tokens", first, last, kCosineChange, 2) + " without " +
                m.without_text,
       .caption = "Mean of cos(x_i, x_j), i ≠ j: 1 when all tokens point the same way.",
       .alt = "Mean cosine between tokens against depth, with all tokens and without " + m.without_text,
       .x_label = "",
       .y_label = "mean cosine"},
      &TokenEstimates::cos_mean, {depth_series("also without attention's constant", constant)});
}

Figure varying_share_figure(const TraceMeasures& m) {
  const double first = m.depth.front().without.hfc_frac.mean, last = m.depth.back().without.hfc_frac.mean;
  return depth_figure(m,
                      {.id = "varying_share",
                       .title = change_title("The varying share of the tokens' energy", first, last, 0.02, 2),
                       .caption = "‖PX‖²/‖X‖², P = I − 11ᵀ/n: 0 when all tokens are equal.",
                       .alt = "Varying share of the energy against depth",
                       .x_label = "",
                       .y_label = "‖PX‖²/‖X‖²"},
                      &TokenEstimates::hfc_frac);
}

Figure rank_figure(const TraceMeasures& m) {
  const double first = m.depth.front().without.stable_rank.mean,
               last = m.depth.back().without.stable_rank.mean;
  return depth_figure(m,
                      {.id = "stable_rank",
                       .title = change_title("The stable rank", first, last, 0.1 * std::abs(first), 1),
                       .caption = "‖X‖_F²/σ_1²: how many directions carry the tokens; 1 is one direction.",
                       .alt = "Stable rank against depth",
                       .x_label = "",
                       .y_label = "stable rank"},
                      &TokenEstimates::stable_rank);
}

Figure eigenvalue_figure(const SmoothingDiagnosis& d) {
  const WeightSpectra& spectra = *d.spectra;
  // Measured scales turn h into the s·h that the disks are about; without them only the sign of Re h is
  // known.
  std::vector<double> scale(spectra.sites.size(), spectra.half_plane ? kNaN : 1.0);
  if (d.measures && d.architecture && spectra.half_plane) {
    const std::vector<std::size_t> sites = site_of_layer(*d.architecture);
    for (std::size_t l = 0; l < d.measures->sublayers.size() && l < sites.size(); ++l)
      scale[sites[l]] = d.measures->sublayers[l].scale.mean;
  }
  const bool scaled = std::none_of(scale.begin(), scale.end(), [](double s) { return std::isnan(s); });
  std::vector<ScatterPoint> points;
  double weight = 0, smooth = 0, sharp = 0;
  for (std::size_t i = 0; i < spectra.sites.size(); ++i)
    for (const HeadSpectrum& head : spectra.sites[i].heads)
      for (const Complex raw : head.eigenvalues) {
        const Complex h = scaled ? raw * scale[i] : raw;
        const Zone z = scaled         ? zone(h)
                       : h.real() > 0 ? Zone::kSmooth
                       : h.real() < 0 ? Zone::kSharp
                                      : Zone::kNull;
        weight += std::abs(raw);
        if (z == Zone::kSmooth) smooth += std::abs(raw);
        if (z == Zone::kSharp) sharp += std::abs(raw);
        const char* group = z == Zone::kSmooth    ? "smooths"
                            : z == Zone::kSharp   ? "sharpens"
                            : z == Zone::kDepends ? "depends on attention"
                                                  : "null";
        points.push_back({h.real(), h.imag(), group, head.name,
                          fmt::format("head {}: {:.4g} {} {:.4g}i", head.name, h.real(),
                                      h.imag() < 0 ? "−" : "+", std::abs(h.imag()))});
      }
  ChartText text{.id = "eigenvalues",
                 .title = weight > 0 ? fmt::format("{} of the eigenvalue weight smooths, {} sharpens",
                                                   percent(smooth / weight), percent(sharp / weight))
                                     : "No head has eigenvalues",
                 .caption = "",
                 .alt =
                     "Eigenvalues of H = W_V W_O of all heads in the complex plane, with the disks that "
                     "separate smoothing from sharpening",
                 .x_label = scaled && spectra.half_plane ? "Re s·h" : "Re h",
                 .y_label = scaled && spectra.half_plane ? "Im s·h" : "Im h"};
  text.caption = fmt::format(
      "Eigenvalues h of H = W_V W_O (those that are not 0 by rank). {} Source: {}.",
      scaled
          ? "Outside the large disk |h + 1| < 1 an eigenvalue smooths whatever attention does; inside the "
            "small one, |h + ½| ≤ ½, it sharpens; between them it depends on attention's smallest eigenvalue."
          : "Pre-norm: the token scale s > 0 is not in the weights, so only the side of the line Re h = 0 "
            "counts; the disks apply to s·h.",
      kSource);
  if (scaled && spectra.half_plane) text.caption += " s: median 1/σ of the tokens at each layer.";
  std::vector<Disk> disks;
  if (scaled) disks = {{-1, 1, "a = 0", true}, {-0.5, 0.5, "a → 1", true}};
  return scatter_chart(text, points, disks);
}

Figure copy_score_figure(const WeightSpectra& spectra) {
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;
  std::size_t heads = 0, positive = 0, total = 0;
  for (const SiteSpectrum& site : spectra.sites) heads = std::max(heads, site.heads.size());
  for (std::size_t h = 0; h < heads; ++h) columns.push_back(std::to_string(h));
  for (const SiteSpectrum& site : spectra.sites) {
    rows.push_back(site.label);
    values.emplace_back(heads, kNaN);
    for (const HeadSpectrum& head : site.heads) {
      values.back()[head.head] = head.copy_score;
      total += !std::isnan(head.copy_score);
      positive += head.copy_score > 0;
    }
  }
  return heat_map(
      {.id = "copy_score",
       .title = fmt::format("The copy score is positive in {} of {} heads", positive, total),
       .caption =
           "Σ Re h / Σ|h| of each head: 1 when all eigenvalues are positive (it adds what it attends to), −1 "
           "when all are negative. Hatched: not available.",
       .alt = "Heat map of the copy score, layers by heads",
       .x_label = "head",
       .y_label = "layer"},
      rows, columns, values, "copy score", true);
}

Figure gain_map_figure(const TraceMeasures& m) {
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;
  for (std::size_t h = 0; h < m.heads; ++h) columns.push_back(std::to_string(h));
  Estimate strongest;  // of the layers that have a gain
  std::size_t lowest = 0;
  for (std::size_t l = 0; l < m.sublayers.size(); ++l) {
    rows.push_back(std::to_string(l));
    values.emplace_back(m.heads, kNaN);
    for (std::size_t h = 0; h < m.sublayers[l].heads.size(); ++h)
      values.back()[h] = m.sublayers[l].heads[h].gain.mean;
    const Estimate& gain = m.sublayers[l].gain;
    if (std::isfinite(gain.mean) && !(gain.mean >= strongest.mean)) strongest = gain, lowest = l;
  }
  return heat_map({.id = "gain_map",
                   .title = strongest.mean < 0 ? fmt::format("Attention smooths most in layer {} (gain {})",
                                                             lowest, plus_minus(strongest))
                                               : "Attention smooths in no layer",
                   .caption = "g_h = ⟨Y, D_h⟩/‖Y‖², Y = PX, D_h = P A_h P Z H_h: head h's first-order change "
                              "of the varying energy. "
                              "Negative smooths.",
                   .alt = "Heat map of each head's contribution, layers by heads",
                   .x_label = "head",
                   .y_label = "layer"},
                  rows, columns, values, "gain g_h", true);
}

Figure gain_bars_figure(const TraceMeasures& m) {
  constexpr std::size_t kEachSide = 12;
  const std::vector<RankedHead> ranked = ranked_heads(m);
  std::vector<Bar> bars;
  const auto add = [&](const RankedHead& head) {
    bars.push_back({.label = head.name,
                    .group = head.gain.mean < 0 ? "smooths" : "sharpens",
                    .key = head.name,
                    .value = head.gain.mean,
                    .error = std::isfinite(head.gain.error) ? head.gain.error : 0});
  };
  std::vector<RankedHead> down, up;
  for (const RankedHead& head : ranked) (head.gain.mean < 0 ? down : up).push_back(head);
  for (std::size_t i = 0; i < std::min(down.size(), kEachSide); ++i) add(down[i]);
  for (std::size_t i = up.size() - std::min(up.size(), kEachSide); i < up.size(); ++i) add(up[i]);
  std::string title = "No head's contribution differs from zero";
  if (!down.empty()) title = fmt::format("Head {} smooths most", down.front().name);
  if (!down.empty() && !up.empty()) title += fmt::format(", head {} sharpens most", up.back().name);
  if (down.empty() && !up.empty()) title = fmt::format("Head {} sharpens most, none smooths", up.back().name);
  return bar_chart(
      {.id = "gains",
       .title = title,
       .caption = fmt::format(
           "g_h = ⟨Y, D_h⟩/‖Y‖², mean and standard error over {}; at most {} heads on each side, of "
           "{} that differ from 0 by more than their errors allow ({} smooth, {} sharpen).",
           count_of(m.windows, "window", "windows"), kEachSide, ranked.size(), down.size(), up.size()),
       .alt = "Bars of the strongest contributions of heads",
       .x_label = "gain g_h",
       .y_label = "head"},
      bars);
}

}  // namespace telos::smoothing
