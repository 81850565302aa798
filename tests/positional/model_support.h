#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "reference/positional.h"
#include "telos/base/philox.h"
#include "telos/nn/executor.h"
#include "telos/positional/model.h"

namespace telos::positional::test {

namespace ref = telos::reference::positional;

/// The same model for the reference.
inline ref::Shape shape_of(const ModelConfig& c) {
  ref::Shape s;
  s.mixer = static_cast<ref::Shape::Mixer>(c.mixer);
  s.source = static_cast<ref::Shape::Source>(c.source);
  s.input_positions = c.input_positions;
  s.rope = static_cast<ref::Shape::Rope>(c.rope);
  s.direct_logits = c.direct_logits;
  s.hard = c.hard;
  s.bias = c.bias;
  s.vocabulary = c.vocabulary;
  s.nodes = c.nodes;
  s.scratch = c.scratch;
  s.in_dim = c.in_dim;
  s.out_dim = c.out_dim;
  s.width = c.width;
  s.heads = c.heads;
  s.hidden = c.hidden;
  s.mlp_layers = c.mlp_layers;
  s.layers = c.depth();
  s.encoding = static_cast<ref::Shape::Encoding>(c.encoding);
  s.encoding_dim = c.encoding_dim;
  return s;
}

/// Samples of `length` data positions: S·in_dim numbers each, scratch positions 0, and targets alike. Token
/// ids and classes lie in `tokens` and `classes`.
struct Samples {
  std::size_t count = 0, length = 0, positions = 0;
  Matrix<double> x{}, target{};
  std::vector<std::int32_t> tokens{}, classes{};
};

inline Samples random_samples(const ModelConfig& config, std::size_t length, std::size_t count,
                              std::uint64_t seed) {
  Samples s{.count = count, .length = length, .positions = length + config.scratch};
  s.x = Matrix<double>(count * s.positions, config.in_dim);
  s.target = Matrix<double>(count * s.positions, config.out_dim);
  for (std::size_t row = 0; row < s.x.rows(); ++row) {
    Random rng(seed, 7, row);
    const bool data = row % s.positions < length;
    for (std::size_t c = 0; c < config.in_dim; ++c) s.x(row, c) = data ? rng.normal() : 0;
    for (std::size_t c = 0; c < config.out_dim; ++c) s.target(row, c) = data ? rng.normal() : 0;
    if (config.vocabulary > 0)
      s.tokens.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint32_t>(config.vocabulary))));
    s.classes.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint32_t>(config.out_dim))));
  }
  return s;
}

template <class T>
Matrix<T> converted(const Matrix<double>& from) {
  Matrix<T> to(from.rows(), from.cols());
  for (std::size_t i = 0; i < from.size(); ++i) to.data()[i] = static_cast<T>(from.data()[i]);
  return to;
}

/// Loss, gradient and outputs of the engine.
template <class T>
struct Pass {
  double loss = 0;
  std::vector<T> gradient{};
  Matrix<T> y{};
};

template <class T>
Pass<T> run_engine(const Model& model, const Samples& s, GraphOptions options, int threads = 1) {
  if (options.loss == GraphOptions::Loss::kNone) options.loss = GraphOptions::Loss::kMse;
  options.length = s.length;
  const nn::Graph graph = build_graph(model.config, model.layout, options);
  nn::Executor<T> executor(graph);
  const std::vector<T> parameters(model.values.begin(), model.values.end());
  const Matrix<T> x = converted<T>(s.x), target = converted<T>(s.target);
  nn::Batch<T> batch{.samples = s.count};
  if (model.config.vocabulary > 0)
    batch.index.push_back(s.tokens);
  else
    batch.real.push_back(x);
  if (options.loss == GraphOptions::Loss::kCrossEntropy)
    batch.index.push_back(s.classes);
  else
    batch.real.push_back(target);
  const Arena arena(threads);
  Pass<T> pass;
  pass.gradient.resize(parameters.size());
  pass.loss = executor.gradient(parameters, batch, pass.gradient, arena);
  pass.y = Matrix<T>(s.count * s.positions, model.config.out_dim);
  const MatrixView<T> views[] = {pass.y.view()};
  executor.forward(parameters, batch, views, arena);
  return pass;
}

template <class T>
double norm(std::span<const T> values) {
  double sum = 0;
  for (const T x : values) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum);
}

