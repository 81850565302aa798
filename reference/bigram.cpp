#include "reference/bigram.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace telos::reference::bigram {
namespace {

Vector multiply(const Mat& m, const Vector& x) {
  Vector y(m.size());
  for (std::size_t i = 0; i < m.size(); ++i)
    for (std::size_t j = 0; j < x.size(); ++j) y[i] += m[i][j] * x[j];
  return y;
}

// X a_k: the weights of column k of A, summed by token.
Vector histogram(const std::vector<std::size_t>& x, const Mat& a, std::size_t k, std::size_t tokens) {
  Vector h(tokens);
  for (std::size_t t = 0; t < x.size(); ++t) h[x[t]] += a[t][k];
  return h;
}

// The next context in the order of the numbers that its tokens write; false after the last.
bool advance(std::vector<std::size_t>& x, std::size_t tokens) {
  for (std::size_t& token : x) {
    if (++token < tokens) return true;
    token = 0;
  }
  return false;
}

// Calls visit(x, k, o, probability) for every outcome.
template <class Visit>
void visit_outcomes(const Task& task, const Visit& visit) {
  const std::size_t n = task.mu.size();
  std::vector<std::size_t> x(task.q.size());
  do {
    double context = 1;
    for (const std::size_t token : x) context *= task.mu[token];
    for (std::size_t k = 0; k < n; ++k) {
      const Vector law = multiply(task.p, histogram(x, task.q, k, n));
      for (std::size_t o = 0; o < n; ++o) visit(x, k, o, context * task.mu[k] * law[o]);
    }
  } while (advance(x, n));
}

}  // namespace

double stationary_residual(const Mat& p, const Vector& mu) {
  const Vector next = multiply(p, mu);
  double worst = 0;
  for (std::size_t i = 0; i < mu.size(); ++i) worst = std::max(worst, std::abs(next[i] - mu[i]));
  return worst;
}

double joint_probability(const Task& task, int k, int t, int j, int o) {
  double sum = 0;
  visit_outcomes(
      task, [&](const std::vector<std::size_t>& x, std::size_t last, std::size_t output, double p) {
        const bool hit = last == static_cast<std::size_t>(k) && output == static_cast<std::size_t>(o) &&
                         x[static_cast<std::size_t>(t)] == static_cast<std::size_t>(j);
        if (hit) sum += p;
      });
  return sum;
}

Expected enumerate(const Task& task, const Mat& v, const Mat& a) {
  const std::size_t n = task.mu.size(), length = task.q.size();
  Expected mean{0, Mat(n, Vector(n)), Mat(length, Vector(n))};
  visit_outcomes(task, [&](const std::vector<std::size_t>& x, std::size_t k, std::size_t o, double p) {
    const Vector h = histogram(x, a, k, n);
    Vector r = multiply(v, h);
    r[o] -= 1;
    Vector w(n);
    for (std::size_t i = 0; i < n; ++i) {
      mean.loss += p * r[i] * r[i] / 2;
      for (std::size_t j = 0; j < n; ++j) {
        mean.v[i][j] += p * r[i] * h[j];
        w[j] += v[i][j] * r[i];
      }
    }
    for (std::size_t t = 0; t < length; ++t) mean.a[t][k] += p * w[x[t]];
  });
  return mean;
}

void precondition(Expected& gradient, const Vector& mu) {
  const double length = static_cast<double>(gradient.a.size());
  for (std::size_t k = 0; k < mu.size(); ++k) {
    for (Vector& row : gradient.v) row[k] /= mu[k];
    double mean = 0;
    for (Vector& row : gradient.a) mean += (row[k] /= mu[k]) / length;
    for (Vector& row : gradient.a) row[k] -= mean;
  }
}

void step(const Task& task, Mat& v, Mat& a, double eta) {
  Expected gradient = enumerate(task, v, a);
  precondition(gradient, task.mu);
  for (std::size_t k = 0; k < task.mu.size(); ++k) {
    for (std::size_t i = 0; i < v.size(); ++i) v[i][k] -= eta * gradient.v[i][k];
    for (std::size_t t = 0; t < a.size(); ++t) a[t][k] -= eta * gradient.a[t][k];
  }
}

}  // namespace telos::reference::bigram
