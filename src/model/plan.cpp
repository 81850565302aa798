#include "telos/model/plan.h"

#include <algorithm>
#include <string_view>

#include "model/names.h"
#include "model/recipe.h"

namespace telos {
namespace {

using namespace model;

/// Bytes that `elements` of a tensor take in its file; 0 if it is not there or cannot be used.
std::uint64_t bytes_of(const TensorInfo* tensor, std::uint64_t elements) {
  if (tensor == nullptr || !is_float(tensor->dtype) || !tensor->complete) return 0;
  return std::min(elements, tensor->elements()) * bits(tensor->dtype) / 8;
}

std::uint64_t site_bytes(const Checkpoint& checkpoint, const Architecture& a, const AttentionSite& site) {
  const Recipe recipe = recipe_of(checkpoint, a, site);
  const std::uint64_t d = a.width, heads = a.heads * a.head_width, kv = a.kv_heads * a.head_width;
  std::uint64_t total = bytes_of(find_weight(checkpoint, recipe.output), d * heads) +
                        bytes_of(find_bias(checkpoint, recipe.output), d) +
                        bytes_of(checkpoint.find(recipe.layer_scale), d);
  for (const std::string& norm : {recipe.norm, recipe.output_norm})
    if (!norm.empty()) total += bytes_of(find_gain(checkpoint, norm), d);
  if (!recipe.norm.empty()) total += bytes_of(find_bias(checkpoint, recipe.norm), d);
  if (recipe.packing != Packing::kLatent) {
    const TensorInfo* bias = checkpoint.find(recipe.value_bias);
    return total + bytes_of(find_weight(checkpoint, recipe.value), kv * d) +
           bytes_of(bias != nullptr ? bias : find_bias(checkpoint, recipe.value), kv);
  }
  const TensorInfo* gain = find_gain(checkpoint, recipe.latent_norm);
  const std::uint64_t rank = gain == nullptr ? 0 : gain->elements();
  return total + bytes_of(gain, rank) + bytes_of(find_weight(checkpoint, recipe.value), kv * rank) +
         bytes_of(find_weight(checkpoint, recipe.latent), rank * d);
}

constexpr std::string_view kEmbeddingWords[] = {"embed", "wte.", "wpe.", "shared."};

bool is_embedding(std::string_view name) {
  return std::any_of(std::begin(kEmbeddingWords), std::end(kEmbeddingWords),
                     [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}

/// How often the layer that a tensor belongs to is applied.
std::size_t repeats_of(const Architecture& a, std::string_view name) {
  for (const AttentionSite& site : a.sites)
    if (!site.tensors.empty() && name.starts_with(site.tensors)) return site.repeats;
  return 1;
}

}  // namespace

Cost cost_of_spectra(const Checkpoint& checkpoint, const Architecture& a) {
  Cost cost;
  for (const AttentionSite& site : a.sites) cost.bytes += site_bytes(checkpoint, a, site);
  const double d = static_cast<double>(a.width), k = static_cast<double>(a.head_width);
  cost.flops = static_cast<double>(a.sites.size() * a.heads) * (6 * d * k * k + 14 * k * k * k);
  const std::uint64_t site = std::uint64_t{4} * a.width * a.head_width * (a.heads + a.kv_heads);
  cost.memory = std::min<std::uint64_t>(2, a.sites.size()) * site;
  return cost;
}

Cost cost_of_forward(const Checkpoint& checkpoint, const Architecture& a, std::size_t sequences,
                     std::size_t tokens) {
  Cost cost;
  const double rows = static_cast<double>(sequences) * static_cast<double>(tokens);
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!is_float(tensor.dtype) || !tensor.complete) continue;
    cost.bytes += tensor.bytes;
    cost.memory += 4 * tensor.elements();
    if (tensor.shape.size() == 2 && !is_embedding(tensor.name))
      cost.flops +=
          2 * rows * static_cast<double>(tensor.elements()) * static_cast<double>(repeats_of(a, tensor.name));
  }
  const double pairs = rows * static_cast<double>(tokens);
  cost.flops += 4 * pairs * static_cast<double>(a.heads * a.head_width) * static_cast<double>(a.layers);
  // The trace: N + 1 hidden states and N times h attention matrices.
  const double recorded = rows * static_cast<double>(a.width) * static_cast<double>(a.layers + 1) +
                          pairs * static_cast<double>(a.heads) * static_cast<double>(a.layers);
  cost.memory += static_cast<std::uint64_t>(4 * recorded);
  return cost;
}

}  // namespace telos
