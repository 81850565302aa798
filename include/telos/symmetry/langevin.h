#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/simplified_gram.h"

// The simplified block with finitely many weights, and its posterior by Langevin dynamics:
//
//     f(x) = 1/(L √H) Σ_h Σ_b (q_h·h_b)/√d (h_b·w_h)/√d,  q_h = W_h k_h/√m,  h_b = √e E[x_b] + √s p_b
//
// with W_h (d × m), the query side k_h (m), w_h, E[v] and p_b (d) all standard normal before training. As
// width d and heads H grow, f becomes the Gaussian process of simplified_gram.h.

namespace telos::symmetry {

struct NetworkShape {
  std::size_t width = 256, heads = 64, keys = 4;  ///< d, H, m
};
/// Width d, d/4 heads (at least one), 4 keys: what is gained by more keys is less than by more heads.
NetworkShape shape_of_width(std::size_t width);
/// Throws kUsage (one out of [1, 4096]), kLimit (memory).
void require_network(const NetworkShape& shape, std::size_t length, std::uint32_t letters);

struct LangevinOptions {
  SimplifiedBlock block;  ///< without query
  NetworkShape shape;
  double noise = 0.05;  ///< σ² > 0: variance of the labels, the ridge of the regression it is compared with
  std::size_t chains = 4;  ///< independent ones; at least 2
  double burn_in = 10;     ///< relaxation times that are left out
  double duration = 60;    ///< relaxation times that are averaged over, by each chain
  double step = 0.7;       ///< as a share of 1/√(largest curvature)
  std::uint64_t seed = 1;
};
inline constexpr double kMostSteps = 5e6;  ///< of a chain
/// Throws kUsage for an option out of range, kLimit (memory).
void require_langevin(const LangevinOptions& options, std::size_t length, std::uint32_t letters);

/// The steps that a chain takes.
struct LangevinSchedule {
  double curvature = 0;  ///< largest of the loss: Σ over samples of ∇f∇fᵀ, at the start of the first chain
  double step = 0;       ///< in relaxation times
  std::size_t burn_in = 0, steps = 0;  ///< of which the first burn_in are left out
};
/// What train_langevin() would take, for the price of a few dozen of its steps. Throws what it throws before
/// its first.
LangevinSchedule plan_langevin(ConstMatrixView<std::uint32_t> sequences, std::span<const double> labels,
                               std::uint32_t letters, const LangevinOptions& options);

struct LangevinResult {
  std::vector<double> mean;      ///< time average of f at each test sequence, over all chains
  std::vector<double> error;     ///< its standard error, by the chains
  std::vector<double> variance;  ///< of f over time and chains: the posterior variance
  LangevinSchedule schedule;     ///< of each chain
  std::size_t parameters = 0;
};
/// Samples exp(−|θ|²/2 − Σ_p (f(x_p) − y_p)²/(2σ²)) by underdamped Langevin dynamics with friction 2, which
/// has the stationary law of the gradient descent with weight decay σ² and noise of temperature σ² but
/// relaxes in the square root of its number of steps: splitting BAOAB (Leimkuhler and Matthews 2013), error
/// O(step²), one gradient a step. A relaxation time is 1: that of what the data do not fix. Steps have
/// length step/√(1 + curvature/σ²). Noise is a sum of 32 signs: the moments that the order of the scheme
/// needs are those of a normal variable. O(L V d H) a step, whatever the samples. Same bits for any number of
/// threads. Throws kUsage, kShape, kLimit (above kMostSteps: take a larger σ² or fewer samples),
/// kNoConvergence where a chain leaves the finite numbers.
LangevinResult train_langevin(ConstMatrixView<std::uint32_t> sequences, std::span<const double> labels,
                              ConstMatrixView<std::uint32_t> tests, std::uint32_t letters,
                              const LangevinOptions& options, const Arena& arena);

/// Networks as they start, of one width each: their own kernel, the covariance of f over w_h alone,
/// 1/(H d) Σ_h s_h(X)·s_h(Y), s_h = 1/L Σ_b (q_h·h_b)/√d h_b, against the infinitely wide one.
struct WidthPoint {
  NetworkShape shape;
  double mean = 0;        ///< of (own − infinite)/√(k(X,X) k(Y,Y)) over pairs and networks
  double mean_error = 0;  ///< its standard error over networks
  double expected =
      0;  ///< its exact value: that of ((e + s)² + k)/d, for E (h·h')² = K² + (K_bb K_cc + K²)/d
  double spread = 0;  ///< root mean square of the same: falls as width^−1/2
};
/// Shapes as shape_of_width(). Same bits for any number of threads. Throws kUsage, kLimit.
std::vector<WidthPoint> measure_widths(const SimplifiedBlock& block, ConstMatrixView<std::uint32_t> sequences,
                                       std::uint32_t letters, const std::vector<std::size_t>& widths,
                                       std::size_t networks, std::uint64_t seed, const Arena& arena);

}  // namespace telos::symmetry
