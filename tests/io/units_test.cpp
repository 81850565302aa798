#include "telos/io/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "telos/base/error.h"
#include "tests/io/small_parts.h"

namespace telos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void expect_error(const std::function<void()>& body, ErrorKind kind, const std::string& part) {
  try {
    body();
    ADD_FAILURE() << "no error with \"" << part << '"';
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.message(), HasSubstr(part));
  }
}

std::vector<std::string> words(const Corpus& corpus) {
  std::vector<std::string> out;
  for (const std::uint16_t token : corpus.tokens) out.push_back(corpus.names[token]);
  return out;
}

TEST(Units, CharactersByFrequency) {
  const Corpus corpus = read_units("bab\nb ö", Unit::kCharacter, 64);
  EXPECT_THAT(corpus.names, ElementsAre("b", "\\n", "␣", "a", "ö"));
  EXPECT_THAT(corpus.tokens, ElementsAre(0, 3, 0, 1, 0, 2, 4));
  EXPECT_EQ(corpus.distinct, 5u);
  EXPECT_EQ(corpus.others, 0u);
  EXPECT_EQ(corpus.unit, "character");
}

TEST(Units, RareOnesBecomeOneToken) {
  const Corpus corpus = read_units("aaabbbccde", Unit::kCharacter, 3);
  EXPECT_THAT(corpus.names, ElementsAre("a", "b", "(other)"));
  EXPECT_THAT(corpus.tokens, ElementsAre(0, 0, 0, 1, 1, 1, 2, 2, 2, 2));
  EXPECT_EQ(corpus.others, 4u);
  EXPECT_EQ(corpus.distinct, 5u);
}

TEST(Units, Words) {
  const std::string text = "Don't stop—'tis “good” it’s 'Good'' 3.5\u00A0naïve";
  EXPECT_THAT(words(read_units(text, Unit::kWord, 64)),
              ElementsAre("don't", "stop", "—", "'", "tis", "“", "good", "”", "it’s", "'", "good", "'", "'",
                          "3", ".", "5", "naïve"));
  EXPECT_THAT(words(read_units("a b'", Unit::kWord, 64)), ElementsAre("a", "b", "'"));
}

TEST(Units, PiecesAndEndsOfLines) {
  EXPECT_THAT(words(read_units(" = A <unk> = \n\n a,b\u00A0\tA", Unit::kPiece, 64)),
              ElementsAre("=", "A", "<unk>", "=", "<eos>", "<eos>", "a,b", "A", "<eos>"));
  EXPECT_THAT(words(read_units("a\r\n", Unit::kPiece, 64)), ElementsAre("a", "<eos>"));
  EXPECT_THAT(read_units("z a\n", Unit::kPiece, 64).names, ElementsAre("z", "a", "<eos>"));
}

TEST(Units, IdsOfATokenizer) {
  const std::vector<std::int32_t> ids = {7, 900, 7, 3, 3, 7};
  const Corpus corpus = keep_frequent(ids, 3, [](std::int32_t id) { return "t" + std::to_string(id); });
  EXPECT_THAT(corpus.names, ElementsAre("t7", "t3", "t900"));
  EXPECT_THAT(corpus.tokens, ElementsAre(0, 2, 0, 1, 1, 0));
  EXPECT_EQ(corpus.unit, "token");
}

TEST(Units, NamesShowWhatCannotBeSeen) {
  const Corpus corpus = read_units(std::string("\0\0\0\t\t\r", 6), Unit::kCharacter, 64);
  EXPECT_THAT(corpus.names, ElementsAre("\\x00", "\\t", "\\r"));
}

TEST(Units, ThePartsOfATextDoNotMatter) {
  const std::string text =
      "Don't stop—'tis “good” it’s  'Good''\n\n 3.5\u00A0naïve ’’a’ b'c'd' \xF0\x9F\x98\x80x\r\nend'";
  for (const Unit unit : {Unit::kCharacter, Unit::kWord, Unit::kPiece}) {
    const Corpus known = read_units(text, unit, 12);
    for (std::size_t bytes = 1; bytes < 9; ++bytes) {
      UnitStream stream(text_units(std::make_unique<SmallParts>(text, bytes), unit), 12);
      const Corpus found = collect(stream);
      EXPECT_EQ(found.names, known.names) << bytes;
      EXPECT_EQ(found.tokens, known.tokens) << bytes;
      EXPECT_EQ(found.others, known.others);
      EXPECT_EQ(stream.size(), known.tokens.size());
      EXPECT_EQ(collect(stream).tokens, known.tokens);  // once more
    }
  }
}

TEST(Units, OneThatHasNoEnd) {
  const std::string text = "a b " + std::string(kLongestUnit + (std::size_t{3} << 20), 'x');
  expect_error([&] { read_units(text, Unit::kWord, 8); }, ErrorKind::kLimit, "a word of more than 16 MiB");
  EXPECT_EQ(read_units(text, Unit::kCharacter, 8).distinct, 4u);
}

TEST(Units, TextsThatCannotBeUsed) {
  const auto read = [](const std::string& text, std::size_t vocabulary, Unit unit = Unit::kCharacter) {
    return [=] { read_units(text, unit, vocabulary); };
  };
  expect_error(read("", 64), ErrorKind::kBadFormat, "there is no character in it");
  expect_error(read(" \n", 64, Unit::kWord), ErrorKind::kBadFormat, "there is no word in it");
  expect_error(read("aaa", 64), ErrorKind::kBadFormat, "it is one character throughout, a");
  expect_error(read("ab\xFF", 64), ErrorKind::kBadFormat, "byte 2 is not UTF-8");
  expect_error(read("abc", 1), ErrorKind::kUsage, "expected a vocabulary of 2 to 4096 tokens, found 1");
  expect_error(read("abc", 5000), ErrorKind::kUsage, "found 5000");
}

}  // namespace
}  // namespace telos
