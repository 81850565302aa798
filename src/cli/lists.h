#pragma once

#include <string>
#include <utility>
#include <vector>

#include "telos/base/error.h"

#include "telos/report/words.h"

// What commands read from their options, and put on their pages.

namespace CLI {
class App;
}

namespace telos::cli {

struct Context;

/// Command, subject and provenance of a page.
PageContext page_context(const std::string& command, const std::string& subject, Context& context);

/// "1:10" or "1,2,5.5" as numbers; "1:10:3" in steps of 3. Throws kUsage naming the option.
std::vector<double> parse_numbers(const std::string& text, const std::string& option);
/// At commas outside round brackets: "sum,scan(min(a,b))" has two parts. Empty parts are left out.
std::vector<std::string> split_list(const std::string& text);

/// Refuses empty values of the options that the command has by now: they are variables of a shell that are
/// not set, and would count as not given.
void refuse_empty_values(CLI::App& command);

/// (what an Error names, the option or file that its user knows it by)
using OptionNames = std::vector<std::pair<std::string, std::string>>;
Error with_option_names(const Error& error, const OptionNames& names);
/// What `body` returns. Its errors name options in place of the library's parameters.
template <class Body>
auto with_options(const OptionNames& names, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw with_option_names(error, names);
  }
}

}  // namespace telos::cli
