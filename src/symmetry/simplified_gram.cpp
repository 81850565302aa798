#include "telos/symmetry/simplified_gram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/linalg/gemm.h"

namespace telos::symmetry {
namespace {

using GramRows = ConstMatrixView<std::uint32_t>;

constexpr std::size_t kStrip = 64;  // rows of a matrix that a thread takes at a time

std::size_t positions_of(const SimplifiedBlock& block, GramRows s) {
  return s.cols() - (block.query ? std::min<std::size_t>(1, s.cols()) : 0);
}

void require_sequences(const SimplifiedBlock& block, GramRows s, std::uint32_t vocabulary) {
  if (positions_of(block, s) == 0)
    throw Error(ErrorKind::kUsage, "sequences", "expected 1 position or more, found an empty sequence");
  if (vocabulary < 1 || vocabulary > 65'536)
    throw Error(ErrorKind::kUsage, "vocabulary",
                fmt::format("expected 1 to 65,536 letters, found {}", vocabulary));
  require_valid(block);
  for (std::size_t i = 0; i < s.rows(); ++i)
    for (std::size_t b = 0; b < s.cols(); ++b)
      if (s(i, b) >= vocabulary)
        throw Error(ErrorKind::kBadFormat, fmt::format("sequence {}, position {}", i, b),
                    fmt::format("letter {}, expected one below {}", s(i, b), vocabulary),
                    "raise the vocabulary, or check the file");
}

Matrix<double> counts_of(GramRows s, std::size_t positions, std::uint32_t vocabulary) {
  Matrix<double> counts(s.rows(), vocabulary);
  for (std::size_t i = 0; i < s.rows(); ++i)
    for (std::size_t b = 0; b < positions; ++b) ++counts(i, s(i, b));
  return counts;
}

/// The letters in rows of whole vectors of 16 bytes, filled up with zeros, which always agree.
template <class Letter>
class LetterRows {
 public:
  static constexpr std::size_t kLanes = 16 / sizeof(Letter);

  LetterRows(GramRows s, std::size_t positions)
      : width_((positions + kLanes - 1) / kLanes * kLanes),
        fill_(static_cast<std::uint32_t>(width_ - positions)),
        letters_(s.rows() * width_) {
    for (std::size_t i = 0; i < s.rows(); ++i)
      std::transform(s.row(i), s.row(i) + positions, letters_.data() + i * width_,
                     [](std::uint32_t letter) { return static_cast<Letter>(letter); });
  }
  const Letter* row(std::size_t i) const { return letters_.data() + i * width_; }

  /// Positions at which two rows agree, counted in letters' own width, a block before that overflows.
  std::uint32_t matches(const Letter* x, const Letter* y) const {
    constexpr std::size_t kBlock = 240;
    std::uint32_t total = 0;
    for (std::size_t at = 0; at < width_; at += kBlock) {
      const std::size_t end = std::min(width_, at + kBlock);
      Letter sum = 0;
      for (std::size_t b = at; b < end; ++b) sum = static_cast<Letter>(sum + (x[b] == y[b]));
      total += sum;
    }
    return total - fill_;
  }

 private:
  std::size_t width_;
  std::uint32_t fill_;
  std::vector<Letter> letters_;
};

double query_factor(const SimplifiedBlock& block, GramRows a, std::size_t i, GramRows b, std::size_t j) {
  if (!block.query) return 1;
  const std::size_t last = a.cols() - 1;
  return (a(i, last) == b(j, last) ? block.token : 0) + block.position;
}

/// k of the pairs (i, j): all, or those with j ≤ i.
template <class Letter>
void fill_gram(const SimplifiedBlock& block, GramRows a, GramRows b, std::uint32_t vocabulary, bool half,
               MatrixView<double> gram, const Arena& arena) {
  const std::size_t positions = positions_of(block, a);
  const PairCoefficients k = pair_coefficients(block, positions);
  const Matrix<double> counts = counts_of(a, positions, vocabulary);
  const Matrix<double> own = half ? Matrix<double>() : counts_of(b, positions, vocabulary);
  const LetterRows<Letter> x(a, positions), y(b, positions);
  const ConstMatrixView<double> others = half ? counts.view() : own.view();
  const std::size_t strips = (a.rows() + kStrip - 1) / kStrip;
  arena.parallel_for(strips, [&](std::size_t strip) {
    check_interrupt();
    // The long strips of a half matrix first, so that threads end together.
    const std::size_t first = (half ? strips - 1 - strip : strip) * kStrip,
                      rows = std::min(kStrip, a.rows() - first), cols = half ? first + rows : b.rows();
    gemm<double>(Op::kPlain, Op::kTransposed, k.counts, counts.view().block(first, 0, rows, vocabulary),
                 others.block(0, 0, cols, vocabulary), 0, gram.block(first, 0, rows, cols), arena);
    for (std::size_t i = first; i < first + rows; ++i)
      for (std::size_t j = 0; j < (half ? i + 1 : cols); ++j)
        gram(i, j) = query_factor(block, a, i, b, j) *
                     (gram(i, j) + k.matches * x.matches(x.row(i), y.row(j)) + k.constant);
  });
}

void require_gram_memory(double rows, double cols, double vocabulary) {
  require_memory(8 * (rows * cols + (rows + cols) * vocabulary), "Gram matrix",
                 "take fewer sequences or letters");
}

}  // namespace

Matrix<double> simplified_gram(const SimplifiedBlock& block, GramRows sequences, std::uint32_t vocabulary,
                               const Arena& arena) {
  require_sequences(block, sequences, vocabulary);
  const std::size_t n = sequences.rows();
  require_gram_memory(static_cast<double>(n), static_cast<double>(n), vocabulary);
  Matrix<double> gram(n, n);
  if (vocabulary <= 256)
    fill_gram<std::uint8_t>(block, sequences, sequences, vocabulary, true, gram, arena);
  else
    fill_gram<std::uint16_t>(block, sequences, sequences, vocabulary, true, gram, arena);
  arena.parallel_for((n + kStrip - 1) / kStrip, [&](std::size_t strip) {
    const std::size_t first = strip * kStrip, last = std::min(n, first + kStrip);
    for (std::size_t j = first; j < n; ++j)
      for (std::size_t i = first; i < std::min(last, j); ++i) gram(i, j) = gram(j, i);
  });
  return gram;
}

Matrix<double> simplified_gram(const SimplifiedBlock& block, GramRows a, GramRows b, std::uint32_t vocabulary,
                               const Arena& arena) {
  require_sequences(block, a, vocabulary);
  require_sequences(block, b, vocabulary);
  if (a.cols() != b.cols())
    throw Error(ErrorKind::kShape, "sequences",
                fmt::format("of {} and of {} letters, expected one length", a.cols(), b.cols()));
  require_gram_memory(static_cast<double>(a.rows()), static_cast<double>(b.rows()), vocabulary);
  Matrix<double> gram(a.rows(), b.rows());
  if (vocabulary <= 256)
    fill_gram<std::uint8_t>(block, a, b, vocabulary, false, gram, arena);
  else
    fill_gram<std::uint16_t>(block, a, b, vocabulary, false, gram, arena);
  return gram;
}

std::vector<double> simplified_diagonal(const SimplifiedBlock& block, GramRows sequences,
                                        std::uint32_t vocabulary) {
  require_sequences(block, sequences, vocabulary);
  const std::size_t positions = positions_of(block, sequences);
  const PairCoefficients k = pair_coefficients(block, positions);
  const double matches = k.matches * static_cast<double>(positions);
  std::vector<double> diagonal(sequences.rows());
  for (std::size_t i = 0; i < sequences.rows(); ++i) {
    std::vector<double> counts(vocabulary);
    for (std::size_t b = 0; b < positions; ++b) ++counts[sequences(i, b)];
    double squares = 0;
    for (const double c : counts) squares += c * c;
    diagonal[i] =
        query_factor(block, sequences, i, sequences, i) * (k.counts * squares + matches + k.constant);
  }
  return diagonal;
}

std::vector<LinearFunction> simplified_mean(const SimplifiedBlock& block, GramRows sequences,
                                            std::uint32_t vocabulary, ConstMatrixView<double> weights) {
  require_sequences(block, sequences, vocabulary);
  if (block.query)
    throw Error(ErrorKind::kUsage, "block", "with a query token the mean is no sum over positions");
  if (weights.rows() != sequences.rows())
    throw Error(ErrorKind::kShape, "weights",
                fmt::format("{} rows of {} sequences", weights.rows(), sequences.rows()));
  const std::size_t length = sequences.cols();
  const PairCoefficients k = pair_coefficients(block, length);
  std::vector<LinearFunction> f;
  for (std::size_t o = 0; o < weights.cols(); ++o) {
    double constant = 0;
    Matrix<double> table(length, vocabulary);
    std::vector<double> shared(vocabulary);
    for (std::size_t p = 0; p < sequences.rows(); ++p) {
      constant += k.constant * weights(p, o);
      for (std::size_t b = 0; b < length; ++b) {
        shared[sequences(p, b)] += k.counts * weights(p, o);
        table(b, sequences(p, b)) += k.matches * weights(p, o);
      }
    }
    for (std::size_t b = 0; b < length; ++b)
      for (std::uint32_t v = 0; v < vocabulary; ++v) table(b, v) += shared[v];
    f.push_back({constant, std::move(table)});
  }
  return f;
}

}  // namespace telos::symmetry
