#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string>
#include <vector>

#include "clustering/page_training_parts.h"
#include "telos/report/charts.h"

namespace telos::clustering {
namespace {

/// A value by epoch: the median over seeds, with a band if there are several.
template <class Value>
Series by_epoch(const std::string& name, const std::vector<const std::vector<Epoch>*>& runs,
                const Value& value) {
  Series series{.name = name, .x = {}, .y = {}, .low = {}, .high = {}};
  std::size_t epochs = 0;
  for (const auto* run : runs) epochs = std::max(epochs, run->size());
  for (std::size_t k = 0; k < epochs; ++k) {
    std::vector<double> values;
    for (const auto* run : runs)
      if (k < run->size()) values.push_back(value((*run)[k]));
    const Band band(std::move(values));
    if (!std::isfinite(band.median)) continue;
    series.x.push_back(static_cast<double>(k));
    series.y.push_back(band.median);
    if (runs.size() < 2) continue;
    series.low.push_back(band.least);
    series.high.push_back(band.most);
  }
  return series;
}

std::vector<const std::vector<Epoch>*> epochs_of(const TrainingResult& result) {
  std::vector<const std::vector<Epoch>*> out;
  for (const TrainingRun& run : result.runs)
    if (usable(run)) out.push_back(&run.epochs);
  return out;
}

double last_epoch(const TrainingResult& result) {
  std::size_t most = 1;
  for (const TrainingRun& run : result.runs) most = std::max(most, run.epochs.size());
  return static_cast<double>(most - 1);
}

/// A figure of one value by epoch; `kinds`: pairs of a name's end and the value.
struct Curve {
  const char* name;
  double Epoch::*value;
};

std::vector<Series> curves(Results results, const std::vector<std::string>& names,
                           std::initializer_list<Curve> kinds) {
  std::vector<Series> out;
  for (std::size_t i = 0; i < results.size(); ++i)
    for (const Curve& kind : kinds)
      out.push_back(by_epoch(names[i] + kind.name, epochs_of(results[i]),
                             [&](const Epoch& e) { return e.*kind.value; }));
  return out;
}

/// Baselines of a result: their curve, or a level where they have none.
void add_baselines(std::vector<Series>& series, const TrainingResult& result, double Epoch::*value,
                   bool levels) {
  for (const Baseline& b : result.baselines) {
    if (!b.epochs.empty()) {
      series.push_back(by_epoch(b.name, {&b.epochs}, [&](const Epoch& e) { return e.*value; }));
    } else if (const double level = Band(b.accuracy).median; levels && std::isfinite(level)) {
      series.push_back(
          {.name = b.name, .x = {0, last_epoch(result)}, .y = {level, level}, .low = {}, .high = {}});
    }
  }
}

std::string band_caption(Results results, std::string text) {
  const bool several =
      std::any_of(results.begin(), results.end(), [](const auto& r) { return usable_runs(r) > 1; });
  return text + (several ? " Line: median over seeds; band: smallest to largest." : "");
}

}  // namespace

Figure test_accuracy_figure(Results results, const std::vector<std::string>& names,
                            const std::string& title) {
  std::vector<Series> series = curves(results, names, {{"", &Epoch::test_accuracy}});
  if (results.size() == 1) add_baselines(series, results[0], &Epoch::test_accuracy, true);
  return line_chart({.id = "test-accuracy",
                     .title = title,
                     .caption = band_caption(results, "Accuracy on the test texts after each epoch."),
                     .alt = "Test accuracy by epoch",
                     .x_label = "epoch",
                     .y_label = "test accuracy"},
                    series);
}

Figure accuracy_figure(Results results, const std::vector<std::string>& names) {
  const Band train =
      over_runs(results[0], [](const TrainingRun& r) { return r.epochs.back().train_accuracy; });
  const Band test = over_runs(results[0], [](const TrainingRun& r) { return r.epochs.back().test_accuracy; });
  return line_chart(
      {.id = "accuracy",
       .title = fmt::format("At the last epoch training texts are {:.1f} % right, test texts {:.1f} %",
                            100 * train.median, 100 * test.median),
       .caption = band_caption(results, "Training accuracy is over the epoch, as the weights change."),
       .alt = "Training and test accuracy by epoch",
       .x_label = "epoch",
       .y_label = "accuracy"},
      curves(results, names, {{", training", &Epoch::train_accuracy}, {", test", &Epoch::test_accuracy}}));
}

Figure training_loss_figure(Results results, const std::vector<std::string>& names) {
  std::vector<Series> series = curves(results, names, {{", training", &Epoch::train_loss}});
  if (results.size() == 1) add_baselines(series, results[0], &Epoch::train_loss, false);
  const Band first = over_runs(results[0], [](const TrainingRun& r) { return r.epochs.front().train_loss; });
  const Band last = over_runs(results[0], [](const TrainingRun& r) { return r.epochs.back().train_loss; });
  return line_chart({.id = "training-loss",
                     .title = fmt::format("Training loss goes from {} to {}", format_number(first.median, 3),
                                          format_number(last.median, 3)),
                     .caption = band_caption(results, "Mean cross-entropy over the epoch."),
                     .alt = "Training loss by epoch, logarithmic",
                     .x_label = "epoch",
                     .y_label = "training loss",
                     .log_x = false,
                     .log_y = true},
                    series);
}

Figure alpha_figure(Results results, const std::vector<std::string>& names) {
  const Band last = over_runs(results[0], [](const TrainingRun& r) { return r.epochs.back().alpha; });
  return line_chart({.id = "alpha",
                     .title = fmt::format("The step α ends at {}{}", format_number(last.median, 3),
                                          last.most > last.least
                                              ? fmt::format(" (from {} to {})", format_number(last.least, 3),
                                                            format_number(last.most, 3))
                                              : ""),
                     .caption = band_caption(results,
                                             "Small α: nearly a bag of words, more accurate and with less "
                                             "clustering; where α ends depends on where it starts."),
                     .alt = "α by epoch",
                     .x_label = "epoch",
                     .y_label = "α"},
                    curves(results, names, {{"", &Epoch::alpha}}));
}

}  // namespace telos::clustering
