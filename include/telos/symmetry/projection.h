#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "telos/base/matrix.h"

// How much of a function of a sequence lies in which irrep: of what is learned with few samples, and of what
// takes many.

namespace telos::symmetry {

/// Of f(x) = Σ_b w[b][x_b], positions × letters: (L) and (L−1,1), sums of squares of w's parts.
struct LinearEnergy {
  double trivial = 0, standard = 0;
};
/// Mean over positions, and the rest. Throws kUsage for no entries, kNotFinite.
LinearEnergy linear_energy(ConstMatrixView<double> w);

/// The parts of W[b][c], b ≠ c, the coefficients of f(x) = Σ_{b≠c} W[b][c] g(x_b) h(x_c). With S = (W + Wᵀ)/2
/// and A = (W − Wᵀ)/2: S = μ + (u_b + u_c) + rest, A = (t_b − t_c) + rest, t_b = Σ_c A[b][c]/L. Diagonals are
/// 0. They sum to W off its diagonal, and are orthogonal to each other.
struct PairParts {
  Matrix<double> trivial;                 ///< (L): μ
  Matrix<double> standard_symmetric;      ///< (L−1,1): u_b + u_c
  Matrix<double> standard_antisymmetric;  ///< (L−1,1), a second copy: t_b − t_c
  Matrix<double> symmetric;               ///< (L−2,2); 0 for L below 4
  Matrix<double> antisymmetric;           ///< (L−2,1,1); 0 for L below 3
};
/// Throws kShape unless W is square, kUsage below two positions, kNotFinite; its diagonal is not read. O(L²).
PairParts pair_parts(ConstMatrixView<double> w);

/// Sums of squares of the parts.
struct PairEnergy {
  double trivial = 0, standard_symmetric = 0, standard_antisymmetric = 0, symmetric = 0, antisymmetric = 0;
  double standard() const { return standard_symmetric + standard_antisymmetric; }
  double total() const { return trivial + standard() + symmetric + antisymmetric; }
};
PairEnergy pair_energy(ConstMatrixView<double> w);

/// Values of any function at sequences, one a row.
using SequenceFunction =
    std::function<void(ConstMatrixView<std::uint32_t> sequences, std::span<double> values)>;

/// A mean and its standard error.
struct EnergyEstimate {
  double mean = 0, error = 0;
};
/// E f² = trivial + standard + rest. The trivial part holds the mean of f.
struct FunctionEnergy {
  EnergyEstimate total, trivial, standard, rest;
};
/// Energies of f under the law that `sequences` (one a row) were drawn from, independently; the law must not
/// change when positions are permuted. Of each sequence X, `permutations` random orders g:
///   E_triv = mean of f(gX) f(g'X) over pairs g ≠ g',
///   E_std  = (L−1)²/L (mean of f(X) f(gX) over g that keep position b − the same over g that do not),
/// averaged over all b, g of the second kind being g of the first with b and another position exchanged. Each
/// is unbiased, and may come out below 0. f is called once a sequence, with 1 + permutations + 2L rows.
/// Throws kUsage below 2 sequences, positions or permutations, kNotFinite naming the sequence.
FunctionEnergy function_energy(const SequenceFunction& f, ConstMatrixView<std::uint32_t> sequences,
                               std::size_t permutations, std::uint64_t seed);

}  // namespace telos::symmetry
