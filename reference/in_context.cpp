#include "reference/in_context.h"

#include <cmath>
#include <cstddef>

namespace telos::reference::in_context {
namespace {

template <class T>
std::vector<std::vector<T>> product(const std::vector<std::vector<T>>& a,
                                    const std::vector<std::vector<T>>& b) {
  std::vector<std::vector<T>> c(a.size(), std::vector<T>(b[0].size()));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b[0].size(); ++j)
      for (std::size_t k = 0; k < b.size(); ++k) c[i][j] += a[i][k] * b[k][j];
  return c;
}

double conjugate(double x) {
  return x;
}
Complex conjugate(Complex x) {
  return std::conj(x);
}

template <class T>
std::vector<std::vector<T>> adjoint(const std::vector<std::vector<T>>& a) {
  std::vector<std::vector<T>> t(a[0].size(), std::vector<T>(a.size()));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[0].size(); ++j) t[j][i] = conjugate(a[i][j]);
  return t;
}

// λ^t, entry by entry.
ComplexVector state(const ComplexVector& lambda, int t) {
  ComplexVector s(lambda.size(), 1);
  for (std::size_t j = 0; j < s.size(); ++j)
    for (int i = 0; i < t; ++i) s[j] *= lambda[j];
  return s;
}

double square_distance(const ComplexVector& a, const ComplexVector& b) {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += std::norm(a[j] - b[j]);
  return sum;
}

}  // namespace

double linear_attention(const Mat& x, const Vector& y, const Mat& w_pv, const Mat& w_kq) {
  const std::size_t n = y.size(), d = x[0].size();
  Mat e(d + 1, Vector(n + 1));
  for (std::size_t i = 0; i <= n; ++i) {
    for (std::size_t a = 0; a < d; ++a) e[a][i] = x[i][a];
    if (i < n) e[d][i] = y[i];
  }
  const Mat out = product(product(w_pv, product(e, adjoint(e))), product(w_kq, e));
  return e[d][n] + out[d][n] / static_cast<double>(n);
}

double softmax_loss(const Vector& p, int prompt, int query, const Vector& logits) {
  std::vector<std::size_t> tokens(static_cast<std::size_t>(prompt));
  double loss = 0;
  for (bool more = true; more;) {
    double probability = 1, total = 0;
    for (const std::size_t m : tokens) {
      probability *= p[m];
      total += std::exp(logits[m]);
    }
    Vector coefficient(p.size());  // of w_m in w_k − ŷ
    coefficient[static_cast<std::size_t>(query)] = 1;
    for (const std::size_t m : tokens) coefficient[m] -= std::exp(logits[m]) / total;
    for (const double c : coefficient) loss += probability * 0.5 * c * c;
    std::size_t digit = 0;
    while (digit < tokens.size() && ++tokens[digit] == p.size()) tokens[digit++] = 0;
    more = digit < tokens.size();
  }
  return loss;
}

double looped_loss(const Mat& x, const Vector& eigenvalues, const Mat& a, int loops) {
  const std::size_t d = eigenvalues.size();
  double loss = 0;
  for (std::size_t direction = 0; direction < d;
       ++direction) {  // w* = each unit vector: their sum is the mean
    Vector w(d);
    for (int l = 0; l < loops; ++l) {
      Vector descent(d);
      for (const Vector& row : x) {
        double residual = row[direction];
        for (std::size_t i = 0; i < d; ++i) residual -= w[i] * row[i];
        for (std::size_t i = 0; i < d; ++i) descent[i] += residual * row[i] / static_cast<double>(x.size());
      }
      for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < d; ++j) w[i] += a[i][j] * descent[j];
    }
    for (std::size_t i = 0; i < d; ++i) {
      const double error = w[i] - (i == direction ? 1 : 0);
      loss += eigenvalues[i] * error * error;
    }
  }
  return loss;
}

double mesa_loss(const Vector& start, const ComplexVector& phase, int length, const ComplexMat& w_pv,
                 const ComplexMat& w_kq) {
  const std::size_t d = start.size();
  ComplexMat x(static_cast<std::size_t>(length) + 1, ComplexVector(d));  // x[t], x[0] = 0
  for (std::size_t t = 1; t < x.size(); ++t)
    for (std::size_t j = 0; j < d; ++j) x[t][j] = t == 1 ? Complex(start[j]) : phase[j] * x[t - 1][j];
  double loss = 0;
  for (std::size_t t = 2; t + 1 < x.size(); ++t) {
    ComplexMat e(2 * d, ComplexVector(t)), last(2 * d, ComplexVector(1));
    for (std::size_t i = 0; i < t; ++i)
      for (std::size_t j = 0; j < d; ++j) {
        e[j][i] = x[i + 1][j];
        e[d + j][i] = x[i][j];
      }
    for (std::size_t j = 0; j < 2 * d; ++j) last[j][0] = e[j][t - 1];
    const ComplexMat answer = product(product(w_pv, product(e, adjoint(e))), product(w_kq, last));
    for (std::size_t j = 0; j < d; ++j)
      loss += 0.5 * std::norm(answer[j][0] / static_cast<double>(t - 1) - x[t + 1][j]);
  }
  return loss;
}

double augmented_error(const Vector& eta, const ComplexVector& lambda) {
  const int length = static_cast<int>(eta.size());
  const ComplexVector last = state(lambda, length);
  ComplexVector answer(lambda.size());
  for (int t = 1; t <= length; ++t) {
    const ComplexVector now = state(lambda, t), before = state(lambda, t - 1);
    Complex score = 0;
    for (std::size_t j = 0; j < lambda.size(); ++j) score += std::conj(before[j]) * last[j];
    for (std::size_t j = 0; j < lambda.size(); ++j)
      answer[j] += eta[static_cast<std::size_t>(t - 1)] * now[j] * score;
  }
  return square_distance(answer, state(lambda, length + 1));
}

double masked_error(const Mat& c, const Vector& p, const ComplexVector& lambda) {
  const int length = static_cast<int>(p.size());
  const ComplexVector query = state(lambda, length - 1);
  ComplexVector answer(lambda.size());
  for (int t = 1; t <= length; ++t) {
    const ComplexVector now = state(lambda, t);
    for (std::size_t i = 0; i < lambda.size(); ++i)
      for (std::size_t j = 0; j < lambda.size(); ++j)
        answer[i] += p[static_cast<std::size_t>(t - 1)] * c[i][j] * std::conj(query[j]) * now[j] * now[i];
  }
  return square_distance(answer, state(lambda, length + 1));
}

}  // namespace telos::reference::in_context
