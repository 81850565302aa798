#include "telos/nn/graph.h"

#include <algorithm>
#include <string>
#include <utility>

#include "nn/graph_parts.h"
#include "nn/operation.h"
#include "telos/base/error.h"

namespace telos::nn {

std::string shape_text(const Shape& shape) {
  std::string text = std::to_string(shape.rows) + "x" + std::to_string(shape.cols);
  if (shape.index) text += " indices";
  if (shape.batch) text += " a sample";
  return text;
}

void shape_error(std::string_view operation, const std::string& message) {
  throw Error(ErrorKind::kShape, std::string(operation), message);
}

void require_real(std::string_view operation, std::string_view what, const Shape& found) {
  if (found.index)
    shape_error(operation, std::string(what) + " is " + shape_text(found) + ", expected numbers");
}

void require_no_batch(std::string_view operation, std::string_view what, const Shape& found) {
  require_real(operation, what, found);
  if (found.batch)
    shape_error(operation, std::string(what) + " is " + shape_text(found) + ", expected one for all samples");
}

void require_matrix(std::string_view operation, std::string_view what, const Shape& found, std::size_t rows,
                    std::size_t cols) {
  require_real(operation, what, found);
  if (found.rows != rows || found.cols != cols)
    shape_error(operation, std::string(what) + " is " + shape_text(found) + ", expected " +
                               shape_text({.rows = rows, .cols = cols, .batch = found.batch}));
}

namespace {

/// Of one value: far beyond any memory, and sizes made of it do not overflow.
constexpr std::size_t kMostElements = std::size_t{1} << 40;

void require_size(const std::string& what, std::size_t rows, std::size_t cols) {
  if (rows == 0 || cols == 0) throw Error(ErrorKind::kShape, "graph", what + " has no elements");
  if (rows > kMostElements / cols)
    throw Error(ErrorKind::kLimit, "graph",
                what + " has " + std::to_string(rows) + "x" + std::to_string(cols) +
                    " elements, expected at most 2^40");
}

const Node& node_of(const Graph::Impl& graph, Value value) {
  if (value.id >= graph.nodes.size())
    throw Error(ErrorKind::kUsage, "graph",
                "value " + std::to_string(value.id) + " is not one of this graph's " +
                    std::to_string(graph.nodes.size()));
  return graph.nodes[value.id];
}

Value push(Graph::Impl& graph, Node node) {
  graph.nodes.push_back(std::move(node));
  return {static_cast<std::uint32_t>(graph.nodes.size() - 1)};
}

}  // namespace

Graph::Graph(const ParameterLayout& layout) : impl_(std::make_unique<Impl>()) {
  impl_->layout = layout;
}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

Value Graph::input(std::string name, std::size_t rows, std::size_t cols) {
  require_size("the input " + printable(name), rows, cols);
  return push(*impl_, {.kind = Node::Kind::kInput,
                       .shape = {.rows = rows, .cols = cols, .batch = true},
                       .index = impl_->real_inputs++,
                       .name = std::move(name)});
}

Value Graph::index_input(std::string name, std::size_t rows) {
  require_size("the input " + printable(name), rows, 1);
  return push(*impl_, {.kind = Node::Kind::kIndexInput,
                       .shape = {.rows = rows, .cols = 1, .batch = true, .index = true},
                       .index = impl_->index_inputs++,
                       .name = std::move(name)});
}

Value Graph::parameter(std::size_t index) {
  if (index >= impl_->layout.entries().size())
    throw Error(
        ErrorKind::kUsage, "graph",
        "parameter " + std::to_string(index) + " of " + std::to_string(impl_->layout.entries().size()));
  for (std::uint32_t id = 0; id < impl_->nodes.size(); ++id)
    if (impl_->nodes[id].kind == Node::Kind::kParameter && impl_->nodes[id].index == index) return {id};
  const ParameterInfo& info = impl_->layout[index];
  return push(*impl_, {.kind = Node::Kind::kParameter,
                       .shape = {.rows = info.rows, .cols = info.cols},
                       .index = index,
                       .name = info.name});
}

Value Graph::parameter(std::string_view name) {
  return parameter(impl_->layout.find(name));
}

Value Graph::constant(ConstMatrixView<double> value) {
  require_size("a constant", value.rows(), value.cols());
  Matrix<double> copy(value.rows(), value.cols());
  for (std::size_t i = 0; i < value.rows(); ++i) std::copy_n(value.row(i), value.cols(), copy.row(i));
  impl_->constants.push_back(std::move(copy));
  return push(*impl_, {.kind = Node::Kind::kConstant,
                       .shape = {.rows = value.rows(), .cols = value.cols()},
                       .index = impl_->constants.size() - 1});
}

Value Graph::apply(std::unique_ptr<Operation> operation, std::vector<Value> inputs) {
  Node node{.kind = Node::Kind::kOperation};
  for (const Value input : inputs) {
    node.input_shapes.push_back(node_of(*impl_, input).shape);
    node.inputs.push_back(input.id);
  }
  node.shape = operation->shape(node.input_shapes);
  require_size("the result of " + std::string(operation->name()), node.shape.rows, node.shape.cols);
  node.operation = std::move(operation);
  return push(*impl_, std::move(node));
}

void Graph::output(std::string name, Value value) {
  if (node_of(*impl_, value).shape.index)
    throw Error(ErrorKind::kUsage, "graph", "the output " + printable(name) + " is an index input");
  impl_->outputs.emplace_back(std::move(name), value.id);
}

void Graph::loss(Value value) {
  const Shape& found = node_of(*impl_, value).shape;
  if (found.rows != 1 || found.cols != 1 || found.index)
    throw Error(ErrorKind::kShape, "graph",
                "the loss is " + nn::shape_text(found) + ", expected 1x1 numbers");
  impl_->loss = value.id;
}

const ParameterLayout& Graph::layout() const {
  return impl_->layout;
}

const Shape& Graph::shape(Value value) const {
  return node_of(*impl_, value).shape;
}

namespace {

double count_flops(const Graph::Impl& graph, bool batch) {
  double flops = 0;
  for (const Node& node : graph.nodes)
    if (node.kind == Node::Kind::kOperation && node.shape.batch == batch)
      flops += node.operation->flops(node.input_shapes);
  return flops;
}

}  // namespace

double Graph::flops_per_step() const {
  return count_flops(*impl_, false);
}

double Graph::flops_per_sample() const {
  return count_flops(*impl_, true);
}

}  // namespace telos::nn
