#pragma once

#include <functional>
#include <vector>

// Spectra of kernels on sequences by writing down all of them, and learning curves by bisection. The slow,
// obvious version.

namespace telos::reference::symmetry {

using Sequence = std::vector<int>;
using Kernel = std::function<double(const Sequence&, const Sequence&)>;
using Law = std::function<double(const Sequence&)>;
using Table = std::vector<std::vector<double>>;

// All of them, the first position changing first.
std::vector<Sequence> all_sequences(int length, int letters);

// Probabilities: uniform, and Dirichlet(alpha) mixture of independent tokens.
double uniform_law(const Sequence& x, int letters);
double urn_law(const Sequence& x, int letters, double alpha);

// Of a symmetric matrix by Jacobi rotations, the largest eigenvalue first; vectors[i] belongs to values[i].
struct Eigen {
  std::vector<double> values;
  Table vectors;
};
Eigen jacobi(Table a);

// Eigenvalues of T f(x) = Σ_y p(y) k(x, y) f(y), and for each the mean of v · (sum of all transpositions of
// the first `length` positions) v, and the same of all cycles of three: labels of the irrep where it is
// simple or all of its space lies in one irrep.
struct LabelledEigenvalue {
  double value, transpositions, three_cycles;
};
std::vector<LabelledEigenvalue> spectrum(const Kernel& kernel, const Law& law, int length, int letters,
                                         int queries = 0);

// (1/L^norm) (se2 [query = query'] + sp2) Σ_bd (se2 [x_b = y_d] + sp2 [b = d])², the query being what follows
// the first `length` tokens; without one its factor is 1.
double simplified_kernel(const Sequence& x, const Sequence& y, int length, double se2, double sp2, int norm);

// One block of a transformer at infinite width: tokens and positions, attention by softmax (1/d, tied) of
// normalised inputs, normalised relu layer (w² 2, b² 0.1) and its output layer, normalised readout averaged
// over positions. All steps add to the stream.
double relu_block(const Sequence& x, const Sequence& y, double se2, double sp2);

struct Degenerate {
  double eigenvalue, multiplicity, energy;
};
struct Curve {
  double kappa, gamma, generalisation, training;
  std::vector<double> learnability;
};
Curve learning_curve(const std::vector<Degenerate>& modes, double ridge, double noise, double samples);
// Least number of samples at which the learnability of a mode is theta, by bisection.
double samples_to_learn(const std::vector<Degenerate>& modes, int mode, double ridge, double theta);

}  // namespace telos::reference::symmetry
