// Outputs and attention matrices of a model.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "positional/graph_builder.h"
#include "positional/model_parts.h"
#include "telos/base/error.h"
#include "telos/base/log.h"
#include "telos/nn/executor.h"
#include "telos/positional/model.h"

namespace telos::positional {
namespace {

/// Samples of one forward pass of evaluate(): bounds its memory.
constexpr std::size_t kEvaluationBatch = 4096;

/// Token ids as whole numbers.
void check_tokens(ConstMatrixView<double> x, std::vector<std::int32_t>& out, std::size_t vocabulary) {
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) {
      const double id = x(i, j);
      if (!(id >= 0 && id < static_cast<double>(vocabulary) && id == std::floor(id)))
        throw Error(ErrorKind::kUsage, fmt::format("sample {}, position {}", i, j),
                    fmt::format("{} is not a token id below {}", id, vocabulary));
      out.push_back(static_cast<std::int32_t>(id));
    }
}

template <class T>
Matrix<T> converted(ConstMatrixView<double> x, std::size_t rows, std::size_t cols) {
  Matrix<T> out(rows, cols);
  T* to = out.data();
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) *to++ = static_cast<T>(x(i, j));
  return out;
}

}  // namespace

std::vector<std::vector<Matrix<double>>> attention_matrices(const Model& model, std::size_t length) {
  const ModelConfig& config = model.config;
  check(config);
  if (!has_fixed_attention(config))
    throw Error(
        ErrorKind::kUsage, "attention matrices",
        fmt::format("a model of kind {} has none of its own: {}", kind_of(config),
                    config.mixer == ModelConfig::Mixer::kAttention ? "its attention depends on the input"
                                                                   : "it has no attention"));
  length = checked_length(config, length);
  const std::size_t s = length + config.scratch;
  nn::Graph graph(model.layout);
  GraphBuilder builder(graph, config, length);
  std::vector<Matrix<double>> stacks;
  std::vector<MatrixView<double>> views;
  for (std::size_t l = 0; l < config.depth(); ++l) {
    graph.output(fmt::format("attention {}", l), builder.fixed_attention(l));
    views.push_back(stacks.emplace_back(config.heads * s, s));
  }
  const Arena serial(1);
  nn::Executor<double>(graph, {.threads = 1}).forward(model.values, {.samples = 1}, views, serial);
  std::vector<std::vector<Matrix<double>>> all(config.depth());
  for (std::size_t l = 0; l < all.size(); ++l)
    for (std::size_t h = 0; h < config.heads; ++h)
      std::copy_n(stacks[l].row(h * s), s * s, all[l].emplace_back(s, s).data());
  return all;
}

// Plain plans: the weights as they are, so that a compiled program's exactness, which is proven for them,
// holds.
template <class T>
Matrix<double> evaluate(const Model& model, ConstMatrixView<double> x, std::size_t length,
                        const Arena& arena) {
  const ModelConfig& config = model.config;
  check(config);
  length = checked_length(config, length);
  const std::size_t s = length + config.scratch;
  if (x.cols() != s * config.in_dim)
    throw Error(ErrorKind::kShape, "evaluate",
                fmt::format("samples of {} numbers, expected {} positions x {}", x.cols(), s, config.in_dim));
  GraphOptions options{.length = length};
  options.plans.assign(config.depth(), LayerPlan::kPlain);
  const nn::Graph graph = build_graph(config, model.layout, options);
  nn::Executor<T> executor(graph, {.threads = static_cast<std::size_t>(arena.threads())});
  std::vector<T> parameters(model.values.size());
  std::transform(model.values.begin(), model.values.end(), parameters.begin(),
                 [](double value) { return static_cast<T>(value); });
  Matrix<double> y(x.rows(), s * config.out_dim);
  for (std::size_t first = 0; first < x.rows(); first += kEvaluationBatch) {
    check_interrupt();
    const std::size_t count = std::min(kEvaluationBatch, x.rows() - first);
    const ConstMatrixView<double> part = x.block(first, 0, count, x.cols());
    std::vector<std::int32_t> tokens;
    Matrix<T> input, output(count * s, config.out_dim);
    nn::Batch<T> batch{.samples = count};
    if (config.vocabulary > 0) {
      check_tokens(part, tokens, config.vocabulary);
      batch.index.push_back(tokens);
    } else {
      input = converted<T>(part, count * s, config.in_dim);
      batch.real.push_back(input);
    }
    const std::array<MatrixView<T>, 1> outputs{output.view()};
    executor.forward(parameters, batch, outputs, arena);
    std::copy_n(output.data(), output.size(), y.row(first));
  }
  return y;
}
template Matrix<double> evaluate<float>(const Model&, ConstMatrixView<double>, std::size_t, const Arena&);
template Matrix<double> evaluate<double>(const Model&, ConstMatrixView<double>, std::size_t, const Arena&);

}  // namespace telos::positional
