#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "base/limits.h"
#include "bigram/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

// The page of a training run: what was found, how it came to be, and what the rest of the loss consists of.

namespace telos::bigram {
namespace {

std::size_t exact_columns(const TrainResult& r) {
  return static_cast<std::size_t>(
      std::count_if(r.columns.begin(), r.columns.end(), [](const Column& c) { return c.exact; }));
}

double excess_of(const Instance& instance, const TrainResult& r) {
  return r.population - constants(instance).loss_least;
}

std::string found_sentence(const Instance& instance, const TrainResult& r) {
  const std::size_t exact = exact_columns(r), all = r.columns.size();
  const std::string rest =
      fmt::format("the loss is {} above the least", format_number(excess_of(instance, r), 2));
  if (exact == all)
    return fmt::format("Where each of the {} last tokens looks was found exactly; {}.", all, rest);
  return fmt::format("{} of {} last tokens' positions were found exactly; {}.", exact, all, rest);
}

std::string samples_text(std::uint64_t samples) {
  return samples == 0 ? "more than there were" : format_count(samples) + " samples";
}

/// What starting from the other task changed: enough to say "negative transfer" where it hurt.
std::string transfer_sentence(const TrainResult& r, const TrainResult& scratch) {
  if (points_away(r)) return "Negative transfer: what was learned before points away from this task.";
  const std::uint64_t with = r.samples_to_support, without = scratch.samples_to_support;
  if (with == 0 && without == 0)
    return "Neither descent came to all positions: more samples are needed to compare them.";
  if (with == without)
    return fmt::format("Transfer changed nothing: both descents came to all positions after {}.",
                       samples_text(with));
  if (is_negative_transfer(r, scratch))
    return fmt::format("Negative transfer: all positions took {}, from scratch {}.", samples_text(with),
                       samples_text(without));
  return fmt::format("Transfer helped: all positions were found after {}, from scratch {}.",
                     samples_text(with), without == 0 ? "not at all" : "after " + samples_text(without));
}

Table columns_table(const Instance& instance, const TrainResult& r) {
  Table t{.id = "columns",
          .title = "Where each last token looks",
          .caption = "Position (weight).",
          .columns = {{"last token", "", ""},
                      {"found", "", "after rounding, refit and screening"},
                      {"true", "", "q^(k)"},
                      {"exact", "", "see definitions"},
                      {"stable", "", "see definitions"}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t k = 0; k < r.columns.size(); ++k) {
    const Column& c = r.columns[k];
    t.rows.push_back({instance.name(k), positions_text(c.positions, c.weights),
                      positions_text(instance.q[k].positions, instance.q[k].weights),
                      std::string(c.exact ? "yes" : "no"), std::string(c.stable ? "yes" : "no")});
  }
  return t;
}

Table curve_table(const TrainResult& r) {
  Table t{.id = "curves",
          .title = "Course of the run",
          .caption = "",
          .columns = {{"step", "", ""},
                      {"samples", "", ""},
                      {"α_V", "", "see definitions", 6},
                      {"α_A", "", "see definitions", 6},
                      {"cos V", "", "cosine of V − μ1ᵀ and P − μ1ᵀ in ⟨·,·⟩_μ", 6},
                      {"cos A", "", "likewise of A and Q", 6},
                      {"e_V", "", "‖Δ_V‖²_μ"},
                      {"e_A", "", "‖Δ_A‖²_μ"},
                      {"‖V − P‖", "", "see definitions"},
                      {"‖A − Q‖", "", "see definitions"},
                      {"loss", "", "population loss", 7},
                      {"held-out loss", "", "see definitions", 7},
                      {"±", "", "its standard error"},
                      {"product", "", "excess loss, first term"},
                      {"scale", "", "second"},
                      {"attention", "", "third"},
                      {"transitions", "", "fourth"},
                      {"seconds", "s", ""}},
          .rows = {}};
  for (const CurvePoint& p : r.curve) {
    const Signals& s = p.signals;
    t.rows.push_back({whole_cell(p.step), whole_cell(p.samples), s.v, s.a, s.v_cosine, s.a_cosine, s.v_error,
                      s.a_error, s.v_distance, s.a_distance, p.population, number_cell(p.held_out),
                      number_cell(p.held_out_error), p.excess.product, p.excess.values, p.excess.attention,
                      p.excess.transitions, p.seconds});
  }
  return t;
}

template <class Value>
Series series_of(const std::string& name, const TrainResult& r, Value value, bool dashed = false) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}, .dashed = dashed};
  for (const CurvePoint& p : r.curve) {
    s.x.push_back(static_cast<double>(p.samples));
    s.y.push_back(value(p));
  }
  return s;
}

