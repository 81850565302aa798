#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/langevin.h"

namespace telos::symmetry {

/// The finitely wide block. f is a sum over positions of a table of what a letter says there, so that all
/// products run over the L V pairs of position and letter, not over samples.
class Network {
 public:
  Network(const SimplifiedBlock& block, const NetworkShape& shape, std::size_t length, std::uint32_t letters);

  std::size_t parameters() const { return size_; }
  std::size_t rows() const { return length_ * letters_; }  ///< of the table; row b V + v
  /// Table[b V + v] of weights θ: f(x) = Σ_b table[b V + x_b]. Keeps what gradient() needs.
  void forward(std::span<const double> theta, std::span<double> table);
  /// Σ_rows slope · ∂table/∂θ at the θ of the last forward().
  void gradient(std::span<const double> theta, std::span<const double> slope, std::span<double> gradient);
  /// Own kernel at the θ of the last forward(), between rows: Σ_h (q_h·h_r)(q_h·h_t)(h_r·h_t)/(L² H d²), from
  /// which that of two sequences is a sum over pairs of positions.
  Matrix<double> row_kernel() const;

 private:
  // Weights in θ: letters (V × d), positions (L × d), W by head (H × d × m), k (H × m), w (H × d).
  std::size_t letters_at() const { return 0; }
  std::size_t positions_at() const { return letters_ * shape_.width; }
  std::size_t keys_at() const { return positions_at() + length_ * shape_.width; }
  std::size_t queries_at() const { return keys_at() + shape_.heads * shape_.width * shape_.keys; }
  std::size_t values_at() const { return queries_at() + shape_.heads * shape_.keys; }

  SimplifiedBlock block_;
  NetworkShape shape_;
  std::size_t length_, letters_, size_;
  double scale_;                                     ///< 1/(L √H d)
  Matrix<double> hidden_, query_, logits_, values_;  ///< rows × d, H × d, rows × H twice
  Matrix<double> d_logits_, d_values_, d_hidden_, d_query_;
  Arena arena_{1};  ///< chains run side by side, each in its own thread
};

}  // namespace telos::symmetry
