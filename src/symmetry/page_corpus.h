#pragma once

#include <span>
#include <string>
#include <vector>

#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/corpus.h"
#include "telos/symmetry/corpus_lags.h"

// Parts of the page of a text.

namespace telos::symmetry {

inline std::string estimate_text(const Estimate& e) {
  return plus_minus(e.value, e.error);
}
inline const Estimate& trivial_of(const BlockEstimate& e) {
  return e.fractions[static_cast<std::size_t>(Part::kTrivial)];
}
/// "jackknife over blocks".
std::string error_words(const ErrorOptions& errors);
/// Value and standard error behind the other cells of a row.
void append(std::vector<Cell>& row, const Estimate& e);

Figure parts_figure(const CorpusSymmetry& s);
Section parts_section(const CorpusSymmetry& s);
Section distance_section(const CorpusSymmetry& s);
Section lengths_section(std::span<const LengthEstimate> lengths, const ErrorOptions& errors);

/// Components that are shown, and those of them that are close to one irrep.
std::size_t shown_components(const CorpusSymmetry& s);
std::size_t near_irreps(const Components& c, std::size_t shown);
Section components_section(const CorpusSymmetry& s);

}  // namespace telos::symmetry
