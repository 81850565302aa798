#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "symmetry/corpus_parts.h"
#include "telos/base/philox.h"
#include "telos/symmetry/corpus.h"

// A text in random order, a part at a time.

namespace telos::symmetry {

/// Windows, as they come, in the blocks of a text that has `windows` of them.
class BlockCounts {
 public:
  BlockCounts(const CorpusOptions& o, std::uint64_t windows)
      : blocks_(o.blocks, WindowCounts(o.letters, o.length)), windows_(windows) {}
  /// Whole windows; a rest is left out.
  void add(std::span<const std::uint16_t> tokens);
  std::span<const WindowCounts> blocks() const { return blocks_; }

 private:
  std::vector<WindowCounts> blocks_;
  std::uint64_t windows_, at_ = 0;
};

/// Copy number `copy` of a text with the tokens of each window in random order.
class WindowShuffle {
 public:
  WindowShuffle(const CorpusOptions& o, std::uint64_t copy);
  /// The next windows. Valid until the next call.
  std::span<const std::uint16_t> operator()(std::span<const std::uint16_t> tokens);

 private:
  std::size_t length_;
  Random random_;
  std::vector<std::uint16_t> tokens_;
};

/// All tokens of a text in random order, from their counts alone: drawn without replacement, one after the
/// other, their law is that of a shuffle.
class Urn {
 public:
  /// At most 2³² − 1 tokens; those that are no letters are all drawn as `letters`.
  Urn(const std::vector<std::uint64_t>& counts, const CorpusOptions& o);
  /// The next `n` tokens. Valid until the next call.
  std::span<const std::uint16_t> draw(std::size_t n);

 private:
  std::size_t leaves_;
  std::vector<std::uint32_t> left_;  // a heap of sums, what is left of each token at the end
  Random random_;
  std::vector<std::uint16_t> tokens_;
};

/// Shuffled copies that are counted in one reading.
std::size_t copies_at_once(const CorpusOptions& o, const Arena& arena);
/// Share of O of each of o.shuffles copies. Reads the text once at least; in the first reading it also goes
/// to `others`.
std::vector<double> shares_of_shuffles(TokenStream& text, const std::vector<Take>& others,
                                       const CorpusOptions& o, const Arena& arena);

}  // namespace telos::symmetry
