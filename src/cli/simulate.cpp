#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "cli/app.h"
#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/smoothing/lab.h"
#include "telos/smoothing/page.h"

namespace telos::cli {
namespace {

struct SimulateOptions {
  std::string system;
  std::size_t layers = 0;
  std::optional<std::uint64_t> seed;
  std::optional<std::uint32_t> seeds;
  bool list = false, example = false, show = false;
};

int deliver_presets(Context& context) {
  std::vector<std::pair<std::string, std::string>> names;
  for (const smoothing::SystemPreset& preset : smoothing::preset_list())
    names.emplace_back(preset.name, preset.summary);
  return deliver_list("smoothing simulate", "presets", names, context);
}

smoothing::SimulationSpec spec_of(const SimulateOptions& options) {
  const auto presets = smoothing::preset_list();
  const bool known =
      std::any_of(presets.begin(), presets.end(), [&](const auto& p) { return p.name == options.system; });
  const bool file =
      options.system.find('.') != std::string::npos || options.system.find('/') != std::string::npos;
  smoothing::SimulationSpec spec = known || !file
                                       ? smoothing::preset(options.system)
                                       : smoothing::parse_system(read_text(options.system), options.system);
  if (options.layers != 0) spec.layers = options.layers;
  if (auto* transformer = std::get_if<smoothing::TransformerSystem>(&spec.system)) {
    if (options.seed) transformer->seed = *options.seed;
    if (options.seeds) transformer->seeds = *options.seeds;
  } else if (options.seed || options.seeds) {
    throw Error(ErrorKind::kUsage, options.seed ? "--seed" : "--seeds",
                fmt::format("{} is not a random system and has no use for it", printable(spec.name, 60)));
  }
  return spec;
}

int run(const SimulateOptions& options, Context& context) {
  if (options.list) return deliver_presets(context);
  if (options.example) {
    print_out(smoothing::system_json_example() + "\n");
    return 0;
  }
  const smoothing::SimulationSpec spec = spec_of(options);
  if (options.show) {
    print_out(smoothing::system_json(spec) + "\n");
    return 0;
  }
  const smoothing::SimulationResult result = smoothing::simulate(spec, context.arena());
  return deliver(
      smoothing::simulate_report(spec, result,
                                 {.command = "smoothing simulate",
                                  .subject = spec.name,
                                  .facts = {},
                                  .provenance = provenance(context.command_line, context.arena())}),
      context);
}

}  // namespace

void add_simulate(CLI::App& smoothing, Context& context) {
  CLI::App* const command = smoothing.add_subcommand(
      "simulate", "Closed systems: what the eigenvalues predict, what the tokens do");
  auto options = std::make_shared<SimulateOptions>();
  CLI::Option* const system =
      command->add_option("SYSTEM", options->system, "A preset (see --list) or a JSON file (see --example)");
  CLI::Option* const layers =
      command->add_option("--layers", options->layers, "Layers, instead of the system's own")
          ->check(CLI::Range(1, 1000000))
          ->type_name("N");
  CLI::Option* const seeds = command->add_option("--seeds", options->seeds, "Runs of a random system")
                                 ->check(CLI::Range(1, 10000))
                                 ->type_name("N");
  CLI::Option* const seed =
      command->add_option("--seed", options->seed, "Seed of a random system")->type_name("S");
  CLI::Option* const list = command->add_flag("--list", options->list, "Print the presets");
  CLI::Option* const example =
      command->add_flag("--example", options->example, "Print a SYSTEM.json with every field");
  CLI::Option* const show =
      command->add_flag("--show", options->show, "Print the system as JSON instead of running it");
  add_common_options(*command, context);
  for (CLI::Option* const instead : {list, example})
    for (CLI::Option* const idle : {system, layers, seeds, seed, show}) instead->excludes(idle);
  list->excludes(example);
  for (CLI::Option* const printed : {example, show})  // JSON on stdout, nothing else
    for (const char* idle : {"--output", "--out"}) printed->excludes(command->get_option(idle));
  command->footer(
      "Examples:\n"
      "  telos smoothing simulate t1\n"
      "  telos smoothing simulate pre-sharp --layers 96 --seeds 20 --out sharp\n"
      "  telos smoothing simulate --example > my.json && telos smoothing simulate my.json -o csv");
  command->callback([&context, options, system, list, example] {
    if (system->empty() && list->empty() && example->empty()) throw CLI::RequiredError("SYSTEM");
    context.action = [&context, options] { return run(*options, context); };
  });
}

}  // namespace telos::cli
