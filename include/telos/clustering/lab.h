#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "telos/base/arena.h"
#include "telos/base/matrix.h"
#include "telos/clustering/hardmax.h"

// The soft and continuous relatives of the hardmax system, and experiments on all of them. Hard retrieval
// (arXiv 2009.14658), where attention is an index look-up, is the hardmax itself: run_hardmax, or in a
// network AttentionOptions::Kind::kHard of nn.

namespace telos::clustering {

enum class SoftKind {
  kSoftmax,  ///< z' = r z + s Σ_j softmax_j(⟨A z_i, z_j⟩/T) z_j (discrete); T → 0 is the hardmax system
  kLocalmax,  ///< the same with equal weights on all j whose score is within `relaxation`·‖Az_i‖·R of the
              ///< best (localmax dynamics, 2509.15958); 0 is the hardmax system
  kEmergence,  ///< ż_i = Σ_j P_ij V (z_j − z_i), P = softmax_j⟨Q e^{tV} z_i, K e^{tV} z_j⟩ (2305.05465),
               ///< rescaled
  kSA,   ///< ẋ_i = P⊥(Σ_j softmax_j(β⟨Q x_i, K x_j⟩) V x_j) on the sphere (2312.10794)
  kUSA,  ///< ẋ_i = P⊥((1/n) Σ_j e^{β⟨x_i, x_j⟩} x_j): gradient ascent of the energy
};
std::string_view to_string(SoftKind kind);  ///< "softmax", "localmax", "emergence", "sa", "usa"
/// Throws kUsage naming the kinds.
SoftKind soft_kind_from(std::string_view name);
bool is_continuous(SoftKind kind);  ///< a differential equation: kEmergence, kSA, kUSA
bool is_spherical(SoftKind kind);   ///< on the unit sphere: kSA, kUSA

struct SoftOptions {
  SoftKind kind = SoftKind::kSoftmax;
  double alpha = 1;                       ///< kSoftmax, kLocalmax
  double temperature = 1e-3;              ///< T > 0, kSoftmax
  double relaxation = 0;                  ///< kLocalmax
  double beta = 1;                        ///< kSA, kUSA (≥ 0)
  ConstMatrixView<double> a{};            ///< kSoftmax, kLocalmax; d × d, empty: I
  ConstMatrixView<double> q{}, k{}, v{};  ///< kEmergence, kSA; d × d, empty: I
  std::size_t layers = 30;                ///< discrete kinds
  double time = 10;                       ///< continuous kinds: end
  /// Continuous kinds: largest RK4 step; 0: 0.1 over max(‖V‖, 1) for kEmergence, over ‖V‖·max(√(β‖Q‖‖K‖), 1)
  /// for kSA (what the softmax weighs is some 1/√β wide), over max(√β e^{β − ½}, 1) for kUSA.
  double step = 0;
  std::size_t frames = 60;  ///< continuous kinds: states after the first, evenly spaced
  double distance = 1e-2;  ///< ε: tokens closer than this (times R; on the sphere as a chord) are one cluster
  bool keep_states = true;
};

/// States at layers (discrete) or times (continuous), and what clusters they show.
struct SoftRun {
  std::vector<double> times;           ///< layer or time of each state
  std::vector<Matrix<double>> states;  ///< n × d; empty unless keep_states
  std::vector<std::size_t> clusters;   ///< connected components at distance ε, a state
  std::vector<double> energy;  ///< kUSA: (1/(2βn²)) Σ_ij e^{β⟨x_i, x_j⟩} (β = 0: ½‖mean‖²); empty otherwise
  std::vector<double> smallest_cosine;  ///< on the sphere: min_ij ⟨x_i, x_j⟩; empty otherwise
  std::vector<std::size_t> component;   ///< of each token at the end
  double step = 0;                      ///< RK4 step used
  std::size_t saturated_at =
      kNone;  ///< kEmergence: state from which on, to the last, the softmax is a hardmax
  std::vector<std::string> notes;
};

/// Classical RK4 with attention evaluated at every stage and row maxima subtracted; sphere models are
/// projected, and renormalised after each step. e^{tV} is the Padé approximant with its scale kept apart, so
/// that any time is in range; once the softmax is saturated it is a hardmax by itself. Gaps between scores
/// within their rounding error count as ties. Same bits for any number of threads. Tokens of the sphere
/// models are normalised first. Throws kUsage (an option out of range, a matrix that the kind has no use for,
/// a zero vector on the sphere), kShape, kNotFinite (an input; a state that overflowed: its time), kLimit
/// (memory; more than 10⁸ steps). Cost O(n²d) an evaluation, O(n²) a state for its clusters.
SoftRun run_soft(ConstMatrixView<double> tokens, const SoftOptions& options, const Arena& arena);

/// The longest time for which the number of clusters stays the same, above one and below the number at the
/// start: metastability.
struct Plateau {
  std::size_t clusters = 0;         ///< 0: there is none
  std::size_t first = 0, last = 0;  ///< states
};
Plateau longest_plateau(const SoftRun& run);

/// Phase diagram of the sphere model over β: the share of random systems (tokens uniform on the sphere) with
/// all ⟨x_i, x_j⟩ ≥ 1 − ε at each time, and the equiangular time of the theory beside it.
struct PhaseSpec {
  bool unnormalised = false;
  std::size_t tokens = 32, dimension = 2, systems = 64;
  double beta_from = 0.1, beta_to = 9;
  std::size_t betas = 30;
  double time = 30, epsilon = 1e-3;
  std::size_t times = 60;
  std::uint64_t seed = 0;
};
struct PhaseDiagram {
  PhaseSpec spec;
  std::vector<double> beta, time;
  std::vector<std::vector<double>> share;  ///< [time][β]
  std::vector<double> theory;              ///< time at which γ_β reaches 1 − ε, a β
  double seconds = 0;
};
PhaseDiagram phase_diagram(const PhaseSpec& spec, const Arena& arena);

/// Token sets by name, for `--demo`: the four rows of the figure of published dynamics ("emerging-leader",
/// "square", …) and random ones ("gaussian", "cube", "sphere", "anisotropic", "shifted").
struct DemoTokens {
  Matrix<double> tokens;
  double alpha = 0.5;
  std::string description;
};
DemoTokens demo_tokens(std::string_view name, std::size_t n, std::size_t d, std::uint64_t seed);
std::vector<std::pair<std::string, std::string>> demo_names();  ///< name, description

}  // namespace telos::clustering
