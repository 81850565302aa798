#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/unicode.h"

namespace telos::text {

/// Bytes [begin, end) of the text that the caller gave.
struct Span {
  std::uint32_t begin = 0, end = 0;
};

/// Texts longer than this are refused: byte-level work may double a text, and positions are 32 bits wide.
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

/// A text on its way through normalisation, and where each byte of it came from. All bytes of a character
/// share one span.
struct Aligned {
  std::string bytes;
  std::vector<Span> origin;  ///< one entry a byte

  std::string_view view() const { return bytes; }
  bool empty() const { return bytes.empty(); }
  void clear() {
    bytes.clear();
    origin.clear();
  }
  void push(char32_t c, Span from);
  void push_ascii(char c, Span from) {
    bytes.push_back(c);
    origin.push_back(from);
  }
  /// Copies bytes [begin, end) of `source`.
  void append(const Aligned& source, std::size_t begin, std::size_t end);
};

/// Rewrites `source` character by character while keeping track of where it stands in it, in the convention
/// of Change: the alignments come out as the reference makes them.
class Rewriter {
 public:
  Rewriter(const Aligned& source, Aligned& out) : source_(source), out_(out) {}

  /// c stands for the next character of the source; `removed` further ones are dropped.
  void replace(char32_t c, int removed = 0);
  /// c is put in and shares the span of the byte before the current place.
  void insert(char32_t c);
  void apply(Change change) {
    change.change > 0 ? insert(change.value) : replace(change.value, -change.change);
  }
  /// Drops the next `count` characters.
  void skip(std::size_t count);

 private:
  const Aligned& source_;
  Aligned& out_;
  std::size_t at_ = 0;
};

/// A part of Draft::text. Pieces with a token are done: an added token was found there.
struct Piece {
  std::uint32_t begin = 0, end = 0;
  std::int32_t token = -1;
};

/// The whole text between two steps of tokenisation: one buffer and the pieces into which it is cut, in
/// order. Bytes between pieces have been dropped.
struct Draft {
  Aligned text;
  std::vector<Piece> pieces;

  std::string_view view(const Piece& piece) const {
    return std::string_view(text.bytes).substr(piece.begin, piece.end - piece.begin);
  }
};

/// The given text with ill-formed bytes read as U+FFFD, as one piece. Throws kLimit beyond kMaxTextBytes.
Draft make_draft(std::string_view text);

}  // namespace telos::text
