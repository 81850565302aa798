#include "model/recipe.h"

#include "model/map.h"
#include "model/names.h"
#include "telos/base/error.h"

namespace telos::model {
namespace {

std::string joined(const std::string& prefix, const std::string& name) {
  return name.empty() ? std::string() : prefix + name;
}

std::string first_that_exists(const Checkpoint& checkpoint, const std::string& prefix,
                              const std::vector<std::string>& names, bool with_ending) {
  for (const std::string& name : names) {
    const std::string full = prefix + name;
    if (with_ending ? checkpoint.find(full) != nullptr : find_gain(checkpoint, full) != nullptr) return full;
  }
  return {};
}

const Stack& stack_of(const Family& family, const AttentionSite& site) {
  for (const Stack& stack : family.stacks)
    if (stack.label == site.stack) return stack;
  throw Error(ErrorKind::kUsage, "site " + printable(site.label),
              "family " + family.name + " has no stack \"" + printable(site.stack) + "\"",
              "use the sites that identify() returned");
}

}  // namespace

Recipe recipe_of(const Checkpoint& checkpoint, const Architecture& architecture, const AttentionSite& site) {
  if (!architecture.map_json.empty())
    return TensorMap(architecture.map_json, "map").recipe(checkpoint, site.layer);
  const Family* family = find_family(architecture.family);
  if (family == nullptr)
    throw Error(ErrorKind::kUsage, "architecture", "unknown family " + printable(architecture.family),
                "use an Architecture that identify() returned");
  const Stack& stack = stack_of(*family, site);

  Recipe recipe;
  recipe.query = joined(site.tensors, stack.query);
  recipe.key = joined(site.tensors, stack.key);
  recipe.value = joined(site.tensors, stack.value);
  recipe.output = joined(site.tensors, stack.output);
  recipe.latent = joined(site.tensors, family->latent);
  recipe.latent_norm = joined(site.tensors, family->latent_norm);
  recipe.output_norm = joined(site.tensors, family->output_norm);
  recipe.layer_scale = first_that_exists(checkpoint, site.tensors, family->layer_scale, true);
  recipe.value_bias = first_that_exists(checkpoint, site.tensors, family->value_bias, true);
  recipe.norm = first_that_exists(checkpoint, site.tensors, family->norm_names, false);
  // A family's norm that a file lacks is named all the same, so that its absence is noticed.
  if (recipe.norm.empty() && !family->norm_names.empty() && !family->norm_optional &&
      !family->norm_without_affine)
    recipe.norm = site.tensors + family->norm_names.front();

  recipe.packing = family->packing;
  recipe.value_in_out = recipe.output_in_out = family->in_out;
  recipe.norm_kind = recipe.norm.empty() && !family->norm_without_affine ? NormKind::kNone : family->norm;
  recipe.gain_plus_one = family->gain_plus_one;
  return recipe;
}

std::optional<Extent> extent_of(const TensorInfo& tensor, bool in_out) {
  const bool one_byte = tensor.dtype == DType::kI8 || tensor.dtype == DType::kF8E4M3 ||
                        tensor.dtype == DType::kF8E5M2 || tensor.dtype == DType::kF8E4M3Fnuz ||
                        tensor.dtype == DType::kF8E5M2Fnuz;
  if (tensor.shape.size() != 2 || tensor.name.ends_with(".qweight")) return std::nullopt;
  if (!is_float(tensor.dtype) && !one_byte) return std::nullopt;
  const std::size_t a = tensor.shape[0], b = tensor.shape[1];
  return in_out ? Extent{b, a} : Extent{a, b};
}

std::string quantisation_of(const Checkpoint& checkpoint, const TensorInfo& tensor, const std::string& base) {
  const auto there = [&](const char* ending) { return checkpoint.find(base + ending) != nullptr; };
  if (tensor.name.ends_with(".qweight")) return there(".g_idx") ? "GPTQ" : "AWQ or GPTQ";
  if (is_float(tensor.dtype)) return "";
  const std::string type(to_string(tensor.dtype));
  if (there(".weight.quant_state.bitsandbytes__nf4") || there(".weight.quant_state.bitsandbytes__fp4") ||
      there(".weight.absmax"))
    return "bitsandbytes 4-bit, " + type;
  if (there(".SCB") || there(".weight.SCB")) return "bitsandbytes 8-bit, " + type;
  if (there(".weight_scale_inv") || there(".weight_scale")) return type + " with a separate scale";
  return type;
}

std::vector<std::pair<std::size_t, std::size_t>> rows_of(const Recipe& recipe,
                                                         const Architecture& architecture,
                                                         Projection projection) {
  const std::size_t k = architecture.head_width, kv = architecture.kv_heads, h = architecture.heads;
  const std::size_t group = h / kv;
  if (projection == Projection::kValue && recipe.value_row) return {{*recipe.value_row, kv * k}};
  switch (recipe.packing) {
    case Packing::kConcatenated:
      if (projection == Projection::kQuery) return {{0, h * k}};
      if (projection == Projection::kKey) return {{h * k, kv * k}};
      return {{(h + kv) * k, kv * k}};
    case Packing::kGrouped: {
      std::vector<std::pair<std::size_t, std::size_t>> runs;
      for (std::size_t g = 0; g < kv; ++g) {
        const std::size_t first = g * (group + 2) * k;
        if (projection == Projection::kQuery) runs.push_back({first, group * k});
        if (projection == Projection::kKey) runs.push_back({first + group * k, k});
        if (projection == Projection::kValue) runs.push_back({first + (group + 1) * k, k});
      }
      return runs;
    }
    case Packing::kSeparate:
    case Packing::kLatent:
      break;
  }
  return {{0, (projection == Projection::kQuery ? h : kv) * k}};
}

}  // namespace telos::model
