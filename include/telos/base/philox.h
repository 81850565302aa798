#pragma once

#include <array>
#include <cstdint>

namespace telos {

/// Philox4x32-10 (Salmon et al., SC 2011): ten rounds of a keyed bijection of 128-bit counters. Stateless:
/// the numbers for sample s of a stream depend on (seed, stream, s) alone, so any thread may draw them in any
/// order.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// A sequence of random numbers from Philox: key = seed, counter = (block, sample lo, sample hi, stream). Two
/// Random objects with equal (seed, stream, sample) give equal sequences on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint32_t stream = 0, std::uint64_t sample = 0)
      : seed_(seed), sample_(sample), stream_(stream) {}

  /// Uniform over all 2^32 values.
  std::uint32_t bits();
  /// Uniform on [0, 1): 53 random bits times 2^-53.
  double uniform();
  /// Standard normal by Box–Muller (two uniforms make two normals).
  double normal();
  /// Uniform over 0 … n−1 without bias (Lemire's method). n > 0.
  std::uint32_t below(std::uint32_t n);

 private:
  std::uint64_t seed_, sample_;
  std::uint32_t stream_, block_ = 0;
  std::array<std::uint32_t, 4> buffer_{};
  int used_ = 4;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace telos
