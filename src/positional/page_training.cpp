#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "positional/page_parts.h"
#include "positional/page_training_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/report/words.h"

namespace telos::positional {
namespace {

constexpr std::size_t kMostColumns = 2;  ///< models that a table holds as columns

/// For many models: one a row.
Table scales_by_model(std::span<const TrainResult> results, const std::vector<double>& scales,
                      const Names& name) {
  Table t{.id = "scales",
          .title = "Error by scale",
          .caption = results[0].classes ? "Median of the cross-entropy over runs."
                                        : "Median of the mean square error over runs.",
          .columns = {{"model", "", ""}, {"validation", "", "median MSE", 3}},
          .rows = {},
          .in_terminal = true};
  for (const double c : scales)
    t.columns.push_back({"c = " + format_number(c), "", "median MSE at this scale of the test interval", 3});
  for (const TrainResult& r : results) {
    std::vector<Cell> row = {name(r), number_cell(r.validation.median)};
    for (const double c : scales) {
      const auto at = std::find(r.spec.scales.begin(), r.spec.scales.end(), c);
      const auto index = static_cast<std::size_t>(at - r.spec.scales.begin());
      row.push_back(number_cell(at != r.spec.scales.end() && index < r.test.size() ? r.test[index].median
                                                                                   : std::nan("")));
    }
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table scales_table(std::span<const TrainResult> results, const Names& name) {
  Table t{.id = "scales",
          .title = "Error by scale",
          .caption = results[0].classes ? "Median of the cross-entropy over runs."
                                        : "Median of the mean square error over runs.",
          .columns = {{"c", "", "scale of the test interval"}},
          .rows = {},
          .in_terminal = true};
  std::vector<double> scales;
  for (const TrainResult& r : results)
    for (const double c : r.spec.scales)
      if (std::find(scales.begin(), scales.end(), c) == scales.end()) scales.push_back(c);
  std::sort(scales.begin(), scales.end());
  if (results.size() > kMostColumns) return scales_by_model(results, scales, name);
  for (const TrainResult& r : results) {
    t.columns.push_back({name(r), "", "median MSE", 3});
    t.columns.push_back({name(r) + " /c²", "", "median MSE over c²", 3});
  }
  for (const double c : scales) {
    std::vector<Cell> row = {c};
    for (const TrainResult& r : results) {
      const auto at = std::find(r.spec.scales.begin(), r.spec.scales.end(), c);
      const auto index = static_cast<std::size_t>(at - r.spec.scales.begin());
      const bool here = at != r.spec.scales.end() && index < r.test.size();
      row.push_back(number_cell(here ? r.test[index].median : std::nan("")));
      row.push_back(number_cell(here ? r.test_over_scale2[index].median : std::nan("")));
    }
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table errors_table(std::span<const TrainResult> results, const Names& name) {
  Table t{.id = "errors",
          .title = "Errors of every run at every scale",
          .caption = "",
          .columns = {{"model", "", ""},
                      {"run", "", ""},
                      {"c", "", "scale"},
                      {"samples", "", ""},
                      {"mse", "", "mean over samples; classes: cross-entropy"},
                      {"mse sum", "", "sum over test batches of their means"},
                      {"mae", "", "mean |error|"},
                      {"mape", "", "see definitions"},
                      {"max error", "", ""},
                      {"within", "", "see definitions"},
                      {"mse/c²", "", ""},
                      {"overflowed", "", "outputs that float32 could not hold"}},
          .rows = {}};
  for (const TrainResult& r : results)
    for (const RunResult& run : r.runs)
      for (const ErrorRow& e : run.table)
        t.rows.push_back({name(r), whole_cell(run.run), e.scale, whole_cell(e.samples), number_cell(e.mse),
                          number_cell(e.mse_sum), number_cell(e.mae), number_cell(e.mape),
                          number_cell(e.max_error), number_cell(e.within), number_cell(e.mse_over_scale2),
                          whole_cell(e.overflowed)});
  return t;
}

const char* end_word(RunResult::End end) {
  return end == RunResult::End::kFinished  ? "finished"
         : end == RunResult::End::kStopped ? "stopped"
                                           : "diverged";
}

Table runs_table(std::span<const TrainResult> results, const Names& name) {
  Table t{.id = "runs",
          .title = "Runs",
          .caption = "A run follows from the spec and its seed alone.",
          .columns = {{"model", "", ""},
                      {"run", "", ""},
                      {"seed", "", ""},
                      {"end", "", "how it ended"},
                      {"epochs", "", ""},
                      {"steps", "", "of the optimiser"},
                      {"time", "s", ""},
                      {"train", "", "mean loss of the last epoch", 3},
                      {"validation", "", "MSE", 3},
                      {"note", "", ""}},
          .rows = {}};
  for (const TrainResult& r : results)
    for (const RunResult& run : r.runs)
      t.rows.push_back({name(r), whole_cell(run.run), whole_cell(run.seed), end_word(run.end),
                        whole_cell(run.epochs), whole_cell(run.steps), run.seconds,
                        number_cell(run.curve.empty() ? std::nan("") : run.curve.back().train_loss),
                        number_cell(run.validation.mse), run.note});
  return t;
}

Table curves_table(std::span<const TrainResult> results, const Names& name) {
  Table t{.id = "curves",
          .title = "Learning curves",
          .caption = "",
          .columns = {{"model", "", ""},
                      {"run", "", ""},
                      {"epoch", "", ""},
                      {"steps", "", ""},
                      {"rate", "", ""},
                      {"train", "", "mean of the epoch's batch losses"},
                      {"validation", "", "MSE"}},
          .rows = {}};
  for (const TrainResult& r : results)
    for (const RunResult& run : r.runs)
      for (const CurvePoint& p : run.curve)
        t.rows.push_back({name(r), whole_cell(run.run), whole_cell(p.epoch), whole_cell(p.steps), p.rate,
                          number_cell(p.train_loss), number_cell(p.validation)});
  return t;
}
void add_keys(Report& report, std::span<const TrainResult> results, const Names& name) {
  constexpr std::size_t kMostKeys = 4;  // two kinds on two tasks; the table of scales has all
  for (const TrainResult& r : results.first(std::min(results.size(), kMostKeys))) {
    if (finished_runs(r) == 0) continue;
    report.keys.push_back(
        {name(r),
         has_scales(r) ? fmt::format("{} → {}", format_number(r.test.front().median, 3),
                                     format_number(r.test.back().median, 3))
                       : format_number(r.validation.median, 3),
         has_scales(r)
             ? fmt::format("(MSE at c = {} → {}; E_c/c² × {})", format_number(r.spec.scales.front()),
                           format_number(r.spec.scales.back()), format_number(excess(r), 3))
         : r.classes ? fmt::format("(validation cross-entropy; accuracy {})", percent(accuracy_of(r)))
                     : "(validation MSE)",
         r.classes ? "Median over runs" : "Median over runs of the mean square error"});
  }
}

void add_limits(Report& report, std::span<const TrainResult> results, const Names& name) {
  for (const TrainResult& r : results) {
    for (const RunResult& run : r.runs)
      if (run.end == RunResult::End::kDiverged) {
        report.complete = false;
        report.not_measured.push_back(fmt::format("{}, run {}: {}", name(r), run.run, run.note));
      }
    if (r.overflow_scale)
      report.not_measured.push_back(fmt::format("{}: outputs overflow float32 from c = {} on", name(r),
                                                format_number(*r.overflow_scale)));
  }
}

}  // namespace

Report training_report(std::span<const TrainResult> results, const PageContext& context) {
  Report report = begin_report(context);
  if (results.empty()) throw Error(ErrorKind::kUsage, "training", "there are no results to report");
  const Names name(results);
  std::vector<std::string> tasks;
  for (const TrainResult& r : results) {
    const std::string model =
        r.spec.hop_model
            ? fmt::format("{} · {} · d {} · {} heads · {} parameters", name(r),
                          count_of(r.spec.hop_model->layers, "layer", "layers"), r.spec.hop_model->width,
                          r.spec.hop_model->heads, format_count(r.parameters))
            : model_line(r.spec.model, r.parameters);
    // Several tasks share their models.
    if (std::none_of(report.facts.begin(), report.facts.end(),
                     [&](const auto& fact) { return fact.text == model; }))
      report.facts.push_back({"model", model, ""});
    if (std::find(tasks.begin(), tasks.end(), r.spec.task) == tasks.end()) tasks.push_back(r.spec.task);
  }
  if (tasks.size() > 1) report.subject = fmt::format("{}", fmt::join(tasks, ", "));
  const TrainSpec& spec = results[0].spec;
  report.facts.push_back(
      {"task",
       fmt::format("{} · {} training samples · batch {} · up to {} epoch{}", fmt::join(tasks, ", "),
                   format_count(spec.train_samples), format_count(spec.batch), format_count(spec.epochs),
                   spec.epochs == 1 ? "" : "s"),
       fmt::format("seed {}", spec.seed)});
  report.verdict = training_verdict(results, name);
  add_keys(report, results, name);
  const bool scales = std::any_of(results.begin(), results.end(), has_scales);
  std::string title = report.verdict.sentence;
  if (!title.empty() && title.back() == '.') title.pop_back();
  if (scales) report.lead.push_back(scales_figure(results, name, false, title));

  Section errors{.id = "scale",
                 .title = scales ? "What is left of the error once scale is divided out" : "Error by scale"};
  if (scales) errors.figures.push_back(scales_figure(results, name, true, over_scale_title(results, name)));
  errors.tables = {scales_table(results, name), errors_table(results, name)};
  report.sections.push_back(std::move(errors));
  Section sweep{.id = "sweep", .title = "How size and samples matter", .figures = sweep_figures(results)};
  if (!sweep.figures.empty()) report.sections.push_back(std::move(sweep));
  Section curves{.id = "training", .title = "Training"};
  curves.figures.push_back(curves_figure(results, name));
  if (curves.figures[0].marks == 0) curves.figures.clear();
  curves.tables = {runs_table(results, name), curves_table(results, name)};
  report.sections.push_back(std::move(curves));
  for (const TrainResult& r : results)
    if (!r.runs.empty() && !r.spec.hop_model && !r.runs[0].model.values.empty()) {
      Section maps = attention_section(r.runs[0].model);
      if (maps.id.empty()) continue;
      if (results.size() > 1 || r.runs.size() > 1)
        maps.paragraphs.insert(maps.paragraphs.begin(),
                               fmt::format("Of {}, run {}.", name(r), r.runs[0].run));
      report.sections.push_back(std::move(maps));
      break;
    }
  add_limits(report, results, name);
  return report;
}

}  // namespace telos::positional
