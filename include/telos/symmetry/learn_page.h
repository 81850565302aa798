#pragma once

#include <optional>
#include <string>
#include <vector>

#include "telos/report/report.h"
#include "telos/report/words.h"
#include "telos/symmetry/learning_simulation.h"
#include "telos/symmetry/learning_theory.h"
#include "telos/symmetry/network_study.h"

namespace telos::symmetry {

/// Definitions of every number that a learning curve prints.
std::vector<Definition> learn_definitions();

/// What was simulated, and what of it is shown.
struct LearnRun {
  std::string law, target, test_law;  ///< names; test_law empty without one
  bool exchangeable = true;           ///< the law of training is exactly symmetric
  bool data = false;                  ///< curves are of sequences and labels from files
  std::string architecture{};         ///< in words; empty: the simplified block of the options
  bool ntk = false;                   ///< the NTK of the architecture, not its NNGP kernel
  std::string no_theory{};            ///< why there is none for the architecture
  std::uint32_t letters = 2;
  SimulationOptions options;
  SimulatedCurve curve;
  std::vector<TheoryPoint> theory;  ///< at the samples of the curve and between; empty where there is none
  std::optional<NetworkStudy> network;
};

/// Samples at which the learnability of a part reaches one half, between two points of the curve on a
/// logarithmic scale; NaN where it does not, or has done so before the first point.
double half_learned(const std::vector<SimulatedPoint>& points, std::size_t part);

/// A target: how many samples each of its irreps takes, what error is left, and a finite network beside it.
Report learn_report(const LearnRun& run, const PageContext& context);

}  // namespace telos::symmetry
