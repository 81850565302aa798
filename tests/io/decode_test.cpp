#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "support.h"
#include "telos/io/checkpoint.h"

namespace telos {
namespace {

using test::ScratchDirectory;

const std::string kGolden = TELOS_TEST_DIR "/io/golden/";

TEST(Decode, KnownPatterns) {
  EXPECT_EQ(decode_bf16(0xC0A0), -5.0f);
  EXPECT_EQ(decode_bf16(0x7F80), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(decode_bf16(0x7FC0)));
  EXPECT_EQ(decode_bf16(0x0001), 0x1p-133f);  // 9.1835e-41
  EXPECT_EQ(decode_f16(0xC500), -5.0f);
  EXPECT_EQ(decode_f16(0x0001), 0x1p-24f);         // 5.960464478e-08
  EXPECT_EQ(decode_f16(0x03FF), 1023 * 0x1p-24f);  // 6.097555161e-05
  EXPECT_EQ(decode_f16(0xFC00), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(std::bit_cast<std::uint32_t>(decode_f16(0x8000)), 0x80000000u);
}

// binary16 by its definition (IEEE 754-2008, 3.4), for all 65,536 patterns.
TEST(Decode, EveryHalf) {
  for (std::uint32_t b = 0; b <= 0xFFFF; ++b) {
    const std::uint32_t exponent = (b >> 10) & 31, fraction = b & 1023;
    const float sign = (b & 0x8000) != 0 ? -1.0f : 1.0f;
    const float value = decode_f16(static_cast<std::uint16_t>(b));
    if (exponent == 31 && fraction != 0) {
      ASSERT_TRUE(std::isnan(value)) << b;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(value), (b & 0x8000) << 16 | 0x7F800000u | fraction << 13)
          << "the payload is kept";
      continue;
    }
    const float magnitude =
        exponent == 31  ? std::numeric_limits<float>::infinity()
        : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                        : std::ldexp(static_cast<float>(1024 + fraction), static_cast<int>(exponent) - 25);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(sign * magnitude)) << b;
  }
}

TEST(Decode, BrainFloatRoundsToNearestEven) {
  for (std::uint32_t b = 0; b <= 0xFFFF; ++b) {
    const auto half = static_cast<std::uint16_t>(b);
    const float value = decode_bf16(half);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(decode_bf16(encode_bf16(value))));
      continue;
    }
    ASSERT_EQ(encode_bf16(value), half);
    if (std::isinf(value)) continue;
    // Just below, at, and just above the middle between this value and the next away from zero.
    const std::uint32_t middle = b << 16 | 0x8000;
    ASSERT_EQ(encode_bf16(std::bit_cast<float>(middle - 1)), half);
    ASSERT_EQ(encode_bf16(std::bit_cast<float>(middle)), half + (half & 1));
    ASSERT_EQ(encode_bf16(std::bit_cast<float>(middle + 1)), half + 1);
  }
  EXPECT_TRUE(std::isnan(decode_bf16(encode_bf16(std::bit_cast<float>(0x7F800001u)))))
      << "a payload in the low bits only";
}

TEST(Golden, EveryFloatTypeReadsAsTorchSays) {
  const auto checkpoint = Checkpoint::open(kGolden + "dtypes.safetensors");
  for (const char* name : {"f64", "f32", "f16", "bf16"}) {
    const TensorInfo* tensor = checkpoint.find(name);
    const TensorInfo* expected_info = checkpoint.find(std::string(name) + ".expected");
    ASSERT_NE(tensor, nullptr);
    ASSERT_NE(expected_info, nullptr);
    Matrix<double> values(3, 5), expected(3, 5);
    Matrix<float> floats(3, 5);
    checkpoint.read(*tensor, 0, 0, values);
    checkpoint.read(*expected_info, 0, 0, expected);
    checkpoint.read(*tensor, 0, 0, floats);
    for (std::size_t i = 0; i < 15; ++i) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(values.data()[i]),
                std::bit_cast<std::uint64_t>(expected.data()[i]))
          << name << " " << i;
      EXPECT_EQ(floats.data()[i], static_cast<float>(expected.data()[i])) << name << " " << i;
    }
    const TensorScan scan = checkpoint.scan(*tensor);
    EXPECT_EQ(scan.elements, 15u);
    EXPECT_EQ(scan.nans, 0u);
    EXPECT_EQ(scan.infs, 2u);
    EXPECT_EQ(scan.first_bad, 10u);
  }
  EXPECT_EQ(checkpoint.metadata().size(), 2u);
  EXPECT_EQ(checkpoint.metadata()[1].second, "größe");
  std::vector<float> all(24);
  checkpoint.read_all(*checkpoint.find("three_dimensions"), all);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], static_cast<float>(i));
  float scalar = 0;
  checkpoint.read_all(*checkpoint.find("scalar"), {&scalar, 1});
  EXPECT_EQ(scalar, 2.5f);
  checkpoint.read_all(*checkpoint.find("empty"), {});
  std::vector<std::int64_t> ids(6);
  checkpoint.read_bytes(*checkpoint.find("ids"), std::as_writable_bytes(std::span(ids)));
  EXPECT_EQ(ids, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}));
}

