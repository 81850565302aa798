#pragma once

#include <cstddef>

#include "telos/base/matrix.h"
#include "telos/bigram/instance.h"
#include "telos/bigram/population.h"

namespace telos::bigram {

/// Throws what `stationary` throws for a matrix whose columns are not laws.
void check_transitions(ConstMatrixView<double> p);

/// How far a sum of n numbers that were divided by their sum may be from 1. Sums within it are left as they
/// are, so that what was normalised once keeps its bits.
inline double rounding_of_sums(std::size_t n) {
  return static_cast<double>(n) * 0x1p-52;
}

/// Cosines and distances from signals and errors.
void complete(const Constants& constants, Signals& s);

/// Calls visit(t, q_t) for every position of a column, of weight 0 or not.
template <class Visit>
void visit_positions(const SparseColumn& column, std::size_t length, const Visit& visit) {
  std::size_t next = 0;
  for (std::size_t t = 0; t < length; ++t) {
    const bool weighty = next < column.positions.size() && column.positions[next] == t;
    visit(t, weighty ? column.weights[next++] : 0.0);
  }
}

}  // namespace telos::bigram
