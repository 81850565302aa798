#include "model/block_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "telos/base/error.h"
#include "tests/model/layouts.h"

namespace telos::model {
namespace {

/// A weight of `rows` × `cols` whose elements are all different, on disk.
class BlockReader : public ::testing::Test {
 protected:
  // Several strips of 256 rows, and sides that are no multiple of a block of 8.
  static constexpr std::size_t kRows = 619, kCols = 525;
  test::TinyDirectory directory_;
  std::vector<float> values_;

  BlockReader() : values_(kRows * kCols) {
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<float>(i);
  }
  Checkpoint open() {
    const TensorToWrite tensor{"w", DType::kF32, {kRows, kCols}, std::as_bytes(std::span(values_))};
    write_safetensors(directory_.path() + "/model.safetensors", std::span(&tensor, 1));
    return Checkpoint::open(directory_.path());
  }
  /// The element that feature `out` has for input `in`.
  float at(Orientation stored, std::size_t out, std::size_t in) const {
    return stored == Orientation::kOutIn ? values_[out * kCols + in] : values_[in * kCols + out];
  }
};

TEST_F(BlockReader, ReadsRunsOfFeaturesInBothOrientations) {
  const Checkpoint checkpoint = open();
  const TensorInfo& tensor = *checkpoint.find("w");
  for (const Orientation stored : {Orientation::kOutIn, Orientation::kInOut}) {
    const std::size_t outs = stored == Orientation::kOutIn ? kRows : kCols;
    const std::size_t ins = stored == Orientation::kOutIn ? kCols : kRows;
    const std::vector<Runs> all_runs = {{{0, outs}}, {{3, 11}, {outs - 301, 300}, {20, 1}}};
    for (const Runs& runs : all_runs) {
      std::vector<std::size_t> features;
      for (const auto& [first, count] : runs)
        for (std::size_t i = 0; i < count; ++i) features.push_back(first + i);
      Matrix<float> out_rows(features.size(), ins), in_rows(ins, features.size());
      read_out_as_rows(checkpoint, tensor, stored, runs, out_rows);
      read_in_as_rows(checkpoint, tensor, stored, runs, in_rows);
      for (std::size_t f = 0; f < features.size(); ++f)
        for (std::size_t i = 0; i < ins; ++i) {
          ASSERT_EQ(out_rows(f, i), at(stored, features[f], i));
          ASSERT_EQ(in_rows(i, f), at(stored, features[f], i));
        }
    }
  }
}

TEST_F(BlockReader, FindsABadValueInAnyStrip) {
  const std::size_t bad = 600 * kCols + 524;
  values_[bad] = std::numeric_limits<float>::quiet_NaN();
  const Checkpoint checkpoint = open();
  Matrix<float> out(kCols, kRows);
  try {
    read_in_as_rows(checkpoint, *checkpoint.find("w"), Orientation::kOutIn, {{0, kRows}}, out);
    FAIL() << "the NaN was not seen";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
    EXPECT_THAT(error.message(), ::testing::HasSubstr("the first at element " + std::to_string(bad)));
  }
  // With a list it is kept, and said once however many runs and strips meet it.
  values_[bad - 1] = std::numeric_limits<float>::infinity();
  const Checkpoint again = open();
  const TensorInfo& tensor = *again.find("w");
  const auto said = ::testing::ElementsAre(::testing::HasSubstr(
      "w: 1 NaN and 1 infinite values, the first at element " + std::to_string(bad - 1)));
  std::vector<std::string> list;
  read_in_as_rows(again, tensor, Orientation::kOutIn, {{0, kRows}}, out, &list);
  EXPECT_THAT(list, said);
  EXPECT_TRUE(std::isnan(out(524, 600)));
  EXPECT_TRUE(std::isinf(out(523, 600)));
  list.clear();
  Matrix<float> rows(2, kCols);
  read_out_as_rows(again, tensor, Orientation::kOutIn, {{600, 1}, {600, 1}}, rows, &list);
  EXPECT_THAT(list, said);
  EXPECT_TRUE(std::isnan(rows(0, 524)) && std::isinf(rows(1, 523)));
  list.clear();
  read_out_as_rows(again, tensor, Orientation::kOutIn, {{3, 2}}, rows, &list);
  EXPECT_THAT(list, ::testing::IsEmpty());
}

TEST_F(BlockReader, RefusesFeaturesThatAreNotThere) {
  const Checkpoint checkpoint = open();
  Matrix<float> out(2, kCols);
  EXPECT_THROW(
      read_out_as_rows(checkpoint, *checkpoint.find("w"), Orientation::kOutIn, {{kRows - 1, 2}}, out), Error);
}

TEST(Transpose, WorksForEverySmallShape) {
  for (std::size_t rows = 1; rows < 20; ++rows)
    for (std::size_t cols = 1; cols < 20; ++cols) {
      Matrix<float> in(rows, cols), out(cols, rows);
      for (std::size_t i = 0; i < in.size(); ++i) in.data()[i] = static_cast<float>(i + 1);
      transpose(in, out);
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < cols; ++j) ASSERT_EQ(out(j, i), in(i, j)) << rows << " × " << cols;
    }
}

}  // namespace
}  // namespace telos::model
