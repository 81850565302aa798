#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "telos/base/error.h"
#include "telos/model/architecture.h"
#include "tests/model/layouts.h"

// Weights that are there and cannot be used: NaN, infinity, quantised. The file is identified all the same,
// and each site says what is wrong with it. Values that are not finite stay where they are.
namespace telos::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TinyFile tiny_file(const std::string& layout) {
  return tiny_layout(layout).write(tiny_model(tiny_layout(layout).heads));
}

// ---- values that cannot be used ----

TEST(NotFinite, IsCountedAndPlaced) {
  TinyFile file = tiny_file("gpt2");
  auto& values = file.find("transformer.h.1.attn.c_attn.weight")->values;
  values[8 * 24 - 1] = std::numeric_limits<float>::quiet_NaN();
  values[24 + 17] = -std::numeric_limits<float>::infinity();
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  EXPECT_TRUE(read_attention(checkpoint, a, a.sites[0]).finite());
  const AttentionWeights bad = read_attention(checkpoint, a, a.sites[1]);
  EXPECT_TRUE(bad.usable());
  EXPECT_THAT(bad.problems, IsEmpty());
  EXPECT_THAT(bad.not_finite,
              ::testing::ElementsAre(
                  AllOf(HasSubstr("transformer.h.1.attn.c_attn.weight"),
                        HasSubstr("1 NaN and 1 infinite values, the first at element 41 of [8, 24]"))));
  // Columns 16 … 23 of the fused weight are the values: feature 7 of input 7, and feature 1 of input 1.
  for (std::size_t r = 0; r < 8; ++r)
    for (std::size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(std::isnan(bad.value_t(r, i)), r == 7 && i == 7) << r << ", " << i;
      EXPECT_EQ(std::isinf(bad.value_t(r, i)), r == 1 && i == 1) << r << ", " << i;
      EXPECT_TRUE(std::isfinite(bad.output(r, i)));
    }
  EXPECT_THROW(read_projection(checkpoint, a, a.sites[1], Projection::kValue), Error);
}

TEST(NotFinite, InQueriesDoesNotTouchValues) {
  TinyFile file = tiny_file("gpt2");
  file.find("transformer.h.1.attn.c_attn.weight")->values[0] = std::numeric_limits<float>::quiet_NaN();
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  EXPECT_TRUE(read_attention(checkpoint, a, a.sites[1]).finite());
}

TEST(NotFinite, NormsAndBiasesCountToo) {
  TinyFile file = tiny_file("bert");
  file.find("bert.encoder.layer.0.attention.output.LayerNorm.weight")->values[3] = std::nanf("");
  file.find("bert.encoder.layer.0.attention.self.value.bias")->values[2] = INFINITY;
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  const AttentionWeights w = read_attention(checkpoint, a, a.sites[0]);
  EXPECT_TRUE(w.usable());
  EXPECT_THAT(w.not_finite, ::testing::ElementsAre(HasSubstr("LayerNorm.weight"), HasSubstr("value.bias")));
  EXPECT_TRUE(std::isnan(w.post_norm_gain.at(3)));
  EXPECT_TRUE(std::isinf(w.value_bias.at(2)));
}

TEST(NotFinite, ALatentFactorSpoilsTheRowsThatItEnters) {
  TinyFile file = tiny_file("deepseek");
  // Rows of kv_b: for each head 3 keys without position, then 4 values.
  file.find("model.layers.0.self_attn.kv_b_proj.weight")->values[(7 + 3 + 2) * 8 + 5] = std::nanf("");
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  const AttentionWeights w = read_attention(checkpoint, a, a.sites[0]);
  EXPECT_THAT(w.not_finite, ::testing::ElementsAre(HasSubstr("1 NaN and 0 infinite values")));
  for (std::size_t r = 0; r < 8; ++r)
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(std::isnan(w.value_t(r, i)), r == 4 + 2) << r << ", " << i;
}

TEST(NotFinite, BesideATensorThatIsMissingBothAreNamed) {
  TinyFile file = tiny_file("llama");
  file.find("model.layers.1.self_attn.o_proj.weight")->values[9] = INFINITY;
  const std::string value = "model.layers.1.self_attn.v_proj.weight";
  const std::vector<std::byte> packed(64);
  std::vector<TensorToWrite> tensors;
  for (const TinyTensor& t : file.tensors)
    if (t.name == value)
      tensors.push_back({t.name, DType::kI8, t.shape, packed});
    else
      tensors.push_back({t.name, DType::kF32, t.shape, std::as_bytes(std::span(t.values))});
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  write_safetensors(directory.path() + "/model.safetensors", tensors);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  const AttentionWeights w = read_attention(checkpoint, a, a.sites[1]);
  EXPECT_FALSE(w.usable());
  EXPECT_THAT(w.problems, ::testing::ElementsAre(HasSubstr("quantised")));
  EXPECT_THAT(w.not_finite, ::testing::ElementsAre(HasSubstr("the first at element 9 of")));
  EXPECT_TRUE(w.value_t.empty() && w.output.empty());
}

