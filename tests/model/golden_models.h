#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "telos/base/error.h"
#include "telos/io/checkpoint.h"
#include "telos/model/trace.h"
#include "telos/model/transformer.h"

// The tiny models of tests/golden/make_model_goldens.py and helpers to run and compare them.
namespace telos::testing {

inline const std::vector<std::string>& golden_models() {
  static const std::vector<std::string> names = {"albert",
                                                 "bert",
                                                 "deit",
                                                 "distilbert",
                                                 "gpt2",
                                                 "gpt_neox",
                                                 "gpt_neox_serial",
                                                 "llama",
                                                 "llama_rope_linear",
                                                 "llama_rope_llama3",
                                                 "mistral",
                                                 "qwen2",
                                                 "qwen3",
                                                 "roberta",
                                                 "vit"};
  return names;
}
inline std::string golden_directory(const std::string& model) {
  return std::string(TELOS_TEST_DIR) + "/golden/models/" + model;
}
inline bool reads_images(const std::string& model) {
  return model == "vit" || model == "deit";
}

/// An environment variable, or nothing if it is not set or empty.
inline std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

/// A tensor as a matrix: the last dimension is the columns.
inline Matrix<float> read_matrix(const Checkpoint& file, const std::string& name) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr) return {};
  const std::size_t cols = tensor->shape.empty() ? 1 : static_cast<std::size_t>(tensor->shape.back());
  Matrix<float> result(static_cast<std::size_t>(tensor->elements()) / cols, cols);
  file.read_all(*tensor, {result.data(), result.size()});
  return result;
}

/// Integers that the golden files store as floats.
template <class T>
std::vector<T> read_integers(const Checkpoint& file, const std::string& name) {
  const Matrix<float> values = read_matrix(file, name);
  std::vector<T> result;
  for (std::size_t i = 0; i < values.size(); ++i) result.push_back(static_cast<T>(values.data()[i]));
  return result;
}

inline TokenBatch read_batch(const Checkpoint& expected) {
  TokenBatch batch;
  batch.sequences = static_cast<std::size_t>(expected.find("ids")->shape[0]);
  batch.tokens = static_cast<std::size_t>(expected.find("ids")->shape[1]);
  batch.ids = read_integers<std::int32_t>(expected, "ids");
  batch.mask = read_integers<std::uint8_t>(expected, "mask");
  batch.types = read_integers<std::int32_t>(expected, "types");
  return batch;
}

inline Transformer load_transformer(const std::string& path, const Arena& arena) {
  const Checkpoint checkpoint = Checkpoint::open(path);
  return Transformer::load(checkpoint, identify(checkpoint), arena);
}

/// The golden input of `model` through `transformer`.
inline Trace run_golden(const std::string& model, const Transformer& transformer, const Taps& taps,
                        const Arena& arena) {
  const Checkpoint expected = Checkpoint::open(golden_directory(model) + "/expected.safetensors");
  if (!reads_images(model)) return transformer.forward(read_batch(expected), taps, arena);
  const Matrix<float> rows = read_matrix(expected, "pixels");
  const auto images = static_cast<std::size_t>(expected.find("pixels")->shape[0]);
  return transformer.forward_images({rows.data(), images, rows.size() / images}, taps, arena);
}

/// ‖a − b‖_F / ‖b‖_F; infinite if the shapes differ or a value is NaN.
inline double relative_error(ConstMatrixView<float> a, ConstMatrixView<float> b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return HUGE_VAL;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.rows(); ++i) {
    for (std::size_t j = 0; j < a.cols(); ++j) {
      difference += std::pow(static_cast<double>(a(i, j)) - static_cast<double>(b(i, j)), 2);
      norm += std::pow(static_cast<double>(b(i, j)), 2);
    }
  }
  const double error = std::sqrt(difference / norm);
  return std::isnan(error) ? HUGE_VAL : error;
}

inline bool same_bits(ConstMatrixView<float> a, ConstMatrixView<float> b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (std::size_t i = 0; i < a.rows(); ++i)
    if (!std::equal(a.row(i), a.row(i) + a.cols(), b.row(i))) return false;
  return true;
}

}  // namespace telos::testing
