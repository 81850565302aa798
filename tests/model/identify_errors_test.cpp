#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "telos/base/error.h"
#include "telos/model/architecture.h"
#include "tests/model/layouts.h"

// What identify() says about files that are wrong, incomplete or unknown.
namespace telos::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Identifies the file; the error that this gives.
Error error_of(const TinyFile& file, const IdentifyOptions& options = {}) {
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  try {
    identify(checkpoint, options);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::kInternal, "test", "identify() accepted the file");
}

TinyFile tiny(const std::string& layout) {
  return tiny_layout(layout).write(tiny_model(tiny_layout(layout).heads));
}

/// Gives the tensor another shape (and zeros).
void reshape(TinyFile& file, const std::string& name, std::vector<std::uint64_t> shape) {
  TinyTensor* tensor = file.find(name);
  ASSERT_NE(tensor, nullptr) << name;
  std::uint64_t size = 1;
  for (const std::uint64_t n : shape) size *= n;
  tensor->shape = std::move(shape);
  tensor->values.assign(size, 0.0f);
}

// ---- shapes ----

struct BadShape {
  const char* layout;
  const char* tensor;
  std::vector<std::uint64_t> shape;
  const char* says;
};

class EveryEquation : public ::testing::TestWithParam<BadShape> {};
TEST_P(EveryEquation, IsNamedWhenItFails) {
  const BadShape& bad = GetParam();
  TinyFile file = tiny(bad.layout);
  reshape(file, bad.tensor, bad.shape);
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kShape) << error.what();
  EXPECT_THAT(error.where(), HasSubstr(bad.tensor));
  EXPECT_THAT(error.message(), HasSubstr(bad.says));
}
INSTANTIATE_TEST_SUITE_P(
    Shapes, EveryEquation,
    ::testing::Values(
        BadShape{"llama",
                 "model.layers.1.self_attn.v_proj.weight",
                 {12, 8},
                 "expected value [kv_heads·k, d] = [2·4, 8] = [8, 8], found [12, 8]"},
        BadShape{"llama", "model.layers.1.self_attn.v_proj.weight", {8, 9}, "found [8, 9]"},
        BadShape{"llama",
                 "model.layers.1.self_attn.o_proj.weight",
                 {8, 12},
                 "expected output [d, heads·k] = [8, 2·4] = [8, 8], found [8, 12]"},
        BadShape{"llama",
                 "model.layers.1.self_attn.q_proj.weight",
                 {12, 8},
                 "expected query [heads·k, d] = [2·4, 8] = [8, 8], found [12, 8]"},
        BadShape{"llama",
                 "model.layers.1.input_layernorm.weight",
                 {7},
                 "expected gain of the norm [d] = [8], found [7]"},
        BadShape{"llama",
                 "model.layers.0.self_attn.o_proj.weight",
                 {8, 9},
                 "heads · k = in features of the output tensor fails: 9 is not a multiple of 2"},
        BadShape{"llama",
                 "model.layers.0.self_attn.o_proj.weight",
                 {8, 12},
                 "heads · k = in features fails: 2 · 4 (config.json) = 8, the tensor has 12"},
        BadShape{
            "gpt2",
            "transformer.h.1.attn.c_attn.weight",
            {8, 20},
            "expected fused query, key and value [d, (heads + 2·kv_heads)·k] = [8, (2 + 2·2)·4] = [8, 24], "
            "found [8, 20]"},
        BadShape{"gpt2", "transformer.h.1.attn.c_attn.weight", {24, 8}, "= [8, 24], found [24, 8]"},
        BadShape{"gpt2",
                 "transformer.h.1.attn.c_attn.bias",
                 {23},
                 "expected bias [(heads + 2·kv_heads)·k] = [24]"},
        BadShape{"gpt2", "transformer.h.1.attn.c_proj.bias", {9}, "expected bias [d] = [8], found [9]"},
        BadShape{"gpt2", "transformer.h.1.ln_1.bias", {9}, "expected bias of the norm [d] = [8], found [9]"},
        BadShape{"bert",
                 "bert.encoder.layer.0.attention.self.value.bias",
                 {4},
                 "expected bias [kv_heads·k] = [8]"},
        BadShape{"gpt_neox",
                 "gpt_neox.layers.1.attention.query_key_value.weight",
                 {23, 8},
                 "[(heads + 2·kv_heads)·k, d] = [(2 + 2·2)·4, 8] = [24, 8], found [23, 8]"},
        BadShape{"gemma2",
                 "model.layers.1.post_attention_layernorm.weight",
                 {4},
                 "expected gain of the output norm [d] = [8], found [4]"},
        BadShape{"timm with ls1", "blocks.1.ls1.gamma", {4}, "expected layer scale [d] = [8], found [4]"},
        BadShape{"deepseek", "model.layers.1.self_attn.kv_b_proj.weight", {7, 8}, "heads·(nope + k) × rank"},
        BadShape{
            "deepseek", "model.layers.1.self_attn.kv_a_proj_with_mqa.weight", {6, 8}, "(rank + rope) × d"},
        BadShape{"llama", "model.layers.1.self_attn.v_proj.weight", {64}, "found [64]"}));

