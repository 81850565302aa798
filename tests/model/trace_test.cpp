#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/io/checkpoint.h"
#include "telos/model/trace.h"
#include "tests/model/editable.h"
#include "tests/model/golden_models.h"

namespace telos {
namespace {

constexpr std::size_t kTokens = 3, kWidth = 2, kHeads = 2, kLayers = 2;

/// Tensors in memory that a test bends before they are written.
struct File {
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    std::vector<float> values;
    DType dtype = DType::kF32;
    std::string raw{};  // bytes of types that are not F32
  };
  std::vector<Tensor> tensors;

  Tensor& at(const std::string& name) {
    for (Tensor& tensor : tensors)
      if (tensor.name == name) return tensor;
    ADD_FAILURE() << "no tensor " << name;
    return tensors.front();
  }
  void drop(const std::string& name) {
    std::erase_if(tensors, [&](const Tensor& tensor) { return tensor.name == name; });
  }
  void write(const std::string& path) const {
    std::vector<TensorToWrite> out;
    for (const Tensor& tensor : tensors)
      out.push_back({tensor.name, tensor.dtype, tensor.shape,
                     tensor.raw.empty() ? std::as_bytes(std::span(tensor.values))
                                        : std::as_bytes(std::span(tensor.raw))});
    write_safetensors(path, out);
  }
};

/// A sound trace: hidden states count up, causal attention is uniform over the past.
File sound() {
  File file;
  for (std::size_t l = 0; l <= kLayers; ++l) {
    std::vector<float> hidden(kTokens * kWidth);
    for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] = static_cast<float>(10 * l + i);
    file.tensors.push_back({"hidden." + std::to_string(l), {kTokens, kWidth}, hidden});
  }
  for (std::size_t l = 0; l < kLayers; ++l) {
    std::vector<float> attention(kHeads * kTokens * kTokens);
    for (std::size_t r = 0; r < kHeads * kTokens; ++r)
      for (std::size_t j = 0; j <= r % kTokens; ++j)
        attention[r * kTokens + j] = 1.0f / static_cast<float>(r % kTokens + 1);
    file.tensors.push_back({"attn." + std::to_string(l), {kHeads, kTokens, kTokens}, attention});
  }
  return file;
}

class TraceFiles : public ::testing::Test {
 protected:
  Trace read(const File& file) {
    file.write(path_);
    return read_trace(path_);
  }
  std::pair<ErrorKind, std::string> failure(const File& file) {
    try {
      read(file);
    } catch (const Error& error) {
      return {error.kind(), error.message()};
    }
    return {ErrorKind::kInternal, "nothing was thrown"};
  }

  testing::TemporaryDirectory folder_;
  const std::string path_ = (folder_.path() / "trace.safetensors").string();
};

TEST_F(TraceFiles, Sound) {
  const Trace trace = read(sound());
  EXPECT_TRUE(is_trace(path_));
  EXPECT_EQ(trace.sequences, 1u);
  EXPECT_EQ(trace.tokens, kTokens);
  EXPECT_EQ(trace.width, kWidth);
  EXPECT_EQ(trace.layers, kLayers);
  EXPECT_EQ(trace.heads, kHeads);
  EXPECT_TRUE(trace.causal);
  EXPECT_TRUE(trace.mask.empty());
  EXPECT_EQ(trace.source, path_);
  EXPECT_EQ(trace.hidden[2](1, 1), 23.0f);
  EXPECT_EQ(trace.attention_at(1, 0, 1)(1, 0), 0.5f);
}

TEST_F(TraceFiles, WithoutAttention) {
  File file = sound();
  file.drop("attn.0");
  file.drop("attn.1");
  const Trace trace = read(file);
  EXPECT_EQ(trace.heads, 0u);
  EXPECT_TRUE(trace.attention.empty());
  EXPECT_FALSE(trace.causal);
}

