#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "positional/page_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::positional {
namespace {

/// "positional", "standard", …: of the model that was trained.
std::string kind_name(const TrainResult& r) {
  if (r.spec.hop_model) return r.spec.hop_model->positional ? "positional" : "standard";
  return kind_words(r.spec.model);
}

std::size_t layers_of(const TrainResult& r) {
  return r.spec.hop_model ? r.spec.hop_model->layers : r.spec.model.depth();
}

std::size_t width_of(const TrainResult& r) {
  return r.spec.hop_model ? r.spec.hop_model->width : r.spec.model.width;
}

std::size_t hidden_of(const TrainResult& r) {
  return r.spec.hop_model ? 0 : r.spec.model.hidden;
}

template <class Value>
bool differ(std::span<const TrainResult> results, Value&& value) {
  return std::any_of(results.begin(), results.end(),
                     [&](const TrainResult& r) { return value(r) != value(results[0]); });
}

/// What tells results of one page apart: kind, and task, size, samples or rate where they differ; where these
/// are all alike, a number.
class Names {
 public:
  explicit Names(std::span<const TrainResult> results) : results_(results) {
    const bool tasks = differ(results, [](const TrainResult& r) { return r.spec.task; });
    const bool nodes = differ(results, [](const TrainResult& r) { return r.spec.model.nodes; });
    const bool samples = differ(results, [](const TrainResult& r) { return r.spec.train_samples; });
    const bool depths = differ(results, layers_of) && !nodes;  // more nodes have more layers by themselves
    const bool widths = differ(results, width_of), hidden = differ(results, hidden_of);
    const bool rates = differ(results, [](const TrainResult& r) { return r.spec.rate; });
    for (const TrainResult& r : results) {
      std::string name = (tasks ? r.spec.task + " · " : "") + kind_name(r);
      if (nodes) name += fmt::format(" · n {}", r.spec.model.nodes);
      if (samples) name += fmt::format(" · m {}", format_count(r.spec.train_samples));
      if (depths) name += fmt::format(" · {}", count_of(layers_of(r), "layer", "layers"));
      if (widths) name += fmt::format(" · d {}", width_of(r));
      if (hidden && !r.spec.hop_model) name += fmt::format(" · hidden {}", hidden_of(r));
      if (rates) name += fmt::format(" · rate {}", format_number(r.spec.rate));
      names_.push_back(std::move(name));
    }
    const std::vector<std::string> plain = names_;
    for (std::size_t i = 0; i < plain.size(); ++i)
      if (std::count(plain.begin(), plain.end(), plain[i]) > 1) names_[i] += fmt::format(" ({})", i + 1);
  }
  /// Of one of the results that the names were made for.
  const std::string& operator()(const TrainResult& r) const {
    return names_[static_cast<std::size_t>(&r - results_.data())];
  }

