#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "telos/report/charts.h"
#include "telos/report/report.h"
#include "telos/symmetry/predict.h"

// What the page of a prediction is made of.

namespace telos::symmetry {

using Predictions = std::span<const Prediction>;

/// Of the target's energy.
double share_of(const Prediction& p, const PartPrediction& part);
/// "(L−1,1)"; what is left of an irrep beside terms of so many positions.
std::string part_symbol(const Prediction& p, const TargetPart& part);
/// All of them, in the order in which they come.
std::vector<std::string> symbols_of(Predictions predictions);
/// "exact", "estimate", "bound only".
std::string eigenvalue_basis(const Prediction& p, const PartPrediction& part);
/// "36.91", "never", "unknown".
std::string samples_text(double samples);
/// " (35 to 39 within the error of its eigenvalue)"; nothing where that is exact.
std::string range_text(const PartPrediction& part);

/// A number of one part at all lengths where it is finite.
using PartNumber = std::function<double(const PartPrediction&)>;
Series by_length(Predictions predictions, const std::string& symbol, const PartNumber& number);
double samples_number(const PartPrediction& p);
double hopeful_number(const PartPrediction& p);
double sector_number(const PartPrediction& p);
double any_kernel_number(const PartPrediction& p);

Table parts_of_target(Predictions predictions);
/// Of parts that lie on several levels; no rows where there are none.
Table levels_of_target(Predictions predictions);
Table slopes_table(Predictions predictions);
Table curve_table(const Prediction& p);

Figure samples_figure(Predictions predictions);
Figure learnability_figure(const Prediction& p);
Figure error_figure(const Prediction& p);

}  // namespace telos::symmetry
