#include "telos/positional/lab.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "io/sha256.h"
#include "positional/lab_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/files.h"

namespace telos::positional {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSpec = "spec.json";
constexpr const char* kData = "data.sha256";

std::string in(const std::string& folder, const std::string& name) {
  return folder.empty() ? std::string() : (fs::path(folder) / name).string();
}

/// The spec with what the task decides filled in.
TrainSpec fitted(TrainSpec spec, const Task& task) {
  spec.model = fit_model(spec.model, task);
  if (!task.scalable()) spec.scales = {1};
  if (std::ranges::all_of(spec.scales, [](double c) { return std::isfinite(c); }))
    std::ranges::sort(spec.scales);
  if (task.given_samples() > 0)
    spec.train_samples = std::min(spec.train_samples, given_samples(task, Task::Split::kTrain));
  return spec;
}

/// Without what may differ between the sessions of a training: budgets, folder, number of runs.
std::string identity_of(TrainSpec spec) {
  const TrainSpec defaults;
  spec.runs = defaults.runs;
  spec.checkpoint_every = defaults.checkpoint_every;
  spec.max_steps = defaults.max_steps;
  spec.max_seconds = defaults.max_seconds;
  return spec_json(spec);
}

/// The first field in which two specs differ, as "it has batch: 32, this training batch: 16".
std::string first_difference(const nlohmann::ordered_json& before, const nlohmann::ordered_json& now) {
  for (const auto& [key, value] : now.items()) {
    const auto old = before.find(key);
    if (old != before.end() && *old == value) continue;
    if (old != before.end() && old->is_object() && value.is_object()) return first_difference(*old, value);
    const auto shown = [&key = key](const nlohmann::ordered_json& v) {
      return printable(key) + ": " + printable(v.is_string() ? v.get<std::string>() : v.dump());
    };
    return fmt::format("it has {}, this training {}",
                       old == before.end() ? "no " + printable(key) : shown(*old), shown(value));
  }
  return "it has other fields";
}

void check_same_training(const TrainSpec& spec, const std::string& path) {
  const std::string before = identity_of(parse_spec(read_text(path), path)), now = identity_of(spec);
  if (before != now)
    throw Error(ErrorKind::kUsage, path,
                fmt::format("the folder holds another training: {}",
                            first_difference(nlohmann::ordered_json::parse(before),
                                             nlohmann::ordered_json::parse(now))),
                "choose another folder, or start anew without resuming");
}

/// What is left of earlier runs would be taken for this training's when it is resumed.
void remove_runs(const std::string& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.is_directory() && entry.path().filename().string().starts_with(kRunPrefix))
      remove_path(entry.path().string());
}

/// SHA-256 of the samples of a data file; empty where samples are drawn.
std::string digest_of(const Task& task) {
  if (task.given_samples() == 0) return {};
  std::vector<double> x(task.shape().nodes * task.shape().in_dim),
      y(task.shape().nodes * task.shape().out_dim);
  Sha256 sha;
  for (std::size_t i = 0; i < task.given_samples(); ++i) {
    task.given(i, x, y);
    sha.update(x.data(), x.size() * sizeof(double));
    sha.update(y.data(), y.size() * sizeof(double));
  }
  return sha.hex() + "\n";
}

/// Opens the folder of a training: the same spec and data when it goes on, else one without runs.
std::unique_ptr<RunFolder> open_folder(const TrainSpec& spec, const Task& task) {
  if (spec.folder.empty()) return nullptr;
  const std::string path = in(spec.folder, kSpec), data = in(spec.folder, kData);
  const bool goes_on = spec.resume && fs::exists(path);
  if (goes_on) check_same_training(spec, path);
  const std::string digest = digest_of(task);
  if (goes_on && fs::exists(data) && read_text(data) != digest)
    throw Error(ErrorKind::kUsage, spec.folder,
                fmt::format("the samples of {} are not those that this training began with",
                            printable(spec.task, 4096)),
                "choose another folder, or start anew without resuming");
  auto folder = std::make_unique<RunFolder>(spec.folder);
  if (!goes_on) remove_runs(spec.folder);
  folder->write(kSpec, spec_json(spec));
  if (!digest.empty()) folder->write(kData, digest);
  return folder;
}

/// Folders of a training of several specs: "00-sum-n8-m30000", in their order.
std::vector<std::string> folder_names(const std::vector<TrainSpec>& specs) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    // Names of tasks may be paths and formulas: letters, digits and signs that any file system takes stay.
    std::string task = specs[i].task;
    for (char& c : task)
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-') c = '_';
    names.push_back(fmt::format("{:02}-{}-n{}-m{}", i, task.substr(0, 40), specs[i].task_options.nodes,
                                specs[i].train_samples));
  }
  return names;
}

