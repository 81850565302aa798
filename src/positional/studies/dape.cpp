#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "positional/studies/parts.h"
#include "telos/base/error.h"

namespace telos::positional {
namespace {

using studies::View;
constexpr double kLeak = 0.01;

/// y[o](i, j) = bias_o + Σ_c Σ_t w[o][c·k + t]·x[c](i, j + t − k/2), zeros outside (cross-correlation).
std::vector<Matrix<double>> convolve(std::span<const Matrix<double>> x, View w, std::span<const double> bias,
                                     std::size_t kernel) {
  const std::size_t n = x[0].rows(), half = kernel / 2;
  std::vector<Matrix<double>> y;
  for (std::size_t o = 0; o < w.rows(); ++o) {
    Matrix<double> out(n, n);
    std::fill_n(out.data(), out.size(), bias[o]);
    for (std::size_t c = 0; c < x.size(); ++c)
      for (std::size_t t = 0; t < kernel; ++t) {
        const double weight = w(o, c * kernel + t);
        for (std::size_t i = 0; i < n; ++i)
          for (std::size_t j = 0; j < n; ++j)
            if (j + t >= half && j + t - half < n) out(i, j) += weight * x[c](i, j + t - half);
      }
    y.push_back(std::move(out));
  }
  return y;
}

void cut_future(Matrix<double>& x) {
  for (std::size_t i = 0; i < x.rows(); ++i) std::fill(x.row(i) + i + 1, x.row(i) + x.cols(), 0.0);
}

std::vector<Matrix<double>> added_scores(std::vector<Matrix<double>> channels, const DapeNet& net) {
  std::vector<Matrix<double>> hidden = convolve(channels, net.w1, net.b1, net.kernel);
  for (Matrix<double>& x : hidden)
    for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] *= x.data()[i] > 0 ? 1 : kLeak;
  return convolve(hidden, net.w2, net.b2, net.kernel);
}

void check(std::span<const Matrix<double>> products, std::span<const Matrix<double>> bias,
           const DapeNet& net) {
  const auto refuse = [](const std::string& what) { studies::shape_error("DAPE", what); };
  const auto shape = [](View x) { return std::to_string(x.rows()) + " × " + std::to_string(x.cols()); };
  if (net.kernel % 2 == 0)
    refuse("the kernel has " + std::to_string(net.kernel) + " columns, expected an odd number");
  if (products.size() != net.heads || products.empty())
    refuse(std::to_string(products.size()) + " products for " + std::to_string(net.heads) + " heads");
  if (bias.size() != (net.bias_input ? net.heads : 0))
    refuse(std::to_string(bias.size()) + " biases for " + std::to_string(net.heads) + " heads");
  const std::size_t n = products[0].rows(), channels = net.bias_input ? 2 * net.heads : net.heads;
  for (const auto list : {products, bias})
    for (const Matrix<double>& x : list)
      if (x.rows() != n || x.cols() != n || n == 0)
        refuse("scores of " + shape(x) + ", expected square and equal");
  if (net.w1.rows() != net.width || net.w1.cols() != channels * net.kernel || net.b1.size() != net.width)
    refuse("first weights " + shape(net.w1) + " with " + std::to_string(net.b1.size()) +
           " biases, expected " + std::to_string(net.width) + " × " + std::to_string(channels * net.kernel));
  if (net.w2.rows() != net.heads || net.w2.cols() != net.width * net.kernel || net.b2.size() != net.heads)
    refuse("second weights " + shape(net.w2) + " with " + std::to_string(net.b2.size()) +
           " biases, expected " + std::to_string(net.heads) + " × " + std::to_string(net.width * net.kernel));
}

}  // namespace

std::vector<Matrix<double>> dape_scores(std::span<const Matrix<double>> scaled_products,
                                        std::span<const Matrix<double>> bias, const DapeNet& net) {
  check(scaled_products, bias, net);
  std::vector<Matrix<double>> channels;
  for (const auto list : {scaled_products, bias})
    for (const Matrix<double>& x : list) channels.push_back(x.copy());
  for (Matrix<double>& x : channels) cut_future(x);
  std::vector<Matrix<double>> scores = added_scores(std::move(channels), net);
  for (std::size_t h = 0; h < net.heads; ++h) {
    Matrix<double>& s = scores[h];
    for (std::size_t i = 0; i < s.size(); ++i)
      s.data()[i] += scaled_products[h].data()[i] + (net.bias_input ? bias[h].data()[i] : 0);
    cut_future(s);
  }
  return scores;
}

