// What a Gram matrix looks like, and how far its kernel is from symmetric.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>

#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"
#include "telos/linalg/decompositions.h"
#include "telos/symmetry/gram.h"

namespace telos::symmetry {
namespace {

constexpr std::uint32_t kBreakingStream = 0x53794B02;

/// Calls visit(i, j, value) for all entries, or for those off the diagonal.
template <class Visit>
void visit_entries(const Gram& g, bool off_diagonal, const Visit& visit) {
  std::vector<double> row(g.cols());
  for (std::size_t i = 0; i < g.rows(); ++i) {
    if (i % 256 == 0) check_interrupt();
    g.row(i, row);
    for (std::size_t j = 0; j < row.size(); ++j)
      if (!off_diagonal || i != j) visit(i, j, row[j]);
  }
}

void summarise_diagonal(const Gram& g, GramSummary& s) {
  std::vector<double> row(g.cols());
  double sum = 0;
  for (std::size_t i = 0; i < g.rows(); ++i) {
    g.row(i, row);
    sum += row[i];
    s.diagonal_low = i == 0 ? row[i] : std::min(s.diagonal_low, row[i]);
    s.diagonal_high = i == 0 ? row[i] : std::max(s.diagonal_high, row[i]);
  }
  s.diagonal_mean = sum / static_cast<double>(g.rows());
}

void summarise_eigenvalues(const Gram& g, GramSummary& s) {
  Matrix<double> k(g.rows(), g.cols());
  for (std::size_t i = 0; i < g.rows(); ++i) g.row(i, {k.row(i), g.cols()});
  const std::vector<double> values = symmetric_eigen(k).values;
  s.smallest_eigenvalue = values.front();
  s.largest_eigenvalue = values.back();
}

// ---- Symmetry breaking

using TokenList = std::vector<Token>;

/// A random order of the positions, in which the fixed one stays.
std::vector<std::size_t> random_order(std::size_t length, std::optional<std::size_t> fixed, Random& random) {
  std::vector<std::size_t> order(length), context;
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t a = 0; a < length; ++a)
    if (a != fixed) context.push_back(a);
  for (std::size_t i = context.size(); i > 1; --i)
    std::swap(order[context[i - 1]], order[context[random.below(static_cast<std::uint32_t>(i))]]);
  return order;
}

/// The tokens at `places` in another order; padding stays where it is.
TokenList permuted_tokens(const TokenList& tokens, const std::vector<std::size_t>& places,
                          const std::vector<std::size_t>& order) {
  TokenList out = tokens;
  for (std::size_t a = 0; a < places.size(); ++a) out[places[a]] = tokens[places[order[a]]];
  return out;
}

/// k(X, Y), and of permuted sequences.
struct BreakingPair {
  double plain = 0, both = 0, one = 0;
};

/// Mean of squares over the variance of `k`, and its standard error as that of a ratio of means.
struct VarianceRatio {
  double value = 0, error = 0;
};
VarianceRatio variance_ratio(const std::vector<double>& squares, const std::vector<double>& spread) {
  const auto n = static_cast<double>(squares.size());
  const double top = std::accumulate(squares.begin(), squares.end(), 0.0) / n,
               bottom = std::accumulate(spread.begin(), spread.end(), 0.0) / n;
  const double ratio = top / bottom;
  double sum = 0;
  for (std::size_t i = 0; i < squares.size(); ++i) {
    const double residual = squares[i] - ratio * spread[i];
    sum += residual * residual;
  }
  return {ratio, std::sqrt(sum / (n * (n - 1))) / bottom};
}

/// Sequences whose tokens that are no padding have the same places.
struct AlikeSequences {
  std::vector<std::size_t> places, members;
};
/// Those of more than 2 tokens with two sequences or more.
std::vector<AlikeSequences> alike_sequences(const Sequences& sequences, std::optional<Token> padding) {
  std::map<std::vector<std::size_t>, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    std::vector<std::size_t> places;
    for (std::size_t a = 0; a < sequences.items[i].size(); ++a)
      if (sequences.items[i][a] != padding) places.push_back(a);
    if (places.size() > 2) groups[std::move(places)].push_back(i);
  }
  std::vector<AlikeSequences> out;
  for (auto& [places, members] : groups)
    if (members.size() > 1) out.push_back({places, std::move(members)});
  return out;
}

}  // namespace

