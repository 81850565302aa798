#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "telos/base/error.h"
#include "telos/model/architecture.h"
#include "tests/model/layouts.h"

// Families of the user's own: --map.
namespace telos::test {
namespace {

using ::testing::HasSubstr;

/// The tiny model under names that no family has.
class Mapped : public ::testing::Test {
 protected:
  TinyDirectory directory;
  TinyFile file;

  void write(const std::string& map) {
    write_tiny(directory.path(), file);
    std::ofstream(directory.path() + "/map.json") << map;
  }
  IdentifyOptions options() const {
    IdentifyOptions options;
    options.map_path = directory.path() + "/map.json";
    return options;
  }
  void expect_golden(const TinyModel& model) {
    const Checkpoint checkpoint = Checkpoint::open(directory.path());
    const Architecture a = identify(checkpoint, options());
    EXPECT_EQ(a.family, "map");
    EXPECT_EQ(a.heads, model.heads);
    EXPECT_EQ(a.kv_heads, model.kv_heads);
    ASSERT_EQ(a.sites.size(), model.layers.size());
    for (const AttentionSite& site : a.sites) {
      const AttentionWeights w = read_attention(checkpoint, a, site);
      ASSERT_THAT(w.problems, ::testing::IsEmpty());
      const TinyLayer& layer = model.layers[site.layer];
      for (std::size_t i = 0; i < w.value_t.rows(); ++i)
        for (std::size_t j = 0; j < 8; ++j) ASSERT_EQ(w.value_t(i, j), layer.value(j, i));
      for (std::size_t i = 0; i < w.output.size(); ++i) ASSERT_EQ(w.output.data()[i], layer.output.data()[i]);
    }
  }
  Error error_of(const std::string& map) {
    write(map);
    const Checkpoint checkpoint = Checkpoint::open(directory.path());
    try {
      identify(checkpoint, options());
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::kInternal, "test", "identify() accepted the map");
  }
  void plain_names(const TinyModel& model) {
    for (std::size_t l = 0; l < model.layers.size(); ++l) {
      const std::string p = "blk." + std::to_string(l) + ".";
      file.linear(p + "attn_v", model.layers[l].value, model.layers[l].value_bias);
      file.linear(p + "attn_out", model.layers[l].output, model.layers[l].output_bias);
      file.vector(p + "attn_norm.weight", model.layers[l].gain);
      file.vector(p + "attn_norm.bias", model.layers[l].norm_bias);
    }
  }
};

constexpr const char* kPlainMap =
    R"({"v": "blk\\.{layer}\\.attn_v\\.weight", "o": "blk\\.{layer}\\.attn_out\\.weight", "heads": 2})";

TEST_F(Mapped, SeparateTensors) {
  plain_names(tiny_model());
  write(kPlainMap);
  expect_golden(tiny_model());
}

TEST_F(Mapped, HeadsMayComeFromTheOptions) {
  plain_names(tiny_model());
  write(R"({"v": "blk\\.{layer}\\.attn_v\\.weight", "o": "blk\\.{layer}\\.attn_out\\.weight"})");
  const Checkpoint checkpoint = Checkpoint::open(directory.path());
  EXPECT_THROW(identify(checkpoint, options()), Error);
  IdentifyOptions with_heads = options();
  with_heads.heads = 2;
  EXPECT_EQ(identify(checkpoint, with_heads).head_width, 4u);
}

TEST_F(Mapped, GroupedHeadsFollowFromTheShapes) {
  const TinyModel model = tiny_model(Heads::kGrouped);
  plain_names(model);
  write(R"({"v": "blk\\.{layer}\\.attn_v\\.weight", "o": "blk\\.{layer}\\.attn_out\\.weight", "heads": 4})");
  expect_golden(model);
}

TEST_F(Mapped, StoredInOut) {
  const TinyModel model = tiny_model();
  for (std::size_t l = 0; l < 2; ++l) {
    file.matrix("l" + std::to_string(l) + "/v", model.layers[l].value);
    file.matrix("l" + std::to_string(l) + "/o", model.layers[l].output);
  }
  write(R"({"v": "l{layer}/v", "v_layout": "in_out", "o": "l{layer}/o", "o_layout": "in_out", "heads": 2})");
  expect_golden(model);
}

TEST_F(Mapped, InterleavedHeads) {
  for (const char* layout : {"neox", "falcon"}) {
    const TinyModel model = tiny_model(std::string(layout) == "falcon" ? Heads::kGrouped : Heads::kPlain);
    file = {};
    for (std::size_t l = 0; l < 2; ++l) {
      file.linear("x." + std::to_string(l) + ".qkv", fused(model, model.layers[l], Fusing::kGrouped));
      file.linear("x." + std::to_string(l) + ".out", model.layers[l].output);
    }
    write(std::string(R"({"v": "x\\.{layer}\\.qkv\\.weight", "o": "x\\.{layer}\\.out\\.weight", "heads": )") +
          std::to_string(model.heads) + R"(, "v_layout": ")" + layout + "\"}");
    expect_golden(model);
  }
}

TEST_F(Mapped, PartOfAConcatenation) {
  const TinyModel model = tiny_model();
  for (std::size_t l = 0; l < 2; ++l) {
    file.linear("x." + std::to_string(l) + ".kv",
                side_by_side({&model.layers[l].key, &model.layers[l].value}));
    file.matrix("x." + std::to_string(l) + ".vk",
                side_by_side({&model.layers[l].value, &model.layers[l].key}));
    file.linear("x." + std::to_string(l) + ".out", model.layers[l].output);
  }
  const std::string rest = R"(, "o": "x\\.{layer}\\.out\\.weight", "heads": 2})";
  write(R"({"v": "x\\.{layer}\\.kv\\.weight", "v_layout": "concat:8")" + rest);
  expect_golden(model);
  write(R"({"v": "x\\.{layer}\\.vk", "v_layout": "concat_in_out:0")" + rest);
  expect_golden(model);
  EXPECT_THAT(error_of(R"({"v": "x\\.{layer}\\.kv\\.weight", "v_layout": "concat:9")" + rest).message(),
              HasSubstr("at least offset + kv_heads·k = 9 + 8 out features, found [16, 8]"));
}

TEST_F(Mapped, NormsAndBlocks) {
  TinyModel model = tiny_model();
  set_biases(model);
  plain_names(model);
  const std::string start =
      R"({"v": "blk\\.{layer}\\.attn_v\\.weight", "o": "blk\\.{layer}\\.attn_out\\.weight", "heads": 2, )";
  const auto first_layer = [&](const std::string& rest) {
    write(start + rest + "}");
    const Checkpoint checkpoint = Checkpoint::open(directory.path());
    const Architecture a = identify(checkpoint, options());
    return read_attention(checkpoint, a, a.sites[0]);
  };
  const TinyLayer& layer = model.layers[0];
  AttentionWeights w = first_layer(R"("norm": "blk\\.{layer}\\.attn_norm\\.weight")");
  EXPECT_EQ(w.norm, NormKind::kLayerNorm);
  EXPECT_EQ(w.norm_gain, layer.gain);
  EXPECT_EQ(w.norm_bias, layer.norm_bias);
  EXPECT_EQ(w.value_bias, layer.value_bias);
  EXPECT_EQ(w.output_bias, layer.output_bias);
  w = first_layer(R"("norm": "blk\\.{layer}\\.attn_norm\\.weight", "norm_kind": "rms_norm")");
  EXPECT_EQ(w.norm, NormKind::kRmsNorm);
  w = first_layer(R"("norm": "blk\\.{layer}\\.attn_norm\\.weight", "block": "post")");
  EXPECT_EQ(w.norm, NormKind::kNone);
  EXPECT_EQ(w.post_norm_gain, layer.gain);
  w = first_layer(
      R"("output_norm": "blk\\.{layer}\\.attn_norm\\.weight", "block": "output", "causal": true)");
  EXPECT_EQ(w.output_gain, layer.gain);
  EXPECT_EQ(w.output_norm, NormKind::kLayerNorm);
}

TEST_F(Mapped, GroupsInTheExpressionDoNotHideTheLayer) {
  plain_names(tiny_model());
  write(
      R"({"v": "(blk|block)\\.{layer}\\.attn_(v|value)\\.weight", "o": "blk\\.{layer}\\.attn_out\\.weight", "heads": 2})");
  expect_golden(tiny_model());
}

TEST_F(Mapped, NoExpressionTakesForEver) {
  plain_names(tiny_model());
  file.vector(std::string(60, 'a'), {1});
  for (const char* evil : {"(a*)*b{layer}", "(a|a)*b{layer}", "(a*)*(a*)*(a*)*b{layer}"}) {
    const Error error = error_of(std::string(R"({"v": ")") + evil +
                                 R"(", "o": "blk\\.{layer}\\.attn_out\\.weight", "heads": 2})");
    EXPECT_THAT(error.message(), HasSubstr("no tensor matches"));
  }
  EXPECT_THAT(error_of(R"({"v": "(a)\\1{layer}", "o": "o{layer}", "heads": 2})").message(),
              HasSubstr("is not a regular expression"));
}

