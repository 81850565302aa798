// Drawing from a law, and what is exact about it.
#include "telos/symmetry/laws.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "telos/base/error.h"
#include "telos/base/memory.h"

namespace telos::symmetry {
namespace {

std::uint32_t pick_letter(std::span<const double> weights, Random& random) {
  double left = random.uniform();
  std::size_t last = 0;  // rounding must not pick a letter of weight 0
  for (std::size_t v = 0; v < weights.size(); ++v) {
    if (weights[v] <= 0) continue;
    last = v;
    if ((left -= weights[v]) < 0) break;
  }
  return static_cast<std::uint32_t>(last);
}

std::span<const double> row_of(const std::vector<double>& values, std::size_t cols, std::size_t i) {
  return std::span(values).subspan(i * cols, cols);
}

void draw_chain(const Hmm& h, std::span<std::uint32_t> sequence, Random& random) {
  std::size_t state = pick_letter(h.start, random);
  for (std::uint32_t& letter : sequence) {
    letter = pick_letter(row_of(h.emission, h.letters, state), random);
    state = pick_letter(row_of(h.transition, h.states, state), random);
  }
}

void draw_urn(double alpha, std::uint32_t letters, std::span<std::uint32_t> sequence, Random& random) {
  // A ball of the urn is one of those drawn before, or a new one of any colour.
  for (std::size_t t = 0; t < sequence.size(); ++t) {
    const double u = random.uniform() * (static_cast<double>(t) + letters * alpha);
    sequence[t] = u < static_cast<double>(t) ? sequence[static_cast<std::size_t>(u)] : random.below(letters);
  }
}

/// v ← v T for a row vector over states.
void transit(const Hmm& h, std::vector<double>& v) {
  std::vector<double> next(h.states);
  for (std::size_t s = 0; s < h.states; ++s)
    for (std::size_t r = 0; r < h.states; ++r) next[r] += v[s] * h.transition[s * h.states + r];
  v = std::move(next);
}

/// log P(x), and the law of the hidden state that follows it.
double filter_chain(const Hmm& h, std::span<const std::uint32_t> sequence, std::vector<double>& state) {
  double log_p = 0;
  state = h.start;
  for (const std::uint32_t letter : sequence) {
    double sum = 0;
    for (std::size_t s = 0; s < h.states; ++s) sum += state[s] *= h.emission[s * h.letters + letter];
    if (sum <= 0) return -std::numeric_limits<double>::infinity();
    for (double& p : state) p /= sum;
    log_p += std::log(sum);
    transit(h, state);
  }
  return log_p;
}

/// E f g, the sums over positions carried along the chain with the state: P(s), E[F; s], E[G; s], E[FG; s].
double chain_inner(const Hmm& h, const LinearFunction& f, const LinearFunction& g) {
  std::vector<double> p = h.start, a(h.states), b(h.states), ab(h.states);
  for (std::size_t s = 0; s < h.states; ++s) {
    a[s] = p[s] * f.constant;
    b[s] = p[s] * g.constant;
    ab[s] = a[s] * g.constant;
  }
  for (std::size_t t = 0; t < f.table.rows(); ++t) {
    if (t > 0)
      for (std::vector<double>* message : {&p, &a, &b, &ab}) transit(h, *message);
    for (std::size_t s = 0; s < h.states; ++s) {
      double mean_f = 0, mean_g = 0, mean_fg = 0;
      for (std::size_t v = 0; v < h.letters; ++v) {
        const double e = h.emission[s * h.letters + v], ef = e * f.table(t, v);
        mean_f += ef;
        mean_g += e * g.table(t, v);
        mean_fg += ef * g.table(t, v);
      }
      ab[s] += a[s] * mean_g + b[s] * mean_f + p[s] * mean_fg;
      a[s] += p[s] * mean_f;
      b[s] += p[s] * mean_g;
    }
  }
  return std::accumulate(ab.begin(), ab.end(), 0.0);
}

/// Under uniform independent letters: the mean, and of two rows the covariance.
double row_mean(std::span<const double> f) {
  return std::accumulate(f.begin(), f.end(), 0.0) / static_cast<double>(f.size());
}
double row_covariance(std::span<const double> f, std::span<const double> g) {
  const double mf = row_mean(f), mg = row_mean(g);
  double sum = 0;
  for (std::size_t v = 0; v < f.size(); ++v) sum += (f[v] - mf) * (g[v] - mg);
  return sum / static_cast<double>(f.size());
}

double urn_mean(const LinearFunction& f) {
  double sum = f.constant;
  for (std::size_t b = 0; b < f.table.rows(); ++b) sum += row_mean({f.table.row(b), f.table.cols()});
  return sum;
}

/// Cov([x_b = v], [x_c = w]) is that of one letter for b = c, and ρ times it for b ≠ c.
double urn_inner(double rho, const LinearFunction& f, const LinearFunction& g) {
  const std::size_t letters = f.table.cols();
  std::vector<double> sum_f(letters), sum_g(letters);
  double own = 0;
  for (std::size_t b = 0; b < f.table.rows(); ++b) {
    own += row_covariance({f.table.row(b), letters}, {g.table.row(b), letters});
    for (std::size_t v = 0; v < letters; ++v) {
      sum_f[v] += f.table(b, v);
      sum_g[v] += g.table(b, v);
    }
  }
  return urn_mean(f) * urn_mean(g) + (1 - rho) * own + rho * row_covariance(sum_f, sum_g);
}

/// Independent letters, or a hidden state that stays: all that makes a chain exchangeable at every length
/// without a coincidence of its numbers.
bool is_exchangeable(const Hmm& h) {
  constexpr double kEqual = 1e-12;
  const auto same = [](std::span<const double> a, std::span<const double> b) {
    return std::equal(a.begin(), a.end(), b.begin(),
                      [](double x, double y) { return std::abs(x - y) <= kEqual; });
  };
  bool frozen = true, fresh = true, blind = true;
  for (std::size_t s = 0; s < h.states; ++s) {
    frozen = frozen && std::abs(h.transition[s * h.states + s] - 1) <= kEqual;
    fresh = fresh && same(row_of(h.transition, h.states, s), h.start);
    blind = blind && same(row_of(h.emission, h.letters, s), row_of(h.emission, h.letters, 0));
  }
  return frozen || fresh || blind;
}

LinearFunction constant_one(const LinearFunction& like) {
  return {1, Matrix<double>(like.table.rows(), like.table.cols())};
}

}  // namespace

bool Law::exchangeable() const {
  const auto* chains = std::get_if<std::vector<Hmm>>(&law_);
  return chains == nullptr || std::all_of(chains->begin(), chains->end(), is_exchangeable);
}

double Law::exchange_correlation() const {
  if (const auto* polya = std::get_if<Polya>(&law_)) return 1 / (1 + letters_ * polya->alpha);
  const auto& chains = std::get<std::vector<Hmm>>(law_);
  const auto uniform = [&](double p) { return std::abs(p * letters_ - 1) <= 1e-12; };
  for (const Hmm& h : chains)
    if (!std::all_of(h.emission.begin(), h.emission.end(), uniform))
      return std::numeric_limits<double>::quiet_NaN();
  return 0;
}

void Law::draw(std::span<std::uint32_t> sequence, Random& random) const {
  if (const auto* polya = std::get_if<Polya>(&law_))
    return draw_urn(polya->alpha, letters_, sequence, random);
  const auto& chains = std::get<std::vector<Hmm>>(law_);
  draw_chain(chains[chains.size() > 1 ? random.below(static_cast<std::uint32_t>(chains.size())) : 0],
             sequence, random);
}

Matrix<std::uint32_t> Law::draw(std::size_t sequences, std::size_t length, std::uint64_t seed,
                                std::uint32_t stream, std::uint64_t first, const Arena& arena) const {
  require_memory(4 * static_cast<double>(sequences) * static_cast<double>(length), "sequences",
                 "take fewer or shorter ones");
  Matrix<std::uint32_t> rows(sequences, length);
  arena.parallel_for(sequences, [&](std::size_t i) {
    Random random(seed, stream, first + i);
    draw({rows.row(i), length}, random);
  });
  return rows;
}

double Law::log_probability(std::span<const std::uint32_t> sequence) const {
  if (const auto* polya = std::get_if<Polya>(&law_)) {
    std::vector<double> counts(letters_);
    double log_p = 0;
    for (std::size_t t = 0; t < sequence.size(); ++t)
      log_p += std::log((counts[sequence[t]]++ + polya->alpha) /
                        (static_cast<double>(t) + letters_ * polya->alpha));
    return log_p;
  }
  const auto& chains = std::get<std::vector<Hmm>>(law_);
  std::vector<double> logs, state;
  for (const Hmm& h : chains) logs.push_back(filter_chain(h, sequence, state));
  const double largest = *std::max_element(logs.begin(), logs.end());
  if (std::isinf(largest)) return largest;
  double sum = 0;
  for (const double l : logs) sum += std::exp(l - largest);
  return largest + std::log(sum / static_cast<double>(chains.size()));
}

std::vector<double> Law::next(std::span<const std::uint32_t> sequence) const {
  std::vector<double> law(letters_);
  if (const auto* polya = std::get_if<Polya>(&law_)) {
    std::fill(law.begin(), law.end(), polya->alpha);
    for (const std::uint32_t letter : sequence) ++law[letter];
  } else {
    const auto& chains = std::get<std::vector<Hmm>>(law_);
    std::vector<double> logs;
    std::vector<std::vector<double>> states(chains.size());
    for (std::size_t k = 0; k < chains.size(); ++k)
      logs.push_back(filter_chain(chains[k], sequence, states[k]));
    const double largest = *std::max_element(logs.begin(), logs.end());
    for (std::size_t k = 0; k < chains.size(); ++k) {
      if (std::isinf(logs[k])) continue;
      const double weight = std::exp(logs[k] - largest);
      for (std::size_t s = 0; s < chains[k].states; ++s)
        for (std::size_t v = 0; v < letters_; ++v)
          law[v] += weight * states[k][s] * chains[k].emission[s * letters_ + v];
    }
    if (std::isinf(largest)) std::fill(law.begin(), law.end(), 1.0);
  }
  const double sum = std::accumulate(law.begin(), law.end(), 0.0);
  for (double& p : law) p /= sum;
  return law;
}

double Law::mean(const LinearFunction& f) const {
  return inner(f, constant_one(f));
}

double Law::inner(const LinearFunction& f, const LinearFunction& g) const {
  if (std::holds_alternative<Polya>(law_)) return urn_inner(exchange_correlation(), f, g);
  const auto& chains = std::get<std::vector<Hmm>>(law_);
  double sum = 0;
  for (const Hmm& h : chains) sum += chain_inner(h, f, g);
  return sum / static_cast<double>(chains.size());
}

}  // namespace telos::symmetry
