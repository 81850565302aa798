#include "cli/lists.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "cli/app.h"
#include "diagnosis/provenance.h"
#include "telos/base/error.h"
#include "telos/io/table.h"

namespace telos::cli {

PageContext page_context(const std::string& command, const std::string& subject, Context& context) {
  return {.command = command,
          .subject = subject,
          .facts = {},
          .provenance = provenance(context.command_line, context.arena())};
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0, open = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ',';
    if (c == '(') ++open;
    if (c == ')' && open > 0) --open;
    if (i < text.size() && (c != ',' || open > 0)) continue;
    if (i > begin) parts.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  return parts;
}

std::vector<double> parse_numbers(const std::string& text, const std::string& option) {
  const auto number = [&](const std::string& part) {
    double value = 0;
    if (!parse_number(part, value) || !std::isfinite(value))
      throw Error(
          ErrorKind::kUsage, option,
          fmt::format("expected numbers like 1,2,5 or a range like 1:10, found \"{}\"", printable(text, 40)));
    return value;
  };
  constexpr std::size_t kMost = 10000;
  std::vector<double> out;
  for (const std::string& part : split_list(text)) {
    const std::size_t first = part.find(':');
    if (first == std::string::npos) {
      out.push_back(number(part));
      continue;
    }
    const std::size_t second = part.find(':', first + 1);
    const double low = number(part.substr(0, first));
    const double high =
        number(part.substr(first + 1, second == std::string::npos ? second : second - first - 1));
    const double step = second == std::string::npos ? 1 : number(part.substr(second + 1));
    if (!(step > 0) || high < low || (high - low) / step > kMost)
      throw Error(ErrorKind::kUsage, option,
                  fmt::format("the range \"{}\" is empty or too long", printable(part, 40)));
    for (std::size_t i = 0; low + static_cast<double>(i) * step <= high * (1 + 1e-12); ++i)
      out.push_back(low + static_cast<double>(i) * step);
  }
  if (out.empty() || out.size() > kMost)
    throw Error(ErrorKind::kUsage, option, "expected at least one number and at most 10,000");
  return out;
}

void refuse_empty_values(CLI::App& command) {
  for (CLI::Option* const option : command.get_options())
    if (option->get_items_expected_min() > 0)
      option->check([](const std::string& value) {
        return value.empty() ? std::string("expected a value, found an empty one") : std::string();
      });
}

Error with_option_names(const Error& error, const OptionNames& names) {
  for (const auto& [parameter, option] : names)
    if (error.where() == parameter) return {error.kind(), option, error.message(), error.hint()};
  return error;
}

}  // namespace telos::cli
