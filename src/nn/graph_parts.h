#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "telos/nn/graph.h"

namespace telos::nn {

/// One value of a graph and what makes it. Inputs of an operation have lower ids, so ascending ids are an
/// order of execution.
struct Node {
  enum class Kind { kInput, kIndexInput, kParameter, kConstant, kOperation } kind;
  Shape shape{};
  std::size_t index = 0;                   ///< among the inputs of its kind, the parameters or the constants
  std::string name{};                      ///< of inputs
  std::unique_ptr<Operation> operation{};  ///< kOperation
  std::vector<std::uint32_t> inputs{};     ///< kOperation: ids
  std::vector<Shape> input_shapes{};       ///< kOperation
};

struct Graph::Impl {
  ParameterLayout layout;
  std::vector<Node> nodes;
  std::vector<Matrix<double>> constants;
  std::vector<std::pair<std::string, std::uint32_t>> outputs;
  std::optional<std::uint32_t> loss;
  std::size_t real_inputs = 0, index_inputs = 0;
};

}  // namespace telos::nn
