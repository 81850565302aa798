#include "telos/symmetry/spectrum.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"
#include "telos/base/quantity.h"

namespace telos::symmetry {
void check_sequences(std::uint32_t vocabulary, std::uint32_t length) {
  if (vocabulary == 0 || vocabulary > kMaxVocabulary)
    throw Error(ErrorKind::kUsage, "vocabulary",
                fmt::format("is {}, expected 1 to {}", vocabulary, format_count(kMaxVocabulary)));
  if (length == 0 || length > kMaxLength)
    throw Error(ErrorKind::kUsage, "length",
                fmt::format("is {}, expected 1 to {}", length, format_count(kMaxLength)));
}

void check_law(const TokenLaw& law) {
  if (!(law.alpha > 0))
    throw Error(ErrorKind::kUsage, "alpha", fmt::format("is {}, expected a number above 0", law.alpha));
}

Partition trivial_irrep(std::uint32_t length) {
  return {length};
}

Partition standard_irrep(std::uint32_t length) {
  return {length - 1, 1};
}

std::string sequence_text(std::span<const std::uint32_t> x) {
  constexpr std::size_t kShown = 12;
  return fmt::format("{}{}", fmt::join(x.first(std::min(kShown, x.size())), " "),
                     x.size() > kShown ? " …" : "");
}

void add_levels(const Partition& irrep, std::span<const double> values, double copies, double rounding,
                double zero, std::vector<Level>& levels) {
  for (std::size_t end = values.size(); end > 0;) {
    std::size_t begin = end - 1;
    double sum = values[begin];
    while (begin > 0 && values[begin] - values[begin - 1] <= rounding) sum += values[--begin];
    const auto many = static_cast<double>(end - begin);
    const double mean = sum / many;
    levels.push_back(
        {.irrep = irrep, .eigenvalue = std::abs(mean) > zero ? mean : 0, .multiplicity = many * copies});
    end = begin;
  }
}

double dimension_value(const Partition& irrep) {
  const Natural n = dimension(irrep);
  const auto exact = n.to_int64();
  return exact ? static_cast<double>(*exact) : std::exp(n.log());
}

double count_product(std::span<const std::uint32_t> x, std::span<const std::uint32_t> y) {
  std::vector<std::uint32_t> in_x(x.begin(), x.end()), in_y(y.begin(), y.end());
  std::sort(in_x.begin(), in_x.end());
  std::sort(in_y.begin(), in_y.end());
  double sum = 0;
  for (auto a = in_x.begin(), b = in_y.begin(); a != in_x.end() && b != in_y.end();) {
    if (*a != *b) {
      ++(*a < *b ? a : b);
      continue;
    }
    const auto next_a = std::upper_bound(a, in_x.end(), *a), next_b = std::upper_bound(b, in_y.end(), *b);
    sum += static_cast<double>((next_a - a) * (next_b - b));
    a = next_a;
    b = next_b;
  }
  return sum;
}

double finite_value(const TokenKernel& kernel, std::span<const std::uint32_t> x,
                    std::span<const std::uint32_t> y) {
  const double value = kernel(x, y);
  if (!std::isfinite(value))
    throw Error(ErrorKind::kNotFinite, "kernel",
                fmt::format("is {} at {} and {}", value, sequence_text(x), sequence_text(y)));
  return value;
}

double Spectrum::known_trace() const {
  double sum = 0;
  for (const Level& level : levels) sum += level.multiplicity * level.eigenvalue;
  return sum;
}

double Spectrum::tail() const {
  const double rest = trace - known_trace();
  return rest > 1e-12 * trace ? rest : 0;
}

std::vector<Mode> modes_of(const Spectrum& spectrum) {
  std::vector<Mode> modes;
  for (const Level& level : spectrum.levels)
    modes.push_back({.eigenvalue = std::max(0., level.eigenvalue), .multiplicity = level.multiplicity});
  return modes;
}

double sector_trace(const Spectrum& spectrum, const Partition& irrep) {
  double sum = 0;
  for (const Level& level : spectrum.levels)
    if (level.irrep == irrep) sum += level.multiplicity * level.eigenvalue;
  return sum;
}

double TokenLaw::correlation(std::uint32_t vocabulary) const {
  return 1 / (1 + vocabulary * alpha);
}

double TokenLaw::probability(std::span<const std::uint32_t> counts) const {
  const auto letters = static_cast<double>(counts.size());
  double p = 1, drawn = 0;
  for (const std::uint32_t count : counts)
    for (std::uint32_t i = 0; i < count; ++i, ++drawn)
      p *= std::isinf(alpha) ? 1 / letters : (i + alpha) / (drawn + letters * alpha);
  return p;
}

Spectrum simplified_spectrum(const SimplifiedBlock& block, std::uint32_t vocabulary, std::uint32_t length,
                             const TokenLaw& law) {
  require_valid(block);
  check_sequences(vocabulary, length);
  check_law(law);
  const double v = vocabulary, l = length, rho = law.correlation(vocabulary);
  const auto [a, b, c] = pair_coefficients(block, length);
  const Partition trivial = trivial_irrep(length);
  std::vector<Level> context = {{.irrep = trivial, .eigenvalue = (a * l * l + b * l) / v + c, .terms = 0}};
  if (vocabulary > 1)
    context.push_back({.irrep = trivial,
                       .eigenvalue = (a * l + b) * (1 + (l - 1) * rho) / v,
                       .multiplicity = v - 1,
                       .terms = 1});
  if (vocabulary > 1 && length > 1)
    context.push_back({.irrep = standard_irrep(length),
                       .eigenvalue = b * (1 - rho) / v,
                       .multiplicity = (l - 1) * (v - 1),
                       .terms = 1});
  Spectrum spectrum{.length = length, .vocabulary = vocabulary, .law = law};
  // Factors of the query: one function that does not depend on it, V − 1 that do.
  std::vector<Level> query = {{.eigenvalue = block.query ? block.token / v + block.position : 1}};
  if (block.query && vocabulary > 1) query.push_back({.eigenvalue = block.token / v, .multiplicity = v - 1});
  for (const Level& one : context)
    for (std::size_t i = 0; i < query.size(); ++i)
      if (const double value = one.eigenvalue * query[i].eigenvalue; value > 0)
        spectrum.levels.push_back({.irrep = one.irrep,
                                   .eigenvalue = value,
                                   .multiplicity = one.multiplicity * query[i].multiplicity,
                                   .terms = one.terms,
                                   .query = i > 0});
  std::stable_sort(spectrum.levels.begin(), spectrum.levels.end(), [](const Level& x, const Level& y) {
    const std::uint32_t dx = degree_of(x.irrep), dy = degree_of(y.irrep);
    return dx != dy ? dx < dy : x.eigenvalue > y.eigenvalue;
  });
  spectrum.trace = spectrum.known_trace();
  if (!std::isfinite(spectrum.trace))
    throw Error(ErrorKind::kUsage, block.token >= block.position ? "token variance" : "position variance",
                fmt::format("eigenvalues leave the range of doubles with {} (position variance {})",
                            block.token, block.position),
                "take smaller variances: the spectrum scales with them");
  return spectrum;
}

TokenKernel simplified_kernel(const SimplifiedBlock& block) {
  require_valid(block);
  return [block](std::span<const std::uint32_t> x, std::span<const std::uint32_t> y) {
    const std::size_t length = x.size() - (block.query ? 1 : 0);
    double matches = 0;
    for (std::size_t b = 0; b < length; ++b) matches += x[b] == y[b] ? 1 : 0;
    const PairCoefficients k = pair_coefficients(block, length);
    const double query = block.query ? (x[length] == y[length] ? block.token : 0) + block.position : 1;
    return query *
           (k.counts * count_product(x.first(length), y.first(length)) + k.matches * matches + k.constant);
  };
}

}  // namespace telos::symmetry
