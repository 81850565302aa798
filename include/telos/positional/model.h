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
  /// kTrue turns queries and keys by position, which needs an even d_k; kNoOp is the published code's
  /// variant, which turns by head and changes nothing (it is left out where d_k is odd or attention is
  /// positional).
  enum class Rope { kNone, kTrue, kNoOp } rope = Rope::kNone;
  bool direct_logits = false;  ///< source kPositions: the S × S logits of each head are the parameters
  bool hard = false;           ///< one-hot of each row's largest score; straight-through in training
  bool bias = true;            ///< false: no bias except of queries and keys, so that f(cX) = c·f(X), c > 0
  /// The input is token ids below it, and a table stands for the encoder, where > 0.
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

/// Throws kUsage for what cannot be built (d % H ≠ 0, n < 1, more than 2^14 positions, a table of 0 columns,
/// …), naming field, value and what is allowed.
void check(const ModelConfig& config);

/// Names and order of PyTorch's state: encoding.weight, encoding.bias, decoding.weight, decoding.bias, then
/// by layer layers.{l}.qk.weight, .bias, .v.weight, .bias, .o.weight, .bias, .mlp.{0,2,…}.weight, .bias.
/// Without `bias` the tensors stay and hold zeros that are not trained; queries and keys keep their bias.
/// Variants: layers.{l}.logits ((H·S) × S) instead of qk with direct logits; layers.{l}.w.weight, .bias of
/// GCN; layers.{l}.eps (1 × 1) before the MLP of GIN; with a vocabulary encoding.weight is the table (V × d)
/// without bias, and input_positions adds positions.weight (S × d), a learned table that is added to it.
nn::ParameterLayout layout(const ModelConfig& config);

/// A model: what is trained, compiled, converted, evaluated.
struct Model {
  ModelConfig config;
  nn::ParameterLayout layout;
  std::vector<double> values;  ///< in the order of `layout`; a trained model's floats are exact here
  /// What made it: "trained", "compiled: cummin", …, free text, with the file.
  std::string origin;
  /// What it was trained on, as task_json() writes it, with the file; empty: nothing is known of it.
  std::string task{};
};

/// Encoder, decoder, MLP U(±1/√fan_in), W_qk (as one matrix), W_v, W_o and direct logits Xavier-uniform,
/// their biases and ε of GIN 0, tables N(0, 1). The values are floats, each parameter's from a stream of its
/// own.
Model initial_model(const ModelConfig& config, std::uint64_t seed);

/// One safetensors file with the config as metadata (telos.positional.config; telos.positional.origin and
/// .task); tensors in float32 or float64. load_model accepts files written from PyTorch with the same names,
/// all of them behind one prefix ("module.") or none, given the config in the metadata, as FILE.json beside
/// FILE.safetensors, or as config.json in its folder. A tensor of another name is taken for the one parameter
/// of its shape that is missing, if there is just one; else it is refused: shapes do not tell W_v from W_o.
/// Throws kMissingFile, kBadFormat, kShape, kUnsupported, kNotFinite naming the tensor.
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
/// (S × out_dim). Throws kUsage for plans that the model cannot take: F2 needs attention from positions
/// alone, F1 attention; graph baselines are plain.
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

/// y for inputs that are rows of x, S·in_dim numbers a sample (token ids with a vocabulary); a row of the
/// result has S·out_dim numbers. T is the arithmetic (float or double). Plain plans: the weights act as they
/// are stored, which is the form that a compiled program's exactness is proven for.
template <class T>
Matrix<double> evaluate(const Model& model, ConstMatrixView<double> x, std::size_t length,
                        const Arena& arena);

}  // namespace telos::positional
