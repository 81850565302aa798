#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>

#include "positional/lab_parts.h"
#include "telos/base/error.h"
#include "telos/base/philox.h"
#include "telos/nn/operations.h"

namespace telos::positional {
namespace {

using nn::Graph;
using nn::ParameterLayout;
using nn::Value;

std::string name_in(std::size_t layer, const char* part) {
  return fmt::format("layers.{}.{}", layer, part);
}

// ---- The blocks that k-hop was published with

ParameterLayout hop_layout(const HopModel& m, std::size_t vocabulary, std::size_t rows) {
  const std::size_t d = m.width;
  ParameterLayout layout;
  layout.add("wte.weight", vocabulary, d, false);
  layout.add("wpe.weight", rows, d, false);
  layout.add("head.weight", vocabulary, d, true);
  for (std::size_t l = 0; l < m.layers; ++l) {
    layout.add(name_in(l, "qk.weight"), 2 * d, d, true);
    layout.add_vector(name_in(l, "qk.bias"), 2 * d);
    layout.add(name_in(l, "v.weight"), d, d, true);
    layout.add_vector(name_in(l, "v.bias"), d);
    layout.add(name_in(l, "o.weight"), d, d, true);
    layout.add_vector(name_in(l, "o.bias"), d);
    layout.add(name_in(l, "mlp.0.weight"), 4 * d, d, true);
    layout.add_vector(name_in(l, "mlp.0.bias"), 4 * d);
    layout.add(name_in(l, "mlp.2.weight"), d, 4 * d, true);
    layout.add_vector(name_in(l, "mlp.2.bias"), d);
  }
  return layout;
}

std::vector<double> hop_initial(const HopModel& m, const ParameterLayout& layout, std::uint64_t seed) {
  constexpr std::uint32_t kNetworkStream = 0x0103;
  std::vector<double> values(layout.size(), 0.0);
  for (std::size_t p = 0; p < layout.entries().size(); ++p) {
    const nn::ParameterInfo& info = layout[p];
    if (info.vector) continue;
    const bool into_residual = info.name.ends_with(".o.weight") || info.name.ends_with(".mlp.2.weight");
    const double deviation = into_residual ? 0.02 / std::sqrt(2 * static_cast<double>(m.layers)) : 0.02;
    Random rng(seed, kNetworkStream, p);
    for (std::size_t i = 0; i < info.size(); ++i)
      values[info.offset + i] = static_cast<double>(static_cast<float>(deviation * rng.normal()));
  }
  return values;
}

/// softmax_rows(Q_h K_hᵀ/√k) below the diagonal, from the position table alone, heads stacked. −1e9 is 0
/// after softmax.
Value causal_position_attention(Graph& graph, Value positions, std::size_t layer, std::size_t heads,
                                std::size_t rows, std::size_t d) {
  const std::size_t k = d / heads;
  Matrix<double> mask(rows, rows);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = i + 1; j < rows; ++j) mask(i, j) = -1e9;
  const Value masked = graph.constant(mask);
  const Value qk = nn::linear(graph, {positions}, graph.parameter(name_in(layer, "qk.weight")),
                              graph.parameter(name_in(layer, "qk.bias")));
  std::vector<Value> logits;
  for (std::size_t h = 0; h < heads; ++h) {
    const Value q = nn::slice(graph, qk, 0, 2 * h * k, rows, k);
    const Value key = nn::slice(graph, qk, 0, (2 * h + 1) * k, rows, k);
    const Value scores = nn::matmul(graph, Op::kPlain, q, Op::kTransposed, key);
    logits.push_back(nn::add(graph, nn::scale(graph, scores, 1 / std::sqrt(static_cast<double>(k))), masked));
  }
  return nn::softmax_rows(graph, nn::stack_rows(graph, std::move(logits)));
}

/// x + W_o·attention(x).
Value hop_attention(Graph& graph, const HopModel& m, Value x, Value positions, std::size_t layer,
                    std::size_t rows) {
  const auto parameter = [&](const char* part) { return graph.parameter(name_in(layer, part)); };
  const Value v = nn::linear(graph, {x}, parameter("v.weight"), parameter("v.bias"));
  Value mixed{};
  if (m.positional) {
    const Value a = causal_position_attention(graph, positions, layer, m.heads, rows, m.width);
    mixed = nn::mix(graph, a, v, nn::MixForm::kSplit);
  } else {
    const Value qk = nn::linear(graph, {x}, parameter("qk.weight"), parameter("qk.bias"));
    mixed = nn::attention(graph, qk, v, {.heads = m.heads, .causal = true});
  }
  return nn::add(graph, x, nn::linear(graph, {mixed}, parameter("o.weight"), parameter("o.bias")));
}

Value hop_block(Graph& graph, const HopModel& m, Value x, Value positions, std::size_t layer,
                std::size_t rows) {
  const auto parameter = [&](const char* part) { return graph.parameter(name_in(layer, part)); };
  x = hop_attention(graph, m, x, positions, layer, rows);
  const Value hidden =
      nn::linear(graph, {x}, parameter("mlp.0.weight"), parameter("mlp.0.bias"), Activation::kGeluTanh);
  return nn::add(graph, x, nn::linear(graph, {hidden}, parameter("mlp.2.weight"), parameter("mlp.2.bias")));
}

Graph hop_graph(const HopModel& m, const ParameterLayout& layout, std::size_t rows, bool with_loss) {
  Graph graph(layout);
  const Value tokens = graph.index_input("x", rows);
  const Value positions = graph.parameter("wpe.weight");
  Value x = nn::embedding(graph, tokens, graph.parameter("wte.weight"));
  if (!m.positional) x = nn::add(graph, x, positions);
  for (std::size_t l = 0; l < m.layers; ++l) x = hop_block(graph, m, x, positions, l, rows);
  const Value y = nn::linear(graph, {x}, graph.parameter("head.weight"));
  graph.output("y", y);
  if (with_loss) graph.loss(nn::cross_entropy(graph, y, graph.index_input("target", rows)));
  return graph;
}

}  // namespace

