#include "reference/nn.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace telos::reference::nn {
namespace {

using std::abs, std::erf, std::exp, std::log, std::log1p, std::sqrt, std::tanh;

template <class T>
Mat<T> zeros(std::size_t rows, std::size_t cols) {
  return Mat<T>(rows, std::vector<T>(cols, T(0)));
}

template <class T>
std::size_t first_largest(const std::vector<T>& row, std::size_t count) {
  std::size_t best = 0;
  for (std::size_t j = 1; j < count; ++j)
    if (value_of(row[j]) > value_of(row[best])) best = j;
  return best;
}

/// Softmax of the first `count` entries, 0 beyond. The largest is subtracted as a constant: it cancels.
template <class T>
std::vector<T> softmax(const std::vector<T>& row, std::size_t count) {
  const double top = value_of(row[first_largest(row, count)]);
  std::vector<T> out(row.size(), T(0));
  T sum = T(0);
  for (std::size_t j = 0; j < count; ++j) sum += out[j] = exp(row[j] - T(top));
  for (std::size_t j = 0; j < count; ++j) out[j] = out[j] / sum;
  return out;
}

template <class T>
std::vector<T> one_hot(const std::vector<T>& row, const std::vector<T>& through, std::size_t count) {
  const std::size_t best = first_largest(row, count);
  std::vector<T> out(row.size(), T(0));
  for (std::size_t j = 0; j < count; ++j) out[j] = straight_through(j == best ? 1.0 : 0.0, through[j]);
  return out;
}

template <class T>
T apply(Activation activation, const T& x) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kRelu:
      return relu(x);
    case Activation::kGeluErf:
      return x * T(0.5) * (T(1) + erf(x * T(1 / std::numbers::sqrt2)));
    case Activation::kGeluTanh: {
      const T inner = T(std::sqrt(2 / std::numbers::pi)) * (x + T(0.044715) * x * x * x);
      return x * T(0.5) * (T(1) + tanh(inner));
    }
    case Activation::kQuickGelu:
      return x / (T(1) + exp(-(T(1.702) * x)));
    case Activation::kSilu:
      return x / (T(1) + exp(-x));
  }
  return x;
}

}  // namespace

template <class T>
Mat<T> transpose(const Mat<T>& a) {
  Mat<T> out = zeros<T>(a[0].size(), a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) out[j][i] = a[i][j];
  return out;
}

template <class T>
Mat<T> multiply(const Mat<T>& a, const Mat<T>& b) {
  Mat<T> out = zeros<T>(a.size(), b[0].size());
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b[0].size(); ++j)
      for (std::size_t k = 0; k < b.size(); ++k) out[i][j] += a[i][k] * b[k][j];
  return out;
}

template <class T>
Mat<T> activate(const Mat<T>& a, Activation activation) {
  Mat<T> out = a;
  for (auto& row : out)
    for (T& x : row) x = apply(activation, x);
  return out;
}

template <class T>
Mat<T> linear(const std::vector<Mat<T>>& inputs, const Mat<T>& weight, const Mat<T>& bias,
              Activation activation) {
  Mat<T> x = inputs[0];
  for (std::size_t n = 1; n < inputs.size(); ++n) x = append_columns(x, inputs[n]);
  Mat<T> out = multiply(x, transpose(weight));
  if (!bias.empty())
    for (auto& row : out)
      for (std::size_t j = 0; j < row.size(); ++j) row[j] += bias[0][j];
  return activate(out, activation);
}

template <class T>
Mat<T> add(const Mat<T>& a, const Mat<T>& b) {
  Mat<T> out = a;
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) out[i][j] += b[i][j];
  return out;
}

template <class T>
Mat<T> scale(const Mat<T>& a, T factor) {
  Mat<T> out = a;
  for (auto& row : out)
    for (T& x : row) x = x * factor;
  return out;
}

template <class T>
Mat<T> slice(const Mat<T>& a, std::size_t row, std::size_t col, std::size_t rows, std::size_t cols) {
  Mat<T> out = zeros<T>(rows, cols);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < cols; ++j) out[i][j] = a[row + i][col + j];
  return out;
}

template <class T>
Mat<T> stack_rows(const std::vector<Mat<T>>& values) {
  Mat<T> out;
  for (const Mat<T>& value : values) out.insert(out.end(), value.begin(), value.end());
  return out;
}

template <class T>
Mat<T> append_columns(const Mat<T>& a, const Mat<T>& b) {
  Mat<T> out = a;
  for (std::size_t i = 0; i < a.size(); ++i) out[i].insert(out[i].end(), b[i].begin(), b[i].end());
  return out;
}

