#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/gpr.h"
#include "telos/symmetry/learning_simulation.h"

// What all simulations of learning curves share: data sets, and means over them.

namespace telos::symmetry {

inline constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

/// What one data set gives.
struct DrawResult {
  double error = kNothing, train_error = kNothing, test_error = kNothing, evidence = kNothing;
  std::vector<double> learnability{}, output{};  ///< by part of the curve
};

/// Throws kUsage for an option out of range, kLimit for what does not fit, and says how long it takes.
void require_simulation(const SimulationOptions& o, std::size_t outputs, std::uint32_t letters,
                        const Arena& arena);
/// Throws kShape unless laws and target have the length and letters of each other and of the options.
void require_same_size(const Law& law, const SequenceTarget& target, const Law* test,
                       const SimulationOptions& o);
/// Throws kShape unless there is a label for each sequence of the options' length, kUsage where no sequence
/// is left to test on.
void require_data(ConstMatrixView<std::uint32_t> sequences, ConstMatrixView<double> labels,
                  const SimulationOptions& o);

/// Calls draw(P, number of the data set) for all P and `draws` of each, and takes means; `parts` says what
/// of.
SimulatedCurve run_draws(const SimulationOptions& o, std::vector<CurvePart> parts, const Arena& arena,
                         const std::function<DrawResult(std::size_t, std::uint64_t)>& draw);

/// The same of random splits of the same data. They have most of it in common, and what the error of their
/// mean is remains unknown: errors are the standard deviation over splits.
SimulatedCurve run_splits(const SimulationOptions& o, ConstMatrixView<double> labels, const Arena& arena,
                          const std::function<DrawResult(std::size_t, std::uint64_t)>& draw);

/// Sequences and noisy labels of a data set.
struct DataSet {
  Matrix<std::uint32_t> sequences;
  Matrix<double> labels;
};
DataSet draw_data(const Law& law, const SequenceTarget& target, const SimulationOptions& o,
                  std::size_t samples, std::uint64_t index, const Arena& arena);
/// One uniform letter for each sample of a data set.
std::vector<std::uint32_t> draw_queries(std::uint32_t letters, const SimulationOptions& o,
                                        std::size_t samples, std::uint64_t index);
/// The numbers 0 … n − 1, the first `samples` of which are a random choice.
std::vector<std::size_t> draw_choice(std::size_t n, std::size_t samples, const SimulationOptions& o,
                                     std::uint64_t index);
/// Streams of what tests are drawn from.
inline constexpr std::uint32_t kTesting = 0x53794C02, kOtherTesting = kTesting + 0x10;

/// (K + rI)⁻¹ y, with the evidence and the error at the samples put into `result`.
Matrix<double> regress(Matrix<double> gram, ConstMatrixView<double> labels, double ridge, const Arena& arena,
                       DrawResult& result);

/// Squares of all labels over their number of rows.
double mean_square(ConstMatrixView<double> labels);

/// A part of a function without its mean under the law.
LinearFunction without_mean(LinearFunction part, const Law& law);

}  // namespace telos::symmetry
