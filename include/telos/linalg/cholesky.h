#pragma once

#include <cstddef>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"

// Cholesky in the memory of the matrix, for kernels of thousands of rows. Blocks of 128 columns by gemm():
// same bits for any number of threads.

namespace telos {

/// A = L Lᵀ: L replaces the lower triangle of A, diagonal included; what is above is neither read nor
/// written. Each pivot must exceed `tolerance` times the diagonal element it came from. Returns how many rows
/// of L are done: the order n, or the index of the first pivot that is too small, NaN included; then the
/// lower triangle is undefined. Throws kShape. n³/3 flops.
std::size_t cholesky_in_place(MatrixView<double> a, double tolerance, const Arena& arena);

/// B ← L⁻¹ B and B ← L⁻ᵀ B for the lower triangle L (n × n) and B (n × m). Throws kShape. n²m flops.
void solve_lower(ConstMatrixView<double> l, MatrixView<double> b, const Arena& arena);
void solve_lower_transposed(ConstMatrixView<double> l, MatrixView<double> b, const Arena& arena);

}  // namespace telos
