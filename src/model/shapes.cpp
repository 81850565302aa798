#include "model/shapes.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/names.h"
#include "model/recipe.h"
#include "telos/base/error.h"

namespace telos::model {
namespace {

/// A size with the product it comes from: {"heads·k", "8·4", 32}.
struct Size {
  std::string formula, numbers;
  std::size_t value = 0;
};

class Prover {
 public:
  Prover(const Checkpoint& checkpoint, const Architecture& a)
      : checkpoint_(checkpoint),
        width_{"d", std::to_string(a.width), a.width},
        heads_{"heads·k", fmt::format("{}·{}", a.heads, a.head_width), a.heads * a.head_width},
        kv_{"kv_heads·k", fmt::format("{}·{}", a.kv_heads, a.head_width), a.kv_heads * a.head_width},
        fused_{"(heads + 2·kv_heads)·k", fmt::format("({} + 2·{})·{}", a.heads, a.kv_heads, a.head_width),
               (a.heads + 2 * a.kv_heads) * a.head_width} {}

  const Size& width() const { return width_; }
  const Size& heads() const { return heads_; }
  const Size& kv() const { return kv_; }
  const Size& fused() const { return fused_; }

  /// The tensor; null if it is missing in a partial checkpoint.
  const TensorInfo* required(const TensorInfo* tensor, const std::string& base, const char* what) const {
    if (tensor == nullptr && checkpoint_.problems().empty())
      throw Error(ErrorKind::kBadFormat, checkpoint_.path(),
                  fmt::format("the {} {}.weight is missing", what, printable(base)),
                  "is a shard missing, or is config.json that of another model?");
    return tensor;
  }

  void matrix(const TensorInfo* tensor, const char* what, const Size& out, const Size& in,
              bool in_out) const {
    if (tensor == nullptr) return;
    const bool packed = !extent_of(*tensor, in_out) && tensor->shape.size() == 2 && !is_float(tensor->dtype);
    if (packed || tensor->name.ends_with(".qweight")) return;
    const Size& rows = in_out ? in : out;
    const Size& cols = in_out ? out : in;
    if (tensor->shape.size() == 2 && tensor->shape[0] == rows.value && tensor->shape[1] == cols.value) return;
    fail(*tensor, fmt::format("expected {} [{}, {}] = [{}, {}] = [{}, {}]", what, rows.formula, cols.formula,
                              rows.numbers, cols.numbers, rows.value, cols.value));
  }

  void vector(const TensorInfo* tensor, const char* what, const Size& size) const {
    if (tensor == nullptr) return;
    const auto& shape = tensor->shape;
    // Shapes like [1, d] occur; one dimension must hold everything.
    if (tensor->elements() == size.value && (shape.size() == 1 || shape.back() == size.value)) return;
    fail(*tensor, fmt::format("expected {} [{}] = [{}]", what, size.formula, size.value));
  }

  [[noreturn]] void fail(const TensorInfo& tensor, const std::string& expectation) const {
    throw Error(ErrorKind::kShape, checkpoint_.path() + ": " + printable(tensor.name),
                expectation + ", found " + tensor.shape_text(),
                "is config.json that of another model, or --heads wrong?");
  }

