#include "tests/nn/example_graph.h"

#include <cmath>
#include <string>

#include "telos/base/philox.h"
#include "telos/nn/operations.h"

namespace telos::nn::table {
namespace {

using reference::Tape;
using reference::Var;

double draw(Random& random, const Input& input) {
  if (input.low == input.high) return random.normal();
  const double x = input.low + (input.high - input.low) * random.uniform();
  return input.kind == Input::Kind::kIndex ? std::floor(x) : x;
}

}  // namespace

ExampleGraph::ExampleGraph(const Example& e, std::size_t n, std::uint64_t seed) : example(e), samples(n) {
  for (std::size_t i = 0; i < e.inputs.size(); ++i)
    if (e.inputs[i].kind != Input::Kind::kIndex)
      layout.add("p" + std::to_string(i), e.inputs[i].rows, e.inputs[i].cols);
  graph = std::make_unique<Graph>(layout);

  Random random(seed);
  std::vector<Value> inputs;
  for (std::size_t i = 0; i < e.inputs.size(); ++i) {
    const Input& input = e.inputs[i];
    const std::string name = std::to_string(i);
    if (input.kind == Input::Kind::kIndex) {
      inputs.push_back(graph->index_input("x" + name, input.rows));
      auto& numbers = index.emplace_back();
      for (std::size_t k = 0; k < n * input.rows; ++k)
        numbers.push_back(static_cast<std::int32_t>(draw(random, input)));
      continue;
    }
    const Value parameter = graph->parameter("p" + name);
    const bool with_batch = input.kind == Input::Kind::kBatch;
    for (std::size_t k = 0; k < input.rows * input.cols; ++k)
      values.push_back(with_batch ? 0.1 * random.normal() : draw(random, input));
    if (!with_batch) {
      inputs.push_back(parameter);
      continue;
    }
    inputs.push_back(add(*graph, graph->input("x" + name, input.rows, input.cols), parameter));
    auto& numbers = real.emplace_back();
    for (std::size_t k = 0; k < n * input.rows * input.cols; ++k) numbers.push_back(draw(random, input));
  }

  Value result = e.build(*graph, inputs);
  shape = graph->shape(result);
  graph->output("result", result);
  const auto extra_input = [&](const std::string& name) {
    auto& numbers = real.emplace_back();
    for (std::size_t k = 0; k < n * shape.rows * shape.cols; ++k) numbers.push_back(random.uniform());
    return graph->input(name, shape.rows, shape.cols);
  };
  is_loss_ = shape == Shape{.rows = 1, .cols = 1, .batch = true, .index = false};
  if (!is_loss_) {
    if (!shape.batch) result = add(*graph, extra_input("offset"), result);
    result = binary_cross_entropy(*graph, result, extra_input("target"));
  }
  graph->loss(result);
}

template <class T>
Batch<T> ExampleGraph::samples_in(std::vector<Matrix<T>>& storage) const {
  Batch<T> batch;
  batch.samples = samples;
  for (const auto& numbers : real) {
    Matrix<T>& m = storage.emplace_back(1, numbers.size());
    std::copy(numbers.begin(), numbers.end(), m.data());
  }
  std::size_t next = 0;
  const auto view = [&](std::size_t rows, std::size_t cols) {
    batch.real.push_back({storage[next++].data(), samples * rows, cols});
  };
  for (const Input& input : example.inputs)
    if (input.kind == Input::Kind::kBatch) view(input.rows, input.cols);
  while (next < real.size()) view(shape.rows, shape.cols);
  for (const auto& numbers : index) batch.index.push_back(numbers);
  return batch;
}
template Batch<float> ExampleGraph::samples_in(std::vector<Matrix<float>>&) const;
template Batch<double> ExampleGraph::samples_in(std::vector<Matrix<double>>&) const;

/// `number(i)` is parameter i as a T.
template <class T, class Number>
Arguments<T> ExampleGraph::arguments(std::size_t sample, const Number& number) const {
  Arguments<T> out;
  std::size_t next_real = 0, next_index = 0, offset = 0;
  for (const Input& input : example.inputs) {
    Argument<T>& argument = out.emplace_back();
    if (input.kind == Input::Kind::kIndex) {
      const auto& numbers = index[next_index++];
      for (std::size_t r = 0; r < input.rows; ++r)
        argument.indices.push_back(numbers[sample * input.rows + r]);
      continue;
    }
    const std::size_t size = input.rows * input.cols;
    const bool with_batch = input.kind == Input::Kind::kBatch;
    for (std::size_t r = 0; r < input.rows; ++r) {
      auto& row = argument.value.emplace_back();
      for (std::size_t c = 0; c < input.cols; ++c) {
        const std::size_t k = r * input.cols + c;
        const T p = number(offset + k);
        row.push_back(with_batch ? T(real[next_real][sample * size + k]) + p : p);
      }
    }
    offset += size;
    next_real += with_batch ? 1 : 0;
  }
  return out;
}

ref::Mat<double> ExampleGraph::result() const {
  ref::Mat<double> out;
  for (std::size_t sample = 0; sample < (shape.batch ? samples : 1); ++sample)
    for (auto& row : example.in_double(arguments<double>(sample, [&](std::size_t i) { return values[i]; })))
      out.push_back(std::move(row));
  return out;
}

double ExampleGraph::loss_on_tape(std::vector<double>& gradient) const {
  gradient.assign(values.size(), 0);
  double loss = 0;
  for (std::size_t sample = 0; sample < samples; ++sample) {
    Tape tape;
    std::vector<Var> parameters;
    for (const double value : values) parameters.push_back(tape.variable(value));
    ref::Mat<Var> y = example.on_tape(arguments<Var>(sample, [&](std::size_t i) { return parameters[i]; }));
    Var one = y[0][0];
    if (!is_loss_) {
      // The last real input holds the targets, the one before it what a result without batch is added to.
      const std::size_t size = shape.rows * shape.cols;
      ref::Mat<Var> target = y;
      for (std::size_t r = 0; r < shape.rows; ++r)
        for (std::size_t c = 0; c < shape.cols; ++c) {
          const std::size_t k = sample * size + r * shape.cols + c;
          target[r][c] = Var(real.back()[k]);
          if (!shape.batch) y[r][c] += Var(real[real.size() - 2][k]);
        }
      one = ref::binary_cross_entropy(y, target, 0);
    }
    loss += one.value / static_cast<double>(samples);
    const std::vector<double> d = tape.backward(one);
    for (std::size_t i = 0; i < gradient.size(); ++i)
      gradient[i] += d[parameters[i].index] / static_cast<double>(samples);
  }
  return loss;
}

}  // namespace telos::nn::table
