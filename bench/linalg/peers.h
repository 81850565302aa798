#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace telos::bench {

/// Row-major C = op(A) op(B) in single precision, one thread; op(A) m×k, op(B) k×n.
struct Problem {
  std::size_t m, n, k;
  bool transposed_a = false, transposed_b = false;
  /// B is a weight that many products share: whoever can, packs it beforehand.
  bool packed = false;

  std::string name() const;
  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};

/// A library that multiplies matrices. prepare() returns the product to be timed, bound to these arrays
/// (dense, no padding), or nothing if the library cannot do this one.
struct Peer {
  std::string name;
  std::function<std::function<void()>(const Problem&, const float* a, const float* b, float* c)> prepare;
};

/// OpenBLAS and BLIS, each loaded by itself so that their equal symbol names do not meet, and oneDNN where it
/// was found at build time. Libraries that are absent are left out.
std::vector<Peer> find_peers();

/// Multiply-add rate of one core, in operations (2 a multiply-add) a second: twelve independent chains of the
/// widest vectors. T is float or double.
template <class T = float>
double fma_peak();

}  // namespace telos::bench
