// Attention on blocks of covariances.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "symmetry/kernel_parts.h"
#include "telos/base/arena.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

std::size_t visible_from(const AttentionLayer& layer, std::size_t a, std::size_t length) {
  return layer.causal ? a + 1 : length;
}

Matrix<double> with_positions(const AttentionLayer& layer, const Matrix<double>& k,
                              const std::vector<double>& positions, Places x, Places y) {
  Matrix<double> out = k.copy();
  if (layer.position > 0)
    for (std::size_t a = 0; a < k.rows(); ++a)
      for (std::size_t b = 0; b < k.cols(); ++b)
        out(a, b) += layer.position * positions[position_distance(x[a], y[b])];
  return out;
}

const std::vector<double>& longer_table(const std::vector<double>& x, const std::vector<double>& y) {
  return x.size() > y.size() ? x : y;
}

// ---- 1/d

/// scale · ζ_X V ζ_Yᵀ.
Matrix<double> between_attentions(const StepCache& x, const StepCache& y, double scale,
                                  const Matrix<double>& v) {
  Matrix<double> half(x.attention.rows(), v.cols()), out(x.attention.rows(), y.attention.rows());
  gemm<double>(Op::kPlain, Op::kPlain, 1, x.attention, v, 0, half, serial_arena());
  gemm<double>(Op::kPlain, Op::kTransposed, scale, half, y.attention, 0, out, serial_arena());
  return out;
}

// ---- 1/√d

Nonlinearity nonlinearity_of(AttentionMap map) {
  switch (map) {
    case AttentionMap::kRelu:
      return Nonlinearity::kRelu;
    case AttentionMap::kAbs:
      return Nonlinearity::kAbs;
    case AttentionMap::kErf:
      return Nonlinearity::kErf;
    default:
      return Nonlinearity::kIdentity;
  }
}

/// Inputs of attention with random logits: K̃ and Θ̃ for queries and keys, K and Θ of values.
struct RandomLogits {
  const AttentionLayer& layer;
  const AttentionSide &x, &y;
  const Matrix<double>&k, &theta, &value, &value_theta;

  /// Sums over what (a, c) see: Σ E φφ' V, and Σ of the terms of the NTK beside 2K'.
  Transformed sums(std::size_t a, std::size_t c) const;
};

Transformed RandomLogits::sums(std::size_t a, std::size_t c) const {
  const double q2 = layer.logit * layer.logit, query = q2 * k(a, c);
  const std::size_t seen_x = visible_from(layer, a, k.rows()), seen_y = visible_from(layer, c, k.cols());
  const std::vector<double>& turns = longer_table(x.cache.turns, y.cache.turns);
  std::vector<double> variance(seen_y), logits(seen_y), slopes(theta.empty() ? 0 : seen_y);
  for (std::size_t d = 0; d < seen_y; ++d) variance[d] = q2 * y.cache.variance[c] * y.cache.variance[d];
  std::vector<double> inverse(seen_y);
  inverse_roots(nonlinearity_of(layer.map), variance, inverse);
  Transformed total;
  for (std::size_t b = 0; b < seen_x; ++b) {
    // (b − a) − (d − c)
    const auto turn = [&](std::size_t d) {
      return layer.rope ? turns[position_distance(x.places[b] + y.places[c], y.places[d] + x.places[a])] : 1;
    };
    for (std::size_t d = 0; d < seen_y; ++d) logits[d] = query * turn(d) * k(b, d);
    transform_row(nonlinearity_of(layer.map), 0, q2 * x.cache.variance[a] * x.cache.variance[b], variance,
                  inverse, logits, slopes);
    for (std::size_t d = 0; d < seen_y; ++d) total.value += logits[d] * value(b, d);
    for (std::size_t d = 0; d < slopes.size(); ++d)
      total.slope +=
          logits[d] * value_theta(b, d) + q2 * turn(d) * slopes[d] * value(b, d) *
                                              ((2 * k(a, c) + theta(a, c)) * k(b, d) + k(a, c) * theta(b, d));
  }
  return total;
}

/// Sums over all b < rows, d < cols of a product, for linear attention: entry (rows, cols).
Matrix<double> prefix_products(const Matrix<double>& p, const Matrix<double>& q) {
  Matrix<double> out(p.rows() + 1, p.cols() + 1);
  for (std::size_t b = 0; b < p.rows(); ++b) {
    double line = 0;
    for (std::size_t d = 0; d < p.cols(); ++d) {
      line += p(b, d) * q(b, d);
      out(b + 1, d + 1) = out(b, d + 1) + line;
    }
  }
  return out;
}

/// Linear attention without rotary embeddings has K'_ac = qk² ov2 K̃_ac ⟨K̃, V⟩.
struct LinearLogits {
  const RandomLogits& in;
  Matrix<double> values, value_thetas, key_thetas;

  explicit LinearLogits(const RandomLogits& logits)
      : in(logits), values(prefix_products(logits.k, logits.value)) {
    if (in.theta.empty()) return;
    value_thetas = prefix_products(in.k, in.value_theta);
    key_thetas = prefix_products(in.theta, in.value);
  }
  Transformed sums(std::size_t a, std::size_t c) const {
    const std::size_t b = visible_from(in.layer, a, in.k.rows()), d = visible_from(in.layer, c, in.k.cols());
    const double q2 = in.layer.logit * in.layer.logit, here = in.k(a, c);
    Transformed total{q2 * here * values(b, d), 0};
    if (!in.theta.empty())
      total.slope =
          q2 * (here * (value_thetas(b, d) + key_thetas(b, d)) + (2 * here + in.theta(a, c)) * values(b, d));
    return total;
  }
};

