#include "tests/model/layouts.h"

#include <algorithm>
#include <map>

namespace telos::test {
namespace {

/// What most configs say, in Llama's spelling.
std::string llama_config(const TinyModel& m, const std::string& type, const std::string& more = "") {
  return "{\"model_type\": \"" + type +
         "\", \"hidden_size\": 8, \"num_hidden_layers\": " + std::to_string(m.layers.size()) +
         ", \"num_attention_heads\": " + std::to_string(m.heads) +
         ", \"num_key_value_heads\": " + std::to_string(m.kv_heads) + ", \"head_dim\": 4" +
         (more.empty() ? "" : ", " + more) + "}";
}
std::string config(const TinyModel& m, const std::string& type, const std::string& more = "") {
  return "{\"model_type\": \"" + type +
         "\", \"hidden_size\": 8, \"num_hidden_layers\": " + std::to_string(m.layers.size()) +
         ", \"num_attention_heads\": " + std::to_string(m.heads) + (more.empty() ? "" : ", " + more) + "}";
}

using LayerWriter =
    std::function<void(TinyFile&, const std::string& prefix, const TinyLayer&, std::size_t layer)>;

/// A file whose layers `write` puts under before + number + ".".
TinyFile each_layer(const TinyModel& m, const std::string& before, const LayerWriter& write) {
  TinyFile file;
  for (std::size_t l = 0; l < m.layers.size(); ++l)
    write(file, before + std::to_string(l) + ".", m.layers[l], l);
  return file;
}

void split(TinyFile& f, const std::string& q, const std::string& k, const std::string& v,
           const std::string& o, const TinyLayer& l, bool biases) {
  const std::vector<float> none;
  f.linear(q, l.query, biases ? l.query_bias : none);
  f.linear(k, l.key, biases ? l.key_bias : none);
  f.linear(v, l.value, biases ? l.value_bias : none);
  f.linear(o, l.output, biases ? l.output_bias : none);
}

// A tensor that the readers must pass over.
void embedding(TinyFile& f, const std::string& name, std::size_t rows = 3) {
  f.matrix(name, Matrix<float>(rows, 8));
}

// ---- BERT and its kin ----

TinyFile bert_like(const TinyModel& m, const std::string& prefix, const std::string& type) {
  TinyFile f = each_layer(
      m, prefix + "encoder.layer.", [](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        const std::string self = p + "attention.self.";
        split(file, self + "query", self + "key", self + "value", p + "attention.output.dense", l, true);
        file.layer_norm(p + "attention.output.LayerNorm", l);
      });
  embedding(f, prefix + "embeddings.token_type_embeddings.weight", type == "bert" ? 2 : 1);
  f.config = config(m, type);
  return f;
}

TinyFile bert_old_names(const TinyModel& m) {
  TinyFile f = bert_like(m, "bert.", "bert");
  f.rename("LayerNorm.weight", "LayerNorm.gamma");
  f.rename("LayerNorm.bias", "LayerNorm.beta");
  return f;
}

TinyFile distilbert(const TinyModel& m) {
  TinyFile f = each_layer(m, "distilbert.transformer.layer.",
                          [](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
                            const std::string a = p + "attention.";
                            split(file, a + "q_lin", a + "k_lin", a + "v_lin", a + "out_lin", l, true);
                            file.layer_norm(p + "sa_layer_norm", l);
                          });
  f.config = R"({"model_type": "distilbert", "dim": 8, "n_heads": 2, "n_layers": )" +
             std::to_string(m.layers.size()) + "}";
  return f;
}

/// Two groups, so that both layers of the model are there.
TinyFile albert(const TinyModel& m) {
  TinyFile f = each_layer(m, "albert.encoder.albert_layer_groups.",
                          [](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
                            const std::string a = p + "albert_layers.0.attention.";
                            split(file, a + "query", a + "key", a + "value", a + "dense", l, true);
                            file.layer_norm(a + "LayerNorm", l);
                          });
  f.config = config(m, "albert", R"("num_hidden_groups": 2)");
  return f;
}

TinyFile modernbert(const TinyModel& m) {
  TinyFile f = each_layer(m, "model.layers.",
                          [&](TinyFile& file, const std::string& p, const TinyLayer& l, std::size_t layer) {
                            file.linear(p + "attn.Wqkv", fused(m, l, Fusing::kConcatenated));
                            file.linear(p + "attn.Wo", l.output);
                            if (layer > 0) file.vector(p + "attn_norm.weight", l.gain);
                          });
  f.config = config(m, "modernbert");
  return f;
}

// ---- GPT-2 and its kin ----

TinyFile gpt2(const TinyModel& m, const std::string& prefix) {
  TinyFile f =
      each_layer(m, prefix + "h.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        file.matrix(p + "attn.c_attn.weight", fused(m, l, Fusing::kConcatenated));
        file.vector(p + "attn.c_attn.bias", fused_bias(m, l, Fusing::kConcatenated));
        file.matrix(p + "attn.c_proj.weight", l.output);
        file.vector(p + "attn.c_proj.bias", l.output_bias);
        file.layer_norm(p + "ln_1", l);
        // The causal mask, which old files keep under the name of a bias.
        file.tensors.push_back({p + "attn.bias", {1, 1, 4, 4}, std::vector<float>(16, 1.0f)});
        file.tensors.push_back({p + "attn.masked_bias", {}, {-1e4f}});
      });
  f.config = R"({"model_type": "gpt2", "n_embd": 8, "n_head": 2, "n_layer": )" +
             std::to_string(m.layers.size()) + "}";
  return f;
}

TinyFile gpt_bigcode(const TinyModel& m) {
  TinyFile f =
      each_layer(m, "transformer.h.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        file.linear(p + "attn.c_attn", fused(m, l, Fusing::kGrouped), fused_bias(m, l, Fusing::kGrouped));
        file.linear(p + "attn.c_proj", l.output, l.output_bias);
        file.layer_norm(p + "ln_1", l);
      });
  f.config = R"({"model_type": "gpt_bigcode", "n_embd": 8, "n_head": 2, "n_layer": 2, "multi_query": )" +
             std::string(m.kv_heads == 1 ? "true" : "false") + "}";
  return f;
}

