#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "telos/base/error.h"
#include "telos/bigram/instance.h"
#include "telos/io/files.h"
#include "tests/bigram/oracle.h"
#include "tests/io/support.h"
#include "tests/positional/complaint.h"

namespace telos::bigram {
namespace {

using telos::test::complaint;
using test::oracle;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

void expect_same_bits(const Instance& a, const Instance& b) {
  ASSERT_EQ(a.tokens(), b.tokens());
  EXPECT_EQ(a.length, b.length);
  EXPECT_EQ(a.mu, b.mu);
  EXPECT_EQ(a.names, b.names);
  for (std::size_t e = 0; e < a.p.size(); ++e) EXPECT_EQ(a.p.data()[e], b.p.data()[e]);
  for (std::size_t k = 0; k < a.tokens(); ++k) {
    EXPECT_EQ(a.q[k].positions, b.q[k].positions);
    EXPECT_EQ(a.q[k].weights, b.q[k].weights);
  }
}

TEST(InstanceFile, Text) {
  Instance instance = oracle();
  instance.names = {"a", "\"b\"", "\n"};
  EXPECT_EQ(instance_json(instance), R"({"format": "telos.bigram.instance", "version": 1,
"tokens": 3, "length": 4,
"p": [
[0.6, 0.3, 0.2],
[0.3, 0.5, 0.2],
[0.1, 0.2, 0.6]],
"q": [
{"positions": [0, 2], "weights": [0.75, 0.25]},
{"positions": [1, 3], "weights": [0.5, 0.5]},
{"positions": [2, 3], "weights": [0.4, 0.6]}],
"names": ["a","\"b\"","\n"]}
)");
}

TEST(InstanceFile, ReadsBackTheSameBits) {
  const telos::test::ScratchDirectory directory;
  const std::string path = directory / "task.json";
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Instance instance = generate({.tokens = 1 + 2 * seed,
                                  .length = 100 * seed,
                                  .sparsity = seed,
                                  .concentration = 0.5,
                                  .weights = WeightKind::kDirichlet,
                                  .seed = seed});
    if (seed % 2 == 0) instance.names.assign(instance.tokens(), "é");
    write_instance(instance, path);
    std::vector<std::string> notes;
    expect_same_bits(read_instance(path, &notes), instance);
    EXPECT_THAT(notes, ElementsAre());
  }
}

/// The oracle's file with one part replaced.
std::string refusal(const std::string& part, const std::string& instead) {
  std::string text = instance_json(oracle());
  const std::size_t at = text.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  text.replace(at, part.size(), instead);
  return complaint([&] { parse_instance(text, "t.json"); });
}

TEST(InstanceFile, Refusals) {
  EXPECT_EQ(refusal("telos.bigram.instance", "other"),
            "bad_format | t.json, field format | expected \"telos.bigram.instance\", found \"other\" | ");
  EXPECT_EQ(refusal("\"version\": 1", "\"version\": 2"),
            "bad_format | t.json, field version | expected 1, found 2 | ");
  EXPECT_EQ(refusal("\"tokens\": 3", "\"tokens\": 1000000000000"),
            "bad_format | t.json, field p | expected a list of 1000000000000 rows | ");
  EXPECT_EQ(refusal("\"tokens\": 3", "\"tokens\": -3"),
            "bad_format | t.json, field tokens | expected a whole number of at least 0, found -3 | ");
  EXPECT_EQ(refusal("[0.3, 0.5, 0.2]", "[0.3, 0.5]"),
            "bad_format | t.json, field p | row 1: expected a list of 3 numbers | ");
  EXPECT_EQ(refusal("[0.3, 0.5, 0.2]", "[0.3, null, 0.2]"),
            "bad_format | t.json, field p | row 1: expected numbers, found null | ");
  EXPECT_EQ(refusal("0.3, 0.5, 0.2", "0.3, 0.4, 0.2"),
            "bad_format | t.json, P, column 1 | sums to 0.9, expected 1 within 1e-06 | column j holds the "
            "probabilities "
            "of what follows token j");
  EXPECT_EQ(refusal("\"length\": 4", "\"length\": 3"),
            "bad_format | t.json, q, column 1 | has position 3, expected below the length 3 | positions "
            "count from 0");
  EXPECT_EQ(refusal("\"length\": 4,", ""), "bad_format | t.json, length | is 0, expected 1 to 4294967295 | ");
  EXPECT_EQ(refusal("{\"positions\": [0, 2], \"weights\": [0.75, 0.25]},", ""),
            "bad_format | t.json, field q | expected a list of 3 columns | ");
  EXPECT_EQ(refusal("[0, 2]", "[0, 4294967298]"),
            "bad_format | t.json, q, column 0, field positions | 4294967298 is not a position | ");
  EXPECT_EQ(refusal("[0.75, 0.25]", "[0.75, \"x\"]"),
            "bad_format | t.json, q, column 0, field weights | expected a number, found \"x\" | ");
  EXPECT_EQ(refusal("[0.75, 0.25]", "[0.75]"),
            "bad_format | t.json, q, column 0 | has 2 positions and 1 weights | ");
  EXPECT_EQ(refusal("\"weights\": [0.75", "\"weight\": [0.75"),
            "bad_format | t.json, q, column 0 | unknown field \"weight\" | did you mean \"weights\"? known: "
            "positions, weights");
  EXPECT_EQ(refusal("\"names\": []", "\"names\": [\"a\"]"),
            "bad_format | t.json, field names | expected a list of 3 texts | ");
  EXPECT_EQ(refusal("\"names\": []", "\"names\": [1, 2, 3]"),
            "bad_format | t.json, field names | expected texts, found 1 | ");
  EXPECT_EQ(refusal("\"names\": []", "\"extra\": 1"),
            "bad_format | t.json | unknown field \"extra\" | did you mean \"format\"? known: format, "
            "version, tokens, "
            "length, p, q, names");
  EXPECT_THAT(refusal("]}\n", ""), HasSubstr("bad_format | t.json"));
  EXPECT_THAT(complaint([] { parse_instance("[]", "t.json"); }), HasSubstr("expected an object"));
  EXPECT_THAT(complaint([] { read_instance("/nonexistent/t.json"); }), HasSubstr("missing_file"));
}

TEST(InstanceFile, WritesOnlyWhatItReads) {
  Instance instance = oracle();
  instance.p = Matrix<double>(5000, 5000);
  EXPECT_EQ(complaint([&] { instance_json(instance); }),
            "limit | instance | has 25000035 numbers, a file holds at most 20000000 | keep fewer tokens");
  Instance foreign = oracle();
  foreign.names = {"a", "\xff", "c"};
  EXPECT_EQ(parse_instance(instance_json(foreign), "t").names[1], "\uFFFD");
}

}  // namespace
}  // namespace telos::bigram
