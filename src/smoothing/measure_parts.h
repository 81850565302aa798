#pragma once

#include <cstddef>
#include <vector>

#include "telos/smoothing/measure.h"

namespace telos::smoothing {

/// One attention sublayer's weights in double: H_h = W_V^{g(h)} W_O^h with any plain output gain inside W_O.
struct SublayerWeights {
  std::size_t heads = 0, kv_heads = 0, head_width = 0;
  Matrix<double> value_t;              ///< (kv_heads · k) × d
  Matrix<double> output;               ///< (heads · k) × d
  std::vector<double> constant;        ///< b_V W_O + b_O: what is added beside Σ A_h Z H_h
  std::vector<double> constant_total;  ///< the same with β W_V W_O
};
SublayerWeights sublayer_weights(const AttentionWeights& weights);

/// The tokens of one window around one attention sublayer; n rows, padding left out.
struct SublayerTokens {
  Matrix<double> x;                       ///< residual stream before it
  Matrix<double> z;                       ///< what attention reads
  Matrix<double> x_after;                 ///< X' as recorded, or empty: then the law's own X' is used
  Matrix<double> x_next;                  ///< residual stream before the next layer, or empty
  std::vector<Matrix<double>> attention;  ///< h of n × n
};

/// Contributions, gains and law residuals; scale and attention spectra are left to the caller.
WindowSublayer measure_sublayer(const SublayerTokens& tokens, const SublayerWeights& weights,
                                const Arena& arena);

/// Mean of cos(x_i, x_j) over i ≠ j among the rows kept (empty = all) with nonzero norm, by (‖Σx̂‖² − m)/(m(m
/// − 1)).
double mean_cosine(ConstMatrixView<double> x, const std::vector<bool>& keep);

}  // namespace telos::smoothing
