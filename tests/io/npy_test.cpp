#include "io/npy.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

#include "support.h"
#include "telos/io/files.h"

namespace telos {
namespace {

using test::bytes_of;
using test::expect_error;
using test::ScratchDirectory;

const std::string kGolden = TELOS_TEST_DIR "/io/golden/";

std::string npy(std::string_view dictionary, std::string_view data, char major = 1) {
  std::string out = "\x93NUMPY";
  out += major;
  out += '\0';
  for (std::size_t i = 0; i < (major == 1 ? 2u : 4u); ++i)
    out += static_cast<char>(dictionary.size() >> (8 * i) & 0xFF);
  out += dictionary;
  out += data;
  return out;
}

TEST(Npy, ReadsWhatNumpyWrites) {
  const double base[2][3] = {{1.5, -2.0, 3.25}, {4.0, 5e-3, -6.0}};
  const double integers[2][3] = {{1, -2, 3}, {4, 5, -600000}};
  for (const char* name : {"f8", "f4", "f2", "i4", "i8", "f8_big", "f4_big", "f2_big", "i4_big", "f8_fortran",
                           "i8_big_fortran", "version2", "version3"}) {
    const Matrix<double> matrix = read_npy(kGolden + name + ".npy");
    ASSERT_EQ(matrix.rows(), 2u) << name;
    ASSERT_EQ(matrix.cols(), 3u) << name;
    const std::string_view type(name);
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t j = 0; j < 3; ++j) {
        double expected = type[0] == 'i' ? integers[i][j] : base[i][j];
        if (type.starts_with("f4")) expected = static_cast<double>(static_cast<float>(expected));
        // 5e-3 in binary16 is 1311 · 2^-18.
        if (type.starts_with("f2") && expected == 5e-3) expected = 1311 * 0x1p-18;
        EXPECT_EQ(matrix(i, j), expected) << name << " " << i << " " << j;
      }
  }
  const Matrix<double> vector = read_npy(kGolden + "vector.npy");
  EXPECT_EQ(vector.rows(), 1u);
  EXPECT_EQ(vector.cols(), 3u);
  EXPECT_EQ(vector(0, 2), 3.25);
  EXPECT_EQ(read_npy(kGolden + "no_rows.npy").cols(), 3u);
}

TEST(Npy, WritesWhatNumpyWrites) {
  const ScratchDirectory scratch;
  write_npy(scratch / "f8.npy", read_npy(kGolden + "f8.npy").view());
  EXPECT_EQ(read_file(scratch / "f8.npy"), read_file(kGolden + "f8.npy"));
  const Matrix<double> doubles = read_npy(kGolden + "f4.npy");
  Matrix<float> floats(2, 3);
  for (std::size_t i = 0; i < 6; ++i) floats.data()[i] = static_cast<float>(doubles.data()[i]);
  write_npy(scratch / "f4.npy", floats.view());
  EXPECT_EQ(read_file(scratch / "f4.npy"), read_file(kGolden + "f4.npy"));
}

TEST(Npy, HeadersThatAreLegal) {
  const std::string two = bytes_of<double>({1, 2});
  for (const char* dictionary : {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }",
                                 "{\"shape\":(1,2),\"descr\":\"=f8\",\"fortran_order\":True}",
                                 "{'fortran_order': False, 'shape': (2, 1), 'descr': '<f8'}   \n"}) {
    const Matrix<double> matrix = parse_npy(npy(dictionary, two), "a.npy");
    EXPECT_EQ(matrix.size(), 2u);
    EXPECT_EQ(matrix.data()[1], 2.0);
  }
}

