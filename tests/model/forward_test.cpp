#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "tests/model/editable.h"
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

/// A head's recorded attention given back to it changes no bit, recorded or not.
TEST_P(GoldenText, FixedToItsOwnAttentionNothingChanges) {
  const Transformer transformer = testing::load_transformer(golden_directory(GetParam()), arena_);
  const TokenBatch batch =
      testing::read_batch(Checkpoint::open(golden_directory(GetParam()) + "/expected.safetensors"));
  const Trace trace = transformer.forward(batch, kAll, arena_);
  const std::size_t layer = trace.layers - 1, head = trace.heads - 1, tokens = trace.tokens;
  Matrix<float> own(trace.sequences * tokens, tokens);
  for (std::size_t b = 0; b < trace.sequences; ++b)
    for (std::size_t i = 0; i < tokens; ++i)
      std::copy_n(trace.attention_at(layer, b, head).row(i), tokens, own.row(b * tokens + i));
  const std::array<FixedAttention, 1> fixed{{{layer, head, own}}};
  const Trace same = transformer.forward(batch, kAll, arena_, fixed);
  EXPECT_TRUE(same_bits(same.hidden.back(), trace.hidden.back()));
  EXPECT_TRUE(same_bits(same.attention.back(), trace.attention.back()));
  EXPECT_TRUE(same_bits(same.logits, trace.logits));
  const Trace unrecorded = transformer.forward(batch, {.attention = false}, arena_, fixed);
  EXPECT_TRUE(same_bits(unrecorded.hidden.back(), trace.hidden.back()));
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

class EditedModels : public ::testing::Test {
 protected:
  /// Writes the model and returns its directory.
  std::string write(const testing::Editable& model) {
    model.write(folder_.path());
    return folder_.path().string();
  }

  testing::TemporaryDirectory folder_;
  Arena arena_{1};
};

TEST_F(EditedModels, NanIsNamed) {
  for (const char* bad :
       {"bert.encoder.layer.1.attention.self.value.weight", "bert.encoder.layer.0.output.dense.bias",
        "bert.encoder.layer.1.output.LayerNorm.weight", "bert.embeddings.word_embeddings.weight"}) {
    testing::Editable model(golden_directory("bert"));
    model.at(bad).values[7] = std::nanf("");
    const std::string path = write(model);
    const auto [kind, message] = failure([&] { testing::load_transformer(path, arena_); });
    EXPECT_EQ(kind, ErrorKind::kNotFinite) << message;
    EXPECT_NE(message.find(bad), std::string::npos) << message;
    EXPECT_NE(message.find("element 7"), std::string::npos) << message;
  }
}

TEST_F(EditedModels, WeightsThatOverflowAreNamedByTheirLayer) {
  const TokenBatch batch{1, 3, {1, 2, 3}, {}, {}};
  const auto of = [&](const char* tensor, float value) {
    testing::Editable model(golden_directory("gpt2"));
    for (float& x : model.at(tensor).values) x = value;
    const Transformer transformer = testing::load_transformer(write(model), arena_);
    return failure([&] { transformer.forward(batch, {.hidden = false, .attention = false}, arena_); });
  };
  EXPECT_EQ(
      of("transformer.h.1.attn.c_attn.weight", 1e38f),
      std::pair(ErrorKind::kNotFinite, std::string("forward pass: after layer 1 the hidden state of sequence "
                                                   "0, token 0 is NaN or infinite")));
  EXPECT_EQ(of("transformer.ln_f.weight", 3e38f).first, ErrorKind::kNotFinite);
}

TEST_F(EditedModels, ConfigThatContradictsTheWeightsIsNamed) {
  const auto of = [&](const std::string& from, const std::string& to) {
    testing::Editable model(golden_directory("gpt2"));
    const std::size_t at = model.config.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    model.config.replace(at, from.size(), to);
    const std::string path = write(model);
    return failure([&] { testing::load_transformer(path, arena_); });
  };
  const auto [kind, message] = of("\"n_positions\": 16", "\"n_positions\": 1000");
  EXPECT_EQ(kind, ErrorKind::kShape);
  EXPECT_NE(message.find("config.json says 1000 positions, transformer.wpe.weight is [16, 24]"),
            std::string::npos)
      << message;
  EXPECT_EQ(of("\"n_inner\": 40", "\"n_inner\": 96").first, ErrorKind::kShape);
  EXPECT_EQ(of("\"vocab_size\": 40", "\"vocab_size\": 50").first, ErrorKind::kShape);
  EXPECT_EQ(of("\"vocab_size\": 40", "\"vocab_size\": 30").first, ErrorKind::kInternal)
      << "further rows are padding";
}

TEST_F(EditedModels, MissingTensorIsNamed) {
  testing::Editable model(golden_directory("gpt2"));
  model.tensors.erase("transformer.h.1.mlp.c_fc.weight");
  const std::string path = write(model);
  const auto [kind, message] = failure([&] { testing::load_transformer(path, arena_); });
  EXPECT_EQ(kind, ErrorKind::kMissingFile) << message;
  EXPECT_NE(message.find("transformer.h.1.mlp.c_fc.weight"), std::string::npos) << message;
}

TEST_F(EditedModels, WrongShapeIsNamed) {
  for (const auto& [name, golden] : {std::pair{"model.layers.0.mlp.up_proj.weight", "llama"},
                                     {"model.embed_tokens.weight", "llama"},
                                     {"model.norm.weight", "llama"},
                                     {"embeddings.position_embeddings", "vit"},
                                     {"embeddings.cls_token", "deit"}}) {
    testing::Editable model(golden_directory(golden));
    model.at(name).shape.back() -= 1;
    std::uint64_t count = 1;
    for (const std::uint64_t extent : model.at(name).shape) count *= extent;
    model.at(name).values.resize(static_cast<std::size_t>(count));
    const std::string path = write(model);
    const auto [kind, message] = failure([&] { testing::load_transformer(path, arena_); });
    EXPECT_EQ(kind, ErrorKind::kShape) << message;
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
}

TEST_F(EditedModels, OldNamesOfNormsAreRead) {
  testing::Editable model(golden_directory("bert"));
  for (const auto& [modern, old] :
       {std::pair{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}}) {
    const auto tensors = model.tensors;
    for (const auto& [name, tensor] : tensors) {
      const std::size_t at = name.find(modern);
      if (at == std::string::npos) continue;
      model.tensors.erase(name);
      model.tensors.emplace(name.substr(0, at) + old, tensor);
    }
  }
  const Trace trace =
      testing::run_golden("bert", testing::load_transformer(write(model), arena_), kAll, arena_);
  const Trace expected =
      testing::run_golden("bert", testing::load_transformer(golden_directory("bert"), arena_), kAll, arena_);
  EXPECT_TRUE(same_bits(trace.logits, expected.logits));
}

TEST_F(EditedModels, WithoutAHeadThereAreNoLogits) {
  testing::Editable model(golden_directory("bert"));
  std::erase_if(model.tensors, [](const auto& entry) { return entry.first.starts_with("cls."); });
  const Trace trace =
      testing::run_golden("bert", testing::load_transformer(write(model), arena_), kAll, arena_);
  EXPECT_TRUE(trace.logits.empty());
  EXPECT_FALSE(trace.hidden.empty());
}

TEST_F(EditedModels, BatchesAreChecked) {
  const Transformer bert = testing::load_transformer(golden_directory("bert"), arena_);
  const auto kind_of = [&](const TokenBatch& batch) {
    return failure([&] { bert.forward(batch, {}, arena_); });
  };
  EXPECT_EQ(kind_of({0, 0, {}, {}, {}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 3, {1, 2}, {}, {}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 2, {1, 2}, {1}, {}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 2, {1, 2}, {}, {0, 0, 0}}).first, ErrorKind::kUsage);
  EXPECT_EQ(kind_of({1, 2, {1, 2}, {}, {0, 2}}).first, ErrorKind::kBadFormat);
  EXPECT_EQ(kind_of({1, 2, {1, -1}, {}, {}}).first, ErrorKind::kBadFormat);
  const auto [kind, message] = kind_of({2, 2, {1, 2, 3, 40}, {}, {}});
  EXPECT_EQ(kind, ErrorKind::kBadFormat);
  EXPECT_EQ(message, "sequence 1, token 1: token id 40 is not in 0 … 39");
  EXPECT_EQ(kind_of({1, 17, std::vector<std::int32_t>(17, 3), {}, {}}).first, ErrorKind::kLimit);
  EXPECT_EQ(failure([&] { bert.forward_images(Matrix<float>(1, 8), {}, arena_); }).first, ErrorKind::kUsage);
}

/// Each token attending to itself alone: the head's context is its value, in all sequences alike.
TEST_F(EditedModels, FixedAttentionIsUsedAndRecorded) {
  const Transformer gpt2 = testing::load_transformer(golden_directory("gpt2"), arena_);
  const TokenBatch batch{2, 4, {1, 2, 3, 4, 5, 6, 7, 8}, {}, {}};
  Matrix<float> identity(4, 4);
  for (std::size_t i = 0; i < 4; ++i) identity(i, i) = 1;
  const std::array<FixedAttention, 1> fixed{{{0, 1, identity}}};
  const Trace plain = gpt2.forward(batch, kAll, arena_), trace = gpt2.forward(batch, kAll, arena_, fixed);
  for (std::size_t b = 0; b < 2; ++b) {
    EXPECT_TRUE(same_bits(trace.attention_at(0, b, 1), identity));
    EXPECT_TRUE(same_bits(trace.attention_at(0, b, 0), plain.attention_at(0, b, 0)));
    // The first token of a causal model attends to itself anyway.
    EXPECT_TRUE(same_bits(trace.hidden_at(1, b).block(0, 0, 1, trace.width),
                          plain.hidden_at(1, b).block(0, 0, 1, trace.width)));
  }
  EXPECT_FALSE(same_bits(trace.hidden[1], plain.hidden[1]));

  const auto refused = [&](const std::vector<FixedAttention>& heads) {
    return failure([&] { gpt2.forward(batch, {}, arena_, heads); });
  };
  EXPECT_EQ(refused({{plain.layers, 0, identity}}).first, ErrorKind::kUsage);
  EXPECT_EQ(refused({{0, plain.heads, identity}}).first, ErrorKind::kUsage);
  EXPECT_NE(refused({{0, 1, identity}, {0, 1, identity}}).second.find("twice"), std::string::npos);
  const Matrix<float> wrong(3, 4);
  EXPECT_EQ(refused({{0, 1, wrong}}).first, ErrorKind::kShape);
  identity(1, 1) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(refused({{0, 1, identity}}).first, ErrorKind::kNotFinite);
  identity(1, 1) = 1;
  identity(1, 2) = 0.5f;
  const auto [kind, message] = refused({{0, 1, identity}});
  EXPECT_EQ(kind, ErrorKind::kUsage);
  EXPECT_NE(message.find("row 1 sees token 2"), std::string::npos) << message;
}

TEST_F(EditedModels, ContextOfOtherPositionKinds) {
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

TEST_F(EditedModels, ImagesAreChecked) {
  const Transformer vit = testing::load_transformer(golden_directory("vit"), arena_);
  EXPECT_EQ(failure([&] { vit.forward({1, 1, {1}, {}, {}}, {}, arena_); }).first, ErrorKind::kUsage);
  EXPECT_EQ(failure([&] { vit.forward_images(Matrix<float>(1, 3 * 8 * 8), {}, arena_); }).first,
            ErrorKind::kShape);
  EXPECT_EQ(failure([&] { vit.forward_images({}, {}, arena_); }).first, ErrorKind::kUsage);
}

TEST_F(EditedModels, SupportsSaysWhyNot) {
  const Checkpoint checkpoint = Checkpoint::open(golden_directory("llama"));
  Architecture architecture = identify(checkpoint);
  std::string why;
  EXPECT_TRUE(Transformer::supports(architecture, &why));
  const auto with = [&](const std::string& golden, const std::string& from, const std::string& to) {
    testing::Editable model(golden_directory(golden));
    const std::size_t at = model.config.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    model.config.replace(at, from.size(), to);
    const Architecture changed = identify(Checkpoint::open(write(model)));
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
  EXPECT_NE(with("albert", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2000000000")
                .find("2000000000 layers"),
            std::string::npos);
  EXPECT_NE(with("roberta", "\"pad_token_id\": 1", "\"pad_token_id\": -1").find("pad_token_id"),
            std::string::npos);
  EXPECT_NE(with("llama_rope_llama3", "\"high_freq_factor\": 4.0", "\"high_freq_factor\": 1.0")
                .find("high_freq_factor"),
            std::string::npos);
  EXPECT_NE(with("llama_rope_linear", "\"factor\": 2.5", "\"factor\": 0").find("positive"),
            std::string::npos);
  EXPECT_NE(with("qwen2", "\"full_attention\"", "\"chunked_attention\"").find("layer_types"),
            std::string::npos);
  EXPECT_NE(with("bert", "\"is_decoder\": false", "\"is_decoder\": true").find("decoder"), std::string::npos);
  EXPECT_NE(with("gpt2", "\"add_cross_attention\": false", "\"add_cross_attention\": true").find("cross"),
            std::string::npos);
  EXPECT_NE(with("vit", "\"image_size\": [\n    8,", "\"image_size\": [\n    \"8\",").find("image_size"),
            std::string::npos);
  architecture.config_json.clear();
  architecture.family = "falcon";
  EXPECT_FALSE(Transformer::supports(architecture, &why));
  EXPECT_NE(why.find("falcon"), std::string::npos);
  EXPECT_EQ(failure([&] { Transformer::load(checkpoint, architecture, arena_); }).first,
            ErrorKind::kUnsupported);
}

TEST_F(EditedModels, PaddingDoesNotReachRealTokens) {
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

std::vector<std::int32_t> some_ids(std::size_t count) {
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(static_cast<std::int32_t>(3 + i * i * 7 % 37));
  return ids;
}

/// More rows than a block of a product or of attention has, in a causal model: a prefix must come out as it
/// does alone, in one batch and in another, for any number of threads, with and without a mask that hides
/// nothing.
TEST_F(EditedModels, LongCausalTextsKeepTheirBits) {
  testing::Editable weights(golden_directory("llama"));
  const std::string context = "\"max_position_embeddings\": 64";
  weights.config.replace(weights.config.find(context), context.size(), "\"max_position_embeddings\": 640");
  const Transformer model = testing::load_transformer(write(weights), arena_);
  const std::size_t tokens = 300, prefix = 150;
  const std::vector<std::int32_t> ids = some_ids(2 * tokens);
  const Trace both = model.forward({2, tokens, ids, {}, {}}, kAll, Arena(1));
  for (const int threads : {2, 7}) {
    const Trace other =
        model.forward({2, tokens, ids, std::vector<std::uint8_t>(2 * tokens, 1), {}}, kAll, Arena(threads));
    EXPECT_TRUE(same_bits(both.hidden.back(), other.hidden.back()));
    EXPECT_TRUE(same_bits(both.attention.back(), other.attention.back()));
  }
  const auto second = ids.begin() + static_cast<std::ptrdiff_t>(tokens);
  const Trace alone = model.forward({1, tokens, {second, ids.end()}, {}, {}}, kAll, Arena(2));
  EXPECT_TRUE(same_bits(alone.hidden.back(), both.hidden_at(both.layers, 1)));
  const Trace cut = model.forward({1, prefix, {second, second + prefix}, {}, {}}, kAll, Arena(2));
  EXPECT_LT(relative_error(cut.hidden.back(), alone.hidden.back().view().block(0, 0, prefix, alone.width)),
            1e-6);
  for (std::size_t head = 0; head < alone.heads; ++head) {
    const auto a = alone.attention_at(1, 0, head);
    for (std::size_t i = 0; i < tokens; ++i)
      for (std::size_t j = i + 1; j < tokens; ++j) ASSERT_EQ(a(i, j), 0.0f);
  }
}

/// Without positions an encoder does not know the order of its tokens: reversed ids give reversed hidden
/// states, across the blocks of rows of attention.
TEST_F(EditedModels, LongBidirectionalTextsAreEquivariant) {
  testing::Editable weights(golden_directory("bert"));
  const std::size_t tokens = 600;
  testing::Editable::Tensor& positions = weights.at("bert.embeddings.position_embeddings.weight");
  positions = {{tokens, 24}, std::vector<float>(tokens * 24, 0.0f)};
  const std::string context = "\"max_position_embeddings\": 16";
  weights.config.replace(weights.config.find(context), context.size(), "\"max_position_embeddings\": 600");
  const Transformer model = testing::load_transformer(write(weights), arena_);
  const std::vector<std::int32_t> ids = some_ids(tokens);
  const Trace forward = model.forward({1, tokens, ids, {}, {}}, kAll, Arena(2));
  const Trace backward = model.forward({1, tokens, {ids.rbegin(), ids.rend()}, {}, {}}, kAll, Arena(2));
  Matrix<float> reversed(tokens, forward.width);
  for (std::size_t i = 0; i < tokens; ++i)
    std::copy_n(backward.hidden.back().row(tokens - 1 - i), forward.width, reversed.row(i));
  EXPECT_LT(relative_error(reversed, forward.hidden.back()), 1e-5);
}

/// A sliding window hides what lies further back than its length, in every block of rows.
TEST_F(EditedModels, WindowsReachBackAsFarAsTheyShould) {
  testing::Editable weights(golden_directory("mistral"));
  const std::string context = "\"max_position_embeddings\": 64";
  weights.config.replace(weights.config.find(context), context.size(), "\"max_position_embeddings\": 640");
  const Transformer model = testing::load_transformer(write(weights), arena_);
  const Trace trace = model.forward({1, 200, some_ids(200), {}, {}}, kAll, Arena(2));
  for (std::size_t head = 0; head < trace.heads; ++head) {
    const auto a = trace.attention_at(0, 0, head);
    for (std::size_t i = 0; i < 200; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < 200; ++j) {
        const bool seen = j <= i && j + 4 > i;  // sliding_window is 4, the token itself included
        EXPECT_EQ(a(i, j) != 0.0f, seen) << i << ", " << j;
        sum += static_cast<double>(a(i, j));
      }
      EXPECT_NEAR(sum, 1, 1e-6);
    }
  }
}

}  // namespace
}  // namespace telos
