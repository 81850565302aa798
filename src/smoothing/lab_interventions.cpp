// Published interventions on attention, values and features, as plain functions of matrices.
#include <cmath>
#include <string>

#include "telos/base/arena.h"
#include "telos/base/error.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"
#include "telos/smoothing/lab.h"

namespace telos::smoothing {

namespace {

std::string shape_text(ConstMatrixView<double> m) {
  return std::to_string(m.rows()) + "×" + std::to_string(m.cols());
}

double channel(std::span<const double> values, std::size_t j) {
  return values[values.size() == 1 ? 0 : j];
}

void check_channels(const char* name, std::span<const double> values, std::size_t d) {
  if (values.size() != 1 && values.size() != d)
    throw Error(ErrorKind::kShape, name,
                "expected 1 or " + std::to_string(d) + " values, found " + std::to_string(values.size()));
}

}  // namespace

Matrix<double> attn_scale(ConstMatrixView<double> a, double omega) {
  if (a.rows() != a.cols())
    throw Error(ErrorKind::kShape, "attn_scale", "expected a square matrix, found " + shape_text(a));
  const double mean = 1 / static_cast<double>(a.rows());
  Matrix<double> out(a.rows(), a.cols());
  for (std::size_t i = 0; i < a.rows(); ++i)
    for (std::size_t j = 0; j < a.cols(); ++j) out(i, j) = a(i, j) + omega * (a(i, j) - mean);
  return out;
}

Matrix<double> feat_scale(ConstMatrixView<double> x, std::span<const double> low,
                          std::span<const double> high, bool official) {
  check_channels("feat_scale low", low, x.cols());
  check_channels("feat_scale high", high, x.cols());
  const double factor = official ? 2 : 1;
  std::vector<double> mean(x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) mean[j] += x(i, j) / static_cast<double>(x.rows());
  Matrix<double> out(x.rows(), x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j)
      out(i, j) =
          x(i, j) + factor * channel(low, j) * mean[j] + factor * channel(high, j) * (x(i, j) - mean[j]);
  return out;
}

Matrix<double> contra_norm(ConstMatrixView<double> x, double s) {
  const std::size_t n = x.rows(), d = x.cols();
  const Arena arena(1);
  Matrix<double> unit(n, d), similarity(n, n), out(n, d);
  for (std::size_t i = 0; i < n; ++i) {
    const double norm = std::sqrt(vec_dot<double>({x.row(i), d}, {x.row(i), d}));
    for (std::size_t j = 0; j < d; ++j) {
      unit(i, j) = norm > 0 ? x(i, j) / norm : 0;
      out(i, j) = (1 + s) * x(i, j);
    }
  }
  gemm<double>(Op::kPlain, Op::kTransposed, 1, unit, unit, 0, similarity.view(), arena);
  for (std::size_t i = 0; i < n; ++i) softmax_row<double>({similarity.row(i), n}, n, 1.0);
  gemm<double>(Op::kPlain, Op::kPlain, -s, similarity, x, 1, out.view(), arena);
  return out;
}

Matrix<double> neutreno(ConstMatrixView<double> a, ConstMatrixView<double> v, ConstMatrixView<double> v0,
                        double lambda) {
  if (a.cols() != v.rows() || a.rows() != v.rows() || v.rows() != v0.rows() || v.cols() != v0.cols())
    throw Error(ErrorKind::kShape, "neutreno",
                "attention " + shape_text(a) + ", values " + shape_text(v) + ", first values " +
                    shape_text(v0) + " do not fit");
  Matrix<double> out(v.rows(), v.cols());
  for (std::size_t i = 0; i < v.rows(); ++i)
    for (std::size_t j = 0; j < v.cols(); ++j) out(i, j) = lambda * (v0(i, j) - v(i, j));
  const Arena arena(1);
  gemm<double>(Op::kPlain, Op::kPlain, 1, a, v, 1, out.view(), arena);
  return out;
}

}  // namespace telos::smoothing