TinyFile qwen1(const TinyModel& m) {
  TinyFile f =
      each_layer(m, "transformer.h.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        file.linear(p + "attn.c_attn", fused(m, l, Fusing::kConcatenated),
                    fused_bias(m, l, Fusing::kConcatenated));
        file.linear(p + "attn.c_proj", l.output);
        file.vector(p + "ln_1.weight", l.gain);
        file.linear(p + "mlp.w1", Matrix<float>(8, 12));
      });
  f.config = config(m, "qwen", R"("kv_channels": 4)");
  return f;
}

TinyFile gptj(const TinyModel& m) {
  TinyFile f =
      each_layer(m, "transformer.h.", [](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        const std::string a = p + "attn.";
        split(file, a + "q_proj", a + "k_proj", a + "v_proj", a + "out_proj", l, false);
        file.layer_norm(p + "ln_1", l);
      });
  f.config = R"({"model_type": "gptj", "n_embd": 8, "n_head": 2, "n_layer": 2})";
  return f;
}

TinyFile gpt_neo(const TinyModel& m) {
  TinyFile f =
      each_layer(m, "transformer.h.", [](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        const std::string a = p + "attn.attention.";
        split(file, a + "q_proj", a + "k_proj", a + "v_proj", a + "out_proj", l, false);
        file.vector(a + "out_proj.bias", l.output_bias);
        file.layer_norm(p + "ln_1", l);
      });
  f.config = R"({"model_type": "gpt_neo", "hidden_size": 8, "num_heads": 2, "num_layers": 2})";
  return f;
}

TinyFile gpt_neox(const TinyModel& m) {
  TinyFile f =
      each_layer(m, "gpt_neox.layers.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        file.linear(p + "attention.query_key_value", fused(m, l, Fusing::kGrouped),
                    fused_bias(m, l, Fusing::kGrouped));
        file.linear(p + "attention.dense", l.output, l.output_bias);
        file.layer_norm(p + "input_layernorm", l);
      });
  f.config = config(m, "gpt_neox");
  return f;
}

/// BLOOM and Falcon name their tensors alike.
TinyFile query_key_value(const TinyModel& m, const std::string& norm, bool biases) {
  return each_layer(m, "transformer.h.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
    const std::vector<float> none;
    file.linear(p + "self_attention.query_key_value", fused(m, l, Fusing::kGrouped),
                biases ? fused_bias(m, l, Fusing::kGrouped) : none);
    file.linear(p + "self_attention.dense", l.output, biases ? l.output_bias : none);
    file.layer_norm(p + norm, l);
  });
}

