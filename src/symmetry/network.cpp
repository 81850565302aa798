#include "symmetry/network.h"

#include <cmath>

#include "telos/linalg/gemm.h"

namespace telos::symmetry {
namespace {

ConstMatrixView<double> as_matrix(std::span<const double> all, std::size_t at, std::size_t rows,
                                  std::size_t cols) {
  return {all.data() + at, rows, cols};
}

}  // namespace

Network::Network(const SimplifiedBlock& block, const NetworkShape& shape, std::size_t length,
                 std::uint32_t letters)
    : block_(block),
      shape_(shape),
      length_(length),
      letters_(letters),
      size_(values_at() + shape.heads * shape.width),
      scale_(1 / (static_cast<double>(length) * std::sqrt(static_cast<double>(shape.heads)) *
                  static_cast<double>(shape.width))),
      hidden_(rows(), shape.width),
      query_(shape.heads, shape.width),
      logits_(rows(), shape.heads),
      values_(rows(), shape.heads),
      d_logits_(rows(), shape.heads),
      d_values_(rows(), shape.heads),
      d_hidden_(rows(), shape.width),
      d_query_(shape.heads, shape.width) {}

void Network::forward(std::span<const double> theta, std::span<double> table) {
  const std::size_t d = shape_.width, m = shape_.keys;
  const double e = std::sqrt(block_.token), s = std::sqrt(block_.position);
  for (std::size_t b = 0; b < length_; ++b)
    for (std::size_t v = 0; v < letters_; ++v) {
      double* const row = hidden_.row(b * letters_ + v);
      const double* const letter = theta.data() + letters_at() + v * d;
      const double* const position = theta.data() + positions_at() + b * d;
      for (std::size_t i = 0; i < d; ++i) row[i] = e * letter[i] + s * position[i];
    }
  const double per_key = 1 / std::sqrt(static_cast<double>(m));
  for (std::size_t h = 0; h < shape_.heads; ++h) {
    const double* const k = theta.data() + queries_at() + h * m;
    for (std::size_t i = 0; i < d; ++i) {
      const double* const w = theta.data() + keys_at() + (h * d + i) * m;
      double sum = 0;
      for (std::size_t j = 0; j < m; ++j) sum += w[j] * k[j];
      query_(h, i) = per_key * sum;
    }
  }
  gemm<double>(Op::kPlain, Op::kTransposed, 1, hidden_, query_, 0, logits_, arena_);
  gemm<double>(Op::kPlain, Op::kTransposed, 1, hidden_, as_matrix(theta, values_at(), shape_.heads, d), 0,
               values_, arena_);
  for (std::size_t r = 0; r < rows(); ++r) {
    double sum = 0;
    for (std::size_t h = 0; h < shape_.heads; ++h) sum += logits_(r, h) * values_(r, h);
    table[r] = scale_ * sum;
  }
}

void Network::gradient(std::span<const double> theta, std::span<const double> slope,
                       std::span<double> gradient) {
  const std::size_t d = shape_.width, m = shape_.keys, heads = shape_.heads;
  for (std::size_t r = 0; r < rows(); ++r)
    for (std::size_t h = 0; h < heads; ++h) {
      d_logits_(r, h) = scale_ * slope[r] * values_(r, h);
      d_values_(r, h) = scale_ * slope[r] * logits_(r, h);
    }
  gemm<double>(Op::kTransposed, Op::kPlain, 1, d_logits_, hidden_, 0, d_query_, arena_);
  gemm<double>(Op::kTransposed, Op::kPlain, 1, d_values_, hidden_, 0,
               MatrixView<double>(gradient.data() + values_at(), heads, d), arena_);
  gemm<double>(Op::kPlain, Op::kPlain, 1, d_logits_, query_, 0, d_hidden_, arena_);
  gemm<double>(Op::kPlain, Op::kPlain, 1, d_values_, as_matrix(theta, values_at(), heads, d), 1, d_hidden_,
               arena_);
  std::fill_n(gradient.data(), keys_at(), 0.0);
  const double e = std::sqrt(block_.token), s = std::sqrt(block_.position);
  for (std::size_t b = 0; b < length_; ++b)
    for (std::size_t v = 0; v < letters_; ++v) {
      const double* const row = d_hidden_.row(b * letters_ + v);
      double* const letter = gradient.data() + letters_at() + v * d;
      double* const position = gradient.data() + positions_at() + b * d;
      for (std::size_t i = 0; i < d; ++i) {
        letter[i] += e * row[i];
        position[i] += s * row[i];
      }
    }
  const double per_key = 1 / std::sqrt(static_cast<double>(m));
  std::fill_n(gradient.data() + queries_at(), heads * m, 0.0);
  for (std::size_t h = 0; h < heads; ++h) {
    const double* const k = theta.data() + queries_at() + h * m;
    double* const d_k = gradient.data() + queries_at() + h * m;
    for (std::size_t i = 0; i < d; ++i) {
      const double slope_of_query = per_key * d_query_(h, i);
      const std::size_t at = keys_at() + (h * d + i) * m;
      for (std::size_t j = 0; j < m; ++j) {
        gradient[at + j] = slope_of_query * k[j];
        d_k[j] += slope_of_query * theta[at + j];
      }
    }
  }
}

Matrix<double> Network::row_kernel() const {
  const double d = static_cast<double>(shape_.width), l = static_cast<double>(length_);
  Matrix<double> kernel(rows(), rows()), overlaps(rows(), rows());
  gemm<double>(Op::kPlain, Op::kTransposed, 1 / (l * l * static_cast<double>(shape_.heads) * d * d), logits_,
               logits_, 0, kernel, arena_);
  gemm<double>(Op::kPlain, Op::kTransposed, 1, hidden_, hidden_, 0, overlaps, arena_);
  for (std::size_t i = 0; i < kernel.size(); ++i) kernel.data()[i] *= overlaps.data()[i];
  return kernel;
}

}  // namespace telos::symmetry
