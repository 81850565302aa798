#pragma once

#include <vector>

#include "cli/app.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI
namespace telos {
struct LabelledTextOptions;
}

namespace telos::cli {

void add_sentiment_train(CLI::App& group, Context& context);  ///< sentiment train

/// Columns and labels; with `lines` (a text a line, without either) they are refused.
std::vector<CLI::Option*> add_data_options(CLI::App& command, LabelledTextOptions& options,
                                           CLI::Option* lines = nullptr);

}  // namespace telos::cli
