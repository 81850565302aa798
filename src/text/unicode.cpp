#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>

namespace telos::text {
namespace {

struct Run {
  char32_t first;
  std::uint16_t flags;
};
struct LowerRun {
  char32_t first, last;
  std::uint32_t step;
  std::int32_t delta;
};
#include "text/unicode_tables.inc"

constexpr char32_t kCodePoints = 0x110000;
constexpr char32_t kReplacement = 0xFFFD;

/// kRuns laid out for look-up: the flags of code point c are blocks[index[c / 256] * 256 + c % 256].
struct ClassTable {
  std::array<std::uint16_t, kCodePoints / 256> index{};
  std::vector<std::uint16_t> blocks;

  ClassTable() {
    std::array<std::uint16_t, 256> block{};
    std::size_t run = 0;
    for (char32_t c = 0; c < kCodePoints; ++c) {
      if (run + 1 < std::size(kRuns) && kRuns[run + 1].first == c) ++run;
      block[c % 256] = kRuns[run].flags;
      if (c % 256 == 255) index[c / 256] = find_or_add(block);
    }
  }

 private:
  std::uint16_t find_or_add(const std::array<std::uint16_t, 256>& block) {
    // Large scripts and the unassigned planes repeat their predecessor, so looking at the last block finds
    // nearly all.
    const std::size_t count = blocks.size() / 256;
    if (count == 0 || !std::equal(block.begin(), block.end(), blocks.end() - 256))
      blocks.insert(blocks.end(), block.begin(), block.end());
    return static_cast<std::uint16_t>(blocks.size() / 256 - 1);
  }
};

const ClassTable& class_table() {
  static const ClassTable table;
  return table;
}

// Jamo and syllables compose by arithmetic (Unicode Standard, section 3.12).
constexpr char32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr char32_t kLeadCount = 19, kVowelCount = 21, kTailCount = 28;
constexpr char32_t kSyllableCount = kLeadCount * kVowelCount * kTailCount;

int combining_class(char32_t c) {
  return is(c, kReorders) ? utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class : 0;
}

/// The full decomposition of c into `out` (at most 18 characters in Unicode); returns its length.
std::size_t decompose(char32_t c, bool compatibility, std::array<utf8proc_int32_t, 32>& out) {
  out[0] = static_cast<utf8proc_int32_t>(c);
  if (!is(c, kDecomposes)) return 1;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0));
  int boundary_class = 0;
  const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), out.data(),
                                         static_cast<utf8proc_ssize_t>(out.size()), options, &boundary_class);
  return n > 0 && static_cast<std::size_t>(n) <= out.size() ? static_cast<std::size_t>(n) : 1;
}

/// Canonical composition of pairs: the inverse of the canonical decompositions that are not excluded from it.
class Compositions {
 public:
  Compositions() {
    // Keyed by full decompositions first, because that is what utf8proc gives; the first half of a pair is
    // then the character whose decomposition is all but the last character.
    std::unordered_map<std::u32string, char32_t> composite;
    std::array<utf8proc_int32_t, 32> parts{};
    for (char32_t c = 0xC0; c < 0x30000; ++c) {
      if (c >= kSyllables && c < kSyllables + kSyllableCount) continue;
      if (!is(c, kDecomposes) || utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->comp_exclusion)
        continue;
      const std::size_t n = decompose(c, false, parts);
      if (n >= 2)
        composite.emplace(std::u32string(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(n)), c);
    }
    for (const auto& [full, c] : composite) {
      const std::u32string head = full.substr(0, full.size() - 1);
      const auto first = head.size() == 1 ? composite.end() : composite.find(head);
      if (head.size() == 1)
        pairs_.emplace(key(head[0], full.back()), c);
      else if (first != composite.end())
        pairs_.emplace(key(first->second, full.back()), c);
    }
  }

  /// The composite of a and b, or 0.
  char32_t operator()(char32_t a, char32_t b) const {
    if (a - kLeads < kLeadCount && b - kVowels < kVowelCount)
      return kSyllables + ((a - kLeads) * kVowelCount + (b - kVowels)) * kTailCount;
    if (a - kSyllables < kSyllableCount && (a - kSyllables) % kTailCount == 0 && b > kTails &&
        b < kTails + kTailCount)
      return a + (b - kTails);
    const auto found = pairs_.find(key(a, b));
    return found == pairs_.end() ? 0 : found->second;
  }

 private:
  static std::uint64_t key(char32_t a, char32_t b) { return std::uint64_t{a} << 32 | b; }
  std::unordered_map<std::uint64_t, char32_t> pairs_;
};

const Compositions& compositions() {
  static const Compositions table;
  return table;
}

struct Classed {
  Change change;
  int combining;
};

