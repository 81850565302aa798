#include "nn/folded_network.h"

#include <string>
#include <utility>
#include <vector>

#include "telos/nn/operations.h"

namespace telos::bench {
namespace {

using nn::Graph;
using nn::Value;

std::string layer_name(std::size_t layer, const char* part) {
  return "layers." + std::to_string(layer) + "." + part;
}

// A layer's linear maps between two ReLUs: C_kᵀ (h × d) for k = 0 … H, and the constant c (1 × h).
struct Folded {
  std::vector<Value> maps;
  Value constant;
};

Folded fold_layer(Graph& graph, const NetworkSizes& n, std::size_t layer) {
  const auto parameter = [&](const char* part) { return graph.parameter(layer_name(layer, part)); };
  const std::size_t d = n.width, h = n.hidden, k = d / n.heads;
  const Value w1 = parameter("mlp.0.weight"), wv = parameter("v.weight"), wo = parameter("o.weight");
  const Value from_x = slice(graph, w1, 0, 0, h, d), from_o = slice(graph, w1, 0, d, h, d);
  const Value e = matmul(graph, Op::kPlain, from_o, Op::kPlain, wo);
  Folded folded{.maps = {from_x}, .constant = {}};
  for (std::size_t head = 0; head < n.heads; ++head)
    folded.maps.push_back(matmul(graph, Op::kPlain, slice(graph, e, 0, head * k, h, k), Op::kPlain,
                                 slice(graph, wv, head * k, 0, k, d)));
  const Value o =
      add(graph, matmul(graph, Op::kPlain, parameter("v.bias"), Op::kTransposed, wo), parameter("o.bias"));
  folded.constant =
      add(graph, matmul(graph, Op::kPlain, o, Op::kTransposed, from_o), parameter("mlp.0.bias"));
  return folded;
}

}  // namespace

nn::ParameterLayout network_layout(const NetworkSizes& n) {
  nn::ParameterLayout layout;
  layout.add("encoding.weight", n.width, 1);
  layout.add_vector("encoding.bias", n.width);
  layout.add("decoding.weight", 1, n.width);
  layout.add_vector("decoding.bias", 1);
  for (std::size_t l = 0; l < n.layers; ++l) {
    const std::size_t qk = 2 * n.heads * n.rows;
    layout.add(layer_name(l, "qk.weight"), qk, n.rows);
    layout.add_vector(layer_name(l, "qk.bias"), qk);
    for (const char* part : {"v", "o"}) {
      layout.add(layer_name(l, part) + ".weight", n.width, n.width);
      layout.add_vector(layer_name(l, part) + ".bias", n.width);
    }
    layout.add(layer_name(l, "mlp.0.weight"), n.hidden, 2 * n.width);
    layout.add_vector(layer_name(l, "mlp.0.bias"), n.hidden);
    layout.add(layer_name(l, "mlp.2.weight"), n.width, n.hidden);
    layout.add_vector(layer_name(l, "mlp.2.bias"), n.width);
  }
  return layout;
}

nn::Graph folded_network(const nn::ParameterLayout& layout, const NetworkSizes& n) {
  Graph graph(layout);
  Value u = graph.input("x", n.rows, 1);
  const Value target = graph.input("target", n.rows, 1);
  Matrix<double> identity(n.rows, n.rows);
  for (std::size_t i = 0; i < n.rows; ++i) identity(i, i) = 1;
  const Value positions = graph.constant(identity);

  // The linear map that ends what came before, out × in, and its bias.
  Value before = graph.parameter("encoding.weight"), before_bias = graph.parameter("encoding.bias");
  for (std::size_t l = 0; l < n.layers; ++l) {
    const Value attention =
        positional_attention(graph, positions, graph.parameter(layer_name(l, "qk.weight")),
                             graph.parameter(layer_name(l, "qk.bias")), n.heads);
    const Folded folded = fold_layer(graph, n, l);
    std::vector<Value> columns;
    Value sum = folded.maps[0];
    for (std::size_t k = 0; k < folded.maps.size(); ++k) {
      columns.push_back(matmul(graph, Op::kPlain, folded.maps[k], Op::kPlain, before));
      if (k > 0) sum = add(graph, sum, folded.maps[k]);
    }
    const Value bias =
        add(graph, matmul(graph, Op::kPlain, before_bias, Op::kTransposed, sum), folded.constant);
    const Value m = mix(graph, attention, u, nn::MixForm::kIdentityAndShared);
    u = linear(graph, {m}, stack_columns(graph, columns), bias, Activation::kRelu);
    before = graph.parameter(layer_name(l, "mlp.2.weight"));
    before_bias = graph.parameter(layer_name(l, "mlp.2.bias"));
  }
  const Value decode = graph.parameter("decoding.weight");
  const Value bias = add(graph, matmul(graph, Op::kPlain, before_bias, Op::kTransposed, decode),
                         graph.parameter("decoding.bias"));
  const Value y = linear(graph, {u}, matmul(graph, Op::kPlain, decode, Op::kPlain, before), bias);
  graph.output("y", y);
  graph.loss(mean_squared_error(graph, y, target, n.rows - 1));
  return graph;
}

}  // namespace telos::bench
