// The reference library's ids, offsets and special flags on 6,000 lines, for ten small tokenizers; see
// tests/golden/make_text_goldens.py.
#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/text/tokenizer.h"

namespace telos {
namespace {

const std::string kFolder = std::string(TELOS_TEST_DIR) + "/golden/text/";

std::vector<std::string> lines_of(const std::string& name) {
  std::istringstream in(read_file(kFolder + name));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> out;
    for (const std::string& line : lines_of("lines.txt"))
      out.push_back(nlohmann::json::parse(line).get<std::string>());
    return out;
  }();
  return all;
}

/// FNV-1a over the little-endian words id, begin, end, special of each token: fnv() of the script.
std::string digest(const Encoding& e) {
  std::uint64_t h = 0xCBF29CE484222325u;
  const auto word = [&h](std::uint64_t value) {
    for (int shift = 0; shift < 32; shift += 8) h = (h ^ (value >> shift & 0xFF)) * 0x100000001B3u;
  };
  for (std::size_t i = 0; i < e.ids.size(); ++i) {
    word(static_cast<std::uint64_t>(e.ids[i]));
    word(e.offsets[i].begin);
    word(e.offsets[i].end);
    word(e.special[i]);
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(h));
  return text;
}

std::string show(const Encoding& e) {
  std::string out;
  for (std::size_t i = 0; i < e.ids.size(); ++i)
    out += std::to_string(e.ids[i]) + "[" + std::to_string(e.offsets[i].begin) + "," +
           std::to_string(e.offsets[i].end) + ") ";
  return out;
}

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, EveryLineHasTheReferencesIdsOffsetsAndFlags) {
  const std::string name = GetParam();
  const Tokenizer tokenizer = Tokenizer::load(kFolder + name + ".json");
  const auto expected = lines_of(name + ".expected");
  ASSERT_GE(texts().size(), 5000u);
  ASSERT_EQ(expected.size(), texts().size());
  int shown = 0;
  for (std::size_t i = 0; i < texts().size() && shown < 5; ++i) {
    const Encoding found = tokenizer.encode(texts()[i]);
    if (digest(found) == expected[i]) continue;
    ++shown;
    ADD_FAILURE() << "line " << i + 1 << " of lines.txt, '" << printable(texts()[i]) << "'\nfound "
                  << show(found) << "\nexpected: make_text_goldens.py --check " << i + 1 << " " << name;
  }
}

TEST_P(Golden, ExamplesInFull) {
  const std::string name = GetParam();
  const Tokenizer tokenizer = Tokenizer::load(kFolder + name + ".json");
  const auto examples = lines_of(name + ".examples");
  ASSERT_EQ(examples.size(), 150u);
  for (const std::string& line : examples) {
    const auto example = nlohmann::json::parse(line);
    const auto number = example["line"].get<std::size_t>();
    const std::string& text = texts().at(number - 1);
    SCOPED_TRACE("line " + std::to_string(number) + " of lines.txt, '" + printable(text) + "'");
    const Encoding found = tokenizer.encode(text);
    std::vector<std::size_t> offsets;
    for (const auto& [begin, end] : found.offsets) {
      offsets.push_back(begin);
      offsets.push_back(end);
    }
    EXPECT_EQ(found.ids, example["ids"].get<std::vector<std::int32_t>>());
    EXPECT_EQ(offsets, example["offsets"].get<std::vector<std::size_t>>());
    EXPECT_EQ(found.special, example["special"].get<std::vector<std::uint8_t>>());
    EXPECT_EQ(tokenizer.decode(found.ids, false), example["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer.decode(found.ids, true), example["skipped"].get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Text, Golden,
                         testing::Values("bert_uncased", "bert_cased", "gpt2", "roberta", "llama3", "qwen2",
                                         "llama2", "metaspace", "mixed", "digits"),
                         [](const auto& one) { return std::string(one.param); });

TEST(GoldenKinds, NamesTheModel) {
  EXPECT_EQ(Tokenizer::load(kFolder + "bert_cased.json").kind(), "WordPiece");
  EXPECT_EQ(Tokenizer::load(kFolder + "llama3.json").kind(), "byte-level BPE");
  EXPECT_EQ(Tokenizer::load(kFolder + "llama2.json").kind(), "BPE");
}

}  // namespace
}  // namespace telos
