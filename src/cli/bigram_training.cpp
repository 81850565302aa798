#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/bigram.h"
#include "cli/idle_options.h"
#include "cli/lists.h"
#include "cli/option_names.h"
#include "cli/targets.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/bigram/page.h"
#include "telos/io/files.h"

namespace telos::cli {
namespace {

using namespace bigram;

struct BigramTraining {
  InstanceOptions instance;
  TrainOptions options;
  std::string algorithm = "scb", data;
  bool resume = false, restart = false;
};

void add_train_options(CLI::App& command, BigramTraining& a) {
  TrainOptions& o = a.options;
  command.add_option("--algo", a.algorithm, "scb, paper, psgd, sgd, nonneg, softmax or moments")
      ->type_name("NAME")
      ->capture_default_str();
  add_batch(command, o.batch);
  add_eta(command, o.eta);
  command.add_option("--eta-v", o.eta_v, "sgd, softmax: step size of V")->type_name("ETA");
  command.add_option("--eta-a", o.eta_a, "sgd, softmax: step size of A, or of its logits")->type_name("ETA");
  command.add_option("--l1", o.threshold, "Soft threshold c, in units of η‖V − μ1ᵀ‖")
      ->type_name("C")
      ->capture_default_str();
  command.add_option("--samples", o.samples, "Most samples of the descent")
      ->type_name("M")
      ->capture_default_str();
  command.add_option("--refit-samples", o.refit_samples, "Samples of the refit")
      ->type_name("M")
      ->capture_default_str();
  command.add_option("--screen-samples", o.screen_samples, "Samples of the screening")
      ->type_name("M")
      ->capture_default_str();
  command.add_option("--seed", o.seed, "Seed of the samples")->type_name("S")->capture_default_str();
  add_off_flag(command, "--no-early-stop", o.stop_early, "Do not stop where the positions are stable");
  add_off_flag(command, "--no-mirror-fix", o.fix_mirror, "Leave the mirror solution as it is");
  CLI::Option* const refit =
      add_off_flag(command, "--no-refit", o.refit, "Neither rounding nor refit nor screening");
  CLI::Option* const screen = add_off_flag(command, "--no-screen", o.screen, "No screening");
  refit->excludes(command.get_option("--refit-samples"));
  for (CLI::Option* const off : {refit, screen}) off->excludes(command.get_option("--screen-samples"));
}

void refuse_idle_options(const CLI::App& command, Algorithm algorithm) {
  using enum Algorithm;
  static const KindOption<Algorithm> options[] = {
      {"--eta", {kScb, kPaper, kPsgd, kSgd, kNonneg, kSoftmax}},
      {"--batch", {kScb, kPaper, kPsgd, kSgd, kNonneg, kSoftmax}},
      {"--no-early-stop", {kScb, kPaper, kPsgd, kSgd, kNonneg, kSoftmax}},
      {"--eta-v", {kSgd, kSoftmax}},
      {"--eta-a", {kSgd, kSoftmax}},
      {"--l1", {kScb, kNonneg}},
      {"--refit-samples", {kScb, kPaper, kNonneg, kMoments}},
      {"--screen-samples", {kScb, kNonneg, kMoments}},
      {"--no-refit", {kScb, kPaper, kNonneg, kMoments}},
      {"--no-screen", {kScb, kNonneg, kMoments}}};
  refuse_idle_options(command, algorithm, options);
}

/// A finished training has no checkpoint, but a model.
void refuse_earlier_training(const BigramTraining& a, const std::string& folder,
                             const std::string& checkpoint) {
  if (a.restart) return;
  const bool unfinished = std::filesystem::exists(checkpoint);
  if (unfinished && !a.resume)
    throw Error(ErrorKind::kUsage, folder, "there is an unfinished training in it",
                "--resume goes on with it, --restart throws it away");
  if (!unfinished && std::filesystem::exists(folder + "/model.safetensors"))
    throw Error(ErrorKind::kUsage, folder, "there is a finished training in it already",
                "--restart throws it away, or choose another directory");
}

/// Where a run that --out leaves keeps its checkpoint.
std::string checkpoint_in(const BigramTraining& a, const Context& context) {
  if (context.out_directory.empty()) {
    if (a.resume || a.restart)
      throw Error(ErrorKind::kUsage, a.resume ? "--resume" : "--restart", "there is no folder of a training",
                  "name it with --out");
    return {};
  }
  const std::string path = context.out_directory + "/checkpoint.safetensors";
  refuse_earlier_training(a, context.out_directory, path);
  const RunFolder run(context.out_directory);  // refuses what cannot be written before the work is done
  if (a.restart) remove_path(path);
  return path;
}

std::vector<FolderWriter> result_files(const Instance& instance, const TrainResult& result) {
  return {[&](const std::string& folder) {
    write_instance(instance, folder + "/instance.json");
    write_model(result.model, instance.mu, folder + "/model.safetensors");
  }};
}

void add_bigram_train(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("train", "Learn a task from samples, beside the truth; or from a file of samples");
  auto a = std::make_shared<BigramTraining>();
  add_instance_options(*command, a->instance);
  add_task_seed(*command, a->instance, "--task-seed");
  add_train_options(*command, *a);
  CLI::Option* const data =
      command
          ->add_option("--data", a->data,
                       "Samples of `telos bigram sample`, or yours, instead of a known task")
          ->type_name("FILE");
  for (const char* drawn : {"INSTANCE", "--n", "--t", "--q", "--p", "--q-weights", "--task-seed",
                            "--refit-samples", "--screen-samples"})
    data->excludes(command->get_option(drawn));
  CLI::Option* const resume = command->add_flag("--resume", a->resume, "Go on with what is in --out");
  command->add_flag("--restart", a->restart, "Start anew over what is in --out")->excludes(resume);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram train --n 3 --t 5000 --q 2 --out run\n"
      "  telos bigram train --data data/samples.safetensors --out learned\n"
      "  telos bigram train task/instance.json --algo sgd --eta-a 0.001 --eta-v 0.2");
  command->callback([&context, a, command] {
    a->options.algorithm = algorithm_from(a->algorithm);
    refuse_idle_options(*command, a->options.algorithm);
    context.action = [&context, a] {
      if (!a->data.empty()) return train_on_data(a->data, a->options, checkpoint_in(*a, context), context);
      const Instance instance = load_instance(a->instance);
      const TrainResult result = train(instance, a->options, context.arena(), {}, checkpoint_in(*a, context));
      return deliver(train_report(instance, a->options, result, nullptr,
                                  page_context("bigram train", subject_of(a->instance), context)),
                     context, {}, result_files(instance, result));
    };
  });
}

/// Above it the page warns: transfer is for tasks of one μ.
constexpr double kFarApart = 0.1;

double total_variation(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / 2;
}

void add_bigram_transfer(CLI::App& group, Context& context) {
  struct Arguments {
    BigramTraining train;
    std::string model, keep = "V";
    double theta = 0.5;
  };
  CLI::App* const command = group.add_subcommand(
      "transfer", "Start from what was learned on another task, with the same run from scratch beside it");
  auto a = std::make_shared<Arguments>();
  command->add_option("MODEL", a->model, "model.safetensors of a run")->required();
  command->add_option("INSTANCE", a->train.instance.path, "The new task, instance.json")->required();
  command->add_option("--keep", a->keep, "What is carried over: V, A or both")
      ->check(CLI::IsMember({"V", "A", "both"}))
      ->type_name("PART")
      ->capture_default_str();
  command->add_option("--theta", a->theta, "Share θ of the old model at the start")
      ->check(CLI::Range(0.0, 1.0))
      ->type_name("THETA")
      ->capture_default_str();
  add_train_options(*command, a->train);
  add_common_options(*command, context);
  command->footer(
      "Example:\n  telos bigram transfer old/model.safetensors new/instance.json --keep V --theta 0.5");
  command->callback([&context, a, command] {
    a->train.options.algorithm = algorithm_from(a->train.algorithm);
    refuse_idle_options(*command, a->train.options.algorithm);
    if (a->train.options.algorithm == Algorithm::kMoments)
      throw Error(ErrorKind::kUsage, "--algo", "moments has no descent that could start from MODEL",
                  "take one of the others");
    context.action = [&context, a] {
      BigramTraining& t = a->train;
      require_own_results(context.out_directory, {"bigram", "transfer"},
                          {"model.safetensors", "instance.json"});
      require_inputs_stay(context.out_directory, {"model.safetensors"}, {a->model});
      const SavedModel saved = read_model(a->model);
      const Instance instance = load_instance(t.instance);
      const Keep keep = a->keep == "V" ? Keep::kValues : a->keep == "A" ? Keep::kAttention : Keep::kBoth;
      const TrainResult scratch = train(instance, t.options, context.arena());
      t.options.start = std::make_shared<const Model>(transfer_start(saved.model, instance, keep, a->theta));
      TrainResult result = train(instance, t.options, context.arena());
      PageContext page = page_context("bigram transfer", subject_of(t.instance), context);
      const double distance = total_variation(saved.mu, instance.mu);
      page.facts.push_back({"from", std::filesystem::path(a->model).filename().string(),
                            fmt::format("keeps {} · θ {} · μ differs by {} in total variation", a->keep,
                                        format_number(a->theta), format_number(distance, 2))});
      if (distance > kFarApart) {
        const std::string note = fmt::format(
            "the tokens of the two tasks come with different frequencies (total variation {}); the theory of "
            "transfer "
            "takes them as equal",
            format_number(distance, 2));
        log(LogLevel::kWarning, note);
        result.notes.push_back(note);
      }
      const bool negative = is_negative_transfer(result, scratch);
      if (negative) result.notes.push_back("what is kept of the two is the model learned from scratch");
      return deliver(train_report(instance, t.options, result, &scratch, page), context, {},
                     result_files(instance, negative ? scratch : result));
    };
  });
}

}  // namespace

void add_bigram_training(CLI::App& group, Context& context) {
  add_bigram_train(group, context);
  add_bigram_transfer(group, context);
}

}  // namespace telos::cli
