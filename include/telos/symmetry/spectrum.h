#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/symmetry/irreps.h"
#include "telos/symmetry/learning_curve.h"
#include "telos/symmetry/simplified_block.h"

// Eigenvalues of a kernel k on sequences of L tokens out of V, T f(X) = E_Y k(X, Y) f(Y), by irrep of S_L.
// The law of the tokens, and k, do not change under permutation, so that each eigenvalue in irrep λ comes f^λ
// times.

namespace telos::symmetry {

/// f^λ as a double; infinite beyond its range.
double dimension_value(const Partition& irrep);

/// k(X, Y). Both have the same length.
using TokenKernel = std::function<double(std::span<const std::uint32_t> x, std::span<const std::uint32_t> y)>;

enum class Known {
  kExact,     ///< a closed form, or an eigenvalue of a matrix
  kEstimate,  ///< a mean over drawn sequences; a Rayleigh quotient, no eigenvalue where degrees mix
};

/// `multiplicity` eigenfunctions of one eigenvalue, all in one irrep.
struct Level {
  Partition irrep{};
  double eigenvalue = 0;
  double multiplicity = 1;
  Known known = Known::kExact;
  double error = 0;  ///< standard error of an estimate
  /// Its functions are sums of terms in so many of the L positions; nothing where that is not known.
  std::optional<std::uint32_t> terms{};
  bool query = false;  ///< its functions depend on the query too
};
/// Tokens of a sequence: the letters of an urn from which each token drawn is put back with another of its
/// kind, V letters with weight α each at first (a Dirichlet(α) mixture of independent tokens); α = ∞:
/// independent and uniform.
struct TokenLaw {
  double alpha = std::numeric_limits<double>::infinity();
  /// E ψ(x_b) ψ(x_c), b ≠ c, for a letter function of mean 0 and square 1: 1/(1 + V α).
  double correlation(std::uint32_t vocabulary) const;
  /// Of one sequence with so many of each letter.
  double probability(std::span<const std::uint32_t> counts) const;
};

struct Spectrum {
  std::uint32_t length = 0, vocabulary = 0;
  TokenLaw law{};
  std::vector<Level> levels{};
  double trace = 0;  ///< E k(X, X), of all eigenvalues
  /// Σ multiplicity · eigenvalue of the levels.
  double known_trace() const;
  /// What no level holds; 0 where that is rounding. Goes into the ridge of a learning curve.
  double tail() const;
};
/// For learning_curve.h, in the order of the levels; without target.
std::vector<Mode> modes_of(const Spectrum& spectrum);
/// Σ over the irrep's levels.
double sector_trace(const Spectrum& spectrum, const Partition& irrep);

/// All eigenvalues but 0 of the simplified block, in closed form for any V and L; a query is uniform and
/// independent of the other tokens. With ψ_j the V − 1 letter functions of mean 0 and square 1, A, B, C the
/// block's pair_coefficients() and ρ the law's correlation:
///     (L)      ((A L² + B L)/V + C) q       × 1
///     (L)      (A L + B)(1 + (L − 1)ρ)/V q  × (V − 1)           Σ_b ψ_j(x_b)
///     (L−1,1)  B (1 − ρ)/V q                × (L − 1)(V − 1)    Σ_b u_b ψ_j(x_b), Σ u = 0
/// and q = token/V + position × 1, token/V × (V − 1). Throws kUsage.
Spectrum simplified_spectrum(const SimplifiedBlock& block, std::uint32_t vocabulary, std::uint32_t length,
                             const TokenLaw& law = {});
/// The same as a function of L tokens, and the query after them if there is one. O(L log L).
TokenKernel simplified_kernel(const SimplifiedBlock& block);

inline constexpr std::uint32_t kMostBinaryLength = 256;
/// Two letters, large L. A kernel that does not change under permutation is a function M(i, j, t) of the
/// numbers of ones, i and j, and of positions where both have one, t. Eigenvalues in (L−k,k) are those of
///     B_k[i][j] = √(p_i p_j) √(C(m,i−k)/C(m,j−k)) Σ_r C(i−k,r) C(m−i+k, j−k−r) Σ_s (−1)^s C(k,s)
///     M(i,j,k−s+r),
/// k ≤ i, j ≤ L − k, m = L − 2k, p_i the probability of one sequence with i ones (the Hamming cube in blocks;
/// Schrijver 2005). All eigenvalues up to `degree` in O(L³) calls, in long double; an eigenvalue in degree k
/// is known to about 10⁻¹⁶ 2⁻ᵏ of the kernel's largest value, and 0 below. Only permutations of
/// the pairs that are looked at are checked, not all. Throws as Enumeration does.
Spectrum binary_spectrum(const TokenKernel& kernel, std::uint32_t length, const TokenLaw& law,
                         std::uint32_t degree);

struct ZonalOptions {
  std::uint32_t vocabulary = 2, length = 4;
  std::size_t pairs = 20'000, permutations = 4;
  std::uint64_t seed = 1;
};
/// Any V and L, uniform tokens, kernels that do not change when positions are permuted or letters renamed:
/// three Rayleigh quotients, from random pairs and permutations g of the second sequence. m counts matches.
///     constant   E k
///     (L)        E k Π/(V − 1),               Π = (V c_X·c_Y − L²)/L
///     (L−1,1)    E Cov_g(k(X,gY), V m(X,gY))/((L − 1)(V − 1))
/// Below the largest eigenvalue of each sector, and close to it where terms in single positions mix little
/// with others. The trace is a mean over the drawn sequences. Throws kUsage (also where too few
/// pairs match anywhere for a standard error), kNotFinite.
Spectrum zonal_spectrum(const TokenKernel& kernel, const ZonalOptions& options);

}  // namespace telos::symmetry
