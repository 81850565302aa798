#include "io/vectors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "telos/base/error.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"
#include "tests/io/support.h"

namespace telos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Rows = std::vector<std::vector<double>>;
Rows rows_of(const Matrix<double>& matrix) {
  Rows rows;
  for (std::size_t i = 0; i < matrix.rows(); ++i)
    rows.emplace_back(matrix.row(i), matrix.row(i) + matrix.cols());
  return rows;
}

Vectors parse(std::string_view text, const std::string& path = "a.txt", std::size_t max_rows = 0) {
  return parse_vector_text(text, path, max_rows);
}

template <class Call>
std::string complaint_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(to_string(error.kind())) + " | " + error.what() + " | " + error.hint();
  }
  return "no error";
}

std::string complaint(std::string_view text, const std::string& path = "a.txt", std::size_t max_rows = 0) {
  return complaint_of([&] { parse(text, path, max_rows); });
}

TEST(Vectors, GloveText) {
  const Vectors v = parse("the 0.5 -1\n, 2 1e-3\n. . . 3 4 \n1998 5 6\r\nat name@domain.com 7 8\n");
  EXPECT_EQ(v.format, "word vectors");
  EXPECT_THAT(v.labels, ElementsAre("the", ",", ". . .", "1998", "at name@domain.com"));
  EXPECT_EQ(rows_of(v.values), (Rows{{0.5, -1}, {2, 1e-3}, {3, 4}, {5, 6}, {7, 8}}));
}

TEST(Vectors, AFirstNameMayBeAComma) {
  EXPECT_THAT(parse(", 0.1\nthe 0.2\n").labels, ElementsAre(",", "the"));
  EXPECT_THAT(parse(", 0.1 0.2\n").labels, ElementsAre(","));
}

TEST(Vectors, Word2vecText) {
  const Vectors v = parse("3 2\n</s> 1 2 \n2 3 4 \nnew york 5 6 \n");
  EXPECT_THAT(v.labels, ElementsAre("</s>", "2", "new york"));
  EXPECT_EQ(rows_of(v.values), (Rows{{1, 2}, {3, 4}, {5, 6}}));
  EXPECT_THAT(parse("2 1\n7 0.5\n8 0.25\n").labels, ElementsAre("7", "8")) << "the number of rows fits";
  EXPECT_THAT(parse("9 1\na 1\nb 2\n", "a.vec", 1).labels, ElementsAre("a"));
}

TEST(Vectors, TwoWholeNumbersMayBeARow) {
  const Vectors v = parse("3 1\n1 2\n2 5\n");
  EXPECT_THAT(v.labels, IsEmpty());
  EXPECT_EQ(rows_of(v.values), (Rows{{3, 1}, {1, 2}, {2, 5}}));
  EXPECT_EQ(rows_of(parse("3 2").values), (Rows{{3, 2}}));
}

TEST(Vectors, NumbersAloneHaveNoNames) {
  const Vectors v = parse("1.5 2\n 3  -4e1\n");
  EXPECT_THAT(v.labels, IsEmpty());
  EXPECT_EQ(rows_of(v.values), (Rows{{1.5, 2}, {3, -40}}));
  EXPECT_EQ(rows_of(parse("1.5\n2\n").values), (Rows{{1.5}, {2}}));
}

TEST(Vectors, CsvWithAndWithoutNames) {
  const Vectors plain = parse("1,2\n3,4\n", "a.csv");
  EXPECT_EQ(plain.format, "csv");
  EXPECT_THAT(plain.labels, IsEmpty());
  EXPECT_EQ(rows_of(plain.values), (Rows{{1, 2}, {3, 4}}));
  EXPECT_EQ(rows_of(parse("x,y\n1, 2\n", "a.csv").values), (Rows{{1, 2}}));
  EXPECT_EQ(rows_of(parse("1, 2\n3, 4\n", "a.csv").values), (Rows{{1, 2}, {3, 4}}));
  for (const char* text : {"cat,1,2\n\"a, b\",3,4\n", "name,x,y\ncat,1,2\n\"a, b\",3,4\n",
                           "word,1,2\ncat,1,2\n\"a, b\",3,4\n"}) {
    const Vectors named = parse(text, "a.csv");
    EXPECT_THAT(named.labels, ElementsAre("cat", "a, b")) << text;
    EXPECT_EQ(rows_of(named.values), (Rows{{1, 2}, {3, 4}})) << text;
  }
}

