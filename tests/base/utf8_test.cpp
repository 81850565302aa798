#include "telos/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace telos {
namespace {

// Table 3-7 of the Unicode standard, row by row at its ends; tests/io checks every code point.
TEST(Utf8, SequenceLengthFollowsTheStandardsTable) {
  const struct {
    const char* bytes;
    std::size_t length;
  } rows[] = {
      {"\x7F", 1},
      {"\xC2\x80", 2},
      {"\xDF\xBF", 2},
      {"\xE0\xA0\x80", 3},
      {"\xED\x9F\xBF", 3},
      {"\xEE\x80\x80", 3},
      {"\xEF\xBF\xBF", 3},
      {"\xF0\x90\x80\x80", 4},
      {"\xF4\x8F\xBF\xBF", 4},
      {"\x80", 0},
      {"\xC1\xBF", 0},
      {"\xE0\x9F\xBF", 0},
      {"\xED\xA0\x80", 0},
      {"\xF0\x8F\xBF\xBF", 0},
      {"\xF4\x90\x80\x80", 0},
      {"\xF5\x80\x80\x80", 0},
      {"\xE6\x97", 0},
      {"\xF0\x9F\x98", 0},
  };
  for (const auto& row : rows)
    EXPECT_EQ(utf8_sequence_length(row.bytes), row.length) << testing::PrintToString(row.bytes);
  EXPECT_EQ(utf8_sequence_length(""), 0u);
}

TEST(Utf8, ValidPrefixStopsAtTheFirstBadByte) {
  EXPECT_EQ(valid_utf8_prefix(""), 0u);
  EXPECT_EQ(valid_utf8_prefix("eight by eight ASCII bytes"), 26u);
  EXPECT_EQ(valid_utf8_prefix("日本"), 6u);
  for (std::size_t at = 0; at < 20; ++at) {
    std::string text(20, 'x');
    text[at] = '\xFF';
    EXPECT_EQ(valid_utf8_prefix(text), at);
  }
}

}  // namespace
}  // namespace telos