TEST_F(Mapped, SaysWhatIsWrong) {
  plain_names(tiny_model());
  const auto expect_usage = [&](const std::string& map, const std::string& says) {
    const Error error = error_of(map);
    EXPECT_EQ(error.kind(), ErrorKind::kBadFormat) << map;
    EXPECT_THAT(error.message(), HasSubstr(says));
  };
  const std::string o = R"("o": "blk\\.{layer}\\.attn_out\\.weight", "heads": 2)";
  const std::string v = R"("v": "blk\\.{layer}\\.attn_v\\.weight", )";
  expect_usage("{" + o + "}", "\"v\" must be an expression");
  expect_usage("{" + v + "\"heads\": 2}", "\"o\" must be an expression");
  expect_usage(R"({"v": "blk\\.0\\.attn_v\\.weight", )" + o + "}", "with {layer} in it once");
  expect_usage(R"({"v": "{layer}{layer}", )" + o + "}", "with {layer} in it once");
  expect_usage(R"({"v": "blk\\.{layer}[", )" + o + "}", "is not a regular expression");
  expect_usage(R"({"v": "nothing\\.{layer}", )" + o + "}", "no tensor matches \"v\"");
  expect_usage(R"({"v": "blk\\.{layer}\\.attn_.*", )" + o + "}", "matches two tensors of layer 0");
  expect_usage("{" + v + o + R"(, "value": 1})", "unknown key \"value\"");
  expect_usage("{" + v + o + R"(, "v_layout": "diagonal"})", "v_layout is \"diagonal\"");
  expect_usage("{" + v + o + R"(, "v_layout": "concat"})", "v_layout is \"concat\"");
  expect_usage("{" + v + o + R"(, "v_layout": "concat:-1"})", "v_layout is \"concat:-1\"");
  expect_usage("{" + v + o + R"(, "o_layout": "neox"})", "o_layout is \"neox\"");
  expect_usage("{" + v + o + R"(, "norm_kind": "batch"})", "norm_kind is \"batch\"");
  expect_usage("{" + v + o + R"(, "block": "sideways"})", "block is \"sideways\"");
  EXPECT_EQ(error_of("{").kind(), ErrorKind::kBadFormat);
  EXPECT_EQ(error_of("[]").kind(), ErrorKind::kBadFormat);
}

TEST_F(Mapped, AMissingOutputIsNamed) {
  plain_names(tiny_model());
  file.remove("blk.1.attn_out.weight");
  const Error error = error_of(kPlainMap);
  EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
  EXPECT_THAT(error.message(), HasSubstr("(layer 1).weight is missing"));
}

TEST_F(Mapped, NeedsNoFamilyAndNoConfig) {
  plain_names(tiny_model());
  file.config = R"({"model_type": "something_new", "num_attention_heads": 2, "hidden_size": 8})";
  write(R"({"v": "blk\\.{layer}\\.attn_v\\.weight", "o": "blk\\.{layer}\\.attn_out\\.weight"})");
  expect_golden(tiny_model());  // the number of heads is taken from config.json
}

}  // namespace
}  // namespace telos::test
