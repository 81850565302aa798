// Single parts, where the goldens do not show them alone. Expected values were made with the reference
// library.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/text/tokenizer.h"
#include "text/pattern.h"
#include "text/trie.h"
#include "text/vocabulary.h"

namespace telos {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;
using Texts = std::vector<std::string>;

Texts pieces(const text::Pattern& pattern, std::string_view of) {
  std::vector<text::Stretch> stretches;
  pattern.cover(of, stretches);
  Texts out;
  std::uint32_t at = 0;
  for (const auto& s : stretches) {
    EXPECT_EQ(s.begin, at);
    at = s.end;
    std::string piece(s.match ? "" : "!");
    out.push_back(piece.append(of.substr(s.begin, s.end - s.begin)));
  }
  EXPECT_EQ(at, of.size());
  return out;
}

Texts regex_pieces(const std::string& regex, std::string_view of) {
  return pieces(*text::regex_pattern(regex, "t"), of);
}

TEST(Pattern, Gpt2SpellingsAgree) {
  const Texts expected = {"a", "'s", " b", "'re", " ", " 12", "x", "..", "\n", "\t", "y", "'", "S", "  "};
  for (const char* regex :
       {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
        R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
        R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)"})
    EXPECT_EQ(regex_pieces(regex, "a's b're  12x..\n\ty'S  "), expected) << regex;
}

const std::string kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

TEST(Pattern, Llama3AndQwen2) {
  EXPECT_EQ(regex_pieces(kLlama3, "a'LL 12345 .x!\r\n\n  \n  y\t "),
            (Texts{"a", "'LL", " ", "123", "45", " .", "x", "!\r\n\n", "  \n", " ", " y", "\t "}));
  EXPECT_EQ(
      regex_pieces(
          R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
          "a'LL 12345"),
      (Texts{"a", "'LL", " ", "123", "45"}));
  std::string qwen2 = kLlama3;
  qwen2.erase(qwen2.find("{1,3}"), 5);
  EXPECT_EQ(regex_pieces(qwen2, "x123 'ſ"), (Texts{"x", "1", "2", "3", " '", "ſ"}));
  EXPECT_EQ(regex_pieces(qwen2, "x'ſt"), (Texts{"x", "'ſ", "t"}));
}

TEST(Pattern, ShortExpressions) {
  EXPECT_EQ(regex_pieces(" {2,}", "a b  c   d"), (Texts{"!a b", "  ", "!c", "   ", "!d"}));
  EXPECT_EQ(regex_pieces(R"(\s+)", "a \n\u3000b"), (Texts{"!a", " \n\u3000", "!b"}));
  EXPECT_EQ(regex_pieces(R"(\p{N}{1,3})", "12345a6"), (Texts{"123", "45", "!a", "6"}));
  EXPECT_EQ(regex_pieces("[0-9][0-9][0-9]", "12345678"), (Texts{"123", "456", "!78"}));
  EXPECT_EQ(regex_pieces(R"([^\s.]+)", "ab. cd"), (Texts{"ab", "!. ", "cd"}));
  EXPECT_EQ(regex_pieces(R"(\.)", "a.b"), (Texts{"!a", ".", "!b"}));
  EXPECT_EQ(regex_pieces("[a-c-]+", "xab-c"), (Texts{"!x", "ab-c"}));
  EXPECT_EQ(regex_pieces(R"([\p{L}\p{M}]{2})", "ae\u0301b1"), (Texts{"ae", "\u0301b", "!1"}));
}

TEST(Pattern, AnythingElseIsRefused) {
  for (const char* regex : {"",        "(a)",      "a|b",    "a*",     "a?",          "a+b",   "a++", "a+?",
                            "^a",      "a$",       "[a",     "[]",     "[[:alpha:]]", "\\w+",  "\\d", "\\b",
                            "a{0,2}",  "a{3,2}",   "a{2",    "a{x}",   "[a-\\s]",     "[z-a]", "\\",  ".",
                            "a{9999}", "\\p{Han}", "[a&&b]", "(?i:a)", "a{60}b{60}"}) {
    try {
      text::regex_pattern(regex, "t.json, pre_tokenizer");
      FAIL() << "no error for " << regex;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
      EXPECT_NE(e.message().find("'" + printable(regex) + "'"), std::string::npos) << e.message();
    }
  }
}

TEST(Trie, FindsTheLongest) {
  text::Trie trie;
  EXPECT_TRUE(trie.empty());
  trie.add("a", 1);
  trie.add("abc", 2);
  trie.add("b", 3);
  trie.add("", 4);
  trie.add("a", 9);
  EXPECT_EQ(trie.longest("abd").bytes, 1u);
  EXPECT_EQ(trie.longest("abd").value, 1);
  EXPECT_EQ(trie.longest("abcd").value, 2);
  EXPECT_EQ(trie.longest("xa").bytes, 0u);
  EXPECT_EQ(trie.longest("").bytes, 0u);
  EXPECT_TRUE(trie.starts('b'));
  EXPECT_FALSE(trie.starts('c'));
}

TEST(Vocabulary, HoldsManyTokens) {
  text::Vocabulary vocabulary(20000, "t");
  for (int i = 0; i < 20000; ++i) vocabulary.add(std::to_string(i) + "th", i);
  for (int i = 0; i < 20000; ++i) {
    ASSERT_EQ(vocabulary.id(std::to_string(i) + "th"), i);
    ASSERT_EQ(vocabulary.token(i), std::to_string(i) + "th");
  }
  EXPECT_EQ(vocabulary.id("th"), std::nullopt);
  EXPECT_EQ(vocabulary.max_id(), 19999);
  EXPECT_THROW(vocabulary.add("5th", 20000), Error);
}

/// A BPE tokenizer of single characters with these parts.
Json characters(const std::string& alphabet) {
  Json json = {{"model", {{"type", "BPE"}, {"vocab", Json::object()}, {"merges", Json::array()}}}};
  int id = 0;
  for (const char c : alphabet) json["model"]["vocab"][std::string(1, c)] = id++;
  return json;
}

TEST(Model, WithoutAnUnknownTokenCharactersAreDropped) {
  const Tokenizer t = Tokenizer::from_json(characters("ab").dump(), "t");
  EXPECT_EQ(t.encode("axb").ids, (Ids{0, 1}));
}

TEST(Model, MergesThatMakeOneTokenTwice) {
  // "ab"+"c" and "a"+"bc" both make "abc": the queue's order decides, as in the reference.
  Json json = characters("abc");
  json["model"]["vocab"].update({{"ab", 3}, {"bc", 4}, {"abc", 5}});
  json["model"]["merges"] = {"b c", "ab c", "a b", "a bc"};
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").encode("abcab").ids, (Ids{5, 3}));
}

TEST(AddedTokens, LogsWhenTheFilesIdIsNotUsed) {
  std::string logged;
  set_log_sink([&](LogLevel, std::string_view message) { logged += message; });
  Json json = characters("ab");
  json["added_tokens"] = {{{"id", 77}, {"content", "<x>"}, {"special", true}}};
  const Tokenizer t = Tokenizer::from_json(json.dump(), "t.json");
  set_log_sink(nullptr);
  EXPECT_NE(logged.find("'<x>' gets the id 2, not 77"), std::string::npos) << logged;
  EXPECT_EQ(t.encode("a<x>b").ids, (Ids{0, 2, 1}));
  EXPECT_EQ(t.decode(Ids{0, 2, 1}, true), "a b");
}

TEST(Decoder, WithoutOneTokensAreJoinedBySpaces) {
  const Tokenizer t = Tokenizer::from_json(characters("ab").dump(), "t");
  EXPECT_EQ(t.decode(Ids{0, 1, 0}), "a b a");
  EXPECT_EQ(t.decode(Ids{}), "");
}

TEST(Decoder, StripOnBothSidesAndCleanup) {
  Json json = characters("ab _");
  json["decoder"] = {
      {"type", "Sequence"},
      {"decoders", {{{"type", "Fuse"}}, {{"type", "Strip"}, {"content", "_"}, {"start", 2}, {"stop", 1}}}}};
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").decode(Ids{3, 3, 3, 0, 3, 3}), "_a_");
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").decode(Ids{3}), "");
  json = characters("ab.");
  json["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").decode(Ids{0, 1, 2}), "a b.");
  json["decoder"]["cleanup"] = false;
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "t").decode(Ids{0, 1, 2}), "a b .");
}

