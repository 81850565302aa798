#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/architecture.h"

// Kernels of infinitely wide transformers: the covariance of its outputs at initialisation (NNGP), and the
// kernel that gradient descent follows (NTK). arXiv 2402.05173; attention: Hron et al., arXiv 2006.10540.

namespace telos::symmetry {

using Token = std::uint32_t;
using TokenSpan = std::span<const Token>;
inline constexpr std::size_t kMostPositions = 16384;

/// kSingle: blocks, products and transforms of pairs in float; what is prepared of a sequence, and readouts,
/// in double.
enum class Precision { kDouble, kSingle };

struct KernelOptions {
  bool ntk = false;            ///< also the NTK: about twice the work
  std::size_t samples = 2000;  ///< of softmax at 1/√d; rounded up to a multiple of the batches
  std::size_t batches = 20;    ///< of samples, whose spread gives the standard error
  bool antithetic = true;      ///< each draw is used with both signs
  std::uint64_t seed = 1;
  Precision precision = Precision::kDouble;
};

struct KernelValue {
  double nngp = 0;
  double ntk = std::numeric_limits<double>::quiet_NaN();  ///< NaN unless asked for
  double error = 0;                                       ///< standard error of nngp; 0 where it is exact
  double ntk_error = 0;                                   ///< of ntk
};

struct KernelProgram;
struct SequenceCache;

/// All that a kernel needs of one sequence alone. Cheap to copy.
class PreparedSequence {
 public:
  /// Tokens that are no padding.
  std::size_t length() const;
  /// Bytes that it holds.
  double bytes() const;
  /// Largest Σ h_k² that the series of tanh and SiLU leave out: an upper bound of the error of any value of
  /// the nonlinearity. 0 where forms are closed.
  double series_rest() const;

 private:
  friend class Kernel;
  explicit PreparedSequence(std::shared_ptr<const SequenceCache> cache) : cache_(std::move(cache)) {}
  std::shared_ptr<const SequenceCache> cache_;
};

/// k(X, Y) of two sequences of tokens of any lengths. Each layer maps the block K_ab of covariances between
/// positions a of X and b of Y; what needs (X, X) alone (variances, attention matrices) is computed once a
/// sequence, and after the last attention layer only what the readout asks for is. A deterministic function
/// of its arguments, Monte Carlo included. Safe to use from several threads; cheap to copy.
///
/// Softmax at 1/√d by Monte Carlo: in a first layer on independent positions or none, samples are the same
/// for all sequences, so that Gram matrices are positive semidefinite and grow without change. In deeper
/// layers, or on other positions, logits are drawn from the covariances of the layer below, of the two
/// sequences of a pair (a Gram matrix is then positive semidefinite up to the errors), or of all sequences of
/// a set (tile_jointly(): positive semidefinite, but a value depends on the set). A value is of one run of
/// all samples through all layers; its standard error is the spread of as many runs of one batch each through
/// all layers as there are batches, so that errors of a layer are carried into those above.
///
/// Cost of a pair: 4 L³ flops for each attention layer at 1/d but the last under the readouts last and cls,
/// L⁴ transforms for relu, abs and erf attention at 1/√d (L² in the last layer under last and cls). With
/// samples, each: 4 L³ flops for softmax at 1/√d (L² in the last layer under last and cls), 30 L³ with the
/// NTK, and in deeper layers 4 L² normal numbers (4 L under last and cls) and 16 L³ flops.
class Kernel {
 public:
  /// Token ids are below `vocabulary`. Throws kUsage (a number out of range), kUnsupported for what has no
  /// kernel here: softmax at 1/√d with rotary embeddings.
  Kernel(Architecture architecture, std::size_t vocabulary, KernelOptions options = {});

  const Architecture& architecture() const;
  const KernelOptions& options() const;
  std::size_t vocabulary() const;
  /// Values are estimates with a standard error.
  bool monte_carlo() const;
  /// Samples are drawn for a pair or a set of sequences, not for each alone: see tile_jointly().
  bool joint() const;
  /// Under Precision::kSingle, why pairs are computed in double nevertheless; empty where they are not.
  /// Values in float differ from those in double by at most 1e-6 √(k(X, X) k(Y, Y)).
  std::string stays_double() const;
  /// Bytes that one pair of sequences of this length takes while it is computed.
  double working_bytes(std::size_t length) const;

  /// Throws kUsage for an empty sequence (beside padding, which needs not be in the vocabulary), one longer
  /// than kMostPositions, or a token that is out of the vocabulary; kNotFinite where a variance overflows.
  PreparedSequence prepare(TokenSpan tokens) const;
  KernelValue operator()(const PreparedSequence& x, const PreparedSequence& y) const;
  KernelValue operator()(TokenSpan x, TokenSpan y) const;

  /// All pairs of rows and columns at once. `ntk` and the errors of both are written where they are not
  /// empty. Same bits as pair by pair.
  void tile(std::span<const PreparedSequence> rows, std::span<const PreparedSequence> columns,
            MatrixView<double> nngp, MatrixView<double> ntk, MatrixView<double> error,
            MatrixView<double> ntk_error = {}) const;
  /// All pairs of some sequences: what tile() gives, unless joint(); then with the same samples for all of
  /// them. Same bits for any number of threads. A sample takes 4 N³ flops of N tokens in all.
  void tile_jointly(std::span<const PreparedSequence> sequences, MatrixView<double> nngp,
                    MatrixView<double> ntk, MatrixView<double> error, MatrixView<double> ntk_error,
                    const Arena& arena) const;
  /// Bytes that tile_jointly() takes of sequences with so many tokens in all.
  double joint_bytes(std::size_t tokens) const;

 private:
  std::shared_ptr<const KernelProgram> program_;
};

}  // namespace telos::symmetry
