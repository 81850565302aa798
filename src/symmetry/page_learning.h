#pragma once

#include <string>
#include <vector>

#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/spectrum.h"

namespace telos::symmetry {

/// "(L)", "(L−2,1,1)": the same word at every length.
std::string symbol_of(const Partition& irrep);
/// "L^−1.02".
std::string power_text(double slope);
/// "exact", "estimate".
std::string known_text(Known known);
/// The letters, and all lengths.
Report::Fact sequences_fact(std::uint32_t vocabulary, const std::vector<double>& lengths);
/// Command, subject, facts, provenance and definitions.
Report report_frame(const PageContext& context);

}  // namespace telos::symmetry
