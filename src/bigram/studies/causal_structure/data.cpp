#include <cmath>
#include <numeric>

#include "bigram/dirichlet.h"
#include "bigram/studies/causal_structure.h"
#include "telos/bigram/instance.h"

namespace telos::bigram::studies::causal {
namespace {

Matrix<double> transposed(ConstMatrixView<double> m) {
  Matrix<double> t(m.cols(), m.rows());
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t j = 0; j < m.cols(); ++j) t(j, i) = m(i, j);
  return t;
}

std::uint32_t draw(const double* law, std::size_t size, Random& random) {
  double left = random.uniform();
  std::uint32_t i = 0;
  while (i + 1 < size && left >= law[i]) left -= law[i++];
  return i;
}

Matrix<double> power(ConstMatrixView<double> pi, std::size_t exponent) {
  const std::size_t n = pi.rows();
  Matrix<double> result(n, n);
  for (std::size_t s = 0; s < n; ++s) result(s, s) = 1;
  for (std::size_t step = 0; step < exponent; ++step) {
    Matrix<double> next(n, n);
    for (std::size_t s = 0; s < n; ++s)
      for (std::size_t m = 0; m < n; ++m)
        for (std::size_t o = 0; o < n; ++o) next(s, o) += result(s, m) * pi(m, o);
    result = std::move(next);
  }
  return result;
}

/// Σ μ_s a_ss' b_ss'/μ_s' − 1.
double information(ConstMatrixView<double> pi, ConstMatrixView<double> a, ConstMatrixView<double> b) {
  const std::vector<double> mu = stationary(transposed(pi));
  double sum = -1;
  for (std::size_t s = 0; s < mu.size(); ++s)
    for (std::size_t o = 0; o < mu.size(); ++o) sum += mu[s] * a(s, o) * b(s, o) / mu[o];
  return sum;
}

}  // namespace

Graph make_graph(GraphKind kind, std::size_t length, Random random) {
  Graph graph;
  for (std::uint32_t i = 0; i + 1 < length; ++i) {
    const int before = static_cast<int>(i) - 1;
    if (kind == GraphKind::kChain) graph.push_back(before);
    if (kind == GraphKind::kPairs) graph.push_back(i % 2 == 0 ? -1 : before);
    if (kind == GraphKind::kRandom) graph.push_back(i == 0 ? -1 : static_cast<int>(random.below(i)));
  }
  return graph;
}

Sequence draw_tokens(const Graph& graph, ConstMatrixView<double> pi, std::span<const double> mu,
                     Random& random) {
  const std::size_t symbols = pi.rows();
  Sequence sequence;
  for (const int parent : graph) {
    const double* law = parent < 0 ? mu.data() : pi.row(sequence.tokens[static_cast<std::size_t>(parent)]);
    sequence.tokens.push_back(draw(law, symbols, random));
  }
  const std::uint32_t last = random.below(static_cast<std::uint32_t>(symbols));
  sequence.tokens.push_back(last);
  sequence.target.assign(pi.row(last), pi.row(last) + symbols);
  return sequence;
}

Sequence draw_sequence(const Graph& graph, std::size_t symbols, double alpha, Random random) {
  Matrix<double> pi(symbols, symbols);
  for (std::size_t s = 0; s < symbols; ++s) {
    for (std::size_t o = 0; o < symbols; ++o) pi(s, o) = log_gamma_variate(random, alpha);
    normalise_logs({pi.row(s), symbols});
  }
  return draw_tokens(graph, pi, stationary(transposed(pi)), random);
}

double chi_square_information(ConstMatrixView<double> pi, std::size_t lag) {
  const Matrix<double> later = power(pi, lag);
  return information(pi, later, later);
}

double first_gradient(ConstMatrixView<double> pi, std::size_t lag) {
  return information(pi, pi, power(pi, lag));
}

std::vector<double> bayes_answer(const Graph& graph, const Sequence& sequence, double alpha) {
  std::vector<double> counts(sequence.target.size(), alpha);
  for (std::size_t i = 0; i < graph.size(); ++i)
    if (graph[i] >= 0 && sequence.tokens[static_cast<std::size_t>(graph[i])] == sequence.tokens.back())
      counts[sequence.tokens[i]] += 1;
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  for (double& count : counts) count /= total;
  return counts;
}

double cross_entropy(std::span<const double> target, std::span<const double> answer) {
  double sum = 0;
  for (std::size_t s = 0; s < target.size(); ++s)
    if (target[s] > 0) sum -= target[s] * std::log(answer[s]);
  return sum;
}

}  // namespace telos::bigram::studies::causal
