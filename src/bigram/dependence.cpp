// Tests of independence by counts.
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "base/limits.h"
#include "bigram/corpus_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/base/philox.h"

namespace telos::bigram {
namespace {

constexpr std::uint32_t kDealing = 8;  ///< stream of the random order in which `chance` deals tokens

// ---- χ²

/// ln Γ(a), a > 0, by Stirling's series above 12. (std::lgamma writes a global.)
double log_gamma(double a) {
  double shift = 0;
  for (; a < 12; ++a) shift += std::log(a);
  const double r = 1 / (a * a);
  const double series =
      (1.0 / 12 -
       r * (1.0 / 360 - r * (1.0 / 1260 - r * (1.0 / 1680 - r * (1.0 / 1188 - r * 691.0 / 360360))))) /
      a;
  return (a - 0.5) * std::log(a) - a + 0.918938533204672742 + series - shift;
}

/// Γ(a, x)/Γ(a): by its series below a + 1, by Lentz's continued fraction above.
double upper_gamma(double a, double x) {
  if (!(x > 0)) return 1;
  const double front = std::exp(a * std::log(x) - x - log_gamma(a));
  if (x < a + 1) {
    double term = 1 / a, sum = term;
    for (double n = a + 1; term > sum * kEps; ++n) sum += term *= x / n;
    return std::max(0.0, 1 - front * sum);
  }
  constexpr double kTiny = 1e-300;
  double b = x + 1 - a, c = 1 / kTiny, d = 1 / b, h = d;
  for (double i = 1;; ++i) {
    const double n = -i * (i - a);
    b += 2;
    d = n * d + b;
    d = 1 / (std::abs(d) < kTiny ? kTiny : d);
    c = b + n / c;
    if (std::abs(c) < kTiny) c = kTiny;
    h *= d * c;
    if (std::abs(d * c - 1) < 2 * kEps) return std::min(1.0, front * h);
  }
}

/// A margin of a table of n pairs: tokens of fewer than √n are put together, in ascending order, to classes
/// of √n or more. (Nearly) all cells are then expected to hold one pair or more, and there are at most √n + 1
/// of them on a side.
class Margin {
 public:
  Margin(const std::vector<std::uint32_t>& counts, double n) : index_(counts.size()) {
    const auto is_rare = [&](double m) { return m * m < n; };
    double rare = 0;
    for (std::size_t token = 0; token < counts.size(); ++token)
      if (is_rare(counts[token]))
        rare += counts[token];
      else
        add_class(token, counts[token]);
    bool open = false;
    for (std::size_t token = 0; token < counts.size(); ++token) {
      if (counts[token] == 0 || !is_rare(counts[token])) continue;
      if (open && (is_rare(counts_.back()) || is_rare(rare))) {
        index_[token] = static_cast<std::uint32_t>(counts_.size() - 1);
        counts_.back() += counts[token];
      } else {
        add_class(token, counts[token]);
        open = true;
      }
      rare -= counts[token];
    }
  }
  std::size_t size() const { return counts_.size(); }
  double cells() const { return static_cast<double>(size()); }
  double operator[](std::size_t cell) const { return counts_[cell]; }
  std::size_t index_of(std::size_t token) const { return index_[token]; }

  // What a margin adds to Haldane's variance.
  double spread(double n) const { return (cells() - 1) * (n - cells()) / (n - 1); }
  double unevenness(double n) const {
    double reciprocals = 0;
    for (const double m : counts_) reciprocals += 1 / m;
    return (n * reciprocals - cells() * cells()) / (n - 2);
  }

 private:
  void add_class(std::size_t token, double count) {
    index_[token] = static_cast<std::uint32_t>(counts_.size());
    counts_.push_back(count);
  }

  std::vector<double> counts_;
  std::vector<std::uint32_t> index_;  // by token
};

/// From the mean and variance of χ² over all ways to pair up the two margins (Haldane 1940).
double p_value(double chi_squared, const Margin& r, const Margin& c, double n) {
  if (n <= 3 || r.size() < 2 || c.size() < 2) return 1;
  const double mean = n * (r.cells() - 1) * (c.cells() - 1) / (n - 1);
  const double vr = r.spread(n), vc = c.spread(n), wr = r.unevenness(n), wc = c.unevenness(n);
  const double variance = 2 * n / (n - 3) * (vr - wr) * (vc - wc) + n * n / (n - 1) * wr * wc;
  if (!(variance > kEps * mean * mean)) return 1;  // all pairings give the same χ²
  const double scale = variance / (2 * mean);
  return chi_squared_tail(chi_squared / scale, mean / scale);
}

// ---- Information by chance

/// The tokens in a random order.
void deal(std::vector<std::uint16_t>& tokens, std::uint64_t seed, std::uint64_t sample) {
  Random random(seed, kDealing, sample);
  for (std::size_t i = tokens.size(); i > 1; --i)
    std::swap(tokens[i - 1], tokens[random.below(static_cast<std::uint32_t>(i))]);
}

}  // namespace

double chi_squared_tail(double x, double degrees) {
  return upper_gamma(degrees / 2, x / 2);
}

Dependence dependence_of(const std::vector<PairCell>& cells, std::size_t vocabulary) {
  std::vector<std::uint32_t> first(vocabulary), second(vocabulary);
  Dependence d;
  for (const PairCell& cell : cells) {
    first[cell.key / vocabulary] += cell.count;
    second[cell.key % vocabulary] += cell.count;
    d.pairs += cell.count;
  }
  if (d.pairs == 0) return d;
  const double n = static_cast<double>(d.pairs);
  const Margin rows(first, n), columns(second, n);
  std::vector<double> table(rows.size() * columns.size());
  double mean = 0, mean_square = 0;
  for (const PairCell& cell : cells) {
    const std::size_t a = cell.key / vocabulary, b = cell.key % vocabulary;
    const double m = cell.count, r = first[a], c = second[b], information = std::log(m * n / (r * c));
    mean += m * information;
    mean_square += m * information * information;
    table[rows.index_of(a) * columns.size() + columns.index_of(b)] += m;
  }
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t j = 0; j < columns.size(); ++j) {
      const double expected = rows[i] * columns[j] / n, difference = table[i * columns.size() + j] - expected;
      d.chi_squared += difference * difference / expected;
    }
  d.degrees = (rows.cells() - 1) * (columns.cells() - 1);
  d.p_value = p_value(d.chi_squared, rows, columns, n);
  d.information = std::max(0.0, mean / n);
  d.error = std::sqrt(std::max(0.0, mean_square / n - d.information * d.information) / n);
  return d;
}

