// Models and their configs as files.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "io/json.h"
#include "io/safetensors.h"
#include "positional/model_parts.h"
#include "telos/base/error.h"
#include "telos/base/nearest.h"
#include "telos/io/checkpoint.h"
#include "telos/io/files.h"
#include "telos/positional/lab.h"

namespace telos::positional {
namespace {

using Json = nlohmann::ordered_json;

// ---- Config
// -------------------------------------------------------------------------------------------------------------------

template <class Enum>
struct Word {
  Enum value;
  const char* text;
};
constexpr Word<ModelConfig::Mixer> kMixers[] = {{ModelConfig::Mixer::kAttention, "attention"},
                                                {ModelConfig::Mixer::kGcn, "gcn"},
                                                {ModelConfig::Mixer::kGin, "gin"}};
constexpr Word<ModelConfig::Source> kSources[] = {{ModelConfig::Source::kFeatures, "features"},
                                                  {ModelConfig::Source::kPositions, "positions"},
                                                  {ModelConfig::Source::kBoth, "both"}};
constexpr Word<ModelConfig::Rope> kRopes[] = {{ModelConfig::Rope::kNone, "none"},
                                              {ModelConfig::Rope::kTrue, "true"},
                                              {ModelConfig::Rope::kNoOp, "no_op"}};
constexpr Word<Encoding> kEncodings[] = {
    {Encoding::kOneHot, "onehot"}, {Encoding::kBinary, "binary"}, {Encoding::kSinusoidal, "sinusoidal"}};

/// Names each field once, for writing and for reading.
template <class Config, class Field>
void for_fields(Config& config, const Field& field) {
  field("mixer", config.mixer, std::span(kMixers));
  field("source", config.source, std::span(kSources));
  field("input_positions", config.input_positions);
  field("rope", config.rope, std::span(kRopes));
  field("direct_logits", config.direct_logits);
  field("hard", config.hard);
  field("bias", config.bias);
  field("vocabulary", config.vocabulary);
  field("nodes", config.nodes);
  field("scratch", config.scratch);
  field("in_dim", config.in_dim);
  field("out_dim", config.out_dim);
  field("width", config.width);
  field("heads", config.heads);
  field("hidden", config.hidden);
  field("mlp_layers", config.mlp_layers);
  field("layers", config.layers);
  field("encoding", config.encoding, std::span(kEncodings));
  field("encoding_dim", config.encoding_dim);
}

struct Writer {
  Json& object;
  void operator()(const char* key, bool value) const { object[key] = value; }
  void operator()(const char* key, std::size_t value) const { object[key] = value; }
  template <class Enum, std::size_t N>
  void operator()(const char* key, Enum value, std::span<const Word<Enum>, N> words) const {
    for (const Word<Enum>& word : words)
      if (word.value == value) object[key] = word.text;
  }
};

/// Reads the fields that are there; the others keep their defaults.
class FieldReader {
 public:
  FieldReader(const Json& object, const std::string& where, std::vector<std::string>& known)
      : object_(object), where_(where), known_(known) {}

  void operator()(const char* key, bool& out) const {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_boolean()) fail(key, "true or false", *value);
    out = value->get<bool>();
  }
  void operator()(const char* key, std::size_t& out) const {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_number_unsigned()) fail(key, "a whole number that is not negative", *value);
    out = value->get<std::size_t>();
  }
  template <class Enum, std::size_t N>
  void operator()(const char* key, Enum& out, std::span<const Word<Enum>, N> words) const {
    const Json* value = find(key);
    if (value == nullptr) return;
    std::string expected = "one of";
    for (const Word<Enum>& word : words) {
      if (value->is_string() && value->get_ref<const std::string&>() == word.text) {
        out = word.value;
        return;
      }
      expected += fmt::format(" \"{}\"", word.text);
    }
    fail(key, expected, *value);
  }