 private:
  std::span<const TrainResult> results_;
  std::vector<std::string> names_{};
};

std::size_t finished_runs(const TrainResult& r) {
  return static_cast<std::size_t>(std::count_if(r.runs.begin(), r.runs.end(), [](const RunResult& run) {
    return run.end != RunResult::End::kDiverged;
  }));
}

bool has_scales(const TrainResult& r) {
  return r.test.size() > 1 && std::isfinite(r.test.front().median) && std::isfinite(r.test.back().median);
}

/// Median accuracy of the runs that did not diverge.
double accuracy_of(const TrainResult& r) {
  std::vector<double> all;
  for (const RunResult& run : r.runs)
    if (run.end != RunResult::End::kDiverged) all.push_back(run.validation.within);
  if (all.empty()) return std::nan("");
  std::sort(all.begin(), all.end());
  return (all[(all.size() - 1) / 2] + all[all.size() / 2]) / 2;
}

/// E at the largest scale over c²·E_1: 1 for a model and a task that scale themselves.
double excess(const TrainResult& r) {
  return r.test_over_scale2.back().median / r.test_over_scale2.front().median;
}

using Quantity = double (*)(const TrainResult&);
double nodes_of(const TrainResult& r) {
  return static_cast<double>(r.spec.model.nodes);
}
double samples_of(const TrainResult& r) {
  return static_cast<double>(r.spec.train_samples);
}
double depth_of(const TrainResult& r) {
  return static_cast<double>(layers_of(r));
}

/// Whether there is an error at a scale beyond training.
bool has_far(const TrainResult& r) {
  return !r.test.empty() && !r.spec.scales.empty() && r.spec.scales.back() > 1 &&
         std::isfinite(r.test.back().median);
}

/// " at 3 times the training range", or "" where only lists like those of training were tested.
std::string at_far_scale(const TrainResult& r) {
  if (!has_far(r)) return "";
  return fmt::format(" at {} times the training range", format_number(r.spec.scales.back()));
}
double far_error(const TrainResult& r) {
  return has_far(r) ? r.test.back().median : r.validation.median;
}

/// Positional and standard attention with all else alike.
struct Pair {
  const TrainResult *positional, *standard;
  double ratio() const { return standard->test.back().median / positional->test.back().median; }
};

bool alike_but_for_the_kind(const TrainSpec& a, const TrainSpec& b) {
  const ModelConfig &m = a.model, &n = b.model;
  return a.task == b.task && m.nodes == n.nodes && m.depth() == n.depth() && m.width == n.width &&
         m.hidden == n.hidden && m.mlp_layers == n.mlp_layers && m.heads == n.heads &&
         a.train_samples == b.train_samples && a.variable_length == b.variable_length && a.scales == b.scales;
}

std::vector<Pair> pairs_of(std::span<const TrainResult> results) {
  const auto is = [](const TrainResult& r, const char* kind) {
    return !r.spec.hop_model && kind_of(r.spec.model) == kind && has_scales(r) && has_far(r);
  };
  std::vector<Pair> pairs;
  for (const TrainResult& r : results) {
    if (!is(r, "positional")) continue;
    const auto standard = std::find_if(results.begin(), results.end(), [&](const TrainResult& other) {
      return is(other, "standard") && alike_but_for_the_kind(r.spec, other.spec);
    });
    if (standard != results.end()) pairs.push_back({&r, &*standard});
  }
  return pairs;
}

constexpr double kAlike = 1.05;  ///< medians that differ by less are called alike

std::string comparison_of(const Pair& pair, const std::string& task) {
  const double ratio = pair.ratio();
  const std::string where =
      fmt::format("At {} times the training range{}, ", format_number(pair.positional->spec.scales.back()),
                  task.empty() ? "" : " of " + task);
  if (ratio < kAlike && 1 / ratio < kAlike) return where + "positional and standard attention err alike.";
  return where + fmt::format("positional attention errs {} times {} than standard attention.",
                             format_number(ratio >= 1 ? ratio : 1 / ratio, 2), ratio >= 1 ? "less" : "more");
}

/// On how many tasks or sizes positional attention errs less, and by how many times. Empty where the largest
/// scales differ.
std::string comparison_over(const std::vector<Pair>& pairs) {
  std::vector<double> less;
  bool one_task = true, tasks_once = true;
  for (const Pair& pair : pairs) {
    const TrainSpec& spec = pair.positional->spec;
    if (spec.scales.back() != pairs[0].positional->spec.scales.back()) return "";
    one_task = one_task && spec.task == pairs[0].positional->spec.task;
    tasks_once = tasks_once && std::ranges::count_if(pairs, [&spec](const Pair& other) {
                                 return other.positional->spec.task == spec.task;
                               }) == 1;
    if (pair.ratio() >= kAlike) less.push_back(pair.ratio());
  }
  std::string sentence = fmt::format(
      "At {} times the training range, positional attention errs less than standard attention {} {} of {} {}",
      format_number(pairs[0].positional->spec.scales.back()), one_task ? "in" : "on",
      less.empty() ? "none" : format_count(less.size()), format_count(pairs.size()),
      tasks_once ? "tasks" : "settings");
  if (less.empty()) return sentence + ".";
  const auto [low, high] = std::minmax_element(less.begin(), less.end());
  const std::string from = format_number(*low, 2), to = format_number(*high, 2);
  return sentence +
         (from == to ? fmt::format(": by {} times.", from) : fmt::format(": by {} to {} times.", from, to));
}

/// One kind on one task, with one quantity that differs: what becomes of the error over it.
std::string sweep_sentence(std::span<const TrainResult> results) {
  if (results.size() < 2 || differ(results, [](const TrainResult& r) { return r.spec.task; }) ||
      differ(results, kind_name) || differ(results, [](const TrainResult& r) { return r.spec.scales; }))
    return "";
  std::vector<std::pair<const char*, Quantity>> quantities = {
      {"n", nodes_of}, {"m", samples_of}, {"layers", depth_of}, {"hidden", [](const TrainResult& r) {
                                                                   return static_cast<double>(hidden_of(r));
                                                                 }}};
  if (differ(results, nodes_of)) quantities.erase(quantities.begin() + 2);  // n sets the layers
  std::erase_if(quantities, [&](const auto& q) { return !differ(results, q.second); });
  if (quantities.size() != 1) return "";
  const auto& [symbol, quantity] = quantities[0];
  const auto [low, high] = std::minmax_element(
      results.begin(), results.end(),
      [quantity = quantity](const auto& a, const auto& b) { return quantity(a) < quantity(b); });
  if (finished_runs(*low) == 0 || finished_runs(*high) == 0) return "";
  return fmt::format("From {0} = {1} to {0} = {2} the error{3} goes from {4} to {5}.", symbol,
                     format_number(quantity(*low)), format_number(quantity(*high)), at_far_scale(*low),
                     format_number(far_error(*low), 3), format_number(far_error(*high), 3));
}

/// One model by itself. What scaling makes of the error is told from scale 1 on.
std::string sentence_of_one(const TrainResult& r, const std::string& who) {
  const std::string learned = who + "earned to ";
  const std::string error = format_number(r.validation.median, 3);
  if (r.classes)
    return fmt::format("{}a cross-entropy of {}: {} of its answers on new samples are right.", learned, error,
                       percent(accuracy_of(r)));
  if (has_scales(r) && has_far(r) && r.spec.scales.front() == 1)
    return fmt::format(
        "{}an error of {}; at {} times the range it is {}, {} times what scaling alone makes of it.", learned,
        error, format_number(r.spec.scales.back()), format_number(r.test.back().median, 3),
        format_number(excess(r), 3));
  return fmt::format(
      "{}an error of {} on samples that it has not seen{}.", learned, error,
      has_far(r) ? fmt::format("; it is {}{}", format_number(far_error(r), 3), at_far_scale(r)) : "");
}

std::string sentence_of(std::span<const TrainResult> results, const Names& name) {
  const auto finished =
      std::find_if(results.begin(), results.end(), [](const TrainResult& r) { return finished_runs(r) > 0; });
  if (finished == results.end()) return "No run finished: training diverged.";
  const std::vector<Pair> pairs = pairs_of(results);
  if (pairs.size() > 1)
    if (const std::string all = comparison_over(pairs); !all.empty()) return all;
  if (!pairs.empty()) {
    const bool tasks = differ(results, [](const TrainResult& r) { return r.spec.task; });
    return comparison_of(pairs[0], tasks ? pairs[0].positional->spec.task : "");
  }
  if (const std::string sweep = sweep_sentence(results); !sweep.empty()) return sweep;
  return sentence_of_one(*finished, results.size() == 1 ? "L" : fmt::format("{} has l", name(*finished)));
}

/// How many runs stand behind the medians, and how many of them a limit on time or steps cut short.
std::string basis_of(std::span<const TrainResult> results) {
  std::size_t all = 0, finished = 0, stopped = 0;
  for (const TrainResult& r : results) {
    all += r.runs.size(), finished += finished_runs(r);
    for (const RunResult& run : r.runs) stopped += run.end == RunResult::End::kStopped ? 1 : 0;
  }
  if (finished == 0) return "nothing to measure; a smaller learning rate may help";
  std::string basis =
      finished == all
          ? fmt::format("measured, {} a model", count_of(finished_runs(results[0]), "run", "runs"))
          : fmt::format("measured, {} of {} runs; the others diverged", finished, all);
  if (stopped > 0) basis += fmt::format("; {} of {} stopped by a limit before the last epoch", stopped, all);
  return basis;
}

std::vector<std::string> evidence_of(std::span<const TrainResult> results, const Names& name) {
  std::vector<std::string> lines;
  for (const TrainResult& r : results) {
    if (finished_runs(r) == 0) continue;
    std::string line = fmt::format("{}: validation {}", name(r), format_number(r.validation.median, 3));
    if (finished_runs(r) > 1)
      line +=
          fmt::format(" ({} to {})", format_number(r.validation.min, 3), format_number(r.validation.max, 3));
    if (has_scales(r))
      line += fmt::format(", c = {}: {}, E_c/c² changes {}-fold", format_number(r.spec.scales.back()),
                          format_number(r.test.back().median, 3), format_number(excess(r), 3));
    lines.push_back(std::move(line));
  }
  for (const TrainResult& r : results) {
    if (unseen_things(r.spec.task).empty()) continue;
    lines.push_back(fmt::format("tests{} draw {} that training does not use",
                                r.classes ? "" : " beyond c = 1", unseen_things(r.spec.task)));
    break;
  }
  std::vector<std::string> solutions;  // a program is exact on whole lists
  for (const TrainResult& r : results) {
    if (r.exact_program.empty() || r.spec.variable_length) continue;
    std::string line = exact_solution(r.exact_program, r.spec.model.nodes);
    if (std::find(solutions.begin(), solutions.end(), line) == solutions.end())
      solutions.push_back(std::move(line));
  }
  constexpr std::size_t kMostSolutions = 3;
  for (std::size_t i = 0; i < std::min(solutions.size(), kMostSolutions); ++i)
    lines.push_back(std::move(solutions[i]));
  return lines;
}

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

Series band_series(const std::string& name, const std::vector<double>& x, const std::vector<Band>& bands,
                   bool with_band) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}};
  for (std::size_t i = 0; i < std::min(x.size(), bands.size()); ++i) {
    if (!(bands[i].median > 0) || !std::isfinite(bands[i].median)) continue;
    s.x.push_back(x[i]);
    s.y.push_back(bands[i].median);
    if (!with_band) continue;
    s.low.push_back(bands[i].min);
    s.high.push_back(bands[i].max);
  }
  return s;
}

