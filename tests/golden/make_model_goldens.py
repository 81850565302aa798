"""Writes tiny randomly initialised models with the activations that Hugging Face transformers computes for them.

    python tests/golden/make_model_goldens.py                     # all tiny models
    python tests/golden/make_model_goldens.py --minilm MODEL_DIR  # sentence embeddings of a local all-MiniLM-L6-v2

Each models/<name>/ holds config.json, model.safetensors (F32) and expected.safetensors:

    ids, mask, types [B, L] (or pixels [B, C, H, W])   the inputs, as F32 because telos reads float tensors only
    hidden.{l} [B, L, d]     residual stream before layer 0 and after each layer, before the final norm
    attn.{l} [B, h, L, L]    attention matrices
    final_hidden [B, L, d]   after the final norm, where the model has one
    logits [B, L, V]         where the model class has a language-model head

The models run in float64 with eager attention, the results are stored as float32. transformers pins a few steps to
float32 whatever the model's type (RMSNorm, rotary angles, the softmax of decoder models); their error is about 1e-7.
Weights are large on purpose (attention is far from uniform) and every bias and norm parameter is random, so that a
dropped bias or a swapped norm shows.
"""

import argparse
import json
import math
import pathlib
import shutil

import torch
import transformers as T
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent / "models"
TEXT = dict(vocab_size=40)
B, L = 2, 9


