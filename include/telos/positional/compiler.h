#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/positional/model.h"
#include "telos/positional/program.h"

// From a program to the weights of a positional transformer that runs it exactly (2410.01686, section 5, made
// constructive). A round is a layer: heads fetch, the MLP computes.
//
// * A head is a table: scores 0 on the source and −1000 elsewhere, so that softmax is one-hot to the last bit
//   in float32 and float64 (exp(−1000) = 0 in both). The sink is the first scratch position and holds zeros.
// * All nodes share one MLP, so each node computes every variant of a channel that some node needs. In the
//   next layer one head a source and variant reads it, from the source if that node really has the variant,
//   otherwise from the sink; their sum is the channel's value. Roles cost heads, not positional features.
//   If variants are left after the last round, one more layer selects.
// * id z = r(z) − r(−z), min(a, b) = a − r(a − b), max(a, b) = a + r(b − a) with r = ReLU; nested minima and
//   maxima take one hidden layer a level. select(b, p, q): r(p − M·b̄) − r(−p − M·b̄) + the same of q with b.
// * No biases. A constant channel holds 1 on the data nodes and 0 on the sink.

namespace telos::positional {

struct CompileOptions {
  std::size_t scratch = 1;     ///< a; the sink needs at least 1
  std::size_t hidden = 0;      ///< at least so many hidden units; 0: as many as needed
  std::size_t head_width = 0;  ///< d/H; 0: what takes the fewest parameters
  /// Work that the proof may take, in multiplications; the random vectors are as many as fit.
  double proof_work = 4e8;
  std::size_t proof_vectors = 1000;
  std::uint64_t seed = 1;
  /// A network with more parameters than this is refused (kLimit). The default, 1 GiB in float64, is passed
  /// by one head and log2 n layers at n = 2363, by sort's four heads at n = 546.
  std::size_t max_parameters = std::size_t{1} << 27;
};

/// Where a channel lies in the state after a layer: one slot a variant.
struct SlotInfo {
  std::size_t slot = 0;  ///< column of X
  std::string channel;
  std::string roles;  ///< roles that hold this variant, "keep" for nodes that keep the value, "" if all nodes
                      ///< share it
  std::string formula;  ///< the value assigned, as in the program's text; "" at the encoder
};

/// A head in use.
struct HeadInfo {
  std::size_t head = 0;
  std::string source;                    ///< name of the receive, or "own"
  std::vector<std::size_t> slots;        ///< columns of X that it reads
  std::vector<std::string> channels;     ///< their channels
  std::vector<std::string> roles;        ///< their variants
  std::vector<std::vector<Source>> row;  ///< by node; what is left of 1 goes to the sink
};

struct LayerInfo {
  std::string name;                      ///< "round 3", "select", "identity"
  std::vector<HeadInfo> heads;           ///< those in use
  std::vector<std::size_t> hidden_used;  ///< units in use, by hidden layer
  std::vector<SlotInfo> slots;           ///< after the layer
};

/// Sizes and arithmetic of a compiled program.
struct CompileReport {
  std::size_t layers = 0, width = 0, heads = 0, hidden = 0, mlp_layers = 0, parameters = 0;
  std::size_t rounds = 0;
  bool homogeneous = true;  ///< f(c·x) = c·f(x): no constant and no bits
  /// Whole numbers stay multiples of 2^−fraction_bits; fraction_bits is 0 for whole weights.
  int fraction_bits = 0;
  /// All weights are dyadic and all tables one-source or equal halves, quarters, …: results are exact as long
  /// as every sum fits the mantissa.
  bool exact = true;
  /// Every sum that the network forms, in any order, is at most growth·max|x| + offset.
  double growth = 1, offset = 0;
  /// Largest |x| of whole inputs for which each result is exact: (2^24 − offset)/growth in float32 and 2^53
  /// in float64, less fraction bits, and at most M/growth where select() is used. None if not exact, and
  /// where the offset, which constants make, alone is beyond the mantissa.
  std::optional<double> largest_exact_f32{}, largest_exact_f64{};
  /// |x| up to which no select() meets a value beyond M; infinite without select().
  double largest_select = 0;
  std::vector<SlotInfo> encoder;  ///< state before the first layer
  std::vector<LayerInfo> diagram;
};

/// What was tried on the finished network, with its own weights, against interpret().
struct Proof {
  std::size_t integers = 0;  ///< random vectors of whole numbers, in float32 and in float64 each; up to 1000
                             ///< in size where none is sure to be exact
  double largest_f32 = 0, largest_f64 = 0;              ///< |x| of those
  bool exact_f32 = false, exact_f64 = false;            ///< all results equal
  double integer_error_f32 = 0, integer_error_f64 = 0;  ///< largest |difference|
  std::size_t reals = 0;                                ///< random vectors N(0, 1)
  double real_error_f32 = 0, real_error_f64 = 0;        ///< largest |difference| / max|x|
  double bound_f32 = 0, bound_f64 = 0;                  ///< what it may be: 4·eps·layers·(growth + offset)
};

struct CompiledProgram {
  Program program;  ///< without assignments that no output depends on
  Model model;
  CompileReport report;
  Proof proof;
};

/// Checks, compiles and proves. Throws kUsage for an unsound program, a bound too small for the program's own
/// constants, or scratch < 1, kLimit for a network
/// that is too large, kInternal if the proof fails.
CompiledProgram compile(const Program& program, const CompileOptions& options = {});

/// Tries the network against the program; compile() has done it already.
Proof prove(const CompiledProgram& compiled, const CompileOptions& options = {});

/// How execute() computes: the network in float32 or float64, or each round's minima and maxima by comparison
/// in float64, bit-exact on real numbers where a program takes no sums.
enum class Execution { kFloat, kDouble, kExactMinMax };

/// Runs samples: rows of `given` have n·given() numbers, rows of the result n·outputs. Throws kShape,
/// kNotFinite, kUsage for bits other than 0 and 1 and values above M in select(), naming sample, node and
/// column.
Matrix<double> execute(const CompiledProgram& compiled, ConstMatrixView<double> given,
                       Execution execution = Execution::kDouble);

// ---- Built-in programs

struct BuiltinOptions {
  std::size_t n = 8;
  /// Text of a comparator network for sort and median; empty: Batcher's.
  std::string network{};
  std::string network_name = "network";  ///< file, for errors
  double bound = 1024;                   ///< benes: M
};
struct Builtin {
  Program program;
  CompileOptions options{};  ///< sizes that the published constructions have
};
struct BuiltinInfo {
  std::string name, summary;
};
/// cumsum, cumsum-dense, cummin, cummax, allreduce-sum, allreduce-min, allreduce-max, sort, maxsub, median,
/// benes.
std::vector<BuiltinInfo> builtin_list();
/// Throws kUsage for an unknown name (naming the nearest), n out of range, n that is not a power of two for
/// allreduce and benes, and a network that does not sort: up to 20 wires by the 0-1 principle, which is a
/// proof, beyond by 2000 random permutations.
Builtin builtin(std::string_view name, const BuiltinOptions& options = {});
/// A built-in by its name, or the program of a file (a name with a dot or a slash). n = 0 leaves n to the
/// file, and 8 to a built-in; `network_path` names a file of comparators, holds them ("(0,2)(1,3)…"), or is
/// empty.
Builtin find_program(const std::string& name, std::size_t n = 0, const std::string& network_path = {});

// ---- Comparator networks

/// (a, b): the smaller of wires a and b goes to a, the larger to b. Comparators of a layer touch different
/// wires.
struct ComparatorNetwork {
  std::size_t wires = 0;
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> layers;
};
/// Batcher's odd-even merge sort for any number of wires, each comparator as early as it can be.
ComparatorNetwork batcher_network(std::size_t wires);
/// Comparators "(0,2)(1,3)", "0:2 1:3" or "0 2" in the order of the text, `#` comments; each as early as it
/// can be. Throws kBadFormat with line and column.
ComparatorNetwork parse_network(std::string_view text, std::size_t wires, const std::string& where);
/// 0-1 principle: a network that sorts all 2^wires vectors of zeros and ones sorts everything. Throws kLimit
/// beyond 20 wires. `counterexample` receives the first vector that it fails on.
bool is_sorting_network(const ComparatorNetwork& network, std::vector<int>* counterexample = nullptr);

// ---- Beneš networks

/// Control bits that send packet i to place destination[i], by the looping algorithm: 2·log2 n − 1 rows of n
/// bits; stage s exchanges i and i ⊕ 2^b, b = 0, 1, …, k−1, …, 1, 0, where the bit is 1 (it is the same at
/// both ends). O(n log n). Throws kUsage unless n is a power of two ≥ 2 and destination a permutation.
Matrix<double> benes_controls(std::span<const std::size_t> destination);
/// Bits exchanged by stage.
std::vector<std::size_t> benes_stages(std::size_t n);

// ---- Conversion

/// The standard transformer (queries and keys from features, one-hot positions in the input) that computes
/// the same function as a positional one: the positions travel in the state, queries and keys read them
/// there. Width H·max(d/H, ⌈(d + S)/H⌉), S more hidden units. Throws kUsage unless the model is positional
/// with one-hot encoding, softmax attention and queries and keys of its own.
Model convert_to_standard(const Model& model);

}  // namespace telos::positional
