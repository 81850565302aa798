#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/unicode.h"

namespace telos::text {

/// A stretch of a text: one match of a pattern, or what lies between two.
struct Stretch {
  std::uint32_t begin, end;
  bool match;
};

/// Something to look for in a text. Linear time; no pattern matches the empty string.
class Pattern {
 public:
  virtual ~Pattern() = default;
  /// Covers `text` with stretches, in order and without gaps. Appends to `out`.
  void cover(std::string_view text, std::vector<Stretch>& out) const;

 protected:
  /// The first match that starts at or after `from`; match == false if there is none.
  virtual Stretch find(std::string_view text, std::uint32_t from) const = 0;
};

/// Any single character with one of these properties.
std::unique_ptr<Pattern> class_pattern(std::uint16_t mask);
/// This very string, which must not be empty.
std::unique_ptr<Pattern> literal_pattern(std::string literal);
/// \w+|[^\w\s]+ of the pre-tokenizer Whitespace.
std::unique_ptr<Pattern> words_pattern();
/// The pattern that the pre-tokenizer ByteLevel brings along (GPT-2).
std::unique_ptr<Pattern> gpt2_pattern();
/// A regular expression of a tokenizer file. Known are the split patterns of GPT-2, cl100k, Llama 3 and Qwen
/// 2 in their usual spellings, and short expressions: a sequence of characters, classes (\s \p{L} …, […]
/// of these and of ranges), each with {n} or nothing, the last one with any of + {n} {n,} {n,m}. Throws
/// kUnsupported naming the expression if it is anything else.
std::unique_ptr<Pattern> regex_pattern(const std::string& regex, const std::string& where);

}  // namespace telos::text
