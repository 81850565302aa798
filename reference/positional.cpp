#include "reference/positional.h"

#include <cmath>

namespace telos::reference::positional {
namespace {

std::size_t encoding_width(const Shape& s) {
  return encodings(s, s.nodes)[0].size();
}

std::size_t key_width(const Shape& s) {
  if (s.source == Shape::Source::kPositions) return encoding_width(s);
  return s.width + (s.source == Shape::Source::kBoth ? encoding_width(s) : 0);
}

template <class T>
Mat<T> constants(const Mat<double>& a) {
  Mat<T> out;
  for (const auto& row : a) out.emplace_back(row.begin(), row.end());
  return out;
}

/// Position i of a sample is position original(i) of the model.
std::size_t original(const Shape& s, std::size_t length, std::size_t i) {
  return i < length ? i : s.nodes + (i - length);
}

template <class T>
Mat<T> affine(const Shape& s, const Affine<T>& map, const Mat<T>& x,
              nn::Activation activation = nn::Activation::kNone) {
  return nn::linear<T>({x}, map.weight, s.bias ? map.bias : Mat<T>{}, activation);
}

template <class T>
Mat<T> perceptron(const Shape& s, const Layer<T>& layer, Mat<T> x) {
  for (std::size_t k = 0; k < layer.mlp.size(); ++k)
    x = affine(s, layer.mlp[k], x, k + 1 < layer.mlp.size() ? nn::Activation::kRelu : nn::Activation::kNone);
  return x;
}

/// Σ_j of all rows, at each row.
template <class T>
Mat<T> row_sums(const Mat<T>& x) {
  Mat<T> out(x.size(), std::vector<T>(x[0].size(), T(0)));
  for (auto& row : out)
    for (const auto& other : x)
      for (std::size_t c = 0; c < row.size(); ++c) row[c] += other[c];
  return out;
}

template <class T>
Mat<T> gcn_layer(const Shape& s, const Layer<T>& layer, const Mat<T>& x) {
  const Mat<T> mean = nn::scale(row_sums(x), T(1 / static_cast<double>(x.size())));
  return affine(s, layer.gcn, mean, nn::Activation::kRelu);
}

/// (1 + ε)·x_i + Σ_{j ≠ i} x_j = ε·x_i + Σ_j x_j.
template <class T>
Mat<T> gin_layer(const Shape& s, const Layer<T>& layer, const Mat<T>& x) {
  return perceptron(s, layer, nn::add(row_sums(x), nn::scale(x, layer.epsilon[0][0])));
}

/// Attention that all samples share: concat_h(A_h V_h).
template <class T>
Mat<T> mix_fixed(const Shape& s, const Layer<T>& layer, const Mat<T>& v, std::size_t length) {
  const std::size_t width = s.width / s.heads;
  Mat<T> out;
  for (std::size_t h = 0; h < s.heads; ++h) {
    const Mat<T> v_h = nn::slice(v, 0, h * width, v.size(), width);
    const Mat<T> o_h = nn::multiply(fixed_attention(s, layer, h, length), v_h);
    out = h == 0 ? o_h : nn::append_columns(out, o_h);
  }
  return out;
}

template <class T>
Mat<T> mix_by_content(const Shape& s, const Layer<T>& layer, const Mat<T>& x, const Mat<T>& v,
                      const Mat<T>& p) {
  const Mat<T> source = s.source == Shape::Source::kBoth ? nn::append_columns(x, p) : x;
  Mat<T> qk = nn::linear<T>({source}, layer.qk.weight, layer.qk.bias, nn::Activation::kNone);
  if (s.rope != Shape::Rope::kNone && key_width(s) % 2 == 0)
    qk = nn::rotary(qk, s.heads, 10000, s.rope == Shape::Rope::kNoOp);
  nn::Attention options;
  options.heads = s.heads;
  options.kind = s.hard ? nn::Attention::Kind::kHard : nn::Attention::Kind::kSoftmax;
  return nn::attention(qk, v, options);
}

template <class T>
Mat<T> attention_layer(const Shape& s, const Layer<T>& layer, const Mat<T>& x, std::size_t length) {
  const Mat<T> v = affine(s, layer.v, x);
  const Mat<T> mixed = s.source == Shape::Source::kPositions
                           ? mix_fixed(s, layer, v, length)
                           : mix_by_content(s, layer, x, v, constants<T>(encodings(s, length)));
  return perceptron(s, layer, nn::append_columns(x, affine(s, layer.o, mixed)));
}

template <class T>
Mat<T> layers_and_decoder(const Shape& s, const Weights<T>& weights, Mat<T> x, std::size_t length) {
  for (const Layer<T>& layer : weights.layers) {
    if (s.mixer == Shape::Mixer::kGcn)
      x = gcn_layer(s, layer, x);
    else if (s.mixer == Shape::Mixer::kGin)
      x = gin_layer(s, layer, x);
    else
      x = attention_layer(s, layer, x, length);
  }
  return affine(s, weights.decoding, x);
}

template <class T>
class Reader {
 public:
  explicit Reader(const std::vector<T>& values) : values_(values) {}
  Mat<T> matrix(std::size_t rows, std::size_t cols) {
    Mat<T> out(rows, std::vector<T>(cols, T(0)));
    for (auto& row : out)
      for (T& x : row) x = values_.at(at_++);
    return out;
  }
  Affine<T> affine(std::size_t out, std::size_t in) {
    Affine<T> map;
    map.weight = matrix(out, in);
    map.bias = matrix(1, out);
    return map;
  }
  std::size_t used() const { return at_; }

