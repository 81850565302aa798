#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "positional/page_parts.h"

namespace telos::positional {
namespace {

std::string queries_and_keys(const ModelConfig& model) {
  if (model.mixer != ModelConfig::Mixer::kAttention) return "none: the complete graph";
  if (model.direct_logits) return "none: the logits are parameters";
  switch (model.source) {
    case ModelConfig::Source::kFeatures:
      return "X";
    case ModelConfig::Source::kPositions:
      return "P";
    case ModelConfig::Source::kBoth:
      return "X ‖ P";
  }
  return {};
}

std::string remark(const std::string& kind, const ModelConfig& model) {
  if (const std::string first = kind_of(model); first != kind) return "the same as " + first;
  if (model.mixer == ModelConfig::Mixer::kGcn) return "relu(W·mean_j x_j)";
  if (model.mixer == ModelConfig::Mixer::kGin) return "MLP(ε x_i + Σ_j x_j)";
  if (model.rope == ModelConfig::Rope::kTrue) return "turned by position";
  if (model.rope == ModelConfig::Rope::kNoOp) return "turned by head, which changes nothing, as published";
  return model.hard ? "one-hot of each row's largest score" : "";
}

Table models_table() {
  Table models{.id = "models",
               .title = "Models",
               .caption = "For --model. X: the layer's state; P: encodings of positions; x: the input.",
               .columns = {{"model", "", "for --model"},
                           {"input", "", ""},
                           {"queries and keys", "", "are made of"},
                           {"remark", "", ""}},
               .rows = {},
               .in_terminal = true};
  for (const std::string& kind : kinds()) {
    const ModelConfig model = with_kind({}, kind);
    models.rows.push_back({kind, std::string(model.input_positions ? "x ‖ P" : "x"), queries_and_keys(model),
                           remark(kind, model)});
  }
  return models;
}

}  // namespace

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
  section.tables = {std::move(tasks), std::move(programs), std::move(experiments), models_table()};
  report.sections.push_back(std::move(section));
  return report;
}

}  // namespace telos::positional
