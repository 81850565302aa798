#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

// How far the windows of a text are exchangeable, the slow and obvious way. Tokens are numbers; those of
// `letters` and up have the feature zero. Positions are b, c below `length`, letters v, w.

namespace telos::reference::symmetry {

using Text = std::vector<int>;

/// Pieces between white space and "<eos>" at the end of each line, as ids by frequency; ties: the first to
/// occur.
Text read_pieces(const std::string& text);

/// Cov([x_b = v], [x_c = w]) for all b, c, v, w.
struct Covariance {
  int letters = 0, length = 0;
  std::vector<double> values;

  Covariance(int k, int l)
      : letters(k),
        length(l),
        values(static_cast<std::size_t>(l) * static_cast<std::size_t>(l) * static_cast<std::size_t>(k) *
               static_cast<std::size_t>(k)) {}
  double& at(int b, int c, int v, int w) { return values[index(b, c, v, w)]; }
  double at(int b, int c, int v, int w) const { return values[index(b, c, v, w)]; }

 private:
  std::size_t index(int b, int c, int v, int w) const {
    return static_cast<std::size_t>(((b * length + c) * letters + v) * letters + w);
  }
};

/// Of the windows n (tokens nL … nL + L − 1) with used[n].
Covariance covariance(const Text& text, int letters, int length, const std::vector<bool>& used);

/// trC, |C|², |D|², |O|² with D = mean_b C_bb, O = mean over b ≠ c of C_bc; Σ_{b≠c} |C_bc|².
struct Summary {
  double trace = 0, all = 0, diagonal_mean = 0, other_mean = 0, other = 0;
  double total_share(int length) const;  ///< (L|D|² + L(L−1)|O|²)/|C|²
  double other_share(int length) const;  ///< L(L−1)|O|²/Σ_{b≠c} |C_bc|²
};
Summary summarise(const Covariance& c);

/// Σ over letters and b ≠ c of part_R(A)·part_R(B), R = (L), (L−1,1) of symmetric and (L−2,2), (L−1,1) of
/// antisymmetric and (L−2,1,1): in the order trivial, symmetric standard, (L−2,2), antisymmetric standard,
/// (L−2,1,1).
using Energies = std::array<double, 5>;
Energies energies(const Covariance& a, const Covariance& b);
/// The same of one function on ordered pairs of positions, w[b][c], with itself.
using PairFunction = std::vector<std::vector<double>>;
Energies energies(const PairFunction& a, const PairFunction& b);
/// |P_R w|² with P_R = f/L! Σ_g χ_R(g) g, for L = 4: (4), (3,1), (2,2), (2,1,1).
std::array<double, 4> energies_by_characters(const PairFunction& w);

/// Block floor(G n/N) of each window.
std::vector<int> blocks_of(std::size_t windows, int blocks);

struct Estimate {
  double value = 0, error = 0;
};
/// Energies of the blocks of even number with those of odd number, each over their sum; errors by leaving out
/// one block after the other. `total` is the sum; `shares` those of Summary, of all windows.
struct Result {
  Estimate total, total_share, other_share;
  std::array<Estimate, 5> fractions;
};
Result measure(const Text& text, int letters, int length, int blocks);

/// C_{b,b+τ}(v, w) = N_τ(v, w)/N_τ − p(v)p(w) of the pairs of tokens τ apart within a block, of the blocks
/// with used[g]; block g is tokens ⌊gN/G⌋ … ⌊(g+1)N/G⌋ − 1. The diagonal is left 0.
Covariance stationary(const Text& text, int letters, int length, const std::vector<bool>& used);
/// Total and fractions as in Result, from these.
struct StationaryResult {
  Estimate total;
  std::array<Estimate, 5> fractions;
};
StationaryResult measure_stationary(const Text& text, int letters, int length, int blocks);

/// Covariance of windows of the stationary chain that passes from each token to the next as the text does,
/// the text closed to a ring.
Covariance markov(const Text& text, int letters, int length);

}  // namespace telos::reference::symmetry
