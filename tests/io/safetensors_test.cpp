// Each rule of the format, broken once: the parser of headers.
#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support.h"

namespace telos {
namespace {

using test::expect_error;
using test::length_bytes;
using test::safetensors_file;

/// What opening a file of these bytes comes to, without a file.
SafetensorsHeader parse(const std::string& bytes, bool partial = false) {
  const std::uint64_t length =
      safetensors_header_bytes(std::string_view(bytes).substr(0, 64), bytes.size(), "m.safetensors");
  return parse_safetensors_header(std::string_view(bytes).substr(8, length), bytes.size(), "m.safetensors",
                                  partial);
}

/// Operator + on literals makes g++ 12 warn of overlapping copies that there are not (its bug 105651).
std::string cat(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) out += part;
  return out;
}

std::string tensor(std::string_view dtype, std::string_view shape, std::string_view offsets,
                   std::string_view name = "w") {
  return cat(
      {"\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":", shape, ",\"data_offsets\":", offsets, "}"});
}

/// {a,b,…}
std::string object(std::initializer_list<std::string_view> members) {
  std::string out = "{";
  for (const std::string_view member : members) {
    if (out.size() > 1) out += ',';
    out += member;
  }
  return out += '}';
}

std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return object({tensor(dtype, shape, offsets)});
}

struct Abuse {
  const char* name;
  std::string bytes;
  ErrorKind kind;
  std::vector<std::string> words;
};

void PrintTo(const Abuse& abuse, std::ostream* out) {
  *out << abuse.name;
}

