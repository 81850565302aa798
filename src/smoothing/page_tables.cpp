#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <string>
#include <utility>

#include "smoothing/page_parts.h"

namespace telos::smoothing {

namespace {

Cell whole(std::size_t value) {
  return static_cast<std::int64_t>(value);
}

void append(std::vector<Cell>& row, std::initializer_list<Cell> cells) {
  row.insert(row.end(), cells);
}
void append(std::vector<Cell>& row, const Estimate& e) {
  append(row, {number_cell(e.mean), number_cell(e.error)});
}

/// A column and the column of its standard error.
void add_with_error(std::vector<Column>& columns, const std::string& name, const std::string& definition,
                    int digits = 4) {
  columns.push_back({name, "", definition, digits});
  columns.push_back({name + " ±", "", "standard error over windows", 2});
}

struct Tally {
  std::size_t smooth = 0, sharpen = 0, mixed = 0, non_normal = 0, null = 0, invalid = 0;
};
Tally tally(const std::vector<HeadSpectrum>& heads) {
  Tally t;
  for (const HeadSpectrum& head : heads) {
    t.smooth += head.tendency == HeadTendency::kSmooth;
    t.sharpen += head.tendency == HeadTendency::kSharpen;
    t.mixed += head.tendency == HeadTendency::kMixed;
    t.null += head.tendency == HeadTendency::kNearNull;
    t.invalid += head.tendency == HeadTendency::kInvalid;
    t.non_normal += head.valid() && head.non_normal;
  }
  return t;
}

/// A layer's remarks, the most telling first.
std::string note_on(const SiteSpectrum& site) {
  std::vector<std::string> parts;
  if (!site.problems.empty()) parts.push_back("skipped: " + site.problems.front());
  const Tally t = tally(site.heads);
  if (t.invalid > 0) parts.push_back(count_of(t.invalid, "head invalid", "heads invalid"));
  if (t.null > 0) parts.push_back(std::to_string(t.null) + " near-null");
  if (!site.self_map) parts.push_back("cross attention: σ only");
  if (site.negative_gain_share > 0.05) parts.push_back(percent(site.negative_gain_share) + " of γ negative");
  // In wide models nearly every head is far from normal; then it is no remark.
  if (t.non_normal > 0 && 2 * t.non_normal < site.heads.size())
    parts.push_back(std::to_string(t.non_normal) + " non-normal");
  if (site.repeats > 1) parts.push_back("weights used ×" + std::to_string(site.repeats));
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::string strongest_note(const SublayerMeasures& sublayer) {
  const HeadMeasures* strongest = nullptr;
  for (const HeadMeasures& head : sublayer.heads)
    if (decisive(head.gain) &&
        (strongest == nullptr || std::abs(head.gain.mean) > std::abs(strongest->gain.mean)))
      strongest = &head;
  if (strongest == nullptr) return "";
  return strongest->name + (strongest->gain.mean < 0 ? " smooths " : " sharpens ") +
         plus_minus(strongest->gain, true);
}

std::vector<std::size_t> sites_of(const SmoothingDiagnosis& d) {
  return d.architecture ? site_of_layer(*d.architecture) : std::vector<std::size_t>{};
}

const SiteSpectrum* site_at(const SmoothingDiagnosis& d, const std::vector<std::size_t>& sites,
                            std::size_t layer) {
  return d.spectra && layer < sites.size() ? &d.spectra->sites[sites[layer]] : nullptr;
}

Table weights_layers(const WeightSpectra& spectra) {
  Table t{.id = "layers",
          .title = "Attention layers by their weights",
          .caption = "Counts are heads by tendency of their weights. Definitions below.",
          .columns = {{"layer", "", "attention site, counted from 0"},
                      {"ρ(I+H_Σ)", "", "growth of the mean token by attention"},
                      {"tr H_Σ", "", "trace of the sum of heads"},
                      {"σ_1", "", "largest over heads of ‖H‖₂"},
                      {"smooth", "",
                       "heads with 90 % of their |h|-weight in the smooth zone (pre-norm: at Re h > 0)"},
                      {"sharpen", "", "heads with 90 % of it in the sharp zone (pre-norm: at Re h < 0)"},
                      {"mixed", "", "heads with neither"},
                      {"note", "", ""}},
          .rows = {},
          .in_terminal = true};
  for (const SiteSpectrum& site : spectra.sites) {
    const Tally n = tally(site.heads);
    double sigma = kNaN;
    for (const HeadSpectrum& head : site.heads)
      if (!(head.sigma_max <= sigma) && !std::isnan(head.sigma_max)) sigma = head.sigma_max;
    t.rows.push_back({site.label, number_cell(site.sum.growth), number_cell(site.sum.trace),
                      number_cell(sigma), whole(n.smooth), whole(n.sharpen), whole(n.mixed), note_on(site)});
  }
  return t;
}

Table measured_layers(const SmoothingDiagnosis& d) {
  const TraceMeasures& m = *d.measures;
  const std::vector<std::size_t> sites = sites_of(d);
  Table t{.id = "layers",
          .title = "Layers, measured",
          .caption =
              "Row \"input\" is the residual stream before layer 0, row l the stream after layer l. Gain: "
              "attention's "
              "first-order change of the varying energy. Counts: heads by tendency of their weights.",
          .columns = {{"layer", "", "counted from 0"},
                      {"cos", "", "mean cosine, all tokens", 3},
                      {"cos w/o", "", "mean cosine without " + m.without_text, 3},
                      {"hfc/lfc", "", "‖PX‖/‖JX‖, all tokens", 3},
                      {"srank", "", "stable rank, all tokens", 3},
                      {"gain", "", "attention's first-order change of ln ‖PX‖: Σ_h g_h", 3},
                      {"mean", "", "the same of ln ‖m‖, m the mean token", 3}},
          .rows = {},
          .in_terminal = true};
  if (d.spectra)
    for (const char* name : {"smooth", "sharpen", "mixed"})
      t.columns.push_back({name, "", "heads by their weights"});
  t.columns.push_back({"note", "", "the head with the strongest contribution, and what is unusual"});
  for (std::size_t l = 0; l <= m.layers; ++l) {
    const DepthMeasures& at = m.depth[l];
    std::vector<Cell> row = {l == 0 ? std::string("input") : std::to_string(l - 1)};
    append(row, {number_cell(at.all.cos_mean.mean), number_cell(at.without.cos_mean.mean),
                 number_cell(at.all.hfc_lfc.mean), number_cell(at.all.stable_rank.mean)});
    const bool attention = l > 0 && l <= m.sublayers.size();
    append(row, {attention ? number_cell(m.sublayers[l - 1].gain.mean) : Cell{},
                 attention ? number_cell(m.sublayers[l - 1].mean_gain.mean) : Cell{}});
    const SiteSpectrum* site = l > 0 ? site_at(d, sites, l - 1) : nullptr;
    if (d.spectra) {
      if (site != nullptr && site->problems.empty()) {
        const Tally n = tally(site->heads);
        append(row, {whole(n.smooth), whole(n.sharpen), whole(n.mixed)});
      } else {
        append(row, {Cell{}, Cell{}, Cell{}});
      }
    }
    std::string note = attention ? strongest_note(m.sublayers[l - 1]) : "";
    if (site != nullptr)
      if (const std::string more = note_on(*site); !more.empty()) note += (note.empty() ? "" : ", ") + more;
    row.push_back(note);
    t.rows.push_back(std::move(row));
  }
  return t;
}

}  // namespace

bool decisive(const Estimate& gain) {
  return std::isfinite(gain.error) ? std::abs(gain.mean) > sigmas(gain.windows) * gain.error
                                   : std::isfinite(gain.mean);
}

std::vector<RankedHead> ranked_heads(const TraceMeasures& measures) {
  std::vector<RankedHead> out;
  for (std::size_t l = 0; l < measures.sublayers.size(); ++l)
    for (const HeadMeasures& head : measures.sublayers[l].heads)
      if (decisive(head.gain)) out.push_back({head.name, l, head.gain});
  std::stable_sort(out.begin(), out.end(),
                   [](const RankedHead& a, const RankedHead& b) { return a.gain.mean < b.gain.mean; });
  return out;
}

Table layers_table(const SmoothingDiagnosis& d) {
  return d.measures ? measured_layers(d) : weights_layers(*d.spectra);
}

Table layer_details_table(const SmoothingDiagnosis& d) {
  Table t{
      .id = "layer_details",
      .title = "Everything measured a layer",
      .caption = "Attention sublayer of each layer: from its weights, and on the text where there is one.",
      .columns = {{"layer", "", "counted from 0"},
                  {"negative γ", "", "share of γ_i < 0; not gauge-invariant"},
                  {"‖c‖", "", "constant of attention"},
                  {"ρ(I+H_Σ)", "", "growth of the mean token"},
                  {"max Re H_Σ", "", ""},
                  {"min Re H_Σ", "", ""},
                  {"tr H_Σ", "", ""},
                  {"residual", "", "of the leading eigenpair, 0 = solved directly", 2},
                  {"method", "", "how H_Σ was solved"}},
      .rows = {}};
  if (d.measures)
    for (const auto& [name, definition] : {std::pair{"gain", "Σ_h g_h"},
                                           {"HFC gain", "ln(‖PX'‖/‖PX‖), attention"},
                                           {"DC gain", "ln(‖m'‖/‖m‖), attention"},
                                           {"rest HFC gain", "the same, MLP and norms"},
                                           {"rest DC gain", "the same, MLP and norms"},
                                           {"‖c‖/‖m‖", "constant against the mean token"},
                                           {"s", "median 1/σ of tokens"}})
      add_with_error(t.columns, name, definition);
  if (d.measures) {
    t.columns.push_back({"L1", "", "largest relative residual", 2});
    t.columns.push_back({"L2", "", "largest relative residual", 2});
  }
  const std::vector<std::size_t> sites = sites_of(d);
  const std::size_t layers = d.measures ? d.measures->layers : d.spectra->sites.size();
  for (std::size_t l = 0; l < layers; ++l) {
    const SiteSpectrum* site = d.measures ? site_at(d, sites, l) : &d.spectra->sites[l];
    std::vector<Cell> row = {d.measures || site == nullptr ? std::to_string(l) : site->label};
    if (site != nullptr)
      append(row, {number_cell(site->negative_gain_share), number_cell(site->constant_norm),
                   number_cell(site->sum.growth), number_cell(site->sum.max_re),
                   number_cell(site->sum.min_re), number_cell(site->sum.trace),
                   site->sum.method.empty() ? Cell{} : number_cell(site->sum.residual), site->sum.method});
    else
      append(row, {Cell{}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}, Cell{}});
    if (d.measures && l < d.measures->sublayers.size()) {
      const SublayerMeasures& s = d.measures->sublayers[l];
      for (const Estimate* e : {&s.gain, &s.hfc_log_gain, &s.dc_log_gain, &s.rest_hfc_log_gain,
                                &s.rest_dc_log_gain, &s.constant_ratio, &s.scale})
        append(row, *e);
      append(row, {number_cell(s.law1), number_cell(s.law2)});
    }
    row.resize(t.columns.size());
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table heads_table(const WeightSpectra& spectra) {
  Table t{.id = "heads",
          .title = "Heads by their weights",
          .caption = spectra.fold_text + "; " + spectra.precision +
                     ". Shares are of |h|-weight, zones at token scale 1.",
          .columns = {{"layer", "", "attention site"},
                      {"head", "", "layer.head, both from 0"},
                      {"ρ", "", "largest |h|"},
                      {"max Re", "", "largest Re h"},
                      {"min Re", "", "smallest Re h"},
                      {"Re<0", "", "share with Re h < 0", 3},
                      {"sharp", "", "share with |h + ½| ≤ ½", 3},
                      {"smooth", "", "share with |h + 1| ≥ 1", 3},
                      {"depends", "", "share with neither", 3},
                      {"copy", "", "Σ Re h / Σ|h|", 3},
                      {"σ_1", "", "‖H‖₂"},
                      {"trace", "", "tr H = Σ h"},
                      {"srank", "", "‖H‖_F²/σ_1²", 3},
                      {"henrici", "", "departure from normality", 3},
                      {"asym", "", "‖H − Hᵀ‖_F/(2‖H‖_F)", 3},
                      {"tendency", "", "what follows from the weights alone"},
                      {"note", "", ""}},
          .rows = {}};
  const bool conditions = std::ranges::any_of(spectra.sites, [](const SiteSpectrum& site) {
    return std::ranges::any_of(site.heads, [](const HeadSpectrum& h) { return !h.condition.empty(); });
  });
  if (conditions) t.columns.push_back({"κ", "", "largest condition number of an eigenvalue", 3});
  for (const SiteSpectrum& site : spectra.sites)
    for (const HeadSpectrum& h : site.heads) {
      t.rows.push_back({site.label, h.name, number_cell(h.rho), number_cell(h.max_re), number_cell(h.min_re),
                        number_cell(h.negative_share), number_cell(h.sharp_share),
                        number_cell(h.smooth_share), number_cell(h.depends_share), number_cell(h.copy_score),
                        number_cell(h.sigma_max), number_cell(h.trace), number_cell(h.stable_rank),
                        number_cell(h.henrici), number_cell(h.asymmetry), std::string(to_string(h.tendency)),
                        h.valid() ? std::string(h.non_normal ? "non-normal" : "") : h.problem});
      if (conditions)
        t.rows.back().push_back(h.condition.empty() ? Cell{} : number_cell(std::ranges::max(h.condition)));
    }
  return t;
}

Table contributions_table(const TraceMeasures& measures) {
  Table t{.id = "contributions",
          .title = "Heads on the text",
          .caption =
              "Exact signed contribution to the varying energy, and the attention matrices' spectra; mean "
              "and standard "
              "error over windows.",
          .columns = {{"layer", "", "counted from 0"}, {"head", "", "layer.head, both from 0"}},
          .rows = {}};
  add_with_error(t.columns, "gain", "g_h = ⟨Y, D_h⟩/‖Y‖²; negative smooths");
  add_with_error(t.columns, "mean gain", "⟨m, δ_h⟩/‖m‖², the head's part in the growth of the mean token");
  for (const auto& [name, definition] : {std::pair{"a", "smallest Re λ of A"},
                                         {"|λ_2|", "second modulus"},
                                         {"σ_max(PAP)", "largest one-step gain"},
                                         {"entropy", "of rows of A, nats"},
                                         {"sink", "mean attention to token 0"},
                                         {"srank A", "stable rank of A"}})
    add_with_error(t.columns, name, definition);
  t.columns.push_back({"sharp at a", "", "share of |h|-weight with |1 + sh| < |1 + a·sh|", 3});
  for (std::size_t l = 0; l < measures.sublayers.size(); ++l)
    for (const HeadMeasures& head : measures.sublayers[l].heads) {
      std::vector<Cell> row = {whole(l), head.name};
      for (const Estimate* e : {&head.gain, &head.mean_gain, &head.smallest_real, &head.second_modulus,
                                &head.sigma_max_pap, &head.row_entropy, &head.sink_mass, &head.stable_rank})
        append(row, *e);
      append(row, {number_cell(head.sharp_share)});
      t.rows.push_back(std::move(row));
    }
  return t;
}

Table depth_table(const TraceMeasures& measures) {
  static constexpr std::pair<const char*, Estimate TokenEstimates::*> kFields[] = {
      {"hfc_lfc", &TokenEstimates::hfc_lfc},         {"hfc_frac", &TokenEstimates::hfc_frac},
      {"cos_mean", &TokenEstimates::cos_mean},       {"cos_abs_incl", &TokenEstimates::cos_abs_incl},
      {"res_1inf", &TokenEstimates::res_1inf},       {"rank1_res", &TokenEstimates::rank1_res},
      {"stable_rank", &TokenEstimates::stable_rank}, {"eff_rank", &TokenEstimates::eff_rank},
      {"part_ratio", &TokenEstimates::part_ratio},   {"dirichlet", &TokenEstimates::dirichlet},
      {"log_norm", &TokenEstimates::log_norm},       {"max_norm_share", &TokenEstimates::max_norm_share}};
  Table t{
      .id = "depth",
      .title = "Every measure against depth",
      .caption = measures.options_text + ". Depth l: the stream before layer l; depth " +
                 std::to_string(measures.layers) + ": after the last layer.",
      .columns = {{"depth", "", "layers passed"}, {"tokens", "", "all, or without " + measures.without_text}},
      .rows = {}};
  for (const auto& [name, field] : kFields) add_with_error(t.columns, name, "see definitions");
  for (std::size_t l = 0; l < measures.depth.size(); ++l)
    for (const bool all : {true, false}) {
      std::vector<Cell> row = {whole(l), std::string(all ? "all" : "without")};
      const TokenEstimates& estimates = all ? measures.depth[l].all : measures.depth[l].without;
      for (const auto& [name, field] : kFields) append(row, estimates.*field);
      t.rows.push_back(std::move(row));
    }
  return t;
}

}  // namespace telos::smoothing
