#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/irreps.h"

// Functions of L tokens in Young's orthogonal basis: what the permutations of positions do to them is the
// same matrix in each copy of an irrep.

namespace telos::symmetry {

/// Orthonormal functions on the orderings of one bag of tokens.
struct BagFunctions {
  std::size_t bag = 0;
  Matrix<double> values{};  ///< orderings × K_λμ
};
/// Eigenfunctions of all Jucys–Murphy elements J_a = Σ_{i<a} (i a): J_a has the eigenvalue contents[a],
/// column − row of the box in which a standard tableau of shape λ has the number a.
struct TableauFunctions {
  std::vector<int> contents{};
  std::vector<BagFunctions> bags{};  ///< those that hold the irrep, the same for all tableaux
};
struct IrrepFunctions {
  Partition irrep{};
  std::size_t copies = 0;                    ///< Σ_μ K_λμ over all bags
  std::vector<TableauFunctions> tableaux{};  ///< f^λ
};

struct YoungBasis {
  /// Numbers of the orderings of each bag, ascending (tokens as digits, the first the lowest).
  std::vector<std::vector<std::size_t>> bags{};
  std::vector<IrrepFunctions> irreps{};  ///< in the order of partitions()
};

/// Bag by bag from one position to L: functions in a tableau of λ are, on the sequences that end in each
/// letter, functions in that tableau without its last box, and among sums of those they are told by J_L,
/// whose eigenvalues are whole numbers at least 2 apart. From one tableau of λ to the next: the exchange of
/// positions i and i + 1 takes v_t to v_t/r + √(1 − 1/r²) v_t', r the difference of the contents (James and
/// Kerber 1981, 3.4). V^L numbers and Σ over bags of the squares of their orderings.
YoungBasis young_basis(std::uint32_t vocabulary, std::uint32_t length, const Arena& arena);

}  // namespace telos::symmetry
