#include <algorithm>
#include <cmath>
#include <string>

#include "telos/base/error.h"
#include "telos/positional/compiler.h"

// The positions travel as S more columns of the state: [x_state (d) | P (S) | 0]. One-hot entries are not
// negative, so that r(P) = P carries them through an MLP with one unit each.

namespace telos::positional {
namespace {

using Weights = MatrixView<double>;
using Given = MatrixView<const double>;

class Converter {
 public:
  explicit Converter(const Model& model)
      : from_(model), d_(model.config.width), s_(model.config.positions()) {
    const std::size_t head_width =
        std::max(d_ / model.config.heads, (d_ + s_ + model.config.heads - 1) / model.config.heads);
    to_.config = model.config;
    to_.config.source = ModelConfig::Source::kFeatures;
    to_.config.input_positions = true;
    to_.config.width = model.config.heads * head_width;
    to_.config.hidden += s_;
    to_.config.layers = model.config.depth();
    to_.task = model.task;
    to_.layout = layout(to_.config);
    to_.values.assign(to_.layout.size(), 0.0);
    to_.origin = model.origin.empty() ? "converted to standard" : model.origin + ", converted to standard";
  }

  Model run() {
    const std::size_t in = from_.config.in_dim;
    copy("encoding.weight", 0, 0);
    for (std::size_t p = 0; p < s_; ++p) target("encoding.weight")(d_ + p, in + p) = 1;
    copy("encoding.bias", 0, 0);
    copy("decoding.weight", 0, 0);
    copy("decoding.bias", 0, 0);
    for (std::size_t l = 0; l < to_.config.layers; ++l) {
      const std::string prefix = "layers." + std::to_string(l) + ".";
      queries_and_keys(prefix);
      values_and_outputs(prefix);
      mlp(prefix);
    }
    return std::move(to_);
  }

 private:
  Given source(const std::string& name) const {
    return from_.layout.view(std::span<const double>(from_.values), from_.layout.find(name));
  }
  Weights target(const std::string& name) {
    return to_.layout.view(std::span<double>(to_.values), to_.layout.find(name));
  }
  static void copy(Given from, Weights to, double factor = 1) {
    for (std::size_t i = 0; i < from.rows(); ++i)
      for (std::size_t j = 0; j < from.cols(); ++j) to(i, j) = factor * from(i, j);
  }
  void copy(const std::string& name, std::size_t row, std::size_t col) {
    const Given from = source(name);
    copy(from, target(name).block(row, col, from.rows(), from.cols()));
  }

  /// Scores are divided by √D instead of √d_k: queries make up for it.
  void queries_and_keys(const std::string& prefix) {
    const std::size_t key = from_.config.key_width(), wide = to_.config.key_width();
    const double scale = std::sqrt(static_cast<double>(wide) / static_cast<double>(key));
    const Given w = source(prefix + "qk.weight"), b = source(prefix + "qk.bias");
    const Weights to_w = target(prefix + "qk.weight"), to_b = target(prefix + "qk.bias");
    for (std::size_t part = 0; part < 2 * from_.config.heads; ++part) {
      const double factor = part % 2 == 0 ? scale : 1;
      copy(w.block(part * key, 0, key, w.cols()), to_w.block(part * wide, d_, key, w.cols()), factor);
      copy(b.block(0, part * key, 1, key), to_b.block(0, part * wide, 1, key), factor);
    }
  }

  void values_and_outputs(const std::string& prefix) {
    const std::size_t heads = from_.config.heads, old = d_ / heads, wide = to_.config.width / heads;
    const Given v = source(prefix + "v.weight"), o = source(prefix + "o.weight");
    const Given v_bias = source(prefix + "v.bias");
    for (std::size_t h = 0; h < heads; ++h) {
      copy(v.block(h * old, 0, old, d_), target(prefix + "v.weight").block(h * wide, 0, old, d_));
      copy(v_bias.block(0, h * old, 1, old), target(prefix + "v.bias").block(0, h * wide, 1, old));
      copy(o.block(0, h * old, d_, old), target(prefix + "o.weight").block(0, h * wide, d_, old));
    }
    copy(prefix + "o.bias", 0, 0);
  }

  void mlp(const std::string& prefix) {
    const std::size_t maps = from_.config.mlp_layers, hidden = from_.config.hidden;
    for (std::size_t k = 0; k < maps; ++k) {
      const std::string name = prefix + "mlp." + std::to_string(2 * k);
      const Given w = source(name + ".weight");
      const Weights to = target(name + ".weight");
      if (k == 0) {
        copy(w.block(0, 0, w.rows(), d_), to.block(0, 0, w.rows(), d_));
        copy(w.block(0, d_, w.rows(), d_), to.block(0, to_.config.width, w.rows(), d_));
      } else {
        copy(w, to.block(0, 0, w.rows(), w.cols()));
      }
      const std::size_t row = k + 1 == maps ? d_ : hidden, col = k == 0 ? d_ : hidden;
      for (std::size_t p = 0; p < s_; ++p) to(row + p, col + p) = 1;
      copy(name + ".bias", 0, 0);
    }
  }

  const Model& from_;
  std::size_t d_, s_;
  Model to_{};
};

}  // namespace

Model convert_to_standard(const Model& model) {
  const ModelConfig& c = model.config;
  check(c);
  const bool positional = c.mixer == ModelConfig::Mixer::kAttention &&
                          c.source == ModelConfig::Source::kPositions && !c.input_positions &&
                          c.vocabulary == 0;
  if (!positional)
    throw Error(ErrorKind::kUsage, "convert", "the model's kind is " + kind_of(c) + ", expected positional",
                "a model whose attention reads features has no positional tables to carry over");
  if (c.direct_logits || c.hard || c.rope != ModelConfig::Rope::kNone)
    throw Error(ErrorKind::kUsage, "convert", "the model's kind is " + kind_of(c) + ", expected positional",
                "softmax attention with queries and keys of its own, without rotation, can be converted");
  if (c.encoding != Encoding::kOneHot)
    throw Error(ErrorKind::kUsage, "convert", "the model's positions are not one-hot",
                "one-hot positions pass through ReLU unchanged; others do not");
  return Converter(model).run();
}

}  // namespace telos::positional
