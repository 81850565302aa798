#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <filesystem>

#include "telos/base/error.h"
#include "telos/linalg/decompositions.h"
#include "telos/model/architecture.h"
#include "tests/model/layouts.h"

// Every row of the family table reads the golden checkpoint to the same bits.
namespace telos::test {
namespace {

using ::testing::HasSubstr;

/// A tiny model on disk, opened and identified.
struct Opened {
  TinyDirectory directory;
  Checkpoint checkpoint;
  Architecture architecture;

  Opened(const TinyFile& file, DType dtype = DType::kF32, std::size_t shards = 1,
         const IdentifyOptions& options = {})
      : checkpoint((write_tiny(directory.path(), file, dtype, shards), Checkpoint::open(directory.path()))),
        architecture(identify(checkpoint, options)) {}
};

TinyModel model_for(const TinyLayout& layout, bool biases = false) {
  TinyModel model = tiny_model(layout.heads);
  if (biases) set_biases(model);
  return model;
}

/// What a file of `dtype` can hold of `x`.
float stored(float x, DType dtype) {
  return dtype == DType::kBF16 ? decode_bf16(encode_bf16(x)) : x;
}

void expect_weights(const AttentionWeights& w, const TinyModel& model, const TinyLayer& layer, DType dtype) {
  ASSERT_THAT(w.problems, ::testing::IsEmpty());
  ASSERT_EQ(w.heads, model.heads);
  ASSERT_EQ(w.kv_heads, model.kv_heads);
  ASSERT_EQ(w.head_width, model.head_width);
  ASSERT_EQ(w.value_t.rows(), layer.value.cols());
  ASSERT_EQ(w.value_t.cols(), model.width);
  ASSERT_EQ(w.output.rows(), layer.output.rows());
  ASSERT_EQ(w.output.cols(), model.width);
  for (std::size_t i = 0; i < w.value_t.rows(); ++i)
    for (std::size_t j = 0; j < w.value_t.cols(); ++j)
      ASSERT_EQ(w.value_t(i, j), stored(layer.value(j, i), dtype)) << "value row " << i << ", column " << j;
  for (std::size_t i = 0; i < w.output.rows(); ++i)
    for (std::size_t j = 0; j < w.output.cols(); ++j)
      ASSERT_EQ(w.output(i, j), stored(layer.output(i, j), dtype)) << "output row " << i << ", column " << j;
}

/// What the row of the table says about norms, for all layouts of a family.
struct Expected {
  BlockKind block;
  NormKind norm;
};
Expected expected_norms(const TinyLayout& layout) {
  const std::string& name = layout.name;
  if (name == "opt post-norm") return {BlockKind::kPost, NormKind::kLayerNorm};
  if (name == "falcon rw") return {BlockKind::kPre, NormKind::kLayerNorm};
  const std::string& f = layout.family;
  const auto is = [&](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* n) { return f == n; });
  };
  if (is({"bert", "roberta", "distilbert", "albert"})) return {BlockKind::kPost, NormKind::kLayerNorm};
  if (is({"gptj", "gpt_neox", "falcon", "phi"})) return {BlockKind::kParallel, NormKind::kLayerNorm};
  if (is({"gemma2", "gemma3"})) return {BlockKind::kSandwich, NormKind::kRmsNorm};
  if (is({"olmo2"})) return {BlockKind::kOutput, NormKind::kRmsNorm};
  if (is({"llama", "mixtral", "qwen", "qwen2", "qwen3", "gemma", "phi3", "deepseek", "t5"}))
    return {BlockKind::kPre, NormKind::kRmsNorm};
  return {BlockKind::kPre, NormKind::kLayerNorm};
}

class EveryLayout : public ::testing::TestWithParam<std::size_t> {
 protected:
  const TinyLayout& layout() const { return tiny_layouts()[GetParam()]; }
};
INSTANTIATE_TEST_SUITE_P(Families, EveryLayout, ::testing::Range<std::size_t>(0, tiny_layouts().size()),
                         [](const auto& tested) {
                           std::string name = tiny_layouts()[tested.param].name;
                           for (char& c : name)
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           return name;
                         });

