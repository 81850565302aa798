#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "telos/positional/lab.h"
#include "telos/report/report.h"

// The page of a training, in three parts: what it says (page_training_words.cpp), its figures
// (page_training_figures.cpp), its tables and the whole (page_training.cpp).
namespace telos::positional {

/// "positional", "standard", …: of the model that was trained.
std::string kind_name(const TrainResult& r);
std::size_t hidden_of(const TrainResult& r);

/// A number by which the results of one page may differ.
using Quantity = double (*)(const TrainResult&);
double nodes_of(const TrainResult& r);
double samples_of(const TrainResult& r);
double depth_of(const TrainResult& r);

template <class Value>
bool differ(std::span<const TrainResult> results, Value&& value) {
  return std::any_of(results.begin(), results.end(),
                     [&](const TrainResult& r) { return value(r) != value(results[0]); });
}

/// What tells results of one page apart: kind, and task, size, samples or rate where they differ; where these
/// are all alike, a number.
class Names {
 public:
  explicit Names(std::span<const TrainResult> results);
  /// Of one of the results that the names were made for.
  const std::string& operator()(const TrainResult& r) const;

 private:
  std::span<const TrainResult> results_;
  std::vector<std::string> names_{};
};

/// Runs that did not diverge.
std::size_t finished_runs(const TrainResult& r);
/// Errors at several scales.
bool has_scales(const TrainResult& r);
/// An error at a scale beyond training.
bool has_far(const TrainResult& r);
/// Median accuracy of the runs that did not diverge.
double accuracy_of(const TrainResult& r);
/// E at the largest scale over c²·E_1: 1 for a model and a task that scale themselves.
double excess(const TrainResult& r);

/// The verdict: its sentence, how many runs stand behind it, and the numbers of each model.
Verdict training_verdict(std::span<const TrainResult> results, const Names& name);

/// Error, or error over c², against the scale, a line a model.
Figure scales_figure(std::span<const TrainResult> results, const Names& name, bool over_scale2,
                     const std::string& title);
/// "Error over c² changes 8.43-fold for positional, 260-fold for standard"
std::string over_scale_title(std::span<const TrainResult> results, const Names& name);
/// Training and validation of each model; of more than four models the validation alone, of eight at most,
/// which is as many as have a colour of their own.
Figure curves_figure(std::span<const TrainResult> results, const Names& name);
/// Validation and largest-scale error against each quantity in which the results differ.
std::vector<Figure> sweep_figures(std::span<const TrainResult> results);

}  // namespace telos::positional
