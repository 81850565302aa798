#include <algorithm>
#include <cmath>
#include <numeric>

#include "bigram/studies/causal_structure.h"
#include "bigram/studies/numbers.h"

namespace telos::bigram::studies::causal {
namespace {

/// What a sequence makes of the network, layer by layer.
struct Pass {
  std::size_t symbols, length, width;  // S, T, D
  Matrix<double> p;                    // T × T, first attention
  Matrix<double> h1;                   // T × 2D
  std::vector<double> u;               // A²ᵀh¹ of the last position, 2D
  std::vector<double> q;               // T, second attention
  std::vector<double> h2;              // 4D
  std::vector<double> law;             // S
};

Pass run_forward(const Network& net, const Sequence& sequence) {
  const std::size_t symbols = net.w.cols(), length = sequence.tokens.size(), width = symbols + length;
  const std::vector<std::uint32_t>& x = sequence.tokens;
  Pass f{symbols,
         length,
         width,
         Matrix<double>(length, length),
         Matrix<double>(length, 2 * width),
         std::vector<double>(2 * width),
         std::vector<double>(length),
         std::vector<double>(4 * width),
         std::vector<double>(symbols)};
  for (std::size_t i = 0; i < length; ++i) {
    // h⁰ is 1 in two places, so that its logits are look-ups.
    const double *by_token = net.a1.row(x[i]), *by_position = net.a1.row(symbols + i);
    double *p = f.p.row(i), *h1 = f.h1.row(i);
    for (std::size_t j = 0; j <= i; ++j)
      p[j] = by_token[x[j]] + by_token[symbols + j] + by_position[x[j]] + by_position[symbols + j];
    softmax_in_place({p, i + 1});
    h1[x[i]] = h1[symbols + i] = 1;
    for (std::size_t j = 0; j <= i; ++j) {
      h1[width + x[j]] += p[j];
      h1[width + symbols + j] = p[j];
    }
  }
  const double* last = f.h1.row(length - 1);
  for (std::size_t r = 0; r < 2 * width; ++r)
    if (last[r] != 0) add(last[r], net.a2.row(r), 2 * width, f.u.data());
  for (std::size_t i = 0; i < length; ++i) f.q[i] = dot(f.u.data(), f.h1.row(i), 2 * width);
  softmax_in_place(f.q);
  std::copy_n(last, 2 * width, f.h2.data());
  for (std::size_t i = 0; i < length; ++i) add(f.q[i], f.h1.row(i), 2 * width, f.h2.data() + 2 * width);
  for (std::size_t r = 0; r < 4 * width; ++r)
    if (f.h2[r] != 0) add(f.h2[r], net.w.row(r), symbols, f.law.data());
  softmax_in_place(f.law);
  return f;
}

/// dLogit_i = a_i(dA_i − Σ a dA): through a softmax, in place of dA.
void through_softmax(const double* a, double* slope, std::size_t n) {
  const double mean = dot(a, slope, n);
  for (std::size_t i = 0; i < n; ++i) slope[i] = a[i] * (slope[i] - mean);
}

/// From the derivative by row i of the first attention's output to A¹.
void back_first(const Pass& f, const std::vector<std::uint32_t>& x, std::size_t i, const double* by_output,
                std::vector<double>& slope, Matrix<double>& a1) {
  for (std::size_t j = 0; j <= i; ++j) slope[j] = by_output[x[j]] + by_output[f.symbols + j];
  through_softmax(f.p.row(i), slope.data(), i + 1);
  double *by_token = a1.row(x[i]), *by_position = a1.row(f.symbols + i);
  for (std::size_t j = 0; j <= i; ++j) {
    by_token[x[j]] += slope[j];
    by_token[f.symbols + j] += slope[j];
    by_position[x[j]] += slope[j];
    by_position[f.symbols + j] += slope[j];
  }
}

}  // namespace

Network zero_network(std::size_t symbols, std::size_t length) {
  const std::size_t width = symbols + length;
  return {Matrix<double>(width, width), Matrix<double>(2 * width, 2 * width),
          Matrix<double>(4 * width, symbols)};
}

std::vector<double> answer(const Network& network, const Sequence& sequence) {
  return run_forward(network, sequence).law;
}

double loss_and_gradient(const Network& net, const Sequence& sequence, Network& gradient) {
  const Pass f = run_forward(net, sequence);
  const std::size_t wide = 2 * f.width, last = f.length - 1;
  std::vector<double> by_logit = f.law;
  for (std::size_t s = 0; s < f.symbols; ++s) by_logit[s] -= sequence.target[s];
  std::vector<double> by_h2(2 * wide);
  for (std::size_t r = 0; r < 2 * wide; ++r) {
    if (f.h2[r] != 0) add(f.h2[r], by_logit.data(), f.symbols, gradient.w.row(r));
    by_h2[r] = dot(net.w.row(r), by_logit.data(), f.symbols);
  }
  const double* by_read = by_h2.data() + wide;  // what the second attention returns
  std::vector<double> slope(f.length), by_u(wide), by_row(f.width);
  for (std::size_t i = 0; i < f.length; ++i) slope[i] = dot(by_read, f.h1.row(i), wide);
  through_softmax(f.q.data(), slope.data(), f.length);
  for (std::size_t i = 0; i < f.length; ++i) add(slope[i], f.h1.row(i), wide, by_u.data());
  const double* h1_last = f.h1.row(last);
  for (std::size_t r = 0; r < wide; ++r) {
    if (h1_last[r] != 0) add(h1_last[r], by_u.data(), wide, gradient.a2.row(r));
    by_h2[r] +=
        dot(net.a2.row(r), by_u.data(), wide);  // now the derivative by h¹ of the last position as query
  }
  std::vector<double> first_slope(f.length);
  for (std::size_t i = 0; i < f.length; ++i) {
    for (std::size_t c = 0; c < f.width; ++c)
      by_row[c] = f.q[i] * by_read[f.width + c] + slope[i] * f.u[f.width + c];
    if (i == last) add(1, by_h2.data() + f.width, f.width, by_row.data());
    back_first(f, sequence.tokens, i, by_row.data(), first_slope, gradient.a1);
  }
  return cross_entropy(sequence.target, f.law);
}

}  // namespace telos::bigram::studies::causal
