// Samples of softmax attention with random logits, and what kernels make of them.
#include <algorithm>
#include <cmath>

#include "symmetry/kernel_samples.h"
#include "telos/base/philox.h"
#include "telos/linalg/gemm.h"
#include "telos/linalg/vecmath.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kLogitStream = 0x53794B00;
constexpr std::uint32_t kPositionKey = 0x80000000;  // above all token ids
constexpr std::size_t kCachedPiece = 64;

/// The samples of one row's logits: G_ab = qk Σ F_ai Z_ij F_bj, Z shared by all sequences.
class RandomRow {
 public:
  RandomRow(const KernelProgram& program, const EmbeddingForm& form, const SequenceCache& sequence,
            std::size_t a)
      : program_(program),
        token_(std::sqrt(form.token)),
        position_(std::sqrt(form.position)),
        query_token_(sequence.tokens[a]),
        query_position_(position_key(sequence.places[a])),
        by_kind_(sequence.distinct.size(), program.options.samples),
        by_position_(sequence.tokens.size(), program.options.samples) {
    for (std::size_t t = 0; t < sequence.distinct.size(); ++t)
      fill(sequence.distinct[t], token_, by_kind_.row(t));
    for (std::size_t b = 0; b < sequence.places.size(); ++b)
      fill(position_key(sequence.places[b]), position_, by_position_.row(b));
  }
  double logit(std::size_t kind, std::size_t b, std::size_t sample) const {
    return by_kind_(kind, sample) + by_position_(b, sample);
  }

 private:
  static std::uint32_t position_key(std::size_t place) {
    return kPositionKey | static_cast<std::uint32_t>(place);
  }
  void fill(std::uint32_t key, double scale, double* out) const {
    add(query_token_, key, token_ * scale, out);
    add(query_position_, key, position_ * scale, out);
  }
  /// The number of a draw depends on seed, both features and its index alone.
  void add(std::uint32_t query, std::uint32_t key, double scale, double* out) const {
    const KernelOptions& o = program_.options;
    Random random(o.seed, kLogitStream, (std::uint64_t{query} << 32) | key);
    for (std::size_t s = 0; s < o.samples; s += o.antithetic ? 2 : 1) {
      const double z = scale * random.normal();
      out[s] += z;
      if (o.antithetic) out[s + 1] -= z;
    }
  }

  const KernelProgram& program_;
  double token_, position_;
  std::uint32_t query_token_, query_position_;
  Matrix<double> by_kind_, by_position_;
};

Matrix<double> entry_product(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> out(a.rows(), a.cols());
  for (std::size_t i = 0; i < out.size(); ++i) out.data()[i] = a.data()[i] * b.data()[i];
  return out;
}

/// ζ_s M, or ζ_s Mᵀ, of all samples of a piece by one product.
Matrix<double> times_each(const Matrix<double>& zeta, Op op, const Matrix<double>& m) {
  const std::size_t inner = op == Op::kPlain ? m.rows() : m.cols(),
                    outer = op == Op::kPlain ? m.cols() : m.rows();
  const std::size_t stacked = zeta.size() / inner;
  Matrix<double> out(zeta.rows(), zeta.cols() / inner * outer);
  gemm<double>(Op::kPlain, op, 1, {zeta.data(), stacked, inner}, m, 0, {out.data(), stacked, outer},
               serial_arena());
  return out;
}

/// sum += factor Σ_s a_s b_sᵀ.
void contract(double factor, const Matrix<double>& a, const Matrix<double>& b, Matrix<double>& sum) {
  gemm<double>(Op::kPlain, Op::kTransposed, factor, a, b, 1, sum, serial_arena());
}

/// a_s b_sᵀ of each sample, one after another.
Matrix<double> contract_each(const Matrix<double>& a, const Matrix<double>& b, std::size_t inner) {
  const std::size_t samples = a.cols() / inner, n = a.rows() * b.rows();
  Matrix<double> out(samples, n);
  for (std::size_t s = 0; s < samples; ++s) {
    if (n == 1) {
      out(s, 0) = vec_dot<double>({a.data() + s * inner, inner}, {b.data() + s * inner, inner});
      continue;
    }
    gemm<double>(Op::kPlain, Op::kTransposed, 1, a.view().block(0, s * inner, a.rows(), inner),
                 b.view().block(0, s * inner, b.rows(), inner), 0, {out.row(s), a.rows(), b.rows()},
                 serial_arena());
  }
  return out;
}

}  // namespace

std::vector<SamplePiece> sample_pieces(const KernelProgram& program, std::size_t variant, std::size_t most) {
  const std::size_t size = program.samples_of_batch(), first = variant == 0 ? 0 : variant - 1,
                    last = variant == 0 ? program.batches() : variant;
  std::vector<SamplePiece> out;
  for (std::size_t batch = first; batch < last; ++batch)
    for (std::size_t s = 0; s < size; s += most) out.push_back({batch * size + s, std::min(most, size - s)});
  return out;
}

std::span<const Matrix<double>> samples_of(const KernelProgram& program,
                                           const std::vector<Matrix<double>>& all, std::size_t variant) {
  if (variant == 0) return all;
  const std::size_t pieces = all.size() / program.batches();
  return std::span(all).subspan((variant - 1) * pieces, pieces);
}

void soften(const AttentionLayer& layer, Places places, std::size_t a, std::span<double> logits) {
  const std::size_t visible = layer.causal ? a + 1 : logits.size();
  if (layer.alibi > 0)
    for (std::size_t b = 0; b < visible; ++b)
      logits[b] -= layer.alibi * static_cast<double>(position_distance(places[a], places[b]));
  map_logits(layer.map, logits, visible);
}

