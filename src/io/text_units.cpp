// Characters, words and pieces of a text.
#include <fmt/format.h>

#include <array>
#include <optional>
#include <utility>

#include "io/unit_table.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/io/units.h"

namespace telos {
namespace {

char32_t code_point(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return byte(0);
  char32_t value = byte(0) & (0x7Fu >> sequence.size());
  for (std::size_t i = 1; i < sequence.size(); ++i) value = value << 6 | (byte(i) & 0x3Fu);
  return value;
}

enum class Shape { kLetter, kApostrophe, kBlank, kSign };

constexpr Shape shape_of_code(char32_t c) {
  if (c == U'\'' || c == U'’') return Shape::kApostrophe;
  if (c <= U' ' || c == 0x7F || c == 0xA0 || (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029 ||
      c == 0x202F || c == 0x205F || c == 0x3000 || c == 0xFEFF)
    return Shape::kBlank;
  const bool ascii_letter = (c >= U'0' && c <= U'9') || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
  const bool sign =
      c < 0xC0 || c == 0xD7 || c == 0xF7 || (c >= 0x2010 && c <= 0x206F) || (c >= 0x3001 && c <= 0x303F);
  return ascii_letter || !sign ? Shape::kLetter : Shape::kSign;
}

constexpr auto kAsciiShapes = [] {
  std::array<Shape, 128> shapes{};
  for (char32_t c = 0; c < 128; ++c) shapes[c] = shape_of_code(c);
  return shapes;
}();

/// A character of valid UTF-8.
struct Character {
  std::size_t bytes;
  Shape shape;
};

Character character_at(std::string_view text, std::size_t at) {
  const auto first = static_cast<unsigned char>(text[at]);
  if (first < 0x80) return {1, kAsciiShapes[first]};
  const std::size_t bytes = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return {bytes, shape_of_code(code_point(text.substr(at, bytes)))};
}

/// End of the run of characters of these shapes that begins at `at`.
template <class Is>
std::size_t end_of_run(std::string_view text, std::size_t at, const Is& is) {
  while (at < text.size()) {
    const Character c = character_at(text, at);
    if (!is(c.shape)) break;
    at += c.bytes;
  }
  return at;
}

/// End of the unit that begins at `at`, where there is no blank; nothing where it could go on behind the end
/// of the text.
std::optional<std::size_t> end_of_word(std::string_view text, std::size_t at, bool last) {
  const auto is_letter = [](Shape s) { return s == Shape::kLetter; };
  const Character first = character_at(text, at);
  if (!is_letter(first.shape)) return at + first.bytes;
  for (std::size_t end = at;;) {
    end = end_of_run(text, end, is_letter);
    if (end == text.size()) return last ? std::optional(end) : std::nullopt;
    const Character next = character_at(text, end);
    if (next.shape != Shape::kApostrophe) return end;
    const std::size_t behind = end + next.bytes;
    if (behind == text.size()) return last ? std::optional(end) : std::nullopt;
    if (!is_letter(character_at(text, behind).shape)) return end;
    end = behind;
  }
}

std::optional<std::size_t> end_of_piece(std::string_view text, std::size_t at, bool last) {
  const std::size_t end = end_of_run(text, at, [](Shape s) { return s != Shape::kBlank; });
  if (end == text.size() && !last) return std::nullopt;
  return end;
}

void lower_ascii(std::string& text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
}

class TextUnits final : public UnitSource {
 public:
  TextUnits(std::unique_ptr<TextParts> parts, Unit unit) : parts_(std::move(parts)), unit_(unit) {}

  std::string unit() const override {
    return unit_ == Unit::kCharacter ? "character" : unit_ == Unit::kWord ? "word" : "piece";
  }
  void rewind() override {
    parts_->rewind();
    text_.clear();
    at_ = 0;
    last_ = line_is_open_ = false;
  }
  std::span<const std::uint32_t> next() override {
    found_.clear();
    while (found_.size() < kPart) {
      if (unit_ == Unit::kCharacter ? read_characters() : read_words()) continue;
      if (last_) break;
      refill();
    }
    return found_;
  }
  std::string name(std::uint32_t unit) const override { return std::string(table_[unit]); }
  bool before(std::uint32_t a, std::uint32_t b) const override {
    return unit_ == Unit::kPiece ? a < b : table_[a] < table_[b];
  }
  void keep(const std::vector<std::uint32_t>& units) override {
    UnitTable kept;
    for (const std::uint32_t unit : units) kept.find_or_add(table_[unit]);
    table_ = std::move(kept);
    is_kept_ = true;
    ascii_.fill(UnitTable::kNone);
  }
  double bytes() const override { return parts_->bytes(); }
  double bytes_read() const override { return parts_->bytes_read(); }

 private:
  static constexpr std::size_t kPart = std::size_t{1} << 16;

  std::uint32_t number_of(std::string_view unit) {
    if (!is_kept_) return table_.find_or_add(unit);
    const std::uint32_t found = table_.find(unit);
    return found == UnitTable::kNone ? static_cast<std::uint32_t>(table_.size()) : found;
  }

  /// Both read on until there is a part; false where the text at hand is used up.
  bool read_characters() {
    while (at_ < text_.size() && found_.size() < kPart) {
      const auto first = static_cast<unsigned char>(text_[at_]);
      if (first >= 0x80) {
        const std::size_t bytes = character_at(text_, at_).bytes;
        found_.push_back(number_of(std::string_view(text_).substr(at_, bytes)));
        at_ += bytes;
        continue;
      }
      std::uint32_t& known = ascii_[first];
      if (known == UnitTable::kNone) known = number_of(std::string_view(text_).substr(at_, 1));
      found_.push_back(known);
      ++at_;
    }
    return found_.size() >= kPart;
  }
  bool read_words() {
    const bool pieces = unit_ == Unit::kPiece;
    while (at_ < text_.size() && found_.size() < kPart) {
      const Character first = character_at(text_, at_);
      if (first.shape == Shape::kBlank) {
        line_is_open_ = text_[at_] != '\n';
        if (pieces && !line_is_open_) found_.push_back(number_of(kEndOfLine));
        at_ += first.bytes;
        continue;
      }
      const auto end = pieces ? end_of_piece(text_, at_, last_) : end_of_word(text_, at_, last_);
      if (!end) return false;
      found_.push_back(number_of(std::string_view(text_).substr(at_, *end - at_)));
      line_is_open_ = true;
      at_ = *end;
    }
    if (pieces && last_ && at_ == text_.size() && std::exchange(line_is_open_, false))
      found_.push_back(number_of(kEndOfLine));
    return found_.size() >= kPart;
  }

  void refill() {
    text_.erase(0, at_);
    at_ = 0;
    if (text_.size() > kLongestUnit)
      throw Error(ErrorKind::kLimit, "corpus",
                  fmt::format("a {} of more than {} MiB", unit(), kLongestUnit >> 20),
                  "is it a text? --unit char takes any");
    std::string part(parts_->next());
    last_ = part.empty();
    if (unit_ == Unit::kWord) lower_ascii(part);
    text_ += part;
    check_interrupt();
  }

  std::unique_ptr<TextParts> parts_;
  Unit unit_;
  UnitTable table_;
  bool is_kept_ = false;
  std::array<std::uint32_t, 128> ascii_ = [] {
    std::array<std::uint32_t, 128> none{};
    none.fill(UnitTable::kNone);
    return none;
  }();
  std::string text_;    // at hand
  std::size_t at_ = 0;  // in it
  bool last_ = false;   // nothing follows it
  bool line_is_open_ = false;
  std::vector<std::uint32_t> found_;
};

}  // namespace

std::unique_ptr<UnitSource> text_units(std::unique_ptr<TextParts> text, Unit unit) {
  return std::make_unique<TextUnits>(std::move(text), unit);
}

}  // namespace telos
