#pragma once

#include <string>
#include <vector>

#include "telos/report/words.h"

// What commands read from their options, and put on their pages.

namespace telos::cli {

struct Context;

/// Command, subject and provenance of a page.
PageContext page_context(const std::string& command, const std::string& subject, Context& context);

/// "1:10" or "1,2,5.5" as numbers; "1:10:3" in steps of 3. Throws kUsage naming the option.
std::vector<double> parse_numbers(const std::string& text, const std::string& option);
std::vector<std::string> split_list(const std::string& text);

}  // namespace telos::cli
