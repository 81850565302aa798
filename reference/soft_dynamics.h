#pragma once

#include <cstddef>
#include <functional>
#include <vector>

// The soft and continuous relatives of the hardmax system, as their formulas read: plain loops, double
// precision, nothing but the standard library, no attention to speed. Tokens are rows; matrices act from the
// left on a token.

namespace telos::reference::soft {

using Vector = std::vector<double>;
using Mat = std::vector<Vector>;  // rows

double dot(const Vector& a, const Vector& b);
Vector transform(const Mat& m, const Vector& x);  // an empty matrix is the identity
Mat multiply(const Mat& a, const Mat& b);
Mat exponential(const Mat& a);  // Taylor series of a/2^k, squared k times
Vector softmax(const Vector& scores);

// ---- Layers ----
// z_i' = r z_i + s Σ_j softmax_j(⟨A z_i, z_j⟩/T) z_j.
Mat softmax_layer(const Mat& z, const Mat& a, double alpha, double temperature);
// The same with equal weights on all j whose score is within relaxation·‖A z_i‖·max‖z‖ of the best.
Mat localmax_layer(const Mat& z, const Mat& a, double alpha, double relaxation);

// ---- Differential equations: the slope of every token ----
// ż_i = Σ_j softmax_j(⟨Q e^{tV} z_i, K e^{tV} z_j⟩) V (z_j − z_i).
Mat emergence(const Mat& z, double t, const Mat& q, const Mat& k, const Mat& v);
// ẋ_i = P⊥(Σ_j softmax_j(β⟨Q x_i, K x_j⟩) V x_j), P⊥ y = y − ⟨y, x_i⟩ x_i.
Mat sa(const Mat& x, double beta, const Mat& q, const Mat& k, const Mat& v);
// ẋ_i = P⊥((1/n) Σ_j e^{β⟨x_i, x_j⟩} x_j), and what it ascends.
Mat usa(const Mat& x, double beta);
double energy(const Mat& x, double beta);  // (1/(2βn²)) Σ_ij e^{β⟨x_i, x_j⟩}

// Classical Runge–Kutta; `sphere` divides each token by its norm after every step.
using Slope = std::function<Mat(const Mat& x, double t)>;
Mat integrate(const Slope& slope, Mat x, double from, double to, std::size_t steps, bool sphere);

// Number of connected components of tokens at most `distance` apart.
std::size_t components(const Mat& x, double distance);

}  // namespace telos::reference::soft
