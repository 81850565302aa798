#pragma once

#include <span>
#include <vector>

#include "telos/io/units.h"
#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/corpus.h"
#include "telos/symmetry/corpus_lags.h"

namespace telos::symmetry {

/// Definitions of every number that is printed of a text.
std::vector<Definition> corpus_definitions();

/// A text: how much of what its positions tell of each other is the same for all of them, and what is word
/// order. `corpus` is what was measured: its first letters are those of the result; its tokens are not read.
/// `lengths`: the same by
/// length of the windows, or empty.
Report corpus_report(const Corpus& corpus, const CorpusSymmetry& result,
                     std::span<const LengthEstimate> lengths, const PageContext& context);

}  // namespace telos::symmetry
