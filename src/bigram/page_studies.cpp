#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bigram/page_parts.h"
#include "telos/bigram/studies.h"

namespace telos::bigram {
namespace {

const char* yes_or_no(bool holds) {
  return holds ? "yes" : "no";
}

Report begin_study_report(const PageContext& context) {
  return {.command = context.command,
          .subject = context.subject,
          .facts = context.facts,
          .provenance = context.provenance};
}

/// "n 6 · T 8 · d 10".
std::string setting_line(const StudyInfo& info) {
  std::string line;
  for (const StudyParameter& p : info.parameters)
    line += fmt::format("{}{} {}", line.empty() ? "" : " · ", p.name, format_number(p.value));
  return line;
}

Table checks_table(const StudyResult& result, bool in_terminal) {
  Table table{.id = result.info.name + "-checks",
              .title = "Checks",
              .caption = "",
              .columns = {{"what", "", ""},
                          {"expected", "", "by theory, in closed form", 7},
                          {"found", "", "", 7},
                          {"tolerance", "", "how far found may be from expected", 2},
                          {"holds", "", ""}},
              .rows = {},
              .in_terminal = in_terminal};
  for (const StudyCheck& check : result.checks)
    table.rows.push_back({check.what, number_cell(check.expected), number_cell(check.found), check.tolerance,
                          yes_or_no(check.holds())});
  return table;
}

Section study_section(const StudyResult& result, bool alone) {
  const StudyInfo& info = result.info;
  Section section{.id = info.name, .title = alone ? info.title : info.title + ": " + result.measured};
  section.paragraphs = {sentence(info.paper + ": " + info.claim)};
  if (!info.parameters.empty()) section.paragraphs.push_back(sentence("Run at " + setting_line(info)));
  for (const std::string& note : result.notes) section.paragraphs.push_back(sentence(note));
  if (!alone && !result.figure.vega_lite.empty()) section.figures.push_back(result.figure);
  if (!result.checks.empty()) section.tables.push_back(checks_table(result, alone));
  section.tables.insert(section.tables.end(), result.tables.begin(), result.tables.end());
  return section;
}

Table claims_table(std::span<const StudyResult> results) {
  Table table{.id = "studies",
              .title = "Claims",
              .caption = "",
              .columns = {{"study", "", ""},
                          {"holds", "", "the claim on everything that was run, and every check"},
                          {"measured", "", ""}},
              .rows = {},
              .in_terminal = true};
  for (const StudyResult& r : results)
    table.rows.push_back({r.info.name, yes_or_no(r.holds), sentence(r.measured)});
  return table;
}

}  // namespace

Report studies_report(std::span<const StudyResult> results, const PageContext& context) {
  Report report = begin_study_report(context);
  report.definitions = definitions_named({"claim", "check"});
  const auto held = std::ranges::count_if(results, &StudyResult::holds);
  std::size_t checks = 0;
  std::ptrdiff_t passed = 0;
  for (const StudyResult& r : results) {
    checks += r.checks.size();
    passed += std::ranges::count_if(r.checks, &StudyCheck::holds);
  }
  const bool alone = results.size() == 1;
  const char* claim = held == 1 ? "the claim holds: " : "the claim does not hold on what was run: ";
  report.verdict = {alone ? sentence(claim + results[0].measured)
                          : fmt::format("{} of {} claims hold on what was run.", held, results.size()),
                    fmt::format("{} of {} checks against theory in closed form hold", passed, checks),
                    {}};
  if (alone) {
    if (!results[0].figure.vega_lite.empty()) report.lead = {results[0].figure};
  } else {
    Section first{.id = "claims", .title = "Claims and what was measured"};
    first.tables = {claims_table(results)};
    report.sections.push_back(std::move(first));
  }
  for (const StudyResult& r : results) report.sections.push_back(study_section(r, alone));
  return report;
}

Report study_list_report(const PageContext& context) {
  Report report = begin_study_report(context);
  Table studies{.id = "studies",
                .title = "Studies",
                .caption = "",
                .columns = {{"study", "", ""}, {"what", "", ""}, {"claim", "", ""}},
                .rows = {},
                .in_terminal = true,
                .whole = true};
  Table parameters{.id = "parameters",
                   .title = "Parameters",
                   .caption = "For --set.",
                   .columns = {{"study", "", ""},
                               {"parameter", "", ""},
                               {"what", "", ""},
                               {"default", "", ""},
                               {"from", "", ""},
                               {"to", "", ""}},
                   .rows = {},
                   .in_terminal = true,
                   .whole = true};
  for (const StudyInfo& info : study_list()) {
    studies.rows.push_back({info.name, info.title, info.claim});
    for (const StudyParameter& p : info.parameters)
      parameters.rows.push_back({info.name, p.name, p.text, p.value, p.low, p.high});
  }
  report.verdict = {sentence(count_of(studies.rows.size(), "study", "studies") + " can be run"), "", {}};
  Section section{.id = "studies", .title = "Studies and their parameters"};
  section.tables = {std::move(studies), std::move(parameters)};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::bigram
