#include "telos/io/text_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "io/text.h"
#include "telos/base/error.h"
#include "tests/io/support.h"

namespace telos {
namespace {

using namespace std::string_view_literals;

/// What comes of bytes in parts of `size`, or the error.
std::string decoded(std::string_view bytes, std::size_t size) {
  TextDecoder decoder("f");
  std::string out;
  try {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size())))
      decoder.push(bytes.substr(0, size), false, out);
    decoder.push({}, true, out);
  } catch (const Error& error) {
    return error.what();
  }
  return out;
}

std::string decoded_at_once(std::string_view bytes) {
  try {
    return decode_text(std::string(bytes), "f");
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(TextParts, AreDecodedAsTheWhole) {
  for (const std::string_view bytes :
       {""sv, "a"sv, "ab\xC3\xA9\xF0\x9F\x98\x80z"sv, "\xEF\xBB\xBF"sv, "\xEF\xBB\xBF\xE4\xB8\xADx"sv,
        "\xFF\xFEh\0\x3D\xD8\x00\xDE"sv, "\xFE\xFF\0h\xD8\x3D\xDE\x00"sv, "\xFF\xFEh\0i"sv,
        "\xFF\xFE\x3D\xD8"sv, "\xFF\xFE\x3D\xD8x\0"sv, "\xFF\xFE\x00\xDEx\0"sv, "abcdefg\xC3(hijklmnop"sv,
        "abcdefg\xFFhij"sv, "abcdefgh\xF0\x9F"sv, "\xFF\xFE\0\0a\0\0\0"sv})
    for (std::size_t size = 1; size < 7; ++size)
      EXPECT_EQ(decoded(bytes, size), decoded_at_once(bytes)) << printable(bytes) << ' ' << size;
}

std::string joined(TextParts& parts) {
  std::string all;
  for (std::string_view part = parts.next(); !part.empty(); part = parts.next()) all += part;
  return all;
}

TEST(TextParts, OfSeveralFiles) {
  const test::ScratchDirectory folder;
  const std::string open = folder.file("open", "a b");
  const auto parts =
      open_texts({folder.file("empty", ""), open, folder.file("closed", "c\n"), folder.file("last", "d")});
  EXPECT_EQ(joined(*parts), "a b\nc\nd");
  EXPECT_EQ(parts->bytes(), 6);
  EXPECT_EQ(parts->bytes_read(), 6);
  parts->rewind();
  EXPECT_EQ(parts->bytes_read(), 0);
  EXPECT_EQ(joined(*parts), "a b\nc\nd");
  EXPECT_THROW(open_texts({open, folder / "none"}), Error);
}

TEST(TextParts, OfMemoryAreWholeCharacters) {
  std::string text = "a";
  while (text.size() < 2'500'000) text += "\u4e2d";
  const auto parts = text_parts(text);
  EXPECT_EQ(joined(*parts), text);
  parts->rewind();
  EXPECT_EQ(parts->next().size() % 3, 1u);
}

}  // namespace
}  // namespace telos
