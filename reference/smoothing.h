#pragma once

#include <complex>
#include <cstddef>
#include <vector>

// The mathematics of the smoothing lens, written as it reads in a paper: plain loops, double precision,
// nothing but the standard library, no attention to speed. The library's fast versions are tested against it.
// Tokens are rows, weights act from the right.

namespace telos::reference::smoothing {

using Vector = std::vector<double>;
using Mat = std::vector<Vector>;  // rows
using Complex = std::complex<double>;

// ---- Linear algebra, for small matrices ----
Mat zeros(std::size_t rows, std::size_t cols);
Mat identity(std::size_t n);
Mat transpose(const Mat& a);
Mat multiply(const Mat& a, const Mat& b);
Mat add(const Mat& a, const Mat& b, double factor = 1);  // a + factor·b
Mat scale(const Mat& a, double factor);
double frobenius(const Mat& a);
// One-sided Jacobi (Hestenes): rotate pairs of columns until all are orthogonal; their lengths are the
// singular values.
Vector singular_values(const Mat& a);  // descending, min(rows, cols) of them
// Roots of the characteristic polynomial: Faddeev–LeVerrier for its coefficients, Durand–Kerner for its
// roots. For n ≤ 8.
std::vector<Complex> eigenvalues(const Mat& a);
double spectral_radius(const Mat& a);

// ---- Filters and measures ----
Mat mean_part(const Mat& x);      // JX, J = 11ᵀ/n: every row becomes the mean row
Mat variable_part(const Mat& x);  // PX = X − JX

struct Measures {
  double hfc_lfc, hfc_frac, cos_mean, cos_abs_incl, res_1inf, rank1_res, stable_rank, eff_rank, part_ratio,
      dirichlet, log_norm, max_norm_share;
};
Measures measures(const Mat& x);  // for n ≥ 2 and no zero row

// ---- The linear system ----
// One layer: α X + A X H.
Mat layer(const Mat& a, const Mat& x, const Mat& h, double alpha);
struct Scaled {
  Mat x;            // divided by its Frobenius norm after every layer
  double log_norm;  // ln of the norm that the undivided tokens would have
};
Scaled iterate(const Mat& a, const Mat& h, const Mat& x0, double alpha, std::size_t layers);

// |1 + h| < |1 + a h|: the non-constant mode with eigenvalue a outgrows the constant one.
bool sharpens(Complex h, double a);
// Which maximum is larger, D = max |α + h_j| or F = max over λ_i ≠ 1 of |α + λ_i h_j|. The eigenvalue nearest
// to 1 is taken as the constant mode's.
struct Maxima {
  double dc, hf;
};
Maxima maxima(const Mat& a, const Mat& h, double alpha);

// ---- Attention, norms, interventions ----
Mat softmax_rows(const Mat& logits, bool causal);
Mat attention(const Mat& queries, const Mat& keys, double scale, bool causal);  // softmax(scale · Q Kᵀ)
Mat pap(const Mat& a);                                                          // P A P
Mat layer_norm(const Mat& x, double gamma, double eps);

Mat attn_scale(const Mat& a, double omega);                            // J + (1 + ω)(A − J)
Mat feat_scale(const Mat& x, double low, double high, bool official);  // X + s JX + t PX; official: 2s, 2t
Mat contra_norm(const Mat& x, double s);                               // (1 + s)X − s softmax(X̂ X̂ᵀ) X
Mat neutreno(const Mat& a, const Mat& v, const Mat& v0, double lambda);  // A V + λ (V_0 − V)

// ---- One layer of the transformer simulation, without interventions ----
enum class Norm { kNone, kPre, kPost };
struct Head {
  Mat wq, wk, wv, wo;  // d×k, d×k, d×k, k×d
};
// pre:  X + Σ_h A_h(Z) Z W_V W_O with Z = norm(X);  post: norm(X + Σ_h A_h(X) X W_V W_O);
// none: X + Σ_h A_h(Z) X W_V W_O, where Z = norm(X) feeds queries and keys only, so that the logits stay
// bounded.
Mat transformer_layer(const Mat& x, const std::vector<Head>& heads, Norm norm, bool causal, double gamma,
                      double alpha, double logit_scale, double eps);

}  // namespace telos::reference::smoothing
