// Spectra of kernels on sequences of two letters: the Hamming cube in blocks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kBinaryOrders = 0x5359'4d33;  // stream of the permutations that are checked

/// C(n, r) for n up to `most`, as far as long double has digits; 0 for r > n.
class Binomials {
 public:
  explicit Binomials(std::size_t most) : rows_(most + 1, std::vector<long double>(most + 1)) {
    for (std::size_t n = 0; n <= most; ++n) {
      rows_[n][0] = 1;
      for (std::size_t r = 1; r <= n; ++r) rows_[n][r] = rows_[n - 1][r - 1] + rows_[n - 1][r];
    }
  }
  long double operator()(std::size_t n, std::size_t r) const { return r > n ? 0 : rows_[n][r]; }

 private:
  std::vector<std::vector<long double>> rows_;
};

/// Δᵏ M(i, j, t) in t, for j ≤ i and t from max(0, i + j − L) to j − k.
class OverlapDifferences {
 public:
  OverlapDifferences(const TokenKernel& kernel, std::size_t length) : length_(length) {
    Progress progress("kernel of two letters", "rows", static_cast<double>(length + 1));
    for (std::size_t i = 0; i <= length; ++i, progress.advance())
      for (std::size_t j = 0; j <= i; ++j) {
        check_interrupt();
        values_.emplace_back(j + 1);
        for (std::size_t t = least(i, j); t <= j; ++t) values_.back()[t] = value(kernel, i, j, t);
        check_order(kernel, i, j);
      }
    if (breaking_ > 1e-9 * largest_)
      throw Error(ErrorKind::kUsage, "kernel",
                  fmt::format("changes by up to {:.3g} of its largest value {:.3g} when positions are "
                              "permuted or sequences exchanged: it has no irreps",
                              breaking_, largest_),
                  "independent or no position vectors, no causal mask beyond one block");
  }
  /// k to k + 1.
  void advance() {
    ++order_;
    for (std::size_t i = 0; i <= length_; ++i)
      for (std::size_t j = order_; j <= i; ++j) {
        std::vector<long double>& row = values_[i * (i + 1) / 2 + j];
        for (std::size_t t = least(i, j); t + order_ <= j; ++t) row[t] = row[t + 1] - row[t];
      }
  }
  long double operator()(std::size_t i, std::size_t j, std::size_t t) const {
    return values_[std::max(i, j) * (std::max(i, j) + 1) / 2 + std::min(i, j)][t];
  }
  double largest() const { return largest_; }
  std::size_t least(std::size_t i, std::size_t j) const { return i + j > length_ ? i + j - length_ : 0; }

 private:
  using Tokens = std::vector<std::uint32_t>;
  /// Ones at `first` … `first` + `ones` − 1.
  Tokens tokens(std::size_t first, std::size_t ones) const {
    Tokens x(length_);
    std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(first), ones, 1u);
    return x;
  }
  double value(const TokenKernel& kernel, std::size_t i, std::size_t j, std::size_t t) {
    const double k = finite_value(kernel, tokens(0, i), tokens(i - t, j));
    largest_ = std::max(largest_, std::abs(k));
    return k;
  }
  /// One of the pairs (i, j) in random order, and exchanged.
  void check_order(const TokenKernel& kernel, std::size_t i, std::size_t j) {
    Random random(1, kBinaryOrders, values_.size());
    const std::size_t t = least(i, j) + random.below(static_cast<std::uint32_t>(j - least(i, j) + 1));
    Tokens x = tokens(0, i), y = tokens(i - t, j);
    for (auto n = static_cast<std::uint32_t>(length_); n > 1; --n) {
      const std::uint32_t other = random.below(n);
      std::swap(x[n - 1], x[other]);
      std::swap(y[n - 1], y[other]);
    }
    const double here = static_cast<double>(values_.back()[t]);
    breaking_ = std::max(breaking_, std::abs(finite_value(kernel, y, x) - here));
  }

  std::size_t length_, order_ = 0;
  std::vector<std::vector<long double>> values_;  ///< by i (i + 1)/2 + j
  double largest_ = 0, breaking_ = 0;
};

/// B_k.
Matrix<double> sector_block(const OverlapDifferences& difference, const Binomials& choose,
                            const std::vector<long double>& p, std::size_t k) {
  const std::size_t length = p.size() - 1, m = length - 2 * k;
  Matrix<double> block(m + 1, m + 1);
  for (std::size_t a = 0; a <= m; ++a)
    for (std::size_t b = 0; b <= a; ++b) {
      const std::size_t i = a + k, j = b + k;
      long double sum = 0;
      for (std::size_t r = difference.least(i, j); r <= b; ++r)
        sum += choose(a, r) * choose(m - a, b - r) * difference(i, j, r);
      block(a, b) =
          static_cast<double>(std::sqrt(p[i] * p[j]) * std::sqrt(choose(m, a) / choose(m, b)) * sum);
    }
  return block;
}

}  // namespace

Spectrum binary_spectrum(const TokenKernel& kernel, std::uint32_t length, const TokenLaw& law,
                         std::uint32_t degree) {
  check_sequences(2, length);
  check_law(law);
  if (length > kMostBinaryLength)
    throw Error(ErrorKind::kLimit, "length",
                fmt::format("is {}, at most {} for all spectra of two letters", length, kMostBinaryLength),
                "zonal_spectrum takes any length");
  OverlapDifferences difference(kernel, length);
  const Binomials choose(length);
  std::vector<long double> p(length + 1);
  Spectrum spectrum{.length = length, .vocabulary = 2, .law = law};
  for (std::uint32_t i = 0; i <= length; ++i) {
    p[i] = law.probability(std::vector<std::uint32_t>{length - i, i});
    spectrum.trace += static_cast<double>(choose(length, i) * p[i] * difference(i, i, i));
  }
  for (std::uint32_t k = 0; k <= std::min(degree, length / 2); ++k) {
    if (k > 0) difference.advance();
    const Partition irrep = k == 0 ? trivial_irrep(length) : Partition{length - k, k};
    const std::vector<double> values = symmetric_eigen(sector_block(difference, choose, p, k)).values;
    const double zero = std::ldexp(kEps * difference.largest(), -static_cast<int>(k));
    add_levels(irrep, values, dimension_value(irrep), zero, zero, spectrum.levels);
  }
  return spectrum;
}

}  // namespace telos::symmetry
