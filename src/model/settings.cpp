#include "model/settings.h"

#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include "io/json.h"
#include "model/config.h"
#include "telos/base/error.h"

namespace telos::model {
namespace {

using nlohmann::ordered_json;

constexpr FamilyNames kBert = {.token = "embeddings.word_embeddings",
                               .position = "embeddings.position_embeddings",
                               .type = "embeddings.token_type_embeddings",
                               .embedding_norm = "embeddings.LayerNorm",
                               .attention_norm = "attention.output.LayerNorm",
                               .mlp_norm = "output.LayerNorm",
                               .up = "intermediate.dense",
                               .down = "output.dense",
                               .head_dense = "cls.predictions.transform.dense",
                               .head_norm = "cls.predictions.transform.LayerNorm",
                               .head_decoder = "cls.predictions.decoder",
                               .head_bias = "cls.predictions"};

constexpr FamilyNames roberta() {
  FamilyNames names = kBert;
  names.head_dense = "lm_head.dense";
  names.head_norm = "lm_head.layer_norm";
  names.head_decoder = "lm_head.decoder";
  names.head_bias = "lm_head";
  return names;
}

constexpr FamilyNames kDistilBert = {.token = "embeddings.word_embeddings",
                                     .position = "embeddings.position_embeddings",
                                     .embedding_norm = "embeddings.LayerNorm",
                                     .attention_norm = "sa_layer_norm",
                                     .mlp_norm = "output_layer_norm",
                                     .up = "ffn.lin1",
                                     .down = "ffn.lin2",
                                     .head_dense = "vocab_transform",
                                     .head_norm = "vocab_layer_norm",
                                     .head_decoder = "vocab_projector",
                                     .head_bias = "vocab_projector"};

constexpr FamilyNames kAlbert = {.token = "embeddings.word_embeddings",
                                 .position = "embeddings.position_embeddings",
                                 .type = "embeddings.token_type_embeddings",
                                 .embedding_norm = "embeddings.LayerNorm",
                                 .embedding_map = "encoder.embedding_hidden_mapping_in",
                                 .attention_norm = "attention.LayerNorm",
                                 .mlp_norm = "full_layer_layer_norm",
                                 .up = "ffn",
                                 .down = "ffn_output",
                                 .head_dense = "predictions.dense",
                                 .head_norm = "predictions.LayerNorm",
                                 .head_decoder = "predictions.decoder",
                                 .head_bias = "predictions"};

constexpr FamilyNames kGpt2 = {.token = "wte",
                               .position = "wpe",
                               .attention_norm = "ln_1",
                               .mlp_norm = "ln_2",
                               .up = "mlp.c_fc",
                               .down = "mlp.c_proj",
                               .final_norm = "ln_f",
                               .head_decoder = "lm_head",
                               .conv1d = true};

constexpr FamilyNames kLlama = {.token = "embed_tokens",
                                .attention_norm = "input_layernorm",
                                .query_norm = "self_attn.q_norm",
                                .key_norm = "self_attn.k_norm",
                                .mlp_norm = "post_attention_layernorm",
                                .gate = "mlp.gate_proj",
                                .up = "mlp.up_proj",
                                .down = "mlp.down_proj",
                                .final_norm = "norm",
                                .head_decoder = "lm_head"};

constexpr FamilyNames kGptNeoX = {.token = "embed_in",
                                  .attention_norm = "input_layernorm",
                                  .mlp_norm = "post_attention_layernorm",
                                  .up = "mlp.dense_h_to_4h",
                                  .down = "mlp.dense_4h_to_h",
                                  .final_norm = "final_layer_norm",
                                  .head_decoder = "embed_out"};

constexpr FamilyNames kVit = {.position = "embeddings.position_embeddings",
                              .embedding_map = "embeddings.patch_embeddings.projection",
                              .attention_norm = "layernorm_before",
                              .mlp_norm = "layernorm_after",
                              .up = "intermediate.dense",
                              .down = "output.dense",
                              .final_norm = "layernorm"};

constexpr FamilyNames kRoberta = roberta();

/// Weights that repeat (ALBERT) bound the number of layers by nothing in the file.
constexpr std::size_t kMaxApplications = 10000;

struct Model {
  std::string_view model_type;  // as config.json has it
  const FamilyNames* names;
};
constexpr std::array kModels = {
    Model{"bert", &kBert},         Model{"roberta", &kRoberta}, Model{"xlm-roberta", &kRoberta},
    Model{"camembert", &kRoberta}, Model{"albert", &kAlbert},   Model{"distilbert", &kDistilBert},
    Model{"gpt2", &kGpt2},         Model{"llama", &kLlama},     Model{"mistral", &kLlama},
    Model{"qwen2", &kLlama},       Model{"qwen3", &kLlama},     Model{"gpt_neox", &kGptNeoX},
    Model{"vit", &kVit},           Model{"deit", &kVit},
};

[[noreturn]] void unsupported(const Architecture& architecture, const std::string& lacks) {
  throw Error(ErrorKind::kUnsupported, "family " + printable(architecture.family),
              "the forward pass does not know " + lacks,
              "weights can still be analysed, and a recorded trace can stand in for the forward pass");
}

Activation activation_named(const Architecture& architecture, const std::string& name) {
  if (name == "gelu" || name == "gelu_python") return Activation::kGeluErf;
  if (name == "gelu_new" || name == "gelu_fast" || name == "gelu_pytorch_tanh") return Activation::kGeluTanh;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "relu") return Activation::kRelu;
  if (name == "silu" || name == "swish") return Activation::kSilu;
  unsupported(architecture, "the activation \"" + printable(name) + "\"");
}

/// A whole number from 0 to 2³¹ − 1, where Config::count would not take 0.
std::size_t read_index(const Config& config, const char* key, std::size_t missing) {
  const double value = config.number({key}).value_or(static_cast<double>(missing));
  if (!(value >= 0 && value < 2147483648.0) || value != std::floor(value))
    throw Error(ErrorKind::kBadFormat, config.where(),
                std::string(key) + " must be a whole number from 0 to 2147483647");
  return static_cast<std::size_t>(value);
}

/// Llama 3's scaling: long waves are slowed by `factor`, short ones kept, those between blended
/// (transformers, modeling_rope_utils.py, _compute_llama3_parameters).
double llama3_frequency(double frequency, const Config& rope) {
  const double factor = rope.number({"factor"}).value_or(8),
               low = rope.number({"low_freq_factor"}).value_or(1);
  const double high = rope.number({"high_freq_factor"}).value_or(4);
  const double context = rope.number({"original_max_position_embeddings"}).value_or(8192);
  if (!(factor > 0) || !(high > low) || !(context > 0))
    throw Error(ErrorKind::kBadFormat, rope.where(),
                "rope_scaling of type llama3 needs factor > 0 and high_freq_factor > low_freq_factor");
  const double waves = context * frequency / (2 * std::numbers::pi);
  if (waves < low) return frequency / factor;
  if (waves > high) return frequency;
  const double kept = (waves - low) / (high - low);
  return (1 - kept) * frequency / factor + kept * frequency;
}

/// Settings of rotary positions stand in `rope_parameters` (transformers 5) or are spread over `rope_theta`,
/// `rope_scaling`, `rotary_pct` and `rotary_emb_base` (before).
Rotary read_rotary(const Architecture& architecture, const Config& config, bool neox) {
  const Config rope = config.section("rope_scaling").section("rope_parameters");
  const double theta = rope.number({"rope_theta", "rotary_emb_base"}).value_or(10000);
  const double part = rope.number({"partial_rotary_factor", "rotary_pct"}).value_or(neox ? 0.25 : 1);
  std::string type = rope.word("rope_type");
  if (type.empty()) type = rope.word("type");
  const bool scaled = !type.empty() && type != "default";
  const double factor = rope.number({"factor"}).value_or(1);
  if (!(theta > 0) || !(part > 0) || part > 1 || (scaled && !(factor > 0)))
    throw Error(ErrorKind::kBadFormat, config.where(),
                "rotary positions: the base and factor must be positive, the rotary part in (0, 1]");
  if (scaled && type != "linear" && type != "llama3")
    unsupported(architecture, "rotary scaling of type \"" + printable(type) + "\"");

  Rotary rotary;
  rotary.dims = static_cast<std::size_t>(static_cast<double>(architecture.head_width) * part);
  if (rotary.dims % 2 != 0) unsupported(architecture, "rotary positions over an odd number of coordinates");
  for (std::size_t i = 0; i < rotary.dims / 2; ++i) {
    const double exponent = 2 * static_cast<double>(i) / static_cast<double>(rotary.dims);
    double frequency = std::pow(theta, -exponent);
    if (type == "linear") frequency /= factor;
    if (type == "llama3") frequency = llama3_frequency(frequency, rope);
    rotary.frequency.push_back(frequency);
  }
  return rotary;
}

/// How many keys back each layer sees, 0 = all. Mistral slides in all layers, Qwen from max_window_layers on
/// if use_sliding_window is set; `layer_types` decides where present.
std::vector<std::size_t> read_windows(const Architecture& architecture, const Config& config,
                                      const ordered_json& json, std::string_view type) {
  std::vector<std::size_t> windows(architecture.sites.size(), 0);
  const bool mistral = type == "mistral", qwen = type == "qwen2" || type == "qwen3";
  if (!mistral && !qwen) return windows;
  // An absent key has the family's default, an explicit null means no window.
  const bool off = (json.contains("sliding_window") && json["sliding_window"].is_null()) ||
                   (qwen && !config.flag({"use_sliding_window"}).value_or(false));
  const std::size_t window = off ? 0 : config.count({"sliding_window"}).value_or(4096);
  const std::size_t full_below = read_index(config, "max_window_layers", 28);
  const bool listed = json.contains("layer_types") && json["layer_types"].is_array();
  for (std::size_t i = 0; i < windows.size(); ++i) {
    bool slides = mistral || i >= full_below;
    if (listed) {
      const ordered_json kind = i < json["layer_types"].size() ? json["layer_types"][i] : ordered_json();
      slides = kind == "sliding_attention";
      if (!slides && kind != "full_attention")
        unsupported(architecture, "what layer_types of config.json says of layer " + std::to_string(i));
    }
    if (slides) windows[i] = window;
  }
  return windows;
}

std::vector<Settings::Step> read_steps(const Architecture& architecture, const Config& config,
                                       const ordered_json& json, std::string_view type) {
  const bool scaled = config.flag({"scale_attn_weights"}).value_or(true);
  const bool by_layer = config.flag({"scale_attn_by_inverse_layer_idx"}).value_or(false);
  const auto width = static_cast<double>(architecture.head_width);
  const std::vector<std::size_t> windows = read_windows(architecture, config, json, type);
  std::vector<Settings::Step> steps;
  for (std::size_t site = 0; site < architecture.sites.size(); ++site) {
    const double scale =
        (scaled ? 1 / std::sqrt(width) : 1.0) / (by_layer ? static_cast<double>(site + 1) : 1.0);
    steps.insert(steps.end(), architecture.sites[site].repeats,
                 {site, static_cast<float>(scale), windows[site]});
  }
  return steps;
}

void read_image_size(const Config& config, const ordered_json& json, Settings& settings) {
  if (json.contains("image_size") && json["image_size"].is_array()) {
    const ordered_json& size = json["image_size"];
    if (size.size() != 2 || !size[0].is_number_unsigned() || !size[1].is_number_unsigned())
      throw Error(ErrorKind::kBadFormat, config.where(), "image_size must be one or two whole numbers");
    settings.image_height = size[0].get<std::size_t>();
    settings.image_width = size[1].get<std::size_t>();
  } else {
    settings.image_height = settings.image_width = config.count({"image_size"}).value_or(224);
  }
}

std::string activation_name(const Config& config, std::string missing) {
  for (const char* key : {"hidden_act", "activation_function", "activation"})
    if (std::string name = config.word(key); !name.empty()) return name;
  return missing;
}

void refuse_what_is_missing(const Architecture& architecture, const Config& config) {
  const std::string positions = config.word("position_embedding_type");
  if (!positions.empty() && positions != "absolute")
    unsupported(architecture, "relative positions (position_embedding_type)");
  if (config.flag({"add_cross_attention"}).value_or(false)) unsupported(architecture, "cross attention");
  if (config.flag({"is_decoder"}).value_or(false))
    unsupported(architecture, "an encoder family used as a decoder");
  if (config.count({"inner_group_num"}).value_or(1) != 1)
    unsupported(architecture, "ALBERT with more than one layer in a group");
  if (architecture.block == BlockKind::kSandwich || architecture.block == BlockKind::kOutput)
    unsupported(architecture, "blocks of the kind " + std::string(to_string(architecture.block)));
  std::size_t applications = 0;
  for (const AttentionSite& site : architecture.sites) applications += site.repeats;
  if (applications == 0 || applications > kMaxApplications)
    throw Error(ErrorKind::kLimit, config.where(),
                std::to_string(applications) + " layers; the forward pass takes 1 to " +
                    std::to_string(kMaxApplications));
  for (const AttentionSite& site : architecture.sites)
    if (!site.stack.empty()) unsupported(architecture, "encoder-decoder models");
}

}  // namespace

