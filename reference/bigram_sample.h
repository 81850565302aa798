#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

// Samples of a sparse contextual bigram by the random-number contract, one word at a time, and their
// gradients from dense one-hot matrices.

namespace telos::reference::bigram {

using Rows = std::vector<std::vector<double>>;

/// p[i][j] = Pr(next = i | attended = j); weights of a last token as (position, weight) in ascending order.
struct SampledTask {
  Rows p;
  std::vector<double> mu;
  std::vector<std::vector<std::pair<std::size_t, double>>> q;
  std::size_t length = 0;
};

struct DrawnSample {
  std::vector<std::size_t> tokens;
  std::size_t last = 0, attended = 0, output = 0;
};

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

DrawnSample draw(const SampledTask& task, std::uint64_t seed, std::uint32_t stream, std::uint64_t sample);

/// Sums over samples.
struct SampleGradient {
  double loss = 0;
  Rows v, a;  ///< N × N; N × T, a row a last token
};

/// With X the N × T matrix of one-hot columns: f = V (X a_k), r = f − e_o, loss |r|²/2, dV = r (X a_k)ᵀ, da_k
/// = Xᵀ (Vᵀ r).
SampleGradient gradient(const std::vector<DrawnSample>& samples, const Rows& v, const Rows& a);

}  // namespace telos::reference::bigram