/// The number that a name of folder_names() begins with.
std::optional<std::size_t> place_of(std::string_view name) {
  std::size_t place = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), place);
  const bool named =
      error == std::errc() && end - name.data() >= 2 && end != name.data() + name.size() && *end == '-';
  return named ? std::optional(place) : std::nullopt;
}

/// What other trainings left in the folder goes, or is refused where this one would begin anew beside it.
void make_room(const std::vector<std::string>& names, const std::string& folder, bool resume) {
  std::error_code ignored;
  std::vector<std::string> others;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (place_of(name) && std::find(names.begin(), names.end(), name) == names.end()) others.push_back(name);
  }
  for (const std::string& name : others) {
    if (!resume) {
      remove_path(in(folder, name));
      continue;
    }
    if (const std::size_t place = *place_of(name); place < names.size())
      throw Error(
          ErrorKind::kUsage, in(folder, name),
          fmt::format("the folder holds another training: here this one has {}", printable(names[place])),
          "give the tasks, sizes and samples that it was started with, or choose another folder");
  }
}

void train_runs(const TrainSpec& spec, const Task& task, std::vector<RunResult>& runs, const Arena& arena) {
  Progress progress(fmt::format("train {}", printable(spec.task)), "epoch",
                    static_cast<double>(spec.runs) * static_cast<double>(spec.epochs));
  const auto one = [&](std::size_t run, const Arena& threads) {
    runs[run] = train_run(spec, task, run, in(spec.folder, run_folder_name(run)), threads,
                          [&](std::size_t epochs) { progress.advance(static_cast<double>(epochs)); });
  };
  if (spec.runs == 1) return one(0, arena);
  // Networks of this size gain more from running side by side than from sharing a step.
  arena.parallel_for(spec.runs, [&](std::size_t run) {
    const Arena single(1);
    one(run, single);
  });
}

std::size_t parameters_of(const std::vector<RunResult>& runs) {
  return runs.empty() ? 0 : runs.front().model.values.size();
}

template <class T>
void evaluate_sets(const Model& model, const Task& task, const Arena& arena, EvalResult& result) {
  const EvalOptions& options = result.options;
  const std::vector<T> parameters(model.values.begin(), model.values.end());
  std::map<std::size_t, std::unique_ptr<Runner<T>>> runners;
  const auto runner = [&](std::size_t length) -> Runner<T>& {
    auto& made = runners[length];
    if (!made)
      made = std::make_unique<Runner<T>>(
          build_graph(model.config, model.layout, graph_options(task.shape(), length, options.batch, false)),
          arena);
    return *made;
  };
  const auto sets = test_sets(task, options.scales, options.samples, options.unseen);
  Progress progress("evaluate", "set", static_cast<double>(sets.size() * options.lengths.size()));
  for (const SetSpec& set : sets)
    for (const std::size_t length : options.lengths) {
      check_interrupt();
      const auto blocks =
          draw_blocks<T>(task, set, options.seed, std::span(&length, 1), model.config.scratch);
      ErrorRow row =
          measure<T>(blocks, parameters, runner, set.scale, options.tolerance, options.batch, arena);
      row.split = set.split;
      if (row.overflowed > 0 && !result.overflow_scale) result.overflow_scale = set.scale;
      result.rows.push_back(row);
      progress.advance();
    }
  // The example: one more forward pass of the first sample.
  const std::size_t length = options.lengths.front();
  SetSpec first = sets.front();
  first.samples = 1;
  const Dataset sample = draw(task, options.seed, first.stream, first.scale, first.split, length,
                              model.config.scratch, 1, first.first);
  const auto block = block_of<T>(sample);
  const std::size_t columns = task.shape().classes ? task.shape().classes_count : task.shape().out_dim;
  Matrix<T> output(block.rows, columns);
  const MatrixView<T> view = output;
  runner(length).executor.forward(std::span<const T>(parameters), block.batch(0, 1, false), {&view, 1},
                                  arena);
  result.example_x.assign(sample.x.data(), sample.x.data() + sample.x.size());
  result.example_y.assign(sample.y.data(), sample.y.data() + sample.y.size());
  result.example_output.assign(output.data(), output.data() + output.size());
}

