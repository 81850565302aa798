#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "telos/report/report.h"

// Numbers as people read them, and what every lens's page is told beside its numbers.

namespace telos {

/// What the page says beside the numbers; the caller knows it (file names, hashes, command line).
struct PageContext {
  std::string command{};              ///< "diagnose", "smoothing spectrum", "positional train"
  std::string subject{};              ///< "all-MiniLM-L6-v2"
  std::vector<Report::Fact> facts{};  ///< put before the lens's own: model, text
  std::vector<std::pair<std::string, std::string>> provenance{};
};

/// "−0.18 ± 0.01": the error to one significant digit, the value to the same place; "−0.183" without an
/// error. `sign` writes the plus of positive values.
std::string plus_minus(double value, double error, bool sign = false);
std::string fixed(double value, int decimals);
std::string percent(double share);  ///< "61 %"
std::string count_of(std::size_t n, const std::string& singular, const std::string& plural);
Cell number_cell(double value);  ///< nothing for NaN
/// With a capital where it begins with a word, and a full stop.
std::string sentence(std::string text);

}  // namespace telos