Figure loss_figure(const Instance& instance, const TrainResult& r, const TrainResult* scratch) {
  const double least = constants(instance).loss_least;
  const auto above = [&](const CurvePoint& p) { return p.population - least; };
  const double start = above(r.curve.front()), descended = above(r.curve.back()), end = r.population - least;
  std::vector<Series> series = {
      series_of(scratch != nullptr ? "transferred" : std::string(to_string(r.algorithm)), r, above)};
  if (scratch != nullptr) series.push_back(series_of("from scratch", *scratch, above, true));
  const bool refitted = end != descended;
  if (refitted)
    series.push_back({.name = "after rounding and refit",
                      .x = {static_cast<double>(r.samples)},
                      .y = {end},
                      .low = {},
                      .high = {}});
  std::string title =
      fmt::format("The descent leaves {} of the loss above the least", share_text(descended / start));
  if (refitted) title += fmt::format("; the refit on the positions it found, {}", share_text(end / start));
  return line_chart(
      {.id = "loss",
       .title = title,
       .caption = "Population loss above the least, L − L*. The descent ends where the positions are stable, "
                  "long before V and A have their scale, which the refit finds from fresh samples.",
       .alt = "Excess loss against samples",
       .x_label = "samples",
       .y_label = "L − L*",
       .log_y = true},
      series);
}

Section course_of(const TrainResult& r) {
  Section section{.id = "course", .title = "How the descent went"};
  section.figures.push_back(line_chart(
      {.id = "signals",
       .title = r.mirrored ? "The signals grew to the wrong side, and were turned" : "Signals of V and A",
       .caption = "α_V and α_A; 1 is the truth. See definitions.",
       .alt = "Signals against samples",
       .x_label = "samples",
       .y_label = "signal"},
      {series_of("α_V", r, [](const CurvePoint& p) { return p.signals.v; }),
       series_of("α_A", r, [](const CurvePoint& p) { return p.signals.a; })}));
  section.figures.push_back(
      line_chart({.id = "terms",
                  .title = "What the loss above the least consists of",
                  .caption = "The four named terms; see definitions.",
                  .alt = "Terms of the excess loss against samples",
                  .x_label = "samples",
                  .y_label = "loss",
                  .log_y = true},
                 {series_of("product", r, [](const CurvePoint& p) { return p.excess.product; }),
                  series_of("scale", r, [](const CurvePoint& p) { return p.excess.values; }),
                  series_of("attention", r, [](const CurvePoint& p) { return p.excess.attention; }),
                  series_of("transitions", r, [](const CurvePoint& p) { return p.excess.transitions; })}));
  section.figures.push_back(
      line_chart({.id = "distance",
                  .title = "Distance to the truth",
                  .caption = "‖V − P‖_μ and ‖A − Q‖_μ during the descent, before rounding and refit.",
                  .alt = "Distances against samples",
                  .x_label = "samples",
                  .y_label = "distance",
                  .log_y = true},
                 {series_of("V to P", r, [](const CurvePoint& p) { return p.signals.v_distance; }),
                  series_of("A to Q", r, [](const CurvePoint& p) { return p.signals.a_distance; })}));
  section.tables = {curve_table(r)};
  return section;
}