GramSummary summarise(const Gram& g, bool symmetric) {
  GramSummary s;
  if (symmetric) summarise_diagonal(g, s);
  const bool off_diagonal = symmetric && g.rows() > 1;
  double count = 0, sum = 0;
  visit_entries(g, off_diagonal, [&](std::size_t, std::size_t, double k) {
    s.low = count == 0 ? k : std::min(s.low, k);
    s.high = count == 0 ? k : std::max(s.high, k);
    sum += k;
    ++count;
  });
  s.mean = sum / count;
  s.histogram.assign(kHistogramBins, 0);
  double squares = 0;
  const double width = s.high - s.low;
  visit_entries(g, off_diagonal, [&](std::size_t, std::size_t, double k) {
    squares += (k - s.mean) * (k - s.mean);
    const double at = width > 0 ? (k - s.low) / width * kHistogramBins : 0;
    s.histogram[std::min(static_cast<std::size_t>(at), kHistogramBins - 1)] += 1 / count;
  });
  s.deviation = std::sqrt(squares / count);
  for (std::size_t i = 0; i < g.errors().size(); ++i) {
    const double e = g.errors().data()[i];
    s.largest_error = std::max(s.largest_error, e);
    s.error += e / static_cast<double>(g.errors().size());
  }
  if (symmetric && g.rows() <= kMostEigen) summarise_eigenvalues(g, s);
  return s;
}

Breaking measure_breaking(const Kernel& kernel, const Sequences& sequences, bool ntk, std::size_t pairs,
                          std::uint64_t seed, const Arena& arena) {
  Breaking out;
  const auto groups = alike_sequences(sequences, kernel.architecture().padding);
  if (groups.empty() || pairs < 2) return out;
  std::vector<BreakingPair> found(pairs);
  arena.parallel_for(pairs, [&](std::size_t p) {
    check_interrupt();
    Random random(seed, kBreakingStream, p);
    const auto& [places, group] = groups[random.below(static_cast<std::uint32_t>(groups.size()))];
    const auto n = static_cast<std::uint32_t>(group.size());
    const std::size_t i = random.below(n), j = (i + 1 + random.below(n - 1)) % n;
    const TokenList &x = sequences.items[group[i]], &y = sequences.items[group[j]];
    const auto order =
        random_order(places.size(), fixed_position(kernel.architecture(), places.size()), random);
    const PreparedSequence px = kernel.prepare(x), py = kernel.prepare(y),
                           pgx = kernel.prepare(permuted_tokens(x, places, order)),
                           pgy = kernel.prepare(permuted_tokens(y, places, order));
    const auto value = [&](const PreparedSequence& u, const PreparedSequence& v) {
      double nngp = 0, theta = 0;
      kernel.tile({&u, 1}, {&v, 1}, {&nngp, 1, 1},
                  ntk ? MatrixView<double>(&theta, 1, 1) : MatrixView<double>(), {});
      return ntk ? theta : nngp;
    };
    found[p] = {value(px, py), value(pgx, pgy), value(pgx, py)};
  });
  double mean = 0;
  for (const BreakingPair& f : found) mean += f.plain / static_cast<double>(pairs);
  std::vector<double> both, one, spread;
  for (auto* list : {&both, &one, &spread}) list->reserve(pairs);
  double variance = 0;
  for (const BreakingPair& f : found) {
    both.push_back((f.both - f.plain) * (f.both - f.plain));
    one.push_back((f.one - f.plain) * (f.one - f.plain));
    spread.push_back((f.plain - mean) * (f.plain - mean));
    variance += spread.back() / static_cast<double>(pairs);
  }
  if (!(variance > 1e-24 * mean * mean)) return out;
  const VarianceRatio r_both = variance_ratio(both, spread), r_one = variance_ratio(one, spread);
  out = {.value = r_both.value, .error = r_both.error, .order = r_one.value, .order_error = r_one.error};
  out.largest = std::sqrt(*std::max_element(both.begin(), both.end()) / variance);
  out.pairs = pairs;
  return out;
}

}  // namespace telos::symmetry
