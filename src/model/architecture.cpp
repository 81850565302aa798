#include "telos/model/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "model/config.h"
#include "model/families.h"
#include "model/heads.h"
#include "model/map.h"
#include "model/names.h"
#include "model/recipe.h"
#include "model/shapes.h"
#include "model/unknown.h"
#include "telos/base/error.h"
#include "telos/io/files.h"

namespace telos {

std::string_view to_string(NormKind kind) noexcept {
  switch (kind) {
    case NormKind::kNone:
      return "none";
    case NormKind::kLayerNorm:
      return "LayerNorm";
    case NormKind::kRmsNorm:
      return "RMSNorm";
  }
  return "?";
}

std::string_view to_string(BlockKind kind) noexcept {
  switch (kind) {
    case BlockKind::kPre:
      return "pre-norm";
    case BlockKind::kPost:
      return "post-norm";
    case BlockKind::kSandwich:
      return "sandwich norm";
    case BlockKind::kOutput:
      return "output norm";
    case BlockKind::kParallel:
      return "parallel, pre-norm";
  }
  return "?";
}

namespace model {
namespace {

constexpr std::uint64_t kMaxMapBytes = 1'000'000;
constexpr std::size_t kMaxLayers = 10'000;

struct Choice {
  const Family* family = nullptr;
  std::string prefix, detected_by;
};

std::string described(const Candidate& candidate) {
  return candidate.family->name + " (" + candidate.family->covers + ")";
}

std::string list_of(const std::vector<Candidate>& candidates) {
  std::string list;
  for (const Candidate& candidate : candidates) list += (list.empty() ? "" : ", ") + described(candidate);
  return list;
}

/// A family that was named, by the user or by config.json; the file must hold it.
Choice choose_named(const Checkpoint& checkpoint, const Family& family, const std::string& detected_by) {
  if (!family.refused.empty())
    throw Error(ErrorKind::kUnsupported, checkpoint.path(),
                detected_by + ": " + family.covers + " is not read, as " + family.refused,
                "name the value and output weights with --map");
  const auto prefix = find_prefix(checkpoint, family);
  if (!prefix)
    throw unknown_family(checkpoint,
                         fmt::format("{} means family {}, but no tensor is named …{}{}.weight", detected_by,
                                     family.name, family.stacks.front().layer, family.stacks.front().value));
  return {&family, *prefix, detected_by};
}

Choice choose_family(const Checkpoint& checkpoint, const Config& config, const IdentifyOptions& options) {
  if (!options.family.empty()) {
    const Family* family = find_family(options.family);
    if (family == nullptr) {
      std::string names;
      for (const Family& known : families()) names += (names.empty() ? "" : ", ") + known.name;
      throw Error(ErrorKind::kUsage, "--family", "unknown family \"" + printable(options.family) + "\"",
                  "the families are " + names);
    }
    return choose_named(checkpoint, *family, "--family " + options.family);
  }

  const std::string type = config.word("model_type");
  for (const Family& family : families())
    if (std::find(family.model_types.begin(), family.model_types.end(), type) != family.model_types.end())
      return choose_named(checkpoint, family, "config.json: model_type \"" + type + "\"");

  const std::vector<Candidate> candidates = families_by_names(checkpoint);
  if (!type.empty()) {
    const std::string reason =
        "config.json: model_type \"" + printable(type, 60) + "\" is not in the table of families";
    if (candidates.empty()) throw unknown_family(checkpoint, reason);
    // Equal names do not make an equal model (Cohere's norm, Granite's factors): the user must say so.
    throw Error(ErrorKind::kUnsupported, checkpoint.path(),
                reason + "; its tensors are named as in " + list_of(candidates),
                "if it is built the same way, pass --family " + candidates.front().family->name);
  }
  if (candidates.empty()) throw unknown_family(checkpoint, "the family is not known from its tensor names");
  if (candidates.size() > 1)
    throw Error(
        ErrorKind::kUnsupported, checkpoint.path(),
        fmt::format("the tensor names fit {} families: {}", candidates.size(), list_of(candidates)),
        "put the model's config.json beside the file, or pass --family " + candidates.front().family->name);
  return {candidates.front().family, candidates.front().prefix, "tensor names"};
}

/// The object of config.json that describes this tower of a multimodal model.
Config section_of(const Config& config, const Choice& choice) {
  Config section = config;
  for (const std::string& name : choice.family->config_sections) section = section.section(name);
  if (choice.prefix.find("vision_model") != std::string::npos) section = section.section("vision_config");
  if (choice.prefix.find("text_model") != std::string::npos) section = section.section("text_config");
  return section;
}

void read_facts(const Config& config, Architecture& a) {
  a.config_json = config.text();
  a.width = config.count({"hidden_size", "n_embd", "d_model", "dim", "n_embed", "embed_dim"}).value_or(0);
  a.mlp_width =
      config.count({"intermediate_size", "n_inner", "ffn_dim", "d_ff", "hidden_dim", "ffn_hidden_size"})
          .value_or(0);
  a.vocabulary = config.count({"vocab_size"}).value_or(0);
  a.context = config.count({"max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"})
                  .value_or(0);
  if (const auto eps = config.number({"layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps", "norm_eps"}))
    a.norm_eps = *eps;
}

/// The layers 0 … N − 1 of a stack, each of which must be there unless the file was opened as partial.
void add_sites(const Checkpoint& checkpoint, const Stack& stack, const std::vector<LayerPlace>& places,
               std::optional<std::size_t> expected, Architecture& a) {
  const std::size_t count = expected.value_or(places.empty() ? 0 : places.back().layer + 1);
  if (count > kMaxLayers)
    throw Error(ErrorKind::kBadFormat, checkpoint.path(),
                fmt::format("{} layers, more than {}", count, kMaxLayers));
  const std::string file_prefix = a.prefix;
  const std::string number = stack.layer;
  std::vector<bool> present(count, false);
  std::size_t beyond = 0;
  for (const LayerPlace& place : places)
    place.layer < count ? void(present[place.layer] = true) : void(++beyond);
  const auto absent = std::find(present.begin(), present.end(), false);
  const auto name_of = [&](std::size_t layer) {
    std::string name = file_prefix + number;
    name.replace(name.find("{}", file_prefix.size()), 2, std::to_string(layer));
    return name;
  };
  if (absent != present.end() && checkpoint.problems().empty()) {
    const auto layer = static_cast<std::size_t>(absent - present.begin());
    throw Error(ErrorKind::kBadFormat, checkpoint.path(),
                fmt::format("layer {} of {} is missing: no tensor {}.weight", layer, count,
                            printable(name_of(layer) + stack.value)),
                expected ? "config.json gives the number of layers; is it the config of this file?"
                         : "is a shard missing, or were layers cut out?");
  }
  if (beyond > 0)
    a.notes.push_back(fmt::format("{} layers beyond the {} of config.json are left out", beyond, count));
  for (std::size_t layer = 0; layer < count; ++layer)
    a.sites.push_back(
        {.label = stack.label.empty() ? std::to_string(layer) : fmt::format("{} {}", stack.label, layer),
         .stack = stack.label,
         .layer = layer,
         .self_map = stack.self_map,
         .tensors = name_of(layer)});
}

/// ALBERT: N layers share the weights of a few groups, each of `inner` layers; layer i belongs to group
/// ⌊i·G/N⌋.
void add_shared_sites(const std::vector<LayerPlace>& places, std::optional<std::size_t> layers,
                      Architecture& a) {
  const std::size_t groups = places.back().layer + 1;
  a.layers = layers.value_or(groups);
  if (!layers)
    a.assumed.push_back("each group of layers is applied once: only config.json has the number of layers");
  if (a.layers % groups != 0)
    throw Error(ErrorKind::kShape, "config.json",
                fmt::format("layers = groups · repeats fails: {} is not a multiple of {}", a.layers, groups));
  for (const LayerPlace& place : places) {
    if (place.inner > 0 && a.notes.empty())
      a.notes.push_back("groups hold several layers, which are applied in turn");
    a.sites.push_back({.label = std::to_string(a.sites.size()),
                       .layer = a.sites.size(),
                       .repeats = a.layers / groups,
                       .tensors = place.tensors});
  }
}

void list_sites(const Checkpoint& checkpoint, const Family& family, const Config& config, Architecture& a) {
  constexpr const char* kLayers[] = {"num_hidden_layers", "n_layer", "n_layers", "num_layers"};
  const auto layers = config.count({kLayers[0], kLayers[1], kLayers[2], kLayers[3]});
  const bool several = family.stacks.size() > 1;
  for (const Stack& stack : family.stacks) {
    auto found = find_layers(checkpoint, stack);
    const std::vector<LayerPlace>& places = found[a.prefix];
    if (places.empty()) continue;
    if (stack.layer.find("{}") != stack.layer.rfind("{}")) return add_shared_sites(places, layers, a);
    auto expected = layers;
    if (stack.order > 0) expected = config.count({"num_decoder_layers", "num_layers"});
    add_sites(checkpoint, stack, places, expected, a);
  }
  // Stacks of equal order alternate: decoder 0, cross 0, decoder 1, …
  const auto order = [&](const AttentionSite& site) {
    for (const Stack& stack : family.stacks)
      if (stack.label == site.stack) return stack.order;
    return std::size_t{0};
  };
  std::stable_sort(a.sites.begin(), a.sites.end(), [&](const AttentionSite& x, const AttentionSite& y) {
    return std::pair(order(x), x.layer) < std::pair(order(y), y.layer);
  });
  a.layers = a.sites.size();
  if (several && std::any_of(a.sites.begin(), a.sites.end(), [](const auto& s) { return !s.self_map; }))
    a.notes.push_back("cross attention maps the encoder's tokens: W_V W_O is no self-map there");
}

Architecture identify_mapped(const Checkpoint& checkpoint, const Config& config,
                             const IdentifyOptions& options) {
  const std::string text = read_text(options.map_path, kMaxMapBytes);
  const TensorMap map(text, options.map_path);
  Architecture a;
  read_facts(config, a);
  a.family = "map";
  a.detected_by = "--map " + options.map_path;
  a.map_json = text;
  a.block = map.block;
  a.causal = map.causal;
  const auto tensors = map.value_tensors(checkpoint);
  a.layers = tensors.rbegin()->first + 1;
  for (const auto& [layer, tensor] : tensors)
    a.sites.push_back({.label = std::to_string(layer), .layer = layer});
  if (a.sites.size() < a.layers)
    a.notes.push_back(
        fmt::format("{} of the layers 0 to {} have a value tensor", a.sites.size(), a.layers - 1));
  a.layers = a.sites.size();
  a.norm = recipe_of(checkpoint, a, a.sites.front()).norm_kind;

  HeadFacts facts;
  facts.heads = map.heads ? map.heads : options.heads;
  facts.kv_heads = map.kv_heads ? map.kv_heads : options.kv_heads;
  facts.source = map.heads ? "the map" : "--heads";
  if (!facts.heads) {
    facts = heads_in(config, nullptr);
    if (!facts.kv_heads) facts.kv_heads = options.kv_heads;
  }
  find_heads(checkpoint, nullptr, facts, a);
  prove_shapes(checkpoint, nullptr, a);
  return a;
}

}  // namespace
}  // namespace model

std::vector<FamilyInfo> known_families() {
  std::vector<FamilyInfo> list;
  for (const model::Family& family : model::families())
    if (family.refused.empty()) list.push_back({family.name, family.covers});
  return list;
}

Architecture identify(const Checkpoint& checkpoint, const IdentifyOptions& options) {
  using namespace model;
  const Config whole = Config::beside(checkpoint);
  if (!options.map_path.empty()) return identify_mapped(checkpoint, whole, options);

  const Choice choice = choose_family(checkpoint, whole, options);
  const Family& family = *choice.family;
  const Config config = section_of(whole, choice);

  Architecture a;
  a.family = family.name;
  a.detected_by = choice.detected_by;
  a.prefix = choice.prefix;
  a.norm = family.norm;
  a.block = family.block;
  a.norm_eps = family.norm_eps;
  a.causal = family.causal;
  a.notes = family.notes;
  read_facts(config, a);
  list_sites(checkpoint, family, config, a);
  if (family.adjust != nullptr) family.adjust(config, a);
  if (!config.present())
    a.assumed.push_back("no config.json: the block, the mask and ε of the norm are those that family " +
                        family.name + " usually has");
  find_heads(checkpoint, &family, merge(heads_in(config, &family), options), a);
  prove_shapes(checkpoint, &family, a);
  return a;
}

}  // namespace telos
