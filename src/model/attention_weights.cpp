#include <fmt/format.h>

#include <functional>

#include "model/block_reader.h"
#include "model/names.h"
#include "model/recipe.h"
#include "telos/base/arena.h"
#include "telos/base/error.h"
#include "telos/linalg/gemm.h"
#include "telos/model/architecture.h"

namespace telos {
namespace model {
namespace {

/// Reads the tensors of one site; every failure is an Error that names the tensor. Values that are not finite
/// are one too, unless there is a list to which such tensors go.
class SiteReader {
 public:
  SiteReader(const Checkpoint& checkpoint, const Architecture& architecture, const AttentionSite& site,
             std::vector<std::string>* not_finite)
      : checkpoint_(checkpoint),
        a_(architecture),
        recipe_(recipe_of(checkpoint, architecture, site)),
        not_finite_(not_finite) {}

  const Recipe& recipe() const { return recipe_; }

  /// W_Vᵀ, (kv_heads · k) × d.
  Matrix<float> value_t() const {
    if (recipe_.packing == Packing::kLatent) return latent_value_t();
    const TensorInfo& tensor = weight(recipe_.value);
    Matrix<float> out(a_.kv_heads * a_.head_width, a_.width);
    read_out_as_rows(checkpoint_, tensor, value_stored(), rows_of(recipe_, a_, Projection::kValue), out,
                     not_finite_);
    return out;
  }
  /// W_O, (heads · k) × d.
  Matrix<float> output() const {
    const TensorInfo& tensor = weight(recipe_.output);
    Matrix<float> out(a_.heads * a_.head_width, a_.width);
    read_in_as_rows(checkpoint_, tensor, output_stored(), {{0, a_.width}}, out, not_finite_);
    return out;
  }
  /// W of query, key or value, d × features.
  Matrix<float> projection(Projection projection) const {
    const TensorInfo& tensor = weight(name_of(projection));
    const Runs runs = rows_of(recipe_, a_, projection);
    std::size_t features = 0;
    for (const auto& [first, count] : runs) features += count;
    Matrix<float> out(a_.width, features);
    read_in_as_rows(checkpoint_, tensor, value_stored(), runs, out, not_finite_);
    return out;
  }
  std::vector<float> bias(Projection projection) const {
    if (projection == Projection::kOutput) return vector(find_bias(checkpoint_, recipe_.output));
    if (projection == Projection::kValue && !recipe_.value_bias.empty())
      return vector(checkpoint_.find(recipe_.value_bias));
    if (recipe_.packing == Packing::kLatent) return {};
    const TensorInfo* tensor = find_bias(checkpoint_, name_of(projection));
    if (tensor == nullptr) return {};
    return read_vector(checkpoint_, usable(*tensor, tensor->name), rows_of(recipe_, a_, projection),
                       not_finite_);
  }

  std::vector<float> gain(const std::string& norm) const {
    if (norm.empty()) return {};
    const TensorInfo* tensor = find_gain(checkpoint_, norm);
    if (tensor == nullptr) missing(norm);
    std::vector<float> gain = vector(tensor);
    if (recipe_.gain_plus_one)
      for (float& g : gain) g += 1;
    return gain;
  }
  std::vector<float> norm_bias(const std::string& norm) const {
    return norm.empty() ? std::vector<float>() : vector(find_bias(checkpoint_, norm));
  }
  /// LayerScale times γ of a norm on the output, as far as they are there.
  std::vector<float> output_gain() const {
    std::vector<float> product = gain(recipe_.output_norm);
    const std::vector<float> scale = vector(checkpoint_.find(recipe_.layer_scale));
    if (product.empty()) return scale;
    for (std::size_t i = 0; i < scale.size(); ++i) product[i] *= scale[i];
    return product;
  }

 private:
  Orientation value_stored() const {
    return recipe_.value_in_out ? Orientation::kInOut : Orientation::kOutIn;
  }
  Orientation output_stored() const {
    return recipe_.output_in_out ? Orientation::kInOut : Orientation::kOutIn;
  }

  const std::string& name_of(Projection projection) const {
    if (recipe_.packing != Packing::kSeparate) return recipe_.value;
    if (projection == Projection::kQuery) return recipe_.query;
    return projection == Projection::kKey ? recipe_.key : recipe_.value;
  }

  [[noreturn]] void missing(const std::string& base) const {
    throw Error(ErrorKind::kBadFormat, checkpoint_.path() + ": " + printable(base), "the tensor is missing",
                "is a shard missing?");
  }
  const TensorInfo& weight(const std::string& base) const {
    const TensorInfo* tensor = base.empty() ? nullptr : find_weight(checkpoint_, base);
    if (tensor == nullptr) missing(base);
    return usable(*tensor, base);
  }
  const TensorInfo& usable(const TensorInfo& tensor, const std::string& base) const {
    const std::string scheme = quantisation_of(checkpoint_, tensor, base);
    if (!scheme.empty())
      throw Error(ErrorKind::kUnsupported, checkpoint_.path() + ": " + printable(tensor.name),
                  fmt::format("quantised ({}), shape {}", scheme, tensor.shape_text()),
                  "use the checkpoint from before quantisation");
    if (!tensor.complete)
      throw Error(ErrorKind::kTruncated, checkpoint_.path() + ": " + printable(tensor.name),
                  "the file ends before the tensor does", "the download is incomplete; fetch it again");
    return tensor;
  }
  std::vector<float> vector(const TensorInfo* tensor) const {
    if (tensor == nullptr) return {};
    return read_vector(checkpoint_, usable(*tensor, tensor->name), {{0, a_.width}}, not_finite_);
  }

