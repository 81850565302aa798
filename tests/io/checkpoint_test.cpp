#include "telos/io/checkpoint.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <thread>

#include "io/sha256.h"
#include "support.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/io/files.h"
#include "tests/repeats.h"

namespace telos {
namespace {

using test::bytes_of;
using test::expect_error;
using test::safetensors_file;
using test::ScratchDirectory;

const std::string kGolden = TELOS_TEST_DIR "/io/golden/";

/// One matrix of known values in each float type, wide enough for every way of reading: value(i, j) = 8 i + j
/// mod 8 scaled so that all types hold it exactly.
class Windows : public testing::TestWithParam<std::tuple<DType, std::size_t>> {
 protected:
  static constexpr std::size_t kRows = 37;
  static double value(std::size_t i, std::size_t j) {
    return static_cast<double>((i * 31 + j * 7) % 200) - 100.0;
  }

  std::string write(const ScratchDirectory& scratch, DType type, std::size_t cols) const {
    std::string data;
    for (std::size_t i = 0; i < kRows; ++i)
      for (std::size_t j = 0; j < cols; ++j) {
        const auto as_float = static_cast<float>(value(i, j));
        if (type == DType::kF64) data += bytes_of(std::vector<double>{value(i, j)});
        if (type == DType::kF32) data += bytes_of(std::vector<float>{as_float});
        if (type == DType::kBF16) data += bytes_of(std::vector<std::uint16_t>{encode_bf16(as_float)});
        if (type == DType::kF16) data += bytes_of(std::vector<std::uint16_t>{half(as_float)});
      }
    std::string header = "{\"w\":{\"dtype\":\"";
    header += to_string(type);
    header += "\",\"shape\":[37," + std::to_string(cols) + "],\"data_offsets\":[0," +
              std::to_string(data.size()) + "]}}";
    // One space more if needed, so that the data are not aligned to anything.
    if (header.size() % 2 == 0) header += ' ';
    return scratch.file("w.safetensors", safetensors_file(header, data));
  }

  /// Whole numbers of magnitude up to 100 in binary16.
  static std::uint16_t half(float x) {
    static const std::map<float, std::uint16_t> patterns = [] {
      std::map<float, std::uint16_t> found;
      for (std::uint32_t b = 0; b <= 0xFFFF; ++b) {
        const float y = decode_f16(static_cast<std::uint16_t>(b));
        if (std::abs(y) <= 100 && y == std::round(y)) found.emplace(y, static_cast<std::uint16_t>(b));
      }
      return found;
    }();
    return patterns.at(x);
  }

  template <class T>
  static void check(const Checkpoint& checkpoint, std::size_t row, std::size_t col, std::size_t rows,
                    std::size_t cols) {
    constexpr T kGuard = T{12345};
    Matrix<T> room(rows, cols + 3);
    for (std::size_t i = 0; i < room.size(); ++i) room.data()[i] = kGuard;
    for (const bool gap : {false, true}) {
      Matrix<T> tight(rows, cols);
      const MatrixView<T> out = gap ? room.view().block(0, 0, rows, cols) : tight.view();
      checkpoint.read(checkpoint.tensors().at(0), row, col, out);
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < cols; ++j) wrong += out(i, j) != static_cast<T>(value(row + i, col + j));
      ASSERT_EQ(wrong, 0u);
    }
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = cols; j < cols + 3; ++j) ASSERT_EQ(room(i, j), kGuard) << "beyond the window";
  }
};

TEST_P(Windows, GiveTheSameValues) {
  const auto [type, cols] = GetParam();
  const ScratchDirectory scratch;
  const auto checkpoint = Checkpoint::open(write(scratch, type, cols));
  ASSERT_EQ(checkpoint.tensors().at(0).offset % 2, 1u) << "the data should not be aligned";
  const std::size_t windows[][4] = {{0, 0, kRows, cols}, {3, 0, 5, cols},      {0, 1, kRows, cols - 1},
                                    {5, 2, 20, 3},       {36, cols - 1, 1, 1}, {0, 0, 0, cols},
                                    {37, cols, 0, 0},    {7, 0, 1, cols}};
  for (const auto& w : windows) {
    check<float>(checkpoint, w[0], w[1], w[2], w[3]);
    check<double>(checkpoint, w[0], w[1], w[2], w[3]);
  }
  std::vector<float> all(kRows * cols);
  checkpoint.read_all(checkpoint.tensors()[0], all);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kRows; ++i)
    for (std::size_t j = 0; j < cols; ++j) wrong += all[i * cols + j] != static_cast<float>(value(i, j));
  EXPECT_EQ(wrong, 0u);
}

