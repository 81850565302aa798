// How alike the rows of X are. Definitions stand in theory.h; this file is about doing them once, in double,
// without overflow, and with singular values from the cheaper of two routes.
#include <algorithm>
#include <cmath>
#include <string>

#include "base/limits.h"
#include "telos/base/arena.h"
#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"
#include "telos/smoothing/theory.h"

namespace telos::smoothing {

namespace {

// The kept rows, divided by 2^exponent so that the largest element lies in [½, 1).
struct Tokens {
  Matrix<double> x;
  int exponent = 0;
};

template <class T>
Tokens gather(ConstMatrixView<T> x, const MeasureOptions& options) {
  if (!options.keep.empty() && options.keep.size() != x.rows())
    throw Error(ErrorKind::kShape, "MeasureOptions.keep",
                std::to_string(options.keep.size()) + " flags for " + std::to_string(x.rows()) + " rows");
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < x.rows(); ++i)
    if (options.keep.empty() || options.keep[i]) rows.push_back(i);
  Tokens out;
  out.x = Matrix<double>(rows.size(), x.cols());
  double largest = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) {
      const double value = static_cast<double>(x(rows[i], j));
      if (!std::isfinite(value))
        throw Error(ErrorKind::kNotFinite,
                    "tokens(" + std::to_string(rows[i]) + ", " + std::to_string(j) + ")",
                    "expected a finite number, found " + std::to_string(value));
      out.x(i, j) = value;
      largest = std::max(largest, std::abs(value));
    }
  if (largest == 0) return out;
  std::frexp(largest, &out.exponent);
  // In two steps, because 2^−exponent itself overflows for subnormal data.
  const double first = std::ldexp(1.0, -(out.exponent / 2)),
               second = std::ldexp(1.0, -(out.exponent - out.exponent / 2));
  for (std::size_t k = 0; k < out.x.size(); ++k) out.x.data()[k] = out.x.data()[k] * first * second;
  return out;
}

double squared(std::span<const double> v) {
  return vec_dot(v, v);
}
std::span<const double> row_of(const Matrix<double>& x, std::size_t i) {
  return {x.row(i), x.cols()};
}

// Mean over tokens of each feature.
std::vector<double> mean_row(const Matrix<double>& x) {
  std::vector<double> mean(x.cols());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) mean[j] += x(i, j);
  for (double& value : mean) value /= static_cast<double>(x.rows());
  return mean;
}

// X ← PX. Equal tokens become exactly 0, not the round-off of their mean.
void centre(Matrix<double>& x) {
  const std::vector<double> mean = mean_row(x);
  const double noise = static_cast<double>(x.rows()) * kEps;
  bool constant = true;
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) {
      constant = constant && std::abs(x(i, j) - mean[j]) <= noise * std::abs(mean[j]);
      x(i, j) -= mean[j];
    }
  if (constant) std::fill_n(x.data(), x.size(), 0.0);
}

// sqrt(‖M‖_1 ‖M‖_∞).
double norm_1inf(const Matrix<double>& x) {
  std::vector<double> columns(x.cols());
  double largest_row = 0;
  for (std::size_t i = 0; i < x.rows(); ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < x.cols(); ++j) {
      const double size = std::abs(x(i, j));
      sum += size;
      columns[j] += size;
    }
    largest_row = std::max(largest_row, sum);
  }
  return std::sqrt(largest_row * *std::max_element(columns.begin(), columns.end()));
}

void measure_filters(const Matrix<double>& x, bool centred, int exponent, TokenMeasures& out) {
  const double n = static_cast<double>(x.rows());
  std::vector<double> mean = mean_row(x);
  if (centred) std::fill(mean.begin(), mean.end(), 0.0);  // X is PX already; what is left is round-off
  Matrix<double> high(x.rows(), x.cols());
  double high2 = 0, total2 = 0, largest2 = 0;
  for (std::size_t i = 0; i < x.rows(); ++i) {
    for (std::size_t j = 0; j < x.cols(); ++j) high(i, j) = x(i, j) - mean[j];
    const double size2 = squared(row_of(x, i));
    high2 += squared(row_of(high, i));
    total2 += size2;
    largest2 = std::max(largest2, size2);
  }
  out.dirichlet = std::ldexp(n * high2, 2 * exponent);
  out.log_norm = total2 > 0 ? std::log(total2) / 2 + exponent * std::log(2.0) : -kInfinity;
  if (total2 == 0) return;
  const double low2 = n * squared(mean);
  out.hfc_lfc = low2 > 0 ? std::sqrt(high2 / low2) : kInfinity;
  out.hfc_frac = std::min(1.0, high2 / total2);
  out.max_norm_share = largest2 / total2;
  out.res_1inf = norm_1inf(high) / norm_1inf(x);
}

