// Long and strange texts: time stays near linear, offsets stay in order.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "telos/base/error.h"
#include "telos/text/tokenizer.h"
#include "tests/repeats.h"
#include "tests/text/golden.h"
#include "text/draft.h"

namespace telos {
namespace {

TEST(LongText, LongRunOfOneCharacterDoesNotBlowUp) {
  // A quadratic step would need 10^11 operations, over a minute; the bound leaves a slow, instrumented or
  // busy machine a factor of several hundred above the linear cost of about 20 ms.
  for (const char* name : goldens::kTokenizers) {
    const Tokenizer tokenizer = goldens::tokenizer(name);
    for (const char* unit :
         {"a", " ", "\n", "\u00e9", "e\u0301", "\u0301", "1", ".", "\u4e2d", "\U0001F600", "<ls>", " <lr>"}) {
      std::string text;
      while (text.size() < repeats(300'000u, 20'000u)) text += unit;
      const auto start = std::chrono::steady_clock::now();
      const Encoding found = tokenizer.encode(text, false);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      EXPECT_LT(seconds.count(), 20.0) << name << " on " << printable(unit);
      for (std::size_t i = 0; i < found.offsets.size(); ++i)
        ASSERT_LE(found.offsets[i].end, text.size()) << name;
    }
  }
}

TEST(LongText, WordPieceMakesLongWordsUnknown) {
  const Tokenizer tokenizer = goldens::tokenizer("bert_uncased");
  const Encoding at_limit = tokenizer.encode(std::string(100, 'a'), false);
  EXPECT_GT(at_limit.ids.size(), 1u);
  const Encoding beyond = tokenizer.encode(std::string(101, 'a'), false);
  ASSERT_EQ(beyond.ids.size(), 1u);
  EXPECT_EQ(tokenizer.token(beyond.ids[0]), "[UNK]");
  EXPECT_EQ(beyond.offsets[0].end, 101u);
}

TEST(LongText, TwoMegabytesEqualTheirParts) {
  // BERT cuts at white space, so a long text is the concatenation of its lines.
  const Tokenizer tokenizer = goldens::tokenizer("bert_uncased");
  const std::string line =
      "It was the best of times, it was the worst of tim\u00e9s; \u540d\u53ef\u540d 42 !!\n";
  const Encoding once = tokenizer.encode(line, false);
  std::string text;
  std::size_t repeats = 0;
  for (; text.size() < 2'000'000; ++repeats) text += line;
  const Encoding all = tokenizer.encode(text, false);
  ASSERT_EQ(all.ids.size(), once.ids.size() * repeats);
  for (std::size_t i = 0; i < all.ids.size(); ++i) {
    const std::size_t k = i % once.ids.size(), base = i / once.ids.size() * line.size();
    ASSERT_EQ(all.ids[i], once.ids[k]);
    ASSERT_EQ(all.offsets[i].begin, base + once.offsets[k].begin);
    ASSERT_EQ(all.offsets[i].end, base + once.offsets[k].end);
  }
}

TEST(LongText, BeyondTheLimitIsAnError) {
  // A view of a size that is refused before a byte is read.
  const std::string one = "x";
  try {
    text::make_draft(std::string_view(one.data(), text::kMaxTextBytes + 1));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kLimit);
    EXPECT_NE(e.message().find("1073741825"), std::string::npos) << e.message();
  }
}

}  // namespace
}  // namespace telos
