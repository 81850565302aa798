#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/io/token_stream.h"
#include "telos/symmetry/corpus.h"

// Windows at all offsets, of any length. Where a text is taken as stationary, C_bc depends on c − b alone,
// and pairs of tokens at each distance, counted once, give the parts of windows of all lengths up to the
// longest.

namespace telos::symmetry {

/// How often each pair of letters came τ tokens apart, τ = 1 … longest − 1. Exact; counts of parts of a text
/// add up, less the pairs that reach from one part into another.
class LagCounts {
 public:
  /// Throws as table_bytes for the longest window; kLimit (memory).
  LagCounts(std::size_t letters, std::size_t longest);

  /// A part of the text. O(longest) additions a token. Throws kLimit above 2³² − 1 tokens.
  void add(std::span<const std::uint16_t> tokens);
  /// Both throw kShape. What is taken away must have been added.
  LagCounts& operator+=(const LagCounts& other);
  LagCounts& operator-=(const LagCounts& other);

  std::size_t letters() const { return letters_; }
  std::size_t longest() const { return pairs_.size() + 1; }
  std::uint64_t tokens() const { return tokens_; }
  std::uint64_t pairs(std::size_t lag) const { return pairs_[lag - 1]; }
  std::uint32_t single(std::size_t v) const { return singles_[v]; }
  std::uint32_t pair(std::size_t lag, std::size_t v, std::size_t w) const {
    return tables_[((lag - 1) * (letters_ + 1) + v) * (letters_ + 1) + w];
  }

 private:
  friend class LagLane;
  void require_same_shape(const LagCounts& other) const;
  /// Pairs of lags lane + 1, lane + 1 + lanes, … that end at states[before] or behind it; lane 0 also those
  /// states.
  void count(std::span<const std::uint16_t> states, std::size_t before, std::size_t lane, std::size_t lanes);

  std::size_t letters_;
  std::uint64_t tokens_ = 0;
  std::vector<std::uint64_t> pairs_;    ///< by lag
  std::vector<std::uint32_t> singles_;  ///< K + 1; the last one is all that are no letters
  std::vector<std::uint32_t> tables_;   ///< (K + 1) × (K + 1) by lag
};

/// C_{b,b+τ}(v, w) = N_τ(v, w)/N_τ − p(v)p(w).
class LagCovariance {
 public:
  /// Throws kUsage where a distance has no pair.
  explicit LagCovariance(const LagCounts& counts);
  std::size_t letters() const { return letters_; }
  std::size_t longest() const { return sums_.rows(); }
  ConstMatrixView<double> table(std::size_t lag) const { return {lags_.row(lag), letters_, letters_}; }
  /// Σ_{c≠b} C_bc of a window of `length`: length × K².
  Matrix<double> row_sums(std::size_t length) const;

 private:
  std::size_t letters_;
  Matrix<double> lags_;  ///< longest × K²; row 0 is 0
  Matrix<double> sums_;  ///< of rows 0 … τ
};

/// As energies() of two Covariances of windows of `length`. O(length K²). Throws kShape, kUsage (too long).
Energies energies(const LagCovariance& a, const LagCovariance& b, std::size_t length);

/// Parts of windows of one length: as BlockEstimate.
struct LengthEstimate {
  std::size_t length = 0;
  Estimate total;
  std::array<Estimate, kParts> fractions;
  bool dependent = false;
};
/// Cross-fitted between even and odd ones of `blocks` contiguous parts of the text, which is read once.
/// Lengths in ascending order. Same bits for any number of threads. Throws kUsage (no length, one out of
/// range, a block shorter than kLeastWindows of the longest windows), kLimit (memory; more than 2³² − 1
/// tokens), kIo (the text changed meanwhile).
std::vector<LengthEstimate> measure_lengths(TokenStream& text, std::size_t letters,
                                            const std::vector<std::size_t>& lengths, std::size_t blocks,
                                            const Arena& arena, const ErrorOptions& errors = {});
std::vector<LengthEstimate> measure_lengths(std::span<const std::uint16_t> tokens, std::size_t letters,
                                            const std::vector<std::size_t>& lengths, std::size_t blocks,
                                            const Arena& arena, const ErrorOptions& errors = {});
/// 4, 8, 16 … up to `most`, as far as measure_lengths() takes them for a text of `tokens`.
std::vector<std::size_t> doubling_lengths(std::uint64_t tokens, std::size_t blocks, std::size_t most);

}  // namespace telos::symmetry
