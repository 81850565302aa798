// Attention on the embedding: its output ζ F has few features, weights of tokens and of positions, so that
// kernels are inner products of them; and with random logits, means of inner products over samples.
#include <algorithm>
#include <cmath>

#include "symmetry/kernel_samples.h"
#include "telos/base/arena.h"
#include "telos/linalg/gemm.h"

namespace telos::symmetry {
namespace {

std::size_t output_rows(const KernelProgram& program, std::size_t length) {
  return program.selecting == program.featured ? 1 : length;
}

/// Writes factor · ζ of row a, sample `s` of `samples`, into the features at row i.
void add_row(std::span<const double> zeta, double factor, const std::vector<std::size_t>& kinds,
             Places places, std::size_t i, std::size_t s, std::size_t samples, FeatureCache& out) {
  for (std::size_t b = 0; b < zeta.size(); ++b) {
    out.tokens(i, kinds[b] * samples + s) += factor * zeta[b];
    out.positions(i, places[b] * samples + s) = factor * zeta[b];
  }
}

/// The logits of one row over all positions, at 1/d.
void fixed_logits(const AttentionLayer& layer, const EmbeddingForm& form, const SequenceCache& sequence,
                  const std::vector<double>& turns, std::size_t a, std::span<double> logits) {
  const std::vector<Token>& tokens = sequence.tokens;
  for (std::size_t b = 0; b < tokens.size(); ++b) {
    const std::size_t t = position_distance(sequence.places[a], sequence.places[b]);
    const double k = form.token * (tokens[a] == tokens[b]) + form.position * (a == b);
    logits[b] = layer.logit * k * (layer.rope ? turns[t] : 1) - layer.alibi * static_cast<double>(t);
  }
}

// ---- Sums

void scale_sums(double factor, Matrix<double>& m) {
  if (factor == 1) return;
  for (std::size_t i = 0; i < m.size(); ++i) m.data()[i] *= factor;
}

/// The columns of `kinds` (each `samples` wide).
Matrix<double> gathered_columns(const Matrix<double>& features, const std::vector<std::size_t>& kinds,
                                std::size_t samples) {
  Matrix<double> out(features.rows(), kinds.size() * samples);
  for (std::size_t a = 0; a < out.rows(); ++a)
    for (std::size_t i = 0; i < kinds.size(); ++i)
      for (std::size_t s = 0; s < samples; ++s)  // most often one, for which a call of memmove is slow
        out(a, i * samples + s) = features(a, kinds[i] * samples + s);
  return out;
}

struct CommonKinds {
  std::vector<std::size_t> x, y;
};
CommonKinds common_kinds(const std::vector<Token>& x, const std::vector<Token>& y) {
  CommonKinds common;
  for (std::size_t i = 0, j = 0; i < x.size() && j < y.size();) {
    if (x[i] == y[j]) {
      common.x.push_back(i);
      common.y.push_back(j);
    }
    const bool next_x = x[i] <= y[j], next_y = y[j] <= x[i];
    i += next_x;
    j += next_y;
  }
  return common;
}

/// Adds the sums of one batch of a pair.
void add_batch(const SequenceCache& x, const SequenceCache& y, const CommonKinds& common, std::size_t batch,
               std::size_t samples, FeatureSums& sums) {
  const FeatureCache &fx = x.features[batch], &fy = y.features[batch];
  const std::size_t shared = std::min(x.extent(), y.extent()) * samples;
  const Matrix<double> left = gathered_columns(fx.tokens, common.x, samples),
                       right = gathered_columns(fy.tokens, common.y, samples);
  const auto add = [](ConstMatrixView<double> a, ConstMatrixView<double> b, Matrix<double>& out) {
    gemm<double>(Op::kPlain, Op::kTransposed, 1, a, b, 1, out, serial_arena());
  };
  if (!left.empty()) add(left, right, sums.tokens);
  add(fx.positions.view().block(0, 0, fx.positions.rows(), shared),
      fy.positions.view().block(0, 0, fy.positions.rows(), shared), sums.positions);
}

/// First batch, and number of batches, of a variant.
std::pair<std::size_t, std::size_t> batches_of(const KernelProgram& program, std::size_t variant) {
  return variant == 0 ? std::pair<std::size_t, std::size_t>{0, program.batches()}
                      : std::pair<std::size_t, std::size_t>{variant - 1, 1};
}

// ---- One row of each of many sequences

/// Weights of tokens by their ids.
Matrix<double> by_token(Caches sequences, std::size_t vocabulary, std::size_t samples, std::size_t batch) {
  Matrix<double> out(sequences.size(), vocabulary * samples);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const SequenceCache& c = *sequences[i];
    const double* const weights = c.features[batch].tokens.row(0);
    for (std::size_t t = 0; t < c.distinct.size(); ++t)
      for (std::size_t s = 0; s < samples; ++s)
        out(i, c.distinct[t] * samples + s) = weights[t * samples + s];
  }
  return out;
}

Matrix<double> by_position(Caches sequences, std::size_t samples, std::size_t batch) {
  std::size_t longest = 0;
  for (const SequenceCache* c : sequences) longest = std::max(longest, c->extent());
  Matrix<double> out(sequences.size(), longest * samples);
  for (std::size_t i = 0; i < sequences.size(); ++i)
    std::copy_n(sequences[i]->features[batch].positions.data(),
                sequences[i]->features[batch].positions.size(), out.row(i));
  return out;
}

/// Above so many weights of tokens a row, most of which are 0, pairs are taken one by one.
constexpr std::size_t kMostWeights = std::size_t{1} << 15;

}  // namespace

