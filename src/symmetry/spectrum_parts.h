#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "telos/symmetry/spectrum.h"

namespace telos::symmetry {

/// Throws kUsage where V or L is 0, or above what irreps.h takes.
void check_sequences(std::uint32_t vocabulary, std::uint32_t length);
void check_law(const TokenLaw& law);
/// (L), and (L−1,1) for L ≥ 2.
Partition trivial_irrep(std::uint32_t length);
Partition standard_irrep(std::uint32_t length);
/// k(x, y); throws kNotFinite naming the sequences.
double finite_value(const TokenKernel& kernel, std::span<const std::uint32_t> x,
                    std::span<const std::uint32_t> y);
/// Adds eigenvalues, in ascending order, of one irrep, `copies` of each: neighbours that differ by `rounding`
/// at most as one level, those of at most `zero` as 0.
void add_levels(const Partition& irrep, std::span<const double> values, double copies, double rounding,
                double zero, std::vector<Level>& levels);
/// Σ_v c_x(v) c_y(v), c the number of times that letter v comes. O(L log L), whatever V is.
double count_product(std::span<const std::uint32_t> x, std::span<const std::uint32_t> y);
/// "0 1 1 2 …".
std::string sequence_text(std::span<const std::uint32_t> x);

}  // namespace telos::symmetry
