#include "text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace telos::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

struct Decoded {
  std::int32_t code = -1;  ///< −1: ill-formed
  std::size_t bytes = 1;
};

Decoded decode(std::string_view text) {
  const auto limit = static_cast<utf8proc_ssize_t>(std::min<std::size_t>(text.size(), 4));
  utf8proc_int32_t code = -1;
  const utf8proc_ssize_t used =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), limit, &code);
  if (used <= 0) return {};
  return {code, static_cast<std::size_t>(used)};
}

bool is_control(std::int32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0);
}

/// Marks that reorder the text around them: a name that holds one can make a line say something else.
bool is_bidi_control(std::int32_t code) {
  return code == 0x061C || code == 0x200E || code == 0x200F || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

bool is_line_break(std::int32_t code) {
  return code == 0x2028 || code == 0x2029;
}

/// Calls each(code, bytes) for every character; ill-formed bytes come as U+FFFD.
template <class Each>
void for_each_character(std::string_view text, Each&& each) {
  while (!text.empty()) {
    const Decoded d = decode(text);
    if (d.code < 0)
      each(std::int32_t{0xFFFD}, kReplacement);
    else
      each(d.code, text.substr(0, d.bytes));
    text.remove_prefix(d.bytes);
  }
}

std::string escaped(std::int32_t code) {
  std::array<char, 16> buffer{};
  const int n = std::snprintf(buffer.data(), buffer.size(), code < 0x100 ? "\\x%02x" : "\\u%04x",
                              static_cast<unsigned>(code));
  return {buffer.data(), static_cast<std::size_t>(n)};
}

std::size_t width_of(std::int32_t code) {
  return static_cast<std::size_t>(std::max(0, utf8proc_charwidth(code)));
}

/// "1234567" → "1,234,567"; a sign or a fraction stays where it is.
std::string with_thousands(std::string digits) {
  const std::size_t begin = digits.find_first_of("0123456789");
  if (begin == std::string::npos) return digits;
  std::size_t end = begin;
  while (end < digits.size() && digits[end] >= '0' && digits[end] <= '9') ++end;
  for (std::size_t i = end; i > begin + 3;) digits.insert(i -= 3, 1, ',');
  return digits;
}

std::string with_true_minus(std::string_view ascii) {
  std::string out;
  for (const char c : ascii) {
    if (c == '-')
      out += "−";
    else
      out += c;
  }
  return out;
}

/// Significant digits of the shortest text that reads back as `value`: 2 for 0.25, 17 for 0.1 + 0.2.
int digits_needed(double value) {
  std::array<char, 40> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  int digits = 0;
  for (const char* p = buffer.data(); p != end && *p != 'e'; ++p) digits += *p >= '0' && *p <= '9';
  return digits;
}

std::string scientific_for_people(double value, int digits) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*e", digits - 1, value);
  std::string text = buffer.data();
  const std::size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  return with_true_minus(text.substr(0, e) + "e" + std::to_string(exponent));
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](std::int32_t, std::string_view bytes) { out += bytes; });
  return out;
}

std::string terminal_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_character(text, [&](std::int32_t code, std::string_view bytes) {
    if (code == '\n' || code == '\t' || is_line_break(code))
      out += ' ';
    else if (is_control(code) || is_bidi_control(code))
      out += escaped(code);
    else
      out += bytes;
  });
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for_each_character(text, [&](std::int32_t code, std::string_view) { width += width_of(code); });
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string out;
  std::size_t used = 0;
  bool full = false;
  for_each_character(text, [&](std::int32_t code, std::string_view bytes) {
    full = full || used + width_of(code) > width - 1;
    if (full) return;
    used += width_of(code);
    out += bytes;
  });
  return out + "…";
}

std::vector<std::string> wrap(std::string_view text, std::size_t width, std::size_t taken) {
  std::vector<std::string> lines(1);
  std::size_t room = width - std::min(width, taken);
  std::size_t used = 0;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (word.empty()) continue;
    const std::size_t needed = display_width(word);
    if (used != 0 && used + 1 + needed > room) {
      lines.emplace_back();
      used = 0;
      room = width;
    }
    if (used != 0) {
      lines.back() += ' ';
      ++used;
    }
    lines.back() += word;
    used += needed;
  }
  return lines;
}

std::string html_text(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for_each_character(text, [&](std::int32_t code, std::string_view bytes) {
    switch (code) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\n':
      case '\t':
        out += bytes;
        break;
      default:
        if (is_control(code) || is_bidi_control(code))
          out += kReplacement;
        else
          out += bytes;
    }
  });
  return out;
}

