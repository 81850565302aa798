#include "model/families.h"

#include <algorithm>

namespace telos::model {
namespace {

// Four ways of naming that many families share.

Stack llama_names() {
  return {.layer = "layers.{}.",
          .query = "self_attn.q_proj",
          .key = "self_attn.k_proj",
          .value = "self_attn.v_proj",
          .output = "self_attn.o_proj"};
}

Stack bert_names() {
  return {.layer = "encoder.layer.{}.",
          .query = "attention.self.query",
          .key = "attention.self.key",
          .value = "attention.self.value",
          .output = "attention.output.dense"};
}

Stack vit_names() {
  return {.layer = "encoder.layer.{}.",
          .query = "attention.attention.query",
          .key = "attention.attention.key",
          .value = "attention.attention.value",
          .output = "attention.output.dense"};
}

/// q_proj, k_proj, v_proj and out_proj under `sublayer`.
Stack out_proj_names(const std::string& layer, const std::string& sublayer) {
  return {.layer = layer,
          .query = sublayer + ".q_proj",
          .key = sublayer + ".k_proj",
          .value = sublayer + ".v_proj",
          .output = sublayer + ".out_proj"};
}

Stack fused_names(const std::string& layer, const std::string& fused, const std::string& output) {
  return {.layer = layer, .value = fused, .output = output};
}

Stack t5_names(const std::string& label, std::size_t order, const std::string& layer,
               const std::string& sublayer) {
  return {.label = label,
          .self_map = label != "cross",
          .order = order,
          .layer = layer,
          .query = sublayer + ".q",
          .key = sublayer + ".k",
          .value = sublayer + ".v",
          .output = sublayer + ".o"};
}

const EvidenceTensor kRotaryFrequencies = {"self_attn.rotary_emb.inv_freq", Evidence::kHalfHeadWidth};
const EvidenceTensor kNormOverHead = {"self_attn.q_norm.weight", Evidence::kHeadWidth};

void post_norm_decoder_is_causal(const Config& config, Architecture& a) {
  a.causal = config.flag({"is_decoder"}).value_or(false);
}

std::size_t out_features(const TensorInfo& t) {
  return t.shape.size() == 2 ? t.shape[0] : 0;
}
std::size_t in_features(const TensorInfo& t) {
  return t.shape.size() == 2 ? t.shape[1] : 0;
}

/// BERT and RoBERTa name their layers alike; RoBERTa has a single token type.
bool is_roberta(const Checkpoint& checkpoint, const std::string& prefix, const TensorInfo&) {
  if (prefix.find("roberta") != std::string::npos) return true;
  const TensorInfo* types = checkpoint.find(prefix + "embeddings.token_type_embeddings.weight");
  return types != nullptr && out_features(*types) == 1;
}

std::vector<Family> make_table() {
  std::vector<Family> table;

  // ---- encoders with the norm after the sum ----

  table.push_back({.name = "bert",
                   .covers = "BERT, MiniLM, ELECTRA",
                   .model_types = {"bert", "electra"},
                   .stacks = {bert_names()},
                   .norm_eps = 1e-12,
                   .block = BlockKind::kPost,
                   .norm_names = {"attention.output.LayerNorm"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 768,
                   .usual_to = 1024,
                   .fits = [](const Checkpoint& c, const std::string& prefix,
                              const TensorInfo& v) { return !is_roberta(c, prefix, v); },
                   .adjust = post_norm_decoder_is_causal});

  table.push_back({.name = "roberta",
                   .covers = "RoBERTa, XLM-R, CamemBERT",
                   .model_types = {"roberta", "xlm-roberta", "camembert"},
                   .stacks = {bert_names()},
                   .norm_eps = 1e-12,
                   .block = BlockKind::kPost,
                   .norm_names = {"attention.output.LayerNorm"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 768,
                   .usual_to = 1024,
                   .fits = is_roberta,
                   .adjust = [](const Config& config, Architecture& a) {
                     a.causal = config.flag({"is_decoder"}).value_or(false);
                     // Positions start behind the padding id, so that a table of 514 rows serves 512 tokens.
                     const double padding = config.number({"pad_token_id"}).value_or(1);
                     const auto unused = static_cast<std::size_t>(std::clamp(padding, 0.0, 1e6)) + 1;
                     if (a.context > unused) a.context -= unused;
                   }});

  table.push_back({.name = "distilbert",
                   .covers = "DistilBERT",
                   .model_types = {"distilbert"},
                   .stacks = {{.layer = "transformer.layer.{}.",
                               .query = "attention.q_lin",
                               .key = "attention.k_lin",
                               .value = "attention.v_lin",
                               .output = "attention.out_lin"}},
                   .norm_eps = 1e-12,
                   .block = BlockKind::kPost,
                   .norm_names = {"sa_layer_norm"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 768,
                   .usual_to = 768});

  table.push_back({.name = "albert",
                   .covers = "ALBERT (layers share their weights)",
                   .model_types = {"albert"},
                   .stacks = {{.layer = "encoder.albert_layer_groups.{}.albert_layers.{}.",
                               .query = "attention.query",
                               .key = "attention.key",
                               .value = "attention.value",
                               .output = "attention.dense"}},
                   .norm_eps = 1e-12,
                   .block = BlockKind::kPost,
                   .norm_names = {"attention.LayerNorm"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 768,
                   .usual_to = 4096});

  table.push_back({.name = "modernbert",
                   .covers = "ModernBERT",
                   .model_types = {"modernbert"},
                   .stacks = {fused_names("layers.{}.", "attn.Wqkv", "attn.Wo")},
                   .packing = Packing::kConcatenated,
                   .norm_names = {"attn_norm"},
                   .norm_optional = true,  // layer 0: the embedding's norm is the only one
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 768,
                   .usual_to = 1024});

  // ---- decoders in the manner of GPT-2 ----

  // `attn.bias` in these files is the causal mask, a buffer; the bias of the projection is
  // `attn.c_attn.bias`.
  table.push_back({.name = "gpt2",
                   .covers = "GPT-2, DistilGPT-2",
                   .model_types = {"gpt2"},
                   .stacks = {fused_names("h.{}.", "attn.c_attn", "attn.c_proj")},
                   .packing = Packing::kConcatenated,
                   .in_out = true,
                   .norm_names = {"ln_1"},
                   .usual_head_width = 64,
                   .usual_from = 768,
                   .usual_to = 1600,
                   .fits = [](const Checkpoint&, const std::string&, const TensorInfo& v) {
                     return out_features(v) < in_features(v);
                   }});

  // Multi-query (one key and one value head for all queries) and multi-head files: groups of [g queries, k,
  // v].
  table.push_back({.name = "gpt_bigcode",
                   .covers = "GPTBigCode (SantaCoder, StarCoder)",
                   .model_types = {"gpt_bigcode"},
                   .stacks = {fused_names("h.{}.", "attn.c_attn", "attn.c_proj")},
                   .packing = Packing::kGrouped,
                   .norm_names = {"ln_1"},
                   .has = {"ln_1.bias"},
                   .fits = [](const Checkpoint&, const std::string&,
                              const TensorInfo& v) { return out_features(v) > in_features(v); },
                   .kv_heads = [](const Config& config, std::size_t heads) -> std::optional<std::size_t> {
                     return config.flag({"multi_query"}).value_or(true) ? 1 : heads;
                   }});

  table.push_back({.name = "qwen",
                   .covers = "Qwen 1",
                   .model_types = {"qwen"},
                   .stacks = {fused_names("h.{}.", "attn.c_attn", "attn.c_proj")},
                   .packing = Packing::kConcatenated,
                   .norm = NormKind::kRmsNorm,
                   .norm_eps = 1e-6,
                   .norm_names = {"ln_1"},
                   .usual_head_width = 128,
                   .usual_from = 2048,
                   .usual_to = 8192,
                   .has = {"mlp.w1.weight"},
                   .lacks = {"ln_1.bias"}});

  table.push_back({.name = "gptj",
                   .covers = "GPT-J",
                   .model_types = {"gptj"},
                   .stacks = {out_proj_names("h.{}.", "attn")},
                   .block = BlockKind::kParallel,
                   .norm_names = {"ln_1"}});

  table.push_back({.name = "gpt_neo",
                   .covers = "GPT-Neo",
                   .model_types = {"gpt_neo"},
                   .stacks = {out_proj_names("h.{}.", "attn.attention")},
                   .norm_names = {"ln_1"}});

  table.push_back({.name = "gpt_neox",
                   .covers = "GPT-NeoX, Pythia",
                   .model_types = {"gpt_neox"},
                   .stacks = {fused_names("layers.{}.", "attention.query_key_value", "attention.dense")},
                   .packing = Packing::kGrouped,
                   .block = BlockKind::kParallel,
                   .norm_names = {"input_layernorm"},
                   .adjust = [](const Config& config, Architecture& a) {
                     if (!config.flag({"use_parallel_residual"}).value_or(true)) a.block = BlockKind::kPre;
                   }});

  table.push_back({.name = "bloom",
                   .covers = "BLOOM",
                   .model_types = {"bloom"},
                   .stacks = {fused_names("h.{}.", "self_attention.query_key_value", "self_attention.dense")},
                   .packing = Packing::kGrouped,
                   .norm_names = {"input_layernorm"},
                   .has = {"/word_embeddings_layernorm.weight"},
                   .adjust = [](const Config& config, Architecture& a) {
                     if (config.flag({"apply_residual_connection_post_layernorm"}).value_or(false))
                       a.notes.push_back(
                           "the residual branches off after the norm (BLOOM option): the stream is "
                           "norm(X) + attn(norm(X))");
                   }});

  // New architecture: K groups; 7B: K = 1; rw: K = H, sequential. In files of the 7B, num_kv_heads is a
  // leftover.
  table.push_back({.name = "falcon",
                   .covers = "Falcon (new architecture, 7B, rw)",
                   .model_types = {"falcon", "RefinedWeb", "RefinedWebModel"},
                   .stacks = {fused_names("h.{}.", "self_attention.query_key_value", "self_attention.dense")},
                   .packing = Packing::kGrouped,
                   .block = BlockKind::kParallel,
                   .norm_names = {"ln_attn", "input_layernorm"},
                   .usual_head_width = 64,
                   .usual_from = 2048,
                   .usual_to = 4544,
                   .lacks = {"/word_embeddings_layernorm.weight"},
                   .adjust =
                       [](const Config& config, Architecture& a) {
                         const bool new_kind = config.flag({"new_decoder_architecture"}).value_or(false);
                         if (!new_kind && !config.flag({"parallel_attn"}).value_or(true))
                           a.block = BlockKind::kPre;
                       },
                   .kv_heads = [](const Config& config, std::size_t heads) -> std::optional<std::size_t> {
                     const auto given = config.count({"num_kv_heads", "n_head_kv"});
                     if (config.flag({"new_decoder_architecture"}).value_or(false))
                       return given.value_or(heads);
                     // The first 40B files have n_head_kv and no other mark.
                     if (config.word("model_type") == "RefinedWeb") return given.value_or(heads);
                     return config.flag({"multi_query"}).value_or(true) ? 1 : heads;
                   }});

  table.push_back({.name = "mpt",
                   .covers = "MPT",
                   .model_types = {"mpt"},
                   .stacks = {fused_names("blocks.{}.", "attn.Wqkv", "attn.out_proj")},
                   .packing = Packing::kConcatenated,
                   .norm_names = {"norm_1"},
                   .usual_head_width = 128,
                   .usual_from = 4096,
                   .usual_to = 4096,
                   .kv_heads = [](const Config& config, std::size_t heads) -> std::optional<std::size_t> {
                     return config.section("attn_config").count({"kv_n_heads"}).value_or(heads);
                   }});

  table.push_back({.name = "opt",
                   .covers = "OPT",
                   .model_types = {"opt"},
                   .stacks = {out_proj_names("decoder.layers.{}.", "self_attn")},
                   .norm_names = {"self_attn_layer_norm"},
                   .norm_without_affine = true,
                   .usual_head_width = 64,
                   .usual_from = 768,
                   .usual_to = 2048,
                   .lacks = {"encoder_attn.v_proj.weight"},
                   .adjust = [](const Config& config, Architecture& a) {
                     if (!config.flag({"do_layer_norm_before"}).value_or(true)) a.block = BlockKind::kPost;
                   }});

  // ---- decoders in the manner of Llama ----

  table.push_back(
      {.name = "llama",
       .covers = "Llama 1-3, Mistral, Yi, SmolLM",
       .model_types = {"llama", "mistral", "smollm3"},
       .stacks = {llama_names()},
       .norm = NormKind::kRmsNorm,
       .norm_eps = 1e-6,
       .norm_names = {"input_layernorm"},
       .usual_head_width = 128,
       .usual_from = 4096,
       .usual_to = 16384,
       .evidence = {kRotaryFrequencies},
       .has = {"input_layernorm.weight", "/embed_tokens.weight"},
       .lacks = {"input_layernorm.bias", "self_attn.v_proj.bias", "self_attn.q_norm.weight",
                 "pre_feedforward_layernorm.weight", "block_sparse_moe.gate.weight", "mlp.gate.weight",
                 "mlp.c_fc.weight", "mlp.fc1.weight", "post_self_attn_layernorm.weight"}});

  table.push_back({.name = "mixtral",
                   .covers = "Mixtral (attention is dense, the MLP a mixture)",
                   .model_types = {"mixtral"},
                   .stacks = {llama_names()},
                   .norm = NormKind::kRmsNorm,
                   .norm_names = {"input_layernorm"},
                   .usual_head_width = 128,
                   .usual_from = 4096,
                   .usual_to = 6144,
                   .has = {"block_sparse_moe.gate.weight"}});

  table.push_back({.name = "qwen2",
                   .covers = "Qwen 2, Qwen 2.5, Qwen 2 MoE",
                   .model_types = {"qwen2", "qwen2_moe"},
                   .stacks = {llama_names()},
                   .norm = NormKind::kRmsNorm,
                   .norm_eps = 1e-6,
                   .norm_names = {"input_layernorm"},
                   .usual_head_width = 128,
                   .usual_from = 1536,
                   .usual_to = 8192,
                   .has = {"self_attn.v_proj.bias", "input_layernorm.weight"},
                   .lacks = {"input_layernorm.bias"}});

  table.push_back({.name = "qwen3",
                   .covers = "Qwen 3, Qwen 3 MoE",
                   .model_types = {"qwen3", "qwen3_moe"},
                   .stacks = {llama_names()},
                   .norm = NormKind::kRmsNorm,
                   .norm_eps = 1e-6,
                   .norm_names = {"input_layernorm"},
                   .evidence = {kNormOverHead},
                   .has = {"self_attn.q_norm.weight", "input_layernorm.weight"},
                   .lacks = {"pre_feedforward_layernorm.weight"}});

  table.push_back({.name = "starcoder2",
                   .covers = "StarCoder2",
                   .model_types = {"starcoder2"},
                   .stacks = {llama_names()},
                   .norm_names = {"input_layernorm"},
                   .has = {"input_layernorm.bias", "mlp.c_fc.weight"}});

  // Gemma 1 has exactly Llama's names, and stores γ − 1: without config.json the two cannot be told apart.
  table.push_back(
      {.name = "gemma",
       .covers = "Gemma 1",
       .model_types = {"gemma"},
       .stacks = {llama_names()},
       .norm = NormKind::kRmsNorm,
       .norm_eps = 1e-6,
       .norm_names = {"input_layernorm"},
       .gain_plus_one = true,
       .usual_head_width = 256,
       .usual_from = 2048,
       .usual_to = 3072,
       .has = {"input_layernorm.weight", "/embed_tokens.weight"},
       .lacks = {"input_layernorm.bias", "self_attn.v_proj.bias", "self_attn.q_norm.weight",
                 "pre_feedforward_layernorm.weight", "block_sparse_moe.gate.weight", "mlp.gate.weight",
                 "mlp.c_fc.weight", "mlp.fc1.weight", "post_self_attn_layernorm.weight"}});

  table.push_back({.name = "gemma2",
                   .covers = "Gemma 2",
                   .model_types = {"gemma2"},
                   .stacks = {llama_names()},
                   .norm = NormKind::kRmsNorm,
                   .norm_eps = 1e-6,
                   .block = BlockKind::kSandwich,
                   .norm_names = {"input_layernorm"},
                   .gain_plus_one = true,
                   .output_norm = "post_attention_layernorm",
                   .has = {"pre_feedforward_layernorm.weight"},
                   .lacks = {"self_attn.q_norm.weight"}});

  table.push_back({.name = "gemma3",
                   .covers = "Gemma 3 (text, or the text part of a multimodal file)",
                   .model_types = {"gemma3", "gemma3_text"},
                   .stacks = {llama_names()},
                   .norm = NormKind::kRmsNorm,
                   .norm_eps = 1e-6,
                   .block = BlockKind::kSandwich,
                   .norm_names = {"input_layernorm"},
                   .gain_plus_one = true,
                   .output_norm = "post_attention_layernorm",
                   .evidence = {kNormOverHead},
                   .has = {"pre_feedforward_layernorm.weight", "self_attn.q_norm.weight"},
                   .config_sections = {"text_config"}});

  table.push_back({.name = "olmo2",
                   .covers = "OLMo 2",
                   .model_types = {"olmo2"},
                   .stacks = {llama_names()},
                   .norm = NormKind::kRmsNorm,
                   .block = BlockKind::kOutput,
                   .output_norm = "post_attention_layernorm",
                   .has = {"post_feedforward_layernorm.weight", "self_attn.q_norm.weight"},
                   .lacks = {"input_layernorm.weight"}});

  table.push_back({.name = "phi",
                   .covers = "Phi-1, Phi-1.5, Phi-2",
                   .model_types = {"phi"},
                   .stacks = {{.layer = "layers.{}.",
                               .query = "self_attn.q_proj",
                               .key = "self_attn.k_proj",
                               .value = "self_attn.v_proj",
                               .output = "self_attn.dense"}},
                   .block = BlockKind::kParallel,
                   .norm_names = {"input_layernorm"}});

  table.push_back({.name = "phi3",
                   .covers = "Phi-3, Phi-4",
                   .model_types = {"phi3"},
                   .stacks = {fused_names("layers.{}.", "self_attn.qkv_proj", "self_attn.o_proj")},
                   .packing = Packing::kConcatenated,
                   .norm = NormKind::kRmsNorm,
                   .norm_names = {"input_layernorm"}});

  table.push_back(
      {.name = "deepseek",
       .covers = "DeepSeek V2, V3 (multi-head latent attention)",
       .model_types = {"deepseek_v2", "deepseek_v3"},
       .stacks = {fused_names("layers.{}.", "self_attn.kv_b_proj", "self_attn.o_proj")},
       .packing = Packing::kLatent,
       .norm = NormKind::kRmsNorm,
       .norm_eps = 1e-6,
       .norm_names = {"input_layernorm"},
       .latent = "self_attn.kv_a_proj_with_mqa",
       .latent_norm = "self_attn.kv_a_layernorm",
       .notes = {"latent attention: a root mean square norm stands between the two factors of W_V, so that "
                 "W_V is known up to a positive factor per token"}});

  // ---- images ----

  table.push_back({.name = "vit",
                   .covers = "ViT, DeiT (Hugging Face)",
                   .model_types = {"vit", "deit"},
                   .stacks = {vit_names()},
                   .norm_eps = 1e-12,
                   .norm_names = {"layernorm_before"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 192,
                   .usual_to = 1024,
                   .has = {"layernorm_before.weight"},
                   .lacks = {"lambda_1"}});

  table.push_back({.name = "beit",
                   .covers = "BEiT (Hugging Face)",
                   .model_types = {"beit"},
                   .stacks = {vit_names()},
                   .norm_eps = 1e-12,
                   .norm_names = {"layernorm_before"},
                   .layer_scale = {"lambda_1"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 192,
                   .usual_to = 1024,
                   .has = {"layernorm_before.weight", "lambda_1"}});

  table.push_back({.name = "dinov2",
                   .covers = "DINOv2 (Hugging Face)",
                   .model_types = {"dinov2", "dinov2_with_registers"},
                   .stacks = {vit_names()},
                   .norm_eps = 1e-6,
                   .norm_names = {"norm1"},
                   .layer_scale = {"layer_scale1.lambda1"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 192,
                   .usual_to = 1024,
                   .has = {"norm1.weight"}});

  table.push_back({.name = "timm_vit",
                   .covers = "ViT, DeiT, BEiT, CaiT, DINOv2 (timm and the authors' own files)",
                   .stacks = {fused_names("blocks.{}.", "attn.qkv", "attn.proj")},
                   .packing = Packing::kConcatenated,
                   .norm_eps = 1e-6,
                   .norm_names = {"norm1"},
                   .layer_scale = {"gamma_1", "ls1.gamma"},
                   .value_bias = {"attn.v_bias"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 192,
                   .usual_to = 1024,
                   .lacks = {"attn.norm.weight", "attn.relative_position_index"}});

  table.push_back({.name = "clip",
                   .covers = "CLIP (the vision tower where a file has both)",
                   .model_types = {"clip", "clip_vision_model", "clip_text_model"},
                   .stacks = {out_proj_names("encoder.layers.{}.", "self_attn")},
                   .norm_names = {"layer_norm1"},
                   .causal = false,
                   .usual_head_width = 64,
                   .usual_from = 512,
                   .usual_to = 1024,
                   .has = {"layer_norm1.weight"},
                   .preferred_prefixes = {"vision_model.", "clip.vision_model."},
                   .adjust = [](const Config&, Architecture& a) {
                     a.causal = a.prefix.find("text_model") != std::string::npos;
                   }});

  // ---- encoder-decoders ----

  table.push_back(
      {.name = "t5",
       .covers = "T5, Flan-T5, mT5, umT5",
       .model_types = {"t5", "mt5", "umt5"},
       .stacks = {t5_names("encoder", 0, "encoder.block.{}.layer.0.", "SelfAttention"),
                  t5_names("decoder", 1, "decoder.block.{}.layer.0.", "SelfAttention"),
                  t5_names("cross", 1, "decoder.block.{}.layer.1.", "EncDecAttention")},
       .norm = NormKind::kRmsNorm,
       .norm_eps = 1e-6,
       .norm_names = {"layer_norm"},
       .causal = false,
       .evidence = {{"SelfAttention.relative_attention_bias.weight", Evidence::kHeadsLast}},
       .adjust = [](const Config&, Architecture& a) { a.context = 0; },  // relative positions: no limit
       .notes = {"the decoder's self-attention is causal"}});

  table.push_back({.name = "bart",
                   .covers = "BART",
                   .model_types = {"bart", "mbart"},
                   .refused = "the layout of BART files has not been checked against their source"});

  return table;
}

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> table = make_table();
  return table;
}

const Family* find_family(std::string_view name) {
  const auto& table = families();
  const auto row = std::find_if(table.begin(), table.end(), [&](const Family& f) { return f.name == name; });
  return row == table.end() ? nullptr : &*row;
}

}  // namespace telos::model