void correct_for_all(std::vector<OffsetTest>& tests, double level) {
  std::vector<std::size_t> order(tests.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return tests[a].dependence.p_value < tests[b].dependence.p_value;
  });
  double corrected = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    OffsetTest& test = tests[order[i]];
    const double left = static_cast<double>(order.size() - i);
    corrected = std::max(corrected, std::min(1.0, left * test.dependence.p_value));
    test.holm = corrected;
    test.significant = corrected < level;
  }
}

std::vector<Dependence> lag_dependence(std::span<const std::uint16_t> tokens, std::size_t vocabulary,
                                       std::size_t longest, std::uint64_t seed, const Arena& arena) {
  std::vector<std::uint16_t> dealt(tokens.begin(), tokens.end());
  deal(dealt, seed, kMostVocabulary);
  std::vector<Dependence> lags(std::min(longest, tokens.size() - 1));
  arena.parallel_for(lags.size(), [&](std::size_t l) {
    check_interrupt();
    const std::size_t lag = l + 1, n = tokens.size() - lag;
    lags[l] = dependence_of(
        count_pairs(n, vocabulary, [&](std::size_t i) { return tokens[i] * vocabulary + tokens[i + lag]; }),
        vocabulary);
    lags[l].chance =
        dependence_of(count_pairs(n, vocabulary,
                                  [&](std::size_t i) { return tokens[i] * vocabulary + dealt[i + lag]; }),
                      vocabulary)
            .information;
  });
  return lags;
}

std::vector<OffsetTest> test_offsets(const Windows& windows, std::size_t vocabulary,
                                     const EstimateOptions& options, std::vector<std::uint16_t>& rare,
                                     const Arena& arena) {
  // Windows by last token, in the order of the text.
  std::vector<std::size_t> begin(vocabulary + 1);
  for (std::size_t w = 0; w < windows.size(); ++w) ++begin[*windows.at(w) + 1u];
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<std::uint32_t> order(windows.size());
  std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
  for (std::size_t w = 0; w < windows.size(); ++w)
    order[next[*windows.at(w)]++] = static_cast<std::uint32_t>(w);

  std::vector<std::uint16_t> frequent;
  for (std::size_t k = 0; k < vocabulary; ++k)
    (begin[k + 1] - begin[k] < options.min_count ? rare : frequent).push_back(static_cast<std::uint16_t>(k));
  const std::size_t offsets = windows.max_offset;
  std::vector<OffsetTest> tests(frequent.size() * offsets);
  Progress progress("offsets", "last token", static_cast<double>(frequent.size()));
  arena.parallel_for(frequent.size(), [&](std::size_t f) {
    check_interrupt();
    const std::uint16_t last = frequent[f];
    const std::span<const std::uint32_t> own(order.data() + begin[last], begin[last + 1u] - begin[last]);
    std::vector<std::uint16_t> output(own.size());
    for (std::size_t i = 0; i < own.size(); ++i) output[i] = windows.at(own[i])[1];
    std::vector<std::uint16_t> dealt = output;
    deal(dealt, options.seed, last);
    for (std::size_t d = 1; d <= offsets; ++d) {
      const auto pairs_with = [&](const std::vector<std::uint16_t>& outputs) {
        return count_pairs(own.size(), vocabulary, [&](std::size_t i) {
          return *(windows.at(own[i]) - d) * vocabulary + outputs[i];
        });
      };
      OffsetTest& test = tests[f * offsets + d - 1];
      test.last = last;
      test.offset = static_cast<std::uint32_t>(d);
      test.dependence = dependence_of(pairs_with(output), vocabulary);
      test.dependence.chance = dependence_of(pairs_with(dealt), vocabulary).information;
    }
    progress.advance();
  });
  correct_for_all(tests, options.level);
  return tests;
}

}  // namespace telos::bigram
