#include "telos/symmetry/enumeration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/limits.h"
#include "symmetry/enumeration_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/linalg/decompositions.h"
#include "telos/symmetry/token_kernel.h"

namespace telos::symmetry {

std::vector<double> probabilities_of(const AllSequences& all, const EnumerationOptions& o,
                                     const YoungBasis& basis) {
  std::vector<double> context(all.contexts()), p(all.size());
  for (std::size_t i = 0; i < context.size(); ++i) {
    if (o.probability) {
      context[i] = o.probability(all.context(i));
      continue;
    }
    std::vector<std::uint32_t> counts(o.vocabulary);
    for (const std::uint32_t token : all.context(i)) ++counts[token];
    context[i] = o.law.probability(counts);
  }
  for (const std::vector<std::size_t>& bag : basis.bags)
    for (const std::size_t i : bag)
      if (!(context[i] >= 0) || std::abs(context[i] - context[bag[0]]) > 1e-9 * context[bag[0]])
        throw Error(
            ErrorKind::kUsage, "law",
            fmt::format("gives {} the probability {:.3g} and {}, its letters in another order, {:.3g}: "
                        "it is not exchangeable, and eigenfunctions lie in no irrep",
                        sequence_text(all.context(bag[0])), context[bag[0]], sequence_text(all.context(i)),
                        context[i]));
  const double queries = static_cast<double>(all.size() / all.contexts());
  for (std::size_t i = 0; i < p.size(); ++i) p[i] = context[i % all.contexts()] / queries;
  return p;
}

/// Rows of an irrep's matrix for one bag and query. Their mean over the f rows of the irrep and over the
/// orderings of the bag is, since T and the basis are permuted alike, n/f Σ_t F_t(x) (T F_t)(x) at any one
/// ordering x out of n: only its row of T is needed.
void Enumeration::Impl::fill_rows(const IrrepFunctions& irrep, std::size_t bag, std::size_t first,
                                  ConstMatrixView<double> row_of_t, Matrix<double>& matrix) const {
  const double scale = static_cast<double>(basis.bags[irrep.tableaux[0].bags[bag].bag].size()) /
                       static_cast<double>(irrep.tableaux.size());
  for (const TableauFunctions& tableau : irrep.tableaux) {
    const Matrix<double>& own = tableau.bags[bag].values;
    if (std::all_of(own.row(0), own.row(0) + own.cols(), [](double value) { return value == 0; })) continue;
    const Matrix<double> image = coefficients(tableau, irrep.copies, row_of_t);
    for (std::size_t k = 0; k < own.cols(); ++k)
      for (std::size_t j = 0; j < image.size(); ++j)
        matrix(first + k, j) += scale * own(0, k) * image.data()[j];
  }
}

/// T on each irrep, one row of it.
std::vector<Matrix<double>> Enumeration::Impl::restricted(const Arena& arena) const {
  std::vector<Matrix<double>> matrices;
  // Where rows of each bag begin in each irrep's matrix, less those of the query; and the bag's place.
  struct Place {
    std::size_t irrep, at, first;
  };
  std::vector<std::vector<Place>> places(basis.bags.size());
  for (std::size_t i = 0; i < basis.irreps.size(); ++i) {
    const IrrepFunctions& irrep = basis.irreps[i];
    const std::size_t order = queries() * irrep.copies;
    require_memory(8.0 * 3 * static_cast<double>(order) * static_cast<double>(order), "spectrum",
                   "fewer letters or positions");
    matrices.emplace_back(order, order);
    std::size_t first = 0;
    for (std::size_t b = 0; b < irrep.tableaux[0].bags.size(); ++b) {
      places[irrep.tableaux[0].bags[b].bag].push_back({i, b, first});
      first += irrep.tableaux[0].bags[b].values.cols();
    }
  }
  arena.parallel_for(queries() * basis.bags.size(), [&](std::size_t task) {
    check_interrupt();
    const std::size_t q = task / basis.bags.size(), bag = task % basis.bags.size(),
                      x = basis.bags[bag][0] + q * all.contexts();
    Matrix<double> t(all.size(), 1);
    kernel.row(x, {t.data(), t.size()});
    for (std::size_t y = 0; y < t.size(); ++y) t(y, 0) *= std::sqrt(p[x] * p[y]);
    for (const Place& place : places[bag])
      fill_rows(basis.irreps[place.irrep], place.at, place.first + q * basis.irreps[place.irrep].copies, t,
                matrices[place.irrep]);
  });
  return matrices;
}

void Enumeration::Impl::solve(bool eigenfunctions, const Arena& arena) {
  for (const std::vector<std::size_t>& bag : basis.bags)
    for (std::size_t q = 0; q < queries(); ++q) {
      const std::size_t x = bag[0] + q * all.contexts();
      spectrum.trace += static_cast<double>(bag.size()) * p[x] * kernel.diagonal(x);
    }
  const std::vector<Matrix<double>> matrices = restricted(arena);
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    check_interrupt();
    SymmetricEigen eigen = symmetric_eigen(matrices[i], eigenfunctions);
    const IrrepFunctions& irrep = basis.irreps[i];
    const auto dimension = static_cast<double>(irrep.tableaux.size());
    const std::size_t known = spectrum.levels.size();
    add_levels(irrep.irrep, eigen.values, dimension, 1e-13 * spectrum.trace, 4 * kEps * spectrum.trace,
               spectrum.levels);
    std::size_t end = eigen.values.size();
    for (std::size_t l = known; l < spectrum.levels.size(); ++l) {
      const auto count = static_cast<std::size_t>(std::lround(spectrum.levels[l].multiplicity / dimension));
      end -= count;
      columns.push_back({i, end, count});
    }
    vectors.push_back(std::move(eigen.vectors));
  }
}

