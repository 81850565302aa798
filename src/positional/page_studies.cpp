#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "positional/page_parts.h"

namespace telos::positional {

Report studies_report(std::span<const StudyResult> results, const PageContext& context) {
  Report report = begin_report(context);
  const auto held =
      std::count_if(results.begin(), results.end(), [](const StudyResult& r) { return r.holds; });
  report.verdict = {fmt::format("{} of {} claims hold on what was run.", held, results.size()),
                    "each claim against its own oracle",
                    {}};
  Table summary{
      .id = "studies",
      .title = "Claims",
      .caption = "",
      .columns = {{"study", "", ""}, {"holds", "", "on everything that was run"}, {"measured", "", ""}},
      .rows = {},
      .in_terminal = true};
  Section first{.id = "claims", .title = "Claims and what was measured"};
  std::vector<Section> sections;
  for (const StudyResult& r : results) {
    summary.rows.push_back({r.info.name, r.holds ? "yes" : "no", r.measured});
    Section section{.id = r.info.name, .title = r.info.title + ": " + r.measured};
    section.paragraphs = {sentence(r.info.paper + ": " + r.info.claim)};
    for (const std::string& note : r.notes) section.paragraphs.push_back(sentence(note));
    Table t{.id = r.info.name, .title = r.table.title, .caption = "", .columns = {}, .rows = {}};
    for (const std::string& column : r.table.columns) t.columns.push_back({column, "", ""});
    for (const auto& row : r.table.rows) {
      std::vector<Cell> cells;
      for (const double value : row) cells.push_back(number_cell(value));
      t.rows.push_back(std::move(cells));
    }
    if (!t.columns.empty()) section.tables.push_back(std::move(t));
    sections.push_back(std::move(section));
  }
  first.tables.push_back(std::move(summary));
  report.sections.push_back(std::move(first));
  for (Section& section : sections) report.sections.push_back(std::move(section));
  return report;
}

Report tasks_report(const PageContext& context) {
  Report report = begin_report(context);
  report.definitions.clear();
  report.verdict = {"What can be trained and compiled.", "", {}};
  Section section{.id = "tasks", .title = "Tasks, models, programs, experiments"};
  Table tasks{.id = "tasks",
              .title = "Tasks",
              .caption = "Or a CSV or JSONL file of rows x, y, or an expression such as \"prefix(min)\".",
              .columns = {{"task", "", ""}, {"what", "", ""}, {"exact program", "", "that `compile` knows"}},
              .rows = {},
              .in_terminal = true};
  for (const TaskInfo& task : task_list())
    tasks.rows.push_back({task.name, task.summary, task.exact_program});
  Table kinds_table{.id = "models",
                    .title = "Models",
                    .caption = "",
                    .columns = {{"model", "", "for --model"}},
                    .rows = {},
                    .in_terminal = false};
  for (const std::string& kind : kinds()) kinds_table.rows.push_back({kind});
  Table programs{.id = "programs",
                 .title = "Built-in programs",
                 .caption = "For `telos positional compile`.",
                 .columns = {{"program", "", ""}, {"what", "", ""}},
                 .rows = {},
                 .in_terminal = true};
  for (const BuiltinInfo& program : builtin_list()) programs.rows.push_back({program.name, program.summary});
  Table experiments{.id = "experiments",
                    .title = "Experiments",
                    .caption = "For `telos positional train --experiment`.",
                    .columns = {{"experiment", "", ""}, {"what", "", ""}},
                    .rows = {},
                    .in_terminal = true};
  for (const ExperimentInfo& e : experiment_list()) experiments.rows.push_back({e.name, e.summary});
  section.tables = {std::move(tasks), std::move(programs), std::move(experiments), std::move(kinds_table)};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::positional