Figure scales_figure(std::span<const TrainResult> results, const Names& name, bool over_scale2,
                     const std::string& title) {
  std::vector<Series> series;
  for (const TrainResult& r : results)
    series.push_back(
        band_series(name(r), r.spec.scales, over_scale2 ? r.test_over_scale2 : r.test, finished_runs(r) > 1));
  return line_chart(
      {.id = over_scale2 ? "error-over-scale" : "error-by-scale",
       .title = title,
       .caption = over_scale2 ? "Median MSE over c²; flat for a model that scales itself. Band: all runs."
                              : "Median mean square error of lists from c times the training "
                                "interval; band: smallest to largest run. After arXiv 2410.01686.",
       .alt = "Error against scale, a line a model",
       .x_label = "scale c",
       .y_label = over_scale2 ? "MSE / c²" : "MSE",
       .log_x = false,
       .log_y = true},
      series);
}

/// What the first run that has a curve does, by name where there are several models.
std::string curves_title(std::span<const TrainResult> results, const Names& name) {
  for (const TrainResult& r : results) {
    if (r.runs.empty() || r.runs[0].curve.size() < 2) continue;
    const CurvePoint &from = r.runs[0].curve.front(), &to = r.runs[0].curve.back();
    if (!(from.validation > 0) || !(to.validation > 0)) continue;
    return fmt::format("Validation loss{} goes from {} at step {} to {} at step {}",
                       results.size() == 1 ? "" : " of " + name(r), format_number(from.validation, 3),
                       format_count(from.steps), format_number(to.validation, 3), format_count(to.steps));
  }
  return "Loss over the steps";
}

