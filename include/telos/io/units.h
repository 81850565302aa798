#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// A text as a sequence of its most frequent units.

namespace telos {

inline constexpr std::size_t kMostVocabulary = 4096;

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
/// kOther. Throws kBadFormat (not UTF-8), kUsage (vocabulary out of [2, kMostVocabulary]; fewer than two
/// different units).
Corpus read_units(std::string_view text, Unit unit, std::size_t vocabulary);
/// The same of a tokenizer's ids (ties: the smaller id). `name` is called once for each token that is kept.
Corpus keep_frequent(std::span<const std::int32_t> ids, std::size_t vocabulary,
                     const std::function<std::string(std::int32_t)>& name);

}  // namespace telos
