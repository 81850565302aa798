#include "io/json.h"

#include <gtest/gtest.h>

#include "support.h"

namespace telos {
namespace {

using test::expect_error;

std::string repeat(std::string_view text, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += text;
  return out;
}

void refused(std::string_view text, ErrorKind kind, std::initializer_list<std::string_view> words,
             JsonLimits limits = {}) {
  expect_error([&] { parse_json(text, "config.json", limits); }, kind, words);
}

TEST(Json, KeepsValuesAndOrder) {
  const auto json = parse_json(
      R"( {"z": [1, -2, 2.5, true, null, "a\u00e9\n"], "a": {"k": {}, "j": []}, "big": 18446744073709551615} )",
      "x");
  EXPECT_EQ(json.dump(),
            R"({"z":[1,-2,2.5,true,null,"aé\n"],"a":{"k":{},"j":[]},"big":18446744073709551615})");
  EXPECT_EQ(parse_json("3", "x").get<int>(), 3);
  EXPECT_EQ(parse_json("\"s\"", "x").get<std::string>(), "s");
  EXPECT_EQ(parse_json("\xEF\xBB\xBF{}", "x").dump(), "{}") << "a byte order mark is skipped";
}

// nlohmann's own builder is the oracle for texts that both accept.
TEST(Json, EqualsNlohmannsOwnTree) {
  for (const char* text :
       {"[]", "{}", "[[],[[]],{}]", R"({"a":1,"b":{"c":[1,2,{"d":null}]},"e":"\ud83d\ude00"})", "-0.0",
        "1e-400", "123456789012345678901234567890"}) {
    EXPECT_EQ(parse_json(text, "x"), nlohmann::ordered_json::parse(text)) << text;
  }
}

TEST(Json, RefusesWhatIsNotJson) {
  using K = ErrorKind;
  refused("", K::kBadFormat, {"config.json, byte", "not valid JSON"});
  refused("{", K::kBadFormat, {"not valid JSON"});
  refused("{} x", K::kBadFormat, {"byte 4", "not valid JSON"});
  refused("[1,]", K::kBadFormat, {"not valid JSON"});
  refused("{\"a\":nan}", K::kBadFormat, {"not valid JSON"});
  refused("{'a':1}", K::kBadFormat, {"not valid JSON"});
  refused("[01]", K::kBadFormat, {"not valid JSON"});
  refused("[1e999]", K::kBadFormat, {"not valid JSON"});
  refused("// c\n{}", K::kBadFormat, {"not valid JSON"});
  refused("[\"\xFF\"]", K::kBadFormat, {"UTF-8", "byte 3"});
  refused("[\"\xED\xA0\x80\"]", K::kBadFormat, {"UTF-8"});
  refused("[\"\\ud800\"]", K::kBadFormat, {"surrogate"});
  refused(std::string_view("[1]\0x", 5), K::kBadFormat, {"NUL byte", "byte 3"});
  refused(std::string_view("\0", 1), K::kBadFormat, {"NUL byte", "byte 0"});
  refused("\x1b[2J", K::kBadFormat, {"not valid JSON"});
}

TEST(Json, RefusesDuplicateKeysAtAnyDepth) {
  refused(R"({"a":1,"a":1})", ErrorKind::kBadFormat, {"\"a\" appears twice", "byte 13"});
  refused(R"({"x":[{"b":1,"c":2,"\u0062":3}]})", ErrorKind::kBadFormat, {"\"b\" appears twice"});
  refused("{\"\\u001b\":1,\"\\u001b\":2}", ErrorKind::kBadFormat, {"\"\\x1B\" appears twice"});
  EXPECT_NO_THROW(parse_json(R"({"a":{"a":{"a":1}},"b":{"a":1}})", "x")) << "equal keys of different objects";
}

TEST(Json, RefusesWhatExceedsTheLimits) {
  const std::string deep = repeat("[", 64) + repeat("]", 64);
  EXPECT_NO_THROW(parse_json(deep, "x"));
  refused("[" + deep + "]", ErrorKind::kLimit, {"more than 64 levels", "byte"});
  refused(repeat("{\"a\":", 1'000'000), ErrorKind::kLimit, {"more than 64 levels"});
  refused("[1,2,3]", ErrorKind::kLimit, {"7 bytes", "limit of 6"},
          {.max_bytes = 6, .max_depth = 1, .max_values = 10});
  EXPECT_NO_THROW(parse_json("[1,2,3]", "x", {.max_bytes = 7, .max_depth = 1, .max_values = 4}));
  refused("[1,2,3]", ErrorKind::kLimit, {"more than 3 values"},
          {.max_bytes = 7, .max_depth = 1, .max_values = 3});
}

// A vocabulary of a large model: an object of many keys must not take quadratic time.
TEST(Json, LargeObjectsAreFast) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) {
    if (i > 0) text += ',';
    text.append("\"token").append(std::to_string(i)).append("\":").append(std::to_string(i));
  }
  text += '}';
  const auto json = parse_json(text, "x");
  EXPECT_EQ(json.size(), 200'000u);
  EXPECT_EQ(json.dump().size(), text.size());
}

TEST(Json, LongInputIsNotEchoed) {
  const auto error = test::error_of([] { parse_json("[\"" + repeat("x", 1'000'000), "x"); });
  ASSERT_TRUE(error);
  EXPECT_LT(std::string(error->what()).size(), 400u);
}

}  // namespace
}  // namespace telos
