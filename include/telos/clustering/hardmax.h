#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"

// The hardmax transformer of Alcalde, Fantuzzi and Zuazua (arXiv 2407.01602): pure attention that looks only
// at the tokens of largest score,
//
//   C_i = { j : ⟨A z_i, z_j⟩ = max_l ⟨A z_i, z_l⟩ },   z_i' = z_i + s (mean_{j ∈ C_i} z_j − z_i),
//   s = α/(1 + α),
//
// run exactly, for any number of layers or all of them. For A symmetric positive definite, A = LLᵀ and
// w = Lᵀz give the same system with A = I: tokens then follow tokens of larger norm, leaders (C_i = {i})
// never move, and a token whose target stands still follows it for ever, so that its whole future is a
// formula.

namespace telos::clustering {

inline constexpr std::size_t kAllLayers = std::numeric_limits<std::size_t>::max();
inline constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

struct HardmaxOptions {
  double alpha = 1;                 ///< α > 0
  std::size_t layers = kAllLayers;  ///< K; kAllLayers: K = ∞
  ConstMatrixView<double> a{};      ///< A, d × d; empty: I
  ConstMatrixView<double> v{};  ///< V, d × d, I + V invertible; empty: αI. z' = z + (I + V)⁻¹V (m − z)
  /// Accept any A. Without it one that is not symmetric (‖A − Aᵀ‖ > 1e-12 ‖A‖) positive semidefinite is
  /// refused. A system outside the theorem (such an A, or a V) is stepped layer by layer, names no leaders,
  /// and ends at `layers`, at a layer that moves nothing, or at `max_general_layers`.
  bool general_a = false;
  /// τ: j is tied with the best if best − ⟨w_i, w_j⟩ ≤ τ ‖w_i‖ R, R the largest norm; 0: equal to the bit.
  double tie_tolerance = 1e-12;
  bool center = false;  ///< the mean of the tokens becomes the origin (the origin matters)
  /// With K = ∞, what is still undecided (exact ties without end) ends as kAsymptotic when no undecided token
  /// moves more than this times R in a layer and no decided one is farther from its limit; or at
  /// `max_layers`.
  double displacement = 1e-15;
  std::size_t max_layers = 100'000;
  std::size_t max_general_layers = 10'000;  ///< the same outside the theorem: each layer compares all pairs
  bool history = true;                      ///< keep what position() and targets() need
};

/// What becomes of a token.
enum class TokenEnd : std::uint8_t {
  kLeader,      ///< C_i = {i} at some layer: it stands still from then on
  kStatic,      ///< at the mean of its own, static, argmax set
  kFollows,     ///< converges to a leader
  kFace,        ///< converges to the mean of several static tokens: the origin's projection onto their face
  kAsymptotic,  ///< undecided when the run ended as HardmaxOptions::displacement says
  kUndecided,   ///< undecided at layer K
};
std::string_view to_string(TokenEnd end);

/// Why a run ended.
enum class HardmaxStop {
  kDecided,    ///< every token is decided; outside the theorem: a layer moves nothing
  kLayers,     ///< layer K
  kStill,      ///< no token moves more than HardmaxOptions::displacement says
  kMaxLayers,  ///< K = ∞: HardmaxOptions::max_layers, or max_general_layers
};

struct Leader {
  std::size_t token = 0;      ///< lowest index of its group of equal tokens
  std::size_t copies = 1;     ///< tokens of that group
  double norm = 0;            ///< ‖w‖, the A-norm of z
  std::size_t emergence = 0;  ///< first layer with C_i = {i}
  std::size_t followers = 0;  ///< tokens whose limit is this leader, itself and its copies among them
};

/// What happened to a token, in the order of the input.
struct Fate {
  TokenEnd end = TokenEnd::kUndecided;
  std::size_t leader = kNone;    ///< index into `leaders` of the limit (kLeader, kFollows)
  std::size_t decided = kNone;   ///< layer from which on its future is a formula; kNone: undecided
  std::size_t first_target = 0;  ///< lowest token of C_i at layer 0
  bool changed = false;          ///< its argmax set changed at some layer
  double travelled = 0;          ///< ‖limits − start‖ in z (see HardmaxRun::limits)
};

/// Counts of a layer, over unique tokens.
struct LayerCounts {
  std::size_t active = 0;    ///< queried at this layer
  std::size_t leaders = 0;   ///< after it
  std::size_t decided = 0;   ///< leaders, static and frozen, after it
  std::size_t changed = 0;   ///< whose argmax set differs from the layer before
  std::size_t ties = 0;      ///< active tokens with more than one (unique) target
  std::uint64_t scores = 0;  ///< inner products evaluated
};

/// A run. A token's positions are iterated up to the layer that decides; from there on they are
/// target + r^{k − decided} (z − target).
class HardmaxRun {
 public:
  std::size_t tokens = 0, dimension = 0;
  std::size_t unique = 0;       ///< tokens that differ (under A: in Lᵀz; if A is singular, beyond rounding)
  std::size_t zero_tokens = 0;  ///< zero vectors: they attend to all tokens
  double alpha = 0;
  double rate = 0;           ///< r = 1/(1 + α): what is left of the distance to the limit after a layer
  bool theorem = true;       ///< A symmetric positive (semi)definite and V = αI: leaders, freeze theorem
  bool equal_norms = false;  ///< all norms equal: every token leads, nothing ever moves
  std::size_t depth = kAllLayers;  ///< K as asked for; kAllLayers: K = ∞
  std::size_t layers = 0;          ///< layers computed one by one; all later ones are formulas
  bool complete = false;           ///< every token is decided
  HardmaxStop stop = HardmaxStop::kDecided;
  std::size_t initial_leaders = 0;  ///< with emergence 0
  std::vector<Leader> leaders;      ///< by emergence, then token
  std::vector<Fate> fates;          ///< of all tokens
  std::vector<LayerCounts> per_layer;
  Matrix<double> limits;           ///< n × d, in z: exact limit (K = ∞) or position at layer K
  std::vector<std::size_t> group;  ///< token → unique token
  std::vector<std::size_t> first;  ///< unique token → lowest token
  std::vector<std::string> notes;  ///< warnings, one line each

