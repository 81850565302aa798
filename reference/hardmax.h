#pragma once

#include <cstddef>
#include <limits>
#include <vector>

// The hardmax transformer (arXiv 2407.01602), layer by layer, as it is written: O(n²d) a layer, the standard
// library alone. The library's fast version is tested against it.

namespace telos::reference::hardmax {

template <class Real>
using Rows = std::vector<std::vector<Real>>;
using Set = std::vector<std::size_t>;

inline constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

#if defined(__SIZEOF_FLOAT128__)
__extension__ using Quad = __float128;
#else
using Quad = long double;
#endif

struct System {
  double alpha = 1;
  double tie = 0;       // τ: j is tied if best − ⟨A z_i, z_j⟩ ≤ τ ‖z_i‖_A max_j ‖z_j‖_A
  Rows<double> a = {};  // A; empty: I
  Rows<double> p = {};  // P in z' = z + P (m − z); empty: sI, s = α/(1 + α)
};

template <class Real>
struct Run {
  std::vector<Rows<Real>> positions;      // layers 0 … K
  std::vector<std::vector<Set>> targets;  // C_i at layers 0 … K − 1
  Set emergence;                          // first layer at which C_i holds i and its copies alone, or kNever
};

// C_i for all i.
template <class Real>
std::vector<Set> argmax_sets(const Rows<Real>& z, const System& system);

// Once C_i = {i} (and copies of i), i is a leader: it stands still for ever. That is latched, because in
// floating point the tokens that follow it arrive at it.
template <class Real>
Run<Real> iterate(const Rows<double>& tokens, const System& system, std::size_t layers);

}  // namespace telos::reference::hardmax
