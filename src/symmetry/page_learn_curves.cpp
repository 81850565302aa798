// The page of a learning curve: what was simulated, and the theory beside it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "symmetry/page_learn_parts.h"
#include "symmetry/page_learning.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"

namespace telos::symmetry {
namespace {

using TheoryValue = std::function<double(const TheoryPoint&)>;

Estimate error_of(const SimulatedPoint& p) {
  return p.error;
}
Estimate train_error_of(const SimulatedPoint& p) {
  return p.train_error;
}
Estimate test_error_of(const SimulatedPoint& p) {
  return p.test_error;
}
double theory_error(const TheoryPoint& p) {
  return p.error;
}
double theory_train_error(const TheoryPoint& p) {
  return p.train_error;
}

Series series_of(const SimulatedCurve& c, const std::string& name, const PointValue& value,
                 double scale = 1) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}};
  for (const SimulatedPoint& p : c.points) {
    const Estimate e = value(p);
    if (!std::isfinite(e.value)) continue;
    s.x.push_back(static_cast<double>(p.samples));
    s.y.push_back(e.value / scale);
    s.low.push_back((e.value - e.error) / scale);
    s.high.push_back((e.value + e.error) / scale);
  }
  return s;
}

/// Dashed, as theory is everywhere.
Series theory_series(const LearnRun& run, const std::string& name, const TheoryValue& value,
                     double scale = 1) {
  Series s{.name = name, .x = {}, .y = {}, .low = {}, .high = {}, .dashed = true};
  for (const TheoryPoint& p : run.theory) {
    s.x.push_back(p.samples);
    s.y.push_back(value(p) / scale);
  }
  return s;
}

}  // namespace

PointValue learnability_of(std::size_t part) {
  return [part](const SimulatedPoint& p) { return p.learnability.at(part); };
}
PointValue output_of(std::size_t part) {
  return [part](const SimulatedPoint& p) { return p.output.at(part); };
}

bool has(const SimulatedCurve& c, const PointValue& value) {
  return std::any_of(c.points.begin(), c.points.end(),
                     [&](const SimulatedPoint& p) { return std::isfinite(value(p).value); });
}

/// Whether each part that is shown is half learned with fewer samples than the next, whose irrep is larger.
bool learned_by_dimension(const LearnRun& run) {
  std::vector<double> halves;
  for (std::size_t i = 0; i < run.curve.parts.size(); ++i) {
    if (!has(run.curve, learnability_of(i))) continue;
    const double half = half_learned(run.curve.points, i);
    const bool never = run.curve.points.back().learnability.at(i).value < 0.5;
    if (!std::isfinite(half) && !never) return false;  // learned before the first point
    halves.push_back(std::isfinite(half) ? half : std::numeric_limits<double>::infinity());
  }
  return halves.size() > 1 && std::ranges::adjacent_find(halves, std::greater_equal<>()) == halves.end();
}

Figure learnability_figure(const LearnRun& run) {
  std::vector<Series> lines;
  for (std::size_t i = 0; i < run.curve.parts.size(); ++i)
    if (has(run.curve, learnability_of(i)))
      lines.push_back(series_of(run.curve, symbol_of(run.curve.parts[i].irrep), learnability_of(i)));
  for (std::size_t i = 0; i < run.curve.parts.size(); ++i)
    if (!run.theory.empty() && has(run.curve, learnability_of(i)))
      lines.push_back(theory_series(run, symbol_of(run.curve.parts[i].irrep) + " theory",
                                    [i](const TheoryPoint& p) { return p.learnability[i]; }));
  return line_chart(
      {.id = "learnability",
       .title = run.architecture.empty() && learned_by_dimension(run)
                    ? "The irrep of the smaller dimension is learned first"
                    : "What of the target is learned",
       .caption = std::string("E[f_R g_R]/E g_R² of the mean f that is learned and the clean target g, with "
                              "± one standard error over data sets (arXiv 2402.05173).") +
                  (run.theory.empty() ? "" : " Dashed: the self-consistent theory."),
       .alt = "Learnability of each irrep by number of samples",
       .x_label = "samples P",
       .y_label = "learnability",
       .log_x = true},
      lines);
}

