#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "clustering/page_parts.h"

// What tables and figures of a training share.

namespace telos::clustering {

using Results = std::span<const TrainingResult>;

/// Smallest, middle and largest of some numbers; NaN of none.
struct Band {
  double least, median, most;
  explicit Band(std::vector<double> values) {
    std::erase_if(values, [](double x) { return !std::isfinite(x); });
    if (values.empty()) {
      least = median = most = std::numeric_limits<double>::quiet_NaN();
      return;
    }
    std::sort(values.begin(), values.end());
    least = values.front();
    most = values.back();
    const std::size_t half = values.size() / 2;
    median = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  }
};

inline bool usable(const TrainingRun& run) {
  return run.failed.empty() && !run.epochs.empty();
}

/// Accuracy of the forward pass that was trained.
inline double accuracy_of(const TrainingResult& result, const TrainingRun& run) {
  return result.spec.mode == LayerMode::kSoft ? run.soft.accuracy : run.hard.accuracy;
}

template <class Value>
Band over_runs(const TrainingResult& result, const Value& value) {
  std::vector<double> values;
  for (const TrainingRun& run : result.runs)
    if (usable(run)) values.push_back(value(run));
  return Band(std::move(values));
}

inline Band accuracy_over_runs(const TrainingResult& result) {
  return over_runs(result, [&](const TrainingRun& run) { return accuracy_of(result, run); });
}

inline std::size_t usable_runs(const TrainingResult& result) {
  return static_cast<std::size_t>(std::count_if(result.runs.begin(), result.runs.end(), usable));
}

// Figures by epoch; `names`: of each result. One result is shown with its baselines.
Figure test_accuracy_figure(Results results, const std::vector<std::string>& names, const std::string& title);
Figure accuracy_figure(Results results, const std::vector<std::string>& names);
Figure training_loss_figure(Results results, const std::vector<std::string>& names);
Figure alpha_figure(Results results, const std::vector<std::string>& names);

}  // namespace telos::clustering
