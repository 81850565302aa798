#pragma once

#include "telos/symmetry/kernel.h"
#include "telos/symmetry/spectrum.h"

namespace telos::symmetry {

/// Whether permutations leave a token where it is: the one that is read (last, cls), or the query.
bool has_query(const Architecture& a);

/// The kernel of an architecture, for spectra: a function of the tokens that are permuted and then, if there
/// is one, the query. What was computed of single sequences is kept, as long as it takes less than 1 GB: call
/// it from one thread at a time. Throws kUsage, naming what breaks it, for an architecture that is not
/// symmetric; as Kernel does.
TokenKernel token_kernel(const Kernel& kernel);

}  // namespace telos::symmetry