TinyFile bloom(const TinyModel& m) {
  TinyFile f = query_key_value(m, "input_layernorm", true);
  f.vector("transformer.word_embeddings_layernorm.weight", std::vector<float>(8, 1.0f));
  f.config = R"({"model_type": "bloom", "hidden_size": 8, "n_head": 2, "n_layer": 2})";
  return f;
}

TinyFile falcon(const TinyModel& m, const std::string& norm, bool biases, const std::string& more) {
  TinyFile f = query_key_value(m, norm, biases);
  f.config = config(m, "falcon", more);
  return f;
}

TinyFile mpt(const TinyModel& m) {
  TinyFile f = each_layer(m, "transformer.blocks.",
                          [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
                            file.linear(p + "attn.Wqkv", fused(m, l, Fusing::kConcatenated));
                            file.linear(p + "attn.out_proj", l.output);
                            file.vector(p + "norm_1.weight", l.gain);
                          });
  f.config = R"({"model_type": "mpt", "d_model": 8, "n_heads": )" + std::to_string(m.heads) +
             R"(, "n_layers": 2, "attn_config": {"kv_n_heads": )" + std::to_string(m.kv_heads) + "}}";
  return f;
}

TinyFile opt(const TinyModel& m, bool norm_first) {
  TinyFile f = each_layer(m, "model.decoder.layers.",
                          [](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
                            const std::string a = p + "self_attn.";
                            split(file, a + "q_proj", a + "k_proj", a + "v_proj", a + "out_proj", l, true);
                            file.layer_norm(p + "self_attn_layer_norm", l);
                          });
  f.config = config(m, "opt", std::string("\"do_layer_norm_before\": ") + (norm_first ? "true" : "false"));
  return f;
}

// ---- Llama and its kin ----

enum class LlamaNorms { kRms, kLayerNorm, kPlusOne, kSandwich, kOutput };

TinyFile llama_like(const TinyModel& m, const std::string& prefix, LlamaNorms norms, bool biases,
                    const char* output) {
  TinyFile f =
      each_layer(m, prefix + "layers.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        const std::string a = p + "self_attn.";
        split(file, a + "q_proj", a + "k_proj", a + "v_proj", a + output, l, biases);
        if (norms == LlamaNorms::kRms) file.vector(p + "input_layernorm.weight", l.gain);
        if (norms == LlamaNorms::kLayerNorm) file.layer_norm(p + "input_layernorm", l);
        if (norms == LlamaNorms::kPlusOne || norms == LlamaNorms::kSandwich)
          file.vector(p + "input_layernorm.weight", l.gain_minus_one);
        if (norms == LlamaNorms::kOutput) file.vector(p + "post_attention_layernorm.weight", l.gain);
        if (norms == LlamaNorms::kSandwich) {
          file.vector(p + "post_attention_layernorm.weight", l.gain_minus_one);
          file.vector(p + "pre_feedforward_layernorm.weight", l.gain_minus_one);
        }
      });
  embedding(f, prefix + "embed_tokens.weight");
  return f;
}

TinyFile llama(const TinyModel& m, const std::string& type) {
  TinyFile f = llama_like(m, "model.", LlamaNorms::kRms, false, "o_proj");
  f.config = llama_config(m, type);
  return f;
}

/// A vector in each layer.
void in_each_layer(TinyFile& f, const TinyModel& m, const std::string& prefix, const std::string& name,
                   std::size_t size) {
  for (std::size_t l = 0; l < m.layers.size(); ++l)
    f.vector(prefix + "layers." + std::to_string(l) + "." + name, std::vector<float>(size, 1.0f));
}

TinyFile mixtral(const TinyModel& m) {
  TinyFile f = llama(m, "mixtral");
  in_each_layer(f, m, "model.", "block_sparse_moe.gate.weight", 2);
  return f;
}

TinyFile qwen2(const TinyModel& m) {
  TinyFile f = llama_like(m, "model.", LlamaNorms::kRms, true, "o_proj");
  for (std::size_t l = 0; l < m.layers.size(); ++l)
    f.remove("model.layers." + std::to_string(l) + ".self_attn.o_proj.bias");
  f.config = llama_config(m, "qwen2");
  return f;
}

TinyFile qwen3(const TinyModel& m) {
  TinyFile f = llama(m, "qwen3");
  in_each_layer(f, m, "model.", "self_attn.q_norm.weight", 4);
  return f;
}

