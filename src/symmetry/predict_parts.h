#pragma once

#include <vector>

#include "telos/base/matrix.h"
#include "telos/symmetry/predict.h"

namespace telos::symmetry {

/// The mean prediction's error, a quadratic form in what is not learned of the trivial and of the standard
/// part from its values at the corners, and the spread.
std::vector<double> shifted_errors(const Prediction& p, ConstMatrixView<double> correlation);

/// The same of a target on all sequences, with `law` q of each.
std::vector<double> shifted_errors(const Prediction& p, const LevelMoments& moments);

}  // namespace telos::symmetry
