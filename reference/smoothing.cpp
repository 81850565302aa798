#include "reference/smoothing.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace telos::reference::smoothing {

Mat zeros(std::size_t rows, std::size_t cols) {
  return Mat(rows, Vector(cols, 0.0));
}

Mat identity(std::size_t n) {
  Mat out = zeros(n, n);
  for (std::size_t i = 0; i < n; ++i) out[i][i] = 1;
  return out;
}

Mat transpose(const Mat& a) {
  Mat out = zeros(a[0].size(), a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[0].size(); ++j) out[j][i] = a[i][j];
  return out;
}

Mat multiply(const Mat& a, const Mat& b) {
  Mat out = zeros(a.size(), b[0].size());
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b[0].size(); ++j)
      for (std::size_t k = 0; k < b.size(); ++k) out[i][j] += a[i][k] * b[k][j];
  return out;
}

Mat add(const Mat& a, const Mat& b, double factor) {
  Mat out = a;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[0].size(); ++j) out[i][j] += factor * b[i][j];
  return out;
}

Mat scale(const Mat& a, double factor) {
  Mat out = a;
  for (Vector& row : out)
    for (double& value : row) value *= factor;
  return out;
}

double frobenius(const Mat& a) {
  double sum = 0;
  for (const Vector& row : a)
    for (double value : row) sum += value * value;
  return std::sqrt(sum);
}

Vector singular_values(const Mat& a) {
  // Work on the rows of m, so that there are no more vectors to make orthogonal than the rank can be.
  Mat m = a.size() <= a[0].size() ? a : transpose(a);
  const std::size_t count = m.size(), length = m[0].size();
  for (int sweep = 0; sweep < 60; ++sweep) {
    double worst = 0;
    for (std::size_t p = 0; p < count; ++p)
      for (std::size_t q = p + 1; q < count; ++q) {
        double pp = 0, qq = 0, pq = 0;
        for (std::size_t k = 0; k < length; ++k) {
          pp += m[p][k] * m[p][k];
          qq += m[q][k] * m[q][k];
          pq += m[p][k] * m[q][k];
        }
        if (pq == 0) continue;
        worst = std::max(worst, std::abs(pq) / std::sqrt(pp * qq));
        const double zeta = (qq - pp) / (2 * pq);
        const double t = (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
        const double c = 1 / std::sqrt(1 + t * t), s = c * t;
        for (std::size_t k = 0; k < length; ++k) {
          const double x = m[p][k], y = m[q][k];
          m[p][k] = c * x - s * y;
          m[q][k] = s * x + c * y;
        }
      }
    if (worst < 1e-15) break;
  }
  Vector out;
  for (const Vector& row : m) {
    double sum = 0;
    for (double value : row) sum += value * value;
    out.push_back(std::sqrt(sum));
  }
  std::sort(out.rbegin(), out.rend());
  return out;
}

std::vector<Complex> eigenvalues(const Mat& a) {
  const std::size_t n = a.size();
  // Faddeev–LeVerrier: M_1 = I, c_{n−k} = −tr(A M_k)/k, M_{k+1} = A M_k + c_{n−k} I.
  Vector c(n + 1, 0.0);
  c[n] = 1;
  Mat m = identity(n);
  for (std::size_t k = 1; k <= n; ++k) {
    Mat am = multiply(a, m);
    double trace = 0;
    for (std::size_t i = 0; i < n; ++i) trace += am[i][i];
    c[n - k] = -trace / static_cast<double>(k);
    m = add(am, identity(n), c[n - k]);
  }
  // Durand–Kerner: all roots at once, each by Newton's step with the other roots divided out.
  const double radius = 1 + frobenius(a);
  std::vector<Complex> z(n);
  for (std::size_t i = 0; i < n; ++i)
    z[i] = std::polar(radius, 0.4 + 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n));
  for (int step = 0; step < 2000; ++step) {
    double moved = 0;
    for (std::size_t i = 0; i < n; ++i) {
      Complex value = 0, others = 1;
      for (std::size_t k = n + 1; k-- > 0;) value = value * z[i] + c[k];
      for (std::size_t k = 0; k < n; ++k)
        if (k != i) others *= z[i] - z[k];
      if (others == Complex(0)) continue;
      z[i] -= value / others;
      moved = std::max(moved, std::abs(value / others));
    }
    if (moved < 1e-16 * radius) break;
  }
  return z;
}