TEST_F(TraceFiles, NotCausalIfOneEntryLooksAhead) {
  File file = sound();
  file.at("attn.1").values[0] = 0.75f;
  file.at("attn.1").values[2] = 0.25f;
  EXPECT_FALSE(read(file).causal);
}

// What a framework leaves in rows of padding does not make a decoder an encoder.
TEST_F(TraceFiles, PaddingMayLookAnywhere) {
  File file = sound();
  file.tensors.push_back({"mask", {kTokens}, {0, 1, 1}});
  const std::vector<float> rows = {1.0f / 3, 1.0f / 3, 1.0f / 3, 0, 1, 0, 0, 0.5f, 0.5f};
  for (std::size_t l = 0; l < kLayers; ++l)
    for (std::size_t h = 0; h < kHeads; ++h)
      std::copy(rows.begin(), rows.end(),
                file.at("attn." + std::to_string(l)).values.begin() +
                    static_cast<std::ptrdiff_t>(h * kTokens * kTokens));
  EXPECT_TRUE(read(file).causal);
  file.drop("mask");
  EXPECT_FALSE(read(file).causal);
}

TEST_F(TraceFiles, BatchDimension) {
  File file = sound();
  for (File::Tensor& tensor : file.tensors) {
    tensor.shape.insert(tensor.shape.begin(), 2);
    const std::vector<float> once = tensor.values;
    tensor.values.insert(tensor.values.end(), once.begin(), once.end());
  }
  file.tensors.push_back({"mask", {2, kTokens}, {1, 1, 1, 1, 1, 0}});
  const Trace trace = read(file);
  EXPECT_EQ(trace.sequences, 2u);
  EXPECT_EQ(trace.hidden_at(1, 1)(0, 1), 11.0f);
  EXPECT_EQ(trace.attention_at(0, 1, 1)(2, 2), 1.0f / 3.0f);
  EXPECT_EQ(trace.mask, (std::vector<std::uint8_t>{1, 1, 1, 1, 1, 0}));
}

TEST_F(TraceFiles, MixedSingleBatchDimension) {
  File file = sound();
  file.at("attn.0").shape.insert(file.at("attn.0").shape.begin(),
                                 1);  // transformers keeps the batch dimension
  file.tensors.push_back({"mask", {1, kTokens}, {1, 1, 1}});
  EXPECT_EQ(read(file).sequences, 1u);
}

TEST_F(TraceFiles, MaskOfAnyType) {
  for (const DType type : {DType::kBool, DType::kU8, DType::kI32, DType::kI64}) {
    File file = sound();
    const std::size_t size = bits(type) / 8;
    std::string raw(kTokens * size, '\0');
    raw[0] = raw[size] = 1;
    file.tensors.push_back({"mask", {kTokens}, {}, type, raw});
    EXPECT_EQ(read(file).mask, (std::vector<std::uint8_t>{1, 1, 0})) << to_string(type);
  }
  File file = sound();
  file.tensors.push_back({"mask", {kTokens}, {}, DType::kI64, std::string(8 * kTokens, '\1')});
  EXPECT_EQ(failure(file).first, ErrorKind::kBadFormat);
}

TEST_F(TraceFiles, MaskAbuse) {
  File file = sound();
  file.tensors.push_back({"mask", {kTokens}, {1, 0.5f, 0}});
  EXPECT_EQ(failure(file), std::pair(ErrorKind::kBadFormat, std::string("entry 1 is neither 0 nor 1")));
  file.at("mask") = {"mask", {kTokens + 1}, {1, 1, 1, 1}};
  EXPECT_EQ(failure(file).first, ErrorKind::kShape);
  file.at("mask") = {"mask", {kTokens}, {}, DType::kC64, std::string(8 * kTokens, '\0')};
  EXPECT_EQ(failure(file).first, ErrorKind::kUnsupported);
}

