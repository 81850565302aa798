#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace telos::cli {

/// For counts. CLI::PositiveNumber would tell the range of double in 309 digits.
inline CLI::Validator above_zero() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        return text.find_first_not_of('0') == std::string::npos ? "expected a number above 0, found 0" : "";
      },
      "");
}

}  // namespace telos::cli
