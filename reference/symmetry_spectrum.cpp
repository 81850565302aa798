#include "reference/symmetry_spectrum.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numbers>
#include <numeric>
#include <utility>

namespace telos::reference::symmetry {
namespace {

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

double largest_off_diagonal(const Table& a) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) largest = std::max(largest, std::abs(a[i][j]));
  return largest;
}

// Makes a[p][q] zero; columns of the rotations are gathered in the rows of v.
void rotate(Table& a, Table& v, std::size_t p, std::size_t q) {
  if (a[p][q] == 0) return;
  const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
  const double c = 1 / std::sqrt(t * t + 1), s = t * c;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double kp = a[k][p], kq = a[k][q];
    a[k][p] = c * kp - s * kq;
    a[k][q] = s * kp + c * kq;
  }
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double pk = a[p][k], qk = a[q][k];
    a[p][k] = c * pk - s * qk;
    a[q][k] = s * pk + c * qk;
    const double vp = v[p][k], vq = v[q][k];
    v[p][k] = c * vp - s * vq;
    v[q][k] = s * vp + c * vq;
  }
}

Table covariance(const Sequence& x, const Sequence& y, double se2, double sp2) {
  Table k(x.size(), std::vector<double>(y.size()));
  for (std::size_t a = 0; a < x.size(); ++a)
    for (std::size_t b = 0; b < y.size(); ++b) k[a][b] = (x[a] == y[b] ? se2 : 0) + (a == b ? sp2 : 0);
  return k;
}

// The stream of a pair, and of each of the two with itself.
struct Pair {
  Table xx, xy, yy;
};

Table normalised(const Table& k, const Table& left, const Table& right) {
  Table out = k;
  for (std::size_t a = 0; a < k.size(); ++a)
    for (std::size_t b = 0; b < k[a].size(); ++b) out[a][b] = k[a][b] / std::sqrt(left[a][a] * right[b][b]);
  return out;
}

Pair normalised(const Pair& p) {
  return {normalised(p.xx, p.xx, p.xx), normalised(p.xy, p.xx, p.yy), normalised(p.yy, p.yy, p.yy)};
}

Table softmax(const Table& logits) {
  Table out = logits;
  for (auto& row : out) {
    double sum = 0;
    for (double& x : row) sum += x = std::exp(x);
    for (double& x : row) x /= sum;
  }
  return out;
}

Table attended(const Table& left, const Table& k, const Table& right) {
  Table out(left.size(), std::vector<double>(right.size()));
  for (std::size_t a = 0; a < left.size(); ++a)
    for (std::size_t b = 0; b < right.size(); ++b)
      for (std::size_t c = 0; c < k.size(); ++c)
        for (std::size_t d = 0; d < k[c].size(); ++d) out[a][b] += left[a][c] * k[c][d] * right[b][d];
  return out;
}

double relu(double a, double b, double c) {
  const double s = std::sqrt(std::max(0., (std::sqrt(a * b) - c) * (std::sqrt(a * b) + c)));
  const double angle = std::atan2(s, c);
  return (s + (std::numbers::pi - angle) * c) / (2 * std::numbers::pi);
}

Table layer(const Table& k) {
  Table out = k;
  // Inputs are normalised: each has variance 2 + 0.1 before the relu.
  for (auto& row : out)
    for (double& x : row) x = relu(2.1, 2.1, 2 * x + 0.1);
  return out;
}

void add(Table& sum, const Table& term) {
  for (std::size_t a = 0; a < sum.size(); ++a)
    for (std::size_t b = 0; b < sum[a].size(); ++b) sum[a][b] += term[a][b];
}

double kappa_of(const std::vector<Degenerate>& modes, double ridge, double samples) {
  double low = ridge, high = ridge;
  for (const Degenerate& m : modes) high += m.multiplicity * m.eigenvalue;
  for (int i = 0; i < 300; ++i) {
    const double middle = (low + high) / 2;
    double right = ridge;
    for (const Degenerate& m : modes)
      right += m.multiplicity * m.eigenvalue * middle / (middle + samples * m.eigenvalue);
    (right > middle ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

std::vector<Sequence> all_sequences(int length, int letters) {
  std::vector<Sequence> all;
  Sequence x(index(length), 0);
  for (;;) {
    all.push_back(x);
    int at = 0;
    while (at < length && ++x[index(at)] == letters) x[index(at++)] = 0;
    if (at == length) return all;
  }
}

double uniform_law(const Sequence& x, int letters) {
  return std::pow(letters, -static_cast<double>(x.size()));
}

double urn_law(const Sequence& x, int letters, double alpha) {
  std::map<int, int> counts;
  double p = 1;
  int drawn = 0;
  for (const int token : x) p *= (counts[token]++ + alpha) / (drawn++ + letters * alpha);
  return p;
}

Eigen jacobi(Table a) {
  const std::size_t n = a.size();
  Table v(n, std::vector<double>(n));
  for (std::size_t i = 0; i < n; ++i) v[i][i] = 1;
  for (int sweep = 0; sweep < 60 && largest_off_diagonal(a) > 1e-18; ++sweep)
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t q = p + 1; q < n; ++q) rotate(a, v, p, q);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return a[i][i] > a[j][j]; });
  Eigen eigen;
  for (const std::size_t i : order) {
    eigen.values.push_back(a[i][i]);
    eigen.vectors.push_back(v[i]);
  }
  return eigen;
}