// Columns: few; so many that the ends of rows are skipped over; so many that a row exceeds the buffer.
INSTANTIATE_TEST_SUITE_P(Checkpoint, Windows,
                         testing::Combine(testing::Values(DType::kF64, DType::kF32, DType::kF16,
                                                          DType::kBF16),
                                          testing::Values<std::size_t>(5, 3000, 40000)),
                         [](const auto& row) {
                           return std::string(to_string(std::get<0>(row.param))) + "_" +
                                  std::to_string(std::get<1>(row.param));
                         });

TEST(Checkpoint, Moves) {
  auto a = Checkpoint::open(kGolden + "single");
  auto b = std::move(a);
  EXPECT_EQ(b.path(), kGolden + "single");
  b = Checkpoint::open(kGolden + "dtypes.safetensors");
  EXPECT_EQ(b.path(), kGolden + "dtypes.safetensors");
  EXPECT_NE(b.find("scalar"), nullptr);
  EXPECT_EQ(b.find("no such tensor"), nullptr);
}

TEST(Checkpoint, AVectorIsOneRow) {
  const ScratchDirectory scratch;
  const auto checkpoint = Checkpoint::open(scratch.file(
      "v.safetensors", safetensors_file("{\"v\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
                                        bytes_of<float>({1, 2, 3, 4}))));
  Matrix<float> out(1, 2);
  checkpoint.read(checkpoint.tensors()[0], 0, 2, out);
  EXPECT_EQ(out(0, 0), 3);
  EXPECT_EQ(out(0, 1), 4);
  Matrix<float> column(2, 1);
  expect_error([&] { checkpoint.read(checkpoint.tensors()[0], 0, 0, column.view()); }, ErrorKind::kShape,
               {"tensor \"v\"", "[4]", "2 rows"});
}

TEST(Checkpoint, WindowsOutsideTheTensorAreRefused) {
  const auto checkpoint = Checkpoint::open(kGolden + "dtypes.safetensors");
  const TensorInfo& tensor = *checkpoint.find("f32");
  constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
  Matrix<float> out(2, 2);
  for (const auto& [row, col] : {std::pair<std::size_t, std::size_t>{2, 0},
                                 {0, 4},
                                 {kMax, 0},
                                 {0, kMax},
                                 {kMax - 1, kMax - 1},
                                 {4, 0}})
    expect_error([&, r = row, c = col] { checkpoint.read(tensor, r, c, out.view()); }, ErrorKind::kShape,
                 {"tensor \"f32\"", "[3, 5]"});
  expect_error([&] { checkpoint.read(*checkpoint.find("three_dimensions"), 0, 0, out.view()); },
               ErrorKind::kShape, {"one or two dimensions", "[2, 3, 4]"});
  expect_error([&] { checkpoint.read(*checkpoint.find("scalar"), 0, 0, out.view()); }, ErrorKind::kShape,
               {"one or two dimensions"});
  std::vector<float> few(14);
  expect_error([&] { checkpoint.read_all(tensor, few); }, ErrorKind::kShape, {"15 elements", "found 14"});
  expect_error([&] { checkpoint.read_bytes(tensor, {}); }, ErrorKind::kShape, {"60 bytes", "found 0"});
}

TEST(Checkpoint, TensorsOfAnotherCheckpointAreRefused) {
  const auto checkpoint = Checkpoint::open(kGolden + "dtypes.safetensors");
  std::vector<float> out(15);
  TensorInfo tensor = *checkpoint.find("f32");
  tensor.file = 1;
  expect_error([&] { checkpoint.read_all(tensor, out); }, ErrorKind::kUsage, {"not of this checkpoint"});
  tensor = *checkpoint.find("f32");
  tensor.shape = {std::uint64_t{1} << 62, 8};
  expect_error([&] { checkpoint.read_all(tensor, out); }, ErrorKind::kUsage, {"not of this checkpoint"});
  tensor = *checkpoint.find("f32");
  tensor.offset = ~std::uint64_t{0} - 3;
  expect_error([&] { checkpoint.read_all(tensor, out); }, ErrorKind::kTruncated, {"the file holds"});
}