TEST_P(EveryLayout, IsIdentifiedByItsConfig) {
  const TinyModel model = model_for(layout());
  const Opened opened(layout().write(model));
  const Architecture& a = opened.architecture;
  EXPECT_EQ(a.family, layout().family);
  EXPECT_EQ(a.width, 8u);
  EXPECT_EQ(a.heads, model.heads);
  EXPECT_EQ(a.kv_heads, model.kv_heads);
  EXPECT_EQ(a.head_width, 4u);
  EXPECT_EQ(a.block, expected_norms(layout()).block);
  EXPECT_EQ(a.norm, expected_norms(layout()).norm);
  EXPECT_THAT(a.assumed, ::testing::IsEmpty());
  EXPECT_THAT(a.detected_by,
              HasSubstr(layout().family == "timm_vit" ? "tensor names" : "config.json: model_type"));
  EXPECT_EQ(a.sites.size(), layout().family == "t5" ? 6u : 2u);
  EXPECT_EQ(a.layers, a.sites.size());
}

TEST_P(EveryLayout, GivesTheSameMatricesWhateverTheFile) {
  struct Variant {
    DType dtype;
    std::size_t shards;
  };
  const TinyModel model = model_for(layout());
  for (const Variant variant : {Variant{DType::kF32, 1}, Variant{DType::kBF16, 1}, Variant{DType::kF32, 3}}) {
    const Opened opened(layout().write(model), variant.dtype, variant.shards);
    for (const AttentionSite& site : opened.architecture.sites) {
      SCOPED_TRACE("site " + site.label);
      const AttentionWeights w = read_attention(opened.checkpoint, opened.architecture, site);
      expect_weights(w, model, model.layers[site.layer], variant.dtype);
    }
  }
}

TEST_P(EveryLayout, GivesNormsAndBiasesTheirPlace) {
  const TinyModel model = model_for(layout(), true);
  const Opened opened(layout().write(model));
  const Expected expected = expected_norms(layout());
  for (const AttentionSite& site : opened.architecture.sites) {
    SCOPED_TRACE("site " + site.label);
    const AttentionWeights w = read_attention(opened.checkpoint, opened.architecture, site);
    const TinyLayer& layer = model.layers[site.layer];
    const bool input_norm = expected.block != BlockKind::kPost && expected.block != BlockKind::kOutput &&
                            !(layout().family == "modernbert" && site.layer == 0);
    const std::vector<float> none;
    EXPECT_EQ(w.norm, input_norm ? expected.norm : NormKind::kNone);
    EXPECT_EQ(w.norm_gain, input_norm ? layer.gain : none);
    EXPECT_EQ(w.post_norm_gain, expected.block == BlockKind::kPost ? layer.gain : none);
    EXPECT_EQ(w.post_norm_bias, expected.block == BlockKind::kPost ? layer.norm_bias : none);
    const bool has_beta = input_norm && expected.norm == NormKind::kLayerNorm && layout().family != "mpt" &&
                          layout().family != "modernbert";
    EXPECT_EQ(w.norm_bias, has_beta ? layer.norm_bias : none);

    const bool output_norm = expected.block == BlockKind::kSandwich || expected.block == BlockKind::kOutput;
    const bool scale =
        layout().family == "beit" || layout().family == "dinov2" || layout().name.starts_with("timm with");
    EXPECT_EQ(w.output_norm, output_norm ? NormKind::kRmsNorm : NormKind::kNone);
    EXPECT_EQ(w.output_gain, output_norm ? layer.gain : scale ? layer.gain_minus_one : none);

    const bool value_bias = layout().biases || layout().family == "qwen" || layout().family == "qwen2";
    const bool output_bias = layout().biases || layout().family == "gpt_neo";
    EXPECT_EQ(w.value_bias, value_bias ? layer.value_bias : none);
    EXPECT_EQ(w.output_bias, output_bias ? layer.output_bias : none);
  }
}

TEST_P(EveryLayout, GivesAllProjections) {
  const TinyModel model = model_for(layout(), true);
  const Opened opened(layout().write(model));
  const AttentionSite& site = opened.architecture.sites.back();
  const TinyLayer& layer = model.layers[site.layer];
  const auto expect_equal = [&](Projection projection, const Matrix<float>& expected,
                                const std::vector<float>& bias) {
    const Dense dense = read_projection(opened.checkpoint, opened.architecture, site, projection);
    ASSERT_EQ(dense.weight.rows(), expected.rows());
    ASSERT_EQ(dense.weight.cols(), expected.cols());
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(dense.weight.data()[i], expected.data()[i]) << i;
    if (layout().biases) {
      EXPECT_EQ(dense.bias, bias);
    }
  };
  expect_equal(Projection::kOutput, layer.output, layer.output_bias);
  if (layout().family == "deepseek") {
    EXPECT_THROW(read_projection(opened.checkpoint, opened.architecture, site, Projection::kValue), Error);
    return;
  }
  expect_equal(Projection::kQuery, layer.query, layer.query_bias);
  expect_equal(Projection::kKey, layer.key, layer.key_bias);
  expect_equal(Projection::kValue, layer.value, layer.value_bias);
}