TEST_F(TraceFiles, MissingLayers) {
  File file = sound();
  file.drop("hidden.1");
  EXPECT_EQ(failure(file), std::pair(ErrorKind::kBadFormat, std::string("no tensor hidden.1 in this trace")));
  file = sound();
  file.drop("attn.0");
  EXPECT_EQ(failure(file).first, ErrorKind::kBadFormat);
  file = sound();
  file.drop("hidden.2");
  EXPECT_EQ(
      failure(file),
      std::pair(ErrorKind::kBadFormat,
                std::string("attn.1 belongs to layer 1, but there are 1 layers (hidden.0 … hidden.1)")));
  file = sound();
  file.drop("hidden.0");
  EXPECT_EQ(failure(file).first, ErrorKind::kBadFormat);
  EXPECT_FALSE(is_trace(path_));
  File only;
  only.tensors.push_back({"hidden.0", {kTokens, kWidth}, std::vector<float>(kTokens * kWidth)});
  EXPECT_EQ(failure(only).first, ErrorKind::kBadFormat);
}

TEST_F(TraceFiles, WrongShapes) {
  const auto with = [&](const std::string& name, std::vector<std::uint64_t> shape) {
    File file = sound();
    std::uint64_t count = 1;
    for (const std::uint64_t extent : shape) count *= extent;
    file.at(name).shape = shape;
    file.at(name).values.resize(static_cast<std::size_t>(count));
    return failure(file);
  };
  EXPECT_EQ(with("hidden.0", {6}).first, ErrorKind::kShape);
  EXPECT_EQ(with("hidden.0", {0, 2}).first, ErrorKind::kShape);
  EXPECT_EQ(with("hidden.0", {1, 1, 3, 2}).first, ErrorKind::kShape);
  EXPECT_EQ(
      with("hidden.1", {2, 3}),
      std::pair(ErrorKind::kShape, std::string("expected [3, 2] to go with hidden.0 [3, 2], found [2, 3]")));
  EXPECT_EQ(with("hidden.1", {2, 3, 2}).first, ErrorKind::kShape);
  EXPECT_EQ(with("attn.0", {2, 3, 4}).first, ErrorKind::kShape);
  EXPECT_EQ(with("attn.0", {3, 3}).first, ErrorKind::kShape);
  EXPECT_EQ(with("attn.0", {0, 3, 3}).first, ErrorKind::kShape);
  EXPECT_EQ(with("attn.1", {3, 3, 3}).first, ErrorKind::kShape);
}

TEST_F(TraceFiles, NotFinite) {
  File file = sound();
  file.at("hidden.2").values[4] = std::nanf("");
  EXPECT_EQ(failure(file),
            std::pair(ErrorKind::kNotFinite, std::string("the value at index 4 is NaN or infinite")));
  file = sound();
  file.at("attn.0").values[1] = -HUGE_VALF;
  EXPECT_EQ(failure(file).first, ErrorKind::kNotFinite);
}

TEST_F(TraceFiles, RowsThatNoSoftmaxLeavesAreRefused) {
  File file = sound();
  file.at("attn.1").values[4 * kTokens] = 0.25f;  // row 4 is token 1 of head 1
  EXPECT_EQ(failure(file),
            std::pair(ErrorKind::kBadFormat,
                      std::string("sequence 0, head 1, row 1: expected a sum of 1, found 0.750000")));
  file.tensors.push_back({"mask", {kTokens}, {1, 0, 1}});
  EXPECT_EQ(failure(file),
            std::pair(ErrorKind::kBadFormat,
                      std::string("sequence 0, head 0, row 2: a real token attends to padding with 0.333333 "
                                  "of its weight")));
  for (std::size_t l = 0; l < kLayers; ++l)
    for (std::size_t h = 0; h < kHeads; ++h)
      for (const auto& [j, weight] : {std::pair(0, 0.5f), {1, 0.0f}, {2, 0.5f}})
        file.at("attn." + std::to_string(l))
            .values[h * kTokens * kTokens + 2 * kTokens + static_cast<std::size_t>(j)] = weight;
  EXPECT_EQ(read(file).attention[1](4, 0), 0.25f);  // padding may have any
  file = sound();
  file.at("attn.0").values[6] = -1;  // the row [-1, 5/3, 1/3]
  file.at("attn.0").values[7] = 5.0f / 3;
  EXPECT_EQ(failure(file),
            std::pair(ErrorKind::kBadFormat,
                      std::string(
                          "sequence 0, head 0, row 2: no entry of attention is negative, found -1.000000")));
  file = sound();
  file.at("attn.0").values[6] += 0.005f;  // as half precision may leave it
  EXPECT_NO_THROW(read(file));
}