std::vector<LabelledEigenvalue> spectrum(const Kernel& kernel, const Law& law, int length, int letters,
                                         int queries) {
  const std::vector<Sequence> all = all_sequences(length + queries, letters);
  std::map<Sequence, std::size_t> number;
  for (std::size_t i = 0; i < all.size(); ++i) number[all[i]] = i;
  Table a(all.size(), std::vector<double>(all.size()));
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j)
      a[i][j] = std::sqrt(law(all[i]) * law(all[j])) * kernel(all[i], all[j]);
  const Eigen eigen = jacobi(a);
  std::vector<LabelledEigenvalue> found;
  for (std::size_t e = 0; e < all.size(); ++e) {
    const std::vector<double>& v = eigen.vectors[e];
    LabelledEigenvalue one{eigen.values[e], 0, 0};
    for (std::size_t i = 0; i < all.size(); ++i)
      for (int p = 0; p < length; ++p)
        for (int q = p + 1; q < length; ++q) {
          Sequence x = all[i];
          std::swap(x[index(p)], x[index(q)]);
          one.transpositions += v[i] * v[number[x]];
          for (int r = q + 1; r < length; ++r) {
            Sequence y = x, z = x;
            std::swap(y[index(q)], y[index(r)]);
            std::swap(z[index(p)], z[index(r)]);
            one.three_cycles += v[i] * (v[number[y]] + v[number[z]]);
          }
        }
    found.push_back(one);
  }
  return found;
}

double simplified_kernel(const Sequence& x, const Sequence& y, int length, double se2, double sp2, int norm) {
  double sum = 0;
  for (int b = 0; b < length; ++b)
    for (int d = 0; d < length; ++d) {
      const double k = (x[index(b)] == y[index(d)] ? se2 : 0) + (b == d ? sp2 : 0);
      sum += k * k;
    }
  if (static_cast<int>(x.size()) > length) sum *= (x.back() == y.back() ? se2 : 0) + sp2;
  return sum / std::pow(length, norm);
}

double relu_block(const Sequence& x, const Sequence& y, double se2, double sp2) {
  Pair s{covariance(x, x, se2, sp2), covariance(x, y, se2, sp2), covariance(y, y, se2, sp2)};
  const Pair before = normalised(s);
  const Table at_x = softmax(before.xx), at_y = softmax(before.yy);
  add(s.xx, attended(at_x, before.xx, at_x));
  add(s.xy, attended(at_x, before.xy, at_y));
  add(s.yy, attended(at_y, before.yy, at_y));
  const Pair between = normalised(s);
  add(s.xx, layer(between.xx));
  add(s.xy, layer(between.xy));
  add(s.yy, layer(between.yy));
  const Table out = normalised(s).xy;
  double sum = 0;
  for (const auto& row : out) sum += std::accumulate(row.begin(), row.end(), 0.);
  return sum / static_cast<double>(x.size() * y.size());
}

Curve learning_curve(const std::vector<Degenerate>& modes, double ridge, double noise, double samples) {
  Curve c{kappa_of(modes, ridge, samples), 0, 0, 0, {}};
  double left = 0;
  for (const Degenerate& m : modes) {
    const double rest = c.kappa + samples * m.eigenvalue;
    c.gamma += m.multiplicity * samples * m.eigenvalue * m.eigenvalue / (rest * rest);
    left += m.energy * c.kappa * c.kappa / (rest * rest);
    c.learnability.push_back(samples * m.eigenvalue / rest);
  }
  c.generalisation = (left + noise * c.gamma) / (1 - c.gamma);
  c.training = ridge * ridge / (c.kappa * c.kappa) * (c.generalisation + noise);
  return c;
}

double samples_to_learn(const std::vector<Degenerate>& modes, int mode, double ridge, double theta) {
  double low = 0, high = 1;
  const auto learned = [&](double samples) {
    return learning_curve(modes, ridge, 0, samples).learnability[index(mode)] >= theta;
  };
  while (!learned(high)) high *= 2;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (learned(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace telos::reference::symmetry
