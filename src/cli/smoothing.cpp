#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "cli/app.h"
#include "cli/model_options.h"
#include "telos/smoothing/page.h"

namespace telos::cli {
namespace {

void add_spectrum(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("spectrum", "Spectra of W_V W_O, head by head, from weights alone");
  auto options = std::make_shared<ModelOptions>();
  add_model_options(*command, *options);
  add_spectrum_options(*command, *options);
  add_common_options(*command, context);
  command->footer(
      "Examples:\n"
      "  telos smoothing spectrum ./my-model\n"
      "  telos smoothing spectrum model.safetensors --fold none -o csv > heads.csv\n"
      "  telos smoothing spectrum ./my-model --conditions --out spectra");
  command->callback([&context, options] {
    context.action = [&context, options] {
      if (context.table.empty()) context.table = "heads";
      return deliver(smoothing_spectrum(options->model, diagnose_options(*options, context), context.arena()),
                     context);
    };
  });
}

void add_trace(CLI::App& group, Context& context) {
  CLI::App* const command =
      group.add_subcommand("trace", "Measures of activations that any framework recorded");
  auto options = std::make_shared<ModelOptions>();
  command
      ->add_option("TRACE", options->model,
                   "A safetensors file with hidden.0, hidden.1, … and optionally attn.0, …, mask")
      ->required();
  command->add_flag("--centre", options->centre, "Subtract each feature's mean over tokens before measuring");
  add_common_options(*command, context);
  command->footer(
      "From PyTorch: save hidden_states as hidden.{l} and attentions as attn.{l}; the last is the last "
      "block's output, before any final norm. docs/smoothing.md has the lines.\n\n"
      "Examples:\n"
      "  telos smoothing trace activations.safetensors\n"
      "  telos smoothing trace activations.safetensors -o csv > depth.csv");
  command->callback([&context, options] {
    context.action = [&context, options] {
      return deliver(smoothing_trace(options->model, diagnose_options(*options, context), context.arena()),
                     context);
    };
  });
}

}  // namespace

void add_smoothing(CLI::App& app, Context& context) {
  CLI::App* const group =
      app.add_subcommand("smoothing", "Do the tokens become alike with depth, and which heads do it?");
  add_spectrum(*group, context);
  add_trace(*group, context);
  add_simulate(*group, context);
  group->footer(
      "Examples:\n  telos smoothing spectrum ./my-model\n  telos smoothing simulate t1\n  telos smoothing "
      "--definitions");
  add_definitions(*group, context, smoothing::smoothing_definitions);
}

}  // namespace telos::cli