// The tiny checkpoint whose weights need no random numbers; its values were computed with numpy.
TEST(Golden, TinyCheckpointFormula) {
  const auto w = [](std::uint64_t t, std::uint64_t i, std::uint64_t j) {
    return static_cast<float>(static_cast<double>((7919 * t + 104729 * i + 1299709 * j) % 2003) / 2003 - 0.5);
  };
  std::vector<float> c_attn, c_proj;
  for (std::uint64_t i = 0; i < 8; ++i) {
    for (std::uint64_t j = 0; j < 24; ++j) c_attn.push_back(w(1, i, j));
    for (std::uint64_t j = 0; j < 8; ++j) c_proj.push_back(w(2, i, j));
  }
  const ScratchDirectory scratch;
  const std::vector<TensorToWrite> tensors{
      {"h.0.attn.c_attn.weight", DType::kF32, {8, 24}, std::as_bytes(std::span(c_attn))},
      {"h.0.attn.c_proj.weight", DType::kF32, {8, 8}, std::as_bytes(std::span(c_proj))}};
  write_safetensors(scratch / "model.safetensors", tensors);
  const auto checkpoint = Checkpoint::open(scratch.path());
  Matrix<double> first(1, 3), last(1, 1);
  checkpoint.read(*checkpoint.find("h.0.attn.c_attn.weight"), 0, 0, first);
  checkpoint.read(*checkpoint.find("h.0.attn.c_proj.weight"), 7, 7, last);
  EXPECT_NEAR(first(0, 0), .45356965, 5e-9);
  EXPECT_NEAR(first(0, 1), .33474788, 5e-9);
  EXPECT_NEAR(first(0, 2), .21592611, 5e-9);
  EXPECT_NEAR(last(0, 0), -.42211682, 5e-9);
}

template <class T>
std::vector<std::byte> raw(const std::vector<T>& values) {
  const auto* first = reinterpret_cast<const std::byte*>(values.data());
  return {first, first + values.size() * sizeof(T)};
}
template <class U>
void expect_scan(DType type, std::vector<U> values, const TensorScan& expected) {
  const ScratchDirectory scratch;
  const std::vector<std::byte> data = raw(values);
  const TensorToWrite tensor{"w", type, {values.size()}, data};
  write_safetensors(scratch / "s.safetensors", {&tensor, 1});
  const auto checkpoint = Checkpoint::open(scratch / "s.safetensors");
  const TensorScan scan = checkpoint.scan(checkpoint.tensors()[0]);
  EXPECT_EQ(scan.elements, expected.elements);
  EXPECT_EQ(scan.nans, expected.nans);
  EXPECT_EQ(scan.infs, expected.infs);
  EXPECT_EQ(scan.zeros, expected.zeros);
  EXPECT_EQ(scan.first_bad, expected.first_bad);
  EXPECT_EQ(scan.max_abs, expected.max_abs);
}

TEST(Scan, CountsWhatIsNotFinite) {
  constexpr std::size_t n = 200'000;  // more than one buffer of each type
  constexpr double inf = std::numeric_limits<double>::infinity(),
                   nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> f64(n, 1.0);
  f64[0] = 0;
  f64[1] = -0.0;
  f64[150'000] = nan;
  f64[150'001] = -nan;
  f64[199'999] = -inf;
  f64[77] = -1e300;
  expect_scan(DType::kF64, f64,
              {.elements = n, .nans = 2, .infs = 1, .zeros = 2, .first_bad = 150'000, .max_abs = 1e300});
  std::vector<float> f32(n, 0.0f);
  f32[199'998] = std::numeric_limits<float>::infinity();
  f32[5] = -std::numeric_limits<float>::max();
  f32[6] = std::numeric_limits<float>::denorm_min();
  expect_scan(DType::kF32, f32,
              {.elements = n,
               .nans = 0,
               .infs = 1,
               .zeros = n - 3,
               .first_bad = 199'998,
               .max_abs = static_cast<double>(std::numeric_limits<float>::max())});
  std::vector<std::uint16_t> f16(n, 0xBC00);  // -1
  f16[131'072] = 0x7C01;                      // signalling NaN, first of its buffer
  f16[3] = 0x7BFF;
  expect_scan(DType::kF16, f16,
              {.elements = n, .nans = 1, .infs = 0, .zeros = 0, .first_bad = 131'072, .max_abs = 65504});
  std::vector<std::uint16_t> bf16(n, 0xFF80);  // all -inf: the counters of a block must not wrap
  expect_scan(DType::kBF16, bf16,
              {.elements = n, .nans = 0, .infs = n, .zeros = 0, .first_bad = 0, .max_abs = 0});
  expect_scan(DType::kF32, std::vector<float>{}, {});
}

}  // namespace
}  // namespace telos