/// Eigenvalues of K = W_O W_V, by falling real part, then falling imaginary part.
std::vector<std::complex<double>> spectrum(const AttentionWeights& w, std::size_t head) {
  const auto v = w.value_t_of(head), o = w.output_of(head);
  Matrix<double> k(v.rows(), v.rows());
  for (std::size_t i = 0; i < k.rows(); ++i)
    for (std::size_t j = 0; j < k.cols(); ++j)
      for (std::size_t l = 0; l < v.cols(); ++l) k(i, j) += double{o(i, l)} * double{v(j, l)};
  auto values = general_eigen(k).values;
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) {
    return std::abs(a.real() - b.real()) > 1e-9 ? a.real() > b.real() : a.imag() > b.imag();
  });
  return values;
}

TEST_P(EveryLayout, HasTheGoldenSpectra) {
  using Spectrum = std::vector<std::complex<double>>;
  // numpy.linalg.eigvals of v[:, h] @ o[h] in double; ten digits are printed.
  const Spectrum l0h0 = {
      {.1207582880, .4822603826}, {.1207582880, -.4822603826}, {.0423704730, 0}, {-.3914173525, 0}};
  const Spectrum l0h1 = {{.4175887918, 0}, {.0316003887, 0}, {-.2001454227, 0}, {-.5363292370, 0}};
  const Spectrum l1h0 = {
      {.3252536653, 0}, {.1457254753, 0}, {-.2092551347, .2160557126}, {-.2092551347, -.2160557126}};
  const TinyModel model = model_for(layout());
  const Opened opened(layout().write(model));
  const std::size_t copies = layout().heads == Heads::kGrouped ? 2 : 1;
  for (const AttentionSite& site : opened.architecture.sites) {
    const AttentionWeights w = read_attention(opened.checkpoint, opened.architecture, site);
    for (std::size_t h = 0; h < model.heads; ++h) {
      const std::size_t base = h / copies;
      if (base == 1 && (site.layer == 1 || layout().heads == Heads::kSingle)) continue;  // not in the table
      const Spectrum& golden = site.layer == 1 ? l1h0 : base == 0 ? l0h0 : l0h1;
      const Spectrum found = spectrum(w, h);
      ASSERT_EQ(found.size(), golden.size());
      // 0.5e-10 from the printed digits; the solver's own error, ε·κ·‖K‖, is below 1e-13 here.
      for (std::size_t i = 0; i < golden.size(); ++i)
        EXPECT_LT(std::abs(found[i] - golden[i]), 1e-10) << "site " << site.label << " head " << h;
    }
  }
}

TEST(Golden, HasTheNumbersOfTheTable) {
  const TinyModel model = tiny_model();
  const Matrix<float> c_attn =
      side_by_side({&model.layers[0].query, &model.layers[0].key, &model.layers[0].value});
  EXPECT_FLOAT_EQ(c_attn(0, 0), .45356965f);
  EXPECT_FLOAT_EQ(c_attn(0, 1), .33474788f);
  EXPECT_FLOAT_EQ(c_attn(0, 2), .21592611f);
  EXPECT_FLOAT_EQ(model.layers[0].output(7, 7), -.42211682f);
}

// ---- without config.json ----

TEST_P(EveryLayout, IsIdentifiedByItsNames) {
  const TinyModel model = model_for(layout());
  TinyFile file = layout().write(model);
  file.config.clear();
  IdentifyOptions options;
  options.heads = model.heads;
  const std::string& family = layout().family;
  if (family == "llama" || family == "gemma") {
    // The same names, and γ stored in two ways: nothing in the file tells.
    try {
      const Opened opened(file, DType::kF32, 1, options);
      FAIL() << "taken for " << opened.architecture.family;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnsupported);
      EXPECT_THAT(error.message(), HasSubstr("2 families: llama"));
      EXPECT_THAT(error.message(), HasSubstr("gemma (Gemma 1)"));
      EXPECT_THAT(error.hint(), HasSubstr("--family llama"));
    }
    options.family = family;
  }
  const Opened opened(file, DType::kF32, 1, options);
  EXPECT_EQ(opened.architecture.family, family);
  EXPECT_EQ(opened.architecture.kv_heads, model.kv_heads);
  for (const AttentionSite& site : opened.architecture.sites)
    expect_weights(read_attention(opened.checkpoint, opened.architecture, site), model,
                   model.layers[site.layer], DType::kF32);
}