  /// Multi-head latent attention: W_V = kv_a[latent] · diag(γ) · kv_b[values], up to the scale of the norm
  /// between them.
  Matrix<float> latent_value_t() const {
    const TensorInfo& up = weight(recipe_.value);
    const TensorInfo& down = weight(recipe_.latent);
    const TensorInfo* gain_tensor = find_gain(checkpoint_, recipe_.latent_norm);
    if (gain_tensor == nullptr) missing(recipe_.latent_norm);
    const std::size_t rank = gain_tensor->elements(), k = a_.head_width;
    const std::vector<float> gamma =
        read_vector(checkpoint_, usable(*gain_tensor, gain_tensor->name), {{0, rank}}, not_finite_);

    const std::size_t per_head = up.shape.at(0) / a_.heads;  // keys without position, then values
    Runs runs;
    for (std::size_t h = 0; h < a_.heads; ++h) runs.push_back({h * per_head + per_head - k, k});
    Matrix<float> factor(a_.heads * k, rank), latent(rank, a_.width), out(a_.heads * k, a_.width);
    read_out_as_rows(checkpoint_, up, Orientation::kOutIn, runs, factor, not_finite_);
    read_out_as_rows(checkpoint_, down, Orientation::kOutIn, {{0, rank}}, latent, not_finite_);
    for (std::size_t i = 0; i < factor.rows(); ++i)
      for (std::size_t r = 0; r < rank; ++r) factor(i, r) *= gamma[r];
    gemm<float>(Op::kPlain, Op::kPlain, 1.0f, factor.view(), latent.view(), 0.0f, out.view(), Arena(1));
    return out;
  }

  const Checkpoint& checkpoint_;
  const Architecture& a_;
  const Recipe recipe_;
  std::vector<std::string>* not_finite_;
};

/// Runs `read`; a tensor that cannot be used becomes a line in `problems`.
void attempt(std::vector<std::string>& problems, const std::function<void()>& read) {
  try {
    read();
  } catch (const Error& error) {
    const bool of_the_tensor = error.kind() == ErrorKind::kUnsupported ||
                               error.kind() == ErrorKind::kTruncated || error.kind() == ErrorKind::kBadFormat;
    if (!of_the_tensor) throw;
    problems.push_back(error.what());
  }
}

}  // namespace
}  // namespace model

AttentionWeights read_attention(const Checkpoint& checkpoint, const Architecture& architecture,
                                const AttentionSite& site) {
  using namespace model;
  AttentionWeights w;
  const SiteReader reader(checkpoint, architecture, site, &w.not_finite);
  const Recipe& recipe = reader.recipe();
  w.heads = architecture.heads;
  w.kv_heads = architecture.kv_heads;
  w.head_width = architecture.head_width;

  const bool post = architecture.block == BlockKind::kPost;
  w.norm = post || architecture.block == BlockKind::kOutput ? NormKind::kNone : recipe.norm_kind;
  w.output_norm = recipe.output_norm.empty() ? NormKind::kNone : architecture.norm;
  w.value_norm = recipe.packing == Packing::kLatent;
  attempt(w.problems, [&] { (post ? w.post_norm_gain : w.norm_gain) = reader.gain(recipe.norm); });
  attempt(w.problems, [&] { (post ? w.post_norm_bias : w.norm_bias) = reader.norm_bias(recipe.norm); });
  attempt(w.problems, [&] { w.output_gain = reader.output_gain(); });
  attempt(w.problems, [&] { w.value_bias = reader.bias(Projection::kValue); });
  attempt(w.problems, [&] { w.output_bias = reader.bias(Projection::kOutput); });
  attempt(w.problems, [&] { w.value_t = reader.value_t(); });
  attempt(w.problems, [&] { w.output = reader.output(); });
  if (!w.problems.empty()) {
    w.value_t = {};
    w.output = {};
  }
  return w;
}

Dense read_projection(const Checkpoint& checkpoint, const Architecture& architecture,
                      const AttentionSite& site, Projection projection) {
  using namespace model;
  const SiteReader reader(checkpoint, architecture, site, nullptr);
  if (reader.recipe().packing == Packing::kLatent && projection != Projection::kOutput)
    throw Error(ErrorKind::kUnsupported, checkpoint.path(),
                "latent attention has no query, key or value projection of the tokens");
  Dense dense;
  dense.weight = projection == Projection::kOutput ? reader.output() : reader.projection(projection);
  dense.bias = reader.bias(projection);
  return dense;
}

}  // namespace telos