double spectral_radius(const Mat& a) {
  double radius = 0;
  for (Complex z : eigenvalues(a)) radius = std::max(radius, std::abs(z));
  return radius;
}

Mat mean_part(const Mat& x) {
  const std::size_t n = x.size(), d = x[0].size();
  Mat out = zeros(n, d);
  for (std::size_t j = 0; j < d; ++j) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += x[i][j];
    for (std::size_t i = 0; i < n; ++i) out[i][j] = sum / static_cast<double>(n);
  }
  return out;
}

Mat variable_part(const Mat& x) {
  return add(x, mean_part(x), -1);
}

namespace {

// sqrt(‖M‖_1 ‖M‖_∞): largest column sum and largest row sum of absolute values.
double norm_1inf(const Mat& m) {
  double largest_row = 0, largest_column = 0;
  for (const Vector& row : m) {
    double sum = 0;
    for (double value : row) sum += std::abs(value);
    largest_row = std::max(largest_row, sum);
  }
  for (std::size_t j = 0; j < m[0].size(); ++j) {
    double sum = 0;
    for (const Vector& row : m) sum += std::abs(row[j]);
    largest_column = std::max(largest_column, sum);
  }
  return std::sqrt(largest_row * largest_column);
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

}  // namespace

Measures measures(const Mat& x) {
  Measures out{};
  const std::size_t n = x.size();
  const double norm = frobenius(x), high = frobenius(variable_part(x)), low = frobenius(mean_part(x));
  out.hfc_lfc = high / low;
  out.hfc_frac = high * high / (norm * norm);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) {
      const double cosine = dot(x[i], x[j]) / std::sqrt(dot(x[i], x[i]) * dot(x[j], x[j]));
      out.cos_abs_incl += std::abs(cosine) / static_cast<double>(n * n);
      if (i != j) out.cos_mean += cosine / static_cast<double>(n * (n - 1));
      for (std::size_t k = 0; k < x[0].size(); ++k)
        out.dirichlet += (x[i][k] - x[j][k]) * (x[i][k] - x[j][k]) / 2;
    }
  out.res_1inf = norm_1inf(variable_part(x)) / norm_1inf(x);
  const Vector sigma = singular_values(x);
  double sum1 = 0, sum2 = 0, sum4 = 0, rest2 = 0;
  for (std::size_t k = 0; k < sigma.size(); ++k) {
    sum1 += sigma[k];
    sum2 += std::pow(sigma[k], 2);
    sum4 += std::pow(sigma[k], 4);
    if (k > 0) rest2 += std::pow(sigma[k], 2);
  }
  double entropy = 0;
  for (double s : sigma)
    if (s > 0) entropy -= s / sum1 * std::log(s / sum1);
  out.rank1_res = std::sqrt(rest2 / sum2);
  out.stable_rank = sum2 / (sigma[0] * sigma[0]);
  out.eff_rank = std::exp(entropy);
  out.part_ratio = sum2 * sum2 / sum4;
  out.log_norm = std::log(norm);
  for (const Vector& row : x)
    out.max_norm_share = std::max(out.max_norm_share, dot(row, row) / (norm * norm));
  return out;
}

Mat layer(const Mat& a, const Mat& x, const Mat& h, double alpha) {
  return add(multiply(multiply(a, x), h), x, alpha);
}

Scaled iterate(const Mat& a, const Mat& h, const Mat& x0, double alpha, std::size_t layers) {
  Scaled out{scale(x0, 1 / frobenius(x0)), std::log(frobenius(x0))};
  for (std::size_t l = 0; l < layers; ++l) {
    out.x = layer(a, out.x, h, alpha);
    const double norm = frobenius(out.x);
    out.log_norm += std::log(norm);
    out.x = scale(out.x, 1 / norm);
  }
  return out;
}

