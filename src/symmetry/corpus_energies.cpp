// What permutations of the positions make of a covariance.
#include "symmetry/corpus_parts.h"
#include "telos/base/error.h"
#include "telos/symmetry/corpus.h"

namespace telos::symmetry {
namespace {

void require_same_windows(const Covariance& a, const Covariance& b) {
  if (a.letters() != b.letters() || a.length() != b.length())
    throw Error(ErrorKind::kShape, "corpus", "covariances of different windows have no inner product");
}

/// Σ_{c≠b} C_bc for each b: L × K².
Matrix<double> row_sums(const Covariance& covariance) {
  const std::size_t k = covariance.letters(), length = covariance.length();
  Matrix<double> sums(length, k * k);
  for (std::size_t b = 0; b < length; ++b)
    for (std::size_t c = b + 1; c < length; ++c) {
      const ConstMatrixView<double> table = covariance.pairs(b, c);
      for (std::size_t v = 0; v < k; ++v)
        for (std::size_t w = 0; w < k; ++w) {
          sums(b, v * k + w) += table(v, w);
          sums(c, w * k + v) += table(v, w);
        }
    }
  return sums;
}

/// Σ_{b≠c} (W_bc + W_cb)/2 over L(L − 1), for each pair of letters.
Matrix<double> symmetric_mean(std::size_t letters, ConstMatrixView<double> rows) {
  Matrix<double> mean(letters, letters);
  for (std::size_t p = 0; p < rows.rows(); ++p)
    for (std::size_t v = 0; v < letters; ++v)
      for (std::size_t w = 0; w < letters; ++w)
        mean(v, w) += (rows(p, v * letters + w) + rows(p, w * letters + v)) / 2;
  const double pairs = static_cast<double>(rows.rows() * (rows.rows() - 1));
  for (std::size_t v = 0; v < letters; ++v)
    for (std::size_t w = 0; w < letters; ++w) mean(v, w) /= pairs;
  return mean;
}

Products products(const Covariance& a, const Covariance& b) {
  Products sum;
  for (std::size_t p = 0; p < a.length(); ++p)
    for (std::size_t q = p + 1; q < a.length(); ++q) {
      const ConstMatrixView<double> x = a.pairs(p, q), y = b.pairs(p, q);
      for (std::size_t v = 0; v < a.letters(); ++v)
        for (std::size_t w = 0; w < a.letters(); ++w) {
          sum.straight += 2 * x(v, w) * y(v, w);
          sum.crossed += 2 * x(v, w) * y(w, v);
        }
    }
  return sum;
}

}  // namespace

std::string part_name(Part part) {
  switch (part) {
    case Part::kTrivial:
      return "(L)";
    case Part::kStandard:
      return "(L−1,1)";
    case Part::kPair:
      return "(L−2,2)";
    case Part::kOrderedStandard:
      return "(L−1,1) ordered";
    case Part::kOrderedPair:
      return "(L−2,1,1)";
  }
  return {};
}

Energies energies_of(std::size_t letters, ConstMatrixView<double> rows_a, ConstMatrixView<double> rows_b,
                     const Products& all) {
  const std::size_t length = rows_a.rows();
  const double l = static_cast<double>(length);
  // Half the sum and half the difference of W_bc and W_cb: those of W(v, w) are W_bc(v, w) and W_bc(w, v).
  const Matrix<double> mean_a = symmetric_mean(letters, rows_a), mean_b = symmetric_mean(letters, rows_b);
  double trivial = 0, standard = 0, ordered = 0;
  for (std::size_t v = 0; v < letters; ++v)
    for (std::size_t w = 0; w < letters; ++w) trivial += l * (l - 1) * mean_a(v, w) * mean_b(v, w);
  for (std::size_t p = 0; p < length; ++p)
    for (std::size_t v = 0; v < letters; ++v)
      for (std::size_t w = 0; w < letters; ++w) {
        const std::size_t here = v * letters + w, there = w * letters + v;
        const double u_a = ((rows_a(p, here) + rows_a(p, there)) / 2 - (l - 1) * mean_a(v, w)) / (l - 2);
        const double u_b = ((rows_b(p, here) + rows_b(p, there)) / 2 - (l - 1) * mean_b(v, w)) / (l - 2);
        const double t_a = (rows_a(p, here) - rows_a(p, there)) / (2 * l);
        const double t_b = (rows_b(p, here) - rows_b(p, there)) / (2 * l);
        standard += 2 * (l - 2) * u_a * u_b;  // Σ_{b≠c} (u_b + u_c)² with Σ u = 0
        ordered += 2 * l * t_a * t_b;         // Σ_{b≠c} (t_b − t_c)² with Σ t = 0
      }
  const double symmetric = (all.straight + all.crossed) / 2, antisymmetric = (all.straight - all.crossed) / 2;
  // Three positions have no (L−2,2).
  return {trivial, standard, length == 3 ? 0 : symmetric - trivial - standard, ordered,
          antisymmetric - ordered};
}

Energies energies(const Covariance& a, const Covariance& b) {
  require_same_windows(a, b);
  return energies_of(a.letters(), row_sums(a), row_sums(b), products(a, b));
}

std::vector<double> lag_energies(const Covariance& a, const Covariance& b) {
  require_same_windows(a, b);
  const std::size_t length = a.length();
  std::vector<double> energy(length - 1);
  for (std::size_t lag = 1; lag < length; ++lag) {
    for (std::size_t p = 0; p + lag < length; ++p) {
      const ConstMatrixView<double> x = a.pairs(p, p + lag), y = b.pairs(p, p + lag);
      for (std::size_t v = 0; v < a.letters(); ++v)
        for (std::size_t w = 0; w < a.letters(); ++w) energy[lag - 1] += x(v, w) * y(v, w);
    }
    energy[lag - 1] /= static_cast<double>(length - lag);
  }
  return energy;
}

Moments moments(const Covariance& c) {
  const std::size_t k = c.letters(), length = c.length();
  const double l = static_cast<double>(length);
  Moments m;
  const Matrix<double> rows = row_sums(c);
  for (std::size_t v = 0; v < k; ++v)
    for (std::size_t w = 0; w < k; ++w) {
      double diagonal = 0, other = 0;
      for (std::size_t b = 0; b < length; ++b) {
        const double here = (v == w ? c.means(b, v) : 0) - c.means(b, v) * c.means(b, w);
        if (v == w) m.trace += here;
        m.squared += here * here;
        diagonal += here;
        other += rows(b, v * k + w);
      }
      m.diagonal_mean += (diagonal / l) * (diagonal / l);
      other /= l * (l - 1);
      m.other_mean += other * other;
    }
  for (const double x : c.pairs.values()) m.other += 2 * x * x;
  m.squared += m.other;
  m.total_share = (l * m.diagonal_mean + l * (l - 1) * m.other_mean) / m.squared;
  m.other_share = l * (l - 1) * m.other_mean / m.other;
  return m;
}

}  // namespace telos::symmetry
