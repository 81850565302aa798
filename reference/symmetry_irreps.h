#pragma once

#include <vector>

// Irreps of the symmetric group from their definitions: tableaux are filled cell by cell, permutations are
// visited one by one. For lengths up to 6 or so.

namespace telos::reference::symmetry {

using Shape = std::vector<int>;  // parts, the largest first
using Permutation = std::vector<int>;
using Vector = std::vector<double>;

// All partitions of n.
std::vector<Shape> shapes(int n);
// All permutations of 0 … n − 1.
std::vector<Permutation> permutations(int n);
// Lengths of its cycles, the largest first.
Shape cycle_type(const Permutation& g);

// Fillings with 1 … L, rising along rows and columns.
long standard_tableaux(const Shape& shape);
// Fillings that never fall along rows and rise along columns, `counts[v]` times the letter v.
long semistandard_tableaux(const Shape& shape, const std::vector<int>& counts);
// The same with any letters out of `letters`.
long semistandard_tableaux(const Shape& shape, int letters);

// χ[i][j] of irrep shapes(n)[i] on class shapes(n)[j]: permutations fix so many words of content μ, and that
// is Σ_λ K_λμ χ^λ, which is solved for χ.
std::vector<std::vector<long>> characters(int n);

// P_λ f = f^λ/L! Σ_g χ^λ(g) (g f), energies Σ (P_λ f)² for each λ of shapes(n): of a function of sequences
// out of `letters`, f indexed by Σ_a x_a letters^a; and of one coefficient w[b n + c] of each pair of
// positions.
Vector function_energies(const Vector& f, int n, int letters);
Vector pair_energies(const Vector& w, int n);

}  // namespace telos::reference::symmetry
