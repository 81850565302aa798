#pragma once

#include <cstdint>
#include <vector>

#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/irreps.h"

// What the symmetry lens says, as a report for terminal, page, JSON and CSV.

namespace telos::symmetry {

/// Definitions of every number that the lens prints.
std::vector<Definition> symmetry_definitions();

/// Which irreps a page shows.
struct IrrepQuery {
  std::uint32_t length = 8;
  std::uint32_t vocabulary = 2;
  std::uint32_t degree = 3;  ///< of the irreps listed
  Partition partition{};     ///< only this one; empty: all up to the degree
  bool characters = false;   ///< also their values on all classes; up to kMaxTableLength
};
/// Throws as the functions of irreps.h do, and kUsage for a partition of another length.
Report irreps_report(const IrrepQuery& query, const PageContext& context);

}  // namespace telos::symmetry
