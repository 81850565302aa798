#pragma once

#include <string>
#include <vector>

#include "telos/report/words.h"
#include "telos/smoothing/page.h"

namespace telos::smoothing {

std::string plus_minus(const Estimate& estimate, bool sign = false);

// Parts of the page. Tables and figures are empty (no rows, no marks) where there is nothing to show.

Table layers_table(const SmoothingDiagnosis& diagnosis);         ///< in the terminal
Table layer_details_table(const SmoothingDiagnosis& diagnosis);  ///< everything a layer has
Table heads_table(const WeightSpectra& spectra);                 ///< weights, a row a head
Table contributions_table(const TraceMeasures& measures);        ///< data, a row a head of each layer
Table depth_table(const TraceMeasures& measures);                ///< every token measure with its error

Figure cosine_figure(const TraceMeasures& measures);
Figure varying_share_figure(const TraceMeasures& measures);
Figure rank_figure(const TraceMeasures& measures);
Figure eigenvalue_figure(const SmoothingDiagnosis& diagnosis);
Figure copy_score_figure(const WeightSpectra& spectra);
Figure gain_map_figure(const TraceMeasures& measures);
Figure gain_bars_figure(const TraceMeasures& measures);

/// What the linear theory leaves out, one paragraph each.
std::vector<std::string> limits();

/// Heads with a measured gain that differs from 0 by more than sigmas(windows) errors, most smoothing first.
struct RankedHead {
  std::string name;
  std::size_t layer = 0;
  Estimate gain;
};
std::vector<RankedHead> ranked_heads(const TraceMeasures& measures);
bool decisive(const Estimate& gain);

}  // namespace telos::smoothing
