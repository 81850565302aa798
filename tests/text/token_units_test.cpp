#include "telos/text/token_units.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "tests/io/small_parts.h"
#include "tests/repeats.h"
#include "tests/text/golden.h"

namespace telos {
namespace {

std::vector<std::int32_t> ids_in_parts(const std::string& tokenizer, const std::string& text,
                                       std::size_t bytes, std::size_t overlap) {
  const auto units =
      token_units(goldens::tokenizer(tokenizer), std::make_unique<SmallParts>(text, bytes), overlap);
  std::vector<std::int32_t> ids;
  for (int reading = 0; reading < 2; ++reading) {  // the second time as the first
    ids.clear();
    units->rewind();
    for (auto part = units->next(); !part.empty(); part = units->next())
      ids.insert(ids.end(), part.begin(), part.end());
  }
  return ids;
}

TEST(TokenUnits, AreThoseOfTheWholeText) {
  const std::string text =
      read_text(std::string(TELOS_TEST_DIR) + "/golden/text/lines.txt").substr(0, repeats(200'000u, 20'000u));
  for (const char* name : goldens::kTokenizers) {
    const std::vector<std::int32_t> whole = goldens::tokenizer(name).encode(text, false).ids;
    for (const std::size_t bytes : {std::size_t{3000}, std::size_t{20011}, text.size()})
      EXPECT_TRUE(ids_in_parts(name, text, bytes, 128) == whole) << name << ", parts of " << bytes;
  }
}

TEST(TokenUnits, OfTextsWithoutAPlaceToCut) {
  for (const char* name : goldens::kTokenizers)
    for (const std::string unit : {"a", " ", "\n", "1", "ab", ". ", "\u4e2d", "<ls>", " \n"}) {
      std::string text = "It was ";
      while (text.size() < 6000) text += unit;
      text += " the best of times.";
      EXPECT_TRUE(ids_in_parts(name, text, 500, 32) == goldens::tokenizer(name).encode(text, false).ids)
          << name << " on " << printable(unit);
    }
}

TEST(TokenUnits, KeptOnesAreRanked) {
  const std::string text = "the cat and the dog and the bird";
  const Tokenizer tokenizer = goldens::tokenizer("bert_uncased");
  const Corpus known = keep_frequent(tokenizer.encode(text, false).ids, 4,
                                     [&](std::int32_t id) { return std::string(tokenizer.token(id)); });
  UnitStream stream(token_units(goldens::tokenizer("bert_uncased"), text_parts(text)), 4);
  const Corpus found = collect(stream);
  EXPECT_EQ(found.names, known.names);
  EXPECT_EQ(found.tokens, known.tokens);
  EXPECT_EQ(found.unit, "token");
  EXPECT_EQ(found.distinct, known.distinct);
  EXPECT_EQ(found.others, known.others);
  EXPECT_EQ(stream.counts()[3], known.others);
}

}  // namespace
}  // namespace telos