 private:
  const Checkpoint& checkpoint_;
  Size width_, heads_, kv_, fused_;
};

/// Value rows of kv_b for each head behind its rows of keys, and the latent factor that it acts on.
void prove_latent(const Checkpoint& checkpoint, const Architecture& a, const Recipe& recipe,
                  const Prover& prove) {
  const TensorInfo* up = prove.required(find_weight(checkpoint, recipe.value), recipe.value, "value factor");
  const TensorInfo* down =
      prove.required(find_weight(checkpoint, recipe.latent), recipe.latent, "latent factor");
  const TensorInfo* gain = prove.required(find_gain(checkpoint, recipe.latent_norm), recipe.latent_norm,
                                          "norm between the value factors");
  if (up == nullptr || down == nullptr || gain == nullptr) return;
  const std::size_t rank = gain->elements();
  const Size latent{"rank", std::to_string(rank), rank};
  const auto up_extent = extent_of(*up, false), down_extent = extent_of(*down, false);
  if (!up_extent && is_float(up->dtype)) prove.fail(*up, "expected two dimensions");
  if (!down_extent && is_float(down->dtype)) prove.fail(*down, "expected two dimensions");
  if (up_extent) {
    const std::size_t per_head = up_extent->out / a.heads;
    if (up_extent->out % a.heads != 0 || per_head < a.head_width || up_extent->in != rank)
      prove.fail(*up, fmt::format("expected heads·(nope + k) × rank with heads = {}, k = {}, rank = {}",
                                  a.heads, a.head_width, rank));
  }
  if (down_extent && (down_extent->out < rank || down_extent->in != a.width))
    prove.fail(*down, fmt::format("expected (rank + rope) × d with rank = {}, d = {}", rank, a.width));
  prove.vector(gain, "latent norm", latent);
}

void prove_value(const Checkpoint& checkpoint, const Recipe& recipe, const Prover& prove) {
  const TensorInfo* value =
      prove.required(find_weight(checkpoint, recipe.value), recipe.value, "value weight");
  if (value == nullptr) return;
  if (recipe.value_row) {
    const auto extent = extent_of(*value, recipe.value_in_out);
    if (!extent && is_float(value->dtype)) prove.fail(*value, "expected two dimensions");
    if (extent && (extent->in != prove.width().value || extent->out < prove.kv().value ||
                   extent->out - prove.kv().value < *recipe.value_row))
      prove.fail(*value,
                 fmt::format("expected d = {} in features and at least offset + kv_heads·k = {} + {} out "
                             "features",
                             prove.width().value, *recipe.value_row, prove.kv().value));
    return;
  }
  const bool alone = recipe.packing == Packing::kSeparate;
  prove.matrix(value, alone ? "value" : "fused query, key and value", alone ? prove.kv() : prove.fused(),
               prove.width(), recipe.value_in_out);
  prove.vector(find_bias(checkpoint, recipe.value), "bias", alone ? prove.kv() : prove.fused());
  prove.vector(checkpoint.find(recipe.value_bias), "value bias", prove.kv());
}

/// Queries twice as wide as heads·k carry a gate for each output (Qwen3-Next).
bool prove_query(const Checkpoint& checkpoint, const Recipe& recipe, const Prover& prove) {
  if (recipe.packing != Packing::kSeparate || recipe.query.empty()) return false;
  const TensorInfo* query = find_weight(checkpoint, recipe.query);
  if (query == nullptr) return false;
  const auto extent = extent_of(*query, recipe.value_in_out);
  if (extent && extent->out == 2 * prove.heads().value && extent->in == prove.width().value) return true;
  prove.matrix(query, "query", prove.heads(), prove.width(), recipe.value_in_out);
  return false;
}

void prove_norms(const Checkpoint& checkpoint, const Recipe& recipe, const Prover& prove) {
  if (!recipe.norm.empty()) {
    prove.vector(prove.required(find_gain(checkpoint, recipe.norm), recipe.norm, "norm of the attention"),
                 "gain of the norm", prove.width());
    prove.vector(find_bias(checkpoint, recipe.norm), "bias of the norm", prove.width());
  }
  if (!recipe.output_norm.empty())
    prove.vector(prove.required(find_gain(checkpoint, recipe.output_norm), recipe.output_norm,
                                "norm of the attention output"),
                 "gain of the output norm", prove.width());
  prove.vector(checkpoint.find(recipe.layer_scale), "layer scale", prove.width());
}

}  // namespace

void prove_shapes(const Checkpoint& checkpoint, const Family* family, Architecture& a) {
  const Prover prove(checkpoint, a);
  bool gated = false;
  for (const AttentionSite& site : a.sites) {
    const Recipe recipe = recipe_of(checkpoint, a, site);
    if (recipe.packing == Packing::kLatent)
      prove_latent(checkpoint, a, recipe, prove);
    else
      prove_value(checkpoint, recipe, prove);
    prove.matrix(prove.required(find_weight(checkpoint, recipe.output), recipe.output, "output weight"),
                 "output", prove.width(), prove.heads(), recipe.output_in_out);
    prove.vector(find_bias(checkpoint, recipe.output), "bias", prove.width());
    gated |= prove_query(checkpoint, recipe, prove);
    prove_norms(checkpoint, recipe, prove);
  }
  const auto beside = [&](const char* name) {
    return family != nullptr && find_gain(checkpoint, a.sites.front().tensors + name) != nullptr;
  };
  gated |= beside("attn.gate") || beside("self_attn.gate_proj") || beside("self_attn.g_proj");
  if (gated) a.notes.push_back("gated attention: the gate depends on the data and is left out");
  if (beside("attn.proj_l"))
    a.notes.push_back(
        "talking heads: the attention maps are mixed over heads, so that no map belongs to one head");
}

}  // namespace telos::model
