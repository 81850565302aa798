// What the page of a training says in words: names of its models, verdict, evidence.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "positional/page_parts.h"
#include "positional/page_training_parts.h"
#include "telos/base/quantity.h"
#include "telos/report/words.h"

namespace telos::positional {
namespace {

std::size_t layers_of(const TrainResult& r) {
  return r.spec.hop_model ? r.spec.hop_model->layers : r.spec.model.depth();
}

std::size_t width_of(const TrainResult& r) {
  return r.spec.hop_model ? r.spec.hop_model->width : r.spec.model.width;
}

}  // namespace

std::string kind_name(const TrainResult& r) {
  if (r.spec.hop_model) return r.spec.hop_model->positional ? "positional" : "standard";
  return kind_words(r.spec.model);
}

std::size_t hidden_of(const TrainResult& r) {
  return r.spec.hop_model ? 0 : r.spec.model.hidden;
}

double nodes_of(const TrainResult& r) {
  return static_cast<double>(r.spec.model.nodes);
}
double samples_of(const TrainResult& r) {
  return static_cast<double>(r.spec.train_samples);
}
double depth_of(const TrainResult& r) {
  return static_cast<double>(layers_of(r));
}

Names::Names(std::span<const TrainResult> results) : results_(results) {
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

const std::string& Names::operator()(const TrainResult& r) const {
  return names_[static_cast<std::size_t>(&r - results_.data())];
}

std::size_t finished_runs(const TrainResult& r) {
  return static_cast<std::size_t>(std::count_if(r.runs.begin(), r.runs.end(), [](const RunResult& run) {
    return run.end != RunResult::End::kDiverged;
  }));
}

bool has_scales(const TrainResult& r) {
  return r.test.size() > 1 && std::isfinite(r.test.front().median) && std::isfinite(r.test.back().median);
}

double accuracy_of(const TrainResult& r) {
  std::vector<double> all;
  for (const RunResult& run : r.runs)
    if (run.end != RunResult::End::kDiverged) all.push_back(run.validation.within);
  if (all.empty()) return std::nan("");
  std::sort(all.begin(), all.end());
  return (all[(all.size() - 1) / 2] + all[all.size() / 2]) / 2;
}

double excess(const TrainResult& r) {
  return r.test_over_scale2.back().median / r.test_over_scale2.front().median;
}

bool has_far(const TrainResult& r) {
  return !r.test.empty() && !r.spec.scales.empty() && r.spec.scales.back() > 1 &&
         std::isfinite(r.test.back().median);
}

namespace {

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

}  // namespace

Verdict training_verdict(std::span<const TrainResult> results, const Names& name) {
  return {sentence_of(results, name), basis_of(results), evidence_of(results, name)};
}

}  // namespace telos::positional
