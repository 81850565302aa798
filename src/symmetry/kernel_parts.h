#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/kernel.h"
#include "telos/symmetry/nonlinearity.h"

// A kernel as a list of steps, each of which maps a block of covariances to the next.

namespace telos::symmetry {

struct Step {
  enum class Kind { kSave, kAdd, kNorm, kAttend, kDense, kActivate } kind = Kind::kSave;
  double weight = 1, bias = 0;                 ///< kDense
  AttentionLayer attention{};                  ///< kAttend
  Nonlinearity phi = Nonlinearity::kIdentity;  ///< kActivate
  double slope = 0;                            ///< of phi
};

inline constexpr std::size_t kNever = static_cast<std::size_t>(-1);

struct KernelProgram {
  Architecture architecture;
  std::size_t vocabulary = 0;
  KernelOptions options;
  std::vector<Step> steps;
  /// Under the readouts last and cls one row is left after the last attention layer: this step; kNever where
  /// all are needed to the end. Without attention it is `steps.size()`, and one row is all there ever is.
  std::size_t selecting = kNever;
  /// An attention layer whose input is still (token [x = y] + position [a = b]): kNever, if there is none.
  std::size_t featured = kNever;
  bool monte_carlo = false;  ///< the attention of `featured` is random

  /// Why float would not do, or not pay: kernel.h, stays_double().
  std::string stays_double() const;
  bool single() const { return options.precision == Precision::kSingle && stays_double().empty(); }
  bool one_row() const { return selecting != kNever; }
  std::size_t variants() const { return monte_carlo ? options.batches + 1 : 1; }
  std::size_t batches() const { return monte_carlo ? options.batches : 1; }
  std::size_t samples_of_batch() const { return monte_carlo ? options.samples / options.batches : 1; }
  std::size_t row(std::size_t length) const { return architecture.readout == Readout::kCls ? 0 : length - 1; }
};

/// K_ab = token [x_a = y_b] + position [a = b], and Θ likewise.
struct EmbeddingForm {
  double token = 0, position = 0, token_theta = 0, position_theta = 0;
  /// K and Θ of equal or different tokens, positions.
  std::pair<double, double> at(bool same_token, bool same_position) const {
    return {token * same_token + position * same_position,
            token_theta * same_token + position_theta * same_position};
  }
};
struct FeaturedInput {
  EmbeddingForm here;
  std::vector<EmbeddingForm> saved;
};
/// What reaches the step `featured`.
FeaturedInput featured_input(const KernelProgram& program);

/// What a step needs of (X, X): its rows are those that the step's output has.
struct StepCache {
  std::vector<double> variance;   ///< K_aa on entry (kNorm, kActivate), K̃_aa (kAttend at 1/√d)
  Matrix<double> attention;       ///< rows × L, divided as AttentionAverage says (kAttend at 1/d)
  Matrix<double> series;          ///< rows × kSeriesTerms (kActivate without closed form)
  std::vector<double> positions;  ///< R by distance, of the layer's own positions
  std::vector<double> turns;      ///< mean cosine of rotary embeddings by distance, to 2L
};

/// ζ F of the featured layer: weights by token and by position, of one batch of samples.
struct FeatureCache {
  Matrix<double> tokens;     ///< rows × (distinct tokens · samples)
  Matrix<double> positions;  ///< rows × (L · samples)
};

struct SequenceCache {
  std::vector<Token> tokens;
  std::vector<Token> distinct;                ///< ascending
  std::vector<double> counts;                 ///< of each distinct token, in the context (simplified)
  std::vector<double> positions;              ///< R of the embedding by distance
  std::vector<FeatureCache> features;         ///< by batch
  std::vector<std::vector<StepCache>> steps;  ///< by variant: all samples, then each batch
  double series_rest = 0;
};

using Caches = std::span<const SequenceCache* const>;

/// For products of blocks: they are small, and pairs of sequences are what threads are for.
const Arena& serial_arena();

/// K of a pair or of several, and Θ, which is empty unless asked for.
template <class T>
struct Strip {
  Matrix<T> k, theta;
  Strip() = default;
  Strip(std::size_t rows, std::size_t cols, bool ntk)
      : k(rows, cols), theta(ntk ? rows : 0, ntk ? cols : 0) {}
};
using Block = Strip<double>;
template <class T>
void resize_strip(std::size_t rows, std::size_t cols, bool ntk, Strip<T>& strip) {
  if (strip.k.rows() != rows || strip.k.cols() != cols) strip = Strip<T>(rows, cols, ntk);
}

/// R by distance, 0 … length − 1.
std::vector<double> position_covariances(Positions positions, std::size_t dimension, std::size_t length);
/// Mean over f of cos(ω_f t), t = 0 … length − 1.
std::vector<double> mean_cosines(double base, std::size_t dimension, std::size_t length);

// ---- Attention on blocks

/// Fills what kAttend needs of K(X, X), all rows; the output has only row `row`, or all (kNever).
void prepare_attention(const AttentionLayer& layer, const Matrix<double>& k, std::size_t row,
                       StepCache& cache);
/// Maps the blocks of a pair; their output has only rows (row_x, row_y), or all.
void attend(const AttentionLayer& layer, bool trained, const StepCache& x, const StepCache& y,
            std::size_t row_x, std::size_t row_y, Block& block);
/// softmax or another map of row a's logits, in place; `visible` positions from the first on.
void map_logits(AttentionMap map, std::span<double> logits, std::size_t visible);
double average_factor(const AttentionLayer& layer, std::size_t a, std::size_t length);

// ---- Attention on the embedding

std::vector<FeatureCache> make_features(const KernelProgram& program, const EmbeddingForm& input,
                                        const std::vector<Token>& tokens, const std::vector<Token>& distinct);
/// The two sums Σ ζ ζ' [x_b = y_d] and Σ ζ ζ' [b = d] of a pair of rows, averaged over samples.
struct FeatureSums {
  Matrix<double> tokens, positions;
};
FeatureSums feature_sums(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y,
                         std::size_t variant);
/// The same of one row each of several sequences at once.
FeatureSums feature_sums(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant);
/// The input of the featured layer's values.
EmbeddingForm value_form(const AttentionLayer& layer, const EmbeddingForm& input, bool trained);
/// K' and Θ' of the featured layer.
Block attend_features(const AttentionLayer& layer, const EmbeddingForm& input, bool trained, bool ntk,
                      const FeatureSums& sums);

}  // namespace telos::symmetry
