#include "clustering/hardmax_filter.h"

#include <algorithm>
#include <cmath>

#include "clustering/hardmax_kernel.h"
#include "telos/linalg/decompositions.h"

namespace telos::clustering {
namespace {

// Turning pays for many tokens, and costs d³ once.
constexpr std::size_t kFewTokens = 4096, kFewNumbers = 16, kManyNumbers = 512, kSample = 8192;
constexpr std::size_t kRows = 2048;  // turned at once

}  // namespace

void cut_row(std::span<const float> x, std::size_t m, float* out) {
  std::copy_n(x.data(), m, out);
  if (m == x.size()) return;
  const float square = dot_single(x.data() + m, x.data() + m, x.size() - m);
  out[m] = std::sqrt(square * (1 + static_cast<float>(x.size()) * 0x1p-23F)) * (1 + 0x1p-22F) + 0x1p-50F;
}

void Filter::choose_axes(const HardmaxState& state, const Arena& arena) {
  const std::size_t n = state.size(), d = state.dimension();
  if (n < kFewTokens || d < kFewNumbers || d > kManyNumbers) return;
  const std::size_t count = std::min(n, kSample);
  Matrix<double> sample(count, d), squares(d, d);
  for (std::size_t i = 0; i < count; ++i) std::copy_n(state.w.tokens.row(i * n / count), d, sample.row(i));
  gemm<double>(Op::kTransposed, Op::kPlain, 1, sample, sample, 0, squares, arena);
  const SymmetricEigen eigen = symmetric_eigen(squares, true);
  axes_ = Matrix<double>(d, d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t c = 0; c < d; ++c) axes_(i, c) = eigen.vectors(i, d - 1 - c);
}

void Filter::refresh(const HardmaxState& state, const std::vector<TokenId>& active, const Arena& arena) {
  if (started_ && layer_ == state.layer) return;
  const std::size_t d = state.dimension();
  if (!started_) {
    rows_ = Matrix<float>(state.size(), d);
    choose_axes(state, arena);
  }
  started_ = true;
  layer_ = state.layer;
  for (; faces_.size() < state.w.faces.size();) {
    std::vector<float> face(d);
    turn(state.w.faces.data() + faces_.size(), face);
    faces_.insert(faces_.end(), face.begin(), face.end());
  }
  for (std::size_t begin = 0; begin < active.size(); begin += kRows) {
    const std::size_t count = std::min(kRows, active.size() - begin);
    Matrix<double> rows(count, d), turned;
    arena.parallel_for(
        count, [&](std::size_t i) { std::copy_n(state.w.tokens.row(active[begin + i]), d, rows.row(i)); });
    if (!axes_.empty()) {
      turned = Matrix<double>(count, d);
      gemm<double>(Op::kPlain, Op::kPlain, 1, rows, axes_, 0, turned, arena);
    }
    const Matrix<double>& from = axes_.empty() ? rows : turned;
    arena.parallel_for(count, [&](std::size_t i) {
      float* const out = rows_.row(active[begin + i]);
      for (std::size_t c = 0; c < d; ++c) out[c] = static_cast<float>(from(i, c));
    });
  }
}

void Filter::turn(const double* point, std::span<float> out) const {
  for (std::size_t c = 0; c < out.size(); ++c) {
    double x = axes_.empty() ? point[c] : 0;
    for (std::size_t i = 0; i < axes_.rows(); ++i) x += point[i] * axes_(i, c);
    out[c] = static_cast<float>(x);
  }
}

const float* Filter::row(const HardmaxState& state, TokenId point) const {
  return point < state.size() ? rows_.row(point) : faces_.data() + (point - state.size()) * state.dimension();
}

void Filter::position(const HardmaxState& state, TokenId point, std::span<float> out) const {
  const float* const from = row(state, point);
  if (point >= state.size() || state.state[point] != TokenState::kFrozen) {
    std::copy_n(from, out.size(), out.data());
    return;
  }
  const float* const to = row(state, state.target[point]);
  const auto factor = static_cast<float>(state.shrunk(point));
  for (std::size_t c = 0; c < out.size(); ++c) out[c] = to[c] + factor * (from[c] - to[c]);
}

}  // namespace telos::clustering
