// Files that are damaged or hostile: each is one clear error, and nothing large is allocated.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "telos/base/error.h"
#include "telos/io/files.h"
#include "telos/text/tokenizer.h"

namespace telos {
namespace {

using Json = nlohmann::json;

Json wordpiece() {
  return Json::parse(
      R"({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
    "post_processor": null, "decoder": null,
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "a": 1, "##b": 2}}})");
}

Json bpe() {
  Json json = wordpiece();
  json["model"] = Json::parse(R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]})");
  return json;
}

/// The error of loading `json`, which must have one.
Error error_of(const std::string& json) {
  try {
    Tokenizer::from_json(json, "t.json");
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error for " << printable(json, 400);
  return Error(ErrorKind::kInternal, "", "");
}

void expect(const Json& json, ErrorKind kind, const std::string& part) {
  const Error e = error_of(json.dump());
  EXPECT_EQ(e.kind(), kind) << e.what();
  EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  EXPECT_NE(e.where().find("t.json"), std::string::npos) << e.where();
}

TEST(BadFile, TheBasesAreGood) {
  EXPECT_EQ(Tokenizer::from_json(wordpiece().dump(), "t").encode("ab x").ids,
            (std::vector<std::int32_t>{1, 2, 0}));
  EXPECT_EQ(Tokenizer::from_json(bpe().dump(), "t").encode("ab ba").ids,
            (std::vector<std::int32_t>{2, 1, 0}));
}

TEST(BadFile, NotJsonAtAll) {
  for (const char* text :
       {"", "{", "[1,", "\xFF\xFE", "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\xFF\": 0}}}", "nul"}) {
    const Error e = error_of(text);
    EXPECT_EQ(e.kind(), ErrorKind::kBadFormat) << e.what();
  }
  expect(Json::array(), ErrorKind::kBadFormat, "expected an object, found array");
}

TEST(BadFile, EveryTruncationIsAnError) {
  const std::string whole = bpe().dump();
  for (std::size_t n = 0; n < whole.size(); ++n) error_of(whole.substr(0, n));
}

TEST(BadFile, MissingParts) {
  for (const char* part : {"model"}) {
    Json json = wordpiece();
    json.erase(part);
    expect(json, ErrorKind::kBadFormat, "'model' is missing");
  }
  Json json = wordpiece();
  json["model"].erase("vocab");
  expect(json, ErrorKind::kBadFormat, "'vocab' is missing");
  json = bpe();
  json["model"].erase("merges");
  expect(json, ErrorKind::kBadFormat, "'merges' is missing");
  json = bpe();
  json["model"] = Json::object();
  expect(json, ErrorKind::kBadFormat, "'type' is missing");
  json = wordpiece();
  json["normalizer"] = {{"type", "Replace"}, {"content", "x"}};
  expect(json, ErrorKind::kBadFormat, "'pattern' is missing");
}

TEST(BadFile, OldFilesWithoutModelTypeAreRecognised) {
  Json json = bpe();
  json["model"].erase("type");
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").kind(), "BPE");
  json = wordpiece();
  json["model"].erase("type");
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").kind(), "WordPiece");
}

TEST(BadFile, WrongTypes) {
  Json json = wordpiece();
  json["model"]["vocab"]["a"] = "1";
  expect(json, ErrorKind::kBadFormat, "expected an integer, found string");
  json = wordpiece();
  json["model"]["vocab"]["a"] = 1.5;
  expect(json, ErrorKind::kBadFormat, "expected an integer");
  json = wordpiece();
  json["model"]["vocab"] = Json::array();
  expect(json, ErrorKind::kBadFormat, "expected an object, found array");
  json = wordpiece();
  json["model"]["unk_token"] = 3;
  expect(json, ErrorKind::kBadFormat, "expected a string, found number");
  json = wordpiece();
  json["normalizer"] = {{"type", "BertNormalizer"}, {"lowercase", "yes"}};
  expect(json, ErrorKind::kBadFormat, "expected true or false");
  json = wordpiece();
  json["model"]["max_input_chars_per_word"] = -1;
  expect(json, ErrorKind::kBadFormat, "negative");
  json = wordpiece();
  json["added_tokens"] = 7;
  expect(json, ErrorKind::kBadFormat, "expected an array");
  json = wordpiece();
  json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "__"}};
  expect(json, ErrorKind::kBadFormat, "single character");
}

