#pragma once

#include <vector>

// Softmax attention of the study pack from its definition: one-hot matrices are built and multiplied,
// likelihoods are products of densities, sequences are visited one by one. Vectors hold rows.

namespace telos::reference::attention_studies {

using Vector = std::vector<double>;
using Mat = std::vector<Vector>;

// Mean of log(1 + e^(−Y vᵀXᵀ softmax(X W z))) over samples.
double support_vector_loss(const std::vector<Mat>& x, const Mat& z, const Vector& v, const Vector& labels,
                           const Mat& w);

// E⟨w_j, query⟩ given the pairs, by Bayes' rule on densities of y.
double mixture_mean(const Mat& w, const Vector& prior, double sigma, const Mat& x, const Vector& y,
                    const Vector& query);

// Cross-entropy of the disentangled transformer: h⁰ = [one-hot token, one-hot position], twice h ← [h,
// softmax(mask(h A hᵀ))h], softmax(h_T W).
double disentangled_loss(const std::vector<int>& tokens, const Vector& target, const Mat& a1, const Mat& a2,
                         const Mat& w);

// S·E[(π(x_i|s)/μ(x_i) − 1)·1{x_j = s}] over stationary chains x_1 … x_length and uniform s, i the last
// position and j = i − lag. Visits all S^length chains.
double first_gradient(const Mat& pi, const Vector& mu, int length, int lag);

}  // namespace telos::reference::attention_studies
