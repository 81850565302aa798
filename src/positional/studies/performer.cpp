#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "positional/studies/parts.h"
#include "telos/linalg/decompositions.h"

namespace telos::positional {
namespace {

using studies::View;
/// What the common library adds to each feature.
constexpr double kLibraryEpsilon = 1e-4;

/// W·x − ‖x‖²/2 of each row.
Matrix<double> exponents(View x, View projection) {
  Matrix<double> e = studies::times_transposed(x, projection);
  for (std::size_t i = 0; i < e.rows(); ++i) {
    double squares = 0;
    for (std::size_t j = 0; j < x.cols(); ++j) squares += x(i, j) * x(i, j);
    for (std::size_t j = 0; j < e.cols(); ++j) e(i, j) -= squares / 2;
  }
  return e;
}

/// exp(e − shift_i)·m^(−1/2), plus epsilon.
void exponentiate(Matrix<double>& e, std::span<const double> shift, double epsilon) {
  const double root = 1 / std::sqrt(static_cast<double>(e.cols()));
  for (std::size_t i = 0; i < e.rows(); ++i)
    for (std::size_t j = 0; j < e.cols(); ++j) e(i, j) = root * (std::exp(e(i, j) - shift[i]) + epsilon);
}

/// The stabilised features take off the largest W·x: of each query, of all keys together.
Matrix<double> library_features(View x, View projection, bool query) {
  const Matrix<double> products = studies::times_transposed(x, projection);
  std::vector<double> largest(x.rows(), -std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < x.rows(); ++i)
    largest[i] = *std::max_element(products.row(i), products.row(i) + products.cols());
  if (!query) std::ranges::fill(largest, std::ranges::max(largest));
  Matrix<double> features = exponents(x, projection);
  exponentiate(features, largest, kLibraryEpsilon);
  return features;
}

}  // namespace

Matrix<double> random_projection(std::size_t features, std::size_t d, bool orthogonal, Random& random) {
  Matrix<double> w = studies::normals(features, d, random);
  for (std::size_t begin = 0; orthogonal && begin < features; begin += d) {
    // QR of a square normal matrix with R's diagonal ≥ 0 gives directions uniform over the orthogonal group.
    const Qr basis = qr(studies::normals(d, d, random));
    for (std::size_t i = begin; i < std::min(features, begin + d); ++i) {
      double squares = 0;  // of the row as drawn: its length follows χ_d
      for (std::size_t j = 0; j < d; ++j) squares += w(i, j) * w(i, j);
      for (std::size_t j = 0; j < d; ++j) w(i, j) = std::sqrt(squares) * basis.q(j, i - begin);
    }
  }
  return w;
}

Matrix<double> positive_features(ConstMatrixView<double> x, ConstMatrixView<double> projection) {
  if (x.cols() != projection.cols())
    studies::shape_error("positive features", "the projection has " + std::to_string(projection.cols()) +
                                                  " columns, x " + std::to_string(x.cols()));
  Matrix<double> features = exponents(x, projection);
  exponentiate(features, std::vector<double>(x.rows(), 0.0), 0);
  return features;
}

Matrix<double> performer_attention(ConstMatrixView<double> q, ConstMatrixView<double> k,
                                   ConstMatrixView<double> v, ConstMatrixView<double> projection,
                                   const PerformerOptions& options) {
  studies::check_attention("Performer", q, k, v, options.causal);
  if (projection.cols() != q.cols())
    studies::shape_error("Performer", "the projection has " + std::to_string(projection.cols()) +
                                          " columns, Q " + std::to_string(q.cols()));
  const double scale = std::pow(static_cast<double>(q.cols()), -0.25);
  const Matrix<double> sq = studies::scaled(q, scale), sk = studies::scaled(k, scale);
  const Matrix<double> phi_q =
      options.stabilised ? library_features(sq, projection, true) : positive_features(sq, projection);
  const Matrix<double> phi_k =
      options.stabilised ? library_features(sk, projection, false) : positive_features(sk, projection);
  const std::size_t m = projection.rows(), width = v.cols();
  Matrix<double> sums(m, width + 1), out(q.rows(), width);  // Σ φ(k)[v ‖ 1]ᵀ
  const auto take = [&](std::size_t j) {
    for (std::size_t f = 0; f < m; ++f) {
      for (std::size_t c = 0; c < width; ++c) sums(f, c) += phi_k(j, f) * v(j, c);
      sums(f, width) += phi_k(j, f);
    }
  };
  for (std::size_t j = 0; !options.causal && j < k.rows(); ++j) take(j);
  for (std::size_t i = 0; i < q.rows(); ++i) {
    if (options.causal) take(i);
    double normaliser = 0;
    for (std::size_t f = 0; f < m; ++f) {
      normaliser += phi_q(i, f) * sums(f, width);
      for (std::size_t c = 0; c < width; ++c) out(i, c) += phi_q(i, f) * sums(f, c);
    }
    for (std::size_t c = 0; c < width; ++c) out(i, c) /= normaliser;
  }
  return out;
}

namespace studies {
namespace {

struct Moments {
  double mean = 0, variance = 0, mean_error = 0, variance_error = 0;
};

Moments moments(std::span<const double> values) {
  const double n = static_cast<double>(values.size());
  Moments m;
  for (const double value : values) m.mean += value / n;
  double fourth = 0;
  for (const double value : values) {
    const double square = (value - m.mean) * (value - m.mean);
    m.variance += square / (n - 1);
    fourth += square * square / n;
  }
  m.mean_error = std::sqrt(m.variance / n);
  m.variance_error = std::sqrt(std::max(0.0, fourth - m.variance * m.variance) / n);
  return m;
}

/// Root mean square error of attention by features over draws of the projection.
double attention_error(std::uint64_t seed, std::size_t features, bool orthogonal, View q, View k, View v,
                       const Arena& arena) {
  constexpr std::size_t kDraws = 64;
  const Matrix<double> exact = softmax_attention(q, k, v);
  std::vector<double> squares(kDraws);
  arena.parallel_for(kDraws, [&](std::size_t draw) {
    Random random(seed, static_cast<std::uint32_t>(2 * features + orthogonal), draw);
    const Matrix<double> got =
        performer_attention(q, k, v, random_projection(features, q.cols(), orthogonal, random));
    for (std::size_t i = 0; i < got.size(); ++i)
      squares[draw] += std::pow(got.data()[i] - exact.data()[i], 2) / static_cast<double>(got.size());
  });
  double sum = 0;
  for (const double value : squares) sum += value / kDraws;
  return std::sqrt(sum);
}

}  // namespace

void run_performer(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  // One feature of x = (.3, −.2), y = (.5, .4), drawn often.
  constexpr std::size_t kDraws = 400000, kBlocks = 100;
  const std::array<double, 2> x{.3, -.2}, y{.5, .4};
  const double dot = x[0] * y[0] + x[1] * y[1];
  const double length = std::pow(x[0] + y[0], 2) + std::pow(x[1] + y[1], 2);
  const double mean = std::exp(dot), variance = std::exp(2 * dot) * (std::exp(length) - 1);
  std::vector<double> draws(kDraws);
  arena.parallel_for(kBlocks, [&](std::size_t block) {
    Random random(seed, 0, block);
    const std::size_t count = kDraws / kBlocks;
    const Matrix<double> w = normals(count, 2, random);
    const Matrix<double> a = positive_features({x.data(), 1, 2}, w),
                         b = positive_features({y.data(), 1, 2}, w);
    for (std::size_t i = 0; i < count; ++i)  // undo the m^(−1/2) of both
      draws[block * count + i] = a(0, i) * b(0, i) * static_cast<double>(count);
  });
  const Moments got = moments(draws);
  const bool kernel = std::abs(got.mean - mean) < 5 * got.mean_error &&
                      std::abs(got.variance - variance) < 5 * got.variance_error;

  Random random(seed, 1);
  const Matrix<double> q = normals(32, 8, random, 0.5), k = normals(32, 8, random, 0.5),
                       v = normals(32, 8, random);
  result.table = {"Error of attention over 32 tokens, d = 8, root mean square over 64 draws",
                  {"features", "independent rows", "orthogonal rows"},
                  {}};
  for (const std::size_t features : {16u, 64u, 256u, 1024u})
    result.table.rows.push_back({static_cast<double>(features),
                                 attention_error(seed, features, false, q, k, v, arena),
                                 attention_error(seed, features, true, q, k, v, arena)});
  // 64 times the features, an eighth of the error, within the factor 2 that 64 draws of it leave.
  const double gain = result.table.rows.front()[1] / result.table.rows.back()[1];
  result.holds = kernel && gain > 4 && gain < 16;
  result.measured = fmt::format("mean {:.4f} ± {:.4f} for {:.4f}, variance {:.3f} ± {:.3f} for {:.3f}",
                                got.mean, got.mean_error, mean, got.variance, got.variance_error, variance);
}

}  // namespace studies
}  // namespace telos::positional
