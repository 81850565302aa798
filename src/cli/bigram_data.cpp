// `telos bigram sample` and `eval`, and `train` on a file of samples.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/bigram.h"
#include "cli/lists.h"
#include "cli/validators.h"
#include "telos/base/error.h"
#include "telos/bigram/page.h"

namespace telos::cli {
namespace {

using namespace bigram;

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

void add_bigram_sample(CLI::App& group, Context& context) {
  struct Arguments {
    InstanceOptions instance;
    std::uint64_t samples = 100000, seed = 1;
  };
  CLI::App* const command =
      group.add_subcommand("sample", "Draw samples of a task; --out leaves samples.safetensors");
  auto a = std::make_shared<Arguments>();
  command->add_option("INSTANCE", a->instance.path, "Task written by `telos bigram generate --out`")
      ->required();
  command->add_option("--n", a->samples, "Samples")->type_name("M")->capture_default_str();
  command->add_option("--seed", a->seed, "Seed of the samples")->type_name("S")->capture_default_str();
  add_common_options(*command, context);
  command->footer("Example:\n  telos bigram sample task/instance.json --n 100000 --seed 2 --out data");
  command->callback([&context, a] {
    context.action = [&context, a] {
      const Instance instance = load_instance(a->instance);
      const Samples samples = draw_samples(instance, a->seed, a->samples, context.arena());
      const FolderWriter file = [&](const std::string& folder) {
        write_samples(samples, folder + "/samples.safetensors");
      };
      return deliver(samples_report(samples, page_context("bigram sample", subject_of(a->instance), context)),
                     context, {}, {file});
    };
  });
}

void add_bigram_eval(CLI::App& group, Context& context) {
  struct Arguments {
    InstanceOptions instance;
    std::string model, data;
    std::uint64_t held_out = 20000, seed = 1;
  };
  CLI::App* const command =
      group.add_subcommand("eval", "The loss of a model, on a task or on samples of a file");
  auto a = std::make_shared<Arguments>();
  command->add_option("MODEL", a->model, "model.safetensors of a run")->required();
  CLI::Option* const path = command->add_option("INSTANCE", a->instance.path, "The task, instance.json");
  CLI::Option* const data =
      command->add_option("--data", a->data, "Samples instead of a task")->type_name("FILE")->excludes(path);
  command->add_option("--held-out", a->held_out, "Samples of the held-out loss")
      ->check(above_zero())
      ->excludes(data)
      ->type_name("M")
      ->capture_default_str();
  command->add_option("--seed", a->seed, "Seed of these samples")
      ->excludes(data)
      ->type_name("S")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos bigram eval run/model.safetensors task/instance.json\n"
      "  telos bigram eval run/model.safetensors --data data/samples.safetensors");
  command->callback([&context, a] {
    if (a->instance.path.empty() && a->data.empty())
      throw Error(ErrorKind::kUsage, "eval", "expected a task or --data",
                  "name instance.json, or a file of samples");
    context.action = [&context, a] {
      const Model model = read_model(a->model).model;
      PageContext page = page_context("bigram eval", file_name(a->model), context);
      page.facts.push_back({"on", file_name(a->data.empty() ? a->instance.path : a->data), ""});
      if (a->data.empty()) {
        const Instance instance = load_instance(a->instance);
        const Evaluation e = evaluate(instance, model, a->held_out, a->seed, context.arena());
        return deliver(evaluation_report(&instance, e, instance.names, page), context);
      }
      const Samples samples = read_samples(a->data);
      return deliver(
          evaluation_report(nullptr, evaluate(samples, model, context.arena()), samples.names, page),
          context);
    };
  });
}

}  // namespace

int train_on_data(const std::string& path, const TrainOptions& options, const std::string& checkpoint,
                  Context& context) {
  const Samples samples = read_samples(path);
  const TrainResult result = train(samples, options, context.arena(), {}, checkpoint);
  const FolderWriter files = [&](const std::string& folder) {
    std::vector<SparseColumn> columns;
    for (const bigram::Column& c : result.columns) columns.push_back({c.positions, c.weights});
    write_model(result.model, result.mu, folder + "/model.safetensors");
    write_transitions(result.model, samples.names, folder + "/transitions.tsv");
    write_positions(columns, samples.length, samples.names, folder + "/positions.tsv");
  };
  return deliver(
      data_report(samples, options, result, page_context("bigram train", file_name(path), context)), context,
      {}, {files});
}

void add_bigram_data(CLI::App& group, Context& context) {
  add_bigram_sample(group, context);
  add_bigram_eval(group, context);
}

}  // namespace telos::cli
