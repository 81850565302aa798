#include "telos/model/plan.h"

#include <gtest/gtest.h>

#include "tests/model/layouts.h"

namespace telos::test {
namespace {

TEST(Plan, SpectraReadValueAndOutputOnly) {
  const TinyDirectory directory;
  write_tiny(directory.path(), tiny_layout("gpt2").write(tiny_model()), DType::kBF16);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  const Cost cost = cost_of_spectra(checkpoint, a);
  // Two layers, two bytes a number: W_V and W_O 8 × 8 each; γ, β, output bias and value bias 8 each.
  EXPECT_EQ(cost.bytes, 2u * 2 * (2 * 64 + 4 * 8));
  EXPECT_EQ(cost.memory, 2u * 4 * 8 * 4 * (2 + 2));
  EXPECT_EQ(cost.flops, 2 * 2 * (6 * 8 * 16 + 14 * 64));
}

TEST(Plan, LatentAttentionReadsItsFactors) {
  const TinyDirectory directory;
  write_tiny(directory.path(), tiny_layout("deepseek").write(tiny_model()));
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  // W_O 64, norm 8, latent norm 8, value rows of kv_b 8 × 8, latent rows of kv_a 8 × 8; two layers, four
  // bytes.
  EXPECT_EQ(cost_of_spectra(checkpoint, identify(checkpoint)).bytes, 2u * 4 * (64 + 8 + 8 + 64 + 64));
}

TEST(Plan, QuantisedTensorsCostNothing) {
  const TinyDirectory directory;
  TinyFile file = tiny_layout("llama").write(tiny_model(Heads::kPlain, 1));
  write_tiny(directory.path(), file);
  std::vector<TensorToWrite> tensors;
  const std::vector<std::byte> packed(64);
  for (const TinyTensor& t : file.tensors)
    if (t.name.ends_with("v_proj.weight"))
      tensors.push_back({t.name, DType::kI8, t.shape, packed});
    else
      tensors.push_back({t.name, DType::kF32, t.shape, std::as_bytes(std::span(t.values))});
  write_safetensors(directory.path() + "/model.safetensors", tensors);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  EXPECT_EQ(cost_of_spectra(checkpoint, identify(checkpoint)).bytes, 4u * (64 + 8));
}

TEST(Plan, TheForwardPassReadsEverything) {
  const TinyDirectory directory;
  write_tiny(directory.path(), tiny_layout("llama").write(tiny_model()));
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  const Cost cost = cost_of_forward(checkpoint, a, 3, 5);
  const std::uint64_t weights = 2 * (4 * 64 + 8) + 3 * 8;
  EXPECT_EQ(cost.bytes, 4 * weights);
  // Hidden states 3 × 15 × 8 and attention 2 · 2 heads · 3 sequences · 5 × 5.
  EXPECT_EQ(cost.memory, 4 * weights + 4 * (3 * 15 * 8 + 2 * 2 * 3 * 25));
  // 15 tokens times 2 · 4 · 64 weights twice; 4·L²·h·k for 3 sequences and 2 layers.
  EXPECT_EQ(cost.flops, 2.0 * 15 * 2 * 4 * 64 + 4.0 * 3 * 25 * 8 * 2);
}

TEST(Plan, SharedLayersCountAsOftenAsTheyAreApplied) {
  const TinyDirectory directory;
  TinyFile file = tiny_layout("albert").write(tiny_model(Heads::kPlain, 1));
  file.config =
      R"({"model_type": "albert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 6})";
  write_tiny(directory.path(), file);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  EXPECT_EQ(cost_of_forward(checkpoint, identify(checkpoint), 1, 1).flops, 6 * (2.0 * 4 * 64 + 4 * 8));
}

}  // namespace
}  // namespace telos::test
