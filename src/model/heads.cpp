#include "model/heads.h"

#include <fmt/format.h>

#include "model/names.h"
#include "model/recipe.h"
#include "telos/base/error.h"

namespace telos::model {
namespace {

constexpr std::size_t kMaxSize = 10'000'000;

/// What the first layer that is there shows.
struct Shown {
  std::string tensors, output_name{};
  Recipe recipe;
  std::optional<Extent> value{}, output{};
  std::optional<std::size_t> latent_in{};
};

Shown look_at_first_layer(const Checkpoint& checkpoint, const Architecture& a) {
  for (const AttentionSite& site : a.sites) {
    Shown shown{.tensors = site.tensors, .recipe = recipe_of(checkpoint, a, site)};
    const TensorInfo* value = find_weight(checkpoint, shown.recipe.value);
    const TensorInfo* output = find_weight(checkpoint, shown.recipe.output);
    if (value == nullptr || output == nullptr) continue;
    shown.output_name = output->name;
    shown.value = extent_of(*value, shown.recipe.value_in_out);
    shown.output = extent_of(*output, shown.recipe.output_in_out);
    if (const TensorInfo* latent = find_weight(checkpoint, shown.recipe.latent))
      if (const auto extent = extent_of(*latent, false)) shown.latent_in = extent->in;
    return shown;
  }
  throw Error(ErrorKind::kBadFormat, checkpoint.path(), "no layer has both a value and an output tensor");
}

/// A quotient that must come out even.
std::size_t divided(const Checkpoint& checkpoint, const std::string& tensor, const char* equation,
                    std::size_t whole, std::size_t part) {
  if (part == 0 || whole == 0 || whole % part != 0)
    throw Error(ErrorKind::kShape, checkpoint.path() + ": " + printable(tensor),
                fmt::format("{} fails: {} is not a multiple of {}", equation, whole, part),
                "check the number of heads (config.json, --heads)");
  return whole / part;
}

std::optional<std::size_t> heads_by_evidence(const Checkpoint& checkpoint, const Family* family,
                                             const Shown& shown, std::size_t inner) {
  if (family == nullptr) return std::nullopt;
  for (const EvidenceTensor& evidence : family->evidence) {
    const TensorInfo* tensor = checkpoint.find(shown.tensors + evidence.name);
    if (tensor == nullptr || tensor->shape.empty() || tensor->shape.back() == 0) continue;
    const std::size_t last = tensor->shape.back();
    if (evidence.says == Evidence::kHeadsLast) return last;
    if (tensor->shape.size() != 1 || last > inner) continue;
    const std::size_t k = evidence.says == Evidence::kHalfHeadWidth ? 2 * last : last;
    if (inner % k == 0) return inner / k;
  }
  return std::nullopt;
}

std::size_t number_of_heads(const Checkpoint& checkpoint, const Family* family, const HeadFacts& facts,
                            const Shown& shown, Architecture& a) {
  if (facts.heads) return *facts.heads;
  const std::size_t inner = shown.output ? shown.output->in : 0;
  if (const auto heads = heads_by_evidence(checkpoint, family, shown, inner)) return *heads;
  const bool usual = family != nullptr && family->usual_head_width != 0 && a.width >= family->usual_from &&
                     a.width <= family->usual_to && inner != 0 && inner % family->usual_head_width == 0;
  if (!usual)
    throw Error(ErrorKind::kUsage, checkpoint.path(),
                fmt::format("the number of heads is not in the file: {} could be any number of heads",
                            inner == 0 ? "they" : fmt::format("the output projection's {} inputs", inner)),
                "pass --heads N, or put the model's config.json beside the file");
  a.assumed.push_back(fmt::format("head width {}, as all published models of family {} with d = {} have it",
                                  family->usual_head_width, family->name, a.width));
  return inner / family->usual_head_width;
}

std::size_t number_of_kv_heads(const Checkpoint& checkpoint, const HeadFacts& facts, const Shown& shown,
                               const Architecture& a) {
  if (shown.recipe.packing == Packing::kLatent) return a.heads;
  if (facts.kv_heads) return *facts.kv_heads;
  if (!shown.value || shown.recipe.value_row) return a.heads;
  const std::size_t slots =
      divided(checkpoint, shown.recipe.value, "out features of the value tensor = whole heads · k",
              shown.value->out, a.head_width);
  if (shown.recipe.packing == Packing::kSeparate) return slots;
  if (slots < a.heads + 2 || (slots - a.heads) % 2 != 0)
    throw Error(ErrorKind::kShape, checkpoint.path() + ": " + printable(shown.recipe.value),
                fmt::format("heads + 2·kv_heads = out features / k fails: {} + 2·kv_heads = {} / {}", a.heads,
                            shown.value->out, a.head_width),
                "check the number of heads (config.json, --heads)");
  return (slots - a.heads) / 2;
}

}  // namespace

HeadFacts heads_in(const Config& config, const Family* family) {
  HeadFacts facts;
  facts.source = "config.json";
  facts.heads = config.count({"num_attention_heads", "n_head", "n_heads", "num_heads"});
  const bool latent = family != nullptr && family->packing == Packing::kLatent;
  // DeepSeek's head_dim is the rotary part of its keys.
  facts.head_width =
      latent ? config.count({"v_head_dim"}) : config.count({"head_dim", "d_kv", "kv_channels"});
  if (!facts.heads) return facts;
  facts.kv_heads = family != nullptr && family->kv_heads != nullptr
                       ? family->kv_heads(config, *facts.heads)
                       : config.count({"num_key_value_heads", "num_kv_heads"}).value_or(*facts.heads);
  return facts;
}

HeadFacts merge(HeadFacts facts, const IdentifyOptions& options) {
  const auto take = [&](std::optional<std::size_t>& fact, const std::optional<std::size_t>& option,
                        const char* what, const char* flag) {
    if (!option) return;
    if (*option == 0) throw Error(ErrorKind::kUsage, flag, "0 heads", "give a number from 1 on");
    if (fact && *fact != *option)
      throw Error(ErrorKind::kUsage, flag,
                  fmt::format("{} {} are asked for, {} says {}", *option, what, facts.source, *fact),
                  fmt::format("leave {} out", flag));
    fact = option;
  };
  const bool silent = !facts.heads;
  take(facts.heads, options.heads, "heads", "--heads");
  take(facts.kv_heads, options.kv_heads, "key and value heads", "--kv-heads");
  if (silent && facts.heads) facts.source = "--heads";
  return facts;
}

void find_heads(const Checkpoint& checkpoint, const Family* family, const HeadFacts& facts, Architecture& a) {
  const Shown shown = look_at_first_layer(checkpoint, a);
  const bool latent = shown.recipe.packing == Packing::kLatent;
  if (a.width == 0 && latent) a.width = shown.latent_in.value_or(0);
  if (a.width == 0 && !latent && shown.value) a.width = shown.value->in;
  if (a.width == 0 && shown.output) a.width = shown.output->out;
  if (a.width == 0)
    throw Error(ErrorKind::kUsage, checkpoint.path(),
                "d is not known: the weights are packed, and no config.json gives it",
                "put the model's config.json beside the file");

  a.heads = number_of_heads(checkpoint, family, facts, shown, a);
  if (shown.output) {
    a.head_width = divided(checkpoint, shown.output_name, "heads · k = in features of the output tensor",
                           shown.output->in, a.heads);
    if (facts.head_width && *facts.head_width != a.head_width)
      throw Error(
          ErrorKind::kShape, checkpoint.path() + ": " + printable(shown.output_name),
          fmt::format("heads · k = in features fails: {} · {} ({}) = {}, the tensor has {}", a.heads,
                      *facts.head_width, facts.source, a.heads * *facts.head_width, shown.output->in));
  } else {
    a.head_width = facts.head_width
                       ? *facts.head_width
                       : divided(checkpoint, shown.output_name, "heads · k = d", a.width, a.heads);
  }
  a.kv_heads = number_of_kv_heads(checkpoint, facts, shown, a);
  divided(checkpoint, shown.recipe.value, "heads = groups · kv_heads", a.heads, a.kv_heads);
  // Where the tensors are packed, all three come from config.json alone; their products must not wrap around.
  if (a.heads > kMaxSize || a.head_width > kMaxSize || a.width > kMaxSize)
    throw Error(ErrorKind::kLimit, checkpoint.path(),
                fmt::format("heads = {}, k = {}, d = {}: none may exceed {}", a.heads, a.head_width, a.width,
                            kMaxSize));
}

}  // namespace telos::model