Enumeration::Enumeration(const TokenKernel& kernel, const EnumerationOptions& options, const Arena& arena)
    : impl_(std::make_unique<Impl>(options, true, arena, kernel)) {}

namespace {

EnumerationOptions options_for(const Kernel& kernel, EnumerationOptions options) {
  require_symmetric(kernel);
  if (kernel.monte_carlo())
    throw Error(ErrorKind::kUnsupported, "architecture",
                "its kernel is a Monte Carlo estimate, whose errors lie in every irrep: no levels are exact",
                "estimate a few with --method zonal; or take scale 1/d, or relu attention at 1/sqrt(d)");
  options.queries = has_query(kernel.architecture()) ? 1 : 0;
  return options;
}

}  // namespace

Enumeration::Enumeration(const Kernel& kernel, EnumerationOptions options, const Arena& arena)
    : impl_(std::make_unique<Impl>(options_for(kernel, std::move(options)), true, arena, kernel, arena)) {}

Enumeration::~Enumeration() = default;
Enumeration::Enumeration(Enumeration&&) noexcept = default;

const Spectrum& Enumeration::spectrum() const {
  return impl_->spectrum;
}
const Matrix<std::uint32_t>& Enumeration::sequences() const {
  return impl_->all.tokens();
}
const std::vector<double>& Enumeration::probabilities() const {
  return impl_->p;
}

std::size_t Enumeration::number(std::span<const std::uint32_t> sequence) const {
  std::size_t number = 0;
  for (std::size_t a = 0; a < sequence.size(); ++a) number += sequence[a] * impl_->all.place(a);
  return number;
}

void Enumeration::kernel_row(std::size_t x, std::span<double> out) const {
  impl_->kernel.row(x, out);
}

Spectrum enumerated_spectrum(const TokenKernel& kernel, const EnumerationOptions& options,
                             const Arena& arena) {
  return std::move(Enumeration::Impl(options, false, arena, kernel).spectrum);
}
Spectrum enumerated_spectrum(const Kernel& kernel, const EnumerationOptions& options, const Arena& arena) {
  return std::move(Enumeration::Impl(options_for(kernel, options), false, arena, kernel, arena).spectrum);
}

}  // namespace telos::symmetry
