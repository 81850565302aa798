#pragma once

#include <vector>

#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/gram.h"

namespace telos::symmetry {

/// Definitions of every number that is printed of a kernel.
std::vector<Definition> kernel_definitions();

/// A Gram matrix, and what was measured of its kernel.
struct KernelResult {
  const Kernel& kernel;
  const Sequences& rows;
  const Sequences* columns = nullptr;  ///< null: pairs of `rows`
  const Gram& matrix;
  bool ntk = false;
  GramSummary summary{};
  Breaking breaking{};
  bool breaking_asked = true;  ///< false: nobody wanted to know
};
/// The kernel of an architecture on a set of sequences: whether it is symmetric, and how it spreads.
Report kernel_report(const KernelResult& result, const PageContext& context);

}  // namespace telos::symmetry