Settings read_settings(const Architecture& architecture) {
  const bool given = !architecture.config_json.empty();
  const Config config = given ? Config(architecture.config_json, "config.json") : Config();
  const ordered_json json =
      given ? parse_json(architecture.config_json, "config.json") : ordered_json::object();
  std::string type = config.word("model_type");
  if (type.empty()) type = architecture.family;

  Settings settings;
  for (const Model& model : kModels)
    if (model.model_type == type) settings.names = model.names;
  if (settings.names == nullptr || !architecture.map_json.empty())
    unsupported(architecture, "models of type \"" + printable(type) + "\"");
  refuse_what_is_missing(architecture, config);

  const FamilyNames* names = settings.names;
  settings.images = names == &kVit;
  settings.tied = config.flag({"tie_word_embeddings"}).value_or(names != &kLlama && names != &kGptNeoX);
  const char* usual = names == &kLlama ? "silu" : names == &kGpt2 || names == &kAlbert ? "gelu_new" : "gelu";
  settings.activation = activation_named(architecture, activation_name(config, usual));
  settings.head_activation = names == &kRoberta ? Activation::kGeluErf : settings.activation;
  if (names == &kRoberta)
    settings.positions = Positions::kAfterPadding;
  else if (!names->position.empty())
    settings.positions = Positions::kCounted;
  if (settings.positions == Positions::kAfterPadding)  // others may say −1, or nothing
    settings.padding_id = static_cast<std::int32_t>(read_index(config, "pad_token_id", 1));
  if (names == &kLlama || names == &kGptNeoX)
    settings.rotary = read_rotary(architecture, config, names == &kGptNeoX);
  settings.steps = read_steps(architecture, config, json, type);
  if (settings.images) read_image_size(config, json, settings);
  return settings;
}

}  // namespace telos::model