/// Training and validation of each model; of more than four models the validation alone, of eight at most,
/// which is as many as have a colour of their own.
Figure curves_figure(std::span<const TrainResult> results, const Names& name) {
  constexpr std::size_t kMostPairs = 4, kMostSeries = 8;
  const bool pairs = results.size() <= kMostPairs;
  std::vector<Series> series;
  for (const TrainResult& r : results.first(std::min(results.size(), kMostSeries))) {
    const auto run =
        std::find_if(r.runs.begin(), r.runs.end(), [](const RunResult& x) { return !x.curve.empty(); });
    if (run == r.runs.end()) continue;
    Series train{.name = name(r) + ", training", .x = {}, .y = {}, .low = {}, .high = {}};
    Series validation{
        .name = name(r) + (pairs ? ", validation" : ""), .x = {}, .y = {}, .low = {}, .high = {}};
    for (const CurvePoint& p : run->curve) {
      if (p.train_loss > 0) train.x.push_back(static_cast<double>(p.steps)), train.y.push_back(p.train_loss);
      if (p.validation > 0)
        validation.x.push_back(static_cast<double>(p.steps)), validation.y.push_back(p.validation);
    }
    if (pairs) series.push_back(std::move(train));
    series.push_back(std::move(validation));
  }
  return line_chart({.id = "learning-curves",
                     .title = curves_title(results, name),
                     .caption = pairs ? "Training and validation loss of the first run of each model."
                                      : "Validation loss of the first run of each model, of eight models at "
                                        "most.",
                     .alt = "Loss against optimiser steps",
                     .x_label = "steps",
                     .y_label = "loss",
                     .log_x = false,
                     .log_y = true},
                    series);
}