TEST_F(TraceFiles, ASequenceOfPaddingAloneIsRefused) {
  File file = sound();
  file.tensors.push_back({"mask", {kTokens}, {0, 0, 0}});
  EXPECT_EQ(failure(file), std::pair(ErrorKind::kBadFormat, std::string("sequence 0 has no real token")));
}

TEST_F(TraceFiles, HalfPrecision) {
  for (const DType type : {DType::kBF16, DType::kF16}) {
    File file = sound();
    for (File::Tensor& tensor : file.tensors) {
      tensor.dtype = type;
      for (const float value : tensor.values) {
        std::uint16_t half = encode_bf16(value);
        if (type == DType::kF16) {  // all values here are normal numbers of F16
          std::uint32_t word;
          std::memcpy(&word, &value, 4);
          half = value == 0 ? 0 : static_cast<std::uint16_t>((word >> 13) - (112u << 10));
        }
        tensor.raw.append(reinterpret_cast<const char*>(&half), 2);
      }
    }
    const Trace trace = read(file);
    EXPECT_EQ(trace.hidden[1](2, 1), 15.0f);
    EXPECT_NEAR(trace.attention[0](2, 0), 1.0 / 3.0, std::ldexp(1.0, type == DType::kF16 ? -12 : -9));
  }
}

TEST_F(TraceFiles, OtherTensorsAreIgnored) {
  File file = sound();
  file.tensors.push_back({"hidden.x", {1}, {1}});
  file.tensors.push_back({"hidden.", {1}, {1}});
  file.tensors.push_back({"hidden.1.grad", {1}, {1}});
  file.tensors.push_back({"ids", {kTokens}, {1, 2, 3}});
  EXPECT_EQ(read(file).layers, kLayers);
}

TEST_F(TraceFiles, WrittenAndReadBack) {
  const Arena arena(1);
  for (const char* model : {"bert", "gpt2", "vit"}) {
    const Transformer transformer = testing::load_transformer(testing::golden_directory(model), arena);
    const Trace trace = testing::run_golden(
        model, transformer, {.hidden = true, .attention = true, .sublayers = true, .logits = true}, arena);
    write_trace(path_, trace);
    const Trace back = read_trace(path_);
    EXPECT_EQ(back.sequences, trace.sequences);
    EXPECT_EQ(back.mask, trace.mask);
    for (std::size_t l = 0; l < trace.layers; ++l) {
      EXPECT_TRUE(testing::same_bits(back.hidden[l + 1], trace.hidden[l + 1]));
      EXPECT_TRUE(testing::same_bits(back.attention[l], trace.attention[l]));
      EXPECT_TRUE(testing::same_bits(back.attention_input[l], trace.attention_input[l]));
      EXPECT_TRUE(testing::same_bits(back.attention_residual[l], trace.attention_residual[l]));
    }
    EXPECT_TRUE(testing::same_bits(back.logits, trace.logits));
    EXPECT_TRUE(testing::same_bits(back.final_hidden, trace.final_hidden));
  }
}

TEST_F(TraceFiles, GoldensAreTraces) {
  const Trace trace = read_trace(testing::golden_directory("mistral") + "/expected.safetensors");
  EXPECT_TRUE(trace.causal);
  EXPECT_EQ(trace.logits.cols(), 40u);
}

TEST_F(TraceFiles, NothingToWrite) {
  Trace empty;
  EXPECT_THROW(write_trace(path_, empty), Error);
}

}  // namespace
}  // namespace telos
