#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "symmetry/kernel_parts.h"
#include "telos/linalg/gemm.h"

// Blocks of one sequence X with several sequences Y, side by side in a strip: a column for each position of
// each Y, so that rows are long and products wide. T is double, or float on request.

namespace telos::symmetry {

/// Columns of a strip, unless one sequence has more: what a strip and its factors take stays in the cache.
inline constexpr std::size_t kStripColumns = 512;

/// What a step needs of the positions of some sequences, one after the other.
template <class T>
struct Side {
  std::vector<T> variance;
  std::vector<T> factor;              ///< 1/√(variance + ε) (kNorm), kernel::inverse_root (kActivate)
  std::vector<const double*> series;  ///< kSeriesTerms each (kActivate without closed form)
};

/// Sides by step, each made when it is asked for first. The caches must outlive it.
template <class T>
class Sides {
 public:
  Sides(const KernelProgram& program, std::vector<const SequenceCache*> sequences, std::size_t variant)
      : program_(&program),
        sequences_(std::move(sequences)),
        variant_(variant),
        sides_(program.steps.size()) {}
  const Side<T>& at(std::size_t step);
  std::size_t variant() const { return variant_; }
  const std::vector<const SequenceCache*>& sequences() const { return sequences_; }

 private:
  const KernelProgram* program_;
  std::vector<const SequenceCache*> sequences_;
  std::size_t variant_;
  std::vector<std::optional<Side<T>>> sides_;
};

/// Tokens and positions of the columns, for blocks of the form token [x_a = y_b] + position [a = b].
class EmbeddingColumns {
 public:
  explicit EmbeddingColumns(Caches sequences);
  /// Adds the form's row of a token x at a place.
  template <class T>
  void add(double token, double position, Token x, std::size_t place, T* row) const;

 private:
  std::vector<std::size_t> begin_;  ///< of each sequence, and the end
  std::vector<Places> places_;
  std::vector<Token> tokens_;       ///< of all, ascending
  std::vector<std::size_t> first_;  ///< of each token in `columns_`, and the end
  std::vector<std::size_t> columns_;
};

/// The right factors of the products of a strip.
template <class T>
class Columns {
 public:
  Columns(const KernelProgram& program, Caches sequences, std::size_t variant, std::size_t most_kinds,
          std::size_t most_extent);

  std::size_t size() const { return sides.sequences().size(); }
  const SequenceCache& sequence(std::size_t j) const { return *sides.sequences()[j]; }
  std::size_t begin(std::size_t j) const { return begin_[j]; }
  std::size_t length(std::size_t j) const { return begin_[j + 1] - begin_[j]; }
  std::size_t total() const { return begin_.back(); }
  /// ζ_Yᵀ of an attention layer at 1/d.
  PackedView<T> attention(std::size_t step, std::size_t j);
  /// ζ F of the featured layer, transposed: a row for each token of X, in their order, then one for each of
  /// X's places. Valid until the next call.
  ConstMatrixView<T> features(const SequenceCache& x, bool positions);
  const EmbeddingColumns& embedding();

  Sides<T> sides;

 private:
  void make_features();

  const KernelProgram& program_;
  std::vector<std::size_t> begin_;
  std::size_t most_kinds_, most_extent_;
  std::vector<std::vector<Matrix<T>>> attention_;  ///< by step and sequence
  std::vector<Token> kinds_;                       ///< tokens of all sequences, ascending
  Matrix<T> by_kind_, features_;
  std::optional<EmbeddingColumns> embedding_;
};

template <class T>
struct StripState {
  std::size_t rows = 0;  ///< of which strips may have more
  Strip<T> here;
  /// What was saved for residuals: forms of the embedding, and above them the first `depth` strips.
  std::vector<EmbeddingForm> forms;
  std::vector<Strip<T>> saved;
  std::size_t depth = 0;
};

/// Where the rows and columns of a state are positions: X and the Ys.
struct EmbeddedIn {
  const SequenceCache& x;
  const EmbeddingColumns& columns;
};

/// Steps [first, last), none of which is kAttend, row by row.
template <class T>
void run_entrywise(const KernelProgram& program, std::size_t first, std::size_t last, Sides<T>& rows,
                   Sides<T>& cols, const EmbeddedIn* embedded, StripState<T>& state);

/// A strip on its way through the steps, for one X after another.
template <class T>
class StripRun {
 public:
  StripRun(const KernelProgram& program, Columns<T>& columns, std::size_t most_rows, bool ntk)
      : program_(program), columns_(columns), ntk_(ntk), most_rows_(most_rows) {}

  /// Starts behind the featured layer, or at the embedding; the number of the next step. `x` is one sequence.
  std::size_t start(Sides<T>& x);
  void run(std::size_t first, std::size_t last);
  /// After the step `selecting`: a row, and a column for each sequence.
  const StripState<T>& state() const { return selected_ ? one_ : all_; }

 private:
  bool selects(std::size_t step) const { return step == program_.selecting; }
  template <class Covariance>
  void fill(bool one_row, const Covariance& covariance);
  void start_features();
  void start_random_features(const FeaturedInput& in);
  void put_block(std::size_t j, bool one_row, const Block& block);
  void attend_step(std::size_t i);
  void attend_products(std::size_t i);
  void add_positions(std::size_t i);
  void attend_random(std::size_t i);
  void select_saved();
  StripState<T>& reset(bool one_row);

  const KernelProgram& program_;
  Columns<T>& columns_;
  bool ntk_, selected_ = false;
  std::size_t most_rows_;
  const SequenceCache* x_ = nullptr;
  Sides<T>* rows_ = nullptr;
  StripState<T> all_, one_;
  Matrix<T> left_, half_;
};

/// NNGP kernel and NTK of the simplified block.
Transformed simplified_pair(const KernelProgram& program, const SequenceCache& x, const SequenceCache& y);

}  // namespace telos::symmetry
