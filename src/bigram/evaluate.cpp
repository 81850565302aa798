// What a model is worth, on a task or on samples.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "bigram/train_parts.h"
#include "telos/base/error.h"
#include "telos/bigram/data.h"

namespace telos::bigram {
namespace {

/// Of models whose weights are all above or below 0: what counts, over the largest of a column.
constexpr double kShareOfLargest = 0.25;

void require_fit(const Model& model, std::size_t tokens, std::size_t length, const char* what) {
  const auto is = [](const Matrix<double>& m, std::size_t rows, std::size_t cols) {
    return m.rows() == rows && m.cols() == cols;
  };
  if (is(model.v, tokens, tokens) && is(model.a, tokens, length)) return;
  throw Error(ErrorKind::kShape, "model",
              fmt::format("V is {} × {} and A {} × {}, but {} {} tokens and {} positions", model.v.rows(),
                          model.v.cols(), model.a.rows(), model.a.cols(), what, tokens, length),
              "a model and its task have the same N and T");
}

SparseColumn column_of_model(std::span<const double> a) {
  SparseColumn column;
  if (std::ranges::find(a, 0.0) == a.end()) {
    column.positions = find_support(a, 1, kShareOfLargest).positions;
  } else {
    for (std::size_t t = 0; t < a.size(); ++t)
      if (a[t] != 0) column.positions.push_back(static_cast<std::uint32_t>(t));
  }
  for (const std::uint32_t t : column.positions) column.weights.push_back(a[t]);
  return column;
}

Evaluation evaluation_of(const Sampler& sampler, const Model& model, std::uint64_t held_out,
                         std::span<const double> mu, const Arena& arena) {
  Evaluation e;
  const Loss loss = held_out_loss(sampler, model, held_out, arena, mu);
  e.held_out = loss.mean;
  e.held_out_error = loss.error;
  e.gain = loss.gain;
  e.gain_error = loss.gain_error;
  e.samples = held_out;
  const double norm = values_norm(model.v, mu);
  e.knowledge = norm * norm;
  for (std::size_t k = 0; k < model.a.rows(); ++k)
    e.columns.push_back(column_of_model({model.a.row(k), model.a.cols()}));
  return e;
}

}  // namespace

Evaluation evaluate(const Instance& instance, const Model& model, std::uint64_t held_out, std::uint64_t seed,
                    const Arena& arena) {
  require_fit(model, instance.tokens(), instance.length, "the task has");
  Evaluation e = evaluation_of(Sampler(instance, seed), model, held_out, instance.mu, arena);
  e.population = population_loss(instance, model);
  e.signals = signals(instance, model);
  e.excess = excess(constants(instance), instance.length, e.signals);
  for (std::size_t k = 0; k < instance.tokens(); ++k)
    e.exact.push_back(e.columns[k].positions == instance.q[k].positions);
  return e;
}

Evaluation evaluate(const Samples& samples, const Model& model, const Arena& arena) {
  require_fit(model, samples.tokens, samples.length, "the samples have");
  SampleSplit all;
  all.held_out.resize(samples.size());
  std::iota(all.held_out.begin(), all.held_out.end(), 0u);
  const Instance task = unknown_task(samples, all.held_out, arena);
  return evaluation_of(Sampler(samples, all), model, samples.size(), task.mu, arena);
}

}  // namespace telos::bigram