TEST(BadFile, IdsOfTheVocabulary) {
  Json json = wordpiece();
  json["model"]["vocab"]["a"] = -1;
  expect(json, ErrorKind::kBadFormat, "has the id -1");
  json = wordpiece();
  json["model"]["vocab"]["a"] = 2;
  expect(json, ErrorKind::kBadFormat, "belongs to both");
  for (const std::uint64_t huge : {std::uint64_t{2147483647}, std::uint64_t{2147483648},
                                   std::uint64_t{4294967296}, std::uint64_t{18446744073709551615u}}) {
    const std::uint64_t before = peak_memory_bytes();
    json["model"]["vocab"]["a"] = huge;
    expect(json, ErrorKind::kLimit, "but there are only 3 tokens");
    EXPECT_LT(peak_memory_bytes() - before, 64u << 20);
  }
  // A duplicate key: nlohmann::json cannot hold one, so it is written out.
  std::string text = wordpiece().dump();
  const std::string key = "\"a\":1";
  text.replace(text.find(key), key.size(), "\"a\":1,\"a\":3");
  EXPECT_EQ(error_of(text).kind(), ErrorKind::kBadFormat);
}

TEST(BadFile, HolesInTheVocabularyAreAllowed) {
  Json json = wordpiece();
  json["model"]["vocab"]["a"] = 1000;
  const Tokenizer tokenizer = Tokenizer::from_json(json.dump(), "t");
  EXPECT_EQ(tokenizer.vocabulary_size(), 1001u);
  EXPECT_EQ(tokenizer.token(500), "");
  EXPECT_EQ(tokenizer.encode("ab").ids, (std::vector<std::int32_t>{1000, 2}));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{1000, 500, 2}), "a ##b");
}

TEST(BadFile, UnknownTokenMustExist) {
  Json json = wordpiece();
  json["model"]["unk_token"] = "<unk>";
  expect(json, ErrorKind::kBadFormat, "'<unk>' is not in the vocabulary");
  // BPE needs it only when it meets a character that is not in the vocabulary.
  json = bpe();
  json["model"]["unk_token"] = "<unk>";
  const Tokenizer tokenizer = Tokenizer::from_json(json.dump(), "t.json");
  EXPECT_EQ(tokenizer.encode("ab").ids.size(), 1u);
  EXPECT_THROW(tokenizer.encode("abc"), Error);
}

TEST(BadFile, Merges) {
  Json json = bpe();
  json["model"]["merges"] = {"a c"};
  expect(json, ErrorKind::kBadFormat, "merge 1 needs the token 'c'");
  json["model"]["merges"] = {"b a"};
  expect(json, ErrorKind::kBadFormat, "merge 1 needs the token 'ba'");
  for (const char* bad : {"ab", "a b c", ""}) {
    json["model"]["merges"] = {bad};
    expect(json, ErrorKind::kBadFormat, "is not \"a b\"");
  }
  for (const Json& bad : {Json(3), Json::array({"a"}), Json::array({"a", "b", "c"}), Json::array({"a", 1})}) {
    json["model"]["merges"] = Json::array({bad});
    expect(json, ErrorKind::kBadFormat, "expected pairs of strings");
  }
  json["model"]["merges"] = Json::array({Json::array({"a", "b"})});
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").encode("ab").ids, (std::vector<std::int32_t>{2}));
  json["model"]["merges"] = {"#version: 0.2", "a b"};
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").encode("ab").ids, (std::vector<std::int32_t>{2}));
  json["model"]["continuing_subword_prefix"] = "####";
  expect(json, ErrorKind::kBadFormat, "lacks the continuing_subword_prefix");
}

