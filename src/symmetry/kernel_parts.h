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
  bool monte_carlo = false;  ///< there is softmax with random logits
  /// The layer with random logits whose input is as that of `featured`: its samples can be drawn for each
  /// sequence alone. kNever, if there is none.
  std::size_t sampled = kNever;
  bool joint = false;  ///< there are others: their samples depend on all sequences that are asked about

  /// Whether pairs have to be taken through SampledRun. Then no layer is `featured`.
  bool runs_samples() const { return joint || (monte_carlo && options.ntk); }
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
/// What reaches a layer behind nothing but norms.
FeaturedInput embedding_input(const KernelProgram& program, std::size_t layer);
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
  Matrix<double> positions;  ///< rows × (extent · samples)
};

/// Positions of tokens in a sequence: their numbers, unless padding is left out between and before them.
using Places = std::span<const std::size_t>;

/// Calls visit(a, b) for all positions a of X and b of Y that have the same place.
template <class Visit>
void for_shared_places(Places x, Places y, const Visit& visit) {
  for (std::size_t a = 0, b = 0; a < x.size() && b < y.size();) {
    const std::size_t p = x[a], q = y[b];
    if (p == q) visit(a, b);
    a += p <= q;
    b += q <= p;
  }
}

struct SequenceCache {
  std::vector<Token> tokens;                  ///< without padding
  std::vector<std::size_t> places;            ///< of the tokens, ascending
  std::vector<Token> distinct;                ///< ascending
  std::vector<double> counts;                 ///< of each distinct token, in the context (simplified)
  std::vector<double> positions;              ///< R of the embedding by distance
  std::vector<FeatureCache> features;         ///< by batch
  std::vector<Matrix<double>> samples;        ///< of `sampled`, where pairs are taken through SampledRun
  std::vector<std::vector<StepCache>> steps;  ///< by variant: all samples, then each batch
  double series_rest = 0;

  std::size_t extent() const { return places.back() + 1; }
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

/// The readout of a pair's block, before its weights. Of a single entry: it.
double readout_mean(Readout readout, const Matrix<double>& k, Places x, Places y);

/// What step `i` needs of K(X, X). `rest` becomes the largest rest of series.
void prepare_step(const KernelProgram& program, std::size_t i, const Matrix<double>& k, Places places,
                  StepCache& out, double& rest);

/// |a − b|.
inline std::size_t position_distance(std::size_t a, std::size_t b) {
  return a > b ? a - b : b - a;
}
/// R by distance, 0 … length − 1.
std::vector<double> position_covariances(Positions positions, std::size_t dimension, std::size_t length);
/// Mean over f of cos(ω_f t), t = 0 … length − 1.
std::vector<double> mean_cosines(double base, std::size_t dimension, std::size_t length);

// ---- Attention on blocks

/// Fills what kAttend needs of K(X, X), all rows; the output has only row `row`, or all (kNever). Sinusoids
/// are of `dimension`.
void prepare_attention(const AttentionLayer& layer, std::size_t dimension, const Matrix<double>& k,
                       Places places, std::size_t row, StepCache& cache);
/// One of the two sequences of a pair; the output has only its row `row`, or all.
struct AttentionSide {
  const StepCache& cache;
  Places places;
  std::size_t row;
};
/// Maps the blocks of a pair.
void attend(const AttentionLayer& layer, bool trained, const AttentionSide& x, const AttentionSide& y,
            Block& block);
/// K and Θ with what the layer adds for positions to queries and keys.
Block with_layer_positions(const AttentionLayer& layer, bool trained, const AttentionSide& x,
                           const AttentionSide& y, const Block& block);
/// softmax or another map of row a's logits, in place; `visible` positions from the first on.
void map_logits(AttentionMap map, std::span<double> logits, std::size_t visible);
double average_factor(const AttentionLayer& layer, std::size_t a, std::size_t length);

// ---- Attention on the embedding

/// Index of each position's token among the distinct ones.
std::vector<std::size_t> kinds_of(const std::vector<Token>& tokens, const std::vector<Token>& distinct);
std::vector<FeatureCache> make_features(const KernelProgram& program, const EmbeddingForm& input,
                                        const SequenceCache& sequence);
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
