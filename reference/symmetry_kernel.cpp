#include "reference/symmetry_kernel.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>

namespace telos::reference::kernel {
namespace {

const double kPi = std::acos(-1.0);

Block zeros(std::size_t rows, std::size_t cols) {
  return Block(rows, std::vector<double>(cols, 0));
}

double distance(std::size_t a, std::size_t b) {
  return std::abs(static_cast<double>(a) - static_cast<double>(b));
}

/// Mean of cos(ω_f t) over ω_f = base^(−2f/d), f = 0 … d/2 − 1.
double mean_cosine(double base, int dimension, double t) {
  double sum = 0;
  for (int f = 0; f < dimension / 2; ++f) sum += std::cos(std::pow(base, -2.0 * f / dimension) * t);
  return sum / (dimension / 2);
}

double position_covariance(const std::string& kind, int dimension, std::size_t a, std::size_t b) {
  if (kind == "iid") return a == b;
  if (kind == "sin") return mean_cosine(10000, dimension, distance(a, b));
  if (kind == "decay") return 1 / (1 + distance(a, b) * distance(a, b));
  return 0;
}

/// The blocks of one pair: K of (X, X), (X, Y), (Y, Y), and Θ of all three.
struct State {
  Block k[3], theta[3];
  std::vector<bool> real_x, real_y;  ///< no padding