bool sharpens(Complex h, double a) {
  return std::abs(1.0 + h) < std::abs(1.0 + a * h);
}

Maxima maxima(const Mat& a, const Mat& h, double alpha) {
  const std::vector<Complex> lambda = eigenvalues(a), eigen_h = eigenvalues(h);
  std::size_t perron = 0;
  for (std::size_t i = 0; i < lambda.size(); ++i)
    if (std::abs(lambda[i] - 1.0) < std::abs(lambda[perron] - 1.0)) perron = i;
  Maxima out{0, 0};
  for (std::size_t i = 0; i < lambda.size(); ++i)
    for (Complex z : eigen_h) {
      double& best = i == perron ? out.dc : out.hf;
      best = std::max(best, std::abs(alpha + lambda[i] * z));
    }
  return out;
}

Mat softmax_rows(const Mat& logits, bool causal) {
  Mat out = zeros(logits.size(), logits[0].size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const std::size_t valid = causal ? i + 1 : logits[i].size();
    double largest = logits[i][0], sum = 0;
    for (std::size_t j = 0; j < valid; ++j) largest = std::max(largest, logits[i][j]);
    for (std::size_t j = 0; j < valid; ++j) sum += out[i][j] = std::exp(logits[i][j] - largest);
    for (std::size_t j = 0; j < valid; ++j) out[i][j] /= sum;
  }
  return out;
}

Mat attention(const Mat& queries, const Mat& keys, double factor, bool causal) {
  return softmax_rows(scale(multiply(queries, transpose(keys)), factor), causal);
}

Mat pap(const Mat& a) {
  return transpose(variable_part(transpose(variable_part(a))));
}

Mat layer_norm(const Mat& x, double gamma, double eps) {
  Mat out = x;
  for (Vector& row : out) {
    const double d = static_cast<double>(row.size());
    double mean = 0, variance = 0;
    for (double value : row) mean += value / d;
    for (double value : row) variance += (value - mean) * (value - mean) / d;
    for (double& value : row) value = gamma * (value - mean) / std::sqrt(variance + eps);
  }
  return out;
}

Mat attn_scale(const Mat& a, double omega) {
  const double n = static_cast<double>(a.size());
  Mat out = a;
  for (Vector& row : out)
    for (double& value : row) value = 1 / n + (1 + omega) * (value - 1 / n);
  return out;
}

Mat feat_scale(const Mat& x, double low, double high, bool official) {
  const double factor = official ? 2 : 1;
  return add(add(x, mean_part(x), factor * low), variable_part(x), factor * high);
}

Mat contra_norm(const Mat& x, double s) {
  Mat unit = x;
  for (Vector& row : unit) {
    const double norm = std::sqrt(dot(row, row));
    for (double& value : row) value /= norm;
  }
  return add(scale(x, 1 + s), multiply(attention(unit, unit, 1, false), x), -s);
}

Mat neutreno(const Mat& a, const Mat& v, const Mat& v0, double lambda) {
  return add(multiply(a, v), add(v0, v, -1), lambda);
}

Mat transformer_layer(const Mat& x, const std::vector<Head>& heads, Norm norm, bool causal, double gamma,
                      double alpha, double logit_scale, double eps) {
  const Mat normed = layer_norm(x, gamma, eps);
  const Mat& values_from = norm == Norm::kPre ? normed : x;
  const Mat& logits_from = norm == Norm::kPost ? x : normed;
  Mat out = scale(x, alpha);
  for (const Head& head : heads) {
    const double factor = logit_scale / std::sqrt(static_cast<double>(head.wq[0].size()));
    const Mat a = attention(multiply(logits_from, head.wq), multiply(logits_from, head.wk), factor, causal);
    out = add(out, multiply(multiply(multiply(a, values_from), head.wv), head.wo));
  }
  return norm == Norm::kPost ? layer_norm(out, gamma, eps) : out;
}

}  // namespace telos::reference::smoothing
