#include "model/weights.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "model/block_reader.h"
#include "model/names.h"
#include "telos/base/error.h"
#include "telos/base/log.h"

namespace telos::model {
namespace {

/// Reads tensors by the names of a family.
class Reader {
 public:
  Reader(const Checkpoint& checkpoint, const Architecture& architecture, const Settings& settings)
      : checkpoint_(checkpoint), architecture_(architecture), names_(*settings.names) {}

  const FamilyNames& names() const { return names_; }
  const Architecture& architecture() const { return architecture_; }

  std::string in_model(std::string_view name) const { return architecture_.prefix + std::string(name); }
  std::string in_layer(std::size_t site, std::string_view name) const {
    return architecture_.sites[site].tensors + std::string(name);
  }
  const TensorInfo* find(const std::string& name) const { return checkpoint_.find(name); }
  const TensorInfo& require(const std::string& name) const {
    if (const TensorInfo* tensor = find(name)) return *tensor;
    throw Error(ErrorKind::kMissingFile, checkpoint_.path(), "no tensor " + printable(name),
                "the forward pass of family " + architecture_.family + " needs it; is a shard missing?");
  }
  [[noreturn]] void wrong_shape(const TensorInfo& tensor, const std::string& expected) const {
    throw Error(ErrorKind::kShape, checkpoint_.path() + ": " + printable(tensor.name),
                "expected shape " + expected + ", found " + tensor.shape_text());
  }

  [[noreturn]] void wrong_dimensions(const TensorInfo& tensor,
                                     std::initializer_list<std::size_t> expected) const {
    TensorInfo wanted;
    wanted.shape.assign(expected.begin(), expected.end());
    wrong_shape(tensor, wanted.shape_text());
  }

  /// All elements of a tensor as a rows × cols matrix, whatever its number of dimensions.
  Matrix<float> matrix(const TensorInfo& tensor, std::size_t rows, std::size_t cols) const {
    if (rows == 0 || cols == 0 || tensor.elements() / cols != rows || tensor.elements() % cols != 0)
      wrong_dimensions(tensor, {rows, cols});
    TensorInfo flat = tensor;
    flat.shape = {rows, cols};
    Matrix<float> result(rows, cols);
    read_out_as_rows(checkpoint_, flat, Orientation::kOutIn, {{0, rows}}, result);
    return result;
  }
  /// A table of rows with `cols` columns; as many rows as the file has.
  Matrix<float> table(const std::string& name, std::size_t cols) const {
    const TensorInfo& tensor = require(name);
    if (tensor.shape.size() < 2 || tensor.shape.back() != cols)
      wrong_shape(tensor, "[…, " + std::to_string(cols) + "]");
    return matrix(tensor, static_cast<std::size_t>(tensor.elements() / cols), cols);
  }
  std::vector<float> vector(const TensorInfo& tensor, std::size_t size) const {
    if (tensor.elements() != size) wrong_dimensions(tensor, {size});
    return read_vector(checkpoint_, tensor, {{0, size}});
  }
  /// Empty if the file has no bias there.
  std::vector<float> bias(const std::string& base, std::size_t size) const {
    const TensorInfo* tensor = find_bias(checkpoint_, base);
    return tensor == nullptr ? std::vector<float>() : vector(*tensor, size);
  }
  Norm norm(const std::string& base, NormKind kind, std::size_t size) const {
    const TensorInfo* gain = find_gain(checkpoint_, base);
    return {.kind = kind,
            .eps = static_cast<float>(architecture_.norm_eps),
            .gain = vector(gain == nullptr ? require(base + ".weight") : *gain, size),
            .bias = bias(base, size)};
  }
  /// A map in → out; the bias may be absent.
  Linear linear(const std::string& base, std::size_t in, std::size_t out, bool stored_in_out = false) const {
    const TensorInfo& tensor = require(base + ".weight");
    const std::size_t first = stored_in_out ? in : out, rest = stored_in_out ? out : in;
    if (tensor.shape.size() < 2 || tensor.shape[0] != first || tensor.elements() != first * rest)
      wrong_dimensions(tensor, {first, rest});
    const Matrix<float> stored = matrix(tensor, first, rest);
    return {PackedMatrix<float>(stored_in_out ? Op::kPlain : Op::kTransposed, stored.view()),
            bias(base, out)};
  }

