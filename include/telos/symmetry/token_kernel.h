#pragma once

#include <vector>

#include "telos/symmetry/kernel.h"
#include "telos/symmetry/spectrum.h"

namespace telos::symmetry {

/// Whether permutations leave a token where it is: the one that is read (last, cls), or the query.
bool has_query(const Architecture& a);

/// Tokens that are permuted, and then the query, in the order in which the architecture takes them: one that
/// reads the first token has the query there.
std::vector<Token> reading_order(const Architecture& a, TokenSpan tokens);
/// Throws kUsage, naming what breaks it, unless the kernel stays when positions are permuted.
void require_symmetric(const Kernel& kernel);

/// The kernel of an architecture, for spectra: a function of the tokens that are permuted and then, if there
/// is one, the query. What was computed of single sequences is kept, as long as it takes less than 1 GB: call
/// it from one thread at a time. Throws kUsage, naming what breaks it, for an architecture that is not
/// symmetric; as Kernel does.
TokenKernel token_kernel(const Kernel& kernel);

}  // namespace telos::symmetry
