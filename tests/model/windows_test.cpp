#include "telos/model/windows.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "telos/base/error.h"

namespace telos {
namespace {

// Words are their own tokens: ids are easy to follow.
Tokenizer words() {
  return Tokenizer::from_json(R"({
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4, "c": 5, "d": 6}}})",
                              "words");
}

TEST(Windows, EachCarriesTheSpecialTokensAndTheTextRunsOn) {
  const TextWindows windows = cut_windows(words(), "a b c d a b c", 0, {.length = 5, .max_windows = 16});
  EXPECT_EQ(windows.batch.sequences, 2u);
  EXPECT_EQ(windows.batch.tokens, 5u);
  EXPECT_EQ(windows.batch.ids, (std::vector<std::int32_t>{1, 3, 4, 5, 2, 1, 6, 3, 4, 2}));
  EXPECT_EQ(windows.special, (std::vector<std::uint8_t>{1, 0, 0, 0, 1, 1, 0, 0, 0, 1}));
  EXPECT_EQ(windows.special_text, "[CLS] and [SEP]");
  EXPECT_EQ(windows.labels,
            (std::vector<std::string>{"[CLS]", "a", "b", "c", "[SEP]", "[CLS]", "d", "a", "b", "[SEP]"}));
  EXPECT_EQ(windows.text_tokens, 7u);
  EXPECT_EQ(windows.used_tokens, 6u) << "the last token would make a shorter window";
}

TEST(Windows, AShortTextIsOneShorterWindow) {
  const TextWindows windows = cut_windows(words(), "a b c", 512, {.length = 128, .max_windows = 16});
  EXPECT_EQ(windows.batch.sequences, 1u);
  EXPECT_EQ(windows.batch.ids, (std::vector<std::int32_t>{1, 3, 4, 5, 2}));
}

TEST(Windows, TakesAtMostSoMany) {
  const TextWindows windows = cut_windows(words(), "a b c d a b c d", 0, {.length = 4, .max_windows = 3});
  EXPECT_EQ(windows.batch.sequences, 3u);
  EXPECT_EQ(windows.used_tokens, 6u);
}

TEST(Windows, OfTokenIdsHaveNoSpecialTokens) {
  const TextWindows windows =
      cut_windows(std::vector<std::int32_t>{9, 8, 7, 6, 5}, 0, {.length = 2, .max_windows = 16});
  EXPECT_EQ(windows.batch.ids, (std::vector<std::int32_t>{9, 8, 7, 6}));
  EXPECT_EQ(windows.special, std::vector<std::uint8_t>(4, 0));
  EXPECT_EQ(windows.labels, (std::vector<std::string>{"9", "8", "7", "6"}));
}

ErrorKind kind_of(const std::string& text, std::size_t context, std::size_t length) {
  try {
    cut_windows(words(), text, context, {.length = length, .max_windows = 16});
  } catch (const Error& error) {
    EXPECT_FALSE(error.hint().empty());
    return error.kind();
  }
  return ErrorKind::kInternal;
}

TEST(Windows, RefusesWhatMakesNoWindow) {
  EXPECT_EQ(kind_of("", 512, 128), ErrorKind::kBadFormat);
  EXPECT_EQ(kind_of(" \n\t ", 512, 128), ErrorKind::kBadFormat);
  EXPECT_EQ(kind_of("a", 512, 128), ErrorKind::kBadFormat) << "one token has nothing to be alike to";
  EXPECT_EQ(kind_of("a b", 512, 3), ErrorKind::kUsage) << "two special tokens leave one place";
  EXPECT_EQ(kind_of("a b", 16, 17), ErrorKind::kLimit) << "longer than the model reads";
}

}  // namespace
}  // namespace telos