std::string html_prose(std::string_view text) {
  const std::string escaped_text = html_text(text);
  const auto word = [&](std::size_t i) {
    return i < escaped_text.size() &&
           (std::isalnum(static_cast<unsigned char>(escaped_text[i])) != 0 || escaped_text[i] == '_');
  };
  const auto continuation = [&](std::size_t i) {
    return (static_cast<unsigned char>(escaped_text[i]) & 0xC0) == 0x80;
  };
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = escaped_text.find('_'); at != std::string::npos;
       at = escaped_text.find('_', at + 1)) {
    // Before the mark one character: an ASCII letter, or any character of several bytes (Greek, ‖, ²).
    if (at == 0) continue;
    std::size_t symbol = at - 1;
    while (symbol > 0 && continuation(symbol)) --symbol;
    const bool letter =
        std::isalpha(static_cast<unsigned char>(escaped_text[symbol])) != 0 || at - symbol > 1;
    if (!letter || (symbol > 0 && word(symbol - 1))) continue;
    std::size_t end = at + 1;
    while (word(end) && escaped_text[end] != '_') ++end;
    constexpr std::size_t kLongestIndex = 2;
    if (end == at + 1 || end - at - 1 > kLongestIndex || word(end)) continue;
    out.append(escaped_text, done, at - done);
    out += "<sub>" + escaped_text.substr(at + 1, end - at - 1) + "</sub>";
    done = end;
  }
  return out.append(escaped_text, done);
}

std::string markdown_text(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::int32_t code, std::string_view bytes) {
    if (code == '\n' || code == '\t' || code == '\r' || is_line_break(code)) {
      out += ' ';
    } else if (code == '<') {
      out += "&lt;";
    } else if (code == '&') {
      out += "&amp;";
    } else if (code < 0x80 &&
               std::string_view("\\`*_[]|#~!>$@").find(static_cast<char>(code)) != std::string_view::npos) {
      out += '\\';
      out += bytes;
    } else if (is_control(code) || is_bidi_control(code)) {
      out += kReplacement;
    } else {
      out += bytes;
    }
  });
  return out;
}

std::string slug(std::string_view id) {
  std::string out;
  for (const char c : id) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    // A dot may not lead: "..", "." and hidden files are no names.
    if (plain || (c == '.' && !out.empty()))
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  constexpr std::size_t kLongest = 80;
  if (out.size() > kLongest) out.resize(kLongest);
  while (!out.empty() && (out.back() == '-' || out.back() == '.')) out.pop_back();
  return out.empty() ? "untitled" : out;
}

std::string exact_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 40> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

std::string cell_for_people(const Cell& cell, const Column& column) {
  if (std::holds_alternative<std::monostate>(cell)) return "–";
  if (const auto* whole = std::get_if<std::int64_t>(&cell))
    return with_true_minus(with_thousands(std::to_string(*whole)));
  if (const auto* real = std::get_if<double>(&cell)) return format_number(*real, column.digits);
  return std::get<std::string>(cell);
}

std::string cell_for_machines(const Cell& cell) {
  if (std::holds_alternative<std::monostate>(cell)) return {};
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return std::to_string(*whole);
  if (const auto* real = std::get_if<double>(&cell)) return exact_number(*real);
  return valid_utf8(std::get<std::string>(cell));
}

bool is_number(const Cell& cell) {
  return std::holds_alternative<std::int64_t>(cell) || std::holds_alternative<double>(cell);
}

bool is_number_column(const Table& table, std::size_t column) {
  bool some = false;
  for (const auto& row : table.rows) {
    if (column >= row.size() || std::holds_alternative<std::monostate>(row[column])) continue;
    if (!is_number(row[column])) return false;
    some = true;
  }
  return some;
}

std::string heading(const Column& column) {
  return column.unit.empty() ? column.name : column.name + " (" + column.unit + ")";
}

std::size_t key_column(const Table& table) {
  for (std::size_t c = 0; c < table.columns.size(); ++c)
    if (table.columns[c].name == "head" || table.columns[c].name == "key") return c;
  return table.columns.size();
}

}  // namespace telos::report

namespace telos {

std::string format_number(double value, int digits) {
  if (std::isnan(value)) return "–";
  if (std::isinf(value)) return value > 0 ? "∞" : "−∞";
  if (value == 0) return "0";
  constexpr int kMostDigits = 17;
  digits = std::clamp(digits, 1, kMostDigits);
  // A value that is exact with fewer digits (0.5, 12) is shown with fewer.
  const int shown = std::min(digits, report::digits_needed(value));
  constexpr double kTooLarge = 999999.5;  // would round to 1e6
  if (std::abs(value) >= kTooLarge) return report::scientific_for_people(value, shown);
  // The exponent after rounding: 9.9996 becomes 10.00, not 10.000.
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.*e", shown - 1, value);
  const int exponent = std::atoi(std::strchr(buffer.data(), 'e') + 1);
  constexpr int kSmallestFixed = -3;
  if (exponent < kSmallestFixed) return report::scientific_for_people(value, shown);
  // Digits left of the point are never rounded away.
  const int decimals = std::max(0, shown - 1 - exponent);
  std::array<char, 64> fixed{};
  std::snprintf(fixed.data(), fixed.size(), "%.*f", decimals, value);
  return report::with_true_minus(report::with_thousands(fixed.data()));
}

}  // namespace telos
