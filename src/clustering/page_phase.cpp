#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "clustering/page_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

// The page of a phase diagram: when random systems on the sphere are together, by β.

namespace telos::clustering {
namespace {

std::string number(double value) {
  return format_number(value, 3);
}

/// The first time at which at least `part` of the systems are together; NaN if there is none.
double time_of_share(const PhaseDiagram& diagram, std::size_t beta, double part) {
  for (std::size_t t = 0; t < diagram.time.size(); ++t)
    if (diagram.share[t][beta] >= part) return diagram.time[t];
  return std::numeric_limits<double>::quiet_NaN();
}

/// Every so-manyth index, the last among them.
std::vector<std::size_t> thinned(std::size_t n, std::size_t most) {
  const std::size_t every = (n + most - 1) / most;
  std::vector<std::size_t> kept;
  for (std::size_t i = (n - 1) % every; i < n; i += every) kept.push_back(i);
  return kept;
}

Figure phase_figure(const PhaseDiagram& diagram, const std::string& title) {
  const std::vector<std::size_t> betas = thinned(diagram.beta.size(), 90),
                                 times = thinned(diagram.time.size(), 50);
  std::vector<std::string> rows, columns;
  std::vector<std::vector<double>> values;
  for (const std::size_t b : betas) columns.push_back(number(diagram.beta[b]));
  for (auto t = times.rbegin(); t != times.rend(); ++t) {
    rows.push_back(number(diagram.time[*t]));
    values.emplace_back();
    for (const std::size_t b : betas) values.back().push_back(diagram.share[*t][b]);
  }
  return heat_map(
      {.id = "phase",
       .title = title,
       .caption = fmt::format("Share of systems with all ⟨x_i, x_j⟩ ≥ 1 − {}, by β and time. After "
                              "arXiv 2312.10794.",
                              format_number(diagram.spec.epsilon)),
       .alt = "Share of systems in one cluster by β and time",
       .x_label = "β",
       .y_label = "time"},
      rows, columns, values, "share", false);
}

Figure half_time_figure(const PhaseDiagram& diagram, const std::string& title) {
  Series half{.name = "half of the systems", .x = {}, .y = {}, .low = {}, .high = {}};
  Series theory{
      .name = "theory, orthonormal tokens", .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (std::size_t b = 0; b < diagram.beta.size(); ++b) {
    const double middle = time_of_share(diagram, b, 0.5), late = time_of_share(diagram, b, 0.9);
    if (!std::isnan(middle)) {
      half.x.push_back(diagram.beta[b]);
      half.y.push_back(middle);
      half.low.push_back(time_of_share(diagram, b, 0.1));
      half.high.push_back(std::isnan(late) ? diagram.time.back() : late);
    }
    if (diagram.theory[b] <= diagram.time.back()) {
      theory.x.push_back(diagram.beta[b]);
      theory.y.push_back(diagram.theory[b]);
    }
  }
  std::vector<Series> series;
  for (Series* s : {&half, &theory})
    if (!s->x.empty()) series.push_back(std::move(*s));
  return line_chart(
      {.id = "half-time",
       .title = title,
       .caption = "Solid: the time at which half of the systems are together, band: 10 % to 90 % (cut "
                  "at the last time). Dashed: γ_β(t) = 1 − ε for tokens that start orthonormal.",
       .alt = "Time until tokens are together against β",
       .x_label = "β",
       .y_label = "time"},
      series);
}

Table phase_table(const PhaseDiagram& diagram) {
  Table t{.id = "betas",
          .title = "By β",
          .caption =
              "Times at which 10 %, 50 % and 90 % of the systems are together; – where that many never are.",
          .columns = {{"β", "", ""},
                      {"10 %", "", "time"},
                      {"50 %", "", "time"},
                      {"90 %", "", "time"},
                      {"theory", "", "time at which γ_β = 1 − ε for tokens that start orthonormal"},
                      {"together", "", "share at the last time", 3}},
          .rows = {},
          .in_terminal = true};
  for (std::size_t b = 0; b < diagram.beta.size(); ++b) {
    std::vector<Cell> row = {diagram.beta[b]};
    for (const double part : {0.1, 0.5, 0.9}) row.push_back(number_cell(time_of_share(diagram, b, part)));
    row.push_back(number_cell(diagram.theory[b]));
    row.push_back(number_cell(diagram.share.back()[b]));
    t.rows.push_back(std::move(row));
  }
  return t;
}

std::string phase_sentence(const PhaseDiagram& diagram) {
  std::size_t reached = 0;  // β for which half of the systems are together, from the smallest on
  while (reached < diagram.beta.size() && !std::isnan(time_of_share(diagram, reached, 0.5))) ++reached;
  const std::string end = number(diagram.time.back());
  const auto beta = [&](std::size_t b) { return number(diagram.beta[b]); };
  if (reached == 0) return fmt::format("At β = {}, most systems are not together by time {}.", beta(0), end);
  std::string sentence = fmt::format("At β = {}, half of the systems are together by time {}", beta(0),
                                     number(time_of_share(diagram, 0, 0.5)));
  if (reached < diagram.beta.size())
    return sentence + fmt::format("; from β = {} on, not by time {}.", beta(reached), end);
  if (reached > 1)
    sentence += fmt::format("; at β = {}, by time {}", beta(reached - 1),
                            number(time_of_share(diagram, reached - 1, 0.5)));
  return sentence + ".";
}

/// Random tokens against those of the theory, at the smallest β.
std::string theory_sentence(const PhaseDiagram& diagram) {
  const double half = time_of_share(diagram, 0, 0.5), theory = diagram.theory[0];
  const std::string where = "at β = " + number(diagram.beta[0]);
  if (std::isnan(half))
    return fmt::format("Tokens that start orthonormal would be together at time {}, {}", number(theory),
                       where);
  return fmt::format("Half of the random systems need {} times what orthonormal tokens need, {}",
                     number(half / theory), where);
}

}  // namespace

Report phase_report(const PhaseDiagram& diagram, const PageContext& context) {
  const PhaseSpec& spec = diagram.spec;
  Report report =
      begin_report(context, lab_definitions({spec.unnormalised ? "USA" : "SA", "together", "γ(t)"}));
  report.facts.push_back(
      {"systems",
       fmt::format("{} · {} tokens uniform on the sphere · d {} · β {} to {} ({}) · seed {}",
                   spec.unnormalised ? "usa" : "sa", spec.tokens, spec.dimension,
                   format_number(spec.beta_from), format_number(spec.beta_to), spec.betas, spec.seed),
       format_seconds(diagram.seconds)});
  const std::string sentence = phase_sentence(diagram);
  report.verdict = {
      sentence, fmt::format("simulated, {} a β", count_of(spec.systems, "system", "systems")), {}};
  const std::size_t last = diagram.beta.size() - 1;
  for (const std::size_t b : {std::size_t{0}, last}) {
    if (b == last && last == 0 && !report.keys.empty()) break;
    const double half = time_of_share(diagram, b, 0.5);
    report.keys.push_back(
        {fmt::format("β = {}", number(diagram.beta[b])), percent(diagram.share.back()[b]),
         fmt::format("together by time {} (half {}; theory for orthonormal tokens {})",
                     number(diagram.time.back()), std::isnan(half) ? "never" : "at " + number(half),
                     number(diagram.theory[b])),
         "see definitions"});
  }
  report.lead.push_back(phase_figure(diagram, sentence.substr(0, sentence.size() - 1)));
  Section section{.id = "times", .title = theory_sentence(diagram)};
  Figure half = half_time_figure(diagram, section.title);
  if (half.marks > 0) section.figures.push_back(std::move(half));
  if (spec.tokens > spec.dimension)
    section.paragraphs.push_back(fmt::format(
        "{} tokens in dimension {} cannot start orthonormal: the theory is what high dimensions approach.",
        spec.tokens, spec.dimension));
  section.tables.push_back(phase_table(diagram));
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::clustering
