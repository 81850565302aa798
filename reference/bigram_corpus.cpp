#include "reference/bigram_corpus.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace telos::reference::corpus {
namespace {

std::size_t at(int token) {
  return static_cast<std::size_t>(token);
}

Table zeros(std::size_t rows, std::size_t cols) {
  return Table(rows, std::vector<double>(cols, 0.0));
}

/// One window: its last token, the token at each offset, and the next one.
struct Window {
  std::size_t last, next;
  std::vector<std::size_t> tokens;
};

std::vector<Window> windows_of(const Text& text, int max_offset) {
  std::vector<Window> windows;
  for (std::size_t i = at(max_offset); i + 1 < text.size(); ++i) {
    Window w{at(text[i]), at(text[i + 1]), {}};
    for (std::size_t d = 0; d <= at(max_offset); ++d) w.tokens.push_back(at(text[i - d]));
    windows.push_back(w);
  }
  return windows;
}

/// Columns of counts become laws with `smooth` pseudo-counts shared out like μ.
void normalise(Table& p, const std::vector<double>& mu, double smooth) {
  for (std::size_t j = 0; j < p.size(); ++j) {
    double sum = smooth;
    for (std::size_t o = 0; o < p.size(); ++o) sum += p[o][j];
    for (std::size_t o = 0; o < p.size(); ++o) p[o][j] = (p[o][j] + smooth * mu[o]) / sum;
  }
}

/// Solves m x = b by Gaussian elimination with pivots.
std::vector<double> solve(Table m, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k; i < n; ++i)
      if (std::abs(m[i][k]) > std::abs(m[pivot][k])) pivot = i;
    std::swap(m[k], m[pivot]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = m[i][k] / m[k][k];
      for (std::size_t j = k; j < n; ++j) m[i][j] -= factor * m[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= m[k][j] * b[j];
    b[k] /= m[k][k];
  }
  return b;
}

class Mixture {
 public:
  Mixture(const Text& text, int tokens, int max_offset, double smooth)
      : windows_(windows_of(text, max_offset)),
        n_(at(tokens)),
        offsets_(at(max_offset) + 1),
        smooth_(smooth) {
    mu_.assign(n_, 0.5);
    for (const Window& w : windows_) ++mu_[w.next];
    const double sum = std::accumulate(mu_.begin(), mu_.end(), 0.0);
    for (double& m : mu_) m /= sum;
    fit.p = zeros(n_, n_);
    fit.q.assign(n_, std::vector<double>(offsets_, 1 / static_cast<double>(offsets_)));
    kept_.assign(n_, std::vector<bool>(offsets_, true));
    start();
  }

  double step() {
    Table p = zeros(n_, n_), q = zeros(n_, offsets_);
    double objective = 0;
    for (const Window& w : windows_) {
      const double whole = likelihood(w);
      objective += std::log(whole);
      for (std::size_t d = 0; d < offsets_; ++d) {
        const double share = fit.q[w.last][d] * fit.p[w.next][w.tokens[d]] / whole;
        p[w.next][w.tokens[d]] += share;
        q[w.last][d] += share;
      }
    }
    for (std::size_t o = 0; o < n_; ++o)
      for (std::size_t j = 0; j < n_; ++j) objective += smooth_ * mu_[o] * std::log(fit.p[o][j]);
    normalise(p, mu_, smooth_);
    for (auto& row : q) {
      const double sum = std::accumulate(row.begin(), row.end(), 0.0);
      for (double& x : row) x /= sum;
    }
    fit = {p, q};
    return objective / static_cast<double>(windows_.size());
  }

  void keep(std::size_t most) {
    for (std::size_t k = 0; k < n_; ++k)
      while (count(k) > most) {
        std::size_t least = offsets_;
        for (std::size_t d = 0; d < offsets_; ++d)
          if (kept_[k][d] && (least == offsets_ || fit.q[k][d] < fit.q[k][least])) least = d;
        drop(k, least);
      }
  }

  bool leave_out() {
    Table cost = zeros(n_, offsets_);
    std::vector<double> windows(n_);
    for (const Window& w : windows_) {
      ++windows[w.last];
      for (std::size_t d = 0; d < offsets_; ++d)
        if (kept_[w.last][d] && count(w.last) > 1) {
          const double whole = likelihood(w), part = fit.q[w.last][d] * fit.p[w.next][w.tokens[d]];
          cost[w.last][d] += std::log(whole) - std::log((whole - part) / (1 - fit.q[w.last][d]));
        }
    }
    bool dropped = false;
    for (std::size_t k = 0; k < n_; ++k) {
      if (count(k) < 2) continue;
      std::size_t least = offsets_;
      for (std::size_t d = 0; d < offsets_; ++d)
        if (kept_[k][d] && (least == offsets_ || cost[k][d] < cost[k][least])) least = d;
      if (cost[k][least] >= std::log(windows[k]) / 2) continue;
      drop(k, least);
      dropped = true;
    }
    return dropped;
  }