  Dense projection(std::size_t site, Projection which) const {
    return read_projection(checkpoint_, architecture_, architecture_.sites[site], which);
  }

 private:
  const Checkpoint& checkpoint_;
  const Architecture& architecture_;
  const FamilyNames& names_;
};

/// Query, key and value side by side, so that one product makes all three.
Linear read_qkv(const Reader& reader, std::size_t site) {
  const Dense parts[] = {reader.projection(site, Projection::kQuery),
                         reader.projection(site, Projection::kKey),
                         reader.projection(site, Projection::kValue)};
  const std::size_t in = parts[0].weight.rows();
  std::size_t out = 0, biased = 0;
  for (const Dense& part : parts) {
    out += part.weight.cols();
    biased += part.bias.empty() ? 0 : 1;
  }
  Matrix<float> joined(in, out);
  Linear qkv;
  if (biased > 0) qkv.bias.assign(out, 0.0f);
  std::size_t column = 0;
  for (const Dense& part : parts) {
    for (std::size_t i = 0; i < in; ++i)
      std::copy_n(part.weight.row(i), part.weight.cols(), joined.row(i) + column);
    std::copy(part.bias.begin(), part.bias.end(), qkv.bias.begin() + static_cast<std::ptrdiff_t>(column));
    column += part.weight.cols();
  }
  qkv.weight = PackedMatrix<float>(Op::kPlain, joined.view());
  return qkv;
}

/// Gate and up side by side, gate first.
Linear read_gate_and_up(const Reader& reader, const std::string& gate, const std::string& up, std::size_t in,
                        std::size_t out) {
  Matrix<float> stored(2 * out, in);
  Linear both;
  const std::string names[] = {gate, up};
  for (std::size_t part = 0; part < 2; ++part) {
    const TensorInfo& tensor = reader.require(names[part] + ".weight");
    if (tensor.shape.size() != 2 || tensor.shape[0] != out || tensor.shape[1] != in)
      reader.wrong_dimensions(tensor, {out, in});
    const Matrix<float> half = reader.matrix(tensor, out, in);
    std::copy_n(half.data(), half.size(), stored.row(part * out));
    const std::vector<float> bias = reader.bias(names[part], out);
    if (bias.empty()) continue;
    both.bias.resize(2 * out);
    std::copy(bias.begin(), bias.end(), both.bias.begin() + static_cast<std::ptrdiff_t>(part * out));
  }
  both.weight = PackedMatrix<float>(Op::kTransposed, stored.view());
  return both;
}

Layer read_layer(const Reader& reader, std::size_t i) {
  const Architecture& a = reader.architecture();
  const FamilyNames& names = reader.names();
  Layer layer;
  layer.qkv = read_qkv(reader, i);
  Dense output = reader.projection(i, Projection::kOutput);
  layer.output = {PackedMatrix<float>(Op::kPlain, output.weight.view()), std::move(output.bias)};
  layer.attention_norm = reader.norm(reader.in_layer(i, names.attention_norm), a.norm, a.width);
  layer.mlp_norm = reader.norm(reader.in_layer(i, names.mlp_norm), a.norm, a.width);
  for (const auto& [name, norm] :
       {std::pair{names.query_norm, &layer.query_norm}, {names.key_norm, &layer.key_norm}})
    if (!name.empty() && reader.find(reader.in_layer(i, name) + ".weight") != nullptr)
      *norm = reader.norm(reader.in_layer(i, name), NormKind::kRmsNorm, a.head_width);

  const std::string up = reader.in_layer(i, names.up), down = reader.in_layer(i, names.down);
  // The config may leave the width of the MLP open (GPT-2); the tensors have it.
  const std::size_t mlp_width =
      static_cast<std::size_t>(reader.require(down + ".weight").elements()) / a.width;
  layer.gated = !names.gate.empty();
  layer.up = layer.gated ? read_gate_and_up(reader, reader.in_layer(i, names.gate), up, a.width, mlp_width)
                         : reader.linear(up, a.width, mlp_width, names.conv1d);
  layer.down = reader.linear(down, mlp_width, a.width, names.conv1d);
  return layer;
}

Embedding read_text_embedding(const Reader& reader) {
  const Architecture& a = reader.architecture();
  const FamilyNames& names = reader.names();
  const std::string type = reader.in_model(names.type) + ".weight";
  Embedding embedding;
  std::size_t width = a.width;
  if (!names.embedding_map.empty()) {
    const TensorInfo& tensor = reader.require(reader.in_model(names.embedding_map) + ".weight");
    if (tensor.shape.size() != 2) reader.wrong_shape(tensor, "[d, e]");
    width = static_cast<std::size_t>(tensor.shape[1]);
    embedding.map = reader.linear(reader.in_model(names.embedding_map), width, a.width);
  }
  embedding.token = reader.table(reader.in_model(names.token) + ".weight", width);
  if (!names.position.empty())
    embedding.position = reader.table(reader.in_model(names.position) + ".weight", width);
  if (!names.type.empty() && reader.find(type) != nullptr) embedding.type = reader.table(type, width);
  if (!names.embedding_norm.empty())
    embedding.norm = reader.norm(reader.in_model(names.embedding_norm), a.norm, width);
  return embedding;
}

Embedding read_image_embedding(const Reader& reader, const Settings& settings) {
  const Architecture& a = reader.architecture();
  const std::string map = reader.in_model(reader.names().embedding_map);
  const TensorInfo& kernel = reader.require(map + ".weight");
  if (kernel.shape.size() != 4 || kernel.elements() == 0)
    reader.wrong_shape(kernel, "[d, channels, patch height, patch width]");
  Embedding embedding;
  embedding.channels = static_cast<std::size_t>(kernel.shape[1]);
  embedding.patch_height = static_cast<std::size_t>(kernel.shape[2]);
  embedding.patch_width = static_cast<std::size_t>(kernel.shape[3]);
  embedding.map = reader.linear(map, static_cast<std::size_t>(kernel.elements() / kernel.shape[0]), a.width);

  const TensorInfo& cls = reader.require(reader.in_model("embeddings.cls_token"));
  const TensorInfo* distillation = reader.find(reader.in_model("embeddings.distillation_token"));
  embedding.leading = Matrix<float>(distillation == nullptr ? 1 : 2, a.width);
  std::copy_n(reader.matrix(cls, 1, a.width).data(), a.width, embedding.leading.row(0));
  if (distillation != nullptr)
    std::copy_n(reader.matrix(*distillation, 1, a.width).data(), a.width, embedding.leading.row(1));

  const std::string position = reader.in_model(reader.names().position);
  embedding.position = reader.table(position, a.width);
  const std::size_t patches =
      settings.image_height / embedding.patch_height * (settings.image_width / embedding.patch_width);
  if (embedding.position.rows() != embedding.leading.rows() + patches)
    reader.wrong_shape(reader.require(position), std::to_string(embedding.leading.rows()) + " + " +
                                                     std::to_string(patches) +
                                                     " positions for the image_size of config.json");
  return embedding;
}

/// The head is there if its decoder is, stored or tied to the embedding, and what comes before it.
Head read_head(const Reader& reader, const Settings& settings, const Embedding& embedding) {
  const FamilyNames& names = reader.names();
  const std::string dense(names.head_dense), decoder = std::string(names.head_decoder) + ".weight";
  Head head;
  const bool stored = reader.find(decoder) != nullptr;
  head.present = !names.head_decoder.empty() && (stored || settings.tied) &&
                 (dense.empty() || reader.find(dense + ".weight") != nullptr);
  if (!head.present) return head;
  const std::size_t width = embedding.token.cols();
  if (!dense.empty()) {
    head.dense = reader.linear(dense, reader.architecture().width, width);
    head.norm = reader.norm(std::string(names.head_norm), reader.architecture().norm, width);
  }
  if (stored) head.decoder = reader.table(decoder, width);
  const std::size_t vocabulary = stored ? head.decoder.rows() : embedding.token.rows();
  if (!names.head_bias.empty()) head.bias = reader.bias(std::string(names.head_bias), vocabulary);
  return head;
}

std::uint64_t count(const Norm& norm) {
  return norm.gain.size() + norm.bias.size();
}
std::uint64_t count(const Linear& linear) {
  return std::uint64_t{linear.weight.rows()} * linear.weight.cols() + linear.bias.size();
}
std::uint64_t count(const Weights& weights) {
  const Embedding& e = weights.embedding;
  std::uint64_t total = e.token.size() + e.position.size() + e.type.size() + e.leading.size() +
                        count(e.norm) + count(e.map) + count(weights.final_norm) + count(weights.head.dense) +
                        count(weights.head.norm) + weights.head.decoder.size() + weights.head.bias.size();
  for (const Layer& layer : weights.layers)
    total += count(layer.qkv) + count(layer.output) + count(layer.attention_norm) + count(layer.query_norm) +
             count(layer.key_norm) + count(layer.mlp_norm) + count(layer.up) + count(layer.down);
  return total;
}

}  // namespace

std::vector<Contradiction> contradictions(const Checkpoint& checkpoint, const Architecture& architecture,
                                          const Settings& settings) {
  const Architecture& a = architecture;
  const FamilyNames& names = *settings.names;
  std::vector<Contradiction> found;
  const auto compare = [&](const char* what, std::size_t promised, const std::string& name, auto size,
                           auto&& verdict) {
    const TensorInfo* tensor = checkpoint.find(name + ".weight");
    if (promised == 0 || tensor == nullptr || tensor->shape.size() != 2) return;
    const std::size_t held = size(*tensor);
    if (held == promised) return;
    if (const std::optional<bool> matters = verdict(held))
      found.push_back({"config.json says " + std::to_string(promised) + " " + what + ", " + printable(name) +
                           ".weight is " + tensor->shape_text(),
                       *matters});
  };
  using Verdict = std::optional<bool>;
  const auto rows = [](const TensorInfo& tensor) { return static_cast<std::size_t>(tensor.shape[0]); };
  const auto across = [&](const TensorInfo& tensor) {
    return static_cast<std::size_t>(tensor.elements()) / std::max<std::size_t>(1, a.width);
  };
  compare("tokens", a.vocabulary, a.prefix + std::string(names.token), rows,
          [&](std::size_t held) { return Verdict(held < a.vocabulary); });
  if (!settings.images && !names.position.empty())
    compare("positions", a.context, a.prefix + std::string(names.position), rows,
            [&](std::size_t held) { return held < a.context ? Verdict(true) : std::nullopt; });
  if (!a.sites.empty())
    compare("hidden units", a.mlp_width, a.sites[0].tensors + std::string(names.down), across,
            [](std::size_t) { return Verdict(true); });
  return found;
}

Norm read_final_norm(const Checkpoint& checkpoint, const Architecture& architecture,
                     const Settings& settings) {
  const std::string_view name = settings.names->final_norm;
  if (name.empty()) return {};
  const Reader reader(checkpoint, architecture, settings);
  return reader.norm(reader.in_model(name), architecture.norm, architecture.width);
}

Weights read_weights(const Checkpoint& checkpoint, const Architecture& architecture, const Settings& settings,
                     const Arena& arena) {
  for (const Contradiction& c : contradictions(checkpoint, architecture, settings))
    if (c.matters)
      throw Error(ErrorKind::kShape, checkpoint.path(), c.text, "is it the config of this file?");
  const Reader reader(checkpoint, architecture, settings);
  Weights weights;
  weights.embedding = settings.images ? read_image_embedding(reader, settings) : read_text_embedding(reader);
  weights.layers.resize(architecture.sites.size());
  Progress progress("load", "layer", static_cast<double>(weights.layers.size()));
  arena.parallel_for(weights.layers.size(), [&](std::size_t i) {
    check_interrupt();
    weights.layers[i] = read_layer(reader, i);
    progress.advance();
  });
  weights.final_norm = read_final_norm(checkpoint, architecture, settings);
  weights.head = read_head(reader, settings, weights.embedding);
  weights.parameters = count(weights);
  return weights;
}

}  // namespace telos::model
