#pragma once

#include <cstddef>
#include <vector>

#include "reference/tape.h"

// The operations of the training engine as plain loops, for one sample. T is double, or the tape's Var, which
// turns each function into its own exact derivative. Tokens are rows; weights are stored as PyTorch stores
// them (out × in), so that they act as X·Wᵀ.

namespace telos::reference::nn {

template <class T>
using Mat = std::vector<std::vector<T>>;
using Indices = std::vector<int>;

enum class Activation { kNone, kRelu, kGeluErf, kGeluTanh, kQuickGelu, kSilu };

template <class T>
Mat<T> transpose(const Mat<T>& a);
template <class T>
Mat<T> multiply(const Mat<T>& a, const Mat<T>& b);
template <class T>
Mat<T> activate(const Mat<T>& a, Activation activation);
/// activation([X_1 ‖ X_2 ‖ …]·Wᵀ + b); an empty bias is none.
template <class T>
Mat<T> linear(const std::vector<Mat<T>>& inputs, const Mat<T>& weight, const Mat<T>& bias,
              Activation activation);
template <class T>
Mat<T> add(const Mat<T>& a, const Mat<T>& b);
template <class T>
Mat<T> scale(const Mat<T>& a, T factor);
template <class T>
Mat<T> slice(const Mat<T>& a, std::size_t row, std::size_t col, std::size_t rows, std::size_t cols);
template <class T>
Mat<T> stack_rows(const std::vector<Mat<T>>& values);
template <class T>
Mat<T> append_columns(const Mat<T>& a, const Mat<T>& b);

/// e^{a_ij} / Σ_k e^{a_ik}.
template <class T>
Mat<T> softmax_rows(const Mat<T>& a);
/// 1 at each row's largest entry (the first of equals), 0 elsewhere; differentiated as if it were `a`.
template <class T>
Mat<T> hard_rows(const Mat<T>& a);
/// (H·S) × S: head h's softmax_rows(Q_h K_hᵀ/√d_k), where P·W_qkᵀ + b_qk holds Q_0, K_0, Q_1, K_1, …
template <class T>
Mat<T> positional_attention(const Mat<T>& positions, const Mat<T>& w_qk, const Mat<T>& b_qk,
                            std::size_t heads);
enum class MixForm { kSplit, kShared, kIdentityAndShared };
template <class T>
Mat<T> mix(const Mat<T>& attention, const Mat<T>& v, MixForm form);

struct Attention {
  std::size_t heads = 1;
  enum class Kind { kSoftmax, kLinear, kHard } kind = Kind::kSoftmax;
  double scale = 0;  ///< 0: 1/√d_k
  bool causal = false, interleaved = true;
};
template <class T>
Mat<T> attention(const Mat<T>& qk, const Mat<T>& v, const Attention& options);
template <class T>
Mat<T> rotary(const Mat<T>& qk, std::size_t heads, double base, bool over_heads);

struct Hardmax {
  enum class Mode { kSoft, kHard, kSte } mode = Mode::kSoft;
  std::size_t layers = 1;
  double temperature = 1e-3, ste_temperature = 0.1;
};
/// X ← (X + α·P·X)/(1 + α), layer after layer, with P_ij = w_j e^{<x_i, x_j>/T} / Σ_k w_k e^{<x_i, x_k>/T},
/// or hardmax: equal shares, by weight, of the largest scores. Rows of weight 0 are absent and become 0.
template <class T>
Mat<T> hardmax_layers(const Mat<T>& x, const T& alpha, const std::vector<double>& weights,
                      const Hardmax& options);
/// Σ w_i x_i / Σ w_i.
template <class T>
Mat<T> weighted_mean_pool(const Mat<T>& x, const std::vector<double>& weights);
/// log(1 + e^{sharpness·a})/sharpness.
template <class T>
Mat<T> softplus(const Mat<T>& a, double sharpness);

template <class T>
Mat<T> layer_norm(const Mat<T>& x, const Mat<T>& gain, const Mat<T>& bias, double eps);
template <class T>
Mat<T> rms_norm(const Mat<T>& x, const Mat<T>& gain, double eps);
template <class T>
Mat<T> embedding(const Indices& indices, const Mat<T>& table);
template <class T>
Mat<T> mean_pool(const Mat<T>& x);

// Losses over the first `rows` rows (0: all).
template <class T>
T mean_squared_error(const Mat<T>& prediction, const Mat<T>& target, std::size_t rows);
/// Rows with a negative target do not count; 0 where none counts.
template <class T>
T cross_entropy(const Mat<T>& logits, const Indices& targets, std::size_t rows);
template <class T>
T binary_cross_entropy(const Mat<T>& logits, const Mat<T>& target, std::size_t rows);

}  // namespace telos::reference::nn
