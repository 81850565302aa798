#include "text/pattern.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "telos/base/error.h"

namespace telos::text {
namespace {

/// What is the character at byte `at`? At the end of the text a value that no class contains.
Decoded peek(std::string_view text, std::uint32_t at) {
  constexpr Decoded kEnd{0xFFFFFFFF, 0};
  return at < text.size() ? decode_utf8(text.data() + at) : kEnd;
}

/// End of the longest run from `at` of characters that have (or, if `inverted`, lack) a property in `mask`,
/// at most `limit` characters.
std::uint32_t run_end(std::string_view text, std::uint32_t at, std::uint16_t mask, bool inverted = false,
                      std::uint32_t limit = std::numeric_limits<std::uint32_t>::max()) {
  for (; limit > 0 && at < text.size(); --limit) {
    const Decoded c = decode_utf8(text.data() + at);
    if (is(c.value, mask) == inverted) break;
    at += c.bytes;
  }
  return at;
}

class ClassPattern final : public Pattern {
 public:
  explicit ClassPattern(std::uint16_t mask) : mask_(mask) {}

 private:
  Stretch find(std::string_view text, std::uint32_t from) const override {
    const std::uint32_t at = run_end(text, from, mask_, true);
    const Decoded c = peek(text, at);
    return {at, at + c.bytes, c.bytes != 0};
  }
  std::uint16_t mask_;
};

class LiteralPattern final : public Pattern {
 public:
  explicit LiteralPattern(std::string literal) : literal_(std::move(literal)) {}

 private:
  Stretch find(std::string_view text, std::uint32_t from) const override {
    const std::size_t at = text.find(literal_, from);
    if (at == std::string_view::npos) return {0, 0, false};
    return {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + literal_.size()), true};
  }
  std::string literal_;
};

class WordsPattern final : public Pattern {
  Stretch find(std::string_view text, std::uint32_t from) const override {
    const std::uint32_t at = run_end(text, from, kSpace);
    if (at == text.size()) return {0, 0, false};
    const bool word = is(peek(text, at).value, kWord);
    return {at, word ? run_end(text, at, kWord) : run_end(text, at, kWord | kSpace, true), true};
  }
};

/// Length of 's 't 'm 'd 're 've 'll at `at`, or 0. Case folding takes U+017F (long s) for an s, as Unicode
/// says.
std::uint32_t contraction(std::string_view text, std::uint32_t at, bool fold_case) {
  const std::string_view rest = text.substr(at);
  if (rest.size() < 2 || rest[0] != '\'') return 0;
  const auto letter = [&](std::size_t i) -> char {
    if (i >= rest.size()) return '\0';
    return fold_case && rest[i] >= 'A' && rest[i] <= 'Z' ? static_cast<char>(rest[i] + 32) : rest[i];
  };
  switch (letter(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return letter(2) == 'e' ? 3 : 0;
    case 'l':
      return letter(2) == 'l' ? 3 : 0;
    default:
      return fold_case && rest.substr(1, 2) == "\u017F" ? 3 : 0;
  }
}

/// \s+(?!\S)|\s+ : white space, but the last of several characters is left to the word that follows.
std::uint32_t spaces_end(std::string_view text, std::uint32_t at) {
  const std::uint32_t end = run_end(text, at, kSpace);
  if (end == text.size()) return end;
  const auto last = static_cast<std::uint32_t>(previous_char(text, end));
  return last > at ? last : end;
}

/// '(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
class Gpt2Pattern final : public Pattern {
  Stretch find(std::string_view text, std::uint32_t from) const override {
    if (from >= text.size()) return {0, 0, false};
    if (const std::uint32_t n = contraction(text, from, false); n > 0) return {from, from + n, true};
    const std::uint32_t at = from + (text[from] == ' ' ? 1 : 0);
    const std::uint16_t found = char_class(peek(text, at).value);
    if (at < text.size() && (found & kLetter)) return {from, run_end(text, at, kLetter), true};
    if (at < text.size() && (found & kNumber)) return {from, run_end(text, at, kNumber), true};
    if (at < text.size() && !(found & kSpace))
      return {from, run_end(text, at, kSpace | kLetter | kNumber, true), true};
    return {from, spaces_end(text, from), true};
  }
};

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,D}|
/// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
class Cl100kPattern final : public Pattern {
 public:
  explicit Cl100kPattern(std::uint32_t digits) : digits_(digits) {}

