#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

// A text and its sparse contextual bigram, the slow and obvious way. Tokens are numbers below V; windows have
// offsets 0 … T before the token that is predicted, offset 0 the nearest.

namespace telos::reference::corpus {

using Text = std::vector<int>;
using Table = std::vector<std::vector<double>>;

/// Σ over all cells of (n_ab − e_ab)²/e_ab, e_ab = r_a c_b/n, and Σ n_ab/n ln(n_ab/e_ab).
struct Pairs {
  double chi_squared = 0, degrees = 0, information = 0;
};
Pairs measure_pairs(const std::vector<std::pair<int, int>>& pairs, int tokens);
/// First tokens of fewer than √n pairs become new tokens of √n or more, `tokens` and up, filled in ascending
/// order; what would not fill another one goes to the last. Likewise second tokens.
std::vector<std::pair<int, int>> pool_rare(std::vector<std::pair<int, int>> pairs, int tokens);
/// Mean and variance of χ² over all orders of the second tokens: n! of them.
struct Moments {
  double mean = 0, variance = 0;
};
Moments permutation_moments(std::vector<std::pair<int, int>> pairs, int tokens);
/// ∫_x^∞ t^(f/2−1) e^(−t/2) dt / (2^(f/2) Γ(f/2)) by Simpson's rule, f ≥ 2.
double chi_squared_tail(double x, double degrees);

/// Pr(next | …) = Σ_d q[last][d] p[next][token at offset d].
struct Process {
  Table p, q;
};
/// `length` tokens; the first T + 1 are uniform. uniform() gives numbers in [0, 1).
template <class Uniform>
Text draw_text(const Process& process, std::size_t length, Uniform&& uniform) {
  const std::size_t tokens = process.p.size(), offsets = process.q[0].size();
  const auto draw = [&](const auto& probability, std::size_t n) {
    double left = uniform();
    std::size_t i = 0;
    while (i + 1 < n && (left -= probability(i)) >= 0) ++i;
    return i;
  };
  Text text;
  for (std::size_t i = 0; i < length; ++i) {
    if (i < offsets) {
      text.push_back(static_cast<int>(uniform() * static_cast<double>(tokens)));
      continue;
    }
    const auto last = static_cast<std::size_t>(text[i - 1]);
    const std::size_t d = draw([&](std::size_t o) { return process.q[last][o]; }, offsets);
    const auto from = static_cast<std::size_t>(text[i - 1 - d]);
    text.push_back(static_cast<int>(draw([&](std::size_t o) { return process.p[o][from]; }, tokens)));
  }
  return text;
}
/// Nats a token of the process, from the stationary law of all V^(T + 1) pasts.
double entropy_rate(const Process& process);

struct Fit {
  Process process;
  std::vector<double> objective;  ///< nats a window, of the last stretch of iterations
};
/// The whole of telos' fit for one q for each last token: start from the pairs of most information, eight
/// iterations before each halving of the offsets, then `iterations`, and again after offsets were left out.
Fit fit_mixture(const Text& text, int tokens, int max_offset, int sparsity, double smooth, int iterations);

/// V and A (by last token and offset) of ½‖e_o − V X a_k‖² by alternating least squares from offset 0.
Process fit_probe(const Text& text, int tokens, int max_offset, std::size_t windows, int rounds);

}  // namespace telos::reference::corpus
