#pragma once

#include <algorithm>
#include <cstddef>

#include "telos/nn/operations.h"

namespace telos::nn {

/// Attention of a micro-batch, head by head and sample by sample; each product fits into the first-level
/// cache. Row (sample · length + i) of a matrix lies at data + row · stride.
template <class T>
struct AttentionProblem {
  std::size_t samples = 0, length = 0, heads = 0, d_k = 0, d_v = 0;
  AttentionOptions::Kind kind = AttentionOptions::Kind::kSoftmax;
  T scale = 1;
  bool causal = false, interleaved = true;

  const T* qk = nullptr;
  std::size_t qk_row = 0;
  const T* v = nullptr;
  std::size_t v_row = 0;
  T* y = nullptr;  ///< forward
  std::size_t y_row = 0;
  const T* dy = nullptr;  ///< backward
  std::size_t dy_row = 0;
  T* dqk = nullptr;  ///< backward; added to; null: not needed
  std::size_t dqk_row = 0;
  T* dv = nullptr;
  std::size_t dv_row = 0;
  T* saved = nullptr;    ///< samples · heads · saved_per_head()
  T* scratch = nullptr;  ///< scratch()

  /// Columns of a transposed matrix: whole vectors of the widest instruction set, of either type.
  std::size_t padded() const { return (length + 15) / 16 * 16; }
  /// The weights, transposed (columns × rows, padded), and for kHard the index that each row took.
  std::size_t saved_per_head() const {
    return length * padded() + (kind == AttentionOptions::Kind::kHard ? padded() : 0);
  }
  std::size_t scratch_elements() const { return padded() * (std::max(d_k, d_v) + length); }
};

void attention_forward(const AttentionProblem<float>& p);
void attention_forward(const AttentionProblem<double>& p);
void attention_backward(const AttentionProblem<float>& p);
void attention_backward(const AttentionProblem<double>& p);

}  // namespace telos::nn
