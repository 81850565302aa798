// What of a function lies on which level.
#include <fmt/format.h>

#include <cmath>
#include <span>
#include <utility>

#include "symmetry/enumeration_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/linalg/gemm.h"

namespace telos::symmetry {
namespace {

constexpr double kNoLevelEnergy = 1e-14;  // of the function's: rounding

/// Wᵀ c: coefficients on eigenfunctions.
Matrix<double> on_eigenfunctions(const Matrix<double>& vectors, const Matrix<double>& c) {
  Matrix<double> turned(vectors.cols(), c.cols());
  for (std::size_t x = 0; x < c.rows(); ++x)
    for (std::size_t k = 0; k < vectors.cols(); ++k)
      for (std::size_t j = 0; j < c.cols(); ++j) turned(k, j) += vectors(x, k) * c(x, j);
  return turned;
}

/// W's columns of a level times its coefficients: back in the tableau's functions.
Matrix<double> of_level(const Matrix<double>& vectors, const LevelColumns& level,
                        const Matrix<double>& turned) {
  Matrix<double> c(vectors.rows(), turned.cols());
  for (std::size_t x = 0; x < c.rows(); ++x)
    for (std::size_t k = level.first; k < level.first + level.count; ++k)
      for (std::size_t j = 0; j < c.cols(); ++j) c(x, j) += vectors(x, k) * turned(k, j);
  return c;
}

}  // namespace

void Enumeration::Impl::require_values(ConstMatrixView<double> values) const {
  if (values.rows() != all.size())
    throw Error(ErrorKind::kShape, "values",
                fmt::format("{} rows, expected one for each of {} sequences", values.rows(), all.size()));
}

Matrix<double> Enumeration::Impl::weighted(ConstMatrixView<double> values) const {
  require_values(values);
  Matrix<double> out(values.rows(), values.cols());
  for (std::size_t i = 0; i < values.rows(); ++i)
    for (std::size_t j = 0; j < values.cols(); ++j) out(i, j) = std::sqrt(p[i]) * values(i, j);
  return out;
}

Matrix<double> Enumeration::Impl::coefficients(const TableauFunctions& tableau, std::size_t copies,
                                               ConstMatrixView<double> values) const {
  Matrix<double> c(queries() * copies, values.cols());
  for_each_sequence(tableau, [&](std::size_t x, std::span<const double> functions, std::size_t row) {
    const double* const at = values.row(x);
    for (std::size_t k = 0; k < functions.size(); ++k)
      for (std::size_t j = 0; j < values.cols(); ++j) c(row + k, j) += functions[k] * at[j];
  });
  return c;
}

std::vector<double> Enumeration::probabilities_under(
    const std::function<double(std::span<const std::uint32_t>)>& law) const {
  std::vector<double> q(impl_->all.size());
  for (std::size_t i = 0; i < q.size(); ++i)
    q[i] = law(impl_->all.context(i)) / static_cast<double>(impl_->queries());
  return q;
}

std::vector<double> Enumeration::energies(ConstMatrixView<double> values) const {
  const Matrix<double> weighted = impl_->weighted(values);
  std::vector<double> energies(impl_->columns.size());
  for (std::size_t i = 0; i < impl_->basis.irreps.size(); ++i) {
    const IrrepFunctions& irrep = impl_->basis.irreps[i];
    std::vector<double> squares(impl_->vectors[i].cols());
    for (const TableauFunctions& tableau : irrep.tableaux) {
      check_interrupt();
      const Matrix<double> turned =
          on_eigenfunctions(impl_->vectors[i], impl_->coefficients(tableau, irrep.copies, weighted));
      for (std::size_t k = 0; k < turned.rows(); ++k)
        for (std::size_t j = 0; j < turned.cols(); ++j) squares[k] += turned(k, j) * turned(k, j);
    }
    for (std::size_t l = 0; l < energies.size(); ++l)
      if (const LevelColumns& level = impl_->columns[l]; level.irrep == i)
        for (std::size_t k = 0; k < level.count; ++k) energies[l] += squares[level.first + k];
  }
  return energies;
}

LevelMoments Enumeration::moments(ConstMatrixView<double> values, std::span<const double> law) const {
  const std::vector<double> energies = this->energies(values);
  if (law.size() != impl_->all.size())
    throw Error(ErrorKind::kShape, "law",
                fmt::format("{} probabilities of {} sequences", law.size(), impl_->all.size()));
  const Matrix<double> weighted = impl_->weighted(values);
  const std::size_t n = values.rows(), outputs = values.cols();
  double all = 0;
  for (const double energy : energies) all += energy;
  LevelMoments out{.levels = {}, .products = {}, .overlap = std::vector<double>(energies.size())};
  for (std::size_t l = 0; l < energies.size(); ++l)
    if (energies[l] > kNoLevelEnergy * all) out.levels.push_back(l);
  // √q/√p Σ of each level's part; a row for each sequence and column of values.
  Matrix<double> parts(n * outputs, out.levels.size());
  std::vector<double> ratio(n);
  for (std::size_t x = 0; x < n; ++x) ratio[x] = impl_->p[x] > 0 ? law[x] / impl_->p[x] : 0;
  for (std::size_t i = 0; i < impl_->basis.irreps.size(); ++i) {
    const IrrepFunctions& irrep = impl_->basis.irreps[i];
    const Matrix<double>& vectors = impl_->vectors[i];
    std::vector<double> squares(vectors.cols());
    for (const TableauFunctions& tableau : irrep.tableaux) {
      check_interrupt();
      const Matrix<double> turned =
          on_eigenfunctions(vectors, impl_->coefficients(tableau, irrep.copies, weighted));
      for (std::size_t at = 0; at < out.levels.size(); ++at) {
        const LevelColumns& level = impl_->columns[out.levels[at]];
        if (level.irrep != i) continue;
        const Matrix<double> c = of_level(vectors, level, turned);
        impl_->for_each_sequence(tableau, [&](std::size_t x, std::span<const double> f, std::size_t row) {
          for (std::size_t k = 0; k < f.size(); ++k)
            for (std::size_t j = 0; j < outputs; ++j)
              parts(x * outputs + j, at) += std::sqrt(ratio[x]) * f[k] * c(row + k, j);
        });
      }
      impl_->for_each_sequence(tableau, [&](std::size_t x, std::span<const double> f, std::size_t row) {
        for (std::size_t e = 0; e < squares.size(); ++e) {
          double phi = 0;
          for (std::size_t k = 0; k < f.size(); ++k) phi += f[k] * vectors(row + k, e);
          squares[e] += ratio[x] * phi * phi;
        }
      });
    }
    for (std::size_t l = 0; l < energies.size(); ++l) {
      const LevelColumns& level = impl_->columns[l];
      if (level.irrep != i) continue;
      for (std::size_t k = 0; k < level.count; ++k)
        out.overlap[l] += squares[level.first + k] / impl_->spectrum.levels[l].multiplicity;
    }
  }
  out.products = Matrix<double>(out.levels.size(), out.levels.size());
  gemm<double>(Op::kTransposed, Op::kPlain, 1, parts, parts, 0, out.products, Arena(1));
  return out;
}

Matrix<double> Enumeration::part(const Partition& irrep, ConstMatrixView<double> values) const {
  impl_->require_values(values);
  Matrix<double> out(values.rows(), values.cols());
  for (const IrrepFunctions& one : impl_->basis.irreps) {
    if (one.irrep != irrep) continue;
    for (const TableauFunctions& tableau : one.tableaux) {
      const Matrix<double> c = impl_->coefficients(tableau, one.copies, values);
      impl_->for_each_sequence(tableau, [&](std::size_t x, std::span<const double> f, std::size_t row) {
        for (std::size_t k = 0; k < f.size(); ++k)
          for (std::size_t j = 0; j < values.cols(); ++j) out(x, j) += f[k] * c(row + k, j);
      });
    }
  }
  return out;
}

}  // namespace telos::symmetry
