#include "io/text.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "io/gzip.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos {
namespace {

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

/// Where a text lies in its file, for errors.
struct Place {
  const std::string& file;
  std::uint64_t offset;  // of the bytes at hand

  [[noreturn]] void refuse(std::size_t at, const std::string& message, const char* hint) const {
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, byte {}", file, offset + at), message, hint);
  }
};

/// Appends UTF-16 as UTF-8; how many bytes, all but half a character at the end if `last` is false.
std::size_t append_utf16(std::string_view bytes, bool big_endian, bool last, const Place& place,
                         std::string& out) {
  const auto refuse = [&](std::size_t at, const char* what) {
    place.refuse(at, fmt::format("not valid UTF-16: {}", what), "save the text as UTF-8");
  };
  const auto unit = [&](std::size_t at) {
    const auto a = static_cast<unsigned char>(bytes[at]), b = static_cast<unsigned char>(bytes[at + 1]);
    return static_cast<std::uint32_t>(big_endian ? (a << 8 | b) : (b << 8 | a));
  };
  std::size_t i = 0;
  for (; i + 2 <= bytes.size(); i += 2) {
    std::uint32_t code = unit(i);
    if (code >= 0xDC00 && code <= 0xDFFF) refuse(i, "the second half of a surrogate pair without the first");
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (i + 4 > bytes.size() && !last) return i;
      const std::uint32_t low = i + 4 <= bytes.size() ? unit(i + 2) : 0;
      if (low < 0xDC00 || low > 0xDFFF) refuse(i, "the first half of a surrogate pair without the second");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      i += 2;
    }
    append_utf8(out, code);
  }
  if (last && i != bytes.size()) refuse(i, "half a character at the end");
  return i;
}

[[noreturn]] void refuse_utf8(std::string_view bytes, std::size_t at, const Place& place) {
  place.refuse(at, fmt::format("not valid UTF-8 text: found \"{}\"", printable(bytes.substr(at, 1))),
               "convert it, for example: iconv -f LATIN1 -t UTF-8");
}

void refuse_utf32(std::string_view bytes, const std::string& where) {
  using namespace std::string_view_literals;
  if (bytes.starts_with("\xFF\xFE\0\0"sv) || bytes.starts_with("\0\0\xFE\xFF"sv))
    throw Error(ErrorKind::kUnsupported, where, "the text is UTF-32", "save the text as UTF-8");
}

constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF", kUtf16LittleMark = "\xFF\xFE",
                           kUtf16BigMark = "\xFE\xFF";

}  // namespace

std::string decode_text(std::string bytes, const std::string& where) {
  const std::string_view view = bytes;
  refuse_utf32(view, where);
  if (view.starts_with(kUtf16LittleMark) || view.starts_with(kUtf16BigMark)) {
    std::string out;
    out.reserve(bytes.size());
    append_utf16(view.substr(2), view.starts_with(kUtf16BigMark), true, {where, 2}, out);
    return out;
  }
  if (const std::size_t good = valid_utf8_prefix(view); good != view.size())
    refuse_utf8(view, good, {where, 0});
  if (view.starts_with(kUtf8Mark)) bytes.erase(0, kUtf8Mark.size());
  return bytes;
}

void TextDecoder::push(std::string_view bytes, bool last, std::string& out) {
  held_ += bytes;
  std::string_view rest = held_;
  std::size_t used = 0;
  if (form_ == Form::kUnknown) {
    if (rest.size() < 4 && !last) return;
    refuse_utf32(rest, where_);
    form_ = rest.starts_with(kUtf16LittleMark) ? Form::kUtf16Little
            : rest.starts_with(kUtf16BigMark)  ? Form::kUtf16Big
                                               : Form::kUtf8;
    used = form_ != Form::kUtf8 ? kUtf16BigMark.size() : rest.starts_with(kUtf8Mark) ? kUtf8Mark.size() : 0;
    rest.remove_prefix(used);
  }
  const Place place{where_, offset_ + used};
  if (form_ == Form::kUtf8) {
    constexpr std::size_t kMostOpen = 3;  // bytes of a character whose end is not there yet
    const std::size_t good = valid_utf8_prefix(rest);
    if (rest.size() - good > (last ? 0 : kMostOpen)) refuse_utf8(rest, good, place);
    out += rest.substr(0, good);
    used += good;
  } else {
    used += append_utf16(rest, form_ == Form::kUtf16Big, last, place, out);
  }
  held_.erase(0, used);
  offset_ += used;
}

std::string read_text(const std::string& path, std::uint64_t max_bytes) {
  std::string bytes = read_file(path, max_bytes);
  if (is_gzip(bytes)) bytes = gunzip(bytes, path, max_bytes);
  return decode_text(std::move(bytes), path);
}

}  // namespace telos
