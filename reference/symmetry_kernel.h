#pragma once

#include <string>
#include <vector>

// Kernels of an infinitely wide transformer, the slow and obvious way: all three blocks of covariances
// between positions, (X, X), (X, Y) and (Y, Y), are carried through every layer, and every sum is a loop.

namespace telos::reference::kernel {

using Sequence = std::vector<unsigned>;
using Block = std::vector<std::vector<double>>;  ///< positions of X × positions of Y

struct Attention {
  std::string map = "softmax";  ///< softmax, linear, relu, abs, erf
  bool root = false;            ///< logits over √d with independent W_Q and W_K; else over d with W_Q = W_K
  double qk = 1, ov2 = 1, b2 = 0;
  double sp2 = 0;  ///< position vectors added for queries and keys
  std::string positions = "iid";
  bool value_positions = false;
  int average = 0;  ///< the kernel is divided by the number of positions attended to, to this power
  bool causal = false;
  double rope_base = 0;  ///< 0: none
  int rope_dimension = 64;
  double alibi = 0;
};

struct Mlp {
  std::string phi = "relu";
  double slope = 0;  ///< of leaky_relu, below 0
  double w2 = 1, b2 = 0, out_w2 = 1, out_b2 = 0;
};

struct Layer {
  std::string norm = "pre";  ///< pre, post, none
  bool residual = true;
  std::vector<Attention> attention;  ///< none or one
  std::vector<Mlp> mlp;              ///< none or one
};

struct Network {
  double se2 = 1, sp2 = 0.5;
  std::string positions = "iid";  ///< none, iid, sin, decay
  int dimension = 64;             ///< of sin, here and in attention layers
  bool trained = true;
  std::vector<Layer> layers;
  std::string readout = "last";  ///< last, mean, flatten, cls
  bool final_norm = true;
  double w2 = 1, epsilon = 0;
  long padding = -1;  ///< the token that is none; every position stays in the blocks, and is masked
};

struct Value {
  double nngp = 0, ntk = 0;
};
/// Softmax at 1/√d is a two-dimensional integral by the trapezoid rule, if no position sees more than two.
Value evaluate(const Network& network, const Sequence& x, const Sequence& y);
/// The per-position blocks (X, Y) before the last norm and the readout.
struct Blocks {
  Block k, theta;
};
Blocks blocks(const Network& network, const Sequence& x, const Sequence& y);

/// The blocks (X, Y) behind the first attention layer, softmax at 1/√d of the embedding itself, by
/// independent draws of all logits; the derivatives of softmax as a matrix for each row, summed over all four
/// indices.
struct SampledBlocks {
  Blocks mean, error;
};
SampledBlocks sampled_attention(const Network& network, const Sequence& x, const Sequence& y, int samples,
                                unsigned seed);

/// E φ(u) φ(v) for Gaussian u, v of variances a, b and covariance c, and its derivative by c: closed forms.
Value transform(const std::string& phi, double slope, double a, double b, double c);
/// E φ(u) φ(v) and E φ'(u) φ'(v) by the trapezoid rule in two dimensions; also tanh and silu.
Value integral(const std::string& phi, double slope, double a, double b, double c);

/// Linear attention of the last token, the query, to all tokens before it; without `query`, of a fixed query
/// to all tokens.
Value simplified(double se2, double sp2, bool query, bool trained, const Sequence& x, const Sequence& y);

}  // namespace telos::reference::kernel
