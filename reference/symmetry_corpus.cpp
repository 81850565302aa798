#include "reference/symmetry_corpus.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <sstream>

namespace telos::reference::symmetry {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

/// The five parts of a function on ordered pairs of positions.
std::array<PairFunction, 5> parts_of(const PairFunction& w) {
  const std::size_t n = w.size();
  const double l = static_cast<double>(n);
  PairFunction zero(n, std::vector<double>(n, 0));
  PairFunction s = zero, a = zero;
  for (std::size_t b = 0; b < n; ++b)
    for (std::size_t c = 0; c < n; ++c) {
      if (b == c) continue;
      s[b][c] = (w[b][c] + w[c][b]) / 2;
      a[b][c] = (w[b][c] - w[c][b]) / 2;
    }
  double mean = 0;
  std::vector<double> u(n), t(n);
  for (std::size_t b = 0; b < n; ++b)
    for (std::size_t c = 0; c < n; ++c) {
      mean += s[b][c] / (l * (l - 1));
      u[b] += s[b][c];
      t[b] += a[b][c] / l;
    }
  for (double& x : u) x = (x - (l - 1) * mean) / (l - 2);
  std::array<PairFunction, 5> parts = {zero, zero, zero, zero, zero};
  for (std::size_t b = 0; b < n; ++b)
    for (std::size_t c = 0; c < n; ++c) {
      if (b == c) continue;
      parts[0][b][c] = mean;
      parts[1][b][c] = u[b] + u[c];
      parts[2][b][c] = s[b][c] - mean - u[b] - u[c];
      parts[3][b][c] = t[b] - t[c];
      parts[4][b][c] = a[b][c] - (t[b] - t[c]);
    }
  return parts;
}

double inner(const PairFunction& x, const PairFunction& y) {
  double sum = 0;
  for (std::size_t b = 0; b < x.size(); ++b)
    for (std::size_t c = 0; c < x.size(); ++c) sum += x[b][c] * y[b][c];
  return sum;
}

PairFunction pair_function(const Covariance& c, int v, int w) {
  PairFunction f(at(c.length), std::vector<double>(at(c.length), 0));
  for (int b = 0; b < c.length; ++b)
    for (int d = 0; d < c.length; ++d)
      if (b != d) f[at(b)][at(d)] = c.at(b, d, v, w);
  return f;
}

/// compute(−1) is of all blocks, compute(g) without block g; entry i.
template <std::size_t N, class Compute>
std::array<Estimate, N> leave_out_blocks(int blocks, const Compute& compute) {
  const std::array<double, N> value = compute(-1);
  std::vector<std::array<double, N>> without;
  for (int g = 0; g < blocks; ++g) without.push_back(compute(g));
  std::array<Estimate, N> estimates;
  for (std::size_t i = 0; i < N; ++i) {
    double mean = 0, sum = 0;
    for (const auto& x : without) mean += x[i] / blocks;
    for (const auto& x : without) sum += (x[i] - mean) * (x[i] - mean);
    estimates[i] = {value[i], std::sqrt((blocks - 1.0) / blocks * sum)};
  }
  return estimates;
}

double square_sum(const Covariance& c, const std::function<double(int, int)>& entry) {
  double sum = 0;
  for (int v = 0; v < c.letters; ++v)
    for (int w = 0; w < c.letters; ++w) sum += entry(v, w) * entry(v, w);
  return sum;
}

}  // namespace

Text read_pieces(const std::string& text) {
  std::vector<std::string> pieces;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    for (std::string word; words >> word;) pieces.push_back(word);
    pieces.emplace_back("<eos>");
  }
  std::map<std::string, std::size_t> count;
  std::vector<std::string> types;
  for (const std::string& piece : pieces)
    if (++count[piece] == 1) types.push_back(piece);
  std::stable_sort(types.begin(), types.end(),
                   [&](const std::string& a, const std::string& b) { return count[a] > count[b]; });
  std::map<std::string, int> id;
  for (std::size_t i = 0; i < types.size(); ++i) id[types[i]] = static_cast<int>(i);
  Text ids;
  for (const std::string& piece : pieces) ids.push_back(id[piece]);
  return ids;
}

