#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "telos/bigram/corpus.h"

// What the measures on a text are made of.

namespace telos::bigram {

// ---- Windows

/// Windows of a text: window w ends at token max_offset + w, which is its last token; the next one is its
/// output. All of them have all offsets.
struct Windows {
  std::span<const std::uint16_t> tokens;
  std::size_t max_offset = 0;

  std::size_t size() const { return tokens.size() > max_offset + 1 ? tokens.size() - max_offset - 1 : 0; }
  /// The last token's place: place[−d] is the token at offset d, place[1] the output.
  const std::uint16_t* at(std::size_t window) const { return tokens.data() + max_offset + window; }
  /// The text of windows [0, count) alone.
  Windows first(std::size_t count) const { return {tokens.first(count + max_offset + 1), max_offset}; }
  /// The text of windows [begin, end) alone.
  Windows part(std::size_t begin, std::size_t end) const {
    return {tokens.subspan(begin, end - begin + max_offset + 1), max_offset};
  }
};
/// What the windows predict; and that with the last token of the first one, all their pairs (last, output).
inline std::span<const std::uint16_t> outputs_of(const Windows& w) {
  return w.tokens.subspan(w.max_offset + 1);
}
inline std::span<const std::uint16_t> pairs_of(const Windows& w) {
  return w.tokens.subspan(w.max_offset);
}
/// Throws kUsage (offset, a token that is not below `vocabulary`, no window), kLimit.
Windows windows_of(std::span<const std::uint16_t> tokens, std::size_t vocabulary, std::size_t max_offset);

/// Throws kUsage where there are too few windows to fit some and predict others.
void require_windows(const Windows& windows);

// ---- Tables of pairs (dependence.cpp)

/// A cell (first·vocabulary + second) of a table of counts that is not empty.
struct PairCell {
  std::uint32_t key = 0, count = 0;
};

/// Cells of n pairs in the order of their keys; key(i) is pair i's. O(n + V²), or O(n log n) where few pairs
/// meet a large table.
template <class Key>
std::vector<PairCell> count_pairs(std::size_t n, std::size_t vocabulary, const Key& key) {
  std::vector<PairCell> cells;
  if (vocabulary * vocabulary <= 4 * n) {
    std::vector<std::uint32_t> table(vocabulary * vocabulary);
    for (std::size_t i = 0; i < n; ++i) ++table[key(i)];
    for (std::size_t at = 0; at < table.size(); ++at)
      if (table[at] != 0) cells.push_back({static_cast<std::uint32_t>(at), table[at]});
    return cells;
  }
  std::vector<std::uint32_t> keys(n);
  for (std::size_t i = 0; i < n; ++i) keys[i] = static_cast<std::uint32_t>(key(i));
  std::sort(keys.begin(), keys.end());
  for (const std::uint32_t at : keys) {
    if (cells.empty() || cells.back().key != at) cells.push_back({at, 0});
    ++cells.back().count;
  }
  return cells;
}

/// All of a Dependence but `chance`.
Dependence dependence_of(const std::vector<PairCell>& cells, std::size_t vocabulary);
/// Pr(χ² with `degrees` degrees of freedom ≥ x), also for degrees that are not whole.
double chi_squared_tail(double x, double degrees);
/// Holm's correction of p-values, in the order of the tests.
void correct_for_all(std::vector<OffsetTest>& tests, double level);

/// Dependence of (x_i, x_{i+l}) for l = 1 … longest.
std::vector<Dependence> lag_dependence(std::span<const std::uint16_t> tokens, std::size_t vocabulary,
                                       std::size_t longest, std::uint64_t seed, const Arena& arena);
/// A test for every last token of at least min_count windows and every offset from 1; the others go to
/// `rare`.
std::vector<OffsetTest> test_offsets(const Windows& windows, std::size_t vocabulary,
                                     const EstimateOptions& options, std::vector<std::uint16_t>& rare,
                                     const Arena& arena);

// ---- Laws from counts (mixture.cpp)

/// (count + ½) over its sum.
std::vector<double> smoothed_frequencies(std::span<const std::uint16_t> tokens, std::size_t vocabulary);
/// Columns of counts become laws: (c_oj + αμ_o)/(Σ_o c_oj + α).
void smooth_columns(Matrix<double>& counts, std::span<const double> mu, double smooth);

// ---- Blocks

/// Means over `blocks` parts of a text, and differences of such means: value over all windows, error from
/// the blocks' scatter.
class BlockSums {
 public:
  BlockSums(std::size_t windows, std::size_t columns);
  std::size_t blocks() const { return blocks_; }
  std::size_t begin(std::size_t block) const { return block * windows_ / blocks_; }
  /// Sum of one column (a model's losses) in a block.
  double& sum(std::size_t block, std::size_t column) { return sums_[block * columns_ + column]; }
  BlockMean mean(std::size_t column) const { return mean_of(column, columns_); }
  /// Of column a less column b, paired.
  BlockMean difference(std::size_t a, std::size_t b) const { return mean_of(a, b); }

 private:
  BlockMean mean_of(std::size_t a, std::size_t b) const;
  std::size_t windows_, columns_, blocks_;
  std::vector<double> sums_;
};

}  // namespace telos::bigram
