#include "telos/symmetry/projection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "symmetry/running_mean.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"

namespace telos::symmetry {
namespace {

void check_finite(double value, std::size_t row, std::size_t column) {
  if (!std::isfinite(value))
    throw Error(ErrorKind::kNotFinite, "coefficients",
                fmt::format("row {}, column {} is {}, expected a finite number", row, column, value));
}

double squares(const Matrix<double>& m) {
  double sum = 0;
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < m.cols(); ++j) sum += m(i, j) * m(i, j);
  return sum;
}

/// Sums over rows of W's symmetric and antisymmetric halves, without the diagonal.
struct RowSums {
  std::vector<double> symmetric, antisymmetric;
};

RowSums row_sums(ConstMatrixView<double> w) {
  RowSums sums{std::vector<double>(w.rows()), std::vector<double>(w.rows())};
  for (std::size_t b = 0; b < w.rows(); ++b)
    for (std::size_t c = 0; c < w.cols(); ++c) {
      if (b == c) continue;
      check_finite(w(b, c), b, c);
      sums.symmetric[b] += (w(b, c) + w(c, b)) / 2;
      sums.antisymmetric[b] += (w(b, c) - w(c, b)) / 2;
    }
  return sums;
}

}  // namespace

LinearEnergy linear_energy(ConstMatrixView<double> w) {
  if (w.empty()) throw Error(ErrorKind::kUsage, "coefficients", "expected positions × letters, found none");
  const auto length = static_cast<double>(w.rows());
  LinearEnergy energy;
  for (std::size_t v = 0; v < w.cols(); ++v) {
    double mean = 0;
    for (std::size_t b = 0; b < w.rows(); ++b) {
      check_finite(w(b, v), b, v);
      mean += w(b, v) / length;
    }
    energy.trivial += length * mean * mean;
    for (std::size_t b = 0; b < w.rows(); ++b) energy.standard += (w(b, v) - mean) * (w(b, v) - mean);
  }
  return energy;
}

PairParts pair_parts(ConstMatrixView<double> w) {
  const std::size_t n = w.rows();
  if (w.cols() != n)
    throw Error(ErrorKind::kShape, "coefficients",
                fmt::format("are {} × {}, expected a square matrix of positions", n, w.cols()));
  if (n < 2) throw Error(ErrorKind::kUsage, "coefficients", "expected at least 2 positions");
  const auto length = static_cast<double>(n);
  const RowSums sums = row_sums(w);
  double mu = 0;
  for (const double sum : sums.symmetric) mu += sum / (length * (length - 1));
  std::vector<double> u(n), t(n);
  for (std::size_t b = 0; b < n; ++b) {
    u[b] = n > 2 ? (sums.symmetric[b] - (length - 1) * mu) / (length - 2) : 0;
    t[b] = sums.antisymmetric[b] / length;
  }
  PairParts parts{Matrix<double>(n, n), Matrix<double>(n, n), Matrix<double>(n, n), Matrix<double>(n, n),
                  Matrix<double>(n, n)};
  for (std::size_t b = 0; b < n; ++b)
    for (std::size_t c = 0; c < n; ++c) {
      if (b == c) continue;
      parts.trivial(b, c) = mu;
      parts.standard_symmetric(b, c) = u[b] + u[c];
      parts.standard_antisymmetric(b, c) = t[b] - t[c];
      // Below these lengths nothing is left but rounding.
      if (n > 3) parts.symmetric(b, c) = (w(b, c) + w(c, b)) / 2 - mu - u[b] - u[c];
      if (n > 2) parts.antisymmetric(b, c) = (w(b, c) - w(c, b)) / 2 - t[b] + t[c];
    }
  return parts;
}

PairEnergy pair_energy(ConstMatrixView<double> w) {
  const PairParts parts = pair_parts(w);
  return {squares(parts.trivial), squares(parts.standard_symmetric), squares(parts.standard_antisymmetric),
          squares(parts.symmetric), squares(parts.antisymmetric)};
}

namespace {

constexpr std::uint32_t kOrders = 0x5359'4d31;  // stream of the random orders

/// Deals tokens at random to the positions of `row`, all but `kept`.
void shuffle(std::uint32_t* row, std::uint32_t length, std::uint32_t kept, Random& random) {
  const auto other = [&](std::uint32_t i) { return i < kept ? i : i + 1; };
  const std::uint32_t free = kept < length ? length - 1 : length;
  for (std::uint32_t i = free; i > 1; --i) std::swap(row[other(i - 1)], row[other(random.below(i))]);
}

/// Orders of one sequence: itself, random ones, and for each position b one that keeps b and one that does
/// not.
void fill_orders(const std::uint32_t* sequence, std::size_t permutations, Random& random,
                 MatrixView<std::uint32_t> orders) {
  const auto length = static_cast<std::uint32_t>(orders.cols());
  for (std::size_t i = 0; i < orders.rows(); ++i) std::copy_n(sequence, length, orders.row(i));
  for (std::size_t i = 1; i <= permutations; ++i) shuffle(orders.row(i), length, length, random);
  for (std::uint32_t b = 0; b < length; ++b) {
    std::uint32_t* const keeps = orders.row(1 + permutations + 2 * b);
    std::uint32_t* const moves = orders.row(2 + permutations + 2 * b);
    shuffle(keeps, length, b, random);
    std::copy_n(keeps, length, moves);
    const std::uint32_t c = random.below(length - 1);
    std::swap(moves[b], moves[c < b ? c : c + 1]);
  }
}

}  // namespace

FunctionEnergy function_energy(const SequenceFunction& f, ConstMatrixView<std::uint32_t> sequences,
                               std::size_t permutations, std::uint64_t seed) {
  const auto at_least_two = [](std::size_t n, const char* what) {
    if (n < 2) throw Error(ErrorKind::kUsage, what, fmt::format("{} given, expected at least 2", n));
  };
  at_least_two(sequences.rows(), "sequences");
  at_least_two(sequences.cols(), "positions");
  at_least_two(permutations, "permutations");
  const auto length = static_cast<double>(sequences.cols()), drawn = static_cast<double>(permutations);
  Matrix<std::uint32_t> orders(1 + permutations + 2 * sequences.cols(), sequences.cols());
  std::vector<double> values(orders.rows());
  RunningMean total, trivial, standard, rest;
  for (std::size_t n = 0; n < sequences.rows(); ++n) {
    check_interrupt();
    Random random(seed, kOrders, n);
    fill_orders(sequences.row(n), permutations, random, orders);
    f(orders, values);
    for (const double value : values)
      if (!std::isfinite(value))
        throw Error(ErrorKind::kNotFinite, fmt::format("sequence {}", n),
                    fmt::format("the function is {} at one of its orders", value));
    double sum = 0, sum_of_squares = 0, difference = 0;
    for (std::size_t i = 1; i <= permutations; ++i) {
      sum += values[i];
      sum_of_squares += values[i] * values[i];
    }
    for (std::size_t i = 1 + permutations; i < values.size(); i += 2) difference += values[i] - values[i + 1];
    const double square = values[0] * values[0],
                 same_for_all = (sum * sum - sum_of_squares) / (drawn * (drawn - 1)),
                 by_position = values[0] * difference / length * (length - 1) * (length - 1) / length;
    total.add(square);
    trivial.add(same_for_all);
    standard.add(by_position);
    rest.add(square - same_for_all - by_position);
  }
  return {total.estimate(), trivial.estimate(), standard.estimate(), rest.estimate()};
}

}  // namespace telos::symmetry
