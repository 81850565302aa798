#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/io/npy_file.h"
#include "telos/symmetry/kernel.h"
#include "telos/symmetry/sequences.h"

namespace telos::symmetry {

struct GramOptions {
  bool ntk = false;     ///< the NTK instead of the NNGP kernel
  bool errors = false;  ///< also standard errors, where values are estimates; not with `path`
  std::string path{};   ///< the .npy file that tiles are written to; empty: all in memory. <f8, or <f4 under
                        ///< Precision::kSingle of the kernel
  std::size_t tile = 64;  ///< rows and columns that a thread takes at once
};

/// What a Gram matrix takes, measured on a few of its sequences.
struct GramCost {
  double pairs = 0, seconds = 0, memory = 0, file = 0;  ///< bytes
  std::string text() const;                             ///< "32,896 pairs · 1.2 s · 4 MB of memory"
};

/// k of all pairs: in memory, or in a file that is read row by row.
class Gram {
 public:
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  const std::string& path() const { return path_; }
  /// Empty where the matrix is in a file.
  const Matrix<double>& values() const { return values_; }
  /// Standard errors; empty unless asked for.
  const Matrix<double>& errors() const { return errors_; }
  void row(std::size_t i, std::span<double> out) const;
  /// Pairs whose values an earlier, interrupted run had left in the file.
  double resumed() const { return resumed_; }
  /// All pairs come from the same samples (Kernel::joint()).
  bool joint() const { return joint_; }
  /// Largest rest of the series of tanh and SiLU (PreparedSequence::series_rest).
  double series_rest() const { return series_rest_; }

 private:
  friend class GramBuilder;
  std::size_t rows_ = 0, cols_ = 0;
  std::string path_;
  Matrix<double> values_, errors_;
  std::unique_ptr<NpyMatrixFile> file_;
  double resumed_ = 0, series_rest_ = 0;
  bool joint_ = false;
};

/// All pairs of `rows`, of which the upper triangle is computed; or of `rows` and `columns`. Tiles are dealt
/// to threads; memory: the matrix, unless it goes to a file, and of sequences what is prepared of them, all
/// or, where that is more than a gigabyte, of the tiles at work. An interrupted file is taken up again by the
/// same call. Where softmax at 1/√d lies in deeper layers (Kernel::joint()), all sequences are sampled
/// together if that takes less than 1 GB: 48 bytes N² of N tokens in all, 88 N² of the NTK; else pair by
/// pair, and the matrix is positive semidefinite only up to the errors. Same bits for any number of threads.
/// Throws kUsage (no sequence; errors with a path), kLimit (memory), and as Kernel does, naming the sequence.
Gram gram(const Kernel& kernel, const Sequences& rows, const GramOptions& options, const Arena& arena);
Gram gram(const Kernel& kernel, const Sequences& rows, const Sequences& columns, const GramOptions& options,
          const Arena& arena);
/// Takes as long as a few dozen pairs.
GramCost estimate_gram(const Kernel& kernel, const Sequences& rows, const Sequences* columns,
                       const GramOptions& options, const Arena& arena);

/// What the entries of a Gram matrix look like.
struct GramSummary {
  double diagonal_mean = std::numeric_limits<double>::quiet_NaN(), diagonal_low = diagonal_mean,
         diagonal_high = diagonal_mean;               ///< NaN of two different sets of sequences
  double mean = 0, deviation = 0, low = 0, high = 0;  ///< off the diagonal, or of all
  double largest_error = 0, error = 0;                ///< of values that are estimates: largest, and mean
  double smallest_eigenvalue = std::numeric_limits<double>::quiet_NaN(),
         largest_eigenvalue = smallest_eigenvalue;
  std::vector<double>
      histogram;  ///< shares of entries off the diagonal in kHistogramBins bins of [low, high]
};
inline constexpr std::size_t kHistogramBins = 40, kMostEigen = 2000;
/// Eigenvalues for `symmetric` matrices up to kMostEigen rows.
GramSummary summarise(const Gram& g, bool symmetric);

/// How far a kernel is from symmetric: over pairs (X, Y) of sequences of one length and random permutations
/// g, h of their contexts.
struct Breaking {
  double value = std::numeric_limits<double>::quiet_NaN(), error = value;
  ///< A(k) = E (k(gX, gY) − k(X, Y))²/Var k, and its standard error
  double order = value, order_error = value;  ///< the same of k(gX, Y): 0 where the kernel ignores order
  double largest = 0;                         ///< largest |k(gX, gY) − k(X, Y)|/√Var k
  std::size_t pairs = 0;                      ///< 0: no two sequences of one length above 2, or Var k = 0
};
Breaking measure_breaking(const Kernel& kernel, const Sequences& sequences, bool ntk, std::size_t pairs,
                          std::uint64_t seed, const Arena& arena);

}  // namespace telos::symmetry
