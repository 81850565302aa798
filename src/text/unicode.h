#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/utf8.h"

namespace telos::text {

/// Properties of a code point as the reference tokenizer sees them, bits in the order of unicode_tables.inc.
/// The reference mixes Unicode versions: each set below carries the version it follows.
enum CharClass : std::uint16_t {
  kSpace = 1u << 0,        ///< White_Space
  kControl = 1u << 1,      ///< what BERT's clean_text removes: Cc, Cf, Co without \t \n \r, and U+FFFD (8.0)
  kPunctuation = 1u << 2,  ///< ASCII punctuation or P* (8.0)
  kNonspacing = 1u << 3,   ///< Mn (8.0)
  kCombining = 1u << 4,    ///< M* (9.0)
  kLetter = 1u << 5,       ///< \p{L} (16.0)
  kNumber = 1u << 6,       ///< \p{N} (16.0)
  kNumeric = 1u << 7,      ///< Nd, Nl, No (17.0)
  kWord = 1u << 8,         ///< \w of UTS #18: Alphabetic, M*, Nd, Pc, Join_Control (16.0)
  kReorders = 1u << 9,     ///< canonical combining class is not 0 (9.0)
  kDecomposes = 1u << 10,  ///< has a canonical or compatibility decomposition (9.0)
  kLowers = 1u << 11,      ///< its lower case is another character (17.0)
  kMark = 1u << 12,        ///< \p{M} (16.0)
  kSymbol = 1u << 13,      ///< \p{S} (16.0)
  kOtherPunctuation = 1u << 14  ///< \p{P} (16.0)
};

/// The properties of c; 0 beyond U+10FFFF. Two table look-ups.
std::uint16_t char_class(char32_t c) noexcept;
inline bool is(char32_t c, std::uint16_t mask) noexcept {
  return (char_class(c) & mask) != 0;
}

/// Simple lower case. U+0130 lowers to two characters, of which this is the first (the other is U+0307).
char32_t to_lower(char32_t c) noexcept;

struct Decoded {
  char32_t value;
  std::uint32_t bytes;
};
/// The character at p, which must be the first byte of one in valid UTF-8.
inline Decoded decode_utf8(const char* p) noexcept {
  const auto byte = [p](int i) { return static_cast<char32_t>(static_cast<unsigned char>(p[i])); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (first < 0xF0) return {(first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}
/// Bytes of the character that starts with this byte.
inline std::uint32_t utf8_bytes(char first) noexcept {
  const auto b = static_cast<unsigned char>(first);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}
/// Writes c to p (room for 4 bytes) and returns the number of bytes.
std::uint32_t encode_utf8(char32_t c, char* p) noexcept;
void append_utf8(std::string& out, char32_t c);
/// Start of the character that ends at byte `end` > 0 of valid UTF-8.
std::size_t previous_char(std::string_view text, std::size_t end) noexcept;

/// Bytes of an ill-formed sequence at the start of `text` that one U+FFFD stands for: the maximal subpart of
/// a well-formed sequence, as Unicode recommends and as Rust's from_utf8_lossy does. At least 1.
std::size_t bad_utf8_length(std::string_view text) noexcept;
/// Every ill-formed sequence replaced by U+FFFD.
std::string lossy_utf8(std::string_view bytes);

/// One character of a normal form and the change that made it, in the convention of the reference: `change` >
/// 0, a character put in; ≤ 0, it stands for one character of the source and takes −change further ones away.
struct Change {
  char32_t value;
  int change;
};
enum class NormalForm { kD, kKD, kC, kKC };
/// The normal form of `text` (Unicode 9.0, as the reference), appended to `out`.
void normal_form(std::u32string_view text, NormalForm form, std::vector<Change>& out);

}  // namespace telos::text
