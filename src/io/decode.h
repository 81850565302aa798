#pragma once

#include <cstddef>

#include "telos/io/checkpoint.h"

namespace telos {

/// Bytes of one element of a float type (is_float(type)): 2, 4 or 8.
std::size_t float_bytes(DType type) noexcept;

/// Widens `n` little-endian elements at `in`, at any alignment. Exact, except that F64 to float rounds to
/// nearest. `type` is one of the four for which is_float() holds.
void decode(DType type, const std::byte* in, std::size_t n, float* out) noexcept;
void decode(DType type, const std::byte* in, std::size_t n, double* out) noexcept;

/// Adds `n` elements at `in` to `scan`, whose `elements` counts those before them.
void scan_elements(DType type, const std::byte* in, std::size_t n, TensorScan& scan) noexcept;

}  // namespace telos
