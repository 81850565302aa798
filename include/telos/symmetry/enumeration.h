#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/kernel.h"
#include "telos/symmetry/spectrum.h"

// Spectra of all sequences written down, and what of a function lies on which of their levels.

namespace telos::symmetry {

struct EnumerationOptions {
  std::uint32_t vocabulary = 2, length = 4;
  std::uint32_t queries = 0;  ///< tokens after the L that are not permuted, independent and uniform
  TokenLaw law{};             ///< of the L tokens
  /// Instead of `law`: the probability of L tokens. Must not change when they are permuted.
  std::function<double(std::span<const std::uint32_t>)> probability{};
};
inline constexpr std::size_t kMostEnumerated = 4096;

/// Moments under another law q of a function's parts g_i on levels, and of eigenfunctions φ.
struct LevelMoments {
  std::vector<std::size_t> levels{};  ///< those that the function lies on
  Matrix<double> products{};          ///< E_q Σ g_i g_j of these
  std::vector<double> overlap{};  ///< mean of E_q φ² over the eigenfunctions of each level of the spectrum
};

/// All V^(L + queries) sequences, and the eigenfunctions of T on them: exact but for rounding. In Young's
/// orthogonal basis of the orderings of each bag of tokens T is one and the same matrix for each of the f^λ
/// rows of an irrep, of order Σ_μ K_λμ; neighbouring eigenvalues of an irrep that differ by rounding are one
/// level. By degree of the irrep, the largest eigenvalue first; 0 included, also for what is rounding.
class Enumeration {
 public:
  /// Calls the kernel three times for each pair of a sorted sequence and any other: its value, and whether it
  /// stays when both are permuted; from the calling thread alone. Throws kUsage, kLimit (above
  /// kMostEnumerated), kNotFinite, and kUsage where the kernel is not symmetric, it or the law changes under
  /// permutation by more than 10⁻⁹ of its largest value.
  Enumeration(const TokenKernel& kernel, const EnumerationOptions& options, const Arena& arena);
  /// Of an architecture, whose kernel changes neither under permutation nor under renaming of letters: of
  /// pairs that these make of each other one is computed, by all threads. NNGP or NTK as the kernel's
  /// options say. `queries` is 1 where the architecture reads one token, 0 where it does not, whatever the
  /// option. Throws kUsage, naming what breaks the symmetry, kUnsupported for a kernel that is an estimate,
  /// and as the other.
  Enumeration(const Kernel& kernel, EnumerationOptions options, const Arena& arena);
  ~Enumeration();
  Enumeration(Enumeration&&) noexcept;

  const Spectrum& spectrum() const;
  /// One a row: L tokens, then queries; tokens as digits, the first the lowest.
  const Matrix<std::uint32_t>& sequences() const;
  const std::vector<double>& probabilities() const;
  /// Of each sequence, under a law of its L tokens; queries are uniform.
  std::vector<double> probabilities_under(
      const std::function<double(std::span<const std::uint32_t>)>& law) const;
  /// Row of a sequence.
  std::size_t number(std::span<const std::uint32_t> sequence) const;
  /// k(x, ·), x a row of sequences().
  void kernel_row(std::size_t x, std::span<double> out) const;

  /// Squares of a function's coefficients on the eigenfunctions of each level, added up over the columns of
  /// `values`, which has a row for each sequence. They add up to E Σ f². Throws kShape.
  std::vector<double> energies(ConstMatrixView<double> values) const;
  /// `law` has q of each sequence. Throws kShape.
  LevelMoments moments(ConstMatrixView<double> values, std::span<const double> law) const;
  /// The part of each column in an irrep.
  Matrix<double> part(const Partition& irrep, ConstMatrixView<double> values) const;

 private:
  friend Spectrum enumerated_spectrum(const TokenKernel&, const EnumerationOptions&, const Arena&);
  friend Spectrum enumerated_spectrum(const Kernel&, const EnumerationOptions&, const Arena&);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Enumeration::spectrum() of a kernel, without eigenfunctions: a sixth of the work on large irreps.
Spectrum enumerated_spectrum(const TokenKernel& kernel, const EnumerationOptions& options,
                             const Arena& arena);
Spectrum enumerated_spectrum(const Kernel& kernel, const EnumerationOptions& options, const Arena& arena);

}  // namespace telos::symmetry
