#include "text/unicode.h"

#include <gtest/gtest.h>

#include <string>

namespace telos::text {
namespace {

std::u32string form(std::u32string_view text, NormalForm which) {
  std::vector<Change> changes;
  normal_form(text, which, changes);
  std::u32string out;
  for (const Change& c : changes) out.push_back(c.value);
  return out;
}

TEST(Utf8, EncodesAndDecodesEveryCodePoint) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    char buffer[4];
    const std::uint32_t n = encode_utf8(c, buffer);
    const Decoded back = decode_utf8(buffer);
    ASSERT_EQ(back.value, c);
    ASSERT_EQ(back.bytes, n);
    ASSERT_EQ(utf8_bytes(buffer[0]), n);
    ASSERT_EQ(valid_utf8_prefix(std::string_view(buffer, n)), n);
    ASSERT_EQ(previous_char(std::string_view(buffer, n), n), 0u);
  }
}

TEST(Utf8, RefusesIllFormedSequences) {
  for (const char* bad : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
                          "\xED\xA0\x80", "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                          "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xF0\x9F\x98"})
    EXPECT_EQ(valid_utf8_prefix(bad), 0u);
  EXPECT_EQ(valid_utf8_prefix("ab\xC3\xA9\xC3"), 4u);
}

TEST(Utf8, MaximalSubpartsBecomeOneReplacementEach) {
  // The example of the Unicode Standard, table 3-8 (recommended practice).
  EXPECT_EQ(lossy_utf8("a\xF1\x80\x80\xE1\x80\xC2"
                       "b\x80"
                       "c\x80\xBF"
                       "d"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
}

TEST(CharClass, KnownMembers) {
  EXPECT_TRUE(is(U' ', kSpace));
  EXPECT_TRUE(is(0x3000, kSpace));
  EXPECT_FALSE(is(0x200B, kSpace));
  EXPECT_TRUE(is(0x200B, kControl));
  EXPECT_FALSE(is(U'\t', kControl));
  EXPECT_TRUE(is(U'$', kPunctuation));
  EXPECT_TRUE(is(0x3001, kPunctuation));
  EXPECT_TRUE(is(0x301, kNonspacing));
  EXPECT_TRUE(is(0x93F, kCombining));
  EXPECT_FALSE(is(0x93F, kNonspacing));
  EXPECT_TRUE(is(0x4E2D, kLetter));
  EXPECT_TRUE(is(0xB2, kNumber));
  EXPECT_TRUE(is(U'_', kWord));
  EXPECT_TRUE(is(U'+', kSymbol));
  EXPECT_EQ(char_class(0x110000), 0);
  EXPECT_EQ(char_class(0xFFFFFFFF), 0);
}

TEST(CharClass, AsciiLettersAndDigitsAreWhatTheyAre) {
  for (char32_t c = 0; c < 128; ++c) {
    const bool letter = (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z');
    EXPECT_EQ(is(c, kLetter), letter) << static_cast<unsigned>(c);
    EXPECT_EQ(is(c, kNumber), c >= U'0' && c <= U'9') << static_cast<unsigned>(c);
    EXPECT_EQ(is(c, kLowers), c >= U'A' && c <= U'Z') << static_cast<unsigned>(c);
  }
}

TEST(Lowercase, SimpleMappings) {
  EXPECT_EQ(to_lower(U'A'), U'a');
  EXPECT_EQ(to_lower(U'@'), U'@');
  EXPECT_EQ(to_lower(U'['), U'[');
  EXPECT_EQ(to_lower(0xC9), 0xE9u);
  EXPECT_EQ(to_lower(0x3A3), 0x3C3u);
  EXPECT_EQ(to_lower(0x130), U'i');
  EXPECT_EQ(to_lower(0x1E9E), 0xDFu);
  EXPECT_EQ(to_lower(0x10400), 0x10428u);
  EXPECT_EQ(to_lower(0x100), 0x101u);
  EXPECT_EQ(to_lower(0x101), 0x101u);
}

TEST(NormalForms, AccentsHangulAndOrder) {
  EXPECT_EQ(form(U"\u00e9", NormalForm::kD), U"e\u0301");
  EXPECT_EQ(form(U"e\u0301", NormalForm::kC), U"\u00e9");
  EXPECT_EQ(form(U"\u1112\u1161\u11ab", NormalForm::kC), U"\ud55c");
  EXPECT_EQ(form(U"\ud55c", NormalForm::kD), U"\u1112\u1161\u11ab");
  EXPECT_EQ(form(U"a\u0301\u0323", NormalForm::kD), U"a\u0323\u0301");
  EXPECT_EQ(form(U"a\u0301\u0323", NormalForm::kC), U"\u1ea1\u0301");
  EXPECT_EQ(form(U"\u1e9b\u0323", NormalForm::kC), U"\u1e9b\u0323");
  EXPECT_EQ(form(U"\u1e9b\u0323", NormalForm::kKC), U"\u1e69");
  EXPECT_EQ(form(U"\ufb01", NormalForm::kKD), U"fi");
  EXPECT_EQ(form(U"\ufb01", NormalForm::kC), U"\ufb01");
  EXPECT_EQ(form(U"\u212b", NormalForm::kC), U"\u00c5");
  EXPECT_EQ(form(U"\u0344", NormalForm::kC), U"\u0308\u0301");  // excluded from composition
  EXPECT_EQ(form(U"\uac00\u11a8", NormalForm::kC), U"\uac01");
  EXPECT_EQ(form(U"\uac00\u11a7", NormalForm::kC), U"\uac00\u11a7");  // not a tail
  EXPECT_EQ(form(U"", NormalForm::kC), U"");
}

TEST(NormalForms, ComposingADecompositionGivesItBack) {
  for (char32_t c = 0; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::u32string composed = form(std::u32string(1, c), NormalForm::kC);
    ASSERT_EQ(form(form(std::u32string(1, c), NormalForm::kD), NormalForm::kC), composed)
        << static_cast<unsigned>(c);
    ASSERT_EQ(form(composed, NormalForm::kC), composed) << static_cast<unsigned>(c);
  }
}

TEST(NormalForms, ChangesAddUpToTheSource) {
  // Replacements and removals together account for every character of the source.
  for (const std::u32string text :
       {U"e\u0301x", U"\u1112\u1161\u11abz", U"a\u0301\u0323\u0308", U"\u0f73\u0f71\u0f74", U"\u01d5"})
    for (const NormalForm which : {NormalForm::kD, NormalForm::kKD, NormalForm::kC, NormalForm::kKC}) {
      std::vector<Change> changes;
      normal_form(text, which, changes);
      std::size_t covered = 0;
      for (const Change& c : changes)
        if (c.change <= 0) covered += 1 + static_cast<std::size_t>(-c.change);
      EXPECT_EQ(covered, text.size());
    }
}

}  // namespace
}  // namespace telos::text
