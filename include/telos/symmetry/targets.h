#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/symmetry/irreps.h"
#include "telos/symmetry/spectrum.h"

// What is to be learned, as functions of L tokens, and how much of it lies in which irrep.

namespace telos::symmetry {

/// A part of a target: in one irrep, a sum of terms in `terms` positions each; nothing for terms of any
/// number.
struct TargetPart {
  Partition irrep{};
  std::optional<std::uint32_t> terms{};
  double energy = 0;  ///< E (part)²
};
struct Target {
  std::string name{}, meaning{};
  std::vector<TargetPart> parts{};  ///< none with energy 0; the largest energy first
  double energy() const;            ///< of all parts
  /// positions × letters of a target f(x) = Σ_b w[b][x_b], less its mean at each position; one column where f
  /// is a sum of one letter function ψ; empty for other targets. What shifted_linear_error() takes.
  Matrix<double> weights{};
  /// f itself, at L tokens. Letter functions are ψ = √(V/2) ([0] − [1]) and χ = √(V/6) ([0] + [1] − 2 [2]),
  /// and of count:v ψ = (V [v] − 1)/√(V − 1).
  std::function<double(std::span<const std::uint32_t>)> function{};
};

/// All have mean 0 and energy 1; ψ is a function of a letter with mean 0 and square 1.
///     copy:b      ψ(x_b), b = 0 … L − 1
///     count:v     how often letter v comes, centred
///     majority    which of two letters comes more often, 0 for neither; V = 2
///     bigram      Σ_b ψ(x_b) χ(x_{b+1}), ψ ⊥ χ: a letter followed by another; independent tokens, V ≥ 3
///     pair:a,b    ψ(x_a) χ(x_b); likewise
/// Energies are exact; under an urn with correlation ρ that of ψ(x_b) is (1 + (L−1)ρ)/L and (1 − 1/L)(1 − ρ).
/// Throws kUsage naming what is known, kUnsupported for pairs under an urn.
Target parse_target(const std::string& text, std::uint32_t vocabulary, std::uint32_t length,
                    const TokenLaw& law = {});
/// f(x) = Σ_b w[b][x_b], positions × letters, with its mean as a part without terms in any position. Throws
/// as linear_energy.
Target linear_target(const std::string& name, ConstMatrixView<double> w, const TokenLaw& law = {});

}  // namespace telos::symmetry
