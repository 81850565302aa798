#pragma once

#include <cstddef>
#include <span>

#include "telos/base/matrix.h"

namespace telos {

// Elementwise functions with bits that do not depend on the vector width, the thread count or the C library:
// additions, multiplications, divisions and fused multiply-adds in a fixed order. In place where x and y
// coincide. T is float or double. Throws Error{kShape} if x and y differ in length. NaN in gives NaN out (its
// payload is not specified); infinities give the limits; results below the smallest normal number are
// rounded, not flushed.
//
// Largest errors in units in the last place (ULP) over the whole range, asserted in
// tests/linalg/vecmath_test.cpp:
//
//   function    float   double
//   exp           1.0      1.0
//   tanh          1.5      1.5
//   erf           1.5      1.5
//   gelu          6        10     (also in the left tail, where x·(1 + erf(x/√2))/2 would lose all digits)
//   silu          4        4
//   gelu_tanh     4 + 6|z|        z = 2√(2/π)(x + 0.044715x³); z's own rounding errors count |z| times
//   quick_gelu    4 + 2|z|        z = 1.702x

template <class T>
void vec_exp(std::span<const T> x, std::span<T> y);
template <class T>
void vec_tanh(std::span<const T> x, std::span<T> y);
template <class T>
void vec_erf(std::span<const T> x, std::span<T> y);
/// x·Φ(x) = x/2·(1 + erf(x/√2)).
template <class T>
void vec_gelu(std::span<const T> x, std::span<T> y);
/// x/2·(1 + tanh(√(2/π)(x + 0.044715x³))).
template <class T>
void vec_gelu_tanh(std::span<const T> x, std::span<T> y);
/// x / (1 + e^(−x)).
template <class T>
void vec_silu(std::span<const T> x, std::span<T> y);
/// x / (1 + e^(−1.702x)).
template <class T>
void vec_quick_gelu(std::span<const T> x, std::span<T> y);

/// `row` becomes softmax(scale·row[0:valid]), and 0 beyond `valid` columns; the largest exponent is
/// subtracted first. valid ≤ row.size() (else kShape). A row with valid = 0 becomes all zero. Row sums are 1
/// within valid·ε. A row that holds NaN, +∞, or nothing but −∞ becomes NaN in its valid part.
template <class T>
void softmax_row(std::span<T> row, std::size_t valid, T scale);

/// softmax_row on each row of an attention score matrix: row i keeps the first `valid` columns, and of these,
/// if `causal`, those up to its own position first + i (`first` = position of row 0 among the keys).
template <class T>
void attention_softmax(MatrixView<T> scores, T scale, std::size_t valid, bool causal, std::size_t first = 0);

/// Sum and dot product by a fixed tree: lane l of 32 takes elements l, l + 32, … in this order (the dot
/// product by fused multiply-adds), then the lanes are added pairwise, l to l + 16, l to l + 8, and so on.
/// Same bits on every target.
template <class T>
T vec_sum(std::span<const T> x);
template <class T>
T vec_dot(std::span<const T> x, std::span<const T> y);

/// y = (x − mean)/√(var + eps) · gain + bias with the biased variance (divided by n), both by the tree of
/// vec_sum; the mean is corrected once, so that a large common offset of x does not spoil the variance. Empty
/// gain or bias: none. y may be x. Throws kShape.
template <class T>
void layer_norm_row(std::span<const T> x, std::span<const T> gain, std::span<const T> bias, T eps,
                    std::span<T> y);
/// y = x/√(mean(x²) + eps) · gain. Empty gain: none. y may be x. Throws kShape.
template <class T>
void rms_norm_row(std::span<const T> x, std::span<const T> gain, T eps, std::span<T> y);

}  // namespace telos
