#pragma once

#include <string>
#include <vector>

#include "telos/report/words.h"
#include "telos/smoothing/lab.h"
#include "telos/smoothing/measure.h"
#include "telos/smoothing/spectra.h"

namespace telos::smoothing {

/// The whole diagnosis: verdict, key numbers, tables `layers` and `heads`, figures, definitions, limits.
/// Serves weights only and trace only as well; sections without data are absent, and `not_measured` says why.
Report smoothing_report(const SmoothingDiagnosis& diagnosis, const PageContext& context);

/// One simulated system: what the eigenvalues predict (linear systems), what the tokens did, measure by
/// measure.
Report simulate_report(const SimulationSpec& spec, const SimulationResult& result,
                       const PageContext& context);

/// "BERT encoder · 6 layers · d 384 · 12 heads × 32 · post-norm (LayerNorm)".
std::string architecture_line(const Architecture& architecture);

/// Every term that the lens uses: definition, source, and whether it is gauge-invariant.
std::vector<Definition> smoothing_definitions();

}  // namespace telos::smoothing
