#pragma once

#include <cstddef>
#include <functional>
#include <vector>

// The slow, obvious form of regression with the simplified block's kernel.

namespace reference::symmetry {

using Sequence = std::vector<unsigned>;
using Rows = std::vector<std::vector<double>>;

/// Σ_{b,c} (e [x_b = y_c] + s [b = c])²/L²; with `query` the last letters are compared apart, as a factor.
double simplified_kernel(const Sequence& x, const Sequence& y, double e, double s, bool query);

/// (K + rI)⁻¹ y by Gaussian elimination.
std::vector<double> ridge_weights(Rows gram, double ridge, std::vector<double> labels);
/// log det by the same elimination.
double log_determinant(Rows a);

/// Calls body for each of the V^L sequences.
void for_each_sequence(std::size_t length, unsigned vocabulary,
                       const std::function<void(const Sequence&)>& body);

/// Probability of a sequence under a chain of hidden states: the sum over all M^L paths.
double path_sum(const std::vector<double>& start, const Rows& transition, const Rows& emission,
                const Sequence& x);

}  // namespace reference::symmetry