template <class T>
Mat<T> softmax_rows(const Mat<T>& a) {
  Mat<T> out;
  for (const auto& row : a) out.push_back(softmax(row, row.size()));
  return out;
}

template <class T>
Mat<T> hard_rows(const Mat<T>& a) {
  Mat<T> out;
  for (const auto& row : a) out.push_back(one_hot(row, row, row.size()));
  return out;
}

template <class T>
Mat<T> positional_attention(const Mat<T>& positions, const Mat<T>& w_qk, const Mat<T>& b_qk,
                            std::size_t heads) {
  const Mat<T> qk = linear<T>({positions}, w_qk, b_qk, Activation::kNone);
  const std::size_t length = qk.size(), width = qk[0].size() / (2 * heads);
  std::vector<Mat<T>> out;
  for (std::size_t h = 0; h < heads; ++h) {
    const Mat<T> q = slice(qk, 0, 2 * h * width, length, width);
    const Mat<T> k = slice(qk, 0, (2 * h + 1) * width, length, width);
    const T factor = T(1 / std::sqrt(static_cast<double>(width)));
    out.push_back(softmax_rows(scale(multiply(q, transpose(k)), factor)));
  }
  return stack_rows(out);
}

template <class T>
Mat<T> mix(const Mat<T>& attention, const Mat<T>& v, MixForm form) {
  const std::size_t length = v.size(), width = v[0].size(), heads = attention.size() / length;
  Mat<T> out = form == MixForm::kIdentityAndShared ? v : Mat<T>(length);
  for (std::size_t h = 0; h < heads; ++h) {
    const Mat<T> a = slice(attention, h * length, 0, length, length);
    const Mat<T> seen = form == MixForm::kSplit ? slice(v, 0, h * width / heads, length, width / heads) : v;
    out = append_columns(out, multiply(a, seen));
  }
  return out;
}

template <class T>
Mat<T> attention(const Mat<T>& qk, const Mat<T>& v, const Attention& options) {
  const std::size_t heads = options.heads, length = qk.size();
  const std::size_t d_k = qk[0].size() / (2 * heads), d_v = v[0].size() / heads;
  const double factor = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(d_k));
  Mat<T> out(length);
  for (std::size_t h = 0; h < heads; ++h) {
    const Mat<T> q = slice(qk, 0, (options.interleaved ? 2 * h : h) * d_k, length, d_k);
    const Mat<T> k = slice(qk, 0, (options.interleaved ? 2 * h + 1 : heads + h) * d_k, length, d_k);
    const Mat<T> scores = scale(multiply(q, transpose(k)), T(factor));
    Mat<T> weights = zeros<T>(length, length);
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t seen = options.causal ? i + 1 : length;
      switch (options.kind) {
        case Attention::Kind::kSoftmax:
          weights[i] = softmax(scores[i], seen);
          break;
        case Attention::Kind::kLinear:
          for (std::size_t j = 0; j < seen; ++j)
            weights[i][j] = scores[i][j] / T(static_cast<double>(length));
          break;
        case Attention::Kind::kHard:
          weights[i] = one_hot(scores[i], softmax(scores[i], seen), seen);
          break;
      }
    }
    out = append_columns(out, multiply(weights, slice(v, 0, h * d_v, length, d_v)));
  }
  return out;
}

template <class T>
Mat<T> rotary(const Mat<T>& qk, std::size_t heads, double base, bool over_heads) {
  const std::size_t d_k = qk[0].size() / (2 * heads);
  Mat<T> out = qk;
  for (std::size_t i = 0; i < qk.size(); ++i)
    for (std::size_t block = 0; block < 2 * heads; ++block)
      for (std::size_t t = 0; 2 * t + 1 < d_k; ++t) {
        const double position = static_cast<double>(over_heads ? block / 2 : i);
        const double angle =
            position * std::pow(base, -2 * static_cast<double>(t) / static_cast<double>(d_k));
        const T x = qk[i][block * d_k + 2 * t], y = qk[i][block * d_k + 2 * t + 1];
        out[i][block * d_k + 2 * t] = x * T(std::cos(angle)) - y * T(std::sin(angle));
        out[i][block * d_k + 2 * t + 1] = x * T(std::sin(angle)) + y * T(std::cos(angle));
      }
  return out;
}

