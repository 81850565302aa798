#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "io/json.h"
#include "io/json_fields.h"
#include "positional/lab_parts.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::positional {
namespace {

using OptimizerKind = nn::OptimizerOptions::Kind;
constexpr std::pair<const char*, OptimizerKind> kOptimizers[] = {
    {"adam", OptimizerKind::kAdam}, {"adamw", OptimizerKind::kAdamW}, {"sgd", OptimizerKind::kSgd}};

template <class Visitor, class Options>
void task_fields(Visitor& visit, Options& options) {
  visit("nodes", options.nodes);
  visit("cumulative", options.cumulative);
  visit("low", options.distribution.low);
  visit("high", options.distribution.high);
  visit("integers", options.distribution.integers);
  visit("hops", options.hops);
  visit("hop_letters", options.hop_letters);
  visit("sequence", options.sequence);
  visit("categories", options.categories);
  visit("queried", options.queried);
  visit("price_limit", options.price_limit);
}

template <class Visitor, class Model>
void hop_fields(Visitor& visit, Model& model) {
  visit("positional", model.positional);
  visit("layers", model.layers);
  visit("heads", model.heads);
  visit("width", model.width);
}

template <class Visitor, class Options>
void optimizer_fields(Visitor& visit, Options& options) {
  visit("beta1", options.beta1);
  visit("beta2", options.beta2);
  visit("eps", options.eps);
  visit("momentum", options.momentum);
  visit("weight_decay", options.weight_decay);
  visit("clip_norm", options.clip_norm);
}

/// What decides the bits of a run.
template <class Visitor, class Spec>
void training_fields(Visitor& visit, Spec& spec) {
  visit("rate", spec.rate);
  visit("plateau_patience", spec.plateau_patience);
  visit("plateau_factor", spec.plateau_factor);
  visit("min_rate", spec.min_rate);
  visit("epochs", spec.epochs);
  visit("batch", spec.batch);
  visit("train_samples", spec.train_samples);
  visit("test_samples", spec.test_samples);
  visit("scales", spec.scales);
  visit("variable_length", spec.variable_length);
  visit("runs", spec.runs);
  visit("seed", spec.seed);
  visit("evaluate_every", spec.evaluate_every);
  visit("test_each_evaluation", spec.test_each_evaluation);
  visit("tolerance", spec.tolerance);
}

/// What does not.
template <class Visitor, class Spec>
void session_fields(Visitor& visit, Spec& spec) {
  visit("checkpoint_every", spec.checkpoint_every);
  visit("max_steps", spec.max_steps);
  visit("max_seconds", spec.max_seconds);
}

[[noreturn]] void refuse(const char* field, double value, const char* allowed) {
  throw Error(ErrorKind::kUsage, fmt::format("training, {}", field),
              fmt::format("is {}, expected {}", value, allowed));
}
void at_least_one(const char* field, std::size_t value) {
  if (value < 1) refuse(field, static_cast<double>(value), "at least 1");
}
void positive(const char* field, double value) {
  if (!(std::isfinite(value) && value > 0)) refuse(field, value, "a finite number above 0");
}

void check_scales(const TrainSpec& spec, const Task& task) {
  if (spec.scales.empty())
    throw Error(ErrorKind::kUsage, "training, scales", "is empty, expected at least one scale");
  for (auto scale = spec.scales.begin(); scale != spec.scales.end(); ++scale)
    if (std::find(spec.scales.begin(), scale, *scale) != scale)
      throw Error(ErrorKind::kUsage, "training, scales", fmt::format("{} is there twice", *scale));
  if (!task.scalable()) return;
  // A sample says all that can be wrong with a scale before hours of training do.
  for (const double scale : spec.scales)
    draw(task, spec.seed, test_stream(scale), scale, Task::Split::kTrain, task.shape().nodes, 0, 1);
}

/// Bytes that the executors of one run take in one thread: two a length, to learn and to evaluate. What one
/// takes grows with the length at least as a line does, so the mean is at most that of the ends.
double executor_memory(const TrainSpec& spec, const Task& task) {
  const Network network = network_frame(spec, task);
  const std::size_t longest = task.shape().nodes, shortest = spec.variable_length ? 1 : longest;
  double bytes = 0;
  for (const std::size_t length : {shortest, longest})
    for (const bool with_loss : {true, false})
      bytes +=
          nn::Executor<float>::memory_needed(network.graph(length, spec.batch, with_loss), {.threads = 1});
  return bytes / 2 * static_cast<double>(longest - shortest + 1);
}

/// Bytes that the samples and parameters of one run take. A set is drawn into a copy in double, and a step
/// holds parameters, gradient and two moments in float beside the model's double.
double run_memory(const TrainSpec& spec, const Task& task, double parameters) {
  const SampleShape shape = task.shape();
  const auto real = [](std::size_t n) { return static_cast<double>(n); };
  const double rows = real(shape.nodes) + (spec.hop_model ? 0 : real(spec.model.scratch));
  const double sample = 4 * rows * real(shape.in_dim + shape.out_dim);
  double train = real(spec.train_samples), test = real(spec.test_samples);
  if (task.given_samples() > 0) {
    train = std::min(train, real(task.given_samples()));
    test = std::min(test, real(task.given_samples()));
  }
  const double sets = real(test_sets(task, spec.scales, spec.test_samples, false).size());
  return sample * (train + test * (1 + sets) + 2 * std::max(train, test)) + 32 * parameters;
}

void check_memory(const TrainSpec& spec, const Task& task) {
  const double nodes = static_cast<double>(task.shape().nodes);
  // The published blocks keep the mask of their attention, once in the graph and once in its executor.
  const double parameters = spec.hop_model ? parameter_estimate(*spec.hop_model, task.shape())
                                           : static_cast<double>(layout(spec.model).size());
  const double mask = spec.hop_model && spec.hop_model->positional ? 16 * nodes * nodes : 0;
  const auto require = [&](double bytes) {
    require_memory(bytes, fmt::format("training of {}", printable(spec.task)),
                   "take fewer samples, a smaller n or a smaller model");
  };
  const double without_executors = run_memory(spec, task, parameters) + mask;
  require(without_executors);  // a graph has parameters to be named, and constants
  require(without_executors + executor_memory(spec, task));
}

}  // namespace

