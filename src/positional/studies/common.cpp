#include <algorithm>
#include <cmath>
#include <limits>

#include "positional/studies/parts.h"
#include "telos/base/error.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::positional {
namespace studies {
namespace {

Matrix<double> product(Op op_b, View a, View b) {
  const Arena serial(1);
  Matrix<double> c(a.rows(), op_b == Op::kPlain ? b.cols() : b.rows());
  gemm<double>(Op::kPlain, op_b, 1.0, a, b, 0.0, c, serial);
  return c;
}

}  // namespace

Matrix<double> normals(std::size_t rows, std::size_t cols, Random& random, double scale) {
  Matrix<double> x(rows, cols);
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = scale * random.normal();
  return x;
}

double largest_difference(View a, View b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) largest = std::max(largest, std::abs(a(i, j) - b(i, j)));
  return largest;
}

Matrix<double> times_transposed(View a, View b) {
  return product(Op::kTransposed, a, b);
}
Matrix<double> times(View a, View b) {
  return product(Op::kPlain, a, b);
}

Matrix<double> scaled(View x, double factor) {
  Matrix<double> y(x.rows(), x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) y(i, j) = x(i, j) * factor;
  return y;
}

void softmax_rows(Matrix<double>& x, bool causal) {
  attention_softmax<double>(x, 1.0, x.cols(), causal);
}

void shape_error(std::string_view where, const std::string& message) {
  throw Error(ErrorKind::kShape, std::string(where), message);
}

void check_attention(std::string_view where, View q, View k, View v, bool square) {
  if (q.empty() || k.empty() || v.empty()) shape_error(where, "Q, K or V has no elements");
  if (q.cols() != k.cols())
    shape_error(where, "Q has " + std::to_string(q.cols()) + " columns, K " + std::to_string(k.cols()));
  if (k.rows() != v.rows())
    shape_error(where, "K has " + std::to_string(k.rows()) + " rows, V " + std::to_string(v.rows()));
  if (square && q.rows() != k.rows())
    shape_error(where, "Q has " + std::to_string(q.rows()) + " rows, K " + std::to_string(k.rows()));
}

}  // namespace studies

Matrix<double> softmax_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                 ConstMatrixView<double> v, bool causal) {
  studies::check_attention("softmax attention", q, k, v, causal);
  Matrix<double> p = studies::times_transposed(q, k);
  attention_softmax<double>(p, 1 / std::sqrt(static_cast<double>(q.cols())), k.rows(), causal);
  return studies::times(p, v);
}

}  // namespace telos::positional