  /// Position of a token after `layer` layers (0: as given, in z), any layer of a complete run; up to the
  /// last computed one otherwise. Throws kUsage without history or beyond it. O(d).
  void position(std::size_t token, std::size_t layer, std::span<double> out) const;
  /// All of them, n × d.
  Matrix<double> positions(std::size_t layer, const Arena& arena) const;
  /// C_i at a layer as unique tokens (see `first`), ascending.
  std::vector<std::size_t> targets(std::size_t token, std::size_t layer) const;

  /// One unique token's way; of tokens that differ and are equal under A, their mean.
  struct Path {
    std::vector<double> steps;                      ///< positions at layers 0 … decided, each d numbers
    std::vector<std::vector<std::size_t>> targets;  ///< argmax sets at those layers
    std::vector<double> target;                     ///< d numbers, once decided; empty otherwise
  };
  /// Throws kUsage without history.
  Path path(std::size_t unique) const;

  // What the above are read from. Unique tokens have here the run's own order: `rank` of a unique token.
  struct Layer {
    std::vector<std::uint32_t> active;  ///< queried at this layer, ascending; layer 0: all
    Matrix<double> z;                   ///< where they are, a row each
    std::vector<std::uint32_t> set;     ///< which argmax set each has; empty after the last layer computed
    std::vector<std::size_t> begin;     ///< set s is members[begin[s]] … members[begin[s + 1] − 1]
    std::vector<std::uint32_t> members;
  };
  struct History {
    std::vector<Layer> layers;                ///< 0 … `layers`; the last has positions alone
    std::vector<std::uint32_t> rank, number;  ///< of a unique token; unique token of a rank
    std::vector<std::uint32_t> decided;       ///< by rank: layer, or kUndecidedLayer
    std::vector<std::uint32_t> target;  ///< by rank: what it converges to, a rank or unique + row of faces
    Matrix<double> faces;               ///< means of static tokens
    Matrix<double> offsets;             ///< n × d, from the mean of the tokens equal under A; empty: all 0
  };
  static constexpr std::uint32_t kUndecidedLayer = 0xffffffff;
  History history;  ///< empty without HardmaxOptions::history
};

/// Runs the system on `tokens` (n × d, any norms up to 1e300). Exactly what the iteration gives, to 1e-12:
/// score products are a filter, a canonical dot product decides, leaders are latched at their first layer.
/// Identical to the bit for any number of threads and any vector width. Cost: about one all-pairs
/// maximum-inner-product pass, pruned by norms (d ≥ 3), O(n log n) a layer (d ≤ 2); memory 12nd bytes.
/// Throws kUsage (α ≤ 0, negative tolerance), kShape (A or V not d × d, no tokens), kNotFinite naming row
/// and column, or the layer at which a system outside the theorem overflows, kNoConvergence (A not symmetric
/// positive semidefinite: smallest pivot; I + V singular), kLimit.
HardmaxRun run_hardmax(ConstMatrixView<double> tokens, const HardmaxOptions& options, const Arena& arena);

}  // namespace telos::clustering
