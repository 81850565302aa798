#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "telos/report/report.h"

namespace telos::test {

/// Fields of an RFC 4180 text, row by row.
std::vector<std::vector<std::string>> parse_csv(std::string_view text);

/// All tables of a report, in page order, with those of the figures.
std::vector<const Table*> tables_of(const Report& report);

/// The same bits, or both NaN.
bool same(double a, double b);

/// What stands between `begin` and `end` in `text`, all occurrences.
std::vector<std::string> between(std::string_view text, std::string_view begin, std::string_view end);

}  // namespace telos::test