std::string repeat(std::string_view text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

std::vector<Abuse> abuses() {
  using K = ErrorKind;
  const std::string eight(8, '\0'), four(4, '\0'), m = "m.safetensors";
  std::vector<Abuse> out{
      // The file's outer form.
      {"empty", "", K::kBadFormat, {"the file is empty", "fetch it again"}},
      {"seven_bytes", std::string(7, '\1'), K::kTruncated, {"8 bytes", "holds 7 bytes"}},
      {"only_length", length_bytes(2), K::kTruncated, {"takes 2 bytes", "holds 0"}},
      {"header_length_zero", length_bytes(0), K::kBadFormat, {"header is empty"}},
      {"header_longer_than_file", length_bytes(1000) + "{}", K::kTruncated, {"takes 1,000 bytes", "holds 2"}},
      {"header_length_2_63",
       length_bytes(std::uint64_t{1} << 63) + "{}",
       K::kLimit,
       {"9,223,372,036,854,775,808", "100,000,000"}},
      {"header_length_wraps", length_bytes(~std::uint64_t{0} - 7) + "{}", K::kLimit, {"above the limit"}},
      {"header_length_max", length_bytes(~std::uint64_t{0}) + "{}", K::kLimit, {"above the limit"}},
      {"header_over_limit", length_bytes(100'000'001) + "{}", K::kLimit, {"100,000,001", "100,000,000"}},
      {"header_not_brace", safetensors_file(" {}"), K::kBadFormat, {"'{' as first byte", "byte 8"}},
      {"header_is_array", safetensors_file("[]"), K::kBadFormat, {"'{' as first byte"}},
      {"text_file", "hello, this is a text", K::kBadFormat, {"not a safetensors file"}},
      {"trailing_data",
       safetensors_file(one("F32", "[1]", "[0,4]"), four + "xyz"),
       K::kBadFormat,
       {"declares 4 bytes", "holds 7", "3 bytes belong to no tensor"}},
      {"data_without_tensors", safetensors_file("{}", "x"), K::kBadFormat, {"1 bytes belong to no tensor"}},
      // JSON.
      {"json_cut", safetensors_file("{\"w\":"), K::kBadFormat, {"not valid JSON", "byte"}},
      {"json_trailing", safetensors_file("{} {}"), K::kBadFormat, {"not valid JSON"}},
      {"json_nul_hides_tail",
       safetensors_file(std::string("{}\0garbage", 10)),
       K::kBadFormat,
       {"NUL byte", "byte 10"}},
      {"json_comment", safetensors_file("{/*x*/}"), K::kBadFormat, {"not valid JSON"}},
      {"json_control_in_string",
       safetensors_file("{\"a\nb\":1}"),
       K::kBadFormat,
       {"not valid JSON", "control character"}},
      {"utf8_in_name", safetensors_file("{\"\xFF\xFE\":1}"), K::kBadFormat, {"UTF-8", "byte 11"}},
      {"utf8_overlong", safetensors_file("{\"\xC0\xAF\":1}"), K::kBadFormat, {"UTF-8"}},
      {"utf8_outside_string", safetensors_file("{\xE2\x82\xAC:1}"), K::kBadFormat, {"not valid JSON"}},
      {"lone_surrogate", safetensors_file("{\"\\uD800\":1}"), K::kBadFormat, {"surrogate"}},
      {"deep_nesting",
       safetensors_file(cat({"{\"w\":", repeat("[", 100000)})),
       K::kBadFormat,
       {"expected an object", "found an array"}},
      {"deep_objects", safetensors_file(repeat("{\"shape\":", 100000)), K::kBadFormat, {"found an object"}},
      {"number_overflows_double",
       safetensors_file("{\"w\":{\"shape\":[1e999]}}"),
       K::kBadFormat,
       {"not valid JSON"}},
      // Keys.
      {"duplicate_tensor",
       safetensors_file(object({tensor("F32", "[1]", "[0,4]"), tensor("F32", "[1]", "[4,8]")}), eight),
       K::kBadFormat,
       {"\"w\" appears twice"}},
      {"duplicate_by_escape",
       safetensors_file(object({tensor("F32", "[1]", "[0,4]"), tensor("F32", "[1]", "[4,8]", "\\u0077")}),
                        eight),
       K::kBadFormat,
       {"\"w\" appears twice"}},
      {"duplicate_field",
       safetensors_file("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                        four),
       K::kBadFormat,
       {"\"dtype\" appears twice", "tensor \"w\""}},
      {"unknown_field",
       safetensors_file("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":{}}}", four),
       K::kUnsupported,
       {"unknown field \"x\""}},
      {"dtype_missing",
       safetensors_file("{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", four),
       K::kBadFormat,
       {"dtype is missing"}},
      {"shape_missing",
       safetensors_file("{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", four),
       K::kBadFormat,
       {"shape is missing"}},
      {"offsets_missing",
       safetensors_file("{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", four),
       K::kBadFormat,
       {"data_offsets is missing"}},
      {"empty_tensor_object", safetensors_file("{\"w\":{}}"), K::kBadFormat, {"dtype is missing"}},
      {"tensor_is_number",
       safetensors_file("{\"w\":3}"),
       K::kBadFormat,
       {"expected an object for tensor \"w\"", "found the number 3"}},
      {"tensor_is_null", safetensors_file("{\"w\":null}"), K::kBadFormat, {"found null"}},
      {"tensor_is_string", safetensors_file("{\"w\":\"F32\"}"), K::kBadFormat, {"found the string \"F32\""}},
      {"tensor_is_true", safetensors_file("{\"w\":true}"), K::kBadFormat, {"found a boolean"}},
      // __metadata__.
      {"metadata_number",
       safetensors_file("{\"__metadata__\":{\"epoch\":3}}"),
       K::kBadFormat,
       {"expected a string as metadata \"epoch\"", "found the number 3"}},
      {"metadata_null",
       safetensors_file("{\"__metadata__\":null}"),
       K::kBadFormat,
       {"object of strings", "found null"}},
      {"metadata_nested",
       safetensors_file("{\"__metadata__\":{\"a\":{}}}"),
       K::kBadFormat,
       {"found an object"}},
      {"metadata_array", safetensors_file("{\"__metadata__\":[]}"), K::kBadFormat, {"found an array"}},
      {"metadata_twice",
       safetensors_file("{\"__metadata__\":{},\"__metadata__\":{}}"),
       K::kBadFormat,
       {"\"__metadata__\" appears twice"}},
      {"metadata_key_twice",
       safetensors_file("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"),
       K::kBadFormat,
       {"\"a\" appears twice"}},
      // Types and numbers.
      {"dtype_unknown",
       safetensors_file(one("F128", "[1]", "[0,16]"), eight + eight),
       K::kUnsupported,
       {"unknown dtype \"F128\""}},
      {"dtype_lower_case",
       safetensors_file(one("f32", "[1]", "[0,4]"), four),
       K::kUnsupported,
       {"unknown dtype \"f32\""}},
      {"dtype_number",
       safetensors_file("{\"w\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,4]}}", four),
       K::kBadFormat,
       {"expected a string as dtype"}},
      {"shape_string",
       safetensors_file("{\"w\":{\"dtype\":\"F32\",\"shape\":\"1\",\"data_offsets\":[0,4]}}", four),
       K::kBadFormat,
       {"expected an array as shape"}},
      {"shape_negative",
       safetensors_file(one("F32", "[-1]", "[0,4]"), four),
       K::kBadFormat,
       {"found the negative number -1", "in shape"}},
      {"shape_fraction",
       safetensors_file(one("F32", "[1.0]", "[0,4]"), four),
       K::kBadFormat,
       {"found the number 1.0"}},
      {"shape_exponent",
       safetensors_file(one("F32", "[1e0]", "[0,4]"), four),
       K::kBadFormat,
       {"found the number 1e0"}},
      {"shape_2_64",
       safetensors_file(one("F32", "[18446744073709551616]", "[0,4]"), four),
       K::kBadFormat,
       {"below 2^64", "18446744073709551616"}},
      {"shape_nested",
       safetensors_file(one("F32", "[[1]]", "[0,4]"), four),
       K::kBadFormat,
       {"found an array"}},
      {"shape_bool",
       safetensors_file(one("F32", "[true]", "[0,4]"), four),
       K::kBadFormat,
       {"found a boolean"}},
      {"too_many_dimensions",
       safetensors_file(one("F32", cat({"[", repeat("1,", 64), "1]"}), "[0,4]"), four),
       K::kLimit,
       {"more than 64 dimensions"}},
      {"offsets_negative",
       safetensors_file(one("F32", "[1]", "[-4,0]"), four),
       K::kBadFormat,
       {"in data_offsets"}},
      {"offsets_fraction",
       safetensors_file(one("F32", "[1]", "[0,4.5]"), four),
       K::kBadFormat,
       {"found the number 4.5"}},
      {"offsets_one",
       safetensors_file(one("F32", "[1]", "[0]"), four),
       K::kBadFormat,
       {"1 numbers; expected two"}},
      {"offsets_three",
       safetensors_file(one("F32", "[1]", "[0,4,8]"), four),
       K::kBadFormat,
       {"more than two"}},
      {"offsets_object", safetensors_file(one("F32", "[1]", "{}"), four), K::kBadFormat, {"found an object"}},
      // Sizes.
      {"shape_larger_than_offsets",
       safetensors_file(one("F32", "[1000,1000]", "[0,4]"), four),
       K::kBadFormat,
       {"[1000, 1000] of F32 takes 4,000,000 bytes", "hold 4", "tensor \"w\""}},
      {"shape_smaller_than_offsets",
       safetensors_file(one("F32", "[1]", "[0,8]"), eight),
       K::kBadFormat,
       {"takes 4 bytes", "hold 8"}},
      {"product_overflows",
       safetensors_file(one("F32", "[4294967296,4294967296]", "[0,0]")),
       K::kBadFormat,
       {"overflows 64 bits"}},
      {"rows_2_42_wrap",
       safetensors_file(one("F32", "[4398046511104,4194304]", "[0,0]")),
       K::kBadFormat,
       {"overflows 64 bits"}},
      {"bits_overflow",
       safetensors_file(one("F64", "[576460752303423488]", "[0,0]")),
       K::kBadFormat,
       {"overflows 64 bits"}},
      {"overflow_before_zero",
       safetensors_file(one("F32", "[4294967296,4294967296,0]", "[0,0]")),
       K::kBadFormat,
       {"overflows 64 bits"}},
      {"f4_odd",
       safetensors_file(one("F4", "[3]", "[0,1]"), "x"),
       K::kBadFormat,
       {"3 elements of 4 bits", "whole bytes"}},
      {"f6_odd",
       safetensors_file(one("F6_E2M3", "[2]", "[0,1]"), "x"),
       K::kBadFormat,
       {"2 elements of 6 bits"}},
      // Layout.
      {"end_before_begin",
       safetensors_file(one("F32", "[1]", "[4,0]"), four),
       K::kBadFormat,
       {"[4, 0] end before they begin"}},
      {"hole_at_start",
       safetensors_file(one("F32", "[1]", "[4,8]"), eight),
       K::kBadFormat,
       {"a hole", "begin at 4, expected 0", "start of the data"}},
      {"hole_between",
       safetensors_file(object({tensor("F32", "[1]", "[0,4]", "a"), tensor("F32", "[1]", "[8,12]", "b")}),
                        eight + four),
       K::kBadFormat,
       {"a hole", "begin at 8, expected 4", "end of \"a\"", "tensor \"b\""}},
      {"overlap",
       safetensors_file(object({tensor("F32", "[2]", "[0,8]", "a"), tensor("F32", "[2]", "[4,12]", "b")}),
                        eight + four),
       K::kBadFormat,
       {"overlap", "begin at 4, expected 8"}},
      {"same_bytes_twice",
       safetensors_file(object({tensor("F32", "[1]", "[0,4]", "a"), tensor("F32", "[1]", "[0,4]", "b")}),
                        four),
       K::kBadFormat,
       {"overlap"}},
      {"offset_beyond_file",
       safetensors_file(one("F32", "[1]", "[1000000,1000004]"), four),
       K::kBadFormat,
       {"a hole", "1000000"}},
      {"end_beyond_file",
       safetensors_file(one("F32", "[1024]", "[0,4096]"), four),
       K::kTruncated,
       {"cut short", "declares 4,096 bytes of tensors, the file holds 4 (0 %)",
        "first tensor that is missing: w", "--partial"}},
      {"end_near_2_64",
       safetensors_file(one("U8", "[18446744073709551615]", "[0,18446744073709551615]")),
       K::kBadFormat,
       {"overflow"}},
      {"end_near_2_61",
       safetensors_file(one("U8", "[2305843009213693951]", "[0,2305843009213693951]")),
       K::kTruncated,
       {"2,305,843,009,213,693,951"}},
      {"sum_overflows_64",
       safetensors_file(object({tensor("U8", "[2305843009213693951]", "[0,2305843009213693951]", "a"),
                                tensor("U8", "[0]", "[18446744073709551615,18446744073709551615]", "b")})),
       K::kBadFormat,
       {"a hole"}},
      // Names that want to write on the terminal.
      {"terminal_escape",
       safetensors_file("{\"\\u001b[2J\\u009b31m\\\"\":{\"dtype\":\"?\"}}"),
       K::kUnsupported,
       {"\\x1B[2J", "\\x22"}},
      {"terminal_escape_dtype",
       safetensors_file("{\"w\":{\"dtype\":\"\\u001b]0;x\\u0007\"}}"),
       K::kUnsupported,
       {"\\x1B]0;x\\x07"}},
  };
  return out;
}

// Tensors that follow each other without a hole, whose last end fits 64 bits, but not after the header.
TEST(Safetensors, APlaceThatOverflowsIsRefused) {
  constexpr std::uint64_t kEach = (std::uint64_t{1} << 61) - 1;
  std::string header = "{";
  for (std::uint64_t i = 0; i < 8; ++i) {
    const std::string offsets =
        cat({"[", std::to_string(i * kEach), ",", std::to_string((i + 1) * kEach), "]"});
    header += tensor("U8", cat({"[", std::to_string(kEach), "]"}), offsets, std::to_string(i));
    header += i < 7 ? ',' : '}';
  }
  for (const bool partial : {false, true})
    expect_error([&] { parse(safetensors_file(header), partial); }, ErrorKind::kBadFormat,
                 {"place in the file overflows 64 bits", "tensor \"7\""});
}

TEST(Safetensors, TheParserAloneWantsABraceToo) {
  for (const char* json : {"", " {}", "[]"})
    expect_error([&] { parse_safetensors_header(json, 100, "m.safetensors"); }, ErrorKind::kBadFormat,
                 {"'{' as first byte"});
}

class SafetensorsAbuse : public testing::TestWithParam<Abuse> {};

TEST_P(SafetensorsAbuse, IsRefusedByName) {
  const Abuse& abuse = GetParam();
  for (const bool partial : {false, true}) {
    if (partial && abuse.kind == ErrorKind::kTruncated) continue;  // its own tests below
    const auto error = test::error_of([&] { parse(abuse.bytes, partial); });
    ASSERT_TRUE(error.has_value());
    expect_error([&] { parse(abuse.bytes, partial); }, abuse.kind, {"m.safetensors"});
    for (const std::string& word : abuse.words)
      expect_error([&] { parse(abuse.bytes, partial); }, abuse.kind, {word});
  }
}

INSTANTIATE_TEST_SUITE_P(Safetensors, SafetensorsAbuse, testing::ValuesIn(abuses()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Safetensors, LegalOddities) {
  EXPECT_TRUE(parse(safetensors_file("{}")).tensors.empty());
  EXPECT_TRUE(parse(safetensors_file("{}      ")).tensors.empty()) << "trailing spaces are legal";
  EXPECT_TRUE(parse(safetensors_file("{\"__metadata__\":{}}")).metadata.empty());
  const auto scalar = parse(safetensors_file(one("F64", "[]", "[0,8]"), std::string(8, '\0')));
  EXPECT_TRUE(scalar.tensors.at(0).shape.empty());
  EXPECT_EQ(scalar.tensors[0].elements(), 1u);
  EXPECT_EQ(scalar.tensors[0].shape_text(), "[]");
  const auto empty = parse(safetensors_file(one("F32", "[0,18446744073709551615]", "[0,0]")));
  EXPECT_EQ(empty.tensors.at(0).elements(), 0u);
  const auto six = parse(safetensors_file(one("F6_E3M2", "[4]", "[0,3]"), "abc"));
  EXPECT_EQ(six.tensors.at(0).bytes, 3u);
  const auto unnamed = parse(safetensors_file(object({tensor("U8", "[1]", "[0,1]", "")}), "x"));
  EXPECT_EQ(unnamed.tensors.at(0).name, "");
}

TEST(Safetensors, TensorsAreSortedByNameWhateverTheirOrderInTheFile) {
  const auto header = parse(safetensors_file(
      object({tensor("U8", "[3]", "[2,5]", "a"), tensor("U8", "[0]", "[2,2]", "c"),
              tensor("U8", "[2]", "[0,2]", "b"), "\"__metadata__\":{\"z\":\"1\",\"format\":\"pt\"}"}),
      "12345"));
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[1].name, "b");
  EXPECT_EQ(header.tensors[2].name, "c");
  EXPECT_EQ(header.tensors[0].offset - header.tensors[1].offset, 2u);
  const std::vector<std::pair<std::string, std::string>> metadata{{"format", "pt"}, {"z", "1"}};
  EXPECT_EQ(header.metadata, metadata);
}

TEST(Safetensors, DTypesAreSpelledAsTheFormatSpellsThem) {
  const struct {
    DType type;
    const char* name;
    unsigned bits;
  } rows[] = {{DType::kBool, "BOOL", 8},
              {DType::kU8, "U8", 8},
              {DType::kI8, "I8", 8},
              {DType::kF8E5M2, "F8_E5M2", 8},
              {DType::kF8E4M3, "F8_E4M3", 8},
              {DType::kF8E8M0, "F8_E8M0", 8},
              {DType::kF8E4M3Fnuz, "F8_E4M3FNUZ", 8},
              {DType::kF8E5M2Fnuz, "F8_E5M2FNUZ", 8},
              {DType::kF4, "F4", 4},
              {DType::kF6E2M3, "F6_E2M3", 6},
              {DType::kF6E3M2, "F6_E3M2", 6},
              {DType::kI16, "I16", 16},
              {DType::kU16, "U16", 16},
              {DType::kF16, "F16", 16},
              {DType::kBF16, "BF16", 16},
              {DType::kI32, "I32", 32},
              {DType::kU32, "U32", 32},
              {DType::kF32, "F32", 32},
              {DType::kC64, "C64", 64},
              {DType::kF64, "F64", 64},
              {DType::kI64, "I64", 64},
              {DType::kU64, "U64", 64}};
  EXPECT_EQ(std::size(rows), static_cast<std::size_t>(DType::kU64) + 1);
  for (const auto& row : rows) {
    EXPECT_EQ(to_string(row.type), row.name);
    EXPECT_EQ(bits(row.type), row.bits) << row.name;
    const std::string size = std::to_string(row.bits);  // 8 elements of b bits are b bytes
    const auto header =
        parse(safetensors_file(one(row.name, "[8]", cat({"[0,", size, "]"})), std::string(row.bits, 'x')));
    EXPECT_EQ(header.tensors.at(0).dtype, row.type);
  }
}

std::string three_tensors() {
  return safetensors_file(
      object({"\"__metadata__\":{\"k\":\"v\"}", tensor("F32", "[2,2]", "[0,16]", "a"),
              tensor("BF16", "[2]", "[16,20]", "b"), tensor("F64", "[1]", "[20,28]", "c")}),
      std::string(28, '\x11'));
}

TEST(Safetensors, EveryTruncationIsNamed) {
  const std::string whole = three_tensors();
  EXPECT_EQ(parse(whole).tensors.size(), 3u);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto error = test::error_of([&] { parse(whole.substr(0, n)); });
    ASSERT_TRUE(error.has_value()) << n;
    EXPECT_EQ(to_string(error->kind()), to_string(n == 0 ? ErrorKind::kBadFormat : ErrorKind::kTruncated))
        << n << ": " << error->what();
  }
}