 private:
  const Json* find(const char* key) const {
    known_.push_back(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  [[noreturn]] void fail(const char* key, const std::string& expected, const Json& found) const {
    throw Error(ErrorKind::kBadFormat, where_ + ": " + key,
                "expected " + expected + ", found " + printable(found.dump(), 60));
  }

  const Json& object_;
  const std::string& where_;
  std::vector<std::string>& known_;
};

/// A file is at fault for what it says, not the caller.
void check_of_file(const ModelConfig& config, const std::string& where) {
  try {
    check(config);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadFormat, where + ": " + error.where(), error.message(), error.hint());
  }
}

// ---- Tensors
// ------------------------------------------------------------------------------------------------------------------

constexpr const char* kConfigKey = "telos.positional.config";
constexpr const char* kOriginKey = "telos.positional.origin";
constexpr const char* kTaskKey = "telos.positional.task";
constexpr const char* kHopKey = "telos.positional.hop_model";

std::string metadata_of(const Checkpoint& file, std::string_view key) {
  for (const auto& [name, value] : file.metadata())
    if (name == key) return value;
  return {};
}

ModelConfig find_config(const Checkpoint& file, const std::string& path) {
  if (const std::string text = metadata_of(file, kConfigKey); !text.empty())
    return parse_config(text, path + ", metadata");
  if (!metadata_of(file, kHopKey).empty())
    throw Error(ErrorKind::kUnsupported, path,
                "holds the blocks that k-hop was published with, which only `train` runs",
                "the same training with --resume shows their errors again");
  namespace fs = std::filesystem;
  const fs::path beside = fs::path(path).replace_extension(".json");
  const fs::path in_folder = fs::path(file.directory()) / "config.json";
  for (const fs::path& candidate : {beside, in_folder})
    if (std::error_code ignored; fs::is_regular_file(candidate, ignored))
      return parse_config(read_text(candidate.string(), 1 << 20), candidate.string());
  throw Error(ErrorKind::kMissingFile, path, "no model config in the file's metadata, and none beside it",
              fmt::format("write the config as {} or {}", beside.string(), in_folder.string()));
}

/// What all names of the file have in front of the expected ones ("module."), or "".
std::string common_prefix(const Checkpoint& file, const nn::ParameterLayout& layout) {
  const std::string& first = layout[0].name;
  for (const TensorInfo& tensor : file.tensors())
    if (tensor.name.size() > first.size() && tensor.name.ends_with("." + first))
      return tensor.name.substr(0, tensor.name.size() - first.size());
  return {};
}

std::vector<std::string> names_of(const Checkpoint& file) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : file.tensors()) names.push_back(tensor.name);
  return names;
}

std::vector<std::uint64_t> file_shape(const nn::ParameterInfo& p) {
  if (p.vector) return {p.cols};
  return {p.rows, p.cols};
}

void check_tensor(const TensorInfo& tensor, const std::string& path, const nn::ParameterInfo& p) {
  if (tensor.shape != file_shape(p))
    throw Error(ErrorKind::kShape, tensor_place(path, tensor.name),
                fmt::format("expected [{}], found {}", fmt::join(file_shape(p), ", "), tensor.shape_text()),
                "do the file and its config belong together?");
  if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kF64)
    throw Error(ErrorKind::kUnsupported, tensor_place(path, tensor.name),
                fmt::format("expected F32 or F64, found {}", to_string(tensor.dtype)));
}

/// Finds the tensor of each parameter: by name, then, for parameters that are left over, by shape, where one
/// parameter and one tensor are left of that shape.
class TensorMatch {
 public:
  TensorMatch(const Checkpoint& file, const std::string& path, const nn::ParameterLayout& layout)
      : file_(file), path_(path), layout_(layout), prefix_(common_prefix(file, layout)) {}

