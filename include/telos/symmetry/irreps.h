#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/symmetry/natural.h"

// Irreducible representations (irreps) of the symmetric group S_L, which permutes the L positions of a
// sequence: (g X)_a = x_{g⁻¹ a}. A kernel that does not care about order acts on each irrep as a block of its
// own, repeated f^λ times, so that what an infinitely wide transformer learns first is decided by f^λ
// (arXiv 2402.05173).

namespace telos::symmetry {

/// Parts of a partition of L, the largest first, none 0: names an irrep, or a class of permutations by the
/// lengths of their cycles.
using Partition = std::vector<std::uint32_t>;

inline constexpr std::uint32_t kMaxLength = 10'000;
inline constexpr std::uint32_t kMaxVocabulary = 10'000'000;
inline constexpr std::size_t kMaxPartitions = 100'000;
/// The character table of S_18 has 385² entries.
inline constexpr std::uint32_t kMaxTableLength = 18;

/// "6,2" or "(6,2)". Throws kUsage at `where` for anything else than a partition of 1 to kMaxLength.
Partition parse_partition(std::string_view text, const std::string& where);
/// "(6,2)".
std::string to_text(const Partition& partition);
/// L, the sum of its parts.
std::uint32_t length_of(const Partition& partition);
/// L − λ_1: functions that are sums of terms in m positions hold no irrep of a higher degree than m.
std::uint32_t degree_of(const Partition& shape);

/// All partitions of `length` of degree up to `degree`, by degree: (L), (L−1,1), (L−2,2), (L−2,1,1), …
/// Throws kLimit above kMaxPartitions of them.
std::vector<Partition> partitions(std::uint32_t length, std::uint32_t degree = kMaxLength);

// Every function of a Partition throws kUsage where it is none, naming it.

/// f^λ = L!/Π hooks, the hook of a cell being the cells right of it, those below it, and itself (Frame,
/// Robinson and Thrall 1954). Exact for any L. O(L) plus O(L²) for the product of large ones.
Natural dimension(const Partition& shape);

/// How often irrep λ occurs among functions of L tokens out of V: m_λ = s_λ(1^V) = Π_cells (V + column −
/// row)/hook (Schur–Weyl), the number of semistandard tableaux; 0 where λ has more rows than V.
/// Σ_λ f^λ m_λ = V^L.
Natural multiplicity(const Partition& shape, std::uint32_t vocabulary);

/// How often irrep λ occurs among functions of the orderings of one bag of tokens with these counts: the
/// Kostka number K_λμ, semistandard tableaux of shape λ and content μ. Zero counts are skipped; the order of
/// counts does not matter. Σ_λ f^λ K_λμ = L!/Π μ_v!. Throws kUsage if the counts do not sum to L, kLimit
/// where counting would take above 2·10⁵ steps.
Natural kostka(const Partition& shape, std::span<const std::uint32_t> counts);

/// Permutations with cycles of these lengths: L!/Π_k k^{m_k} m_k!.
Natural class_size(const Partition& cycles);

/// χ^λ of permutations with these cycles, by Murnaghan and Nakayama: cycles are taken off the shape as rim
/// hooks, the long ones first; what is left for the fixed points is counted by hooks. Throws kUsage for
/// different lengths, kLimit beyond 64 bits or above 2·10⁵ steps.
std::int64_t character(const Partition& shape, const Partition& cycles);

/// (irrep, class), both in the order of partitions(length). Throws kUsage above kMaxTableLength.
Matrix<std::int64_t> character_table(std::uint32_t length);

/// What the sum of all transpositions, and of all cycles of three, multiplies irrep λ by: Σ (column − row),
/// and Σ (column − row)² − L(L−1)/2, over the cells. Cheap labels of an eigenspace: the pair tells the
/// irreps of S_4 … S_12 apart; transpositions alone do not for S_6.
struct ClassSums {
  std::int64_t transpositions = 0, three_cycles = 0;
};
ClassSums class_sums(const Partition& shape);

}  // namespace telos::symmetry
