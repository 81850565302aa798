#pragma once

#include <complex>
#include <vector>

// Attention that learns in context, from its definition: token matrices are built and multiplied, prompts are
// visited one by one, loops are run. Vectors hold rows.

namespace telos::reference::in_context {

using Vector = std::vector<double>;
using Mat = std::vector<Vector>;
using Complex = std::complex<double>;
using ComplexVector = std::vector<Complex>;
using ComplexMat = std::vector<ComplexVector>;

// Linear attention E + W_PV E Eᵀ W_KQ E/n on E = [x_1 … x_n x_q; y_1 … y_n 0]: the last entry of the last
// column. x holds n + 1 rows, the query last.
double linear_attention(const Mat& x, const Vector& y, const Mat& w_pv, const Mat& w_kq);

// Mean of ½(w_k − ŷ)² over w ~ N(0, I) and over all K^n prompts of features with probabilities p, where token
// i of a prompt has softmax weight e^{logits[m_i]}/Σ and value w_{m_i}.
double softmax_loss(const Vector& p, int prompt, int query, const Vector& logits);

// Mean over w* ~ N(0, I) and x_q ~ N(0, Λ) of (ŷ − y)² after `loops` times w ← w + A(1/n)Σ(y_i − ⟨w,
// x_i⟩)x_i.
double looped_loss(const Mat& x, const Vector& eigenvalues, const Mat& a, int loops);

// ½Σ_{t=2}^{T−1}|W_PV E_t E_tᴴ W_KQ e_t/(t − 1) − x_{t+1}|² for x_{t+1} = diag(phase) x_t, e_t = (x_t;
// x_{t−1}).
double mesa_loss(const Vector& start, const ComplexVector& phase, int length, const ComplexMat& w_pv,
                 const ComplexMat& w_kq);

// s_t = λ^t. ‖Σ_{t=1}^T η_t s_t s_{t−1}ᴴ s_T − s_{T+1}‖²
double augmented_error(const Vector& eta, const ComplexVector& lambda);
// ‖ŝ − s_{T+1}‖², ŝ_i = Σ_{t=1}^T p_t Σ_j C_ij conj(s_{T−1,j}) s_{t,j} s_{t,i}
double masked_error(const Mat& c, const Vector& p, const ComplexVector& lambda);

}  // namespace telos::reference::in_context
