// A text as a sequence of tokens.
#include "telos/io/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/utf8.h"

namespace telos {
namespace {

[[noreturn]] void refuse_units(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorKind::kUsage, "corpus", message, hint);
}

/// Of two units that are as frequent as each other, which one comes first.
enum class Tie { kOrder, kFirstInText };

/// `each` calls its argument with every unit in reading order, twice the same; `name` is asked for kept ones.
template <class Key, class Each, class Name>
Corpus keep_units(std::size_t vocabulary, const std::string& unit, const Each& each, const Name& name,
                  Tie tie = Tie::kOrder) {
  if (vocabulary < 2 || vocabulary > kMostVocabulary)
    refuse_units(
        fmt::format("expected a vocabulary of 2 to {} tokens, found {}", kMostVocabulary, vocabulary));
  struct Count {
    std::uint64_t count = 0;
    std::size_t seen = 0;  // units that were seen before
  };
  std::unordered_map<Key, Count> counts;
  each([&](Key key) { ++counts.try_emplace(key, Count{0, counts.size()}).first->second.count; });
  if (counts.size() < 2)
    refuse_units(counts.empty()
                     ? fmt::format("there is no {} in it", unit)
                     : fmt::format("it is one {} throughout, {}", unit, name(counts.begin()->first)),
                 "take a text of two different ones at least");

  std::vector<std::pair<Key, Count>> ranked(counts.begin(), counts.end());
  std::sort(ranked.begin(), ranked.end(), [tie](const auto& a, const auto& b) {
    if (a.second.count != b.second.count) return a.second.count > b.second.count;
    return tie == Tie::kOrder ? a.first < b.first : a.second.seen < b.second.seen;
  });
  Corpus corpus;
  corpus.unit = unit;
  corpus.distinct = ranked.size();
  const std::size_t kept = ranked.size() <= vocabulary ? ranked.size() : vocabulary - 1;
  std::unordered_map<Key, std::uint16_t> ids;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < ranked.size(); ++i) {
    total += ranked[i].second.count;
    if (i >= kept) {
      corpus.others += ranked[i].second.count;
      continue;
    }
    ids[ranked[i].first] = static_cast<std::uint16_t>(i);
    corpus.names.push_back(name(ranked[i].first));
  }
  if (kept < ranked.size()) corpus.names.emplace_back(kOther);
  corpus.tokens.reserve(total);
  each([&](Key key) {
    const auto found = ids.find(key);
    corpus.tokens.push_back(found == ids.end() ? static_cast<std::uint16_t>(kept) : found->second);
  });
  return corpus;
}

/// Blanks can be seen, everything else as printable() has it.
std::string visible(std::string_view unit) {
  if (unit == " ") return "␣";
  if (unit == "\n") return "\\n";
  if (unit == "\t") return "\\t";
  if (unit == "\r") return "\\r";
  return printable(unit, 40);
}

// ---- Words

char32_t code_point(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return byte(0);
  char32_t value = byte(0) & (0x7Fu >> sequence.size());
  for (std::size_t i = 1; i < sequence.size(); ++i) value = value << 6 | (byte(i) & 0x3Fu);
  return value;
}

enum class Shape { kLetter, kApostrophe, kBlank, kSign };

Shape shape_of(char32_t c) {
  if (c == U'\'' || c == U'’') return Shape::kApostrophe;
  if (c <= U' ' || c == 0x7F || c == 0xA0 || (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029 ||
      c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF)
    return Shape::kBlank;
  const bool ascii_letter = (c >= U'0' && c <= U'9') || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
  const bool sign =
      c < 0xC0 || c == 0xD7 || c == 0xF7 || (c >= 0x2010 && c <= 0x206F) || (c >= 0x3001 && c <= 0x303F);
  return ascii_letter || !sign ? Shape::kLetter : Shape::kSign;
}

/// Calls visit(first byte, end) for every word of valid UTF-8.
template <class Visit>
void visit_words(std::string_view text, const Visit& visit) {
  constexpr std::size_t kNone = std::string_view::npos;
  std::size_t begin = kNone, end = 0;  // of the word that is being read, up to its last letter
  const auto finish = [&](std::size_t at) {
    if (begin == kNone) return;
    visit(text.substr(begin, end - begin));
    if (end < at) visit(text.substr(end, at - end));  // an apostrophe that no letter followed
    begin = kNone;
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_sequence_length(text.substr(at, 4));
    const std::string_view sequence = text.substr(at, length);
    const Shape shape = shape_of(code_point(sequence));
    if (shape == Shape::kLetter) {
      if (begin == kNone) begin = at;
      end = at + length;
    } else if (shape != Shape::kApostrophe || begin == kNone || end != at) {
      finish(at);
      if (shape != Shape::kBlank) visit(sequence);
    }
    at += length;
  }
  finish(text.size());
}

/// Calls visit for every piece and every end of a line of valid UTF-8.
template <class Visit>
void visit_pieces(std::string_view text, const Visit& visit) {
  std::size_t begin = 0;
  const auto finish = [&](std::size_t at) {
    if (begin < at) visit(text.substr(begin, at - begin));
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_sequence_length(text.substr(at, 4));
    const std::string_view sequence = text.substr(at, length);
    if (shape_of(code_point(sequence)) == Shape::kBlank) {
      finish(at);
      begin = at + length;
      if (sequence == "\n") visit(kEndOfLine);
    }
    at += length;
  }
  finish(text.size());
  if (!text.empty() && text.back() != '\n') visit(kEndOfLine);
}

void require_utf8(std::string_view text) {
  const std::size_t valid = valid_utf8_prefix(text);
  if (valid != text.size())
    throw Error(ErrorKind::kBadFormat, "corpus", fmt::format("byte {} is not UTF-8", valid),
                "convert the text, or leave out what is not text");
}

}  // namespace

Corpus read_units(std::string_view text, Unit unit, std::size_t vocabulary) {
  require_utf8(text);
  if (unit == Unit::kWord) {
    std::string lower(text);
    for (char& c : lower)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return keep_units<std::string_view>(
        vocabulary, "word", [&](const auto& visit) { visit_words(lower, visit); }, visible);
  }
  if (unit == Unit::kPiece)
    return keep_units<std::string_view>(
        vocabulary, "piece", [&](const auto& visit) { visit_pieces(text, visit); }, visible,
        Tie::kFirstInText);
  // A character's bytes as one number: the order of these is that of the code points.
  const auto each = [&](const auto& visit) {
    for (std::size_t at = 0; at < text.size();) {
      std::uint32_t bytes = 0;
      for (const std::size_t end = at + utf8_sequence_length(text.substr(at, 4)); at < end; ++at)
        bytes = bytes << 8 | static_cast<unsigned char>(text[at]);
      visit(bytes);
    }
  };
  const auto name = [](std::uint32_t bytes) {
    std::string sequence;
    for (int shift = 24; shift >= 0; shift -= 8)
      if (shift == 0 || bytes >> shift != 0) sequence += static_cast<char>(bytes >> shift & 0xFF);
    return visible(sequence);
  };
  return keep_units<std::uint32_t>(vocabulary, "character", each, name);
}

Corpus keep_frequent(std::span<const std::int32_t> ids, std::size_t vocabulary,
                     const std::function<std::string(std::int32_t)>& name) {
  const auto each = [&](const auto& visit) {
    for (const std::int32_t id : ids) visit(id);
  };
  return keep_units<std::int32_t>(vocabulary, "token", each,
                                  [&](std::int32_t id) { return visible(name(id)); });
}

}  // namespace telos