TEST(Identify, GroupsMustDivideTheHeads) {
  TinyFile file = tiny("llama");
  file.config =
      R"({"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 3})";
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kShape);
  EXPECT_THAT(error.message(), HasSubstr("heads = groups · kv_heads fails: 2 is not a multiple of 3"));
}

TEST(Identify, AConfigOfAnotherModelIsNoticed) {
  TinyFile file = tiny("llama");
  file.config = R"({"model_type": "llama", "hidden_size": 16, "num_attention_heads": 2})";
  EXPECT_THAT(error_of(file).message(), HasSubstr("[kv_heads·k, d] = [2·4, 16] = [8, 16], found [8, 8]"));
  file.config = R"({"model_type": "llama", "hidden_size": 8, "num_attention_heads": 3})";
  EXPECT_THAT(error_of(file).message(), HasSubstr("8 is not a multiple of 3"));
  file.config = R"({"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2})";
  EXPECT_THAT(error_of(file).message(), AllOf(HasSubstr("means family bert, but no tensor is named"),
                                              HasSubstr("self_attn.v_proj.weight [8, 8] × 2")));
}

TEST(Identify, FusedRowsMustBeHeadsAndPairs) {
  // Without config.json K follows from the rows: (heads + 2·kv_heads)·k.
  TinyFile file = tiny("gpt_neox");
  file.config.clear();
  reshape(file, "gpt_neox.layers.0.attention.query_key_value.weight", {20, 8});
  IdentifyOptions options;
  options.heads = 2;
  EXPECT_THAT(error_of(file, options).message(), HasSubstr("heads + 2·kv_heads = out features / k fails"));
}

TEST(Identify, ConfigEntriesOfTheWrongTypeAreNamed) {
  for (const auto& [entry, says] :
       {std::pair{"\"num_attention_heads\": \"two\"", "\"num_attention_heads\" must be a whole number"},
        {"\"num_attention_heads\": \"two\"", "found \"two\""},
        {"\"num_attention_heads\": -2", "found -2"},
        {"\"num_attention_heads\": 2.5", "found 2.5"},
        {"\"hidden_size\": [8]", "\"hidden_size\" must be a whole number"},
        {"\"rms_norm_eps\": \"small\"", "\"rms_norm_eps\" must be a number"},
        {"\"model_type\": 7", "\"model_type\" must be a string"}}) {
    TinyFile file = tiny("llama");
    file.config = std::string(R"({"model_type": "llama", )") + entry + "}";
    if (std::string_view(entry).find("model_type") != std::string_view::npos)
      file.config = std::string("{") + entry + "}";
    const Error error = error_of(file);
    EXPECT_EQ(error.kind(), ErrorKind::kBadFormat) << entry;
    EXPECT_THAT(error.message(), HasSubstr(says));
  }
  TinyFile file = tiny("llama");
  file.config = "[1]";
  EXPECT_THAT(error_of(file).message(), HasSubstr("expected a JSON object"));
  file.config = tiny("opt").config;
  TinyFile opt = tiny("opt");
  opt.config = R"({"model_type": "opt", "num_attention_heads": 2, "do_layer_norm_before": "yes"})";
  EXPECT_THAT(error_of(opt).message(), HasSubstr("must be true or false"));
}

// ---- heads ----

TEST(Heads, MustBeGivenWhereNothingTells) {
  TinyFile file = tiny("gpt2");
  file.config.clear();
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.message(), HasSubstr("the output projection's 8 inputs could be any number of heads"));
  EXPECT_THAT(error.hint(), HasSubstr("--heads N"));
}