void check_spec(const TrainSpec& spec, const Task& task) {
  constexpr std::size_t kMaxRuns = 100'000;
  constexpr std::size_t kMaxSamples = 0xFFFF'FFFF;  // the order of an epoch is drawn in 32 bits
  positive("rate", spec.rate);
  if (spec.plateau_patience > 0) positive("plateau_factor", spec.plateau_factor);
  if (spec.plateau_factor > 1) refuse("plateau_factor", spec.plateau_factor, "at most 1");
  at_least_one("epochs", spec.epochs);
  at_least_one("batch", spec.batch);
  at_least_one("train_samples", spec.train_samples);
  at_least_one("test_samples", spec.test_samples);
  at_least_one("runs", spec.runs);
  at_least_one("evaluate_every", spec.evaluate_every);
  at_least_one("checkpoint_every", spec.checkpoint_every);
  if (spec.runs > kMaxRuns) refuse("runs", static_cast<double>(spec.runs), "at most 100000");
  for (const auto& [field, samples] :
       {std::pair("train_samples", spec.train_samples), std::pair("test_samples", spec.test_samples)})
    if (samples > kMaxSamples) refuse(field, static_cast<double>(samples), "at most 4294967295");
  for (const auto& [field, value] :
       {std::pair("tolerance", spec.tolerance), std::pair("max_seconds", spec.max_seconds)})
    if (!(std::isfinite(value) && value >= 0)) refuse(field, value, "a finite number from 0");
  if (spec.variable_length && !task.variable_length())
    throw Error(ErrorKind::kUsage, "training, variable_length",
                fmt::format("task {} has lists of one length only", printable(task.name())));
  const std::size_t lengths = spec.variable_length ? task.shape().nodes : 1;
  if (spec.train_samples < lengths || spec.test_samples < lengths)
    throw Error(ErrorKind::kUsage, "training, train_samples and test_samples",
                fmt::format("are {} and {}, expected at least one for each of the {} lengths",
                            spec.train_samples, spec.test_samples, lengths));
  if (spec.hop_model && !task.shape().classes)
    throw Error(ErrorKind::kUsage, "training, hop_model",
                fmt::format("is for the task khop, the task is {}", printable(task.name())));
  if (spec.hop_model)
    check_hop_model(*spec.hop_model);
  else
    check(spec.model);
  check_memory(spec, task);
  check_scales(spec, task);
}

