#include "cli/positional.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/io/table.h"
#include "telos/positional/page.h"

namespace telos::cli {

PageContext positional_page(const std::string& command, const std::string& subject, Context& context) {
  return page_context("positional " + command, subject, context);
}

namespace {

using namespace positional;

void add_tasks(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("tasks", "What can be trained and compiled: tasks, programs, experiments, models");
  add_common_options(*command, context);
  command->footer("Examples:\n  telos positional tasks\n  telos positional tasks --table models -o csv");
  command->callback([&context] {
    context.action = [&context] {
      return deliver(tasks_report(positional_page("tasks", "", context)), context);
    };
  });
}

/// Paths without the folders and the file name that all of them share.
std::vector<std::string> distinct_names(const std::vector<std::string>& paths) {
  std::vector<std::vector<std::string>> parts;
  for (const std::string& path : paths) {
    parts.emplace_back();
    for (const auto& part : std::filesystem::path(path)) parts.back().push_back(part.string());
  }
  const auto all_share = [&parts](auto&& part) {
    return std::all_of(parts.begin(), parts.end(),
                       [&](const auto& p) { return p.size() > 1 && part(p) == part(parts[0]); });
  };
  if (paths.size() == 1) return paths;
  while (all_share([](const auto& p) { return p.back(); }))
    for (auto& p : parts) p.pop_back();
  while (all_share([](const auto& p) { return p.front(); }))
    for (auto& p : parts) p.erase(p.begin());
  std::vector<std::string> names;
  for (const auto& p : parts) names.push_back(fmt::format("{}", fmt::join(p, "/")));
  const std::vector<std::string> bare = names;
  for (std::size_t i = 0; i < names.size(); ++i)  // the same file twice
    if (std::count(bare.begin(), bare.end(), bare[i]) > 1) names[i] += fmt::format(" ({})", i + 1);
  return names;
}

struct CapacityArguments {
  std::vector<std::string> models;
  CapacityOptions options;
};

void add_capacity(CLI::App& group, Context& context) {
  CLI::App* const command = group.add_subcommand(
      "capacity", "Lipschitz constants and the norm-based bound, from the weights alone");
  auto arguments = std::make_shared<CapacityArguments>();
  command->add_option("MODEL", arguments->models, "Trained or compiled models (.safetensors)")->required();
  command->add_option("--input-norm", arguments->options.input_norm, "Largest 2-norm of a row of x")
      ->type_name("R")
      ->capture_default_str();
  command->add_option("--samples", arguments->options.samples, "Training samples m")
      ->type_name("M")
      ->capture_default_str();
  command->add_option("--loss-range", arguments->options.loss_range, "The loss lies in [0, M]")
      ->type_name("M")
      ->capture_default_str();
  command->add_option("--loss-lipschitz", arguments->options.loss_lipschitz, "Lipschitz constant of the loss")
      ->type_name("L")
      ->capture_default_str();
  command->add_option("--delta", arguments->options.delta, "The bound holds with probability 1 − δ")
      ->type_name("D")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos positional compile cummin --n 8 --save cummin.safetensors\n"
      "  telos positional capacity cummin.safetensors");
  command->callback([&context, arguments] {
    context.action = [&context, arguments] {
      std::vector<CapacityReport> reports;
      for (const std::string& path : arguments->models)
        reports.push_back(capacity(load_model(path), arguments->options));
      const std::vector<std::string> names = distinct_names(arguments->models);
      const std::string subject = names.size() == 1 ? names[0] : fmt::format("{} models", names.size());
      return deliver(capacity_report(reports, positional_page("capacity", subject, context), names), context);
    };
  });
}

struct StudiesArguments {
  std::vector<std::string> names;
  std::uint64_t seed = 1;
};

void add_studies(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("studies", "Nine related systems, each with the check that decides its claim");
  auto arguments = std::make_shared<StudiesArguments>();
  command->add_option("NAME", arguments->names, "counting, graphs, hops, … (default: all)");
  command->add_option("--seed", arguments->seed, "Seed of what is drawn")
      ->type_name("S")
      ->capture_default_str();
  add_common_options(*command, context);
  command->footer(
      "Examples:\n  telos positional studies\n  telos positional studies performer rpe-fft --out studies");
  command->callback([&context, arguments] {
    context.action = [&context, arguments] {
      if (arguments->names.empty())
        for (const StudyInfo& info : study_list()) arguments->names.push_back(info.name);
      std::vector<StudyResult> results;
      for (const std::string& name : arguments->names)
        results.push_back(run_study(name, arguments->seed, context.arena()));
      return deliver(studies_report(results, positional_page("studies", "", context)), context);
    };
  });
}

struct BenchArguments {
  ModelConfig config;
  std::string models = "positional,standard";
  std::size_t batch = 1000;
  double seconds = 3;
  bool explain = false;
};

void add_bench(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("bench", "Time training steps on this machine; explain how layers are folded");
  auto a = std::make_shared<BenchArguments>();
  command->add_option("--model", a->models, "Kinds of models")->type_name("LIST")->capture_default_str();
  command->add_option("--n", a->config.nodes, "Data positions")->type_name("N")->capture_default_str();
  command->add_option("--width", a->config.width, "Embedding width d")->type_name("D")->capture_default_str();
  command->add_option("--heads", a->config.heads, "Heads H")->type_name("H")->capture_default_str();
  command->add_option("--hidden", a->config.hidden, "Hidden units")->type_name("H")->capture_default_str();
  command->add_option("--layers", a->config.layers, "Layers (0: floor(log2 n) + 1)")->type_name("L");
  command->add_option("--batch", a->batch, "Batch size")->type_name("B")->capture_default_str();
  command->add_option("--seconds", a->seconds, "How long each model is timed")
      ->check(CLI::Range(0.0, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  command->add_flag("--explain", a->explain, "Show the count of operations of each plan");
  add_common_options(*command, context);
  command->footer(
      "Examples:\n  telos positional bench\n  telos positional bench --hidden 128 --batch 2048 --explain");
  command->callback([&context, a] {
    context.action = [&context, a] {
      std::vector<StepTiming> timings;
      for (const std::string& kind : split_list(a->models))
        timings.push_back(time_step(with_kind(a->config, kind), a->batch, a->seconds, context.arena()));
      Report report = timing_report(timings, positional_page("bench", "", context));
      if (a->explain) report.sections[0].tables[1].in_terminal = true;
      return deliver(report, context);
    };
  });
}

}  // namespace

void add_positional(CLI::App& app, Context& context) {
  CLI::App* const group = app.add_subcommand(
      "positional", "Which algorithms can position-only attention run, learn and carry out of distribution?");
  add_tasks(*group, context);
  add_training(*group, context);
  add_programs(*group, context);
  add_capacity(*group, context);
  add_head_measures(*group, context);
  add_studies(*group, context);
  add_bench(*group, context);
  group->footer(
      "Examples:\n"
      "  telos positional train --task min --model positional,standard --out min\n"
      "  telos positional compile cummin --n 8\n"
      "  telos positional heads ./my-model --text notes.txt");
  add_definitions(*group, context, positional_definitions);
}

}  // namespace telos::cli