TEST(Heads, OptionsMayNotContradictTheFile) {
  IdentifyOptions options;
  options.heads = 4;
  Error error = error_of(tiny("gpt2"), options);
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_EQ(error.message(), "4 heads are asked for, config.json says 2");
  options = {};
  options.kv_heads = 1;
  EXPECT_EQ(error_of(tiny("llama"), options).message(),
            "1 key and value heads are asked for, config.json says 2");
  options.kv_heads = 0;
  EXPECT_EQ(error_of(tiny("llama"), options).message(), "0 heads");
}

TEST(Heads, WrongHeadsFailWithTheEquation) {
  TinyFile file = tiny("gpt2");
  file.config.clear();
  IdentifyOptions options;
  options.heads = 3;
  EXPECT_THAT(error_of(file, options).message(), HasSubstr("8 is not a multiple of 3"));
}

Architecture identified(const TinyFile& file, const IdentifyOptions& options = {}) {
  const TinyDirectory directory;
  write_tiny(directory.path(), file);
  return identify(Checkpoint::open(directory.path()), options);
}

TEST(Heads, FollowFromANormOverTheHead) {
  TinyFile file = tiny("qwen3");
  file.config.clear();
  const Architecture a = identified(file);
  EXPECT_EQ(a.heads, 4u);
  EXPECT_EQ(a.kv_heads, 2u);
  EXPECT_EQ(a.head_width, 4u);
}

TEST(Heads, FollowFromRotaryFrequencies) {
  TinyFile file = tiny("llama");
  file.config.clear();
  file.vector("model.layers.0.self_attn.rotary_emb.inv_freq", {1.0f, 0.1f});
  IdentifyOptions options;
  options.family = "llama";
  EXPECT_EQ(identified(file, options).head_width, 4u);
}

TEST(Heads, FollowFromTheTableOfRelativePositions) {
  TinyFile file = tiny("t5");
  file.config.clear();
  EXPECT_EQ(identified(file).heads, 2u);
}

TEST(Heads, AreAssumedWhereAllModelsOfAWidthAgree) {
  // A timm ViT of width 192 has 3 heads; one layer of zeros is enough to ask.
  TinyFile file;
  file.linear("blocks.0.attn.qkv", Matrix<float>(192, 576));
  file.linear("blocks.0.attn.proj", Matrix<float>(192, 192));
  file.vector("blocks.0.norm1.weight", std::vector<float>(192, 1.0f));
  const Architecture a = identified(file);
  EXPECT_EQ(a.heads, 3u);
  EXPECT_THAT(a.assumed, ::testing::ElementsAre(HasSubstr("no config.json"), HasSubstr("head width 64")));
}

// ---- families that are unknown or more than one ----

TEST(Unknown, ListsCandidatesAndAMap) {
  TinyFile file;
  for (int l = 0; l < 3; ++l) {
    const std::string p = "blk." + std::to_string(l) + ".";
    file.linear(p + "attn_v", Matrix<float>(8, 8));
    file.linear(p + "attn_out", Matrix<float>(8, 8));
    file.linear(p + "ffn_up", Matrix<float>(8, 32));
  }
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("blk.{layer}.attn_v.weight [8, 8] × 3"));
  EXPECT_THAT(error.message(), HasSubstr("blk.{layer}.ffn_up.weight [32, 8] × 3"));
  EXPECT_THAT(error.hint(),
              HasSubstr(R"(--map: {"v":"blk\\.{layer}\\.attn_v\\.weight","v_layout":"out_in",)"
                        R"("o":"blk\\.{layer}\\.attn_out\\.weight","o_layout":"out_in","heads":12})"));
  EXPECT_EQ(error.message().find('\n'), std::string::npos);
}

TEST(Unknown, ShowsAtMostTwenty) {
  TinyFile file;
  for (char c = 'a'; c <= 'z'; ++c) file.matrix(std::string("part_") + c + ".w", Matrix<float>(2, 2));
  EXPECT_THAT(error_of(file).message(), HasSubstr("(6 more)"));
  TinyFile empty;
  empty.vector("bias", {1.0f});
  EXPECT_THAT(error_of(empty).message(), HasSubstr("none (no two-dimensional tensor is in the file)"));
}

TEST(Unknown, ModelTypeIsNotGuessedFromNames) {
  TinyFile file = tiny("phi3");
  file.config = R"({"model_type": "newphi", "num_attention_heads": 2})";
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.message(),
              HasSubstr("\"newphi\" is not in the table of families; its tensors are named as in phi3"));
  EXPECT_THAT(error.hint(), HasSubstr("--family phi3"));
  IdentifyOptions options;
  options.family = "phi3";
  EXPECT_EQ(identified(file, options).detected_by, "--family phi3");
}