 private:
  Stretch find(std::string_view text, std::uint32_t from) const override {
    if (from >= text.size()) return {0, 0, false};
    if (const std::uint32_t n = contraction(text, from, true); n > 0) return {from, from + n, true};
    const Decoded first = peek(text, from), second = peek(text, from + first.bytes);
    const std::uint16_t found = char_class(first.value);
    const bool newline = first.value == U'\r' || first.value == U'\n';
    if (found & kLetter) return {from, run_end(text, from, kLetter), true};
    if (found & kNumber) return {from, run_end(text, from, kNumber, false, digits_), true};
    if (!newline && is(second.value, kLetter))
      return {from, run_end(text, from + first.bytes, kLetter), true};
    const std::uint32_t at = from + (text[from] == ' ' ? 1 : 0);
    if (at < text.size() && !is(peek(text, at).value, kSpace | kLetter | kNumber)) {
      std::uint32_t end = run_end(text, at, kSpace | kLetter | kNumber, true);
      while (end < text.size() && (text[end] == '\r' || text[end] == '\n')) ++end;
      return {from, end, true};
    }
    const std::uint32_t end = run_end(text, from, kSpace);
    const std::size_t last = text.substr(from, end - from).find_last_of("\r\n");
    if (last != std::string_view::npos) return {from, static_cast<std::uint32_t>(from + last + 1), true};
    return {from, spaces_end(text, from), true};
  }
  std::uint32_t digits_;
};

/// One character of a short expression: in any of the ranges or with any of the properties, or the opposite.
struct Item {
  std::vector<std::pair<char32_t, char32_t>> ranges;
  std::uint16_t mask = 0;
  bool inverted = false;
  std::uint32_t least = 1, most = 1;

  bool matches(char32_t c) const {
    const bool in = is(c, mask) || std::any_of(ranges.begin(), ranges.end(),
                                               [c](const auto& r) { return r.first <= c && c <= r.second; });
    return in != inverted;
  }
};

/// A sequence of items of which only the last may vary in number: the greedy match is then the only
/// candidate, and no backtracking is needed.
class SequencePattern final : public Pattern {
 public:
  explicit SequencePattern(std::vector<Item> items) : items_(std::move(items)) {}

 private:
  Stretch find(std::string_view text, std::uint32_t from) const override {
    for (; from < text.size(); from += utf8_bytes(text[from]))
      if (const std::uint32_t end = match(text, from); end > from) return {from, end, true};
    return {0, 0, false};
  }
  std::uint32_t match(std::string_view text, std::uint32_t from) const {
    std::uint32_t at = from;
    for (const Item& item : items_) {
      std::uint32_t count = 0;
      for (; count < item.most && at < text.size(); ++count) {
        const Decoded c = decode_utf8(text.data() + at);
        if (!item.matches(c.value)) break;
        at += c.bytes;
      }
      if (count < item.least) return from;
    }
    return at;
  }
  std::vector<Item> items_;
};

/// Parser of short expressions. Each function returns false for anything that it does not know with
/// certainty.
class ShortRegex {
 public:
  explicit ShortRegex(std::string_view regex) : rest_(regex) {}

  std::optional<std::vector<Item>> parse() {
    std::vector<Item> items;
    while (!rest_.empty()) {
      if (!items.empty() && items.back().least != items.back().most) return std::nullopt;
      Item& item = items.emplace_back();
      if (!atom(item) || !quantifier(item)) return std::nullopt;
    }
    if (items.empty()) return std::nullopt;
    // Repeating a long sequence at every position is not linear any more.
    std::uint64_t fixed = 0;
    for (const Item& item : items) fixed += item.least;
    if (fixed > 64) return std::nullopt;
    return items;
  }

 private:
  bool take(std::string_view prefix) {
    if (!rest_.starts_with(prefix)) return false;
    rest_.remove_prefix(prefix.size());
    return true;
  }
  char32_t take_char() {
    const Decoded c = decode_utf8(rest_.data());
    rest_.remove_prefix(c.bytes);
    return c.value;
  }

  /// After a backslash: a property, or a character that stands for itself.
  bool escape(Item& item) {
    if (rest_.empty()) return false;
    static constexpr std::pair<std::string_view, std::uint16_t> kProperties[] = {
        {"s", kSpace},   {"p{L}", kLetter}, {"p{N}", kNumber},
        {"p{M}", kMark}, {"p{S}", kSymbol}, {"p{P}", kOtherPunctuation}};
    for (const auto& [name, mask] : kProperties)
      if (take(name)) {
        item.mask |= mask;
        return true;
      }
    static constexpr std::pair<std::string_view, char32_t> kControls[] = {
        {"n", U'\n'}, {"r", U'\r'}, {"t", U'\t'}};
    for (const auto& [name, c] : kControls)
      if (take(name)) {
        item.ranges.emplace_back(c, c);
        return true;
      }
    const char32_t c = take_char();
    if (c >= 0x80 || (c >= U'0' && c <= U'9') || (c >= U'A' && c <= U'Z') || (c >= U'a' && c <= U'z'))
      return false;
    item.ranges.emplace_back(c, c);
    return true;
  }

