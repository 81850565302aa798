#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "symmetry/kernel_parts.h"
#include "telos/base/arena.h"

// Softmax attention at 1/√d: its logits stay random in the limit, and what it does to kernels is a mean over
// samples of them.

namespace telos::symmetry {

/// Samples first … first + count − 1.
struct SamplePiece {
  std::size_t first = 0, count = 0;
};
/// The samples of a variant in pieces of at most `most`, none of which lies in two batches.
std::vector<SamplePiece> sample_pieces(const KernelProgram& program, std::size_t variant, std::size_t most);

/// Samples of ζ of the layer `sampled`, pieces of all batches. A piece has a row for each position of the
/// output, which holds its samples one after another.
std::vector<Matrix<double>> make_samples(const KernelProgram& program, const EmbeddingForm& input,
                                         const SequenceCache& sequence);
/// Those of one variant, from those of all.
std::span<const Matrix<double>> samples_of(const KernelProgram& program,
                                           const std::vector<Matrix<double>>& all, std::size_t variant);

/// Logits of position `a` become ζ: ALiBi is added, and the softmax taken.
void soften(const AttentionLayer& layer, Places places, std::size_t a, std::span<double> logits);

/// Sums over samples that K' and Θ' of a pair are made of. With J_ab,e = ζ_ab (δ_be − ζ_ae) the derivative of
/// ζ by the logits,
///   K'_ac = ov2 Σ ζ_ab ζ'_cd V_bd + b2
///   Θ'_ac = 2(K'_ac − b2) + b2 + ov2 [Σ ζ_ab ζ'_cd ΘV_bd + qk² ((2K_ac + Θ_ac) Q[K]_ac + K_ac Q[Θ]_ac)]
///   Q[M]_ac = Σ V_bd J_ab,e J'_cd,f M_ef
///           = ζ(V∘M)ζ'ᵀ − ((ζV)∘(ζM))ζ'ᵀ − ζ((Vζ'ᵀ)∘(Mζ'ᵀ)) + (ζVζ'ᵀ)∘(ζMζ'ᵀ)
/// so that no tensor of four indices comes up: 15 products of L × L matrices a sample, one without the NTK
/// takes 2.
class SoftmaxSums {
 public:
  SoftmaxSums(const AttentionLayer& layer, bool trained, const AttentionSide& x, const AttentionSide& y,
              const Block& block);
  /// ζ of a piece of samples, as in make_samples().
  void add(const Matrix<double>& zeta_x, const Matrix<double>& zeta_y);
  Block finish() const;
  const Matrix<double>& keys() const { return keys_; }  ///< K of queries and keys

 private:
  void add_slopes(const Matrix<double>& zeta_x, const Matrix<double>& zeta_y, const Matrix<double>& left,
                  const Matrix<double>& m, const Matrix<double>& product, Matrix<double>& sum) const;

  const AttentionLayer& layer_;
  std::size_t row_x_, row_y_;
  Matrix<double> keys_, key_theta_, values_, value_theta_;  ///< inputs: of queries and keys, of values
  Matrix<double> by_keys_, by_theta_;                       ///< V∘K, V∘Θ
  Matrix<double> mean_, theta_, slopes_, slope_theta_;      ///< sums over samples
  std::size_t samples_ = 0;
};

/// Pairs of sequences carried through all steps at once, where attention needs more than each pair alone:
/// its samples. Logits of the layer `sampled` depend on a sequence alone; those of deeper layers are drawn
/// from the covariances of all the sequences, which therefore must be there.
class SampledRun {
 public:
  using Pair = std::pair<std::size_t, std::size_t>;
  /// `pairs`: (i, j) of i ≤ j into `sequences`; under KernelProgram::joint all of i < j at least.
  SampledRun(const KernelProgram& program, Caches sequences, const std::vector<Pair>& pairs,
             std::size_t variant, bool ntk, const Arena& arena);
  void run();
  /// Readouts of the pairs: NNGP, and NTK without it.
  const std::vector<Transformed>& values() const { return values_; }
  double series_rest() const { return rest_; }

 private:
  struct Item {
    std::size_t x = 0, y = 0;
    bool ntk = false;
    Block here;
    std::vector<Block> saved;
  };
  void step(std::size_t i);
  void attend(std::size_t i);
  void draw_logits(std::size_t i, std::vector<SoftmaxSums>& sums);
  AttentionSide side(std::size_t sequence, std::size_t i) const;

  const KernelProgram& program_;
  Caches sequences_;
  std::size_t variant_;
  bool ntk_;
  const Arena& arena_;
  std::vector<Item> items_;          ///< (i, i) of all sequences, then the pairs
  std::vector<std::size_t> wanted_;  ///< the item of each pair
  std::vector<StepCache> steps_;     ///< of the step at work, by sequence
  std::vector<Transformed> values_;
  double rest_ = 0;
};

/// Kernels of all pairs of rows and columns.
Block sampled_pairs(const KernelProgram& program, Caches rows, Caches cols, std::size_t variant, bool ntk);
/// Bytes that it takes of pairs of sequences of this length.
double sampled_pair_bytes(const KernelProgram& program, double length);
/// Bytes that a SampledRun over so many positions in all takes.
double joint_run_bytes(const KernelProgram& program, double positions);

}  // namespace telos::symmetry
