#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string>

#include "smoothing/page_parts.h"

namespace telos::smoothing {

std::string plus_minus(const Estimate& estimate, bool sign) {
  return telos::plus_minus(estimate.mean, estimate.error, sign);
}

std::string architecture_line(const Architecture& a) {
  std::string family = a.family;
  std::transform(family.begin(), family.end(), family.begin(),
                 [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
  std::string heads = fmt::format("{} heads × {}", a.heads, a.head_width);
  if (a.kv_heads != a.heads) heads += fmt::format(" ({} for keys and values)", a.kv_heads);
  return fmt::format("{} {} · {} · d {} · {} · {}{}", family, a.causal ? "decoder" : "encoder",
                     count_of(a.layers, "layer", "layers"), a.width, heads, to_string(a.block),
                     a.norm == NormKind::kNone ? "" : fmt::format(" ({})", to_string(a.norm)));
}

std::vector<Definition> smoothing_definitions() {
  const std::string invariant =
      " Gauge-invariant: it does not change under W_V → W_V M, W_O → M⁻¹W_O, nor with the order of heads or "
      "MLP neurons.";
  const std::string data =
      " A property of the activations: invariant under every change of weights that leaves them as "
      "they are, and under rotations of the residual stream.";
  const std::string data_centred =
      " A property of the activations: invariant under changes of weights that leave them as they are.";
  return {
      {"H",
       "W_V W_O of one head, d × d of rank at most k, tokens as rows; with what is folded into it (C: "
       "centring, Γ: gain "
       "of the norm). X ← X + A X H. Source: arXiv 2401.04301."},
      {"h",
       "An eigenvalue of H other than the d − k that are 0 by rank; computed as eigenvalues of K = W_O W_V." +
           invariant},
      {"HFC/LFC",
       "‖PX‖_F / ‖JX‖_F with J = 11ᵀ/n and P = I − J: the part of the tokens that varies against their "
       "common mean." +
           data},
      {"varying share", "‖PX‖² / ‖X‖²: HFC's share of the energy, between 0 and 1." + data},
      {"mean cosine", "Mean of cos(x_i, x_j) over all pairs i ≠ j of tokens with nonzero norm." + data},
      {"stable rank", "Of tokens: ‖X‖_F² / σ_1². Of a head: ‖H‖_F² / σ_1². 1 = one direction." + data},
      {"hfc_frac, cos_abs_incl, res_1inf, rank1_res, eff_rank, part_ratio, dirichlet, log_norm, "
       "max_norm_share",
       "hfc_frac: the varying share. cos_abs_incl: mean |cos| over all pairs, the diagonal included. "
       "res_1inf: "
       "‖PX‖/‖X‖ in the norm sqrt(‖·‖_1‖·‖_∞) (the coordinates' own, so a rotation of the residual stream "
       "changes it). "
       "rank1_res: sqrt(Σ_{k≥2}σ_k²/Σσ_k²). eff_rank: exp(−Σp ln p), p = σ/Σσ. part_ratio: (Σσ²)²/Σσ⁴. "
       "dirichlet: "
       "½Σ_ij‖x_i − x_j‖² = n‖PX‖². log_norm: ln ‖X‖_F. max_norm_share: max_i ‖x_i‖²/‖X‖²." +
           data_centred},
      {"gain",
       "g_h = ⟨Y, D_h⟩/‖Y‖² with Y = PX and D_h = P A_h P Z H_h: head h's first-order share in the change of "
       "‖Y‖² by "
       "attention, ‖Y'‖² − ‖Y‖² = 2Σ⟨Y, D_h⟩ + ‖ΣD_h‖². Negative: it makes tokens alike. ± is the standard "
       "error over "
       "windows." +
           invariant},
      {"mean, mean gain of a head",
       "⟨m, δ_h⟩/‖m‖² with δ_h = (z̄ + 1ᵀA_h P Z/n)H_h: head h's first-order part in the growth of the mean "
       "token m; a "
       "layer's sum holds the constant c too. Tokens grow alike when the mean gains more than the varying "
       "part does, so to "
       "first order a head changes ln(HFC/LFC) by gain − mean gain." +
           invariant},
      {"HFC gain, DC gain",
       "ln(‖PX'‖/‖PX‖) and ln(‖m'‖/‖m‖) through attention, m the mean token; the same for the rest of the "
       "layer (MLP and norms). Their sum over a layer is the change of ln ‖PX‖ and ln ‖m‖." +
           data},
      {"L1, L2",
       "Exact laws of one attention sublayer: PX' = PX + Σ P A_h P Z H_h, and m' = m + Σ(z̄ + 1ᵀA_h P Z/n)H_h "
       "+ c. Largest "
       "residual on the trace relative to ‖X'‖_F: it validates engine, weights and folding together." +
           data_centred},
      {"ρ, max Re, min Re", "Largest |h|, largest and smallest Re h." + invariant},
      {"Re < 0", "Σ_{Re h < 0}|h| / Σ|h|." + invariant},
      {"smooth, sharp, depends",
       "Shares of |h|-weight with |h + 1| ≥ 1 (the constant mode grows fastest whatever A), |h + ½| ≤ ½ "
       "(a varying mode does), and neither (it turns at a* = −2Re h/|h|² − 1). For pre-norm models h stands "
       "for s·h with the token scale s; s → 0 leaves the sign of Re h." +
           invariant},
      {"copy score", "Σ Re h / Σ|h|, between −1 and 1." + invariant},
      {"σ_1, Henrici, asymmetry",
       "‖H‖₂; sqrt(‖H‖_F² − Σ|h|²)/‖H‖_F (0: normal; above 0.7 eigenvalues mislead at finite depth); "
       "‖H − Hᵀ‖_F/(2‖H‖_F) (0 symmetric, 1 antisymmetric, 0.707 for independent entries)." +
           invariant},
      {"ρ(I + H_Σ)",
       "Growth of the mean token by attention, H_Σ = Σ_h H_h; by Arnoldi's method an estimate from fixed "
       "random start "
       "vectors, which a rotation of the residual stream changes within the residual given." +
           invariant},
      {"‖c‖/‖m‖",
       "Constant that attention adds to every token, c = b_V W_O + b_O + βW_V W_O, against the mean token: "
       "pure mean, it "
       "cannot change HFC." +
           invariant},
      {"negative γ",
       "Share of γ_i < 0 in the norm before attention. NOT gauge-invariant: a sign can move between γ and "
       "W_V."},
      {"a",
       "Smallest Re λ of an attention matrix (causal: its smallest diagonal entry). h sharpens against it "
       "where |1 + sh| < "
       "|1 + a·sh|, exact for real spectra." +
           data_centred},
      {"σ_max(PAP)",
       "Largest one-step gain of the varying part by attention alone; may exceed 1." + data_centred},
      {"s",
       "Token scale of the norm before attention: median over tokens of 1/σ; 1 for post-norm. Under a "
       "rescaled residual "
       "stream s changes and s·h with it does not."},
  };
}

std::vector<std::string> limits() {
  return {
      "The theory is linear: attention and H are fixed and shared over depth, and there is no MLP. A real "
      "model has neither; "
      "what is called a tendency follows from weights alone.",
      "At 12 to 80 layers, transients dominate where H or A is far from normal: the eigenvalues then say "
      "little (heads marked "
      "non-normal).",
      "Eigenvalues of single heads do not say how heads interact: their attention matrices do not commute.",
      "In pre-norm models the residual stream grows with depth and attention's leverage 1/σ falls.",
      "Tokens that grow alike are no fault by themselves: smoothing and sharpening both serve, depending on "
      "the task.",
  };
}

}  // namespace telos::smoothing
