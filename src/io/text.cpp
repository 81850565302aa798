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

std::string from_utf16(std::string_view bytes, bool big_endian, const std::string& where) {
  const auto refuse = [&](std::size_t at, const char* what) {
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, byte {}", where, at),
                fmt::format("not valid UTF-16: {}", what), "save the text as UTF-8");
  };
  const auto unit = [&](std::size_t at) {
    const auto a = static_cast<unsigned char>(bytes[at]), b = static_cast<unsigned char>(bytes[at + 1]);
    return static_cast<std::uint32_t>(big_endian ? (a << 8 | b) : (b << 8 | a));
  };
  std::string out;
  out.reserve(bytes.size());
  if (bytes.size() % 2 != 0) refuse(bytes.size() - 1, "half a character at the end");
  for (std::size_t i = 2; i < bytes.size(); i += 2) {
    std::uint32_t code = unit(i);
    if (code >= 0xDC00 && code <= 0xDFFF) refuse(i, "the second half of a surrogate pair without the first");
    if (code >= 0xD800 && code <= 0xDBFF) {
      const std::uint32_t low = i + 2 < bytes.size() ? unit(i + 2) : 0;
      if (low < 0xDC00 || low > 0xDFFF) refuse(i, "the first half of a surrogate pair without the second");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      i += 2;
    }
    append_utf8(out, code);
  }
  return out;
}

}  // namespace

std::string decode_text(std::string bytes, const std::string& where) {
  using namespace std::string_view_literals;
  const std::string_view view = bytes;
  if (view.starts_with("\xFF\xFE\0\0"sv) || view.starts_with("\0\0\xFE\xFF"sv))
    throw Error(ErrorKind::kUnsupported, where, "the text is UTF-32", "save the text as UTF-8");
  if (view.starts_with("\xFF\xFE"sv) || view.starts_with("\xFE\xFF"sv))
    return from_utf16(view, view[0] == '\xFE', where);
  const std::size_t good = valid_utf8_prefix(view);
  if (good != view.size())
    throw Error(ErrorKind::kBadFormat, fmt::format("{}, byte {}", where, good),
                fmt::format("not valid UTF-8 text: found \"{}\"", printable(view.substr(good, 1))),
                "convert it, for example: iconv -f LATIN1 -t UTF-8");
  if (view.starts_with("\xEF\xBB\xBF"sv)) bytes.erase(0, 3);
  return bytes;
}

std::string read_text(const std::string& path, std::uint64_t max_bytes) {
  std::string bytes = read_file(path, max_bytes);
  if (is_gzip(bytes)) bytes = gunzip(bytes, path, max_bytes);
  return decode_text(std::move(bytes), path);
}

}  // namespace telos
