#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/nn/graph.h"

// Positional transformers (Back de Luca, Giapitzakis, Yang, Veličković, Fountoulakis: Positional Attention,
// arXiv 2410.01686) and the models they are compared with. Each layer is X ← MLP([X ‖ Attention(X)]), biases
// everywhere, no residual sum, no norm; positional attention takes queries and keys from fixed encodings P,
// so that each attention matrix is a function of the weights alone.

namespace telos::positional {

enum class Encoding { kOneHot, kBinary, kSinusoidal };

/// Rows p_0 … p_{count−1}: one-hot I; binary 2·bit_j(i) − 1, least significant bit first, ⌈log2 count⌉
/// columns; sinusoidal of `dim` columns, sin and cos of i·10000^(−2t/dim) in columns 2t, 2t + 1.
Matrix<double> encoding_rows(Encoding encoding, std::size_t count, std::size_t dim = 0);

struct ModelConfig {
  /// How a layer mixes its nodes; kGcn and kGin are the graph baselines on the complete graph.
  enum class Mixer { kAttention, kGcn, kGin } mixer = Mixer::kAttention;
  /// What queries and keys are made of.
  enum class Source { kFeatures, kPositions, kBoth } source = Source::kPositions;
  bool input_positions = false;  ///< P is appended to the input
  /// kTrue turns queries and keys by position; kNoOp is the published code's variant, which turns by head and
  /// changes nothing.
  enum class Rope { kNone, kTrue, kNoOp } rope = Rope::kNone;
  bool direct_logits = false;  ///< source kPositions: the S × S logits of each head are the parameters
  bool hard = false;           ///< one-hot of each row's largest score; straight-through in training
  bool bias = true;            ///< false: no bias except of queries and keys, so that f(cX) = c·f(X), c > 0
  /// The input is `embedding`-sized token ids (a table instead of the encoder) where > 0.
  std::size_t vocabulary = 0;

  std::size_t nodes = 8;    ///< n, data positions
  std::size_t scratch = 1;  ///< a, scratch positions at the end, input and target 0
  std::size_t in_dim = 1, out_dim = 1;
  std::size_t width = 64;      ///< d
  std::size_t heads = 2;       ///< H, divides d
  std::size_t hidden = 64;     ///< h, width of each hidden layer of an MLP
  std::size_t mlp_layers = 2;  ///< linear maps of an MLP: 2 = one hidden layer
  std::size_t layers = 0;      ///< L; 0: ⌊log2 n⌋ + 1
  Encoding encoding = Encoding::kOneHot;
  std::size_t encoding_dim = 0;  ///< sinusoidal

  std::size_t positions() const { return nodes + scratch; }  ///< S
  std::size_t depth() const;                                 ///< `layers`, or its default
  std::size_t encoding_width() const;                        ///< d_P
  std::size_t key_width() const;                             ///< d_k: d_P, d, or d + d_P by source
};

/// Named kinds: positional, standard, hybrid, m0 … m5 (the published ablations), rope (true rotation), hard,
/// direct, gcn, gin. `config` keeps its sizes. Throws kUsage naming the nearest kind.
ModelConfig with_kind(ModelConfig config, std::string_view kind);
std::vector<std::string> kinds();
std::string kind_of(const ModelConfig& config);  ///< the first name that makes this config, or "custom"

/// Throws kUsage for what cannot be built (d % H ≠ 0, n < 1, a table of 0 columns, …), naming field, value
/// and what is allowed.
void check(const ModelConfig& config);

/// Names and order of PyTorch's state: encoding.weight, encoding.bias, decoding.weight, decoding.bias, then
/// by layer layers.{l}.qk.weight, .bias, .v.weight, .bias, .o.weight, .bias, .mlp.{0,2,…}.weight, .bias.
/// Without `bias` the tensors stay and hold zeros that are not trained.
nn::ParameterLayout layout(const ModelConfig& config);

/// A model: what is trained, compiled, converted, evaluated.
struct Model {
  ModelConfig config;
  nn::ParameterLayout layout;
  std::vector<double> values;  ///< in the order of `layout`; a trained model's floats are exact here
  /// What made it: "trained", "compiled: cummin", …, free text, with the file.
  std::string origin;
};

/// Encoder, decoder, MLP U(±1/√fan_in), W_qk (as one matrix), W_v, W_o Xavier-uniform, their biases 0.
Model initial_model(const ModelConfig& config, std::uint64_t seed);

/// One safetensors file with the config as metadata; tensors in float32 or float64. load_model accepts files
/// written from PyTorch with the same names, given the config in the metadata or beside the file. Throws
/// kMissingFile, kBadFormat, kShape naming the tensor.
void save_model(const Model& model, const std::string& path, bool as_double = false);
Model load_model(const std::string& path);
std::string config_json(const ModelConfig& config);
ModelConfig parse_config(std::string_view json, const std::string& where);

/// Attention matrices A of layer and head (S × S for the given number of data positions), from the weights
/// alone. Throws kUsage for models whose attention depends on the input.
std::vector<std::vector<Matrix<double>>> attention_matrices(const Model& model, std::size_t length = 0);

// ---- Graphs
// ---------------------------------------------------------------------------------------------------------------------

/// How a positional layer is computed; all three are the same function of the same parameters, with the same
/// gradients. kF1 folds W_o into the MLP's first map, kF2 folds everything between two ReLUs into one
/// product.
enum class LayerPlan { kPlain, kF1, kF2 };

struct GraphOptions {
  std::size_t length = 0;          ///< data positions; 0: config.nodes
  std::vector<LayerPlan> plans{};  ///< one a layer; empty: the cheapest by count of operations
  std::size_t batch = 1000;        ///< for that count: folding costs the same whatever the batch
  enum class Loss { kNone, kMse, kCrossEntropy } loss = Loss::kNone;
  /// Rows that the loss sees, from the first on; 0: the data positions.
  std::size_t loss_rows = 0;
};

/// Inputs: "x" (S × in_dim, or S indices), then "target" (S × out_dim, or S indices) with a loss. Output: "y"
/// (S × out_dim).
nn::Graph build_graph(const ModelConfig& config, const nn::ParameterLayout& layout,
                      const GraphOptions& options);
std::vector<LayerPlan> cheapest_plans(const ModelConfig& config, std::size_t length, std::size_t batch);
/// Multiplications and additions of a training step by plan, for `telos positional` to explain.
struct PlanCost {
  std::size_t layer;
  LayerPlan plan;
  double per_sample, per_step;
  bool chosen;
};
std::vector<PlanCost> explain_plans(const ModelConfig& config, std::size_t length, std::size_t batch);

/// y for `samples` inputs, rows of x: S·in_dim numbers a sample. T is the arithmetic (float or double).
template <class T>
Matrix<double> evaluate(const Model& model, ConstMatrixView<double> x, std::size_t length,
                        const Arena& arena);

}  // namespace telos::positional
