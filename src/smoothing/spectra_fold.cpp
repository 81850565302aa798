#include <algorithm>
#include <type_traits>
#include <utility>

#include "smoothing/spectra_parts.h"
#include "telos/linalg/gemm.h"

namespace telos::smoothing {

namespace {

/// row ← row · diag(gain), then minus its mean: a row of (CΓW)ᵀ = WᵀΓC.
template <class T>
void scale_and_centre(T* row, std::size_t width, const std::vector<float>& gain, bool centre) {
  double mean = 0;
  if (centre) {
    for (std::size_t i = 0; i < width; ++i) mean += gain.empty() ? row[i] : double{row[i]} * double{gain[i]};
    mean /= static_cast<double>(width);
  }
  for (std::size_t i = 0; i < width; ++i) {
    const double scaled = gain.empty() ? double{row[i]} : double{row[i]} * double{gain[i]};
    row[i] = static_cast<T>(scaled - mean);
  }
}

template <class T>
Matrix<T> take(Matrix<float>&& from) {
  if constexpr (std::is_same_v<T, float>) {
    return std::move(from);
  } else {
    Matrix<T> out(from.rows(), from.cols());
    std::copy_n(from.data(), from.size(), out.data());
    from = {};
    return out;
  }
}

}  // namespace

template <class T>
FoldedWeights<T> fold_weights(AttentionWeights&& weights, Fold fold) {
  FoldedWeights<T> out{weights.heads, weights.kv_heads, weights.head_width, {}, {}, {}};
  const bool gains = fold != Fold::kNone;
  const bool centres = fold == Fold::kCentreGamma || fold == Fold::kAuto;
  const bool centre_in = centres && weights.norm == NormKind::kLayerNorm;
  const bool gain_in = gains && weights.norm != NormKind::kNone && !weights.norm_gain.empty();
  // A row o of the attention output becomes s·oCΓ_out under a LayerNorm there: C and Γ_out act on W_O's
  // columns.
  const bool centre_out = centres && weights.output_norm == NormKind::kLayerNorm;
  const bool gain_out = gains && !weights.output_gain.empty();

  out.value_t = take<T>(std::move(weights.value_t));
  out.output = take<T>(std::move(weights.output));
  if (gain_in && !finite(weights.norm_gain))
    out.problem = "NaN or infinity in γ of the input norm";
  else if (gain_out && !finite(weights.output_gain))
    out.problem = "NaN or infinity in the gain on the attention output";
  static const std::vector<float> none;
  if (centre_in || gain_in)
    for (std::size_t r = 0; r < out.value_t.rows(); ++r)
      scale_and_centre(out.value_t.row(r), out.value_t.cols(), gain_in ? weights.norm_gain : none, centre_in);
  if (centre_out)
    for (std::size_t r = 0; r < out.output.rows(); ++r)
      scale_and_centre(out.output.row(r), out.output.cols(), none, true);
  if (gain_out)
    for (std::size_t r = 0; r < out.output.rows(); ++r)
      scale_and_centre(out.output.row(r), out.output.cols(), weights.output_gain, false);

  out.fold = std::string(centre_in ? "C " : "") + (gain_in ? "Γ " : "") + "W_V W_O" +
             (centre_out ? " C" : "") + (gain_out ? " Γ_out" : "");
  return out;
}
template FoldedWeights<float> fold_weights(AttentionWeights&&, Fold);
template FoldedWeights<double> fold_weights(AttentionWeights&&, Fold);

std::vector<double> attention_constant(const AttentionWeights& weights, bool with_norm_bias) {
  if (!weights.usable() || weights.output_norm != NormKind::kNone) return {};
  const std::size_t k = weights.head_width, width = weights.output.cols();
  std::vector<double> value(weights.value_t.rows(), 0.0);
  for (std::size_t r = 0; r < value.size(); ++r) {
    if (!weights.value_bias.empty()) value[r] = weights.value_bias[r];
    if (with_norm_bias && weights.norm != NormKind::kNone && !weights.norm_bias.empty())
      for (std::size_t i = 0; i < width; ++i)
        value[r] += double{weights.norm_bias[i]} * double{weights.value_t(r, i)};
  }
  std::vector<double> c(width, 0.0);
  for (std::size_t h = 0; h < weights.heads; ++h) {
    const double* of_group = value.data() + h / (weights.heads / weights.kv_heads) * k;
    for (std::size_t r = 0; r < k; ++r) {
      if (of_group[r] == 0) continue;
      const float* row = weights.output.row(h * k + r);
      for (std::size_t i = 0; i < width; ++i) c[i] += of_group[r] * double{row[i]};
    }
  }
  for (std::size_t i = 0; i < width; ++i) {
    if (!weights.output_bias.empty()) c[i] += double{weights.output_bias[i]};
    if (!weights.output_gain.empty()) c[i] *= double{weights.output_gain[i]};
  }
  return c;
}

void product_nt(ConstMatrixView<double> a, ConstMatrixView<double> b, MatrixView<double> c,
                const Arena& arena) {
  gemm<double>(Op::kPlain, Op::kTransposed, 1.0, a, b, 0.0, c, arena);
}
void product_nt(ConstMatrixView<float> a, ConstMatrixView<float> b, MatrixView<double> c,
                const Arena& arena) {
  gemm_f32_f64(Op::kPlain, Op::kTransposed, a, b, c, arena);
}

}  // namespace telos::smoothing
