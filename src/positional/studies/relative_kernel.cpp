#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "positional/studies/parts.h"
#include "telos/base/error.h"
#include "telos/report/words.h"

namespace telos::positional {

void fast_fourier(std::span<std::complex<double>> x, bool inverse) {
  const std::size_t n = x.size();
  if (!std::has_single_bit(n))
    throw Error(ErrorKind::kUsage, "Fourier transform",
                "the size is " + std::to_string(n) + ", expected a power of two");
  // Cooley–Tukey, decimation in time: bit-reversed order, then butterflies of growing length.
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n >> 1;
    for (; (j & bit) != 0; bit >>= 1) j ^= bit;
    j |= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  // Each root by its own sine and cosine: a product of roots would lose digits along the way.
  std::vector<std::complex<double>> roots(n / 2);
  for (std::size_t i = 0; i < roots.size(); ++i)
    roots[i] = std::polar(
        1.0, (inverse ? 2 : -2) * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n));
  for (std::size_t half = 1; half < n; half *= 2)
    for (std::size_t begin = 0; begin < n; begin += 2 * half)
      for (std::size_t i = 0; i < half; ++i) {
        const std::complex<double> odd = roots[i * (n / (2 * half))] * x[begin + half + i];
        x[begin + half + i] = x[begin + i] - odd;
        x[begin + i] += odd;
      }
  if (inverse)
    for (auto& value : x) value /= static_cast<double>(n);
}

Matrix<double> toeplitz_product(std::span<const double> c, ConstMatrixView<double> x) {
  const std::size_t n = x.rows();
  if (n == 0 || c.size() != 2 * n - 1)
    studies::shape_error("Toeplitz product", std::to_string(c.size()) + " values for " + std::to_string(n) +
                                                 " rows, expected 2n − 1");
  const std::size_t size = std::bit_ceil(2 * n - 1);
  std::vector<std::complex<double>> kernel(size), column(size);
  // y_i = Σ_j c_{j−i} x_j is a convolution with c_{−t} at t = 0 … n − 1 and c_t at −t, taken modulo the size.
  for (std::size_t t = 0; t < n; ++t) kernel[t] = c[n - 1 - t];
  for (std::size_t t = 1; t < n; ++t) kernel[size - t] = c[n - 1 + t];
  fast_fourier(kernel);
  Matrix<double> y(n, x.cols());
  // Two real columns make one complex one: the kernel is real, so its products stay apart.
  for (std::size_t j = 0; j < x.cols(); j += 2) {
    const bool pair = j + 1 < x.cols();
    std::ranges::fill(column, 0.0);
    for (std::size_t i = 0; i < n; ++i) column[i] = {x(i, j), pair ? x(i, j + 1) : 0.0};
    fast_fourier(column);
    for (std::size_t i = 0; i < size; ++i) column[i] *= kernel[i];
    fast_fourier(column, true);
    for (std::size_t i = 0; i < n; ++i) {
      y(i, j) = column[i].real();
      if (pair) y(i, j + 1) = column[i].imag();
    }
  }
  return y;
}

Matrix<double> relative_kernel_attention(ConstMatrixView<double> phi_q, ConstMatrixView<double> phi_k,
                                         ConstMatrixView<double> v, std::span<const double> b, bool causal) {
  constexpr const char* kWhere = "relative kernel attention";
  studies::check_attention(kWhere, phi_q, phi_k, v, true);
  const std::size_t n = phi_k.rows(), m = phi_k.cols(), width = v.cols();
  if (b.size() != 2 * n - 1)
    studies::shape_error(
        kWhere, std::to_string(b.size()) + " offsets for " + std::to_string(n) + " tokens, expected 2n − 1");
  std::vector<double> c(b.size());
  for (std::size_t t = 0; t < b.size(); ++t) c[t] = causal && t > n - 1 ? 0 : std::exp(b[t]);
  // Columns φ_f(k)·[v ‖ 1].
  Matrix<double> columns(n, m * (width + 1));
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t f = 0; f < m; ++f) {
      for (std::size_t e = 0; e < width; ++e) columns(j, f * (width + 1) + e) = phi_k(j, f) * v(j, e);
      columns(j, f * (width + 1) + width) = phi_k(j, f);
    }
  const Matrix<double> mixed = toeplitz_product(c, columns);
  Matrix<double> out(n, width);
  for (std::size_t i = 0; i < n; ++i) {
    double normaliser = 0;
    for (std::size_t f = 0; f < m; ++f) {
      for (std::size_t e = 0; e < width; ++e) out(i, e) += phi_q(i, f) * mixed(i, f * (width + 1) + e);
      normaliser += phi_q(i, f) * mixed(i, f * (width + 1) + width);
    }
    for (std::size_t e = 0; e < width; ++e) out(i, e) /= normaliser;
  }
  return out;
}