/// ‖a − b‖/‖b‖.
template <class T, class U>
double relative_difference(std::span<const T> a, std::span<const U> b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    size += std::pow(static_cast<double>(b[i]), 2);
  }
  return size > 0 ? std::sqrt(difference / size) : std::sqrt(difference);
}

template <class T>
std::span<const T> part(const std::vector<T>& values, const nn::ParameterInfo& p) {
  return std::span<const T>(values).subspan(p.offset, p.size());
}

// ---- The published nets of the numeric oracles

/// Parameter k = 0.9·sin(7.3·(k + 1)).
inline std::vector<double> sine_parameters(std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t k = 0; k < count; ++k) values[k] = 0.9 * std::sin(7.3 * static_cast<double>(k + 1));
  return values;
}

/// s ← (1664525 s + 1013904223) mod 2^32 from 12345; 0.25·(s/2^31 − 1).
inline std::vector<double> generator_parameters(std::size_t count) {
  std::vector<double> values(count);
  std::uint32_t s = 12345;
  for (double& x : values) {
    s = 1664525u * s + 1013904223u;
    x = 0.25 * (static_cast<double>(s) / 2147483648.0 - 1);
  }
  return values;
}

inline ModelConfig toy_config(const char* kind) {
  return with_kind({.nodes = 3, .scratch = 1, .width = 4, .heads = 2, .hidden = 3, .layers = 2}, kind);
}

inline Samples cumulative_sums(std::size_t nodes, const std::vector<double>& entries) {
  Samples s{.count = entries.size() / (nodes + 1), .length = nodes, .positions = nodes + 1};
  s.x = Matrix<double>(entries.size(), 1);
  s.target = Matrix<double>(entries.size(), 1);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    s.x(i, 0) = entries[i];
    const std::size_t position = i % (nodes + 1);
    if (position < nodes) s.target(i, 0) = entries[i] + (position > 0 ? s.target(i - 1, 0) : 0);
  }
  return s;
}
inline Samples toy_samples() {
  return cumulative_sums(3, {.5, -1.25, 2, 0, -.75, .1, 1.5, 0});
}

// ---- The reference on the same samples

struct ReferencePass {
  double loss = 0;
  std::vector<double> gradient{}, y{};
};

/// Mean loss over the samples, its gradient by the tape, and the outputs.
inline ReferencePass run_reference(const Model& model, const Samples& s,
                                   GraphOptions::Loss loss_kind = GraphOptions::Loss::kMse,
                                   std::size_t loss_rows = 0) {
  using reference::Var;
  namespace rnn = reference::nn;
  reference::Tape tape;
  std::vector<Var> values;
  for (const double v : model.values) values.push_back(tape.variable(v));
  const ref::Shape shape = shape_of(model.config);
  const auto weights = ref::weights_from(shape, values);
  Var loss = 0;
  ReferencePass pass;
  const std::size_t rows = loss_rows == 0 ? s.length : loss_rows;
  for (std::size_t n = 0; n < s.count; ++n) {
    rnn::Mat<double> x;
    rnn::Mat<Var> target;
    rnn::Indices tokens, classes;
    for (std::size_t i = n * s.positions; i < (n + 1) * s.positions; ++i) {
      x.emplace_back(s.x.row(i), s.x.row(i) + s.x.cols());
      target.emplace_back(s.target.row(i), s.target.row(i) + s.target.cols());
      classes.push_back(s.classes.empty() ? 0 : s.classes[i]);
      if (model.config.vocabulary > 0) tokens.push_back(s.tokens[i]);
    }
    const rnn::Mat<Var> y = model.config.vocabulary > 0 ? ref::forward(shape, weights, tokens, s.length)
                                                        : ref::forward(shape, weights, x, s.length);
    for (const auto& row : y)
      for (const Var& v : row) pass.y.push_back(v.value);
    const Var one = loss_kind == GraphOptions::Loss::kCrossEntropy ? rnn::cross_entropy(y, classes, rows)
                                                                   : rnn::mean_squared_error(y, target, rows);
    loss += one * Var(1 / static_cast<double>(s.count));
  }
  pass.loss = loss.value;
  const std::vector<double> all = tape.backward(loss);
  for (const Var& v : values) pass.gradient.push_back(all[v.index]);
  return pass;
}

}  // namespace telos::positional::test