template <class Logits>
Block from_sums(const Logits& logits, const RandomLogits& in) {
  const AttentionLayer& layer = in.layer;
  const std::size_t lx = in.k.rows(), ly = in.k.cols();
  const bool one = in.x.row != kNever;
  Block out(one ? 1 : lx, one ? 1 : ly, !in.theta.empty());
  for (std::size_t i = 0; i < out.k.rows(); ++i)
    for (std::size_t j = 0; j < out.k.cols(); ++j) {
      const std::size_t a = one ? in.x.row : i, c = one ? in.y.row : j;
      const Transformed sums = logits.sums(a, c);
      const double scale = layer.value * average_factor(layer, a, lx) * average_factor(layer, c, ly);
      out.k(i, j) = scale * sums.value + layer.bias;
      if (!out.theta.empty()) out.theta(i, j) = scale * (sums.slope + 2 * sums.value) + layer.bias;
    }
  return out;
}

}  // namespace

const Arena& serial_arena() {
  static const Arena arena(1);
  return arena;
}

double average_factor(const AttentionLayer& layer, std::size_t a, std::size_t length) {
  const auto n = static_cast<double>(visible_from(layer, a, length));
  switch (layer.average) {
    case AttentionAverage::kRoot:
      return 1 / std::sqrt(n);
    case AttentionAverage::kMean:
      return 1 / n;
    case AttentionAverage::kNone:
      break;
  }
  return 1;
}

void map_logits(AttentionMap map, std::span<double> logits, std::size_t visible) {
  const auto seen = logits.first(visible);
  switch (map) {
    case AttentionMap::kSoftmax:
      return softmax_row<double>(logits, visible, 1);
    case AttentionMap::kLinear:
      break;
    case AttentionMap::kRelu:
      for (double& z : seen) z = std::max(z, 0.0);
      break;
    case AttentionMap::kAbs:
      for (double& z : seen) z = std::abs(z);
      break;
    case AttentionMap::kErf:
      vec_erf<double>(seen, seen);
      break;
  }
  std::fill(logits.begin() + static_cast<std::ptrdiff_t>(visible), logits.end(), 0.0);
}

void prepare_attention(const AttentionLayer& layer, std::size_t dimension, const Matrix<double>& k,
                       Places places, std::size_t row, StepCache& cache) {
  const std::size_t length = k.rows(), extent = places.back() + 1;
  if (layer.position > 0) cache.positions = position_covariances(layer.positions, dimension, extent);
  if (layer.rope) cache.turns = mean_cosines(layer.rope->base, layer.rope->dimension, 2 * extent);
  const double own = layer.position > 0 ? layer.position * cache.positions[0] : 0;
  if (layer.scale == AttentionScale::kRoot) {
    cache.variance.resize(length);
    for (std::size_t a = 0; a < length; ++a) cache.variance[a] = k(a, a) + own;
    return;
  }
  cache.attention = Matrix<double>(row == kNever ? length : 1, length);
  for (std::size_t i = 0; i < cache.attention.rows(); ++i) {
    const std::size_t a = row == kNever ? i : row;
    const std::span<double> logits(cache.attention.row(i), length);
    for (std::size_t b = 0; b < length; ++b) {
      const std::size_t t = position_distance(places[a], places[b]);
      const double tilde = k(a, b) + (layer.position > 0 ? layer.position * cache.positions[t] : 0);
      logits[b] =
          layer.logit * tilde * (layer.rope ? cache.turns[t] : 1) - layer.alibi * static_cast<double>(t);
    }
    map_logits(layer.map, logits, visible_from(layer, a, length));
    for (double& z : logits) z *= average_factor(layer, a, length);
  }
}

Block with_layer_positions(const AttentionLayer& layer, bool trained, const AttentionSide& x,
                           const AttentionSide& y, const Block& block) {
  const std::vector<double>& positions = longer_table(x.cache.positions, y.cache.positions);
  const bool trained_positions = trained && layer.positions != Positions::kSinusoidal;
  Block out;
  out.k = with_positions(layer, block.k, positions, x.places, y.places);
  if (!block.theta.empty())
    out.theta = trained_positions ? with_positions(layer, block.theta, positions, x.places, y.places)
                                  : block.theta.copy();
  return out;
}

void attend(const AttentionLayer& layer, bool trained, const AttentionSide& x, const AttentionSide& y,
            Block& block) {
  const bool ntk = !block.theta.empty();
  const auto [k, theta] = with_layer_positions(layer, trained, x, y, block);
  if (layer.scale == AttentionScale::kRoot) {
    const Matrix<double>&value = layer.value_positions ? k : block.k,
          &value_theta = layer.value_positions ? theta : block.theta;
    const RandomLogits logits{layer, x, y, k, theta, value, value_theta};
    Block out = layer.map == AttentionMap::kLinear && !layer.rope ? from_sums(LinearLogits(logits), logits)
                                                                  : from_sums(logits, logits);
    block = std::move(out);
    return;
  }
  const Matrix<double>& value = layer.value_positions ? k : block.k;
  Block out;
  out.k = between_attentions(x.cache, y.cache, layer.value, value);
  if (ntk) {
    out.theta =
        between_attentions(x.cache, y.cache, layer.value, layer.value_positions ? theta : block.theta);
    for (std::size_t a = 0; a < out.k.rows(); ++a)
      for (std::size_t c = 0; c < out.k.cols(); ++c) out.theta(a, c) += 2 * out.k(a, c) + layer.bias;
  }
  for (std::size_t a = 0; a < out.k.rows(); ++a)
    for (std::size_t c = 0; c < out.k.cols(); ++c) out.k(a, c) += layer.bias;
  block = std::move(out);
}

}  // namespace telos::symmetry
