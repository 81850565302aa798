// The full vocabularies of BERT, GPT-2 and MiniLM, where the machine has them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "telos/io/files.h"
#include "telos/text/tokenizer.h"

namespace telos {
namespace {

std::optional<std::string> tokenizer_folder(const char* name) {
  const char* data = std::getenv("TELOS_TEST_DATA");
  if (data == nullptr) return std::nullopt;
  const std::string path = std::string(data) + "/tokenizers/" + name;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

void check_vectors(const Tokenizer& tokenizer, const std::string& vectors) {
  const auto cases = nlohmann::json::parse(read_file(vectors));
  ASSERT_GE(cases.size(), 25u);
  for (const auto& one : cases) {
    const auto text = one["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text).ids, one["ids"].get<std::vector<std::int32_t>>()) << text;
  }
}

TEST(FullVocabulary, BertFromTokenizerJson) {
  const auto folder = tokenizer_folder("bert-base-uncased");
  if (!folder) GTEST_SKIP() << "TELOS_TEST_DATA/tokenizers/bert-base-uncased is not there";
  const Tokenizer tokenizer = Tokenizer::load(*folder + "/tokenizer.json");
  EXPECT_EQ(tokenizer.vocabulary_size(), 30522u);
  check_vectors(tokenizer, *folder + "/test_vectors.json");
}

TEST(FullVocabulary, BertFromVocabTxt) {
  const auto folder = tokenizer_folder("bert-base-uncased");
  if (!folder) GTEST_SKIP() << "TELOS_TEST_DATA/tokenizers/bert-base-uncased is not there";
  const Tokenizer tokenizer = Tokenizer::load(*folder + "/vocab.txt");
  EXPECT_EQ(tokenizer.vocabulary_size(), 30522u);
  check_vectors(tokenizer, *folder + "/test_vectors.json");
}

TEST(FullVocabulary, Gpt2FromVocabJsonAndMerges) {
  const auto folder = tokenizer_folder("gpt2");
  if (!folder) GTEST_SKIP() << "TELOS_TEST_DATA/tokenizers/gpt2 is not there";
  const Tokenizer tokenizer = Tokenizer::load(*folder);
  EXPECT_EQ(tokenizer.vocabulary_size(), 50257u);
  EXPECT_EQ(tokenizer.prefix_tokens() + tokenizer.suffix_tokens(), 0u);
  check_vectors(tokenizer, *folder + "/test_vectors.json");
  EXPECT_EQ(tokenizer.encode("a<|endoftext|>b").ids, (std::vector<std::int32_t>{64, 50256, 65}));
}

TEST(FullVocabulary, MiniLm) {
  const char* folder = std::getenv("TELOS_TEST_MINILM");
  if (folder == nullptr || !std::filesystem::exists(folder)) GTEST_SKIP() << "TELOS_TEST_MINILM is not there";
  const Tokenizer tokenizer = Tokenizer::load(folder);
  EXPECT_EQ(tokenizer.kind(), "WordPiece");
  EXPECT_EQ(tokenizer.vocabulary_size(), 30522u);
  // 128 tokens of padding in the file are ignored.
  EXPECT_EQ(tokenizer.encode("Hello world").ids, (std::vector<std::int32_t>{101, 7592, 2088, 102}));
}

}  // namespace
}  // namespace telos
