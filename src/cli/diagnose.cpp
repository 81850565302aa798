#include "telos/diagnosis/diagnose.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "cli/app.h"
#include "cli/model_options.h"

namespace telos::cli {

void add_diagnose(CLI::App& app, Context& context) {
  CLI::App* const command = app.add_subcommand(
      "diagnose", "What a model tends to, on a text of yours: every lens that applies, one report");
  auto options = std::make_shared<ModelOptions>();
  add_model_options(*command, *options, true);
  add_text_options(*command, *options);
  add_trace_options(*command, *options);
  add_common_options(*command, context);
  command->footer(
      "MODEL is a .safetensors file, a Hugging Face model directory (sharded or not), or a recorded trace\n"
      "(hidden.0, hidden.1, …, attn.0, … in one safetensors file). Without --text only the weights speak: a "
      "tendency.\n\n"
      "Examples:\n"
      "  telos diagnose ./my-model --text notes.txt --out report\n"
      "  telos diagnose ./my-model -o json > weights-only.json\n"
      "  telos diagnose activations.safetensors");
  command->callback([&context, options] {
    context.action = [&context, options] {
      return deliver(diagnose(options->model, diagnose_options(*options, context), context.arena()), context);
    };
  });
}

void add_inspect(CLI::App& app, Context& context) {
  CLI::App* const command =
      app.add_subcommand("inspect", "What a file holds; what a diagnosis would read, need and take");
  auto options = std::make_shared<ModelOptions>();
  add_model_options(*command, *options, true);
  add_common_options(*command, context);
  command->footer(
      "Reads headers only, so it answers at once for a file of any size.\n\n"
      "Examples:\n  telos inspect ./my-model\n  telos inspect model.safetensors -o csv > tensors.csv");
  command->callback([&context, options] {
    context.action = [&context, options] {
      return deliver(inspect(options->model, diagnose_options(*options, context), context.arena()), context);
    };
  });
}

}  // namespace telos::cli
