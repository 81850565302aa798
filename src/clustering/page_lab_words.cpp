#include <algorithm>
#include <string_view>
#include <vector>

#include "clustering/page_parts.h"

namespace telos::clustering {

std::vector<Definition> lab_definitions(std::initializer_list<std::string_view> terms) {
  std::vector<Definition> all = lab_definitions();
  std::erase_if(
      all, [&](const Definition& d) { return std::find(terms.begin(), terms.end(), d.term) == terms.end(); });
  return all;
}

std::vector<Definition> lab_definitions() {
  return {
      {"softmax system",
       "z_i ← z_i + s·(Σ_j softmax_j(⟨Az_i, z_j⟩/T) z_j − z_i), s = α/(1 + α): the hardmax system at "
       "temperature "
       "T; T → 0 is the hardmax system."},
      {"localmax system",
       "The same with equal weights on all tokens whose score is within relaxation·‖Az_i‖·R of the best, R "
       "the "
       "largest norm; 0 is the hardmax system (arXiv 2509.15958)."},
      {"rescaled attention flow",
       "ż_i = Σ_j P_ij V(z_j − z_i), P_ij = softmax_j⟨Qe^{tV}z_i, Ke^{tV}z_j⟩: z_i = e^{−tV}x_i of ẋ_i = Σ_j "
       "P_ij Vx_j "
       "(Geshkovski, Letrouit, Polyanskiy, Rigollet, arXiv 2305.05465)."},
      {"hardmax from",
       "First state at which every score but the best ones is more than 700 behind, so that all weights but "
       "theirs are 0 in double precision."},
      {"SA",
       "ẋ_i = P⊥(Σ_j softmax_j(β⟨Qx_i, Kx_j⟩) Vx_j), P⊥y = y − ⟨y, x_i⟩x_i: self-attention on the unit "
       "sphere "
       "(arXiv 2312.10794)."},
      {"USA",
       "ẋ_i = P⊥((1/n) Σ_j e^{β⟨x_i, x_j⟩}x_j): without the softmax's denominator; gradient ascent of E_β "
       "(arXiv "
       "2312.10794)."},
      {"cluster",
       "Connected component of tokens closer than ε times the largest norm; on the sphere, than a chord of "
       "ε."},
      {"plateau",
       "The longest time for which the number of clusters stays the same, above one and below that of the "
       "start: "
       "metastability."},
      {"together", "All ⟨x_i, x_j⟩ ≥ 1 − ε."},
      {"γ(t)",
       "Cosine of n tokens that start orthonormal and stay equiangular (Q = K = V = I): γ' = 2e^{βγ}(1 − "
       "γ)((n − 1)γ "
       "+ 1)/(e^β + (n − 1)e^{βγ}); for USA the denominator is n. arXiv 2312.10794."}};
}

}  // namespace telos::clustering