TEST(Unknown, FamilyMustBeOfTheTable) {
  IdentifyOptions options;
  options.family = "lama";
  const Error error = error_of(tiny("llama"), options);
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.hint(), HasSubstr("llama, mixtral"));
}

TEST(Unknown, BartIsRefusedUntilChecked) {
  TinyFile file = tiny("opt");
  file.config = R"({"model_type": "bart"})";
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.message(), HasSubstr("BART"));
  EXPECT_THAT(error.hint(), HasSubstr("--map"));
}

TEST(Ambiguous, TwoModelsInOneFile) {
  TinyFile file = tiny("bert");
  TinyFile second = tiny("bert");
  second.rename("bert.", "other.bert.");
  file.tensors.insert(file.tensors.end(), second.tensors.begin(), second.tensors.end());
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.message(),
              HasSubstr("2 models of family bert, under the prefixes \"bert.\", \"other.bert.\""));
}

TEST(Ambiguous, TwoFamiliesInOneFile) {
  TinyFile file = tiny("phi3");
  const TinyFile vision = tiny("clip");
  file.tensors.insert(file.tensors.end(), vision.tensors.begin(), vision.tensors.end());
  file.config.clear();
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
  EXPECT_THAT(error.message(), AllOf(HasSubstr("2 families"), HasSubstr("phi3 ("), HasSubstr("clip (")));
}

// ---- what is missing ----

void remove_layer(TinyFile& file, const std::string& part) {
  std::erase_if(file.tensors, [&](const TinyTensor& t) { return t.name.find(part) != std::string::npos; });
}

TEST(Missing, LayersAreCountedAgainstTheConfig) {
  TinyFile file = tiny("llama");
  file.config =
      R"({"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 3})";
  const Error error = error_of(file);
  EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
  EXPECT_THAT(error.message(),
              HasSubstr("layer 2 of 3 is missing: no tensor model.layers.2.self_attn.v_proj.weight"));
}

TEST(Missing, AGapIsNoticedWithoutConfig) {
  TinyFile file = tiny_layout("phi3").write(tiny_model(Heads::kPlain, 3));
  remove_layer(file, "layers.1.");
  file.config.clear();
  IdentifyOptions options;
  options.heads = 2;
  EXPECT_THAT(error_of(file, options).message(), HasSubstr("layer 1 of 3 is missing"));
}

TEST(Missing, LayersBeyondTheConfigAreLeftOut) {
  TinyFile file = tiny_layout("llama").write(tiny_model(Heads::kPlain, 3));
  file.config =
      R"({"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2})";
  const Architecture a = identified(file);
  EXPECT_EQ(a.layers, 2u);
  EXPECT_THAT(a.notes, ::testing::Contains(HasSubstr("1 layers beyond the 2 of config.json")));
}

TEST(Missing, ANumberWithALeadingZeroIsNoLayer) {
  TinyFile file = tiny("phi3");
  file.rename("layers.1.", "layers.01.");
  file.config =
      R"({"model_type": "phi3", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2})";
  EXPECT_THAT(error_of(file).message(), HasSubstr("layer 1 of 2 is missing"));
}

TEST(Missing, OutputAndNormAreRequired) {
  TinyFile file = tiny("llama");
  file.remove("model.layers.1.self_attn.o_proj.weight");
  EXPECT_THAT(error_of(file).message(),
              HasSubstr("output weight model.layers.1.self_attn.o_proj.weight is missing"));
  file = tiny("llama");
  file.remove("model.layers.1.input_layernorm.weight");
  EXPECT_THAT(error_of(file).message(),
              HasSubstr("norm of the attention model.layers.1.input_layernorm.weight is missing"));
  file = tiny("llama");
  remove_layer(file, "o_proj");
  EXPECT_THAT(error_of(file).message(), HasSubstr("no tensor is named"));
}

TEST(Missing, TensorsThatNobodyNeedsMayBeMissingOrThere) {
  TinyFile file = tiny("llama");
  remove_layer(file, "k_proj");
  remove_layer(file, "q_proj");
  remove_layer(file, "embed");
  file.matrix("lm_head.weight", Matrix<float>(3, 8));
  file.vector("model.layers.7.nothing", {1.0f});
  EXPECT_EQ(identified(file).layers, 2u);
}

