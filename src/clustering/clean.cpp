#include <algorithm>
#include <string>
#include <string_view>

#include "clustering/preprocess_parts.h"

namespace telos::clustering {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
/// Control characters that are no white space stay, as the published expressions leave them.
bool is_kept(char c) {
  return is_letter(c) || static_cast<unsigned char>(c) < 0x20 || c == '\x7F';
}

/// Where the next "http://x", "https://x" or "www.x" begins, x any character that is no space; each of the
/// two searches goes on from its last find, so that all calls together read the text once.
class LinkFinder {
 public:
  explicit LinkFinder(std::string_view text) : text_(text) {}

  std::size_t next(std::size_t from) {
    if (http_ != kNone && (http_ < from || !searched_)) http_ = find_http(from);
    if (www_ != kNone && (www_ < from || !searched_)) www_ = find_www(from);
    searched_ = true;
    return std::min(http_, www_);
  }

 private:
  bool goes_on(std::size_t at) const { return at < text_.size() && space_at(text_, at) == 0; }

  std::size_t find_http(std::size_t from) const {
    for (std::size_t at = text_.find("http", from); at != kNone; at = text_.find("http", at + 1)) {
      std::size_t end = at + 4;
      if (end < text_.size() && text_[end] == 's') ++end;
      if (text_.substr(end).starts_with("://") && goes_on(end + 3)) return at;
    }
    return kNone;
  }

  std::size_t find_www(std::size_t from) const {
    for (std::size_t at = text_.find("www.", from); at != kNone; at = text_.find("www.", at + 1))
      if (goes_on(at + 4)) return at;
    return kNone;
  }

  std::string_view text_;
  std::size_t http_ = 0, www_ = 0;
  bool searched_ = false;
};

/// Step 1: `https?://\S+|www\.\S+` goes.
std::string without_links(std::string_view text) {
  std::string out;
  LinkFinder links(text);
  std::size_t at = 0;
  for (std::size_t link = links.next(0); link != kNone; link = links.next(at)) {
    out.append(text.substr(at, link - at));
    at = link;
    while (at < text.size() && space_at(text, at) == 0) ++at;
  }
  return out.append(text.substr(at));
}

/// Step 2: `<[^>]+>` goes, and with nothing in its place: "good<br /><br />film" is one word.
std::string without_tags(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t open = text.find('<'); open != kNone;) {
    const std::size_t close = text.find('>', open + 1);
    if (close == kNone) break;
    if (close == open + 1) {  // "<>" is no tag
      open = text.find('<', close);
      continue;
    }
    out.append(text.substr(at, open - at));
    at = close + 1;
    open = text.find('<', at);
  }
  return out.append(text.substr(at));
}

/// Words of letters, one blank between them, runs of a letter cut to two.
class WordWriter {
 public:
  explicit WordWriter(std::size_t size) { out_.reserve(size); }

  void put(char c) {
    const std::size_t n = out_.size();
    if (n >= 2 && out_[n - 1] == c && out_[n - 2] == c) return;
    out_ += c;
  }
  void end_word() {
    if (!out_.empty() && out_.back() != ' ') out_ += ' ';
  }
  std::string take() {
    if (!out_.empty() && out_.back() == ' ') out_.pop_back();
    return std::move(out_);
  }

 private:
  std::string out_;
};

/// Steps 3 to 9 in one pass. Punctuation and white space end a word; digits and what is not ASCII go without
/// ending one. A wide space counts as not ASCII unless another one follows: only runs of white space become a
/// blank before non-ASCII characters go.
std::string letters_only(std::string_view text) {
  WordWriter words(text.size());
  bool after_wide_space = false;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::size_t wide = is_ascii(c) ? 0 : wide_space(text, at);
    if (wide > 0 ? after_wide_space : is_ascii(c) && !is_digit(c) && (!is_kept(c) || is_ascii_space(c)))
      words.end_word();
    else if (is_ascii(c) && !is_digit(c))
      words.put(c);
    after_wide_space = wide > 0;
    at += std::max<std::size_t>(wide, 1);
  }
  return words.take();
}

}  // namespace

std::size_t wide_space(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  switch (byte(0)) {
    case 0xC2:  // U+0085, U+00A0
      return byte(1) == 0x85 || byte(1) == 0xA0 ? 2 : 0;
    case 0xE1:  // U+1680
      return byte(1) == 0x9A && byte(2) == 0x80 ? 3 : 0;
    case 0xE2:  // U+2000 to U+200A, U+2028, U+2029, U+202F; U+205F
      if (byte(1) == 0x81) return byte(2) == 0x9F ? 3 : 0;
      if (byte(1) != 0x80) return 0;
      return (byte(2) >= 0x80 && byte(2) <= 0x8A) || byte(2) == 0xA8 || byte(2) == 0xA9 || byte(2) == 0xAF
                 ? 3
                 : 0;
    case 0xE3:  // U+3000
      return byte(1) == 0x80 && byte(2) == 0x80 ? 3 : 0;
    default:
      return 0;
  }
}

std::string clean_text(std::string_view text) {
  return letters_only(without_tags(without_links(text)));
}

}  // namespace telos::clustering
