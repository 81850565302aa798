#pragma once

#include <vector>

// Sparse contextual bigrams (Ren, Wang and Lee, arXiv 2410.23438) from their definition: every outcome of
// small tasks is visited with its probability. Shapes are the paper's: columns are laws, Q and A are T × N.

namespace telos::reference::bigram {

using Vector = std::vector<double>;
using Mat = std::vector<Vector>;  // rows

struct Task {
  Mat p;      // N × N
  Vector mu;  // N
  Mat q;      // T × N
};

// max_i |(Pμ)_i − μ_i|, which says whether μ is stationary without asking how it was found.
double stationary_residual(const Mat& p, const Vector& mu);

// Pr(k, x_t = j, o).
double joint_probability(const Task& task, int k, int t, int j, int o);

// Mean over all N^T contexts, N last tokens and N outputs of ½‖e_o − V X a_k‖² and of its gradients, which
// for one outcome are r hᵀ for V and Xᵀ Vᵀ r for column k of A, with h = X a_k and r = V h − e_o.
struct Expected {
  double loss = 0;
  Mat v, a;
};
Expected enumerate(const Task& task, const Mat& v, const Mat& a);

// Columns over μ; in A less their means.
void precondition(Expected& gradient, const Vector& mu);
// One step of preconditioned, projected gradient descent on the enumerated loss.
void step(const Task& task, Mat& v, Mat& a, double eta);

}  // namespace telos::reference::bigram