Covariance covariance(const Text& text, int letters, int length, const std::vector<bool>& used) {
  Covariance both(letters, length);
  std::vector<std::vector<double>> one(at(length), std::vector<double>(at(letters), 0));
  double windows = 0;
  for (std::size_t n = 0; n < used.size(); ++n) {
    if (!used[n]) continue;
    ++windows;
    const int* x = text.data() + n * at(length);
    for (int b = 0; b < length; ++b) {
      if (x[b] >= letters) continue;
      one[at(b)][at(x[b])] += 1;
      for (int c = 0; c < length; ++c)
        if (x[c] < letters) both.at(b, c, x[b], x[c]) += 1;
    }
  }
  for (int b = 0; b < length; ++b)
    for (int c = 0; c < length; ++c)
      for (int v = 0; v < letters; ++v)
        for (int w = 0; w < letters; ++w) {
          double& x = both.at(b, c, v, w);
          x = x / windows - one[at(b)][at(v)] / windows * (one[at(c)][at(w)] / windows);
        }
  return both;
}

double Summary::total_share(int length) const {
  return (length * diagonal_mean + length * (length - 1.0) * other_mean) / all;
}

double Summary::other_share(int length) const {
  return length * (length - 1.0) * other_mean / other;
}

Summary summarise(const Covariance& c) {
  Summary s;
  for (int b = 0; b < c.length; ++b)
    for (int v = 0; v < c.letters; ++v) s.trace += c.at(b, b, v, v);
  for (int b = 0; b < c.length; ++b)
    for (int d = 0; d < c.length; ++d) {
      const double square = square_sum(c, [&](int v, int w) { return c.at(b, d, v, w); });
      s.all += square;
      if (b != d) s.other += square;
    }
  s.diagonal_mean = square_sum(c, [&](int v, int w) {
    double sum = 0;
    for (int b = 0; b < c.length; ++b) sum += c.at(b, b, v, w);
    return sum / c.length;
  });
  s.other_mean = square_sum(c, [&](int v, int w) {
    double sum = 0;
    for (int b = 0; b < c.length; ++b)
      for (int d = 0; d < c.length; ++d)
        if (b != d) sum += c.at(b, d, v, w);
    return sum / (c.length * (c.length - 1.0));
  });
  return s;
}

Energies energies(const PairFunction& a, const PairFunction& b) {
  const auto parts_a = parts_of(a), parts_b = parts_of(b);
  Energies e{};
  for (std::size_t r = 0; r < 5; ++r) e[r] = inner(parts_a[r], parts_b[r]);
  return e;
}

Energies energies(const Covariance& a, const Covariance& b) {
  Energies sum{};
  for (int v = 0; v < a.letters; ++v)
    for (int w = 0; w < a.letters; ++w) {
      const Energies e = energies(pair_function(a, v, w), pair_function(b, v, w));
      for (std::size_t r = 0; r < 5; ++r) sum[r] += e[r];
    }
  return sum;
}

std::array<double, 4> energies_by_characters(const PairFunction& w) {
  // Rows: (4), (3,1), (2,2), (2,1,1); columns: fixed points of g, where two permutations have none: (2,2),
  // then (4).
  const auto character = [](std::size_t row, const std::array<int, 4>& g) {
    int fixed = 0, involution = 1;
    for (int b = 0; b < 4; ++b) {
      fixed += g[at(b)] == b;
      involution = involution && g[at(g[at(b)])] == b;
    }
    const int kind = fixed == 4 ? 0 : fixed == 2 ? 1 : fixed == 1 ? 2 : involution ? 3 : 4;
    constexpr int kTable[4][5] = {{1, 1, 1, 1, 1}, {3, 1, 0, -1, -1}, {2, 0, -1, 2, 0}, {3, -1, 0, -1, 1}};
    return kTable[row][kind];
  };
  constexpr std::array<int, 4> kDimension = {1, 3, 2, 3};
  std::array<double, 4> e{};
  for (std::size_t row = 0; row < 4; ++row) {
    PairFunction part(4, std::vector<double>(4, 0));
    std::array<int, 4> g = {0, 1, 2, 3};
    do {
      for (std::size_t b = 0; b < 4; ++b)
        for (std::size_t c = 0; c < 4; ++c)
          if (b != c) part[b][c] += kDimension[row] / 24.0 * character(row, g) * w[at(g[b])][at(g[c])];
    } while (std::next_permutation(g.begin(), g.end()));
    e[row] = inner(part, part);
  }
  return e;
}

std::vector<int> blocks_of(std::size_t windows, int blocks) {
  std::vector<int> block(windows);
  for (std::size_t n = 0; n < windows; ++n) block[n] = static_cast<int>(at(blocks) * n / windows);
  return block;
}

