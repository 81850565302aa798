// Sentiment models as files.
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "clustering/sentiment_parts.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "telos/base/error.h"
#include "telos/base/memory.h"
#include "telos/base/utf8.h"
#include "telos/io/checkpoint.h"

namespace telos::clustering {
namespace {

constexpr std::string_view kFormat = "telos.clustering.sentiment", kVersion = "1";
/// In the order in which they are written, read and hashed.
constexpr const char* kTensors[] = {"alpha",     "decoder.bias",     "decoder.weight",
                                    "embedding", "vocabulary.count", "vocabulary.word"};

/// Where a checksum is at fault, the file is damaged, or somebody changed it by hand.
constexpr const char* kDamaged = "the file is damaged or was changed; train or import the model again";

std::string joined_words(const SentimentModel& model, const std::string& path) {
  std::string text;
  const std::vector<std::string>& words = model.vocabulary.words();
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i].find('\n') != std::string::npos)
      throw Error(ErrorKind::kUsage, path,
                  fmt::format("word {} of the vocabulary has a line break and cannot be written", i));
    text += words[i] + '\n';
  }
  return text;
}

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string config_text(const SentimentModel& model) {
  JsonFieldWriter all, config, preprocess;
  config_fields(config, model.config);
  preprocess_fields(preprocess, model.preprocess);
  all.object()["config"] = config.object();
  all.object()["preprocess"] = preprocess.object();
  all("negative", model.negative);
  all("positive", model.positive);
  all("origin", model.origin);
  return all.object().dump();
}

void read_config(const std::string& text, const std::string& where, SentimentModel& model) {
  const nlohmann::ordered_json json =
      parse_json(text, where, {.max_bytes = 1 << 20, .max_depth = 4, .max_values = 1000});
  JsonFieldReader all(json, where, ErrorKind::kBadFormat, false);
  const auto part = [&](const char* name, const auto& fill) {
    const nlohmann::ordered_json* found = all.find(name);
    if (found == nullptr) all.refuse(name, "is missing");
    JsonFieldReader inner(*found, all.place(name), ErrorKind::kBadFormat, false);
    fill(inner);
    inner.refuse_unknown();
  };
  part("config", [&](JsonFieldReader& inner) { config_fields(inner, model.config); });
  part("preprocess", [&](JsonFieldReader& inner) { preprocess_fields(inner, model.preprocess); });
  all("negative", model.negative);
  all("positive", model.positive);
  all("origin", model.origin);
  all.refuse_unknown();
}

std::string metadata_of(const Checkpoint& file, std::string_view key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return value;
  return {};
}

/// The bytes of one tensor, after its type and shape were found right and the memory there.
class TensorBytes {
 public:
  TensorBytes(const Checkpoint& file, const char* name, DType type, std::size_t dimensions)
      : place_(tensor_place(file.path(), name)) {
    const TensorInfo* info = file.find(name);
    if (info == nullptr) throw Error(ErrorKind::kBadFormat, place_, "the file does not have this tensor");
    if (info->dtype != type || info->shape.size() != dimensions)
      throw Error(ErrorKind::kShape, place_,
                  fmt::format("expected {} with {} dimensions, found {} of shape {}", to_string(type),
                              dimensions, to_string(info->dtype), info->shape_text()));
    require_memory(static_cast<double>(info->bytes), place_);
    bytes_.resize(info->bytes);
    shape = info->shape;
    file.read_bytes(*info, std::as_writable_bytes(std::span(bytes_)));
  }
  template <class T>
  std::vector<T> values() const {
    std::vector<T> out(bytes_.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), bytes_.data(), out.size() * sizeof(T));
    return out;
  }
  template <class T>
  T scalar() const {
    const std::vector<T> all = values<T>();
    if (all.size() != 1) throw Error(ErrorKind::kShape, place_, "expected one number");
    return all[0];
  }
  const std::string& text() const { return bytes_; }
  const std::string& place() const { return place_; }

  std::vector<std::uint64_t> shape;

 private:
  std::string place_, bytes_;
};