TEST(NotFinite, DoublesBeyondFloatAreNamed) {
  TinyFile file = tiny_file("gpt2");
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  std::vector<double> wide(64, 1.0);
  wide[5] = 1e300;
  std::vector<TensorToWrite> tensors;
  for (const TinyTensor& t : file.tensors)
    if (t.name == "transformer.h.0.attn.c_proj.weight")
      tensors.push_back({t.name, DType::kF64, t.shape, std::as_bytes(std::span(wide))});
    else
      tensors.push_back({t.name, DType::kF32, t.shape, std::as_bytes(std::span(t.values))});
  write_safetensors(directory.path() + "/model.safetensors", tensors);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  EXPECT_THAT(read_attention(checkpoint, a, a.sites[0]).not_finite,
              ::testing::ElementsAre(HasSubstr("beyond the range of float")));
}

// ---- quantised files ----

/// Replaces v_proj of layer 1 by a quantised tensor and its companions.
struct Scheme {
  const char* name;
  const char* weight;
  DType dtype;
  std::vector<std::uint64_t> shape;
  std::vector<const char*> beside;
  const char* says;
};

class EveryScheme : public ::testing::TestWithParam<Scheme> {};
TEST_P(EveryScheme, IsNamedAndTheRestIsRead) {
  const Scheme& scheme = GetParam();
  TinyFile file = tiny_file("llama");
  const std::string base = "model.layers.1.self_attn.v_proj";
  file.remove(base + ".weight");
  std::uint64_t bytes = bits(scheme.dtype) / 8;
  for (const std::uint64_t n : scheme.shape) bytes *= n;
  const std::vector<std::byte> packed(bytes);
  std::vector<TensorToWrite> tensors = {{base + scheme.weight, scheme.dtype, scheme.shape, packed}};
  const float one = 1;
  for (const char* name : scheme.beside)
    tensors.push_back({base + name, DType::kF32, {1}, std::as_bytes(std::span(&one, 1))});
  for (const TinyTensor& t : file.tensors)
    tensors.push_back({t.name, DType::kF32, t.shape, std::as_bytes(std::span(t.values))});
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  write_safetensors(directory.path() + "/model.safetensors", tensors);

  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  ASSERT_EQ(a.sites.size(), 2u);
  EXPECT_THAT(read_attention(checkpoint, a, a.sites[0]).problems, IsEmpty());
  const AttentionWeights w = read_attention(checkpoint, a, a.sites[1]);
  EXPECT_THAT(w.problems, ::testing::ElementsAre(AllOf(HasSubstr(base), HasSubstr(scheme.says))));
  EXPECT_TRUE(w.output.empty());
  EXPECT_THROW(read_projection(checkpoint, a, a.sites[1], Projection::kValue), Error);
}
INSTANTIATE_TEST_SUITE_P(
    Quantised, EveryScheme,
    ::testing::Values(
        Scheme{"gptq", ".qweight", DType::kI32, {1, 8}, {".scales", ".g_idx"}, "quantised (GPTQ)"},
        Scheme{"awq", ".qweight", DType::kI32, {8, 1}, {".scales"}, "quantised (AWQ or GPTQ)"},
        Scheme{"bnb4", ".weight", DType::kU8, {32, 1}, {".weight.absmax"}, "bitsandbytes 4-bit, U8"},
        Scheme{"nf4",
               ".weight",
               DType::kU8,
               {32, 1},
               {".weight.quant_state.bitsandbytes__nf4"},
               "bitsandbytes 4-bit, U8"},
        Scheme{"bnb8", ".weight", DType::kI8, {8, 8}, {".SCB"}, "bitsandbytes 8-bit, I8"},
        Scheme{
            "fp8", ".weight", DType::kF8E4M3, {8, 8}, {".weight_scale_inv"}, "F8_E4M3 with a separate scale"},
        Scheme{"bare", ".weight", DType::kI8, {8, 8}, {}, "quantised (I8)"}),
    [](const auto& tested) { return tested.param.name; });

TEST(Quantised, AWholeFileIsStillIdentified) {
  TinyFile file = tiny_file("llama");
  const std::vector<std::int32_t> packed(8);
  std::vector<TensorToWrite> tensors;
  for (const TinyTensor& t : file.tensors) {
    const std::size_t at = t.name.find("_proj.weight");
    if (at == std::string::npos)
      tensors.push_back({t.name, DType::kF32, t.shape, std::as_bytes(std::span(t.values))});
    else
      tensors.push_back(
          {t.name.substr(0, at) + "_proj.qweight", DType::kI32, {1, 8}, std::as_bytes(std::span(packed))});
  }
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  write_safetensors(directory.path() + "/model.safetensors", tensors);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  const Architecture a = identify(checkpoint);
  EXPECT_EQ(a.heads, 2u);
  EXPECT_EQ(a.head_width, 4u);
  EXPECT_EQ(read_attention(checkpoint, a, a.sites[0]).problems.size(), 2u);
  // Without config.json nothing tells d.
  std::filesystem::remove(directory.path() + "/config.json");
  IdentifyOptions options;
  options.heads = 2;
  options.family = "llama";
  EXPECT_THROW(identify(checkpoint, options), Error);
}

}  // namespace
}  // namespace telos::test