  std::vector<const TensorInfo*> tensors() {
    for (const nn::ParameterInfo& p : layout_.entries()) found_.push_back(file_.find(prefix_ + p.name));
    for (std::size_t i = 0; i < found_.size(); ++i)
      if (found_[i] == nullptr) missing_.push_back(i);
    find_left_over();
    match_by_shape();
    if (!left_over_.empty())
      throw Error(ErrorKind::kBadFormat, tensor_place(path_, left_over_[0]->name),
                  "no tensor of this model has this name",
                  nearest_hint(left_over_[0]->name, expected_names()));
    for (std::size_t i = 0; i < found_.size(); ++i) check_tensor(*found_[i], path_, layout_[i]);
    return found_;
  }

 private:
  void find_left_over() {
    std::set<const TensorInfo*> used(found_.begin(), found_.end());
    for (const TensorInfo& tensor : file_.tensors())
      if (!used.contains(&tensor)) left_over_.push_back(&tensor);
  }

  void match_by_shape() {
    const std::vector<const TensorInfo*> candidates = left_over_;
    for (const std::size_t i : missing_) {
      const auto shape = file_shape(layout_[i]);
      const auto fits = [&](const TensorInfo* t) { return t->shape == shape; };
      const auto rivals = std::count_if(missing_.begin(), missing_.end(),
                                        [&](std::size_t k) { return file_shape(layout_[k]) == shape; });
      if (rivals != 1 || std::count_if(candidates.begin(), candidates.end(), fits) != 1) refuse_missing(i);
      found_[i] = *std::find_if(candidates.begin(), candidates.end(), fits);
      std::erase(left_over_, found_[i]);
    }
  }

  [[noreturn]] void refuse_missing(std::size_t i) const {
    const std::string name = prefix_ + layout_[i].name;
    throw Error(ErrorKind::kBadFormat, tensor_place(path_, name),
                "the model's config asks for it, but it is not there, nor is it the only one of its shape",
                nearest_hint(name, names_of(file_)));
  }
  std::vector<std::string> expected_names() const {
    std::vector<std::string> names;
    for (const nn::ParameterInfo& p : layout_.entries()) names.push_back(prefix_ + p.name);
    return names;
  }

  const Checkpoint& file_;
  const std::string& path_;
  const nn::ParameterLayout& layout_;
  std::string prefix_;
  std::vector<const TensorInfo*> found_{}, left_over_{};
  std::vector<std::size_t> missing_{};
};

void read_finite(const Checkpoint& file, const TensorInfo& tensor, const std::string& path,
                 MatrixView<double> out) {
  file.read(tensor, 0, 0, out);
  for (std::size_t i = 0; i < out.rows(); ++i)
    for (std::size_t j = 0; j < out.cols(); ++j)
      if (!std::isfinite(out(i, j)))
        throw Error(ErrorKind::kNotFinite, tensor_place(path, tensor.name),
                    fmt::format("the entry [{}, {}] is {}", i, j, out(i, j)));
}

/// A bias that a bias-free model holds would silently not act.
void refuse_biases(const Model& model, const std::string& path) {
  if (model.config.bias) return;
  for (const nn::ParameterInfo& p : model.layout.entries()) {
    if (!p.name.ends_with(".bias") || p.name.ends_with(".qk.bias")) continue;
    const auto values = std::span(model.values).subspan(p.offset, p.size());
    if (std::any_of(values.begin(), values.end(), [](double x) { return x != 0; }))
      throw Error(ErrorKind::kBadFormat, tensor_place(path, p.name),
                  "is not zero, but the config says that the model has no biases");
  }
}

/// Throws kNotFinite for a number that this file's type does not have.
template <class T>
std::vector<T> narrowed(const Model& model, const std::string& path) {
  std::vector<T> values(model.values.size());
  for (const nn::ParameterInfo& p : model.layout.entries())
    for (std::size_t i = p.offset; i < p.offset + p.size(); ++i) {
      values[i] = static_cast<T>(model.values[i]);
      if (!std::isfinite(values[i]))
        throw Error(ErrorKind::kNotFinite, tensor_place(path, p.name),
                    fmt::format("the value {} cannot be written", model.values[i]),
                    std::isfinite(model.values[i]) ? "it is beyond the range of float32: write float64" : "");
    }
  return values;
}

