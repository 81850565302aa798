#pragma once

#include "telos/report/report.h"

namespace telos::test {

/// A report with every kind of chart, tables, NaNs, and strings that try to break out of each output format.
Report sample_report();

/// A plain report as a diagnosis makes it, to look at.
Report calm_report();

/// Strings that a hostile file could hold.
const std::vector<std::string>& hostile_strings();

}  // namespace telos::test
