#pragma once

#include <cstdint>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/langevin.h"
#include "telos/symmetry/laws.h"
#include "telos/symmetry/sequence_target.h"

// A network of finite width beside the regression that is its limit, on sequences that neither has seen.

namespace telos::symmetry {

/// Sequences with labels to train on, and unseen ones.
struct NetworkData {
  Matrix<std::uint32_t> sequences, tests;
  std::vector<double> labels;
};
/// From a law: `samples` sequences with labels of the target's output 0 and noise of variance `noise`, and up
/// to `tests` different sequences that are none of them. Throws kUsage where a law has no others.
NetworkData draw_network_data(const Law& law, const SequenceTarget& target, std::size_t samples,
                              std::size_t tests, double noise, std::uint64_t seed, const Arena& arena);
/// From data: a random choice; column 0 of the labels.
NetworkData choose_network_data(ConstMatrixView<std::uint32_t> sequences, ConstMatrixView<double> labels,
                                std::size_t samples, std::size_t tests, std::uint64_t seed);

struct NetworkStudy {
  std::size_t samples = 0;
  LangevinOptions options;
  LangevinResult network;
  std::vector<double> mean, variance;  ///< of the regression at the unseen sequences
  /// Σ f g/√(Σ f² Σ g²) of the two means; the root mean square of their difference, and of the regression's.
  double correlation = 0, difference = 0, size = 0;
  std::vector<WidthPoint> widths;  ///< before training
};
/// Random networks of each width that are taken before training.
inline constexpr std::size_t kWidthNetworks = 60;
/// Widths before training: 32, 64 … up to that of the trained one, and at least three.
/// Throws as train_langevin and GaussianProcess.
NetworkStudy study_network(const NetworkData& data, std::uint32_t letters, const LangevinOptions& options,
                           const Arena& arena);

}  // namespace telos::symmetry