TEST(Npy, AbuseIsRefusedByName) {
  using K = ErrorKind;
  const std::string eight(8, '\0');
  const auto dictionary = [](std::string_view descr, std::string_view shape) {
    std::string out = "{'descr': ";
    return out.append(descr).append(", 'fortran_order': False, 'shape': ").append(shape).append(", }");
  };
  const std::string good = dictionary("'<f8'", "(1,)");
  const struct {
    std::string bytes;
    ErrorKind kind;
    const char* word;
  } rows[] = {
      {"", K::kBadFormat, "the file is empty"},
      {"\x93NUM", K::kTruncated, "expected 10 bytes"},
      {"PK\x03\x04 an archive", K::kBadFormat, "npz archive"},
      {"1 2 3\n", K::kBadFormat, "not an npy file"},
      {npy(good, eight, 4), K::kUnsupported, "npy version 4"},
      {npy(good, eight, 0), K::kUnsupported, "npy version 0"},
      {npy(good, eight).substr(0, 30), K::kTruncated, "npy header, the file holds 30"},
      {npy(std::string(10'001, ' '), ""), K::kLimit, "10001 bytes"},
      {std::string("\x93NUMPY\x02\0\xFF\xFF\xFF\xFF{", 13), K::kLimit, "4294967295 bytes"},
      {npy(good, eight + "x"), K::kBadFormat, "takes 8 bytes, the file holds 9"},
      {npy(good, eight.substr(1)), K::kTruncated, "takes 8 bytes, the file holds 7"},
      {npy(dictionary("'<f8'", "(1000000, 1000000)"), eight), K::kTruncated, "takes 8,000,000,000,000 bytes"},
      {npy(dictionary("'<f8'", "(4294967296, 4294967296)"), eight), K::kBadFormat, "overflows 64 bits"},
      {npy(dictionary("'<f8'", "(2305843009213693952,)"), eight), K::kBadFormat, "overflows 64 bits"},
      {npy(dictionary("'<f8'", "(18446744073709551616,)"), eight), K::kBadFormat, "below 2^64"},
      {npy(dictionary("'<f8'", "(-1,)"), eight), K::kBadFormat, "whole number"},
      {npy(dictionary("'<f8'", "(1.0,)"), eight), K::kBadFormat, "expected ')'"},
      {npy(dictionary("'<f8'", "(1L,)"), eight), K::kBadFormat, "expected ')'"},
      {npy(dictionary("'<f8'", "(1"), eight), K::kBadFormat, "npy header is not valid"},
      {npy(dictionary("'<f8'", "()"), eight), K::kUnsupported, "0 dimensions"},
      {npy(dictionary("'<f8'", "(1, 1, 1)"), eight), K::kUnsupported, "3 dimensions"},
      {npy(dictionary("'|O'", "(1,)"), eight), K::kUnsupported, "pickle"},
      {npy(dictionary("'<c16'", "(1,)"), eight + eight), K::kUnsupported, "dtype '<c16'"},
      {npy(dictionary("'\x1b[2J'", "(1,)"), eight), K::kUnsupported, "\\x1B[2J"},
      {npy(dictionary("[('a', '<f8')]", "(1,)"), eight), K::kUnsupported, "structured dtype"},
      {npy("{'descr': '<f8', 'fortran_order': False}", eight), K::kBadFormat, "expected the keys"},
      {npy("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", eight), K::kBadFormat,
       "appears twice"},
      {npy("{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}", eight), K::kBadFormat, "True or False"},
      {npy("{'descr': '<f8', 'x': 0}", eight), K::kBadFormat, "unknown key \"x\""},
      {npy("{'descr", eight), K::kBadFormat, "closing quote"},
      {npy("", eight), K::kBadFormat, "expected '{'"},
      {npy(good + "__import__('os')", eight), K::kBadFormat, "text after the dictionary"},
  };
  for (const auto& row : rows)
    expect_error([&] { parse_npy(row.bytes, "a.npy"); }, row.kind, {row.word, "a.npy"});
}

TEST(Npy, EveryTruncationAndBitFlipIsHandled) {
  const std::string whole = read_file(kGolden + "f8.npy");
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_TRUE(test::error_of([&] { parse_npy(whole.substr(0, n), "a.npy"); })) << n;
  for (std::size_t i = 0; i < 8 * 128; ++i) {
    std::string bytes = whole;
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << i % 8));
    const auto error = test::error_of([&] { parse_npy(bytes, "a.npy"); });
    EXPECT_TRUE(!error || error->kind() != ErrorKind::kInternal) << i;
  }
}

RC_GTEST_PROP(NpyProperty, WriteThenReadIsTheIdentity, ()) {
  const auto rows = *rc::gen::inRange<std::size_t>(0, 9), cols = *rc::gen::inRange<std::size_t>(0, 9);
  Matrix<double> matrix(rows, cols);
  for (std::size_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = *rc::gen::arbitrary<double>();
  const ScratchDirectory scratch;
  write_npy(scratch / "a.npy", matrix.view());
  const Matrix<double> back = read_npy(scratch / "a.npy");
  RC_ASSERT(back.rows() == rows);
  RC_ASSERT(back.cols() == cols);
  for (std::size_t i = 0; i < matrix.size(); ++i) RC_ASSERT(back.data()[i] == matrix.data()[i]);
  // A window with a stride is written as the window alone.
  if (rows < 2 || cols < 2) return;
  write_npy(scratch / "b.npy", matrix.view().block(1, 1, rows - 1, cols - 1));
  const Matrix<double> window = read_npy(scratch / "b.npy");
  for (std::size_t i = 1; i < rows; ++i)
    for (std::size_t j = 1; j < cols; ++j) RC_ASSERT(window(i - 1, j - 1) == matrix(i, j));
}

}  // namespace
}  // namespace telos