def randomise(model, seed):
    """Fills all parameters from one seed: matrices N(0, (1.6/sqrt(in))²), gains 1 + 0.3 N, biases 0.3 N."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            normal = torch.randn(p.shape, generator=generator)
            lower = name.lower()
            if p.ndim == 1:
                gain = "norm" in lower or ".ln_" in lower
                p.copy_(1 + 0.3 * normal if gain and lower.endswith("weight") else 0.3 * normal)
            elif "embed" in lower or ".wte" in lower or ".wpe" in lower:
                p.copy_(0.7 * normal)
            else:
                fan_in = p.shape[0] if ".c_" in lower else p[0].numel()
                p.copy_(1.6 / math.sqrt(fan_in) * normal)
    model.tie_weights()
    return model.eval()


def run(model, final_norm, inputs):
    """Inputs → the tensors of expected.safetensors. `final_norm` is a module path or None."""
    seen = {}
    if final_norm:
        model.get_submodule(final_norm).register_forward_pre_hook(
            lambda _, args: seen.__setitem__("before", args[0].detach()))
        model.get_submodule(final_norm).register_forward_hook(
            lambda _, args, result: seen.__setitem__("after", result.detach()))
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True, output_attentions=True)
    hidden = list(out.hidden_states)
    if final_norm:
        hidden[-1] = seen["before"]
    result = {f"hidden.{l}": h for l, h in enumerate(hidden)}
    result |= {f"attn.{l}": a for l, a in enumerate(out.attentions)}
    if final_norm:
        result["final_hidden"] = seen["after"]
    if getattr(out, "logits", None) is not None:
        result["logits"] = out.logits
    return result


def store(name, model, seed, final_norm=None, inputs=None, stored_inputs=None):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    randomise(model, seed).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model.set_attn_implementation("eager")
    tensors = run(model.double(), final_norm, inputs) | (stored_inputs or {})
    assert all(torch.isfinite(t).all() for t in tensors.values()), name
    save_file({k: v.to(torch.float32).contiguous() for k, v in tensors.items()}, folder / "expected.safetensors",
              metadata={"torch": torch.__version__, "transformers": T.__version__, "computed_in": "float64"})


def store_text(name, model, seed, final_norm=None, padding=None, types=False, pad_id=None):
    """Padding: "right" or "left" pads the last three, or first three, tokens of sequence 1."""
    generator = torch.Generator().manual_seed(1000 + seed)
    ids = torch.randint(3, model.config.vocab_size, (B, L), generator=generator)
    inputs = {"input_ids": ids}
    if padding:
        mask = torch.ones(B, L, dtype=torch.long)
        where = slice(L - 3, L) if padding == "right" else slice(0, 3)
        mask[1, where] = 0
        if pad_id is not None:
            ids[1, where] = pad_id
        inputs["attention_mask"] = mask
    if types:
        inputs["token_type_ids"] = (torch.arange(L) >= 4).long().expand(B, L).contiguous()
    names = {"input_ids": "ids", "attention_mask": "mask", "token_type_ids": "types"}
    store(name, model, seed, final_norm, inputs, {names[k]: v for k, v in inputs.items()})


def store_image(name, model, seed):
    generator = torch.Generator().manual_seed(1000 + seed)
    pixels = torch.randn(B, 3, 8, 12, generator=generator)
    store(name, model, seed, "layernorm", {"pixel_values": pixels.double()}, {"pixels": pixels})


def tiny_models():
    encoder = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
                   max_position_embeddings=16, **TEXT)
    decoder = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                   intermediate_size=40, max_position_embeddings=64, **TEXT)
    neox = dict(hidden_size=32, num_attention_heads=4, intermediate_size=48, max_position_embeddings=64,
                rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.25), **TEXT)
    vision = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
                  image_size=[8, 12], patch_size=4)
    store_text("bert", T.BertForMaskedLM(T.BertConfig(**encoder)), 1, padding="right", types=True)
    store_text("roberta", T.RobertaForMaskedLM(T.RobertaConfig(type_vocab_size=1, layer_norm_eps=1e-5, **encoder)), 2,
               padding="right", pad_id=1)
    store_text("distilbert", T.DistilBertForMaskedLM(T.DistilBertConfig(
        dim=24, n_layers=2, n_heads=4, hidden_dim=40, max_position_embeddings=16, **TEXT)), 3, padding="right")
    store_text("albert", T.AlbertForMaskedLM(T.AlbertConfig(**(encoder | dict(num_hidden_layers=3)), embedding_size=16)),
               4, types=True)
    store_text("gpt2", T.GPT2LMHeadModel(T.GPT2Config(n_embd=24, n_layer=2, n_head=4, n_positions=16, n_inner=40,
                                                      bos_token_id=0, eos_token_id=0, **TEXT)),
               5, "transformer.ln_f", padding="left")
    store_text("llama", T.LlamaForCausalLM(T.LlamaConfig(**decoder)), 6, "model.norm", padding="right")
    store_text("llama_rope_llama3", T.LlamaForCausalLM(T.LlamaConfig(
        **(decoder | dict(num_hidden_layers=1, hidden_size=32)), attention_bias=True, mlp_bias=True,
        rope_parameters=dict(rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=32))), 7, "model.norm")
    store_text("llama_rope_linear", T.LlamaForCausalLM(T.LlamaConfig(
        **(decoder | dict(num_hidden_layers=1)), tie_word_embeddings=True,
        rope_parameters=dict(rope_type="linear", rope_theta=1000.0, factor=2.5))), 8, "model.norm")
    store_text("mistral", T.MistralForCausalLM(T.MistralConfig(sliding_window=4, **decoder)), 9, "model.norm")
    store_text("qwen2", T.Qwen2ForCausalLM(T.Qwen2Config(
        **decoder, use_sliding_window=True, sliding_window=3, max_window_layers=1)), 10, "model.norm")
    store_text("qwen3", T.Qwen3ForCausalLM(T.Qwen3Config(head_dim=8, tie_word_embeddings=True, **decoder)), 11,
               "model.norm")
    store_text("gpt_neox", T.GPTNeoXForCausalLM(T.GPTNeoXConfig(num_hidden_layers=2, **neox)), 12,
               "gpt_neox.final_layer_norm")
    store_text("gpt_neox_serial", T.GPTNeoXForCausalLM(T.GPTNeoXConfig(
        num_hidden_layers=1, use_parallel_residual=False, **neox)), 13, "gpt_neox.final_layer_norm")
    store_image("vit", T.ViTModel(T.ViTConfig(**vision), add_pooling_layer=False), 14)
    store_image("deit", T.DeiTModel(T.DeiTConfig(**(vision | dict(hidden_act="gelu_new"))), add_pooling_layer=False), 15)


def minilm_embeddings(model_dir):
    """Mean over tokens of the last hidden state, then divided by its norm: what sentence-transformers returns."""
    sentences = ["The cat sits on the mat.", "A transformer maps every token to a vector.",
                 "Oversmoothing makes all tokens alike.", "Grüße aus München, 東京 and Καλημέρα!", "no"]
    tokenizer = T.AutoTokenizer.from_pretrained(model_dir)
    model = T.AutoModel.from_pretrained(model_dir, attn_implementation="eager", dtype=torch.float32).double().eval()
    tensors = {}
    for i, sentence in enumerate(sentences):
        ids = tokenizer(sentence, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            mean = model(ids).last_hidden_state[0].mean(0)
        tensors[f"ids.{i}"] = ids[0].to(torch.float32)
        tensors[f"embedding.{i}"] = (mean / mean.norm()).to(torch.float32)
    save_file(tensors, HERE / "minilm_embeddings.safetensors",
              metadata={"sentences": json.dumps(sentences), "torch": torch.__version__,
                        "transformers": T.__version__, "computed_in": "float64"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", help="directory of all-MiniLM-L6-v2; writes minilm_embeddings.safetensors only")
    arguments = parser.parse_args()
    HERE.mkdir(parents=True, exist_ok=True)
    if arguments.minilm:
        minilm_embeddings(arguments.minilm)
    else:
        tiny_models()