namespace {

/// w_j e^{score_j/T}, summing to 1. The shift by the largest score changes nothing but avoids overflow.
template <class T>
std::vector<T> weighted_softmax(const std::vector<T>& scores, const std::vector<double>& weights,
                                double temperature) {
  double top = -std::numeric_limits<double>::infinity();
  for (std::size_t j = 0; j < scores.size(); ++j)
    if (weights[j] > 0) top = std::max(top, value_of(scores[j]));
  std::vector<T> out(scores.size(), T(0));
  T sum = T(0);
  for (std::size_t j = 0; j < scores.size(); ++j) {
    if (weights[j] <= 0) continue;
    out[j] = T(weights[j]) * exp((scores[j] - T(top)) / T(temperature));
    sum += out[j];
  }
  for (T& share : out) share = share / sum;
  return out;
}

template <class T>
std::vector<double> weighted_hardmax(const std::vector<T>& scores, const std::vector<double>& weights) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::size_t j = 0; j < scores.size(); ++j)
    if (weights[j] > 0) top = std::max(top, value_of(scores[j]));
  std::vector<double> out(scores.size());
  for (std::size_t j = 0; j < scores.size(); ++j)
    if (weights[j] > 0 && value_of(scores[j]) == top) sum += out[j] = weights[j];
  for (double& share : out) share /= sum;
  return out;
}

template <class T>
std::vector<T> hardmax_row(const std::vector<T>& scores, const std::vector<double>& weights,
                           const Hardmax& options) {
  if (options.mode == Hardmax::Mode::kSoft) return weighted_softmax(scores, weights, options.temperature);
  const std::vector<double> hard = weighted_hardmax(scores, weights);
  std::vector<T> out(hard.begin(), hard.end());
  if (options.mode == Hardmax::Mode::kHard) return out;
  const std::vector<T> soft = weighted_softmax(scores, weights, options.ste_temperature);
  for (std::size_t j = 0; j < out.size(); ++j) out[j] = straight_through(hard[j], soft[j]);
  return out;
}

}  // namespace

template <class T>
Mat<T> hardmax_layers(const Mat<T>& x, const T& alpha, const std::vector<double>& weights,
                      const Hardmax& options) {
  Mat<T> tokens = x;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (weights[i] <= 0) tokens[i].assign(x[i].size(), T(0));
  for (std::size_t layer = 0; layer < options.layers; ++layer) {
    const Mat<T> scores = multiply(tokens, transpose(tokens));
    Mat<T> next = tokens;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (weights[i] <= 0) continue;
      const std::vector<T> p = hardmax_row(scores[i], weights, options);
      for (std::size_t k = 0; k < x[i].size(); ++k) {
        T mean = T(0);
        for (std::size_t j = 0; j < x.size(); ++j) mean += p[j] * tokens[j][k];
        next[i][k] = (tokens[i][k] + alpha * mean) / (T(1) + alpha);
      }
    }
    tokens = next;
  }
  return tokens;
}

template <class T>
Mat<T> weighted_mean_pool(const Mat<T>& x, const std::vector<double>& weights) {
  Mat<T> out = zeros<T>(1, x[0].size());
  double sum = 0;
  for (const double w : weights) sum += std::max(w, 0.0);
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::size_t k = 0; k < x[i].size(); ++k)
      if (weights[i] > 0) out[0][k] += T(weights[i] / sum) * x[i][k];
  return out;
}

template <class T>
Mat<T> softplus(const Mat<T>& a, double sharpness) {
  Mat<T> out = a;
  for (auto& row : out)
    for (T& x : row) x = log1p(exp(T(sharpness) * x)) / T(sharpness);
  return out;
}

template <class T>
Mat<T> layer_norm(const Mat<T>& x, const Mat<T>& gain, const Mat<T>& bias, double eps) {
  Mat<T> out = x;
  for (auto& row : out) {
    const T n = T(static_cast<double>(row.size()));
    T mean = T(0), variance = T(0);
    for (const T& value : row) mean += value / n;
    for (const T& value : row) variance += (value - mean) * (value - mean) / n;
    for (std::size_t j = 0; j < row.size(); ++j)
      row[j] = (row[j] - mean) / sqrt(variance + T(eps)) * gain[0][j] + bias[0][j];
  }
  return out;
}

template <class T>
Mat<T> rms_norm(const Mat<T>& x, const Mat<T>& gain, double eps) {
  Mat<T> out = x;
  for (auto& row : out) {
    T square = T(0);
    for (const T& value : row) square += value * value / T(static_cast<double>(row.size()));
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = row[j] / sqrt(square + T(eps)) * gain[0][j];
  }
  return out;
}