using Metadata = std::vector<std::pair<std::string, std::string>>;

template <class T>
void write_model(const Model& model, const std::string& path, DType type, Metadata metadata) {
  const std::vector<T> values = narrowed<T>(model, path);
  std::vector<TensorToWrite> tensors;
  for (const nn::ParameterInfo& p : model.layout.entries())
    tensors.push_back(
        {.name = p.name,
         .dtype = type,
         .shape = p.vector ? std::vector<std::uint64_t>{p.cols} : std::vector<std::uint64_t>{p.rows, p.cols},
         .data = std::as_bytes(std::span(values).subspan(p.offset, p.size()))});
  metadata.emplace_back(kOriginKey, model.origin);
  if (!model.task.empty()) metadata.emplace_back(kTaskKey, model.task);
  write_safetensors(path, tensors, metadata);
}

/// Fills a model's values from the tensors that its layout names.
void read_values(const Checkpoint& file, const std::string& path, Model& model) {
  // Nothing is allocated before the file has proven the sizes of its config.
  const std::vector<const TensorInfo*> tensors = TensorMatch(file, path, model.layout).tensors();
  model.values.resize(model.layout.size());
  for (std::size_t i = 0; i < tensors.size(); ++i)
    read_finite(file, *tensors[i], path, model.layout.view(std::span(model.values), i));
}

}  // namespace

std::string config_json(const ModelConfig& config) {
  Json object = Json::object();
  for_fields(config, Writer{object});
  return object.dump();
}

ModelConfig parse_config(std::string_view json, const std::string& where) {
  const Json object = parse_json(json, where, {.max_bytes = 1 << 20, .max_depth = 4, .max_values = 1000});
  if (!object.is_object())
    throw Error(ErrorKind::kBadFormat, where, "expected an object with the fields of a model");
  ModelConfig config;
  std::vector<std::string> known;
  for_fields(config, FieldReader(object, where, known));
  if (object.contains("model_type") || object.contains("architectures"))
    throw Error(ErrorKind::kBadFormat, where, "this is the config of another kind of model",
                "a model that train, compile or convert wrote is expected; heads and whatif measure others");
  for (const auto& [key, value] : object.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      throw Error(ErrorKind::kBadFormat, where,
                  fmt::format("a model has no field \"{}\"", printable(key, 40)), nearest_hint(key, known));
  check_of_file(config, where);
  return config;
}

void save_model(const Model& model, const std::string& path, bool as_double) {
  if (model.values.size() != model.layout.size())
    throw Error(
        ErrorKind::kShape, path,
        fmt::format("the model has {} values, its layout {}", model.values.size(), model.layout.size()));
  const Metadata config = {{kConfigKey, config_json(model.config)}};
  if (as_double)
    write_model<double>(model, path, DType::kF64, config);
  else
    write_model<float>(model, path, DType::kF32, config);
}

void save_hop_model(const HopModel& hop, const Model& model, const std::string& path) {
  const Json blocks = {
      {"positional", hop.positional}, {"layers", hop.layers}, {"heads", hop.heads}, {"width", hop.width}};
  write_model<float>(model, path, DType::kF32, {{kHopKey, blocks.dump()}});
}

Model load_hop_model(const nn::ParameterLayout& layout, const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  Model model{.config = {},
              .layout = layout,
              .values = {},
              .origin = metadata_of(file, kOriginKey),
              .task = metadata_of(file, kTaskKey)};
  read_values(file, path, model);
  return model;
}

Model load_model(const std::string& path) {
  const Checkpoint file = Checkpoint::open(path);
  const ModelConfig config = find_config(file, path);
  Model model{.config = config,
              .layout = layout(config),
              .values = {},
              .origin = metadata_of(file, kOriginKey),
              .task = metadata_of(file, kTaskKey)};
  if (model.origin.empty()) model.origin = "file: " + std::filesystem::path(path).filename().string();
  read_values(file, path, model);
  refuse_biases(model, path);
  return model;
}

}  // namespace telos::positional
