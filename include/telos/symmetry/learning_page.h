#pragma once

#include <span>
#include <vector>

#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/predict.h"
#include "telos/symmetry/spectrum.h"

namespace telos::symmetry {

/// Definitions of every number that is printed of a spectrum, or predicted from one.
std::vector<Definition> learning_definitions();

/// One kernel at one or more lengths, ascending; one vocabulary. What the kernel and the law are stands in
/// the context's facts. Throws kUsage for none.
Report spectrum_report(std::span<const Spectrum> spectra, const PageContext& context);

/// One target likewise.
Report predict_report(std::span<const Prediction> predictions, const PageContext& context);

}  // namespace telos::symmetry