/// Decomposes and puts marks into canonical order. A character's first part replaces it, the others are put
/// in; the order of marks is changed after that, as the reference does.
std::vector<Classed> decomposed(std::u32string_view text, bool compatibility) {
  std::vector<Classed> out;
  out.reserve(text.size() + text.size() / 2);
  std::array<utf8proc_int32_t, 32> parts{};
  std::size_t pending = 0;  // start of the marks after the last starter
  const auto sort_pending = [&] {
    if (out.size() - pending > 1)
      std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(pending), out.end(),
                       [](const Classed& a, const Classed& b) { return a.combining < b.combining; });
    pending = out.size();
  };
  for (const char32_t c : text) {
    const std::size_t n = decompose(c, compatibility, parts);
    for (std::size_t i = 0; i < n; ++i) {
      const auto part = static_cast<char32_t>(parts[i]);
      const int combining = combining_class(part);
      if (combining == 0) sort_pending();
      out.push_back({{part, i == 0 ? 0 : 1}, combining});
      if (combining == 0) pending = out.size();
    }
  }
  sort_pending();
  return out;
}

/// Canonical composition with the reference's book-keeping: a composite's change is the sum of its parts'
/// less one for each part that it swallowed, and it comes out before the marks that could not be composed.
void compose(const std::vector<Classed>& in, std::vector<Change>& out) {
  const Compositions& pair = compositions();
  std::vector<Change> blocked;
  Change base{};
  bool has_base = false;
  int last_class = -1;  // of the last blocked mark
  const auto flush = [&] {
    if (has_base) out.push_back(base);
    out.insert(out.end(), blocked.begin(), blocked.end());
    blocked.clear();
    last_class = -1;
  };
  for (const auto& [change, combining] : in) {
    if (!has_base) {
      if (combining != 0) {
        out.push_back(change);
      } else {
        base = change;
        has_base = true;
      }
      continue;
    }
    const bool open = last_class < 0 || last_class < combining;
    if (const char32_t composite = open ? pair(base.value, change.value) : 0; composite != 0) {
      base = {composite, base.change + change.change - 1};
    } else if (combining == 0) {
      flush();
      base = change;
    } else {
      blocked.push_back(change);
      last_class = combining;
    }
  }
  flush();
}

}  // namespace

std::uint16_t char_class(char32_t c) noexcept {
  static const ClassTable& table = class_table();
  if (c >= kCodePoints) return 0;
  return table.blocks[std::size_t{table.index[c / 256]} * 256 + c % 256];
}

char32_t to_lower(char32_t c) noexcept {
  if (c < 0x80) return c - U'A' < 26 ? c + 32 : c;
  if (!is(c, kLowers)) return c;
  if (c == 0x130) return U'i';
  const auto* run = std::upper_bound(std::begin(kLowerRuns), std::end(kLowerRuns), c,
                                     [](char32_t value, const LowerRun& r) { return value < r.first; });
  if (run == std::begin(kLowerRuns)) return c;
  --run;
  if (c > run->last || (c - run->first) % run->step != 0) return c;
  return static_cast<char32_t>(static_cast<std::int32_t>(c) + run->delta);
}

std::uint32_t encode_utf8(char32_t c, char* p) noexcept {
  const auto put = [p](int i, char32_t byte) { p[i] = static_cast<char>(static_cast<unsigned char>(byte)); };
  if (c < 0x80) {
    put(0, c);
    return 1;
  }
  if (c < 0x800) {
    put(0, 0xC0 | c >> 6);
    put(1, 0x80 | (c & 0x3F));
    return 2;
  }
  if (c < 0x10000) {
    put(0, 0xE0 | c >> 12);
    put(1, 0x80 | (c >> 6 & 0x3F));
    put(2, 0x80 | (c & 0x3F));
    return 3;
  }
  put(0, 0xF0 | c >> 18);
  put(1, 0x80 | (c >> 12 & 0x3F));
  put(2, 0x80 | (c >> 6 & 0x3F));
  put(3, 0x80 | (c & 0x3F));
  return 4;
}

void append_utf8(std::string& out, char32_t c) {
  char buffer[4];
  out.append(buffer, encode_utf8(c, buffer));
}

std::size_t previous_char(std::string_view text, std::size_t end) noexcept {
  do {
    --end;
  } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

namespace {

/// Looks at one sequence: {bytes of it that belong together, whether they are a whole well-formed character}.
/// The ranges of the second byte are those of table 3-7 of the Unicode Standard.
std::pair<std::size_t, bool> sequence(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned low = 0x80, high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

}  // namespace

std::size_t bad_utf8_length(std::string_view text) noexcept {
  return sequence(text).first;
}

std::string lossy_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t good = valid_utf8_prefix(bytes);
    out.append(bytes.substr(0, good));
    bytes.remove_prefix(good);
    if (bytes.empty()) break;
    append_utf8(out, kReplacement);
    bytes.remove_prefix(bad_utf8_length(bytes));
  }
  return out;
}

void normal_form(std::u32string_view text, NormalForm form, std::vector<Change>& out) {
  const auto parts = decomposed(text, form == NormalForm::kKD || form == NormalForm::kKC);
  if (form == NormalForm::kC || form == NormalForm::kKC) {
    compose(parts, out);
    return;
  }
  for (const auto& part : parts) out.push_back(part.change);
}

}  // namespace telos::text
