// Rayleigh quotients of random pairs of sequences.
#include <fmt/format.h>

#include <utility>

#include "symmetry/running_mean.h"
#include "symmetry/spectrum_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kZonalPairs = 0x5359'4d34, kZonalPilot = 0x5359'4d35;  // streams
constexpr std::size_t kPilotPairs = 64, kLeastMatches = 100;

using ZonalTokens = std::vector<std::uint32_t>;

ZonalTokens uniform_tokens(const ZonalOptions& o, Random& random) {
  ZonalTokens x(o.length);
  for (std::uint32_t& token : x) token = random.below(o.vocabulary);
  return x;
}

/// Of pairs that are not looked at again: what is taken off the kernel, which changes no mean and most of the
/// spread.
double pilot_mean(const TokenKernel& kernel, const ZonalOptions& o) {
  double sum = 0;
  for (std::size_t i = 0; i < kPilotPairs; ++i) {
    Random random(o.seed, kZonalPilot, i);
    const ZonalTokens x = uniform_tokens(o, random), y = uniform_tokens(o, random);
    sum += finite_value(kernel, x, y) / kPilotPairs;
  }
  return sum;
}

/// The kernel and matches over random orders of the second sequence.
struct Orders {
  double kernel = 0, covariance = 0;
  bool matched = false;  ///< in any of them
};
Orders over_orders(const TokenKernel& kernel, const ZonalOptions& o, const ZonalTokens& x, ZonalTokens y,
                   Random& random) {
  double sum_k = 0, sum_m = 0, products = 0;
  for (std::size_t g = 0; g < o.permutations; ++g) {
    for (std::uint32_t i = o.length; i > 1; --i) std::swap(y[i - 1], y[random.below(i)]);
    const double k = finite_value(kernel, x, y);
    double m = 0;
    for (std::size_t a = 0; a < x.size(); ++a) m += x[a] == y[a] ? 1 : 0;
    sum_k += k;
    sum_m += m;
    products += k * m;
  }
  const auto n = static_cast<double>(o.permutations);
  return {sum_k / n, (products - sum_k * sum_m / n) / (n - 1), sum_m > 0};
}

}  // namespace

Spectrum zonal_spectrum(const TokenKernel& kernel, const ZonalOptions& options) {
  check_sequences(options.vocabulary, options.length);
  if (options.vocabulary < 2 || options.length < 2 || options.pairs < 2 || options.permutations < 2)
    throw Error(ErrorKind::kUsage, "zonal estimate",
                "expected at least 2 letters, positions, pairs and permutations");
  const double v = options.vocabulary, l = options.length;
  const double shift = pilot_mean(kernel, options);
  RunningMean constant, trivial, standard, trace;
  std::size_t matched = 0;
  Progress progress("zonal estimate", "pairs", static_cast<double>(options.pairs));
  for (std::size_t i = 0; i < options.pairs; ++i, progress.advance()) {
    check_interrupt();
    Random random(options.seed, kZonalPairs, i);
    const ZonalTokens x = uniform_tokens(options, random), y = uniform_tokens(options, random);
    const Orders orders = over_orders(kernel, options, x, y, random);
    const double zonal = (v * count_product(x, y) - l * l) / l;
    matched += orders.matched ? 1 : 0;
    constant.add(orders.kernel);
    trivial.add((orders.kernel - shift) * zonal / (v - 1));
    standard.add(v * orders.covariance / ((l - 1) * (v - 1)));
    trace.add(finite_value(kernel, x, x));
  }
  if (matched < kLeastMatches)
    throw Error(ErrorKind::kUsage, "pairs",
                fmt::format("only {} of {} pairs have a letter in the same position, expected at least {}",
                            matched, options.pairs, kLeastMatches),
                "more pairs, or fewer letters");
  Spectrum spectrum{.length = options.length, .vocabulary = options.vocabulary};
  const auto add = [&](const Partition& irrep, double multiplicity, const RunningMean& mean,
                       std::uint32_t terms) {
    spectrum.levels.push_back({.irrep = irrep,
                               .eigenvalue = mean.estimate().mean,
                               .multiplicity = multiplicity,
                               .known = Known::kEstimate,
                               .error = mean.estimate().error,
                               .terms = terms});
  };
  add(trivial_irrep(options.length), 1, constant, 0);
  add(trivial_irrep(options.length), v - 1, trivial, 1);
  add(standard_irrep(options.length), (l - 1) * (v - 1), standard, 1);
  spectrum.trace = trace.estimate().mean;
  return spectrum;
}

}  // namespace telos::symmetry
