#pragma once

#include <cstddef>
#include <string>

#include "telos/diagnosis/diagnose.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace telos::cli {

struct Context;

/// How a command names its model, and its text.
struct ModelOptions {
  std::string model, family, map, fold = "auto", text, ids, acts, tokenizer;
  std::size_t heads = 0, kv_heads = 0, window = 0, max_windows = 16;
  const CLI::Option* most_windows = nullptr;  ///< says whether max_windows was given
  bool partial = false, conditions = false, full_sums = false, centre = false;
};

/// MODEL, --heads, --kv-heads, --map, --partial. `or_trace`: MODEL may be a recorded trace.
void add_model_options(CLI::App& command, ModelOptions& options, bool or_trace = false);
/// --fold, --conditions, --full-sums.
void add_spectrum_options(CLI::App& command, ModelOptions& options);
/// --text, --ids, --tokenizer, --window, --max-windows.
void add_text_options(CLI::App& command, ModelOptions& options);
/// --acts, --centre.
void add_trace_options(CLI::App& command, ModelOptions& options);

/// As the library wants them; reads the files that --text and --ids name.
DiagnoseOptions diagnose_options(const ModelOptions& options, const Context& context);

}  // namespace telos::cli
