#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "clustering/argmax.h"
#include "clustering/hardmax_state.h"
#include "telos/clustering/hardmax.h"

// The parts of run_hardmax: from tokens to unique points with A = I, the layers, and back.

namespace telos::clustering {

/// 2^exponent times x, element by element.
void scale_by_power(MatrixView<double> x, int exponent);

/// Tokens as the engine wants them, and the way back.
struct HardmaxInput {
  Matrix<double> w;                    ///< unique points, in the order of the run
  Matrix<double> z;                    ///< what goes along: means of equal points in z; empty: w itself
  std::vector<double> copies;          ///< tokens of each point
  int w_exponent = 0, z_exponent = 0;  ///< scaled by 2^-exponent
  int score_exponent = 0;              ///< ‖Lᵀz‖ is 2^(w_exponent + score_exponent) times ‖w‖
  Matrix<double> offsets;              ///< n × d, z less the mean of its point; empty: all 0
  std::vector<std::uint32_t> point;    ///< token → point
  std::vector<std::uint32_t> lowest;   ///< point → lowest token

  bool carries = false;                                               ///< z is there
  int exponent() const { return carries ? z_exponent : w_exponent; }  ///< of positions
};

struct HardmaxPlan {
  bool theorem = true;
  double alpha = 1;  ///< V = αI gives it, too
};
/// Checks tokens, A, V and numbers.
HardmaxPlan check_hardmax(ConstMatrixView<double> tokens, const HardmaxOptions& options);
/// `reduce`: w = Lᵀz with A = LLᵀ; else w = z, whatever A is.
HardmaxInput reduce_tokens(ConstMatrixView<double> tokens, const HardmaxOptions& options, bool reduce,
                           const Arena& arena);

/// A = LLᵀ with as few columns as the rank of A, by pivots in descending order.
struct Factor {
  Matrix<double> l;  ///< d × rank
  double smallest_pivot = 0;
  bool semidefinite = true;
};
Factor factor_semidefinite(ConstMatrixView<double> a);

/// How the scan is cut; the sets found do not depend on it.
struct ScanTiles {
  std::size_t queries = 132;  ///< rows of one product
  std::size_t columns = 512;  ///< tokens of one product
  std::size_t most = 64;      ///< products in a row before queries that are done leave
};
/// Any dimension: norms, single-precision products as a filter, canonical scores among what is left.
std::unique_ptr<ArgmaxSource> make_scan_source(const ScanTiles& tiles = {});

/// What a run's layers leave behind.
struct EngineResult {
  HardmaxState state;
  std::vector<std::uint8_t> changed;
  std::vector<std::uint32_t> first_target;  ///< lowest token
  std::vector<LayerCounts> per_layer;
  std::vector<HardmaxRun::Layer> history;  ///< in units of the state
  bool stalled = false;                    ///< K = ∞, and ended with tokens undecided
  bool capped = false;                     ///< stalled: at the largest number of layers
};
/// The system with A = I and V = αI. Takes the points out of `input`.
EngineResult run_layers(HardmaxInput& input, double alpha, const HardmaxOptions& options,
                        ArgmaxSource& source, const Arena& arena);
/// Any A and V, layer by layer: nobody leads, all are static once nothing moves.
EngineResult run_general(HardmaxInput& input, double alpha, const HardmaxOptions& options,
                         const Arena& arena);

/// r^k by repeated squaring.
double power(double r, std::size_t k);
/// to + factor·(from − to).
void approach(const double* from, const double* to, double factor, std::span<double> out);

}  // namespace telos::clustering
