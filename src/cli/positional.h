#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/app.h"
#include "cli/lists.h"

namespace CLI {
class App;
}

namespace telos::cli {

// The commands of `telos positional`, each of which only sets context.action.
void add_training(CLI::App& group, Context& context);       ///< train, eval
void add_programs(CLI::App& group, Context& context);       ///< compile, execute, convert
void add_head_measures(CLI::App& group, Context& context);  ///< heads, whatif

/// Command, subject and provenance of a page of the lens.
PageContext positional_page(const std::string& command, const std::string& subject, Context& context);

}  // namespace telos::cli