  Process fit;

 private:
  void start() {
    double most = -1;
    std::size_t best = 0;
    for (std::size_t d = 0; d < offsets_; ++d) {
      std::vector<std::pair<int, int>> pairs;
      for (const Window& w : windows_)
        pairs.emplace_back(static_cast<int>(w.next), static_cast<int>(w.tokens[d]));
      const double information = measure_pairs(pairs, static_cast<int>(n_)).information;
      if (information > most) {
        most = information;
        best = d;
      }
    }
    for (const Window& w : windows_) ++fit.p[w.next][w.tokens[best]];
    normalise(fit.p, mu_, smooth_);
  }

  double likelihood(const Window& w) const {
    double sum = 0;
    for (std::size_t d = 0; d < offsets_; ++d) sum += fit.q[w.last][d] * fit.p[w.next][w.tokens[d]];
    return sum;
  }
  std::size_t count(std::size_t k) const {
    return static_cast<std::size_t>(std::count(kept_[k].begin(), kept_[k].end(), true));
  }
  void drop(std::size_t k, std::size_t d) {
    kept_[k][d] = false;
    fit.q[k][d] = 0;
    const double sum = std::accumulate(fit.q[k].begin(), fit.q[k].end(), 0.0);
    for (double& x : fit.q[k]) x /= sum;
  }

  std::vector<Window> windows_;
  std::size_t n_, offsets_;
  double smooth_;
  std::vector<double> mu_;
  std::vector<std::vector<bool>> kept_;
};

}  // namespace

Pairs measure_pairs(const std::vector<std::pair<int, int>>& pairs, int tokens) {
  Table counts = zeros(at(tokens), at(tokens));
  std::vector<double> r(at(tokens)), c(at(tokens));
  for (const auto& [a, b] : pairs) {
    ++counts[at(a)][at(b)];
    ++r[at(a)];
    ++c[at(b)];
  }
  const double n = static_cast<double>(pairs.size());
  Pairs result;
  for (std::size_t a = 0; a < r.size(); ++a)
    for (std::size_t b = 0; b < c.size(); ++b) {
      const double expected = r[a] * c[b] / n, m = counts[a][b];
      if (expected == 0) continue;
      result.chi_squared += (m - expected) * (m - expected) / expected;
      if (m > 0) result.information += m / n * std::log(m / expected);
    }
  const auto used = [](const std::vector<double>& margin) {
    return static_cast<double>(std::count_if(margin.begin(), margin.end(), [](double x) { return x > 0; }));
  };
  result.degrees = (used(r) - 1) * (used(c) - 1);
  return result;
}

std::vector<std::pair<int, int>> pool_rare(std::vector<std::pair<int, int>> pairs, int tokens) {
  const double root = std::sqrt(static_cast<double>(pairs.size()));
  const auto pool = [&](auto side) {
    std::vector<double> count(at(tokens));
    for (auto& pair : pairs) ++count[at(side(pair))];
    double left = 0;
    for (const double c : count) left += c < root ? c : 0;
    std::vector<int> name(at(tokens));
    int current = tokens;
    double filled = 0;
    for (int token = 0; token < tokens; ++token) {
      name[at(token)] = token;
      const double c = count[at(token)];
      if (c == 0 || c >= root) continue;
      if (filled >= root && left >= root) {
        ++current;
        filled = 0;
      }
      name[at(token)] = current;
      filled += c;
      left -= c;
    }
    for (auto& pair : pairs) side(pair) = name[at(side(pair))];
  };
  pool([](auto& pair) -> int& { return pair.first; });
  pool([](auto& pair) -> int& { return pair.second; });
  return pairs;
}

Moments permutation_moments(std::vector<std::pair<int, int>> pairs, int tokens) {
  std::vector<std::size_t> order(pairs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto original = pairs;
  double count = 0, sum = 0, squares = 0;
  do {
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i].second = original[order[i]].second;
    const double x = measure_pairs(pairs, tokens).chi_squared;
    ++count;
    sum += x;
    squares += x * x;
  } while (std::next_permutation(order.begin(), order.end()));
  return {sum / count, squares / count - sum / count * (sum / count)};
}