std::string task_json(const TaskChoice& choice) {
  JsonFieldWriter all, options;
  all("name", choice.name);
  task_fields(options, choice.options);
  all.object()["options"] = options.object();
  return all.object().dump();
}

TaskChoice parse_task(std::string_view json, const std::string& where) {
  const nlohmann::ordered_json object = parse_json(json, where);
  JsonFieldReader read(object, where, ErrorKind::kBadFormat, false);
  TaskChoice choice;
  read("name", choice.name);
  if (const nlohmann::ordered_json* options = read.find("options")) {
    JsonFieldReader inner(*options, read.place("options"), ErrorKind::kBadFormat, false);
    task_fields(inner, choice.options);
    inner.refuse_unknown();
  }
  read.refuse_unknown();
  return choice;
}

std::string spec_json(const TrainSpec& spec) {
  JsonFieldWriter all, task, hop, optimizer;
  all("task", spec.task);
  task_fields(task, spec.task_options);
  all.object()["task_options"] = task.object();
  all.object()["model"] = nlohmann::ordered_json::parse(config_json(spec.model));
  if (spec.hop_model) {
    hop_fields(hop, *spec.hop_model);
    all.object()["hop_model"] = hop.object();
  }
  for (const auto& [name, kind] : kOptimizers)
    if (kind == spec.optimizer.kind) optimizer("kind", std::string(name));
  optimizer_fields(optimizer, spec.optimizer);
  all.object()["optimizer"] = optimizer.object();
  training_fields(all, spec);
  session_fields(all, spec);
  return all.object().dump(2) + "\n";
}

TrainSpec parse_spec(std::string_view json, const std::string& where) {
  const nlohmann::ordered_json object = parse_json(json, where);
  TrainSpec spec;
  JsonFieldReader read(object, where, ErrorKind::kBadFormat, false);
  read("task", spec.task);
  const auto part = [&](const char* name, const auto& fill) {
    if (const nlohmann::ordered_json* found = read.find(name)) {
      JsonFieldReader inner(*found, read.place(name), ErrorKind::kBadFormat, false);
      fill(inner);
      inner.refuse_unknown();
    }
  };
  part("task_options", [&](JsonFieldReader& inner) { task_fields(inner, spec.task_options); });
  part("hop_model", [&](JsonFieldReader& inner) { hop_fields(inner, spec.hop_model.emplace()); });
  part("optimizer", [&](JsonFieldReader& inner) {
    std::string kind = "adam";
    inner("kind", kind);
    std::vector<std::string> names;
    for (const auto& [name, value] : kOptimizers) {
      if (kind == name) spec.optimizer.kind = value;
      names.emplace_back(name);
    }
    if (std::find(names.begin(), names.end(), kind) == names.end())
      inner.refuse("kind", fmt::format("unknown optimizer \"{}\"", printable(kind)),
                   nearest_hint(kind, names));
    optimizer_fields(inner, spec.optimizer);
  });
  if (const nlohmann::ordered_json* model = read.find("model"))
    spec.model = parse_config(model->dump(), read.place("model"));
  training_fields(read, spec);
  session_fields(read, spec);
  read.refuse_unknown();
  return spec;
}

std::vector<TrainSpec> parse_specs(std::string_view json, const std::string& where) {
  const nlohmann::ordered_json list = parse_json(json, where);
  if (!list.is_array()) return {parse_spec(json, where)};
  std::vector<TrainSpec> specs;
  for (std::size_t i = 0; i < list.size(); ++i)
    specs.push_back(parse_spec(list[i].dump(), fmt::format("{}, spec {}", where, i)));
  return specs;
}

}  // namespace telos::positional
