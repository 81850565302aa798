#include "positional/graph_builder.h"

#include <fmt/format.h>

#include <cmath>

#include "positional/model_parts.h"

namespace telos::positional {

using nn::Value;
using Mixer = ModelConfig::Mixer;
using StreamSource = ModelConfig::Source;
using Rope = ModelConfig::Rope;

GraphBuilder::GraphBuilder(nn::Graph& graph, const ModelConfig& config, std::size_t length)
    : graph_(graph), config_(config), length_(length) {}

// ---- Parts
// --------------------------------------------------------------------------------------------------------------------

Value GraphBuilder::parameter(std::size_t l, const char* name) {
  return graph_.parameter(layer_prefix(l) + name);
}

std::optional<Value> GraphBuilder::bias(const std::string& name) {
  if (!config_.bias) return std::nullopt;
  return graph_.parameter(name + ".bias");
}

Value GraphBuilder::linear(std::vector<Value> inputs, Value weight, std::optional<Value> bias,
                           Activation activation) {
  return bias ? nn::linear(graph_, std::move(inputs), weight, *bias, activation)
              : nn::linear(graph_, std::move(inputs), weight, activation);
}

Value GraphBuilder::affine(std::vector<Value> inputs, const std::string& name, Activation activation) {
  return linear(std::move(inputs), graph_.parameter(name + ".weight"), bias(name), activation);
}

Value GraphBuilder::positions_constant() {
  if (!encoding_) encoding_ = graph_.constant(encoding_of(config_, length_));
  return *encoding_;
}

Value GraphBuilder::rows_of(const State& state) {
  return state.weight ? linear({state.rows}, *state.weight, state.bias) : state.rows;
}

Value GraphBuilder::selection() {
  Matrix<double> rows(positions(), config_.positions());
  for (std::size_t i = 0; i < rows.rows(); ++i) rows(i, original_position(config_, length_, i)) = 1;
  return graph_.constant(rows);
}

std::string GraphBuilder::map_name(std::size_t l, std::size_t k) const {
  return fmt::format("{}mlp.{}", layer_prefix(l), 2 * k);
}

// ---- Encoder and decoder
// ------------------------------------------------------------------------------------------------------

State GraphBuilder::encode() {
  if (config_.vocabulary > 0) {
    const Value tokens = graph_.index_input("x", positions());
    const Value rows = nn::embedding(graph_, tokens, graph_.parameter("encoding.weight"));
    if (!config_.input_positions) return {.rows = rows};
    Value table = graph_.parameter("positions.weight");
    if (length_ < config_.nodes) table = nn::matmul(graph_, Op::kPlain, selection(), Op::kPlain, table);
    return {.rows = nn::add(graph_, rows, table)};
  }
  Value rows = graph_.input("x", positions(), config_.in_dim);
  if (config_.input_positions) rows = nn::append_columns(graph_, rows, positions_constant());
  return {.rows = rows, .weight = graph_.parameter("encoding.weight"), .bias = bias("encoding")};
}

Value GraphBuilder::decode(const State& state, bool fold) {
  if (!fold || !state.weight) return affine({rows_of(state)}, "decoding");
  const Value decoder = graph_.parameter("decoding.weight");
  const Value weight = nn::matmul(graph_, Op::kPlain, decoder, Op::kPlain, *state.weight);
  std::optional<Value> constant = bias("decoding");
  if (state.bias) constant = linear({*state.bias}, decoder, constant);
  return linear({state.rows}, weight, constant);
}

// ---- Attention
// ----------------------------------------------------------------------------------------------------------------

Value GraphBuilder::fixed_attention(std::size_t l) {
  Value attention;
  if (config_.direct_logits)
    attention = logits_attention(l);
  else if (config_.rope == Rope::kTrue)
    attention = rotated_attention(l);
  else  // A rotation by head, Rope::kNoOp, cancels in each product of query and key.
    attention = nn::positional_attention(graph_, positions_constant(), parameter(l, "qk.weight"),
                                         parameter(l, "qk.bias"), config_.heads);
  return config_.hard ? nn::hard_rows(graph_, attention) : attention;
}

Value GraphBuilder::logits_attention(std::size_t l) {
  const Value logits = parameter(l, "logits");
  if (length_ == config_.nodes) return nn::softmax_rows(graph_, logits);
  const Value select = selection();
  const std::size_t s = config_.positions();
  std::vector<Value> heads;
  for (std::size_t h = 0; h < config_.heads; ++h) {
    const Value full = nn::slice(graph_, logits, h * s, 0, s, s);
    const Value rows = nn::matmul(graph_, Op::kPlain, select, Op::kPlain, full);
    heads.push_back(nn::matmul(graph_, Op::kPlain, rows, Op::kTransposed, select));
  }
  return nn::softmax_rows(graph_, nn::stack_rows(graph_, heads));
}

Value GraphBuilder::rotated_attention(std::size_t l) {
  const std::size_t key = config_.key_width(), s = positions();
  const Value qk = nn::rotary(
      graph_, nn::linear(graph_, {positions_constant()}, parameter(l, "qk.weight"), parameter(l, "qk.bias")),
      config_.heads);
  std::vector<Value> heads;
  for (std::size_t h = 0; h < config_.heads; ++h) {
    const Value q = nn::slice(graph_, qk, 0, 2 * h * key, s, key);
    const Value k = nn::slice(graph_, qk, 0, (2 * h + 1) * key, s, key);
    heads.push_back(nn::matmul(graph_, Op::kPlain, q, Op::kTransposed, k));
  }
  const double factor = 1 / std::sqrt(static_cast<double>(key));
  return nn::softmax_rows(graph_, nn::scale(graph_, nn::stack_rows(graph_, heads), factor));
}

Value GraphBuilder::content_attention(std::size_t l, Value x) {
  const bool both = config_.source == StreamSource::kBoth;
  const Value source = both ? nn::append_columns(graph_, x, positions_constant()) : x;
  Value qk = nn::linear(graph_, {source}, parameter(l, "qk.weight"), parameter(l, "qk.bias"));
  if (config_.rope != Rope::kNone && config_.key_width() % 2 == 0)
    qk = nn::rotary(graph_, qk, config_.heads, 10000, config_.rope == Rope::kNoOp);
  const nn::AttentionOptions options{
      .heads = config_.heads,
      .kind = config_.hard ? nn::AttentionOptions::Kind::kHard : nn::AttentionOptions::Kind::kSoftmax};
  return nn::attention(graph_, qk, affine({x}, layer_prefix(l) + "v"), options);
}

// ---- Layers
// -------------------------------------------------------------------------------------------------------------------

State GraphBuilder::layer(std::size_t l, const State& state, LayerPlan plan) {
  if (config_.mixer != Mixer::kAttention) return graph_layer(l, rows_of(state));
  if (plan == LayerPlan::kF2) return finish_mlp(l, folded_first(l, state));
  const Value x = rows_of(state);
  const Value mixed =
      has_fixed_attention(config_)
          ? nn::mix(graph_, fixed_attention(l), affine({x}, layer_prefix(l) + "v"), nn::MixForm::kSplit)
          : content_attention(l, x);
  return finish_mlp(l, plan == LayerPlan::kF1 ? folded_output_first(l, x, mixed) : plain_first(l, x, mixed));
}

Value GraphBuilder::plain_first(std::size_t l, Value x, Value mixed) {
  return affine({x, affine({mixed}, layer_prefix(l) + "o")}, map_name(l, 0), first_activation());
}

std::pair<Value, Value> GraphBuilder::first_map_halves(std::size_t l) {
  const Value first = graph_.parameter(map_name(l, 0) + ".weight");
  const std::size_t rows = graph_.shape(first).rows, d = config_.width;
  return {nn::slice(graph_, first, 0, 0, rows, d), nn::slice(graph_, first, 0, d, rows, d)};
}

// F1: [X ‖ C·W_oᵀ + b_o]·W_1ᵀ + b_1 = [X ‖ C]·[W_1x ‖ W_1o·W_o]ᵀ + (b_o·W_1oᵀ + b_1).
Value GraphBuilder::folded_output_first(std::size_t l, Value x, Value mixed) {
  const auto [for_x, for_o] = first_map_halves(l);
  const Value for_mixed = nn::matmul(graph_, Op::kPlain, for_o, Op::kPlain, parameter(l, "o.weight"));
  std::optional<Value> constant = bias(map_name(l, 0));
  if (constant) constant = linear({parameter(l, "o.bias")}, for_o, constant);
  return linear({x, mixed}, nn::stack_columns(graph_, {for_x, for_mixed}), constant, first_activation());
}

// F2: with X = U·Wᵀ + b the argument of the MLP's first activation is linear in U, and rows of A sum to 1, so
// that constants pass through attention:
//   [U ‖ A_1 U ‖ … ‖ A_H U]·[C_0 W ‖ C_1 W ‖ …]ᵀ + g,   C_0 = W_1x,  C_h = W_1o·W_o[:, h]·W_v[h, :].
Value GraphBuilder::folded_first(std::size_t l, const State& state) {
  const Value mixed = nn::mix(graph_, fixed_attention(l), state.rows, nn::MixForm::kIdentityAndShared);
  return linear({mixed}, folded_weight(l, state.weight), folded_bias(l, state.bias), first_activation());
}

Value GraphBuilder::folded_weight(std::size_t l, const std::optional<Value>& weight) {
  const auto [for_x, for_o] = first_map_halves(l);
  const Value o = parameter(l, "o.weight"), v = parameter(l, "v.weight");
  const std::size_t d = config_.width, width = d / config_.heads;
  std::vector<Value> maps{for_x};
  for (std::size_t h = 0; h < config_.heads; ++h) {
    const Value o_h = nn::slice(graph_, o, 0, h * width, d, width);
    const Value v_h = nn::slice(graph_, v, h * width, 0, width, d);
    const Value out = nn::matmul(graph_, Op::kPlain, for_o, Op::kPlain, o_h);
    maps.push_back(nn::matmul(graph_, Op::kPlain, out, Op::kPlain, v_h));
  }
  if (weight)
    for (Value& map : maps) map = nn::matmul(graph_, Op::kPlain, map, Op::kPlain, *weight);
  return nn::stack_columns(graph_, maps);
}

// g: the row b goes through the layer as X would.
std::optional<Value> GraphBuilder::folded_bias(std::size_t l, const std::optional<Value>& row) {
  if (!config_.bias) return std::nullopt;
  if (!row) {
    const Value o = affine({parameter(l, "v.bias")}, layer_prefix(l) + "o");
    return linear({o}, first_map_halves(l).second, bias(map_name(l, 0)));
  }
  const Value o = affine({affine({*row}, layer_prefix(l) + "v")}, layer_prefix(l) + "o");
  return affine({*row, o}, map_name(l, 0));
}

State GraphBuilder::finish_mlp(std::size_t l, Value first) {
  if (config_.mlp_layers == 1) return {.rows = first};
  Value hidden = first;
  for (std::size_t k = 1; k + 1 < config_.mlp_layers; ++k)
    hidden = affine({hidden}, map_name(l, k), Activation::kRelu);
  const std::string last = map_name(l, config_.mlp_layers - 1);
  return {.rows = hidden, .weight = graph_.parameter(last + ".weight"), .bias = bias(last)};
}

// The complete graph, each node its own neighbour: GCN relu(W·mean_j x_j), GIN MLP(ε x_i + Σ_j x_j).
State GraphBuilder::graph_layer(std::size_t l, Value x) {
  const std::size_t s = positions();
  Matrix<double> all(s, s);
  const double share = config_.mixer == Mixer::kGcn ? 1 / static_cast<double>(s) : 1;
  std::fill_n(all.data(), all.size(), share);
  const Value sum = nn::mix(graph_, graph_.constant(all), x, nn::MixForm::kSplit);
  if (config_.mixer == Mixer::kGcn) return {.rows = affine({sum}, layer_prefix(l) + "w", Activation::kRelu)};
  const Value own = nn::scale_by(graph_, x, parameter(l, "eps"));
  return finish_mlp(l, affine({nn::add(graph_, sum, own)}, map_name(l, 0), first_activation()));
}

}  // namespace telos::positional
