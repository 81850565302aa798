#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/io/text_parts.h"
#include "telos/io/token_stream.h"

// A text as a sequence of its most frequent units.

namespace telos {

inline constexpr std::size_t kMostVocabulary = 4096;
/// Bytes of a word or piece.
inline constexpr std::size_t kLongestUnit = std::size_t{1} << 24;

/// A text as tokens: its most frequent units, and one token for all others.
struct Corpus {
  std::vector<std::uint16_t> tokens;  ///< in reading order
  std::vector<std::string> names;     ///< the most frequent unit first; kOther last if there are rarer ones
  std::string unit = "token";         ///< "character", "word", "piece" or "token"
  std::size_t distinct = 0;           ///< different units of the text
  std::uint64_t others = 0;           ///< tokens that stand for a rarer unit

  std::size_t vocabulary() const { return names.size(); }
};
inline constexpr std::string_view kOther = "(other)", kEndOfLine = "<eos>";

enum class Unit { kCharacter, kWord, kPiece };
/// Characters are code points. Words are runs of letters, digits, apostrophes within them and all that is not
/// ASCII, with A–Z in lower case; every other character that is not white space is a word of its own. Pieces
/// are what stands between white space, as it is, and kEndOfLine for the end of each line: texts that were
/// cut into tokens before. At most `vocabulary` tokens: if there are more different units, the vocabulary − 1
/// most frequent ones (ties: in the order of their text; of pieces, the one that comes first in it) and
/// kOther. Throws kBadFormat (not UTF-8; fewer than two different units), kUsage (vocabulary out of
/// [2, kMostVocabulary]), kLimit (a unit longer than kLongestUnit).
Corpus read_units(std::string_view text, Unit unit, std::size_t vocabulary);
/// The same of a tokenizer's ids (ties: the smaller id). `name` is called once for each token that is kept.
Corpus keep_frequent(std::span<const std::int32_t> ids, std::size_t vocabulary,
                     const std::function<std::string(std::int32_t)>& name);

/// The units of a text, as numbers.
class UnitSource {
 public:
  virtual ~UnitSource() = default;
  virtual std::string unit() const = 0;  ///< "word"
  virtual void rewind() = 0;
  /// The next ones; empty at the end only. Valid until the next call.
  virtual std::span<const std::uint32_t> next() = 0;
  /// As it stands in the text.
  virtual std::string name(std::uint32_t unit) const = 0;
  /// Of two that are as frequent as each other, whether a comes first.
  virtual bool before(std::uint32_t a, std::uint32_t b) const = 0;
  /// From now on next() gives i in place of units[i], and units.size() in place of all others.
  virtual void keep(const std::vector<std::uint32_t>& units) = 0;
  /// As TextParts.
  virtual double bytes() const = 0;
  virtual double bytes_read() const = 0;
};
std::unique_ptr<UnitSource> text_units(std::unique_ptr<TextParts> text, Unit unit);

/// read_units() of a text of any size, which is read once to count its units and once for each time that its
/// tokens are. Memory: a few MB, and about 60 bytes for each different unit while they are counted.
class UnitStream final : public TokenStream {
 public:
  /// Counts. Throws as read_units(), and what `source` throws.
  UnitStream(std::unique_ptr<UnitSource> source, std::size_t vocabulary);

  /// All but its tokens.
  const Corpus& corpus() const { return corpus_; }
  const std::vector<std::uint64_t>& counts() const override { return counts_; }
  void rewind() override { source_->rewind(); }
  std::span<const std::uint16_t> next() override;

 private:
  std::unique_ptr<UnitSource> source_;
  Corpus corpus_;
  std::vector<std::uint64_t> counts_;
  std::vector<std::uint16_t> part_;
};
/// All of it in memory.
Corpus collect(UnitStream& stream);

}  // namespace telos
