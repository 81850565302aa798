#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/model/golden_models.h"

namespace telos {
namespace {

using testing::golden_directory;
using testing::relative_error;
using testing::same_bits;

constexpr Taps kAll{.hidden = true, .attention = true, .sublayers = true, .logits = true};

/// A layer of these models chains fewer than 20 float operations of relative error about √d · 2⁻²⁴ each; 1e-5
/// leaves a factor of ten for the amplification by softmax and norms, and is far below any mistake.
constexpr double kTolerance = 1e-5;

class Golden : public ::testing::TestWithParam<std::string> {
 protected:
  Arena arena_{2};
};

TEST_P(Golden, EqualsTransformers) {
  const Checkpoint expected = Checkpoint::open(golden_directory(GetParam()) + "/expected.safetensors");
  const Transformer transformer = testing::load_transformer(golden_directory(GetParam()), arena_);
  const Trace trace = testing::run_golden(GetParam(), transformer, kAll, arena_);

  ASSERT_EQ(trace.hidden.size(), trace.layers + 1);
  EXPECT_EQ(expected.find("hidden." + std::to_string(trace.layers + 1)), nullptr);
  for (std::size_t l = 0; l <= trace.layers; ++l) {
    const Matrix<float> hidden = testing::read_matrix(expected, "hidden." + std::to_string(l));
    EXPECT_LT(relative_error(trace.hidden[l], hidden), kTolerance) << "hidden." << l;
  }
  for (std::size_t l = 0; l < trace.layers; ++l) {
    const Matrix<float> attention = testing::read_matrix(expected, "attn." + std::to_string(l));
    EXPECT_LT(relative_error(trace.attention[l], attention), kTolerance) << "attn." << l;
  }
  for (const auto& [name, found] :
       {std::pair{"final_hidden", &trace.final_hidden}, {"logits", &trace.logits}}) {
    ASSERT_EQ(found->empty(), expected.find(name) == nullptr) << name;
    if (found->empty()) continue;
    EXPECT_LT(relative_error(*found, testing::read_matrix(expected, name)), kTolerance) << name;
  }
}

TEST_P(Golden, SameBitsForAnyNumberOfThreads) {
  const Transformer transformer = testing::load_transformer(golden_directory(GetParam()), arena_);
  const Trace one = testing::run_golden(GetParam(), transformer, kAll, Arena(1));
  for (const int threads : {2, 7}) {
    const Trace other = testing::run_golden(GetParam(), transformer, kAll, Arena(threads));
    for (std::size_t l = 0; l < one.layers; ++l) {
      EXPECT_TRUE(same_bits(one.hidden[l + 1], other.hidden[l + 1]));
      EXPECT_TRUE(same_bits(one.attention[l], other.attention[l]));
    }
    EXPECT_TRUE(same_bits(one.logits, other.logits));
  }
}

TEST_P(Golden, TapsDoNotChangeTheResult) {
  const Transformer transformer = testing::load_transformer(golden_directory(GetParam()), arena_);
  const Trace all = testing::run_golden(GetParam(), transformer, kAll, arena_);
  const Trace hidden = testing::run_golden(GetParam(), transformer, {.attention = false}, arena_);
  ASSERT_EQ(hidden.hidden.size(), all.hidden.size());
  for (std::size_t l = 0; l < all.hidden.size(); ++l) EXPECT_TRUE(same_bits(all.hidden[l], hidden.hidden[l]));
  EXPECT_TRUE(hidden.attention.empty() && hidden.attention_input.empty() && hidden.logits.empty());

  const Trace attention =
      testing::run_golden(GetParam(), transformer, {.hidden = false, .logits = true}, arena_);
  EXPECT_TRUE(attention.hidden.empty());
  EXPECT_TRUE(same_bits(all.attention.back(), attention.attention.back()));
  EXPECT_TRUE(same_bits(all.logits, attention.logits));
}

/// X' = X + Σ_h A_h Z W_V W_O + 1cᵀ, in double from the checkpoint's own value and output weights: attention,
/// its input, the head order, grouping and the stream after it fit together.
TEST_P(Golden, SublayersObeyTheAttentionLaw) {
  const Checkpoint checkpoint = Checkpoint::open(golden_directory(GetParam()));
  const Architecture architecture = identify(checkpoint);
  const Transformer transformer = Transformer::load(checkpoint, architecture, arena_);
  const Trace trace = testing::run_golden(GetParam(), transformer, kAll, arena_);
  std::size_t layer = 0;
  for (const AttentionSite& site : architecture.sites) {
    const AttentionWeights w = read_attention(checkpoint, architecture, site);
    ASSERT_TRUE(w.usable());
    const std::size_t k = w.head_width, shared = w.heads / w.kv_heads;
    for (std::size_t repeat = 0; repeat < site.repeats; ++repeat, ++layer) {
      Matrix<float> predicted(trace.sequences * trace.tokens, trace.width);
      for (std::size_t row = 0; row < predicted.rows(); ++row) {
        const std::size_t sequence = row / trace.tokens;
        const auto z = trace.attention_input[layer].view();
        std::vector<double> sum(trace.hidden[layer].row(row), trace.hidden[layer].row(row) + trace.width);
        for (std::size_t j = 0; j < w.output_bias.size(); ++j)
          sum[j] += static_cast<double>(w.output_bias[j]);
        for (std::size_t head = 0; head < w.heads; ++head) {
          const auto a = trace.attention_at(layer, sequence, head);
          std::vector<double> mixed(trace.width, 0.0);
          for (std::size_t j = 0; j < trace.tokens; ++j)
            for (std::size_t c = 0; c < trace.width; ++c)
              mixed[c] += static_cast<double>(a(row % trace.tokens, j)) *
                          static_cast<double>(z(sequence * trace.tokens + j, c));
          for (std::size_t i = 0; i < k; ++i) {
            const std::size_t column = head / shared * k + i;
            double value = w.value_bias.empty() ? 0.0 : static_cast<double>(w.value_bias[column]);
            for (std::size_t c = 0; c < trace.width; ++c)
              value += mixed[c] * static_cast<double>(w.value_t(column, c));
            for (std::size_t c = 0; c < trace.width; ++c)
              sum[c] += value * static_cast<double>(w.output(head * k + i, c));
          }
        }
        for (std::size_t c = 0; c < trace.width; ++c) predicted(row, c) = static_cast<float>(sum[c]);
      }
      EXPECT_LT(relative_error(trace.attention_residual[layer], predicted), 1e-5) << "layer " << layer;
    }
  }
  EXPECT_EQ(layer, trace.layers);
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, ::testing::ValuesIn(testing::golden_models()),
                         [](const auto& model) { return model.param; });

class GoldenText : public Golden {};

TEST_P(GoldenText, SameBitsAloneAndInABatch) {
  const Transformer transformer = testing::load_transformer(golden_directory(GetParam()), arena_);
  const TokenBatch batch =
      testing::read_batch(Checkpoint::open(golden_directory(GetParam()) + "/expected.safetensors"));
  const Trace both = transformer.forward(batch, kAll, arena_);
  for (std::size_t b = 0; b < batch.sequences; ++b) {
    const auto part = [&](const auto& values) {
      auto copy = values;
      if (copy.empty()) return copy;
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(b * batch.tokens);
      copy.assign(begin, begin + static_cast<std::ptrdiff_t>(batch.tokens));
      return copy;
    };
    const Trace alone = transformer.forward(
        {1, batch.tokens, part(batch.ids), part(batch.mask), part(batch.types)}, kAll, Arena(1));
    EXPECT_TRUE(same_bits(alone.hidden.back(), both.hidden_at(both.layers, b)));
    for (std::size_t head = 0; head < both.heads; ++head)
      EXPECT_TRUE(same_bits(alone.attention_at(0, 0, head), both.attention_at(0, b, head)));
    EXPECT_TRUE(same_bits(alone.logits,
                          both.logits.view().block(b * batch.tokens, 0, batch.tokens, both.logits.cols())));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenText,
                         ::testing::Values("albert", "bert", "distilbert", "gpt2", "gpt_neox", "llama",
                                           "mistral", "qwen3", "roberta"),
                         [](const auto& model) { return model.param; });

/// The kind and message of what `call` throws.
template <class Call>
std::pair<ErrorKind, std::string> failure(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::kInternal, "nothing was thrown"};
}

class Abuse : public ::testing::Test {
 protected:
  Abuse()
      : folder_(std::filesystem::temp_directory_path() / ("telos_forward_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~Abuse() override { std::filesystem::remove_all(folder_); }

  /// Copies a golden model; `edit` may change each tensor, or drop it by returning false.
  template <class Edit>
  std::string rewrite(const std::string& model, const Edit& edit) {
    const Checkpoint checkpoint = Checkpoint::open(golden_directory(model));
    std::vector<std::vector<float>> data;
    std::vector<TensorToWrite> tensors;
    for (const TensorInfo& tensor : checkpoint.tensors()) {
      std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
      checkpoint.read_all(tensor, values);
      TensorToWrite out{tensor.name, DType::kF32, tensor.shape, {}};
      if (!edit(out, values)) continue;
      data.push_back(std::move(values));
      tensors.push_back(std::move(out));
    }
    for (std::size_t i = 0; i < data.size(); ++i) tensors[i].data = std::as_bytes(std::span(data[i]));
    write_safetensors((folder_ / "model.safetensors").string(), tensors);
    std::filesystem::copy_file(golden_directory(model) + "/config.json", folder_ / "config.json",
                               std::filesystem::copy_options::overwrite_existing);
    return folder_.string();
  }
  void replace_in_config(const std::string& model, const std::string& from, const std::string& to) {
    std::ifstream in(golden_directory(model) + "/config.json");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(folder_ / "config.json") << text;
  }

  std::filesystem::path folder_;
  Arena arena_{1};
};

TEST_F(Abuse, NanIsNamed) {
  for (const char* bad :
       {"bert.encoder.layer.1.attention.self.value.weight", "bert.encoder.layer.0.output.dense.bias",
        "bert.embeddings.word_embeddings.weight"}) {
    const std::string path = rewrite("bert", [&](const TensorToWrite& tensor, std::vector<float>& values) {
      if (tensor.name == bad) values[7] = std::nanf("");
      return true;
    });
    const auto [kind, message] = failure([&] { testing::load_transformer(path, arena_); });
    EXPECT_EQ(kind, ErrorKind::kNotFinite) << message;
    EXPECT_NE(message.find(bad), std::string::npos) << message;
    EXPECT_NE(message.find("element 7"), std::string::npos) << message;
  }
}

TEST_F(Abuse, MissingTensorIsNamed) {
  const std::string path = rewrite("gpt2", [](const TensorToWrite& tensor, std::vector<float>&) {
    return tensor.name != "transformer.h.1.mlp.c_fc.weight";
  });
  const auto [kind, message] = failure([&] { testing::load_transformer(path, arena_); });
  EXPECT_EQ(kind, ErrorKind::kMissingFile) << message;
  EXPECT_NE(message.find("transformer.h.1.mlp.c_fc.weight"), std::string::npos) << message;
}

TEST_F(Abuse, WrongShapeIsNamed) {
  const std::string path = rewrite("llama", [](TensorToWrite& tensor, std::vector<float>& values) {
    if (tensor.name == "model.layers.0.mlp.up_proj.weight") {
      tensor.shape[1] -= 1;
      values.resize(tensor.shape[0] * tensor.shape[1]);
    }
    return true;
  });
  const auto [kind, message] = failure([&] { testing::load_transformer(path, arena_); });
  EXPECT_EQ(kind, ErrorKind::kShape) << message;
  EXPECT_NE(message.find("up_proj"), std::string::npos) << message;
}

TEST_F(Abuse, OldNamesOfNormsAreRead) {
  const std::string path = rewrite("bert", [](TensorToWrite& tensor, std::vector<float>&) {
    for (const auto& [modern, old] :
         {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}})
      if (const std::size_t at = tensor.name.find(modern); at != std::string::npos)
        tensor.name.replace(at, std::string::npos, old);
    return true;
  });
  const Trace trace = testing::run_golden("bert", testing::load_transformer(path, arena_), kAll, arena_);
  const Trace expected =
      testing::run_golden("bert", testing::load_transformer(golden_directory("bert"), arena_), kAll, arena_);
  EXPECT_TRUE(same_bits(trace.logits, expected.logits));
}

TEST_F(Abuse, WithoutAHeadThereAreNoLogits) {
  const std::string path = rewrite("bert", [](const TensorToWrite& tensor, std::vector<float>&) {
    return !tensor.name.starts_with("cls.");
  });
  const Trace trace = testing::run_golden("bert", testing::load_transformer(path, arena_), kAll, arena_);
  EXPECT_TRUE(trace.logits.empty());
  EXPECT_FALSE(trace.hidden.empty());
}

TEST_F(Abuse, BatchesAreChecked) {
  const Transformer bert = testing::load_transformer(golden_directory("bert"), arena_);
  const auto kind_of = [&](const TokenBatch& batch) {
    return failure([&] { bert.forward(batch, {}, arena_); });
  };
  EXPECT_EQ(kind_of({0, 0, {}, {}, {}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 3, {1, 2}, {}, {}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 2, {1, 2}, {1}, {}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 2, {1, 2}, {}, {0, 0, 0}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 2, {1, 2}, {}, {0, 2}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 2, {1, -1}, {}, {}}).first, ErrorKind::kUsage);
  const auto [kind, message] = kind_of({2, 2, {1, 2, 3, 40}, {}, {}});
  EXPECT_EQ(kind, ErrorKind::kUsage);
  EXPECT_EQ(message, "sequence 1, token 1: token id 40 is not in 0 … 39");
  EXPECT_EQ(kind_of({1, 17, std::vector<std::int32_t>(17, 3), {}, {}}).first, ErrorKind::kLimit);
  EXPECT_EQ(failure([&] { bert.forward_images(Matrix<float>(1, 8), {}, arena_); }).first, ErrorKind::kUsage);
}

TEST_F(Abuse, ContextOfOtherPositionKinds) {
  const std::vector<std::int32_t> ids(65, 3);
  const auto forward = [&](const char* model, std::size_t tokens) {
    const Transformer transformer = testing::load_transformer(golden_directory(model), arena_);
    return failure([&] {
      transformer.forward(
          {1, tokens, {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(tokens)}, {}, {}}, {}, arena_);
    });
  };
  EXPECT_EQ(forward("roberta", 15).first,
            ErrorKind::kLimit);  // 16 positions, of which two come before the text
  EXPECT_EQ(forward("roberta", 14).second, "nothing was thrown");
  EXPECT_EQ(forward("llama", 65).first, ErrorKind::kLimit);
  EXPECT_EQ(forward("llama", 64).second, "nothing was thrown");
}

TEST_F(Abuse, ImagesAreChecked) {
  const Transformer vit = testing::load_transformer(golden_directory("vit"), arena_);
  EXPECT_EQ(failure([&] { vit.forward({1, 1, {1}, {}, {}}, {}, arena_); }).first, ErrorKind::kUsage);
  EXPECT_EQ(failure([&] { vit.forward_images(Matrix<float>(1, 3 * 8 * 8), {}, arena_); }).first,
            ErrorKind::kShape);
  EXPECT_EQ(failure([&] { vit.forward_images({}, {}, arena_); }).first, ErrorKind::kUsage);
}

TEST_F(Abuse, SupportsSaysWhyNot) {
  const Checkpoint checkpoint = Checkpoint::open(golden_directory("llama"));
  Architecture architecture = identify(checkpoint);
  std::string why;
  EXPECT_TRUE(Transformer::supports(architecture, &why));
  const auto with = [&](const std::string& model, const std::string& from, const std::string& to) {
    rewrite(model, [](const TensorToWrite&, const std::vector<float>&) { return true; });
    replace_in_config(model, from, to);
    const Architecture changed = identify(Checkpoint::open(folder_.string()));
    why.clear();
    EXPECT_FALSE(Transformer::supports(changed, &why)) << to;
    return why;
  };
  EXPECT_NE(
      with("llama", "\"rope_type\": \"default\"", "\"rope_type\": \"yarn\", \"factor\": 2.0").find("yarn"),
      std::string::npos);
  EXPECT_NE(with("gpt2", "\"gelu_new\"", "\"mish\"").find("mish"), std::string::npos);
  EXPECT_NE(with("bert", "\"hidden_act\"", "\"position_embedding_type\": \"relative_key\", \"hidden_act\"")
                .find("relative"),
            std::string::npos);
  architecture.config_json.clear();
  architecture.family = "falcon";
  EXPECT_FALSE(Transformer::supports(architecture, &why));
  EXPECT_NE(why.find("falcon"), std::string::npos);
  EXPECT_EQ(failure([&] { Transformer::load(checkpoint, architecture, arena_); }).first,
            ErrorKind::kUnsupported);
}

TEST_F(Abuse, PaddingDoesNotReachRealTokens) {
  for (const char* model : {"bert", "llama"}) {
    const Transformer transformer = testing::load_transformer(golden_directory(model), arena_);
    TokenBatch batch{1, 6, {5, 6, 7, 8, 9, 10}, {1, 1, 1, 1, 0, 0}, {}};
    const Trace first = transformer.forward(batch, {}, arena_);
    batch.ids[4] = 20;
    batch.ids[5] = 30;
    const Trace second = transformer.forward(batch, {}, arena_);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(same_bits(first.hidden.back().view().block(i, 0, 1, first.width),
                            second.hidden.back().view().block(i, 0, 1, first.width)));
      for (std::size_t head = 0; head < first.heads; ++head)
        for (std::size_t j = 4; j < 6; ++j) EXPECT_EQ(first.attention_at(0, 0, head)(i, j), 0.0f);
    }
    EXPECT_EQ(first.mask, batch.mask);
  }
}

}  // namespace
}  // namespace telos