template <class T>
Mat<T> embedding(const Indices& indices, const Mat<T>& table) {
  Mat<T> out;
  for (const int index : indices) out.push_back(table[static_cast<std::size_t>(index)]);
  return out;
}

template <class T>
Mat<T> mean_pool(const Mat<T>& x) {
  Mat<T> out = zeros<T>(1, x[0].size());
  for (const auto& row : x)
    for (std::size_t j = 0; j < row.size(); ++j) out[0][j] += row[j] / T(static_cast<double>(x.size()));
  return out;
}

template <class T>
T mean_squared_error(const Mat<T>& prediction, const Mat<T>& target, std::size_t rows) {
  if (rows == 0) rows = prediction.size();
  T sum = T(0);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < prediction[i].size(); ++j) {
      const T difference = prediction[i][j] - target[i][j];
      sum += difference * difference;
    }
  return sum / T(static_cast<double>(rows * prediction[0].size()));
}

template <class T>
T cross_entropy(const Mat<T>& logits, const Indices& targets, std::size_t rows) {
  if (rows == 0) rows = logits.size();
  T sum = T(0);
  double counted = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    if (targets[i] < 0) continue;
    const double top = value_of(logits[i][first_largest(logits[i], logits[i].size())]);
    T total = T(0);
    for (const T& y : logits[i]) total += exp(y - T(top));
    sum += log(total) + T(top) - logits[i][static_cast<std::size_t>(targets[i])];
    ++counted;
  }
  return counted == 0 ? T(0) : sum / T(counted);
}

template <class T>
T binary_cross_entropy(const Mat<T>& logits, const Mat<T>& target, std::size_t rows) {
  if (rows == 0) rows = logits.size();
  T sum = T(0);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < logits[i].size(); ++j) {
      // log(1 + e^y) without overflow, smooth across 0.
      const T y = logits[i][j];
      const T soft = value_of(y) > 0 ? y + log1p(exp(-y)) : log1p(exp(y));
      sum += soft - target[i][j] * y;
    }
  return sum / T(static_cast<double>(rows * logits[0].size()));
}

#define TELOS_INSTANTIATE(T)                                                                           \
  template Mat<T> transpose(const Mat<T>&);                                                            \
  template Mat<T> multiply(const Mat<T>&, const Mat<T>&);                                              \
  template Mat<T> activate(const Mat<T>&, Activation);                                                 \
  template Mat<T> linear(const std::vector<Mat<T>>&, const Mat<T>&, const Mat<T>&, Activation);        \
  template Mat<T> add(const Mat<T>&, const Mat<T>&);                                                   \
  template Mat<T> scale(const Mat<T>&, T);                                                             \
  template Mat<T> slice(const Mat<T>&, std::size_t, std::size_t, std::size_t, std::size_t);            \
  template Mat<T> stack_rows(const std::vector<Mat<T>>&);                                              \
  template Mat<T> append_columns(const Mat<T>&, const Mat<T>&);                                        \
  template Mat<T> softmax_rows(const Mat<T>&);                                                         \
  template Mat<T> hard_rows(const Mat<T>&);                                                            \
  template Mat<T> positional_attention(const Mat<T>&, const Mat<T>&, const Mat<T>&, std::size_t);      \
  template Mat<T> mix(const Mat<T>&, const Mat<T>&, MixForm);                                          \
  template Mat<T> attention(const Mat<T>&, const Mat<T>&, const Attention&);                           \
  template Mat<T> rotary(const Mat<T>&, std::size_t, double, bool);                                    \
  template Mat<T> hardmax_layers(const Mat<T>&, const T&, const std::vector<double>&, const Hardmax&); \
  template Mat<T> weighted_mean_pool(const Mat<T>&, const std::vector<double>&);                       \
  template Mat<T> softplus(const Mat<T>&, double);                                                     \
  template Mat<T> layer_norm(const Mat<T>&, const Mat<T>&, const Mat<T>&, double);                     \
  template Mat<T> rms_norm(const Mat<T>&, const Mat<T>&, double);                                      \
  template Mat<T> embedding(const Indices&, const Mat<T>&);                                            \
  template Mat<T> mean_pool(const Mat<T>&);                                                            \
  template T mean_squared_error(const Mat<T>&, const Mat<T>&, std::size_t);                            \
  template T cross_entropy(const Mat<T>&, const Indices&, std::size_t);                                \
  template T binary_cross_entropy(const Mat<T>&, const Mat<T>&, std::size_t)
TELOS_INSTANTIATE(double);
TELOS_INSTANTIATE(Var);
#undef TELOS_INSTANTIATE

}  // namespace telos::reference::nn