double chi_squared_tail(double x, double degrees) {
  // In u = √t the integrand is smooth; beyond u = √x + 40 it is below e^(−800).
  constexpr int kSteps = 400000;
  const double low = std::sqrt(x), step = 40.0 / kSteps;
  const auto density = [&](double u) {
    return u == 0 ? (degrees > 1 ? 0.0 : 2.0)
                  : 2 * std::exp((degrees - 1) * std::log(u) - u * u / 2 - degrees / 2 * std::log(2.0) -
                                 std::lgamma(degrees / 2));
  };
  double sum = density(low) + density(low + 40);
  for (int i = 1; i < kSteps; ++i) sum += (i % 2 == 1 ? 4 : 2) * density(low + i * step);
  return sum * step / 3;
}

double entropy_rate(const Process& process) {
  const std::size_t n = process.p.size(), offsets = process.q[0].size();
  std::size_t pasts = 1;
  for (std::size_t d = 0; d < offsets; ++d) pasts *= n;
  // A past is Σ token(d) n^d; the next one is (past·n + next) mod pasts.
  Table next = zeros(pasts, n);
  for (std::size_t past = 0; past < pasts; ++past)
    for (std::size_t d = 0, rest = past; d < offsets; ++d, rest /= n)
      for (std::size_t o = 0; o < n; ++o) next[past][o] += process.q[past % n][d] * process.p[o][rest % n];
  std::vector<double> law(pasts, 1 / static_cast<double>(pasts));
  for (int i = 0; i < 2000; ++i) {
    std::vector<double> after(pasts);
    for (std::size_t past = 0; past < pasts; ++past)
      for (std::size_t o = 0; o < n; ++o) after[(past * n + o) % pasts] += law[past] * next[past][o];
    law = after;
  }
  double rate = 0;
  for (std::size_t past = 0; past < pasts; ++past)
    for (std::size_t o = 0; o < n; ++o)
      if (next[past][o] > 0) rate -= law[past] * next[past][o] * std::log(next[past][o]);
  return rate;
}

Fit fit_mixture(const Text& text, int tokens, int max_offset, int sparsity, double smooth, int iterations) {
  Mixture mixture(text, tokens, max_offset, smooth);
  for (std::size_t keep = at(max_offset) + 1; keep > at(sparsity);) {
    for (int i = 0; i < 8; ++i) mixture.step();
    keep = std::max(at(sparsity), (keep + 1) / 2);
    mixture.keep(keep);
  }
  Fit result;
  do {
    result.objective.clear();
    for (int i = 0; i < iterations; ++i) result.objective.push_back(mixture.step());
  } while (mixture.leave_out());
  result.process = mixture.fit;
  return result;
}

Process fit_probe(const Text& text, int tokens, int max_offset, std::size_t count, int rounds) {
  std::vector<Window> windows = windows_of(text, max_offset);
  windows.resize(count);
  const std::size_t n = at(tokens), offsets = at(max_offset) + 1;
  Process fit{zeros(n, n), zeros(n, offsets)};
  for (auto& row : fit.q) row[0] = 1;
  for (int round = 0; round < rounds; ++round) {
    // V (mean of h hᵀ) = mean of e_o hᵀ, row by row.
    Table hh = zeros(n, n), oh = zeros(n, n);
    for (const Window& w : windows) {
      std::vector<double> h(n);
      for (std::size_t d = 0; d < offsets; ++d) h[w.tokens[d]] += fit.q[w.last][d];
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) hh[i][j] += h[i] * h[j];
      for (std::size_t j = 0; j < n; ++j) oh[w.next][j] += h[j];
    }
    for (std::size_t o = 0; o < n; ++o) fit.p[o] = solve(hh, oh[o]);
    // Of each last token: minimise with a multiplier for 1ᵀa = 1.
    for (std::size_t k = 0; k < n; ++k) {
      Table m = zeros(offsets + 1, offsets + 1);
      std::vector<double> b(offsets + 1);
      for (const Window& w : windows) {
        if (w.last != k) continue;
        for (std::size_t s = 0; s < offsets; ++s) {
          b[s] += fit.p[w.next][w.tokens[s]];
          for (std::size_t t = 0; t < offsets; ++t)
            for (std::size_t o = 0; o < n; ++o) m[s][t] += fit.p[o][w.tokens[s]] * fit.p[o][w.tokens[t]];
        }
      }
      for (std::size_t s = 0; s < offsets; ++s) m[s][offsets] = m[offsets][s] = 1;
      b[offsets] = 1;
      const std::vector<double> a = solve(m, b);
      fit.q[k].assign(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(offsets));
    }
  }
  return fit;
}

}  // namespace telos::reference::corpus
