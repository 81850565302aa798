#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "telos/positional/model.h"

// Capacity of a positional transformer and of those it is compared with: an explicit, computable version of
// the norm-based bound of Back de Luca et al. (2410.01686, theorem 6.1), after the cover of linear classes of
// Zhang (JMLR 2002) and the composition of Edelman et al. (ICML 2022). The theorem itself hides its
// constants; the numbers here are this library's own form of it. As bounds on a risk they are vacuous for
// every model of practical size: they compare models, depths, checkpoints and sample sizes.

namespace telos::positional {

struct CapacityOptions {
  double input_norm = 2;        ///< largest 2-norm of a row of x, without positions
  std::size_t samples = 30000;  ///< m
  double loss_range = 1;        ///< M: the loss lies in [0, M]
  double loss_lipschitz = 1;    ///< L_ℓ, of the loss in the output
  double delta = 0.05;          ///< the bound holds with probability 1 − δ
};

/// Layer l with input X, ‖X‖_{2,∞} = largest 2-norm of a row. s(·) is the spectral norm, ‖·‖_{2,1} the sum of
/// the 2-norms of the output rows (weights as stored, outputs × inputs).
struct CapacityLayer {
  double input_norm = 0;            ///< R_l, bound of ‖X‖_{2,∞}
  std::vector<double> vo;           ///< s(W_o[:, h]·W_v[h, :]) of head h; baselines: none
  std::vector<double> qk;           ///< s(W_Qᵀ W_K)/√d_k of head h; of direct logits s(logits)
  std::vector<double> mlp, mlp_21;  ///< s and ‖·‖_{2,1} of the MLP's maps W_1, W_2, …
  double v_21 = 0, o_21 = 0;
  double attention = 0;                        ///< a_l, Lipschitz constant of attention in ‖·‖_{2,∞}
  double lambda = 0;                           ///< Λ_l = √(1 + a_l²)·Π_k s(W_k)
  double log10_lambda = 0, log10_product = 0;  ///< of Λ_l and of Λ_1 … Λ_l
  double output_norm = 0;                      ///< R_{l+1}
};

/// One linear class of the cover. Its share is (s·r·b)^(2/3) over the sum of all.
struct CoverTerm {
  std::string name;        ///< "encoder", "layer 2: scores of head 1", "layer 1: 1 + epsilon" of a GIN, …
  double log10_slope = 0;  ///< s: what an error at this map's output can become at the output of the model
  double input_norm = 0;   ///< r, with the constant input that carries the bias
  double norm_21 = 0;      ///< b of [W | bias]
  double share = 0;
};

struct CapacityReport {
  std::string kind;         ///< kind_of(config)
  std::string origin;       ///< of the model
  bool attends = true;      ///< false for the graph baselines, which have no queries and keys
  bool positional = false;  ///< attention does not depend on the input: Q and K are outside of Λ
  std::size_t parameters = 0;
  double encoder = 0, decoder = 0;  ///< s(W_enc), s(W_dec)
  std::vector<CapacityLayer> layers;
  double product = 0, log10_product = 0;      ///< Π Λ_l; the former may be infinite, the latter is finite
  double lipschitz = 0, log10_lipschitz = 0;  ///< s(W_enc)·Π Λ_l·s(W_dec), x → y in ‖·‖_{2,∞}
  double output_norm = 0;                     ///< R_{L+1}, before the decoder

  std::vector<CoverTerm> terms;
  double log_factor = 0;  ///< ln(2 D n m): D the largest side of a map with its constant, n positions
  double log10_k = 0;     ///< K: log N_∞(F, ε) ≤ K/ε² (+ ln of the index tables, with hard attention)
  double log_tables = 0;  ///< S·L·H·ln S with hard attention, else 0
  double log10_rademacher = 0;  ///< √(K/m)·(4 + 12·ln max(e, M√(m/K))) + 12·M·√(log_tables/m)
  double log10_gap = 0;  ///< 2·L_ℓ·Rad + 3·M·√(ln(2/δ)/(2m)): risk − empirical risk is at most this
  CapacityOptions options{};
  std::vector<std::string> notes;  ///< what is special about this model, one line each
};

/// The report of a model as trained, compiled or converted. In positional models a_l = Σ_h vo_h, since a
/// row-stochastic matrix does not enlarge ‖X‖_{2,∞}; queries and keys enter K only, by one term a head. Where
/// attention reads features a_l = Σ_h vo_h (1 + max(4 R Z qk_h, 2 R Z qk_h + R ‖W_Kᵀ b_Q‖/√d_k)), Z = R_l, or
/// √(R_l² + ‖P‖²_{2,∞}) where it reads positions too: softmax moves by at most the largest change of a score.
/// Graph baselines: a_l = s(W) (GCN), s of (1 + ε) and the sum over S − 1 neighbours (GIN). Hard attention
/// over features is not continuous: Λ and K are infinite, and a note says so. Cost: singular values of each
/// map, O(L (H d³ + h d²)). Throws kUsage for options out of range, kShape if values and layout differ.
CapacityReport capacity(const Model& model, const CapacityOptions& options = {});

/// Largest ‖f(x + δ) − f(x)‖_{2,∞}/‖δ‖_{2,∞} over `pairs` random inputs with ‖x‖_{2,∞} ≤ input_norm, scratch
/// rows included, and small and large δ that stay in this ball: never above capacity().lipschitz, and mostly
/// far below. Throws kUsage for a model of tokens.
double observed_lipschitz(const Model& model, double input_norm, std::size_t pairs, std::uint64_t seed,
                          const Arena& arena);

}  // namespace telos::positional
