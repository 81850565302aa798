#include "telos/smoothing/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "smoothing/page_parts.h"
#include "telos/base/quantity.h"

namespace telos::smoothing {

namespace {

void add_facts(const SmoothingDiagnosis& d, Report& report) {
  if (d.spectra) {
    std::string text = d.spectra->fold_text;
    for (const SiteSpectrum& site : d.spectra->sites)
      if (!site.fold.empty()) {
        text = "H = " + site.fold + " · " + text;
        break;
      }
    report.facts.push_back({"heads", text, "spectra " + format_seconds(d.spectra_seconds)});
  }
  if (d.measures)
    report.facts.push_back(
        {"measures", d.measures->options_text, "measured in " + format_seconds(d.measure_seconds)});
}

std::string path(const Estimate& first, const Estimate& last, int decimals) {
  return fixed(first.mean, decimals) + " → " + fixed(last.mean, decimals);
}

void add_measured_keys(const TraceMeasures& m, Report& report) {
  const DepthMeasures &first = m.depth.front(), &last = m.depth.back();
  report.keys.push_back({"mean cosine", path(first.all.cos_mean, last.all.cos_mean, 2),
                         fmt::format("(input → after layer {}; {} without {})", m.layers - 1,
                                     plus_minus(last.without.cos_mean), m.without_text),
                         "Mean of cos(x_i, x_j) over i ≠ j"});
  report.keys.push_back({"HFC/LFC", path(first.all.hfc_lfc, last.all.hfc_lfc, 2),
                         fmt::format("(slope of its logarithm {} a layer without {})",
                                     plus_minus(m.slope_without, true), m.without_text),
                         "‖PX‖_F/‖JX‖_F, J = 11ᵀ/n, P = I − J"});
}

void add_head_count(const WeightSpectra& s, Report& report) {
  std::string value = fmt::format("{} smooth · {} sharpen · {} mixed", s.smooth, s.sharpen, s.mixed);
  if (s.near_null > 0) value += fmt::format(" · {} near-null", s.near_null);
  if (s.sigma_only > 0) value += fmt::format(" · {} cross attention", s.sigma_only);
  if (s.invalid > 0) value += fmt::format(" · {} invalid", s.invalid);
  report.keys.push_back({"heads", value + fmt::format(", of {}", s.heads()), "(weights: tendency only)",
                         s.half_plane
                             ? "At least 90 % of Σ|h| at Re h > 0 (sharpen: Re h < 0): the token scale "
                               "is not in the weights"
                             : "At least 90 % of Σ|h| in the smooth (sharp) zone"});
}

void add_strongest(const TraceMeasures& m, Report& report) {
  const std::vector<RankedHead> ranked = ranked_heads(m);
  std::string value, gains;
  const auto add = [&](const RankedHead& head, const char* does) {
    value += fmt::format("{}{} {}", value.empty() ? "" : " · ", head.name, does);
    gains += fmt::format("{}{}", gains.empty() ? "gain " : " · ", plus_minus(head.gain, true));
  };
  if (!ranked.empty() && ranked.front().gain.mean < 0) add(ranked.front(), "smooths");
  if (!ranked.empty() && ranked.back().gain.mean > 0) add(ranked.back(), "sharpens");
  if (!value.empty())
    report.keys.push_back({"strongest", value, "(" + gains + ")", "g_h = ⟨Y, D_h⟩/‖Y‖², measured"});
  if (std::isfinite(m.law1))
    report.keys.push_back(
        {"exact laws", fmt::format("L1 {} · L2 {}", format_number(m.law1, 1), format_number(m.law2, 1)),
         "(largest relative residual on the text)", "How well X' = X + Σ A_h Z H_h + 1cᵀ holds"});
}

void add_weight_keys(const WeightSpectra& s, Report& report) {
  const SiteSpectrum* growth = nullptr;
  std::size_t non_normal = 0, negative_layers = 0;
  for (const SiteSpectrum& site : s.sites) {
    if (std::isfinite(site.sum.growth) && (growth == nullptr || site.sum.growth > growth->sum.growth))
      growth = &site;
    for (const HeadSpectrum& head : site.heads) non_normal += head.valid() && head.non_normal;
    negative_layers += site.negative_gain_share > 0.05;
  }
  if (growth != nullptr)
    report.keys.push_back(
        {"mean growth", format_number(growth->sum.growth, 3),
         fmt::format("(largest ρ(I + H_Σ), layer {}, {})", growth->label, growth->sum.method),
         "ρ(I + Σ_h H_h): growth of the mean token by attention, at token scale 1"});
  report.keys.push_back({"non-normal", count_of(non_normal, "head", "heads"),
                         "(their eigenvalues mislead at finite depth)", "Henrici > 0.7 or σ_1 > 10ρ"});
  if (negative_layers > 0)
    report.keys.push_back({"negative γ", count_of(negative_layers, "layer", "layers") + " with more than 5 %",
                           "(turns smoothing into sharpening where it holds for all)",
                           "Share of γ_i < 0; not gauge-invariant"});
}

Section depth_section(const TraceMeasures& m) {
  Section out{.id = "depth", .title = cosine_figure(m).title};
  out.paragraphs.push_back(fmt::format(
      "Slope of ln(HFC/LFC): {} a layer with all tokens, {} without {}, {} in the last third of the layers.",
      plus_minus(m.slope, true), plus_minus(m.slope_without, true), m.without_text,
      plus_minus(m.slope_last_third, true)));
  out.figures.push_back(varying_share_figure(m));
  out.figures.push_back(rank_figure(m));
  out.tables.push_back(depth_table(m));
  return out;
}

Section heads_section(const SmoothingDiagnosis& d) {
  Section out{.id = "heads"};
  Figure eigenvalues = eigenvalue_figure(d);
  out.title = "By their weights: " + eigenvalues.title;
  out.paragraphs.push_back(
      "Weights alone give a tendency: they do not see the text, the MLP, or how heads interact.");
  if (eigenvalues.marks > 0) out.figures.push_back(std::move(eigenvalues));
  out.figures.push_back(copy_score_figure(*d.spectra));
  out.tables.push_back(heads_table(*d.spectra));
  return out;
}

Section contributions_section(const TraceMeasures& m) {
  Section out{.id = "contributions"};
  Figure map = gain_map_figure(m), bars = gain_bars_figure(m);
  out.title = map.title;
  out.paragraphs.push_back(
      "How much each head changes the part of the tokens that varies, exactly and with its sign, on the "
      "text.");
  double varying = 0, mean = 0, rest = 0;
  std::size_t layers = 0;
  for (const SublayerMeasures& s : m.sublayers) {
    const double change = s.rest_hfc_log_gain.mean - s.rest_dc_log_gain.mean;
    if (!std::isfinite(s.hfc_log_gain.mean + s.dc_log_gain.mean + change)) continue;
    ++layers;
    varying += s.hfc_log_gain.mean;
    mean += s.dc_log_gain.mean;
    rest += change;
  }
  const std::string over = layers == m.sublayers.size() ? "all layers"
                                                        : fmt::format("the {} of {} layers where it is known",
                                                                      layers, m.sublayers.size());
  if (layers > 0)
    out.paragraphs.push_back(
        fmt::format("Over {}, attention changes ln ‖PX‖ by {} and ln ‖m‖ of the mean token by {}, "
                    "hence ln(HFC/LFC) by {}; MLP "
                    "and norms change it by {}.",
                    over, fixed(varying, 2), fixed(mean, 2), fixed(varying - mean, 2), fixed(rest, 2)));
  out.figures.push_back(std::move(map));
  if (bars.marks > 0) out.figures.push_back(std::move(bars));
  return out;
}

bool has_gains(const TraceMeasures& m) {
  return std::any_of(m.sublayers.begin(), m.sublayers.end(),
                     [](const SublayerMeasures& s) { return std::isfinite(s.gain.mean); });
}

}  // namespace

Report smoothing_report(const SmoothingDiagnosis& diagnosis, const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.provenance = context.provenance;
  add_facts(diagnosis, report);
  report.verdict = {diagnosis.verdict.sentence, diagnosis.verdict.basis, diagnosis.verdict.conditions};
  if (diagnosis.measures) add_measured_keys(*diagnosis.measures, report);
  if (diagnosis.spectra) add_head_count(*diagnosis.spectra, report);
  if (diagnosis.measures) add_strongest(*diagnosis.measures, report);
  if (diagnosis.spectra && !diagnosis.measures) add_weight_keys(*diagnosis.spectra, report);

  Section layers{.id = "layers", .title = "Layer by layer"};
  layers.tables = {layers_table(diagnosis), layer_details_table(diagnosis)};
  report.sections.push_back(std::move(layers));
  if (diagnosis.measures) {
    report.lead.push_back(cosine_figure(*diagnosis.measures));
    report.sections.push_back(depth_section(*diagnosis.measures));
    if (has_gains(*diagnosis.measures)) report.sections.push_back(contributions_section(*diagnosis.measures));
    if (!diagnosis.measures->sublayers.empty())
      report.sections.back().tables.push_back(contributions_table(*diagnosis.measures));
    report.not_measured = diagnosis.measures->notes;
  }
  if (diagnosis.spectra) report.sections.push_back(heads_section(diagnosis));
  report.sections.push_back({.id = "limits", .title = "What this does not show", .paragraphs = limits()});
  report.definitions = smoothing_definitions();
  report.complete = diagnosis.problems.empty();
  report.not_measured.insert(report.not_measured.end(), diagnosis.problems.begin(), diagnosis.problems.end());
  if (diagnosis.architecture) report.remarks = diagnosis.architecture->notes;
  return report;
}

}  // namespace telos::smoothing
