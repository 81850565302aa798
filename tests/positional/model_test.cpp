// Configs, kinds, parameters, initial values and files of positional models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "telos/base/error.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"
#include "tests/positional/model_support.h"

namespace telos::positional::test {
namespace {

using testing::HasSubstr;

Error error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {ErrorKind::kInternal, "", ""};
}

class TemporaryFolder {
 public:
  TemporaryFolder()
      : path_(std::filesystem::temp_directory_path() / ("telos_positional_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// ---- Encodings

TEST(Encodings, AreTheRowsOfTheFormula) {
  const Matrix<double> one_hot = encoding_rows(Encoding::kOneHot, 3);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(one_hot(i, j), i == j ? 1 : 0);
  const Matrix<double> binary = encoding_rows(Encoding::kBinary, 9);
  ASSERT_EQ(binary.cols(), 4u);  // ⌈log2 9⌉
  for (std::size_t i = 0; i < 9; ++i)
    for (std::size_t j = 0; j < 4; ++j) EXPECT_EQ(binary(i, j), (i / (1u << j)) % 2 == 1 ? 1 : -1);
  EXPECT_EQ(encoding_rows(Encoding::kBinary, 8).cols(), 3u);
  const Matrix<double> waves = encoding_rows(Encoding::kSinusoidal, 5, 6);
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t t = 0; t < 3; ++t) {
      const double angle = static_cast<double>(i) * std::pow(10000.0, -2.0 * static_cast<double>(t) / 6);
      EXPECT_NEAR(waves(i, 2 * t), std::sin(angle), 1e-15);
      EXPECT_NEAR(waves(i, 2 * t + 1), std::cos(angle), 1e-15);
    }
  EXPECT_THROW(encoding_rows(Encoding::kSinusoidal, 5, 3), Error);
  EXPECT_THROW(encoding_rows(Encoding::kSinusoidal, 5, 0), Error);
}

// ---- Config

TEST(Config, DefaultsFollowTheNodes) {
  for (const auto& [nodes, depth] : std::vector<std::pair<std::size_t, std::size_t>>{
           {1, 1}, {2, 2}, {3, 2}, {4, 3}, {7, 3}, {8, 4}, {16, 5}, {32, 6}})
    EXPECT_EQ(ModelConfig{.nodes = nodes}.depth(), depth) << nodes;
  EXPECT_EQ(ModelConfig{.layers = 7}.depth(), 7u);
  EXPECT_EQ(ModelConfig{}.key_width(), 9u);
  EXPECT_EQ(with_kind({}, "standard").key_width(), 64u);
  EXPECT_EQ(with_kind({}, "hybrid").key_width(), 73u);
}

TEST(Config, KindsAreFoundAgain) {
  for (const std::string& kind : kinds()) {
    const std::string found = kind_of(with_kind({.width = 12, .heads = 3}, kind));
    const bool alias = (kind == "m0" && found == "standard") || (kind == "m3" && found == "hybrid") ||
                       (kind == "m5" && found == "positional");
    EXPECT_TRUE(found == kind || alias) << kind << " is " << found;
    EXPECT_EQ(with_kind({.width = 12, .heads = 3}, kind).width, 12u);
  }
  ModelConfig custom = with_kind({}, "hard");
  custom.direct_logits = true;
  EXPECT_EQ(kind_of(custom), "custom");
  const Error error = error_of([] { with_kind({}, "positonal"); });
  EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  EXPECT_THAT(error.hint(), HasSubstr("did you mean \"positional\"?"));
}

TEST(Config, WhatCannotBeBuiltIsRefusedByNameAndValue) {
  using Rope = ModelConfig::Rope;
  struct Bad {
    const char* field;
    std::function<void(ModelConfig&)> change;
    const char* message;
  };
  const Bad all[] = {
      {"nodes", [](ModelConfig& c) { c.nodes = 0; }, "is 0, expected 1 to"},
      {"scratch", [](ModelConfig& c) { c.scratch = std::size_t{1} << 40; }, "expected 0 to"},
      {"in_dim", [](ModelConfig& c) { c.in_dim = 0; }, "is 0"},
      {"out_dim", [](ModelConfig& c) { c.out_dim = 0; }, "is 0"},
      {"width", [](ModelConfig& c) { c.width = 0; }, "is 0"},
      {"heads", [](ModelConfig& c) { c.heads = 0; }, "is 0"},
      {"heads", [](ModelConfig& c) { c.heads = 5; }, "is 5, expected a divisor of the width 64"},
      {"hidden", [](ModelConfig& c) { c.hidden = 0; }, "is 0"},
      {"mlp_layers", [](ModelConfig& c) { c.mlp_layers = 0; }, "is 0"},
      {"layers", [](ModelConfig& c) { c.layers = std::size_t{1} << 30; }, "expected 0 to"},
      {"layers", [](ModelConfig& c) { c.layers = 5000; }, "is 5000, expected at most 8192 linear maps"},
      {"mlp_layers", [](ModelConfig& c) { c.mlp_layers = 5000; },
       "is 5000, expected at most 8192 linear maps"},
      {"vocabulary", [](ModelConfig& c) { c.vocabulary = std::size_t{1} << 30; }, "expected 0 to"},
      {"encoding_dim", [](ModelConfig& c) { c.encoding = Encoding::kSinusoidal; },
       "is 0, expected a positive even"},
      {"encoding_dim",
       [](ModelConfig& c) {
         c.encoding = Encoding::kSinusoidal;
         c.encoding_dim = 7;
       },
       "is 7"},
      {"in_dim",
       [](ModelConfig& c) {
         c.vocabulary = 10;
         c.in_dim = 2;
       },
       "one token id"},
      {"direct_logits",
       [](ModelConfig& c) {
         c.source = ModelConfig::Source::kFeatures;
         c.direct_logits = true;
       },
       "is true, expected false where attention reads features"},
      {"rope",
       [](ModelConfig& c) {
         c.direct_logits = true;
         c.rope = Rope::kTrue;
       },
       "no queries and keys"},
      {"rope", [](ModelConfig& c) { c.rope = Rope::kTrue; }, "even length, but they have 9 columns"},
      {"mixer",
       [](ModelConfig& c) {
         c.mixer = ModelConfig::Mixer::kGcn;
         c.hard = true;
       },
       "is gcn, expected attention"},
      {"mixer",
       [](ModelConfig& c) {
         c.mixer = ModelConfig::Mixer::kGin;
         c.rope = Rope::kNoOp;
       },
       "is gin, expected attention"},
      {"model", [](ModelConfig& c) { c.width = c.hidden = std::size_t{1} << 20; }, "parameters"},
  };
  for (const Bad& bad : all) {
    ModelConfig config;
    bad.change(config);
    const Error error = error_of([&] { check(config); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.where(), HasSubstr(bad.field));
    EXPECT_THAT(error.message(), HasSubstr(bad.message));
    EXPECT_THROW(layout(config), Error);
  }
  EXPECT_NO_THROW(check({}));
  EXPECT_NO_THROW(check({.nodes = 1, .scratch = 0}));
}

TEST(Config, JsonKeepsEveryField) {
  ModelConfig config = with_kind({.bias = false,
                                  .vocabulary = 0,
                                  .nodes = 12,
                                  .scratch = 2,
                                  .in_dim = 3,
                                  .out_dim = 4,
                                  .width = 30,
                                  .heads = 5,
                                  .hidden = 7,
                                  .mlp_layers = 3,
                                  .layers = 2,
                                  .encoding = Encoding::kSinusoidal,
                                  .encoding_dim = 6},
                                 "m4");
  for (const ModelConfig& c :
       {config, ModelConfig{}, with_kind({.vocabulary = 74}, "standard"), with_kind({}, "gin"),
        with_kind({}, "direct"), with_kind({.encoding = Encoding::kBinary}, "hard")}) {
    const std::string json = config_json(c);
    EXPECT_EQ(config_json(parse_config(json, "test")), json);
  }
  EXPECT_EQ(parse_config(config_json(config), "test").encoding_dim, 6u);
  EXPECT_EQ(parse_config(R"({"nodes": 5})", "test").nodes, 5u);
  EXPECT_EQ(parse_config(R"({"nodes": 5})", "test").width, 64u);
}

TEST(Config, WrongJsonIsRefusedWithFileAndField) {
  const auto refused = [](const char* json, const char* place, const char* message, const char* hint = "") {
    const Error error = error_of([&] { parse_config(json, "m.json"); });
    EXPECT_EQ(error.kind(), ErrorKind::kBadFormat);
    EXPECT_THAT(error.where(), HasSubstr(place));
    EXPECT_THAT(error.message(), HasSubstr(message));
    EXPECT_THAT(error.hint(), HasSubstr(hint));
  };
  refused(R"({"node": 5})", "m.json", "no field \"node\"", "did you mean \"nodes\"?");
  refused(R"({"nodes": -5})", "m.json: nodes", "a whole number that is not negative, found -5");
  refused(R"({"bias": 1})", "m.json: bias", "true or false, found 1");
  refused(R"({"source": "feature"})", "m.json: source", "\"features\" \"positions\" \"both\"");
  refused(R"({"heads": 5})", "m.json: model: heads", "a divisor of the width 64");
  refused("[1]", "m.json", "an object");
  refused("{", "m.json", "");
}

// ---- Layout and initial values

TEST(Layout, HasThePublishedSizesAndOrder) {
  EXPECT_EQ(layout({}).size(), 84577u);
  EXPECT_EQ(layout(with_kind({}, "standard")).size(), 150273u);
  EXPECT_EQ(layout({.hidden = 128}).size(), 133985u);  // n = 8, h = 128
  EXPECT_EQ(layout({.hidden = 16}).size(), 47521u);
  EXPECT_EQ(layout({.nodes = 2}).size(), 41761u);
  EXPECT_EQ(layout({.nodes = 32}).size(), 151537u);
  EXPECT_EQ(layout(with_kind({.nodes = 32}, "standard")).size(), 226561u);
  EXPECT_EQ(layout(toy_config("positional")).size(), 339u);
  std::vector<std::string> names;
  const nn::ParameterLayout one = layout({.layers = 1});
  for (const nn::ParameterInfo& p : one.entries()) names.push_back(p.name);
  EXPECT_THAT(names, testing::ElementsAre("encoding.weight", "encoding.bias", "decoding.weight",
                                          "decoding.bias", "layers.0.qk.weight", "layers.0.qk.bias",
                                          "layers.0.v.weight", "layers.0.v.bias", "layers.0.o.weight",
                                          "layers.0.o.bias", "layers.0.mlp.0.weight", "layers.0.mlp.0.bias",
                                          "layers.0.mlp.2.weight", "layers.0.mlp.2.bias"));
}

TEST(Layout, IsWhatTheReferenceReads) {
  for (const std::string& kind : kinds())
    for (const std::size_t vocabulary : {0, 6}) {
      const ModelConfig config =
          with_kind({.vocabulary = vocabulary, .nodes = 4, .width = 4, .hidden = 3, .mlp_layers = 3}, kind);
      const std::vector<double> values(layout(config).size(), 0.5);
      std::size_t used = 0;
      ref::weights_from(shape_of(config), values, &used);
      EXPECT_EQ(used, values.size()) << kind;
    }
}

// Bounds of the published initialisation, and that the values fill them: with N values the largest is above
// (1 − 20/N) of the bound unless one in e^20 draws fails.
TEST(InitialModel, HasThePublishedDistributions) {
  const Model model = initial_model({}, 1);
  const auto largest = [&](const char* name) {
    double top = 0;
    for (const double x : part(model.values, model.layout[model.layout.find(name)]))
      top = std::max(top, std::abs(x));
    return top;
  };
  const auto within = [&](const char* name, double bound) {
    const double n = static_cast<double>(model.layout[model.layout.find(name)].size());
    EXPECT_LE(largest(name), bound * (1 + 1e-7)) << name;
    EXPECT_GT(largest(name), bound * (1 - 20 / n)) << name;
  };
  within("encoding.weight", 1);
  within("encoding.bias", 1);
  within("decoding.weight", 1 / std::sqrt(64.0));
  within("layers.0.qk.weight", std::sqrt(6.0 / (9 + 36)));
  within("layers.2.v.weight", std::sqrt(6.0 / 128));
  within("layers.3.o.weight", std::sqrt(6.0 / 128));
  within("layers.0.mlp.0.weight", 1 / std::sqrt(128.0));
  within("layers.0.mlp.0.bias", 1 / std::sqrt(128.0));
  within("layers.0.mlp.2.bias", 1 / std::sqrt(64.0));
  for (const char* name : {"layers.0.qk.bias", "layers.1.v.bias", "layers.2.o.bias"})
    EXPECT_EQ(largest(name), 0);
  for (const double x : model.values) EXPECT_EQ(x, static_cast<double>(static_cast<float>(x)));
}

TEST(InitialModel, FollowsTheSeed) {
  const Model a = initial_model({}, 1), b = initial_model({}, 1), c = initial_model({}, 2);
  EXPECT_EQ(a.values, b.values);
  EXPECT_NE(a.values, c.values);
  // No two parameters share their numbers.
  std::set<double> firsts;
  std::size_t drawn = 0;
  for (const nn::ParameterInfo& p : a.layout.entries())
    if (a.values[p.offset] != 0) firsts.insert(a.values[p.offset]), ++drawn;
  EXPECT_EQ(firsts.size(), drawn);
}

TEST(InitialModel, WithoutBiasesHasNone) {
  for (const char* kind : {"positional", "standard", "gcn", "gin"}) {
    const Model model = initial_model(with_kind({.bias = false}, kind), 1);
    for (const nn::ParameterInfo& p : model.layout.entries())
      EXPECT_TRUE(!p.vector || norm(part(model.values, p)) == 0) << p.name;
  }
}

// ---- Files

TEST(ModelFile, KeepsEveryBit) {
  const TemporaryFolder folder;
  for (const std::string& kind : kinds()) {
    Model model = initial_model(with_kind({.nodes = 5, .width = 8, .hidden = 6}, kind), 4);
    model.origin = "trained: sum, seed 4";
    const std::string path = folder.file(kind + ".safetensors");
    save_model(model, path);
    Model loaded = load_model(path);
    EXPECT_EQ(loaded.values, model.values);  // they are floats
    EXPECT_EQ(loaded.origin, model.origin);
    EXPECT_EQ(config_json(loaded.config), config_json(model.config));
    for (double& x : model.values) x /= 3;
    if (!model.config.bias) continue;
    save_model(model, path, true);
    loaded = load_model(path);
    EXPECT_EQ(loaded.values, model.values);
  }
}

TEST(ModelFile, ReadsWhatPyTorchWrote) {
  const std::string base = std::string(TELOS_TEST_DIR) + "/positional/golden/";
  const Model model = load_model(base + "torch.safetensors");
  EXPECT_EQ(kind_of(model.config), "positional");
  EXPECT_EQ(model.config.nodes, 4u);
  const Matrix<double> x = read_npy(base + "torch_x.npy"), y = read_npy(base + "torch_y.npy");
  const Matrix<double> found = evaluate<double>(model, x, 0, Arena(1));
  ASSERT_EQ(found.size(), y.size());
  for (std::size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(found.data()[i], y.data()[i], 1e-13);
  // The config beside the file, and names with the prefix of a wrapper.
  const Model wrapped = load_model(base + "torch_wrapped.safetensors");
  EXPECT_EQ(wrapped.values, model.values);
}

/// Copies a saved model with a change of its tensors.
void rewrite(const Model& model, const std::string& path,
             const std::function<void(std::vector<TensorToWrite>&)>& change, bool with_config = true) {
  std::vector<float> values(model.values.begin(), model.values.end());
  std::vector<TensorToWrite> tensors;
  for (const nn::ParameterInfo& p : model.layout.entries())
    tensors.push_back(
        {.name = p.name,
         .dtype = DType::kF32,
         .shape = p.vector ? std::vector<std::uint64_t>{p.cols} : std::vector<std::uint64_t>{p.rows, p.cols},
         .data = std::as_bytes(std::span(values).subspan(p.offset, p.size()))});
  change(tensors);
  std::vector<std::pair<std::string, std::string>> metadata;
  if (with_config) metadata.emplace_back("telos.positional.config", config_json(model.config));
  write_safetensors(path, tensors, metadata);
}

TEST(ModelFile, NamesTheTensorThatDoesNotFit) {
  const TemporaryFolder folder;
  const std::string path = folder.file("bad.safetensors");
  Model model = initial_model({.nodes = 3, .width = 4, .hidden = 3, .layers = 1}, 1);
  const auto refused = [&](ErrorKind kind, const char* where, const char* message, const char* hint = "") {
    const Error error = error_of([&] { load_model(path); });
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.where(), HasSubstr(where));
    EXPECT_THAT(error.message(), HasSubstr(message));
    EXPECT_THAT(error.hint(), HasSubstr(hint));
  };
  using Tensors = std::vector<TensorToWrite>;
  // One tensor of its shape under another name can only be the one that is missing; of two nobody knows.
  rewrite(model, path, [](Tensors& t) { t[6].name = "layers.0.value.weight"; });
  EXPECT_EQ(load_model(path).values, model.values);
  rewrite(model, path, [](Tensors& t) {
    t[6].name = "layers.0.value.weight";
    t[8].name = "layers.0.out.weight";
  });
  refused(ErrorKind::kBadFormat, "layers.0.v.weight", "not there, nor is it the only one of its shape",
          "layers.0.v");
  rewrite(model, path, [](Tensors& t) { t.erase(t.begin() + 6); });
  refused(ErrorKind::kBadFormat, "layers.0.v.weight", "not there");
  rewrite(model, path, [](Tensors& t) { t[6].shape = {2, 8}; });
  refused(ErrorKind::kShape, "layers.0.v.weight", "expected [4, 4], found [2, 8]");
  rewrite(model, path, [](Tensors& t) { t[7].shape = {1, 4}; });
  refused(ErrorKind::kShape, "layers.0.v.bias", "expected [4], found [1, 4]");
  rewrite(model, path, [](Tensors& t) { t[6].dtype = DType::kI32; });
  refused(ErrorKind::kUnsupported, "layers.0.v.weight", "expected F32 or F64, found I32");
  rewrite(model, path, [](Tensors& t) {
    t.push_back(t[6]);
    t.back().name = "layers.1.v.weight";
  });
  refused(ErrorKind::kBadFormat, "layers.1.v.weight", "no tensor of this model");
  rewrite(
      model, path, [](Tensors&) {}, false);
  refused(ErrorKind::kMissingFile, "bad.safetensors", "no model config", "bad.json");
  write_file_atomically(folder.file("bad.json"), config_json(model.config));
  EXPECT_EQ(load_model(path).values, model.values);
  model.values[model.layout[8].offset + 5] = std::nan("");
  rewrite(model, path, [](Tensors&) {});
  refused(ErrorKind::kNotFinite, "layers.0.o.weight", "[1, 1] is nan");
  EXPECT_EQ(error_of([&] { load_model(folder.file("none.safetensors")); }).kind(), ErrorKind::kMissingFile);
  Model bare = initial_model({.bias = false, .nodes = 3, .width = 4, .hidden = 3, .layers = 1}, 1);
  bare.values[bare.layout[bare.layout.find("layers.0.v.bias")].offset] = 1;
  rewrite(bare, path, [](Tensors&) {});
  refused(ErrorKind::kBadFormat, "layers.0.v.bias", "no biases");
}

TEST(ModelFile, RefusesToWriteWhatItCouldNotReadBack) {
  const TemporaryFolder folder;
  Model model = initial_model({.nodes = 3, .width = 4, .hidden = 3, .layers = 1}, 1);
  model.values[0] = 1e300;
  const Error error = error_of([&] { save_model(model, folder.file("m.safetensors")); });
  EXPECT_EQ(error.kind(), ErrorKind::kNotFinite);
  EXPECT_THAT(error.where(), HasSubstr("encoding.weight"));
  EXPECT_NO_THROW(save_model(model, folder.file("m.safetensors"), true));
  model.values.pop_back();
  EXPECT_EQ(error_of([&] { save_model(model, folder.file("m.safetensors")); }).kind(), ErrorKind::kShape);
}

// ---- Evaluation and attention

TEST(Evaluate, IsTheReference) {
  for (const char* kind : {"positional", "standard", "gin"}) {
    const Model model =
        initial_model(with_kind({.nodes = 5, .in_dim = 2, .out_dim = 3, .width = 8, .hidden = 6}, kind), 4);
    for (const std::size_t length : {0, 3}) {
      const Samples s = random_samples(model.config, length == 0 ? 5 : length, 7, 2);
      const ReferencePass expected = run_reference(model, s);
      const ConstMatrixView<double> x(s.x.data(), 7, s.positions * 2);
      const Matrix<double> y = evaluate<double>(model, x, length, Arena(1));
      const Matrix<double> single = evaluate<float>(model, x, length, Arena(1));
      ASSERT_EQ(y.rows(), 7u);
      ASSERT_EQ(y.cols(), s.positions * 3);
      for (std::size_t i = 0; i < y.size(); ++i) {
        EXPECT_NEAR(y.data()[i], expected.y[i], 1e-12);
        EXPECT_NEAR(single.data()[i], expected.y[i], 1e-5);
      }
    }
  }
}

TEST(Evaluate, CutsManySamplesIntoPasses) {
  const Model model = initial_model({.nodes = 3, .width = 4, .hidden = 3, .layers = 1}, 4);
  const Samples s = random_samples(model.config, 3, 5000, 2);
  const ConstMatrixView<double> x(s.x.data(), 5000, 4);
  const Matrix<double> y = evaluate<float>(model, x, 0, Arena(1));
  const Matrix<double> last = evaluate<float>(model, x.block(4999, 0, 1, 4), 0, Arena(1));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(y(4999, i), last(0, i));
}

TEST(Evaluate, ChecksItsInput) {
  const Model model = initial_model({.nodes = 3, .width = 4, .hidden = 3, .layers = 1}, 4);
  const Matrix<double> x(1, 5);
  EXPECT_EQ(error_of([&] { evaluate<float>(model, x, 0, Arena(1)); }).kind(), ErrorKind::kShape);
  EXPECT_EQ(error_of([&] { evaluate<float>(model, x, 4, Arena(1)); }).kind(), ErrorKind::kUsage);
  const Model text = initial_model({.vocabulary = 6, .nodes = 3, .width = 4, .hidden = 3, .layers = 1}, 4);
  Matrix<double> tokens(1, 4);
  for (const double bad : {6.0, -1.0, 0.5, std::nan("")}) {
    tokens(0, 2) = bad;
    const Error error = error_of([&] { evaluate<float>(text, tokens, 0, Arena(1)); });
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.where(), "sample 0, position 2");
  }
  tokens(0, 2) = 5;
  EXPECT_EQ(evaluate<float>(text, tokens, 0, Arena(1)).cols(), 4u);
}

TEST(AttentionMatrices, AreThoseOfTheOracle) {
  Model model{.config = toy_config("positional"), .layout = {}, .values = {}, .origin = {}};
  model.layout = layout(model.config);
  model.values = sine_parameters(model.layout.size());
  const double a[2][4][4] = {{{.055847977718, .157658229551, .403094590694, .383399202036},
                              {.085396972711, .128451811102, .299832832611, .486318383575},
                              {.278355613093, .190801905108, .205782505548, .325059976251},
                              {.470919621745, .264987029153, .138931346730, .125162002372}},
                             {{.131592903335, .204010836930, .324122009715, .340274250019},
                              {.183119377961, .132575662552, .210658589188, .473646370298},
                              {.393499714290, .142223164860, .131138347646, .333138773204},
                              {.547119877291, .203873478079, .106017331647, .142989312983}}};
  const auto all = attention_matrices(model);
  ASSERT_EQ(all.size(), 2u);
  ASSERT_EQ(all[0].size(), 2u);
  for (std::size_t h = 0; h < 2; ++h)
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(all[0][h](i, j), a[h][i][j], 1e-12);
}

TEST(AttentionMatrices, AreThoseOfTheReferenceAtEachLength) {
  for (const char* kind : {"positional", "m1", "hard", "direct"}) {
    const Model model =
        initial_model(with_kind({.nodes = 6, .scratch = 2, .width = 6, .heads = 3, .hidden = 4}, kind), 8);
    const ref::Shape shape = shape_of(model.config);
    const auto weights = ref::weights_from(shape, model.values);
    for (const std::size_t length : {1, 4, 6}) {
      const auto all = attention_matrices(model, length);
      for (std::size_t l = 0; l < all.size(); ++l)
        for (std::size_t h = 0; h < 3; ++h) {
          const auto a = ref::fixed_attention(shape, weights.layers[l], h, length);
          ASSERT_EQ(all[l][h].rows(), length + 2);
          for (std::size_t i = 0; i < length + 2; ++i)
            for (std::size_t j = 0; j < length + 2; ++j) EXPECT_NEAR(all[l][h](i, j), a[i][j], 1e-14);
        }
    }
  }
  for (const char* kind : {"standard", "hybrid", "gcn"})
    EXPECT_EQ(error_of([&] { attention_matrices(initial_model(with_kind({}, kind), 1)); }).kind(),
              ErrorKind::kUsage);
  EXPECT_EQ(error_of([&] { attention_matrices(initial_model({}, 1), 9); }).kind(), ErrorKind::kUsage);
}

}  // namespace
}  // namespace telos::positional::test