Section found_by(const Instance& instance, const TrainResult& r) {
  Section section{.id = "found", .title = found_sentence(instance, r)};
  if (instance.tokens() <= kMostShown) {
    section.figures.push_back(transitions_figure(instance, r.model.v, "v", "V, learned",
                                                 "Weight of output (row) by attended token (column)."));
    section.figures.push_back(
        transitions_figure(instance, instance.p, "p", "P, the truth", "P(output|attended)."));
    NamedColumns learned{"a", {}};
    for (const Column& c : r.columns) learned.columns.push_back({c.positions, c.weights});
    section.figures.push_back(attention_figure(instance, learned, "a", "A, learned",
                                               "Attention at the positions that were found."));
    section.figures.push_back(attention_figure(instance, {"q", instance.q}, "q", "Q, the truth", "q^(k)."));
  }
  section.tables = {columns_table(instance, r)};
  return section;
}

/// "η 0.02", or the rates of V and A where they are given or an algorithm has its own.
std::string rates_text(const TrainOptions& options) {
  const bool own = options.algorithm == Algorithm::kSgd || options.algorithm == Algorithm::kSoftmax;
  if (!own) return "η " + format_number(options.eta);
  const auto text = [](const std::optional<double>& rate) {
    return rate ? format_number(*rate) : std::string("preset");
  };
  return fmt::format("η of V {}, of A {}", text(options.eta_v), text(options.eta_a));
}

}  // namespace

Report train_report(const Instance& instance, const TrainOptions& options, const TrainResult& r,
                    const TrainResult* scratch, const PageContext& context) {
  Report report =
      begin_report(instance, context,
                   {"sparse contextual bigram", "linear transformer", "α_V, α_A", "‖V − P‖, ‖A − Q‖",
                    "excess loss", "least loss", "mirror solution", "exact", "stable", "held-out loss"});
  report.facts.push_back({"training",
                          fmt::format("{} · batch {} · {} · seed {}", to_string(options.algorithm),
                                      format_count(options.batch), rates_text(options), options.seed),
                          fmt::format("{} steps · {} samples · {} s", format_count(r.steps),
                                      format_count(r.samples), fixed(r.seconds, 1))});
  const Constants c = constants(instance);
  report.verdict = {scratch != nullptr ? transfer_sentence(r, *scratch) : found_sentence(instance, r),
                    "trained on samples; the truth is known",
                    {}};
  if (scratch != nullptr) report.verdict.evidence.push_back(found_sentence(instance, r));
  if (r.screened_in > 0)
    report.verdict.evidence.push_back(
        fmt::format("screening added {}", count_of(r.screened_in, "position", "positions")));
  report.verdict.evidence.insert(report.verdict.evidence.end(), r.notes.begin(), r.notes.end());
  report.keys = {
      {"loss above the least", format_number(r.population - c.loss_least, 3),
       fmt::format("(start {})", format_number(c.loss_start - c.loss_least, 3)),
       "see definitions: excess loss"},
      {"held-out loss", plus_minus(r.held_out, r.held_out_error),
       fmt::format("(least {})", format_number(c.loss_least, 5)), "see definitions"},
      {"‖V − P‖", format_number(r.signals.v_distance, 3), "", "see definitions"},
      {"‖A − Q‖", format_number(r.signals.a_distance, 3), "", "see definitions"},
      {"samples to all positions",
       r.samples_to_support == 0 ? "not reached" : format_count(r.samples_to_support), "(of the descent)",
       "After which the positions of every last token were exact, and stayed so."}};
  if (r.curve.size() > 1) report.lead.push_back(loss_figure(instance, r, scratch));
  report.sections.push_back(found_by(instance, r));
  if (r.curve.size() > 1) report.sections.push_back(course_of(r));
  return report;
}

}  // namespace telos::bigram
