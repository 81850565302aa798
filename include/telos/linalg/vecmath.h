#pragma once

#include <span>

#include "telos/base/matrix.h"

namespace telos {

// Elementwise functions with bits that do not depend on the vector width, the thread count or the C library. Error
// bounds in units in the last place (ULP) are stated in docs/numerics.md and tested. In place where x and y coincide.
// T is float or double.

template <class T> void vec_exp(std::span<const T> x, std::span<T> y);
template <class T> void vec_tanh(std::span<const T> x, std::span<T> y);
template <class T> void vec_erf(std::span<const T> x, std::span<T> y);
/// x·Φ(x) = x/2·(1 + erf(x/√2)).
template <class T> void vec_gelu(std::span<const T> x, std::span<T> y);
/// x/2·(1 + tanh(√(2/π)(x + 0.044715x³))).
template <class T> void vec_gelu_tanh(std::span<const T> x, std::span<T> y);
/// x / (1 + e^(−x)).
template <class T> void vec_silu(std::span<const T> x, std::span<T> y);
/// x / (1 + e^(−1.702x)).
template <class T> void vec_quick_gelu(std::span<const T> x, std::span<T> y);

/// Each row of `x` becomes softmax(scale·row[0:valid]), and 0 beyond `valid` columns; the row's maximum is subtracted
/// first. valid ≤ cols. A row with valid = 0 becomes all zero. Row sums are 1 within cols·ε.
template <class T> void softmax_row(std::span<T> row, std::size_t valid, T scale);

/// Sum and dot product by a fixed tree (8 lanes, then pairwise): same bits on every target.
template <class T> T vec_sum(std::span<const T> x);
template <class T> T vec_dot(std::span<const T> x, std::span<const T> y);

}  // namespace telos