 private:
  const std::vector<T>& values_;
  std::size_t at_ = 0;
};

template <class T>
Layer<T> read_layer(const Shape& s, Reader<T>& reader) {
  Layer<T> layer;
  const std::size_t d = s.width, positions = s.nodes + s.scratch;
  if (s.mixer == Shape::Mixer::kGcn) {
    layer.gcn = reader.affine(d, d);
    return layer;
  }
  std::size_t in = d;
  if (s.mixer == Shape::Mixer::kGin) {
    layer.epsilon = reader.matrix(1, 1);
  } else {
    in = 2 * d;
    const std::size_t key = key_width(s);
    if (s.direct_logits)
      layer.logits = reader.matrix(s.heads * positions, positions);
    else
      layer.qk = reader.affine(2 * key * s.heads, key);
    layer.v = reader.affine(d, d);
    layer.o = reader.affine(d, d);
  }
  for (std::size_t k = 0; k < s.mlp_layers; ++k)
    layer.mlp.push_back(reader.affine(k + 1 < s.mlp_layers ? s.hidden : d, k == 0 ? in : s.hidden));
  return layer;
}

double encoding_entry(const Shape& s, std::size_t position, std::size_t column) {
  if (s.encoding == Shape::Encoding::kOneHot) return position == column ? 1 : 0;
  if (s.encoding == Shape::Encoding::kBinary) return (position >> column & 1) != 0 ? 1 : -1;
  const double dim = static_cast<double>(s.encoding_dim), pair = static_cast<double>(column / 2);
  const double angle = static_cast<double>(position) * std::pow(10000.0, -2 * pair / dim);
  return column % 2 == 0 ? std::sin(angle) : std::cos(angle);
}

}  // namespace

Mat<double> encodings(const Shape& s, std::size_t length) {
  const std::size_t positions = s.nodes + s.scratch;
  std::size_t width = positions;
  if (s.encoding == Shape::Encoding::kSinusoidal) width = s.encoding_dim;
  if (s.encoding == Shape::Encoding::kBinary)
    for (width = 1; (std::size_t{1} << width) < positions;) ++width;
  Mat<double> out(length + s.scratch, std::vector<double>(width, 0));
  for (std::size_t i = 0; i < out.size(); ++i)
    for (std::size_t j = 0; j < width; ++j) out[i][j] = encoding_entry(s, original(s, length, i), j);
  return out;
}

template <class T>
Weights<T> weights_from(const Shape& s, const std::vector<T>& values, std::size_t* used) {
  Reader<T> reader(values);
  Weights<T> weights;
  const std::size_t positions = s.nodes + s.scratch;
  if (s.vocabulary > 0) {
    weights.encoding.weight = reader.matrix(s.vocabulary, s.width);
    if (s.input_positions) weights.positions = reader.matrix(positions, s.width);
  } else {
    weights.encoding = reader.affine(s.width, s.in_dim + (s.input_positions ? encoding_width(s) : 0));
  }
  weights.decoding = reader.affine(s.out_dim, s.width);
  for (std::size_t l = 0; l < s.layers; ++l) weights.layers.push_back(read_layer(s, reader));
  if (used != nullptr) *used = reader.used();
  return weights;
}

template <class T>
Mat<T> fixed_attention(const Shape& s, const Layer<T>& layer, std::size_t head, std::size_t length) {
  const std::size_t count = length + s.scratch, all = s.nodes + s.scratch;
  Mat<T> scores(count, std::vector<T>(count, T(0)));
  if (s.direct_logits) {
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t j = 0; j < count; ++j)
        scores[i][j] = layer.logits[head * all + original(s, length, i)][original(s, length, j)];
  } else {
    const std::size_t key = key_width(s);
    Mat<T> qk = nn::linear<T>({constants<T>(encodings(s, length))}, layer.qk.weight, layer.qk.bias,
                              nn::Activation::kNone);
    if (s.rope == Shape::Rope::kTrue) qk = nn::rotary(qk, s.heads, 10000, false);
    const Mat<T> q = nn::slice(qk, 0, 2 * head * key, count, key);
    const Mat<T> k = nn::slice(qk, 0, (2 * head + 1) * key, count, key);
    scores = nn::scale(nn::multiply(q, nn::transpose(k)), T(1 / std::sqrt(static_cast<double>(key))));
  }
  const Mat<T> a = nn::softmax_rows(scores);
  return s.hard ? nn::hard_rows(a) : a;
}

template <class T>
Mat<T> forward(const Shape& s, const Weights<T>& weights, const Mat<double>& x, std::size_t length) {
  Mat<T> input = constants<T>(x);
  if (s.input_positions) input = nn::append_columns(input, constants<T>(encodings(s, length)));
  return layers_and_decoder(s, weights, affine(s, weights.encoding, input), length);
}

template <class T>
Mat<T> forward(const Shape& s, const Weights<T>& weights, const nn::Indices& tokens, std::size_t length) {
  Mat<T> x = nn::embedding(tokens, weights.encoding.weight);
  if (s.input_positions)
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t c = 0; c < s.width; ++c) x[i][c] += weights.positions[original(s, length, i)][c];
  return layers_and_decoder(s, weights, x, length);
}

#define TELOS_INSTANTIATE(T)                                                                 \
  template Weights<T> weights_from(const Shape&, const std::vector<T>&, std::size_t*);       \
  template Mat<T> fixed_attention(const Shape&, const Layer<T>&, std::size_t, std::size_t);  \
  template Mat<T> forward(const Shape&, const Weights<T>&, const Mat<double>&, std::size_t); \
  template Mat<T> forward(const Shape&, const Weights<T>&, const nn::Indices&, std::size_t);
TELOS_INSTANTIATE(double)
TELOS_INSTANTIATE(Var)
#undef TELOS_INSTANTIATE

}  // namespace telos::reference::positional
