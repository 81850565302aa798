// Spectra of all sequences written down.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/limits.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/memory.h"
#include "telos/linalg/decompositions.h"
#include "telos/linalg/gemm.h"

namespace telos::symmetry {
namespace {

/// All sequences, numbered by their tokens as digits.
class AllSequences {
 public:
  explicit AllSequences(const EnumerationOptions& o)
      : length_(o.length), tokens_(count(o), o.length + o.queries) {
    std::size_t place = 1;
    for (std::size_t a = 0; a < tokens_.cols(); ++a, place *= o.vocabulary) {
      places_.push_back(place);
      for (std::size_t i = 0; i < tokens_.rows(); ++i)
        tokens_(i, a) = static_cast<std::uint32_t>(i / place % o.vocabulary);
    }
  }
  std::size_t size() const { return tokens_.rows(); }
  std::span<const std::uint32_t> operator[](std::size_t i) const { return {tokens_.row(i), tokens_.cols()}; }
  std::uint32_t length() const { return length_; }
  /// Of sequence i with the tokens of two positions exchanged.
  std::size_t exchanged(std::size_t i, std::size_t p, std::size_t q) const {
    const std::size_t x = tokens_(i, p), y = tokens_(i, q);
    return i + (y - x) * places_[p] + (x - y) * places_[q];
  }
  /// Of sequence i with each of its L tokens one position further on.
  std::size_t turned(std::size_t i) const {
    for (std::size_t p = 0; p + 1 < length_; ++p) i = exchanged(i, p, p + 1);
    return i;
  }

 private:
  static std::size_t count(const EnumerationOptions& o) {
    check_sequences(o.vocabulary, o.length);
    std::size_t n = 1;
    for (std::uint32_t a = 0; a < o.length + o.queries && n <= kMostEnumerated; ++a) n *= o.vocabulary;
    if (n > kMostEnumerated || o.length + o.queries > kMostEnumerated)
      throw Error(ErrorKind::kLimit, "length",
                  fmt::format("{}^{} sequences are too many to write down, at most {}", o.vocabulary,
                              o.length + o.queries, kMostEnumerated),
                  "two letters: binary_spectrum; more: zonal_spectrum");
    return n;
  }