Result measure(const Text& text, int letters, int length, int blocks) {
  const std::vector<int> block = blocks_of(text.size() / at(length), blocks);
  // total, five fractions, two shares; without block g, or of all for g = −1
  const auto compute = [&](int g) {
    std::array<std::vector<bool>, 3> used;  // even, odd, all
    for (const int n : block) {
      used[0].push_back(n != g && n % 2 == 0);
      used[1].push_back(n != g && n % 2 == 1);
      used[2].push_back(n != g);
    }
    const Energies e =
        energies(covariance(text, letters, length, used[0]), covariance(text, letters, length, used[1]));
    const Summary s = summarise(covariance(text, letters, length, used[2]));
    const double total = std::accumulate(e.begin(), e.end(), 0.0);
    std::array<double, 8> out = {total, 0, 0, 0, 0, 0, s.total_share(length), s.other_share(length)};
    for (std::size_t r = 0; r < 5; ++r) out[1 + r] = e[r] / total;
    return out;
  };
  const std::array<Estimate, 8> e = leave_out_blocks<8>(blocks, compute);
  Result r;
  r.total = e[0];
  for (std::size_t i = 0; i < 5; ++i) r.fractions[i] = e[1 + i];
  r.total_share = e[6];
  r.other_share = e[7];
  return r;
}

Covariance stationary(const Text& text, int letters, int length, const std::vector<bool>& used) {
  std::vector<double> one(at(letters), 0), pairs(at(length), 0);
  Covariance c(letters, length);  // counts at (0, τ) first
  double tokens = 0;
  for (std::size_t g = 0; g < used.size(); ++g) {
    if (!used[g]) continue;
    const std::size_t begin = g * text.size() / used.size(), end = (g + 1) * text.size() / used.size();
    for (std::size_t i = begin; i < end; ++i) {
      tokens += 1;
      if (text[i] < letters) one[at(text[i])] += 1;
      for (int lag = 1; lag < length && i + at(lag) < end; ++lag) {
        pairs[at(lag)] += 1;
        if (text[i] < letters && text[i + at(lag)] < letters) c.at(0, lag, text[i], text[i + at(lag)]) += 1;
      }
    }
  }
  for (int lag = 1; lag < length; ++lag)
    for (int v = 0; v < letters; ++v)
      for (int w = 0; w < letters; ++w) {
        const double entry =
            c.at(0, lag, v, w) / pairs[at(lag)] - one[at(v)] / tokens * (one[at(w)] / tokens);
        for (int b = 0; b + lag < length; ++b) c.at(b, b + lag, v, w) = c.at(b + lag, b, w, v) = entry;
      }
  return c;
}

StationaryResult measure_stationary(const Text& text, int letters, int length, int blocks) {
  const auto compute = [&](int left_out) {
    std::vector<bool> even(at(blocks)), odd(at(blocks));
    for (int g = 0; g < blocks; ++g) (g % 2 == 0 ? even : odd)[at(g)] = g != left_out;
    const Energies e =
        energies(stationary(text, letters, length, even), stationary(text, letters, length, odd));
    const double total = std::accumulate(e.begin(), e.end(), 0.0);
    return std::array<double, 6>{total, e[0] / total, e[1] / total, e[2] / total, e[3] / total, e[4] / total};
  };
  const std::array<Estimate, 6> e = leave_out_blocks<6>(blocks, compute);
  return {e[0], {e[1], e[2], e[3], e[4], e[5]}};
}

Covariance markov(const Text& text, int letters, int length) {
  const std::size_t states = at(letters) + 1;  // the last one is all other tokens
  const auto state = [&](std::size_t i) { return at(std::min(text[i % text.size()], letters)); };
  PairFunction p(states, std::vector<double>(states, 0)), power = p;
  std::vector<double> law(states, 0);
  for (std::size_t i = 0; i < text.size(); ++i) {
    law[state(i)] += 1;
    p[state(i)][state(i + 1)] += 1;
  }
  for (std::size_t a = 0; a < states; ++a) {
    for (double& x : p[a]) x = law[a] > 0 ? x / law[a] : 0;
    power[a][a] = 1;
  }
  for (double& x : law) x /= static_cast<double>(text.size());
  Covariance c(letters, length);
  for (int lag = 0; lag < length; ++lag) {
    for (int b = 0; b + lag < length; ++b)
      for (int v = 0; v < letters; ++v)
        for (int w = 0; w < letters; ++w)
          c.at(b, b + lag, v, w) = c.at(b + lag, b, w, v) = law[at(v)] * (power[at(v)][at(w)] - law[at(w)]);
    PairFunction next(states, std::vector<double>(states, 0));
    for (std::size_t i = 0; i < states; ++i)
      for (std::size_t j = 0; j < states; ++j)
        for (std::size_t k = 0; k < states; ++k) next[i][j] += power[i][k] * p[k][j];
    power = next;
  }
  return c;
}

}  // namespace telos::reference::symmetry
