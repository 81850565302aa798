#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/model/architecture.h"

namespace telos::test {

inline Matrix<double> random_matrix(std::size_t rows, std::size_t cols, Random& random, double scale = 1) {
  Matrix<double> out(rows, cols);
  for (std::size_t i = 0; i < out.size(); ++i) out.data()[i] = scale * random.normal();
  return out;
}

/// A random attention sublayer with all its parts: W_V entries normal/√d, W_O entries normal/√k.
inline AttentionWeights random_layer(std::size_t d, std::size_t heads, std::size_t kv_heads, std::size_t k,
                                     NormKind norm, std::uint64_t seed) {
  Random random(seed);
  AttentionWeights w;
  w.heads = heads;
  w.kv_heads = kv_heads;
  w.head_width = k;
  const auto draw = [&](double scale) { return static_cast<float>(scale * random.normal()); };
  w.value_t = Matrix<float>(kv_heads * k, d);
  w.output = Matrix<float>(heads * k, d);
  for (std::size_t i = 0; i < w.value_t.size(); ++i)
    w.value_t.data()[i] = draw(1 / std::sqrt(static_cast<double>(d)));
  for (std::size_t i = 0; i < w.output.size(); ++i)
    w.output.data()[i] = draw(1 / std::sqrt(static_cast<double>(k)));
  for (std::size_t i = 0; i < kv_heads * k; ++i) w.value_bias.push_back(draw(0.1));
  for (std::size_t i = 0; i < d; ++i) w.output_bias.push_back(draw(0.1));
  w.norm = norm;
  if (norm == NormKind::kNone) return w;
  for (std::size_t i = 0; i < d; ++i) {
    w.norm_gain.push_back(1 + draw(0.3));
    if (norm == NormKind::kLayerNorm) w.norm_bias.push_back(draw(0.1));
  }
  return w;
}

inline AttentionWeights copy(const AttentionWeights& from) {
  AttentionWeights to;
  to.heads = from.heads;
  to.kv_heads = from.kv_heads;
  to.head_width = from.head_width;
  to.value_t = from.value_t.copy();
  to.output = from.output.copy();
  to.value_bias = from.value_bias;
  to.output_bias = from.output_bias;
  to.norm = from.norm;
  to.norm_gain = from.norm_gain;
  to.norm_bias = from.norm_bias;
  to.output_gain = from.output_gain;
  to.output_norm = from.output_norm;
  to.problems = from.problems;
  to.not_finite = from.not_finite;
  return to;
}

/// W_V → W_V M, W_O → M⁻¹ W_O of one value head and all query heads that read it, b_V → b_V M. Entries are
/// rounded to float, so H changes by some 2⁻²⁴ κ(M).
inline void change_gauge(AttentionWeights& w, std::size_t group, const Matrix<double>& m) {
  const std::size_t k = w.head_width, d = w.value_t.cols(), per_group = w.heads / w.kv_heads;
  Matrix<float> value(k, d);
  for (std::size_t r = 0; r < k; ++r)
    for (std::size_t i = 0; i < d; ++i) {
      double sum = 0;
      for (std::size_t s = 0; s < k; ++s) sum += m(s, r) * double{w.value_t(group * k + s, i)};
      value(r, i) = static_cast<float>(sum);
    }
  for (std::size_t r = 0; r < k; ++r)
    for (std::size_t i = 0; i < d; ++i) w.value_t(group * k + r, i) = value(r, i);
  if (!w.value_bias.empty()) {
    std::vector<float> bias(k);
    for (std::size_t r = 0; r < k; ++r) {
      double sum = 0;
      for (std::size_t s = 0; s < k; ++s) sum += m(s, r) * double{w.value_bias[group * k + s]};
      bias[r] = static_cast<float>(sum);
    }
    for (std::size_t r = 0; r < k; ++r) w.value_bias[group * k + r] = bias[r];
  }
  for (std::size_t h = group * per_group; h < (group + 1) * per_group; ++h) {
    Matrix<double> block(k, d);
    for (std::size_t r = 0; r < k; ++r)
      for (std::size_t i = 0; i < d; ++i) block(r, i) = double{w.output(h * k + r, i)};
    const Matrix<double> solved = solve(m, block);
    for (std::size_t r = 0; r < k; ++r)
      for (std::size_t i = 0; i < d; ++i) w.output(h * k + r, i) = static_cast<float>(solved(r, i));
  }
}

/// A k × k matrix of condition about 4: identity plus a small random part.
inline Matrix<double> mild_gauge(std::size_t k, std::uint64_t seed) {
  Random random(seed, 7);
  Matrix<double> m = random_matrix(k, k, random, 0.5 / std::sqrt(static_cast<double>(k)));
  for (std::size_t i = 0; i < k; ++i) m(i, i) += 1.5;
  return m;
}

/// A random row-stochastic n × n matrix, lower triangular if `causal`.
inline Matrix<double> random_attention(std::size_t n, bool causal, Random& random) {
  Matrix<double> a(n, n);
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    const std::size_t valid = causal ? i + 1 : n;
    for (std::size_t j = 0; j < valid; ++j) sum += a(i, j) = std::exp(1.5 * random.normal());
    for (std::size_t j = 0; j < valid; ++j) a(i, j) /= sum;
  }
  return a;
}

}  // namespace telos::test