TEST(Checkpoint, AFileThatShrinksIsAnErrorNotACrash) {
  const ScratchDirectory scratch;
  const std::vector<float> values(100'000, 1.5f);
  const std::string path = scratch.file(
      "m.safetensors",
      safetensors_file("{\"w\":{\"dtype\":\"F32\",\"shape\":[100000],\"data_offsets\":[0,400000]}}",
                       bytes_of(values)));
  const auto checkpoint = Checkpoint::open(path);
  std::filesystem::resize_file(path, 1000);
  std::vector<float> out(values.size());
  Matrix<double> window(1, 10);
  expect_error([&] { checkpoint.read_all(checkpoint.tensors()[0], out); }, ErrorKind::kTruncated,
               {"shrank", "tensor \"w\""});
  expect_error([&] { checkpoint.read(checkpoint.tensors()[0], 0, 90'000, window.view()); },
               ErrorKind::kTruncated, {"shrank"});
  expect_error([&] { checkpoint.scan(checkpoint.tensors()[0]); }, ErrorKind::kTruncated, {"shrank"});
  expect_error([&] { checkpoint.sha256_prefix(); }, ErrorKind::kTruncated, {"shrank"});
}

TEST(Checkpoint, AFileThatIsReplacedKeepsItsOldContent) {
  const ScratchDirectory scratch;
  const auto write = [&](float value) {
    const std::vector<float> values(10, value);
    const TensorToWrite tensor{"w", DType::kF32, {10}, std::as_bytes(std::span(values))};
    write_safetensors(scratch / "m.safetensors", {&tensor, 1});
  };
  write(1);
  const auto checkpoint = Checkpoint::open(scratch / "m.safetensors");
  write(2);
  std::vector<float> out(10);
  checkpoint.read_all(checkpoint.tensors()[0], out);
  EXPECT_EQ(out[9], 1);
}

TEST(Checkpoint, PartialReadsWhatIsWhole) {
  const ScratchDirectory scratch;
  const std::string whole = read_file(kGolden + "dtypes.safetensors");
  const auto full = Checkpoint::open(kGolden + "dtypes.safetensors");
  EXPECT_TRUE(full.problems().empty());
  const std::string path =
      scratch.file("cut.safetensors", std::string_view(whole).substr(0, whole.size() - 40));
  expect_error([&] { Checkpoint::open(path); }, ErrorKind::kTruncated,
               {"cut short", "first tensor that is missing", "--partial"});
  const auto cut = Checkpoint::open(path, {.partial = true});
  ASSERT_EQ(cut.problems().size(), 1u);
  std::size_t complete = 0;
  for (const TensorInfo& tensor : cut.tensors()) {
    if (!is_float(tensor.dtype)) continue;
    std::vector<float> expected(tensor.elements()), found(tensor.elements());
    if (!tensor.complete) {
      expect_error([&] { cut.read_all(tensor, found); }, ErrorKind::kTruncated,
                   {"the file holds", tensor.name});
      expect_error([&] { cut.scan(tensor); }, ErrorKind::kTruncated, {"the file holds"});
      continue;
    }
    ++complete;
    cut.read_all(tensor, found);
    full.read_all(*full.find(tensor.name), expected);
    EXPECT_EQ(bytes_of(found), bytes_of(expected)) << tensor.name;
  }
  EXPECT_GT(complete, 3u);
  EXPECT_LT(complete, full.tensors().size() - 1);
}

TEST(Checkpoint, SevenThreadsReadWhatOneReads) {
  const ScratchDirectory scratch;
  constexpr std::size_t kTensors = 21, kRows = 64, kCols = 1500;
  std::vector<std::vector<std::uint16_t>> values(kTensors);
  std::vector<TensorToWrite> tensors;
  for (std::size_t t = 0; t < kTensors; ++t) {
    Random random(1, 0, t);
    for (std::size_t i = 0; i < kRows * kCols; ++i)
      values[t].push_back(encode_bf16(static_cast<float>(random.normal())));
    tensors.push_back({std::to_string(t), DType::kBF16, {kRows, kCols}, std::as_bytes(std::span(values[t]))});
  }
  write_safetensors(scratch / "m.safetensors", tensors);
  const auto checkpoint = Checkpoint::open(scratch / "m.safetensors");
  std::vector<std::string> failures(7);
  std::vector<std::thread> threads;
  for (std::size_t worker = 0; worker < failures.size(); ++worker)
    threads.emplace_back([&, worker] {
      for (std::size_t k = 0; k < repeats(3u, 1u) * kTensors; ++k) {
        const std::size_t t = (k + worker * 5) % kTensors;
        Matrix<float> out(kRows, kCols - 1);
        checkpoint.read(*checkpoint.find(std::to_string(t)), 0, 1, out);
        for (std::size_t i = 0; i < kRows; ++i)
          for (std::size_t j = 0; j + 1 < kCols; ++j)
            if (out(i, j) != decode_bf16(values[t][i * kCols + j + 1]))
              failures[worker] = "tensor " + std::to_string(t);
      }
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
}

// Reading takes one buffer a thread, whatever the size of the file. The file is sparse: 1.5 GB that take no
// disk.
TEST(Checkpoint, MemoryStaysSmall) {
  if (kSanitized) GTEST_SKIP() << "shadow memory is counted too";
  const ScratchDirectory scratch;
  constexpr std::uint64_t kBytes = 1'500'000'000;
  const std::string path = scratch.file(
      "big.safetensors",
      safetensors_file(
          "{\"w\":{\"dtype\":\"BF16\",\"shape\":[750000,1000],\"data_offsets\":[0,1500000000]}}"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + kBytes);
  const auto checkpoint = Checkpoint::open(path);
  const std::uint64_t before = peak_memory_bytes();
  std::vector<std::thread> threads;
  std::vector<std::uint64_t> zeros(3);
  for (std::size_t worker = 0; worker < zeros.size(); ++worker)
    threads.emplace_back([&, worker] {
      if (worker == 0) zeros[worker] = checkpoint.scan(checkpoint.tensors()[0]).zeros;
      Matrix<float> out(100, 1000);
      for (std::size_t row = worker * 1000; row + 100 <= 750000; row += 3000)
        checkpoint.read(checkpoint.tensors()[0], row, 0, out);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(zeros[0], 750'000'000u);
  const std::uint64_t grown = peak_memory_bytes() - before;
  EXPECT_LT(grown, 16'000'000u) << "three buffers, three small matrices, three stacks";
}

TEST(Checkpoint, ReadsCanBeInterrupted) {
  const auto checkpoint = Checkpoint::open(kGolden + "dtypes.safetensors");
  request_interrupt();
  expect_error(
      [&] {
        try {
          checkpoint.scan(*checkpoint.find("f16"));
        } catch (const Error& e) {
          clear_interrupt();
          throw Error(e.kind(), "scan", e.message());
        }
      },
      ErrorKind::kInterrupted, {});
  clear_interrupt();
}

std::string sha256(std::string_view text) {
  Sha256 hash;
  hash.update(text.data(), text.size());
  return hash.hex();
}

// FIPS 180-4 examples.
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 million;
  const std::string thousand(1000, 'a');
  for (int i = 0; i < 1000; ++i) million.update(thousand.data(), thousand.size());
  EXPECT_EQ(million.hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OfACheckpointIsThatOfItsFilesInOrder) {
  const auto single = Checkpoint::open(kGolden + "single");
  EXPECT_EQ(single.sha256_prefix(), sha256(read_file(kGolden + "single/model.safetensors")).substr(0, 16));
  const auto sharded = Checkpoint::open(kGolden + "sharded");
  std::string all;
  for (const std::string& file : sharded.files()) all += read_file(file);
  EXPECT_EQ(sharded.sha256_prefix(), sha256(all).substr(0, 16));
  EXPECT_EQ(sharded.file_bytes(), all.size());
}

TEST(RealModel, MiniLM) {
  const char* model = std::getenv("TELOS_TEST_MINILM");
  if (model == nullptr) GTEST_SKIP() << "TELOS_TEST_MINILM does not name all-MiniLM-L6-v2";
  const auto checkpoint = Checkpoint::open(model);
  EXPECT_EQ(checkpoint.sha256_prefix(), "53aa51172d142c89");
  EXPECT_EQ(checkpoint.tensors().size(), 104u);
  const TensorInfo* query = checkpoint.find("encoder.layer.0.attention.self.query.weight");
  ASSERT_NE(query, nullptr);
  EXPECT_EQ(query->shape_text(), "[384, 384]");
  Matrix<double> out(2, 3);
  checkpoint.read(*query, 5, 7, out);
  EXPECT_EQ(static_cast<float>(out(0, 0)), -0.01174607127904892f);  // by torch
  EXPECT_EQ(static_cast<float>(out(1, 2)), 0.038521043956279755f);
}

}  // namespace
}  // namespace telos