// ---- ALBERT, T5, CLIP ----

TEST(Albert, SharedLayersAreOneSiteThatRepeats) {
  TinyFile file = tiny_layout("albert").write(tiny_model(Heads::kPlain, 1));
  file.config =
      R"({"model_type": "albert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 12})";
  const Opened opened(file);
  ASSERT_EQ(opened.architecture.sites.size(), 1u);
  EXPECT_EQ(opened.architecture.sites[0].repeats, 12u);
  EXPECT_EQ(opened.architecture.layers, 12u);
}

TEST(Albert, GroupsMustDivideTheLayers) {
  TinyFile file = tiny_layout("albert").write(tiny_model());
  file.config =
      R"({"model_type": "albert", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 3})";
  EXPECT_THAT([&] { Opened opened(file); },
              ::testing::ThrowsMessage<Error>(HasSubstr("3 is not a multiple of 2")));
}

TEST(T5, SitesComeInTheOrderOfTheTokens) {
  const Opened opened(tiny_layout("t5").write(tiny_model()));
  std::vector<std::string> labels;
  for (const AttentionSite& site : opened.architecture.sites) {
    labels.push_back(site.label);
    EXPECT_EQ(site.self_map, site.stack != "cross");
  }
  EXPECT_THAT(labels, ::testing::ElementsAre("encoder 0", "encoder 1", "decoder 0", "cross 0", "decoder 1",
                                             "cross 1"));
}

TEST(Clip, TheVisionTowerIsTaken) {
  const Opened opened(tiny_layout("clip").write(tiny_model()));
  EXPECT_EQ(opened.architecture.prefix, "vision_model.");
  EXPECT_FALSE(opened.architecture.causal);
}

// ---- files from elsewhere ----

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

void expect_identified(const std::string& directory, const std::string& family, std::size_t layers,
                       std::size_t width, std::size_t heads, std::size_t kv_heads) {
  const Checkpoint checkpoint = Checkpoint::open(directory);
  const Architecture a = identify(checkpoint);
  EXPECT_EQ(a.family, family);
  EXPECT_EQ(a.layers, layers);
  EXPECT_EQ(a.width, width);
  EXPECT_EQ(a.heads, heads);
  EXPECT_EQ(a.kv_heads, kv_heads);
  for (const AttentionSite& site : a.sites) {
    const AttentionWeights w = read_attention(checkpoint, a, site);
    EXPECT_THAT(w.problems, ::testing::IsEmpty());
    EXPECT_EQ(w.output.cols(), width);
  }
}

TEST(RealModels, AreIdentified) {
  const std::string data = environment("TELOS_TEST_DATA");
  if (data.empty()) GTEST_SKIP() << "set TELOS_TEST_DATA to the folder with models/ to run this";
  expect_identified(data + "/models/tinystories-260k-llama", "llama", 5, 64, 8, 4);
  expect_identified(data + "/models/gpt-nano-sort", "gpt2", 3, 48, 3, 3);
  expect_identified(data + "/models/rxnmapper-albert", "albert", 12, 256, 8, 8);
  // Named by their own programs: not in the table.
  for (const char* unknown : {"/models/translit-aren-transformer", "/models/hardmax-sentiment-d2"}) {
    const Checkpoint checkpoint = Checkpoint::open(data + unknown);
    EXPECT_THROW(identify(checkpoint), Error) << unknown;
  }
}

TEST(RealModels, MiniLmIsABert) {
  const std::string directory = environment("TELOS_TEST_MINILM");
  if (directory.empty())
    GTEST_SKIP() << "set TELOS_TEST_MINILM to the folder of all-MiniLM-L6-v2 to run this";
  expect_identified(directory, "bert", 6, 384, 12, 12);
}

TEST(GoldenModels, AreIdentifiedAsTheirConfigsSay) {
  const std::filesystem::path models = std::string(TELOS_TEST_DIR) + "/golden/models";
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(models)) {
    if (!entry.is_directory()) continue;
    SCOPED_TRACE(entry.path().string());
    const Checkpoint checkpoint = Checkpoint::open(entry.path().string());
    const Architecture a = identify(checkpoint);
    EXPECT_GT(a.sites.size(), 0u);
    for (const AttentionSite& site : a.sites)
      EXPECT_THAT(read_attention(checkpoint, a, site).problems, ::testing::IsEmpty());
    ++seen;
  }
  EXPECT_GE(seen, 10u);
}

}  // namespace
}  // namespace telos::test
