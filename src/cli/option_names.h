#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace telos::cli {

/// An argument as the library names it in errors, the option that sets it, and what to do where the error
/// does not say.
struct OptionName {
  std::string where, option, hint;
};

/// Runs an action. An error at one of the places is thrown on with the name of its option.
int with_option_names(const std::vector<OptionName>& names, const std::function<int()>& action);

/// A flag, such as --no-refit, that turns `value` off.
CLI::Option* add_off_flag(CLI::App& command, const std::string& name, bool& value, const std::string& text);

}  // namespace telos::cli