TinyFile starcoder2(const TinyModel& m) {
  TinyFile f = llama_like(m, "model.", LlamaNorms::kLayerNorm, true, "o_proj");
  in_each_layer(f, m, "model.", "mlp.c_fc.weight", 8);
  f.config = llama_config(m, "starcoder2");
  return f;
}

TinyFile gemma(const TinyModel& m) {
  TinyFile f = llama_like(m, "model.", LlamaNorms::kPlusOne, false, "o_proj");
  f.config = llama_config(m, "gemma");
  return f;
}

TinyFile gemma2(const TinyModel& m) {
  TinyFile f = llama_like(m, "model.", LlamaNorms::kSandwich, false, "o_proj");
  f.config = llama_config(m, "gemma2");
  return f;
}

/// The text part of a multimodal file: a longer prefix, and the facts in a sub-object of config.json.
TinyFile gemma3(const TinyModel& m) {
  TinyFile f = llama_like(m, "language_model.model.", LlamaNorms::kSandwich, false, "o_proj");
  in_each_layer(f, m, "language_model.model.", "self_attn.q_norm.weight", 4);
  f.config = R"({"model_type": "gemma3", "text_config": )" + llama_config(m, "gemma3_text") +
             R"(, "vision_config": {"hidden_size": 16, "num_attention_heads": 4}})";
  return f;
}

TinyFile olmo2(const TinyModel& m) {
  TinyFile f = llama_like(m, "model.", LlamaNorms::kOutput, false, "o_proj");
  in_each_layer(f, m, "model.", "self_attn.q_norm.weight", 8);
  in_each_layer(f, m, "model.", "post_feedforward_layernorm.weight", 8);
  f.config = llama_config(m, "olmo2");
  return f;
}

TinyFile phi(const TinyModel& m) {
  TinyFile f = llama_like(m, "model.", LlamaNorms::kLayerNorm, true, "dense");
  f.config = llama_config(m, "phi");
  return f;
}

TinyFile phi3(const TinyModel& m) {
  TinyFile f =
      each_layer(m, "model.layers.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        file.linear(p + "self_attn.qkv_proj", fused(m, l, Fusing::kConcatenated));
        file.linear(p + "self_attn.o_proj", l.output);
        file.vector(p + "input_layernorm.weight", l.gain);
      });
  f.config = llama_config(m, "phi3");
  return f;
}

/// W_V = kv_a · diag(γ) · kv_b with kv_a = (identity of rank d | rope), γ = 1 and kv_b = (keys, W_V) head by
/// head.
TinyFile deepseek(const TinyModel& m) {
  constexpr std::size_t kNope = 3, kRope = 2;
  TinyFile f =
      each_layer(m, "model.layers.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        Matrix<float> down(8, 8 + kRope), up(8, m.heads * (kNope + 4));
        for (std::size_t i = 0; i < 8; ++i) {
          down(i, i) = 1;
          for (std::size_t j = 0; j < kRope; ++j) down(i, 8 + j) = 5;
          for (std::size_t h = 0; h < m.heads; ++h)
            for (std::size_t j = 0; j < kNope + 4; ++j)
              up(i, h * (kNope + 4) + j) = j < kNope ? 7.0f : l.value(i, h * 4 + j - kNope);
        }
        file.linear(p + "self_attn.kv_a_proj_with_mqa", down);
        file.vector(p + "self_attn.kv_a_layernorm.weight", std::vector<float>(8, 1.0f));
        file.linear(p + "self_attn.kv_b_proj", up);
        file.linear(p + "self_attn.o_proj", l.output);
        file.vector(p + "input_layernorm.weight", l.gain);
      });
  f.config =
      config(m, "deepseek_v3", R"("v_head_dim": 4, "head_dim": 2, "kv_lora_rank": 8, "qk_nope_head_dim": 3)");
  return f;
}

// ---- images ----

TinyFile vit_like(const TinyModel& m, const std::string& prefix, const std::string& norm,
                  const std::string& scale, const std::string& type) {
  TinyFile f = each_layer(
      m, prefix + "encoder.layer.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
        const std::string a = p + "attention.attention.";
        split(file, a + "query", a + "key", a + "value", p + "attention.output.dense", l, true);
        file.layer_norm(p + norm, l);
        if (!scale.empty()) file.vector(p + scale, l.gain_minus_one);
      });
  f.config = config(m, type);
  return f;
}

