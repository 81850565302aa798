#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/positional.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/positional/page.h"

namespace telos::cli {
namespace {

using namespace positional;

/// Options of `train`; what was not given leaves the experiment's own value.
struct TrainArguments {
  std::string experiment = "short", tasks = "min", models = "positional", params, spec;
  std::optional<std::size_t> nodes, width, heads, hidden, layers, mlp_layers, runs, epochs, batch, samples,
      test_samples, evaluate_every;
  std::optional<std::uint64_t> seed;
  std::optional<double> rate, max_seconds, tolerance;
  std::string scales, encoding;
  bool no_bias = false, variable_length = false, resume = false, restart = false, show = false,
       whole_list = false, integers = false, compat_rope = false, task_given = false;
};

positional::Encoding encoding_named(const std::string& name) {
  if (name == "onehot") return positional::Encoding::kOneHot;
  return name == "binary" ? positional::Encoding::kBinary : positional::Encoding::kSinusoidal;
}

template <class To, class From>
void set_if(To& to, const std::optional<From>& from) {
  if (from) to = *from;
}

void apply(const TrainArguments& a, TrainSpec& spec) {
  if (a.nodes) spec.task_options.nodes = spec.model.nodes = *a.nodes;
  set_if(spec.model.width, a.width);
  set_if(spec.model.heads, a.heads);
  set_if(spec.model.hidden, a.hidden);
  set_if(spec.model.layers, a.layers);
  set_if(spec.model.mlp_layers, a.mlp_layers);
  if (spec.hop_model && (a.no_bias || a.hidden || a.mlp_layers || !a.encoding.empty()))
    throw Error(ErrorKind::kUsage, "--no-bias, --pe, --hidden, --mlp-layers",
                "the blocks that k-hop was published with have no such choice",
                "--layers, --width and --heads are theirs");
  if (a.layers && spec.hop_model) spec.hop_model->layers = *a.layers;
  if (a.width && spec.hop_model) spec.hop_model->width = *a.width;
  if (a.heads && spec.hop_model) spec.hop_model->heads = *a.heads;
  set_if(spec.runs, a.runs);
  set_if(spec.epochs, a.epochs);
  set_if(spec.batch, a.batch);
  set_if(spec.train_samples, a.samples);
  set_if(spec.test_samples, a.test_samples);
  set_if(spec.evaluate_every, a.evaluate_every);
  set_if(spec.seed, a.seed);
  set_if(spec.rate, a.rate);
  set_if(spec.max_seconds, a.max_seconds);
  set_if(spec.tolerance, a.tolerance);
  if (!a.scales.empty()) spec.scales = parse_numbers(a.scales, "--scales");
  if (!a.encoding.empty()) spec.model.encoding = encoding_named(a.encoding);
  if (spec.model.encoding == positional::Encoding::kSinusoidal && spec.model.encoding_dim == 0)
    spec.model.encoding_dim = 16;
  if (a.no_bias) spec.model.bias = false;
  if (a.variable_length) spec.variable_length = true;
  if (a.whole_list) spec.task_options.cumulative = false;
  if (a.integers) spec.task_options.distribution.integers = true;
  spec.resume = a.resume;
}

void refuse_twice(const char* option, const std::vector<std::string>& names) {
  for (auto name = names.begin(); name != names.end(); ++name)
    if (std::find(names.begin(), name, *name) != name)
      throw Error(ErrorKind::kUsage, option, fmt::format("\"{}\" is there twice", printable(*name, 40)),
                  "name each once; more seeds are --runs");
}

/// What the command line says of a task's samples.
struct SampleOptions {
  bool nodes = false, cumulative = false, integers = false, scales = false, unseen = false;
};

/// Refuses an option that none of `tasks` reads; `named` are the tasks as the command line has them.
void refuse_idle_options(const std::vector<std::unique_ptr<Task>>& tasks, const SampleOptions& given,
                         const std::string& named) {
  const auto refuse_unless = [&](bool is_given, const char* option, bool (*reads)(const Task&),
                                 const char* readers) {
    if (is_given && std::none_of(tasks.begin(), tasks.end(), [&](const auto& task) { return reads(*task); }))
      throw Error(ErrorKind::kUsage, option, fmt::format("{} has no use for it", printable(named, 60)),
                  readers);
  };
  refuse_unless(
      given.nodes, "--n", [](const Task& task) { return task.reads().nodes; },
      "the length of its samples is its own; --n is for lists, minsum, path and expressions");
  refuse_unless(
      given.cumulative, "--whole-list", [](const Task& task) { return task.reads().cumulative; },
      "it is for the lists' running values and minsum; an expression says \"whole(…)\"");
  refuse_unless(
      given.integers, "--integers", [](const Task& task) { return task.reads().distribution; },
      "it is for lists, minsum, path and expressions, whose numbers are drawn from an interval");
  refuse_unless(
      given.scales, "--scales", [](const Task& task) { return task.scalable(); },
      "its test samples are what they are: there is no interval to scale");
  refuse_unless(
      given.unseen, "--unseen", [](const Task& task) { return task.unseen_test(); },
      "it is for khop and the mixed tasks, whose letters or categories training never uses");
}

std::vector<TrainSpec> specs_of(const TrainArguments& a) {
  std::vector<TrainSpec> specs;
  if (!a.spec.empty()) {
    specs = parse_specs(read_text(a.spec), a.spec);
  } else {
    const std::vector<std::string> tasks = split_list(a.tasks), kinds = split_list(a.models);
    refuse_twice("--task", tasks);
    refuse_twice("--model", kinds);
    if (a.params.empty() && a.experiment == "khop" && a.task_given && a.tasks != "khop")
      throw Error(ErrorKind::kUsage, "--task", "the experiment khop has the task khop alone",
                  "leave --task out");
    for (const std::string& task : tasks)
      for (const std::string& kind : kinds) {
        const auto made = a.params.empty()
                              ? experiment(a.experiment, task, kind)
                              : parse_params(read_text(a.params), a.params,
                                             {.task = task, .kind = kind, .compat_rope_noop = a.compat_rope});
        specs.insert(specs.end(), made.begin(), made.end());
      }
  }
  for (TrainSpec& spec : specs) apply(a, spec);
  if (specs.empty())
    throw Error(ErrorKind::kUsage, "train", "no task or no model was named", "see `telos positional tasks`");
  std::vector<std::unique_ptr<Task>> tasks;
  std::vector<std::string> names;
  for (const TrainSpec& spec : specs) {
    if (std::find(names.begin(), names.end(), spec.task) != names.end()) continue;
    names.push_back(spec.task);
    tasks.push_back(make_task(spec.task, spec.task_options));
  }
  refuse_idle_options(tasks,
                      {.nodes = a.nodes.has_value(),
                       .cumulative = a.whole_list,
                       .integers = a.integers,
                       .scales = !a.scales.empty()},
                      fmt::format("{}", fmt::join(names, ", ")));
  return specs;
}

/// What the library calls the options; a file of settings has its names.
OptionNames option_names(const TrainArguments& a) {
  if (!a.spec.empty() || !a.params.empty()) return {};
  return {{"training, rate", "--rate"},
          {"training, epochs", "--epochs"},
          {"training, batch", "--batch"},
          {"training, train_samples", "--samples"},
          {"training, test_samples", "--test-samples"},
          {"training, train_samples and test_samples", "--samples and --test-samples"},
          {"training, runs", "--runs"},
          {"training, evaluate_every", "--evaluate-every"},
          {"training, scales", "--scales"},
          {"training, tolerance", "--tolerance"},
          {"training, max_seconds", "--max-seconds"},
          {"training, variable_length", "--variable-length"}};
}

/// Whoever interrupts a training is told how it goes on.
std::vector<TrainResult> train(const std::vector<TrainSpec>& specs, const std::string& folder,
                               Context& context) {
  try {
    return train_each(specs, folder, context.arena());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    throw Error(error.kind(), error.where(), error.message(),
                folder.empty() ? "nothing is left of it; with --out DIR a training can be resumed"
                               : "the same command with --resume goes on from the last checkpoint");
  }
}

int train_command(const TrainArguments& a, Context& context) {
  const std::vector<TrainSpec> specs = specs_of(a);
  if (a.show) {
    std::vector<std::string> shown;
    for (const TrainSpec& spec : specs) shown.push_back(spec_json(spec));
    const bool one = shown.size() == 1;  // several are an array, which --spec reads as well
    print_out(fmt::format("{}{}{}\n", one ? "" : "[\n", fmt::join(shown, ",\n"), one ? "" : "\n]"));
    return 0;
  }
  if ((a.resume || a.restart) && context.out_directory.empty())
    throw Error(ErrorKind::kUsage, a.resume ? "--resume" : "--restart", "there is no folder of a training",
                "name it with --out");
  std::string folder;
  if (!context.out_directory.empty()) {
    folder = context.out_directory + "/runs";
    if (std::filesystem::exists(folder) && !a.resume && !a.restart)
      throw Error(ErrorKind::kUsage, context.out_directory, "there is a training in it already",
                  "--resume goes on with it, --restart throws it away");
    const RunFolder run(context.out_directory);  // refuses what cannot be written before hours are spent
  }
  const std::vector<TrainResult> results = train(specs, folder, context);
  return deliver(training_report(results, positional_page("train", specs[0].task, context)), context);
}

void add_sizes(CLI::App& command, TrainArguments& a) {
  command.add_option("--n", a.nodes, "Data positions")->type_name("N");
  command.add_option("--width", a.width, "Embedding width d")->type_name("D");
  command.add_option("--heads", a.heads, "Heads H")->type_name("H");
  command.add_option("--hidden", a.hidden, "Hidden units of an MLP")->type_name("H");
  command.add_option("--layers", a.layers, "Layers (default: floor(log2 n) + 1)")->type_name("L");
  command.add_option("--mlp-layers", a.mlp_layers, "Linear maps of an MLP")->type_name("K");
  command.add_option("--pe", a.encoding, "Positions: onehot, binary or sinusoidal")
      ->check(CLI::IsMember({"onehot", "binary", "sinusoidal"}))
      ->type_name("P");
  command.add_flag("--no-bias", a.no_bias, "No biases: f(cX) = c·f(X)");
}

void add_training_options(CLI::App& command, TrainArguments& a) {
  command.add_option("--runs", a.runs, "Runs (seeds)")->type_name("R");
  command.add_option("--seed", a.seed, "Seed of the first run")->type_name("S");
  command.add_option("--epochs", a.epochs, "Epochs")->type_name("E");
  command.add_option("--samples", a.samples, "Training samples")->type_name("M");
  command.add_option("--test-samples", a.test_samples, "Samples of validation and of each scale")
      ->type_name("M");
  command.add_option("--batch", a.batch, "Batch size")->type_name("B");
  command.add_option("--rate", a.rate, "Learning rate")->type_name("R");
  command.add_option("--scales", a.scales, "Test scales, e.g. 1:10 or 1,2,5")->type_name("LIST");
  command.add_option("--evaluate-every", a.evaluate_every, "Epochs between evaluations")->type_name("E");
  command.add_option("--tolerance", a.tolerance, "What counts as right: |error| ≤ T·max(1, |target|)")
      ->type_name("T");
  command
      .add_option("--max-seconds", a.max_seconds, "Stop each run after so long in this session; 0: no limit")
      ->type_name("S");
  command.add_flag("--variable-length", a.variable_length, "Lists of 1 … n numbers");
  command.add_flag("--whole-list", a.whole_list,
                   "The whole list's answer at each position, not the prefix's");
  command.add_flag("--integers", a.integers, "Whole numbers");
}

void add_train(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("train", "Train models on a task and test them beyond its range");
  auto a = std::make_shared<TrainArguments>();
  CLI::Option* const tasks =
      command
          ->add_option("--task", a->tasks,
                       "Tasks, a data file (*.csv, *.jsonl) or an expression; see `tasks`")
          ->type_name("LIST")
          ->capture_default_str();
  CLI::Option* const models =
      command->add_option("--model", a->models, "Kinds of models, e.g. positional,standard")
          ->type_name("LIST")
          ->capture_default_str();
  CLI::Option* const experiment =
      command->add_option("--experiment", a->experiment, "Sizes and budget to start from; see `tasks`")
          ->type_name("NAME")
          ->capture_default_str();
  CLI::Option* const params = command->add_option("--params", a->params, "A published params/*.json instead")
                                  ->excludes(experiment)
                                  ->type_name("FILE");
  command
      ->add_flag("--compat-rope-noop", a->compat_rope,
                 "Take \"RoPE\": true as the published code computes it: no change")
      ->needs(params);
  command->add_option("--spec", a->spec, "What --show printed instead")
      ->excludes(tasks)
      ->excludes(models)
      ->excludes(experiment)
      ->excludes(params)
      ->type_name("FILE");
  add_sizes(*command, *a);
  add_training_options(*command, *a);
  CLI::Option* const resume = command->add_flag("--resume", a->resume, "Go on with what is in --out");
  command->add_flag("--restart", a->restart, "Start anew over what is in --out")->excludes(resume);
  command->add_flag("--show", a->show, "Print the specs as JSON instead of running them");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos positional train --experiment quick --task min --model positional,standard\n"
      "  telos positional train --task \"prefix(max)\" --n 16 --runs 3 --out max16\n"
      "  telos positional train --experiment scale --task sum --model positional --out sum --resume");
  command->callback([&context, a, tasks] {
    a->task_given = tasks->count() > 0;
    context.action = [&context, a] {
      return with_options(option_names(*a), [&] { return train_command(*a, context); });
    };
  });
}

struct EvalArguments {
  std::string model, task, scales = "1:10", lengths;
  EvalOptions options;
  bool whole_list = false, integers = false, scales_given = false;
};

/// The task that the model was trained on, or another one of its size.
TaskChoice task_of(const EvalArguments& a, const Model& model) {
  TaskChoice choice{.name = a.task, .options = {.nodes = model.config.nodes}};
  if (!model.task.empty()) {
    TaskChoice trained = parse_task(model.task, a.model + ", metadata");
    if (a.task.empty() || a.task == trained.name) choice = std::move(trained);
  }
  if (choice.name == "minsum" && model.task.empty()) choice.options.nodes /= 2;  // two lists after each other
  if (choice.name.empty())
    throw Error(ErrorKind::kUsage, a.model, "the file does not say what the model was trained on",
                "name a task with --task");
  if (a.whole_list) choice.options.cumulative = false;
  if (a.integers) choice.options.distribution.integers = true;
  return choice;
}

int eval_command(EvalArguments& a, Context& context) {
  const Model model = load_model(a.model);
  const TaskChoice choice = task_of(a, model);
  std::vector<std::unique_ptr<Task>> tasks;
  tasks.push_back(make_task(choice.name, choice.options));
  const Task& task = *tasks.front();
  refuse_idle_options(tasks,
                      {.cumulative = a.whole_list,
                       .integers = a.integers,
                       .scales = a.scales_given,
                       .unseen = a.options.unseen},
                      choice.name);
  a.options.scales = parse_numbers(a.scales, "--scales");
  if (!a.lengths.empty())
    for (const double length : parse_numbers(a.lengths, "--lengths")) {
      if (!(length >= 1) || length != static_cast<double>(static_cast<std::size_t>(length)))
        throw Error(ErrorKind::kUsage, "--lengths", "a length must be a whole number from 1");
      a.options.lengths.push_back(static_cast<std::size_t>(length));
    }
  const EvalResult result = evaluate_model(model, task, a.options, context.arena());
  return deliver(evaluation_report(result, model, capacity(model), positional_page("eval", a.model, context)),
                 context);
}

void add_eval(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("eval", "A trained, compiled or converted model on a task, scale by scale");
  auto a = std::make_shared<EvalArguments>();
  command->add_option("MODEL", a->model, "A model that train, compile or convert wrote (.safetensors)")
      ->required();
  command
      ->add_option("--task", a->task,
                   "Task, data file or expression; see `tasks` (default: the one trained on)")
      ->type_name("TASK");
  CLI::Option* const scales = command->add_option("--scales", a->scales, "Scales of the test interval")
                                  ->type_name("LIST")
                                  ->capture_default_str();
  command->add_option("--lengths", a->lengths, "List lengths, e.g. 1:8 (default: n)")->type_name("LIST");
  command->add_option("--samples", a->options.samples, "Samples a scale")
      ->type_name("M")
      ->capture_default_str();
  command->add_option("--seed", a->options.seed, "Seed of the samples")
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--tolerance", a->options.tolerance, "What counts as right")
      ->type_name("T")
      ->capture_default_str();
  command->add_flag("--f64", a->options.as_double, "Compute in float64");
  command->add_flag("--unseen", a->options.unseen,
                    "Letters or categories that training never used, at every scale");
  command->add_flag("--whole-list", a->whole_list, "The whole list's answer at each position");
  command->add_flag("--integers", a->integers, "Whole numbers");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos positional compile sort --n 8 --save sort.safetensors\n"
      "  telos positional eval sort.safetensors --task sort --scales 1:10 --out sort");
  command->callback([&context, a, scales] {
    a->scales_given = scales->count() > 0;
    context.action = [&context, a] { return eval_command(*a, context); };
  });
}

}  // namespace

void add_training(CLI::App& group, Context& context) {
  add_train(group, context);
  add_eval(group, context);
}

}  // namespace telos::cli