TEST(Decoder, ByteFallbackShowsBrokenSequences) {
  Json json = characters("a");
  json["model"]["vocab"].update({{"<0xC3>", 1}, {"<0xA9>", 2}, {"<0xZZ>", 3}});
  json["decoder"] = {{"type", "ByteFallback"}};
  const Tokenizer t = Tokenizer::from_json(json.dump(), "t");
  EXPECT_EQ(t.decode(Ids{1, 2, 0, 1, 0, 3}), "\u00e9a\uFFFDa<0xZZ>");
  EXPECT_EQ(t.decode(Ids{2, 1}), "\uFFFD\uFFFD");
}

TEST(PreTokenizer, MetaspaceSchemes) {
  Json json = {{"model", {{"type", "BPE"}, {"vocab", {{"_", 0}, {"a", 1}}}, {"merges", Json::array()}}},
               {"added_tokens", {{{"id", 2}, {"content", "<x>"}, {"normalized", false}}}}};
  const auto ids = [&](const Json& extra) {
    json["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "_"}};
    json["pre_tokenizer"].update(extra);
    return Tokenizer::from_json(json.dump(), "t").encode("a a<x>a").ids;
  };
  EXPECT_EQ(ids(Json::object()), (Ids{0, 1, 0, 1, 2, 0, 1}));
  EXPECT_EQ(ids({{"prepend_scheme", "first"}}), (Ids{0, 1, 0, 1, 2, 1}));
  EXPECT_EQ(ids({{"prepend_scheme", "never"}}), (Ids{1, 0, 1, 2, 1}));
  EXPECT_EQ(ids({{"add_prefix_space", true}, {"str_rep", "_"}}), (Ids{0, 1, 0, 1, 2, 0, 1}));
  EXPECT_THROW(ids({{"add_prefix_space", false}, {"prepend_scheme", "always"}}), Error);
}

TEST(Normalizer, ByteLevelAsNormaliser) {
  Json json = {{"model",
                {{"type", "BPE"},
                 {"vocab", {{"\u00c3", 0}, {"\u00a9", 1}, {"\u0120", 2}}},
                 {"merges", Json::array()}}},
               {"normalizer", {{"type", "ByteLevel"}}},
               {"decoder", {{"type", "ByteLevel"}}}};
  const Tokenizer t = Tokenizer::from_json(json.dump(), "t");
  const Encoding e = t.encode("\u00e9 ");
  EXPECT_EQ(e.ids, (Ids{0, 1, 2}));
  EXPECT_EQ(e.offsets[1].begin, 0u);
  EXPECT_EQ(e.offsets[1].end, 2u);
  EXPECT_EQ(t.decode(e.ids), "\u00e9 ");
  EXPECT_EQ(t.kind(), "byte-level BPE");
}

TEST(Normalizer, StripOneSide) {
  for (const bool left : {false, true}) {
    Json json = characters(" a");
    json["normalizer"] = {{"type", "Strip"}, {"strip_left", left}, {"strip_right", !left}};
    const Encoding e = Tokenizer::from_json(json.dump(), "t").encode(" a ");
    EXPECT_EQ(e.ids, left ? (Ids{1, 0}) : (Ids{0, 1}));
    EXPECT_EQ(e.offsets[0].begin, left ? 1u : 0u);
  }
}

}  // namespace
}  // namespace telos
