#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/model/architecture.h"
#include "tests/model/editable.h"

// Changes of the weights of a transformer that must leave what it computes unchanged. They test every reader
// of a family (layout, head order, grouping, rotary pairing, fused projections: a mistake in any of them
// breaks one line), and that a number which telos prints of weights does not depend on an arbitrary choice of
// basis.
namespace telos::testing {

enum class Gauge {
  kPermuteHeads,  ///< key/value groups, and query heads within each group
  kValueOutput,   ///< W_V ← W_V M, W_O ← M⁻¹ W_O, M ∈ GL(k) for each key/value head
  kQueryKey,  ///< W_K ← W_K C, W_Q ← W_Q C⁻ᵀ, C in what commutes with the rotary positions: complex numbers
              ///< in each rotary plane, GL on the other coordinates; signs of planes if queries are normed
  kQueryKeyAny,  ///< the same with C ∈ GL(k): no symmetry under rotary positions or norms of queries and keys
  kPermuteNeurons,  ///< of each MLP
  kScaleNeurons,    ///< up · s, down / s, s > 0: gated MLPs only
  kRotateStream,  ///< X ← X R with gains folded; R orthogonal (RMSNorm), orthogonal with R1 = 1 (LayerNorm),
                  ///< a permutation (post-norm)
  kRelabel,  ///< names of the tokens
};
inline constexpr Gauge kGauges[] = {Gauge::kPermuteHeads, Gauge::kValueOutput,    Gauge::kQueryKey,
                                    Gauge::kQueryKeyAny,  Gauge::kPermuteNeurons, Gauge::kScaleNeurons,
                                    Gauge::kRotateStream, Gauge::kRelabel};
std::string_view to_string(Gauge gauge);

/// How inputs and hidden states must be translated to compare before and after.
struct GaugeChange {
  bool applied = false;                 ///< false: the family has no such freedom, nothing was changed
  bool symmetry = true;                 ///< false: the change must alter the output
  Matrix<double> stream{};              ///< R of kRotateStream, else empty: hidden states become X R
  std::vector<std::int32_t> relabel{};  ///< new id of each old id of kRelabel, else empty
};

/// Changes `model`, whose architecture is given, by a random element of the gauge group. Factors have
/// condition numbers up to 4, so that rounding the new weights to float costs a few units in the last place.
GaugeChange apply_gauge(Editable& model, const Architecture& architecture, Gauge gauge, std::uint64_t seed);

}  // namespace telos::testing
