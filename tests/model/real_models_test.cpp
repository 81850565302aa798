#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "telos/io/files.h"
#include "tests/model/editable.h"
#include "tests/model/golden_models.h"

// Small trained models with reference activations, and the sentence embeddings of all-MiniLM-L6-v2. Their
// files are not part of the repository: TELOS_TEST_DATA names the folder that holds models/,
// TELOS_TEST_MINILM the directory of all-MiniLM-L6-v2. The same code is covered by the tiny models of
// forward_test.cpp.
namespace telos {
namespace {

using testing::read_matrix;
using testing::relative_error;

constexpr Taps kAll{.hidden = true, .attention = true, .sublayers = false, .logits = true};

class RealModel : public ::testing::Test {
 protected:
  /// Directory of a model, or empty if the data is not there.
  static std::string directory(const std::string& name) {
    const auto data = testing::environment("TELOS_TEST_DATA");
    return data ? *data + "/models/" + name : "";
  }
  Arena arena_{2};
};

#define TELOS_REQUIRE_DATA(path) \
  if ((path).empty()) GTEST_SKIP() << "set TELOS_TEST_DATA to the folder that holds models/"

/// The reference stores ids as integers, which Checkpoint does not decode; they lie in the file as 64-bit
/// words.
std::vector<std::int32_t> read_ids(const Checkpoint& file, const std::string& name) {
  const TensorInfo& tensor = *file.find(name);
  const std::string bytes = read_file(file.files()[tensor.file]);
  std::vector<std::int32_t> ids;
  for (std::uint64_t i = 0; i < tensor.elements(); ++i) {
    std::int64_t id;
    std::memcpy(&id, bytes.data() + tensor.offset + 8 * i, 8);
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

std::vector<float> decode_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text.substr(0, text.find('='))) {
    bits = bits << 6 | static_cast<std::uint32_t>(kDigits.find(c));
    if ((count += 6) >= 8) bytes.push_back(static_cast<char>(bits >> (count -= 8)));
  }
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

void expect_hidden(const Trace& trace, const Checkpoint& reference) {
  const Matrix<float> hidden = read_matrix(reference, "hidden_states");
  const std::size_t rows = trace.sequences * trace.tokens;
  ASSERT_EQ(hidden.rows(), (trace.layers + 1) * rows);
  for (std::size_t l = 0; l <= trace.layers; ++l)
    EXPECT_LT(relative_error(trace.hidden[l], hidden.view().block(l * rows, 0, rows, trace.width)), 1e-5)
        << l;
}

TEST_F(RealModel, TinyStoriesLlama) {
  const std::string path = directory("tinystories-260k-llama");
  TELOS_REQUIRE_DATA(path);
  const Checkpoint reference = Checkpoint::open(path + "/reference.safetensors");
  const Transformer model = testing::load_transformer(path + "/model.safetensors", arena_);
  EXPECT_EQ(model.parameters(), 260032u);
  const Trace trace = model.forward({1, 48, read_ids(reference, "input_ids"), {}, {}}, kAll, arena_);
  expect_hidden(trace, reference);
  EXPECT_LT(relative_error(trace.logits, read_matrix(reference, "logits")), 1e-5);
}

TEST_F(RealModel, RxnMapperAlbert) {
  const std::string path = directory("rxnmapper-albert");
  TELOS_REQUIRE_DATA(path);
  const Checkpoint reference = Checkpoint::open(path + "/reference.safetensors");
  const Transformer model = testing::load_transformer(path + "/model.safetensors", arena_);
  const Trace trace = model.forward({1, 56, read_ids(reference, "input_ids"), {}, {}}, kAll, arena_);
  ASSERT_EQ(trace.layers, 12u);
  expect_hidden(trace, reference);
  EXPECT_LT(relative_error(trace.attention[0], read_matrix(reference, "attention_layer0")), 1e-5);
  EXPECT_LT(relative_error(trace.attention[11], read_matrix(reference, "attention_layer11")), 1e-5);
  EXPECT_LT(relative_error(trace.logits, read_matrix(reference, "logits")), 1e-5);
}

/// The safetensors file leaves out the biases of c_attn, which the reference has; they are in the upstream
/// JSON. The reference is float PyTorch output that agrees with exact arithmetic to 2.4e-6.
TEST_F(RealModel, GptNanoSort) {
  const std::string path = directory("gpt-nano-sort");
  TELOS_REQUIRE_DATA(path);
  const Checkpoint reference = Checkpoint::open(path + "/reference.safetensors");
  testing::Editable weights(path);
  const std::string upstream = read_file(path + "/gpt-nano-sort-model.json");
  for (std::size_t l = 0; l < 3; ++l) {
    const std::string name = "transformer.h." + std::to_string(l) + ".attn.c_attn.bias";
    const std::size_t data = upstream.find("\"data\"", upstream.find('"' + name + '"')) + 6;
    const std::size_t first = upstream.find('"', data) + 1;
    weights.tensors[name] = {{144},
                             decode_base64({upstream.data() + first, upstream.find('"', first) - first})};
  }
  const testing::TemporaryDirectory folder;
  weights.write(folder.path());
  const Transformer model = testing::load_transformer(folder.path().string(), arena_);
  const Trace trace = model.forward({3, 11, read_ids(reference, "idx"), {}, {}}, kAll, arena_);
  EXPECT_LT(relative_error(trace.hidden[0], read_matrix(reference, "x")), 1e-5);
  for (std::size_t l = 0; l < 3; ++l)
    EXPECT_LT(relative_error(trace.hidden[l + 1], read_matrix(reference, "block" + std::to_string(l))), 1e-5)
        << l;
  EXPECT_LT(relative_error(trace.attention[0], read_matrix(reference, "attSm")), 1e-5);
  EXPECT_LT(relative_error(trace.final_hidden, read_matrix(reference, "ln_f")), 1e-5);
  EXPECT_LT(relative_error(trace.logits, read_matrix(reference, "lm_head")), 1e-5);
}

/// Mean over tokens of the last hidden state, divided by its norm, equals sentence-transformers' embedding.
TEST_F(RealModel, MiniLmSentenceEmbeddings) {
  const auto path = testing::environment("TELOS_TEST_MINILM");
  if (!path) GTEST_SKIP() << "set TELOS_TEST_MINILM to the directory of all-MiniLM-L6-v2";
  const Transformer model = testing::load_transformer(*path, arena_);
  const Checkpoint expected = Checkpoint::open(testing::golden_directory("minilm_embeddings.safetensors"));
  std::size_t sentences = 0;
  for (; expected.find("ids." + std::to_string(sentences)) != nullptr; ++sentences) {
    const auto ids = testing::read_integers<std::int32_t>(expected, "ids." + std::to_string(sentences));
    const Trace trace = model.forward({1, ids.size(), ids, {}, {}}, {}, arena_);
    Matrix<float> mean(1, trace.width);
    double square = 0;
    for (std::size_t j = 0; j < trace.width; ++j) {
      double sum = 0;
      for (std::size_t i = 0; i < trace.tokens; ++i) sum += static_cast<double>(trace.hidden.back()(i, j));
      mean(0, j) = static_cast<float>(sum);
      square += sum * sum;
    }
    for (std::size_t j = 0; j < trace.width; ++j) mean(0, j) /= static_cast<float>(std::sqrt(square));
    EXPECT_LT(relative_error(mean, read_matrix(expected, "embedding." + std::to_string(sentences))), 1e-5)
        << sentences;
  }
  EXPECT_EQ(sentences, 5u);
}

}  // namespace
}  // namespace telos
