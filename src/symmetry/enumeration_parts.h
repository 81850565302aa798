#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "symmetry/all_sequences.h"
#include "symmetry/folded_kernel.h"
#include "symmetry/spectrum_parts.h"
#include "symmetry/young_basis.h"
#include "telos/base/matrix.h"
#include "telos/symmetry/enumeration.h"

namespace telos::symmetry {

/// A level's eigenfunctions: columns first … first + count of the irrep's eigenvectors.
struct LevelColumns {
  std::size_t irrep = 0, first = 0, count = 0;
};

/// Of each sequence; throws kUsage where the law of the L tokens changes under permutation.
std::vector<double> probabilities_of(const AllSequences& all, const EnumerationOptions& o,
                                     const YoungBasis& basis);

struct Enumeration::Impl {
  AllSequences all;
  YoungBasis basis;
  FoldedKernel kernel;
  std::vector<double> p;
  Spectrum spectrum;
  std::vector<Matrix<double>> vectors;  ///< of each irrep's matrix; empty unless asked for
  std::vector<LevelColumns> columns;    ///< of each level

  /// `source` is a kernel, and what FoldedKernel takes with it.
  template <class... Source>
  Impl(const EnumerationOptions& o, bool eigenfunctions, const Arena& arena, const Source&... source)
      : all(o.vocabulary, o.length, o.queries),
        basis((check_law(o.law), young_basis(o.vocabulary, o.length, arena))),
        kernel(all, source...),
        p(probabilities_of(all, o, basis)),
        spectrum{.length = o.length, .vocabulary = o.vocabulary, .law = o.law} {
    solve(eigenfunctions, arena);
  }

  std::size_t queries() const { return all.size() / all.contexts(); }
  /// Throws kShape unless there is a row for each sequence.
  void require_values(ConstMatrixView<double> values) const;
  /// √p f, so that products are sums.
  Matrix<double> weighted(ConstMatrixView<double> values) const;
  /// Σ_orderings functions · values, of each query, bag and function of one tableau.
  Matrix<double> coefficients(const TableauFunctions& tableau, std::size_t copies,
                              ConstMatrixView<double> values) const;
  /// Calls body(sequence, functions of the tableau there, row of coefficients that they begin at).
  template <class Body>
  void for_each_sequence(const TableauFunctions& tableau, const Body& body) const {
    std::size_t row = 0;
    for (std::size_t q = 0; q < queries(); ++q)
      for (const BagFunctions& bag : tableau.bags) {
        const std::vector<std::size_t>& members = basis.bags[bag.bag];
        for (std::size_t x = 0; x < members.size(); ++x)
          body(members[x] + q * all.contexts(), std::span<const double>(bag.values.row(x), bag.values.cols()),
               row);
        row += bag.values.cols();
      }
  }

 private:
  void fill_rows(const IrrepFunctions& irrep, std::size_t bag, std::size_t first,
                 ConstMatrixView<double> row_of_t, Matrix<double>& matrix) const;
  std::vector<Matrix<double>> restricted(const Arena& arena) const;
  void solve(bool eigenfunctions, const Arena& arena);
};

}  // namespace telos::symmetry
