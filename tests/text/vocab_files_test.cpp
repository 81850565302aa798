// vocab.txt, vocab.json with merges.txt, and what lies beside them.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/text/tokenizer.h"

namespace telos {
namespace {

using Ids = std::vector<std::int32_t>;

class VocabFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              ("telos_vocab_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& content) {
    write_file_atomically((folder_ / name).string(), content);
  }
  Tokenizer load() const { return Tokenizer::load(folder_.string()); }
  ErrorKind failure() const {
    try {
      load();
    } catch (const Error& e) {
      EXPECT_FALSE(e.message().empty());
      return e.kind();
    }
    return ErrorKind::kInternal;
  }
  std::filesystem::path folder_;
};

const char* const kBert =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nHello\nworld\n##s\ncafe\ncaf\u00e9\n\u4e2d\n\u6587\n";

TEST_F(VocabFiles, BertDefaultsAreLowerCase) {
  write("vocab.txt", kBert);
  const Tokenizer t = load();
  EXPECT_EQ(t.kind(), "WordPiece");
  EXPECT_EQ(t.vocabulary_size(), 13u);
  EXPECT_EQ(t.encode("Hello WORLDS caf\u00e9 \u4e2d\u6587 zz").ids, (Ids{2, 5, 7, 8, 9, 11, 12, 1, 3}));
  EXPECT_EQ(t.encode("hello[MASK]").ids, (Ids{2, 5, 4, 3}));
  EXPECT_EQ(t.decode(t.encode("Hello worlds").ids), "hello worlds");
}

TEST_F(VocabFiles, BertWindowsLineEnds) {
  write("vocab.txt", "[UNK]\r\n[CLS]\r\n[SEP]\r\nhi\r\n");
  EXPECT_EQ(load().encode("hi").ids, (Ids{1, 3, 2}));
}

TEST_F(VocabFiles, BertConfigIsRespected) {
  write("vocab.txt", kBert);
  write(
      "tokenizer_config.json",
      R"({"do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false, "cls_token": "[PAD]"})");
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("Hello caf\u00e9 \u4e2d\u6587").ids, (Ids{0, 6, 9, 1, 3}));
}

TEST_F(VocabFiles, BertSpecialTokensMapWithObjects) {
  write("vocab.txt", kBert);
  write(
      "special_tokens_map.json",
      R"({"sep_token": {"content": "hello", "lstrip": true}, "additional_special_tokens": ["<new>", "world"]})");
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("caf\u00e9 <new>").ids, (Ids{2, 9, 13, 5}));
  EXPECT_EQ(t.vocabulary_size(), 14u);
  EXPECT_EQ(t.decode(Ids{7, 9}, true), "cafe");
}

TEST_F(VocabFiles, BertRepeatedLineMovesTheToken) {
  // The reference reads lines into a map: the last one counts.
  write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nhi\nho\nhi\n");
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("hi ho").ids, (Ids{1, 5, 4, 2}));
  EXPECT_EQ(t.token(3), "");
}

TEST_F(VocabFiles, BertWithoutItsTokensIsAnError) {
  write("vocab.txt", "");
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
  write("vocab.txt", "hello\nworld\n");
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
  write("vocab.txt", "[UNK]\nhello\n");
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
  write("vocab.txt", std::string("[UNK]\n[CLS]\n[SEP]\n\xFF\n"));
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
}

const char* const kGpt2Vocab = R"({"a": 0, "b": 1, "\u0120": 2, "ab": 3, "\u0120ab": 4, "<|endoftext|>": 5})";
const char* const kMerges = "#version: 0.2\na b\n\u0120 ab\n";

TEST_F(VocabFiles, Gpt2) {
  write("vocab.json", kGpt2Vocab);
  write("merges.txt", kMerges);
  const Tokenizer t = load();
  EXPECT_EQ(t.kind(), "byte-level BPE");
  const Encoding e = t.encode("ab ab<|endoftext|>ba");
  EXPECT_EQ(e.ids, (Ids{3, 4, 5, 1, 0}));
  EXPECT_EQ(e.offsets[1].begin, 2u);  // the space belongs to the token: offsets are not trimmed
  EXPECT_EQ(t.decode(e.ids), "ab abba");
  EXPECT_EQ(t.decode(e.ids, false), "ab ab<|endoftext|>ba");
}

TEST_F(VocabFiles, Gpt2WithConfiguration) {
  write("vocab.json", kGpt2Vocab);
  write("merges.txt", "a b\r\n\u0120 ab\r\n\r\n");
  write("tokenizer_config.json",
        R"({"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": true, "add_bos_token": true,
    "added_tokens_decoder": {"6": {"content": "<pad>", "special": true}}})");
  const Tokenizer t = load();
  EXPECT_EQ(t.encode("ab").ids, (Ids{5, 4}));
  EXPECT_EQ(t.id("<pad>"), 6);
  EXPECT_EQ(t.prefix_tokens(), 1u);
}

TEST_F(VocabFiles, Roberta) {
  write(
      "vocab.json",
      R"({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "\u0120": 6, "ab": 7, "\u0120ab": 8, "<mask>": 9})");
  write("merges.txt", kMerges);
  const Tokenizer t = load();
  const Encoding e = t.encode("ab ab <mask>");
  EXPECT_EQ(e.ids, (Ids{0, 7, 8, 9, 2}));
  EXPECT_EQ(e.offsets[2].begin, 3u);  // trimmed
  // <mask> takes the space before it along, which trimming then takes off again.
  EXPECT_EQ(e.offsets[3].begin, 6u);
  EXPECT_EQ(e.offsets[3].end, 12u);
}

TEST_F(VocabFiles, MergesOfAnotherName) {
  write("x-vocab.json", kGpt2Vocab);
  write("x-merges.txt", kMerges);
  EXPECT_EQ(Tokenizer::load((folder_ / "x-vocab.json").string()).encode("ab").ids, (Ids{3}));
}

TEST_F(VocabFiles, Gpt2Damaged) {
  write("vocab.json", kGpt2Vocab);
  EXPECT_EQ(failure(), ErrorKind::kMissingFile);  // no merges.txt
  write("merges.txt", "a b c\n");
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
  write("merges.txt", "b a\n");
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
  write("merges.txt", kMerges);
  write("vocab.json", "[]");
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
  write("vocab.json", R"({"a": 0, "b": 0})");
  EXPECT_EQ(failure(), ErrorKind::kBadFormat);
}

TEST_F(VocabFiles, WhichFileIsRead) {
  EXPECT_EQ(failure(), ErrorKind::kMissingFile);
  write("tokenizer.model", "\n\x05");
  EXPECT_EQ(failure(), ErrorKind::kUnsupported);
  write("vocab.json", kGpt2Vocab);
  write("merges.txt", kMerges);
  EXPECT_EQ(load().kind(), "byte-level BPE");
  write("vocab.txt", kBert);
  EXPECT_EQ(load().kind(), "WordPiece");
  write("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
  EXPECT_EQ(load().kind(), "BPE");
  std::filesystem::remove_all(folder_);
  EXPECT_EQ(failure(), ErrorKind::kMissingFile);
}

}  // namespace
}  // namespace telos