TEST(Safetensors, PartialMarksTensorsThatAreCut) {
  const std::string whole = three_tensors();
  const std::size_t data = whole.size() - 28;
  for (std::size_t n = data; n < whole.size(); ++n) {
    const auto header = parse(whole.substr(0, n), true);
    EXPECT_EQ(header.tensors[0].complete, n >= data + 16) << n;
    EXPECT_EQ(header.tensors[1].complete, n >= data + 20) << n;
    EXPECT_FALSE(header.tensors[2].complete) << n;
    ASSERT_EQ(header.problems.size(), 1u);
    EXPECT_NE(header.problems[0].find(n < data + 16   ? "missing: a"
                                      : n < data + 20 ? "missing: b"
                                                      : "missing: c"),
              std::string::npos);
  }
  for (std::size_t n = 0; n < data; ++n)
    EXPECT_TRUE(test::error_of([&] { parse(whole.substr(0, n), true); })) << "a header must be whole";
}

// A flipped bit gives an error of telos or a header whose every tensor lies inside the file.
TEST(Safetensors, EveryBitFlipOfTheHeaderIsHandled) {
  const std::string whole = three_tensors();
  std::size_t refused = 0, accepted = 0;
  for (std::size_t byte = 0; byte < whole.size() - 28; ++byte)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = whole;
      bytes[byte] = static_cast<char>(bytes[byte] ^ (1 << bit));
      try {
        for (const TensorInfo& t : parse(bytes).tensors) {
          ASSERT_LE(t.offset, bytes.size());
          ASSERT_LE(t.bytes, bytes.size() - t.offset);
          ASSERT_EQ(t.elements() * bits(t.dtype), t.bytes * 8);
        }
        ++accepted;
      } catch (const Error& error) {
        ASSERT_NE(to_string(error.kind()), "internal");
        ++refused;
      }
    }
  EXPECT_GT(refused, accepted);
  EXPECT_GT(accepted, 0u) << "a flip in a name or in metadata makes another legal file";
}

}  // namespace
}  // namespace telos
