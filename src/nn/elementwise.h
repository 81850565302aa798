#pragma once

#include <cstddef>
#include <span>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/linalg/gemm.h"

// Elementwise parts of operations. Same bits on every instruction set; one thread.
namespace telos::nn {

/// An arena of one thread, for products inside operations.
const Arena& serial();

/// y += x.
template <class T>
void add_to(std::span<const T> x, std::span<T> y);
/// y += factor·x, product and sum rounded each.
template <class T>
void add_scaled_to(T factor, std::span<const T> x, std::span<T> y);
/// sums[j] += Σ_i x(i, j), in ascending i.
template <class T>
void add_column_sums(ConstMatrixView<T> x, std::span<T> sums);

/// ReLU backward from its result y: dz = dy where y > 0, else 0; and sums[j] += column sums of dz, unless
/// empty.
template <class T>
void relu_backward(ConstMatrixView<T> y, ConstMatrixView<T> dy, MatrixView<T> dz, std::span<T> sums);

/// Calls f(row of a, row of b) over spans; whole matrices at once where both are contiguous.
template <class A, class B, class F>
void for_rows(MatrixView<A> a, MatrixView<B> b, const F& f) {
  if (a.stride() == a.cols() && b.stride() == b.cols())
    return f(std::span<A>(a.data(), a.rows() * a.cols()), std::span<B>(b.data(), b.rows() * b.cols()));
  for (std::size_t i = 0; i < a.rows(); ++i)
    f(std::span<A>(a.row(i), a.cols()), std::span<B>(b.row(i), b.cols()));
}

/// y = activation(x); x and y may be the same.
template <class T>
void activate_all(Activation activation, std::span<const T> x, std::span<T> y);
/// Whether the derivative is computed from the activation's argument; else from its result.
bool derivative_needs_input(Activation activation);
/// dx = dy ⊙ activation'(z), or dx += for `add`. `known` is z or activation(z): see derivative_needs_input().
template <class T>
void multiply_by_derivative(Activation activation, std::span<const T> known, std::span<const T> dy,
                            std::span<T> dx, bool add = false);

}  // namespace telos::nn