Matrix<double> causal_softmax(ConstMatrixView<double> scores) {
  if (scores.rows() != scores.cols())
    studies::shape_error("causal softmax", "scores of " + std::to_string(scores.rows()) + " × " +
                                               std::to_string(scores.cols()) + ", expected square");
  Matrix<double> p = studies::scaled(scores, 1);
  studies::softmax_rows(p, true);
  return p;
}

namespace studies {
namespace {

struct Inputs {
  std::vector<Matrix<double>> products, bias;
};

/// Products of Q and K, and ALiBi's biases −2^(−8(h+1)/H)·(i − j).
Inputs draw_inputs(std::size_t n, std::size_t d, std::size_t heads, std::size_t changed_key, Random random) {
  Inputs in;
  for (std::size_t h = 0; h < heads; ++h) {
    const Matrix<double> q = normals(n, d, random);
    Matrix<double> k = normals(n, d, random);
    if (changed_key < n)
      for (std::size_t j = 0; j < d; ++j) k(changed_key, j) += 3;
    in.products.push_back(scaled(times_transposed(q, k), 1 / std::sqrt(static_cast<double>(d))));
    const double slope = std::exp2(-8 * static_cast<double>(h + 1) / static_cast<double>(heads));
    Matrix<double> bias(n, n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j <= i; ++j) bias(i, j) = -slope * static_cast<double>(i - j);
    in.bias.push_back(std::move(bias));
  }
  return in;
}

/// Largest change of rows before `key` of the scores.
double change_before(std::span<const Matrix<double>> a, std::span<const Matrix<double>> b, std::size_t key) {
  double largest = 0;
  for (std::size_t h = 0; h < a.size(); ++h)
    for (std::size_t i = 0; i < key; ++i)
      for (std::size_t j = 0; j <= i; ++j) largest = std::max(largest, std::abs(a[h](i, j) - b[h](i, j)));
  return largest;
}

/// The convolutions without the cut, to show what it is there for.
std::vector<Matrix<double>> uncut(const Inputs& in, const DapeNet& net) {
  std::vector<Matrix<double>> channels;
  for (const auto* list : {&in.products, &in.bias})
    for (const Matrix<double>& x : *list) channels.push_back(x.copy());
  return added_scores(std::move(channels), net);
}

}  // namespace

void run_dape(StudyResult& result, std::uint64_t seed, const Arena& arena) {
  constexpr std::size_t kTokens = 24, kWidth = 8, kHeads = 4, kHidden = 32, kKernel = 3;
  Random random(seed);
  DapeNet net{kHeads,
              kHidden,
              kKernel,
              true,
              normals(kHidden, 2 * kHeads * kKernel, random, 0.2),
              {},
              normals(kHeads, kHidden * kKernel, random, 0.2),
              {}};
  net.b1.assign(kHidden, 0.1);
  net.b2.assign(kHeads, -0.1);
  const Random draw(seed, 1);
  const Inputs base = draw_inputs(kTokens, kWidth, kHeads, kTokens, draw);
  const auto scores = dape_scores(base.products, base.bias, net);
  const auto open = uncut(base, net);
  std::vector<double> cut_change(kTokens), open_change(kTokens);
  arena.parallel_for(kTokens, [&](std::size_t key) {
    const Inputs in = draw_inputs(kTokens, kWidth, kHeads, key, draw);
    cut_change[key] = change_before(scores, dape_scores(in.products, in.bias, net), key);
    open_change[key] = change_before(open, uncut(in, net), key);
  });
  result.table = {"Largest change of the scores of earlier rows when one key is changed",
                  {"key", "cut to the lower triangle first", "not cut"},
                  {}};
  for (std::size_t key = 1; key < kTokens; key += 5)
    result.table.rows.push_back({static_cast<double>(key), cut_change[key], open_change[key]});
  const double cut = std::ranges::max(cut_change), leak = std::ranges::max(open_change);
  result.holds = cut == 0 && leak > 0;
  result.measured =
      fmt::format("earlier rows change by {} when a key changes, by {:.2f} without the cut", cut, leak);
}

}  // namespace studies
}  // namespace telos::positional
