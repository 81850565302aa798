#include "cli/option_names.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "telos/base/error.h"

namespace telos::cli {

int with_option_names(const std::vector<OptionName>& names, const std::function<int()>& action) {
  try {
    return action();
  } catch (const Error& error) {
    const auto found = std::find_if(names.begin(), names.end(),
                                    [&](const OptionName& name) { return name.where == error.where(); });
    if (found == names.end()) throw;
    throw Error(error.kind(), found->option, error.message(),
                error.hint().empty() ? found->hint : error.hint());
  }
}

CLI::Option* add_off_flag(CLI::App& command, const std::string& name, bool& value, const std::string& text) {
  // "!--name" would do the same, but shows {false} in the help.
  return command.add_flag_callback(
      name, [&value] { value = false; }, text);
}

}  // namespace telos::cli
