#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <variant>

#include "base/limits.h"
#include "smoothing/page_parts.h"
#include "telos/report/charts.h"

namespace telos::smoothing {

namespace {

constexpr std::pair<const char*, double TokenMeasures::*> kMeasures[] = {
    {"cos_mean", &TokenMeasures::cos_mean},     {"hfc_lfc", &TokenMeasures::hfc_lfc},
    {"hfc_frac", &TokenMeasures::hfc_frac},     {"stable_rank", &TokenMeasures::stable_rank},
    {"eff_rank", &TokenMeasures::eff_rank},     {"rank1_res", &TokenMeasures::rank1_res},
    {"res_1inf", &TokenMeasures::res_1inf},     {"cos_abs_incl", &TokenMeasures::cos_abs_incl},
    {"part_ratio", &TokenMeasures::part_ratio}, {"dirichlet", &TokenMeasures::dirichlet},
    {"log_norm", &TokenMeasures::log_norm},     {"max_norm_share", &TokenMeasures::max_norm_share}};

Estimate at(const SimulationResult& result, const LayerRecord& record, double TokenMeasures::*field) {
  return {record.mean.*field, record.standard_error.*field, result.runs};
}

std::string system_line(const SimulationSpec& spec) {
  if (const auto* linear = std::get_if<LinearSystem>(&spec.system))
    return fmt::format("X ← {}X + A X H · {} tokens · d {} · {}",
                       linear->residual == 1 ? "" : format_number(linear->residual) + " ",
                       linear->tokens.rows(), linear->tokens.cols(),
                       count_of(spec.layers, "layer", "layers"));
  const auto& stack = std::get<TransformerSystem>(spec.system);
  return fmt::format(
      "random attention stack · {} tokens · d {} · {} heads · {} spectrum · {} norm · {} mask · {}",
      stack.tokens, stack.width, stack.heads, to_string(stack.spectrum), to_string(stack.norm),
      to_string(stack.mask), count_of(spec.layers, "layer", "layers"));
}

/// A rate of 0 comes out of eigenvalues as some 1e-16.
double without_rounding(double rate) {
  return std::abs(rate) < 1e-12 ? 0 : rate;
}

std::string sentence_of(const SimulationResult& result) {
  if (result.prediction && result.prediction->one_token)
    return "One token comes to dominate; the mean cosine says nothing then.";
  const LayerRecord &from = result.records.front(), &to = result.records.back();
  const TokenMeasures &first = from.mean, &last = to.mean;
  if (first.rows < 2) return "A single token has no other to grow alike with.";
  if (last.log_norm == -kInfinity) return "The tokens vanish.";
  const auto error_of = [](const LayerRecord& r) {
    return std::isnan(r.standard_error.cos_mean) ? 0 : r.standard_error.cos_mean;
  };
  const double change = last.cos_mean - first.cos_mean;
  const double ratio = std::log(last.hfc_lfc) - std::log(first.hfc_lfc);
  const bool certain = std::abs(change) > kSigmas * std::hypot(error_of(from), error_of(to));
  if (!(std::abs(change) > kCosineChange || std::abs(ratio) > kRatioChange))
    return last.cos_mean > kCollapsed ? "Tokens are alike from the first layer on and stay so."
                                      : "Tokens keep their differences.";
  if (ratio > 0 && change < 0 && certain) return "Tokens grow apart.";
  if (last.cos_mean > kCollapsed) return "Tokens collapse to one direction.";
  if (std::abs(change) > kCosineChange && !certain)
    return fmt::format("Tokens may grow {}, but the runs differ too much to tell.",
                       change > 0 ? "alike" : "apart");
  return change > kCosineChange ? "Tokens grow alike, but do not collapse."
                                : "Tokens keep their differences.";
}

Verdict verdict_of(const SimulationResult& result) {
  Verdict out{sentence_of(result), fmt::format("simulated, {}", count_of(result.runs, "run", "runs")), {}};
  if (!result.prediction) return out;
  const ModeAnalysis& p = *result.prediction;
  out.basis += ", with the prediction from eigenvalues";
  out.evidence.push_back(
      fmt::format("predicted regime: {} (constant modes grow by {} a layer, varying ones by {})",
                  to_string(p.regime), format_number(p.dc), format_number(p.hf)));
  out.evidence.push_back(fmt::format("predicted limit: rank {}, mean cosine {}, HFC/LFC {}", p.rank,
                                     format_number(p.cos_mean), format_number(p.hfc_lfc)));
  out.evidence.push_back(
      fmt::format("predicted layers until 1 % is left of what does not belong to the limit: {}",
                  format_number(p.layers_to_1pct, 3)));
  return out;
}

Figure record_figure(const SimulationResult& result, ChartText text, double TokenMeasures::*field,
                     double limit) {
  Series measured{.name = "simulated", .x = {}, .y = {}, .low = {}, .high = {}};
  const bool band = result.runs > 1;
  for (const LayerRecord& record : result.records) {
    const Estimate e = at(result, record, field);
    if (!std::isfinite(e.mean) || (text.log_y && !(e.mean > 0))) continue;
    measured.x.push_back(static_cast<double>(record.layer));
    measured.y.push_back(e.mean);
    if (!band) continue;
    const double half = std::isfinite(e.error) ? kSigmas * e.error : 0;
    measured.low.push_back(text.log_y ? std::max(e.mean - half, 1e-3 * e.mean) : e.mean - half);
    measured.high.push_back(e.mean + half);
  }
  std::vector<Series> series = {measured};
  if (std::isfinite(limit) && (!text.log_y || limit > 0) && measured.x.size() > 1)
    series.push_back({.name = "limit by theory",
                      .x = {measured.x.front(), measured.x.back()},
                      .y = {limit, limit},
                      .low = {},
                      .high = {},
                      .dashed = true});
  return line_chart(text, series);
}

Table records_table(const SimulationResult& result) {
  Table t{.id = "records",
          .title = "Every measure, layer by layer",
          .caption = "Mean over runs and standard error.",
          .columns = {{"layer", "", "layers passed"}},
          .rows = {}};
  for (const auto& [name, field] : kMeasures) {
    t.columns.push_back({name, "", "see definitions"});
    if (result.runs > 1) t.columns.push_back({std::string(name) + " ±", "", "standard error over runs", 2});
  }
  for (const LayerRecord& record : result.records) {
    std::vector<Cell> row = {static_cast<std::int64_t>(record.layer)};
    for (const auto& [name, field] : kMeasures) {
      row.push_back(number_cell(record.mean.*field));
      if (result.runs > 1) row.push_back(number_cell(record.standard_error.*field));
    }
    t.rows.push_back(std::move(row));
  }
  return t;
}

/// At most eleven layers, evenly spaced, for the terminal.
Table short_table(const SimulationResult& result) {
  Table t{.id = "layers",
          .title = "Layer by layer",
          .caption = "At most eleven layers; all of them in the table of records.",
          .columns = {{"layer", "", "layers passed"},
                      {"cos", "", "mean cosine", 4},
                      {"hfc/lfc", "", "‖PX‖/‖JX‖", 4},
                      {"srank", "", "stable rank", 4},
                      {"ln‖X‖", "", "logarithm of the Frobenius norm", 4}},
          .rows = {},
          .in_terminal = true};
  const std::size_t last = result.records.size() - 1, shown = std::min<std::size_t>(last, 10);
  for (std::size_t i = 0; i <= shown; ++i) {
    const LayerRecord& r = result.records[shown == 0 ? 0 : i * last / shown];
    std::vector<Cell> row = {static_cast<std::int64_t>(r.layer)};
    for (const double v : {r.mean.cos_mean, r.mean.hfc_lfc, r.mean.stable_rank, r.mean.log_norm})
      row.push_back(number_cell(v));
    t.rows.push_back(std::move(row));
  }
  return t;
}

}  // namespace

Report simulate_report(const SimulationSpec& spec, const SimulationResult& result,
                       const PageContext& context) {
  Report report{.command = context.command, .subject = context.subject, .facts = context.facts};
  report.provenance = context.provenance;
  report.facts.push_back({"system", system_line(spec), count_of(result.runs, "run", "runs")});
  report.verdict = verdict_of(result);
  const LayerRecord &first = result.records.front(), &last = result.records.back();
  const double limit_cos = result.prediction ? result.prediction->cos_mean : kNaN;
  const double limit_ratio = result.prediction ? result.prediction->hfc_lfc : kNaN;
  const std::string note = fmt::format("(layer {} → {})", first.layer, last.layer);
  report.keys.push_back(
      {"mean cosine",
       fixed(first.mean.cos_mean, 3) + " → " + plus_minus(at(result, last, &TokenMeasures::cos_mean)), note,
       "Mean of cos(x_i, x_j) over i ≠ j"});
  report.keys.push_back({"HFC/LFC",
                         format_number(first.mean.hfc_lfc) + " → " + format_number(last.mean.hfc_lfc), note,
                         "‖PX‖_F/‖JX‖_F"});
  report.keys.push_back(
      {"stable rank",
       format_number(first.mean.stable_rank, 3) + " → " + format_number(last.mean.stable_rank, 3), note,
       "‖X‖_F²/σ_1²"});
  if (result.prediction)
    report.keys.push_back({"rate", format_number(without_rounding(result.prediction->log_rate), 3),
                           "(predicted change of ln(HFC/LFC) a layer)",
                           "ln(F/D): largest |μ| of varying modes over that of constant ones"});

  report.lead.push_back(record_figure(
      result,
      {.id = "cosine",
       .title = report.verdict.sentence.substr(0, report.verdict.sentence.size() - 1),
       .caption = "Mean cosine between tokens; solid: simulated (band: two standard errors over "
                  "runs), dashed: limit by theory. Source: arXiv 2401.04301.",
       .alt = "Mean cosine against layers",
       .x_label = "layers",
       .y_label = "mean cosine"},
      &TokenMeasures::cos_mean, limit_cos));
  Section section{.id = "layers",
                  .title = fmt::format("HFC/LFC goes from {} to {}", format_number(first.mean.hfc_lfc, 3),
                                       format_number(last.mean.hfc_lfc, 3))};
  Figure ratio = record_figure(
      result,
      {.id = "ratio",
       .title = section.title,
       .caption = "‖PX‖_F/‖JX‖_F, P = I − 11ᵀ/n, logarithmic; a straight line is a constant rate.",
       .alt = "HFC/LFC against layers",
       .x_label = "layers",
       .y_label = "HFC/LFC",
       .log_x = false,
       .log_y = true},
      &TokenMeasures::hfc_lfc, limit_ratio);
  if (ratio.marks > 0) section.figures.push_back(std::move(ratio));
  section.tables = {short_table(result), records_table(result)};
  report.sections.push_back(std::move(section));
  report.definitions = smoothing_definitions();
  if (result.prediction) report.remarks = result.prediction->warnings;
  return report;
}

}  // namespace telos::smoothing