void check_fits(const Model& model, const Task& task) {
  const ModelConfig wanted = fit_model(model.config, task);
  const auto differ = [&](const char* what, std::size_t has, std::size_t needs) {
    if (has != needs)
      throw Error(ErrorKind::kUsage, fmt::format("model for task {}", printable(task.name())),
                  fmt::format("{} is {}, the task has {}", what, has, needs),
                  "evaluate it on the task and n that it was made for");
  };
  differ("nodes", model.config.nodes, wanted.nodes);
  differ("in_dim", model.config.in_dim, wanted.in_dim);
  differ("out_dim", model.config.out_dim, wanted.out_dim);
  differ("vocabulary", model.config.vocabulary, wanted.vocabulary);
}

void check_options(const EvalOptions& options) {
  if (options.samples < 1 || options.batch < 1)
    throw Error(ErrorKind::kUsage, "evaluation",
                fmt::format("samples is {} and batch is {}, expected at least 1 each", options.samples,
                            options.batch));
  if (!(options.tolerance >= 0))
    throw Error(ErrorKind::kUsage, "evaluation",
                fmt::format("tolerance is {}, expected at least 0", options.tolerance));
  if (options.scales.empty())
    throw Error(ErrorKind::kUsage, "evaluation", "scales is empty, expected at least one");
}

}  // namespace

TrainResult train(const TrainSpec& spec, const Arena& arena) {
  return train(spec, *make_task(spec.task, spec.task_options), arena);
}

TrainResult train(const TrainSpec& given, const Task& task, const Arena& arena) {
  TrainSpec spec = fitted(given, task);
  spec.task = task.name();
  check_spec(spec, task);
  const std::unique_ptr<RunFolder> folder = open_folder(spec, task);
  TrainResult result{.spec = spec, .runs = std::vector<RunResult>(spec.runs)};
  train_runs(spec, task, result.runs, arena);
  result.parameters = parameters_of(result.runs);
  summarise(result, task);
  if (folder) folder->finish("{\"kind\": \"positional training\"}");
  return result;
}

std::vector<TrainResult> train_each(const std::vector<TrainSpec>& specs, const std::string& folder,
                                    const Arena& arena) {
  const std::vector<std::string> names = folder_names(specs);
  if (!folder.empty() && !specs.empty()) {
    for (const TrainSpec& spec : specs) {  // before anything is thrown away
      const std::unique_ptr<Task> task = make_task(spec.task, spec.task_options);
      check_spec(fitted(spec, *task), *task);
    }
    make_room(names, folder, specs[0].resume);
  }
  std::vector<TrainResult> results;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    TrainSpec spec = specs[i];
    spec.folder = in(folder, names[i]);
    results.push_back(train(spec, arena));
  }
  return results;
}

TrainResult read_training(const std::string& folder) {
  const std::string path = in(folder, kSpec);
  const TrainSpec spec = parse_spec(read_text(path), path);
  return read_training(folder, *make_task(spec.task, spec.task_options));
}

TrainResult read_training(const std::string& folder, const Task& task) {
  const std::string path = in(folder, kSpec);
  TrainSpec spec = parse_spec(read_text(path), path);
  spec.folder = folder;
  check_spec(spec, task);
  const std::size_t sets = test_sets(task, spec.scales, spec.test_samples, false).size();
  TrainResult result{.spec = spec};
  for (std::size_t run = 0; run < spec.runs; ++run) {
    const std::string own = in(folder, run_folder_name(run)), file = in(own, "result.json");
    if (!fs::exists(file)) continue;
    result.runs.push_back(read_run(file, sets));
    result.runs.back().model = load_trained(spec, task, in(own, "model.safetensors"));
  }
  result.parameters = parameters_of(result.runs);
  summarise(result, task);
  return result;
}

EvalResult evaluate_model(const Model& model, const Task& task, const EvalOptions& options,
                          const Arena& arena) {
  check_options(options);
  check_fits(model, task);
  EvalResult result{.task = task.name(),
                    .kind = kind_of(model.config),
                    .origin = model.origin,
                    .config = model.config,
                    .exact_program = task.exact_program(),
                    .homogeneous = task.homogeneous(),
                    .given_data = task.given_samples() > 0,
                    .classes = task.shape().classes,
                    .options = options};
  if (result.options.lengths.empty()) result.options.lengths = {task.shape().nodes};
  if (options.as_double)
    evaluate_sets<double>(model, task, arena, result);
  else
    evaluate_sets<float>(model, task, arena, result);
  return result;
}

}  // namespace telos::positional
