#pragma once

#include <cstddef>
#include <vector>

#include "reference/nn.h"

// Positional transformers (Back de Luca et al., arXiv 2410.01686) and the models that they are compared with,
// one sample at a time, from their definitions. With T = Var the loss knows its exact gradient.

namespace telos::reference::positional {

template <class T>
using Mat = nn::Mat<T>;

/// What a model is. The fields mean what the fields of telos::positional::ModelConfig mean.
struct Shape {
  enum class Mixer { kAttention, kGcn, kGin } mixer = Mixer::kAttention;
  enum class Source { kFeatures, kPositions, kBoth } source = Source::kPositions;
  bool input_positions = false;
  enum class Rope { kNone, kTrue, kNoOp } rope = Rope::kNone;
  bool direct_logits = false, hard = false, bias = true;
  std::size_t vocabulary = 0;
  std::size_t nodes = 8, scratch = 1, in_dim = 1, out_dim = 1;
  std::size_t width = 64, heads = 2, hidden = 64, mlp_layers = 2, layers = 4;
  enum class Encoding { kOneHot, kBinary, kSinusoidal } encoding = Encoding::kOneHot;
  std::size_t encoding_dim = 0;
};

template <class T>
struct Affine {
  Mat<T> weight, bias;  ///< out × in; 1 × out
};

template <class T>
struct Layer {
  Mat<T> logits, epsilon;
  Affine<T> qk, v, o, gcn;
  std::vector<Affine<T>> mlp;
};

template <class T>
struct Weights {
  Affine<T> encoding, decoding;
  Mat<T> positions;  ///< learned table that is added to token embeddings
  std::vector<Layer<T>> layers;
};

/// Rows of the positions that a sample with `length` data positions has: the first `length`, and the scratch
/// positions, which are the last ones for every length.
Mat<double> encodings(const Shape& shape, std::size_t length);

/// Fills the weights from numbers in the order of files; `used` says how many it took.
template <class T>
Weights<T> weights_from(const Shape& shape, const std::vector<T>& values, std::size_t* used = nullptr);

/// Attention matrix of a head from positions alone.
template <class T>
Mat<T> fixed_attention(const Shape& shape, const Layer<T>& layer, std::size_t head, std::size_t length);

/// Outputs of one sample, (length + scratch) × out_dim; x is (length + scratch) × in_dim.
template <class T>
Mat<T> forward(const Shape& shape, const Weights<T>& weights, const Mat<double>& x, std::size_t length);
/// The same for a sample of token ids.
template <class T>
Mat<T> forward(const Shape& shape, const Weights<T>& weights, const nn::Indices& tokens, std::size_t length);

}  // namespace telos::reference::positional
