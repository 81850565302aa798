#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "bigram/studies/causal_structure.h"
#include "telos/base/log.h"
#include "telos/linalg/vecmath.h"

namespace telos::bigram::studies::causal {
namespace {

constexpr std::uint32_t kTraining = 30;  // stream
constexpr std::size_t kGroups = 16;      ///< sums of a batch that are formed side by side
constexpr std::size_t kMilestones = 25;

void add(double factor, const Matrix<double>& x, Matrix<double>& y) {
  for (std::size_t e = 0; e < x.size(); ++e) y.data()[e] += factor * x.data()[e];
}

void add(double factor, const Network& x, Network& y) {
  add(factor, x.a1, y.a1);
  add(factor, x.a2, y.a2);
  add(factor, x.w, y.w);
}

}  // namespace

Training train(const Graph& graph, const TrainingOptions& o, std::uint64_t seed, const Arena& arena) {
  Training training{zero_network(o.symbols, o.length), {}};
  Milestone next;
  std::size_t since = 0;
  for (std::size_t step = 0; step < o.steps; ++step) {
    check_interrupt();
    std::array<Network, kGroups> sums;
    std::array<double, kGroups> losses{};
    arena.parallel_for(kGroups, [&](std::size_t group) {
      sums[group] = zero_network(o.symbols, o.length);
      for (std::size_t s = group; s < o.batch; s += kGroups)
        losses[group] += loss_and_gradient(
            training.network,
            draw_sequence(graph, o.symbols, o.alpha, Random(seed, kTraining, step * o.batch + s)),
            sums[group]);
    });
    const double left = 1 - static_cast<double>(step) / static_cast<double>(o.steps);
    for (std::size_t group = 0; group < kGroups; ++group) {
      add(-o.rate * left / static_cast<double>(o.batch), sums[group], training.network);
      next.loss += losses[group] / static_cast<double>(o.batch);
    }
    next.step = step + 1;
    if (next.step * kMilestones / o.steps == step * kMilestones / o.steps) continue;
    next.loss /= static_cast<double>(next.step - since);
    next.rows = rows_found(graph, position_attention(training.network));
    since = next.step;
    training.course.push_back(std::exchange(next, {}));
  }
  return training;
}

Matrix<double> position_attention(const Network& network) {
  const std::size_t symbols = network.w.cols(), length = network.a1.rows() - symbols;
  Matrix<double> attention(length, length);
  for (std::size_t i = 0; i < length; ++i)
    std::copy_n(network.a1.row(symbols + i) + symbols, length, attention.row(i));
  attention_softmax<double>(attention, 1, length, true);
  return attention;
}

std::size_t rows_with_parent(const Graph& graph) {
  return static_cast<std::size_t>(std::ranges::count_if(graph, [](int parent) { return parent >= 0; }));
}

std::size_t rows_found(const Graph& graph, ConstMatrixView<double> attention) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const double* row = attention.row(i);
    found += graph[i] >= 0 && std::max_element(row, row + i + 1) - row == graph[i];
  }
  return found;
}

}  // namespace telos::bigram::studies::causal
