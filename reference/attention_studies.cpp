#include "reference/attention_studies.h"

#include <cmath>
#include <cstddef>

namespace telos::reference::attention_studies {
namespace {

double product(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector times(const Mat& m, const Vector& x) {
  Vector y;
  for (const Vector& row : m) y.push_back(product(row, x));
  return y;
}

Vector transposed_times(const Mat& m, const Vector& x) {
  Vector y(m[0].size(), 0);
  for (std::size_t i = 0; i < m.size(); ++i)
    for (std::size_t j = 0; j < y.size(); ++j) y[j] += m[i][j] * x[i];
  return y;
}

Vector softmax(const Vector& logits) {
  Vector p;
  double sum = 0;
  for (const double logit : logits) {
    p.push_back(std::exp(logit));
    sum += p.back();
  }
  for (double& value : p) value /= sum;
  return p;
}

// Rows [h_i, Σ_{j ≤ i} softmax_j(h_iᵀ A h_j) h_j].
Mat with_attention(const Mat& h, const Mat& a) {
  Mat next;
  for (std::size_t i = 0; i < h.size(); ++i) {
    const Mat seen(h.begin(), h.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    const Vector read = transposed_times(seen, softmax(times(seen, transposed_times(a, h[i]))));
    next.push_back(h[i]);
    next.back().insert(next.back().end(), read.begin(), read.end());
  }
  return next;
}

}  // namespace

double support_vector_loss(const std::vector<Mat>& x, const Mat& z, const Vector& v, const Vector& labels,
                           const Mat& w) {
  double loss = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Vector weights = softmax(times(x[i], times(w, z[i])));
    const double f = product(v, transposed_times(x[i], weights));
    loss += std::log(1 + std::exp(-labels[i] * f)) / static_cast<double>(x.size());
  }
  return loss;
}

double mixture_mean(const Mat& w, const Vector& prior, double sigma, const Mat& x, const Vector& y,
                    const Vector& query) {
  double sum = 0, answer = 0;
  for (std::size_t j = 0; j < w.size(); ++j) {
    double density = prior[j];
    for (std::size_t i = 0; i < y.size(); ++i)
      density *= std::exp(-std::pow((y[i] - product(w[j], x[i])) / sigma, 2) / 2);
    sum += density;
    answer += density * product(w[j], query);
  }
  return answer / sum;
}

double disentangled_loss(const std::vector<int>& tokens, const Vector& target, const Mat& a1, const Mat& a2,
                         const Mat& w) {
  const std::size_t symbols = target.size();
  Mat h;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    h.emplace_back(symbols + tokens.size(), 0);
    h[i][static_cast<std::size_t>(tokens[i])] = h[i][symbols + i] = 1;
  }
  h = with_attention(with_attention(h, a1), a2);
  const Vector law = softmax(transposed_times(w, h.back()));
  double loss = 0;
  for (std::size_t s = 0; s < symbols; ++s) loss -= target[s] * std::log(law[s]);
  return loss;
}

double first_gradient(const Mat& pi, const Vector& mu, int length, int lag) {
  const std::size_t symbols = mu.size(), last = static_cast<std::size_t>(length) - 1;
  std::vector<std::size_t> x(last + 1, 0);
  double sum = 0;
  for (bool more = true; more;) {
    double probability = mu[x[0]];
    for (std::size_t i = 1; i <= last; ++i) probability *= pi[x[i - 1]][x[i]];
    const std::size_t s = x[last - static_cast<std::size_t>(lag)];  // the only s that counts, S·(1/S)
    sum += probability * (pi[s][x[last]] / mu[x[last]] - 1);
    std::size_t digit = 0;
    while (digit <= last && ++x[digit] == symbols) x[digit++] = 0;
    more = digit <= last;
  }
  return sum;
}

}  // namespace telos::reference::attention_studies
