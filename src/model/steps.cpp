// The small steps of a layer that are not products: norms and rotary positions.
#include <algorithm>
#include <cmath>

#include "model/pass.h"
#include "telos/linalg/vecmath.h"

namespace telos::model {
namespace {

/// Rows that one task takes: long enough that a task costs more than handing it out.
constexpr std::size_t kRowsOfTask = 16;

template <class Body>
void for_rows(std::size_t rows, const Arena& arena, const Body& body) {
  arena.parallel_for((rows + kRowsOfTask - 1) / kRowsOfTask, [&](std::size_t task) {
    const std::size_t end = std::min(rows, (task + 1) * kRowsOfTask);
    for (std::size_t r = task * kRowsOfTask; r < end; ++r) body(r);
  });
}

void normalise_row(const Norm& norm, std::span<const float> in, std::span<float> out) {
  const auto size = static_cast<float>(in.size());
  const float mean = norm.kind == NormKind::kLayerNorm ? vec_sum<float>(in) / size : 0.0f;
  for (std::size_t j = 0; j < in.size(); ++j) out[j] = in[j] - mean;
  const float square = vec_dot<float>(out, out) / size;
  // Squares beyond the range of float leave no norm to divide by: NaN, which the pass reports, not zeros.
  const float scale = std::isfinite(square) ? 1.0f / std::sqrt(square + norm.eps) : std::nanf("");
  const float* gain = norm.gain.data();
  if (norm.bias.empty()) {
    for (std::size_t j = 0; j < out.size(); ++j) out[j] = out[j] * scale * gain[j];
  } else {
    const float* bias = norm.bias.data();
    for (std::size_t j = 0; j < out.size(); ++j) out[j] = out[j] * scale * gain[j] + bias[j];
  }
}

/// (a_i, b_i) ← (a_i cos − b_i sin, a_i sin + b_i cos) for the planes (i, i + half) of one head.
void rotate_head(const float* cos_sin, std::size_t half, float* head) {
  const float *cosine = cos_sin, *sine = cos_sin + half;
  for (std::size_t i = 0; i < half; ++i) {
    const float a = head[i], b = head[i + half];
    head[i] = a * cosine[i] - b * sine[i];
    head[i + half] = a * sine[i] + b * cosine[i];
  }
}

}  // namespace

void normalise(const Norm& norm, ConstMatrixView<float> in, MatrixView<float> out, const Arena& arena) {
  for_rows(in.rows(), arena, [&](std::size_t r) {
    if (norm.kind == NormKind::kNone)
      std::copy_n(in.row(r), in.cols(), out.row(r));
    else
      normalise_row(norm, {in.row(r), in.cols()}, {out.row(r), in.cols()});
  });
}

Matrix<float> rotary_table(const Rotary& rotary, std::size_t tokens) {
  const std::size_t planes = rotary.frequency.size();
  Matrix<float> table(planes == 0 ? 0 : tokens, 2 * planes);
  for (std::size_t p = 0; p < table.rows(); ++p) {
    for (std::size_t i = 0; i < planes; ++i) {
      const double angle = static_cast<double>(p) * rotary.frequency[i];
      table(p, i) = static_cast<float>(std::cos(angle));
      table(p, planes + i) = static_cast<float>(std::sin(angle));
    }
  }
  return table;
}

void rotate(const Layer& layer, const HeadShape& shape, std::size_t rotary_dims,
            ConstMatrixView<float> cos_sin, MatrixView<float> qkv, const Arena& arena) {
  const bool normed = layer.query_norm.kind != NormKind::kNone || layer.key_norm.kind != NormKind::kNone;
  if (rotary_dims == 0 && !normed) return;
  for_rows(qkv.rows(), arena, [&](std::size_t r) {
    for (std::size_t head = 0; head < shape.heads + shape.kv_heads; ++head) {
      const std::span<float> values(qkv.row(r) + head * shape.width, shape.width);
      const Norm& norm = head < shape.heads ? layer.query_norm : layer.key_norm;
      if (norm.kind != NormKind::kNone) normalise_row(norm, values, values);
      if (rotary_dims != 0) rotate_head(cos_sin.row(r % cos_sin.rows()), rotary_dims / 2, values.data());
    }
  });
}

}  // namespace telos::model