  bool atom(Item& item) {
    if (take("\\")) return escape(item);
    if (take("[")) return set(item);
    const char32_t c = take_char();
    if (std::u32string_view(U"()[]{}|.^$*+?\\").find(c) != std::u32string_view::npos) return false;
    item.ranges.emplace_back(c, c);
    return true;
  }

  bool set(Item& item) {
    item.inverted = take("^");
    bool any = false;
    while (!take("]")) {
      if (rest_.empty() || rest_.starts_with("[") || rest_.starts_with("&&")) return false;
      any = true;
      if (take("\\")) {
        if (!escape(item) || rest_.starts_with("-")) return false;
        continue;
      }
      const char32_t first = take_char();
      if (first == U'-' && !rest_.starts_with("]")) return false;
      char32_t last = first;
      if (rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']') {
        rest_.remove_prefix(1);
        last = take_char();
        if (last == U'\\' || last == U'[' || last < first) return false;
      }
      item.ranges.emplace_back(first, last);
    }
    return any;
  }

  bool number(std::uint32_t& value) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{} || value > 1000) return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return true;
  }

  bool quantifier(Item& item) {
    constexpr std::uint32_t kMany = std::numeric_limits<std::uint32_t>::max();
    if (take("+")) {
      item.most = kMany;
    } else if (take("{")) {
      if (!number(item.least)) return false;
      item.most = item.least;
      if (take(",")) {
        item.most = kMany;
        if (!rest_.starts_with("}") && !number(item.most)) return false;
      }
      if (!take("}") || item.least == 0 || item.most < item.least) return false;
    }
    // A second quantifier would make it lazy or possessive.
    return rest_.empty() || std::string_view("*+?{").find(rest_[0]) == std::string_view::npos;
  }

  std::string_view rest_;
};

}  // namespace

void Pattern::cover(std::string_view text, std::vector<Stretch>& out) const {
  std::uint32_t at = 0;
  const auto size = static_cast<std::uint32_t>(text.size());
  while (at < size) {
    const Stretch found = find(text, at);
    if (!found.match) break;
    if (found.begin > at) out.push_back({at, found.begin, false});
    out.push_back(found);
    at = found.end;
  }
  if (at < size) out.push_back({at, size, false});
}

std::unique_ptr<Pattern> class_pattern(std::uint16_t mask) {
  return std::make_unique<ClassPattern>(mask);
}
std::unique_ptr<Pattern> literal_pattern(std::string literal) {
  return std::make_unique<LiteralPattern>(std::move(literal));
}
std::unique_ptr<Pattern> words_pattern() {
  return std::make_unique<WordsPattern>();
}
std::unique_ptr<Pattern> gpt2_pattern() {
  return std::make_unique<Gpt2Pattern>();
}

std::unique_ptr<Pattern> regex_pattern(const std::string& regex, const std::string& where) {
  // The spellings differ in grouping and in possessive quantifiers, which change nothing here: no alternative
  // can match again what a possessive one gave up.
  static constexpr std::array<std::string_view, 3> kGpt2 = {
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
      R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
      R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)"};
  static constexpr std::array<std::string_view, 2> kLlama3 = {
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};
  static constexpr std::string_view kQwen2 =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  if (std::find(kGpt2.begin(), kGpt2.end(), regex) != kGpt2.end()) return gpt2_pattern();
  if (std::find(kLlama3.begin(), kLlama3.end(), regex) != kLlama3.end())
    return std::make_unique<Cl100kPattern>(3);
  if (regex == kQwen2) return std::make_unique<Cl100kPattern>(1);
  if (valid_utf8_prefix(regex) == regex.size())
    if (auto items = ShortRegex(regex).parse()) return std::make_unique<SequencePattern>(std::move(*items));
  throw Error(
      ErrorKind::kUnsupported, where, "the regular expression '" + printable(regex, 300) + "' is not known",
      "telos knows the split patterns of GPT-2, cl100k, Llama 3 and Qwen 2, and short ones such as '\\s+'");
}

}  // namespace telos::text
