#include "reference/soft_dynamics.h"

#include <algorithm>
#include <cmath>

namespace telos::reference::soft {
namespace {

double norm(const Vector& x) {
  return std::sqrt(dot(x, x));
}

Vector weighted_sum(const Vector& weights, const Mat& z) {
  Vector sum(z[0].size(), 0.0);
  for (std::size_t j = 0; j < z.size(); ++j)
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += weights[j] * z[j][c];
  return sum;
}

Vector between(const Vector& z, const Vector& m, double alpha) {
  Vector out(z.size());
  for (std::size_t c = 0; c < z.size(); ++c) out[c] = (z[c] + alpha * m[c]) / (1 + alpha);
  return out;
}

Vector project(const Vector& y, const Vector& x) {
  Vector out(x.size());
  const double along = dot(y, x);
  for (std::size_t c = 0; c < x.size(); ++c) out[c] = y[c] - along * x[c];
  return out;
}

Mat plus(const Mat& x, double factor, const Mat& slope) {
  Mat out = x;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t c = 0; c < x[i].size(); ++c) out[i][c] += factor * slope[i][c];
  return out;
}

Mat scaled(const Mat& a, double factor) {
  Mat out = a;
  for (Vector& row : out)
    for (double& value : row) value *= factor;
  return out;
}

}  // namespace

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
  return sum;
}

Vector transform(const Mat& m, const Vector& x) {
  if (m.empty()) return x;
  Vector out;
  for (const Vector& row : m) out.push_back(dot(row, x));
  return out;
}

Mat multiply(const Mat& a, const Mat& b) {
  Mat out;
  for (const Vector& row : a) out.push_back(weighted_sum(row, b));
  return out;
}

Mat exponential(const Mat& a) {
  double largest = 0;
  for (const Vector& row : a)
    for (const double value : row) largest = std::max(largest, std::abs(value));
  int halvings = 0;
  while (largest * static_cast<double>(a.size()) > 0.5) largest /= 2, ++halvings;
  const Mat small = scaled(a, std::ldexp(1.0, -halvings));
  Mat term(a.size(), Vector(a.size(), 0.0));
  for (std::size_t i = 0; i < a.size(); ++i) term[i][i] = 1;
  Mat sum = term;
  for (int k = 1; k < 30; ++k) {
    term = scaled(multiply(term, small), 1.0 / k);
    sum = plus(sum, 1, term);
  }
  for (int i = 0; i < halvings; ++i) sum = multiply(sum, sum);
  return sum;
}

Vector softmax(const Vector& scores) {
  const double best = *std::max_element(scores.begin(), scores.end());
  Vector out;
  double sum = 0;
  for (const double s : scores) out.push_back(std::exp(s - best)), sum += out.back();
  for (double& w : out) w /= sum;
  return out;
}

Mat softmax_layer(const Mat& z, const Mat& a, double alpha, double temperature) {
  Mat out;
  for (const Vector& token : z) {
    Vector scores;
    for (const Vector& other : z) scores.push_back(dot(transform(a, token), other) / temperature);
    out.push_back(between(token, weighted_sum(softmax(scores), z), alpha));
  }
  return out;
}

Mat localmax_layer(const Mat& z, const Mat& a, double alpha, double relaxation) {
  double radius = 0;
  for (const Vector& token : z) radius = std::max(radius, norm(token));
  Mat out;
  for (const Vector& token : z) {
    Vector weights;
    for (const Vector& other : z) weights.push_back(dot(transform(a, token), other));
    const double best = *std::max_element(weights.begin(), weights.end());
    const double least = best - relaxation * norm(transform(a, token)) * radius;
    double count = 0;
    for (double& w : weights) w = w >= least ? 1 : 0, count += w;
    for (double& w : weights) w /= count;
    out.push_back(between(token, weighted_sum(weights, z), alpha));
  }
  return out;
}

Mat emergence(const Mat& z, double t, const Mat& q, const Mat& k, const Mat& v) {
  const Mat growth = exponential(scaled(v, t));
  Mat out;
  for (const Vector& token : z) {
    Vector scores;
    for (const Vector& other : z)
      scores.push_back(dot(transform(q, transform(growth, token)), transform(k, transform(growth, other))));
    const Vector mean = weighted_sum(softmax(scores), z);
    Vector gap(token.size());
    for (std::size_t c = 0; c < gap.size(); ++c) gap[c] = mean[c] - token[c];
    out.push_back(transform(v, gap));
  }
  return out;
}

Mat sa(const Mat& x, double beta, const Mat& q, const Mat& k, const Mat& v) {
  Mat out;
  for (const Vector& token : x) {
    Vector scores;
    for (const Vector& other : x) scores.push_back(beta * dot(transform(q, token), transform(k, other)));
    out.push_back(project(transform(v, weighted_sum(softmax(scores), x)), token));
  }
  return out;
}

Mat usa(const Mat& x, double beta) {
  Mat out;
  for (const Vector& token : x) {
    Vector weights;
    for (const Vector& other : x)
      weights.push_back(std::exp(beta * dot(token, other)) / static_cast<double>(x.size()));
    out.push_back(project(weighted_sum(weights, x), token));
  }
  return out;
}

double energy(const Mat& x, double beta) {
  double sum = 0;
  for (const Vector& a : x)
    for (const Vector& b : x) sum += std::exp(beta * dot(a, b));
  return sum / (2 * beta * static_cast<double>(x.size() * x.size()));
}

Mat integrate(const Slope& slope, Mat x, double from, double to, std::size_t steps, bool sphere) {
  const double h = (to - from) / static_cast<double>(steps);
  for (std::size_t i = 0; i < steps; ++i) {
    const double t = from + h * static_cast<double>(i);
    const Mat k1 = slope(x, t);
    const Mat k2 = slope(plus(x, h / 2, k1), t + h / 2);
    const Mat k3 = slope(plus(x, h / 2, k2), t + h / 2);
    const Mat k4 = slope(plus(x, h, k3), t + h);
    x = plus(plus(plus(plus(x, h / 6, k1), h / 3, k2), h / 3, k3), h / 6, k4);
    if (!sphere) continue;
    for (Vector& token : x) {
      const double length = norm(token);
      for (double& value : token) value /= length;
    }
  }
  return x;
}

std::size_t components(const Mat& x, double distance) {
  std::vector<std::size_t> label(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) label[i] = i;
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j) {
      double square = 0;
      for (std::size_t c = 0; c < x[i].size(); ++c) square += (x[i][c] - x[j][c]) * (x[i][c] - x[j][c]);
      if (square > distance * distance) continue;
      const std::size_t from = label[j], to = label[i];
      for (std::size_t& l : label)
        if (l == from) l = to;
    }
  std::sort(label.begin(), label.end());
  return static_cast<std::size_t>(std::unique(label.begin(), label.end()) - label.begin());
}

}  // namespace telos::reference::soft
