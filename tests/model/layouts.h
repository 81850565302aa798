#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "telos/base/matrix.h"
#include "telos/io/checkpoint.h"

// One tiny model (d = 8, k = 4, 2 layers) without randomness, written in the layout of every family of the
// table. All files hold the same W_V and W_O, so that whoever reads them must get the same matrices and the
// same spectra: this catches a wrong transposition, interleaving, split or grouping of heads.
namespace telos::test {

/// w(t, i, j) = ((7919 t + 104729 i + 1299709 j) mod 2003) / 2003 − 1/2, rounded to float.
inline float tiny_weight(std::size_t t, std::size_t i, std::size_t j) {
  return static_cast<float>(static_cast<double>((7919 * t + 104729 * i + 1299709 * j) % 2003) / 2003.0 - 0.5);
}

/// How the model's two heads become query heads and value heads.
enum class Heads {
  kPlain,    ///< h = 2, K = 2
  kGrouped,  ///< h = 4, K = 2: each query head (and its W_O) twice
  kSingle,   ///< h = 2, K = 1: both query heads read value head 0
};

/// One layer in canonical form; tokens are rows.
struct TinyLayer {
  Matrix<float> query;   ///< d × (h·k)
  Matrix<float> key;     ///< d × (K·k)
  Matrix<float> value;   ///< d × (K·k)
  Matrix<float> output;  ///< (h·k) × d
  std::vector<float> query_bias, key_bias, value_bias, output_bias;
  std::vector<float> gain_minus_one, gain, norm_bias;
};

struct TinyModel {
  std::size_t width = 8, head_width = 4, heads = 2, kv_heads = 2;
  std::vector<TinyLayer> layers;
};

/// The model with all biases zero.
inline TinyModel tiny_model(Heads kind = Heads::kPlain, std::size_t layers = 2) {
  constexpr std::size_t d = 8, k = 4;
  TinyModel model;
  model.heads = kind == Heads::kGrouped ? 4 : 2;
  model.kv_heads = kind == Heads::kSingle ? 1 : 2;
  const std::size_t repeat = kind == Heads::kGrouped ? 2 : 1;
  for (std::size_t l = 0; l < layers; ++l) {
    TinyLayer layer{Matrix<float>(d, model.heads * k),
                    Matrix<float>(d, model.kv_heads * k),
                    Matrix<float>(d, model.kv_heads * k),
                    Matrix<float>(model.heads * k, d),
                    {},
                    {},
                    {},
                    {},
                    {},
                    {},
                    {}};
    // Query, key and value are the three thirds of weight 10 l + 1, as in GPT-2's c_attn.
    for (std::size_t h = 0; h < model.heads; ++h)
      for (std::size_t i = 0; i < d; ++i)
        for (std::size_t j = 0; j < k; ++j) {
          const std::size_t column = h / repeat * k + j;
          layer.query(i, h * k + j) = tiny_weight(10 * l + 1, i, column);
          layer.output(h * k + j, i) = tiny_weight(10 * l + 2, column, i);
        }
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < model.kv_heads * k; ++j) {
        layer.key(i, j) = tiny_weight(10 * l + 1, i, d + j);
        layer.value(i, j) = tiny_weight(10 * l + 1, i, 2 * d + j);
      }
    for (std::size_t j = 0; j < d; ++j) {
      layer.gain_minus_one.push_back(tiny_weight(10 * l + 3, 0, j));
      layer.gain.push_back(1.0f + layer.gain_minus_one.back());
    }
    layer.norm_bias.assign(d, 0.0f);
    layer.query_bias.assign(model.heads * k, 0.0f);
    layer.key_bias.assign(model.kv_heads * k, 0.0f);
    layer.value_bias.assign(model.kv_heads * k, 0.0f);
    layer.output_bias.assign(d, 0.0f);
    model.layers.push_back(std::move(layer));
  }
  return model;
}

/// Biases that are all different, so that a wrong slice shows.
inline void set_biases(TinyModel& model) {
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    TinyLayer& layer = model.layers[l];
    std::vector<float>* const all[] = {&layer.query_bias, &layer.key_bias, &layer.value_bias,
                                       &layer.output_bias, &layer.norm_bias};
    for (std::size_t which = 0; which < 5; ++which)
      for (std::size_t j = 0; j < all[which]->size(); ++j)
        (*all[which])[j] = tiny_weight(10 * l + 4 + which, 1, j);
  }
}

/// A tensor of a file to be.
struct TinyTensor {
  std::string name;
  std::vector<std::uint64_t> shape;
  std::vector<float> values;
};

/// Tensors and config.json of a model in some layout.
struct TinyFile {
  std::vector<TinyTensor> tensors;
  std::string config;