void check_hop_model(const HopModel& m) {
  constexpr std::size_t kMostLayers = 1024, kMostWidth = std::size_t{1} << 16;
  if (m.layers < 1 || m.layers > kMostLayers || m.heads < 1 || m.width < 1 || m.width > kMostWidth ||
      m.width % m.heads != 0)
    throw Error(ErrorKind::kUsage, "training, hop_model",
                fmt::format("layers {}, heads {}, width {}: expected 1 to {} layers, 1 to {} columns, and "
                            "heads that divide width",
                            m.layers, m.heads, m.width, kMostLayers, kMostWidth));
}

double parameter_estimate(const HopModel& m, const SampleShape& shape) {
  const double d = static_cast<double>(m.width), layers = static_cast<double>(m.layers);
  return d * static_cast<double>(2 * shape.vocabulary + shape.nodes) + layers * (12 * d * d + 9 * d);
}

GraphOptions graph_options(const SampleShape& shape, std::size_t length, std::size_t batch, bool with_loss) {
  using Loss = GraphOptions::Loss;
  GraphOptions options;
  options.length = length;
  options.batch = batch;
  options.loss_rows = shape.loss_rows;
  options.loss = !with_loss ? Loss::kNone : shape.classes ? Loss::kCrossEntropy : Loss::kMse;
  return options;
}

ModelConfig fit_model(ModelConfig config, const Task& task) {
  const SampleShape shape = task.shape();
  config.nodes = shape.nodes;
  config.in_dim = shape.in_dim;
  config.out_dim = shape.classes ? shape.classes_count : shape.out_dim;
  config.vocabulary = shape.tokens ? shape.vocabulary : 0;
  return config;
}

Network network_frame(const TrainSpec& spec, const Task& task) {
  const SampleShape shape = task.shape();
  if (spec.hop_model) {
    check_hop_model(*spec.hop_model);
    const auto layout =
        std::make_shared<const ParameterLayout>(hop_layout(*spec.hop_model, shape.vocabulary, shape.nodes));
    return {.layout = layout,
            .graph = [model = *spec.hop_model, layout](std::size_t length, std::size_t, bool with_loss) {
              return hop_graph(model, *layout, length, with_loss);
            }};
  }
  const auto layout = std::make_shared<const ParameterLayout>(positional::layout(spec.model));
  return {
      .layout = layout,
      .scratch = spec.model.scratch,
      .graph = [config = spec.model, layout, shape](std::size_t length, std::size_t batch, bool with_loss) {
        return build_graph(config, *layout, graph_options(shape, length, batch, with_loss));
      }};
}

Network network_of(const TrainSpec& spec, const Task& task, std::uint64_t seed) {
  Network network = network_frame(spec, task);
  network.initial = spec.hop_model ? hop_initial(*spec.hop_model, *network.layout, seed)
                                   : initial_model(spec.model, seed).values;
  return network;
}

}  // namespace telos::positional
