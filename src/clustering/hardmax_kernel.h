#pragma once

#include <cstddef>
#include <cstdint>

// Loops of the scan over rows of single-precision numbers, one copy an instruction set.

namespace telos::clustering {

/// Largest of n numbers and −∞.
float largest(const float* x, std::size_t n);

/// Ascending j < n with x[j] ≥ least; returns how many. `indices` has room for n + kSpare.
inline constexpr std::size_t kSpare = 64;
std::size_t find_at_least(const float* x, std::size_t n, float least, std::uint32_t* indices);

/// Σ a_j b_j in an order that depends on the instruction set.
float dot_single(const float* a, const float* b, std::size_t n);

}  // namespace telos::clustering