TinyFile timm(const TinyModel& m, const std::string& scale) {
  TinyFile f = each_layer(m, "blocks.", [&](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
    file.linear(p + "attn.qkv", fused(m, l, Fusing::kConcatenated), fused_bias(m, l, Fusing::kConcatenated));
    file.linear(p + "attn.proj", l.output, l.output_bias);
    file.layer_norm(p + "norm1", l);
    if (!scale.empty()) file.vector(p + scale, l.gain_minus_one);
  });
  f.config = R"({"architecture": "vit_test", "num_heads": 2})";
  return f;
}

/// Both towers; the text tower is wider, so that the wrong choice shows.
TinyFile clip(const TinyModel& m) {
  TinyFile f = each_layer(m, "vision_model.encoder.layers.",
                          [](TinyFile& file, const std::string& p, const TinyLayer& l, auto) {
                            const std::string a = p + "self_attn.";
                            split(file, a + "q_proj", a + "k_proj", a + "v_proj", a + "out_proj", l, true);
                            file.layer_norm(p + "layer_norm1", l);
                          });
  for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"})
    f.linear(std::string("text_model.encoder.layers.0.self_attn.") + name, Matrix<float>(12, 12));
  f.vector("text_model.encoder.layers.0.layer_norm1.weight", std::vector<float>(12, 1.0f));
  f.config =
      R"({"model_type": "clip", "text_config": {"hidden_size": 12, "num_attention_heads": 3, "num_hidden_layers": 1},
                 "vision_config": {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2}})";
  return f;
}

// ---- encoder-decoders ----

TinyFile t5(const TinyModel& m) {
  TinyFile f;
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const TinyLayer& l = m.layers[i];
    const std::string number = std::to_string(i);
    for (const std::string& sublayer :
         {"encoder.block." + number + ".layer.0", "decoder.block." + number + ".layer.0",
          "decoder.block." + number + ".layer.1"}) {
      const std::string a = sublayer + (sublayer.ends_with('1') && sublayer.starts_with("decoder") &&
                                                sublayer.find(".layer.1") != std::string::npos
                                            ? ".EncDecAttention."
                                            : ".SelfAttention.");
      split(f, a + "q", a + "k", a + "v", a + "o", l, false);
      f.vector(sublayer + ".layer_norm.weight", l.gain);
    }
  }
  f.matrix("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", Matrix<float>(5, m.heads));
  f.config =
      R"({"model_type": "t5", "d_model": 8, "d_kv": 4, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 2})";
  return f;
}