void measure_cosines(const Matrix<double>& x, const Arena& arena, TokenMeasures& out) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < x.rows(); ++i)
    if (squared(row_of(x, i)) > 0) rows.push_back(i);
  const std::size_t m = rows.size(), d = x.cols();
  if (m == 0) return;
  Matrix<double> unit(m, d);
  std::vector<double> sum(d);
  for (std::size_t r = 0; r < m; ++r) {
    // Scale first: the squares of a row far smaller than the largest one would lose digits below 1e-154.
    double largest = 0;
    for (double value : row_of(x, rows[r])) largest = std::max(largest, std::abs(value));
    for (std::size_t j = 0; j < d; ++j) unit(r, j) = x(rows[r], j) / largest;
    const double norm = std::sqrt(squared(row_of(unit, r)));
    for (std::size_t j = 0; j < d; ++j) sum[j] += unit(r, j) /= norm;
  }
  const double count = static_cast<double>(m);
  if (m > 1) out.cos_mean = std::clamp((squared(sum) - count) / (count * (count - 1)), -1.0, 1.0);

  // All pairs, in blocks of rows so that memory stays at 256·m.
  constexpr std::size_t kBlock = 256;
  double off_diagonal = 0;
  for (std::size_t begin = 0; begin < m; begin += kBlock) {
    const std::size_t size = std::min(kBlock, m - begin), end = begin + size;
    Matrix<double> cosines(size, end);
    const auto view = ConstMatrixView<double>(unit);
    gemm<double>(Op::kPlain, Op::kTransposed, 1, view.block(begin, 0, size, d), view.block(0, 0, end, d), 0,
                 cosines.view(), arena);
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = 0; j < begin + i; ++j) off_diagonal += std::min(1.0, std::abs(cosines(i, j)));
  }
  out.cos_abs_incl = (2 * off_diagonal + count) / (count * count);
}

double tail_share(const std::vector<double>& sigma) {
  double total = 0, tail = 0;
  for (std::size_t k = 0; k < sigma.size(); ++k) {
    total += sigma[k] * sigma[k];
    if (k > 0) tail += sigma[k] * sigma[k];
  }
  return total > 0 ? tail / total : 0;
}

// Descending singular values by the eigenvalues of the smaller Gram matrix; those below its noise become 0.
std::vector<double> gram_singular_values(const Matrix<double>& x, const Arena& arena) {
  const bool wide = x.rows() <= x.cols();
  const std::size_t n = std::min(x.rows(), x.cols());
  Matrix<double> gram(n, n);
  gemm<double>(wide ? Op::kPlain : Op::kTransposed, wide ? Op::kTransposed : Op::kPlain, 1, x, x, 0,
               gram.view(), arena);
  std::vector<double> sigma = symmetric_eigen(gram).values;
  std::reverse(sigma.begin(), sigma.end());
  const double noise = static_cast<double>(n) * kEps * sigma[0];
  for (double& value : sigma) value = value > noise ? std::sqrt(value) : 0;
  return sigma;
}

std::vector<double> token_singular_values(const Matrix<double>& x, const Arena& arena) {
  constexpr std::size_t kDirect = 32;
  if (std::min(x.rows(), x.cols()) > kDirect) {
    std::vector<double> sigma = gram_singular_values(x, arena);
    if (tail_share(sigma) > 1e-6) return sigma;
  }
  return singular_values(x);
}

void measure_ranks(const Matrix<double>& x, const Arena& arena, TokenMeasures& out) {
  const std::vector<double> sigma = token_singular_values(x, arena);
  if (sigma.empty() || sigma[0] == 0) return;
  double sum1 = 0, sum2 = 0, sum4 = 0, entropy = 0;
  for (double s : sigma) {
    const double ratio = s / sigma[0];
    sum1 += ratio;
    sum2 += ratio * ratio;
    sum4 += ratio * ratio * ratio * ratio;
  }
  for (double s : sigma) {
    const double p = s / sigma[0] / sum1;
    if (p > 0) entropy -= p * std::log(p);
  }
  out.rank1_res = std::sqrt(tail_share(sigma));
  out.stable_rank = sum2;
  out.eff_rank = std::exp(entropy);
  out.part_ratio = sum2 * sum2 / sum4;
}

template <class T>
TokenMeasures measure(ConstMatrixView<T> x, const MeasureOptions& options) {
  Tokens tokens = gather(x, options);
  TokenMeasures out{.hfc_lfc = kNaN,
                    .hfc_frac = kNaN,
                    .cos_mean = kNaN,
                    .cos_abs_incl = kNaN,
                    .res_1inf = kNaN,
                    .rank1_res = kNaN,
                    .stable_rank = kNaN,
                    .eff_rank = kNaN,
                    .part_ratio = kNaN,
                    .dirichlet = 0,
                    .log_norm = -kInfinity,
                    .max_norm_share = kNaN,
                    .rows = tokens.x.rows()};
  if (tokens.x.empty()) return out;
  if (options.centre_features) centre(tokens.x);
  const Arena arena(1);
  measure_filters(tokens.x, options.centre_features, tokens.exponent, out);
  measure_cosines(tokens.x, arena, out);
  measure_ranks(tokens.x, arena, out);
  return out;
}

}  // namespace

TokenMeasures measure_tokens(ConstMatrixView<double> x, const MeasureOptions& options) {
  return measure(x, options);
}
TokenMeasures measure_tokens(ConstMatrixView<float> x, const MeasureOptions& options) {
  return measure(x, options);
}

}  // namespace telos::smoothing