std::vector<std::size_t> kinds_of(const std::vector<Token>& tokens, const std::vector<Token>& distinct) {
  std::vector<std::size_t> kinds;
  kinds.reserve(tokens.size());
  for (const Token t : tokens)
    kinds.push_back(
        static_cast<std::size_t>(std::lower_bound(distinct.begin(), distinct.end(), t) - distinct.begin()));
  return kinds;
}

std::vector<FeatureCache> make_features(const KernelProgram& program, const EmbeddingForm& input,
                                        const SequenceCache& sequence) {
  const AttentionLayer& layer = program.steps[program.featured].attention;
  EmbeddingForm form = input;  // of queries and keys
  if (layer.positions == Positions::kIndependent) form.position += layer.position;
  const std::size_t length = sequence.tokens.size(), extent = sequence.extent(),
                    rows = output_rows(program, length);
  const std::size_t samples = program.samples_of_batch();
  const std::vector<std::size_t> kinds = kinds_of(sequence.tokens, sequence.distinct);
  std::vector<FeatureCache> out(program.batches());
  for (FeatureCache& f : out)
    f = {Matrix<double>(rows, sequence.distinct.size() * samples), Matrix<double>(rows, extent * samples)};
  const auto put_row = [&](std::size_t i, std::span<const double> zeta, std::size_t sample) {
    const double factor = average_factor(layer, rows == 1 ? program.row(length) : i, length);
    add_row(zeta, factor, kinds, sequence.places, i, sample % samples, samples, out[sample / samples]);
  };
  std::vector<double> turns;
  if (layer.rope) turns = mean_cosines(layer.rope->base, layer.rope->dimension, extent);
  if (program.monte_carlo) {
    const std::vector<Matrix<double>> pieces = make_samples(program, input, sequence);
    std::size_t sample = 0;
    for (const Matrix<double>& piece : pieces)
      for (std::size_t at = 0; at < piece.cols(); at += length, ++sample)
        for (std::size_t i = 0; i < rows; ++i) put_row(i, {piece.row(i) + at, length}, sample);
    return out;
  }
  std::vector<double> zeta(length);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t a = rows == 1 ? program.row(length) : i;
    fixed_logits(layer, form, sequence, turns, a, zeta);
    map_logits(layer.map, zeta, layer.causal ? a + 1 : length);
    put_row(i, zeta, 0);
  }
  return out;
}

FeatureSums feature_sums(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y,
                         std::size_t variant) {
  const std::size_t rows = x.features[0].positions.rows(), cols = y.features[0].positions.rows();
  FeatureSums sums{Matrix<double>(rows, cols), Matrix<double>(rows, cols)};
  const CommonKinds common = common_kinds(x.distinct, y.distinct);
  const auto [first, count] = batches_of(program, variant);
  const std::size_t samples = program.samples_of_batch();
  for (std::size_t batch = first; batch < first + count; ++batch)
    add_batch(x, y, common, batch, samples, sums);
  const double factor = 1 / static_cast<double>(count * samples);
  scale_sums(factor, sums.tokens);
  scale_sums(factor, sums.positions);
  return sums;
}

FeatureSums feature_sums(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant) {
  FeatureSums sums{Matrix<double>(rows.size(), cols.size()), Matrix<double>(rows.size(), cols.size())};
  const std::size_t samples = program.samples_of_batch();
  if (program.vocabulary > kMostWeights / samples) {
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (std::size_t j = 0; j < cols.size(); ++j) {
        const FeatureSums pair = feature_sums(program, *rows[i], *cols[j], variant);
        sums.tokens(i, j) = pair.tokens(0, 0);
        sums.positions(i, j) = pair.positions(0, 0);
      }
    return sums;
  }
  const auto [first, count] = batches_of(program, variant);
  for (std::size_t batch = first; batch < first + count; ++batch) {
    gemm<double>(Op::kPlain, Op::kTransposed, 1, by_token(rows, program.vocabulary, samples, batch),
                 by_token(cols, program.vocabulary, samples, batch), 1, sums.tokens, serial_arena());
    const Matrix<double> left = by_position(rows, samples, batch), right = by_position(cols, samples, batch);
    const std::size_t shared = std::min(left.cols(), right.cols());
    gemm<double>(Op::kPlain, Op::kTransposed, 1, left.view().block(0, 0, left.rows(), shared),
                 right.view().block(0, 0, right.rows(), shared), 1, sums.positions, serial_arena());
  }
  const double factor = 1 / static_cast<double>(count * samples);
  scale_sums(factor, sums.tokens);
  scale_sums(factor, sums.positions);
  return sums;
}

EmbeddingForm value_form(const AttentionLayer& layer, const EmbeddingForm& input, bool trained) {
  EmbeddingForm value = input;
  if (layer.value_positions && layer.positions == Positions::kIndependent) {
    value.position += layer.position;
    if (trained) value.position_theta += layer.position;
  }
  return value;
}

Block attend_features(const AttentionLayer& layer, const EmbeddingForm& input, bool trained, bool ntk,
                      const FeatureSums& sums) {
  const EmbeddingForm value = value_form(layer, input, trained);
  Block out(sums.tokens.rows(), sums.tokens.cols(), ntk);
  for (std::size_t i = 0; i < out.k.rows(); ++i)
    for (std::size_t j = 0; j < out.k.cols(); ++j) {
      const double t = sums.tokens(i, j), p = sums.positions(i, j);
      const double k = layer.value * (value.token * t + value.position * p);
      out.k(i, j) = k + layer.bias;
      if (ntk)
        out.theta(i, j) =
            layer.value * (value.token_theta * t + value.position_theta * p) + 2 * k + layer.bias;
    }
  return out;
}

}  // namespace telos::symmetry
