#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/log.h"
#include "telos/base/matrix.h"
#include "telos/base/philox.h"
#include "telos/io/token_stream.h"
#include "telos/symmetry/corpus.h"

// What the measures on a text share.

namespace telos::symmetry {

/// Σ_{b≠c} Σ_{v,w} A_bc(v, w) B_bc(v, w), and the same with B_cb in place of B_bc.
struct Products {
  double straight = 0, crossed = 0;
};
/// energies() from these and the rows Σ_{c≠b} C_bc(v, w): L × K², column v K + w.
Energies energies_of(std::size_t letters, ConstMatrixView<double> rows_a, ConstMatrixView<double> rows_b,
                     const Products& all);

/// Of blocks first, first + step, …
template <class Counts>
Counts sum_of(std::span<const Counts> blocks, std::size_t first, std::size_t step) {
  Counts sum = blocks[first];
  for (std::size_t g = first + step; g < blocks.size(); g += step) sum += blocks[g];
  return sum;
}

/// One fewer of the blocks of a half than there are, drawn with replacement.
template <class Counts>
Counts resample(std::span<const Counts> blocks, std::size_t half, Random& random) {
  const auto here = static_cast<std::uint32_t>((blocks.size() + 1 - half) / 2);
  Counts sum = blocks[half + 2 * random.below(here)];
  for (std::uint32_t i = 2; i < here; ++i) sum += blocks[half + 2 * random.below(here)];
  return sum;
}

/// What was measured of the blocks, and of those without one or of resamples of them.
template <class Point>
struct Replicates {
  Point whole;
  std::vector<Point> points;
  Errors kind;

  template <class Value>
  Estimate estimate(const Value& value) const {
    const double n = static_cast<double>(points.size());
    double mean = 0, sum = 0;
    for (const Point& p : points) mean += value(p) / n;
    for (const Point& p : points) sum += (value(p) - mean) * (value(p) - mean);
    return {value(whole), std::sqrt((kind == Errors::kJackknife ? (n - 1) / n : 1 / (n - 1)) * sum)};
  }
};

/// Of measure(Half of the counts of the even-numbered blocks, Half of those of the odd-numbered ones).
template <class Point, class Half, class Counts, class Measure>
Replicates<Point> replicate(std::span<const Counts> blocks, const ErrorOptions& errors, const Arena& arena,
                            const Measure& measure) {
  constexpr std::uint32_t kResamples = 0x53794D02;  // stream
  const bool jackknife = errors.kind == Errors::kJackknife;
  const Counts even_counts = sum_of(blocks, 0, 2), odd_counts = sum_of(blocks, 1, 2);
  const Half even(even_counts), odd(odd_counts);
  Replicates<Point> all{measure(even, odd), {}, errors.kind};
  all.points.resize(jackknife ? blocks.size() : errors.resamples);
  arena.parallel_for(all.points.size(), [&](std::size_t i) {
    check_interrupt();
    if (jackknife) {
      Counts rest = i % 2 == 0 ? even_counts : odd_counts;
      rest -= blocks[i];
      const Half half(rest);
      all.points[i] = i % 2 == 0 ? measure(half, odd) : measure(even, half);
    } else {
      Random random(errors.seed, kResamples, i);
      const Half first(resample(blocks, 0, random));
      all.points[i] = measure(first, Half(resample(blocks, 1, random)));
    }
  });
  return all;
}

/// Throws kUsage.
void require_errors(const ErrorOptions& errors, std::size_t blocks);
/// Throws kLimit.
void require_tokens(std::uint64_t tokens);

/// Is given a text from its beginning to its end, part after part.
using Take = std::function<void(std::span<const std::uint16_t>)>;
/// Reads a text once, in parts of whole windows of `length` (the last may have a rest); each part goes to all
/// takers at once, while the next one is read. Throws kIo where it has not text.size() tokens.
void read_once(TokenStream& text, std::size_t length, const std::vector<Take>& takers,
               const std::string& task, const Arena& arena);

/// A total that is this many standard errors above 0 is a dependence.
inline constexpr double kDependentErrors = 3;

}  // namespace telos::symmetry