namespace studies {
namespace {

/// The same from the n × n matrix of weights.
Matrix<double> relative_kernel_directly(View phi_q, View phi_k, View v, std::span<const double> b,
                                        bool causal) {
  Matrix<double> weights = times_transposed(phi_q, phi_k);
  const std::size_t n = weights.rows();
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) {
      weights(i, j) *= causal && j > i ? 0 : std::exp(b[j + n - 1 - i]);
      sum += weights(i, j);
    }
    for (std::size_t j = 0; j < n; ++j) weights(i, j) /= sum;
  }
  return times(weights, v);
}

}  // namespace

void run_relative_kernel(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  constexpr std::size_t kFeatures = 8, kWidth = 4;
  const std::vector<std::size_t> sizes{1, 2, 7, 64, 333, 1024};
  struct Outcome {
    double full = 0, causal = 0, rows = 0;
  };
  std::vector<Outcome> outcomes(sizes.size());
  arena.parallel_for(sizes.size(), [&](std::size_t s) {
    Random random(seed, 0, s);
    const std::size_t n = sizes[s];
    const Matrix<double> q = elu_features(normals(n, kFeatures, random)),
                         k = elu_features(normals(n, kFeatures, random)), v = normals(n, kWidth, random),
                         b = normals(1, 2 * n - 1, random, 0.5);
    const std::span<const double> offsets(b.data(), b.size());
    outcomes[s].full = largest_difference(relative_kernel_attention(q, k, v, offsets),
                                          relative_kernel_directly(q, k, v, offsets, false));
    outcomes[s].causal = largest_difference(relative_kernel_attention(q, k, v, offsets, true),
                                            relative_kernel_directly(q, k, v, offsets, true));
    // φ = 1 leaves positional attention with rows e^{b_{j−i}} scaled to sum 1, for any content.
    Matrix<double> one(n, 1);
    std::fill_n(one.data(), n, 1.0);
    outcomes[s].rows = largest_difference(relative_kernel_attention(one, one, v, offsets),
                                          relative_kernel_directly(one, one, v, offsets, false));
  });
  result.table = {"FFT against the n × n matrix, largest difference",
                  {"tokens", "full", "causal", "positional (φ = 1)", "multiplications, direct/FFT"},
                  {}};
  double largest = 0;
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    const auto& [full, causal, rows] = outcomes[s];
    largest = std::max({largest, full, causal, rows});
    const double n = static_cast<double>(sizes[s]),
                 size = static_cast<double>(std::bit_ceil(2 * sizes[s] - 1));
    const double columns = kFeatures * (kWidth + 1);
    // A complex transform of N: N/2·log2 N products of four; a pair of columns takes two of them and N
    // products.
    const double fft = columns / 2 * (2 * size / 2 * std::log2(size) + size) * 4 + n * columns;
    const double direct = n * n * (kFeatures + 1 + kWidth);
    result.table.rows.push_back({n, full, causal, rows, direct / fft});
  }
  // Values of size 1, so rounding of the transform is about log2(n)·eps, and the normaliser's condition adds
  // what e^{b} varies by.
  result.holds = largest < 1e-11;
  result.measured =
      fmt::format("largest difference {} over up to {} tokens", format_number(largest, 2), sizes.back());
}

}  // namespace studies
}  // namespace telos::positional