TEST(Vectors, AnIndexColumnOfPandasIsNoCoordinate) {
  const Vectors v = parse(",0,1\n0,0.5,1\n1,2,3\n", "a.csv");
  EXPECT_THAT(v.labels, ElementsAre("0", "1"));
  EXPECT_EQ(rows_of(v.values), (Rows{{0.5, 1}, {2, 3}}));
}

TEST(Vectors, TsvTakesQuotesAsTheyAre) {
  const Vectors v = parse("\"\t1\t2\nnew york\t3\t4\n", "a.tsv");
  EXPECT_EQ(v.format, "tsv");
  EXPECT_THAT(v.labels, ElementsAre("\"", "new york"));
  EXPECT_EQ(rows_of(v.values), (Rows{{1, 2}, {3, 4}}));
  EXPECT_EQ(parse("the\t1 2\nof\t3 4\n").labels.size(), 2u)
      << "a tab behind the name, blanks between numbers";
}

TEST(Vectors, TheFirstRowsOnly) {
  EXPECT_EQ(parse("a 1\nb 2\nc x\n", "a.txt", 2).values.rows(), 2u);
  EXPECT_EQ(parse("1,2\n3,4\n5,x\n", "a.csv", 2).values.rows(), 2u);
}

TEST(Vectors, RaggedRows) {
  EXPECT_EQ(complaint("the 1 2\nof 3\n"),
            "bad_format | a.txt, line 2: expected a name and 2 numbers, found 2 words | ");
  EXPECT_EQ(complaint("1.5 2\n3 4 5\n"), "bad_format | a.txt, line 2: expected 2 numbers, found 3 words | ");
  EXPECT_EQ(complaint("1,2\n3\n", "a.csv"),
            "bad_format | a.csv, line 2: 1 cells, expected 2 as in the first record | ");
  std::string wide = "a";
  for (int i = 0; i < 30'000; ++i) wide += " 1";
  std::string narrow;
  for (int i = 0; i < 30'000; ++i) narrow += "\na 1";
  EXPECT_THAT(complaint(wide + narrow), HasSubstr("line 2: expected a name and 30000 numbers"))
      << "no memory for a square";
}

TEST(Vectors, WhatIsNoFiniteNumber) {
  EXPECT_EQ(complaint("the 1 2\nof 3 x\n"),
            "bad_format | a.txt, line 2, number 2: expected a number, found \"x\" | ");
  EXPECT_EQ(complaint("the 1 2\nof nan 3\n"),
            "not_finite | a.txt, line 2, number 1: expected a finite number, found \"nan\" | ");
  EXPECT_EQ(complaint("the 1 2\nof 1e999 3\n"),
            "not_finite | a.txt, line 2, number 1: expected a finite number, found \"1e999\" | ");
  EXPECT_EQ(complaint("1 2\nof 3\n"),
            "bad_format | a.txt, line 2, number 1: expected a number, found \"of\" | lines have names if the "
            "first one has: a "
            "name and numbers a line");
  EXPECT_EQ(
      complaint("name,x\na,1\nb,inf\n", "a.csv"),
      "not_finite | a.csv, row 2 (line 3), column 2 (\"x\"): expected a finite number, found \"inf\" | ");
  EXPECT_EQ(complaint("a,1,2\nb,3,c\n", "a.csv"),
            "bad_format | a.csv, row 2 (line 2), column 3: expected a number, found \"c\" | ");
}

TEST(Vectors, AHeaderThatCountsWrongly) {
  EXPECT_EQ(complaint("3 2\na 1 2\nb 3 4\n"),
            "truncated | a.txt: the first line says 3 vectors, the file holds 2 | the file is incomplete; "
            "fetch it again");
  EXPECT_EQ(complaint("1 2\na 1 2\nb 3 4\n"),
            "bad_format | a.txt: the first line says 1 vectors, the file holds 2 | ");
}

class VectorFiles : public ::testing::Test {
 protected:
  std::string complaint(const std::string& path, const VectorOptions& options = {}) const {
    return complaint_of([&] { read_vectors(path, options); });
  }
  /// A safetensors file with the tensors `names`, each 2 × 2 of 16-bit floats 1, 2, 3, x.
  std::string safetensors(const std::vector<std::string>& names, DType dtype = DType::kF16,
                          std::uint16_t x = 0x4400) const {
    const std::array<std::uint16_t, 4> values = dtype == DType::kF16
                                                    ? std::array<std::uint16_t, 4>{0x3C00, 0x4000, 0x4200, x}
                                                    : std::array<std::uint16_t, 4>{0x3F80, 0x4000, 0x4040, x};
    std::vector<TensorToWrite> tensors;
    for (const std::string& name : names)
      tensors.push_back({name, dtype, {2, 2}, std::as_bytes(std::span(values))});
    const std::array<float, 3> bias{1, 2, 3};
    tensors.push_back({"bias", DType::kF32, {3}, std::as_bytes(std::span(bias))});
    const std::string path = scratch / "model.safetensors";
    write_safetensors(path, tensors);
    return path;
  }
  test::ScratchDirectory scratch;
};

TEST_F(VectorFiles, Npy) {
  Matrix<double> matrix(3, 2);
  for (std::size_t i = 0; i < 6; ++i) matrix.data()[i] = static_cast<double>(i);
  const std::string path = scratch / "a.npy";
  write_npy(path, matrix.view());
  EXPECT_EQ(read_vectors(path).format, "npy");
  EXPECT_EQ(rows_of(read_vectors(path).values), (Rows{{0, 1}, {2, 3}, {4, 5}}));
  EXPECT_EQ(rows_of(read_vectors(path, {.max_rows = 2}).values), (Rows{{0, 1}, {2, 3}}));
  matrix(1, 0) = std::numeric_limits<double>::quiet_NaN();
  write_npy(path, matrix.view());
  EXPECT_EQ(complaint(path),
            "not_finite | " + path + ", row 2, column 1: expected a finite number, found nan | ");
  write_npy(path, Matrix<double>(0, 2).view());
  EXPECT_EQ(complaint(path),
            "shape | " + path + ": 0 vectors of 2 numbers; expected at least one of each | ");
}

TEST_F(VectorFiles, Safetensors) {
  for (const bool half : {true, false}) {
    const std::string path = half ? safetensors({"wte"}) : safetensors({"wte"}, DType::kBF16, 0x4080);
    const Vectors v = read_vectors(path);
    EXPECT_EQ(v.format, "safetensors");
    EXPECT_EQ(v.tensor, "wte");
    EXPECT_EQ(rows_of(v.values), (Rows{{1, 2}, {3, 4}}));
  }
  EXPECT_EQ(read_vectors(scratch.path()).tensor, "wte") << "a directory";
  EXPECT_EQ(rows_of(read_vectors(scratch.path(), {.max_rows = 1}).values), (Rows{{1, 2}}));
}

TEST_F(VectorFiles, WhichTensor) {
  const std::string path = safetensors({"a", "b"});
  EXPECT_EQ(read_vectors(path, {.tensor = "b"}).tensor, "b");
  EXPECT_EQ(complaint(path), "usage | " + path + ": 2 tensors have two dimensions; name one | they are a, b");
  EXPECT_EQ(complaint(path, {.tensor = "c"}),
            "usage | " + path + ": no tensor is called \"c\" | did you mean \"a\"? known: a, b");
  EXPECT_EQ(complaint(path, {.tensor = "bias"}),
            "shape | " + path + ", tensor \"bias\": expected two dimensions, rows and columns; found [3] | ");
  EXPECT_THAT(complaint(safetensors({})), HasSubstr("no tensor has two dimensions"));
  EXPECT_THAT(complaint(safetensors({"a"}, DType::kF16, 0x7C00)),
              HasSubstr("not_finite | " + path + ", row 2, column 2"));
  EXPECT_THAT(complaint(scratch.file("b.safetensors", "not one")), HasSubstr(scratch / "b.safetensors"));
}

TEST_F(VectorFiles, LabelsOfTheirOwnFile) {
  const std::string vectors = scratch.file("v.txt", "1.5 2\n3 4\n"),
                    labels = scratch.file("l.txt", "new york\r\n\n");
  EXPECT_THAT(read_vectors(vectors, {.labels_path = labels}).labels, ElementsAre("new york", ""));
  EXPECT_THAT(read_vectors(vectors, {.labels_path = labels, .max_rows = 1}).labels, ElementsAre("new york"));
  const std::string three = scratch.file("three.txt", "a\nb\nc");
  EXPECT_EQ(
      complaint(vectors, {.labels_path = three}),
      "shape | " + three + ": 3 labels for 2 vectors | expected a label a line, in the order of the vectors");
}

TEST_F(VectorFiles, OtherFormatsAreRefused) {
  EXPECT_THAT(complaint(scratch / "none.txt"), HasSubstr("missing_file"));
  EXPECT_THAT(complaint(scratch.file("empty.txt", "")),
              HasSubstr("bad_format | " + (scratch / "empty.txt") + ": the file is empty"));
  EXPECT_THAT(complaint(scratch.file("blank.csv", "\n\n")),
              HasSubstr("bad_format | " + (scratch / "blank.csv") + ": no records"));
  EXPECT_THAT(complaint(scratch.file("labels.csv", "x,y\n")),
              HasSubstr("shape | " + (scratch / "labels.csv") + ": 0 vectors"));
  EXPECT_THAT(complaint(scratch.file("words.txt", "the of\n")), HasSubstr("0 vectors of 1 numbers"))
      << "a label, no row";
  EXPECT_THAT(complaint(scratch.file("a.npz", "PK\x03\x04")), HasSubstr("unsupported"));
  EXPECT_THAT(complaint(scratch.file("a.gguf", "GGUF")), HasSubstr("unsupported"));
  const std::string binary = std::string("2 2\n</s> ") + std::string("\0\0\x80\x3F\0\0\0\x40", 8) + "\nof ";
  EXPECT_THAT(complaint(scratch.file("w2v.bin", binary)),
              HasSubstr("word vectors in word2vec's binary format"));
  EXPECT_THAT(complaint(scratch.file("latin1.txt", "caf\xE9 1 2\n")), HasSubstr("not valid UTF-8"));
}

/// TELOS_TEST_DATA/embeddings: 20,000 words of GloVe, 16-bit.
TEST(Vectors, RealFile) {
  const char* data = std::getenv("TELOS_TEST_DATA");
  const std::string stem = data == nullptr ? "" : std::string(data) + "/embeddings/glove.6B.100d.top20k.";
  if (stem.empty() || !std::filesystem::exists(stem + "safetensors"))
    GTEST_SKIP() << "TELOS_TEST_DATA/embeddings is not there";
  const Vectors v = read_vectors(stem + "safetensors", {.labels_path = stem + "vocab.txt"});
  EXPECT_EQ(v.values.rows(), 20'000u);
  EXPECT_EQ(v.values.cols(), 100u);
  EXPECT_EQ(v.labels[0], "the");
  EXPECT_NEAR(v.values(0, 0), -0.038194, 1e-4) << "the first number of glove.6B.100d.txt";
}

}  // namespace
}  // namespace telos
