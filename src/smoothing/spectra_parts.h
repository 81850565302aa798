#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "telos/smoothing/spectra.h"

namespace telos::smoothing {

template <class T>
bool finite(const std::vector<T>& values) {
  for (const T x : values)
    if (!std::isfinite(x)) return false;
  return true;
}

/// One site's weights after folding, in the precision T in which its products are formed. Rows are those of
/// AttentionWeights: (CΓW_V)ᵀ and W_O Γ_out.
template <class T>
struct FoldedWeights {
  std::size_t heads = 0, kv_heads = 0, head_width = 0;
  Matrix<T> value_t;      ///< (kv_heads · k) × d
  Matrix<T> output;       ///< (heads · k) × d
  std::string fold;       ///< what was folded, as SiteSpectrum::fold
  std::string problem{};  ///< a folded gain is not finite: no head of the site can be used

  std::size_t group_of(std::size_t head) const { return head / (heads / kv_heads); }
  ConstMatrixView<T> value_t_of_group(std::size_t group) const {
    return value_t.view().block(group * head_width, 0, head_width, value_t.cols());
  }
  ConstMatrixView<T> output_of(std::size_t head) const {
    return output.view().block(head * head_width, 0, head_width, output.cols());
  }
};

/// Folds in double, stores as T. For T = float the matrices of `weights` are reused, so nothing is held
/// twice.
template <class T>
FoldedWeights<T> fold_weights(AttentionWeights&& weights, Fold fold);

/// c = (β W_V + b_V) W_O + b_O, times the right factor where it is a plain gain (LayerScale). Empty where a
/// norm acts on the attention output. `with_norm_bias` false leaves β out: for Z as the attention really
/// reads it.
std::vector<double> attention_constant(const AttentionWeights& weights, bool with_norm_bias);

/// C ← A · Bᵀ in double, for double factors or float ones.
void product_nt(ConstMatrixView<double> a, ConstMatrixView<double> b, MatrixView<double> c,
                const Arena& arena);
void product_nt(ConstMatrixView<float> a, ConstMatrixView<float> b, MatrixView<double> c, const Arena& arena);

/// Fills everything of `head` except names and the tendency, which needs the layer's other heads.
template <class T>
void measure_head(const FoldedWeights<T>& weights, const SpectraOptions& options, const Arena& arena,
                  HeadSpectrum& head);
/// Sets each head's tendency from its numbers and the layer's median σ_1.
void judge_heads(std::span<HeadSpectrum> heads, bool half_plane, bool self_map);

template <class T>
LayerSum measure_sum(const FoldedWeights<T>& weights, const SpectraOptions& options, const Arena& arena);

}  // namespace telos::smoothing
