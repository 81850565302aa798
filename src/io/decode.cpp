#include "io/decode.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

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

/// IEEE binary16 to binary32 without branches, so that loops over it become vector code. The exponent is
/// re-biased by 112 = 127 − 15; Inf and NaN take another 112; a subnormal m·2^-24 is formed as (2^-14 +
/// m·2^-24) − 2^-14, in normal numbers, so that it stays exact on a processor that flushes subnormals.
float widen_f16(std::uint16_t half) noexcept {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7FFFu;
  const std::uint32_t normal = (magnitude << 13) + (112u << 23);
  const std::uint32_t special = normal + (112u << 23);
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>((magnitude << 13) | (113u << 23)) - 0x1p-14f);
  const std::uint32_t finite = magnitude < 0x0400u ? subnormal : normal;
  return std::bit_cast<float>((magnitude >= 0x7C00u ? special : finite) | sign);
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
/// top.
template <class U, class ToDouble>
void scan_bits(const std::byte* in, std::size_t n, U infinity, TensorScan& scan,
               ToDouble to_double) noexcept {
  constexpr std::size_t kBlock = 4096;  // counters of a block fit in U
  constexpr U kMagnitude = static_cast<U>(static_cast<U>(~U{0}) >> 1);
  for (std::size_t start = 0; start < n; start += kBlock) {
    const std::size_t count = std::min(kBlock, n - start);
    const std::byte* block = in + start * sizeof(U);
    U nans = 0, infs = 0, zeros = 0, largest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const U m = static_cast<U>(load<U>(block + i * sizeof(U)) & kMagnitude);
      nans = static_cast<U>(nans + U{m > infinity});
      infs = static_cast<U>(infs + U{m == infinity});
      zeros = static_cast<U>(zeros + U{m == 0});
      const U finite = m < infinity ? m : U{0};
      largest = finite > largest ? finite : largest;
    }
    if (nans + infs > 0 && scan.nans + scan.infs == 0) {
      std::size_t i = 0;
      while (static_cast<U>(load<U>(block + i * sizeof(U)) & kMagnitude) < infinity) ++i;
      scan.first_bad = scan.elements + i;
    }
    scan.elements += count;
    scan.nans += nans;
    scan.infs += infs;
    scan.zeros += zeros;
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
      return scan_bits<std::uint16_t>(in, n, 0x7C00u, scan,
                                      [](std::uint16_t b) { return double{widen_f16(b)}; });
    case DType::kBF16:
      return scan_bits<std::uint16_t>(in, n, 0x7F80u, scan,
                                      [](std::uint16_t b) { return double{widen_bf16(b)}; });
    case DType::kF32:
      return scan_bits<std::uint32_t>(in, n, 0x7F800000u, scan,
                                      [](std::uint32_t b) { return double{bit_cast<float>(b)}; });
    case DType::kF64:
      return scan_bits<std::uint64_t>(in, n, 0x7FF0000000000000u, scan,
                                      [](std::uint64_t b) { return bit_cast<double>(b); });
    default:
      return;
  }
}

}  // namespace telos
