#include "telos/linalg/cholesky.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "linalg/shape_text.h"
#include "telos/base/error.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos {
namespace {

constexpr std::size_t kColumns = 128;

void require_factor(const char* where, ConstMatrixView<double> l, std::size_t rows) {
  if (l.rows() != l.cols())
    throw Error(ErrorKind::kShape, where,
                "matrix is " + shape_text(l.rows(), l.cols()) + ", expected a square one");
  if (rows != l.rows())
    throw Error(
        ErrorKind::kShape, where,
        "right-hand side has " + std::to_string(rows) + " rows, expected " + std::to_string(l.rows()));
}

double dot(const double* x, const double* y, std::size_t n) {
  return vec_dot(std::span<const double>(x, n), std::span<const double>(y, n));
}

/// Factorises a small block whose pivots must exceed `least`; returns the rows done.
std::size_t factorise_block(MatrixView<double> a, const double* least) {
  for (std::size_t i = 0; i < a.rows(); ++i) {
    for (std::size_t j = 0; j < i; ++j) a(i, j) = (a(i, j) - dot(a.row(i), a.row(j), j)) / a(j, j);
    const double pivot = a(i, i) - dot(a.row(i), a.row(i), i);
    if (!(pivot > least[i])) return i;
    a(i, i) = std::sqrt(pivot);
  }
  return a.rows();
}

}  // namespace

std::size_t cholesky_in_place(MatrixView<double> a, double tolerance, const Arena& arena) {
  const std::size_t n = a.rows();
  require_factor("cholesky_in_place", a, n);
  Matrix<double> square(kColumns, kColumns);
  double least[kColumns];
  for (std::size_t at = 0; at < n; at += kColumns) {
    const std::size_t width = std::min(kColumns, n - at), below = n - at - width;
    const MatrixView<double> diagonal = square.view().block(0, 0, width, width);
    const ConstMatrixView<double> done = a.block(at, 0, width, at);
    for (std::size_t i = 0; i < width; ++i) {
      std::copy_n(a.row(at + i) + at, i + 1, diagonal.row(i));
      least[i] = std::max(0.0, tolerance * diagonal(i, i));
    }
    const MatrixView<double> panel = a.block(at + width, at, below, width);
    if (at > 0) {
      gemm<double>(Op::kPlain, Op::kTransposed, -1, done, done, 1, diagonal, arena);
      gemm<double>(Op::kPlain, Op::kTransposed, -1, a.block(at + width, 0, below, at), done, 1, panel, arena);
    }
    const std::size_t rows = factorise_block(diagonal, least);
    if (rows < width) return at + rows;
    for (std::size_t i = 0; i < width; ++i) std::copy_n(diagonal.row(i), i + 1, a.row(at + i) + at);
    arena.parallel_for(below, [&](std::size_t i) {
      double* const row = panel.row(i);
      for (std::size_t j = 0; j < width; ++j)
        row[j] = (row[j] - dot(row, diagonal.row(j), j)) / diagonal(j, j);
    });
  }
  return n;
}

void solve_lower(ConstMatrixView<double> l, MatrixView<double> b, const Arena& arena) {
  const std::size_t n = l.rows(), m = b.cols();
  require_factor("solve_lower", l, b.rows());
  for (std::size_t at = 0; at < n; at += kColumns) {
    const std::size_t width = std::min(kColumns, n - at);
    if (at > 0)
      gemm<double>(Op::kPlain, Op::kPlain, -1, l.block(at, 0, width, at), b.block(0, 0, at, m), 1,
                   b.block(at, 0, width, m), arena);
    for (std::size_t i = at; i < at + width; ++i) {
      for (std::size_t k = at; k < i; ++k)
        for (std::size_t j = 0; j < m; ++j) b(i, j) -= l(i, k) * b(k, j);
      for (std::size_t j = 0; j < m; ++j) b(i, j) /= l(i, i);
    }
  }
}

void solve_lower_transposed(ConstMatrixView<double> l, MatrixView<double> b, const Arena& arena) {
  const std::size_t n = l.rows(), m = b.cols();
  require_factor("solve_lower_transposed", l, b.rows());
  for (std::size_t end = n; end > 0;) {
    const std::size_t at = (end - 1) / kColumns * kColumns, width = end - at;
    if (end < n)
      gemm<double>(Op::kTransposed, Op::kPlain, -1, l.block(end, at, n - end, width),
                   b.block(end, 0, n - end, m), 1, b.block(at, 0, width, m), arena);
    for (std::size_t i = end; i-- > at;) {
      for (std::size_t j = 0; j < m; ++j) b(i, j) /= l(i, i);
      for (std::size_t k = at; k < i; ++k)
        for (std::size_t j = 0; j < m; ++j) b(k, j) -= l(i, k) * b(i, j);
    }
    end = at;
  }
}

}  // namespace telos
