#include "reference/hardmax.h"

#include <algorithm>
#include <cmath>

namespace telos::reference::hardmax {
namespace {

template <class Real>
Real dot(const std::vector<Real>& x, const std::vector<Real>& y) {
  Real sum = 0;
  for (std::size_t c = 0; c < x.size(); ++c) sum += x[c] * y[c];
  return sum;
}

template <class Real>
std::vector<Real> times(const Rows<double>& m, const std::vector<Real>& x) {
  if (m.empty()) return x;
  std::vector<Real> y(x.size());
  for (std::size_t r = 0; r < x.size(); ++r)
    for (std::size_t c = 0; c < x.size(); ++c) y[r] += Real(m[r][c]) * x[c];
  return y;
}

template <class Real>
double norm(const Rows<double>& a, const std::vector<Real>& z) {
  const double square = static_cast<double>(dot(times(a, z), z));
  return square > 0 ? std::sqrt(square) : 0;
}

// m_i, by copies: tokens that are equal at the start are two tokens.
template <class Real>
std::vector<Real> mean(const Rows<Real>& z, const Set& set) {
  std::vector<Real> m(z[0].size());
  for (const std::size_t j : set)
    for (std::size_t c = 0; c < m.size(); ++c) m[c] += z[j][c];
  for (Real& x : m) x /= static_cast<Real>(set.size());
  return m;
}

}  // namespace

template <class Real>
std::vector<Set> argmax_sets(const Rows<Real>& z, const System& system) {
  double largest = 0;
  for (const std::vector<Real>& x : z) largest = std::max(largest, norm(system.a, x));
  std::vector<Set> sets(z.size());
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::vector<Real> query = times(system.a, z[i]);
    std::vector<Real> scores;
    for (const std::vector<Real>& other : z) scores.push_back(dot(query, other));
    const Real best = *std::max_element(scores.begin(), scores.end());
    const Real slack = static_cast<Real>(system.tie * norm(system.a, z[i]) * largest);
    for (std::size_t j = 0; j < z.size(); ++j)
      if (best - scores[j] <= slack) sets[i].push_back(j);
  }
  return sets;
}

template <class Real>
Run<Real> iterate(const Rows<double>& tokens, const System& system, std::size_t layers) {
  Run<Real> run;
  Rows<Real> z;
  for (const std::vector<double>& token : tokens) z.emplace_back(token.begin(), token.end());
  run.positions.push_back(z);
  run.emergence.assign(z.size(), kNever);
  std::vector<Set> copies(z.size());
  for (std::size_t i = 0; i < z.size(); ++i)
    for (std::size_t j = 0; j < z.size(); ++j)
      if (tokens[j] == tokens[i]) copies[i].push_back(j);
  const Real r = Real(1) / (Real(1) + Real(system.alpha)), s = Real(system.alpha) * r;
  for (std::size_t k = 0; k < layers; ++k) {
    std::vector<Set> sets = argmax_sets(z, system);
    for (std::size_t i = 0; i < z.size(); ++i) {
      if (run.emergence[i] != kNever) sets[i] = copies[i];
      if (run.emergence[i] == kNever && sets[i] == copies[i]) run.emergence[i] = k;
    }
    Rows<Real> next = z;
    for (std::size_t i = 0; i < z.size(); ++i) {
      if (run.emergence[i] != kNever) continue;
      const std::vector<Real> m = mean(z, sets[i]);
      std::vector<Real> way(m.size());
      for (std::size_t c = 0; c < m.size(); ++c) way[c] = m[c] - z[i][c];
      way = times(system.p, way);
      for (std::size_t c = 0; c < m.size(); ++c)
        next[i][c] = system.p.empty() ? r * z[i][c] + s * m[c] : z[i][c] + way[c];
    }
    z = std::move(next);
    run.targets.push_back(std::move(sets));
    run.positions.push_back(z);
  }
  return run;
}

template std::vector<Set> argmax_sets(const Rows<double>&, const System&);
template std::vector<Set> argmax_sets(const Rows<Quad>&, const System&);
template Run<double> iterate<double>(const Rows<double>&, const System&, std::size_t);
template Run<Quad> iterate<Quad>(const Rows<double>&, const System&, std::size_t);

}  // namespace telos::reference::hardmax