/// Validation and largest-scale error against one quantity in which the results differ.
Figure sweep_figure(std::span<const TrainResult> results, const char* id, const std::string& label,
                    Quantity quantity) {
  std::vector<Series> series;
  for (const TrainResult& r : results) {
    const std::string kind = r.spec.task + " · " + kind_name(r);
    for (const bool far : {false, true}) {
      if (far && !has_far(r)) continue;
      const std::string name =
          kind + (far ? fmt::format(", c = {}", format_number(r.spec.scales.back())) : ", validation");
      auto s = std::find_if(series.begin(), series.end(), [&](const Series& x) { return x.name == name; });
      if (s == series.end())
        s = series.insert(series.end(), Series{.name = name, .x = {}, .y = {}, .low = {}, .high = {}});
      s->x.push_back(quantity(r));
      s->y.push_back(far ? r.test.back().median : r.validation.median);
    }
  }
  return line_chart({.id = id,
                     .title = fmt::format("Error against {}", label),
                     .caption = "Median over runs.",
                     .alt = "Error against " + label,
                     .x_label = label,
                     .y_label = results[0].classes ? "cross-entropy" : "MSE",
                     .log_x = true,
                     .log_y = true},
                    series);
}

void add_sweeps(Report& report, std::span<const TrainResult> results) {
  Section section{.id = "sweep", .title = "How size and samples matter"};
  if (differ(results, nodes_of))
    section.figures.push_back(sweep_figure(results, "by-n", "positions n", nodes_of));
  if (differ(results, samples_of))
    section.figures.push_back(sweep_figure(results, "by-m", "training samples m", samples_of));
  if (differ(results, depth_of) && !differ(results, nodes_of))
    section.figures.push_back(sweep_figure(results, "by-depth", "layers", depth_of));
  if (!section.figures.empty()) report.sections.push_back(std::move(section));
}

/// "Error over c² grows 8.43-fold for positional, 260-fold for standard".
std::string over_scale_title(std::span<const TrainResult> results, const Names& name) {
  std::string title;
  constexpr std::size_t kNamed = 2;
  std::size_t named = 0;
  for (const TrainResult& r : results) {
    if (!has_scales(r)) continue;
    if (named++ == kNamed) break;
    title += fmt::format("{}{}-fold{}", title.empty() ? "Error over c² changes " : ", ",
                         format_number(excess(r), 3), results.size() == 1 ? "" : " for " + name(r));
  }
  return title;
}

void add_keys(Report& report, std::span<const TrainResult> results, const Names& name) {
  for (const TrainResult& r : results.first(std::min<std::size_t>(results.size(), 3))) {
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
  report.verdict = {sentence_of(results, name), basis_of(results), evidence_of(results, name)};
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
  add_sweeps(report, results);
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