std::vector<TinyLayout> make_layouts() {
  using M = const TinyModel&;
  const Heads plain = Heads::kPlain, grouped = Heads::kGrouped, single = Heads::kSingle;
  return {
      {"gpt2", "gpt2", plain, true, [](M m) { return gpt2(m, "transformer."); }},
      {"gpt2 without prefix", "gpt2", plain, true, [](M m) { return gpt2(m, ""); }},
      {"bert", "bert", plain, true, [](M m) { return bert_like(m, "bert.", "bert"); }},
      {"bert without prefix", "bert", plain, true, [](M m) { return bert_like(m, "", "bert"); }},
      {"bert with old names", "bert", plain, true, bert_old_names},
      {"roberta", "roberta", plain, true, [](M m) { return bert_like(m, "roberta.", "roberta"); }},
      {"xlm-roberta", "roberta", plain, true, [](M m) { return bert_like(m, "roberta.", "xlm-roberta"); }},
      {"distilbert", "distilbert", plain, true, distilbert},
      {"albert", "albert", plain, true, albert},
      {"modernbert", "modernbert", plain, false, modernbert},
      {"gpt_bigcode multi-head", "gpt_bigcode", plain, true, gpt_bigcode},
      {"gpt_bigcode multi-query", "gpt_bigcode", single, true, gpt_bigcode},
      {"qwen1", "qwen", plain, false, qwen1},
      {"gptj", "gptj", plain, false, gptj},
      {"gpt_neo", "gpt_neo", plain, false, gpt_neo},
      {"gpt_neox", "gpt_neox", plain, true, gpt_neox},
      {"bloom", "bloom", plain, true, bloom},
      {"falcon new", "falcon", grouped, false,
       [](M m) {
         return falcon(m, "ln_attn", false, R"("new_decoder_architecture": true, "num_kv_heads": 2)");
       }},
      {"falcon 7b", "falcon", single, false,
       [](M m) { return falcon(m, "input_layernorm", false, R"("multi_query": true, "num_kv_heads": 2)"); }},
      {"falcon rw", "falcon", plain, true,
       [](M m) {
         return falcon(m, "input_layernorm", true,
                       R"("multi_query": false, "parallel_attn": false, "alibi": true)");
       }},
      {"mpt", "mpt", plain, false, mpt},
      {"mpt grouped", "mpt", grouped, false, mpt},
      {"opt", "opt", plain, true, [](M m) { return opt(m, true); }},
      {"opt post-norm", "opt", plain, true, [](M m) { return opt(m, false); }},
      {"llama", "llama", plain, false, [](M m) { return llama(m, "llama"); }},
      {"llama grouped", "llama", grouped, false, [](M m) { return llama(m, "llama"); }},
      {"mistral", "llama", grouped, false, [](M m) { return llama(m, "mistral"); }},
      {"mixtral", "mixtral", grouped, false, mixtral},
      {"qwen2", "qwen2", plain, false, qwen2},
      {"qwen3", "qwen3", grouped, false, qwen3},
      {"starcoder2", "starcoder2", plain, true, starcoder2},
      {"gemma", "gemma", single, false, gemma},
      {"gemma2", "gemma2", plain, false, gemma2},
      {"gemma3", "gemma3", grouped, false, gemma3},
      {"olmo2", "olmo2", plain, false, olmo2},
      {"phi", "phi", plain, true, phi},
      {"phi3", "phi3", plain, false, phi3},
      {"phi3 grouped", "phi3", grouped, false, phi3},
      {"deepseek", "deepseek", plain, false, deepseek},
      {"vit", "vit", plain, true, [](M m) { return vit_like(m, "vit.", "layernorm_before", "", "vit"); }},
      {"deit", "vit", plain, true, [](M m) { return vit_like(m, "deit.", "layernorm_before", "", "deit"); }},
      {"beit", "beit", plain, true,
       [](M m) { return vit_like(m, "beit.", "layernorm_before", "lambda_1", "beit"); }},
      {"dinov2", "dinov2", plain, true,
       [](M m) { return vit_like(m, "dinov2.", "norm1", "layer_scale1.lambda1", "dinov2"); }},
      {"timm", "timm_vit", plain, true, [](M m) { return timm(m, ""); }},
      {"timm with gamma_1", "timm_vit", plain, true, [](M m) { return timm(m, "gamma_1"); }},
      {"timm with ls1", "timm_vit", plain, true, [](M m) { return timm(m, "ls1.gamma"); }},
      {"clip", "clip", plain, true, clip},
      {"t5", "t5", plain, false, t5},
  };
}

std::string bytes_of(const std::vector<float>& values, DType dtype) {
  std::string bytes;
  for (const float value : values) {
    if (dtype == DType::kBF16) {
      const std::uint16_t half = encode_bf16(value);
      bytes.append(reinterpret_cast<const char*>(&half), sizeof half);
    } else {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }
  return bytes;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace

const std::vector<TinyLayout>& tiny_layouts() {
  static const std::vector<TinyLayout> layouts = make_layouts();
  return layouts;
}

const TinyLayout& tiny_layout(const std::string& name) {
  for (const TinyLayout& layout : tiny_layouts())
    if (layout.name == name) return layout;
  throw std::runtime_error("no layout " + name);
}

void write_tiny(const std::string& directory, const TinyFile& file, DType dtype, std::size_t shards) {
  std::vector<std::string> bytes;
  for (const TinyTensor& tensor : file.tensors) bytes.push_back(bytes_of(tensor.values, dtype));
  std::string index;
  for (std::size_t s = 0; s < shards; ++s) {
    const std::string name =
        shards == 1 ? "model.safetensors" : "model-" + std::to_string(s) + ".safetensors";
    std::vector<TensorToWrite> part;
    for (std::size_t i = s; i < file.tensors.size(); i += shards) {
      const TinyTensor& tensor = file.tensors[i];
      part.push_back({tensor.name, dtype, tensor.shape, std::as_bytes(std::span(bytes[i]))});
      index += (index.empty() ? "\"" : ", \"") + tensor.name + "\": \"" + name + "\"";
    }
    write_safetensors(directory + "/" + name, part);
  }
  if (shards > 1)
    write_text(directory + "/model.safetensors.index.json", "{\"weight_map\": {" + index + "}}");
  if (!file.config.empty()) write_text(directory + "/config.json", file.config);
}

}  // namespace telos::test