void check_format(const Checkpoint& file) {
  const std::string format = metadata_of(file, "format"), version = metadata_of(file, "version");
  if (format != kFormat)
    throw Error(ErrorKind::kBadFormat, file.path(), "this is not a sentiment model of telos",
                "train one, or import the published weights together with their vocabulary");
  if (version != kVersion)
    throw Error(ErrorKind::kBadFormat, file.path(),
                fmt::format("the sentiment model has version \"{}\", this telos reads version {}",
                            printable(version, 20), kVersion),
                "a newer telos wrote it");
  if (file.tensors().size() != std::size(kTensors))
    throw Error(ErrorKind::kBadFormat, file.path(),
                fmt::format("{} tensors, expected {}", file.tensors().size(), std::size(kTensors)));
}

Vocabulary make_vocabulary(const TensorBytes& words, const TensorBytes& counts) {
  if (valid_utf8_prefix(words.text()) != words.text().size())
    throw Error(ErrorKind::kBadFormat, words.place(), "the words are not UTF-8");
  try {
    return Vocabulary(split_words(words.text()), counts.values<std::uint64_t>());
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFormat, words.place(), error.message(), kDamaged);
  }
}

}  // namespace

void save_sentiment(const SentimentModel& model, const std::string& path) {
  model.check(path);
  const std::string words = joined_words(model, path), config = config_text(model);
  const std::vector<std::uint64_t>& all_counts = model.vocabulary.counts();
  const std::span<const std::uint64_t> counts = std::span(all_counts).subspan(1);
  const auto bytes = [](const auto* data, std::size_t size) { return std::as_bytes(std::span(data, size)); };
  const std::vector<TensorToWrite> tensors = {
      {kTensors[0], DType::kF64, {1}, bytes(&model.alpha, 1)},
      {kTensors[1], DType::kF64, {1}, bytes(&model.bias, 1)},
      {kTensors[2], DType::kF32, {model.v.size()}, bytes(model.v.data(), model.v.size())},
      {kTensors[3],
       DType::kF32,
       {model.embedding.rows(), model.embedding.cols()},
       bytes(model.embedding.data(), model.embedding.size())},
      {kTensors[4], DType::kU64, {counts.size()}, bytes(counts.data(), counts.size())},
      {kTensors[5], DType::kU8, {words.size()}, bytes(words.data(), words.size())}};
  Sha256 hash;
  hash.update(config.data(), config.size());
  for (const TensorToWrite& tensor : tensors) hash.update(tensor.data.data(), tensor.data.size());
  write_safetensors(path, tensors,
                    {{"format", std::string(kFormat)},
                     {"version", std::string(kVersion)},
                     {"model", config},
                     {"sha256", hash.hex()}});
}

SentimentModel load_sentiment(const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  check_format(file);
  const TensorBytes alpha(file, kTensors[0], DType::kF64, 1), bias(file, kTensors[1], DType::kF64, 1),
      v(file, kTensors[2], DType::kF32, 1), embedding(file, kTensors[3], DType::kF32, 2),
      counts(file, kTensors[4], DType::kU64, 1), words(file, kTensors[5], DType::kU8, 1);
  const std::string config = metadata_of(file, "model");
  Sha256 hash;
  hash.update(config.data(), config.size());
  for (const TensorBytes* tensor : {&alpha, &bias, &v, &embedding, &counts, &words})
    hash.update(tensor->text().data(), tensor->text().size());
  if (hash.hex() != metadata_of(file, "sha256"))
    throw Error(ErrorKind::kBadFormat, path, "the checksum of its content does not fit", kDamaged);

  SentimentModel model;
  read_config(config, path + ", metadata", model);
  model.alpha = alpha.scalar<double>();
  model.bias = bias.scalar<double>();
  model.v = v.values<float>();
  model.vocabulary = make_vocabulary(words, counts);
  model.embedding = Matrix<float>(embedding.shape[0], embedding.shape[1]);
  std::memcpy(model.embedding.data(), embedding.text().data(), embedding.text().size());
  model.check(path);
  return model;
}

}  // namespace telos::clustering