  const std::vector<bool>& left(int i) const { return i == 2 ? real_y : real_x; }
  const std::vector<bool>& right(int i) const { return i == 0 ? real_x : real_y; }
};

State embed(const Network& n, const Sequence& x, const Sequence& y) {
  State s;
  const Sequence* left[] = {&x, &x, &y};
  const Sequence* right[] = {&x, &y, &y};
  for (const unsigned t : x) s.real_x.push_back(t != n.padding);
  for (const unsigned t : y) s.real_y.push_back(t != n.padding);
  for (int i = 0; i < 3; ++i) {
    s.k[i] = s.theta[i] = zeros(left[i]->size(), right[i]->size());
    for (std::size_t a = 0; a < left[i]->size(); ++a)
      for (std::size_t b = 0; b < right[i]->size(); ++b) {
        const double token = n.se2 * ((*left[i])[a] == (*right[i])[b]);
        const double position = n.sp2 * position_covariance(n.positions, n.dimension, a, b);
        s.k[i][a][b] = token + position;
        if (n.trained) s.theta[i][a][b] = token + (n.positions == "sin" ? 0 : position);
      }
  }
  return s;
}

/// Variances of the rows and of the columns of block i.
const Block& left_of(const State& s, int i) {
  return s.k[i == 2 ? 2 : 0];
}
const Block& right_of(const State& s, int i) {
  return s.k[i == 0 ? 0 : 2];
}

State normalise(const State& s, double epsilon) {
  State out = s;
  for (int i = 0; i < 3; ++i)
    for (std::size_t a = 0; a < s.k[i].size(); ++a)
      for (std::size_t b = 0; b < s.k[i][a].size(); ++b) {
        const double scale = std::sqrt((left_of(s, i)[a][a] + epsilon) * (right_of(s, i)[b][b] + epsilon));
        out.k[i][a][b] /= scale;
        out.theta[i][a][b] /= scale;
      }
  return out;
}

State sum(const State& p, const State& q) {
  State out = p;
  for (int i = 0; i < 3; ++i)
    for (std::size_t a = 0; a < p.k[i].size(); ++a)
      for (std::size_t b = 0; b < p.k[i][a].size(); ++b) {
        out.k[i][a][b] += q.k[i][a][b];
        out.theta[i][a][b] += q.theta[i][a][b];
      }
  return out;
}

State dense(const State& s, double w2, double b2) {
  State out = s;
  for (int i = 0; i < 3; ++i)
    for (std::size_t a = 0; a < s.k[i].size(); ++a)
      for (std::size_t b = 0; b < s.k[i][a].size(); ++b) {
        out.k[i][a][b] = w2 * s.k[i][a][b] + b2;
        out.theta[i][a][b] = out.k[i][a][b] + w2 * s.theta[i][a][b];
      }
  return out;
}

State activate(const State& s, const Mlp& m) {
  State out = s;
  for (int i = 0; i < 3; ++i)
    for (std::size_t a = 0; a < s.k[i].size(); ++a)
      for (std::size_t b = 0; b < s.k[i][a].size(); ++b) {
        const Value t = transform(m.phi, m.slope, left_of(s, i)[a][a], right_of(s, i)[b][b], s.k[i][a][b]);
        out.k[i][a][b] = t.nngp;
        out.theta[i][a][b] = t.ntk * s.theta[i][a][b];
      }
  return out;
}

// ---- Attention

bool seen(const Attention& m, const std::vector<bool>& real, std::size_t a, std::size_t b) {
  return real[b] && (!m.causal || b <= a);
}

double rope(const Attention& m, double t) {
  return m.rope_base > 0 ? mean_cosine(m.rope_base, m.rope_dimension, t) : 1;
}

Block with_positions(const Attention& m, const Block& k, int dimension, bool trained) {
  Block out = k;
  for (std::size_t a = 0; a < k.size(); ++a)
    for (std::size_t b = 0; b < k[a].size(); ++b)
      if (trained) out[a][b] += m.sp2 * position_covariance(m.positions, dimension, a, b);
  return out;
}

/// The attention matrix at scale 1/d with W_Q = W_K; `k` is K̃(X, X).
Block attention_matrix(const Attention& m, const Block& k, const std::vector<bool>& real) {
  Block zeta = zeros(k.size(), k.size());
  for (std::size_t a = 0; a < k.size(); ++a) {
    double highest = -INFINITY, total = 0;
    for (std::size_t b = 0; b < k.size(); ++b) {
      if (!seen(m, real, a, b)) continue;
      const double t = static_cast<double>(b) - static_cast<double>(a);
      zeta[a][b] = m.qk * k[a][b] * rope(m, t) - m.alibi * distance(a, b);
      highest = std::max(highest, zeta[a][b]);
    }
    for (std::size_t b = 0; b < k.size(); ++b) {
      if (!seen(m, real, a, b)) continue;
      double& z = zeta[a][b];
      if (m.map == "softmax") total += z = std::exp(z - highest);
      if (m.map == "relu") z = std::max(z, 0.0);
      if (m.map == "abs") z = std::abs(z);
      if (m.map == "erf") z = std::erf(z);
    }
    if (m.map == "softmax" && real[a])
      for (double& z : zeta[a]) z /= total;
  }
  return zeta;
}

std::vector<std::size_t> seen_by(const Attention& m, const std::vector<bool>& real, std::size_t a) {
  std::vector<std::size_t> out;
  for (std::size_t b = 0; b < real.size(); ++b)
    if (seen(m, real, a, b)) out.push_back(b);
  return out;
}

double averaged(const Attention& m, std::size_t seen_x, std::size_t seen_y) {
  return std::pow(static_cast<double>(seen_x * seen_y), -m.average / 2.0);
}

/// Moments of p = 1/(1 + e^−u) and q of Gaussian u, v of means m, n, variances a, b, covariance c.
struct Logistic {
  double pq = 0, p = 0, q = 0, slopes = 0;  ///< E pq, E p, E q, E p(1 − p)q(1 − q)
};
Logistic logistic_moments(double m, double n, double a, double b, double c) {
  const double step = 1.0 / 16, limit = 9;
  const double slope = a > 0 ? c / std::sqrt(a) : 0, rest = std::sqrt(std::max(b - slope * slope, 0.0));
  Logistic total;
  for (double u = -limit; u <= limit; u += step)
    for (double v = -limit; v <= limit; v += step) {
      const double weight = step * step * std::exp(-(u * u + v * v) / 2) / (2 * kPi);
      const double p = 1 / (1 + std::exp(-m - std::sqrt(a) * u)),
                   q = 1 / (1 + std::exp(-n - slope * u - rest * v));
      total.pq += weight * p * q;
      total.p += weight * p;
      total.q += weight * q;
      total.slopes += weight * p * (1 - p) * q * (1 - q);
    }
  return total;
}

/// Sums over b, d of E ζ_ab ζ_cd V_bd, and of what the NTK has beside twice of it, at most two positions
/// seen.
Value soft_sums(const Attention& m, const State& tilde, const State& value, int i, std::size_t a,
                std::size_t c) {
  const Block &k = tilde.k[i], &theta = tilde.theta[i], &kv = value.k[i], &thetav = value.theta[i];
  const std::vector<std::size_t> b = seen_by(m, tilde.left(i), a), d = seen_by(m, tilde.right(i), c);
  if (b.size() > 2 || d.size() > 2) throw std::invalid_argument("softmax at 1/sqrt(d) of three positions");
  const Block &left = left_of(tilde, i), &right = right_of(tilde, i);
  const double q2 = m.qk * m.qk;
  const std::size_t b0 = b[0], b1 = b.back(), d0 = d[0], d1 = d.back();
  const auto cross = [&](const Block& t) { return t[b0][d0] + t[b1][d1] - t[b0][d1] - t[b1][d0]; };
  Logistic e = logistic_moments(
      m.alibi * (distance(a, b1) - distance(a, b0)), m.alibi * (distance(c, d1) - distance(c, d0)),
      q2 * left[a][a] * (left[b0][b0] + left[b1][b1] - 2 * left[b0][b1]),
      q2 * right[c][c] * (right[d0][d0] + right[d1][d1] - 2 * right[d0][d1]), q2 * k[a][c] * cross(k));
  if (b.size() == 1) e = {e.q, 1, e.q, 0};
  if (d.size() == 1) e = {e.p, e.p, 1, 0};
  const auto mean = [&](const Block& v) {
    return e.pq * v[b0][d0] + (e.p - e.pq) * v[b0][d1] + (e.q - e.pq) * v[b1][d0] +
           (1 - e.p - e.q + e.pq) * v[b1][d1];
  };
  return {mean(kv), mean(thetav) + q2 * e.slopes * cross(kv) *
                                       ((2 * k[a][c] + theta[a][c]) * cross(k) + k[a][c] * cross(theta))};
}

State attend(const State& s, const Attention& m, int dimension, bool trained) {
  State out = s, tilde = s;
  for (int i = 0; i < 3; ++i) {
    tilde.k[i] = with_positions(m, s.k[i], dimension, true);
    tilde.theta[i] = with_positions(m, s.theta[i], dimension, trained && m.positions != "sin");
  }
  const State& value = m.value_positions ? tilde : s;
  const Block zeta_x = attention_matrix(m, tilde.k[0], s.real_x),
              zeta_y = attention_matrix(m, tilde.k[2], s.real_y);
  for (int i = 0; i < 3; ++i) {
    const Block &k = tilde.k[i], &theta = tilde.theta[i], &kv = value.k[i], &thetav = value.theta[i];
    const Block &zx = i == 2 ? zeta_y : zeta_x, &zy = i == 0 ? zeta_x : zeta_y;
    const std::size_t lx = k.size(), ly = k[0].size();
    for (std::size_t a = 0; a < lx; ++a)
      for (std::size_t c = 0; c < ly; ++c) {
        if (!s.left(i)[a] || !s.right(i)[c]) continue;
        double nngp = 0, ntk = 0;
        const std::vector<std::size_t> seen_a = seen_by(m, s.left(i), a), seen_c = seen_by(m, s.right(i), c);
        const bool random_softmax = m.root && m.map == "softmax";
        if (random_softmax) {
          const Value sums = soft_sums(m, tilde, value, i, a, c);
          nngp = sums.nngp, ntk = sums.ntk;
        }
        for (const std::size_t b : seen_a)
          for (const std::size_t d : seen_c) {
            if (random_softmax) continue;
            if (!m.root) {
              nngp += zx[a][b] * zy[c][d] * kv[b][d];
              ntk += zx[a][b] * zy[c][d] * thetav[b][d];
              continue;
            }
            const double q2 = m.qk * m.qk;
            const double turn = rope(m, static_cast<double>(b) - static_cast<double>(a) -
                                            (static_cast<double>(d) - static_cast<double>(c)));
            const Value t = transform(m.map == "linear" ? "identity" : m.map, 0,
                                      q2 * left_of(tilde, i)[a][a] * left_of(tilde, i)[b][b],
                                      q2 * right_of(tilde, i)[c][c] * right_of(tilde, i)[d][d],
                                      q2 * turn * k[a][c] * k[b][d]);
            nngp += t.nngp * kv[b][d];
            ntk += t.nngp * thetav[b][d] +
                   q2 * turn * kv[b][d] * t.ntk *
                       (2 * k[a][c] * k[b][d] + theta[a][c] * k[b][d] + k[a][c] * theta[b][d]);
          }
        const double scale = m.ov2 * averaged(m, seen_a.size(), seen_c.size());
        out.k[i][a][c] = scale * nngp + m.b2;
        out.theta[i][a][c] = scale * ntk + 2 * scale * nngp + m.b2;
      }
  }
  return out;
}

State layer(State s, const Layer& l, const Network& n) {
  const auto branch = [&](const auto& body) {
    const State inner = body(l.norm == "pre" ? normalise(s, n.epsilon) : s);
    s = l.residual ? sum(s, inner) : inner;
    if (l.norm == "post") s = normalise(s, n.epsilon);
  };
  for (const Attention& m : l.attention)
    branch([&](const State& in) { return attend(in, m, n.dimension, n.trained); });
  for (const Mlp& m : l.mlp)
    branch([&](const State& in) { return dense(activate(dense(in, m.w2, m.b2), m), m.out_w2, m.out_b2); });
  return s;
}

double read_out(const std::string& readout, const Block& k, const State& s) {
  std::vector<std::size_t> x, y;
  for (std::size_t a = 0; a < k.size(); ++a)
    if (s.real_x[a]) x.push_back(a);
  for (std::size_t b = 0; b < k[0].size(); ++b)
    if (s.real_y[b]) y.push_back(b);
  if (readout == "last") return k[x.back()][y.back()];
  if (readout == "cls") return k[x[0]][y[0]];
  double sum = 0;
  const auto lx = static_cast<double>(x.size()), ly = static_cast<double>(y.size());
  for (const std::size_t a : x)
    for (const std::size_t b : y)
      if (readout != "flatten" || a == b) sum += k[a][b];
  return sum / (readout == "flatten" ? std::sqrt(lx * ly) : lx * ly);
}

State forward(const Network& n, const Sequence& x, const Sequence& y) {
  State s = embed(n, x, y);
  for (const Layer& l : n.layers) s = layer(s, l, n);
  return s;
}

// ---- Nonlinearities

double phi_at(const std::string& phi, double slope, double x) {
  if (phi == "identity") return x;
  if (phi == "relu") return std::max(x, 0.0);
  if (phi == "leaky_relu") return x < 0 ? slope * x : x;
  if (phi == "abs") return std::abs(x);
  if (phi == "erf") return std::erf(x);
  if (phi == "gelu") return x * std::erfc(-x / std::sqrt(2.0)) / 2;
  if (phi == "cos") return std::cos(x);
  if (phi == "sin") return std::sin(x);
  if (phi == "exp") return std::exp(x);
  if (phi == "square") return x * x;
  if (phi == "tanh") return std::tanh(x);
  if (phi == "silu") return x / (1 + std::exp(-x));
  throw std::invalid_argument(phi);
}

double derivative_at(const std::string& phi, double slope, double x) {
  const double h = 1e-5;
  return (phi_at(phi, slope, x + h) - phi_at(phi, slope, x - h)) / (2 * h);
}

}  // namespace

Value transform(const std::string& phi, double slope, double a, double b, double c) {
  if (phi == "identity") return {c, 1};
  if (phi == "relu" || phi == "leaky_relu" || phi == "abs") {
    const double a1 = phi == "relu" ? 0 : phi == "abs" ? -1 : slope, a2 = 1;
    const double root = std::sqrt(a * b), s = std::sqrt(std::max((root - c) * (root + c), 0.0));
    const double angle = std::atan2(s, c), step = (a1 - a2) * (a1 - a2) / (2 * kPi);
    const double bracket = (a1 * a1 + a2 * a2) / 2 - step * angle;
    return {step * s + bracket * c, bracket};
  }
  if (phi == "erf") {
    const double product = (1 + 2 * a) * (1 + 2 * b);
    return {2 / kPi * std::asin(2 * c / std::sqrt(product)), 4 / kPi / std::sqrt(product - 4 * c * c)};
  }
  if (phi == "gelu") {
    const double product = (1 + a) * (1 + b), d2 = product - c * c, d = std::sqrt(d2);
    return {c / 4 + ((c * c + a * b * d2) / (product * d) + c * std::atan(c / d)) / (2 * kPi),
            0.25 + std::atan(c / d) / (2 * kPi) + c / (2 * kPi * d) * (1 / d2 + (1 - a * b) / product + 1)};
  }
  if (phi == "cos") return {std::exp(-(a + b) / 2) * std::cosh(c), std::exp(-(a + b) / 2) * std::sinh(c)};
  if (phi == "sin") return {std::exp(-(a + b) / 2) * std::sinh(c), std::exp(-(a + b) / 2) * std::cosh(c)};
  if (phi == "exp") return {std::exp((a + b) / 2 + c), std::exp((a + b) / 2 + c)};
  if (phi == "square") return {a * b + 2 * c * c, 4 * c};
  return integral(phi, slope, a, b, c);
}

Value integral(const std::string& phi, double slope, double a, double b, double c) {
  const double step = 1.0 / 16, limit = 9;
  const double rho = c / std::sqrt(a * b), rest = std::sqrt(std::max(1 - rho * rho, 0.0));
  Value total;
  for (double u = -limit; u <= limit; u += step)
    for (double v = -limit; v <= limit; v += step) {
      const double weight = step * step * std::exp(-(u * u + v * v) / 2) / (2 * kPi);
      const double left = std::sqrt(a) * u, right = std::sqrt(b) * (rho * u + rest * v);
      total.nngp += weight * phi_at(phi, slope, left) * phi_at(phi, slope, right);
      total.ntk += weight * derivative_at(phi, slope, left) * derivative_at(phi, slope, right);
    }
  return total;
}

Value evaluate(const Network& n, const Sequence& x, const Sequence& y) {
  State s = forward(n, x, y);
  if (n.final_norm) s = normalise(s, n.epsilon);
  const double nngp = n.w2 * read_out(n.readout, s.k[1], s);
  return {nngp, n.w2 * read_out(n.readout, s.theta[1], s) + nngp};
}

Blocks blocks(const Network& n, const Sequence& x, const Sequence& y) {
  const State s = forward(n, x, y);
  return {s.k[1], s.theta[1]};
}

namespace {

/// L with L Lᵀ = k, k positive semidefinite: columns of pivots that vanish are 0.
Block semidefinite_root(const Block& k) {
  Block l = zeros(k.size(), k.size());
  for (std::size_t j = 0; j < k.size(); ++j) {
    double pivot = k[j][j];
    for (std::size_t m = 0; m < j; ++m) pivot -= l[j][m] * l[j][m];
    if (pivot < 1e-12) continue;
    l[j][j] = std::sqrt(pivot);
    for (std::size_t i = j + 1; i < k.size(); ++i) {
      l[i][j] = k[i][j] / l[j][j];
      for (std::size_t m = 0; m < j; ++m) l[i][j] -= l[i][m] * l[j][m] / l[j][j];
    }
  }
  return l;
}

/// Softmax of a row of logits, and its derivatives by them.
struct SoftRow {
  std::vector<double> zeta;
  Block derivative;
};
SoftRow soft_row(const Attention& m, std::vector<double> logits, std::size_t a) {
  double total = 0;
  const std::vector<bool> real(logits.size(), true);
  for (std::size_t b = 0; b < logits.size(); ++b) {
    logits[b] = seen(m, real, a, b) ? std::exp(m.qk * logits[b] - m.alibi * distance(a, b)) : 0;
    total += logits[b];
  }
  for (double& z : logits) z /= total;
  SoftRow out{logits, zeros(logits.size(), logits.size())};
  for (std::size_t b = 0; b < logits.size(); ++b)
    for (std::size_t e = 0; e < logits.size(); ++e) out.derivative[b][e] = logits[b] * ((b == e) - logits[e]);
  return out;
}

/// What one draw adds to K' and Θ', at (a, c), without the bias.
Value soft_draw(const Attention& m, const State& tilde, const State& value, const SoftRow& x,
                const SoftRow& y, std::size_t a, std::size_t c) {
  const Block &k = tilde.k[1], &theta = tilde.theta[1];
  double nngp = 0, ntk = 0, slopes = 0;
  for (std::size_t b = 0; b < x.zeta.size(); ++b)
    for (std::size_t d = 0; d < y.zeta.size(); ++d) {
      nngp += x.zeta[b] * y.zeta[d] * value.k[1][b][d];
      ntk += x.zeta[b] * y.zeta[d] * value.theta[1][b][d];
      for (std::size_t e = 0; e < x.zeta.size(); ++e)
        for (std::size_t f = 0; f < y.zeta.size(); ++f)
          slopes += value.k[1][b][d] * x.derivative[b][e] * y.derivative[d][f] *
                    (2 * k[a][c] * k[e][f] + theta[a][c] * k[e][f] + k[a][c] * theta[e][f]);
    }
  const double scale =
      m.ov2 * averaged(m, m.causal ? a + 1 : x.zeta.size(), m.causal ? c + 1 : y.zeta.size());
  return {scale * nngp, scale * (2 * nngp + ntk + m.qk * m.qk * slopes)};
}

}  // namespace

SampledBlocks sampled_attention(const Network& n, const Sequence& x, const Sequence& y, int samples,
                                unsigned seed) {
  const Attention& m = n.layers[0].attention[0];
  const State s = embed(n, x, y);
  State tilde = s;
  for (int i = 0; i < 3; ++i) {
    tilde.k[i] = with_positions(m, s.k[i], n.dimension, true);
    tilde.theta[i] = with_positions(m, s.theta[i], n.dimension, n.trained && m.positions != "sin");
  }
  const std::size_t lx = x.size(), all = lx + y.size();
  Block joint = zeros(all, all);
  for (std::size_t a = 0; a < all; ++a)
    for (std::size_t b = 0; b < all; ++b)
      joint[a][b] = a < lx ? (b < lx ? tilde.k[0][a][b] : tilde.k[1][a][b - lx])
                           : (b < lx ? tilde.k[1][b][a - lx] : tilde.k[2][a - lx][b - lx]);
  const Block root = semidefinite_root(joint);
  const Block none = zeros(lx, y.size());
  SampledBlocks out{{none, none}, {none, none}};
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  for (int draw = 0; draw < samples; ++draw) {
    Block z = zeros(all, all), half = z, logits = z;
    for (auto& row : z)
      for (double& v : row) v = normal(engine);
    for (std::size_t a = 0; a < all; ++a)
      for (std::size_t b = 0; b < all; ++b)
        for (std::size_t e = 0; e < all; ++e) half[a][b] += root[a][e] * z[e][b];
    for (std::size_t a = 0; a < all; ++a)
      for (std::size_t b = 0; b < all; ++b)
        for (std::size_t e = 0; e < all; ++e) logits[a][b] += half[a][e] * root[b][e];
    const auto lxd = static_cast<std::ptrdiff_t>(lx);
    std::vector<SoftRow> rows, cols;
    for (std::size_t a = 0; a < lx; ++a)
      rows.push_back(soft_row(m, {logits[a].begin(), logits[a].begin() + lxd}, a));
    for (std::size_t c = 0; c < y.size(); ++c)
      cols.push_back(soft_row(m, {logits[lx + c].begin() + lxd, logits[lx + c].end()}, c));
    for (std::size_t a = 0; a < lx; ++a)
      for (std::size_t c = 0; c < y.size(); ++c) {
        const Value v =
            soft_draw(m, tilde, n.layers[0].attention[0].value_positions ? tilde : s, rows[a], cols[c], a, c);
        out.mean.k[a][c] += v.nngp / samples;
        out.mean.theta[a][c] += v.ntk / samples;
        out.error.k[a][c] += v.nngp * v.nngp / samples;
        out.error.theta[a][c] += v.ntk * v.ntk / samples;
      }
  }
  for (std::size_t a = 0; a < lx; ++a)
    for (std::size_t c = 0; c < y.size(); ++c) {
      const auto error = [&](double square, double mean) {
        return std::sqrt(std::max(square - mean * mean, 0.0) / (samples - 1));
      };
      out.error.k[a][c] = error(out.error.k[a][c], out.mean.k[a][c]);
      out.error.theta[a][c] = error(out.error.theta[a][c], out.mean.theta[a][c]);
      out.mean.k[a][c] += m.b2;
      out.mean.theta[a][c] += m.b2;
    }
  return out;
}

Value simplified(double se2, double sp2, bool query, bool trained, const Sequence& x, const Sequence& y) {
  const std::size_t lx = x.size() - query, ly = y.size() - query;
  double sum = 0;
  for (std::size_t b = 0; b < lx; ++b)
    for (std::size_t d = 0; d < ly; ++d) {
      const double k = se2 * (x[b] == y[d]) + sp2 * (b == d);
      sum += k * k;
    }
  const double factor = query ? se2 * (x.back() == y.back()) + sp2 * (lx == ly) : 1;
  const double nngp = factor * sum / (static_cast<double>(lx) * static_cast<double>(ly));
  // One term for each of W_Q, W_K, w_V; where embeddings are trained, one for each time they come in.
  const double terms = 3 + (trained ? 2 + query : 0);
  return {nngp, terms * nngp};
}

}  // namespace telos::reference::kernel
