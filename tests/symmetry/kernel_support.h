#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "reference/symmetry_kernel.h"
#include "telos/base/philox.h"
#include "telos/symmetry/kernel.h"

// What the tests of kernels share: random architectures, and the slow version of any.

namespace telos::symmetry::checks {

namespace slow = reference::kernel;
using Sequence = std::vector<Token>;

/// The same architecture for the slow version.
inline slow::Network as_slow(const Architecture& a) {
  slow::Network n;
  n.se2 = a.embedding.token;
  n.sp2 = a.embedding.position;
  n.positions = to_string(a.embedding.positions);
  n.dimension = static_cast<int>(a.embedding.dimension);
  n.trained = a.embedding.trained;
  for (const TransformerBlock& b : a.blocks) {
    slow::Layer l;
    l.norm = to_string(b.norm);
    l.residual = b.residual;
    if (b.attention) {
      slow::Attention m;
      m.map = to_string(b.attention->map);
      m.root = b.attention->scale == AttentionScale::kRoot;
      m.qk = b.attention->logit;
      m.ov2 = b.attention->value;
      m.b2 = b.attention->bias;
      m.sp2 = b.attention->position;
      m.positions = to_string(b.attention->positions);
      m.value_positions = b.attention->value_positions;
      m.average = static_cast<int>(b.attention->average);
      m.causal = b.attention->causal;
      m.alibi = b.attention->alibi;
      if (b.attention->rope) {
        m.rope_base = b.attention->rope->base;
        m.rope_dimension = static_cast<int>(b.attention->rope->dimension);
      }
      l.attention.push_back(m);
    }
    if (b.mlp)
      l.mlp.push_back({std::string(to_string(b.mlp->phi)), b.mlp->slope, b.mlp->weight, b.mlp->bias,
                       b.mlp->out_weight, b.mlp->out_bias});
    n.layers.push_back(l);
  }
  n.readout = to_string(a.readout);
  n.final_norm = a.final_norm;
  n.w2 = a.weight;
  n.epsilon = a.epsilon;
  if (a.padding) n.padding = static_cast<long>(*a.padding);
  return n;
}

/// Anything that has a closed form but softmax at 1/√d.
inline Architecture random_architecture(Random& random) {
  const auto pick = [&](auto... values) {
    const std::common_type_t<decltype(values)...> list[] = {values...};
    return list[random.below(sizeof...(values))];
  };
  const auto number = [&] { return 0.2 + 1.5 * random.uniform(); };
  Architecture a;
  a.embedding = {.token = number(),
                 .position = number(),
                 .positions = pick(Positions::kNone, Positions::kIndependent, Positions::kIndependent,
                                   Positions::kSinusoidal, Positions::kDecay),
                 .dimension = 8,
                 .trained = pick(true, true, false)};
  for (std::uint32_t i = random.below(3); i < 3; ++i) {
    TransformerBlock b;
    b.norm = pick(NormPlace::kPre, NormPlace::kPre, NormPlace::kPost, NormPlace::kNone);
    b.residual = pick(true, true, false);
    if (pick(true, true, false)) {
      AttentionLayer m;
      m.scale = pick(AttentionScale::kDimension, AttentionScale::kRoot);
      m.map = pick(AttentionMap::kLinear, AttentionMap::kRelu, AttentionMap::kAbs, AttentionMap::kErf);
      if (m.scale == AttentionScale::kDimension) m.map = pick(AttentionMap::kSoftmax, m.map);
      m.logit = number();
      m.value = number();
      m.bias = pick(0.0, 0.3);
      m.position = pick(0.0, 0.4);
      m.positions =
          pick(Positions::kIndependent, Positions::kSinusoidal, Positions::kDecay, Positions::kNone);
      m.value_positions = pick(true, false);
      m.average = pick(AttentionAverage::kNone, AttentionAverage::kRoot, AttentionAverage::kMean);
      m.causal = pick(true, false);
      if (pick(true, false, false)) m.rope = RotaryEmbedding{.base = 100, .dimension = 6};
      if (m.scale == AttentionScale::kDimension) m.alibi = pick(0.0, 0.2);
      b.attention = m;
    }
    if (pick(true, false))
      b.mlp = MlpLayer{.phi = pick(Nonlinearity::kIdentity, Nonlinearity::kRelu, Nonlinearity::kLeakyRelu,
                                   Nonlinearity::kAbs, Nonlinearity::kErf, Nonlinearity::kGelu,
                                   Nonlinearity::kSin, Nonlinearity::kCos),
                       .slope = 0.2,
                       .weight = number(),
                       .bias = pick(0.0, 0.1),
                       .out_weight = number(),
                       .out_bias = pick(0.0, 0.2)};
    a.blocks.push_back(b);
  }
  a.readout = pick(Readout::kLast, Readout::kMean, Readout::kFlatten, Readout::kCls);
  a.final_norm = pick(true, false);
  a.weight = number();
  a.epsilon = pick(0.0, 1e-3);
  return a;
}

inline Sequence random_sequence(Random& random, std::size_t length, std::uint32_t vocabulary) {
  Sequence s(length);
  for (Token& t : s) t = random.below(vocabulary);
  return s;
}

}  // namespace telos::symmetry::checks
