#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "telos/symmetry/simplified_block.h"

// The architecture of an infinitely wide transformer: all that its kernels depend on. All weights are N(0,1)
// with explicit factors 1/√(fan in); variances below multiply them.

namespace telos::symmetry {

/// Covariance R_ab of what is added for positions a and b: 0; [a = b], vectors drawn independently; mean of
/// cos ω_f(a − b), ω_f = 10000^(−2f/d), f = 0 … d/2 − 1, sinusoids; 1/(1 + (a − b)²).
enum class Positions { kNone, kIndependent, kSinusoidal, kDecay };
/// φ of a dense layer. kLeakyRelu is `slope`·x below 0.
enum class Nonlinearity {
  kIdentity,
  kRelu,
  kLeakyRelu,
  kAbs,
  kErf,
  kGelu,
  kSin,
  kCos,
  kExp,
  kSquare,
  kTanh,
  kSilu
};
/// What is done to the logits of attention.
enum class AttentionMap { kSoftmax, kLinear, kRelu, kAbs, kErf };
/// Logits over d with W_Q = W_K: they are constants in the limit; or over √d with independent W_Q and W_K:
/// they stay random.
enum class AttentionScale { kDimension, kRoot };
enum class NormPlace { kNone, kPre, kPost };
/// The last token; the mean of all; each position with weights of its own; the first token.
enum class Readout { kLast, kMean, kFlatten, kCls };

std::string_view to_string(Positions p);         ///< "none", "iid", "sin", "decay"
std::string_view to_string(Nonlinearity phi);    ///< "relu", …
std::string_view to_string(AttentionMap m);      ///< "softmax", "linear", …
std::string_view to_string(AttentionScale s);    ///< "1/d", "1/sqrt(d)"
std::string_view to_string(AttentionAverage a);  ///< "none", "1/L", "1/L^2"
std::string_view to_string(NormPlace p);         ///< "none", "pre", "post"
std::string_view to_string(Readout r);           ///< "last", "mean", "flatten", "cls"

/// K_ab = token [x_a = y_b] + position R_ab.
struct Embedding {
  double token = 1, position = 0.5;  ///< variances
  Positions positions = Positions::kIndependent;
  std::size_t dimension = 64;  ///< d of the sinusoids, those of attention layers too
  bool trained = true;         ///< else NTK starts at 0; sinusoids are never trained
};

/// Rotary embedding of queries and keys, ω_f = base^(−2f/dimension): covariances of logits G_ab(X), G_cd(Y)
/// are multiplied by mean cos ω_f((b − a) − (d − c)).
struct RotaryEmbedding {
  double base = 10000;
  std::size_t dimension = 64;
};

struct AttentionLayer {
  AttentionMap map = AttentionMap::kSoftmax;
  AttentionScale scale = AttentionScale::kDimension;
  double logit = 1;            ///< qk = σ_Q σ_K, multiplies the logits
  double value = 1, bias = 0;  ///< ov2 = (σ_O σ_V)², and the variance of the output's bias
  double position = 0;         ///< variance of position vectors that the layer adds to queries and keys
  Positions positions = Positions::kIndependent;
  bool value_positions = false;  ///< also to values
  AttentionAverage average = AttentionAverage::kNone;
  bool causal = false;
  std::optional<RotaryEmbedding> rope{};
  double alibi = 0;  ///< the logits have −alibi |a − b| added
};

/// out·φ(W x) with variances of weights and biases.
struct MlpLayer {
  Nonlinearity phi = Nonlinearity::kRelu;
  double slope = 0.01;  ///< of kLeakyRelu, below 0
  double weight = 1, bias = 0, out_weight = 1, out_bias = 0;
};

struct TransformerBlock {
  NormPlace norm = NormPlace::kPre;
  bool residual = true;
  std::optional<AttentionLayer> attention{};
  std::optional<MlpLayer> mlp{};
};

struct Architecture {
  std::string name = "architecture";
  Embedding embedding{};
  /// Then there is nothing else: embedding.trained alone is read beside it.
  std::optional<SimplifiedBlock> simplified{};
  std::vector<TransformerBlock> blocks{};
  Readout readout = Readout::kLast;
  bool final_norm = true;
  double weight = 1;   ///< variance of the readout's weights
  double epsilon = 0;  ///< of all norms
  /// Positions with this token are padding: nothing attends to them, and no readout takes them. All others
  /// stay where they are; "last" and "cls" are the last and the first of them.
  std::optional<std::uint32_t> padding{};
};

inline constexpr std::size_t kMostBlocksDeep = 1000;

/// Throws kUsage at `where` for a number out of range, and for what has no kernel in the limit.
void require_valid(const Architecture& a, const std::string& where);

/// Names of the architectures that need no file, each with what it is.
struct Preset {
  std::string_view name, meaning;
};
const std::vector<Preset>& presets();
/// Throws kUsage naming the nearest preset.
Architecture preset(std::string_view name);

/// A name of a preset, or a JSON file:
///   {"embed": {"se2": 1, "sp2": 0.5, "pos": "iid", "dimension": 64, "trained": true},
///    "blocks": [{"norm": "pre", "residual": true,
///                "attn": {"kind": "softmax", "scale": "1/d", "qk": 1, "ov2": 1, "b2": 0, "norm": "none",
///                         "mask": "none", "sp2": 0, "pos": "iid", "val_pos": false,
///                         "rope": {"base": 10000, "dimension": 64}, "alibi": 0},
///                "mlp": {"phi": "relu", "slope": 0.01, "w2": 2, "b2": 0.1, "out_w2": 1, "out_b2": 0}}],
///    "readout": "last", "final_norm": true, "w2": 1, "epsilon": 0, "pad_token_id": null}
/// or {"embed": {…}, "simplified": {"query": true, "norm": "1/L^2"}, "pad_token_id": null}. What is missing
/// keeps its default; "attn", "mlp" and "rope" are absent where missing or null. Throws kMissingFile,
/// kBadFormat naming file and field.
Architecture load_architecture(const std::string& name_or_path);
Architecture parse_architecture(std::string_view json, const std::string& where);
/// All fields, in one line, with all digits: what parse_architecture() reads back as the same.
std::string to_json(const Architecture& a);

/// What keeps k(gX, gY) from being k(X, Y) for permutations g of the context: all positions but the one that
/// is read out (last, cls) or is the query. Empty: the kernel is symmetric.
std::vector<std::string> symmetry_breaks(const Architecture& a);
/// Whether k(gX, Y) = k(X, Y) as well: no positions anywhere, so that only the trivial irrep is learned.
bool ignores_order(const Architecture& a);
/// Position that permutations leave where it is.
std::optional<std::size_t> fixed_position(const Architecture& a, std::size_t length);

/// "1 block · pre-LayerNorm · softmax attention, 1/d · relu · readout last".
std::string describe(const Architecture& a);

}  // namespace telos::symmetry
