#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "telos/nn/graph.h"
#include "telos/nn/operations.h"
#include "telos/positional/model.h"

namespace telos::positional {

/// Rows X = U·Wᵀ + b on their way between two layers; without W they are U itself. A layer that folds takes
/// U, W and b apart, the others ask for X.
struct State {
  nn::Value rows;
  std::optional<nn::Value> weight{}, bias{};
};

/// Puts the parts of a model into a graph. Layers are numbered from 0.
class GraphBuilder {
 public:
  GraphBuilder(nn::Graph& graph, const ModelConfig& config, std::size_t length);

  /// Declares the input "x"; returns the rows that the first layer sees.
  State encode();
  State layer(std::size_t l, const State& state, LayerPlan plan);
  /// `fold`: the decoder takes the last map of the last MLP into its own.
  nn::Value decode(const State& state, bool fold);
  /// Attention matrices of a layer whose attention is a function of the weights: (H·S) × S.
  nn::Value fixed_attention(std::size_t l);

 private:
  using Value = nn::Value;

  std::size_t positions() const { return length_ + config_.scratch; }
  Value parameter(std::size_t l, const char* name);
  /// A bias, unless the model has none.
  std::optional<Value> bias(const std::string& name);
  Value linear(std::vector<Value> inputs, Value weight, std::optional<Value> bias,
               Activation activation = Activation::kNone);
  /// The linear map of that name: `name`.weight and `name`.bias.
  Value affine(std::vector<Value> inputs, const std::string& name, Activation activation = Activation::kNone);
  Value positions_constant();
  Value rows_of(const State& state);  ///< X
  /// The rows or columns of the full matrix that positions of this length are: E with E·M or M·Eᵀ.
  Value selection();

  Value logits_attention(std::size_t l);
  Value rotated_attention(std::size_t l);
  Value content_attention(std::size_t l, Value x);

  /// First map of the MLP, with its activation, in the three plans.
  Value plain_first(std::size_t l, Value x, Value mixed);
  Value folded_output_first(std::size_t l, Value x, Value mixed);
  Value folded_first(std::size_t l, const State& state);
  Value folded_weight(std::size_t l, const std::optional<Value>& weight);
  std::optional<Value> folded_bias(std::size_t l, const std::optional<Value>& bias);
  State finish_mlp(std::size_t l, Value first);
  State graph_layer(std::size_t l, Value x);

  Activation first_activation() const {
    return config_.mlp_layers > 1 ? Activation::kRelu : Activation::kNone;
  }
  std::string map_name(std::size_t l, std::size_t k) const;
  std::pair<Value, Value> first_map_halves(std::size_t l);  ///< W_1 for X, W_1 for attention's output

  nn::Graph& graph_;
  ModelConfig config_;
  std::size_t length_;
  std::optional<Value> encoding_{};
};

}  // namespace telos::positional
