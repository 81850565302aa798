#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "symmetry/all_sequences.h"
#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/kernel.h"
#include "telos/symmetry/spectrum.h"

namespace telos::symmetry {

/// k of all pairs of sequences from those that are not made of each other: rows of one sequence of each kind
/// are kept, any other is found by permuting positions and renaming letters of both.
class FoldedKernel {
 public:
  /// Letters are not renamed. Throws kNotFinite, kUsage as Enumeration does.
  FoldedKernel(const AllSequences& all, const TokenKernel& kernel);
  /// Throws kNotFinite, and as gram() does.
  FoldedKernel(const AllSequences& all, const Kernel& kernel, const Arena& arena);

  /// k(x, ·).
  void row(std::size_t x, std::span<double> out) const;
  double diagonal(std::size_t x) const;

 private:
  /// What makes a sequence the one that stands for its kind: position a of that one has the letter
  /// names[token at order[a]].
  struct Form {
    std::vector<std::uint32_t> names{};
    std::vector<std::size_t> order{};
  };
  Form form_of(std::size_t x) const;
  /// Number of sequence x after the positions and letters of `form`.
  std::size_t number_under(const Form& form, std::size_t x) const;
  /// Numbers of all sequences after the positions and letters of `form`.
  std::vector<std::uint32_t> numbers_under(const Form& form) const;
  /// Sequences that stand for their kind; fills kind_.
  std::vector<std::size_t> find_kinds();
  void check(const TokenKernel& kernel, const std::vector<std::size_t>& kinds) const;

  const AllSequences& all_;
  bool renames_;
  std::vector<std::size_t> kind_;  ///< of each sequence: the row that stands for it
  Matrix<double> rows_;
};

}  // namespace telos::symmetry
