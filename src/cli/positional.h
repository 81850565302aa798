#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/app.h"
#include "telos/report/words.h"

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

/// "1:10" or "1,2,5.5" as numbers; "1:10:3" in steps of 3. Throws kUsage naming the option.
std::vector<double> parse_numbers(const std::string& text, const std::string& option);
std::vector<std::string> split_list(const std::string& text);

}  // namespace telos::cli