TEST(Missing, APartialCheckpointKeepsWhatItHas) {
  const TinyDirectory directory;
  write_tiny(directory.path(), tiny("llama"), DType::kF32, 3);
  // Tensors are dealt to the shards in turn; this one has layer 0's norm and layer 1's value.
  std::filesystem::remove(directory.path() + "/model-1.safetensors");
  const Checkpoint checkpoint = Checkpoint::open(directory.path(), {.partial = true});
  const Architecture a = identify(checkpoint);
  ASSERT_EQ(a.sites.size(), 2u);
  EXPECT_THAT(read_attention(checkpoint, a, a.sites[0]).problems,
              ::testing::ElementsAre(HasSubstr("layers.0.input_layernorm: the tensor is missing")));
  EXPECT_THAT(read_attention(checkpoint, a, a.sites[1]).problems,
              ::testing::ElementsAre(HasSubstr("layers.1.self_attn.v_proj: the tensor is missing")));
  EXPECT_THROW(read_projection(checkpoint, a, a.sites[1], Projection::kValue), Error);
}

TEST(Missing, TheFirstLayerOfAPartialCheckpointMayBeTheOneThatLacks) {
  const TinyDirectory directory;
  TinyFile file = tiny("llama");
  std::rotate(file.tensors.begin(), file.tensors.begin() + 1, file.tensors.end());
  write_tiny(directory.path(), file, DType::kF32, 5);
  std::filesystem::remove(directory.path() + "/model-2.safetensors");  // both output weights
  const Checkpoint checkpoint = Checkpoint::open(directory.path(), {.partial = true});
  EXPECT_THROW(identify(checkpoint), Error);
}

TEST(Missing, ACutFileGivesTheLayersThatAreWhole) {
  const TinyDirectory directory;
  write_tiny(directory.path(), tiny("llama"));
  const std::string path = directory.path() + "/model.safetensors";
  // Tensors lie in the order in which they were written: the last ones are the embedding and layer 1's norm.
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4 * (3 * 8 + 8 + 1));
  const Checkpoint checkpoint = Checkpoint::open(directory.path(), {.partial = true});
  const Architecture a = identify(checkpoint);
  ASSERT_EQ(a.sites.size(), 2u);
  EXPECT_THAT(read_attention(checkpoint, a, a.sites[0]).problems, IsEmpty());
  const AttentionWeights cut = read_attention(checkpoint, a, a.sites[1]);
  EXPECT_FALSE(cut.usable());
  EXPECT_TRUE(cut.value_t.empty());
  EXPECT_THAT(cut.problems, ::testing::Contains(HasSubstr("the file ends before the tensor does")));
}

// ---- notes ----

TEST(Notes, GatedAttentionIsSaid) {
  TinyFile file = tiny("qwen3");
  for (int l = 0; l < 2; ++l) {
    const std::string name = "model.layers." + std::to_string(l) + ".self_attn.q_proj.weight";
    reshape(file, name, {32, 8});
  }
  EXPECT_THAT(identified(file).notes, ::testing::Contains(HasSubstr("gated attention")));
}

TEST(Notes, TalkingHeadsAreSaid) {
  TinyFile file = tiny("timm with gamma_1");
  file.linear("blocks.0.attn.proj_l", Matrix<float>(2, 2));
  EXPECT_THAT(identified(file).notes, ::testing::Contains(HasSubstr("talking heads")));
}

TEST(Notes, FactsThatOnlyAConfigHasAreAssumed) {
  TinyFile file = tiny("opt");
  file.config.clear();
  IdentifyOptions options;
  options.heads = 2;
  EXPECT_THAT(identified(file, options).assumed, ::testing::Contains(HasSubstr("no config.json")));
}

TEST(Families, AreListed) {
  const auto list = known_families();
  EXPECT_GE(list.size(), 30u);
  for (const FamilyInfo& family : list) {
    EXPECT_FALSE(family.covers.empty());
    EXPECT_NE(family.name, "bart");
  }
}

TEST(Names, OfKindsAreWords) {
  EXPECT_EQ(to_string(NormKind::kNone), "none");
  EXPECT_EQ(to_string(NormKind::kLayerNorm), "LayerNorm");
  EXPECT_EQ(to_string(NormKind::kRmsNorm), "RMSNorm");
  EXPECT_EQ(to_string(BlockKind::kPre), "pre-norm");
  EXPECT_EQ(to_string(BlockKind::kPost), "post-norm");
  EXPECT_EQ(to_string(BlockKind::kSandwich), "sandwich norm");
  EXPECT_EQ(to_string(BlockKind::kOutput), "output norm");
  EXPECT_EQ(to_string(BlockKind::kParallel), "parallel, pre-norm");
}

}  // namespace
}  // namespace telos::test