Figure error_figure(const LearnRun& run) {
  // Of a target that is 0 there are no shares.
  const bool shares = run.curve.energy != 0 && run.curve.test_energy != 0;
  const double scale = shares ? run.curve.energy : 1, test_scale = shares ? run.curve.test_energy : 1;
  std::vector<Series> lines = {
      series_of(run.curve, run.data ? "held out" : "law of training", error_of, scale)};
  if (!run.test_law.empty()) lines.push_back(series_of(run.curve, "test law", test_error_of, test_scale));
  lines.push_back(series_of(run.curve, "training samples", train_error_of, scale));
  if (!run.theory.empty()) {
    lines.push_back(theory_series(run, "theory", theory_error, scale));
    lines.push_back(theory_series(run, "theory, training samples", theory_train_error, scale));
  }
  return line_chart(
      {.id = "error",
       .title = run.curve.energy == 0
                    ? "The target is 0, and what is learned is noise"
                    : fmt::format("With {} samples the error is {} the target's energy",
                                  format_count(run.curve.points.back().samples), energy_text(left_over(run))),
       .caption =
           fmt::format("Squared error{}; of the training samples against their noisy labels. ± one {}{}.",
                       shares ? " over the energy of the target under the same law" : "", spread_words(run),
                       run.theory.empty() ? "" : "; dashed: the self-consistent theory"),
       .alt = "Error by number of samples",
       .x_label = "samples P",
       .y_label = shares ? "share of the target's energy" : "squared error",
       .log_x = true,
       .log_y = true},
      lines);
}

Table curve_table(const LearnRun& run) {
  Table t{.id = "curve", .title = "Learning curve", .columns = {{"samples", "", "P"}}, .in_terminal = true};
  std::vector<PointValue> values;
  const auto add = [&](const std::string& name, const char* definition, const PointValue& value) {
    if (!has(run.curve, value)) return;
    values.push_back(value);
    t.columns.push_back({name, "", definition});
    t.columns.push_back({"± of " + name, "", spread_words(run), 2});
  };
  add("error", "E (f − g)²", error_of);
  for (std::size_t i = 0; i < run.curve.parts.size(); ++i)
    add(symbol_of(run.curve.parts[i].irrep), "learnability", learnability_of(i));
  add("test law", "E_q (f − g)² under the test law", test_error_of);
  add("training", "mean of (f − y)² at the samples", train_error_of);
  for (std::size_t i = 0; i < run.curve.parts.size(); ++i)
    add("output " + symbol_of(run.curve.parts[i].irrep), "E f_R²", output_of(i));
  add("evidence", "log P(y)/P", [](const SimulatedPoint& p) { return p.evidence; });
  for (const SimulatedPoint& p : run.curve.points) {
    std::vector<Cell> row = {static_cast<std::int64_t>(p.samples)};
    for (const PointValue& value : values) {
      row.push_back(number_cell(value(p).value));
      row.push_back(number_cell(value(p).error));
    }
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table theory_table(const LearnRun& run) {
  Table t{
      .id = "theory",
      .title = "Simulation and theory",
      .caption = "Mean over data sets, the self-consistent theory, and their difference in standard errors.",
      .columns = {{"samples", "", "P"},
                  {"quantity", "", ""},
                  {"simulation", "", ""},
                  {"±", "", "standard error", 2},
                  {"theory", "", ""},
                  {"difference", "", "in standard errors", 2}},
      .rows = {}};
  struct Quantity {
    std::string name;
    PointValue measured;
    TheoryValue expected;
  };
  std::vector<Quantity> quantities = {{"error", error_of, theory_error},
                                      {"training", train_error_of, theory_train_error}};
  for (std::size_t i = 0; i < run.curve.parts.size(); ++i)
    quantities.push_back({symbol_of(run.curve.parts[i].irrep), learnability_of(i),
                          [i](const TheoryPoint& p) { return p.learnability[i]; }});
  for (const SimulatedPoint& p : run.curve.points) {
    const auto theory = std::find_if(run.theory.begin(), run.theory.end(), [&](const TheoryPoint& q) {
      return q.samples == static_cast<double>(p.samples);
    });
    if (theory == run.theory.end()) continue;
    for (const Quantity& quantity : quantities) {
      const Estimate e = quantity.measured(p);
      if (!std::isfinite(e.value)) continue;
      const double expected = quantity.expected(*theory);
      t.rows.push_back({static_cast<std::int64_t>(p.samples), quantity.name, e.value, number_cell(e.error),
                        expected, number_cell((e.value - expected) / e.error)});
    }
  }
  return t;
}

}  // namespace telos::symmetry