std::vector<Matrix<double>> make_samples(const KernelProgram& program, const EmbeddingForm& input,
                                         const SequenceCache& sequence) {
  const AttentionLayer& layer = program.steps[program.sampled].attention;
  EmbeddingForm form = input;
  if (layer.positions == Positions::kIndependent) form.position += layer.position;
  const std::size_t length = sequence.tokens.size(), rows = program.selecting == program.sampled ? 1 : length;
  const std::vector<SamplePiece> pieces = sample_pieces(program, 0, kCachedPiece);
  std::vector<Matrix<double>> out;
  out.reserve(pieces.size());
  for (const SamplePiece& piece : pieces) out.emplace_back(rows, piece.count * length);
  const std::vector<std::size_t> kinds = kinds_of(sequence.tokens, sequence.distinct);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t a = rows == 1 ? program.row(length) : i;
    const RandomRow row(program, form, sequence, a);
    for (std::size_t p = 0; p < pieces.size(); ++p)
      for (std::size_t s = 0; s < pieces[p].count; ++s) {
        const std::span<double> zeta(out[p].row(i) + s * length, length);
        for (std::size_t b = 0; b < length; ++b)
          zeta[b] = layer.logit * row.logit(kinds[b], b, pieces[p].first + s);
        soften(layer, sequence.places, a, zeta);
      }
  }
  return out;
}

SoftmaxSums::SoftmaxSums(const AttentionLayer& layer, bool trained, const AttentionSide& x,
                         const AttentionSide& y, const Block& block)
    : layer_(layer), row_x_(x.row), row_y_(y.row) {
  const bool ntk = !block.theta.empty();
  Block moved = with_layer_positions(layer, trained, x, y, block);
  values_ = layer.value_positions ? moved.k.copy() : block.k.copy();
  if (ntk) value_theta_ = layer.value_positions ? moved.theta.copy() : block.theta.copy();
  keys_ = std::move(moved.k);
  key_theta_ = std::move(moved.theta);
  const bool one = row_x_ != kNever;
  const std::size_t rows = one ? 1 : keys_.rows(), cols = one ? 1 : keys_.cols();
  mean_ = Matrix<double>(rows, cols);
  if (!ntk) return;
  by_keys_ = entry_product(values_, keys_);
  by_theta_ = entry_product(values_, key_theta_);
  for (Matrix<double>* m : {&theta_, &slopes_, &slope_theta_}) *m = Matrix<double>(rows, cols);
}

void SoftmaxSums::add(const Matrix<double>& zeta_x, const Matrix<double>& zeta_y) {
  samples_ += zeta_x.cols() / keys_.rows();
  const Matrix<double> left = times_each(zeta_x, Op::kPlain, values_);
  contract(1, left, zeta_y, mean_);
  if (theta_.empty()) return;
  contract(1, times_each(zeta_x, Op::kPlain, value_theta_), zeta_y, theta_);
  add_slopes(zeta_x, zeta_y, left, keys_, by_keys_, slopes_);
  add_slopes(zeta_x, zeta_y, left, key_theta_, by_theta_, slope_theta_);
}

/// sum += Σ_s Q[m]; `left` is ζV and `product` is V∘m.
void SoftmaxSums::add_slopes(const Matrix<double>& zeta_x, const Matrix<double>& zeta_y,
                             const Matrix<double>& left, const Matrix<double>& m,
                             const Matrix<double>& product, Matrix<double>& sum) const {
  const Matrix<double> left_m = times_each(zeta_x, Op::kPlain, m);
  Matrix<double> rest = times_each(zeta_x, Op::kPlain, product);
  for (std::size_t i = 0; i < rest.size(); ++i) rest.data()[i] -= left.data()[i] * left_m.data()[i];
  contract(1, rest, zeta_y, sum);
  contract(
      -1, zeta_x,
      entry_product(times_each(zeta_y, Op::kTransposed, values_), times_each(zeta_y, Op::kTransposed, m)),
      sum);
  const Matrix<double> v = contract_each(left, zeta_y, m.cols()), w = contract_each(left_m, zeta_y, m.cols());
  for (std::size_t s = 0; s < v.rows(); ++s)
    for (std::size_t i = 0; i < v.cols(); ++i) sum.data()[i] += v(s, i) * w(s, i);
}

Block SoftmaxSums::finish() const {
  const bool one = row_x_ != kNever, ntk = !theta_.empty();
  const double q2 = layer_.logit * layer_.logit;
  Block out(mean_.rows(), mean_.cols(), ntk);
  for (std::size_t i = 0; i < mean_.rows(); ++i)
    for (std::size_t j = 0; j < mean_.cols(); ++j) {
      const std::size_t a = one ? row_x_ : i, c = one ? row_y_ : j;
      const double scale = layer_.value * average_factor(layer_, a, keys_.rows()) *
                           average_factor(layer_, c, keys_.cols()) / static_cast<double>(samples_);
      out.k(i, j) = scale * mean_(i, j) + layer_.bias;
      if (ntk)
        out.theta(i, j) = scale * (2 * mean_(i, j) + theta_(i, j) +
                                   q2 * ((2 * keys_(a, c) + key_theta_(a, c)) * slopes_(i, j) +
                                         keys_(a, c) * slope_theta_(i, j))) +
                          layer_.bias;
    }
  return out;
}

}  // namespace telos::symmetry