TEST(BadFile, WhatIsNotSupportedIsNamed) {
  const std::pair<const char*, Json> cases[] = {
      {"/model", {{"type", "Unigram"}, {"vocab", Json::array()}}},
      {"/model", {{"vocab", Json::array({Json::array({"a", 0.5})})}}},
      {"/model", {{"type", "WordLevel"}, {"vocab", {{"a", 0}}}}},
      {"/model/dropout", 0.1},
      {"/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", ""}}},
      {"/normalizer", {{"type", "Nmt"}}},
      {"/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Precompiled"}}}}}},
      {"/normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", "(a|b)*"}}}, {"content", ""}}},
      {"/normalizer", {{"type", "Replace"}, {"pattern", {{"String", ""}}}, {"content", "x"}}},
      {"/pre_tokenizer", {{"type", "UnicodeScripts"}}},
      {"/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "\\w+|x"}}}, {"behavior", "Isolated"}}},
      {"/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"String", "x"}}}, {"behavior", "Sideways"}}},
      {"/post_processor", {{"type", "Unheard"}}},
      {"/post_processor",
       {{"type", "TemplateProcessing"}, {"single", Json::array()}, {"special_tokens", Json::object()}}},
      {"/decoder", {{"type", "CTC"}}},
      {"/version", "2.0"}};
  for (const auto& [place, value] : cases) {
    Json json = bpe();
    json[Json::json_pointer(place)] = value;
    const Error e = error_of(json.dump());
    EXPECT_EQ(e.kind(), ErrorKind::kUnsupported) << json << "\n" << e.what();
  }
  Json json = bpe();
  json["model"]["byte_fallback"] = true;
  json["model"]["end_of_word_suffix"] = "</w>";
  expect(json, ErrorKind::kUnsupported, "byte_fallback together with");
  json = bpe();
  json["model"] = {{"type", "Unigram"}, {"vocab", Json::array()}};
  expect(json, ErrorKind::kUnsupported, "Unigram (SentencePiece)");
}

TEST(BadFile, Templates) {
  const Json good = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {2, 1}}, {"tokens", {"x", "y"}}}}}}};
  Json json = bpe();
  json["post_processor"] = good;
  const Tokenizer tokenizer = Tokenizer::from_json(json.dump(), "t");
  EXPECT_EQ(tokenizer.encode("a").ids, (std::vector<std::int32_t>{2, 1, 0}));
  EXPECT_EQ(tokenizer.prefix_tokens(), 2u);
  EXPECT_EQ(tokenizer.suffix_tokens(), 0u);
  json["post_processor"]["special_tokens"] = Json::object();
  expect(json, ErrorKind::kBadFormat, "uses '<s>', which is not listed");
  json["post_processor"] = good;
  json["post_processor"]["special_tokens"]["<s>"]["ids"] = {-4};
  expect(json, ErrorKind::kBadFormat, "out of range");
  json["post_processor"] = good;
  json["post_processor"]["single"].push_back({{"Sequence", {{"id", "B"}, {"type_id", 0}}}});
  expect(json, ErrorKind::kUnsupported, "exactly once");
  json["post_processor"] = {{"type", "BertProcessing"}, {"sep", {"[SEP]"}}, {"cls", {"[CLS]", 1}}};
  expect(json, ErrorKind::kBadFormat, "a token and its id");
}

TEST(BadFile, AddedTokens) {
  Json json = bpe();
  json["added_tokens"] = {{{"id", -3}, {"content", "x"}}};
  expect(json, ErrorKind::kBadFormat, "negative");
  json["added_tokens"] = {{{"id", 3}, {"content", std::string(5000, 'x')}}};
  expect(json, ErrorKind::kLimit, "5000 bytes");
  json["added_tokens"] = {{{"id", 3}, {"content", "  "}, {"rstrip", true}}};
  expect(json, ErrorKind::kUnsupported, "rstrip");
  // As in the reference, the id that counts is the next free one, whatever the file says.
  json["added_tokens"] = {{{"id", 2000000000}, {"content", "x"}}, {{"id", 2}, {"content", ""}}};
  const Tokenizer tokenizer = Tokenizer::from_json(json.dump(), "t");
  EXPECT_EQ(tokenizer.id("x"), 3);
  EXPECT_EQ(tokenizer.vocabulary_size(), 4u);
}

TEST(BadFile, DeepNestingIsRefused) {
  std::string text = R"({"model": {}, "normalizer": )";
  for (int i = 0; i < 2000; ++i) text += R"({"type":"Sequence","normalizers":[)";
  const Error e = error_of(text);
  EXPECT_TRUE(e.kind() == ErrorKind::kLimit || e.kind() == ErrorKind::kBadFormat) << e.what();
}

TEST(BadFile, IdsOutOfRangeInCalls) {
  const Tokenizer tokenizer = Tokenizer::from_json(bpe().dump(), "t");
  for (const std::int32_t id : {-1, 3, 2147483647}) {
    try {
      tokenizer.decode(std::vector<std::int32_t>{0, id});
      FAIL() << "no error for " << id;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kUsage);
    }
    EXPECT_THROW(tokenizer.token(id), Error);
  }
  EXPECT_EQ(tokenizer.id("zzz"), std::nullopt);
}

}  // namespace
}  // namespace telos
