#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

// The inner loops of sampling and of its gradients; the same bits on every instruction set.

namespace telos::bigram::kernel {

/// Tokens come in blocks: 8 calls of the generator, 4 words each.
inline constexpr std::size_t kBlock = 32;
/// Up to so many tokens are told apart in registers.
inline constexpr std::size_t kFewTokens = 8;
/// Partial sums of a weighted histogram: position t goes to lane t mod 16.
inline constexpr std::size_t kLanes = 16;
/// A table of more tokens is indexed by so many upper bits of a random word.
inline constexpr unsigned kTableBits = 12;
/// Marks a cell of it that holds more than one threshold.
inline constexpr std::uint32_t kSeveral = std::uint32_t{1} << 31;

/// Whose random numbers: the key and three words of the counter.
struct Source {
  std::uint64_t seed = 0;
  std::uint32_t stream = 0;
  std::uint64_t sample = 0;
};

/// The law of a token as `count` − 1 ascending thresholds, followed by one element that is read, but decides
/// nothing; for more than kFewTokens also the least token of each table cell, perhaps marked.
struct Law {
  std::size_t count = 0;
  const std::uint32_t* thresholds = nullptr;
  const std::uint32_t* table = nullptr;
};

/// Words of the blocks [first, first + blocks) in the order of positions.
void random_words(const Source& source, std::size_t first, std::size_t blocks, std::uint32_t* words);
/// Tokens of these blocks.
void draw_blocks(const Source& source, const Law& law, std::size_t first, std::size_t blocks,
                 std::uint16_t* tokens);

/// Floats of memory that weighted_histogram needs.
std::size_t histogram_scratch(std::size_t count);
/// h[j] = Σ_{t: x_t = j} a_t: sums in float by lane, in ascending order of t, then over the lanes in double.
void weighted_histogram(const std::uint16_t* x, const float* a, std::size_t length, std::size_t count,
                        float* scratch, double* h);

/// g_t = w[x_t], or g_t += w[x_t]; w has at least kLanes floats.
void look_up(const std::uint16_t* x, const float* w, std::size_t length, std::size_t count, bool add,
             float* g);

}  // namespace telos::bigram::kernel
