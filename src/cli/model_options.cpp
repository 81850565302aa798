#include "cli/model_options.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <utility>

#include "cli/app.h"
#include "cli/validators.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos::cli {

void add_model_options(CLI::App& command, ModelOptions& options, bool or_trace) {
  command
      .add_option("MODEL", options.model,
                  or_trace ? "A .safetensors file, a model directory, or a recorded trace"
                           : "A .safetensors file, or a model directory")
      ->required();
  command.add_option("--heads", options.heads, "Number of heads, where the files do not say")
      ->check(above_zero())
      ->type_name("H");
  command
      .add_option("--kv-heads", options.kv_heads, "Number of key and value heads, where the files do not say")
      ->check(above_zero())
      ->type_name("H");
  command
      .add_option("--family", options.family,
                  "Read the file as this family, e.g. llama, whatever it says itself")
      ->type_name("NAME");
  command
      .add_option("--map", options.map, "JSON file that names the tensors of a family telos does not know")
      ->type_name("FILE");
  command.add_flag("--partial", options.partial, "Use what a cut-off download or missing shards leave");
}

void add_spectrum_options(CLI::App& command, ModelOptions& options) {
  command
      .add_option("--fold", options.fold,
                  "What of the norm before attention is folded into W_V: none, gamma, center+gamma, auto")
      ->check(CLI::IsMember({"none", "gamma", "center+gamma", "auto"}))
      ->type_name("FOLD")
      ->capture_default_str();
  command.add_flag(
      "--conditions", options.conditions,
      "Also the largest condition number of each head's eigenvalues (about three times the time)");
  command.add_flag("--full-sums", options.full_sums,
                   "Solve each layer's sum of heads exactly whatever its size");
}

void add_text_options(CLI::App& command, ModelOptions& options) {
  CLI::Option* const text =
      command.add_option("--text", options.text, "UTF-8 text to run the model on")->type_name("FILE");
  CLI::Option* const ids =
      command.add_option("--ids", options.ids, "Token ids to run the model on, instead of a text");
  ids->excludes(text)->type_name("FILE");
  command
      .add_option("--tokenizer", options.tokenizer,
                  "tokenizer.json, vocab.txt or a directory (default: MODEL's)")
      ->excludes(ids)
      ->type_name("PATH");
  command
      .add_option("--window", options.window,
                  "Tokens a window (default: 128, or the model's context if shorter)")
      ->check(above_zero())
      ->type_name("L");
  options.most_windows =
      command.add_option("--max-windows", options.max_windows, "Windows at most; further text is left out")
          ->check(above_zero())
          ->capture_default_str()
          ->type_name("B");
}

void add_trace_options(CLI::App& command, ModelOptions& options) {
  command
      .add_option("--acts", options.acts,
                  "A trace recorded from MODEL, instead of a text (see `telos smoothing trace --help`)")
      ->type_name("FILE");
  command.add_flag("--centre", options.centre,
                   "Subtract each feature's mean over tokens before the smoothing lens measures");
}

DiagnoseOptions diagnose_options(const ModelOptions& options, const Context& context) {
  if (options.text.empty() && options.ids.empty())
    for (const auto& [given, name] :
         {std::pair{options.window != 0, "--window"},
          {options.most_windows != nullptr && options.most_windows->count() > 0, "--max-windows"},
          {!options.tokenizer.empty(), "--tokenizer"}})
      if (given)
        throw Error(ErrorKind::kUsage, name, "there is no text that it could apply to",
                    "give --text FILE or --ids FILE");
  DiagnoseOptions out;
  out.command_line = context.command_line;
  out.partial = options.partial;
  if (options.heads != 0) out.identify.heads = options.heads;
  if (options.kv_heads != 0) out.identify.kv_heads = options.kv_heads;
  out.identify.family = options.family;
  out.identify.map_path = options.map;
  out.acts_path = options.acts;
  out.tokenizer_path = options.tokenizer;
  out.windows = {.length = options.window, .max_windows = options.max_windows};
  out.smoothing.spectra.fold = smoothing::parse_fold(options.fold);
  out.smoothing.spectra.conditions = options.conditions;
  out.smoothing.spectra.full_sums = options.full_sums;
  out.smoothing.trace.centre_features = options.centre;
  const std::string& file = options.text.empty() ? options.ids : options.text;
  if (!file.empty()) out.text_name = std::filesystem::path(file).filename().string();
  if (!options.text.empty()) out.text = read_text(options.text);
  if (!options.ids.empty()) out.ids = parse_ids(read_text(options.ids), options.ids);
  return out;
}

}  // namespace telos::cli