  void vector(const std::string& name, const std::vector<float>& values) {
    tensors.push_back({name, {values.size()}, values});
  }
  /// `m` as it is: rows × cols.
  void matrix(const std::string& name, const Matrix<float>& m) {
    tensors.push_back({name, {m.rows(), m.cols()}, {m.data(), m.data() + m.size()}});
  }
  /// W (in × out) as PyTorch's Linear stores it: [out, in].
  void linear(const std::string& base, const Matrix<float>& w, const std::vector<float>& bias = {}) {
    Matrix<float> t(w.cols(), w.rows());
    for (std::size_t i = 0; i < w.rows(); ++i)
      for (std::size_t j = 0; j < w.cols(); ++j) t(j, i) = w(i, j);
    matrix(base + ".weight", t);
    if (!bias.empty()) vector(base + ".bias", bias);
  }
  void layer_norm(const std::string& base, const TinyLayer& layer) {
    vector(base + ".weight", layer.gain);
    vector(base + ".bias", layer.norm_bias);
  }
  TinyTensor* find(const std::string& name) {
    for (TinyTensor& tensor : tensors)
      if (tensor.name == name) return &tensor;
    return nullptr;
  }
  void remove(const std::string& name) {
    std::erase_if(tensors, [&](const TinyTensor& tensor) { return tensor.name == name; });
  }
  void rename(const std::string& from, const std::string& to) {
    for (TinyTensor& tensor : tensors)
      if (const std::size_t at = tensor.name.find(from); at != std::string::npos)
        tensor.name.replace(at, from.size(), to);
  }
};

/// [query | key | value] side by side.
inline Matrix<float> side_by_side(std::initializer_list<const Matrix<float>*> parts) {
  std::size_t cols = 0;
  for (const auto* part : parts) cols += part->cols();
  Matrix<float> out((*parts.begin())->rows(), cols);
  std::size_t at = 0;
  for (const auto* part : parts) {
    for (std::size_t i = 0; i < out.rows(); ++i)
      for (std::size_t j = 0; j < part->cols(); ++j) out(i, at + j) = (*part)(i, j);
    at += part->cols();
  }
  return out;
}
inline Matrix<float> row(const std::vector<float>& values) {
  Matrix<float> out(1, values.size());
  std::copy(values.begin(), values.end(), out.data());
  return out;
}
inline std::vector<float> values(const Matrix<float>& m) {
  return {m.data(), m.data() + m.size()};
}

/// For each of K groups: its query heads, its key head, its value head.
inline Matrix<float> in_groups(const TinyModel& model, const Matrix<float>& q, const Matrix<float>& k,
                               const Matrix<float>& v) {
  const std::size_t w = model.head_width, group = model.heads / model.kv_heads;
  Matrix<float> out(q.rows(), q.cols() + k.cols() + v.cols());
  for (std::size_t i = 0; i < q.rows(); ++i) {
    float* to = out.row(i);
    for (std::size_t g = 0; g < model.kv_heads; ++g) {
      to = std::copy_n(q.row(i) + g * group * w, group * w, to);
      to = std::copy_n(k.row(i) + g * w, w, to);
      to = std::copy_n(v.row(i) + g * w, w, to);
    }
  }
  return out;
}

enum class Fusing { kConcatenated, kGrouped };
inline Matrix<float> fused(const TinyModel& model, const TinyLayer& l, Fusing how) {
  return how == Fusing::kGrouped ? in_groups(model, l.query, l.key, l.value)
                                 : side_by_side({&l.query, &l.key, &l.value});
}
inline std::vector<float> fused_bias(const TinyModel& model, const TinyLayer& l, Fusing how) {
  const Matrix<float> q = row(l.query_bias), k = row(l.key_bias), v = row(l.value_bias);
  return values(how == Fusing::kGrouped ? in_groups(model, q, k, v) : side_by_side({&q, &k, &v}));
}

/// One way in which a family's files keep the model.
struct TinyLayout {
  std::string name;    ///< of this layout, unique
  std::string family;  ///< Architecture::family
  Heads heads = Heads::kPlain;
  bool biases = false;  ///< whether it keeps value and output biases
  std::function<TinyFile(const TinyModel&)> write;
};
/// All layouts (layouts.cpp).
const std::vector<TinyLayout>& tiny_layouts();
const TinyLayout& tiny_layout(const std::string& name);

/// Writes the file as a model directory: one F32 or BF16 (rounded) file, or several shards with an index.
void write_tiny(const std::string& directory, const TinyFile& file, DType dtype = DType::kF32,
                std::size_t shards = 1);

/// A directory for one test, removed with all it holds.
class TinyDirectory {
 public:
  TinyDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "telos-model-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TinyDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TinyDirectory(const TinyDirectory&) = delete;
  TinyDirectory& operator=(const TinyDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace telos::test
