// Figures of the page of a training.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "positional/page_training_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/charts.h"
#include "telos/report/words.h"

namespace telos::positional {
namespace {

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

}  // namespace

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

std::vector<Figure> sweep_figures(std::span<const TrainResult> results) {
  std::vector<Figure> figures;
  if (differ(results, nodes_of)) figures.push_back(sweep_figure(results, "by-n", "positions n", nodes_of));
  if (differ(results, samples_of))
    figures.push_back(sweep_figure(results, "by-m", "training samples m", samples_of));
  if (differ(results, depth_of) && !differ(results, nodes_of))  // n sets the layers
    figures.push_back(sweep_figure(results, "by-depth", "layers", depth_of));
  return figures;
}

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

}  // namespace telos::positional
