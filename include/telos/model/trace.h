#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "telos/base/matrix.h"

namespace telos {

/// What to record of a forward pass.
struct Taps {
  bool hidden = true;      ///< residual stream before and after each layer
  bool attention = true;   ///< attention matrices
  bool sublayers = false;  ///< what attention reads (Z), and the stream right after it is added (X')
  bool logits = false;
};

/// A recorded pass of B sequences of L tokens. Matrices stack the sequences: row b·L + i is token i of
/// sequence b.
struct Trace {
  std::size_t sequences = 0;  ///< B
  std::size_t tokens = 0;     ///< L
  std::size_t width = 0;      ///< d
  std::size_t layers = 0;     ///< N
  std::size_t heads = 0;      ///< h
  bool causal = false;
  /// N + 1 matrices (B·L) × d: the residual stream before layer 0 and after each layer, before any final
  /// norm.
  std::vector<Matrix<float>> hidden;
  /// N matrices (B·h·L) × L: A of head h of sequence b in rows (b·heads + h)·L …; rows sum to 1.
  std::vector<Matrix<float>> attention;
  /// N matrices (B·L) × d each: Z with attention reading Z, and X' = X + Σ_h A_h Z H_h + 1cᵀ before any
  /// post-norm.
  std::vector<Matrix<float>> attention_input, attention_residual;
  Matrix<float> final_hidden;      ///< (B·L) × d after the final norm, or empty if the model has none
  Matrix<float> logits;            ///< (B·L) × V, or empty
  std::vector<std::uint8_t> mask;  ///< B·L, 1 = a real token; empty = all real
  std::string source;              ///< file it was read from, or the model's path

  ConstMatrixView<float> hidden_at(std::size_t layer, std::size_t sequence) const {
    return hidden[layer].view().block(sequence * tokens, 0, tokens, width);
  }
  ConstMatrixView<float> attention_at(std::size_t layer, std::size_t sequence, std::size_t head) const {
    return attention[layer].view().block((sequence * heads + head) * tokens, 0, tokens, tokens);
  }
};

/// Reads a trace that any framework wrote: one safetensors file (F64, F32, F16 or BF16) with `hidden.{l}` [L,
/// d] for l = 0 … N, N ≥ 1, optional `attn.{l}` [h, L, L] for all l = 0 … N − 1, optional `mask` [L] (1 = a
/// real token; of any type). Also taken if present, as write_trace leaves them: `attn_input.{l}` and
/// `attn_residual.{l}` [L, d] for all layers, `final_hidden` [L, d], `logits` [L, V]. A leading batch
/// dimension is accepted everywhere; other tensors are ignored. `causal` is set if every attention matrix is
/// exactly 0 above its diagonal in the rows of real tokens. Throws kBadFormat (a layer is missing; a row of
/// attention of a real token does not sum to 1 within 0.01 or has an entry below −0.01; a sequence is all
/// padding), kShape (the equation that failed), kNotFinite. Reads the file once; memory is that of its values
/// as float.
Trace read_trace(const std::string& path);
/// Whether the file at `path` holds a trace (has `hidden.0`), by its header. Throws what Checkpoint::open
/// throws.
bool is_trace(const std::string& path);
/// Writes a trace in the same format in F32 (with a batch dimension when B > 1), complete or not at all.
/// Throws kIo, and kUsage if the trace has no hidden states.
void write_trace(const std::string& path, const Trace& trace);

}  // namespace telos
