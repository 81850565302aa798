#pragma once

#include <functional>
#include <string>

#include "telos/report/report.h"
#include "telos/symmetry/learn_page.h"

// What the page of a learning curve is made of.

namespace telos::symmetry {

/// A number of a point of the curve.
using PointValue = std::function<Estimate(const SimulatedPoint&)>;
/// Learnability, and energy of the output, of a part of the curve.
PointValue learnability_of(std::size_t part);
PointValue output_of(std::size_t part);
/// Whether it is known anywhere.
bool has(const SimulatedCurve& curve, const PointValue& value);
/// What ± is: "standard error over data sets"; of splits of one file their spread.
std::string spread_words(const LearnRun& run);
/// "0.28 %".
std::string share_text(double share);
/// "38 % of" a whole, or "8.5 times" it.
std::string energy_text(double share);
/// What is left of the target's energy at the last point; no number of a target that is 0.
double left_over(const LearnRun& run);

Figure learnability_figure(const LearnRun& run);
Figure error_figure(const LearnRun& run);
Table curve_table(const LearnRun& run);
/// Simulation and theory side by side.
Table theory_table(const LearnRun& run);
Section network_section(const NetworkStudy& study);

}  // namespace telos::symmetry
