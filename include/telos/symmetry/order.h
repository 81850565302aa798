#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "telos/base/matrix.h"

// How much of what a model makes of a context depends on the order of its tokens: the energies of a black box
// by irreps of S_K, which permutes K positions (arXiv 2402.05173), estimated from random orders.

namespace telos::symmetry {

/// Windows that a jackknife over them needs at least.
inline constexpr std::size_t kFewestWindows = 4;

/// Windows of equal length, of which some positions change places.
struct OrderWindows {
  std::size_t tokens = 0;          ///< L of a window
  std::vector<std::int32_t> ids;   ///< W·L
  std::vector<std::size_t> moved;  ///< K ≥ 4 positions, ascending, the same in every window
};

struct OrderOptions {
  std::size_t shuffles = 4;  ///< M ≥ 2 independent orders of each window, each with three partners
  std::uint64_t seed = 1;
};

/// Runs the model on B sequences of L ids: for each readout a matrix B × d, the vector that is read.
using OrderModel = std::function<std::vector<Matrix<double>>(std::span<const std::int32_t> ids)>;

/// A share, and its standard error (delete-one-window jackknife).
struct OrderShare {
  double value = std::numeric_limits<double>::quiet_NaN(), error = value;
};

/// One readout f, a vector. Its variance over windows X and uniform orders g of their moved tokens,
/// E|f(gX)|² − |E f|², is the sum of four parts, here as shares of it.
struct OrderReadout {
  double variance = 0;
  /// E f(g q C)·f(g' q C') − |E f|²: the tokens that stay (q) alone; C and C' are contexts of two windows.
  OrderShare fixed;
  /// E f(gX)·f(g'X) less that: which tokens the context holds, in whatever order; the trivial irrep (K).
  OrderShare invariant;
  /// What a sum of terms in one position each explains beyond that: the irrep (K−1,1), from `kept` at a
  /// quarter and at half; low by at most an eighth of the energy of degree three and more.
  OrderShare standard;
  /// All irreps of degree two and more: pairs of positions and beyond.
  OrderShare rest;
  /// Of what order changes, the share that two random orders have in common which agree in a quarter, half,
  /// and three quarters of the positions; an irrep of degree m keeps about the m-th power of these.
  std::array<OrderShare, 3> kept;
  /// invariant/(1 − fixed): of what the context contributes, the share that ignores order.
  OrderShare symmetric;
  /// E|f(X) − E_g f(gX)|²/E|f(gX) − E_g' f(g'X)|²: the order as written, against a random one. 1: no
  /// different.
  OrderShare written;
};

struct OrderMeasures {
  std::size_t windows = 0, tokens = 0, moved = 0, passes = 0;
  std::vector<OrderReadout> readouts;
};

/// Runs W (1 + 4M) sequences, W·M more if what stays differs between windows. Numerators and
/// denominators are products of independent orders only, hence unbiased, but for the part of what stays,
/// which is high by 1/W of the energy that terms of what stays and the context together have. Deterministic
/// by seed. `batch`: sequences to run at once. Throws kUsage for fewer than 4 windows, M < 2, or K < 4,
/// kNotFinite for what the model returns, kInterrupted.
OrderMeasures measure_order(const OrderWindows& windows, const OrderModel& model, const OrderOptions& options,
                            std::size_t batch = 64);

}  // namespace telos::symmetry
