// Random logits of deeper layers, drawn for all sequences of a run together.
#include <algorithm>
#include <cmath>

#include "symmetry/kernel_samples.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kJointStream = 0x53794B03;

/// A with A Aᵀ = k for positive semidefinite k, but for a relative rest of 1e-12: Cholesky with pivots, so
/// that equal tokens and nearly equal ones are no trouble. As many columns as k has rank.
Matrix<double> semidefinite_factor(const Matrix<double>& k) {
  constexpr double kRest = 1e-12;
  const std::size_t n = k.rows();
  std::vector<double> rest(n);
  for (std::size_t i = 0; i < n; ++i) rest[i] = k(i, i);
  const double least = kRest * *std::max_element(rest.begin(), rest.end());
  std::vector<bool> done(n, false);
  Matrix<double> a(n, n);
  std::size_t rank = 0;
  for (; rank < n; ++rank) {
    const auto pivot = static_cast<std::size_t>(std::max_element(rest.begin(), rest.end()) - rest.begin());
    if (!(rest[pivot] > least)) break;
    const double root = std::sqrt(rest[pivot]);
    done[pivot] = true;
    const std::span<const double> above(a.row(pivot), rank);
    for (std::size_t i = 0; i < n; ++i) {
      if (done[i] && i != pivot) continue;
      a(i, rank) = i == pivot ? root : (k(i, pivot) - vec_dot<double>({a.row(i), rank}, above)) / root;
      rest[i] -= a(i, rank) * a(i, rank);
    }
    rest[pivot] = 0;
    if (rank % 64 == 0) check_interrupt();
  }
  Matrix<double> out(n, std::max<std::size_t>(rank, 1));
  for (std::size_t i = 0; i < n; ++i) std::copy_n(a.row(i), rank, out.row(i));
  return out;
}

/// Samples that are at work at once, of so many numbers each.
std::size_t joint_piece(std::size_t numbers) {
  constexpr std::size_t kMostNumbers = std::size_t{1} << 22, kMostSamples = 64;
  return std::clamp<std::size_t>(kMostNumbers / numbers, 1, kMostSamples);
}

/// The draws Z of a piece of samples, rows × cols each, side by side.
void draw_normals(const KernelOptions& o, std::size_t step, const SamplePiece& piece, std::size_t cols,
                  const Arena& arena, MatrixView<double> out) {
  arena.parallel_for(piece.count, [&](std::size_t s) {
    const std::size_t sample = piece.first + s, draw = o.antithetic ? sample / 2 : sample;
    const bool second = o.antithetic && sample % 2 == 1;
    if (second && s > 0) return;  // written with the first of the two
    const double sign = second ? -1 : 1;
    const bool both = o.antithetic && !second && s + 1 < piece.count;
    Random random(o.seed, kJointStream, (std::uint64_t{step} << 32) | draw);
    for (std::size_t q = 0; q < out.rows(); ++q)
      for (std::size_t r = 0; r < cols; ++r) {
        const double z = sign * random.normal();
        out(q, s * cols + r) = z;
        if (both) out(q, (s + 1) * cols + r) = -z;
      }
  });
}

}  // namespace

/// G(X) = A_X Z A_Xᵀ for all X, where the rows of A are those of all sequences' tokens: E G_ab(X) G_cd(Y) is
/// then K_ac K_bd. Where only one row of a sequence is needed, Z has as many rows as these have rank.
void SampledRun::draw_logits(std::size_t i, std::vector<SoftmaxSums>& sums) {
  const AttentionLayer& layer = program_.steps[i].attention;
  const std::size_t n = sequences_.size();
  std::vector<std::size_t> at(n + 1, 0);
  for (std::size_t s = 0; s < n; ++s) at[s + 1] = at[s] + sequences_[s]->tokens.size();
  Matrix<double> covariance(at[n], at[n]);
  for (std::size_t p = 0; p < items_.size(); ++p) {
    const Matrix<double>& k = sums[p].keys();
    for (std::size_t a = 0; a < k.rows(); ++a)
      for (std::size_t c = 0; c < k.cols(); ++c) {
        const std::size_t row = at[items_[p].x] + a, col = at[items_[p].y] + c;
        covariance(row, col) = covariance(col, row) = k(a, c);
      }
  }
  const bool one_row = i == program_.selecting;
  const Matrix<double> keys = semidefinite_factor(covariance);
  Matrix<double> some_queries;
  if (one_row) {
    Matrix<double> part(n, n);
    for (std::size_t s = 0; s < n; ++s)
      for (std::size_t t = 0; t < n; ++t)
        part(s, t) = covariance(at[s] + side(s, i).row, at[t] + side(t, i).row);
    some_queries = semidefinite_factor(part);
  }
  const Matrix<double>& queries = one_row ? some_queries : keys;
  const std::size_t rank = keys.cols();
  const std::size_t piece_size = joint_piece((queries.rows() + queries.cols()) * rank + at[n] * at[n] / n);
  std::vector<Matrix<double>> zeta(n);
  for (const SamplePiece& piece : sample_pieces(program_, variant_, piece_size)) {
    check_interrupt();
    Matrix<double> z(queries.cols(), piece.count * rank), half(queries.rows(), piece.count * rank);
    draw_normals(program_.options, i, piece, rank, arena_, z);
    gemm<double>(Op::kPlain, Op::kPlain, layer.logit, queries, z, 0, half, arena_);
    arena_.parallel_for(n, [&](std::size_t s) {
      const std::size_t length = at[s + 1] - at[s], rows = one_row ? 1 : length;
      zeta[s] = Matrix<double>(rows, piece.count * length);
      const ConstMatrixView<double> own = keys.view().block(at[s], 0, length, rank);
      for (std::size_t r = 0; r < rows; ++r) {
        const std::size_t row = one_row ? s : at[s] + r, a = one_row ? side(s, i).row : r;
        gemm<double>(Op::kPlain, Op::kTransposed, 1, {half.row(row), piece.count, rank}, own, 0,
                     {zeta[s].row(r), piece.count, length}, serial_arena());
        for (std::size_t t = 0; t < piece.count; ++t)
          soften(layer, sequences_[s]->places, a, {zeta[s].row(r) + t * length, length});
      }
    });
    arena_.parallel_for(items_.size(),
                        [&](std::size_t p) { sums[p].add(zeta[items_[p].x], zeta[items_[p].y]); });
  }
}

}  // namespace telos::symmetry
