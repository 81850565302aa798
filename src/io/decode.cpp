#include "io/decode.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>

namespace telos {

static_assert(std::endian::native == std::endian::little,
              "checkpoint bytes are used as they lie in the file");

namespace {

/// A load that any address may take: old files do not align their data.
template <class U>
U load(const std::byte* in) noexcept {
  U value;
  std::memcpy(&value, in, sizeof value);
  return value;
}

/// IEEE binary16 to binary32. The exponent is re-biased by 112 = 127 − 15; Inf and NaN take another 112; a
/// subnormal m·2^-24 is formed as (2^-14 + m·2^-24) − 2^-14, in normal numbers, so that it stays exact on a
/// processor that flushes subnormals. Signed integers, and masks in place of branches, so that loops over it
/// become vector code: the baseline x86-64 has no unsigned comparison of vectors.
float widen_f16(std::uint16_t half) noexcept {
  const std::int32_t magnitude = half & 0x7FFF;
  const std::int32_t is_special = -static_cast<std::int32_t>(magnitude > 0x7BFF);
  const std::int32_t is_subnormal = -static_cast<std::int32_t>(magnitude < 0x0400);
  const std::int32_t normal = (magnitude << 13) + (112 << 23) + (is_special & (112 << 23));
  const auto subnormal =
      std::bit_cast<std::int32_t>(std::bit_cast<float>((magnitude << 13) | (113 << 23)) - 0x1p-14f);
  const auto bits32 = static_cast<std::uint32_t>((is_subnormal & subnormal) | (~is_subnormal & normal));
  return std::bit_cast<float>(bits32 | (half & 0x8000u) << 16);
}

float widen_bf16(std::uint16_t bits16) noexcept {
  return std::bit_cast<float>(std::uint32_t{bits16} << 16);
}

template <class U, class T, class Widen>
void widen_all(const std::byte* in, std::size_t n, T* out, Widen widen) noexcept {
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<T>(widen(load<U>(in + i * sizeof(U))));
}

template <class T>
void decode_any(DType type, const std::byte* in, std::size_t n, T* out) noexcept {
  switch (type) {
    case DType::kF16:
      return widen_all<std::uint16_t>(in, n, out, widen_f16);
    case DType::kBF16:
      return widen_all<std::uint16_t>(in, n, out, widen_bf16);
    case DType::kF32:
      return widen_all<float>(in, n, out, [](float x) { return x; });
    case DType::kF64:
      return widen_all<double>(in, n, out, [](double x) { return x; });
    default:
      return;  // callers have checked is_float()
  }
}

/// Statistics from bit patterns: without the sign bit they order as the magnitudes do, with Inf and NaN on
/// top. I is the signed integer of the element's size (signed for the sake of vector code, as above).
template <class I, class ToDouble>
void scan_bits(const std::byte* in, std::size_t n, I infinity, TensorScan& scan,
               ToDouble to_double) noexcept {
  constexpr std::size_t kBlock = 4096;  // counters of a block fit in I
  constexpr I kMagnitude = std::numeric_limits<I>::max();
  const auto magnitude = [](const std::byte* at) { return static_cast<I>(load<I>(at) & kMagnitude); };
  for (std::size_t start = 0; start < n; start += kBlock) {
    const std::size_t count = std::min(kBlock, n - start);
    const std::byte* block = in + start * sizeof(I);
    I finite = 0, infs = 0, zeros = 0, largest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const I m = magnitude(block + i * sizeof(I));
      const I is_finite = static_cast<I>(m < infinity);
      const I kept = static_cast<I>(m & static_cast<I>(-is_finite));
      finite = static_cast<I>(finite + is_finite);
      infs = static_cast<I>(infs + static_cast<I>(m == infinity));
      zeros = static_cast<I>(zeros + static_cast<I>(m == 0));
      largest = kept > largest ? kept : largest;
    }
    const std::uint64_t bad = count - static_cast<std::uint64_t>(finite);
    if (bad > 0 && scan.nans + scan.infs == 0) {
      std::size_t i = 0;
      while (magnitude(block + i * sizeof(I)) < infinity) ++i;
      scan.first_bad = scan.elements + i;
    }
    scan.elements += count;
    scan.nans += bad - static_cast<std::uint64_t>(infs);
    scan.infs += static_cast<std::uint64_t>(infs);
    scan.zeros += static_cast<std::uint64_t>(zeros);
    scan.max_abs = std::max(scan.max_abs, to_double(largest));
  }
}

}  // namespace

float decode_f16(std::uint16_t bits16) noexcept {
  return widen_f16(bits16);
}
float decode_bf16(std::uint16_t bits16) noexcept {
  return widen_bf16(bits16);
}

std::uint16_t encode_bf16(float value) noexcept {
  const auto b = std::bit_cast<std::uint32_t>(value);
  // Rounding could carry a NaN's payload into the exponent; a set quiet bit keeps it a NaN.
  if ((b & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((b >> 16) | 0x0040u);
  return static_cast<std::uint16_t>((b + 0x7FFFu + ((b >> 16) & 1u)) >> 16);
}

std::size_t float_bytes(DType type) noexcept {
  return bits(type) / 8;
}

void decode(DType type, const std::byte* in, std::size_t n, float* out) noexcept {
  decode_any(type, in, n, out);
}
void decode(DType type, const std::byte* in, std::size_t n, double* out) noexcept {
  decode_any(type, in, n, out);
}

void scan_elements(DType type, const std::byte* in, std::size_t n, TensorScan& scan) noexcept {
  using std::bit_cast;
  switch (type) {
    case DType::kF16:
      return scan_bits<std::int16_t>(in, n, 0x7C00, scan, [](std::int16_t b) {
        return double{widen_f16(static_cast<std::uint16_t>(b))};
      });
    case DType::kBF16:
      return scan_bits<std::int16_t>(in, n, 0x7F80, scan, [](std::int16_t b) {
        return double{widen_bf16(static_cast<std::uint16_t>(b))};
      });
    case DType::kF32:
      return scan_bits<std::int32_t>(in, n, 0x7F800000, scan,
                                     [](std::int32_t b) { return double{bit_cast<float>(b)}; });
    case DType::kF64:
      return scan_bits<std::int64_t>(in, n, 0x7FF0000000000000, scan,
                                     [](std::int64_t b) { return bit_cast<double>(b); });
    default:
      return;
  }
}

}  // namespace telos