  std::uint32_t length_;
  Matrix<std::uint32_t> tokens_;
  std::vector<std::size_t> places_;
};

/// Sequences that are orderings of each other, with the same queries.
std::vector<std::vector<std::size_t>> orbits(const AllSequences& all) {
  std::map<std::vector<std::uint32_t>, std::vector<std::size_t>> by_bag;
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<std::uint32_t> bag(all[i].begin(), all[i].end());
    std::sort(bag.begin(), bag.begin() + all.length());
    by_bag[bag].push_back(i);
  }
  std::vector<std::vector<std::size_t>> out;
  for (auto& [bag, members] : by_bag) out.push_back(std::move(members));
  return out;
}

/// Both class sums in one whole number: those of three-cycles are below kRadix/2 in size for L ≤ 12.
constexpr std::int64_t kRadix = 1024;
std::int64_t label_of(const ClassSums& sums) {
  return sums.transpositions * kRadix + sums.three_cycles;
}

/// Transpositions · kRadix + three-cycles as a matrix on one orbit. It is symmetric, and its eigenvalues are
/// labels.
Matrix<double> class_sum_matrix(const AllSequences& all, const std::vector<std::size_t>& orbit) {
  std::map<std::size_t, std::size_t> at;
  for (std::size_t i = 0; i < orbit.size(); ++i) at[orbit[i]] = i;
  Matrix<double> m(orbit.size(), orbit.size());
  const std::size_t length = all.length();
  for (std::size_t i = 0; i < orbit.size(); ++i)
    for (std::size_t p = 0; p < length; ++p)
      for (std::size_t q = p + 1; q < length; ++q) {
        const std::size_t swapped = all.exchanged(orbit[i], p, q);
        m(i, at[swapped]) += kRadix;
        for (std::size_t r = q + 1; r < length; ++r) {
          m(i, at[all.exchanged(swapped, q, r)]) += 1;
          m(i, at[all.exchanged(swapped, p, r)]) += 1;
        }
      }
  return m;
}

/// Orthonormal functions on one orbit that span part of an irrep's space.
struct OrbitBasis {
  std::size_t orbit = 0;
  Matrix<double> functions{};  ///< members × functions
};

/// Parts of each irrep's space, by the label.
std::map<std::int64_t, std::vector<OrbitBasis>> irrep_bases(
    const AllSequences& all, const std::vector<std::vector<std::size_t>>& bags) {
  std::map<std::int64_t, std::vector<OrbitBasis>> bases;
  for (std::size_t o = 0; o < bags.size(); ++o) {
    check_interrupt();
    const SymmetricEigen eigen = symmetric_eigen(class_sum_matrix(all, bags[o]), true);
    for (std::size_t begin = 0, end = 0; begin < bags[o].size(); begin = end) {
      const auto label = static_cast<std::int64_t>(std::llround(eigen.values[begin]));
      while (end < bags[o].size() && std::llround(eigen.values[end]) == label) ++end;
      OrbitBasis part{o, Matrix<double>(bags[o].size(), end - begin)};
      for (std::size_t i = 0; i < bags[o].size(); ++i)
        for (std::size_t j = begin; j < end; ++j) part.functions(i, j - begin) = eigen.vectors(i, j);
      bases[label].push_back(std::move(part));
    }
  }
  return bases;
}

/// √p(X) √p(Y) k(X, Y).
Matrix<double> weighted_kernel(const TokenKernel& kernel, const AllSequences& all,
                               const std::vector<double>& p) {
  const std::size_t n = all.size();
  Matrix<double> k(n, n);
  double largest = 0, asymmetry = 0, breaking = 0;
  Progress progress("kernel of all sequences", "rows", static_cast<double>(n));
  for (std::size_t i = 0; i < n; ++i, progress.advance()) {
    check_interrupt();
    for (std::size_t j = 0; j < n; ++j) {
      k(i, j) = finite_value(kernel, all[i], all[j]);
      largest = std::max(largest, std::abs(k(i, j)));
      if (j < i) asymmetry = std::max(asymmetry, std::abs(k(i, j) - k(j, i)));
    }
  }
  constexpr double kAllowed = 1e-9;
  if (asymmetry > kAllowed * largest)
    throw Error(
        ErrorKind::kUsage, "kernel",
        fmt::format("k(X, Y) and k(Y, X) differ by up to {:.3g}, expected a symmetric function", asymmetry));
  // One exchange and one turn make all permutations.
  for (std::size_t i = 0; i < n && all.length() > 1; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (const double moved :
           {k(all.exchanged(i, 0, 1), all.exchanged(j, 0, 1)), k(all.turned(i), all.turned(j))})
        breaking = std::max(breaking, std::abs(k(i, j) - moved));
  if (breaking > kAllowed * largest)
    throw Error(
        ErrorKind::kUsage, "kernel",
        fmt::format("changes by up to {:.3g} of its largest value {:.3g} when positions are permuted: it has "
                    "no irreps",
                    breaking, largest),
        "independent or no position vectors, no causal mask beyond one block");
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) k(i, j) *= std::sqrt(p[i] * p[j]);
  return k;
}

std::vector<double> probabilities(const AllSequences& all, const EnumerationOptions& o) {
  std::vector<double> p(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<std::uint32_t> counts(o.vocabulary);
    for (std::size_t a = 0; a < o.length; ++a) ++counts[all[i][a]];
    p[i] = o.law.probability(counts) / std::pow(o.vocabulary, o.queries);
  }
  return p;
}

/// Uᵀ T U for one irrep.
Matrix<double> restricted(const Matrix<double>& t, const std::vector<std::vector<std::size_t>>& bags,
                          const std::vector<OrbitBasis>& parts, const Arena& arena) {
  std::size_t columns = 0;
  for (const OrbitBasis& part : parts) columns += part.functions.cols();
  Matrix<double> u(t.rows(), columns), product(t.rows(), columns), block(columns, columns);
  std::size_t first = 0;
  for (const OrbitBasis& part : parts) {
    for (std::size_t i = 0; i < part.functions.rows(); ++i)
      for (std::size_t j = 0; j < part.functions.cols(); ++j)
        u(bags[part.orbit][i], first + j) = part.functions(i, j);
    first += part.functions.cols();
  }
  gemm<double>(Op::kPlain, Op::kPlain, 1, t, u, 0, product, arena);
  gemm<double>(Op::kTransposed, Op::kPlain, 1, u, product, 0, block, arena);
  return block;
}

}  // namespace

Spectrum enumerated_spectrum(const TokenKernel& kernel, const EnumerationOptions& options,
                             const Arena& arena) {
  check_law(options.law);
  const AllSequences all(options);
  const auto n = static_cast<double>(all.size());
  require_memory(8 * 6 * n * n, "spectrum", "fewer letters or positions");
  const std::vector<double> p = probabilities(all, options);
  const Matrix<double> t = weighted_kernel(kernel, all, p);
  Spectrum spectrum{.length = options.length, .vocabulary = options.vocabulary, .law = options.law};
  for (std::size_t i = 0; i < all.size(); ++i) spectrum.trace += t(i, i);
  if (options.vocabulary == 1) {
    spectrum.levels = {{.irrep = trivial_irrep(options.length), .eigenvalue = spectrum.trace}};
    return spectrum;
  }
  const std::vector<std::vector<std::size_t>> bags = orbits(all);
  auto bases = irrep_bases(all, bags);
  for (const Partition& irrep : partitions(options.length)) {
    const auto found = bases.find(label_of(class_sums(irrep)));
    if (found == bases.end()) continue;
    const std::vector<double> values = symmetric_eigen(restricted(t, bags, found->second, arena)).values;
    add_levels(irrep, values, 1, 1e-13 * spectrum.trace, kEps * spectrum.trace, spectrum.levels);
  }
  return spectrum;
}

}  // namespace telos::symmetry
