// Laws that hold for any bytes.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/text/tokenizer.h"
#include "tests/text/golden.h"
#include "text/unicode.h"

namespace telos {
namespace {

/// Random bytes: any (kind 0), letters and spaces (1), or code points of all ranges as UTF-8 (2).
std::string random_text(Random& random, std::uint32_t kind) {
  std::string text;
  const std::uint32_t n = random.below(80);
  for (std::uint32_t i = 0; i < n; ++i) {
    if (kind == 0) {
      text.push_back(static_cast<char>(static_cast<unsigned char>(random.below(256))));
    } else if (kind == 1) {
      static constexpr std::string_view kSome = "abcdeThing<ls>[CLS]'\n  .,\t1234xyzzy";
      text.push_back(kSome[random.below(static_cast<std::uint32_t>(kSome.size()))]);
    } else {
      const std::uint32_t limit = random.below(4) == 0 ? 0x110000 : 0x3100;
      const std::uint32_t c = random.below(limit);
      if (c < 0xD800 || c > 0xDFFF) text::append_utf8(text, c);
    }
  }
  return text;
}

TEST(Property, OffsetsLieInTheTextAndDoNotDecrease) {
  for (const char* name : goldens::kTokenizers) {
    const Tokenizer tokenizer = goldens::tokenizer(name);
    Random random(7, 1);
    for (std::uint32_t trial = 0; trial < 1500; ++trial) {
      const std::string text = random_text(random, trial % 3);
      const Encoding e = tokenizer.encode(text);
      ASSERT_EQ(e.offsets.size(), e.ids.size());
      ASSERT_EQ(e.special.size(), e.ids.size());
      ASSERT_GE(e.ids.size(), tokenizer.prefix_tokens() + tokenizer.suffix_tokens());
      std::size_t last = 0;
      for (std::size_t i = 0; i < e.ids.size(); ++i) {
        ASSERT_GE(e.ids[i], 0);
        ASSERT_LT(static_cast<std::size_t>(e.ids[i]), tokenizer.vocabulary_size());
        const bool around = i < tokenizer.prefix_tokens() || i + tokenizer.suffix_tokens() >= e.ids.size();
        ASSERT_EQ(e.special[i], around ? 1 : 0) << name << " '" << printable(text) << "'";
        if (around) continue;
        const auto [begin, end] = e.offsets[i];
        ASSERT_LE(begin, end) << name << " '" << printable(text) << "'";
        ASSERT_LE(end, text.size()) << name << " '" << printable(text) << "'";
        // An added token that takes the white space on its right may reach over a following token's start.
        const bool stripping = tokenizer.token(e.ids[i]).starts_with("<");
        if (!stripping) {
          ASSERT_GE(end, last) << name << " '" << printable(text) << "'";
        }
        last = stripping ? begin : end;
      }
    }
  }
}

TEST(Property, ByteLevelBpeDecodesToTheSameText) {
  // GPT-2 and Llama 3 normalise nothing: decode(encode(text)) is the text, ill-formed bytes read as U+FFFD.
  for (const char* name : {"gpt2", "llama3"}) {
    const Tokenizer tokenizer = goldens::tokenizer(name);
    Random random(8, 1);
    for (std::uint32_t trial = 0; trial < 4000; ++trial) {
      const std::string text = random_text(random, trial % 3);
      const Encoding e = tokenizer.encode(text, false);
      ASSERT_EQ(tokenizer.decode(e.ids, false), text::lossy_utf8(text))
          << name << " '" << printable(text) << "'";
    }
  }
}

TEST(Property, ByteLevelTokensSpellTheirSpan) {
  // Without trimming, the tokens' texts are consecutive pieces of the input (a token inside a character spans
  // it whole).
  const Tokenizer tokenizer = goldens::tokenizer("gpt2");
  Random random(9, 1);
  for (std::uint32_t trial = 0; trial < 1000; ++trial) {
    const std::string text = random_text(random, 1);
    const Encoding e = tokenizer.encode(text, false);
    std::size_t at = 0;
    for (std::size_t i = 0; i < e.ids.size(); ++i) {
      const auto [begin, end] = e.offsets[i];
      ASSERT_EQ(begin, at);
      ASSERT_EQ(tokenizer.decode(std::vector{e.ids[i]}, false), text.substr(begin, end - begin));
      at = end;
    }
    ASSERT_EQ(at, text.size());
  }
}

TEST(Property, LongTextsUseTheWordCacheWithoutEffect) {
  // Above a kilobyte words are remembered; short texts know no cache.
  for (const char* name : {"bert_uncased", "gpt2", "metaspace"}) {
    const Tokenizer tokenizer = goldens::tokenizer(name);
    Random random(10, 1);
    std::string text, words;
    std::vector<std::int32_t> expected;
    for (int i = 0; i < 800; ++i) {
      std::string word(" ");
      const std::uint32_t n = 1 + random.below(9);
      for (std::uint32_t k = 0; k < n; ++k) word.push_back(static_cast<char>('a' + random.below(5)));
      // The first word of a text differs for Metaspace; one leading word makes them alike.
      const auto ids = tokenizer.encode("a" + word, false).ids;
      const auto lead = tokenizer.encode("a", false).ids;
      if (i == 0) expected = lead;
      expected.insert(expected.end(), ids.begin() + static_cast<std::ptrdiff_t>(lead.size()), ids.end());
      text += word;
    }
    ASSERT_GT(text.size(), 2000u);
    EXPECT_EQ(tokenizer.encode("a" + text, false).ids, expected) << name;
  }
}

TEST(Property, EncodingIsAPureFunction) {
  const Tokenizer tokenizer = goldens::tokenizer("roberta");
  Random random(11, 1);
  for (std::uint32_t trial = 0; trial < 200; ++trial) {
    const std::string text = random_text(random, trial % 3);
    const Encoding a = tokenizer.encode(text), b = tokenizer.encode(text);
    ASSERT_EQ(a.ids, b.ids);
  }
}

TEST(Property, InvalidUtf8IsReadAsReplacementCharacters) {
  const Tokenizer tokenizer = goldens::tokenizer("gpt2");
  const std::string text = "ab\xFF\xE2\x82 c\xED\xA0\x80";
  const Encoding e = tokenizer.encode(text, false);
  EXPECT_EQ(tokenizer.decode(e.ids, false), "ab\uFFFD\uFFFD c\uFFFD\uFFFD\uFFFD");
  // Offsets are those of the bytes given: the second bad sequence is two bytes long.
  std::size_t bad_pair = 0;
  for (const auto& [begin, end] : e.offsets) bad_pair += begin == 3 && end == 5;
  EXPECT_GE(bad_pair, 1u);
  EXPECT_EQ(e.offsets.back().end, text.size());
}

}  // namespace
}  // namespace telos
